//! What does an HTTP server cost: processor time for each request, memory for each idle client, and a large file?
//!
//! Each server is a process of its own with one worker on one core, and its clients are on another. Asked are:
//!
//! * *plaintext*: requests under `wrk`, by 64 and by 1,000 connections, and by 64 that send 16 requests at a time;
//! * *idle*: private resident memory for each connection that was answered once and says nothing since;
//! * *file*: a large one, again and again, to a client that throws it away.
//!
//! The servers take turns, and begin another one each round; the figures are medians of the rounds, and of the ratios in
//! each round. What counts is the processor time of the server's process for each request, as the kernel counts it
//! (schedstat): the part of the kernel's work that is done for the server in its name is in it, what is done in the name
//! of the client is not. Connecting, for what takes place within a round, is in it, too.
//!
//! What answers: 200, Date, Content-Length and `Content-Type: text/plain` with thirteen bytes from all of them, and
//! `Server: M` from may_minihttp, which cannot be told not to. What each does for it differs:
//!
//! * *dormouse*, `examples/http` as it is: all that RFC 9112 asks of a request is looked at (Host, lengths and codings,
//!   the target, expectations, whether the connection goes on), conditions are gathered, waits for a head, for an idle
//!   client and for one that does not take what it is sent have their limits of time, the end of the server is watched
//!   for, clients and requests are counted.
//! * *hyper* on tokio's current_thread runtime: validates as RFC 9112 asks, and keeps all fields for the handler. No
//!   limits of time, since it was given no timer. Pipelined responses are sent together (`pipeline_flush`).
//! * *may_minihttp*: splits the head into fields, at most 16, and looks at none of them: no Host, no length, no
//!   `Connection: close`. The date is written twice a second by a coroutine. No limits of time.
//! * *Go*'s net/http: validates as RFC 9112 asks, and keeps all fields in a map for the handler. Limits of time only
//!   where they are asked for: none.
//! * *nginx*, for the file: `sendfile on`, one process, no access log. Its limits of time are the usual ones.
//!
//! `cargo bench --bench http -- plaintext --rounds 9 --secs 3` asks what has `plaintext` in its name. With `--test` all
//! but the thousand connections is tried once, for seconds. What is not on this machine (wrk, go, nginx) is skipped, and
//! said to be.

#[path = "http/clients.rs"]
mod clients;
#[allow(dead_code, unreachable_pub, reason = "the example's own entry is not called here")]
#[path = "../examples/http/main.rs"]
mod example;
#[path = "http/file.rs"]
mod file;
#[path = "http/idle.rs"]
mod idle;
#[path = "http/peers.rs"]
mod peers;
#[path = "http/plaintext.rs"]
mod plaintext;
#[allow(dead_code, reason = "what the calibration of c10k needs is not asked for here")]
#[path = "../examples/c10k/process.rs"]
mod process;
#[allow(dead_code, reason = "what c10k tells beyond this is not asked for here")]
#[path = "../examples/c10k/procfs.rs"]
mod procfs;
#[path = "http/rounds.rs"]
mod rounds;
#[path = "http/servers.rs"]
mod servers;
#[path = "http/tools.rs"]
mod tools;

use clap::Parser;

/// What an HTTP server costs, beside others.
#[derive(Parser, Debug)]
struct Options {
    /// Ask only what has this in its name
    name: Option<String>,

    /// Rounds in which all servers take their turns
    #[arg(long, default_value_t = 7)]
    rounds: usize,

    /// Seconds of a turn
    #[arg(long, default_value_t = 2)]
    secs: u64,

    /// Idle connections
    #[arg(long, default_value_t = 10_000)]
    idle: usize,

    /// MiB of the large file
    #[arg(long, default_value_t = 256)]
    file: usize,

    /// Try everything once, for seconds
    #[arg(long)]
    test: bool,

    /// What cargo passes
    #[arg(long, hide = true)]
    bench: bool,

    /// Be a server
    #[arg(long, hide = true)]
    serve: Option<String>,

    /// Whose child the server is
    #[arg(long, hide = true)]
    parent: Option<u32>,

    /// The directory that the server serves
    #[arg(long, hide = true)]
    root: Option<String>,
}

impl Options {
    fn asks(&self, name: &str) -> bool {
        self.name.as_ref().is_none_or(|wanted| name.contains(wanted.as_str()))
    }
}

fn main() {
    let mut options = Options::parse();
    if let Some(name) = &options.serve {
        process::die_with(options.parent.expect("a parent")).expect("this is Linux");
        return peers::serve(name, options.root.as_deref());
    }
    if options.test {
        (options.rounds, options.secs, options.idle, options.file) = (1, 1, 200, 8);
    }
    let _ = process::raise_descriptor_limit();
    plaintext::ask(&options);
    idle::ask(&options);
    file::ask(&options);
}
