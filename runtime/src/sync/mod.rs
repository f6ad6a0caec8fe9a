//! Locks, channels and signals with the names and signatures of `std::sync`, between coroutines, between plain threads, and
//! across. Whoever waits parks, and blocks no worker.
//!
//! Each primitive is built from `waiter` alone: its queue holds waiters under its own private lock, and the queue decides
//! who was chosen.

pub use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult, Weak, atomic};
