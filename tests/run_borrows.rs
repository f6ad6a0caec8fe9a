//! `run` takes a closure that borrows from the caller's frames. It is not left, by whatever way, while anything may use them; and
//! what is leaked at its end borrows from what stays.

mod support;

use dormouse::{Builder, spawn_local, thread};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{OnDrop, child, eventually, limit, run};

/// What the caller's frame holds.
struct Frame {
    /// Whether `run` has been left.
    left: AtomicBool,
    /// How often children have used it.
    used: AtomicUsize,
}

impl Frame {
    fn new() -> Frame {
        Frame { left: AtomicBool::new(false), used: AtomicUsize::new(0) }
    }

    /// A child that keeps the other worker for longer than any grace, and uses the frame.
    fn use_for_long(&self) {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(900) {
            if self.left.load(SeqCst) {
                eprintln!("used after run was left");
                std::process::abort();
            }
            self.used.fetch_add(1, SeqCst);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Opens a scope, one of whose children does that on another thread than this.
    fn lend(&self) {
        let (own, taken) = (std::thread::current().id(), AtomicBool::new(false));
        thread::scope(|s| {
            for _ in 0..40 {
                s.spawn(|| {
                    if std::thread::current().id() != own && !taken.swap(true, SeqCst) {
                        self.use_for_long();
                    }
                });
            }
            compute_until(&taken);
        });
    }
}

/// Keeps its worker, so that the other one takes what was spawned.
fn compute_until(begun: &AtomicBool) {
    let begin = Instant::now();
    while !begun.load(SeqCst) {
        assert!(begin.elapsed() < Duration::from_secs(5), "nobody took a child");
        std::hint::spin_loop();
    }
}

fn two_workers() -> Builder {
    Builder::new().workers(2).shutdown_timeout(Duration::ZERO)
}

#[test]
fn it_is_not_left_while_a_child_uses_what_the_closure_or_its_destructors_lend() {
    let ended = child("it_is_not_left_while_a_child_uses_what_the_closure_or_its_destructors_lend", 30, || {
        let ways: [fn(&Frame); 3] = [
            |frame| frame.lend(),
            |frame| drop(OnDrop(|| frame.lend())),
            |frame| {
                let _in_unwind = OnDrop(|| frame.lend());
                panic!("unwinds");
            },
        ];
        for (index, way) in ways.into_iter().enumerate() {
            let frame = Frame::new();
            let result = catch_unwind(AssertUnwindSafe(|| two_workers().run(|| way(&frame)).unwrap()));
            frame.left.store(true, SeqCst);
            assert_eq!(result.is_err(), index == 2);
            // In an unwind a coroutine is spawned, and runs, as long as the end has not begun.
            assert!(frame.used.load(SeqCst) > 10, "{index}");
        }
    });
    ended.succeeded();
}

/// A closure that is never called, for want of a stack, is dropped; and its captures may do the same in their destructors.
#[test]
fn nor_while_one_uses_what_its_captures_lend() {
    let ended = child("nor_while_one_uses_what_its_captures_lend", 30, || {
        two_workers().run(|| ()).unwrap();
        let frame = Frame::new();
        let used = support::status_field("/proc/self/status", "VmSize") << 10;
        limit(libc::RLIMIT_AS, used + (64 << 20));
        let lends = OnDrop(|| frame.lend());
        let refused = two_workers().main_stack_size(128 << 20).run(move || {
            let _lends = lends;
            unreachable!("there is no stack");
        });
        frame.left.store(true, SeqCst);
        assert!(refused.is_err());
        assert!(frame.used.load(SeqCst) > 10, "{}", frame.used.load(SeqCst));
    });
    ended.succeeded();
}

dormouse::thread_local! {
    static LOCAL: [AtomicUsize; 8] = const { [const { AtomicUsize::new(7) }; 8] };
}

/// One that is leaked in a scope on the caller's thread, while a child of it keeps another worker: what it has lent is there.
#[test]
fn what_a_leaked_one_has_lent_stays() {
    let ended = child("what_a_leaked_one_has_lent_stays", 30, || {
        static READ: AtomicUsize = AtomicUsize::new(0);
        static WRONG: AtomicBool = AtomicBool::new(false);
        let begun = Arc::new(AtomicBool::new(false));
        let begins = Arc::clone(&begun);
        let main = move || {
            let own = std::thread::current().id();
            spawn_local(move || {
                let (frame, heap) = ([7usize; 64], vec![7usize; 64]);
                LOCAL.with(|local| {
                    thread::scope(|s| {
                        for _ in 0..40 {
                            s.spawn(|| {
                                while std::thread::current().id() != own {
                                    begins.store(true, SeqCst);
                                    let locals = local.iter().map(|value| value.load(SeqCst)).sum::<usize>();
                                    let all = frame.iter().chain(&heap).sum::<usize>() + locals;
                                    WRONG.fetch_or(all != 7 * (64 + 64 + 8), SeqCst);
                                    READ.fetch_add(1, SeqCst);
                                    std::thread::sleep(Duration::from_micros(100));
                                }
                            });
                        }
                        compute_until(&begins);
                    })
                });
            });
            eventually(5, "a child runs elsewhere", || begun.load(SeqCst));
        };
        two_workers().run(main).unwrap();
        let before = READ.load(SeqCst);
        // Whatever was given back is used by others now.
        eventually(10, "the child reads on", || {
            run(|| (0..100).for_each(|_| drop(dormouse::spawn(thread::park))));
            drop(std::hint::black_box((1..200).map(|size| vec![1u8; 16 * size]).collect::<Vec<_>>()));
            READ.load(SeqCst) > before + 500
        });
        assert!(!WRONG.load(SeqCst), "what it borrows is gone");
    });
    ended.succeeded();
    ended.said(&["is leaked", "which does not yield"]);
}
