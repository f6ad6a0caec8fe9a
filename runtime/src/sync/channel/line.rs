//! Those who wait at a channel, in the order in which they came.
//!
//! Owns the places and their numbers. Does not know what is waited for; it is used under the channel's lock.
//!
//! Invariant 1: places stand in ascending order of their numbers, and a number is given once; so a place is found by
//! bisection, and who waits again takes the place that it had.
//! Invariant 2: a place that was claimed is gone; one that was roused has no waiter any more and stays for its owner to take
//! out. Neither is claimed again.

use super::choice::Seat;
use crate::waiter::Waiter;
use std::collections::VecDeque;

/// A place in a line, held by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sync) struct Number(u64);

/// Who stands in a place.
#[derive(Debug)]
pub(in crate::sync) struct Standing {
    /// Whom to wake.
    pub(in crate::sync) waiter: Waiter,
    /// Of which select it is an arm; `None` for one that waits for this alone.
    pub(in crate::sync) seat: Option<Seat>,
}

/// One that waits.
#[derive(Debug)]
struct Place<V> {
    /// Its own.
    number: Number,
    /// Whom to wake (invariant 2).
    waiter: Option<Waiter>,
    /// See [`Standing`].
    seat: Option<Seat>,
    /// What it brought.
    value: V,
}

impl<V> Place<V> {
    /// Whether a claim on behalf of `claimer` may succeed; a select does not meet itself.
    fn is_free(&self, claimer: Option<&Seat>) -> bool {
        let own = |seat: &Seat| claimer.is_some_and(|claimer| seat.is_of(claimer));
        self.waiter.is_some() && self.seat.as_ref().is_none_or(|seat| seat.is_open() && !own(seat))
    }

    fn claim(&self, claimer: Option<&Seat>) -> bool {
        self.is_free(claimer) && self.seat.as_ref().is_none_or(Seat::claim)
    }
}

/// See the heading.
#[derive(Debug)]
pub(in crate::sync) struct Line<V> {
    /// Invariant 1.
    places: VecDeque<Place<V>>,
    /// The number of the next that comes.
    next: Number,
}

impl<V> Line<V> {
    pub(in crate::sync) const fn new() -> Line<V> {
        Line { places: VecDeque::new(), next: Number(0) }
    }

    #[inline]
    pub(in crate::sync) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many stand here, those included that are chosen elsewhere.
    pub(in crate::sync) fn len(&self) -> usize {
        self.places.len()
    }

    /// The number that the next newcomer gets.
    pub(in crate::sync) fn end(&self) -> Number {
        self.next
    }

    /// Takes a place: the one it had, or the last.
    #[inline]
    pub(in crate::sync) fn join(&mut self, had: Option<Number>, standing: Standing, value: V) -> Number {
        let number = had.unwrap_or(self.next);
        let Standing { waiter, seat } = standing;
        let place = Place { number, waiter: Some(waiter), seat, value };
        match had {
            None => {
                self.next = Number(self.next.0 + 1);
                self.places.push_back(place);
            }
            Some(number) => self.places.insert(self.before(number), place),
        }
        number
    }

    /// How many have smaller numbers.
    fn before(&self, number: Number) -> usize {
        self.places.partition_point(|place| place.number < number)
    }

    /// Leaves the place and takes along what was brought; `None` if it was claimed.
    #[inline]
    pub(in crate::sync) fn leave(&mut self, number: Number) -> Option<V> {
        if self.places.is_empty() { None } else { self.leave_cold(number) }
    }

    fn leave_cold(&mut self, number: Number) -> Option<V> {
        let index = self.before(number);
        let is_there = self.places.get(index).is_some_and(|place| place.number == number);
        if is_there { self.places.remove(index).map(|place| place.value) } else { None }
    }

    /// Chooses the first that can be chosen, on behalf of `claimer`, and whose value is `wanted`.
    #[inline]
    pub(in crate::sync) fn claim(
        &mut self,
        claimer: Option<&Seat>,
        wanted: impl Fn(&V) -> bool,
    ) -> Option<(Waiter, V)> {
        if self.places.is_empty() { None } else { self.claim_cold(claimer, wanted) }
    }

    fn claim_cold(&mut self, claimer: Option<&Seat>, wanted: impl Fn(&V) -> bool) -> Option<(Waiter, V)> {
        let index = self.places.iter().position(|place| wanted(&place.value) && place.claim(claimer))?;
        let place = if index == 0 { self.places.pop_front()? } else { self.places.remove(index)? };
        place.waiter.map(|waiter| (waiter, place.value))
    }

    /// Whether [`claim`](Line::claim) would find somebody.
    pub(in crate::sync) fn has_free(&self, claimer: Option<&Seat>, wanted: impl Fn(&V) -> bool) -> bool {
        self.places.iter().any(|place| wanted(&place.value) && place.is_free(claimer))
    }

    /// The waiter of the first, from number `from` to before `end`, that has not been roused or chosen; it keeps its place. Gives
    /// also from where to go on.
    pub(in crate::sync) fn rouse(&mut self, from: Number, end: Number) -> Option<(Number, Waiter)> {
        let first = self.before(from);
        let rest = self.places.range_mut(first..).take_while(|place| place.number < end);
        rest.filter(|place| place.claim(None)).find_map(|place| Some((place.number, place.waiter.take()?)))
    }

    /// The number before all others.
    pub(in crate::sync) const FIRST: Number = Number(0);
}
