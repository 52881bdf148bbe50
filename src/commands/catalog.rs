//! `catalog`: arguments and answer of the command; the views are written in `dictionary/views.rs`.

use anyhow::Result;
use chrono::{DateTime, Days, Utc};

use super::answer::{Answer, to_json};
use super::beside;
use super::surroundings::{Surroundings, open_results};
use crate::catalog::files::{files_as_of, folders_with_files};
use crate::cli::{CatalogArgs, Cli, Format};
use crate::dictionary::views::{Catalog, of_commit, of_published};
use crate::exit_code::ExitCode;
use crate::messages;
use crate::store::Store;

pub(super) fn catalog(
    cli: &Cli,
    args: &CatalogArgs,
    surroundings: &Surroundings,
) -> Result<Answer> {
    let (config, results) = open_results(cli, surroundings)?;
    let catalog = match args.as_of {
        Some(commit) => {
            let kept_since = (surroundings.clock)() - Days::new(config.history_days.into());
            as_of(&results, commit, kept_since)?
        }
        None => published(&results)?,
    };
    if let Some(file) = &args.out {
        beside::replace(file, &catalog.sql, None)
            .map_err(|e| messages::cannot_write(file.display(), e))?;
    }
    let stdout = match (cli.global.format, &args.out) {
        (Format::Json, _) => to_json(&catalog, ExitCode::Published)?,
        (Format::Text, None) => catalog.sql,
        (Format::Text, Some(file)) => {
            format!("{}: {} views\n", file.display(), catalog.views.len())
        }
    };
    Ok(Answer::done(stdout))
}

fn published(results: &Store) -> Result<Catalog> {
    let folders = folders_with_files(results)?;
    let has_files = |folder: &str| folders.contains(folder);
    Ok(of_published(results.address(), has_files))
}

fn as_of(results: &Store, commit: u64, kept_since: DateTime<Utc>) -> Result<Catalog> {
    let files = files_as_of(results, commit, kept_since)?;
    Ok(of_commit(results.address(), commit, files))
}
