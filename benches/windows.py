#!/usr/bin/env python3
"""The time and memory of a day's tables over six months of published days, with one campaign or with many.

    pip install pyarrow; benches/windows.py target/release/campaign-etl --work DIR [--shops 200000] [--rows 6000000]
        [--campaigns 1] [--shops-per-campaign N] [--memory-limit 2GiB] [--also OTHER_PROGRAM]

Three days are generated and published, and stand for the days of the six months before, in turn: with other names, the same
files. Then the day after them is computed. Without --shops-per-campaign, every campaign lasts for the six months and has every
shop; with it, each campaign has so many shops and begins on a day of its own. `--also`: the same with another program, and
whether all tables have the same bytes.
"""
import argparse, datetime as dt, json, os, pathlib, random, resource, shutil, subprocess, time
import pyarrow as pa
import pyarrow.parquet as pq

FIRST, DAY = dt.date(2026, 2, 26), dt.date(2026, 3, 1)
OLDEST = dt.date(2025, 8, 30)
DAILY = ["shop_daily", "channel_daily", "product_daily", "sku_daily", "content_daily", "sub_campaign_daily", "ad_hourly"]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("program")
    ap.add_argument("--work", type=pathlib.Path, required=True)
    ap.add_argument("--shops", type=int, default=200_000)
    ap.add_argument("--rows", type=int, default=6_000_000)
    ap.add_argument("--campaigns", type=int, default=1)
    ap.add_argument("--shops-per-campaign", type=int)
    ap.add_argument("--memory-limit", default="2GiB")
    ap.add_argument("--also")
    a = ap.parse_args()
    exports, published = a.work / f"exports-{a.shops}-{a.rows}", a.work / f"published-{a.shops}-{a.rows}"
    a.work.mkdir(parents=True, exist_ok=True)
    (a.work / "job.toml").write_text(f'lookback_days = 0\nmemory_limit = "{a.memory_limit}"\n[history]\nkeep_days = 0\n')
    if not published.exists():
        make(a, exports, published)
    register(a, exports)
    folders = [timed(program, a, exports, published) for program in [a.program, a.also] if program]
    if a.also:
        differ = [table for table in tables(folders[0]) if part(folders[0], table, DAY).read_bytes() != part(folders[1], table, DAY).read_bytes()]
        print("the same bytes" if not differ else f"OTHER BYTES: {', '.join(differ)}")


def make(a, exports, published):
    shutil.rmtree(exports, ignore_errors=True)
    subprocess.run([a.program, "generate", "--shops", str(a.shops), "--days", "4", "--rows-per-day", str(a.rows),
                    "--first-day", str(FIRST), "--out", exports, "-q"], check=True)
    results = a.work / "unfinished"
    shutil.rmtree(results, ignore_errors=True)
    subprocess.run([a.program, "backfill", "--from", str(FIRST), "--to", str(DAY - dt.timedelta(1)), "--exports", exports,
                    "--results", results, "--config", a.work / "job.toml", "-q"], check=True, stdout=subprocess.DEVNULL)
    days = (FIRST - OLDEST).days
    for n in range(days):
        stand_in(results, FIRST + dt.timedelta(n % 3), OLDEST + dt.timedelta(n))
    results.rename(published)


def stand_in(results, source, day):
    """The daily tables of one day under the name of another one."""
    manifest = max((results / f"_runs/dt={source}").iterdir())
    found = json.loads(manifest.read_text())
    found |= {"day": str(day), "benchmark": None, "tables": {name: found["tables"][name] for name in DAILY}}
    folder = results / f"_runs/dt={day}"
    folder.mkdir()
    (folder / manifest.name).write_text(json.dumps(found))
    for table in DAILY:
        part(results, table, day).parent.mkdir()
        for name in ["part-0.parquet", "_SUCCESS"]:
            os.link(results / f"{table}/dt={source}/{name}", results / f"{table}/dt={day}/{name}")


def register(a, exports):
    """The campaigns of the day, and their shops."""
    shops = sorted(pq.read_table(exports / f"shops/dt={DAY}", partitioning=None)["shop_id"].to_pylist())
    chance = random.Random(7)
    ids, firsts, of, members = [], [], [], []
    for campaign in range(1, a.campaigns + 1):
        some = a.shops_per_campaign
        ids.append(campaign)
        firsts.append(OLDEST + dt.timedelta(chance.randrange(180)) if some else OLDEST)
        chosen = sorted(chance.sample(shops, some)) if some else shops
        of += [campaign] * len(chosen)
        members += chosen
    campaigns = {"campaign_id": pa.array(ids), "campaign_name": pa.array([f"campaign {id}" for id in ids]),
                 "first_day": pa.array(firsts), "last_day": pa.array([DAY + dt.timedelta(1)] * len(ids))}
    write(exports, "campaigns", pa.table(campaigns))
    targets = pa.nulls(len(members), pa.decimal128(18, 2))
    write(exports, "campaign_shops", pa.table({"campaign_id": pa.array(of), "shop_id": pa.array(members), "target_gmv": targets}))


def write(exports, dataset, table):
    folder = exports / f"{dataset}/dt={DAY}"
    shutil.rmtree(folder)
    folder.mkdir()
    pq.write_table(table, folder / "part-0.parquet", compression="zstd")
    (folder / "_SUCCESS").touch()


def timed(program, a, exports, published):
    results = a.work / f"results-{0 if program == a.program else 1}"
    shutil.rmtree(results, ignore_errors=True)
    shutil.copytree(published, results, copy_function=os.link)
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [program, "run", "--day", str(DAY), "--exports", exports, "--results", results, "--config", a.work / "job.toml", "-q"]
    # A process of its own measures the peak of this run only.
    run = subprocess.run(["/usr/bin/env", "python3", "-c", MEASURE, *map(str, command)], check=True, capture_output=True, text=True)
    peak = int(run.stdout.split()[-1])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{program}: {time.monotonic() - begun:.1f} s, CPU {cpu:.1f} s, peak {peak / 1024:.0f} MiB")
    manifest = json.loads(max((results / f"_runs/dt={DAY}").iterdir()).read_text())
    print("  " + ", ".join(f"{stage['stage']} {stage['milliseconds'] / 1000:.1f}" for stage in manifest["stages"]))
    for table in ["product_daily", "content_daily"]:
        print(f"  {rows(results, table)} rows of {table}, {pq.read_metadata(part(results, table.replace('daily', 'period'), DAY)).num_rows} of the period")
    return results


MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def rows(results, table):
    return sum(pq.read_metadata(file).num_rows for file in (results / table).glob("*/*.parquet"))


def part(results, table, day):
    return results / f"{table}/dt={day}/part-0.parquet"


def tables(results):
    return sorted(folder.name for folder in results.iterdir() if part(results, folder.name, DAY).exists())


if __name__ == "__main__":
    main()
