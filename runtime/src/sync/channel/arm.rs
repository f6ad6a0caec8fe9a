//! Waiting for the first of several: the engine of `select!`.
//!
//! Owns the order in which arms are tried and that one is chosen, once. Knows no channel: an [`Arm`] does.
//!
//! Every round tries all arms, from another one each time; if none can go on, the select takes a place in the line of
//! each, with one [`Choice`] shared by all places, and parks. Whoever has something for it claims that word first, under
//! the lock of its own channel, and so chooses it once. Chosen, it leaves all lines and tries the arm it was chosen for;
//! somebody may have been faster, and then it begins again, and waits on in its old places: else the fast would starve it.
//! A chosen select has not got anything yet, so nothing can be lost on the way: if it is cancelled instead of coming, it
//! passes on what it was chosen for.
//!
//! Invariant 1: an arm is tried only while the select stands in no line; so a select never waits for what another one
//! does while that one waits for it.
//! Invariant 2: whatever way a wait ends, all lines are left, and what it was chosen for is tried or passed on.

use super::choice::{Choice, Seat};
use crate::budget;
use crate::os_thread::Parked;
use crate::sync::line::point_until;
use crate::waiter::{Wait, Waiter};
use std::sync::Arc;
use std::time::Instant;

/// What came of taking a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync) enum Enrolled {
    /// It was taken.
    Waits,
    /// None is needed: the arm can go on.
    Ready,
}

/// One of the things a select waits for.
pub(in crate::sync) trait Arm {
    /// Does it, if that needs no waiting; `true` if it is done.
    fn attempt(&mut self) -> bool;

    /// Takes a place in the line, the one it had if it had one, unless an attempt would succeed.
    fn enroll(&mut self, waiter: Waiter, seat: Seat) -> Enrolled;

    /// Leaves the line, if it stands there.
    fn withdraw(&mut self);

    /// It was chosen, and nothing came of it: another is to be chosen.
    fn pass_on(&mut self);
}

/// Arms of any type are used by reference, and kept in boxes.
macro_rules! pointer {
    ($($pointer:ty),*) => {$(
        impl<A: Arm + ?Sized> Arm for $pointer {
            fn attempt(&mut self) -> bool {
                (**self).attempt()
            }

            fn enroll(&mut self, waiter: Waiter, seat: Seat) -> Enrolled {
                (**self).enroll(waiter, seat)
            }

            fn withdraw(&mut self) {
                (**self).withdraw();
            }

            fn pass_on(&mut self) {
                (**self).pass_on();
            }
        }
    )*};
}

pointer!(Box<A>, &mut A);

/// How long a select waits.
#[derive(Clone, Copy, Debug)]
pub(in crate::sync) enum Patience {
    /// Not at all.
    None,
    /// Until then.
    Until(Instant),
    /// As long as it takes.
    Endless,
}

/// Waits until one arm has been attempted with success, and does no other; `false` if none could before patience ended.
pub(in crate::sync) fn select<A: Arm>(arms: &mut [A], patience: Patience) -> bool {
    let mut expired = matches!(patience, Patience::None);
    if !expired {
        budget::spend();
    }
    loop {
        let wait = Wait::begin();
        if attempt_all(arms, start(wait.number(), arms.len())) {
            return true;
        }
        if expired {
            return false;
        }
        let mut round = Round { arms, choice: Some(Arc::new(Choice::new())) };
        if round.enroll_all(&wait) {
            let deadline = if let Patience::Until(at) = patience { Some(at) } else { None };
            expired = wait.park(deadline, point_until(deadline)) != Parked::Woken;
        }
        if round.end().is_some_and(|chosen| round.arms[chosen].attempt()) {
            return true;
        }
    }
}

/// The arm to begin with. The numbers of a party's waits follow one another, and multiples of the golden ratio are spread as
/// evenly as can be, whatever the stride: each arm is as often the first as any other.
fn start(number: u32, arms: usize) -> usize {
    let spread = u64::from(number.wrapping_mul(0x9E37_79B9));
    ((spread * arms as u64) >> 32) as usize
}

fn attempt_all<A: Arm>(arms: &mut [A], start: usize) -> bool {
    let (last, first) = arms.split_at_mut(start);
    first.iter_mut().chain(last).any(Arm::attempt)
}

/// The time in which a select may stand in lines. Dropped by a throw, it ends as invariant 2 says.
struct Round<'a, A: Arm> {
    /// The arms.
    arms: &'a mut [A],
    /// The word shared by the places; `None` once the round has ended.
    choice: Option<Arc<Choice>>,
}

impl<A: Arm> Round<'_, A> {
    /// Takes a place for each arm; `false` if there is nothing to wait for.
    fn enroll_all(&mut self, wait: &Wait) -> bool {
        let choice = self.choice.as_ref().expect("the round has not ended");
        let mut numbered = self.arms.iter_mut().enumerate();
        numbered.all(|(index, arm)| arm.enroll(wait.waiter(), Seat::new(choice, index)) == Enrolled::Waits)
    }

    /// Leaves all lines; gives the arm that the select was chosen for.
    fn end(&mut self) -> Option<usize> {
        let chosen = self.choice.take()?.close();
        self.arms.iter_mut().for_each(Arm::withdraw);
        chosen
    }
}

/// A select that is thrown out of its park, once it stands in its lines and `meanwhile` was done.
#[cfg(all(test, dormouse_loom))]
pub(super) fn thrown<A: Arm>(arms: &mut [A], meanwhile: impl FnOnce()) {
    let wait = Wait::begin();
    let mut round = Round { arms, choice: Some(Arc::new(Choice::new())) };
    round.enroll_all(&wait);
    meanwhile();
}

impl<A: Arm> Drop for Round<'_, A> {
    fn drop(&mut self) {
        if let Some(chosen) = self.end() {
            self.arms[chosen].pass_on();
        }
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_arm_is_first_equally_often_whatever_the_stride() {
        for (arms, stride) in [(2, 1), (2, 2), (3, 1), (3, 3), (5, 4), (8, 8)] {
            let mut firsts = vec![0_usize; arms];
            (0..10_000).for_each(|n| firsts[start(n * stride, arms)] += 1);
            let fair = 10_000_usize / arms;
            assert!(firsts.iter().all(|count| count.abs_diff(fair) <= fair / 10), "{arms}, {stride}: {firsts:?}");
        }
    }
}
