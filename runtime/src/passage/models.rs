//! Models of those who enter together and alone.

use super::Passage;
use crate::atomic::{AtomicU32, Ordering};
use loom::cell::Cell;
use loom::sync::Arc;
use loom::thread;

/// What may be looked at by many, and changed by one alone. The number is odd in the middle of a change; of the cell the model
/// says who uses it in no order.
struct Guarded(Passage, AtomicU32, Cell<u32>);

impl Guarded {
    fn new() -> Arc<Guarded> {
        Arc::new(Guarded(Passage::new(), AtomicU32::new(0), Cell::new(0)))
    }

    /// The first load may see an old number, unless the passage forbids it; the exchange sees the last.
    fn look(&self) -> u32 {
        let _inside = self.0.enter();
        let value = self.1.load(Ordering::Relaxed);
        assert_eq!(value % 2, 0, "in the middle of a change");
        assert_eq!(self.2.get(), value);
        // Others have a turn, if they are let in.
        thread::yield_now();
        assert_eq!(self.1.fetch_add(0, Ordering::Relaxed), value, "changed meanwhile");
        value
    }

    fn change(&self) {
        let _alone = self.0.enter_alone();
        for _ in 0..2 {
            let value = self.1.load(Ordering::Relaxed);
            self.1.store(value + 1, Ordering::Relaxed);
        }
        self.2.set(self.2.get() + 2);
    }
}

#[test]
fn a_change_overlaps_with_no_look() {
    loom::model(|| {
        let shared = Guarded::new();
        let other = Arc::clone(&shared);
        let looks = thread::spawn(move || other.look());
        shared.change();
        assert!(looks.join().unwrap() <= 2);
        assert_eq!(shared.look(), 2);
    });
}

#[test]
fn changes_do_not_overlap() {
    loom::model(|| {
        let shared = Guarded::new();
        let other = Arc::clone(&shared);
        let changes = thread::spawn(move || other.change());
        shared.change();
        changes.join().unwrap();
        assert_eq!(shared.look(), 4);
    });
}

#[test]
fn looks_go_together() {
    loom::model(|| {
        let shared = Guarded::new();
        let other = Arc::clone(&shared);
        let looks = thread::spawn(move || other.look());
        assert_eq!(shared.look(), 0);
        assert_eq!(looks.join().unwrap(), 0);
        shared.change();
    });
}
