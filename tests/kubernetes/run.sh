#!/bin/sh
# Checks jobs/kubernetes/cronjob.yaml against the schemas of Kubernetes, its exit codes against docs/operations.md, and its job file
# with campaign-etl (CAMPAIGN_ETL, default target/release/campaign-etl). Needs Python 3.11 or later. No cluster is started.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${CAMPAIGN_ETL:-$root/target/release/campaign-etl}
[ -x "$bin" ] || { echo "FAILED: no program at $bin; build it, or set CAMPAIGN_ETL" >&2; exit 1; }
venv=${VENV:-$root/target/kubernetes/venv}
[ -x "$venv/bin/python" ] || { mkdir -p "$(dirname "$venv")"; python3 -m venv "$venv"; }
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
"$venv/bin/python" "$here/check.py" "$root" "$bin"
