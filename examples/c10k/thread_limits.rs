//! The limits that a server with one thread per client hits first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::limits::Limit;

/// Every limit that the threads of one process could hit.
pub(crate) fn all() -> io::Result<Vec<Limit>> {
    let running = running_threads();
    let mut limits = vec![Limit::sysctl("kernel.threads-max", running)?, Limit::sysctl("kernel.pid_max", running)?];
    limits.extend(cgroup_folders().iter().filter_map(|folder| cgroup(folder)));
    limits.extend(user(running));
    Ok(limits)
}

fn cgroup(folder: &Path) -> Option<Limit> {
    let file = folder.join("pids.max");
    let name = file.display().to_string();
    Some(Limit {
        value: number(&file)?,
        used: number(&folder.join("pids.current"))?,
        raise: format!("write to {name}: "),
        name,
    })
}

/// The limit of processes of this user; none for root, who is not held to it.
fn user(running: u64) -> Option<Limit> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max processes"))?;
    if ids.split_whitespace().nth(1) == Some("0") {
        return None;
    }
    Some(Limit {
        name: "RLIMIT_NPROC".into(),
        value: limit.split_whitespace().next()?.parse().ok()?,
        used: running,
        raise: "ulimit -Hu ".into(),
    })
}

/// Threads of the whole system: behind the slash of /proc/loadavg.
fn running_threads() -> u64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let running = load.split_whitespace().nth(3).and_then(|counts| counts.split('/').nth(1));
    running.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// The folders that may limit this process' threads, of cgroup version 1 or 2, from its own upwards.
fn cgroup_folders() -> Vec<PathBuf> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut folders = Vec::new();
    for line in cgroups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let root = match controllers {
            "" => Path::new("/sys/fs/cgroup"),
            _ if controllers.split(',').any(|name| name == "pids") => Path::new("/sys/fs/cgroup/pids"),
            _ => continue,
        };
        let own = root.join(path.trim_start_matches('/'));
        folders.extend(own.ancestors().take_while(|folder| folder.starts_with(root)).map(Path::to_path_buf));
    }
    folders
}

/// The number in a file; none where there is no such file, or it says `max`.
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}
