//! Sums by key, in a compact form.
//!
//! A row of the sums is a key. Rows are numbered in the order in which their keys came, and keep
//! their numbers.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::ops::Range;

use anyhow::{Context, Result};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use polars::prelude::*;

use super::adding::{Adds, DailyRows, Wanted};
use crate::columns;
use crate::contracts::Kind;
use crate::contracts::arrow::memory_type;

/// Rows whose sums stay in a core's cache while one column after the other is added.
const BLOCK_ROWS: usize = 512;

/// The columns of a key. Those that a table does not have are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    campaign_id: i64,
    shop_id: i64,
    /// The other column: an id, or the number of a text.
    id: i64,
}

pub(super) struct Sums<'a> {
    of: &'a DailyRows<'a>,
    has_campaigns: bool,
    /// The name of the key's other column.
    id: Option<&'static str>,
    texts: Texts,
    keys: Vec<Key>,
    /// The rows by their keys.
    rows: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Columns that are summed.
    summed: Vec<Summed>,
    /// Their sums, row by row.
    values: Vec<i64>,
    /// Parts of sums that exceeded 64 bits, by row and position among the summed columns.
    carried: HashMap<(u32, usize), i128>,
    latest: Vec<Latest>,
    /// The rows that are sorted, in the order of their keys.
    order: Vec<u32>,
    /// The places in that order of each campaign's shops.
    places: Vec<Place>,
}

struct Summed {
    name: &'static str,
    is_money: bool,
    /// For each row whether any value was not null; `None`: null counts 0.
    is_known: Option<Vec<bool>>,
}

/// Rows with the same campaign and shop.
struct Place {
    campaign_id: i64,
    shop_id: i64,
    rows: Range<usize>,
}

impl<'a> Sums<'a> {
    pub(super) fn new(of: &'a DailyRows<'a>) -> Sums<'a> {
        let is_id = |name: &&&str| !["campaign_id", "shop_id"].contains(*name);
        let (mut summed, mut latest) = (Vec::new(), Vec::new());
        for (name, adds) in of.columns {
            let kind = of.table.column(name).kind;
            match adds {
                Adds::Sum | Adds::SumIfKnown => summed.push(Summed {
                    name,
                    is_money: kind == Kind::Money,
                    is_known: (*adds == Adds::SumIfKnown).then(Vec::new),
                }),
                Adds::Latest | Adds::LatestIfKnown => {
                    latest.push(Latest::new(name, kind, *adds == Adds::LatestIfKnown));
                }
            }
        }
        Sums {
            of,
            has_campaigns: of.key.contains(&"campaign_id"),
            id: of.key.iter().find(is_id).copied(),
            texts: Texts::default(),
            keys: Vec::new(),
            rows: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            summed,
            values: Vec::new(),
            carried: HashMap::new(),
            latest,
            order: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let known = self.summed.iter().flat_map(|summed| &summed.is_known);
        self.keys.capacity() * size_of::<Key>()
            + self.rows.allocation_size()
            + self.values.capacity() * size_of::<i64>()
            + known.map(Vec::capacity).sum::<usize>()
            + self.latest.iter().map(Latest::bytes).sum::<usize>()
            + self.order.capacity() * size_of::<u32>()
            + self.places.capacity() * size_of::<Place>()
    }

    /// Adds rows of a day: of the same day as the rows before, or of an earlier one.
    pub(super) fn add(&mut self, rows: &DataFrame) -> Result<()> {
        let keys = self.keys_of(rows)?;
        let sums_of_rows = self.find(&keys);
        let columns = self
            .summed
            .iter()
            .map(|summed| WholeNumbers::of(rows.column(summed.name)?))
            .collect::<Result<Vec<_>>>()?;
        let width = self.summed.len();
        for first in (0..keys.len()).step_by(BLOCK_ROWS) {
            let block = first..keys.len().min(first + BLOCK_ROWS);
            for (column, of) in columns.iter().zip(0..) {
                let values = &column.values[block.clone()];
                for (sum_row, value) in sums_of_rows[block.clone()].iter().zip(values) {
                    let sum = &mut self.values[*sum_row as usize * width + of];
                    *sum = match sum.checked_add(*value) {
                        Some(sum) => sum,
                        None => {
                            *self.carried.entry((*sum_row, of)).or_default() += i128::from(*sum);
                            *value
                        }
                    };
                }
            }
        }
        for (summed, column) in self.summed.iter_mut().zip(&columns) {
            if let Some(is_known) = &mut summed.is_known {
                for (row, sum_row) in sums_of_rows.iter().enumerate() {
                    is_known[*sum_row as usize] |= column.is_known(row);
                }
            }
        }
        for latest in &mut self.latest {
            latest.add(rows.column(latest.name)?, &sums_of_rows)?;
        }
        Ok(())
    }

    fn keys_of(&mut self, rows: &DataFrame) -> Result<Vec<Key>> {
        let shops = WholeNumbers::of(rows.column("shop_id")?)?.values;
        let campaigns = match self.has_campaigns {
            true => WholeNumbers::of(rows.column("campaign_id")?)?.values,
            false => Cow::Owned(vec![0; shops.len()]),
        };
        let ids = match self.id.map(|id| rows.column(id)).transpose()? {
            None => Cow::Owned(vec![0; shops.len()]),
            Some(ids) if *ids.dtype() == DataType::String => {
                let texts = ids.str()?.iter();
                let numbers = texts.map(|text| self.texts.number(text.unwrap_or_default()));
                Cow::Owned(numbers.collect())
            }
            Some(ids) => WholeNumbers::of(ids)?.values,
        };
        let keys = campaigns.iter().zip(&*shops).zip(&*ids);
        Ok(keys
            .map(|((campaign_id, shop_id), id)| Key {
                campaign_id: *campaign_id,
                shop_id: *shop_id,
                id: *id,
            })
            .collect())
    }

    /// The row of each key; new keys get new rows.
    fn find(&mut self, keys: &[Key]) -> Vec<u32> {
        let mut found = Vec::with_capacity(keys.len());
        let mut next = 0;
        for key in keys {
            let row = match self.keys.get(next) {
                Some(expected) if expected == key => next as u32,
                _ => self.row(*key),
            };
            next = row as usize + 1;
            found.push(row);
        }
        found
    }

    fn row(&mut self, key: Key) -> u32 {
        let (keys, hasher) = (&self.keys, &self.hasher);
        let row = self.rows.entry(
            hasher.hash_one(key),
            |row| keys[*row as usize] == key,
            |row| hasher.hash_one(keys[*row as usize]),
        );
        let new = keys.len() as u32;
        let row = *row.or_insert(new).get();
        if row == new {
            self.keys.push(key);
            self.values
                .extend(std::iter::repeat_n(0, self.summed.len()));
            let known = self
                .summed
                .iter_mut()
                .flat_map(|summed| &mut summed.is_known);
            known.for_each(|is_known| is_known.push(false));
            self.latest.iter_mut().for_each(Latest::add_row);
        }
        row
    }

    /// How many of the shops, which ascend, have half of the rows; at least one, and all of them only
    /// where one shop has them.
    pub(super) fn half_of(&self, shops: &[i64]) -> usize {
        let is_of = |shop: &i64| shops.binary_search(shop).is_ok();
        let mut of_rows: Vec<i64> = self
            .keys
            .iter()
            .map(|key| key.shop_id)
            .filter(is_of)
            .collect();
        if of_rows.is_empty() {
            return shops.len();
        }
        let middle = of_rows.len() / 2;
        let (_, median, _) = of_rows.select_nth_unstable(middle);
        let before = shops.partition_point(|shop| shop < median);
        // The median may be the first shop, which stays.
        if before > 0 {
            before
        } else {
            shops.partition_point(|shop| shop <= median)
        }
    }

    /// Drops the rows of other shops.
    pub(super) fn retain(&mut self, stays: impl Fn(i64) -> bool) -> Result<()> {
        let kept: Vec<u32> = (0..self.keys.len() as u32)
            .filter(|row| stays(self.keys[*row as usize].shop_id))
            .collect();
        let mut sums = Sums {
            texts: std::mem::take(&mut self.texts),
            ..Sums::new(self.of)
        };
        let width = self.summed.len();
        for row in &kept {
            let new = sums.row(self.keys[*row as usize]) as usize;
            let old = *row as usize;
            sums.values[new * width..][..width]
                .copy_from_slice(&self.values[old * width..][..width]);
            for (to, from) in sums.summed.iter_mut().zip(&self.summed) {
                if let Some((to, from)) = to.is_known.as_mut().zip(from.is_known.as_ref()) {
                    to[new] = from[old];
                }
            }
            for of in 0..width {
                if let Some(carried) = self.carried.get(&(*row, of)) {
                    sums.carried.insert((new as u32, of), *carried);
                }
            }
        }
        for (to, from) in sums.latest.iter_mut().zip(&self.latest) {
            to.add(
                &from.gather(&kept)?,
                &(0..kept.len() as u32).collect::<Vec<_>>(),
            )?;
        }
        *self = sums;
        Ok(())
    }

    /// Sorts the rows that came since the last time among the others.
    pub(super) fn sort(&mut self) {
        if self.order.len() == self.keys.len() {
            return;
        }
        self.order
            .extend(self.order.len() as u32..self.keys.len() as u32);
        let ranks = self.texts.ranks();
        let by_key = |a: &u32, b: &u32| -> Ordering {
            let (a, b) = (self.keys[*a as usize], self.keys[*b as usize]);
            if ranks.is_empty() {
                a.cmp(&b)
            } else {
                let rank = |key: Key| (key.campaign_id, key.shop_id, ranks[key.id as usize]);
                rank(a).cmp(&rank(b))
            }
        };
        // A stable sort is fast on rows that come in a few sorted runs.
        self.order.sort_by(by_key);
        for latest in &mut self.latest {
            latest.values = latest.values.rechunk();
        }
        self.places.clear();
        for (place, row) in self.order.iter().enumerate() {
            let Key {
                campaign_id,
                shop_id,
                ..
            } = self.keys[*row as usize];
            match self.places.last_mut() {
                Some(last) if (last.campaign_id, last.shop_id) == (campaign_id, shop_id) => {
                    last.rows.end = place + 1;
                }
                _ => self.places.push(Place {
                    campaign_id,
                    shop_id,
                    rows: place..place + 1,
                }),
            }
        }
    }

    /// The sorted rows of a period in the order of their keys, cut into parts of at most
    /// `rows_at_once`; a shop that has more is a part of its own.
    pub(super) fn of(&self, period: &Wanted, rows_at_once: usize) -> Vec<Vec<u32>> {
        let campaign_id = if self.has_campaigns {
            period.campaign_id
        } else {
            0
        };
        let first = self
            .places
            .partition_point(|place| place.campaign_id < campaign_id);
        let places = self.places[first..]
            .iter()
            .take_while(|place| place.campaign_id == campaign_id);
        let (mut parts, mut part): (Vec<Vec<u32>>, Vec<u32>) = Default::default();
        let mut shops = period.shops.iter().peekable();
        for place in places {
            while shops.next_if(|shop| **shop < place.shop_id).is_some() {}
            if shops.peek() != Some(&&place.shop_id) {
                continue;
            }
            if !part.is_empty() && part.len() + place.rows.len() > rows_at_once {
                parts.push(std::mem::take(&mut part));
            }
            part.extend(&self.order[place.rows.clone()]);
        }
        if !part.is_empty() {
            parts.push(part);
        }
        parts
    }

    /// Some rows as a table.
    pub(super) fn gather(&self, rows: &[u32]) -> Result<DataFrame> {
        let keys = || rows.iter().map(|row| self.keys[*row as usize]);
        let mut all = vec![columns::ints("shop_id", keys().map(|key| key.shop_id))];
        if let Some(name) = self.id {
            all.push(if self.texts.is_empty() {
                columns::ints(name, keys().map(|key| key.id))
            } else {
                columns::texts(name, keys().map(|key| self.texts.text(key.id)))
            });
        }
        for of in 0..self.summed.len() {
            all.push(self.gather_sums(rows, of));
        }
        for latest in &self.latest {
            all.push(latest.gather(rows)?);
        }
        Ok(DataFrame::new(rows.len(), all)?)
    }

    fn gather_sums(&self, rows: &[u32], of: usize) -> Column {
        let (summed, width) = (&self.summed[of], self.summed.len());
        let is_known = |row: u32| match &summed.is_known {
            Some(is_known) => is_known[row as usize],
            None => true,
        };
        let narrow = |row: u32| is_known(row).then(|| self.values[row as usize * width + of]);
        if !summed.is_money && self.carried.keys().all(|(_, column)| *column != of) {
            return columns::ints(summed.name, rows.iter().map(|row| narrow(*row)));
        }
        let wide = |row: u32| {
            let carried = self.carried.get(&(row, of)).copied().unwrap_or(0);
            narrow(row).map(|sum| carried + i128::from(sum))
        };
        columns::money(summed.name, rows.iter().map(|row| wide(*row)))
    }
}

/// The whole numbers of a column of counts or of money; null is 0.
struct WholeNumbers<'a> {
    values: Cow<'a, [i64]>,
    /// `None`: none is null.
    nulls: Option<Vec<bool>>,
}

impl WholeNumbers<'_> {
    fn of(column: &Column) -> Result<WholeNumbers<'_>> {
        let nulls = (column.null_count() > 0).then(|| {
            column
                .is_null()
                .iter()
                .map(|null| null == Some(true))
                .collect()
        });
        let values = match column.dtype() {
            DataType::Int128 => {
                let cents = column.i128()?.iter();
                let cents = cents.map(|cents| i64::try_from(cents.unwrap_or(0)));
                let cents = cents.collect::<std::result::Result<_, _>>();
                Cow::Owned(cents.context("more than DECIMAL(18,2) holds")?)
            }
            _ => match column.i64()?.cont_slice() {
                Ok(values) => Cow::Borrowed(values),
                Err(_) => Cow::Owned(
                    column
                        .i64()?
                        .iter()
                        .map(Option::unwrap_or_default)
                        .collect(),
                ),
            },
        };
        Ok(WholeNumbers { values, nulls })
    }

    fn is_known(&self, row: usize) -> bool {
        self.nulls.as_ref().is_none_or(|nulls| !nulls[row])
    }
}

/// Texts of keys, numbered in the order in which they came.
#[derive(Default)]
struct Texts {
    numbers: HashMap<String, i64>,
    texts: Vec<String>,
}

impl Texts {
    fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    fn number(&mut self, text: &str) -> i64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as i64;
        self.numbers.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        number
    }

    fn text(&self, number: i64) -> &str {
        &self.texts[number as usize]
    }

    /// The position of each among all texts in their order.
    fn ranks(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.texts.len()).collect();
        numbers.sort_by_key(|number| &self.texts[*number]);
        let mut ranks = vec![0; numbers.len()];
        for (rank, number) in numbers.into_iter().enumerate() {
            ranks[number] = rank;
        }
        ranks
    }
}

/// The value of a column on the latest day of each row.
struct Latest {
    name: &'static str,
    /// On the latest day on which it is not null.
    is_known: bool,
    /// The values that were taken.
    values: Column,
    value_bytes: usize,
    /// The position of each row's value.
    at: Vec<Option<IdxSize>>,
}

/// Chunks of a column before they become one.
const MOST_CHUNKS: usize = 256;

impl Latest {
    fn new(name: &'static str, kind: Kind, is_known: bool) -> Latest {
        Latest {
            name,
            is_known,
            values: Column::new_empty(name.into(), &memory_type(kind)),
            value_bytes: 0,
            at: Vec::new(),
        }
    }

    fn bytes(&self) -> usize {
        self.value_bytes + self.at.capacity() * size_of::<Option<IdxSize>>()
    }

    fn add_row(&mut self) {
        self.at.push(None);
    }

    /// Takes the values of rows that have none yet: later days come first.
    fn add(&mut self, column: &Column, sums_of_rows: &[u32]) -> Result<()> {
        let taken_before = self.values.len();
        let is_null = (self.is_known && column.null_count() > 0).then(|| column.is_null());
        let mut taken: Vec<IdxSize> = Vec::new();
        for (row, sum_row) in sums_of_rows.iter().enumerate() {
            let at = &mut self.at[*sum_row as usize];
            let is_null = is_null
                .as_ref()
                .is_some_and(|nulls| nulls.get(row) == Some(true));
            if at.is_none() && !is_null {
                *at = Some((taken_before + taken.len()) as IdxSize);
                taken.push(row as IdxSize);
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        let values = match column.dtype() {
            // A slice of texts would hold on to all of them.
            DataType::String => {
                let texts = column.str()?;
                columns::texts(self.name, taken.iter().map(|row| texts.get(*row as usize)))
            }
            _ => column.take_slice(&taken)?,
        };
        self.value_bytes += values.as_materialized_series().estimated_size();
        self.values.append_owned(values)?;
        if self.values.n_chunks() > MOST_CHUNKS {
            self.values = self.values.rechunk();
        }
        Ok(())
    }

    /// Null where a row has no value.
    fn gather(&self, rows: &[u32]) -> Result<Column> {
        let at: IdxCa = rows.iter().map(|row| self.at[*row as usize]).collect();
        Ok(self.values.take(&at)?)
    }
}
