//! The seam for the two large datasets: their rows checked and added up, here or elsewhere.

use super::defect::ReadError;
use super::open_export::OpenExport;
use super::read_rows::read_large;
use super::row_filter::{FilterReport, RowFilter};
use super::row_sink::{RowSink, Unused};
use crate::contracts::StreamId;
use crate::resources::Resources;
use crate::store::Store;

/// Reads one of the two large datasets to its end, by the row rules.
pub(crate) trait StreamReader {
    /// `is_only_checked`: the day is blocked, so nothing is computed from the rows.
    ///
    /// # Errors
    /// `Broken` for a value that is not of the contract's type; `Failed` when the store fails.
    fn read(
        &mut self,
        id: StreamId,
        export: &OpenExport,
        filter: RowFilter,
        is_only_checked: bool,
    ) -> Result<FilterReport, ReadError>;
}

/// Reads in this process, with all threads.
pub(crate) struct InProcess<'a> {
    pub store: &'a Store,
    pub resources: &'a Resources,
    pub rows: &'a mut dyn RowSink,
}

impl StreamReader for InProcess<'_> {
    fn read(
        &mut self,
        id: StreamId,
        export: &OpenExport,
        filter: RowFilter,
        is_only_checked: bool,
    ) -> Result<FilterReport, ReadError> {
        let mut unused = Unused;
        let rows: &mut dyn RowSink = if is_only_checked {
            &mut unused
        } else {
            self.rows
        };
        let sink = rows.begin(id, export);
        read_large(self.store, export, filter, self.resources, sink)
    }
}
