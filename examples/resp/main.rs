//! A server of Redis' protocol in plain blocking style: one coroutine per client, and all data in memory.
//!
//! `cargo run --release --example resp` serves on 127.0.0.1:6379; `redis-cli`, `redis-benchmark` and client libraries
//! work with it. `--help` lists the options. What it says, it says as Redis 7.0 does, errors included; it has strings,
//! hashes, lists, sets, expiry, channels and transactions, and nothing that is kept on disk.
//!
//! What a user would copy from here: how a message is understood where it lies, whatever pieces it comes in (`parser`,
//! `input`); how all that came at a time is answered with one write (`connection`); how clients wait in line for
//! something, and for their peer, at the same time (`lines`, `ahead`); how one client sends to others without ever
//! waiting for one of them (`outbox`).

mod ahead;
mod args;
mod call;
mod client;
mod command;
mod commands;
mod config;
mod connection;
mod database;
mod failure;
mod glob;
mod hub;
mod input;
mod line;
mod lines;
mod number;
mod options;
mod outbox;
mod parser;
mod random;
mod reply;
#[path = "../serve/mod.rs"]
mod serve;
mod server;
mod session;
mod store;
mod table;
mod value;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;

pub(crate) use options::Options;
pub(crate) use server::{Summary, run};

fn main() -> ExitCode {
    let options = Options::parse();
    serve::main(options.verbose, |ready| until_asked(&options, ready))
}

/// Serves until Ctrl-C, or the polite request to end.
pub(crate) fn until_asked(options: &Options, ready: impl FnOnce(SocketAddr)) -> io::Result<Summary> {
    run(options, ready, serve::until_asked()?)
}
