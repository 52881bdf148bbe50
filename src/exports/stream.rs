//! The rows of an export: row groups fetched ahead, decoded by several threads, cast to the
//! contract.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::errors::ParquetError;

use super::batch::Batch;
use super::contract::{Defect, Issue, OpenExport, OpenFile, isolated, sort_error};
use super::exact::{Inexact, cast_column};
use super::is_streamed;
use super::pages::{ColumnBytes, RowGroup};
use super::row_groups::RowGroupPlace;
use crate::contracts::{Column, Kind};
use crate::messages;
use crate::store::Store;

/// Rows decoded at a time: few enough that their columns stay in a core's cache.
const BATCH_ROWS: usize = 8 * 1024;
/// Row groups that are fetched while as many as there are threads are decoded.
const READ_AHEAD: usize = 2;

/// What one thread does with decoded rows.
pub trait Worker: Send {
    /// The next rows of a row group; they start at `first_row` of its file.
    fn rows(&mut self, group: &RowGroupPlace, first_row: u64, batch: Batch) -> Result<()>;

    /// The row group at this position of [`OpenExport::row_groups`] was read to its end.
    fn end_row_group(&mut self, position: usize) -> Result<()>;
}

/// Why reading stopped.
enum Failure {
    Damaged(Defect),
    /// The store failed, or a worker did.
    Other(anyhow::Error),
}

/// A row group on its way to a thread that decodes it.
type Fetched<'a> = (
    usize,
    &'a RowGroupPlace,
    Result<Vec<ColumnBytes>, ParquetError>,
);

/// Reads an export to its end; each row group goes to one of the workers. Several workers have a
/// thread each, and one that fetches ahead for all of them; a single worker does everything on the
/// thread of the caller. Row groups of a small dataset come in the order of files and rows, those
/// of a large one in the order of their shops, where that is known.
///
/// # Errors
/// When the store fails, or a worker does. Damaged bytes are the inner error; of several damaged
/// row groups one is told, the first of those that were found before reading stopped.
pub fn read<W: Worker>(
    store: &Store,
    export: &OpenExport,
    workers: Vec<W>,
) -> Result<Result<Vec<W>, Defect>> {
    let groups = export.row_groups();
    let mut order: Vec<usize> = (0..groups.len()).collect();
    if is_streamed(export.dataset) {
        order.sort_by_key(|position| {
            groups[*position]
                .shops
                .as_ref()
                .map_or(i64::MIN, |shops| *shops.start())
        });
    }
    let fetched = order.iter().map(|position| {
        (
            *position,
            &groups[*position],
            fetch(store, export, &groups[*position]),
        )
    });
    let reading = Reading {
        store,
        export,
        failures: Mutex::default(),
        is_over: AtomicBool::new(false),
    };
    let workers = match <[W; 1]>::try_from(workers) {
        Ok([worker]) => vec![reading.work(worker, fetched)],
        Err(workers) => reading.work_ahead(workers, fetched),
    };
    let failures = reading
        .failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match failures.into_iter().min_by_key(|(position, _)| *position) {
        None => Ok(Ok(workers)),
        Some((_, Failure::Damaged(defect))) => Ok(Err(defect)),
        Some((_, Failure::Other(error))) => Err(error),
    }
}

/// An export that is being read.
struct Reading<'a> {
    store: &'a Store,
    export: &'a OpenExport,
    /// With the positions of their row groups.
    failures: Mutex<Vec<(usize, Failure)>>,
    /// After a failure nothing more is read.
    is_over: AtomicBool,
}

impl<'a> Reading<'a> {
    /// Each worker on a thread of its own.
    fn work_ahead<W: Worker>(
        &self,
        workers: Vec<W>,
        fetched: impl Iterator<Item = Fetched<'a>> + Send,
    ) -> Vec<W> {
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(READ_AHEAD);
            let receiver = Arc::new(Mutex::new(receiver));
            scope.spawn(move || send_each(fetched, &sender));
            let work = |worker: W, receiver: Arc<Mutex<Receiver<Fetched<'a>>>>| {
                let _ends_all = EndOnPanic(&self.is_over);
                let next = || {
                    receiver
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .recv()
                        .ok()
                };
                self.work(worker, std::iter::from_fn(next))
            };
            let threads: Vec<_> = workers
                .into_iter()
                .map(|worker| {
                    let receiver = receiver.clone();
                    scope.spawn(move || work(worker, receiver))
                })
                .collect();
            // Fetching stops once nobody listens any more.
            drop(receiver);
            threads
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        })
    }

    /// Hands the rows of row groups on to a worker, to the last one or to a failure.
    fn work<W: Worker>(&self, mut worker: W, mut fetched: impl Iterator<Item = Fetched<'a>>) -> W {
        while !self.is_over.load(Ordering::Relaxed)
            && let Some((position, place, bytes)) = fetched.next()
        {
            let read = read_group(self.store, self.export, place, bytes, &mut worker);
            let ended = read.and_then(|()| worker.end_row_group(position).map_err(Failure::Other));
            if let Err(failure) = ended {
                self.is_over.store(true, Ordering::Relaxed);
                self.failures
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((position, failure));
            }
        }
        worker
    }
}

/// When a worker panics, the others stop too.
struct EndOnPanic<'a>(&'a AtomicBool);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Ends early when nobody receives any more.
fn send_each<'a>(mut fetched: impl Iterator<Item = Fetched<'a>>, sender: &SyncSender<Fetched<'a>>) {
    while let Some(next) = fetched.next()
        && sender.send(next).is_ok()
    {}
}

/// The bytes of a row group.
fn fetch(
    store: &Store,
    export: &OpenExport,
    place: &RowGroupPlace,
) -> Result<Vec<ColumnBytes>, ParquetError> {
    let file = &export.files[place.file];
    let path = format!("{}/{}", export.dataset.partition(export.day), file.name);
    isolated(|| {
        let object = store.parquet_object(&path, file.size_bytes);
        let mut object = object.map_err(|e| ParquetError::External(e.into()))?;
        RowGroup::fetch(store, &mut object, &file.metadata, place.group)
    })
}

/// Decodes a row group and hands its rows on. Only the decoder runs isolated: a panic elsewhere is
/// a bug of this program.
fn read_group(
    store: &Store,
    export: &OpenExport,
    place: &RowGroupPlace,
    fetched: Result<Vec<ColumnBytes>, ParquetError>,
    worker: &mut impl Worker,
) -> Result<(), Failure> {
    let file = &export.files[place.file];
    let failed = |error: ParquetError| {
        let path = store.show(&format!(
            "{}/{}",
            export.dataset.partition(export.day),
            file.name
        ));
        match sort_error(&path, error) {
            Ok(Ok(())) => unreachable!("an error stays one"),
            Ok(Err(found)) => Failure::Damaged(damaged(file, None, found)),
            Err(error) => Failure::Other(error),
        }
    };
    let open = || {
        let schema = file.metadata.file_metadata().schema_descr();
        let levels =
            parquet_to_arrow_field_levels(schema, ProjectionMask::all(), Some(&file.types))?;
        let group = RowGroup::check(&file.metadata, place.group, fetched?)?;
        ParquetRecordBatchReader::try_new_with_row_groups(&levels, &group, BATCH_ROWS, None)
    };
    let mut reader = isolated(open).map_err(failed)?;
    let mut rows = 0;
    loop {
        let decoded = isolated(|| {
            reader
                .next()
                .transpose()
                .map_err(|e| ParquetError::General(e.to_string()))
        });
        let Some(decoded) = decoded.map_err(failed)? else {
            break;
        };
        let columns =
            cast(export, file, place.first_row + rows, &decoded).map_err(Failure::Damaged)?;
        let batch_rows = decoded.num_rows();
        let first_position = (place.first_position + rows) as i64;
        let has_positions = is_streamed(export.dataset) && !export.dataset.key.is_empty();
        let positions = has_positions.then(|| {
            Int64Array::from_iter_values(first_position..first_position + batch_rows as i64)
        });
        let batch = Batch {
            dataset: export.dataset,
            columns,
            rows: batch_rows,
            positions,
        };
        if is_streamed(export.dataset) && !lies_within(&batch, place) {
            let found = "a value outside the statistics of its row group".into();
            return Err(Failure::Damaged(damaged(
                file,
                Some(shop_id(export)),
                found,
            )));
        }
        worker
            .rows(place, place.first_row + rows, batch)
            .map_err(Failure::Other)?;
        rows += batch_rows as u64;
    }
    if rows != place.rows {
        let found = format!("{rows} rows where the footer says {}", place.rows);
        return Err(failed(ParquetError::General(found)));
    }
    Ok(())
}

fn shop_id(export: &OpenExport) -> &'static Column {
    &export.dataset.columns[export.dataset.position("shop_id")]
}

/// Whether the shops are those that the row group's statistics tell, by which shops are taken for
/// complete.
fn lies_within(batch: &Batch, place: &RowGroupPlace) -> bool {
    let Some(shops) = &place.shops else {
        return true;
    };
    let ids = batch.ints("shop_id");
    let is_outside = |row: usize| !shops.contains(&ids.values()[row]);
    !(0..batch.rows).fold(false, |any, row| any | is_outside(row))
        || (0..batch.rows).all(|row| ids.is_null(row) || !is_outside(row))
}

fn damaged(file: &OpenFile, column: Option<&Column>, found: String) -> Defect {
    let expected = column.map_or("rows that can be read", |c| c.kind.sql());
    Defect::Contract(vec![Issue::new(
        &file.name,
        column,
        expected,
        messages::not_parquet(found),
    )])
}

/// The columns in the form of the contract; the batch starts at row `first_row` of the file.
fn cast(
    export: &OpenExport,
    file: &OpenFile,
    first_row: u64,
    batch: &RecordBatch,
) -> Result<Vec<ArrayRef>, Defect> {
    let cast_one = |(column, array): (&Column, &ArrayRef)| {
        let named = |Inexact { row, value }| inexact(file, column, first_row + row as u64, &value);
        cast_column(column.kind, array).map_err(named)
    };
    export
        .dataset
        .columns
        .iter()
        .zip(batch.columns())
        .map(cast_one)
        .collect()
}

/// A value of an accepted type that is not one of the contract's type.
fn inexact(file: &OpenFile, column: &Column, row: u64, value: &str) -> Defect {
    let (expected, found) = match column.kind {
        Kind::Date => (
            "a DATE of years 1 to 9999",
            messages::no_civil_day(value, row),
        ),
        Kind::Instant => (
            "an instant of years 1 to 9999",
            messages::no_civil_instant(value, row),
        ),
        Kind::Money => ("DECIMAL(18,2)", messages::not_whole_cents(value, row)),
        kind => (kind.sql(), messages::not_a_number_of_the_type(value, row)),
    };
    Defect::Contract(vec![Issue::new(&file.name, Some(column), expected, found)])
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::*;
    use crate::contracts::datasets::PRODUCT_TRAFFIC;

    #[test]
    fn a_shop_outside_the_statistics_of_its_row_group_is_noticed() {
        let lies_within = |ids: &[Option<i64>], shops: Option<RangeInclusive<i64>>| {
            let place = RowGroupPlace {
                file: 0,
                group: 0,
                first_row: 0,
                first_position: 0,
                rows: 3,
                shops,
            };
            let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(ids.to_vec()))];
            super::lies_within(
                &Batch {
                    dataset: &PRODUCT_TRAFFIC,
                    columns,
                    rows: ids.len(),
                    positions: None,
                },
                &place,
            )
        };
        assert!(lies_within(&[Some(5), Some(7), Some(9)], Some(5..=9)));
        assert!(!lies_within(&[Some(5), Some(10), Some(9)], Some(5..=9)));
        assert!(!lies_within(&[Some(4)], Some(5..=9)));
        // A null is set aside by its rule, whatever lies under it; without statistics nothing is
        // relied on.
        assert!(lies_within(&[Some(5), None, Some(9)], Some(5..=9)));
        assert!(lies_within(&[Some(i64::MIN), Some(i64::MAX)], None));
    }
}
