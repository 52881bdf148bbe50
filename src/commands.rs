//! Each command from its arguments to what stdout gets and the exit code.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use chrono::{DateTime, Days, NaiveDate, Utc};
use serde_json::json;
use tokio::runtime::Handle;

use crate::catalog::commit_log::Owner;
use crate::cli::{
    BackfillArgs, Cli, Command, DaysArgs, DocsArgs, DocsPage, Format, GenerateArgs, RunArgs,
    StrictnessArgs, VacuumArgs, ValidateArgs,
};
use crate::config::Config;
use crate::contracts::markdown;
use crate::days::calendar::days;
use crate::days::readiness::{Readiness, check_day, check_location};
use crate::exports::{Unused, read_day};
use crate::messages;
use crate::pipeline::announce::plan_days;
use crate::pipeline::backfill::{self, Range, backfill as run_backfill};
use crate::pipeline::job::Job;
use crate::pipeline::night;
use crate::plan::{Facts, PlannedDay};
use crate::progress::{Display, Progress};
use crate::publish::lease;
use crate::publish::vacuum::find_superfluous;
use crate::publish::writer::Writers;
use crate::report::exit_code::{self, ExitCode};
use crate::report::run::{DatasetRead, RunReport, Strictness};
use crate::report::{page, status};
use crate::resources::Resources;
use crate::stop::Stop;
use crate::store::{Access, Store};

/// What the process has from outside; read in `main` and nowhere else.
pub struct Surroundings {
    pub clock: fn() -> DateTime<Utc>,
    /// Credentials and settings of object stores.
    pub environment: Vec<(String, String)>,
    pub stderr_is_terminal: bool,
    pub host: String,
    pub process_id: u32,
    /// Tells this process from any other with the same number and time.
    pub nonce: u64,
    /// Of the machine, or what its control group leaves of it.
    pub memory_bytes: u64,
    pub cores: usize,
    pub temporary_folder: PathBuf,
    pub stop: Stop,
    pub runtime: Handle,
}

/// What a command gives back: the text for stdout and the exit code.
pub struct Answer {
    pub stdout: String,
    pub exit_code: ExitCode,
}

/// Runs one command.
pub fn execute(cli: &Cli, surroundings: &Surroundings) -> Result<Answer> {
    match &cli.command {
        Command::Run(args) => run(cli, args, surroundings),
        Command::Backfill(args) => backfill(cli, args, surroundings),
        Command::Plan(args) => plan(cli, args, surroundings),
        Command::Status(args) => show_status(cli, args, surroundings),
        Command::Unlock => unlock(cli, surroundings),
        Command::Vacuum(args) => vacuum(cli, args, surroundings),
        Command::Validate(args) => validate(cli, args, surroundings),
        Command::Generate(args) => generate(cli, args, surroundings),
        Command::Docs(args) => Ok(Answer {
            stdout: docs(args),
            exit_code: ExitCode::Published,
        }),
    }
}

/// The JSON document of a command that ended with an error. That of a run has the form of every
/// report of a run.
pub fn failed(cli: &Cli, error: &anyhow::Error) -> serde_json::Value {
    let exit_code = exit_code::of_error(error);
    let Command::Run(args) = &cli.command else {
        return json!({ "error": exit_code::text_of(error), "exit_code": exit_code as u8 });
    };
    let mut report = RunReport::new(args.day.unwrap_or_default());
    report.fail(error);
    report.retry = matches!(exit_code, ExitCode::StoreFailed | ExitCode::TryLater);
    let mut document = json!(report);
    if args.day.is_none() {
        document["day"] = serde_json::Value::Null;
    }
    document
}

fn run(cli: &Cli, args: &RunArgs, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let day = args
        .day
        .unwrap_or_else(|| yesterday(&job.config, surroundings));
    announce(
        &job,
        cli,
        &format!(
            "run for {day}: {} -> {}",
            job.exports.location, job.results.location
        ),
    );
    let mut report = night::run(&job, day)?;
    job.progress.finish();
    let exit_code = report.close(strictness(&args.strictness));
    announce(&job, cli, &report.summary());
    let lacks = report.absent_exports();
    if args.strictness.strict && !lacks.is_empty() {
        job.progress
            .warn(&format!("{day}: --strict: {}", lacks.join(", ")));
    }
    let stdout = match cli.global.format {
        Format::Json => to_json(&report)?,
        Format::Text => page::written(report.day, &report.tables),
    };
    Ok(Answer { stdout, exit_code })
}

fn backfill(cli: &Cli, args: &BackfillArgs, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let range = Range {
        first: args.from,
        last: args.to,
        latest_first: args.latest_first,
        parallel: args.parallel.into(),
    };
    if args.dry_run {
        return show_plan(cli, &job, &backfill::plan(&job.facts()?, &range)?);
    }
    announce(
        &job,
        cli,
        &format!(
            "backfill {} to {}: {} -> {}",
            args.from, args.to, job.exports.location, job.results.location
        ),
    );
    let mut report = run_backfill(&job, &range)?;
    job.progress.finish();
    let strictness = strictness(&args.strictness);
    for day in &mut report.days {
        day.close(strictness);
    }
    announce(&job, cli, &report.summary(strictness));
    let stdout = match cli.global.format {
        Format::Json => to_json(&report)?,
        // One line a day; a range's tables would fill pages.
        Format::Text => report.days.iter().map(|day| day.summary() + "\n").collect(),
    };
    Ok(Answer {
        stdout,
        exit_code: report.exit_code(strictness),
    })
}

fn plan(cli: &Cli, args: &DaysArgs, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    show_plan(
        cli,
        &job,
        &planned(&job, &job.facts()?, args, surroundings)?,
    )
}

fn show_plan(cli: &Cli, job: &Job, planned: &[PlannedDay]) -> Result<Answer> {
    let writers = Writers::find(&job.results)?;
    let stdout = match cli.global.format {
        Format::Json => {
            to_json(&json!({ "days": planned, "unfinished_commit": writers.unfinished }))?
        }
        Format::Text => page::unfinished(&writers) + &page::plan(planned) + "\n",
    };
    Ok(Answer {
        stdout,
        exit_code: ExitCode::Published,
    })
}

fn show_status(cli: &Cli, args: &DaysArgs, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let (facts, writers) = (job.facts()?, Writers::find(&job.results)?);
    let unfinished = writers
        .unfinished
        .as_ref()
        .and_then(|record| record.commit.as_ref());
    let planned = planned(&job, &facts, args, surroundings)?;
    let days = status::days_status(&facts, &planned, unfinished.map(|commit| commit.day))?;
    let now = (surroundings.clock)();
    let stdout = match cli.global.format {
        Format::Json => to_json(&json!({
            "days": days,
            "holder": writers.holder.as_ref().filter(|holder| holder.released_at.is_none()),
            "holder_is_live": writers.holder.as_ref().is_some_and(|holder| holder.is_live(now)),
            "unfinished_commit": writers.unfinished,
        }))?,
        Format::Text => {
            page::holder(&writers, now) + &page::unfinished(&writers) + &page::status(&days) + "\n"
        }
    };
    Ok(Answer {
        stdout,
        exit_code: ExitCode::Published,
    })
}

fn unlock(cli: &Cli, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let ended = lease::unlock(&job.results, (surroundings.clock)())?;
    let stdout = match (cli.global.format, &ended) {
        (Format::Json, _) => to_json(&json!({ "removed": ended }))?,
        (Format::Text, Some(holder)) => format!("removed the lease of {holder}\n"),
        (Format::Text, None) => "nobody holds the results\n".into(),
    };
    Ok(Answer {
        stdout,
        exit_code: ExitCode::Published,
    })
}

fn vacuum(cli: &Cli, args: &VacuumArgs, surroundings: &Surroundings) -> Result<Answer> {
    let job = open_job(cli, surroundings)?;
    let now = (surroundings.clock)();
    let before = now - Days::new(args.older_than_days.into());
    let mut found = find_superfluous(&job.results, now, before)?;
    if !args.dry_run && !found.is_empty() {
        let writer = job.writer()?;
        // What the writer itself has tidied up already counts as removed; finishing a commit may
        // have superseded more.
        for more in find_superfluous(&job.results, now, before)? {
            if !found.contains(&more) {
                found.push(more);
            }
        }
        for superfluous in &found {
            job.resources.stop.check()?;
            writer.check()?.remove(&superfluous.path)?;
        }
    }
    let stdout = match cli.global.format {
        Format::Json => to_json(&json!({ "dry_run": args.dry_run, "removed": found }))?,
        Format::Text => page::vacuumed(&found, args.dry_run),
    };
    Ok(Answer {
        stdout,
        exit_code: ExitCode::Published,
    })
}

fn planned(
    job: &Job,
    facts: &Facts,
    args: &DaysArgs,
    surroundings: &Surroundings,
) -> Result<Vec<PlannedDay>> {
    let (first, last, is_range) = match (args.from, args.to) {
        (Some(first), Some(last)) => (first, last, true),
        _ => {
            let day = args
                .day
                .unwrap_or_else(|| yesterday(&job.config, surroundings));
            (day - Days::new(job.config.lookback_days.into()), day, false)
        }
    };
    plan_days(facts, days(first, last), &|day| is_range || day == last)
}

fn validate(cli: &Cli, args: &ValidateArgs, surroundings: &Surroundings) -> Result<Answer> {
    let config = load_config(cli)?;
    let store = Store::open(
        &config.exports,
        Access::Read,
        &surroundings.environment,
        surroundings.runtime.clone(),
    )?;
    check_location(&store)?;
    let (first, last) = match (args.days.from, args.days.to) {
        (Some(first), Some(last)) => (first, last),
        _ => {
            let day = args
                .days
                .day
                .unwrap_or_else(|| yesterday(&config, surroundings));
            (day, day)
        }
    };
    let resources = resources(cli, &config, surroundings);
    let mut exit_code = ExitCode::Published;
    let (mut checked, mut text) = (Vec::new(), String::new());
    for day in days(first, last) {
        let found = validate_day(&store, &config, &resources, day, args.strict)?;
        if exit_code != ExitCode::Blocked && found.exit_code != ExitCode::Published {
            exit_code = found.exit_code;
        }
        text += &found.text;
        checked.push(found.json);
    }
    let stdout = match cli.global.format {
        Format::Json => to_json(&json!({ "days": checked }))?,
        Format::Text => text,
    };
    Ok(Answer { stdout, exit_code })
}

/// What checking one day's exports gave.
struct Validated {
    exit_code: ExitCode,
    json: serde_json::Value,
    text: String,
}

fn validate_day(
    store: &Store,
    config: &Config,
    resources: &Resources,
    day: NaiveDate,
    strict: bool,
) -> Result<Validated> {
    let exports = match check_day(store, day, &config.required)? {
        Readiness::Ready(exports) => exports,
        Readiness::NotYet(missing) => {
            let text = format!("{day}: not final yet, waiting for {}\n", missing.join(", "));
            let json = json!({ "day": day, "outcome": "not_final", "missing": missing });
            return Ok(Validated {
                exit_code: ExitCode::TryLater,
                json,
                text,
            });
        }
    };
    let read = read_day(store, &exports, config, resources, &|_| true, &mut Unused)?;
    let blocked = read.blocking(config).next().is_some();
    let absent = exports.not_final();
    let lacks_optional = !absent.is_empty() || !read.defects.is_empty();
    let exit_code = if blocked || (strict && lacks_optional) {
        ExitCode::Blocked
    } else {
        ExitCode::Published
    };
    let datasets: Vec<DatasetRead> = read
        .scoped_accounts()
        .map(|account| DatasetRead {
            day,
            account: account.clone(),
        })
        .collect();
    let mut text = page::datasets(&datasets) + "\n";
    for (dataset, defect) in &read.defects {
        text += &(page::defect(day, dataset, defect, page::Role::Checked) + "\n");
    }
    if !absent.is_empty() {
        text += &format!(
            "{day}: optional exports that are not final: {}\n",
            absent.join(", ")
        );
    }
    text += &format!(
        "{day}: {}\n",
        if blocked {
            "blocked; a run would publish nothing of its own"
        } else {
            "a run can use it"
        }
    );
    let defects: Vec<_> = read
        .defects
        .iter()
        .map(|(dataset, defect)| {
            let issues =
                if let crate::exports::contract::Defect::Contract(issues) = defect { issues.as_slice() } else { &[] };
            json!({ "dataset": dataset.name, "day": day, "reason": defect.reason(), "issues": issues })
        })
        .collect();
    let outcome = if blocked { "blocked" } else { "valid" };
    let json = json!({ "day": day, "outcome": outcome, "datasets": datasets, "defects": defects, "not_final": absent });
    Ok(Validated {
        exit_code,
        json,
        text,
    })
}

fn generate(cli: &Cli, args: &GenerateArgs, surroundings: &Surroundings) -> Result<Answer> {
    let progress = Progress::new(display(cli, surroundings));
    let world = crate::generate::World {
        shops: args.shops,
        days: args.days,
        rows_per_day: args.rows_per_day,
        seed: args.seed,
        first_day: args.first_day,
        time_zone: args.time_zone,
        awkward: args.awkward,
    };
    progress.start(args.days.into());
    crate::generate::generate(&world, &args.out, &mut |day| {
        progress.stage(day, "generate", "written");
        progress.day_done();
    })
    .map_err(
        |error| match error.chain().any(|cause| cause.is::<std::io::Error>()) {
            true => messages::cannot_generate(format!("{error:#}")).into(),
            false => error,
        },
    )?;
    progress.finish();
    let last_day = args.first_day + Days::new(u64::from(args.days) - 1);
    let stdout = match cli.global.format {
        Format::Json => {
            to_json(&json!({ "out": args.out, "first_day": args.first_day, "last_day": last_day }))?
        }
        Format::Text => format!("{} days of exports in {}\n", args.days, args.out.display()),
    };
    Ok(Answer {
        stdout,
        exit_code: ExitCode::Published,
    })
}

fn docs(args: &DocsArgs) -> String {
    match args.page {
        DocsPage::Tables => markdown::page(),
        DocsPage::Messages => messages::page(),
    }
}

fn open_job(cli: &Cli, surroundings: &Surroundings) -> Result<Job> {
    let config = load_config(cli)?;
    let open = |location: &str, access| {
        Store::open(
            location,
            access,
            &surroundings.environment,
            surroundings.runtime.clone(),
        )
    };
    let exports = open(&config.exports, Access::Read)?;
    let results = open(&config.results, cli.command.access())?;
    let Surroundings {
        process_id, nonce, ..
    } = surroundings;
    let started_at = (surroundings.clock)().format("%Y%m%dT%H%M%S%.6fZ");
    let owner = Owner {
        run_id: format!("{started_at}-{process_id}-{:04x}", nonce & 0xffff),
        host: surroundings.host.clone(),
        pid: *process_id,
        lease_seconds: config.lease_seconds,
    };
    let resources = resources(cli, &config, surroundings);
    Ok(Job {
        resources,
        config,
        exports,
        results,
        progress: Progress::new(display(cli, surroundings)),
        owner,
        clock: surroundings.clock,
    })
}

/// What is asked for, or what there is: all cores, half of the memory, the system's folder for
/// temporary files.
fn resources(cli: &Cli, config: &Config, surroundings: &Surroundings) -> Resources {
    let memory_bytes = cli
        .global
        .memory_limit
        .or(config.memory_limit_bytes)
        .unwrap_or(surroundings.memory_bytes / 2);
    Resources {
        threads: cli.global.threads.map_or(surroundings.cores, usize::from),
        memory_bytes,
        spill_folder: config
            .spill_folder
            .clone()
            .unwrap_or_else(|| surroundings.temporary_folder.clone()),
        spilled_bytes: Arc::default(),
        stop: surroundings.stop.clone(),
    }
}

fn load_config(cli: &Cli) -> Result<Config> {
    let file = &cli.global.config;
    let text =
        std::fs::read_to_string(file).map_err(|e| messages::no_job_file(file.display(), e))?;
    let config =
        Config::parse(&text).with_context(|| format!("in the job file {}", file.display()))?;
    config.with_locations(cli.global.exports.clone(), cli.global.results.clone())
}

fn yesterday(config: &Config, surroundings: &Surroundings) -> NaiveDate {
    (surroundings.clock)()
        .with_timezone(&config.time_zone)
        .date_naive()
        - Days::new(1)
}

fn display(cli: &Cli, surroundings: &Surroundings) -> Display {
    match (cli.global.quiet, cli.global.log_format) {
        (_, Format::Json) => Display::Logs,
        (true, Format::Text) => Display::Quiet,
        (false, Format::Text) if surroundings.stderr_is_terminal => Display::Bar,
        (false, Format::Text) => Display::Lines,
    }
}

/// The first and the last line on stderr.
fn announce(job: &Job, cli: &Cli, line: &str) {
    tracing::info!("{line}");
    if !cli.global.quiet && cli.global.log_format == Format::Text {
        job.progress.line(line);
    }
}

fn strictness(args: &StrictnessArgs) -> Strictness {
    Strictness {
        strict: args.strict,
        accept_fallback: args.accept_fallback,
    }
}

fn to_json(document: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}
