//! An HTTP/1.1 server in plain blocking style: one coroutine per client, and `httparse` for the syntax of a head.
//!
//! `cargo run --release --example http -- --root some/directory` serves the files there, at `/` a line of text, and at
//! `/echo` whatever comes, with any method. `--help` lists the options.
//!
//! What a user would copy from here: how a client that sends nothing costs next to nothing (`wire`), how a request is
//! not cut short when the server is asked to end (`connection`, `serve`), how each wait for a client has a limit (`wire`,
//! `connection`), and where one message ends and the next begins (`request`, `framing`, `chunks`), as RFC 9112 says;
//! what may be said in two ways is refused.

mod body;
mod chunks;
mod conditions;
mod connection;
mod echo;
mod exchange;
mod files;
mod framing;
mod front;
mod media;
mod options;
mod plain;
mod range;
mod request;
#[path = "../serve/mod.rs"]
mod serve;
mod server;
mod status;
mod target;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;

pub(crate) use options::Options;
pub(crate) use server::{Summary, run};

fn main() -> ExitCode {
    let options = Options::parse();
    serve::main(options.log_requests, |ready| until_asked(&options, ready))
}

/// Serves until Ctrl-C, or the polite request to end.
pub(crate) fn until_asked(options: &Options, ready: impl FnOnce(SocketAddr)) -> io::Result<Summary> {
    run(options, ready, serve::until_asked()?)
}
