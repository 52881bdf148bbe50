//! `run`: arguments and answer of the command; the days are walked in `pipeline/night.rs`.

use anyhow::Result;

use super::answer::{Answer, announce, strictness};
use super::metrics_file::{Ran, with_metrics};
use super::surroundings::{Surroundings, open_job, yesterday};
use crate::cli::{Cli, Format, RunArgs};
use crate::pipeline::night;
use crate::report::page;

pub(super) fn run(cli: &Cli, args: &RunArgs, surroundings: &Surroundings) -> Result<Answer> {
    let file = args.metrics.metrics_file.as_deref();
    with_metrics(("run", file), cli, surroundings, |ran| {
        run_day(cli, args, surroundings, ran)
    })
}

fn run_day(
    cli: &Cli,
    args: &RunArgs,
    surroundings: &Surroundings,
    ran: &mut Ran,
) -> Result<Answer> {
    let job = &*ran.job.insert(open_job(cli, surroundings)?);
    let day = args
        .day
        .unwrap_or_else(|| yesterday(&job.config, surroundings));
    announce(
        job,
        cli,
        &format!(
            "run for {day}: {} -> {}",
            job.exports.location, job.results.location
        ),
    );
    let heartbeat = job.heartbeat();
    let mut report = night::run(job, day)?;
    drop(heartbeat);
    job.progress.finish();
    let exit_code = report.close(strictness(&args.strictness));
    announce(job, cli, &job.told_with_time(&report.summary()));
    let lacks = report.absent_exports();
    if args.strictness.strict && !lacks.is_empty() {
        job.progress
            .warn(&format!("{day}: --strict: {}", lacks.join(", ")));
    }
    let stdout = match cli.global.format {
        Format::Json => serde_json::to_string_pretty(&report)? + "\n",
        Format::Text => page::written(report.day, &report.tables),
    };
    ran.days.push(report);
    Ok(Answer { stdout, exit_code })
}
