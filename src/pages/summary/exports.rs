//! The exports of the day: readiness, the account of every row, quarantined rows.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use bytesize::ByteSize;

use super::{Summary, heads, mark, rows_of, text};
use crate::catalog::layout::{QUARANTINE, quarantine_path};
use crate::catalog::manifest::Manifest;
use crate::contracts::datasets::dataset;
use crate::contracts::{Dataset, Kind};
use crate::days::readiness::{Folder, Readiness, list_days};
use crate::exit_code::ExitCode;
use crate::exports::quarantine::{Accounting, Example};
use crate::pages::page::{Block, Cell, Row, Table, Tone};
use crate::publish::parquet::for_each_batch;
use crate::report::verdict::Findings;

/// Quarantined rows by reason and column; `""`: of no column.
type Reasons = BTreeMap<(String, String), u64>;

impl Summary<'_> {
    pub(super) fn exports(&self, found: &mut Findings) -> Result<Vec<Block>> {
        let facts = self.night.facts;
        let listed = match facts.readiness(self.night.day)? {
            Readiness::Ready(exports) => vec![exports],
            // Only the names of the missing exports were kept.
            Readiness::NotYet(_) => list_days(
                facts.exports,
                &facts.config.mapping,
                &[self.night.day],
                facts.now,
            )?,
        };
        let folders = listed.iter().flat_map(|day| &day.folders);
        let manifest = self.manifest()?;
        let rows = folders.map(|folder| self.export_row(folder, manifest, found));
        let rows = rows.collect();
        let table = Table {
            caption: "Exports of the day, and where their rows went".to_owned(),
            columns: heads(&[
                ("Export", false),
                ("State", false),
                ("Files", true),
                ("Size", true),
                ("Rows read", true),
                ("Used", true),
                ("Quarantined", true),
                ("Out of scope", true),
                ("Account", false),
            ]),
            rows,
            notes: vec![
                "The rows are those of the last time that the day was computed, or found blocked. Used, quarantined and out of scope add up to the rows read.".to_owned(),
            ],
            ..Table::default()
        };
        Ok(vec![Block::Table(table)])
    }

    fn export_row(
        &self,
        folder: &Folder,
        manifest: Option<&Manifest>,
        found: &mut Findings,
    ) -> Row {
        let dataset = folder.dataset;
        let is_required = self.night.facts.config.required.contains(&dataset.name);
        let refused = manifest.and_then(|manifest| why_refused(manifest, dataset));
        let state = match (folder.final_since(), is_required) {
            (Some(_), _) if refused.is_some() => mark(
                Tone::Bad,
                format!("not used: {}", refused.unwrap_or_default()),
            ),
            (Some(since), _) => mark(
                Tone::Good,
                format!("final since {}", self.locale.told(since)),
            ),
            (None, true) => mark(Tone::Bad, "not final; required"),
            (None, false) => mark(Tone::Warning, "not final; optional"),
        };
        let bytes: u64 = folder.files.iter().map(|file| file.size_bytes).sum();
        let mut cells = vec![
            text(dataset.name),
            state,
            Cell::Number(folder.files.len().to_string()),
            Cell::Number(ByteSize(bytes).to_string()),
        ];
        let mut accounts = manifest.iter().flat_map(|m| &m.datasets);
        match accounts.find(|a| a.dataset == dataset.name) {
            None => {
                cells.extend((0..4).map(|_| text("")));
                cells.push(mark(Tone::Plain, "no account"));
            }
            Some(account) => cells.extend(self.account(account, found)),
        }
        Row {
            cells,
            ..Row::default()
        }
    }

    fn account(&self, account: &Accounting, found: &mut Findings) -> Vec<Cell> {
        let counts = [
            ("rows_read", account.rows_read),
            ("rows_used", account.rows_used),
            ("rows_quarantined", account.rows_quarantined),
            ("rows_out_of_scope", account.rows_out_of_scope),
        ];
        let path = |name| format!("datasets/{}/{name}", account.dataset);
        let mut cells: Vec<Cell> = counts
            .into_iter()
            .map(|(name, count)| self.count(path(name), count))
            .collect();
        let parts = account.rows_used + account.rows_quarantined + account.rows_out_of_scope;
        cells.push(match parts == account.rows_read {
            true => mark(Tone::Good, "adds up"),
            false => {
                found.problem(
                    ExitCode::Bug,
                    format!("the account of {} does not add up", account.dataset),
                );
                mark(Tone::Bad, "does not add up")
            }
        });
        cells
    }

    /// Quarantined rows by reason and column, with an example of each reason.
    pub(super) fn quarantine(&self, found: &mut Findings) -> Result<Vec<Block>> {
        let Some(manifest) = self.manifest()? else {
            return Ok(vec![Block::Text(
                "Not known: the day was not computed.".to_owned(),
            )]);
        };
        let accounts = manifest.datasets.iter();
        let accounts: Vec<&Accounting> = accounts
            .filter(|account| account.rows_quarantined > 0)
            .collect();
        if accounts.is_empty() {
            return Ok(vec![Block::Text(match manifest.datasets.is_empty() {
                true => "Not known: the day was not computed.".to_owned(),
                false => "No row is quarantined.".to_owned(),
            })]);
        }
        let mut table = Table {
            caption: "Quarantined rows by reason and column".to_owned(),
            columns: heads(&[
                ("Export", false),
                ("Reason", false),
                ("Column", false),
                ("Rows", true),
                ("First row with the reason", false),
            ]),
            notes: vec![format!(
                "Every row, with its value: {QUARANTINE}/<export>/dt={}/part-0.parquet",
                self.night.day
            )],
            ..Table::default()
        };
        for account in accounts {
            let of = dataset(&account.dataset).context("an unknown export in the manifest")?;
            let rows = self.quarantined(of, account)?;
            if rows.is_empty() {
                let path = quarantine_path(of, self.night.day);
                found.problem(
                    ExitCode::StoreFailed,
                    format!("the quarantined rows are gone: {path}"),
                );
            }
            table.rows.extend(rows);
        }
        Ok(vec![Block::Table(table)])
    }

    fn quarantined(&self, dataset: &'static Dataset, account: &Accounting) -> Result<Vec<Row>> {
        let path = quarantine_path(dataset, self.night.day);
        let mut reasons = Reasons::new();
        if let Some(file) = self.night.facts.results.read(&path)? {
            for_each_batch(file, &["reason", "column"], &mut |batch| {
                let [reason, column] = [0, 1].map(|at| batch.column(at).as_string::<i32>());
                for (reason, column) in reason.iter().zip(column) {
                    let key = [reason, column].map(|text| text.unwrap_or_default().to_owned());
                    *reasons.entry(key.into()).or_default() += 1;
                }
                Ok(())
            })?;
        }
        let row = |((reason, column), count): ((String, String), u64)| {
            let mut examples = account.examples.iter();
            let example = examples.find(|example| {
                example.reason == reason && example.column.as_deref().unwrap_or("") == column
            });
            let example = example.map(Example::shown).unwrap_or_default();
            let mut picked = format!("reason={reason}");
            if !column.is_empty() {
                picked += &format!(";column={column}");
            }
            let origin = rows_of(format!("{QUARANTINE}/{}", dataset.name), picked);
            let shown = self
                .locale
                .of_unit(Kind::Int64, "rows", Some(count.to_string()));
            Row {
                cells: vec![
                    text(dataset.name),
                    text(reason),
                    text(column),
                    Cell::Of(origin, shown),
                    text(example),
                ],
                ..Row::default()
            }
        };
        Ok(reasons.into_iter().map(row).collect())
    }
}

/// Why a final export was not used; `None`: it was.
fn why_refused(manifest: &Manifest, dataset: &Dataset) -> Option<String> {
    let blocked = manifest.blocked.iter().flat_map(|blocked| &blocked.exports);
    let mut blocking = blocked.filter(|export| export.dataset == dataset.name);
    let mut skipped = manifest
        .skipped
        .iter()
        .filter(|skipped| skipped.sum.is_none());
    let of_optional = || {
        let reason = |reason: &str| Some(reason.strip_prefix(dataset.name)?.trim().to_owned());
        skipped.find_map(|skipped| reason(&skipped.reason))
    };
    let blocking = blocking.next().map(|export| export.reason.clone());
    blocking
        .or_else(of_optional)
        .filter(|why| why != "is not final")
}
