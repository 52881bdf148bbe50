"""The daily rollups with chDB, ClickHouse within the process.

Distinct users take two steps: one row for each (shop, user) with what the user did, then a count. Only rows with a page
view or a cart can matter to a product's users, a fifth of all.

The traffic is read once into a table in memory whose columns cannot be null. A file's columns can as a rule, and nullable
keys and sums are slower; that nulls are absent is known before, from the row rules.

Variants, best first:
  temp_table   as above
  rescan       every aggregate reads the columns that it needs from the files
  uniq_exact   uniqExactIf per flag; who viewed and added = viewers + adders - viewers or adders
"""

import json
from decimal import Decimal

from chdb.session import Session

import contract
import sql
from contract import FLAG, INSTANT, INT, MONEY, TEXT

FLAGS = "toUInt8((impressions > 0) + (clicks > 0) * 2 + (page_views > 0) * 4 + (add_to_carts > 0) * 8)"
VIEWED_OR_ADDED = "page_views > 0 OR add_to_carts > 0"
IMPRESSIONS_AND_CLICKS = "sum(impressions) AS product_impressions, sum(clicks) AS product_clicks"
COUNTERS = f"{IMPRESSIONS_AND_CLICKS}, sum(page_views) AS page_views, sum(add_to_carts) AS add_to_carts"
CART_ADDERS = f"""toInt64(uniqExactIf(user_id, page_views > 0)) + uniqExactIf(user_id, add_to_carts > 0)
    - uniqExactIf(user_id, {VIEWED_OR_ADDED})"""


class ChDb(sql.Engine):
    types = {
        INT: "Nullable(Int64)",
        MONEY: "Nullable(Decimal(18, 2))",
        TEXT: "Nullable(String)",
        FLAG: "Nullable(Bool)",
        INSTANT: "Nullable(DateTime64(6, 'UTC'))",
    }
    double = "Float64"

    def __init__(self, work):
        super().__init__(work)
        self.session = Session()
        settings = {
            "max_threads": work.threads,
            "max_insert_threads": work.threads,
            "use_hive_partitioning": 0,
            # Standard SQL: the absent side of a join is null, a cast of null is null, UNION is without repeats, and a name is a
            # column's before it is an alias.
            "join_use_nulls": 1,
            "cast_keep_nullable": 1,
            "union_default_mode": "'DISTINCT'",
            "prefer_column_name_to_alias": 1,
            "output_format_json_quote_64bit_integers": 0,
            "output_format_json_quote_decimals": 1,
            "output_format_parquet_compression_method": "'zstd'",
            "output_format_parquet_string_as_string": 1,
        }
        for name, value in settings.items():
            self.session.query(f"SET {name} = {value}")

    def rows(self, query):
        answer = str(self.session.query(query, "JSONCompactEachRow"))
        return [tuple(Decimal(v) if isinstance(v, str) else v for v in json.loads(line)) for line in answer.splitlines()]

    def define(self, name, query):
        self.session.query(f"CREATE OR REPLACE VIEW {name} AS {query}")

    def keep(self, name, query):
        self.session.query(f"DROP TABLE IF EXISTS {name}")
        self.session.query(f"CREATE TABLE {name} ENGINE = Memory AS {query}")

    def write(self, query, path):
        self.session.query(f"{query} INTO OUTFILE '{path}' TRUNCATE FORMAT Parquet")

    def scan(self, dataset):
        return f"file('{self.glob(dataset)}', Parquet)"

    def scan_numbered(self, dataset):
        return f"(SELECT *, _file AS file_name, _row_number AS row_number FROM {self.scan(dataset)})"

    def glob(self, dataset):
        return f"{self.work.folder(dataset).absolute()}/*.parquet"

    def instant(self, us):
        return f"fromUnixTimestamp64Micro({us}, 'UTC')"

    def us(self, instant):
        return f"toUnixTimestamp64Micro({instant})"

    def examine_traffic(self, broken):
        # Apart, because row groups whose statistics keep the rules are not read.
        sums = ", ".join(f"SUM({name})" for name in sql.TRAFFIC_TOTALS)
        source = self.scan("product_traffic")
        read, *totals = self.rows(f"SELECT COUNT(*), {sums} FROM {source}")[0]
        return read, self.value(f"SELECT COUNT(*) FROM {source} WHERE {broken}"), *totals

    def sum_traffic(self):
        never_null = ", ".join(
            f"assumeNotNull({column}) AS {column}" for column in contract.DATASETS["product_traffic"].columns
        )
        rows = f"SELECT {never_null}, content_id FROM product_traffic"
        if self.work.variant == "rescan":
            self.define("traffic", rows)
        else:
            self.keep("traffic", rows)
        self.keep("channel_traffic", f"SELECT shop_id, channel, {IMPRESSIONS_AND_CLICKS} FROM traffic GROUP BY ALL")
        self.keep(
            "content_traffic",
            f"SELECT shop_id, content_id, {IMPRESSIONS_AND_CLICKS} FROM traffic WHERE content_id IS NOT NULL GROUP BY ALL",
        )
        self.keep("traffic_of_product", f"SELECT shop_id, product_id, {COUNTERS} FROM traffic GROUP BY ALL")
        if self.work.variant == "uniq_exact":
            self.count_distinct()
        else:
            self.count_in_two_steps()

    def count_in_two_steps(self):
        self.keep(
            "users_of_product",
            f"""SELECT shop_id, product_id, countIf(bitTest(did, 2)) AS unique_page_viewers,
                       countIf(bitAnd(did, 12) = 12) AS unique_cart_adders
                FROM (SELECT shop_id, product_id, user_id, groupBitOr({FLAGS}) AS did
                      FROM traffic WHERE {VIEWED_OR_ADDED} GROUP BY ALL)
                GROUP BY ALL""",
        )
        self.keep(
            "users_of_shop",
            f"""SELECT shop_id, countIf(bitTest(did, 0)) AS unique_reach, countIf(bitTest(did, 1)) AS unique_clicks,
                       countIf(bitTest(did, 2)) AS unique_page_viewers, countIf(bitAnd(did, 12) = 12) AS unique_cart_adders
                FROM (SELECT shop_id, user_id, groupBitOr({FLAGS}) AS did FROM traffic GROUP BY ALL) GROUP BY ALL""",
        )

    def count_distinct(self):
        self.keep(
            "users_of_product",
            f"""SELECT shop_id, product_id, uniqExactIf(user_id, page_views > 0) AS unique_page_viewers,
                       {CART_ADDERS} AS unique_cart_adders
                FROM traffic WHERE {VIEWED_OR_ADDED} GROUP BY ALL""",
        )
        self.keep(
            "users_of_shop",
            f"""SELECT shop_id, uniqExactIf(user_id, impressions > 0) AS unique_reach,
                       uniqExactIf(user_id, clicks > 0) AS unique_clicks,
                       uniqExactIf(user_id, page_views > 0) AS unique_page_viewers, {CART_ADDERS} AS unique_cart_adders
                FROM traffic GROUP BY ALL""",
        )


if __name__ == "__main__":
    sql.run(ChDb(contract.work(("temp_table", "rescan", "uniq_exact"), __doc__)))
