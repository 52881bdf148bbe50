//! The rows of an export, decoded ahead on a thread of their own, cast to the contract and sieved.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Result;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::errors::ParquetError;

use super::batch::Batch;
use super::contract::{Defect, Issue, OpenExport, OpenFile, isolated, sort_error};
use super::pages::RowGroup;
use super::rules::Sieve;
use crate::config::QuarantineBudget;
use crate::contracts::arrow::{MONEY_MAX_CENTS, MONEY_SCALE};
use crate::contracts::{Column, Kind};
use crate::days::calendar::CivilDay;
use crate::store::Store;

/// Rows decoded at a time: large enough to amortise a call, small enough that a few batches are nothing.
const BATCH_ROWS: usize = 32 * 1024;
/// Batches that the decoding thread may be ahead.
const READ_AHEAD: usize = 4;

/// 0001-01-01 to 9999-12-31 in days since 1970-01-01: the dates that every reader of the results can hold (Spark, Python
/// and SQL start and end there). Others, such as DuckDB's infinity, would end up in period columns that cannot be read.
const DATES: RangeInclusive<i32> = -719_162..=2_932_896;

/// Decoded rows of a file, or what stopped the decoding.
type Decoded = Result<RecordBatch, ParquetError>;

/// Reads an export to its end; rows that keep the rules go to `consume`.
///
/// # Errors
/// When the store fails, or `consume` does. Damaged bytes are the inner error.
pub fn read(
    store: &Store,
    export: &OpenExport,
    civil: &CivilDay,
    budget: QuarantineBudget,
    consume: &mut dyn FnMut(&Batch) -> Result<()>,
) -> Result<Result<Sieve, Defect>> {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(READ_AHEAD);
        scope.spawn(move || decode_files(store, export, &sender));
        sieve_batches(store, export, Sieve::new(export, civil, budget), receiver, consume)
    })
}

/// Sends every batch with the position of its file; ends early when the receiver is gone or after an error.
fn decode_files(store: &Store, export: &OpenExport, sender: &SyncSender<(usize, Decoded)>) {
    for (file_position, file) in export.files.iter().enumerate() {
        let mut rows = 0;
        let ended = isolated(|| {
            let path = format!("{}/{}", export.dataset.partition(export.day), file.name);
            let mut object =
                store.parquet_object(&path, file.size_bytes).map_err(|e| ParquetError::External(e.into()))?;
            let metadata = file.metadata.metadata();
            let schema = metadata.file_metadata().schema_descr();
            let wanted = ProjectionMask::roots(schema, file.positions.iter().copied());
            let types = Some(file.metadata.schema().fields());
            let levels = parquet_to_arrow_field_levels(schema, wanted.clone(), types)?;
            for position in (0..metadata.num_row_groups()).filter(|group| metadata.row_group(*group).num_rows() > 0) {
                let group = RowGroup::fetch(store, &mut object, metadata, position, &wanted)?;
                for batch in ParquetRecordBatchReader::try_new_with_row_groups(&levels, &group, BATCH_ROWS, None)? {
                    let batch = batch.map_err(|error| ParquetError::General(error.to_string()))?;
                    rows += batch.num_rows() as u64;
                    if sender.send((file_position, Ok(batch))).is_err() {
                        return Ok(());
                    }
                }
            }
            if rows == file.rows {
                return Ok(());
            }
            Err(ParquetError::General(format!("{rows} rows where the footer says {}", file.rows)))
        });
        if let Err(error) = ended {
            // The receiver is gone only after an error of its own, which is then the one to report.
            let _ = sender.send((file_position, Err(error)));
            return;
        }
    }
}

fn sieve_batches(
    store: &Store,
    export: &OpenExport,
    mut sieve: Sieve,
    receiver: Receiver<(usize, Decoded)>,
    consume: &mut dyn FnMut(&Batch) -> Result<()>,
) -> Result<Result<Sieve, Defect>> {
    for (position, decoded) in receiver {
        let file = &export.files[position];
        let batch = match decoded {
            Ok(batch) => batch,
            Err(error) => {
                let path = store.show(&format!("{}/{}", export.dataset.partition(export.day), file.name));
                return Ok(sort_error(&path, error)?.map_err(|found| damaged(file, None, found)));
            }
        };
        let columns = match cast(export, file, &batch) {
            Ok(columns) => columns,
            Err(defect) => return Ok(Err(defect)),
        };
        let batch = Batch { dataset: export.dataset, columns, rows: batch.num_rows() };
        consume(&sieve.pass(position, batch)?)?;
    }
    Ok(Ok(sieve))
}

fn damaged(file: &OpenFile, column: Option<&Column>, found: String) -> Defect {
    Defect::Contract(vec![Issue {
        file: file.name.clone(),
        column: column.map(|c| c.name.into()),
        expected: column.map_or("rows that can be read", |c| c.kind.sql()).into(),
        found,
        remedy: "export the file again; it was damaged".into(),
    }])
}

fn out_of_range(file: &OpenFile, column: &Column, found: &DataType) -> Defect {
    if column.kind != Kind::Date {
        return damaged(file, Some(column), format!("a value of {found} out of range"));
    }
    Defect::Contract(vec![Issue {
        file: file.name.clone(),
        column: Some(column.name.into()),
        expected: "a DATE of years 1 to 9999".into(),
        found: "one out of range (infinity?)".into(),
        remedy: "write an open end as 9999-12-31".into(),
    }])
}

/// The columns in contract order and form.
fn cast(export: &OpenExport, file: &OpenFile, batch: &RecordBatch) -> Result<Vec<ArrayRef>, Defect> {
    let cast_one = |column: &Column| {
        let array = batch.column_by_name(column.name).ok_or_else(|| damaged(file, Some(column), "nothing".into()))?;
        cast_column(column.kind, array).ok_or_else(|| out_of_range(file, column, array.data_type()))
    };
    export.dataset.columns.iter().map(cast_one).collect()
}

/// `None`: a value cannot be held. The types are those that the contract check accepts.
fn cast_column(kind: Kind, array: &ArrayRef) -> Option<ArrayRef> {
    let ints = |cast: Int64Array| -> Option<ArrayRef> { Some(Arc::new(cast)) };
    match (kind, array.data_type()) {
        (Kind::Int64 | Kind::Int32, DataType::Int8) => ints(array.as_primitive::<Int8Type>().unary(i64::from)),
        (Kind::Int64 | Kind::Int32, DataType::Int16) => ints(array.as_primitive::<Int16Type>().unary(i64::from)),
        (Kind::Int64 | Kind::Int32, DataType::Int32) => ints(array.as_primitive::<Int32Type>().unary(i64::from)),
        (Kind::Instant, DataType::Timestamp(unit, _)) => cast_instants(*unit, array).and_then(ints),
        (Kind::Money, DataType::Decimal128(_, scale)) => {
            let factor = 10_i128.pow(u32::try_from(MONEY_SCALE - scale).ok()?);
            let in_cents = |v: i128| v.checked_mul(factor).filter(|cents| cents.abs() <= MONEY_MAX_CENTS);
            let cents = array.as_primitive::<Decimal128Type>().unary_opt::<_, Decimal128Type>(in_cents);
            (cents.null_count() == array.null_count()).then(|| Arc::new(cents) as ArrayRef)
        }
        (Kind::Date, DataType::Date32) => {
            let mut days = array.as_primitive::<Date32Type>().iter().flatten();
            days.all(|day| DATES.contains(&day)).then(|| array.clone())
        }
        _ => Some(array.clone()),
    }
}

/// Microseconds since 1970-01-01T00:00:00Z; finer units are floored. A checked cast gives null where it overflows, so
/// more nulls than before mean that one did.
fn cast_instants(unit: TimeUnit, array: &ArrayRef) -> Option<Int64Array> {
    let checked = |scaled: Int64Array| (scaled.null_count() == array.null_count()).then_some(scaled);
    match unit {
        TimeUnit::Second => {
            checked(array.as_primitive::<TimestampSecondType>().unary_opt(|v| v.checked_mul(1_000_000)))
        }
        TimeUnit::Millisecond => {
            checked(array.as_primitive::<TimestampMillisecondType>().unary_opt(|v| v.checked_mul(1_000)))
        }
        TimeUnit::Microsecond => Some(array.as_primitive::<TimestampMicrosecondType>().unary(|v| v)),
        TimeUnit::Nanosecond => Some(array.as_primitive::<TimestampNanosecondType>().unary(|v| v.div_euclid(1_000))),
    }
}
