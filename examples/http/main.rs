//! An HTTP/1.1 server in plain blocking style: one coroutine per client, and `httparse` for the syntax of a head.
//!
//! `cargo run --release --example http -- --root some/directory` serves the files there, at `/` a line of text, and at
//! `/echo` whatever comes, with any method. `--help` lists the options.
//!
//! What a user would copy from here: how a client that sends nothing costs next to nothing (`wire`), how a request is
//! not cut short when the server is asked to end (`connection`), how each wait for a client has a limit (`wire`,
//! `connection`), and where one message ends and the next begins (`request`, `framing`, `chunks`), as RFC 9112 says;
//! what may be said in two ways is refused.

mod body;
mod chunks;
mod conditions;
mod connection;
mod date;
mod echo;
mod exchange;
mod files;
mod framing;
mod logger;
mod media;
mod options;
mod plain;
mod range;
mod request;
mod server;
mod status;
mod target;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;

use clap::Parser;
use dormouse::signal::{SIGINT, SIGTERM, Signals};

pub(crate) use options::Options;
pub(crate) use server::{Summary, run};

fn main() -> ExitCode {
    let options = Options::parse();
    logger::install(options.log_requests);
    match serve(&options, |address| println!("listening on {address}")) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until Ctrl-C, or the polite request to end.
pub(crate) fn serve(options: &Options, ready: impl FnOnce(SocketAddr)) -> io::Result<Summary> {
    // Before anybody is told that there is a server to be ended.
    let signals = Signals::new(&[SIGINT, SIGTERM])?;
    run(options, ready, || asked_to_end(signals))
}

/// Waits for the first signal. The second ends the process at once.
fn asked_to_end(signals: Signals) -> io::Result<()> {
    signals.wait()?;
    thread::spawn(move || signals.wait().map(|signal| std::process::exit(128 + signal)));
    Ok(())
}
