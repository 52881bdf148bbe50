#!/bin/sh
# Checks jobs/systemd/ with `systemd-analyze` (252 or later), its exit codes against docs/operations.md, and its command with campaign-etl
# (CAMPAIGN_ETL, default target/release/campaign-etl). Needs Python 3.11 or later. No unit is started.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${CAMPAIGN_ETL:-$root/target/release/campaign-etl}
[ -x "$bin" ] || { echo "FAILED: no program at $bin; build it, or set CAMPAIGN_ETL" >&2; exit 1; }
command -v systemd-analyze > /dev/null || { echo "FAILED: no systemd-analyze; install systemd" >&2; exit 1; }
python3 "$here/check.py" "$root" "$bin"
