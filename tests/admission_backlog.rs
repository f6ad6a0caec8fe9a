//! The backlog under `OnOverload::Drop`: cut while anybody is held, whole after, whoever comes and leaves; and that the end of a
//! listener is seen, and kept.

mod support;

use dormouse::net::{Admission, OnOverload, TcpListener};
use dormouse::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use dormouse::{spawn, thread};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::sync::Arc;
use support::{bounded, eventually, is_cancelled, run};

/// The length that the backlogs here have.
const WHOLE: u32 = 77;

/// What the kernel calls a socket that ended.
const CLOSED: u8 = 7;

/// A listener that holds whoever accepts.
fn closed_door() -> (Arc<TcpListener>, Admission) {
    let admission = Admission::new().max_live(0).on_overload(OnOverload::Drop);
    let listener = TcpListener::builder().backlog(WHOLE).bind("127.0.0.1:0").unwrap();
    (Arc::new(listener.with_admission(&admission)), admission)
}

fn connect(listener: &TcpListener) -> std::net::TcpStream {
    std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap()
}

fn accept(listener: &Arc<TcpListener>) -> thread::JoinHandle<io::Result<()>> {
    let listener = Arc::clone(listener);
    spawn(move || listener.accept().map(drop))
}

fn cancel(acceptor: thread::JoinHandle<io::Result<()>>) {
    acceptor.cancel();
    assert!(is_cancelled(&acceptor.join()));
}

fn shut_down(listener: &impl AsRawFd) {
    // SAFETY: the descriptor is open.
    assert_eq!(unsafe { libc::shutdown(listener.as_raw_fd(), libc::SHUT_RDWR) }, 0);
}

/// What the kernel knows of a listener.
fn info(listener: &TcpListener) -> libc::tcp_info {
    // SAFETY: an array of integers, for which all zeroes is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    let (fd, place) = (listener.as_raw_fd(), (&raw mut info).cast());
    // SAFETY: writes as many bytes as there are, of an open descriptor.
    let asked = unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, place, &raw mut length) };
    assert_eq!(asked, 0);
    info
}

/// How many connections may wait.
fn backlog(listener: &TcpListener) -> u32 {
    info(listener).tcpi_sacked
}

#[test]
fn a_listener_that_somebody_shut_down_stays_so() {
    bounded(20, || {
        run(|| {
            let (listener, admission) = closed_door();
            let _client = connect(&listener);
            let acceptor = accept(&listener);
            eventually(5, "it is held", || admission.metrics().held == 1);
            assert_eq!(backlog(&listener), 0);
            shut_down(&*listener);
            assert_eq!(acceptor.join().unwrap().unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(info(&listener).tcpi_state, CLOSED);
        });
    });
}

#[test]
fn it_stays_cut_until_the_last_who_is_held_leaves() {
    bounded(20, || {
        run(|| {
            let admission = Admission::new().max_connections(1).on_overload(OnOverload::Drop);
            let listener = TcpListener::builder().backlog(WHOLE).bind("127.0.0.1:0").unwrap();
            let listener = Arc::new(listener.with_admission(&admission));
            let clients = [connect(&listener), connect(&listener)];
            let present = listener.accept().unwrap();
            let held = [accept(&listener), accept(&listener), accept(&listener)];
            eventually(5, "all are held", || admission.metrics().held == 3);
            let [first, second, third] = held;
            cancel(second);
            assert_eq!(backlog(&listener), 0);
            cancel(first);
            assert_eq!(backlog(&listener), 0);
            cancel(third);
            assert_eq!(backlog(&listener), WHOLE);
            drop((present, clients));
        });
    });
}

/// Who was held, and finds that another has taken the connection, waits for the next like anybody.
#[test]
fn it_is_whole_while_they_wait_for_somebody_to_come() {
    bounded(20, || {
        run(|| {
            let admission = Admission::new().max_connections(1).on_overload(OnOverload::Drop);
            let listener = TcpListener::builder().backlog(WHOLE).bind("127.0.0.1:0").unwrap();
            let listener = Arc::new(listener.with_admission(&admission));
            let clients = [connect(&listener), connect(&listener)];
            let present = listener.accept().unwrap();
            let held = [accept(&listener), accept(&listener)];
            eventually(5, "both are held", || admission.metrics().held == 2);
            drop(present);
            eventually(5, "nobody is held", || backlog(&listener) == WHOLE);
            eventually(5, "one has it", || held.iter().filter(|one| one.is_finished()).count() == 1);
            held.iter().for_each(|one| one.cancel());
            drop(clients);
        });
    });
}

#[test]
fn doors_of_one_listener_cut_and_mend_it_together() {
    bounded(20, || {
        run(|| {
            let (listener, admission) = closed_door();
            let _client = connect(&listener);
            let first = accept(&listener);
            eventually(5, "it is held", || admission.metrics().held == 1);
            let other = Admission::new().max_live(0).on_overload(OnOverload::Drop);
            let clone = Arc::new(listener.try_clone().unwrap().with_admission(&other));
            let second = accept(&clone);
            eventually(5, "the other is held", || other.metrics().held == 1);
            cancel(first);
            assert_eq!(backlog(&listener), 0, "the other is held still");
            cancel(second);
            assert_eq!(backlog(&listener), WHOLE);
        });
    });
}

#[test]
fn who_waits_for_a_permit_sees_the_end_of_the_listener() {
    bounded(20, || {
        run(|| {
            for what in [OnOverload::Delay, OnOverload::Drop] {
                let admission = Admission::new().max_connections(0).on_overload(what);
                let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap().with_admission(&admission));
                let _client = connect(&listener);
                let acceptor = accept(&listener);
                let thread = std::thread::spawn({
                    let listener = Arc::clone(&listener);
                    move || listener.accept().map(drop)
                });
                eventually(5, "both are held", || admission.metrics().held == 2);
                shut_down(&*listener);
                eventually(5, "both are told", || acceptor.is_finished() && thread.is_finished());
                for ended in [acceptor.join().unwrap(), thread.join().unwrap()] {
                    assert_eq!(ended.unwrap_err().kind(), ErrorKind::InvalidInput);
                }
                assert_eq!(info(&listener).tcpi_state, CLOSED);
            }
        });
    });
}

#[test]
fn who_waits_for_a_permit_sees_the_end_of_a_unix_listener() {
    bounded(20, || {
        run(|| {
            let addr = SocketAddr::from_abstract_name(format!("admission-end-{}", std::process::id())).unwrap();
            let admission = Admission::new().max_connections(0).on_overload(OnOverload::Delay);
            let listener = Arc::new(UnixListener::bind_addr(&addr).unwrap().with_admission(&admission));
            let _client = UnixStream::connect_addr(&addr).unwrap();
            let acceptor = spawn({
                let listener = Arc::clone(&listener);
                move || listener.accept().map(drop)
            });
            eventually(5, "it is held", || admission.metrics().held == 1);
            shut_down(&*listener);
            eventually(5, "it is told", || acceptor.is_finished());
        });
    });
}
