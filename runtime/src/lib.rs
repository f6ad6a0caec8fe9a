//! The runtime of dormouse: stacks, coroutines, workers, the poller and timers, and the std-shaped surface over them.
//!
//! Knows "an fd can become ready", never what a socket is; `dormouse-net` adds sockets, and the facade `dormouse` names
//! everything as std does.
//!
//! Two sentences hold it together. Below `park` nothing blocks; above `park` nothing knows epoll or stacks. And a
//! coroutine belongs to one worker from its first instruction to its last, and only that worker ever changes its state;
//! every other thread sends a message.
//!
//! | below the park line | |
//! |---|---|
//! | `sys/` | one family of system calls a file |
//! | `stack/` | slabs of guarded stacks, pools, trim |
//! | `coroutine` | the corosensei seam |
//! | `timer`, `readiness`, `pace`, `linger`, `spins` | pure: wheel, latch and waiter queues, when to look at the poller, when to stay awake, how often to try a lock |
//! | `queue_delay` | pure: how long a queue keeps whoever enters it |
//! | `fork` | what a child of fork(2) inherits and leaves alone |
//! | `lock`, `mail`, `inbox`, `idle` | what threads share, and the sleep handshakes |
//! | `placement` | pure: where a coroutine is born, and what a thief may take |
//! | `spawn_queue`, `remote`, `source` | the unstarted; a worker and a coroutine as others see them; registrations |
//! | `counters`, `roster`, `long_run` | what a worker counts; who is in its slots; who kept it from the poller |
//! | `fleet` | all workers of a runtime |
//! | `poller` | epoll in, (source, readiness) out |
//! | `slot`, `slots` | a coroutine's state and its table of transitions; all of a worker's |
//! | `trim`, `overflow` | parked stacks given back; overflows named |
//! | `locals` | what one coroutine keeps in coroutine-local storage |
//! | `shelf` | buffers and pipes that nobody uses now |
//! | `worker`, `current` | the loop; who runs on this thread |
//!
//! | above it | |
//! |---|---|
//! | `cancel`, `park`, `os_thread`, `waiter` | the one suspension point, and the contract of who waits |
//! | `listed`, `joining` | who waits for an end on no worker; how a handle is waited for, and what is said of what is lost |
//! | `time` | timeouts around any code |
//! | `wait`, `budget` | waiting for an fd |
//! | `loan` | what is borrowed from the shelf |
//! | `passage` | calls that must not overlap with a change |
//! | `block_on`, `task` | futures, polled by us; a handle, polled by others |
//! | `signal` | waiting for signals |
//! | `sync` | locks, channels, notifications |
//! | `blocking` | calls that block, on threads of their own |
//! | `lease` | what calls of the pool use one after the other |
//! | `fs` | files, whose calls the pool makes |
//! | `crew`, `runtime`, `builder`, `handle` | start and end |
//! | `metrics`, `pressure`, `thread` | figures, in full and in brief; the std-shaped surface |
//! | `pipe`, `process` | children, and the pipes to them |
//! | `io` | all of `std::io`, with a standard input that parks |

#![deny(unsafe_code)]
#![cfg_attr(dormouse_loom, allow(dead_code, unused_imports))]

mod atomic;
mod block_on;
pub mod blocking;
pub mod budget;
mod builder;
pub mod cancel;
mod coroutine;
mod counters;
mod crew;
mod current;
mod fleet;
mod fork;
pub mod fs;
/// What fuzzers run. No part of the public surface.
#[cfg(all(any(test, dormouse_fuzz), not(dormouse_loom)))]
#[doc(hidden)]
pub mod fuzz;
mod handle;
mod idle;
mod inbox;
pub mod io;
mod join_word;
mod joining;
mod lease;
mod linger;
mod listed;
pub mod loan;
mod locals;
mod lock;
mod long_run;
mod mail;
pub mod metrics;
mod once_arc;
mod os_thread;
mod overflow;
mod pace;
mod park;
pub mod passage;
mod pipe;
mod placement;
mod poller;
mod prefetch;
pub mod pressure;
pub mod process;
mod queue_delay;
mod readiness;
mod ready_queue;
mod remote;
mod roster;
mod runtime;
mod shelf;
pub mod signal;
mod slot;
mod slots;
mod source;
mod spawn_queue;
mod spawned;
mod spins;
mod stack;
pub mod sync;
mod sys;
mod task;
pub mod thread;
pub mod time;
mod timer;
mod trim;
pub mod wait;
mod waiter;
mod worker;

pub use block_on::block_on;
pub use blocking::blocking;
pub use builder::{Builder, run};
pub use cancel::Cancelled;
pub use handle::{Handle, Runtime};
pub use metrics::metrics;
pub use pressure::{pressure, queue_delay};
pub use thread::{spawn, spawn_local};

/// Pure parts that benchmarks of other crates measure. No part of the public surface.
#[doc(hidden)]
pub mod internals {
    pub use crate::timer::{TimerKey, Wheel};
}
