//! Why a file cannot be read: the store failed, or the bytes are bad.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::errors::ParquetError;

use crate::messages;
use crate::store::Store;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The store failed; this says nothing about the file.
    #[error(transparent)]
    Store(#[from] anyhow::Error),
    /// The footer or columns are encrypted.
    #[error("an encrypted file")]
    Encrypted,
    /// The bytes are no sound Parquet file; the text is one line that says why.
    #[error("{0}")]
    Damaged(String),
}

impl FileError {
    /// Sorts an error of the Parquet reader; `path` is for the message of a failed store.
    pub(super) fn new(store: &Store, path: &str, error: ParquetError) -> FileError {
        match error {
            ParquetError::External(inner) if inner.is::<object_store::Error>() => FileError::Store(
                messages::store_failed("read", store.show(path), inner.to_string()).into(),
            ),
            error => FileError::damaged(&error),
        }
    }

    /// An error that no store can have caused.
    pub(super) fn damaged(error: &ParquetError) -> FileError {
        FileError::Damaged(cause(error))
    }
}

/// Runs code that reads untrusted bytes. A panic becomes an error: decoders panic on some damaged
/// bytes.
pub(super) fn isolated<T>(
    read: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, ParquetError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(damaged("damaged bytes")))
}

/// An error that says what is wrong with the bytes.
pub(super) fn damaged(found: impl Into<String>) -> ParquetError {
    ParquetError::General(found.into())
}

/// The first line of an error, without the names of the layers that passed it on.
fn cause(error: &ParquetError) -> String {
    const LAYERS: [&str; 6] = [
        "Parquet error: ",
        "Parquet argument error: ",
        "External: ",
        "Arrow: ",
        "EOF: ",
        "ParseError: ",
    ];
    let text = error.to_string();
    let mut line = text.lines().next().unwrap_or_default();
    while let Some(inner) = LAYERS.iter().find_map(|layer| line.strip_prefix(layer)) {
        line = inner;
    }
    match line {
        "Page CRC checksum mismatch" => "a page whose checksum is wrong".into(),
        line => line.to_owned(),
    }
}
