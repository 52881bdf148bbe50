//! What a run may take of the machine, and whether it still may.

use std::path::PathBuf;

use crate::stop::Stop;

/// Shared by everything that computes; nothing that is computed depends on it.
#[derive(Clone, Debug)]
pub struct Resources {
    /// Threads that decode and add up, at least one.
    pub threads: usize,
    /// What the whole process is meant to stay within. Each user takes a stated part of it; what it cannot hold goes to
    /// `spill_folder`.
    pub memory_bytes: u64,
    /// A folder on a local disk for what does not fit into memory. Files there have no name: they are gone with the process.
    pub spill_folder: PathBuf,
    pub stop: Stop,
}

impl Resources {
    /// The part of each of `count` users that work side by side.
    pub fn split(&self, count: usize) -> Resources {
        let count = count.max(1);
        Resources {
            threads: (self.threads / count).max(1),
            memory_bytes: self.memory_bytes / count as u64,
            ..self.clone()
        }
    }
}
