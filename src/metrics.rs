//! The formulas that several tables share: ratios and what an empty denominator gives, shares,
//! ranks.

use anyhow::Result;
use polars::prelude::*;

use crate::columns;

/// `numerator / denominator` as DOUBLE, divided once; null where the denominator is 0 or either is
/// null.
///
/// Both are exact whole numbers; money (cents) over money is its own ratio, for money over a count
/// see [`money_per`].
pub fn ratio(numerator: Expr, denominator: Expr) -> Expr {
    let both = [
        numerator.cast(DataType::Float64),
        denominator.cast(DataType::Float64),
    ];
    let double = |_: &Schema, of: &[Field]| Ok(Field::new(of[0].name().clone(), DataType::Float64));
    map_multiple(|both| divided(&both[0], &both[1]), both, double)
}

/// Polars' own division multiplies by the reciprocal where the denominator is a single value or a
/// column of one row: two roundings, and 49 / 49 is less than 1.
fn divided(numerators: &Column, denominators: &Column) -> PolarsResult<Column> {
    let rows = numerators.len().max(denominators.len());
    let of_rows = |column: &Column| {
        if column.len() == rows {
            column.clone()
        } else {
            column.new_from_index(0, rows)
        }
    };
    let (numerators, denominators) = (of_rows(numerators), of_rows(denominators));
    let divide = |(n, d): (Option<f64>, Option<f64>)| Some(n? / d.filter(|d| *d != 0.0)?);
    let ratios = numerators
        .f64()?
        .iter()
        .zip(denominators.f64()?.iter())
        .map(divide);
    Ok(columns::doubles(numerators.name(), ratios))
}

/// Money in units of the currency per one of a count.
pub fn money_per(cents: Expr, count: Expr) -> Expr {
    ratio(cents, count.cast(DataType::Int128) * lit(100))
}

/// `(value - base) / base * 100`, from exact whole numbers of one unit.
pub fn difference_pct(value: Expr, base: Expr) -> Expr {
    ratio((value - base.clone()) * lit(100), base)
}

pub fn ctr() -> Expr {
    ratio(col("product_clicks"), col("product_impressions")).alias("ctr")
}

pub fn ctor() -> Expr {
    ratio(col("sku_orders"), col("product_clicks")).alias("ctor")
}

pub fn avg_order_value() -> Expr {
    money_per(col("gmv"), col("orders")).alias("avg_order_value")
}

/// Of the daily counts, or of their sums over a period.
pub fn add_to_cart_rate() -> Expr {
    ratio(col("unique_cart_adders"), col("unique_page_viewers")).alias("add_to_cart_rate")
}

pub fn ad_roi() -> Expr {
    ratio(col("ad_gross_revenue"), col("ad_spend")).alias("ad_roi")
}

/// Money per 1000 views: cents * 1000 / (views * 100), in one division.
pub fn gpm() -> Expr {
    ratio(col("gmv") * lit(10), col("views")).alias("gpm")
}

/// The row's share of the sum over its `group`.
pub fn impression_share(group: &[&str]) -> Result<Expr> {
    let of_group = col("product_impressions")
        .sum()
        .over(group.iter().map(|name| col(*name)).collect::<Vec<_>>())?;
    Ok(ratio(col("product_impressions"), of_group).alias("impression_share"))
}

/// Adds `gmv_rank`: 1 = highest `gmv` within `group`; ties by smaller `id`. Sorts the rows by group
/// and rank.
pub fn with_gmv_rank(rows: DataFrame, group: &[&str], id: &str) -> Result<DataFrame> {
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
        let rows = DataFrame::new(
            1,
            vec![
                columns::ints("n", [numerator]),
                columns::ints("d", [denominator]),
            ],
        )
        .unwrap();
        let rows = rows
            .lazy()
            .select([ratio(col("n"), col("d")).alias("r")])
            .collect()
            .unwrap();
        rows.column("r").unwrap().f64().unwrap().get(0)
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
        let rows = DataFrame::new(2, vec![columns::ints("n", [49, 98])])
            .unwrap()
            .lazy();
        let rows = rows
            .select([ratio(col("n"), lit(49)).alias("r")])
            .collect()
            .unwrap();
        assert_eq!(
            rows.column("r")
                .unwrap()
                .f64()
                .unwrap()
                .iter()
                .collect::<Vec<_>>(),
            [Some(1.0), Some(2.0)]
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
