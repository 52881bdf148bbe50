//! `status`: arguments and answer of the command; the states come from `report/status.rs`.

use anyhow::Result;

use super::answer::{Answer, to_json};
use super::plan::planned;
use super::surroundings::{Surroundings, open_job};
use crate::catalog::history::History;
use crate::cli::{Cli, DaysArgs, Format};
use crate::publish::writer::Writers;
use crate::report::documents::Status;
use crate::report::{page, status};

pub(super) fn status(cli: &Cli, args: &DaysArgs, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let (facts, writers) = (job.facts()?, Writers::find(&job.results)?);
    let unfinished = writers
        .unfinished
        .as_ref()
        .and_then(|record| record.commit.as_ref());
    let history = History::load(&facts.state)?;
    let planned = planned(&job, &facts, args, surroundings)?;
    let days = status::days_status(
        &facts,
        &history,
        &planned,
        unfinished.map(|commit| commit.day),
    )?;
    let now = (surroundings.clock)();
    let stdout = match cli.global.format {
        Format::Json => to_json(&Status {
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
        })?,
        Format::Text => {
            page::holder(&writers, now) + &page::unfinished(&writers) + &page::status(&days) + "\n"
        }
    };
    Ok(Answer::done(stdout))
}
