"""Each shop's gmv on 2026-03-14 next to the average of comparable shops, with Spark."""
import csv
import sys

from pyspark.sql import SparkSession
from pyspark.sql.functions import col

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
day = "2026-03-14"
shops = spark.read.parquet("results/shop_daily").where(col("dt") == day)
tiers = spark.read.parquet("results/shop_tier").where(col("dt") == day)
benchmarks = spark.read.parquet("results/category_benchmark").where(
    (col("dt") == day) & (col("benchmark_day") == day) & (col("scope") == "DAILY") & (col("metric") == "gmv")
)
table = (
    shops.join(tiers.select("shop_id", "tier"), "shop_id")
    .join(benchmarks.select("category", "tier", col("mean").alias("benchmark")), ["category", "tier"], "left")
    .select("shop_id", "category", "tier", "gmv", "benchmark")
    .orderBy("shop_id")
)
csv.writer(sys.stdout).writerows([table.columns, *table.collect()])
spark.stop()
