//! The nightly run: the days of the lookback, and then the report day.

use anyhow::Result;
use chrono::{Days, NaiveDate};

use super::announce::announce;
use super::doing::{Doing, Reports};
use super::job::Job;
use super::out_of_reach::{days_out_of_reach, warning};
use super::walk::{Role, Step, walk};
use crate::days::calendar::{days, six_months_before};
use crate::plan::{Facts, PlannedDay};
use crate::report::run::RunReport;

/// Catches up, computes and publishes. A day that fails does not stop the days after it.
///
/// # Errors
/// Errors before the first day, and errors that would be the same for every day.
pub fn run(job: &Job, day: NaiveDate) -> Result<RunReport> {
    let first = day - Days::new(job.config.lookback_days.into());
    let steps = steps(first, day);
    let facts = job.facts()?;
    facts.look_ahead(days(first_listed(&facts, first, day), day));
    let has_work = announce(&facts, &steps)?.iter().any(PlannedDay::has_work);
    let writer = job.open_writer(&facts, has_work)?;
    job.progress.start(steps.len() as u64);
    let reports = Reports::OfOneDay(day);
    let mut doing = Doing::new(job, &facts, writer.as_ref(), None, reports);
    let ended = walk(&facts, &steps, &mut doing);
    doing.finish_lineage(&ended);
    ended?;
    match days_out_of_reach(&facts, day, first) {
        Ok(found) => found.iter().for_each(|days| doing.warn(warning(days))),
        Err(error) => doing.warn(format!(
            "days before the lookback cannot be read: {error:#}"
        )),
    }
    Ok(doing.report)
}

/// In an object store, the days out of reach are listed with those of the run, because a listing of many days
/// is not more requests. On a disk they are listed later, and only those that exist.
fn first_listed(facts: &Facts, first: NaiveDate, day: NaiveDate) -> NaiveDate {
    match facts.exports.is_remote() {
        true => first.min(six_months_before(day)),
        false => first,
    }
}

fn steps(first: NaiveDate, day: NaiveDate) -> Vec<Step> {
    let role = |each| match each == day {
        true => Role::ReportDay,
        false => Role::CatchUp,
    };
    days(first, day)
        .map(|day| Step {
            day,
            role: role(day),
        })
        .collect()
}
