//! What each call gives, one after another.

use super::as_parties::{End, detach, finish, leave, leave_here, poll, withdraw};
use super::*;
use std::sync::Arc;

#[test]
fn whoever_comes_second_has_the_result() {
    let finished_first = JoinWord::<u64, u64>::new();
    assert!(matches!(finish(&finished_first), End::Held));
    assert!(finished_first.is_done() && detach(&finished_first));
    assert!(!leave(&finished_first, 1));
    let detached_first = JoinWord::<u64, u64>::new();
    assert!(!detach(&detached_first));
    assert!(matches!(finish(&detached_first), End::Detached));
}

#[test]
fn the_last_waiter_is_woken_and_none_is_leaked() {
    let (first, second) = (Arc::new(1), Arc::new(2));
    let word = JoinWord::<_, ()>::new();
    assert!(leave(&word, Arc::clone(&first)));
    assert!(leave(&word, Arc::clone(&second)));
    assert_eq!(Arc::strong_count(&first), 1);
    assert!(matches!(finish(&word), End::Awaited(waiter) if *waiter == 2));
    assert!(matches!(withdraw(&word), Withdrawn::Done));
    for as_task in [false, true] {
        let abandoned = JoinWord::new();
        let left = if as_task { poll(&abandoned, Arc::clone(&second)) } else { leave(&abandoned, Arc::clone(&second)) };
        assert!(left && Arc::strong_count(&second) == 2);
        drop(abandoned);
    }
    assert_eq!(Arc::strong_count(&second), 1);
}

#[test]
fn what_was_left_can_be_taken_back() {
    let word = JoinWord::<u64, &str>::new();
    assert!(matches!(withdraw(&word), Withdrawn::Nothing));
    assert!(leave(&word, 1));
    assert!(matches!(withdraw(&word), Withdrawn::Waiter(1)));
    assert!(poll(&word, "task") && poll(&word, "another"));
    assert!(matches!(withdraw(&word), Withdrawn::Task("another")));
    assert!(poll(&word, "last"));
    assert!(matches!(finish(&word), End::Polled("last")));
    assert!(matches!(withdraw(&word), Withdrawn::Done));
    assert!(!poll(&word, "late") && !leave(&word, 2));
}

#[test]
fn what_is_left_on_the_runners_thread_is_as_good() {
    let (first, second) = (Arc::new(1), Arc::new(2));
    let word = JoinWord::<_, Arc<u64>>::new();
    assert!(leave_here(&word, Arc::clone(&first)) && leave_here(&word, Arc::clone(&first)));
    assert_eq!(Arc::strong_count(&first), 2);
    assert!(matches!(withdraw(&word), Withdrawn::Waiter(waiter) if *waiter == 1));
    assert!(
        poll(&word, Arc::clone(&first)) && leave_here(&word, Arc::clone(&first)) && leave(&word, Arc::clone(&first))
    );
    assert_eq!(Arc::strong_count(&first), 2);
    assert!(leave_here(&word, Arc::clone(&second)) && !word.has_ended());
    assert!(matches!(finish(&word), End::Awaited(waiter) if *waiter == 2));
    assert!(word.is_done() && !leave_here(&word, Arc::clone(&first)));
    let detached = JoinWord::<_, ()>::new();
    assert!(leave_here(&detached, Arc::clone(&second)) && !detach(&detached));
    assert!(matches!(finish(&detached), End::Detached));
    let abandoned = JoinWord::<_, ()>::new();
    assert!(leave_here(&abandoned, Arc::clone(&second)));
    drop(abandoned);
    assert_eq!([&first, &second].map(Arc::strong_count), [1, 1]);
}

/// Whatever meets it elsewhere stops short of the waiter.
#[cfg(debug_assertions)]
#[test]
fn what_is_left_for_one_thread_is_not_taken_on_another() {
    fn on_another(word: &JoinWord<Arc<u64>, u64>, acts: fn(&JoinWord<Arc<u64>, u64>)) -> bool {
        std::thread::scope(|s| s.spawn(|| acts(word)).join()).is_ok()
    }
    let waiter = Arc::new(1);
    let ends = JoinWord::new();
    assert!(leave_here(&ends, Arc::clone(&waiter)) && !on_another(&ends, |word| drop(finish(word))));
    assert!(matches!(finish(&ends), End::Awaited(waiter) if *waiter == 1));
    for acts in [|word: &JoinWord<_, _>| drop(withdraw(word)), |word: &JoinWord<_, _>| assert!(!detach(word))] {
        let held = JoinWord::new();
        assert!(leave_here(&held, Arc::clone(&waiter)) && !on_another(&held, acts));
    }
    // The third and the fourth were left where they are.
    assert_eq!(Arc::strong_count(&waiter), 3);
}

/// In a child of fork(2) the runner may be in the middle of its end, for ever.
#[test]
fn a_handle_is_dropped_though_the_runner_never_says_done() {
    for as_task in [false, true] {
        let word = JoinWord::<u64, u64>::new();
        assert!(if as_task { poll(&word, 1) } else { leave(&word, 1) });
        // ORDERING: Relaxed; one thread. The first half of `finish`.
        word.word.fetch_add(END, Ordering::Relaxed);
        // SAFETY: the holder.
        assert!(!unsafe { word.detach(|| true) });
        std::mem::forget(word);
    }
}
