//! Computes several days at the same time, ahead of the walk, which checks and publishes them in order.
//!
//! A window reads the rollups of earlier days. Those that are not published yet come from the workers that
//! have just computed them. The walk takes a table that was computed ahead only if its inputs are the same
//! when all days before are published; otherwise it computes the table again. So nothing that a worker
//! assumes about other days can reach a result.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use anyhow::Result;
use chrono::NaiveDate;

use super::day::{DayWork, StaleTable, TablesAhead};
use super::engine::{Reading, RolledUp};
use super::job::Job;
use super::tables::{Snapshots, TableHands, settle_tables};
use crate::bug;
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
    /// The share of each of these days, and of the walk. No further day starts while the tables of those
    /// that wait take more memory than one share.
    pub resources: Resources,
}

/// A day that was computed ahead.
pub(super) struct DayAhead {
    rolled_up: Result<Reading<RolledUp>>,
    /// The walk computes those that are missing.
    tables: TablesAhead,
    /// The generation of the published state ([`State::generation`]) before it was read for the tables.
    ///
    /// [`State::generation`]: crate::catalog::state::State::generation
    generation: u64,
}

impl DayAhead {
    /// The rollups, and the tables over them: none if the generation of the published state is another one
    /// now.
    pub(super) fn into_parts(self, facts: &Facts) -> (Result<Reading<RolledUp>>, TablesAhead) {
        let tables = match self.generation == facts.state.generation() {
            true => self.tables,
            false => TablesAhead::default(),
        };
        (self.rolled_up, tables)
    }

    /// The size of its files.
    fn bytes(&self) -> u64 {
        let rollups: u64 = match &self.rolled_up {
            Ok(Reading::Whole(whole)) => whole.daily.iter().map(TableFile::size_bytes).sum(),
            _ => 0,
        };
        rollups + self.tables.size_bytes()
    }
}

#[derive(Default)]
struct Days {
    waiting: VecDeque<ReadyDay>,
    /// Days that a worker has begun and the walk has not ended, in the order of the walk.
    begun: Vec<Begun>,
    /// The day that the walk waits for. It starts in any case, so that the walk cannot block forever.
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
    /// The roll-up failed, or the day is blocked: the published ones count.
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
            let new = match &rolled_up {
                // A blocked day has no tables.
                Ok(Reading::Whole(new)) if !new.daily.is_empty() => Some(new),
                _ => None,
            };
            let rollups = new.map_or(Rollups::AsPublished, |new| {
                Rollups::New(new.daily.clone().into())
            });
            self.change(day, |begun| begun.rollups = rollups);
            let generation = facts.state.generation();
            let tables = new.zip(self.rollups_before(day)).map(|(new, new_days)| {
                bug::catch(|| tables(facts, ready, new, new_days, &self.resources))
            });
            let tables = tables.transpose().unwrap_or_else(|error| {
                // The walk computes them then, and reports an error that it meets too.
                tracing::debug!("{day}: not computed ahead: {error:#}");
                None
            });
            let tables = tables.unwrap_or_default();
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
            if days.waiting.is_empty() {
                return None;
            }
            let has_room = days.has_room(self.parallel, self.resources.memory_bytes);
            if let Some(ready) = days.start(has_room) {
                return Some(ready);
            }
            days = wait(&self.changed, days);
        }
    }

    /// Waits for the new rollups that the tables of a day read; `None`: the walk has ended the day, or all.
    fn rollups_before(&self, day: NaiveDate) -> Option<NewDays> {
        let mut days = lock(&self.days);
        loop {
            if days.is_cancelled || days.begun(day).is_none() {
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

    /// Called when the walk has ended a day: its rollups are published, or are not going to be. A day that it
    /// never took, because it was up to date or blocked by then, is not computed any more.
    pub(super) fn forget(&self, day: NaiveDate) {
        let mut days = lock(&self.days);
        days.begun.retain(|begun| begun.day != day);
        days.waiting.retain(|ready| ready.exports.day != day);
        drop(days);
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

    /// Whether fewer than `parallel` days are not taken yet, and the files of those that are done have at most
    /// so many bytes.
    fn has_room(&self, parallel: usize, most_bytes: u64) -> bool {
        let not_taken = self.begun.iter().filter(|begun| !begun.is_taken);
        let done = not_taken.clone().filter_map(|begun| begun.done.as_ref());
        not_taken.count() < parallel && done.map(|done| done.bytes()).sum::<u64>() <= most_bytes
    }

    /// Begins the next day if there is room, or the day that the walk waits for.
    fn start(&mut self, has_room: bool) -> Option<ReadyDay> {
        let is_wanted = |ready: &ReadyDay| has_room || self.wanted == Some(ready.exports.day);
        let next = self.waiting.iter().position(is_wanted)?;
        let ready = self.waiting.remove(next)?;
        self.begun.push(Begun {
            day: ready.exports.day,
            rollups: Rollups::Awaited,
            done: None,
            is_taken: false,
        });
        Some(ready)
    }

    /// The new rollups of earlier days that the walk takes before this day; `None` while some are awaited.
    fn rollups_before(&self, day: NaiveDate) -> Option<NewDays> {
        let mut new_days = NewDays::new();
        let before = self.begun.iter().take_while(|begun| begun.day != day);
        // No table reads a later day.
        for before in before.filter(|begun| begun.day < day) {
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

    fn window(&mut self, work: &mut DayWork<'a>, stale: StaleTable) -> Result<()> {
        work.compute_window(stale, self.0)
    }

    fn benchmarks(&mut self, work: &mut DayWork<'a>, stale: Vec<StaleTable>) -> Result<()> {
        work.compute_benchmarks(stale, self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{scope, yield_now};

    use chrono::DateTime;

    use super::*;
    use crate::config::Config;
    use crate::contracts::tables::{SHOP_DAILY, SHOP_TIER};
    use crate::days::readiness::DayExports;
    use crate::testing::{Memory, empty_file, march, resources};

    fn begun(day: u32, rollups: Rollups) -> Begun {
        Begun {
            day: march(day),
            rollups,
            done: None,
            is_taken: false,
        }
    }

    fn new() -> Rollups {
        Rollups::New([empty_file(&SHOP_DAILY, march(1))].into())
    }

    fn ready(day: u32) -> ReadyDay {
        ReadyDay {
            exports: DayExports {
                day: march(day),
                listed_at: DateTime::default(),
                folders: vec![],
            },
            inputs: String::new(),
        }
    }

    fn done(generation: u64) -> DayAhead {
        DayAhead {
            rolled_up: Ok(Reading::Changed(vec![])),
            tables: TablesAhead::of([empty_file(&SHOP_TIER, march(1))], "x"),
            generation,
        }
    }

    /// Two days at a time.
    fn ahead(days: &[u32]) -> Ahead {
        Ahead {
            days: Mutex::new(Days {
                waiting: days.iter().map(|day| ready(*day)).collect(),
                ..Days::default()
            }),
            changed: Condvar::new(),
            parallel: 2,
            resources: Resources {
                memory_bytes: 1 << 20,
                ..resources(1)
            },
        }
    }

    /// A worker that finishes each day at once.
    fn work(ahead: &Ahead) {
        while let Some(ready) = ahead.start_next() {
            let day = ready.exports.day;
            ahead.change(day, |begun| begun.rollups = Rollups::AsPublished);
            ahead.rollups_before(day);
            ahead.change(day, |begun| begun.done = Some(done(0).into()));
        }
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
        assert_eq!(read(&days, 15), Some(vec![]));
        assert_eq!(read(&days, 14), Some(vec![]), "no table reads a later day");
    }

    #[test]
    fn the_walk_gets_each_day_once_and_days_that_it_never_takes_hold_nothing_up() {
        let ahead = ahead(&[11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
        // Another run has published the first days: some before they begin, and some after.
        [11, 12, 13]
            .map(march)
            .into_iter()
            .for_each(|day| ahead.forget(day));
        scope(|scope| {
            let _cancels = ahead.cancel_when_dropped();
            for _ in 0..2 {
                scope.spawn(|| work(&ahead));
            }
            while lock(&ahead.days).begun.is_empty() {
                yield_now();
            }
            [14, 15]
                .map(march)
                .into_iter()
                .for_each(|day| ahead.forget(day));
            for day in 16..=18 {
                assert!(ahead.take(march(day)).is_some(), "{day}");
                assert!(ahead.take(march(day)).is_none(), "{day} is tried again");
                ahead.forget(march(day));
            }
            assert!(ahead.take(march(21)).is_none(), "no worker has it");
        });
        let days = lock(&ahead.days);
        assert!(days.waiting.is_empty() && days.begun.iter().all(|begun| begun.day > march(18)));
    }

    #[test]
    fn a_day_starts_where_there_is_room_for_it_and_its_tables_or_where_it_is_wanted() {
        let ahead = ahead(&[11, 12, 13, 14]);
        let mut days = lock(&ahead.days);
        let start = |days: &mut Days, has_room| {
            let started = days.start(has_room);
            started.map(|ready| ready.exports.day)
        };
        assert_eq!(start(&mut days, true), Some(march(11)));
        assert_eq!(start(&mut days, false), None);
        let bytes = done(0).bytes();
        days.begun(march(11)).unwrap().done = Some(done(0).into());
        assert!(days.has_room(2, bytes) && !days.has_room(2, bytes - 1));
        days.wanted = Some(march(13));
        assert_eq!(start(&mut days, false), Some(march(13)));
        assert_eq!(start(&mut days, true), Some(march(12)));
    }

    #[test]
    fn tables_are_not_taken_once_a_published_day_may_count_no_more() {
        let (exports, results) = (Memory::new("exports"), Memory::new("results"));
        exports.export(march(14));
        let config = Config::parse("").unwrap();
        let now = DateTime::default();
        let facts = Facts::load(&exports.store, &results.store, &config, now).unwrap();
        let taken = |generation| {
            let (_, tables) = done(generation).into_parts(&facts);
            tables.size_bytes() > 0
        };
        let generation = facts.state.generation();
        assert!(taken(generation));
        facts.state.leave_out(march(12));
        assert!(!taken(generation));
    }

    #[test]
    fn a_day_that_the_walk_has_taken_makes_room_for_another() {
        let mut days = Days {
            begun: vec![begun(12, new()), begun(13, Rollups::Awaited)],
            ..Days::default()
        };
        assert!(!days.has_room(2, 0));
        days.begun[0].is_taken = true;
        assert!(days.has_room(2, 0));
        assert_eq!(
            read(&days, 13),
            Some(vec![march(12)]),
            "it is not published yet"
        );
    }
}
