//! The programs with our sockets and locks on std's threads.

pub(crate) use dormouse::{net, os, sync};
pub(crate) use std::{thread, thread_local};

#[path = "programs/mod.rs"]
pub(crate) mod programs;
