//! The nineteen result tables (SPEC.md sections 3, 4 and 5).

use super::{Column, Kind, Stage, Table, count, day, flag, id, instant, money, text};

const fn fraction(name: &'static str) -> Column {
    Column::new(name, Kind::Double, "fraction (0.25 is 25 %)")
}
const fn percent(name: &'static str) -> Column {
    Column::new(name, Kind::Double, "percent (25.0 is 25 %)")
}
const fn mean(name: &'static str, unit: &'static str) -> Column {
    Column::new(name, Kind::Double, unit)
}
/// The sum over the published days of the period; null on a day leaves that day out.
const fn summed(column: Column) -> Column {
    Column {
        formula: "sum of the daily values over the published days of the period",
        ..column
    }
}

// Columns that several tables share, each described once.
const SHOP_ID: Column = id("shop_id");
const CATEGORY: Column = text("category")
    .formula("of shops")
    .null("the shop has no category, or is not in shops");
const GMV: Column =
    money("gmv").formula("sum of sub_total + shipping_fee; cancelled and refunded orders stay in");
const GMV_LIVE: Column = money("gmv_live").formula("gmv of channel LIVE");
const GMV_VIDEO: Column = money("gmv_video").formula("gmv of channel VIDEO");
const GMV_PRODUCT_CARD: Column = money("gmv_product_card")
    .formula("gmv of every other channel; live + video + product card = gmv");
const ORDERS: Column = count("orders", "orders").formula("distinct order_id");
const SKU_ORDERS: Column = count("sku_orders", "order lines").formula("order lines");
const ITEMS_SOLD: Column = count("items_sold", "items").formula("sum of quantity");
const AVG_ORDER_VALUE: Column = mean("avg_order_value", "money per order")
    .formula("gmv / orders")
    .null("no orders");
const CONTRIBUTION_PRODUCT: Column =
    money("contribution_product").formula("sum of platform_discount");
const CONTRIBUTION_SHIPPING: Column =
    money("contribution_shipping").formula("sum of shipping_platform_discount");
const ESTIMATED_CONTRIBUTION: Column = money("estimated_tiktok_contribution")
    .formula("contribution_product + contribution_shipping; an estimate before settlement");
const PRODUCT_IMPRESSIONS: Column =
    count("product_impressions", "impressions").formula("sum of impressions");
const PRODUCT_CLICKS: Column = count("product_clicks", "clicks").formula("sum of clicks");
const PAGE_VIEWS: Column = count("page_views", "page views").formula("sum of page_views");
const ADD_TO_CARTS: Column = count("add_to_carts", "add-to-carts").formula("sum of add_to_carts");
const CTR: Column = fraction("ctr")
    .formula("product_clicks / product_impressions")
    .null("no impressions");
const CTOR: Column = fraction("ctor")
    .formula("sku_orders / product_clicks")
    .null("no clicks");
const UNIQUE_PAGE_VIEWERS: Column =
    count("unique_page_viewers", "users").formula("distinct users with any page view");
const ADD_TO_CART_RATE: Column = fraction("add_to_cart_rate")
    .formula("unique_cart_adders / unique_page_viewers")
    .null("no page viewers");
const ADD_TO_CART_RATE_PERIOD: Column = fraction("add_to_cart_rate")
    .formula("sum of daily unique_cart_adders / sum of daily unique_page_viewers")
    .null("no page viewers");
const IMPRESSION_SHARE: Column = fraction("impression_share")
    .formula("product_impressions / the shop's product_impressions")
    .null("the shop has no impressions");
const NO_CONTENTS: &str = "the contents export is absent";
const CREATOR_NEW_VIDEOS: Column = count("creator_new_videos", "contents")
    .formula("contents of type VIDEO published within the day by AFFILIATE_ACCOUNTS")
    .null(NO_CONTENTS);
const CREATOR_NEW_LIVES: Column = count("creator_new_lives", "contents")
    .formula("contents of type LIVE published within the day by AFFILIATE_ACCOUNTS")
    .null(NO_CONTENTS);
const SELLER_NEW_VIDEOS: Column = count("seller_new_videos", "contents")
    .formula("contents of type VIDEO published within the day by OFFICIAL_ACCOUNTS and MARKETING_ACCOUNTS")
    .null(NO_CONTENTS);
const SELLER_NEW_LIVES: Column = count("seller_new_lives", "contents")
    .formula("contents of type LIVE published within the day by OFFICIAL_ACCOUNTS and MARKETING_ACCOUNTS")
    .null(NO_CONTENTS);
const NO_AD_HOURS: &str = "the ad_hours export is absent, or the shop is not in shops";
const AD_SPEND: Column = money("ad_spend")
    .formula("sum of spend over the shop's primary ad account; 0 where it has none or no row of it")
    .null(NO_AD_HOURS);
const AD_GROSS_REVENUE: Column = money("ad_gross_revenue")
    .formula(
        "sum of gross_revenue over the shop's primary ad account; overlaps gmv, never add them",
    )
    .null(NO_AD_HOURS);
const AD_ROI: Column = Column::new("ad_roi", Kind::Double, "ratio")
    .formula("ad_gross_revenue / ad_spend")
    .null("no or unknown ad spend");
const CONTENT_TYPE: Column = text("content_type").formula("VIDEO or LIVE");
const ACCOUNT_TYPE: Column =
    text("account_type").formula("OFFICIAL_ACCOUNTS, MARKETING_ACCOUNTS or AFFILIATE_ACCOUNTS");
const TITLE: Column = text("title").null("untitled");
const PUBLISHED_AT: Column = instant("published_at");
const VIEWS: Column = count("views", "views").null("not known");
const GPM: Column = mean("gpm", "money per 1000 views")
    .formula("gmv / views * 1000")
    .null("views are 0 or not known");
const GMV_SHARE: Column = fraction("gmv_share")
    .formula("gmv / the shop's gmv")
    .null("the shop has no gmv");
const GMV_RANK: Column = count("gmv_rank", "rank");
const CAMPAIGN_ID: Column = id("campaign_id");
const THROUGH_DAY: Column =
    day("through_day").formula("D, the last day of the period [campaign's first_day, D]");
const DAYS: Column =
    count("days", "days").formula("days of the period whose rollups are published");
const IS_CAMPAIGN_PRODUCT_NULL: &str = "the campaign_products export is absent";

/// SPEC.md section 3.1.
pub static SHOP_DAILY: Table = Table {
    name: "shop_daily",
    stage: Stage::Rollup,
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
        count("customers", "users").formula("distinct buyer_id"),
        AVG_ORDER_VALUE,
        CONTRIBUTION_PRODUCT,
        CONTRIBUTION_SHIPPING,
        ESTIMATED_CONTRIBUTION,
        PRODUCT_IMPRESSIONS,
        PRODUCT_CLICKS,
        PAGE_VIEWS,
        ADD_TO_CARTS,
        count("unique_reach", "users").formula("distinct users with any impression"),
        count("unique_clicks", "users").formula("distinct users with any click"),
        UNIQUE_PAGE_VIEWERS,
        count("unique_cart_adders", "users")
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
        AD_ROI,
    ],
    key: &["shop_id"],
    needs: &[],
    columns_need: &[
        (
            "contents",
            &[
                "creator_new_videos",
                "creator_new_lives",
                "seller_new_videos",
                "seller_new_lives",
            ],
        ),
        ("ad_hours", &["ad_spend", "ad_gross_revenue", "ad_roi"]),
    ],
    version: 2,
};

pub static CHANNEL_DAILY: Table = Table {
    name: "channel_daily",
    stage: Stage::Rollup,
    grain: "each (shop, channel) with a used row in order_lines or product_traffic",
    columns: &[
        SHOP_ID,
        text("channel").formula("as exported"),
        PRODUCT_IMPRESSIONS,
        PRODUCT_CLICKS,
        SKU_ORDERS,
        GMV,
        IMPRESSION_SHARE,
        CTR,
        CTOR,
    ],
    key: &["shop_id", "channel"],
    needs: &[],
    columns_need: &[],
    version: 2,
};

pub static PRODUCT_DAILY: Table = Table {
    name: "product_daily",
    stage: Stage::Rollup,
    grain: "each (shop, product) with a used row in order_lines or product_traffic",
    columns: &[
        SHOP_ID,
        id("product_id"),
        flag("is_campaign_product")
            .formula("shop and product in campaign_products of a campaign of the day")
            .null(IS_CAMPAIGN_PRODUCT_NULL),
        PRODUCT_IMPRESSIONS,
        PRODUCT_CLICKS,
        PAGE_VIEWS,
        ADD_TO_CARTS,
        UNIQUE_PAGE_VIEWERS,
        count("unique_cart_adders", "users")
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
    needs: &[],
    columns_need: &[("campaign_products", &["is_campaign_product"])],
    version: 2,
};

pub static SKU_DAILY: Table = Table {
    name: "sku_daily",
    stage: Stage::Rollup,
    grain: "each SKU sold",
    columns: &[SHOP_ID, id("product_id"), id("sku_id"), ITEMS_SOLD, GMV],
    key: &["shop_id", "product_id", "sku_id"],
    needs: &[],
    columns_need: &[],
    version: 2,
};

pub static CONTENT_DAILY: Table = Table {
    name: "content_daily",
    stage: Stage::Rollup,
    grain: "each row of contents",
    columns: &[
        SHOP_ID,
        id("content_id"),
        CONTENT_TYPE,
        ACCOUNT_TYPE,
        text("creator_handle"),
        TITLE,
        PUBLISHED_AT,
        VIEWS,
        flag("has_violation"),
        flag("is_key_live"),
        PRODUCT_IMPRESSIONS
            .formula("sum of impressions of traffic rows with this shop and content"),
        PRODUCT_CLICKS.formula("sum of clicks of traffic rows with this shop and content"),
        ORDERS.formula("distinct order_id of order lines with this shop and content"),
        SKU_ORDERS.formula("order lines with this shop and content"),
        ITEMS_SOLD,
        GMV,
        CTR,
        CTOR,
        GPM,
        GMV_SHARE,
        GMV_RANK
            .formula("1 = highest gmv within shop and content_type; ties by smaller content_id"),
    ],
    key: &["shop_id", "content_id"],
    needs: &["contents"],
    columns_need: &[],
    version: 2,
};

pub static SUB_CAMPAIGN_DAILY: Table = Table {
    name: "sub_campaign_daily",
    stage: Stage::Rollup,
    grain: "each (shop, sub-campaign) with an order line whose sub-campaign is in sub_campaigns",
    columns: &[
        SHOP_ID,
        id("sub_campaign_id"),
        CAMPAIGN_ID.formula("of sub_campaigns"),
        text("sub_campaign_name"),
        ORDERS,
        SKU_ORDERS,
        ITEMS_SOLD,
        GMV,
        GMV_RANK
            .formula("1 = highest gmv within shop and campaign; ties by smaller sub_campaign_id"),
    ],
    key: &["shop_id", "sub_campaign_id"],
    needs: &["sub_campaigns"],
    columns_need: &[],
    version: 2,
};

pub static AD_HOURLY: Table = Table {
    name: "ad_hourly",
    stage: Stage::Rollup,
    grain: "each hour with a row of the shop's primary ad account",
    columns: &[
        SHOP_ID,
        instant("hour_start"),
        count("local_hour", "hours").formula("whole hours since the day's first instant"),
        money("ad_spend").formula("spend of the primary ad account"),
        money("ad_gross_revenue").formula("gross_revenue of the primary ad account"),
        AD_ROI.null("no ad spend"),
    ],
    key: &["shop_id", "hour_start"],
    needs: &["ad_hours"],
    columns_need: &[],
    version: 2,
};

/// SPEC.md section 3.2.
pub static SHOP_PERIOD: Table = Table {
    name: "shop_period",
    stage: Stage::Window,
    grain: "each campaign of D and shop of campaign_shops (of D) with a published shop_daily row in the period",
    columns: &[
        CAMPAIGN_ID,
        SHOP_ID,
        day("first_day").formula("the campaign's first_day"),
        THROUGH_DAY,
        DAYS,
        count("missing_days", "days").formula("days of the period whose rollups are not published"),
        count("content_days", "days").formula("published days of the period with contents"),
        count("ad_days", "days").formula("published days of the period with ad_hours"),
        CATEGORY
            .formula("the latest that is not null among the shop's rows of the period")
            .null("none in the period"),
        summed(GMV),
        summed(GMV_LIVE),
        summed(GMV_VIDEO),
        summed(GMV_PRODUCT_CARD),
        summed(ORDERS),
        summed(SKU_ORDERS),
        summed(ITEMS_SOLD),
        summed(CONTRIBUTION_PRODUCT),
        summed(CONTRIBUTION_SHIPPING),
        summed(ESTIMATED_CONTRIBUTION),
        summed(PRODUCT_IMPRESSIONS),
        summed(PRODUCT_CLICKS),
        summed(PAGE_VIEWS),
        summed(ADD_TO_CARTS),
        summed(CREATOR_NEW_VIDEOS).null("null on every day of the period"),
        summed(CREATOR_NEW_LIVES).null("null on every day of the period"),
        summed(SELLER_NEW_VIDEOS).null("null on every day of the period"),
        summed(SELLER_NEW_LIVES).null("null on every day of the period"),
        summed(AD_SPEND).null("null on every day of the period"),
        summed(AD_GROSS_REVENUE).null("null on every day of the period"),
        AVG_ORDER_VALUE,
        CTR,
        CTOR,
        AD_ROI,
        ADD_TO_CART_RATE_PERIOD,
        money("target_gmv")
            .formula("of campaign_shops of D")
            .null("no target set"),
        fraction("target_progress")
            .formula("gmv / target_gmv")
            .null("no target, or a target of 0"),
    ],
    key: &["campaign_id", "shop_id"],
    needs: &[],
    columns_need: &[],
    version: 1,
};

pub static FUNNEL_PERIOD: Table = Table {
    name: "funnel_period",
    stage: Stage::Window,
    grain: "the shops of shop_period",
    columns: &[
        CAMPAIGN_ID,
        SHOP_ID,
        THROUGH_DAY,
        DAYS,
        mean("avg_unique_reach", "users per day")
            .formula("mean over days of daily unique_reach, a day without a row counting 0"),
        mean("avg_unique_clicks", "users per day")
            .formula("mean over days of daily unique_clicks, a day without a row counting 0"),
        mean("avg_daily_customers", "users per day")
            .formula("mean over days of daily customers, a day without a row counting 0"),
        fraction("click_rate")
            .formula("avg_unique_clicks / avg_unique_reach")
            .null("no reach"),
        fraction("customer_rate")
            .formula("avg_daily_customers / avg_unique_clicks")
            .null("no clicks"),
    ],
    key: &["campaign_id", "shop_id"],
    needs: &[],
    columns_need: &[],
    version: 1,
};

pub static CHANNEL_PERIOD: Table = Table {
    name: "channel_period",
    stage: Stage::Window,
    grain: "each campaign of D, shop of shop_period and channel with a channel_daily row in the period",
    columns: &[
        CAMPAIGN_ID,
        SHOP_ID,
        text("channel").formula("as exported"),
        THROUGH_DAY,
        DAYS,
        summed(PRODUCT_IMPRESSIONS),
        summed(PRODUCT_CLICKS),
        summed(SKU_ORDERS),
        summed(GMV),
        IMPRESSION_SHARE,
        CTR,
        CTOR,
    ],
    key: &["campaign_id", "shop_id", "channel"],
    needs: &[],
    columns_need: &[],
    version: 1,
};

pub static PRODUCT_PERIOD: Table = Table {
    name: "product_period",
    stage: Stage::Window,
    grain: "each campaign of D, shop of shop_period and product with a product_daily row in the period",
    columns: &[
        CAMPAIGN_ID,
        SHOP_ID,
        id("product_id"),
        THROUGH_DAY,
        DAYS,
        flag("is_campaign_product")
            .formula("shop and product in campaign_products of D for this campaign")
            .null(IS_CAMPAIGN_PRODUCT_NULL),
        summed(PRODUCT_IMPRESSIONS),
        summed(PRODUCT_CLICKS),
        summed(PAGE_VIEWS),
        summed(ADD_TO_CARTS),
        ADD_TO_CART_RATE_PERIOD,
        summed(ORDERS),
        summed(SKU_ORDERS),
        summed(ITEMS_SOLD),
        summed(GMV),
        CTR,
        CTOR,
    ],
    key: &["campaign_id", "shop_id", "product_id"],
    needs: &[],
    columns_need: &[("campaign_products", &["is_campaign_product"])],
    version: 2,
};

pub static CONTENT_PERIOD: Table = Table {
    name: "content_period",
    stage: Stage::Window,
    grain: "each campaign of D, shop of shop_period and content with a content_daily row in the period",
    columns: &[
        CAMPAIGN_ID,
        SHOP_ID,
        id("content_id"),
        THROUGH_DAY,
        DAYS.formula("published days of the period that have content_daily"),
        CONTENT_TYPE,
        ACCOUNT_TYPE,
        text("creator_handle"),
        TITLE,
        PUBLISHED_AT,
        flag("has_violation").formula("on the latest day with the row"),
        flag("is_key_live").formula("on the latest day with the row"),
        summed(VIEWS).null("not known on any day"),
        summed(PRODUCT_IMPRESSIONS),
        summed(PRODUCT_CLICKS),
        summed(ORDERS),
        summed(SKU_ORDERS),
        summed(ITEMS_SOLD),
        summed(GMV),
        CTR,
        CTOR,
        GPM,
        GMV_SHARE.formula("gmv / the shop's gmv on the same days"),
        GMV_RANK.formula(
            "1 = highest gmv within campaign, shop and content_type; ties by smaller content_id",
        ),
    ],
    key: &["campaign_id", "shop_id", "content_id"],
    needs: &[],
    columns_need: &[],
    version: 2,
};

pub static SUB_CAMPAIGN_PERIOD: Table = Table {
    name: "sub_campaign_period",
    stage: Stage::Window,
    grain: "each campaign of D, shop of shop_period and sub-campaign of that campaign with a sub_campaign_daily row",
    columns: &[
        CAMPAIGN_ID,
        SHOP_ID,
        id("sub_campaign_id"),
        THROUGH_DAY,
        DAYS.formula("published days of the period that have sub_campaign_daily"),
        text("sub_campaign_name").formula("of the latest day with the row"),
        summed(ORDERS),
        summed(SKU_ORDERS),
        summed(ITEMS_SOLD),
        summed(GMV),
        GMV_RANK
            .formula("1 = highest gmv within campaign and shop; ties by smaller sub_campaign_id"),
    ],
    key: &["campaign_id", "shop_id", "sub_campaign_id"],
    needs: &[],
    columns_need: &[],
    version: 1,
};

pub static GMV_BASELINE: Table = Table {
    name: "gmv_baseline",
    stage: Stage::Window,
    grain: "each shop of shop_daily at D in a campaign of D (or every shop: baseline.shops) and published day of the \
            six calendar months before D on which it has a row",
    columns: &[
        SHOP_ID,
        day("baseline_day"),
        money("baseline_gmv").formula("gmv of the baseline day"),
        money("gmv").formula("gmv of D"),
        money("difference").formula("gmv - baseline_gmv"),
        percent("difference_pct")
            .formula("(gmv - baseline_gmv) / baseline_gmv * 100")
            .null("baseline_gmv is 0"),
    ],
    key: &["shop_id", "baseline_day"],
    needs: &[],
    columns_need: &[],
    version: 1,
};

pub static STOCK_STATUS: Table = Table {
    name: "stock_status",
    stage: Stage::Window,
    grain: "each SKU of inventory",
    columns: &[
        SHOP_ID,
        id("product_id"),
        id("sku_id"),
        flag("is_campaign_product")
            .formula("shop and product in campaign_products of a campaign of the day")
            .null(IS_CAMPAIGN_PRODUCT_NULL),
        count("available_quantity", "items").formula("of inventory, at the end of D"),
        mean("daily_sales", "items per day").formula(
            "the greater of mean items_sold per published day over [D-6, D] and over [D-29, D], a day without sales \
             counting 0",
        ),
        mean("days_of_cover", "days").formula("available_quantity / daily_sales").null("no recent sales"),
        count("horizon_days", "days").formula(
            "7; for a product of a campaign of D with last_day > D the lesser of 7 and last_day - D, the shortest of \
             its campaigns",
        ),
        text("stock_status").formula(
            "OUT_OF_STOCK (available 0), else NO_RECENT_SALES (daily_sales 0), else AT_RISK (days_of_cover < \
             horizon_days, exactly), else SUFFICIENT",
        ),
    ],
    key: &["shop_id", "product_id", "sku_id"],
    needs: &["inventory"],
    columns_need: &[("campaign_products", &["is_campaign_product"])],
    version: 2,
};

/// SPEC.md section 4.
pub static SHOP_TIER: Table = Table {
    name: "shop_tier",
    stage: Stage::Window,
    grain: "each shop of shop_daily at D",
    columns: &[
        SHOP_ID,
        CATEGORY,
        money("trailing_gmv").formula("sum of gmv over [D-29, D]"),
        count("observed_days", "days").formula("published days in [D-29, D]"),
        text("tier").formula("the highest configured tier whose min_gmv <= trailing_gmv"),
    ],
    key: &["shop_id"],
    needs: &[],
    columns_need: &[],
    version: 1,
};

const SCOPE: Column = text("scope").formula("DAILY or CAMPAIGN_PERIOD");
const BENCHMARK_CAMPAIGN_ID: Column = id("campaign_id").formula("0 for scope DAILY");
const METRIC: Column = text("metric");
const BENCHMARK_DAY: Column = day("benchmark_day").formula("the day whose data the benchmark uses");
const IS_FALLBACK: Column = flag("is_fallback").formula("benchmark_day is not the report day");
const SUPPRESSED: &str = "the row is suppressed";
const fn quartile(name: &'static str, formula: &'static str) -> Column {
    mean(name, "of the metric")
        .formula(formula)
        .null(SUPPRESSED)
}

/// SPEC.md section 5.
pub static CATEGORY_BENCHMARK: Table = Table {
    name: "category_benchmark",
    stage: Stage::Benchmark,
    grain: "each cohort (scope, campaign, category, tier) with a peer of exactly that tier, and metric",
    columns: &[
        SCOPE,
        BENCHMARK_CAMPAIGN_ID,
        text("category"),
        text("tier"),
        METRIC,
        BENCHMARK_DAY,
        IS_FALLBACK,
        text("fallback_reason")
            .formula("required exports of the report day that are not final or that block it, sorted")
            .null("not a fallback"),
        count("observed_days", "days").formula("of shop_tier at the benchmark day"),
        count("peer_count", "shops").formula("peers whose value is not null").null(SUPPRESSED),
        mean("mean", "of the metric").formula("unweighted mean over peers of the shop's own value").null(SUPPRESSED),
        quartile("p25", "with h = (n-1) * 0.25, the mean of the sorted values at positions floor(h)-1 to ceil(h)+1"),
        quartile("p50", "with h = (n-1) * 0.50, the mean of the sorted values at positions floor(h)-1 to ceil(h)+1"),
        quartile("p75", "with h = (n-1) * 0.75, the mean of the sorted values at positions floor(h)-1 to ceil(h)+1"),
        flag("is_suppressed"),
        text("suppression_reason")
            .formula(
                "TOO_FEW_PEERS (fewer than benchmark.min_peers), DIFFERENCING (too few shops are peers in exactly one of it \
                 and a published higher cohort; for a sum or count of a campaign, also a published daily cohort of the \
                 category), DOMINANT_PEER (of a sum or count, one peer holds more than benchmark.max_peer_share), tried in \
                 this order",
            )
            .null("not suppressed"),
        text("method").formula("mean-v2"),
    ],
    key: &["scope", "campaign_id", "category", "tier", "metric"],
    needs: &[],
    columns_need: &[],
    version: 2,
};

pub static SHOP_BENCHMARK: Table = Table {
    name: "shop_benchmark",
    stage: Stage::Benchmark,
    grain: "each shop that is a peer candidate (before top_share) in a scope and campaign, and metric",
    columns: &[
        SCOPE,
        BENCHMARK_CAMPAIGN_ID,
        SHOP_ID,
        METRIC,
        text("category"),
        text("tier").formula("the shop's own, of shop_tier at the benchmark day"),
        BENCHMARK_DAY,
        IS_FALLBACK,
        mean("value", "of the metric").formula("the shop's own").null("unknown for this shop"),
        text("benchmark_tier")
            .formula("the nearest published cohort of the category with tier >= the shop's own")
            .null("no such cohort is published"),
        mean("benchmark", "of the metric").formula("mean of that cohort").null("no such cohort is published"),
        percent("difference_pct")
            .formula("(value - benchmark) / benchmark * 100")
            .null("value or benchmark is null, or benchmark is 0"),
        text("position")
            .formula(
                "where value lies among that cohort's quartiles: BELOW_P25, P25_TO_P50, P50_TO_P75 or ABOVE_P75; equal to a \
                 quartile counts as above it",
            )
            .null("value or benchmark is null"),
    ],
    key: &["scope", "campaign_id", "shop_id", "metric"],
    needs: &[],
    columns_need: &[],
    version: 2,
};

/// A factor's share of `gap`.
const fn effect(name: &'static str, formula: &'static str) -> Column {
    mean(name, "money").formula(formula).null(
        "a mean of the cohort (product_impressions, product_clicks, sku_orders, gmv) is suppressed or 0, or the shop has no \
         impressions, clicks or SKU orders",
    )
}

pub static GMV_GAP: Table = Table {
    name: "gmv_gap",
    stage: Stage::Benchmark,
    grain: "each row of shop_benchmark with metric gmv whose benchmark is known",
    columns: &[
        SCOPE,
        BENCHMARK_CAMPAIGN_ID,
        SHOP_ID,
        text("category"),
        text("tier").formula("the shop's own, of shop_tier at the benchmark day"),
        BENCHMARK_DAY,
        IS_FALLBACK,
        text("benchmark_tier").formula(
            "the nearest published cohort of the category with tier >= the shop's own, for gmv",
        ),
        mean("gmv", "money").formula("the shop's own"),
        mean("benchmark_gmv", "money").formula("mean of that cohort"),
        mean("gap", "money").formula("gmv - benchmark_gmv; the four from_* add up to it"),
        effect(
            "from_impressions",
            "effect of going from the cohort's product_impressions to the shop's: their Shapley value as a factor of gmv = \
             product_impressions * ctr * ctor * gmv per SKU order",
        ),
        effect(
            "from_ctr",
            "Shapley value of product_clicks / product_impressions, of the means for the cohort",
        ),
        effect(
            "from_ctor",
            "Shapley value of sku_orders / product_clicks, of the means for the cohort",
        ),
        effect(
            "from_gmv_per_sku_order",
            "Shapley value of gmv / sku_orders, of the means for the cohort",
        ),
    ],
    key: &["scope", "campaign_id", "shop_id"],
    needs: &[],
    columns_need: &[],
    version: 1,
};

/// Every table, in the order in which they are computed.
pub static TABLES: [&Table; 19] = [
    &SHOP_DAILY,
    &CHANNEL_DAILY,
    &PRODUCT_DAILY,
    &SKU_DAILY,
    &CONTENT_DAILY,
    &SUB_CAMPAIGN_DAILY,
    &AD_HOURLY,
    &SHOP_PERIOD,
    &FUNNEL_PERIOD,
    &CHANNEL_PERIOD,
    &PRODUCT_PERIOD,
    &CONTENT_PERIOD,
    &SUB_CAMPAIGN_PERIOD,
    &GMV_BASELINE,
    &STOCK_STATUS,
    &SHOP_TIER,
    &CATEGORY_BENCHMARK,
    &SHOP_BENCHMARK,
    &GMV_GAP,
];

/// The tables of a stage, in the order in which they are computed.
pub fn of_stage(stage: Stage) -> impl Iterator<Item = &'static Table> {
    TABLES.into_iter().filter(move |table| table.stage == stage)
}

/// The table of that name, if there is one.
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.into_iter().find(|t| t.name == name)
}
