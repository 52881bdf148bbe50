//! Objects and parts of objects read.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use futures::{FutureExt, TryStreamExt};
use object_store::{GetResultPayload, ObjectStoreExt};

use super::entry::Entry;
use super::open::Store;
use super::parquet_object::{FetchedEnd, ParquetObject};
use crate::fingerprint::Digest;

/// Bytes of a file on a disk that are in memory while it is hashed. An object store sends smaller pieces.
const PIECE_BYTES: usize = 1 << 20;

/// The size and the SHA-256 of an object; `None` where there is none.
pub(crate) type Digested = Option<(u64, String)>;

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
        if let Some(FetchedEnd { start: 0, bytes }) = self.fetched.get(path) {
            return Ok(Some(bytes.clone()));
        }
        let full = self.path("read", path)?;
        let got = self.in_time(async { self.inner.get(&full).await?.bytes().await });
        match got.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.failed("read", path, &e)),
        }
    }

    /// The size and the SHA-256 of an object.
    pub(crate) fn digest(&self, path: &str) -> Result<Digested> {
        self.runtime().block_on(self.digested(path))
    }

    /// The size and the SHA-256 of objects, side by side. Each is fetched once and never in memory as a whole.
    pub(crate) fn digest_each(&self, paths: &[String]) -> Result<Vec<Digested>> {
        self.wait_each(paths.iter().map(|path| self.digested(path)))
    }

    /// Copies objects as [`Store::copy_each`], and digests the copies and some other objects; all side by
    /// side.
    pub(crate) fn copy_and_digest(
        &self,
        copies: &[(String, String)],
        others: &[String],
    ) -> Result<(Vec<Digested>, Vec<Digested>)> {
        let copied = copies.iter().map(|(from, to)| {
            let digest = async move {
                match self.copied(from, to).await? {
                    true => self.digested(to).await,
                    false => Ok(None),
                }
            };
            digest.boxed()
        });
        let others = others.iter().map(|path| self.digested(path).boxed());
        let mut digested = self.wait_each(copied.chain(others))?;
        let of_others = digested.split_off(copies.len());
        Ok((digested, of_others))
    }

    async fn digested(&self, path: &str) -> Result<Digested> {
        let full = self.path("read", path)?;
        let failed = |error| self.failed("read", path, &error);
        let found = match self.in_time(self.inner.get(&full)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let (mut digest, mut size_bytes) = (Digest::default(), 0);
        match found.payload {
            GetResultPayload::File(mut file, _) => {
                let mut piece = vec![0; PIECE_BYTES];
                loop {
                    let read = file.read(&mut piece);
                    match read.map_err(|e| self.failed_to("read", path, &e))? {
                        0 => break,
                        length => {
                            digest.add(&piece[..length]);
                            size_bytes += length as u64;
                        }
                    }
                }
            }
            GetResultPayload::Stream(mut pieces) => {
                while let Some(piece) = self.in_time(pieces.try_next()).await.map_err(failed)? {
                    digest.add(&piece);
                    size_bytes += piece.len() as u64;
                }
            }
        }
        Ok(Some((size_bytes, digest.finish())))
    }

    /// One part of each of several objects, side by side.
    pub(crate) fn read_range_each(
        &self,
        parts: &[(String, Range<u64>)],
    ) -> Result<Vec<Option<Bytes>>> {
        self.wait_each(parts.iter().map(|(path, range)| self.range(path, range)))
    }

    async fn range(&self, path: &str, range: &Range<u64>) -> Result<Option<Bytes>> {
        let parts = self.ranges(path, std::slice::from_ref(range)).await?;
        Ok(parts.map(|mut parts| parts.remove(0)))
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

    /// The same store, with the ends of these objects in memory, or whole objects, for
    /// [`Store::parquet_object`]: the ranges are fetched side by side. A failure is reported when its object
    /// is read.
    pub(crate) fn with_fetched(&self, ends: Vec<(String, Range<u64>)>) -> Store {
        let found = ends.iter().map(|(path, range)| async move {
            match range.start {
                0 => self.get(path).await,
                _ => self.range(path, range).await,
            }
        });
        let found = self.wait_each(found).unwrap_or_default();
        let fetched = ends.into_iter().zip(found);
        let fetched = fetched.filter_map(|((path, range), bytes)| {
            let (start, bytes) = (range.start, bytes?);
            Some((path, FetchedEnd { start, bytes }))
        });
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
            fetched: self.fetched.get(path).cloned(),
        })
    }
}
