"""What the three SQL peers do alike: the small datasets, the row rules, and the tables from their sums.

Each peer has its own way to do the heavy part, `sum_traffic`. Everything here takes a few percent of the time.
"""

from abc import ABC, abstractmethod

import contract
from contract import DATASETS, FLAG, HOUR_US, INSTANT, INT, MONEY, RECONCILED, TABLES, TEXT, Account, Ratio, Work

TRAFFIC_TOTALS = ("impressions", "clicks")


class Engine(ABC):
    """One day's exports in a SQL engine. A dataset's used rows are the table or view of its name."""

    # The engine's names of types.
    types = {INT: "BIGINT", MONEY: "DECIMAL(18, 2)", TEXT: "VARCHAR", FLAG: "BOOLEAN", INSTANT: "TIMESTAMPTZ"}
    double = "DOUBLE"

    def __init__(self, work: Work):
        self.work = work
        self.accounts: dict[str, Account] = {}
        self.traffic_totals: tuple = ()

    @abstractmethod
    def rows(self, query: str) -> list[tuple]:
        """The rows of a query."""

    @abstractmethod
    def define(self, name: str, query: str) -> None:
        """A view, or a replacement of it."""

    @abstractmethod
    def keep(self, name: str, query: str) -> None:
        """A table in memory, or a replacement of it."""

    @abstractmethod
    def write(self, query: str, path: str) -> None:
        """The rows of a query, in its order, as a zstd Parquet file."""

    @abstractmethod
    def scan(self, dataset: str) -> str:
        """The export's rows, for a FROM clause."""

    @abstractmethod
    def scan_numbered(self, dataset: str) -> str:
        """The same with the columns file_name and row_number, which decide between rows of one key."""

    @abstractmethod
    def instant(self, us: int) -> str:
        """An instant as a literal."""

    @abstractmethod
    def us(self, instant: str) -> str:
        """Microseconds since 1970-01-01T00:00:00Z of a column."""

    @abstractmethod
    def sum_traffic(self) -> None:
        """Makes channel_traffic, content_traffic, traffic_of_product, users_of_product and users_of_shop."""

    def examine_traffic(self, broken: str) -> tuple:
        """Rows read, broken rows, and the totals, in one scan."""
        sums = ", ".join(f"SUM({name})" for name in TRAFFIC_TOTALS)
        return self.rows(f"SELECT COUNT(*), COUNT(*) FILTER (WHERE {broken}), {sums} FROM {self.scan('product_traffic')}")[
            0
        ]

    def value(self, query: str):
        return self.rows(query)[0][0]

    def cast(self, column: str, kind: str) -> str:
        return f"CAST({column} AS {self.types[kind]})"

    def cents(self, money: str) -> str:
        return f"CAST({money} * 100 AS BIGINT)"


def run(engine: Engine) -> None:
    for name in engine.work.final_datasets():
        take = take_traffic if name == "product_traffic" else take_keyed
        engine.accounts[name] = take(engine, name)
    scope(engine)
    engine.sum_traffic()
    totals = used_totals(engine)
    for name, table in TABLES.items():
        if table.needs is None or table.needs in engine.accounts:
            engine.keep("table_rows", typed(engine, name, ROWS[name](engine)))
            if name in RECONCILED:
                sums = ", ".join(f"SUM({column})" for column in RECONCILED[name])
                contract.reconcile(name, engine.rows(f"SELECT {sums} FROM table_rows")[0], totals)
            engine.write(f"SELECT * FROM table_rows ORDER BY {', '.join(table.key)}", str(engine.work.target(name)))
    contract.report(engine.accounts)


# Rows that keep the rules.


def take_keyed(engine: Engine, name: str) -> Account:
    """Used rows as a table. Keys are numbered only where one repeats."""
    broken, key = broken_if(engine, name), ", ".join(DATASETS[name].key)
    engine.keep(name, f"SELECT * FROM {engine.scan(name)}")
    read, found = engine.rows(f"SELECT COUNT(*), COUNT(*) FILTER (WHERE {broken}) FROM {name}")[0]
    repeats = engine.value(f"SELECT COUNT(*) FROM (SELECT COUNT(*) AS n FROM {name} GROUP BY {key}) AS keys WHERE n > 1")
    if found or repeats:
        columns = ", ".join((*DATASETS[name].columns, *DATASETS[name].nullable))
        engine.keep(
            name,
            f"""SELECT {columns}
                FROM (SELECT {columns}, ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY file_name, row_number) AS nth
                      FROM {engine.scan_numbered(name)} WHERE NOT ({broken})) AS ranked
                WHERE nth = 1""",
        )
    used = engine.value(f"SELECT COUNT(*) FROM {name}") if found or repeats else read
    return Account(read, used, read - used)


def take_traffic(engine: Engine, name: str) -> Account:
    """Used rows as a view of the files, filtered only where a row breaks a rule."""
    broken = broken_if(engine, name)
    read, found, *totals = engine.examine_traffic(broken)
    engine.define(name, f"SELECT * FROM {engine.scan(name)}" + (f" WHERE NOT ({broken})" if found else ""))
    if found:
        totals = engine.rows(f"SELECT {', '.join(f'SUM({name})' for name in TRAFFIC_TOTALS)} FROM {name}")[0]
    engine.traffic_totals = totals
    return Account(read, read - found, found)


def broken_if(engine: Engine, name: str) -> str:
    dataset = DATASETS[name]
    rules = [*(f"{column} IS NULL" for column in dataset.columns), *dataset.broken_if]
    if dataset.within_day:
        first, end = (engine.instant(us) for us in engine.work.day_us)
        rules.append(f"{dataset.within_day} < {first} OR {dataset.within_day} >= {end}")
    return " OR ".join(rules)


def scope(engine: Engine) -> None:
    """Views of the rows in scope: campaigns of the day, their products, hours of primary ad accounts."""
    day, accounts = engine.work.day, engine.accounts

    def define(name: str, of: str, query: str) -> None:
        engine.define(name, query)
        accounts[of].leave_out(engine.value(f"SELECT COUNT(*) FROM {name}"))

    define(
        "campaigns_of_day",
        "campaigns",
        f"SELECT * FROM campaigns WHERE first_day <= DATE '{day}' AND last_day >= DATE '{day}'",
    )
    if "campaign_products" in accounts:
        define(
            "products_of_day",
            "campaign_products",
            "SELECT * FROM campaign_products WHERE campaign_id IN (SELECT campaign_id FROM campaigns_of_day)",
        )
    if "ad_hours" in accounts:
        define(
            "primary_hours",
            "ad_hours",
            """SELECT h.shop_id AS shop_id, h.hour_start AS hour_start, h.spend AS ad_spend,
                      h.gross_revenue AS ad_gross_revenue
               FROM ad_hours AS h
               JOIN shops AS s ON s.shop_id = h.shop_id AND s.primary_ad_account_id = h.ad_account_id""",
        )


def used_totals(engine: Engine) -> dict[str, object]:
    gmv, lines, items = engine.rows("SELECT SUM(sub_total + shipping_fee), COUNT(*), SUM(quantity) FROM order_lines")[0]
    impressions, clicks = engine.traffic_totals
    return {
        "gmv": gmv,
        "sku_orders": lines,
        "items_sold": items,
        "product_impressions": impressions,
        "product_clicks": clicks,
    }


# The tables, from the used rows and the sums of traffic.

LINES = "COUNT(*) AS sku_orders, SUM(quantity) AS items_sold, SUM(sub_total + shipping_fee) AS gmv"
SALES = f"COUNT(DISTINCT order_id) AS orders, {LINES}"


def zeros(alias: str, *columns: str) -> str:
    """Sums of an outer join's side: no row adds up to 0."""
    return ", ".join(f"COALESCE({alias}.{column}, 0) AS {column}" for column in columns)


def shop_daily(engine: Engine) -> str:
    new_contents = ("creator_new_videos", "creator_new_lives", "seller_new_videos", "seller_new_lives")
    ads = ("ad_spend", "ad_gross_revenue")
    has_contents, has_ads = "contents" in engine.accounts, "ad_hours" in engine.accounts
    nulls = lambda columns: ", ".join(f"NULL AS {column}" for column in columns)
    listed = lambda column: f"CASE WHEN s.shop_id IS NOT NULL THEN COALESCE(a.{column}, 0) END AS {column}"
    first, end = (engine.instant(us) for us in engine.work.day_us)
    by_creator, by_seller = "account_type = 'AFFILIATE_ACCOUNTS'", "account_type <> 'AFFILIATE_ACCOUNTS'"
    counted = lambda by, kind: f"COUNT(CASE WHEN {by} AND content_type = '{kind}' THEN 1 END)"
    new_by_shop = f"""
        , new_contents AS (
            SELECT shop_id, {counted(by_creator, "VIDEO")} AS creator_new_videos,
                   {counted(by_creator, "LIVE")} AS creator_new_lives,
                   {counted(by_seller, "VIDEO")} AS seller_new_videos, {counted(by_seller, "LIVE")} AS seller_new_lives
            FROM contents WHERE published_at >= {first} AND published_at < {end} GROUP BY shop_id
        )"""
    ads_by_shop = """
        , ads AS (
            SELECT shop_id, SUM(ad_spend) AS ad_spend, SUM(ad_gross_revenue) AS ad_gross_revenue
            FROM primary_hours GROUP BY shop_id
        )"""
    return f"""
        WITH sales AS (
            SELECT shop_id, {SALES}, COUNT(DISTINCT buyer_id) AS customers,
                   SUM(CASE WHEN channel = 'LIVE' THEN sub_total + shipping_fee END) AS gmv_live,
                   SUM(CASE WHEN channel = 'VIDEO' THEN sub_total + shipping_fee END) AS gmv_video,
                   SUM(CASE WHEN channel NOT IN ('LIVE', 'VIDEO') THEN sub_total + shipping_fee END) AS gmv_product_card,
                   SUM(platform_discount) AS contribution_product,
                   SUM(shipping_platform_discount) AS contribution_shipping,
                   SUM(platform_discount + shipping_platform_discount) AS estimated_tiktok_contribution
            FROM order_lines GROUP BY shop_id
        ), traffic AS (
            SELECT shop_id, SUM(product_impressions) AS product_impressions, SUM(product_clicks) AS product_clicks,
                   SUM(page_views) AS page_views, SUM(add_to_carts) AS add_to_carts
            FROM traffic_of_product GROUP BY shop_id
        ), every AS (
            SELECT shop_id FROM shops UNION SELECT shop_id FROM sales UNION SELECT shop_id FROM traffic
        )
        {new_by_shop if has_contents else ""}
        {ads_by_shop if has_ads else ""}
        SELECT e.shop_id AS shop_id, s.category AS category,
               {
        zeros(
            "o",
            "gmv",
            "gmv_live",
            "gmv_video",
            "gmv_product_card",
            "orders",
            "sku_orders",
            "items_sold",
            "customers",
            "contribution_product",
            "contribution_shipping",
            "estimated_tiktok_contribution",
        )
    },
               {zeros("t", "product_impressions", "product_clicks", "page_views", "add_to_carts")},
               {zeros("u", "unique_reach", "unique_clicks", "unique_page_viewers", "unique_cart_adders")},
               {zeros("n", *new_contents) if has_contents else nulls(new_contents)},
               {", ".join(map(listed, ads)) if has_ads else nulls(ads)}
        FROM every AS e
        LEFT JOIN shops AS s ON s.shop_id = e.shop_id
        LEFT JOIN sales AS o ON o.shop_id = e.shop_id
        LEFT JOIN traffic AS t ON t.shop_id = e.shop_id
        LEFT JOIN users_of_shop AS u ON u.shop_id = e.shop_id
        {"LEFT JOIN new_contents AS n ON n.shop_id = e.shop_id" if has_contents else ""}
        {"LEFT JOIN ads AS a ON a.shop_id = e.shop_id" if has_ads else ""}"""


def channel_daily(_: Engine) -> str:
    return f"""
        WITH sales AS (SELECT shop_id, channel, {LINES} FROM order_lines GROUP BY shop_id, channel),
             every AS (SELECT shop_id, channel FROM channel_traffic UNION SELECT shop_id, channel FROM sales)
        SELECT e.shop_id AS shop_id, e.channel AS channel, {zeros("t", "product_impressions", "product_clicks")},
               {zeros("o", "sku_orders", "gmv")},
               SUM(COALESCE(t.product_impressions, 0)) OVER (PARTITION BY e.shop_id) AS shop_impressions
        FROM every AS e
        LEFT JOIN channel_traffic AS t ON t.shop_id = e.shop_id AND t.channel = e.channel
        LEFT JOIN sales AS o ON o.shop_id = e.shop_id AND o.channel = e.channel"""


def product_daily(engine: Engine) -> str:
    has_campaigns = "campaign_products" in engine.accounts
    return f"""
        WITH sales AS (SELECT shop_id, product_id, {SALES} FROM order_lines GROUP BY shop_id, product_id),
             every AS (SELECT shop_id, product_id FROM traffic_of_product UNION SELECT shop_id, product_id FROM sales)
             {", campaign AS (SELECT DISTINCT shop_id, product_id FROM products_of_day)" if has_campaigns else ""}
        SELECT e.shop_id AS shop_id, e.product_id AS product_id,
               {"c.product_id IS NOT NULL" if has_campaigns else "NULL"} AS is_campaign_product,
               {zeros("t", "product_impressions", "product_clicks", "page_views", "add_to_carts")},
               {zeros("u", "unique_page_viewers", "unique_cart_adders")},
               {zeros("o", "orders", "sku_orders", "items_sold", "gmv")}
        FROM every AS e
        LEFT JOIN traffic_of_product AS t ON t.shop_id = e.shop_id AND t.product_id = e.product_id
        LEFT JOIN users_of_product AS u ON u.shop_id = e.shop_id AND u.product_id = e.product_id
        LEFT JOIN sales AS o ON o.shop_id = e.shop_id AND o.product_id = e.product_id
        {"LEFT JOIN campaign AS c ON c.shop_id = e.shop_id AND c.product_id = e.product_id" if has_campaigns else ""}"""


def sku_daily(_: Engine) -> str:
    return """
        SELECT shop_id, product_id, sku_id, SUM(quantity) AS items_sold, SUM(sub_total + shipping_fee) AS gmv
        FROM order_lines GROUP BY shop_id, product_id, sku_id"""


def content_daily(_: Engine) -> str:
    own = (
        "content_type",
        "account_type",
        "creator_handle",
        "title",
        "published_at",
        "views",
        "has_violation",
        "is_key_live",
    )
    return f"""
        WITH sales AS (
            SELECT shop_id, content_id, {SALES} FROM order_lines WHERE content_id IS NOT NULL GROUP BY shop_id, content_id
        ), shop AS (
            SELECT shop_id, SUM(sub_total + shipping_fee) AS shop_gmv FROM order_lines GROUP BY shop_id
        ), every AS (
            SELECT c.shop_id AS shop_id, c.content_id AS content_id, {", ".join(f"c.{name} AS {name}" for name in own)},
                   {zeros("t", "product_impressions", "product_clicks")},
                   {zeros("o", "orders", "sku_orders", "items_sold", "gmv")}, {zeros("s", "shop_gmv")}
            FROM contents AS c
            LEFT JOIN content_traffic AS t ON t.shop_id = c.shop_id AND t.content_id = c.content_id
            LEFT JOIN sales AS o ON o.shop_id = c.shop_id AND o.content_id = c.content_id
            LEFT JOIN shop AS s ON s.shop_id = c.shop_id
        )
        SELECT *, ROW_NUMBER() OVER (PARTITION BY shop_id, content_type ORDER BY gmv DESC, content_id) AS gmv_rank
        FROM every"""


def sub_campaign_daily(_: Engine) -> str:
    return f"""
        WITH sales AS (
            SELECT shop_id, sub_campaign_id, {SALES} FROM order_lines
            WHERE sub_campaign_id IS NOT NULL GROUP BY shop_id, sub_campaign_id
        )
        SELECT o.shop_id AS shop_id, o.sub_campaign_id AS sub_campaign_id, s.campaign_id AS campaign_id,
               s.sub_campaign_name AS sub_campaign_name, o.orders AS orders, o.sku_orders AS sku_orders,
               o.items_sold AS items_sold, o.gmv AS gmv,
               ROW_NUMBER() OVER (PARTITION BY o.shop_id, s.campaign_id ORDER BY o.gmv DESC, o.sub_campaign_id) AS gmv_rank
        FROM sales AS o JOIN sub_campaigns AS s ON s.sub_campaign_id = o.sub_campaign_id"""


def ad_hourly(engine: Engine) -> str:
    since = f"({engine.us('hour_start')} - {engine.work.day_us[0]})"
    # Whole hours are taken off first, because `/` of whole numbers is not the same in every engine.
    return f"SELECT *, ({since} - {since} % {HOUR_US}) / {HOUR_US} AS local_hour FROM primary_hours"


ROWS = {
    build.__name__: build
    for build in (shop_daily, channel_daily, product_daily, sku_daily, content_daily, sub_campaign_daily, ad_hourly)
}


def typed(engine: Engine, name: str, query: str) -> str:
    """The query's columns as the table has them: order, types, ratios."""
    table = TABLES[name]

    def exact(column: str, factor: int) -> str:
        number = engine.cents(column) if table.type_of(column) == MONEY else column
        return f"CAST({number} * {factor} AS {engine.double})" if factor > 1 else f"CAST({number} AS {engine.double})"

    def select(column: str, kind: str | Ratio) -> str:
        if not isinstance(kind, Ratio):
            return f"{engine.cast(column, kind)} AS {column}"
        numerator = exact(kind.numerator, kind.numerator_factor)
        denominator = exact(kind.denominator, kind.denominator_factor)
        return f"CASE WHEN {kind.denominator} <> 0 THEN {numerator} / {denominator} END AS {column}"

    columns = ", ".join(select(column, kind) for column, kind in table.columns.items())
    return f"SELECT {columns} FROM ({query}) AS rows_of_table"
