//! Columns of a file tried as columns of a contract, and some of their rows, before there is a mapping.

use arrow_array::ArrayRef;
use arrow_schema::{Field, Fields};
use parquet::file::metadata::ParquetMetaData;

use super::mapped::{IdsOf, KnownIds, Unfit, change_column};
use super::schema::{Wanted, find_column, shown_columns};
use super::text_ids::TextIds;
use crate::contracts::{Column, Dataset};
use crate::mapping::Change;
use crate::messages::Broken;
use crate::store::Store;
use crate::untrusted_parquet::failure::FileError;
use crate::untrusted_parquet::footer::check_ranges;
use crate::untrusted_parquet::projection::{FileColumn, project};
use crate::untrusted_parquet::row_group::{RowGroupReader, fetch};

/// Bytes of the columns of one row group that are fetched for a sample; a larger row group is left out.
const MOST_SAMPLED_BYTES: i64 = 128 << 20;

/// The values of a file's column as those of `column`, without regard to other columns and rows: ids of
/// texts are not compared.
pub(crate) fn change_alone(
    column: &'static Column,
    change: &Change,
    array: &ArrayRef,
    unfit: &mut Vec<Unfit>,
) -> ArrayRef {
    let ids = IdsOf {
        ids: &TextIds::known(),
        dataset: "",
        known: &KnownIds::default(),
    };
    change_column(column, change, array, ids, unfit)
}

/// A column of a file that can be read as a column of a contract.
pub(crate) struct Tried {
    found: FileColumn,
    field: Field,
}

/// The columns of a file in their order, each with its type as messages show it.
pub(crate) fn columns_with_types(metadata: &ParquetMetaData) -> Vec<(&str, String)> {
    shown_columns(metadata.file_metadata().schema_descr())
}

/// Tries whether the mapping `change` can read the file's column `name` as `column`.
///
/// # Errors
/// Why its type is none that the mapping is for, with the remedy.
pub(crate) fn try_column(
    dataset: &Dataset,
    column: &'static Column,
    name: &str,
    change: &Change,
    metadata: &ParquetMetaData,
) -> Result<Tried, Broken> {
    let wanted = Wanted {
        column,
        name,
        change,
    };
    let schema = metadata.file_metadata().schema_descr();
    let (found, field) = find_column(dataset, &wanted, schema)?;
    Ok(Tried { found, field })
}

/// At most `most_rows` rows of each of three row groups: the first, the middle and the last that have rows.
/// One list for each row group, with an array for each column.
pub(crate) fn some_rows(
    store: &Store,
    (path, size_bytes): (&str, u64),
    metadata: &ParquetMetaData,
    columns: Vec<Tried>,
    most_rows: usize,
) -> Result<Vec<Vec<ArrayRef>>, FileError> {
    let (found, fields): (Vec<FileColumn>, Vec<Field>) = columns
        .into_iter()
        .map(|column| (column.found, column.field))
        .unzip();
    let metadata = project(metadata, &found)?;
    check_ranges(&metadata, size_bytes)?;
    let types = Fields::from(fields);
    let mut samples = Vec::new();
    for group in sampled_groups(&metadata) {
        let chunks = fetch(store, path, size_bytes, &metadata, group)?;
        let mut reader = RowGroupReader::open(&metadata, &types, group, chunks, most_rows)?;
        let rows = reader.next_batch()?;
        samples.extend(rows.map(|rows| rows.columns().to_vec()));
    }
    Ok(samples)
}

fn sampled_groups(metadata: &ParquetMetaData) -> Vec<usize> {
    let is_sampled = |group: &usize| {
        let group = metadata.row_group(*group);
        group.num_rows() > 0 && group.compressed_size() <= MOST_SAMPLED_BYTES
    };
    let groups: Vec<usize> = (0..metadata.num_row_groups()).filter(is_sampled).collect();
    let Some(last) = groups.len().checked_sub(1) else {
        return vec![];
    };
    let mut sampled = vec![groups[0], groups[last / 2], groups[last]];
    sampled.dedup();
    sampled
}
