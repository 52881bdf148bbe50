//! `backfill`: arguments and answer of the command; the days are walked in `pipeline/backfill.rs`.

use anyhow::Result;

use super::answer::{Answer, announce, strictness};
use super::metrics_file::{Ran, with_metrics};
use super::plan::show_plan;
use super::surroundings::{Surroundings, open_job};
use crate::cli::{BackfillArgs, Cli, Format};
use crate::pipeline::backfill::{self, Range};
use crate::report::documents::Document;

pub(super) fn backfill(
    cli: &Cli,
    args: &BackfillArgs,
    surroundings: &Surroundings,
) -> Result<Answer> {
    let file = args.metrics.metrics_file.as_deref();
    with_metrics(("backfill", file), cli, surroundings, |ran| {
        backfill_days(cli, args, surroundings, ran)
    })
}

fn backfill_days(
    cli: &Cli,
    args: &BackfillArgs,
    surroundings: &Surroundings,
    ran: &mut Ran,
) -> Result<Answer> {
    let job = &*ran.job.insert(open_job(cli, surroundings)?);
    let range = Range {
        first: args.from,
        last: args.to,
        latest_first: args.latest_first,
        parallel: args.parallel.into(),
    };
    if args.dry_run {
        return show_plan(cli, job, &backfill::plan(&job.facts()?, &range)?);
    }
    announce(
        job,
        cli,
        &format!(
            "backfill {} to {}: {} -> {}",
            args.from, args.to, job.exports.location, job.results.location
        ),
    );
    let heartbeat = job.heartbeat();
    let mut report = backfill::backfill(job, &range)?;
    drop(heartbeat);
    job.progress.finish();
    let strictness = strictness(&args.strictness);
    for day in &mut report.days {
        day.close(strictness);
    }
    announce(job, cli, &job.told_with_time(&report.summary(strictness)));
    let exit_code = report.exit_code(strictness);
    let stdout = match cli.global.format {
        Format::Json => {
            // A day that waits is computed by a later command, also where its fallback is accepted.
            let waits = report.days.iter().any(|day| day.retry);
            let document = Document::new(&report, exit_code).or_retry(waits);
            serde_json::to_string_pretty(&document)? + "\n"
        }
        // One line per day, because all tables of a range would fill pages.
        Format::Text => report.days.iter().map(|day| day.summary() + "\n").collect(),
    };
    (ran.days, ran.failed) = (report.days, report.failed);
    Ok(Answer { stdout, exit_code })
}
