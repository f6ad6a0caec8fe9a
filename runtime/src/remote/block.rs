//! Memory for records, and what a worker keeps of it for the next ones.
//!
//! Owns memory by layout. Does not know what a record is, except that none is of size zero.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Memory for one record.
#[derive(Debug)]
pub(crate) struct Block {
    /// The memory.
    memory: NonNull<u8>,
    /// Of this layout.
    layout: Layout,
}

impl Block {
    pub(crate) fn allocate(layout: Layout) -> Block {
        // SAFETY: a record is not of size zero.
        let memory = NonNull::new(unsafe { alloc(layout) });
        Block { memory: memory.unwrap_or_else(|| handle_alloc_error(layout)), layout }
    }

    /// Memory of this layout from [`Block::into_memory`], of which nothing is used any more.
    ///
    /// # Safety
    ///
    /// It is that, and the caller's.
    pub(crate) unsafe fn from_memory(memory: NonNull<u8>, layout: Layout) -> Block {
        Block { memory, layout }
    }

    /// The memory, which is then the caller's to give back.
    pub(crate) fn into_memory(self) -> NonNull<u8> {
        let memory = self.memory;
        std::mem::forget(self);
        memory
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody has it any more.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

/// How many blocks of one size are kept.
const KEPT: usize = 1024;

/// The largest size kept, in steps of 16 bytes.
const STEPS: usize = 20;

/// Memory of records that ended, kept by a worker for the next ones.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// By size, in steps of 16 bytes; alignment 8.
    kept: [Vec<NonNull<u8>>; STEPS],
}

impl Blocks {
    /// A block of this layout, if there is one.
    #[inline]
    pub(crate) fn take(&mut self, layout: Layout) -> Option<Block> {
        let memory = self.fitting(layout)?.pop()?;
        Some(Block { memory, layout })
    }

    /// Keeps a block, if there is room.
    #[inline]
    pub(crate) fn keep(&mut self, block: Block) {
        if let Some(fitting) = self.fitting(block.layout).filter(|fitting| fitting.len() < KEPT) {
            fitting.push(block.into_memory());
        }
    }

    /// Those of one layout, if it is one that is kept.
    #[inline]
    fn fitting(&mut self, layout: Layout) -> Option<&mut Vec<NonNull<u8>>> {
        if layout.align() == 8 { self.kept.get_mut(layout.size() / 16) } else { None }
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for (step, kept) in self.kept.iter_mut().enumerate() {
            for memory in kept.drain(..) {
                let layout = Layout::from_size_align(step * 16 + 8, 8).expect("it was one when it was allocated");
                drop(Block { memory, layout });
            }
        }
    }
}
