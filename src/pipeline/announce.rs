//! Hands that announce: the work of the next run, day by day, with reasons.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use chrono::NaiveDate;

use super::day::{DayWork, StaleTable};
use super::tables::{Snapshots, TableHands};
use super::walk::{Hands, Own, Role, RollUp, Step, walk};
use crate::catalog::manifest::BlockedExports;
use crate::contracts::tables::{self, BENCHMARKS, ROLLUPS};
use crate::contracts::{SnapshotId, Table};
use crate::days::readiness::{DayExports, Folder, NotFinal, listed};
use crate::plan::{Action, Facts, PlannedDay, ReadyDay, StandIn};

/// Plans a run for `days`, which are oldest first. `is_report_day` says for which days a new
/// stand-in would be published.
///
/// Reads folders and manifests, never rows. So exports that a run would find blocked are planned as
/// computed. Returns all `days`, and further days with work or a failure; oldest first.
///
/// # Errors
/// Errors that would end a run with all its days.
pub(crate) fn plan_days(
    facts: &Facts,
    days: impl Iterator<Item = NaiveDate>,
    is_report_day: &dyn Fn(NaiveDate) -> bool,
) -> Result<Vec<PlannedDay>> {
    let role = |day| match is_report_day(day) {
        true => Role::ReportDay,
        false => Role::CatchUp,
    };
    let steps: Vec<Step> = days
        .map(|day| Step {
            day,
            role: role(day),
        })
        .collect();
    announce(facts, &steps)
}

/// The plan of some steps.
pub(super) fn announce(facts: &Facts, steps: &[Step]) -> Result<Vec<PlannedDay>> {
    let left_out = facts.state.left_out();
    let mut announcer = Announcer {
        facts,
        planned: BTreeMap::new(),
    };
    let walked = walk(facts, steps, &mut announcer);
    facts.state.withdraw_all();
    facts.state.set_left_out(left_out);
    walked?;
    let asked: BTreeSet<NaiveDate> = steps.iter().map(|step| step.day).collect();
    let planned = announcer.planned.into_values();
    Ok(planned
        .filter(|planned| asked.contains(&planned.day) || planned.has_work())
        .collect())
}

/// Records each decision, and announces each table that would be computed.
struct Announcer<'a> {
    facts: &'a Facts<'a>,
    planned: BTreeMap<NaiveDate, PlannedDay>,
}

impl Announcer<'_> {
    fn note(&mut self, day: NaiveDate, action: Action, why: String) -> &mut PlannedDay {
        let planned = PlannedDay {
            day,
            action,
            why,
            tables: vec![],
            ready: None,
        };
        self.planned.entry(day).insert_entry(planned).into_mut()
    }

    /// Announces a table of a day.
    fn announce(&mut self, day: NaiveDate, table: &'static Table) {
        self.facts.state.announce(table.id, day);
        if let Some(planned) = self.planned.get_mut(&day) {
            planned.tables.push(table.name);
        }
    }

    /// Announces a stale table over the rollups. The first one gives the reason of the refresh.
    fn announce_stale(&mut self, work: &mut DayWork, stale: StaleTable) {
        let StaleTable { table, why, .. } = stale;
        let day = work.exports.day;
        if !self.planned.contains_key(&day) {
            self.note(day, Action::Refresh, why);
        }
        self.announce(day, table);
        work.count_computed();
    }
}

impl<'a> TableHands<'a> for Announcer<'a> {
    fn read_snapshots(&mut self, _work: &mut DayWork<'a>) -> Result<Snapshots> {
        Ok(Snapshots::Read)
    }

    fn window(&mut self, work: &mut DayWork<'a>, stale: StaleTable) -> Result<()> {
        self.announce_stale(work, stale);
        Ok(())
    }

    fn benchmarks(&mut self, work: &mut DayWork<'a>, stale: Vec<StaleTable>) -> Result<()> {
        for stale in stale {
            self.announce_stale(work, stale);
        }
        Ok(())
    }
}

impl<'a> Hands<'a> for Announcer<'a> {
    fn begin(&mut self, step: Step) -> Result<()> {
        self.planned.remove(&step.day);
        Ok(())
    }

    fn attempt(&mut self) -> Result<()> {
        Ok(())
    }

    fn check_after_failure(&mut self) -> Result<()> {
        Ok(())
    }

    fn retract(&mut self, day: NaiveDate) {
        self.planned.remove(&day);
        self.facts.state.withdraw(day);
    }

    fn wait(&mut self, day: NaiveDate, missing: &[NotFinal]) {
        self.note(day, Action::Wait, format!("not final: {}", listed(missing)));
    }

    fn known_blocked(&mut self, day: NaiveDate, blocked: &BlockedExports) {
        let reasons: Vec<String> = blocked
            .exports
            .iter()
            .map(|export| format!("{} {}", export.dataset, export.reason))
            .collect();
        self.note(day, Action::Blocked, reasons.join("; "));
    }

    fn roll_up(&mut self, ready: ReadyDay, why: &'static str) -> Result<RollUp<'a>> {
        let day = ready.exports.day;
        self.note(day, Action::Compute, why.into()).ready = Some(ready.clone());
        let can_be_written =
            |table: &&Table| table.needs.iter().all(|id| is_final(&ready.exports, *id));
        for table in ROLLUPS.into_iter().filter(can_be_written) {
            self.announce(day, table);
        }
        let absent: BTreeSet<&'static str> = tables::all()
            .filter(|table| !can_be_written(table))
            .map(|table| table.name)
            .collect();
        let work = DayWork::announced(self.facts, ready, absent)?;
        Ok(RollUp::Ready(Box::new(work)))
    }

    fn publish(&mut self, _work: DayWork<'a>) -> Result<bool> {
        Ok(true)
    }

    fn own_ended(&mut self, step: Step, own: &Own) -> Result<()> {
        if let Own::UpToDate = own {
            self.note(step.day, Action::Nothing, "up to date".into());
        }
        Ok(())
    }

    fn stand_in(&mut self, day: NaiveDate, _stand_in: StandIn) -> Result<()> {
        BENCHMARKS
            .into_iter()
            .for_each(|table| self.announce(day, table));
        if let Some(planned) = self.planned.get_mut(&day)
            && planned.action == Action::Wait
        {
            planned.action = Action::Fallback;
        }
        Ok(())
    }

    fn nothing_stands_in(&mut self, _day: NaiveDate, _before: NaiveDate) -> Result<()> {
        Ok(())
    }

    fn end(&mut self, _step: Step) -> Result<()> {
        Ok(())
    }

    fn failed(&mut self, day: NaiveDate, error: anyhow::Error) -> Result<()> {
        self.facts.state.withdraw(day);
        self.note(day, Action::Fail, format!("{error:#}"));
        Ok(())
    }

    fn step_done(&mut self, _step: Step) {}
}

fn is_final(exports: &DayExports, id: SnapshotId) -> bool {
    exports.folder(id.name()).is_some_and(Folder::is_final)
}
