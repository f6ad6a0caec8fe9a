//! flock(2): locks on a whole file.
//!
//! A lock is not waited for in the kernel: a thread of the pool for each waiter would soon be all of them, and whoever
//! holds the lock may need one to get done. So it is tried, with pauses between, like everything that no event tells
//! of.

use super::{File, TryLockError};
use crate::{blocking, wait};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The pause after the first try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A try of std's.
type Try = fn(&std::fs::File) -> Result<(), TryLockError>;

/// A lock that was taken by a call. Dropped, because the caller was cancelled, it is given back.
struct Taken(Option<Arc<std::fs::File>>);

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(file) = self.0.take() {
            // There is nobody to hear of an error.
            let _ = file.unlock();
        }
    }
}

impl File {
    /// Locks the file for its holder alone, waiting for others.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::File::lock`]; in a coroutine that unwinds, an error instead of a wait.
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says. In a coroutine the lock is tried again and again, with pauses of up to
    /// 50 ms between: who waits is not served in order.
    pub fn lock(&self) -> io::Result<()> {
        if !blocking::in_coroutine() {
            return self.file.lock();
        }
        self.wait_for_lock(std::fs::File::try_lock)
    }

    /// Locks the file together with others who do so, waiting for who has it alone.
    ///
    /// # Errors
    ///
    /// Those of [`File::lock`].
    ///
    /// # Blocking
    ///
    /// As [`File::lock`].
    pub fn lock_shared(&self) -> io::Result<()> {
        if !blocking::in_coroutine() {
            return self.file.lock_shared();
        }
        self.wait_for_lock(std::fs::File::try_lock_shared)
    }

    /// As [`File::lock`], but does not wait for others.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if somebody has it, and those of [`std::fs::File::try_lock`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says.
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.try_by_pool(std::fs::File::try_lock)
    }

    /// As [`File::lock_shared`], but does not wait for others.
    ///
    /// # Errors
    ///
    /// Those of [`File::try_lock`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says.
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.try_by_pool(std::fs::File::try_lock_shared)
    }

    /// Gives all locks back.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::File::unlock`].
    ///
    /// # Blocking
    ///
    /// As [the module](crate::fs#blocking) says.
    pub fn unlock(&self) -> io::Result<()> {
        self.call(std::fs::File::unlock)
    }

    fn try_by_pool(&self, attempt: Try) -> Result<(), TryLockError> {
        let file = Arc::clone(&self.file);
        let taken = blocking::run(move || attempt(&file).map(|()| Taken(Some(file)))).map_err(TryLockError::Error)?;
        taken.map(|mut taken| drop(taken.0.take()))
    }

    fn wait_for_lock(&self, attempt: Try) -> io::Result<()> {
        let mut length = FIRST_PAUSE;
        loop {
            match self.try_by_pool(attempt) {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) => wait::pause(length, None)?,
            }
            length = (2 * length).min(LONGEST_PAUSE);
        }
    }
}
