//! channel_daily: one row for each shop and channel as exported.

use anyhow::Result;
use polars::prelude::*;

use super::groups::union;
use super::orders::OrderSums;
use super::traffic::TrafficSums;
use crate::columns;
use crate::metrics;

/// Grain: each (shop, channel) with a used row in `order_lines` or `product_traffic`.
///
/// Source: SPEC.md section 3.1.
pub(super) fn channel_daily(orders: &OrderSums, traffic: &TrafficSums) -> Result<DataFrame> {
    let keys = union(orders.channels.keys(), traffic.channels.keys());
    let sales: Vec<_> = keys
        .iter()
        .map(|k| orders.channels.get(k).copied().unwrap_or_default())
        .collect();
    let counters: Vec<_> = keys
        .iter()
        .map(|k| traffic.channels.get(k).copied().unwrap_or_default())
        .collect();
    let table = DataFrame::new(
        keys.len(),
        vec![
            columns::ints("shop_id", keys.iter().map(|k| k.0)),
            columns::texts("channel", keys.iter().map(|k| k.1.as_str())),
            columns::ints(
                "product_impressions",
                counters.iter().map(|c| c.impressions),
            ),
            columns::ints("product_clicks", counters.iter().map(|c| c.clicks)),
            columns::ints("sku_orders", sales.iter().map(|s| s.sku_orders)),
            columns::money("gmv", sales.iter().map(|s| s.gmv)),
        ],
    )?;
    let table = metrics::with_impression_share(table)?;
    metrics::with_ratios(table, &[metrics::CTR, metrics::CTOR])
}
