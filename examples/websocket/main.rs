//! A WebSocket server in plain blocking style: `tungstenite` over a `TcpStream` of this library, a coroutine for each
//! direction of each client.
//!
//! `cargo run --release --example websocket`, and a browser at the address that it says: the page there tries both
//! endpoints. `/echo` sends back what comes, `/chat/ROOM` tells it to everybody in the room. `--help` lists the options.
//!
//! What a user would copy from here: how a client is read from and written to at once, though `tungstenite` has one
//! object for both (`session`); a queue that is bounded, and what becomes of those who read too slowly (`outbox`); who is
//! silent is asked whether he is there (`session`); and how everybody is told of the server's end (`session`).

mod client;
mod frames;
mod head;
mod options;
mod outbox;
mod rooms;
#[path = "../serve/mod.rs"]
mod serve;
mod server;
mod session;
mod writer;

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
