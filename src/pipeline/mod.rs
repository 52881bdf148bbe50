//! One report day, stage by stage; a range (`backfill`) is that, day by day.

mod ahead;
pub mod backfill;
mod day_work;
mod rolled_up;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use bytesize::ByteSize;
use chrono::{DateTime, Days, NaiveDate, SecondsFormat, Utc};

use crate::bug;
use crate::config::Config;
use crate::contracts::datasets::DATASETS;
use crate::contracts::tables::{TABLES, of_stage};
use crate::contracts::{Dataset, Stage, Table};
use crate::days::calendar::{CivilDay, days};
use crate::days::readiness::{DayExports, Readiness};
use crate::exit_code;
use crate::exports::quarantine::Accounting;
use crate::exports::set_aside::SetAside;
use crate::exports::{DayRead, Unused, read_day};
use crate::plan::{self, Decision, Facts, plan_days};
use crate::progress::Progress;
use crate::publish::lease::Owner;
use crate::publish::writer::{Writer, Writers};
use crate::publish::{self, Change};
use crate::record::manifest::{Blocked, BlockedExports, Manifest, PublishedBenchmark};
use crate::record::page;
use crate::record::report::{DatasetRead, FailedDay, Missing, Outcome, RunReport, Written};
use crate::record::state::SpoiltInput;
use crate::resources::Resources;
use crate::store::Store;
use crate::windows;
use ahead::Ahead;
use day_work::{DayWork, benchmark_files};
use rolled_up::{Reading, RolledUp, read_unchanged, roll_up, skipped};

/// Everything that a run works with.
pub struct Job {
    pub config: Config,
    pub exports: Store,
    pub results: Store,
    pub progress: Progress,
    /// This process, as a writer.
    pub owner: Owner,
    pub clock: fn() -> DateTime<Utc>,
    pub resources: Resources,
}

impl Job {
    /// What is known before any row is read.
    pub fn facts(&self) -> Result<Facts<'_>> {
        Facts::load(&self.exports, &self.results, &self.config)
    }

    /// Takes the lease, and finishes what an interrupted run left.
    pub fn writer(&self) -> Result<Writer> {
        let tell = |line: &str| self.progress.warn(line);
        Writer::open(
            &self.results,
            &self.owner,
            self.config.single_writer,
            self.clock,
            &tell,
        )
    }

    /// What is known, and the right to write, where `has_work` finds something to write or an
    /// interrupted commit has to be finished. Where there is nothing to do, nothing is written.
    fn open(
        &self,
        has_work: impl FnOnce(&Facts) -> Result<bool>,
    ) -> Result<(Facts<'_>, Option<RefCell<Writer>>)> {
        let facts = self.facts()?;
        if Writers::find(&self.results)?.unfinished.is_none() && !has_work(&facts)? {
            return Ok((facts, None));
        }
        let writer = self.writer()?;
        // Another run may have published since.
        facts.state.renew()?;
        Ok((facts, Some(RefCell::new(writer))))
    }

    fn now(&self) -> String {
        (self.clock)().to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// The manifest that follows a day's newest, before anything changes.
    fn next_manifest(&self, day: NaiveDate, newest: Option<&Manifest>) -> Manifest {
        Manifest {
            run_id: self.owner.run_id.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            day,
            started_at: self.now(),
            time_zone: self.config.time_zone.name().into(),
            currency: self.config.currency.clone(),
            ..newest.cloned().unwrap_or_default()
        }
    }
}

/// The nightly job: catches up, computes, publishes. A day that fails does not keep the run from
/// the days after it.
///
/// # Errors
/// What keeps the run from starting, or ends it with all its days.
pub fn run(job: &Job, day: NaiveDate) -> Result<RunReport> {
    let first = day - Days::new(job.config.lookback_days.into());
    let has_work = |facts: &Facts| {
        facts.look_ahead(days(first, day));
        let planned = plan_days(facts, days(first, day), &|each| each == day)?;
        Ok(planned.iter().any(plan::PlannedDay::has_work))
    };
    let (facts, writer) = job.open(has_work)?;
    let mut run = Run::new(job, &facts, writer.as_ref(), None, day);
    job.progress.start(days(first, day).count() as u64);
    for each in days(first, day) {
        let role = if each == day {
            Role::ReportDay
        } else {
            Role::CatchUp
        };
        if let Err(error) = run.process(each, role) {
            run.end_failed(each, error)?;
        }
        job.progress.day_done();
    }
    if let Err(error) = run.warn_of_days_out_of_reach(first) {
        run.warn(format!(
            "days before the lookback were not looked at: {error:#}"
        ));
    }
    Ok(run.report)
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
    /// `None`: nothing is to be written.
    writer: Option<&'a RefCell<Writer>>,
    /// Rollups that are computed ahead.
    ahead: Option<&'a Ahead>,
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
    /// Datasets that changed while they were read, sorted.
    Changed(Vec<&'static str>),
}

impl<'a> Run<'a> {
    fn new(
        job: &'a Job,
        facts: &'a Facts<'a>,
        writer: Option<&'a RefCell<Writer>>,
        ahead: Option<&'a Ahead>,
        day: NaiveDate,
    ) -> Self {
        Run {
            job,
            facts,
            writer,
            ahead,
            report: RunReport::new(day),
            processed: BTreeSet::new(),
        }
    }

    /// What the day may take: a part where other days are rolled up at the same time.
    fn resources(&self) -> &'a Resources {
        self.ahead
            .map_or(&self.job.resources, |ahead| &ahead.resources)
    }

    /// Brings one day up to date; if it is the day of the report, says how it ended. Where a
    /// published input of another day cannot be read, the day is computed as if that one were
    /// missing.
    fn process(&mut self, day: NaiveDate, role: Role) -> Result<()> {
        loop {
            self.job.resources.stop.check()?;
            let before = self.report.clone();
            let Err(error) = bug::catch(|| self.bring_up_to_date(day, role)) else {
                return Ok(());
            };
            // A run that was overtaken finds its staged files gone, or tables changed: that is why
            // it fails.
            self.writer
                .map_or(Ok(()), |writer| writer.borrow().check().map(drop))?;
            let spoilt = error
                .downcast_ref::<SpoiltInput>()
                .map(|spoilt| spoilt.day)
                .filter(|spoilt| *spoilt != day);
            match spoilt {
                Some(spoilt) if self.facts.state.leave_out(spoilt) => {
                    self.report = before;
                    self.end_failed(spoilt, error)?;
                }
                _ => return Err(error),
            }
        }
    }

    /// A day failed: it is reported, and the others go on.
    ///
    /// # Errors
    /// When the others would fail in the same way.
    fn end_failed(&mut self, day: NaiveDate, error: anyhow::Error) -> Result<()> {
        if exit_code::ends_all(&error) {
            return Err(error);
        }
        if !self
            .report
            .days_failed
            .iter()
            .any(|failed| failed.day == day)
        {
            self.job
                .progress
                .failed(&format!("{day}: {}", exit_code::text_of(&error)));
        }
        if day == self.report.day {
            self.report.fail(&error);
        } else if !self
            .report
            .days_failed
            .iter()
            .any(|failed| failed.day == day)
        {
            self.report.days_failed.push(FailedDay::new(day, &error));
        }
        // A commit of the day is brought to its end, and known from then on.
        if let Some(writer) = self.writer {
            writer.borrow_mut().settle_doubts()?;
        }
        self.facts.state.renew()
    }

    fn bring_up_to_date(&mut self, day: NaiveDate, role: Role) -> Result<()> {
        let end = self.process_own(day)?;
        let (outcome, reason) = match &end {
            DayEnd::Computed { wrote: true } => (Outcome::Published, None),
            DayEnd::Computed { wrote: false } => (Outcome::UpToDate, None),
            DayEnd::NotFinal(missing) => (Outcome::NotFinal, Some(missing.join(", "))),
            DayEnd::Blocked(datasets) => (Outcome::Blocked, Some(datasets.join(", "))),
            // Whatever stands in for the day may be out of date in a minute; the next run decides.
            DayEnd::Changed(_) => (Outcome::NotFinal, None),
        };
        let is_reported = day == self.report.day;
        if is_reported {
            self.report.outcome = outcome;
            if let DayEnd::NotFinal(missing) | DayEnd::Changed(missing) = &end {
                self.report_missing(day, missing);
            }
        }
        match reason {
            Some(reason) => self.stand_in(day, role, reason)?,
            None if outcome == Outcome::NotFinal => {}
            None => self.report_skipped(day, outcome)?,
        }
        if is_reported {
            let benchmark = self.facts.manifest(day)?.and_then(|m| m.benchmark.clone());
            self.report.is_fallback = benchmark
                .as_ref()
                .is_some_and(|b| b.fallback_reason.is_some());
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
        match plan::decide(self.facts, day, plan::NOTHING_RECOMPUTED)? {
            Decision::Wait(missing) => {
                self.job
                    .progress
                    .stage(day, "days", &format!("not final: {}", missing.join(", ")));
                Ok(DayEnd::NotFinal(missing))
            }
            Decision::KnownBlocked(blocked) => {
                for export in &blocked.exports {
                    self.warn(page::still_blocked(export));
                }
                Ok(self.report_blocked(&blocked))
            }
            Decision::Compute {
                exports, inputs, ..
            } => self.compute(exports, inputs),
            Decision::Refresh { stale, .. } if stale.is_empty() => {
                Ok(DayEnd::Computed { wrote: false })
            }
            Decision::Refresh {
                exports, inputs, ..
            } => self.refresh(exports, inputs),
        }
    }

    /// Reads everything and computes every table of the day.
    fn compute(&mut self, exports: DayExports, inputs: String) -> Result<DayEnd> {
        let (job, day) = (self.job, exports.day);
        let reading = match self.ahead.and_then(|ahead| ahead.take(day)) {
            Some(reading) => reading?,
            None => roll_up(job, &exports, self.resources())?,
        };
        let RolledUp {
            mut read,
            daily,
            too_large,
            tally,
            spilled_bytes,
        } = match reading {
            Reading::Whole(rolled_up) => rolled_up,
            Reading::Changed(datasets) => return Ok(self.refuse_changed(day, datasets)),
        };
        job.progress.stage(day, "exports", &rows_read(&read));
        self.report_read(day, &read);
        if read.blocking(&job.config).next().is_some() {
            return self.block(day, inputs, read);
        }
        for (dataset, defect) in &read.defects {
            let told = page::defect(day, dataset, defect, page::Role::Optional);
            self.warn(format!(
                "{told}\n  optional: tables and columns that need it are left out"
            ));
        }
        self.warn_of_quarantine(day, &read);
        let absent: Vec<&str> = exports
            .folders
            .iter()
            .filter(|f| !f.is_final())
            .map(|f| f.dataset.name)
            .collect();
        if !absent.is_empty() {
            self.warn(format!(
                "{day} not final: {}; tables and columns that need it are left out",
                absent.join(", ")
            ));
        }
        let mut work = DayWork::new(self.facts, exports, inputs)?;
        work.snapshots = std::mem::take(&mut read.snapshots);
        work.skipped = skipped(&work.exports, &work.snapshots, &read);
        daily.into_iter().for_each(|file| work.add_rollup(file));
        too_large.iter().for_each(|sum| work.leave_out_rollup(sum));
        let spilled = match spilled_bytes {
            0 => String::new(),
            bytes => format!(
                ", {} spilled to {}",
                ByteSize(bytes),
                job.resources.spill_folder.display()
            ),
        };
        job.progress.stage(
            day,
            "rollups",
            &format!("{} tables{spilled}", work.tables.fresh.len()),
        );
        work.compute_windows(job, self.resources())?;
        let mut change = work.into_change(job);
        change.quarantine = quarantine(&mut read, &|_| true);
        change.manifest.datasets = read.accounts;
        change.tally = Some(tally);
        self.publish(change)
    }

    /// Computes the tables that are stale; the rollups stay.
    fn refresh(&mut self, exports: DayExports, inputs: String) -> Result<DayEnd> {
        let job = self.job;
        let mut work = DayWork::new(self.facts, exports, inputs)?;
        let reads = |table| {
            windows::reads(
                table,
                work.exports.day,
                work.first_campaign_day(),
                &job.config,
            )
            .datasets
        };
        let wanted: BTreeSet<&str> = TABLES
            .iter()
            .filter(|t| t.stage == Stage::Window)
            .flat_map(|t| reads(t))
            .collect();
        let is_wanted = |dataset: &Dataset| wanted.contains(dataset.name);
        let read = read_unchanged(job, &work.exports, || {
            read_day(
                &job.exports,
                &work.exports,
                &job.config,
                self.resources(),
                &is_wanted,
                &mut Unused,
            )
        })?;
        let read = match read {
            Reading::Whole(read) => read,
            Reading::Changed(datasets) => {
                return Ok(self.refuse_changed(work.exports.day, datasets));
            }
        };
        if !read.defects.is_empty() {
            // What was sound when the rollups were made may have been damaged since: decide from
            // all of the exports.
            return self.compute(work.exports, work.rollup_inputs);
        }
        self.report_read(work.exports.day, &read);
        work.snapshots = read.snapshots;
        work.compute_windows(job, self.resources())?;
        self.publish(work.into_change(job))
    }

    /// What was read is of no single version of the exports, so nothing is published from it.
    fn refuse_changed(&mut self, day: NaiveDate, datasets: Vec<&'static str>) -> DayEnd {
        self.warn(format!(
            "{day}: {} changed while the run read it; nothing of the day is published, the next run reads it again",
            datasets.join(", ")
        ));
        DayEnd::Changed(datasets)
    }

    fn publish(&mut self, change: Change) -> Result<DayEnd> {
        let (job, day) = (self.job, change.manifest.day);
        let mut writer = self
            .writer
            .context("nothing was to be written")?
            .borrow_mut();
        job.resources.stop.check()?;
        let staged = publish::stage(
            writer.next_staging(day)?,
            &change,
            &job.resources.stop,
            || job.now(),
        )?;
        job.resources.stop.check()?;
        writer.commit(&staged)?;
        self.facts.state.learn(staged.manifest);
        job.progress.stage(
            day,
            "publish",
            &format!("{} files changed", change.files.len() + change.removed),
        );
        self.report
            .tables
            .extend(change.files.iter().map(|file| Written {
                day,
                table: file.table.name.into(),
                rows: file.rows,
                bytes: file.bytes.len() as u64,
                sha256: file.sha256.clone(),
            }));
        Ok(DayEnd::Computed {
            wrote: change.touches_tables(),
        })
    }

    /// Records that the exports are blocked; what was published of the day stays.
    fn block(&mut self, day: NaiveDate, inputs: String, mut read: DayRead) -> Result<DayEnd> {
        let job = self.job;
        let read_names: BTreeSet<String> =
            read.accounts.iter().map(|a| a.dataset.clone()).collect();
        let mut exports = Vec::new();
        for (dataset, defect) in read.blocking(&job.config) {
            self.warn(page::defect(day, dataset, defect, page::Role::Blocking));
            let (reason, remedy) = (defect.reason(), defect.remedy());
            exports.push(Blocked {
                dataset: dataset.name.into(),
                day,
                reason,
                remedy,
            });
        }
        exports.sort_by(|a, b| a.dataset.cmp(&b.dataset));
        let mut manifest = job.next_manifest(day, self.facts.manifest(day)?.as_deref());
        let blocked = BlockedExports { inputs, exports };
        manifest.blocked = Some(blocked.clone());
        manifest.datasets = read.scoped_accounts().cloned().collect();
        let mut change = Change::new(manifest, [], [], &Default::default());
        change.quarantine = quarantine(&mut read, &|name| read_names.contains(name));
        self.publish(change)?;
        Ok(self.report_blocked(&blocked))
    }

    /// Benchmarks of the day before for a day whose own exports cannot be used.
    fn stand_in(&mut self, day: NaiveDate, role: Role, reason: String) -> Result<()> {
        let (job, newest) = (self.job, self.facts.manifest(day)?);
        if !plan::wants_stand_in(newest.as_deref(), role == Role::ReportDay) {
            return Ok(());
        }
        let Some(before) = day.pred_opt() else {
            return Ok(());
        };
        if !self.processed.contains(&before)
            && let Err(error) = bug::catch(|| self.process_own(before))
        {
            return self.end_without_stand_in(before, error);
        }
        if self
            .report
            .days_failed
            .iter()
            .any(|failed| failed.day == before)
        {
            return Ok(());
        }
        let stand_in =
            match plan::resolve_stand_in(self.facts, day, reason, plan::NOTHING_RECOMPUTED) {
                Ok(stand_in) => stand_in,
                Err(error) => return self.end_without_stand_in(before, error),
            };
        let Some(stand_in) = stand_in else {
            if let (true, Readiness::NotYet(missing)) =
                (day == self.report.day, self.facts.readiness(before)?)
            {
                self.report_missing(before, &missing);
            }
            return Ok(());
        };
        if stand_in.is_fresh {
            return Ok(());
        }
        let benchmark = stand_in.benchmark;
        job.progress.stage(
            day,
            "windows",
            &format!("benchmarks of {} stand in", benchmark.day),
        );
        let tables = self.facts.tables(benchmark.day);
        let wanted: Vec<&'static Table> = of_stage(Stage::Benchmark).collect();
        let files = benchmark_files(job, self.resources(), &wanted, day, &benchmark, &tables)?;
        let manifest = job.next_manifest(day, newest.as_deref());
        let mut change = Change::new(manifest, files, [], &stand_in.inputs);
        change.manifest.benchmark = Some(PublishedBenchmark {
            benchmark_day: benchmark.day,
            fallback_reason: benchmark.fallback_reason,
        });
        self.publish(change).map(drop)
    }

    /// The day before failed, so nothing stands in; the day itself only waits.
    fn end_without_stand_in(&mut self, before: NaiveDate, error: anyhow::Error) -> Result<()> {
        if error.downcast_ref::<SpoiltInput>().is_some() {
            return Err(error);
        }
        self.writer
            .map_or(Ok(()), |writer| writer.borrow().check().map(drop))?;
        self.end_failed(before, error)
    }

    fn report_read(&mut self, day: NaiveDate, read: &DayRead) {
        self.report
            .datasets
            .extend(read.scoped_accounts().map(|account| DatasetRead {
                day,
                account: account.clone(),
            }));
    }

    fn report_missing(&mut self, day: NaiveDate, datasets: &[&str]) {
        self.report.missing.extend(datasets.iter().map(|d| Missing {
            dataset: (*d).into(),
            day,
        }));
    }

    fn report_blocked(&mut self, blocked: &BlockedExports) -> DayEnd {
        self.report.blocked.extend(blocked.exports.iter().cloned());
        DayEnd::Blocked(blocked.datasets())
    }

    /// One line for each dataset with quarantined rows within the budget.
    fn warn_of_quarantine(&mut self, day: NaiveDate, read: &DayRead) {
        let bounds = CivilDay::new(day, self.job.config.time_zone).told();
        let is_sound = |account: &&Accounting| {
            !read
                .defects
                .iter()
                .any(|(dataset, _)| dataset.name == account.dataset)
        };
        for account in read
            .accounts
            .iter()
            .filter(is_sound)
            .filter(|account| account.rows_quarantined > 0)
        {
            self.warn(format!(
                "{day} {}: {} of {} rows quarantined: {}",
                account.dataset,
                account.rows_quarantined,
                account.rows_read,
                account.reasons_told(&bounds)
            ));
        }
    }

    /// Lists what a day lacks. A table that a person has to mend is told on every run.
    fn report_skipped(&mut self, day: NaiveDate, outcome: Outcome) -> Result<()> {
        let Some(manifest) = self.facts.manifest(day)? else {
            return Ok(());
        };
        if day == self.report.day || outcome == Outcome::Published {
            for skipped in manifest
                .skipped
                .iter()
                .filter(|skipped| skipped.sum.is_some())
            {
                self.warn(format!(
                    "{day} {} is not written: {}",
                    skipped.table, skipped.reason
                ));
            }
        }
        self.report.skipped.extend(manifest.skipped.iter().cloned());
        Ok(())
    }

    fn warn_of_days_out_of_reach(&mut self, first: NaiveDate) -> Result<()> {
        let found = plan::days_out_of_reach(self.facts, self.report.day, first)?;
        let why_stale = format!(
            "published and stale or lost ({})",
            found.why_stale.unwrap_or_default()
        );
        let why_failed = format!(
            "not to be looked at ({})",
            found.why_failed.unwrap_or_default()
        );
        for (days, how, command) in [
            (
                &found.unpublished,
                "final and not published",
                "run: campaign-etl backfill",
            ),
            (&found.stale, &why_stale, "run: campaign-etl backfill"),
            (&found.blocked, "blocked", "see: campaign-etl status"),
            (&found.failed, &why_failed, "see: campaign-etl status"),
        ] {
            if let [oldest, .., newest] | [oldest @ newest] = days[..] {
                let count = days.len();
                self.warn(format!(
                    "before the lookback, {count} days from {oldest} to {newest} are {how}; {command} --from {oldest} --to {newest}"
                ));
            }
        }
        Ok(())
    }

    fn warn(&mut self, warning: String) {
        self.job.progress.warn(&warning);
        self.report.warnings.push(warning);
    }
}

fn rows_read(read: &DayRead) -> String {
    let sum = |rows: fn(&Accounting) -> u64| read.accounts.iter().map(rows).sum::<u64>();
    format!(
        "{} rows read, {} quarantined",
        sum(|a| a.rows_read),
        sum(|a| a.rows_quarantined)
    )
}

/// The quarantined rows of each dataset that was read; `None` where all its rows are fine.
fn quarantine(
    read: &mut DayRead,
    is_read: &dyn Fn(&str) -> bool,
) -> Vec<(&'static Dataset, Option<SetAside>)> {
    let mut rows: HashMap<&str, SetAside> = read
        .quarantine
        .drain(..)
        .map(|(d, rows)| (d.name, rows))
        .collect();
    let datasets = DATASETS.into_iter().filter(|dataset| is_read(dataset.name));
    datasets
        .map(|dataset| (dataset, rows.remove(dataset.name)))
        .collect()
}
