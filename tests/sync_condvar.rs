//! `Condvar`: as std's, and who waits parks; a notification reaches somebody, whoever is cancelled or times out.

mod net_support;
mod support;

use dormouse::sync::{Arc, Condvar, Mutex, WaitTimeoutResult};
use dormouse::{Builder, spawn, spawn_local, thread};
use net_support::in_three_settings;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};
use support::{OnDrop, Random, bounded, is_cancelled, message, run};

/// Long enough never to pass in a test.
const FOREVER: Duration = Duration::from_secs(3600);

/// Lets the others of this worker run until they wait for something.
fn settle() {
    (0..10).for_each(|_| thread::yield_now());
}

/// Tokens that one waits for.
#[derive(Debug, Default)]
struct Tokens {
    count: Mutex<usize>,
    some: Condvar,
}

impl Tokens {
    fn give(&self, count: usize) {
        *self.count.lock().unwrap() += count;
    }

    fn take(&self) {
        let mut count = self.some.wait_while(self.count.lock().unwrap(), |count| *count == 0).unwrap();
        *count -= 1;
    }
}

#[test]
fn it_has_the_traits_and_the_looks_of_std() {
    fn traits<T: Send + Sync + UnwindSafe + RefUnwindSafe + Default + std::fmt::Debug>() {}
    fn result<T: Copy + Eq + std::fmt::Debug + Send + Sync>() {}
    static STATIC: Condvar = Condvar::new();
    traits::<Condvar>();
    result::<WaitTimeoutResult>();
    STATIC.notify_all();
    assert_eq!(format!("{STATIC:?}"), format!("{:?}", std::sync::Condvar::new()));
    let (ours, std) = (Condvar::new(), std::sync::Condvar::new());
    let (our_mutex, std_mutex) = (Mutex::new(()), std::sync::Mutex::new(()));
    let our_result = ours.wait_timeout(our_mutex.lock().unwrap(), Duration::ZERO).unwrap().1;
    let std_result = std.wait_timeout(std_mutex.lock().unwrap(), Duration::ZERO).unwrap().1;
    assert_eq!(format!("{our_result:?}"), format!("{std_result:?}"));
    assert!(our_result.timed_out());
}

/// std's own examples: of `wait`, `wait_while`, `wait_timeout`, `wait_timeout_while`, `notify_one` and `notify_all`.
#[test]
fn the_examples_of_std_hold() {
    in_three_settings(|setting| {
        for way in 0..4 {
            let pair = Arc::new((Mutex::new(false), Condvar::new()));
            let other = Arc::clone(&pair);
            let starter = setting.client(move || {
                let (lock, condvar) = &*other;
                *lock.lock().unwrap() = true;
                if way % 2 == 0 { condvar.notify_one() } else { condvar.notify_all() }
            });
            let (lock, condvar) = &*pair;
            let mut started = lock.lock().unwrap();
            match way {
                0 => {
                    while !*started {
                        started = condvar.wait(started).unwrap();
                    }
                }
                1 => started = condvar.wait_while(started, |started| !*started).unwrap(),
                2 => loop {
                    let waited = condvar.wait_timeout(started, Duration::from_millis(10)).unwrap();
                    started = waited.0;
                    if *started {
                        break;
                    }
                },
                _ => {
                    let waited = condvar.wait_timeout_while(started, FOREVER, |started| !*started).unwrap();
                    started = waited.0;
                    assert!(!waited.1.timed_out());
                }
            }
            assert!(*started);
            drop(started);
            starter.join();
        }
    });
}

#[test]
fn a_timeout_is_never_early() {
    in_three_settings(|setting| {
        setting
            .client(|| {
                let (mutex, condvar) = (Mutex::new(0), Condvar::new());
                for micros in [0, 1, 300, 2_500, 20_000] {
                    let (timeout, start) = (Duration::from_micros(micros), Instant::now());
                    let (guard, result) = condvar.wait_timeout(mutex.lock().unwrap(), timeout).unwrap();
                    assert!(result.timed_out() && start.elapsed() >= timeout);
                    let start = Instant::now();
                    let (guard, result) = condvar.wait_timeout_while(guard, timeout, |_| true).unwrap();
                    assert!(result.timed_out() && start.elapsed() >= timeout);
                    let result = condvar.wait_timeout_while(guard, timeout, |_| false).unwrap().1;
                    assert!(!result.timed_out());
                    assert!(mutex.try_lock().is_ok());
                }
            })
            .join();
    });
}

#[test]
#[allow(deprecated)]
fn a_timeout_may_be_longer_than_any_clock_and_in_milliseconds() {
    in_three_settings(|setting| {
        let tokens = Arc::new(Tokens::default());
        let other = Arc::clone(&tokens);
        let waiter = setting.client(move || {
            let guard = other.count.lock().unwrap();
            let waited = other.some.wait_timeout_while(guard, Duration::MAX, |count| *count == 0).unwrap();
            assert!(!waited.1.timed_out());
            assert!(!other.some.wait_timeout_ms(waited.0, 2).unwrap().1);
        });
        tokens.give(1);
        tokens.some.notify_one();
        waiter.join();
    });
}

#[test]
fn those_who_wait_are_notified_in_order_one_at_a_time() {
    bounded(10, || {
        run(|| {
            let (tokens, order) = (Rc::new(Tokens::default()), Rc::new(RefCell::new(Vec::new())));
            let waiters: Vec<_> = (0..10)
                .map(|n| {
                    let (tokens, order) = (Rc::clone(&tokens), Rc::clone(&order));
                    spawn_local(move || {
                        drop(tokens.some.wait(tokens.count.lock().unwrap()).unwrap());
                        order.borrow_mut().push(n);
                    })
                })
                .collect();
            tokens.some.notify_one();
            settle();
            for n in 0..5 {
                tokens.some.notify_one();
                settle();
                assert_eq!(*order.borrow(), (0..=n).collect::<Vec<_>>());
            }
            tokens.some.notify_all();
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
            assert_eq!(*order.borrow(), (0..10).collect::<Vec<_>>());
        });
    });
}

#[test]
fn a_cancel_takes_the_mutex_again_before_it_unwinds() {
    bounded(10, || {
        run(|| {
            let tokens = Rc::new(Tokens::default());
            let other = Rc::clone(&tokens);
            let waiter = spawn_local(move || other.take());
            settle();
            let guard = tokens.count.lock().unwrap();
            waiter.cancel();
            settle();
            assert!(!waiter.is_finished(), "it waits for the mutex");
            drop(guard);
            assert!(is_cancelled(&waiter.join()));
            assert!(tokens.count.is_poisoned(), "it held the mutex when it unwound");
            assert!(!matches!(tokens.count.try_lock(), Err(std::sync::TryLockError::WouldBlock)), "and freed it");
        });
    });
}

/// A cancel that is due already strikes before the wait, and the mutex is not let go in between.
#[test]
fn a_cancel_that_is_due_strikes_before_the_wait() {
    bounded(10, || {
        run(|| {
            let tokens = Rc::new(Tokens::default());
            let handle: Rc<RefCell<Option<thread::LocalJoinHandle<()>>>> = Rc::default();
            let (own, other) = (Rc::clone(&handle), Rc::clone(&tokens));
            *handle.borrow_mut() = Some(spawn_local(move || {
                own.borrow().as_ref().unwrap().cancel();
                let _freed = OnDrop(|| assert!(other.count.is_poisoned()));
                other.take();
            }));
            settle();
            assert!(is_cancelled(&handle.take().unwrap().join()));
        });
    });
}

#[test]
fn a_notification_that_chose_a_cancelled_waiter_goes_to_the_next() {
    bounded(10, || {
        run(|| {
            let (mutex, condvar) = (Rc::new(Mutex::new(0)), Rc::new(Condvar::new()));
            let waiter = || {
                let (mutex, condvar) = (Rc::clone(&mutex), Rc::clone(&condvar));
                spawn_local(move || {
                    // The mutex is poisoned by the cancelled one; that is not what this is about.
                    let guard = mutex.lock().unwrap_or_else(|error| error.into_inner());
                    drop(condvar.wait(guard));
                })
            };
            let (first, second, third) = (waiter(), waiter(), waiter());
            settle();
            // The cancel makes the first one ready, but it has not run when it is chosen.
            first.cancel();
            condvar.notify_one();
            assert!(is_cancelled(&first.join()));
            second.join().unwrap();
            settle();
            assert!(!third.is_finished(), "one notification, one waiter");
            condvar.notify_one();
            third.join().unwrap();
        });
    });
}

/// Cancels, timeouts and notifications at random, from everywhere: as many takers end as tokens are given.
#[test]
fn no_notification_is_lost_to_cancels_and_timeouts() {
    const TAKERS: usize = 30;
    const ROUNDS: usize = 30;
    bounded(60, || {
        let work = || {
            let mut random = Random(7);
            for _ in 0..ROUNDS {
                let tokens = Arc::new((Mutex::new(0usize), Condvar::new()));
                let taker = |impatient: bool| {
                    let tokens = Arc::clone(&tokens);
                    spawn(move || {
                        let mut count = tokens.0.lock().unwrap_or_else(|error| error.into_inner());
                        while *count == 0 {
                            let waits = if impatient { Duration::from_micros(50) } else { FOREVER };
                            count = tokens.1.wait_timeout(count, waits).unwrap_or_else(|error| error.into_inner()).0;
                        }
                        *count -= 1;
                    })
                };
                let patient: Vec<_> = (0..TAKERS).map(|n| taker(n % 5 == 0)).collect();
                let doomed: Vec<_> = (0..TAKERS).map(|_| taker(false)).collect();
                let mut handles = doomed.iter();
                for _ in 0..TAKERS {
                    let one = random.below(2) == 0;
                    if one {
                        handles.next().unwrap().cancel();
                    }
                    *tokens.0.lock().unwrap_or_else(|error| error.into_inner()) += 1;
                    tokens.1.notify_one();
                    if random.below(4) == 0 {
                        thread::yield_now();
                    }
                }
                handles.for_each(|handle| handle.cancel());
                let taken = doomed.into_iter().filter_map(|handle| handle.join().ok()).count();
                *tokens.0.lock().unwrap_or_else(|error| error.into_inner()) += taken;
                // From here on nobody is cancelled: who still waits must have what was notified, or be notified now.
                (0..taken).for_each(|_| tokens.1.notify_one());
                patient.into_iter().for_each(|handle| handle.join().unwrap());
                assert_eq!(*tokens.0.lock().unwrap_or_else(|error| error.into_inner()), 0);
            }
        };
        Builder::new().workers(3).run(work).unwrap();
    });
}

#[test]
fn waiting_within_an_unwind_neither_aborts_nor_hangs() {
    for cancelled in [false, true] {
        bounded(10, move || {
            run(|| {
                let tokens = Rc::new(Tokens::default());
                let other = Rc::clone(&tokens);
                let unwinder = spawn_local(move || {
                    let _takes = OnDrop(|| other.take());
                    if cancelled {
                        thread::park();
                    }
                    std::panic::resume_unwind(Box::new(()));
                });
                settle();
                unwinder.cancel();
                settle();
                assert!(!unwinder.is_finished());
                tokens.give(1);
                tokens.some.notify_one();
                assert_eq!(is_cancelled(&unwinder.join()), cancelled);
                assert!(!tokens.count.is_poisoned());
            });
        });
    }
}

#[test]
fn inside_no_park_it_panics_and_frees_the_mutex() {
    bounded(10, || {
        run(|| {
            let tokens = Tokens::default();
            let refused = catch_unwind(AssertUnwindSafe(|| thread::no_park(|| tokens.take())));
            assert!(message(&*refused.unwrap_err()).contains("no_park"));
            assert!(tokens.count.is_poisoned());
            tokens.count.clear_poison();
            assert!(tokens.count.try_lock().is_ok());
        });
    });
}

#[test]
fn a_mutex_that_was_poisoned_meanwhile_is_told() {
    in_three_settings(|setting| {
        let tokens = Arc::new(Tokens::default());
        let (other, waits) = (Arc::clone(&tokens), Arc::new(Mutex::new(false)));
        let begun = Arc::clone(&waits);
        let waiter = setting.client(move || {
            let guard = other.count.lock().unwrap();
            *begun.lock().unwrap() = true;
            other.some.wait(guard).is_err()
        });
        support::eventually(10, "the waiter has the mutex", || *waits.lock().unwrap());
        let other = Arc::clone(&tokens);
        let body = move || {
            let _guard = other.count.lock().unwrap();
            std::panic::resume_unwind(Box::new(()));
        };
        assert!(catch_unwind(AssertUnwindSafe(|| setting.server(body).join())).is_err());
        tokens.some.notify_one();
        assert!(waiter.join());
    });
}

#[test]
fn it_serves_two_mutexes_at_a_time() {
    bounded(10, || {
        run(|| {
            let condvar = Rc::new(Condvar::new());
            let waiters: Vec<_> = (0..4)
                .map(|n| {
                    let condvar = Rc::clone(&condvar);
                    spawn_local(move || *condvar.wait(Mutex::new(n).lock().unwrap()).unwrap())
                })
                .collect();
            settle();
            condvar.notify_all();
            waiters.into_iter().enumerate().for_each(|(n, waiter)| assert_eq!(waiter.join().unwrap(), n));
        });
    });
}

/// A bounded buffer with two condition variables, between coroutines of many workers and plain threads.
#[test]
fn many_producers_and_consumers() {
    const EACH: u64 = 500;
    const PARTIES: usize = 6;
    in_three_settings(|setting| {
        type Buffer = (Mutex<VecDeque<u64>>, Condvar, Condvar);
        let buffer: Arc<Buffer> = Arc::default();
        let producers: Vec<_> = (0..PARTIES)
            .map(|n| {
                let buffer = Arc::clone(&buffer);
                setting.nth(n, move || {
                    for value in 0..EACH {
                        let full = |items: &mut VecDeque<u64>| items.len() >= 4;
                        buffer.1.wait_while(buffer.0.lock().unwrap(), full).unwrap().push_back(value);
                        buffer.2.notify_one();
                    }
                })
            })
            .collect();
        let consumers: Vec<_> = (0..PARTIES)
            .map(|n| {
                let buffer = Arc::clone(&buffer);
                setting.nth(n + 1, move || {
                    let mut sum = 0;
                    for _ in 0..EACH {
                        let empty = |items: &mut VecDeque<u64>| items.is_empty();
                        sum += buffer.2.wait_while(buffer.0.lock().unwrap(), empty).unwrap().pop_front().unwrap();
                        buffer.1.notify_one();
                    }
                    sum
                })
            })
            .collect();
        producers.into_iter().for_each(|producer| producer.join());
        let sum: u64 = consumers.into_iter().map(|consumer| consumer.join()).sum();
        assert_eq!(sum, PARTIES as u64 * EACH * (EACH - 1) / 2);
    });
}
