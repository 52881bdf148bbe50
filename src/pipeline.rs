//! One report day, stage by stage; a range is that, day by day.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use anyhow::Result;
use chrono::{DateTime, Days, NaiveDate, SecondsFormat, Utc};
use polars::prelude::DataFrame;

use crate::config::Config;
use crate::contracts::datasets::DATASETS;
use crate::contracts::tables::{CATEGORY_BENCHMARK, SHOP_BENCHMARK, TABLES};
use crate::contracts::{Dataset, Stage, Table};
use crate::days::calendar::{CivilDay, days};
use crate::days::readiness::{DayExports, Readiness};
use crate::exports::batch::Batch;
use crate::exports::quarantine::Accounting;
use crate::exports::snapshots::Snapshots;
use crate::exports::{DayRead, read_day};
use crate::plan::{self, Decision, Facts};
use crate::progress::Progress;
use crate::publish::reader::DayTables;
use crate::publish::{self, Change, TableFile};
use crate::record::manifest::{Blocked, BlockedExports, Manifest, PublishedBenchmark, Skipped};
use crate::record::page;
use crate::record::report::{DatasetRead, Missing, Outcome, RunReport, Written};
use crate::rollups::{self, Sums};
use crate::store::Store;
use crate::windows::{self, BenchmarkDay, WindowInputs};

/// Everything that a run works with.
pub struct Job {
    pub config: Config,
    pub exports: Store,
    pub results: Store,
    pub progress: Progress,
    /// Of the process; names the manifests and the staging folder.
    pub run_id: String,
    pub clock: fn() -> DateTime<Utc>,
}

impl Job {
    /// What is known before any row is read.
    pub fn facts(&self) -> Result<Facts<'_>> {
        Facts::load(&self.exports, &self.results, &self.config)
    }

    fn now(&self) -> String {
        (self.clock)().to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// The manifest that follows a day's newest, before anything changes.
    fn next_manifest(&self, day: NaiveDate, newest: Option<&Manifest>) -> Manifest {
        Manifest {
            run_id: self.run_id.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            day,
            started_at: self.now(),
            time_zone: self.config.time_zone.name().into(),
            currency: self.config.currency.clone(),
            ..newest.cloned().unwrap_or_default()
        }
    }
}

/// The nightly job: catches up, computes, publishes.
pub fn run(job: &Job, day: NaiveDate) -> Result<RunReport> {
    let facts = job.facts()?;
    let mut run = Run::new(job, &facts, day);
    let first = day - Days::new(job.config.lookback_days.into());
    job.progress.start(days(first, day).count() as u64);
    for each in days(first, day) {
        run.process(each, if each == day { Role::ReportDay } else { Role::CatchUp })?;
        job.progress.day_done();
    }
    run.warn_of_days_out_of_reach(first)?;
    Ok(run.report)
}

/// Each day of a range, oldest first, and then every later published day that these made stale.
pub fn backfill(job: &Job, first: NaiveDate, last: NaiveDate) -> Result<Vec<RunReport>> {
    let facts = job.facts()?;
    let later: Vec<NaiveDate> = facts.state.days().into_iter().filter(|day| *day > last).collect();
    let mut reports = Vec::new();
    job.progress.start(days(first, last).count() as u64);
    for day in days(first, last) {
        let mut run = Run::new(job, &facts, day);
        run.process(day, Role::ReportDay)?;
        job.progress.day_done();
        reports.push(run.report);
    }
    for day in later {
        let mut run = Run::new(job, &facts, day);
        run.process(day, Role::CatchUp)?;
        if run.report.is_news() {
            reports.push(run.report);
        }
    }
    Ok(reports)
}

/// Whether benchmarks of the day before may newly stand in for a day that is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A day that the run was asked for.
    ReportDay,
    /// A day that is brought up to date on the way.
    CatchUp,
}

/// One run, while it goes through its days.
struct Run<'a> {
    job: &'a Job,
    facts: &'a Facts<'a>,
    report: RunReport,
    processed: BTreeSet<NaiveDate>,
}

/// How far a day's own tables came.
enum DayEnd {
    /// The day's own tables are published and fresh.
    Computed { wrote: bool },
    /// Datasets that are not final, sorted.
    NotFinal(Vec<&'static str>),
    /// Datasets that block the day, sorted.
    Blocked(Vec<String>),
}

impl<'a> Run<'a> {
    fn new(job: &'a Job, facts: &'a Facts<'a>, day: NaiveDate) -> Self {
        Run { job, facts, report: RunReport::new(day), processed: BTreeSet::new() }
    }

    /// Brings one day up to date; if it is the day of the report, says how it ended.
    fn process(&mut self, day: NaiveDate, role: Role) -> Result<()> {
        let end = self.process_own(day)?;
        let (outcome, reason) = match &end {
            DayEnd::Computed { wrote: true } => (Outcome::Published, None),
            DayEnd::Computed { wrote: false } => (Outcome::UpToDate, None),
            DayEnd::NotFinal(missing) => (Outcome::NotFinal, Some(missing.join(", "))),
            DayEnd::Blocked(datasets) => (Outcome::Blocked, Some(datasets.join(", "))),
        };
        let is_reported = day == self.report.day;
        if is_reported {
            self.report.outcome = outcome;
            if let DayEnd::NotFinal(missing) = &end {
                self.report_missing(day, missing);
            }
        }
        match reason {
            None => self.report_skipped(day, outcome)?,
            Some(reason) => self.stand_in(day, role, reason)?,
        }
        if is_reported {
            let benchmark = self.facts.manifest(day)?.and_then(|m| m.benchmark.clone());
            self.report.is_fallback = benchmark.as_ref().is_some_and(|b| b.fallback_reason.is_some());
            self.report.benchmark_day = benchmark.map(|b| b.benchmark_day);
            if self.report.outcome == Outcome::NotFinal && self.report.is_fallback {
                self.report.outcome = Outcome::Fallback;
            }
        }
        Ok(())
    }

    /// The day's own tables, from its own exports.
    fn process_own(&mut self, day: NaiveDate) -> Result<DayEnd> {
        self.processed.insert(day);
        match plan::decide(self.facts, day, &|_, _, _| None)? {
            Decision::Wait(missing) => {
                self.job.progress.stage(day, "days", &format!("not final: {}", missing.join(", ")));
                Ok(DayEnd::NotFinal(missing))
            }
            Decision::KnownBlocked(blocked) => {
                for export in &blocked.exports {
                    self.warn(format!("{day} {}: {}", export.dataset, export.reason));
                }
                Ok(self.report_blocked(&blocked))
            }
            Decision::Compute { exports, inputs, .. } => self.compute(exports, inputs),
            Decision::Refresh { stale, .. } if stale.is_empty() => Ok(DayEnd::Computed { wrote: false }),
            Decision::Refresh { exports, inputs, .. } => self.refresh(exports, inputs),
        }
    }

    /// Reads everything and computes every table of the day.
    fn compute(&mut self, exports: DayExports, inputs: String) -> Result<DayEnd> {
        let (job, day) = (self.job, exports.day);
        let mut sums = Sums::default();
        let mut consume = |batch: &Batch| -> Result<()> {
            sums.add(batch);
            Ok(())
        };
        let mut read = read_day(&job.exports, &exports, &job.config, &|_| true, false, &mut consume)?;
        job.progress.stage(day, "exports", &rows_read(&read));
        self.report_read(day, &read);
        if read.blocking(&job.config).next().is_some() {
            return self.block(day, inputs, read);
        }
        for (dataset, defect) in &read.defects {
            self.warn(format!("{}\n  optional: what needs it is left out", page::defect(day, dataset, defect)));
        }
        let mut work = DayWork::new(self.facts, exports, inputs)?;
        work.snapshots = std::mem::take(&mut read.snapshots);
        work.skipped = skipped(&work.exports, &work.snapshots, &read);
        let civil = CivilDay::new(day, job.config.time_zone);
        for (table, rows) in rollups::daily_tables(&sums, &work.snapshots, &civil)? {
            work.add(table, rows)?;
        }
        job.progress.stage(day, "rollups", &format!("{} tables", work.tables.fresh.len()));
        let tally = sums.tally;
        // The sets behind the distinct counts are the largest thing in memory; the windows need the room.
        drop(sums);
        work.compute_windows(job)?;
        let mut change = work.into_change(job);
        change.manifest.datasets = read.accounts;
        change.quarantine = Some(read.quarantine.into_iter().map(|(d, rows)| (d.name, rows)).collect());
        change.tally = Some(tally);
        self.publish(change)
    }

    /// Computes the tables that are stale; the rollups stay.
    fn refresh(&mut self, exports: DayExports, inputs: String) -> Result<DayEnd> {
        let job = self.job;
        let mut work = DayWork::new(self.facts, exports, inputs)?;
        let reads = |table| windows::reads(table, work.exports.day, work.first_campaign_day(), &job.config).datasets;
        let wanted: BTreeSet<&str> =
            TABLES.iter().filter(|t| t.stage == Stage::Window).flat_map(|t| reads(t)).collect();
        let is_wanted = |dataset: &Dataset| wanted.contains(dataset.name);
        let read = read_day(&job.exports, &work.exports, &job.config, &is_wanted, false, &mut |_| Ok(()))?;
        if !read.defects.is_empty() {
            // What was sound when the rollups were made may have been damaged since: decide from all of the exports.
            return self.compute(work.exports, work.rollup_inputs);
        }
        self.report_read(work.exports.day, &read);
        work.snapshots = read.snapshots;
        work.compute_windows(job)?;
        self.publish(work.into_change(job))
    }

    fn publish(&mut self, change: Change) -> Result<DayEnd> {
        let (job, day) = (self.job, change.manifest.day);
        let staged = publish::stage(&job.results, change)?;
        let change = publish::commit(&job.results, &self.facts.state, staged, || job.now())?;
        job.progress.stage(day, "publish", &format!("{} files changed", change.files.len() + change.removed));
        self.report.tables.extend(change.files.iter().map(|file| Written {
            day,
            table: file.table.name.into(),
            rows: file.rows.height() as u64,
            bytes: file.bytes.len() as u64,
            sha256: file.sha256.clone(),
        }));
        Ok(DayEnd::Computed { wrote: change.touches_tables() })
    }

    /// Records that the exports are blocked; what was published of the day stays.
    fn block(&mut self, day: NaiveDate, inputs: String, read: DayRead) -> Result<DayEnd> {
        let job = self.job;
        let mut exports = Vec::new();
        for (dataset, defect) in read.blocking(&job.config) {
            self.warn(page::defect(day, dataset, defect));
            exports.push(Blocked { dataset: dataset.name.into(), day, reason: defect.reason() });
        }
        exports.sort_by(|a, b| a.dataset.cmp(&b.dataset));
        let quarantine: BTreeMap<_, _> = read.quarantine.into_iter().map(|(d, rows)| (d.name, rows)).collect();
        let is_read = |dataset: &&Dataset| read.accounts.iter().any(|a| a.dataset == dataset.name);
        let datasets: Vec<&Dataset> = DATASETS.into_iter().filter(is_read).collect();
        publish::publish_quarantine(&job.results, day, &quarantine, &datasets)?;
        let mut manifest = job.next_manifest(day, self.facts.manifest(day)?.as_deref());
        let blocked = BlockedExports { inputs, exports };
        manifest.blocked = Some(blocked.clone());
        manifest.finished_at = job.now();
        self.facts.state.record(manifest)?;
        Ok(self.report_blocked(&blocked))
    }

    /// Benchmarks of the day before for a day whose own exports cannot be used.
    fn stand_in(&mut self, day: NaiveDate, role: Role, reason: String) -> Result<()> {
        let (job, newest) = (self.job, self.facts.manifest(day)?);
        if !plan::wants_stand_in(newest.as_deref(), role == Role::ReportDay) {
            return Ok(());
        }
        let Some(before) = day.pred_opt() else { return Ok(()) };
        if !self.processed.contains(&before) {
            self.process_own(before)?;
        }
        let Some(stand_in) = plan::resolve_stand_in(self.facts, day, reason, &|_, _, _| None)? else {
            if let (true, Readiness::NotYet(missing)) = (day == self.report.day, self.facts.readiness(before)?) {
                self.report_missing(before, &missing);
            }
            return Ok(());
        };
        if stand_in.is_fresh {
            return Ok(());
        }
        let benchmark = stand_in.benchmark;
        job.progress.stage(day, "windows", &format!("benchmarks of {} stand in", benchmark.day));
        let tables = self.facts.tables(benchmark.day);
        let compute =
            |table| TableFile::new(table, day, windows::benchmark_table(table, &benchmark, &job.config, &tables)?);
        let files = [&CATEGORY_BENCHMARK, &SHOP_BENCHMARK].map(compute).into_iter().collect::<Result<Vec<_>>>()?;
        let manifest = job.next_manifest(day, newest.as_deref());
        let mut change = Change::new(manifest, files, [], &stand_in.inputs);
        change.manifest.benchmark =
            Some(PublishedBenchmark { benchmark_day: benchmark.day, fallback_reason: benchmark.fallback_reason });
        self.publish(change).map(drop)
    }

    fn report_read(&mut self, day: NaiveDate, read: &DayRead) {
        self.report.datasets.extend(read.accounts.iter().map(|account| DatasetRead { day, account: account.clone() }));
    }

    fn report_missing(&mut self, day: NaiveDate, datasets: &[&str]) {
        self.report.missing.extend(datasets.iter().map(|d| Missing { dataset: (*d).into(), day }));
    }

    fn report_blocked(&mut self, blocked: &BlockedExports) -> DayEnd {
        self.report.blocked.extend(blocked.exports.iter().cloned());
        DayEnd::Blocked(blocked.datasets())
    }

    /// Lists what a day lacks; warns of it where the day was just computed or is the day of the report.
    fn report_skipped(&mut self, day: NaiveDate, outcome: Outcome) -> Result<()> {
        let Some(manifest) = self.facts.manifest(day)? else { return Ok(()) };
        let reasons: BTreeSet<&str> = manifest.skipped.iter().map(|s| s.reason.as_str()).collect();
        if !reasons.is_empty() && (day == self.report.day || outcome == Outcome::Published) {
            let reasons: Vec<&str> = reasons.into_iter().collect();
            self.warn(format!("{day} {}; what needs it is null or not written", reasons.join(", ")));
        }
        self.report.skipped.extend(manifest.skipped.iter().cloned());
        Ok(())
    }

    fn warn_of_days_out_of_reach(&mut self, first: NaiveDate) -> Result<()> {
        let out_of_reach = plan::days_out_of_reach(self.facts, self.report.day, first)?;
        if let [oldest, .., newest] | [oldest @ newest] = out_of_reach.unpublished[..] {
            self.warn(format!(
                "before the lookback, days from {oldest} to {newest} are final and not published ({} of them); run: \
                 campaign-etl backfill --from {oldest} --to {newest}",
                out_of_reach.unpublished.len()
            ));
        }
        if let [oldest, .., newest] | [oldest @ newest] = out_of_reach.blocked[..] {
            self.warn(format!(
                "before the lookback, days from {oldest} to {newest} are blocked ({} of them); see: campaign-etl status \
                 --from {oldest} --to {newest}",
                out_of_reach.blocked.len()
            ));
        }
        Ok(())
    }

    fn warn(&mut self, warning: String) {
        self.job.progress.warn(&warning);
        self.report.warnings.push(warning);
    }
}

/// A final day on its way through windows to publishing.
struct DayWork<'a> {
    exports: DayExports,
    newest: Option<Rc<Manifest>>,
    tables: DayTables<'a>,
    snapshots: Snapshots,
    /// Tables and columns that lack an optional export.
    skipped: Vec<Skipped>,
    /// What each fresh or checked table comes from.
    inputs: BTreeMap<&'static str, String>,
    rollup_inputs: String,
}

impl<'a> DayWork<'a> {
    /// A day of which nothing is read yet: it lacks what it lacked when it was published.
    fn new(facts: &'a Facts<'a>, exports: DayExports, rollup_inputs: String) -> Result<Self> {
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

    fn add(&mut self, table: &'static Table, rows: DataFrame) -> Result<()> {
        if table.stage == Stage::Rollup {
            self.inputs.insert(table.name, self.rollup_inputs.clone());
        }
        self.tables.add(table, rows)
    }

    fn first_campaign_day(&self) -> Option<NaiveDate> {
        self.newest.as_ref().and_then(|m| m.first_campaign_day)
    }

    /// The window and benchmark tables whose inputs are others than those they were computed from, in an order in which
    /// each reads only what is settled.
    fn compute_windows(&mut self, job: &Job) -> Result<()> {
        let (day, config) = (self.exports.day, &job.config);
        let skips = |name: &str| self.skipped.iter().any(|s| s.table == name && s.columns.is_empty());
        self.tables.absent = TABLES.iter().map(|t| t.name).filter(|name| skips(name)).collect();
        let first_campaign_day = self.snapshots.first_campaign_day();
        let own = BenchmarkDay { day, fallback_reason: None };
        let mut computed = 0;
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
            let rows = if table.stage == Stage::Benchmark {
                windows::benchmark_table(table, &own, config, &self.tables)?
            } else {
                let snapshots = &self.snapshots;
                windows::window_table(table, &WindowInputs { day, config, snapshots, published: &self.tables })?
            };
            self.tables.add(table, rows)?;
            computed += 1;
        }
        job.progress.stage(day, "windows", &format!("{computed} tables"));
        Ok(())
    }

    fn into_change(mut self, job: &Job) -> Change {
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

fn rows_read(read: &DayRead) -> String {
    let sum = |rows: fn(&Accounting) -> u64| read.accounts.iter().map(rows).sum::<u64>();
    format!("{} rows read, {} quarantined", sum(|a| a.rows_read), sum(|a| a.rows_quarantined))
}

/// Tables and columns that lack an optional export, and why it is absent.
fn skipped(exports: &DayExports, snapshots: &Snapshots, read: &DayRead) -> Vec<Skipped> {
    let day = exports.day;
    let why = |dataset: &str| match read.defects.iter().find(|(d, _)| d.name == dataset) {
        Some((_, defect)) => format!("{dataset} {}", defect.reason()),
        None => format!("{dataset} is not final"),
    };
    let mut skipped = Vec::new();
    for table in TABLES {
        if let Some(dataset) = table.needs.iter().find(|d| !snapshots.has(d)) {
            skipped.push(Skipped { table: table.name.into(), day, columns: vec![], reason: why(dataset) });
            continue;
        }
        for (dataset, columns) in table.columns_need.iter().filter(|(d, _)| !snapshots.has(d)) {
            let columns = columns.iter().map(|c| (*c).to_owned()).collect();
            skipped.push(Skipped { table: table.name.into(), day, columns, reason: why(dataset) });
        }
    }
    skipped
}
