//! One server measured: at zero connections, with all of them idle, and under ping-pong.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::child::Child;
use crate::client::{Client, Load};
use crate::failure::Failure;
use crate::options::{Model, Options};
use crate::procfs::{self, Cpu, Memory};
use crate::report::{Measured, Row, Switches};
use crate::server::parked::Report;

/// How long connections idle before they are measured: dormouse gives back what a stack no longer uses after a second.
pub(crate) const SETTLE: Duration = Duration::from_millis(1_800);

/// For a server to get from its greeting into its first accept, and for the kernel to have freed the one before it.
const QUIET: Duration = Duration::from_millis(300);

const WARM_UP: Duration = Duration::from_millis(500);
const PARKED: Duration = Duration::from_secs(120);

/// What is the same for every server of a run.
pub(crate) struct Harness {
    pub(crate) options: Options,
    /// Where servers run; the client has pinned itself elsewhere.
    pub(crate) server_cores: Vec<usize>,
    /// What the client's end of a connection costs the kernel.
    pub(crate) kernel_bytes_per_end: f64,
}

/// A running server, and what it was before its first connection.
pub(crate) struct Subject {
    pub(crate) label: String,
    address: SocketAddr,
    pid: u32,
    at_zero: Memory,
    /// None for a server that is not ours.
    child: Option<Child>,
}

/// A stretch of load, and what it cost the server.
pub(crate) struct Phase {
    pub(crate) load: Load,
    pub(crate) cpu: Cpu,
}

impl Subject {
    /// Starts the server of `model`.
    pub(crate) fn start(model: Model, harness: &Harness) -> Result<Self, Failure> {
        Self::start_as(model.name().into(), model, &harness.options, &harness.server_cores)
    }

    /// Starts the server of `model` under another name, with these options.
    pub(crate) fn start_as(label: String, model: Model, options: &Options, cores: &[usize]) -> Result<Self, Failure> {
        let mut child = Child::start(model, options, cores)?;
        let address = child.address()?;
        Self::at_zero(label, address, child.pid(), Some(child))
    }

    /// Takes on the server that listens at `address` already.
    pub(crate) fn attach(label: &str, address: SocketAddr, pid: u32) -> Result<Self, Failure> {
        Self::at_zero(label.into(), address, pid, None)
    }

    fn at_zero(label: String, address: SocketAddr, pid: u32, child: Option<Child>) -> Result<Self, Failure> {
        thread::sleep(QUIET);
        Ok(Self { label, address, pid, at_zero: procfs::memory(pid)?, child })
    }

    /// Opens all connections, behind a progress bar, and lets them idle.
    pub(crate) fn connect(&mut self, options: &Options) -> Result<Client, Failure> {
        let bar = ProgressBar::new(options.conns as u64);
        let style = ProgressStyle::with_template("{msg:>12} {bar:40} {human_pos}/{human_len} connections");
        bar.set_style(style.map_err(|error| Failure::other(error.to_string()))?);
        bar.set_message(self.label.clone());
        let client = Client::open(self.address, options.conns, options.size, |done| bar.set_position(done));
        bar.finish_and_clear();
        let client = client.map_err(|failure| self.explain(failure))?;
        thread::sleep(SETTLE);
        Ok(client)
    }

    /// Measures the idle server.
    pub(crate) fn memory(&self) -> Result<Memory, Failure> {
        Ok(procfs::memory(self.pid)?)
    }

    /// Plays ping-pong; between the two looks at the server's clock, and at both of them, nothing is outstanding.
    pub(crate) fn load(&mut self, client: &mut Client, options: &Options) -> Result<Phase, Failure> {
        self.try_load(client, options).map_err(|failure| self.explain(failure))
    }

    fn try_load(&self, client: &mut Client, options: &Options) -> Result<Phase, Failure> {
        client.ping_pong(options.active(), WARM_UP)?;
        let before = procfs::cpu(self.pid)?;
        let load = client.ping_pong(options.active(), options.secs)?;
        let cpu = procfs::cpu(self.pid)? - before;
        Ok(Phase { load, cpu })
    }

    /// The row of this server in the table.
    pub(crate) fn row(&self, harness: &Harness, idle: &Memory, phase: &Phase) -> Measured {
        let options = &harness.options;
        let mut row = memory_row(&self.label, options.conns, &self.at_zero, idle);
        row.kernel_bytes_per_conn -= harness.kernel_bytes_per_end;
        row.active = Some(options.active());
        row.size = Some(options.size);
        let switches = phase.fill(&mut row);
        Measured { row, switches: Some(switches) }
    }

    fn explain(&mut self, failure: Failure) -> Failure {
        match (&mut self.child, failure) {
            (Some(child), failure @ Failure::Other(_)) => child.explain(failure),
            (_, failure) => failure,
        }
    }
}

impl Phase {
    /// Nanoseconds of the server's cores for one request.
    pub(crate) fn cpu_per_request(&self) -> f64 {
        self.cpu.ran / self.load.requests as f64
    }

    /// A latency in microseconds.
    pub(crate) fn latency(&self, quantile: f64) -> f64 {
        self.load.latencies.value_at_quantile(quantile) as f64 / 1e3
    }

    fn fill(&self, row: &mut Row) -> Switches {
        let requests = self.load.requests as f64;
        let (user, system) = self.cpu.split();
        row.rps = Some(requests / self.load.elapsed.as_secs_f64());
        row.p50_us = Some(self.latency(0.5));
        row.p99_us = Some(self.latency(0.99));
        row.p999_us = Some(self.latency(0.999));
        row.max_us = Some(self.load.latencies.max() as f64 / 1e3);
        row.cpu_ns_per_req = Some(self.cpu_per_request());
        row.user_ns_per_req = Some(user / requests);
        row.sys_ns_per_req = Some(system / requests);
        Switches {
            voluntary: self.cpu.voluntary_switches / requests,
            involuntary: self.cpu.involuntary_switches / requests,
        }
    }
}

/// Measures one server from its start to its end.
pub(crate) fn measure(mut subject: Subject, harness: &Harness) -> Result<Measured, Failure> {
    let mut client = subject.connect(&harness.options)?;
    let idle = subject.memory()?;
    let phase = subject.load(&mut client, &harness.options)?;
    Ok(subject.row(harness, &idle, &phase))
}

/// Measures parked coroutines, which their own process does.
pub(crate) fn measure_parked(harness: &Harness) -> Result<Measured, Failure> {
    let conns = harness.options.conns;
    let mut child = Child::start(Model::Parked, &harness.options, &harness.server_cores)?;
    let line = child.line(PARKED)?;
    let report: Report = serde_json::from_str(&line).map_err(|error| Failure::other(error.to_string()))?;
    let status = child.finish(PARKED)?;
    if !status.success() {
        return Err(Failure::other(format!("the parked coroutines ended badly ({status})")));
    }
    eprintln!("parked {conns} coroutines in {:.0?}, unparked and joined all in {:.0?}", report.start, report.join);
    let row = memory_row(Model::Parked.name(), conns, &report.before, &report.parked);
    Ok(Measured { row, switches: None })
}

/// The part of a row that needs no load: differences per connection, and totals of what is counted.
fn memory_row(label: &str, conns: usize, before: &Memory, after: &Memory) -> Row {
    let each = |before: f64, after: f64| (after - before) / conns as f64;
    Row {
        user_bytes_per_conn: each(before.user, after.user),
        pte_bytes_per_conn: each(before.page_tables, after.page_tables),
        virt_bytes_per_conn: each(before.virt, after.virt),
        kernel_bytes_per_conn: each(before.kernel, after.kernel),
        threads: after.threads,
        mappings: after.mappings,
        ..Row::new(label, conns)
    }
}
