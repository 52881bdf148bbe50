//! One code path to local folders and object stores: the calls that the stages need, blocking.
//!
//! | file | holds |
//! | --- | --- |
//! | `location` | a local path, or the URL of an object store |
//! | `open` | a store opened; waiting, paths and retries of all calls |
//! | `read`, `parquet_object` | whole objects, byte ranges, Parquet files |
//! | `write`, `upload`, `remove`, `check_move` | objects created, replaced, moved and removed |
//! | `list`, `local_listing` | folders, with the entries that cannot be objects |
//! | `entry` | an object, and what lies in a folder |
//! | `failure` | an error with its cause and its remedy |

mod check_move;
mod entry;
mod failure;
mod list;
mod local_listing;
mod location;
mod open;
mod parquet_object;
mod read;
mod remove;
mod upload;
mod write;

pub use entry::{Entry, Listing, Stray, StrayKind};
pub(crate) use location::local_path;
pub use open::{Access, Store};
pub(crate) use open::{Deadline, SMALL_BYTES, choose_tls_cryptography};
pub(crate) use parquet_object::ParquetObject;
pub(crate) use read::Digested;
pub use write::Creation;
