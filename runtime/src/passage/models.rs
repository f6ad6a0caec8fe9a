//! A model of those who enter together and alone.

use super::Passage;
use loom::cell::Cell;
use loom::sync::Arc;
use loom::thread;

/// What may be looked at by many, and changed by one alone: the model reports who does both at a time.
struct Guarded(Passage, Cell<u32>);

impl Guarded {
    fn look(&self) -> u32 {
        let _inside = self.0.enter();
        self.1.get()
    }

    fn change(&self) {
        let _alone = self.0.enter_alone();
        self.1.set(self.1.get() + 1);
    }
}

#[test]
fn a_change_overlaps_with_no_look() {
    loom::model(|| {
        let shared = Arc::new(Guarded(Passage::new(), Cell::new(0)));
        let other = Arc::clone(&shared);
        let looks = thread::spawn(move || other.look());
        shared.change();
        assert!(looks.join().unwrap() <= 1);
        assert_eq!(shared.look(), 1);
    });
}

#[test]
fn changes_do_not_overlap() {
    loom::model(|| {
        let shared = Arc::new(Guarded(Passage::new(), Cell::new(0)));
        let other = Arc::clone(&shared);
        let changes = thread::spawn(move || other.change());
        shared.change();
        changes.join().unwrap();
        assert_eq!(shared.look(), 2);
    });
}

#[test]
fn looks_go_together() {
    loom::model(|| {
        let shared = Arc::new(Guarded(Passage::new(), Cell::new(0)));
        let other = Arc::clone(&shared);
        let looks = thread::spawn(move || other.look());
        assert_eq!(shared.look(), 0);
        assert_eq!(looks.join().unwrap(), 0);
        shared.change();
    });
}
