//! Locks, channels and signals with the names and signatures of `std::sync`, between coroutines, between plain threads, and
//! across. Whoever waits parks, and blocks no worker.
//!
//! Each primitive is built from `waiter` alone: its queue holds waiters under its own private lock, and the queue decides
//! who was chosen.
//!
//! | | |
//! |---|---|
//! | `lot`, `*_word` | the parking lot, and the locks as words upon it |
//! | `mutex`, `rwlock`, `condvar`, `once*`, `lazy_lock`, `poison` | std's locks, upon the words |
//! | `line` | waiters in order, for what has a queue of its own: |
//! | `barrier`, `semaphore`, `wait_group`, `notify` | signals |
//! | `channel` | the engine of all channels: |
//! | `mpsc`, `mpmc`, `oneshot`, `broadcast`, `select` | its kinds, and waiting for several |

mod barrier;
pub mod broadcast;
mod channel;
mod condvar_word;
mod line;
mod lot;
pub mod mpmc;
pub mod mpsc;
mod mutex_word;
mod notify;
mod once_word;
pub mod oneshot;
mod rwlock_word;
pub mod select;
mod semaphore;
mod wait_group;

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

pub use barrier::{Barrier, BarrierWaitResult};
#[cfg(not(dormouse_loom))]
pub use condvar::{Condvar, WaitTimeoutResult};
#[cfg(not(dormouse_loom))]
pub use lazy_lock::LazyLock;
#[cfg(not(dormouse_loom))]
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard};
pub use notify::Notify;
#[cfg(not(dormouse_loom))]
#[allow(deprecated, reason = "std still has it")]
pub use once::ONCE_INIT;
#[cfg(not(dormouse_loom))]
pub use once::{Once, OnceState};
#[cfg(not(dormouse_loom))]
pub use once_lock::OnceLock;
#[cfg(not(dormouse_loom))]
pub use rwlock::{MappedRwLockReadGuard, MappedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[doc(inline)]
pub use select::select;
pub use semaphore::{
    AcquireError, AcquireTimeoutError, OwnedSemaphorePermit, Semaphore, SemaphorePermit, TryAcquireError,
};
pub use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult, Weak, atomic};
pub use wait_group::WaitGroup;

#[cfg(all(test, not(dormouse_loom)))]
mod plain_tests;
