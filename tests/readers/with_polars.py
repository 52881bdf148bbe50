"""Each shop's gmv on 2026-03-14 next to the average of comparable shops, with Polars."""
from datetime import date

import polars as pl

day = date(2026, 3, 14)
shops = pl.scan_parquet("results/shop_daily", hive_partitioning=True).filter(pl.col("dt") == day)
tiers = pl.scan_parquet("results/shop_tier", hive_partitioning=True).filter(pl.col("dt") == day)
benchmarks = pl.scan_parquet("results/category_benchmark", hive_partitioning=True).filter(
    pl.col("dt") == day, pl.col("benchmark_day") == day, pl.col("scope") == "DAILY", pl.col("metric") == "gmv"
)
table = (
    shops.join(tiers.select("shop_id", "tier"), on="shop_id")
    .join(benchmarks.select("category", "tier", benchmark="mean"), on=["category", "tier"], how="left")
    .select("shop_id", "category", "tier", "gmv", "benchmark")
    .sort("shop_id")
    .collect()
)
print(table.write_csv())
