//! The walk over days: each day is decided once, and handed to hands that announce or do.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use chrono::NaiveDate;

use super::day::DayWork;
use crate::bug;
use crate::catalog::manifest::BlockedExports;
use crate::catalog::state::SpoiltInput;
use crate::contracts::Table;
use crate::contracts::tables::{BENCHMARKS, WINDOWS};
use crate::plan::{self, Decision, Facts, ReadyDay, StandIn, TableDecision};
use crate::report::exit_code::ends_all;

/// Whether benchmarks of the day before may newly stand in for a day that is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A day that was asked for.
    ReportDay,
    /// A day that is brought up to date on the way.
    CatchUp,
}

/// One day of a walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub day: NaiveDate,
    pub role: Role,
}

/// How a day's own tables ended.
pub(super) enum Own {
    /// They are published, or announced; whether any table was written.
    Computed { wrote: bool },
    /// Nothing was stale.
    UpToDate,
    /// Datasets that are not final, sorted.
    NotFinal(Vec<&'static str>),
    /// The day is blocked.
    Blocked(BlockedExports),
    /// Datasets that changed while they were read, sorted: of no single version of the exports, so
    /// nothing is published from them.
    Changed(Vec<&'static str>),
}

/// The rollups of a day to compute.
pub(super) enum RollUp<'a> {
    /// They are there; the tables over them follow.
    Ready(Box<DayWork<'a>>),
    Ended(Own),
}

/// The snapshots of a day whose rollups are fresh.
pub(super) enum Snapshots {
    Read,
    /// Their contents are damaged now: every table of the day has to be decided from the exports.
    Broken,
    Changed(Vec<&'static str>),
}

/// A benchmark table to compute.
pub(super) struct StaleBenchmark {
    pub table: &'static Table,
    /// `None` where a table that it reads is only announced.
    pub inputs: Option<String>,
    pub why: String,
}

/// Carries out the decisions of a walk.
pub(super) trait Hands<'a> {
    /// A day begins.
    fn begin(&mut self, step: Step) -> Result<()>;

    /// An attempt at the day begins; there is another one when a published input turns out to be
    /// spoilt.
    fn attempt(&mut self) -> Result<()>;

    /// An attempt failed.
    ///
    /// # Errors
    /// When the failure has a cause that ends the walk: the lease is lost.
    fn check_after_failure(&mut self) -> Result<()>;

    /// The attempt is taken back: nothing of it is reported.
    fn retract(&mut self, day: NaiveDate);

    /// Required exports are not final.
    fn wait(&mut self, day: NaiveDate, missing: &[&'static str]);

    /// Exports are known to be blocked.
    fn known_blocked(&mut self, day: NaiveDate, blocked: &BlockedExports);

    /// Reads the exports and computes the rollups.
    fn roll_up(&mut self, ready: ReadyDay, why: &'static str) -> Result<RollUp<'a>>;

    /// Reads the snapshots of a day whose rollups are fresh.
    fn read_snapshots(&mut self, work: &mut DayWork<'a>) -> Result<Snapshots>;

    /// Computes a stale window table.
    fn window(
        &mut self,
        work: &mut DayWork<'a>,
        table: &'static Table,
        inputs: Option<String>,
        why: String,
    ) -> Result<()>;

    /// Computes stale benchmark tables, at least one.
    fn benchmarks(&mut self, work: &mut DayWork<'a>, stale: Vec<StaleBenchmark>) -> Result<()>;

    /// All tables of the day are computed; tells whether any is written.
    fn publish(&mut self, work: DayWork<'a>) -> Result<bool>;

    /// The day's own tables ended so.
    fn own_ended(&mut self, step: Step, own: &Own) -> Result<()>;

    /// Benchmarks of the day before stand in.
    fn stand_in(&mut self, day: NaiveDate, stand_in: StandIn) -> Result<()>;

    /// The day before is not ready either.
    fn nothing_stands_in(&mut self, day: NaiveDate, before: NaiveDate) -> Result<()>;

    /// The day is through.
    fn end(&mut self, step: Step) -> Result<()>;

    /// The day failed, and the others go on.
    fn failed(&mut self, day: NaiveDate, error: anyhow::Error) -> Result<()>;

    /// Nothing follows for this step.
    fn step_done(&mut self, step: Step);
}

/// Goes through days, in the order of `steps`. A day that fails does not keep the walk from the
/// others; a day to catch up that failed before is not tried again.
///
/// # Errors
/// Those that would end every other day in the same way ([`ends_all`]).
pub(super) fn walk<'a>(
    facts: &'a Facts<'a>,
    steps: &[Step],
    hands: &mut dyn Hands<'a>,
) -> Result<()> {
    let mut walk = Walk {
        facts,
        hands,
        usable: BTreeMap::new(),
        failed: BTreeSet::new(),
    };
    for step in steps {
        if step.role == Role::ReportDay || !walk.failed.contains(&step.day) {
            walk.hands.begin(*step)?;
            if let Err(error) = walk.step(*step) {
                walk.fail(step.day, error)?;
            }
        }
        walk.hands.step_done(*step);
    }
    Ok(())
}

/// A walk on its way.
struct Walk<'a, 'h> {
    facts: &'a Facts<'a>,
    hands: &'h mut dyn Hands<'a>,
    /// Days that were walked; whether they are final and not blocked.
    usable: BTreeMap<NaiveDate, bool>,
    failed: BTreeSet<NaiveDate>,
}

impl<'a> Walk<'a, '_> {
    /// One day. Where a published input of another day cannot be read, the day is computed as if
    /// that one were missing.
    fn step(&mut self, step: Step) -> Result<()> {
        loop {
            self.hands.attempt()?;
            let Err(error) = bug::catch(|| self.day(step)) else {
                return self.hands.end(step);
            };
            self.hands.check_after_failure()?;
            let spoilt = error.downcast_ref::<SpoiltInput>().map(|spoilt| spoilt.day);
            match spoilt.filter(|spoilt| *spoilt != step.day) {
                Some(spoilt) if self.facts.state.leave_out(spoilt) => {
                    self.hands.retract(step.day);
                    self.report_failed(spoilt, error)?;
                }
                _ => return Err(error),
            }
        }
    }

    fn day(&mut self, step: Step) -> Result<()> {
        let own = self.own(step.day)?;
        self.hands.own_ended(step, &own)?;
        match own {
            // A stand-in may be out of date in a minute; the next run decides.
            Own::Computed { .. } | Own::UpToDate | Own::Changed(_) => Ok(()),
            Own::NotFinal(missing) => self.stand_in(step, missing.join(", ")),
            Own::Blocked(blocked) => self.stand_in(step, blocked.datasets().join(", ")),
        }
    }

    /// The day's own tables, from its own exports.
    fn own(&mut self, day: NaiveDate) -> Result<Own> {
        self.usable.insert(day, false);
        let own = match plan::decide(self.facts, day)? {
            Decision::Wait(missing) => {
                self.hands.wait(day, &missing);
                Own::NotFinal(missing)
            }
            Decision::Blocked(blocked) => {
                self.hands.known_blocked(day, &blocked);
                Own::Blocked(blocked)
            }
            Decision::Compute(ready, why) => self.compute(ready, why)?,
            Decision::Refresh(ready) => self.refresh(ready)?,
        };
        let is_usable = !matches!(own, Own::NotFinal(_) | Own::Blocked(_));
        self.usable.insert(day, is_usable);
        Ok(own)
    }

    /// Every table of the day.
    fn compute(&mut self, ready: ReadyDay, why: &'static str) -> Result<Own> {
        match self.hands.roll_up(ready, why)? {
            RollUp::Ended(own) => Ok(own),
            RollUp::Ready(mut work) => {
                // Its snapshots are read, so nothing of the exports can change any more.
                self.tables(&mut work)?;
                let wrote = self.hands.publish(*work)?;
                Ok(Own::Computed { wrote })
            }
        }
    }

    /// The stale tables of a day whose rollups are fresh.
    fn refresh(&mut self, ready: ReadyDay) -> Result<Own> {
        let mut work = DayWork::of_published(self.facts, ready)?;
        match self.tables(&mut work)? {
            Tables::Settled if work.is_changed() => {
                let wrote = self.hands.publish(work)?;
                Ok(Own::Computed { wrote })
            }
            Tables::Settled => Ok(Own::UpToDate),
            Tables::Ended(own) => Ok(own),
            Tables::SnapshotsBroken => {
                self.compute(work.into_ready(), "its exports cannot be read any more")
            }
        }
    }

    /// The tables over the rollups, in an order in which each reads only what is settled.
    fn tables(&mut self, work: &mut DayWork<'a>) -> Result<Tables> {
        for table in WINDOWS {
            if work.is_absent(table) {
                continue;
            }
            let TableDecision::Stale { inputs, why } = work.settle(table)? else {
                continue;
            };
            if !work.has_snapshots() {
                match self.hands.read_snapshots(work)? {
                    Snapshots::Read => {}
                    Snapshots::Broken => return Ok(Tables::SnapshotsBroken),
                    Snapshots::Changed(datasets) => {
                        return Ok(Tables::Ended(Own::Changed(datasets)));
                    }
                }
            }
            self.hands.window(work, table, inputs, why)?;
        }
        let mut stale = Vec::new();
        for table in BENCHMARKS {
            if work.is_absent(table) {
                continue;
            }
            if let TableDecision::Stale { inputs, why } = work.settle(table)? {
                stale.push(StaleBenchmark { table, inputs, why });
            }
        }
        if !stale.is_empty() {
            // They come from the same cohorts.
            self.hands.benchmarks(work, stale)?;
        }
        Ok(Tables::Settled)
    }

    /// Benchmarks of the day before for a day whose own exports cannot be used.
    fn stand_in(&mut self, step: Step, reason: String) -> Result<()> {
        let newest = self.facts.manifest(step.day)?;
        if !plan::wants_stand_in(newest.as_deref(), step.role == Role::ReportDay) {
            return Ok(());
        }
        let Some(before) = step.day.pred_opt() else {
            return Ok(());
        };
        if !self.usable.contains_key(&before)
            && let Err(error) = bug::catch(|| self.own(before).map(drop))
        {
            return self.fail_before(before, error);
        }
        if self.failed.contains(&before) {
            return Ok(());
        }
        if self.usable.get(&before) != Some(&true) {
            return self.hands.nothing_stands_in(step.day, before);
        }
        match plan::resolve_stand_in(self.facts, step.day, before, reason) {
            Ok(Some(stand_in)) if !stand_in.is_fresh => self.hands.stand_in(step.day, stand_in),
            Ok(_) => Ok(()),
            Err(error) => self.fail_before(before, error),
        }
    }

    /// The day before failed, so nothing stands in; the day itself only waits.
    fn fail_before(&mut self, before: NaiveDate, error: anyhow::Error) -> Result<()> {
        if error.is::<SpoiltInput>() {
            return Err(error);
        }
        self.hands.check_after_failure()?;
        self.fail(before, error)
    }

    fn fail(&mut self, day: NaiveDate, error: anyhow::Error) -> Result<()> {
        self.failed.insert(day);
        self.report_failed(day, error)
    }

    fn report_failed(&mut self, day: NaiveDate, error: anyhow::Error) -> Result<()> {
        if ends_all(&error) {
            return Err(error);
        }
        self.hands.failed(day, error)
    }
}

/// How the tables over the rollups ended.
enum Tables {
    Settled,
    SnapshotsBroken,
    Ended(Own),
}
