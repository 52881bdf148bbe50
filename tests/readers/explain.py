"""Compute published numbers again in two ways, and compare every column of every row of some shops.

    explain.py --bin campaign-etl --exports DIR --results DIR [--config FILE] [--shops N] [--days N | --some-days N] [--cells N]

The ways are the second route of `explain --deep`, and the queries of `explain --sql`, run by DuckDB. Each query runs in a session with another time zone. A DOUBLE may differ by 1e-9 of its value; everything else is equal, types included.
"""
import argparse, datetime, json, os, pathlib, random, re, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

import duckdb

ZONES = ["UTC", "Asia/Kathmandu", "America/Los_Angeles", "Pacific/Apia"]
# The first lines of a query say so where its export is no longer the published one.
CHANGED, TOLD = "changed since the table was published; its value may differ", "told"
FLAGS = {
    "scope": "--scope",
    "campaign_id": "--campaign",
    "product_id": "--product",
    "channel": "--channel",
    "content_id": "--content",
    "sku_id": "--sku",
    "sub_campaign_id": "--sub-campaign",
    "baseline_day": "--baseline-day",
    "hour_start": "--hour",
}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--exports", required=True)
    parser.add_argument("--results", required=True, type=pathlib.Path)
    parser.add_argument("--config", default="jobs/daily.toml")
    parser.add_argument("--shops", type=int, default=30)
    parser.add_argument("--days", type=int, default=0, help="the last N published days; 0: all of them")
    parser.add_argument("--some-days", type=int, default=0, help="N published days by chance")
    parser.add_argument("--may-have-changed", action="store_true", help="exports that changed since are no failure")
    parser.add_argument("--cells", type=int, default=400, help="questions about a single cell")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def main():
    args = arguments()
    shops, days = some_shops(args), published_days(args)
    second_route(args, days, shops)
    tables = {path.name for path in args.results.iterdir() if not path.name.startswith("_")}
    contract = describe(args, tables)
    questions = [(day, table, shop) for day in days for table in sorted(tables_of(args, day)) for shop in shops]
    counts, wrong, told = {}, [], 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (day, table, shop), outcome in zip(questions, pool.map(lambda q: compare_rows(args, contract, *q), questions)):
            cells, rows, differences = outcome
            at = counts.setdefault(table, [0, 0])
            at[0] += rows
            at[1] += cells
            told += len(differences) if differences[:1] == [TOLD] else 0
            wrong += [f"{table} of {day}, shop {shop}: {text}" for text in differences if differences[:1] != [TOLD]]
        rows = all_rows(args, contract, questions)
        chosen = random.Random(args.seed).sample(rows, min(args.cells, len(rows)))
        singles = list(pool.map(lambda one: compare_cell(args, contract, *one), chosen))
    told += singles.count(TOLD)
    wrong += [text for text in singles if text and text != TOLD]
    for table, (rows, cells) in sorted(counts.items()):
        print(f"{table}: {rows} rows, {cells} cells")
    cells = sum(cells for _, cells in counts.values())
    print(f"{len(days)} days, {len(shops)} shops: {cells} cells in rows, {len(chosen)} single cells, {len(wrong)} differ"
          + (f", {told} questions differ and say that an export changed" if told else ""))
    for text in wrong[:40]:
        print(text)
    if wrong or not cells or not chosen:
        sys.exit("FAILED")


def published_days(args):
    days = sorted(path.name[3:] for path in (args.results / "_runs").glob("dt=*"))
    days = [day for day in days[-args.days :] if tables_of(args, day)]
    return sorted(random.Random(args.seed).sample(days, args.some_days)) if args.some_days else days


def tables_of(args, day):
    return [path.parts[-2] for path in args.results.glob(f"[!_]*/dt={day}") if (path / "part-0.parquet").exists()]


def some_shops(args):
    """Shops of any day: half of them those that sell most, and others by chance."""
    pattern = str(args.results / "shop_daily" / "*" / "*.parquet")
    query = f"SELECT shop_id FROM '{pattern}' GROUP BY shop_id ORDER BY sum(gmv) DESC, shop_id"
    shops = [shop for (shop,) in duckdb.sql(query).fetchall()]
    first, rest = shops[: (args.shops + 1) // 2], shops[(args.shops + 1) // 2 :]
    return sorted(first + random.Random(args.seed).sample(rest, min(args.shops // 2, len(rest))))


def second_route(args, days, shops):
    """Every number of each day and shop, as `explain` computes it again from the exports."""
    cells, outcomes, wrong = {}, {}, []
    questions = [(day, shop) for day in days for shop in shops]
    ask = lambda question: answer(args, "--deep", "--day", question[0], f"--shop={question[1]}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for question, (code, document) in zip(questions, pool.map(ask, questions)):
            if "recomputed" not in document:
                wrong.append(f"{question}: {document}")
                continue
            outcome = document["recomputed"]["outcome"]
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            for table in document["tables"]:
                cells[table["table"]] = cells.get(table["table"], 0) + table["cells"]
                if outcome != "inputs_changed" and (table["differing"] or code):
                    wrong.append(f"{question}: {table['table']}: {table['differing'][:3]}")
            if outcome == "inputs_changed" and not args.may_have_changed:
                wrong.append(f"{question}: {document['recomputed']['changed']}")
    total = sum(cells.values())
    print(f"second route: {len(questions)} days of shops, {outcomes}, {total} cells of {len(cells)} tables")
    for text in wrong[:40]:
        print(text)
    if wrong or not total or not outcomes.get("agrees"):
        sys.exit("FAILED")


def answer(args, *question):
    command = [args.bin, "explain", *question, "--format", "json", "--quiet"]
    command += ["--config", args.config, "--exports", args.exports, "--results", str(args.results)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode, json.loads(done.stdout or "{}")


def describe(args, tables):
    """The columns and types of each table, from a published file."""
    contract = {}
    for table in tables:
        path = next(args.results.glob(f"{table}/dt=*/part-0.parquet"), None)
        if path is None:
            continue
        relation = duckdb.sql(f"SELECT * FROM read_parquet('{path}', hive_partitioning = false)")
        contract[table] = list(zip(relation.columns, map(str, relation.types)))
    return contract


def explain(args, table, shop, day, *more):
    command = [args.bin, "explain", "--sql", "--table", table, f"--shop={shop}", "--day", day, *more]
    command += ["--config", args.config, "--exports", args.exports, "--results", str(args.results), "--quiet"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def run(sql, seed):
    """Rows, names and types, in a session of any time zone."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(f"SET TimeZone = '{random.Random(seed).choice(ZONES)}'")
    relation = connection.sql(sql)
    return relation.fetchall(), relation.columns, list(map(str, relation.types))


def published(args, table, day):
    path = args.results / table / f"dt={day}" / "part-0.parquet"
    return f"read_parquet('{path}', hive_partitioning = false)"


def condition(args, table, shop, day):
    """The shop's rows; of a table without shops, those of its cohort."""
    if table != "category_benchmark":
        return f"shop_id = {shop}"
    benchmark_day = duckdb.connect().sql(f"SELECT any_value(benchmark_day) FROM {published(args, table, day)}").fetchall()[0][0]
    if benchmark_day is None:
        return "false"
    tiers = published(args, "shop_tier", benchmark_day)
    return f"(category, tier) IN (SELECT (category, tier) FROM {tiers} WHERE shop_id = {shop})"


def compare_rows(args, contract, day, table, shop):
    try:
        sql = explain(args, table, shop, day)
        found, names, types = run(sql, f"{table}{day}{shop}")
    except Exception as error:
        return 0, 0, [f"{type(error).__name__}: {error}"]
    connection = duckdb.connect(config={"threads": 1})
    query = f"SELECT * FROM {published(args, table, day)} WHERE {condition(args, table, shop, day)}"
    expected = connection.sql(query).fetchall()
    if list(zip(names, types)) != contract[table]:
        return 0, 0, [f"columns {list(zip(names, types))}"]
    if len(found) != len(expected) and CHANGED in sql:
        return 0, 0, [TOLD]
    if len(found) != len(expected):
        return 0, 0, [f"{len(found)} rows, {len(expected)} published"]
    wrong = []
    for got, want in zip(found, expected):
        wrong += [f"{name}: {g!r}, published {w!r} in {want[:5]}" for name, g, w in zip(names, got, want) if not same(g, w)]
    return len(found) * len(names), len(found), [TOLD] if wrong and CHANGED in sql else wrong


def all_rows(args, contract, questions):
    """Questions about single cells: a row of the shop, and a column of it."""
    rows, choose = [], random.Random(args.seed)
    for day, table, shop in questions:
        columns = [name for name, _ in contract[table]]
        query = f"SELECT * FROM {published(args, table, day)} WHERE {condition(args, table, shop, day)}"
        if table == "category_benchmark":
            query += " ORDER BY ALL"
        few = duckdb.sql(query).fetchall()
        for row in choose.sample(few, min(2, len(few))):
            row = dict(zip(columns, row))
            column = choose.choice(columns)
            rows.append((day, table, shop, row, column))
    return rows


def compare_cell(args, contract, day, table, shop, row, column):
    metric, flags = column, []
    if "metric" in row:
        metric, flags = row["metric"], [f"--column={column}"]
    for name in KEYS[table]:
        if name in FLAGS:
            value = row[name]
            if isinstance(value, datetime.datetime):
                value = value.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
            flags += [f"{FLAGS[name]}={value}"]
    about = f"cell {metric} of {table} of {day}, shop {shop}, {flags}"
    try:
        sql = explain(args, table, shop, day, "--metric", metric, *flags)
        found, names, types = run(sql, about)
    except Exception as error:
        return f"{about}: {type(error).__name__}: {error}"
    if CHANGED in sql and [row[column]] != [cell for cells in found for cell in cells]:
        return TOLD
    if names != [column] or types != [dict(contract[table])[column]] or len(found) != 1:
        return f"{about}: {len(found)} rows of {names} {types}"
    if not same(found[0][0], row[column]):
        return f"{about}: {found[0][0]!r}, published {row[column]!r}"
    _, document = answer(args, "--day", day, "--table", table, f"--shop={shop}", "--metric", metric, *flags)
    outcome = document.get("recomputed", {}).get("outcome")
    if outcome == "inputs_changed" and args.may_have_changed:
        return TOLD
    return None if outcome == "agrees" else f"{about}: the second route: {document.get('recomputed', document)}"


def same(got, want):
    if isinstance(got, float) and isinstance(want, float):
        return got == want or abs(got - want) <= 1e-9 * max(abs(got), abs(want))
    return type(got) is type(want) and got == want


KEYS = {
    "shop_daily": [],
    "channel_daily": ["channel"],
    "product_daily": ["product_id"],
    "sku_daily": ["product_id", "sku_id"],
    "content_daily": ["content_id"],
    "sub_campaign_daily": ["sub_campaign_id"],
    "ad_hourly": ["hour_start"],
    "shop_period": ["campaign_id"],
    "funnel_period": ["campaign_id"],
    "channel_period": ["campaign_id", "channel"],
    "product_period": ["campaign_id", "product_id"],
    "content_period": ["campaign_id", "content_id"],
    "sub_campaign_period": ["campaign_id", "sub_campaign_id"],
    "gmv_baseline": ["baseline_day"],
    "stock_status": ["product_id", "sku_id"],
    "shop_tier": [],
    "category_benchmark": ["scope", "campaign_id", "metric"],
    "shop_benchmark": ["scope", "campaign_id", "metric"],
    "gmv_gap": ["scope", "campaign_id"],
}


if __name__ == "__main__":
    main()
