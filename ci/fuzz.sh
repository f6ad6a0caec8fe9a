#!/usr/bin/env bash
# Fuzzes: `ci/fuzz.sh [SECONDS [TARGET...]]` runs each target of fuzz/ for so long (60 s) and fails if one finds something, which
# it leaves in fuzz/artifacts. What the targets are, and how a finding is run again, runtime/src/fuzz says.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true

skip() {
    echo "fuzz: SKIPPED: $1"
    exit 0
}

command -v rustup >/dev/null || skip "no rustup, so no nightly toolchain"
if ! rustup run nightly cargo --version >/dev/null 2>&1; then
    echo "fuzz: installing a nightly toolchain"
    timeout 300 rustup toolchain install nightly --profile minimal || skip "no nightly toolchain can be had"
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz: installing cargo-fuzz"
    timeout 600 cargo install cargo-fuzz --locked || skip "cargo-fuzz cannot be had"
fi
target=$(rustup run nightly rustc -vV | sed -n 's/^host: //p')
[[ $target == x86_64-* || $target == aarch64-* ]] || skip "no AddressSanitizer for $target"

# The private cfg makes the targets reachable; see runtime/src/fuzz.
export RUSTFLAGS="${RUSTFLAGS:-} --cfg dormouse_fuzz"
# As in asan.sh.
export ASAN_OPTIONS="detect_stack_use_after_return=0:detect_leaks=0:quarantine_size_mb=16:${ASAN_OPTIONS:-}"
targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(rustup run nightly cargo fuzz list)
for name in "${targets[@]}"; do
    echo "fuzz: $name, $seconds s"
    # A program is over in milliseconds; one that hangs is a finding.
    rustup run nightly cargo fuzz run --target "$target" "$name" -- \
        -max_total_time="$seconds" -max_len=1200 -timeout=120 -rss_limit_mb=4096 -print_final_stats=1
done
echo "fuzz: passed in $SECONDS s"
