"""Let DuckDB run the views of `catalog`, on `results/` in the working folder and on the results of two nights.

Each view is compared with the files of its table, read without the view: rows, columns, types and a checksum of all cells.
"""
import json, os, pathlib, shutil, subprocess, sys

import duckdb
import pyarrow.parquet as pq

PROGRAM, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])
TYPES = {
    "int64": "BIGINT", "decimal128(18, 2)": "DECIMAL(18,2)", "double": "DOUBLE", "string": "VARCHAR", "bool": "BOOLEAN",
    "date32[day]": "DATE", "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
}


def main():
    views = published_views()
    types_and_comments(views)
    field_ids()
    a_table_without_a_day()
    views_of_commits()
    print("views: agree")


def etl(*args):
    command = [PROGRAM, *args, "--config", ROOT / "jobs/daily.toml", "--quiet"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def checksum(connection, source):
    columns = [row[0] for row in connection.sql(f"DESCRIBE FROM {source}").fetchall()]
    # Sorted: a view begins with dt, a file read by its folder ends with it.
    cells = ", ".join(f'"{name}"' for name in sorted(columns))
    return connection.sql(f"SELECT count(*), bit_xor(hash({cells})) FROM {source}").fetchall()[0]


def read(files):
    return f"read_parquet({files!r}, hive_partitioning = true, hive_types = {{'dt': DATE}})"


def published_views():
    catalog = json.loads(etl("catalog", "--results", "results", "--format", "json"))
    connection = duckdb.connect()
    connection.execute(catalog["sql"])
    with_rows = 0
    for view in catalog["views"]:
        table = view["name"]
        folder = f"_quarantine/{table.removeprefix('quarantine_')}" if table.startswith("quarantine_") else table
        files = sorted(str(file) for file in pathlib.Path("results", folder).glob("dt=*/part-0.parquet"))
        found = checksum(connection, f'"{table}"')
        expected = checksum(connection, read(files)) if files else (0, None)
        assert found == expected, (table, found, expected)
        with_rows += found[0] > 0
    assert with_rows > 19, "quarantined rows too"
    # A day is found by its folder: other days' files are not opened.
    plan = connection.sql("EXPLAIN ANALYZE SELECT sum(gmv) FROM shop_daily WHERE dt = DATE '2026-03-14'").fetchall()[0][1]
    assert "Scanning Files: 1/14" in plan, plan
    return connection


def types_and_comments(views):
    for file in pathlib.Path("results").glob("*/dt=2026-03-14/part-0.parquet"):
        table = file.parts[1]
        described = views.sql(f'DESCRIBE "{table}"').fetchall()
        found = [(name, kind) for name, kind, *_ in described]
        expected = [("dt", "DATE")] + [(field.name, TYPES[str(field.type)]) for field in pq.read_schema(file)]
        assert found == expected, (table, found, expected)
        metadata = json.loads(pq.read_metadata(file).metadata[b"campaign_etl.columns"])
        comments = dict(
            views.sql(f"SELECT column_name, comment FROM duckdb_columns() WHERE table_name = '{table}'").fetchall()
        )
        for name, column in metadata.items():
            assert column["unit"] in comments[name] and column["formula"] in comments[name], (table, name)


def field_ids():
    """pyarrow shows the ids, and DuckDB finds a column under its id whatever it is named in the query."""
    file = "results/shop_tier/dt=2026-03-14/part-0.parquet"
    ids = {field.name: int(field.metadata[b"PARQUET:field_id"]) for field in pq.read_schema(file)}
    assert ids == {"shop_id": 1, "category": 2, "trailing_gmv": 3, "observed_days": 4, "tier": 5}, ids
    schema = """MAP { 1: {name: 'seller', type: 'BIGINT', default_value: NULL},
                      3: {name: 'gmv_30', type: 'DECIMAL(18,2)', default_value: NULL} }"""
    renamed = duckdb.sql(f"SELECT sum(seller), sum(gmv_30) FROM read_parquet('{file}', schema = {schema})").fetchall()[0]
    assert renamed == duckdb.sql(f"SELECT sum(shop_id), sum(trailing_gmv) FROM '{file}'").fetchall()[0]


def a_table_without_a_day():
    """Before the first run, and with names that a pattern or a text would take for something else."""
    folder = pathlib.Path("odd [x]*'s/env=prod")
    connection = duckdb.connect()
    connection.execute(etl("catalog", "--results", str(folder)))
    assert connection.sql("SELECT count(*), sum(gmv) FROM shop_daily").fetchall()[0] == (0, None)
    assert connection.sql("DESCRIBE quarantine_shops").fetchall()[0][:2] == ("dt", "DATE")
    shutil.copytree("results/shop_tier", folder / "shop_tier")
    connection.execute(etl("catalog", "--results", str(folder)))
    expected = checksum(connection, read(["results/shop_tier/dt=2026-03-14/part-0.parquet"]))
    assert checksum(connection, "(FROM shop_tier WHERE dt = DATE '2026-03-14')") == expected


def views_of_commits():
    """5 March is exported anew after the first run: each commit shows what readers saw then."""
    places = ("--exports", "exports", "--results", "nights")
    shutil.copytree(ROOT / "sample_data/exports", "exports")
    seen = {}
    for night in range(2):
        if night == 1:
            part = "exports/order_lines/dt=2026-03-05/part-0.parquet"
            duckdb.sql(f"COPY (FROM '{part}' WHERE order_id % 10 > 0) TO 'new.parquet'")
            os.replace("new.parquet", part)
        etl("run", "--day", "2026-03-06", *places)
        commits = [int(path.stem) for path in pathlib.Path("nights/_runs").glob("dt=*/*.json")]
        seen[max(commits)] = {
            table.name: checksum(duckdb, read([str(file) for file in table.glob("dt=*/part-0.parquet")]))
            for table in pathlib.Path("nights").iterdir()
            if not table.name.startswith("_")
        }
    first, second = seen.values()
    assert first["shop_daily"] != second["shop_daily"] and first["shop_tier"] != second["shop_tier"]
    for commit, tables in seen.items():
        connection = duckdb.connect()
        etl("catalog", "--as-of", str(commit), "--out", "views.sql", *places)
        connection.execute(pathlib.Path("views.sql").read_text())
        found = {table: checksum(connection, table) for table in tables}
        assert found == tables, commit
        assert not connection.sql("SELECT view_name FROM duckdb_views() WHERE view_name LIKE 'quarantine%'").fetchall()


if __name__ == "__main__":
    main()
