//! What /proc says of a process and of the kernel, read as numbers; see proc(5). Knows nothing of connections.

use std::fs;
use std::io;
use std::ops::Sub;

use serde::{Deserialize, Serialize};

const PAGE: f64 = 4096.0;

/// What a process holds, and the kernel for everybody, at one moment: bytes, or a number of things.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Private resident bytes: pages that would be free if the process were gone.
    pub(crate) user: f64,
    pub(crate) page_tables: f64,
    /// Reserved address space.
    pub(crate) virt: f64,
    /// Of the whole system: see `kernel_bytes`.
    pub(crate) kernel: f64,
    pub(crate) mappings: u64,
    pub(crate) threads: u64,
}

/// What the threads of a process have consumed so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// Nanoseconds on a core, exact while every thread sleeps.
    pub(crate) ran: f64,
    /// The kernel's shares of the above, sampled in clock ticks.
    user_ticks: f64,
    system_ticks: f64,
    pub(crate) voluntary_switches: f64,
    pub(crate) involuntary_switches: f64,
}

/// Measures process `pid`, and the system's kernel memory along with it.
pub(crate) fn memory(pid: u32) -> io::Result<Memory> {
    let status = read(pid, "status")?;
    let rollup = read(pid, "smaps_rollup")?;
    Ok(Memory {
        user: (number(&rollup, "Private_Clean:")? + number(&rollup, "Private_Dirty:")?) * 1024.0,
        page_tables: number(&status, "VmPTE:")? * 1024.0,
        virt: number(&status, "VmSize:")? * 1024.0,
        kernel: kernel_bytes()?,
        mappings: read(pid, "maps")?.lines().count() as u64,
        threads: number(&status, "Threads:")? as u64,
    })
}

/// What sockets and threads take of the kernel's memory, in the whole system.
///
/// The reclaimable part of the slab is left out, but for the sockets' inodes: it grows with every directory that somebody
/// lists, /proc among them, and would drown the rest.
pub(crate) fn kernel_bytes() -> io::Result<f64> {
    // Folds the counters each core keeps for itself into the totals; only root may, and it is only for precision.
    let _ = fs::read("/proc/sys/vm/stat_refresh");
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let slab = number(&meminfo, "SUnreclaim:")? * 1024.0 + socket_inodes();
    let stacks = number(&meminfo, "KernelStack:")? * 1024.0;
    Ok(slab + stacks + socket_buffers()?)
}

/// Sums up what every thread of process `pid` has consumed.
pub(crate) fn cpu(pid: u32) -> io::Result<Cpu> {
    let mut cpu = Cpu::default();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        // A thread may end between the listing and this line; then it is not one of the server's.
        let (Ok(schedstat), Ok(status)) =
            (fs::read_to_string(task.join("schedstat")), fs::read_to_string(task.join("status")))
        else {
            continue;
        };
        cpu.ran += field(&schedstat, 0)?;
        cpu.voluntary_switches += number(&status, "voluntary_ctxt_switches:")?;
        cpu.involuntary_switches += number(&status, "nonvoluntary_ctxt_switches:")?;
    }
    let stat = read(pid, "stat")?;
    // The second field, the name in parentheses, may contain spaces: count from behind it.
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    cpu.user_ticks = field(behind_name, 11)?;
    cpu.system_ticks = field(behind_name, 12)?;
    Ok(cpu)
}

impl Cpu {
    /// The user and the system part of `ran`.
    pub(crate) fn split(&self) -> (f64, f64) {
        let ticks = self.user_ticks + self.system_ticks;
        let user = if ticks > 0.0 { self.ran * self.user_ticks / ticks } else { 0.0 };
        (user, self.ran - user)
    }
}

impl Sub for Cpu {
    type Output = Cpu;

    fn sub(self, before: Cpu) -> Cpu {
        Cpu {
            ran: self.ran - before.ran,
            user_ticks: self.user_ticks - before.user_ticks,
            system_ticks: self.system_ticks - before.system_ticks,
            voluntary_switches: self.voluntary_switches - before.voluntary_switches,
            involuntary_switches: self.involuntary_switches - before.involuntary_switches,
        }
    }
}

/// The cores process `pid` may run on, as the kernel lists them (`0-1`).
pub(crate) fn cores(pid: u32) -> io::Result<String> {
    let status = read(pid, "status")?;
    Ok(value(&status, "Cpus_allowed_list:").unwrap_or_default().to_owned())
}

/// The soft limit of open descriptors of process `pid`; none where it is unlimited.
pub(crate) fn descriptor_limit(pid: u32) -> io::Result<Option<u64>> {
    let limits = read(pid, "limits")?;
    Ok(value(&limits, "Max open files").and_then(|limit| limit.parse().ok()))
}

/// Bytes of the slab with the inodes of sockets; zero for all but root, who alone may read slabinfo(5).
fn socket_inodes() -> f64 {
    let slabs = fs::read_to_string("/proc/slabinfo").unwrap_or_default();
    let cache = slabs.lines().find(|line| line.starts_with("sock_inode_cache "));
    let cache = cache.unwrap_or_default();
    let (pages_per_slab, slabs) = (field(cache, 5), field(cache, 14));
    pages_per_slab.unwrap_or(0.0) * slabs.unwrap_or(0.0) * PAGE
}

fn socket_buffers() -> io::Result<f64> {
    let sockstat = fs::read_to_string("/proc/net/sockstat")?;
    let tcp = sockstat.lines().find(|line| line.starts_with("TCP:")).unwrap_or_default();
    let pages = tcp.split_whitespace().skip_while(|&word| word != "mem").nth(1);
    Ok(pages.and_then(|pages| pages.parse().ok()).unwrap_or(0.0) * PAGE)
}

fn read(pid: u32, file: &str) -> io::Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
}

/// The first word behind `name` at the start of a line.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()
}

fn number(text: &str, name: &str) -> io::Result<f64> {
    let number = value(text, name).and_then(|number| number.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("/proc has no {name}")))
}

fn field(text: &str, index: usize) -> io::Result<f64> {
    let number = text.split_whitespace().nth(index).and_then(|number| number.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("/proc has no field {index}")))
}
