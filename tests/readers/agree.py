"""Run every reader's snippet on `results/` in the working folder, and compare what they print.

Text and money must be equal; a benchmark (DOUBLE) too, as a number: engines print the same double differently.
"""
import csv, io, math, pathlib, shutil, subprocess, sys
from decimal import Decimal

import duckdb

HERE = pathlib.Path(__file__).parent


def main():
    tables = {"with_duckdb.sql": rows(duckdb_csv((HERE / "with_duckdb.sql").read_text()))}
    scripts = ["with_polars.py", "with_pandas.py", "with_spark.py"]
    if shutil.which("java") is None:
        print("with_spark.py: NOT RUN, Spark needs Java 17 or later")
        scripts.remove("with_spark.py")
    for script in scripts:
        printed = subprocess.run([sys.executable, HERE / script], stdout=subprocess.PIPE, text=True, check=True).stdout
        tables[script] = rows(printed)
    first = tables["with_duckdb.sql"]
    with_benchmark = sum(row[4] is not None for row in first)
    for name, table in tables.items():
        print(f"{name}: {len(table)} shops, {sum(row[4] is not None for row in table)} with a benchmark")
    different = [name for name, table in tables.items() if table != first]
    if different or not first or not 0 < with_benchmark < len(first):
        sys.exit(f"FAILED: {different or 'no shops, or not both published and suppressed benchmarks'}")


def duckdb_csv(query):
    names = ["shop_id", "category", "tier", "gmv", "benchmark"]
    out = io.StringIO()
    csv.writer(out).writerows([names, *duckdb.sql(query).fetchall()])
    return out.getvalue()


def rows(text):
    def value(cell):
        return None if cell == "" or math.isnan(float(cell)) else float(cell)

    read = csv.DictReader(line for line in io.StringIO(text) if line.strip())
    return [
        (int(r["shop_id"]), r["category"] or None, r["tier"], Decimal(r["gmv"]), value(r["benchmark"])) for r in read
    ]


if __name__ == "__main__":
    main()
