//! Folders listed: directly with the entries that cannot be objects, or at any depth.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::Path as DiskPath;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt};
use object_store::path::{Path, PathPart};
use object_store::{ListResult, ObjectMeta};

use super::entry::{Entry, Listing, Stray, StrayKind};
use super::local_listing;
use super::open::Store;
use crate::contracts::SUCCESS_FILE;

/// Objects of other folders that one listing may meet for each folder that is wanted. With more of them,
/// such as those of years after the wanted days, a listing of each folder takes fewer requests.
const OTHERS_PER_FOLDER: usize = 1000;

impl Store {
    /// The content of each folder. A folder that does not exist is empty. Folders of one folder are found by
    /// one listing of that, which takes one request for a thousand objects.
    pub fn list_each(&self, folders: &[String]) -> Result<Vec<Listing>> {
        if let Some(root) = &self.local_root {
            let folders = folders.iter().map(String::as_str);
            return self.list_on_disk(root, folders, local_listing::list);
        }
        let mut by_parent: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (parent, name) in folders.iter().filter_map(|folder| folder.rsplit_once('/')) {
            by_parent.entry(parent).or_default().insert(name);
        }
        by_parent.retain(|_, names| names.len() > 1);
        let siblings = by_parent.iter();
        let siblings = siblings.map(|(parent, names)| self.list_siblings(parent, names));
        let siblings = self.wait_each(siblings)?.into_iter().flatten();
        let mut listed: HashMap<String, Listing> = siblings.collect();
        let apart = folders
            .iter()
            .filter(|folder| !listed.contains_key(*folder));
        let apart: Vec<&String> = apart.collect();
        let of_apart = self.wait_each(apart.iter().map(|folder| self.list_objects(folder)))?;
        listed.extend(apart.into_iter().cloned().zip(of_apart));
        let listings = folders.iter().map(|folder| listed.get(folder).cloned());
        Ok(listings.map(Option::unwrap_or_default).collect())
    }

    /// The names of the folders directly in a folder, sorted. None where an object store lists a
    /// name there that cannot be a path: then it lists no other entry.
    pub fn list_folders(&self, folder: &str) -> Result<Vec<String>> {
        let folders = [folder.to_owned()];
        Ok(self.list_folders_of_each(&folders)?.remove(0))
    }

    /// The same of several folders, side by side.
    pub(crate) fn list_folders_of_each(&self, folders: &[String]) -> Result<Vec<Vec<String>>> {
        if let Some(root) = &self.local_root {
            let folders = folders.iter().map(String::as_str);
            return self.list_on_disk(root, folders, local_listing::list_folders);
        }
        self.wait_each(folders.iter().map(|folder| self.folders_of(folder)))
    }

    async fn folders_of(&self, folder: &str) -> Result<Vec<String>> {
        let path = self.path("list", folder)?;
        let mut names: Vec<String> = match self.inner.list_with_delimiter(Some(&path)).await {
            Err(object_store::Error::NotFound { .. } | object_store::Error::InvalidPath { .. }) => {
                vec![]
            }
            Err(e) => return Err(self.failed("list", folder, &e)),
            Ok(listed) => listed
                .common_prefixes
                .iter()
                .filter_map(|p| p.filename().map(str::to_owned))
                .collect(),
        };
        names.sort();
        Ok(names)
    }

    /// Whether a folder on a disk is a link to one that holds it: its paths would never end.
    pub(crate) fn is_link_to_above(&self, folder: &str) -> bool {
        let root = self.local_root.as_ref();
        root.is_some_and(|root| local_listing::is_link_to_above(root, folder))
    }

    /// Every object below a folder, at any depth, sorted by its path below that folder.
    pub fn list_all(&self, folder: &str) -> Result<Vec<Entry>> {
        if let Some(root) = &self.local_root {
            return local_listing::list_below(&root.join(folder))
                .map_err(|e| self.failed_to("list", folder, &e));
        }
        self.runtime().block_on(self.list_objects_below(folder))
    }

    /// Every object below each folder, at any depth, sorted by its path below that folder.
    pub fn list_all_of_each(&self, folders: &[&str]) -> Result<Vec<Vec<Entry>>> {
        if let Some(root) = &self.local_root {
            let folders = folders.iter().copied();
            return self.list_on_disk(root, folders, local_listing::list_below);
        }
        self.wait_each(folders.iter().map(|folder| self.list_objects_below(folder)))
    }

    /// Files on a disk that a killed process left half-written directly in a folder; `object_store`
    /// hides them.
    pub(crate) fn list_half_written(&self, folder: &str) -> Result<Vec<Entry>> {
        let Some(root) = &self.local_root else {
            return Ok(vec![]);
        };
        local_listing::list_half_written(&root.join(folder))
            .map_err(|e| self.failed_to("list", folder, &e))
    }

    fn list_on_disk<'a, T>(
        &self,
        root: &DiskPath,
        folders: impl Iterator<Item = &'a str>,
        list: impl Fn(&DiskPath) -> io::Result<T>,
    ) -> Result<Vec<T>> {
        folders
            .map(|folder| list(&root.join(folder)).map_err(|e| self.failed_to("list", folder, &e)))
            .collect()
    }

    async fn list_objects(&self, folder: &str) -> Result<Listing> {
        let path = self.path("list", folder)?;
        let listing = match self.inner.list_with_delimiter(Some(&path)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(Listing::default()),
            Err(object_store::Error::InvalidPath { source }) => Ok(cut_short(&source.to_string())),
            Err(error) => Err(error),
            Ok(listed) => self.with_strays(&path, listed).await,
        };
        listing.map_err(|e| self.failed("list", folder, &e))
    }

    /// The content of folders of one folder, by their paths, from one listing at any depth. A folder is left
    /// out where this listing does not tell all: then it must be listed by itself.
    async fn list_siblings(
        &self,
        parent: &str,
        names: &BTreeSet<&str>,
    ) -> Result<Vec<(String, Listing)>> {
        let of_parent = self.path("list", parent)?;
        let mut objects = match names.first().and_then(|first| just_before(first)) {
            Some(before) => {
                let before = self.path("list", &format!("{parent}/{before}"))?;
                self.inner.list_with_offset(Some(&of_parent), &before)
            }
            None => self.inner.list(Some(&of_parent)),
        };
        let mut found: BTreeMap<&str, Listing> = names
            .iter()
            .map(|name| (*name, Listing::default()))
            .collect();
        let (mut others, most_others) = (0, OTHERS_PER_FOLDER * names.len());
        loop {
            let meta = match objects.try_next().await {
                Ok(Some(meta)) => meta,
                Ok(None) | Err(object_store::Error::NotFound { .. }) => break,
                // One name that cannot be a path hides the others. Its folder is told by itself.
                Err(object_store::Error::InvalidPath { .. }) => return Ok(vec![]),
                Err(error) => return Err(self.failed("list", parent, &error)),
            };
            let Some(below) = meta.location.prefix_match(&of_parent) else {
                continue;
            };
            let below: Vec<PathPart> = below.collect();
            let Some(folder) = below.first().and_then(|name| names.get(name.as_ref())) else {
                others += 1;
                if others > most_others {
                    return Ok(vec![]);
                }
                continue;
            };
            match &below[..] {
                [_, name] if !may_be_a_folder(name.as_ref(), &meta) => {
                    if let Some(listing) = found.get_mut(folder) {
                        let entry = Entry::new(name.as_ref().to_owned(), &meta);
                        listing.objects.push(entry);
                    }
                }
                // The mark of the folder itself.
                [_] => {}
                _ => drop(found.remove(folder)),
            }
        }
        found.values_mut().for_each(Listing::sort);
        let found = found.into_iter();
        Ok(found
            .map(|(name, listing)| (format!("{parent}/{name}"), listing))
            .collect())
    }

    /// The objects of a folder that was listed; folders in it are strays unless they are empty.
    async fn with_strays(
        &self,
        folder: &Path,
        listed: ListResult,
    ) -> object_store::Result<Listing> {
        let mut listing = Listing::default();
        // Consoles mark a folder with an empty object whose name is that of the folder and a slash.
        for meta in listed
            .objects
            .iter()
            .filter(|meta| meta.location != *folder)
        {
            if let Some(name) = meta.location.filename() {
                listing.objects.push(Entry::new(name.to_owned(), meta));
            }
        }
        for below in &listed.common_prefixes {
            if let Some(name) = below.filename()
                && self.has_objects(below).await?
            {
                listing.strays.push(Stray {
                    name: name.to_owned(),
                    kind: StrayKind::Folder,
                });
            }
        }
        listing.sort();
        Ok(listing)
    }

    /// Whether there is any object below a path, other than the mark of the folder.
    async fn has_objects(&self, path: &Path) -> object_store::Result<bool> {
        let mut below = self.inner.list(Some(path));
        while let Some(meta) = below.next().await {
            match meta {
                Ok(meta) if meta.location == *path => {}
                Err(error) if !matches!(error, object_store::Error::InvalidPath { .. }) => {
                    return Err(error);
                }
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    async fn list_objects_below(&self, folder: &str) -> Result<Vec<Entry>> {
        let path = self.path("list", folder)?;
        let listed: object_store::Result<Vec<ObjectMeta>> =
            self.inner.list(Some(&path)).try_collect().await;
        match listed {
            Err(object_store::Error::NotFound { .. }) => Ok(vec![]),
            Err(e) => Err(self.failed("list", folder, &e)),
            Ok(objects) => Ok(entries_below(&path, &objects)),
        }
    }
}

/// The listing of a folder that an object store refuses to list because of one name. The message
/// has that name with its control characters, which would break the line that shows it.
fn cut_short(message: &str) -> Listing {
    Listing {
        objects: vec![],
        strays: vec![Stray {
            name: message.replace(char::is_control, "\u{fffd}"),
            kind: StrayKind::Name,
        }],
        is_cut_short: true,
        changed_at: None,
    }
}

/// A name before this one, to list from. Not the name itself: SeaweedFS takes "after a/b" as after all that is
/// in the folder `a/b`.
fn just_before(name: &str) -> Option<&str> {
    let last = name.chars().next_back()?;
    name.strip_suffix(last).filter(|before| !before.is_empty())
}

/// Whether an object may be the mark of an empty folder: consoles make an empty object whose name ends with
/// a slash, and a listing at any depth gives it without the slash. `_SUCCESS` is often empty, and is no
/// folder.
fn may_be_a_folder(name: &str, meta: &ObjectMeta) -> bool {
    meta.size == 0 && name != SUCCESS_FILE
}

fn entries_below(folder: &Path, objects: &[ObjectMeta]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = objects
        .iter()
        .filter_map(|meta| {
            let below = Path::from_iter(meta.location.prefix_match(folder)?);
            Some(Entry::new(below.to_string(), meta))
        })
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}
