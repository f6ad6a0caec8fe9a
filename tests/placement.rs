//! Where coroutines are born: connections end up even across workers, however they come.
mod support;

use dormouse::net::{TcpListener, TcpStream};
use dormouse::{Builder, spawn, thread};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{bounded, eventually, thread_number};

/// Who was born on which worker.
#[derive(Default)]
struct Births {
    by_worker: Mutex<HashMap<i32, Vec<thread::Thread>>>,
    count: AtomicUsize,
}

impl Births {
    /// Called by a newcomer.
    fn register(&self) {
        self.by_worker.lock().unwrap().entry(thread_number()).or_default().push(thread::current());
        self.count.fetch_add(1, SeqCst);
    }

    fn await_all(&self, count: usize) {
        eventually(60, "all have started", || self.count.load(SeqCst) == count);
    }

    /// Panics unless those registered are within 10 % of even.
    #[track_caller]
    fn assert_even(&self, workers: usize) {
        let by_worker = self.by_worker.lock().unwrap();
        let counts: Vec<_> = by_worker.values().map(Vec::len).collect();
        let even = counts.iter().sum::<usize>() as f64 / workers as f64;
        let is_even = |count: &usize| (*count as f64 - even).abs() <= even / 10.0;
        assert!(counts.len() == workers && counts.iter().all(is_even), "{counts:?} on {workers} workers");
    }
}

/// Runs `f` on two workers, then on four.
fn on_fleets(f: fn(usize)) {
    for workers in [2, 4] {
        bounded(120, move || Builder::new().workers(workers).run(move || f(workers)).unwrap());
    }
}

/// As whoever accepts does, which otherwise would be in a long run.
fn yield_at_times(nth: usize) {
    if nth.is_multiple_of(64) {
        thread::yield_now();
    }
}

/// Like a connection: it parks at once and for good.
fn park_one(births: &Arc<Births>) {
    let births = Arc::clone(births);
    spawn(move || {
        births.register();
        thread::park();
    });
}

#[test]
fn ten_thousand_spawned_in_a_burst_are_even() {
    on_fleets(|workers| {
        let births = Arc::default();
        for nth in 1..=10_000 {
            park_one(&births);
            yield_at_times(nth);
        }
        births.await_all(10_000);
        births.assert_even(workers);
    });
}

#[test]
fn ten_thousand_that_come_one_at_a_time_are_even() {
    on_fleets(|workers| {
        let births = Arc::new(Births::default());
        for _ in 0..10_000 {
            let (spawner, born) = (thread::current(), Arc::clone(&births));
            spawn(move || {
                born.register();
                spawner.unpark();
                thread::park();
            });
            thread::park();
        }
        births.assert_even(workers);
    });
}

/// Idle workers have the time to take every one of them, but that would not be even.
#[test]
fn those_of_a_spawner_that_takes_its_time_are_even() {
    on_fleets(|workers| {
        let births = Arc::default();
        for nth in 1..=2_000 {
            park_one(&births);
            let spawned = Instant::now();
            while spawned.elapsed() < Duration::from_micros(20) {
                std::hint::spin_loop();
            }
            if nth % 8 == 0 {
                thread::yield_now();
            }
        }
        births.await_all(2_000);
        births.assert_even(workers);
    });
}

#[test]
fn those_that_come_make_up_for_those_that_ended() {
    on_fleets(|workers| {
        let births = Arc::new(Births::default());
        for nth in 0..2_000 {
            park_one(&births);
            yield_at_times(nth);
        }
        births.await_all(2_000);
        // All of one worker but the spawner's own, and half of the others.
        let own = thread_number();
        let mut ended = 0;
        {
            let mut by_worker = births.by_worker.lock().unwrap();
            let emptied = *by_worker.keys().find(|worker| **worker != own).expect("there are several");
            for (worker, parked) in by_worker.iter_mut() {
                let left = if *worker == emptied { 0 } else { parked.len() / 2 };
                ended += parked.len() - left;
                parked.drain(left..).for_each(|coroutine| coroutine.unpark());
            }
        }
        for nth in 0..4_000 {
            park_one(&births);
            yield_at_times(nth);
        }
        births.await_all(6_000);
        assert!(ended > 500);
        births.assert_even(workers);
    });
}

fn serve(births: &Arc<Births>, mut stream: TcpStream) {
    let births = Arc::clone(births);
    spawn(move || {
        births.register();
        let _ = stream.write_all(b"!");
        let _ = stream.read(&mut [0; 8]);
    });
}

/// One coroutine accepts them all, from clients that wait for an answer before the next connects, or do not.
fn accept(workers: usize, connections: usize, one_by_one: bool) {
    let births = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let clients = std::thread::spawn(move || {
        let connect = |_| {
            let mut stream = std::net::TcpStream::connect(addr).unwrap();
            if one_by_one {
                stream.read_exact(&mut [0]).unwrap();
            }
            stream
        };
        (0..connections).map(connect).collect::<Vec<_>>()
    });
    for _ in 0..connections {
        serve(&births, listener.accept().unwrap().0);
    }
    births.await_all(connections);
    births.assert_even(workers);
    eventually(10, "the clients have connected", || clients.is_finished());
    drop(clients.join().unwrap());
}

#[test]
fn connections_accepted_in_a_burst_are_even() {
    on_fleets(|workers| accept(workers, 2_000, false));
}

#[test]
fn connections_that_come_one_at_a_time_are_even() {
    on_fleets(|workers| accept(workers, 2_000, true));
}
