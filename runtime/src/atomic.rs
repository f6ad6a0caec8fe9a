//! The shim room for what threads share: std's atomics and cells outside models, loom's inside them.
//!
//! Owns nothing. Every shared word of the runtime is declared with the types named here, so that a model
//! (`--cfg dormouse_loom`) explores the very code that ships.

#[cfg(not(dormouse_loom))]
pub(crate) use plain::SharedCell;
#[cfg(not(dormouse_loom))]
pub(crate) use std::hint::spin_loop;
#[cfg(not(dormouse_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(dormouse_loom))]
pub(crate) use std::thread::yield_now;

/// Leaves the processor to whoever is waited for, of whatever priority.
#[cfg(not(dormouse_loom))]
pub(crate) fn doze() {
    std::thread::sleep(std::time::Duration::from_micros(50));
}

#[cfg(dormouse_loom)]
pub(crate) use loom::cell::UnsafeCell as SharedCell;
#[cfg(dormouse_loom)]
pub(crate) use loom::hint::spin_loop;
#[cfg(dormouse_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(dormouse_loom)]
pub(crate) use loom::thread::{yield_now, yield_now as doze};

#[cfg(not(dormouse_loom))]
mod plain {
    use std::cell::UnsafeCell;

    /// A cell whose owner is named by an atomic word beside it. A model reports two users at a time.
    #[derive(Debug)]
    pub(crate) struct SharedCell<T>(UnsafeCell<T>);

    impl<T> SharedCell<T> {
        pub(crate) fn new(value: T) -> SharedCell<T> {
            SharedCell(UnsafeCell::new(value))
        }

        /// Calls `f` with the place of the value, which is the caller's for the call.
        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}
