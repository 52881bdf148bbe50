//! `report`: arguments and answer of the command; the pages are made in `pages/`.

use anyhow::Result;

use super::answer::Answer;
use super::surroundings::{Surroundings, open_job};
use crate::catalog::history::History;
use crate::cli::{Cli, ReportArgs};
use crate::messages;
use crate::pages;

pub(super) fn report(cli: &Cli, args: &ReportArgs, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let facts = job.facts()?;
    let history = History::load(&facts.state)?;
    let page = pages::dashboard(&facts, &history, (args.shop, args.day), args.campaign)?;
    let html = page.html()?;
    let Some(path) = &args.out else {
        return Ok(Answer::done(html));
    };
    let written = std::fs::write(path, html);
    written.map_err(|why| messages::cannot_write(path.display(), why))?;
    Ok(Answer::done(format!("{}\n", path.display())))
}
