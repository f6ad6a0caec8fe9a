//! The handles of a channel, of which each end may have many.
//!
//! Owns the counting: a handle is one count of its end, and the last one to go disconnects the other end.

use super::arms::{Receiving, Sending};
use super::exchange::{Exchange, Unsent};
use super::state::End;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError, TrySendError};
use std::time::Instant;

/// A channel without limit.
pub(in crate::sync) const UNBOUNDED: usize = usize::MAX;

/// A channel that holds up to `capacity` messages; with none, sender and receiver meet.
pub(in crate::sync) fn channel<T>(capacity: usize) -> (Inlet<T>, Outlet<T>) {
    let core = Arc::new(Exchange::new(capacity));
    (Inlet(Arc::clone(&core)), Outlet(core))
}

/// Where messages go in.
pub(in crate::sync) struct Inlet<T>(Arc<Exchange<T>>);

/// Where messages come out.
pub(in crate::sync) struct Outlet<T>(Arc<Exchange<T>>);

impl<T> Inlet<T> {
    #[inline]
    pub(in crate::sync) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.0.try_send(message)
    }

    /// Sends into a channel that may be full.
    #[inline(always)]
    pub(in crate::sync) fn send(&self, message: T, deadline: Option<Instant>) -> Result<(), Unsent<T>> {
        self.0.send(message, deadline)
    }

    /// Whether sending never waits.
    #[inline]
    pub(in crate::sync) fn is_unbounded(&self) -> bool {
        self.0.is_unbounded
    }

    /// Sends into a channel without limit, which never waits; gives the message back if there is nobody.
    #[inline]
    pub(in crate::sync) fn send_unbounded(&self, message: T) -> Result<(), T> {
        self.0.try_send(message).map_err(|error| match error {
            TrySendError::Full(message) | TrySendError::Disconnected(message) => message,
        })
    }

    pub(in crate::sync) fn sending(&self) -> Sending<'_, T> {
        Sending::new(&self.0)
    }
}

impl<T> Outlet<T> {
    #[inline]
    pub(in crate::sync) fn try_receive(&self) -> Result<T, TryRecvError> {
        self.0.try_receive()
    }

    #[inline(always)]
    pub(in crate::sync) fn receive(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        self.0.receive(deadline)
    }

    pub(in crate::sync) fn receiving(&self) -> Receiving<'_, T> {
        Receiving::new(&self.0)
    }
}

/// What both ends tell and do.
pub(in crate::sync) trait Figures {
    /// Messages sent and not received.
    fn len(&self) -> usize;
    /// Whether a message would have to wait.
    fn is_full(&self) -> bool;
    /// `None` if there is no limit.
    fn capacity(&self) -> Option<usize>;
    /// Whether both are of one channel.
    fn is_same(&self, other: &Self) -> bool;
    /// Whether the other end is gone.
    fn is_disconnected(&self) -> bool;
}

/// For an end, whose other end is given.
macro_rules! end {
    ($name:ident, $own:expr, $other:expr) => {
        impl<T> Figures for $name<T> {
            fn len(&self) -> usize {
                self.0.len()
            }

            fn is_full(&self) -> bool {
                self.0.lock_to_send().is_full()
            }

            fn capacity(&self) -> Option<usize> {
                self.0.lock_as_it_is().capacity()
            }

            fn is_same(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0)
            }

            fn is_disconnected(&self) -> bool {
                self.0.lock_as_it_is().is_gone($other)
            }
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                self.0.attach($own);
                $name(Arc::clone(&self.0))
            }
        }

        impl<T> Drop for $name<T> {
            fn drop(&mut self) {
                self.0.detach($own);
            }
        }

        // A message is in the queue or it is not: no unwind leaves anything half done.
        impl<T> UnwindSafe for $name<T> {}
        impl<T> RefUnwindSafe for $name<T> {}
    };
}

end!(Inlet, End::Sender, End::Receiver);
end!(Outlet, End::Receiver, End::Sender);
