//! Files that are sent, and bytes that go from one connection to another: what there is no other way for is told.

use crate::pages::*;
use crate::tcp::pair;
use crate::walk::As::Coroutine;
use crate::walk::Seen::{Nothing, Told, Waited, WaitedOut};
use crate::walk::{Row, Seen, Strike};
use dormouse::net;
use dormouse::os::unix::net::UnixStream;
use libc::*;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

/// Sends a whole file, and looks at what has come at the end.
fn sends(strike: &Strike, file: &File, is_lent: bool) -> io::Result<()> {
    let expected = std::fs::read(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file)))?;
    let (ours, mut peer) = pair(strike)?;
    let _lent = is_lent.then(|| ours.as_fd());
    let mut sent = 0;
    strike.on(|| {
        ours.send_file_counted(file, 0, u64::MAX, &mut sent)?;
        assert_eq!(sent, expected.len() as u64);
        Ok(())
    });
    drop(ours);
    let mut received = Vec::new();
    peer.read_to_end(&mut received)?;
    assert_eq!(received, expected[..sent as usize], "once, whatever failed before");
    Ok(())
}

/// A file of seven sevens.
fn file() -> io::Result<File> {
    let mut file = tempfile()?;
    file.write_all(&[7; 7])?;
    Ok(file)
}

fn tempfile() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("dormouse-faults-transfers-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

fn sends_a_file(strike: &Strike) -> io::Result<()> {
    sends(strike, &file()?, false)
}

/// By way of a buffer, since others know the stream.
fn sends_a_file_read(strike: &Strike) -> io::Result<()> {
    sends(strike, &file()?, true)
}

/// One that cannot be asked whether it is in memory.
fn sends_a_file_of_proc(strike: &Strike) -> io::Result<()> {
    sends(strike, &File::open("/proc/self/cmdline")?, false)
}

/// From a connection that has ended: more than goes through a buffer at a time.
fn copies(strike: &Strike) -> io::Result<()> {
    let (mut client, from) = UnixStream::pair()?;
    let (to, mut peer) = pair(strike)?;
    client.write_all(&[7; 100_000])?;
    drop(client);
    strike.on(|| net::copy(&from, &to).map(drop));
    drop(to);
    let mut received = Vec::new();
    peer.read_to_end(&mut received)?;
    assert!(received.len() <= 100_000 && received.iter().all(|byte| *byte == 7));
    Ok(())
}

/// As [`copies`]; nothing is missing.
fn copies_all(strike: &Strike) -> io::Result<()> {
    let (mut client, from) = UnixStream::pair()?;
    let (to, mut peer) = pair(strike)?;
    client.write_all(&[7; 100_000])?;
    drop(client);
    let mut count = 0;
    strike.on(|| net::copy_counted(&from, &to, &mut count));
    drop(to);
    let mut received = Vec::new();
    peer.read_to_end(&mut received)?;
    assert_eq!((count, received.len()), (100_000, 100_000));
    Ok(())
}

/// What sendfile(2) and splice(2) say where they will not: the bytes go through a buffer.
const REFUSALS: (&[i32], Seen) = (&[EINVAL, ENOSYS, EOVERFLOW, EPERM], Nothing);

pub(crate) const ROWS: &[Row] = &[
    Row::new("sendfile64", SENDFILE, sends_a_file).but(&[REFUSALS, (&[EAGAIN], Waited)]),
    Row::new("sendfile64", &[EAGAIN], sends_a_file)
        .but(&[(&[EAGAIN], WaitedOut(ErrorKind::WouldBlock))])
        .only(Coroutine),
    Row::new("pread64", PREAD, sends_a_file_read),
    Row::new("fstat64", FSTAT, sends_a_file).only(Coroutine).seen(Nothing),
    Row::new("fstatfs", FSTATFS, sends_a_file_of_proc).only(Coroutine).seen(Nothing).but(&[(&[EINTR], Nothing)]),
    Row::new("splice", SPLICE, copies).seen(Told).but(&[REFUSALS]),
    Row::new("splice", &[EINVAL, ENOSYS, EPERM], copies_all).seen(Nothing),
    Row::new("pipe2", PIPE, copies_all).seen(Nothing),
];
