//! Encodes the row groups of a Parquet file while the rows of the next one come.
//!
//! A column of a row group is encoded by one thread, and all are appended in order. So the bytes are the
//! same with any number of threads.

use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};

use anyhow::Result;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriter,
};
use parquet::file::writer::SerializedFileWriter;

use crate::threads::on_threads;

/// The column chunks of a row group.
type Encoded = Result<Vec<ArrowColumnChunk>>;

pub(super) struct RowGroups {
    file: SerializedFileWriter<Vec<u8>>,
    columns: ArrowRowGroupWriterFactory,
    threads: usize,
    /// How many row groups were pushed.
    pushed: usize,
    /// The last one, while other threads encode it. After an error they end by themselves, and nobody needs
    /// it.
    encoding: Option<JoinHandle<Encoded>>,
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
            encoding: None,
        })
    }

    /// Adds the next row group; `encode` writes the column at this position and closes it.
    ///
    /// # Errors
    /// Those of `encode`, of this row group or of an earlier one: of the first column that has one.
    pub(super) fn push(
        &mut self,
        encode: impl Fn(usize, ArrowColumnWriter) -> Result<ArrowColumnChunk> + Send + Sync + 'static,
    ) -> Result<()> {
        let columns = self.columns.create_column_writers(self.pushed)?;
        let (columns, threads) = (columns.into_iter().enumerate().collect(), self.threads);
        let encode_columns = move || {
            let chunks = on_threads(threads, columns, |(column, writer)| encode(column, writer));
            chunks.into_iter().collect()
        };
        self.pushed += 1;
        self.append_last()?;
        if threads <= 1 {
            return self.append(encode_columns()?);
        }
        let thread = thread::Builder::new().name("encode".into());
        self.encoding = Some(thread.spawn(encode_columns)?);
        Ok(())
    }

    /// The file without its footer.
    ///
    /// # Errors
    /// As [`RowGroups::push`].
    pub(super) fn finish(mut self) -> Result<SerializedFileWriter<Vec<u8>>> {
        self.append_last()?;
        Ok(self.file)
    }

    fn append_last(&mut self) -> Result<()> {
        match self.encoding.take() {
            Some(last) => self.append(last.join().unwrap_or_else(|panic| resume_unwind(panic))?),
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
