//! Counts and memory of records.

use super::super::block::Blocks;
use super::*;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Counts its runs; its drop is seen by the count of the `Arc`.
struct Counting(Arc<AtomicUsize>);

impl Body for Counting {
    unsafe fn run(this: *const Self, _record: NonNull<Record>, _start: Start) -> Leftover {
        // SAFETY: the test keeps it.
        unsafe { &*this }.0.fetch_add(1, Ordering::Relaxed);
        Leftover::Count
    }

    unsafe fn lose(this: *const Self) -> Leftover {
        // SAFETY: the test keeps it.
        unsafe { &*this }.0.fetch_add(100, Ordering::Relaxed);
        Leftover::Nothing
    }
}

fn origin() -> Origin {
    Origin { id: 7, spawned_at: Location::caller(), name: Some("it".into()), stack_size: 0 }
}

#[test]
fn the_body_runs_and_ends_with_the_last_reference() {
    let runs = Arc::new(AtomicUsize::new(0));
    let record = RecordRef::new(origin(), Counting(Arc::clone(&runs)), |_| None);
    let other = record.clone();
    // SAFETY: `record` is alive.
    let left = unsafe { RecordRef::run(record.as_ptr(), Start::Run) };
    assert_eq!(left, Leftover::Count);
    record.clone().lose();
    assert_eq!(runs.load(Ordering::Relaxed), 101);
    // SAFETY: `lose` left nothing to its caller.
    assert!(unsafe { record.release_with_runners() }.is_none());
    assert_eq!(Arc::strong_count(&runs), 2);
    assert_eq!((other.id, other.display_name()), (7, "it"));
    drop(other);
    assert_eq!(Arc::strong_count(&runs), 1);
}

#[test]
fn memory_is_used_again() {
    let runs = Arc::new(AtomicUsize::new(0));
    let mut blocks = Blocks::default();
    let first = RecordRef::new(origin(), Counting(Arc::clone(&runs)), |layout| blocks.take(layout));
    let address = first.as_ptr();
    blocks.keep(first.release().unwrap());
    let second = RecordRef::new(origin(), Counting(runs), |layout| blocks.take(layout));
    assert_eq!(second.as_ptr(), address);
}

#[test]
fn a_connection_pays_56_bytes() {
    assert_eq!(size_of::<Record>(), 56);
    assert_eq!(size_of::<Option<RecordRef>>(), 8);
}
