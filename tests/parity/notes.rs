//! Where ours differs from std's in more than its path, in words for a reader: the notes of `docs/parity.md`.

/// The path of an item below `std`, and what differs.
pub(crate) const NOTES: &[(&str, &str)] = &[];
