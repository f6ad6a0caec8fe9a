//! The servers c10k starts as a child process: one module a model. Every one of them prints `listening on ADDR` once it
//! accepts and serves until it is killed.

mod coroutine;
mod floor;
pub(crate) mod parked;
mod thread;

use std::io::{self, Write};
use std::net::SocketAddr;

use crate::failure::Failure;
use crate::options::{Model, Options};
use crate::process;

/// What the client's end waits for before it connects.
pub(crate) const GREETING: &str = "listening on ";

/// Is the child process: serves with `model` for as long as the parent lives.
pub(crate) fn serve(model: Model, options: &Options) -> Result<(), Failure> {
    if let Some(parent) = options.parent {
        process::die_with(parent)?;
    }
    process::raise_descriptor_limit()?;
    match model {
        Model::Coroutine => coroutine::serve(options)?,
        Model::Thread => thread::serve()?,
        Model::Epoll => floor::serve()?,
        Model::Parked => parked::serve(options)?,
        Model::None => {}
    }
    Ok(())
}

fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{GREETING}{address}")?;
    stdout.flush()
}
