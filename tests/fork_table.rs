//! In a child of fork(2) every entry of the public surface either works as on a plain thread, or says by a panic or an error that
//! the runtime is dead; none hangs.

mod support;

use dormouse::net::{TcpListener, TcpStream, UdpSocket};
use dormouse::sync::{Barrier, Condvar, Mutex, Notify, OnceLock, RwLock, Semaphore, WaitGroup, mpmc, mpsc, oneshot};
use dormouse::time::timeout;
use dormouse::{Builder, Handle, block_on, spawn, spawn_local, thread};
use dormouse_runtime::{blocking, fs, process};
use std::future::Future;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};
use support::{child, eventually, message};

const MOMENT: Duration = Duration::from_millis(1);

/// What becomes of an entry in a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Works,
    Dead,
}
use Fate::{Dead, Works};

type Entry = (&'static str, Fate, fn());

/// The status with which a child ended that did `f`: 0 if `f` returned, 1 if it said that the runtime is dead. Panics if it hangs.
fn fate_in_child(name: &str, f: impl FnOnce()) -> Fate {
    // SAFETY: what the child does needs nothing of other threads but the allocator, to which libc sees.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        std::panic::set_hook(Box::new(|_| ()));
        let status = match catch_unwind(AssertUnwindSafe(f)) {
            Ok(()) => 0,
            Err(payload) if message(&*payload).contains("child of fork(2)") => 1,
            Err(payload) => {
                eprintln!("{name}: {}", message(&*payload));
                2
            }
        };
        // SAFETY: ends the process; nothing runs after it.
        unsafe { libc::_exit(status) };
    }
    let (begin, mut status) = (Instant::now(), 0);
    loop {
        // SAFETY: the status lives for the call.
        match unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } {
            0 if begin.elapsed() < Duration::from_secs(10) => std::thread::sleep(Duration::from_micros(200)),
            0 => {
                // SAFETY: takes no pointer; a child that is not waited for yet keeps its number.
                unsafe { libc::kill(child, libc::SIGKILL) };
                panic!("{name} hangs in a child");
            }
            _ => break,
        }
    }
    match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
        (true, 0) => Works,
        (true, 1) => Dead,
        _ => panic!("{name}: the child ended with status {status:#x}"),
    }
}

fn echo() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut ours = listener.accept().unwrap().0;
    peer.write_all(b"x").unwrap();
    ours.read_exact(&mut [0]).unwrap();
}

/// What works from wherever it is called, since it need not wait.
const ALWAYS: &[Entry] = &[
    ("Mutex", Works, || *Mutex::new(1).lock().unwrap() += 1),
    ("RwLock", Works, || *RwLock::new(1).write().unwrap() += 1),
    ("try_lock of one that is held", Works, || {
        let lock = Mutex::new(());
        let held = lock.lock();
        assert!(lock.try_lock().is_err());
        drop(held);
    }),
    ("OnceLock", Works, || assert_eq!(OnceLock::new().get_or_init(|| 1), &1)),
    ("Semaphore", Works, || drop(Semaphore::new(1).acquire())),
    ("Barrier", Works, || assert!(Barrier::new(1).wait().is_leader())),
    ("WaitGroup", Works, || WaitGroup::new().wait()),
    ("mpsc", Works, || {
        let (sends, receives) = mpsc::channel();
        sends.send(1).unwrap();
        assert_eq!(receives.recv(), Ok(1));
    }),
    ("mpmc", Works, || {
        let (sends, receives) = mpmc::sync_channel(1);
        sends.send(1).unwrap();
        assert_eq!(receives.recv(), Ok(1));
    }),
    ("oneshot", Works, || {
        let (sends, receives) = oneshot::channel();
        sends.send(1).unwrap();
        assert_eq!(receives.recv(), Ok(1));
    }),
    ("metrics", Works, || _ = dormouse::metrics()),
    ("current", Works, || _ = thread::current().id()),
    ("UdpSocket", Works, || {
        let own = UdpSocket::bind("127.0.0.1:0").unwrap();
        own.send_to(b"x", own.local_addr().unwrap()).unwrap();
    }),
    ("block_on", Works, || assert_eq!(block_on(async { 1 }), 1)),
    ("spawn", Dead, || drop(spawn(|| ()))),
    ("Builder::spawn", Dead, || drop(thread::Builder::new().spawn(|| ()).unwrap())),
    ("scope", Dead, || thread::scope(|s| drop(s.spawn(|| ())))),
];

/// What blocks a plain thread, in a child as anywhere, and parks a coroutine, which it cannot there.
const WAITS: &[(&str, fn())] = &[
    ("sleep", || thread::sleep(MOMENT)),
    ("yield_now", || thread::yield_now()),
    ("park_timeout", || thread::park_timeout(MOMENT)),
    ("Condvar", || {
        let lock = Mutex::new(());
        drop(Condvar::new().wait_timeout(lock.lock().unwrap(), MOMENT));
    }),
    ("Notify", || _ = Notify::new().wait_timeout(MOMENT)),
    ("recv_timeout", || {
        let (_sends, receives) = mpsc::channel::<()>();
        receives.recv_timeout(MOMENT).unwrap_err();
    }),
    ("a lock that another thread frees", || {
        let lock = Arc::new(Mutex::new(()));
        let (other, (says, said)) = (Arc::clone(&lock), std::sync::mpsc::channel());
        let holds = std::thread::spawn(move || {
            let _held = other.lock();
            says.send(()).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        });
        said.recv().unwrap();
        drop(lock.lock());
        holds.join().unwrap();
    }),
    ("a read that waits", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut ours: TcpStream = listener.accept().unwrap().0;
        ours.set_read_timeout(Some(MOMENT)).unwrap();
        ours.read(&mut [0]).unwrap_err();
    }),
    ("blocking", || assert_eq!(blocking::run(|| 1).unwrap(), 1)),
    ("fs", || assert!(!fs::read_to_string("/proc/self/comm").unwrap().is_empty())),
    ("process", || assert!(process::Command::new("true").status().unwrap().success())),
];

/// The parent's: a runtime whose coroutines wait for everything, and locks that were in use at the fork.
fn busy_parent() -> dormouse::Runtime {
    let runtime = Builder::new().workers(2).build().unwrap();
    let lock = Arc::new(Mutex::new(()));
    for _ in 0..20 {
        let lock = Arc::clone(&lock);
        drop(runtime.spawn(move || {
            loop {
                drop(lock.lock());
                thread::sleep(MOMENT);
                let _ = fs::metadata("/");
            }
        }));
    }
    runtime.run(|| thread::sleep(Duration::from_millis(10))).unwrap();
    runtime
}

#[test]
fn on_a_plain_thread() {
    let ended = child("on_a_plain_thread", 120, || {
        let runtime = busy_parent();
        drop(spawn(thread::park));
        let waits = WAITS.iter().map(|(name, f)| (*name, Works, *f));
        let more: [Entry; 2] = [
            ("echo", Works, echo),
            ("run", Works, || {
                assert_eq!(dormouse::run(|| spawn(|| 1).join().unwrap()), 1);
            }),
        ];
        for (name, fate, f) in ALWAYS.iter().copied().chain(waits).chain(more) {
            assert_eq!(fate_in_child(name, f), fate, "{name}");
        }
        drop(runtime);
    });
    ended.succeeded();
}

#[test]
fn in_a_coroutine() {
    let ended = child("in_a_coroutine", 120, || {
        let runtime = busy_parent();
        let table = || {
            let waits = WAITS.iter().map(|(name, f)| (*name, Dead, *f));
            let more: [Entry; 3] = [
                ("spawn_local", Dead, || drop(spawn_local(|| ()))),
                ("Handle::spawn", Dead, || drop(Handle::current().spawn(|| ()))),
                ("Handle::metrics", Works, || _ = Handle::current().metrics()),
            ];
            for (name, fate, f) in ALWAYS.iter().copied().chain(waits).chain(more) {
                assert_eq!(fate_in_child(name, f), fate, "{name}");
            }
        };
        runtime.run(table).unwrap();
        Builder::new().workers(1).run(table).unwrap();
    });
    ended.succeeded();
}

/// A lock that a parent's waiter was on its way to at the fork: in the child nobody comes, and others are woken all the same.
#[test]
fn a_lock_whose_woken_waiter_stayed_with_the_parent() {
    let ended = child("a_lock_whose_woken_waiter_stayed_with_the_parent", 60, || {
        static MUTEX: Mutex<u32> = Mutex::new(0);
        static RWLOCK: RwLock<u32> = RwLock::new(0);
        static STUCK: AtomicBool = AtomicBool::new(false);
        static LET_GO: AtomicBool = AtomicBool::new(false);
        let runtime = Builder::new().workers(1).build().unwrap();
        let held = (MUTEX.lock(), RWLOCK.write());
        let waiters = [runtime.spawn(|| drop(MUTEX.lock())), runtime.spawn(|| drop(RWLOCK.write()))];
        runtime.run(|| thread::sleep(Duration::from_millis(5))).unwrap();
        let keeper = runtime.spawn(|| {
            STUCK.store(true, SeqCst);
            while !LET_GO.load(SeqCst) {
                std::thread::sleep(MOMENT);
            }
        });
        eventually(10, "its worker is kept", || STUCK.load(SeqCst));
        // Both are woken, and neither can come.
        drop(held);
        let contended = || {
            fn others<G: 'static>(lock: fn() -> G) {
                let held = lock();
                let others: Vec<_> = (0..3).map(|_| std::thread::spawn(move || drop(lock()))).collect();
                std::thread::sleep(Duration::from_millis(50));
                drop(held);
                others.into_iter().for_each(|other| other.join().unwrap());
            }
            others(|| MUTEX.lock());
            others(|| RWLOCK.write());
            let held = RWLOCK.write();
            let reads: Vec<_> = (0..3).map(|_| std::thread::spawn(|| drop(RWLOCK.read()))).collect();
            std::thread::sleep(Duration::from_millis(50));
            drop(held);
            reads.into_iter().for_each(|read| read.join().unwrap());
        };
        assert_eq!(fate_in_child("contended locks", contended), Works);
        LET_GO.store(true, SeqCst);
        waiters.into_iter().chain([keeper]).for_each(|waiter| waiter.join().unwrap());
    });
    ended.succeeded();
}

/// A listener and a socket that coroutines of several workers wait for all the time: whatever was in use at the fork, a runtime of the
/// child's own waits for them, too.
#[test]
fn sockets_in_use_at_the_fork_are_used_in_a_runtime_of_the_childs_own() {
    let ended = child("sockets_in_use_at_the_fork_are_used_in_a_runtime_of_the_childs_own", 120, || {
        let runtime = Builder::new().workers(2).build().unwrap();
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let at_end = Arc::new(AtomicBool::new(false));
        let waits = |moment: Duration, listener: &TcpListener, socket: &UdpSocket| {
            let _ = timeout(moment, || drop(listener.accept()));
            let _ = timeout(moment, || drop(socket.recv(&mut [0])));
        };
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let (listener, socket, at_end) = (Arc::clone(&listener), Arc::clone(&socket), Arc::clone(&at_end));
                runtime.spawn(move || {
                    while !at_end.load(SeqCst) {
                        waits(Duration::from_micros(2), &listener, &socket);
                    }
                })
            })
            .collect();
        for _ in 0..100 {
            let fate = fate_in_child("a runtime of a child's", || {
                dormouse::run(|| waits(MOMENT, &listener, &socket));
            });
            assert_eq!(fate, Works);
        }
        at_end.store(true, SeqCst);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
    ended.succeeded();
}

/// Where a child has handles and tasks of its own, those that it inherited are none of its business, and are let go of.
#[test]
fn an_inherited_handle_that_was_polled_is_nobodys_in_a_child() {
    let ended = child("an_inherited_handle_that_was_polled_is_nobodys_in_a_child", 60, || {
        let runtime = Builder::new().workers(1).build().unwrap();
        let mut inherited = runtime.spawn(thread::park);
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut inherited).poll(&mut context).is_pending());
        let mut inherited = Some(inherited);
        let fate = fate_in_child("a handle", || {
            let runtime = Builder::new().workers(1).build().unwrap();
            let mut own = runtime.spawn(thread::park);
            let woken = Arc::new(Woken(AtomicBool::new(false)));
            let waker = Waker::from(Arc::clone(&woken));
            let mut context = Context::from_waker(&waker);
            assert!(Pin::new(&mut own).poll(&mut context).is_pending());
            drop(inherited.take());
            assert!(Pin::new(&mut own).poll(&mut context).is_pending());
            own.thread().unpark();
            eventually(5, "its own task is woken", || woken.0.load(SeqCst));
        });
        assert_eq!(fate, Works);
    });
    ended.succeeded();
}

/// Notes that it was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}
