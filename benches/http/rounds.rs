//! Rounds in which all servers take their turns, and the table of what came of them.

use crate::servers::Server;

/// What one server's turns gave, in nanoseconds of its processor for each unit of work.
struct Line {
    name: &'static str,
    costs: Vec<f64>,
}

/// Asks each server once in each round, another one first each time, and prints the table. `turn` gives how much was done;
/// `unit` names it, and is so many of those.
pub(crate) fn run(
    question: &str,
    rounds: usize,
    servers: &[Server],
    unit: (&str, f64),
    mut turn: impl FnMut(&Server) -> f64,
) {
    let mut lines: Vec<Line> = servers.iter().map(|server| Line { name: server.name, costs: Vec::new() }).collect();
    for round in 0..rounds {
        for at in 0..servers.len() {
            let at = (at + round) % servers.len();
            let before = servers[at].cpu();
            let done = turn(&servers[at]);
            lines[at].costs.push((servers[at].cpu() - before) / done);
        }
    }
    print(question, unit, &mut lines);
}

fn print(question: &str, (unit, size): (&str, f64), lines: &mut [Line]) {
    println!("{question}, {} rounds:", lines.first().map_or(0, |line| line.costs.len()));
    println!("  {:<14}{:>10} per server-CPU-second{:>12}{:>10}{:>17}", "", unit, "ns each", "best", "dormouse / this");
    lines.iter_mut().for_each(|line| line.costs.sort_by(f64::total_cmp));
    let first = lines.first().map_or(f64::NAN, Line::median);
    for line in lines.iter() {
        let (cost, best) = (line.median() * size, line.costs[0] * size);
        let ratio = line.median() / first;
        println!("  {:<14}{:>31.0}{cost:>12.1}{best:>10.1}{ratio:>17.3}", line.name, 1e9 / cost);
    }
}

impl Line {
    fn median(&self) -> f64 {
        self.costs[self.costs.len() / 2]
    }
}
