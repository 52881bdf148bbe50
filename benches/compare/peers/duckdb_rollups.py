"""The daily rollups with DuckDB.

Distinct users take two steps: one row for each (shop, user) with what the user did, then a count. Only rows with a page
view or a cart can matter to a product's users, a fifth of all. Everything else is a small aggregate with a scan of its own:
reading a few columns again costs less than keeping them.

Variants, best first:
  rescan          as above
  temp_table      the traffic is loaded into a table once: about as fast, but twice the memory
  grouping_sets   all aggregates in one scan: each row goes through each set's sums and flags, needed there or not
  count_distinct  COUNT(DISTINCT) per shop and flag; who viewed and added = viewers + adders - viewers or adders
"""

import duckdb

import contract
import sql

FLAGS = " | ".join(
    f"((({counter} > 0)::UTINYINT) << {bit})"
    for bit, counter in enumerate(("impressions", "clicks", "page_views", "add_to_carts"))
)
VIEWED_OR_ADDED = "page_views > 0 OR add_to_carts > 0"
CART_ADDERS = f"""
    COUNT(DISTINCT user_id) FILTER (page_views > 0) + COUNT(DISTINCT user_id) FILTER (add_to_carts > 0)
    - COUNT(DISTINCT user_id) FILTER ({VIEWED_OR_ADDED})"""
IMPRESSIONS_AND_CLICKS = "SUM(impressions) AS product_impressions, SUM(clicks) AS product_clicks"
COUNTERS = f"{IMPRESSIONS_AND_CLICKS}, SUM(page_views) AS page_views, SUM(add_to_carts) AS add_to_carts"
USERS_OF_SHOP = """
    shop_id, COUNT(*) FILTER (did & 1 = 1) AS unique_reach, COUNT(*) FILTER (did & 2 = 2) AS unique_clicks,
    COUNT(*) FILTER (did & 4 = 4) AS unique_page_viewers, COUNT(*) FILTER (did & 12 = 12) AS unique_cart_adders"""


class DuckDb(sql.Engine):
    def __init__(self, work: contract.Work):
        super().__init__(work)
        self.con = duckdb.connect()
        self.con.execute(f"SET threads = {work.threads}; SET preserve_insertion_order = false; SET TimeZone = 'UTC'")

    def rows(self, query):
        return self.con.execute(query).fetchall()

    def define(self, name, query):
        self.con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {query}")

    def keep(self, name, query):
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")

    def write(self, query, path):
        self.con.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")

    def scan(self, dataset):
        return f"read_parquet({self.work.files(dataset)}, hive_partitioning = false)"

    def scan_numbered(self, dataset):
        return f"(SELECT *, file_index AS file_name, file_row_number AS row_number FROM {self.scan(dataset)})"

    def instant(self, us):
        return f"make_timestamptz({us})"

    def us(self, instant):
        return f"epoch_us({instant})"

    def sum_traffic(self):
        if self.work.variant == "temp_table":
            self.keep("traffic", "SELECT * FROM product_traffic")
        else:
            self.define("traffic", "SELECT * FROM product_traffic")
        if self.work.variant == "grouping_sets":
            self.sum_in_one_scan()
            return
        self.keep("channel_traffic", f"SELECT shop_id, channel, {IMPRESSIONS_AND_CLICKS} FROM traffic GROUP BY ALL")
        self.keep(
            "content_traffic",
            f"SELECT shop_id, content_id, {IMPRESSIONS_AND_CLICKS} FROM traffic WHERE content_id IS NOT NULL GROUP BY ALL",
        )
        self.keep("traffic_of_product", f"SELECT shop_id, product_id, {COUNTERS} FROM traffic GROUP BY ALL")
        if self.work.variant == "count_distinct":
            self.count_distinct()
        else:
            self.count_in_two_steps()

    def count_in_two_steps(self):
        self.keep(
            "users_of_product",
            f"""SELECT shop_id, product_id, COUNT(*) FILTER (viewed) AS unique_page_viewers,
                       COUNT(*) FILTER (viewed AND added) AS unique_cart_adders
                FROM (SELECT shop_id, product_id, user_id, bool_or(page_views > 0) AS viewed, bool_or(add_to_carts > 0) AS added
                      FROM traffic WHERE {VIEWED_OR_ADDED} GROUP BY ALL)
                GROUP BY ALL""",
        )
        self.keep(
            "users_of_shop",
            f"""SELECT {USERS_OF_SHOP}
                FROM (SELECT shop_id, user_id, bit_or({FLAGS}) AS did FROM traffic GROUP BY ALL) GROUP BY ALL""",
        )

    def count_distinct(self):
        self.keep(
            "users_of_product",
            f"""SELECT shop_id, product_id, COUNT(DISTINCT user_id) FILTER (page_views > 0) AS unique_page_viewers,
                       {CART_ADDERS} AS unique_cart_adders
                FROM traffic WHERE {VIEWED_OR_ADDED} GROUP BY ALL""",
        )
        self.keep(
            "users_of_shop",
            f"""SELECT shop_id, COUNT(DISTINCT user_id) FILTER (impressions > 0) AS unique_reach,
                       COUNT(DISTINCT user_id) FILTER (clicks > 0) AS unique_clicks,
                       COUNT(DISTINCT user_id) FILTER (page_views > 0) AS unique_page_viewers,
                       {CART_ADDERS} AS unique_cart_adders
                FROM traffic GROUP BY ALL""",
        )

    def sum_in_one_scan(self):
        sets = (
            "shop_id, channel",
            "shop_id, content_id",
            "shop_id, product_id",
            "shop_id, product_id, user_id",
            "shop_id, user_id",
        )
        columns = "shop_id, channel, content_id, product_id, user_id"
        self.keep(
            "sums",
            f"""SELECT {columns}, GROUPING({columns}) AS absent, {COUNTERS}, bit_or({FLAGS}) AS did FROM traffic
                GROUP BY GROUPING SETS ({", ".join(f"({columns_})" for columns_ in sets)})""",
        )
        of = lambda mask: f"FROM sums WHERE absent = {mask}"
        self.define("channel_traffic", f"SELECT * {of(0b00111)}")
        self.define("content_traffic", f"SELECT * {of(0b01011)} AND content_id IS NOT NULL")
        self.define("traffic_of_product", f"SELECT * {of(0b01101)}")
        self.define(
            "users_of_product",
            f"""SELECT shop_id, product_id, COUNT(*) FILTER (did & 4 = 4) AS unique_page_viewers,
                       COUNT(*) FILTER (did & 12 = 12) AS unique_cart_adders {of(0b01100)} GROUP BY ALL""",
        )
        self.define("users_of_shop", f"SELECT {USERS_OF_SHOP} {of(0b01110)} GROUP BY ALL")


if __name__ == "__main__":
    sql.run(DuckDb(contract.work(("rescan", "temp_table", "grouping_sets", "count_distinct"), __doc__)))
