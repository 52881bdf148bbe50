#!/bin/sh
# Runs jobs/airflow_daily.py with Airflow 3.3.2: `dags test`, then `standalone` with a backfill, a held lease and killed tasks.
# Needs a built campaign-etl (CAMPAIGN_ETL, default target/release/campaign-etl), Linux and Python 3.11 or later. Takes about four
# minutes. The virtual environment is kept in target/airflow. SCREENSHOT=FILE saves a run's page, if there is a chromium.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${CAMPAIGN_ETL:-$root/target/release/campaign-etl}
[ -x "$bin" ] || { echo "FAILED: no program at $bin; build it, or set CAMPAIGN_ETL" >&2; exit 1; }
venv=${VENV:-$root/target/airflow/venv}
[ -x "$venv/bin/python" ] || { mkdir -p "$(dirname "$venv")"; python3 -m venv "$venv"; }
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/dags" "$work/home" "$work/home/jobs"
cp "$bin" "$work/bin/campaign-etl"
cp "$root/jobs/airflow_daily.py" "$here/reader.py" "$work/dags"
cp -r "$root/sample_data/exports" "$work/home/exports"
sed 's|^exports = "[^"]*"|exports = "exports"|' "$root/jobs/daily.toml" > "$work/home/jobs/daily.toml"

export PATH="$work/bin:$venv/bin:$PATH" WORK="$work" ROOT="$root" PYTHONUNBUFFERED=1
# Airflow's log servers listen on every interface. In a network namespace there is only loopback.
if unshare -rn true 2> /dev/null; then
    set -- unshare -rn sh -c 'ip link set lo up && exec "$0" "$@"' "$venv/bin/python" "$here/check.py"
else
    echo "no network namespace here: Airflow's log servers listen on every interface while this runs"
    set -- "$venv/bin/python" "$here/check.py"
fi
"$@"
