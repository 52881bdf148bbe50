//! product_period: each campaign's shops by product, summed over the period.

use anyhow::Result;
use polars::prelude::*;

use super::adding::Adds;
use super::inputs::{Emit, WindowInputs};
use super::periods::{Days, Period, PeriodSums, Periods, by_campaign};
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
};

/// Grain: each campaign, shop of shop_period and product with a row in the period.
///
/// Null: `is_campaign_product` where `campaign_products` of the day is absent.
///
/// Source: SPEC.md section 3.2.
pub(super) fn product_period(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    let periods = Periods::of_shop_period(inputs)?;
    let products = inputs.snapshots.campaign_products()?.map(|products| {
        by_campaign(
            products
                .iter()
                .map(|product| (product.campaign_id, (product.shop_id, product.product_id))),
        )
    });
    let finish = |period: &Period, sums| {
        let of_campaign = products
            .as_ref()
            .map(|of| of.get(&period.campaign_id).map_or(&[][..], Vec::as_slice));
        let table = with_campaign_flag(sums, of_campaign)?;
        let ratios = [metrics::ADD_TO_CART_RATE, metrics::CTR, metrics::CTOR];
        metrics::with_ratios(table, &ratios)
    };
    periods.add_up(inputs, &SUMS, &finish, emit)
}

/// Adds `is_campaign_product`. `products`: the (shop, product) of the campaign on the day, ascending;
/// `None` where the export is absent.
fn with_campaign_flag(mut table: DataFrame, products: Option<&[(i64, i64)]>) -> Result<DataFrame> {
    let (shops, ids) = (
        table.column("shop_id")?.i64()?,
        table.column("product_id")?.i64()?,
    );
    let flags = shops
        .iter()
        .zip(ids.iter())
        .map(|(shop, product)| Some(products?.binary_search(&(shop?, product?)).is_ok()));
    let flags = columns::flags("is_campaign_product", flags.collect::<Vec<_>>());
    table.with_column(flags)?;
    Ok(table)
}
