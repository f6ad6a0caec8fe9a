//! Why a receiver of a broadcast got no message.

use std::{error, fmt};

/// Why [`Receiver::recv`](super::Receiver::recv) gave no message.
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub enum RecvError {
    /// All senders are gone, and everything was seen.
    Closed,
    /// So many messages were missed. The next receive goes on with the oldest that is left.
    Lagged(u64),
}

/// Why [`Receiver::try_recv`](super::Receiver::try_recv) gave no message.
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub enum TryRecvError {
    /// There is none yet.
    Empty,
    /// As [`RecvError::Closed`].
    Closed,
    /// As [`RecvError::Lagged`].
    Lagged(u64),
}

/// Why [`Receiver::recv_timeout`](super::Receiver::recv_timeout) gave no message.
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub enum RecvTimeoutError {
    /// There was none in time.
    Timeout,
    /// As [`RecvError::Closed`].
    Closed,
    /// As [`RecvError::Lagged`].
    Lagged(u64),
}

impl From<TryRecvError> for RecvTimeoutError {
    fn from(error: TryRecvError) -> RecvTimeoutError {
        match error {
            TryRecvError::Empty => RecvTimeoutError::Timeout,
            TryRecvError::Closed => RecvTimeoutError::Closed,
            TryRecvError::Lagged(missed) => RecvTimeoutError::Lagged(missed),
        }
    }
}

const CLOSED: &str = "receiving on a closed channel";

fn lagged(f: &mut fmt::Formatter<'_>, missed: u64) -> fmt::Result {
    write!(f, "missed {missed} messages of the channel")
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RecvError::Closed => f.pad(CLOSED),
            RecvError::Lagged(missed) => lagged(f, missed),
        }
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            TryRecvError::Empty => f.pad("receiving on an empty channel"),
            TryRecvError::Closed => f.pad(CLOSED),
            TryRecvError::Lagged(missed) => lagged(f, missed),
        }
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RecvTimeoutError::Timeout => f.pad("timed out waiting on channel"),
            RecvTimeoutError::Closed => f.pad(CLOSED),
            RecvTimeoutError::Lagged(missed) => lagged(f, missed),
        }
    }
}

impl error::Error for RecvError {}
impl error::Error for TryRecvError {}
impl error::Error for RecvTimeoutError {}
