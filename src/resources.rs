//! A run's share of the machine: threads, memory, a folder to spill to, the request to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::stop::Stop;
use crate::threads::on_threads;

/// Shared by everything that computes. No result depends on it.
#[derive(Clone, Debug)]
pub struct Resources {
    /// Threads that decode and add up, at least one.
    pub threads: usize,
    /// The memory that the whole process should stay within. Each user takes a stated part of it and
    /// spills the rest to `spill_folder`.
    pub memory_bytes: u64,
    /// A folder on a local disk for rows that do not fit into memory. Files there have no name, so
    /// they vanish with the process.
    pub spill_folder: PathBuf,
    /// Bytes written there.
    pub spilled_bytes: Arc<AtomicU64>,
    /// Counts of the whole command.
    pub counts: Arc<Counts>,
    pub stop: Stop,
}

/// How far a command is, for its heartbeat. Days that are computed side by side count together.
#[derive(Debug, Default)]
pub struct Counts {
    /// Rows of the exports that were opened.
    pub rows_expected: AtomicU64,
    pub rows_read: AtomicU64,
    pub spilled_bytes: AtomicU64,
}

impl Counts {
    pub(crate) fn add(count: &AtomicU64, number: u64) {
        count.fetch_add(number, Ordering::Relaxed);
    }
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

    /// The same, with its own count of spilled bytes.
    pub fn counted_apart(&self) -> Resources {
        Resources {
            spilled_bytes: Arc::default(),
            ..self.clone()
        }
    }

    /// The results of `work` on each item, in the order of the items, computed by all threads; a
    /// single one is the caller's.
    pub fn map<T: Send, R: Send>(&self, items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
        on_threads(self.threads, items, work)
    }

    pub fn spilled_bytes(&self) -> u64 {
        self.spilled_bytes.load(Ordering::Relaxed)
    }
}
