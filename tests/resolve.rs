//! Host names: whoever looks one up parks, and its worker goes on; answers and errors are std's.
//!
//! This binary has a `getaddrinfo` of its own, which std's lookups find in place of libc's: names below `.test` are
//! answered here, slowly if that is what the test is about, and all others by libc.

mod support;

use dormouse::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, lookup_host};
use dormouse::thread::{self, yield_now};
use dormouse::{Builder, spawn, spawn_local};
use std::ffi::{CStr, c_char, c_int};
use std::io::{Error, ErrorKind};
use std::net::{self, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use support::run;
use support::*;

/// Names of slow hosts that are being looked up or may be answered.
static GATES: Mutex<Vec<(String, Gate)>> = Mutex::new(Vec::new());
static CHANGED: Condvar = Condvar::new();
/// Lookups of any name below `.test`.
static LOOKUPS: AtomicUsize = AtomicUsize::new(0);

#[derive(PartialEq)]
enum Gate {
    Waiting,
    Open,
}

type GetAddrInfo =
    unsafe extern "C" fn(*const c_char, *const c_char, *const libc::addrinfo, *mut *mut libc::addrinfo) -> c_int;

/// In place of libc's: `slow-*.test` waits for its gate and then is 127.0.0.1, `quick.test` is it at once, other names
/// below `.test` do not exist.
///
/// # Safety
///
/// As getaddrinfo(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    answer: *mut *mut libc::addrinfo,
) -> c_int {
    // SAFETY: the name is a C string.
    let symbol = unsafe { libc::dlsym(libc::RTLD_NEXT, c"getaddrinfo".as_ptr()) };
    // SAFETY: libc's function has this type.
    let real: GetAddrInfo = unsafe { std::mem::transmute(symbol) };
    // SAFETY: std always passes a name.
    let name = unsafe { CStr::from_ptr(node) }.to_str().unwrap_or_default().to_owned();
    if !name.ends_with(".test") {
        // SAFETY: the caller's own arguments.
        return unsafe { real(node, service, hints, answer) };
    }
    LOOKUPS.fetch_add(1, SeqCst);
    if name.starts_with("slow-") {
        if !wait_for_gate(&name) {
            return libc::EAI_AGAIN;
        }
    } else if name != "quick.test" {
        return libc::EAI_NONAME;
    }
    // SAFETY: as above, with another name.
    unsafe { real(c"127.0.0.1".as_ptr(), service, hints, answer) }
}

/// `false` if nobody opens it.
fn wait_for_gate(name: &str) -> bool {
    let mut gates = GATES.lock().unwrap();
    gates.push((name.to_owned(), Gate::Waiting));
    CHANGED.notify_all();
    let is_open =
        |gates: &mut Vec<(String, Gate)>| gates.iter().any(|(open, gate)| open == name && *gate == Gate::Open);
    let (_gates, timeout) =
        CHANGED.wait_timeout_while(gates, Duration::from_secs(10), |gates| !is_open(gates)).unwrap();
    !timeout.timed_out()
}

fn open(name: &str) {
    GATES.lock().unwrap().push((name.to_owned(), Gate::Open));
    CHANGED.notify_all();
}

/// Lets other coroutines run until `name` is being looked up.
fn until_asked(name: &str) {
    let asked = || GATES.lock().unwrap().iter().any(|(waiting, gate)| waiting == name && *gate == Gate::Waiting);
    eventually(10, "the lookup begins", asked);
}

fn all<A: ToSocketAddrs>(name: A) -> Result<Vec<SocketAddr>, (ErrorKind, String)> {
    name.to_socket_addrs().map(Iterator::collect).map_err(described)
}

fn all_of_std<A: net::ToSocketAddrs>(name: A) -> Result<Vec<SocketAddr>, (ErrorKind, String)> {
    name.to_socket_addrs().map(Iterator::collect).map_err(described)
}

fn described(error: Error) -> (ErrorKind, String) {
    (error.kind(), error.to_string())
}

/// The answer is std's, and so is the type of the iterator.
#[track_caller]
fn check<A>(value: A)
where
    A: ToSocketAddrs + net::ToSocketAddrs<Iter = <A as ToSocketAddrs>::Iter>,
{
    assert_eq!(all(&value), all_of_std(&value));
}

/// Runs it on a plain thread and in a coroutine.
fn both(f: fn()) {
    bounded(20, f);
    bounded(20, move || run(f));
}

#[test]
fn every_type_answers_as_it_does_in_std() {
    both(|| {
        let (v4, v6) = (Ipv4Addr::new(192, 0, 2, 1), Ipv6Addr::LOCALHOST);
        let socket_v6 = SocketAddrV6::new(v6, 4, 5, 6);
        let several = [SocketAddr::from((v4, 1)), SocketAddr::from((v6, 2))];
        macro_rules! same {
            ($($value:expr),* $(,)?) => { $(check($value);)* };
        }
        same!(several[0], SocketAddrV4::new(v4, 3), socket_v6, SocketAddr::V6(socket_v6), &&several[1]);
        same!((IpAddr::V4(v4), 7), (IpAddr::V6(v6), 7), (v4, 8), (v6, 9), &several[..], &&several[..]);
        same!(("192.0.2.1", 1), ("::1", 2), ("192.0.2.1".to_owned(), 1), "192.0.2.1:3", "[::1]:4", "[fe80::1%3]:4");
        same!("192.0.2.1:5".to_owned(), &"[::1]:4".to_owned(), ("quick.test", 6), "quick.test:7", "quick.test:+7");
        same!(("missing.test", 1), "missing.test:2", "missing.test:2".to_owned(), ("missing.test".to_owned(), 1));
        same!("", ":", "127.0.0.1", "quick.test:", "quick.test:x", "quick.test:70000", "::1:80", "quick.test", ":9");
        same!("nul\0byte.test:1", ("nul\0byte", 1), ("192.0.2.1:5", 6));
    });
}

#[test]
fn localhost_is_this_host() {
    both(|| {
        let addrs: Vec<SocketAddr> = lookup_host("localhost:80").unwrap().collect();
        assert!(!addrs.is_empty() && addrs.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 80));
        let listener = TcpListener::bind(("localhost", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = TcpStream::connect(format!("localhost:{port}")).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    });
}

/// Without a resolver that answers, libc gives up in the time that its environment allows.
#[test]
fn a_name_that_does_not_exist_is_an_error() {
    const CHILD: &str = "DORMOUSE_TEST_NO_SUCH_NAME";
    if std::env::var_os(CHILD).is_none() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_name_that_does_not_exist_is_an_error"])
            .envs([(CHILD, "1"), ("RES_OPTIONS", "timeout:1 attempts:1"), ("LOCALDOMAIN", "")])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut status = None;
        eventually(40, "the lookups end", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        assert!(status.unwrap().success());
        return;
    }
    both(|| {
        let error = TcpStream::connect(("no-such-host.invalid", 80)).unwrap_err();
        assert!(error.to_string().contains("failed to lookup address information"), "{error}");
    });
}

#[test]
fn the_worker_goes_on_during_a_lookup() {
    bounded(20, || {
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let connects = spawn_local(move || TcpStream::connect(format!("slow-connect.test:{port}")).unwrap());
            until_asked("slow-connect.test");
            (0..1000).for_each(|_| yield_now());
            assert!(!connects.is_finished());
            open("slow-connect.test");
            let (_server, peer) = listener.accept().unwrap();
            assert_eq!(peer, connects.join().unwrap().local_addr().unwrap());
        });
    });
}

#[test]
fn a_name_with_several_addresses_is_tried_in_turn() {
    both(|| {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        let dead = closed.local_addr().unwrap();
        drop(closed);
        let refused = TcpStream::connect(("quick.test", dead.port())).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(TcpListener::bind("quick.test:0").unwrap().local_addr().unwrap().ip(), Ipv4Addr::LOCALHOST);
    });
}

#[test]
fn a_cancelled_lookup_ends_at_once() {
    bounded(20, || {
        run(|| {
            let looks_up = spawn_local(|| TcpStream::connect("slow-cancelled.test:80"));
            until_asked("slow-cancelled.test");
            looks_up.cancel();
            assert!(is_cancelled(&looks_up.join().map(|_| ())));
            open("slow-cancelled.test");
        });
    });
}

#[test]
fn a_runtime_ends_while_a_lookup_goes_on() {
    bounded(20, || {
        let start = Instant::now();
        run(|| {
            spawn(|| lookup_host("slow-shutdown.test:80").map(|_| ()));
            until_asked("slow-shutdown.test");
        });
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        open("slow-shutdown.test");
    });
}

#[test]
fn numeric_addresses_and_malformed_ones_never_park() {
    bounded(20, || {
        run(|| {
            thread::no_park(|| {
                assert!(all("127.0.0.1:1").is_ok() && all(("::1", 2)).is_ok());
                assert!(all("quick.test").is_err() && all("quick.test:x").is_err());
                assert!(std::panic::catch_unwind(|| all("quick.test:1")).is_err());
            });
        });
    });
}

#[test]
fn a_thousand_lookups_at_a_time() {
    bounded(60, || {
        Builder::new()
            .workers(2)
            .run(|| {
                let done = Arc::new(AtomicUsize::new(0));
                let handles: Vec<_> = (0..1000u16)
                    .map(|port| {
                        let done = Arc::clone(&done);
                        spawn(move || {
                            let name = if port % 2 == 0 { "slow-thousand.test" } else { "quick.test" };
                            let addrs = all((name, port)).unwrap();
                            assert_eq!(addrs, [SocketAddr::from(([127, 0, 0, 1], port))]);
                            done.fetch_add(1, SeqCst);
                        })
                    })
                    .collect();
                // 500 of them are stuck, and there are threads left for the others.
                eventually(30, "the quick ones are done", || done.load(SeqCst) == 500);
                open("slow-thousand.test");
                handles.into_iter().for_each(|handle| handle.join().unwrap());
            })
            .unwrap();
        assert!(LOOKUPS.load(SeqCst) >= 1000, "std asks the function of this binary");
    });
}
