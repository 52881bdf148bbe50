//! The columns of a quarantine file: a row of an export that no table uses, and why.

use super::column::{Column, count, text};

/// The columns, in file order. Each dataset has quarantine files of its own, in this one form.
pub static QUARANTINE: [Column; 6] = [
    text("reason").formula("the first rule that the row breaks"),
    text("column")
        .formula("the first column that breaks the rule")
        .null("a repeated key"),
    text("value")
        .formula("the value of that column as text: instants in UTC as RFC 3339, money with two decimals")
        .null("it is null, or a repeated key"),
    text("file").formula("the file's name in the folder of the export"),
    count("row_number", "rows").formula("the row's position in the file, from 0"),
    text("key")
        .formula("the values of the key's columns, joined by |; empty where null")
        .null("the dataset has no key"),
];

/// The grain of a quarantine file.
pub const GRAIN: &str = "one row of the export that breaks a rule";
