//! One final day on its way from its rollups through the windows to a change that can be published.

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::Result;
use chrono::NaiveDate;

use super::Job;
use crate::contracts::sums::SumTooLarge;
use crate::contracts::tables::{self, TABLES};
use crate::contracts::{Stage, Table};
use crate::days::readiness::DayExports;
use crate::exports::snapshots::Snapshots;
use crate::messages;
use crate::plan::{self, Facts};
use crate::publish::parquet::TableWriter;
use crate::publish::reader::DayTables;
use crate::publish::{Change, TableFile};
use crate::record::manifest::{Manifest, PublishedBenchmark, Skipped, SkippedSum};
use crate::resources::Resources;
use crate::windows::{self, BenchmarkDay, WindowInputs};

/// A final day on its way through windows to publishing.
pub struct DayWork<'a> {
    pub exports: DayExports,
    newest: Option<Rc<Manifest>>,
    pub tables: DayTables<'a>,
    pub snapshots: Snapshots,
    /// Tables and columns that lack an optional export.
    pub skipped: Vec<Skipped>,
    /// What each fresh or checked table comes from.
    inputs: BTreeMap<&'static str, String>,
    pub rollup_inputs: String,
}

impl<'a> DayWork<'a> {
    /// A day of which nothing is read yet: it lacks what it lacked when it was published.
    pub fn new(facts: &'a Facts<'a>, exports: DayExports, rollup_inputs: String) -> Result<Self> {
        let newest = facts.manifest(exports.day)?;
        Ok(DayWork {
            tables: facts.tables(exports.day),
            exports,
            snapshots: Snapshots::default(),
            skipped: newest
                .as_ref()
                .map(|m| m.skipped.clone())
                .unwrap_or_default(),
            newest,
            inputs: BTreeMap::new(),
            rollup_inputs,
        })
    }

    pub fn add_rollup(&mut self, file: TableFile) {
        self.inputs
            .insert(file.table.name, self.rollup_inputs.clone());
        self.tables.add(file);
    }

    /// A sum of a rollup does not fit: the table is not written.
    pub fn leave_out_rollup(&mut self, sum: &SumTooLarge) {
        let inputs = self.rollup_inputs.clone();
        self.skipped.push(left_out(self.exports.day, sum, inputs));
    }

    pub fn first_campaign_day(&self) -> Option<NaiveDate> {
        self.newest.as_ref().and_then(|m| m.first_campaign_day)
    }

    /// The window and benchmark tables whose inputs are others than those they were computed from,
    /// in an order in which each reads only what is settled. A table with a sum that does not fit
    /// is left out, and so is a table that reads it.
    pub fn compute_windows(&mut self, job: &Job, resources: &Resources) -> Result<()> {
        let (day, config) = (self.exports.day, &job.config);
        self.skipped
            .retain(|skipped| skipped.sum.is_none() || is_rollup(&skipped.table));
        self.tables.absent = TABLES
            .iter()
            .map(|t| t.name)
            .filter(|name| self.skips(name))
            .collect();
        let first_campaign_day = self.snapshots.first_campaign_day();
        let (mut computed, mut benchmarks) = (0, Vec::new());
        for table in TABLES.into_iter().filter(|t| t.stage != Stage::Rollup) {
            if self.tables.absent.contains(table.name) {
                continue;
            }
            let newest = self.newest.as_deref();
            let freshness = plan::freshness(
                table,
                &self.exports,
                first_campaign_day,
                &self.tables,
                newest,
                config,
            )?;
            self.inputs.insert(table.name, freshness.inputs.clone());
            let reads = windows::reads(table, day, first_campaign_day, config);
            let unwritten = reads
                .tables
                .iter()
                .find_map(|(read, ..)| self.skipped.iter().find(|s| is_sum_of(s, read.name)));
            if let Some(Skipped {
                table: read,
                sum: Some(sum),
                ..
            }) = unwritten
            {
                let sum = SkippedSum {
                    inputs: freshness.inputs,
                    ..sum.clone()
                };
                let reason = messages::reads_unwritten(read).text().to_owned();
                self.leave_out(Skipped {
                    table: table.name.into(),
                    day,
                    columns: vec![],
                    reason,
                    sum: Some(sum),
                });
                continue;
            }
            if freshness.why_stale.is_none() {
                if let Some(skipped) = newest.and_then(|newest| newest.skipped_sum(table)).cloned()
                {
                    self.leave_out(skipped);
                }
                continue;
            }
            computed += 1;
            if table.stage == Stage::Benchmark {
                // They come from the same cohorts.
                benchmarks.push(table);
                continue;
            }
            let (snapshots, published) = (&self.snapshots, &self.tables);
            let (rows_at_once, stop) = (windows::rows_at_once(resources), &resources.stop);
            let inputs = WindowInputs {
                day,
                config,
                snapshots,
                published,
                rows_at_once,
                stop,
            };
            match window_file(table, &inputs) {
                Ok(file) => self.tables.add(file),
                Err(error) => {
                    let sum: SumTooLarge = error.downcast()?;
                    self.leave_out(left_out(day, &sum, freshness.inputs));
                }
            }
        }
        let own = BenchmarkDay {
            day,
            fallback_reason: None,
        };
        for file in benchmark_files(job, resources, &benchmarks, day, &own, &self.tables)? {
            self.tables.add(file);
        }
        job.progress
            .stage(day, "windows", &format!("{computed} tables"));
        Ok(())
    }

    fn skips(&self, table: &str) -> bool {
        self.skipped
            .iter()
            .any(|s| s.table == table && s.columns.is_empty())
    }

    fn leave_out(&mut self, skipped: Skipped) {
        self.tables
            .absent
            .extend(tables::table(&skipped.table).map(|table| table.name));
        self.skipped.push(skipped);
    }

    pub fn into_change(mut self, job: &Job) -> Change {
        let mut manifest = job.next_manifest(self.exports.day, self.newest.as_deref());
        manifest.rollup_inputs = Some(self.rollup_inputs);
        manifest.first_campaign_day = self.snapshots.first_campaign_day();
        manifest.skipped = self.skipped;
        manifest.blocked = None;
        let has_benchmarks = tables::of_stage(Stage::Benchmark)
            .all(|table| !self.tables.absent.contains(table.name));
        let own = PublishedBenchmark {
            benchmark_day: self.exports.day,
            fallback_reason: None,
        };
        manifest.benchmark = has_benchmarks.then_some(own);
        let absent = TABLES
            .into_iter()
            .filter(|t| self.tables.absent.contains(t.name));
        Change::new(
            manifest,
            std::mem::take(&mut self.tables.fresh).into_values(),
            absent,
            &self.inputs,
        )
    }
}

fn is_rollup(table: &str) -> bool {
    tables::table(table).is_some_and(|table| table.stage == Stage::Rollup)
}

/// Whether the table was left out because a sum does not fit.
fn is_sum_of(skipped: &Skipped, table: &str) -> bool {
    skipped.table == table && skipped.sum.is_some()
}

fn left_out(day: NaiveDate, sum: &SumTooLarge, inputs: String) -> Skipped {
    let reason = messages::sum_too_large(sum).to_string();
    let sum_of = SkippedSum {
        column: sum.column.into(),
        shop_id: sum.shop_id,
        inputs,
    };
    Skipped {
        table: sum.table.into(),
        day,
        columns: vec![],
        reason,
        sum: Some(sum_of),
    }
}

fn window_file(table: &'static Table, inputs: &WindowInputs) -> Result<TableFile> {
    let mut writer = TableWriter::new(table, inputs.day, inputs.stop)?;
    windows::window_table(table, inputs, &mut |rows| writer.push(&rows))?;
    writer.finish()
}

/// Benchmark tables as files of `day`, computed from the tables of the benchmark day.
pub fn benchmark_files(
    job: &Job,
    resources: &Resources,
    tables: &[&'static Table],
    day: NaiveDate,
    benchmark: &BenchmarkDay,
    published: &DayTables,
) -> Result<Vec<TableFile>> {
    if tables.is_empty() {
        return Ok(vec![]);
    }
    let (rows_at_once, stop) = (windows::rows_at_once(resources), &resources.stop);
    let mut writers = tables
        .iter()
        .map(|table| TableWriter::new(table, day, stop))
        .collect::<Result<Vec<_>>>()?;
    windows::benchmark_tables(
        benchmark,
        &job.config,
        published,
        rows_at_once,
        stop,
        &mut |table, rows| {
            let writer = tables
                .iter()
                .zip(&mut writers)
                .find(|(wanted, _)| wanted.name == table.name);
            writer.map_or(Ok(()), |(_, writer)| writer.push(&rows))
        },
    )?;
    writers.into_iter().map(TableWriter::finish).collect()
}
