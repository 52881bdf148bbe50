//! Decoded columns of small published files in memory, so that a backfill does not decode six months
//! again for each of its days.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{FieldRef, Schema};
use chrono::NaiveDate;

/// The columns of each file by day and table. The oldest days are dropped first: mostly, days are
/// computed in their order, and later days stop needing them first.
#[derive(Debug, Default)]
pub(crate) struct DecodedFiles {
    files: BTreeMap<(NaiveDate, &'static str), Decoded>,
    bytes: usize,
    /// Of all files; 0: no columns are kept.
    pub(crate) most_bytes: usize,
}

#[derive(Debug)]
struct Decoded {
    sha256: String,
    columns: BTreeMap<String, (FieldRef, ArrayRef)>,
    bytes: usize,
}

impl DecodedFiles {
    /// Columns of the file with this hash; `None` unless all of them are there.
    pub(crate) fn get(
        &self,
        (day, table): (NaiveDate, &'static str),
        sha256: &str,
        names: &[&str],
    ) -> Option<RecordBatch> {
        let file = self.files.get(&(day, table))?;
        if file.sha256 != sha256 {
            return None;
        }
        let columns = names.iter().map(|name| file.columns.get(*name).cloned());
        let (fields, arrays): (Vec<_>, Vec<_>) =
            columns.collect::<Option<Vec<_>>>()?.into_iter().unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).ok()
    }

    /// Keeps the columns of a whole file.
    pub(crate) fn add(
        &mut self,
        file: (NaiveDate, &'static str),
        sha256: &str,
        batch: &RecordBatch,
    ) {
        if self
            .files
            .get(&file)
            .is_some_and(|kept| kept.sha256 != sha256)
        {
            self.remove(file);
        }
        let kept = self.files.entry(file).or_insert_with(|| Decoded {
            sha256: sha256.to_owned(),
            columns: BTreeMap::new(),
            bytes: 0,
        });
        let schema = batch.schema();
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            if !kept.columns.contains_key(field.name()) {
                kept.bytes += array.get_array_memory_size();
                self.bytes += array.get_array_memory_size();
                let column = (field.clone(), array.clone());
                kept.columns.insert(field.name().clone(), column);
            }
        }
        while self.bytes > self.most_bytes
            && let Some((oldest, _)) = self.files.first_key_value()
        {
            self.remove(*oldest);
        }
    }

    fn remove(&mut self, file: (NaiveDate, &'static str)) {
        let gone = self.files.remove(&file);
        self.bytes -= gone.map_or(0, |gone| gone.bytes);
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;

    use super::*;
    use crate::testing::march;

    fn batch(columns: &[(&str, i64)]) -> RecordBatch {
        let columns = columns
            .iter()
            .map(|(name, value)| (*name, Arc::new(Int64Array::from(vec![*value])) as ArrayRef));
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn of_at_most(most_bytes: usize) -> DecodedFiles {
        DecodedFiles {
            most_bytes,
            ..DecodedFiles::default()
        }
    }

    #[test]
    fn a_file_has_the_columns_that_were_decoded_of_its_version() {
        let mut files = of_at_most(10_000);
        let file = (march(14), "shop_daily");
        files.add(file, "old", &batch(&[("gmv", 1)]));
        files.add(file, "new", &batch(&[("gmv", 2), ("orders", 3)]));
        files.add(file, "new", &batch(&[("shop_id", 4), ("gmv", 5)]));
        let found = files.get(file, "new", &["shop_id", "gmv"]);
        assert_eq!(found, Some(batch(&[("shop_id", 4), ("gmv", 2)])));
        assert_eq!(files.get(file, "new", &["shop_id", "category"]), None);
        assert_eq!(files.get(file, "old", &["gmv"]), None);
        assert_eq!(files.get((march(13), "shop_daily"), "new", &["gmv"]), None);
    }

    #[test]
    fn the_oldest_days_make_room() {
        let gmv = batch(&[("gmv", 1)]);
        let bytes = gmv.column(0).get_array_memory_size();
        let mut files = of_at_most(2 * bytes);
        for day in [12, 14, 13, 15] {
            files.add((march(day), "shop_daily"), "sha", &gmv);
        }
        let has = |day| {
            files
                .get((march(day), "shop_daily"), "sha", &["gmv"])
                .is_some()
        };
        assert_eq!([12, 13, 14, 15].map(has), [false, false, true, true]);
        assert_eq!(files.bytes, 2 * bytes);
    }
}
