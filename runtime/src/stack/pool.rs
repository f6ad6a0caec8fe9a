//! Pool: one worker's stacks of one size.
//!
//! Owns the order of reuse (the stack last used is the next, since its memory is in the cache), the bound on stacks kept
//! resident, and the number of slabs. Must never know of other threads: a pool belongs to one worker, and so there is no
//! lock in it.
//!
//! A stack is *out* (handed to a coroutine), *hot* (free, its memory kept), or *cold* (free, without memory). The hot ones
//! beyond `cache` are *surplus*: they can be acquired like the others until the worker finds time to give them back.
//!
//! Invariants:
//! 1. `hot` is ordered by release: the back was used last, the front has been free for longest. Surplus is at the front.
//! 2. `slabs` is ordered by address.
//! 3. A slab counts out and hot stacks alike as out.
//! 4. After [`Pool::give_back`] at most one slab has neither out nor hot stacks: one, so that a load which swings around
//!    the edge of a slab does not map and unmap it each time.

#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use super::slab::{FIRST_PLACES, Guard, GuardKind, Slab};
use super::{DEFAULT_SIZE, Stack, discard_all, size_for};

/// What a pool is to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolConfig {
    /// Bytes of one stack, guard included; rounded up by [`size_for`].
    pub(crate) stack_size: usize,
    /// Bytes of the guard; rounded up to pages. Code compiled without stack probes can jump over a small one.
    pub(crate) guard_size: usize,
    /// How it is installed.
    pub(crate) guard_kind: GuardKind,
    /// How many free stacks keep their memory.
    pub(crate) cache: usize,
}

impl Default for PoolConfig {
    fn default() -> PoolConfig {
        PoolConfig { stack_size: DEFAULT_SIZE, guard_size: 1, guard_kind: GuardKind::Auto, cache: 256 }
    }
}

/// The state of a pool, in stacks and bytes.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Bytes of address space in its slabs.
    pub(crate) mapped_bytes: usize,
    /// Stacks handed out, the leaked ones included.
    pub(crate) out: usize,
    /// Free stacks which keep their memory, surplus included.
    pub(crate) hot: usize,
    /// Free places without memory, those never used included.
    pub(crate) cold: usize,
}

/// One worker's stacks of one size.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Bytes of one stack.
    stack_size: usize,
    /// How each stack is guarded.
    guard: Guard,
    /// How many of `hot` are no surplus.
    cache: usize,
    /// Free stacks with their memory (1).
    hot: VecDeque<Stack>,
    /// All memory (2).
    slabs: Vec<Slab>,
    /// The slab that gave the last cold stack and is to give the next; forgotten whenever `slabs` changes under it.
    filling: Option<usize>,
    /// How many stacks the next slab is to hold.
    next_places: usize,
    /// How often a slab came or went.
    changes: u64,
}

impl Pool {
    /// An empty pool; memory is mapped at the first [`acquire`](Pool::acquire).
    ///
    /// # Errors
    /// `InvalidInput` for a stack too large, or a guard of half the stack or more.
    pub(crate) fn new(config: PoolConfig) -> io::Result<Pool> {
        let stack_size = size_for(config.stack_size)?;
        let guard = Guard::new(config.guard_size, config.guard_kind, stack_size)?;
        let (hot, slabs) = (VecDeque::new(), Vec::new());
        Ok(Pool {
            stack_size,
            guard,
            cache: config.cache,
            hot,
            slabs,
            filling: None,
            next_places: FIRST_PLACES,
            changes: 0,
        })
    }

    /// Bytes of each stack, guard included.
    pub(crate) fn stack_size(&self) -> usize {
        self.stack_size
    }

    /// Bytes of each guard.
    pub(crate) fn guard_size(&self) -> usize {
        self.guard.size()
    }

    /// A free stack: the one released last, else a cold one, else the first of a new slab.
    ///
    /// # Errors
    /// Out of address space or of mappings; the message names the limit. May succeed later, once a stack was released.
    #[inline]
    pub(crate) fn acquire(&mut self) -> io::Result<Stack> {
        match self.hot.pop_back() {
            Some(stack) => Ok(stack),
            None => self.acquire_cold(),
        }
    }

    #[cold]
    #[inline(never)]
    fn acquire_cold(&mut self) -> io::Result<Stack> {
        loop {
            let index = match self.filling.or_else(|| self.best_slab()) {
                Some(index) => index,
                None => self.add_slab()?,
            };
            self.filling = Some(index);
            match self.slabs[index].take()? {
                Some(stack) => return Ok(stack),
                None => self.filling = None,
            }
        }
    }

    /// The slab to take from: one with a place guarded before, and of these the fullest, and of these the lowest, so that
    /// the emptier ones become empty.
    fn best_slab(&self) -> Option<usize> {
        let with_room = self.slabs.iter().enumerate().filter(|(_, slab)| slab.has_room());
        let best = with_room.max_by_key(|(index, slab)| (slab.has_cold(), slab.out(), Reverse(*index)));
        best.map(|(index, _)| index)
    }

    fn add_slab(&mut self) -> io::Result<usize> {
        let slab = Slab::map(self.stack_size, self.next_places, self.guard)?;
        self.next_places = 2 * slab.places();
        let index = self.slabs.partition_point(|other| other.range().start < slab.range().start);
        self.slabs.insert(index, slab);
        self.changes += 1;
        Ok(index)
    }

    /// Takes back a stack of this pool, to be the next handed out.
    #[inline]
    pub(crate) fn release(&mut self, stack: Stack) {
        debug_assert_eq!(stack.size(), self.stack_size, "a stack goes back to its own pool");
        self.hot.push_back(stack);
    }

    /// Whether [`give_back`](Pool::give_back) has something to do.
    #[inline]
    pub(crate) fn has_surplus(&self) -> bool {
        self.hot.len() > self.cache
    }

    /// Gives back the memory of at most `max` surplus stacks, those unused for longest; returns of how many. Costs 0.3 to
    /// 0.6 us for each with one page resident. Under mlockall the kernel keeps the memory, and the stacks become cold with it.
    pub(crate) fn give_back(&mut self, max: usize) -> usize {
        let count = self.hot.len().saturating_sub(self.cache).min(max);
        let mut surplus: Vec<Stack> = self.hot.drain(..count).collect();
        discard_all(&mut surplus);
        surplus.into_iter().for_each(|stack| self.retire(stack));
        if count > 0 {
            self.unmap_idle();
        }
        if !self.has_surplus() {
            self.hot.shrink_to(self.cache);
        }
        count
    }

    /// Makes the place of a stack cold. A stack from elsewhere is leaked.
    fn retire(&mut self, stack: Stack) {
        let index = self.slabs.partition_point(|slab| slab.range().end <= stack.limit());
        if let Some(slab) = self.slabs.get_mut(index).filter(|slab| slab.range().contains(&stack.limit())) {
            slab.put_back(stack);
        }
        self.filling = None;
    }

    /// Unmaps all slabs without stacks but the largest (4).
    fn unmap_idle(&mut self) {
        let idle = self.slabs.iter().filter(|slab| slab.out() == 0);
        let kept = idle.max_by_key(|slab| slab.places()).map(|slab| slab.range().start);
        let before = self.slabs.len();
        self.slabs.retain(|slab| slab.out() > 0 || Some(slab.range().start) == kept);
        self.changes += (before - self.slabs.len()) as u64;
    }

    /// Stacks handed out, the leaked ones included; walks the slabs.
    pub(crate) fn out(&self) -> usize {
        self.slabs.iter().map(Slab::out).sum::<usize>() - self.hot.len()
    }

    /// How often a slab came or went so far.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Where the slabs are.
    pub(crate) fn slabs(&self) -> impl Iterator<Item = Range<usize>> {
        self.slabs.iter().map(Slab::range)
    }

    /// Bytes of the free stacks that keep their memory.
    pub(crate) fn cached(&self) -> usize {
        self.hot.len() * self.stack_size
    }

    /// The present state; walks the slabs.
    #[cfg(test)]
    pub(crate) fn counters(&self) -> Counters {
        let places: usize = self.slabs.iter().map(Slab::places).sum();
        let taken: usize = self.slabs.iter().map(Slab::out).sum();
        let hot = self.hot.len();
        Counters { mapped_bytes: places * self.stack_size, out: taken - hot, hot, cold: places - taken }
    }
}

/// Unmaps every slab with no stack out. A slab with one stays mapped for good: somebody may still stand on it.
impl Drop for Pool {
    fn drop(&mut self) {
        while let Some(stack) = self.hot.pop_back() {
            self.retire(stack);
        }
    }
}
