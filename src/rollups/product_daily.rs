//! product_daily: one row for each shop and product with traffic or sales.

use anyhow::Result;
use polars::prelude::*;

use super::groups::union;
use super::orders::OrderSums;
use super::traffic::TrafficSums;
use crate::columns;
use crate::exports::snapshots::Snapshots;
use crate::metrics;

/// Grain: each (shop, product) with a used row in `order_lines` or `product_traffic`.
///
/// Source: SPEC.md section 3.1.
pub(super) fn product_daily(
    orders: &OrderSums,
    traffic: &TrafficSums,
    snapshots: &Snapshots,
) -> Result<DataFrame> {
    let keys = union(orders.products.keys(), traffic.products.keys());
    let sales: Vec<_> = keys
        .iter()
        .map(|k| orders.products.get(k).copied().unwrap_or_default())
        .collect();
    let visits: Vec<_> = keys
        .iter()
        .map(|k| traffic.products.get(k).copied().unwrap_or_default())
        .collect();
    let in_campaign = snapshots.products_of_any_campaign();
    let table = DataFrame::new(
        keys.len(),
        vec![
            columns::ints("shop_id", keys.iter().map(|k| k.0)),
            columns::ints("product_id", keys.iter().map(|k| k.1)),
            columns::flags(
                "is_campaign_product",
                keys.iter()
                    .map(|k| in_campaign.as_ref().map(|c| c.contains(k))),
            ),
            columns::ints(
                "product_impressions",
                visits.iter().map(|v| v.counters.impressions),
            ),
            columns::ints("product_clicks", visits.iter().map(|v| v.counters.clicks)),
            columns::ints("page_views", visits.iter().map(|v| v.counters.page_views)),
            columns::ints(
                "add_to_carts",
                visits.iter().map(|v| v.counters.add_to_carts),
            ),
            columns::ints("unique_page_viewers", visits.iter().map(|v| v.viewed)),
            columns::ints("unique_cart_adders", visits.iter().map(|v| v.added)),
            columns::ints("orders", sales.iter().map(|s| s.orders)),
            columns::ints("sku_orders", sales.iter().map(|s| s.sku_orders)),
            columns::ints("items_sold", sales.iter().map(|s| s.items_sold)),
            columns::money("gmv", sales.iter().map(|s| s.gmv)),
        ],
    )?;
    metrics::with_ratios(
        table,
        &[metrics::ADD_TO_CART_RATE, metrics::CTR, metrics::CTOR],
    )
}
