//! What the day published: tables, sums that must agree, withheld cohorts, checks, time.

use std::collections::BTreeMap;

use anyhow::Result;
use polars::prelude::DataFrame;

use super::{Summary, heads, mark, rows_of, text};
use crate::catalog::checked::{Check, CheckOutcome};
use crate::catalog::layout::part_path;
use crate::catalog::manifest::{Manifest, PublishedTable};
use crate::contracts::tables::{self, CATEGORY_BENCHMARK, SHOP_DAILY};
use crate::contracts::{Kind, Table as ResultTable, TableId, Total};
use crate::exit_code::ExitCode;
use crate::pages::chart;
use crate::pages::page::{Block, Cell, Figure, Origin, Picked, Row, Table, Tone};
use crate::report::verdict::Findings;
use crate::report::versions::show_whole;
use crate::rollups::tally::Totals;

impl Summary<'_> {
    pub(super) fn tables(&self, found: &mut Findings) -> Result<Vec<Block>> {
        let Some(manifest) = self.manifest()? else {
            let none = format!("Nothing of {} is published.", self.night.day);
            return Ok(vec![Block::Text(none)]);
        };
        let damaged = self.damaged(manifest)?;
        for path in &damaged {
            found.problem(
                ExitCode::StoreFailed,
                format!("{path} is not the file that was published"),
            );
        }
        let before = match self.night.day.pred_opt() {
            // The state of that day tells why it cannot be read.
            Some(before) => self.night.facts.manifest(before).ok().flatten(),
            None => None,
        };
        let row = |table: &'static ResultTable| {
            let rows_before = before.as_ref().and_then(|m| m.tables.get(table.name));
            match manifest.tables.get(table.name) {
                Some(published) => {
                    let is_whole = !damaged.contains(&part_path(table, manifest.day));
                    self.table_row(manifest, (table, published), is_whole, rows_before)
                }
                None => missing_row(manifest, table),
            }
        };
        let table = Table {
            caption: "Tables of the day".to_owned(),
            columns: heads(&[
                ("Table", false),
                ("State", false),
                ("Rows", true),
                ("Rows the day before", true),
                ("Bytes", true),
                ("Time (ms)", true),
                ("Commit", true),
            ]),
            rows: tables::all().map(row).collect(),
            notes: vec![
                "The time is that of the newest commit. One pass over the exports computes all daily tables: see where the time went.".to_owned(),
            ],
            ..Table::default()
        };
        Ok(vec![Block::Table(table)])
    }

    /// The published files of the day whose bytes are not those of their hash.
    fn damaged(&self, manifest: &Manifest) -> Result<Vec<String>> {
        let published = tables::all().filter_map(|table| {
            let published = manifest.tables.get(table.name)?;
            Some((part_path(table, manifest.day), &published.sha256))
        });
        let (paths, expected): (Vec<String>, Vec<&String>) = published.unzip();
        let digests = self.night.facts.results.digest_each(&paths)?;
        let found = paths.into_iter().zip(digests).zip(expected);
        let is_other = |digest: &Option<(u64, String)>, expected: &String| {
            digest.as_ref().is_none_or(|(_, sha256)| sha256 != expected)
        };
        Ok(found
            .filter(|((_, digest), expected)| is_other(digest, expected))
            .map(|((path, _), _)| path)
            .collect())
    }

    fn table_row(
        &self,
        manifest: &Manifest,
        (table, published): (&'static ResultTable, &PublishedTable),
        is_whole: bool,
        before: Option<&PublishedTable>,
    ) -> Row {
        let count = |count: u64| {
            self.locale
                .of_unit(Kind::Int64, "rows", Some(count.to_string()))
        };
        let mut cells = vec![
            text(table.name),
            match is_whole {
                true => mark(Tone::Good, "published"),
                false => mark(Tone::Bad, "not the file that was published"),
            },
            Cell::Of(rows_of(table.name, String::new()), count(published.rows)),
            Cell::Number(
                before
                    .map(|before| count(before.rows).text)
                    .unwrap_or_default(),
            ),
            Cell::Of(
                Origin::manifest(format!("tables/{}/bytes", table.name)),
                count(published.bytes),
            ),
        ];
        let stage = match table.id {
            TableId::Rollup(_) => "rollups",
            TableId::Window(_) => table.name,
            TableId::Benchmark(_) => "benchmarks",
        };
        let mut stages = manifest.stages.iter();
        cells.push(match stages.find(|of| of.stage == stage) {
            Some(of) => self.count(format!("stages/{stage}/milliseconds"), of.milliseconds),
            None => text(""),
        });
        let commit = published.commit_number.unwrap_or(manifest.commit_number);
        cells.push(Cell::Number(commit.to_string()));
        Row {
            cells,
            ..Row::default()
        }
    }

    /// Sums of the daily tables that must agree.
    pub(super) fn reconciliation(&self, found: &mut Findings) -> Result<Vec<Block>> {
        let mut rows = Vec::new();
        let mut first: [Option<i128>; Total::ALL.len()] = [None; Total::ALL.len()];
        for table in tables::all() {
            if table.reconciled.is_empty() || !self.has(table)? {
                continue;
            }
            let sums = self.sums(table)?;
            let mut is_equal = true;
            let mut cells = vec![text(table.name)];
            for (first, total) in first.iter_mut().zip(Total::ALL) {
                let sum = sums.get(total.column()).copied();
                if let Some(sum) = sum {
                    is_equal &= *first.get_or_insert(sum) == sum;
                }
                cells.push(match sum {
                    Some(sum) => self.sum(table, total.column(), sum),
                    None => text(""),
                });
            }
            cells.push(match is_equal {
                true => mark(Tone::Good, "agrees"),
                false => {
                    found.problem(
                        ExitCode::Bug,
                        format!("the sums of {} differ from other tables", table.name),
                    );
                    mark(Tone::Bad, "differs from the tables above")
                }
            });
            rows.push(Row {
                cells,
                ..Row::default()
            });
        }
        let mut columns = heads(&[("Table", false)]);
        columns.extend(Total::ALL.map(|total| self.total_head(SHOP_DAILY.column(total.column()))));
        columns.extend(heads(&[("Agreement", false)]));
        let block = match rows.is_empty() {
            true => Block::Text("No daily table is published.".to_owned()),
            false => Block::Table(Table {
                caption: "Sums over all rows of the daily tables".to_owned(),
                columns,
                rows,
                notes: vec![
                    "The sums were read from the published files now. Before a day is published, they are compared with the sums over the used rows of the exports.".to_owned(),
                ],
                ..Table::default()
            }),
        };
        Ok(vec![block])
    }

    /// The sum of each column that is reconciled; money in cents.
    fn sums(&self, table: &'static ResultTable) -> Result<BTreeMap<&'static str, i128>> {
        let names: Vec<&str> = table.reconciled.iter().map(|t| t.column()).collect();
        let mut totals = Totals::new(table);
        self.read(table, self.night.day, &names, &mut |rows| totals.add(&rows))?;
        Ok(totals.by_column().collect())
    }

    /// The sum of a column over a whole table; money in cents.
    pub(super) fn sum(&self, table: &'static ResultTable, column: &'static str, sum: i128) -> Cell {
        let described = table.column(column);
        let shown = show_whole(described.kind, sum);
        let origin = Origin {
            table: table.name.into(),
            rows: Picked::Where(String::new()),
            column: column.into(),
        };
        Cell::Of(origin, self.locale.shown(described, Some(shown)))
    }

    /// Failed checks first.
    pub(super) fn checks(&self, _found: &mut Findings) -> Result<Vec<Block>> {
        let checks = self.manifest()?.and_then(|m| m.checks.as_ref());
        let Some(checks) = checks.filter(|checks| !checks.checks.is_empty()) else {
            return Ok(vec![Block::Text("No check was made.".to_owned())]);
        };
        let row = |check: &Check| {
            let is_accepted = checks.accepted.contains(&check.name);
            let outcome = match check.outcome {
                CheckOutcome::Passed => mark(Tone::Good, "passed"),
                CheckOutcome::Failed if is_accepted => mark(Tone::Warning, "failed, accepted"),
                CheckOutcome::Failed => mark(Tone::Bad, "failed"),
                CheckOutcome::NothingToCompareWith => mark(Tone::Plain, "nothing to compare with"),
            };
            let told = match check.outcome {
                CheckOutcome::Failed => check.told(),
                _ => check.why.clone().unwrap_or_default(),
            };
            Row {
                cells: vec![
                    text(&*check.name),
                    outcome,
                    Cell::Number(check.compared_days.to_string()),
                    text(told),
                ],
                ..Row::default()
            }
        };
        let mut sorted: Vec<&Check> = checks.checks.iter().collect();
        sorted.sort_by_key(|check| match check.outcome {
            CheckOutcome::Failed => 0,
            CheckOutcome::Passed => 1,
            CheckOutcome::NothingToCompareWith => 2,
        });
        let table = Table {
            caption: checks.told(),
            columns: heads(&[
                ("Check", false),
                ("Outcome", false),
                ("Compared days", true),
                ("Found", false),
            ]),
            rows: sorted.into_iter().map(row).collect(),
            ..Table::default()
        };
        Ok(vec![Block::Table(table)])
    }

    /// Published cohorts, and those that are suppressed, by reason.
    pub(super) fn cohorts(&self, _found: &mut Findings) -> Result<Vec<Block>> {
        if !self.has(&CATEGORY_BENCHMARK)? {
            return Ok(vec![Block::Text("No benchmarks are published.".to_owned())]);
        }
        let mut found: BTreeMap<(String, i64, Option<String>), u64> = BTreeMap::new();
        let names = ["scope", "campaign_id", "suppression_reason"];
        self.read(&CATEGORY_BENCHMARK, self.night.day, &names, &mut |rows| {
            count_cohorts(&mut found, &rows)
        })?;
        let row = |((scope, campaign, reason), count): ((String, i64, Option<String>), u64)| {
            let of = format!("scope={scope};campaign_id={campaign}");
            let (state, picked) = match &reason {
                None => (
                    mark(Tone::Good, "published"),
                    format!("{of};is_suppressed=false"),
                ),
                Some(reason) => (
                    mark(Tone::Plain, format!("suppressed: {reason}")),
                    format!("{of};suppression_reason={reason}"),
                ),
            };
            let count = self
                .locale
                .of_unit(Kind::Int64, "rows", Some(count.to_string()));
            Row {
                cells: vec![
                    text(scope),
                    text(match campaign {
                        0 => String::new(),
                        campaign => campaign.to_string(),
                    }),
                    state,
                    Cell::Of(rows_of(CATEGORY_BENCHMARK.name, picked), count),
                ],
                ..Row::default()
            }
        };
        let table = Table {
            caption: "Cohorts and metrics by state".to_owned(),
            columns: heads(&[
                ("Scope", false),
                ("Campaign", false),
                ("State", false),
                ("Rows", true),
            ]),
            rows: found.into_iter().map(row).collect(),
            notes: vec![format!(
                "A row of {} is one metric of one cohort.",
                CATEGORY_BENCHMARK.name
            )],
            ..Table::default()
        };
        Ok(vec![Block::Table(table)])
    }

    /// Where the time of the newest commit went.
    pub(super) fn stages(&self, _found: &mut Findings) -> Result<Vec<Block>> {
        let manifest = self.manifest()?.filter(|m| !m.stages.is_empty());
        let Some(manifest) = manifest else {
            let none = "Not available: nothing is published, or by an earlier version.";
            return Ok(vec![Block::Text(none.to_owned())]);
        };
        let stages = &manifest.stages;
        let rows = stages.iter().map(|of| Row {
            cells: vec![
                text(&*of.stage),
                self.count(format!("stages/{}/milliseconds", of.stage), of.milliseconds),
            ],
            ..Row::default()
        });
        let most = stages.iter().max_by_key(|of| of.milliseconds);
        let numbers = Table {
            caption: format!("Stages of commit {}", manifest.commit_number),
            columns: heads(&[("Stage", false), ("Time (ms)", true)]),
            rows: rows.collect(),
            notes: vec![
                "The stage rollups reads the exports; staging writes and verifies the files. Moving them into place comes after it. A window table's stage has its name.".to_owned(),
            ],
            ..Table::default()
        };
        let names = stages.iter().map(|of| of.stage.clone()).collect();
        let times = stages.iter().map(|of| Some(of.milliseconds as f64));
        let figure = Figure {
            caption: match most {
                Some(most) => format!("The longest stage was {}", most.stage),
                None => String::new(),
            },
            label: "Bars: the time of each stage".to_owned(),
            svg: chart::bars(names, vec![("Milliseconds", times.collect())])?,
            numbers,
        };
        Ok(vec![Block::Figure(figure)])
    }
}

fn missing_row(manifest: &Manifest, table: &ResultTable) -> Row {
    let is_lost = manifest.lost.iter().any(|lost| lost == table.name);
    let mut skipped = manifest.skipped.iter();
    let skipped = skipped.find(|s| s.table == table.name && s.columns.is_empty());
    let state = match (is_lost, skipped) {
        (true, _) => mark(Tone::Bad, "its file is gone or cut short"),
        (false, Some(skipped)) => mark(Tone::Warning, format!("not written: {}", skipped.reason)),
        (false, None) => mark(Tone::Plain, "not published"),
    };
    let mut cells = vec![text(table.name), state];
    cells.extend((0..5).map(|_| text("")));
    Row {
        cells,
        ..Row::default()
    }
}

fn count_cohorts(
    found: &mut BTreeMap<(String, i64, Option<String>), u64>,
    rows: &DataFrame,
) -> Result<()> {
    let scopes = rows.column("scope")?.str()?;
    let campaigns = rows.column("campaign_id")?.i64()?;
    let reasons = rows.column("suppression_reason")?.str()?;
    for ((scope, campaign), reason) in scopes.iter().zip(campaigns.iter()).zip(reasons.iter()) {
        let key = (
            scope.unwrap_or_default().to_owned(),
            campaign.unwrap_or_default(),
            reason.map(str::to_owned),
        );
        *found.entry(key).or_default() += 1;
    }
    Ok(())
}
