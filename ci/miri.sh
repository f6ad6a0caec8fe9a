#!/usr/bin/env bash
# Runs the unit tests of the runtime's pure rooms, and of those that threads share (locks and channels among them), under
# Miri: undefined behaviour, data races and leaks in their unsafe code. What switches stacks or makes system calls, Miri cannot run.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "miri: SKIPPED: $1"
    exit 0
}

command -v rustup >/dev/null || skip "no rustup, so no nightly toolchain"
if ! rustup run nightly cargo miri --version >/dev/null 2>&1; then
    echo "miri: installing a nightly toolchain with miri"
    timeout 300 rustup toolchain install nightly --profile minimal --component miri --component rust-src ||
        skip "no nightly toolchain with miri can be had"
    rustup run nightly cargo miri --version || skip "the nightly toolchain has no miri"
fi

# Miri's own checks are the point, so few cases of each proptest model; these also ask the system for randomness and for
# their working directory.
export MIRIFLAGS="${MIRIFLAGS:-} -Zmiri-disable-isolation" PROPTEST_CASES="${PROPTEST_CASES:-2}"
miri() {
    echo "miri: $*"
    rustup run nightly cargo miri test --target-dir "${CARGO_TARGET_DIR:-target}/miri" "$@"
}

# `lock::` alone would also find `sys::clock::`. Of `sync` everything: its unit tests run among plain threads.
miri -p dormouse-runtime --lib -- timer:: readiness:: ready_queue:: pace:: slot:: slots:: mail:: inbox:: join_word:: once_arc:: \
    os_thread:: waiter:: lock:: locals:: counters:: roster:: long_run:: remote::record:: spawned:: sync:: \
    --skip sys:: --skip stack::
miri -p dormouse-net --lib -- once_arc:: unix_name:: control:: ancillary::
echo "miri: passed in $SECONDS s"
