//! Coroutine-local storage, with the names and signatures of `std::thread`.
//!
//! Owns when a value is made, and where it is looked for: with the coroutine if one runs, else with the OS thread. The value of a
//! thread is one of std's own `thread_local!`, so it lives and ends as there. Those of a coroutine are kept by `locals.rs` and
//! dropped by `spawned.rs`.
//!
//! An initialiser may park: each coroutine has a value of its own, so nobody else can see one that is half made, and an
//! initialiser that is unwound, by a panic or a cancel, leaves none.
//!
//! Invariant 1: a key's place is a static of its own, so its address names values of one type only.

#![allow(unsafe_code)]

use crate::current;
use crate::locals::{Found, Key};
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::atomic::AtomicBool;

/// Declares values of which each coroutine, and each plain thread, has its own. As `std::thread_local!`.
///
/// A value is made when it is first used, and dropped at the coroutine's end; see [`LocalKey`](crate::thread::LocalKey).
///
/// # Examples
///
/// ```
/// use dormouse_runtime::{run, thread};
/// use std::cell::{Cell, RefCell};
///
/// dormouse_runtime::thread_local! {
///     static VISITS: Cell<u32> = const { Cell::new(0) };
///     pub static LOG: RefCell<Vec<String>> = RefCell::new(vec!["begun".into()]);
/// }
///
/// run(|| {
///     VISITS.set(5);
///     let other = thread::spawn(|| {
///         LOG.with_borrow_mut(|log| log.push("other".into()));
///         VISITS.replace(1)
///     });
///     assert_eq!(other.join().unwrap(), 0);
///     assert_eq!((VISITS.get(), LOG.with_borrow(Vec::len)), (5, 1));
/// });
/// ```
#[macro_export]
macro_rules! thread_local {
    () => {};
    ($(#[$attribute:meta])* $visible:vis static $name:ident: $t:ty = const $init:block; $($rest:tt)*) => {
        $(#[$attribute])* $visible const $name: $crate::thread::LocalKey<$t> =
            $crate::thread_local!(@key $t, const $init);
        $crate::thread_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visible:vis static $name:ident: $t:ty = const $init:block) => {
        $(#[$attribute])* $visible const $name: $crate::thread::LocalKey<$t> =
            $crate::thread_local!(@key $t, const $init);
    };
    ($(#[$attribute:meta])* $visible:vis static $name:ident: $t:ty = $init:expr; $($rest:tt)*) => {
        $(#[$attribute])* $visible const $name: $crate::thread::LocalKey<$t> = $crate::thread_local!(@key $t, $init);
        $crate::thread_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visible:vis static $name:ident: $t:ty = $init:expr) => {
        $(#[$attribute])* $visible const $name: $crate::thread::LocalKey<$t> = $crate::thread_local!(@key $t, $init);
    };
    (@key $t:ty, const $init:block) => {{
        const __DORMOUSE_INTERNAL_INIT: $t = $init;
        ::std::thread_local! {
            static __DORMOUSE_INTERNAL_THREAD: $t = const { __DORMOUSE_INTERNAL_INIT };
        }
        $crate::thread::LocalKey::new(|| {
            static __DORMOUSE_INTERNAL_PLACE: $crate::thread::local_impl::Place<$t> =
                $crate::thread::local_impl::Place::new(|| __DORMOUSE_INTERNAL_INIT, __DORMOUSE_INTERNAL_THREAD);
            &__DORMOUSE_INTERNAL_PLACE
        })
    }};
    (@key $t:ty, $init:expr) => {{
        fn __dormouse_internal_init() -> $t {
            $init
        }
        ::std::thread_local! {
            static __DORMOUSE_INTERNAL_THREAD: $t = __dormouse_internal_init();
        }
        $crate::thread::LocalKey::new(|| {
            static __DORMOUSE_INTERNAL_PLACE: $crate::thread::local_impl::Place<$t> =
                $crate::thread::local_impl::Place::new(__dormouse_internal_init, __DORMOUSE_INTERNAL_THREAD);
            &__DORMOUSE_INTERNAL_PLACE
        })
    }};
}

/// What is behind a key.
#[derive(Debug)]
pub struct Place<T: 'static> {
    /// Makes a value.
    init: fn() -> T,
    /// The plain thread's own.
    thread: std::thread::LocalKey<T>,
    /// Something that changes, as far as the compiler knows: then no two places are ever merged (invariant 1).
    _distinct: AtomicBool,
}

impl<T: 'static> Place<T> {
    /// For `thread_local!` alone.
    pub const fn new(init: fn() -> T, thread: std::thread::LocalKey<T>) -> Place<T> {
        Place { init, thread, _distinct: AtomicBool::new(false) }
    }
}

/// A key to a value of which each coroutine has its own, and each plain thread. Declared by
/// [`thread_local!`](crate::thread_local).
///
/// A coroutine's value is made when the coroutine first uses it, by an initialiser that may do whatever the coroutine may,
/// and costs an allocation. A coroutine that uses none pays nothing.
///
/// When the coroutine ends, however it does, its values are dropped on its own stack before its
/// [`join`](crate::thread::JoinHandle::join) is answered: the last made first, and a value that is made meanwhile next. There a
/// cancel strikes nowhere, and a socket operation that would wait fails. Using a value that is being dropped, or was, is an
/// [`AccessError`], or a panic where the method answers none, except for types that have nothing to drop. A panic in such a
/// Drop aborts the process. All of this is as in std. The Drop of a result that nobody joins comes later, and
/// finds fresh values. A coroutine that is leaked at the end of its runtime keeps its values for ever.
///
/// Outside of coroutines each OS thread has its own value, which is dropped when the thread ends.
pub struct LocalKey<T: 'static> {
    /// Invariant 1. By a function, since a constant may refer to what changes only from Rust 1.90 on.
    place: fn() -> &'static Place<T>,
}

/// A value was used while it was dropped, or later.
#[non_exhaustive]
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct AccessError;

/// Whose value is to be used.
enum Owner<T> {
    /// The calling coroutine's, which is here.
    Coroutine(NonNull<T>),
    /// The plain thread's.
    Thread,
}

impl<T: 'static> LocalKey<T> {
    /// For `thread_local!` alone.
    #[doc(hidden)]
    pub const fn new(place: fn() -> &'static Place<T>) -> LocalKey<T> {
        LocalKey { place }
    }

    /// Calls `f` with the caller's value, which is made first if there is none.
    ///
    /// # Panics
    ///
    /// Panics if the value is being dropped or was, and where the initialiser or `f` does.
    ///
    /// # Blocking
    ///
    /// What the initialiser and `f` do.
    pub fn with<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.try_with(f).unwrap_or_else(|error| refuse(error))
    }

    /// As [`LocalKey::with`], but without a panic of its own.
    ///
    /// # Errors
    ///
    /// An [`AccessError`] if the value is being dropped or was; then `f` is not called.
    #[inline]
    pub fn try_with<F, R>(&'static self, f: F) -> Result<R, AccessError>
    where
        F: FnOnce(&T) -> R,
    {
        match self.owner((self.place)().init)? {
            // SAFETY: it is there until the coroutine has ended; `f` is called before, and the Drop of the value finds none.
            Owner::Coroutine(value) => Ok(f(unsafe { value.as_ref() })),
            Owner::Thread => (self.place)().thread.try_with(f).map_err(|_| AccessError),
        }
    }

    /// Invariant 1.
    #[inline]
    fn key(&self) -> Key {
        std::ptr::from_ref((self.place)()).addr()
    }

    /// Whose value is to be used. If it is a coroutine's that is not there, it is what `init` makes.
    #[inline]
    fn owner(&self, init: impl FnOnce() -> T) -> Result<Owner<T>, AccessError> {
        // SAFETY: invariant 1.
        match current::with_coroutine(|worker| worker.map(|worker| unsafe { worker.find_local::<T>(self.key()) })) {
            Some(Found::Alive(value)) => Ok(Owner::Coroutine(value)),
            Some(Found::Absent) => Ok(Owner::Coroutine(self.put(init()))),
            Some(Found::Destroyed) => Err(AccessError),
            None => Ok(Owner::Thread),
        }
    }

    /// Keeps the calling coroutine's value. As in std, it takes the place of one that its own initialiser has used.
    #[cold]
    fn put(&self, value: T) -> NonNull<T> {
        let (place, old) = current::with_coroutine(|worker| {
            let worker = worker.expect("a coroutine runs until its end");
            // SAFETY: invariant 1. It was absent before the initialiser, which has returned, so every reference has ended.
            unsafe { worker.put_local(self.key(), value) }
        });
        drop(old);
        place
    }
}

#[cold]
#[track_caller]
fn refuse(error: AccessError) -> ! {
    panic!("cannot access a Thread Local Storage value during or after destruction: {error:?}")
}

impl<T: 'static> LocalKey<Cell<T>> {
    /// Sets the caller's value, without calling the initialiser.
    ///
    /// # Panics
    ///
    /// Panics if the value is being dropped or was.
    pub fn set(&'static self, value: T) {
        let mut value = Some(value);
        let first = || Cell::new(value.take().expect("made once"));
        let owner = self.owner(first).unwrap_or_else(|error| refuse(error));
        let Some(value) = value else {
            return;
        };
        match owner {
            // SAFETY: as in `try_with`.
            Owner::Coroutine(cell) => unsafe { cell.as_ref() }.set(value),
            Owner::Thread => (self.place)().thread.set(value),
        }
    }

    /// A copy of the caller's value.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`].
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the caller's value and leaves the default one.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`].
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Sets the caller's value, and gives the one before.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`].
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }

    /// Sets the caller's value to what `f` makes of it. Unstable in std.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`].
    pub fn update(&'static self, f: impl FnOnce(T) -> T)
    where
        T: Copy,
    {
        self.with(|cell| cell.update(f))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    /// Calls `f` with the caller's value, borrowed.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`], and if the value is borrowed mutably.
    pub fn with_borrow<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&T) -> R,
    {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Calls `f` with the caller's value, borrowed mutably.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`], and if the value is borrowed.
    pub fn with_borrow_mut<F, R>(&'static self, f: F) -> R
    where
        F: FnOnce(&mut T) -> R,
    {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Sets the caller's value, without calling the initialiser.
    ///
    /// # Panics
    ///
    /// Panics if the value is borrowed, is being dropped or was.
    pub fn set(&'static self, value: T) {
        let mut value = Some(value);
        let first = || RefCell::new(value.take().expect("made once"));
        let owner = self.owner(first).unwrap_or_else(|error| refuse(error));
        let Some(value) = value else {
            return;
        };
        match owner {
            // SAFETY: as in `try_with`.
            Owner::Coroutine(cell) => *unsafe { cell.as_ref() }.borrow_mut() = value,
            Owner::Thread => (self.place)().thread.set(value),
        }
    }

    /// Takes the caller's value and leaves the default one.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`], and if the value is borrowed.
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Sets the caller's value, and gives the one before.
    ///
    /// # Panics
    ///
    /// As [`LocalKey::with`], and if the value is borrowed.
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> std::fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for AccessError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessError").finish()
    }
}

impl std::fmt::Display for AccessError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("already destroyed")
    }
}

impl std::error::Error for AccessError {}
