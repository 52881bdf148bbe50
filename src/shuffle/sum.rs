//! Partitions added up, each by one thread.
//!
//! A row counts in sums, and in sets of members (users, orders, buyers). Sets are exact and have to
//! be in memory until all rows of their members were seen. Where a partition has more rows than
//! that allows, or than one thread should add up while others have nothing to do, such as those of
//! one giant shop, all threads split its rows once more by a hash of the member, and each part is
//! counted by itself. So each row is written and read once more for each kind of member, however
//! little memory there is. Several threads may have sums of one key then, which the caller adds up.
//!
//! Where members are those of groups, such as the users of a product, rows are split by the group
//! first: one thread has the sums of few groups then, which stay in a core's cache. Rows of groups
//! that are too large themselves are split by the member as well, so they are written twice for that kind.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

use super::{BLOCK, Block, Column, Piece, Row, Shuffle};
use crate::resources::Resources;
use crate::threads::{into_inner, lock};

/// Adds the rows of one partition after the other up.
pub(crate) trait Adder<const N: usize> {
    /// Kinds of members that are counted: users; orders and buyers. At least one.
    const MEMBER_KINDS: usize;

    /// The number of a row's member of a kind: equal numbers mean the same member.
    fn member(row: &Row<N>, kind: usize) -> u64;

    /// Whether [`member`](Adder::member) gives one number for all kinds: one split can serve all of them
    /// then.
    const HAS_ONE_MEMBER: bool = false;

    /// Whether members of this kind are those of groups, which are smaller than the partition and have sums
    /// of their own, as the users of products are.
    fn has_groups(_kind: usize) -> bool {
        false
    }

    /// The number of a row's group.
    fn group(_row: &Row<N>) -> u64 {
        0
    }

    /// Clears values that neither this pass nor a later one reads, or makes them smaller. The rows are
    /// written once more then, and take less room. Members and groups keep their numbers.
    fn clear_unneeded(_columns: &mut [Column; N], _pass: Pass) {}

    /// Adds the parts of rows that the pass asks for.
    fn add(&mut self, rows: &Block<N>, pass: Pass);

    /// All rows of some members follow, for one pass. They are about so many rows, or more where few members
    /// have them.
    fn begin_members(&mut self, _rows: u64, _pass: Pass) {}

    /// All of these rows were added: their members are counted and forgotten.
    fn end_members(&mut self);

    /// All rows of the partition were added, by this adder and others.
    fn end_partition(&mut self);
}

/// The purpose of one reading of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Sums and members of every kind.
    All,
    /// Sums and members of one kind. Every row of a partition comes once with this or with `All`.
    SumsAndMembers(usize),
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
            Pass::SumsAndMembers(of_pass) | Pass::Members(of_pass) => of_pass == kind,
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
/// More rows are split once more with any memory: their sets would not be in a cache, and one thread
/// would still add them up when all others are done.
const MOST_ROWS: u64 = 1 << 20;

impl SetMemory {
    /// `memory_bytes` shared by the threads.
    pub(crate) fn new(memory_bytes: u64, bytes_per_row: u64, resources: &Resources) -> SetMemory {
        SetMemory {
            bytes: memory_bytes / resources.threads as u64,
            bytes_per_row,
        }
    }

    /// The most rows whose members fit, if each row has another member.
    fn most_rows(&self) -> u64 {
        (self.bytes / self.bytes_per_row).clamp(FEWEST_ROWS, MOST_ROWS)
    }
}

/// A partition and the number of its rows.
type Counted = (usize, u64);

/// Parts that are too large for the memory of the sets, and have more than twice as many rows as others.
#[derive(Clone, Copy)]
enum Large {
    /// Parts of groups can be split by member.
    Leave,
    /// Parts of members cannot be split further. They take no more memory where few members have their rows.
    Add,
}

/// Rows to split once more and to add up.
struct Parts<const N: usize> {
    waiting: Waiting<N>,
    pass: Pass,
    /// No pass over these rows follows.
    is_last: bool,
    large: Large,
    spare_bytes: u64,
}

/// Rows that are not added up yet.
struct Waiting<const N: usize> {
    pieces: Vec<Piece<N>>,
    rows: u64,
}

/// Rows after their parts were added up.
struct Added<A, const N: usize> {
    adders: Vec<A>,
    /// The rows of these parts, if a pass over them follows.
    pieces: Vec<Piece<N>>,
    /// Those of the parts that were left.
    large: Waiting<N>,
}

/// The rows and the memory that all adders share.
pub(crate) struct Summing<'a, const N: usize> {
    pub shuffle: &'a Shuffle<N>,
    pub sets: SetMemory,
}

impl<const N: usize> Summing<'_, N> {
    /// Adds up a complete partition while rows of others are still written. One that is too large is
    /// left for [`Summing::add_all`].
    pub(crate) fn add<A: Adder<N>>(
        &self,
        partition: usize,
        adder: &mut A,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        let rows = self.shuffle.rows(partition);
        if rows > self.sets.most_rows() {
            return Ok(());
        }
        let pieces = self
            .add_small((partition, rows), adder, buffer)?
            .into_iter();
        self.shuffle.recycle(pieces.filter_map(|piece| match piece {
            Piece::Kept(chunk) => Some(chunk),
            Piece::Spilled(_) => None,
        }));
        Ok(())
    }

    /// Adds up every partition that is left, on several threads. Returns the adder of each thread.
    pub(crate) fn add_all<A: Adder<N> + Send>(
        &self,
        new: impl Fn() -> A,
        resources: &Resources,
    ) -> Result<Vec<A>> {
        let mut adders: Vec<A> = (0..resources.threads).map(|_| new()).collect();
        let partitions = 0..self.shuffle.partitions();
        let counted = partitions.map(|partition| (partition, self.shuffle.rows(partition)));
        let (small, large): (Vec<Counted>, Vec<Counted>) =
            counted.partition(|(_, rows)| *rows <= self.sets.most_rows());
        for partition in large {
            adders = self.add_large(partition, adders, resources)?;
        }
        on_all(adders, small.len(), resources, |adder, buffer, n| {
            self.add_small(small[n], adder, buffer).map(drop)
        })
    }

    /// Adds up a partition on one thread. Returns its pieces.
    fn add_small<A: Adder<N>>(
        &self,
        (partition, rows): Counted,
        adder: &mut A,
        buffer: &mut Vec<u8>,
    ) -> Result<Vec<Piece<N>>> {
        let pieces = self.shuffle.take(partition);
        adder.begin_members(rows, Pass::All);
        for piece in &pieces {
            self.shuffle.read_each(piece, buffer, |rows| {
                adder.add(rows, Pass::All);
                Ok(())
            })?;
        }
        adder.end_members();
        adder.end_partition();
        Ok(pieces)
    }

    /// Adds up the rows of a partition, for one kind of members after the other.
    fn add_large<A: Adder<N> + Send>(
        &self,
        (partition, rows): Counted,
        mut adders: Vec<A>,
        resources: &Resources,
    ) -> Result<Vec<A>> {
        let mut waiting = Waiting {
            pieces: self.shuffle.take(partition),
            rows,
        };
        // Half of the memory of the sets, which are empty meanwhile.
        let memory_bytes = self.sets.bytes / 2 * resources.threads as u64;
        let mut spare_bytes = memory_bytes;
        // The groups of few rows are in a cache anyway.
        let is_one_pass = A::HAS_ONE_MEMBER && rows <= MOST_ROWS;
        let kinds = if is_one_pass { 1 } else { A::MEMBER_KINDS };
        for kind in 0..kinds {
            let pass = match kind {
                _ if is_one_pass => Pass::All,
                0 => Pass::SumsAndMembers(kind),
                _ => Pass::Members(kind),
            };
            let is_last = kind + 1 == kinds;
            let split = |waiting, spare_bytes, large| Parts {
                waiting,
                pass,
                is_last,
                large,
                spare_bytes,
            };
            let mut done = vec![];
            if A::has_groups(kind) && !is_one_pass {
                let parts = split(waiting, spare_bytes, Large::Leave);
                let added = self.add_parts(parts, A::group, adders, resources)?;
                (adders, waiting, done) = (added.adders, added.large, added.pieces);
                spare_bytes = memory_bytes.saturating_sub(kept_bytes(&done));
            }
            if waiting.rows > 0 {
                let member = |row: &Row<N>| A::member(row, kind);
                let parts = split(waiting, spare_bytes, Large::Add);
                let added = self.add_parts(parts, member, adders, resources)?;
                adders = added.adders;
                done.extend(added.pieces);
            }
            spare_bytes = memory_bytes.saturating_sub(kept_bytes(&done));
            waiting = Waiting { pieces: done, rows };
        }
        adders.iter_mut().for_each(A::end_partition);
        Ok(adders)
    }

    /// Splits rows by a hash of their group's or member's number, and adds up each part. Beside the spare
    /// bytes, the split takes the memory of the rows.
    fn add_parts<A: Adder<N> + Send>(
        &self,
        Parts {
            waiting: Waiting { pieces, rows },
            pass,
            is_last,
            large,
            spare_bytes,
        }: Parts<N>,
        number: impl Fn(&Row<N>) -> u64 + Sync,
        adders: Vec<A>,
        resources: &Resources,
    ) -> Result<Added<A, N>> {
        let parts = Shuffle::again(rows, self.sets.bytes_per_row, spare_bytes, resources);
        parts.inherit_free(self.shuffle);
        let clear = |columns: &mut [Column; N]| A::clear_unneeded(columns, pass);
        let number = |row: &Row<N>| spread(number(row));
        self.split(pieces, &parts, number, clear, resources)?;
        let most_rows = self.sets.most_rows();
        let most_rows_of_part = match large {
            Large::Leave => (most_rows / 2).max(2 * rows / parts.partitions() as u64),
            Large::Add => u64::MAX,
        };
        let is_large = |part: &usize| parts.rows(*part) > most_rows_of_part;
        let (large, small): (Vec<usize>, Vec<usize>) = (0..parts.partitions()).partition(is_large);
        let done = Mutex::new(Vec::new());
        let adders = on_all(adders, small.len(), resources, |adder, buffer, n| {
            let (rows, pieces) = (parts.rows(small[n]), parts.take(small[n]));
            adder.begin_members(rows.min(most_rows), pass);
            for piece in &pieces {
                parts.read_each(piece, buffer, |rows| {
                    adder.add(rows, pass);
                    Ok(())
                })?;
            }
            adder.end_members();
            if !is_last {
                lock(&done).extend(pieces);
            }
            Ok(())
        })?;
        Ok(Added {
            adders,
            pieces: into_inner(done),
            large: Waiting {
                rows: large.iter().map(|part| parts.rows(*part)).sum(),
                pieces: large.iter().flat_map(|part| parts.take(*part)).collect(),
            },
        })
    }

    /// Writes rows to `parts`, on several threads.
    fn split(
        &self,
        pieces: Vec<Piece<N>>,
        parts: &Shuffle<N>,
        split_by: impl Fn(&Row<N>) -> i64 + Sync,
        clear_unneeded: impl Fn(&mut [Column; N]) + Sync,
        resources: &Resources,
    ) -> Result<()> {
        let pieces = Mutex::new(pieces);
        let write = |()| {
            let (mut writer, mut buffer) = (parts.writer(), Vec::new());
            loop {
                let next = lock(&pieces).pop();
                let Some(piece) = next else {
                    return writer.flush();
                };
                self.shuffle.read_each(&piece, &mut buffer, |block| {
                    let mut by = [0; BLOCK];
                    for (by, row) in by.iter_mut().zip(block.each_row()) {
                        *by = split_by(&row);
                    }
                    writer.add_block(&by[..block.rows], |columns| {
                        *columns = block.columns;
                        clear_unneeded(columns);
                    })
                })?;
                if let Piece::Kept(chunk) = piece {
                    parts.inherit(chunk);
                }
            }
        };
        let threads = vec![(); resources.threads];
        resources.map(threads, write).into_iter().collect()
    }
}

/// The memory of rows.
fn kept_bytes<const N: usize>(pieces: &[Piece<N>]) -> u64 {
    let bytes = pieces.iter().map(|piece| match piece {
        Piece::Kept(chunk) => chunk.bytes.len() as u64,
        Piece::Spilled(_) => 0,
    });
    bytes.sum()
}

/// Does each of `count` pieces of work on one of several threads, each with its adder and a buffer.
fn on_all<A: Send>(
    adders: Vec<A>,
    count: usize,
    resources: &Resources,
    work: impl Fn(&mut A, &mut Vec<u8>, usize) -> Result<()> + Sync,
) -> Result<Vec<A>> {
    let next = AtomicUsize::new(0);
    let each = |mut adder: A| {
        let mut buffer = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return Ok(adder);
            }
            let done = work(&mut adder, &mut buffer, n);
            // The sums of the other threads are worthless now.
            done.inspect_err(|_| next.store(count, Ordering::Relaxed))?;
        }
    };
    resources.map(adders, each).into_iter().collect()
}

/// A number to split by. [`Split`] chose the partition by the upper bits of a product, so its
/// members may share them; this function mixes them anew.
///
/// [`Split`]: super::split::Split
#[inline]
fn spread(member: u64) -> i64 {
    (member ^ member >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93) as i64
}
