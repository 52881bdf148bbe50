//! The contracts for people and programs outside: the dictionary that `describe` prints.
//!
//! | file | holds |
//! | --- | --- |
//! | `describe` | one table, export or column, with lineage in both directions |
//! | `page` | the same for people |
//! | `close` | the nearest name to a mistyped one |

mod close;
mod describe;
mod page;

pub(crate) use describe::describe;
pub(crate) use page::page;
