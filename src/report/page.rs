//! Text pages for people: written tables, defects of exports, states of days.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use comfy_table::presets::{NOTHING, UTF8_FULL_CONDENSED};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table};

use super::counted;
use super::run::{DatasetRead, Written};
use super::status::DayStatus;
use super::versions::{CellDifference, ColumnDifference};
use crate::catalog::manifest::Blocked;
use crate::contracts::Dataset;
use crate::exports::defect::Defect;
use crate::failure::Parts;
use crate::plan::PlannedDay;
use crate::publish::vacuum::Superfluous;
use crate::publish::writer::Writers;

/// The width of a page in a terminal; longer text wraps.
const PAGE_COLUMNS: u16 = 100;

/// The greatest number of issues shown for one export; further ones are counted.
const ISSUES_SHOWN: usize = 12;

fn page(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    table
}

/// A page that fits a terminal: its text columns wrap.
pub(crate) fn wrapping_page(header: &[&str], text_columns: &[usize]) -> Table {
    let mut table = page(header);
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(PAGE_COLUMNS);
    for (position, column) in table.column_iter_mut().enumerate() {
        if !text_columns.contains(&position) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

/// A text for a terminal, in lines of its width.
pub(crate) fn wrapped(text: &str) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(PAGE_COLUMNS)
        .add_row([text]);
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 0));
    }
    let lines = table.to_string();
    let lines: Vec<&str> = lines.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

fn align_right(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// The tables that a run wrote: one line for each table of its day, and a count for each other day.
pub(crate) fn written(day: NaiveDate, tables: &[Written]) -> String {
    let mut table = page(&["table", "rows", "bytes"]);
    let mut others: BTreeMap<NaiveDate, u64> = BTreeMap::new();
    for w in tables {
        if w.day == day {
            table.add_row([w.table.clone(), w.rows.to_string(), w.bytes.to_string()]);
        } else {
            *others.entry(w.day).or_default() += 1;
        }
    }
    align_right(&mut table, &[1, 2]);
    let mut text = String::new();
    for (day, count) in others {
        text += &format!("{day}: brought up to date, {count} tables\n");
    }
    if !table.is_empty() {
        text += &format!("{day}:\n{table}\n");
    }
    text
}

/// The account of the rows of each dataset.
pub(crate) fn datasets(read: &[DatasetRead]) -> String {
    let mut table = wrapping_page(
        &[
            "day",
            "dataset",
            "read",
            "used",
            "quarantined",
            "out of scope",
            "reasons",
        ],
        &[6],
    );
    for DatasetRead { day, account } in read {
        let reasons: Vec<String> = account
            .reasons
            .iter()
            .map(|(reason, rows)| format!("{reason} {rows}"))
            .collect();
        table.add_row([
            day.to_string(),
            account.dataset.clone(),
            account.rows_read.to_string(),
            account.rows_used.to_string(),
            account.rows_quarantined.to_string(),
            account.rows_out_of_scope.to_string(),
            reasons.join(", "),
        ]);
    }
    align_right(&mut table, &[2, 3, 4, 5]);
    table.to_string()
}

/// The effect of a broken export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It blocks the day.
    Blocking,
    /// The tables and columns that need it are left out.
    Optional,
    /// It is only checked, and nothing is written.
    Checked,
}

/// A defect of an export, and the next step.
pub(crate) fn defect(day: NaiveDate, dataset: &Dataset, defect: &Defect, role: Role) -> String {
    let name = dataset.name;
    let head = if role == Role::Blocking {
        format!("{day} blocked: {name}")
    } else {
        format!("{day} {name}")
    };
    let Defect::Contract(issues) = defect else {
        let has_rows = matches!(defect, Defect::OverBudget { .. }) && role != Role::Checked;
        let rows = if has_rows {
            format!("; the rows are in _quarantine/{}", dataset.partition(day))
        } else {
            String::new()
        };
        return format!("{head} {}{}{rows}", defect.reason(), rest(defect, role));
    };
    let mut table = page(&["dataset", "file", "column", "expected", "found"]);
    for issue in issues.iter().take(ISSUES_SHOWN) {
        let column = issue.column.iter().chain(&issue.mapped_at).cloned();
        let column = column.collect::<Vec<_>>().join(", ");
        table.add_row([
            dataset.name.to_owned(),
            issue.file.clone(),
            column,
            issue.expected.clone(),
            issue.found.clone(),
        ]);
    }
    let more = issues.len().saturating_sub(ISSUES_SHOWN);
    let more = if more > 0 {
        format!("\n  and {more} more")
    } else {
        String::new()
    };
    format!(
        "{head} breaks its contract:\n{table}{more}{}",
        rest(defect, role)
    )
}

/// The parts of a defect's message after the first one.
fn rest(defect: &Defect, role: Role) -> String {
    let Parts { why, next, .. } = defect.parts();
    // The rows of the table say why.
    let why = match defect {
        Defect::Contract(_) => String::new(),
        _ => format!("\n  why: {why}"),
    };
    let tonight = match role {
        Role::Blocking => format!("\n  tonight: readers see {BLOCKED_TONIGHT}"),
        Role::Optional => {
            "\n  tonight: readers see everything but the tables and columns that need it".into()
        }
        Role::Checked => String::new(),
    };
    format!("{why}{tonight}\n  next: {next}")
}

/// The results of a day of which a required export is broken.
const BLOCKED_TONIGHT: &str =
    "the day's earlier version or, if there is none, benchmarks of the day before";

/// An unchanged export that an earlier run found broken.
pub(crate) fn still_blocked(export: &Blocked) -> String {
    let Blocked {
        dataset,
        day,
        reason,
        remedy,
    } = export;
    format!(
        "{day} blocked: {dataset} {reason}\n  tonight: readers see {BLOCKED_TONIGHT}\n  next: {remedy}"
    )
}

/// The work of the next run, day by day.
pub(crate) fn plan(days: &[PlannedDay]) -> String {
    let mut table = wrapping_page(&["day", "action", "tables", "why"], &[3]);
    for d in days {
        table.add_row([
            d.day.to_string(),
            d.action.word().into(),
            d.tables.len().to_string(),
            d.why.clone(),
        ]);
    }
    align_right(&mut table, &[2]);
    table.to_string()
}

/// The run that holds the lease, or died with it; empty when no run does.
pub(crate) fn holder(writers: &Writers, now: DateTime<Utc>) -> String {
    match writers
        .holder
        .as_ref()
        .filter(|holder| holder.released_at.is_none())
    {
        Some(holder) if holder.is_live(now) => format!("held by {holder}\n"),
        Some(holder) => format!("expired lease of {holder}; the next run takes over\n"),
        None => String::new(),
    }
}

/// A commit that is not in place yet.
pub(crate) fn unfinished(writers: &Writers) -> String {
    let commit = writers
        .unfinished
        .as_ref()
        .and_then(|record| Some((record.number, record.commit.as_ref()?.day)));
    let line = |(number, day)| {
        format!("commit {number} of {day} is not in place yet; the next run finishes it first\n")
    };
    commit.map(line).unwrap_or_default()
}

/// The files that were removed, or would be.
pub(crate) fn vacuumed(found: &[Superfluous], dry_run: bool) -> String {
    let mut by_reason: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for superfluous in found {
        let (files, bytes) = by_reason.entry(superfluous.why).or_default();
        (*files, *bytes) = (*files + 1, *bytes + superfluous.bytes);
    }
    let mut table = page(&["what", "files", "bytes"]);
    for (why, (files, bytes)) in by_reason {
        table.add_row([why.to_owned(), files.to_string(), bytes.to_string()]);
    }
    align_right(&mut table, &[1, 2]);
    match (found.is_empty(), dry_run) {
        (true, _) => "nothing to remove\n".into(),
        (false, true) => format!("would remove:\n{table}\n"),
        (false, false) => format!("removed:\n{table}\n"),
    }
}

/// The columns of a table that differ between two versions.
pub(crate) fn columns(columns: &[ColumnDifference]) -> String {
    let mut table = page(&["column", "rows changed", "total before", "total after"]);
    for column in columns {
        table.add_row([
            column.column.to_owned(),
            column.rows_changed.to_string(),
            column.total_before.clone().unwrap_or_default(),
            column.total_after.clone().unwrap_or_default(),
        ]);
    }
    align_right(&mut table, &[1, 2, 3]);
    table.to_string()
}

/// The cells of a shop that differ between two versions; an empty cell is null.
pub(crate) fn cells(cells: &[CellDifference]) -> String {
    let mut table = page(&["row", "column", "before", "after"]);
    for cell in cells {
        let key = cell.key.iter().filter(|(name, _)| **name != "shop_id");
        let key = key.map(|(name, value)| format!("{name} {}", value.clone().unwrap_or_default()));
        table.add_row([
            key.collect::<Vec<_>>().join(", "),
            cell.column.to_owned(),
            cell.before.clone().unwrap_or_default(),
            cell.after.clone().unwrap_or_default(),
        ]);
    }
    align_right(&mut table, &[2, 3]);
    table.to_string()
}

/// The states of days.
pub(crate) fn status(days: &[DayStatus]) -> String {
    let mut table = wrapping_page(
        &[
            "day",
            "exports",
            "published",
            "benchmarks",
            "checks",
            "state",
        ],
        &[1, 4, 5],
    );
    for d in days {
        let exports = if d.missing.is_empty() {
            "final".into()
        } else {
            format!("missing: {}", d.waits_for)
        };
        let published = if d.tables == 0 {
            "no".into()
        } else {
            counted(d.tables, "table")
        };
        let benchmarks = match d.benchmark_day {
            None => "none".into(),
            Some(b) if b == d.day => "own".into(),
            Some(b) => format!("of {b}"),
        };
        let restated: Vec<String> = d.restated_by.iter().map(u64::to_string).collect();
        let restated = match restated.as_slice() {
            [] => String::new(),
            commits => format!("; restated by commit {}", commits.join(", ")),
        };
        let checks = match &d.checks {
            Some(counts) if !counts.checks.checks.is_empty() => counts.checks.told(),
            _ => "none".into(),
        };
        table.add_row([
            d.day.to_string(),
            exports,
            published,
            benchmarks,
            checks,
            d.state.clone() + &restated,
        ]);
    }
    table.to_string()
}
