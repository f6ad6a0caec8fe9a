//! What tasks do: each a short piece of a program, bounded in time by its own timeouts, that leaves nothing behind however it
//! ends: by itself, by a panic, or by a cancel at any of its waits.

use crate::churn::Dice;
use crate::connections;
use dormouse::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, Semaphore, broadcast, mpmc, mpsc, oneshot, select};
use dormouse::thread::{self, scope};
use dormouse::{blocking, fs, spawn};
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// A kind of task.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Shared, Dice),
}

/// Every kind.
pub(crate) const KINDS: [Kind; 10] = [
    Kind { name: "connection", run: connections::client },
    Kind { name: "pair", run: connections::pair },
    Kind { name: "spawns", run: spawns },
    Kind { name: "timers", run: timers },
    Kind { name: "channels", run: channels },
    Kind { name: "queue", run: queue },
    Kind { name: "locks", run: locks },
    Kind { name: "blocking", run: blocks },
    Kind { name: "files", run: files },
    Kind { name: "panic", run: panics },
];

/// The payload of the panics that are meant.
pub(crate) struct OnPurpose;

/// What the tasks of a phase share.
pub(crate) struct Shared {
    /// Where the server of connections listens.
    pub(crate) address: SocketAddr,
    /// A number that is changed under the lock only, and how often that was done.
    count: Mutex<u64>,
    changes: AtomicU64,
    /// Two that are equal whenever nobody writes.
    pair: RwLock<(u64, u64)>,
    changed: Condvar,
    permits: Semaphore,
    /// How many hold a permit.
    inside: AtomicU64,
    /// A queue in which many put and many take.
    queue: (mpmc::Sender<u64>, mpmc::Receiver<u64>),
    /// Where files are written.
    folder: PathBuf,
    files: AtomicU64,
}

/// As many may be inside.
const PERMITS: usize = 3;

dormouse::thread_local! {
    /// Memory that belongs to a coroutine, and goes with it.
    static OWN: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Shared {
    pub(crate) fn new(address: SocketAddr) -> io::Result<Shared> {
        let folder = std::env::temp_dir().join(format!("dormouse-soak-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Shared {
            address,
            count: Mutex::new(0),
            changes: AtomicU64::new(0),
            pair: RwLock::new((0, 0)),
            changed: Condvar::new(),
            permits: Semaphore::new(PERMITS),
            inside: AtomicU64::new(0),
            queue: mpmc::sync_channel(16),
            folder,
            files: AtomicU64::new(0),
        })
    }

    /// At the end of a phase: whether what was shared is as the tasks left it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let count = *self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.changes.load(SeqCst);
        if count != changes {
            return Err(format!("changed {changes} times under a lock, and it is {count}"));
        }
        Ok(())
    }
}

/// Cancelled tasks leave files behind.
impl Drop for Shared {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("soak: {}: {error}", self.folder.display());
        }
    }
}

/// Coroutines that spawn others, joined, in a scope, and not.
fn spawns(_: &Shared, mut dice: Dice) {
    let (width, naps) = (1 + dice.below(8), dice.micros(200));
    let children: Vec<_> = (0..width)
        .map(|n| {
            spawn(move || {
                OWN.with_borrow_mut(|own| own.extend(0..n as u64 * 10));
                thread::sleep(naps);
                OWN.with_borrow(|own| assert_eq!(own.len(), n * 10));
                spawn(move || n).join().expect("it only returns")
            })
        })
        .collect();
    let mut numbers = vec![0; width];
    scope(|scope| {
        for (n, number) in numbers.iter_mut().enumerate() {
            scope.spawn(move || *number = n);
        }
    });
    let sum: usize = children.into_iter().map(|child| child.join().expect("it only returns")).sum();
    assert_eq!(sum, numbers.into_iter().sum());
}

/// Waits that end by their deadlines, and some that end before.
fn timers(_: &Shared, mut dice: Dice) {
    for _ in 0..1 + dice.below(4) {
        let (time, start) = (dice.micros(3000), Instant::now());
        match dice.below(3) {
            0 => thread::sleep(time),
            1 => {
                let (_sender, receiver) = mpsc::channel::<u8>();
                receiver.recv_timeout(time).expect_err("nobody sends");
            }
            _ => {
                let (own, early) = (thread::current(), dice.micros(3000));
                let wakes = spawn(move || {
                    thread::sleep(early);
                    own.unpark();
                });
                thread::park_timeout(time + Duration::from_secs(5));
                wakes.join().expect("it only sleeps");
                continue;
            }
        }
        assert!(start.elapsed() >= time, "a deadline came early");
    }
}

/// Channels of a few that know each other.
fn channels(_: &Shared, mut dice: Dice) {
    let (sender, receiver) = mpsc::sync_channel(dice.below(3));
    let (news, listens) = broadcast::channel(4);
    let (answer, answered) = oneshot::channel();
    let (count, pause) = (dice.below(40) as u64, dice.micros(100));
    let sends = spawn(move || {
        for n in 0..count {
            let _ = news.send(n);
            if sender.send(n).is_err() {
                return;
            }
        }
        thread::sleep(pause);
        let _ = answer.send(count);
    });
    let (mut next, deadline) = (0, Instant::now() + Duration::from_secs(5));
    let said = loop {
        select! {
            recv(answered) -> said => break said,
            recv(receiver) -> message => match message {
                Ok(message) => {
                    assert_eq!(message, next);
                    next += 1;
                }
                Err(_) => break answered.recv(),
            },
            deadline(deadline) => return,
        }
    };
    assert_eq!(said, Ok(count));
    // The answer may have been faster than what was sent before.
    next += receiver.iter().count() as u64;
    assert_eq!(next, count);
    while listens.recv().is_ok_and(|heard| heard < count) {}
    sends.join().expect("it only sends");
}

/// A queue of everybody: what one puts another takes, or nobody.
fn queue(shared: &Shared, mut dice: Dice) {
    let (sender, receiver) = &shared.queue;
    for n in 0..dice.below(30) as u64 {
        let time = dice.micros(500);
        if dice.below(2) == 0 {
            let _ = sender.send_timeout(n, time);
        } else {
            select! {
                recv(receiver) -> _ => {},
                send(sender, n) -> _ => {},
                default(time) => {},
            }
        }
        let _ = receiver.try_recv();
    }
}

fn locks(shared: &Shared, mut dice: Dice) {
    for _ in 0..1 + dice.below(20) {
        match dice.below(4) {
            0 => {
                let mut count = shared.count.lock().unwrap_or_else(PoisonError::into_inner);
                let before = *count;
                let _after = Adds(&mut count, before);
                shared.changes.fetch_add(1, SeqCst);
                thread::yield_now();
            }
            1 => {
                let mut pair = shared.pair.write().unwrap_or_else(PoisonError::into_inner);
                *pair = (pair.0 + 1, pair.1 + 1);
                drop(pair);
                let pair = shared.pair.read().unwrap_or_else(PoisonError::into_inner);
                assert_eq!(pair.0, pair.1);
            }
            2 => {
                let count = shared.count.lock().unwrap_or_else(PoisonError::into_inner);
                let waited = shared.changed.wait_timeout(count, dice.micros(300));
                drop(waited.unwrap_or_else(PoisonError::into_inner));
                shared.changed.notify_all();
            }
            _ => {
                let _permit = shared.permits.acquire().expect("nobody closes it");
                let _inside = Inside::enter(&shared.inside);
                thread::yield_now();
            }
        }
    }
}

/// One more than before, once it is dropped: whether or not the coroutine is cancelled meanwhile.
struct Adds<'a>(&'a mut u64, u64);

impl Drop for Adds<'_> {
    fn drop(&mut self) {
        assert_eq!(*self.0, self.1, "two hold a lock");
        *self.0 += 1;
    }
}

/// One of those who hold a permit.
struct Inside<'a>(&'a AtomicU64);

impl Inside<'_> {
    fn enter(inside: &AtomicU64) -> Inside<'_> {
        assert!(inside.fetch_add(1, SeqCst) < PERMITS as u64, "more than there are permits");
        Inside(inside)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Calls on threads of their own, some of which wait for coroutines.
fn blocks(_: &Shared, mut dice: Dice) {
    let (number, time) = (dice.below(1000), dice.micros(800));
    let slept = blocking(move || {
        std::thread::sleep(time);
        number
    });
    assert_eq!(slept, number);
    let (sender, receiver) = mpsc::sync_channel(0);
    let receives = thread::spawn_blocking(move || receiver.recv().ok());
    let _ = sender.send(number);
    assert_eq!(receives.join().ok(), Some(Some(number)));
}

fn files(shared: &Shared, mut dice: Dice) {
    let path = shared.folder.join(shared.files.fetch_add(1, SeqCst).to_string());
    let content = vec![dice.below(256) as u8; 1 + dice.below(20_000)];
    fs::write(&path, &content).expect("the folder is there");
    let read = fs::read(&path).expect("it was written");
    assert!(read == content, "not what was written");
    fs::remove_file(&path).expect("it is there");
}

/// Panics in a scope, under a lock, and in the middle of others' waits.
fn panics(_: &Shared, mut dice: Dice) {
    let (lock, naps) = (Arc::new(Mutex::new(vec![0u8; dice.below(5000)])), dice.micros(500));
    let (held, waits) = (Arc::clone(&lock), Arc::clone(&lock));
    let child = spawn(move || {
        let _held = held.lock();
        thread::sleep(naps);
        std::panic::resume_unwind(Box::new(OnPurpose));
    });
    let other = spawn(move || drop(waits.lock()));
    let died = child.join().expect_err("it panics");
    other.join().expect("it only locks");
    // Whether the lock is poisoned is not certain while others of the worker are suspended unwinding.
    assert!(died.is::<OnPurpose>());
    std::panic::resume_unwind(died);
}
