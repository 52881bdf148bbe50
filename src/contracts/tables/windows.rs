//! The tables over periods, trailing days and months (SPEC.md sections 3.2 and 4).

use super::rollups::{
    AD_HOURLY, CHANNEL_DAILY, CONTENT_DAILY, PRODUCT_DAILY, SHOP_DAILY, SKU_DAILY,
    SUB_CAMPAIGN_DAILY,
};
use super::shared::*;
use crate::contracts::column::Source::{Export, Own, Published, Run, Setting};
use crate::contracts::column::{Column, count, day, id, money, text};
use crate::contracts::ids::DatasetId::Snapshot;
use crate::contracts::ids::RollupId::*;
use crate::contracts::ids::SnapshotId::{CampaignProducts, CampaignShops, Campaigns, Inventory};
use crate::contracts::ids::TableId::{Rollup, Window};
use crate::contracts::ids::WindowId::*;
use crate::contracts::table::{Read, Span, Table};

/// Days of the window of tiers, and of slow-moving stock.
pub const LONG_WINDOW_DAYS: u64 = 30;
/// Days of the window of fast-moving stock.
pub const SHORT_WINDOW_DAYS: u64 = 7;

const CAMPAIGN_OF_DAY: Column = CAMPAIGN_ID.from(&[Export(Snapshot(Campaigns), &["campaign_id"])]);
const SHOP_OF_PERIOD: Column = SHOP_ID.from(&[Published(Window(ShopPeriod), &["shop_id"])]);
const THROUGH_DAY: Column = day("through_day")
    .formula("D, the last day of the period [campaign's first_day, D]")
    .from(&[Run("report day")]);
const DAYS: Column = count("days", "days")
    .formula("days of the period whose rollups are published")
    .from(&[
        Published(Rollup(ShopDaily), &[]),
        Export(Snapshot(Campaigns), &["first_day"]),
    ]);

const fn read(table: &'static Table, span: Span) -> Read {
    Read { table, span }
}

pub static SHOP_PERIOD: Table = Table {
    grain: "each campaign of D and shop of campaign_shops (of D) with a published shop_daily row in the period",
    columns: &[
        CAMPAIGN_OF_DAY,
        SHOP_ID.from(&[
            Export(Snapshot(CampaignShops), &["campaign_id", "shop_id"]),
            Published(Rollup(ShopDaily), &["shop_id"]),
        ]),
        day("first_day")
            .formula("the campaign's first_day")
            .from(&[Export(Snapshot(Campaigns), &["first_day"])]),
        THROUGH_DAY,
        DAYS,
        count("missing_days", "days")
            .formula("days of the period whose rollups are not published")
            .from(&[
                Published(Rollup(ShopDaily), &[]),
                Export(Snapshot(Campaigns), &["first_day"]),
            ]),
        count("content_days", "days")
            .formula("published days of the period with contents")
            .from(&[Published(Rollup(ContentDaily), &[])]),
        count("ad_days", "days")
            .formula("published days of the period with ad_hours")
            .from(&[Published(Rollup(AdHourly), &[])]),
        CATEGORY
            .formula("the latest that is not null among the shop's rows of the period")
            .null("none in the period")
            .same_as_in(Rollup(ShopDaily)),
        summed(Rollup(ShopDaily), GMV),
        summed(Rollup(ShopDaily), GMV_LIVE),
        summed(Rollup(ShopDaily), GMV_VIDEO),
        summed(Rollup(ShopDaily), GMV_PRODUCT_CARD),
        summed(Rollup(ShopDaily), ORDERS),
        summed(Rollup(ShopDaily), SKU_ORDERS),
        summed(Rollup(ShopDaily), ITEMS_SOLD),
        summed(Rollup(ShopDaily), CONTRIBUTION_PRODUCT),
        summed(Rollup(ShopDaily), CONTRIBUTION_SHIPPING),
        summed(Rollup(ShopDaily), ESTIMATED_CONTRIBUTION),
        summed(Rollup(ShopDaily), PRODUCT_IMPRESSIONS),
        summed(Rollup(ShopDaily), PRODUCT_CLICKS),
        summed(Rollup(ShopDaily), PAGE_VIEWS),
        summed(Rollup(ShopDaily), ADD_TO_CARTS),
        summed_if_known(Rollup(ShopDaily), CREATOR_NEW_VIDEOS),
        summed_if_known(Rollup(ShopDaily), CREATOR_NEW_LIVES),
        summed_if_known(Rollup(ShopDaily), SELLER_NEW_VIDEOS),
        summed_if_known(Rollup(ShopDaily), SELLER_NEW_LIVES),
        summed_if_known(Rollup(ShopDaily), AD_SPEND),
        summed_if_known(Rollup(ShopDaily), AD_GROSS_REVENUE),
        AVG_ORDER_VALUE,
        CTR,
        CTOR,
        AD_ROI,
        add_to_cart_rate_of_period(&[Published(
            Rollup(ShopDaily),
            &["unique_cart_adders", "unique_page_viewers"],
        )]),
        money("target_gmv")
            .formula("of campaign_shops of D")
            .null("no target set")
            .from(&[Export(Snapshot(CampaignShops), &["target_gmv"])]),
        fraction("target_progress")
            .formula("gmv / target_gmv")
            .null("no target, or a target of 0")
            .from(&[Own(&["gmv", "target_gmv"])]),
    ],
    key: &["campaign_id", "shop_id"],
    reads: &[
        read(&SHOP_DAILY, Span::Period),
        read(&CONTENT_DAILY, Span::Period),
        read(&AD_HOURLY, Span::Period),
    ],
    snapshots: &[Campaigns, CampaignShops],
    ..Table::of(Window(ShopPeriod))
};

pub static FUNNEL_PERIOD: Table = Table {
    grain: "the shops of shop_period",
    columns: &[
        CAMPAIGN_OF_DAY,
        SHOP_OF_PERIOD,
        THROUGH_DAY,
        DAYS,
        mean("avg_unique_reach", "users per day")
            .formula("mean over days of daily unique_reach, a day without a row counting 0")
            .from(&[
                Published(Rollup(ShopDaily), &["unique_reach"]),
                Own(&["days"]),
            ]),
        mean("avg_unique_clicks", "users per day")
            .formula("mean over days of daily unique_clicks, a day without a row counting 0")
            .from(&[
                Published(Rollup(ShopDaily), &["unique_clicks"]),
                Own(&["days"]),
            ]),
        mean("avg_daily_customers", "users per day")
            .formula("mean over days of daily customers, a day without a row counting 0")
            .from(&[Published(Rollup(ShopDaily), &["customers"]), Own(&["days"])]),
        fraction("click_rate")
            .formula("avg_unique_clicks / avg_unique_reach")
            .null("no reach")
            .from(&[Own(&["avg_unique_clicks", "avg_unique_reach"])]),
        fraction("customer_rate")
            .formula("avg_daily_customers / avg_unique_clicks")
            .null("no clicks")
            .from(&[Own(&["avg_daily_customers", "avg_unique_clicks"])]),
    ],
    key: &["campaign_id", "shop_id"],
    reads: &[
        read(&SHOP_DAILY, Span::Period),
        read(&SHOP_PERIOD, Span::Day),
    ],
    snapshots: &[Campaigns],
    ..Table::of(Window(FunnelPeriod))
};

pub static CHANNEL_PERIOD: Table = Table {
    grain: "each campaign of D, shop of shop_period and channel with a channel_daily row in the period",
    columns: &[
        CAMPAIGN_OF_DAY,
        SHOP_OF_PERIOD,
        text("channel")
            .formula("as exported")
            .same_as_in(Rollup(ChannelDaily)),
        THROUGH_DAY,
        DAYS,
        summed(Rollup(ChannelDaily), PRODUCT_IMPRESSIONS),
        summed(Rollup(ChannelDaily), PRODUCT_CLICKS),
        summed(Rollup(ChannelDaily), SKU_ORDERS),
        summed(Rollup(ChannelDaily), GMV),
        IMPRESSION_SHARE.from(&[
            Own(&["product_impressions"]),
            Published(Window(ShopPeriod), &["product_impressions"]),
        ]),
        CTR,
        CTOR,
    ],
    key: &["campaign_id", "shop_id", "channel"],
    reads: &[
        read(&SHOP_DAILY, Span::Period),
        read(&CHANNEL_DAILY, Span::Period),
        read(&SHOP_PERIOD, Span::Day),
    ],
    snapshots: &[Campaigns],
    ..Table::of(Window(ChannelPeriod))
};

pub static PRODUCT_PERIOD: Table = Table {
    grain: "each campaign of D, shop of shop_period and product with a product_daily row in the period",
    columns: &[
        CAMPAIGN_OF_DAY,
        SHOP_OF_PERIOD,
        id("product_id").same_as_in(Rollup(ProductDaily)),
        THROUGH_DAY,
        DAYS,
        IS_CAMPAIGN_PRODUCT
            .formula("shop and product in campaign_products of D for this campaign")
            .from(&[Export(
                Snapshot(CampaignProducts),
                &["campaign_id", "shop_id", "product_id"],
            )]),
        summed(Rollup(ProductDaily), PRODUCT_IMPRESSIONS),
        summed(Rollup(ProductDaily), PRODUCT_CLICKS),
        summed(Rollup(ProductDaily), PAGE_VIEWS),
        summed(Rollup(ProductDaily), ADD_TO_CARTS),
        add_to_cart_rate_of_period(&[Published(
            Rollup(ProductDaily),
            &["unique_cart_adders", "unique_page_viewers"],
        )]),
        summed(Rollup(ProductDaily), ORDERS),
        summed(Rollup(ProductDaily), SKU_ORDERS),
        summed(Rollup(ProductDaily), ITEMS_SOLD),
        summed(Rollup(ProductDaily), GMV),
        CTR,
        CTOR,
    ],
    key: &["campaign_id", "shop_id", "product_id"],
    reads: &[
        read(&SHOP_DAILY, Span::Period),
        read(&PRODUCT_DAILY, Span::Period),
        read(&SHOP_PERIOD, Span::Day),
    ],
    snapshots: &[Campaigns, CampaignProducts],
    version: 2,
    ..Table::of(Window(ProductPeriod))
};

pub static CONTENT_PERIOD: Table = Table {
    grain: "each campaign of D, shop of shop_period and content with a content_daily row in the period",
    columns: &[
        CAMPAIGN_OF_DAY,
        SHOP_OF_PERIOD,
        id("content_id").same_as_in(Rollup(ContentDaily)),
        THROUGH_DAY,
        DAYS.formula("published days of the period that have content_daily")
            .from(&[
                Published(Rollup(ContentDaily), &[]),
                Published(Rollup(ShopDaily), &[]),
                Export(Snapshot(Campaigns), &["first_day"]),
            ]),
        CONTENT_TYPE.same_as_in(Rollup(ContentDaily)),
        ACCOUNT_TYPE.same_as_in(Rollup(ContentDaily)),
        CREATOR_HANDLE.same_as_in(Rollup(ContentDaily)),
        TITLE.same_as_in(Rollup(ContentDaily)),
        PUBLISHED_AT.same_as_in(Rollup(ContentDaily)),
        HAS_VIOLATION
            .formula("on the latest day with the row")
            .same_as_in(Rollup(ContentDaily)),
        IS_KEY_LIVE
            .formula("on the latest day with the row")
            .same_as_in(Rollup(ContentDaily)),
        summed(Rollup(ContentDaily), VIEWS).null("not known on any day"),
        summed(Rollup(ContentDaily), PRODUCT_IMPRESSIONS),
        summed(Rollup(ContentDaily), PRODUCT_CLICKS),
        summed(Rollup(ContentDaily), ORDERS),
        summed(Rollup(ContentDaily), SKU_ORDERS),
        summed(Rollup(ContentDaily), ITEMS_SOLD),
        summed(Rollup(ContentDaily), GMV),
        CTR,
        CTOR,
        GPM,
        GMV_SHARE
            .formula("gmv / the shop's gmv on the same days")
            .from(&[Own(&["gmv"]), Published(Rollup(ShopDaily), &["gmv"])]),
        GMV_RANK
            .formula("1 = highest gmv within campaign, shop and content_type; ties by smaller content_id")
            .from(&[Own(&["gmv", "content_type", "content_id"])]),
    ],
    key: &["campaign_id", "shop_id", "content_id"],
    reads: &[
        read(&SHOP_DAILY, Span::Period),
        read(&CONTENT_DAILY, Span::Period),
        read(&SHOP_PERIOD, Span::Day),
    ],
    snapshots: &[Campaigns],
    version: 2,
    ..Table::of(Window(ContentPeriod))
};

pub static SUB_CAMPAIGN_PERIOD: Table = Table {
    grain: "each campaign of D, shop of shop_period and sub-campaign of that campaign with a sub_campaign_daily row",
    columns: &[
        CAMPAIGN_OF_DAY,
        SHOP_OF_PERIOD,
        id("sub_campaign_id").from(&[Published(
            Rollup(SubCampaignDaily),
            &["sub_campaign_id", "campaign_id"],
        )]),
        THROUGH_DAY,
        DAYS.formula("published days of the period that have sub_campaign_daily")
            .from(&[
                Published(Rollup(SubCampaignDaily), &[]),
                Published(Rollup(ShopDaily), &[]),
                Export(Snapshot(Campaigns), &["first_day"]),
            ]),
        text("sub_campaign_name")
            .formula("of the latest day with the row")
            .same_as_in(Rollup(SubCampaignDaily)),
        summed(Rollup(SubCampaignDaily), ORDERS),
        summed(Rollup(SubCampaignDaily), SKU_ORDERS),
        summed(Rollup(SubCampaignDaily), ITEMS_SOLD),
        summed(Rollup(SubCampaignDaily), GMV),
        GMV_RANK
            .formula("1 = highest gmv within campaign and shop; ties by smaller sub_campaign_id")
            .from(&[Own(&["gmv", "sub_campaign_id"])]),
    ],
    key: &["campaign_id", "shop_id", "sub_campaign_id"],
    reads: &[
        read(&SHOP_DAILY, Span::Period),
        read(&SUB_CAMPAIGN_DAILY, Span::Period),
        read(&SHOP_PERIOD, Span::Day),
    ],
    snapshots: &[Campaigns],
    ..Table::of(Window(SubCampaignPeriod))
};

pub static GMV_BASELINE: Table = Table {
    grain: "each shop of shop_daily at D in a campaign of D (or every shop: baseline.shops) and published day of the \
            six calendar months before D on which it has a row",
    columns: &[
        SHOP_ID.from(&[
            Published(Rollup(ShopDaily), &["shop_id"]),
            Export(Snapshot(CampaignShops), &["shop_id"]),
            Setting(&["baseline.shops"]),
        ]),
        day("baseline_day").from(&[Published(Rollup(ShopDaily), &[])]),
        money("baseline_gmv")
            .formula("gmv of the baseline day")
            .from(&[Published(Rollup(ShopDaily), &["gmv"])]),
        money("gmv")
            .formula("gmv of D")
            .from(&[Published(Rollup(ShopDaily), &["gmv"])]),
        money("difference")
            .formula("gmv - baseline_gmv")
            .from(&[Own(&["gmv", "baseline_gmv"])]),
        percent("difference_pct")
            .formula("(gmv - baseline_gmv) / baseline_gmv * 100")
            .null("baseline_gmv is 0")
            .from(&[Own(&["gmv", "baseline_gmv"])]),
    ],
    key: &["shop_id", "baseline_day"],
    reads: &[read(&SHOP_DAILY, Span::SixMonths)],
    snapshots: &[CampaignShops],
    ..Table::of(Window(GmvBaseline))
};

pub static STOCK_STATUS: Table = Table {
    grain: "each SKU of inventory",
    columns: &[
        SHOP_ID.from(&[Export(Snapshot(Inventory), &["shop_id"])]),
        id("product_id").from(&[Export(Snapshot(Inventory), &["product_id"])]),
        id("sku_id").from(&[Export(Snapshot(Inventory), &["sku_id"])]),
        IS_CAMPAIGN_PRODUCT,
        count("available_quantity", "items")
            .formula("of inventory, at the end of D")
            .from(&[Export(Snapshot(Inventory), &["available_quantity"])]),
        mean("daily_sales", "items per day")
            .formula(
                "the greater of mean items_sold per published day over [D-6, D] and over [D-29, D], a day without \
                 sales counting 0",
            )
            .from(&[
                Published(Rollup(SkuDaily), &["items_sold"]),
                Published(Rollup(ShopDaily), &[]),
            ]),
        mean("days_of_cover", "days")
            .formula("available_quantity / daily_sales")
            .null("no recent sales")
            .from(&[Own(&["available_quantity", "daily_sales"])]),
        count("horizon_days", "days")
            .formula(
                "7; for a product of a campaign of D with last_day > D the lesser of 7 and last_day - D, the shortest \
                 of its campaigns",
            )
            .from(&[
                Export(Snapshot(CampaignProducts), &["campaign_id", "shop_id", "product_id"]),
                Export(Snapshot(Campaigns), &["campaign_id", "last_day"]),
            ]),
        text("stock_status")
            .formula(
                "OUT_OF_STOCK (available 0), else NO_RECENT_SALES (daily_sales 0), else AT_RISK (days_of_cover < \
                 horizon_days, exactly), else SUFFICIENT",
            )
            .from(&[Own(&["available_quantity", "daily_sales", "horizon_days"])]),
    ],
    key: &["shop_id", "product_id", "sku_id"],
    reads: &[
        read(&SHOP_DAILY, Span::Trailing(LONG_WINDOW_DAYS)),
        read(&SKU_DAILY, Span::Trailing(LONG_WINDOW_DAYS)),
    ],
    snapshots: &[Inventory, Campaigns, CampaignProducts],
    needs: &[Inventory],
    version: 2,
    ..Table::of(Window(StockStatus))
};

pub static SHOP_TIER: Table = Table {
    grain: "each shop of shop_daily at D",
    columns: &[
        SHOP_ID.from(&[Published(Rollup(ShopDaily), &["shop_id"])]),
        CATEGORY.same_as_in(Rollup(ShopDaily)),
        money("trailing_gmv")
            .formula("sum of gmv over [D-29, D]")
            .from(&[Published(Rollup(ShopDaily), &["gmv"])]),
        count("observed_days", "days")
            .formula("published days in [D-29, D]")
            .from(&[Published(Rollup(ShopDaily), &[])]),
        text("tier")
            .formula("the highest configured tier whose min_gmv <= trailing_gmv")
            .from(&[
                Own(&["trailing_gmv"]),
                Setting(&["tier.name", "tier.min_gmv"]),
            ]),
    ],
    key: &["shop_id"],
    reads: &[read(&SHOP_DAILY, Span::Trailing(LONG_WINDOW_DAYS))],
    ..Table::of(Window(ShopTier))
};
