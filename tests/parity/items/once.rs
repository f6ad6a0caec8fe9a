//! `std::sync`: what is done once.
#![allow(dead_code, deprecated, trivial_bounds, clippy::type_complexity)]
#![allow(clippy::incompatible_msrv, reason = "std has some of it since 1.94, ours is there before")]
#![allow(clippy::implied_bounds_in_impls, reason = "each implementation is named")]

use super::super::sync::{LazyLock, ONCE_INIT, Once, OnceLock, OnceState};
use std::fmt::Debug;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

static ONCE: Once = Once::new();
static OLD: Once = ONCE_INIT;
static ONCE_LOCK: OnceLock<u8> = OnceLock::new();
static LAZY_LOCK: LazyLock<u8> = LazyLock::new(|| 1);

fn once() {
    let _: fn(&Once) -> bool = Once::is_completed;
    let _: fn(&Once) = Once::wait;
    let _: fn(&Once) = Once::wait_force;
    let _: fn(&OnceState) -> bool = OnceState::is_poisoned;
}

fn once_call<F: FnOnce()>(once: &Once, f: F) {
    Once::call_once::<F>(once, f);
}

fn once_call_force<F: FnOnce(&OnceState)>(once: &Once, f: F) {
    Once::call_once_force::<F>(once, f);
}

fn once_is()
where
    Once: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    OnceState: Debug + Send + Unpin + UnwindSafe,
{
}

fn once_lock<T>() {
    let _: for<'a> fn(&'a OnceLock<T>) -> Option<&'a T> = OnceLock::get;
    let _: for<'a> fn(&'a mut OnceLock<T>) -> Option<&'a mut T> = OnceLock::get_mut;
    let _: for<'a> fn(&'a OnceLock<T>) -> &'a T = OnceLock::wait;
    let _: fn(&OnceLock<T>, T) -> Result<(), T> = OnceLock::set;
    let _: fn(OnceLock<T>) -> Option<T> = OnceLock::into_inner;
    let _: fn(&mut OnceLock<T>) -> Option<T> = OnceLock::take;
}

fn once_lock_get_or_init<T, F: FnOnce() -> T>(lock: &OnceLock<T>, f: F) -> &T {
    OnceLock::get_or_init::<F>(lock, f)
}

fn once_lock_is<T>(it: OnceLock<T>) -> impl Default + From<T> {
    it
}

fn once_lock_is_shown<T: Clone + Debug>(it: OnceLock<T>) -> impl Clone + Debug {
    it
}

fn once_lock_is_compared<T: PartialEq>() {
    let _: fn(&OnceLock<T>, &OnceLock<T>) -> bool = <OnceLock<T> as PartialEq>::eq;
}

fn once_lock_is_equal<T: Eq>(it: OnceLock<T>) -> impl Eq {
    it
}

fn once_lock_is_sent<T: Send + Unpin>(it: OnceLock<T>) -> impl Send + Unpin {
    it
}

fn once_lock_is_shared<T: Send + Sync>(it: OnceLock<T>) -> impl Sync {
    it
}

fn once_lock_unwinds<T: UnwindSafe>(it: OnceLock<T>) -> impl UnwindSafe {
    it
}

fn once_lock_unwinds_by_reference<T: UnwindSafe + RefUnwindSafe>(it: OnceLock<T>) -> impl RefUnwindSafe {
    it
}

fn lazy_lock<T, F: FnOnce() -> T>() {
    let _: fn(F) -> LazyLock<T, F> = LazyLock::new;
    let _: for<'a> fn(&'a LazyLock<T, F>) -> &'a T = LazyLock::force;
    let _: for<'a> fn(&'a mut LazyLock<T, F>) -> &'a mut T = LazyLock::force_mut;
}

fn lazy_lock_of_any<T, F>() {
    let _: for<'a> fn(&'a LazyLock<T, F>) -> Option<&'a T> = LazyLock::get;
    let _: for<'a> fn(&'a mut LazyLock<T, F>) -> Option<&'a mut T> = LazyLock::get_mut;
}

fn lazy_lock_is<T, F: FnOnce() -> T>(it: LazyLock<T, F>) -> impl Deref<Target = T> + DerefMut {
    it
}

fn lazy_lock_is_default<T: Default>(it: LazyLock<T>) -> impl Default {
    it
}

fn lazy_lock_is_shown<T: Debug, F>(it: LazyLock<T, F>) -> impl Debug {
    it
}

fn lazy_lock_is_sent<T: Send + Unpin, F: Send + Unpin>(it: LazyLock<T, F>) -> impl Send + Unpin {
    it
}

fn lazy_lock_is_shared<T: Send + Sync, F: Send>(it: LazyLock<T, F>) -> impl Sync {
    it
}

fn lazy_lock_unwinds<T: UnwindSafe, F: UnwindSafe>(it: LazyLock<T, F>) -> impl UnwindSafe {
    it
}

fn lazy_lock_unwinds_too<T: UnwindSafe + RefUnwindSafe, F: UnwindSafe>(it: LazyLock<T, F>) -> impl RefUnwindSafe {
    it
}
