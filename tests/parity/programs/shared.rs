//! What threads share behind locks: the classics.

use super::super::sync::atomic::{AtomicUsize, Ordering};
use super::super::sync::{Arc, Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock, TryLockError};
use super::super::thread;
use super::Seen;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Five at a table, with a fork between any two; each takes the lower one first.
pub(super) fn dining_philosophers() -> Seen {
    let forks: Arc<Vec<_>> = Arc::new((0..5).map(|_| Mutex::new(0)).collect());
    let guests: Vec<_> = (0..5)
        .map(|seat| {
            let forks = Arc::clone(&forks);
            thread::spawn(move || {
                let (one, other) = (seat, (seat + 1) % 5);
                for _ in 0..50 {
                    let mut first = forks[one.min(other)].lock().unwrap();
                    thread::yield_now();
                    let mut second = forks[one.max(other)].lock().unwrap();
                    *first += 1;
                    *second += 1;
                }
            })
        })
        .collect();
    guests.into_iter().for_each(|guest| guest.join().unwrap());
    Ok(forks.iter().map(|fork| fork.lock().unwrap().to_string()).collect())
}

/// A queue that holds four.
#[derive(Default)]
struct Bounded {
    queue: Mutex<VecDeque<u32>>,
    not_full: Condvar,
    not_empty: Condvar,
}

impl Bounded {
    fn put(&self, item: u32) {
        let mut queue = self.not_full.wait_while(self.queue.lock().unwrap(), |queue| queue.len() == 4).unwrap();
        queue.push_back(item);
        drop(queue);
        self.not_empty.notify_one();
    }

    fn take(&self) -> u32 {
        let mut queue = self.queue.lock().unwrap();
        let item = loop {
            match queue.pop_front() {
                Some(item) => break item,
                None => queue = self.not_empty.wait(queue).unwrap(),
            }
        };
        drop(queue);
        self.not_full.notify_one();
        item
    }
}

pub(super) fn bounded_buffer() -> Seen {
    let buffer = Bounded::default();
    let sums: Vec<u32> = thread::scope(|s| {
        let buffer = &buffer;
        (0..3).for_each(|producer| {
            s.spawn(move || (0..100).for_each(|n| buffer.put(producer * 1000 + n)));
        });
        let takers: Vec<_> = (0..3).map(|_| s.spawn(move || (0..100).map(|_| buffer.take()).sum())).collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).collect()
    });
    let (left, timeout) =
        buffer.not_empty.wait_timeout(buffer.queue.lock().unwrap(), Duration::from_millis(1)).unwrap();
    Ok(vec![sums.iter().sum::<u32>().to_string(), left.len().to_string(), timeout.timed_out().to_string()])
}

/// Many look up, a few write what is missing.
pub(super) fn rwlock_cache() -> Seen {
    let (cache, misses) = (RwLock::new(HashMap::new()), AtomicUsize::new(0));
    let square = |n: u64| {
        if let Some(known) = cache.read().unwrap().get(&n) {
            return *known;
        }
        let mut cache = cache.write().unwrap();
        *cache.entry(n).or_insert_with(|| {
            misses.fetch_add(1, Ordering::Relaxed);
            thread::yield_now();
            n * n
        })
    };
    let sums: Vec<u64> = thread::scope(|s| {
        let readers: Vec<_> = (0..8).map(|_| s.spawn(|| (0..20).map(square).sum())).collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    let reading = cache.read().unwrap();
    let refused = matches!(cache.try_write(), Err(TryLockError::WouldBlock)) && cache.try_read().is_ok();
    Ok(vec![format!("{sums:?}"), misses.load(Ordering::Relaxed).to_string(), format!("{} {refused}", reading.len())])
}

/// Whoever comes first makes it, and nobody else; a panic is told to those who come later.
pub(super) fn made_once() -> Seen {
    static LAZY_CALLS: AtomicUsize = AtomicUsize::new(0);
    let (once, calls, cell) = (Once::new(), AtomicUsize::new(0), OnceLock::new());
    let lazy: LazyLock<usize> = LazyLock::new(|| {
        thread::yield_now();
        LAZY_CALLS.fetch_add(1, Ordering::Relaxed);
        7
    });
    LAZY_CALLS.store(0, Ordering::Relaxed);
    thread::scope(|s| {
        for n in 0..6 {
            let (once, calls, cell, lazy) = (&once, &calls, &cell, &lazy);
            s.spawn(move || {
                once.call_once(|| {
                    thread::yield_now();
                    calls.fetch_add(1, Ordering::Relaxed);
                });
                assert_eq!(calls.load(Ordering::Relaxed), 1);
                assert_eq!(*cell.get_or_init(|| n), *cell.wait());
                assert_eq!(**lazy, 7);
            });
        }
    });
    let set_again = cell.set(100);
    let broken: Arc<_> = Arc::new((Once::new(), Mutex::new(3_u8)));
    let breaks = Arc::clone(&broken);
    let panicked = thread::spawn(move || {
        let _guard = breaks.1.lock().unwrap();
        breaks.0.call_once(|| std::panic::resume_unwind(Box::new("no")));
    });
    let payload = panicked.join().unwrap_err();
    let mut was_poisoned = false;
    broken.0.call_once_force(|state| was_poisoned = state.is_poisoned());
    let lock = broken.1.lock().unwrap_err();
    Ok(vec![
        format!("{} {} {:?}", calls.load(Ordering::Relaxed), LAZY_CALLS.load(Ordering::Relaxed), set_again),
        format!("{:?} {was_poisoned} {}", payload.downcast_ref::<&str>(), broken.0.is_completed()),
        format!("{lock} {:?} {}", broken.1, broken.1.is_poisoned()),
    ])
}

/// Nobody begins a round before all have ended the last one, and each has one leader.
pub(super) fn barrier_rounds() -> Seen {
    const PARTIES: usize = 4;
    let (barrier, written, leaders) = (Barrier::new(PARTIES), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|s| {
        for _ in 0..PARTIES {
            s.spawn(|| {
                for round in 1..=10 {
                    written.fetch_add(1, Ordering::SeqCst);
                    if barrier.wait().is_leader() {
                        leaders.fetch_add(1, Ordering::SeqCst);
                    }
                    assert_eq!(written.load(Ordering::SeqCst), round * PARTIES);
                    barrier.wait();
                }
            });
        }
    });
    Ok(vec![written.into_inner().to_string(), leaders.into_inner().to_string()])
}
