//! One code path to a local folder or an object store: the few calls that the stages need,
//! blocking.

use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use backon::{BlockingRetryable, ExponentialBuilder};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use tokio::runtime::Handle;
use url::Url;

use crate::contracts::SUCCESS_FILE;
use crate::environment::Cloud;
use crate::local_listing;
pub use crate::messages::StoreFailed;
use crate::messages::{self, ConfigWrong};
use crate::redact::holds_secret;

/// A folder on a disk or in an object store. All paths given to it are relative to that folder.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    root: Path,
    /// Where the folder is a local one: deletions there have to be synced, and empty folders
    /// removed, by ourselves.
    local_root: Option<PathBuf>,
    /// As the person wrote it; for messages.
    pub location: String,
    /// For sequences of calls that are tried again as a whole.
    pub retries: ExponentialBuilder,
    /// A call that is not through by then fails, and is not repeated any more.
    deadline: Option<Instant>,
    runtime: Handle,
}

/// One object in a folder, or below it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name in the folder, or its path below the folder that was listed at any depth.
    pub name: String,
    pub size_bytes: u64,
    /// Changes when the object does; only compared, never shown.
    pub version: String,
    pub modified_at: DateTime<Utc>,
}

/// What lies directly in a folder.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Sorted by name bytewise.
    pub objects: Vec<Entry>,
    /// Entries that are not objects, sorted by name. An empty folder is none.
    pub strays: Vec<Stray>,
}

impl Listing {
    pub fn sort(&mut self) {
        self.objects.sort_by(|a, b| a.name.cmp(&b.name));
        self.strays.sort();
    }
}

/// An entry of a folder that cannot be read as an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray {
    /// As it can be printed: control characters and bytes that are not UTF-8 are escaped.
    pub name: String,
    pub kind: StrayKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StrayKind {
    /// A folder with something in it.
    Folder,
    /// A link to nothing, or to itself.
    BrokenLink,
    /// A name with control characters, not in UTF-8, or kept for unfinished files.
    Name,
    /// A device, a pipe or a socket.
    Special,
}

/// What trying to create an object came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    /// This call created it.
    Created,
    /// It was there before, with this content.
    Exists(Bytes),
}

/// Folders that are listed at a time: enough to hide the latency of an object store, few enough not
/// to be throttled.
const LISTED_AT_ONCE: usize = 32;

/// Pauses before something is tried again that failed or was refused and may well succeed: 100 ms,
/// doubled each time, with jitter. Single requests to an object store are repeated below this, by
/// `object_store`.
const RETRIES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_times(4)
    .with_jitter();

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    /// Reads a folder that may not exist yet.
    ReadIfThere,
    /// Creates the folder; local writes are synced to the disk.
    Write,
    /// Writes into a folder that may not exist yet, and then stays so.
    WriteIfThere,
}

impl Store {
    /// Opens a local path or a `file:`, `s3:`, `gs:` or `az:` URL.
    ///
    /// `environment`: of its variables, only those count that `environment.rs` lists for the cloud
    /// of the URL.
    ///
    /// # Errors
    /// `ConfigWrong` when the location or a setting of its store is not understood, `StoreFailed`
    /// when a local folder to read does not exist.
    pub fn open(
        location: &str,
        access: Access,
        environment: &[(String, String)],
        runtime: Handle,
    ) -> Result<Store> {
        let bad_settings = |why: &(dyn std::error::Error + 'static)| {
            messages::bad_store_settings(location, cause(why))
        };
        let (inner, root): (Arc<dyn ObjectStore>, Path) = match local_path(location)? {
            Some(path) => {
                if matches!(access, Access::ReadIfThere | Access::WriteIfThere) && !path.exists() {
                    return Ok(Store::new(
                        Arc::new(object_store::memory::InMemory::new()),
                        location,
                        runtime,
                    ));
                }
                if access == Access::Write {
                    std::fs::create_dir_all(&path)
                        .map_err(|e| messages::cannot_open(location, e))?;
                }
                let store = LocalFileSystem::new_with_prefix(&path)
                    .map_err(|e| messages::cannot_open(location, cause(&e)))?;
                let store =
                    store.with_fsync(matches!(access, Access::Write | Access::WriteIfThere));
                return Ok(Store {
                    local_root: Some(path),
                    ..Store::new(Arc::new(store), location, runtime)
                });
            }
            None => {
                choose_tls_cryptography();
                let url = Url::parse(location).map_err(|e| bad_settings(&e))?;
                let options =
                    Cloud::of_scheme(url.scheme()).map(|cloud| cloud.options(environment));
                let options = options.unwrap_or_default();
                let (store, root) =
                    object_store::parse_url_opts(&url, options).map_err(|e| bad_settings(&e))?;
                (Arc::from(store), root)
            }
        };
        Ok(Store {
            root,
            ..Store::new(inner, location, runtime)
        })
    }

    /// A whole store as a folder; `location` is for messages.
    pub fn new(inner: Arc<dyn ObjectStore>, location: &str, runtime: Handle) -> Store {
        let (root, location) = (Path::default(), location.to_owned());
        Store {
            inner,
            root,
            local_root: None,
            location,
            retries: RETRIES,
            deadline: None,
            runtime,
        }
    }

    /// The same store for as long as somebody may use it.
    pub fn until(&self, deadline: Instant) -> Store {
        Store {
            deadline: Some(deadline),
            ..self.clone()
        }
    }

    /// Waits for a call, but not beyond the deadline.
    fn wait<T>(
        &self,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> object_store::Result<T> {
        let Some(deadline) = self.deadline else {
            return self.runtime.block_on(call);
        };
        let late = || object_store::Error::Generic {
            store: "deadline",
            source: "no answer before the lease of this run ran out".into(),
        };
        self.runtime.block_on(async {
            tokio::time::timeout_at(deadline.into(), call)
                .await
                .unwrap_or_else(|_| Err(late()))
        })
    }

    /// A path as a person can paste it.
    pub fn show(&self, path: &str) -> String {
        format!("{}/{path}", self.location.trim_end_matches('/'))
    }

    /// What lies directly in each folder. A folder that does not exist is empty.
    pub fn list_each(&self, folders: &[String]) -> Result<Vec<Listing>> {
        if let Some(root) = &self.local_root {
            let list = |folder: &String| {
                local_listing::list(&root.join(folder))
                    .map_err(|e| self.failed_to("list", folder, &e))
            };
            return folders.iter().map(list).collect();
        }
        let listings =
            futures::stream::iter(folders.iter().map(|folder| self.list_objects(folder)));
        self.runtime
            .block_on(listings.buffered(LISTED_AT_ONCE).try_collect())
    }

    /// The names of the folders directly in a folder, sorted. None where an object store lists a
    /// name there that cannot be a path: then it lists nothing else.
    pub fn list_folders(&self, folder: &str) -> Result<Vec<String>> {
        if let Some(root) = &self.local_root {
            return local_listing::list_folders(&root.join(folder))
                .map_err(|e| self.failed_to("list", folder, &e));
        }
        let path = self.path("list", folder)?;
        let mut names: Vec<String> = match self
            .runtime
            .block_on(self.inner.list_with_delimiter(Some(&path)))
        {
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

    async fn list_objects(&self, folder: &str) -> Result<Listing> {
        let path = self.path("list", folder)?;
        let listed = match self.inner.list_with_delimiter(Some(&path)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(Listing::default()),
            // A store that lists a name which cannot be a path does not list the others; whether
            // the folder is complete is asked for by name.
            Err(object_store::Error::InvalidPath { source }) => {
                // The message has the name with its control characters, which would break the line
                // that tells it.
                let name = source.to_string().replace(char::is_control, "\u{fffd}");
                let stray = Stray {
                    name,
                    kind: StrayKind::Name,
                };
                let objects = match self.inner.head(&path.clone().join(SUCCESS_FILE)).await {
                    Err(object_store::Error::NotFound { .. }) => vec![],
                    meta => vec![entry(
                        SUCCESS_FILE.into(),
                        &meta.map_err(|e| self.failed("list", folder, &e))?,
                    )],
                };
                return Ok(Listing {
                    objects,
                    strays: vec![stray],
                });
            }
            other => other.map_err(|e| self.failed("list", folder, &e))?,
        };
        let mut listing = Listing::default();
        // Consoles mark a folder with an empty object whose name is that of the folder and a slash.
        for meta in listed.objects.iter().filter(|meta| meta.location != path) {
            if let Some(name) = meta.location.filename() {
                listing.objects.push(entry(name.to_owned(), meta));
            }
        }
        for below in &listed.common_prefixes {
            if let Some(name) = below.filename()
                && self
                    .has_objects(below)
                    .await
                    .map_err(|e| self.failed("list", folder, &e))?
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

    /// Whether there is anything below a path but the mark of a folder.
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

    /// Every object below a folder, at any depth, sorted by its path below that folder.
    pub fn list_all(&self, folder: &str) -> Result<Vec<Entry>> {
        Ok(self.list_all_of_each(&[folder])?.remove(0))
    }

    /// Every object below each folder, at any depth, sorted by its path below that folder.
    pub fn list_all_of_each(&self, folders: &[&str]) -> Result<Vec<Vec<Entry>>> {
        if let Some(root) = &self.local_root {
            let list = |folder: &&str| {
                local_listing::list_below(&root.join(folder))
                    .map_err(|e| self.failed_to("list", folder, &e))
            };
            return folders.iter().map(list).collect();
        }
        let listed = folders.iter().map(|folder| async move {
            let path = self.path("list", folder)?;
            let below =
                |o: &ObjectMeta| Some(Path::from_iter(o.location.prefix_match(&path)?).to_string());
            match self
                .inner
                .list(Some(&path))
                .try_collect::<Vec<ObjectMeta>>()
                .await
            {
                Err(object_store::Error::NotFound { .. }) => Ok(vec![]),
                Err(e) => Err(self.failed("list", folder, &e)),
                Ok(objects) => Ok(sorted(
                    objects.iter().filter_map(|o| Some(entry(below(o)?, o))),
                )),
            }
        });
        self.runtime.block_on(futures::future::try_join_all(listed))
    }

    pub fn exists(&self, path: &str) -> Result<bool> {
        let full = self.path("read", path)?;
        match self.wait(self.inner.head(&full)) {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(self.failed("read", path, &e)),
        }
    }

    /// The whole object, or `None` where there is none.
    pub fn read(&self, path: &str) -> Result<Option<Bytes>> {
        let full = self.path("read", path)?;
        let got = self.wait(async { self.inner.get(&full).await?.bytes().await });
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("read", path, &e)),
        }
    }

    /// Parts of an object, or `None` where there is none.
    pub fn read_ranges(&self, path: &str, ranges: &[Range<u64>]) -> Result<Option<Vec<Bytes>>> {
        let full = self.path("read", path)?;
        match self.wait(self.inner.get_ranges(&full, ranges)) {
            Ok(parts) => Ok(Some(parts)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("read", path, &e)),
        }
    }

    pub fn write(&self, path: &str, bytes: impl Into<Bytes>) -> Result<()> {
        let full = self.path("write", path)?;
        let put = self.wait(self.inner.put(&full, bytes.into().into()));
        put.map(drop).map_err(|e| self.failed("write", path, &e))
    }

    /// Writes an empty object into a folder that is there; on a disk at once, without a file of
    /// another name that a killed process would leave behind.
    pub fn write_empty(&self, path: &str) -> Result<()> {
        let Some(root) = &self.local_root else {
            return self.write(path, Bytes::new());
        };
        let full = root.join(path);
        let write = || -> io::Result<()> {
            std::fs::File::create(&full)?.sync_all()?;
            full.parent()
                .map_or(Ok(()), |folder| sync_folder(folder).map(drop))
        };
        write().map_err(|e| self.failed_to("write", path, &e))
    }

    /// Creates an object that is not there yet; of several that try, one succeeds.
    ///
    /// A refusal, or an error after which the object may be there or not (an answer that was lost,
    /// 409, 412 on one's own write), is settled by reading back: what is found decides. So `bytes`
    /// must be unlike those of any other writer.
    ///
    /// # Errors
    /// `ConfigWrong` when the store has no such operation; `StoreFailed` when it cannot be told
    /// what happened.
    pub fn create(&self, path: &str, bytes: Bytes) -> Result<Creation> {
        let full = self.path("create", path)?;
        let try_once = || -> Result<Creation> {
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
                Some(found) if found == bytes => Ok(Creation::Created),
                Some(found) => Ok(Creation::Exists(found)),
                None => Err(self.failed("create", path, &error)),
            }
        };
        try_once
            .retry(self.retries)
            .when(|error| error.is::<StoreFailed>())
            .call()
    }

    /// Whether a disk refused to create an object because its file system has no hard links: a file
    /// that is made only if it is absent is made beside its place and then linked there.
    fn lacks_hard_links(&self, path: &str, error: &object_store::Error) -> bool {
        let Some(root) = &self.local_root else {
            return false;
        };
        let Some(refused) = io_error(error).filter(|refused| may_refuse_links(refused)) else {
            return false;
        };
        let full = root.join(path);
        let make_a_file = || {
            full.parent()
                .map_or(Ok(()), |folder| tempfile::tempfile_in(folder).map(drop))
        };
        is_link_refused(refused, &make_a_file())
    }

    /// Whether a file can be moved from one path to another in one step, as far as it can be seen
    /// before anything is published. Only disks have what stands in the way.
    ///
    /// # Errors
    /// `StoreFailed`, which names the obstacle: another file system, or something else where the
    /// file or its folder belongs.
    pub fn check_move(&self, from: &str, to: &str) -> Result<()> {
        let Some(root) = &self.local_root else {
            return Ok(());
        };
        if root.join(to).is_dir() {
            return Err(
                messages::in_the_way(self.show(to), "a folder where a file belongs").into(),
            );
        }
        let (staging, folder) = (
            self.nearest_folder(root, from)?,
            self.nearest_folder(root, to)?,
        );
        let device = |folder: &std::path::Path| {
            std::fs::metadata(folder)
                .map(|found| found.dev())
                .map_err(|e| self.failed_to("read", to, &e))
        };
        if device(&staging)? != device(&folder)? {
            return Err(messages::other_file_system(folder.display(), staging.display()).into());
        }
        Ok(())
    }

    /// The folder that a path is in, or will be made in.
    fn nearest_folder(&self, root: &std::path::Path, path: &str) -> Result<PathBuf> {
        let in_the_way =
            |at: &std::path::Path, what| Err(messages::in_the_way(at.display(), what).into());
        for above in root
            .join(path)
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(root))
        {
            match std::fs::metadata(above) {
                Ok(found) if found.is_dir() => return Ok(above.into()),
                Ok(_) => return in_the_way(above, "a file where a folder belongs"),
                Err(e) if e.kind() == io::ErrorKind::NotADirectory => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound && !above.is_symlink() => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    return in_the_way(above, "a link to nothing");
                }
                Err(e) => return Err(self.failed_to("read", path, &e)),
            }
        }
        Ok(root.into())
    }

    /// Moves an object within the store, over what is there. Readers of `to` see the old object or
    /// the new one. `false`: there is nothing to move.
    pub fn rename(&self, from: &str, to: &str) -> Result<bool> {
        let (full_from, full_to) = (self.path("read", from)?, self.path("write", to)?);
        match self.wait(self.inner.rename(&full_from, &full_to)) {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(self.failed("write", to, &e)),
        }
    }

    /// Removes an object; one that does not exist is fine.
    pub fn remove(&self, path: &str) -> Result<()> {
        if let Some(root) = &self.local_root {
            let removed = gone(std::fs::remove_file(root.join(path)))
                .and_then(|()| self.leave_no_empty_folder(path));
            return removed.map_err(|e| self.failed_to("delete", path, &e));
        }
        let full = self.path("delete", path)?;
        match self.wait(self.inner.delete(&full)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.failed("delete", path, &e)),
        }
    }

    /// Removes a folder with everything in it; on a disk also what a killed process left
    /// half-written there.
    pub fn remove_folder(&self, folder: &str) -> Result<()> {
        if let Some(root) = &self.local_root {
            let removed = gone(std::fs::remove_dir_all(root.join(folder)));
            let removed = removed.and_then(|()| self.leave_no_empty_folder(folder));
            return removed.map_err(|e| self.failed_to("delete", folder, &e));
        }
        self.list_all(folder)?
            .iter()
            .try_for_each(|entry| self.remove(&format!("{folder}/{}", entry.name)))
    }

    /// On a disk: removes the folders above a path that are empty now, and syncs the first that
    /// stays. `object_store` syncs what it writes, but not deletions.
    fn leave_no_empty_folder(&self, path: &str) -> io::Result<()> {
        let Some(root) = &self.local_root else {
            return Ok(());
        };
        let full = root.join(path);
        for above in full
            .ancestors()
            .skip(1)
            .take_while(|folder| *folder != root)
        {
            // Another process may remove it meanwhile, or put something there.
            if std::fs::remove_dir(above).is_err() && sync_folder(above)? {
                return Ok(());
            }
        }
        sync_folder(root).map(drop)
    }

    /// Files on a disk that a killed process left half-written directly in a folder; `object_store`
    /// hides them.
    pub fn list_half_written(&self, folder: &str) -> Result<Vec<Entry>> {
        let Some(root) = &self.local_root else {
            return Ok(vec![]);
        };
        let failed = |e: io::Error| self.failed_to("list", folder, &e);
        let entries = match std::fs::read_dir(root.join(folder)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            entries => entries.map_err(failed)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name
                .rsplit_once('#')
                .is_some_and(|(_, digits)| digits.parse::<u64>().is_ok())
            {
                let metadata = entry.metadata().map_err(failed)?;
                let modified_at = metadata.modified().map_err(failed)?.into();
                found.push(Entry {
                    name,
                    size_bytes: metadata.len(),
                    version: String::new(),
                    modified_at,
                });
            }
        }
        Ok(found)
    }

    /// A reader of one Parquet object's byte ranges.
    pub fn parquet_object(&self, path: &str, size_bytes: u64) -> Result<ParquetObject> {
        Ok(ParquetObject {
            store: self.inner.clone(),
            path: self.path("read", path)?,
            size_bytes,
        })
    }

    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Names stay as a listing gave them: `Path::from` would percent-encode them once more.
    fn path(&self, what: &str, relative: &str) -> Result<Path> {
        let relative_path =
            Path::parse(relative).map_err(|e| self.failed(what, relative, &e.into()))?;
        Ok(Path::from_iter(
            self.root.parts().chain(relative_path.parts()),
        ))
    }

    fn failed(&self, what: &str, path: &str, error: &object_store::Error) -> anyhow::Error {
        use object_store::Error::{PermissionDenied, Unauthenticated};
        let kind = match error {
            PermissionDenied { .. } | Unauthenticated { .. } => {
                Some(io::ErrorKind::PermissionDenied)
            }
            _ => io_error(error).map(io::Error::kind),
        };
        self.explained(what, path, &cause(error), kind)
    }

    fn failed_to(&self, what: &str, path: &str, error: &io::Error) -> anyhow::Error {
        self.explained(what, path, &error.to_string(), Some(error.kind()))
    }

    /// What helps depends on what went wrong.
    fn explained(
        &self,
        what: &str,
        path: &str,
        why: &str,
        kind: Option<io::ErrorKind>,
    ) -> anyhow::Error {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let shown = self.show(path);
        let failed = match kind {
            Some(PermissionDenied | ReadOnlyFilesystem) => {
                messages::not_permitted(what, shown, why)
            }
            Some(StorageFull | QuotaExceeded) => messages::no_room(what, shown, why),
            _ => messages::store_failed(what, shown, why),
        };
        failed.into()
    }
}

/// Byte ranges of one Parquet object, for the asynchronous reader.
pub struct ParquetObject {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size_bytes: u64,
}

impl ParquetObject {
    /// A damaged footer may name bytes beyond the end, or none; that is the file's fault, not the
    /// store's.
    fn check(&self, range: &Range<u64>) -> Result<(), ParquetError> {
        if range.start < range.end && range.end <= self.size_bytes {
            return Ok(());
        }
        Err(ParquetError::EOF(format!(
            "bytes {range:?} of a file of {}",
            self.size_bytes
        )))
    }
}

impl AsyncFileReader for ParquetObject {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        Box::pin(async move {
            self.check(&range)?;
            self.store
                .get_range(&self.path, range)
                .await
                .map_err(external)
        })
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        Box::pin(async move {
            ranges.iter().try_for_each(|range| self.check(range))?;
            self.store
                .get_ranges(&self.path, &ranges)
                .await
                .map_err(external)
        })
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        Box::pin(async move {
            let reader = ParquetMetaDataReader::new()
                .with_metadata_options(options.map(|o| o.metadata_options().clone()));
            let size_bytes = self.size_bytes;
            Ok(Arc::new(reader.load_and_finish(self, size_bytes).await?))
        })
    }
}

/// The HTTP client of `object_store` is built without a provider of cryptography and panics unless
/// one is installed. `ring` takes a tenth of the build time of the default, `aws-lc-rs`.
fn choose_tls_cryptography() {
    // The error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Told apart from damaged bytes by what it holds.
fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// `None`: a URL of an object store. Anything else is a path, also with a colon in a name.
fn local_path(location: &str) -> Result<Option<PathBuf>, ConfigWrong> {
    let wrong = |to_do: &str| Err(messages::not_a_location(location, to_do));
    if location.is_empty() {
        return wrong("give a path or a file:, s3:, gs: or az: URL");
    }
    let Some((scheme, rest)) = location
        .split_once(':')
        .filter(|(scheme, _)| is_scheme(scheme))
    else {
        return Ok(Some(location.into()));
    };
    let scheme = scheme.to_ascii_lowercase();
    let is_cloud = Cloud::of_scheme(&scheme).is_some();
    if (is_cloud || (scheme != "file" && rest.starts_with("//"))) && holds_secret(location) {
        return Err(messages::secret_in_location(location));
    }
    if scheme != "file" && !is_cloud {
        return match rest.starts_with("//") {
            true => wrong("give a path or a file:, s3:, gs: or az: URL"),
            false => Ok(Some(location.into())),
        };
    }
    let Ok(url) = Url::parse(location) else {
        return wrong(&format!("write {scheme}://bucket/folder"));
    };
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("in a URL write ? as %3F and # as %23");
    }
    if is_cloud {
        let has_bucket =
            rest.starts_with("//") && url.host_str().is_some_and(|host| !host.is_empty());
        return if has_bucket {
            Ok(None)
        } else {
            wrong(&format!("write {scheme}://bucket/folder"))
        };
    }
    match url.to_file_path() {
        Ok(path) if rest.starts_with('/') => Ok(Some(path)),
        _ => wrong("write file:///absolute/folder, or a relative path without file:"),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// The error of the operating system in an error of a disk.
fn io_error(error: &object_store::Error) -> Option<&io::Error> {
    let mut causes =
        std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |e| {
            e.source()
        });
    causes.find_map(|cause| cause.downcast_ref::<io::Error>())
}

/// Whether a file was linked in vain because of its file system, given that an ordinary file could
/// be made beside it. A folder that may not be written gives EPERM too, when it is immutable, and
/// then no file can be made.
fn is_link_refused(link: &io::Error, ordinary: &io::Result<()>) -> bool {
    may_refuse_links(link) && ordinary.is_ok()
}

/// EPERM, EOPNOTSUPP and ENOSYS are what file systems without hard links answer.
fn may_refuse_links(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error() == Some(OPERATION_NOT_PERMITTED)
}

/// EPERM; a folder whose permissions do not let it be written gives EACCES.
const OPERATION_NOT_PERMITTED: i32 = 1;

/// Nothing to remove is as good as removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|e| {
        if e.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(e)
        }
    })
}

/// `false`: there is no such folder.
fn sync_folder(folder: &std::path::Path) -> io::Result<bool> {
    match std::fs::File::open(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        opened => opened?.sync_all().map(|()| true),
    }
}

fn sorted(entries: impl Iterator<Item = Entry>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = entries.collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

fn entry(name: String, meta: &ObjectMeta) -> Entry {
    Entry {
        name,
        size_bytes: meta.size,
        version: version(meta),
        modified_at: meta.last_modified,
    }
}

fn version(meta: &ObjectMeta) -> String {
    match &meta.e_tag {
        Some(tag) => tag.clone(),
        None => meta.last_modified.to_rfc3339(),
    }
}

/// The innermost error says what happened; the outer ones repeat the path.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    match error.source() {
        Some(inner) => cause(inner),
        None => error.to_string(),
    }
}

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

    #[test]
    fn what_helps_depends_on_what_went_wrong() {
        const EROFS: i32 = 30;
        const ENOSPC: i32 = 28;
        const EIO: i32 = 5;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let memory = Arc::new(object_store::memory::InMemory::new());
        let store = Store::new(memory, "results", runtime.handle().clone());
        for (code, remedy) in [
            (
                OPERATION_NOT_PERMITTED,
                "give the account of the job that right",
            ),
            (EROFS, "give the account of the job that right"),
            (ENOSPC, "make room there and run again"),
            (EIO, "run again; if it stays so"),
        ] {
            let error = store.failed_to("create", "x", &io::Error::from_raw_os_error(code));
            assert!(error.is::<StoreFailed>());
            let said = error.to_string();
            assert!(
                said.contains(" create results/x: ") && said.contains(remedy),
                "{said}"
            );
        }
    }

    #[test]
    fn a_location_is_a_path_or_one_of_four_urls() {
        let path = |text: &str| local_path(text).unwrap();
        for plain in [
            "exports",
            "/data/exports",
            "myfile:x/ex",
            "a/s3:/b",
            "./foo://bar",
            "x:y",
            "2:/a",
        ] {
            assert_eq!(path(plain), Some(plain.into()));
        }
        for url in [
            "file:///data/ex%20a",
            "file:///data/ex%20a/",
            "file:/data/ex%20a",
            "FILE:///data/ex%20a",
        ] {
            assert_eq!(path(url), Some("/data/ex a".into()), "{url}");
        }
        for url in [
            "s3://bucket/x",
            "gs://bucket",
            "az://container/x",
            "S3://bucket/x",
        ] {
            assert_eq!(path(url), None);
        }
    }

    #[test]
    fn a_location_with_a_key_or_a_signature_is_refused() {
        for location in [
            "s3://AKIA7:wJalr@bucket/x",
            "s3://AKIA7:wJ/alr@bucket/x",
            "s3:AKIA7:wJalr@bucket/x",
            "gs://key@bucket/x",
            "az://name:key@container/x",
            "az://container/x?sv=2&sig=Ab",
            "https://a.blob.core.windows.net/container?sv=2&sig=Ab",
            "s3://bucket/x?X-Amz-Signature=0f",
            "s3://bucket/x%3FX-Amz-Signature=0f",
        ] {
            let said = local_path(location).unwrap_err().to_string();
            assert!(
                said.contains(
                    "give keys in the environment, under the names in docs/operations.md"
                ),
                "{said}"
            );
        }
        for location in [
            "az://container@account.blob.core.windows.net/x",
            "s3://bucket/a@b",
        ] {
            assert_eq!(local_path(location).unwrap(), None);
        }
        assert_eq!(
            local_path("exports/token=1/x").unwrap(),
            Some("exports/token=1/x".into()),
            "a path of a disk"
        );
    }

    #[test]
    fn a_location_that_is_neither_is_refused_with_a_remedy() {
        for (location, remedy) in [
            ("", "give a path or a file:, s3:, gs: or az: URL"),
            ("foo://bar", "give a path or a file:, s3:, gs: or az: URL"),
            ("memory:///", "give a path or a file:, s3:, gs: or az: URL"),
            ("s3:/bucket/x", "write s3://bucket/folder"),
            ("s3:bucket", "write s3://bucket/folder"),
            ("gs://", "write gs://bucket/folder"),
            (
                "file:relative",
                "write file:///absolute/folder, or a relative path without file:",
            ),
            ("file://host/data", "write file:///absolute/folder"),
            ("file:///data/a#b", "write ? as %3F and # as %23"),
        ] {
            let said = local_path(location).unwrap_err().to_string();
            assert!(
                said.contains(&format!("{location:?}")) && said.contains(remedy),
                "{said}"
            );
        }
    }
}
