//! Warnings about days before the lookback, which no nightly run reaches.

use anyhow::Result;
use chrono::NaiveDate;

use super::announce::announce;
use super::walk::{Role, Step};
use crate::catalog::layout::day_of;
use crate::days::calendar::six_months_before;
use crate::plan::{Action, Facts, PlannedDay};
use crate::report::status::OlderDays;

/// The days of each kind, oldest first.
#[derive(Default)]
struct OutOfReach {
    /// Final and not published.
    unpublished: Vec<NaiveDate>,
    /// Known as blocked.
    blocked: Vec<NaiveDate>,
    /// Published, but stale or lost.
    stale: Vec<NaiveDate>,
    /// The reason of the oldest stale day.
    why_stale: Option<String>,
    /// Cannot be read.
    failed: Vec<NaiveDate>,
    /// The reason of the oldest failed day.
    why_failed: Option<String>,
}

/// Checks the days from six months before `day` until the day before `first`. Gives those that need
/// something.
pub(crate) fn days_out_of_reach(
    facts: &Facts,
    day: NaiveDate,
    first: NaiveDate,
) -> Result<Vec<OlderDays>> {
    let mut found = facts.state.days();
    if let Some(dataset) = facts.config.required.first() {
        let folders = facts.exports.list_folders(dataset)?;
        found.extend(folders.iter().filter_map(|folder| day_of(folder)));
    }
    // A day that is left out was already reported as failed.
    found.retain(|found| {
        *found >= six_months_before(day) && *found < first && !facts.state.is_left_out(*found)
    });
    found.sort_unstable();
    found.dedup();
    facts.look_ahead(found.iter().copied());
    let mut out_of_reach = OutOfReach::default();
    for day in found {
        // Each day is checked by itself, because a stale day would announce every later day as
        // stale.
        let step = Step {
            day,
            role: Role::CatchUp,
        };
        for planned in announce(facts, &[step])?.iter().filter(|p| p.day == day) {
            out_of_reach.add(facts, planned)?;
        }
    }
    Ok(out_of_reach.kinds())
}

impl OutOfReach {
    fn add(&mut self, facts: &Facts, planned: &PlannedDay) -> Result<()> {
        let PlannedDay { day, why, .. } = planned;
        if planned.action == Action::Fail {
            self.failed.push(*day);
            self.why_failed.get_or_insert_with(|| why.clone());
            return Ok(());
        }
        let manifest = facts.manifest(*day)?;
        let is_published = manifest.as_ref().is_some_and(|m| m.has_rollups());
        let why_stale = match planned.action {
            Action::Blocked => {
                self.blocked.push(*day);
                None
            }
            Action::Compute if !is_published => {
                self.unpublished.push(*day);
                None
            }
            Action::Compute | Action::Refresh => Some(why.clone()),
            Action::Wait | Action::Fallback => manifest
                .map(|m| m.lost.join(", "))
                .filter(|lost| !lost.is_empty())
                .map(|lost| format!("files are gone: {lost}")),
            Action::Nothing | Action::Fail => None,
        };
        if let Some(why) = why_stale {
            self.stale.push(*day);
            self.why_stale.get_or_insert(why);
        }
        Ok(())
    }

    /// The days of each kind, with the next command.
    fn kinds(self) -> Vec<OlderDays> {
        let why_stale = self.why_stale.unwrap_or_default();
        let why_failed = self.why_failed.unwrap_or_default();
        let kinds = [
            (
                self.unpublished,
                "final and not published".into(),
                "backfill",
            ),
            (
                self.stale,
                format!("published and stale or lost ({why_stale})"),
                "backfill",
            ),
            (self.blocked, "blocked".into(), "status"),
            (
                self.failed,
                format!("not readable ({why_failed})"),
                "status",
            ),
        ];
        let kinds = kinds.into_iter().filter(|(days, ..)| !days.is_empty());
        kinds
            .map(|(days, state, command)| OlderDays {
                days,
                state,
                command,
            })
            .collect()
    }
}

/// A warning about some days, with the next command.
pub(super) fn warning(days: &OlderDays) -> String {
    let does = match days.command {
        "backfill" => "run",
        _ => "see",
    };
    format!("{}; {does}: {}", days.told(), days.next())
}
