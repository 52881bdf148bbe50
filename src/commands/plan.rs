//! `plan`: arguments and answer of the command; the plan is made in `pipeline/announce.rs`.

use anyhow::Result;
use chrono::Days;

use super::answer::{Answer, to_json};
use super::surroundings::{Surroundings, open_job, yesterday};
use crate::cli::{Cli, DaysArgs, Format};
use crate::days::calendar::days;
use crate::exit_code::ExitCode;
use crate::pipeline::announce::plan_days;
use crate::pipeline::job::Job;
use crate::plan::{Facts, PlannedDay};
use crate::publish::writer::Writers;
use crate::report::documents::Plan;
use crate::report::page;

pub(super) fn plan(cli: &Cli, args: &DaysArgs, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    show_plan(
        cli,
        &job,
        &planned(&job, &job.facts()?, args, surroundings)?,
    )
}

pub(super) fn show_plan(cli: &Cli, job: &Job, planned: &[PlannedDay]) -> Result<Answer> {
    let writers = Writers::find(&job.results)?;
    let stdout = match cli.global.format {
        Format::Json => to_json(
            &Plan {
                days: planned,
                unfinished_commit: writers.unfinished.as_ref(),
            },
            ExitCode::Published,
        )?,
        Format::Text => page::unfinished(&writers) + &page::plan(planned) + "\n",
    };
    Ok(Answer::done(stdout))
}

pub(super) fn planned(
    job: &Job,
    facts: &Facts,
    args: &DaysArgs,
    surroundings: &Surroundings,
) -> Result<Vec<PlannedDay>> {
    let (first, last, is_range) = match (args.from, args.to) {
        (Some(first), Some(last)) => (first, last, true),
        _ => {
            let day = args
                .day
                .unwrap_or_else(|| yesterday(&job.config, surroundings));
            (day - Days::new(job.config.lookback_days.into()), day, false)
        }
    };
    facts.look_ahead(days(first, last));
    plan_days(facts, days(first, last), &|day| is_range || day == last)
}
