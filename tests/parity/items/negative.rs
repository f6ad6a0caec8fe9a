//! What types of `std::thread` and `std::sync` are not: what a program may rely on that they are not sent, for one.
//!
//! Handles to threads are left out: ours may do more than std's, which are sent only if what they give is.
//!
//! Each compiles only if one of two implementations applies: the other is for what implements the trait.
#![allow(dead_code)]

use super::super::sync::mpsc::{IntoIter, Iter, Receiver, Sender, TryIter};
use super::super::sync::{LazyLock, Mutex, MutexGuard, OnceLock, OnceState, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe};

trait NotSend<A> {
    fn is() {}
}

impl<T: ?Sized> NotSend<()> for T {}
impl<T: ?Sized + Send> NotSend<u8> for T {}

trait NotSync<A> {
    fn is() {}
}

impl<T: ?Sized> NotSync<()> for T {}
impl<T: ?Sized + Sync> NotSync<u8> for T {}

trait NotUnwindSafe<A> {
    fn is() {}
}

impl<T: ?Sized> NotUnwindSafe<()> for T {}
impl<T: ?Sized + UnwindSafe> NotUnwindSafe<u8> for T {}

trait NotRefUnwindSafe<A> {
    fn is() {}
}

impl<T: ?Sized> NotRefUnwindSafe<()> for T {}
impl<T: ?Sized + RefUnwindSafe> NotRefUnwindSafe<u8> for T {}

/// Neither sent nor shared.
type Local = *mut u8;

fn not_sent() {
    <MutexGuard<'static, u8> as NotSend<_>>::is();
    <RwLockReadGuard<'static, u8> as NotSend<_>>::is();
    <RwLockWriteGuard<'static, u8> as NotSend<_>>::is();
    <Mutex<Local> as NotSend<_>>::is();
    <RwLock<Local> as NotSend<_>>::is();
    <OnceLock<Local> as NotSend<_>>::is();
    <LazyLock<Local> as NotSend<_>>::is();
    <LazyLock<u8, Local> as NotSend<_>>::is();
    <Receiver<Local> as NotSend<_>>::is();
    <Sender<Local> as NotSend<_>>::is();
    <Iter<'static, u8> as NotSend<_>>::is();
    <TryIter<'static, u8> as NotSend<_>>::is();
    <IntoIter<Local> as NotSend<_>>::is();
}

fn not_shared() {
    <MutexGuard<'static, Cell<u8>> as NotSync<_>>::is();
    <RwLockReadGuard<'static, Cell<u8>> as NotSync<_>>::is();
    <RwLockWriteGuard<'static, Cell<u8>> as NotSync<_>>::is();
    <Mutex<Local> as NotSync<_>>::is();
    <RwLock<Cell<u8>> as NotSync<_>>::is();
    <OnceLock<Cell<u8>> as NotSync<_>>::is();
    <LazyLock<Cell<u8>> as NotSync<_>>::is();
    <LazyLock<u8, Local> as NotSync<_>>::is();
    <OnceState as NotSync<_>>::is();
    <Receiver<u8> as NotSync<_>>::is();
    <Sender<Local> as NotSync<_>>::is();
    <IntoIter<u8> as NotSync<_>>::is();
}

fn not_left_half_done() {
    <OnceState as NotRefUnwindSafe<_>>::is();
    <OnceLock<&mut u8> as NotUnwindSafe<_>>::is();
    <OnceLock<Cell<u8>> as NotRefUnwindSafe<_>>::is();
    <LazyLock<Cell<u8>> as NotRefUnwindSafe<_>>::is();
    <RwLockReadGuard<'static, Cell<u8>> as NotUnwindSafe<_>>::is();
    <RwLockReadGuard<'static, Cell<u8>> as NotRefUnwindSafe<_>>::is();
}
