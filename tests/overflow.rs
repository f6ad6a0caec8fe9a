//! A stack overflow names the coroutine, where it was spawned and its stack size, then aborts; other faults are others'.

mod support;

use dormouse::{Builder, spawn, spawn_local, thread};
use std::hint::black_box;
use support::{Ended, child, run, use_stack};

/// Recurses without end.
#[inline(never)]
#[allow(unconditional_recursion, reason = "that is the point")]
fn overflow(depth: u64) -> u64 {
    let page = black_box([depth; 64]);
    black_box(overflow(page[(depth % 64) as usize] + 1)) + 1
}

#[track_caller]
fn is_named(ended: &Ended, pieces: &[&str]) {
    ended.said(pieces);
    ended.said(&["dormouse: coroutine", "spawned at tests/overflow.rs:", "overflowed its stack of"]);
    assert_eq!(ended.signal(), Some(libc::SIGABRT), "{}", ended.stderr);
}

#[test]
fn of_a_coroutine_is_named() {
    let ended = child("of_a_coroutine_is_named", 10, || {
        run(|| {
            let line = line!() + 1;
            let deep = thread::Builder::new().name("deep one".into()).stack_size(48 << 10).spawn(|| overflow(0));
            eprintln!("it was line {line}:");
            let _ = deep.unwrap().join();
        });
    });
    is_named(&ended, &["coroutine 'deep one'", "stack of 65536 bytes"]);
    let line: String = ended.stderr.lines().find_map(|line| line.strip_prefix("it was line ")).unwrap().into();
    ended.said(&[&format!("tests/overflow.rs:{line}")]);
}

#[test]
fn of_a_coroutine_without_a_name_is_named_by_its_place() {
    let ended = child("of_a_coroutine_without_a_name_is_named_by_its_place", 10, || {
        Builder::new()
            .workers(1)
            .stack_size(128 << 10)
            .run(|| {
                drop(spawn(thread::yield_now));
                let _ = spawn_local(|| overflow(0)).join();
            })
            .unwrap();
    });
    is_named(&ended, &["<unnamed>", "131072 bytes"]);
}

#[test]
fn of_the_main_coroutine_is_named() {
    let ended = child("of_the_main_coroutine_is_named", 10, || _ = run(|| overflow(0)));
    is_named(&ended, &["coroutine 'main'", "1048576 bytes"]);
}

#[test]
fn after_suspensions_the_running_one_is_named() {
    let ended = child("after_suspensions_the_running_one_is_named", 10, || {
        run(|| {
            let waiting: Vec<_> = (0..10).map(|_| spawn(thread::park)).collect();
            let deep = thread::Builder::new().name("culprit".into()).spawn(|| {
                (0..5).for_each(|_| thread::yield_now());
                overflow(0)
            });
            (0..3).for_each(|_| thread::yield_now());
            waiting.iter().for_each(|waiting| waiting.thread().unpark());
            let _ = deep.unwrap().join();
        });
    });
    is_named(&ended, &["coroutine 'culprit'"]);
}

#[test]
fn on_a_second_worker_is_named() {
    let ended = child("on_a_second_worker_is_named", 10, || {
        let main = std::thread::current().id();
        Builder::new()
            .workers(2)
            .run(move || {
                let handles: Vec<_> = (0..100)
                    .map(|_| {
                        let deep = move || {
                            thread::yield_now();
                            if std::thread::current().id() == main { thread::park() } else { _ = overflow(0) }
                        };
                        thread::Builder::new().name("elsewhere".into()).spawn(deep).unwrap()
                    })
                    .collect();
                handles.into_iter().for_each(|handle| handle.join().unwrap());
            })
            .unwrap();
    });
    is_named(&ended, &["coroutine 'elsewhere'"]);
}

#[test]
fn on_the_default_runtime_is_named() {
    let ended = child("on_the_default_runtime_is_named", 10, || {
        let _ = thread::Builder::new().name("background".into()).spawn(|| overflow(0)).unwrap().join();
    });
    is_named(&ended, &["coroutine 'background'"]);
}

#[test]
fn with_a_guard_by_mprotect_is_named() {
    let ended = child("with_a_guard_by_mprotect_is_named", 10, || {
        Builder::new().workers(1).guard_by_mprotect(true).run(|| spawn(|| overflow(0)).join().unwrap()).unwrap();
    });
    is_named(&ended, &[]);
}

#[test]
fn into_the_middle_of_a_large_guard_is_named() {
    let ended = child("into_the_middle_of_a_large_guard_is_named", 10, || {
        Builder::new()
            .workers(1)
            .stack_size(256 << 10)
            .guard_size(64 << 10)
            .run(|| {
                spawn(|| {
                    let here = 0u8;
                    // 32 KiB above the limit of a stack of 256 KiB: as C code without probes would hit it.
                    let limit = &raw const here as usize & !((256 << 10) - 1);
                    // SAFETY: none, that is the point: the page is a guard.
                    unsafe { std::ptr::write_volatile((limit + (32 << 10)) as *mut u8, 1) };
                })
                .join()
                .unwrap();
            })
            .unwrap();
    });
    is_named(&ended, &["262144 bytes"]);
}

#[test]
fn a_stack_used_almost_to_its_end_is_none() {
    let ended = child("a_stack_used_almost_to_its_end_is_none", 10, || {
        run(|| {
            let deep = thread::Builder::new().stack_size(512 << 10).spawn(|| use_stack(480 << 10));
            deep.unwrap().join().unwrap();
        });
    });
    ended.succeeded();
}

#[test]
fn a_name_longer_than_the_message_is_cut() {
    let ended = child("a_name_longer_than_the_message_is_cut", 10, || {
        let deep = thread::Builder::new().name("long ".repeat(500)).spawn(|| overflow(0));
        let _ = deep.unwrap().join();
    });
    ended.said(&["dormouse: coroutine 'long long"]);
    assert_eq!(ended.signal(), Some(libc::SIGABRT));
}

/// Reads where nothing is mapped.
fn fault() {
    // SAFETY: none, that is the point.
    unsafe { std::ptr::read_volatile(std::ptr::without_provenance::<u8>(16)) };
}

/// The first handler in the chain: says so and ends the process.
extern "C" fn earlier(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: an SA_SIGINFO handler gets a valid siginfo; write and _exit are async-signal-safe.
    unsafe {
        let right = (*info).si_addr() as usize == 16;
        let text: &[u8] = if right { b"the earlier handler ran\n" } else { b"wrong address\n" };
        libc::write(2, text.as_ptr().cast(), text.len());
        libc::_exit(42);
    }
}

fn set_segv(handler: usize, flags: libc::c_int) {
    // SAFETY: a zeroed sigaction is valid, and the handler has the form that the flags ask for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut()), 0);
    }
}

#[test]
fn another_fault_reaches_the_handler_that_was_there_before() {
    let ended = child("another_fault_reaches_the_handler_that_was_there_before", 10, || {
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = earlier;
        set_segv(handler as usize, libc::SA_SIGINFO);
        run(|| spawn(fault).join().unwrap());
    });
    assert_eq!(ended.status.code(), Some(42), "{}", ended.stderr);
    ended.said(&["the earlier handler ran"]);
}

#[test]
fn another_fault_of_a_plain_thread_reaches_the_handler_that_was_there_before() {
    let ended = child("another_fault_of_a_plain_thread_reaches_the_handler_that_was_there_before", 10, || {
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = earlier;
        set_segv(handler as usize, libc::SA_SIGINFO);
        run(|| ());
        fault();
    });
    assert_eq!(ended.status.code(), Some(42), "{}", ended.stderr);
}

extern "C" fn earlier_plain(signal: libc::c_int) {
    // SAFETY: async-signal-safe.
    unsafe { libc::_exit(if signal == libc::SIGSEGV { 43 } else { 1 }) };
}

#[test]
fn another_fault_reaches_a_handler_of_the_old_form_too() {
    let ended = child("another_fault_reaches_a_handler_of_the_old_form_too", 10, || {
        let handler: extern "C" fn(libc::c_int) = earlier_plain;
        set_segv(handler as usize, 0);
        run(fault);
    });
    assert_eq!(ended.status.code(), Some(43), "{}", ended.stderr);
}

#[test]
fn another_fault_without_a_handler_kills_by_sigsegv() {
    let ended = child("another_fault_without_a_handler_kills_by_sigsegv", 10, || {
        set_segv(libc::SIG_DFL, 0);
        run(|| spawn(fault).join().unwrap());
    });
    assert_eq!(ended.signal(), Some(libc::SIGSEGV), "{}", ended.stderr);
    assert!(!ended.stderr.contains("dormouse"), "{}", ended.stderr);
}

#[test]
fn another_fault_under_std_s_handler_kills_by_sigsegv() {
    let ended = child("another_fault_under_std_s_handler_kills_by_sigsegv", 10, || {
        run(|| spawn(fault).join().unwrap());
    });
    assert_eq!(ended.signal(), Some(libc::SIGSEGV), "{}", ended.stderr);
    assert!(!ended.stderr.contains("overflow"), "{}", ended.stderr);
}

#[test]
fn a_signal_that_was_sent_kills_as_well() {
    let ended = child("a_signal_that_was_sent_kills_as_well", 10, || {
        set_segv(libc::SIG_DFL, 0);
        run(|| {
            // SAFETY: raises a signal in this thread.
            unsafe { libc::raise(libc::SIGSEGV) };
        });
    });
    assert_eq!(ended.signal(), Some(libc::SIGSEGV), "{}", ended.stderr);
}

#[test]
fn of_a_plain_thread_is_still_reported_by_std() {
    let ended = child("of_a_plain_thread_is_still_reported_by_std", 10, || {
        run(|| spawn(|| ()).join().unwrap());
        let deep = std::thread::Builder::new().name("plain".into()).spawn(|| overflow(0));
        let _ = deep.unwrap().join();
    });
    assert_eq!(ended.signal(), Some(libc::SIGABRT));
    ended.said(&["'plain'", "has overflowed its stack"]);
}

#[test]
fn of_the_thread_that_called_run_is_still_reported_by_std() {
    let ended = child("of_the_thread_that_called_run_is_still_reported_by_std", 10, || {
        run(|| spawn(|| ()).join().unwrap());
        Builder::new().workers(2).run(|| ()).unwrap();
        overflow(0);
    });
    assert_eq!(ended.signal(), Some(libc::SIGABRT));
    ended.said(&["has overflowed its stack"]);
    assert!(!ended.stderr.contains("dormouse"), "{}", ended.stderr);
}

#[test]
fn of_a_plain_thread_during_run_is_still_reported_by_std() {
    let ended = child("of_a_plain_thread_during_run_is_still_reported_by_std", 10, || {
        run(|| {
            spawn(thread::park);
            thread::yield_now();
            let deep = std::thread::Builder::new().name("plain".into()).spawn(|| overflow(0));
            let _ = deep.unwrap().join();
        });
    });
    assert_eq!(ended.signal(), Some(libc::SIGABRT));
    ended.said(&["'plain'", "has overflowed its stack"]);
    assert!(!ended.stderr.contains("dormouse"), "{}", ended.stderr);
}
