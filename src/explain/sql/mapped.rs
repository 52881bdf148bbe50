//! The value of a mapped column as DuckDB reads it from the file's own columns. A value that does not fit is
//! null: its row is rejected.

use super::query::{sql_type, text};
use crate::contracts::Column;
use crate::contracts::arrow::show_cents;
use crate::mapping::{Change, Constant, Source};

/// The value of a column of the contract, where the file is `exported`.
pub(super) fn mapped_value(column: &Column, source: &Source) -> String {
    let kind = sql_type(column.kind);
    match source {
        Source::Absent => format!("CAST(NULL AS {kind})"),
        Source::Constant(constant) => format!("CAST({} AS {kind})", literal(constant)),
        Source::Column { name, change } => {
            let value = format!("exported.{}", quoted(name));
            match change {
                Change::TextId { hashes_others } => id_of_text(&value, *hashes_others),
                Change::Values {
                    values,
                    keeps_others,
                } => {
                    let others = if *keeps_others { &value } else { "NULL" };
                    let when = |(from, to): (&String, &String)| {
                        format!(" WHEN {} THEN {}", text(from), text(to))
                    };
                    let whens: String = values.iter().map(when).collect();
                    match whens.is_empty() {
                        true => format!("CAST({others} AS {kind})"),
                        false => format!("CASE {value}{whens} ELSE {others} END"),
                    }
                }
                Change::TimeZone(zone) => {
                    let local = format!("TRY_CAST({value} AS TIMESTAMP)");
                    format!("{local} AT TIME ZONE {}", text(zone.name()))
                }
                // 19 digits are the most of an INT64, and 38 of a product.
                Change::Scale(scale) => {
                    let unit = match *scale as usize {
                        0 => "1".to_owned(),
                        places => format!("0.{}1", "0".repeat(places - 1)),
                    };
                    format!("TRY_CAST(TRY_CAST({value} AS DECIMAL(19, 0)) * {unit} AS {kind})")
                }
                Change::Nothing => format!("TRY_CAST({value} AS {kind})"),
            }
        }
    }
}

/// Of docs/your-own-exports.md.
fn id_of_text(value: &str, hashes_others: bool) -> String {
    let number = format!("TRY_CAST({value} AS BIGINT)");
    let is_number =
        format!("regexp_full_match({value}, '0|[1-9][0-9]{{0,18}}') AND {number} IS NOT NULL");
    let other = match hashes_others {
        true => format!(
            " WHEN {value} <> '' THEN -1 - (('0x' || left(sha256({value}), 16))::UBIGINT >> 1)::BIGINT"
        ),
        false => String::new(),
    };
    format!("CASE WHEN {is_number} THEN {number}{other} END")
}

fn literal(constant: &Constant) -> String {
    match constant {
        Constant::Whole(number) => number.to_string(),
        Constant::Cents(cents) => text(&show_cents(*cents)),
        Constant::Text(value) => text(value),
        Constant::Flag(flag) => flag.to_string(),
        Constant::Day(day) => text(&day.to_string()),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::contracts::Kind;

    fn value(kind: Kind, change: Change) -> String {
        let name = "a \"b\"".to_owned();
        mapped_value(
            &Column::new("x", kind, ""),
            &Source::Column { name, change },
        )
    }

    #[test]
    fn names_and_texts_of_a_mapping_are_quoted() {
        let renamed = value(Kind::Int64, Change::Nothing);
        assert_eq!(renamed, r#"TRY_CAST(exported."a ""b""" AS BIGINT)"#);
        let values = BTreeMap::from([("it's".to_owned(), "O'K".to_owned())]);
        let other = |keeps_others| {
            let values = values.clone();
            value(
                Kind::Text,
                Change::Values {
                    values,
                    keeps_others,
                },
            )
        };
        let column = r#"exported."a ""b""""#;
        let when = format!("CASE {column} WHEN 'it''s' THEN 'O''K' ELSE");
        assert_eq!(other(true), format!("{when} {column} END"));
        assert_eq!(other(false), format!("{when} NULL END"));
    }

    #[test]
    fn minor_units_are_multiplied_by_an_exact_decimal() {
        let of = |scale| value(Kind::Money, Change::Scale(scale));
        let units = r#"TRY_CAST(exported."a ""b""" AS DECIMAL(19, 0))"#;
        for (scale, unit) in [(0, "1"), (2, "0.01"), (3, "0.001")] {
            let expected = format!("TRY_CAST({units} * {unit} AS DECIMAL(18, 2))");
            assert_eq!(of(scale), expected);
        }
    }
}
