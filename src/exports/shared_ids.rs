//! Two texts of a day with one id: found after its exports were read, and told with their files.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::batch::Batch;
use super::defect::{Issue, ReadError};
use super::open_export::{OpenExport, RowGroupPlace};
use super::stream::{self, Worker};
use super::text_ids::TextIds;
use crate::contracts::Dataset;
use crate::messages;
use crate::resources::Counts;
use crate::stop::Stop;
use crate::store::Store;

/// The exports of a day whose texts cannot be ids, and why: two texts have one id, or there are more than
/// can be compared. Reads them again to name these texts and their files.
///
/// # Errors
/// When the store fails, and when there is no memory to compare all texts.
pub(super) fn refused(
    store: &Store,
    opened: &[OpenExport],
    ids: &TextIds,
    stop: &Stop,
) -> Result<Vec<Refused>> {
    let left_out = ids.left_out();
    // The exports may be right, so this is no verdict about them.
    ensure!(
        left_out.is_empty(),
        messages::too_many_text_ids(
            left_out.into_iter().collect::<Vec<_>>().join(", "),
            ids.most()
        )
    );
    match ids.shared() {
        Some(id) => holders(store, opened, id, stop),
        None => Ok(vec![]),
    }
}

/// An export, and why it may not be used.
type Refused = (&'static Dataset, Vec<Issue>);

/// The exports with a text of this id, each with an issue for each column that has one.
fn holders(store: &Store, opened: &[OpenExport], id: i64, stop: &Stop) -> Result<Vec<Refused>> {
    let (mut texts, mut holders) = (BTreeSet::new(), Vec::new());
    for export in opened.iter().filter(|export| export.hashes_texts()) {
        let seeking = &export.with_ids(TextIds::seeking(id));
        let seeker = Seeker {
            export: seeking,
            files: BTreeMap::new(),
            texts: BTreeSet::new(),
            stop,
        };
        match stream::read(store, seeking, vec![seeker], &Counts::default()) {
            Ok(seekers) => {
                for seeker in seekers {
                    texts.extend(seeker.texts);
                    holders.push((export, seeker.files));
                }
            }
            Err(ReadError::Failed(error)) => return Err(error),
            // Its fault is told already, or it changes while it is read.
            Err(ReadError::Broken(_)) => {}
        }
    }
    let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    let found = messages::shared_id(texts.join(" and "), id);
    let issues = |(export, files): (&OpenExport, BTreeMap<&'static str, String>)| {
        let issue = |(name, file): (&'static str, String)| {
            let column = &export.dataset.columns[export.dataset.position(name)];
            let issue = Issue::new(&file, Some(column), "one text for each id", found.clone());
            issue.of_mapped(export.dataset, export.mapped.as_deref(), column)
        };
        (export.dataset, files.into_iter().map(issue).collect())
    };
    let with_texts = holders.into_iter().filter(|(_, files)| !files.is_empty());
    Ok(with_texts.map(issues).collect())
}

/// Collects the texts that the ids of an export seek.
struct Seeker<'a> {
    export: &'a OpenExport,
    /// The first file with such a text, by column.
    files: BTreeMap<&'static str, String>,
    texts: BTreeSet<String>,
    stop: &'a Stop,
}

impl Worker for Seeker<'_> {
    fn rows(&mut self, group: &RowGroupPlace, _first_row: u64, _batch: Batch) -> Result<()> {
        self.stop.check()?;
        let file = &self.export.files[group.file].name;
        for (column, text) in self.export.ids.take_found() {
            let first = self.files.entry(column).or_insert_with(|| file.clone());
            if file < first {
                first.clone_from(file);
            }
            self.texts.insert(text);
        }
        Ok(())
    }

    fn end_row_group(&mut self, _position: usize) -> Result<()> {
        Ok(())
    }
}
