//! product_period: each campaign's shops by product, summed over the period.

use std::collections::HashSet;

use anyhow::Result;
use polars::prelude::*;

use super::adding::{Adds, DailyRows};
use super::inputs::{Emit, WindowInputs};
use super::periods::{Period, periods, shop_ids};
use crate::columns;
use crate::contracts::tables::PRODUCT_DAILY;
use crate::metrics;

const COLUMNS: [(&str, Adds); 10] = [
    ("product_impressions", Adds::Sum),
    ("product_clicks", Adds::Sum),
    ("page_views", Adds::Sum),
    ("add_to_carts", Adds::Sum),
    ("unique_page_viewers", Adds::Sum),
    ("unique_cart_adders", Adds::Sum),
    ("orders", Adds::Sum),
    ("sku_orders", Adds::Sum),
    ("items_sold", Adds::Sum),
    ("gmv", Adds::Sum),
];

/// Grain: each campaign, shop of shop_period and product with a row in the period.
///
/// Null: `is_campaign_product` where `campaign_products` of the day is absent.
///
/// Source: SPEC.md section 3.2.
pub fn product_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    for period in periods(inputs)? {
        let shops = shop_ids(&period.shops(inputs, &[])?)?;
        let days = period.days_with(inputs, &PRODUCT_DAILY)?;
        let (table, key) = (&PRODUCT_DAILY, &["shop_id", "product_id"]);
        let daily = DailyRows {
            table,
            days: &days,
            campaign_id: None,
            key,
            columns: &COLUMNS,
        };
        let campaign_products = campaign_products(inputs, &period);
        daily.add_up(inputs, &shops, &mut |sums, _| {
            let table = period.with_columns(sums, period.published().len())?;
            let table = with_campaign_flag(table, campaign_products.as_ref())?;
            emit(metrics::with_ratios(
                table,
                &[metrics::ADD_TO_CART_RATE, metrics::CTR, metrics::CTOR],
            )?)
        })?;
    }
    Ok(())
}

/// The campaign's (shop, product), on the day; `None` where the export is absent.
fn campaign_products(inputs: &WindowInputs, period: &Period) -> Option<HashSet<(i64, i64)>> {
    let products = inputs.snapshots.campaign_products()?.iter();
    let of_campaign = products.filter(|product| product.campaign_id == period.campaign_id);
    Some(
        of_campaign
            .map(|product| (product.shop_id, product.product_id))
            .collect(),
    )
}

/// Adds `is_campaign_product`.
fn with_campaign_flag(
    mut table: DataFrame,
    products: Option<&HashSet<(i64, i64)>>,
) -> Result<DataFrame> {
    let (shops, ids) = (
        table.column("shop_id")?.i64()?,
        table.column("product_id")?.i64()?,
    );
    let flags = shops
        .iter()
        .zip(ids.iter())
        .map(|(shop, product)| Some(products?.contains(&(shop?, product?))));
    let flags = columns::flags("is_campaign_product", flags.collect::<Vec<_>>());
    table.with_column(flags)?;
    Ok(table)
}
