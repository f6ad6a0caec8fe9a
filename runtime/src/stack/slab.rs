//! Slab: many stacks in one mapping.
//!
//! Owns the mapping, its division into places, the guard of each place, and which places are out. Must never know in what
//! order stacks are reused, nor when memory is given back: that is the pool's.
//!
//! Invariants:
//! 1. `start` is aligned to the stack size, and `start .. start + places * size` is mapped while the slab lives; also
//!    after it, if a stack is still out.
//! 2. Places below `fresh` have their guard; the others were never handed out.
//! 3. A bit of `cold` is set exactly for a place below `fresh` of which no [`Stack`] exists.
//! 4. `cold_count` is the number of bits set in `cold`.

use std::io;
use std::ops::Range;

use super::{Extent, Stack};
use crate::sys::mmap;

/// The first slab of a pool holds this many stacks, each later one twice as many as the one before.
pub(super) const FIRST_PLACES: usize = 16;

/// No slab holds more stacks than this ...
const MOST_PLACES: usize = 1_024;

/// ... nor more bytes than this, unless one stack does.
const MOST_BYTES: usize = 64 << 20;

/// How the lowest pages of a stack are made to stop an overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum GuardKind {
    /// By MADV_GUARD_INSTALL, which takes no mapping; by mprotect(2) in a slab where the kernel refuses that (before
    /// Linux 6.13, and under mlockall).
    #[default]
    Auto,
    /// By mprotect(2). Two mappings for each stack, so that vm.max_map_count caps a process near 32,000 stacks.
    Mprotect,
}

/// A guard's size and kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    /// Bytes: whole pages, at least one, less than half of the stack.
    size: usize,
    /// How the next place is guarded.
    kind: GuardKind,
}

impl Guard {
    /// A guard of at least `bytes` for stacks of `stack_size`.
    ///
    /// # Errors
    /// `InvalidInput` if that is half of the stack or more.
    pub(super) fn new(bytes: usize, kind: GuardKind, stack_size: usize) -> io::Result<Guard> {
        let size = bytes.max(1).checked_next_multiple_of(mmap::page_size());
        match size.filter(|size| *size < stack_size / 2) {
            Some(size) => Ok(Guard { size, kind }),
            None => {
                let message = format!("a guard of {bytes} bytes takes half or more of a stack of {stack_size}");
                Err(io::Error::new(io::ErrorKind::InvalidInput, message))
            }
        }
    }

    pub(super) fn size(self) -> usize {
        self.size
    }
}

/// Many stacks of one size in one mapping.
#[derive(Debug)]
pub(super) struct Slab {
    /// Address of the lowest place.
    start: usize,
    /// Bytes of one stack.
    size: usize,
    /// How many stacks fit.
    places: usize,
    /// How a fresh place is guarded; the kind becomes `Mprotect` for good once the kernel has refused the other.
    guard: Guard,
    /// The first place never handed out.
    fresh: usize,
    /// One bit for each place that was handed out and came back.
    cold: Box<[u64]>,
    /// How many they are.
    cold_count: usize,
}

impl Slab {
    /// Maps a slab for `places` stacks of `size` bytes, or for fewer if there is no room: at least for one.
    ///
    /// # Errors
    /// No room for one stack; the message says which limit was hit.
    pub(super) fn map(size: usize, places: usize, guard: Guard) -> io::Result<Slab> {
        let mut places = places.min(MOST_PLACES).min(MOST_BYTES / size).max(1);
        loop {
            match map_aligned(places * size, size) {
                Ok(start) => return Ok(Slab::new(start, size, places, guard)),
                Err(error) if places == 1 => return Err(explain_map(error, size)),
                Err(_) => places /= 2,
            }
        }
    }

    fn new(start: usize, size: usize, places: usize, guard: Guard) -> Slab {
        let _ = mmap::refuse_huge_pages(start..start + places * size);
        let cold = vec![0; places.div_ceil(64)].into_boxed_slice();
        Slab { start, size, places, guard, fresh: 0, cold, cold_count: 0 }
    }

    /// The addresses of all its stacks.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.places * self.size
    }

    pub(super) fn places(&self) -> usize {
        self.places
    }

    /// How many stacks exist that were handed out by this slab.
    pub(super) fn out(&self) -> usize {
        self.fresh - self.cold_count
    }

    pub(super) fn has_room(&self) -> bool {
        self.out() < self.places
    }

    /// Whether a place is to be had which is guarded already.
    pub(super) fn has_cold(&self) -> bool {
        self.cold_count > 0
    }

    /// Hands out the lowest place that came back, else the lowest fresh one, else `None`.
    ///
    /// # Errors
    /// A fresh place could not be guarded; it stays fresh.
    pub(super) fn take(&mut self) -> io::Result<Option<Stack>> {
        let place = match self.take_cold() {
            Some(place) => place,
            None if self.fresh < self.places => self.take_fresh()?,
            None => return Ok(None),
        };
        let extent = Extent::of_place(self.start + place * self.size, self.size);
        // SAFETY: stack/mod.rs 2 and 3: the place is mapped (1), guarded (2), and was not out before (2, 3).
        Ok(Some(unsafe { Stack::claim(extent) }))
    }

    fn take_cold(&mut self) -> Option<usize> {
        let word = self.cold.iter().position(|word| *word != 0)?;
        let bit = self.cold[word].trailing_zeros() as usize;
        self.cold[word] &= self.cold[word] - 1;
        self.cold_count -= 1;
        Some(word * 64 + bit)
    }

    fn take_fresh(&mut self) -> io::Result<usize> {
        let limit = self.start + self.fresh * self.size;
        self.install_guard(limit..limit + self.guard.size)?;
        self.fresh += 1;
        Ok(self.fresh - 1)
    }

    fn install_guard(&mut self, pages: Range<usize>) -> io::Result<()> {
        if self.guard.kind == GuardKind::Auto {
            // SAFETY: mapped by (1); the pages are of a fresh place, which nobody uses (2).
            if unsafe { mmap::install_guard(pages.clone()) }.is_ok() {
                return Ok(());
            }
            self.guard.kind = GuardKind::Mprotect;
        }
        // SAFETY: as above.
        unsafe { mmap::forbid(pages) }.map_err(explain_guard)
    }

    /// Takes back a stack handed out by this slab.
    pub(super) fn put_back(&mut self, stack: Stack) {
        debug_assert!(self.range().contains(&stack.limit()) && stack.size() == self.size);
        let place = (stack.limit() - self.start) / self.size;
        debug_assert!(place < self.fresh && self.cold[place / 64] >> (place % 64) & 1 == 0);
        self.cold[place / 64] |= 1 << (place % 64);
        self.cold_count += 1;
    }
}

/// Unmaps the slab, unless a stack is still out: then its memory stays for good. Where the kernel refuses (at the limit
/// of mappings, in the middle of one) address space is lost, and nothing else.
impl Drop for Slab {
    fn drop(&mut self) {
        if self.out() == 0 {
            // SAFETY: mapped by (1), and no stack is out.
            let _ = unsafe { mmap::unmap(self.range()) };
        }
    }
}

/// Maps `bytes` at a multiple of `alignment`. Slabs of one size mostly come to lie side by side, aligned by themselves.
fn map_aligned(bytes: usize, alignment: usize) -> io::Result<usize> {
    let start = mmap::map(bytes)?;
    if start.is_multiple_of(alignment) {
        return Ok(start);
    }
    // SAFETY: mapped above, and nobody else knows of it.
    unsafe { mmap::unmap(start..start + bytes) }?;
    let wide = bytes + alignment - mmap::page_size();
    let start = mmap::map(wide)?;
    let aligned = start.next_multiple_of(alignment);
    trim_excess(start..aligned)?;
    trim_excess(aligned + bytes..start + wide)?;
    Ok(aligned)
}

fn trim_excess(range: Range<usize>) -> io::Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    // SAFETY: part of a mapping just made, which nobody uses.
    unsafe { mmap::unmap(range) }
}

#[cold]
fn explain_map(error: io::Error, bytes: usize) -> io::Error {
    if error.kind() != io::ErrorKind::OutOfMemory {
        return error;
    }
    if at_mapping_limit() {
        return mapping_limit("map a coroutine stack", &error);
    }
    let message = format!(
        "cannot map {bytes} bytes for a coroutine stack: no address space left (see `ulimit -v`), or over the overcommit \
         limit (see /proc/sys/vm/overcommit_memory): {error}"
    );
    io::Error::new(error.kind(), message)
}

/// mprotect(2) of pages that are mapped says ENOMEM only when it cannot split a mapping.
#[cold]
fn explain_guard(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::OutOfMemory => mapping_limit("guard a coroutine stack", &error),
        _ => error,
    }
}

/// Whether not even one page can be mapped.
fn at_mapping_limit() -> bool {
    let page = mmap::page_size();
    // SAFETY: mapped just now, and nobody else knows of it.
    mmap::map(page).and_then(|start| unsafe { mmap::unmap(start..start + page) }).is_err()
}

fn mapping_limit(what: &str, error: &io::Error) -> io::Error {
    let count = mmap::max_map_count().unwrap_or(65_530);
    let message = format!(
        "cannot {what}: the process has as many memory mappings as it may, vm.max_map_count = {count}; a guard set by \
         mprotect takes two; raise it with `sysctl -w vm.max_map_count={}`: {error}",
        2 * count
    );
    io::Error::new(error.kind(), message)
}
