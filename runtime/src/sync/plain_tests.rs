//! The unsafe code of the locks and channels among plain threads, in small: for Miri, which cannot switch stacks. What the
//! behaviour is to be, the tests of the root package say.

use super::{Condvar, LazyLock, Mutex, MutexGuard, Once, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};
use super::{MappedMutexGuard, MappedRwLockReadGuard, MappedRwLockWriteGuard, PoisonError};
use super::{broadcast, mpmc, mpsc, oneshot, select};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

/// Something that Miri reports if it is leaked, dropped twice or used after that.
fn owned(n: u32) -> String {
    n.to_string()
}

fn unwinds<R>(f: impl FnOnce() -> R) {
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
}

// ---- locks -------------------------------------------------------------------------------------------------------

#[test]
fn a_mutex_among_threads() {
    let mutex = Mutex::new(Vec::new());
    thread::scope(|s| {
        for n in 0..3 {
            let mutex = &mutex;
            s.spawn(move || (0..4).for_each(|_| mutex.lock().unwrap().push(owned(n))));
        }
    });
    assert_eq!(mutex.into_inner().unwrap().len(), 12);
}

#[test]
fn a_mutex_of_what_has_no_size() {
    let mut mutex: Box<Mutex<dyn Debug + Send>> = Box::new(Mutex::new(owned(1)));
    assert_eq!(format!("{:?}", mutex.lock().unwrap()), r#""1""#);
    assert_eq!(format!("{mutex:?}"), r#"Mutex { data: "1", poisoned: false, .. }"#);
    assert_eq!(format!("{:?}", mutex.get_mut().unwrap()), r#""1""#);
}

#[test]
fn a_mapped_mutex_guard() {
    let mutex = Mutex::new((owned(1), owned(2)));
    let first = MutexGuard::map(mutex.lock().unwrap(), |pair| &mut pair.0);
    let mut letters = MappedMutexGuard::map(first, String::as_mut_str);
    letters.make_ascii_uppercase();
    let Err(letters) = MappedMutexGuard::filter_map(letters, |_| None::<&mut str>) else { panic!("it was refused") };
    assert!(mutex.try_lock().is_err());
    drop(letters);
    let whole = MutexGuard::filter_map(mutex.lock().unwrap(), |_| None::<&mut String>).unwrap_err();
    let mut second = MutexGuard::filter_map(whole, |pair| Some(&mut pair.1)).unwrap();
    second.push('!');
    drop(second);
    assert_eq!(mutex.into_inner().unwrap(), (owned(1), "2!".into()));
}

#[test]
fn a_map_that_unwinds_frees_and_poisons() {
    let (mutex, lock) = (Mutex::new(owned(1)), RwLock::new(owned(2)));
    unwinds(|| MutexGuard::map(mutex.lock().unwrap(), |_| -> &mut u8 { resume_unwind(Box::new(0)) }));
    assert_eq!(*mutex.lock().unwrap_or_else(PoisonError::into_inner), owned(1));
    unwinds(|| RwLockReadGuard::map(lock.read().unwrap(), |_| -> &u8 { resume_unwind(Box::new(0)) }));
    unwinds(|| RwLockWriteGuard::map(lock.write().unwrap(), |_| -> &mut u8 { resume_unwind(Box::new(0)) }));
    assert_eq!(lock.into_inner().unwrap_or_else(PoisonError::into_inner), owned(2));
}

#[test]
fn an_rwlock_among_threads() {
    let lock = RwLock::new(Vec::new());
    thread::scope(|s| {
        for n in 0..2 {
            let lock = &lock;
            s.spawn(move || (0..3).for_each(|_| lock.write().unwrap().push(owned(n))));
            s.spawn(move || (0..3).for_each(|_| assert!(lock.read().unwrap().len() <= 6)));
        }
        s.spawn(|| {
            let written = lock.write().unwrap();
            let length = written.len();
            assert_eq!(RwLockWriteGuard::downgrade(written).len(), length);
        });
    });
    assert_eq!(lock.into_inner().unwrap().len(), 6);
}

#[test]
fn a_mapped_read_guard() {
    let lock = RwLock::new((owned(1), owned(2)));
    let first = RwLockReadGuard::map(lock.read().unwrap(), |pair| &pair.0);
    let second = RwLockReadGuard::filter_map(lock.read().unwrap(), |pair| Some(&pair.1)).unwrap();
    let bytes = MappedRwLockReadGuard::map(first, String::as_bytes);
    let Err(bytes) = MappedRwLockReadGuard::filter_map(bytes, |_| None::<&u8>) else { panic!("it was refused") };
    assert_eq!((&*bytes, &**second), (&b"1"[..], "2"));
    assert!(lock.try_write().is_err());
    drop((bytes, second));
    assert!(lock.try_write().is_ok());
}

#[test]
fn a_mapped_write_guard() {
    let lock = RwLock::new((owned(1), owned(2)));
    let first = RwLockWriteGuard::map(lock.write().unwrap(), |pair| &mut pair.0);
    let Err(first) = MappedRwLockWriteGuard::filter_map(first, |_| None::<&mut u8>) else { panic!("it was refused") };
    MappedRwLockWriteGuard::map(first, String::as_mut_str).make_ascii_uppercase();
    let whole = RwLockWriteGuard::filter_map(lock.write().unwrap(), |_| None::<&mut String>).unwrap_err();
    RwLockWriteGuard::filter_map(whole, |pair| Some(&mut pair.1)).unwrap().push('!');
    assert_eq!(lock.into_inner().unwrap().1, "2!");
}

#[test]
fn a_condvar_hands_over() {
    let shared = (Mutex::new(None), Condvar::new());
    thread::scope(|s| {
        let taker = s.spawn(|| {
            let mut item = shared.1.wait_while(shared.0.lock().unwrap(), |item: &mut Option<String>| item.is_none());
            item.as_mut().unwrap().take()
        });
        *shared.0.lock().unwrap() = Some(owned(7));
        shared.1.notify_all();
        assert_eq!(taker.join().unwrap(), Some(owned(7)));
    });
}

// ---- once --------------------------------------------------------------------------------------------------------

#[test]
fn a_once_lock_is_set_by_one_of_many() {
    let lock = OnceLock::new();
    thread::scope(|s| {
        for n in 0..3 {
            let lock = &lock;
            s.spawn(move || assert_eq!(lock.get_or_init(|| owned(n)), lock.wait()));
        }
    });
    assert!(lock.set(owned(9)).is_err());
    let mut copy = lock.clone();
    copy.get_mut().unwrap().push('!');
    assert_ne!(copy, lock);
    assert!(copy.take().is_some() && copy.take().is_none());
    assert!(lock.into_inner().is_some());
}

#[test]
fn a_once_lock_that_was_set_in_vain_is_empty() {
    let lock = OnceLock::new();
    unwinds(|| lock.get_or_init(|| resume_unwind(Box::new(0))));
    assert_eq!(lock.get_or_try_init(|| Err(owned(1))), Err(owned(1)));
    assert_eq!(lock.get(), None);
    assert_eq!(lock.get_or_init(|| owned(2)), "2");
    drop(OnceLock::<String>::new());
    drop(OnceLock::from(owned(3)));
}

#[test]
fn a_lazy_lock_is_made_by_one_of_many() {
    let argument = owned(7);
    let lazy = LazyLock::new(move || argument + "!");
    thread::scope(|s| (0..3).for_each(|_| drop(s.spawn(|| assert_eq!(*lazy, "7!")))));
    assert_eq!(LazyLock::get(&lazy).map(String::as_str), Some("7!"));
}

#[test]
fn a_lazy_lock_drops_what_is_there() {
    let (unused, alone) = (owned(1), owned(2));
    let mut lazy = LazyLock::new(move || unused);
    assert_eq!(LazyLock::get(&lazy), None);
    assert_eq!(LazyLock::get_mut(&mut lazy), None);
    drop(lazy);
    let mut lazy = LazyLock::new(move || alone);
    LazyLock::force_mut(&mut lazy).push('!');
    assert_eq!(LazyLock::get_mut(&mut lazy).map(|value| &**value), Some("2!"));
}

#[test]
fn a_lazy_lock_that_was_made_in_vain_has_nothing_to_drop() {
    let (shared, alone) = (owned(1), owned(2));
    let lazy = LazyLock::<String, _>::new(move || resume_unwind(Box::new(shared)));
    unwinds(|| lazy.len());
    unwinds(|| lazy.len());
    let mut lazy = LazyLock::<String, _>::new(move || resume_unwind(Box::new(alone)));
    unwinds(|| LazyLock::force_mut(&mut lazy).len());
    assert_eq!(LazyLock::get(&lazy), None);
}

#[test]
fn a_once_publishes_what_its_call_wrote() {
    let (once, mut made) = (Once::new(), OnceLock::new());
    thread::scope(|s| {
        for n in 0..2 {
            let (once, made) = (&once, &made);
            s.spawn(move || {
                once.call_once(|| made.set(owned(n)).unwrap());
                assert!(made.get().is_some());
            });
        }
    });
    assert!(made.take().is_some());
}

// ---- channels ----------------------------------------------------------------------------------------------------

#[test]
fn messages_cross_threads_and_the_rest_is_dropped() {
    for capacity in [0, 1, usize::MAX] {
        let (sender, receiver) = mpsc::sync_channel(capacity);
        thread::scope(|s| {
            let other = sender.clone();
            s.spawn(move || (0..3).for_each(|n| drop(other.send(owned(n)))));
            s.spawn(move || (0..3).for_each(|n| drop(sender.send(owned(n)))));
            assert_eq!(receiver.iter().take(4).count(), 4);
            drop(receiver);
        });
    }
}

#[test]
fn a_select_takes_one_message() {
    let (one, other) = (mpmc::channel(), mpmc::channel());
    thread::scope(|s| {
        s.spawn(|| one.0.send(owned(1)).unwrap());
        s.spawn(|| other.0.send(owned(2)).unwrap());
        for _ in 0..2 {
            let message = select! {
                recv(one.1) -> message => message.unwrap(),
                recv(other.1) -> message => message.unwrap(),
            };
            assert_eq!(message.len(), 1);
        }
    });
}

#[test]
fn a_select_sends_one_message() {
    let (one, other) = (mpmc::sync_channel(1), mpmc::sync_channel(0));
    thread::scope(|s| {
        s.spawn(|| other.1.recv().unwrap());
        for _ in 0..2 {
            select! {
                send(one.0, owned(1)) -> sent => sent.unwrap(),
                send(other.0, owned(2)) -> sent => sent.unwrap(),
            }
        }
    });
}

#[test]
fn a_oneshot_is_received_or_dropped() {
    let (sender, receiver) = oneshot::channel();
    thread::scope(|s| {
        s.spawn(|| sender.send(owned(1)).unwrap());
        assert_eq!(receiver.recv(), Ok(owned(1)));
    });
    let (sender, receiver) = oneshot::channel();
    sender.send(owned(2)).unwrap();
    drop(receiver);
    let (sender, receiver) = oneshot::channel();
    drop(receiver);
    assert_eq!(sender.send(owned(3)).unwrap_err().0, owned(3));
}

#[test]
fn a_broadcast_is_seen_by_all_and_dropped_once() {
    let (sender, receiver) = broadcast::channel(2);
    let other = receiver.resubscribe();
    thread::scope(|s| {
        s.spawn(move || drop(other.recv()));
        s.spawn(move || while receiver.recv().is_ok_and(|message: String| message != "2") {});
        (0..4).for_each(|n| drop(sender.send(owned(n))));
        drop(sender);
    });
    let (sender, receiver) = broadcast::channel(2);
    (0..3).for_each(|n| drop(sender.send(owned(n))));
    drop(receiver);
    assert!(sender.is_empty() && sender.send(owned(4)).is_err());
}
