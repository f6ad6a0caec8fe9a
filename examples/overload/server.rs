//! The servers: what a user of dormouse would write, one coroutine per client.

use std::io::{self, Read, Write};
use std::time::Duration;

use dormouse::net::{Admission, MinRate, OnOverload, TcpListener, TcpStream};
use dormouse::{Builder, spawn, thread};
use socket2::SockRef;

use crate::floor;
use crate::options::{Kind, Options, Policy};
use crate::process;
use crate::work::work;

/// What the server says first, before its address.
pub(crate) const GREETING: &str = "listening on ";

/// Bytes of a request, and of its answer.
pub(crate) const MESSAGE: usize = 64;

/// The slowest client of the impatient server: 20 bytes a second, looked at every two seconds.
const RATE: MinRate = MinRate::bytes_per_second(20);

pub(crate) fn serve(kind: Kind, options: &Options) -> io::Result<()> {
    process::raise_descriptor_limit()?;
    if let Some(parent) = options.parent {
        process::die_with(parent)?;
    }
    match kind {
        Kind::Floor => floor::serve(&greeted()?),
        Kind::Sink => sink(&greeted()?),
        _ => serve_with_coroutines(kind, options),
    }
}

/// A listener of std, of which the parent knows.
fn greeted() -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    // As dormouse's, and not the short one of std: the slow come all at once.
    SockRef::from(&listener).listen(4096)?;
    println!("{GREETING}{}", listener.local_addr()?);
    Ok(listener)
}

/// Keeps what comes.
fn sink(listener: &std::net::TcpListener) -> io::Result<()> {
    let mut kept = Vec::new();
    loop {
        kept.push(listener.accept()?);
    }
}

fn serve_with_coroutines(kind: Kind, options: &Options) -> io::Result<()> {
    let (rounds, pieces) = (options.work_rounds, options.pieces.max(1));
    Builder::new().workers(1).run(|| {
        let listener = listener(kind, options)?;
        println!("{GREETING}{}", listener.local_addr()?);
        loop {
            // Without descriptors left, accept itself pauses.
            let Ok((client, _)) = listener.accept() else {
                continue;
            };
            drop(match kind {
                Kind::Everybody | Kind::Admission => spawn(move || answer(client, rounds, pieces)),
                Kind::Floor | Kind::Sink => unreachable!("served without coroutines"),
                Kind::Patient => spawn(move || echo(client)),
                Kind::Impatient => spawn(move || {
                    client.set_min_read_rate(Some(RATE.over(Duration::from_secs(2))));
                    echo(client)
                }),
            });
        }
    })?
}

fn listener(kind: Kind, options: &Options) -> io::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    if kind != Kind::Admission {
        return Ok(listener);
    }
    let smoothing = Duration::from_micros(options.smoothing);
    let admission = Admission::new().max_ready(options.max_ready).smoothing(smoothing);
    let admission = admission.on_overload(match options.policy {
        Policy::Refuse => OnOverload::Refuse,
        Policy::Delay => OnOverload::Delay,
        Policy::Drop => OnOverload::Drop,
    });
    Ok(listener.with_admission(&admission))
}

/// One request, the work for it, one answer.
fn answer(mut client: TcpStream, rounds: u64, pieces: u32) -> io::Result<()> {
    let mut message = [0; MESSAGE];
    client.read_exact(&mut message)?;
    for _ in 0..pieces {
        work(rounds / u64::from(pieces));
        thread::yield_now();
    }
    client.write_all(&message)?;
    // The client closes first.
    client.read(&mut message).map(drop)
}

fn echo(mut client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut message = [0; MESSAGE];
    loop {
        client.read_exact(&mut message)?;
        client.write_all(&message)?;
    }
}
