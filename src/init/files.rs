//! The newest files of a group of day folders, and the columns in their footers.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use anyhow::Result;
use chrono::NaiveDate;
use parquet::file::metadata::ParquetMetaData;

use super::layout::Group;
use crate::contracts::SUCCESS_FILE;
use crate::failure::Failure;
use crate::report::counted;
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

/// Folders of which a file is tried, newest first, until one can be read.
const MOST_TRIED: usize = 3;
/// The key that the writer of the results sets in each of its files.
const KEY_OF_RESULTS: &str = "campaign_etl.table";
/// Hidden files that other programs write before the data, or beside it.
const NO_MARKS: [&str; 2] = ["_metadata", "_common_metadata"];
/// Words in the names of files that are written last.
const LAST_WORDS: [&str; 5] = ["success", "done", "complete", "finish", "ready"];

/// A group with what its newest folders hold.
pub(super) struct GroupFiles {
    pub(super) group: Group,
    /// The number of newest folders that were looked into.
    pub(super) seen: usize,
    /// The file that marks a folder as final; `None`: no file does.
    pub(super) mark: Option<String>,
    /// The days of the folders that have the mark.
    pub(super) final_days: BTreeSet<NaiveDate>,
    /// A file of the newest folder that has one which can be read, and one of the oldest day.
    pub(super) newest: Result<OpenedFile, Unread>,
    pub(super) oldest: Option<OpenedFile>,
    /// Why other files could not be read.
    pub(super) unread: Vec<String>,
}

/// A file that was not read.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) why: String,
    /// The error of the store, if it is the reason.
    failed: Option<anyhow::Error>,
}

impl Unread {
    fn new(why: String) -> Unread {
        Unread { why, failed: None }
    }
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

    /// Whether this program wrote it as a result.
    pub(super) fn is_result(&self) -> bool {
        let pairs = self.metadata.file_metadata().key_value_metadata();
        let mut pairs = pairs.into_iter().flatten();
        pairs.any(|pair| pair.key == KEY_OF_RESULTS)
    }
}

/// Looks into the newest folders of each group. `unread`: why folders could not be listed.
///
/// # Errors
/// When the store does not answer, or lets no file be read. A file that is no Parquet file is none.
pub(super) fn open_groups(
    store: &Store,
    groups: Vec<Group>,
    unread: &mut Vec<String>,
) -> Result<Vec<GroupFiles>> {
    let newest: Vec<Vec<(NaiveDate, String)>> = groups.iter().map(newest_folders).collect();
    let oldest: Vec<Vec<(NaiveDate, String)>> = groups.iter().map(oldest_folder).collect();
    let paths: Vec<String> = newest
        .iter()
        .chain(&oldest)
        .flatten()
        .map(|(_, path)| path.clone())
        .collect();
    let mut listings = list_each(store, &paths, unread)?.into_iter();
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
    let opened =
        groups.map(|((group, newest), oldest)| open_group(&store, group, &newest, &oldest));
    let mut opened: Vec<GroupFiles> = opened.collect::<Result<_>>()?;
    if opened.iter().all(|group| group.newest.is_err()) {
        let unread = opened
            .iter_mut()
            .filter_map(|group| group.newest.as_mut().err());
        let failed = unread.filter_map(|unread| unread.failed.take()).next();
        failed.map_or(Ok(()), Err)?;
    }
    Ok(opened)
}

/// The content of each folder. One that cannot be listed counts as empty.
///
/// # Errors
/// When the store does not answer.
pub(super) fn list_each(
    store: &Store,
    folders: &[String],
    unread: &mut Vec<String>,
) -> Result<Vec<Listing>> {
    of_each(store, folders, unread, &|folders| store.list_each(folders))
}

/// What `list` gives for each folder. One that cannot be listed, such as one that this account may not read,
/// gives nothing. `unread`: why.
///
/// # Errors
/// When the location itself cannot be listed: the store does not answer.
pub(super) fn of_each<T: Default>(
    store: &Store,
    folders: &[String],
    unread: &mut Vec<String>,
    list: &dyn Fn(&[String]) -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    let error = match list(folders) {
        Ok(listed) => return Ok(listed),
        Err(error) => error,
    };
    store.list_folders("")?;
    if folders.len() > 1 {
        let (first, second) = folders.split_at(folders.len() / 2);
        let mut listed = of_each(store, first, unread, list)?;
        listed.extend(of_each(store, second, unread, list)?);
        return Ok(listed);
    }
    unread.push(told(&error));
    Ok(folders.iter().map(|_| T::default()).collect())
}

struct Folder {
    day: NaiveDate,
    path: String,
    listing: Listing,
}

impl Folder {
    fn has(&self, name: &str) -> bool {
        let mut objects = self.listing.objects.iter();
        objects.any(|object| object.name == name)
    }

    fn shown_files(&self) -> impl Iterator<Item = &Entry> {
        let objects = self.listing.objects.iter();
        objects.filter(|entry| !is_hidden(&entry.name))
    }

    /// The greatest file that is quickly sampled, or else the smallest.
    fn file(&self) -> Option<&Entry> {
        let is_data = |entry: &&Entry| entry.size_bytes >= LEAST_FILE_BYTES;
        let files = || self.shown_files().filter(is_data);
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
    let mut unread = Vec::new();
    let opened = match open_first(store, newest, &mut unread)? {
        Some(opened) => opened,
        None => Err(Unread::new(without_data(newest))),
    };
    let oldest = match open_first(store, oldest, &mut unread)? {
        Some(Ok(file)) => Some(file),
        Some(Err(of_oldest)) => {
            unread.push(of_oldest.why);
            None
        }
        None => None,
    };
    let mark = mark_of(newest);
    let is_final = |folder: &&Folder| mark.as_deref().is_some_and(|mark| folder.has(mark));
    Ok(GroupFiles {
        seen: newest.len(),
        final_days: newest.iter().filter(is_final).map(|f| f.day).collect(),
        mark,
        newest: opened,
        oldest,
        unread,
        group,
    })
}

/// Why none of these folders has a file that may be data.
fn without_data(folders: &[Folder]) -> String {
    let newest = counted(folders.len(), "folder");
    let mut files = folders
        .iter()
        .flat_map(|folder| folder.shown_files().map(move |file| (folder, file)));
    match files.next() {
        None => format!("no file in the newest {newest}"),
        Some((folder, file)) => format!(
            "no Parquet file in the newest {newest}: {}/{} has {}",
            folder.path,
            file.name,
            counted(file.size_bytes as usize, "byte")
        ),
    }
}

/// Whether the name of a file says that it is no data.
fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

/// The file that marks a folder as final: `_SUCCESS`, or else a hidden or empty file that every folder has.
/// The newest folder may still be written.
fn mark_of(newest: &[Folder]) -> Option<String> {
    if newest.iter().any(|folder| folder.has(SUCCESS_FILE)) {
        return Some(SUCCESS_FILE.to_owned());
    }
    let filled = newest.iter().filter(|f| !f.listing.objects.is_empty());
    let filled: Vec<&Folder> = filled.collect();
    let others = filled.get(1..).filter(|others| !others.is_empty());
    let others = others.unwrap_or(&filled);
    let entries = &others.first()?.listing.objects;
    let is_everywhere = |entry: &&Entry| others.iter().all(|folder| folder.has(&entry.name));
    let marks = entries.iter().filter(|entry| is_mark(entry));
    let best = marks.filter(is_everywhere).max_by_key(|entry| {
        let is_empty = entry.size_bytes == 0;
        (
            is_named_as_last(&entry.name),
            is_empty,
            Reverse(&entry.name),
        )
    });
    best.map(|entry| entry.name.clone())
}

/// Whether a file can be a mark, by its name and size.
fn is_mark(entry: &Entry) -> bool {
    let name = entry.name.as_str();
    let is_in_words = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_hidden = name.starts_with('_') || name.starts_with('.') && is_named_as_last(name);
    let is_data = name.ends_with(".parquet") || name.ends_with(".crc") || name == "none";
    let can_be_named = name.chars().all(is_in_words) && !is_data && !NO_MARKS.contains(&name);
    can_be_named && (is_hidden || entry.size_bytes == 0 && !name.starts_with('.'))
}

/// Whether the name says that the file is written last.
pub(super) fn is_named_as_last(name: &str) -> bool {
    let name = name.to_lowercase();
    LAST_WORDS.iter().any(|word| name.contains(word))
}

/// Opens a file of the first folder that has one which can be read; `None`: none has one. The inner error
/// says why the first cannot be read; `unread`, why those before the opened one cannot.
fn open_first(
    store: &Store,
    folders: &[Folder],
    unread: &mut Vec<String>,
) -> Result<Option<Result<OpenedFile, Unread>>> {
    let with_file = folders
        .iter()
        .filter_map(|folder| Some((folder, folder.file()?)));
    let mut failed = Vec::new();
    for (folder, file) in with_file.take(MOST_TRIED) {
        match open(store, folder.day, &folder.path, file)? {
            Ok(opened) => {
                unread.extend(failed.into_iter().map(|failed: Unread| failed.why));
                return Ok(Some(Ok(opened)));
            }
            Err(why) => failed.push(why),
        }
    }
    Ok(failed.into_iter().next().map(Err))
}

fn open(
    store: &Store,
    day: NaiveDate,
    folder: &str,
    file: &Entry,
) -> Result<Result<OpenedFile, Unread>> {
    let path = format!("{folder}/{}", file.name);
    Ok(match read_footer(store, &path, file.size_bytes) {
        Ok(metadata) => Ok(OpenedFile {
            day,
            path,
            size_bytes: file.size_bytes,
            metadata,
        }),
        Err(FileError::Store(error)) => Err(Unread {
            why: of_object(store, &path, &error)?,
            failed: Some(error),
        }),
        Err(FileError::Encrypted) => Err(Unread::new(format!("{path} is encrypted"))),
        Err(FileError::Damaged(why)) => {
            let why = format!("{path} is no Parquet file: {why}");
            Err(Unread::new(why))
        }
    })
}

/// Why an object cannot be read, such as an archived one or one of somebody else.
///
/// # Errors
/// When the store does not list its folder either: it does not answer.
pub(super) fn of_object(store: &Store, path: &str, error: &anyhow::Error) -> Result<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    store.list_each(&[folder.to_owned()])?;
    Ok(told(error))
}

/// An error without its remedy: nothing has to be done for a sample.
pub(super) fn told(error: &anyhow::Error) -> String {
    let failure = Failure::behind(error);
    failure.map_or_else(
        || format!("{error:#}"),
        |failure| failure.parts.what.clone(),
    )
}

/// A file of each of some days of a group, spread over its days, the first and the last among them.
/// `unread`: why others cannot be read.
pub(super) fn open_days(
    store: &Store,
    group: &Group,
    most: usize,
    unread: &mut Vec<String>,
) -> Result<Vec<OpenedFile>> {
    let days: Vec<(&NaiveDate, &String)> = group.folders.iter().collect();
    let last = days.len().saturating_sub(1);
    let mut chosen: Vec<usize> = (0..most)
        .map(|n| n * last / most.saturating_sub(1).max(1))
        .filter(|position| *position < days.len())
        .collect();
    chosen.dedup();
    let paths: Vec<String> = chosen.iter().map(|n| days[*n].1.clone()).collect();
    let mut files = Vec::new();
    for (position, listing) in chosen.iter().zip(list_each(store, &paths, unread)?) {
        let (day, path) = days[*position];
        let folder = Folder {
            day: *day,
            path: path.clone(),
            listing,
        };
        match open_first(store, std::slice::from_ref(&folder), unread)? {
            Some(Ok(file)) => files.push(file),
            Some(Err(of_day)) => unread.push(of_day.why),
            None => {}
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tokio::runtime::Runtime;

    use super::*;
    use crate::store::Access;
    use crate::testing::{march, noon};

    /// Folders of days, newest first, with the names and sizes of their files.
    fn folders(of_days: &[&[(&str, u64)]]) -> Vec<Folder> {
        let entry = |(name, size_bytes): &(&str, u64)| Entry {
            name: (*name).to_owned(),
            size_bytes: *size_bytes,
            version: String::new(),
            modified_at: noon(),
        };
        let folder = |files: &&[(&str, u64)]| Folder {
            day: march(14),
            path: "shops".into(),
            listing: Listing {
                objects: files.iter().map(entry).collect(),
                ..Listing::default()
            },
        };
        of_days.iter().map(folder).collect()
    }

    #[test]
    fn the_mark_is_a_hidden_or_empty_file_of_every_folder() {
        const DATA: (&str, u64) = ("a.parquet", 500);
        /// Days, each with its marks and their sizes; and the mark that is found.
        type Case<'a> = (&'a [&'a [(&'a str, u64)]], Option<&'a str>);
        let cases: &[Case] = &[
            (
                &[&[DATA, ("_DONE", 0)], &[DATA, ("_DONE", 0)]],
                Some("_DONE"),
            ),
            // The newest folder is still written, and one folder has nothing yet.
            (&[&[DATA], &[], &[DATA, ("_DONE", 3)]], Some("_DONE")),
            (
                &[&[DATA, ("_DONE", 0)], &[DATA], &[DATA, ("_DONE", 0)]],
                None,
            ),
            (
                &[&[DATA, ("_SUCCESS", 0)], &[DATA, ("_DONE", 0)]],
                Some("_SUCCESS"),
            ),
            (&[&[DATA, ("ready", 0), ("x", 0)]], Some("ready")),
            (&[&[DATA, ("_log", 9), ("x", 0)]], Some("x")),
            (&[&[DATA, (".done", 0)]], Some(".done")),
            // A partition of Hudi has this file first; Parquet's summaries are no marks.
            (
                &[&[DATA, (".hoodie_partition_metadata", 96), ("_metadata", 700)]],
                None,
            ),
            (
                &[&[("empty.parquet", 0), ("two words", 0), ("notes.txt", 9)]],
                None,
            ),
            (&[], None),
        ];
        for (of_days, expected) in cases {
            let folders = folders(of_days);
            assert_eq!(mark_of(&folders).as_deref(), *expected, "{of_days:?}");
        }
    }

    #[test]
    fn files_too_small_for_parquet_are_told_from_none() {
        let why = |files: &[(&str, u64)]| without_data(&folders(&[&[], files]));
        let seen = "no Parquet file in the newest 2 folders: shops/a.csv has 4 bytes";
        assert_eq!(why(&[("_SUCCESS", 0), ("a.csv", 4)]), seen);
        assert_eq!(why(&[("_SUCCESS", 0)]), "no file in the newest 2 folders");
    }

    #[test]
    fn a_folder_of_a_day_that_cannot_be_listed_counts_as_empty_and_is_told() {
        let (folder, runtime) = (TempDir::new().unwrap(), Runtime::new().unwrap());
        std::fs::create_dir_all(folder.path().join("shops/dt=2026-03-14")).unwrap();
        std::fs::write(folder.path().join("shops/dt=2026-03-14/a.parquet"), "").unwrap();
        std::fs::write(folder.path().join("shops/dt=2026-03-15"), "").unwrap();
        let location = folder.path().to_str().unwrap();
        let store = Store::open(location, Access::Read, &[], runtime.handle().clone()).unwrap();
        let days = ["shops/dt=2026-03-14", "shops/dt=2026-03-15"].map(str::to_owned);
        let mut unread = Vec::new();
        let listed = list_each(&store, &days, &mut unread).unwrap();
        let files: Vec<usize> = listed.iter().map(|listing| listing.objects.len()).collect();
        assert_eq!(files, [1, 0]);
        assert!(unread[0].contains("dt=2026-03-15"), "{unread:?}");
    }
}
