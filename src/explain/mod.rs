//! `explain`: where published numbers come from.
//!
//! The answer is read from published files, manifests and the history, in the words of the contracts.
//! The numbers are also computed again by a second route. Of a cohort, the answer has a band of its peers
//! and the rules of suppression, never another shop or a number that is not published.
//!
//! | file | holds |
//! | --- | --- |
//! | `row` | the question, and the row that it is about |
//! | `cell` | the answer for one number |
//! | `value` | a value with its formula, its inputs and the meaning of null |
//! | `export_state` | the exports behind a number |
//! | `day` | the answer for every number of a shop's day |
//! | `recompute/` | the numbers, computed again by another route |
//! | `outcome`, `compare` | whether they agree |
//! | `receipt` | an answer of another time or place, verified |
//! | `page` | the answers for people |
//! | `sql/` | the same numbers as a query for DuckDB |

mod cell;
mod compare;
mod day;
mod export_state;
mod outcome;
mod page;
mod receipt;
mod recompute;
mod row;
mod sql;
mod value;

pub(crate) use cell::{Explanation, explain};
pub(crate) use day::{ComparedDay, compare_day};
use export_state::export;
pub(crate) use outcome::Thoroughness;
pub(crate) use page::{day_page, page, verification_page};
pub(crate) use receipt::{Receipt, Verification, verify};
pub(crate) use row::{FLAGS, Question, RowKey};
pub(crate) use sql::{SqlAnswer, sql};

use crate::catalog::manifest::{Manifest, Skipped};
use crate::contracts::Table;

/// Of a table whose file somebody removed or changed.
const LOST: &str = "its file or _SUCCESS is gone, or the file has another size than was published";

/// Whether the table was published, and its file is gone or has another size.
fn is_lost(manifest: &Manifest, table: &Table) -> bool {
    manifest.lost.iter().any(|name| name == table.name)
}

/// Why the day does not have a whole table: the reason in the manifest.
fn why_skipped<'a>(manifest: &'a Manifest, table: &Table) -> Option<&'a Skipped> {
    let mut skipped = manifest.skipped.iter();
    skipped.find(|skipped| skipped.table == table.name && skipped.columns.is_empty())
}

/// Why a published day does not have a table.
pub(crate) fn why_unpublished(manifest: &Manifest, table: &Table) -> String {
    if is_lost(manifest, table) {
        return LOST.to_owned();
    }
    let skipped = why_skipped(manifest, table).map(|skipped| skipped.reason.clone());
    skipped.unwrap_or_else(|| "its exports are not final, or are blocked".to_owned())
}
