//! Asking the cache for memory that will be needed soon.
//!
//! Owns the one instruction. Among thousands of busy coroutines everything that belongs to one has left the cache when its
//! turn comes; who is next is known, so it can come back while another runs.

#![allow(unsafe_code)]

/// Bytes of a cache line.
const LINE: usize = 64;

/// Has the cache fetch the lines of `bytes` bytes from `address` on. Any address will do; wrong ones are ignored.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn prefetch(address: usize, bytes: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    for line in (address..address.saturating_add(bytes)).step_by(LINE) {
        // SAFETY: a hint, which faults nowhere.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(line)) };
    }
}

/// Elsewhere there is no stable way to ask.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn prefetch(_address: usize, _bytes: usize) {}
