//! The Arrow form of a contract's columns, and conversions from and to tables in memory.
//!
//! The Arrow form decides the Parquet form.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float64Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use polars::prelude as pl;

use super::column::{Column, Kind};
use super::field_ids::field_id;
use super::sums::SumTooLarge;
use super::table::Table;

/// Digits and scale of money in files: `DECIMAL(18,2)`.
pub const MONEY_PRECISION: u8 = 18;
pub const MONEY_SCALE: i8 = 2;
/// The greatest amount that `DECIMAL(18,2)` holds, in cents.
pub const MONEY_MAX_CENTS: i128 = 999_999_999_999_999_999;

/// The type of a column in a file.
pub fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Int64 => DataType::Int64,
        Kind::Int32 => DataType::Int32,
        Kind::Money => DataType::Decimal128(MONEY_PRECISION, MONEY_SCALE),
        Kind::Double => DataType::Float64,
        Kind::Text => DataType::Utf8,
        Kind::Boolean => DataType::Boolean,
        Kind::Date => DataType::Date32,
        Kind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// The file schema of columns, in contract order.
pub fn schema(columns: &[Column]) -> SchemaRef {
    let field = |c: &Column| Field::new(c.name, data_type(c.kind), c.null.is_some());
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// The schema of a file that this program publishes: each column has its field id. `owner`: the table,
/// or [`QUARANTINE_FILES`](super::field_ids::QUARANTINE_FILES).
pub fn published_schema(owner: &str, columns: &[Column]) -> SchemaRef {
    let fields = columns.iter().map(|column| published_field(owner, column));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A column of such a schema.
pub fn published_field(owner: &str, column: &Column) -> Field {
    let id = field_id(owner, column.name).to_string();
    let metadata = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id)]);
    let field = Field::new(column.name, data_type(column.kind), column.null.is_some());
    field.with_metadata(metadata)
}

/// The file form of a column of a conformed table.
///
/// # Errors
/// `SumTooLarge` when an amount of money does not fit `DECIMAL(18,2)`.
pub fn to_array(table: &Table, column: &Column, rows: &pl::DataFrame) -> Result<ArrayRef> {
    let values = rows.column(column.name)?;
    Ok(match column.kind {
        Kind::Int64 => Arc::new(to_numbers::<_, Int64Type>(values.i64()?)),
        Kind::Int32 => bail!("column {}: results have no INT32", column.name),
        Kind::Money => {
            let cents = values.i128()?;
            let is_over = |(_, cents): &(usize, Option<i128>)| {
                cents.is_some_and(|cents| cents.abs() > MONEY_MAX_CENTS)
            };
            if let Some((row, Some(over))) = cents.iter().enumerate().find(is_over) {
                return Err(SumTooLarge::new(table, column, rows, row, show_cents(over)).into());
            }
            let array = to_numbers::<_, Decimal128Type>(cents);
            Arc::new(array.with_precision_and_scale(MONEY_PRECISION, MONEY_SCALE)?)
        }
        Kind::Double => Arc::new(to_numbers::<_, Float64Type>(values.f64()?)),
        Kind::Text => Arc::new(StringArray::from_iter(values.str()?.iter())),
        Kind::Boolean => Arc::new(BooleanArray::from_iter(values.bool()?.iter())),
        Kind::Date => Arc::new(to_numbers::<_, Date32Type>(values.i32()?)),
        Kind::Instant => {
            let instants = to_numbers::<_, TimestampMicrosecondType>(values.i64()?);
            Arc::new(instants.with_timezone("UTC"))
        }
    })
}

/// Columns of a published table, in their memory form.
///
/// # Errors
/// When a column is missing or has another type than the contract.
pub fn from_batch(columns: &[&Column], batch: &RecordBatch) -> Result<pl::DataFrame> {
    let values = columns
        .iter()
        .map(|column| {
            let array = batch
                .column_by_name(column.name)
                .with_context(|| format!("no column {}", column.name))?;
            if *array.data_type() != data_type(column.kind) {
                bail!(
                    "column {}: expected {}, found {}",
                    column.name,
                    column.kind.sql(),
                    array.data_type()
                );
            }
            Ok(from_array(column, array))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(pl::DataFrame::new(batch.num_rows(), values)?)
}

fn from_array(column: &Column, array: &ArrayRef) -> pl::Column {
    use pl::IntoColumn;
    match column.kind {
        Kind::Int64 | Kind::Int32 => numbers::<Int64Type, pl::Int64Type>(array).into_column(),
        Kind::Money => numbers::<Decimal128Type, pl::Int128Type>(array).into_column(),
        Kind::Double => numbers::<Float64Type, pl::Float64Type>(array).into_column(),
        Kind::Text => array
            .as_string::<i32>()
            .iter()
            .collect::<pl::StringChunked>()
            .into_column(),
        Kind::Boolean => array
            .as_boolean()
            .iter()
            .collect::<pl::BooleanChunked>()
            .into_column(),
        Kind::Date => numbers::<Date32Type, pl::Int32Type>(array).into_column(),
        Kind::Instant => numbers::<TimestampMicrosecondType, pl::Int64Type>(array).into_column(),
    }
    .with_name(column.name.into())
}

/// Without nulls, the values are copied as they are.
fn numbers<A, P>(array: &ArrayRef) -> pl::ChunkedArray<P>
where
    A: ArrowPrimitiveType,
    P: pl::PolarsNumericType<Native = A::Native>,
    pl::ChunkedArray<P>: FromIterator<Option<P::Native>> + pl::NewChunkedArray<P, P::Native>,
{
    let values = array.as_primitive::<A>();
    if values.null_count() == 0 {
        pl::NewChunkedArray::from_slice(pl::PlSmallStr::EMPTY, values.values())
    } else {
        values.iter().collect()
    }
}

/// As [`numbers`], in the other direction.
fn to_numbers<P, A>(values: &pl::ChunkedArray<P>) -> PrimitiveArray<A>
where
    P: pl::PolarsNumericType<Native = A::Native>,
    A: ArrowPrimitiveType,
{
    match values.cont_slice() {
        Ok(values) => PrimitiveArray::from_iter_values(values.iter().copied()),
        Err(_) => values.iter().collect(),
    }
}

/// A table with these columns and no rows.
pub fn empty(columns: &[&Column]) -> Result<pl::DataFrame> {
    let empty = |c: &&Column| pl::Column::new_empty(c.name.into(), &memory_type(c.kind));
    Ok(pl::DataFrame::new(0, columns.iter().map(empty).collect())?)
}

/// The type of a column in memory.
pub fn memory_type(kind: Kind) -> pl::DataType {
    match kind {
        Kind::Int64 | Kind::Int32 | Kind::Instant => pl::DataType::Int64,
        Kind::Money => pl::DataType::Int128,
        Kind::Double => pl::DataType::Float64,
        Kind::Text => pl::DataType::String,
        Kind::Boolean => pl::DataType::Boolean,
        Kind::Date => pl::DataType::Int32,
    }
}

/// Cents as text. Example: -12345 gives `-123.45`.
pub fn show_cents(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}
