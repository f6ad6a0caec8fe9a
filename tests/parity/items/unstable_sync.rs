//! What std's locks, channels and threads have on nightly only, and people ask for: compiled for ours alone.
#![allow(dead_code, clippy::type_complexity)]
#![allow(clippy::implied_bounds_in_impls, reason = "each implementation is named")]

use super::sync::mpsc::{Receiver, RecvTimeoutError};
use super::sync::{MappedMutexGuard, MappedRwLockReadGuard, MappedRwLockWriteGuard};
use super::sync::{MutexGuard, OnceLock, RwLockReadGuard, RwLockWriteGuard, mpmc, oneshot};
use super::thread::{self, LocalKey};
use std::cell::Cell;
use std::fmt::{Debug, Display};
use std::ops::{Deref, DerefMut};
use std::time::Instant;

fn functions<T>() {
    let _: fn(Instant) = thread::sleep_until;
    let _: fn() -> (mpmc::Sender<T>, mpmc::Receiver<T>) = mpmc::channel;
    let _: fn() -> (oneshot::Sender<T>, oneshot::Receiver<T>) = oneshot::channel;
    let _: fn(&Receiver<T>, Instant) -> Result<T, RecvTimeoutError> = Receiver::recv_deadline;
}

fn key_update<C: Copy + 'static>(key: &'static LocalKey<Cell<C>>, f: fn(C) -> C) {
    LocalKey::<Cell<C>>::update(key, f);
}

fn once_lock_get_or_try_init<T, F: FnOnce() -> Result<T, E>, E>(lock: &OnceLock<T>, f: F) -> Result<&T, E> {
    OnceLock::get_or_try_init::<F, E>(lock, f)
}

fn mutex_guard<'a, T: ?Sized + 'a, U: ?Sized + 'a>() {
    type Project<T, U> = fn(&mut T) -> &mut U;
    type Choose<T, U> = fn(&mut T) -> Option<&mut U>;
    let _: fn(MutexGuard<'a, T>, Project<T, U>) -> MappedMutexGuard<'a, U> = MutexGuard::map;
    let _: fn(MutexGuard<'a, T>, Choose<T, U>) -> Result<MappedMutexGuard<'a, U>, MutexGuard<'a, T>> =
        MutexGuard::filter_map;
    let _: fn(MappedMutexGuard<'a, T>, Project<T, U>) -> MappedMutexGuard<'a, U> = MappedMutexGuard::map;
    let _: fn(MappedMutexGuard<'a, T>, Choose<T, U>) -> Result<MappedMutexGuard<'a, U>, MappedMutexGuard<'a, T>> =
        MappedMutexGuard::filter_map;
}

fn read_guard<'a, T: ?Sized + 'a, U: ?Sized + 'a>() {
    type Read<'a, T> = RwLockReadGuard<'a, T>;
    type Mapped<'a, T> = MappedRwLockReadGuard<'a, T>;
    let _: fn(Read<'a, T>, fn(&T) -> &U) -> Mapped<'a, U> = RwLockReadGuard::map;
    let _: fn(Read<'a, T>, fn(&T) -> Option<&U>) -> Result<Mapped<'a, U>, Read<'a, T>> = RwLockReadGuard::filter_map;
    let _: fn(Mapped<'a, T>, fn(&T) -> &U) -> Mapped<'a, U> = MappedRwLockReadGuard::map;
    let _: fn(Mapped<'a, T>, fn(&T) -> Option<&U>) -> Result<Mapped<'a, U>, Mapped<'a, T>> =
        MappedRwLockReadGuard::filter_map;
}

fn write_guard<'a, T: ?Sized + 'a, U: ?Sized + 'a>() {
    type Write<'a, T> = RwLockWriteGuard<'a, T>;
    type Mapped<'a, T> = MappedRwLockWriteGuard<'a, T>;
    type Project<T, U> = fn(&mut T) -> &mut U;
    type Choose<T, U> = fn(&mut T) -> Option<&mut U>;
    let _: fn(Write<'a, T>, Project<T, U>) -> Mapped<'a, U> = RwLockWriteGuard::map;
    let _: fn(Write<'a, T>, Choose<T, U>) -> Result<Mapped<'a, U>, Write<'a, T>> = RwLockWriteGuard::filter_map;
    let _: fn(Mapped<'a, T>, Project<T, U>) -> Mapped<'a, U> = MappedRwLockWriteGuard::map;
    let _: fn(Mapped<'a, T>, Choose<T, U>) -> Result<Mapped<'a, U>, Mapped<'a, T>> = MappedRwLockWriteGuard::filter_map;
}

fn mapped_mutex_guard_is<T: Debug + Display + Sync>(
    it: MappedMutexGuard<'_, T>,
) -> impl Debug + Display + Sync + Deref<Target = T> + DerefMut {
    it
}

fn mapped_read_guard_is<T: Debug + Display + Sync>(
    it: MappedRwLockReadGuard<'_, T>,
) -> impl Debug + Display + Sync + Deref<Target = T> {
    it
}

fn mapped_write_guard_is<T: Debug + Display + Sync>(
    it: MappedRwLockWriteGuard<'_, T>,
) -> impl Debug + Display + Sync + Deref<Target = T> + DerefMut {
    it
}
