//! The cases with std's modules.

pub(crate) use std::{fs, net, os, process};

#[path = "cases/mod.rs"]
pub(crate) mod cases;
