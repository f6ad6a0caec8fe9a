//! Mutual exclusion: a value that one coroutine or thread at a time may touch.
//!
//! Owns [`Mutex`]; its guards are in `guard.rs`, the algorithm is in `mutex_word.rs`.
//!
//! Invariant 1: the value is reached only by way of a guard, which exists while the word is held, by it, or by way of
//! `&mut self`.

#![allow(unsafe_code)]

mod guard;

pub use guard::{MappedMutexGuard, MutexGuard};

use super::mutex_word::MutexWord;
use super::poison::Flag;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{LockResult, TryLockError, TryLockResult};

/// [`std::sync::Mutex`] for coroutines and plain threads: who waits for it parks, and blocks no worker.
///
/// A guard may be held across a park: other coroutines, also of the same worker, wait until it is dropped. As in std a
/// mutex that its own holder locks again never comes free. It takes 8 bytes beside the value, and to lock and to unlock it is
/// one atomic operation each while nobody waits.
///
/// # Poisoning
///
/// As in std: a guard that is dropped by an unwind, of a panic or of a cancellation, poisons the mutex. Only an unwind of
/// the coroutine itself does, though: std's own mutex is also poisoned by a coroutine in whose worker another is suspended in
/// a Drop of its unwind, since std counts panics per OS thread. The reverse is a gap, as std has them too: a coroutine that
/// begins to panic while another of its worker is so suspended leaves the mutex unpoisoned.
///
/// # Fairness
///
/// Waiters queue in order. A mutex that is free can be taken by whoever comes, also before those who wait; but a waiter that
/// was woken and found it taken is the next to hold it. One waiter is woken at a time: those behind a coroutine whose worker is
/// busy wait until it has had its turn there, however often the mutex comes free meanwhile. That is as with std's, where the kernel
/// may leave a woken thread waiting for a processor; but a long run of a coroutine lasts longer than a time slice, if nothing
/// bounds it. Whoever comes meanwhile and finds the mutex free takes it.
///
/// # Examples
///
/// ```
/// use dormouse_runtime::sync::{Arc, Mutex};
/// use dormouse_runtime::{run, thread};
///
/// let counter = Arc::new(Mutex::new(0));
/// run(|| {
///     let handles: Vec<_> = (0..10)
///         .map(|_| {
///             let counter = Arc::clone(&counter);
///             thread::spawn(move || {
///                 let mut count = counter.lock().unwrap();
///                 // The others wait meanwhile, and the worker goes on.
///                 thread::yield_now();
///                 *count += 1;
///             })
///         })
///         .collect();
///     handles.into_iter().for_each(|handle| handle.join().unwrap());
/// });
/// assert_eq!(*counter.lock().unwrap(), 10);
/// ```
///
/// A poisoned one, and what to do about it:
///
/// ```
/// use dormouse_runtime::sync::{Arc, Mutex};
/// use dormouse_runtime::{run, thread};
///
/// let mutex = Arc::new(Mutex::new(0));
/// let other = Arc::clone(&mutex);
/// let joined = run(|| {
///     thread::spawn(move || {
///         let _guard = other.lock().unwrap();
///         panic!("the mutex is poisoned by this");
///     })
///     .join()
/// });
/// assert!(joined.is_err() && mutex.is_poisoned());
/// *mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = 1;
/// mutex.clear_poison();
/// assert_eq!(*mutex.lock().unwrap(), 1);
/// ```
pub struct Mutex<T: ?Sized> {
    /// Who holds it.
    word: MutexWord,
    /// Whether it is poisoned.
    poison: Flag,
    /// What is guarded.
    value: UnsafeCell<T>,
}

const _: () = assert!(size_of::<Mutex<()>>() <= 8);

// SAFETY: invariant 1 makes it one value, which goes with it.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: invariant 1 hands the value to one party at a time, so it need only be `Send`.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

impl<T> Mutex<T> {
    /// A mutex that is free.
    ///
    /// ```
    /// use dormouse_runtime::sync::Mutex;
    ///
    /// static COUNT: Mutex<u32> = Mutex::new(0);
    /// *COUNT.lock().unwrap() += 1;
    /// ```
    #[inline]
    pub const fn new(t: T) -> Mutex<T> {
        Mutex { word: MutexWord::new(), poison: Flag::new(), value: UnsafeCell::new(t) }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the mutex, and gives access to the value until the guard is dropped.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned; the guard is in the error.
    ///
    /// # Blocking
    ///
    /// Parks the coroutine while another holds it; not a cancellation point, also in an unwind. Blocks a plain thread.
    ///
    /// # Panics
    ///
    /// Panics inside `no_park` if it would have to wait.
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.word.lock();
        // SAFETY: taken in the line above.
        unsafe { MutexGuard::new(self) }
    }

    /// Takes the mutex if it is free. Never blocks.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it is held; `Poisoned`, with the guard, if it was free and is poisoned.
    ///
    /// # Examples
    ///
    /// ```
    /// use dormouse_runtime::sync::{Mutex, TryLockError};
    ///
    /// let mutex = Mutex::new(1);
    /// let held = mutex.try_lock().unwrap();
    /// assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    /// # drop(held);
    /// ```
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if self.word.try_lock() {
            // SAFETY: taken in the line above.
            Ok(unsafe { MutexGuard::new(self) }?)
        } else {
            Err(TryLockError::WouldBlock)
        }
    }

    /// Whether it is poisoned. Another party may change that at any time.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poison.get()
    }

    /// Makes it not poisoned: what it guards is in order again.
    #[inline]
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// The value, without locking: nobody else can hold it.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned; the value is in the error.
    pub fn into_inner(self) -> LockResult<T>
    where
        T: Sized,
    {
        self.poison.wrap(self.value.into_inner())
    }

    /// The value, without locking: nobody else can hold it.
    ///
    /// # Errors
    ///
    /// If the mutex is poisoned; the reference is in the error.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.poison.wrap(self.value.get_mut())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(t: T) -> Self {
        Mutex::new(t)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => debug.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => debug.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => debug.field("data", &"<locked>"),
        };
        debug.field("poisoned", &self.poison.get()).finish_non_exhaustive()
    }
}
