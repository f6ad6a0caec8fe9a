//! A TLS server in plain blocking style: one coroutine per client, and `rustls` as it is over a `TcpStream` of this
//! library.
//!
//! `cargo run --release --example tls` sends back what clients send (`openssl s_client` is one), and with `--https` it
//! answers GET with a page. `--cert` and `--key` name files in PEM; without them it makes a certificate for localhost at
//! its start. `--help` lists the options.
//!
//! What a user would copy from here: a limit of time for each wait for a client (`client`), how a connection is closed
//! so that both ends know that all has come (`client`), and that an end which was not told is no end (`client`).

mod certificate;
mod client;
mod https;
mod options;
#[path = "../serve/mod.rs"]
mod serve;
mod server;

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
