//! `diff`: arguments and answer of the command; the comparison is made in `report/diff.rs`.

use anyhow::Result;

use super::answer::{Answer, to_json};
use super::surroundings::{Surroundings, open_job};
use crate::catalog::history::History;
use crate::catalog::state::State;
use crate::cli::{Cli, DiffArgs, Format};
use crate::exit_code::ExitCode;
use crate::report::diff;

pub(super) fn diff(cli: &Cli, args: &DiffArgs, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let history = History::load(&State::load(&job.results)?)?;
    let found = diff::diff(&history, args.day, args.from, args.to, args.shop)?;
    let stdout = match cli.global.format {
        Format::Json => to_json(&found, ExitCode::Published)?,
        Format::Text => diff::page(&found),
    };
    Ok(Answer::done(stdout))
}
