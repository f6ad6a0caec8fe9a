//! The cases with std's modules.

pub(crate) use std::{fs, net, os};

#[path = "cases/mod.rs"]
pub(crate) mod cases;
