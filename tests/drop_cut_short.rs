//! Drops that wait, run by the unwind of a cancel, of a timeout, and of the end of the runtime: none aborts, none hangs. A socket
//! wait fails at once; locks, joins and scopes are waited for.

mod support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::sync::{Mutex, RwLock};
use dormouse::time;
use dormouse::{Builder, spawn, thread};
use std::io::{BufWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{OnDrop, bounded, eventually, is_cancelled};

const SOON: Duration = Duration::from_millis(3);

/// What ends the call.
#[derive(Clone, Copy, Debug)]
enum By {
    Cancel,
    Timeout,
    End,
}

/// What a test is given to say that its values are in place.
type Begun = Arc<AtomicBool>;

/// Runs `body`, which makes something with a Drop, says so and parks, and ends it in each way; `check` is called with what `prepare`
/// made, once the unwind is over.
fn each_way<S: Send + Sync + 'static>(prepare: fn() -> S, body: fn(Arc<S>, Begun), check: fn(Arc<S>, By)) {
    for workers in [1, 2] {
        for by in [By::Cancel, By::Timeout, By::End] {
            bounded(20, move || {
                let shared = Builder::new().workers(workers).run(move || one_way(by, prepare, body)).unwrap();
                match shared {
                    Ended::After(shared, handle) => {
                        assert!(is_cancelled(&handle.join()));
                        check(shared, by);
                    }
                    Ended::Before(shared) => check(shared, by),
                }
            });
        }
    }
}

/// When the call has ended, seen from the runtime's end.
enum Ended<S> {
    /// It ends with the runtime.
    After(Arc<S>, thread::JoinHandle<()>),
    /// It has.
    Before(Arc<S>),
}

fn one_way<S: Send + Sync + 'static>(by: By, prepare: fn() -> S, body: fn(Arc<S>, Begun)) -> Ended<S> {
    let shared = Arc::new(prepare());
    let begun = Begun::default();
    let (for_body, says) = (Arc::clone(&shared), Arc::clone(&begun));
    if let By::Timeout = by {
        assert!(time::timeout(SOON, || body(for_body, says)).is_err());
        return Ended::Before(shared);
    }
    let handle = spawn(move || body(for_body, says));
    eventually(5, "it has begun", || begun.load(SeqCst));
    if let By::Cancel = by {
        handle.cancel();
        assert!(is_cancelled(&handle.join()));
        return Ended::Before(shared);
    }
    Ended::After(shared, handle)
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours, listener.accept().unwrap().0)
}

/// There is room, so nothing waits, and what was buffered goes out.
#[test]
fn a_buffered_writer_with_room_is_flushed() {
    each_way(
        pair,
        |shared, begun| {
            let mut writer = BufWriter::new(&shared.0);
            writer.write_all(b"buffered").unwrap();
            begun.store(true, SeqCst);
            thread::park();
        },
        |shared, by| {
            shared.0.shutdown(std::net::Shutdown::Write).unwrap();
            let mut got = String::new();
            (&shared.1).read_to_string(&mut got).unwrap();
            assert_eq!(got, "buffered", "{by:?}");
        },
    );
}

/// There is none, and nobody reads: the flush fails at once, and what was buffered is lost.
#[test]
fn a_buffered_writer_without_room_does_not_wait() {
    each_way(
        || {
            let pair = pair();
            pair.0.set_write_timeout(Some(SOON)).unwrap();
            while (&pair.0).write(&[7; 1 << 16]).is_ok() {}
            pair.0.set_write_timeout(None).unwrap();
            (pair, AtomicUsize::new(0))
        },
        |shared, begun| {
            let start = Instant::now();
            let _took = OnDrop(|| shared.1.store(start.elapsed().as_millis() as usize, SeqCst));
            let mut writer = BufWriter::with_capacity(1 << 20, &(shared.0).0);
            writer.write_all(&[8; 1 << 19]).unwrap();
            begun.store(true, SeqCst);
            thread::park();
        },
        |shared, by| assert!(shared.1.load(SeqCst) < 5000, "{by:?}"),
    );
}

/// Locks that others hold.
struct Locks {
    mutex: Mutex<u32>,
    lock: RwLock<u32>,
    holds: AtomicBool,
}

#[test]
fn a_guard_that_locks_waits_for_the_lock() {
    each_way(
        || Locks { mutex: Mutex::new(0), lock: RwLock::new(0), holds: AtomicBool::new(false) },
        |shared, begun| {
            let other = Arc::clone(&shared);
            spawn(move || {
                let _guards = (other.mutex.lock(), other.lock.write());
                other.holds.store(true, SeqCst);
                // Goes on holding them in its own unwind, if that comes.
                let _holds = OnDrop(|| thread::sleep(2 * SOON));
                thread::sleep(2 * SOON);
            });
            while !shared.holds.load(SeqCst) {
                dormouse::cancel::shield(thread::yield_now);
            }
            let _locks = OnDrop(|| {
                *shared.mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += 1;
                *shared.lock.write().unwrap_or_else(|poisoned| poisoned.into_inner()) += 1;
            });
            begun.store(true, SeqCst);
            thread::park();
        },
        |shared, by| {
            let counted = *shared.mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            assert_eq!(counted, 1, "{by:?}");
            assert_eq!(*shared.lock.read().unwrap_or_else(|poisoned| poisoned.into_inner()), 1);
        },
    );
}

#[test]
fn a_handle_that_joins_waits_for_the_other() {
    each_way(
        || AtomicUsize::new(0),
        |shared, begun| {
            let other = Arc::clone(&shared);
            let mut handle = Some(spawn(move || {
                let _slow = OnDrop(|| {
                    thread::sleep(2 * SOON);
                    other.fetch_add(1, SeqCst);
                });
                thread::sleep(SOON);
            }));
            thread::yield_now();
            let _joins = OnDrop(|| {
                let joined = handle.take().unwrap().join();
                assert!(joined.is_ok() || is_cancelled(&joined));
                shared.fetch_add(10, SeqCst);
            });
            begun.store(true, SeqCst);
            thread::park();
        },
        // One that the end of the runtime met before it had begun was never there.
        |shared, by| assert!([10, 11].contains(&shared.load(SeqCst)), "{by:?}"),
    );
}

#[test]
fn a_scope_waits_for_its_coroutines() {
    each_way(
        || AtomicUsize::new(0),
        |shared, begun| {
            let _scopes = OnDrop(|| {
                thread::scope(|s| {
                    for _ in 0..3 {
                        s.spawn(|| {
                            let _slow = OnDrop(|| _ = shared.fetch_add(1, SeqCst));
                            thread::sleep(SOON);
                        });
                    }
                });
                shared.fetch_add(10, SeqCst);
            });
            begun.store(true, SeqCst);
            thread::park();
        },
        |shared, by| {
            let count = shared.load(SeqCst);
            let refused = matches!(by, By::End) && count < 10;
            assert!(refused || (10..=13).contains(&count), "{by:?}: {count}");
        },
    );
}

/// Unwinds within unwinds: a Drop that catches what its own call throws.
#[test]
fn a_drop_with_a_timeout_of_its_own_goes_to_its_end() {
    each_way(
        || AtomicUsize::new(0),
        |shared, begun| {
            let _drops = OnDrop(|| {
                let waited = time::timeout(Duration::from_millis(1), || thread::sleep(SOON));
                shared.fetch_add(1 + usize::from(waited == Ok(())), SeqCst);
            });
            begun.store(true, SeqCst);
            thread::park();
        },
        |shared, by| assert_eq!(shared.load(SeqCst), 2, "{by:?}"),
    );
}
