//! The timer wheel: bytes as steps of its model.

use super::STEPS;
use super::input::Input;
use crate::timer::model::{Pair, Step};

/// So many live timers are enough: the model looks at each after every step.
const MOST: usize = 1500;

pub(super) fn run(mut input: Input<'_>) {
    let mut pair = Pair::new(input.magnitude(40));
    for _ in 0..STEPS {
        let Some(kind) = input.next() else { break };
        let step = step(kind, &mut input);
        let grows = matches!(step, Step::Insert { .. } | Step::InsertLate(_));
        if !grows || pair.len() < MOST {
            pair.step(step);
        }
    }
    pair.finish();
}

fn step(kind: u8, input: &mut Input<'_>) -> Step {
    match kind % 16 {
        0..=3 => Step::Insert { delay: delay(input), spacing: input.magnitude(30), count: 1 + input.below(4) as u32 },
        4 => Step::Insert { delay: delay(input), spacing: input.magnitude(46), count: 1 + input.below(150) as u32 },
        5 => Step::InsertLate(input.magnitude(46)),
        6 | 7 => Step::Cancel(input.below(256) | input.below(8) << 8),
        8 => Step::CancelEarliest(input.below(100)),
        9 | 10 => Step::Advance(input.magnitude(46)),
        11 => Step::Sleep,
        12 => Step::Pop(1 + input.below(20)),
        13 => Step::Drain,
        _ => Step::Ask,
    }
}

/// Of every magnitude, and just before, at and after a power of two, where a level of the wheel ends.
fn delay(input: &mut Input<'_>) -> u64 {
    match input.below(4) {
        0 => input.magnitude(57),
        1 => (1u64 << input.below(64)).wrapping_add(input.below(5) as u64).wrapping_sub(2),
        2 => input.below(256) as u64,
        _ => u64::MAX - input.magnitude(57),
    }
}
