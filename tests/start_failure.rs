//! A runtime that cannot start says why, and leaves nothing behind.

mod support;

use dormouse::{Builder, thread};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use support::{bounded, child, descriptors, limit, run, threads, threads_become};

#[track_caller]
fn refused(builder: Builder, text: &str) {
    let called = AtomicBool::new(false);
    let error = builder.run(|| called.store(true, SeqCst)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains(text), "{error}");
    assert!(!called.load(SeqCst));
}

#[test]
fn no_worker() {
    bounded(10, || refused(Builder::new().workers(0), "at least one worker"));
}

#[test]
fn a_stack_too_large() {
    bounded(10, || {
        refused(Builder::new().stack_size(256 << 20), "134217728");
        refused(Builder::new().main_stack_size(256 << 20), "134217728");
        refused(Builder::new().stack_size(usize::MAX).workers(2), "134217728");
    });
}

#[test]
fn a_guard_of_half_a_stack_or_more() {
    bounded(10, || {
        refused(Builder::new().stack_size(64 << 10).guard_size(32 << 10), "guard of 32768");
        refused(Builder::new().guard_size(usize::MAX), "guard");
        refused(Builder::new().stack_size(1 << 20).guard_size(64 << 10).main_stack_size(64 << 10), "guard");
    });
}

#[test]
fn too_few_descriptors() {
    let ended = child("too_few_descriptors", 10, || {
        let (open, running) = (descriptors() as u64 - 1, threads());
        let mut needed = 0;
        for workers in [1, 2, 3] {
            let started = (0..40).find(|more| {
                limit(libc::RLIMIT_NOFILE, open + more);
                let result = Builder::new().workers(workers).run(|| ());
                limit(libc::RLIMIT_NOFILE, open + 100);
                threads_become(running);
                assert_eq!(descriptors() as u64 - 1, open, "descriptors stay open");
                match result {
                    Ok(()) => true,
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
                        assert!(error.to_string().contains("Too many open files"), "{error}");
                        false
                    }
                }
            });
            assert!(started.unwrap() > needed);
            needed = started.unwrap();
        }
    });
    ended.succeeded();
}

#[test]
fn run_itself_panics_with_the_reason() {
    let ended = child("run_itself_panics_with_the_reason", 10, || {
        limit(libc::RLIMIT_NOFILE, 3);
        let _ = std::panic::catch_unwind(|| run(|| eprintln!("called")));
    });
    ended.succeeded();
    ended.said(&["the runtime cannot start", "Too many open files", "tests/start_failure.rs"]);
    assert!(!ended.stderr.contains("called"));
}

#[test]
fn no_memory_for_the_main_stack() {
    let ended = child("no_memory_for_the_main_stack", 10, || {
        run(|| ());
        let used = support::status_field("/proc/self/status", "VmSize") << 10;
        limit(libc::RLIMIT_AS, used + (16 << 20));
        let error = Builder::new().workers(1).main_stack_size(128 << 20).run(|| eprintln!("called")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
        assert!(error.to_string().contains("ulimit -v"), "{error}");
        run(thread::yield_now);
    });
    ended.succeeded();
    assert!(!ended.stderr.contains("called"));
}

#[test]
fn no_thread_to_be_had() {
    // SAFETY: takes no argument.
    if unsafe { libc::geteuid() } == 0 {
        // RLIMIT_NPROC does not bind root: the stack of a thread cannot be mapped instead.
        let ended = child("no_thread_to_be_had", 10, || {
            run(|| ());
            let (open, running) = (descriptors(), threads());
            let used = support::status_field("/proc/self/status", "VmSize") << 10;
            limit(libc::RLIMIT_AS, used + (1 << 20) + (512 << 10));
            let started = Builder::new().workers(8).run(|| ());
            limit(libc::RLIMIT_AS, u64::MAX);
            assert!(started.is_err());
            threads_become(running);
            assert_eq!(descriptors(), open);
        });
        ended.succeeded();
    }
}

#[test]
fn no_thread_and_no_descriptor_outlives_a_start_that_failed() {
    let ended = child("no_thread_and_no_descriptor_outlives_a_start_that_failed", 10, || {
        Builder::new().workers(2).run(|| ()).unwrap();
        let (open, running) = (descriptors() as u64 - 1, threads());
        let mut failed = 0;
        for more in 0..20 {
            limit(libc::RLIMIT_NOFILE, open + more);
            let started = Builder::new().workers(2).run(|| ());
            limit(libc::RLIMIT_NOFILE, open + 100);
            failed += usize::from(started.is_err());
            threads_become(running);
            assert_eq!(descriptors() as u64 - 1, open, "with {more} descriptors to spare");
        }
        assert!((3..20).contains(&failed), "{failed}");
    });
    ended.succeeded();
}
