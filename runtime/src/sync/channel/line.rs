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
    /// The first, apart: mostly it is the only one, and here it is written and read in place. `None` only if nobody is behind.
    first: Option<Place<V>>,
    /// Those behind it.
    rest: VecDeque<Place<V>>,
    /// The number of the next that comes.
    next: Number,
}

impl<V> Line<V> {
    pub(in crate::sync) const fn new() -> Line<V> {
        Line { first: None, rest: VecDeque::new(), next: Number(0) }
    }

    #[inline(always)]
    pub(in crate::sync) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// How many stand here, those included that are chosen elsewhere.
    pub(in crate::sync) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// The number that the next newcomer gets.
    pub(in crate::sync) fn end(&self) -> Number {
        self.next
    }

    /// Takes a place: the one it had, or the last.
    #[inline(always)]
    pub(in crate::sync) fn join(&mut self, had: Option<Number>, standing: Standing, value: V) -> Number {
        let number = had.unwrap_or(self.next);
        if had.is_none() {
            self.next = Number(self.next.0 + 1);
        }
        let Standing { waiter, seat } = standing;
        if self.first.is_none() {
            self.first = Some(Place { number, waiter: Some(waiter), seat, value });
        } else {
            self.join_cold(Place { number, waiter: Some(waiter), seat, value });
        }
        number
    }

    #[inline(never)]
    fn join_cold(&mut self, mut place: Place<V>) {
        match &mut self.first {
            Some(first) if place.number < first.number => {
                std::mem::swap(first, &mut place);
                self.rest.push_front(place);
            }
            _ => self.rest.insert(self.before(place.number), place),
        }
    }

    /// How many of the rest have smaller numbers.
    fn before(&self, number: Number) -> usize {
        self.rest.partition_point(|place| place.number < number)
    }

    /// Takes the first out; the next takes its place.
    #[inline(always)]
    fn take_first(&mut self) -> Option<Place<V>> {
        let first = self.first.take();
        if !self.rest.is_empty() {
            self.first = self.rest.pop_front();
        }
        first
    }

    /// Leaves the place and takes along what was brought; `None` if it was claimed.
    #[inline(always)]
    pub(in crate::sync) fn leave(&mut self, number: Number) -> Option<V> {
        if self.is_empty() { None } else { self.leave_cold(number) }
    }

    #[inline(never)]
    fn leave_cold(&mut self, number: Number) -> Option<V> {
        if self.first.as_ref().is_some_and(|first| first.number == number) {
            return self.take_first().map(|place| place.value);
        }
        let index = self.before(number);
        let is_there = self.rest.get(index).is_some_and(|place| place.number == number);
        if is_there { self.rest.remove(index).map(|place| place.value) } else { None }
    }

    /// Chooses the first that can be chosen, on behalf of `claimer`, and whose value is `wanted`.
    #[inline(always)]
    pub(in crate::sync) fn claim(
        &mut self,
        claimer: Option<&Seat>,
        wanted: impl Fn(&V) -> bool,
    ) -> Option<(Waiter, V)> {
        let first = self.first.as_ref()?;
        // Nearly always: it waits for this alone.
        if first.seat.is_none() && first.waiter.is_some() && wanted(&first.value) {
            let place = self.take_first()?;
            return place.waiter.map(|waiter| (waiter, place.value));
        }
        self.claim_cold(claimer, wanted)
    }

    #[inline(never)]
    fn claim_cold(&mut self, claimer: Option<&Seat>, wanted: impl Fn(&V) -> bool) -> Option<(Waiter, V)> {
        let suits = |place: &Place<V>| wanted(&place.value) && place.claim(claimer);
        let place = if self.first.as_ref().is_some_and(suits) {
            self.take_first()?
        } else {
            let index = self.rest.iter().position(suits)?;
            self.rest.remove(index)?
        };
        place.waiter.map(|waiter| (waiter, place.value))
    }

    /// Whether [`claim`](Line::claim) would find somebody.
    pub(in crate::sync) fn has_free(&self, claimer: Option<&Seat>, wanted: impl Fn(&V) -> bool) -> bool {
        self.first.iter().chain(&self.rest).any(|place| wanted(&place.value) && place.is_free(claimer))
    }

    /// The waiter of the first, from number `from` to before `end`, that has not been roused or chosen; it keeps its place. Gives
    /// also from where to go on.
    pub(in crate::sync) fn rouse(&mut self, from: Number, end: Number) -> Option<(Number, Waiter)> {
        let behind = self.before(from);
        let first = self.first.as_mut().filter(|place| place.number >= from);
        let wanted = first.into_iter().chain(self.rest.range_mut(behind..)).take_while(|place| place.number < end);
        wanted.filter(|place| place.claim(None)).find_map(|place| Some((place.number, place.waiter.take()?)))
    }

    /// The number before all others.
    pub(in crate::sync) const FIRST: Number = Number(0);
}
