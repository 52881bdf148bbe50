//! `catalog`: arguments and answer of the command; the views are written in `dictionary/views.rs`.

use anyhow::Result;
use chrono::Days;

use super::answer::{Answer, to_json};
use super::surroundings::{Surroundings, open_job};
use crate::catalog::files::{files_as_of, folders_with_files};
use crate::catalog::history::History;
use crate::cli::{CatalogArgs, Cli, Format};
use crate::dictionary::views::{Catalog, of_commit, of_published};
use crate::messages;
use crate::pipeline::job::Job;
use crate::publish::writer::Writers;

pub(super) fn catalog(
    cli: &Cli,
    args: &CatalogArgs,
    surroundings: &Surroundings,
) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let catalog = match args.as_of {
        Some(commit) => as_of(&job, commit, surroundings)?,
        None => published(&job)?,
    };
    if let Some(file) = &args.out {
        std::fs::write(file, &catalog.sql)
            .map_err(|e| messages::cannot_write(file.display(), e))?;
    }
    let stdout = match (cli.global.format, &args.out) {
        (Format::Json, _) => to_json(&catalog)?,
        (Format::Text, None) => catalog.sql,
        (Format::Text, Some(file)) => {
            format!("{}: {} views\n", file.display(), catalog.views.len())
        }
    };
    Ok(Answer::done(stdout))
}

fn published(job: &Job) -> Result<Catalog> {
    let folders = folders_with_files(&job.results)?;
    let has_files = |folder: &str| folders.contains(folder);
    Ok(of_published(job.results.address()?, has_files))
}

fn as_of(job: &Job, commit: u64, surroundings: &Surroundings) -> Result<Catalog> {
    let results = &job.results;
    let writers = Writers::find(results)?;
    let kept_since = (surroundings.clock)() - Days::new(job.config.history_days.into());
    let files = files_as_of(
        results,
        &History::load(results)?,
        writers.head.as_ref(),
        writers.unfinished.as_ref(),
        commit,
        kept_since,
    )?;
    Ok(of_commit(results.address()?, commit, files))
}
