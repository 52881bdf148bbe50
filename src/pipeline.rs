//! One report day, stage by stage; a range is that, day by day.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

use crate::config::Config;
use crate::contracts::datasets::DATASETS;
use crate::contracts::tables::{CATEGORY_BENCHMARK, SHOP_BENCHMARK, TABLES};
use crate::contracts::{Dataset, Stage};
use crate::days::calendar::{CivilDay, days};
use crate::days::readiness::{DayExports, Readiness, check_day};
use crate::exports::contract::Defect;
use crate::exports::quarantine::Accounting;
use crate::exports::snapshots::Snapshots;
use crate::exports::{DayRead, read_day};
use crate::plan::{self, RollupDecision};
use crate::progress::Progress;
use crate::publish::reader::DayTables;
use crate::publish::{self, Change, TableFile};
use crate::record::manifest::{Blocked, BlockedExports, Manifest, PublishedBenchmark, PublishedTable, Skipped};
use crate::record::page;
use crate::record::report::{DatasetRead, Missing, Outcome, RunReport, Written};
use crate::record::state::State;
use crate::rollups::{self, Sums, tally::Tally};
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

/// Whether benchmarks of the day before may stand in for a day that is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The day that the run was asked for.
    ReportDay,
    /// A day that is brought up to date on the way.
    CatchUp,
}

/// The nightly job: catches up, computes, publishes.
pub fn run(job: &Job, day: NaiveDate) -> Result<RunReport> {
    let mut state = State::load(&job.results)?;
    let mut report = RunReport::new(day);
    let first = day - chrono::Days::new(job.config.lookback_days.into());
    let mut run = Run { job, state: &mut state, report: &mut report, processed: BTreeSet::new() };
    for earlier in days(first, day).filter(|d| *d != day) {
        run.process(earlier, Role::CatchUp)?;
    }
    run.process(day, Role::ReportDay)?;
    warn_of_days_out_of_reach(job, &state, &mut report, first)?;
    Ok(report)
}

/// Each day of a range, oldest first, and then every later published day that these made stale.
pub fn backfill(job: &Job, first: NaiveDate, last: NaiveDate) -> Result<Vec<RunReport>> {
    let mut state = State::load(&job.results)?;
    let later: Vec<NaiveDate> = state.days().filter(|day| *day > last).collect();
    let mut reports = Vec::new();
    job.progress.start(days(first, last).count() as u64);
    for day in days(first, last) {
        let mut report = RunReport::new(day);
        let mut run = Run { job, state: &mut state, report: &mut report, processed: BTreeSet::new() };
        run.process(day, Role::ReportDay)?;
        job.progress.day_done();
        reports.push(report);
    }
    for day in later {
        let mut report = RunReport::new(day);
        let mut run = Run { job, state: &mut state, report: &mut report, processed: BTreeSet::new() };
        run.process(day, Role::CatchUp)?;
        if !report.tables.is_empty() {
            reports.push(report);
        }
    }
    Ok(reports)
}

fn warn_of_days_out_of_reach(job: &Job, state: &State, report: &mut RunReport, first: NaiveDate) -> Result<()> {
    let out_of_reach = plan::days_out_of_reach(&job.exports, state, &job.config, report.day, first)?;
    if let (Some(oldest), Some(newest)) = (out_of_reach.first(), out_of_reach.last()) {
        let warning = format!(
            "{} days before the lookback are final and not published; run: campaign-etl backfill --from {oldest} --to {newest}",
            out_of_reach.len()
        );
        job.progress.warn(&warning);
        report.warnings.push(warning);
    }
    Ok(())
}

/// One run, while it goes through its days.
struct Run<'a> {
    job: &'a Job,
    state: &'a mut State,
    report: &'a mut RunReport,
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

/// What a day's exports gave.
struct Computed {
    snapshots: Snapshots,
    read: Option<ReadResult>,
}

/// Of exports that were read to compute rollups.
struct ReadResult {
    day_read: DayRead,
    tally: Tally,
}

impl Run<'_> {
    /// Brings one day up to date, and reports it.
    fn process(&mut self, day: NaiveDate, role: Role) -> Result<()> {
        let end = self.process_own(day)?;
        let manifest = self.state.manifest(day)?;
        if let Some(manifest) = manifest.as_deref().filter(|_| matches!(end, DayEnd::Computed { .. })) {
            self.report.skipped.extend(manifest.skipped.iter().cloned());
        }
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
                self.report.missing.extend(missing.iter().map(|d| Missing { dataset: (*d).into(), day }));
            }
        }
        if let Some(reason) = reason {
            self.stand_in(day, role, reason)?;
        }
        if is_reported {
            let benchmark = self.state.manifest(day)?.and_then(|m| m.benchmark.clone());
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
        let config = &self.job.config;
        let exports = match check_day(&self.job.exports, day, &config.required)? {
            Readiness::Ready(exports) => exports,
            Readiness::NotYet(missing) => {
                self.job.progress.stage(day, "days", &format!("not final: {}", missing.join(", ")));
                return Ok(DayEnd::NotFinal(missing));
            }
        };
        let inputs = plan::rollup_inputs(&exports, config);
        let manifest = self.state.manifest(day)?;
        let decision = plan::decide_rollups(manifest.as_deref(), &inputs);
        if let (RollupDecision::KnownBlocked, Some(blocked)) =
            (decision, manifest.as_deref().and_then(|m| m.blocked.as_ref()))
        {
            return Ok(self.report_blocked(blocked));
        }
        if decision == RollupDecision::Fresh {
            return self.refresh_windows(&exports, &inputs);
        }
        self.compute_all(&exports, inputs)
    }

    /// Reads everything and computes every table of the day.
    fn compute_all(&mut self, exports: &DayExports, inputs: String) -> Result<DayEnd> {
        let (job, day) = (self.job, exports.day);
        let mut sums = Sums::default();
        let mut consume = |batch: &crate::exports::batch::Batch| -> Result<()> {
            sums.add(batch);
            Ok(())
        };
        let day_read = read_day(&job.exports, exports, &job.config, &|_| true, false, &mut consume)?;
        job.progress.stage(day, "exports", &rows_read(&day_read));
        self.report
            .datasets
            .extend(day_read.accounts.iter().map(|account| DatasetRead { day, account: account.clone() }));
        if day_read.blocking(&job.config).next().is_some() {
            return self.block(exports, inputs, day_read);
        }
        for (dataset, defect) in &day_read.defects {
            job.progress
                .warn(&format!("{}\n  optional: what needs it is left out", page::defect(day, dataset, defect)));
        }
        let civil = CivilDay::new(day, job.config.time_zone);
        let mut tables = DayTables::new(&job.results, self.state, day);
        for (table, rows) in rollups::daily_tables(&sums, &day_read.snapshots, &civil)? {
            tables.add(table, rows)?;
        }
        job.progress.stage(day, "rollups", &format!("{} tables", tables.fresh.len()));
        for table in TABLES.iter().filter(|t| t.stage == Stage::Rollup && !tables.fresh.contains_key(t.name)) {
            tables.absent.insert(table.name);
        }
        let tally = sums.tally;
        drop(sums);
        let computed = Computed { snapshots: day_read.snapshots.clone(), read: Some(ReadResult { day_read, tally }) };
        let (published, wrote) =
            compute_windows(job, exports, tables, computed, inputs, self.state.manifest(day)?.as_deref())?;
        self.publish(published, wrote)
    }

    /// Computes the window tables whose inputs are others than those they were computed from.
    fn refresh_windows(&mut self, exports: &DayExports, inputs: &str) -> Result<DayEnd> {
        let (job, day) = (self.job, exports.day);
        let manifest = self.state.manifest(day)?;
        let planned =
            plan::plan_days(&job.exports, &job.results, self.state, &job.config, std::iter::once(day), &|_| false)?;
        if planned.iter().all(|p| p.action == plan::Action::Nothing) {
            return Ok(DayEnd::Computed { wrote: false });
        }
        let wanted = |d: &Dataset| ["campaigns", "campaign_shops", "campaign_products", "inventory"].contains(&d.name);
        let day_read = read_day(&job.exports, exports, &job.config, &wanted, false, &mut |_| Ok(()))?;
        let tables = DayTables::new(&job.results, self.state, day);
        let computed = Computed { snapshots: day_read.snapshots, read: None };
        let (published, wrote) =
            compute_windows(job, exports, tables, computed, inputs.to_owned(), manifest.as_deref())?;
        self.publish(published, wrote)
    }

    fn publish(&mut self, prepared: Prepared, mut manifest: Manifest) -> Result<DayEnd> {
        let job = self.job;
        let day = manifest.day;
        job.progress.stage(day, "publish", &format!("{} files changed", prepared.files.len()));
        let wrote = !prepared.files.is_empty() || !prepared.removed.is_empty();
        let change = Change {
            day,
            run_id: &job.run_id,
            files: prepared.files.iter().collect(),
            removed: prepared.removed,
            quarantine: prepared.quarantine,
            tally: prepared.tally,
        };
        let staged = publish::stage(&job.results, change)?;
        publish::commit(&job.results, staged, &DATASETS)?;
        manifest.finished_at = now(job);
        self.state.record(manifest)?;
        self.report_written(day, &prepared.files);
        Ok(DayEnd::Computed { wrote })
    }

    fn report_written(&mut self, day: NaiveDate, files: &[TableFile]) {
        self.report.tables.extend(files.iter().map(|file| Written {
            day,
            table: file.table.name.into(),
            rows: file.rows.height() as u64,
            bytes: file.bytes.len() as u64,
            sha256: file.sha256.clone(),
        }));
    }

    /// Records that the exports are blocked; what was published of the day stays.
    fn block(&mut self, exports: &DayExports, inputs: String, day_read: DayRead) -> Result<DayEnd> {
        let (job, day) = (self.job, exports.day);
        let mut blocking: Vec<Blocked> = day_read
            .blocking(&job.config)
            .map(|(dataset, defect)| Blocked { dataset: dataset.name.into(), day, reason: defect.reason() })
            .collect();
        blocking.sort_by(|a, b| a.dataset.cmp(&b.dataset));
        for (dataset, defect) in day_read.blocking(&job.config) {
            job.progress.warn(&page::defect(day, dataset, defect));
        }
        let quarantine: BTreeMap<_, _> = day_read.quarantine.into_iter().map(|(d, rows)| (d.name, rows)).collect();
        let read: Vec<&Dataset> =
            DATASETS.into_iter().filter(|d| day_read.accounts.iter().any(|a| a.dataset == d.name)).collect();
        publish::publish_quarantine(&job.results, day, &quarantine, &read)?;
        let mut manifest = self.next_manifest(day)?;
        let blocked = BlockedExports { inputs, exports: blocking };
        manifest.blocked = Some(blocked.clone());
        manifest.finished_at = now(job);
        self.state.record(manifest)?;
        Ok(self.report_blocked(&blocked))
    }

    fn report_blocked(&mut self, blocked: &BlockedExports) -> DayEnd {
        self.report.blocked.extend(blocked.exports.iter().cloned());
        DayEnd::Blocked(blocked.exports.iter().map(|b| b.dataset.clone()).collect())
    }

    /// Benchmarks of the day before for a day whose own exports cannot be used.
    ///
    /// Benchmarks made from the day itself stay. On the way of a catch-up only a stand-in that is already published is
    /// kept fresh; a new one is for the day that the run was asked for.
    fn stand_in(&mut self, day: NaiveDate, role: Role, reason: String) -> Result<()> {
        let manifest = self.state.manifest(day)?;
        let published = manifest.as_deref().and_then(|m| m.benchmark.as_ref());
        let is_own = published.is_some_and(|b| b.fallback_reason.is_none());
        if is_own || (role == Role::CatchUp && published.is_none()) {
            return Ok(());
        }
        let Some(before) = day.pred_opt() else { return Ok(()) };
        let end = if self.processed.contains(&before) { self.look_at(before)? } else { self.process_own(before)? };
        match end {
            DayEnd::Computed { .. } => {
                self.publish_stand_in(day, BenchmarkDay { day: before, fallback_reason: Some(reason) })
            }
            DayEnd::NotFinal(missing) => {
                if day == self.report.day {
                    let missing = missing.into_iter().map(|d| Missing { dataset: d.into(), day: before });
                    self.report.missing.extend(missing);
                }
                Ok(())
            }
            DayEnd::Blocked(_) => Ok(()),
        }
    }

    /// How a day that this run has been through stands.
    fn look_at(&self, day: NaiveDate) -> Result<DayEnd> {
        let exports = match check_day(&self.job.exports, day, &self.job.config.required)? {
            Readiness::NotYet(missing) => return Ok(DayEnd::NotFinal(missing)),
            Readiness::Ready(exports) => exports,
        };
        let manifest = self.state.manifest(day)?;
        let inputs = plan::rollup_inputs(&exports, &self.job.config);
        Ok(match plan::decide_rollups(manifest.as_deref(), &inputs) {
            RollupDecision::Fresh => DayEnd::Computed { wrote: false },
            _ => DayEnd::Blocked(vec![]),
        })
    }

    fn publish_stand_in(&mut self, day: NaiveDate, benchmark: BenchmarkDay) -> Result<()> {
        let job = self.job;
        let manifest = self.next_manifest(day)?;
        let tables_of_b = DayTables::new(&job.results, self.state, benchmark.day);
        let inputs = [&CATEGORY_BENCHMARK, &SHOP_BENCHMARK]
            .map(|table| plan::benchmark_inputs(table, &benchmark, &tables_of_b, &job.config).map(|i| (table.name, i)));
        let inputs: BTreeMap<&str, String> = inputs.into_iter().collect::<Result<_>>()?;
        let is_fresh =
            |(table, inputs): (&&str, &String)| manifest.tables.get(*table).is_some_and(|t| t.inputs == *inputs);
        if inputs.iter().all(is_fresh) {
            return Ok(());
        }
        job.progress.stage(day, "windows", &format!("benchmarks of {} stand in", benchmark.day));
        let mut files = Vec::new();
        for (table, rows) in windows::benchmark_tables(&benchmark, &job.config, &tables_of_b)? {
            files.push(TableFile::new(table, day, rows)?);
        }
        let (prepared, mut manifest) = prepare(manifest, files, vec![], &inputs);
        manifest.benchmark =
            Some(PublishedBenchmark { benchmark_day: benchmark.day, fallback_reason: benchmark.fallback_reason });
        self.publish(prepared, manifest).map(drop)
    }

    /// The manifest that follows the day's newest.
    fn next_manifest(&self, day: NaiveDate) -> Result<Manifest> {
        Ok(next_manifest(self.job, day, self.state.manifest(day)?.as_deref()))
    }
}

fn rows_read(day_read: &DayRead) -> String {
    let sum = |rows: fn(&Accounting) -> u64| day_read.accounts.iter().map(rows).sum::<u64>();
    format!("{} rows read, {} quarantined", sum(|a| a.rows_read), sum(|a| a.rows_quarantined))
}

fn next_manifest(job: &Job, day: NaiveDate, newest: Option<&Manifest>) -> Manifest {
    Manifest {
        run_id: job.run_id.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        day,
        started_at: now(job),
        time_zone: job.config.time_zone.name().into(),
        currency: job.config.currency.clone(),
        ..newest.cloned().unwrap_or_default()
    }
}

fn now(job: &Job) -> String {
    (job.clock)().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// What is about to be published.
#[derive(Default)]
struct Prepared {
    files: Vec<TableFile>,
    removed: Vec<&'static crate::contracts::Table>,
    quarantine: Option<BTreeMap<&'static str, Vec<crate::exports::quarantine::Quarantined>>>,
    tally: Option<Tally>,
}

/// The windows and benchmarks of a day on top of its rollups, fresh or published; only those that are stale.
fn compute_windows(
    job: &Job,
    exports: &DayExports,
    mut tables: DayTables,
    computed: Computed,
    rollup_inputs: String,
    newest: Option<&Manifest>,
) -> Result<(Prepared, Manifest)> {
    let (config, day) = (&job.config, exports.day);
    let first_campaign_day = computed.snapshots.campaigns.iter().map(|c| c.first_day).min();
    let is_fresh =
        |name: &str, inputs: &str| newest.and_then(|m| m.tables.get(name)).is_some_and(|t| t.inputs == inputs);
    let mut inputs: BTreeMap<&str, String> = tables.fresh.keys().map(|name| (*name, rollup_inputs.clone())).collect();
    for table in TABLES.iter().filter(|t| t.stage == Stage::Window) {
        if table.needs.iter().any(|dataset| !computed.snapshots.has(dataset)) {
            tables.absent.insert(table.name);
            continue;
        }
        let of_table = plan::window_inputs(table, exports, first_campaign_day, &tables, config)?;
        if !is_fresh(table.name, &of_table) {
            let window = WindowInputs { day, config, snapshots: &computed.snapshots, published: &tables };
            if let Some(rows) = windows::window_table(table, &window)? {
                tables.add(table, rows)?;
            }
        }
        inputs.insert(table.name, of_table);
    }
    let benchmark = BenchmarkDay { day, fallback_reason: None };
    let mut is_stale = false;
    for table in TABLES.iter().filter(|t| t.stage == Stage::Benchmark) {
        let of_table = plan::benchmark_inputs(table, &benchmark, &tables, config)?;
        is_stale |= !is_fresh(table.name, &of_table);
        inputs.insert(table.name, of_table);
    }
    if is_stale {
        for (table, rows) in windows::benchmark_tables(&benchmark, config, &tables)? {
            tables.add(table, rows)?;
        }
    }
    let stage_of = |name: &str| TABLES.iter().any(|t| t.name == name && t.stage != Stage::Rollup);
    let computed_windows = tables.fresh.keys().filter(|name| stage_of(name)).count();
    job.progress.stage(day, "windows", &format!("{computed_windows} tables"));
    let removed = TABLES.into_iter().filter(|t| tables.absent.contains(t.name)).collect();
    let files = std::mem::take(&mut tables.fresh).into_values().collect();
    let (mut prepared, mut manifest) = prepare(next_manifest(job, day, newest), files, removed, &inputs);
    manifest.rollup_inputs = Some(rollup_inputs);
    manifest.first_campaign_day = first_campaign_day;
    manifest.blocked = None;
    manifest.benchmark = Some(PublishedBenchmark { benchmark_day: day, fallback_reason: None });
    if let Some(read) = computed.read {
        manifest.skipped = skipped(day, exports, &computed.snapshots, &read.day_read.defects);
        manifest.datasets = read.day_read.accounts;
        prepared.quarantine = Some(read.day_read.quarantine.into_iter().map(|(d, rows)| (d.name, rows)).collect());
        prepared.tally = Some(read.tally);
    }
    Ok((prepared, manifest))
}

/// Only files that differ from what is published are written; the manifest learns what each now comes from.
fn prepare(
    mut manifest: Manifest,
    files: Vec<TableFile>,
    removed: Vec<&'static crate::contracts::Table>,
    inputs: &BTreeMap<&str, String>,
) -> (Prepared, Manifest) {
    let mut changed = Vec::new();
    for file in files {
        let published = manifest.tables.get(file.table.name);
        if published.is_none_or(|p| p.sha256 != file.sha256) {
            let new = PublishedTable {
                rows: file.rows.height() as u64,
                bytes: file.bytes.len() as u64,
                sha256: file.sha256.clone(),
                inputs: String::new(),
                run_id: manifest.run_id.clone(),
            };
            manifest.tables.insert(file.table.name.into(), new);
            changed.push(file);
        }
    }
    let removed: Vec<_> = removed.into_iter().filter(|t| manifest.tables.remove(t.name).is_some()).collect();
    for (name, inputs) in inputs {
        if let Some(table) = manifest.tables.get_mut(*name) {
            table.inputs.clone_from(inputs);
        }
    }
    (Prepared { files: changed, removed, ..Prepared::default() }, manifest)
}

/// Tables and columns that lack an optional export, and why it is absent.
fn skipped(
    day: NaiveDate,
    exports: &DayExports,
    snapshots: &Snapshots,
    defects: &[(&'static Dataset, Defect)],
) -> Vec<Skipped> {
    let why = |dataset: &str| {
        let defect = defects.iter().find(|(d, _)| d.name == dataset).map(|(_, defect)| defect.reason());
        let is_final = exports.folder(dataset).is_some_and(|f| f.is_final());
        defect.map(|reason| format!("{dataset} {reason}")).unwrap_or_else(|| {
            debug_assert!(!is_final);
            format!("{dataset} is not final")
        })
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
