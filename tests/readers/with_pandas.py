"""Each shop's gmv on 2026-03-14 next to the average of comparable shops, with pandas."""
import datetime

import pandas as pd

day = "2026-03-14"
shops = pd.read_parquet("results/shop_daily", filters=[("dt", "=", day)])
tiers = pd.read_parquet("results/shop_tier", filters=[("dt", "=", day)])
benchmarks = pd.read_parquet(
    "results/category_benchmark", filters=[("dt", "=", day), ("scope", "=", "DAILY"), ("metric", "=", "gmv")]
)
benchmarks = benchmarks[benchmarks.benchmark_day == datetime.date.fromisoformat(day)].rename(columns={"mean": "benchmark"})
table = (
    shops.merge(tiers[["shop_id", "tier"]], on="shop_id")
    .merge(benchmarks[["category", "tier", "benchmark"]], on=["category", "tier"], how="left")
    .sort_values("shop_id")[["shop_id", "category", "tier", "gmv", "benchmark"]]
)
print(table.to_csv(index=False))
