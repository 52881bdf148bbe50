"""What every peer does, said once: the exports with their row rules, the tables, the day (SPEC.md sections 2 and 3.1)."""

import argparse
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/Los_Angeles")
HOUR_US = 3_600_000_000

INT, MONEY, TEXT, FLAG, INSTANT = "INT", "MONEY", "TEXT", "FLAG", "INSTANT"


@dataclass(frozen=True)
class Dataset:
    columns: tuple[str, ...]
    nullable: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    # When a row without a null where none may be breaks a rule, as SQL.
    broken_if: tuple[str, ...] = ()
    # An instant that must lie within the day.
    within_day: str | None = None


def dataset(
    columns: str, nullable: str = "", key: str = "", broken_if: tuple[str, ...] = (), within_day: str | None = None
) -> Dataset:
    return Dataset(tuple(columns.split()), tuple(nullable.split()), tuple(key.split()), broken_if, within_day)


DATASETS = {
    "order_lines": dataset(
        "order_id sku_id product_id shop_id buyer_id paid_at quantity sub_total shipping_fee platform_discount"
        " shipping_platform_discount channel",
        nullable="content_id sub_campaign_id",
        key="order_id sku_id",
        broken_if=(
            "quantity < 1",
            "sub_total < 0",
            "shipping_fee < 0",
            "platform_discount < 0",
            "shipping_platform_discount < 0",
            "channel = ''",
        ),
        within_day="paid_at",
    ),
    "product_traffic": dataset(
        "shop_id product_id user_id channel impressions clicks page_views add_to_carts",
        nullable="content_id",
        broken_if=("impressions < 0", "clicks < 0", "page_views < 0", "add_to_carts < 0", "channel = ''"),
    ),
    "shops": dataset("shop_id shop_name", nullable="category primary_ad_account_id", key="shop_id"),
    "contents": dataset(
        "content_id shop_id content_type account_type creator_handle published_at has_violation is_key_live",
        nullable="title views",
        key="shop_id content_id",
        broken_if=(
            "content_type NOT IN ('VIDEO', 'LIVE')",
            "account_type NOT IN ('OFFICIAL_ACCOUNTS', 'MARKETING_ACCOUNTS', 'AFFILIATE_ACCOUNTS')",
            "(views IS NOT NULL AND views < 0)",
        ),
    ),
    "ad_hours": dataset(
        "ad_account_id shop_id hour_start spend gross_revenue",
        key="ad_account_id shop_id hour_start",
        broken_if=("spend < 0", "gross_revenue < 0"),
        within_day="hour_start",
    ),
    "campaigns": dataset(
        "campaign_id campaign_name first_day last_day", key="campaign_id", broken_if=("last_day < first_day",)
    ),
    "campaign_products": dataset("campaign_id shop_id product_id", key="campaign_id product_id"),
    "sub_campaigns": dataset("sub_campaign_id campaign_id sub_campaign_name", key="sub_campaign_id"),
}
REQUIRED = ("order_lines", "product_traffic", "shops", "campaigns")


@dataclass(frozen=True)
class Ratio:
    """`numerator / denominator`, divided once as DOUBLE; null where the denominator is 0 or null.

    Money counts in whole cents, because a DOUBLE of an amount is already rounded; the factors make up for that.
    """

    numerator: str
    denominator: str
    numerator_factor: int = 1
    denominator_factor: int = 1


CTR = Ratio("product_clicks", "product_impressions")
CTOR = Ratio("sku_orders", "product_clicks")
ADD_TO_CART_RATE = Ratio("unique_cart_adders", "unique_page_viewers")
AD_ROI = Ratio("ad_gross_revenue", "ad_spend")


@dataclass(frozen=True)
class Table:
    """Columns in file order, with a type or a ratio of others."""

    columns: dict[str, str | Ratio]
    key: tuple[str, ...]
    # The optional dataset without which it is not written.
    needs: str | None = None
    # What its ratios need beside its own columns: a sum over the shop.
    helpers: tuple[tuple[str, str], ...] = ()

    def type_of(self, column: str) -> str | Ratio:
        return {**dict(self.helpers), **self.columns}[column]


TABLES = {
    "shop_daily": Table(
        key=("shop_id",),
        columns={
            "shop_id": INT,
            "category": TEXT,
            "gmv": MONEY,
            "gmv_live": MONEY,
            "gmv_video": MONEY,
            "gmv_product_card": MONEY,
            "orders": INT,
            "sku_orders": INT,
            "items_sold": INT,
            "customers": INT,
            "avg_order_value": Ratio("gmv", "orders", denominator_factor=100),
            "contribution_product": MONEY,
            "contribution_shipping": MONEY,
            "estimated_tiktok_contribution": MONEY,
            "product_impressions": INT,
            "product_clicks": INT,
            "page_views": INT,
            "add_to_carts": INT,
            "unique_reach": INT,
            "unique_clicks": INT,
            "unique_page_viewers": INT,
            "unique_cart_adders": INT,
            "ctr": CTR,
            "ctor": CTOR,
            "add_to_cart_rate": ADD_TO_CART_RATE,
            "creator_new_videos": INT,
            "creator_new_lives": INT,
            "seller_new_videos": INT,
            "seller_new_lives": INT,
            "ad_spend": MONEY,
            "ad_gross_revenue": MONEY,
            "ad_roi": AD_ROI,
        },
    ),
    "channel_daily": Table(
        key=("shop_id", "channel"),
        columns={
            "shop_id": INT,
            "channel": TEXT,
            "product_impressions": INT,
            "product_clicks": INT,
            "sku_orders": INT,
            "gmv": MONEY,
            "impression_share": Ratio("product_impressions", "shop_impressions"),
            "ctr": CTR,
            "ctor": CTOR,
        },
        helpers=(("shop_impressions", INT),),
    ),
    "product_daily": Table(
        key=("shop_id", "product_id"),
        columns={
            "shop_id": INT,
            "product_id": INT,
            "is_campaign_product": FLAG,
            "product_impressions": INT,
            "product_clicks": INT,
            "page_views": INT,
            "add_to_carts": INT,
            "unique_page_viewers": INT,
            "unique_cart_adders": INT,
            "add_to_cart_rate": ADD_TO_CART_RATE,
            "orders": INT,
            "sku_orders": INT,
            "items_sold": INT,
            "gmv": MONEY,
            "ctr": CTR,
            "ctor": CTOR,
        },
    ),
    "sku_daily": Table(
        key=("shop_id", "product_id", "sku_id"),
        columns={"shop_id": INT, "product_id": INT, "sku_id": INT, "items_sold": INT, "gmv": MONEY},
    ),
    "content_daily": Table(
        key=("shop_id", "content_id"),
        columns={
            "shop_id": INT,
            "content_id": INT,
            "content_type": TEXT,
            "account_type": TEXT,
            "creator_handle": TEXT,
            "title": TEXT,
            "published_at": INSTANT,
            "views": INT,
            "has_violation": FLAG,
            "is_key_live": FLAG,
            "product_impressions": INT,
            "product_clicks": INT,
            "orders": INT,
            "sku_orders": INT,
            "items_sold": INT,
            "gmv": MONEY,
            "ctr": CTR,
            "ctor": CTOR,
            "gpm": Ratio("gmv", "views", numerator_factor=10),
            "gmv_share": Ratio("gmv", "shop_gmv"),
            "gmv_rank": INT,
        },
        needs="contents",
        helpers=(("shop_gmv", MONEY),),
    ),
    "sub_campaign_daily": Table(
        key=("shop_id", "sub_campaign_id"),
        columns={
            "shop_id": INT,
            "sub_campaign_id": INT,
            "campaign_id": INT,
            "sub_campaign_name": TEXT,
            "orders": INT,
            "sku_orders": INT,
            "items_sold": INT,
            "gmv": MONEY,
            "gmv_rank": INT,
        },
        needs="sub_campaigns",
    ),
    "ad_hourly": Table(
        key=("shop_id", "hour_start"),
        columns={
            "shop_id": INT,
            "hour_start": INSTANT,
            "local_hour": INT,
            "ad_spend": MONEY,
            "ad_gross_revenue": MONEY,
            "ad_roi": AD_ROI,
        },
        needs="ad_hours",
    ),
}

# Tables in which every used row counts once, and the columns whose sums must be those of the used rows.
RECONCILED = {
    "shop_daily": ("gmv", "sku_orders", "items_sold", "product_impressions", "product_clicks"),
    "channel_daily": ("gmv", "sku_orders", "product_impressions", "product_clicks"),
    "product_daily": ("gmv", "sku_orders", "items_sold", "product_impressions", "product_clicks"),
    "sku_daily": ("gmv", "items_sold"),
}


@dataclass(frozen=True)
class Work:
    """What a peer is asked for."""

    exports: Path
    day: date
    out: Path
    threads: int
    variant: str

    @property
    def day_us(self) -> tuple[int, int]:
        """The day's first instant, and the next day's; microseconds since 1970-01-01T00:00:00Z."""
        return first_instant_us(self.day), first_instant_us(self.day + timedelta(days=1))

    def folder(self, name: str) -> Path:
        return self.exports / name / f"dt={self.day}"

    def is_final(self, name: str) -> bool:
        return (self.folder(name) / "_SUCCESS").exists()

    def files(self, name: str) -> list[str]:
        """The Parquet files of a dataset in the order that decides between rows of one key: bytewise by name."""
        files = (path for path in self.folder(name).glob("*.parquet") if path.name[0] not in "._")
        return [str(path) for path in sorted(files, key=lambda path: path.name.encode())]

    def final_datasets(self) -> list[str]:
        missing = [name for name in REQUIRED if not self.is_final(name)]
        if missing:
            raise SystemExit(f"{self.day} is not final: {', '.join(missing)}")
        return [name for name in DATASETS if self.is_final(name)]

    def target(self, table: str) -> Path:
        return self.out / f"{table}.parquet"


def first_instant_us(day: date) -> int:
    # Where clocks skip midnight, the offset before the gap makes it the day's first instant.
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZONE)
    return (midnight.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def work(variants: tuple[str, ...], description: str) -> Work:
    """The command line of a peer. The first variant is the default: the best that was found."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exports", type=Path, required=True)
    parser.add_argument("--day", type=date.fromisoformat, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--variant", choices=variants, default=variants[0])
    asked = Work(**vars(parser.parse_args()))
    asked.out.mkdir(parents=True, exist_ok=True)
    return asked


@dataclass
class Account:
    """Where the rows of a dataset went."""

    rows_read: int
    rows_used: int
    rows_quarantined: int
    rows_out_of_scope: int = 0

    def leave_out(self, rows_in_scope: int) -> None:
        self.rows_out_of_scope = self.rows_used - rows_in_scope
        self.rows_used = rows_in_scope


def report(accounts: dict[str, Account]) -> None:
    """The account of every dataset read, on stdout, for the benchmark to compare."""
    print(json.dumps({name: vars(account) for name, account in accounts.items()}))


def reconcile(table: str, found: tuple, totals: dict[str, object]) -> None:
    """`found`: sums of the table's reconciled columns."""
    expected = tuple(totals[column] for column in RECONCILED[table])
    if found != expected:
        raise SystemExit(f"{table}: {RECONCILED[table]} add up to {found}, the used rows to {expected}")
