//! Permits that are out. Dropped, they go back.

use super::Semaphore;
use std::sync::Arc;

/// Permits of a semaphore. Dropped, they go back to it.
#[derive(Debug)]
#[must_use = "dropped at once, the permits go back at once"]
pub struct SemaphorePermit<'a> {
    /// Whose.
    semaphore: &'a Semaphore,
    /// How many.
    permits: usize,
}

impl<'a> SemaphorePermit<'a> {
    pub(super) fn new(semaphore: &'a Semaphore, permits: usize) -> SemaphorePermit<'a> {
        SemaphorePermit { semaphore, permits }
    }

    /// How many permits this is.
    #[must_use]
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Never gives the permits back: the semaphore has so many less from now on.
    pub fn forget(mut self) {
        self.semaphore.lose(std::mem::take(&mut self.permits));
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        self.semaphore.release(self.permits);
    }
}

/// Permits of a semaphore, which they keep alive. Dropped, they go back to it.
#[derive(Debug)]
#[must_use = "dropped at once, the permits go back at once"]
pub struct OwnedSemaphorePermit {
    /// Whose.
    semaphore: Arc<Semaphore>,
    /// How many.
    permits: usize,
}

impl OwnedSemaphorePermit {
    pub(super) fn new(semaphore: Arc<Semaphore>, permits: usize) -> OwnedSemaphorePermit {
        OwnedSemaphorePermit { semaphore, permits }
    }

    /// How many permits this is.
    #[must_use]
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Never gives the permits back: the semaphore has so many less from now on.
    pub fn forget(mut self) {
        self.semaphore.lose(std::mem::take(&mut self.permits));
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        self.semaphore.release(self.permits);
    }
}
