//! Opens an export: its files checked against the contract, before any row is read.
//!
//! The check covers the folder, the footers, columns and types, and the `_SUCCESS` list.

use std::sync::Arc;

use super::defect::{Issue, ReadError};
use super::open_export::{OpenExport, OpenFile};
use super::schema::contract_columns;
use super::success_list::check_success_list;
use super::text_ids::TextIds;
use crate::days::readiness::Folder;
use crate::messages;
use crate::store::{Entry, Store, Stray, StrayKind};
use crate::untrusted_parquet::footer::{check_ranges, read_footer};

/// Opens the files of a final export and checks them all. `ids`: of texts that its mapping makes ids.
///
/// # Errors
/// `Broken` with every breach of the contract; `Failed` when the store fails.
pub(super) fn open(
    store: &Store,
    folder: &Folder,
    ids: &Arc<TextIds>,
) -> Result<OpenExport, ReadError> {
    let mut issues: Vec<Issue> = folder.strays.iter().map(stray).collect();
    let mut files = Vec::new();
    for entry in &folder.files {
        match open_file(store, folder, entry) {
            Ok(file) => files.push(file),
            Err(ReadError::Broken(found)) => issues.extend(found),
            Err(failed) => return Err(failed),
        }
    }
    if issues.is_empty() {
        issues.extend(check_success_list(store, folder, &files)?);
    }
    if !issues.is_empty() {
        return Err(ReadError::Broken(issues));
    }
    Ok(OpenExport {
        dataset: folder.dataset,
        path: folder.path.clone(),
        mapped: folder.mapped.clone(),
        files,
        ids: ids.clone(),
    })
}

/// An entry that is not a data file but may hold rows: it is an error, not skipped.
fn stray(stray: &Stray) -> Issue {
    let found = match stray.kind {
        StrayKind::Folder => messages::stray_folder(),
        StrayKind::BrokenLink => messages::stray_link(),
        StrayKind::Name => messages::stray_name(),
        StrayKind::Special => messages::stray_device(),
    };
    Issue::new(&stray.name, None, "data files", found)
}

fn open_file(store: &Store, folder: &Folder, entry: &Entry) -> Result<OpenFile, ReadError> {
    let path = format!("{}/{}", folder.path, entry.name);
    let metadata = read_footer(store, &path, entry.size_bytes)
        .map_err(|error| ReadError::new(&entry.name, error))?;
    let columns = contract_columns(folder, &entry.name, &metadata)?;
    check_ranges(&columns.metadata, entry.size_bytes)
        .map_err(|error| ReadError::new(&entry.name, error))?;
    Ok(OpenFile {
        name: entry.name.clone(),
        size_bytes: entry.size_bytes,
        rows: columns.metadata.file_metadata().num_rows() as u64,
        metadata: columns.metadata,
        types: columns.types,
    })
}
