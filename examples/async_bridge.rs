//! Coroutines and async code, each waiting for the other: a tokio task awaits coroutines, a coroutine blocks on what tokio drives.
use dormouse::{Builder, block_on, spawn, thread};
use futures::future::{Either, join_all, select};
use std::time::Duration;

fn main() -> std::io::Result<()> {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    // What makes sleeps and sockets of tokio's then finds it, on whichever thread: the two share no more than that.
    let handle = tokio.handle();
    Builder::new().workers(2).run(|| {
        // Async code awaits coroutines: each is a future of its result.
        let squares = (1..=10u32).map(|n| {
            spawn(move || {
                thread::sleep(Duration::from_millis(u64::from(n % 3)));
                n * n
            })
        });
        let sum = handle.spawn(async {
            let squares = join_all(squares.collect::<Vec<_>>()).await;
            squares.into_iter().map(|square| square.expect("no square panics")).sum::<u32>()
        });
        println!("sum of squares: {}", block_on(sum).expect("the task does not panic"));

        // A coroutine waits for a message of tokio's, parked meanwhile.
        let (ask, mut asked) = tokio::sync::mpsc::channel::<(u32, tokio::sync::oneshot::Sender<u32>)>(1);
        handle.spawn(async move {
            while let Some((question, answer)) = asked.recv().await {
                let _ = answer.send(question * 2);
            }
        });
        let asking = spawn(move || {
            let (answer, answered) = tokio::sync::oneshot::channel();
            block_on(ask.send((21, answer))).expect("the task answers as long as somebody asks");
            block_on(answered).expect("it answers everybody")
        });
        println!("answer: {}", asking.join().expect("asking does not panic"));

        // Whichever comes first.
        let slow = spawn(thread::park);
        // Tokio's own are made inside its context; that lasts for a closure, never across a park.
        let timeout = {
            let _entered = handle.enter();
            Box::pin(tokio::time::sleep(Duration::from_millis(10)))
        };
        match block_on(select(slow, timeout)) {
            Either::Left(_) => println!("it was unparked"),
            Either::Right(((), slow)) => {
                println!("timed out");
                slow.cancel();
            }
        }
    })
}
