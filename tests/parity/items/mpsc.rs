//! `std::sync::mpsc`. The types of errors are std's own, which `same.rs` proves.
#![allow(dead_code, trivial_bounds, clippy::type_complexity)]

use super::super::sync::mpsc;
use mpsc::{IntoIter, Iter, Receiver, Sender, SyncSender, TryIter};
use mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::fmt::Debug;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

fn functions<T>() {
    let _: fn() -> (Sender<T>, Receiver<T>) = mpsc::channel;
    let _: fn(usize) -> (SyncSender<T>, Receiver<T>) = mpsc::sync_channel;
}

fn sender<T>() {
    let _: fn(&Sender<T>, T) -> Result<(), SendError<T>> = Sender::send;
    let _: fn(&SyncSender<T>, T) -> Result<(), SendError<T>> = SyncSender::send;
    let _: fn(&SyncSender<T>, T) -> Result<(), TrySendError<T>> = SyncSender::try_send;
}

fn receiver<T>() {
    let _: fn(&Receiver<T>) -> Result<T, TryRecvError> = Receiver::try_recv;
    let _: fn(&Receiver<T>) -> Result<T, RecvError> = Receiver::recv;
    let _: fn(&Receiver<T>, Duration) -> Result<T, RecvTimeoutError> = Receiver::recv_timeout;
    let _: for<'a> fn(&'a Receiver<T>) -> Iter<'a, T> = Receiver::iter;
    let _: for<'a> fn(&'a Receiver<T>) -> TryIter<'a, T> = Receiver::try_iter;
}

fn sender_is<T>(it: Sender<T>) -> impl Clone + Debug + Unpin + UnwindSafe + RefUnwindSafe {
    it
}

fn sender_is_shared<T: Send>(it: Sender<T>) -> impl Send + Sync {
    it
}

fn sync_sender_is<T>(it: SyncSender<T>) -> impl Clone + Debug + Unpin + UnwindSafe + RefUnwindSafe {
    it
}

fn sync_sender_is_shared<T: Send>(it: SyncSender<T>) -> impl Send + Sync {
    it
}

fn receiver_is<T>(it: Receiver<T>) -> impl Debug + Unpin + UnwindSafe + RefUnwindSafe {
    it
}

fn receiver_is_sent<T: Send>(it: Receiver<T>) -> impl Send {
    it
}

fn receiver_iterates<T>(it: Receiver<T>) -> impl IntoIterator<Item = T, IntoIter = IntoIter<T>> {
    it
}

fn receiver_iterates_by_reference<'a, T>(it: &'a Receiver<T>) -> impl IntoIterator<Item = T, IntoIter = Iter<'a, T>> {
    it
}

fn iter_is<'a, T: Debug>(it: Iter<'a, T>) -> impl Iterator<Item = T> + Debug + Unpin + UnwindSafe + RefUnwindSafe {
    it
}

fn try_iter_is<'a, T: Debug>(it: TryIter<'a, T>) -> impl Iterator<Item = T> + Debug + Unpin {
    it
}

fn try_iter_unwinds<'a, T>(it: TryIter<'a, T>) -> impl UnwindSafe + RefUnwindSafe {
    it
}

fn into_iter_is<T: Debug>(it: IntoIter<T>) -> impl Iterator<Item = T> + Debug + Unpin + UnwindSafe + RefUnwindSafe {
    it
}

fn into_iter_is_sent<T: Send>(it: IntoIter<T>) -> impl Send {
    it
}
