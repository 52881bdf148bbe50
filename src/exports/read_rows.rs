//! One export read to its end: its rows through the row rules, and on to snapshots or a sink.

use anyhow::Result;

use super::batch::Batch;
use super::defect::ReadError;
use super::open_export::{OpenExport, RowGroupPlace};
use super::repeats::{KeyWriter, Keys, Repeats};
use super::row_filter::{FilterReport, RowFilter};
use super::row_sink::{OpenSink, RowWriter};
use super::snapshots::{SnapshotRows, Snapshots};
use super::stream::{self, Worker};
use crate::resources::Resources;
use crate::stop::Stop;
use crate::store::Store;

/// Reads a small dataset into its snapshot, with one thread: of rows with the same key, the first
/// is used.
pub(super) fn read_snapshot(
    store: &Store,
    export: &OpenExport,
    filter: RowFilter,
    resources: &Resources,
    rows: SnapshotRows<'_>,
) -> Result<(FilterReport, Snapshots), ReadError> {
    let mut read = Snapshots::default();
    let mut report = filter.report.clone();
    let worker = SnapshotWorker {
        filter,
        rows,
        stop: &resources.stop,
    };
    for worker in stream::read(store, export, vec![worker], &resources.counts)? {
        report.merge(worker.filter.report)?;
        read.append(worker.rows.into_read());
    }
    report.set_aside.keep_first()?;
    Ok((report, read))
}

struct SnapshotWorker<'a> {
    filter: RowFilter,
    rows: SnapshotRows<'a>,
    stop: &'a Stop,
}

impl Worker for SnapshotWorker<'_> {
    fn rows(&mut self, group: &RowGroupPlace, first_row: u64, batch: Batch) -> Result<()> {
        self.stop.check()?;
        let passed = self.filter.pass(group.file, first_row, batch)?;
        self.filter.report.rows_out_of_scope += self.rows.add(&passed);
        Ok(())
    }

    fn end_row_group(&mut self, _position: usize) -> Result<()> {
        self.filter.report.set_aside.end_row_group()
    }
}

/// Reads a large dataset into `sink`, with all threads. Rows that repeat a key are known at its
/// end.
pub(super) fn read_large(
    store: &Store,
    export: &OpenExport,
    filter: RowFilter,
    resources: &Resources,
    sink: Box<dyn OpenSink + '_>,
) -> Result<FilterReport, ReadError> {
    let keys = Keys::new(export, resources);
    let mut report = filter.report.clone();
    let worker = || LargeWorker {
        filter: filter.clone(),
        keys: keys.as_ref().map(Keys::writer),
        rows: sink.writer(),
        stop: &resources.stop,
    };
    let workers = (0..resources.threads).map(|_| worker()).collect();
    for mut worker in stream::read(store, export, workers, &resources.counts)? {
        worker.rows.close()?;
        worker.keys.as_mut().map_or(Ok(()), KeyWriter::close)?;
        report.merge(worker.filter.report)?;
    }
    let most = report.set_aside.most();
    let repeats = keys.map_or(Ok(Repeats::default()), |keys| keys.repeats(most, resources))?;
    report.add_repeats(export, &repeats)?;
    report.set_aside.keep_first()?;
    // Where not all repeats are kept, they are over the budget: the day is blocked.
    if repeats.rows == repeats.first.len() as u64 {
        let positions: Vec<u64> = repeats.first.iter().map(|r| r.position).collect();
        sink.end(&positions)?;
    }
    Ok(report)
}

struct LargeWorker<'a> {
    filter: RowFilter,
    keys: Option<KeyWriter<'a>>,
    rows: Box<dyn RowWriter + 'a>,
    stop: &'a Stop,
}

impl Worker for LargeWorker<'_> {
    fn rows(&mut self, group: &RowGroupPlace, first_row: u64, batch: Batch) -> Result<()> {
        self.stop.check()?;
        let used = self.filter.pass(group.file, first_row, batch)?;
        if let Some(keys) = &mut self.keys {
            keys.write(&used)?;
        }
        self.rows.write(&used)
    }

    fn end_row_group(&mut self, position: usize) -> Result<()> {
        self.filter.report.set_aside.end_row_group()?;
        self.rows.end_row_group(position)
    }
}
