//! The job and the process that are examined.

use std::path::Path;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use crate::config::Config;
use crate::resources::Resources;
use crate::stop::Stop;

/// The job, as the job file and the command line have it.
pub(crate) struct Setup {
    pub config: Config,
    pub resources: Resources,
}

/// The process and its machine.
pub(crate) struct Machine<'a> {
    pub environment: &'a [(String, String)],
    pub clock: fn() -> DateTime<Utc>,
    pub runtime: Handle,
    /// The memory of the machine; 0: unknown.
    pub memory_bytes: u64,
    /// The least of the memory of the machine and the limits of its control groups.
    pub usable_memory_bytes: u64,
    /// A part of the names of probe objects, unlike that of any other process.
    pub probe_name: String,
    pub stop: Stop,
}

/// The text of a small file; `None` where it cannot be read.
pub(super) fn read_text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}
