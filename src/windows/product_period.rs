//! product_period: each campaign's shops by product, summed over the period.

use std::collections::HashSet;

use anyhow::Result;
use polars::prelude::*;

use super::adding::Adds;
use super::inputs::{Emit, WindowInputs};
use super::periods::{Days, Period, PeriodSums, periods};
use crate::columns;
use crate::contracts::tables::PRODUCT_DAILY;
use crate::metrics;

static SUMS: PeriodSums = PeriodSums {
    daily: &PRODUCT_DAILY,
    key: &["shop_id", "product_id"],
    columns: &[
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
    ],
    days: Days::Published,
    of_own_campaign: false,
};

/// Grain: each campaign, shop of shop_period and product with a row in the period.
///
/// Null: `is_campaign_product` where `campaign_products` of the day is absent.
///
/// Source: SPEC.md section 3.2.
pub(super) fn product_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    for period in periods(inputs)? {
        let shops = period.shops(inputs)?;
        let campaign_products = campaign_products(inputs, &period)?;
        period.add_up(inputs, &shops, &SUMS, &mut |sums| {
            let table = with_campaign_flag(sums, campaign_products.as_ref())?;
            let ratios = [metrics::ADD_TO_CART_RATE, metrics::CTR, metrics::CTOR];
            emit(metrics::with_ratios(table, &ratios)?)
        })?;
    }
    Ok(())
}

/// The (shop, product) of the campaign on the day.
type ShopProducts = HashSet<(i64, i64)>;

/// `None` where the export is absent.
fn campaign_products(inputs: &WindowInputs, period: &Period) -> Result<Option<ShopProducts>> {
    let Some(products) = inputs.snapshots.campaign_products()? else {
        return Ok(None);
    };
    let of_campaign = products
        .iter()
        .filter(|product| product.campaign_id == period.campaign_id);
    Ok(Some(
        of_campaign
            .map(|product| (product.shop_id, product.product_id))
            .collect(),
    ))
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
