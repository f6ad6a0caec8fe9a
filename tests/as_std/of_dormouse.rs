//! The cases with our modules.

pub(crate) use dormouse::{net, os};

#[path = "cases/mod.rs"]
pub(crate) mod cases;
