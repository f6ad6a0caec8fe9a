//! `std::sync`: what excludes and what waits. The types of errors are std's own, which `same.rs` proves.
#![allow(dead_code, deprecated, trivial_bounds, clippy::type_complexity)]
#![allow(clippy::incompatible_msrv, reason = "std has some of it since 1.92, ours is there before")]
#![allow(clippy::implied_bounds_in_impls, reason = "each implementation is named")]

use super::super::sync::{Barrier, BarrierWaitResult, Condvar, WaitTimeoutResult};
use super::super::sync::{LockResult, TryLockResult};
use super::super::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::fmt::{Debug, Display};
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

static BARRIER: Barrier = Barrier::new(2);
static CONDVAR: Condvar = Condvar::new();
static MUTEX: Mutex<u8> = Mutex::new(1);
static RW_LOCK: RwLock<u8> = RwLock::new(1);

fn mutex<T: ?Sized>() {
    let _: for<'a> fn(&'a Mutex<T>) -> LockResult<MutexGuard<'a, T>> = Mutex::lock;
    let _: for<'a> fn(&'a Mutex<T>) -> TryLockResult<MutexGuard<'a, T>> = Mutex::try_lock;
    let _: fn(&Mutex<T>) -> bool = Mutex::is_poisoned;
    let _: fn(&Mutex<T>) = Mutex::clear_poison;
    let _: for<'a> fn(&'a mut Mutex<T>) -> LockResult<&'a mut T> = Mutex::get_mut;
}

fn mutex_of_sized<T>() {
    let _: fn(T) -> Mutex<T> = Mutex::new;
    let _: fn(Mutex<T>) -> LockResult<T> = Mutex::into_inner;
}

fn mutex_is<T>(it: Mutex<T>) -> impl From<T> + UnwindSafe + RefUnwindSafe {
    it
}

fn mutex_is_shown<T: Debug + Default>(it: Mutex<T>) -> impl Debug + Default {
    it
}

fn mutex_is_shared<T: Send + Unpin>(it: Mutex<T>) -> impl Send + Sync + Unpin {
    it
}

fn mutex_guard_is<T>(it: MutexGuard<'_, T>) -> impl Deref<Target = T> + DerefMut + Unpin + UnwindSafe + RefUnwindSafe {
    it
}

fn mutex_guard_is_shown<T: Debug + Display + Sync>(it: MutexGuard<'_, T>) -> impl Debug + Display + Sync {
    it
}

fn rw_lock<T: ?Sized>() {
    let _: for<'a> fn(&'a RwLock<T>) -> LockResult<RwLockReadGuard<'a, T>> = RwLock::read;
    let _: for<'a> fn(&'a RwLock<T>) -> TryLockResult<RwLockReadGuard<'a, T>> = RwLock::try_read;
    let _: for<'a> fn(&'a RwLock<T>) -> LockResult<RwLockWriteGuard<'a, T>> = RwLock::write;
    let _: for<'a> fn(&'a RwLock<T>) -> TryLockResult<RwLockWriteGuard<'a, T>> = RwLock::try_write;
    let _: fn(&RwLock<T>) -> bool = RwLock::is_poisoned;
    let _: fn(&RwLock<T>) = RwLock::clear_poison;
    let _: for<'a> fn(&'a mut RwLock<T>) -> LockResult<&'a mut T> = RwLock::get_mut;
}

fn write_guard<'a, T: ?Sized + 'a>() {
    let _: fn(RwLockWriteGuard<'a, T>) -> RwLockReadGuard<'a, T> = RwLockWriteGuard::downgrade;
}

fn rw_lock_of_sized<T>() {
    let _: fn(T) -> RwLock<T> = RwLock::new;
    let _: fn(RwLock<T>) -> LockResult<T> = RwLock::into_inner;
}

fn rw_lock_is<T>(it: RwLock<T>) -> impl From<T> + UnwindSafe + RefUnwindSafe {
    it
}

fn rw_lock_is_shown<T: Debug + Default>(it: RwLock<T>) -> impl Debug + Default {
    it
}

fn rw_lock_is_sent<T: Send + Unpin>(it: RwLock<T>) -> impl Send + Unpin {
    it
}

fn rw_lock_is_shared<T: Send + Sync>(it: RwLock<T>) -> impl Sync {
    it
}

fn read_guard_is<T>(it: RwLockReadGuard<'_, T>) -> impl Deref<Target = T> + Unpin {
    it
}

fn read_guard_unwinds<T: RefUnwindSafe>(it: RwLockReadGuard<'_, T>) -> impl UnwindSafe + RefUnwindSafe {
    it
}

fn read_guard_is_shown<T: Debug + Display + Sync>(it: RwLockReadGuard<'_, T>) -> impl Debug + Display + Sync {
    it
}

fn write_guard_is<T>(it: RwLockWriteGuard<'_, T>) -> impl Deref<Target = T> + DerefMut + Unpin {
    it
}

fn write_guard_unwinds<T>(it: RwLockWriteGuard<'_, T>) -> impl UnwindSafe + RefUnwindSafe {
    it
}

fn write_guard_is_shown<T: Debug + Display + Sync>(it: RwLockWriteGuard<'_, T>) -> impl Debug + Display + Sync {
    it
}

fn condvar<'a, T: 'a>() {
    let _: fn(&Condvar, MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> = Condvar::wait;
    let _: fn(&Condvar, MutexGuard<'a, T>, u32) -> LockResult<(MutexGuard<'a, T>, bool)> = Condvar::wait_timeout_ms;
    let _: fn(&Condvar, MutexGuard<'a, T>, Duration) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> =
        Condvar::wait_timeout;
    let _: fn(&Condvar) = Condvar::notify_one;
    let _: fn(&Condvar) = Condvar::notify_all;
    let _: fn(&WaitTimeoutResult) -> bool = WaitTimeoutResult::timed_out;
}

fn condvar_wait_while<'a, T, F>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    condition: F,
) -> LockResult<MutexGuard<'a, T>>
where
    F: FnMut(&mut T) -> bool,
{
    Condvar::wait_while::<T, F>(condvar, guard, condition)
}

fn condvar_wait_timeout_while<'a, T, F>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: Duration,
    condition: F,
) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
where
    F: FnMut(&mut T) -> bool,
{
    Condvar::wait_timeout_while::<T, F>(condvar, guard, timeout, condition)
}

fn barrier() {
    let _: fn(usize) -> Barrier = Barrier::new;
    let _: fn(&Barrier) -> BarrierWaitResult = Barrier::wait;
    let _: fn(&BarrierWaitResult) -> bool = BarrierWaitResult::is_leader;
}

/// With types that have no size, where there may be.
fn are()
where
    Mutex<dyn Debug + Send>: Debug + Send + Sync + UnwindSafe + RefUnwindSafe,
    MutexGuard<'static, dyn Debug + Sync>: Debug + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    MutexGuard<'static, dyn Display>: Display + Deref + DerefMut,
    RwLock<dyn Debug + Send + Sync>: Debug + Send + Sync + UnwindSafe + RefUnwindSafe,
    RwLockReadGuard<'static, dyn Debug + Sync>: Debug + Sync + Unpin + Deref,
    RwLockWriteGuard<'static, dyn Debug + Sync>: Debug + Sync + Unpin + DerefMut,
    Condvar: Debug + Default + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    WaitTimeoutResult: Clone + Copy + PartialEq + Eq + Debug,
    WaitTimeoutResult: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    Barrier: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    BarrierWaitResult: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}
