//! Checks of the machine and the stores before a night: each by itself, with a remedy.
//!
//! | file | holds |
//! | --- | --- |
//! | `given` | the job and the process that are examined |
//! | `finding` | the names of the checks, their outcomes, the document |
//! | `zone` | the rules of time zones |
//! | `exports` | exports: reachable, listed |
//! | `results` | results: reachable, written; conditional writes, renames, room |
//! | `clock` | our clock beside that of the results' store |
//! | `machine` | memory, spill folder, open files |
//! | `identity` | the account behind requests to a store |
//! | `disk` | the file system of a folder |
//! | `page` | the text |
//!
//! Functions named `judge` take measured values and decide; the others measure.

mod clock;
mod disk;
mod exports;
mod finding;
mod given;
mod identity;
mod machine;
mod page;
mod results;
mod zone;

use std::path::Path;

use anyhow::Result;
use chrono::DateTime;

use crate::config::{ChosenEngine, Config};
use finding::{Check, Finding};

pub(crate) use finding::Examination;
pub(crate) use given::{Machine, Setup};
pub(crate) use page::page;

/// Makes every check. Nothing is written but probe objects, which are removed at once; no lease is
/// taken.
///
/// # Errors
/// `Interrupted` and `Terminated` after a signal.
pub(crate) fn examine(
    job_file: &Path,
    setup: &Result<Setup>,
    machine: &Machine,
) -> Result<Examination> {
    let setup = match setup {
        Ok(setup) => setup,
        Err(error) => return Ok(Examination::of(without_a_job(error))),
    };
    let config = &setup.config;
    let mut findings = vec![
        job_file_is_right(job_file, config),
        zone::check(Some(config.time_zone), (machine.clock)()),
    ];
    machine.stop.check()?;
    let (exports, streamed_bytes) = exports::check(config, machine);
    findings.push(exports);
    machine.stop.check()?;
    findings.extend(results::check(config, machine));
    machine.stop.check()?;
    findings.extend(machine::check(setup, machine, streamed_bytes));
    findings.sort_by_key(|it| it.check as u8);
    Ok(Examination::of(findings))
}

/// Without a job file, only checks that need nothing of it are made.
fn without_a_job(error: &anyhow::Error) -> Vec<Finding> {
    let finding = |check: &Check| match check {
        Check::JobFile => check.failed(error),
        Check::ZoneData => zone::check(None, DateTime::UNIX_EPOCH),
        check => check.not_checked("the job file is wrong"),
    };
    Check::ALL.iter().map(finding).collect()
}

fn job_file_is_right(job_file: &Path, config: &Config) -> Finding {
    let engine = match &config.engine {
        ChosenEngine::Local => "engine local".to_owned(),
        ChosenEngine::Spark { remote } => format!("engine spark at {remote}, which is not asked"),
    };
    Check::JobFile.ok(format!("{}, {engine}", job_file.display()))
}
