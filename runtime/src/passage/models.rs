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
fn a_change_overlaps_with_nothing() {
    loom::model(|| {
        let shared = Arc::new(Guarded(Passage::new(), Cell::new(0)));
        let others: Vec<_> = [Guarded::change, |shared: &Guarded| assert!(shared.look() <= 2)]
            .into_iter()
            .map(|act| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || act(&shared))
            })
            .collect();
        shared.change();
        assert!(shared.look() >= 1);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(shared.look(), 2);
    });
}
