//! A server as a child process: started from this same executable, gone before its owner is.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Cores;
use crate::options::{Kind, Options};
use crate::process;
use crate::server::GREETING;

/// Killed when dropped, and by the kernel when this process ends in another way.
pub(crate) struct Child {
    process: std::process::Child,
    pub(crate) address: SocketAddr,
}

impl Child {
    pub(crate) fn start(kind: Kind, rounds: u64, options: &Options, cores: &Cores) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--serve", kind.name(), "--parent", &std::process::id().to_string()]);
        command.args(["--work-rounds", &rounds.to_string(), "--pieces", &options.pieces.to_string()]);
        command.args(["--policy", options.policy.name()]);
        command.args(["--max-ready", &options.max_ready.to_string()]);
        command.args(["--smoothing", &options.smoothing.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // A child inherits the cores of whoever starts it.
        process::pin(&cores.server)?;
        let spawned = command.spawn();
        process::pin(&cores.client)?;
        let mut process = spawned?;
        let mut line = String::new();
        process.stdout.take().map(|out| BufReader::new(out).read_line(&mut line)).transpose()?;
        match line.trim().strip_prefix(GREETING).and_then(|address| address.parse().ok()) {
            Some(address) => Ok(Self { process, address }),
            None => Err(io::Error::other(format!("the {} server says `{}`", kind.name(), line.trim()))),
        }
    }
}

impl Child {
    /// How long its thread has run.
    pub(crate) fn ran(&self) -> io::Result<Duration> {
        self.scheduled(0)
    }

    /// How long its thread could have run and did not, since others had its core: see /proc/pid/schedstat in proc(5).
    pub(crate) fn waited(&self) -> io::Result<Duration> {
        self.scheduled(1)
    }

    fn scheduled(&self, field: usize) -> io::Result<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/schedstat", self.process.id()))?;
        let time = text.split_ascii_whitespace().nth(field).and_then(|nanos| nanos.parse().ok());
        time.map(Duration::from_nanos).ok_or_else(|| io::Error::other("schedstat tells no time"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
