//! Where the used rows of the two large datasets go: the seam between reading and computing.

use anyhow::Result;

use super::batch::Batch;
use super::open_export::OpenExport;
use crate::contracts::StreamId;

/// Takes the used rows of the two large datasets, one dataset after the other.
pub trait RowSink {
    /// Gets ready for the rows of a dataset.
    fn begin<'a>(&'a mut self, id: StreamId, export: &OpenExport) -> Box<dyn OpenSink + 'a>;
}

/// A [`RowSink`] while the rows of one dataset come.
pub trait OpenSink {
    /// A writer for one of the threads that read.
    fn writer(&self) -> Box<dyn RowWriter + '_>;

    /// Called once every row of the dataset is written. `repeated`: sorted positions of rows that
    /// were written but repeat a key. They are not used.
    fn end(self: Box<Self>, repeated: &[u64]) -> Result<()>;
}

/// One thread's writer to a [`OpenSink`].
pub trait RowWriter: Send {
    fn write(&mut self, batch: &Batch) -> Result<()>;

    /// Every row of the row group at this position of [`OpenExport::row_groups`] was written.
    fn end_row_group(&mut self, position: usize) -> Result<()>;

    /// Every row is written.
    fn close(&mut self) -> Result<()>;
}

/// A sink for rows that are only checked: it drops them.
pub struct Unused;

impl RowSink for Unused {
    fn begin<'a>(&'a mut self, _id: StreamId, _export: &OpenExport) -> Box<dyn OpenSink + 'a> {
        Box::new(Unused)
    }
}

impl OpenSink for Unused {
    fn writer(&self) -> Box<dyn RowWriter + '_> {
        Box::new(Unused)
    }
    fn end(self: Box<Self>, _repeated: &[u64]) -> Result<()> {
        Ok(())
    }
}

impl RowWriter for Unused {
    fn write(&mut self, _batch: &Batch) -> Result<()> {
        Ok(())
    }
    fn end_row_group(&mut self, _position: usize) -> Result<()> {
        Ok(())
    }
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
