//! What a coroutine can be given at its birth.

#![allow(unsafe_code)]

use super::{JoinHandle, LocalJoinHandle};
use crate::fleet::Fleet;
use crate::remote::{Origin, RecordRef};
use crate::spawned::{Audience, Output, Spawned};
use crate::worker::Worker;
use crate::{current, remote, runtime, stack};
use std::io;
use std::panic::Location;

/// Closures larger than this stay on the heap while they run, so that any size fits any stack.
const LARGEST_MOVED: usize = 512;

/// Configures a coroutine before it starts, as `std::thread::Builder`.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{run, thread};
///
/// run(|| {
///     let handle = thread::Builder::new().name("ticker".into()).stack_size(128 * 1024);
///     let name = handle.spawn(|| thread::current().name().map(String::from)).unwrap();
///     assert_eq!(name.join().unwrap().as_deref(), Some("ticker"));
/// });
/// ```
#[derive(Debug, Default)]
#[must_use = "must eventually spawn the coroutine"]
pub struct Builder {
    /// The name to be.
    name: Option<String>,
    /// Bytes of stack; `None` for the worker's default.
    stack_size: Option<usize>,
}

impl Builder {
    /// A coroutine without a name, on a stack of the runtime's default size.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names it, for messages and for [`Thread::name`](super::Thread::name).
    pub fn name(mut self, name: String) -> Builder {
        self.name = Some(name);
        self
    }

    /// Reserves at least `bytes` of stack; rounded up to a power of two, 16 KiB to 128 MiB.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Starts the coroutine, as [`spawn`](super::spawn).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a stack above 128 MiB, or not above twice the guard; `Other` if the runtime is shutting down; from a plain thread, whatever
    /// kept the default runtime from starting.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let spawned_at = Location::caller();
        // SAFETY: neither borrows anything.
        unsafe { self.spawn_before(|| (), spawned_at, f) }
    }

    /// As [`Builder::spawn`], for closures and results that borrow.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::spawn`].
    ///
    /// # Safety
    ///
    /// What they borrow outlives the coroutine. One that does not end within the grace of a shutdown is leaked, and its join
    /// answers all the same: whatever it lent to others of what it borrows, they may still use.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::{run, thread};
    ///
    /// run(|| {
    ///     let text = String::from("lent");
    ///     // SAFETY: joined before `text` ends; neither parks, so nothing unwinds this in between.
    ///     let length = unsafe { thread::Builder::new().spawn_unchecked(|| text.len()) }.unwrap();
    ///     assert_eq!(length.join().unwrap(), 4);
    /// });
    /// ```
    #[track_caller]
    pub unsafe fn spawn_unchecked<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        // SAFETY: the caller's word.
        unsafe { self.spawn_before(|| (), Location::caller(), f) }
    }

    /// Starts a coroutine of whose end `audience` is told, which is asked for once nothing is wrong with the rest.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::spawn`]; the audience, if there is one then, was told of the end already.
    ///
    /// # Safety
    ///
    /// What the closure and its result borrow outlives that end.
    pub(super) unsafe fn spawn_before<F, T, A>(
        self,
        audience: impl FnOnce() -> A,
        spawned_at: &'static Location<'static>,
        f: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send,
        T: Send,
        A: Audience,
    {
        // SAFETY: the caller's word.
        unsafe { start(|worker| self.origin(worker, spawned_at), audience, f) }
    }

    /// As [`Builder::spawn_before`], on the worker of the calling coroutine if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::spawn_before`].
    ///
    /// # Safety
    ///
    /// As [`Builder::spawn_before`].
    pub(super) unsafe fn spawn_here_before<F, T, A>(
        self,
        audience: impl FnOnce() -> A,
        spawned_at: &'static Location<'static>,
        f: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send,
        T: Send,
        A: Audience,
    {
        if !current::with_coroutine(|worker| worker.is_some()) {
            // SAFETY: the caller's word.
            return unsafe { self.spawn_before(audience, spawned_at, f) };
        }
        current::with_coroutine(|worker| {
            let worker = worker.expect("it was seen just now");
            let origin = self.origin(Some(worker), spawned_at)?;
            runtime::may_spawn(worker)?;
            let boxed: Box<dyn FnOnce() -> T + Send + '_> = Box::new(f);
            // SAFETY: the caller's word.
            let (record, handle) = unsafe { make(Some(worker), origin, boxed, audience()) };
            worker.spawn_local(record);
            Ok(handle)
        })
    }

    /// Starts the coroutine on the runtime of `fleet`.
    ///
    /// # Errors
    ///
    /// Those of [`Builder::spawn`].
    pub(crate) fn spawn_into<F, T>(
        self,
        fleet: &Fleet,
        spawned_at: &'static Location<'static>,
        f: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let own = |worker: &&Worker| std::ptr::eq(&*worker.fleet, fleet);
        if current::with_coroutine(|worker| worker.as_ref().is_some_and(own)) {
            // SAFETY: neither borrows anything.
            return unsafe { self.spawn_before(|| (), spawned_at, f) };
        }
        let origin = self.origin(None, spawned_at)?;
        let boxed: Box<dyn FnOnce() -> T + Send> = Box::new(f);
        // SAFETY: as above.
        let (record, handle) = unsafe { make(None, origin, boxed, ()) };
        runtime::spawn_into(fleet, record)?;
        Ok(handle)
    }

    /// Starts the coroutine on this worker, as [`spawn_local`](super::spawn_local).
    ///
    /// # Errors
    ///
    /// Those of [`Builder::spawn`].
    ///
    /// # Panics
    ///
    /// Panics outside a coroutine.
    #[track_caller]
    pub fn spawn_local<F, T>(self, f: F) -> io::Result<LocalJoinHandle<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let spawned_at = Location::caller();
        current::with_coroutine(|worker| {
            let origin = self.origin(worker, spawned_at)?;
            let worker = worker.expect("spawn_local was called outside a coroutine");
            runtime::may_spawn(worker)?;
            let boxed: Box<dyn FnOnce() -> T> = Box::new(f);
            // SAFETY: neither borrows anything.
            let (record, handle) = unsafe { make(Some(worker), origin, boxed, ()) };
            worker.spawn_local(record);
            Ok(LocalJoinHandle::new(handle))
        })
    }

    fn origin(self, worker: Option<&Worker>, spawned_at: &'static Location<'static>) -> io::Result<Origin> {
        let guard_size = worker.map_or(0, |worker| worker.guard_size);
        let stack_size = self.stack_size.map_or(Ok(0), |bytes| stack::size_for_guarded(bytes, guard_size))?;
        Ok(Origin { id: fresh_id(worker), name: self.name, stack_size: stack_size as u32, spawned_at })
    }
}

/// An identity never given before, if possible from those that the worker has in reserve.
#[inline]
fn fresh_id(worker: Option<&Worker>) -> u64 {
    worker.map_or_else(remote::fresh_id, Worker::fresh_id)
}

/// A coroutine without a name, on a stack of the default size: what `spawn` makes, by the shortest way.
#[inline]
pub(super) fn spawn_plain<F, T>(f: F, spawned_at: &'static Location<'static>) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let plain = |worker: Option<&Worker>| Origin { id: fresh_id(worker), name: None, stack_size: 0, spawned_at };
    // SAFETY: neither borrows anything.
    unsafe { start(|worker| Ok(plain(worker)), || (), f) }
}

/// Starts a coroutine. A large closure is put on the heap before it is moved any further.
///
/// # Safety
///
/// As [`Builder::spawn_before`].
#[inline]
unsafe fn start<F, T, A>(
    origin: impl FnOnce(Option<&Worker>) -> io::Result<Origin>,
    audience: impl FnOnce() -> A,
    f: F,
) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send,
    T: Send,
    A: Audience,
{
    if size_of::<F>() > LARGEST_MOVED {
        let boxed: Box<dyn FnOnce() -> T + Send + '_> = Box::new(f);
        // SAFETY: the caller's word.
        unsafe { start_small(origin, audience, boxed) }
    } else {
        // SAFETY: the caller's word.
        unsafe { start_small(origin, audience, f) }
    }
}

/// # Safety
///
/// As [`Builder::spawn_before`].
#[inline]
unsafe fn start_small<F, T, A>(
    origin: impl FnOnce(Option<&Worker>) -> io::Result<Origin>,
    audience: impl FnOnce() -> A,
    f: F,
) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send,
    T: Send,
    A: Audience,
{
    current::with_coroutine(|worker| {
        let origin = origin(worker)?;
        // SAFETY: the caller's word.
        queue(worker, unsafe { make(worker, origin, f, audience()) })
    })
}

#[inline]
fn queue<T>(worker: Option<&Worker>, (record, handle): (RecordRef, JoinHandle<T>)) -> io::Result<JoinHandle<T>> {
    runtime::spawn(worker, record)?;
    Ok(handle)
}

/// A record and the handle to it.
///
/// # Safety
///
/// As [`Builder::spawn_before`].
#[inline]
unsafe fn make<F, T, A>(worker: Option<&Worker>, origin: Origin, f: F, audience: A) -> (RecordRef, JoinHandle<T>)
where
    F: FnOnce() -> T,
    A: Audience,
{
    let (body, kept) = (Spawned::new(f, audience), |layout| worker?.blocks.borrow_mut().take(layout));
    // SAFETY: what is left of the body after the end needs no borrow: an empty stage, or a result that nobody will take or drop.
    let (queued, held) = unsafe { RecordRef::new_borrowing(origin, body, kept) }.double();
    // SAFETY: the body is of this type.
    unsafe { queued.body::<Spawned<F, T, A>>() }.begins(&queued);
    // SAFETY: as above, and there is no other handle.
    (queued, unsafe { JoinHandle::new(held, Output::of::<F, T, A>()) })
}
