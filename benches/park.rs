//! What does a round trip of park and unpark cost between two coroutines, on one worker and across two?
//!
//! One party hits the ball and unparks the other, which hits it back: an iteration is two unparks and two parks. The peers
//! are OS threads with `std::thread::park`, tokio tasks with a `Notify` each (on the current-thread runtime, and on two
//! workers, where the scheduler may put both tasks on one of them), and may with one worker.
//!
//! Excluded: the start of the runtime, the spawns, and the first hundred round trips. Two workers, or two threads, need two
//! idle cores; on one core the figure is that of the kernel's context switch.

use criterion::{Criterion, SamplingMode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Round trips before time counts.
const WARM_UP: u64 = 100;

/// Coroutines spawned at once by [`across_workers`]: more than a worker keeps to itself while another is idle.
const VOLUNTEERS: usize = 64;

/// Makes this many round trips, and says how long they took.
type Runner = fn(trips: u64) -> Duration;

fn main() {
    may::config().set_workers(1);
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .without_plots()
        .configure_from_args();
    let mut group = criterion.benchmark_group("park/unpark round trip");
    group.sampling_mode(SamplingMode::Flat);
    let runners: [(&str, Runner); 7] = [
        ("dormouse, same worker", same_worker),
        ("tokio Notify, current_thread", |trips| tokio(trips, tokio::runtime::Builder::new_current_thread())),
        ("may, 1 worker", may),
        ("dormouse, two workers", across_workers),
        ("tokio Notify, two workers", |trips| tokio(trips, two_tokio_workers())),
        ("std thread", threads),
        ("dormouse, coroutine and std thread", coroutine_and_thread),
    ];
    for (name, run) in runners {
        group.bench_function(name, |bencher| bencher.iter_custom(run));
    }
    group.finish();
    criterion.final_summary();
}

/// Counts the hits: after an even number the server is to hit, after an odd one the returner.
#[derive(Default)]
struct Ball(AtomicU64);

impl Ball {
    fn hit(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn hits(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Makes `trips` round trips from the server's side, and says how long they took.
    fn serve(&self, trips: u64, mut unpark: impl FnMut(), park: fn()) -> Duration {
        let mut begin = Instant::now();
        for trip in 0..WARM_UP + trips {
            if trip == WARM_UP {
                begin = Instant::now();
            }
            self.hit();
            unpark();
            while self.hits() != 2 * trip + 2 {
                park();
            }
        }
        begin.elapsed()
    }

    /// The other side.
    fn give_back(&self, trips: u64, mut unpark: impl FnMut(), park: fn()) {
        for trip in 0..WARM_UP + trips {
            while self.hits() != 2 * trip + 1 {
                park();
            }
            self.hit();
            unpark();
        }
    }
}

fn same_worker(trips: u64) -> Duration {
    use dormouse::thread;
    let run = || {
        let ball = Arc::new(Ball::default());
        let (server, returned) = (thread::current(), Arc::clone(&ball));
        let returner = thread::spawn(move || returned.give_back(trips, || server.unpark(), thread::park));
        let took = ball.serve(trips, || returner.thread().unpark(), thread::park);
        returner.join().unwrap();
        took
    };
    dormouse::Builder::new().workers(1).run(run).unwrap()
}

/// The meeting of a server with a returner on another worker.
struct Meeting {
    /// What they play with.
    ball: Ball,
    /// Whether there is a returner.
    found: AtomicBool,
    /// The returner.
    returner: OnceLock<dormouse::thread::Thread>,
    /// The server.
    server: dormouse::thread::Thread,
    /// Where the server runs.
    home: std::thread::ThreadId,
}

impl Meeting {
    /// Becomes the returner if there is none and this is another worker; a coroutine never leaves its own.
    fn volunteer(&self, trips: u64) {
        let elsewhere = std::thread::current().id() != self.home;
        if elsewhere && !self.found.swap(true, Ordering::Relaxed) {
            let _ = self.returner.set(dormouse::thread::current());
            self.ball.give_back(trips, || self.server.unpark(), dormouse::thread::park);
        }
    }
}

fn across_workers(trips: u64) -> Duration {
    use dormouse::thread;
    let run = || {
        let meeting = Arc::new(Meeting {
            ball: Ball::default(),
            found: AtomicBool::new(false),
            returner: OnceLock::new(),
            server: thread::current(),
            home: std::thread::current().id(),
        });
        while meeting.returner.get().is_none() {
            for _ in 0..VOLUNTEERS {
                let meeting = Arc::clone(&meeting);
                thread::spawn(move || meeting.volunteer(trips));
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        let returner = meeting.returner.get().expect("just found");
        meeting.ball.serve(trips, || returner.unpark(), thread::park)
    };
    dormouse::Builder::new().workers(2).run(run).unwrap()
}

fn coroutine_and_thread(trips: u64) -> Duration {
    use dormouse::thread;
    let run = || {
        let ball = Arc::new(Ball::default());
        let (server, returned) = (thread::current(), Arc::clone(&ball));
        let (send, receive) = std::sync::mpsc::channel();
        let returner = std::thread::spawn(move || {
            send.send(thread::current()).unwrap();
            returned.give_back(trips, || server.unpark(), thread::park);
        });
        let other = receive.recv().unwrap();
        let took = ball.serve(trips, || other.unpark(), thread::park);
        returner.join().unwrap();
        took
    };
    dormouse::Builder::new().workers(1).run(run).unwrap()
}

fn threads(trips: u64) -> Duration {
    use std::thread;
    let ball = Arc::new(Ball::default());
    let (server, returned) = (thread::current(), Arc::clone(&ball));
    let returner = thread::spawn(move || returned.give_back(trips, || server.unpark(), thread::park));
    let took = ball.serve(trips, || returner.thread().unpark(), thread::park);
    returner.join().unwrap();
    took
}

fn may(trips: u64) -> Duration {
    use may::coroutine;
    let main = move || {
        let ball = Arc::new(Ball::default());
        let (server, returned) = (coroutine::current(), Arc::clone(&ball));
        let give_back = move || returned.give_back(trips, || server.unpark(), coroutine::park);
        // SAFETY: the closure touches no thread-local and little stack.
        let returner = unsafe { coroutine::spawn(give_back) };
        let took = ball.serve(trips, || returner.coroutine().unpark(), coroutine::park);
        returner.join().unwrap();
        took
    };
    // SAFETY: as above.
    unsafe { coroutine::spawn(main) }.join().unwrap()
}

fn two_tokio_workers() -> tokio::runtime::Builder {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2);
    builder
}

fn tokio(trips: u64, mut runtime: tokio::runtime::Builder) -> Duration {
    let [server, returner] = [0; 2].map(|_| Arc::new(Notify::new()));
    let returning = {
        let (server, returner) = (Arc::clone(&server), Arc::clone(&returner));
        async move {
            for _ in 0..WARM_UP + trips {
                returner.notified().await;
                server.notify_one();
            }
        }
    };
    let serving = async move {
        let mut begin = Instant::now();
        for trip in 0..WARM_UP + trips {
            if trip == WARM_UP {
                begin = Instant::now();
            }
            returner.notify_one();
            server.notified().await;
        }
        begin.elapsed()
    };
    runtime.build().unwrap().block_on(async {
        tokio::spawn(returning);
        tokio::spawn(serving).await.unwrap()
    })
}
