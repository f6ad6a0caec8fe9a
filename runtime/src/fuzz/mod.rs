//! What fuzzers run: random programs on rooms that are private, each beside a model of what must come of it.
//!
//! A target is a function of bytes, which it reads as a program; whatever the bytes, it returns or it has found a fault. This
//! is the one place where it is written, and two run it: the unit tests here, bounded and with random bytes, on any toolchain;
//! and `fuzz/`, whose bytes libFuzzer chooses by the branches that they take. For that crate the rooms must be reachable
//! without being public, hence a private `--cfg dormouse_fuzz`, as models have theirs: without it, and outside of tests, this
//! module does not exist. `ci/fuzz.sh` sets it; a fault that was found is run again by
//!
//! ```text
//! RUSTFLAGS="--cfg dormouse_fuzz" cargo +nightly fuzz run TARGET fuzz/artifacts/TARGET/FILE
//! ```
//!
//! | target | what it drives | beside what |
//! |---|---|---|
//! | [`wheel`] | `timer` | an ordered map |
//! | [`readiness`] | `poller`, `readiness`, `slots`, `slot` | plain queues and flags; stale events and names change nothing |
//! | [`inbox`] | `inbox`, `mail` | the sets of letters posted, owed and pushed |
//! | [`channels`] | every channel, selects, timeouts and cancels, by real coroutines on one worker | what a sequence of operations may answer |
//!
//! Knows no fuzzer and no strategy.

mod channels;
mod input;
mod letters;
mod sources;
mod timers;

#[cfg(test)]
mod tests;

use input::Input;

/// Steps of a program, at most: longer ones find nothing that shorter ones do not, and take longer.
const STEPS: usize = 400;

/// Timers inserted, cancelled and popped.
pub fn wheel(bytes: &[u8]) {
    timers::run(Input::new(bytes));
}

/// Coroutines that come, wait for sources, are woken and go, with events and wakes that come too late.
pub fn readiness(bytes: &[u8]) {
    sources::run(Input::new(bytes));
}

/// Posters of letters and one owner, which reads, sleeps and ends.
pub fn inbox(bytes: &[u8]) {
    letters::run(Input::new(bytes));
}

/// Coroutines that send, receive and select, are cancelled, and drop their ends.
pub fn channels(bytes: &[u8]) {
    channels::run(bytes);
}
