//! Every target on random bytes, bounded: what a fuzzer does for hours.

use proptest::collection::vec;
use proptest::prelude::*;

/// As many programs of each target.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..most)
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn timers_behave_as_an_ordered_map(bytes in bytes(400)) {
        super::wheel(&bytes);
    }

    #[test]
    fn nothing_that_comes_too_late_wakes_anybody(bytes in bytes(1200)) {
        super::readiness(&bytes);
    }

    #[test]
    fn every_letter_arrives_and_every_sleeper_is_told_once(bytes in bytes(800)) {
        super::inbox(&bytes);
    }

    #[test]
    fn channels_answer_what_a_sequence_could(bytes in bytes(900)) {
        super::channels(&bytes);
    }
}
