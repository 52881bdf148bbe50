"""Makes the exports that the benchmark reads: `campaign-etl generate`, in two orders of the rows, and with a giant shop.

`generate` writes traffic shop by shop. An export of events usually comes in the order of arrival, shops mixed, which is
harder on every hash table. So each size exists several times under the work folder:

  clustered-<rows>   as generated
  mixed-<rows>       order_lines and product_traffic in a pseudo-random order; the same rows, files and row groups
  giant-<rows>       as mixed, and half of the traffic belongs to one shop
"""

import argparse
import shutil
import subprocess
from pathlib import Path

import duckdb

DAY = "2026-03-01"
SHOPS = 20_000
SEED = 7
ORDERS = ("clustered", "mixed", "giant")
GIANT_SHOP = 1_000_001
SHUFFLED = ("order_lines", "product_traffic")
# As `generate` writes them.
FILE_OPTIONS = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 131072"
MEMORY_LIMIT = "6GB"


def exports(work: Path, rows: int, order: str, generator: list[str]) -> Path:
    """The folder of exports of that size and order, made if it does not exist."""
    folder = work / f"{order}-{rows}"
    if not folder.exists():
        # Renamed only when complete: an interrupted call leaves nothing that looks like data.
        unfinished = work / f"unfinished-{order}-{rows}"
        shutil.rmtree(unfinished, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        if order == "clustered":
            generate(unfinished, rows, generator)
        elif order == "mixed":
            mix(exports(work, rows, "clustered", generator), unfinished)
        else:
            give_to_one_shop(exports(work, rows, "mixed", generator), unfinished)
        unfinished.rename(folder)
    return folder


def generate(out: Path, rows: int, generator: list[str]) -> None:
    options = {"rows-per-day": rows, "shops": SHOPS, "days": 1, "seed": SEED, "first-day": DAY, "out": out}
    subprocess.run(
        [
            *generator,
            "generate",
            "--quiet",
            *(word for name, value in options.items() for word in (f"--{name}", str(value))),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    start_campaign(out)


def start_campaign(out: Path) -> None:
    """Moves the first announced campaign to the day, and puts order lines of its products into its sub-campaigns.

    A generated world has no campaign in its first week, and a day in one takes eight days to generate. Without a campaign
    sub_campaign_daily would be empty.
    """
    con = connect(out)
    campaigns, products, sub_campaigns = (
        next(partition(out, name).glob("*.parquet")) for name in ("campaigns", "campaign_products", "sub_campaigns")
    )
    con.execute(f"CREATE TABLE campaign AS SELECT min(campaign_id) AS id FROM '{campaigns}' WHERE first_day > DATE '{DAY}'")
    rewrite(
        con,
        campaigns,
        f"""SELECT * REPLACE (CASE WHEN moves THEN DATE '{DAY}' ELSE first_day END AS first_day,
                              CASE WHEN moves THEN DATE '{DAY}' + CAST(last_day - first_day AS INTEGER) ELSE last_day END
                                  AS last_day)
            FROM (SELECT *, campaign_id = (SELECT id FROM campaign) AS moves
                  FROM read_parquet('{campaigns}', hive_partitioning = false))""",
        drop="moves",
    )
    con.execute(
        f"""CREATE TABLE campaign_product AS
            SELECT DISTINCT shop_id, product_id FROM '{products}' WHERE campaign_id = (SELECT id FROM campaign)"""
    )
    con.execute(
        f"""CREATE TABLE sub_campaign AS
            SELECT list(sub_campaign_id ORDER BY sub_campaign_id) AS ids FROM '{sub_campaigns}'
            WHERE campaign_id = (SELECT id FROM campaign)"""
    )
    for file in sorted(partition(out, "order_lines").glob("*.parquet")):
        rewrite(
            con,
            file,
            f"""SELECT * REPLACE (CASE WHEN (shop_id, product_id) IN (SELECT (shop_id, product_id) FROM campaign_product)
                                       -- One line in five is part of no sub-campaign: the list ends before 5.
                                       THEN (SELECT ids FROM sub_campaign)[CAST(1 + hash(order_id, sku_id) % 5 AS BIGINT)]
                                  END AS sub_campaign_id)
                FROM read_parquet('{file}', hive_partitioning = false, file_row_number = true) ORDER BY file_row_number""",
            drop="file_row_number",
        )


def mix(clustered: Path, out: Path) -> None:
    """The rows of a folder in a pseudo-random order.

    One pass per file to write: it takes the rows whose hash falls to the file, so that only a file's rows are sorted at a
    time, and 200 million rows need no more memory than a sixteenth of them.
    """
    shutil.copytree(clustered, out, ignore=lambda _, names: [name for name in names if name in SHUFFLED])
    con = connect(out)
    for dataset in SHUFFLED:
        source, target = partition(clustered, dataset), partition(out, dataset)
        target.mkdir(parents=True)
        files = sorted(source.glob("*.parquet"))
        for number, file in enumerate(files):
            con.execute(
                f"""COPY (
                        SELECT * EXCLUDE (position)
                        FROM (SELECT *, hash(file_index, file_row_number) AS position
                              FROM read_parquet('{source}/*.parquet', hive_partitioning = false))
                        WHERE position % {len(files)} = {number} ORDER BY position
                    ) TO '{target / file.name}' ({FILE_OPTIONS})"""
            )
        (target / "_SUCCESS").touch()


def give_to_one_shop(mixed: Path, out: Path) -> None:
    """The rows of a folder, half of the traffic of one shop."""
    shutil.copytree(mixed, out)
    con = connect(out)
    for file in sorted(partition(out, "product_traffic").glob("*.parquet")):
        rewrite(
            con,
            file,
            f"""SELECT * REPLACE (CASE WHEN hash(user_id, product_id) % 2 = 0 THEN {GIANT_SHOP} ELSE shop_id END AS shop_id),
                       false AS is_rewritten
                FROM read_parquet('{file}', hive_partitioning = false)""",
            drop="is_rewritten",
        )


def rewrite(con: duckdb.DuckDBPyConnection, file: Path, query: str, drop: str) -> None:
    """Replaces a file by what `query` makes of it, without its helper column."""
    rewritten = file.with_name("_rewritten")
    con.execute(f"COPY (SELECT * EXCLUDE ({drop}) FROM ({query})) TO '{rewritten}' ({FILE_OPTIONS})")
    rewritten.replace(file)


def connect(out: Path) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    con.execute(f"SET temp_directory = '{out.parent / 'spilled'}'")
    return con


def partition(folder: Path, dataset: str) -> Path:
    return folder / dataset / f"dt={DAY}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", required=True, help="rows of product_traffic, about")
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=ORDERS[:2])
    parser.add_argument("--work", type=Path, required=True, help="where the exports are kept")
    parser.add_argument("--generator", nargs="+", default=["campaign-etl"], help="the program, or how to start it")
    arguments = parser.parse_args()
    for rows in arguments.rows:
        for order in arguments.orders:
            print(exports(arguments.work, rows, order, arguments.generator))


if __name__ == "__main__":
    main()
