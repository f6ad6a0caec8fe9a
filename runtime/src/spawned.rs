//! A spawned closure, and later its result, between the coroutine and whoever joins it.
//!
//! Owns the stage (closure, nothing, result), the join word, and the order of the end: the closure is done, then the values in
//! coroutine-local storage are dropped, then the join is answered, then the audience is told. Does not know queues or workers.
//!
//! Invariant 1: until the join word says `Done`, only the owner worker touches the stage; from then on only the party whose
//! the result is, as `join_word.rs` says.
//! Invariant 2: the closure and the result are dropped by whom the user expects: the coroutine, or the holder of the
//! handle; never by whoever happens to drop the last reference, which may be another thread. A forgotten handle leaks
//! its result.
//! Invariant 3: the audience is told of the end once nothing of the closure and its result is left with the coroutine, nor
//! ever will be; never of one that is leaked, whose frames are still there to be borrowed from.

#![allow(unsafe_code)]

use crate::cancel;
use crate::current;
use crate::join_word::{Finished, JoinWord};
use crate::joining::{self, Ending};
use crate::park;
use crate::remote::{Body, Leftover, Record, RecordRef, Start};
use crate::task::Task;
use crate::waiter::Waiter;
use std::any::Any;
use std::cell::UnsafeCell;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::task::{Poll, Waker};
use std::thread;

/// What there is of the closure and the result.
enum Stage<F, T> {
    /// Not yet run.
    Closure(F),
    /// Running, or taken.
    Empty,
    /// Finished.
    Result(thread::Result<T>),
}

/// Who is told of a coroutine's end, beside whoever joins it. Nobody, mostly.
pub(crate) trait Audience: Send + Sync {
    /// It is about to be queued.
    fn begins(&self, record: &RecordRef);

    /// It failed so; said before anybody can take the payload.
    fn failed(&self, payload: &(dyn Any + Send));

    /// It has ended (invariant 3).
    fn ended(&self);
}

impl Audience for () {
    fn begins(&self, _record: &RecordRef) {}

    fn failed(&self, _payload: &(dyn Any + Send)) {}

    fn ended(&self) {}
}

/// The body of a coroutine.
pub(crate) struct Spawned<F, T, A = ()> {
    /// See invariants 1 and 2.
    stage: UnsafeCell<ManuallyDrop<Stage<F, T>>>,
    /// Whose the stage is, and who waits.
    join: JoinWord<Waiter, Task>,
    /// See invariant 3. Taken out by the runner at the end, when the body may go.
    audience: ManuallyDrop<A>,
}

// SAFETY: invariant 1 lets one thread at a time touch the stage, and invariant 2 lets it be the one that may: a `Send`
// closure and result go between threads; others are made for `spawn_local` and `run`, whose handles do not leave the
// owner's thread.
unsafe impl<F, T, A: Audience> Send for Spawned<F, T, A> {}
// SAFETY: as above.
unsafe impl<F, T, A: Audience> Sync for Spawned<F, T, A> {}

impl<F: FnOnce() -> T, T, A: Audience> Spawned<F, T, A> {
    pub(crate) fn new(closure: F, audience: A) -> Spawned<F, T, A> {
        Spawned {
            stage: UnsafeCell::new(ManuallyDrop::new(Stage::Closure(closure))),
            join: JoinWord::new(),
            audience: ManuallyDrop::new(audience),
        }
    }

    /// Spawner only, before the record is queued.
    #[inline]
    pub(crate) fn begins(&self, record: &RecordRef) {
        self.audience.begins(record);
    }

    /// Takes what is in the stage.
    ///
    /// # Safety
    ///
    /// The caller is the one whom invariant 1 allows.
    unsafe fn take(&self) -> Stage<F, T> {
        // SAFETY: invariant 1, by the caller's word.
        let stage = unsafe { &mut *self.stage.get() };
        std::mem::replace(&mut **stage, Stage::Empty)
    }

    /// Leaves the result for whoever joins, or drops it here if nobody can, and gives the audience. If the result is left, `this`
    /// may be gone on return. `record` is that of the coroutine that calls this, if one does.
    ///
    /// # Safety
    ///
    /// As for [`Body::run`].
    unsafe fn finish(this: *const Self, record: Option<NonNull<Record>>, result: thread::Result<T>) -> (Leftover, A) {
        // SAFETY: alive, by the caller's word; only the runner uses the audience, and takes it here, once.
        let audience = ManuallyDrop::into_inner(unsafe { std::ptr::read(&raw const (*this).audience) });
        if let Err(payload) = &result {
            audience.failed(&**payload);
        }
        // SAFETY: invariant 1; the join word does not say `DONE` yet.
        let stage = unsafe { &mut *(*this).stage.get() };
        **stage = Stage::Result(result);
        // SAFETY: alive as above.
        let join = unsafe { &raw const (*this).join };
        // SAFETY: the caller is the runner.
        let left = match unsafe { JoinWord::finish(join) } {
            Finished::Held => Leftover::Nothing,
            Finished::Awaited(waiter) => {
                waiter.wake();
                Leftover::Nothing
            }
            Finished::Polled => {
                // SAFETY: the word says that a task waits; `record` is the word's.
                unsafe { wake_task(join, record) };
                Leftover::Nothing
            }
            Finished::Detached => {
                // SAFETY: invariant 1; there is no holder, so the stage is still ours.
                drop_result(unsafe { (*this).take() });
                Leftover::Count
            }
        };
        (left, audience)
    }
}

/// `record` is the caller's own, if it is a coroutine: it is kept for as long as code of the user's runs, which may ask who runs.
///
/// # Safety
///
/// As for [`JoinWord::finish_task`], and the record is that whose word it is.
#[cold]
unsafe fn wake_task(join: *const JoinWord<Waiter, Task>, record: Option<NonNull<Record>>) {
    // SAFETY: alive until the word says `DONE`, which it does not yet.
    let kept = record.map(|record| unsafe { RecordRef::another(record) });
    // SAFETY: the caller's word.
    unsafe { JoinWord::finish_task(join) }.wake();
    if let Some(record) = kept {
        // Those that the waker used: it finds no old ones.
        drop_used_locals(&record);
    }
}

/// Drops a closure that will not be called; gives the payload if that panics.
fn drop_closure<F>(closure: F) -> Option<Box<dyn Any + Send>> {
    park::shielded(|| catch_unwind(AssertUnwindSafe(|| drop(closure)))).err()
}

/// Nobody asked for the result. As in std, a panic in its Drop has nowhere to go.
fn drop_result<F, T>(result: Stage<F, T>) {
    if park::shielded(|| catch_unwind(AssertUnwindSafe(|| drop(result)))).is_err() {
        eprintln!("dormouse: the result of a coroutine panicked when dropped, aborting");
        std::process::abort();
    }
}

#[inline]
fn drop_used_locals(record: &Record) {
    if record.locals() != 0 {
        drop_locals();
    }
}

/// Drops what the running coroutine has in coroutine-local storage, the last made first; values made meanwhile, too. As in
/// std, a panic in such a Drop has nowhere to go.
#[cold]
fn drop_locals() {
    if park::shielded(|| catch_unwind(drop_each_local)).is_err() {
        eprintln!("dormouse: a thread local panicked on drop, aborting");
        std::process::abort();
    }
}

fn drop_each_local() {
    while let Some(doomed) = current::with_coroutine(|worker| worker?.doom_local()) {
        // SAFETY: references last for a `with` at most. Those of the closure are over, and so are those of other values' Drops.
        unsafe { doomed.drop() };
    }
    current::with_coroutine(|worker| {
        if let Some(worker) = worker {
            // SAFETY: as above.
            unsafe { worker.free_locals() };
        }
    });
}

impl<F: FnOnce() -> T, T, A: Audience> Body for Spawned<F, T, A> {
    unsafe fn run(this: *const Self, record: NonNull<Record>, start: Start) -> Leftover {
        // SAFETY: invariant 1; the owner calls this, once, before the coroutine has finished.
        let Stage::Closure(closure) = (unsafe { (*this).take() }) else {
            return Leftover::Count;
        };
        let result = match start {
            Start::Run => catch_unwind(AssertUnwindSafe(closure)),
            Start::Drop => Err(drop_closure(closure).unwrap_or_else(cancel::payload)),
            Start::Refuse(error) => Err(drop_closure(closure).unwrap_or_else(|| Box::new(error))),
        };
        // SAFETY: alive, by the caller's word.
        drop_used_locals(unsafe { record.as_ref() });
        // SAFETY: the caller's word.
        let (left, audience) = unsafe { Self::finish(this, Some(record), result) };
        if left == Leftover::Count {
            // Those that the Drop of a result used that nobody joins: it finds no old ones.
            // SAFETY: alive by that count.
            drop_used_locals(unsafe { record.as_ref() });
        }
        audience.ended();
        left
    }

    unsafe fn lose(this: *const Self) -> Leftover {
        // SAFETY: alive, by the caller's word; so is one that has ended and waits in what it does after that (the Drop of a
        // result, a waker), of which its stack, leaked, has a count.
        if unsafe { &(*this).join }.has_ended() {
            return Leftover::Nothing;
        }
        // SAFETY: invariant 1; the coroutine has not finished and will not run, so its place is the caller's.
        let stage = unsafe { (*this).take() };
        let started = matches!(stage, Stage::Empty);
        let lost = Err(drop_closure(stage).unwrap_or_else(cancel::payload));
        // SAFETY: the caller's word.
        let (left, audience) = unsafe { Self::finish(this, None, lost) };
        if started {
            std::mem::forget(audience);
        } else {
            audience.ended();
        }
        left
    }
}

/// What a handle can do with a body whose closure's type it does not know. One table serves handles of every result type,
/// so that a handle is small and asks nothing of its type.
pub(crate) struct Output {
    /// The join word.
    word: unsafe fn(&RecordRef) -> NonNull<JoinWord<Waiter, Task>>,
    /// [`Spawned::take_result`]; writes a `thread::Result<T>` to the address given.
    take: unsafe fn(&RecordRef, *mut ()),
    /// [`Spawned::detach`].
    detach: unsafe fn(&RecordRef) -> bool,
}

impl Output {
    /// For records made with such a closure.
    pub(crate) fn of<F: FnOnce() -> T, T, A: Audience>() -> &'static Output {
        const {
            &Output {
                // SAFETY: the word of whoever calls the methods below, for all three.
                word: |record| NonNull::from(&unsafe { record.body::<Spawned<F, T, A>>() }.join),
                // SAFETY: as above.
                take: |record, result| unsafe {
                    result.cast::<thread::Result<T>>().write(record.body::<Spawned<F, T, A>>().take_result())
                },
                // SAFETY: as above.
                detach: |record| unsafe { record.body::<Spawned<F, T, A>>() }.detach(record),
            }
        }
    }

    /// Blocks until the coroutine has finished.
    ///
    /// # Safety
    ///
    /// This is the table of the record's body; the caller is the holder, and calls neither this nor `poll_end` nor `detach` after
    /// it was told of an end or a loss.
    #[inline(always)]
    pub(crate) unsafe fn await_end(&self, record: &RecordRef) -> Ending {
        // SAFETY: the caller's word.
        let word = unsafe { self.word(record) };
        // SAFETY: as above.
        unsafe { joining::await_end(word, record) }
    }

    /// Asks whether the coroutine has finished; else has `waker` woken when it has, in place of an earlier one.
    ///
    /// # Safety
    ///
    /// As for [`Output::await_end`].
    pub(crate) unsafe fn poll_end(&self, record: &RecordRef, waker: &Waker) -> Poll<Ending> {
        // SAFETY: the caller's word.
        let word = unsafe { self.word(record) };
        // SAFETY: as above.
        unsafe { joining::poll_end(word, record, waker) }
    }

    /// Takes the result.
    ///
    /// # Safety
    ///
    /// As for [`Output::await_end`]; its closure gives a `T`, it is [done](Ending::Done), and this is called once.
    #[inline(always)]
    pub(crate) unsafe fn take<T>(&self, record: &RecordRef) -> thread::Result<T> {
        let mut result = MaybeUninit::<thread::Result<T>>::uninit();
        // SAFETY: the caller's word.
        unsafe { (self.take)(record, result.as_mut_ptr().cast()) };
        // SAFETY: it returned, so it has written.
        unsafe { result.assume_init() }
    }

    /// # Safety
    ///
    /// This is the table of the record's body.
    #[inline]
    unsafe fn word<'a>(&self, record: &'a RecordRef) -> &'a JoinWord<Waiter, Task> {
        // SAFETY: the caller's word.
        let word = unsafe { (self.word)(record) };
        // SAFETY: a part of the body, which lives as long as the record.
        unsafe { word.as_ref() }
    }

    /// Whether it has finished, or never will.
    ///
    /// # Safety
    ///
    /// This is the table of the record's body.
    pub(crate) unsafe fn is_finished(&self, record: &RecordRef) -> bool {
        // SAFETY: the caller's word.
        unsafe { self.word(record) }.is_done() || joining::is_lost(record)
    }

    /// See [`Spawned::detach`].
    ///
    /// # Safety
    ///
    /// This is the table of the record's body.
    pub(crate) unsafe fn detach(&self, record: &RecordRef) -> bool {
        // SAFETY: the caller's word.
        unsafe { (self.detach)(record) }
    }
}

impl<F: FnOnce() -> T, T, A: Audience> Spawned<F, T, A> {
    /// Takes the result.
    ///
    /// # Safety
    ///
    /// It is done, and the holder is the caller, who does so once.
    pub(crate) unsafe fn take_result(&self) -> thread::Result<T> {
        // SAFETY: invariant 1, by the caller's word.
        match unsafe { self.take() } {
            Stage::Result(result) => result,
            Stage::Closure(_) | Stage::Empty => unreachable!("done without a result"),
        }
    }

    /// The handle is dropped without a join. `true` if the result came first: it is dropped, and the runner's count is the
    /// caller's as after a join.
    fn detach(&self, record: &Record) -> bool {
        // SAFETY: the holder calls this.
        let finished = unsafe { self.join.detach(|| record.is_inherited()) };
        if finished {
            // SAFETY: invariant 1; it is done, and the holder is the caller.
            drop_result(unsafe { self.take() });
        }
        finished
    }
}

#[cfg(all(test, not(dormouse_loom)))]
mod tests {
    use super::*;
    use crate::remote::Origin;
    use crate::waiter::Wait;
    use std::panic::Location;

    fn origin() -> Origin {
        Origin { id: 7, spawned_at: Location::caller(), name: None, stack_size: 0 }
    }

    /// A record as the runner and as the holder have it.
    fn made<F: FnOnce() -> T + 'static, T: 'static>(f: F) -> (RecordRef, RecordRef, &'static Output) {
        let (runner, held) = RecordRef::new(origin(), Spawned::new(f, ()), |_| None).double();
        (runner, held, Output::of::<F, T, ()>())
    }

    /// What `Worker::end` does.
    fn run_and_end(runner: RecordRef) {
        // SAFETY: the runner, with its count.
        match unsafe { RecordRef::run(runner.as_ptr(), Start::Run) } {
            Leftover::Nothing => std::mem::forget(runner),
            Leftover::Count => drop(runner.release()),
        }
    }

    /// What the Drop of a `JoinHandle` does.
    fn let_go(held: RecordRef, output: &Output) {
        // SAFETY: the holder.
        let finished = unsafe { output.detach(&held) };
        // SAFETY: as in join.rs.
        drop(if finished { unsafe { held.release_with_runners() } } else { held.release() });
    }

    #[test]
    fn a_handle_is_dropped_at_the_end() {
        for _ in 0..8 {
            let (runner, held, output) = made(|| String::from("result"));
            let runs = thread::spawn(move || run_and_end(runner));
            let_go(held, output);
            runs.join().unwrap();
        }
    }

    #[test]
    fn a_join_against_the_end() {
        for _ in 0..8 {
            let (runner, held, output) = made(|| String::from("result"));
            let runs = thread::spawn(move || run_and_end(runner));
            // SAFETY: the holder.
            assert_eq!(unsafe { output.await_end(&held) }, Ending::Done);
            // SAFETY: as above, and the type is right.
            assert_eq!(unsafe { output.take::<String>(&held) }.unwrap(), "result");
            // SAFETY: taken.
            drop(unsafe { held.release_with_runners() });
            runs.join().unwrap();
        }
    }

    /// A join that left its waiter and throws instead of parking.
    #[test]
    fn a_join_that_throws_at_the_end() {
        for _ in 0..8 {
            let (runner, held, output) = made(|| String::from("result"));
            let runs = thread::spawn(move || run_and_end(runner));
            let wait = Wait::begin();
            // SAFETY: the holder.
            let _ = unsafe { output.word(&held).leave(false, || wait.waiter()) };
            let_go(held, output);
            runs.join().unwrap();
        }
    }
}
