//! The daily tables (SPEC.md section 3.1).

use super::shared::*;
use crate::contracts::column::Source::{Export, Own};
use crate::contracts::column::{count, id, instant, money, text};
use crate::contracts::ids::DatasetId::{Snapshot, Stream};
use crate::contracts::ids::RollupId::*;
use crate::contracts::ids::SnapshotId::{
    AdHours, CampaignProducts, Campaigns, Contents, Shops, SubCampaigns,
};
use crate::contracts::ids::StreamId::{OrderLines, ProductTraffic};
use crate::contracts::ids::TableId::Rollup;
use crate::contracts::table::{Table, Total};

pub static SHOP_DAILY: Table = Table {
    grain: "every shop in shops or with a used row in order_lines or product_traffic",
    columns: &[
        SHOP_ID,
        CATEGORY,
        GMV,
        GMV_LIVE,
        GMV_VIDEO,
        GMV_PRODUCT_CARD,
        ORDERS,
        SKU_ORDERS,
        ITEMS_SOLD,
        count("customers", "users")
            .formula("distinct buyer_id")
            .from(&[Export(Stream(OrderLines), &["buyer_id"])]),
        AVG_ORDER_VALUE,
        CONTRIBUTION_PRODUCT,
        CONTRIBUTION_SHIPPING,
        ESTIMATED_CONTRIBUTION,
        PRODUCT_IMPRESSIONS,
        PRODUCT_CLICKS,
        PAGE_VIEWS,
        ADD_TO_CARTS,
        count("unique_reach", "users")
            .formula("distinct users with any impression")
            .from(&[Export(Stream(ProductTraffic), &["user_id", "impressions"])]),
        count("unique_clicks", "users")
            .formula("distinct users with any click")
            .from(&[Export(Stream(ProductTraffic), &["user_id", "clicks"])]),
        UNIQUE_PAGE_VIEWERS,
        UNIQUE_CART_ADDERS
            .formula("distinct users with any page view and any add-to-cart in this shop"),
        CTR,
        CTOR,
        ADD_TO_CART_RATE,
        CREATOR_NEW_VIDEOS,
        CREATOR_NEW_LIVES,
        SELLER_NEW_VIDEOS,
        SELLER_NEW_LIVES,
        AD_SPEND,
        AD_GROSS_REVENUE,
        AD_ROI.needs(AdHours, "no or unknown ad spend"),
    ],
    key: &["shop_id"],
    snapshots: &[Shops, Contents, AdHours],
    reconciled: &[
        Total::Gmv,
        Total::SkuOrders,
        Total::ItemsSold,
        Total::ProductImpressions,
        Total::ProductClicks,
    ],
    version: 2,
    ..Table::of(Rollup(ShopDaily))
};

pub static CHANNEL_DAILY: Table = Table {
    grain: "each (shop, channel) with a used row in order_lines or product_traffic",
    columns: &[
        SHOP_ID.from(&[
            Export(Stream(OrderLines), &["shop_id"]),
            Export(Stream(ProductTraffic), &["shop_id"]),
        ]),
        text("channel").formula("as exported").from(&[
            Export(Stream(OrderLines), &["channel"]),
            Export(Stream(ProductTraffic), &["channel"]),
        ]),
        PRODUCT_IMPRESSIONS,
        PRODUCT_CLICKS,
        SKU_ORDERS,
        GMV,
        IMPRESSION_SHARE,
        CTR,
        CTOR,
    ],
    key: &["shop_id", "channel"],
    reconciled: &[
        Total::Gmv,
        Total::SkuOrders,
        Total::ProductImpressions,
        Total::ProductClicks,
    ],
    version: 2,
    ..Table::of(Rollup(ChannelDaily))
};

pub static PRODUCT_DAILY: Table = Table {
    grain: "each (shop, product) with a used row in order_lines or product_traffic",
    columns: &[
        SHOP_ID.from(&[
            Export(Stream(OrderLines), &["shop_id"]),
            Export(Stream(ProductTraffic), &["shop_id"]),
        ]),
        id("product_id").from(&[
            Export(Stream(OrderLines), &["product_id"]),
            Export(Stream(ProductTraffic), &["product_id"]),
        ]),
        IS_CAMPAIGN_PRODUCT,
        PRODUCT_IMPRESSIONS,
        PRODUCT_CLICKS,
        PAGE_VIEWS,
        ADD_TO_CARTS,
        UNIQUE_PAGE_VIEWERS,
        UNIQUE_CART_ADDERS
            .formula("distinct users with any page view and any add-to-cart of this product"),
        ADD_TO_CART_RATE,
        ORDERS,
        SKU_ORDERS,
        ITEMS_SOLD,
        GMV,
        CTR,
        CTOR,
    ],
    key: &["shop_id", "product_id"],
    snapshots: &[Campaigns, CampaignProducts],
    reconciled: &[
        Total::Gmv,
        Total::SkuOrders,
        Total::ItemsSold,
        Total::ProductImpressions,
        Total::ProductClicks,
    ],
    version: 2,
    ..Table::of(Rollup(ProductDaily))
};

pub static SKU_DAILY: Table = Table {
    grain: "each SKU sold",
    columns: &[
        SHOP_ID.from(&[Export(Stream(OrderLines), &["shop_id"])]),
        id("product_id").from(&[Export(Stream(OrderLines), &["product_id"])]),
        id("sku_id").from(&[Export(Stream(OrderLines), &["sku_id"])]),
        ITEMS_SOLD,
        GMV,
    ],
    key: &["shop_id", "product_id", "sku_id"],
    reconciled: &[Total::Gmv, Total::ItemsSold],
    version: 2,
    ..Table::of(Rollup(SkuDaily))
};

pub static CONTENT_DAILY: Table = Table {
    grain: "each row of contents",
    columns: &[
        SHOP_ID.from(&[Export(Snapshot(Contents), &["shop_id"])]),
        id("content_id").from(&[Export(Snapshot(Contents), &["content_id"])]),
        CONTENT_TYPE,
        ACCOUNT_TYPE,
        CREATOR_HANDLE,
        TITLE,
        PUBLISHED_AT,
        VIEWS,
        HAS_VIOLATION,
        IS_KEY_LIVE,
        PRODUCT_IMPRESSIONS
            .formula("sum of impressions of traffic rows with this shop and content")
            .from(&[Export(
                Stream(ProductTraffic),
                &["impressions", "content_id"],
            )]),
        PRODUCT_CLICKS
            .formula("sum of clicks of traffic rows with this shop and content")
            .from(&[Export(Stream(ProductTraffic), &["clicks", "content_id"])]),
        ORDERS
            .formula("distinct order_id of order lines with this shop and content")
            .from(&[Export(Stream(OrderLines), &["order_id", "content_id"])]),
        SKU_ORDERS
            .formula("order lines with this shop and content")
            .from(&[Export(Stream(OrderLines), &["content_id"])]),
        ITEMS_SOLD.from(&[Export(Stream(OrderLines), &["quantity", "content_id"])]),
        GMV.from(&[Export(
            Stream(OrderLines),
            &["sub_total", "shipping_fee", "content_id"],
        )]),
        CTR,
        CTOR,
        GPM,
        GMV_SHARE.from(&[
            Own(&["gmv"]),
            Export(Stream(OrderLines), &["sub_total", "shipping_fee"]),
        ]),
        GMV_RANK
            .formula("1 = highest gmv within shop and content_type; ties by smaller content_id")
            .from(&[Own(&["gmv", "content_type", "content_id"])]),
    ],
    key: &["shop_id", "content_id"],
    snapshots: &[Contents],
    needs: &[Contents],
    version: 2,
    ..Table::of(Rollup(ContentDaily))
};

pub static SUB_CAMPAIGN_DAILY: Table = Table {
    grain: "each (shop, sub-campaign) with an order line whose sub-campaign is in sub_campaigns",
    columns: &[
        SHOP_ID.from(&[Export(Stream(OrderLines), &["shop_id"])]),
        id("sub_campaign_id").from(&[
            Export(Stream(OrderLines), &["sub_campaign_id"]),
            Export(Snapshot(SubCampaigns), &["sub_campaign_id"]),
        ]),
        CAMPAIGN_ID
            .formula("of sub_campaigns")
            .from(&[Export(Snapshot(SubCampaigns), &["campaign_id"])]),
        text("sub_campaign_name").from(&[Export(Snapshot(SubCampaigns), &["sub_campaign_name"])]),
        ORDERS,
        SKU_ORDERS,
        ITEMS_SOLD,
        GMV,
        GMV_RANK
            .formula("1 = highest gmv within shop and campaign; ties by smaller sub_campaign_id")
            .from(&[Own(&["gmv", "campaign_id", "sub_campaign_id"])]),
    ],
    key: &["shop_id", "sub_campaign_id"],
    snapshots: &[SubCampaigns],
    needs: &[SubCampaigns],
    version: 2,
    ..Table::of(Rollup(SubCampaignDaily))
};

pub static AD_HOURLY: Table = Table {
    grain: "each hour with a row of the shop's primary ad account",
    columns: &[
        SHOP_ID.from(&[
            Export(Snapshot(AdHours), &["shop_id", "ad_account_id"]),
            Export(Snapshot(Shops), &["primary_ad_account_id"]),
        ]),
        instant("hour_start").from(&[Export(Snapshot(AdHours), &["hour_start"])]),
        count("local_hour", "hours")
            .formula("whole hours since the day's first instant")
            .from(&[Own(&["hour_start"])]),
        money("ad_spend")
            .formula("spend of the primary ad account")
            .from(&[Export(Snapshot(AdHours), &["spend"])]),
        money("ad_gross_revenue")
            .formula("gross_revenue of the primary ad account")
            .from(&[Export(Snapshot(AdHours), &["gross_revenue"])]),
        AD_ROI.null("no ad spend"),
    ],
    key: &["shop_id", "hour_start"],
    snapshots: &[AdHours, Shops],
    needs: &[AdHours],
    version: 2,
    ..Table::of(Rollup(AdHourly))
};
