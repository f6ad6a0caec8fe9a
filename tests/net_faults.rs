//! Faults that the network and the system bring about by themselves, on TCP: signals, slow readers, resets, refusals,
//! clones and sent descriptors that close. From coroutines, from plain threads, and mixed. Faults that have to be
//! brought about are in `net_faults_injected`.
mod unix_ancillary_support;

use dormouse::net::{Shutdown, TcpListener, TcpStream};
use dormouse::os::unix::net::UnixStream;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use unix_ancillary_support::*;

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = listener();
    let client = TcpStream::connect(addr).unwrap();
    (listener.accept().unwrap().0, client)
}

/// Takes as little at a time, to be sent, as the kernel allows.
fn narrow(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_send_buffer_size(1).unwrap();
}

/// Closes with a reset instead of a FIN.
fn reset(stream: TcpStream) {
    stream.set_linger(Some(Duration::ZERO)).unwrap();
}

/// The signals that were handled.
static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// Sends signals to all other threads of this process, without end, that interrupt the system calls they are in.
struct SignalStorm {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl SignalStorm {
    fn start() -> SignalStorm {
        // SAFETY: a zeroed sigaction is valid; without SA_RESTART. The handler does what a handler may.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = count as extern "C" fn(libc::c_int) as usize;
            assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()), 0);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                signal_others();
                // Time to get somewhere: a relative sleep, std's, stands still under signals without a pause.
                std::thread::sleep(Duration::from_micros(20));
            }
        });
        SignalStorm { stop, thread: Some(thread) }
    }
}

impl Drop for SignalStorm {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn signal_others() {
    let (pid, own) = (std::process::id() as libc::pid_t, gettid());
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let tid: libc::pid_t = task.file_name().to_str().unwrap().parse().unwrap();
        if tid != own {
            // SAFETY: takes integers; a thread that has ended is an error that does not matter.
            unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, libc::SIGUSR1) };
        }
    }
}

#[test]
fn signals_interrupt_nothing() {
    const NAME: &str = "signals_interrupt_nothing";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    in_three_settings(|setting| {
        let before = HANDLED.load(Ordering::Relaxed);
        let _storm = SignalStorm::start();
        wait_until(|| HANDLED.load(Ordering::Relaxed) > before + 10);
        let (listener, addr) = listener();
        let server = setting.server(move || {
            for seed in 0..20 {
                let (mut stream, _) = listener.accept().unwrap();
                receive_pattern(&stream, seed, 200_000, 7_000);
                send_pattern(&stream, seed + 100, 200_000, 60_000);
                stream.shutdown(Shutdown::Write).unwrap();
                assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            }
        });
        let client = setting.client(move || {
            for seed in 0..20 {
                let stream = match seed % 2 {
                    0 => TcpStream::connect(addr).unwrap(),
                    _ => TcpStream::connect_timeout(&addr, LIMIT).unwrap(),
                };
                narrow(&stream);
                send_pattern(&stream, seed, 200_000, 50_000);
                stream.peek(&mut [0; 10]).unwrap();
                receive_pattern(&stream, seed + 100, 200_000, 9_000);
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                assert_eq!((&stream).read(&mut [0]).unwrap(), 0);
            }
        });
        server.join();
        client.join();
        let (one, _other) = pair();
        one.set_read_timeout(Some(ms(40))).unwrap();
        let waiting = setting.server(move || expires(ms(40), || (&one).read(&mut [0])));
        waiting.join();
        assert!(HANDLED.load(Ordering::Relaxed) > before + 200, "hardly a storm");
    });
}

#[test]
fn a_slow_reader_gets_every_byte_of_a_write_that_is_cut_short_again_and_again() {
    in_three_settings(|setting| {
        const LENGTH: usize = 1_000_000;
        let (ours, theirs) = pair();
        narrow(&ours);
        let data = pattern_bytes(3, 0, LENGTH);
        ours.set_nonblocking(true).unwrap();
        let sent = (&ours).write(&data).unwrap();
        assert!(sent < LENGTH, "nothing is cut short");
        ours.set_nonblocking(false).unwrap();
        let writer = setting.client(move || {
            (&ours).write_all(&data[sent..]).unwrap();
            let mut at = 0;
            while at < LENGTH {
                let pieces = data[at..].chunks(1000).take(50).map(IoSlice::new).collect::<Vec<_>>();
                at += (&ours).write_vectored(&pieces).unwrap();
            }
        });
        let reader = setting.server(move || {
            receive_pattern(&theirs, 3, LENGTH, 97);
            receive_pattern(&theirs, 3, LENGTH, 1311);
            assert_eq!((&theirs).read(&mut [0]).unwrap(), 0);
        });
        writer.join();
        reader.join();
    });
}

/// The test harness ignores SIGPIPE; programs need not.
#[test]
fn a_reset_ends_reads_and_writes_without_a_signal() {
    const NAME: &str = "a_reset_ends_reads_and_writes_without_a_signal";
    if !is_kid(NAME) {
        return Kid::start(NAME).finish();
    }
    // SAFETY: restores the default action.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    in_three_settings(|setting| {
        let (ours, theirs) = pair();
        let reader = setting.server(move || {
            let mut ours = &ours;
            ours.read_exact(&mut [0; 3]).unwrap();
            let mid_read = ours.read_exact(&mut [0; 3]).unwrap_err().kind();
            (mid_read, ours.read(&mut [0]).unwrap(), ours.write(b"x").unwrap_err().kind())
        });
        let peer = setting.client(move || {
            (&theirs).write_all(b"abc").unwrap();
            reset(theirs);
        });
        peer.join();
        assert_eq!(reader.join(), (ErrorKind::ConnectionReset, 0, ErrorKind::BrokenPipe));

        let (ours, theirs) = pair();
        let writer = setting.server(move || {
            let mut ours = &ours;
            let mid_write = ours.write_all(&vec![0; 16 << 20]).unwrap_err().kind();
            (mid_write, ours.write(b"x").unwrap_err().kind(), ours.write_vectored(&[IoSlice::new(b"x")]).unwrap_err())
        });
        let peer = setting.client(move || {
            (&theirs).read_exact(&mut vec![0; 100_000]).unwrap();
            reset(theirs);
        });
        peer.join();
        let (mid_write, next, vectored) = writer.join();
        assert_eq!((mid_write, next), (ErrorKind::ConnectionReset, ErrorKind::BrokenPipe));
        assert_eq!(vectored.kind(), ErrorKind::BrokenPipe);
    });
}

/// A peer that is gone before it is accepted: Linux hands the connection out, and it says so itself.
#[test]
fn a_connection_that_was_reset_in_the_queue_harms_nobody_else() {
    in_three_settings(|setting| {
        let (listener, addr) = listener();
        reset(TcpStream::connect(addr).unwrap());
        let server = setting.server(move || {
            let (first, _) = listener.accept().unwrap();
            assert_eq!((&first).read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
            assert_eq!(first.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
            let (mut second, _) = listener.accept().unwrap();
            second.write_all(b"welcome").unwrap();
        });
        let client = setting.client(move || {
            let mut word = String::new();
            TcpStream::connect(addr).unwrap().read_to_string(&mut word).unwrap();
            word
        });
        server.join();
        assert_eq!(client.join(), "welcome");
    });
}

#[test]
fn a_connect_fails_as_std_s_does() {
    in_three_settings(|setting| {
        let body = || {
            let refusing = listener().1;
            // Refused; unreachable, since nobody can be at the broadcast address of the loopback network; no address.
            let ports = [refusing, SocketAddr::from(([127, 255, 255, 255], refusing.port()))];
            for addr in ports {
                same_error(TcpStream::connect(addr), std::net::TcpStream::connect(addr));
                let (ours, std) = (TcpStream::connect_timeout(&addr, LIMIT), std::net::TcpStream::connect_timeout);
                same_error(ours, std(&addr, LIMIT));
            }
            assert_eq!(TcpStream::connect(ports[0]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
            assert_eq!(TcpStream::connect(ports[1]).unwrap_err().kind(), ErrorKind::NetworkUnreachable);
            same_error(TcpStream::connect(&[][..]), std::net::TcpStream::connect(&[][..]));
            same_error(TcpListener::bind("127.0.0.1"), std::net::TcpListener::bind("127.0.0.1"));
            let (taken, addr) = listener();
            same_error(TcpListener::bind(addr), std::net::TcpListener::bind(addr));
            drop(taken);
        };
        setting.server(body).join();
        setting.client(body).join();
    });
}

#[test]
fn a_connect_that_nobody_answers_times_out() {
    in_three_settings(|setting| {
        let deaf = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        deaf.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        deaf.listen(0).unwrap();
        let addr = deaf.local_addr().unwrap().as_socket().unwrap();
        let _queue: Vec<_> = (0..4).map(|_| TcpStream::connect_timeout(&addr, ms(1))).collect();
        let body = move || {
            let start = std::time::Instant::now();
            let error = TcpStream::connect_timeout(&addr, ms(30)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!((ms(30)..ms(30) + SLACK).contains(&start.elapsed()), "{:?}", start.elapsed());
        };
        let (one, other) = (setting.server(body), setting.client(body));
        one.join();
        other.join();
    });
}

/// Gives a second handle to whoever waits, closes ours, and lets the peer speak.
fn close_one_of_two(setting: Setting, second: impl Fn(&TcpStream) -> TcpStream) {
    let (mut ours, mut peer) = pair();
    for round in 0..50 {
        let other = second(&ours);
        // Both have been waited on, so that both are known to pollers.
        let warm = setting.server(move || {
            ours.set_read_timeout(Some(Duration::from_micros(100))).unwrap();
            assert_eq!((&ours).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            ours.set_read_timeout(None).unwrap();
            ours
        });
        ours = warm.join();
        let reader = setting.client(move || {
            let mut byte = [0];
            (&other).read_exact(&mut byte).unwrap();
            (byte[0], other)
        });
        setting.server(move || drop(ours)).join();
        peer.write_all(&[round]).unwrap();
        let (byte, other) = reader.join();
        assert_eq!(byte, round);
        ours = other;
    }
    drop(ours);
    assert_eq!(peer.read(&mut [0]).unwrap(), 0, "the last one closed is the end");
}

#[test]
fn a_stream_is_closed_while_its_clone_is_parked_on() {
    in_three_settings(|setting| close_one_of_two(setting, |ours| ours.try_clone().unwrap()));
}

#[test]
fn a_stream_is_closed_while_what_was_sent_of_it_is_parked_on() {
    in_three_settings(|setting| {
        let (sender, receiver) = UnixStream::pair().unwrap();
        close_one_of_two(setting, |ours| {
            sender.send_fds(b"x", &[ours.as_raw_fd()]).unwrap();
            TcpStream::from(receiver.receive_fds(1).unwrap().1.remove(0))
        });
    });
}

/// Several wait on one stream and its clone when the peer resets: all of them learn of it.
#[test]
fn a_reset_reaches_all_who_wait_on_clones() {
    in_three_settings(|setting| {
        let (ours, theirs) = pair();
        let waiting: Vec<_> = (0..8)
            .map(|n| {
                let clone = ours.try_clone().unwrap();
                setting.nth(n, move || (&clone).read(&mut [0]).map_err(|error| error.kind()))
            })
            .collect();
        setting.client(move || reset(theirs)).join();
        // SO_ERROR is told once; to the others the stream has ended.
        let answers: Vec<_> = waiting.into_iter().map(Started::join).collect();
        assert_eq!(answers.iter().filter(|answer| **answer == Err(ErrorKind::ConnectionReset)).count(), 1);
        assert_eq!(answers.iter().filter(|answer| **answer == Ok(0)).count(), 7);
    });
}
