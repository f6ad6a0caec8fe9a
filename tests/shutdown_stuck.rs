//! The end of a runtime one of whose workers never gets out of a coroutine: whoever joins what is kept there, parked or not
//! even started, is told that it is lost, however and from wherever it joins; and once. If the worker comes back after all,
//! nothing is handed over or dropped a second time.

mod support;

use dormouse::cancel::as_errors;
use dormouse::sync::mpsc::{Receiver, Sender, channel};
use dormouse::time::timeout;
use dormouse::{Builder, Runtime, block_on, spawn, thread};
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use support::{OnDrop, bounded, child, eventually, is_cancelled, run};

/// How long the end is to wait for what does not end.
const GRACE: Duration = Duration::from_millis(20);

/// Counts its Drop.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// What a coroutine here gives, if it ever does.
type Kept = thread::JoinHandle<Counted>;

/// A runtime of one worker, which a coroutine keeps until it is let go.
struct Stuck {
    runtime: Runtime,
    /// The coroutines kept there: parked and unstarted ones in turn.
    kept: Vec<Kept>,
    /// How many results were dropped, of those that came to be.
    dropped: Arc<AtomicUsize>,
    let_go: Arc<AtomicBool>,
}

/// One that swallows its cancel and gives a result.
fn stubborn(dropped: &Arc<AtomicUsize>) -> impl FnOnce() -> Counted + Send + 'static {
    let result = Counted(Arc::clone(dropped));
    move || {
        let _ = catch_unwind(thread::park);
        result
    }
}

impl Stuck {
    fn new(each: usize) -> Stuck {
        let runtime = Builder::new().workers(1).name_prefix("burrow").build().unwrap();
        let (dropped, let_go) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counts, waits) = (Arc::clone(&dropped), Arc::clone(&let_go));
        let (sends, handles): (Sender<Vec<Kept>>, Receiver<_>) = channel();
        drop(runtime.spawn(move || {
            let parked: Vec<_> = (0..each).map(|_| spawn(stubborn(&counts))).collect();
            thread::sleep(Duration::from_millis(5));
            let unstarted: Vec<_> = (0..each).map(|_| spawn(stubborn(&counts))).collect();
            let kept = parked.into_iter().zip(unstarted).flat_map(|(parked, unstarted)| [parked, unstarted]);
            sends.send(kept.collect()).unwrap();
            while !waits.load(SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }));
        let kept = handles.recv().unwrap();
        Stuck { runtime, kept, dropped, let_go }
    }
}

/// All ways to wait for a handle.
const WAYS: [fn(Kept) -> std::thread::Result<Counted>; 4] =
    [|kept| kept.join(), |kept| block_on(kept), |kept| run(|| kept.join()), |kept| run(|| block_on(kept))];

/// Calls `wait` with each of the handles on a thread of its own; whether each was told of a loss.
fn wait_each(kept: Vec<Kept>) -> Vec<std::thread::JoinHandle<bool>> {
    let ways = WAYS.into_iter().flat_map(|way| [way, way]).cycle();
    kept.into_iter().zip(ways).map(|(kept, way)| std::thread::spawn(move || is_cancelled(&way(kept)))).collect()
}

#[test]
fn whoever_joins_what_a_stuck_worker_keeps_is_told_once() {
    let ended = child("whoever_joins_what_a_stuck_worker_keeps_is_told_once", 30, || {
        let Stuck { runtime, mut kept, dropped, let_go } = Stuck::new(8);
        let late = kept.split_off(8);
        // Those who wait already, and those who come later.
        let early = wait_each(kept);
        std::thread::sleep(Duration::from_millis(20));
        assert!(late.iter().all(|kept| !kept.is_finished()));
        runtime.shutdown_timeout(GRACE);
        assert!(early.into_iter().all(|told| told.join().unwrap()));
        assert!(late.iter().all(thread::JoinHandle::is_finished));
        assert!(wait_each(late).into_iter().all(|told| told.join().unwrap()));
        assert_eq!(dropped.load(SeqCst), 0, "nothing of it has ended");
        let_go.store(true, SeqCst);
        eventually(10, "the worker comes back and ends all", || dropped.load(SeqCst) == 16);
        eprintln!("went on");
    });
    ended.succeeded();
    ended.said(&["worker 'burrow-0' runs coroutine", "which does not yield", "went on"]);
}

/// The same where who waits for the end is told by its own timeout to wait no longer, by an unwind or by an error.
#[test]
fn an_end_that_is_not_waited_for_tells_them_too() {
    let waits: [fn(Runtime); 2] =
        [|runtime| runtime.shutdown_timeout(GRACE), |runtime| as_errors(|| runtime.shutdown_timeout(GRACE))];
    for (wait, throws) in waits.into_iter().zip([true, false]) {
        bounded(30, move || {
            let Stuck { runtime, kept, let_go, .. } = Stuck::new(1);
            let ended = run(|| timeout(GRACE, || wait(runtime)));
            assert_eq!(ended.is_err(), throws);
            assert!(wait_each(kept).into_iter().all(|told| told.join().unwrap()));
            let_go.store(true, SeqCst);
        });
    }
}

/// The same where nobody waits for the end.
#[test]
fn an_end_in_the_background_tells_them_too() {
    let ends: [fn(Runtime); 2] = [Runtime::shutdown_background, |runtime| run(|| dormouse::no_park(|| drop(runtime)))];
    for end in ends {
        bounded(30, move || {
            let runtime = Builder::new().workers(1).shutdown_timeout(GRACE).build().unwrap();
            let (let_go, (sends, handle)) = (Arc::new(AtomicBool::new(false)), channel());
            let waits = Arc::clone(&let_go);
            drop(runtime.spawn(move || {
                sends.send(spawn(|| 1)).unwrap();
                while !waits.load(SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }));
            let handle = handle.recv().unwrap();
            end(runtime);
            assert!(is_cancelled(&handle.join()));
            let_go.store(true, SeqCst);
        });
    }
}

/// The results that a worker hands over on its way back, and the joiners who are told of a loss, meet at every moment; each
/// result has one owner.
#[test]
fn a_worker_that_comes_back_in_that_moment_hands_over_once() {
    /// How many of the sixteen were told of a loss, if the worker comes back at the moment `nth`.
    fn told_at(nth: u64) -> usize {
        let Stuck { runtime, kept, dropped, let_go } = Stuck::new(8);
        let (waits, (begins, begun)) = (wait_each(kept), channel());
        let ends = std::thread::spawn(move || {
            begins.send(()).unwrap();
            runtime.shutdown_timeout(Duration::ZERO);
        });
        begun.recv().unwrap();
        // The thread is given up half a second after the deadline.
        std::thread::sleep(Duration::from_micros(499_000 + 250 * nth));
        let_go.store(true, SeqCst);
        let told = waits.into_iter().map(|wait| usize::from(wait.join().unwrap())).sum();
        ends.join().unwrap();
        eventually(10, "each result is dropped", || dropped.load(SeqCst) == 16);
        told
    }
    bounded(120, || {
        // One after the other they would wait for six seconds, on a busy machine for minutes.
        let rounds: Vec<_> = (0..12).map(|nth| std::thread::spawn(move || told_at(nth))).collect();
        let told: Vec<_> = rounds.into_iter().map(|round| round.join().unwrap()).collect();
        assert!(told.iter().sum::<usize>() > 0);
    });
}

/// A scope waits for a child that may still use what it borrows, whatever a join of that child says.
#[test]
fn a_scope_is_not_left_before_a_lost_child_has_ended() {
    bounded(60, || {
        let (let_go, used) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (lets, uses) = (Arc::clone(&let_go), Arc::clone(&used));
        let runtime = Builder::new().workers(2).build().unwrap();
        let (sends, stuck) = channel();
        let scoped = runtime.spawn(move || {
            let gone = AtomicBool::new(false);
            let _gone = OnDrop(|| gone.store(true, SeqCst));
            let (own, begun) = (std::thread::current().id(), AtomicBool::new(false));
            thread::scope(|s| {
                let children: Vec<_> = (0..40)
                    .map(|_| {
                        s.spawn(|| {
                            if std::thread::current().id() != own {
                                begun.store(true, SeqCst);
                                while !lets.load(SeqCst) {
                                    assert!(!gone.load(SeqCst), "its frame is gone");
                                    uses.fetch_add(1, SeqCst);
                                    std::thread::sleep(Duration::from_millis(1));
                                }
                            }
                        })
                    })
                    .collect();
                // Keeps its worker until the other one has taken a child.
                while !begun.load(SeqCst) {
                    std::hint::spin_loop();
                }
                sends.send(()).unwrap();
                for child in children {
                    let _ = child.join();
                }
            });
        });
        stuck.recv().unwrap();
        runtime.shutdown_timeout(GRACE);
        assert!(is_cancelled(&scoped.join()));
        let before = used.load(SeqCst);
        eventually(10, "the child goes on", || used.load(SeqCst) > before + 5);
        let_go.store(true, SeqCst);
    });
}

/// Those that are leaked with the one that keeps the worker: whether that has just started, alone or after them, or goes on.
#[test]
fn what_is_leaked_with_it_is_counted() {
    fn spin(begins: &Sender<()>) {
        begins.send(()).unwrap();
        loop {
            std::thread::park();
        }
    }
    fn five_parked_and_some_that_end() {
        (0..5).for_each(|_| drop(spawn(thread::park)));
        (0..3).for_each(|_| drop(spawn(|| ())));
    }
    const WAYS: [fn(&Runtime, Sender<()>); 3] = [
        |runtime, begins| {
            runtime.run(five_parked_and_some_that_end).unwrap();
            drop(runtime.spawn(move || spin(&begins)));
        },
        |runtime, begins| {
            let all = move || {
                five_parked_and_some_that_end();
                drop(spawn(move || spin(&begins)));
            };
            runtime.run(all).unwrap();
        },
        |runtime, begins| {
            let goes_on = runtime.spawn(move || {
                thread::park();
                spin(&begins);
            });
            runtime.run(five_parked_and_some_that_end).unwrap();
            goes_on.thread().unpark();
        },
    ];
    let ended = child("what_is_leaked_with_it_is_counted", 20, || {
        for way in WAYS {
            let (begins, begun) = channel();
            let runtime = Builder::new().workers(1).build().unwrap();
            way(&runtime, begins);
            begun.recv().unwrap();
            runtime.shutdown_timeout(GRACE);
        }
    });
    ended.succeeded();
    assert_eq!(ended.stderr.matches("and 5 other coroutines of it are leaked").count(), 3, "{}", ended.stderr);
}
