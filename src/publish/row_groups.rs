//! Encodes the row groups of a Parquet file, several at a time.
//!
//! A row group is encoded by one thread, and they are appended in order. So the bytes are the same
//! with any number of threads.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};

use anyhow::Result;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriter,
};
use parquet::file::writer::SerializedFileWriter;

/// The column chunks of a row group.
type Encoded = Result<Vec<ArrowColumnChunk>>;

pub(super) struct RowGroups {
    file: SerializedFileWriter<Vec<u8>>,
    columns: ArrowRowGroupWriterFactory,
    threads: usize,
    /// How many row groups were pushed.
    pushed: usize,
    /// Those that other threads encode, in the order of the file. After an error they end by
    /// themselves, and nobody needs them.
    encoding: VecDeque<JoinHandle<Encoded>>,
}

impl RowGroups {
    /// A single thread is the caller's.
    pub(super) fn new(writer: ArrowWriter<Vec<u8>>, threads: usize) -> Result<RowGroups> {
        let (file, columns) = writer.into_serialized_writer()?;
        Ok(RowGroups {
            file,
            columns,
            threads,
            pushed: 0,
            encoding: VecDeque::new(),
        })
    }

    /// Adds the next row group; `encode` writes its columns and closes them.
    ///
    /// # Errors
    /// Those of `encode`, of this row group or of an earlier one.
    pub(super) fn push(
        &mut self,
        encode: impl FnOnce(Vec<ArrowColumnWriter>) -> Encoded + Send + 'static,
    ) -> Result<()> {
        let columns = self.columns.create_column_writers(self.pushed)?;
        self.pushed += 1;
        if self.threads <= 1 {
            return self.append(encode(columns)?);
        }
        if self.encoding.len() >= self.threads {
            self.append_next()?;
        }
        let thread = thread::Builder::new().name("encode".into());
        self.encoding
            .push_back(thread.spawn(move || encode(columns))?);
        Ok(())
    }

    /// The file without its footer.
    ///
    /// # Errors
    /// As [`RowGroups::push`].
    pub(super) fn finish(mut self) -> Result<SerializedFileWriter<Vec<u8>>> {
        while !self.encoding.is_empty() {
            self.append_next()?;
        }
        Ok(self.file)
    }

    fn append_next(&mut self) -> Result<()> {
        match self.encoding.pop_front() {
            Some(next) => self.append(next.join().unwrap_or_else(|panic| resume_unwind(panic))?),
            None => Ok(()),
        }
    }

    fn append(&mut self, chunks: Vec<ArrowColumnChunk>) -> Result<()> {
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        Ok(())
    }
}
