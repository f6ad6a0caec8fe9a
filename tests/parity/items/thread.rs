//! `std::thread`, and `thread_local!`.
#![allow(dead_code, deprecated, trivial_bounds, clippy::type_complexity)]
#![allow(clippy::missing_const_for_thread_local, reason = "both ways to begin are named")]

use super::super::{thread, thread_local};
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::{io, num::NonZero, time::Duration};
use thread::{AccessError, Builder, JoinHandle, LocalKey, Scope, ScopedJoinHandle, Thread, ThreadId};

thread_local! {}
thread_local!(static LAST: u8 = 1);
thread_local! {
    #[allow(unused)]
    pub static ONE: Cell<u8> = const { Cell::new(1) };
    static TWO: RefCell<Vec<u8>> = RefCell::new(Vec::new());
}

fn functions() {
    let _: fn() -> io::Result<NonZero<usize>> = thread::available_parallelism;
    let _: fn() -> Thread = thread::current;
    let _: fn() -> bool = thread::panicking;
    let _: fn() = thread::park;
    let _: fn(Duration) = thread::park_timeout;
    let _: fn(u32) = thread::park_timeout_ms;
    let _: fn(Duration) = thread::sleep;
    let _: fn(u32) = thread::sleep_ms;
    let _: fn() = thread::yield_now;
    let _: thread::Result<u8> = thread::Result::Ok(1);
}

fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    thread::spawn::<F, T>(f)
}

fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    thread::scope::<'env, F, T>(f)
}

fn scope_spawn<'scope, 'env, F, T>(scope: &'scope Scope<'scope, 'env>, f: F) -> ScopedJoinHandle<'scope, T>
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    Scope::spawn::<F, T>(scope, f)
}

fn scoped_handle<'scope, T: 'scope>() {
    let _: fn(ScopedJoinHandle<'scope, T>) -> thread::Result<T> = ScopedJoinHandle::join;
    let _: for<'a> fn(&'a ScopedJoinHandle<'scope, T>) -> &'a Thread = ScopedJoinHandle::thread;
    let _: fn(&ScopedJoinHandle<'scope, T>) -> bool = ScopedJoinHandle::is_finished;
}

fn scoped_handle_is<'scope, T>(it: ScopedJoinHandle<'scope, T>) -> impl Debug + Unpin {
    it
}

fn scoped_handle_is_shared<'scope, T: Send>(it: ScopedJoinHandle<'scope, T>) -> impl Send + Sync {
    it
}

fn scope_is<'scope, 'env>(it: Scope<'scope, 'env>) -> impl Debug + Send + Sync + Unpin + RefUnwindSafe {
    it
}

fn builder() {
    let _: fn() -> Builder = Builder::new;
    let _: fn(Builder, String) -> Builder = Builder::name;
    let _: fn(Builder, usize) -> Builder = Builder::stack_size;
}

fn builder_spawn<F, T>(builder: Builder, f: F) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::spawn::<F, T>(builder, f)
}

unsafe fn builder_spawn_unchecked<F, T>(builder: Builder, f: F) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    // SAFETY: the caller's word.
    unsafe { Builder::spawn_unchecked::<F, T>(builder, f) }
}

fn builder_spawn_scoped<'scope, 'env, F, T>(
    builder: Builder,
    scope: &'scope Scope<'scope, 'env>,
    f: F,
) -> io::Result<ScopedJoinHandle<'scope, T>>
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    Builder::spawn_scoped::<F, T>(builder, scope, f)
}

fn handle<T>() {
    let _: fn(JoinHandle<T>) -> thread::Result<T> = JoinHandle::join;
    let _: for<'a> fn(&'a JoinHandle<T>) -> &'a Thread = JoinHandle::thread;
    let _: fn(&JoinHandle<T>) -> bool = JoinHandle::is_finished;
}

fn handle_is<T>(it: JoinHandle<T>) -> impl Debug + Send + Sync + Unpin {
    it
}

fn of_thread() {
    let _: fn(&Thread) = Thread::unpark;
    let _: fn(&Thread) -> ThreadId = Thread::id;
    let _: for<'a> fn(&'a Thread) -> Option<&'a str> = Thread::name;
}

fn key<T, F, R>(key: &'static LocalKey<T>, f: F, g: F) -> Result<R, AccessError>
where
    T: 'static,
    F: FnOnce(&T) -> R,
{
    let _: R = LocalKey::with::<F, R>(key, f);
    LocalKey::try_with::<F, R>(key, g)
}

fn key_of_cell<C: 'static>() {
    let _: fn(&'static LocalKey<Cell<C>>, C) = LocalKey::<Cell<C>>::set;
    let _: fn(&'static LocalKey<Cell<C>>, C) -> C = LocalKey::<Cell<C>>::replace;
    let _: fn(&'static LocalKey<RefCell<C>>, C) = LocalKey::<RefCell<C>>::set;
    let _: fn(&'static LocalKey<RefCell<C>>, C) -> C = LocalKey::<RefCell<C>>::replace;
}

fn key_of_copy<C: Copy + 'static>() {
    let _: fn(&'static LocalKey<Cell<C>>) -> C = LocalKey::<Cell<C>>::get;
}

fn key_of_default<C: Default + 'static>() {
    let _: fn(&'static LocalKey<Cell<C>>) -> C = LocalKey::<Cell<C>>::take;
    let _: fn(&'static LocalKey<RefCell<C>>) -> C = LocalKey::<RefCell<C>>::take;
}

fn key_with_borrow<T: 'static, F: FnOnce(&T) -> R, R>(key: &'static LocalKey<RefCell<T>>, f: F) -> R {
    LocalKey::<RefCell<T>>::with_borrow::<F, R>(key, f)
}

fn key_with_borrow_mut<T: 'static, F: FnOnce(&mut T) -> R, R>(key: &'static LocalKey<RefCell<T>>, f: F) -> R {
    LocalKey::<RefCell<T>>::with_borrow_mut::<F, R>(key, f)
}

fn key_is<T: 'static>(it: LocalKey<T>) -> impl Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe {
    it
}

fn are()
where
    Thread: Clone + Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    ThreadId: Clone + Copy + PartialEq + Eq + Hash + Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    Builder: Debug + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
    AccessError: Clone + Copy + PartialEq + Eq + Debug + Display + Error,
    AccessError: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe,
{
}
