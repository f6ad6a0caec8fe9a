//! What every server among the examples shares: its log, its common options, and how it lets clients in and ends.
//!
//! Knows no protocol. Not an example by itself: a server has it by `#[path = "../serve/mod.rs"] mod serve;`, flattens
//! [`Options`] into its own, calls [`run`] with what is to be done for each client, and has [`main`] say what came of it.
//!
//! 1. The end of the runtime is the end of the server: what waits for a client without owing it anything is cancelled,
//!    and what is shielded from that (`cancel::shield`) is waited for.

#![allow(dead_code, unused_imports, reason = "each server uses its own part")]

mod date;
mod high_water;
mod limits;
mod log_limit;
mod logger;
mod options;
mod server;
mod shortage;
mod units;

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use dormouse::signal::{SIGINT, SIGTERM, Signals};

pub(crate) use date::Date;
pub(crate) use high_water::HighWater;
pub(crate) use limits::{part, within};
pub(crate) use log_limit::LogLimit;
pub(crate) use options::Options;
pub(crate) use server::{Totals, run};
pub(crate) use units::{bytes, bytes_in, seconds, stack_from};

/// The whole program: has `serve` serve, and says on standard output where, and at the end what it did. Each single
/// thing that a client does is logged, at level `debug`, only if `is_verbose`.
pub(crate) fn main<S: Display>(is_verbose: bool, serve: impl FnOnce(fn(SocketAddr)) -> io::Result<S>) -> ExitCode {
    logger::install(is_verbose);
    match serve(|address| println!("listening on {address}")) {
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

/// What waits for Ctrl-C, or the polite request to end: for [`run`]. The second of these ends the process at once.
///
/// They are caught from now on, so that the server may say that it is there to be ended.
pub(crate) fn until_asked() -> io::Result<impl FnOnce() -> io::Result<()>> {
    let signals = Signals::new(&[SIGINT, SIGTERM])?;
    Ok(move || {
        signals.wait()?;
        std::thread::spawn(move || signals.wait().map(|signal| std::process::exit(128 + signal)));
        Ok(())
    })
}
