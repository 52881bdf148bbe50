//! The minimum and maximum of a column in a row group, as the footer gives them.

use std::ops::RangeInclusive;

use parquet::basic::SortOrder;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

/// The minimum and maximum of a column of whole numbers in a row group; `None` where the footer has
/// none. Statistics of unsigned numbers are ignored: the reader returns them as signed numbers.
pub(crate) fn range(group: &RowGroupMetaData, column: &str) -> Option<RangeInclusive<i64>> {
    let chunk = chunk(group, column)?;
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

/// The least and the greatest text of a column in a row group, by their bytes; `None` where the footer has
/// none.
pub(crate) fn texts<'a>(group: &'a RowGroupMetaData, column: &str) -> Option<[&'a str; 2]> {
    match chunk(group, column)?.statistics()? {
        Statistics::ByteArray(values) => {
            let ends = [values.min_bytes_opt()?, values.max_bytes_opt()?];
            let [least, greatest] = ends.map(std::str::from_utf8);
            Some([least.ok()?, greatest.ok()?])
        }
        _ => None,
    }
}

fn chunk<'a>(group: &'a RowGroupMetaData, column: &str) -> Option<&'a ColumnChunkMetaData> {
    // By the name in the schema: a mapped column has another one in its file, and so in its chunk.
    let mut columns = group.schema_descr().columns().iter();
    let position = columns.position(|known| known.path().parts() == [column])?;
    Some(group.column(position))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int32Array, RecordBatch, UInt32Array};
    use parquet::arrow::ArrowWriter;

    use super::*;

    #[test]
    fn statistics_of_unsigned_numbers_are_ignored() {
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
