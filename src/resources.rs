//! What a run may take of the machine, and whether it still may.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// What was written there.
    pub spilled_bytes: Arc<AtomicU64>,
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

    /// The same, with an account of its own of what is spilled.
    pub fn counted_apart(&self) -> Resources {
        Resources { spilled_bytes: Arc::default(), ..self.clone() }
    }

    pub fn spilled_bytes(&self) -> u64 {
        self.spilled_bytes.load(Ordering::Relaxed)
    }
}
