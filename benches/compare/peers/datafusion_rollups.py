"""The daily rollups with DataFusion.

Distinct users take two steps: one row for each (shop, user) with what the user did, then a count. Only rows with a page
view or a cart can matter to a product's users, a fifth of all. Everything else is a small aggregate with a scan of its own.

Variants, best first:
  rescan          as above
  memory          the traffic is loaded into memory once: no more time, but twice the memory
  count_distinct  COUNT(DISTINCT) per shop and flag; who viewed and added = viewers + adders - viewers or adders
"""

import os

import contract
import sql
from contract import INSTANT

FLAGS = " + ".join(
    f"CASE WHEN {counter} > 0 THEN {1 << bit} ELSE 0 END"
    for bit, counter in enumerate(("impressions", "clicks", "page_views", "add_to_carts"))
)
VIEWED_OR_ADDED = "page_views > 0 OR add_to_carts > 0"
CART_ADDERS = f"""
    COUNT(DISTINCT user_id) FILTER (WHERE page_views > 0) + COUNT(DISTINCT user_id) FILTER (WHERE add_to_carts > 0)
    - COUNT(DISTINCT user_id) FILTER (WHERE {VIEWED_OR_ADDED})"""
IMPRESSIONS_AND_CLICKS = "SUM(impressions) AS product_impressions, SUM(clicks) AS product_clicks"
COUNTERS = f"{IMPRESSIONS_AND_CLICKS}, SUM(page_views) AS page_views, SUM(add_to_carts) AS add_to_carts"


class DataFusion(sql.Engine):
    def __init__(self, work):
        super().__init__(work)
        # Read once, when the runtime starts.
        os.environ["TOKIO_WORKER_THREADS"] = str(work.threads)
        from datafusion import SessionConfig, SessionContext

        self.context = SessionContext(SessionConfig().with_target_partitions(work.threads))

    def rows(self, query):
        batches = self.context.sql(query).collect()
        return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]

    def define(self, name, query):
        self.context.sql(f"CREATE OR REPLACE VIEW {name} AS {query}")

    def keep(self, name, query):
        self.context.sql(f"CREATE OR REPLACE TABLE {name} AS {query}")

    def write(self, query, path):
        self.context.sql(f"COPY ({query}) TO '{path}' STORED AS PARQUET OPTIONS ('format.compression' 'zstd(3)')").collect()

    def scan(self, dataset):
        files = f"{dataset}_files"
        if not self.context.table_exist(files):
            self.context.register_parquet(files, str(self.work.folder(dataset)))
        return files

    def scan_numbered(self, dataset):
        """Read with pyarrow: DataFusion's SQL has no column for a row's file and number. Rare, and of small exports only."""
        import pyarrow
        import pyarrow.parquet

        tables = []
        for position, file in enumerate(self.work.files(dataset)):
            table = pyarrow.parquet.read_table(file, partitioning=None)
            table = table.append_column("file_name", pyarrow.array([position] * len(table)))
            tables.append(table.append_column("row_number", pyarrow.array(range(len(table)), pyarrow.int64())))
        name = f"{dataset}_numbered"
        self.context.from_arrow(pyarrow.concat_tables(tables), name)
        return name

    def instant(self, us):
        return f"arrow_cast({us}, 'Timestamp(Microsecond, Some(\"UTC\"))')"

    def us(self, instant):
        return f"CAST({instant} AS BIGINT)"

    def cast(self, column, kind):
        # Instants keep the files' microseconds; SQL's TIMESTAMPTZ has nanoseconds.
        return column if kind == INSTANT else super().cast(column, kind)

    def examine_traffic(self, broken):
        # Apart, because row groups whose statistics keep the rules are not read.
        sums = ", ".join(f"SUM({name})" for name in sql.TRAFFIC_TOTALS)
        source = self.scan("product_traffic")
        read, *totals = self.rows(f"SELECT COUNT(*), {sums} FROM {source}")[0]
        return read, self.value(f"SELECT COUNT(*) FROM {source} WHERE {broken}"), *totals

    def sum_traffic(self):
        if self.work.variant == "memory":
            self.keep("traffic", "SELECT * FROM product_traffic")
        else:
            self.define("traffic", "SELECT * FROM product_traffic")
        self.keep(
            "channel_traffic", f"SELECT shop_id, channel, {IMPRESSIONS_AND_CLICKS} FROM traffic GROUP BY shop_id, channel"
        )
        self.keep(
            "content_traffic",
            f"""SELECT shop_id, content_id, {IMPRESSIONS_AND_CLICKS} FROM traffic
                WHERE content_id IS NOT NULL GROUP BY shop_id, content_id""",
        )
        self.keep("traffic_of_product", f"SELECT shop_id, product_id, {COUNTERS} FROM traffic GROUP BY shop_id, product_id")
        if self.work.variant == "count_distinct":
            self.count_distinct()
        else:
            self.count_in_two_steps()

    def count_in_two_steps(self):
        self.keep(
            "users_of_product",
            f"""SELECT shop_id, product_id, COUNT(*) FILTER (WHERE viewed > 0) AS unique_page_viewers,
                       COUNT(*) FILTER (WHERE viewed > 0 AND added > 0) AS unique_cart_adders
                FROM (SELECT shop_id, product_id, user_id, MAX(page_views) AS viewed, MAX(add_to_carts) AS added
                      FROM traffic WHERE {VIEWED_OR_ADDED} GROUP BY shop_id, product_id, user_id) AS users
                GROUP BY shop_id, product_id""",
        )
        self.keep(
            "users_of_shop",
            f"""SELECT shop_id, COUNT(*) FILTER (WHERE did & 1 = 1) AS unique_reach,
                       COUNT(*) FILTER (WHERE did & 2 = 2) AS unique_clicks,
                       COUNT(*) FILTER (WHERE did & 4 = 4) AS unique_page_viewers,
                       COUNT(*) FILTER (WHERE did & 12 = 12) AS unique_cart_adders
                FROM (SELECT shop_id, user_id, BIT_OR({FLAGS}) AS did FROM traffic GROUP BY shop_id, user_id) AS users
                GROUP BY shop_id""",
        )

    def count_distinct(self):
        self.keep(
            "users_of_product",
            f"""SELECT shop_id, product_id, COUNT(DISTINCT user_id) FILTER (WHERE page_views > 0) AS unique_page_viewers,
                       {CART_ADDERS} AS unique_cart_adders
                FROM traffic WHERE {VIEWED_OR_ADDED} GROUP BY shop_id, product_id""",
        )
        self.keep(
            "users_of_shop",
            f"""SELECT shop_id, COUNT(DISTINCT user_id) FILTER (WHERE impressions > 0) AS unique_reach,
                       COUNT(DISTINCT user_id) FILTER (WHERE clicks > 0) AS unique_clicks,
                       COUNT(DISTINCT user_id) FILTER (WHERE page_views > 0) AS unique_page_viewers,
                       {CART_ADDERS} AS unique_cart_adders
                FROM traffic GROUP BY shop_id""",
        )


if __name__ == "__main__":
    sql.run(DataFusion(contract.work(("rescan", "memory", "count_distinct"), __doc__)))
