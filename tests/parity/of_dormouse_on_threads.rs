//! The programs with our sockets on std's threads.

pub(crate) use dormouse::{net, os};
pub(crate) use std::thread;

#[path = "programs/mod.rs"]
pub(crate) mod programs;
