//! `run`: the calling thread becomes worker 0, and the closure its first coroutine.

mod support;

use dormouse::{Builder, spawn, spawn_local, thread};
use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use support::{OnDrop, bounded, child, message, run, use_stack};

#[test]
fn the_closure_borrows_and_need_not_be_send() {
    bounded(10, || {
        let text = RefCell::new(String::from("a"));
        let shared = Rc::new(Cell::new(1));
        let length = run(|| {
            text.borrow_mut().push('b');
            thread::yield_now();
            shared.set(shared.get() + 1);
            text.borrow().len()
        });
        assert_eq!((length, text.into_inner().as_str(), shared.get()), (2, "ab", 2));
    });
}

#[test]
fn the_value_comes_out() {
    bounded(10, || {
        let local = 7;
        assert_eq!(*run(|| &local), 7);
        assert_eq!(run(|| Rc::new(5)).as_ref(), &5);
        run(|| ());
        assert_eq!(run(|| [3u8; 64 * 1024])[64 * 1024 - 1], 3);
    });
}

#[test]
fn it_runs_on_the_calling_thread_in_a_coroutine_named_main() {
    bounded(10, || {
        let outside = std::thread::current().id();
        let (inside, name) = run(|| (std::thread::current().id(), thread::current().name().map(String::from)));
        assert_eq!(inside, outside);
        assert_eq!(name.as_deref(), Some("main"));
    });
}

#[test]
fn nested_it_panics_and_says_what_to_do() {
    bounded(10, || {
        let inner_ran = Cell::new(false);
        let panic = run(|| catch_unwind(AssertUnwindSafe(|| run(|| inner_ran.set(true))))).unwrap_err();
        assert!(message(&*panic).contains("inside a runtime"), "{}", message(&*panic));
        assert!(!inner_ran.get());
        let built = run(|| spawn(|| Builder::new().workers(2).run(|| ())).join().unwrap_err());
        assert!(message(&*built).contains("inside a runtime"));
        assert_eq!(run(|| spawn(|| 1).join().unwrap()), 1);
    });
}

#[test]
fn on_a_default_worker_it_is_nested_too() {
    bounded(10, || {
        let panic = spawn(|| run(|| ())).join().unwrap_err();
        assert!(message(&*panic).contains("inside a runtime"));
    });
}

#[test]
fn a_plain_thread_inside_may_have_a_runtime_of_its_own() {
    bounded(10, || {
        let sum = run(|| {
            let other = std::thread::spawn(|| run(|| spawn(|| 20).join().unwrap()));
            let here = spawn(|| 22).join().unwrap();
            here + other.join().unwrap()
        });
        assert_eq!(sum, 42);
    });
}

#[test]
fn a_panic_comes_out_after_an_orderly_end() {
    bounded(10, || {
        let dropped = Rc::new(Cell::new(0));
        let in_closure = Rc::clone(&dropped);
        let panic = catch_unwind(AssertUnwindSafe(|| {
            run(|| {
                for _ in 0..10 {
                    let on_drop = OnDrop({
                        let dropped = Rc::clone(&in_closure);
                        move || dropped.set(dropped.get() + 1)
                    });
                    spawn_local(move || {
                        let _on_drop = on_drop;
                        thread::park();
                    });
                }
                thread::yield_now();
                panic!("on purpose, out of main");
            })
        }));
        assert_eq!(message(&*panic.unwrap_err()), "on purpose, out of main");
        assert_eq!(dropped.get(), 10);
        assert_eq!(run(|| 1), 1);
    });
}

#[test]
fn any_payload_comes_out() {
    bounded(10, || {
        let panic = catch_unwind(|| run(|| panic_any(42u8))).unwrap_err();
        assert_eq!(*panic.downcast::<u8>().unwrap(), 42);
    });
}

#[test]
fn it_runs_many_times_in_sequence() {
    bounded(10, || {
        let total: usize = (0..50).map(|n| run(move || spawn(move || n).join().unwrap())).sum();
        assert_eq!(total, 1225);
    });
}

#[test]
fn it_runs_in_parallel_on_several_threads() {
    bounded(20, || {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    for _ in 0..20 {
                        let count = Arc::new(AtomicUsize::new(0));
                        let counted = Arc::clone(&count);
                        run(move || {
                            let handles: Vec<_> = (0..50)
                                .map(|_| {
                                    let count = Arc::clone(&counted);
                                    spawn(move || {
                                        thread::yield_now();
                                        count.fetch_add(1, SeqCst);
                                    })
                                })
                                .collect();
                            handles.into_iter().for_each(|handle| handle.join().unwrap());
                        });
                        assert_eq!(count.load(SeqCst), 50);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn the_main_stack_is_a_mebibyte() {
    bounded(10, || {
        run(|| {
            use_stack(800 << 10);
            let used = thread::stack_high_water().unwrap().unwrap();
            assert!((800 << 10..1 << 20).contains(&used), "{used}");
        });
    });
}

#[test]
fn the_main_stack_is_an_option() {
    bounded(10, || {
        let used = Builder::new().workers(1).main_stack_size(8 << 20).run(|| {
            use_stack(6 << 20);
            thread::stack_high_water().unwrap().unwrap()
        });
        assert!((6 << 20..8 << 20).contains(&used.unwrap()));
    });
}

#[test]
fn a_smaller_main_stack_overflows_sooner() {
    let ended = child("a_smaller_main_stack_overflows_sooner", 10, || {
        Builder::new().workers(1).main_stack_size(128 << 10).run(|| use_stack(256 << 10)).unwrap();
    });
    ended.said(&["coroutine 'main'", "tests/run.rs", "131072 bytes"]);
    assert_eq!(ended.signal(), Some(libc::SIGABRT));
}

#[test]
fn it_ends_only_when_every_worker_has() {
    bounded(10, || {
        for _ in 0..20 {
            let dropped = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&dropped);
            Builder::new()
                .workers(3)
                .run(move || {
                    for _ in 0..60 {
                        let counted = Arc::clone(&counted);
                        spawn(move || {
                            let _on_drop = OnDrop(move || _ = counted.fetch_add(1, SeqCst));
                            thread::park();
                        });
                    }
                })
                .unwrap();
            // What never started dropped its closure, what had started ran its destructor; nobody holds on to either.
            assert_eq!(Arc::strong_count(&dropped), 1);
            assert!(dropped.load(SeqCst) <= 60);
        }
    });
}

/// Its panic is no error of the runtime, whatever the payload is.
#[test]
fn an_io_error_as_a_payload_comes_out_as_it_is() {
    bounded(10, || {
        let fail = || -> u8 { resume_unwind(Box::new(io::Error::other("mine"))) };
        let panic = catch_unwind(|| run(fail)).unwrap_err();
        assert!(panic.is::<io::Error>());
        let panic = catch_unwind(|| Builder::new().workers(1).run(fail)).unwrap_err();
        assert!(panic.is::<io::Error>());
    });
}

#[test]
fn the_closure_may_be_larger_than_the_main_stack() {
    bounded(10, || {
        let large = [7u8; 256 << 10];
        let last = Builder::new().workers(1).main_stack_size(64 << 10).run(move || large[large.len() - 1]);
        assert_eq!(last.unwrap(), 7);
    });
}

#[test]
fn without_a_number_there_are_as_many_workers_as_processors() {
    bounded(10, || {
        let workers = dormouse::run(|| dormouse::metrics().workers.len());
        assert_eq!(workers, std::thread::available_parallelism().unwrap().get());
    });
}
