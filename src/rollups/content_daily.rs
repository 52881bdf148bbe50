//! content_daily: one row for each content and shop, with its traffic and sales.

use anyhow::Result;
use polars::prelude::*;

use super::orders::OrderSums;
use super::traffic::TrafficSums;
use crate::columns;
use crate::exports::snapshots::Content;
use crate::metrics::{self, Ratio};

/// Grain: each row of `contents`.
///
/// Null: `views`, hence `gpm`, where the export does not know them.
///
/// Source: SPEC.md section 3.1.
pub(super) fn content_daily(
    orders: &OrderSums,
    traffic: &TrafficSums,
    contents: &[Content],
) -> Result<DataFrame> {
    let key = |c: &Content| (c.shop_id, c.content_id);
    let sales: Vec<_> = contents
        .iter()
        .map(|c| orders.contents.get(&key(c)).copied().unwrap_or_default())
        .collect();
    let counters: Vec<_> = contents
        .iter()
        .map(|c| traffic.contents.get(&key(c)).copied().unwrap_or_default())
        .collect();
    let shop_gmv = contents.iter().map(|c| {
        orders
            .shops
            .get(&c.shop_id)
            .copied()
            .unwrap_or_default()
            .sales
            .gmv
    });
    let table = DataFrame::new(
        contents.len(),
        vec![
            columns::ints("shop_id", contents.iter().map(|c| c.shop_id)),
            columns::ints("content_id", contents.iter().map(|c| c.content_id)),
            columns::texts(
                "content_type",
                contents.iter().map(|c| c.content_type.as_str()),
            ),
            columns::texts(
                "account_type",
                contents.iter().map(|c| c.account_type.as_str()),
            ),
            columns::texts(
                "creator_handle",
                contents.iter().map(|c| c.creator_handle.as_str()),
            ),
            columns::texts("title", contents.iter().map(|c| c.title.as_deref())),
            columns::ints("published_at", contents.iter().map(|c| c.published_at_us)),
            columns::ints("views", contents.iter().map(|c| c.views)),
            columns::flags("has_violation", contents.iter().map(|c| c.has_violation)),
            columns::flags("is_key_live", contents.iter().map(|c| c.is_key_live)),
            columns::ints(
                "product_impressions",
                counters.iter().map(|c| c.impressions),
            ),
            columns::ints("product_clicks", counters.iter().map(|c| c.clicks)),
            columns::ints("orders", sales.iter().map(|s| s.orders)),
            columns::ints("sku_orders", sales.iter().map(|s| s.sku_orders)),
            columns::ints("items_sold", sales.iter().map(|s| s.items_sold)),
            columns::money("gmv", sales.iter().map(|s| s.gmv)),
            columns::money("shop_gmv", shop_gmv),
        ],
    )?;
    let gmv_share = Ratio::new("gmv_share", "gmv", "shop_gmv");
    let ratios = [metrics::CTR, metrics::CTOR, metrics::GPM, gmv_share];
    let table = metrics::with_ratios(table, &ratios)?;
    metrics::with_gmv_rank(table, &["shop_id", "content_type"], "content_id")
}
