//! membarrier(2): a fence that one thread makes for all, so that the others need none. Linux 4.14.
//!
//! Of two threads that each store and then load what the other stores, the one that does so often passes [`light`] in between,
//! which costs nothing, and the other one [`heavy`], a system call that runs a fence on every core where the process runs.
//! At least one of them then sees the other's store, as if both had passed a SeqCst fence.

pub(crate) use imp::{heavy, is_available, light, register};

#[cfg(not(dormouse_loom))]
mod imp {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

    /// From linux/membarrier.h.
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

    /// Miri has no such call.
    const IS_THERE: bool = !cfg!(miri);

    /// Whether the kernel has been told that this process uses it.
    static REGISTERED: AtomicBool = AtomicBool::new(false);

    fn membarrier(command: libc::c_int) -> io::Result<()> {
        // SAFETY: takes no pointers.
        let result = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Makes it available, where the kernel has it and nothing forbids it. In a process of several threads the first call may
    /// take as long as an RCU grace period, some ten milliseconds.
    pub(crate) fn register() {
        if IS_THERE && !is_available() && membarrier(REGISTER_PRIVATE_EXPEDITED).is_ok() {
            // ORDERING: Relaxed; the kernel's own registration is what counts.
            REGISTERED.store(true, Ordering::Relaxed);
        }
    }

    /// Whether [`heavy`] may be called.
    pub(crate) fn is_available() -> bool {
        // ORDERING: Relaxed; as in `register`.
        REGISTERED.load(Ordering::Relaxed)
    }

    /// The side that is passed often.
    #[inline(always)]
    pub(crate) fn light() {
        // ORDERING: SeqCst, for the compiler; the processor's fence comes with `heavy`.
        compiler_fence(Ordering::SeqCst);
    }

    /// The side that is passed rarely. Fails only if a filter forbids what it allowed before.
    pub(crate) fn heavy() -> io::Result<()> {
        match fence_all() {
            // A child of a fork may have to say again that it uses it.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                membarrier(REGISTER_PRIVATE_EXPEDITED)?;
                fence_all()
            }
            fenced => fenced,
        }
    }

    fn fence_all() -> io::Result<()> {
        loop {
            match membarrier(PRIVATE_EXPEDITED) {
                // For a moment there was no memory for a set of processors.
                Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => std::thread::yield_now(),
                fenced => return fenced,
            }
        }
    }
}

/// In models both sides are the fence that they stand for.
#[cfg(dormouse_loom)]
mod imp {
    use loom::sync::atomic::{Ordering, fence};
    use std::io;

    pub(crate) fn register() {}

    pub(crate) fn is_available() -> bool {
        true
    }

    pub(crate) fn light() {
        // ORDERING: SeqCst; pairs with `heavy`.
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy() -> io::Result<()> {
        // ORDERING: SeqCst; pairs with `light`.
        fence(Ordering::SeqCst);
        Ok(())
    }
}
