//! `status`: arguments and answer of the command; the states come from `report/status.rs`.

use anyhow::Result;
use chrono::NaiveDate;

use super::answer::{Answer, to_json};
use super::plan::planned;
use super::surroundings::{Surroundings, open_job};
use crate::catalog::history::History;
use crate::cli::{Cli, Format, StatusArgs};
use crate::exit_code::ExitCode;
use crate::plan::Facts;
use crate::publish::writer::Writers;
use crate::report::documents::Status;
use crate::report::status::DayStatus;
use crate::report::verdict::{Findings, Grade};
use crate::report::{page, status};

pub(super) fn status(cli: &Cli, args: &StatusArgs, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let (facts, writers) = (job.facts()?, Writers::find(&job.results)?);
    let unfinished = writers
        .unfinished
        .as_ref()
        .and_then(|record| record.commit.as_ref());
    let history = History::load(&facts.state)?;
    let planned = planned(&job, &facts, &args.days, surroundings)?;
    let days = status::days_status(
        &facts,
        &history,
        &planned,
        unfinished.map(|commit| commit.day),
    )?;
    let night = days.last().map(|status| status.day).unwrap_or_default();
    let found = verdict(&facts, &days, night);
    let exit_code = match args.exit_code {
        true => found.exit_code(),
        false => ExitCode::Published,
    };
    let now = (surroundings.clock)();
    let stdout = match cli.global.format {
        Format::Json => {
            let status = Status {
                verdict: found.lead(night),
                is_fine: found.grade() != Grade::NotFine,
                problems: found.problems().collect(),
                warnings: found.warnings().collect(),
                days: &days,
                holder: writers
                    .holder
                    .as_ref()
                    .filter(|holder| holder.released_at.is_none()),
                holder_is_live: writers
                    .holder
                    .as_ref()
                    .is_some_and(|holder| holder.is_live(now)),
                unfinished_commit: writers.unfinished.as_ref(),
            };
            to_json(&status, exit_code)?
        }
        Format::Text => {
            let lead = found.short_lead(night);
            let problems = found.problems().map(|text| format!("problem: {text}"));
            let warnings = found.warnings().map(|text| format!("warning: {text}"));
            let lines = problems.chain(warnings);
            let lines: String = lines.map(|line| page::wrapped(&line)).collect();
            let writers = page::holder(&writers, now) + &page::unfinished(&writers);
            format!("{lead}\n{lines}{writers}{}\n", page::status(&days))
        }
    };
    Ok(Answer { stdout, exit_code })
}

/// Whether the last of the days is fine.
fn verdict(facts: &Facts, days: &[DayStatus], night: NaiveDate) -> Findings {
    let first = facts.state.days().into_iter().next();
    let mut found = Findings::of_days(days, night, first);
    // The state of its day tells why a manifest cannot be read.
    if let Ok(Some(manifest)) = facts.manifest(night) {
        found.add_manifest(&manifest);
    }
    found
}
