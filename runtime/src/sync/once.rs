//! A call that is made once.
//!
//! Owns [`Once`] and [`OnceState`]; the algorithm is in `once_word.rs`.

use super::once_word::{Calling, OnceWord, Stage};
use std::cell::Cell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// [`std::sync::Once`] for coroutines and plain threads: who waits for the call of another parks, and blocks no worker.
///
/// The call itself may park. One that a cancellation unwinds poisons it, as one that panics.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::Once;
///
/// static START: Once = Once::new();
///
/// START.call_once(|| println!("this is said once"));
/// START.call_once(|| unreachable!());
/// assert!(START.is_completed());
/// ```
pub struct Once {
    /// How far it is.
    word: OnceWord,
}

impl UnwindSafe for Once {}
impl RefUnwindSafe for Once {}

/// What [`Once::call_once_force`] tells its closure.
pub struct OnceState {
    /// Whether an earlier call was in vain.
    poisoned: bool,
    /// Whether this one is to count as in vain.
    fails: Cell<bool>,
}

/// Initialization value for static [`Once`] values.
#[deprecated(since = "0.1.0", note = "the `Once::new()` function is now preferred, as in std")]
#[allow(clippy::declare_interior_mutable_const, reason = "it is what std has")]
pub const ONCE_INIT: Once = Once::new();

impl Once {
    /// One whose call was not made.
    #[allow(clippy::new_without_default, reason = "std's has none")]
    #[inline]
    #[must_use]
    pub const fn new() -> Once {
        Once { word: OnceWord::new() }
    }

    /// Calls `f`, if no such call was made yet; when this returns one was, and what it wrote is seen.
    ///
    /// A call from within `f` to the same one never returns.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine while another makes the call; a cancellation point if so. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics if an earlier call unwound, and inside `no_park` if it would have to wait.
    #[inline]
    #[track_caller]
    pub fn call_once<F>(&self, f: F)
    where
        F: FnOnce(),
    {
        if !self.is_completed() {
            self.call_cold(false, |_| f());
        }
    }

    /// As [`call_once`](Once::call_once), also if an earlier call unwound, of which it tells `f`.
    ///
    /// # Blocking
    ///
    /// As [`call_once`](Once::call_once).
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::Once;
    /// use std::panic::catch_unwind;
    ///
    /// let once = Once::new();
    /// assert!(catch_unwind(|| once.call_once(|| panic!())).is_err());
    /// once.call_once_force(|state| assert!(state.is_poisoned()));
    /// once.call_once(|| unreachable!());
    /// ```
    #[inline]
    pub fn call_once_force<F>(&self, f: F)
    where
        F: FnOnce(&OnceState),
    {
        if !self.is_completed() {
            self.call_cold(true, f);
        }
    }

    #[cold]
    #[track_caller]
    fn call_cold(&self, force: bool, f: impl FnOnce(&OnceState)) {
        if let Some(calling) = self.word.begin(force) {
            call(calling, f);
        }
    }

    /// Whether a call was made and has returned; what it wrote is then seen.
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.word.is_complete()
    }

    /// Waits until a call was made.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine; a cancellation point. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics if a call unwinds, and inside `no_park` if it would have to wait.
    pub fn wait(&self) {
        self.word.wait(false);
    }

    /// As [`wait`](Once::wait), also if a call unwinds: for another one.
    ///
    /// # Blocking
    ///
    /// As [`wait`](Once::wait).
    pub fn wait_force(&self) {
        self.word.wait(true);
    }

    /// How far it is.
    #[inline]
    pub(super) fn stage(&mut self) -> Stage {
        self.word.stage()
    }

    /// The call was made, or was in vain, by one who has it alone.
    pub(super) fn end(&mut self, complete: bool) {
        if let Some(calling) = self.word.begin(true)
            && complete
        {
            calling.complete();
        }
    }
}

/// Makes the call; one that does not return, or that says so, was in vain.
fn call(calling: Calling<'_>, f: impl FnOnce(&OnceState)) {
    let state = OnceState { poisoned: calling.is_poisoned(), fails: Cell::new(false) };
    f(&state);
    if !state.fails.get() {
        calling.complete();
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

impl OnceState {
    /// Whether an earlier call unwound.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// This call counts as in vain, though it returns.
    pub(super) fn fail(&self) {
        self.fails.set(true);
    }
}

impl fmt::Debug for OnceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceState").field("poisoned", &self.is_poisoned()).finish()
    }
}
