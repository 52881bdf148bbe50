//! An export's files against its contract: the folder, readable Parquet, columns and types, the
//! `_SUCCESS` list; no rows yet.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::Result;
use arrow_schema::Fields;
use chrono::NaiveDate;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};
use serde::{Deserialize, Serialize};

use super::schema::contract_columns;
use super::success_list::check_success_list;
use super::thrift::{FooterKind, check_footer};
use crate::contracts::{Column, Dataset};
use crate::days::readiness::Folder;
use crate::messages::{self, Broken};
use crate::store::{Entry, ParquetObject, Store, Stray, StrayKind};

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
    /// Files, columns, types or values are not what the contract says.
    Contract(Vec<Issue>),
    /// More rows in quarantine than the budget allows.
    OverBudget(OverBudget),
    /// A dataset that always has rows has none. With the hidden files of its folder, which are not
    /// read, and whether the job file could allow it.
    NoRows {
        hidden: Vec<String>,
        can_be_allowed: bool,
    },
}

/// The rows that broke a rule were too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverBudget {
    pub quarantined: u64,
    pub read: u64,
    /// With the first row of each.
    pub reasons: String,
    /// `Some`: rows lie outside the day, which is told with its zone and its bounds.
    pub day: Option<String>,
}

impl Defect {
    /// What is wrong, and what to do.
    fn told(&self) -> Broken {
        match self {
            Defect::Contract(issues) => {
                messages::breaks_its_contract(first_of(issues), remedies_of(issues))
            }
            Defect::OverBudget(OverBudget {
                quarantined,
                read,
                reasons,
                day,
            }) => match day {
                Some(day) => messages::outside_day(quarantined, read, reasons, day),
                None if quarantined == read => messages::nothing_left(read, reasons),
                None if quarantined * 2 > *read => messages::over_half(quarantined, read, reasons),
                None => messages::over_budget(quarantined, read, reasons),
            },
            Defect::NoRows {
                hidden,
                can_be_allowed,
            } => {
                let hidden = match hidden[..] {
                    [] => String::new(),
                    _ => format!(
                        "; files whose names start with . or _ are not data: {}",
                        hidden.join(", ")
                    ),
                };
                if *can_be_allowed {
                    messages::no_rows_yet_allowed(hidden)
                } else {
                    messages::no_rows(hidden)
                }
            }
        }
    }

    /// One line for JSON, manifests and logs.
    pub fn reason(&self) -> String {
        self.told().text().to_owned()
    }

    /// What to do about it. A budget is no remedy for a wrong time zone, nor for most of the rows.
    pub fn remedy(&self) -> String {
        self.told().to_do().to_owned()
    }
}

fn first_of(issues: &[Issue]) -> String {
    let first = issues.first().map(Issue::line).unwrap_or_default();
    let more = if issues.len() > 1 {
        format!(" (and {} more)", issues.len() - 1)
    } else {
        String::new()
    };
    format!("{first}{more}")
}

/// Each once.
fn remedies_of(issues: &[Issue]) -> String {
    let mut remedies: Vec<&str> = issues.iter().map(|issue| issue.remedy.as_str()).collect();
    remedies.sort_unstable();
    remedies.dedup();
    remedies.join("; ")
}

impl Issue {
    /// `column`: `None` for a file as a whole.
    pub fn new(file: &str, column: Option<&Column>, expected: &str, found: Broken) -> Issue {
        let (column, expected) = (column.map(|column| column.name.into()), expected.into());
        Issue {
            file: file.into(),
            column,
            expected,
            found: found.text().into(),
            remedy: found.to_do().into(),
        }
    }

    fn line(&self) -> String {
        let column = self
            .column
            .as_ref()
            .map(|c| format!(", column {c}"))
            .unwrap_or_default();
        format!(
            "{}{column}: expected {}, found {}",
            self.file, self.expected, self.found
        )
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
    /// Of the contract's columns only, in the order of the contract.
    pub metadata: Arc<ParquetMetaData>,
    /// What each column is decoded to.
    pub types: Fields,
}

/// Opens the files of a final export and checks them all.
///
/// # Errors
/// When the store fails. A broken contract is the inner error, with every breach.
pub fn open(store: &Store, folder: &Folder) -> Result<Result<OpenExport, Defect>> {
    let mut issues: Vec<Issue> = folder.strays.iter().map(stray).collect();
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
        Ok(OpenExport {
            dataset: folder.dataset,
            day: folder.day,
            files,
        })
    } else {
        Err(Defect::Contract(issues))
    })
}

/// An entry that is no data file and may hold rows: it is not left out in silence.
fn stray(stray: &Stray) -> Issue {
    let found = match stray.kind {
        StrayKind::Folder => messages::stray_folder(),
        StrayKind::BrokenLink => messages::stray_link(),
        StrayKind::Name => messages::stray_name(),
        StrayKind::Special => messages::stray_device(),
    };
    Issue::new(&stray.name, None, "data files", found)
}

fn open_file(
    store: &Store,
    folder: &Folder,
    entry: &Entry,
) -> Result<Result<OpenFile, Vec<Issue>>> {
    let metadata = match load_metadata(store, folder, entry)? {
        Ok(metadata) => metadata,
        Err(issue) => return Ok(Err(vec![issue])),
    };
    let columns = match contract_columns(folder.dataset, &entry.name, &metadata) {
        Ok(columns) => columns,
        Err(issues) => return Ok(Err(issues)),
    };
    if let Err(found) = check_ranges(&columns.metadata, entry.size_bytes) {
        return Ok(Err(vec![not_parquet(entry, found)]));
    }
    Ok(Ok(OpenFile {
        name: entry.name.clone(),
        size_bytes: entry.size_bytes,
        rows: columns.metadata.file_metadata().num_rows() as u64,
        metadata: columns.metadata,
        types: columns.types,
    }))
}

fn not_parquet(entry: &Entry, found: String) -> Issue {
    Issue::new(
        &entry.name,
        None,
        "a Parquet file",
        messages::not_parquet(found),
    )
}

/// The footer, without the embedded Arrow schema: only Parquet's own types count, whoever wrote the
/// file.
fn load_metadata(
    store: &Store,
    folder: &Folder,
    entry: &Entry,
) -> Result<Result<ParquetMetaData, Issue>> {
    let path = format!("{}/{}", folder.dataset.partition(folder.day), entry.name);
    // A file shorter than the footer that it names makes byte ranges that no store can serve.
    if entry.size_bytes < 12 {
        return Ok(Err(not_parquet(
            entry,
            format!("a file of {} bytes", entry.size_bytes),
        )));
    }
    let mut reader = store.parquet_object(&path, entry.size_bytes)?;
    let loaded = isolated(|| {
        store
            .runtime()
            .block_on(read_footer(&mut reader, entry.size_bytes))
    });
    match loaded {
        Ok(Footer::Plain(metadata)) => Ok(Ok(metadata)),
        Ok(Footer::Encrypted) => Ok(Err(Issue::new(
            &entry.name,
            None,
            "a Parquet file",
            messages::encrypted(),
        ))),
        Err(error) => {
            Ok(sort_error(&store.show(&path), error)?.map_err(|found| not_parquet(entry, found)))
        }
    }
}

/// A footer of this size describes some thousand row groups of a hundred columns; in memory it
/// takes several times as much.
const MOST_FOOTER_BYTES: usize = 64 << 20;

enum Footer {
    Plain(ParquetMetaData),
    Encrypted,
}

/// The file ends with its footer, the footer's length in four bytes, and a mark of four.
async fn read_footer(reader: &mut ParquetObject, size_bytes: u64) -> Result<Footer, ParquetError> {
    let end = size_bytes - 8;
    let tail = FooterTail::try_from(&reader.get_bytes(end..size_bytes).await?[..])?;
    let length = tail.metadata_length();
    if tail.is_encrypted_footer() {
        return Ok(Footer::Encrypted);
    }
    if length > MOST_FOOTER_BYTES || length as u64 > end {
        return Err(ParquetError::General(format!("a footer of {length} bytes")));
    }
    let footer = reader.get_bytes(end - length as u64..end).await?;
    match check_footer(&footer) {
        FooterKind::Invalid => Err(ParquetError::General("an invalid Parquet footer".into())),
        FooterKind::WithEncryptedColumns => Ok(Footer::Encrypted),
        FooterKind::Plain => Ok(Footer::Plain(ParquetMetaDataReader::decode_metadata(
            &footer,
        )?)),
    }
}

/// Runs code that reads bytes from outside; a panic in it is one more way to say that the bytes are
/// bad.
pub fn isolated<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ParquetError::General("damaged bytes".into())))
}

/// A store that fails is an error; anything else is a damaged file, and the text says how.
pub fn sort_error<T>(path: &str, error: ParquetError) -> Result<Result<T, String>> {
    if let ParquetError::External(inner) = &error
        && inner.downcast_ref::<object_store::Error>().is_some()
    {
        return Err(messages::store_failed("read", path, inner.to_string()).into());
    }
    Ok(Err(cause(&error)))
}

/// The one line that says what is wrong, without the names of the layers that it came through.
fn cause(error: &ParquetError) -> String {
    const LAYERS: [&str; 6] = [
        "Parquet error: ",
        "Parquet argument error: ",
        "External: ",
        "Arrow: ",
        "EOF: ",
        "ParseError: ",
    ];
    let text = error.to_string();
    let mut line = text.lines().next().unwrap_or_default();
    while let Some(inner) = LAYERS.iter().find_map(|layer| line.strip_prefix(layer)) {
        line = inner;
    }
    match line {
        "Page CRC checksum mismatch" => "a page whose checksum is wrong".into(),
        line => line.to_owned(),
    }
}

/// Rows that one byte of a file may stand for. Every row has a key or a user of its own, which take
/// a byte and more however they are encoded; a footer that claims rows without end would be read
/// without end.
const ROWS_PER_BYTE: u64 = 128;

/// Every column chunk lies within the file, beside the others, and no count is negative or out of
/// proportion.
fn check_ranges(metadata: &ParquetMetaData, size_bytes: u64) -> Result<(), String> {
    if metadata.file_metadata().num_rows() < 0 {
        return Err(format!(
            "a footer that says {} rows",
            metadata.file_metadata().num_rows()
        ));
    }
    let (mut rows, mut bytes) = (0_i64, 0_u64);
    for group in metadata.row_groups() {
        if group.num_rows() < 0 {
            return Err(format!("a row group of {} rows", group.num_rows()));
        }
        rows = rows.saturating_add(group.num_rows());
        for chunk in group.columns() {
            let start = chunk
                .dictionary_page_offset()
                .unwrap_or(i64::MAX)
                .min(chunk.data_page_offset());
            let end = start.checked_add(chunk.compressed_size());
            if start < 0
                || chunk.compressed_size() < 0
                || end.is_none_or(|end| end as u64 > size_bytes)
            {
                return Err("a footer that points outside the file".into());
            }
            bytes = bytes.saturating_add(chunk.compressed_size() as u64);
        }
    }
    if bytes > size_bytes {
        return Err(format!(
            "a footer that says {bytes} bytes of columns in a file of {size_bytes}"
        ));
    }
    if rows as u64 / ROWS_PER_BYTE > size_bytes {
        return Err(format!(
            "a footer that says {rows} rows in a file of {size_bytes} bytes"
        ));
    }
    if rows != metadata.file_metadata().num_rows() {
        return Err(format!(
            "a footer that says {} rows for row groups of {rows}",
            metadata.file_metadata().num_rows()
        ));
    }
    Ok(())
}
