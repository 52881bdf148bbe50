//! An explanation for people.

use std::fmt::Write;

use super::value::{DaysOfTable, Value};
use super::{CellPublication, Explanation, ExportState};

/// The most days that are listed one by one.
const DAYS_SHOWN: usize = 31;

pub(crate) fn page(found: &Explanation) -> String {
    let key: Vec<String> = found
        .key
        .iter()
        .map(|(name, value)| format!("{name} {}", value.as_deref().unwrap_or("null")))
        .collect();
    let mut text = format!("{} of {}, {}\n", found.table, found.day, key.join(", "));
    let _ = writeln!(text, "  one row for {}", found.grain);
    match &found.value {
        Some(value) => tell_value(&mut text, value, 0),
        None => {
            let _ = writeln!(text, "\n{}: the table has no such row", found.column);
        }
    }
    let by = &found.published.by;
    let _ = writeln!(
        text,
        "\npublished by commit {} of {} (version {}, run {})\n  {}\n  {} bytes, SHA-256 {}",
        by.commit,
        by.published_at,
        by.version,
        by.run_id,
        found.published.path,
        found.published.bytes,
        found.published.sha256
    );
    tell_publications(&mut text, &found.publications);
    found
        .exports
        .iter()
        .for_each(|export| tell_export(&mut text, export));
    for note in &found.notes {
        let _ = writeln!(text, "\nnote: {note}");
    }
    text
}

fn tell_value(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let shown = value.value.as_deref().unwrap_or("null");
    let unit = match value.unit {
        "" => String::new(),
        unit => format!(" ({unit})"),
    };
    let formula = match value.formula {
        "" => String::new(),
        formula => format!(" = {formula}"),
    };
    let _ = writeln!(text, "\n{indent}{}: {shown}{unit}{formula}", value.column);
    if let Some(why) = &value.null_because {
        let _ = writeln!(text, "{indent}  null because {why}");
    }
    for of_table in &value.days {
        tell_days(text, of_table, &indent);
    }
    for input in &value.inputs {
        tell_value(text, input, depth + 1);
    }
}

fn tell_days(text: &mut String, of_table: &DaysOfTable, indent: &str) {
    let _ = writeln!(text, "{indent}  {} of {}:", of_table.column, of_table.table);
    for day in of_table.days.iter().rev().take(DAYS_SHOWN).rev() {
        let shown = match (&day.value, &day.missing) {
            (Some(value), _) => value.clone(),
            (None, Some(why)) => format!("missing: {why}"),
            (None, None) => "null".to_owned(),
        };
        let _ = writeln!(text, "{indent}    {} {shown}", day.day);
    }
    let more = of_table.days.len().saturating_sub(DAYS_SHOWN);
    if more > 0 {
        let _ = writeln!(text, "{indent}    and {more} earlier days (--format json)");
    }
}

fn tell_publications(text: &mut String, publications: &[CellPublication]) {
    if publications.len() < 2 {
        return;
    }
    text.push_str("\npublished values, oldest first:\n");
    for publication in publications {
        let by = &publication.by;
        let value = publication.value.as_deref().unwrap_or("null");
        let _ = writeln!(
            text,
            "  commit {} of {}: {value}",
            by.commit, by.published_at
        );
        for cause in &publication.causes {
            let _ = writeln!(text, "    cause: {cause}");
        }
    }
}

fn tell_export(text: &mut String, export: &ExportState) {
    let state = match export.is_unchanged {
        Some(true) => "as it was published from",
        Some(false) => "CHANGED since the day was published",
        None => "not recorded whether it changed since",
    };
    let _ = writeln!(text, "\nexport {}: {state}", export.dataset);
    for file in &export.files {
        let _ = writeln!(text, "  {} ({} bytes)", file.name, file.bytes);
    }
    if let Some(account) = &export.account {
        let reasons: Vec<String> = account
            .reasons
            .iter()
            .map(|(reason, rows)| format!("{reason} {rows}"))
            .collect();
        let reasons = match reasons.as_slice() {
            [] => String::new(),
            reasons => format!(" ({})", reasons.join(", ")),
        };
        let _ = writeln!(
            text,
            "  rows of all shops: {} read, {} used, {} quarantined{reasons}, {} out of scope",
            account.rows_read,
            account.rows_used,
            account.rows_quarantined,
            account.rows_out_of_scope
        );
    }
}
