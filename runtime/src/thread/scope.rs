//! Coroutines that borrow: a scope outlives all it has spawned, in every way in which it can end.
//!
//! Invariant 1: `scope` returns or unwinds only after `Children::wait`; it is refused where that could not wait.

#![allow(unsafe_code)]

use super::children::{Children, Verdict};
use super::{Builder, JoinHandle, Thread};
use crate::cancel::{self, Point};
use crate::joining::Ending;
use crate::{current, park};
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;

/// A scope to spawn coroutines in that borrow. See [`scope`].
pub struct Scope<'scope, 'env: 'scope> {
    /// What the coroutines have in common.
    children: Arc<Children>,
    /// Whose scope it is.
    main: Thread,
    /// Neither longer nor shorter than it is: a longer one could be left early, in a shorter one a borrow could end.
    scope: PhantomData<&'scope mut &'scope ()>,
    /// As above.
    env: PhantomData<&'env mut &'env ()>,
}

/// The owned right to wait for a coroutine of a scope. Dropped, it leaves the waiting to the scope.
pub struct ScopedJoinHandle<'scope, T> {
    /// The coroutine.
    handle: JoinHandle<T>,
    /// Who counts what was not taken.
    children: Arc<Children>,
    /// No longer than the scope.
    scope: PhantomData<&'scope ()>,
}

/// Calls `f` with a scope, in which coroutines can be spawned that borrow from outside of it, and waits for all of them.
///
/// It waits however it ends: when `f` returns, and when `f` or a coroutine panics. From a plain thread, the coroutines run on
/// the default runtime's background workers; from a coroutine, on the workers of its runtime, as those of
/// [`spawn`](super::spawn).
///
/// # Panics
///
/// Panics where `f` does, and with the message "a scoped thread panicked" if a coroutine panicked, or could not be started
/// for want of a stack, and nobody joined it. Panics inside [`no_park`](super::no_park) before it calls `f`, whatever that
/// would spawn.
///
/// # Cancellation
///
/// The wait for the coroutines is not left before they have ended. A scope whose coroutine is cancelled while it waits, or
/// in `f`, cancels all that it has spawned, and waits on. So does one inside a [`timeout`](crate::time::timeout) that is over. Afterwards it unwinds if the cancel has cut one short that nobody
/// joined: what it was to do is not done. If all of them came to their ends, the scope returns, and the next cancellation
/// point unwinds.
///
/// A coroutine that was cancelled for itself, by [`ScopedJoinHandle::cancel`], has not panicked: the scope returns.
///
/// One that does not end within the grace of a shutdown is leaked, and with it the scope it borrows from, which never ends. The
/// frames it borrows from stay for ever, so those that run on, behind a worker that is left running, find them; not so a value
/// of std's `thread_local!`, which ends with the worker's thread although a leaked coroutine is inside of its `with`: none is to be
/// lent to another coroutine across a shutdown. [`dormouse::thread_local!`](crate::thread_local) keeps what was leaked.
///
/// # Blocking
///
/// Parks a coroutine until all have ended; blocks a plain thread.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{run, thread};
///
/// let mut words = vec!["one", "two"];
/// let mut count = 0;
/// run(|| {
///     thread::scope(|s| {
///         s.spawn(|| words.push("three"));
///         s.spawn(|| count += 1);
///     });
///     words.push("four");
/// });
/// assert_eq!((words.len(), count), (4, 1));
/// ```
///
/// What is borrowed must live longer than the scope:
///
/// ```compile_fail,E0373
/// use dormouse_runtime::thread;
///
/// thread::scope(|s| {
///     let inside = String::from("ends with the closure");
///     s.spawn(|| println!("{inside}"));
/// });
/// ```
///
/// ```compile_fail,E0505
/// use dormouse_runtime::thread;
///
/// let text = String::from("lent");
/// thread::scope(|s| {
///     s.spawn(|| println!("{text}"));
///     drop(text);
/// });
/// ```
///
/// One coroutine at a time may change it:
///
/// ```compile_fail,E0499
/// use dormouse_runtime::thread;
///
/// let mut count = 0;
/// thread::scope(|s| {
///     s.spawn(|| count += 1);
///     s.spawn(|| count += 1);
/// });
/// ```
///
/// What is not `Send` does not go to another worker:
///
/// ```compile_fail,E0277
/// use dormouse_runtime::thread;
/// use std::rc::Rc;
///
/// let shared = Rc::new(0);
/// thread::scope(|s| {
///     s.spawn(|| println!("{shared}"));
/// });
/// ```
///
/// Neither the scope nor a handle can be taken out of it:
///
/// ```compile_fail
/// use dormouse_runtime::thread;
///
/// let mut outside = None;
/// thread::scope(|s| outside = Some(s.spawn(|| 1)));
/// ```
///
/// ```compile_fail
/// use dormouse_runtime::thread;
///
/// let scope = thread::scope(|s| s);
/// ```
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    with_children(Children::new(false), f)
}

/// As [`scope`], but the coroutines stand or fall together: if one panics, the others are cancelled, and those to come.
///
/// The scope then panics as [`scope`] does, once all have ended. So no failure is waited out by others that wait for what will
/// never come. The closure itself is not interrupted; where it would wait for long, it spawns what waits.
///
/// # Panics
///
/// As [`scope`]. In a program built with panic=abort, where nothing can unwind, a panic ends the process first.
///
/// # Cancellation
///
/// As [`scope`]. A coroutine that was cancelled, for itself or with its scope, has not panicked, and cancels nobody.
///
/// # Blocking
///
/// As [`scope`].
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{run, thread};
/// use std::panic::catch_unwind;
///
/// run(|| {
///     let failed = catch_unwind(|| {
///         thread::nursery(|s| {
///             // Would never end by itself.
///             s.spawn(thread::park);
///             s.spawn(|| panic!("fails"));
///         })
///     });
///     assert!(failed.is_err());
/// });
/// ```
#[track_caller]
pub fn nursery<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    with_children(Children::new(true), f)
}

#[track_caller]
fn with_children<'env, F, T>(children: Children, f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    current::with_coroutine(|worker| {
        if worker.is_some() {
            park::check(Point::Shielded).expect("nothing strikes there");
        }
    });
    let scope = Scope { children: Arc::new(children), main: super::current(), scope: PhantomData, env: PhantomData };
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    let cut = result.as_ref().is_err_and(|payload| cancel::is_own(&**payload));
    let cancelled = scope.children.wait(cut, result.is_err());
    let value = result.unwrap_or_else(|payload| resume_unwind(payload));
    match scope.children.verdict() {
        Verdict::Panicked => panic!("a scoped thread panicked"),
        Verdict::Cut => go_on(cancelled, value),
        Verdict::Complete => value,
    }
}

/// A child was cut short: whatever has done that to the scope, if it was that, goes on here.
#[cold]
fn go_on<T>(cancelled: bool, value: T) -> T {
    if cancelled && !cancel::asks_for_errors() {
        // Others of this worker may be unwinding meanwhile, but not this one.
        drop(value);
        cancel::throw();
    }
    cancel::check();
    value
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Starts a coroutine in the scope.
    ///
    /// The coroutine may spawn others in the same scope, for which it is given a reference to it.
    ///
    /// # Panics
    ///
    /// Panics if the runtime is shutting down or, from a plain thread, cannot start; [`Builder::spawn_scoped`] answers an
    /// error.
    ///
    /// # Blocking
    ///
    /// Never.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        Builder::new().spawn_scoped(self, f).expect("failed to spawn a coroutine")
    }

    /// Starts a coroutine in the scope, on the worker of the calling coroutine: for one that shares sockets with it, which
    /// would be registered with two pollers by turns otherwise. From a plain thread as [`Scope::spawn`].
    ///
    /// # Errors
    ///
    /// Those of [`Builder::spawn`].
    ///
    /// # Blocking
    ///
    /// Never.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::{run, thread};
    ///
    /// run(|| {
    ///     let here = std::thread::current().id();
    ///     let there = thread::scope(|s| s.spawn_here(|| std::thread::current().id()).unwrap().join().unwrap());
    ///     assert_eq!(here, there);
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_here<F, T>(&'scope self, f: F) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let children = Arc::clone(&self.children);
        let builder = Builder::new();
        // SAFETY: as in `spawn_scoped`.
        let handle = unsafe { builder.spawn_here_before(|| children.admit(), Location::caller(), f) }?;
        Ok(ScopedJoinHandle::new(handle, children))
    }

    /// Asks all coroutines of the scope to end, those to come as well, and waits for none. The scope itself goes on: it returns
    /// once they have ended. Never blocks.
    ///
    /// # Panics
    ///
    /// Panics in a program built with panic=abort, where nothing can unwind.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::{run, thread};
    ///
    /// let first = run(|| {
    ///     thread::scope(|s| {
    ///         let quick = s.spawn(|| 1);
    ///         s.spawn(|| {
    ///             thread::park();
    ///             2
    ///         });
    ///         let first = quick.join().unwrap();
    ///         s.cancel();
    ///         first
    ///     })
    /// });
    /// assert_eq!(first, 1);
    /// ```
    pub fn cancel(&self) {
        super::handle::refuse_abort();
        self.children.cancel();
    }
}

impl Builder {
    /// Starts the coroutine in a scope, as [`Scope::spawn`].
    ///
    /// # Errors
    ///
    /// Those of [`Builder::spawn`].
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::{run, thread};
    ///
    /// run(|| {
    ///     let lent = String::from("borrowed");
    ///     thread::scope(|s| {
    ///         let named = thread::Builder::new().name("reader".into());
    ///         let reader = named.spawn_scoped(s, || lent.len()).unwrap();
    ///         assert_eq!(reader.thread().name(), Some("reader"));
    ///         assert_eq!(reader.join().unwrap(), 8);
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let children = Arc::clone(&scope.children);
        // SAFETY: invariant 1: the scope waits for the end that its member is told of, and what is borrowed outlives `'scope`.
        let handle = unsafe { self.spawn_before(|| children.admit(), Location::caller(), f) }?;
        Ok(ScopedJoinHandle::new(handle, children))
    }
}

impl<'scope, T> ScopedJoinHandle<'scope, T> {
    /// For a child that was admitted: it is cancelled if the scope was meanwhile.
    fn new(handle: JoinHandle<T>, children: Arc<Children>) -> Self {
        if children.is_cancelled() {
            handle.cancel();
        }
        ScopedJoinHandle { handle, children, scope: PhantomData }
    }

    /// The coroutine itself, to unpark it or to read its name.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        self.handle.thread()
    }

    /// Waits for the coroutine to end and gives its result, as [`JoinHandle::join`].
    ///
    /// # Errors
    ///
    /// Those of [`JoinHandle::join`]. The scope does not panic for a failure that was taken by this.
    ///
    /// # Blocking
    ///
    /// Parks the calling coroutine; a cancellation point. Blocks a plain thread.
    pub fn join(mut self) -> super::Result<T> {
        let result = match self.handle.await_end() {
            Ending::Done => self.handle.take(),
            // It has not failed yet. If it ever does, the scope sees to that, which waits for it.
            Ending::Lost => return Err(cancel::payload()),
            Ending::Struck => return Err(Box::new(cancel::value())),
        };
        if let Err(payload) = &result {
            self.children.forgive(&**payload);
        }
        result
    }

    /// Whether the coroutine has ended. Never blocks.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Asks the coroutine to end, as [`JoinHandle::cancel`].
    ///
    /// # Panics
    ///
    /// Panics in a program built with panic=abort, where nothing can unwind.
    pub fn cancel(&self) {
        self.handle.cancel();
    }
}

impl std::fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope")
            .field("num_running_threads", &self.children.living())
            .field("a_thread_panicked", &(self.children.verdict() == Verdict::Panicked))
            .field("main_thread", &self.main)
            .finish_non_exhaustive()
    }
}

impl<T> std::fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScopedJoinHandle").finish_non_exhaustive()
    }
}
