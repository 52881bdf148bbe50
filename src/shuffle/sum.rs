//! Partitions added up, each by one thread.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Result;

use super::{Row, Shuffle};
use crate::resources::Resources;

/// Adds the rows of one partition after the other up.
pub trait Adder<const N: usize> {
    /// Adds a row; in another round than the first, only the members of its sets that are of that round.
    fn add(&mut self, row: &Row<N>, round: Round);

    /// All rows of the round were added: its members are counted and forgotten.
    fn end_round(&mut self);

    /// All rounds of the partition are over: its sums are final.
    fn end_partition(&mut self);
}

/// A partition whose members do not fit into memory together is read several times, each time for a part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    number: u64,
    of: u64,
}

impl Round {
    pub fn is_first(self) -> bool {
        self.number == 0
    }

    /// Whether a member belongs to this round.
    #[inline]
    pub fn has(self, member: i64) -> bool {
        self.of == 1 || ((member as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 32) % self.of == self.number
    }
}

/// Rows whose members one thread may hold at a time: fewer would be read more often than anything is worth.
const FEWEST_ROWS_PER_ROUND: u64 = 64;

/// `memory_bytes` of sets shared by the threads, as rows of one round.
pub fn rows_per_round(memory_bytes: u64, bytes_per_row: u64, resources: &Resources) -> u64 {
    (memory_bytes / resources.threads as u64 / bytes_per_row).max(FEWEST_ROWS_PER_ROUND)
}

/// What adders share.
pub struct Summing<'a, const N: usize> {
    pub shuffle: &'a Shuffle<N>,
    /// Rows whose members one thread may hold at a time.
    pub rows_per_round: u64,
}

impl<const N: usize> Summing<'_, N> {
    /// Adds up a partition that is complete.
    pub fn add(
        &self,
        partition: usize,
        adder: &mut impl Adder<N>,
        buffer: &mut Vec<u8>,
        resources: &Resources,
    ) -> Result<()> {
        let taken = self.shuffle.take(partition);
        let of = taken.rows().div_ceil(self.rows_per_round).max(1);
        for number in 0..of {
            resources.stop.check()?;
            let round = Round { number, of };
            self.shuffle.read_each(&taken, buffer, |row| adder.add(row, round))?;
            adder.end_round();
        }
        adder.end_partition();
        self.shuffle.recycle(taken.chunks);
        Ok(())
    }

    /// Adds up every partition, on several threads; gives what each of them came to.
    pub fn add_all<A: Adder<N> + Send>(&self, new: impl Fn() -> A + Sync, resources: &Resources) -> Result<Vec<A>> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<A> {
            let (mut adder, mut buffer) = (new(), Vec::new());
            loop {
                let partition = next.fetch_add(1, Ordering::Relaxed);
                if partition >= self.shuffle.partitions() {
                    return Ok(adder);
                }
                let added = self.add(partition, &mut adder, &mut buffer, resources);
                // What the other threads would still add up is worth nothing.
                added.inspect_err(|_| next.store(self.shuffle.partitions(), Ordering::Relaxed))?;
            }
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..resources.threads).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }
}
