//! The wheel against its model, with steps of every magnitude.

use proptest::collection::vec;
use proptest::prelude::*;

use super::model::{Pair, Step};

/// Steps of a run. Fewer under Miri, which is a thousand times slower.
const STEPS: usize = if cfg!(miri) { 20 } else { 120 };

/// Timers of one step.
const MOST_AT_ONCE: u32 = if cfg!(miri) { 20 } else { 150 };

/// Delays of every magnitude, from none to the end of time.
fn delay() -> impl Strategy<Value = u64> {
    let boundary = (0u32..64, 0u64..5).prop_map(|(bit, around)| (1u64 << bit).wrapping_add(around).wrapping_sub(2));
    prop_oneof![
        0u64..4,
        0u64..100,
        0u64..1_000_000,
        0u64..10_000_000_000,
        0u64..36_000_000_000_000,
        boundary,
        any::<u64>(),
        Just(u64::MAX),
    ]
}

/// How much time passes: mostly little, so that a run does not reach the end of time at once.
fn passing() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..100,
        4 => 0u64..1_000_000,
        4 => 0u64..10_000_000_000,
        2 => 0u64..36_000_000_000_000,
        1 => (0u32..60).prop_map(|bit| 1u64 << bit),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let insert =
        |count| (delay(), passing(), count).prop_map(|(delay, spacing, count)| Step::Insert { delay, spacing, count });
    prop_oneof![
        8 => insert(1..4u32),
        2 => insert(4..MOST_AT_ONCE),
        1 => passing().prop_map(Step::InsertLate),
        4 => any::<usize>().prop_map(Step::Cancel),
        1 => (0usize..100).prop_map(Step::CancelEarliest),
        4 => passing().prop_map(Step::Advance),
        3 => Just(Step::Sleep),
        3 => (1usize..20).prop_map(Step::Pop),
        2 => Just(Step::Drain),
        3 => Just(Step::Ask),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_the_model(start in prop_oneof![Just(0), passing()], steps in vec(step(), 1..STEPS)) {
        let mut pair = Pair::new(start);
        for step in steps {
            pair.step(step);
        }
        pair.finish();
    }
}
