//! What a worker keeps for later, and for how long.

use super::Worker;
use crate::shelf::Shelf;

impl Worker {
    /// Puts something on the shelf; what finds no place there ends.
    #[inline]
    pub(crate) fn keep<T>(&self, put: impl FnOnce(&mut Shelf) -> Option<T>) {
        let refused = put(&mut self.shelf.borrow_mut());
        if refused.is_none() {
            self.trim.borrow_mut().want_alarm();
        }
    }

    /// The trim alarm went off.
    pub(super) fn alarm(&self) {
        let mut trim = self.trim.borrow_mut();
        trim.alarm();
        if self.shelf.borrow_mut().trim() {
            trim.want_alarm();
        }
    }
}
