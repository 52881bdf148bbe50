//! Rollups of several days at once, ahead of the windows, which need the days in order; never more than fits into memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, anyhow};
use chrono::NaiveDate;

use super::Job;
use super::rolled_up::{Reading, RolledUp, roll_up};
use crate::days::readiness::DayExports;
use crate::exports::is_streamed;

/// Memory that rolling up a day takes, for each byte of its compressed `order_lines` and `product_traffic`: nearly all
/// of it the sets behind exact distinct counts. Measured on generated days (docs/decisions/0005); too small a value
/// makes days run side by side that together exceed the limit.
const BYTES_PER_EXPORT_BYTE: u64 = 16;

type Outcome = Result<Reading<RolledUp>>;

/// Days whose rollups are computed by worker threads, in the order in which they are taken.
pub struct Ahead {
    days: Mutex<Days>,
    changed: Condvar,
    memory_limit: u64,
}

#[derive(Default)]
struct Days {
    waiting: VecDeque<DayExports>,
    /// With the memory that each may take.
    running: BTreeMap<NaiveDate, u64>,
    done: HashMap<NaiveDate, Outcome>,
    /// The day that is to be taken next; it starts whatever the memory, so that the work goes on.
    wanted: Option<NaiveDate>,
}

impl Ahead {
    /// `days` in the order in which they will be taken.
    pub fn new(days: impl IntoIterator<Item = DayExports>, memory_limit: u64) -> Ahead {
        let days = Days { waiting: days.into_iter().collect(), ..Days::default() };
        Ahead { days: Mutex::new(days), changed: Condvar::new(), memory_limit }
    }

    /// What a worker thread does: rolls days up until none waits.
    pub fn work(&self, job: &Job) {
        while let Some(exports) = self.start_next() {
            let day = exports.day;
            let outcome = catch_unwind(AssertUnwindSafe(|| roll_up(job, &exports)))
                .unwrap_or_else(|_| Err(anyhow!("a bug in this program: rolling up {day} panicked")));
            let mut days = self.lock();
            days.running.remove(&day);
            days.done.insert(day, outcome);
            self.changed.notify_all();
        }
    }

    fn start_next(&self) -> Option<DayExports> {
        let mut days = self.lock();
        loop {
            let next = days.waiting.front()?;
            let (day, needed) = (next.day, estimated_bytes(next));
            let used = days.used_bytes();
            if used == 0 || used + needed <= self.memory_limit || days.wanted == Some(day) {
                days.running.insert(day, needed);
                return days.waiting.pop_front();
            }
            days = self.changed.wait(days).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The rollups of a day, as soon as they are there; `None` for a day that is not among these.
    pub fn take(&self, day: NaiveDate) -> Option<Outcome> {
        let mut days = self.lock();
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
            days = self.changed.wait(days).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets no further day start.
    pub fn cancel(&self) {
        self.lock().waiting.clear();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Days> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Days {
    fn knows(&self, day: NaiveDate) -> bool {
        let is_waiting = self.waiting.iter().any(|exports| exports.day == day);
        is_waiting || self.running.contains_key(&day) || self.done.contains_key(&day)
    }

    fn used_bytes(&self) -> u64 {
        let tables = self.done.values().flatten().map(|reading| match reading {
            Reading::Whole(rolled_up) => rolled_up.daily.iter().map(|(_, rows)| rows.estimated_size() as u64).sum(),
            Reading::Changed(_) => 0,
        });
        self.running.values().sum::<u64>() + tables.sum::<u64>()
    }
}

fn estimated_bytes(exports: &DayExports) -> u64 {
    let streamed = exports.folders.iter().filter(|folder| is_streamed(folder.dataset));
    streamed.flat_map(|folder| &folder.files).map(|file| file.size_bytes).sum::<u64>() * BYTES_PER_EXPORT_BYTE
}
