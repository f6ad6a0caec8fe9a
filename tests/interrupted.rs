//! The runtime is used by code whose own system calls are interrupted by signals: each interruption is a chance to use it, and
//! none is lost.

mod support;

use dormouse::sync::mpsc::channel;
use dormouse::{spawn, thread};
use std::io::{Error, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};
use std::time::Duration;
use support::{bounded, run, thread_number};

extern "C" fn nothing(_: libc::c_int) {}

/// Signals to one thread, without end, that interrupt what it is in.
struct Storm {
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Storm {
    fn at(target: i32) -> Storm {
        let handler: extern "C" fn(libc::c_int) = nothing;
        // SAFETY: a zeroed sigaction is valid; without SA_RESTART. The handler does nothing.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as usize;
            assert_eq!(libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut()), 0);
        }
        let over = Arc::new(AtomicBool::new(false));
        let own = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while !own.load(SeqCst) {
                // SAFETY: takes integers.
                unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), target, libc::SIGUSR2) };
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        Storm { over, thread: Some(thread) }
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Reads a byte as C code does, and calls `meanwhile` each time that a signal interrupts it.
fn read_byte(fd: &OwnedFd, mut meanwhile: impl FnMut()) -> u8 {
    let mut byte = 0u8;
    loop {
        // SAFETY: one writable byte.
        match unsafe { libc::read(fd.as_raw_fd(), (&raw mut byte).cast(), 1) } {
            1 => return byte,
            _ => assert_eq!(Error::last_os_error().raw_os_error(), Some(libc::EINTR)),
        }
        meanwhile();
    }
}

/// Spawns, joins, sends, receives and sleeps.
fn use_the_runtime() {
    let (sender, receiver) = channel();
    let sends = spawn(move || sender.send(7).unwrap());
    assert_eq!(receiver.recv(), Ok(7));
    sends.join().unwrap();
    thread::sleep(Duration::from_micros(50));
    thread::current().unpark();
    thread::park();
    thread::yield_now();
}

fn is_interrupted_often_and_gets_its_byte() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let target = Arc::new(AtomicI32::new(thread_number()));
    let _storm = Storm::at(target.load(SeqCst));
    let (mut times, mut enough) = (0, Some(move || writer.write_all(&[7]).unwrap()));
    let byte = read_byte(&reader.into(), || {
        use_the_runtime();
        times += 1;
        if times == 30 {
            enough.take().unwrap()();
        }
    });
    assert_eq!((byte, enough.is_none()), (7, true));
}

#[test]
fn a_plain_thread_uses_it_between_interruptions() {
    bounded(30, is_interrupted_often_and_gets_its_byte);
}

/// The worker is blocked by the call, and goes on with others at each interruption.
#[test]
fn a_coroutine_uses_it_between_interruptions() {
    bounded(30, || run(is_interrupted_often_and_gets_its_byte));
}
