//! One channel: its state, its lock, and the waits of those who send and receive.
//!
//! Owns when a lock is taken and that nothing is woken or dropped under it. The rules are in `state`.
//!
//! Invariant 1: whoever stands in a line by its own wait leaves it before the wait's function is left, by whatever way.

use super::line::{Line, Number, Standing};
use super::stash::Stash;
use super::state::{End, State, Wakes};
use crate::budget;
use crate::cancel::{self, Point};
use crate::current::{self, Inlined};
use crate::lock::{Biased, BiasedGuard};
use crate::os_thread::Parked;
use crate::waiter::{ThisThread, Waiter, Waits};
use crate::worker::Worker;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError, TrySendError};
use std::time::Instant;

/// Why a message was not sent; it comes back.
#[derive(Debug)]
pub(in crate::sync) enum Unsent<T> {
    /// The deadline passed.
    Timeout(T),
    /// Nobody will ever receive it.
    Disconnected(T),
}

/// See the heading.
pub(super) struct Exchange<T> {
    /// Everything, under the one lock.
    state: Biased<State<T>>,
    /// Except for the oldest messages, while they are set aside.
    stash: Stash<T>,
    /// Whether sending never waits.
    pub(super) is_unbounded: bool,
}

impl<T> Exchange<T> {
    /// With one handle at each end.
    pub(super) fn new(capacity: usize) -> Exchange<T> {
        Exchange { state: Biased::new(State::new(capacity)), stash: Stash::new(), is_unbounded: capacity == usize::MAX }
    }

    /// With all messages in the queue.
    #[inline]
    pub(super) fn lock(&self) -> BiasedGuard<'_, State<T>> {
        current::with_worker(|worker| self.lock_on(worker))
    }

    /// As above, on the thread of `worker`, or of none.
    #[inline(always)]
    fn lock_on(&self, worker: Option<&Worker>) -> BiasedGuard<'_, State<T>> {
        let mut state = current::lock_on(worker, &self.state);
        self.take_back(&mut state);
        state
    }

    /// With messages set aside, as they may be: to do what neither receives nor needs room.
    pub(super) fn lock_as_it_is(&self) -> BiasedGuard<'_, State<T>> {
        current::with_worker(|worker| current::lock_on(worker, &self.state))
    }

    /// As above; if the state then says that there is no room, all messages are in the queue.
    #[inline]
    pub(super) fn lock_to_send(&self) -> BiasedGuard<'_, State<T>> {
        current::with_worker(|worker| self.lock_to_send_on(worker))
    }

    /// As above, on the thread of `worker`, or of none.
    #[inline(always)]
    fn lock_to_send_on(&self, worker: Option<&Worker>) -> BiasedGuard<'_, State<T>> {
        let mut state = current::lock_on(worker, &self.state);
        if state.has_set_aside() && !state.has_room() {
            self.look_for_room(&mut state);
        }
        state
    }

    /// Receivers may have taken some of what was set aside.
    #[inline(never)]
    fn look_for_room(&self, state: &mut State<T>) {
        state.set_aside_are(self.stash.len());
        if !state.has_room() {
            self.take_back(state);
        }
    }

    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        let state = self.lock_as_it_is();
        state.len(self.stash.len())
    }

    #[inline(always)]
    fn take_back(&self, state: &mut State<T>) {
        self.stash.take_back(|messages| state.take_back(messages));
        state.set_aside_are(0);
    }

    /// Sets messages aside if that helps: not where one worker has the lock to itself.
    #[inline(always)]
    fn set_aside(&self, state: &mut BiasedGuard<'_, State<T>>) {
        if !state.is_owners() && state.is_worth_setting_aside() {
            let count = self.stash.fill(|place| state.set_aside(place));
            state.set_aside_are(count);
        }
    }

    // ---- without waiting -------------------------------------------------------------------------------------------

    #[inline]
    pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        current::with_worker(|worker| {
            let chosen = self.lock_to_send_on(worker).put(message)?;
            self.wake_on(worker, chosen);
            Ok(())
        })
    }

    #[inline]
    pub(super) fn try_receive(&self) -> Result<T, TryRecvError> {
        current::with_worker(|worker| {
            if let Some(message) = self.stash.pop() {
                return Ok(message);
            }
            let mut state = self.lock_on(worker);
            let taken = state.take();
            self.set_aside(&mut state);
            drop(state);
            let (message, wakes) = taken?;
            self.wake(wakes);
            Ok(message)
        })
    }

    // ---- waking ----------------------------------------------------------------------------------------------------

    /// Wakes those who were chosen, without the lock; in the stead of one who will never come, others.
    pub(super) fn wake(&self, chosen: impl Into<Wakes>) {
        if !chosen.into().wake() {
            self.hand_on();
        }
    }

    /// As [`wake`](Exchange::wake), on the thread of `worker`, or of none.
    #[inline(always)]
    fn wake_on(&self, worker: Option<&Worker>, chosen: Option<Waiter>) {
        if let Some(chosen) = chosen
            && !chosen.wake_on(worker)
        {
            self.hand_on();
        }
    }

    /// Chooses anew, as if those chosen had given up, until nobody is chosen who never comes.
    #[cold]
    fn hand_on(&self) {
        loop {
            let mut state = self.lock();
            let (message, room) = (state.pass_on_message(), state.pass_on_room());
            drop(state);
            if Wakes::from(message).wake() & room.wake() {
                return;
            }
        }
    }

    // ---- sending ---------------------------------------------------------------------------------------------------

    /// Inlined as [`receive`](Exchange::receive) is.
    #[inline(always)]
    pub(super) fn send(&self, message: T, deadline: Option<Instant>) -> Result<(), Unsent<T>> {
        current::in_coroutine(Send { core: self, message, deadline })
    }

    #[inline(never)]
    fn send_on_thread<'a>(
        &'a self,
        state: BiasedGuard<'a, State<T>>,
        message: T,
        deadline: Option<Instant>,
    ) -> Result<(), Unsent<T>> {
        self.send_by(ThisThread::default(), None, state, message, deadline)
    }

    /// Sends where there may be no room, and then waits for it.
    #[inline(always)]
    fn send_by<'a>(
        &'a self,
        mut party: impl Waits,
        worker: Option<&Worker>,
        mut state: BiasedGuard<'a, State<T>>,
        mut message: T,
        deadline: Option<Instant>,
    ) -> Result<(), Unsent<T>> {
        let (mut had, mut parked) = (None, Parked::Woken);
        loop {
            match state.put(message) {
                Err(TrySendError::Full(back)) if parked == Parked::Woken => message = back,
                ended => {
                    drop(state);
                    return self.sent(ended);
                }
            }
            let standing = Standing { waiter: party.begin(), seat: None };
            let number = state.await_room(had, standing, Some(message));
            drop(state);
            let place = Offer { core: self, number };
            // Whether it was sent, the line tells, and not what ended the wait: so nothing is thrown before that is known.
            parked = party.park(deadline, Point::Answered);
            std::mem::forget(place);
            state = self.lock_on(worker);
            let Some(Some(back)) = state.leave_senders(number) else {
                return Ok(());
            };
            if parked == Parked::Cancelled {
                drop(state);
                cancel::strike();
                state = self.lock_on(worker);
            }
            (had, message) = (Some(number), back);
        }
    }

    // ---- receiving -------------------------------------------------------------------------------------------------

    /// Inlined with all that follows until the park: each frame that is left on another coroutine's turn costs two wrong
    /// predictions of where to return.
    #[inline(always)]
    pub(super) fn receive(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        current::in_coroutine(Receive { core: self, deadline })
    }

    #[inline(never)]
    fn receive_on_thread(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        self.receive_by(ThisThread::default(), None, deadline)
    }

    #[inline(always)]
    fn receive_by(
        &self,
        mut party: impl Waits,
        worker: Option<&Worker>,
        deadline: Option<Instant>,
    ) -> Result<T, RecvTimeoutError> {
        let mut state = self.lock_on(worker);
        let (mut had, mut parked) = (None, Parked::Woken);
        loop {
            if let Some(message) = state.pop() {
                if state.is_awaited() {
                    self.admit(state);
                } else {
                    self.set_aside(&mut state);
                }
                return Ok(message);
            }
            if !state.is_plainly_empty() || parked != Parked::Woken {
                match state.take() {
                    Err(TryRecvError::Empty) if parked == Parked::Woken => {}
                    ended => {
                        drop(state);
                        return self.received(ended);
                    }
                }
            }
            let standing = Standing { waiter: party.begin(), seat: None };
            let (number, met) = state.await_message(had, standing);
            drop(state);
            self.wake_on(worker, met);
            let place = Ear { core: self, number };
            parked = party.park(deadline, Point::Fallible);
            std::mem::forget(place);
            state = self.lock_on(worker);
            state.leave_receivers(number);
            had = Some(number);
        }
    }

    // ---- ends ------------------------------------------------------------------------------------------------------

    pub(super) fn attach(&self, end: End) {
        self.lock_as_it_is().attach(end);
    }

    /// Gives up a handle. After the last one everybody at the other end is woken, and what nobody will receive is dropped.
    pub(super) fn detach(&self, end: End) {
        let last = self.lock_as_it_is().detach(end);
        if last {
            self.disconnect(end);
        }
    }

    #[cold]
    fn disconnect(&self, end: End) {
        let others = match end {
            End::Sender => End::Receiver,
            End::Receiver => End::Sender,
        };
        let mut next = Line::<()>::FIRST;
        loop {
            // The lock is free again before the wake.
            let roused = self.lock_as_it_is().rouse(others, next);
            let Some((number, waiter)) = roused else {
                break;
            };
            waiter.wake();
            next = number;
        }
        if end == End::Receiver {
            let unread = self.lock().discard();
            drop(unread);
        }
    }

    // ---- outcomes --------------------------------------------------------------------------------------------------

    fn sent(&self, ended: Result<Option<Waiter>, TrySendError<T>>) -> Result<(), Unsent<T>> {
        match ended {
            Ok(chosen) => {
                self.wake(chosen);
                Ok(())
            }
            Err(TrySendError::Full(message)) => Err(Unsent::Timeout(message)),
            Err(TrySendError::Disconnected(message)) => Err(Unsent::Disconnected(message)),
        }
    }

    /// There may be room for a sender that waits.
    #[inline(never)]
    fn admit(&self, mut state: BiasedGuard<'_, State<T>>) {
        let wakes = state.admit();
        drop(state);
        self.wake(wakes);
    }

    #[inline(never)]
    fn received(&self, ended: Result<(T, Wakes), TryRecvError>) -> Result<T, RecvTimeoutError> {
        match ended {
            Ok((message, wakes)) => {
                self.wake(wakes);
                Ok(message)
            }
            Err(TryRecvError::Empty) => Err(RecvTimeoutError::Timeout),
            Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
        }
    }
}

/// A call of [`Exchange::send`].
struct Send<'a, T> {
    core: &'a Exchange<T>,
    message: T,
    deadline: Option<Instant>,
}

impl<T> Inlined for Send<'_, T> {
    type Output = Result<(), Unsent<T>>;

    #[inline(always)]
    fn on(self, worker: Option<&Worker>) -> Result<(), Unsent<T>> {
        let Send { core, message, deadline } = self;
        budget::spend_on(worker);
        let mut state = core.lock_to_send_on(worker);
        if state.has_room() && !state.is_gone(End::Receiver) {
            let chosen = state.push(message);
            drop(state);
            core.wake_on(worker, chosen);
            return Ok(());
        }
        match worker {
            Some(here) => core.send_by(here, worker, state, message, deadline),
            None => core.send_on_thread(state, message, deadline),
        }
    }
}

/// A call of [`Exchange::receive`].
struct Receive<'a, T> {
    core: &'a Exchange<T>,
    deadline: Option<Instant>,
}

impl<T> Inlined for Receive<'_, T> {
    type Output = Result<T, RecvTimeoutError>;

    #[inline(always)]
    fn on(self, worker: Option<&Worker>) -> Result<T, RecvTimeoutError> {
        budget::spend_on(worker);
        if let Some(message) = self.core.stash.pop() {
            return Ok(message);
        }
        match worker {
            Some(here) => self.core.receive_by(here, worker, self.deadline),
            None => self.core.receive_on_thread(self.deadline),
        }
    }
}

/// The place of a sender whose wait was refused, inside `no_park` (invariant 1). The message goes with it.
struct Offer<'a, T> {
    core: &'a Exchange<T>,
    number: Number,
}

impl<T> Drop for Offer<'_, T> {
    fn drop(&mut self) {
        // Dropped once the lock is free.
        let back = self.core.lock_as_it_is().leave_senders(self.number);
        drop(back);
    }
}

/// The place of a receiver whose wait was thrown out of (invariant 1). A message that it was chosen for is still in the queue,
/// for the next.
struct Ear<'a, T> {
    core: &'a Exchange<T>,
    number: Number,
}

impl<T> Drop for Ear<'_, T> {
    fn drop(&mut self) {
        let next = self.core.lock().give_up_receiving(self.number);
        self.core.wake(next);
    }
}
