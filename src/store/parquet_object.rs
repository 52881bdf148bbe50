//! Byte ranges of one Parquet object, for the asynchronous reader.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

/// The bytes of an object from `start` to its end, as they were fetched before.
#[derive(Clone, Debug)]
pub(super) struct FetchedEnd {
    pub start: u64,
    pub bytes: Bytes,
}

/// Byte ranges of one Parquet object, for the asynchronous reader.
pub(crate) struct ParquetObject {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    pub(super) size_bytes: u64,
    pub(super) fetched: Option<FetchedEnd>,
}

impl ParquetObject {
    /// A damaged footer may ask for bytes beyond the end, or for none. This error is one of the
    /// file, not of the store.
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

impl ParquetObject {
    /// A part of the object that is in memory. An object that has another size now is asked for again.
    fn part(&self, range: &Range<u64>) -> Option<Bytes> {
        let FetchedEnd { start, bytes } = self.fetched.as_ref()?;
        let is_in_memory = start + bytes.len() as u64 == self.size_bytes && *start <= range.start;
        is_in_memory
            .then(|| bytes.slice((range.start - start) as usize..(range.end - start) as usize))
    }
}

impl AsyncFileReader for ParquetObject {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        Box::pin(async move {
            self.check(&range)?;
            if let Some(part) = self.part(&range) {
                return Ok(part);
            }
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
            if let Some(parts) = ranges.iter().map(|range| self.part(range)).collect() {
                return Ok(parts);
            }
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

/// The error of a store inside distinguishes it from damaged bytes.
fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
