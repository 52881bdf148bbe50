//! An explanation for people.

use std::fmt::Write;

use super::recompute::{BenchmarkStory, RowsOfKey};
use super::value::{DaysOfTable, Value};
use super::{CellPublication, Explanation, ExportState, Outcome, Recomputed};

/// The most days that are listed one by one.
const DAYS_SHOWN: usize = 31;

/// The most files that are listed one by one.
const FILES_SHOWN: usize = 5;

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
    tell_recomputed(&mut text, &found.recomputed);
    for note in &found.notes {
        let _ = writeln!(text, "\nnote: {note}");
    }
    text
}

fn tell_recomputed(text: &mut String, found: &Recomputed) {
    let value = shown(found.value.as_deref(), found.is_withheld);
    let outcome = match found.outcome {
        Outcome::Agrees => "agrees".to_owned(),
        Outcome::Differs => format!("DIFFERS: {value}"),
        Outcome::InputsChanged => format!("inputs changed since; with them: {value}"),
    };
    let _ = writeln!(text, "\ncomputed again by another route: {outcome}");
    for changed in &found.changed {
        let _ = writeln!(text, "  changed: {changed}");
    }
    for (dataset, rows) in &found.rows {
        tell_rows(text, dataset, rows);
    }
    if let Some(benchmark) = &found.benchmark {
        tell_benchmark(text, benchmark);
    }
    for file in found.files.iter().take(FILES_SHOWN) {
        let (path, bytes, sha256) = (&file.path, file.bytes, &file.sha256);
        let _ = writeln!(text, "  read: {path} ({bytes} bytes, SHA-256 {sha256})");
    }
    let more = found.files.len().saturating_sub(FILES_SHOWN);
    if more > 0 {
        let _ = writeln!(text, "  read: {more} more files (--format json)");
    }
}

fn shown(value: Option<&str>, is_withheld: bool) -> &str {
    match is_withheld {
        true => "not told, for the privacy of other shops",
        false => value.unwrap_or("null"),
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
