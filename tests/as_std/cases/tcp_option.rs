//! Options of TCP sockets: what they take, and what they then say.

use super::super::net::{TcpListener, TcpStream};
use super::super::os::linux::net::TcpStreamExt;
use super::tcp::pair;
use crate::record::{Case, Record};
use std::io;
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    ("timeouts", timeouts),
    ("times to live", times_to_live),
    ("delay and acknowledgement", delay_and_acknowledgement),
    ("v6 only", v6_only),
    ("modes and errors", modes_and_errors),
    ("what clones share", what_clones_share),
];

/// What a kernel clock of any speed rounds, and what it cannot hold.
pub(crate) const TIMEOUTS: &[Duration] = &[
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_nanos(999),
    Duration::from_micros(1),
    Duration::from_micros(999),
    Duration::from_micros(1001),
    Duration::from_millis(1),
    Duration::from_millis(3),
    Duration::from_micros(4001),
    Duration::from_millis(10),
    Duration::new(1, 1),
    Duration::new(1, 999_999_999),
    Duration::from_secs(u32::MAX as u64),
    Duration::from_secs(i64::MAX as u64),
    Duration::MAX,
];

fn timeouts(seen: &mut Record) -> io::Result<()> {
    let (stream, _peer) = pair()?;
    for timeout in TIMEOUTS {
        seen.answer(&format!("read {timeout:?}"), stream.set_read_timeout(Some(*timeout)));
        seen.answer("is", stream.read_timeout());
        seen.answer(&format!("write {timeout:?}"), stream.set_write_timeout(Some(*timeout)));
        seen.answer("is", stream.write_timeout());
    }
    seen.answer("no read timeout", stream.set_read_timeout(None));
    seen.answer("is", stream.read_timeout());
    seen.answer("write timeout is as before", stream.write_timeout());
    seen.answer("no write timeout", stream.set_write_timeout(None));
    seen.answer("is", stream.write_timeout());
    Ok(())
}

fn times_to_live(seen: &mut Record) -> io::Result<()> {
    let (stream, _peer) = pair()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let v6 = TcpListener::bind("[::1]:0")?;
    for ttl in [0, 1, 64, 255, 256, u32::MAX >> 1, u32::MAX] {
        seen.answer(&format!("stream {ttl}"), stream.set_ttl(ttl));
        seen.answer("is", stream.ttl());
        seen.answer(&format!("listener {ttl}"), listener.set_ttl(ttl));
        seen.answer("is", listener.ttl());
        seen.answer(&format!("v6 {ttl}"), v6.set_ttl(ttl));
        seen.answer("is", v6.ttl());
    }
    listener.set_ttl(7)?;
    let _stream = TcpStream::connect(listener.local_addr()?)?;
    seen.answer("inherited", listener.accept()?.0.ttl());
    Ok(())
}

#[allow(clippy::incompatible_msrv, reason = "std has `TcpStreamExt` since 1.89, ours is there before")]
fn delay_and_acknowledgement(seen: &mut Record) -> io::Result<()> {
    let (stream, peer) = pair()?;
    seen.answer("nodelay", stream.nodelay());
    for on in [true, true, false] {
        seen.answer("set", stream.set_nodelay(on));
        seen.answer("nodelay", stream.nodelay());
        seen.answer("the peer's", peer.nodelay());
    }
    for on in [false, true] {
        seen.answer("set quickack", stream.set_quickack(on));
        seen.answer("quickack", stream.quickack());
    }
    Ok(())
}

#[allow(deprecated)]
fn v6_only(seen: &mut Record) -> io::Result<()> {
    for addr in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
        let listener = TcpListener::bind(addr)?;
        seen.answer(addr, listener.only_v6());
        seen.answer("set", listener.set_only_v6(true));
        seen.answer("clear", listener.set_only_v6(false));
        seen.answer("is", listener.only_v6());
    }
    Ok(())
}

fn modes_and_errors(seen: &mut Record) -> io::Result<()> {
    let (stream, _peer) = pair()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    for on in [true, true, false, false] {
        seen.answer("stream", stream.set_nonblocking(on));
        seen.answer("listener", listener.set_nonblocking(on));
    }
    seen.answer("error of the stream", stream.take_error());
    seen.answer("error of the listener", listener.take_error());
    Ok(())
}

fn what_clones_share(seen: &mut Record) -> io::Result<()> {
    let (stream, _peer) = pair()?;
    let clone = stream.try_clone()?;
    clone.set_read_timeout(Some(Duration::from_secs(3)))?;
    seen.answer("timeout", stream.read_timeout());
    clone.set_ttl(9)?;
    seen.answer("ttl", stream.ttl());
    clone.set_nonblocking(true)?;
    seen.answer("mode", io::Read::read(&mut &stream, &mut [0; 8]));
    drop(stream);
    seen.answer("and after the other has gone", io::Read::read(&mut &clone, &mut [0; 8]));
    seen.answer("timeout", clone.read_timeout());
    Ok(())
}
