//! Two workers' queues against lists: nothing is lost, doubled or stolen that is local, and loads are true.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Action {
    Push,
    PushLocal,
    Inject,
    Pop,
    PopFairly,
    Steal(u32),
    End,
    Publish,
}

fn actions() -> impl Strategy<Value = Vec<(bool, Action)>> {
    let action = prop_oneof![
        3 => Just(Action::Push),
        1 => Just(Action::PushLocal),
        1 => Just(Action::Inject),
        2 => Just(Action::Pop),
        1 => Just(Action::PopFairly),
        1 => (0..40u32).prop_map(Action::Steal),
        1 => Just(Action::End),
        1 => Just(Action::Publish),
    ];
    prop::collection::vec((any::<bool>(), action), 0..300)
}

struct Side {
    shared: SharedQueue<u32>,
    queue: SpawnQueue<u32>,
    /// What waits here for anybody, and for this worker only.
    anybodys: Vec<u32>,
    own: Vec<u32>,
    /// How many live.
    live: usize,
}

impl Side {
    fn new() -> Side {
        let shared = SharedQueue::new();
        Side { queue: SpawnQueue::new(&shared), shared, anybodys: Vec::new(), own: Vec::new(), live: 0 }
    }

    fn popped(&mut self, popped: Option<u32>) {
        assert_eq!(popped.is_none(), self.anybodys.is_empty() && self.own.is_empty());
        let Some(popped) = popped else {
            return;
        };
        let before = self.anybodys.len() + self.own.len();
        self.anybodys.retain(|waiting| *waiting != popped);
        self.own.retain(|waiting| *waiting != popped);
        assert_eq!(self.anybodys.len() + self.own.len(), before - 1, "it waited here, once");
        self.live += 1;
    }

    fn publish(&self) {
        let live = self.live + self.queue.local_len();
        self.shared.publish(live as u32, self.queue.shared_len(&self.shared) == 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_waits_is_popped_once_and_counted(actions in actions()) {
        let mut sides = [Side::new(), Side::new()];
        for (id, (which, action)) in (0u32..).zip(actions) {
            let [side, other] = if which { let [a, b] = &mut sides; [b, a] } else { sides.each_mut() };
            match action {
                Action::Push => {
                    side.queue.push(id);
                    side.anybodys.push(id);
                }
                Action::PushLocal => {
                    side.queue.push_local(id);
                    side.own.push(id);
                }
                Action::Inject => {
                    let before = side.shared.load();
                    side.shared.inject(id);
                    prop_assert_eq!(side.shared.load(), before + 1, "at once");
                    side.anybodys.push(id);
                }
                Action::Pop => side.popped(side.queue.pop(&side.shared)),
                Action::PopFairly => side.popped(side.queue.pop_fairly(&side.shared)),
                Action::Steal(limit) => {
                    let (before, theirs) = (side.shared.len(), other.shared.len());
                    let stole = side.queue.steal(&other.shared, limit);
                    let count = side.shared.len() - before;
                    prop_assert_eq!(stole, theirs > 0);
                    prop_assert_eq!(count > 0, stole);
                    prop_assert!(count <= limit.max(1) && count <= theirs.div_ceil(2), "{count} of {theirs}");
                    prop_assert_eq!(other.shared.len(), theirs - count);
                    let all: Vec<_> = std::iter::from_fn(|| side.queue.deque.pop()).collect();
                    all.iter().rev().for_each(|id| side.queue.deque.push(*id));
                    let stolen = other.anybodys.extract_if(.., |id| all.contains(id));
                    side.anybodys.extend(stolen);
                }
                Action::End => side.live = side.live.saturating_sub(1),
                Action::Publish => {
                    let before = side.shared.clearings();
                    side.publish();
                    prop_assert_eq!(side.shared.load() as usize, side.live + side.own.len() + side.anybodys.len());
                    prop_assert_eq!(side.shared.clearings() != before, side.anybodys.is_empty());
                }
            }
            prop_assert_eq!(side.shared.len() as usize, side.anybodys.len());
            prop_assert_eq!(side.queue.local_len(), side.own.len());
            let is_empty = side.queue.is_empty() && !side.shared.has_injected();
            prop_assert_eq!(is_empty, side.anybodys.is_empty() && side.own.is_empty());
        }
    }

    /// Whatever is spawned meanwhile, what waits is started within a few turns.
    #[test]
    fn the_oldest_does_not_wait_for_ever(local in any::<bool>(), injected in any::<bool>(), waiting in 1..50u32) {
        let shared = SharedQueue::new();
        let queue = SpawnQueue::new(&shared);
        let push = |id: u32| match (local, injected) {
            (true, _) => queue.push_local(id),
            (false, true) => shared.inject(id),
            (false, false) => queue.push(id),
        };
        (0..waiting).for_each(push);
        let mut turns = 0;
        let mut left = waiting;
        while left > 0 {
            // A turn: one start by the fair way, two by the short one; each spawns one into every queue.
            for start in 0..3 {
                let popped = if start == 0 { queue.pop_fairly(&shared) } else { queue.pop(&shared) };
                left -= u32::from(popped.is_some_and(|id| id < waiting));
                queue.push(1_000);
                queue.push_local(1_000);
                shared.inject(1_000);
            }
            turns += 1;
            prop_assert!(turns <= 3 * waiting + 3, "{left} of {waiting} left after {turns} turns");
        }
    }
}

#[test]
fn of_few_the_oldest_is_first_and_of_many_the_latest() {
    let many = CROWD as u32 + 1;
    for push in [SpawnQueue::push, SpawnQueue::push_local] {
        let shared = SharedQueue::new();
        let queue = SpawnQueue::new(&shared);
        (0..=many).for_each(|id| push(&queue, id));
        assert_eq!([(); 3].map(|()| queue.pop(&shared)), [Some(many), Some(many - 1), Some(0)]);
    }
}

#[test]
fn thieves_take_the_oldest() {
    let (shared, thiefs) = (SharedQueue::new(), SharedQueue::new());
    let (queue, thief) = (SpawnQueue::new(&shared), SpawnQueue::new(&thiefs));
    (0..4).for_each(|id| queue.push(id));
    assert!(thief.steal(&shared, 1));
    assert_eq!((thief.pop(&thiefs), thief.pop(&thiefs)), (Some(0), None));
}
