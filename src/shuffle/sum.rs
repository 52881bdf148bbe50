//! Partitions added up, each by one thread.
//!
//! A row counts in sums, and in sets of members (users, orders, buyers). Sets are exact and have to
//! be in memory until all rows of their members were seen. Where a partition has more rows than
//! that allows, such as those of one giant shop, its rows are split once more by a hash of the
//! member, and each part is counted by itself. So each row is written and read once more for each
//! kind of member, however little memory there is.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

use super::{Row, Shuffle, Taken};
use crate::resources::Resources;

/// Adds the rows of one partition after the other up.
pub(crate) trait Adder<const N: usize> {
    /// Kinds of members that are counted: users; orders and buyers. At least one.
    const MEMBER_KINDS: usize;

    /// The number of a row's member of a kind: equal numbers mean the same member.
    fn member(row: &Row<N>, kind: usize) -> u64;

    /// Adds the parts of rows, at most [`BLOCK`](super::BLOCK) of them, that the pass asks for.
    fn add(&mut self, rows: &[Row<N>], pass: Pass);

    /// All rows of the members that were added are there: the members are counted and forgotten.
    fn end_members(&mut self);

    /// All rows of the partition were added: its sums are final.
    fn end_partition(&mut self);
}

/// The purpose of one reading of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Sums and members of every kind.
    All,
    /// Sums. Every row of a partition comes once with this or with `All`.
    Sums,
    /// Members of one kind.
    Members(usize),
}

impl Pass {
    #[inline]
    pub(crate) fn has_sums(self) -> bool {
        !matches!(self, Pass::Members(_))
    }

    #[inline]
    pub(crate) fn has_members(self, kind: usize) -> bool {
        match self {
            Pass::All => true,
            Pass::Sums => false,
            Pass::Members(of_pass) => of_pass == kind,
        }
    }
}

/// Memory for the sets of members of one thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetMemory {
    bytes: u64,
    /// The most that a row takes in all sets of an adder: where every row has another member.
    bytes_per_row: u64,
}

/// So few rows are not split once more: a thread has that much memory with any limit.
const FEWEST_ROWS: u64 = 64;

impl SetMemory {
    /// `memory_bytes` shared by the threads.
    pub(crate) fn new(memory_bytes: u64, bytes_per_row: u64, resources: &Resources) -> SetMemory {
        SetMemory {
            bytes: memory_bytes / resources.threads as u64,
            bytes_per_row,
        }
    }

    fn holds(&self, rows: u64) -> bool {
        rows <= FEWEST_ROWS || rows.saturating_mul(self.bytes_per_row) <= self.bytes
    }
}

/// The rows and the memory that all adders share.
pub(crate) struct Summing<'a, const N: usize> {
    pub shuffle: &'a Shuffle<N>,
    pub sets: SetMemory,
}

impl<const N: usize> Summing<'_, N> {
    /// Adds up a complete partition while rows of others are still written.
    pub(crate) fn add<A: Adder<N>>(
        &self,
        partition: usize,
        adder: &mut A,
        buffer: &mut Vec<u8>,
        resources: &Resources,
    ) -> Result<()> {
        let taken = self.shuffle.take(partition);
        self.add_taken(&taken, adder, buffer, resources)?;
        self.shuffle.recycle(taken.chunks);
        Ok(())
    }

    fn add_taken<A: Adder<N>>(
        &self,
        taken: &Taken<N>,
        adder: &mut A,
        buffer: &mut Vec<u8>,
        resources: &Resources,
    ) -> Result<()> {
        if self.sets.holds(taken.rows()) {
            self.shuffle.read_each(taken, buffer, |rows| {
                adder.add(rows, Pass::All);
                Ok(())
            })?;
            adder.end_members();
        } else {
            for kind in 0..A::MEMBER_KINDS {
                self.add_by_member(taken, kind, adder, buffer, resources)?;
            }
        }
        adder.end_partition();
        Ok(())
    }

    /// Splits the rows of a partition by their members of a kind, and counts the members of one
    /// part after the other; with the first kind the rows are added to the sums too. The split
    /// takes half of the memory of the sets, which are empty meanwhile.
    fn add_by_member<A: Adder<N>>(
        &self,
        taken: &Taken<N>,
        kind: usize,
        adder: &mut A,
        buffer: &mut Vec<u8>,
        resources: &Resources,
    ) -> Result<()> {
        let parts = Shuffle::by_member(
            taken.rows(),
            self.sets.bytes_per_row,
            self.sets.bytes / 2,
            resources,
        );
        let mut writer = parts.writer();
        self.shuffle.read_each(taken, buffer, |rows| {
            if kind == 0 {
                adder.add(rows, Pass::Sums);
            }
            let mut each = rows.iter();
            each.try_for_each(|row| writer.add(spread(A::member(row, kind)), row))
        })?;
        writer.flush()?;
        drop(writer);
        for part in 0..parts.partitions() {
            let members = parts.take(part);
            parts.read_each(&members, buffer, |rows| {
                adder.add(rows, Pass::Members(kind));
                Ok(())
            })?;
            adder.end_members();
            parts.recycle(members.chunks);
        }
        Ok(())
    }

    /// Adds up every partition, on several threads. Returns the adder of each thread.
    pub(crate) fn add_all<A: Adder<N> + Send>(
        &self,
        new: impl Fn() -> A + Sync,
        resources: &Resources,
    ) -> Result<Vec<A>> {
        let next = AtomicUsize::new(0);
        let threads = vec![(); resources.threads];
        resources
            .map(threads, |()| self.add_remaining(&next, new(), resources))
            .into_iter()
            .collect()
    }

    /// Adds up one of the remaining partitions after the other, on one of several threads. `next`
    /// is the first one that no thread has begun.
    fn add_remaining<A: Adder<N>>(
        &self,
        next: &AtomicUsize,
        mut adder: A,
        resources: &Resources,
    ) -> Result<A> {
        let (partitions, mut buffer) = (self.shuffle.partitions(), Vec::new());
        loop {
            let partition = next.fetch_add(1, Ordering::Relaxed);
            if partition >= partitions {
                return Ok(adder);
            }
            let taken = self.shuffle.take(partition);
            let added = self.add_taken(&taken, &mut adder, &mut buffer, resources);
            // The sums of the other threads are worthless now.
            added.inspect_err(|_| next.store(partitions, Ordering::Relaxed))?;
        }
    }
}

/// A number to split by. [`Split`] chose the partition by the upper bits of a product, so its
/// members may share them; this function mixes them anew.
///
/// [`Split`]: super::split::Split
#[inline]
fn spread(member: u64) -> i64 {
    (member ^ member >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93) as i64
}
