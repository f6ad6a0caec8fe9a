//! A line of waiting parties, and how one of them waits in it.
//!
//! Owns the order: first come, first chosen. Does not know what for; the primitive keeps the line under its own lock.
//!
//! Invariant 1: whoever is in the line was not chosen; whoever is no longer in it was, or has left it. It is the line that
//! decides, not the outcome of a park.
//! Invariant 2: no number is given twice in a line, and later ones are larger.

use crate::cancel::Point;
use crate::os_thread::Parked;
use crate::waiter::{Wait, Waiter};
use std::collections::BTreeMap;
use std::time::Instant;

/// See the heading. `T` is what each of them waits for.
#[derive(Debug)]
pub(super) struct Line<T> {
    /// The parties, by number; without a waiter where it was woken without being chosen.
    parties: BTreeMap<u64, (T, Option<Waiter>)>,
    /// The last number given.
    last: u64,
}

impl<T> Line<T> {
    pub(super) const fn new() -> Line<T> {
        Line { parties: BTreeMap::new(), last: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parties.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.parties.len()
    }

    /// To the end of the line. Gives the party's number.
    pub(super) fn enter(&mut self, what: T, waiter: Waiter) -> u64 {
        self.last += 1;
        self.parties.insert(self.last, (what, Some(waiter)));
        self.last
    }

    /// Leaves another waiter for a party that is still in the line, and gives the old one; `false` if it was chosen, with the
    /// waiter that is not needed.
    pub(super) fn stay(&mut self, number: u64, waiter: Waiter) -> (bool, Option<Waiter>) {
        match self.parties.get_mut(&number) {
            Some((_, place)) => (true, place.replace(waiter)),
            None => (false, Some(waiter)),
        }
    }

    /// Leaves the line; `None` if it was chosen.
    pub(super) fn leave(&mut self, number: u64) -> Option<(T, Option<Waiter>)> {
        self.parties.remove(&number)
    }

    /// What the first waits for.
    pub(super) fn first(&self) -> Option<&T> {
        self.parties.first_key_value().map(|(_, (what, _))| what)
    }

    /// Chooses the first. The waiter is for the caller to wake, without the lock.
    pub(super) fn choose(&mut self) -> Option<(u64, Option<Waiter>)> {
        self.parties.pop_first().map(|(number, (_, waiter))| (number, waiter))
    }

    /// Chooses all.
    pub(super) fn choose_all(&mut self) -> impl Iterator<Item = (u64, Option<Waiter>)> + use<T> {
        std::mem::take(&mut self.parties).into_iter().map(|(number, (_, waiter))| (number, waiter))
    }

    /// The waiters of all, who stay in the line.
    pub(super) fn rouse_all(&mut self) -> Vec<Waiter> {
        self.parties.values_mut().filter_map(|(_, waiter)| waiter.take()).collect()
    }
}

/// Blocks the caller until `deadline`, or until `stay`, which leaves the waiter it is given and drops the old one without the
/// lock, says `false`: it was chosen, or need not wait any more. `wait` is the wait that is in the line already.
///
/// A cancellation point: the caller leaves the line in a Drop. After this, too, the line tells whether it was chosen; where it
/// was not, in a time-out as in what is answered as an error at `point`, the caller leaves.
pub(super) fn wait_in_line(
    mut wait: Wait,
    deadline: Option<Instant>,
    point: Point,
    mut stay: impl FnMut(Waiter) -> bool,
) {
    while wait.park(deadline, point) == Parked::Woken {
        wait = Wait::begin();
        if !stay(wait.waiter()) {
            return;
        }
    }
}

/// The point of a wait that can answer only that its time is over: where it has none, it waits on.
pub(super) fn point_until(deadline: Option<Instant>) -> Point {
    if deadline.is_some() { Point::Fallible } else { Point::Cancellable }
}

/// Wakes whom the lock no longer guards.
pub(super) fn wake_all(waiters: impl IntoIterator<Item = Waiter>) {
    waiters.into_iter().for_each(Waiter::wake);
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_chosen_first_and_nobody_twice() {
        let mut line = Line::new();
        let numbers: Vec<_> = (0..4).map(|n| line.enter(n, Wait::begin().waiter())).collect();
        assert_eq!((line.first(), line.is_empty()), (Some(&0), false));
        assert_eq!(line.leave(numbers[1]).map(|(what, _)| what), Some(1));
        assert_eq!(line.choose().map(|(number, _)| number), Some(numbers[0]));
        assert!(line.leave(numbers[0]).is_none() && !line.stay(numbers[0], Wait::begin().waiter()).0);
        assert!(line.stay(numbers[2], Wait::begin().waiter()).0);
        assert_eq!(line.rouse_all().len(), 2);
        assert!(
            line.choose_all().map(|(number, waiter)| (number, waiter.is_none())).eq([2, 3].map(|n| (numbers[n], true)))
        );
        assert!(line.is_empty() && line.choose().is_none());
    }
}
