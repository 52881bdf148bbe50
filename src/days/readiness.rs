//! Whether a day's exports are final: lists folders, reads no rows.

use std::fmt;
use std::sync::Arc;

use anyhow::Result;
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};

use crate::config::Config;
use crate::contracts::{Dataset, datasets::DATASETS};
use crate::fingerprint::Fingerprint;
use crate::mapping::{Complete, MappedColumns, Mapping};
use crate::messages;
use crate::store::{Entry, Listing, Store, Stray, StrayKind};

/// The export folder of one dataset and day.
#[derive(Clone, Debug)]
pub struct Folder {
    pub dataset: &'static Dataset,
    pub day: NaiveDate,
    /// Within the exports.
    pub(crate) path: String,
    /// `None`: its columns have the contract's names and types.
    pub(crate) mapped: Option<Arc<MappedColumns>>,
    /// Its data files, sorted by name bytewise.
    pub files: Vec<Entry>,
    /// Other entries that are not hidden: they break the contract.
    pub strays: Vec<Stray>,
    /// Names of objects that start with `.` or `_`, except the mark: not data.
    pub hidden: Vec<String>,
    pub(crate) finality: Finality,
}

/// Whether an export is final, and by what.
#[derive(Clone, Debug)]
pub(crate) enum Finality {
    /// It has no mark.
    Missing,
    /// It waits for this.
    Waits(Waiting),
    /// It has this file, written last.
    Marked(Entry),
    /// Nothing in it has changed since this instant.
    Settled(DateTime<Utc>),
}

/// Why an export is not final, other than that it waits for its mark.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waiting {
    /// Nothing is in its folder, which is not the contract's. The path may be wrong.
    Nothing(String),
    /// It has no data file.
    NoData,
    /// It has a folder of this name, in which a job writes files before it moves them.
    Unfinished(String),
    /// It will be final then, if nothing in it changes.
    Settling {
        changed_at: DateTime<Utc>,
        final_at: DateTime<Utc>,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waiting::Nothing(path) => write!(f, "nothing in {path}"),
            Waiting::NoData => write!(f, "has no data file"),
            Waiting::Unfinished(folder) => write!(f, "has the folder {folder}"),
            Waiting::Settling {
                changed_at,
                final_at,
            } => {
                let [changed_at, final_at] = [*changed_at, *final_at].map(in_seconds);
                write!(f, "changed at {changed_at}, final at {final_at}")
            }
        }
    }
}

impl Folder {
    pub(crate) fn is_final(&self) -> bool {
        self.final_since().is_some()
    }

    /// When its mark was written, or the last change before it settled; `None`: it is not final.
    pub(crate) fn final_since(&self) -> Option<DateTime<Utc>> {
        match &self.finality {
            Finality::Marked(mark) => Some(mark.modified_at),
            Finality::Settled(changed_at) => Some(*changed_at),
            Finality::Missing | Finality::Waits(_) => None,
        }
    }

    pub(crate) fn mark(&self) -> Option<&Entry> {
        match &self.finality {
            Finality::Marked(mark) => Some(mark),
            Finality::Missing | Finality::Waits(_) | Finality::Settled(_) => None,
        }
    }

    fn not_final(&self) -> Option<NotFinal> {
        let waiting = match &self.finality {
            Finality::Missing => None,
            Finality::Waits(waiting) => Some(waiting.clone()),
            Finality::Marked(_) | Finality::Settled(_) => return None,
        };
        let dataset = self.dataset.name;
        Some(NotFinal { dataset, waiting })
    }
}

/// An export that is not final.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotFinal {
    pub dataset: &'static str,
    /// `None`: it waits for its mark.
    pub waiting: Option<Waiting>,
}

impl fmt::Display for NotFinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.dataset)?;
        match &self.waiting {
            None => Ok(()),
            Some(waiting) => write!(f, " ({waiting})"),
        }
    }
}

/// The names of datasets for a line.
pub fn listed(missing: &[NotFinal]) -> String {
    let shown: Vec<String> = missing.iter().map(NotFinal::to_string).collect();
    shown.join(", ")
}

/// 2026-03-15T09:30:00Z, not earlier than the instant.
pub(crate) fn in_seconds(at: DateTime<Utc>) -> String {
    let rounded = match at.timestamp_subsec_nanos() {
        0 => at,
        _ => at + TimeDelta::seconds(1),
    };
    rounded.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A day's ten export folders, in the order of `DATASETS`.
#[derive(Clone, Debug)]
pub struct DayExports {
    pub day: NaiveDate,
    /// The time by which its folders have settled or not.
    pub(crate) listed_at: DateTime<Utc>,
    pub folders: Vec<Folder>,
}

/// Whether a run may compute a day.
#[derive(Clone, Debug)]
pub enum Readiness {
    /// All required exports are final.
    Ready(DayExports),
    /// The required exports that are not final, sorted by name.
    NotYet(Vec<NotFinal>),
}

/// Lists the folders of a day, and decides whether a run may compute it.
///
/// # Errors
/// When the store fails.
pub fn check_day(
    exports: &Store,
    day: NaiveDate,
    config: &Config,
    now: DateTime<Utc>,
) -> Result<Readiness> {
    let listed = list_days(exports, &config.mapping, &[day], now)?.remove(0);
    Ok(readiness(listed, &config.required))
}

/// Whether a run may compute a day that was listed.
pub(crate) fn readiness(day: DayExports, required: &[&'static str]) -> Readiness {
    let folders = day.folders.iter();
    let required = folders.filter(|folder| required.contains(&folder.dataset.name));
    let mut missing: Vec<NotFinal> = required.filter_map(Folder::not_final).collect();
    missing.sort_unstable();
    if missing.is_empty() {
        Readiness::Ready(day)
    } else {
        Readiness::NotYet(missing)
    }
}

/// Lists the export folders of several days, many at a time. Every file that is not hidden is data, with
/// any ending: nothing is skipped silently. `now`: by which folders without a mark have settled or not.
pub(crate) fn list_days(
    exports: &Store,
    mapping: &Mapping,
    days: &[NaiveDate],
    now: DateTime<Utc>,
) -> Result<Vec<DayExports>> {
    let places_of = |day: &NaiveDate| DATASETS.map(|dataset| (dataset, *day));
    let places: Vec<(&Dataset, NaiveDate)> = days.iter().flat_map(places_of).collect();
    let folder_of = |(dataset, day): &(&'static Dataset, NaiveDate)| mapping.folder(dataset, *day);
    let paths: Vec<String> = places.iter().map(folder_of).collect();
    let mut listings = exports.list_each(&paths)?;
    for (((dataset, day), path), listing) in places.iter().zip(&paths).zip(&mut listings) {
        if let Complete::Marked(name) = mapping.complete(dataset, *day) {
            add_mark(exports, path, name, listing)?;
        }
    }
    let mut listings = paths.into_iter().zip(listings);
    let of_day = |day: &NaiveDate| {
        let listed = DATASETS.into_iter().zip(listings.by_ref());
        let folders = listed.map(|(dataset, (path, listing))| {
            let mapped = mapping.columns(dataset, *day);
            let is_empty = listing.objects.is_empty() && listing.strays.is_empty();
            let finality = match mapping.complete(dataset, *day) {
                _ if is_empty && path != dataset.partition(*day) => {
                    Finality::Waits(Waiting::Nothing(path.clone()))
                }
                Complete::Marked(name) => marked(name, &listing),
                Complete::Settled { minutes } => settled(*minutes, &listing, now),
            };
            folder(dataset, *day, (path, mapped), listing, finality)
        });
        DayExports {
            day: *day,
            listed_at: now,
            folders: folders.collect(),
        }
    };
    Ok(days.iter().map(of_day).collect())
}

/// Asks for the mark by its name where the store could not list the folder: one stray name must
/// not hide that the export is final.
fn add_mark(exports: &Store, partition: &str, name: &str, listing: &mut Listing) -> Result<()> {
    if listing.is_cut_short {
        let mark = exports.find(&format!("{partition}/{name}"))?;
        listing.objects.extend(mark.map(|entry| Entry {
            name: name.into(),
            ..entry
        }));
    }
    Ok(())
}

/// By a file of this name.
fn marked(name: &str, listing: &Listing) -> Finality {
    let mark = listing.objects.iter().find(|entry| entry.name == name);
    mark.map_or(Finality::Missing, |mark| Finality::Marked(mark.clone()))
}

/// By the time since the newest change of anything in it.
fn settled(minutes: u32, listing: &Listing, now: DateTime<Utc>) -> Finality {
    // Its files are not known, and it breaks the contract in any case.
    if listing.is_cut_short {
        return Finality::Settled(now);
    }
    // Such as _temporary and .hive-staging_...: a job moves its files out of it when it ends.
    let is_unfinished = |stray: &&Stray| stray.kind == StrayKind::Folder && is_hidden(&stray.name);
    if let Some(folder) = listing.strays.iter().find(is_unfinished) {
        return Finality::Waits(Waiting::Unfinished(folder.name.clone()));
    }
    // Moved and copied files can keep old times. They change the folder's own time.
    let changes = listing.objects.iter().map(|entry| entry.modified_at);
    let newest = changes.chain(listing.changed_at).max();
    let has_data = listing.objects.iter().any(|entry| !is_hidden(&entry.name));
    let Some(changed_at) = newest.filter(|_| has_data) else {
        return Finality::Waits(Waiting::NoData);
    };
    let final_at = changed_at + TimeDelta::minutes(minutes.into());
    match final_at <= now {
        true => Finality::Settled(changed_at),
        false => Finality::Waits(Waiting::Settling {
            changed_at,
            final_at,
        }),
    }
}

fn folder(
    dataset: &'static Dataset,
    day: NaiveDate,
    (path, mapped): (String, Option<Arc<MappedColumns>>),
    listing: Listing,
    finality: Finality,
) -> Folder {
    let is_mark =
        |entry: &Entry| matches!(&finality, Finality::Marked(mark) if mark.name == entry.name);
    let others = listing.objects.into_iter().filter(|entry| !is_mark(entry));
    let (hidden, files): (Vec<Entry>, Vec<Entry>) = others.partition(|e| is_hidden(&e.name));
    let strays = listing
        .strays
        .into_iter()
        .filter(|stray| !is_hidden(&stray.name))
        .collect();
    Folder {
        dataset,
        day,
        path,
        mapped,
        files,
        strays,
        hidden: hidden.into_iter().map(|e| e.name).collect(),
        finality,
    }
}

fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

/// Checks that the location has the folder of any dataset.
///
/// # Errors
/// `StoreFailed` when it has none: no day would ever become final there, so waiting is useless.
pub(crate) fn check_location(exports: &Store, mapping: &Mapping) -> Result<()> {
    let folders = exports.list_folders("")?;
    let parents: Vec<String> = DATASETS
        .iter()
        .flat_map(|dataset| mapping.parents(dataset))
        .collect();
    // Folders of days may lie in the location itself.
    let holds_days = |folder: &String| parents.contains(folder) || parents.contains(&String::new());
    if folders.iter().any(holds_days) {
        return Ok(());
    }
    // A mapped dataset can lie deeper.
    for parent in parents.iter().filter(|parent| parent.contains('/')) {
        if !exports.list_folders(parent)?.is_empty() {
            return Ok(());
        }
    }
    // A stray name beside the datasets can hide them from the listing.
    let each = exports.list_each(&parents)?;
    if each
        .iter()
        .any(|listing| !(listing.objects.is_empty() && listing.strays.is_empty()))
    {
        return Ok(());
    }
    let found = if folders.is_empty() {
        "nothing".to_owned()
    } else {
        folders.join(", ")
    };
    let wanted = parents[..3].join(", ");
    Err(messages::no_datasets(&exports.location, wanted, found).into())
}

/// Lists the folders of a day again: the datasets that have changed since, sorted by name.
pub(crate) fn changed_since(
    exports: &Store,
    mapping: &Mapping,
    before: &DayExports,
) -> Result<Vec<&'static str>> {
    let now = list_days(exports, mapping, &[before.day], before.listed_at)?.remove(0);
    let names = DATASETS.iter().map(|d| d.name);
    let mut changed: Vec<&str> = names
        .filter(|name| now.fingerprint(&[name]) != before.fingerprint(&[name]))
        .collect();
    changed.sort_unstable();
    Ok(changed)
}

impl DayExports {
    pub(crate) fn folder(&self, dataset: &str) -> Option<&Folder> {
        self.folders.iter().find(|f| f.dataset.name == dataset)
    }

    /// The size of the data files of some datasets.
    pub(crate) fn bytes_of(&self, is_wanted: impl Fn(&str) -> bool) -> u64 {
        let folders = self.folders.iter();
        let wanted = folders.filter(|folder| is_wanted(folder.dataset.name));
        wanted
            .flat_map(|folder| &folder.files)
            .map(|f| f.size_bytes)
            .sum()
    }

    /// The exports that are not final.
    pub(crate) fn not_final(&self) -> Vec<NotFinal> {
        self.folders.iter().filter_map(Folder::not_final).collect()
    }

    /// Identifies the exports of some datasets by the names, sizes and versions of their files and by the
    /// mapping of their columns: it changes when one of these does.
    pub(crate) fn fingerprint(&self, datasets: &[&str]) -> String {
        let mut fingerprint = Fingerprint::new("exports");
        for folder in self
            .folders
            .iter()
            .filter(|f| datasets.contains(&f.dataset.name))
        {
            fingerprint.field(folder.dataset.name);
            if let Some(mapped) = &folder.mapped {
                fingerprint.field(&mapped.described());
            }
            if !folder.is_final() {
                fingerprint.field("not final");
                continue;
            }
            for file in folder.files.iter().chain(folder.mark()) {
                fingerprint.field(&file.name);
                fingerprint.field(&file.size_bytes.to_string());
                fingerprint.field(&file.version);
            }
            for stray in &folder.strays {
                fingerprint.field(&format!("{:?} {}", stray.kind, stray.name));
            }
        }
        fingerprint.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-03-15T{time}Z").parse().unwrap()
    }

    fn listing(files: &[(&str, &str)], strays: &[(&str, StrayKind)]) -> Listing {
        let entry = |(name, time): &(&str, &str)| Entry {
            name: (*name).into(),
            size_bytes: 1,
            version: String::new(),
            modified_at: at(time),
        };
        let stray = |(name, kind): &(&str, StrayKind)| Stray {
            name: (*name).into(),
            kind: *kind,
        };
        Listing {
            objects: files.iter().map(entry).collect(),
            strays: strays.iter().map(stray).collect(),
            is_cut_short: false,
            changed_at: None,
        }
    }

    /// In words, half an hour after the last change of anything but a folder.
    fn finality(listing: &Listing, now: &str) -> String {
        match settled(30, listing, at(now)) {
            Finality::Missing => "no mark".into(),
            Finality::Waits(waiting) => waiting.to_string(),
            Finality::Settled(since) => format!("final since {}", in_seconds(since)),
            Finality::Marked(mark) => mark.name,
        }
    }

    #[test]
    fn a_folder_settles_after_its_newest_change() {
        let two = listing(&[("a", "09:00:00"), ("b", "09:10:00")], &[]);
        let (before, after) = (
            "changed at 2026-03-15T09:10:00Z, final at 2026-03-15T09:40:00Z",
            "final since 2026-03-15T09:10:00Z",
        );
        assert_eq!(finality(&two, "09:39:59"), before);
        assert_eq!(finality(&two, "09:40:00"), after);
        // The store's clock is ahead of ours.
        assert_eq!(finality(&two, "09:05:00"), before);
        // A change of a hidden file is one too.
        let hidden = listing(&[("a", "09:00:00"), ("_log", "09:10:00")], &[]);
        assert_eq!(finality(&hidden, "09:35:00"), before);
    }

    #[test]
    fn files_with_old_times_settle_after_the_change_of_their_folder() {
        let moved = Listing {
            changed_at: Some(at("09:20:00")),
            ..listing(&[("a", "07:00:00")], &[])
        };
        let waits = "changed at 2026-03-15T09:20:00Z, final at 2026-03-15T09:50:00Z";
        assert_eq!(finality(&moved, "09:49:59"), waits);
        let since = "final since 2026-03-15T09:20:00Z";
        assert_eq!(finality(&moved, "09:50:00"), since);
        let empty = Listing {
            changed_at: Some(at("09:20:00")),
            ..listing(&[], &[])
        };
        assert_eq!(finality(&empty, "23:59:59"), "has no data file");
    }

    #[test]
    fn a_folder_without_files_or_with_unfinished_ones_never_settles() {
        let none = listing(&[], &[]);
        let only_hidden = listing(&[("_log", "09:00:00")], &[]);
        for waits in [none, only_hidden] {
            assert_eq!(finality(&waits, "23:59:59"), "has no data file");
        }
        for name in ["_temporary", ".hive-staging_hive_2026-03-15_1"] {
            let says = format!("has the folder {name}");
            let unfinished = [(name, StrayKind::Folder)];
            for files in [&[("a", "09:00:00")][..], &[]] {
                assert_eq!(finality(&listing(files, &unfinished), "23:59:59"), says);
            }
            // A hidden file is none.
            let file = listing(&[("a", "09:00:00"), (name, "09:00:00")], &[]);
            let since = "final since 2026-03-15T09:00:00Z";
            assert_eq!(finality(&file, "23:59:59"), since);
        }
        // A stray breaks the contract, so the export is read, and the stray is told.
        let strays = listing(&[("a", "09:00:00")], &[("hour=00", StrayKind::Folder)]);
        let since = "final since 2026-03-15T09:00:00Z";
        assert_eq!(finality(&strays, "23:59:59"), since);
        let cut_short = Listing {
            is_cut_short: true,
            ..listing(&[], &[("a\u{fffd}", StrayKind::Name)])
        };
        let told_at_once = "final since 2026-03-15T09:00:00Z";
        assert_eq!(finality(&cut_short, "09:00:00"), told_at_once);
    }

    #[test]
    fn an_instant_in_seconds_is_never_too_early() {
        let of = |time: &str| in_seconds(at(time));
        assert_eq!(of("09:00:00"), "2026-03-15T09:00:00Z");
        assert_eq!(of("09:00:00.001"), "2026-03-15T09:00:01Z");
    }
}
