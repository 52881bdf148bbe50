"""Compares two sets of the daily tables: columns, types, order, every row and every cell.

    same_tables.py --day D EXPECTED FOUND

A set is a folder of `<table>.parquet`, or the results of `campaign-etl run`: `<table>/dt=D/part-0.parquet`. Cells must be
equal. A DOUBLE that is not, but is within a relative 1e-12, is counted and said, and no difference.
"""

import argparse
import sys
from pathlib import Path

import duckdb

from peers.contract import FLAG, INSTANT, INT, MONEY, TABLES, TEXT

TYPES = {
    INT: "BIGINT",
    MONEY: "DECIMAL(18,2)",
    TEXT: "VARCHAR",
    FLAG: "BOOLEAN",
    INSTANT: "TIMESTAMP WITH TIME ZONE",
}
TOLERANCE = 1e-12
SHOWN = 3


def differences(expected: Path, found: Path, day: str) -> tuple[list[str], list[str]]:
    """What differs, and what differs in the last bits only."""
    errors, notes = [], []
    con = duckdb.connect()
    for table in TABLES:
        one, other = file_of(expected, table, day), file_of(found, table, day)
        if one is None and other is None:
            continue
        if one is None or other is None:
            errors.append(f"{table}: only in {found if one is None else expected}")
            continue
        wrong = [problem for file in (one, other) for problem in wrong_form(con, table, file)]
        errors += wrong
        if not wrong:
            table_errors, table_notes = different_cells(con, table, one, other)
            errors += table_errors
            notes += table_notes
    return errors, notes


def file_of(folder: Path, table: str, day: str) -> Path | None:
    places = (folder / f"{table}.parquet", folder / table / f"dt={day}" / "part-0.parquet")
    return next((place for place in places if place.exists()), None)


def wrong_form(con: duckdb.DuckDBPyConnection, table: str, file: Path) -> list[str]:
    """Columns and types other than the table's; rows out of order or with a key twice."""
    source, key = rows_of(file), TABLES[table].key
    expected = [(name, TYPES.get(kind, "DOUBLE")) for name, kind in TABLES[table].columns.items()]
    columns = [(name, kind) for name, kind, *_ in con.execute(f"DESCRIBE FROM {source}").fetchall()]
    if columns != expected:
        return [f"{file} has the columns {columns}, not {expected}"]
    (unordered,) = con.execute(
        f"""SELECT count(*)
            FROM (SELECT row({", ".join(key)}) AS key, lag(row({", ".join(key)})) OVER (ORDER BY file_row_number) AS before
                  FROM {source})
            WHERE NOT before < key"""
    ).fetchone()
    return [f"{file}: {unordered} rows are not after the one before them"] if unordered else []


def different_cells(con: duckdb.DuckDBPyConnection, table: str, one: Path, other: Path) -> tuple[list[str], list[str]]:
    """Both files, joined by key."""
    key, columns = TABLES[table].key, TABLES[table].columns
    sides = f"{rows_of(one)} AS a {{}} JOIN {rows_of(other)} AS b USING ({', '.join(key)})"
    alone = f"SELECT count(*) FROM {sides.format('FULL')} WHERE a.{key[0]} IS NULL OR b.{key[0]} IS NULL"
    (count,) = con.execute(alone).fetchone()
    errors, notes = [f"{table}: {count} keys are in one of the two only"] if count else [], []
    joined = sides.format("INNER")
    for column, kind in columns.items():
        differs = f"a.{column} IS DISTINCT FROM b.{column}"
        if kind not in TYPES:
            close = f"coalesce(abs(a.{column} - b.{column}) <= {TOLERANCE} * abs(a.{column}), false)"
            (nearly,) = con.execute(f"SELECT count(*) FROM {joined} WHERE {differs} AND {close}").fetchone()
            if nearly:
                notes.append(f"{table}.{column}: {nearly} values differ in the last bits")
            differs += f" AND NOT {close}"
        cells = f"SELECT {', '.join(key)}, a.{column}, b.{column} FROM {joined} WHERE {differs}"
        (count,) = con.execute(f"SELECT count(*) FROM ({cells})").fetchone()
        if count:
            examples = con.execute(f"{cells} ORDER BY ALL LIMIT {SHOWN}").fetchall()
            errors.append(f"{table}.{column}: {count} values differ, such as {examples}")
    return errors, notes


def rows_of(file: Path) -> str:
    return f"read_parquet('{file}', hive_partitioning = false)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--day", required=True)
    parser.add_argument("expected", type=Path)
    parser.add_argument("found", type=Path)
    arguments = parser.parse_args()
    errors, notes = differences(arguments.expected, arguments.found, arguments.day)
    print("\n".join(errors + notes) or "the same")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
