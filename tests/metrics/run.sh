#!/bin/sh
# Reads metrics files of campaign-etl (CAMPAIGN_ETL, default target/release/campaign-etl) with the parser of Prometheus' Python client.
# With promtool and node_exporter (PROMTOOL, NODE_EXPORTER; default: those on the PATH), it lints them and scrapes them from the collector.
# Needs Python 3.11 or later.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${CAMPAIGN_ETL:-$root/target/release/campaign-etl}
[ -x "$bin" ] || { echo "FAILED: no program at $bin; build it, or set CAMPAIGN_ETL" >&2; exit 1; }
venv=${VENV:-$root/target/metrics/venv}
[ -x "$venv/bin/python" ] || { mkdir -p "$(dirname "$venv")"; python3 -m venv "$venv"; }
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
"$venv/bin/python" "$here/check.py" "$root" "$bin"
