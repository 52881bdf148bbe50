//! Folders listed: directly with the entries that cannot be objects, or at any depth.

use std::io;
use std::path::Path as DiskPath;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta};

use super::entry::{Entry, Listing, Stray, StrayKind};
use super::local_listing;
use super::open::Store;

impl Store {
    /// The content of each folder. A folder that does not exist is empty.
    pub fn list_each(&self, folders: &[String]) -> Result<Vec<Listing>> {
        if let Some(root) = &self.local_root {
            let folders = folders.iter().map(String::as_str);
            return self.list_on_disk(root, folders, local_listing::list);
        }
        self.wait_each(folders.iter().map(|folder| self.list_objects(folder)))
    }

    /// The names of the folders directly in a folder, sorted. None where an object store lists a
    /// name there that cannot be a path: then it lists no other entry.
    pub fn list_folders(&self, folder: &str) -> Result<Vec<String>> {
        if let Some(root) = &self.local_root {
            return local_listing::list_folders(&root.join(folder))
                .map_err(|e| self.failed_to("list", folder, &e));
        }
        let path = self.path("list", folder)?;
        let listing = self.inner.list_with_delimiter(Some(&path));
        let mut names: Vec<String> = match self.runtime().block_on(listing) {
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
    }
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
