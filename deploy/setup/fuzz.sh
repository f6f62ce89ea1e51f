#!/usr/bin/env bash
# Runs every fuzz target for FUZZ_SECONDS. A finding ends the run and prints the input's path; add that
# input to the test vectors.
set -euo pipefail
cd "$(dirname "$0")/../../rust/fuzz"
seconds=${FUZZ_SECONDS:-60}
tools=$(cd ../.. && pwd)/${TOOLS:-.cache/tools}
export PATH="$tools/bin:$PATH"

if ! rustup toolchain list 2>/dev/null | grep -q '^nightly'; then
  echo "fuzzing needs the nightly toolchain: rustup toolchain install nightly" >&2
  exit 1
fi
if ! command -v cargo-fuzz >/dev/null; then
  echo "compiling cargo-fuzz into $tools (a minute, once)"
  cargo install --quiet --locked --root "$tools" cargo-fuzz
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
mapfile -t targets < <(cargo +nightly fuzz list --fuzz-dir .)
if [ ${#targets[@]} = 0 ]; then
  echo "cargo fuzz lists no targets in rust/fuzz" >&2
  exit 1
fi
for target in "${targets[@]}"; do
  if ! cargo +nightly fuzz run --fuzz-dir . "$target" -- -max_total_time="$seconds" -print_final_stats=1 >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "fuzz target '$target' failed; its input is under rust/fuzz/artifacts/$target" >&2
    exit 1
  fi
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  echo "fuzz $target: $seconds s, ${executions:-?} executions, no finding"
done
echo "fuzz: ${#targets[@]} targets passed"
