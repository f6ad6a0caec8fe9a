//! What a coroutine can be given at its birth.

#![allow(unsafe_code)]

use super::{JoinHandle, LocalJoinHandle};
use crate::remote::{Origin, RecordRef};
use crate::spawned::{Output, Spawned};
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
        current::with_coroutine(|worker| place(worker, self.origin(worker, spawned_at)?, f))
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
            let (record, handle) = make(Some(worker), origin, boxed);
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
    current::with_coroutine(|worker| {
        let origin = Origin { id: fresh_id(worker), name: None, stack_size: 0, spawned_at };
        place(worker, origin, f)
    })
}

#[inline]
fn place<F, T>(worker: Option<&Worker>, origin: Origin, f: F) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    if size_of::<F>() > LARGEST_MOVED {
        let boxed: Box<dyn FnOnce() -> T + Send> = Box::new(f);
        queue(worker, make(worker, origin, boxed))
    } else {
        queue(worker, make(worker, origin, f))
    }
}

#[inline]
fn queue<T>(worker: Option<&Worker>, (record, handle): (RecordRef, JoinHandle<T>)) -> io::Result<JoinHandle<T>> {
    runtime::spawn(worker, record)?;
    Ok(handle)
}

/// A record and the handle to it.
#[inline]
fn make<F, T>(worker: Option<&Worker>, origin: Origin, f: F) -> (RecordRef, JoinHandle<T>)
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    let (queued, held) =
        RecordRef::new(origin, Spawned::new(f), |layout| worker?.blocks.borrow_mut().take(layout)).double();
    // SAFETY: the body is of this type, and there is no other handle.
    (queued, unsafe { JoinHandle::new(held, Output::of::<F, T>()) })
}
