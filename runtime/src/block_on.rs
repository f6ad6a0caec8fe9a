//! Futures, polled to their end by whoever asks: a coroutine parks meanwhile, a plain thread blocks.
//!
//! Owns the poll loop and the waker. `word` owns the race between a wake and a park. Must never know what a future does.
//!
//! # Invariants
//!
//! 1. A waker may be used by any thread, at any time, for ever: it keeps a few words of memory alive and no coroutine. After
//!    the end it does nothing.
//! 2. A wake during a poll is answered by another poll. However many come between two polls, the coroutine is sent one message
//!    at the most.

mod word;

use crate::budget;
use crate::cancel::Point;
use crate::waiter::{Wait, Waiter};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use word::WakeWord;

/// Runs a future to its end, and gives its output.
///
/// Async code runs on the caller's own stack, polled whenever its waker was woken, by whatever thread. What it awaits must be
/// driven by somebody: a channel by who sends, a [`JoinHandle`](crate::thread::JoinHandle) by its coroutine, a timer or a socket of
/// an async runtime by that runtime, on threads of its own.
///
/// Where making a future needs an async runtime's context (tokio's `Handle::enter`), leave the context before this: it is kept
/// for the thread, and other coroutines of the worker run meanwhile.
///
/// It allocates once. A future as large as stacks are small wants to be boxed: it is kept on the caller's.
///
/// # Blocking
///
/// Parks the coroutine while the future is pending; a cancellation point, and the future is then dropped by the unwind. In
/// a coroutine that unwinds already it waits for the future's end. One that wakes itself lets others run now and then.
/// Blocks a plain thread.
///
/// # Panics
///
/// Panics where the future does, and inside [`no_park`](crate::thread::no_park) if the future has to be waited for.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{block_on, run, spawn};
/// use std::future::poll_fn;
/// use std::task::{Poll, Waker};
/// use std::sync::mpsc::channel;
///
/// run(|| {
///     let (sends, sent) = channel::<Waker>();
///     spawn(move || sent.recv().unwrap().wake());
///     let mut polls = 0;
///     let polls = block_on(poll_fn(|context| {
///         polls += 1;
///         if polls == 2 {
///             return Poll::Ready(polls);
///         }
///         sends.send(context.waker().clone()).unwrap();
///         Poll::Pending
///     }));
///     assert_eq!(polls, 2);
/// });
/// ```
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let alarm = Ending(Arc::new(Alarm { word: WakeWord::new(), party: Wait::begin().waiter() }));
    let waker = Waker::from(Arc::clone(&alarm.0));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future.into_future());
    loop {
        alarm.0.word.clear();
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        alarm.0.wait();
    }
}

/// What a waker of [`block_on`] is: the party that waits, and whether it was woken.
struct Alarm {
    /// Who is woken, if it waits, and whether it was.
    word: WakeWord,
    /// Who waits; the word says in which of its waits.
    party: Waiter,
}

impl Alarm {
    /// Waits for a wake, own party only. It may return for no reason.
    #[inline]
    fn wait(&self) {
        let wait = Wait::begin();
        if self.word.sleep(wait.number()) {
            wait.park(None, Point::Cancellable);
        } else {
            // A future that wakes itself is never waited for.
            budget::spend();
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    #[inline]
    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(number) = self.word.wake() {
            self.party.wake_number(number);
        }
    }
}

/// Invariant 1: the wakes that come later find nobody.
struct Ending(Arc<Alarm>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.word.end();
    }
}
