//! The cases with std's modules.

pub(crate) use std::{net, os};

#[path = "cases/mod.rs"]
pub(crate) mod cases;
