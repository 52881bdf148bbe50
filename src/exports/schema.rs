//! A file's columns against its contract: found by name, of an accepted type. All others are left
//! out, so that nothing in them can matter.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, RowGroupMetaData,
};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use super::contract::{Issue, isolated};
use super::is_streamed;
use crate::contracts::{Column, Dataset, Kind};
use crate::messages::{self, Broken};

/// The contract's columns of a file, in the order of the contract.
#[derive(Debug)]
pub struct ContractColumns {
    /// As if the file had no other columns.
    pub metadata: Arc<ParquetMetaData>,
    /// What each column is decoded to.
    pub types: Fields,
}

/// Finds the columns of the contract; everything that is wrong with them is told at once.
pub fn contract_columns(
    dataset: &Dataset,
    file: &str,
    metadata: &ParquetMetaData,
) -> Result<ContractColumns, Vec<Issue>> {
    let schema = metadata.file_metadata().schema_descr();
    let (mut found, mut issues) = (Vec::new(), Vec::new());
    for column in dataset.columns {
        match find_column(dataset, column, schema) {
            Ok(leaf) => found.push(leaf),
            Err(found) => issues.push(Issue::new(file, Some(column), column.kind.sql(), found)),
        }
    }
    if !issues.is_empty() {
        return Err(issues);
    }
    let whole_file = |error: ParquetError| {
        vec![Issue::new(
            file,
            None,
            "a Parquet file",
            messages::not_parquet(error.to_string()),
        )]
    };
    let metadata = isolated(|| only(metadata, &found)).map_err(whole_file)?;
    let types = found.into_iter().map(|column| column.decoded_as).collect();
    Ok(ContractColumns {
        metadata: Arc::new(metadata),
        types,
    })
}

/// A column of the contract in a file.
struct FoundColumn {
    /// Its position among the column chunks of a row group.
    leaf: usize,
    parquet_type: TypePtr,
    decoded_as: Arc<Field>,
}

fn find_column(
    dataset: &Dataset,
    column: &Column,
    schema: &SchemaDescriptor,
) -> Result<FoundColumn, Broken> {
    let roots = schema.root_schema().get_fields();
    let named: Vec<usize> = (0..roots.len())
        .filter(|root| roots[*root].name() == column.name)
        .collect();
    let wanted = column.kind.sql();
    let root = match named[..] {
        [root] => root,
        [] => {
            let other_case = roots
                .iter()
                .find(|root| root.name().eq_ignore_ascii_case(column.name));
            return Err(other_case.map_or_else(messages::no_column, |other| {
                messages::column_in_other_case(other.name())
            }));
        }
        _ => return Err(messages::column_twice()),
    };
    let leaf = (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == root);
    let is_flat = roots[root].is_primitive()
        && roots[root].get_basic_info().repetition() != Repetition::REPEATED;
    let Some(leaf) = leaf.filter(|_| is_flat) else {
        return Err(messages::other_type("a nested column", wanted));
    };
    let parquet_type = as_plain_text(&roots[root]);
    let Ok(data_type) = isolated(|| arrow_type(&parquet_type)) else {
        let found = format!(
            "{} with a logical type that is not known",
            parquet_type.get_physical_type()
        );
        return Err(messages::other_type(found, wanted));
    };
    if !accepts(column.kind, &data_type, &parquet_type) {
        let found = show_type(&data_type);
        return Err(match (column.kind, &data_type) {
            (Kind::Instant, DataType::Timestamp(_, None)) => messages::no_zone(found),
            (Kind::Text, DataType::Binary) => messages::raw_bytes(found),
            _ => messages::other_type(found, wanted),
        });
    }
    let decoded_as = Arc::new(Field::new(
        column.name,
        decoded_type(dataset, column.kind, data_type),
        true,
    ));
    Ok(FoundColumn {
        leaf,
        parquet_type,
        decoded_as,
    })
}

/// JSON and ENUM are texts with an annotation; it is left out, because the decoder treats it as a
/// type of its own.
fn as_plain_text(found: &TypePtr) -> TypePtr {
    let info = found.get_basic_info();
    let is_text = matches!(
        info.logical_type_ref(),
        Some(LogicalType::Json | LogicalType::Enum)
    ) || matches!(
        info.converted_type(),
        ConvertedType::JSON | ConvertedType::ENUM
    );
    if !is_text || found.get_physical_type() != PhysicalType::BYTE_ARRAY {
        return found.clone();
    }
    let text = Type::primitive_type_builder(found.name(), PhysicalType::BYTE_ARRAY)
        .with_repetition(info.repetition())
        .with_logical_type(Some(LogicalType::String))
        .build();
    text.map_or_else(|_| found.clone(), Arc::new)
}

fn arrow_type(column: &TypePtr) -> Result<DataType, ParquetError> {
    let schema = parquet_to_arrow_schema(&schema_of(vec![column.clone()])?, None)?;
    let field = schema
        .fields()
        .first()
        .ok_or_else(|| ParquetError::General("a column without a type".into()))?;
    Ok(field.data_type().clone())
}

fn schema_of(columns: Vec<TypePtr>) -> Result<SchemaDescriptor, ParquetError> {
    Ok(SchemaDescriptor::new(Arc::new(
        Type::group_type_builder("schema")
            .with_fields(columns)
            .build()?,
    )))
}

/// Whether a file's type counts as the contract's type (SPEC.md section 2, "Columns"). Whether a
/// value does is seen when it is read (`exact`).
fn accepts(kind: Kind, found: &DataType, column: &Type) -> bool {
    match (kind, found) {
        (Kind::Int64 | Kind::Int32, found) => found.is_integer(),
        (Kind::Money, DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale)) => {
            *scale >= 0
        }
        (Kind::Double, DataType::Float64) => true,
        (Kind::Text, DataType::Utf8) => true,
        (Kind::Boolean, DataType::Boolean) => true,
        (Kind::Date, DataType::Date32) => true,
        (Kind::Instant, DataType::Timestamp(_, zone)) => zone.is_some() || is_int96(column),
        _ => false,
    }
}

/// INT96 holds instants in UTC that Parquet itself has no type for.
fn is_int96(column: &Type) -> bool {
    column.get_physical_type() == PhysicalType::INT96
}

/// Texts of the large datasets stay dictionaries, as they are in nearly every file. INT96 becomes
/// microseconds, which hold every day that `pages` lets through.
fn decoded_type(dataset: &Dataset, kind: Kind, found: DataType) -> DataType {
    match (kind, found) {
        (Kind::Text, DataType::Utf8) if is_streamed(dataset) => {
            DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into())
        }
        (Kind::Instant, DataType::Timestamp(TimeUnit::Nanosecond, None)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        (_, found) => found,
    }
}

fn show_type(found: &DataType) -> String {
    match found {
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => format!("DECIMAL({p},{s})"),
        DataType::Timestamp(_, None) => "TIMESTAMP without a zone".into(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP".into(),
        DataType::Utf8 => "STRING".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Null => "a column of nulls without a type".into(),
        other => other.to_string().to_uppercase(),
    }
}

/// The metadata with these columns only.
fn only(
    metadata: &ParquetMetaData,
    columns: &[FoundColumn],
) -> Result<ParquetMetaData, ParquetError> {
    let schema = Arc::new(schema_of(
        columns
            .iter()
            .map(|column| column.parquet_type.clone())
            .collect(),
    )?);
    let file = metadata.file_metadata();
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        None,
        None,
        schema.clone(),
        None,
    );
    let group = |group: &RowGroupMetaData| {
        let chunks = columns
            .iter()
            .map(|column| without_empty_dictionary(group.column(column.leaf)));
        RowGroupMetaData::builder(schema.clone())
            .set_num_rows(group.num_rows())
            .set_total_byte_size(group.total_byte_size())
            .set_column_metadata(chunks.collect::<Result<_, _>>()?)
            .build()
    };
    let groups = metadata
        .row_groups()
        .iter()
        .map(group)
        .collect::<Result<_, _>>()?;
    Ok(ParquetMetaData::new(file, groups))
}

/// Some writers (parquet-mr 1.12) give a chunk without a dictionary the offset 0 for it, which is
/// the file's first byte.
fn without_empty_dictionary(
    chunk: &ColumnChunkMetaData,
) -> Result<ColumnChunkMetaData, ParquetError> {
    match chunk.dictionary_page_offset() {
        Some(0) => chunk
            .clone()
            .into_builder()
            .set_dictionary_page_offset(None)
            .build(),
        _ => Ok(chunk.clone()),
    }
}
