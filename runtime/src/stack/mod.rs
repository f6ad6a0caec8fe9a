//! Stacks: the memory a coroutine runs on.
//!
//! Owns what a stack is and where it lies: [`Stack`], the right to run on one; [`Extent`], its addresses; the sizes
//! allowed; high-water mark and trim. `slab.rs` owns the memory, `pool.rs` decides which stack is next. Must never know
//! what runs on a stack, nor who schedules it.
//!
//! ```text
//!   limit                                               base    top = limit + size
//!     | guard |  given back  |  may be resident  | in use | colour |
//! ```
//!
//! Invariants:
//! 1. A stack's size is a power of two of at least [`MIN_SIZE`], and the stack is aligned to its size.
//! 2. The memory from `limit` to `top` stays mapped as long as the [`Stack`] exists, and its lowest pages are a guard.
//! 3. There is one [`Stack`] for each stack handed out. Whoever owns it, or borrows it mutably, knows that no coroutine
//!    has a frame there: a coroutine keeps the [`Stack`] it runs on.
//! 4. Nothing here writes to a stack: memory comes to it by use alone.

#![allow(unsafe_code)]

pub(crate) mod pool;
mod sizes;
mod slab;
#[cfg(test)]
mod tests;

use std::io;
use std::num::NonZeroUsize;
use std::ops::{Deref, Range};

use crate::sys::mmap::{self, Span};

pub(crate) use sizes::{StackSettings, Stacks};
pub(crate) use slab::GuardKind;

/// The smallest stack, in bytes (or four pages, where pages are larger). Less a guard page and the largest colour it has
/// 10 KiB to use.
pub(crate) const MIN_SIZE: usize = 16 << 10;

/// The largest stack, in bytes.
pub(crate) const MAX_SIZE: usize = 128 << 20;

/// The size where nobody asks for another: unoptimised code needs several times as much.
pub(crate) const DEFAULT_SIZE: usize = if cfg!(debug_assertions) { 256 << 10 } else { 64 << 10 };

/// Bytes between two colours: a cache line.
const COLOUR_STEP: usize = 64;

/// Colours are spread over this many bytes below the top. Tops of equal page offset fall in the same cache sets and evict
/// each other at every resume. A wider span spreads better, but takes from the first page, which is to be the only one of
/// an idle coroutine: 2 KiB leave it 2,112 bytes in the worst case. Must be below 4 KiB: a colour stays in the top page.
const COLOUR_SPAN: usize = 1 << 10;

/// Bytes below a saved stack pointer which may still be needed: 128 of red zone, and what the functions between the one
/// that read the pointer and the switch of stacks have pushed: 24 bytes of corosensei 0.3, and 248 unoptimised.
const TRIM_MARGIN: usize = if cfg!(debug_assertions) { 2 << 10 } else { 512 };

/// The low bits of [`Extent`]'s word which are not part of the base: a base is 16-aligned.
const CLASS_MASK: usize = 15;

/// The size of class 0; each class is twice the one before.
const CLASS_UNIT: usize = 4 << 10;

const _: () = assert!(CLASS_UNIT << CLASS_MASK == MAX_SIZE);
const _: () = assert!(COLOUR_SPAN < CLASS_UNIT && COLOUR_STEP > CLASS_MASK);

/// The size of stack that holds `bytes`: the next power of two, at least [`MIN_SIZE`].
///
/// # Errors
/// `InvalidInput` for more than [`MAX_SIZE`].
pub(crate) fn size_for(bytes: usize) -> io::Result<usize> {
    if bytes > MAX_SIZE {
        let message = format!("a stack of {bytes} bytes is larger than the largest possible, {MAX_SIZE}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(bytes.max(MIN_SIZE).max(4 * mmap::page_size()).next_power_of_two())
}

/// As [`size_for`], for a stack that has a guard of `guard_size` bytes.
///
/// # Errors
/// `InvalidInput` also if the guard takes half of it or more.
pub(crate) fn size_for_guarded(bytes: usize, guard_size: usize) -> io::Result<usize> {
    let size = size_for(bytes)?;
    slab::Guard::new(guard_size, GuardKind::Auto, size)?;
    Ok(size)
}

/// Where a stack lies. A copy of the addresses, no right to use them.
///
/// One word, since every connection pays for it: the base, and in its low 4 bits the size class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Extent {
    /// `base | log2(size / 4 KiB)`. The base is in `limit + 1 ..= limit + size`, so that it gives the limit, too.
    word: NonZeroUsize,
}

impl Extent {
    /// The place of `size` bytes from `limit` on. Its colour follows from its address, so that it keeps it for good.
    fn of_place(limit: usize, size: usize) -> Extent {
        debug_assert!(size.is_power_of_two() && (MIN_SIZE..=MAX_SIZE).contains(&size), "{size}");
        debug_assert!(limit != 0 && limit.is_multiple_of(size), "{limit:#x}");
        let colour = (limit / size) % (COLOUR_SPAN / COLOUR_STEP);
        let base = limit + size - colour * COLOUR_STEP;
        let class = (size / CLASS_UNIT).trailing_zeros() as usize;
        let word = NonZeroUsize::new(base | class).expect("a base is not null");
        Extent { word }
    }

    /// The first address a coroutine does not use: it pushes downwards from here.
    #[inline]
    pub(crate) fn base(self) -> usize {
        self.word.get() & !CLASS_MASK
    }

    /// Bytes from limit to top, guard included.
    #[inline]
    pub(crate) fn size(self) -> usize {
        CLASS_UNIT << (self.word.get() & CLASS_MASK)
    }

    /// The lowest address, which is the guard's.
    #[inline]
    pub(crate) fn limit(self) -> usize {
        (self.base() - 1) & !(self.size() - 1)
    }

    /// The first address above the stack; up to one colour above the base.
    #[inline]
    pub(crate) fn top(self) -> usize {
        self.limit() + self.size()
    }

    /// The address in this stack that has these low 32 bits. A stack is aligned to its size, so it has all the others.
    pub(crate) fn address_of(self, low_bits: u32) -> usize {
        self.limit() >> 32 << 32 | low_bits as usize
    }

    /// Whether `address` lies in this stack, guard included. Arithmetic only: for use in a signal handler.
    #[inline]
    pub(crate) fn covers(self, address: usize) -> bool {
        (self.limit()..self.top()).contains(&address)
    }

    /// Whether `address` lies in the lowest `guard_size` bytes ([`pool::Pool::guard_size`]). Arithmetic only.
    #[inline]
    pub(crate) fn guard_covers(self, address: usize, guard_size: usize) -> bool {
        (self.limit()..self.limit() + guard_size).contains(&address)
    }

    /// Bytes from the top down to the lowest page resident: what was used since the memory was last given back, by pages.
    /// A page swapped out does not count. May be called by the coroutine that runs here; costs about 1 us per 64 KiB.
    ///
    /// # Errors
    /// The stack is no longer mapped, or the kernel is short of memory.
    pub(crate) fn high_water(self) -> io::Result<usize> {
        let page = mmap::page_size();
        let mut pages = [0_u8; 256];
        let mut at = self.limit();
        while at < self.top() {
            let count = pages.len().min((self.top() - at) / page);
            mmap::resident(at, &mut pages[..count])?;
            if let Some(first) = pages[..count].iter().position(|page| page & 1 == 1) {
                return Ok(self.top() - at - first * page);
            }
            at += count * page;
        }
        Ok(0)
    }

    /// The whole pages which a coroutine suspended at stack pointer `sp` does not need, guard included (a discard leaves
    /// it in place). Empty if there is none.
    fn below(self, sp: usize) -> Range<usize> {
        debug_assert!(self.covers(sp), "stack pointer {sp:#x} is not in {self:?}");
        let needed = (sp - TRIM_MARGIN) & !(mmap::page_size() - 1);
        self.limit()..needed.max(self.limit())
    }
}

/// The right to run a coroutine on one stack, made by [`pool::Pool::acquire`] and meant to go back by
/// [`pool::Pool::release`]. Dropped elsewhere, its place is leaked and stays mapped for good.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a stack dropped outside its pool is leaked"]
pub(crate) struct Stack {
    /// Where it lies.
    extent: Extent,
}

impl Stack {
    /// # Safety
    /// Invariants 2 and 3 hold for `extent`: mapped for good, guarded, and no other `Stack` is for it.
    unsafe fn claim(extent: Extent) -> Stack {
        Stack { extent }
    }

    /// One that is of no pool, of `size` bytes; for good, since there is nowhere for it to go back to.
    ///
    /// # Errors
    /// As [`pool::Pool::new`] and [`pool::Pool::acquire`].
    pub(crate) fn lone(size: usize) -> io::Result<Stack> {
        let size = size_for(size)?;
        let mut slab = slab::Slab::map(size, 1, slab::Guard::new(1, GuardKind::Auto, size)?)?;
        Ok(slab.take()?.expect("a slab of one has one"))
    }

    /// Its addresses, to be kept by those who do not own it.
    #[inline]
    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }
}

impl Deref for Stack {
    type Target = Extent;

    #[inline]
    fn deref(&self) -> &Extent {
        &self.extent
    }
}

// SAFETY: by invariants 1 and 2 the guard is at the limit, is less than half the stack (slab.rs), and leaves at least
// 4 KiB; base and limit are 16-aligned: the base is a multiple of `COLOUR_STEP`.
unsafe impl corosensei::stack::Stack for Stack {
    #[inline]
    fn base(&self) -> NonZeroUsize {
        // SAFETY: by invariant 2 the base lies above a limit which is mapped, hence not null.
        unsafe { NonZeroUsize::new_unchecked(self.extent.base()) }
    }

    #[inline]
    fn limit(&self) -> NonZeroUsize {
        // SAFETY: by invariant 2 the limit is mapped, hence not null.
        unsafe { NonZeroUsize::new_unchecked(self.extent.limit()) }
    }
}

/// Gives back what lies below the saved stack pointers of suspended coroutines, many stacks in one call: 300 to 500 ns
/// each where there is nothing to give back, about 400 more for each page. Returns how many stacks had whole pages below.
///
/// An error of the kernel (memory locked by mlockall) is not reported: the pages then stay.
///
/// # Safety
/// Each item is the extent of a stack still handed out and a stack pointer read by the coroutine on it on its way to
/// suspending, and none of these coroutines is resumed before this returns. The pointer is that of the frame which
/// suspends: nothing live is more than [`TRIM_MARGIN`] below it. The address of a local will not do in a function that
/// may be inlined into a caller with a large buffer: the local may then lie above that buffer.
pub(crate) unsafe fn trim_each(suspended: impl IntoIterator<Item = (Extent, usize)>) -> usize {
    let ranges = suspended.into_iter().map(|(extent, sp)| extent.below(sp));
    // SAFETY: below a suspended coroutine's stack pointer, less the margin, nothing is live.
    unsafe { discard_ranges(ranges.filter(|range| !range.is_empty())) }
}

/// Bytes of these slabs that are resident: 0.2 us for a stack of 64 KiB with one page in use. A slab that has been unmapped
/// meanwhile counts for nothing; what took its place counts for it.
pub(crate) fn resident(slabs: &[Range<usize>]) -> usize {
    let page = mmap::page_size();
    let mut pages = vec![0_u8; 16 << 10];
    let mut found = 0;
    for slab in slabs {
        for start in slab.clone().step_by(pages.len() * page) {
            let count = pages.len().min((slab.end - start) / page);
            if mmap::resident(start, &mut pages[..count]).is_ok() {
                found += pages[..count].iter().filter(|page| **page & 1 == 1).count();
            }
        }
    }
    found * page
}

/// Gives all memory of `stacks` back, with one range for each run of neighbours: a discard passes over guards.
fn discard_all(stacks: &mut [Stack]) {
    stacks.sort_unstable_by_key(|stack| stack.limit());
    let runs = stacks.chunk_by(|low, high| low.top() == high.limit());
    let ranges = runs.map(|run| run[0].limit()..run[run.len() - 1].top());
    // SAFETY: invariant 3: the stacks are borrowed mutably, so nobody has a frame there.
    unsafe { discard_ranges(ranges) };
}

/// Discards `ranges` by [`mmap::DISCARD_TOGETHER`], and returns how many they were.
///
/// # Safety
/// The ranges are parts of stacks, and nobody needs what they hold.
unsafe fn discard_ranges(ranges: impl Iterator<Item = Range<usize>>) -> usize {
    let mut spans = [Span::EMPTY; mmap::DISCARD_TOGETHER];
    let (mut held, mut total) = (0, 0);
    for range in ranges {
        spans[held] = Span::new(range);
        (held, total) = (held + 1, total + 1);
        if held == spans.len() {
            // SAFETY: the caller's promise is the one asked for. An error leaves memory resident, which is no fault.
            let _ = unsafe { mmap::discard_each(&spans) };
            held = 0;
        }
    }
    // SAFETY: as above.
    let _ = unsafe { mmap::discard_each(&spans[..held]) };
    total
}
