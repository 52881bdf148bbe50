//! The exports: reachable, with which account, and which day is final.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Result;
use chrono::{Days, NaiveDate};

use super::finding::{Check, Finding, told};
use super::given::{Machine, read_text};
use super::identity::identity;
use crate::catalog::layout::day_of;
use crate::config::Config;
use crate::days::readiness::{DayExports, Readiness, check_location, list_days, readiness};
use crate::store::{Access, Store};

/// Days whose folders are listed in search of a final one, of those that end yesterday and of those
/// that are there.
const DAYS_LISTED: usize = 8;

/// The finding, and the bytes of the large exports of the newest final day, where one was found.
pub(super) fn check(config: &Config, machine: &Machine) -> (Finding, Option<u64>) {
    let account = identity(&config.exports, machine.environment, read_text);
    let shown = format!("{} as {account}", config.exports);
    match look(config, machine) {
        Ok(seen) => {
            let listed = format!("{shown}: listed in {} ms", seen.elapsed_ms);
            let newest = match &seen.newest {
                Some(day) => format!("newest final day {}", day.day),
                None => format!("no final day among the {} listed", seen.days),
            };
            let streamed_bytes = seen.newest.as_ref().map(streamed_bytes);
            (
                Check::Exports.ok(format!("{listed}; {newest}")),
                streamed_bytes,
            )
        }
        Err(error) => {
            let failed = Check::Exports.failed(&error);
            let text = format!("{shown}: {}", told(&error).0);
            (Finding { text, ..failed }, None)
        }
    }
}

struct Seen {
    elapsed_ms: u128,
    days: usize,
    newest: Option<DayExports>,
}

fn look(config: &Config, machine: &Machine) -> Result<Seen> {
    let (environment, runtime) = (machine.environment, machine.runtime.clone());
    let exports = Store::open_impatient(&config.exports, Access::Read, environment, runtime)?;
    let exports = exports.with_concurrency(config.store_concurrency);
    let started = Instant::now();
    check_location(&exports, &config.mapping)?;
    let elapsed_ms = started.elapsed().as_millis();
    let days = days_to_list(&exports, config, machine)?;
    let listed = list_days(&exports, &config.mapping, &days, (machine.clock)())?;
    let ready = listed
        .into_iter()
        .filter_map(|day| match readiness(day, &config.required) {
            Readiness::Ready(day) => Some(day),
            Readiness::NotYet(_) => None,
        });
    let newest = ready.max_by_key(|day| day.day);
    let days = days.len();
    Ok(Seen {
        elapsed_ms,
        days,
        newest,
    })
}

/// The days that a run would look at, and the newest ones that have a folder of the usual name.
fn days_to_list(exports: &Store, config: &Config, machine: &Machine) -> Result<Vec<NaiveDate>> {
    let today = (machine.clock)()
        .with_timezone(&config.time_zone)
        .date_naive();
    let mut days: BTreeSet<NaiveDate> = (1..=DAYS_LISTED as u64)
        .filter_map(|back| today.checked_sub_days(Days::new(back)))
        .collect();
    if let Some(dataset) = config.required.first() {
        let folders = exports.list_folders(dataset)?;
        let there: BTreeSet<NaiveDate> = folders.iter().filter_map(|it| day_of(it)).collect();
        days.extend(there.iter().rev().take(DAYS_LISTED));
    }
    Ok(days.into_iter().collect())
}

fn streamed_bytes(day: &DayExports) -> u64 {
    let streamed = day.folders.iter().filter(|it| it.dataset.is_streamed());
    let files = streamed.flat_map(|folder| &folder.files);
    files.map(|file| file.size_bytes).sum()
}
