//! The word of a one-time call: whether it was made, and who waits for it.
//!
//! Owns the algorithm. Does not know what is called for.
//!
//! ```text
//!   INCOMPLETE ---> RUNNING ---> COMPLETE
//!                     |  ^
//!        it unwinds   v  |   whoever forces it
//!                   POISONED
//! ```
//!
//! Invariant 1: if somebody is in the queue, `PARKED` is set beside the state. It is set under the bucket's lock, and
//! cleared by the end of a call, which then chooses all.

use super::lot::{self, Answer, End, Mark};
use crate::atomic::{AtomicU32, Ordering};
use crate::cancel::Point;

const INCOMPLETE: u32 = 0;
const POISONED: u32 = 1;
const RUNNING: u32 = 2;
const COMPLETE: u32 = 3;
/// All states.
const STATE: u32 = 3;
/// Somebody may be in its queue.
const PARKED: u32 = 4;

/// Those who wait are all alike.
const WAITS: Mark = 0;
/// Is to look again.
const LOOK: Answer = 0;

/// See the heading.
#[derive(Debug)]
pub(super) struct OnceWord(AtomicU32);

/// How far it is, for one who has it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Never called.
    Incomplete,
    /// Called in vain.
    Poisoned,
    /// Called.
    Complete,
}

/// The right and the duty to make the call. Dropped before `complete`, the call was in vain.
#[derive(Debug)]
pub(super) struct Calling<'a> {
    /// Whose call it is.
    word: &'a OnceWord,
    /// Whether it was made in vain before.
    poisoned: bool,
    /// The state in which this ends.
    ends_as: u32,
}

/// A wait that is not forced finds it poisoned.
#[cold]
#[track_caller]
fn refuse() -> ! {
    panic!("Once instance has previously been poisoned");
}

impl OnceWord {
    /// One that was not called for.
    #[cfg(not(dormouse_loom))]
    pub(super) const fn new() -> OnceWord {
        OnceWord(AtomicU32::new(INCOMPLETE))
    }

    /// As above: loom's atomics are not `const`.
    #[cfg(dormouse_loom)]
    pub(super) fn new() -> OnceWord {
        OnceWord(AtomicU32::new(INCOMPLETE))
    }

    /// Whether it was called; what that wrote is seen.
    #[inline]
    pub(super) fn is_complete(&self) -> bool {
        // ORDERING: Acquire pairs with the Release of `end`.
        self.0.load(Ordering::Acquire) == COMPLETE
    }

    /// How far it is.
    #[cfg(not(dormouse_loom))]
    #[inline]
    pub(super) fn stage(&mut self) -> Stage {
        match *self.0.get_mut() & STATE {
            COMPLETE => Stage::Complete,
            POISONED => Stage::Poisoned,
            _ => Stage::Incomplete,
        }
    }

    /// The right to make the call, or `None` when it was made; parks while another makes it. A cancellation point.
    ///
    /// Panics if it is poisoned, unless `force`.
    #[track_caller]
    pub(super) fn begin(&self, force: bool) -> Option<Calling<'_>> {
        // ORDERING: Acquire pairs with the Release of `end`: a call that was made, or was made in vain, comes before.
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            match word & STATE {
                COMPLETE => return None,
                POISONED if !force => refuse(),
                RUNNING => word = self.park_unless(|state| state != RUNNING),
                state => {
                    // ORDERING: Acquire as above, for both outcomes.
                    let new = word & PARKED | RUNNING;
                    match self.0.compare_exchange(word, new, Ordering::Acquire, Ordering::Acquire) {
                        Ok(_) => return Some(Calling { word: self, poisoned: state == POISONED, ends_as: POISONED }),
                        Err(now) => word = now,
                    }
                }
            }
        }
    }

    /// Parks until the call was made. A cancellation point.
    ///
    /// Panics if it is poisoned, unless `force`: then it waits for another call.
    #[track_caller]
    pub(super) fn wait(&self, force: bool) {
        // ORDERING: Acquire pairs with the Release of `end`.
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            match word & STATE {
                COMPLETE => return,
                POISONED if !force => refuse(),
                _ => word = self.park_unless(|state| state == COMPLETE || state == POISONED && !force),
            }
        }
    }

    /// Parks until a call ended, unless the state is what `is_over` says; gives the word after that.
    fn park_unless(&self, is_over: impl Fn(u32) -> bool) -> u32 {
        lot::check(Point::Cancellable);
        let announce = || {
            // ORDERING: Relaxed; whoever ends a call then locks the bucket, which is locked here.
            let set = |word: u32| (!is_over(word & STATE)).then_some(word | PARKED);
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, set).is_ok()
        };
        if let Some(mut queued) = lot::enqueue(lot::key(self), WAITS, End::Back, announce) {
            queued.park(None, Point::Cancellable);
        }
        // ORDERING: Acquire pairs with the Release of `end`.
        self.0.load(Ordering::Acquire)
    }

    /// Ends a call.
    fn end(&self, state: u32) {
        // ORDERING: Release publishes what the call wrote to the Acquire loads. Nothing is read.
        if self.0.swap(state, Ordering::Release) & PARKED != 0 {
            self.wake_all();
        }
    }

    #[cold]
    fn wake_all(&self) {
        let mut line = lot::line(lot::key(self));
        while line.choose(LOOK) {}
        let _nothing_was_handed_over = line.wake();
    }
}

impl Calling<'_> {
    /// Whether it was made in vain before.
    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// The call was made.
    pub(super) fn complete(mut self) {
        self.ends_as = COMPLETE;
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.word.end(self.ends_as);
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::*;
    use loom::cell::Cell;
    use loom::sync::Arc;

    type Shared = (OnceWord, Cell<u32>);

    fn call(shared: &Shared) {
        if let Some(calling) = shared.0.begin(false) {
            // The loom cell reports any access to it that is not ordered by the word.
            shared.1.set(shared.1.get() + 1);
            calling.complete();
        }
        assert!(shared.0.is_complete());
        assert_eq!(shared.1.get(), 1);
    }

    /// Of three who call one does, and all see what it did.
    #[test]
    fn it_is_called_once() {
        loom::model(|| {
            let shared = Arc::new((OnceWord::new(), Cell::new(0)));
            let others = [Arc::clone(&shared), Arc::clone(&shared)];
            let threads = others.map(|other| loom::thread::spawn(move || call(&other)));
            call(&shared);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    /// Who waits sees the call, also if one in vain came before.
    #[test]
    fn who_waits_sees_the_call() {
        loom::model(|| {
            let shared = Arc::new((OnceWord::new(), Cell::new(0)));
            let other = Arc::clone(&shared);
            let waiter = loom::thread::spawn(move || {
                other.0.wait(true);
                assert_eq!(other.1.get(), 1);
            });
            drop(shared.0.begin(true));
            let again = shared.0.begin(true).expect("it was in vain");
            assert!(again.is_poisoned());
            shared.1.set(1);
            again.complete();
            waiter.join().unwrap();
        });
    }
}
