//! Exports with INT96 instants, for which Arrow has no type to write from.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{DataType, Int64Type, Int96, Int96Type};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

/// A row of `ad_hours`; money in cents.
pub struct AdHour {
    pub ad_account_id: i64,
    pub shop_id: i64,
    pub hour_start: Int96,
    pub spend: i64,
    pub gross_revenue: i64,
}

const SCHEMA: &str = "message ad_hours {
    required int64 ad_account_id; required int64 shop_id; required int96 hour_start;
    required int64 spend (DECIMAL(18,2)); required int64 gross_revenue (DECIMAL(18,2)); }";

pub fn write_ad_hours(path: &Path, rows: &[AdHour]) {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    write_column::<Int64Type>(&mut group, rows.iter().map(|r| r.ad_account_id).collect());
    write_column::<Int64Type>(&mut group, rows.iter().map(|r| r.shop_id).collect());
    write_column::<Int96Type>(&mut group, rows.iter().map(|r| r.hour_start).collect());
    write_column::<Int64Type>(&mut group, rows.iter().map(|r| r.spend).collect());
    write_column::<Int64Type>(&mut group, rows.iter().map(|r| r.gross_revenue).collect());
    group.close().unwrap();
    writer.close().unwrap();
}

fn write_column<T: DataType>(group: &mut SerializedRowGroupWriter<'_, File>, values: Vec<T::T>) {
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<T>()
        .write_batch(&values, None, None)
        .unwrap();
    column.close().unwrap();
}
