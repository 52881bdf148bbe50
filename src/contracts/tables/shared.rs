//! Columns that several result tables share, each described once.

use crate::contracts::column::Source::{Export, Own};
use crate::contracts::column::{Column, Kind, Source, count, flag, id, instant, money, text};
use crate::contracts::ids::DatasetId::{Snapshot, Stream};
use crate::contracts::ids::SnapshotId::{AdHours, CampaignProducts, Campaigns, Contents, Shops};
use crate::contracts::ids::StreamId::{OrderLines, ProductTraffic};
use crate::contracts::ids::TableId;

pub(super) const fn fraction(name: &'static str) -> Column {
    Column::new(name, Kind::Double, "fraction (0.25 is 25 %)")
}
pub(super) const fn percent(name: &'static str) -> Column {
    Column::new(name, Kind::Double, "percent (25.0 is 25 %)")
}
pub(super) const fn mean(name: &'static str, unit: &'static str) -> Column {
    Column::new(name, Kind::Double, unit)
}
/// The sum of a daily table's column over the published days of the period. A day with null is left
/// out.
pub(super) const fn summed(daily: TableId, column: Column) -> Column {
    Column {
        formula: "sum of the daily values over the published days of the period",
        needs: None,
        ..column.same_as_in(daily)
    }
}
/// A sum of values that are null on some days.
pub(super) const fn summed_if_known(daily: TableId, column: Column) -> Column {
    summed(daily, column).null("null on every day of the period")
}

pub(super) const SHOP_ID: Column = id("shop_id").from(&[
    Export(Snapshot(Shops), &["shop_id"]),
    Export(Stream(OrderLines), &["shop_id"]),
    Export(Stream(ProductTraffic), &["shop_id"]),
]);
pub(super) const CATEGORY: Column = text("category")
    .formula("of shops")
    .null("the shop has no category, or is not in shops")
    .from(&[Export(Snapshot(Shops), &["category"])]);
pub(super) const GMV: Column = money("gmv")
    .formula("sum of sub_total + shipping_fee; cancelled and refunded orders stay in")
    .from(&[Export(Stream(OrderLines), &["sub_total", "shipping_fee"])]);
const GMV_OF_CHANNEL: &[Source] = &[Export(
    Stream(OrderLines),
    &["sub_total", "shipping_fee", "channel"],
)];
pub(super) const GMV_LIVE: Column = money("gmv_live")
    .formula("gmv of channel LIVE")
    .from(GMV_OF_CHANNEL);
pub(super) const GMV_VIDEO: Column = money("gmv_video")
    .formula("gmv of channel VIDEO")
    .from(GMV_OF_CHANNEL);
pub(super) const GMV_PRODUCT_CARD: Column = money("gmv_product_card")
    .formula("gmv of every other channel; live + video + product card = gmv")
    .from(GMV_OF_CHANNEL);
pub(super) const ORDERS: Column = count("orders", "orders")
    .formula("distinct order_id")
    .from(&[Export(Stream(OrderLines), &["order_id"])]);
pub(super) const SKU_ORDERS: Column = count("sku_orders", "order lines")
    .formula("order lines")
    .from(&[Export(Stream(OrderLines), &[])]);
pub(super) const ITEMS_SOLD: Column = count("items_sold", "items")
    .formula("sum of quantity")
    .from(&[Export(Stream(OrderLines), &["quantity"])]);
pub(super) const AVG_ORDER_VALUE: Column = mean("avg_order_value", "money per order")
    .formula("gmv / orders")
    .null("no orders")
    .from(&[Own(&["gmv", "orders"])]);
pub(super) const CONTRIBUTION_PRODUCT: Column = money("contribution_product")
    .formula("sum of platform_discount")
    .from(&[Export(Stream(OrderLines), &["platform_discount"])]);
pub(super) const CONTRIBUTION_SHIPPING: Column = money("contribution_shipping")
    .formula("sum of shipping_platform_discount")
    .from(&[Export(Stream(OrderLines), &["shipping_platform_discount"])]);
pub(super) const ESTIMATED_CONTRIBUTION: Column = money("estimated_tiktok_contribution")
    .formula("contribution_product + contribution_shipping; an estimate before settlement")
    .from(&[Own(&["contribution_product", "contribution_shipping"])]);
pub(super) const PRODUCT_IMPRESSIONS: Column = count("product_impressions", "impressions")
    .formula("sum of impressions")
    .from(&[Export(Stream(ProductTraffic), &["impressions"])]);
pub(super) const PRODUCT_CLICKS: Column = count("product_clicks", "clicks")
    .formula("sum of clicks")
    .from(&[Export(Stream(ProductTraffic), &["clicks"])]);
pub(super) const PAGE_VIEWS: Column = count("page_views", "page views")
    .formula("sum of page_views")
    .from(&[Export(Stream(ProductTraffic), &["page_views"])]);
pub(super) const ADD_TO_CARTS: Column = count("add_to_carts", "add-to-carts")
    .formula("sum of add_to_carts")
    .from(&[Export(Stream(ProductTraffic), &["add_to_carts"])]);
pub(super) const CTR: Column = fraction("ctr")
    .formula("product_clicks / product_impressions")
    .null("no impressions")
    .from(&[Own(&["product_clicks", "product_impressions"])]);
pub(super) const CTOR: Column = fraction("ctor")
    .formula("sku_orders / product_clicks")
    .null("no clicks")
    .from(&[Own(&["sku_orders", "product_clicks"])]);
pub(super) const UNIQUE_PAGE_VIEWERS: Column = count("unique_page_viewers", "users")
    .formula("distinct users with any page view")
    .from(&[Export(Stream(ProductTraffic), &["user_id", "page_views"])]);
pub(super) const UNIQUE_CART_ADDERS: Column = count("unique_cart_adders", "users").from(&[Export(
    Stream(ProductTraffic),
    &["user_id", "page_views", "add_to_carts"],
)]);
pub(super) const ADD_TO_CART_RATE: Column = fraction("add_to_cart_rate")
    .formula("unique_cart_adders / unique_page_viewers")
    .null("no page viewers")
    .from(&[Own(&["unique_cart_adders", "unique_page_viewers"])]);
/// The rate from columns of a daily table that the table of the period does not have.
pub(super) const fn add_to_cart_rate_of_period(daily: &'static [Source]) -> Column {
    ADD_TO_CART_RATE
        .formula("sum of daily unique_cart_adders / sum of daily unique_page_viewers")
        .from(daily)
}
pub(super) const IMPRESSION_SHARE: Column = fraction("impression_share")
    .formula("product_impressions / the shop's product_impressions")
    .null("the shop has no impressions")
    .from(&[Own(&["product_impressions"])]);
const NO_CONTENTS: &str = "the contents export is absent";
const NEW_CONTENTS: &[Source] = &[Export(
    Snapshot(Contents),
    &["content_type", "account_type", "published_at"],
)];
pub(super) const CREATOR_NEW_VIDEOS: Column = count("creator_new_videos", "contents")
    .formula("contents of type VIDEO published within the day by AFFILIATE_ACCOUNTS")
    .needs(Contents, NO_CONTENTS)
    .from(NEW_CONTENTS);
pub(super) const CREATOR_NEW_LIVES: Column = count("creator_new_lives", "contents")
    .formula("contents of type LIVE published within the day by AFFILIATE_ACCOUNTS")
    .needs(Contents, NO_CONTENTS)
    .from(NEW_CONTENTS);
pub(super) const SELLER_NEW_VIDEOS: Column = count("seller_new_videos", "contents")
    .formula("contents of type VIDEO published within the day by OFFICIAL_ACCOUNTS and MARKETING_ACCOUNTS")
    .needs(Contents, NO_CONTENTS)
    .from(NEW_CONTENTS);
pub(super) const SELLER_NEW_LIVES: Column = count("seller_new_lives", "contents")
    .formula("contents of type LIVE published within the day by OFFICIAL_ACCOUNTS and MARKETING_ACCOUNTS")
    .needs(Contents, NO_CONTENTS)
    .from(NEW_CONTENTS);
const NO_AD_HOURS: &str = "the ad_hours export is absent, or the shop is not in shops";
pub(super) const AD_SPEND: Column = money("ad_spend")
    .formula("sum of spend over the shop's primary ad account; 0 where it has none or no row of it")
    .needs(AdHours, NO_AD_HOURS)
    .from(&[
        Export(Snapshot(AdHours), &["spend"]),
        Export(Snapshot(Shops), &["primary_ad_account_id"]),
    ]);
pub(super) const AD_GROSS_REVENUE: Column = money("ad_gross_revenue")
    .formula(
        "sum of gross_revenue over the shop's primary ad account; overlaps gmv, never add them",
    )
    .needs(AdHours, NO_AD_HOURS)
    .from(&[
        Export(Snapshot(AdHours), &["gross_revenue"]),
        Export(Snapshot(Shops), &["primary_ad_account_id"]),
    ]);
pub(super) const AD_ROI: Column = Column::new("ad_roi", Kind::Double, "ratio")
    .formula("ad_gross_revenue / ad_spend")
    .null("no or unknown ad spend")
    .from(&[Own(&["ad_gross_revenue", "ad_spend"])]);
pub(super) const CONTENT_TYPE: Column = text("content_type")
    .formula("VIDEO or LIVE")
    .from(&[Export(Snapshot(Contents), &["content_type"])]);
pub(super) const ACCOUNT_TYPE: Column = text("account_type")
    .formula("OFFICIAL_ACCOUNTS, MARKETING_ACCOUNTS or AFFILIATE_ACCOUNTS")
    .from(&[Export(Snapshot(Contents), &["account_type"])]);
pub(super) const CREATOR_HANDLE: Column =
    text("creator_handle").from(&[Export(Snapshot(Contents), &["creator_handle"])]);
pub(super) const TITLE: Column = text("title")
    .null("untitled")
    .from(&[Export(Snapshot(Contents), &["title"])]);
pub(super) const PUBLISHED_AT: Column =
    instant("published_at").from(&[Export(Snapshot(Contents), &["published_at"])]);
pub(super) const VIEWS: Column = count("views", "views")
    .null("not known")
    .from(&[Export(Snapshot(Contents), &["views"])]);
pub(super) const HAS_VIOLATION: Column =
    flag("has_violation").from(&[Export(Snapshot(Contents), &["has_violation"])]);
pub(super) const IS_KEY_LIVE: Column =
    flag("is_key_live").from(&[Export(Snapshot(Contents), &["is_key_live"])]);
pub(super) const GPM: Column = mean("gpm", "money per 1000 views")
    .formula("gmv / views * 1000")
    .null("views are 0 or not known")
    .from(&[Own(&["gmv", "views"])]);
pub(super) const GMV_SHARE: Column = fraction("gmv_share")
    .formula("gmv / the shop's gmv")
    .null("the shop has no gmv");
pub(super) const GMV_RANK: Column = count("gmv_rank", "rank").from(&[Own(&["gmv"])]);
pub(super) const CAMPAIGN_ID: Column = id("campaign_id");
/// For a table with one row for each (shop, product).
pub(super) const IS_CAMPAIGN_PRODUCT: Column = flag("is_campaign_product")
    .formula("shop and product in campaign_products of a campaign of the day")
    .needs(CampaignProducts, "the campaign_products export is absent")
    .from(&[
        Export(Snapshot(CampaignProducts), &["shop_id", "product_id"]),
        Export(Snapshot(Campaigns), &["first_day", "last_day"]),
    ]);
