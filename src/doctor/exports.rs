//! The exports: reachable, with which account, and which day is final.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::Result;
use chrono::{Days, NaiveDate};

use super::finding::{Check, Finding, told};
use super::given::{Machine, read_text};
use super::identity::identity;
use crate::config::Config;
use crate::contracts::datasets::dataset;
use crate::days::readiness::{self, DayExports, Folder, Readiness, check_location, list_days};
use crate::store::{Access, Store};

/// Days whose folders are listed in search of a final one, of those that end yesterday and of those
/// that are there.
const DAYS_LISTED: usize = 8;

/// How far back a folder of a day is looked for.
const DAYS_TRIED: u64 = 20 * 366;

/// Folders that are listed in search of folders of days.
const MOST_LISTED: usize = 64;

/// The finding, and the bytes of the large exports of the newest final day, where one was found.
pub(super) fn check(config: &Config, machine: &Machine) -> (Finding, Option<u64>) {
    let account = identity(&config.exports, machine.environment, read_text);
    let shown = format!("{} as {account}", config.exports);
    match look(config, machine) {
        Ok(seen) => {
            let listed = format!("{shown}: listed in {} ms", seen.elapsed_ms);
            let streamed_bytes = seen.newest.as_ref().map(streamed_bytes);
            let finding = match (&seen.newest, &seen.waits) {
                (Some(day), _) => {
                    Check::Exports.ok(format!("{listed}; newest final day {}", day.day))
                }
                (None, None) => {
                    let days = seen.days;
                    Check::Exports.ok(format!("{listed}; no final day among the {days} listed"))
                }
                (None, Some((day, missing))) => Check::Exports.warn(
                    format!("{listed}; no final day: {day} waits for {missing}"),
                    "where these exports are complete, correct their path or mark under [source] in the job file",
                ),
            };
            (finding, streamed_bytes)
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
    /// The newest day with an export that is final, and those for which it waits.
    waits: Option<(NaiveDate, String)>,
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
    let mut seen = Seen {
        elapsed_ms,
        days: days.len(),
        newest: None,
        waits: None,
    };
    for export in listed {
        let (day, has_any) = (export.day, export.folders.iter().any(Folder::is_final));
        match readiness::readiness(export, &config.required) {
            Readiness::Ready(export) => seen.newest = Some(export),
            Readiness::NotYet(missing) if has_any => {
                seen.waits = Some((day, readiness::listed(&missing)));
            }
            Readiness::NotYet(_) => {}
        }
    }
    Ok(seen)
}

/// The days that a run would look at, and the newest ones whose folder is there, as the job file maps it.
fn days_to_list(exports: &Store, config: &Config, machine: &Machine) -> Result<Vec<NaiveDate>> {
    let today = (machine.clock)()
        .with_timezone(&config.time_zone)
        .date_naive();
    let back = |days| today.checked_sub_days(Days::new(days));
    let mut days: BTreeSet<NaiveDate> = (1..=DAYS_LISTED as u64).filter_map(back).collect();
    let mut folders = Folders {
        exports,
        listed: BTreeMap::new(),
    };
    let required = config.required.iter().filter_map(|name| dataset(name));
    // The folders of the first one may be named wrongly.
    for dataset in required {
        let parents = config.mapping.parents(dataset);
        let mut there = 0;
        for day in (0..DAYS_TRIED).filter_map(back) {
            if folders.has(&parents, &config.mapping.folder(dataset, day))? {
                days.insert(day);
                there += 1;
            }
            if there == DAYS_LISTED || folders.listed.len() >= MOST_LISTED {
                break;
            }
        }
        if there > 0 {
            break;
        }
    }
    Ok(days.into_iter().collect())
}

/// The names of folders in the folders that were listed.
struct Folders<'a> {
    exports: &'a Store,
    listed: BTreeMap<String, BTreeSet<String>>,
}

impl Folders<'_> {
    /// Whether a folder is there. Each name of its path below the longest of `parents` that holds it is looked
    /// for in turn, so that most days need no listing of their own.
    fn has(&mut self, parents: &[String], folder: &str) -> Result<bool> {
        let below = |parent: &&String| match parent.as_str() {
            "" => Some(folder),
            parent => folder.strip_prefix(parent)?.strip_prefix('/'),
        };
        let holding = parents.iter().filter(|parent| below(parent).is_some());
        let Some(parent) = holding.max_by_key(|parent| parent.len()) else {
            return Ok(false);
        };
        let mut place = parent.clone();
        for name in below(&parent).unwrap_or_default().split('/') {
            if !self.names_in(&place)?.contains(name) {
                return Ok(false);
            }
            place = match place.as_str() {
                "" => name.to_owned(),
                place => format!("{place}/{name}"),
            };
        }
        Ok(true)
    }

    fn names_in(&mut self, place: &str) -> Result<&BTreeSet<String>> {
        if !self.listed.contains_key(place) {
            let names = self.exports.list_folders(place)?.into_iter().collect();
            self.listed.insert(place.to_owned(), names);
        }
        Ok(&self.listed[place])
    }
}

fn streamed_bytes(day: &DayExports) -> u64 {
    let streamed = day.folders.iter().filter(|it| it.dataset.is_streamed());
    let files = streamed.flat_map(|folder| &folder.files);
    files.map(|file| file.size_bytes).sum()
}
