#!/bin/sh
# Runs the job over nine months of a real retailer's orders and compares every cell with DuckDB's answer (check.py).
# Needs a built campaign-etl (CAMPAIGN_ETL, default target/release/campaign-etl) and Python 3.10 or later (PYTHON) with
# requirements.txt. The exports (60 MB) are made once, in EXPORTS.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${CAMPAIGN_ETL:-$root/target/release/campaign-etl}
python=${PYTHON:-python3}
exports=${EXPORTS:-$root/target/real-year}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The last day's last export says whether they were all made.
[ -e "$exports/campaign_products/dt=2017-11-30/_SUCCESS" ] || "$python" "$here/completejourney.py" "$exports"

"$bin" backfill --from 2017-03-01 --to 2017-11-30 --config "$here/job.toml" --exports "$exports" \
    --results "$work/results" --format json > "$work/backfill.json"
"$python" "$here/check.py" "$exports" "$work/results" "$work/backfill.json"

"$python" "$root/tests/readers/explain.py" --bin "$bin" --exports "$exports" --results "$work/results" --config "$here/job.toml" \
    --some-days 20
