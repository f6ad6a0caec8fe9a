//! `yield_now` goes round, and nobody who yields keeps others from running.

mod support;

use dormouse::{Builder, spawn, spawn_local, thread};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::{bounded, run};

#[test]
fn yields_go_round_robin() {
    bounded(10, || {
        run(|| {
            let (order, started) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(0)));
            let handles: Vec<_> = (0..5)
                .map(|name| {
                    let (order, started) = (Rc::clone(&order), Rc::clone(&started));
                    spawn_local(move || {
                        started.set(started.get() + 1);
                        while started.get() < 5 {
                            thread::yield_now();
                        }
                        for _ in 0..20 {
                            order.borrow_mut().push(name);
                            thread::yield_now();
                        }
                    })
                })
                .collect();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
            let order = order.borrow();
            assert_eq!(order.len(), 100);
            // Who comes first depends on when the last of them was started.
            let first = order[0];
            assert!(order.chunks(5).all(|turn| turn.iter().copied().eq((first..5).chain(0..first))), "{order:?}");
        });
    });
}

#[test]
fn a_yield_alone_returns() {
    bounded(10, || {
        run(|| (0..100_000).for_each(|_| thread::yield_now()));
    });
}

#[test]
fn coroutines_start_while_others_yield_all_the_time() {
    bounded(10, || {
        run(|| {
            for _ in 0..200 {
                spawn(|| {
                    loop {
                        thread::yield_now();
                    }
                });
            }
            for n in 0..500 {
                assert_eq!(spawn(move || n).join().unwrap(), n);
            }
        });
    });
}

#[test]
fn those_that_yield_run_while_another_spawns_all_the_time() {
    bounded(10, || {
        run(|| {
            let stop = Rc::new(Cell::new(false));
            let spawner = {
                let stop = Rc::clone(&stop);
                spawn_local(move || {
                    let mut spawned = 0u64;
                    while !stop.get() {
                        for _ in 0..100 {
                            drop(spawn(|| ()));
                        }
                        spawned += 100;
                        thread::yield_now();
                    }
                    spawned
                })
            };
            (0..200).for_each(|_| thread::yield_now());
            stop.set(true);
            assert!(spawner.join().unwrap() > 0);
        });
    });
}

#[test]
fn a_chain_of_spawns_without_end_starves_nobody() {
    fn next(stop: Arc<AtomicBool>) {
        if !stop.load(SeqCst) {
            drop(spawn(move || next(stop)));
        }
    }
    bounded(10, || {
        run(|| {
            let stop = Arc::new(AtomicBool::new(false));
            next(Arc::clone(&stop));
            (0..200).for_each(|_| thread::yield_now());
            thread::sleep(Duration::from_millis(2));
            stop.store(true, SeqCst);
        });
    });
}

#[test]
fn timers_fire_while_others_yield_all_the_time() {
    bounded(10, || {
        run(|| {
            for _ in 0..100 {
                spawn(|| {
                    loop {
                        thread::yield_now();
                    }
                });
            }
            for _ in 0..20 {
                thread::sleep(Duration::from_millis(1));
            }
            thread::park_timeout(Duration::from_millis(1));
        });
    });
}

#[test]
fn messages_arrive_while_others_yield_all_the_time() {
    bounded(10, || {
        run(|| {
            for _ in 0..100 {
                spawn(|| {
                    loop {
                        thread::yield_now();
                    }
                });
            }
            for _ in 0..50 {
                let me = thread::current();
                let other = std::thread::spawn(move || me.unpark());
                thread::park();
                other.join().unwrap();
            }
        });
    });
}

/// Computes 10 ms between yields. While it does, nobody runs; but each of its yields gives every other a turn.
#[test]
fn one_that_computes_long_between_yields_delays_others_by_no_more_than_a_turn() {
    bounded(20, || {
        run(|| {
            let turns = Rc::new(Cell::new(0u32));
            let computing = {
                let turns = Rc::clone(&turns);
                spawn_local(move || {
                    loop {
                        let start = Instant::now();
                        while start.elapsed() < Duration::from_millis(10) {
                            std::hint::spin_loop();
                        }
                        turns.set(turns.get() + 1);
                        thread::yield_now();
                    }
                })
            };
            thread::yield_now();
            for _ in 0..20 {
                let before = turns.get();
                thread::sleep(Duration::from_millis(1));
                // It was due during the turn that ran when it fell asleep; one more may have begun before it was noticed.
                assert!(turns.get() - before <= 2, "{} turns", turns.get() - before);
            }
            for _ in 0..20 {
                let before = turns.get();
                let me = thread::current();
                let other = std::thread::spawn(move || me.unpark());
                other.join().unwrap();
                thread::park();
                thread::yield_now();
                assert!(turns.get() - before <= 3, "{} turns", turns.get() - before);
            }
            computing.cancel();
        });
    });
}

/// As above, among many that compute less: the pace of looks must not be set by the many.
#[test]
fn a_timer_fires_between_long_turns_among_many_short_ones() {
    bounded(20, || {
        run(|| {
            let long_turns = Rc::new(Cell::new(0u32));
            for _ in 0..200 {
                spawn(|| {
                    loop {
                        thread::yield_now();
                    }
                });
            }
            for _ in 0..10 {
                let long_turns = Rc::clone(&long_turns);
                spawn_local(move || {
                    loop {
                        let start = Instant::now();
                        while start.elapsed() < Duration::from_millis(5) {
                            std::hint::spin_loop();
                        }
                        long_turns.set(long_turns.get() + 1);
                        thread::yield_now();
                    }
                });
            }
            (0..3).for_each(|_| thread::yield_now());
            for _ in 0..10 {
                let before = long_turns.get();
                thread::sleep(Duration::from_millis(1));
                // One round of the ready queue has ten of them; a timer that is due waits for no more than that.
                assert!(long_turns.get() - before <= 20, "{} long turns", long_turns.get() - before);
            }
        });
    });
}

#[test]
fn a_sleep_of_nothing_in_a_loop_lets_others_run() {
    bounded(10, || {
        Builder::new()
            .workers(1)
            .run(|| {
                spawn(|| {
                    loop {
                        thread::sleep(Duration::ZERO);
                    }
                });
                (0..1000).for_each(|_| thread::yield_now());
                thread::sleep(Duration::from_millis(2));
                spawn(|| ()).join().unwrap();
            })
            .unwrap();
    });
}
