//! `diff`: the changes between two publications of a day, and their causes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array::RecordBatch;
use bytes::Bytes;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use super::versions::{Differences, compare};
use super::{counted, page};
use crate::catalog::history::History;
use crate::catalog::manifest::{Manifest, PublishedTable};
use crate::contracts::tables;
use crate::contracts::{StreamId, Table, TableId};
use crate::days::spans::days_of;
use crate::exports::quarantine::Accounting;
use crate::messages;
use crate::plan::snapshots_behind;
use crate::publish::parquet::decode_all;

/// One publication of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Publication {
    pub commit: u64,
    pub run_id: String,
    pub version: String,
    /// RFC 3339, UTC.
    pub published_at: String,
}

/// The differences of one table, and their causes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct TableDifference {
    pub table: &'static str,
    pub causes: Vec<String>,
    #[serde(flatten)]
    pub differences: Differences,
}

/// The differences between two publications of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct DayDifference {
    pub day: NaiveDate,
    pub shop_id: Option<i64>,
    pub from: Publication,
    pub to: Publication,
    /// Tables with differences; the one with most changed rows first.
    pub tables: Vec<TableDifference>,
}

/// Compares two publications of a day. `from`: by default the one before `to`. `to`: by default the
/// newest. `shop_id`: only the rows of this shop.
///
/// # Errors
/// `ConfigWrong` when the day has no two publications; `StoreFailed` when a file was not kept.
pub(crate) fn diff(
    history: &History,
    day: NaiveDate,
    from: Option<u64>,
    to: Option<u64>,
    shop_id: Option<i64>,
) -> Result<DayDifference> {
    let (before, after) = manifests(history, day, from, to)?;
    let mut found = Vec::new();
    for table in tables::all() {
        let versions = [&before, &after].map(|m| m.tables.get(table.name));
        let [old, new] = versions;
        if old.map(|t| &t.sha256) == new.map(|t| &t.sha256) {
            continue;
        }
        let read = |published: Option<&PublishedTable>, manifest: &Manifest| {
            let read = |published| history.read(table, day, manifest.commit_number, published);
            published
                .map(read)
                .transpose()?
                .map(|file| decode(file, shop_id))
                .transpose()
        };
        let (old_rows, new_rows) = (read(old, &before)?, read(new, &after)?);
        let has_shops = table.key.contains(&"shop_id");
        let differences = match shop_id {
            Some(_) if !has_shops => continue,
            _ => compare(table, old_rows, new_rows, shop_id)?,
        };
        let is_other = !differences.columns.is_empty()
            || differences.rows_added + differences.rows_removed + differences.rows_changed > 0;
        if is_other || (shop_id.is_none() && old.is_some() != new.is_some()) {
            found.push(TableDifference {
                table: table.name,
                causes: causes_of(history, table, day, &before, &after)?,
                differences,
            });
        }
    }
    found.sort_by_key(|table| {
        let rows = &table.differences;
        std::cmp::Reverse(rows.rows_added + rows.rows_removed + rows.rows_changed)
    });
    Ok(DayDifference {
        day,
        shop_id,
        from: publication(&before),
        to: publication(&after),
        tables: found,
    })
}

fn manifests(
    history: &History,
    day: NaiveDate,
    from: Option<u64>,
    to: Option<u64>,
) -> Result<(Arc<Manifest>, Arc<Manifest>)> {
    let commits = history.commits(day);
    let shown: Vec<String> = commits.iter().map(u64::to_string).collect();
    let shown = match shown.as_slice() {
        [] => "it was never published".to_owned(),
        shown => format!("commits {}", shown.join(", ")),
    };
    let missing = || messages::no_commits(day, &shown);
    let to = to.or(commits.last().copied()).ok_or_else(missing)?;
    let before_it = commits.iter().rev().find(|number| **number < to);
    let from = from.or(before_it.copied()).ok_or_else(missing)?;
    let manifest = |commit| -> Result<Arc<Manifest>> {
        Ok(history.manifest(day, commit)?.ok_or_else(missing)?)
    };
    Ok((manifest(from)?, manifest(to)?))
}

pub(crate) fn publication(manifest: &Manifest) -> Publication {
    Publication {
        commit: manifest.commit_number,
        run_id: manifest.run_id.clone(),
        version: manifest.version.clone(),
        published_at: manifest.finished_at.clone(),
    }
}

fn decode(file: Bytes, shop_id: Option<i64>) -> Result<RecordBatch> {
    decode_all(file, shop_id).context("a published file cannot be read")
}

/// The differences for people.
pub(crate) fn page(found: &DayDifference) -> String {
    let DayDifference { day, from, to, .. } = found;
    let of = |publication: &Publication| {
        let Publication {
            commit,
            version,
            published_at,
            ..
        } = publication;
        format!("commit {commit} of {published_at} (version {version})")
    };
    let mut text = format!("{day}: {} -> {}\n", of(from), of(to));
    if let Some(shop) = found.shop_id {
        let _ = writeln!(text, "only shop {shop}");
    }
    if found.tables.is_empty() {
        text += "nothing differs\n";
    }
    for of_table in &found.tables {
        let rows = &of_table.differences;
        let _ = writeln!(
            text,
            "\n{}: {} rows added, {} removed, {} changed; {} -> {} rows",
            of_table.table,
            rows.rows_added,
            rows.rows_removed,
            rows.rows_changed,
            rows.rows_before,
            rows.rows_after
        );
        for cause in &of_table.causes {
            let _ = writeln!(text, "  cause: {cause}");
        }
        if rows.cells.is_empty() && !rows.columns.is_empty() {
            let _ = writeln!(text, "{}", page::columns(&rows.columns));
        } else if !rows.cells.is_empty() {
            let _ = writeln!(text, "{}", page::cells(&rows.cells));
        }
    }
    text
}

/// Why a table differs between two publications of a day, in words.
pub(crate) fn causes_of(
    history: &History,
    table: &'static Table,
    day: NaiveDate,
    before: &Manifest,
    after: &Manifest,
) -> Result<Vec<String>> {
    let change = Change {
        history,
        table,
        day,
        before,
        after,
    };
    change.causes()
}

/// A table that differs between two publications of a day.
struct Change<'a> {
    history: &'a History,
    table: &'static Table,
    day: NaiveDate,
    before: &'a Manifest,
    after: &'a Manifest,
}

impl Change<'_> {
    /// Differences between the inputs of the two files, in words.
    fn causes(&self) -> Result<Vec<String>> {
        let (Some(old), Some(new)) = (
            self.before.tables.get(self.table.name),
            self.after.tables.get(self.table.name),
        ) else {
            return Ok(vec![self.why_added_or_removed()]);
        };
        let (old_commit, new_commit) =
            (self.commit(old, self.before), self.commit(new, self.after));
        let old_manifest = self.history.manifest(self.day, old_commit)?;
        let new_manifest = self.history.manifest(self.day, new_commit)?;
        let old_manifest = old_manifest.as_deref().unwrap_or(self.before);
        let new_manifest = new_manifest.as_deref().unwrap_or(self.after);
        let mut causes = Vec::new();
        if old_manifest.version != new_manifest.version {
            let (old, new) = (&old_manifest.version, &new_manifest.version);
            causes.push(format!("the program: version {old} -> {new}"));
        }
        if old.contract.is_some() && new.contract.is_some() && old.contract != new.contract {
            causes.push("the contract of the table: columns, key or formulas".to_owned());
        }
        causes.extend(settings_changed(old_manifest, new_manifest));
        causes.extend(self.exports_changed(old_manifest, new_manifest));
        causes.extend(self.benchmark_day_changed(old_manifest, new_manifest));
        causes.extend(self.tables_changed(old_commit, new_commit, new_manifest)?);
        if causes.is_empty() {
            let unknown = "not known: the run of one of the two did not record its sources";
            causes.push(unknown.to_owned());
        }
        Ok(causes)
    }

    fn commit(&self, published: &PublishedTable, manifest: &Manifest) -> u64 {
        published.commit_number.unwrap_or(manifest.commit_number)
    }

    fn why_added_or_removed(&self) -> String {
        let has_it_now = self.after.has(self.table);
        let without = if has_it_now { self.before } else { self.after };
        let skipped = without
            .skipped
            .iter()
            .find(|skipped| skipped.table == self.table.name && skipped.columns.is_empty());
        let why = skipped.map_or("it was not published", |skipped| skipped.reason.as_str());
        match has_it_now {
            true => format!("published for the first time; before: {why}"),
            false => format!("not published any more: {why}"),
        }
    }

    /// Exports of the day that the table is computed from.
    fn exports_changed(&self, old: &Manifest, new: &Manifest) -> Vec<String> {
        let (Some(before), Some(after)) = (&old.sources, &new.sources) else {
            return vec![];
        };
        let streams = match self.table.id {
            TableId::Rollup(_) => StreamId::ALL,
            TableId::Window(_) | TableId::Benchmark(_) => &[],
        };
        let snapshots = snapshots_behind(self.table).into_iter();
        let behind = streams.iter().map(|id| id.name());
        let behind: BTreeSet<&str> = behind.chain(snapshots.map(|id| id.name())).collect();
        let changed = behind
            .into_iter()
            .filter(|name| before.exports.get(*name) != after.exports.get(*name));
        changed.map(|name| export_changed(name, old, new)).collect()
    }

    fn benchmark_day_changed(&self, old: &Manifest, new: &Manifest) -> Option<String> {
        let is_benchmark = matches!(self.table.id, TableId::Benchmark(_));
        let of = |manifest: &Manifest| manifest.benchmark.as_ref().map(|b| b.benchmark_day);
        let (old, new) = (of(old)?, of(new)?);
        (is_benchmark && old != new).then(|| format!("the benchmark day: {old} -> {new}"))
    }

    /// Published tables that the table reads.
    fn tables_changed(&self, old: u64, new: u64, manifest: &Manifest) -> Result<Vec<String>> {
        let mut changed = Vec::new();
        for read in self.table.reads {
            let (first, last) = days_of(read.span, self.day, manifest.first_campaign_day);
            let mut days = Vec::new();
            for day in first.iter_days().take_while(|day| *day <= last) {
                let sha256 = |commit| -> Result<Option<String>> {
                    let manifest = self.history.manifest(day, commit)?;
                    let published = manifest
                        .as_ref()
                        .and_then(|m| m.tables.get(read.table.name));
                    Ok(published.map(|published| published.sha256.clone()))
                };
                if sha256(old)? != sha256(new)? {
                    days.push(day);
                }
            }
            changed.extend(table_changed(read.table.name, &days));
        }
        Ok(changed)
    }
}

/// The days on which a table that is read was published anew.
fn table_changed(table: &str, days: &[NaiveDate]) -> Option<String> {
    Some(match days {
        [] => return None,
        [day] => format!("{table} of {day}, which it reads"),
        [first, .., last] => {
            let days = counted(days.len(), "day");
            format!("{table} of {days} from {first} to {last}, which it reads")
        }
    })
}

fn settings_changed(old: &Manifest, new: &Manifest) -> Vec<String> {
    let (Some(before), Some(after)) = (&old.sources, &new.sources) else {
        return vec![];
    };
    let names: BTreeSet<&String> = before
        .settings
        .keys()
        .chain(after.settings.keys())
        .collect();
    let changed = names
        .into_iter()
        .filter(|name| before.settings.get(*name) != after.settings.get(*name));
    changed
        .map(|name| {
            let shown = |settings: &BTreeMap<String, String>| {
                settings.get(name).cloned().unwrap_or_default()
            };
            let (old, new) = (shown(&before.settings), shown(&after.settings));
            format!("the setting {name}: {old} -> {new}")
        })
        .collect()
}

/// How an export changed, as far as the accounts of its rows tell.
fn export_changed(name: &str, old: &Manifest, new: &Manifest) -> String {
    let account = |manifest: &Manifest| -> Option<Accounting> {
        let mut accounts = manifest.datasets.iter();
        accounts.find(|account| account.dataset == name).cloned()
    };
    let is_final = |manifest: &Manifest| {
        let sources = manifest.sources.as_ref();
        sources.is_some_and(|sources| sources.exports.contains_key(name))
    };
    match (is_final(old), is_final(new)) {
        (false, true) => return format!("the export {name}, which was added"),
        (true, false) => return format!("the export {name}, which was removed"),
        _ => {}
    }
    match (account(old), account(new)) {
        (Some(old), Some(new)) if old == new => {
            format!("the export {name}, with as many rows as before")
        }
        (Some(old), Some(new)) => format!(
            "the export {name}: {} -> {} rows read, {} -> {} used",
            old.rows_read, new.rows_read, old.rows_used, new.rows_used
        ),
        _ => format!("the export {name}"),
    }
}
