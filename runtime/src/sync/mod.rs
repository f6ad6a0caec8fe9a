//! Locks, channels and signals with the names and signatures of `std::sync`, between coroutines, between plain threads, and
//! across. Whoever waits parks, and blocks no worker.
//!
//! Each primitive is built from `waiter` alone: its queue holds waiters under its own private lock, and the queue decides
//! who was chosen.

mod barrier;
mod line;
mod notify;
mod semaphore;
mod wait_group;

pub use barrier::{Barrier, BarrierWaitResult};
pub use notify::Notify;
pub use semaphore::{
    AcquireError, AcquireTimeoutError, OwnedSemaphorePermit, Semaphore, SemaphorePermit, TryAcquireError,
};
pub use wait_group::WaitGroup;

pub use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult, Weak, atomic};

pub mod broadcast;
mod channel;
pub mod mpmc;
pub mod mpsc;
pub mod oneshot;
pub mod select;

#[doc(inline)]
pub use select::select;

mod condvar_word;
mod lot;
mod mutex_word;
mod once_word;
mod rwlock_word;

// Models use the words alone: loom's atomics are not made by `const` constructors.
#[cfg(not(dormouse_loom))]
mod condvar;
#[cfg(not(dormouse_loom))]
mod lazy_lock;
#[cfg(not(dormouse_loom))]
mod mutex;
#[cfg(not(dormouse_loom))]
mod once;
#[cfg(not(dormouse_loom))]
mod once_lock;
#[cfg(not(dormouse_loom))]
mod poison;
#[cfg(not(dormouse_loom))]
mod rwlock;

#[cfg(not(dormouse_loom))]
pub use condvar::{Condvar, WaitTimeoutResult};
#[cfg(not(dormouse_loom))]
pub use lazy_lock::LazyLock;
#[cfg(not(dormouse_loom))]
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard};
#[cfg(not(dormouse_loom))]
#[allow(deprecated, reason = "std still has it")]
pub use once::ONCE_INIT;
#[cfg(not(dormouse_loom))]
pub use once::{Once, OnceState};
#[cfg(not(dormouse_loom))]
pub use once_lock::OnceLock;
#[cfg(not(dormouse_loom))]
pub use rwlock::{MappedRwLockReadGuard, MappedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
