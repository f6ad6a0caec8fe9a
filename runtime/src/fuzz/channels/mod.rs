//! X
use super::input::Input;
pub(super) fn run(_input: Input<'_>) {}
