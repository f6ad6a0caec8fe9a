//! The same two games, as others play them.

use super::{ROOM, WARM_UP, timed};
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::sync::mpsc as tokio_mpsc;

pub(crate) fn one_tokio_worker() -> Builder {
    Builder::new_current_thread()
}

pub(crate) fn two_tokio_workers() -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2);
    builder
}

pub(crate) fn tokio_ping_pong(messages: u64, mut runtime: Builder) -> Duration {
    runtime.build().unwrap().block_on(async move {
        let ((ping, mut pinged), (pong, mut ponged)) = (tokio_mpsc::channel(1), tokio_mpsc::channel(1));
        tokio::spawn(async move {
            while let Some(message) = pinged.recv().await {
                let _ = pong.send(message).await;
            }
        });
        let plays = tokio::spawn(async move {
            let mut begin = Instant::now();
            for n in 0..WARM_UP + messages {
                if n == WARM_UP {
                    begin = Instant::now();
                }
                ping.send(1_u64).await.unwrap();
                ponged.recv().await.unwrap();
            }
            begin.elapsed()
        });
        plays.await.unwrap()
    })
}

pub(crate) fn tokio_stream(messages: u64, mut runtime: Builder) -> Duration {
    runtime.build().unwrap().block_on(async move {
        let (sender, mut receiver) = tokio_mpsc::channel(ROOM);
        tokio::spawn(async move { while sender.send(1_u64).await.is_ok() {} });
        let receives = tokio::spawn(async move {
            let mut begin = Instant::now();
            for n in 0..WARM_UP + messages {
                if n == WARM_UP {
                    begin = Instant::now();
                }
                receiver.recv().await.unwrap();
            }
            begin.elapsed()
        });
        receives.await.unwrap()
    })
}

fn may_run(main: impl FnOnce() -> Duration + Send + 'static) -> Duration {
    // SAFETY: the closures of this file touch no thread-local and little stack.
    unsafe { may::coroutine::spawn(main) }.join().unwrap()
}

pub(crate) fn may_ping_pong(messages: u64) -> Duration {
    use may::sync::mpsc::channel;
    may_run(move || {
        let ((ping, pinged), (pong, ponged)) = (channel(), channel());
        let other = move || {
            while let Ok(message) = pinged.recv() {
                let _ = pong.send(message);
            }
        };
        // SAFETY: as in `may_run`.
        drop(unsafe { may::coroutine::spawn(other) });
        timed(messages, || {
            ping.send(1_u64).unwrap();
            ponged.recv().unwrap();
        })
    })
}

/// may's channels have no limit: the sender sends in portions.
pub(crate) fn may_stream(messages: u64) -> Duration {
    use may::sync::mpsc::channel;
    may_run(move || {
        let ((sender, receiver), (ask, asked)) = (channel(), channel());
        let other = move || {
            while let Ok(()) = asked.recv() {
                (0..ROOM).for_each(|_| sender.send(1_u64).unwrap());
            }
        };
        // SAFETY: as in `may_run`.
        drop(unsafe { may::coroutine::spawn(other) });
        let mut left = 0;
        timed(messages, || {
            if left == 0 {
                ask.send(()).unwrap();
                left = ROOM;
            }
            left -= 1;
            receiver.recv().unwrap();
        })
    })
}

pub(crate) fn crossbeam_ping_pong(messages: u64) -> Duration {
    use crossbeam_channel::bounded;
    let ((ping, pinged), (pong, ponged)) = (bounded(1), bounded(1));
    let other = std::thread::spawn(move || pinged.iter().all(|message: u64| pong.send(message).is_ok()));
    let took = timed(messages, || {
        ping.send(1).unwrap();
        ponged.recv().unwrap();
    });
    drop(ping);
    other.join().unwrap();
    took
}

pub(crate) fn crossbeam_stream(messages: u64) -> Duration {
    let (sender, receiver) = crossbeam_channel::bounded(ROOM);
    let other = std::thread::spawn(move || while sender.send(1_u64).is_ok() {});
    let took = timed(messages, || {
        receiver.recv().unwrap();
    });
    drop(receiver);
    other.join().unwrap();
    took
}

pub(crate) fn std_ping_pong(messages: u64) -> Duration {
    use std::sync::mpsc::sync_channel;
    let ((ping, pinged), (pong, ponged)) = (sync_channel(1), sync_channel(1));
    let other = std::thread::spawn(move || pinged.iter().all(|message: u64| pong.send(message).is_ok()));
    let took = timed(messages, || {
        ping.send(1).unwrap();
        ponged.recv().unwrap();
    });
    drop(ping);
    other.join().unwrap();
    took
}

pub(crate) fn std_stream(messages: u64) -> Duration {
    let (sender, receiver) = std::sync::mpsc::sync_channel(ROOM);
    let other = std::thread::spawn(move || while sender.send(1_u64).is_ok() {});
    let took = timed(messages, || {
        receiver.recv().unwrap();
    });
    drop(receiver);
    other.join().unwrap();
    took
}
