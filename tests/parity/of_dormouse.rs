//! The items and the programs with our modules; the programs spawn coroutines.

pub(crate) use dormouse::{fs, net, os, process, sync, thread, thread_local};

#[path = "items/mod.rs"]
mod items;
#[path = "programs/mod.rs"]
pub(crate) mod programs;
#[path = "items/unstable.rs"]
mod unstable;
#[path = "items/unstable_sync.rs"]
mod unstable_sync;
