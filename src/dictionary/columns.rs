//! A column in one line: unit, formula, meaning of null.

use crate::contracts::Column;

/// Example: `fraction (0.25 is 25 %); sku_orders / product_clicks; null: no clicks`.
pub(super) fn says(column: &Column) -> String {
    let null = match column.null {
        Some(meaning) => format!("null: {meaning}"),
        None => "never null".to_owned(),
    };
    let parts = [column.unit, column.formula, &null];
    let given: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    given.join("; ")
}
