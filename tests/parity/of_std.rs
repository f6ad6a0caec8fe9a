//! The items and the programs with std's modules: the proof that they say what std says.

pub(crate) use std::{fs, net, os, process, sync, thread, thread_local};

#[path = "items/mod.rs"]
mod items;
#[path = "programs/mod.rs"]
pub(crate) mod programs;
