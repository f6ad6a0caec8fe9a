//! Signals end waits of coroutines and of plain threads. Each test raises them in a process of its own.

mod support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::signal::{self, Signals};
use dormouse::{Builder, spawn, thread};
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::*;

/// Sends a signal to this process: any thread may get it.
fn send(signal: i32) {
    // SAFETY: takes no pointer.
    assert_eq!(unsafe { libc::kill(libc::getpid(), signal) }, 0);
}

/// Sends a signal to this thread, which has handled it on return.
fn raise(signal: i32) {
    // SAFETY: takes no pointer.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// Whether `f` holds in a child of fork(2), which ends without doing anything else.
fn holds_in_fork(f: impl FnOnce() -> bool) -> bool {
    // SAFETY: what the child does needs nothing of other threads but the allocator, to which libc sees.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_or(false);
        // SAFETY: ends the process; nothing runs after it.
        unsafe { libc::_exit(i32::from(!held)) };
    }
    let mut status = 0;
    // SAFETY: the status lives for the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    status == 0
}

#[test]
fn ctrl_c_ends_a_coroutines_wait_and_a_threads() {
    let ended = child("ctrl_c_ends_a_coroutines_wait_and_a_threads", 20, || {
        // One that stays, so that a wait that has not begun yet does not end the process.
        let first = Signals::new(&[signal::SIGINT]).unwrap();
        let done = Arc::new(AtomicU32::new(0));
        let tells = Arc::clone(&done);
        let on_thread = std::thread::spawn(move || {
            signal::ctrl_c().unwrap();
            tells.fetch_add(1, SeqCst);
        });
        run(|| {
            let tells = Arc::clone(&done);
            let waiting = spawn(move || {
                signal::ctrl_c().unwrap();
                tells.fetch_add(1, SeqCst);
            });
            thread::yield_now();
            assert_eq!(done.load(SeqCst), 0);
            eventually(10, "both were told", || {
                send(signal::SIGINT);
                done.load(SeqCst) == 2
            });
            waiting.join().unwrap();
        });
        on_thread.join().unwrap();
        assert_eq!(first.wait().unwrap(), signal::SIGINT);
    });
    ended.succeeded();
}

#[test]
fn every_listener_gets_each_signal_that_it_wants() {
    let ended = child("every_listener_gets_each_signal_that_it_wants", 20, || {
        let both = [signal::SIGUSR1, signal::SIGUSR2];
        let listeners: Vec<_> = (0..20).map(|_| Signals::new(&both).unwrap()).collect();
        let other = Signals::new(&[signal::SIGHUP]).unwrap();
        Builder::new()
            .workers(2)
            .run(|| {
                let (on_threads, in_coroutines) = (listeners.len() / 2, listeners.len());
                let mut listeners = listeners.into_iter();
                let wait = |listener: Signals| {
                    move || {
                        let mut got = [listener.wait().unwrap(), listener.wait().unwrap()];
                        got.sort_unstable();
                        assert_eq!((got, listener.try_wait().unwrap()), (both, None));
                    }
                };
                let both = [signal::SIGUSR1, signal::SIGUSR2];
                let _ = both;
                let threads: Vec<_> =
                    listeners.by_ref().take(on_threads).map(|l| std::thread::spawn(wait(l))).collect();
                let coroutines: Vec<_> = listeners.take(in_coroutines).map(|l| spawn(wait(l))).collect();
                thread::sleep(Duration::from_millis(1));
                send(signal::SIGUSR2);
                send(signal::SIGUSR1);
                coroutines.into_iter().for_each(|coroutine| coroutine.join().unwrap());
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            })
            .unwrap();
        assert_eq!(other.try_wait().unwrap(), None);
    });
    ended.succeeded();
}

#[test]
fn those_who_share_a_listener_share_its_signals() {
    let ended = child("those_who_share_a_listener_share_its_signals", 20, || {
        let all: Vec<i32> = (40..56).collect();
        let shared = Arc::new(Signals::new(&all).unwrap());
        let wait = |shared: &Arc<Signals>| {
            let shared = Arc::clone(shared);
            move || shared.wait().unwrap()
        };
        let mut got: Vec<i32> = Builder::new()
            .workers(2)
            .run(|| {
                let coroutines: Vec<_> = (0..8).map(|_| spawn(wait(&shared))).collect();
                let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(wait(&shared))).collect();
                thread::sleep(Duration::from_millis(2));
                all.iter().for_each(|signal| send(*signal));
                let from_coroutines = coroutines.into_iter().map(|coroutine| coroutine.join().unwrap());
                from_coroutines.chain(threads.into_iter().map(|thread| thread.join().unwrap())).collect()
            })
            .unwrap();
        got.sort_unstable();
        assert_eq!(got, all, "each signal once");
    });
    ended.succeeded();
}

#[test]
fn none_is_lost_between_two_waits_and_many_are_one() {
    let ended = child("none_is_lost_between_two_waits_and_many_are_one", 60, || {
        let signals = Signals::new(&[signal::SIGUSR1]).unwrap();
        let count = |signals: &Signals| {
            (0..10_000).for_each(|_| {
                send(signal::SIGUSR1);
                assert_eq!(signals.wait().unwrap(), signal::SIGUSR1);
            })
        };
        count(&signals);
        run(|| count(&signals));
        (0..100).for_each(|_| raise(signal::SIGUSR1));
        assert_eq!((signals.wait().unwrap(), signals.try_wait().unwrap()), (signal::SIGUSR1, None));
    });
    ended.succeeded();
}

#[test]
fn a_wait_times_out_and_can_be_cancelled() {
    let ended = child("a_wait_times_out_and_can_be_cancelled", 20, || {
        let times_out = |signals: &Signals| {
            let start = Instant::now();
            let error = signals.wait_timeout(Duration::from_millis(3)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(start.elapsed() >= Duration::from_millis(3));
        };
        let signals = Arc::new(Signals::new(&[signal::SIGTERM]).unwrap());
        times_out(&signals);
        run(|| {
            times_out(&signals);
            let waits = Arc::clone(&signals);
            let cancelled = spawn(move || waits.wait());
            thread::yield_now();
            cancelled.cancel();
            assert!(is_cancelled(&cancelled.join()));
            send(signal::SIGTERM);
            assert_eq!(signals.wait_timeout(Duration::from_secs(10)).unwrap(), signal::SIGTERM);
        });
        // In another runtime, and with the runtime gone.
        run(|| times_out(&signals));
        send(signal::SIGTERM);
        assert_eq!(signals.wait().unwrap(), signal::SIGTERM);
    });
    ended.succeeded();
}

#[test]
fn what_cannot_be_waited_for_is_refused() {
    let refused =
        [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, 0, -1, 65, 32];
    for signal in refused {
        let error = Signals::new(&[signal::SIGWINCH, signal]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "signal {signal}");
    }
    assert_eq!(signal::wait(&[]).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn listeners_that_come_and_go_cost_nothing_that_stays() {
    let ended = child("listeners_that_come_and_go_cost_nothing_that_stays", 30, || {
        let mut before = 0;
        for round in 0..300 {
            run(|| {
                let signals = Signals::new(&[signal::SIGUSR1]).unwrap();
                assert!(signals.wait_timeout(Duration::from_micros(1)).is_err());
                raise(signal::SIGUSR1);
                assert_eq!(signals.wait().unwrap(), signal::SIGUSR1);
                raise(signal::SIGUSR1);
            });
            if round == 10 {
                before = descriptors();
            }
        }
        assert_eq!(descriptors(), before);
        // Nobody listens, and the process goes on.
        (0..100).for_each(|_| raise(signal::SIGUSR1));
    });
    ended.succeeded();
}

/// Held back and let go together, they are handled one after another: an alternate stack has room for hardly more.
#[test]
fn many_signals_at_once_fit_a_small_stack() {
    let ended = child("many_signals_at_once_fit_a_small_stack", 20, || {
        let all: Vec<i32> = (40..64).collect();
        let signals = Signals::new(&all).unwrap();
        let storm = || {
            // SAFETY: a zeroed set is one, and lives for the calls.
            let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
            // SAFETY: as above.
            unsafe { libc::sigfillset(&raw mut set) };
            // SAFETY: as above; the old mask is not asked for.
            assert_eq!(unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) }, 0);
            all.iter().for_each(|signal| raise(*signal));
            // SAFETY: as above.
            assert_eq!(unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) }, 0);
            let got: Vec<_> = std::iter::from_fn(|| signals.try_wait().unwrap()).collect();
            assert_eq!(got, all);
        };
        std::thread::scope(|s| s.spawn(storm).join().unwrap());
        run(storm);
    });
    ended.succeeded();
}

static CHAINED: AtomicU32 = AtomicU32::new(0);

extern "C" fn was_there_before(_: libc::c_int) {
    CHAINED.fetch_add(1, SeqCst);
    // SAFETY: always there, of this thread.
    unsafe { *libc::__errno_location() = libc::EXDEV };
}

#[test]
fn the_handler_calls_the_one_before_and_keeps_errno() {
    let ended = child("the_handler_calls_the_one_before_and_keeps_errno", 20, || {
        // SAFETY: the handler is async-signal-safe.
        unsafe { libc::signal(signal::SIGUSR1, was_there_before as *const () as usize) };
        let signals: Vec<_> = (0..3).map(|_| Signals::new(&[signal::SIGUSR1]).unwrap()).collect();
        // SAFETY: always there, of this thread.
        unsafe { *libc::__errno_location() = libc::ENOTTY };
        raise(signal::SIGUSR1);
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ENOTTY));
        assert_eq!(CHAINED.load(SeqCst), 1);
        signals.iter().for_each(|signals| assert_eq!(signals.try_wait().unwrap(), Some(signal::SIGUSR1)));
    });
    ended.succeeded();
}

/// 10,000 signals while two workers echo, connect and sleep: every system call is interrupted somewhere.
#[test]
fn a_storm_of_signals_disturbs_no_io() {
    let ended = child("a_storm_of_signals_disturbs_no_io", 120, || {
        static STORM_IS_OVER: AtomicBool = AtomicBool::new(false);
        let signals = Signals::new(&[signal::SIGUSR1, signal::SIGUSR2]).unwrap();
        let storm = std::thread::spawn(|| {
            for _ in 0..10_000 {
                send(signal::SIGUSR1);
                std::thread::yield_now();
            }
            STORM_IS_OVER.store(true, SeqCst);
            send(signal::SIGUSR2);
        });
        let rounds = Builder::new()
            .workers(2)
            .run(|| {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let addr = listener.local_addr().unwrap();
                spawn(move || {
                    loop {
                        let (mut client, _) = listener.accept().unwrap();
                        spawn(move || {
                            let mut buffer = vec![0; 1000];
                            while client.read_exact(&mut buffer).is_ok() {
                                client.write_all(&buffer).unwrap();
                            }
                        });
                    }
                });
                let clients: Vec<_> = (0..8)
                    .map(|_| {
                        spawn(move || {
                            let mut rounds = 0u32;
                            while !STORM_IS_OVER.load(SeqCst) || rounds < 10 {
                                let mut stream = TcpStream::connect(addr).unwrap();
                                for _ in 0..10 {
                                    let sent = rounds.to_ne_bytes().repeat(250);
                                    let mut got = vec![0; 1000];
                                    stream.write_all(&sent).unwrap();
                                    stream.read_exact(&mut got).unwrap();
                                    assert_eq!(got, sent);
                                    rounds += 1;
                                }
                                thread::sleep(Duration::from_micros(100));
                            }
                            rounds
                        })
                    })
                    .collect();
                let mut storms = 0u32;
                while signals.wait().unwrap() == signal::SIGUSR1 {
                    storms += 1;
                }
                assert!(storms > 0);
                clients.into_iter().map(|client| client.join().unwrap()).sum::<u32>()
            })
            .unwrap();
        storm.join().unwrap();
        assert!(rounds >= 80);
    });
    ended.succeeded();
}

#[test]
fn who_waits_for_a_signal_makes_no_wake_ups() {
    let ended = child("who_waits_for_a_signal_makes_no_wake_ups", 30, || {
        let worker = thread_number();
        let counts = std::thread::spawn(move || {
            // The trim of what is parked comes a second after the first park, once.
            std::thread::sleep(Duration::from_millis(1_500));
            let before = wake_ups(worker);
            std::thread::sleep(Duration::from_millis(1_000));
            let after = wake_ups(worker);
            send(signal::SIGTERM);
            after - before
        });
        run(|| assert_eq!(signal::wait(&[signal::SIGTERM]).unwrap(), signal::SIGTERM));
        assert_eq!(counts.join().unwrap(), 0);
    });
    ended.succeeded();
}

#[test]
fn a_forked_child_neither_wakes_nor_robs_its_parents_listeners() {
    let ended = child("a_forked_child_neither_wakes_nor_robs_its_parents_listeners", 60, || {
        let parents = Arc::new(Signals::new(&[signal::SIGUSR1]).unwrap());
        let waits = Arc::clone(&parents);
        let (tells, told) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn(move || {
            tells.send(thread_number()).unwrap();
            waits.wait().unwrap()
        });
        let number = told.recv().unwrap();
        let asleep = || std::fs::read_to_string(format!("/proc/self/task/{number}/stat")).unwrap().contains(") S ");
        eventually(5, "it waits", asleep);
        let before = wake_ups(number);
        let held = holds_in_fork(|| {
            let refused = parents.try_wait().is_err() && parents.wait().is_err();
            // To this process, for which nobody listens yet; then somebody does.
            send(signal::SIGUSR1);
            let own = Signals::new(&[signal::SIGUSR1]).unwrap();
            let nothing = own.try_wait().unwrap().is_none();
            send(signal::SIGUSR1);
            refused
                && nothing
                && own.wait().unwrap() == signal::SIGUSR1
                && run(|| {
                    send(signal::SIGUSR1);
                    own.wait().unwrap() == signal::SIGUSR1
                })
        });
        assert!(held);
        assert_eq!(wake_ups(number), before, "woken by the child's signals");
        // Nor does one take away what the parent has not taken.
        send(signal::SIGUSR1);
        assert_eq!(waiting.join().unwrap(), signal::SIGUSR1);
        send(signal::SIGUSR1);
        assert!(holds_in_fork(|| {
            let parents = parents;
            let refused = parents.wait().is_err();
            drop(parents);
            refused
        }));
    });
    ended.succeeded();
}
