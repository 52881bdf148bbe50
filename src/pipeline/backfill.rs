//! A backfill: a range of days, and every later published day that becomes stale.
//!
//! A day that fails does not stop the others.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use super::ahead::Ahead;
use super::announce::announce;
use super::doing::{Doing, Reports};
use super::job::Job;
use super::walk::{Role, Step, walk};
use crate::bug;
use crate::days::calendar::days;
use crate::exit_code::{ExitCode, GRAVEST_FIRST};
use crate::failure::Parts;
use crate::failure::exit_code_of;
use crate::plan::{Facts, PlannedDay, ReadyDay};
use crate::report::run::{FailedDay, RunReport, Strictness};
use crate::threads::beside;

/// The range of days, and the order in which they are computed.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub first: NaiveDate,
    pub last: NaiveDate,
    pub latest_first: bool,
    /// The number of days that are computed at the same time, ahead of the day that is published.
    pub parallel: usize,
}

/// The outcome of each day of a backfill.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BackfillReport {
    pub from: NaiveDate,
    pub to: NaiveDate,
    /// The days of the range, and later days that changed or need a person; oldest first.
    pub days: Vec<RunReport>,
    /// Days that failed. They are unchanged, or the next run finishes them.
    pub failed: Vec<FailedDay>,
    /// The error that ended the backfill before its last day.
    #[serde(flatten)]
    pub ended_by: Option<Ended>,
}

/// An error that ends all days at once: the lease is lost, the command is asked to stop, the
/// configuration is wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ended {
    /// In one line.
    pub error: String,
    #[serde(flatten)]
    pub parts: Parts,
    #[serde(skip)]
    code: ExitCode,
}

impl BackfillReport {
    /// The gravest code of the days of the range and of every day that failed. Later days that did
    /// not fail are only refreshed, and do not count.
    pub fn exit_code(&self, strictness: Strictness) -> ExitCode {
        if let Some(ended) = &self.ended_by {
            return ended.code;
        }
        let of_days = self
            .days
            .iter()
            .filter(|r| r.day <= self.to)
            .map(|r| r.exit_code(strictness));
        // Later days count only when they failed.
        let failed = self
            .failed
            .iter()
            .chain(self.days.iter().flat_map(|r| &r.days_failed));
        let has = |code: ExitCode| {
            failed.clone().any(|f| f.exit_code == code as u8)
                || of_days.clone().any(|found| found == code)
        };
        GRAVEST_FIRST
            .into_iter()
            .find(|code| has(*code))
            .unwrap_or(ExitCode::Published)
    }

    /// The last line for a person.
    pub fn summary(&self, strictness: Strictness) -> String {
        let ended_well = self
            .days
            .iter()
            .filter(|r| r.exit_code(strictness) == ExitCode::Published)
            .count();
        let all = self.days.len() + self.failed.len();
        let all = all.max(days(self.from, self.to).count());
        let failed: Vec<String> = self.failed.iter().map(|f| f.day.to_string()).collect();
        let of_failed = match failed[..] {
            [] => String::new(),
            _ => format!(
                "; failed: {}; run the same command again",
                failed.join(", ")
            ),
        };
        format!("backfill: {ended_well} of {all} days published or up to date{of_failed}")
    }
}

/// The plan of a backfill, oldest day first.
pub fn plan(facts: &Facts, range: &Range) -> Result<Vec<PlannedDay>> {
    let in_range = days(range.first, range.last).map(report_day);
    let steps: Vec<Step> = in_range.chain(later_days(facts, range)).collect();
    announce(facts, &steps)
}

fn report_day(day: NaiveDate) -> Step {
    let role = Role::ReportDay;
    Step { day, role }
}

fn catch_up(day: NaiveDate) -> Step {
    let role = Role::CatchUp;
    Step { day, role }
}

/// Published days after the range. The days that they read may change.
fn later_days(facts: &Facts, range: &Range) -> impl Iterator<Item = Step> {
    let last = range.last;
    let published = facts.state.days().into_iter();
    published.filter(move |day| *day > last).map(catch_up)
}

/// The steps of a backfill: the days of the range, and then the later published days, which may
/// have become stale.
fn steps(facts: &Facts, range: &Range) -> Vec<Step> {
    let in_range = days(range.first, range.last);
    if !range.latest_first {
        return in_range
            .map(report_day)
            .chain(later_days(facts, range))
            .collect();
    }
    // Changes that older days make in later ones are computed once, after all days of the range.
    let newest_first = in_range.clone().rev().map(report_day);
    newest_first
        .chain(in_range.map(catch_up))
        .chain(later_days(facts, range))
        .collect()
}

/// Computes each day of a range, and then every later published day that became stale.
///
/// # Errors
/// Errors before the first day. Later errors are part of the report.
pub fn backfill(job: &Job, range: &Range) -> Result<BackfillReport> {
    let facts = job.facts()?;
    let later = later_days(&facts, range).map(|step| step.day);
    facts.look_ahead(days(range.first, range.last).chain(later));
    let planned = plan(&facts, range)?;
    let writer = job.open_writer(&facts, planned.iter().any(PlannedDay::has_work))?;
    let steps = steps(&facts, range);
    let ahead = (range.parallel > 1).then(|| computed_ahead(job, range, &steps, planned));
    let compute_ahead = ahead
        .iter()
        .flat_map(|ahead| (0..range.parallel).map(|_| || ahead.work(job, &facts)));
    // It is dropped also when this thread panics, or a worker cannot start. Otherwise the other workers would
    // wait forever.
    let cancels = ahead.as_ref().map(Ahead::cancel_when_dropped);
    beside(compute_ahead, || {
        let _cancels = cancels;
        job.progress.start(steps.len() as u64);
        let reports = Reports::OfEachDay {
            days: BTreeMap::new(),
            failed: BTreeMap::new(),
        };
        let mut doing = Doing::new(job, &facts, writer.as_ref(), ahead.as_ref(), reports);
        let ended = walk(&facts, &steps, &mut doing);
        doing.finish_lineage(&ended);
        Ok(report(job, range, doing.reports, ended))
    })
}

/// The days to compute ahead, in the order of the walk.
fn computed_ahead(job: &Job, range: &Range, steps: &[Step], planned: Vec<PlannedDay>) -> Ahead {
    let mut to_compute: BTreeMap<NaiveDate, ReadyDay> = planned
        .into_iter()
        .filter_map(|planned| Some((planned.day, planned.ready?)))
        .collect();
    let in_order = steps
        .iter()
        .filter(|step| step.role == Role::ReportDay)
        .filter_map(|step| to_compute.remove(&step.day));
    Ahead::new(in_order, range.parallel, job)
}

fn report(job: &Job, range: &Range, reports: Reports, ended: Result<()>) -> BackfillReport {
    let (days_of_range, failed) = match reports {
        Reports::OfEachDay { days, failed } => (days, failed),
        Reports::OfOneDay(_) => Default::default(),
    };
    let (done, all) = (days_of_range.len(), days(range.first, range.last).count());
    let ended = ended.with_context(|| format!("after {done} of {all} days"));
    let ended_by = ended.err().map(|error| {
        let parts = bug::parts_of(&error);
        job.progress.failed(&parts);
        Ended {
            error: bug::text_of(&error),
            parts,
            code: exit_code_of(&error),
        }
    });
    BackfillReport {
        from: range.first,
        to: range.last,
        days: days_of_range.into_values().collect(),
        failed: failed.into_values().collect(),
        ended_by,
    }
}
