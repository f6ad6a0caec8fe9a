//! A server as a child process: started from this same executable, gone before its owner is.
//!
//! 1. Dropping a `Child` kills it, a panic's unwinding included; the kernel kills it when the parent ends in any other way
//!    (`process::die_with`).
//! 2. No read from it waits longer than it is told to.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::options::{Model, Options};
use crate::process;
use crate::server::GREETING;

const START: Duration = Duration::from_secs(20);

pub(crate) struct Child {
    process: std::process::Child,
    /// The lines of its standard output, from a thread that ends with it.
    lines: Receiver<String>,
    model: Model,
}

impl Child {
    /// Starts `model`'s server on `cores`.
    pub(crate) fn start(model: Model, options: &Options, cores: &[usize]) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--serve", model.name()]);
        command.args(["--parent", &std::process::id().to_string()]);
        command.args(["--conns", &options.conns.to_string()]);
        command.args(["--stack", &options.stack.to_string()]);
        command.args(["--workers", &options.workers.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = spawn_on(cores, &mut command)?;
        let lines = read_lines(process.stdout.take());
        Ok(Self { process, lines, model })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it accepts connections, and returns where.
    pub(crate) fn address(&mut self) -> Result<SocketAddr, Failure> {
        let line = self.line(START)?;
        let address = line.strip_prefix(GREETING).and_then(|address| address.parse().ok());
        address.ok_or_else(|| Failure::other(format!("the {} server says `{line}`", self.model.name())))
    }

    /// Waits for the next line it prints.
    pub(crate) fn line(&mut self, timeout: Duration) -> Result<String, Failure> {
        match self.lines.recv_timeout(timeout) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(self.failed(&format!("is silent for {timeout:?}"))),
            Err(RecvTimeoutError::Disconnected) => Err(self.explain(Failure::other("it closed its output".into()))),
        }
    }

    /// Waits until it ends by itself.
    pub(crate) fn finish(&mut self, timeout: Duration) -> Result<ExitStatus, Failure> {
        let deadline = Instant::now() + timeout;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(self.failed(&format!("does not end within {timeout:?}")))
    }

    /// Adds to a failure seen from outside that the server has ended, if so: it has said why on standard error.
    pub(crate) fn explain(&mut self, failure: Failure) -> Failure {
        match self.finish(Duration::from_millis(500)) {
            Ok(status) if status.code() == Some(2) => Failure::ToldShortage(format!("{failure}, for the reason above")),
            Ok(status) => self.failed(&format!("ended early ({status}); {failure}")),
            Err(_) => self.failed(&failure.to_string()),
        }
    }

    fn failed(&self, what: &str) -> Failure {
        Failure::other(format!("the {} server (process {}) {what}", self.model.name(), self.pid()))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill and only the status to collect.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Spawns with the affinity the child shall inherit, and takes this thread's own back afterwards.
fn spawn_on(cores: &[usize], command: &mut Command) -> io::Result<std::process::Child> {
    let own = process::allowed_cores()?;
    process::pin(cores)?;
    let spawned = command.spawn();
    process::pin(&own)?;
    spawned
}

fn read_lines(stdout: Option<std::process::ChildStdout>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines());
        for line in lines.map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
