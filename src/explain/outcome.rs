//! Whether a second computation gives the published numbers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::recompute::{InputFile, RowsOfKey};
use crate::catalog::history::{FileNow, History};
use crate::catalog::manifest::Manifest;
use crate::contracts::Table;
use crate::exit_code::ExitCode;
use crate::plan::Facts;
use crate::report::diff::{Publication, publication};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Agrees,
    /// A number differs, or a published file has other bytes than were published.
    Differs,
    /// Inputs changed since the numbers were published.
    InputsChanged,
}

impl Outcome {
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Outcome::Agrees => ExitCode::Published,
            Outcome::Differs => ExitCode::Blocked,
            Outcome::InputsChanged => ExitCode::TryLater,
        }
    }
}

/// How thoroughly numbers are computed again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Thoroughness {
    /// Windows from the exports of every day, not from the published daily tables.
    pub is_deep: bool,
    /// The most used rows, and the most other rows, that are shown of each export.
    pub rows_shown: usize,
}

/// The second computation: its outcome and its inputs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SecondRoute {
    pub outcome: Outcome,
    /// Windows were computed from the exports of every day.
    pub is_deep: bool,
    /// Inputs that are not those that the numbers were published from.
    pub changed: Vec<String>,
    /// Published files with other bytes than were published.
    pub damaged: Vec<String>,
    /// The rows of the key in the exports that were read, and the rows that do not count.
    pub rows: BTreeMap<&'static str, RowsOfKey>,
    /// The settings that change the meaning of results, by their names in the job file.
    pub settings: BTreeMap<&'static str, String>,
    /// The files that were read, with their hashes.
    pub files: Vec<InputFile>,
}

/// A published file and the commit that wrote it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PublishedFile {
    #[serde(flatten)]
    pub by: Publication,
    pub path: String,
    pub bytes: u64,
    /// Of the bytes that were published.
    pub sha256: String,
    /// Whether the file still has these bytes.
    pub is_unchanged: bool,
}

impl PublishedFile {
    /// `table`: one that the manifest has.
    ///
    /// # Errors
    /// When a manifest is damaged.
    pub(super) fn new(
        facts: &Facts,
        history: &History,
        manifest: &Manifest,
        table: &Table,
        file: &FileNow,
    ) -> anyhow::Result<PublishedFile> {
        let entry = &manifest.tables[table.name];
        let commit = entry.commit_number.unwrap_or(manifest.commit_number);
        let by = history.manifest(manifest.day, commit)?;
        Ok(PublishedFile {
            by: publication(by.as_deref().unwrap_or(manifest)),
            path: facts.results.show(&file.path),
            bytes: entry.bytes,
            sha256: entry.sha256.clone(),
            is_unchanged: file.is(entry),
        })
    }
}
