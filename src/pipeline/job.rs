//! A command's configuration, stores, lease and engine.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

use super::engine::{Engine, LocalEngine, Reading, RolledUp, read_unchanged};
use crate::catalog::commit_log::{Owner, find_unfinished, read_head};
use crate::catalog::manifest::Manifest;
use crate::config::{ChosenEngine, Config};
use crate::plan::{Facts, ReadyDay};
use crate::progress::Progress;
use crate::publish::writer::Writer;
use crate::resources::Resources;
use crate::store::Store;
use crate::threads::Repeating;

/// The pause between two lines of progress while a stage takes long.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// One command's configuration, stores and share of the machine.
pub struct Job {
    pub config: Config,
    pub exports: Store,
    pub results: Store,
    pub progress: Progress,
    /// This process, as a writer.
    pub owner: Owner,
    pub clock: fn() -> DateTime<Utc>,
    pub resources: Resources,
    /// The key that the receiver of lineage wants.
    pub lineage_key: Option<String>,
}

impl Job {
    /// The facts that are known before any row is read.
    pub fn facts(&self) -> Result<Facts<'_>> {
        let now = (self.clock)();
        Facts::load(&self.exports, &self.results, &self.config, now)
    }

    /// Tells on stderr how far the command is, until this is dropped.
    pub(crate) fn heartbeat(&self) -> Option<Repeating> {
        self.progress
            .heartbeat(self.resources.counts.clone(), HEARTBEAT)
    }

    /// The last line of a command, with the time that it took.
    pub(crate) fn told_with_time(&self, line: &str) -> String {
        format!("{line} ({})", self.progress.took())
    }

    /// The engine that computes daily tables.
    fn engine(&self) -> Result<Box<dyn Engine + '_>> {
        let (exports, config) = (&self.exports, &self.config);
        match &config.engine {
            ChosenEngine::Local => Ok(Box::new(LocalEngine { exports, config })),
            #[cfg(feature = "spark")]
            ChosenEngine::Spark { remote } => Ok(Box::new(super::spark::SparkEngine {
                exports,
                config,
                remote,
            })),
            #[cfg(not(feature = "spark"))]
            ChosenEngine::Spark { .. } => Err(crate::messages::no_spark_here().into()),
        }
    }

    /// Rolls up a day, unless its exports change meanwhile.
    pub(super) fn roll_up(
        &self,
        ready: &ReadyDay,
        resources: &Resources,
    ) -> Result<Reading<RolledUp>> {
        let begun = Instant::now();
        read_unchanged(
            &self.exports,
            &self.config.mapping,
            &ready.exports,
            resources,
            || {
                let rolled_up = self.engine()?.roll_up(&ready.exports, resources)?;
                Ok(RolledUp {
                    took: begun.elapsed(),
                    ..rolled_up
                })
            },
        )
    }

    /// Takes the lease, and finishes the commit of an interrupted run.
    pub fn writer(&self) -> Result<Writer> {
        let tell = |line: &str| self.progress.warn(line);
        let (owner, config) = (&self.owner, &self.config);
        Writer::open(
            &self.results,
            owner,
            config.single_writer,
            self.clock,
            &tell,
        )
    }

    /// Takes the lease if the run has work, or if a commit was interrupted. Otherwise nothing is
    /// written, and there is no writer.
    pub(super) fn open_writer(
        &self,
        facts: &Facts,
        has_work: bool,
    ) -> Result<Option<RefCell<Writer>>> {
        if !has_work
            && find_unfinished(&self.results, read_head(&self.results)?.as_ref())?.is_none()
        {
            return Ok(None);
        }
        let writer = self.writer()?;
        // Another run may have published since.
        facts.state.renew()?;
        Ok(Some(RefCell::new(writer)))
    }

    pub(super) fn now(&self) -> String {
        (self.clock)().to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// The next manifest of a day: a copy of its newest one, under the id and time of this run.
    pub(super) fn next_manifest(&self, day: NaiveDate, newest: Option<&Manifest>) -> Manifest {
        Manifest {
            run_id: self.owner.run_id.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            day,
            started_at: self.now(),
            stages: vec![],
            time_zone: self.config.time_zone.name().into(),
            currency: self.config.currency.clone(),
            ..newest.cloned().unwrap_or_default()
        }
    }
}
