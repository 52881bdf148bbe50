//! Rows of one export, decoded and cast to the contract: the only form in which rows are handed on.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int32Type, Int64Type};
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Int64Array, StringArray,
};

use crate::contracts::Dataset;

/// Columns in contract order. `INT32` and instants (microseconds) are `Int64Array`, money is whole
/// cents, texts of the two large datasets are dictionaries.
#[derive(Debug)]
pub struct Batch {
    pub dataset: &'static Dataset,
    pub columns: Vec<ArrayRef>,
    pub rows: usize,
    /// Of each row among all rows of the export, in the order that decides among repeated keys;
    /// only in a large dataset that has a key.
    pub positions: Option<Int64Array>,
}

impl Batch {
    pub fn column(&self, name: &str) -> &ArrayRef {
        &self.columns[self.dataset.position(name)]
    }

    /// Whole numbers, and instants in microseconds.
    pub fn ints(&self, name: &str) -> &Int64Array {
        self.column(name).as_primitive::<Int64Type>()
    }

    /// Whole cents.
    pub fn money(&self, name: &str) -> &Decimal128Array {
        self.column(name).as_primitive::<Decimal128Type>()
    }

    pub fn texts(&self, name: &str) -> &StringArray {
        self.column(name).as_string()
    }

    /// A text of one of the two large datasets.
    pub fn codes(&self, name: &str) -> &DictionaryArray<Int32Type> {
        self.column(name).as_dictionary()
    }

    /// # Panics
    /// When the dataset's rows have none: a mistake in this program.
    pub fn positions(&self) -> &Int64Array {
        self.positions
            .as_ref()
            .unwrap_or_else(|| panic!("rows of {} have no positions", self.dataset.name))
    }

    pub fn flags(&self, name: &str) -> &BooleanArray {
        self.column(name).as_boolean()
    }

    pub fn dates(&self, name: &str) -> &Date32Array {
        self.column(name).as_primitive::<Date32Type>()
    }
}
