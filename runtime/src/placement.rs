//! Where a coroutine is born, and how many of the unstarted an idle worker may take from another. Pure: loads are
//! arguments.
//!
//! A *load* is what lives or waits to start on a worker. A started coroutine never moves, so placement is the one
//! chance to keep workers even, and both decisions here keep to it: a spawn stays at home unless another worker has
//! clearly less, and an idle worker does not take what would only make it the heavier of the two, as it would from
//! whoever accepts connections in a loop. Unless the other cannot get at it: work that waits for long beside an idle
//! worker is taken whatever the loads.
//!
//! Invariant 1: among workers that only spawn what stays, and take from each other, two loads come to differ by little
//! more than [`SLACK`].

/// By how much a load may exceed another one before it counts as more. A spawn that stays is cheaper than one that is
/// given away, and what it shares with its spawner is in the cache.
const SLACK: u32 = 8;

/// What an idle worker may take of another worker's unstarted coroutines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// There is nothing.
    Nothing,
    /// What there is would make the thief the heavier one: it is the owner's, unless that turns out to be stuck.
    Later,
    /// One, which the owner is about to start, most likely: before the spawner that joins it goes on.
    Soon,
    /// So many, at once.
    Now(u32),
}

/// The two workers that a spawner on `own` compares itself with (the same one twice, if there is but one), or a
/// spawner that is on none of them (`None`) places by; from turn to turn, every one has its turn.
pub(crate) fn sample(turn: u32, workers: usize, own: Option<usize>) -> (usize, usize) {
    let (turn, others) = (turn as usize, workers - usize::from(own.is_some()));
    let nth = |n: usize| match own {
        Some(own) => (own + 1 + n % others) % workers,
        None => n % others,
    };
    (nth(turn), nth(turn + 1))
}

/// Whether what is spawned on a worker with a load of `own` stays there, where the least loaded of the others has
/// `least`.
#[inline]
pub(crate) fn stays(own: u32, least: u32) -> bool {
    own <= least.saturating_add(SLACK)
}

/// What a worker with a load of `own` that has nothing to run may take of `waiting` coroutines of one with a load of
/// `theirs`, them included. `stuck` if they, or others before them, wait for longer than their owner should need.
pub(crate) fn share(waiting: u32, theirs: u32, own: u32, stuck: bool) -> Share {
    let half = waiting.div_ceil(2);
    let room = theirs.saturating_add(SLACK).saturating_sub(own) / 2;
    match waiting {
        0 => Share::Nothing,
        _ if stuck => Share::Now(half),
        _ if room == 0 => Share::Later,
        1 => Share::Soon,
        _ => Share::Now(half.min(room)),
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod model_tests;
