#!/bin/sh
# Runs every step of the sweeps and many random cases, of which `cargo test` runs a seeded sample. Arguments name other
# tests. CAMPAIGN_ETL_TESTS_SEED repeats the random cases of an earlier run, which printed its seed.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- crash:: properties:: kill:: fuzzed:: secrets::
CAMPAIGN_ETL_TESTS=full exec cargo test --release --locked --test it -- --nocapture "$@"
