//! The shim room for atomics: std's outside models, loom's inside them.
//!
//! Owns nothing. Every shared word of the runtime is declared with the types named here, so that a model
//! (`--cfg dormouse_loom`) explores the very code that ships.

#[cfg(not(dormouse_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

#[cfg(dormouse_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
