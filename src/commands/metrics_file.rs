//! The metrics file of `run` and `backfill`: written when the command ends, after success and failure alike.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chrono_tz::Tz;

use super::answer::Answer;
use super::beside;
use super::surroundings::{Surroundings, display};
use crate::bug;
use crate::catalog::newest::Newest;
use crate::cli::Cli;
use crate::failure::exit_code_of;
use crate::pipeline::job::Job;
use crate::progress::Progress;
use crate::redact::redact;
use crate::report::metrics_file::RunMetrics;
use crate::report::run::{FailedDay, Outcome, RunReport};
use crate::store::Deadline;

/// How long the results may take to tell their newest days. It bounds the end of a run whose store is
/// gone; in time, it is two listings and a few small reads.
const MOST_ASKING: Duration = Duration::from_secs(10);

/// What a command has done, for its metrics.
#[derive(Default)]
pub(super) struct Ran {
    pub job: Option<Job>,
    pub days: Vec<RunReport>,
    /// Days of a backfill that failed.
    pub failed: Vec<FailedDay>,
}

/// Runs a command, and then writes its metrics. A file that cannot be written is a warning: the answer and
/// the exit code stay.
pub(super) fn with_metrics(
    (name, file): (&str, Option<&Path>),
    cli: &Cli,
    surroundings: &Surroundings,
    command: impl FnOnce(&mut Ran) -> Result<Answer>,
) -> Result<Answer> {
    let started_at = (surroundings.clock)();
    let mut ran = Ran::default();
    let answer = bug::catch(|| command(&mut ran));
    let Some(file) = file else {
        return answer;
    };
    let exit_code = match &answer {
        Ok(answer) => answer.exit_code,
        Err(error) => exit_code_of(error),
    };
    let progress = Progress::new(display(cli, surroundings));
    let newest = ran.job.as_ref().map(newest).transpose();
    let newest = newest.unwrap_or_else(|error| {
        progress.warn(&format!(
            "the metrics lack the newest published day: {error:#}"
        ));
        None
    });
    let job_file = &cli.global.config;
    let job_file = std::path::absolute(job_file).unwrap_or_else(|_| job_file.clone());
    let metrics = RunMetrics {
        command: name,
        job_file: &job_file.to_string_lossy(),
        started_at,
        ended_at: (surroundings.clock)(),
        exit_code: exit_code as u8,
        days: &ran.days,
        failed: &ran.failed,
        ended_early: answer.as_ref().err().map(Outcome::of_error),
        newest,
    };
    if let Err(error) = write_whole(file, &redact(&metrics.text())) {
        progress.warn(&format!(
            "cannot write the metrics file {}: {error:#}; the run itself is not affected; give a folder that the run may write to",
            file.display()
        ));
    }
    answer
}

fn newest(job: &Job) -> Result<(Newest, Tz)> {
    let end = Instant::now() + MOST_ASKING;
    let results = job.results.until(Deadline::new(move || Some(end)));
    Ok((Newest::find(&results)?, job.config.time_zone))
}

/// The collector finds the old metrics or the new ones. It reads only names that end in `.prom`, and so not
/// the unfinished file.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let file = beside::written(path, text, 0o644)?;
    // The collector runs as another user, so the rights must not depend on the umask.
    let readable = Permissions::from_mode(0o644);
    file.as_file().set_permissions(readable)?;
    file.persist(path).context("cannot move it into place")?;
    Ok(())
}
