//! The state of days: final, published, stale, missing or blocked.

use anyhow::Result;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use super::run::CheckCounts;
use crate::catalog::history::History;
use crate::catalog::manifest::Skipped;
use crate::days::readiness::{Readiness, listed};
use crate::plan::{Action, Facts, PlannedDay};

/// One day, as `status` shows it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct DayStatus {
    pub day: NaiveDate,
    /// Whether its state could be read.
    pub is_readable: bool,
    /// Whether all required exports are final.
    pub is_final: bool,
    /// Required exports that are not final.
    pub missing: Vec<String>,
    /// The same for people, with when an export will be final.
    #[serde(skip)]
    pub waits_for: String,
    /// Whether the day's own tables are published.
    pub is_published: bool,
    /// The number of published tables with this `dt`.
    pub tables: usize,
    /// Whether a published table would be computed again.
    pub is_stale: bool,
    /// Whether the present exports break their contract or budget.
    pub is_blocked: bool,
    /// Whether a commit of the day is not in place yet.
    pub is_unfinished: bool,
    pub benchmark_day: Option<NaiveDate>,
    /// Tables whose published files are gone or cut short.
    pub lost: Vec<String>,
    /// Tables and columns that lack an optional export.
    pub skipped: Vec<Skipped>,
    /// The commits that replaced or removed tables of the day that are not benchmarks, as far as
    /// they are kept; oldest first.
    pub restated_by: Vec<u64>,
    /// The checks of the rollups that were computed last; `None`: none were made.
    pub checks: Option<CheckCounts>,
    /// The last run that wrote the day.
    pub run_id: Option<String>,
    /// The state in words.
    pub state: String,
}

/// Days before the lookback that need the same: no nightly run reaches them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OlderDays {
    /// Oldest first; never empty.
    pub days: Vec<NaiveDate>,
    pub state: String,
    /// The name of the next command.
    pub command: &'static str,
}

impl OlderDays {
    pub(crate) fn first(&self) -> NaiveDate {
        self.days.first().copied().unwrap_or_default()
    }

    pub(crate) fn last(&self) -> NaiveDate {
        self.days.last().copied().unwrap_or_default()
    }

    /// `before the lookback, 2 days from 2026-03-01 to 2026-03-02 are blocked`
    pub(crate) fn told(&self) -> String {
        let (first, last) = (self.first(), self.last());
        let days_are = match self.days.len() {
            1 => format!("{first} is"),
            count => format!("{count} days from {first} to {last} are"),
        };
        format!("before the lookback, {days_are} {}", self.state)
    }

    /// The next command, for these days.
    pub(crate) fn next(&self) -> String {
        let (command, first, last) = (self.command, self.first(), self.last());
        format!("campaign-etl {command} --from {first} --to {last}")
    }
}

/// The states of the days of a plan. `unfinished_day` is the day of a commit whose files are not
/// all in place.
pub(crate) fn days_status(
    facts: &Facts,
    history: &History,
    planned: &[PlannedDay],
    unfinished_day: Option<NaiveDate>,
) -> Result<Vec<DayStatus>> {
    planned
        .iter()
        .map(|planned| {
            let status = day_status(facts, planned, unfinished_day == Some(planned.day))?;
            Ok(DayStatus {
                restated_by: history.restated_by(planned.day),
                ..status
            })
        })
        .collect()
}

/// A day that cannot be read. Only the reason is known.
fn failed(planned: &PlannedDay) -> DayStatus {
    DayStatus {
        day: planned.day,
        is_readable: false,
        is_final: false,
        missing: vec![],
        waits_for: String::new(),
        is_published: false,
        tables: 0,
        is_stale: false,
        is_blocked: false,
        is_unfinished: false,
        benchmark_day: None,
        lost: vec![],
        skipped: vec![],
        restated_by: vec![],
        checks: None,
        run_id: None,
        state: format!("cannot be read: {}", planned.why),
    }
}

fn day_status(facts: &Facts, planned: &PlannedDay, is_unfinished: bool) -> Result<DayStatus> {
    if planned.action == Action::Fail {
        return Ok(failed(planned));
    }
    let day = planned.day;
    let missing = match facts.readiness(day)? {
        Readiness::Ready(_) => vec![],
        Readiness::NotYet(missing) => missing,
    };
    let manifest = facts.manifest(day)?;
    let manifest = manifest.as_deref();
    let is_published = manifest.is_some_and(|m| m.has_rollups());
    let benchmark = manifest.and_then(|m| m.benchmark.as_ref());
    // A day with published tables is stale when tables of it would be computed.
    let is_stale = manifest.is_some_and(|m| !m.tables.is_empty()) && !planned.tables.is_empty();
    let lost = manifest.map(|m| m.lost.clone()).unwrap_or_default();
    let state = match (planned.action, is_published) {
        _ if is_unfinished => "being published: its files are not all in place yet".into(),
        (Action::Wait | Action::Fallback | Action::Blocked, _) if !lost.is_empty() => {
            format!(
                "files are gone or cut short, and cannot be computed again now: {}",
                lost.join(", ")
            )
        }
        (Action::Blocked, _) => format!("blocked: {}", planned.why),
        (Action::Wait | Action::Fallback, true) => {
            "published; its exports are not final any more".into()
        }
        (Action::Fallback, false) if is_stale => {
            "waiting; the benchmarks that stand in are stale".into()
        }
        (Action::Wait | Action::Fallback, false) => "waiting".into(),
        (Action::Compute, false) => match benchmark {
            Some(stand_in) => format!(
                "final, not published: only benchmarks of {} stand in",
                stand_in.benchmark_day
            ),
            None => "not published".into(),
        },
        (Action::Compute | Action::Refresh, _) => format!("stale: {}", planned.why),
        (Action::Fail, _) => planned.why.clone(),
        (Action::Nothing, _) => {
            match manifest.and_then(|m| m.skipped.iter().find(|s| s.sum.is_some())) {
                Some(skipped) => format!("{} is not written: {}", skipped.table, skipped.reason),
                None => "up to date".into(),
            }
        }
    };
    Ok(DayStatus {
        day,
        is_readable: true,
        is_final: missing.is_empty(),
        missing: missing.iter().map(|it| it.dataset.to_owned()).collect(),
        waits_for: listed(&missing),
        is_published,
        tables: manifest.map_or(0, |m| m.tables.len()),
        is_stale,
        is_blocked: planned.action == Action::Blocked,
        is_unfinished,
        benchmark_day: benchmark.map(|b| b.benchmark_day),
        lost,
        skipped: manifest.map(|m| m.skipped.clone()).unwrap_or_default(),
        restated_by: vec![],
        checks: manifest
            .and_then(|m| m.checks.as_ref())
            .map(CheckCounts::new),
        run_id: manifest.map(|m| m.run_id.clone()),
        state,
    })
}
