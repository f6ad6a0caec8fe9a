//! On which thread a holder waits that says it is the runner's own, for debug assertions of invariant 5 of the word.
//!
//! Owns the memory of that thread's identity, which is none without debug assertions. Must never know the word.

#[cfg(debug_assertions)]
pub(super) use checked::Here;
#[cfg(not(debug_assertions))]
pub(super) use unchecked::Here;

#[cfg(debug_assertions)]
mod checked {
    use crate::lock::Lock;
    use std::thread::{ThreadId, current};

    /// See the heading.
    pub(in super::super) struct Here(Lock<Option<ThreadId>>);

    impl Here {
        pub(in super::super) fn new() -> Here {
            Here(Lock::new(None))
        }

        /// The holder is on this thread.
        pub(in super::super) fn note(&self) {
            *self.0.lock() = Some(current().id());
        }

        /// Panics on another thread than the one noted last.
        pub(in super::super) fn check(&self) {
            let noted = *self.0.lock();
            assert_eq!(noted, Some(current().id()), "what was left for this thread is met on another one");
        }
    }
}

#[cfg(not(debug_assertions))]
mod unchecked {
    /// See the heading.
    pub(in super::super) struct Here;

    impl Here {
        pub(in super::super) fn new() -> Here {
            Here
        }

        #[inline(always)]
        pub(in super::super) fn note(&self) {}

        #[inline(always)]
        pub(in super::super) fn check(&self) {}
    }
}
