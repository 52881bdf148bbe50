//! `init`: arguments and answer of the command; the guesses are made in `init/`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Answer, to_json};
use super::beside;
use super::surroundings::Surroundings;
use crate::cli::{Cli, Format, InitArgs, init_needs_exports};
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::init::{Guesses, guess, job_file, page};
use crate::job_text::PREFIX;
use crate::messages;
use crate::pages::quoted;
use crate::report::documents::Failed;
use crate::store::{Access, Store};

/// The job file that was written, and the guesses in it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Initialized<'a> {
    pub job_file: &'a Path,
    #[serde(flatten)]
    pub guesses: &'a Guesses,
}

pub(super) fn init(cli: &Cli, args: &InitArgs, surroundings: &Surroundings) -> Result<Answer> {
    // The error of a file that is there must not come after minutes of reading.
    ensure!(
        !args.out.exists(),
        messages::job_file_exists(args.out.display())
    );
    let is_variable = |key: &str| {
        let is_key = |name: &str| name.strip_prefix(PREFIX) == Some(key);
        let mut variables = surroundings.environment.iter();
        variables.any(|(name, value)| is_key(name) && !value.is_empty())
    };
    if cli.global.exports.is_none() && !is_variable("EXPORTS") {
        return no_exports(cli);
    }
    // There is no job file yet.
    let defaults = Config::read("", "", &surroundings.environment, &cli.global.given())?;
    let (environment, runtime) = (&surroundings.environment, surroundings.runtime.clone());
    let store = Store::open(&defaults.exports, Access::Read, environment, runtime)?;
    let time_zone = is_variable("TIME_ZONE").then_some(defaults.time_zone);
    let guesses = guess(&store, &defaults.results, time_zone)?;
    write_new(&args.out, &job_file(&guesses)?)?;
    let stdout = match cli.global.format {
        Format::Json => {
            let written = Initialized {
                job_file: &args.out,
                guesses: &guesses,
            };
            to_json(&written, ExitCode::Published)?
        }
        Format::Text => {
            let shown = args.out.display().to_string();
            page(&shown, &quoted(&shown), &guesses)
        }
    };
    Ok(Answer::done(stdout))
}

/// The answer to a command line that is wrong.
fn no_exports(cli: &Cli) -> Result<Answer> {
    let error = init_needs_exports();
    // With colours on a terminal.
    error.print()?;
    let exit_code = ExitCode::Usage;
    let stdout = match cli.global.format {
        Format::Json => {
            let text = error.to_string();
            let failed = Failed::usage(text.lines().next().unwrap_or_default());
            serde_json::to_string(&failed)? + "\n"
        }
        Format::Text => String::new(),
    };
    Ok(Answer { stdout, exit_code })
}

/// Writes a file beside its place, and then gives it its name, unless another file has it.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let failed = |why: std::io::Error| messages::cannot_write(path.display(), why);
    // The rights of a new file: the nightly job may run under another account.
    let file = beside::written(path, text, beside::USUAL_RIGHTS).map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(messages::job_file_exists(path.display()).into())
        }
        Err(error) => Err(failed(error.error)).context("after it was written beside its place"),
    }
}
