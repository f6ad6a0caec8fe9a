//! The corosensei seam: create, resume, suspend, and where the stack pointer is on the way.
//!
//! Owns the one place where control changes stacks. Knows nothing of slots, workers or why somebody suspends.
//!
//! Invariant 1: a coroutine is resumed only by the thread that created it (but those of `panic_count.rs`, on which no user's code
//! runs), and `Suspender::suspend` is called only while the coroutine runs. That may be on a stack of the user's own, to which safe code has switched from the coroutine's:
//! it comes back to where it was all the same.
//! Invariant 2: a coroutine that has started and not finished is never dropped, since corosensei would then force an
//! unwind, and a Drop that suspends under it aborts the process. It is resumed to its end or leaked.

#![allow(unsafe_code)]

use crate::stack::Stack;
use corosensei::{CoroutineResult, Yielder};
use std::cell::Cell;
use std::mem::ManuallyDrop;

/// Whether stacks can be unwound in this program.
pub(crate) const CAN_UNWIND: bool = cfg!(panic = "unwind");

/// What corosensei gives a coroutine to suspend with.
type CoYielder = Yielder<*const Cell<Suspender>, ()>;

/// A stack and the code that runs on it, which gives an `R` at its end.
pub(crate) struct Coroutine<R: 'static> {
    /// Dropped only when finished (invariant 2).
    inner: ManuallyDrop<corosensei::Coroutine<*const Cell<Suspender>, (), R, Stack>>,
}

impl<R: 'static> Coroutine<R> {
    /// Puts `body` on `stack`; it runs at the first resume and must not unwind.
    pub(crate) fn new(stack: Stack, body: impl FnOnce() -> R + 'static) -> Coroutine<R> {
        let entry = move |yielder: &CoYielder, way_back: *const Cell<Suspender>| {
            // SAFETY: alive by the contract of `resume`.
            unsafe { &*way_back }.set(Suspender(yielder));
            body()
        };
        Coroutine { inner: ManuallyDrop::new(corosensei::Coroutine::with_stack(stack, entry)) }
    }

    /// Runs until the next suspension, or until the end, which gives something. The first time, `way_back` is set to the
    /// coroutine's suspender before anything else.
    ///
    /// # Safety
    ///
    /// `way_back` is alive until this returns.
    #[inline(always)]
    pub(crate) unsafe fn resume(&mut self, way_back: *const Cell<Suspender>) -> Option<R> {
        match self.inner.resume(way_back) {
            CoroutineResult::Yield(()) => None,
            CoroutineResult::Return(result) => Some(result),
        }
    }

    /// Takes the stack back from a finished coroutine.
    ///
    /// # Panics
    ///
    /// Panics if it is not finished.
    pub(crate) fn into_stack(mut self) -> Stack {
        assert!(self.inner.done(), "a coroutine that has not finished keeps its stack");
        // SAFETY: `self` is consumed, so nobody uses `inner` again.
        let inner = unsafe { ManuallyDrop::take(&mut self.inner) };
        inner.into_stack()
    }
}

impl<R> std::fmt::Debug for Coroutine<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coroutine").finish_non_exhaustive()
    }
}

/// The way back from a coroutine to whoever resumed it. Lives at the top of the coroutine's stack, at one address for
/// the coroutine's whole life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suspender(*const CoYielder);

impl Suspender {
    /// Before the first run there is none.
    pub(crate) const NONE: Suspender = Suspender(std::ptr::null());

    /// Gives control back until the next resume.
    ///
    /// Inlined, as everything between the user's call and this is: the processor predicts returns by a stack of its own, and
    /// each frame that is left on another coroutine's turn than it was entered costs a wrong guess.
    ///
    /// # Safety
    ///
    /// The caller is the coroutine that this suspender was given to.
    #[inline(always)]
    pub(crate) unsafe fn suspend(self) {
        // SAFETY: the yielder lives on the stack of the coroutine that runs, by the contract above.
        let yielder = unsafe { &*self.0 };
        yielder.suspend(());
    }
}

/// The stack pointer, about: whatever the calling frame needs while it is suspended lies above it, but for the some hundred
/// bytes of `stack::trim_each`'s margin.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn stack_mark() -> usize {
    let pointer: usize;
    // SAFETY: copies a register.
    unsafe { std::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}

/// As above.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(crate) fn stack_mark() -> usize {
    let pointer: usize;
    // SAFETY: copies a register.
    unsafe { std::arch::asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}

/// As above, by the address of a callee's local.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline(never)]
pub(crate) fn stack_mark() -> usize {
    let here = 0u8;
    std::hint::black_box(&raw const here) as usize
}
