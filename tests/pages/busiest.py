"""Prints the last day of the results with a campaign, and the shop with most GMV on it: busiest.py RESULTS"""

import sys
from pathlib import Path

import pyarrow.parquet as pq

for folder in sorted(Path(sys.argv[1], "shop_period").iterdir(), reverse=True):
    rows = pq.read_table(folder / "part-0.parquet").to_pylist()
    if rows:
        print(folder.name[3:], max(rows, key=lambda row: (row["gmv"], -row["shop_id"]))["shop_id"])
        break
