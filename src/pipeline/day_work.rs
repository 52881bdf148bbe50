//! One final day on its way from its rollups through the windows to a change that can be published.

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::Result;
use chrono::NaiveDate;

use super::Job;
use crate::contracts::tables::TABLES;
use crate::contracts::{Stage, Table};
use crate::days::readiness::DayExports;
use crate::exports::snapshots::Snapshots;
use crate::plan::{self, Facts};
use crate::publish::parquet::TableWriter;
use crate::publish::reader::DayTables;
use crate::publish::{Change, TableFile};
use crate::record::manifest::{Manifest, PublishedBenchmark, Skipped};
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
            skipped: newest.as_ref().map(|m| m.skipped.clone()).unwrap_or_default(),
            newest,
            inputs: BTreeMap::new(),
            rollup_inputs,
        })
    }

    pub fn add_rollup(&mut self, file: TableFile) {
        self.inputs.insert(file.table.name, self.rollup_inputs.clone());
        self.tables.add(file);
    }

    pub fn first_campaign_day(&self) -> Option<NaiveDate> {
        self.newest.as_ref().and_then(|m| m.first_campaign_day)
    }

    /// The window and benchmark tables whose inputs are others than those they were computed from, in an order in which
    /// each reads only what is settled.
    pub fn compute_windows(&mut self, job: &Job) -> Result<()> {
        let (day, config) = (self.exports.day, &job.config);
        let skips = |name: &str| self.skipped.iter().any(|s| s.table == name && s.columns.is_empty());
        self.tables.absent = TABLES.iter().map(|t| t.name).filter(|name| skips(name)).collect();
        let first_campaign_day = self.snapshots.first_campaign_day();
        let (mut computed, mut benchmarks) = (0, Vec::new());
        for table in TABLES.into_iter().filter(|t| t.stage != Stage::Rollup) {
            if self.tables.absent.contains(table.name) {
                continue;
            }
            let newest = self.newest.as_deref();
            let freshness = plan::freshness(table, &self.exports, first_campaign_day, &self.tables, newest, config)?;
            self.inputs.insert(table.name, freshness.inputs);
            if freshness.why_stale.is_none() {
                continue;
            }
            computed += 1;
            if table.stage == Stage::Benchmark {
                // They come from the same cohorts.
                benchmarks.push(table);
                continue;
            }
            let (snapshots, published) = (&self.snapshots, &self.tables);
            let inputs = WindowInputs { day, config, snapshots, published, rows_at_once: job.rows_at_once() };
            let mut writer = TableWriter::new(table, day)?;
            windows::window_table(table, &inputs, &mut |rows| writer.push(&rows))?;
            self.tables.add(writer.finish()?);
        }
        let own = BenchmarkDay { day, fallback_reason: None };
        for file in benchmark_files(job, &benchmarks, day, &own, &self.tables)? {
            self.tables.add(file);
        }
        job.progress.stage(day, "windows", &format!("{computed} tables"));
        Ok(())
    }

    pub fn into_change(mut self, job: &Job) -> Change {
        let mut manifest = job.next_manifest(self.exports.day, self.newest.as_deref());
        manifest.rollup_inputs = Some(self.rollup_inputs);
        manifest.first_campaign_day = self.snapshots.first_campaign_day();
        manifest.skipped = self.skipped;
        manifest.blocked = None;
        manifest.benchmark = Some(PublishedBenchmark { benchmark_day: self.exports.day, fallback_reason: None });
        let absent = TABLES.into_iter().filter(|t| self.tables.absent.contains(t.name));
        Change::new(manifest, std::mem::take(&mut self.tables.fresh).into_values(), absent, &self.inputs)
    }
}

/// Benchmark tables as files of `day`, computed from the tables of the benchmark day.
pub fn benchmark_files(
    job: &Job,
    tables: &[&'static Table],
    day: NaiveDate,
    benchmark: &BenchmarkDay,
    published: &DayTables,
) -> Result<Vec<TableFile>> {
    if tables.is_empty() {
        return Ok(vec![]);
    }
    let mut writers = tables.iter().map(|table| TableWriter::new(table, day)).collect::<Result<Vec<_>>>()?;
    let go_on = || Ok(job.resources.stop.check()?);
    windows::benchmark_tables(benchmark, &job.config, published, job.rows_at_once(), &go_on, &mut |table, rows| {
        let writer = tables.iter().zip(&mut writers).find(|(wanted, _)| wanted.name == table.name);
        writer.map_or(Ok(()), |(_, writer)| writer.push(&rows))
    })?;
    writers.into_iter().map(TableWriter::finish).collect()
}
