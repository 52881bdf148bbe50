//! `init`: arguments and answer of the command; the guesses are made in `init/`.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Answer, to_json};
use super::surroundings::Surroundings;
use crate::cli::{Cli, Format, InitArgs};
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::init::{Guesses, guess, job_file, page};
use crate::messages;
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
    // There is no job file yet.
    let defaults = Config::read("", "", &surroundings.environment, &cli.global.given())?;
    let (environment, runtime) = (&surroundings.environment, surroundings.runtime.clone());
    let store = Store::open(&defaults.exports, Access::Read, environment, runtime)?;
    let guesses = guess(&store, &defaults.results)?;
    write_new(&args.out, &job_file(&guesses)?)?;
    let stdout = match cli.global.format {
        Format::Json => {
            let written = Initialized {
                job_file: &args.out,
                guesses: &guesses,
            };
            to_json(&written, ExitCode::Published)?
        }
        Format::Text => page(&args.out.display().to_string(), &guesses),
    };
    Ok(Answer::done(stdout))
}

/// Writes a file beside its place, and then gives it its name, unless another file has it.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = |why: std::io::Error| messages::cannot_write(path.display(), why);
    // The rights of a new file: the nightly job may run under another account.
    let rights = Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new()
        .permissions(rights)
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(messages::job_file_exists(path.display()).into())
        }
        Err(error) => Err(failed(error.error)).context("after it was written beside its place"),
    }
}
