//! Hands that do: read, compute, publish, and report.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result};
use bytesize::ByteSize;
use chrono::NaiveDate;

use super::ahead::Ahead;
use super::day::{DayWork, StaleTable, TablesAhead, benchmark_files, quarantine};
use super::engine::{Reading, RolledUp, read_unchanged};
use super::job::Job;
use super::lineage::Lineage;
use super::tables::{Snapshots, TableHands};
use super::walk::{Hands, Own, Role, RollUp, Step};
use crate::bug;
use crate::catalog::checked::Check;
use crate::catalog::manifest::{Blocked, BlockedExports, PublishedBenchmark, StageTime};
use crate::contracts::Dataset;
use crate::contracts::datasets::DATASETS;
use crate::contracts::tables::{BENCHMARKS, WINDOWS};
use crate::days::readiness::{DayExports, NotFinal, Readiness, Waiting, in_seconds, listed};
use crate::exports::quarantine::Accounting;
use crate::exports::{DayRead, Unused, read_day};
use crate::failure::Parts;
use crate::plan::{self, Facts, ReadyDay, StandIn};
use crate::publish::writer::Writer;
use crate::publish::{self, Change};
use crate::report::page;
use crate::report::run::{
    CheckedDay, DatasetRead, FailedDay, Missing, Outcome, RunReport, Written,
};
use crate::resources::Resources;

/// The reports of a walk.
pub(super) enum Reports {
    /// One report, of this day, for the whole walk.
    OfOneDay(NaiveDate),
    /// A report for each day of a range, and the days that failed.
    OfEachDay {
        days: BTreeMap<NaiveDate, RunReport>,
        failed: BTreeMap<NaiveDate, FailedDay>,
    },
}

/// Carries out the decisions of a walk.
pub(super) struct Doing<'a> {
    job: &'a Job,
    facts: &'a Facts<'a>,
    /// `None`: nothing is to be written.
    writer: Option<&'a RefCell<Writer>>,
    /// The days that are computed ahead.
    ahead: Option<&'a Ahead>,
    lineage: Lineage<'a>,
    pub reports: Reports,
    pub report: RunReport,
    /// A copy of the report from before the current attempt.
    before_attempt: RunReport,
}

impl<'a> Doing<'a> {
    pub(super) fn new(
        job: &'a Job,
        facts: &'a Facts<'a>,
        writer: Option<&'a RefCell<Writer>>,
        ahead: Option<&'a Ahead>,
        reports: Reports,
    ) -> Self {
        let day = match &reports {
            Reports::OfOneDay(day) => *day,
            Reports::OfEachDay { .. } => NaiveDate::default(),
        };
        let report = RunReport::new(day);
        Doing {
            job,
            facts,
            writer,
            ahead,
            lineage: Lineage::new(job),
            reports,
            before_attempt: report.clone(),
            report,
        }
    }

    /// The day's share of the machine. It is a part when other days are computed at the same time.
    fn resources(&self) -> &'a Resources {
        self.ahead
            .map_or(&self.job.resources, |ahead| &ahead.resources)
    }

    /// Warns that exports changed while they were read. Nothing is published from them.
    fn refuse_changed(&mut self, day: NaiveDate, datasets: &[&'static str]) {
        let warning = format!(
            "{day}: {} changed while the run read it; nothing of the day is published, the next run reads it again",
            datasets.join(", ")
        );
        self.lineage.refuse(day, warning.clone());
        self.warn(warning);
    }

    /// Stages and commits a change. Returns whether it touches tables.
    fn publish_change(&mut self, change: Change) -> Result<bool> {
        let (job, day) = (self.job, change.manifest.day);
        let mut writer = self
            .writer
            .context("a run without work has no writer")?
            .borrow_mut();
        job.resources.stop.check()?;
        let keeps_history = job.config.history_days > 0;
        let staged_at = Instant::now();
        let staging = writer.next_staging(day)?.keeping_history(keeps_history);
        let staged = publish::stage(staging, &change, self.resources(), || job.now())?;
        job.resources.stop.check()?;
        let begun = Instant::now();
        writer.commit(&staged)?;
        let work = &mut self.report.work;
        staged
            .manifest
            .stages
            .iter()
            .for_each(|time| work.add_stage(time));
        work.add_stage(&StageTime::new("commit", begun.elapsed()));
        self.facts.state.learn(staged.manifest);
        for file in &change.files {
            self.facts.state.keep_small_file(&file.sha256, &file.bytes);
        }
        let changed = change.files.len() + change.removed;
        job.progress.stage(
            day,
            "publish",
            &format!("{changed} files changed"),
            Some(staged_at.elapsed()),
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
        Ok(change.touches_tables())
    }

    /// Publishes the verdict that the exports are blocked. The day's published tables stay.
    fn block(&mut self, ready: ReadyDay, rolled_up: RolledUp) -> Result<BlockedExports> {
        let RolledUp { mut read, took, .. } = rolled_up;
        let (job, day) = (self.job, ready.exports.day);
        let mut exports = Vec::new();
        for (dataset, defect) in read.blocking(&job.config) {
            self.warn(page::defect(day, dataset, defect, page::Role::Blocking));
            exports.push(Blocked {
                dataset: dataset.name.into(),
                day,
                reason: defect.reason(),
                remedy: defect.remedy(),
            });
        }
        exports.sort_by(|a, b| a.dataset.cmp(&b.dataset));
        let mut manifest = job.next_manifest(day, self.facts.manifest(day)?.as_deref());
        let blocked = plan::blocked_by(ready.inputs, None, exports);
        manifest.blocked = Some(blocked.clone());
        manifest.stages = vec![StageTime::new("rollups", took)];
        manifest.datasets = read.scoped_accounts().cloned().collect();
        let mut change = Change::new(manifest, [], [], &BTreeMap::new());
        let mut was_read = DATASETS.to_vec();
        was_read.retain(|dataset| read.accounts.iter().any(|a| a.dataset == dataset.name));
        change.quarantine = quarantine(&mut read.quarantine, was_read);
        self.publish_change(change)?;
        self.report_blocked(day, &blocked);
        Ok(blocked)
    }

    fn report_blocked(&mut self, day: NaiveDate, blocked: &BlockedExports) {
        let told = blocked.exports.iter();
        let told = told.map(|export| format!("{day} {}: {}", export.dataset, export.reason));
        self.lineage
            .refuse(day, told.collect::<Vec<_>>().join("; "));
        self.report.blocked.extend(blocked.exports.iter().cloned());
    }

    /// Makes the checks of a day whose rollups were just computed. One warning names all that failed.
    fn check(&mut self, day: NaiveDate, work: &mut DayWork) -> Result<()> {
        let begun = Instant::now();
        let checks = work.check(self.resources())?;
        let took = begun.elapsed();
        if checks.checks.is_empty() {
            return Ok(());
        }
        let told = checks.told();
        let failed: Vec<String> = checks.failed().map(Check::told).collect();
        let of = checks.checks.len();
        let accepted = match checks.accepted.as_slice() {
            [] => String::new(),
            names => format!("; accepted: {}", names.join(", ")),
        };
        self.job.progress.stage(day, "checks", &told, Some(took));
        if !failed.is_empty() {
            self.warn(format!(
                "{day}: {} of {of} checks failed: {}{accepted}",
                failed.len(),
                failed.join("; ")
            ));
        }
        Ok(())
    }

    /// Publishes the verdict that checks block the day. The day's published tables stay.
    fn hold(&mut self, work: DayWork, exports: Vec<Blocked>) -> Result<BlockedExports> {
        for export in &exports {
            self.warn(page::still_blocked(export));
        }
        let day = work.exports.day;
        let (change, blocked) = work.into_held_change(self.job, exports)?;
        self.publish_change(change)?;
        self.report_blocked(day, &blocked);
        Ok(blocked)
    }

    /// Reports the checks of a day: those of the report day, also from an earlier run, and those that
    /// this run made.
    fn report_checks(&mut self, day: NaiveDate, outcome: Outcome) -> Result<()> {
        let Some(manifest) = self.facts.manifest(day)? else {
            return Ok(());
        };
        let is_told = match outcome {
            Outcome::Published => true,
            Outcome::UpToDate => day == self.report.day,
            Outcome::Blocked => manifest
                .blocked
                .as_ref()
                .is_some_and(|blocked| blocked.compared_with.is_some()),
            _ => false,
        };
        if let (true, Some(checks)) = (is_told, &manifest.checks) {
            self.report.checks.push(CheckedDay::new(day, checks));
        }
        Ok(())
    }

    fn report_read(&mut self, exports: &DayExports, read: &DayRead) {
        let day = exports.day;
        let was_read = |dataset: &str| read.accounts.iter().any(|a| a.dataset == dataset);
        self.report.work.read_bytes += exports.bytes_of(was_read);
        let accounts = read.scoped_accounts().cloned();
        let read = accounts.map(|account| DatasetRead { day, account });
        self.report.datasets.extend(read);
    }

    fn report_missing(&mut self, day: NaiveDate, missing: impl IntoIterator<Item = NotFinal>) {
        let missing = missing.into_iter().map(|missing| Missing {
            dataset: missing.dataset.into(),
            day,
            final_at: match &missing.waiting {
                Some(Waiting::Settling { final_at, .. }) => Some(in_seconds(*final_at)),
                _ => None,
            },
            reason: match &missing.waiting {
                Some(Waiting::Settling { .. }) | None => None,
                Some(other) => Some(other.to_string()),
            },
        });
        self.report.missing.extend(missing);
    }

    /// One warning for each optional export that is broken, and one for those that are not final.
    fn warn_of_optional(&mut self, ready: &ReadyDay, read: &DayRead) {
        let day = ready.exports.day;
        for (dataset, defect) in &read.defects {
            self.warn(page::defect(day, dataset, defect, page::Role::Optional));
        }
        self.warn_of_quarantine(day, read);
        let absent = ready.exports.not_final();
        if !absent.is_empty() {
            self.warn(format!(
                "{day} not final: {}; tables and columns that need it are left out",
                listed(&absent)
            ));
        }
    }

    /// One line for each dataset with quarantined rows within the budget.
    fn warn_of_quarantine(&mut self, day: NaiveDate, read: &DayRead) {
        for line in read.quarantined_within_budget(day, self.job.config.time_zone) {
            self.warn(format!("{day} {line}"));
        }
    }

    /// Reports the tables and columns that a day lacks. A table that needs a person is reported on
    /// every run.
    fn report_skipped(&mut self, day: NaiveDate, is_published: bool) -> Result<()> {
        let Some(manifest) = self.facts.manifest(day)? else {
            return Ok(());
        };
        if day == self.report.day || is_published {
            for skipped in manifest.skipped.iter().filter(|s| s.sum.is_some()) {
                self.warn(format!(
                    "{day} {} is not written: {}",
                    skipped.table, skipped.reason
                ));
            }
        }
        self.report.skipped.extend(manifest.skipped.iter().cloned());
        Ok(())
    }

    fn has_failed(&self, day: NaiveDate) -> bool {
        self.report.days_failed.iter().any(|f| f.day == day)
    }

    /// Ends the lineage of a walk; `ended`: its outcome. A receiver that did not get all events is a
    /// warning.
    pub(super) fn finish_lineage(&mut self, ended: &Result<()>) {
        let error = ended.as_ref().err();
        if let Some(warning) = self.lineage.finish(error, &self.report) {
            self.warn(warning);
        }
    }

    pub(super) fn warn(&mut self, warning: String) {
        self.job.progress.warn(&warning);
        self.report.warnings.push(warning);
    }
}

impl<'a> TableHands<'a> for Doing<'a> {
    fn read_snapshots(&mut self, work: &mut DayWork<'a>) -> Result<Snapshots> {
        let (job, resources) = (self.job, self.resources());
        self.lineage.begin(work.exports.day, Some(&work.exports));
        let reading = read_unchanged(
            &job.exports,
            &job.config.mapping,
            &work.exports,
            resources,
            || {
                read_day(
                    &job.exports,
                    &work.exports,
                    &job.config,
                    resources,
                    &is_behind_windows,
                    &mut Unused,
                )
            },
        )?;
        let day = work.exports.day;
        let read = match reading {
            Reading::Whole(read) => read,
            Reading::Changed(datasets) => {
                self.refuse_changed(day, &datasets);
                return Ok(Snapshots::Changed(datasets));
            }
        };
        if !read.defects.is_empty() {
            return Ok(Snapshots::Broken);
        }
        self.report_read(&work.exports, &read);
        work.set_snapshots(read.snapshots);
        Ok(Snapshots::Read)
    }

    fn window(&mut self, work: &mut DayWork<'a>, stale: StaleTable) -> Result<()> {
        self.lineage.begin(work.exports.day, Some(&work.exports));
        work.compute_window(stale, self.resources())
    }

    fn benchmarks(&mut self, work: &mut DayWork<'a>, stale: Vec<StaleTable>) -> Result<()> {
        self.lineage.begin(work.exports.day, Some(&work.exports));
        work.compute_benchmarks(stale, self.resources())
    }
}

impl<'a> Hands<'a> for Doing<'a> {
    fn begin(&mut self, step: Step) -> Result<()> {
        if let Reports::OfEachDay { .. } = self.reports {
            self.report = RunReport::new(step.day);
        }
        Ok(())
    }

    fn attempt(&mut self) -> Result<()> {
        self.job.resources.stop.check()?;
        self.before_attempt = self.report.clone();
        Ok(())
    }

    /// A run that lost its lease finds its staged files gone, or tables changed. Then the lost
    /// lease is the cause of its failure.
    fn check_after_failure(&mut self) -> Result<()> {
        match self.writer {
            Some(writer) => writer.borrow().check().map(drop),
            None => Ok(()),
        }
    }

    fn retract(&mut self, _day: NaiveDate) {
        self.report = self.before_attempt.clone();
    }

    fn wait(&mut self, day: NaiveDate, missing: &[NotFinal]) {
        let missing = format!("not final: {}", listed(missing));
        self.job.progress.stage(day, "days", &missing, None);
    }

    fn known_blocked(&mut self, day: NaiveDate, blocked: &BlockedExports) {
        for export in &blocked.exports {
            self.warn(page::still_blocked(export));
        }
        if day == self.report.day {
            // Each run that was asked for the day fails, although it reads nothing again.
            self.lineage.begin(day, None);
        }
        self.report_blocked(day, blocked);
    }

    fn roll_up(&mut self, ready: ReadyDay, _why: &'static str) -> Result<RollUp<'a>> {
        let (job, day) = (self.job, ready.exports.day);
        self.lineage.begin(day, Some(&ready.exports));
        let (reading, tables) = match self.ahead.and_then(|ahead| ahead.take(day)) {
            Some(ahead) => ahead.into_parts(self.facts),
            None => (
                job.roll_up(&ready, self.resources()),
                TablesAhead::default(),
            ),
        };
        let rolled_up = match reading? {
            Reading::Whole(rolled_up) => rolled_up,
            Reading::Changed(datasets) => {
                self.refuse_changed(day, &datasets);
                return Ok(RollUp::Ended(Own::Changed(datasets)));
            }
        };
        let read = &rolled_up.read;
        let took = rolled_up.took;
        job.progress.stage(day, "exports", &rows_read(read), None);
        self.report_read(&ready.exports, read);
        self.report.work.spilled_bytes += rolled_up.spilled_bytes;
        if read.blocking(&job.config).next().is_some() {
            let blocked = self.block(ready, rolled_up)?;
            return Ok(RollUp::Ended(Own::Blocked(blocked)));
        }
        self.warn_of_optional(&ready, read);
        let spilled = match rolled_up.spilled_bytes {
            0 => String::new(),
            bytes => format!(
                ", {} spilled to {}",
                ByteSize(bytes),
                job.resources.spill_folder.display()
            ),
        };
        let mut work = DayWork::rolled_up(self.facts, ready, rolled_up, tables)?;
        let tables = work.fresh_tables();
        job.progress.stage(
            day,
            "rollups",
            &format!("{tables} tables{spilled}"),
            Some(took),
        );
        self.check(day, &mut work)?;
        match work.held_exports() {
            exports if exports.is_empty() => Ok(RollUp::Ready(Box::new(work))),
            exports => Ok(RollUp::Ended(Own::Blocked(self.hold(work, exports)?))),
        }
    }

    fn publish(&mut self, work: DayWork<'a>) -> Result<bool> {
        let (job, day) = (self.job, work.exports.day);
        self.lineage.begin(day, Some(&work.exports));
        let computed = work.computed();
        let ahead = match work.computed_ahead() {
            0 => String::new(),
            ahead => format!(", {ahead} computed ahead"),
        };
        job.progress.stage(
            day,
            "windows",
            &format!("{computed} tables{ahead}"),
            Some(work.windows_took()),
        );
        self.publish_change(work.into_change(job))
    }

    fn own_ended(&mut self, step: Step, own: &Own) -> Result<()> {
        let day = step.day;
        let outcome = match own {
            Own::Computed { wrote: true } => Outcome::Published,
            Own::Computed { wrote: false } | Own::UpToDate => Outcome::UpToDate,
            Own::NotFinal(_) | Own::Changed(_) => Outcome::NotFinal,
            Own::Blocked(_) => Outcome::Blocked,
        };
        if day == self.report.day {
            self.report.outcome = outcome;
            match own {
                Own::NotFinal(missing) => self.report_missing(day, missing.iter().cloned()),
                Own::Changed(datasets) => {
                    let changed = |dataset: &&'static str| NotFinal {
                        dataset,
                        waiting: None,
                    };
                    self.report_missing(day, datasets.iter().map(changed));
                }
                Own::Computed { .. } | Own::UpToDate | Own::Blocked(_) => {}
            }
        }
        self.report_checks(day, outcome)?;
        match outcome {
            Outcome::Published | Outcome::UpToDate => {
                self.report_skipped(day, outcome == Outcome::Published)
            }
            _ => Ok(()),
        }
    }

    fn stand_in(&mut self, day: NaiveDate, stand_in: StandIn) -> Result<()> {
        let (job, benchmark) = (self.job, stand_in.benchmark);
        self.lineage.stand_in(day, &self.report);
        let of = format!("benchmarks of {} stand in", benchmark.day);
        job.progress.stage(day, "windows", &of, None);
        let (facts, resources, begun) = (self.facts, self.resources(), Instant::now());
        let mut tables = facts.tables(benchmark.day);
        tables.set_resources(resources);
        let reads = BENCHMARKS.into_iter().flat_map(|table| table.reads);
        tables.look_ahead(reads, None);
        let files = benchmark_files(facts, resources, &BENCHMARKS, day, &benchmark, &tables)?;
        let newest = self.facts.manifest(day)?;
        let manifest = job.next_manifest(day, newest.as_deref());
        let mut change = Change::new(manifest, files, [], &stand_in.inputs);
        change.manifest.stages = vec![StageTime::new("benchmarks", begun.elapsed())];
        change.manifest.benchmark = Some(PublishedBenchmark {
            benchmark_day: benchmark.day,
            fallback_reason: benchmark.fallback_reason,
        });
        self.publish_change(change).map(drop)
    }

    fn nothing_stands_in(&mut self, day: NaiveDate, before: NaiveDate) -> Result<()> {
        if day == self.report.day
            && let Readiness::NotYet(missing) = self.facts.readiness(before)?
        {
            self.report_missing(before, missing);
        }
        Ok(())
    }

    fn end(&mut self, step: Step) -> Result<()> {
        let day = step.day;
        if day == self.report.day {
            let manifest = self.facts.manifest(day)?;
            let benchmark = manifest.and_then(|m| m.benchmark.clone());
            let report = &mut self.report;
            report.is_fallback = benchmark
                .as_ref()
                .is_some_and(|b| b.fallback_reason.is_some());
            report.benchmark_day = benchmark.map(|b| b.benchmark_day);
            if report.outcome == Outcome::NotFinal && report.is_fallback {
                report.outcome = Outcome::Fallback;
            }
        }
        self.lineage.end(&self.report);
        if let Reports::OfEachDay { days, .. } = &mut self.reports {
            let report = self.report.clone();
            match days.get_mut(&day) {
                Some(before) => before.follow(report),
                None if step.role == Role::ReportDay || report.is_news() => {
                    days.insert(day, report);
                }
                None => {}
            }
        }
        Ok(())
    }

    fn failed(&mut self, day: NaiveDate, error: anyhow::Error) -> Result<()> {
        self.lineage.fail(day, &error, &self.report);
        let is_known = self.has_failed(day);
        if !is_known {
            let parts = bug::parts_of(&error);
            let what = format!("{day}: {}", parts.what);
            self.job.progress.failed(&Parts { what, ..parts });
        }
        if day == self.report.day {
            self.report.fail(&error);
            if let Reports::OfEachDay { days, failed } = &mut self.reports {
                days.remove(&day);
                failed.insert(day, FailedDay::new(day, &error));
            }
        } else if !is_known {
            self.report.days_failed.push(FailedDay::new(day, &error));
        }
        // A commit of the day is finished first, and then the state is listed again.
        if let Some(writer) = self.writer {
            writer.borrow_mut().settle_doubts()?;
        }
        self.facts.state.renew()
    }

    fn step_done(&mut self, step: Step) {
        if let Some(ahead) = self.ahead {
            ahead.forget(step.day);
        }
        self.job.progress.day_done();
    }
}

/// Whether a dataset is a snapshot that a window reads, or one that decides which rows of such a
/// snapshot are in scope.
fn is_behind_windows(dataset: &Dataset) -> bool {
    let mut behind = WINDOWS.into_iter().flat_map(plan::snapshots_behind);
    behind.any(|id| id.name() == dataset.name)
}

fn rows_read(read: &DayRead) -> String {
    let sum = |rows: fn(&Accounting) -> u64| read.accounts.iter().map(rows).sum::<u64>();
    format!(
        "{} rows read, {} quarantined",
        sum(|a| a.rows_read),
        sum(|a| a.rows_quarantined)
    )
}
