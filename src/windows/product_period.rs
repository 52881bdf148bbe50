//! product_period: each campaign's shops by product, summed over the period.

use anyhow::Result;
use polars::prelude::*;

use super::WindowInputs;
use super::periods::{in_period, inner_join, keys, period_shops, sums};
use crate::columns;
use crate::contracts::tables::PRODUCT_DAILY;
use crate::metrics;

const SUMMED: [&str; 10] = [
    "product_impressions",
    "product_clicks",
    "page_views",
    "add_to_carts",
    "unique_page_viewers",
    "unique_cart_adders",
    "orders",
    "sku_orders",
    "items_sold",
    "gmv",
];

/// Grain: each campaign, shop of shop_period and product with a row in the period.
///
/// Null: `is_campaign_product` where `campaign_products` of the day is absent.
///
/// Source: SPEC.md section 3.2.
pub fn product_period(inputs: &WindowInputs) -> Result<DataFrame> {
    let read: Vec<&str> = ["product_id"].iter().chain(&SUMMED).copied().collect();
    let shops = period_shops(inputs, &["days"])?;
    let daily = in_period(inputs, shops.clone(), &PRODUCT_DAILY, &read)?;
    let by_product = daily.group_by(keys(&["campaign_id", "shop_id", "product_id"])).agg(sums(&SUMMED));
    let table = inner_join(by_product, shops, &["campaign_id", "shop_id"])
        .with_columns([metrics::add_to_cart_rate(), metrics::ctr(), metrics::ctor()])
        .collect()?;
    with_campaign_flag(table, inputs)
}

/// Adds `is_campaign_product`: the shop's product is one of this campaign, on the day.
fn with_campaign_flag(mut table: DataFrame, inputs: &WindowInputs) -> Result<DataFrame> {
    let products = inputs.snapshots.products_by_campaign();
    let [campaigns, shops, ids] = ["campaign_id", "shop_id", "product_id"].map(|name| table.column(name));
    let (campaigns, shops, ids) = (campaigns?.i64()?, shops?.i64()?, ids?.i64()?);
    let flags: Vec<Option<bool>> = campaigns
        .iter()
        .zip(shops.iter())
        .zip(ids.iter())
        .map(|((campaign, shop), product)| Some(products.as_ref()?.contains(&(campaign?, shop?, product?))))
        .collect();
    table.with_column(columns::flags("is_campaign_product", flags))?;
    Ok(table)
}
