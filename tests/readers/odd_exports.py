"""Write some days of exports again as the contract also allows: three files with other types, orders of columns and names.

    odd_exports.py EXPORTS OUT DAY...
"""
import pathlib, shutil, sys

import pyarrow as pa
import pyarrow.parquet as pq

# Of each file: its name, its types of integers, decimals and instants, and whether its columns are reversed.
FILES = [
    ("a'[1]*?.parquet", pa.uint64(), pa.decimal128(38, 9), "ns", False),
    ("b c%20.parquet", pa.int64(), pa.decimal128(20, 2), "ms", True),
    ("000002_0", pa.int64(), pa.decimal128(18, 2), "int96", False),
]


def main():
    exports, out, *days = sys.argv[1:]
    for folder in sorted(pathlib.Path(exports).glob("*/dt=*")):
        if folder.name[3:] in days and (folder / "_SUCCESS").exists():
            rewrite(folder, pathlib.Path(out) / folder.parent.name / folder.name)


def rewrite(folder, to):
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    parts = [pq.read_table(path, partitioning=None) for path in sorted(folder.iterdir()) if path.name[0] not in "._"]
    table = pa.concat_tables(parts) if parts else None
    for number, (name, *_) in enumerate(FILES if table else []):
        first, last = (len(table) * n // len(FILES) for n in (number, number + 1))
        part = odd(table.slice(first, last - first), *FILES[number][1:])
        pq.write_table(part, to / name, use_deprecated_int96_timestamps=FILES[number][3] == "int96")
    (to / "_SUCCESS").touch()


def odd(table, integer, decimal, unit, is_reversed):
    columns = {}
    for name in reversed(table.column_names) if is_reversed else table.column_names:
        column = table[name]
        if pa.types.is_integer(column.type):
            column = column.cast(integer)
        elif pa.types.is_decimal(column.type):
            column = column.cast(decimal)
        elif pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us" if unit == "int96" else unit, "UTC"), safe=False)
        elif pa.types.is_string(column.type):
            column = column.cast(pa.large_string()) if is_reversed else column.combine_chunks().dictionary_encode()
        columns[name] = column
    # Columns that the contract does not know, with names that readers use themselves.
    extra = {} if is_reversed else {"filename": pa.nulls(len(table), pa.string()), "dt": pa.array(["x"] * len(table))}
    return pa.table(columns | extra)


if __name__ == "__main__":
    main()
