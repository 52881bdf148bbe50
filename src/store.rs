//! One code path to a local folder or an object store: the few calls that the stages need, blocking.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use tokio::runtime::Handle;
use url::Url;

use crate::config::ConfigWrong;

/// A folder on a disk or in an object store. All paths given to it are relative to that folder.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    root: Path,
    /// As the person wrote it; for messages.
    pub location: String,
    runtime: Handle,
}

/// One object in a folder.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name in the folder.
    pub name: String,
    pub size_bytes: u64,
    /// Changes when the object does; only compared, never shown.
    pub version: String,
}

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    /// Reads a folder that may not exist yet.
    ReadIfThere,
    /// Creates the folder; local writes are synced to the disk.
    Write,
}

/// The store failed or cannot be reached; the exit code tells it from everything else.
#[derive(Debug)]
pub struct StoreFailed(pub String);

impl std::fmt::Display for StoreFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::error::Error for StoreFailed {}

impl Store {
    /// Opens a local path or a `file:`, `s3:`, `gs:` or `az:` URL.
    ///
    /// `options` are the settings that `object_store` reads for each cloud, as it documents them (the environment).
    ///
    /// # Errors
    /// `ConfigWrong` when the location is not understood, `StoreFailed` when a local folder to read does not exist.
    pub fn open(location: &str, access: Access, options: &[(String, String)], runtime: Handle) -> Result<Store> {
        let failed = |why: String| StoreFailed(format!("cannot open {location}: {why}"));
        let (inner, root): (Arc<dyn ObjectStore>, Path) = match local_path(location)? {
            Some(path) => {
                if access == Access::ReadIfThere && !path.exists() {
                    return Ok(Store::new(Arc::new(object_store::memory::InMemory::new()), location, runtime));
                }
                if access == Access::Write {
                    std::fs::create_dir_all(&path).map_err(|e| failed(e.to_string()))?;
                }
                let store = LocalFileSystem::new_with_prefix(&path).map_err(|e| failed(cause(&e)))?;
                let store = store.with_automatic_cleanup(true).with_fsync(access == Access::Write);
                (Arc::new(store), Path::default())
            }
            None => {
                let url = Url::parse(location).with_context(|| format!("{location} is not a URL"))?;
                let options = options.iter().map(|(k, v)| (k.as_str(), v.as_str()));
                let (store, root) = object_store::parse_url_opts(&url, options).map_err(|e| failed(cause(&e)))?;
                (Arc::from(store), root)
            }
        };
        Ok(Store { root, ..Store::new(inner, location, runtime) })
    }

    /// A whole store as a folder; `location` is for messages.
    pub fn new(inner: Arc<dyn ObjectStore>, location: &str, runtime: Handle) -> Store {
        Store { inner, root: Path::default(), location: location.to_owned(), runtime }
    }

    /// A path as a person can paste it.
    pub fn show(&self, path: &str) -> String {
        format!("{}/{path}", self.location.trim_end_matches('/'))
    }

    /// The objects directly in a folder, sorted by name bytewise. A folder that does not exist is empty.
    pub fn list(&self, folder: &str) -> Result<Vec<Entry>> {
        let listed = self.list_folder(folder)?;
        let mut entries: Vec<Entry> = listed
            .objects
            .into_iter()
            .filter_map(|o| {
                Some(Entry { name: o.location.filename()?.to_owned(), size_bytes: o.size, version: version(&o) })
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The names of the folders directly in a folder, sorted.
    pub fn list_folders(&self, folder: &str) -> Result<Vec<String>> {
        let listed = self.list_folder(folder)?;
        let mut names: Vec<String> =
            listed.common_prefixes.iter().filter_map(|p| p.filename().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    fn list_folder(&self, folder: &str) -> Result<object_store::ListResult> {
        let path = self.path("list", folder)?;
        match self.runtime.block_on(self.inner.list_with_delimiter(Some(&path))) {
            Err(object_store::Error::NotFound { .. }) => Ok(object_store::ListResult {
                objects: vec![],
                common_prefixes: vec![],
                extensions: Default::default(),
            }),
            other => other.map_err(|e| self.failed("list", folder, &e)),
        }
    }

    /// Every path below a folder, at any depth, relative to the store's folder.
    pub fn list_all(&self, folder: &str) -> Result<Vec<String>> {
        let path = self.path("list", folder)?;
        let listed: Result<Vec<ObjectMeta>, _> = self.runtime.block_on(self.inner.list(Some(&path)).try_collect());
        let metas = match listed {
            Err(object_store::Error::NotFound { .. }) => vec![],
            other => other.map_err(|e| self.failed("list", folder, &e))?,
        };
        let root = self.root.as_ref();
        let mut paths: Vec<String> = metas
            .iter()
            .map(|o| {
                o.location.as_ref().strip_prefix(root).unwrap_or(o.location.as_ref()).trim_start_matches('/').to_owned()
            })
            .collect();
        paths.sort();
        Ok(paths)
    }

    /// The whole object, or `None` where there is none.
    pub fn read(&self, path: &str) -> Result<Option<Bytes>> {
        let full = self.path("read", path)?;
        let got = self.runtime.block_on(async { self.inner.get(&full).await?.bytes().await });
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("read", path, &e)),
        }
    }

    pub fn write(&self, path: &str, bytes: impl Into<Bytes>) -> Result<()> {
        let full = self.path("write", path)?;
        let put = self.runtime.block_on(self.inner.put(&full, bytes.into().into()));
        put.map(drop).map_err(|e| self.failed("write", path, &e))
    }

    /// Copies within the store; one atomic replacement of `to`.
    pub fn copy(&self, from: &str, to: &str) -> Result<()> {
        let (full_from, full_to) = (self.path("read", from)?, self.path("write", to)?);
        let copied = self.runtime.block_on(self.inner.copy(&full_from, &full_to));
        copied.map_err(|e| self.failed("write", to, &e))
    }

    /// Removes an object; one that does not exist is fine.
    pub fn remove(&self, path: &str) -> Result<()> {
        let full = self.path("delete", path)?;
        match self.runtime.block_on(self.inner.delete(&full)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.failed("delete", path, &e)),
        }
    }

    /// A reader of one Parquet object's byte ranges.
    pub fn parquet_object(&self, path: &str, size_bytes: u64) -> Result<ParquetObject> {
        Ok(ParquetObject { store: self.inner.clone(), path: self.path("read", path)?, size_bytes })
    }

    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Names stay as a listing gave them: `Path::from` would percent-encode them once more.
    fn path(&self, what: &str, relative: &str) -> Result<Path> {
        let relative_path = Path::parse(relative).map_err(|e| self.failed(what, relative, &e.into()))?;
        Ok(Path::from_iter(self.root.parts().chain(relative_path.parts())))
    }

    fn failed(&self, what: &str, path: &str, error: &object_store::Error) -> anyhow::Error {
        anyhow!(StoreFailed(format!("cannot {what} {}: {}", self.show(path), cause(error))))
    }
}

/// Byte ranges of one Parquet object, for the asynchronous reader.
pub struct ParquetObject {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size_bytes: u64,
}

impl ParquetObject {
    /// A damaged footer may name bytes beyond the end, or none; that is the file's fault, not the store's.
    fn check(&self, range: &Range<u64>) -> Result<(), ParquetError> {
        if range.start < range.end && range.end <= self.size_bytes {
            return Ok(());
        }
        Err(ParquetError::EOF(format!("bytes {range:?} of a file of {}", self.size_bytes)))
    }
}

impl AsyncFileReader for ParquetObject {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        Box::pin(async move {
            self.check(&range)?;
            self.store.get_range(&self.path, range).await.map_err(external)
        })
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        Box::pin(async move {
            ranges.iter().try_for_each(|range| self.check(range))?;
            self.store.get_ranges(&self.path, &ranges).await.map_err(external)
        })
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        Box::pin(async move {
            let reader =
                ParquetMetaDataReader::new().with_metadata_options(options.map(|o| o.metadata_options().clone()));
            let size_bytes = self.size_bytes;
            Ok(Arc::new(reader.load_and_finish(self, size_bytes).await?))
        })
    }
}

/// Told apart from damaged bytes by what it holds.
fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

/// Object stores that a URL may name.
const CLOUD_SCHEMES: [&str; 3] = ["s3", "gs", "az"];

/// `None`: a URL of an object store. Anything else is a path, also with a colon in a name.
fn local_path(location: &str) -> Result<Option<PathBuf>, ConfigWrong> {
    let wrong = |why: &str| Err(ConfigWrong(format!("{location:?} is not a location: {why}")));
    if location.is_empty() {
        return wrong("it is empty; give a path or a file:, s3:, gs: or az: URL");
    }
    let Some((scheme, rest)) = location.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        return Ok(Some(location.into()));
    };
    let scheme = scheme.to_ascii_lowercase();
    let is_cloud = CLOUD_SCHEMES.contains(&scheme.as_str());
    if scheme != "file" && !is_cloud {
        return match rest.starts_with("//") {
            true => wrong("give a path or a file:, s3:, gs: or az: URL"),
            false => Ok(Some(location.into())),
        };
    }
    let Ok(url) = Url::parse(location) else { return wrong("its URL cannot be read") };
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("in a URL write ? as %3F and # as %23");
    }
    if is_cloud {
        let has_bucket = rest.starts_with("//") && url.host_str().is_some_and(|host| !host.is_empty());
        return if has_bucket { Ok(None) } else { wrong(&format!("write {scheme}://bucket/folder")) };
    }
    match url.to_file_path() {
        Ok(path) if rest.starts_with('/') => Ok(Some(path)),
        _ => wrong("write file:///absolute/folder, or a relative path without file:"),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
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
    fn a_location_is_a_path_or_one_of_four_urls() {
        let path = |text: &str| local_path(text).unwrap();
        for plain in ["exports", "/data/exports", "myfile:x/ex", "a/s3:/b", "./foo://bar", "x:y", "2:/a"] {
            assert_eq!(path(plain), Some(plain.into()));
        }
        for url in ["file:///data/ex%20a", "file:///data/ex%20a/", "file:/data/ex%20a", "FILE:///data/ex%20a"] {
            assert_eq!(path(url), Some("/data/ex a".into()), "{url}");
        }
        for url in ["s3://bucket/x", "gs://bucket", "az://container/x", "S3://bucket/x"] {
            assert_eq!(path(url), None);
        }
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
            ("file:relative", "write file:///absolute/folder, or a relative path without file:"),
            ("file://host/data", "write file:///absolute/folder"),
            ("file:///data/a#b", "write ? as %3F and # as %23"),
        ] {
            let said = local_path(location).unwrap_err().to_string();
            assert!(said.contains(&format!("{location:?}")) && said.contains(remedy), "{said}");
        }
    }
}
