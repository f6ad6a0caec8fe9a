//! Which workers sleep and how many search for work of others: so that a push that leaves work over wakes one sleeper,
//! and no push goes unseen.
//!
//! Owns a set of bits, one for each sleeping worker, and the number of searchers. Does not know where work waits, how
//! it is taken, nor how a sleeper is interrupted.
//!
//! ```text
//!              lie_down                    call (by whoever pushed)
//!   up  -------------------> asleep ----------------------------------> called: it searches
//!    ^                         |  get_up: for a reason of its own          |
//!    +-------------------------+                                           |
//!    +-----------------------------------------------------------------get_up, leave
//! ```
//!
//! A push calls nobody while somebody searches: the searcher will find it, or whoever it calls when it leaves. So a
//! burst wakes one worker; that one, when it has found something and there is more, wakes the next. That is Go's
//! protocol (`proc.go`, "Worker thread parking/unparking").
//!
//! Invariant 1: whoever takes a worker's bit out of the set decides: the worker itself, which is then up as if
//! nothing had happened, or a caller, and then it is a searcher, counted by the caller.
//! Invariant 2: after a push and a call, some worker that is not asleep will look at what was pushed, or nobody
//! sleeps. A pusher pushes, passes a SeqCst fence and looks for searchers and sleepers; who lies down sets its bit,
//! passes a fence (that of `Inbox::prepare_sleep`) and looks for work; who stops searching says so, passes a fence and
//! looks for work (`call_again`) or lies down. Of any two of them, one sees the other.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Workers in one word of the set.
const WORD: usize = u64::BITS as usize;

/// The sleepers and searchers of one runtime.
#[derive(Debug)]
pub(crate) struct Idle {
    /// Workers that look for work of others now.
    searching: AtomicU32,
    /// So many may begin to by themselves.
    most: u32,
    /// A bit for each worker, set while it sleeps and has not been called.
    asleep: Box<[AtomicU64]>,
}

impl Idle {
    pub(crate) fn new(workers: usize) -> Idle {
        let asleep = (0..workers.div_ceil(WORD)).map(|_| AtomicU64::new(0)).collect();
        Idle { searching: AtomicU32::new(0), most: (workers as u32 / 2).max(1), asleep }
    }

    /// After a push: the sleeper to interrupt, if one has to be; it then is a searcher. `lighter` chooses between two.
    #[inline]
    pub(crate) fn call(&self, lighter: impl Fn(usize, usize) -> usize, waits: impl Fn() -> bool) -> Option<usize> {
        // ORDERING: SeqCst fence; pairs with those of `Inbox::prepare_sleep` and `call_again` (invariant 2).
        fence(Ordering::SeqCst);
        self.call_announced(lighter, waits)
    }

    /// As `call`, after a push that `Inbox::announce` followed: its fence is as good as that of `call`, and one is dear.
    #[inline]
    pub(crate) fn call_announced(
        &self,
        lighter: impl Fn(usize, usize) -> usize,
        waits: impl Fn() -> bool,
    ) -> Option<usize> {
        if self.is_searched() || !self.has_sleepers() {
            return None;
        }
        self.call_cold(lighter, waits)
    }

    #[cold]
    fn call_cold(&self, lighter: impl Fn(usize, usize) -> usize, waits: impl Fn() -> bool) -> Option<usize> {
        // Counted before it is chosen, so that of several who push at a time one calls.
        while self.has_sleepers() && self.begin_search(1) {
            let called = self.pick(&lighter).filter(|sleeper| self.take(*sleeper));
            if called.is_some() {
                return called;
            }
            // It got up by itself. Whoever pushed meanwhile relied on the search that will not be.
            self.leave();
            // ORDERING: SeqCst fence; pairs with those of `call` and `Inbox::prepare_sleep` (invariant 2).
            fence(Ordering::SeqCst);
            if !waits() {
                return None;
            }
        }
        None
    }

    /// Whoever has left looks whether somebody relied on it, unless it lies down at once: as `call`.
    pub(crate) fn call_again(
        &self,
        lighter: impl Fn(usize, usize) -> usize,
        waits: impl Fn() -> bool,
    ) -> Option<usize> {
        // ORDERING: SeqCst fence; pairs with those of `call` and `Inbox::prepare_sleep` (invariant 2).
        fence(Ordering::SeqCst);
        if self.is_searched() || !self.has_sleepers() || !waits() {
            return None;
        }
        self.call_cold(lighter, waits)
    }

    /// Of the sleepers, one of the first two that `lighter` prefers.
    fn pick(&self, lighter: impl Fn(usize, usize) -> usize) -> Option<usize> {
        let mut sleepers = self.asleep.iter().enumerate().flat_map(|(index, word)| {
            // ORDERING: Relaxed; a guess, decided by `take`.
            let mut bits = word.load(Ordering::Relaxed);
            std::iter::from_fn(move || {
                let bit = bits.trailing_zeros() as usize;
                bits &= bits.wrapping_sub(1);
                (bit < WORD).then_some(index * WORD + bit)
            })
        });
        let first = sleepers.next()?;
        Some(sleepers.next().map_or(first, |second| lighter(first, second)))
    }

    /// Whether somebody searches.
    #[inline]
    pub(crate) fn is_searched(&self) -> bool {
        // ORDERING: Relaxed; ordered by the fence of whoever asks.
        self.searching.load(Ordering::Relaxed) != 0
    }

    #[inline]
    fn has_sleepers(&self) -> bool {
        // ORDERING: Relaxed; as above.
        self.asleep.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// A worker that is up begins to search, unless enough do.
    pub(crate) fn try_search(&self) -> bool {
        self.begin_search(self.most)
    }

    fn begin_search(&self, most: u32) -> bool {
        let more = |searching: u32| (searching < most).then_some(searching + 1);
        // ORDERING: Relaxed; a count. What it promises is ordered by fences.
        self.searching.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// A searcher is none any more. Then it lies down or calls again.
    pub(crate) fn leave(&self) {
        // ORDERING: Relaxed; ordered by the fence of `call_again` or `Inbox::prepare_sleep`, which follows.
        let before = self.searching.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "nobody searched");
    }

    /// A worker that is no searcher is about to sleep. It then passes a SeqCst fence and looks for work.
    pub(crate) fn lie_down(&self, worker: usize) {
        // ORDERING: Relaxed; ordered by the fence in `Inbox::prepare_sleep`, which follows.
        let before = self.asleep[worker / WORD].fetch_or(1 << (worker % WORD), Ordering::Relaxed);
        debug_assert_eq!(before & 1 << (worker % WORD), 0, "it lay already");
    }

    /// Whether a worker that has lain down was called.
    pub(crate) fn is_called(&self, worker: usize) -> bool {
        // ORDERING: Relaxed; a caller that is missed finds the inbox `ASLEEP` and interrupts (`inbox.rs`, invariant 1).
        self.asleep[worker / WORD].load(Ordering::Relaxed) & 1 << (worker % WORD) == 0
    }

    /// A worker that has lain down is up; `true` if it was called, and is a searcher.
    pub(crate) fn get_up(&self, worker: usize) -> bool {
        !self.take(worker)
    }

    /// Whether this was who took the bit (invariant 1).
    fn take(&self, worker: usize) -> bool {
        let bit = 1 << (worker % WORD);
        // ORDERING: Relaxed; decides who took it, and publishes nothing.
        self.asleep[worker / WORD].fetch_and(!bit, Ordering::Relaxed) & bit != 0
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;

    fn first(first: usize, _second: usize) -> usize {
        first
    }

    fn call(idle: &Idle) -> Option<usize> {
        idle.call(first, || true)
    }

    #[test]
    fn a_push_wakes_one_sleeper_until_that_one_has_searched() {
        let idle = Idle::new(4);
        assert_eq!(call(&idle), None, "all are up");
        (0..4).for_each(|worker| idle.lie_down(worker));
        assert_eq!(call(&idle), Some(0));
        assert_eq!(call(&idle), None, "one searches");
        assert!(idle.is_called(0) && idle.get_up(0));
        assert_eq!(call(&idle), None);
        idle.leave();
        assert_eq!(idle.call_again(first, || false), None, "nothing is left");
        assert_eq!(idle.call_again(first, || true), Some(1), "the next, while there is more");
    }

    #[test]
    fn who_gets_up_by_itself_is_not_called_and_not_counted() {
        let idle = Idle::new(2);
        idle.lie_down(1);
        assert!(!idle.is_called(1) && !idle.get_up(1));
        assert_eq!(call(&idle), None);
        assert!(!idle.is_searched());
    }

    #[test]
    fn half_of_the_workers_search_at_a_time() {
        for (workers, most) in [(1, 1), (2, 1), (3, 1), (4, 2), (200, 100)] {
            let idle = Idle::new(workers);
            assert_eq!((0..workers).filter(|_| idle.try_search()).count(), most);
            idle.leave();
            assert!(idle.try_search() && !idle.try_search());
        }
    }

    #[test]
    fn the_lighter_of_two_sleepers_is_called_however_many_workers_there_are() {
        let idle = Idle::new(200);
        [3, 64, 199].into_iter().for_each(|worker| idle.lie_down(worker));
        assert_eq!(idle.call(usize::max, || true), Some(64));
        idle.leave();
        assert_eq!(idle.call(usize::max, || true), Some(199));
    }
}

#[cfg(all(test, dormouse_loom))]
mod models;
