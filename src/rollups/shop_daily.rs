//! shop_daily: one row for each shop, its sales, traffic, new contents and ads of the day.

use std::collections::HashMap;

use anyhow::Result;
use polars::prelude::*;

use super::groups::union;
use super::orders::{OrderSums, ShopSales};
use super::traffic::{TrafficSums, Visits};
use crate::columns;
use crate::contracts::datasets::{AFFILIATE_ACCOUNTS, LIVE, VIDEO};
use crate::days::calendar::CivilDay;
use crate::exports::snapshots::{AdHour, Content, Shop, Snapshots};
use crate::metrics;

/// Contents published within the day, by account type and content type.
#[derive(Clone, Copy, Default)]
struct NewContents {
    creator_videos: i64,
    creator_lives: i64,
    seller_videos: i64,
    seller_lives: i64,
}

/// Ads of the primary account; cents.
#[derive(Clone, Copy, Default)]
struct Ads {
    spend: i128,
    gross_revenue: i128,
}

/// One row of the table before its ratios.
struct Row<'a> {
    shop_id: i64,
    category: Option<&'a str>,
    sales: ShopSales,
    gmv_live: i128,
    gmv_video: i128,
    visits: Visits,
    /// `None` without the `contents` export.
    new_contents: Option<NewContents>,
    /// `None` without the `ad_hours` export, or for a shop that is not in `shops`.
    ads: Option<Ads>,
}

/// Grain: every shop in `shops` or with a used row in `order_lines` or `product_traffic`.
///
/// Source: SPEC.md section 3.1.
pub(super) fn shop_daily(
    orders: &OrderSums,
    traffic: &TrafficSums,
    snapshots: &Snapshots,
    civil: &CivilDay,
) -> Result<DataFrame> {
    let shops: HashMap<i64, &Shop> = snapshots.shops.iter().map(|s| (s.shop_id, s)).collect();
    let new_contents = snapshots
        .contents()
        .map(|contents| new_contents(contents, civil));
    let ads = snapshots.ad_hours().map(ads);
    let active = union(orders.shops.keys(), traffic.shops.keys());
    let rows: Vec<Row> = union(active.iter(), shops.keys())
        .into_iter()
        .map(|shop_id| Row {
            shop_id,
            category: shops.get(&shop_id).and_then(|s| s.category.as_deref()),
            sales: orders.shops.get(&shop_id).copied().unwrap_or_default(),
            gmv_live: gmv_of(orders, shop_id, LIVE),
            gmv_video: gmv_of(orders, shop_id, VIDEO),
            visits: traffic.shops.get(&shop_id).copied().unwrap_or_default(),
            new_contents: new_contents
                .as_ref()
                .map(|new| new.get(&shop_id).copied().unwrap_or_default()),
            ads: ads
                .as_ref()
                .filter(|_| shops.contains_key(&shop_id))
                .map(|ads| ads.get(&shop_id).copied().unwrap_or_default()),
        })
        .collect();
    lay_out(&rows)
}

fn new_contents(contents: &[Content], civil: &CivilDay) -> HashMap<i64, NewContents> {
    let mut new: HashMap<i64, NewContents> = HashMap::new();
    for content in contents
        .iter()
        .filter(|c| civil.contains(c.published_at_us))
    {
        let shop = new.entry(content.shop_id).or_default();
        let by_creator = content.account_type == AFFILIATE_ACCOUNTS;
        match (by_creator, content.content_type.as_str()) {
            (true, VIDEO) => shop.creator_videos += 1,
            (true, _) => shop.creator_lives += 1,
            (false, VIDEO) => shop.seller_videos += 1,
            (false, _) => shop.seller_lives += 1,
        }
    }
    new
}

fn ads(hours: &[AdHour]) -> HashMap<i64, Ads> {
    let mut ads: HashMap<i64, Ads> = HashMap::new();
    for hour in hours {
        let shop = ads.entry(hour.shop_id).or_default();
        shop.spend += hour.spend_cents;
        shop.gross_revenue += hour.gross_revenue_cents;
    }
    ads
}

fn gmv_of(orders: &OrderSums, shop_id: i64, channel: &str) -> i128 {
    let sales = orders.channels.get(&(shop_id, channel.to_owned()));
    sales.map_or(0, |sales| sales.gmv)
}

fn lay_out(rows: &[Row]) -> Result<DataFrame> {
    let table = DataFrame::new(
        rows.len(),
        vec![
            ints("shop_id", rows, |r| r.shop_id),
            columns::texts("category", rows.iter().map(|r| r.category)),
            money("gmv", rows, |r| r.sales.sales.gmv),
            money("gmv_live", rows, |r| r.gmv_live),
            money("gmv_video", rows, |r| r.gmv_video),
            money("gmv_product_card", rows, |r| {
                r.sales.sales.gmv - r.gmv_live - r.gmv_video
            }),
            ints("orders", rows, |r| r.sales.sales.orders),
            ints("sku_orders", rows, |r| r.sales.sales.sku_orders),
            ints("items_sold", rows, |r| r.sales.sales.items_sold),
            ints("customers", rows, |r| r.sales.customers),
            money("contribution_product", rows, |r| {
                r.sales.contribution_product
            }),
            money("contribution_shipping", rows, |r| {
                r.sales.contribution_shipping
            }),
            money("estimated_tiktok_contribution", rows, |r| {
                r.sales.contribution_product + r.sales.contribution_shipping
            }),
            ints("product_impressions", rows, |r| {
                r.visits.counters.impressions
            }),
            ints("product_clicks", rows, |r| r.visits.counters.clicks),
            ints("page_views", rows, |r| r.visits.counters.page_views),
            ints("add_to_carts", rows, |r| r.visits.counters.add_to_carts),
            ints("unique_reach", rows, |r| r.visits.users.reached),
            ints("unique_clicks", rows, |r| r.visits.users.clicked),
            ints("unique_page_viewers", rows, |r| r.visits.users.viewed),
            ints("unique_cart_adders", rows, |r| r.visits.users.added),
            new_content_ints("creator_new_videos", rows, |n| n.creator_videos),
            new_content_ints("creator_new_lives", rows, |n| n.creator_lives),
            new_content_ints("seller_new_videos", rows, |n| n.seller_videos),
            new_content_ints("seller_new_lives", rows, |n| n.seller_lives),
            ad_money("ad_spend", rows, |a| a.spend),
            ad_money("ad_gross_revenue", rows, |a| a.gross_revenue),
        ],
    )?;
    let ratios = [
        metrics::AVG_ORDER_VALUE,
        metrics::CTR,
        metrics::CTOR,
        metrics::ADD_TO_CART_RATE,
        metrics::AD_ROI,
    ];
    metrics::with_ratios(table, &ratios)
}

fn ints(name: &str, rows: &[Row], value: fn(&Row) -> i64) -> Column {
    columns::ints(name, rows.iter().map(value))
}

fn money(name: &str, rows: &[Row], value: fn(&Row) -> i128) -> Column {
    columns::money(name, rows.iter().map(value))
}

/// A number of new contents, null where the export is absent.
fn new_content_ints(name: &str, rows: &[Row], value: fn(NewContents) -> i64) -> Column {
    columns::ints(name, rows.iter().map(|r| r.new_contents.map(value)))
}

/// Money of ads, null where the export is absent or the shop is not in `shops`.
fn ad_money(name: &str, rows: &[Row], value: fn(Ads) -> i128) -> Column {
    columns::money(name, rows.iter().map(|r| r.ads.map(value)))
}
