//! An export's files against its contract: the `_SUCCESS` list, readable Parquet, columns and types; no rows yet.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::Result;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use chrono::NaiveDate;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};
use serde::{Deserialize, Serialize};

use super::thrift::is_footer;
use crate::contracts::arrow::{MONEY_PRECISION, MONEY_SCALE, show_cents};
use crate::contracts::{Column, Dataset, Kind, SUCCESS_FILE};
use crate::days::readiness::Folder;
use crate::messages;
use crate::store::{Entry, ParquetObject, Store};

/// One way in which an export breaks its contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Its name in the folder.
    pub file: String,
    /// `None`: the file as a whole.
    pub column: Option<String>,
    pub expected: String,
    pub found: String,
    /// What to do about it.
    pub remedy: String,
}

/// Why nothing may be computed from an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Files, columns or types are not what the contract says.
    Contract(Vec<Issue>),
    /// More rows in quarantine than the budget allows.
    OverBudget { quarantined: u64, read: u64, reasons: String },
    /// Every row broke a rule.
    NothingLeft { read: u64, reasons: String },
    /// A dataset that always has rows has none.
    NoRows,
    /// Its amounts add up to more than results can hold.
    TooMuchMoney { cents: i128 },
}

impl Defect {
    /// One line for JSON, manifests and logs.
    pub fn reason(&self) -> String {
        match self {
            Defect::Contract(issues) => {
                let first = issues.first().map(|i| format!("{}; {}", i.line(), i.remedy)).unwrap_or_default();
                let more = if issues.len() > 1 { format!(" (and {} more)", issues.len() - 1) } else { String::new() };
                format!("breaks its contract: {first}{more}")
            }
            Defect::OverBudget { quarantined, read, reasons } => {
                format!("over its quarantine budget: {quarantined} of {read} rows ({reasons})")
            }
            Defect::NothingLeft { read, reasons } => format!("no row left to use: all {read} quarantined ({reasons})"),
            Defect::NoRows => "has no row to use".into(),
            Defect::TooMuchMoney { cents } => {
                format!("its amounts add up to {}, more than {} holds", show_cents(*cents), Kind::Money.sql())
            }
        }
    }
}

impl Issue {
    fn file(file: &str, expected: &str, found: String, remedy: &str) -> Issue {
        Issue { file: file.into(), column: None, expected: expected.into(), found, remedy: remedy.into() }
    }

    fn line(&self) -> String {
        let column = self.column.as_ref().map(|c| format!(", column {c}")).unwrap_or_default();
        format!("{}{column}: expected {}, found {}", self.file, self.expected, self.found)
    }
}

/// An export that keeps its contract, ready to be read.
#[derive(Debug)]
pub struct OpenExport {
    pub dataset: &'static Dataset,
    pub day: NaiveDate,
    /// Sorted by name bytewise: the order that decides among repeated keys.
    pub files: Vec<OpenFile>,
}

impl OpenExport {
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|f| f.rows).sum()
    }
}

/// One Parquet file whose columns are as the contract says.
#[derive(Debug)]
pub struct OpenFile {
    pub name: String,
    pub size_bytes: u64,
    pub rows: u64,
    pub metadata: ArrowReaderMetadata,
    /// For each column of the contract, its position among the file's top-level columns.
    pub positions: Vec<usize>,
}

/// `_SUCCESS` with a list.
#[derive(Deserialize)]
struct SuccessList {
    files: Vec<ListedFile>,
}

#[derive(Deserialize)]
struct ListedFile {
    name: String,
    size_bytes: u64,
    row_count: u64,
}

/// Opens the files of a final export and checks them all.
///
/// # Errors
/// When the store fails. A broken contract is the inner error, with every breach.
pub fn open(store: &Store, folder: &Folder) -> Result<Result<OpenExport, Defect>> {
    let mut issues = Vec::new();
    let mut files = Vec::new();
    for entry in &folder.files {
        match open_file(store, folder, entry)? {
            Ok(file) => files.push(file),
            Err(found) => issues.extend(found),
        }
    }
    if issues.is_empty() {
        issues.extend(check_success_list(store, folder, &files)?);
    }
    Ok(if issues.is_empty() {
        Ok(OpenExport { dataset: folder.dataset, day: folder.day, files })
    } else {
        Err(Defect::Contract(issues))
    })
}

fn open_file(store: &Store, folder: &Folder, entry: &Entry) -> Result<Result<OpenFile, Vec<Issue>>> {
    let metadata = match load_metadata(store, folder, entry)? {
        Ok(metadata) => metadata,
        Err(found) => return Ok(Err(vec![Issue::file(&entry.name, "a Parquet file", found, REWRITE)])),
    };
    Ok(check_columns(folder.dataset, &entry.name, &metadata).map(|positions| OpenFile {
        name: entry.name.clone(),
        size_bytes: entry.size_bytes,
        rows: metadata.metadata().file_metadata().num_rows() as u64,
        metadata,
        positions,
    }))
}

const REWRITE: &str = "export the file again; it was cut short or damaged";

/// The footer, read without the embedded Arrow schema: only Parquet's own types count, whoever wrote the file.
fn load_metadata(store: &Store, folder: &Folder, entry: &Entry) -> Result<Result<ArrowReaderMetadata, String>> {
    let path = format!("{}/{}", folder.dataset.partition(folder.day), entry.name);
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    // A file shorter than the footer that it names makes byte ranges that no store can serve.
    if entry.size_bytes < 12 {
        return Ok(Err(format!("a file of {} bytes", entry.size_bytes)));
    }
    let mut reader = store.parquet_object(&path, entry.size_bytes)?;
    let loaded = isolated(|| store.runtime().block_on(read_footer(&mut reader, entry.size_bytes, options.clone())));
    let metadata = match loaded {
        Ok(metadata) => metadata,
        Err(error) => return sort_error(&store.show(&path), error),
    };
    if let Err(found) = check_ranges(metadata.metadata(), entry.size_bytes) {
        return Ok(Err(found));
    }
    match isolated(|| read_int96_as_instants(metadata, options)) {
        Ok(metadata) => Ok(Ok(metadata)),
        Err(error) => sort_error(&store.show(&path), error),
    }
}

/// A footer of this size describes some thousand row groups of a hundred columns; in memory it takes several times as much.
const MOST_FOOTER_BYTES: usize = 64 << 20;

/// The file ends with its footer, the footer's length in four bytes, and a mark of four.
async fn read_footer(
    reader: &mut ParquetObject,
    size_bytes: u64,
    options: ArrowReaderOptions,
) -> Result<ArrowReaderMetadata, ParquetError> {
    let end = size_bytes - 8;
    let tail = FooterTail::try_from(&reader.get_bytes(end..size_bytes).await?[..])?;
    let length = tail.metadata_length();
    if tail.is_encrypted_footer() {
        return Err(ParquetError::General("an encrypted footer".into()));
    }
    if length > MOST_FOOTER_BYTES || length as u64 > end {
        return Err(ParquetError::General(format!("a footer of {length} bytes")));
    }
    let footer = reader.get_bytes(end - length as u64..end).await?;
    if !is_footer(&footer) {
        return Err(ParquetError::General("a footer that is not one".into()));
    }
    ArrowReaderMetadata::try_new(Arc::new(ParquetMetaDataReader::decode_metadata(&footer)?), options)
}

/// Runs code that reads bytes from outside; a panic in it is one more way to say that the bytes are bad.
pub fn isolated<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(ParquetError::General("damaged bytes".into())))
}

/// A store that fails is an error; anything else is a damaged file, and the text says how.
pub fn sort_error<T>(path: &str, error: ParquetError) -> Result<Result<T, String>> {
    if let ParquetError::External(inner) = &error
        && inner.downcast_ref::<object_store::Error>().is_some()
    {
        return Err(messages::store_failed("read", path, inner.to_string()).into());
    }
    Ok(Err(error.to_string().lines().next().unwrap_or_default().to_owned()))
}

/// Rows that one byte of a file may stand for. Every row has a key or a user of its own, which take a byte and more however
/// they are encoded; a footer that claims rows without end would be read without end.
const ROWS_PER_BYTE: u64 = 128;

/// Every column chunk lies within the file, beside the others, and no count is negative or out of proportion.
fn check_ranges(metadata: &ParquetMetaData, size_bytes: u64) -> Result<(), String> {
    if metadata.file_metadata().num_rows() < 0 {
        return Err(format!("a footer that says {} rows", metadata.file_metadata().num_rows()));
    }
    let (mut rows, mut bytes) = (0_i64, 0_u64);
    for group in metadata.row_groups() {
        if group.num_rows() < 0 {
            return Err(format!("a row group of {} rows", group.num_rows()));
        }
        rows = rows.saturating_add(group.num_rows());
        for chunk in group.columns() {
            let start = chunk.dictionary_page_offset().unwrap_or(i64::MAX).min(chunk.data_page_offset());
            let end = start.checked_add(chunk.compressed_size());
            if start < 0 || chunk.compressed_size() < 0 || end.is_none_or(|end| end as u64 > size_bytes) {
                return Err("a footer that points outside the file".into());
            }
            bytes = bytes.saturating_add(chunk.compressed_size() as u64);
        }
    }
    if bytes > size_bytes {
        return Err(format!("a footer that says {bytes} bytes of columns in a file of {size_bytes}"));
    }
    if rows as u64 / ROWS_PER_BYTE > size_bytes {
        return Err(format!("a footer that says {rows} rows in a file of {size_bytes} bytes"));
    }
    if rows != metadata.file_metadata().num_rows() {
        return Err(format!(
            "a footer that says {} rows for row groups of {rows}",
            metadata.file_metadata().num_rows()
        ));
    }
    Ok(())
}

/// INT96 holds instants in UTC that Parquet itself has no type for; as microseconds they cannot overflow.
fn read_int96_as_instants(
    metadata: ArrowReaderMetadata,
    options: ArrowReaderOptions,
) -> Result<ArrowReaderMetadata, ParquetError> {
    let fields: Vec<Arc<Field>> = metadata
        .schema()
        .fields()
        .iter()
        .enumerate()
        .map(|(root, field)| {
            if is_int96(metadata.metadata(), root) {
                Arc::new(
                    field
                        .as_ref()
                        .clone()
                        .with_data_type(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
                )
            } else {
                field.clone()
            }
        })
        .collect();
    if fields.iter().zip(metadata.schema().fields()).all(|(a, b)| a == b) {
        return Ok(metadata);
    }
    ArrowReaderMetadata::try_new(metadata.metadata().clone(), options.with_schema(Arc::new(Schema::new(fields))))
}

fn is_int96(metadata: &ParquetMetaData, root: usize) -> bool {
    let schema = metadata.file_metadata().schema_descr();
    let field = &schema.root_schema().get_fields()[root];
    field.is_primitive() && field.get_physical_type() == PhysicalType::INT96
}

/// The position of each contract column in the file, or everything that is wrong with its columns.
fn check_columns(dataset: &Dataset, file: &str, metadata: &ArrowReaderMetadata) -> Result<Vec<usize>, Vec<Issue>> {
    let mut positions = Vec::new();
    let mut issues = Vec::new();
    for column in dataset.columns {
        let found: Vec<usize> = (0..metadata.schema().fields().len())
            .filter(|i| metadata.schema().field(*i).name() == column.name)
            .collect();
        let issue = |found: String, remedy: String| Issue {
            file: file.into(),
            column: Some(column.name.into()),
            expected: column.kind.sql().into(),
            found,
            remedy,
        };
        match found[..] {
            [] => issues.push(issue("no such column".into(), "add the column to the export".into())),
            [position] => {
                let data_type = metadata.schema().field(position).data_type();
                if accepts(column.kind, data_type) {
                    positions.push(position);
                } else {
                    issues.push(issue(show_type(data_type), remedy(column, data_type)));
                }
            }
            _ => issues.push(issue("several columns of that name".into(), "keep one of them".into())),
        }
    }
    if issues.is_empty() { Ok(positions) } else { Err(issues) }
}

/// Whether a file's type counts as the contract's type (SPEC.md section 2, "Columns").
fn accepts(kind: Kind, found: &DataType) -> bool {
    match (kind, found) {
        (Kind::Int64, DataType::Int64 | DataType::Int32 | DataType::Int16 | DataType::Int8) => true,
        (Kind::Int32, DataType::Int32 | DataType::Int16 | DataType::Int8) => true,
        (Kind::Money, DataType::Decimal128(precision, scale)) => {
            (*precision < MONEY_PRECISION && (0..=MONEY_SCALE).contains(scale))
                || (*precision, *scale) == (MONEY_PRECISION, MONEY_SCALE)
        }
        (Kind::Double, DataType::Float64) => true,
        (Kind::Text, DataType::Utf8) => true,
        (Kind::Boolean, DataType::Boolean) => true,
        (Kind::Date, DataType::Date32) => true,
        (Kind::Instant, DataType::Timestamp(_, zone)) => zone.is_some(),
        _ => false,
    }
}

fn remedy(column: &Column, found: &DataType) -> String {
    match (column.kind, found) {
        (Kind::Instant, DataType::Timestamp(_, None)) => {
            "write instants adjusted to UTC: Spark TIMESTAMP (not TIMESTAMP_NTZ), DuckDB TIMESTAMPTZ, Arrow timestamp('us', 'UTC')"
                .into()
        }
        (Kind::Text, DataType::Binary) => "write the column as STRING (UTF8), not as raw bytes".into(),
        (kind, _) => format!("cast the column to {} in the export", kind.sql()),
    }
}

fn show_type(found: &DataType) -> String {
    match found {
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => format!("DECIMAL({p},{s})"),
        DataType::Timestamp(_, None) => "TIMESTAMP without a zone".into(),
        DataType::Utf8 => "STRING".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Null => "a column of nulls without a type".into(),
        other => other.to_string().to_uppercase(),
    }
}

/// Lists some hundred thousand files. A `_SUCCESS` beyond that is something else, and is not read.
const MOST_LIST_BYTES: u64 = 16 << 20;

/// The folder's files against the list in `_SUCCESS`, if it has one.
fn check_success_list(store: &Store, folder: &Folder, files: &[OpenFile]) -> Result<Vec<Issue>> {
    let path = format!("{}/{SUCCESS_FILE}", folder.dataset.partition(folder.day));
    let not_a_list = |found: String| {
        let expected = r#"nothing, or {"files":[{"name":...,"size_bytes":...,"row_count":...}]}"#;
        vec![Issue::file(SUCCESS_FILE, expected, found, "write _SUCCESS empty or with its list")]
    };
    let size_bytes = folder.success.as_ref().map_or(0, |success| success.size_bytes);
    if size_bytes > MOST_LIST_BYTES {
        return Ok(not_a_list(format!("{size_bytes} bytes")));
    }
    let text = store.read(&path)?.unwrap_or_default();
    if text.is_empty() {
        return Ok(vec![]);
    }
    let list: SuccessList = match serde_json::from_slice(&text) {
        Ok(list) => list,
        Err(e) => return Ok(not_a_list(e.to_string())),
    };
    let mut issues = Vec::new();
    let mut issue = |file: &str, expected: String, found: String| {
        issues.push(Issue::file(file, &expected, found, "export the day again, with _SUCCESS written last"));
    };
    let found: HashMap<&str, &OpenFile> = files.iter().map(|file| (file.name.as_str(), file)).collect();
    let mut names = HashSet::new();
    for listed in &list.files {
        if !names.insert(listed.name.as_str()) {
            issue(&listed.name, "one entry in the list of _SUCCESS".into(), "several".into());
        }
        match found.get(listed.name.as_str()) {
            None => issue(&listed.name, "a file, as _SUCCESS lists it".into(), "no such file".into()),
            Some(file) => {
                if file.size_bytes != listed.size_bytes {
                    let expected = format!("{} bytes, as _SUCCESS lists it", listed.size_bytes);
                    issue(&file.name, expected, format!("{} bytes", file.size_bytes));
                }
                if file.rows != listed.row_count {
                    let expected = format!("{} rows, as _SUCCESS lists it", listed.row_count);
                    issue(&file.name, expected, format!("{} rows", file.rows));
                }
            }
        }
    }
    for file in files.iter().filter(|file| !names.contains(file.name.as_str())) {
        issue(&file.name, "only the files that _SUCCESS lists".into(), "a file that it does not list".into());
    }
    Ok(issues)
}
