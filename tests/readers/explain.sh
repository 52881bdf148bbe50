#!/bin/sh
# Computes every column of every row of 30 shops again, with the second route of `explain` and with its queries in DuckDB, and
# compares them with the published files (explain.py): on the sample, on some of its days in files of other types and names (odd_exports.py), on the sample as mapped exports (foreign_exports.py), and on synthetic worlds
# with bad rows, in zones where clocks change.
# WORLDS: a folder of kept cases (CASES_KEEP_WORLDS, tests/README.md), of which every shop is compared.
# Needs a built campaign-etl (CAMPAIGN_ETL, default target/release/campaign-etl) and Python 3.10 or later.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${CAMPAIGN_ETL:-$root/target/release/campaign-etl}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
venv=${VENV:-$work/venv}

[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"

# Compares the results of exports with a job file.
compare() {
    name=$1 exports=$2 results=$3 config=$4
    shift 4
    echo "== $name"
    "$venv/bin/python" "$here/explain.py" --bin "$bin" --exports "$exports" --results "$results" --config "$config" "$@"
}

"$bin" backfill --quiet --from 2026-03-01 --to 2026-03-14 --config "$root/jobs/daily.toml" --exports "$root/sample_data/exports" \
    --results "$work/sample" > "$work/backfill.txt" 2>&1
compare sample "$root/sample_data/exports" "$work/sample" "$root/jobs/daily.toml"

# 14 March has no export of its own, so that the benchmarks of the 13th stand in.
"$venv/bin/python" "$here/odd_exports.py" "$root/sample_data/exports" "$work/odd-exports" 2026-03-02 2026-03-10 2026-03-11 2026-03-13
"$bin" backfill --quiet --from 2026-03-02 --to 2026-03-14 --config "$root/jobs/daily.toml" --exports "$work/odd-exports" \
    --results "$work/odd" > "$work/backfill.txt" 2>&1 || [ $? -eq 75 ]
compare "files of other types and names" "$work/odd-exports" "$work/odd" "$root/jobs/daily.toml" --shops 8 --cells 100

"$venv/bin/python" "$here/foreign_exports.py" "$root/sample_data/exports" "$work/foreign-exports" "$root/jobs/daily.toml" "$work/foreign.toml"
"$bin" backfill --quiet --from 2026-03-01 --to 2026-03-14 --config "$work/foreign.toml" --exports "$work/foreign-exports" \
    --results "$work/foreign" > "$work/backfill.txt" 2>&1
compare "mapped exports" "$work/foreign-exports" "$work/foreign" "$work/foreign.toml" --shops 8 --cells 100

# In a campaign, and with a day of other than 24 hours in the first two zones; few peers are enough for a benchmark, and only the top half of them count.
for world in "America/Santiago 2026-03-26" "Australia/Lord_Howe 2026-03-26" "Asia/Kathmandu 2026-01-22"; do
    zone=${world% *} first=${world#* }
    name=$(basename "$zone")
    sed -e "s|^time_zone = .*|time_zone = \"$zone\"|" -e "s|^min_peers = .*|min_peers = 3|" -e "s|^top_share = .*|top_share = 0.55|" \
        -e "s|^shops = .*|shops = \"all\"|" "$root/jobs/daily.toml" > "$work/$name.toml"
    "$bin" generate --quiet --shops 90 --days 12 --rows-per-day 3000 --seed 11 --awkward --first-day "$first" --time-zone "$zone" \
        --out "$work/$name-exports"
    last=$(ls "$work/$name-exports/order_lines" | tail -1)
    "$bin" backfill --quiet --from "$first" --to "${last#dt=}" --config "$work/$name.toml" --exports "$work/$name-exports" \
        --results "$work/$name" > "$work/backfill.txt" 2>&1 || cat "$work/backfill.txt"
    compare "$zone" "$work/$name-exports" "$work/$name" "$work/$name.toml" --days 3 --shops 12 --cells 100
done

for world in ${WORLDS:+"$WORLDS"/*}; do
    [ -d "$world/results/_runs" ] || continue
    compare "$(basename "$world")" "$world/exports" "$world/results" "$world/job.toml" --cells 40 --may-have-changed
done
