//! The ten export datasets (SPEC.md section 2).

use super::column::{Column, Kind, count, day, flag, id, instant, money, text};
use super::dataset::{Dataset, Follows, Reason, Rule, WithoutRows};
use super::ids::{DatasetId, SnapshotId, StreamId};

const ABSENT: &str = "none or unknown";

pub static ORDER_LINES: Dataset = Dataset {
    grain: "one paid (order, SKU)",
    columns: &[
        id("order_id"),
        id("sku_id"),
        id("product_id"),
        id("shop_id"),
        id("buyer_id"),
        instant("paid_at"),
        Column::new("quantity", Kind::Int32, "items"),
        money("sub_total"),
        money("shipping_fee"),
        money("platform_discount"),
        money("shipping_platform_discount"),
        text("channel"),
        id("content_id").null("not sold through a content"),
        id("sub_campaign_id").null("not part of a sub-campaign"),
    ],
    key: &["order_id", "sku_id"],
    rules: &[
        Rule::NotTooLarge {
            columns: &[
                "sub_total",
                "shipping_fee",
                "platform_discount",
                "shipping_platform_discount",
            ],
        },
        Rule::AtLeast {
            columns: &["quantity"],
            least: 1,
            reason: Reason::BadQuantity,
        },
        Rule::AtLeast {
            columns: &[
                "sub_total",
                "shipping_fee",
                "platform_discount",
                "shipping_platform_discount",
            ],
            least: 0,
            reason: Reason::NegativeMoney,
        },
        Rule::InsideDay { column: "paid_at" },
        Rule::NotEmpty {
            column: "channel",
            reason: Reason::BadChannel,
        },
    ],
    always_required: true,
    without_rows: WithoutRows::BlocksUnlessAllowed,
    ..Dataset::of(DatasetId::Stream(StreamId::OrderLines))
};

pub static PRODUCT_TRAFFIC: Dataset = Dataset {
    grain: "what one user did with one product through one channel (one row or several)",
    columns: &[
        id("shop_id"),
        id("product_id"),
        id("user_id"),
        text("channel"),
        id("content_id").null("not through a content"),
        Column::new("impressions", Kind::Int32, "impressions"),
        Column::new("clicks", Kind::Int32, "clicks"),
        Column::new("page_views", Kind::Int32, "page views"),
        Column::new("add_to_carts", Kind::Int32, "add-to-carts"),
    ],
    rules: &[
        Rule::AtLeast {
            columns: &["impressions", "clicks", "page_views", "add_to_carts"],
            least: 0,
            reason: Reason::NegativeCount,
        },
        Rule::NotEmpty {
            column: "channel",
            reason: Reason::BadChannel,
        },
    ],
    always_required: true,
    without_rows: WithoutRows::BlocksUnlessAllowed,
    ..Dataset::of(DatasetId::Stream(StreamId::ProductTraffic))
};

pub static CONTENTS: Dataset = Dataset {
    grain: "one video or LIVE and shop whose products it shows, published or active that day",
    columns: &[
        id("content_id"),
        id("shop_id"),
        text("content_type"),
        text("account_type"),
        text("creator_handle"),
        text("title").null("untitled"),
        instant("published_at"),
        count("views", "views").null("not known"),
        flag("has_violation"),
        flag("is_key_live"),
    ],
    key: &["shop_id", "content_id"],
    rules: &[
        Rule::NotTooLarge {
            columns: &["views"],
        },
        Rule::OneOf {
            column: "content_type",
            values: &[VIDEO, LIVE],
        },
        Rule::OneOf {
            column: "account_type",
            values: &[OFFICIAL_ACCOUNTS, MARKETING_ACCOUNTS, AFFILIATE_ACCOUNTS],
        },
        Rule::AtLeast {
            columns: &["views"],
            least: 0,
            reason: Reason::NegativeCount,
        },
    ],
    ..Dataset::of(DatasetId::Snapshot(SnapshotId::Contents))
};

/// Values of `contents.content_type`, and of the two channels with a gmv column of their own.
pub const LIVE: &str = "LIVE";
pub const VIDEO: &str = "VIDEO";
/// Values of `contents.account_type`: two of the seller, and one of a creator.
pub const OFFICIAL_ACCOUNTS: &str = "OFFICIAL_ACCOUNTS";
pub const MARKETING_ACCOUNTS: &str = "MARKETING_ACCOUNTS";
pub const AFFILIATE_ACCOUNTS: &str = "AFFILIATE_ACCOUNTS";

pub static AD_HOURS: Dataset = Dataset {
    grain: "one ad account, shop and hour",
    columns: &[
        id("ad_account_id"),
        id("shop_id"),
        instant("hour_start"),
        money("spend"),
        money("gross_revenue"),
    ],
    key: &["ad_account_id", "shop_id", "hour_start"],
    rules: &[
        Rule::NotTooLarge {
            columns: &["spend", "gross_revenue"],
        },
        Rule::AtLeast {
            columns: &["spend", "gross_revenue"],
            least: 0,
            reason: Reason::NegativeMoney,
        },
        Rule::InsideDay {
            column: "hour_start",
        },
    ],
    scoped_by: Some(SnapshotId::Shops),
    ..Dataset::of(DatasetId::Snapshot(SnapshotId::AdHours))
};

pub static SHOPS: Dataset = Dataset {
    grain: "one shop, snapshot at the end of the day",
    columns: &[
        id("shop_id"),
        text("shop_name"),
        text("category")
            .null("not categorised; an empty text is read as null")
            .empty_is_null(),
        id("primary_ad_account_id").null("has no ad account"),
    ],
    key: &["shop_id"],
    always_required: true,
    without_rows: WithoutRows::Blocks,
    follows: Follows::Neither,
    ..Dataset::of(DatasetId::Snapshot(SnapshotId::Shops))
};

pub static INVENTORY: Dataset = Dataset {
    grain: "one SKU, snapshot at the end of the day",
    columns: &[
        id("shop_id"),
        id("product_id"),
        id("sku_id"),
        count("available_quantity", "items"),
    ],
    key: &["shop_id", "product_id", "sku_id"],
    rules: &[
        Rule::NotTooLarge {
            columns: &["available_quantity"],
        },
        Rule::AtLeast {
            columns: &["available_quantity"],
            least: 0,
            reason: Reason::NegativeCount,
        },
    ],
    follows: Follows::Neither,
    ..Dataset::of(DatasetId::Snapshot(SnapshotId::Inventory))
};

pub static CAMPAIGNS: Dataset = Dataset {
    grain: "one campaign",
    columns: &[
        id("campaign_id"),
        text("campaign_name"),
        day("first_day"),
        day("last_day"),
    ],
    key: &["campaign_id"],
    rules: &[Rule::Ordered {
        first: "first_day",
        last: "last_day",
    }],
    always_required: true,
    follows: Follows::Neither,
    ..Dataset::of(DatasetId::Snapshot(SnapshotId::Campaigns))
};

pub static CAMPAIGN_SHOPS: Dataset = Dataset {
    grain: "one registration",
    columns: &[
        id("campaign_id"),
        id("shop_id"),
        money("target_gmv").null(ABSENT),
    ],
    key: &["campaign_id", "shop_id"],
    rules: &[
        Rule::NotTooLarge {
            columns: &["target_gmv"],
        },
        Rule::AtLeast {
            columns: &["target_gmv"],
            least: 0,
            reason: Reason::NegativeMoney,
        },
    ],
    always_required: true,
    scoped_by: Some(SnapshotId::Campaigns),
    follows: Follows::Campaigns,
    ..Dataset::of(DatasetId::Snapshot(SnapshotId::CampaignShops))
};

pub static CAMPAIGN_PRODUCTS: Dataset = Dataset {
    grain: "one campaign product",
    columns: &[id("campaign_id"), id("shop_id"), id("product_id")],
    key: &["campaign_id", "shop_id", "product_id"],
    scoped_by: Some(SnapshotId::Campaigns),
    follows: Follows::Campaigns,
    ..Dataset::of(DatasetId::Snapshot(SnapshotId::CampaignProducts))
};

pub static SUB_CAMPAIGNS: Dataset = Dataset {
    grain: "one sub-campaign",
    columns: &[
        id("sub_campaign_id"),
        id("campaign_id"),
        text("sub_campaign_name"),
    ],
    key: &["sub_campaign_id"],
    follows: Follows::Campaigns,
    ..Dataset::of(DatasetId::Snapshot(SnapshotId::SubCampaigns))
};

/// Every dataset, in the order of SPEC.md.
pub static DATASETS: [&Dataset; StreamId::ALL.len() + SnapshotId::ALL.len()] = [
    &ORDER_LINES,
    &PRODUCT_TRAFFIC,
    &CONTENTS,
    &AD_HOURS,
    &SHOPS,
    &INVENTORY,
    &CAMPAIGNS,
    &CAMPAIGN_SHOPS,
    &CAMPAIGN_PRODUCTS,
    &SUB_CAMPAIGNS,
];

/// The dataset with this name; `None` when there is none.
pub fn dataset(name: &str) -> Option<&'static Dataset> {
    DATASETS.into_iter().find(|d| d.name == name)
}
