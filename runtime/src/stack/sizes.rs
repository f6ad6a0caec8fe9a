//! Sizes: all the stack pools of one worker, one for each size in use.
//!
//! Owns which pool a stack belongs to. The default size has the first pool; others are made when first asked for.

#![forbid(unsafe_code)]

use super::pool::{Pool, PoolConfig};
use super::slab::GuardKind;
use super::{Stack, size_for};
use std::io;
use std::ops::Range;

/// Free stacks of a size other than the default which keep their memory.
const CACHE_OF_OTHER_SIZES: usize = 8;

/// How a worker's stacks are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackSettings {
    /// Bytes of a stack for whoever asks for no size.
    pub(crate) stack_size: usize,
    /// Bytes of each guard.
    pub(crate) guard_size: usize,
    /// How guards are installed.
    pub(crate) guard_kind: GuardKind,
}

/// All stacks of one worker.
#[derive(Debug)]
pub(crate) struct Stacks {
    /// What every pool shares.
    settings: StackSettings,
    /// The default size first.
    pools: Vec<Pool>,
}

impl Stacks {
    /// No stack yet.
    ///
    /// # Errors
    /// `InvalidInput` for a stack too large, or a guard of half the stack or more.
    pub(crate) fn new(settings: StackSettings) -> io::Result<Stacks> {
        let pool = Pool::new(PoolConfig {
            stack_size: settings.stack_size,
            guard_size: settings.guard_size,
            guard_kind: settings.guard_kind,
            ..PoolConfig::default()
        })?;
        Ok(Stacks { settings, pools: vec![pool] })
    }

    /// A stack of at least `bytes`, or of the default size if 0.
    ///
    /// # Errors
    /// Those of [`Pool::new`] and [`Pool::acquire`].
    #[inline]
    pub(crate) fn acquire(&mut self, bytes: usize) -> io::Result<Stack> {
        if bytes == 0 { self.pools[0].acquire() } else { self.acquire_sized(bytes) }
    }

    fn acquire_sized(&mut self, bytes: usize) -> io::Result<Stack> {
        let size = size_for(bytes)?;
        if let Some(pool) = self.pools.iter_mut().find(|pool| pool.stack_size() == size) {
            return pool.acquire();
        }
        let mut pool = Pool::new(PoolConfig {
            stack_size: size,
            guard_size: self.settings.guard_size,
            guard_kind: self.settings.guard_kind,
            cache: CACHE_OF_OTHER_SIZES,
        })?;
        let stack = pool.acquire();
        self.pools.push(pool);
        stack
    }

    /// Takes back a stack.
    #[inline]
    pub(crate) fn release(&mut self, stack: Stack) {
        let size = stack.size();
        let default = &mut self.pools[0];
        if default.stack_size() == size {
            default.release(stack);
        } else if let Some(pool) = self.pools.iter_mut().find(|pool| pool.stack_size() == size) {
            pool.release(stack);
        }
    }

    /// Whether stacks of this size are handed out, beside the worker's one in reserve, so that one may come back.
    pub(crate) fn are_out(&self, bytes: usize) -> bool {
        let size = self.size_of(bytes);
        let reserved = usize::from(size == self.size_of(0));
        let pool = self.pools.iter().find(|pool| pool.stack_size() == size);
        pool.is_some_and(|pool| pool.out() > reserved)
    }

    /// The size of the stack that somebody gets who asks for `bytes`, which were found possible before.
    pub(crate) fn size_of(&self, bytes: usize) -> usize {
        let default = self.pools[0].stack_size();
        if bytes == 0 { default } else { size_for(bytes).unwrap_or(default) }
    }

    /// Whether [`Stacks::give_back`] has something to do.
    #[inline]
    pub(crate) fn has_surplus(&self) -> bool {
        self.pools.iter().any(Pool::has_surplus)
    }

    /// Gives back the memory of at most `max` surplus stacks of each size.
    pub(crate) fn give_back(&mut self, max: usize) {
        for pool in self.pools.iter_mut().filter(|pool| pool.has_surplus()) {
            pool.give_back(max);
        }
    }

    /// How often a slab came or went so far: if this has not changed, neither has [`Stacks::slabs`].
    pub(crate) fn changes(&self) -> u64 {
        self.pools.iter().map(Pool::changes).sum()
    }

    /// Where the slabs are.
    pub(crate) fn slabs(&self) -> Vec<Range<usize>> {
        self.pools.iter().flat_map(Pool::slabs).collect()
    }

    /// Bytes of the free stacks that keep their memory.
    pub(crate) fn cached(&self) -> usize {
        self.pools.iter().map(Pool::cached).sum()
    }

    /// Bytes of every guard, rounded up to pages.
    pub(crate) fn guard_size(&self) -> usize {
        self.pools[0].guard_size()
    }
}
