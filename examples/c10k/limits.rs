//! The limits of the system that a run could hit, looked at before anything is started.

use std::fs;
use std::io;
use std::net::SocketAddr;

use crate::failure::{Failure, Shortage};
use crate::options::{Model, Options};
use crate::process;
use crate::procfs;
use crate::thread_limits;

/// Descriptors a process has beside its connections: standard streams, listener, epoll, pipes, /proc files.
const SPARE_DESCRIPTORS: u64 = 32;

/// Ports of an address left to others, and to connections that linger.
const SPARE_PORTS: usize = 512;

/// What a run needs of any other limit beside what its connections need.
const SPARE: u64 = 256;

/// Mappings of a thread of std: its stack, its alternate signal stack, and the guard below each.
const MAPPINGS_PER_THREAD: u64 = 4;

/// Mappings of a coroutine where the kernel has no guards that cost none: its stack and the guard below.
const MAPPINGS_PER_COROUTINE: u64 = 2;

/// What the system lets this run have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Connections a single process can hold.
    pub(crate) connections: usize,
}

/// A limit on a number of things, some of which are taken.
pub(crate) struct Limit {
    pub(crate) name: String,
    pub(crate) value: u64,
    pub(crate) used: u64,
    /// The command that raises it, but for the number.
    pub(crate) raise: String,
}

/// Raises what can be raised without privilege and checks the rest against what `options` ask for.
pub(crate) fn check(options: &Options) -> Result<Allowance, Failure> {
    let descriptors = process::raise_descriptor_limit()?;
    let mut shortages = counts(options)?;
    if options.uses_sockets() {
        shortages.extend(own_descriptors(options.conns as u64, descriptors));
        shortages.extend(other_descriptors(options)?);
        shortages.extend(ports(options)?);
    }
    if !shortages.is_empty() {
        return Err(Failure::Shortage(shortages));
    }
    let connections = descriptors.saturating_sub(SPARE_DESCRIPTORS) as usize;
    Ok(Allowance { connections })
}

/// Connections one source address can have to one server.
pub(crate) fn ports_per_address() -> io::Result<usize> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?;
    let mut bounds = range.split_whitespace().filter_map(|bound| bound.parse::<usize>().ok());
    let (Some(first), Some(last)) = (bounds.next(), bounds.next()) else {
        return Err(io::Error::other("ip_local_port_range has no two numbers"));
    };
    let ports = (last + 1).saturating_sub(first);
    Ok(ports.saturating_sub(SPARE_PORTS).max(ports / 2).max(1))
}

/// For ports that ran out all the same, because others hold them.
pub(crate) fn out_of_ports(done: usize, server: SocketAddr) -> Shortage {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    Shortage {
        limit: format!("net.ipv4.ip_local_port_range = {}", range.trim().replace('\t', " ")),
        need: format!("a free port for every connection from one address to {server}"),
        possible: format!("--conns {done} at this moment; others hold the rest"),
        raise: "sysctl -w net.ipv4.ip_local_port_range='1024 65535' (as root)".into(),
    }
}

/// For descriptors that ran out all the same, because the whole system has none left.
pub(crate) fn out_of_descriptors(done: usize) -> Shortage {
    let files = fs::read_to_string("/proc/sys/fs/file-nr").unwrap_or_default();
    let files = files.trim().replace('\t', " ");
    Shortage {
        limit: format!("open files (fs.file-nr: {files}; RLIMIT_NOFILE)"),
        need: "a descriptor for every connection in each process".into(),
        possible: format!("--conns {done} at this moment"),
        raise: "ulimit -Hn 1048576; sysctl -w fs.file-max=2097152 (as root)".into(),
    }
}

impl Limit {
    pub(crate) fn sysctl(name: &str, used: u64) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/")))?;
        // Some are beyond what fits, and mean "no limit".
        let value = text.trim().parse().unwrap_or(u64::MAX);
        let raise = format!("sysctl -w {name}=");
        Ok(Self { name: name.into(), value, used, raise })
    }

    /// The shortage, if any, of a run that needs `each` for every one of `count` `things`.
    fn shortage(&self, count: usize, things: &str, each: u64) -> Option<Shortage> {
        let need = self.used + count as u64 * each + SPARE;
        let possible = self.value.saturating_sub(self.used + SPARE) / each;
        let others = if things == "threads" { ", or --model coroutine,epoll" } else { "" };
        (need > self.value).then(|| Shortage {
            limit: format!("{} = {} (in use: {})", self.name, self.value, self.used),
            need: format!("{need}: {each} for each of {count} {things}, and {SPARE} others"),
            possible: format!("--conns {possible}{others}"),
            raise: format!("{}{need} (as root)", self.raise),
        })
    }
}

/// Everything of which a run needs so many for each connection.
fn counts(options: &Options) -> io::Result<Vec<Shortage>> {
    let mut shortages = Vec::new();
    let conns = options.conns;
    if options.uses_sockets() {
        let files = Limit::sysctl("fs.file-max", allocated_files()?)?;
        let watches = Limit::sysctl("fs.epoll.max_user_watches", 0)?;
        shortages.extend(files.shortage(conns, "connections", 2));
        shortages.extend(watches.shortage(conns, "connections", 2));
    }
    let mappings = Limit::sysctl("vm.max_map_count", 0)?;
    if options.starts(Model::Thread) {
        let limits = thread_limits::all()?;
        shortages.extend(limits.iter().filter_map(|limit| limit.shortage(conns, "threads", 1)));
        shortages.extend(mappings.shortage(conns, "threads", MAPPINGS_PER_THREAD));
    }
    let coroutines = options.starts(Model::Coroutine) || options.starts(Model::Parked);
    if coroutines && !process::has_light_guards() {
        shortages.extend(mappings.shortage(conns, "coroutines", MAPPINGS_PER_COROUTINE));
    }
    Ok(shortages)
}

fn own_descriptors(conns: u64, limit: u64) -> Option<Shortage> {
    let need = conns + SPARE_DESCRIPTORS;
    let possible = limit.saturating_sub(SPARE_DESCRIPTORS);
    (need > limit).then(|| Shortage {
        limit: format!("RLIMIT_NOFILE = {limit} descriptors a process (hard limit; the soft one is raised to it)"),
        need: format!("{need} in the server and in the client: {conns} connections and {SPARE_DESCRIPTORS} others"),
        possible: format!("--conns {possible}"),
        raise: format!("ulimit -Hn {need} && ulimit -n {need} (as root, in the shell that starts c10k)"),
    })
}

/// The server of `--connect` has a limit of its own.
fn other_descriptors(options: &Options) -> io::Result<Option<Shortage>> {
    let Some(pid) = options.pid else {
        return Ok(None);
    };
    let Some(limit) = procfs::descriptor_limit(pid)? else {
        return Ok(None);
    };
    let need = options.conns as u64 + SPARE_DESCRIPTORS;
    let possible = limit.saturating_sub(SPARE_DESCRIPTORS);
    Ok((need > limit).then(|| Shortage {
        limit: format!("RLIMIT_NOFILE of process {pid} ({}) = {limit}", options.label),
        need: format!("{need}: {} connections and {SPARE_DESCRIPTORS} others", options.conns),
        possible: format!("--conns {possible}"),
        raise: format!("prlimit --pid {pid} --nofile={need}"),
    }))
}

/// Only a server that is not on a loopback address is limited: elsewhere 127.0.0.2 and so on help out.
fn ports(options: &Options) -> io::Result<Option<Shortage>> {
    let Some(server) = options.connect else {
        return Ok(None);
    };
    let possible = ports_per_address()?;
    if options.conns <= possible || server.is_ipv4() && server.ip().is_loopback() {
        return Ok(None);
    }
    let mut shortage = out_of_ports(possible, server);
    shortage.possible = format!("--conns {possible}, or a server on 127.0.0.1");
    Ok(Some(shortage))
}

fn allocated_files() -> io::Result<u64> {
    let files = fs::read_to_string("/proc/sys/fs/file-nr")?;
    let allocated = files.split_whitespace().next();
    Ok(allocated.and_then(|number| number.parse().ok()).unwrap_or(0))
}
