//! Where no thread is to be had for it, the count of who waits in its unwind stays with the worker's thread. Then nobody can tell who
//! unwinds, and nothing is thrown; but nobody is refused anything, and what was to strike strikes when that is over.

use super::support::{OnDrop, child, is_cancelled, limit, run};
use super::{LONG, SOON, end, no_thread_is_to_be_had, settle, suspended, unwinding, unwinding_with};
use dormouse::net::{TcpListener, TcpStream};
use dormouse::sync::Mutex;
use dormouse::{Builder, cancel, spawn_local, thread, time};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::thread::panicking;
use std::time::Instant;

/// Runs `body` in a child of this process, which no thread is to be had in for a while.
fn alone(test: &str, body: fn()) {
    child(&format!("without_threads::{test}"), 20, body).succeeded();
}

/// Calls `f` where no thread is to be had and another coroutine waits in its unwind, which is then to end that one.
fn meanwhile(f: impl FnOnce(thread::LocalJoinHandle<()>) + Send + 'static) {
    run(move || {
        let _no_threads = no_thread_is_to_be_had();
        let other = suspended();
        assert!(panicking(), "it is on the thread's count");
        f(other);
        assert!(!panicking());
    });
    assert!(!panicking());
}

#[test]
fn nobody_is_thrown_into_an_unwind() {
    alone("nobody_is_thrown_into_an_unwind", || {
        meanwhile(|other| {
            let start = Instant::now();
            assert_eq!(time::timeout(SOON, || thread::sleep(4 * SOON)), Ok(()), "nothing strikes");
            assert!(start.elapsed() >= 4 * SOON);
            let also = spawn_local(|| unwinding(thread::yield_now));
            let waits = spawn_local(|| thread::park_timeout(4 * SOON));
            settle();
            waits.cancel();
            assert!(waits.join().is_ok() && also.join().is_ok());
            end(other);
            assert!(!panicking());
            limit(libc::RLIMIT_AS, u64::MAX);
            let other = suspended();
            assert!(!panicking());
            assert!(time::timeout(SOON, || thread::sleep(LONG)).is_err());
            end(other);
        });
    });
}

#[test]
fn peers_are_waited_for() {
    alone("peers_are_waited_for", || {
        meanwhile(|other| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let serves = spawn_local(move || {
                for _ in 0..10 {
                    let mut stream = listener.accept().unwrap().0;
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    stream.write_all(&byte).unwrap();
                }
            });
            for sent in 0..10 {
                let mut stream = TcpStream::connect(address).unwrap();
                thread::yield_now();
                stream.write_all(&[sent]).unwrap();
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                assert_eq!(byte, [sent]);
            }
            serves.join().unwrap();
            assert!(panicking(), "all the while");
            end(other);
        });
    });
}

/// Who certainly does not unwind poisons nothing, and who certainly does poisons.
#[test]
fn locks_are_poisoned_by_whom_it_is_known_of() {
    alone("locks_are_poisoned_by_whom_it_is_known_of", || {
        run(|| {
            let locks = Rc::new([const { Mutex::new(()) }; 4]);
            let [before, within, cancelled, returns] = &*locks;
            let held = before.lock().unwrap();
            let known = Rc::clone(&locks);
            let waits = spawn_local(move || {
                let _held = known[2].lock();
                thread::park();
            });
            settle();
            let _no_threads = no_thread_is_to_be_had();
            let known = Rc::clone(&locks);
            let other = spawn_local(move || unwinding_with(|| (OnDrop(thread::park), known[3].lock())));
            settle();
            assert!(panicking() && !thread::panicking(), "std does not know, the worker does");
            drop(held);
            drop(within.lock().unwrap());
            assert!(!before.is_poisoned() && !within.is_poisoned());
            waits.cancel();
            assert!(is_cancelled(&waits.join()), "what waited before is struck as ever");
            assert!(cancelled.is_poisoned());
            end(other);
            assert!(returns.is_poisoned());
        });
    });
}

/// At once, where its time has come meanwhile; and else when it comes.
#[test]
fn a_wait_begun_meanwhile_is_struck_when_it_is_over() {
    alone("a_wait_begun_meanwhile_is_struck_when_it_is_over", || {
        meanwhile(|other| {
            let start = Instant::now();
            let over = spawn_local(|| time::timeout(SOON, || thread::sleep(LONG)));
            let ahead = spawn_local(|| time::timeout(20 * SOON, || thread::park_timeout(LONG)));
            let peer = spawn_local(|| {
                let (mut ours, _theirs) = dormouse::os::unix::net::UnixStream::pair().unwrap();
                time::timeout(SOON, || ours.read(&mut [0])).map(|read| read.is_ok())
            });
            let own = spawn_local(move || time::timeout(LONG, || thread::sleep(10 * SOON)).map(|()| start.elapsed()));
            let cancelled = spawn_local(thread::park);
            settle();
            cancelled.cancel();
            thread::sleep(2 * SOON);
            assert!(!over.is_finished() && !ahead.is_finished() && !peer.is_finished() && !cancelled.is_finished());
            end(other);
            settle();
            assert!(over.is_finished() && peer.is_finished() && cancelled.is_finished(), "at once");
            assert!(over.join().unwrap().is_err() && peer.join().unwrap().is_err() && is_cancelled(&cancelled.join()));
            assert!(ahead.join().unwrap().is_err());
            assert!(start.elapsed() >= 20 * SOON, "in its time");
            assert!(own.join().unwrap().unwrap() >= 10 * SOON);
        });
    });
}

#[test]
fn a_loop_that_asks_lets_the_others_end_it() {
    alone("a_loop_that_asks_lets_the_others_end_it", || {
        meanwhile(|other| {
            other.thread().unpark();
            let asks: fn() = || {
                loop {
                    cancel::check();
                }
            };
            assert!(time::timeout(SOON, asks).is_err());
            other.join().unwrap();
        });
    });
}

/// One that waits again and again in its unwind need not end for that, once there is a thread.
#[test]
fn it_is_over_once_nobody_else_is_in_doubt() {
    alone("it_is_over_once_nobody_else_is_in_doubt", || {
        run(|| {
            let no_threads = no_thread_is_to_be_had();
            let waits = spawn_local(|| {
                unwinding(|| {
                    assert!(spawn_local(panicking).join().unwrap(), "it is on the thread's count");
                    limit(libc::RLIMIT_AS, u64::MAX);
                    assert!(!spawn_local(panicking).join().unwrap(), "it is taken off");
                    assert!(panicking());
                });
            });
            waits.join().unwrap();
            drop(no_threads);
            assert!(!panicking());
        });
    });
}

/// Some of what is counted was taken off, some not, of unwinds in unwinds, and who goes on first is as it comes.
#[test]
fn counts_of_which_some_are_taken_off_come_out_even() {
    fn nest(depth: u32) {
        if depth == 0 {
            for _ in 0..3 {
                thread::park();
                assert!(panicking());
            }
            return;
        }
        unwinding(|| nest(depth - 1));
    }
    alone("counts_of_which_some_are_taken_off_come_out_even", || {
        run(|| {
            let waits = |depth| {
                let handle = spawn_local(move || {
                    nest(depth);
                    unwinding(thread::park);
                });
                settle();
                handle
            };
            let (two, one) = (waits(2), waits(1));
            assert!(!panicking());
            let _no_threads = no_thread_is_to_be_had();
            // There is one coin left of four, and seven are wanted.
            let all = [two, one, waits(7), waits(3)];
            assert!(panicking());
            let mut random = super::support::Random(12345);
            while !all.iter().all(thread::LocalJoinHandle::is_finished) {
                all[random.below(4) as usize].thread().unpark();
                settle();
            }
            assert!(!panicking());
            all.into_iter().for_each(|one| one.join().unwrap());
        });
        assert!(!panicking());
    });
}

/// A runtime that would have to set its caller's count aside for itself does not start, and harms nothing.
#[test]
fn a_runtime_in_a_drop_of_an_unwind_says_so() {
    alone("a_runtime_in_a_drop_of_an_unwind_says_so", || {
        let starts = || Builder::new().workers(1).run(panicking);
        let no_threads = no_thread_is_to_be_had();
        unwinding(|| {
            assert_eq!(starts().unwrap_err().raw_os_error(), Some(libc::EAGAIN));
            assert!(panicking());
        });
        assert!(!panicking());
        drop(no_threads);
        limit(libc::RLIMIT_AS, u64::MAX);
        unwinding(|| assert!(!starts().unwrap()));
        assert!(!starts().unwrap());
    });
}

/// A panic is one as ever.
#[test]
fn one_that_only_panics_meanwhile_is_caught() {
    alone("one_that_only_panics_meanwhile_is_caught", || {
        meanwhile(|other| {
            let panics = spawn_local(|| {
                let caught = catch_unwind(AssertUnwindSafe(|| resume_unwind(Box::new(7))));
                assert_eq!(*caught.unwrap_err().downcast::<i32>().unwrap(), 7);
                panic!("comes out of join");
            });
            assert_eq!(super::support::message(&*panics.join().unwrap_err()), "comes out of join");
            end(other);
        });
    });
}
