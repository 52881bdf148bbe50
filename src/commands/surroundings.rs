//! The outside world (clock, environment, machine), and the job that a command opens from it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use chrono::{DateTime, Days, NaiveDate, Utc};
use tokio::runtime::Handle;

use crate::catalog::commit_log::Owner;
use crate::cli::{Cli, Format};
use crate::config::Config;
use crate::environment;
use crate::failure::{Failure, FailureKind};
use crate::messages;
use crate::pipeline::job::Job;
use crate::progress::{Display, Progress};
use crate::resources::Resources;
use crate::stop::Stop;
use crate::store::{Access, Store};

/// The inputs of the process other than its arguments. Only `main` reads them.
pub struct Surroundings {
    pub clock: fn() -> DateTime<Utc>,
    /// Credentials and settings of object stores.
    pub environment: Vec<(String, String)>,
    pub stderr_is_terminal: bool,
    pub host: String,
    pub process_id: u32,
    /// Distinguishes this process from another one with the same id and start time.
    pub nonce: u64,
    /// The least of the memory of the machine and the limits of its control groups.
    pub memory_bytes: u64,
    /// The memory of the machine.
    pub machine_memory_bytes: u64,
    pub cores: usize,
    pub temporary_folder: PathBuf,
    pub stop: Stop,
    pub runtime: Handle,
}

pub(super) fn open_job(cli: &Cli, surroundings: &Surroundings) -> Result<Job> {
    let config = load_config(cli, surroundings)?;
    let exports = open_exports(&config, surroundings)?;
    let results = results_of(&config, cli, surroundings)?;
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
        lineage_key: environment::lineage_key(&surroundings.environment),
    })
}

/// The job file and the results, for a command that reads no exports.
pub(super) fn open_results(cli: &Cli, surroundings: &Surroundings) -> Result<(Config, Store)> {
    let config = load_config(cli, surroundings)?;
    let results = results_of(&config, cli, surroundings)?;
    Ok((config, results))
}

/// The results of a job, with the access that the command needs.
pub(super) fn results_of(config: &Config, cli: &Cli, surroundings: &Surroundings) -> Result<Store> {
    let access = cli.command.access();
    open_store(config, Location::Results, access, surroundings)
}

pub(super) fn open_exports(config: &Config, surroundings: &Surroundings) -> Result<Store> {
    open_store(config, Location::Exports, Access::Read, surroundings)
}

/// The two locations of a job.
enum Location {
    Exports,
    Results,
}

/// A location that is wrong is told with its place in the job file.
fn open_store(
    config: &Config,
    location: Location,
    access: Access,
    surroundings: &Surroundings,
) -> Result<Store> {
    let (location, at) = match location {
        Location::Exports => (&config.exports, &config.exports_at),
        Location::Results => (&config.results, &config.results_at),
    };
    let (environment, runtime) = (&surroundings.environment, surroundings.runtime.clone());
    let store = Store::open(location, access, environment, runtime);
    let store = store.map_err(|error| match error.downcast::<Failure>() {
        Ok(failure) if failure.kind == FailureKind::ConfigWrong => failure.at(at).into(),
        Ok(failure) => failure.into(),
        Err(error) => error,
    })?;
    Ok(store.with_concurrency(config.store_concurrency))
}

/// The resources that the arguments or the job file ask for. Defaults: all cores, half of the
/// memory, the system's folder for temporary files.
pub(super) fn resources(cli: &Cli, config: &Config, surroundings: &Surroundings) -> Resources {
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
        counts: Arc::default(),
        stop: surroundings.stop.clone(),
    }
}

/// The job file with the values that the environment and the flags give in its place.
pub(super) fn load_config(cli: &Cli, surroundings: &Surroundings) -> Result<Config> {
    let file = &cli.global.config;
    let text =
        std::fs::read_to_string(file).map_err(|e| messages::no_job_file(file.display(), e))?;
    let name = file.display().to_string();
    let config = Config::read(&name, &text, &surroundings.environment, &cli.global.given())?;
    Ok(config.with_accepted_checks(cli.command.accepts_checks()))
}

pub(super) fn yesterday(config: &Config, surroundings: &Surroundings) -> NaiveDate {
    (surroundings.clock)()
        .with_timezone(&config.time_zone)
        .date_naive()
        - Days::new(1)
}

pub(super) fn display(cli: &Cli, surroundings: &Surroundings) -> Display {
    match (cli.global.quiet, cli.global.log_format) {
        (_, Format::Json) => Display::Logs,
        (true, Format::Text) => Display::Quiet,
        (false, Format::Text) if surroundings.stderr_is_terminal => Display::Bar,
        (false, Format::Text) => Display::Lines,
    }
}
