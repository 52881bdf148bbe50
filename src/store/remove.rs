//! Objects and folders removed; on a disk also the folders that are empty then.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Result;
use object_store::ObjectStoreExt;

use super::open::Store;
use super::write::sync_folder;

impl Store {
    /// Removes an object; one that does not exist is fine.
    pub fn remove(&self, path: &str) -> Result<()> {
        if let Some(root) = &self.local_root {
            let removed = gone(fs::remove_file(root.join(path)))
                .and_then(|()| remove_empty_folders(root, path));
            return removed.map_err(|e| self.failed_to("delete", path, &e));
        }
        self.runtime().block_on(self.delete(path))
    }

    /// Removes several objects, side by side in an object store.
    pub(crate) fn remove_each(&self, paths: &[String]) -> Result<()> {
        match self.local_root {
            Some(_) => paths.iter().try_for_each(|path| self.remove(path)),
            None => self
                .wait_each(paths.iter().map(|path| self.delete(path)))
                .map(drop),
        }
    }

    async fn delete(&self, path: &str) -> Result<()> {
        let full = self.path("delete", path)?;
        match self.in_time(self.inner.delete(&full)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.failed("delete", path, &e)),
        }
    }

    /// Removes a folder with everything in it; on a disk also the files that a killed process
    /// left half-written there.
    pub fn remove_folder(&self, folder: &str) -> Result<()> {
        if let Some(root) = &self.local_root {
            let removed = gone(fs::remove_dir_all(root.join(folder)));
            let removed = removed.and_then(|()| remove_empty_folders(root, folder));
            return removed.map_err(|e| self.failed_to("delete", folder, &e));
        }
        let listed = self.list_all(folder)?.into_iter();
        let paths: Vec<String> = listed
            .map(|entry| format!("{folder}/{}", entry.name))
            .collect();
        self.remove_each(&paths)
    }
}

/// Removes the folders above a path that are empty now, and syncs the first that stays.
/// `object_store` syncs files that it writes, but not deletions.
fn remove_empty_folders(root: &Path, path: &str) -> io::Result<()> {
    let full = root.join(path);
    for above in full
        .ancestors()
        .skip(1)
        .take_while(|folder| *folder != root)
    {
        // Another process may remove it meanwhile, or put an entry into it.
        if fs::remove_dir(above).is_err() && sync_folder(above)? {
            return Ok(());
        }
    }
    sync_folder(root).map(drop)
}

/// A missing file or folder counts as removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|e| {
        if e.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(e)
        }
    })
}
