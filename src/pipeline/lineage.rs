//! The OpenLineage events of a walk: each day that it works on is a run with a start and an end.
//!
//! A day without work sends none. So a night of the lookback is not a page of empty runs, and the exports of
//! an event are those that its tables were computed from.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::job::Job;
use crate::bug;
use crate::config::{ChosenEngine, LineageReceiver};
use crate::days::calendar::CivilDay;
use crate::days::readiness::DayExports;
use crate::failure::{Failure, FailureKind};
use crate::lineage_events::{Client, DayRun, Places, State, Work, Wrote};
use crate::report::run::{DatasetRead, RunReport};

/// Sends the events of a walk; nothing where the job file names no receiver.
pub(super) struct Lineage<'a> {
    job: &'a Job,
    to: Option<(&'a LineageReceiver, Client)>,
    /// The days in progress: the one of the walk, and the day before that may stand in for it.
    begun: BTreeMap<NaiveDate, Begun>,
    /// The number of days that were begun so far.
    runs: u32,
}

/// A day in progress.
struct Begun {
    run: DayRun,
    /// `None`: only published tables are read.
    exports: Option<DayExports>,
    /// Why nothing of the day can be published.
    refused: Option<String>,
}

impl<'a> Lineage<'a> {
    pub(super) fn new(job: &'a Job) -> Lineage<'a> {
        let receiver = job.config.lineage.as_ref();
        let start = |receiver| {
            (
                receiver,
                Client::start(receiver, job.lineage_key.as_deref()),
            )
        };
        Lineage {
            job,
            to: receiver.map(start),
            begun: BTreeMap::new(),
            runs: 0,
        }
    }

    /// Tells that work on a day begins, unless it has begun.
    pub(super) fn begin(&mut self, day: NaiveDate, exports: Option<&DayExports>) {
        self.begin_work(Work::ReportDay, day, exports);
    }

    /// Tells that benchmarks of the day before will stand in for a day. Where the day has begun, its own work
    /// ends here, without the tables that stand in.
    pub(super) fn stand_in(&mut self, day: NaiveDate, report: &RunReport) {
        self.end_day(day, report);
        self.begin_work(Work::StandIn, day, None);
    }

    fn begin_work(&mut self, work: Work, day: NaiveDate, exports: Option<&DayExports>) {
        let (Some(to), false) = (&self.to, self.begun.contains_key(&day)) else {
            return;
        };
        let (job, at) = (self.job, (self.job.clock)());
        self.runs += 1;
        let civil = CivilDay::new(day, job.config.time_zone);
        let begun = Begun {
            run: DayRun::new(&job.owner.run_id, work, civil, self.runs, at),
            exports: exports.cloned(),
            refused: None,
        };
        send(job, to, at, (day, &begun), &State::Start, None);
        self.begun.insert(day, begun);
    }

    /// Notes why nothing of a day can be published.
    pub(super) fn refuse(&mut self, day: NaiveDate, why: String) {
        if let Some(begun) = self.begun.get_mut(&day) {
            begun.refused = Some(why);
        }
    }

    /// Tells the end of the days in progress.
    pub(super) fn end(&mut self, report: &RunReport) {
        for day in self.begun.keys().copied().collect::<Vec<_>>() {
            self.end_day(day, report);
        }
    }

    fn end_day(&mut self, day: NaiveDate, report: &RunReport) {
        let refused = self.begun.get(&day).and_then(|begun| begun.refused.clone());
        let state = refused.map_or(State::Complete, State::Fail);
        self.close(day, &state, report);
    }

    /// Tells that a day failed.
    pub(super) fn fail(&mut self, day: NaiveDate, error: &anyhow::Error, report: &RunReport) {
        self.begin(day, None);
        self.close(day, &State::Fail(bug::text_of(error)), report);
    }

    /// Tells the end of a walk that an error ended, and waits for the receiver, for a bounded time. Some
    /// text: a warning.
    pub(super) fn finish(
        &mut self,
        error: Option<&anyhow::Error>,
        report: &RunReport,
    ) -> Option<String> {
        if let Some(error) = error {
            let text = bug::text_of(error);
            let state = match Failure::kind_of(error) {
                Some(FailureKind::Interrupted | FailureKind::Terminated) => State::Abort(text),
                _ => State::Fail(text),
            };
            for day in self.begun.keys().copied().collect::<Vec<_>>() {
                self.close(day, &state, report);
            }
        }
        self.end(report);
        self.to.take().and_then(|(_, client)| client.finish())
    }

    fn close(&mut self, day: NaiveDate, state: &State, report: &RunReport) {
        if let (Some(to), Some(begun)) = (&self.to, self.begun.remove(&day)) {
            let at = (self.job.clock)();
            send(self.job, to, at, (day, &begun), state, Some(report));
        }
    }
}

fn send(
    job: &Job,
    (receiver, client): &(&LineageReceiver, Client),
    at: DateTime<Utc>,
    (day, begun): (NaiveDate, &Begun),
    state: &State,
    report: Option<&RunReport>,
) {
    let engine = match &job.config.engine {
        ChosenEngine::Local => "local",
        ChosenEngine::Spark { .. } => "spark",
    };
    let datasets = datasets(job, day, begun, report);
    let event = begun
        .run
        .event(&receiver.namespace, engine, at, state, datasets);
    client.send(event);
}

/// The inputs and outputs of a day so far; `report`: `None` at its start.
fn datasets(
    job: &Job,
    day: NaiveDate,
    begun: &Begun,
    report: Option<&RunReport>,
) -> (Vec<Value>, Vec<Value>) {
    let places = Places {
        day,
        exports: job.exports.address(),
        results: job.results.address(),
        mapping: &job.config.mapping,
    };
    let (mut read, mut wrote) = (vec![], vec![]);
    if let Some(report) = report {
        let is_of_day = |read: &&DatasetRead| read.day == day;
        read.extend(report.datasets.iter().filter(is_of_day));
        let of_day = report.tables.iter().filter(|table| table.day == day);
        wrote.extend(of_day.map(Wrote));
    }
    let inputs = begun.exports.as_ref();
    let inputs = inputs.map(|exports| places.inputs(exports, &read));
    let mut inputs = inputs.unwrap_or_default();
    inputs.extend(places.tables_read(&wrote));
    let outputs = wrote.iter().map(|wrote| places.output(wrote));
    (inputs, outputs.collect())
}
