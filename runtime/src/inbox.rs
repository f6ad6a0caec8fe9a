//! Messages from other threads to one worker, and the handshake that lets the worker sleep without missing one.
//!
//! Owns the queue of messages and the sleep word. Does not know what a message says, nor how a sleeper is
//! interrupted: [`Inbox::push`] answers whether the caller has to.
//!
//! ```text
//!            prepare_sleep                    push, announce
//!   AWAKE ------------------> ASLEEP -----------------------> NOTIFIED
//!     ^   <------------------   |     (exactly one caller        |
//!     |    something is there   |      is told to interrupt)     |
//!     +-------------------------+--------------------------------+
//!                             awake
//! ```
//!
//! Invariant 1: a worker that declared itself `ASLEEP` and then saw nothing pending is interrupted by whoever makes
//! something pending later. Both sides store, pass a SeqCst fence, then load the other's word: one of them must see
//! the other (a store-then-load handshake; acquire and release alone allow both to miss).
//! Invariant 2: messages of one sender arrive in the order they were pushed.

use crate::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use crate::lock::Lock;

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
const NOTIFIED: u32 = 2;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed {
    /// The owner reads it before it sleeps.
    Heard,
    /// The caller must interrupt the sleeping owner, who then reads it.
    Unheard,
    /// The owner has ended, and never reads it.
    Refused,
}

/// One worker's inbox.
#[derive(Debug)]
pub(crate) struct Inbox<M> {
    /// What was pushed and not yet taken.
    messages: Lock<Vec<M>>,
    /// Whether the owner has ended; written under the lock of `messages`.
    closed: AtomicBool,
    /// Whether `messages` may hold something: spares the owner the lock.
    pending: AtomicBool,
    /// `AWAKE`, `ASLEEP` or `NOTIFIED`.
    sleep: AtomicU32,
}

impl<M> Inbox<M> {
    pub(crate) fn new() -> Inbox<M> {
        Inbox {
            messages: Lock::new(Vec::new()),
            closed: AtomicBool::new(false),
            pending: AtomicBool::new(false),
            sleep: AtomicU32::new(AWAKE),
        }
    }

    /// Adds a message, or drops it if the owner has ended.
    pub(crate) fn push(&self, message: M) -> Pushed {
        {
            let mut messages = self.messages.lock();
            // ORDERING: Relaxed; written under this lock.
            if self.closed.load(Ordering::Relaxed) {
                drop(messages);
                drop(message);
                return Pushed::Refused;
            }
            messages.push(message);
            // ORDERING: Relaxed; ordered for the owner by the fence in `announce` (against `prepare_sleep`) and for
            // the content by the lock.
            self.pending.store(true, Ordering::Relaxed);
        }
        if self.announce() { Pushed::Unheard } else { Pushed::Heard }
    }

    /// To be called after something was put where the owner looks before it sleeps; `true` if the caller must interrupt it.
    #[must_use]
    pub(crate) fn announce(&self) -> bool {
        // ORDERING: SeqCst fence; pairs with the fence in `prepare_sleep`: either we see ASLEEP, or it sees our store.
        fence(Ordering::SeqCst);
        // ORDERING: Relaxed; the fence above orders it.
        if self.sleep.load(Ordering::Relaxed) != ASLEEP {
            return false;
        }
        // ORDERING: Relaxed; picks one notifier. Messages are published by the lock, not by this word.
        self.sleep.compare_exchange(ASLEEP, NOTIFIED, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// By the owner, last, or by whoever has given it up: gives what is there; whatever comes later is refused. What stayed
    /// here would keep its records alive for as long as somebody can name the worker.
    pub(crate) fn close(&self) -> Vec<M> {
        let rest = {
            let mut messages = self.messages.lock();
            // ORDERING: Relaxed for `push`, which reads it under the lock.
            self.closed.store(true, Ordering::Relaxed);
            std::mem::take(&mut *messages)
        };
        // ORDERING: SeqCst fence; pairs with the fence in `announce`, which comes before `is_closed`: whoever put
        // something elsewhere sees the close, or the owner, who looks there after this, sees what was put.
        fence(Ordering::SeqCst);
        rest
    }

    /// Whether the owner has ended. Called after `announce`.
    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: Relaxed; ordered by the fence in `announce`.
        self.closed.load(Ordering::Relaxed)
    }

    /// Owner only: moves what is there into `into`, which is empty; the two buffers swap, so nothing is allocated.
    pub(crate) fn take(&self, into: &mut Vec<M>) {
        debug_assert!(into.is_empty());
        if self.is_pending() {
            let mut messages = self.messages.lock();
            // ORDERING: Relaxed; written under the lock on both sides.
            self.pending.store(false, Ordering::Relaxed);
            std::mem::swap(&mut *messages, into);
        }
    }

    /// Owner only: whether `take` would find something. May lag behind a push that has not notified yet.
    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        // ORDERING: Relaxed; a miss is corrected by the handshake before the owner sleeps.
        self.pending.load(Ordering::Relaxed)
    }

    /// Owner only: declares that it is about to sleep. `false` if something is pending after all: do not sleep.
    ///
    /// `elsewhere` looks at whatever other places are covered by [`Inbox::announce`].
    pub(crate) fn prepare_sleep(&self, elsewhere: impl FnOnce() -> bool) -> bool {
        // ORDERING: Relaxed; the fence below orders it before the loads that follow.
        self.sleep.store(ASLEEP, Ordering::Relaxed);
        // ORDERING: SeqCst fence; pairs with the fence in `announce`.
        fence(Ordering::SeqCst);
        if self.is_pending() || elsewhere() {
            self.awake();
            return false;
        }
        true
    }

    /// Owner only: it runs again.
    pub(crate) fn awake(&self) {
        // ORDERING: Relaxed; a notifier that still sees ASLEEP interrupts a sleep that is over, which is harmless.
        self.sleep.store(AWAKE, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_sleeper_is_notified_once() {
        let inbox = Inbox::new();
        assert_eq!(inbox.push(1), Pushed::Heard);
        inbox.take(&mut Vec::new());
        assert!(inbox.prepare_sleep(|| false));
        assert_eq!(inbox.push(2), Pushed::Unheard);
        assert_eq!(inbox.push(3), Pushed::Heard);
        inbox.awake();
        let mut got = Vec::new();
        inbox.take(&mut got);
        assert_eq!(got, [2, 3]);
    }

    #[test]
    fn a_closed_inbox_keeps_nothing() {
        let (inbox, message) = (Inbox::new(), std::sync::Arc::new(()));
        let _ = inbox.push(std::sync::Arc::clone(&message));
        assert_eq!(inbox.close().len(), 1);
        assert_eq!(inbox.push(std::sync::Arc::clone(&message)), Pushed::Refused);
        assert!(inbox.is_closed());
        assert_eq!(std::sync::Arc::strong_count(&message), 1);
    }

    #[test]
    fn nobody_sleeps_on_a_message() {
        let inbox = Inbox::new();
        let _ = inbox.push(());
        assert!(!inbox.prepare_sleep(|| false));
        inbox.take(&mut Vec::new());
        assert!(!inbox.prepare_sleep(|| true));
        assert!(inbox.prepare_sleep(|| false));
    }
}

#[cfg(all(test, dormouse_loom))]
mod models {
    use super::*;
    use crate::mail::Mail;
    use loom::sync::Arc;
    use loom::thread;

    /// A worker that sleeps on a notification, as the real one on its eventfd; loom reports a sleep that never ends.
    struct Model {
        inbox: Inbox<u32>,
        eventfd: loom::sync::Notify,
    }

    impl Model {
        fn new() -> Model {
            Model { inbox: Inbox::new(), eventfd: loom::sync::Notify::new() }
        }

        fn send(&self, message: u32) {
            if self.inbox.push(message) == Pushed::Unheard {
                self.eventfd.notify();
            }
        }

        /// One turn of a worker's loop: sleeps unless something is pending, then takes.
        fn receive(&self, got: &mut Vec<u32>) {
            if self.inbox.prepare_sleep(|| false) {
                self.eventfd.wait();
                self.inbox.awake();
            }
            let mut batch = Vec::new();
            self.inbox.take(&mut batch);
            got.append(&mut batch);
        }
    }

    #[test]
    fn no_message_is_slept_on() {
        loom::model(|| {
            let model = Arc::new(Model::new());
            let senders: Vec<_> = (0..2)
                .map(|id| {
                    let model = Arc::clone(&model);
                    thread::spawn(move || model.send(id))
                })
                .collect();
            let mut got = Vec::new();
            for _turn in 0..10 {
                if got.len() == 2 {
                    break;
                }
                model.receive(&mut got);
            }
            got.sort_unstable();
            assert_eq!(got, [0, 1]);
            senders.into_iter().for_each(|sender| sender.join().unwrap());
        });
    }

    /// Whatever is pushed against the end is read, or refused; never both, never neither.
    #[test]
    fn each_message_is_read_or_refused() {
        loom::model(|| {
            let inbox = Arc::new(Inbox::new());
            let other = Arc::clone(&inbox);
            let sender = thread::spawn(move || other.push(()) == Pushed::Refused);
            let mut read = Vec::new();
            inbox.take(&mut read);
            read.append(&mut inbox.close());
            assert_eq!(sender.join().unwrap(), read.is_empty());
        });
    }

    fn letters_race(settled: bool, looks_early: bool) {
        let shared = Arc::new((Mail::new(), Inbox::<()>::new()));
        if settled {
            shared.0.settle();
        }
        let post = |letter: fn(&Mail) -> bool| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                if letter(&shared.0) {
                    let _ = shared.1.push(());
                }
            })
        };
        let (mail, inbox) = &*shared;
        let unparker = post(Mail::post_unpark);
        if looks_early {
            // Mail of one that has not started is left where it is.
            inbox.take(&mut Vec::new());
        }
        let mut found = mail.start();
        let canceller = post(Mail::post_cancel);
        while !(found.unpark && found.cancel) {
            let mut batch = Vec::new();
            inbox.take(&mut batch);
            // A start that finds letters leaves their push behind.
            assert!(batch.len() <= 1 + usize::from(settled), "pushed twice");
            if batch.pop().is_some() {
                let letters = mail.take();
                found.unpark |= letters.unpark;
                found.cancel |= letters.cancel;
            } else {
                thread::yield_now();
            }
        }
        unparker.join().unwrap();
        canceller.join().unwrap();
    }

    /// Unpark and cancel race with each other and with the owner's start and take: every letter arrives, each push is
    /// owed by exactly one poster.
    #[test]
    fn no_letter_is_lost() {
        loom::model(|| letters_race(false, false));
    }

    /// The same where the home is known from the spawn on.
    #[test]
    fn no_letter_to_one_that_has_a_home_is_lost() {
        loom::model(|| letters_race(true, false));
    }

    /// The same, and what the inbox brings before the start is ignored.
    #[test]
    fn no_letter_that_comes_before_the_start_is_lost() {
        loom::model(|| letters_race(true, true));
    }
}
