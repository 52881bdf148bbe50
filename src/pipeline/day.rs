//! One final day: from its rollups through the windows to a change to publish.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::NaiveDate;

use super::engine::RolledUp;
use super::job::Job;
use crate::catalog::checked::{DayChecks, Measures};
use crate::catalog::manifest::{
    Blocked, BlockedExports, CampaignDays, Manifest, PublishedBenchmark, Skipped, SkippedSum,
    StageTime,
};
use crate::checks::{self, CheckInputs, history, measures};
use crate::contracts::datasets::DATASETS;
use crate::contracts::sums::SumTooLarge;
use crate::contracts::tables::{self, BENCHMARKS, WINDOWS};
use crate::contracts::{Dataset, Table, TableId, WindowId};
use crate::days::readiness::DayExports;
use crate::exports::DayRead;
use crate::exports::quarantine::Accounting;
use crate::exports::set_aside::SetAside;
use crate::exports::snapshots::Snapshots;
use crate::messages;
use crate::plan::{self, Facts, ReadyDay, TableDecision, TableFacts};
use crate::publish::parquet::TableWriter;
use crate::publish::reader::{DayTables, NewDays};
use crate::publish::{Change, TableFile};
use crate::resources::Resources;
use crate::rollups::tally::Tally;
use crate::windows::{self, BenchmarkDay, DaySnapshots, WindowInputs};

/// The text of an impossible error: only a plan announces tables.
const ANNOUNCED: &str = "a table that is only announced";
/// The stage of all benchmark tables.
const BENCHMARK_STAGE: &str = "benchmarks";

/// A day with settled rollups, while the tables over them are computed.
pub(super) struct DayWork<'a> {
    facts: &'a Facts<'a>,
    pub exports: DayExports,
    rollup_inputs: String,
    /// The newest manifest of the day.
    newest: Option<Arc<Manifest>>,
    /// Published tables, including the computed tables of the day.
    tables: DayTables<'a>,
    /// `None`: not read yet, because no table was stale so far.
    snapshots: Option<Arc<Snapshots>>,
    /// Tables and columns that lack an optional export, and tables with a sum that does not fit.
    skipped: Vec<Skipped>,
    unwritten: BTreeMap<&'static str, SkippedSum>,
    /// Fingerprint of the inputs of each settled table.
    inputs: BTreeMap<&'static str, String>,
    /// The number of stale tables over the rollups that are computed.
    computed: usize,
    /// How many of them were computed ahead.
    computed_ahead: usize,
    /// Whether the manifest changes although no table does.
    is_changed: bool,
    /// `None` when the rollups stay.
    rolled_up: Option<RollUpRecord>,
    /// `None` when the rollups stay.
    checked: Option<(Measures, DayChecks)>,
    /// Tables that need not be computed again, unless their inputs are others now.
    ahead: TablesAhead,
    /// The stages of this run so far.
    stages: Vec<StageTime>,
}

/// A table over the rollups to compute.
pub(super) struct StaleTable {
    pub table: &'static Table,
    /// `None` when a table that it reads is only announced.
    pub inputs: Option<String>,
    pub why: String,
}

/// Tables over a day's rollups that were computed while days before it were not published yet.
#[derive(Default)]
pub(super) struct TablesAhead {
    /// Each file with the fingerprint of the inputs that it was computed from.
    files: BTreeMap<&'static str, (String, TableFile)>,
    stages: Vec<StageTime>,
}

impl TablesAhead {
    /// Files, each a stage, with the fingerprint of their inputs.
    #[cfg(test)]
    pub(super) fn of(files: impl IntoIterator<Item = TableFile>, inputs: &str) -> TablesAhead {
        let files = files.into_iter();
        let files = files.map(|file| (file.table.name, (inputs.to_owned(), file)));
        let files: BTreeMap<_, _> = files.collect();
        let stages = files.keys();
        TablesAhead {
            stages: stages
                .map(|table| StageTime::new(table, Duration::ZERO))
                .collect(),
            files,
        }
    }

    pub(super) fn size_bytes(&self) -> u64 {
        let files = self.files.values();
        files.map(|(_, file)| file.size_bytes()).sum()
    }

    /// The files of the tables of one stage, and the time that it took; `None` unless all of them were
    /// computed from these inputs.
    fn take<'t>(
        &mut self,
        stage: &str,
        tables: impl Iterator<Item = (&'static Table, &'t String)>,
    ) -> Option<(Vec<TableFile>, StageTime)> {
        let took = self.stages.iter().find(|time| time.stage == stage)?.clone();
        let files = tables.map(|(table, inputs)| {
            let (from, file) = self.files.remove(table.name)?;
            (from == *inputs).then_some(file)
        });
        Some((files.collect::<Option<_>>()?, took))
    }
}

/// The parts of a roll-up that are published beside its tables.
struct RollUpRecord {
    quarantine: Vec<(&'static Dataset, Option<SetAside>)>,
    accounts: Vec<Accounting>,
    tally: Tally,
}

impl<'a> DayWork<'a> {
    fn new(facts: &'a Facts<'a>, ready: ReadyDay, skipped: Vec<Skipped>) -> Result<Self> {
        let ReadyDay { exports, inputs } = ready;
        let mut work = DayWork {
            facts,
            newest: facts.manifest(exports.day)?,
            tables: facts.tables(exports.day),
            exports,
            rollup_inputs: inputs,
            snapshots: None,
            skipped: vec![],
            unwritten: BTreeMap::new(),
            inputs: BTreeMap::new(),
            computed: 0,
            computed_ahead: 0,
            is_changed: false,
            rolled_up: None,
            checked: None,
            ahead: TablesAhead::default(),
            stages: vec![],
        };
        skipped
            .into_iter()
            .for_each(|skipped| work.leave_out(skipped));
        Ok(work)
    }

    /// A day whose rollups are published and fresh. The tables and columns that it lacks stay the
    /// same.
    pub(super) fn of_published(facts: &'a Facts<'a>, ready: ReadyDay) -> Result<Self> {
        let newest = facts.manifest(ready.exports.day)?;
        let mut skipped = newest.map(|m| m.skipped.clone()).unwrap_or_default();
        // The sums of windows are checked again.
        skipped.retain(|skipped| skipped.sum.is_none() || is_rollup(&skipped.table));
        DayWork::new(facts, ready, skipped)
    }

    /// A day whose rollups a run would compute. `absent`: tables that the run would not write.
    pub(super) fn announced(
        facts: &'a Facts<'a>,
        ready: ReadyDay,
        absent: BTreeSet<&'static str>,
    ) -> Result<Self> {
        let mut work = DayWork::new(facts, ready, vec![])?;
        work.tables.absent = absent;
        Ok(work)
    }

    /// A day with rollups that were just computed. The tables of `ahead` over them are taken as they are if
    /// their inputs turn out to be the same.
    pub(super) fn rolled_up(
        facts: &'a Facts<'a>,
        ready: ReadyDay,
        rolled_up: RolledUp,
        ahead: TablesAhead,
    ) -> Result<Self> {
        let mut work = DayWork::over(facts, ready, &rolled_up, NewDays::default())?;
        let RolledUp {
            mut read,
            tally,
            took,
            ..
        } = rolled_up;
        work.ahead = ahead;
        work.stages.push(StageTime::new("rollups", took));
        work.rolled_up = Some(RollUpRecord {
            quarantine: quarantine(&mut read.quarantine, DATASETS.to_vec()),
            accounts: read.accounts,
            tally,
        });
        work.look_ahead();
        Ok(work)
    }

    /// A day with new rollups, which no reader sees yet. `new_days`: the new rollups of other days.
    pub(super) fn over(
        facts: &'a Facts<'a>,
        ready: ReadyDay,
        rolled_up: &RolledUp,
        new_days: NewDays,
    ) -> Result<Self> {
        let skipped = skipped(&ready.exports, &rolled_up.read);
        let mut work = DayWork::new(facts, ready, skipped)?;
        work.snapshots = Some(rolled_up.read.snapshots.clone());
        work.tables.new_days = new_days;
        for file in &rolled_up.daily {
            work.inputs
                .insert(file.table.name, work.rollup_inputs.clone());
            work.tables.add(file.clone());
        }
        for sum in &rolled_up.too_large {
            work.leave_out(left_out(work.exports.day, sum, work.rollup_inputs.clone()));
        }
        Ok(work)
    }

    /// The tables over the rollups, for the day when it is published.
    pub(super) fn into_tables_ahead(mut self) -> TablesAhead {
        let over_rollups = self.tables.fresh.into_iter();
        let over_rollups = over_rollups.filter(|(table, _)| !is_rollup(table));
        let files = over_rollups.filter_map(|(table, file)| {
            let inputs = self.inputs.remove(table)?;
            Some((table, (inputs, file)))
        });
        TablesAhead {
            files: files.collect(),
            stages: self.stages,
        }
    }

    /// Fetches the small published files that the checks and the tables over new rollups will read: nearly
    /// all of these tables are stale then.
    pub(super) fn look_ahead(&self) {
        let of_checks = checks::reads(&self.facts.config.checks).iter();
        let of_tables = WINDOWS.into_iter().chain(BENCHMARKS);
        let of_tables = of_tables.filter(|table| !self.ahead.files.contains_key(table.name));
        let reads = of_checks.chain(of_tables.flat_map(|table| table.reads));
        self.tables.look_ahead(reads, self.first_campaign_day());
    }

    /// Compares the numbers of the new rollups with those of earlier days.
    ///
    /// # Errors
    /// When a published table or manifest of an earlier day cannot be read.
    pub(super) fn check(&mut self, resources: &Resources) -> Result<&DayChecks> {
        let begun = Instant::now();
        self.tables.set_resources(resources);
        let (day, rules) = (self.exports.day, &self.facts.config.checks);
        let none = Snapshots::default();
        let snapshots = self.snapshots.as_deref().unwrap_or(&none);
        let accounts = self.rolled_up.iter().flat_map(|record| &record.accounts);
        let accounts: Vec<&Accounting> = accounts
            .filter(|account| snapshots.has(&account.dataset))
            .collect();
        let measures =
            measures::measures(&self.exports, &accounts, &snapshots.campaigns, &self.tables)?;
        let made = checks::check_day(&CheckInputs {
            day,
            measures: &measures,
            past: &history::past_days(&self.facts.state, day)?,
            rules,
            published: &self.tables,
            rows_at_once: windows::rows_at_once(resources),
            stop: &resources.stop,
        })?;
        let mut checks = DayChecks {
            checks: made,
            ..DayChecks::default()
        };
        self.accept(&mut checks);
        self.stages.push(StageTime::new("checks", begun.elapsed()));
        let (_, checks) = self.checked.insert((measures, checks));
        Ok(checks)
    }

    /// Accepts failed checks: all of them with `--accept-checks`, and those that a person accepted
    /// for these same exports before.
    fn accept(&self, checks: &mut DayChecks) {
        let exports = self
            .exports
            .fingerprint(&DATASETS.map(|dataset| dataset.name));
        let before = self
            .newest
            .as_ref()
            .and_then(|newest| newest.checks.as_ref());
        let before = before.filter(|before| before.accepted_exports.as_ref() == Some(&exports));
        let before = before
            .map(|before| before.accepted.as_slice())
            .unwrap_or_default();
        let are_all = self.facts.config.checks.are_accepted;
        let blocking = checks.blocking().map(|check| check.name.clone());
        checks.accepted = blocking
            .filter(|name| are_all || before.contains(name))
            .collect();
        checks.accepted_exports = (!checks.accepted.is_empty()).then_some(exports);
    }

    /// The exports whose failed checks keep the day from being published; none: it may be.
    pub(super) fn held_exports(&self) -> Vec<Blocked> {
        let day = self.exports.day;
        let blocking = self
            .checked
            .iter()
            .flat_map(|(_, checks)| checks.blocking());
        let mut told: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for check in blocking {
            told.entry(&check.dataset).or_default().push(check.told());
        }
        let blocked = |(dataset, told): (&str, Vec<String>)| {
            let message = messages::checks_failed(told.join("; "), day);
            Blocked {
                dataset: dataset.into(),
                day,
                reason: message.0.what,
                remedy: message.0.next,
            }
        };
        told.into_iter().map(blocked).collect()
    }

    /// The change that publishes a failed check as the verdict of the day. No table changes.
    pub(super) fn into_held_change(
        self,
        job: &Job,
        exports: Vec<Blocked>,
    ) -> Result<(Change, BlockedExports)> {
        let (state, rules) = (&self.facts.state, &self.facts.config.checks);
        let compared_with = history::compared_with(state, self.exports.day, rules)?;
        let blocked = plan::blocked_by(self.rollup_inputs, Some(compared_with), exports);
        let mut manifest = job.next_manifest(self.exports.day, self.newest.as_deref());
        manifest.blocked = Some(blocked.clone());
        manifest.stages = self.stages;
        manifest.checks = self.checked.map(|(_, checks)| checks);
        let mut change = Change::new(manifest, [], [], &BTreeMap::new());
        if let Some(record) = self.rolled_up {
            change.quarantine = record.quarantine;
            change.manifest.datasets = record.accounts;
        }
        Ok((change, blocked))
    }

    /// The day as it was at its decision.
    pub(super) fn into_ready(self) -> ReadyDay {
        ReadyDay {
            exports: self.exports,
            inputs: self.rollup_inputs,
        }
    }

    /// The number of tables computed so far.
    pub(super) fn fresh_tables(&self) -> usize {
        self.tables.fresh.len()
    }

    /// The time of the window and benchmark tables so far.
    pub(super) fn windows_took(&self) -> Duration {
        let of_windows = |time: &&StageTime| !["rollups", "checks"].contains(&time.stage.as_str());
        let times = self.stages.iter().filter(of_windows);
        Duration::from_millis(times.map(|time| time.milliseconds).sum())
    }

    /// The number of stale tables over the rollups that are computed.
    pub(super) fn computed(&self) -> usize {
        self.computed
    }

    /// How many of them were computed ahead.
    pub(super) fn computed_ahead(&self) -> usize {
        self.computed_ahead
    }

    pub(super) fn count_computed(&mut self) {
        self.computed += 1;
    }

    /// Whether the day must be published again.
    pub(super) fn is_changed(&self) -> bool {
        self.computed > 0 || self.is_changed
    }

    /// Whether a table is not written for the day.
    pub(super) fn is_absent(&self, table: &Table) -> bool {
        self.tables.absent.contains(table.name)
    }

    pub(super) fn has_snapshots(&self) -> bool {
        self.snapshots.is_some()
    }

    pub(super) fn set_snapshots(&mut self, snapshots: Arc<Snapshots>) {
        self.snapshots = Some(snapshots);
    }

    /// Decides about a table over the rollups. A fresh table is settled, and so is a table that
    /// reads an unwritten table. A stale table must be computed next.
    pub(super) fn settle(&mut self, table: &'static Table) -> Result<TableDecision> {
        let decision = plan::decide_table(
            table,
            &TableFacts {
                exports: &self.exports,
                first_campaign_day: self.first_campaign_day(),
                tables: &self.tables,
                newest: self.newest.as_deref(),
                unwritten: &self.unwritten,
                config: self.facts.config,
            },
        )?;
        match &decision {
            TableDecision::Stale { .. } => {}
            TableDecision::Fresh { inputs } => {
                self.inputs.insert(table.name, inputs.clone());
                if let Some(skipped) = self.skipped_before(table) {
                    self.leave_out(skipped);
                }
            }
            TableDecision::Unwritten { read, sum } => {
                let skipped = Skipped {
                    table: table.name.into(),
                    day: self.exports.day,
                    columns: vec![],
                    reason: messages::reads_unwritten(read).0.what,
                    sum: Some(sum.clone()),
                };
                self.is_changed |= self.skipped_before(table).as_ref() != Some(&skipped);
                self.leave_out(skipped);
            }
        }
        Ok(decision)
    }

    /// Computes a window table. If a sum does not fit, the table is left out.
    pub(super) fn compute_window(
        &mut self,
        stale: StaleTable,
        resources: &Resources,
    ) -> Result<()> {
        let StaleTable { table, inputs, .. } = stale;
        let TableId::Window(id) = table.id else {
            bail!("{} is no window table", table.name);
        };
        let (inputs, day) = (inputs.context(ANNOUNCED)?, self.exports.day);
        self.count_computed();
        self.inputs.insert(table.name, inputs.clone());
        let of_stage = std::iter::once((table, &inputs));
        if let Some(ahead) = self.ahead.take(table.name, of_stage) {
            self.add_ahead(ahead);
            return Ok(());
        }
        let begun = Instant::now();
        self.tables.set_resources(resources);
        let first_campaign_day = self.first_campaign_day();
        self.tables.look_ahead(table.reads, first_campaign_day);
        let none = Snapshots::default();
        let computed = window_file(
            id,
            &WindowInputs {
                day,
                config: self.facts.config,
                snapshots: DaySnapshots::new(self.snapshots.as_deref().unwrap_or(&none)),
                published: &self.tables,
                rows_at_once: windows::rows_at_once(resources),
                threads: resources.threads,
                stop: &resources.stop,
            },
        );
        let took = StageTime::new(table.name, begun.elapsed());
        match computed {
            Ok(file) => self.add_stage((vec![file], took)),
            Err(error) => {
                self.stages.push(took);
                let sum: SumTooLarge = error.downcast()?;
                self.leave_out(left_out(day, &sum, inputs));
            }
        }
        Ok(())
    }

    /// Computes benchmark tables of the day itself.
    pub(super) fn compute_benchmarks(
        &mut self,
        stale: Vec<StaleTable>,
        resources: &Resources,
    ) -> Result<()> {
        let (begun, day) = (Instant::now(), self.exports.day);
        let stale = stale
            .into_iter()
            .map(|stale| Ok((stale.table, stale.inputs.context(ANNOUNCED)?)))
            .collect::<Result<Vec<_>>>()?;
        for (table, inputs) in &stale {
            self.count_computed();
            self.inputs.insert(table.name, inputs.clone());
        }
        let of_stage = stale.iter().map(|(table, inputs)| (*table, inputs));
        if let Some(ahead) = self.ahead.take(BENCHMARK_STAGE, of_stage) {
            self.add_ahead(ahead);
            return Ok(());
        }
        self.tables.set_resources(resources);
        let own = BenchmarkDay {
            day,
            fallback_reason: None,
        };
        let wanted: Vec<&'static Table> = stale.iter().map(|(table, _)| *table).collect();
        let reads = wanted.iter().flat_map(|table| table.reads);
        self.tables.look_ahead(reads, None);
        let files = benchmark_files(self.facts, resources, &wanted, day, &own, &self.tables)?;
        self.add_stage((files, StageTime::new(BENCHMARK_STAGE, begun.elapsed())));
        Ok(())
    }

    fn add_ahead(&mut self, ahead: (Vec<TableFile>, StageTime)) {
        self.computed_ahead += ahead.0.len();
        self.add_stage(ahead);
    }

    /// Adds the files of one stage, and the time that it took.
    fn add_stage(&mut self, (files, took): (Vec<TableFile>, StageTime)) {
        files.into_iter().for_each(|file| self.tables.add(file));
        self.stages.push(took);
    }

    /// The change to publish.
    pub(super) fn into_change(mut self, job: &Job) -> Change {
        let mut manifest = job.next_manifest(self.exports.day, self.newest.as_deref());
        manifest.first_campaign_day = self.first_campaign_day();
        if let Some(snapshots) = &self.snapshots {
            manifest.campaigns = campaign_days(snapshots);
        }
        manifest.stages = self.stages;
        manifest.sources = Some(plan::sources(&self.exports, self.facts.config));
        manifest.rollup_inputs = Some(self.rollup_inputs);
        manifest.skipped = self.skipped;
        manifest.blocked = None;
        let absent = self.tables.absent;
        let has_benchmarks = BENCHMARKS.iter().all(|table| !absent.contains(table.name));
        manifest.benchmark = has_benchmarks.then_some(PublishedBenchmark {
            benchmark_day: self.exports.day,
            fallback_reason: None,
        });
        let fresh = std::mem::take(&mut self.tables.fresh).into_values();
        let absent = tables::all().filter(|table| absent.contains(table.name));
        let mut change = Change::new(manifest, fresh, absent, &self.inputs);
        if let Some(record) = self.rolled_up {
            change.quarantine = record.quarantine;
            change.manifest.datasets = record.accounts;
            change.tally = Some(record.tally);
        }
        if let Some((measures, checks)) = self.checked {
            change.manifest.measures = Some(measures);
            change.manifest.checks = Some(checks);
        }
        change
    }

    /// The first day of the day's oldest campaign. Until the snapshots are read, it comes from the
    /// manifest, which was written from the same snapshots.
    fn first_campaign_day(&self) -> Option<NaiveDate> {
        match &self.snapshots {
            Some(snapshots) => snapshots.first_campaign_day(),
            None => self.newest.as_ref().and_then(|m| m.first_campaign_day),
        }
    }

    /// The entry of a table that the published day lacks because of a sum.
    fn skipped_before(&self, table: &Table) -> Option<Skipped> {
        self.newest.as_ref()?.skipped_sum(table).cloned()
    }

    /// Records that the table is not written, or that its columns are null.
    fn leave_out(&mut self, skipped: Skipped) {
        if let (true, Some(table)) = (skipped.columns.is_empty(), tables::table(&skipped.table)) {
            self.tables.absent.insert(table.name);
            if let Some(sum) = &skipped.sum {
                self.unwritten.insert(table.name, sum.clone());
            }
        }
        self.skipped.push(skipped);
    }
}

fn campaign_days(snapshots: &Snapshots) -> Vec<CampaignDays> {
    let campaigns = snapshots.campaigns.iter();
    let mut days: Vec<CampaignDays> = campaigns
        .map(|campaign| CampaignDays {
            campaign_id: campaign.campaign_id,
            campaign_name: campaign.campaign_name.clone(),
            first_day: campaign.first_day,
            last_day: campaign.last_day,
        })
        .collect();
    days.sort_by_key(|campaign| campaign.campaign_id);
    days
}

fn is_rollup(table: &str) -> bool {
    tables::table(table).is_some_and(|table| matches!(table.id, TableId::Rollup(_)))
}

fn left_out(day: NaiveDate, sum: &SumTooLarge, inputs: String) -> Skipped {
    Skipped {
        table: sum.table.into(),
        day,
        columns: vec![],
        reason: messages::sum_too_large(sum).to_string(),
        sum: Some(SkippedSum {
            column: sum.column.into(),
            shop_id: sum.shop_id,
            inputs,
        }),
    }
}

/// Tables and columns that lack an optional export, with the reason.
fn skipped(exports: &DayExports, read: &DayRead) -> Vec<Skipped> {
    let mut skipped = Vec::new();
    for table in tables::all() {
        let whole = table.needs.iter().map(|id| (*id, vec![]));
        let columns = table.columns_that_need();
        let mut absent = whole
            .chain(columns)
            .filter(|(export, _)| !read.snapshots.has(export.name()))
            .peekable();
        // The columns of an unwritten table are not listed.
        let is_whole = absent.peek().is_some_and(|(_, columns)| columns.is_empty());
        for (export, columns) in absent.take(if is_whole { 1 } else { usize::MAX }) {
            skipped.push(Skipped {
                table: table.name.into(),
                day: exports.day,
                columns: columns.into_iter().map(str::to_owned).collect(),
                reason: why_absent(export.name(), read),
                sum: None,
            });
        }
    }
    skipped
}

fn why_absent(dataset: &str, read: &DayRead) -> String {
    let mut defects = read.defects.iter();
    match defects.find(|(broken, _)| broken.name == dataset) {
        Some((_, defect)) => format!("{dataset} {}", defect.reason()),
        None => format!("{dataset} is not final"),
    }
}

/// The quarantined rows of each dataset; `None`: no row is quarantined.
pub(super) fn quarantine(
    set_aside: &mut Vec<(&'static Dataset, SetAside)>,
    datasets: Vec<&'static Dataset>,
) -> Vec<(&'static Dataset, Option<SetAside>)> {
    let mut rows: BTreeMap<&str, SetAside> = set_aside
        .drain(..)
        .map(|(dataset, rows)| (dataset.name, rows))
        .collect();
    let of_each = datasets.into_iter();
    of_each
        .map(|dataset| (dataset, rows.remove(dataset.name)))
        .collect()
}

fn window_file(id: WindowId, inputs: &WindowInputs) -> Result<TableFile> {
    let mut writer = TableWriter::new(tables::window(id), inputs.day, inputs.threads, inputs.stop)?;
    windows::window_table(id, inputs, &mut |rows| writer.push(&rows))?;
    writer.finish()
}

/// Benchmark tables as files of `day`, computed from the tables of the benchmark day.
pub(super) fn benchmark_files(
    facts: &Facts,
    resources: &Resources,
    tables: &[&'static Table],
    day: NaiveDate,
    benchmark: &BenchmarkDay,
    published: &DayTables,
) -> Result<Vec<TableFile>> {
    let (rows_at_once, stop) = (windows::rows_at_once(resources), &resources.stop);
    let mut writers = tables
        .iter()
        .map(|table| {
            Ok((
                table.id,
                TableWriter::new(table, day, resources.threads, stop)?,
            ))
        })
        .collect::<Result<Vec<_>>>()?;
    windows::benchmark_tables(
        benchmark,
        facts.config,
        published,
        rows_at_once,
        resources.threads,
        stop,
        &mut |table, rows| match writers.iter_mut().find(|(id, _)| *id == table.id) {
            Some((_, writer)) => writer.push(&rows),
            None => Ok(()),
        },
    )?;
    let writers = writers.into_iter();
    writers.map(|(_, writer)| writer.finish()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::tables::{CATEGORY_BENCHMARK, GMV_GAP, SHOP_TIER};
    use crate::testing::{empty_file, march};

    fn ahead() -> TablesAhead {
        let tables = [&SHOP_TIER, &CATEGORY_BENCHMARK, &GMV_GAP];
        let mut ahead = TablesAhead::of(tables.map(|table| empty_file(table, march(14))), "inputs");
        ahead
            .stages
            .push(StageTime::new(BENCHMARK_STAGE, Duration::ZERO));
        ahead
    }

    /// The tables of a stage that are taken, with their inputs at the time of publishing.
    fn taken(stage: &str, wanted: &[(&'static Table, &str)]) -> Option<Vec<&'static str>> {
        let inputs: Vec<String> = wanted.iter().map(|(_, inputs)| (*inputs).into()).collect();
        let tables = wanted.iter().map(|(table, _)| *table).zip(&inputs);
        let (files, took) = ahead().take(stage, tables)?;
        assert_eq!(took.stage, stage);
        Some(files.iter().map(|file| file.table.name).collect())
    }

    #[test]
    fn a_table_computed_ahead_is_taken_only_while_its_inputs_stay_the_same() {
        let tier = |inputs| taken(SHOP_TIER.name, &[(&SHOP_TIER, inputs)]);
        assert_eq!(tier("inputs"), Some(vec!["shop_tier"]));
        assert_eq!(tier("other inputs"), None);
        let benchmarks = |gap| {
            let wanted = [(&CATEGORY_BENCHMARK, "inputs"), (&GMV_GAP, gap)];
            taken(BENCHMARK_STAGE, &wanted)
        };
        assert_eq!(
            benchmarks("inputs"),
            Some(vec!["category_benchmark", "gmv_gap"])
        );
        assert_eq!(
            benchmarks("other inputs"),
            None,
            "they are computed together"
        );
    }
}
