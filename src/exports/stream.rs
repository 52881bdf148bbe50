//! Reads the rows of an export: fetches row groups ahead, decodes them on several threads.
//!
//! Rows are cast to the contract.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use anyhow::Result;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use bytes::Bytes;

use super::batch::Batch;
use super::defect::{Issue, ReadError};
use super::exact::{Inexact, cast_column};
use super::mapped::{IdsOf, KnownIds, Unfit, absent_column, change_column, constant_column};
use super::open_export::{OpenExport, OpenFile, RowGroupPlace};
use crate::contracts::{Column, Dataset, Kind};
use crate::mapping::{MappedColumns, Source};
use crate::messages;
use crate::resources::Counts;
use crate::store::Store;
use crate::threads::{beside, into_inner, lock, on_each};
use crate::untrusted_parquet::failure::FileError;
use crate::untrusted_parquet::row_group::{RowGroupReader, fetch};

/// Rows decoded at a time: few enough that their columns stay in a core's cache.
const BATCH_ROWS: usize = 8 * 1024;
/// Row groups that are fetched while as many as there are threads are decoded.
const READ_AHEAD: usize = 2;
/// Bytes of row groups that are on their way from an object store at a time: a line of 1 GB/s carries so many
/// in twice the 30 ms that a request takes.
const BYTES_ON_THEIR_WAY: u64 = 64 << 20;
/// Row groups on their way at a time; each has a thread.
const MOST_FETCHERS: u64 = 16;

/// Takes the decoded rows of one thread.
pub(super) trait Worker: Send {
    /// The next rows of a row group; they start at `first_row` of its file.
    fn rows(&mut self, group: &RowGroupPlace, first_row: u64, batch: Batch) -> Result<()>;

    /// The row group at this position of [`OpenExport::row_groups`] was read to its end.
    fn end_row_group(&mut self, position: usize) -> Result<()>;
}

/// A row group on its way to a thread that decodes it.
struct Fetched<'a> {
    position: usize,
    place: &'a RowGroupPlace,
    chunks: Result<Vec<Bytes>, FileError>,
}

/// Reads an export to its end; each row group is decoded by one of the workers.
///
/// Several workers have a thread each, and one more thread fetches row groups for all of them. A
/// single worker fetches and decodes on the caller's thread. Row groups of a small dataset come in
/// the order of files and rows. Those of a large one come in the order of their shops, as far as
/// their statistics tell it.
///
/// # Errors
/// `Broken` for damaged bytes and for values that are not of the contract's type. `Failed` when the
/// store or a worker fails. Of several failures before reading stops, the one of the first row
/// group.
pub(super) fn read<W: Worker>(
    store: &Store,
    export: &OpenExport,
    workers: Vec<W>,
    counts: &Counts,
) -> Result<Vec<W>, ReadError> {
    let groups = export.row_groups();
    Counts::add(&counts.rows_expected, export.rows());
    let reading = Reading {
        store,
        export,
        counts,
        failures: Mutex::default(),
        is_over: AtomicBool::new(false),
    };
    let order = reading_order(export, &groups).into_iter();
    let places = order.map(|position| (position, &groups[position]));
    let workers = match <[W; 1]>::try_from(workers) {
        Ok([worker]) => vec![reading.work(worker, places.map(|place| reading.fetch(place)))],
        Err(workers) => reading.work_ahead(workers, places, fetchers(store, export, &groups)),
    };
    let failures = into_inner(reading.failures);
    match failures.into_iter().min_by_key(|(position, _)| *position) {
        None => Ok(workers),
        Some((_, failure)) => Err(failure),
    }
}

/// The positions of the row groups in the order in which they are read.
fn reading_order(export: &OpenExport, groups: &[RowGroupPlace]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    if export.dataset.is_streamed() {
        let first_shop = |group: &RowGroupPlace| group.shops.as_ref().map(|shops| *shops.start());
        order.sort_by_key(|position| first_shop(&groups[*position]).unwrap_or(i64::MIN));
    }
    order
}

/// How many row groups are fetched at a time. A disk answers at once, so one is enough.
fn fetchers(store: &Store, export: &OpenExport, groups: &[RowGroupPlace]) -> usize {
    if !store.is_remote() {
        return 1;
    }
    let size_bytes = |place: &RowGroupPlace| {
        let group = export.files[place.file].metadata.row_group(place.group);
        group.compressed_size().max(1) as u64
    };
    let largest = groups.iter().map(size_bytes).max().unwrap_or(1);
    let most = MOST_FETCHERS.min(store.concurrency() as u64);
    (BYTES_ON_THEIR_WAY / largest).clamp(1, most) as usize
}

/// An export that is being read.
struct Reading<'a> {
    store: &'a Store,
    export: &'a OpenExport,
    counts: &'a Counts,
    /// With the positions of their row groups.
    failures: Mutex<Vec<(usize, ReadError)>>,
    /// Set by the first failure: after it, no further row group is read.
    is_over: AtomicBool,
}

impl Reading<'_> {
    fn fetch<'a>(&self, (position, place): (usize, &'a RowGroupPlace)) -> Fetched<'a> {
        let file = &self.export.files[place.file];
        Fetched {
            position,
            place,
            chunks: fetch(
                self.store,
                &self.export.path_of(file),
                file.size_bytes,
                &file.metadata,
                place.group,
            ),
        }
    }

    /// Each worker on a thread of its own, and so is each of the fetchers. With several of these, row groups
    /// come nearly in order.
    fn work_ahead<'a, W: Worker>(
        &self,
        workers: Vec<W>,
        places: impl Iterator<Item = (usize, &'a RowGroupPlace)> + Send,
        fetchers: usize,
    ) -> Vec<W> {
        let (sender, receiver) = sync_channel(READ_AHEAD);
        let places = Mutex::new(places);
        let places = &places;
        let fetch = (0..fetchers).map(|_| {
            let sender = sender.clone();
            move || {
                let next = || lock(places).next();
                send_each(std::iter::from_fn(|| Some(self.fetch(next()?))), &sender);
            }
        });
        let fetch: Vec<_> = fetch.collect();
        drop(sender);
        let decode = move || {
            // Fetching stops when this is dropped: nobody listens any more.
            let receiver = Mutex::new(receiver);
            on_each(workers, |worker| {
                let _ends_all = EndOnPanic(&self.is_over);
                self.work(worker, std::iter::from_fn(|| lock(&receiver).recv().ok()))
            })
        };
        beside(fetch, decode)
    }

    /// Decodes row groups for one worker, until there are no more or one fails.
    fn work<'a, W: Worker>(
        &self,
        mut worker: W,
        mut fetched: impl Iterator<Item = Fetched<'a>>,
    ) -> W {
        while !self.is_over.load(Ordering::Relaxed)
            && let Some(next) = fetched.next()
        {
            let position = next.position;
            if let Err(failure) = self.read_group(next, &mut worker) {
                self.is_over.store(true, Ordering::Relaxed);
                lock(&self.failures).push((position, failure));
            }
        }
        worker
    }

    /// Decodes a row group and passes its rows on.
    fn read_group(&self, fetched: Fetched<'_>, worker: &mut impl Worker) -> Result<(), ReadError> {
        let (export, place) = (self.export, fetched.place);
        let file = &export.files[place.file];
        let failed = |error| unreadable(file, error);
        let chunks = fetched.chunks.map_err(failed)?;
        let mut reader =
            RowGroupReader::open(&file.metadata, &file.types, place.group, chunks, BATCH_ROWS)
                .map_err(failed)?;
        let (mut rows, known) = (0, KnownIds::default());
        while let Some(decoded) = reader.next_batch().map_err(failed)? {
            let batch = to_batch(export, place, rows, &decoded, &known)?;
            let batch_rows = batch.rows as u64;
            worker.rows(place, place.first_row + rows, batch)?;
            Counts::add(&self.counts.rows_read, batch_rows);
            rows += batch_rows;
        }
        Ok(worker.end_row_group(fetched.position)?)
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

/// Ends early when no worker receives any more.
fn send_each<'a>(mut fetched: impl Iterator<Item = Fetched<'a>>, sender: &SyncSender<Fetched<'a>>) {
    while let Some(next) = fetched.next()
        && sender.send(next).is_ok()
    {}
}

/// The decoded rows that start at row `first` of a row group, in the form of the contract.
fn to_batch(
    export: &OpenExport,
    place: &RowGroupPlace,
    first: u64,
    decoded: &RecordBatch,
    known: &KnownIds,
) -> Result<Batch, ReadError> {
    let (dataset, file) = (export.dataset, &export.files[place.file]);
    let (columns, unfit) = cast(export, file, place.first_row + first, decoded, known)?;
    let rows = decoded.num_rows();
    let positions = (dataset.is_streamed() && !dataset.key.is_empty()).then(|| {
        let first = (place.first_position + first) as i64;
        Int64Array::from_iter_values(first..first + rows as i64)
    });
    let batch = Batch {
        dataset,
        columns,
        rows,
        positions,
        unfit,
    };
    if dataset.is_streamed() && !lies_within(&batch, place) {
        let shop_id = &dataset.columns[dataset.position("shop_id")];
        let found = "a value outside the statistics of its row group";
        let found = messages::not_parquet(found.to_owned());
        return Err(Issue::new(&file.name, Some(shop_id), shop_id.kind.sql(), found).into());
    }
    Ok(batch)
}

/// Whether every shop is within the statistics of the row group. By these statistics it is decided
/// when all rows of a shop are read.
fn lies_within(batch: &Batch, place: &RowGroupPlace) -> bool {
    let Some(shops) = &place.shops else {
        return true;
    };
    let ids = batch.ints("shop_id");
    let is_outside = |row: usize| !shops.contains(&ids.values()[row]);
    !(0..batch.rows).fold(false, |any, row| any | is_outside(row))
        || (0..batch.rows).all(|row| ids.is_null(row) || !is_outside(row))
}

/// The error of a file whose rows cannot be read.
fn unreadable(file: &OpenFile, error: FileError) -> ReadError {
    match error {
        FileError::Damaged(found) => Issue::new(
            &file.name,
            None,
            "rows that can be read",
            messages::not_parquet(found),
        )
        .into(),
        error => ReadError::new(&file.name, error),
    }
}

/// The columns in the form of the contract, and the values of mapped ones that do not fit; the batch starts
/// at row `first_row` of the file.
fn cast(
    export: &OpenExport,
    file: &OpenFile,
    first_row: u64,
    batch: &RecordBatch,
    known: &KnownIds,
) -> Result<(Vec<ArrayRef>, Vec<Unfit>), ReadError> {
    let dataset = export.dataset;
    if let Some(mapped) = &export.mapped {
        let ids = IdsOf {
            ids: &export.ids,
            dataset: dataset.name,
            known,
        };
        let rows = batch.num_rows();
        return Ok(mapped_columns(dataset, mapped, ids, batch.columns(), rows));
    }
    let columns = dataset.columns.iter().zip(batch.columns());
    let columns: Result<Vec<ArrayRef>, ReadError> = columns
        .map(|(column, array)| {
            cast_column(column, array).map_err(|Inexact { row, value }| {
                inexact(file, column, first_row + row as u64, &value).into()
            })
        })
        .collect();
    Ok((columns?, vec![]))
}

/// The columns of the contract from those of a file, `decoded`, in the same order: constants and absent
/// columns are not among these.
fn mapped_columns(
    dataset: &'static Dataset,
    mapped: &MappedColumns,
    ids: IdsOf,
    decoded: &[ArrayRef],
    rows: usize,
) -> (Vec<ArrayRef>, Vec<Unfit>) {
    let (mut decoded, mut unfit) = (decoded.iter(), Vec::new());
    let sources = dataset.columns.iter().zip(mapped.sources());
    let columns = sources.map(|(column, source)| match source {
        Source::Column { change, .. } => {
            let array = decoded
                .next()
                .unwrap_or_else(|| panic!("{} was not decoded", column.name));
            change_column(column, change, array, ids, &mut unfit)
        }
        Source::Constant(constant) => constant_column(dataset, column, constant, rows),
        Source::Absent => absent_column(dataset, column, rows),
    });
    (columns.collect(), unfit)
}

#[cfg(feature = "spark")]
impl OpenExport {
    /// Rows that another engine returned, at these places, in the form of the contract.
    pub(crate) fn batch_of(
        &self,
        columns: Vec<ArrayRef>,
        places: &[(u32, i64)],
    ) -> Result<Batch, ReadError> {
        if let Some(mapped) = &self.mapped {
            let columns: Vec<ArrayRef> = columns.into_iter().map(plain_text).collect();
            let ids = IdsOf {
                ids: &self.ids,
                dataset: self.dataset.name,
                known: &KnownIds::default(),
            };
            let rows = places.len();
            let (columns, unfit) = mapped_columns(self.dataset, mapped, ids, &columns, rows);
            return Ok(Batch {
                dataset: self.dataset,
                columns,
                rows: places.len(),
                positions: None,
                unfit,
            });
        }
        let contract = self.dataset.columns.iter().zip(columns);
        let columns: Result<Vec<ArrayRef>, Issue> = contract
            .map(|(column, array)| {
                let array = plain_text(array);
                cast_column(column, &array).map_err(|Inexact { row, value }| {
                    let (file, row_number) = places[row];
                    let file = &self.files[file as usize];
                    inexact(file, column, row_number as u64, &value)
                })
            })
            .collect();
        Ok(Batch {
            dataset: self.dataset,
            columns: columns?,
            rows: places.len(),
            positions: None,
            unfit: vec![],
        })
    }
}

/// Texts in the one form that a [`Batch`] holds.
#[cfg(feature = "spark")]
fn plain_text(array: ArrayRef) -> ArrayRef {
    use arrow_array::StringArray;
    use arrow_array::cast::AsArray;
    use arrow_schema::DataType;
    match array.data_type() {
        DataType::LargeUtf8 => {
            std::sync::Arc::new(StringArray::from_iter(array.as_string::<i64>()))
        }
        DataType::Utf8View => std::sync::Arc::new(StringArray::from_iter(array.as_string_view())),
        _ => array,
    }
}

/// A value of an accepted type that the contract's type cannot hold exactly.
fn inexact(file: &OpenFile, column: &Column, row: u64, value: &str) -> Issue {
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
    Issue::new(&file.name, Some(column), expected, found)
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;
    use std::sync::Arc;

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
                    unfit: vec![],
                },
                &place,
            )
        };
        assert!(lies_within(&[Some(5), Some(7), Some(9)], Some(5..=9)));
        assert!(!lies_within(&[Some(5), Some(10), Some(9)], Some(5..=9)));
        assert!(!lies_within(&[Some(4)], Some(5..=9)));
        // A null has its own rule; the value stored under it does not matter. Without statistics
        // every value is fine.
        assert!(lies_within(&[Some(5), None, Some(9)], Some(5..=9)));
        assert!(lies_within(&[Some(i64::MIN), Some(i64::MAX)], None));
    }
}
