//! Whether a day's exports are final: lists folders, reads no rows.

use std::sync::Arc;

use anyhow::Result;
use chrono::NaiveDate;

use crate::config::Config;
use crate::contracts::{Dataset, SUCCESS_FILE, datasets::DATASETS};
use crate::fingerprint::Fingerprint;
use crate::mapping::{MappedColumns, Mapping};
use crate::messages;
use crate::store::{Entry, Listing, Store, Stray};

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
    /// Names of objects that start with `.` or `_`, except `_SUCCESS`: not data.
    pub hidden: Vec<String>,
    /// `_SUCCESS`, once the export is final.
    pub success: Option<Entry>,
}

impl Folder {
    pub(crate) fn is_final(&self) -> bool {
        self.success.is_some()
    }
}

/// A day's ten export folders, in the order of `DATASETS`.
#[derive(Clone, Debug)]
pub struct DayExports {
    pub day: NaiveDate,
    pub folders: Vec<Folder>,
}

/// Whether a run may compute a day.
#[derive(Clone, Debug)]
pub enum Readiness {
    /// All required exports are final.
    Ready(DayExports),
    /// The required datasets that are not final, sorted by name.
    NotYet(Vec<&'static str>),
}

/// Lists the folders of a day, and decides whether a run may compute it.
///
/// # Errors
/// When the store fails.
pub fn check_day(exports: &Store, day: NaiveDate, config: &Config) -> Result<Readiness> {
    let listed = list_days(exports, &config.mapping, &[day])?.remove(0);
    Ok(readiness(listed, &config.required))
}

/// Whether a run may compute a day that was listed.
pub(crate) fn readiness(day: DayExports, required: &[&'static str]) -> Readiness {
    let mut missing: Vec<&str> = required
        .iter()
        .copied()
        .filter(|name| !day.folder(name).is_some_and(Folder::is_final))
        .collect();
    missing.sort_unstable();
    if missing.is_empty() {
        Readiness::Ready(day)
    } else {
        Readiness::NotYet(missing)
    }
}

/// Lists the export folders of several days, many at a time. Every file that is not hidden is data, with
/// any ending: nothing is skipped silently.
pub(crate) fn list_days(
    exports: &Store,
    mapping: &Mapping,
    days: &[NaiveDate],
) -> Result<Vec<DayExports>> {
    let paths_of = |day: &NaiveDate| DATASETS.map(|dataset| mapping.folder(dataset, *day));
    let paths: Vec<String> = days.iter().flat_map(paths_of).collect();
    let mut listings = exports.list_each(&paths)?;
    for (path, listing) in paths.iter().zip(&mut listings) {
        add_mark(exports, path, listing)?;
    }
    let mut listings = paths.into_iter().zip(listings);
    let of_day = |day: &NaiveDate| {
        let listed = DATASETS.into_iter().zip(listings.by_ref());
        let folders = listed.map(|(dataset, (path, listing))| {
            let mapped = mapping.columns(dataset, *day);
            folder(dataset, *day, (path, mapped), listing)
        });
        DayExports {
            day: *day,
            folders: folders.collect(),
        }
    };
    Ok(days.iter().map(of_day).collect())
}

/// Asks for `_SUCCESS` by its name where the store could not list the folder: one stray name must
/// not hide that the export is final.
fn add_mark(exports: &Store, partition: &str, listing: &mut Listing) -> Result<()> {
    if listing.is_cut_short {
        let mark = exports.find(&format!("{partition}/{SUCCESS_FILE}"))?;
        listing.objects.extend(mark.map(|entry| Entry {
            name: SUCCESS_FILE.into(),
            ..entry
        }));
    }
    Ok(())
}

fn folder(
    dataset: &'static Dataset,
    day: NaiveDate,
    (path, mapped): (String, Option<Arc<MappedColumns>>),
    listing: Listing,
) -> Folder {
    let success = listing
        .objects
        .iter()
        .find(|e| e.name == SUCCESS_FILE)
        .cloned();
    let (hidden, files): (Vec<Entry>, Vec<Entry>) = listing
        .objects
        .into_iter()
        .partition(|e| is_hidden(&e.name));
    let hidden = hidden
        .into_iter()
        .map(|e| e.name)
        .filter(|name| name != SUCCESS_FILE)
        .collect();
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
        hidden,
        success,
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
    let now = list_days(exports, mapping, &[before.day])?.remove(0);
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

    /// The datasets that are not final.
    pub(crate) fn not_final(&self) -> Vec<&'static str> {
        let folders = self.folders.iter().filter(|folder| !folder.is_final());
        folders.map(|folder| folder.dataset.name).collect()
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
                fingerprint.field(&format!("{mapped:?}"));
            }
            match &folder.success {
                None => fingerprint.field("not final"),
                Some(success) => {
                    for file in folder.files.iter().chain([success]) {
                        fingerprint.field(&file.name);
                        fingerprint.field(&file.size_bytes.to_string());
                        fingerprint.field(&file.version);
                    }
                    for stray in &folder.strays {
                        fingerprint.field(&format!("{:?} {}", stray.kind, stray.name));
                    }
                }
            }
        }
        fingerprint.finish()
    }
}
