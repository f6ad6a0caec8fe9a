//! In a child of fork(2) the parent's runtime is dead: its use is a clear panic, never a hang, and the parent feels nothing.
//! What needs no runtime works, and `run` makes another.

mod support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::sync::{Condvar, Mutex, Semaphore, mpsc};
use dormouse::{Builder, Runtime, block_on, spawn, thread};
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::*;

/// How long a child may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process that this one made, which does `f` and nothing else. Its exit status is 0 if `f` returned.
fn fork(f: impl FnOnce()) -> i32 {
    // SAFETY: what the child does needs nothing of other threads but the allocator, to which libc sees.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        let held = catch_unwind(AssertUnwindSafe(f)).is_ok();
        // SAFETY: ends the process; nothing runs after it.
        unsafe { libc::_exit(i32::from(!held)) };
    }
    child
}

/// The status with which a child ended. Panics, and ends it, if it hangs.
#[track_caller]
fn status_of(child: i32) -> i32 {
    let (start, mut status) = (Instant::now(), 0);
    loop {
        // SAFETY: the status lives for the call.
        match unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } {
            0 if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_micros(200)),
            0 => {
                // SAFETY: takes no pointer; a child that is not waited for yet keeps its number.
                unsafe { libc::kill(child, libc::SIGKILL) };
                panic!("hung: the child was not done within {PATIENCE:?}");
            }
            ended => {
                assert_eq!(ended, child);
                return status;
            }
        }
    }
}

/// Panics unless `f` comes to its end in a child.
#[track_caller]
fn in_fork(f: impl FnOnce()) {
    assert_eq!(status_of(fork(f)), 0, "the child failed");
}

/// A child's own, to be used up: what a process has of a value is its own, and its parent keeps another.
fn own<T>(value: &T) -> T {
    // SAFETY: in a child, which never gets to the original again: it ends where `f` does.
    unsafe { std::ptr::read(value) }
}

/// Panics unless `f` does, and says why.
#[track_caller]
fn is_dead<R>(f: impl FnOnce() -> R) {
    let message = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => "it returned".into(),
        Err(payload) => message(&*payload),
    };
    assert!(message.contains("child of fork(2)"), "{message}");
}

/// A connection, both ends of it.
fn pair() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, peer)
}

#[test]
fn a_plain_thread_of_a_child_needs_no_runtime() {
    let ended = child("a_plain_thread_of_a_child_needs_no_runtime", 60, || {
        // Coroutines of the parent wait for everything.
        let (lock, condvar, semaphore) =
            (Arc::new(Mutex::new(0)), Arc::new(Condvar::new()), Arc::new(Semaphore::new(1)));
        let permit = semaphore.acquire();
        let held = lock.lock().unwrap();
        for round in 0..20 {
            let (lock, condvar, semaphore) = (Arc::clone(&lock), Arc::clone(&condvar), Arc::clone(&semaphore));
            spawn(move || match round % 3 {
                0 => drop(lock.lock().unwrap()),
                1 => drop(condvar.wait(lock.lock().unwrap())),
                _ => drop(semaphore.acquire()),
            });
        }
        std::thread::sleep(Duration::from_millis(5));
        in_fork(|| {
            drop(own(&held));
            *lock.lock().unwrap() += 1;
            assert_eq!(*lock.lock().unwrap(), 1);
            let (sends, receives) = mpsc::channel();
            let peer = std::thread::spawn(move || receives.iter().sum::<u32>());
            (0..100).for_each(|value| sends.send(value).unwrap());
            drop(sends);
            assert_eq!(peer.join().unwrap(), (0..100).sum());
            let (mut ours, mut peer) = pair();
            let peer = std::thread::spawn(move || {
                let mut got = [0; 5];
                peer.read_exact(&mut got).unwrap();
                peer.write_all(&got).unwrap();
            });
            ours.write_all(b"hello").unwrap();
            ours.read_exact(&mut [0; 5]).unwrap();
            peer.join().unwrap();
            assert_eq!(block_on(async { 7 }), 7);
        });
        std::mem::forget(permit);
    });
    ended.succeeded();
}

#[test]
fn a_child_runs_a_runtime_of_its_own() {
    let ended = child("a_child_runs_a_runtime_of_its_own", 60, || {
        fn works() {
            let sum = Builder::new().workers(2).run(|| {
                let (mut ours, mut peer) = pair();
                let echo = spawn(move || ours.read_exact(&mut [0; 5]));
                thread::sleep(Duration::from_millis(1));
                peer.write_all(b"hello").unwrap();
                echo.join().unwrap().unwrap();
                dormouse_runtime::blocking::run(|| 0).unwrap()
                    + (0..100).map(|value| spawn(move || value)).map(|handle| handle.join().unwrap()).sum::<u32>()
            });
            assert_eq!(sum.unwrap(), (0..100).sum());
        }
        works();
        let parents = spawn(thread::park);
        in_fork(|| {
            works();
            in_fork(works);
            works();
        });
        works();
        parents.thread().unpark();
        parents.join().unwrap();
    });
    ended.succeeded();
}

#[test]
fn a_plain_thread_of_a_child_does_not_reach_its_parents_coroutines() {
    let ended = child("a_plain_thread_of_a_child_does_not_reach_its_parents_coroutines", 60, || {
        let (sends, receives) = mpsc::channel();
        let receiver = spawn(move || receives.recv().unwrap());
        let (sends_rendezvous, rendezvous) = mpsc::sync_channel(0);
        let sender = spawn(move || sends_rendezvous.send(1).unwrap());
        let (mut parked, mut joined) = (spawn(thread::park), spawn(thread::park));
        // What a child wakes must wait by then.
        std::thread::sleep(Duration::from_millis(20));
        in_fork(|| {
            is_dead(|| spawn(|| ()));
            let refused = thread::Builder::new().spawn(|| ()).unwrap_err();
            assert!(refused.to_string().contains("child of fork(2)"), "{refused}");
            is_dead(|| parked.thread().unpark());
            is_dead(|| parked.cancel());
            is_dead(|| block_on(&mut parked));
            is_dead(|| block_on(&mut joined));
            is_dead(|| own(&joined).join());
            is_dead(|| sends.send(1));
            is_dead(|| rendezvous.recv());
            is_dead(|| thread::scope(|s| drop(s.spawn(|| ()))));
            assert!(!parked.is_finished() && !receiver.is_finished());
            drop(own(&parked));
        });
        sends.send(7).unwrap();
        assert_eq!((receiver.join().unwrap(), rendezvous.recv()), (7, Ok(1)));
        sender.join().unwrap();
        parked.thread().unpark();
        parked.join().unwrap();
    });
    ended.succeeded();
}

#[test]
fn a_coroutine_of_a_child_does_what_needs_no_runtime() {
    let ended = child("a_coroutine_of_a_child_does_what_needs_no_runtime", 60, || {
        Builder::new()
            .workers(2)
            .run(|| {
                let lock = Arc::new(Mutex::new(0));
                let (sends, receives) = mpsc::channel();
                let receiver = thread::spawn_local(move || receives.recv().unwrap());
                let elsewhere: Vec<_> = (0..4).map(|_| spawn(thread::park)).collect();
                let here = thread::spawn_local(thread::park);
                let (ours, _peer) = pair();
                thread::sleep(Duration::from_millis(5));
                in_fork(|| {
                    *lock.lock().unwrap() += 1;
                    let (to_itself, from_itself) = mpsc::channel();
                    to_itself.send(1).unwrap();
                    assert_eq!(from_itself.recv(), Ok(1));
                    (&ours).write_all(b"ours is the connection, too").unwrap();
                    let held = lock.lock().unwrap();
                    is_dead(|| lock.lock().map(drop));
                    drop(held);
                    is_dead(thread::park);
                    is_dead(thread::yield_now);
                    is_dead(|| thread::no_park(thread::park));
                    is_dead(thread::park);
                    is_dead(|| thread::sleep(Duration::from_millis(1)));
                    is_dead(|| (&ours).read(&mut [0]));
                    is_dead(|| from_itself.recv());
                    is_dead(|| block_on(std::future::pending::<()>()));
                    is_dead(|| dormouse_runtime::blocking::run(|| ()));
                    is_dead(|| spawn(|| ()));
                    is_dead(|| thread::spawn_local(|| ()));
                    is_dead(|| sends.send(1));
                    is_dead(|| here.thread().unpark());
                    is_dead(|| own(&here).join());
                    is_dead(|| elsewhere.iter().for_each(|other| other.thread().unpark()));
                    is_dead(|| thread::scope(|_| ()));
                    assert!(catch_unwind(|| run(|| ())).is_err(), "it is nested");
                });
                // Another program: here the coroutine's child is what every child is.
                let status = status_of(fork(|| {
                    let name = c"/bin/true";
                    // SAFETY: the strings end with a zero, the list with a null.
                    unsafe { libc::execv(name.as_ptr(), [name.as_ptr(), std::ptr::null()].as_ptr()) };
                    panic!("exec: {}", std::io::Error::last_os_error());
                }));
                assert_eq!(status, 0);
                sends.send(7).unwrap();
                assert_eq!(receiver.join().unwrap(), 7);
                here.thread().unpark();
                here.join().unwrap();
                elsewhere.iter().for_each(|other| other.thread().unpark());
                elsewhere.into_iter().for_each(|other| other.join().unwrap());
            })
            .unwrap();
    });
    ended.succeeded();
}

/// It unwinds there, with whatever its destructors do, and nothing of the parent's runs in its stead.
#[test]
fn a_coroutine_that_ends_in_a_child_ends_the_child() {
    let ended = child("a_coroutine_that_ends_in_a_child_ends_the_child", 60, || {
        static BYSTANDER: AtomicBool = AtomicBool::new(false);
        for panics in [false, true] {
            run(|| {
                let parent = std::process::id();
                let in_parent = move || assert_eq!(std::process::id(), parent, "runs in the child");
                let bystander = thread::spawn_local(move || {
                    thread::yield_now();
                    in_parent();
                    BYSTANDER.store(true, SeqCst);
                });
                let lock = Arc::new(Mutex::new(()));
                let forks = Arc::clone(&lock);
                let forker = thread::spawn_local(move || {
                    let _held = forks.lock().unwrap();
                    // SAFETY: the child ends at once.
                    let child = unsafe { libc::fork() };
                    assert!(child != 0 || !panics, "unwinds in the child");
                    child
                });
                let (_, child) = (bystander.join().unwrap(), forker.join().unwrap());
                in_parent();
                let status = status_of(child);
                assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGABRT, "{status:#x}");
            });
        }
    });
    ended.succeeded();
    ended.said(&["unwinds in the child", "came to its end in a child of fork(2)"]);
}

/// epoll keys by description and number: what a child does to its copy of the epoll instance would be done to the parent's.
#[test]
fn a_child_that_closes_a_socket_leaves_its_parents_registration() {
    let ended = child("a_child_that_closes_a_socket_leaves_its_parents_registration", 60, || {
        let reads = |ours: &mut TcpStream, peer: &mut std::net::TcpStream| {
            let mut again = peer.try_clone().unwrap();
            let writes = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(5));
                again.write_all(b"x").unwrap();
            });
            ours.set_read_timeout(Some(PATIENCE)).unwrap();
            ours.read_exact(&mut [0]).expect("the parent hears no more of its connection");
            writes.join().unwrap();
        };
        run(|| {
            let (mut ours, mut peer) = pair();
            reads(&mut ours, &mut peer);
            let child = fork(|| drop(own(&ours)));
            assert_eq!(status_of(child), 0);
            reads(&mut ours, &mut peer);
        });
        // The same from a plain thread, with workers of the default runtime.
        let (mut ours, mut peer) = pair();
        let use_there = |mut ours: TcpStream, mut peer: std::net::TcpStream| {
            spawn(move || {
                reads(&mut ours, &mut peer);
                (ours, peer)
            })
            .join()
            .unwrap()
        };
        for _ in 0..4 {
            (ours, peer) = use_there(ours, peer);
            assert_eq!(status_of(fork(|| drop(own(&ours)))), 0);
        }
    });
    ended.succeeded();
}

#[test]
fn a_parent_that_closes_a_socket_hears_no_more_of_its_childs() {
    let ended = child("a_parent_that_closes_a_socket_hears_no_more_of_its_childs", 60, || {
        run(|| {
            let worker = thread_number();
            let (mut ours, mut peer) = pair();
            peer.write_all(b"x").unwrap();
            ours.read_exact(&mut [0]).unwrap();
            ours.set_read_timeout(Some(Duration::from_micros(1))).unwrap();
            ours.read_exact(&mut [0]).unwrap_err();
            let child = fork(|| std::thread::sleep(Duration::from_secs(60)));
            drop(ours);
            let counts = std::thread::spawn(move || {
                // The trim of what is parked comes a second after the first park, once.
                std::thread::sleep(Duration::from_millis(1_500));
                let before = wake_ups(worker);
                for _ in 0..50 {
                    peer.write_all(b"x").unwrap();
                    std::thread::sleep(Duration::from_millis(2));
                }
                wake_ups(worker) - before
            });
            thread::sleep(Duration::from_millis(1_900));
            assert_eq!(counts.join().unwrap(), 0, "woken by what is the child's alone");
            // SAFETY: takes no pointer; the child was not waited for yet.
            unsafe { libc::kill(child, libc::SIGKILL) };
            status_of(child);
        });
    });
    ended.succeeded();
}

#[test]
fn a_scope_that_was_inherited_does_not_end() {
    let ended = child("a_scope_that_was_inherited_does_not_end", 60, || {
        let scoped = || {
            let lent = AtomicBool::new(false);
            thread::scope(|s| {
                let child = s.spawn(thread::park);
                s.spawn(|| lent.store(true, SeqCst));
                in_fork(|| is_dead(|| own(&child).join()));
                child.thread().unpark();
            });
            let mut forked = 0;
            let result = catch_unwind(AssertUnwindSafe(|| {
                thread::scope(|s| {
                    let waits = s.spawn(thread::park);
                    // SAFETY: the child does what needs no other thread.
                    forked = unsafe { libc::fork() };
                    if forked != 0 {
                        waits.thread().unpark();
                    }
                })
            }));
            if forked == 0 {
                let refused = result.is_err_and(|payload| message(&*payload).contains("child of fork(2)"));
                // SAFETY: ends the process; nothing runs after it.
                unsafe { libc::_exit(i32::from(!refused)) };
            }
            assert_eq!(status_of(forked), 0);
            assert!(result.is_ok() && lent.load(SeqCst));
        };
        scoped();
        Builder::new().workers(2).run(scoped).unwrap();
    });
    ended.succeeded();
}

/// Children are made at any moment of a busy runtime, and none of them hangs.
#[test]
fn a_busy_runtime_is_forked_again_and_again() {
    let ended = child("a_busy_runtime_is_forked_again_and_again", 120, || {
        static OVER: AtomicBool = AtomicBool::new(false);
        let lock = Arc::new(Mutex::new(0u64));
        let busy: Vec<_> = (0..8)
            .map(|index| {
                let lock = Arc::clone(&lock);
                spawn(move || {
                    let (mut ours, mut peer) = pair();
                    while !OVER.load(SeqCst) {
                        *lock.lock().unwrap() += 1;
                        let joined = spawn(move || index);
                        assert_eq!(block_on(joined).unwrap(), index);
                        peer.write_all(b"x").unwrap();
                        ours.read_exact(&mut [0]).unwrap();
                        if index == 0 {
                            thread::sleep(Duration::from_micros(50));
                        }
                    }
                })
            })
            .collect();
        for round in 0..200 {
            in_fork(|| {
                let count = Mutex::new(0);
                *count.lock().unwrap() += 1;
                is_dead(|| spawn(|| ()));
                if round % 4 == 0 {
                    assert_eq!(run(|| spawn(|| 7).join().unwrap()), 7);
                }
                drop(own(&busy));
            });
        }
        OVER.store(true, SeqCst);
        busy.into_iter().for_each(|busy| busy.join().unwrap());
    });
    ended.succeeded();
}

/// Whoever forks, the runtime of a handle is the parent's: in the child it refuses, and its end is left to the parent.
#[test]
fn a_runtime_that_was_inherited_by_its_handle_is_dead() {
    let ended = child("a_runtime_that_was_inherited_by_its_handle_is_dead", 60, || {
        fn refuses(runtime: &Runtime, ends: fn(Runtime)) {
            let handle = runtime.handle();
            let refused = [handle.spawn_with(thread::Builder::new(), || ()).map(drop), handle.run(|| ())];
            refused.into_iter().for_each(|refused| is_dead(|| refused.unwrap()));
            is_dead(|| handle.spawn(|| ()));
            assert_eq!((handle.metrics().workers.len(), runtime.metrics().total.spawns), (0, 0));
            let begun = Instant::now();
            ends(own(runtime));
            assert!(begun.elapsed() < Duration::from_secs(2), "it waited for threads that are the parent's");
        }
        let runtime = Arc::new(Builder::new().workers(2).build().unwrap());
        let works = || assert_eq!(runtime.run(|| spawn(|| 7).join().unwrap()).unwrap(), 7);
        let ways: [fn(Runtime); 3] = [drop, |ended| ended.shutdown_timeout(PATIENCE), Runtime::shutdown_background];
        for ends in ways {
            works();
            // Of a plain thread, which then has another runtime.
            in_fork(|| {
                refuses(&runtime, ends);
                assert_eq!(Builder::new().workers(2).build().unwrap().run(|| 8).unwrap(), 8);
            });
            works();
            // Of a coroutine of another runtime, and of one of its own.
            run(|| in_fork(|| refuses(&runtime, ends)));
            let inside = Arc::clone(&runtime);
            runtime.run(move || in_fork(|| refuses(&inside, ends))).unwrap();
        }
        works();
        assert_eq!(runtime.metrics().workers.len(), 2);
    });
    ended.succeeded();
}

/// A lock of the figures that another thread holds at the fork is held in the child for ever.
#[test]
fn figures_of_a_runtime_that_was_inherited_wait_for_nobody() {
    let ended = child("figures_of_a_runtime_that_was_inherited_wait_for_nobody", 120, || {
        let runtime = Arc::new(Builder::new().workers(1).build().unwrap());
        runtime.run(|| ()).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (runtime, over) = (Arc::clone(&runtime), Arc::clone(&over));
                std::thread::spawn(move || {
                    while !over.load(SeqCst) {
                        assert_eq!(runtime.metrics().workers.len(), 1);
                    }
                })
            })
            .collect();
        for _ in 0..300 {
            in_fork(|| assert_eq!(runtime.metrics().workers.len(), 0));
        }
        over.store(true, SeqCst);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    ended.succeeded();
}
