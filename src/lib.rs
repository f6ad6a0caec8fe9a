//! Stackful coroutines for networking on Linux: one coroutine per client, written in plain blocking style.
//!
//! A coroutine is what a thread is in `std`: spawned, joined, parked. Where it would block, on a socket, a sleep or a
//! join, it parks, and the OS thread it runs on, its *worker*, goes on with others; epoll says whom to wake. It stays on
//! its worker for life.
//!
//! ```
//! use dormouse::net::{TcpListener, TcpStream};
//! use dormouse::thread;
//! use std::io::{Read, Write};
//!
//! # fn main() -> std::io::Result<()> {
//! let answer = dormouse::run(|| {
//!     let listener = TcpListener::bind("127.0.0.1:0")?;
//!     let addr = listener.local_addr()?;
//!     let server = thread::spawn(move || {
//!         let (mut client, _) = listener.accept()?;
//!         let mut buffer = [0; 5];
//!         client.read_exact(&mut buffer)?;
//!         client.write_all(&buffer)
//!     });
//!     let mut stream = TcpStream::connect(addr)?;
//!     stream.write_all(b"hello")?;
//!     let mut answer = String::new();
//!     stream.read_to_string(&mut answer)?;
//!     server.join().expect("the server does not panic")?;
//!     std::io::Result::Ok(answer)
//! })?;
//! assert_eq!(answer, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! # From `std` to `dormouse`
//!
//! Names and signatures are `std`'s, so that a program is ported by changing its imports.
//!
//! | `std` | `dormouse` |
//! |---|---|
//! | `std::net` | [`dormouse::net`](net), which re-exports `std`'s addresses and [`Shutdown`](net::Shutdown) |
//! | `std::net::ToSocketAddrs` | [`net::ToSocketAddrs`], the same for the same types, but a lookup parks |
//! | `std::os::unix::net`, `std::os::linux::net` | [`dormouse::os::unix::net`](os::unix::net), [`dormouse::os::linux::net`](os::linux::net) |
//! | `std::fs`, `std::os::unix::fs` | [`dormouse::fs`](fs), [`dormouse::os::unix::fs`](os::unix::fs): on a pool of threads, since no poller knows of disks |
//! | `std::io` | [`dormouse::io`](io): std's own, but for [`stdin`](io::stdin), which parks |
//! | `std::process`, `std::os::unix::process` | [`dormouse::process`](process), [`dormouse::os::unix::process`](os::unix::process): waiting for a child, and its pipes, parks |
//! | `std::thread` | [`dormouse::thread`](thread): coroutines where std has threads |
//! | `std::thread_local!`, `std::thread::LocalKey` | [`thread_local!`], [`thread::LocalKey`]: of each coroutine its own |
//! | `std::time` | [`dormouse::time`](time): std's own, and [`timeout`](time::timeout), [`deadline`](time::deadline) around any code |
//! | `std::sync` | [`dormouse::sync`](sync): locks, [`mpsc`](sync::mpsc), `Arc`, atomics; also [`mpmc`](sync::mpmc) and [`oneshot`](sync::oneshot), unstable in std |
//! | nothing | [`run`], [`Builder`], [`Runtime`], [`Handle`], [`metrics()`], [`spawn_local`], [`no_park`], [`Cancelled`], [`thread::stack_high_water`], [`net::lookup_host`], batches of datagrams, builders of TCP sockets, [`net::Admission`], [`net::MinRate`], [`pressure()`] |
//! | `std::io::copy`, between streams | [`net::copy`], and [`net::copy_bidirectional`]: spliced in the kernel |
//! | `std::io::{BufReader, BufWriter}`, on streams | [`net::BufReader`], [`net::BufWriter`]: no memory while idle; std's work, too |
//! | nothing | [`TcpStream::send_file`](net::TcpStream::send_file), [`set_cork`](net::TcpStream::set_cork), [`net::Stream`] for the data of `bytes` |
//! | nothing | [`block_on`] and handles that async code awaits, [`signal`] |
//! | nothing | [`blocking()`], [`thread::spawn_blocking`]: what blocks without knowing of coroutines, on a thread of its own |
//! | nothing | [`sync::select!`], [`sync::broadcast`], [`sync::Semaphore`], [`sync::WaitGroup`], [`sync::Notify`] |
//!
//! All of these work on a plain OS thread, too, where they block it, except [`spawn_local`], which panics there.
//! `std::sync`, `std::fs` and whatever else blocks without knowing of coroutines blocks the worker.

#![deny(unsafe_code)]

#[doc(inline)]
pub use dormouse_net as net;
#[doc(inline)]
pub use dormouse_runtime::signal;
#[doc(inline)]
pub use dormouse_runtime::sync;
#[doc(inline)]
pub use dormouse_runtime::thread::{self, no_park};
#[doc(inline)]
pub use dormouse_runtime::{
    Builder, Cancelled, Handle, Runtime, block_on, metrics, pressure, queue_delay, run, spawn, spawn_local,
    thread_local,
};
#[doc(inline)]
pub use dormouse_runtime::{blocking, fs, io, process};
#[doc(inline)]
pub use dormouse_runtime::{cancel, time};

/// What is specific to a platform, under std's paths.
pub mod os {
    /// As `std::os::unix`.
    pub mod unix {
        #[doc(inline)]
        pub use dormouse_net::os::unix::net;
        #[doc(inline)]
        pub use dormouse_runtime::fs::unix as fs;
        #[doc(inline)]
        pub use dormouse_runtime::process::unix as process;
    }

    /// As `std::os::linux`.
    pub mod linux {
        #[doc(inline)]
        pub use dormouse_net::os::linux::net;
        pub use std::os::linux::fs;
    }
}

/// Tests every listing of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
