//! The tables over periods, trailing days and months as queries over published tables.

use anyhow::Result;
use chrono::NaiveDate;

use super::asked::Asked;
use super::files::{Files, date, one_of};
use super::query::{Query, Select, Step, ratio, text};
use crate::config::BaselineShops;
use crate::contracts::arrow::show_cents;
use crate::contracts::tables::{
    AD_HOURLY, CHANNEL_DAILY, CONTENT_DAILY, LONG_WINDOW_DAYS, PRODUCT_DAILY, SHOP_DAILY,
    SHOP_PERIOD, SHORT_WINDOW_DAYS, SKU_DAILY, SUB_CAMPAIGN_DAILY,
};
use crate::contracts::{SnapshotId, Table, WindowId};
use crate::days::calendar::{six_months_before, trailing};

/// The query of a window table, with an expression for each of its columns.
pub(super) fn window(id: WindowId, files: &Files, asked: &Asked) -> Result<Query> {
    match id {
        WindowId::ShopPeriod => shop_period(files, asked),
        WindowId::FunnelPeriod => funnel_period(files, asked),
        WindowId::ChannelPeriod => channel_period(files, asked),
        WindowId::ProductPeriod => product_period(files, asked),
        WindowId::ContentPeriod => content_period(files, asked),
        WindowId::SubCampaignPeriod => sub_campaign_period(files, asked),
        WindowId::GmvBaseline => gmv_baseline(files, asked),
        WindowId::StockStatus => stock_status(files),
        WindowId::ShopTier => shop_tier(files),
    }
}

const CHANNEL_SUMS: [&str; 4] = ["product_impressions", "product_clicks", "sku_orders", "gmv"];
const PRODUCT_SUMS: [&str; 8] = [
    "product_impressions",
    "product_clicks",
    "page_views",
    "add_to_carts",
    "orders",
    "sku_orders",
    "items_sold",
    "gmv",
];
const CONTENT_SUMS: [&str; 6] = [
    "product_impressions",
    "product_clicks",
    "orders",
    "sku_orders",
    "items_sold",
    "gmv",
];
const SUB_CAMPAIGN_SUMS: [&str; 4] = ["orders", "sku_orders", "items_sold", "gmv"];
const SHOP_SUMS: [&str; 20] = [
    "gmv",
    "gmv_live",
    "gmv_video",
    "gmv_product_card",
    "orders",
    "sku_orders",
    "items_sold",
    "contribution_product",
    "contribution_shipping",
    "estimated_tiktok_contribution",
    "product_impressions",
    "product_clicks",
    "page_views",
    "add_to_carts",
    "creator_new_videos",
    "creator_new_lives",
    "seller_new_videos",
    "seller_new_lives",
    "ad_spend",
    "ad_gross_revenue",
];

/// The first day of the question's campaign, and otherwise of the day's oldest one.
fn first_day(files: &Files, asked: &Asked) -> NaiveDate {
    let of_day = files.manifest.first_campaign_day.unwrap_or(files.day);
    asked.first_day.unwrap_or(of_day)
}

/// The days that a column `days` counts.
fn published_days(days: &[NaiveDate]) -> Step {
    days_step("published_days", days)
}

fn days_step(name: &str, days: &[NaiveDate]) -> Step {
    let rows: Vec<String> = days.iter().map(|day| format!("({})", date(*day))).collect();
    match rows.is_empty() {
        true => Step::of(
            name,
            Select::new(&[("day", "CAST(NULL AS DATE)")], "(SELECT 1)").rest("WHERE false"),
        ),
        false => Step::values(name, &["day"], rows),
    }
}

/// The days of a period that a step lists.
fn count_of_days(step: &str, first_day: &str) -> String {
    format!("(SELECT count(*) FROM {step} WHERE day >= {first_day})")
}

/// The campaigns of the shop with their first days, of `shop_period` at the day.
fn periods(files: &Files, asked: &Asked) -> Result<Step> {
    let mut conditions = vec![files.of_shop()];
    conditions.extend(asked.campaign_id.map(|id| one_of("campaign_id", &[id])));
    files.published("shop_period", &SHOP_PERIOD, &[files.day], &conditions)
}

/// The daily table of a period, and the days that `days` counts: those with the day's rollups.
fn daily(files: &Files, asked: &Asked, table: &'static Table) -> Result<Vec<Step>> {
    let first = first_day(files, asked);
    let days = files.days(&[table.name], table, first, files.day)?;
    let all_days = files.days(&["published_days"], &SHOP_DAILY, first, files.day)?;
    Ok(vec![
        periods(files, asked)?,
        published_days(&all_days),
        files.published(table.name, table, &days, &[files.of_shop()])?,
    ])
}

/// Sums over each of the shop's periods, by further columns of the daily table.
fn period_sums(table: &Table, by: &[&str], sums: &[&str]) -> Select {
    let daily = table.name;
    let from = format!(
        "shop_period\nJOIN {daily}\n    ON {daily}.shop_id = shop_period.shop_id\n    AND {daily}.dt >= \
         shop_period.first_day"
    );
    let mut select = Select::new(&[], &from);
    for name in ["campaign_id", "shop_id", "first_day"] {
        select = select.column(name, format!("shop_period.{name}"));
    }
    for name in by {
        select = select.column(name, format!("{daily}.{name}"));
    }
    for name in sums {
        select = select.column(name, format!("sum({daily}.{name})"));
    }
    let of_period =
        ["campaign_id", "shop_id", "first_day"].map(|name| format!("shop_period.{name}"));
    let by = by.iter().map(|name| format!("{daily}.{name}"));
    let group: Vec<String> = of_period.into_iter().chain(by).collect();
    select.rest(format!("GROUP BY {}", group.join(", ")))
}

/// The value of the latest day, null or not.
fn latest(column: &str, table: &Table) -> String {
    let daily = table.name;
    format!("last({daily}.{column} ORDER BY {daily}.dt)")
}

/// The columns that every table of periods begins with.
fn of_period(files: &Files, key: &[&str]) -> Select {
    let mut last = Select::new(&[], "sums");
    for name in key {
        last = last.column(name, format!("sums.{name}"));
    }
    last.column("through_day", date(files.day))
        .column("days", count_of_days("published_days", "sums.first_day"))
}

fn with_sums(mut last: Select, names: &[&str]) -> Select {
    for name in names {
        last = last.column(name, format!("sums.{name}"));
    }
    last
}

fn with_rates(last: Select) -> Select {
    last.column(
        "ctr",
        ratio("sums.product_clicks", "sums.product_impressions"),
    )
    .column("ctor", ratio("sums.sku_orders", "sums.product_clicks"))
}

fn shop_period(files: &Files, asked: &Asked) -> Result<Query> {
    let first = first_day(files, asked);
    let days = files.days(
        &["published_days", "shop_daily"],
        &SHOP_DAILY,
        first,
        files.day,
    )?;
    let mut steps = files.snapshot(SnapshotId::CampaignShops)?;
    steps.push(published_days(&days));
    steps.push(days_step(
        "days_with_contents",
        &files.days(&["days_with_contents"], &CONTENT_DAILY, first, files.day)?,
    ));
    steps.push(days_step(
        "days_with_ads",
        &files.days(&["days_with_ads"], &AD_HOURLY, first, files.day)?,
    ));
    steps.push(files.published("shop_daily", &SHOP_DAILY, &days, &[files.of_shop()])?);
    let from = "campaigns\nJOIN campaign_shops ON campaign_shops.campaign_id = campaigns.campaign_id\nJOIN shop_daily\n    \
                ON shop_daily.shop_id = campaign_shops.shop_id\n    AND shop_daily.dt >= campaigns.first_day";
    let mut sums = Select::new(&[], from)
        .column("campaign_id", "campaigns.campaign_id")
        .column("shop_id", "campaign_shops.shop_id")
        .column("first_day", "campaigns.first_day")
        .column("target_gmv", "campaign_shops.target_gmv");
    for name in SHOP_SUMS
        .into_iter()
        .chain(["unique_page_viewers", "unique_cart_adders"])
    {
        sums = sums.column(name, format!("sum(shop_daily.{name})"));
    }
    sums = sums.column(
        "category",
        format!(
            "{} FILTER (WHERE shop_daily.category IS NOT NULL)",
            latest("category", &SHOP_DAILY)
        ),
    );
    let group = "GROUP BY campaigns.campaign_id, campaign_shops.shop_id, campaigns.first_day, campaign_shops.target_gmv";
    if let Some(id) = asked.campaign_id {
        sums = sums.rest(format!("WHERE {}", one_of("campaigns.campaign_id", &[id])));
    }
    steps.push(Step::of("sums", sums.rest(group)));
    let missing = format!(
        "{} - sums.first_day + 1 - {}",
        date(files.day),
        count_of_days("published_days", "sums.first_day")
    );
    let last = Select::new(&[], "sums")
        .column("campaign_id", "sums.campaign_id")
        .column("shop_id", "sums.shop_id")
        .column("first_day", "sums.first_day")
        .column("through_day", date(files.day))
        .column("days", count_of_days("published_days", "sums.first_day"))
        .column("missing_days", missing)
        .column(
            "content_days",
            count_of_days("days_with_contents", "sums.first_day"),
        )
        .column("ad_days", count_of_days("days_with_ads", "sums.first_day"))
        .column("category", "sums.category");
    let last = with_rates(
        with_sums(last, &SHOP_SUMS).column("avg_order_value", ratio("sums.gmv", "sums.orders")),
    )
    .column("ad_roi", ratio("sums.ad_gross_revenue", "sums.ad_spend"))
    .column(
        "add_to_cart_rate",
        ratio("sums.unique_cart_adders", "sums.unique_page_viewers"),
    )
    .column("target_gmv", "sums.target_gmv")
    .column("target_progress", ratio("sums.gmv", "sums.target_gmv"));
    Ok(Query { steps, last })
}

fn funnel_period(files: &Files, asked: &Asked) -> Result<Query> {
    let mut steps = daily(files, asked, &SHOP_DAILY)?;
    let counts = ["unique_reach", "unique_clicks", "customers"];
    steps.push(Step::of("sums", period_sums(&SHOP_DAILY, &[], &counts)));
    let days = count_of_days("published_days", "sums.first_day");
    let last = of_period(files, &["campaign_id", "shop_id"])
        .column("avg_unique_reach", ratio("sums.unique_reach", &days))
        .column("avg_unique_clicks", ratio("sums.unique_clicks", &days))
        .column("avg_daily_customers", ratio("sums.customers", &days))
        .column(
            "click_rate",
            ratio("sums.unique_clicks", "sums.unique_reach"),
        )
        .column(
            "customer_rate",
            ratio("sums.customers", "sums.unique_clicks"),
        );
    Ok(Query { steps, last })
}

fn channel_period(files: &Files, asked: &Asked) -> Result<Query> {
    let mut steps = daily(files, asked, &CHANNEL_DAILY)?;
    steps.push(Step::of(
        "sums",
        period_sums(&CHANNEL_DAILY, &["channel"], &CHANNEL_SUMS),
    ));
    let of_shop = Select::new(
        &[
            ("campaign_id", "campaign_id"),
            ("impressions_of_shop", "sum(product_impressions)"),
        ],
        "sums",
    );
    steps.push(Step::of(
        "all_channels",
        of_shop.rest("GROUP BY campaign_id"),
    ));
    let last = with_sums(
        of_period(files, &["campaign_id", "shop_id", "channel"]),
        &CHANNEL_SUMS,
    )
    .join(
        "all_channels",
        "JOIN all_channels ON all_channels.campaign_id = sums.campaign_id",
    )
    .column(
        "impression_share",
        ratio(
            "sums.product_impressions",
            "all_channels.impressions_of_shop",
        ),
    );
    Ok(Query {
        steps,
        last: with_rates(last),
    })
}

fn product_period(files: &Files, asked: &Asked) -> Result<Query> {
    let mut steps = daily(files, asked, &PRODUCT_DAILY)?;
    let users = ["unique_page_viewers", "unique_cart_adders"];
    let summed: Vec<&str> = PRODUCT_SUMS.into_iter().chain(users).collect();
    steps.push(Step::of(
        "sums",
        period_sums(&PRODUCT_DAILY, &["product_id"], &summed),
    ));
    if files.is_used(SnapshotId::CampaignProducts) {
        steps.extend(files.snapshot(SnapshotId::CampaignProducts)?);
    }
    let is_campaign_product = "EXISTS (\n    SELECT 1\n    FROM campaign_products\n    WHERE campaign_products.campaign_id = \
                               sums.campaign_id\n        AND campaign_products.product_id = sums.product_id\n)";
    let last = of_period(files, &["campaign_id", "shop_id", "product_id"])
        .column("is_campaign_product", is_campaign_product)
        .column(
            "add_to_cart_rate",
            ratio("sums.unique_cart_adders", "sums.unique_page_viewers"),
        );
    let last = with_rates(with_sums(last, &PRODUCT_SUMS));
    Ok(Query { steps, last })
}

fn content_period(files: &Files, asked: &Asked) -> Result<Query> {
    let first = first_day(files, asked);
    let days = files.days(
        &["published_days", "content_daily"],
        &CONTENT_DAILY,
        first,
        files.day,
    )?;
    let attributes = [
        "content_type",
        "account_type",
        "creator_handle",
        "title",
        "published_at",
        "has_violation",
        "is_key_live",
    ];
    let mut sums = period_sums(&CONTENT_DAILY, &["content_id"], &CONTENT_SUMS)
        .column("views", format!("sum({}.views)", CONTENT_DAILY.name));
    for name in attributes {
        sums = sums.column(name, latest(name, &CONTENT_DAILY));
    }
    let rank = "row_number() OVER (\n    PARTITION BY sums.campaign_id, sums.content_type\n    ORDER BY sums.gmv DESC, \
                sums.content_id\n)";
    let of_shop = period_sums(&SHOP_DAILY, &[], &[]).column("gmv_of_shop", "sum(shop_daily.gmv)");
    let steps = vec![
        periods(files, asked)?,
        published_days(&days).about("days with content_daily"),
        files.published("content_daily", &CONTENT_DAILY, &days, &[files.of_shop()])?,
        files
            .published("shop_daily", &SHOP_DAILY, &days, &[files.of_shop()])?
            .about("of the same days"),
        Step::of("sums", sums),
        Step::of("all_sales", of_shop),
        Step::of(
            "ranked",
            Select::new(
                &[
                    ("campaign_id", "sums.campaign_id"),
                    ("content_id", "sums.content_id"),
                ],
                "sums",
            )
            .column("gmv_rank", rank),
        ),
    ];
    let last = with_sums(of_period(files, &["campaign_id", "shop_id", "content_id"]), &attributes)
        .join("all_sales", "LEFT JOIN all_sales ON all_sales.campaign_id = sums.campaign_id")
        .join(
            "ranked",
            "JOIN ranked ON ranked.campaign_id = sums.campaign_id AND ranked.content_id = sums.content_id",
        )
        .column("views", "sums.views");
    let last = with_rates(with_sums(last, &CONTENT_SUMS))
        .column("gpm", ratio("sums.gmv * 1000", "sums.views"))
        .column("gmv_share", ratio("sums.gmv", "all_sales.gmv_of_shop"))
        .column("gmv_rank", "ranked.gmv_rank");
    Ok(Query { steps, last })
}

fn sub_campaign_period(files: &Files, asked: &Asked) -> Result<Query> {
    let first = first_day(files, asked);
    let days = files.days(
        &["published_days", "sub_campaign_daily"],
        &SUB_CAMPAIGN_DAILY,
        first,
        files.day,
    )?;
    let mut sums = period_sums(
        &SUB_CAMPAIGN_DAILY,
        &["sub_campaign_id"],
        &SUB_CAMPAIGN_SUMS,
    )
    .column(
        "sub_campaign_name",
        latest("sub_campaign_name", &SUB_CAMPAIGN_DAILY),
    );
    sums.from
        .push_str("\n    AND sub_campaign_daily.campaign_id = shop_period.campaign_id");
    let rank = "row_number() OVER (\n    PARTITION BY sums.campaign_id\n    ORDER BY sums.gmv DESC, sums.sub_campaign_id\n)";
    let steps = vec![
        periods(files, asked)?,
        published_days(&days).about("days with sub_campaign_daily"),
        files.published(
            "sub_campaign_daily",
            &SUB_CAMPAIGN_DAILY,
            &days,
            &[files.of_shop()],
        )?,
        Step::of("sums", sums),
        Step::of(
            "ranked",
            Select::new(
                &[
                    ("campaign_id", "sums.campaign_id"),
                    ("sub_campaign_id", "sums.sub_campaign_id"),
                ],
                "sums",
            )
            .column("gmv_rank", rank),
        ),
    ];
    let last = of_period(files, &["campaign_id", "shop_id", "sub_campaign_id"])
        .join(
            "ranked",
            "JOIN ranked ON ranked.campaign_id = sums.campaign_id AND ranked.sub_campaign_id = sums.sub_campaign_id",
        )
        .column("sub_campaign_name", "sums.sub_campaign_name");
    let last = with_sums(last, &SUB_CAMPAIGN_SUMS).column("gmv_rank", "ranked.gmv_rank");
    Ok(Query { steps, last })
}

fn gmv_baseline(files: &Files, asked: &Asked) -> Result<Query> {
    let (first, before) = (
        six_months_before(files.day),
        files.day.pred_opt().unwrap_or(files.day),
    );
    let days = match asked.baseline_day {
        Some(day) => vec![day],
        None => files
            .facts
            .state
            .published_days(&SHOP_DAILY, first, before)?,
    };
    let mut steps = vec![
        files.published("today", &SHOP_DAILY, &[files.day], &[files.of_shop()])?,
        files.published("earlier", &SHOP_DAILY, &days, &[files.of_shop()])?,
    ];
    let mut last = Select::new(
        &[
            ("shop_id", "today.shop_id"),
            ("baseline_day", "earlier.dt"),
            ("baseline_gmv", "earlier.gmv"),
            ("gmv", "today.gmv"),
            ("difference", "today.gmv - earlier.gmv"),
        ],
        "today\nJOIN earlier ON earlier.shop_id = today.shop_id",
    )
    .column(
        "difference_pct",
        format!(
            "{} * 100",
            ratio("(today.gmv - earlier.gmv)", "earlier.gmv")
        ),
    );
    let is_of_campaigns = files.facts.config.baseline_shops == BaselineShops::Campaign;
    if is_of_campaigns && asked.row_key().is_none() {
        steps.extend(files.snapshot(SnapshotId::CampaignShops)?);
        last = last.rest("WHERE today.shop_id IN (SELECT shop_id FROM campaign_shops)");
    }
    Ok(Query { steps, last })
}

fn stock_status(files: &Files) -> Result<Query> {
    let (long, short) = (
        trailing(files.day, LONG_WINDOW_DAYS),
        date(trailing(files.day, SHORT_WINDOW_DAYS)),
    );
    let days = files.days(
        &["published_days", "sku_daily"],
        &SKU_DAILY,
        long,
        files.day,
    )?;
    let mut steps = files.snapshot(SnapshotId::Inventory)?;
    steps.push(published_days(&days));
    steps.push(files.published("sku_daily", &SKU_DAILY, &days, &[files.of_shop()])?);
    let sold = Select::new(
        &[
            ("product_id", "product_id"),
            ("sku_id", "sku_id"),
            ("long_items", "sum(items_sold)"),
        ],
        "sku_daily",
    )
    .column(
        "short_items",
        format!("sum(items_sold) FILTER (WHERE dt >= {short})"),
    )
    .rest("GROUP BY product_id, sku_id");
    steps.push(Step::of("sold", sold));
    let windows = Select::new(&[("long_days", "count(*)")], "published_days").column(
        "short_days",
        format!("count(*) FILTER (WHERE day >= {short})"),
    );
    steps.push(Step::of("windows", windows));
    let paces = Select::new(
        &[
            ("product_id", "inventory.product_id"),
            ("sku_id", "inventory.sku_id"),
            ("long_items", "coalesce(sold.long_items, 0)"),
            ("long_days", "windows.long_days"),
            ("short_items", "coalesce(sold.short_items, 0)"),
            ("short_days", "windows.short_days"),
        ],
        "inventory\nCROSS JOIN windows\nLEFT JOIN sold\n    ON sold.product_id = inventory.product_id\n    AND sold.sku_id = \
         inventory.sku_id",
    );
    steps.push(
        Step::of("paces", paces).about("items sold per published day: over 30 days, and over 7"),
    );
    let is_long = "long_items * short_days > short_items * long_days";
    let pace = Select::new(
        &[("product_id", "product_id"), ("sku_id", "sku_id")],
        "paces",
    )
    .column(
        "items",
        format!("CASE WHEN {is_long} THEN long_items ELSE short_items END"),
    )
    .column(
        "days",
        format!("CASE WHEN {is_long} THEN long_days ELSE short_days END"),
    );
    steps.push(Step::of("pace", pace).about("the greater one, as an exact fraction"));
    let horizon = match files.is_used(SnapshotId::CampaignProducts) {
        false => "7".to_owned(),
        true => {
            steps.extend(files.snapshot(SnapshotId::CampaignProducts)?);
            let days_left = format!("min(campaigns.last_day - {})", date(files.day));
            let horizons = Select::new(
                &[("product_id", "campaign_products.product_id"), ("days_left", &days_left)],
                "campaign_products\nJOIN campaigns ON campaigns.campaign_id = campaign_products.campaign_id",
            )
            .rest(format!("WHERE campaigns.last_day > {}", date(files.day)))
            .rest("GROUP BY campaign_products.product_id");
            steps.push(
                Step::of("horizons", horizons)
                    .about("days that campaigns of the products still last"),
            );
            "least(7, coalesce(horizons.days_left, 7))".to_owned()
        }
    };
    let stock = "CAST(inventory.available_quantity AS HUGEINT) * pace.days";
    let status = format!(
        "CASE\n    WHEN inventory.available_quantity = 0 THEN 'OUT_OF_STOCK'\n    WHEN pace.items = 0 THEN \
         'NO_RECENT_SALES'\n    WHEN {stock} < {horizon} * pace.items THEN 'AT_RISK'\n    ELSE 'SUFFICIENT'\nEND"
    );
    let last = Select::new(
        &[
            ("shop_id", "inventory.shop_id"),
            ("product_id", "inventory.product_id"),
            ("sku_id", "inventory.sku_id"),
            (
                "is_campaign_product",
                "inventory.product_id IN (SELECT product_id FROM campaign_products)",
            ),
            ("available_quantity", "inventory.available_quantity"),
        ],
        "inventory",
    )
    .join(
        "pace",
        "JOIN pace ON pace.product_id = inventory.product_id AND pace.sku_id = inventory.sku_id",
    )
    .join(
        "horizons",
        "LEFT JOIN horizons ON horizons.product_id = inventory.product_id",
    )
    .column("daily_sales", ratio("pace.items", "pace.days"))
    .column("days_of_cover", ratio(&format!("({stock})"), "pace.items"))
    .column("horizon_days", horizon)
    .column("stock_status", status);
    Ok(Query { steps, last })
}

fn shop_tier(files: &Files) -> Result<Query> {
    let first = trailing(files.day, LONG_WINDOW_DAYS);
    let days = files.days(
        &["published_days", "shop_daily"],
        &SHOP_DAILY,
        first,
        files.day,
    )?;
    let mut tier = "CASE".to_owned();
    let tiers = &files.facts.config.tiers;
    for tier_above in tiers.iter().skip(1).rev() {
        tier.push_str(&format!(
            "\n    WHEN sums.trailing_gmv >= {} THEN {}",
            show_cents(tier_above.min_gmv_cents),
            text(&tier_above.name)
        ));
    }
    let lowest = tiers.first().map_or("", |tier| tier.name.as_str());
    match tiers.len() {
        1 => tier = text(lowest),
        _ => tier.push_str(&format!("\n    ELSE {}\nEND", text(lowest))),
    }
    let sums = Select::new(
        &[("shop_id", "shop_id"), ("trailing_gmv", "sum(gmv)")],
        "shop_daily",
    );
    let steps = vec![
        files.published("today", &SHOP_DAILY, &[files.day], &[files.of_shop()])?,
        published_days(&days),
        files.published("shop_daily", &SHOP_DAILY, &days, &[files.of_shop()])?,
        Step::of("sums", sums.rest("GROUP BY shop_id")),
    ];
    let last = Select::new(
        &[("shop_id", "today.shop_id"), ("category", "today.category")],
        "today",
    )
    .join("sums", "JOIN sums ON sums.shop_id = today.shop_id")
    .column("trailing_gmv", "sums.trailing_gmv")
    .column("observed_days", "(SELECT count(*) FROM published_days)")
    .column("tier", tier);
    Ok(Query { steps, last })
}
