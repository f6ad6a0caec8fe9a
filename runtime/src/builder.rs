//! What a runtime can be given before it starts.

use crate::runtime::{self, Settings};
use crate::stack::GuardKind;
use std::io;
use std::time::Duration;

/// Configures a runtime and runs it.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{Builder, thread};
///
/// let answer = Builder::new()
///     .workers(2)
///     .stack_size(32 * 1024)
///     .run(|| thread::spawn(|| 42).join().unwrap())?;
/// assert_eq!(answer, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "must eventually run"]
pub struct Builder {
    /// What was chosen so far.
    settings: Settings,
}

impl Builder {
    /// One worker, 64 KiB stacks (256 KiB with debug assertions), a 1 MiB main stack, guards of one page, five seconds
    /// for shutdown.
    pub fn new() -> Builder {
        Builder { settings: Settings::default() }
    }

    /// How many OS threads run coroutines. The thread that calls [`run`](Builder::run) is the first of them.
    pub fn workers(mut self, count: usize) -> Builder {
        self.settings.workers = Some(count);
        self
    }

    /// Bytes of stack reserved for each coroutine that asks for no size of its own; rounded up to a power of two, 16 KiB
    /// to 128 MiB. Reserved is not resident: memory comes by use, a page at a time.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.settings.stacks.stack_size = bytes;
        self
    }

    /// Bytes of stack reserved for the first coroutine, which runs the closure given to [`run`](Builder::run).
    pub fn main_stack_size(mut self, bytes: usize) -> Builder {
        self.settings.main_stack_size = bytes;
        self
    }

    /// Bytes below each stack that stop an overflow; rounded up to pages, less than half a stack. C code compiled without
    /// stack probes can jump over a small guard.
    pub fn guard_size(mut self, bytes: usize) -> Builder {
        self.settings.stacks.guard_size = bytes;
        self
    }

    /// Guards stacks by mprotect(2) even where the kernel has MADV_GUARD_INSTALL (Linux 6.13). That costs two mappings a
    /// stack, so that `vm.max_map_count` caps the process near 32,000 stacks.
    pub fn guard_by_mprotect(mut self, forced: bool) -> Builder {
        self.settings.stacks.guard_kind = if forced { GuardKind::Mprotect } else { GuardKind::Auto };
        self
    }

    /// Names the worker threads `prefix-1`, `prefix-2` and so on; the calling thread keeps its name.
    pub fn name_prefix(mut self, prefix: impl Into<String>) -> Builder {
        self.settings.name_prefix = prefix.into();
        self
    }

    /// How long the end of [`run`](Builder::run) waits for coroutines that do not end although they are cancelled. What
    /// is left then is leaked with its stack and named on standard error.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Builder {
        self.settings.shutdown_timeout = timeout;
        self
    }

    /// Starts the workers and runs `f` as the first coroutine on the calling thread. When `f` has returned, every
    /// coroutine left is cancelled, its destructors run, and all threads, descriptors and stacks are given back.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for no worker or an impossible size; EMFILE, ENFILE, ENOMEM or EAGAIN from opening a poller, mapping
    /// a stack or starting a thread. `f` then was not called.
    ///
    /// # Panics
    ///
    /// Panics inside another `run`, and where `f` does, after the same orderly end.
    ///
    /// # Blocking
    ///
    /// Blocks the calling thread until the end.
    #[track_caller]
    pub fn run<F, T>(self, f: F) -> io::Result<T>
    where
        F: FnOnce() -> T,
    {
        runtime::run(&self.settings, f)
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

/// Runs `f` as the first coroutine of a runtime on the calling thread.
///
/// The calling thread becomes worker 0. `f` need be neither `Send` nor `'static`; it runs on a 1 MiB stack. When it has
/// returned, every coroutine left is cancelled: it unwinds from where it is parked and its destructors run. [`Builder`]
/// has more workers and other sizes.
///
/// # Panics
///
/// Panics inside another `run`, if the runtime cannot start ([`Builder::run`] answers an error instead), and where `f`
/// does, after the same orderly end.
///
/// # Blocking
///
/// Blocks the calling thread until the end.
///
/// # Examples
///
/// ```
/// let mut greeting = String::from("hello");
/// dormouse_runtime::run(|| greeting.push_str(", dormouse"));
/// assert_eq!(greeting, "hello, dormouse");
/// ```
#[track_caller]
pub fn run<F, T>(f: F) -> T
where
    F: FnOnce() -> T,
{
    Builder::new().run(f).expect("the runtime cannot start")
}
