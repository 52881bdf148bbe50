//! The daily tables as queries over the exports of the day.

use anyhow::Result;

use super::asked::Asked;
use super::files::{Files, instant};
use super::query::{Query, Select, Step, owned, ratio};
use crate::contracts::datasets::{AFFILIATE_ACCOUNTS, LIVE, VIDEO};
use crate::contracts::{RollupId, SnapshotId, StreamId};
use crate::days::calendar::HOUR_US;

/// The query of a daily table, with an expression for each of its columns.
pub(super) fn rollup(id: RollupId, files: &Files, asked: &Asked) -> Result<Query> {
    match id {
        RollupId::ShopDaily => shop_daily(files, asked),
        RollupId::ChannelDaily => channel_daily(files, asked),
        RollupId::ProductDaily => product_daily(files, asked),
        RollupId::SkuDaily => sku_daily(files),
        RollupId::ContentDaily => content_daily(files),
        RollupId::SubCampaignDaily => sub_campaign_daily(files),
        RollupId::AdHourly => ad_hourly(files),
    }
}

/// Sums of order lines.
const SALES: [(&str, &str); 4] = [
    ("orders", "count(DISTINCT order_id)"),
    ("sku_orders", "count(*)"),
    ("items_sold", "sum(quantity)"),
    ("gmv", "sum(sub_total + shipping_fee)"),
];

/// Sums of traffic.
const VISITS: [(&str, &str); 4] = [
    ("product_impressions", "sum(impressions)"),
    ("product_clicks", "sum(clicks)"),
    ("page_views", "sum(page_views)"),
    ("add_to_carts", "sum(add_to_carts)"),
];

/// Sums of each user: a user counts once, with any of it.
const OF_USER: [(&str, &str); 5] = [
    ("user_id", "user_id"),
    ("impressions", "sum(impressions)"),
    ("clicks", "sum(clicks)"),
    ("page_views", "sum(page_views)"),
    ("add_to_carts", "sum(add_to_carts)"),
];

/// Distinct users over [`OF_USER`].
const USERS: [(&str, &str); 4] = [
    ("unique_reach", "count(*) FILTER (WHERE impressions > 0)"),
    ("unique_clicks", "count(*) FILTER (WHERE clicks > 0)"),
    (
        "unique_page_viewers",
        "count(*) FILTER (WHERE page_views > 0)",
    ),
    (
        "unique_cart_adders",
        "count(*) FILTER (WHERE page_views > 0 AND add_to_carts > 0)",
    ),
];

/// A sum that is 0 without rows.
fn or_0(value: &str) -> String {
    format!("coalesce({value}, 0)")
}

/// Sums of some rows, by the columns that identify a row; without any, over all rows of the shop.
fn sums(by: &[&str], sums: &[(&str, &str)], from: &str) -> Select {
    let mut select = Select::new(&[], from);
    by.iter().for_each(|name| {
        select
            .columns
            .push(((*name).to_owned(), (*name).to_owned()))
    });
    select.columns.extend(owned(sums));
    match by {
        [] => select,
        by => select.rest(format!("GROUP BY {}", by.join(", "))),
    }
}

/// The rows of the table: that of the question, or those with any order line or traffic.
fn rows_of(asked: &Asked, by: &'static str, from: &[&str]) -> Step {
    if let Some(key) = asked.row_key() {
        let columns = key
            .into_iter()
            .map(|(name, literal)| (name.to_owned(), literal));
        let select = Select {
            columns: columns.collect(),
            from: "(SELECT 1)".to_owned(),
            ..Select::default()
        };
        return Step::of("found", select).about("the row of the question");
    }
    let selects = from.iter().map(|from| match by {
        "shop_id" => Select::new(&[("shop_id", "shop_id")], from),
        by => Select::new(&[("shop_id", "shop_id"), (by, by)], from),
    });
    Step::distinct_union("found", selects.collect()).about("the rows of the table")
}

fn shop_daily(files: &Files, asked: &Asked) -> Result<Query> {
    let mut steps = files.snapshot(SnapshotId::Shops)?;
    steps.extend(files.stream(StreamId::OrderLines)?);
    steps.extend(files.stream(StreamId::ProductTraffic)?);
    steps.push(rows_of(
        asked,
        "shop_id",
        &["shops", "order_lines", "product_traffic"],
    ));
    let of_channel = |condition: String| {
        format!("sum(sub_total + shipping_fee) FILTER (WHERE channel {condition})")
    };
    let sales = sums(&[], &SALES, "order_lines")
        .column("gmv_live", of_channel(format!("= '{LIVE}'")))
        .column("gmv_video", of_channel(format!("= '{VIDEO}'")))
        .column(
            "gmv_product_card",
            of_channel(format!("NOT IN ('{LIVE}', '{VIDEO}')")),
        )
        .column("customers", "count(DISTINCT buyer_id)")
        .column("contribution_product", "sum(platform_discount)")
        .column("contribution_shipping", "sum(shipping_platform_discount)");
    steps.push(Step::of("sales", sales));
    steps.push(Step::of("visits", sums(&[], &VISITS, "product_traffic")));
    let of_user = Select::new(&OF_USER, "product_traffic").rest("GROUP BY user_id");
    steps.push(Step::of("of_user", of_user));
    steps.push(Step::of("users", Select::new(&USERS, "of_user")));
    if files.is_used(SnapshotId::Contents) {
        steps.extend(files.snapshot(SnapshotId::Contents)?);
        steps.push(new_contents(files));
    }
    if files.is_used(SnapshotId::AdHours) {
        let of_ads = [
            ("ad_spend", "coalesce(sum(spend), 0)"),
            ("ad_gross_revenue", "coalesce(sum(gross_revenue), 0)"),
        ];
        steps.extend(files.snapshot(SnapshotId::AdHours)?);
        steps.push(Step::of("ads", Select::new(&of_ads, "ad_hours")));
    }
    let known = |value: &str| format!("CASE WHEN shops.shop_id IS NOT NULL THEN {value} END");
    let mut last = Select::new(
        &[("shop_id", "found.shop_id"), ("category", "shops.category")],
        "found",
    )
    .join("shops", "LEFT JOIN shops ON shops.shop_id = found.shop_id")
    .join("sales", "CROSS JOIN sales")
    .join("visits", "CROSS JOIN visits")
    .join("users", "CROSS JOIN users")
    .join("new_contents", "CROSS JOIN new_contents")
    .join("ads", "CROSS JOIN ads");
    for name in ["gmv", "gmv_live", "gmv_video", "gmv_product_card"] {
        last = last.column(name, or_0(&format!("sales.{name}")));
    }
    for name in ["orders", "sku_orders", "items_sold", "customers"] {
        last = last.column(name, or_0(&format!("sales.{name}")));
    }
    last = last
        .column("avg_order_value", ratio("sales.gmv", "sales.orders"))
        .column("contribution_product", or_0("sales.contribution_product"))
        .column("contribution_shipping", or_0("sales.contribution_shipping"))
        .column(
            "estimated_tiktok_contribution",
            or_0("sales.contribution_product + sales.contribution_shipping"),
        );
    for (name, _) in VISITS {
        last = last.column(name, or_0(&format!("visits.{name}")));
    }
    for (name, _) in USERS {
        last = last.column(name, format!("users.{name}"));
    }
    last = last
        .column(
            "ctr",
            ratio("visits.product_clicks", "visits.product_impressions"),
        )
        .column("ctor", ratio("sales.sku_orders", "visits.product_clicks"))
        .column(
            "add_to_cart_rate",
            ratio("users.unique_cart_adders", "users.unique_page_viewers"),
        );
    for name in [
        "creator_new_videos",
        "creator_new_lives",
        "seller_new_videos",
        "seller_new_lives",
    ] {
        last = last.column(name, format!("new_contents.{name}"));
    }
    last = last
        .column("ad_spend", known("ads.ad_spend"))
        .column("ad_gross_revenue", known("ads.ad_gross_revenue"))
        .column(
            "ad_roi",
            known(&ratio("ads.ad_gross_revenue", "ads.ad_spend")),
        );
    Ok(Query { steps, last })
}

/// Contents that were published within the civil day.
fn new_contents(files: &Files) -> Step {
    let civil = files.civil();
    let of = |content_type: &str, is_creator: bool| {
        let by = if is_creator { "=" } else { "<>" };
        format!(
            "count(*) FILTER (WHERE content_type = '{content_type}' AND account_type {by} '{AFFILIATE_ACCOUNTS}')"
        )
    };
    let select = Select::new(&[], "contents")
        .column("creator_new_videos", of(VIDEO, true))
        .column("creator_new_lives", of(LIVE, true))
        .column("seller_new_videos", of(VIDEO, false))
        .column("seller_new_lives", of(LIVE, false))
        .rest(format!("WHERE published_at >= {}", instant(civil.start_us)))
        .rest(format!("    AND published_at < {}", instant(civil.end_us)));
    Step::of("new_contents", select).about(format!("published within {}", civil.told()))
}

fn channel_daily(files: &Files, asked: &Asked) -> Result<Query> {
    let mut steps = files.stream(StreamId::OrderLines)?;
    steps.extend(files.stream(StreamId::ProductTraffic)?);
    steps.push(rows_of(
        asked,
        "channel",
        &["order_lines", "product_traffic"],
    ));
    steps.push(Step::of("sales", sums(&["channel"], &SALES, "order_lines")));
    steps.push(Step::of(
        "visits",
        sums(&["channel"], &VISITS, "product_traffic"),
    ));
    let of_shop = [("impressions_of_shop", "sum(impressions)")];
    steps.push(Step::of(
        "all_visits",
        Select::new(&of_shop, "product_traffic"),
    ));
    let last = Select::new(
        &[("shop_id", "found.shop_id"), ("channel", "found.channel")],
        "found",
    )
    .join("sales", "LEFT JOIN sales ON sales.channel = found.channel")
    .join(
        "visits",
        "LEFT JOIN visits ON visits.channel = found.channel",
    )
    .join("all_visits", "CROSS JOIN all_visits")
    .column("product_impressions", or_0("visits.product_impressions"))
    .column("product_clicks", or_0("visits.product_clicks"))
    .column("sku_orders", or_0("sales.sku_orders"))
    .column("gmv", or_0("sales.gmv"))
    .column(
        "impression_share",
        ratio(
            &or_0("visits.product_impressions"),
            "all_visits.impressions_of_shop",
        ),
    )
    .column(
        "ctr",
        ratio("visits.product_clicks", "visits.product_impressions"),
    )
    .column(
        "ctor",
        ratio(&or_0("sales.sku_orders"), "visits.product_clicks"),
    );
    Ok(Query { steps, last })
}

fn product_daily(files: &Files, asked: &Asked) -> Result<Query> {
    let mut steps = files.stream(StreamId::OrderLines)?;
    steps.extend(files.stream(StreamId::ProductTraffic)?);
    steps.push(rows_of(
        asked,
        "product_id",
        &["order_lines", "product_traffic"],
    ));
    steps.push(Step::of(
        "sales",
        sums(&["product_id"], &SALES, "order_lines"),
    ));
    steps.push(Step::of(
        "visits",
        sums(&["product_id"], &VISITS, "product_traffic"),
    ));
    let of_user = sums(&["product_id"], &OF_USER, "product_traffic");
    let of_user = Select {
        rest: vec!["GROUP BY product_id, user_id".to_owned()],
        ..of_user
    };
    steps.push(Step::of("of_user", of_user));
    steps.push(Step::of("users", sums(&["product_id"], &USERS, "of_user")));
    if files.is_used(SnapshotId::CampaignProducts) {
        steps.extend(files.snapshot(SnapshotId::CampaignProducts)?);
    }
    let mut last = Select::new(
        &[
            ("shop_id", "found.shop_id"),
            ("product_id", "found.product_id"),
        ],
        "found",
    )
    .join(
        "sales",
        "LEFT JOIN sales ON sales.product_id = found.product_id",
    )
    .join(
        "visits",
        "LEFT JOIN visits ON visits.product_id = found.product_id",
    )
    .join(
        "users",
        "LEFT JOIN users ON users.product_id = found.product_id",
    )
    .column(
        "is_campaign_product",
        "found.product_id IN (SELECT product_id FROM campaign_products)",
    );
    for (name, _) in VISITS {
        last = last.column(name, or_0(&format!("visits.{name}")));
    }
    for name in ["unique_page_viewers", "unique_cart_adders"] {
        last = last.column(name, or_0(&format!("users.{name}")));
    }
    last = last.column(
        "add_to_cart_rate",
        ratio("users.unique_cart_adders", "users.unique_page_viewers"),
    );
    for (name, _) in SALES {
        last = last.column(name, or_0(&format!("sales.{name}")));
    }
    last = last
        .column(
            "ctr",
            ratio("visits.product_clicks", "visits.product_impressions"),
        )
        .column(
            "ctor",
            ratio(&or_0("sales.sku_orders"), "visits.product_clicks"),
        );
    Ok(Query { steps, last })
}

fn sku_daily(files: &Files) -> Result<Query> {
    let mut steps = files.stream(StreamId::OrderLines)?;
    let key = ["shop_id", "product_id", "sku_id"];
    steps.push(Step::of("sales", sums(&key, &SALES, "order_lines")));
    let mut last = Select::new(&[], "sales");
    for name in key.into_iter().chain(["items_sold", "gmv"]) {
        last = last.column(name, format!("sales.{name}"));
    }
    Ok(Query { steps, last })
}

fn content_daily(files: &Files) -> Result<Query> {
    let mut steps = files.snapshot(SnapshotId::Contents)?;
    steps.extend(files.stream(StreamId::OrderLines)?);
    steps.extend(files.stream(StreamId::ProductTraffic)?);
    steps.push(Step::of(
        "sales",
        sums(&["content_id"], &SALES, "order_lines"),
    ));
    steps.push(Step::of(
        "visits",
        sums(&["content_id"], &VISITS, "product_traffic"),
    ));
    let of_shop = [("gmv_of_shop", "sum(sub_total + shipping_fee)")];
    steps.push(Step::of("all_sales", Select::new(&of_shop, "order_lines")));
    let of_contents = [
        "shop_id",
        "content_id",
        "content_type",
        "account_type",
        "creator_handle",
        "title",
        "published_at",
        "views",
        "has_violation",
        "is_key_live",
    ];
    let mut listed = Select::new(&[], "contents");
    for name in of_contents {
        listed = listed.column(name, format!("contents.{name}"));
    }
    for name in ["product_impressions", "product_clicks"] {
        listed = listed.column(name, or_0(&format!("visits.{name}")));
    }
    for (name, _) in SALES {
        listed = listed.column(name, or_0(&format!("sales.{name}")));
    }
    let rank = "row_number() OVER (\n    PARTITION BY contents.content_type\n    ORDER BY coalesce(sales.gmv, 0) DESC, \
                contents.content_id\n)";
    listed = listed
        .column("gmv_rank", rank)
        .join(
            "sales",
            "LEFT JOIN sales ON sales.content_id = contents.content_id",
        )
        .join(
            "visits",
            "LEFT JOIN visits ON visits.content_id = contents.content_id",
        );
    steps.push(Step::of("listed", listed));
    let mut last = Select::new(&[], "listed").join("all_sales", "CROSS JOIN all_sales");
    let counted = [
        "product_impressions",
        "product_clicks",
        "orders",
        "sku_orders",
        "items_sold",
        "gmv",
    ];
    for name in of_contents.into_iter().chain(counted) {
        last = last.column(name, format!("listed.{name}"));
    }
    last = last
        .column(
            "ctr",
            ratio("listed.product_clicks", "listed.product_impressions"),
        )
        .column("ctor", ratio("listed.sku_orders", "listed.product_clicks"))
        .column("gpm", ratio("listed.gmv * 1000", "listed.views"))
        .column("gmv_share", ratio("listed.gmv", "all_sales.gmv_of_shop"))
        .column("gmv_rank", "listed.gmv_rank");
    Ok(Query { steps, last })
}

fn sub_campaign_daily(files: &Files) -> Result<Query> {
    let mut steps = files.snapshot(SnapshotId::SubCampaigns)?;
    steps.extend(files.stream(StreamId::OrderLines)?);
    let by = ["shop_id", "sub_campaign_id"];
    steps.push(Step::of("sales", sums(&by, &SALES, "order_lines")));
    let mut listed = Select::new(
        &[],
        "sales\nJOIN sub_campaigns ON sub_campaigns.sub_campaign_id = sales.sub_campaign_id",
    );
    let of_sales = [
        "shop_id",
        "sub_campaign_id",
        "orders",
        "sku_orders",
        "items_sold",
        "gmv",
    ];
    for name in of_sales {
        listed = listed.column(name, format!("sales.{name}"));
    }
    for name in ["campaign_id", "sub_campaign_name"] {
        listed = listed.column(name, format!("sub_campaigns.{name}"));
    }
    let rank = "row_number() OVER (\n    PARTITION BY sub_campaigns.campaign_id\n    ORDER BY sales.gmv DESC, \
                sales.sub_campaign_id\n)";
    steps.push(Step::of("listed", listed.column("gmv_rank", rank)));
    let names = [
        "shop_id",
        "sub_campaign_id",
        "campaign_id",
        "sub_campaign_name",
        "orders",
        "sku_orders",
        "items_sold",
        "gmv",
        "gmv_rank",
    ];
    let mut last = Select::new(&[], "listed");
    for name in names {
        last = last.column(name, format!("listed.{name}"));
    }
    Ok(Query { steps, last })
}

fn ad_hourly(files: &Files) -> Result<Query> {
    let steps = files.snapshot(SnapshotId::AdHours)?;
    let first = instant(files.civil().start_us);
    let last = Select::new(&[], "ad_hours")
        .column("shop_id", "ad_hours.shop_id")
        .column("hour_start", "ad_hours.hour_start")
        .column(
            "local_hour",
            format!("(epoch_us(ad_hours.hour_start) - epoch_us({first})) // {HOUR_US}"),
        )
        .column("ad_spend", "ad_hours.spend")
        .column("ad_gross_revenue", "ad_hours.gross_revenue")
        .column("ad_roi", ratio("ad_hours.gross_revenue", "ad_hours.spend"));
    Ok(Query { steps, last })
}
