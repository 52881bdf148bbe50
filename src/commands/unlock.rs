//! `unlock`: ends the expired lease of a run that died.

use anyhow::Result;

use super::answer::{Answer, to_json};
use super::surroundings::{Surroundings, open_job};
use crate::cli::{Cli, Format};
use crate::exit_code::ExitCode;
use crate::publish::lease;
use crate::report::documents::Unlocked;

pub(super) fn unlock(cli: &Cli, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let ended = lease::unlock(&job.results, (surroundings.clock)())?;
    let stdout = match (cli.global.format, ended) {
        (Format::Json, removed) => to_json(&Unlocked { removed }, ExitCode::Published)?,
        (Format::Text, Some(holder)) => format!("removed the lease of {holder}\n"),
        (Format::Text, None) => "no run holds the results\n".into(),
    };
    Ok(Answer::done(stdout))
}
