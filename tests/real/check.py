#!/usr/bin/env python3
"""Compare what the job published of the real year with the same tables made from the exports by DuckDB.

    check.py EXPORTS RESULTS REPORT    compares all days, cell by cell, and the totals with expected_totals.json;
                                       REPORT is what the backfill printed (JSON)
    check.py EXPORTS --record          writes expected_totals.json, from the exports alone

The expected side is expected*.sql and expected_benchmarks.py, written from SPEC.md; the program takes no part in it.
Doubles may differ in their last bits (relative 1e-12): engines divide in different steps. Everything else is equal or
wrong.
"""
import argparse, json, pathlib, sys
import duckdb
import pandas as pd

from expected_benchmarks import benchmarks

HERE = pathlib.Path(__file__).parent
ZONE = "America/New_York"
FIRST_DAY, LAST_DAY = "2017-03-01", "2017-11-30"
KEYS = {
    "shop_daily": ["shop_id"],
    "channel_daily": ["shop_id", "channel"],
    "product_daily": ["shop_id", "product_id"],
    "sku_daily": ["shop_id", "product_id", "sku_id"],
    "shop_period": ["campaign_id", "shop_id"],
    "funnel_period": ["campaign_id", "shop_id"],
    "channel_period": ["campaign_id", "shop_id", "channel"],
    "shop_tier": ["shop_id"],
}
# Too large to compare for every day, or computed in plain loops: a day inside one campaign, inside several, the last.
CHOSEN_DAYS = ["2017-04-20", "2017-08-15", "2017-11-30"]
KEYS_CHOSEN = {
    "product_period": ["campaign_id", "shop_id", "product_id"],
    "gmv_baseline": ["shop_id", "baseline_day"],
    "category_benchmark": ["scope", "campaign_id", "category", "tier", "metric"],
    "shop_benchmark": ["scope", "campaign_id", "shop_id", "metric"],
    "gmv_gap": ["scope", "campaign_id", "shop_id"],
}
TOTALS = "sum(gmv)::varchar gmv, sum(orders)::bigint orders, sum(customers)::bigint customers, sum(items_sold)::bigint items_sold"

# A benchmark is a mean of doubles, right to its last bits; where a shop's value is next to it, those bits are all that is
# left of their difference. So here 1e-12 is of the two values, which is this many percentage points.
# What a gap consists of is rounded at the size of the two amounts, or at its own.
OF_BOTH = "1e-9 * (e.gmv + e.benchmark_gmv)"
ABSOLUTE_TOLERANCES = {("shop_benchmark", "difference_pct"): 1e-10, ("gmv_gap", "gap"): OF_BOTH,
                       **{("gmv_gap", f"from_{factor}"): OF_BOTH for factor in
                          ["impressions", "ctr", "ctor", "gmv_per_sku_order"]}}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("exports", type=pathlib.Path)
    ap.add_argument("results", type=pathlib.Path, nargs="?")
    ap.add_argument("report", type=pathlib.Path, nargs="?")
    ap.add_argument("--record", action="store_true", help="write expected_totals.json from the exports")
    a = ap.parse_args()
    con = duckdb.connect()
    con.execute("set threads = 2; set timezone = 'UTC'")
    con.execute("set variable exports = ?", [str(a.exports)])
    con.execute("set variable zone = ?", [ZONE])
    con.execute((HERE / "expected.sql").read_text())
    if a.record:
        (HERE / "expected_totals.json").write_text(json.dumps(totals(con), indent=2) + "\n")
        return
    problems = check(con, a.results, json.loads(a.report.read_text()))
    for problem in problems:
        print("FAILED:", problem)
    sys.exit(1 if problems else 0)


def check(con, results, report):
    con.execute("create table chosen_days as select unnest(?)::date dt", [CHOSEN_DAYS])
    con.execute((HERE / "expected_windows.sql").read_text())
    create_benchmarks(con)
    problems = []
    recorded = json.loads((HERE / "expected_totals.json").read_text())
    problems += differences("exports against expected_totals.json", recorded, totals(con))
    for table in KEYS:
        con.execute(f"create view found_{table} as select * from "
                    f"read_parquet('{results}/{table}/*/*.parquet', hive_partitioning = true, hive_types = {{'dt': date}})")
    for table in KEYS_CHOSEN:
        files = [f"{results}/{table}/dt={day}/*.parquet" for day in CHOSEN_DAYS]
        con.execute(f"create view found_{table} as select * from "
                    f"read_parquet({files}, hive_partitioning = true, hive_types = {{'dt': date}})")
    problems += check_days(con)
    found = con.execute(f"select {TOTALS} from found_shop_daily").fetchdf().to_dict("records")[0]
    problems += differences("shop_daily against expected_totals.json", {k: recorded[k] for k in found}, found)
    problems += check_row_counts(con, report)
    problems += check_warnings(report)
    for table, key in {**KEYS, **KEYS_CHOSEN}.items():
        problems += check_table(con, table, key)
    return problems


def create_benchmarks(con):
    con.execute("""create table category_benchmark(dt date, scope varchar, campaign_id bigint, category varchar,
        tier varchar, metric varchar, benchmark_day date, is_fallback boolean, fallback_reason varchar, observed_days bigint,
        peer_count bigint, mean double, p25 double, p50 double, p75 double, is_suppressed boolean,
        suppression_reason varchar, method varchar)""")
    con.execute("""create table shop_benchmark(dt date, scope varchar, campaign_id bigint, shop_id bigint, metric varchar,
        category varchar, tier varchar, benchmark_day date, is_fallback boolean, value double, benchmark_tier varchar,
        benchmark double, difference_pct double, position varchar)""")
    con.execute("""create table gmv_gap(dt date, scope varchar, campaign_id bigint, shop_id bigint, category varchar, tier varchar,
        benchmark_day date, is_fallback boolean, benchmark_tier varchar, gmv double, benchmark_gmv double, gap double,
        from_impressions double, from_ctr double, from_ctor double, from_gmv_per_sku_order double)""")
    for day in CHOSEN_DAYS:
        for table, rows in zip(["category_benchmark", "shop_benchmark", "gmv_gap"], benchmarks(con, day)):
            frame = pd.DataFrame([(day, *row) for row in rows], dtype=object)
            con.execute(f"insert into {table} select * from frame")


def totals(con):
    """What the exports hold: from the used rows, by shop and day; never from a table of the job."""
    sums = con.execute("""
        select count(distinct dt)::int as days, sum(gmv)::varchar gmv, sum(orders)::bigint orders,
          sum(customers)::bigint customers, sum(items_sold)::bigint items_sold
        from (select dt, shop_id, sum(sub_total + shipping_fee) gmv, count(distinct order_id) orders,
                count(distinct buyer_id) customers, sum(quantity) items_sold
              from sold group by dt, shop_id)""").fetchdf().to_dict("records")[0]
    rows = con.execute("""
        select dataset, count(*)::bigint rows_read, count_if(reason is null and in_scope)::bigint rows_used,
          count_if(reason is not null)::bigint rows_quarantined,
          count_if(reason is null and not in_scope)::bigint rows_out_of_scope
        from datasets group by dataset order by dataset""").fetchall()
    names = ["rows_read", "rows_used", "rows_quarantined", "rows_out_of_scope"]
    return {**sums, "datasets": {row[0]: dict(zip(names, row[1:])) for row in rows}}


def differences(what, expected, found):
    return [] if expected == found else [f"{what}: expected {expected}, found {found}"]


def check_days(con):
    """Every day of the year's range is published, in every table."""
    days = con.execute(f"select date '{LAST_DAY}' - date '{FIRST_DAY}' + 1").fetchone()[0]
    problems = []
    for table in KEYS:
        found = con.execute(f"select count(distinct dt), min(dt)::varchar, max(dt)::varchar from found_{table}").fetchone()
        problems += differences(f"days of {table}", (days, FIRST_DAY, LAST_DAY), found)
    return problems


def check_table(con, table, key):
    columns = con.execute(f"describe found_{table}").fetchall()
    wanted = {row[0] for row in con.execute(f"describe {table}").fetchall()}
    if wanted != {row[0] for row in columns}:
        return [f"{table}: columns {sorted(wanted ^ {row[0] for row in columns})} are on one side only"]
    join = " and ".join(f"e.{k} = f.{k}" for k in ["dt", *key])
    rows = con.execute(f"select (select count(*) from {table}), (select count(*) from found_{table})").fetchone()
    problems = differences(f"{table}: rows", rows[0], rows[1])
    matched = con.execute(f"select count(*) from {table} e join found_{table} f on {join}").fetchone()[0]
    problems += differences(f"{table}: rows with the same key", rows[0], matched)
    tests = []
    for name, kind in [row[:2] for row in columns if row[0] not in ["dt", *key]]:
        differs = f"e.{name} is distinct from f.{name}"
        if kind == "DOUBLE":
            absolute = ABSOLUTE_TOLERANCES.get((table, name), 0)
            differs = (f"(e.{name} is null) <> (f.{name} is null) or "
                       f"abs(e.{name} - f.{name}) > greatest(1e-12 * abs(e.{name}), {absolute})")
        tests.append(f"count(*) filter (where {differs}) as {name}")
    counts = con.execute(f"select {', '.join(tests)} from {table} e join found_{table} f on {join}").fetchdf().to_dict("records")[0]
    problems += [f"{table}.{name}: {int(n)} cells differ" for name, n in counts.items() if n]
    print(f"{table}: {rows[1]} rows, {rows[1] * len(tests)} cells compared")
    return problems


def check_row_counts(con, report):
    """Rows read = used + quarantined + out of scope, for each day and export, and each as the rules say."""
    expected = {(day, dataset): counts for day, dataset, *counts in con.execute("""
        select dt::varchar, dataset, count(*), count_if(reason is null and in_scope), count_if(reason is not null),
          count_if(reason is null and not in_scope)
        from datasets group by all""").fetchall()}
    found = {(d["day"], d["dataset"]): [d["rows_read"], d["rows_used"], d["rows_quarantined"], d["rows_out_of_scope"]]
             for d in objects_with(report, "rows_read")}
    problems = differences("exports that the report counts", sorted(expected), sorted(found))
    problems += [f"{key}: expected {counts}, found {found[key]}" for key, counts in expected.items()
                 if key in found and found[key] != counts]
    problems += [f"{key}: {counts} do not add up" for key, counts in found.items() if counts[0] != sum(counts[1:])]
    print(f"row counts: {len(found)} exports compared")
    return problems


def check_warnings(report):
    """Nothing of the year is wrong, so every failed check is a false warning: at most one day in 20 may have one."""
    failed = [day["day"] for day in report["days"] for checked in day["checks"]
              if checked["day"] == day["day"] and checked["failed"]]
    print(f"checks: failed on {len(failed)} of {len(report['days'])} days: {', '.join(failed)}")
    return [] if 20 * len(failed) <= len(report["days"]) else ["checks fail on more than one day in 20"]


def objects_with(node, name):
    """Every JSON object below `node` that has a member `name`."""
    if isinstance(node, dict) and name in node:
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from objects_with(child, name)


if __name__ == "__main__":
    main()
