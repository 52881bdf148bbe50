//! Small published files in memory, so that an object store is not asked for each part of each file,
//! nor for the same file on every day of a backfill.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::store::SMALL_BYTES;

/// Bytes that are kept; the oldest files go first.
pub(crate) const MOST_BYTES: usize = 32 << 20;

/// Files by their SHA-256.
#[derive(Debug, Default)]
pub(crate) struct SmallFiles {
    files: HashMap<String, Bytes>,
    /// Oldest first.
    order: VecDeque<String>,
    bytes: usize,
}

impl SmallFiles {
    pub(crate) fn get(&self, sha256: &str) -> Option<Bytes> {
        self.files.get(sha256).cloned()
    }

    /// Keeps a file if it is small.
    pub(crate) fn add(&mut self, sha256: &str, file: &Bytes) {
        if file.len() as u64 > SMALL_BYTES || self.files.contains_key(sha256) {
            return;
        }
        self.bytes += file.len();
        self.order.push_back(sha256.to_owned());
        self.files.insert(sha256.to_owned(), file.clone());
        while self.bytes > MOST_BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            let gone = self.files.remove(&oldest);
            self.bytes -= gone.map_or(0, |file| file.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_not_kept_and_the_oldest_make_room() {
        let mut files = SmallFiles::default();
        files.add("large", &Bytes::from(vec![0; SMALL_BYTES as usize + 1]));
        assert_eq!(files.get("large"), None);
        let small = Bytes::from(vec![0; SMALL_BYTES as usize]);
        for name in 0..=MOST_BYTES / SMALL_BYTES as usize {
            files.add(&name.to_string(), &small);
            files.add(&name.to_string(), &small);
        }
        assert_eq!(files.get("0"), None);
        assert_eq!(files.get("1"), Some(small));
        assert_eq!(files.bytes, MOST_BYTES);
    }
}
