//! A passage that many use together, or one alone: for calls that must not overlap with a change of what they use.
//!
//! Owns who is inside. Does not know what they do there, but that it does not wait for anybody: who has to wait before it
//! looks again and again, and blocks its thread meanwhile. So nobody parks inside.
//!
//! Not a lock of std's, which libc calls interposed for blocking code might re-enter, and which a child of fork(2) finds as
//! its parent's threads held it, for ever. The word, high bits first:
//!
//! ```text
//! | process, as fork.rs counts them: 32 | somebody is alone, or waits to be: 1 | how many are inside: 31 |
//! ```
//!
//! Invariant 1: nobody enters with others while that bit is set; who has set it is alone once nobody else is inside.
//! Invariant 2: a word of another process says that nobody is inside: those threads stayed there. None of them forks inside.

use crate::atomic::{AtomicU64, Ordering, doze, spin_loop};
use crate::{current, fork};

/// Somebody is alone, or waits to be.
const ALONE: u64 = 1 << 31;

/// How many are inside.
const COUNT: u64 = ALONE - 1;

/// Where the process begins.
const PROCESS: u32 = 32;

/// Looks before the thread dozes: those inside make one system call.
#[cfg(not(dormouse_loom))]
const LOOKS: u32 = 100;
/// In a model it goes on only if the others let it.
#[cfg(dormouse_loom)]
const LOOKS: u32 = 0;

/// See the heading.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::passage::Passage;
///
/// let passage = Passage::new();
/// {
///     let (_one, _another) = (passage.enter(), passage.enter());
/// }
/// let _alone = passage.enter_alone();
/// ```
#[derive(Debug)]
pub struct Passage(AtomicU64);

/// Inside, with others; until dropped.
#[derive(Debug)]
#[must_use = "who is inside leaves when this is dropped"]
pub struct Inside<'a>(&'a Passage);

/// Inside, and nobody else is; until dropped.
#[derive(Debug)]
#[must_use = "who is inside leaves when this is dropped"]
pub struct Alone<'a>(&'a Passage);

impl Passage {
    /// A passage that nobody is in.
    pub fn new() -> Passage {
        watch_forks();
        Passage(AtomicU64::new(0))
    }

    /// Enters together with whoever else does.
    ///
    /// # Blocking
    ///
    /// Blocks the thread while somebody is alone inside, or waits to be.
    pub fn enter(&self) -> Inside<'_> {
        let free = |inside: u64| inside & ALONE == 0;
        self.change(free, |inside| inside + 1);
        Inside(self)
    }

    /// Enters once nobody is inside; nobody else does until it leaves.
    ///
    /// # Blocking
    ///
    /// Blocks the thread until those inside have left.
    pub fn enter_alone(&self) -> Alone<'_> {
        self.change(|inside| inside & ALONE == 0, |inside| inside | ALONE);
        let mut looks = 0;
        // ORDERING: Acquire pairs with the Release in the Drop of `Inside`.
        while self.0.load(Ordering::Acquire) & COUNT != 0 {
            pause(&mut looks);
        }
        Alone(self)
    }

    /// Changes who is inside, as soon as that `may` be.
    fn change(&self, may: impl Fn(u64) -> bool, changed: impl Fn(u64) -> u64) {
        let process = u64::from(fork::count()) << PROCESS;
        let mut looks = 0;
        loop {
            // ORDERING: Relaxed; the exchange decides.
            let word = self.0.load(Ordering::Relaxed);
            // Invariant 2.
            let inside = if word >> PROCESS == process >> PROCESS { word & (ALONE | COUNT) } else { 0 };
            // ORDERING: Acquire pairs with the Release in the Drop of `Alone`, and of `Inside`.
            let exchange =
                |to| self.0.compare_exchange(word, process | to, Ordering::Acquire, Ordering::Relaxed).is_ok();
            if may(inside) && exchange(changed(inside)) {
                return;
            }
            pause(&mut looks);
        }
    }
}

/// Has a child know that it is one. For want of memory it does not, and may wait for a thread that stayed with its parent.
fn watch_forks() {
    if cfg!(not(dormouse_loom)) {
        let _ = fork::install(current::forked);
    }
}

/// A look was in vain.
fn pause(looks: &mut u32) {
    *looks += 1;
    if *looks < LOOKS { spin_loop() } else { doze() }
}

impl Default for Passage {
    fn default() -> Passage {
        Passage::new()
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // ORDERING: Release pairs with the Acquire in `enter_alone`.
        self.0.0.fetch_sub(1, Ordering::Release);
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // ORDERING: Release pairs with the Acquire in `change`.
        self.0.0.fetch_and(!ALONE, Ordering::Release);
    }
}

#[cfg(all(test, dormouse_loom))]
mod models;
#[cfg(all(test, not(dormouse_loom)))]
mod tests;
