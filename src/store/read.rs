//! Objects and parts of objects read.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use object_store::ObjectStoreExt;

use super::entry::Entry;
use super::open::Store;
use super::parquet_object::ParquetObject;
use crate::fingerprint::Digest;

/// Bytes of an object that are in memory while it is hashed; several objects are hashed side by side.
const PIECE_BYTES: u64 = 4 << 20;

impl Store {
    pub fn exists(&self, path: &str) -> Result<bool> {
        Ok(self.find(path)?.is_some())
    }

    /// The entry of an object, named by its path; `None` where there is none.
    pub(crate) fn find(&self, path: &str) -> Result<Option<Entry>> {
        self.runtime().block_on(self.head(path))
    }

    async fn head(&self, path: &str) -> Result<Option<Entry>> {
        let full = self.path("read", path)?;
        match self.in_time(self.inner.head(&full)).await {
            Ok(meta) => Ok(Some(Entry::new(path.to_owned(), &meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("read", path, &e)),
        }
    }

    /// The whole object, or `None` where there is none.
    pub fn read(&self, path: &str) -> Result<Option<Bytes>> {
        self.runtime().block_on(self.get(path))
    }

    /// Several objects, side by side; in the order of the paths.
    pub(crate) fn read_each(&self, paths: &[String]) -> Result<Vec<Option<Bytes>>> {
        self.wait_each(paths.iter().map(|path| self.get(path)))
    }

    pub(super) async fn get(&self, path: &str) -> Result<Option<Bytes>> {
        if let Some(object) = self.fetched.get(path) {
            return Ok(Some(object.clone()));
        }
        let full = self.path("read", path)?;
        let got = self.in_time(async { self.inner.get(&full).await?.bytes().await });
        match got.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("read", path, &e)),
        }
    }

    /// The size and the SHA-256 of an object, which is read piece by piece; `None` where there is none.
    pub(crate) fn digest(&self, path: &str) -> Result<Option<(u64, String)>> {
        self.runtime().block_on(self.digested(path))
    }

    /// The same of several objects, side by side.
    pub(crate) fn digest_each(&self, paths: &[String]) -> Result<Vec<Option<(u64, String)>>> {
        self.wait_each(paths.iter().map(|path| self.digested(path)))
    }

    async fn digested(&self, path: &str) -> Result<Option<(u64, String)>> {
        let Some(entry) = self.head(path).await? else {
            return Ok(None);
        };
        let mut digest = Digest::default();
        let mut start = 0;
        while start < entry.size_bytes {
            let end = (start + PIECE_BYTES).min(entry.size_bytes);
            let piece = start..end;
            let Some(pieces) = self.ranges(path, std::slice::from_ref(&piece)).await? else {
                return Ok(None);
            };
            pieces.iter().for_each(|piece| digest.add(piece));
            start = end;
        }
        Ok(Some((entry.size_bytes, digest.finish())))
    }

    /// Parts of an object, or `None` where there is none.
    pub(crate) fn read_ranges(
        &self,
        path: &str,
        ranges: &[Range<u64>],
    ) -> Result<Option<Vec<Bytes>>> {
        self.runtime().block_on(self.ranges(path, ranges))
    }

    async fn ranges(&self, path: &str, ranges: &[Range<u64>]) -> Result<Option<Vec<Bytes>>> {
        let full = self.path("read", path)?;
        match self.in_time(self.inner.get_ranges(&full, ranges)).await {
            Ok(parts) => Ok(Some(parts)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("read", path, &e)),
        }
    }

    /// The same store, with these objects in memory for [`Store::parquet_object`]: they are fetched side by
    /// side. A failure is reported when its object is read.
    pub(crate) fn with_fetched(&self, paths: Vec<String>) -> Store {
        let objects = self.read_each(&paths).unwrap_or_default();
        let fetched = paths.into_iter().zip(objects);
        let fetched = fetched.filter_map(|(path, object)| Some((path, object?)));
        let mut store = self.clone();
        store.fetched = Arc::new(fetched.collect());
        store
    }

    /// A reader of one Parquet object's byte ranges.
    pub(crate) fn parquet_object(&self, path: &str, size_bytes: u64) -> Result<ParquetObject> {
        Ok(ParquetObject {
            store: self.inner.clone(),
            path: self.path("read", path)?,
            size_bytes,
            whole: self.fetched.get(path).cloned(),
        })
    }
}
