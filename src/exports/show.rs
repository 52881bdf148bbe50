//! Cells, keys, instants and days of an export as text, for people and quarantine files.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;

use super::batch::Batch;
use crate::contracts::Kind;
use crate::contracts::arrow::show_cents;

/// The key's columns joined by `|`, null as an empty text; `None` for a dataset without a key.
pub(super) fn show_key(batch: &Batch, row: usize) -> Option<String> {
    let key = batch.dataset.key;
    let parts = key
        .iter()
        .map(|name| show_value(batch, name, row).unwrap_or_default());
    (!key.is_empty()).then(|| parts.collect::<Vec<_>>().join("|"))
}

/// A cell as text: whole numbers and texts as they are, money with two decimals, instants as RFC
/// 3339 in UTC. `None`: null.
pub(super) fn show_value(batch: &Batch, column: &str, row: usize) -> Option<String> {
    let position = batch.dataset.position(column);
    let values = &batch.columns[position];
    values
        .is_valid(row)
        .then(|| match batch.dataset.columns[position].kind {
            Kind::Int64 | Kind::Int32 => batch.ints(column).value(row).to_string(),
            Kind::Instant => show_instant(batch.ints(column).value(row)),
            Kind::Money => show_cents(batch.money(column).value(row)),
            Kind::Date => show_day(batch.dates(column).value(row)),
            Kind::Boolean => batch.flags(column).value(row).to_string(),
            Kind::Double => values.as_primitive::<Float64Type>().value(row).to_string(),
            Kind::Text => batch.text_column(column).value(row).to_owned(),
        })
}

/// RFC 3339 in UTC with as many decimals as needed; the number itself where the calendar ends.
pub(crate) fn show_instant(us: i64) -> String {
    let Some(at) = chrono::DateTime::from_timestamp_micros(us) else {
        return us.to_string();
    };
    let text = at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
    match text.trim_end_matches('Z').split_once('.') {
        Some((seconds, decimals)) => format!("{seconds}.{}Z", decimals.trim_end_matches('0')),
        None => text,
    }
}

/// A day number as a date; the number itself where the calendar ends.
pub(crate) fn show_day(number: i32) -> String {
    let days = chrono::TimeDelta::try_days(number.into());
    let day = days.and_then(|days| chrono::NaiveDate::default().checked_add_signed(days));
    day.map_or_else(|| number.to_string(), |day| day.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_as_many_decimals_as_it_needs() {
        let shown = [0, 500_000, 120_000, 1, 999_999].map(show_instant);
        let expected = ["00Z", "00.5Z", "00.12Z", "00.000001Z", "00.999999Z"];
        assert_eq!(shown, expected.map(|end| format!("1970-01-01T00:00:{end}")));
        assert_eq!(show_instant(i64::MAX), i64::MAX.to_string());
    }
}
