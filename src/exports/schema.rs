//! A file's columns against its contract: found by name, of an accepted type.
//!
//! All other columns are removed from the metadata, so that nothing in them can matter.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};
use parquet::basic::{Encoding, Repetition, Type as PhysicalType};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use super::defect::{Issue, ReadError};
use crate::contracts::{Column, Dataset, Kind};
use crate::days::readiness::Folder;
use crate::mapping::{Change, Source};
use crate::messages::{self, Broken};
use crate::nearest::nearest;
use crate::untrusted_parquet::projection::{
    FileColumn, arrow_type, as_plain_text, project, renamed,
};

/// The contract's columns of a file, in the order of the contract.
#[derive(Debug)]
pub(super) struct ContractColumns {
    /// As if the file had no other columns.
    pub(super) metadata: Arc<ParquetMetaData>,
    /// The Arrow type that each column is decoded to.
    pub(super) types: Fields,
}

/// Finds the columns of the contract in a file.
///
/// # Errors
/// `Broken` with everything that is wrong with any of them.
pub(super) fn contract_columns(
    folder: &Folder,
    file: &str,
    metadata: &ParquetMetaData,
) -> Result<ContractColumns, ReadError> {
    let schema = metadata.file_metadata().schema_descr();
    let (mut columns, mut types, mut issues) = (Vec::new(), Vec::new(), Vec::new());
    for (position, column) in folder.dataset.columns.iter().enumerate() {
        let source = folder
            .mapped
            .as_ref()
            .map(|mapped| &mapped.sources()[position]);
        let (name, change) = match source {
            None => (column.name, &Change::Nothing),
            Some(Source::Column { name, change }) => (name.as_str(), change),
            Some(Source::Constant(_) | Source::Absent) => continue,
        };
        let wanted = Wanted {
            column,
            name,
            change,
        };
        match find_column(folder.dataset, &wanted, schema) {
            Ok((found, decoded_as)) => {
                let is_id = matches!(change, Change::TextId { .. });
                types.push(match is_id && lies_in_dictionaries(metadata, found.leaf) {
                    true => decoded_as.with_data_type(texts_in_dictionaries()),
                    false => decoded_as,
                });
                columns.push(found);
            }
            Err(found) => {
                let issue = Issue::new(file, Some(column), wanted.expected(), found);
                let mapped = folder.mapped.as_deref();
                issues.push(issue.of_mapped(folder.dataset, mapped, column));
            }
        }
    }
    if !issues.is_empty() {
        return Err(ReadError::Broken(issues));
    }
    let metadata = project(metadata, &columns).map_err(|error| ReadError::new(file, error))?;
    Ok(ContractColumns {
        metadata: Arc::new(metadata),
        types: types.into(),
    })
}

/// A column of the contract, and the file's column that it comes from.
pub(super) struct Wanted<'a> {
    pub(super) column: &'static Column,
    pub(super) name: &'a str,
    pub(super) change: &'a Change,
}

impl Wanted<'_> {
    /// The type that the file's column shall have.
    fn expected(&self) -> &'static str {
        match self.change {
            Change::Nothing => self.column.kind.sql(),
            Change::Scale(_) => "a whole number of minor units",
            Change::TimeZone(_) => "a TIMESTAMP without a zone, or STRING",
            Change::Values { .. } | Change::TextId { .. } => "STRING",
        }
    }

    /// Whether the file's type is one that the change is for.
    fn accepts(&self, found: &DataType, parquet_type: &Type) -> bool {
        match (self.change, found) {
            (Change::Nothing, _) => accepts(self.column.kind, found, parquet_type),
            (Change::Scale(_), found) => found.is_integer(),
            (Change::TimeZone(_), DataType::Timestamp(_, None)) => !is_int96(parquet_type),
            (Change::TimeZone(_) | Change::Values { .. } | Change::TextId { .. }, found) => {
                *found == DataType::Utf8
            }
        }
    }

    /// Texts of times differ from row to row, so dictionaries of them are of no use. Views of ids lie where
    /// the page has them, so no text is copied.
    fn decoded_type(&self, dataset: &Dataset, found: DataType) -> DataType {
        match self.change {
            Change::TextId { .. } => DataType::Utf8View,
            Change::TimeZone(_) => found,
            _ => decoded_type(dataset, self.column.kind, found),
        }
    }
}

/// A column of the contract in a file, and the field that it is decoded to.
pub(super) fn find_column(
    dataset: &Dataset,
    column: &Wanted,
    schema: &SchemaDescriptor,
) -> Result<(FileColumn, Field), Broken> {
    let roots = schema.root_schema().get_fields();
    let root = find_root(column, schema)?;
    let leaf = (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == root);
    let wanted = column.expected();
    let flat = flat_type(&roots[root]);
    let (parquet_type, data_type) = flat.map_err(|found| messages::other_type(found, wanted))?;
    let Some(leaf) = leaf else {
        return Err(messages::other_type(NESTED, wanted));
    };
    if !column.accepts(&data_type, &parquet_type) {
        return Err(refused(column, &data_type, &parquet_type));
    }
    let decoded_type = column.decoded_type(dataset, data_type);
    let name = column.column.name;
    let parquet_type = match parquet_type.name() == name {
        true => parquet_type,
        false => renamed(&parquet_type, name),
    };
    let found = FileColumn { leaf, parquet_type };
    Ok((found, Field::new(name, decoded_type, true)))
}

const NESTED: &str = "a nested column";

/// The type of a column with one value in each row. The error says what else it is.
fn flat_type(root: &TypePtr) -> Result<(TypePtr, DataType), String> {
    if !root.is_primitive() || root.get_basic_info().repetition() == Repetition::REPEATED {
        return Err(NESTED.to_owned());
    }
    let parquet_type = as_plain_text(root);
    match arrow_type(&parquet_type) {
        Ok(data_type) => Ok((parquet_type, data_type)),
        Err(_) => Err(format!(
            "{} with a logical type that is not known",
            parquet_type.get_physical_type()
        )),
    }
}

/// The outermost columns of a file in their order, each with its type as messages show it.
pub(super) fn shown_columns(schema: &SchemaDescriptor) -> Vec<(&str, String)> {
    let shown = |root: &TypePtr| match flat_type(root) {
        Ok((_, data_type)) => show_type(&data_type),
        Err(other) => other,
    };
    let roots = schema.root_schema().get_fields().iter();
    roots.map(|root| (root.name(), shown(root))).collect()
}

/// The position of the one column of this name among the outermost fields.
fn find_root(wanted: &Wanted, schema: &SchemaDescriptor) -> Result<usize, Broken> {
    let name = wanted.name;
    let roots = schema.root_schema().get_fields();
    let named: Vec<usize> = (0..roots.len())
        .filter(|root| roots[*root].name() == name)
        .collect();
    match named[..] {
        [root] => Ok(root),
        [] => {
            let names = roots.iter().map(|root| root.name());
            let mut in_other_case = names.clone().filter(|it| it.eq_ignore_ascii_case(name));
            Err(match (in_other_case.next(), nearest(name, names)) {
                (Some(other), _) => messages::column_in_other_case(other),
                (None, Some(near)) => messages::no_column(format!(", but {near:?}")),
                (None, None) => messages::no_column(""),
            })
        }
        _ => Err(messages::column_twice()),
    }
}

/// Why a column of this type does not count as the contract's type.
fn refused(wanted: &Wanted, found: &DataType, parquet_type: &Type) -> Broken {
    let (column, shown) = (wanted.column, show_type(found));
    match (wanted.change, column.kind, found) {
        (Change::Nothing, Kind::Instant, DataType::Timestamp(_, None) | DataType::Utf8) => {
            messages::no_zone(shown)
        }
        (Change::TimeZone(_), _, DataType::Timestamp(_, Some(_))) => messages::has_zone(shown),
        (_, Kind::Money, DataType::Float32 | DataType::Float64) => messages::float_money(shown),
        (Change::Nothing, Kind::Money, found) if found.is_integer() => messages::minor_units(shown),
        (_, Kind::Text, DataType::Binary) => messages::raw_bytes(shown),
        (Change::Nothing, _, DataType::Utf8) if column.is_id() => messages::text_of_an_id(shown),
        (change, kind, found) => match change.verb() {
            Some(verb) if accepts(kind, found, parquet_type) => {
                messages::needs_no_verb(shown, verb)
            }
            _ => messages::other_type(shown, wanted.expected()),
        },
    }
}

/// Whether a file's type counts as the contract's type (SPEC.md section 2, "Columns"). Values are
/// checked when they are read (`exact`).
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

/// INT96 is the old form of an instant in UTC; it has no annotation that says so.
fn is_int96(column: &Type) -> bool {
    column.get_physical_type() == PhysicalType::INT96
}

/// Texts of the large datasets stay dictionaries, the form that they have in nearly every file.
/// INT96 becomes microseconds: they hold every instant that `untrusted_parquet::pages` accepts.
fn decoded_type(dataset: &Dataset, kind: Kind, found: DataType) -> DataType {
    match (kind, found) {
        (Kind::Text, DataType::Utf8) if dataset.is_streamed() => texts_in_dictionaries(),
        (Kind::Instant, DataType::Timestamp(TimeUnit::Nanosecond, None)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        (_, found) => found,
    }
}

fn texts_in_dictionaries() -> DataType {
    DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into())
}

/// Whether every value of a column lies in a dictionary, as the footer says. Where it is wrong, decoding
/// takes longer.
fn lies_in_dictionaries(metadata: &ParquetMetaData, leaf: usize) -> bool {
    let dictionaries = [Encoding::PLAIN_DICTIONARY, Encoding::RLE_DICTIONARY];
    let of_group = |group: &RowGroupMetaData| {
        let pages = group.columns().get(leaf)?.page_encoding_stats_mask()?;
        Some(
            dictionaries
                .into_iter()
                .any(|encoding| pages.is_only(encoding)),
        )
    };
    let mut groups = metadata.row_groups().iter();
    groups.all(|group| of_group(group).unwrap_or(false))
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
