//! What a timeout does to each thing that waits: it ends in time, leaves nothing behind, and loses nothing.

mod support;

use dormouse::net::{TcpListener, TcpStream, UdpSocket, lookup_host};
use dormouse::process::Command;
use dormouse::sync::{Barrier, Condvar, Mutex, Notify, OnceLock, RwLock, Semaphore, WaitGroup, broadcast, mpmc, mpsc};
use dormouse::time::{self, Elapsed};
use dormouse::{Builder, block_on, blocking, fs, spawn, thread};
use std::cell::Cell;
use std::future::pending;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{Random, bounded, child, descriptors, eventually, run};

const SOON: Duration = Duration::from_millis(3);
const LONG: Duration = Duration::from_secs(3600);

fn late<T>(f: impl FnOnce() -> T) {
    let start = Instant::now();
    let ended: Result<T, Elapsed> = time::timeout(SOON, f);
    assert!(ended.is_err() && start.elapsed() >= SOON);
    assert!(start.elapsed() < Duration::from_secs(5), "a wait that was not cut short");
}

/// Runs `body` as a coroutine, and on a plain thread.
#[track_caller]
fn everywhere(body: fn()) {
    bounded(20, move || run(body));
    bounded(20, body);
}

#[test]
fn channels() {
    everywhere(|| {
        let (sends, receives) = mpsc::sync_channel(1);
        late(|| receives.recv());
        late(|| receives.recv_timeout(LONG));
        sends.send(1).unwrap();
        late(|| sends.send(2));
        assert_eq!(receives.try_recv(), Ok(1));
        assert!(receives.try_recv().is_err(), "what was not sent is dropped");
        sends.send(3).unwrap();
        assert_eq!(receives.recv(), Ok(3));
    });
}

#[test]
fn a_rendezvous() {
    everywhere(|| {
        let (sends, receives) = mpsc::sync_channel(0);
        late(|| sends.send(1));
        late(|| receives.recv());
        // Neither is left in a line.
        let sender = spawn(move || sends.send(2).unwrap());
        assert_eq!(receives.recv(), Ok(2));
        sender.join().unwrap();
    });
}

#[test]
fn a_select_and_a_broadcast() {
    everywhere(|| {
        let (first_sends, first) = mpmc::channel();
        let (second_sends, second) = mpmc::channel();
        late(|| {
            dormouse::sync::select! {
                recv(first) -> _ => {},
                recv(second) -> _ => {},
            }
        });
        first_sends.send(1).unwrap();
        second_sends.send(2).unwrap();
        assert_eq!((first.recv(), second.recv()), (Ok(1), Ok(2)));
        let (sends, receives) = broadcast::channel(2);
        late(|| receives.recv());
        sends.send(3).unwrap();
        assert_eq!(receives.recv(), Ok(3));
    });
}

#[test]
fn permits_and_notifications() {
    everywhere(|| {
        let semaphore = Semaphore::new(1);
        late(|| semaphore.acquire_many(2));
        drop(semaphore.acquire().unwrap());
        assert_eq!(semaphore.available_permits(), 1);
        let notify = Notify::new();
        late(|| notify.wait());
        notify.notify_one();
        notify.wait();
        let group = WaitGroup::new();
        let member = group.clone();
        late(|| group.wait());
        drop(member);
        let barrier = Barrier::new(2);
        late(|| barrier.wait());
        thread::scope(|s| {
            s.spawn(|| barrier.wait());
            barrier.wait();
        });
    });
}

#[test]
fn a_condition_and_what_is_made_once() {
    everywhere(|| {
        let (mutex, condvar) = (Mutex::new(0), Condvar::new());
        late(|| drop(condvar.wait(mutex.lock().unwrap())));
        assert!(mutex.is_poisoned(), "the guard was dropped by the unwind");
        mutex.clear_poison();
        assert_eq!(*mutex.lock().unwrap(), 0);
        let once = OnceLock::new();
        let making = AtomicUsize::new(0);
        thread::scope(|s| {
            let maker = s.spawn(|| {
                once.get_or_init(|| {
                    making.store(1, SeqCst);
                    thread::park();
                    5
                });
            });
            eventually(5, "it is being made", || making.load(SeqCst) == 1);
            late(|| *once.get_or_init(|| 6));
            maker.thread().unpark();
        });
        assert_eq!(once.get(), Some(&5));
    });
}

/// Locks are no cancellation points: who waits for one has it first.
#[test]
fn a_lock_is_waited_for() {
    everywhere(|| {
        let (mutex, lock) = (Mutex::new(()), RwLock::new(()));
        let held = AtomicUsize::new(0);
        thread::scope(|s| {
            s.spawn(|| {
                let _guards = (mutex.lock().unwrap(), lock.write().unwrap());
                held.store(1, SeqCst);
                thread::sleep(3 * SOON);
            });
            eventually(5, "they are held", || held.load(SeqCst) == 1);
            let got = time::timeout(SOON, || {
                drop(mutex.lock().unwrap());
                drop(lock.read().unwrap());
                7
            });
            assert_eq!(got, Ok(7));
        });
    });
}

#[test]
fn sockets() {
    everywhere(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        late(|| listener.accept());
        let mut theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut ours, _) = listener.accept().unwrap();
        late(|| ours.read(&mut [0]));
        late(|| ours.peek(&mut [0]));
        // The stream's own timeout is the inner one where it comes first.
        ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        assert!(time::timeout(LONG, || ours.read(&mut [0])).unwrap().is_err());
        ours.set_read_timeout(Some(LONG)).unwrap();
        late(|| ours.read(&mut [0]));
        theirs.write_all(b"all").unwrap();
        let mut all = [0; 3];
        ours.read_exact(&mut all).unwrap();
        assert_eq!(&all, b"all");
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        late(|| socket.recv(&mut [0]));
    });
}

#[test]
fn joins_and_futures() {
    everywhere(|| {
        let sleeps = spawn(|| thread::sleep(Duration::from_millis(1)));
        late(|| spawn(thread::park).join());
        late(|| block_on(pending::<()>()));
        sleeps.join().unwrap();
    });
}

#[test]
fn a_child_and_its_pipes() {
    everywhere(|| {
        let mut child = Command::new("sleep").arg("3600").stdout(std::process::Stdio::piped()).spawn().unwrap();
        late(|| child.stdout.as_mut().unwrap().read(&mut [0]));
        late(|| child.wait());
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
    });
}

/// On a plain thread such a call is made right there, and takes the time that it takes.
#[test]
fn calls_that_block() {
    bounded(20, || {
        run(|| {
            let made = Arc::new(AtomicUsize::new(0));
            let counts = Arc::clone(&made);
            late(move || {
                blocking::run(move || {
                    std::thread::sleep(10 * SOON);
                    counts.fetch_add(1, SeqCst);
                })
            });
            eventually(5, "it goes on unheard", || made.load(SeqCst) == 1);
            let _ = time::timeout(Duration::ZERO, || lookup_host(("localhost", 80)));
            assert!(lookup_host(("localhost", 80)).unwrap().count() > 0);
            assert!(time::timeout(LONG, || fs::read("/proc/self/comm")).unwrap().is_ok());
        });
    });
    bounded(20, || {
        let made = Cell::new(false);
        let ended = time::timeout(Duration::ZERO, || blocking::run(|| 4).inspect(|_| made.set(true)).unwrap());
        assert_eq!((ended, made.get()), (Ok(4), true));
    });
}

/// A message against the limit of who waits for it: it is received, or is there for the next.
#[test]
fn no_message_is_lost_at_the_limit() {
    for (workers, capacity) in [(1, 0), (1, 3), (3, 0), (3, 3)] {
        bounded(60, move || {
            let body = move || {
                let (sends, receives) = mpmc::sync_channel(capacity);
                let sender = spawn(move || {
                    let mut random = Random(5);
                    for number in 0..2000 {
                        if random.below(4) == 0 {
                            thread::sleep(Duration::from_micros(random.below(100)));
                        }
                        sends.send(number).unwrap();
                    }
                });
                let receivers: Vec<_> = (1..4)
                    .map(|seed| {
                        let receives = receives.clone();
                        spawn(move || {
                            let (mut random, mut got, mut lates) = (Random(seed), Vec::new(), 0);
                            loop {
                                let limit = Duration::from_micros(random.below(120));
                                match time::timeout(limit, || receives.recv()) {
                                    Ok(Ok(number)) => got.push(number),
                                    Ok(Err(_)) => return (got, lates),
                                    Err(_) => lates += 1,
                                }
                            }
                        })
                    })
                    .collect();
                drop(receives);
                sender.join().unwrap();
                let (mut all, mut lates) = (Vec::new(), 0);
                for receiver in receivers {
                    let (got, late): (Vec<i32>, i32) = receiver.join().unwrap();
                    assert!(got.is_sorted());
                    all.extend(got);
                    lates += late;
                }
                all.sort_unstable();
                assert!(all.iter().copied().eq(0..2000), "{workers} {capacity}");
                assert!(lates > 0);
            };
            Builder::new().workers(workers).run(body).unwrap();
        });
    }
}

#[test]
fn no_permit_is_lost_at_the_limit() {
    for workers in [1, 3] {
        bounded(60, move || {
            let body = || {
                let semaphore = Arc::new(Semaphore::new(3));
                let (had, lates) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
                let takers: Vec<_> = (1..20)
                    .map(|seed| {
                        let (semaphore, had, lates) = (Arc::clone(&semaphore), Arc::clone(&had), Arc::clone(&lates));
                        spawn(move || {
                            let mut random = Random(seed * 31);
                            for _ in 0..100 {
                                let limit = Duration::from_micros(random.below(200));
                                let permit = time::timeout(limit, || semaphore.acquire_many(1 + seed as usize % 3));
                                match permit {
                                    Ok(permit) => {
                                        let _permit = permit.unwrap();
                                        had.fetch_add(1, SeqCst);
                                        thread::sleep(Duration::from_micros(random.below(30)));
                                    }
                                    Err(_) => _ = lates.fetch_add(1, SeqCst),
                                }
                            }
                        })
                    })
                    .collect();
                takers.into_iter().for_each(|taker| taker.join().unwrap());
                assert_eq!(semaphore.available_permits(), 3);
                assert!(had.load(SeqCst) > 0 && lates.load(SeqCst) > 0);
            };
            Builder::new().workers(workers).run(body).unwrap();
        });
    }
}

/// Those accepted in time are served, and nothing is left open.
#[test]
fn no_connection_is_lost_at_the_limit() {
    let ended = child("no_connection_is_lost_at_the_limit", 60, || {
        let before = descriptors();
        run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let clients = spawn(move || {
                let connect = |_| {
                    thread::sleep(Duration::from_micros(200));
                    TcpStream::connect(addr).unwrap()
                };
                (0..50).map(connect).collect::<Vec<_>>()
            });
            let (mut accepted, mut lates, mut random) = (Vec::new(), 0, Random(3));
            while accepted.len() < 50 {
                let limit = Duration::from_micros(random.below(400));
                match time::timeout(limit, || listener.accept()) {
                    Ok(client) => accepted.push(client.unwrap().0),
                    Err(_) => lates += 1,
                }
            }
            assert!(lates > 0);
            clients.join().unwrap();
        });
        assert_eq!(descriptors(), before);
    });
    ended.succeeded();
}
