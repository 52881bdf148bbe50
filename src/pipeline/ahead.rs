//! Rollups of several days at once, ahead of the windows, which need the days in order.

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

/// Days whose rollups are computed by worker threads, in the order in which they are taken.
pub(super) struct Ahead {
    days: Mutex<Days>,
    changed: Condvar,
    /// Days that are rolled up, or wait to be taken, at a time.
    parallel: usize,
    /// Of each of them, and of the windows.
    pub resources: Resources,
}

#[derive(Default)]
struct Days {
    waiting: VecDeque<ReadyDay>,
    running: BTreeSet<NaiveDate>,
    done: HashMap<NaiveDate, Outcome>,
    /// The day that is to be taken next; it starts however many others are done, so that the work
    /// goes on.
    wanted: Option<NaiveDate>,
}

impl Ahead {
    /// `days` in the order in which they will be taken; `parallel` of them and the windows share
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

    /// What a worker thread does: rolls days up until none waits.
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

    /// The rollups of a day, as soon as they are there; `None` for a day that is not among these.
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

    /// When what is given back is dropped, no further day starts.
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
