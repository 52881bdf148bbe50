//! Columns of tables in memory: one function for each kind of the contracts, and comparisons.

use anyhow::Result;
use polars::prelude::*;

pub(crate) fn ints<V: Into<Option<i64>>>(
    name: &str,
    values: impl IntoIterator<Item = V>,
) -> Column {
    values
        .into_iter()
        .map(Into::into)
        .collect::<Int64Chunked>()
        .with_name(name.into())
        .into_column()
}

/// Whole cents.
pub(crate) fn money<V: Into<Option<i128>>>(
    name: &str,
    values: impl IntoIterator<Item = V>,
) -> Column {
    values
        .into_iter()
        .map(Into::into)
        .collect::<Int128Chunked>()
        .with_name(name.into())
        .into_column()
}

pub(crate) fn doubles<V: Into<Option<f64>>>(
    name: &str,
    values: impl IntoIterator<Item = V>,
) -> Column {
    values
        .into_iter()
        .map(Into::into)
        .collect::<Float64Chunked>()
        .with_name(name.into())
        .into_column()
}

pub(crate) fn texts<'a, V: Into<Option<&'a str>>>(
    name: &str,
    values: impl IntoIterator<Item = V>,
) -> Column {
    values
        .into_iter()
        .map(Into::into)
        .collect::<StringChunked>()
        .with_name(name.into())
        .into_column()
}

/// The same text in every row.
pub(crate) fn same_text(name: &str, text: &str, rows: usize) -> Column {
    StringChunked::full(name.into(), text, rows).into_column()
}

/// Texts of a list, each given by its position there. Faster than [`texts`] where few texts are repeated
/// often.
///
/// # Errors
/// When a position is beyond the list.
pub(crate) fn listed_texts<'a, P: Into<Option<usize>>>(
    name: &str,
    list: impl IntoIterator<Item = &'a str>,
    positions: impl IntoIterator<Item = P>,
) -> Result<Column> {
    let list: StringChunked = list.into_iter().map(Some).collect();
    let positions = positions.into_iter().map(Into::into);
    let positions: IdxCa = positions
        .map(|position| position.map(|position| position as IdxSize))
        .collect();
    Ok(list.take(&positions)?.with_name(name.into()).into_column())
}

pub(crate) fn flags<V: Into<Option<bool>>>(
    name: &str,
    values: impl IntoIterator<Item = V>,
) -> Column {
    values
        .into_iter()
        .map(Into::into)
        .collect::<BooleanChunked>()
        .with_name(name.into())
        .into_column()
}

/// Days since 1970-01-01.
pub(crate) fn days<V: Into<Option<i32>>>(
    name: &str,
    values: impl IntoIterator<Item = V>,
) -> Column {
    values
        .into_iter()
        .map(Into::into)
        .collect::<Int32Chunked>()
        .with_name(name.into())
        .into_column()
}

/// The whole numbers of a column of counts or of money.
pub(crate) fn whole_numbers(
    column: &Column,
) -> Result<Box<dyn Iterator<Item = Option<i128>> + '_>> {
    Ok(match column.dtype() {
        DataType::Int128 => Box::new(column.i128()?.iter()),
        _ => Box::new(column.i64()?.iter().map(|count| count.map(i128::from))),
    })
}

/// Tells for each of the sorted rows whether the columns equal those of the row before.
pub(crate) fn continues_group(rows: &DataFrame, columns: &[&str]) -> Result<Vec<bool>> {
    if rows.height() == 0 {
        return Ok(vec![]);
    }
    let keys = rows.select(columns.iter().copied())?;
    let (before, after) = (
        keys.slice(0, keys.height() - 1),
        keys.slice(1, keys.height() - 1),
    );
    let mut same = BooleanChunked::full("same".into(), true, before.height());
    for (a, b) in before.columns().iter().zip(after.columns()) {
        same = &same & &a.equal_missing(b)?;
    }
    Ok(std::iter::once(false)
        .chain(same.iter().map(|v| v == Some(true)))
        .collect())
}

/// Whether every row comes after the one before it, by columns that are never null.
pub(crate) fn ascends(rows: &DataFrame, columns: &[&str]) -> Result<bool> {
    if rows.height() < 2 {
        return Ok(true);
    }
    let keys = rows.select(columns.iter().copied())?;
    let (before, after) = (
        keys.slice(0, keys.height() - 1),
        keys.slice(1, keys.height() - 1),
    );
    // Whether both rows are equal up to here.
    let mut is_tied = BooleanChunked::full("is_tied".into(), true, before.height());
    for (a, b) in before.columns().iter().zip(after.columns()) {
        let is_equal = a.equal(b)?;
        if !is_equal.all() && (&is_tied & &!&(&is_equal | &a.lt(b)?)).any() {
            return Ok(false);
        }
        is_tied = &is_tied & &is_equal;
    }
    Ok(!is_tied.any())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_ascend_by_their_columns_from_left_to_right() {
        let ascend = |ids: [i64; 2], names: [&str; 2]| {
            ascends(
                &DataFrame::new(2, vec![ints("id", ids), texts("name", names)]).unwrap(),
                &["id", "name"],
            )
            .unwrap()
        };
        assert!(ascend([1, 2], ["b", "a"]));
        assert!(ascend([1, 1], ["B", "a"]));
        assert!(!ascend([1, 1], ["a", "a"]));
        assert!(!ascend([2, 1], ["a", "b"]));
    }

    #[test]
    fn listed_texts_are_those_at_their_positions() {
        let column = listed_texts("tier", ["T1", "T2"], [Some(1), None, Some(0), Some(1)]);
        let expected = texts("tier", [Some("T2"), None, Some("T1"), Some("T2")]);
        assert_eq!(
            column.unwrap().equal_missing(&expected).unwrap().sum(),
            Some(4)
        );
        assert!(listed_texts("tier", ["T1"], [1]).is_err());
    }
}
