//! The row groups of an export: where their rows lie, and what their statistics say.

use std::ops::RangeInclusive;

use parquet::basic::SortOrder;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::contract::OpenExport;
use crate::shuffle::split::GroupShops;

/// A row group that has rows.
#[derive(Clone, Debug)]
pub struct RowGroupPlace {
    /// The position of its file in the export.
    pub file: usize,
    /// Its position in the file.
    pub group: usize,
    /// Its first row in its file, and among all rows of the export in the order of its files.
    pub first_row: u64,
    pub first_position: u64,
    pub rows: u64,
    /// The least and the greatest `shop_id`, of a dataset that has one; `None`: not told.
    pub shops: Option<RangeInclusive<i64>>,
}

impl OpenExport {
    /// In the order of files and rows.
    pub fn row_groups(&self) -> Vec<RowGroupPlace> {
        let mut places = Vec::new();
        let mut first_position = 0;
        for (position, file) in self.files.iter().enumerate() {
            let mut first_row = 0;
            for (number, group) in file.metadata.row_groups().iter().enumerate() {
                let rows = group.num_rows() as u64;
                if rows > 0 {
                    let shops = range(group, "shop_id");
                    places.push(RowGroupPlace {
                        file: position,
                        group: number,
                        first_row,
                        first_position,
                        rows,
                        shops,
                    });
                }
                first_row += rows;
                first_position += rows;
            }
        }
        places
    }

    /// The position of the file, and the row in it, of a position among all rows.
    pub fn place(&self, position: u64) -> (usize, u64) {
        let mut first = 0;
        for (number, file) in self.files.iter().enumerate() {
            if position - first < file.rows {
                return (number, position - first);
            }
            first += file.rows;
        }
        panic!("{} has no row {position}", self.dataset.name)
    }

    /// The least value of a column of whole numbers, as its statistics tell; 0 where they do not.
    /// Numbers are kept relative to it, so a wrong one costs room and nothing else.
    pub fn least(&self, column: &str) -> i64 {
        let groups = self
            .files
            .iter()
            .flat_map(|file| file.metadata.row_groups());
        groups
            .filter_map(|group| range(group, column))
            .map(|range| *range.start())
            .min()
            .unwrap_or(0)
    }

    /// What decides how the dataset's rows are split by shop.
    pub fn shops_of_row_groups(&self) -> Vec<GroupShops> {
        self.row_groups()
            .into_iter()
            .map(|place| GroupShops {
                rows: place.rows,
                range: place.shops,
            })
            .collect()
    }
}

/// The least and the greatest value of a column of whole numbers in a row group; `None` where they
/// are not told. Those of unsigned numbers are read as if they had a sign, so they tell nothing.
fn range(group: &RowGroupMetaData, column: &str) -> Option<RangeInclusive<i64>> {
    let chunk = group
        .columns()
        .iter()
        .find(|chunk| chunk.column_path().parts() == [column])?;
    if chunk.column_descr().sort_order() != SortOrder::SIGNED {
        return None;
    }
    let (least, greatest) = match chunk.statistics()? {
        Statistics::Int64(values) => (*values.min_opt()?, *values.max_opt()?),
        Statistics::Int32(values) => (i64::from(*values.min_opt()?), i64::from(*values.max_opt()?)),
        _ => return None,
    };
    (least <= greatest).then_some(least..=greatest)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int32Array, RecordBatch, UInt32Array};
    use parquet::arrow::ArrowWriter;

    use super::*;

    #[test]
    fn statistics_of_unsigned_numbers_tell_nothing() {
        let signed: ArrayRef = Arc::new(Int32Array::from(vec![-5, 7]));
        let unsigned: ArrayRef = Arc::new(UInt32Array::from(vec![2_147_483_648, 3_000_000_000]));
        let batch =
            RecordBatch::try_from_iter([("signed", signed), ("unsigned", unsigned)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let written = writer.finish().unwrap();
        let group = written.row_group(0);
        assert_eq!(range(group, "signed"), Some(-5..=7));
        assert!(group.column(1).statistics().is_some());
        assert_eq!(range(group, "unsigned"), None);
    }
}
