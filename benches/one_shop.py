#!/usr/bin/env python3
"""The time that a day with one giant shop takes, by memory limit.

    benches/one_shop.py --work DIR [--rows 4000000] [--users 200000] [--lines 1000000] [--limits 2GiB 64MiB 16MiB] [--runs 3]

Needs duckdb, and `cargo build --release`. The shop has all rows of product_traffic and of order_lines; the other exports are those of a
small generated world. Prints, for each limit, the median of the wall time of `run`, its quotient to that of the first limit, the peak
memory and the bytes that were spilled; and ends with an error when two limits gave different tables.
"""
import argparse, hashlib, os, pathlib, re, shutil, statistics, subprocess, time
import duckdb

DAY = "2026-03-01"
PROGRAM = os.environ.get("PROGRAM", "target/release/campaign-etl")
SHOP = 1000001


def make_exports(work, rows, users, lines):
    """In `work/exports`, unless they are there already. Rows come in no order, in row groups with statistics."""
    exports = work / "exports"
    if exports.exists():
        return exports
    subprocess.run([PROGRAM, "generate", "--out", exports, "--shops", "40", "--days", "1", "--rows-per-day", "4000", "-q"], check=True)
    traffic = f"""select {SHOP}::bigint shop_id, (hash(i, 1) % 5000)::bigint product_id, (hash(i, 2) % {users})::bigint user_id,
        ['LIVE', 'VIDEO', 'SHOP_TAB'][(hash(i, 3) % 3)::bigint + 1] channel,
        case when hash(i, 4) % 3 = 0 then (hash(i, 5) % 300)::bigint end content_id, 1::int impressions,
        (hash(i, 6) % 4 = 0)::int clicks, (hash(i, 7) % 3 = 0)::int page_views, (hash(i, 8) % 9 = 0)::int add_to_carts
        from range({rows}) t(i)"""
    orders = f"""select (i // 2)::bigint order_id, (i % 2)::bigint sku_id, (hash(i, 1) % 5000)::bigint product_id, {SHOP}::bigint shop_id,
        (hash(i // 2, 2) % {users})::bigint buyer_id, '{DAY} 12:00:00-08'::timestamptz paid_at, 1::int quantity,
        10.25::decimal(18, 2) sub_total, 1::decimal(18, 2) shipping_fee, 0::decimal(18, 2) platform_discount,
        0::decimal(18, 2) shipping_platform_discount, ['LIVE', 'VIDEO', 'SHOP_TAB'][(hash(i, 3) % 3)::bigint + 1] channel,
        null::bigint content_id, null::bigint sub_campaign_id from range({lines}) t(i)"""
    for dataset, query in [("product_traffic", traffic), ("order_lines", orders)]:
        folder = exports / dataset / f"dt={DAY}"
        for file in folder.iterdir():
            file.unlink()
        duckdb.sql(f"copy ({query}) to '{folder / 'part-0.parquet'}' (format parquet, row_group_size 122880)")
        (folder / "_SUCCESS").touch()
    return exports


def run(work, exports, limit):
    """Wall seconds, peak MB, spilled text and the hash of all tables."""
    results = work / "results"
    shutil.rmtree(results, ignore_errors=True)
    job = work / "job.toml"
    job.write_text(f'spill_folder = "{work}"\n')
    command = [PROGRAM, "run", "--config", job, "--exports", exports, "--results", results, "--day", DAY, "--memory-limit", limit]
    start = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    stderr = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    if status != 0:
        raise SystemExit(f"{limit}: {stderr}")
    tables = hashlib.sha256()
    for file in sorted(results.glob("[a-z]*/dt=*/part-0.parquet")):
        tables.update(file.read_bytes())
    spilled = re.search(r"tables, (.*) spilled", stderr)
    return seconds, usage.ru_maxrss / 1024, spilled.group(1) if spilled else "nothing", tables.hexdigest()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--work", type=pathlib.Path, required=True)
    for name, default in [("rows", 4_000_000), ("users", 200_000), ("lines", 1_000_000), ("runs", 3)]:
        arguments.add_argument(f"--{name}", type=int, default=default)
    arguments.add_argument("--limits", nargs="+", default=["2GiB", "64MiB", "16MiB"])
    asked = arguments.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    exports = make_exports(asked.work, asked.rows, asked.users, asked.lines)
    first, hashes = None, set()
    print("| limit | wall s | times the first | peak MB | spilled |\n| --- | ---: | ---: | ---: | ---: |")
    for limit in asked.limits:
        runs = [run(asked.work, exports, limit) for _ in range(asked.runs)]
        seconds = statistics.median(run[0] for run in runs)
        first = first or seconds
        hashes.update(run[3] for run in runs)
        print(f"| {limit} | {seconds:.1f} | {seconds / first:.2f} | {max(run[1] for run in runs):.0f} | {runs[0][2]} |", flush=True)
    if len(hashes) > 1:
        raise SystemExit("the tables differ")


if __name__ == "__main__":
    main()
