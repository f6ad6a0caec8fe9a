//! Models of workers that rest as the real ones do (`worker/search.rs`), on real inboxes, beside a queue that is no
//! more than a count: what it orders by itself is less than what a real one does.

use super::Idle;
use crate::atomic::{AtomicU32, Ordering};
use crate::inbox::Inbox;
use loom::sync::{Arc, Notify};
use loom::thread;

/// A fleet with one queue, of which everybody may take.
struct Model {
    idle: Idle,
    waiting: AtomicU32,
    inboxes: Vec<Inbox<()>>,
    eventfds: Vec<Notify>,
}

impl Model {
    fn new(workers: usize) -> Arc<Model> {
        Arc::new(Model {
            idle: Idle::new(workers),
            waiting: AtomicU32::new(0),
            inboxes: (0..workers).map(|_| Inbox::new()).collect(),
            eventfds: (0..workers).map(|_| Notify::new()).collect(),
        })
    }

    fn waits(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    fn take(&self) -> bool {
        let fewer = |waiting: u32| waiting.checked_sub(1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok()
    }

    fn notify(&self, called: Option<usize>) -> bool {
        if let Some(called) = called
            && self.inboxes[called].announce()
        {
            self.eventfds[called].notify();
        }
        called.is_some()
    }

    /// One push; whether it called somebody.
    fn push(&self) -> bool {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.notify(self.idle.call(usize::min, || self.waits()))
    }

    /// One given to a worker, as `Fleet::give` does: the fence of the announcement serves the call, too.
    fn give(&self, worker: usize) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.inboxes[worker].announce() {
            self.eventfds[worker].notify();
        } else {
            self.notify(self.idle.call_announced(usize::min, || self.waits()));
        }
    }

    fn push_some(&self, count: usize) {
        (0..count).for_each(|_| {
            self.push();
        });
    }

    /// A worker that got what it wanted runs it for ever: from here on others have to see to what is left.
    fn rest_until_one_is_taken(&self, worker: usize) {
        while !self.rest(worker) {}
        self.notify(self.idle.call_again(usize::min, || self.waits()));
    }

    /// Whether something was taken.
    fn rest(&self, worker: usize) -> bool {
        let (idle, inbox) = (&self.idle, &self.inboxes[worker]);
        let mut spots = false;
        idle.lie_down(worker);
        let sleeps = inbox.prepare_sleep(|| {
            spots = !idle.is_called(worker) && self.waits() && !idle.is_searched();
            spots || idle.is_called(worker)
        });
        if sleeps {
            self.eventfds[worker].wait();
            inbox.awake();
        }
        let searches = idle.get_up(worker) || spots && idle.try_search();
        let taken = searches && self.take();
        if searches {
            idle.leave();
        } else if !sleeps {
            thread::yield_now();
        }
        taken
    }
}

/// As many are pushed as there are workers, each of which takes one: loom reports a worker that sleeps for ever beside
/// one that is left.
fn nobody_sleeps_beside_a_push(workers: usize, pushers: usize) {
    loom::model(move || {
        let model = Model::new(workers);
        let run = |f: Box<dyn Fn(&Model)>| {
            let model = Arc::clone(&model);
            thread::spawn(move || f(&model))
        };
        let mut threads: Vec<_> =
            (1..workers).map(|worker| run(Box::new(move |model| model.rest_until_one_is_taken(worker)))).collect();
        let each = workers / pushers;
        threads.extend((1..pushers).map(|_| run(Box::new(move |model| model.push_some(each)))));
        model.push_some(workers - each * (pushers - 1));
        model.rest_until_one_is_taken(0);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(!model.waits() && !model.idle.is_searched());
    });
}

/// The other worker goes to sleep, or sleeps, while this one pushes twice and takes one for long.
#[test]
fn a_push_is_not_slept_through() {
    nobody_sleeps_beside_a_push(2, 1);
}

/// What is given to a worker that runs something for ever, by a thread that is none, is taken by the other one.
#[test]
fn what_is_given_to_a_busy_worker_is_not_slept_through() {
    loom::model(|| {
        let model = Model::new(2);
        let other = Arc::clone(&model);
        let other = thread::spawn(move || other.rest_until_one_is_taken(1));
        model.give(0);
        other.join().unwrap();
        assert!(!model.waits() && !model.idle.is_searched());
    });
}

/// Two threads push at a time, and each relies on the search that the other causes.
#[test]
fn a_push_beside_another_is_not_slept_through() {
    nobody_sleeps_beside_a_push(2, 2);
}

/// What is pushed while a worker searches is left to it; when it has found something, it sees to the rest.
#[test]
fn a_push_beside_a_search_is_not_slept_through() {
    loom::model(|| {
        let model = Model::new(2);
        let sleeper = Arc::clone(&model);
        let sleeper = thread::spawn(move || sleeper.rest_until_one_is_taken(1));
        let searcher = Arc::clone(&model);
        let searcher = thread::spawn(move || {
            if searcher.idle.try_search() {
                searcher.idle.leave();
            }
            // Busy with something else from here on.
            searcher.notify(searcher.idle.call_again(usize::min, || searcher.waits()));
        });
        model.push();
        [sleeper, searcher].into_iter().for_each(|thread| thread.join().unwrap());
        assert!(!model.waits());
    });
}

/// A sleeper that gets up by itself, just as it is called, and lies down again: what was pushed meanwhile by one who
/// saw that somebody is called already is not lost with the call.
#[test]
fn a_call_that_reaches_nobody_leaves_nothing_behind() {
    loom::model(|| {
        let model = Model::new(1);
        model.idle.lie_down(0);
        let pushers = [(); 2].map(|()| {
            let model = Arc::clone(&model);
            thread::spawn(move || model.push_some(1))
        });
        let mut taken = 0;
        if model.idle.get_up(0) {
            taken += u32::from(model.take());
            model.idle.leave();
        }
        while taken < 2 {
            taken += u32::from(model.rest(0));
        }
        pushers.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(!model.idle.is_searched());
    });
}

/// Two push at a time, and three sleep: one of them is called, by one of the two.
#[test]
fn one_sleeper_is_called_while_it_has_not_searched() {
    loom::model(|| {
        let model = Model::new(3);
        (0..3).for_each(|worker| model.idle.lie_down(worker));
        let other = Arc::clone(&model);
        let other = thread::spawn(move || other.push());
        let called = u32::from(model.push()) + u32::from(other.join().unwrap());
        assert_eq!(called, 1);
        assert_eq!((0..3).filter(|worker| model.idle.is_called(*worker)).count(), 1);
    });
}

/// A call against a sleeper that gets up by itself: it is called and counted, or neither.
#[test]
fn who_is_called_is_counted_once() {
    loom::model(|| {
        let model = Model::new(1);
        model.idle.lie_down(0);
        let pusher = Arc::clone(&model);
        let pusher = thread::spawn(move || pusher.push());
        let called = model.idle.get_up(0);
        if called {
            model.idle.leave();
        }
        assert_eq!(pusher.join().unwrap(), called);
        assert!(!model.idle.is_searched());
    });
}
