//! The default runtime: the first spawn of a plain thread starts it, and it lives until the process ends.

mod support;

use dormouse::{spawn, thread};
use std::time::Duration;
use support::{bounded, child, descriptors, is_cancelled, limit, run, threads, threads_become};

#[test]
fn the_first_spawn_starts_it_and_later_ones_share_it() {
    let ended = child("the_first_spawn_starts_it_and_later_ones_share_it", 10, || {
        let before = threads();
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
        let workers = threads() - before;
        assert_eq!(workers, std::thread::available_parallelism().unwrap().get());
        let handles: Vec<_> = (0..1000).map(|n| spawn(move || n)).collect();
        assert_eq!(handles.into_iter().map(|handle| handle.join().unwrap()).sum::<u64>(), 499_500);
        let others: Vec<_> = (0..8).map(|n| std::thread::spawn(move || spawn(move || n).join().unwrap())).collect();
        others.into_iter().for_each(|other| _ = other.join().unwrap());
        threads_become(before + workers);
    });
    ended.succeeded();
}

#[test]
fn a_run_alone_does_not_start_it() {
    let ended = child("a_run_alone_does_not_start_it", 10, || {
        let before = threads();
        run(|| {
            spawn(|| ()).join().unwrap();
            thread::sleep(Duration::from_millis(1));
        });
        let _ = thread::current().id();
        thread::park_timeout(Duration::from_millis(1));
        assert_eq!(threads(), before);
    });
    ended.succeeded();
}

#[test]
fn many_threads_race_for_the_first_spawn() {
    let ended = child("many_threads_race_for_the_first_spawn", 10, || {
        let before = threads();
        let barrier = std::sync::Arc::new(std::sync::Barrier::new(16));
        let racing: Vec<_> = (0..16)
            .map(|n| {
                let barrier = std::sync::Arc::clone(&barrier);
                std::thread::spawn(move || {
                    barrier.wait();
                    spawn(move || n).join().unwrap()
                })
            })
            .collect();
        assert_eq!(racing.into_iter().map(|racer| racer.join().unwrap()).sum::<i32>(), 120);
        threads_become(before + std::thread::available_parallelism().unwrap().get());
    });
    ended.succeeded();
}

#[test]
fn it_outlives_the_thread_that_started_it() {
    bounded(10, || {
        let handle = std::thread::spawn(|| {
            spawn(|| {
                thread::park();
                7
            })
        });
        let handle = handle.join().unwrap();
        handle.thread().unpark();
        assert_eq!(handle.join().unwrap(), 7);
    });
}

#[test]
fn a_start_that_fails_is_an_error_and_the_next_may_succeed() {
    let ended = child("a_start_that_fails_is_an_error_and_the_next_may_succeed", 10, || {
        let (open, running) = (descriptors() as u64 - 1, threads());
        let mut failed = 0;
        for more in 0..4 {
            limit(libc::RLIMIT_NOFILE, open + more);
            let spawned = thread::Builder::new().spawn(|| ());
            limit(libc::RLIMIT_NOFILE, open + 100);
            let Err(error) = spawned else { break };
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}");
            failed += 1;
            threads_become(running);
        }
        assert_eq!(failed, 4);
        assert_eq!(thread::Builder::new().spawn(|| 3).unwrap().join().unwrap(), 3);
    });
    ended.succeeded();
}

#[test]
fn its_coroutines_can_be_cancelled_from_outside() {
    bounded(10, || {
        let handle = spawn(thread::park);
        handle.cancel();
        assert!(is_cancelled(&handle.join()));
    });
}
