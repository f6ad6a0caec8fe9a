//! The threads that make calls which block, and the queue before them.
//!
//! Owns when a thread starts, what it takes next and when it ends. Does not know what a call is, nor who waits for one.
//!
//! Threads start one after the other: each starts the next one if it leaves calls in the queue. A burst of short calls is
//! then served by a few threads instead of by as many as there are calls, and the thread that hands a call over pays for
//! one start at most. Like workers, the threads have the signal mask, the CPU affinity and the scheduling policy of whoever
//! started them (but not the one core of a worker that is pinned), and std's stack size; an idle one sleeps on the futex of a
//! plain thread that waits (`os_thread.rs`).
//!
//! A start that failed is repeated after a while by the callers of what is in the queue, whose wait ends for that; and by
//! whoever hands over or takes the next call. Nobody repeats it for a call that nobody waits for.
//!
//! Invariant 1: a thread that goes idle found the queue empty, and a call that finds an idle thread takes it off the list,
//! under the same lock. The list decides, not the outcome of the thread's sleep: one that is not on it any more looks at
//! the queue again.
//! Invariant 2: so while there are calls in the queue, some thread is about to look at it or is starting, or all threads
//! there can be are busy. If there are none at all and none can be started, every call in the queue is refused; if there
//! are some, the calls wait for them and for the next start.
//! Invariant 3: `threads` counts those starting, busy and idle; it is lowered under the lock under which the decision to
//! end is made.
//! Invariant 4: a thread that finds more threads than the limit ends, whatever is in the queue: as many as are left are
//! busy or about to look there. For a limit that was lowered, as many idle threads are woken as are too many.
//! Invariant 5: while `retry` is there, whoever waits for a call in the queue comes back by then: those who parked
//! before are alerted by whoever sets it, and those who park later see it.

use super::call::Job;
use crate::cancel::Point;
use crate::lock::Lock;
use crate::os_thread::Parked;
use crate::waiter::{Wait, Waiter};
use std::collections::BTreeMap;
use std::io;
use std::mem::take;
use std::ops::Add;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after a start that failed the next one is made.
const RETRY: Duration = Duration::from_millis(100);

/// See the heading.
pub(super) struct Pool {
    /// Calls and threads.
    state: Lock<State>,
    /// How long one is idle before it ends.
    idle: Duration,
    /// Starts a thread that calls [`Pool::serve`].
    start_thread: fn(&'static Pool) -> io::Result<()>,
}

/// What is shared by those who hand over calls and the threads.
struct State {
    /// The calls not begun, oldest first. By number, since one that is given up leaves from the middle.
    queue: BTreeMap<u64, Arc<dyn Job>>,
    /// Threads asleep, the one that has slept least last: it is the next, and the surplus ages.
    idle: Vec<(u64, Waiter)>,
    /// Threads there are (invariant 3).
    threads: usize,
    /// The most there are to be, at least 1 (invariant 4).
    limit: usize,
    /// Whether one of them has not yet looked at the queue for the first time.
    starting: bool,
    /// When callers start another thread: `Some` if the last start failed (invariant 5).
    retry: Option<Instant>,
    /// The last number given to a call or to a sleep.
    last: u64,
}

/// How busy a pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Depth {
    /// Threads there are.
    pub(crate) threads: usize,
    /// How many of them wait for a call.
    pub(crate) idle: usize,
    /// Calls that wait for a thread.
    pub(crate) queued: usize,
}

impl Add for Depth {
    type Output = Depth;

    fn add(self, other: Depth) -> Depth {
        Depth {
            threads: self.threads + other.threads,
            idle: self.idle + other.idle,
            queued: self.queued + other.queued,
        }
    }
}

/// What a thread does next.
enum Next {
    /// Makes a call.
    Job(Arc<dyn Job>),
    /// Sleeps, under this number.
    Sleep(u64),
    /// Ends: it does not count any more.
    End,
}

impl State {
    fn new(limit: usize) -> State {
        State { queue: BTreeMap::new(), idle: Vec::new(), threads: 0, limit, starting: false, retry: None, last: 0 }
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Whether another thread is to be started for what is in the queue; it then counts already.
    fn grow(&mut self) -> bool {
        let grows = !self.queue.is_empty() && self.idle.is_empty() && !self.starting && self.threads < self.limit;
        self.starting |= grows;
        self.threads += usize::from(grows);
        grows
    }
}

impl Pool {
    pub(super) fn new(limit: usize, idle: Duration, start_thread: fn(&'static Pool) -> io::Result<()>) -> Pool {
        Pool { state: Lock::new(State::new(limit)), idle, start_thread }
    }

    /// Sets the most threads. Surplus ones end, those that are busy after their call (invariant 4).
    pub(super) fn set_limit(&'static self, limit: usize) {
        let mut state = self.state.lock();
        state.limit = limit;
        let surplus = state.threads.saturating_sub(limit).min(state.idle.len());
        let ending: Vec<_> = state.idle.drain(..surplus).collect();
        let grows = state.grow();
        drop(state);
        ending.into_iter().for_each(|(_, sleeper)| sleeper.wake());
        if grows {
            self.start();
        }
    }

    /// How busy it is just now.
    pub(super) fn depth(&self) -> Depth {
        let state = self.state.lock();
        Depth { threads: state.threads, idle: state.idle.len(), queued: state.queue.len() }
    }

    /// Puts a call in the queue, and sees to it that a thread comes for it; gives its number.
    pub(super) fn submit(&'static self, job: Arc<dyn Job>) -> u64 {
        let mut state = self.state.lock();
        let number = state.number();
        state.queue.insert(number, job);
        let sleeper = state.idle.pop();
        let grows = sleeper.is_none() && state.grow();
        drop(state);
        match sleeper {
            Some((_, sleeper)) => sleeper.wake(),
            None if grows => self.start(),
            None => {}
        }
        number
    }

    /// Takes a call out of the queue, if it is there.
    pub(super) fn withdraw(&self, number: u64) {
        let withdrawn = self.state.lock().queue.remove(&number);
        drop(withdrawn);
    }

    /// When whoever waits for a call is to come back and [`retry`](Pool::retry), if at all. To be asked after a waiter
    /// was left (invariant 5).
    pub(super) fn retry_at(&self, number: u64) -> Option<Instant> {
        let state = self.state.lock();
        state.retry.filter(|_| state.queue.contains_key(&number))
    }

    /// Makes the start that is due, if nobody else has made it.
    pub(super) fn retry(&'static self) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let due = state.retry.is_some_and(|at| at <= now);
        if due {
            state.retry = Some(now + RETRY);
        }
        let grows = due && state.grow();
        drop(state);
        if grows {
            self.start();
        }
    }

    /// Starts the thread that `grow` has counted.
    #[cold]
    fn start(&'static self) {
        if let Err(error) = (self.start_thread)(self) {
            let mut state = self.state.lock();
            state.starting = false;
            state.threads -= 1;
            if state.threads == 0 {
                let orphans = take(&mut state.queue);
                drop(state);
                // All hear of it before one is dropped, which may block.
                orphans.values().for_each(|job| job.refuse(repeated(&error)));
                orphans.values().for_each(|job| job.clear());
            } else if state.retry.is_none() {
                state.retry = Some(Instant::now() + RETRY);
                let last = state.last;
                drop(state);
                self.alert(last);
            }
        }
    }

    /// Invariant 5, for the calls up to the number `last`. One by one, since the list may be long.
    fn alert(&self, last: u64) {
        let mut next = 0;
        while let Some((number, job)) = self.first_queued(next, last) {
            job.alert();
            next = number + 1;
        }
    }

    /// The oldest call in the queue from the number `first` on, unless that is beyond `last`.
    fn first_queued(&self, first: u64, last: u64) -> Option<(u64, Arc<dyn Job>)> {
        let state = self.state.lock();
        let (number, job) = state.queue.range(first..).next().filter(|(number, _)| **number <= last)?;
        Some((*number, Arc::clone(job)))
    }

    /// The life of a thread.
    pub(super) fn serve(&'static self) {
        let mut state = self.state.lock();
        state.starting = false;
        state.retry = None;
        drop(state);
        while let Some(job) = self.next_job() {
            job.run();
        }
    }

    /// Waits for a call to make; `None` when none has come for so long that the thread is to end.
    fn next_job(&'static self) -> Option<Arc<dyn Job>> {
        loop {
            let wait = Wait::begin();
            let (next, grows) = self.job_or_sleep(wait.waiter());
            if grows {
                self.start();
            }
            match next {
                Next::Job(job) => return Some(job),
                Next::End => return None,
                Next::Sleep(number) => {
                    let parked = wait.park(Some(Instant::now() + self.idle), Point::Shielded);
                    if self.wake_up(number, parked) {
                        return None;
                    }
                }
            }
        }
    }

    /// The end if there are too many, the oldest call, or else a place among the idle; and whether another thread is to
    /// be started.
    fn job_or_sleep(&self, waiter: Waiter) -> (Next, bool) {
        let mut state = self.state.lock();
        if state.threads > state.limit {
            state.threads -= 1;
            return (Next::End, false);
        }
        if let Some((_, job)) = state.queue.pop_first() {
            let grows = state.grow();
            return (Next::Job(job), grows);
        }
        let number = state.number();
        state.idle.push((number, waiter));
        (Next::Sleep(number), false)
    }

    /// Back from a sleep: leaves the idle, if it was not taken off the list (invariant 1); `true` if the thread is to end.
    fn wake_up(&self, number: u64, parked: Parked) -> bool {
        let mut state = self.state.lock();
        let Some(place) = state.idle.iter().position(|(idle, _)| *idle == number) else {
            return false;
        };
        let own = state.idle.remove(place);
        let ends = parked == Parked::TimedOut;
        state.threads -= usize::from(ends);
        drop(state);
        drop(own);
        ends
    }
}

/// The same error once more.
fn repeated(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

#[cfg(test)]
impl Pool {
    /// How many threads there are, and how many calls are in the queue.
    pub(super) fn figures(&self) -> (usize, usize) {
        let depth = self.depth();
        (depth.threads, depth.queued)
    }
}
