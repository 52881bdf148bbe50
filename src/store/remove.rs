//! Objects and folders removed; on a disk also the folders that are empty then.

use std::fs;
use std::io;
use std::path::Path as DiskPath;

use anyhow::Result;
use futures::{FutureExt, StreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::open::Store;
use super::write::sync_folder;

/// Objects of one request: S3 accepts no more.
const DELETED_AT_ONCE: usize = 1000;

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

    /// Removes several objects; those that do not exist are fine. An object store that can is asked for
    /// many at once.
    ///
    /// # Errors
    /// When an object may still be there. All requests have ended, and the others may be gone.
    pub(crate) fn remove_each(&self, paths: &[String]) -> Result<()> {
        match self.local_root {
            Some(_) => paths.iter().try_for_each(|path| self.remove(path)),
            None => {
                let some = paths.chunks(DELETED_AT_ONCE);
                self.wait_each(some.map(|some| self.delete_each(some)))
                    .map(drop)
            }
        }
    }

    async fn delete_each(&self, paths: &[String]) -> Result<()> {
        let full: Result<Vec<Path>> = paths.iter().map(|path| self.path("delete", path)).collect();
        let full = futures::stream::iter(full?.into_iter().map(Ok)).boxed();
        let deleted = self.inner.delete_stream(full).collect::<Vec<_>>();
        let deleted = self.in_time(deleted.map(Ok)).await;
        let failed = |path: &String, error| self.failed("delete", path, &error);
        let first = |error| failed(&paths[0], error);
        // A request that failed as a whole gives one error for all its paths.
        for (position, ended) in deleted.map_err(first)?.into_iter().enumerate() {
            match ended {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed(paths.get(position).unwrap_or(&paths[0]), error)),
            }
        }
        Ok(())
    }

    /// Removes objects of a folder that holds no others, and on a disk the folder.
    pub(crate) fn remove_all_of(&self, folder: &str, paths: &[String]) -> Result<()> {
        match self.local_root {
            Some(_) => self.remove_folder(folder),
            None => self.remove_each(paths),
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
fn remove_empty_folders(root: &DiskPath, path: &str) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Memory;

    #[test]
    fn more_objects_than_one_request_removes_are_removed_and_missing_ones_are_fine() {
        let memory = Memory::new("results");
        let paths: Vec<String> = (0..=DELETED_AT_ONCE).map(|n| format!("a/{n}")).collect();
        paths[1..].iter().for_each(|path| memory.put(path, "x"));
        memory.put("a/stays", "x");
        memory.store.remove_each(&paths).unwrap();
        assert_eq!(memory.paths(), ["a/stays"]);
    }
}
