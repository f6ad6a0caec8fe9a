//! The cases with our modules.

pub(crate) use dormouse::{fs, net, os, process};

#[path = "cases/mod.rs"]
pub(crate) mod cases;
