//! Packed rows that do not fit into memory, in a file without a name on a local disk.
//!
//! The file is removed from its folder as soon as it is made, so a killed process leaves none.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::Result;

use super::packed::{Chunk, Widths, rows_of};
use crate::messages;
use crate::resources::{Counts, Resources};

/// Bytes of a segment, about: read at once.
const SEGMENT_BYTES: usize = 1 << 20;

/// The spilled rows of all partitions.
pub(super) struct Spill<const N: usize> {
    resources: Resources,
    file: Option<Arc<File>>,
    end: u64,
    partitions: Vec<Vec<Segment<N>>>,
    /// The segment that is being filled. It is used again: new memory costs most here.
    buffer: Vec<u8>,
}

/// Rows of one partition and one layout that are next to each other in the file.
pub(super) struct Segment<const N: usize> {
    file: Arc<File>,
    offset: u64,
    bytes: usize,
    pub widths: Widths<N>,
}

impl<const N: usize> Spill<N> {
    pub(super) fn new(resources: &Resources, partitions: usize) -> Spill<N> {
        Spill {
            resources: resources.clone(),
            file: None,
            end: 0,
            partitions: (0..partitions).map(|_| vec![]).collect(),
            buffer: Vec::new(),
        }
    }

    /// Appends chunks of one partition.
    ///
    /// # Errors
    /// `StoreFailed`, with what to do about it.
    pub(super) fn write(&mut self, partition: usize, chunks: &[Chunk<N>]) -> Result<()> {
        self.append(partition, chunks).map_err(|error| {
            messages::cannot_spill(self.resources.spill_folder.display(), error).into()
        })
    }

    fn append(&mut self, partition: usize, chunks: &[Chunk<N>]) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => self
                .file
                .insert(Arc::new(tempfile::tempfile_in(
                    &self.resources.spill_folder,
                )?))
                .clone(),
        };
        let mut rest = chunks;
        while let Some(first) = rest.first() {
            let (bytes, widths) = (&mut self.buffer, first.widths);
            bytes.clear();
            while let Some((chunk, after)) = rest.split_first()
                && chunk.widths == widths
                && (bytes.is_empty() || bytes.len() + chunk.used <= SEGMENT_BYTES)
            {
                bytes.extend_from_slice(&chunk.bytes[..chunk.used]);
                rest = after;
            }
            file.write_all_at(bytes, self.end)?;
            let segment = Segment {
                file: file.clone(),
                offset: self.end,
                bytes: bytes.len(),
                widths,
            };
            let size = bytes.len() as u64;
            self.end += size;
            Counts::add(&self.resources.spilled_bytes, size);
            Counts::add(&self.resources.counts.spilled_bytes, size);
            self.partitions[partition].push(segment);
        }
        Ok(())
    }

    pub(super) fn rows(&self, partition: usize) -> u64 {
        self.partitions[partition].iter().map(Segment::rows).sum()
    }

    pub(super) fn take(&mut self, partition: usize) -> Vec<Segment<N>> {
        std::mem::take(&mut self.partitions[partition])
    }
}

impl<const N: usize> Segment<N> {
    fn rows(&self) -> u64 {
        rows_of(&self.widths, self.bytes)
    }

    /// Reads the rows' bytes into a buffer, with `padding` bytes behind them.
    ///
    /// # Errors
    /// `StoreFailed`.
    pub(super) fn read(&self, buffer: &mut Vec<u8>, padding: usize) -> Result<()> {
        buffer.resize(self.bytes + padding, 0);
        let read = self
            .file
            .read_exact_at(&mut buffer[..self.bytes], self.offset);
        read.map_err(|error| messages::cannot_read_spilled(error).into())
    }
}
