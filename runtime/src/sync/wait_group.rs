//! Waiting for a number of parties to be done.
//!
//! Invariant 1: `members` counts the groups that are not dropped; whoever makes it 0 chooses the whole line.

use super::line::{Line, point_until, wait_in_line, wake_all};
use crate::lock::Lock;
use crate::sys::clock;
use crate::waiter::{Wait, Waiter};
use std::panic::RefUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Waits until all others who have a clone of it have dropped theirs.
///
/// Each clone stands for something to be done; nothing is counted by hand, and nothing is forgotten if a panic or a cancel
/// cuts the work short.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::WaitGroup;
/// use dormouse_runtime::{run, thread};
///
/// run(|| {
///     let group = WaitGroup::new();
///     for n in 0..4 {
///         let member = group.clone();
///         thread::spawn(move || {
///             let _done = n * n;
///             drop(member);
///         });
///     }
///     group.wait();
/// });
/// ```
pub struct WaitGroup {
    /// What the clones share.
    shared: Arc<Shared>,
}

/// What the clones share.
struct Shared {
    /// Who is there, and who waits.
    state: Lock<State>,
}

/// Who is there, and who waits.
struct State {
    /// Invariant 1.
    members: usize,
    /// Those who wait.
    line: Line<()>,
}

/// Whatever a panic leaves half done, the line is whole.
impl RefUnwindSafe for Shared {}

impl WaitGroup {
    /// A group of one.
    #[must_use]
    pub fn new() -> WaitGroup {
        let state = State { members: 1, line: Line::new() };
        WaitGroup { shared: Arc::new(Shared { state: Lock::new(state) }) }
    }

    /// Leaves the group, and waits until nobody is left in it. What each of them did before is seen after this.
    ///
    /// # Blocking
    ///
    /// Parks a coroutine; a cancellation point. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics inside [`no_park`](crate::thread::no_park), unless nobody is left.
    pub fn wait(self) {
        self.into_shared().wait_until(None);
    }

    /// As [`WaitGroup::wait`], for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The group, joined again, if somebody was left when the time had passed.
    ///
    /// # Blocking
    ///
    /// As [`WaitGroup::wait`].
    ///
    /// # Panics
    ///
    /// As [`WaitGroup::wait`].
    pub fn wait_timeout(self, timeout: Duration) -> Result<(), WaitGroup> {
        let shared = self.into_shared();
        if shared.wait_until(clock::deadline(timeout)) || !shared.join_again() {
            return Ok(());
        }
        Err(WaitGroup { shared })
    }

    /// Leaves the group, but keeps what its members share.
    fn into_shared(self) -> Arc<Shared> {
        let shared = Arc::clone(&self.shared);
        drop(self);
        shared
    }
}

impl Shared {
    /// Waits for the last; `false` if `deadline` passed first.
    fn wait_until(&self, deadline: Option<Instant>) -> bool {
        let Some((number, wait)) = self.enter() else {
            return true;
        };
        let waiting = Waiting { shared: self, number };
        wait_in_line(wait, deadline, point_until(deadline), |waiter| self.stay(number, waiter));
        waiting.leave()
    }

    /// A place in the line, unless nobody is left.
    fn enter(&self) -> Option<(u64, Wait)> {
        if self.state.lock().members == 0 {
            return None;
        }
        let wait = Wait::begin();
        let mut state = self.state.lock();
        (state.members > 0).then(|| state.line.enter((), wait.waiter())).map(|number| (number, wait))
    }

    fn stay(&self, number: u64, waiter: Waiter) -> bool {
        let (stays, unneeded) = self.state.lock().line.stay(number, waiter);
        drop(unneeded);
        stays
    }

    /// One more member, if there is any; `false` if nobody is left.
    fn join_again(&self) -> bool {
        let mut state = self.state.lock();
        let open = state.members > 0;
        state.members += usize::from(open);
        open
    }
}

impl Clone for WaitGroup {
    fn clone(&self) -> WaitGroup {
        self.shared.state.lock().members += 1;
        WaitGroup { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for WaitGroup {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.members -= 1;
        let chosen = (state.members == 0).then(|| state.line.choose_all());
        drop(state);
        wake_all(chosen.into_iter().flatten().filter_map(|(_, waiter)| waiter));
    }
}

/// Somebody waits. Dropped in an unwind, it leaves the line.
struct Waiting<'a> {
    /// For whom.
    shared: &'a Shared,
    /// Its number in the line.
    number: u64,
}

impl Waiting<'_> {
    /// Leaves the line; `true` if it was chosen.
    fn leave(&self) -> bool {
        let left = self.shared.state.lock().line.leave(self.number);
        left.is_none()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Default for WaitGroup {
    fn default() -> WaitGroup {
        WaitGroup::new()
    }
}

impl std::fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let members = self.shared.state.lock().members;
        f.debug_struct("WaitGroup").field("members", &members).finish()
    }
}
