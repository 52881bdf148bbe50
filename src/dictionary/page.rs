//! The dictionary for people.

use std::fmt::Write;

use super::describe::{
    ColumnDescription, ColumnSummary, Description, TableDescription, TableKind, TableSummary,
};
use crate::report::page::wrapping_page;

pub(crate) fn page(description: &Description) -> String {
    match description {
        Description::All(all) => of_all(&all.tables),
        Description::Table(table) => of_table(table),
        Description::Column(column) => of_column(column),
    }
}

fn of_all(tables: &[TableSummary]) -> String {
    let mut page = wrapping_page(&["name", "kind", "grain", "key"], &[2, 3]);
    for table in tables {
        page.add_row([
            table.name.to_owned(),
            kind(table.kind).to_owned(),
            table.grain.to_owned(),
            table.key.join(", "),
        ]);
    }
    format!("{page}\n")
}

fn kind(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Rollup => "rollup",
        TableKind::Window => "window",
        TableKind::Benchmark => "benchmark",
        TableKind::Export => "export",
        TableKind::Quarantine => "quarantine",
    }
}

fn of_table(table: &TableDescription) -> String {
    let TableSummary {
        name, path, grain, ..
    } = &table.summary;
    let mut text = format!("{name}: {}, {path}\n", kind(table.summary.kind));
    let mut line = |label: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{label}: {value}");
        }
    };
    line("grain", (*grain).to_owned());
    line("key", table.summary.key.join(", "));
    let required = table.is_required.map(|is_required| match is_required {
        true => "every day needs it",
        false => "optional",
    });
    line("required", required.unwrap_or_default().to_owned());
    let reads = table.reads.iter();
    let reads: Vec<String> = reads
        .map(|read| format!("{} ({})", read.table, read.days))
        .collect();
    line("reads", reads.join(", "));
    line("exports of the day", table.exports.join(", "));
    line("not written without", table.not_written_without.join(", "));
    line("read by", table.read_by.join(", "));
    let rules = table.row_rules.iter();
    let rules: Vec<String> = rules
        .map(|rule| format!("{} ({})", rule.breaks, rule.reason))
        .collect();
    line(
        "rows to quarantine, beside nulls and repeated keys",
        rules.join("; "),
    );
    let mut page = wrapping_page(
        &["column", "type", "unit", "formula", "null means"],
        &[2, 3, 4],
    );
    for column in &table.columns {
        page.add_row([
            named(column),
            column.sql_type.to_owned(),
            column.unit.to_owned(),
            column.formula.to_owned(),
            column.null_means.unwrap_or("never null").to_owned(),
        ]);
    }
    format!("{text}{page}\n* part of the key\n")
}

fn named(column: &ColumnSummary) -> String {
    let mark = if column.is_key { " *" } else { "" };
    format!("{}{mark}", column.column)
}

fn of_column(column: &ColumnDescription) -> String {
    let ColumnSummary {
        column: name,
        sql_type,
        unit,
        formula,
        null_means,
        is_key,
        field_id,
        needs,
    } = &column.summary;
    let mut text = format!("{}.{name}: {sql_type}", column.table);
    if *is_key {
        text += ", part of the key";
    }
    text += "\n";
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let space = if value.starts_with('\n') { "" } else { " " };
            let _ = writeln!(text, "{label}:{space}{value}");
        }
    };
    line("unit", unit);
    line("formula", formula);
    line("null means", null_means.unwrap_or("never null"));
    line(
        "field id",
        &field_id.map(|id| id.to_string()).unwrap_or_default(),
    );
    line("null without the export", needs.unwrap_or_default());
    let derived = column.upstream.iter().filter(|one| !one.from.is_empty());
    let derived: Vec<String> = derived
        .map(|one| format!("\n  {} <- {}", one.column, folded(&one.from)))
        .collect();
    line("comes from", &derived.concat());
    line("columns of exports behind it", &column.exports.join(", "));
    line("used by", &by_table(column.used_by.iter()));
    let further = column.downstream.iter();
    let further = further.filter(|name| !column.used_by.contains(name));
    line("further columns that change with it", &by_table(further));
    text
}

/// More columns of one table than this are counted.
const MOST_NAMED: usize = 8;

/// The inputs of a formula; those of a table with many of them are counted.
fn folded(inputs: &[String]) -> String {
    let owner = |input: &String| input.split_once('.').map(|(owner, _)| owner.to_owned());
    let of_owner = inputs.chunk_by(|a, b| owner(a) == owner(b));
    let shown: Vec<String> = of_owner
        .map(|chunk| match owner(&chunk[0]) {
            Some(owner) if chunk.len() > MOST_NAMED => {
                format!("{} columns of {owner}", chunk.len())
            }
            _ => chunk.join(", "),
        })
        .collect();
    shown.join(", ")
}

/// One line for each table, with its columns.
fn by_table<'a>(columns: impl Iterator<Item = &'a String>) -> String {
    let mut text = String::new();
    let mut last = "";
    for (table, column) in columns.filter_map(|name| name.split_once('.')) {
        match table == last {
            true => text += &format!(", {column}"),
            false => text += &format!("\n  {table}: {column}"),
        }
        last = table;
    }
    text
}
