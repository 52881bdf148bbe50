//! The newest files of a group of day folders, and the columns in their footers.

use anyhow::Result;
use chrono::NaiveDate;
use parquet::file::metadata::ParquetMetaData;

use super::layout::Group;
use crate::contracts::SUCCESS_FILE;
use crate::store::{Entry, Listing, Store};
use crate::untrusted_parquet::failure::FileError;
use crate::untrusted_parquet::footer::read_footer;

/// The newest folders of each group that are looked into.
const NEWEST: usize = 31;
/// A greater file is opened only where there is no other: a sample of it takes longer.
const SAMPLED_FILE_BYTES: u64 = 64 << 20;
/// A smaller file has hardly more than its footer.
const LEAST_FILE_BYTES: u64 = 12;
/// Bytes at the end of a file that hold most footers.
const END_BYTES: u64 = 128 << 10;

/// A group with what its newest folders hold.
pub(super) struct GroupFiles {
    pub(super) group: Group,
    /// The number of newest folders that were looked into.
    pub(super) seen: usize,
    /// How many of them have a `_SUCCESS`.
    pub(super) final_days: usize,
    /// The newest of them with a `_SUCCESS`.
    pub(super) last_final_day: Option<NaiveDate>,
    /// A file of the newest folder that has one, and one of the oldest day.
    pub(super) newest: Result<OpenedFile, String>,
    pub(super) oldest: Option<OpenedFile>,
}

/// A Parquet file with its footer.
pub(super) struct OpenedFile {
    pub(super) day: NaiveDate,
    pub(super) path: String,
    pub(super) size_bytes: u64,
    pub(super) metadata: ParquetMetaData,
}

impl OpenedFile {
    /// The names of its outermost columns, in their order.
    pub(super) fn columns(&self) -> Vec<&str> {
        let schema = self.metadata.file_metadata().schema_descr();
        let roots = schema.root_schema().get_fields().iter();
        roots.map(|root| root.name()).collect()
    }
}

/// Looks into the newest folders of each group.
///
/// # Errors
/// When the store fails. A file that is no Parquet file is none.
pub(super) fn open_groups(store: &Store, groups: Vec<Group>) -> Result<Vec<GroupFiles>> {
    let newest: Vec<Vec<(NaiveDate, String)>> = groups.iter().map(newest_folders).collect();
    let oldest: Vec<Vec<(NaiveDate, String)>> = groups.iter().map(oldest_folder).collect();
    let paths: Vec<String> = newest
        .iter()
        .chain(&oldest)
        .flatten()
        .map(|(_, path)| path.clone())
        .collect();
    let mut listings = store.list_each(&paths)?.into_iter();
    let mut listed = |folders: Vec<Vec<(NaiveDate, String)>>| -> Vec<Vec<Folder>> {
        let of_group = |folders: Vec<(NaiveDate, String)>| {
            let folders = folders.into_iter().zip(listings.by_ref());
            folders
                .map(|((day, path), listing)| Folder { day, path, listing })
                .collect()
        };
        folders.into_iter().map(of_group).collect()
    };
    let (newest, oldest) = (listed(newest), listed(oldest));
    let store = with_footers(store, newest.iter().chain(&oldest));
    let groups = groups.into_iter().zip(newest).zip(oldest);
    groups
        .map(|((group, newest), oldest)| open_group(&store, group, &newest, &oldest))
        .collect()
}

struct Folder {
    day: NaiveDate,
    path: String,
    listing: Listing,
}

impl Folder {
    fn is_final(&self) -> bool {
        let mut objects = self.listing.objects.iter();
        objects.any(|object| object.name == SUCCESS_FILE)
    }

    /// The greatest file that is quickly sampled, or else the smallest.
    fn file(&self) -> Option<&Entry> {
        let is_data = |entry: &&Entry| {
            !entry.name.starts_with(['.', '_']) && entry.size_bytes >= LEAST_FILE_BYTES
        };
        let files = || self.listing.objects.iter().filter(is_data);
        let quick = files().filter(|entry| entry.size_bytes <= SAMPLED_FILE_BYTES);
        let quick = quick.reduce(|best, next| match next.size_bytes > best.size_bytes {
            true => next,
            false => best,
        });
        quick.or_else(|| files().min_by_key(|entry| entry.size_bytes))
    }
}

/// Newest first.
fn newest_folders(group: &Group) -> Vec<(NaiveDate, String)> {
    let newest = group.folders.iter().rev().take(NEWEST);
    newest.map(|(day, path)| (*day, path.clone())).collect()
}

fn oldest_folder(group: &Group) -> Vec<(NaiveDate, String)> {
    let oldest = group.folders.iter().take(1);
    oldest.map(|(day, path)| (*day, path.clone())).collect()
}

/// The store with the ends of the files that will be opened in memory, fetched side by side.
fn with_footers<'a>(store: &Store, groups: impl Iterator<Item = &'a Vec<Folder>>) -> Store {
    if !store.is_remote() {
        return store.clone();
    }
    let end = |folder: &Folder| {
        let file = folder.file()?;
        let start = file.size_bytes.saturating_sub(END_BYTES);
        Some((
            format!("{}/{}", folder.path, file.name),
            start..file.size_bytes,
        ))
    };
    let ends = groups.filter_map(|folders| folders.iter().find_map(end));
    store.with_fetched(ends.collect())
}

fn open_group(
    store: &Store,
    group: Group,
    newest: &[Folder],
    oldest: &[Folder],
) -> Result<GroupFiles> {
    let opened = match open_first(store, newest)? {
        Some(opened) => opened,
        None => Err(format!("no file in the newest {} folders", newest.len())),
    };
    let oldest = open_first(store, oldest)?.and_then(Result::ok);
    Ok(GroupFiles {
        seen: newest.len(),
        final_days: newest.iter().filter(|folder| folder.is_final()).count(),
        last_final_day: newest.iter().find(|f| f.is_final()).map(|f| f.day),
        newest: opened,
        oldest,
        group,
    })
}

/// Opens a file of the first folder that has one; `None`: none has. The inner error says why it cannot be
/// read.
fn open_first(store: &Store, folders: &[Folder]) -> Result<Option<Result<OpenedFile, String>>> {
    let first = folders
        .iter()
        .find_map(|folder| Some((folder, folder.file()?)));
    let Some((folder, file)) = first else {
        return Ok(None);
    };
    open(store, folder.day, &folder.path, file).map(Some)
}

fn open(
    store: &Store,
    day: NaiveDate,
    folder: &str,
    file: &Entry,
) -> Result<Result<OpenedFile, String>> {
    let path = format!("{folder}/{}", file.name);
    Ok(match read_footer(store, &path, file.size_bytes) {
        Ok(metadata) => Ok(OpenedFile {
            day,
            path,
            size_bytes: file.size_bytes,
            metadata,
        }),
        Err(FileError::Store(error)) => return Err(error),
        Err(FileError::Encrypted) => Err(format!("{path} is encrypted")),
        Err(FileError::Damaged(why)) => Err(format!("{path} is no Parquet file: {why}")),
    })
}

/// A file of each of some days of a group, spread over its days, the first and the last among them.
pub(super) fn open_days(store: &Store, group: &Group, most: usize) -> Result<Vec<OpenedFile>> {
    let days: Vec<(&NaiveDate, &String)> = group.folders.iter().collect();
    let last = days.len().saturating_sub(1);
    let mut chosen: Vec<usize> = (0..most)
        .map(|n| n * last / most.saturating_sub(1).max(1))
        .filter(|position| *position < days.len())
        .collect();
    chosen.dedup();
    let paths: Vec<String> = chosen.iter().map(|n| days[*n].1.clone()).collect();
    let mut files = Vec::new();
    for (position, listing) in chosen.iter().zip(store.list_each(&paths)?) {
        let (day, path) = days[*position];
        let folder = Folder {
            day: *day,
            path: path.clone(),
            listing,
        };
        files.extend(open_first(store, std::slice::from_ref(&folder))?.and_then(Result::ok));
    }
    Ok(files)
}
