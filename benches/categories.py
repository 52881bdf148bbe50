#!/usr/bin/env python3
"""The time of a run with few and with many categories, for as many shops, all of them in a campaign: benchmarks must not take
longer per category.

    pip install pyarrow; benches/categories.py target/release/campaign-etl [--shops 40000] [--categories 30 40000] [--rounds 3]
"""
import argparse, datetime, pathlib, resource, shutil, subprocess, tempfile, time
import pyarrow as pa
import pyarrow.parquet as pq

DAY = "2026-03-01"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("program")
    ap.add_argument("--shops", type=int, default=40_000)
    ap.add_argument("--categories", type=int, nargs="+", default=[30, 40_000])
    ap.add_argument("--rounds", type=int, default=3)
    a = ap.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "job.toml").write_text("")
        exports = root / "exports"
        subprocess.run([a.program, "generate", "--shops", str(a.shops), "--days", "1", "--rows-per-day", str(20 * a.shops),
                        "--first-day", DAY, "--out", exports, "-q"], check=True)
        register_all(exports)
        seconds = {count: least_time(a, root, exports, count) for count in a.categories}
    first = seconds[a.categories[0]]
    for count, taken in seconds.items():
        print(f"{count} categories, {a.shops} shops: {taken:.2f} s, {taken / first:.2f} times as long")


def register_all(exports):
    """One campaign of the day with every shop."""
    day = pa.array([datetime.date.fromisoformat(DAY)])
    shops = read(exports, "shops")["shop_id"].combine_chunks()
    campaign = {"campaign_id": pa.array([1]), "campaign_name": pa.array(["all"]), "first_day": day, "last_day": day}
    write(exports, "campaigns", pa.table(campaign))
    targets = pa.nulls(len(shops), pa.decimal128(18, 2))
    write(exports, "campaign_shops", pa.table({"campaign_id": pa.array([1] * len(shops)), "shop_id": shops, "target_gmv": targets}))


def read(exports, dataset):
    return pq.read_table(exports / f"{dataset}/dt={DAY}", partitioning=None)


def write(exports, dataset, table):
    folder = exports / f"{dataset}/dt={DAY}"
    shutil.rmtree(folder)
    folder.mkdir()
    pq.write_table(table, folder / "part-0.parquet")
    (folder / "_SUCCESS").touch()


def least_time(a, root, exports, categories):
    shops = read(exports, "shops")
    names = pa.array([f"category {number % categories:06}" for number in range(len(shops))])
    write(exports, "shops", shops.set_column(shops.schema.get_field_index("category"), "category", names))
    times = []
    for _ in range(a.rounds):
        shutil.rmtree(root / "results", ignore_errors=True)
        start = time.perf_counter()
        subprocess.run([a.program, "run", "--day", DAY, "--config", root / "job.toml", "--exports", exports,
                        "--results", root / "results", "-q"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{categories} categories: {', '.join(f'{t:.2f}' for t in times)} s; peak so far {peak:.0f} MiB", flush=True)
    return min(times)


if __name__ == "__main__":
    main()
