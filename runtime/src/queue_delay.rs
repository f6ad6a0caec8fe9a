//! How long a queue keeps whoever enters it, without a clock reading for each.
//!
//! Owns one mark in a queue: where its end was at some moment. When as many have left as were in it then, that time is the delay of
//! who entered last, and the next mark is set. Pure: the clock is an argument, and is asked only where something waits. Does not
//! know what waits.
//!
//! Invariant 1: there is one mark at most; it is set only while something waits, and taken away at the first look that finds it
//! passed, or the queue empty. So the owner's sleep is never part of a delay, if it looks before it sleeps.

use std::cell::Cell;

/// The mark in one queue, and the delay last measured.
#[derive(Debug, Default)]
pub(crate) struct QueueDelay {
    /// The mark, if there is one (invariant 1).
    mark: Cell<Option<Mark>>,
    /// Nanoseconds that the last mark took.
    last: Cell<u64>,
}

/// Where the end of the queue was, and when.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// How many will have left when the mark has passed, modulo 2^32.
    goal: u32,
    /// Nanoseconds.
    since: u64,
}

impl QueueDelay {
    /// Sets a mark at the end of the queue, if something waits and there is none; `left` have left so far, modulo 2^32.
    pub(crate) fn set_mark(&self, left: u32, waiting: u32, now: impl FnOnce() -> u64) {
        if waiting > 0 && self.mark.get().is_none() {
            self.mark.set(Some(Mark { goal: left.wrapping_add(waiting), since: now() }));
        }
    }

    /// The delay in nanoseconds: of the last mark that has passed, or of the one that has not, if that is longer already; 0 once
    /// nothing waits.
    pub(crate) fn look(&self, left: u32, waiting: u32, now: impl FnOnce() -> u64) -> u64 {
        let Some(mark) = self.mark.get() else {
            self.last.set(if waiting == 0 { 0 } else { self.last.get() });
            return self.last.get();
        };
        let took = now().saturating_sub(mark.since);
        if waiting > 0 && (left.wrapping_sub(mark.goal) as i32) < 0 {
            return took.max(self.last.get());
        }
        self.mark.set(None);
        self.last.set(took);
        took
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[test]
    fn an_empty_queue_reads_no_clock() {
        let delay = QueueDelay::default();
        delay.set_mark(7, 0, || unreachable!("nothing waits"));
        assert_eq!(delay.look(7, 0, || unreachable!("nothing was marked")), 0);
    }

    #[test]
    fn a_queue_that_stands_still_is_seen_to() {
        let delay = QueueDelay::default();
        delay.set_mark(0, 3, || 100);
        assert_eq!(delay.look(1, 2, || 150), 50);
        delay.set_mark(1, 5, || unreachable!("there is a mark"));
        assert_eq!(delay.look(2, 4, || 900), 800);
        assert_eq!(delay.look(3, 3, || 1000), 900);
        delay.set_mark(3, 3, || 1000);
        assert_eq!(delay.look(4, 2, || 1010), 900, "the last that passed");
        assert_eq!(delay.look(6, 0, || 1040), 40);
        assert_eq!(delay.look(6, 0, || unreachable!("nothing was marked")), 0);
    }

    /// How many enter and how many leave in a turn, and how long that takes.
    type Turn = (u32, u32, u64);

    proptest! {
        /// The delay is that of whoever entered last before the mark: against a queue of entry times.
        #[test]
        fn it_is_that_of_the_last_to_enter(
            turns in prop::collection::vec((0..20u32, 0..20u32, 1..1000u64), 1..200),
            start in any::<u32>(),
        ) {
            let turns: Vec<Turn> = turns;
            let (delay, mut queue, mut left, mut now) = (QueueDelay::default(), VecDeque::new(), start, 0u64);
            // Who was at the end when the mark was set, and when that was.
            let mut marked: Option<(u64, u64)> = None;
            let (mut entered, mut last) = (0u64, 0u64);
            for (enter, leave, took) in turns {
                for _ in 0..enter {
                    queue.push_back(entered);
                    entered += 1;
                }
                delay.set_mark(left, queue.len() as u32, || now);
                marked = marked.or(queue.back().map(|end| (*end, now)));
                for _ in 0..leave {
                    left = left.wrapping_add(u32::from(queue.pop_front().is_some()));
                }
                now += took;
                let seen = delay.look(left, queue.len() as u32, || now);
                let expected = match marked {
                    Some((end, since)) if queue.front().is_none_or(|first| *first > end) => {
                        marked = None;
                        last = now - since;
                        last
                    }
                    Some((_, since)) => last.max(now - since),
                    None => {
                        last = 0;
                        0
                    }
                };
                prop_assert_eq!(seen, expected);
            }
        }
    }
}
