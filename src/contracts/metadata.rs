//! The Parquet key-value metadata of a result file: table, version, grain, day, columns.

use chrono::NaiveDate;
use parquet::file::metadata::KeyValue;
use serde_json::json;

use super::column::Column;
use super::table::Table;

/// The keys `campaign_etl.table`, `.version`, `.grain`, `.day` and `.columns`. The values are the
/// same in every run.
pub(crate) fn key_values(table: &Table, day: NaiveDate) -> Vec<KeyValue> {
    let columns: serde_json::Map<_, _> = table
        .columns
        .iter()
        .map(|c| (c.name.to_owned(), describe(c)))
        .collect();
    [
        ("table", table.name.to_owned()),
        ("version", table.version.to_string()),
        ("grain", table.grain.to_owned()),
        ("day", day.to_string()),
        ("columns", serde_json::Value::Object(columns).to_string()),
    ]
    .into_iter()
    .map(|(key, value)| KeyValue::new(format!("campaign_etl.{key}"), value))
    .collect()
}

fn describe(column: &Column) -> serde_json::Value {
    json!({ "unit": column.unit, "formula": column.formula, "null": column.null.unwrap_or("never null") })
}
