//! The contracts for people and programs outside: the dictionary, and views of the results.
//!
//! | file | holds |
//! | --- | --- |
//! | `describe` | one table, export or column, with lineage in both directions |
//! | `page` | the same for people |
//! | `odcs` | the contracts as Open Data Contracts |
//! | `views` | views of the results for DuckDB |
//! | `columns` | a column in one line |

mod columns;
mod describe;
pub(crate) mod odcs;
mod page;
pub(crate) mod views;

pub(crate) use describe::{Description, describe};
pub(crate) use page::page;
pub(crate) use views::Catalog;
