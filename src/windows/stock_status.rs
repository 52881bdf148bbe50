//! stock_status: for each SKU, how long its stock lasts at the recent pace.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use anyhow::{Context, Result};
use polars::prelude::*;

use super::inputs::{Emit, Rows, WindowInputs};
use crate::columns;
use crate::contracts::tables::{LONG_WINDOW_DAYS, SHOP_DAILY, SHORT_WINDOW_DAYS, SKU_DAILY};
use crate::days::calendar::trailing;
use crate::exports::snapshots::InventoryItem;
use crate::threads::{in_order, ranges};

/// Rows that a thread lays out at a time.
const ROWS_AT_ONCE: usize = 16_384;
/// Days that stock has to last, unless a campaign ends earlier.
const HORIZON_DAYS: i64 = 7;

/// Items sold per day as an exact fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    items: i128,
    days: i128,
}

impl Pace {
    fn greater(self, other: Pace) -> Pace {
        if other.items * self.days > self.items * other.days {
            other
        } else {
            self
        }
    }
}

/// Grain: each SKU of `inventory`.
///
/// Formula: `daily_sales` is the greater of the mean items sold per published day over 7 and over
/// 30 days; whether the stock lasts for the horizon is compared as fractions, never on rounded
/// doubles. Null: `days_of_cover` without recent sales; `is_campaign_product` where
/// `campaign_products` is absent.
///
/// Example: 9 available and 9 sold in 7 published days last exactly 7 days: SUFFICIENT, not
/// AT_RISK.
///
/// Source: SPEC.md section 3.2.
pub(super) fn stock_status(inputs: &WindowInputs, emit: Emit) -> Result<()> {
    let mut items: Vec<&InventoryItem> = inputs
        .snapshots
        .inventory()?
        .unwrap_or_default()
        .iter()
        .collect();
    items.sort_unstable_by_key(|i| (i.shop_id, i.product_id, i.sku_id));
    let in_campaign = inputs.snapshots.products_of_any_campaign()?;
    let horizons = horizons(inputs)?;
    for items in items.chunks(inputs.rows_at_once) {
        let (paces, in_campaign) = (paces(inputs, items)?, in_campaign.as_ref());
        let parts = ranges(items.len(), ROWS_AT_ONCE);
        let statuses = |some| statuses(items, some, &paces, in_campaign, &horizons);
        in_order(inputs.threads, parts, statuses, |rows| emit(rows?))?;
    }
    Ok(())
}

/// The rows of some SKUs.
fn statuses(
    items: &[&InventoryItem],
    some: Range<usize>,
    paces: &Paces,
    in_campaign: Option<&HashSet<(i64, i64)>>,
    horizons: &HashMap<(i64, i64), i64>,
) -> Result<DataFrame> {
    let rows: Vec<Row> = some
        .map(|sku| (items[sku], paces.of(sku)))
        .map(|(item, pace)| Row {
            item,
            pace,
            horizon_days: horizons
                .get(&(item.shop_id, item.product_id))
                .copied()
                .unwrap_or(HORIZON_DAYS),
            is_campaign_product: in_campaign
                .map(|products| products.contains(&(item.shop_id, item.product_id))),
        })
        .collect();
    Ok(DataFrame::new(
        rows.len(),
        vec![
            columns::ints("shop_id", rows.iter().map(|r| r.item.shop_id)),
            columns::ints("product_id", rows.iter().map(|r| r.item.product_id)),
            columns::ints("sku_id", rows.iter().map(|r| r.item.sku_id)),
            columns::flags(
                "is_campaign_product",
                rows.iter().map(|r| r.is_campaign_product),
            ),
            columns::ints(
                "available_quantity",
                rows.iter().map(|r| r.item.available_quantity),
            ),
            columns::doubles("daily_sales", rows.iter().map(Row::daily_sales)),
            columns::doubles("days_of_cover", rows.iter().map(Row::days_of_cover)),
            columns::ints("horizon_days", rows.iter().map(|r| r.horizon_days)),
            columns::texts("stock_status", rows.iter().map(Row::status)),
        ],
    )?)
}

/// One row of the table.
struct Row<'a> {
    item: &'a InventoryItem,
    pace: Pace,
    horizon_days: i64,
    is_campaign_product: Option<bool>,
}

impl Row<'_> {
    fn daily_sales(&self) -> f64 {
        self.pace.items as f64 / self.pace.days as f64
    }

    fn days_of_cover(&self) -> Option<f64> {
        let stock = i128::from(self.item.available_quantity);
        (self.pace.items > 0).then(|| (stock * self.pace.days) as f64 / self.pace.items as f64)
    }

    fn status(&self) -> &'static str {
        status(self.item.available_quantity, self.pace, self.horizon_days)
    }
}

fn status(available: i64, pace: Pace, horizon_days: i64) -> &'static str {
    if available == 0 {
        "OUT_OF_STOCK"
    } else if pace.items == 0 {
        "NO_RECENT_SALES"
    } else if i128::from(available) * pace.days < i128::from(horizon_days) * pace.items {
        "AT_RISK"
    } else {
        "SUFFICIENT"
    }
}

/// The items sold of some SKUs, and the published days of both windows.
struct Paces {
    /// For each SKU: in the short window, and in the long one.
    sold: Vec<(i128, i128)>,
    short_days: i128,
    long_days: i128,
}

impl Paces {
    fn of(&self, sku: usize) -> Pace {
        let (short, long) = self.sold[sku];
        Pace {
            items: short,
            days: self.short_days,
        }
        .greater(Pace {
            items: long,
            days: self.long_days,
        })
    }
}

/// The paces of some SKUs, which ascend.
fn paces(inputs: &WindowInputs, items: &[&InventoryItem]) -> Result<Paces> {
    let mut shops: Vec<i64> = items.iter().map(|i| i.shop_id).collect();
    shops.dedup();
    let short_first = trailing(inputs.day, SHORT_WINDOW_DAYS);
    let long_first = trailing(inputs.day, LONG_WINDOW_DAYS);
    let mut published = inputs
        .published
        .published_days(&SHOP_DAILY, long_first, inputs.day)?;
    // A day whose sales by SKU are lost says nothing about them.
    let with_skus = inputs
        .published
        .published_days(&SKU_DAILY, long_first, inputs.day)?;
    published.retain(|day| with_skus.contains(day));
    let (columns, rows) = (
        ["shop_id", "product_id", "sku_id", "items_sold"],
        Rows {
            campaign_id: None,
            shops: Some(&shops),
        },
    );
    let mut sold = vec![(0, 0); items.len()];
    // The rows of a day ascend, too.
    let (mut last_day, mut next) = (None, 0);
    inputs.published.read_days(
        &SKU_DAILY,
        &published,
        &columns,
        rows,
        &mut |of_day, rows| {
            if last_day.replace(of_day) != Some(of_day) {
                next = 0;
            }
            let [shops, products, skus, items_sold] = columns.map(|name| rows.column(name));
            let ids = shops?.i64()?.iter().zip(products?.i64()?.iter());
            let ids = ids.zip(skus?.i64()?.iter());
            for (((shop, product), sku), count) in ids.zip(items_sold?.i64()?.iter()) {
                let key = (shop, product, sku);
                let is_before = |item: &&&InventoryItem| key_of(item) < key;
                next += items[next..].iter().take_while(is_before).count();
                if items.get(next).is_some_and(|item| key_of(item) == key) {
                    let (short, long) = &mut sold[next];
                    let count = i128::from(count.context("items_sold is never null")?);
                    *long += count;
                    if published[of_day] >= short_first {
                        *short += count;
                    }
                }
            }
            Ok(())
        },
    )?;
    Ok(Paces {
        sold,
        short_days: published.iter().filter(|day| **day >= short_first).count() as i128,
        long_days: published.len() as i128,
    })
}

fn key_of(item: &InventoryItem) -> (Option<i64>, Option<i64>, Option<i64>) {
    (Some(item.shop_id), Some(item.product_id), Some(item.sku_id))
}

/// Horizons shorter than the usual one: of products whose campaign ends after the day but within
/// it.
fn horizons(inputs: &WindowInputs) -> Result<HashMap<(i64, i64), i64>> {
    let days_left: HashMap<i64, i64> = inputs
        .snapshots
        .campaigns()?
        .iter()
        .map(|c| (c.campaign_id, (c.last_day - inputs.day).num_days()))
        .filter(|(_, left)| *left > 0)
        .collect();
    let mut horizons = HashMap::new();
    for product in inputs.snapshots.campaign_products()?.unwrap_or_default() {
        if let Some(left) = days_left.get(&product.campaign_id) {
            let horizon = horizons
                .entry((product.shop_id, product.product_id))
                .or_insert(HORIZON_DAYS);
            *horizon = (*horizon).min(*left);
        }
    }
    Ok(horizons)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_that_lasts_exactly_for_the_horizon_is_sufficient() {
        let pace = Pace { items: 9, days: 7 };
        assert_eq!(status(9, pace, 7), "SUFFICIENT");
        assert_eq!(status(8, pace, 7), "AT_RISK");
        assert_eq!(status(0, pace, 7), "OUT_OF_STOCK");
        assert_eq!(status(1, Pace { items: 0, days: 7 }, 7), "NO_RECENT_SALES");
    }

    #[test]
    fn the_greater_pace_is_found_without_rounding() {
        let (third, more) = (
            Pace { items: 1, days: 3 },
            Pace {
                items: 33_334,
                days: 100_000,
            },
        );
        assert_eq!(third.greater(more), more);
        assert_eq!(more.greater(third), more);
    }
}
