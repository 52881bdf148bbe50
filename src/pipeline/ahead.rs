//! Rolls several days up at the same time, ahead of the windows, which need the days in order.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Condvar, Mutex};

use anyhow::Result;
use chrono::NaiveDate;

use super::engine::{Reading, RolledUp};
use super::job::Job;
use crate::bug;
use crate::plan::ReadyDay;
use crate::resources::Resources;
use crate::threads::{lock, wait};

type Outcome = Result<Reading<RolledUp>>;

/// Days whose rollups worker threads compute, in the order in which the walk takes them.
pub(super) struct Ahead {
    days: Mutex<Days>,
    changed: Condvar,
    /// The greatest number of days that are being rolled up or wait to be taken (backpressure).
    parallel: usize,
    /// The share of each of these days, and of the windows.
    pub resources: Resources,
}

#[derive(Default)]
struct Days {
    waiting: VecDeque<ReadyDay>,
    running: BTreeSet<NaiveDate>,
    done: HashMap<NaiveDate, Outcome>,
    /// The day that the walk waits for. It starts even when `parallel` other days are done, so that
    /// the walk cannot block forever.
    wanted: Option<NaiveDate>,
}

impl Ahead {
    /// `days` are in the order in which the walk takes them. `parallel` days and the windows share
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

    /// Runs one worker thread: rolls days up until no day waits.
    pub(super) fn work(&self, job: &Job) {
        while let Some(ready) = self.start_next() {
            let day = ready.exports.day;
            let outcome = bug::catch(|| job.roll_up(&ready, &self.resources));
            let mut days = lock(&self.days);
            days.running.remove(&day);
            days.done.insert(day, outcome);
            self.changed.notify_all();
        }
    }

    fn start_next(&self) -> Option<ReadyDay> {
        let mut days = lock(&self.days);
        loop {
            let day = days.waiting.front()?.exports.day;
            if days.running.len() + days.done.len() < self.parallel || days.wanted == Some(day) {
                days.running.insert(day);
                return days.waiting.pop_front();
            }
            days = wait(&self.changed, days);
        }
    }

    /// Waits for the rollups of a day; `None` for a day that is not rolled up ahead.
    pub(super) fn take(&self, day: NaiveDate) -> Option<Outcome> {
        let mut days = lock(&self.days);
        if !days.knows(day) {
            return None;
        }
        days.wanted = Some(day);
        self.changed.notify_all();
        loop {
            if let Some(outcome) = days.done.remove(&day) {
                days.wanted = None;
                self.changed.notify_all();
                return Some(outcome);
            }
            days = wait(&self.changed, days);
        }
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
        lock(&self.0.days).waiting.clear();
        self.0.changed.notify_all();
    }
}

impl Days {
    fn knows(&self, day: NaiveDate) -> bool {
        let is_waiting = self.waiting.iter().any(|ready| ready.exports.day == day);
        is_waiting || self.running.contains(&day) || self.done.contains_key(&day)
    }
}
