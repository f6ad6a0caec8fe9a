//! Rounds in which all servers take their turns, and the table of what came of them.

use crate::servers::Server;

/// Asks each server once in each round, another one first each time, and prints the table. `turn` gives how much was done;
/// `unit` names it, and is so many of those.
pub(crate) fn run(
    question: &str,
    rounds: usize,
    servers: &[Server],
    unit: (&str, f64),
    mut turn: impl FnMut(&Server) -> f64,
) {
    let mut costs = vec![Vec::new(); servers.len()];
    for round in 0..rounds {
        for at in 0..servers.len() {
            let at = (at + round) % servers.len();
            let before = servers[at].cpu();
            let done = turn(&servers[at]) / unit.1;
            costs[at].push((servers[at].cpu() - before) / done);
        }
    }
    let names: Vec<&str> = servers.iter().map(|server| server.name).collect();
    print(question, unit.0, &names, &costs);
}

/// `costs` are nanoseconds of each server's processor for each unit, one for each round.
fn print(question: &str, unit: &str, names: &[&str], costs: &[Vec<f64>]) {
    println!("{question}, rounds: {}", costs[0].len());
    println!("  {:<14}{:>10} per server-CPU-second{:>12}{:>10}{:>17}", "", unit, "ns each", "best", "dormouse / this");
    for (name, own) in names.iter().zip(costs) {
        let (cost, best) = (median(own.clone()), own.iter().copied().fold(f64::INFINITY, f64::min));
        // Of each round by itself: a machine that is slower for a while is so for all.
        let ratio = median(own.iter().zip(&costs[0]).map(|(cost, first)| cost / first).collect());
        println!("  {name:<14}{:>31.0}{cost:>12.1}{best:>10.1}{ratio:>17.3}", 1e9 / cost);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
