#!/bin/sh
# Reads the results of the sample with the snippets of docs/reading.md (DuckDB, Polars, pandas, and Spark where Java 17 or later is),
# and checks that they agree.
# Needs a built campaign-etl (CAMPAIGN_ETL, default target/release/campaign-etl) and Python 3.11 or later.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${CAMPAIGN_ETL:-$root/target/release/campaign-etl}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
venv=${VENV:-$work/venv}

[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"

"$bin" backfill --from 2026-03-01 --to 2026-03-14 --config "$root/jobs/daily.toml" --exports "$root/sample_data/exports" \
    --results "$work/results" --format json > "$work/backfill.json"
cd "$work"
"$venv/bin/python" "$here/agree.py"
"$venv/bin/python" "$here/views.py" "$bin" "$root"
"$venv/bin/python" "$here/schemas.py" "$bin" "$root"
"$here/contracts.sh" "$venv-contracts"
