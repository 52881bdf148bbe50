#!/bin/sh
# Validates the events of campaign-etl (CAMPAIGN_ETL, default target/release/campaign-etl) with the schemas of OpenLineage, and compares
# their column lineage with `describe`. A receiver on loopback takes them. Needs Python 3.11 or later.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${CAMPAIGN_ETL:-$root/target/release/campaign-etl}
[ -x "$bin" ] || { echo "FAILED: no program at $bin; build it, or set CAMPAIGN_ETL" >&2; exit 1; }
venv=${VENV:-$root/target/openlineage/venv}
[ -x "$venv/bin/python" ] || { mkdir -p "$(dirname "$venv")"; python3 -m venv "$venv"; }
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
"$venv/bin/python" "$here/check.py" "$root" "$bin"
