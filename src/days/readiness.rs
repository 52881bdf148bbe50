//! Whether a day's exports are final; lists folders, reads no rows.

use anyhow::Result;
use chrono::NaiveDate;

use crate::contracts::{Dataset, SUCCESS_FILE, datasets::DATASETS};
use crate::record::fingerprint::Fingerprint;
use crate::store::{Entry, Store};

/// The export folder of one dataset and day.
#[derive(Clone, Debug)]
pub struct Folder {
    pub dataset: &'static Dataset,
    pub day: NaiveDate,
    /// Its Parquet files, sorted by name bytewise.
    pub files: Vec<Entry>,
    /// `_SUCCESS`, once the export is final.
    pub success: Option<Entry>,
}

impl Folder {
    pub fn is_final(&self) -> bool {
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

/// Looks at the folders of a day.
pub fn check_day(exports: &Store, day: NaiveDate, required: &[&'static str]) -> Result<Readiness> {
    let day = list_day(exports, day)?;
    let mut missing: Vec<&str> =
        required.iter().copied().filter(|name| !day.folder(name).is_some_and(Folder::is_final)).collect();
    missing.sort_unstable();
    Ok(if missing.is_empty() { Readiness::Ready(day) } else { Readiness::NotYet(missing) })
}

/// Lists a day's export folders. Names that start with `.` or `_` are not data.
fn list_day(exports: &Store, day: NaiveDate) -> Result<DayExports> {
    let listed = exports.list_each(&DATASETS.map(|dataset| dataset.partition(day)))?;
    let folder = |(dataset, entries): (&'static Dataset, Vec<Entry>)| {
        let success = entries.iter().find(|e| e.name == SUCCESS_FILE).cloned();
        let is_data = |e: &Entry| e.name.ends_with(".parquet") && !e.name.starts_with(['.', '_']);
        Folder { dataset, day, files: entries.into_iter().filter(is_data).collect(), success }
    };
    Ok(DayExports { day, folders: DATASETS.into_iter().zip(listed).map(folder).collect() })
}

/// The datasets whose folders are not what they were, listed again; sorted by name.
pub fn changed_since(exports: &Store, before: &DayExports) -> Result<Vec<&'static str>> {
    let now = list_day(exports, before.day)?;
    let names = DATASETS.iter().map(|d| d.name);
    let mut changed: Vec<&str> = names.filter(|name| now.fingerprint(&[name]) != before.fingerprint(&[name])).collect();
    changed.sort_unstable();
    Ok(changed)
}

impl DayExports {
    pub fn folder(&self, dataset: &str) -> Option<&Folder> {
        self.folders.iter().find(|f| f.dataset.name == dataset)
    }

    /// Identifies the exports of a day by the names, sizes and versions of their files; changes when any of them does.
    pub fn fingerprint(&self, datasets: &[&str]) -> String {
        let mut fingerprint = Fingerprint::new("exports");
        for folder in self.folders.iter().filter(|f| datasets.contains(&f.dataset.name)) {
            fingerprint.field(folder.dataset.name);
            match &folder.success {
                None => fingerprint.field("not final"),
                Some(success) => {
                    for file in folder.files.iter().chain([success]) {
                        fingerprint.field(&file.name);
                        fingerprint.field(&file.size_bytes.to_string());
                        fingerprint.field(&file.version);
                    }
                }
            }
        }
        fingerprint.finish()
    }
}
