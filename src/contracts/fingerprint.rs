//! The part of a contract that decides whether published files are stale.
//!
//! It is names, types, nulls and field ids of columns, keys, row rules and the version of the formulas. Units,
//! texts of formulas and meanings of null can change without a recomputation.

use super::column::Column;
use super::dataset::{Dataset, MOST_AMOUNT};
use super::field_ids::field_ids;
use super::table::Table;
use crate::fingerprint::Fingerprint;

/// Adds a table's form and the version of its formulas.
pub fn add_table(fingerprint: &mut Fingerprint, table: &Table) {
    fingerprint.field(table.name);
    fingerprint.field(&table.version.to_string());
    add_columns(fingerprint, table.columns);
    for (_, id) in field_ids(table) {
        fingerprint.field(&id.to_string());
    }
    fingerprint.field(&table.key.join(" "));
}

/// Fingerprint of a table's form and the version of its formulas.
pub(crate) fn table_fingerprint(table: &Table) -> String {
    let mut fingerprint = Fingerprint::new("contract");
    add_table(&mut fingerprint, table);
    fingerprint.finish()
}

/// Adds a dataset's form, and the rules that decide which of its rows are used.
pub fn add_dataset(fingerprint: &mut Fingerprint, dataset: &Dataset) {
    let Dataset {
        name,
        columns,
        key,
        rules,
        without_rows,
        scoped_by,
        ..
    } = dataset;
    fingerprint.field(name);
    add_columns(fingerprint, columns);
    fingerprint.field(&key.join(" "));
    for rule in *rules {
        fingerprint.field(&format!("{rule:?}"));
    }
    fingerprint.field(&format!("{without_rows:?} {scoped_by:?} {MOST_AMOUNT}"));
}

fn add_columns(fingerprint: &mut Fingerprint, columns: &[Column]) {
    fingerprint.field(&columns.len().to_string());
    for column in columns {
        let nulls = match (column.null, column.empty_is_null) {
            (None, _) => "never null",
            (Some(_), false) => "null",
            (Some(_), true) => "null or empty",
        };
        fingerprint.field(&format!("{} {} {nulls}", column.name, column.kind.sql()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::column::count;
    use crate::contracts::dataset::{Reason, Rule};
    use crate::contracts::datasets::CONTENTS;
    use crate::contracts::tables::SKU_DAILY;

    fn of_table(table: &Table) -> String {
        let mut fingerprint = Fingerprint::new("test");
        add_table(&mut fingerprint, table);
        fingerprint.finish()
    }

    fn of_dataset(dataset: &Dataset) -> String {
        let mut fingerprint = Fingerprint::new("test");
        add_dataset(&mut fingerprint, dataset);
        fingerprint.finish()
    }

    #[test]
    fn another_column_key_null_or_version_of_a_table_counts_and_another_text_does_not() {
        static MORE: [Column; 1] = [count("items_sold", "items")];
        static NULL: [Column; 1] = [count("items_sold", "items").null("unknown")];
        static REWORDED: [Column; 1] = [count("items_sold", "pieces").formula("other words")];
        let with = |columns| {
            of_table(&Table {
                columns,
                ..Table::of(SKU_DAILY.id)
            })
        };
        let all = [
            of_table(&Table::of(SKU_DAILY.id)),
            with(&MORE),
            with(&NULL),
            of_table(&Table {
                key: &["shop_id"],
                ..Table::of(SKU_DAILY.id)
            }),
            of_table(&Table {
                version: 2,
                ..Table::of(SKU_DAILY.id)
            }),
        ];
        for (position, one) in all.iter().enumerate() {
            assert!(!all[..position].contains(one), "{position}");
        }
        assert_eq!(with(&MORE), with(&REWORDED));
    }

    #[test]
    fn another_rule_of_a_dataset_counts() {
        static STRICTER: [Rule; 1] = [Rule::AtLeast {
            columns: &["views"],
            least: 1,
            reason: Reason::NegativeCount,
        }];
        let with = |rules| {
            of_dataset(&Dataset {
                rules,
                ..Dataset::of(CONTENTS.id)
            })
        };
        assert_ne!(with(&[]), with(&STRICTER));
        assert_ne!(with(CONTENTS.rules), with(&STRICTER));
    }
}
