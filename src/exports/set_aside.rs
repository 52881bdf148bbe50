//! Quarantined rows in memory until they are written: a few as values, many compressed.
//!
//! 1. The bad rows of one row group arrive one after the other. Many of them are packed: encoded as
//!    compressed Parquet. A few stay as they are.
//! 2. Rows that repeat a key are known last; they have packs of their own.
//! 3. `batches` merges all in the order of files and rows.

use std::iter::Peekable;

use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch, StringArray};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::quarantine::{Quarantined, schema, to_batch};
use crate::contracts::{Dataset, Reason};

/// Fewer rows are not packed: a pack of its own would cost more than it saves.
const PACKED_FROM: usize = 512;
/// The most rows of a pack, and of a batch of the quarantine file.
const BATCH_ROWS: usize = 8 * 1024;

/// The quarantined rows of one export.
#[derive(Clone, Debug)]
pub struct SetAside {
    dataset: &'static Dataset,
    /// The export's files, by position.
    files: Vec<String>,
    /// Rows of the row group that is being read.
    current: Vec<Quarantined>,
    /// Rows that are not packed.
    loose: Vec<Quarantined>,
    /// Each holds rows of one row group, so packs do not overlap.
    packs: Vec<Pack>,
    /// Packs of rows that repeat a key.
    repeats: Vec<Pack>,
    /// The first rows up to this number are kept; up to twice as many while rows arrive.
    most: usize,
}

/// Compressed rows in order.
#[derive(Clone, Debug)]
struct Pack {
    /// The place of the first.
    first: Place,
    rows: usize,
    bytes: Bytes,
}

/// File and row.
type Place = (u32, i64);

fn place(row: &Quarantined) -> Place {
    (row.file, row.row_number)
}

impl SetAside {
    pub(crate) fn new(dataset: &'static Dataset, files: Vec<String>, most: usize) -> SetAside {
        SetAside {
            dataset,
            files,
            current: vec![],
            loose: vec![],
            packs: vec![],
            repeats: vec![],
            most,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    /// The most rows that are kept.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    fn rows(&self) -> usize {
        let packed = self
            .packs
            .iter()
            .chain(&self.repeats)
            .map(|pack| pack.rows)
            .sum::<usize>();
        self.current.len() + self.loose.len() + packed
    }

    /// Adds the next row of the row group that is being read.
    pub(crate) fn add(&mut self, row: Quarantined) -> Result<()> {
        self.current.push(row);
        if self.current.len() >= BATCH_ROWS {
            self.end_row_group()
        } else {
            Ok(())
        }
    }

    /// Ends a row group: the next row is of another one.
    pub(crate) fn end_row_group(&mut self) -> Result<()> {
        if self.current.len() < PACKED_FROM {
            self.loose.append(&mut self.current);
        } else {
            let rows = std::mem::take(&mut self.current);
            self.packs.push(self.pack(&rows)?);
        }
        if self.rows() >= 2 * self.most {
            self.keep_first()
        } else {
            Ok(())
        }
    }

    /// Adds all rows that repeat a key, in order. Called once.
    pub(crate) fn add_repeats(&mut self, rows: impl Iterator<Item = Quarantined>) -> Result<()> {
        let mut some = Vec::new();
        for row in rows {
            some.push(row);
            if some.len() >= BATCH_ROWS {
                self.repeats.push(self.pack(&some)?);
                some.clear();
            }
        }
        self.loose.append(&mut some);
        Ok(())
    }

    /// Adds the rows that another thread set aside.
    pub(crate) fn merge(&mut self, other: SetAside) -> Result<()> {
        self.loose.extend(other.loose);
        self.loose.extend(other.current);
        self.packs.extend(other.packs);
        if self.rows() >= 2 * self.most {
            self.keep_first()
        } else {
            Ok(())
        }
    }

    /// Sorts by file and row, and drops all but the first rows, up to the most that are kept.
    pub(crate) fn keep_first(&mut self) -> Result<()> {
        self.loose.append(&mut self.current);
        self.loose.sort_unstable_by_key(place);
        self.packs.sort_unstable_by_key(|pack| pack.first);
        if self.rows() <= self.most {
            return Ok(());
        }
        let mut kept = SetAside::new(self.dataset, self.files.clone(), usize::MAX);
        for row in self.in_order().take(self.most) {
            kept.add(row?)?;
        }
        kept.end_row_group()?;
        kept.most = self.most;
        *self = kept;
        Ok(())
    }

    /// All rows in the order of files and rows, in batches of the quarantine file's form. Call
    /// `keep_first` before.
    pub(crate) fn batches(&self, consume: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        let mut some = Vec::with_capacity(BATCH_ROWS.min(self.rows()));
        for row in self.in_order() {
            some.push(row?);
            if some.len() >= BATCH_ROWS {
                consume(to_batch(&some, &self.files)?)?;
                some.clear();
            }
        }
        if some.is_empty() {
            Ok(())
        } else {
            consume(to_batch(&some, &self.files)?)
        }
    }

    /// All rows in order; one pack of each kind is unpacked at a time.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = Result<Quarantined>> + '_ {
        let loose = self.loose.iter().map(|row| Ok(row.clone()));
        merged(
            merged(
                self.unpack_each(&self.packs),
                self.unpack_each(&self.repeats),
            ),
            loose,
        )
    }

    fn unpack_each<'a>(
        &'a self,
        packs: &'a [Pack],
    ) -> impl Iterator<Item = Result<Quarantined>> + 'a {
        packs.iter().flat_map(|pack| match self.unpack(pack) {
            Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }

    fn pack(&self, rows: &[Quarantined]) -> Result<Pack> {
        let compression = Compression::ZSTD(ZstdLevel::try_new(1)?);
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .build();
        let mut writer = ArrowWriter::try_new(Vec::new(), schema(), Some(properties))?;
        // A pack holds the position of the file, which is shorter than its name.
        let positions: Vec<String> = (0..self.files.len()).map(|file| file.to_string()).collect();
        writer.write(&to_batch(rows, &positions)?)?;
        let first = rows.first().map(place).context("rows to pack")?;
        Ok(Pack {
            first,
            rows: rows.len(),
            bytes: Bytes::from(writer.into_inner()?),
        })
    }

    fn unpack(&self, pack: &Pack) -> Result<Vec<Quarantined>> {
        let mut rows = Vec::with_capacity(pack.rows);
        for batch in ParquetRecordBatchReaderBuilder::try_new(pack.bytes.clone())?.build()? {
            let batch = batch?;
            let [reasons, columns, values, files, keys] =
                [0, 1, 2, 3, 5].map(|n| batch.column(n).as_string::<i32>());
            let numbers = batch.column(4).as_primitive::<Int64Type>().values();
            let text =
                |of: &StringArray, row: usize| of.is_valid(row).then(|| of.value(row).to_owned());
            for row in 0..batch.num_rows() {
                let reason = Reason::ALL
                    .iter()
                    .find(|each| each.code() == reasons.value(row));
                let column = text(columns, row)
                    .map(|name| self.dataset.columns[self.dataset.position(&name)].name);
                rows.push(Quarantined {
                    reason: *reason.context("a reason that was packed")?,
                    column,
                    value: text(values, row),
                    file: files.value(row).parse()?,
                    row_number: numbers[row],
                    key: text(keys, row),
                });
            }
        }
        Ok(rows)
    }
}

/// Two ordered sequences merged. Errors come first.
fn merged(
    one: impl Iterator<Item = Result<Quarantined>>,
    other: impl Iterator<Item = Result<Quarantined>>,
) -> impl Iterator<Item = Result<Quarantined>> {
    let (mut one, mut other): (Peekable<_>, Peekable<_>) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(Ok(a)), Some(Ok(b))) if place(b) < place(a) => other.next(),
        (Some(Ok(_)), Some(Err(_))) | (None, _) => other.next(),
        _ => one.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::datasets::ORDER_LINES;

    fn row(file: u32, row_number: i64) -> Quarantined {
        let (reason, column, value) = (Reason::BadQuantity, Some("quantity"), Some("-1".into()));
        Quarantined {
            reason,
            column,
            value,
            file,
            row_number,
            key: Some(format!("{row_number}|7")),
        }
    }

    fn places(set_aside: &SetAside) -> Vec<Place> {
        set_aside
            .in_order()
            .map(|row| place(&row.unwrap()))
            .collect()
    }

    fn add_group(to: &mut SetAside, file: u32, rows: impl Iterator<Item = i64>) {
        rows.for_each(|n| to.add(row(file, n)).unwrap());
        to.end_row_group().unwrap();
    }

    #[test]
    fn packed_and_loose_rows_come_in_the_order_of_files_and_rows() {
        let mut all = SetAside::new(&ORDER_LINES, vec!["a".into(), "b".into()], 100_000);
        add_group(&mut all, 1, (0..20_000).map(|n| 3 * n));
        add_group(&mut all, 0, 0..1_000);
        add_group(&mut all, 1, 60_000..60_003);
        let repeats = (0..9_000).map(|n| Quarantined {
            reason: Reason::DuplicateKey,
            column: None,
            ..row(1, 3 * n + 1)
        });
        all.add_repeats(repeats).unwrap();
        assert_eq!(
            (all.packs.len(), all.repeats.len(), all.loose.len()),
            (4, 1, 3 + 9_000 - BATCH_ROWS)
        );
        all.keep_first().unwrap();
        let mut of_b: Vec<i64> = (0..20_000).map(|n| 3 * n).chain(60_000..60_003).collect();
        of_b.extend((0..9_000).map(|n| 3 * n + 1));
        of_b.sort();
        let expected: Vec<Place> = (0..1_000)
            .map(|n| (0, n))
            .chain(of_b.into_iter().map(|n| (1, n)))
            .collect();
        assert_eq!(places(&all), expected);
        let repeat = all
            .in_order()
            .map(Result::unwrap)
            .find(|row| row.reason == Reason::DuplicateKey)
            .unwrap();
        assert_eq!(
            (
                repeat.column,
                repeat.value.as_deref(),
                repeat.key.as_deref()
            ),
            (None, Some("-1"), Some("1|7"))
        );
    }

    #[test]
    fn only_the_first_rows_are_kept() {
        let mut all = SetAside::new(&ORDER_LINES, vec!["a".into()], 1_500);
        for first in [3_000, 1_000, 0, 2_000] {
            add_group(&mut all, 0, first..first + 1_000);
        }
        all.keep_first().unwrap();
        assert_eq!(places(&all), (0..1_500).map(|n| (0, n)).collect::<Vec<_>>());
        assert_eq!(all.most(), 1_500);
    }
}
