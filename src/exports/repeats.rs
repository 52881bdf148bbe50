//! Rows of a large dataset that repeat a key, found in bounded memory.
//!
//! The keys are split into partitions, so that no set has to hold all of them.

use anyhow::Result;
use hashbrown::HashMap;

use super::batch::Batch;
use super::open_export::OpenExport;
use crate::contracts::datasets::DATASETS;
use crate::resources::Resources;
use crate::shuffle::split::GroupShops;
use crate::shuffle::sum::{Adder, Pass, SetMemory, Summing};
use crate::shuffle::{Block, Row, Shuffle, Writer, less, more, named_row};

/// The only kind of members; there are no sums.
const KEYS: usize = 0;

named_row! {
    /// A shuffled key with the row that it is of; its ids less their least ones.
    ShuffledKey {
        one,
        other,
        position,
        money_cents,
    }
}

const VALUES: usize = ShuffledKey::VALUES;

/// A row whose key an earlier row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Repeat {
    /// Its position among all rows of the export.
    pub(super) position: u64,
    pub(super) key: [i64; 2],
}

/// The rows that repeat a key: their number, and the first of them.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    pub(super) rows: u64,
    pub(super) money_cents: i128,
    /// Sorted by position. Fewer than `rows` only where these exceed every budget: then the day is
    /// blocked.
    pub(super) first: Vec<Repeat>,
}

/// The keys of a large dataset, collected while it is read.
pub(super) struct Keys {
    shuffle: Shuffle<VALUES>,
    least: [i64; 2],
    columns: [&'static str; 2],
    sets: SetMemory,
}

// `Keys` holds keys of two columns.
const _: () = {
    let mut position = 0;
    while position < DATASETS.len() {
        let (dataset, columns) = (DATASETS[position], DATASETS[position].key.len());
        assert!(!dataset.is_streamed() || columns == 0 || columns == 2);
        position += 1;
    }
};

/// Bytes that a key can take in the map that finds repeats, while it grows.
const MAP_BYTES_PER_ROW: u64 = 120;

impl Keys {
    /// Takes a quarter of the memory for keys, and a quarter for the map that finds repeats. `None`
    /// for a dataset without a key.
    pub(super) fn new(export: &OpenExport, resources: &Resources) -> Option<Keys> {
        let columns = *export.dataset.key.first_chunk()?;
        // Equal keys must come into the same partition, and keys come in any order.
        let any_order = [GroupShops {
            rows: export.rows(),
            range: None,
        }];
        Some(Keys {
            shuffle: Shuffle::new(&any_order, resources.memory_bytes / 4, resources),
            least: columns.map(|column| export.least(column)),
            columns,
            sets: SetMemory::new(resources.memory_bytes / 4, MAP_BYTES_PER_ROW, resources),
        })
    }

    pub(super) fn writer(&self) -> KeyWriter<'_> {
        KeyWriter {
            keys: self,
            rows: self.shuffle.writer(),
        }
    }

    /// All rows but the first of each key; of them, the first `most` are listed.
    pub(super) fn repeats(self, most: usize, resources: &Resources) -> Result<Repeats> {
        let summing = Summing {
            shuffle: &self.shuffle,
            sets: self.sets,
        };
        let adders = summing.add_all(
            || FirstRows {
                least: self.least,
                most,
                ..FirstRows::default()
            },
            resources,
        )?;
        let mut all = Repeats::default();
        for adder in adders {
            all.rows += adder.repeats.rows;
            all.money_cents += adder.repeats.money_cents;
            all.first.extend(adder.repeats.first);
            all.keep(most);
        }
        Ok(all)
    }
}

impl Repeats {
    fn keep(&mut self, most: usize) {
        self.first.sort_unstable();
        self.first.truncate(most);
    }
}

/// One thread's writer of a dataset's keys.
pub(super) struct KeyWriter<'a> {
    keys: &'a Keys,
    rows: Writer<'a, VALUES>,
}

impl KeyWriter<'_> {
    pub(super) fn write(&mut self, batch: &Batch) -> Result<()> {
        let [one, other] = self.keys.columns.map(|name| batch.ints(name).values());
        let positions = batch.positions().values();
        let [least_one, least_other] = self.keys.least;
        for (row, money_cents) in batch.money_of_rows().enumerate() {
            let key = ShuffledKey {
                one: less(one[row], least_one),
                other: less(other[row], least_other),
                position: positions[row] as u64,
                // The row keeps the rules: not negative, and a sum of a few amounts below 10^18.
                money_cents: money_cents as u64,
            };
            self.rows.add(one[row], &key.into_row())?;
        }
        Ok(())
    }

    pub(super) fn close(&mut self) -> Result<()> {
        self.rows.flush()
    }
}

/// The first row of each key seen so far. Threads write keys in any order.
#[derive(Default)]
struct FirstRows {
    least: [i64; 2],
    most: usize,
    first: HashMap<[i64; 2], (u64, u64)>,
    repeats: Repeats,
}

impl Adder<VALUES> for FirstRows {
    const MEMBER_KINDS: usize = 1;

    /// Depends on both columns: one order may have all the lines.
    fn member(row: &Row<VALUES>, _keys: usize) -> u64 {
        let key = ShuffledKey::of_row(*row);
        key.one ^ key.other.rotate_left(32)
    }

    fn add(&mut self, rows: &Block<VALUES>, pass: Pass) {
        if pass.has_members(KEYS) {
            rows.each_row()
                .for_each(|row| self.add_key(ShuffledKey::of_row(row)));
        }
    }

    fn end_members(&mut self) {
        self.first.clear();
    }

    fn end_partition(&mut self) {}
}

impl FirstRows {
    fn add_key(&mut self, row: ShuffledKey) {
        let (position, money) = (row.position, row.money_cents);
        let key = [more(row.one, self.least[0]), more(row.other, self.least[1])];
        let first = self.first.entry(key).or_insert((position, money));
        if first.0 == position {
            return;
        }
        let (position, money) = if position < first.0 {
            std::mem::replace(first, (position, money))
        } else {
            (position, money)
        };
        self.repeats.rows += 1;
        self.repeats.money_cents += i128::from(money);
        self.repeats.first.push(Repeat { position, key });
        if self.repeats.first.len() >= 2 * self.most {
            self.repeats.keep(self.most);
        }
    }
}
