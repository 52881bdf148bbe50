//! An explanation for people.

use std::fmt::Write;

use super::cell::{CellPublication, Explanation, Recomputed};
use super::compare::DifferingRow;
use super::day::{ComparedDay, ComparedTable};
use super::export_state::ExportState;
use super::outcome::{Outcome, SecondRoute};
use super::receipt::Verification;
use super::recompute::{BenchmarkStory, RowsOfKey};
use super::row::RowKey;
use super::value::{DaysOfTable, Value};
use crate::report::counted;

/// The most days that are listed one by one.
const DAYS_SHOWN: usize = 31;

/// The most files that are listed one by one.
const FILES_SHOWN: usize = 5;

/// The most differing rows of a table that are listed one by one.
const ROWS_SHOWN: usize = 20;

pub(crate) fn page(found: &Explanation) -> String {
    let key = show_key(&found.key);
    let mut text = format!("{} of {}, {key}\n", found.table, found.day);
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
    if !found.published.is_unchanged {
        text.push_str("  THE FILE HAS OTHER BYTES than were published\n");
    }
    tell_publications(&mut text, &found.publications);
    found
        .exports
        .iter()
        .for_each(|export| tell_export(&mut text, export));
    tell_recomputed(&mut text, &found.recomputed);
    for note in &found.notes {
        let _ = writeln!(text, "\nnote: {note}");
    }
    text
}

/// The comparison of every number of a shop's day, for people.
pub(crate) fn day_page(found: &ComparedDay) -> String {
    let cells: usize = found.tables.iter().map(|table| table.cells).sum();
    let mut text = format!("{}, {cells} cells of {}\n", show_key(&found.key), found.day);
    for table in &found.tables {
        tell_table(&mut text, table);
    }
    for absent in &found.not_published {
        let _ = writeln!(text, "  {}: not published: {}", absent.table, absent.why);
    }
    let outcome = match found.recomputed.outcome {
        Outcome::Agrees if found.not_published.is_empty() => "all agree",
        Outcome::Agrees => "all that is published agrees",
        Outcome::Differs => "THEY DIFFER",
        Outcome::InputsChanged => "inputs changed since",
    };
    let _ = writeln!(text, "\ncomputed again by another route: {outcome}");
    tell_inputs(&mut text, &found.recomputed);
    tell_files(&mut text, &found.recomputed);
    text
}

fn tell_table(text: &mut String, found: &ComparedTable) {
    let by = &found.published.by;
    let is_unchanged = found.published.is_unchanged;
    let outcome = match (is_unchanged, found.is_compared, found.differing.as_slice()) {
        (false, _, _) => "THE FILE HAS OTHER BYTES than were published".to_owned(),
        (true, false, _) => "not compared: an input is gone".to_owned(),
        (true, true, []) if found.rows == 0 => "no rows".to_owned(),
        (true, true, []) => "agrees".to_owned(),
        (true, true, rows) => format!("{} ROWS DIFFER", rows.len()),
    };
    let _ = writeln!(
        text,
        "  {}: {}, {}, published by commit {}: {outcome}",
        found.table,
        counted(found.rows, "row"),
        counted(found.cells, "cell"),
        by.commit
    );
    for row in found.differing.iter().take(ROWS_SHOWN) {
        tell_differing(text, row);
    }
    let more = found.differing.len().saturating_sub(ROWS_SHOWN);
    if more > 0 {
        let _ = writeln!(text, "    and {more} more rows (--format json)");
    }
}

fn tell_differing(text: &mut String, row: &DifferingRow) {
    let key = show_key(&row.key);
    let only = match (row.is_published, row.is_computed) {
        (true, true) => "",
        (true, false) => ": the second route has no such row",
        (false, _) => ": the published file has no such row",
    };
    let _ = writeln!(text, "    {key}{only}");
    for cell in &row.cells {
        let published = cell.published.as_deref().unwrap_or("null");
        let computed = shown(cell.computed.as_deref(), cell.is_withheld);
        let _ = writeln!(
            text,
            "      {}: published {published}, computed again {computed}",
            cell.column
        );
    }
}

/// The verification of a receipt, for people.
pub(crate) fn verification_page(found: &Verification) -> String {
    let column = found.column.as_deref().unwrap_or("every number");
    let table = found.table.as_deref().unwrap_or("every table");
    let mut text = format!(
        "receipt of version {}: {column} of {table} of {}, shop {}\n",
        found.receipt_version, found.day, found.shop_id
    );
    let _ = match found.outcome {
        Outcome::Agrees => writeln!(
            text,
            "AGREES: {} files and all settings are those of the receipt, and the published numbers are the same",
            found.files
        ),
        Outcome::Differs => writeln!(text, "DIFFERS"),
        Outcome::InputsChanged => writeln!(text, "INPUTS ARE NOT THOSE OF THE RECEIPT"),
    };
    for changed in &found.changed {
        let _ = writeln!(text, "  changed: {changed}");
    }
    for damaged in &found.damaged {
        let _ = writeln!(text, "  damaged: {damaged}");
    }
    if found.column.is_some() && found.outcome_here.is_some() {
        let [receipt, here] =
            [&found.receipt_value, &found.value].map(|value| value.as_deref().unwrap_or("null"));
        let _ = writeln!(
            text,
            "  published value in the receipt: {receipt}; here: {here}"
        );
    }
    text
}

fn show_key(key: &RowKey) -> String {
    let columns = key.iter();
    let columns: Vec<String> = columns
        .map(|(name, value)| format!("{name} {}", value.as_deref().unwrap_or("null")))
        .collect();
    columns.join(", ")
}

fn tell_recomputed(text: &mut String, found: &Recomputed) {
    let value = shown(found.value.as_deref(), found.is_withheld);
    let outcome = match found.route.outcome {
        Outcome::Agrees if !found.is_row => "no such row either".to_owned(),
        Outcome::Agrees => "agrees".to_owned(),
        Outcome::Differs => format!("DIFFERS; computed again: {value}"),
        Outcome::InputsChanged => format!("inputs changed since; with them: {value}"),
    };
    let _ = writeln!(text, "\ncomputed again by another route: {outcome}");
    tell_inputs(text, &found.route);
    if let Some(benchmark) = &found.benchmark {
        tell_benchmark(text, benchmark);
    }
    tell_files(text, &found.route);
}

fn shown(value: Option<&str>, is_withheld: bool) -> &str {
    match is_withheld {
        true => "not told, for the privacy of other shops",
        false => value.unwrap_or("null"),
    }
}

fn tell_inputs(text: &mut String, found: &SecondRoute) {
    for changed in &found.changed {
        let _ = writeln!(text, "  changed: {changed}");
    }
    for damaged in &found.damaged {
        let _ = writeln!(text, "  damaged: {damaged}");
    }
    for (dataset, rows) in &found.rows {
        tell_rows(text, dataset, rows);
    }
}

fn tell_files(text: &mut String, found: &SecondRoute) {
    for file in found.files.iter().take(FILES_SHOWN) {
        let (path, bytes, sha256) = (&file.path, file.bytes, &file.sha256);
        let _ = writeln!(text, "  read: {path} ({bytes} bytes, SHA-256 {sha256})");
    }
    let more = found.files.len().saturating_sub(FILES_SHOWN);
    if more > 0 {
        let _ = writeln!(text, "  read: {more} more files (--format json)");
    }
}

fn tell_rows(text: &mut String, dataset: &str, rows: &RowsOfKey) {
    let amounts = |amounts: &std::collections::BTreeMap<&str, String>| {
        let told = amounts
            .iter()
            .map(|(column, sum)| format!(", {column} {sum}"));
        told.collect::<String>()
    };
    let used = &rows.used;
    let _ = writeln!(
        text,
        "  {dataset}: {} rows used{}",
        used.rows,
        amounts(&used.amounts)
    );
    for (reason, count) in &rows.not_counted {
        let _ = writeln!(
            text,
            "    not counted, {reason}: {} rows{}",
            count.rows,
            amounts(&count.amounts)
        );
    }
    for row in &rows.examples {
        let cells = row
            .cells
            .iter()
            .map(|(column, value)| format!("{column} {}", value.as_deref().unwrap_or("null")));
        let cells: Vec<String> = cells.collect();
        let why = row.not_counted_because.as_deref().unwrap_or("used");
        let _ = writeln!(
            text,
            "    row {} of {} ({why}): {}",
            row.row_number,
            row.file,
            cells.join(", ")
        );
    }
}

fn tell_benchmark(text: &mut String, benchmark: &BenchmarkStory) {
    let fallback = match &benchmark.fallback_reason {
        Some(missing) => format!(" (fallback: {missing} of the day itself)"),
        None => String::new(),
    };
    let tiers = benchmark.tiers.iter();
    let tiers: Vec<String> = tiers
        .map(|(name, least)| format!("{name} from {least}"))
        .collect();
    let _ = writeln!(
        text,
        "  category {}, tier {} (GMV of 30 days {}; {})\n  benchmark day {}{fallback}",
        benchmark.category,
        benchmark.tier,
        benchmark.trailing_gmv.as_deref().unwrap_or("null"),
        tiers.join(", "),
        benchmark.benchmark_day
    );
    for cohort in &benchmark.cohorts {
        let passed = match cohort.passed.as_slice() {
            [] => String::new(),
            passed => format!(", passed {}", passed.join(", ")),
        };
        let outcome = match cohort.suppressed_by {
            Some(rule) => format!("suppressed: {rule}"),
            None => "published".to_owned(),
        };
        let _ = writeln!(
            text,
            "    tier {} and higher: {} peers{passed}; {outcome}",
            cohort.tier, cohort.peers
        );
    }
    let _ = match &benchmark.compared_with {
        Some(tier) => writeln!(text, "  compared with the cohort of tier {tier}"),
        None => writeln!(text, "  compared with no cohort: none is published"),
    };
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
        let value = shown(publication.value.as_deref(), publication.is_withheld);
        let change = match publication.change.as_deref() {
            None => String::new(),
            Some(less) if less.starts_with('-') => format!(" ({less})"),
            Some(more) => format!(" (+{more})"),
        };
        let _ = writeln!(
            text,
            "  commit {} of {}: {value}{change}",
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
