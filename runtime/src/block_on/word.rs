//! The word between a waker and the party that waits for it.
//!
//! Owns who of the two comes first. Two kinds of callers: the *owner*, one party at a time, calls `clear`, `sleep` and `end`;
//! anybody calls `wake`.
//!
//! ```text
//!   63 ........ 32                     1        0
//!   | number of the wait |          ASLEEP    WOKEN |
//!
//!            sleep                wake (which is told the number)
//!   EMPTY -----------> ASLEEP --------------------------> WOKEN
//!     ^  ^_______________|            wake                  |
//!     |      clear        \________________________________/|
//!     |                  clear                              |
//!     +-----------------------------------------------------+
//! ```
//!
//! Invariant 1: of the wakes that come while the word says `ASLEEP`, one is told the number of the wait, and ends it. All others
//! have nothing to do: so many wakes are one message.
//! Invariant 2: a wake that comes after `clear` is seen by `sleep`, which then says not to. What came before the wake is seen
//! after the next `clear`.
//! Invariant 3: after `end` nobody is told anything.

use crate::atomic::{AtomicU64, Ordering};

/// Nobody has woken, nobody sleeps.
const EMPTY: u64 = 0;
/// Somebody has woken.
const WOKEN: u64 = 1;
/// The owner sleeps, in the wait whose number is in the upper half.
const ASLEEP: u64 = 1 << 1;

/// See the heading.
#[derive(Debug)]
pub(super) struct WakeWord {
    /// As drawn above.
    word: AtomicU64,
}

impl WakeWord {
    pub(super) fn new() -> WakeWord {
        WakeWord { word: AtomicU64::new(EMPTY) }
    }

    /// Owner only, before each poll: forgets the wakes that it answers.
    #[inline]
    pub(super) fn clear(&self) {
        // ORDERING: Acquire; pairs with the Release half of each `wake` since the last one. A swap, since a store would miss one that
        // comes just now: its value would be overwritten without being seen.
        self.word.swap(EMPTY, Ordering::Acquire);
    }

    /// Owner only: is about to park in the wait `number`. `false` if it was woken since `clear`: then it must not.
    #[inline]
    pub(super) fn sleep(&self, number: u32) -> bool {
        let asleep = u64::from(number) << 32 | ASLEEP;
        // ORDERING: Release; pairs with the Acquire half of `wake`: the wait has begun before it is ended. A failure is followed by
        // `clear`.
        self.word.compare_exchange(EMPTY, asleep, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Wakes the owner: the number of its wait, if the caller is the one to end it.
    #[inline]
    pub(super) fn wake(&self) -> Option<u32> {
        // ORDERING: AcqRel; Release pairs with the Acquire of `clear`, Acquire with the Release of `sleep`.
        let before = self.word.swap(WOKEN, Ordering::AcqRel);
        (before & ASLEEP != 0).then_some((before >> 32) as u32)
    }

    /// Owner only, last.
    pub(super) fn end(&self) {
        // ORDERING: Relaxed; the owner takes nothing from a wake that comes now.
        self.word.store(WOKEN, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_of_many_wakes_is_told_whom_to_wake() {
        let word = WakeWord::new();
        assert_eq!(word.wake(), None, "nobody sleeps");
        assert!(!word.sleep(6), "it was woken");
        word.clear();
        assert!(word.sleep(u32::MAX));
        assert_eq!(word.wake(), Some(u32::MAX));
        assert!((0..100).all(|_| word.wake().is_none()));
        word.clear();
        assert!(word.sleep(0));
        word.end();
        assert_eq!(word.wake(), None, "it has ended");
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::*;
    use loom::cell::Cell;
    use loom::sync::{Arc, Notify};
    use loom::thread;

    /// What stands for a coroutine's waits: the number of the present one, and the message that ends it.
    struct Model {
        word: WakeWord,
        message: Notify,
        /// How far what the future waits for has come.
        progress: [loom::sync::atomic::AtomicU32; 2],
    }

    impl Model {
        fn new() -> Arc<Model> {
            let progress = [loom::sync::atomic::AtomicU32::new(0), loom::sync::atomic::AtomicU32::new(0)];
            Arc::new(Model { word: WakeWord::new(), message: Notify::new(), progress })
        }

        /// Makes progress, and wakes.
        fn advance(&self, which: usize) {
            // ORDERING: Relaxed; published by the word.
            self.progress[which].store(1, Ordering::Relaxed);
            if self.word.wake().is_some() {
                self.message.notify();
            }
        }

        /// Polls until so much progress was made; loom reports a sleep that never ends.
        fn block_on(&self, enough: u32) {
            for number in 0.. {
                self.word.clear();
                // ORDERING: Relaxed; published by the word.
                let made: u32 = self.progress.iter().map(|progress| progress.load(Ordering::Relaxed)).sum();
                if made >= enough {
                    break;
                }
                if self.word.sleep(number) {
                    self.message.wait();
                }
            }
            self.word.end();
        }
    }

    /// A wake is never slept on, whether it comes before, during or after the park is declared.
    #[test]
    fn no_wake_is_slept_on() {
        loom::model(|| {
            let model = Model::new();
            let wakers: Vec<_> = (0..2)
                .map(|which| {
                    let model = Arc::clone(&model);
                    thread::spawn(move || model.advance(which))
                })
                .collect();
            model.block_on(2);
            wakers.into_iter().for_each(|waker| waker.join().unwrap());
        });
    }

    /// Of two that wake one sleep, one sends the message.
    #[test]
    fn many_wakes_are_one_message() {
        loom::model(|| {
            let word = Arc::new(WakeWord::new());
            word.clear();
            assert!(word.sleep(7));
            let other = Arc::clone(&word);
            let waker = thread::spawn(move || other.wake());
            let told = [word.wake(), waker.join().unwrap()];
            assert_eq!(told.iter().flatten().count(), 1);
            assert_eq!(told.into_iter().flatten().next(), Some(7));
        });
    }

    /// Who was cancelled while it slept ends the word and goes. A wake that comes later tells nobody; one that comes at the same
    /// time may still tell the number of a wait that is over.
    #[test]
    fn nobody_is_woken_after_the_end() {
        loom::model(|| {
            let shared = Arc::new((WakeWord::new(), Cell::new(false)));
            shared.0.clear();
            assert!(shared.0.sleep(3));
            let other = Arc::clone(&shared);
            let waker = thread::spawn(move || {
                let first = other.0.wake();
                assert!(first.is_none_or(|number| number == 3));
                assert_eq!(other.0.wake(), None);
            });
            shared.1.set(true);
            shared.0.end();
            waker.join().unwrap();
            assert_eq!(shared.0.wake(), None);
        });
    }
}
