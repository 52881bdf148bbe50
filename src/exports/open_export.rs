//! An export that keeps its contract: its files, and the place of every row group and row in them.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_schema::Fields;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::text_ids::{TextIds, number_of};
use crate::contracts::Dataset;
use crate::mapping::{Change, MappedColumns, Source};
use crate::shuffle::split::GroupShops;
use crate::untrusted_parquet::statistics::{range, texts};

/// An export that keeps its contract, ready to be read.
#[derive(Debug)]
pub struct OpenExport {
    pub(crate) dataset: &'static Dataset,
    /// Its folder in the store of the exports.
    pub(crate) path: String,
    /// `None`: the columns have the contract's names and types.
    pub(crate) mapped: Option<Arc<MappedColumns>>,
    /// Sorted by name bytewise: of rows with the same key, the first in this order is used.
    pub(crate) files: Vec<OpenFile>,
    /// Of mapped columns whose texts are ids.
    pub(super) ids: Arc<TextIds>,
}

/// One Parquet file whose columns are as the contract says.
#[derive(Clone, Debug)]
pub(crate) struct OpenFile {
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    pub(crate) rows: u64,
    /// Of the contract's columns only, in the order of the contract and by its names. Constants and absent
    /// columns of a mapping are not among them.
    pub(crate) metadata: Arc<ParquetMetaData>,
    /// The Arrow type that each column is decoded to.
    pub(crate) types: Fields,
}

/// A row group that has rows.
#[derive(Clone, Debug)]
pub(crate) struct RowGroupPlace {
    /// The position of its file in the export.
    pub(crate) file: usize,
    /// Its position in the file.
    pub(crate) group: usize,
    /// The position of its first row in its file.
    pub(crate) first_row: u64,
    /// The position of its first row among all rows of the export.
    pub(crate) first_position: u64,
    pub(crate) rows: u64,
    /// The minimum and maximum `shop_id`; `None` where the footer has none, and for a dataset
    /// without that column.
    pub(crate) shops: Option<RangeInclusive<i64>>,
}

impl OpenExport {
    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().map(|f| f.rows).sum()
    }

    /// Whether texts that are no numbers become ids.
    pub(super) fn hashes_texts(&self) -> bool {
        let sources = self.mapped.iter().flat_map(|mapped| mapped.sources());
        let mut changes = sources.filter_map(Source::change);
        changes.any(|change| {
            matches!(
                change,
                Change::TextId {
                    hashes_others: true
                }
            )
        })
    }

    /// The same export, whose texts have these ids.
    pub(super) fn with_ids(&self, ids: TextIds) -> OpenExport {
        OpenExport {
            dataset: self.dataset,
            path: self.path.clone(),
            mapped: self.mapped.clone(),
            files: self.files.clone(),
            ids: Arc::new(ids),
        }
    }

    /// The path of a file in the store of the exports.
    pub(crate) fn path_of(&self, file: &OpenFile) -> String {
        format!("{}/{}", self.path, file.name)
    }

    /// In the order of files and rows.
    pub(crate) fn row_groups(&self) -> Vec<RowGroupPlace> {
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
    ///
    /// # Panics
    /// When the export has fewer rows: a mistake in this program.
    pub(crate) fn place(&self, position: u64) -> (usize, u64) {
        let mut first = 0;
        for (number, file) in self.files.iter().enumerate() {
            if position - first < file.rows {
                return (number, position - first);
            }
            first += file.rows;
        }
        panic!("{} has no row {position}", self.dataset.name)
    }

    /// The minimum of a column of whole numbers, or of texts of digits, from the statistics in the footers; 0
    /// where there are none. Packed numbers are stored relative to it, so a wrong minimum only costs space.
    pub(crate) fn least(&self, column: &str) -> i64 {
        let groups = self
            .files
            .iter()
            .flat_map(|file| file.metadata.row_groups());
        groups
            .filter_map(|group| {
                let least = range(group, column).map(|range| *range.start());
                least.or_else(|| least_of_digits(group, column))
            })
            .min()
            .unwrap_or(0)
    }

    /// Rows and shops of each row group, by which the dataset's rows are split by shop.
    pub(crate) fn shops_of_row_groups(&self) -> Vec<GroupShops> {
        self.row_groups()
            .into_iter()
            .map(|place| GroupShops {
                rows: place.rows,
                range: place.shops,
            })
            .collect()
    }
}

/// A guess at the least number of the texts of a row group; `None` where the least or the greatest text is no
/// number. Texts have the order of their numbers only where all have one length. If the least and the
/// greatest one have, the others are supposed to; if not, the guess is 0.
fn least_of_digits(group: &RowGroupMetaData, column: &str) -> Option<i64> {
    let texts = texts(group, column)?;
    let [Some(least), Some(_)] = texts.map(number_of) else {
        return None;
    };
    let have_one_length = texts[0].len() == texts[1].len();
    Some(if have_one_length { least } else { 0 })
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;

    #[test]
    fn texts_of_digits_have_a_least_number_where_all_are_of_one_length() {
        let text = |texts: [&str; 2]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
        let columns = [
            ("one_length", text(["20", "15"])),
            ("two_lengths", text(["150", "20"])),
            ("words", text(["a", "15"])),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let written = writer.finish().unwrap();
        let least = |column| least_of_digits(written.row_group(0), column);
        assert_eq!(least("one_length"), Some(15));
        assert_eq!(least("two_lengths"), Some(0));
        assert_eq!(least("words"), None);
        assert_eq!(least("none"), None);
    }
}
