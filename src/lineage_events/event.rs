//! One event of OpenLineage: the state of a run that works on a day.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Builder;

use super::{PRODUCER, facet};
use crate::days::calendar::CivilDay;

/// A job of OpenLineage. A run of it works on one report day.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// Computes the day from its exports.
    ReportDay,
    /// Publishes benchmarks of the day before, while the day cannot be computed.
    StandIn,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Work::ReportDay => "report_day",
            Work::StandIn => "benchmarks_that_stand_in",
        }
    }
}

const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

/// The work of a run on one day: a run of OpenLineage.
#[derive(Clone, Debug)]
pub(crate) struct DayRun {
    id: String,
    work: Work,
    civil: CivilDay,
}

/// The state that an event tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Start,
    Complete,
    /// Nothing of the day is published, for this reason.
    Fail(String),
    /// A signal ended the run.
    Abort(String),
}

impl DayRun {
    /// `number` tells several visits of one command to a day apart.
    pub(crate) fn new(
        run_id: &str,
        work: Work,
        civil: CivilDay,
        number: u32,
        at: DateTime<Utc>,
    ) -> DayRun {
        DayRun {
            id: uuid(run_id, civil.day, number, at),
            work,
            civil,
        }
    }

    /// An event. `engine`: the one that computes the rollups.
    pub(crate) fn event(
        &self,
        namespace: &str,
        engine: &str,
        at: DateTime<Utc>,
        state: &State,
        (inputs, outputs): (Vec<Value>, Vec<Value>),
    ) -> Value {
        let (word, error) = match state {
            State::Start => ("START", None),
            State::Complete => ("COMPLETE", None),
            State::Fail(why) => ("FAIL", Some(why)),
            State::Abort(why) => ("ABORT", Some(why)),
        };
        let instant = |us| DateTime::from_timestamp_micros(us).map(|at: DateTime<Utc>| rfc3339(at));
        let nominal = json!({
            "nominalStartTime": instant(self.civil.start_us),
            "nominalEndTime": instant(self.civil.end_us),
        });
        let name = format!("campaign-etl ({engine})");
        let engine = json!({ "name": name, "version": env!("CARGO_PKG_VERSION") });
        let mut run = json!({
            "nominalTime": facet("1-0-1/NominalTimeRunFacet", nominal),
            "processing_engine": facet("1-1-1/ProcessingEngineRunFacet", engine),
        });
        if let Some(message) = error {
            let error = json!({ "message": message, "programmingLanguage": "Rust" });
            run["errorMessage"] = facet("1-0-1/ErrorMessageRunFacet", error);
        }
        let kind = json!({
            "processingType": "BATCH",
            "integration": "CAMPAIGN_ETL",
            "jobType": "JOB",
        });
        json!({
            "eventType": word,
            "eventTime": rfc3339(at),
            "producer": PRODUCER,
            "schemaURL": SCHEMA,
            "run": { "runId": self.id, "facets": run },
            "job": {
                "namespace": namespace,
                "name": self.work.name(),
                "facets": { "jobType": facet("2-0-4/JobTypeJobFacet", kind) },
            },
            "inputs": inputs,
            "outputs": outputs,
        })
    }
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// UUID version 7, as OpenLineage recommends: the time of the start, and a hash of the run's id and the
/// day instead of random bits.
fn uuid(run_id: &str, day: NaiveDate, number: u32, at: DateTime<Utc>) -> String {
    let hash = Sha256::digest(format!("{run_id} {day} {number}"));
    let mut bits = [0; 10];
    bits.copy_from_slice(&hash[..10]);
    let milliseconds = at.timestamp_millis().max(0) as u64;
    let uuid = Builder::from_unix_timestamp_millis(milliseconds, &bits).into_uuid();
    uuid.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> DateTime<Utc> {
        "2026-03-15T09:00:00.250Z".parse().unwrap()
    }

    fn run(run_id: &str, day: u32, number: u32) -> DayRun {
        let day = crate::testing::march(day);
        let civil = CivilDay::new(day, chrono_tz::America::Los_Angeles);
        DayRun::new(run_id, Work::ReportDay, civil, number, at())
    }

    #[test]
    fn the_id_is_of_version_7_and_of_the_run_the_day_and_the_visit() {
        let id = run("a", 14, 1).id;
        // 1773565200250 ms = 0x019cf0b9477a.
        assert!(id.starts_with("019cf0b9-477a-7"), "{id}");
        assert_eq!(id, run("a", 14, 1).id);
        for other in [run("b", 14, 1), run("a", 13, 1), run("a", 14, 2)] {
            assert_ne!(id, other.id);
        }
    }

    #[test]
    fn a_failure_is_told_with_its_message_and_the_day_is_the_nominal_time() {
        let run = run("a", 14, 1);
        let state = State::Fail("no".into());
        let event = run.event("shop", "local", at(), &state, (vec![], vec![]));
        assert_eq!(event["eventType"], "FAIL");
        assert_eq!(event["eventTime"], "2026-03-15T09:00:00.250Z");
        assert_eq!(event["job"]["namespace"], "shop");
        let facets = &event["run"]["facets"];
        assert_eq!(facets["errorMessage"]["message"], "no");
        let nominal = &facets["nominalTime"];
        assert_eq!(nominal["nominalStartTime"], "2026-03-14T07:00:00.000Z");
        assert_eq!(nominal["nominalEndTime"], "2026-03-15T07:00:00.000Z");
    }
}
