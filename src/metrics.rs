//! Formulas that several tables share: ratios with empty denominators, shares, ranks.

use std::collections::HashMap;

use anyhow::Result;
use polars::prelude::*;

use crate::columns;

/// A column that is the quotient of two columns: `numerator / denominator` as DOUBLE, divided once.
/// Null where the denominator is 0 or either is null.
///
/// Both are exact whole numbers. Money over money is cents over cents; for money over a count see
/// [`Ratio::money_per`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    name: &'static str,
    numerator: Term,
    denominator: Term,
}

/// A column, and the whole number that its values are multiplied by.
type Term = (&'static str, i128);

pub(crate) const CTR: Ratio = Ratio::new("ctr", "product_clicks", "product_impressions");
pub(crate) const CTOR: Ratio = Ratio::new("ctor", "sku_orders", "product_clicks");
pub(crate) const AVG_ORDER_VALUE: Ratio = Ratio::money_per("avg_order_value", "gmv", "orders");
/// Of the daily counts, or of their sums over a period.
pub(crate) const ADD_TO_CART_RATE: Ratio = Ratio::new(
    "add_to_cart_rate",
    "unique_cart_adders",
    "unique_page_viewers",
);
pub(crate) const AD_ROI: Ratio = Ratio::new("ad_roi", "ad_gross_revenue", "ad_spend");
/// Money per 1000 views: cents * 1000 / (views * 100), in one division.
pub(crate) const GPM: Ratio = Ratio::scaled("gpm", ("gmv", 10), ("views", 1));

impl Ratio {
    pub(crate) const fn new(
        name: &'static str,
        numerator: &'static str,
        denominator: &'static str,
    ) -> Ratio {
        Ratio::scaled(name, (numerator, 1), (denominator, 1))
    }

    /// Money in units of the currency per one of a count.
    pub(crate) const fn money_per(
        name: &'static str,
        cents: &'static str,
        count: &'static str,
    ) -> Ratio {
        Ratio::scaled(name, (cents, 1), (count, 100))
    }

    pub(crate) const fn scaled(name: &'static str, numerator: Term, denominator: Term) -> Ratio {
        Ratio {
            name,
            numerator,
            denominator,
        }
    }

    fn column(&self, rows: &DataFrame) -> Result<Column> {
        let ratios = doubles_of(rows, self.numerator)?
            .zip(doubles_of(rows, self.denominator)?)
            .map(|(n, d)| Some(n? / d.filter(|d| *d != 0.0)?));
        Ok(columns::doubles(self.name, ratios))
    }
}

fn doubles_of(
    rows: &DataFrame,
    (name, factor): Term,
) -> Result<impl Iterator<Item = Option<f64>> + '_> {
    let values = columns::whole_numbers(rows.column(name)?)?;
    Ok(values.map(move |value| value.map(|value| (value * factor) as f64)))
}

/// Adds ratios of columns of the rows.
pub(crate) fn with_ratios(mut rows: DataFrame, ratios: &[Ratio]) -> Result<DataFrame> {
    for ratio in ratios {
        rows.with_column(ratio.column(&rows)?)?;
    }
    Ok(rows)
}

/// Adds `impression_share`: the row's share of the product impressions of its shop's rows.
pub(crate) fn with_impression_share(mut rows: DataFrame) -> Result<DataFrame> {
    const OF_SHOP: &str = "impressions_of_shop";
    let shops = rows.column("shop_id")?.i64()?;
    let impressions = columns::whole_numbers(rows.column("product_impressions")?)?;
    let mut of_shops: HashMap<Option<i64>, i128> = HashMap::new();
    for (shop, impressions) in shops.iter().zip(impressions) {
        *of_shops.entry(shop).or_default() += impressions.unwrap_or(0);
    }
    let of_shop = columns::money(OF_SHOP, shops.iter().map(|shop| of_shops[&shop]));
    rows.with_column(of_shop)?;
    let share = Ratio::new("impression_share", "product_impressions", OF_SHOP);
    let mut rows = with_ratios(rows, &[share])?;
    rows.drop_in_place(OF_SHOP)?;
    Ok(rows)
}

/// Adds `gmv_rank`: 1 = highest `gmv` within `group`; ties by smaller `id`. Sorts the rows by group
/// and rank.
pub(crate) fn with_gmv_rank(rows: DataFrame, group: &[&str], id: &str) -> Result<DataFrame> {
    let by: Vec<&str> = group.iter().copied().chain(["gmv", id]).collect();
    let descending: Vec<bool> = by.iter().map(|name| *name == "gmv").collect();
    let mut rows = rows.sort(
        by,
        SortMultipleOptions::default().with_order_descending_multi(descending),
    )?;
    let continues = columns::continues_group(&rows, group)?;
    let ranks = continues.iter().scan(0_i64, |rank, continues| {
        *rank = if *continues { *rank + 1 } else { 1 };
        Some(*rank)
    });
    rows.with_column(columns::ints("gmv_rank", ranks))?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(numerator: Option<i64>, denominator: Option<i64>) -> Option<f64> {
        ratios([numerator], [denominator])[0]
    }

    fn ratios<const ROWS: usize>(
        numerators: [Option<i64>; ROWS],
        denominators: [Option<i64>; ROWS],
    ) -> Vec<Option<f64>> {
        let (n, d) = (
            columns::ints("n", numerators),
            columns::ints("d", denominators),
        );
        let rows = DataFrame::new(ROWS, vec![n, d]).unwrap();
        let rows = with_ratios(rows, &[Ratio::new("r", "n", "d")]).unwrap();
        rows.column("r").unwrap().f64().unwrap().iter().collect()
    }

    #[test]
    fn a_ratio_without_a_denominator_is_null() {
        assert_eq!(one(Some(1), Some(4)), Some(0.25));
        assert_eq!(one(Some(0), Some(4)), Some(0.0));
        assert_eq!(one(Some(1), Some(0)), None);
        assert_eq!(one(Some(0), Some(0)), None);
        assert_eq!(one(Some(1), None), None);
        assert_eq!(one(None, Some(4)), None);
    }

    #[test]
    fn a_ratio_is_divided_once_however_many_rows_there_are() {
        assert_eq!(one(Some(49), Some(49)), Some(1.0));
        assert_eq!(
            ratios([Some(49), Some(98)], [Some(49), Some(49)]),
            [Some(1.0), Some(2.0)]
        );
    }

    #[test]
    fn the_impression_share_is_of_the_shop() {
        let rows = DataFrame::new(
            4,
            vec![
                columns::ints("shop_id", [1, 1, 2, 3]),
                columns::ints("product_impressions", [1, 3, 7, 0]),
            ],
        )
        .unwrap();
        let rows = with_impression_share(rows).unwrap();
        let shares = rows.column("impression_share").unwrap().f64().unwrap();
        assert_eq!(
            shares.iter().collect::<Vec<_>>(),
            [Some(0.25), Some(0.75), Some(1.0), None]
        );
    }

    #[test]
    fn ranks_break_ties_by_the_smaller_id() {
        let rows = DataFrame::new(
            4,
            vec![
                columns::ints("shop_id", [1, 1, 1, 2]),
                columns::ints("id", [9, 3, 5, 1]),
                columns::money("gmv", [700_i128, 700, 900, 0]),
            ],
        )
        .unwrap();
        let ranked = with_gmv_rank(rows, &["shop_id"], "id").unwrap();
        let ids: Vec<_> = ranked
            .column("id")
            .unwrap()
            .i64()
            .unwrap()
            .iter()
            .flatten()
            .collect();
        let ranks: Vec<_> = ranked
            .column("gmv_rank")
            .unwrap()
            .i64()
            .unwrap()
            .iter()
            .flatten()
            .collect();
        assert_eq!((ids, ranks), (vec![5, 3, 9, 1], vec![1, 2, 3, 1]));
    }
}
