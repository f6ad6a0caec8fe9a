//! Which coroutine kept its worker from the poller, as far as that can be known without reading the clock for each.
//!
//! Owns the *window*, the resumes since the clock was last read, and who may be to blame when it took too long. Pure: the
//! clock is an argument. Does not know how a report is made.
//!
//! Reading the clock costs several times a resume (21 ns; the coarse one 3, the processor's own 9, all too much), so it is
//! read where `pace.rs` reads it: after every resume while resumes are long, after 64 of them while they are short, and
//! also when a sleep begins and ends. A window of one resume has one culprit, for certain. When the first long run comes
//! among short ones, its window has up to 64 suspects: then all are named, and since `pace.rs` reads the clock after each
//! resume from there on, whoever does it again is named alone.
//!
//! The window costs nothing to keep: the ready queue remembers the last 64 it gave out, and a start, which is rarer than a
//! resume, notes its slot here. Who is in a slot, or was last, the worker's roster knows.
//!
//! Invariant 1: a window has at most 64 resumes, of which the newcomers are in `starts` (`pace.rs`, invariant 1).

use crate::roster::{Identity, Place};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// Resumes in a window, at most.
const WINDOW: u32 = 64;

/// Nanoseconds between two reports of a worker, at least. What comes sooner is counted, and the next report tells the number.
const REPORT_EVERY: u64 = 1_000_000_000;

/// Kinds of suspects that a report tells apart, at most.
const KINDS: usize = 8;

/// One newcomer.
#[derive(Clone, Copy, Debug)]
struct Start {
    /// Its slot.
    index: u32,
    /// Where its predecessor in that slot was spawned.
    before: Option<Place>,
    /// How many had been popped from the ready queue before.
    popped: u32,
}

/// What one worker knows of its long runs.
#[derive(Debug)]
pub(crate) struct LongRuns {
    /// Nanoseconds from which on a run is long.
    limit: u64,
    /// When the window began.
    since: Cell<u64>,
    /// How many had been popped from the ready queue then.
    popped: Cell<u32>,
    /// How many had been started then.
    started: Cell<u32>,
    /// Started so far, modulo 2^32.
    starts_so_far: Cell<u32>,
    /// The last of them.
    starts: [Cell<Start>; WINDOW as usize],
    /// When the last report was made.
    reported_at: Cell<Option<u64>>,
    /// Long runs since then.
    suppressed: Cell<u64>,
}

/// A window that took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overrun {
    /// Nanoseconds.
    pub(crate) took: u64,
    /// How many were popped from the ready queue in it.
    pub(crate) popped: u32,
    /// How many were started in it.
    pub(crate) started: u32,
}

impl LongRuns {
    /// None are long with a limit of `u64::MAX`.
    pub(crate) fn new(limit: u64) -> LongRuns {
        LongRuns {
            limit,
            since: Cell::new(0),
            popped: Cell::new(0),
            started: Cell::new(0),
            starts_so_far: Cell::new(0),
            starts: [const { Cell::new(Start { index: 0, before: None, popped: 0 }) }; WINDOW as usize],
            reported_at: Cell::new(None),
            suppressed: Cell::new(0),
        }
    }

    /// A coroutine is about to run for the first time, in this slot, in which `before` was the last.
    #[inline]
    pub(crate) fn starts(&self, index: u32, before: Option<Place>, popped: u32) {
        let so_far = self.starts_so_far.get();
        self.starts[(so_far % WINDOW) as usize].set(Start { index, before, popped });
        self.starts_so_far.set(so_far.wrapping_add(1));
    }

    /// How many were started so far, modulo 2^32.
    pub(crate) fn started(&self) -> u32 {
        self.starts_so_far.get()
    }

    /// When the window began, which is when the clock was read last.
    pub(crate) fn since(&self) -> u64 {
        self.since.get()
    }

    /// Whether anything ran since the window began.
    pub(crate) fn is_open(&self, popped: u32) -> bool {
        self.popped.get() != popped || self.started.get() != self.starts_so_far.get()
    }

    /// A window begins; of what was in the last one nothing is to be known.
    pub(crate) fn begin(&self, now: u64, popped: u32) {
        self.since.set(now);
        self.popped.set(popped);
        self.started.set(self.starts_so_far.get());
    }

    /// The clock was read: ends the window and begins the next. Gives how long it took, and what it was if too long.
    pub(crate) fn end(&self, now: u64, popped: u32) -> (u64, Option<Overrun>) {
        let took = now.saturating_sub(self.since.get());
        let started = self.starts_so_far.get().wrapping_sub(self.started.get());
        let overrun = Overrun { took, popped: popped.wrapping_sub(self.popped.get()), started };
        let ran = self.is_open(popped);
        self.begin(now, popped);
        if ran { (took, (took >= self.limit).then_some(overrun)) } else { (0, None) }
    }

    /// Whether a long run is to be reported now; gives how many before it were not. Counts it otherwise.
    pub(crate) fn may_report(&self, now: u64) -> Option<u64> {
        let due = self.reported_at.get().is_none_or(|last| now.saturating_sub(last) >= REPORT_EVERY);
        if !due {
            self.suppressed.set(self.suppressed.get() + 1);
            return None;
        }
        self.reported_at.set(Some(now));
        Some(self.suppressed.take())
    }

    /// Who ran in the window that has just ended, each once: those in the slots `resumed`, oldest first, and the newcomers.
    /// `popped` is what the window ended with; `who` tells who is in a slot now, or was last.
    pub(crate) fn suspects(
        &self,
        overrun: Overrun,
        popped: u32,
        resumed: impl Iterator<Item = u32>,
        who: impl Fn(u32) -> Option<Identity>,
    ) -> Vec<Identity> {
        let starts = self.last_starts(overrun.started.min(WINDOW));
        // A slot that a later newcomer got was left by whoever had it. That newcomer tells coroutines of one slot apart.
        let newcomers =
            starts.iter().enumerate().map(|(n, start)| (start.index, follower(&starts, start.index, n + 1)));
        let first = popped.wrapping_sub(overrun.popped);
        let resumed = resumed.zip(0..).map(|(index, n)| {
            let later = starts.iter().position(|start| start.popped.wrapping_sub(first) > n);
            (index, later.and_then(|later| follower(&starts, index, later)))
        });
        let each: BTreeSet<(u32, Option<usize>)> = newcomers.chain(resumed).collect();
        let identity = |(index, next): (u32, Option<usize>)| match next {
            Some(next) => starts[next].before.map(|spawned_at| Identity { name: None, spawned_at }),
            None => who(index),
        };
        each.into_iter().filter_map(identity).collect()
    }

    /// The last newcomers, oldest first.
    fn last_starts(&self, count: u32) -> Vec<Start> {
        let so_far = self.starts_so_far.get();
        (1..=count).rev().map(|back| self.starts[(so_far.wrapping_sub(back) % WINDOW) as usize].get()).collect()
    }
}

/// Which of the newcomers from the `from`th on was the first in this slot.
fn follower(starts: &[Start], index: u32, from: usize) -> Option<usize> {
    (from..starts.len()).find(|next| starts[*next].index == index)
}

/// What is told of a long run.
#[derive(Debug)]
pub(crate) struct Report {
    /// How long.
    took: Duration,
    /// Each kind of suspect with their number, the most frequent first.
    suspects: Vec<(Identity, usize)>,
    /// Suspects in all.
    count: usize,
    /// Long runs of this worker since the last report.
    suppressed: u64,
}

impl Report {
    pub(crate) fn new(took: u64, suppressed: u64, mut suspects: Vec<Identity>) -> Report {
        let count = suspects.len();
        suspects.sort_unstable();
        let kinds = suspects.chunk_by(|one, other| one == other);
        let mut kinds: Vec<_> = kinds.map(|kind| (kind[0].clone(), kind.len())).collect();
        kinds.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        Report { took: Duration::from_nanos(took), suspects: kinds, count, suppressed }
    }

    fn suspects(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (who, number)) in self.suspects.iter().take(KINDS).enumerate() {
            f.write_str(if n == 0 { " " } else { "; " })?;
            match number {
                1 => write!(f, "{who}")?,
                _ => write!(f, "{number} times {who}")?,
            }
        }
        let others = self.suspects.iter().skip(KINDS).map(|(_, number)| number).sum::<usize>();
        if others > 0 { write!(f, "; {others} others") } else { Ok(()) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.count, self.suspects.first()) {
            (1, Some((who, _))) => write!(f, "{who}, kept its worker from the poller for {:?}", self.took)?,
            (count, _) => {
                write!(f, "one of {count} coroutines, or several together, kept their worker from the poller for ")?;
                write!(f, "{:?}:", self.took)?;
                self.suspects(f)?;
            }
        }
        match self.suppressed {
            0 => Ok(()),
            number => write!(f, " ({number} long runs of this worker were not reported since the last)"),
        }
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use std::panic::Location;

    fn here() -> Place {
        Location::caller()
    }

    fn unnamed(spawned_at: Place) -> Identity {
        Identity { name: None, spawned_at }
    }

    #[test]
    fn a_window_of_one_has_one_culprit() {
        let (runs, place) = (LongRuns::new(10), here());
        runs.begin(100, 7);
        assert!(!runs.is_open(7));
        assert_eq!(runs.end(500, 7), (0, None), "nothing ran");
        assert_eq!(runs.end(505, 8), (5, None), "not long");
        let (took, overrun) = runs.end(520, 9);
        assert_eq!((took, overrun.unwrap().popped), (15, 1));
        let suspects = runs.suspects(overrun.unwrap(), 9, [4].into_iter(), |index| {
            assert_eq!(index, 4);
            Some(unnamed(place))
        });
        assert_eq!(suspects, [unnamed(place)]);
        let said = Report::new(took, 0, suspects).to_string();
        assert_eq!(
            said,
            format!("coroutine '<unnamed>', spawned at {place}, kept its worker from the poller for 15ns")
        );
    }

    /// In slot 5 one was resumed and ended, then came two newcomers, of which the first ended.
    #[test]
    fn whoever_left_a_slot_to_a_newcomer_is_a_suspect_too() {
        let (runs, first, second, third, other) = (LongRuns::new(10), here(), here(), here(), here());
        runs.begin(0, 40);
        runs.starts(5, Some(first), 41);
        runs.starts(5, Some(second), 41);
        let overrun = runs.end(100, 42).1.unwrap();
        assert_eq!(overrun, Overrun { took: 100, popped: 2, started: 2 });
        let now = |index| Some(unnamed(if index == 5 { third } else { other }));
        let mut suspects = runs.suspects(overrun, 42, [5, 9].into_iter(), now);
        suspects.sort();
        let mut expected = [first, second, third, other].map(unnamed);
        expected.sort();
        assert_eq!(suspects, expected);
        let said = Report::new(100, 3, suspects).to_string();
        assert!(said.starts_with("one of 4 coroutines, or several together, kept their worker"), "{said}");
        assert!(said.ends_with("(3 long runs of this worker were not reported since the last)"), "{said}");
    }

    #[test]
    fn whoever_left_a_slot_before_the_window_is_none() {
        let (runs, gone, newcomer) = (LongRuns::new(10), here(), here());
        runs.begin(0, u32::MAX);
        runs.starts(5, Some(gone), u32::MAX);
        let overrun = runs.end(100, 1).1.unwrap();
        let suspects = runs.suspects(overrun, 1, [5, 5].into_iter(), |_| Some(unnamed(newcomer)));
        assert_eq!(suspects, [unnamed(newcomer)], "started, and resumed twice");
    }

    #[test]
    fn a_window_full_of_newcomers_names_each() {
        let (runs, old, new) = (LongRuns::new(10), here(), here());
        runs.begin(0, 0);
        (0..1000).for_each(|_| runs.starts(0, Some(old), 0));
        runs.begin(0, 0);
        (0..WINDOW).for_each(|n| runs.starts(0, Some(if n == 0 { old } else { new }), 0));
        let overrun = runs.end(20, 0).1.unwrap();
        let suspects = runs.suspects(overrun, 0, std::iter::empty(), |_| Some(unnamed(new)));
        assert_eq!(suspects, vec![unnamed(new); WINDOW as usize]);
        let said = Report::new(20, 0, suspects).to_string();
        assert!(said.contains("64 times coroutine"), "{said}");
    }

    #[test]
    fn reports_are_a_second_apart_and_tell_how_many_were_not_made() {
        let runs = LongRuns::new(10);
        assert_eq!(runs.may_report(5), Some(0));
        assert_eq!(runs.may_report(6), None);
        assert_eq!(runs.may_report(REPORT_EVERY), None);
        assert_eq!(runs.may_report(5 + REPORT_EVERY), Some(2));
        assert_eq!(runs.may_report(5 + 2 * REPORT_EVERY), Some(0));
    }
}
