//! `vacuum`: removes the files that `publish/vacuum.rs` finds, under the lease.

use anyhow::Result;
use chrono::Days;

use super::answer::{Answer, to_json};
use super::surroundings::{Surroundings, open_job};
use crate::cli::{Cli, Format, VacuumArgs};
use crate::exit_code::ExitCode;
use crate::publish::vacuum::find_superfluous;
use crate::report::documents::Vacuumed;
use crate::report::page;

/// Files that are removed between two looks at the lease and at signals.
const REMOVED_AT_ONCE: usize = 1000;

pub(super) fn vacuum(cli: &Cli, args: &VacuumArgs, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let now = (surroundings.clock)();
    let before = now - Days::new(args.older_than_days.into());
    let history_before = now - Days::new(job.config.history_days.into());
    let find = || find_superfluous(&job.results, now, before, history_before);
    let mut found = find()?;
    if !args.dry_run && !found.is_empty() {
        let writer = job.writer()?;
        // Files that the writer itself has removed count as removed. A commit that the writer
        // finished may have superseded more files.
        for more in find()? {
            if !found.contains(&more) {
                found.push(more);
            }
        }
        let paths: Vec<String> = found.iter().map(|each| each.path.clone()).collect();
        for some in paths.chunks(REMOVED_AT_ONCE) {
            job.resources.stop.check()?;
            writer.check()?.remove_each(some)?;
        }
    }
    let stdout = match cli.global.format {
        Format::Json => to_json(
            &Vacuumed {
                dry_run: args.dry_run,
                removed: &found,
            },
            ExitCode::Published,
        )?,
        Format::Text => page::vacuumed(&found, args.dry_run),
    };
    Ok(Answer::done(stdout))
}
