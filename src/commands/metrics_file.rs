//! The metrics file of `run` and `backfill`: written when the command ends, after success and failure alike.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono_tz::Tz;

use super::answer::Answer;
use super::beside;
use super::surroundings::{Surroundings, display, load_config, results_of};
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

/// The collector runs as another user, so they do not depend on the umask.
const RIGHTS: u32 = 0o644;
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
    let newest = newest(ran.job, cli, surroundings).unwrap_or_else(|error| {
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
    // The collector reads only names that end in `.prom`, so never the unfinished file.
    if let Err(error) = beside::replace(file, &redact(&metrics.text()), Some(RIGHTS)) {
        progress.warn(&format!(
            "cannot write the metrics file {}: {error}; the run itself is not affected; give a folder that the run may write to",
            file.display()
        ));
    }
    answer
}

/// The newest published days, also after a run whose exports could not be opened. `None`: the job file could
/// not be read, which is what the run says.
fn newest(
    job: Option<Job>,
    cli: &Cli,
    surroundings: &Surroundings,
) -> Result<Option<(Newest, Tz)>> {
    let (config, results) = match job {
        Some(job) => (job.config, job.results),
        None => {
            let Ok(config) = load_config(cli, surroundings) else {
                return Ok(None);
            };
            let results = results_of(&config, cli, surroundings)?;
            (config, results)
        }
    };
    let end = Instant::now() + MOST_ASKING;
    let results = results.until(Deadline::new(move || Some(end)));
    Ok(Some((Newest::find(&results)?, config.time_zone)))
}
