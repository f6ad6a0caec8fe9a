//! Threads that divide work, and channels between them.

use super::super::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError, TrySendError, channel, sync_channel};
use super::super::sync::{Arc, Mutex};
use super::super::{thread, thread_local};
use super::Seen;
use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::time::Duration;

type Job = Box<dyn FnOnce() -> u32 + Send>;

fn work(jobs: &Mutex<Receiver<Job>>) -> u32 {
    let mut done = 0;
    loop {
        // The guard is held for the wait, as in the book.
        let job = jobs.lock().unwrap().recv();
        match job {
            Ok(job) => done += job(),
            Err(mpsc::RecvError) => return done,
        }
    }
}

/// Of "The Rust Programming Language": workers share a receiver behind a lock.
pub(super) fn worker_pool() -> Seen {
    let (sender, receiver) = channel::<Job>();
    let jobs = Arc::new(Mutex::new(receiver));
    let workers: Vec<_> = (0..4)
        .map(|n| {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new().name(format!("worker {n}")).spawn(move || work(&jobs))
        })
        .collect::<Result<_, _>>()?;
    let mut seen: Vec<_> = workers.iter().map(|worker| format!("{:?}", worker.thread().name())).collect();
    for n in 0..100 {
        sender.send(Box::new(move || n)).map_err(|error| error.to_string())?;
    }
    drop(sender);
    let done: u32 = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
    seen.push(done.to_string());
    Ok(seen)
}

/// Borrows what it sums up, and hears of the part that panicked.
pub(super) fn scoped_sum() -> Seen {
    let numbers: Vec<u64> = (1..=1000).collect();
    let mut parts = Vec::new();
    let sum: u64 = thread::scope(|s| {
        let halves: Vec<_> = numbers.chunks(100).map(|chunk| s.spawn(|| chunk.iter().sum::<u64>())).collect();
        s.spawn(|| parts.push("also by a mutable borrow".to_owned()));
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    });
    let failed = thread::scope(|s| s.spawn(|| resume_unwind(Box::new(7_u8))).join());
    parts.push(format!("{sum} {:?}", failed.unwrap_err().downcast_ref::<u8>()));
    let unjoined = std::panic::catch_unwind(|| {
        thread::scope(|s| {
            s.spawn(|| resume_unwind(Box::new(8_u8)));
        });
    });
    parts.push(format!("{:?}", unjoined.unwrap_err().downcast_ref::<&str>()));
    Ok(parts)
}

/// Many senders, one receiver; each sender's messages come in their order.
pub(super) fn fan_in() -> Seen {
    let (sender, receiver) = sync_channel(3);
    let senders: Vec<_> = (0..5)
        .map(|from| {
            let sender = sender.clone();
            thread::spawn(move || (0..40).for_each(|n| sender.send((from, n)).unwrap()))
        })
        .collect();
    drop(sender);
    let mut next = [0; 5];
    for (from, n) in &receiver {
        assert_eq!(next[from], n, "out of order");
        next[from] += 1;
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    Ok(vec![format!("{next:?}"), format!("{:?}", receiver.try_recv()), format!("{:?}", receiver.recv())])
}

/// What a channel answers when nothing is there, when it is full, and when the other end is gone.
pub(super) fn channel_answers() -> Seen {
    let (sender, receiver) = sync_channel(1);
    let mut seen = vec![format!("{:?}", receiver.try_recv() == Err(TryRecvError::Empty))];
    seen.push(format!("{:?}", receiver.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout)));
    sender.send(1)?;
    let full = sender.try_send(2).unwrap_err();
    seen.push(format!("{full} {full:?} {}", matches!(full, TrySendError::Full(2))));
    seen.push(format!("{:?}", receiver.try_iter().collect::<Vec<_>>()));
    let (meets, met) = sync_channel(0);
    seen.push(format!("{:?}", meets.try_send(3)));
    let meeting = thread::spawn(move || met.into_iter().collect::<Vec<i32>>());
    (4..7).try_for_each(|n| meets.send(n))?;
    drop(meets);
    seen.push(format!("{:?}", meeting.join().unwrap()));
    drop(receiver);
    let gone = sender.send(8).unwrap_err();
    seen.push(format!("{gone} {gone:?} {} {sender:?}", gone.0));
    let (sender, receiver) = channel::<u8>();
    drop(sender);
    let none = receiver.recv().unwrap_err();
    seen.push(format!("{none} {:?} {}", receiver.recv_timeout(Duration::ZERO), receiver.iter().count()));
    Ok(seen)
}

thread_local! {
    static COUNT: Cell<u32> = const { Cell::new(0) };
    static TRACE: RefCell<Vec<u32>> = RefCell::new(vec![100]);
}

/// Each has its own, whatever the others do meanwhile.
pub(super) fn own_values() -> Seen {
    COUNT.set(50);
    let threads: Vec<_> = (0..4)
        .map(|n| {
            thread::spawn(move || {
                for step in 0..n {
                    COUNT.set(COUNT.get() + step);
                    TRACE.with_borrow_mut(|trace| trace.push(step));
                    thread::yield_now();
                }
                format!("{} {:?}", COUNT.replace(0), TRACE.take())
            })
        })
        .collect();
    let mut seen: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    seen.push(format!("{} {:?}", COUNT.take(), TRACE.with_borrow(Clone::clone)));
    Ok(seen)
}

/// A token is kept for the park to come, but only one.
pub(super) fn park_and_unpark() -> Seen {
    let main = thread::current();
    main.unpark();
    main.unpark();
    thread::park();
    let flag = Arc::new(Mutex::new(false));
    let sets = Arc::clone(&flag);
    let setter = thread::spawn(move || {
        *sets.lock().unwrap() = true;
        main.unpark();
        thread::current().id() == main.id()
    });
    while !*flag.lock().unwrap() {
        thread::park();
    }
    let same = setter.thread().id() == thread::current().id();
    let joined = setter.join().unwrap();
    thread::park_timeout(Duration::from_millis(1));
    Ok(vec![format!("{same} {joined} {}", thread::panicking())])
}
