//! A runtime at work: waiting, waking, stacks, timers, signals, the pool of threads, children.

use crate::pages::*;
use crate::support::eventually;
use crate::tcp::{listener, pair};
use crate::walk::As::{Coroutine, Thread};
use crate::walk::Seen::{Aborts, Lasting, Nothing, Panics, Retried, Waited};
use crate::walk::{IN_VAIN, Row, Seen, Strike};
use dormouse::os::unix::net::UnixStream;
use dormouse::sync::mpsc::channel;
use dormouse::{Runtime, fs, process, signal, spawn_local, thread};
use libc::*;
use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::time::Duration;

/// Success is to wait in vain.
fn in_vain<T>(answer: io::Result<T>) -> io::Result<()> {
    match answer {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        answer => answer.map(drop),
    }
}

/// Sleeps until a byte comes, without a deadline.
fn parks_for_a_byte(strike: &Strike) -> io::Result<()> {
    let (mut ours, peer) = pair(strike)?;
    ours.set_read_timeout(None)?;
    strike.on(|| {
        let mut peer = peer.try_clone()?;
        let feeder = spawn_local(move || peer.write_all(&[7]));
        ours.read_exact(&mut [0])?;
        feeder.join().unwrap()
    });
    Ok(())
}

fn sleeps(strike: &Strike) -> io::Result<()> {
    strike.on(|| {
        let start = std::time::Instant::now();
        thread::sleep(Duration::from_millis(2));
        assert!(start.elapsed() >= Duration::from_millis(2), "it was cut short");
        Ok(())
    });
    Ok(())
}

/// What epoll cannot watch cannot be waited for.
fn waits_in_vain(strike: &Strike) -> io::Result<()> {
    let (mut ours, _peer) = pair(strike)?;
    ours.set_read_timeout(Some(IN_VAIN))?;
    strike.on(|| in_vain(ours.read(&mut [0])));
    Ok(())
}

/// Watched for reading, it is to be watched for writing, too.
fn waits_for_more(strike: &Strike) -> io::Result<()> {
    let (mut ours, _peer) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    while ours.write(&[0; 4096]).is_ok() {}
    while ours.write(&[0]).is_ok() {}
    ours.set_nonblocking(false)?;
    ours.set_read_timeout(Some(IN_VAIN))?;
    ours.set_write_timeout(Some(IN_VAIN))?;
    in_vain(ours.read(&mut [0]))?;
    strike.on(|| in_vain(ours.write(&[7])));
    Ok(())
}

/// A listener that nobody waits for any more is not told of, and can be waited for again.
fn waits_no_more(strike: &Strike) -> io::Result<()> {
    let (listener, addr) = listener()?;
    let listener = Rc::new(listener);
    let accepts = || {
        let own = Rc::clone(&listener);
        let waiting = spawn_local(move || own.accept().map(drop));
        thread::yield_now();
        waiting
    };
    strike.on(|| {
        let waiting = accepts();
        waiting.cancel();
        assert!(waiting.join().is_err(), "there was nothing to accept");
        let _client = std::net::TcpStream::connect(addr)?;
        let before = dormouse::metrics().total.polls;
        (0..5).for_each(|_| thread::sleep(Duration::from_millis(1)));
        let polls = dormouse::metrics().total.polls - before;
        assert!(polls < 100, "a spin: {polls} looks at the poller");
        listener.accept()?;
        let waiting = accepts();
        let _client = std::net::TcpStream::connect(addr)?;
        waiting.join().unwrap()
    });
    Ok(())
}

/// A thread that waits for one who sends a little later.
fn receives_from_another(strike: &Strike) -> io::Result<()> {
    strike.on(|| {
        let (sender, receiver) = channel();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            sender.send(7).unwrap();
        });
        assert_eq!(receiver.recv(), Ok(7));
        other.join().unwrap();
        Ok(())
    });
    Ok(())
}

/// Whether the thread is in this call, or about to enter or leave it.
fn is_in(thread: i32, call: i64) -> bool {
    let text = std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall"));
    text.is_ok_and(|text| text.starts_with(&format!("{call} ")))
}

/// Wakes a thread that sleeps.
fn wakes_a_thread(strike: &Strike) -> io::Result<()> {
    let (sender, receiver) = channel();
    let number = Arc::new(AtomicI32::new(0));
    let own = Arc::clone(&number);
    let sleeper = std::thread::spawn(move || {
        own.store(crate::support::thread_number(), SeqCst);
        assert_eq!(receiver.recv(), Ok(7));
    });
    eventually(10, "it sleeps", || is_in(number.load(SeqCst), SYS_futex));
    strike.on(|| {
        let _ = sender.send(7);
        Ok(())
    });
    sleeper.join().unwrap();
    Ok(())
}

/// Wakes a worker that sleeps.
fn wakes_a_worker(strike: &Strike) -> io::Result<()> {
    let runtime = Runtime::new()?;
    let number = Arc::new(AtomicI32::new(0));
    let own = Arc::clone(&number);
    let parked = runtime.spawn(move || {
        own.store(crate::support::thread_number(), SeqCst);
        thread::park();
    });
    let sleeps = |call| is_in(number.load(SeqCst), call);
    eventually(10, "its worker sleeps", || sleeps(SYS_epoll_wait) || sleeps(SYS_epoll_pwait2));
    strike.on(|| {
        parked.thread().unpark();
        Ok(())
    });
    parked.join().unwrap();
    runtime.shutdown_timeout(Duration::from_secs(10));
    Ok(())
}

fn takes_a_signal(strike: &Strike) -> io::Result<()> {
    let listener = signal::Signals::new(&[signal::SIGUSR1])?;
    strike.on(|| {
        assert_eq!(listener.try_wait()?, None);
        // SAFETY: raises a signal in this thread, which is handled.
        unsafe { raise(SIGUSR1) };
        assert_eq!(listener.wait_timeout(Duration::from_secs(5))?, signal::SIGUSR1);
        Ok(())
    });
    Ok(())
}

/// Each signal is handled once for the process, so it takes another one each time.
fn listens_for_a_signal(strike: &Strike) -> io::Result<()> {
    static NEXT: AtomicI32 = AtomicI32::new(35);
    strike.on(|| {
        let listener = signal::Signals::new(&[NEXT.load(SeqCst)]);
        NEXT.fetch_add(i32::from(listener.is_ok()), SeqCst);
        listener.map(drop)
    });
    Ok(())
}

/// The error in a join's answer.
fn told_by_join<T>(joined: std::thread::Result<T>) -> io::Result<()> {
    joined.map(drop).map_err(|payload| *payload.downcast().expect("an error of I/O"))
}

/// A stack of a size that nobody has yet: only its own coroutine, and not this one, goes without.
fn spawns(strike: &Strike) -> io::Result<()> {
    let mut sizes = (0..).map(|n| (2 << 20) << (n % 6));
    strike.on(|| {
        let large = thread::Builder::new().stack_size(sizes.next().unwrap());
        told_by_join(large.spawn_local(|| ())?.join())
    });
    Ok(())
}

/// More than are kept: the memory of some is given back.
fn gives_stacks_back(strike: &Strike) -> io::Result<()> {
    strike.on(|| {
        let started = Rc::new(Cell::new(0));
        let park = || {
            let started = Rc::clone(&started);
            spawn_local(move || {
                started.set(started.get() + 1);
                thread::park();
            })
        };
        let parked: Vec<_> = (0..600).map(|_| park()).collect();
        while started.get() < parked.len() {
            thread::yield_now();
        }
        parked.iter().for_each(|parked| parked.thread().unpark());
        parked.into_iter().for_each(|parked| parked.join().unwrap());
        (0..20).for_each(|_| thread::sleep(Duration::from_micros(100)));
        Ok(())
    });
    Ok(())
}

fn asks_for_its_high_water(strike: &Strike) -> io::Result<()> {
    strike.on(|| thread::stack_high_water().map(drop));
    Ok(())
}

/// The pool's first call.
fn calls_the_pool(strike: &Strike) -> io::Result<()> {
    strike.on(|| fs::read_dir("/").map(drop));
    Ok(())
}

fn waits_for_a_child(strike: &Strike) -> io::Result<()> {
    strike.on(|| {
        let mut child = process::Command::new("sleep").arg("0.01").spawn()?;
        child.wait().map(|status| assert!(status.success()))
    });
    Ok(())
}

fn starts_a_child_with_a_pipe(strike: &Strike) -> io::Result<()> {
    strike.on(|| {
        let output = process::Command::new("echo").arg("seven").output()?;
        assert_eq!(output.stdout, b"seven\n");
        Ok(())
    });
    Ok(())
}

const MISUSED: Seen = Aborts("epoll and timerfd fail only when misused");
const NO_WAKE: Seen = Aborts("an eventfd fails only when misused");
const NO_FUTEX: Seen = Aborts("a futex fails only when misused");

pub(crate) const WAITING: &[Row] = &[
    Row::new("epoll_wait", EPOLL_WAIT, parks_for_a_byte).only(Coroutine).seen(MISUSED),
    Row::new("epoll_pwait2", EPOLL_PWAIT2, sleeps).only(Coroutine).seen(MISUSED).but(&[(&[ENOSYS, EPERM], Nothing)]),
    Row::new("timerfd_settime", TIMERFD_SETTIME, sleeps).only(Coroutine).seen(MISUSED),
    Row::new("epoll_ctl(ADD)", EPOLL_CTL, waits_in_vain).only(Coroutine),
    Row::new("epoll_ctl(MOD)", EPOLL_CTL, waits_for_more).only(Coroutine),
    Row::new("epoll_ctl(DEL)", EPOLL_CTL, waits_no_more).only(Coroutine).seen(Waited),
    Row::new("ppoll", POLL, waits_in_vain).only(Thread),
    Row::new("clock_nanosleep", CLOCK_NANOSLEEP, sleeps)
        .only(Thread)
        .seen(Panics("clock_nanosleep fails only when misused")),
    Row::new("futex(WAIT)", WAIT_OF_FUTEX, receives_from_another)
        .only(Thread)
        .seen(NO_FUTEX)
        .but(&[(&[EAGAIN, EINTR, ETIMEDOUT], Retried)]),
    Row::new("futex(WAKE)", WAKE_OF_FUTEX, wakes_a_thread).only(Thread).seen(NO_FUTEX),
    Row::new("write", EVENTFD_WRITE, wakes_a_worker).only(Thread).seen(NO_WAKE).but(&[(&[EINTR], Retried)]),
    Row::new("read", EVENTFD_READ, takes_a_signal).seen(NO_WAKE).but(&[(&[EINTR], Retried), (&[EAGAIN], Nothing)]),
    Row::new("sigaction", SIGACTION, listens_for_a_signal).only(Thread),
];

pub(crate) const STACKS: &[Row] = &[
    Row::new("mmap", MMAP, spawns).only(Coroutine).seen(Lasting),
    Row::new("madvise(GUARD_INSTALL)", MADVISE, spawns).only(Coroutine).seen(Nothing),
    Row::new("process_madvise", PROCESS_MADVISE, gives_stacks_back).only(Coroutine).seen(Nothing),
    Row::new("madvise(DONTNEED)", MADVISE, gives_stacks_back).only(Coroutine).seen(Nothing),
    Row::new("mincore", MINCORE, asks_for_its_high_water).only(Coroutine),
];

pub(crate) const HELPERS: &[Row] = &[
    Row::new("pthread_create", PTHREAD_CREATE, calls_the_pool).only(Coroutine).first(),
    Row::new("pidfd_open", PIDFD_OPEN, waits_for_a_child).only(Coroutine).seen(Nothing),
    Row::new("ioctl(FIONBIO)", IOCTL, starts_a_child_with_a_pipe).only(Coroutine),
];
