//! INFO: figures of the server, in sections.

use std::fmt::Write;

use super::super::call::Call;
use super::super::command::{Command, NO_KEYS};
use super::super::failure::Done;

/// Whose behaviour this server has.
pub(crate) const VERSION: &str = "7.0.15";

pub(crate) const COMMANDS: &[Command] =
    &[Command::new("info", -1, 0, NO_KEYS, info, "Get information and statistics about the server")];

type Section = fn(&Call<'_>, &mut String) -> std::fmt::Result;

const SECTIONS: &[(&str, Section)] = &[
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("CPU", cpu),
    ("Cluster", cluster),
    ("Keyspace", keyspace),
];

fn info(call: &mut Call<'_>) -> Done {
    let asked: Vec<Vec<u8>> = call.args.from(1).iter().map(|word| word.to_ascii_lowercase()).collect();
    let wants_all =
        asked.is_empty() || asked.iter().any(|word| matches!(&word[..], b"all" | b"default" | b"everything"));
    let mut text = String::new();
    for (name, section) in SECTIONS {
        if wants_all || asked.contains(&name.to_ascii_lowercase().into_bytes()) {
            let separator = if text.is_empty() { "" } else { "\r\n" };
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}# {name}\r\n").and_then(|()| section(call, &mut text));
        }
    }
    call.reply.verbatim(&text);
    Ok(())
}

fn server(call: &Call<'_>, text: &mut String) -> std::fmt::Result {
    let up = call.server.began.elapsed().as_secs();
    write!(
        text,
        "redis_version:{VERSION}\r\nredis_mode:standalone\r\nos:Linux\r\narch_bits:64\r\nmultiplexing_api:epoll\r\n\
         process_id:{}\r\ntcp_port:{}\r\nserver_time_usec:{}\r\nuptime_in_seconds:{up}\r\nuptime_in_days:{}\r\n",
        std::process::id(),
        call.session.client.local.port(),
        call.store.now * 1000,
        up / 86_400,
    )
}

fn clients(call: &Call<'_>, text: &mut String) -> std::fmt::Result {
    let (connected, blocked) = (call.store.clients.len(), call.store.lines.len());
    let most = call.store.config.clients;
    write!(text, "connected_clients:{connected}\r\nmaxclients:{most}\r\nblocked_clients:{blocked}\r\n")
}

/// What the process has, as the kernel counts it.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn memory(_: &Call<'_>, text: &mut String) -> std::fmt::Result {
    let bytes = resident();
    write!(text, "used_memory:{bytes}\r\nused_memory_rss:{bytes}\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n")
}

fn persistence(_: &Call<'_>, text: &mut String) -> std::fmt::Result {
    write!(text, "loading:0\r\nrdb_bgsave_in_progress:0\r\naof_enabled:0\r\n")
}

fn stats(call: &Call<'_>, text: &mut String) -> std::fmt::Result {
    let (counts, hub) = (call.store.counts, &call.store.hub);
    let expired: u64 = call.store.databases.iter().map(|database| database.expired).sum();
    write!(
        text,
        "total_connections_received:{}\r\ntotal_commands_processed:{}\r\nrejected_connections:{}\r\n\
         expired_keys:{expired}\r\npubsub_channels:{}\r\npubsub_patterns:{}\r\ntotal_error_replies:{}\r\n",
        counts.connections,
        counts.commands,
        counts.rejected,
        hub.channels.len(),
        hub.patterns.len(),
        counts.errors,
    )
}

fn replication(_: &Call<'_>, text: &mut String) -> std::fmt::Result {
    write!(text, "role:master\r\nconnected_slaves:0\r\n")
}

/// Ticks of a hundredth of a second, of the process.
fn cpu(_: &Call<'_>, text: &mut String) -> std::fmt::Result {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |at| fields.split(' ').nth(at).and_then(|ticks: &str| ticks.parse::<u64>().ok()).unwrap_or(0);
    let (user, system) = (ticks(12), ticks(13));
    write!(text, "used_cpu_sys:{}.{:02}\r\n", system / 100, system % 100)?;
    write!(text, "used_cpu_user:{}.{:02}\r\n", user / 100, user % 100)
}

fn cluster(_: &Call<'_>, text: &mut String) -> std::fmt::Result {
    write!(text, "cluster_enabled:0\r\n")
}

fn keyspace(call: &Call<'_>, text: &mut String) -> std::fmt::Result {
    for (index, database) in call.store.databases.iter().enumerate().filter(|(_, database)| database.len() > 0) {
        write!(text, "db{index}:keys={},expires={},avg_ttl=0\r\n", database.len(), database.expiring())?;
    }
    Ok(())
}
