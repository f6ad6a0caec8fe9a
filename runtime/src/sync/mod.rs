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
