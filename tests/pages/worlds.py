"""Exports for pages that go wrong: worlds.py SAMPLE OUT makes OUT/waiting, OUT/blocked and OUT/hostile.

Each is a copy of the sample's exports with one change.
"""

import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SAMPLE, OUT = Path(sys.argv[1]), Path(sys.argv[2])
DAY = "2026-03-12"
NAMES = [
    "</script><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "{{7*7}} ${7*7} <%= 7*7 %>",
    "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd \U0001f525",
    "x" * 300,
    "a=b;c=d;e",
]


def world(name):
    exports = OUT / name
    shutil.copytree(SAMPLE, exports)
    return exports


def rewrite(folder, column, value_of):
    """Writes the column of every file of an export anew."""
    for path in folder.glob("*.parquet"):
        table = pq.read_table(path)
        at = table.schema.get_field_index(column)
        values = [value_of(row, value) for row, value in enumerate(table.column(at).to_pylist())]
        table = table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))
        pq.write_table(table, path)
    success = folder / "_SUCCESS"
    if success.exists():
        success.write_text("")


(world("waiting") / "order_lines" / f"dt={DAY}" / "_SUCCESS").unlink()

rewrite(world("blocked") / "order_lines" / f"dt={DAY}", "quantity", lambda row, value: 0 if row % 3 == 0 else value)

hostile = world("hostile")
for dataset, column in [
    ("contents", "title"),
    ("contents", "creator_handle"),
    ("campaigns", "campaign_name"),
    ("sub_campaigns", "sub_campaign_name"),
    ("shops", "category"),
    ("shops", "shop_name"),
]:
    for folder in (hostile / dataset).iterdir():
        rewrite(folder, column, lambda row, value: NAMES[row % len(NAMES)])
