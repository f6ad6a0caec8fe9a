//! `net::copy` where pipes cannot be had, or only narrow ones: it goes on through a buffer, and splices again when it can.

mod support;

use dormouse::Builder;
use dormouse::net::{self, TcpListener, TcpStream};
use dormouse_runtime::loan::Pipe;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use support::{child, eventually, limit};

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

/// The number that `Debug` shows, which lends nothing.
fn fd_of(stream: &TcpStream) -> i32 {
    let text = format!("{stream:?}");
    text.rsplit("fd: ").next().unwrap().trim_end_matches(" }").parse().unwrap()
}

/// Whether bytes were spliced to it: only for that is it O_NONBLOCK.
fn is_spliced(fd: i32) -> bool {
    // SAFETY: takes no argument.
    unsafe { libc::fcntl(fd, libc::F_GETFL) & libc::O_NONBLOCK != 0 }
}

/// Through a proxy, and whether all arrived.
fn goes_through(client: &TcpStream, server: &TcpStream, count: usize) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut received = vec![0; count];
            (&*server).read_exact(&mut received).unwrap();
            assert!(received.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8));
        });
        let sent: Vec<u8> = (0..count).map(|at| (at % 251) as u8).collect();
        (&*client).write_all(&sent).unwrap();
    });
}

/// A copy from one connection to another; gives the outer ends, and the fd of the one that is copied to.
fn proxy() -> (TcpStream, TcpStream, i32) {
    let ((client, one), (two, server)) = (tcp(), tcp());
    let fd = fd_of(&two);
    dormouse::spawn(move || net::copy(&one, &two));
    (client, server, fd)
}

#[test]
fn a_copy_without_descriptors_goes_on_and_splices_later() {
    let ended = child("a_copy_without_descriptors_goes_on_and_splices_later", 60, || {
        Builder::new()
            .workers(1)
            .run(|| {
                let (client, server, fd) = proxy();
                limit(libc::RLIMIT_NOFILE, 1);
                dormouse::blocking(move || {
                    goes_through(&client, &server, 8 << 20);
                    assert!(!is_spliced(fd), "there is no descriptor");
                    limit(libc::RLIMIT_NOFILE, u64::MAX);
                    goes_through(&client, &server, 32 << 20);
                    assert!(is_spliced(fd), "there are some again");
                });
            })
            .unwrap();
    });
    ended.succeeded();
}

/// Has pipes of this user's be narrow: takes what one user may have of their pages. `None` if there is no limit.
fn take_pages() -> Option<Vec<std::io::PipeReader>> {
    let pages: usize = std::fs::read_to_string("/proc/sys/fs/pipe-user-pages-soft").unwrap().trim().parse().unwrap();
    // SAFETY: take an id. Where they fail the user is none that the limit spares.
    unsafe { libc::setresuid(65534, 65534, 65534) };
    let taken = (0..pages.div_ceil(256)).map(|_| {
        let (reader, writer) = std::io::pipe().unwrap();
        // SAFETY: takes an int. It may fail for the last of them.
        unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20) };
        reader
    });
    (pages > 0).then(|| taken.collect())
}

#[test]
fn narrow_pipes_are_refused_and_a_copy_goes_without() {
    let ended = child("narrow_pipes_are_refused_and_a_copy_goes_without", 60, || {
        Builder::new()
            .workers(1)
            .run(|| {
                let Some(pages) = take_pages() else {
                    return eprintln!("not tested: a user may have any number of pipes");
                };
                // What is left below the limit, if it is no whole pipe of 1 MiB.
                let mut rest = Vec::new();
                let refused = loop {
                    match Pipe::new() {
                        Ok(pipe) => rest.push(pipe),
                        Err(error) => break error,
                    }
                    assert!(rest.len() < 1_000, "pipes are never narrow");
                };
                assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
                let (client, server, fd) = proxy();
                dormouse::blocking(move || {
                    goes_through(&client, &server, 8 << 20);
                    assert!(!is_spliced(fd), "through a pipe of a page or two");
                });
                drop((pages, rest));
                let (client, server, fd) = proxy();
                dormouse::blocking(move || goes_through(&client, &server, 8 << 20));
                eventually(5, "it is spliced", || is_spliced(fd));
            })
            .unwrap();
    });
    ended.succeeded();
}
