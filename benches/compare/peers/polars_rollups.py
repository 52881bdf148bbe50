"""The daily rollups with Polars, all on its streaming engine.

Distinct users take two steps: one row for each (shop, user) with what the user did, then a count. Only rows with a page
view or a cart can matter to a product's users, a fifth of all.

Variants, best first:
  together    the aggregates of the traffic as one query, for the optimizer to share what it can
  one_by_one  each aggregate as a query of its own
  bits        as together; what a user did is the bits of one number instead of four booleans
  n_unique    as together; n_unique per shop and flag; who viewed and added = viewers + adders - viewers or adders
  in_memory   as one_by_one, on the in-memory engine
"""

import os
from functools import reduce
from operator import or_

import contract
from contract import DATASETS, FLAG, HOUR_US, INSTANT, INT, MONEY, RECONCILED, TABLES, TEXT, Account, Ratio

WORK = contract.work(("together", "one_by_one", "bits", "n_unique", "in_memory"), __doc__)
# Polars reads it once, on import.
os.environ["POLARS_MAX_THREADS"] = str(WORK.threads)

import polars as pl
from polars import col

ENGINE = "in-memory" if WORK.variant == "in_memory" else "streaming"
TYPES = {
    INT: pl.Int64,
    MONEY: pl.Decimal(18, 2),
    TEXT: pl.String,
    FLAG: pl.Boolean,
    INSTANT: pl.Datetime("us", "UTC"),
}
COUNTERS = ("impressions", "clicks", "page_views", "add_to_carts")
# Tables call these two by another name.
RENAMED = {"impressions": "product_impressions", "clicks": "product_clicks"}
REACHED, CLICKED, VIEWED, ADDED = (col(counter) > 0 for counter in COUNTERS)


def main() -> None:
    used, accounts = {}, {}
    for name in WORK.final_datasets():
        used[name], accounts[name] = take_traffic(name) if name == "product_traffic" else take_keyed(name)
    scope(used, accounts)
    totals = used_totals(used)
    sums = sum_traffic(used["product_traffic"])
    for name, table in TABLES.items():
        if table.needs is None or table.needs in used:
            rows = collect(typed(name, ROWS[name](used, sums)).sort(table.key))
            if name in RECONCILED:
                contract.reconcile(name, rows.select(pl.sum(*RECONCILED[name])).row(0), totals)
            rows.write_parquet(WORK.target(name), compression="zstd")
    contract.report(accounts)


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    return frame.collect(engine=ENGINE)


# Rows that keep the rules.


def take_keyed(name: str) -> tuple[pl.LazyFrame, Account]:
    """Used rows in memory. Keys are made unique only where one repeats."""
    # Numbered through the files in order of their names: the order that decides between rows of one key.
    rows = collect(pl.scan_parquet(WORK.files(name), hive_partitioning=False, row_index_name="position"))
    key = DATASETS[name].key
    kept = rows.filter(~broken(name))
    if kept.select(pl.struct(key).n_unique()).item() < len(kept):
        kept = kept.sort("position").unique(key, keep="first")
    return kept.lazy(), Account(len(rows), len(kept), len(rows) - len(kept))


def take_traffic(name: str) -> tuple[pl.LazyFrame, Account]:
    """Used rows of the files, filtered only where a row breaks a rule."""
    rows = pl.scan_parquet(WORK.files(name), hive_partitioning=False)
    read = collect(rows.select(pl.len())).item()
    # Apart, because row groups whose statistics keep the rules are not read.
    found = collect(rows.filter(broken(name)).select(pl.len())).item()
    return (rows.filter(~broken(name)) if found else rows), Account(read, read - found, found)


def broken(name: str) -> pl.Expr:
    dataset = DATASETS[name]
    rules = [*(col(column).is_null() for column in dataset.columns), *map(pl.sql_expr, dataset.broken_if)]
    if dataset.within_day:
        rules.append(~within_day(dataset.within_day))
    return reduce(or_, rules)


def within_day(instant: str) -> pl.Expr:
    first, end = (pl.lit(us).cast(TYPES[INSTANT]) for us in WORK.day_us)
    return (col(instant) >= first) & (col(instant) < end)


def scope(used: dict[str, pl.LazyFrame], accounts: dict[str, Account]) -> None:
    """Keeps the rows in scope: campaigns of the day, their products, hours of primary ad accounts."""

    def keep(name: str, rows: pl.LazyFrame) -> None:
        kept = collect(rows)
        used[name] = kept.lazy()
        accounts[name].leave_out(len(kept))

    keep("campaigns", used["campaigns"].filter(col("first_day") <= WORK.day, col("last_day") >= WORK.day))
    if "campaign_products" in used:
        keep("campaign_products", used["campaign_products"].join(used["campaigns"], on="campaign_id", how="semi"))
    if "ad_hours" in used:
        keep(
            "ad_hours",
            used["ad_hours"]
            .join(
                used["shops"],
                left_on=("shop_id", "ad_account_id"),
                right_on=("shop_id", "primary_ad_account_id"),
                how="semi",
            )
            .rename({"spend": "ad_spend", "gross_revenue": "ad_gross_revenue"}),
        )


def used_totals(used: dict[str, pl.LazyFrame]) -> dict[str, object]:
    sales = collect(used["order_lines"].select(**LINES))
    counters = collect(used["product_traffic"].select(summed("impressions", "clicks")).rename(RENAMED))
    return sales.row(0, named=True) | counters.row(0, named=True)


# Sums of the traffic.


def summed(*columns: str) -> list[pl.Expr]:
    # A sum of INT32 stays one.
    return [col(column).cast(pl.Int64).sum() for column in columns]


def sum_traffic(rows: pl.LazyFrame) -> dict[str, pl.LazyFrame]:
    queries = {
        "channels": rows.group_by("shop_id", "channel").agg(summed("impressions", "clicks")),
        "contents": rows.filter(col("content_id").is_not_null())
        .group_by("shop_id", "content_id")
        .agg(summed("impressions", "clicks")),
        "products": rows.group_by("shop_id", "product_id").agg(summed(*COUNTERS)),
        "users_of_product": users(rows.filter(VIEWED | ADDED), "shop_id", "product_id").drop(
            "unique_reach", "unique_clicks"
        ),
        "users_of_shop": users(rows, "shop_id"),
    }
    if WORK.variant in ("one_by_one", "in_memory"):
        collected = map(collect, queries.values())
    else:
        collected = pl.collect_all(queries.values(), engine=ENGINE)
    return {name: sums.lazy().rename(RENAMED, strict=False) for name, sums in zip(queries, collected)}


def users(rows: pl.LazyFrame, *group: str) -> pl.LazyFrame:
    if WORK.variant == "n_unique":
        distinct = lambda who: col("user_id").filter(who).n_unique()
        return rows.group_by(group).agg(
            unique_reach=distinct(REACHED),
            unique_clicks=distinct(CLICKED),
            unique_page_viewers=distinct(VIEWED),
            unique_cart_adders=distinct(VIEWED).cast(pl.Int64) + distinct(ADDED) - distinct(VIEWED | ADDED),
        )
    if WORK.variant == "bits":
        flags = (REACHED, CLICKED, VIEWED, ADDED)
        bits = reduce(or_, (flag.cast(pl.UInt8) * (1 << bit) for bit, flag in enumerate(flags)))
        did = rows.select(*group, "user_id", did=bits).group_by(*group, "user_id").agg(col("did").bitwise_or())
        reached, clicked, viewed, added = (col("did") & (1 << bit) != 0 for bit in range(len(flags)))
    else:
        did = rows.group_by(*group, "user_id").agg((col(counter) > 0).any() for counter in COUNTERS)
        reached, clicked, viewed, added = map(col, COUNTERS)
    return did.group_by(group).agg(
        unique_reach=reached.sum(),
        unique_clicks=clicked.sum(),
        unique_page_viewers=viewed.sum(),
        unique_cart_adders=(viewed & added).sum(),
    )


# The tables, from the used rows and the sums of the traffic.

GMV = col("sub_total") + col("shipping_fee")
LINES = {"sku_orders": pl.len(), "items_sold": col("quantity").cast(pl.Int64).sum(), "gmv": GMV.sum()}
SALES = {"orders": col("order_id").n_unique(), **LINES}


def counted(frame: pl.LazyFrame, *columns: str) -> pl.LazyFrame:
    """Sums of an outer join's side: no row adds up to 0."""
    return frame.with_columns(pl.col(*columns).fill_null(0))


def shop_daily(used, sums):
    shops = used["shops"].select("shop_id", "category", is_listed=True)
    sales = (
        used["order_lines"]
        .group_by("shop_id")
        .agg(
            **SALES,
            customers=col("buyer_id").n_unique(),
            gmv_live=GMV.filter(col("channel") == "LIVE").sum(),
            gmv_video=GMV.filter(col("channel") == "VIDEO").sum(),
            gmv_product_card=GMV.filter(~col("channel").is_in(["LIVE", "VIDEO"])).sum(),
            contribution_product=col("platform_discount").sum(),
            contribution_shipping=col("shipping_platform_discount").sum(),
            estimated_tiktok_contribution=(col("platform_discount") + col("shipping_platform_discount")).sum(),
        )
    )
    traffic = (
        sums["products"]
        .group_by("shop_id")
        .agg(pl.sum("product_impressions", "product_clicks", "page_views", "add_to_carts"))
    )
    rows = shops
    for side in (sales, traffic, sums["users_of_shop"]):
        rows = rows.join(side, on="shop_id", how="full", coalesce=True)
    rows = counted(
        rows, *(column for column in rows.collect_schema() if column not in ("shop_id", "category", "is_listed"))
    )
    new = ("creator_new_videos", "creator_new_lives", "seller_new_videos", "seller_new_lives")
    if "contents" in used:
        by_creator, is_video = col("account_type") == "AFFILIATE_ACCOUNTS", col("content_type") == "VIDEO"
        kinds = (by_creator & is_video, by_creator & ~is_video, ~by_creator & is_video, ~by_creator & ~is_video)
        published = (
            used["contents"]
            .filter(within_day("published_at"))
            .group_by("shop_id")
            .agg(**{name: kind.sum() for name, kind in zip(new, kinds)})
        )
        rows = counted(rows.join(published, on="shop_id", how="left"), *new)
    else:
        rows = rows.with_columns(**dict.fromkeys(new, pl.lit(None)))
    ads = ("ad_spend", "ad_gross_revenue")
    if "ad_hours" not in used:
        return rows.with_columns(**dict.fromkeys(ads, pl.lit(None, TYPES[MONEY])))
    rows = rows.join(used["ad_hours"].group_by("shop_id").agg(pl.sum(*ads)), on="shop_id", how="left")
    return rows.with_columns(pl.when("is_listed").then(col(*ads).fill_null(0)))


def channel_daily(used, sums):
    sales = used["order_lines"].group_by("shop_id", "channel").agg(**LINES)
    rows = sums["channels"].join(sales, on=("shop_id", "channel"), how="full", coalesce=True)
    rows = counted(rows, "product_impressions", "product_clicks", "sku_orders", "gmv")
    return rows.with_columns(shop_impressions=col("product_impressions").sum().over("shop_id"))


def product_daily(used, sums):
    key = ("shop_id", "product_id")
    sales = used["order_lines"].group_by(key).agg(**SALES)
    rows = (
        sums["products"].join(sums["users_of_product"], on=key, how="left").join(sales, on=key, how="full", coalesce=True)
    )
    rows = counted(rows, *(column for column in rows.collect_schema() if column not in key))
    if "campaign_products" not in used:
        return rows.with_columns(is_campaign_product=pl.lit(None))
    campaign = used["campaign_products"].select(key).unique().with_columns(is_campaign_product=True)
    return rows.join(campaign, on=key, how="left").with_columns(col("is_campaign_product").fill_null(False))


def sku_daily(used, _):
    return used["order_lines"].group_by("shop_id", "product_id", "sku_id").agg(**LINES)


def content_daily(used, sums):
    key = ("shop_id", "content_id")
    sales = used["order_lines"].filter(col("content_id").is_not_null()).group_by(key).agg(**SALES)
    of_shop = used["order_lines"].group_by("shop_id").agg(shop_gmv=GMV.sum())
    rows = used["contents"].join(sums["contents"], on=key, how="left").join(sales, on=key, how="left")
    rows = rows.join(of_shop, on="shop_id", how="left")
    rows = counted(rows, "product_impressions", "product_clicks", "orders", "sku_orders", "items_sold", "gmv", "shop_gmv")
    return ranked(rows, ("shop_id", "content_type"), "content_id")


def sub_campaign_daily(used, _):
    sales = used["order_lines"].group_by("shop_id", "sub_campaign_id").agg(**SALES)
    rows = sales.join(used["sub_campaigns"], on="sub_campaign_id")
    return ranked(rows, ("shop_id", "campaign_id"), "sub_campaign_id")


def ranked(rows: pl.LazyFrame, group: tuple[str, str], id_: str) -> pl.LazyFrame:
    """Adds gmv_rank: 1 = highest gmv within the group; ties by smaller id."""
    in_order = rows.sort("gmv", id_, descending=(True, False))
    return in_order.with_columns(gmv_rank=pl.int_range(1, pl.len() + 1).over(group))


def ad_hourly(used, _):
    return used["ad_hours"].with_columns(local_hour=(col("hour_start").dt.epoch("us") - WORK.day_us[0]) // HOUR_US)


ROWS = {
    table.__name__: table
    for table in (shop_daily, channel_daily, product_daily, sku_daily, content_daily, sub_campaign_daily, ad_hourly)
}


def typed(name: str, rows: pl.LazyFrame) -> pl.LazyFrame:
    """The columns as the table has them: order, types, ratios."""
    table = TABLES[name]

    def exact(column: str, factor: int) -> pl.Expr:
        number = (col(column) * 100).cast(pl.Int64) if table.type_of(column) == MONEY else col(column).cast(pl.Int64)
        return (number * factor).cast(pl.Float64)

    def select(kind: str | Ratio, column: str) -> pl.Expr:
        if not isinstance(kind, Ratio):
            return col(column).cast(TYPES[kind])
        numerator = exact(kind.numerator, kind.numerator_factor)
        denominator = exact(kind.denominator, kind.denominator_factor)
        return pl.when(denominator != 0).then(numerator / denominator)

    return rows.select(select(kind, column).alias(column) for column, kind in table.columns.items())


if __name__ == "__main__":
    main()
