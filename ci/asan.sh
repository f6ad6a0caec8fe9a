#!/usr/bin/env bash
# Runs unit and behaviour tests under AddressSanitizer, which is told of every switch of stacks by corosensei.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "asan: SKIPPED: $1"
    exit 0
}

command -v rustup >/dev/null || skip "no rustup, so no nightly toolchain"
if ! rustup run nightly cargo --version >/dev/null 2>&1; then
    echo "asan: installing a nightly toolchain"
    timeout 300 rustup toolchain install nightly --profile minimal || skip "no nightly toolchain can be had"
fi
target=$(rustup run nightly rustc -vV | sed -n 's/^host: //p')
[[ $target == x86_64-* || $target == aarch64-* ]] || skip "no AddressSanitizer for $target"

# The copies that it keeps of dead frames would hide how deep a stack goes; what is leaked here is leaked on purpose.
export ASAN_OPTIONS="detect_stack_use_after_return=0:detect_leaks=0:quarantine_size_mb=16:${ASAN_OPTIONS:-}"
export RUSTFLAGS="${RUSTFLAGS:-} -Zsanitizer=address"
asan() {
    echo "asan: $*"
    # With a target named, build scripts and macros are not instrumented.
    rustup run nightly cargo test --target "$target" --target-dir "${CARGO_TARGET_DIR:-target}/asan" \
        --features corosensei/sanitizer "$@"
}

# A minute of everything at once.
export DORMOUSE_STRESS_SECS="${DORMOUSE_STRESS_SECS:-60}"

# Left out: what limits or measures memory, most of which is the sanitizer's; what faults on purpose; what stands in for functions of
# libc for which the sanitizer stands in, too; what knows the items of the stable std; and what leaves frames by setcontext(3), which
# the sanitizer does not see: it takes what it had marked there for marks of the next.
behaviours=()
for file in tests/*.rs; do
    name=$(basename "$file" .rs)
    case $name in
        faults | faults_clock | layering | overflow | parity | stack_sizes | start_failure | trim) ;;
        *) behaviours+=(--test "$name") ;;
    esac
done
asan -p dormouse-runtime --lib -- --skip a_connection_pays --skip stack::tests::a_coroutine_runs_dives --skip stack::tests::a_guard --skip at_the_limit_of \
    --skip under_mlockall --skip without_address_space
asan -p dormouse "${behaviours[@]}" --no-fail-fast -- \
    --skip a_smaller_main_stack_overflows_sooner --skip leave_nothing_behind --skip the_smallest_stack_is_enough \
    --skip a_thousand_at_a_time --skip without_a_thread --skip connections_that_wait_hold_no_buffer \
    --skip a_handler_that_leaves --skip after_a_handler_has_left
echo "asan: passed in $SECONDS s"
