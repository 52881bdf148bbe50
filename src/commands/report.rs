//! `report`: arguments and answer of the command; the pages are made in `pages/`.

use std::path::Path;

use anyhow::Result;
use bytesize::ByteSize;

use super::answer::Answer;
use super::beside;
use super::plan::planned;
use super::surroundings::{Surroundings, open_job};
use crate::catalog::history::History;
use crate::cli::{Cli, DEFAULT_JOB_FILE, DaysArgs, ReportArgs};
use crate::messages;
use crate::pages::{self, Night, Page, quoted};
use crate::pipeline::job::Job;
use crate::pipeline::out_of_reach::days_out_of_reach;
use crate::plan::Facts;
use crate::publish::writer::Writers;
use crate::redact::redact;
use crate::report::{counted, page, status};

pub(super) fn report(cli: &Cli, args: &ReportArgs, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let facts = job.facts()?;
    let page = match (args.shop, &args.out) {
        (Some(shop), _) => pages::dashboard(&facts, (shop, args.day), args.campaign)?,
        (None, Some(out)) if args.all => return all(&job, &facts, args, out),
        (None, _) => summary(cli, &job, &facts, surroundings, args)?,
    };
    let mut html = page.html()?;
    if args.summary {
        // It names places and errors of stores.
        html = redact(&html).into_owned();
    }
    let Some(path) = &args.out else {
        return Ok(Answer::done(html));
    };
    beside::replace(path, &html, None)
        .map_err(|why| messages::cannot_write(path.display(), why))?;
    Ok(Answer::done(format!("{}\n", path.display())))
}

fn all(job: &Job, facts: &Facts, args: &ReportArgs, out: &Path) -> Result<Answer> {
    let pages = pages::folder(facts, args.day, out, &job.owner.run_id, &job.resources)?;
    let shops = counted(pages.shops, "shop");
    let (out, size) = (out.display(), ByteSize(pages.bytes));
    Ok(Answer::done(format!("{out}: {shops}, {size}\n")))
}

fn summary(
    cli: &Cli,
    job: &Job,
    facts: &Facts,
    surroundings: &Surroundings,
    args: &ReportArgs,
) -> Result<Page> {
    let writers = Writers::find(&job.results)?;
    let unfinished = writers
        .unfinished
        .as_ref()
        .and_then(|record| record.commit.as_ref());
    let history = History::load(&facts.state)?;
    let of_day = DaysArgs {
        day: Some(args.day),
        from: None,
        to: None,
    };
    let planned = planned(job, facts, &of_day, surroundings)?;
    let unfinished_day = unfinished.map(|commit| commit.day);
    let days = status::days_status(facts, &history, &planned, unfinished_day)?;
    let holder = page::holder(&writers, (surroundings.clock)());
    let told = holder + &page::unfinished(&writers);
    let notices = told.lines().map(str::to_owned).collect();
    let older = match days.first() {
        Some(first) => days_out_of_reach(facts, args.day, first.day)?,
        None => vec![],
    };
    Ok(pages::summary(Night {
        older,
        facts,
        history: &history,
        day: args.day,
        days,
        notices,
        options: options(cli),
    }))
}

/// The options of this command that choose the job.
fn options(cli: &Cli) -> String {
    let mut options = String::new();
    let global = &cli.global;
    let config = global.config.to_string_lossy();
    let config = Some(config.into_owned()).filter(|config| config != DEFAULT_JOB_FILE);
    for (flag, value) in [
        ("--config", &config),
        ("--exports", &global.exports),
        ("--results", &global.results),
    ] {
        if let Some(value) = value {
            options += &format!(" {flag} {}", quoted(value));
        }
    }
    options
}
