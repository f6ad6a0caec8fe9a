//! What does one yield cost, among 1, 100, 1,000 and 10,000 coroutines that all do nothing else?
//!
//! A yield is a suspension, the scheduler's choice of who is next, and a resumption. The peers are tokio's current-thread
//! runtime and may with one worker; the floor is corosensei's bare suspend and resume in the same order, with no scheduler,
//! on stacks of the same size: *coloured* as dormouse's own, or *plain*, with all tops at the same page offset.
//!
//! Excluded: the start of the runtime, the spawns and the first run of each coroutine, and their ends. Time counts from
//! when the last coroutine has started to when the first has done its share, and is divided by the resumptions between.
//! tokio runs without its I/O and time drivers, which would cost it an epoll_wait(2) a round; may runs on a thread of its
//! own, pinned to a core.

use corosensei::Coroutine;
use criterion::{BenchmarkId, Criterion, SamplingMode};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How many coroutines there are.
const COUNTS: [usize; 4] = [1, 100, 1_000, 10_000];

/// Yields in one measurement, at least.
const LEAST_YIELDS: u64 = 200_000;

/// Bytes of a bare stack: the default of dormouse.
const STACK_SIZE: usize = 64 << 10;

/// Bytes between two colours, and how many colours there are: those of dormouse.
const COLOUR_STEP: usize = 64;
const COLOURS: usize = 16;

/// The phases of a [`Race`].
const GATHERING: u8 = 0;
const RUNNING: u8 = 1;
const OVER: u8 = 2;

/// Lets so many coroutines yield so often each.
type Runner = fn(count: usize, rounds: u64) -> PerYield;

fn main() {
    may::config().set_workers(1);
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots()
        .configure_from_args();
    switch(&mut criterion);
    criterion.final_summary();
}

fn switch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("yield");
    group.sampling_mode(SamplingMode::Flat);
    let runners: [(&str, Runner); 5] = [
        ("dormouse", dormouse),
        ("corosensei coloured", |count, rounds| bare(count, rounds, COLOURS)),
        ("corosensei plain", |count, rounds| bare(count, rounds, 1)),
        ("tokio", tokio),
        ("may", may),
    ];
    for count in COUNTS {
        for (name, run) in runners {
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter_custom(|iters| {
                    let rounds = iters.max(LEAST_YIELDS) / count as u64;
                    run(count, rounds).times(iters)
                });
            });
        }
    }
}

/// What was measured.
struct PerYield {
    /// From the first yield to the last.
    took: Duration,
    /// How many there were.
    yields: u64,
}

impl PerYield {
    /// What `iters` yields would take.
    fn times(&self, iters: u64) -> Duration {
        Duration::from_secs_f64(self.took.as_secs_f64() * iters as f64 / self.yields as f64)
    }
}

/// What the coroutines of one measurement share: when it begins, and when it ends.
struct Race {
    /// How many coroutines take part.
    count: usize,
    /// How often the first to end it is resumed.
    rounds: u64,
    /// How many have started.
    arrived: AtomicUsize,
    /// `GATHERING`, `RUNNING` or `OVER`.
    phase: AtomicU8,
    /// When the last had started.
    begin: OnceLock<Instant>,
    /// How long it then took.
    took: OnceLock<Duration>,
    /// Resumptions in that time, of those who have left.
    resumes: AtomicU64,
}

impl Race {
    fn new(count: usize, rounds: u64) -> Arc<Race> {
        Arc::new(Race {
            count,
            rounds,
            arrived: AtomicUsize::new(0),
            phase: AtomicU8::new(GATHERING),
            begin: OnceLock::new(),
            took: OnceLock::new(),
            resumes: AtomicU64::new(0),
        })
    }

    /// A coroutine has started.
    fn arrive(&self) {
        if self.arrived.fetch_add(1, Relaxed) + 1 == self.count {
            self.phase.store(RUNNING, Relaxed);
            let _ = self.begin.set(Instant::now());
        }
    }

    /// After a resumption, which it counts in `resumes`; `false` when it is time to leave.
    fn goes_on(&self, resumes: &mut u64) -> bool {
        let phase = self.phase.load(Relaxed);
        if phase == RUNNING {
            *resumes += 1;
            if *resumes == self.rounds {
                let _ = self.took.set(self.begin.get().expect("set as it began").elapsed());
                self.phase.store(OVER, Relaxed);
            }
        }
        phase != OVER
    }

    /// A coroutine ends.
    fn leave(&self, resumes: u64) {
        self.resumes.fetch_add(resumes, Relaxed);
    }

    /// When all have left.
    fn result(&self) -> PerYield {
        PerYield { took: *self.took.get().expect("over"), yields: self.resumes.load(Relaxed) }
    }

    /// What each coroutine runs, if it yields by a plain call.
    fn run(&self, yield_now: impl Fn()) {
        let mut resumes = 0;
        self.arrive();
        loop {
            yield_now();
            if !self.goes_on(&mut resumes) {
                break;
            }
        }
        self.leave(resumes);
    }
}

fn dormouse(count: usize, rounds: u64) -> PerYield {
    let race = Race::new(count, rounds);
    let run = || {
        let spawn = |_| {
            let race = Arc::clone(&race);
            dormouse::spawn(move || race.run(dormouse::thread::yield_now))
        };
        let handles: Vec<_> = (0..count).map(spawn).collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    };
    dormouse::Builder::new().workers(1).stack_size(STACK_SIZE).run(run).unwrap();
    race.result()
}

fn tokio(count: usize, rounds: u64) -> PerYield {
    let race = Race::new(count, rounds);
    let runner = |race: Arc<Race>| async move {
        let mut resumes = 0;
        race.arrive();
        loop {
            tokio::task::yield_now().await;
            if !race.goes_on(&mut resumes) {
                break;
            }
        }
        race.leave(resumes);
    };
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let handles: Vec<_> = (0..count).map(|_| tokio::spawn(runner(Arc::clone(&race)))).collect();
        for handle in handles {
            handle.await.unwrap();
        }
    });
    race.result()
}

fn may(count: usize, rounds: u64) -> PerYield {
    let race = Race::new(count, rounds);
    let shared = Arc::clone(&race);
    // Spawned from a coroutine, since whoever yields keeps may from looking at what other threads spawn.
    let main = move || {
        let spawn = |_| {
            let race = Arc::clone(&shared);
            // SAFETY: the closure touches no thread-local, and some hundred bytes of its stack.
            unsafe { may::coroutine::spawn(move || race.run(may::coroutine::yield_now)) }
        };
        let handles: Vec<_> = (0..count).map(spawn).collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    };
    // SAFETY: as above.
    unsafe { may::coroutine::spawn(main) }.join().unwrap();
    race.result()
}

/// Suspends and resumes without a scheduler, `colours` different offsets of a stack's base apart.
fn bare(count: usize, rounds: u64, colours: usize) -> PerYield {
    let mapping = Mapping::new(count);
    let start = |index| {
        let body = |yielder: &corosensei::Yielder<bool, ()>, mut goes_on: bool| {
            while goes_on {
                goes_on = yielder.suspend(());
            }
        };
        let mut coroutine = Coroutine::with_stack(mapping.stack(index, colours), body);
        coroutine.resume(true);
        coroutine
    };
    let mut coroutines: Vec<_> = (0..count).map(start).collect();
    let begin = Instant::now();
    for _ in 0..rounds {
        for coroutine in &mut coroutines {
            coroutine.resume(true);
        }
    }
    let took = begin.elapsed();
    coroutines.iter_mut().for_each(|coroutine| assert!(coroutine.resume(false).as_return().is_some()));
    PerYield { took, yields: rounds * count as u64 }
}

/// The memory of all bare stacks.
struct Mapping {
    /// Where it begins.
    start: usize,
    /// How long it is.
    bytes: usize,
}

impl Mapping {
    /// Room for `count` stacks, with one more for alignment.
    fn new(count: usize) -> Mapping {
        let bytes = (count + 1) * STACK_SIZE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping anywhere touches nobody's memory.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        // SAFETY: the mapping just made; the advice changes no content. A kernel without huge pages refuses it.
        let _ = unsafe { libc::madvise(start, bytes, libc::MADV_NOHUGEPAGE) };
        Mapping { start: start as usize, bytes }
    }

    /// The stack of this index; to be asked for once, and not used after the mapping is gone.
    fn stack(&self, index: usize, colours: usize) -> BareStack {
        let limit = self.start.next_multiple_of(STACK_SIZE) + index * STACK_SIZE;
        let colour = (limit / STACK_SIZE) % colours;
        let address = |address| NonZeroUsize::new(address).expect("inside a mapping");
        BareStack { base: address(limit + STACK_SIZE - colour * COLOUR_STEP), limit: address(limit) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `new`; the coroutines on it have ended, and were declared after it.
        unsafe { libc::munmap(self.start as *mut _, self.bytes) };
    }
}

/// One stack in a [`Mapping`].
struct BareStack {
    /// Where a coroutine begins to push.
    base: NonZeroUsize,
    /// The lowest address.
    limit: NonZeroUsize,
}

// SAFETY: both addresses are 16-aligned, and mapped memory lies between them. There is no guard page: what runs there
// uses some hundred bytes of 64 KiB.
unsafe impl corosensei::stack::Stack for BareStack {
    fn base(&self) -> NonZeroUsize {
        self.base
    }

    fn limit(&self) -> NonZeroUsize {
        self.limit
    }
}
