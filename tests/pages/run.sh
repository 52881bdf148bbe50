#!/usr/bin/env bash
# Opens pages of `report` in headless Chromium, prints them, and compares every number with the published files.
# Needs: chromium and pdftotext (apt-get install chromium poppler-utils), node, npm.
# REAL_RESULTS and REAL_CONFIG: results and job file of tests/real/run.sh, for pages of the real year too.
set -euo pipefail
cd "$(dirname "$0")/../.."
here="$PWD/tests/pages"
etl="${CAMPAIGN_ETL:-$PWD/target/release/campaign-etl}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cp "$here"/package*.json "$work"
(cd "$work" && npm ci --silent --no-fund --no-audit)
if [ -z "${PYTHON:-}" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" --quiet install -r "$here/requirements.txt"
    PYTHON="$work/venv/bin/python"
fi
failed=0
browser() { (cd "$work" && node "$here/browser.mjs" "$@") || failed=1; }
compare() { "$PYTHON" -B "$here/compare.py" "$@" || failed=1; }
# on WORLD: the program on its exports and results.
on() { local world="$1"; shift; "$etl" "$@" --quiet --exports "$work/exports/$world" --results "$results/$world"; }
# A long location, as a bucket may have: the operator's page shows it on a phone too.
results="$work/results/0123456789-0123456789-0123456789-0123456789-0123456789"
day=2026-03-12

mkdir -p "$work/exports" "$work/pages"
mkdir -p "$results"
cp -r sample_data/exports "$work/exports/sample"
"$PYTHON" -B "$here/worlds.py" "$work/exports/sample" "$work/exports"

echo "== the sample: three shops, one without orders, all shops and their index, the operator's page"
on sample backfill --from 2026-03-01 --to 2026-03-14 > /dev/null
pages="$work/pages/sample"
mkdir -p "$pages"
without_orders="$("$PYTHON" -c '
import pyarrow.parquet as pq, sys
print(next(row["shop_id"] for row in pq.read_table(sys.argv[1]).to_pylist() if row["orders"] == 0))
' "$results/sample/shop_daily/dt=$day/part-0.parquet")"
for shop in 1000008 1000011 1000021 1000042 "$without_orders"; do
    on sample report --shop "$shop" --day "$day" --out "$pages/$shop.html" > /dev/null
done
on sample report --summary --day "$day" --out "$pages/night.html" > /dev/null
on sample report --summary --day 2026-03-04 --out "$pages/quarantine.html" > /dev/null
on sample report --all --day "$day" --out "$work/pages/all" > /dev/null
browser "$pages"/*.html "$work/pages/all/index.html"
compare "$results/sample" "$pages"/*.html "$work"/pages/all/*.html

echo "== the checks can fail"
(cd "$work" && node "$here/selftest.mjs" "$pages/1000021.html") || failed=1
# A wrong value, a lost percent sign, another currency, a number without its value, a benchmark that is left out.
for edit in '0,/<data value="([0-9]+)\./s//<data value="9\1./' '0,/\xC2\xA0%</s//</' '0,/>USD\xC2\xA0/s//>EUR\xC2\xA0/' \
    '0,/<data value="[^"]*">([^<]*)<\/data>/s//\1/' '0,/metric=orders" data-column="benchmark"/s//metric=ctr" data-column="benchmark"/'; do
    LC_ALL=C sed -E "$edit" "$pages/1000011.html" > "$work/wrong.html"
    if cmp -s "$pages/1000011.html" "$work/wrong.html" || "$PYTHON" -B "$here/compare.py" "$results/sample" "$work/wrong.html" > "$work/wrong.txt"; then
        echo "not found: $edit"
        failed=1
    fi
done

echo "== a day that waits, a blocked day"
for world in waiting blocked; do
    pages="$work/pages/$world"
    mkdir -p "$pages"
    on "$world" backfill --from 2026-03-08 --to 2026-03-11 > /dev/null
    on "$world" run --day "$day" --accept-fallback > /dev/null || [ $? = 65 ]
    for shop in 1000008 1000021; do
        on "$world" report --shop "$shop" --day "$day" --out "$pages/$shop.html" > /dev/null
    done
    on "$world" report --summary --day "$day" --out "$pages/night.html" > /dev/null
    browser "$pages"/*.html
    compare "$results/$world" "$pages"/*.html
done

echo "== names that look like markup"
pages="$work/pages/hostile"
on hostile backfill --from 2026-03-08 --to "$day" > /dev/null
on hostile report --all --day "$day" --out "$pages" > /dev/null
on hostile report --summary --day "$day" --out "$pages/night.html" > /dev/null
browser "$pages/1000008.html" "$pages/1000021.html" "$pages/index.html" "$pages/night.html"
compare "$results/hostile" "$pages"/*.html

if [ -n "${REAL_RESULTS:-}" ]; then
    echo "== the real year"
    pages="$work/pages/real"
    mkdir -p "$pages"
    read -r real_day shop <<< "$("$PYTHON" -B "$here/busiest.py" "$REAL_RESULTS")"
    real() { "$etl" "$@" --quiet --config "$REAL_CONFIG" --results "$REAL_RESULTS"; }
    real report --shop "$shop" --day "$real_day" --out "$pages/$shop.html" > /dev/null
    real report --summary --day "$real_day" --out "$pages/night.html" > /dev/null
    browser "$pages"/*.html
    compare "$REAL_RESULTS" "$pages"/*.html
fi
[ "$failed" = 0 ] || { echo "some pages are not fine"; exit 1; }
echo "all pages are fine"
