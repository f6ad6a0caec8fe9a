//! Everything at once, at random: spawns, joins, timers, sockets, locks, channels, storms of unparks, panics, cancels and
//! shutdown, on one to four workers, round after round. Afterwards nothing is left: no message, no coroutine, no descriptor.
//!
//! `DORMOUSE_STRESS_SECS` says for how long (2 s), `DORMOUSE_STRESS_SEED` with which numbers; a failure tells the seed.

mod support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::sync::{Condvar, Mutex, RwLock, Semaphore, mpmc};
use dormouse::thread::{self, JoinHandle};
use dormouse::{Builder, spawn};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{Random, bounded, descriptors, is_cancelled};

/// Tasks begun in one round.
const TASKS: u64 = 60;

/// What all tasks of a round share.
#[derive(Default)]
struct World {
    /// Tasks alive.
    alive: AtomicU64,
    /// Messages that were sent and not received.
    in_flight: AtomicU64,
    /// A number that only its holder changes, and how often it was changed.
    account: Mutex<u64>,
    changes: AtomicU64,
    /// Two that are always equal.
    pair: RwLock<(u64, u64)>,
    /// A queue made of a lock and a condition.
    baton: (Mutex<u64>, Condvar),
}

/// A task counts as alive from its making to the drop of its closure, however that comes about.
struct Alive(Arc<World>);

impl Alive {
    fn new(world: &Arc<World>) -> Alive {
        world.alive.fetch_add(1, SeqCst);
        Alive(Arc::clone(world))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, SeqCst);
    }
}

/// A message that counts itself.
struct Message(Arc<World>);

impl Message {
    fn new(world: &Arc<World>) -> Message {
        world.in_flight.fetch_add(1, SeqCst);
        Message(Arc::clone(world))
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
    }
}

/// The sum over a tree of coroutines, each of which joins its children.
fn tree(depth: u64) -> u64 {
    if depth == 0 {
        return 1;
    }
    let children: Vec<_> = (0..3).map(|_| spawn(move || tree(depth - 1))).collect();
    children.into_iter().map(|child| child.join().unwrap()).sum()
}

fn naps(random: &mut Random) {
    for _ in 0..random.below(5) {
        let (nap, start) = (Duration::from_micros(random.below(3000)), Instant::now());
        thread::sleep(nap);
        assert!(start.elapsed() >= nap, "a sleep ended early");
    }
}

/// A few clients of one listener, each of which hears what it said.
fn echoes(random: &mut Random) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap(), 1 + random.below(4));
    let server = spawn(move || {
        let serve = |mut stream: TcpStream| {
            let mut part = [0; 512];
            while let Ok(length @ 1..) = stream.read(&mut part) {
                stream.write_all(&part[..length]).unwrap();
            }
        };
        let each: Vec<_> = (0..count).map(|_| listener.accept().unwrap().0).map(|s| spawn(move || serve(s))).collect();
        each.into_iter().for_each(|one| one.join().unwrap());
    });
    let clients: Vec<_> = (0..count)
        .map(|n| {
            let mut random = Random(random.0 ^ (n + 1));
            spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                for _ in 0..1 + random.below(8) {
                    let said: Vec<u8> = (0..1 + random.below(2000)).map(|_| random.below(256) as u8).collect();
                    let mut heard = vec![0; said.len()];
                    stream.write_all(&said).unwrap();
                    stream.read_exact(&mut heard).unwrap();
                    assert!(said == heard);
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    server.join().unwrap();
}

/// Some wait for a flag, parked; others unpark them all the time, and at last for good.
fn storm(random: &mut Random) {
    let flag = Arc::new(AtomicBool::new(false));
    let wait = || {
        let flag = Arc::clone(&flag);
        spawn(move || {
            while !flag.load(SeqCst) {
                thread::park_timeout(Duration::from_secs(60))
            }
        })
    };
    let waiting: Vec<_> = (0..1 + random.below(8)).map(|_| wait()).collect();
    let woken: Vec<_> = waiting.iter().map(|one| one.thread().clone()).collect();
    let blow = move || (0..300).for_each(|n| woken[n % woken.len()].unpark());
    let elsewhere = std::thread::spawn(blow.clone());
    blow();
    dormouse::thread::yield_now();
    while !elsewhere.is_finished() {
        thread::sleep(Duration::from_micros(100));
    }
    elsewhere.join().unwrap();
    flag.store(true, SeqCst);
    waiting.iter().for_each(|one| one.thread().unpark());
    waiting.into_iter().for_each(|one| one.join().unwrap());
}

fn messages(random: &mut Random, world: &Arc<World>) {
    let (sender, receiver) = mpmc::sync_channel(random.below(5) as usize);
    let (senders, each) = (1 + random.below(4), random.below(100));
    let sending: Vec<_> = (0..senders)
        .map(|_| {
            let (sender, world) = (sender.clone(), Arc::clone(world));
            spawn(move || (0..each).for_each(|_| drop(sender.send(Message::new(&world)))))
        })
        .collect();
    drop(sender);
    let receiving: Vec<_> = (0..1 + random.below(3))
        .map(|_| {
            let receiver = receiver.clone();
            spawn(move || receiver.iter().count() as u64)
        })
        .collect();
    drop(receiver);
    sending.into_iter().for_each(|one| one.join().unwrap());
    assert_eq!(receiving.into_iter().map(|one| one.join().unwrap()).sum::<u64>(), senders * each);
}

fn locks(random: &mut Random, world: &World) {
    for _ in 0..random.below(60) {
        let mut account = world.account.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = *account;
        if random.below(4) == 0 {
            thread::yield_now();
        }
        *account = before + 1;
        world.changes.fetch_add(1, SeqCst);
        drop(account);
        if random.below(3) == 0 {
            let mut pair = world.pair.write().unwrap_or_else(|poisoned| poisoned.into_inner());
            let next = pair.0 + 1;
            *pair = (next, next);
        } else {
            let pair = world.pair.read().unwrap_or_else(|poisoned| poisoned.into_inner());
            assert_eq!(pair.0, pair.1);
        }
    }
}

/// Each that takes the baton was given it by another.
fn batons(random: &mut Random, world: &World) {
    let (held, given) = &world.baton;
    for _ in 0..random.below(20) {
        *held.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) += 1;
        given.notify_one();
        let guard = held.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (mut guard, _) = given
            .wait_timeout_while(guard, Duration::from_millis(5), |batons| *batons == 0)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        *guard = guard.saturating_sub(1);
    }
}

fn permits(random: &mut Random) {
    let (limit, inside) = (1 + random.below(3), Arc::new(AtomicU64::new(0)));
    let semaphore = Arc::new(Semaphore::new(limit as usize));
    let all: Vec<_> = (0..8)
        .map(|_| {
            let (semaphore, inside) = (Arc::clone(&semaphore), Arc::clone(&inside));
            spawn(move || {
                let permit = semaphore.acquire().unwrap();
                assert!(inside.fetch_add(1, SeqCst) < limit);
                thread::yield_now();
                inside.fetch_sub(1, SeqCst);
                drop(permit);
            })
        })
        .collect();
    all.into_iter().for_each(|one| one.join().unwrap());
}

/// A task for good or ill: what it does, and whether it may be cancelled or left behind.
fn task(kind: u64, mut random: Random, world: Arc<World>) -> JoinHandle<()> {
    let alive = Alive::new(&world);
    let name = format!("task of kind {kind}");
    let body = move || {
        let _alive = alive;
        match kind {
            0 => assert_eq!(tree(4), 81),
            1 => naps(&mut random),
            2 => echoes(&mut random),
            3 => storm(&mut random),
            4 => messages(&mut random, &world),
            5 => locks(&mut random, &world),
            6 => batons(&mut random, &world),
            7 => permits(&mut random),
            8 => std::panic::resume_unwind(Box::new("on purpose")),
            _ => thread::park_timeout(Duration::from_secs(3600)),
        }
    };
    thread::Builder::new().name(name).spawn(body).unwrap()
}

/// Begins tasks, cancels some, joins most, and leaves the rest to the shutdown.
fn round(mut random: Random, world: &Arc<World>) {
    let mut left = Vec::new();
    for _ in 0..TASKS {
        let kind = random.below(10);
        let handle = task(kind, Random(random.below(u64::MAX) | 1), Arc::clone(world));
        let cancelled = random.below(5) == 0;
        if cancelled {
            handle.cancel();
        }
        match random.below(4) {
            0 => left.push(handle),
            1 => drop(handle),
            _ if kind < 8 || cancelled => {
                let joined = handle.join();
                let excused = cancelled && (is_cancelled(&joined) || kind == 8);
                assert!(joined.is_ok() || excused, "a task of kind {kind} failed");
            }
            _ => left.push(handle),
        }
    }
}

#[test]
fn everything_at_once_leaves_nothing_behind() {
    let setting = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seconds = setting("DORMOUSE_STRESS_SECS").unwrap_or(2);
    let clock = || std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
    let seed = setting("DORMOUSE_STRESS_SEED").unwrap_or_else(clock) | 1;
    eprintln!("DORMOUSE_STRESS_SEED={seed}");
    bounded(seconds + 120, move || {
        let (mut random, end) = (Random(seed), Instant::now() + Duration::from_secs(seconds));
        let mut before = None;
        while Instant::now() < end {
            let world = Arc::new(World::default());
            let (own, numbers) = (Arc::clone(&world), Random(random.below(u64::MAX) | 1));
            let builder = Builder::new().workers(1 + random.below(4) as usize);
            builder.run(move || round(numbers, &own)).unwrap();
            assert_eq!(world.alive.load(SeqCst), 0, "tasks outlived their runtime");
            assert_eq!(world.in_flight.load(SeqCst), 0, "messages are in nobody's hands");
            let account = *world.account.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            assert_eq!(account, world.changes.load(SeqCst), "two held a lock at a time");
            // The first round opens what the process keeps.
            assert!(*before.get_or_insert(descriptors()) >= descriptors(), "descriptors are left");
        }
    });
}
