//! The exports of a day behind a number, and whether they are those that it was published from.

use anyhow::Result;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use crate::catalog::manifest::Manifest;
use crate::contracts::Column;
use crate::contracts::column::{Lineage, Source};
use crate::days::readiness::{DayExports, Readiness};
use crate::exports::quarantine::Accounting;
use crate::plan::Facts;

/// An export behind the value.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExportState {
    pub dataset: &'static str,
    /// Whether its files are those that the day was published from; `None`: not recorded.
    pub is_unchanged: Option<bool>,
    pub files: Vec<ExportFile>,
    /// How its rows were counted, over all shops; `None`: not read for this publication.
    pub account: Option<Accounting>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ExportFile {
    pub name: String,
    pub bytes: u64,
}

/// The exports of the day in a column's lineage.
pub(super) fn exports(
    facts: &Facts,
    day: NaiveDate,
    manifest: &Manifest,
    column: &Column,
) -> Result<Vec<ExportState>> {
    let Lineage::From(sources) = column.lineage else {
        return Ok(vec![]);
    };
    let present = match facts.readiness(day)? {
        Readiness::Ready(exports) => Some(exports),
        Readiness::NotYet(_) => None,
    };
    let mut found: Vec<ExportState> = Vec::new();
    for source in sources {
        if let Source::Export(id, _) = source
            && !found.iter().any(|export| export.dataset == id.name())
        {
            found.push(export(id.name(), present.as_ref(), manifest));
        }
    }
    Ok(found)
}

pub(super) fn export(
    dataset: &'static str,
    present: Option<&DayExports>,
    manifest: &Manifest,
) -> ExportState {
    let recorded = manifest
        .sources
        .as_ref()
        .map(|sources| sources.exports.get(dataset));
    let now = present.map(|exports| exports.fingerprint(&[dataset]));
    let folder = present.and_then(|exports| exports.folder(dataset));
    let files = folder.into_iter().flat_map(|folder| &folder.files);
    let mut accounts = manifest.datasets.iter();
    ExportState {
        dataset,
        is_unchanged: recorded.map(|recorded| recorded == now.as_ref()),
        files: files
            .map(|file| ExportFile {
                name: file.name.clone(),
                bytes: file.size_bytes,
            })
            .collect(),
        account: accounts
            .find(|account| account.dataset == dataset)
            .map(|account| Accounting {
                // They are rows of any shop.
                examples: vec![],
                ..account.clone()
            }),
    }
}
