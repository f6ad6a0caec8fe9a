//! What came out: the rows, one aligned table of them, and the lines that compare them; or the same rows as JSON.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::failure::Failure;

/// One server's figures, exactly the fields of the JSON output; what does not apply is null.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Row {
    pub(crate) model: String,
    pub(crate) conns: usize,
    pub(crate) active: Option<usize>,
    pub(crate) size: Option<usize>,
    pub(crate) user_bytes_per_conn: f64,
    pub(crate) pte_bytes_per_conn: f64,
    pub(crate) virt_bytes_per_conn: f64,
    pub(crate) kernel_bytes_per_conn: f64,
    pub(crate) threads: u64,
    pub(crate) mappings: u64,
    pub(crate) rps: Option<f64>,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) p999_us: Option<f64>,
    pub(crate) max_us: Option<f64>,
    pub(crate) cpu_ns_per_req: Option<f64>,
    pub(crate) user_ns_per_req: Option<f64>,
    pub(crate) sys_ns_per_req: Option<f64>,
}

/// A row, and what only the table shows.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) row: Row,
    pub(crate) switches: Option<Switches>,
}

/// Context switches of the server for one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Switches {
    pub(crate) voluntary: f64,
    pub(crate) involuntary: f64,
}

/// Name and unit of each column.
const COLUMNS: [(&str, &str); 18] = [
    ("model", ""),
    ("conns", ""),
    ("resident", "B/conn"),
    ("pg.tables", "B/conn"),
    ("virtual", "B/conn"),
    ("kernel", "B/conn"),
    ("threads", "total"),
    ("mappings", "total"),
    ("requests", "/s"),
    ("p50", "us"),
    ("p99", "us"),
    ("p99.9", "us"),
    ("max", "us"),
    ("CPU", "ns/req"),
    ("user", "ns/req"),
    ("system", "ns/req"),
    ("switches", "vol/req"),
    ("switches", "inv/req"),
];

const FOOTNOTE: &str = "\
resident: private resident bytes. Each B/conn is the difference against the same server at zero connections.
kernel: unreclaimable slab + socket inodes (for root only) + kernel stacks + socket buffers of the whole system, less the
client's end: half of what a connection costs that has both ends in one process with epoll. Page tables are not in it.
thread: std's default stack, 2 MiB of address space. CPU: the server's, by schedstat; user and system by sampled shares.";

impl Row {
    pub(crate) fn new(model: &str, conns: usize) -> Self {
        Self { model: model.into(), conns, ..Self::default() }
    }
}

impl Measured {
    fn cells(&self) -> [String; COLUMNS.len()] {
        let row = &self.row;
        let switches = self.switches;
        [
            row.model.clone(),
            grouped(row.conns as f64),
            grouped(row.user_bytes_per_conn),
            grouped(row.pte_bytes_per_conn),
            grouped(row.virt_bytes_per_conn),
            grouped(row.kernel_bytes_per_conn),
            grouped(row.threads as f64),
            grouped(row.mappings as f64),
            optional(row.rps, grouped),
            optional(row.p50_us, grouped),
            optional(row.p99_us, grouped),
            optional(row.p999_us, grouped),
            optional(row.max_us, grouped),
            optional(row.cpu_ns_per_req, grouped),
            optional(row.user_ns_per_req, grouped),
            optional(row.sys_ns_per_req, grouped),
            optional(switches.map(|switches| switches.voluntary), |number| format!("{number:.3}")),
            optional(switches.map(|switches| switches.involuntary), |number| format!("{number:.3}")),
        ]
    }
}

/// The table, its footnote, and what a connection costs beside each baseline.
pub(crate) fn table(rows: &[Measured]) -> String {
    let names = COLUMNS.map(|(name, _)| name.to_owned());
    let units = COLUMNS.map(|(_, unit)| unit.to_owned());
    let lines: Vec<_> = [names, units].into_iter().chain(rows.iter().map(Measured::cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let mut out = String::new();
    for line in &lines {
        let _ = write!(out, "{:<width$}", line[0], width = width(0));
        for (column, cell) in line.iter().enumerate().skip(1) {
            let _ = write!(out, "  {cell:>width$}", width = width(column));
        }
        out.push('\n');
    }
    let _ = writeln!(out, "\n{FOOTNOTE}\n");
    comparisons(rows, &mut out);
    out
}

/// Writes `rows` to `file` as a JSON array.
pub(crate) fn write_json(file: &Path, rows: &[Measured]) -> Result<(), Failure> {
    let rows: Vec<_> = rows.iter().map(|measured| &measured.row).collect();
    let text = serde_json::to_string_pretty(&rows).map_err(|error| Failure::other(error.to_string()))?;
    let written = std::fs::write(file, text + "\n");
    written.map_err(|error| Failure::other(format!("{}: {error}", file.display())))
}

fn comparisons(rows: &[Measured], out: &mut String) {
    let is_baseline = |row: &Row| row.model == "epoll" || row.model == "thread";
    for subject in rows.iter().map(|measured| &measured.row).filter(|row| !is_baseline(row)) {
        let (user, tables) = (subject.user_bytes_per_conn, subject.pte_bytes_per_conn);
        let _ = write!(out, "{}: a connection costs {} B resident", subject.model, grouped(user));
        let _ = write!(out, " + {} B of page tables", grouped(tables));
        if let Some(cpu) = subject.cpu_ns_per_req {
            let _ = write!(out, ", a request {} ns of CPU", grouped(cpu));
        }
        for baseline in rows.iter().map(|measured| &measured.row).filter(|row| is_baseline(row)) {
            beside(subject, baseline, out);
        }
        out.push('\n');
    }
}

fn beside(subject: &Row, baseline: &Row, out: &mut String) {
    let per_conn = |row: &Row| row.user_bytes_per_conn + row.pte_bytes_per_conn + row.kernel_bytes_per_conn;
    let _ = write!(out, "; beside {}: ", baseline.model);
    let _ = write!(out, "{:.2}x the memory with the kernel's", per_conn(subject) / per_conn(baseline));
    if let (Some(own), Some(other)) = (subject.cpu_ns_per_req, baseline.cpu_ns_per_req) {
        let _ = write!(out, ", {:.3}x the CPU", own / other);
    }
    if let (Some(own), Some(other)) = (subject.p99_us, baseline.p99_us) {
        let _ = write!(out, ", {:.2}x the p99", own / other);
    }
}

fn optional(number: Option<f64>, format: impl Fn(f64) -> String) -> String {
    number.map_or_else(|| "-".into(), format)
}

/// A number without decimals, with a comma between thousands.
fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut out = String::from(if number <= -0.5 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
