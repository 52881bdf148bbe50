//! Computes several days at the same time, ahead of the walk, which checks and publishes them in order.
//!
//! A window reads the rollups of earlier days. Those that are not published yet come from the workers that
//! have just computed them. The walk takes a table that was computed ahead only if its inputs are the same
//! when all days before are published; otherwise it computes the table again.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use anyhow::Result;
use chrono::NaiveDate;

use super::day::{DayWork, TablesAhead};
use super::engine::{Reading, RolledUp};
use super::job::Job;
use super::tables::{Snapshots, StaleBenchmark, TableHands, settle_tables};
use crate::bug;
use crate::contracts::Table;
use crate::plan::{Facts, ReadyDay};
use crate::publish::TableFile;
use crate::publish::reader::NewDays;
use crate::resources::Resources;
use crate::threads::{lock, wait};

/// Days that worker threads compute, in the order in which the walk takes them.
pub(super) struct Ahead {
    days: Mutex<Days>,
    changed: Condvar,
    /// The greatest number of days that are being computed or wait to be taken (backpressure).
    parallel: usize,
    /// The share of each of these days, and of the walk.
    pub resources: Resources,
}

/// A day that was computed ahead.
pub(super) struct DayAhead {
    rolled_up: Result<Reading<RolledUp>>,
    /// `None`: the walk computes them.
    tables: Option<TablesAhead>,
    /// The generation of the published state before it was read for the tables.
    generation: u64,
}

impl DayAhead {
    /// The rollups, and the tables over them. There are none if a published day has ceased to count as
    /// published since they were computed.
    pub(super) fn into_parts(self, facts: &Facts) -> (Result<Reading<RolledUp>>, TablesAhead) {
        let is_valid = self.generation == facts.state.generation();
        let tables = self.tables.filter(|_| is_valid);
        (self.rolled_up, tables.unwrap_or_default())
    }
}

#[derive(Default)]
struct Days {
    waiting: VecDeque<ReadyDay>,
    /// Days that a worker has begun and the walk has not ended, in the order of the walk.
    begun: Vec<Begun>,
    /// The day that the walk waits for. It starts even when `parallel` other days are done, so that
    /// the walk cannot block forever.
    wanted: Option<NaiveDate>,
    is_cancelled: bool,
}

struct Begun {
    day: NaiveDate,
    rollups: Rollups,
    /// Set when the day is done, until the walk takes it.
    done: Option<Box<DayAhead>>,
    is_taken: bool,
}

/// The rollups of a day, for the windows of later days.
enum Rollups {
    Awaited,
    New(Arc<[TableFile]>),
    /// There are no new ones.
    AsPublished,
}

impl Ahead {
    /// `days` are in the order in which the walk takes them. `parallel` days and the walk share
    /// the job's resources.
    pub(super) fn new(
        days: impl IntoIterator<Item = ReadyDay>,
        parallel: usize,
        job: &Job,
    ) -> Ahead {
        let days = Days {
            waiting: days.into_iter().collect(),
            ..Days::default()
        };
        Ahead {
            days: Mutex::new(days),
            changed: Condvar::new(),
            parallel,
            resources: job.resources.split(parallel + 1),
        }
    }

    /// Runs one worker thread: computes days until no day waits.
    pub(super) fn work(&self, job: &Job, facts: &Facts) {
        while let Some(ready) = self.start_next() {
            let day = ready.exports.day;
            let rolled_up = bug::catch(|| job.roll_up(&ready, &self.resources));
            let rollups = match &rolled_up {
                // A blocked day has no tables.
                Ok(Reading::Whole(whole)) if !whole.daily.is_empty() => {
                    Rollups::New(whole.daily.clone().into())
                }
                _ => Rollups::AsPublished,
            };
            self.change(day, |begun| begun.rollups = rollups);
            let generation = facts.state.generation();
            let tables = match (&rolled_up, self.rollups_before(day)) {
                (Ok(Reading::Whole(rolled_up)), Some(new_days)) if !rolled_up.daily.is_empty() => {
                    let tables = || tables(facts, ready, rolled_up, new_days, &self.resources);
                    // The walk meets the same error when it computes the tables, and tells of it.
                    bug::catch(tables).ok()
                }
                _ => None,
            };
            let done = DayAhead {
                rolled_up,
                tables,
                generation,
            };
            self.change(day, |begun| begun.done = Some(done.into()));
        }
    }

    fn start_next(&self) -> Option<ReadyDay> {
        let mut days = lock(&self.days);
        loop {
            let day = days.waiting.front()?.exports.day;
            if days.not_taken() < self.parallel || days.wanted == Some(day) {
                days.begun.push(Begun {
                    day,
                    rollups: Rollups::Awaited,
                    done: None,
                    is_taken: false,
                });
                return days.waiting.pop_front();
            }
            days = wait(&self.changed, days);
        }
    }

    /// Waits for the new rollups of all days before this one in the order of the walk; `None`: no day is
    /// wanted any more.
    fn rollups_before(&self, day: NaiveDate) -> Option<NewDays> {
        let mut days = lock(&self.days);
        loop {
            if days.is_cancelled {
                return None;
            }
            if let Some(before) = days.rollups_before(day) {
                return Some(before);
            }
            days = wait(&self.changed, days);
        }
    }

    fn change(&self, day: NaiveDate, change: impl FnOnce(&mut Begun)) {
        if let Some(begun) = lock(&self.days).begun(day) {
            change(begun);
        }
        self.changed.notify_all();
    }

    /// Waits for a day; `None` for a day that is not computed ahead, or was taken before.
    pub(super) fn take(&self, day: NaiveDate) -> Option<DayAhead> {
        let mut days = lock(&self.days);
        let is_waiting = days.waiting.iter().any(|ready| ready.exports.day == day);
        if !is_waiting && days.begun(day).is_none_or(|begun| begun.is_taken) {
            return None;
        }
        days.wanted = Some(day);
        self.changed.notify_all();
        loop {
            if let Some(begun) = days.begun(day)
                && let Some(done) = begun.done.take()
            {
                begun.is_taken = true;
                days.wanted = None;
                self.changed.notify_all();
                return Some(*done);
            }
            days = wait(&self.changed, days);
        }
    }

    /// Called when the walk has ended a day: its rollups are published, or are not going to be.
    pub(super) fn forget(&self, day: NaiveDate) {
        lock(&self.days).begun.retain(|begun| begun.day != day);
        self.changed.notify_all();
    }

    /// When the returned value is dropped, no further day starts.
    pub(super) fn cancel_when_dropped(&self) -> Cancel<'_> {
        Cancel(self)
    }
}

/// See [`Ahead::cancel_when_dropped`].
pub(super) struct Cancel<'a>(&'a Ahead);

impl Drop for Cancel<'_> {
    fn drop(&mut self) {
        let mut days = lock(&self.0.days);
        days.waiting.clear();
        days.is_cancelled = true;
        drop(days);
        self.0.changed.notify_all();
    }
}

impl Days {
    fn begun(&mut self, day: NaiveDate) -> Option<&mut Begun> {
        self.begun.iter_mut().find(|begun| begun.day == day)
    }

    fn not_taken(&self) -> usize {
        self.begun.iter().filter(|begun| !begun.is_taken).count()
    }

    /// The new rollups of all days before this one in the order of the walk; `None` while some are awaited.
    fn rollups_before(&self, day: NaiveDate) -> Option<NewDays> {
        let mut new_days = NewDays::new();
        for before in self.begun.iter().take_while(|begun| begun.day != day) {
            match &before.rollups {
                Rollups::Awaited => return None,
                Rollups::New(files) => {
                    new_days.insert(before.day, files.clone());
                }
                Rollups::AsPublished => {}
            }
        }
        Some(new_days)
    }
}

/// The tables over the new rollups of a day. `new_days`: those of days before it in the walk.
fn tables(
    facts: &Facts,
    ready: ReadyDay,
    rolled_up: &RolledUp,
    new_days: NewDays,
    resources: &Resources,
) -> Result<TablesAhead> {
    let mut work = DayWork::over(facts, ready, rolled_up, new_days)?;
    work.look_ahead();
    settle_tables(&mut work, &mut Computing(resources))?;
    Ok(work.into_tables_ahead())
}

/// Hands that compute the stale tables.
struct Computing<'r>(&'r Resources);

impl<'a> TableHands<'a> for Computing<'_> {
    /// The roll-up has read them.
    fn read_snapshots(&mut self, _work: &mut DayWork<'a>) -> Result<Snapshots> {
        Ok(Snapshots::Read)
    }

    fn window(
        &mut self,
        work: &mut DayWork<'a>,
        table: &'static Table,
        inputs: Option<String>,
        _why: String,
    ) -> Result<()> {
        work.compute_window(table, inputs, self.0)
    }

    fn benchmarks(&mut self, work: &mut DayWork<'a>, stale: Vec<StaleBenchmark>) -> Result<()> {
        work.compute_benchmarks(stale, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::arrow::empty;
    use crate::contracts::tables::SHOP_DAILY;
    use crate::stop::Stop;
    use crate::testing::march;

    fn begun(day: u32, rollups: Rollups) -> Begun {
        Begun {
            day: march(day),
            rollups,
            done: None,
            is_taken: false,
        }
    }

    fn new() -> Rollups {
        let columns: Vec<_> = SHOP_DAILY.columns.iter().collect();
        let (rows, stop) = (empty(&columns).unwrap(), Stop::default());
        let file = TableFile::new(&SHOP_DAILY, march(1), 1, &stop, &rows).unwrap();
        Rollups::New([file].into())
    }

    /// The days whose new rollups a day reads; `None`: it waits.
    fn read(days: &Days, day: u32) -> Option<Vec<NaiveDate>> {
        let before = days.rollups_before(march(day))?;
        Some(before.into_keys().collect())
    }

    #[test]
    fn a_day_reads_the_new_rollups_of_the_days_that_the_walk_takes_first() {
        let mut days = Days {
            begun: vec![
                begun(12, new()),
                begun(13, Rollups::AsPublished),
                begun(14, Rollups::Awaited),
                begun(15, new()),
            ],
            ..Days::default()
        };
        assert_eq!(read(&days, 12), Some(vec![]));
        assert_eq!(read(&days, 14), Some(vec![march(12)]));
        assert_eq!(read(&days, 15), None, "14 is awaited");
        days.begun[2].rollups = new();
        assert_eq!(read(&days, 15), Some(vec![march(12), march(14)]));
        // Newest first, the walk publishes a day before older ones are known.
        days.begun.reverse();
        assert_eq!(read(&days, 14), Some(vec![march(15)]));
    }

    #[test]
    fn a_day_that_the_walk_has_taken_makes_room_for_another() {
        let mut days = Days {
            begun: vec![begun(12, new()), begun(13, Rollups::Awaited)],
            ..Days::default()
        };
        assert_eq!(days.not_taken(), 2);
        days.begun[0].is_taken = true;
        assert_eq!(days.not_taken(), 1);
        assert_eq!(
            read(&days, 13),
            Some(vec![march(12)]),
            "it is not published yet"
        );
    }
}
