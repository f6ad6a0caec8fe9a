//! Stackful coroutines for networking on Linux: one coroutine per client, written in plain blocking style.
pub use dormouse_net as net;
pub use dormouse_runtime::{Builder, Cancelled, run, spawn, spawn_local, thread};
