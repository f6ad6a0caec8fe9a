//! The items and the programs with our modules; the programs spawn coroutines.

pub(crate) use dormouse::{fs, net, os, process, thread};

#[path = "items/mod.rs"]
mod items;
#[path = "programs/mod.rs"]
pub(crate) mod programs;
#[path = "items/unstable.rs"]
mod unstable;
