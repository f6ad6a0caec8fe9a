//! Why permits were not had.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

/// The semaphore was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcquireError(());

/// Why [`Semaphore::try_acquire`](super::Semaphore::try_acquire) took nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore was closed.
    Closed,
    /// The permits are not there, or others wait for them.
    NoPermits,
}

/// Why [`Semaphore::acquire_timeout`](super::Semaphore::acquire_timeout) took nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquireTimeoutError {
    /// The semaphore was closed.
    Closed,
    /// The time has passed.
    Timeout,
}

const CLOSED: &str = "semaphore closed";

impl AcquireError {
    pub(super) fn new() -> AcquireError {
        AcquireError(())
    }
}

impl Display for AcquireError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED)
    }
}

impl Display for TryAcquireError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryAcquireError::Closed => CLOSED,
            TryAcquireError::NoPermits => "no permits available",
        })
    }
}

impl Display for AcquireTimeoutError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AcquireTimeoutError::Closed => CLOSED,
            AcquireTimeoutError::Timeout => "timed out waiting for permits",
        })
    }
}

impl Error for AcquireError {}
impl Error for TryAcquireError {}
impl Error for AcquireTimeoutError {}
