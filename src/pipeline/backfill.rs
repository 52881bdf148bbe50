//! A range of days, and every later published day that they make stale; what fails does not stop
//! the others.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::thread;

use anyhow::{Context, Result};
use chrono::NaiveDate;
use serde::Serialize;

use super::ahead::Ahead;
use super::{Job, Role, Run};
use crate::days::calendar::days;
use crate::exit_code::{self, ExitCode, GRAVEST_FIRST, ends_all};
use crate::plan::{self, Decision, Facts, PlannedDay, plan_days};
use crate::publish::writer::Writer;
use crate::record::report::{FailedDay, RunReport, Strictness};

/// The days asked for, and how to go through them.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub first: NaiveDate,
    pub last: NaiveDate,
    pub latest_first: bool,
    /// Days whose rollups are computed at the same time.
    pub parallel: usize,
}

/// How the days of a backfill ended.
#[derive(Debug, Serialize)]
pub struct BackfillReport {
    pub from: NaiveDate,
    pub to: NaiveDate,
    /// The days of the range, and later ones that changed or need a person; oldest first.
    pub days: Vec<RunReport>,
    /// Days at which something went wrong; they are as they were, or will be finished by the next
    /// run.
    pub failed: Vec<FailedDay>,
    /// What ended it before its last day.
    #[serde(flatten)]
    pub ended_by: Option<Ended>,
}

/// An error that ends all days at once: the lease is lost, the command is asked to stop, the
/// configuration is wrong.
#[derive(Debug, Serialize)]
pub struct Ended {
    pub error: String,
    pub exit_code: u8,
    #[serde(skip)]
    code: ExitCode,
}

impl BackfillReport {
    /// Of the range, and of every day that failed: later days are only renewed.
    pub fn exit_code(&self, strictness: Strictness) -> ExitCode {
        if let Some(ended) = &self.ended_by {
            return ended.code;
        }
        let of_days = self
            .days
            .iter()
            .filter(|r| r.day <= self.to)
            .map(|r| r.exit_code(strictness));
        // Of later days the ones that failed count too.
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

/// What a backfill would do, oldest day first.
pub fn plan(facts: &Facts, range: &Range) -> Result<Vec<PlannedDay>> {
    let is_in_range = |day: NaiveDate| day <= range.last;
    plan_days(
        facts,
        days(range.first, range.last).chain(later_days(facts, range)),
        &is_in_range,
    )
}

/// Published days after the range: what they look back on may change.
fn later_days(facts: &Facts, range: &Range) -> Vec<NaiveDate> {
    facts
        .state
        .days()
        .into_iter()
        .filter(|day| *day > range.last)
        .collect()
}

/// Each day of a range, and then every later published day that these made stale.
///
/// # Errors
/// What keeps it from starting.
pub fn backfill(job: &Job, range: &Range) -> Result<BackfillReport> {
    let has_work = |facts: &Facts| {
        facts.look_ahead(days(range.first, range.last));
        Ok(plan(facts, range)?.iter().any(PlannedDay::has_work))
    };
    let (facts, writer) = job.open(has_work)?;
    let mut in_range: Vec<NaiveDate> = days(range.first, range.last).collect();
    let mut again = later_days(&facts, range);
    if range.latest_first {
        // What an older day changes in a later one is computed once, when all are there.
        again = in_range.iter().copied().chain(again).collect();
        in_range.reverse();
    }
    let ahead =
        (range.parallel > 1).then(|| days_to_roll_up(job, &facts, &in_range, range.parallel));
    thread::scope(|scope| {
        if let Some(ahead) = &ahead {
            for _ in 0..range.parallel {
                scope.spawn(|| ahead.work(job));
            }
        }
        let mut backfill = Backfill {
            job,
            facts,
            writer: writer.as_ref(),
            ahead: ahead.as_ref(),
            reports: BTreeMap::new(),
            failed: BTreeMap::new(),
        };
        job.progress.start((in_range.len() + again.len()) as u64);
        // Also when this thread panics: the others wait for days to be taken.
        let _cancels = ahead.as_ref().map(Ahead::cancel_when_dropped);
        let ended = backfill.go_through(&in_range, &again);
        let done = backfill.reports.len();
        let ended = ended.with_context(|| {
            format!(
                "after {done} of {} days",
                days(range.first, range.last).count()
            )
        });
        let mut report = backfill.into_report(range);
        if let Err(error) = ended {
            let (code, error) = (exit_code::of_error(&error), format!("{error:#}"));
            job.progress.failed(&error);
            report.ended_by = Some(Ended {
                error,
                exit_code: code as u8,
                code,
            });
        }
        Ok(report)
    })
}

fn days_to_roll_up(job: &Job, facts: &Facts, days: &[NaiveDate], parallel: usize) -> Ahead {
    let mut to_roll_up = Vec::new();
    for day in days {
        // A day that cannot be looked at fails when its turn comes.
        if let Ok(Decision::Compute { exports, .. }) =
            plan::decide(facts, *day, plan::NOTHING_RECOMPUTED)
        {
            to_roll_up.push(exports);
        }
    }
    Ahead::new(to_roll_up, parallel, job)
}

/// A backfill on its way.
struct Backfill<'a> {
    job: &'a Job,
    facts: Facts<'a>,
    writer: Option<&'a RefCell<Writer>>,
    ahead: Option<&'a Ahead>,
    reports: BTreeMap<NaiveDate, RunReport>,
    failed: BTreeMap<NaiveDate, FailedDay>,
}

impl Backfill<'_> {
    /// The days of the range, then those that may have become stale.
    fn go_through(&mut self, in_range: &[NaiveDate], again: &[NaiveDate]) -> Result<()> {
        for day in in_range {
            self.process(*day, Role::ReportDay)?;
            self.job.progress.day_done();
        }
        for day in again {
            if !self.failed.contains_key(day) {
                self.process(*day, Role::CatchUp)?;
            }
            self.job.progress.day_done();
        }
        Ok(())
    }

    fn process(&mut self, day: NaiveDate, role: Role) -> Result<()> {
        let mut run = Run::new(self.job, &self.facts, self.writer, self.ahead, day);
        match run.process(day, role) {
            Ok(()) => {
                let report = run.report;
                match self.reports.get_mut(&day) {
                    Some(before) => before.follow(report),
                    None if role == Role::ReportDay || report.is_news() => {
                        drop(self.reports.insert(day, report))
                    }
                    None => {}
                }
                Ok(())
            }
            Err(error) if ends_all(&error) => Err(error),
            Err(error) => {
                self.reports.remove(&day);
                self.failed.insert(day, FailedDay::new(day, &error));
                run.end_failed(day, error)
            }
        }
    }

    fn into_report(self, range: &Range) -> BackfillReport {
        BackfillReport {
            from: range.first,
            to: range.last,
            days: self.reports.into_values().collect(),
            failed: self.failed.into_values().collect(),
            ended_by: None,
        }
    }
}
