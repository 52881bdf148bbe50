//! Rows split into partitions by shop, so that each can be added up by itself in a core's cache.
//!
//! 1. `split` chooses the partition of each shop.
//! 2. `packed` stores a row in about as few bits as the values of its columns need.
//! 3. Several threads write. Full chunks of packed rows stay in memory, or are spilled to disk
//!    beyond a limit (`spill`).
//! 4. `sum` reads each partition once and adds it up on one thread. A partition that is too large
//!    is split once more, by all threads together.
//!
//! The sums do not depend on which thread wrote a row, nor on which rows were spilled.

mod packed;
mod spill;
pub(crate) mod split;
pub(crate) mod sum;

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use anyhow::Result;
use bytes::BytesMut;

use crate::resources::Resources;
use crate::stop::Stop;
use crate::threads::lock;
pub(crate) use packed::{BLOCK, Block, Column, Row, named_row};
use packed::{Chunk, Layout, PADDING, WINDOW_BYTES, most_bytes, window};
use spill::{Segment, Spill};
use split::{GroupShops, Split};

/// The most and the least that a chunk holds: less where partitions and threads are many, since
/// each thread has an open one for every partition.
const CHUNK_BYTES: RangeInclusive<u64> = 1024..=16 * 1024;
/// What a thread has open for a partition, at least.
const OPEN_BYTES: u64 = *CHUNK_BYTES.start() + WAITING_BYTES as u64;

/// Rows of `N` numbers, split by shop.
pub(crate) struct Shuffle<const N: usize> {
    split: Split,
    chunk_bytes: usize,
    kept: Mutex<Kept<N>>,
    spill: Mutex<Spill<N>>,
    /// For each partition, the row groups that may still bring rows for it; empty where that is not
    /// known.
    unread: Vec<AtomicUsize>,
    stop: Stop,
}

/// Chunks in memory.
struct Kept<const N: usize> {
    partitions: Vec<Vec<Chunk<N>>>,
    bytes: u64,
    /// Beyond this they are spilled. While they are written as many may come in again.
    spill_at_bytes: u64,
    /// Chunks whose rows are added up. Memory that is used again costs less than new memory.
    free: Vec<BytesMut>,
    /// Memory for new chunks.
    unused: BytesMut,
}

/// Chunks whose memory is asked for at once, at most. It is given back when all of them are dropped.
const CHUNKS_AT_ONCE: usize = 64;

impl<const N: usize> Kept<N> {
    fn chunk_memory(&mut self, bytes: usize) -> BytesMut {
        self.free.pop().unwrap_or_else(|| {
            if self.unused.len() < bytes {
                // A small part of the memory limit.
                let chunks = self.spill_at_bytes as usize / 8 / bytes;
                self.unused = BytesMut::zeroed(bytes * chunks.clamp(1, CHUNKS_AT_ONCE));
            }
            self.unused.split_to(bytes)
        })
    }
}

impl<const N: usize> Shuffle<N> {
    /// For the rows of these row groups. A quarter of `memory_bytes` is for the open chunks of all
    /// threads. The rest is for kept chunks, twice: as many may come in while others are spilled.
    pub(crate) fn new(
        groups: &[GroupShops],
        memory_bytes: u64,
        resources: &Resources,
    ) -> Shuffle<N> {
        let open_bytes = memory_bytes / 4 / resources.threads as u64;
        let split = Split::of(groups, open_bytes / OPEN_BYTES);
        Shuffle::with(split, open_bytes, memory_bytes / 8 * 3, resources)
    }

    /// For rows of one partition, which are split once more by a hash of their members or groups. Open chunks
    /// of a thread and the members of one part together take about `2 * sqrt(rows *
    /// member_bytes_per_row * OPEN_BYTES)`: 1.9 MB for 4 million rows of traffic. The rest of
    /// `memory_bytes` is for kept chunks.
    fn again(
        rows: u64,
        member_bytes_per_row: u64,
        memory_bytes: u64,
        resources: &Resources,
    ) -> Shuffle<N> {
        let split = Split::again(rows, member_bytes_per_row, OPEN_BYTES);
        let threads = resources.threads as u64;
        let open_bytes = (memory_bytes / 2 / threads).max(split.partitions() as u64 * OPEN_BYTES);
        Shuffle::with(
            split,
            open_bytes,
            memory_bytes.saturating_sub(open_bytes * threads),
            resources,
        )
    }

    /// `open_bytes` of each thread.
    fn with(
        split: Split,
        open_bytes: u64,
        spill_at_bytes: u64,
        resources: &Resources,
    ) -> Shuffle<N> {
        let partitions = split.partitions();
        let chunk_bytes = (open_bytes / partitions as u64).saturating_sub(WAITING_BYTES as u64);
        let chunk_bytes = chunk_bytes.clamp(*CHUNK_BYTES.start(), *CHUNK_BYTES.end());
        Shuffle {
            unread: split.touching().into_iter().map(AtomicUsize::new).collect(),
            split,
            chunk_bytes: chunk_bytes as usize,
            kept: Mutex::new(Kept {
                partitions: (0..partitions).map(|_| vec![]).collect(),
                bytes: 0,
                spill_at_bytes,
                free: vec![],
                unused: BytesMut::new(),
            }),
            spill: Mutex::new(Spill::new(resources, partitions)),
            stop: resources.stop.clone(),
        }
    }

    pub(crate) fn partitions(&self) -> usize {
        self.split.partitions()
    }

    /// An entry for one thread.
    pub(crate) fn writer(&self) -> Writer<'_, N> {
        const { assert!(most_bytes(N) <= WAITING_BYTES, "any row can wait") };
        Writer {
            shuffle: self,
            split_by: [0; BLOCK],
            block: Block::NO_ROWS,
            words: [[0; BLOCK]; N],
            layout: Layout::new([0; N]),
            waiting: vec![0; self.partitions() * WAITING_BYTES + WINDOW_BYTES],
            filled: vec![0; self.partitions()],
            open: (0..self.partitions()).map(|_| None).collect(),
            last: 0,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<N>> {
        lock(&self.kept)
    }

    fn new_chunk(&self, layout: &Layout<N>) -> Chunk<N> {
        Chunk {
            bytes: self.kept().chunk_memory(self.chunk_bytes),
            used: 0,
            widths: layout.widths,
        }
    }

    fn spill(&self) -> MutexGuard<'_, Spill<N>> {
        lock(&self.spill)
    }

    fn keep(&self, partition: usize, chunk: Chunk<N>) -> Result<()> {
        let mut kept = self.kept();
        kept.bytes += chunk.bytes.len() as u64;
        kept.partitions[partition].push(chunk);
        let fits = kept.bytes <= kept.spill_at_bytes;
        drop(kept);
        if fits { Ok(()) } else { self.spill_kept() }
    }

    /// Chunks leave memory only while the spill is held, here and in `take`: none is ever on its
    /// way where a reader would miss it, and a thread that finds no room waits until others have
    /// spilled.
    fn spill_kept(&self) -> Result<()> {
        let mut spill = self.spill();
        let mut kept = self.kept();
        if kept.bytes <= kept.spill_at_bytes {
            return Ok(());
        }
        kept.bytes = 0;
        let full: Vec<Vec<Chunk<N>>> = kept.partitions.iter_mut().map(std::mem::take).collect();
        drop(kept);
        for (partition, chunks) in full.into_iter().enumerate() {
            spill.write(partition, &chunks)?;
            self.recycle(chunks);
        }
        Ok(())
    }

    fn recycle(&self, chunks: impl IntoIterator<Item = Chunk<N>>) {
        let bytes = chunks.into_iter().map(|chunk| chunk.bytes);
        self.kept().free.extend(bytes);
    }

    /// Takes the memory that another shuffle does not use any more. Half of it is for rows that come in while
    /// others are spilled.
    fn inherit_free(&self, other: &Shuffle<N>) {
        let free = std::mem::take(&mut other.kept().free);
        let mut kept = self.kept();
        kept.spill_at_bytes += free.iter().map(|bytes| bytes.len() as u64).sum::<u64>() / 2;
        kept.free.extend(free);
    }

    /// Takes the memory of a chunk of another shuffle.
    fn inherit(&self, chunk: Chunk<N>) {
        let mut kept = self.kept();
        kept.spill_at_bytes += chunk.bytes.len() as u64;
        kept.free.push(chunk.bytes);
    }

    /// The number of rows that wait in a partition.
    fn rows(&self, partition: usize) -> u64 {
        let spill = self.spill();
        let kept = self.kept();
        let kept = kept.partitions[partition].iter().map(Chunk::rows);
        spill.rows(partition) + kept.sum::<u64>()
    }

    /// The rows of a partition that is complete, those in memory first.
    fn take(&self, partition: usize) -> Vec<Piece<N>> {
        let mut spill = self.spill();
        let mut kept = self.kept();
        let chunks = std::mem::take(&mut kept.partitions[partition]);
        let bytes = chunks.iter().map(|chunk| chunk.bytes.len() as u64);
        kept.bytes -= bytes.sum::<u64>();
        let chunks = chunks.into_iter().map(Piece::Kept);
        let segments = spill.take(partition).into_iter().map(Piece::Spilled);
        chunks.chain(segments).collect()
    }

    /// Hands every row on, at most [`BLOCK`] at a time. Ends early when the run is asked to stop.
    fn read_each(
        &self,
        piece: &Piece<N>,
        buffer: &mut Vec<u8>,
        hand_on: impl FnMut(&Block<N>) -> Result<()>,
    ) -> Result<()> {
        self.stop.check()?;
        match piece {
            Piece::Kept(chunk) => {
                let bytes = &chunk.bytes[..chunk.used + PADDING];
                Layout::new(chunk.widths).unpack_each(bytes, hand_on)
            }
            Piece::Spilled(segment) => {
                segment.read(buffer, PADDING)?;
                Layout::new(segment.widths).unpack_each(buffer, hand_on)
            }
        }
    }
}

/// How much more an id is than the least one of its column, modulo 2^64.
#[inline]
pub(crate) fn less(id: i64, least: i64) -> u64 {
    id.wrapping_sub(least) as u64
}

/// The id that is so much more than the least one.
#[inline]
pub(crate) fn more(value: u64, least: i64) -> i64 {
    least.wrapping_add(value as i64)
}

/// Some rows of a partition.
enum Piece<const N: usize> {
    Kept(Chunk<N>),
    Spilled(Segment<N>),
}

/// One thread's entry to a shuffle.
///
/// The chunks of a few thousand partitions are more memory pages than a processor knows the
/// addresses of, so a row is first written to its partition's place in one small block, and a few
/// rows together to the chunk.
pub(crate) struct Writer<'a, const N: usize> {
    shuffle: &'a Shuffle<N>,
    /// Rows that are not packed yet, and what they are split by.
    block: Block<N>,
    split_by: [i64; BLOCK],
    words: [Column; N],
    /// Of all rows that wait and of all open chunks.
    layout: Layout<N>,
    /// `WAITING_BYTES` for each partition, and a window behind the last one.
    waiting: Vec<u8>,
    /// The bytes that wait for each partition.
    filled: Vec<u16>,
    /// A chunk for each partition.
    open: Vec<Option<Chunk<N>>>,
    last: usize,
}

/// Some thirty rows of traffic. The places of 4096 partitions take 2 MiB, and those of 16 384 ranges 8 MiB, of
/// which a thread touches few at a time.
const WAITING_BYTES: usize = 512;

impl<const N: usize> Writer<'_, N> {
    /// Rows with the same `split_by`, the shop as a rule, meet in one partition.
    #[inline]
    pub(crate) fn add(&mut self, split_by: i64, row: &Row<N>) -> Result<()> {
        let block = &mut self.block;
        self.split_by[block.rows] = split_by;
        for (column, value) in block.columns.iter_mut().zip(row) {
            column[block.rows] = *value;
        }
        block.rows += 1;
        if block.rows < BLOCK {
            return Ok(());
        }
        self.pack_block()
    }

    /// As many rows as `split_by` has, at most [`BLOCK`]; `fill` writes their values, by column.
    #[inline]
    pub(crate) fn add_block(
        &mut self,
        split_by: &[i64],
        fill: impl FnOnce(&mut [Column; N]),
    ) -> Result<()> {
        self.pack_block()?;
        self.split_by[..split_by.len()].copy_from_slice(split_by);
        fill(&mut self.block.columns);
        self.block.rows = split_by.len();
        self.pack_block()
    }

    /// Packs each row of the block into its partition's place.
    fn pack_block(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.block.rows);
        if rows == 0 {
            return Ok(());
        }
        let bits_of = |column: &Column| column[..rows].iter().fold(0, |bits, value| bits | value);
        let bits = self.block.columns.each_ref().map(bits_of);
        if !self.layout.holds(&bits) {
            self.widen(&bits)?;
        }
        self.layout.join(&self.block, &mut self.words);
        let row_bytes = self.layout.row_bytes;
        for n in 0..rows {
            let partition = self.shuffle.split.partition(self.split_by[n], self.last);
            self.last = partition;
            if usize::from(self.filled[partition]) + row_bytes + PADDING > WAITING_BYTES {
                self.empty(partition)?;
            }
            let filled = &mut self.filled[partition];
            let place = partition * WAITING_BYTES + usize::from(*filled);
            let out = window(&mut self.waiting[place..]);
            self.layout.pack(&self.words, n, out);
            *filled += row_bytes as u16;
        }
        Ok(())
    }

    /// Hands over what has the layout so far. The first rows find nearly the layout that holds all
    /// others, so that this is rare.
    #[cold]
    fn widen(&mut self, bits: &Row<N>) -> Result<()> {
        self.hand_over()?;
        self.layout = self.layout.widened(bits);
        Ok(())
    }

    /// Moves what waits for a partition to its chunk.
    fn empty(&mut self, partition: usize) -> Result<()> {
        let bytes = usize::from(std::mem::take(&mut self.filled[partition]));
        let rows = &self.waiting[partition * WAITING_BYTES..][..bytes];
        let open = &mut self.open[partition];
        if let Some(full) = open.take_if(|chunk| chunk.bytes.len() - chunk.used < bytes + PADDING) {
            self.shuffle.keep(partition, full)?;
        }
        let chunk = open.get_or_insert_with(|| self.shuffle.new_chunk(&self.layout));
        chunk.bytes[chunk.used..chunk.used + bytes].copy_from_slice(rows);
        chunk.used += bytes;
        Ok(())
    }

    /// Hands over what is not full yet. Nothing is written until this is called after the last row.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.pack_block()?;
        self.hand_over()
    }

    fn hand_over(&mut self) -> Result<()> {
        for partition in 0..self.open.len() {
            if self.filled[partition] > 0 {
                self.empty(partition)?;
            }
            if let Some(chunk) = self.open[partition].take() {
                self.shuffle.keep(partition, chunk)?;
            }
        }
        Ok(())
    }

    /// A row group is written to its end; returns the partitions that are complete by that.
    pub(crate) fn end_row_group(&mut self, position: usize) -> Result<Vec<usize>> {
        let Split::Ranges { row_groups, .. } = &self.shuffle.split else {
            return Ok(vec![]);
        };
        self.flush()?;
        let touched = row_groups[position].clone();
        let is_complete =
            |partition: &usize| self.shuffle.unread[*partition].fetch_sub(1, Ordering::AcqRel) == 1;
        Ok(touched.filter(is_complete).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::sync::atomic::AtomicU64;

    use proptest::prelude::*;

    use super::sum::{Adder, Pass, SetMemory, Summing};
    use super::*;
    use crate::failure::{Failure, FailureKind};
    use crate::stop::SIGTERM;
    use crate::testing::resources;
    use crate::threads::on_each;

    /// Rows by their shop; a shop that ends twice is an error.
    #[derive(Default)]
    struct ByShop {
        now: Vec<u64>,
        done: Vec<Vec<u64>>,
    }

    impl Adder<2> for ByShop {
        const MEMBER_KINDS: usize = 1;

        fn member(row: &Row<2>, _kind: usize) -> u64 {
            row[1]
        }
        fn add(&mut self, rows: &Block<2>, pass: Pass) {
            if pass.has_sums() {
                self.now.extend(rows.each_row().map(|row| row[1]));
            }
        }
        fn end_members(&mut self) {}
        fn end_partition(&mut self) {
            self.done.push(std::mem::take(&mut self.now));
        }
    }

    /// The adders of rows that are all of one shop. A row's members take up to 100 bytes.
    fn added_up<const N: usize, A: Adder<N> + Default + Send>(
        rows: impl Iterator<Item = Row<N>>,
        memory_bytes: u64,
        resources: &Resources,
    ) -> Vec<A> {
        let one_shop = [GroupShops {
            rows: 200_000,
            range: Some(7..=7),
        }];
        let shuffle = Shuffle::<N>::new(&one_shop, memory_bytes, resources);
        let mut writer = shuffle.writer();
        rows.for_each(|row| writer.add(7, &row).unwrap());
        writer.flush().unwrap();
        let summing = Summing {
            shuffle: &shuffle,
            sets: SetMemory::new(memory_bytes, 100, resources),
        };
        summing.add_all(A::default, resources).unwrap()
    }

    /// Rows of a shop, an order and a buyer, counted with the work that it takes.
    #[derive(Default)]
    struct OrdersAndBuyers {
        rows: u64,
        rows_handed_on: u64,
        members: [HashSet<u64>; 2],
        most_members: usize,
        most_begun: u64,
        distinct: [usize; 2],
    }

    impl Adder<3> for OrdersAndBuyers {
        const MEMBER_KINDS: usize = 2;

        fn member(row: &Row<3>, kind: usize) -> u64 {
            row[kind + 1]
        }
        fn add(&mut self, rows: &Block<3>, pass: Pass) {
            self.rows_handed_on += rows.rows as u64;
            self.rows += u64::from(pass.has_sums()) * rows.rows as u64;
            for kind in (0..2).filter(|kind| pass.has_members(*kind)) {
                self.members[kind].extend(rows.each_row().map(|row| row[kind + 1]));
            }
        }
        fn begin_members(&mut self, rows: u64, _pass: Pass) {
            self.most_begun = self.most_begun.max(rows);
        }
        fn end_members(&mut self) {
            for (members, distinct) in self.members.iter_mut().zip(&mut self.distinct) {
                *distinct += members.len();
                self.most_members = self.most_members.max(members.len());
                members.clear();
            }
        }
        fn end_partition(&mut self) {}
    }

    #[test]
    fn rows_of_one_shop_are_written_and_read_once_more_for_each_kind_of_member_however_little_memory_there_is()
     {
        const ROWS: u64 = 200_000;
        // The bytes of shop, order and buyer.
        const ROW_BYTES: u64 = 1 + 3 + 2;
        for (threads, memory_bytes) in [(1, 0), (1, 64 << 10), (1, 1 << 20), (3, 64 << 10)] {
            let resources = resources(threads);
            // Each order twice, far apart.
            let rows = (0..ROWS).map(|n| [7, n % (ROWS / 2), n % 5_000]);
            let adders: Vec<OrdersAndBuyers> = added_up(rows, memory_bytes, &resources);
            assert_eq!(adders.iter().map(|adder| adder.rows).sum::<u64>(), ROWS);
            assert_eq!(
                adders.iter().map(|adder| adder.distinct[0]).sum::<usize>(),
                100_000
            );
            assert_eq!(
                adders.iter().map(|adder| adder.distinct[1]).sum::<usize>(),
                5_000
            );
            // Once for each kind.
            assert_eq!(
                adders.iter().map(|adder| adder.rows_handed_on).sum::<u64>(),
                2 * ROWS
            );
            assert!(
                resources.spilled_bytes() <= 3 * ROWS * ROW_BYTES,
                "{memory_bytes}: {}",
                resources.spilled_bytes()
            );
            // Of 64 parts: the root of 200 000 * 100 / 1536 is 114.
            let most_members = adders.iter().map(|adder| adder.most_members).max().unwrap();
            assert!(
                most_members < 2 * 100_000 / 64,
                "{memory_bytes}: {most_members} members in memory"
            );
        }
    }

    #[test]
    fn one_member_with_all_rows_is_begun_with_no_more_room_than_the_memory_has() {
        let rows = (0..200_000).map(|_| [7, 5, 5]);
        let adders: Vec<OrdersAndBuyers> = added_up(rows, 64 << 10, &resources(1));
        let adder = &adders[0];
        assert_eq!((adder.rows, adder.distinct), (200_000, [1, 1]));
        // 64 KiB of 100 bytes.
        assert_eq!(adder.most_begun, 655);
    }

    /// Members, counted for each group and of all groups.
    #[derive(Default)]
    struct MembersOfGroups {
        rows_handed_on: u64,
        rows_of: HashMap<u64, u64>,
        members: [HashSet<(u64, u64)>; 2],
        most_members: usize,
        distinct: [usize; 2],
    }

    const OF_GROUPS: usize = 0;
    const OF_ALL: usize = 1;

    impl Adder<2> for MembersOfGroups {
        const MEMBER_KINDS: usize = 2;

        fn member(row: &Row<2>, _kind: usize) -> u64 {
            row[1]
        }
        fn has_groups(kind: usize) -> bool {
            kind == OF_GROUPS
        }
        fn group(row: &Row<2>) -> u64 {
            row[0]
        }
        fn clear_unneeded(columns: &mut [Column; 2], pass: Pass) {
            if pass == Pass::Members(OF_ALL) {
                columns[0].fill(0);
            }
        }
        fn add(&mut self, rows: &Block<2>, pass: Pass) {
            self.rows_handed_on += rows.rows as u64;
            for [group, member] in rows.each_row() {
                if pass.has_sums() {
                    *self.rows_of.entry(group).or_default() += 1;
                }
                // Of all groups, rows have none any more.
                for kind in [OF_GROUPS, OF_ALL] {
                    if pass.has_members(kind) {
                        self.members[kind].insert((group, member));
                    }
                }
            }
        }
        fn end_members(&mut self) {
            for (members, distinct) in self.members.iter_mut().zip(&mut self.distinct) {
                *distinct += members.len();
                self.most_members = self.most_members.max(members.len());
                members.clear();
            }
        }
        fn end_partition(&mut self) {}
    }

    #[test]
    fn a_group_is_added_up_by_one_thread_unless_its_part_is_too_large() {
        const ROWS: u64 = 200_000;
        const LARGE: u64 = 5000;
        // Half of the rows are of one group. Each member is there about four times, in the large group and in others.
        const MEMBERS: u64 = ROWS / 4 - 1;
        let rows = || {
            (0..ROWS).map(|n| {
                let group = if n % 2 == 0 { LARGE } else { n % 1000 };
                [group, n % MEMBERS]
            })
        };
        let of_groups: HashSet<[u64; 2]> = rows().collect();
        for (threads, memory_bytes) in [(1, 0), (2, 64 << 10), (3, 8 << 20)] {
            let resources = resources(threads);
            let adders: Vec<MembersOfGroups> = added_up(rows(), memory_bytes, &resources);
            let distinct = |kind: usize| {
                adders
                    .iter()
                    .map(|adder| adder.distinct[kind])
                    .sum::<usize>()
            };
            assert_eq!(distinct(OF_GROUPS), of_groups.len());
            assert_eq!(distinct(OF_ALL) as u64, MEMBERS);
            // Once for each kind: the parts that were left are not added up before they are split.
            let rows_handed_on = adders.iter().map(|adder| adder.rows_handed_on);
            assert_eq!(rows_handed_on.sum::<u64>(), 2 * ROWS);
            let mut on_several = 0;
            for group in (0..500).map(|n| 2 * n + 1).chain([LARGE]) {
                let rows_of = adders.iter().filter_map(|adder| adder.rows_of.get(&group));
                let rows_of: Vec<u64> = rows_of.copied().collect();
                let all = if group == LARGE { ROWS / 2 } else { 200 };
                assert_eq!(rows_of.iter().sum::<u64>(), all, "{group}: {rows_of:?}");
                on_several += usize::from(rows_of.len() > 1);
            }
            // The large group, and those in the same one of 64 parts.
            assert!(on_several < 500 / 16, "{on_several} groups");
            // Of 64 parts, and of 64 parts of the large group's 100 000 rows.
            let most_members = adders.iter().map(|adder| adder.most_members).max().unwrap();
            assert!(
                most_members < 3 * ROWS as usize / 64,
                "{memory_bytes}: {most_members} members in memory"
            );
        }
    }

    proptest! {
        /// Values grow from block to block, so that the layout is widened now and then. Some rows come one by
        /// one.
        #[test]
        fn rows_are_read_as_they_were_written_in_blocks_of_any_size(
            blocks in prop::collection::vec((0..=BLOCK, any::<bool>(), 0..60_u32, any::<u64>()), 0..20),
            memory_bytes in prop::sample::select(vec![0, 1 << 30]),
        ) {
            let resources = resources(1);
            let shuffle = Shuffle::<3>::with(Split::Hash { bits: 3 }, 0, memory_bytes, &resources);
            let (mut writer, mut written) = (shuffle.writer(), Vec::new());
            for (rows, one_by_one, bits, seed) in blocks {
                let value = |n: u64| seed.wrapping_mul(2 * n + 1).rotate_left(n as u32) >> (63 - bits);
                let rows: Vec<Row<3>> = (0..rows as u64)
                    .map(|n| [n % 5, value(n), value(n + 100)])
                    .collect();
                let split_by: Vec<i64> = rows.iter().map(|row| row[0] as i64).collect();
                if one_by_one {
                    rows.iter().zip(split_by).for_each(|(row, by)| writer.add(by, row).unwrap());
                } else {
                    let fill = |block: &mut [Column; 3]| {
                        for (n, row) in rows.iter().enumerate() {
                            (0..3).for_each(|column| block[column][n] = row[column]);
                        }
                    };
                    writer.add_block(&split_by, fill).unwrap();
                }
                written.extend(rows);
            }
            writer.flush().unwrap();
            let mut read = Vec::new();
            for partition in 0..shuffle.partitions() {
                prop_assert_eq!(
                    shuffle.rows(partition),
                    written.iter().filter(|row| shuffle.split.partition(row[0] as i64, 0) == partition).count() as u64
                );
                for piece in shuffle.take(partition) {
                    let keep = |rows: &Block<3>| {
                        read.extend(rows.each_row().map(|row| (partition, row)));
                        Ok(())
                    };
                    shuffle.read_each(&piece, &mut Vec::new(), keep).unwrap();
                }
            }
            let of_row = |row: &Row<3>| (shuffle.split.partition(row[0] as i64, 0), *row);
            let mut written: Vec<(usize, Row<3>)> = written.iter().map(of_row).collect();
            read.sort_unstable();
            written.sort_unstable();
            prop_assert_eq!(read, written);
        }
    }

    #[test]
    fn adding_up_one_shop_ends_when_the_run_is_asked_to_stop() {
        let resources = resources(1);
        let shuffle = Shuffle::<2>::new(
            &[GroupShops {
                rows: 100_000,
                range: None,
            }],
            0,
            &resources,
        );
        let mut writer = shuffle.writer();
        (0..100_000).for_each(|n| writer.add(7, &[7, n]).unwrap());
        writer.flush().unwrap();
        resources.stop.0.store(SIGTERM, Ordering::Relaxed);
        let summing = Summing {
            shuffle: &shuffle,
            sets: SetMemory::new(1 << 30, 1, &resources),
        };
        let error = summing.add_all(ByShop::default, &resources).err().unwrap();
        assert_eq!(
            Failure::kind_of(&error),
            Some(FailureKind::Terminated),
            "{error}"
        );
    }

    const SHOPS: u64 = 512;
    const ROWS_OF_SHOP: u64 = 800;

    /// Row groups of two shops each, neighbours share one: as in exports that come clustered.
    fn groups() -> Vec<GroupShops> {
        (0..SHOPS as i64)
            .map(|shop| GroupShops {
                rows: ROWS_OF_SHOP,
                range: Some(shop..=shop + 1),
            })
            .collect()
    }

    #[test]
    fn every_row_is_added_once_while_shops_complete_and_others_spill() {
        let groups = groups();
        for _ in 0..20 {
            let resources = resources(4);
            let shuffle = Shuffle::<2>::new(&groups, 400_000, &resources);
            assert!(
                matches!(&shuffle.split, Split::Ranges { first_shops, .. } if first_shops.len() > 8)
            );
            let summing = Summing {
                shuffle: &shuffle,
                sets: SetMemory::new(1 << 30, 1, &resources),
            };
            let next = AtomicU64::new(0);
            let write = |()| {
                let (mut writer, mut adder, mut buffer) =
                    (shuffle.writer(), ByShop::default(), Vec::new());
                loop {
                    let group = next.fetch_add(1, Ordering::Relaxed);
                    if group >= SHOPS {
                        return adder;
                    }
                    // Not in order, so that shops are complete late and others have to be spilled.
                    let group = group * 129 % SHOPS;
                    for row in 0..ROWS_OF_SHOP {
                        let shop = group + row % 2;
                        writer
                            .add(shop as i64, &[shop, group * ROWS_OF_SHOP + row])
                            .unwrap();
                    }
                    for partition in writer.end_row_group(group as usize).unwrap() {
                        summing.add(partition, &mut adder, &mut buffer).unwrap();
                    }
                }
            };
            let adders: Vec<ByShop> = on_each([(); 4], write);
            let rest = summing.add_all(ByShop::default, &resources).unwrap();
            assert!(
                rest.iter()
                    .all(|adder| adder.done.iter().all(Vec::is_empty)),
                "rows came after their shop was complete"
            );
            let mut rows: Vec<u64> = adders
                .into_iter()
                .flat_map(|adder| adder.done)
                .flatten()
                .collect();
            rows.sort_unstable();
            assert!(rows.into_iter().eq(0..SHOPS * ROWS_OF_SHOP));
            assert!(resources.spilled_bytes() > 0, "nothing was spilled");
        }
    }
}
