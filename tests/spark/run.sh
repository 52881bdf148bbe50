#!/bin/sh
# Runs the rollups on two servers, Apache Spark and Sail, and compares every byte with the engine of the program itself.
# Arguments name servers (spark, sail, sail-cluster); without any, all are tried. Needs protoc with its includes, Java 17
# and Python 3.10 or later (PYTHON). Servers come from the Python package index, into target/spark. See README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-python3}
tools=$root/target/spark
work=$(mktemp -d)
server=
stop_server() {
    [ -z "$server" ] || kill "$server" 2> /dev/null || true
    [ -z "$server" ] || wait "$server" 2> /dev/null || true
    server=
}
trap 'stop_server; rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- spark sail sail-cluster

# A virtual environment with a package in it.
environment() {
    [ -x "$tools/$1/bin/python" ] || "$python" -m venv "$tools/$1"
    venv=$1
    shift
    "$tools/$venv/bin/pip" install -q "$@"
}

# Starts a server, named as in server.py, on a free port.
start_server() {
    case $1 in
        spark) environment apache-spark "pyspark[connect]==4.3.0" && server_python=$tools/apache-spark/bin/python ;;
        sail | sail-cluster) environment sail pysail==0.7.2 "pyspark-client==4.2.*" && server_python=$tools/sail/bin/python ;;
        *) echo "no such server: $1" && exit 2 ;;
    esac
    port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "$server_python" "$here/server.py" "$1" "$port" > "$work/server.log" 2>&1 &
    server=$!
    wait_for_server
}

wait_for_server() {
    for _ in $(seq 120); do
        if "$python" -c "import socket; socket.create_connection(('127.0.0.1', $port), 1)" 2> /dev/null; then
            return
        fi
        sleep 1
    done
    echo "the server did not start:" && tail "$work/server.log" && exit 1
}

cd "$root"
cargo build --release --locked --features spark
etl=$root/target/release/campaign-etl

# The same days by both engines: $1 exports, $2 job file, $3 first day, $4 last day.
compare() {
    for engine in local spark; do
        "$etl" backfill --from "$3" --to "$4" --config "$2" --exports "$1" --results "$work/$engine" --quiet \
            --engine "$engine" --spark-remote "sc://127.0.0.1:$port" \
            > /dev/null 2> "$work/$engine.log" || { cat "$work/$engine.log" && exit 1; }
    done
    for engine in local spark; do
        (cd "$work/$engine" && find . -name '*.parquet' -not -path './_staging/*' | sort | xargs sha256sum) > "$work/$engine.sums"
    done
    cmp "$work/local.sums" "$work/spark.sums"
    [ -s "$work/local.sums" ]
    echo "$name: $(wc -l < "$work/local.sums") files of $3 to $4 are the same"
    rm -rf "$work/local" "$work/spark"
}

for name in "$@"; do
    start_server "$name"
    compare sample_data/exports jobs/daily.toml 2026-03-01 2026-03-14
    # Hand-worked cases; and random worlds with bad rows against the plain-loop calculation.
    CAMPAIGN_ETL_TESTS_SPARK=sc://127.0.0.1:$port PROPTEST_CASES=10 \
        cargo test --release --locked --features spark --test it -- \
            cases:: properties::every_cell mapping::exports_by mapping::values_that_do_not_fit
    [ ! -e target/real-year/campaign_products/dt=2017-11-30/_SUCCESS ] \
        || compare target/real-year tests/real/job.toml 2017-11-01 2017-11-30
    stop_server
    "$python" "$here/faults.py" "$etl" "$name" "$server_python"
    if [ "$name" = sail ]; then
        environment seaweedfs -r "$root/tests/stores/requirements.txt"
        "$python" "$here/s3.py" "$etl" sail "$server_python" "$tools/seaweedfs/bin"
    fi
done
