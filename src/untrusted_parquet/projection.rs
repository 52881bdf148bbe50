//! The columns that a caller wants: their Arrow types, and metadata without all other columns.

use std::sync::Arc;

use arrow_schema::DataType;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, RowGroupMetaData,
};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use super::failure::{FileError, damaged, isolated};

/// A column of a file, not nested.
pub(crate) struct FileColumn {
    /// Its position among the column chunks of a row group.
    pub(crate) leaf: usize,
    pub(crate) parquet_type: TypePtr,
}

/// The type of a column that is not nested, as the decoder shall see it. JSON and ENUM are texts
/// with an annotation, for which the decoder has types of their own; the annotation is removed.
pub(crate) fn as_plain_text(found: &TypePtr) -> TypePtr {
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

/// A column of a file under another name.
pub(crate) fn renamed(found: &TypePtr, name: &str) -> TypePtr {
    let (info, physical) = (found.get_basic_info(), found.get_physical_type());
    let (length, precision, scale) = match found.as_ref() {
        Type::PrimitiveType {
            type_length,
            precision,
            scale,
            ..
        } => (*type_length, *precision, *scale),
        Type::GroupType { .. } => return found.clone(),
    };
    let renamed = Type::primitive_type_builder(name, physical)
        .with_repetition(info.repetition())
        .with_converted_type(info.converted_type())
        .with_logical_type(info.logical_type_ref().cloned())
        .with_length(length)
        .with_precision(precision)
        .with_scale(scale)
        .build();
    renamed.map_or_else(|_| found.clone(), Arc::new)
}

/// The Arrow type that a column is decoded to; an error where its annotation is not known.
pub(crate) fn arrow_type(column: &TypePtr) -> Result<DataType, FileError> {
    isolated(|| decoded_type(column)).map_err(|error| FileError::damaged(&error))
}

fn decoded_type(column: &TypePtr) -> Result<DataType, ParquetError> {
    let schema = parquet_to_arrow_schema(&schema_of(vec![column.clone()])?, None)?;
    let field = schema.fields().first();
    field
        .map(|field| field.data_type().clone())
        .ok_or_else(|| damaged("a column without a type"))
}

/// The metadata as if the file had these columns only, in this order.
pub(crate) fn project(
    metadata: &ParquetMetaData,
    columns: &[FileColumn],
) -> Result<ParquetMetaData, FileError> {
    isolated(|| only(metadata, columns)).map_err(|error| FileError::damaged(&error))
}

fn only(
    metadata: &ParquetMetaData,
    columns: &[FileColumn],
) -> Result<ParquetMetaData, ParquetError> {
    let types = columns.iter().map(|column| column.parquet_type.clone());
    let schema = Arc::new(schema_of(types.collect())?);
    let file = metadata.file_metadata();
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        None,
        None,
        schema.clone(),
        None,
    );
    let groups = metadata
        .row_groups()
        .iter()
        .map(|group| only_of_group(group, columns, &schema))
        .collect::<Result<_, _>>()?;
    Ok(ParquetMetaData::new(file, groups))
}

fn only_of_group(
    group: &RowGroupMetaData,
    columns: &[FileColumn],
    schema: &Arc<SchemaDescriptor>,
) -> Result<RowGroupMetaData, ParquetError> {
    let chunks = columns
        .iter()
        .map(|column| without_empty_dictionary(group.column(column.leaf)));
    RowGroupMetaData::builder(schema.clone())
        .set_num_rows(group.num_rows())
        .set_total_byte_size(group.total_byte_size())
        .set_column_metadata(chunks.collect::<Result<_, _>>()?)
        .build()
}

fn schema_of(columns: Vec<TypePtr>) -> Result<SchemaDescriptor, ParquetError> {
    Ok(SchemaDescriptor::new(Arc::new(
        Type::group_type_builder("schema")
            .with_fields(columns)
            .build()?,
    )))
}

/// Some writers (parquet-mr 1.12) write the dictionary offset 0 for a chunk without a dictionary.
/// Byte 0 is the first byte of the file, where no dictionary can be.
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
