//! Objects written, created only if absent, and moved.

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::Result;
use backon::BlockingRetryable;
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};

use super::failure::io_error;
use super::open::Store;
use crate::failure::{Failure, FailureKind};
use crate::messages;

/// The outcome of creating an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    /// This call created it.
    Created,
    /// It was there before, with this content.
    Exists(Bytes),
}

impl Store {
    pub fn write(&self, path: &str, bytes: impl Into<Bytes>) -> Result<()> {
        self.runtime().block_on(self.put(path, bytes.into()))
    }

    /// Writes several objects, side by side. Tells of each whether the store has confirmed its bytes
    /// ([`Store::upload`]).
    pub(crate) fn write_each(&self, objects: &[(String, Bytes)]) -> Result<Vec<bool>> {
        self.wait_each(objects.iter().map(|(path, bytes)| self.upload(path, bytes)))
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.upload(path, &bytes).await.map(drop)
    }

    /// Writes an empty object into a folder that exists. On a disk the file gets its name at once:
    /// a killed process leaves no file of another name behind.
    pub fn write_empty(&self, path: &str) -> Result<()> {
        let Some(root) = &self.local_root else {
            return self.write(path, Bytes::new());
        };
        write_empty_file(&root.join(path)).map_err(|e| self.failed_to("write", path, &e))
    }

    /// Writes several empty objects, side by side in an object store.
    pub(crate) fn write_empty_each(&self, paths: &[String]) -> Result<()> {
        if self.local_root.is_some() {
            return paths.iter().try_for_each(|path| self.write_empty(path));
        }
        let puts = paths.iter().map(|path| self.put(path, Bytes::new()));
        self.wait_each(puts).map(drop)
    }

    /// Creates an object that is not there yet; of several that try, one succeeds.
    ///
    /// After a refusal, or an error after which the object may be there or not (a lost answer, 409,
    /// 412 on one's own write), the object is read back and its content decides. So `bytes` must
    /// differ from those of any other writer.
    ///
    /// # Errors
    /// `ConfigWrong` when the store has no such operation; `StoreFailed` when the outcome is
    /// unknown.
    pub fn create(&self, path: &str, bytes: Bytes) -> Result<Creation> {
        let create = || self.try_create(path, &bytes);
        create
            .retry(self.retries)
            .when(|error| Failure::kind_of(error) == Some(FailureKind::StoreFailed))
            .call()
    }

    fn try_create(&self, path: &str, bytes: &Bytes) -> Result<Creation> {
        let full = self.path("create", path)?;
        let put = self
            .inner
            .put_opts(&full, bytes.clone().into(), PutMode::Create.into());
        let error = match self.wait(put) {
            Ok(_) => return Ok(Creation::Created),
            Err(
                object_store::Error::NotImplemented { .. }
                | object_store::Error::NotSupported { .. },
            ) => {
                return Err(messages::no_conditions(&self.location).into());
            }
            Err(error) if self.lacks_hard_links(path, &error) => {
                return Err(messages::no_hard_links(&self.location).into());
            }
            Err(error) => error,
        };
        match self.read(path)? {
            Some(found) if found == *bytes => Ok(Creation::Created),
            Some(found) => Ok(Creation::Exists(found)),
            None => Err(self.failed("create", path, &error)),
        }
    }

    /// Whether a disk refused to create an object because its file system has no hard links:
    /// `object_store` writes the file beside its place and then links it there.
    fn lacks_hard_links(&self, path: &str, error: &object_store::Error) -> bool {
        let Some(root) = &self.local_root else {
            return false;
        };
        let Some(refused) = io_error(error).filter(|refused| may_refuse_links(refused)) else {
            return false;
        };
        let ordinary = match root.join(path).parent() {
            Some(folder) => tempfile::tempfile_in(folder).map(drop),
            None => Ok(()),
        };
        is_link_refused(refused, &ordinary)
    }

    /// Copies objects within the store, side by side: from the first path of each to the second, where an
    /// object is replaced. `false`: there is no object at the first.
    pub(crate) fn copy_each(&self, paths: &[(String, String)]) -> Result<Vec<bool>> {
        self.wait_each(paths.iter().map(|(from, to)| self.copied(from, to)))
    }

    pub(super) async fn copied(&self, from: &str, to: &str) -> Result<bool> {
        let (full_from, full_to) = (self.path("read", from)?, self.path("write", to)?);
        match self.in_time(self.inner.copy(&full_from, &full_to)).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            // A disk makes a copy by a hard link. Where it has none, the bytes are written.
            Err(error)
                if self.local_root.is_some() && io_error(&error).is_some_and(may_refuse_links) =>
            {
                match self.get(from).await? {
                    Some(bytes) => self.put(to, bytes).await.map(|()| true),
                    None => Ok(false),
                }
            }
            Err(error) => Err(self.failed("write", to, &error)),
        }
    }

    /// Moves an object within the store, and replaces an object at `to`. Readers of `to` see the
    /// old object or the new one. `false`: there is no object at `from`.
    pub fn rename(&self, from: &str, to: &str) -> Result<bool> {
        self.runtime().block_on(self.moved(from, to))
    }

    /// Brings objects to their places, side by side: from the first path of each to the second, where an
    /// object is replaced. `false`: there is no object at the first. On a disk each is moved. In an object
    /// store each is copied; the caller removes the first ones together, with one request for many.
    pub(crate) fn place_each(&self, paths: &[(String, String)]) -> Result<Vec<bool>> {
        match self.local_root {
            Some(_) => self.wait_each(paths.iter().map(|(from, to)| self.moved(from, to))),
            None => self.copy_each(paths),
        }
    }

    async fn moved(&self, from: &str, to: &str) -> Result<bool> {
        let (full_from, full_to) = (self.path("read", from)?, self.path("write", to)?);
        match self.in_time(self.inner.rename(&full_from, &full_to)).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(self.failed("write", to, &e)),
        }
    }
}

fn write_empty_file(path: &Path) -> io::Result<()> {
    File::create(path)?.sync_all()?;
    path.parent()
        .map_or(Ok(()), |folder| sync_folder(folder).map(drop))
}

/// Syncs the entries of a folder to the disk. `false`: there is no such folder.
pub(super) fn sync_folder(folder: &Path) -> io::Result<bool> {
    match File::open(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        opened => opened?.sync_all().map(|()| true),
    }
}

/// Whether a file system refused a hard link because it has none. `ordinary`: the result of making
/// an ordinary file beside it. An immutable folder gives EPERM too, but then no file can be made.
fn is_link_refused(link: &io::Error, ordinary: &io::Result<()>) -> bool {
    may_refuse_links(link) && ordinary.is_ok()
}

/// File systems without hard links answer EPERM, EOPNOTSUPP or ENOSYS.
fn may_refuse_links(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error() == Some(OPERATION_NOT_PERMITTED)
}

/// EPERM. A folder whose permissions forbid writing gives EACCES instead.
const OPERATION_NOT_PERMITTED: i32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_links_are_missing_only_where_an_ordinary_file_can_be_made() {
        const EACCES: i32 = 13;
        const ENOSYS: i32 = 38;
        const EOPNOTSUPP: i32 = 95;
        let os = io::Error::from_raw_os_error;
        for code in [OPERATION_NOT_PERMITTED, ENOSYS, EOPNOTSUPP] {
            assert!(is_link_refused(&os(code), &Ok(())), "{code}");
            assert!(
                !is_link_refused(&os(code), &Err(os(OPERATION_NOT_PERMITTED))),
                "{code}: no file at all"
            );
        }
        assert!(!is_link_refused(&os(EACCES), &Ok(())));
    }
}
