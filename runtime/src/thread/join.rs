//! The owned right to wait for a coroutine's end.

#![allow(unsafe_code)]

use super::handle::Thread;
use crate::cancel;
use crate::current;
use crate::joining::Ending;
use crate::remote::RecordRef;
use crate::spawned::Output;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

/// The right to wait for a coroutine and take its result. Dropped, it detaches the coroutine, which runs on.
///
/// It is also a future, by which async code awaits the coroutine; see [its `poll`](#method.poll).
///
/// # Examples
///
/// ```
/// let answer = dormouse_runtime::run(|| dormouse_runtime::spawn(|| 6 * 7).join().unwrap());
/// assert_eq!(answer, 42);
/// ```
pub struct JoinHandle<T> {
    /// The coroutine; taken only when dropped.
    thread: ManuallyDrop<Thread>,
    /// What can be done with it; `None` once the result was taken.
    output: Option<&'static Output>,
    /// What it gives. A handle may go anywhere: the result's own bounds were asked for at the spawn.
    result: PhantomData<fn() -> T>,
}

impl<T> JoinHandle<T> {
    /// # Safety
    ///
    /// `output` is the table of the record's body, whose closure gives a `T`, and there is no other handle.
    pub(crate) unsafe fn new(record: RecordRef, output: &'static Output) -> JoinHandle<T> {
        let thread = ManuallyDrop::new(Thread::of_coroutine(record));
        JoinHandle { thread, output: Some(output), result: PhantomData }
    }

    /// Waits for the coroutine to end and gives its result.
    ///
    /// # Errors
    ///
    /// The payload of the panic that ended it; [`Cancelled`](crate::Cancelled) if it was cancelled or its runtime ended
    /// first; an [`io::Error`](std::io::Error) if it never started because there was no stack for it. Inside
    /// [`as_errors`](crate::cancel::as_errors) also [`Cancelled`](crate::Cancelled) if the caller was: the coroutine is then
    /// detached.
    ///
    /// # Blocking
    ///
    /// Parks the calling coroutine; a cancellation point. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics inside `no_park`, unless the coroutine has ended.
    #[inline(always)]
    pub fn join(mut self) -> thread::Result<T> {
        match self.await_end() {
            Ending::Done => self.take(),
            Ending::Lost => Err(cancel::payload()),
            Ending::Struck => Err(Box::new(cancel::value())),
        }
    }

    /// Waits for the end. One that is lost although it has not ended may end some day.
    #[inline(always)]
    pub(super) fn await_end(&mut self) -> Ending {
        let (output, record) = self.parts().expect("joined once: it takes the handle");
        // SAFETY: the type is right by the contract of `new`; the caller is the holder, and is answered once.
        let ending = unsafe { output.await_end(record) };
        if ending == Ending::Lost {
            self.lose();
        }
        ending
    }

    /// Takes the result of one that is done.
    #[inline(always)]
    pub(super) fn take(&mut self) -> thread::Result<T> {
        let (output, record) = self.parts().expect("taken once");
        // SAFETY: the type is right by the contract of `new`; whoever calls this was told that it is done.
        let result = unsafe { output.take(record) };
        self.output = None;
        result
    }

    /// There is no result to take: nothing is left for the Drop but counts, and that of the runner stays the runner's.
    #[cold]
    fn lose(&mut self) {
        if let Some(record) = self.thread.record() {
            // In place of that one.
            std::mem::forget(record.clone());
        }
        self.output = None;
    }

    /// The table and its record, unless the result was taken.
    #[inline]
    fn parts(&self) -> Option<(&'static Output, &RecordRef)> {
        self.output.zip(self.thread.record())
    }

    /// Whether the coroutine has ended. Never blocks.
    pub fn is_finished(&self) -> bool {
        // SAFETY: the type is right by the contract of `new`.
        self.parts().is_none_or(|(output, record)| unsafe { output.is_finished(record) })
    }

    /// Asks the coroutine to end, and does not wait for it: its next cancellation point (every documented park) unwinds
    /// its stack, destructors run, and `join` answers [`Cancelled`](crate::Cancelled). One that has not started drops its
    /// closure; one that has ended, or ends by itself first, is as if never asked. Never blocks; may be called from any
    /// thread.
    ///
    /// # Panics
    ///
    /// Panics in a program built with panic=abort, where nothing can unwind.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::{Cancelled, run, thread};
    ///
    /// run(|| {
    ///     let waiting = thread::spawn(thread::park);
    ///     waiting.cancel();
    ///     assert!(waiting.join().unwrap_err().is::<Cancelled>());
    /// });
    /// ```
    pub fn cancel(&self) {
        self.thread.cancel();
    }

    /// The coroutine itself, to unpark it or to read its name.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        &self.thread
    }
}

/// Async code awaits a coroutine as a thread joins one: the output is what [`join`](JoinHandle::join) gives.
///
/// Any executor may poll it, on any thread. When the coroutine ends it wakes the waker of the last poll; what that panics with
/// goes no further than the panic hook.
///
/// # Panics
///
/// `poll` panics after it has given the result.
///
/// # Blocking
///
/// Never, but for what the waker does. Inside a coroutine, [`block_on`](crate::block_on) polls it.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{block_on, run, spawn};
///
/// run(|| {
///     let (left, right) = (spawn(|| 6), spawn(|| 7));
///     let product = block_on(async { left.await.unwrap() * right.await.unwrap() });
///     assert_eq!(product, 42);
/// });
/// ```
impl<T> Future for JoinHandle<T> {
    type Output = thread::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (output, record) = self.parts().expect("a JoinHandle was polled after it had given its result");
        // SAFETY: the type is right by the contract of `new`; the caller is the holder, and after the result there are no parts.
        let polled = unsafe { output.poll_end(record, context.waker()) };
        polled.map(|ending| match ending {
            Ending::Done => self.take(),
            Ending::Lost => {
                self.lose();
                Err(cancel::payload())
            }
            Ending::Struck => unreachable!("a poll does not wait"),
        })
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        // SAFETY: the type is right by the contract of `new`; the caller is the holder, and this is the end of it.
        let finished = self.parts().is_none_or(|(output, record)| unsafe { output.detach(record) });
        // SAFETY: nobody uses it after this.
        let Some(record) = (unsafe { self.thread.take_record() }) else {
            return;
        };
        // SAFETY: finished: the result was taken, by `join` or just now, or there is a count in place of that (`lose`).
        let last = if finished { unsafe { record.release_with_runners() } } else { record.release() };
        if let Some(block) = last {
            current::keep_block(block);
        }
    }
}

impl<T> std::fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// The [`JoinHandle`] of a coroutine made by [`spawn_local`](crate::spawn_local). It stays on its thread:
///
/// ```compile_fail
/// fn send<T: Send>() {}
/// send::<dormouse_runtime::thread::LocalJoinHandle<()>>();
/// ```
#[derive(Debug)]
pub struct LocalJoinHandle<T> {
    /// What it would be if it could be sent.
    handle: JoinHandle<T>,
    /// The result may be of this thread only.
    stays: PhantomData<*mut ()>,
}

impl<T> LocalJoinHandle<T> {
    pub(crate) fn new(handle: JoinHandle<T>) -> LocalJoinHandle<T> {
        LocalJoinHandle { handle, stays: PhantomData }
    }

    /// As [`JoinHandle::join`].
    ///
    /// # Errors
    ///
    /// Those of [`JoinHandle::join`].
    #[inline(always)]
    pub fn join(self) -> thread::Result<T> {
        self.handle.join()
    }

    /// As [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// As [`JoinHandle::cancel`].
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// As [`JoinHandle::thread`].
    pub fn thread(&self) -> &Thread {
        self.handle.thread()
    }
}
