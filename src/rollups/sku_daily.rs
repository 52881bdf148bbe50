//! sku_daily: one row for each SKU sold.

use anyhow::Result;
use polars::prelude::*;

use super::groups::union;
use super::orders::OrderSums;
use crate::columns;

/// Grain: each (shop, product, SKU) with a used order line.
///
/// Source: SPEC.md section 3.1.
pub(super) fn sku_daily(orders: &OrderSums) -> Result<DataFrame> {
    let keys = union(orders.skus.keys(), std::iter::empty());
    let sales: Vec<_> = keys
        .iter()
        .map(|k| orders.skus.get(k).copied().unwrap_or_default())
        .collect();
    Ok(DataFrame::new(
        keys.len(),
        vec![
            columns::ints("shop_id", keys.iter().map(|k| k.0)),
            columns::ints("product_id", keys.iter().map(|k| k.1)),
            columns::ints("sku_id", keys.iter().map(|k| k.2)),
            columns::ints("items_sold", sales.iter().map(|s| s.items_sold)),
            columns::money("gmv", sales.iter().map(|s| s.gmv)),
        ],
    )?)
}
