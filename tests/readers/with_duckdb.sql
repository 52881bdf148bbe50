-- Each shop's gmv on 2026-03-14 next to the average of comparable shops, with DuckDB.
select s.shop_id, s.category, t.tier, s.gmv, b.mean as benchmark
from read_parquet('results/shop_daily/*/*.parquet', hive_partitioning = true) s
join read_parquet('results/shop_tier/*/*.parquet', hive_partitioning = true) t
  on t.dt = s.dt and t.shop_id = s.shop_id
left join read_parquet('results/category_benchmark/*/*.parquet', hive_partitioning = true) b
  on b.benchmark_day = s.dt and b.dt = s.dt and b.category = s.category and b.tier = t.tier
    and b.scope = 'DAILY' and b.metric = 'gmv'
where s.dt = date '2026-03-14'
order by s.shop_id
