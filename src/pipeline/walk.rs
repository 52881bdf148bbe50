//! The walk over days: each day is decided once, and handed to hands that announce or do.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use chrono::NaiveDate;

use super::day::DayWork;
use super::tables::{TableHands, Tables, settle_tables};
use crate::bug;
use crate::catalog::manifest::BlockedExports;
use crate::days::readiness::NotFinal;
use crate::failure::{Failure, FailureKind, ends_all};
use crate::plan::{self, Decision, Facts, ReadyDay, StandIn};

/// Decides whether the day before may newly stand in for a day that is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A day that was asked for: a new stand-in may be published.
    ReportDay,
    /// Another day that is brought up to date: only an existing stand-in is kept fresh.
    CatchUp,
}

/// One day of a walk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub day: NaiveDate,
    pub role: Role,
}

/// The outcome of a day's own tables.
pub(super) enum Own {
    /// They are published or announced. `wrote`: whether any table was written.
    Computed { wrote: bool },
    /// Nothing was stale.
    UpToDate,
    /// Datasets that are not final, sorted.
    NotFinal(Vec<NotFinal>),
    /// The day is blocked.
    Blocked(BlockedExports),
    /// Datasets that changed while they were read, sorted. The rows that were read belong to no
    /// single version of the exports, so nothing is published from them.
    Changed(Vec<&'static str>),
}

/// The outcome of a roll-up.
pub(super) enum RollUp<'a> {
    /// The rollups are computed or announced. The tables over them follow.
    Ready(Box<DayWork<'a>>),
    Ended(Own),
}

/// Carries out the decisions of a walk.
pub(super) trait Hands<'a>: TableHands<'a> {
    /// Called when a day begins.
    fn begin(&mut self, step: Step) -> Result<()>;

    /// Called when an attempt at the day begins. Another attempt follows when a published input
    /// turns out to be spoilt.
    fn attempt(&mut self) -> Result<()>;

    /// Called when an attempt failed.
    ///
    /// # Errors
    /// `LeaseLost` when the lost lease is the cause of the failure. It ends the walk.
    fn check_after_failure(&mut self) -> Result<()>;

    /// Discards the attempt. Nothing of it is reported.
    fn retract(&mut self, day: NaiveDate);

    /// Called when required exports are not final.
    fn wait(&mut self, day: NaiveDate, missing: &[NotFinal]);

    /// Called when an earlier run found the same exports blocked.
    fn known_blocked(&mut self, day: NaiveDate, blocked: &BlockedExports);

    /// Reads the exports and computes the rollups.
    fn roll_up(&mut self, ready: ReadyDay, why: &'static str) -> Result<RollUp<'a>>;

    /// Publishes the day, after all its tables are computed. Returns whether any table is written.
    fn publish(&mut self, work: DayWork<'a>) -> Result<bool>;

    /// Called with the outcome of the day's own tables.
    fn own_ended(&mut self, step: Step, own: &Own) -> Result<()>;

    /// Publishes benchmarks of the day before as a stand-in.
    fn stand_in(&mut self, day: NaiveDate, stand_in: StandIn) -> Result<()>;

    /// Called when the day before is not ready either.
    fn nothing_stands_in(&mut self, day: NaiveDate, before: NaiveDate) -> Result<()>;

    /// Called when the day ended without an error.
    fn end(&mut self, step: Step) -> Result<()>;

    /// Called when the day failed. The other days continue.
    fn failed(&mut self, day: NaiveDate, error: anyhow::Error) -> Result<()>;

    /// Called last for each step, also for a failed or omitted one.
    fn step_done(&mut self, step: Step);
}

/// Walks over days in the order of `steps`. A day that fails does not stop the others. A day to
/// catch up that failed before is not tried again.
///
/// # Errors
/// Errors that would end every other day in the same way ([`ends_all`]).
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

/// The state of a walk.
struct Walk<'a, 'h> {
    facts: &'a Facts<'a>,
    hands: &'h mut dyn Hands<'a>,
    /// The days that were walked, and whether each is final and not blocked.
    usable: BTreeMap<NaiveDate, bool>,
    failed: BTreeSet<NaiveDate>,
}

impl<'a> Walk<'a, '_> {
    /// Walks one day. If a published input of another day cannot be read, the day is tried again as
    /// if the other day were missing.
    fn step(&mut self, step: Step) -> Result<()> {
        loop {
            self.hands.attempt()?;
            let Err(error) = bug::catch(|| self.day(step)) else {
                return self.hands.end(step);
            };
            self.hands.check_after_failure()?;
            match Failure::kind_of(&error) {
                Some(FailureKind::SpoiltInput(spoilt))
                    if spoilt != step.day && self.facts.state.leave_out(spoilt) =>
                {
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
            // Changing exports may be final in a minute, so no stand-in is published. The next run
            // decides.
            Own::Computed { .. } | Own::UpToDate | Own::Changed(_) => Ok(()),
            Own::NotFinal(missing) => {
                let missing: Vec<&str> = missing.iter().map(|it| it.dataset).collect();
                self.stand_in(step, missing.join(", "))
            }
            Own::Blocked(blocked) => self.stand_in(step, blocked.datasets().join(", ")),
        }
    }

    /// Decides and hands over the day's own tables, from its own exports.
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

    /// Computes every table of the day.
    fn compute(&mut self, ready: ReadyDay, why: &'static str) -> Result<Own> {
        match self.hands.roll_up(ready, why)? {
            RollUp::Ended(own) => Ok(own),
            RollUp::Ready(mut work) => {
                // The roll-up has read the snapshots, so later changes of the exports do not
                // matter.
                settle_tables(&mut work, self.hands)?;
                let wrote = self.hands.publish(*work)?;
                Ok(Own::Computed { wrote })
            }
        }
    }

    /// Computes the stale tables of a day whose rollups are fresh.
    fn refresh(&mut self, ready: ReadyDay) -> Result<Own> {
        let mut work = DayWork::of_published(self.facts, ready)?;
        match settle_tables(&mut work, self.hands)? {
            Tables::Settled if work.is_changed() => {
                let wrote = self.hands.publish(work)?;
                Ok(Own::Computed { wrote })
            }
            Tables::Settled => Ok(Own::UpToDate),
            Tables::Changed(datasets) => Ok(Own::Changed(datasets)),
            Tables::SnapshotsBroken => {
                self.compute(work.into_ready(), "its exports cannot be read any more")
            }
        }
    }

    /// Lets the day before stand in for a day whose own exports cannot be used.
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

    /// Handles a failure of the day before: nothing stands in, and the day itself only waits.
    fn fail_before(&mut self, before: NaiveDate, error: anyhow::Error) -> Result<()> {
        if matches!(Failure::kind_of(&error), Some(FailureKind::SpoiltInput(_))) {
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

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::super::day::StaleTable;
    use super::super::tables::Snapshots;
    use super::*;
    use crate::catalog::manifest::{Manifest, PublishedBenchmark};
    use crate::config::Config;
    use crate::contracts::tables::BENCHMARKS;
    use crate::messages;
    use crate::testing::{Memory, manifest, march};

    /// Hands that only record their calls.
    #[derive(Default)]
    struct Script {
        log: Vec<String>,
        /// Errors of `roll_up`, by day. Each is returned once.
        errors: BTreeMap<NaiveDate, Vec<anyhow::Error>>,
        blocked: BTreeSet<NaiveDate>,
    }

    impl Script {
        fn say(&mut self, word: &str, day: NaiveDate) {
            self.log.push(format!("{word} {}", day.format("%d")));
        }
    }

    impl<'a> Hands<'a> for Script {
        fn begin(&mut self, _step: Step) -> Result<()> {
            Ok(())
        }
        fn attempt(&mut self) -> Result<()> {
            Ok(())
        }
        fn check_after_failure(&mut self) -> Result<()> {
            Ok(())
        }
        fn retract(&mut self, day: NaiveDate) {
            self.say("retract", day);
        }
        fn wait(&mut self, day: NaiveDate, _missing: &[NotFinal]) {
            self.say("wait", day);
        }
        fn known_blocked(&mut self, day: NaiveDate, _blocked: &BlockedExports) {
            self.say("blocked", day);
        }
        fn roll_up(&mut self, ready: ReadyDay, _why: &'static str) -> Result<RollUp<'a>> {
            let day = ready.exports.day;
            self.say("compute", day);
            if let Some(error) = self.errors.get_mut(&day).and_then(Vec::pop) {
                return Err(error);
            }
            if self.blocked.contains(&day) {
                let blocked = plan::blocked_by(ready.inputs, None, vec![]);
                return Ok(RollUp::Ended(Own::Blocked(blocked)));
            }
            Ok(RollUp::Ended(Own::Computed { wrote: true }))
        }
        fn publish(&mut self, _work: DayWork<'a>) -> Result<bool> {
            Ok(true)
        }
        fn own_ended(&mut self, _step: Step, _own: &Own) -> Result<()> {
            Ok(())
        }
        fn stand_in(&mut self, day: NaiveDate, _stand_in: StandIn) -> Result<()> {
            self.say("stand in", day);
            Ok(())
        }
        fn nothing_stands_in(&mut self, day: NaiveDate, _before: NaiveDate) -> Result<()> {
            self.say("nothing stands in", day);
            Ok(())
        }
        fn end(&mut self, step: Step) -> Result<()> {
            self.say("end", step.day);
            Ok(())
        }
        fn failed(&mut self, day: NaiveDate, _error: anyhow::Error) -> Result<()> {
            self.say("failed", day);
            Ok(())
        }
        fn step_done(&mut self, _step: Step) {}
    }

    impl<'a> TableHands<'a> for Script {
        fn read_snapshots(&mut self, _work: &mut DayWork<'a>) -> Result<Snapshots> {
            Ok(Snapshots::Read)
        }
        fn window(&mut self, _: &mut DayWork<'a>, _: StaleTable) -> Result<()> {
            Ok(())
        }
        fn benchmarks(&mut self, _: &mut DayWork<'a>, _: Vec<StaleTable>) -> Result<()> {
            Ok(())
        }
    }

    /// Final exports of the days, and the results.
    struct World {
        exports: Memory,
        results: Memory,
        config: Config,
    }

    impl World {
        fn new(days: &[u32]) -> World {
            let exports = Memory::new("exports");
            days.iter().for_each(|day| exports.export(march(*day)));
            World {
                exports,
                results: Memory::new("results"),
                config: Config::parse("").unwrap(),
            }
        }

        /// Publishes the tables behind the benchmarks of a day.
        fn publish(&self, day: u32) {
            let mut manifest = manifest(march(day), 1);
            for read in BENCHMARKS[0].reads {
                self.results.publish(&mut manifest, read.table, "x", "x");
            }
            self.results.put_manifest(&manifest);
        }

        /// Walks the days, the last of them as the report day.
        fn walk(&self, days: &[u32], script: &mut Script) -> Result<()> {
            let facts = Facts::load(
                &self.exports.store,
                &self.results.store,
                &self.config,
                chrono::DateTime::default(),
            )
            .unwrap();
            let last = days.last();
            let steps: Vec<Step> = days
                .iter()
                .map(|day| Step {
                    day: march(*day),
                    role: if Some(day) == last {
                        Role::ReportDay
                    } else {
                        Role::CatchUp
                    },
                })
                .collect();
            walk(&facts, &steps, script)
        }
    }

    fn failing(day: u32, error: anyhow::Error) -> Script {
        Script {
            errors: BTreeMap::from([(march(day), vec![error])]),
            ..Script::default()
        }
    }

    #[test]
    fn days_are_walked_in_their_order_and_one_that_fails_does_not_stop_the_others() {
        let world = World::new(&[12, 13, 14]);
        let mut script = failing(13, anyhow!("a bug"));
        world.walk(&[12, 13, 14], &mut script).unwrap();
        let expected = [
            "compute 12",
            "end 12",
            "compute 13",
            "failed 13",
            "compute 14",
            "end 14",
        ];
        assert_eq!(script.log, expected);
    }

    #[test]
    fn an_error_of_all_days_ends_the_walk() {
        let world = World::new(&[12, 13]);
        let mut script = failing(12, messages::lease_lost().into());
        let error = world.walk(&[12, 13], &mut script).unwrap_err();
        assert!(Failure::kind_of(&error) == Some(FailureKind::LeaseLost));
        assert_eq!(script.log, ["compute 12"]);
    }

    #[test]
    fn a_spoilt_input_of_another_day_is_left_out_and_the_day_is_tried_again() {
        let world = World::new(&[14]);
        let spoilt = |day| messages::store_failed("read", "x", "y").spoils(march(day));
        let mut script = failing(14, spoilt(12).into());
        world.walk(&[14], &mut script).unwrap();
        assert_eq!(
            script.log,
            [
                "compute 14",
                "retract 14",
                "failed 12",
                "compute 14",
                "end 14"
            ]
        );
        // The day fails when the spoilt input is its own, or when the same input is spoilt twice.
        let mut script = failing(14, spoilt(14).into());
        world.walk(&[14], &mut script).unwrap();
        assert_eq!(script.log, ["compute 14", "failed 14"]);
        let mut script = failing(14, spoilt(12).into());
        script
            .errors
            .insert(march(14), vec![spoilt(12).into(), spoilt(12).into()]);
        world.walk(&[14], &mut script).unwrap();
        assert_eq!(script.log.last().unwrap(), "failed 14");
    }

    #[test]
    fn the_day_before_stands_in_for_a_report_day_that_is_not_final() {
        let world = World::new(&[13]);
        world.publish(13);
        let mut script = Script::default();
        world.walk(&[13, 14], &mut script).unwrap();
        let expected = ["compute 13", "end 13", "wait 14", "stand in 14", "end 14"];
        assert_eq!(script.log, expected);
        // The day before is walked first when it is not among the days.
        let mut script = Script::default();
        world.walk(&[14], &mut script).unwrap();
        let expected = ["wait 14", "compute 13", "stand in 14", "end 14"];
        assert_eq!(script.log, expected);
    }

    #[test]
    fn nothing_stands_in_for_a_day_to_catch_up_unless_something_stood_in_before() {
        let world = World::new(&[12, 14]);
        world.publish(12);
        let mut script = Script::default();
        world.walk(&[12, 13, 14], &mut script).unwrap();
        let expected = [
            "compute 12",
            "end 12",
            "wait 13",
            "end 13",
            "compute 14",
            "end 14",
        ];
        assert_eq!(script.log, expected);
        world.results.put_manifest(&Manifest {
            benchmark: Some(PublishedBenchmark {
                benchmark_day: march(12),
                fallback_reason: Some("shops".into()),
            }),
            ..manifest(march(13), 2)
        });
        let mut script = Script::default();
        world.walk(&[12, 13, 14], &mut script).unwrap();
        assert!(
            script.log.contains(&"stand in 13".to_owned()),
            "{:?}",
            script.log
        );
    }

    #[test]
    fn a_day_before_that_is_not_ready_or_fails_does_not_stand_in() {
        let world = World::new(&[]);
        world.exports.export(march(1));
        let mut script = Script::default();
        world.walk(&[14], &mut script).unwrap();
        let expected = ["wait 14", "wait 13", "nothing stands in 14", "end 14"];
        assert_eq!(script.log, expected);

        let world = World::new(&[13]);
        world.publish(13);
        let mut script = Script {
            blocked: BTreeSet::from([march(13)]),
            ..Script::default()
        };
        world.walk(&[14], &mut script).unwrap();
        let expected = ["wait 14", "compute 13", "nothing stands in 14", "end 14"];
        assert_eq!(script.log, expected);

        let mut script = failing(13, anyhow!("a bug"));
        world.walk(&[14], &mut script).unwrap();
        let expected = ["wait 14", "compute 13", "failed 13", "end 14"];
        assert_eq!(script.log, expected);
    }

    #[test]
    fn a_day_that_failed_is_not_caught_up_again() {
        let world = World::new(&[13, 14]);
        let facts = Facts::load(
            &world.exports.store,
            &world.results.store,
            &world.config,
            chrono::DateTime::default(),
        )
        .unwrap();
        let step = |day, role| Step {
            day: march(day),
            role,
        };
        let steps = [
            step(14, Role::ReportDay),
            step(13, Role::ReportDay),
            step(13, Role::CatchUp),
            step(14, Role::CatchUp),
        ];
        let mut script = failing(14, anyhow!("a bug"));
        walk(&facts, &steps, &mut script).unwrap();
        let expected = [
            "compute 14",
            "failed 14",
            "compute 13",
            "end 13",
            "compute 13",
            "end 13",
        ];
        assert_eq!(script.log, expected);
    }
}
