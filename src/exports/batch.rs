//! Decoded rows of one export, cast to the contract: the only form in which rows are passed on.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int32Type, Int64Type};
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Int64Array, StringArray,
};

use super::mapped::Unfit;
use crate::contracts::{Column, Dataset, Kind};

/// Columns in contract order. `INT32` and instants (microseconds) are `Int64Array`, money is whole
/// cents, texts of the two large datasets are dictionaries.
#[derive(Debug)]
pub struct Batch {
    pub(crate) dataset: &'static Dataset,
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) rows: usize,
    /// The position of each row among all rows of the export: of rows with the same key, the first
    /// is used. Only in a large dataset that has a key.
    pub(crate) positions: Option<Int64Array>,
    /// Values of mapped columns that do not fit; null in `columns`.
    pub(crate) unfit: Vec<Unfit>,
}

impl Batch {
    pub(crate) fn column(&self, name: &str) -> &ArrayRef {
        &self.columns[self.dataset.position(name)]
    }

    /// Whole numbers, and instants in microseconds.
    pub(crate) fn ints(&self, name: &str) -> &Int64Array {
        self.column(name).as_primitive::<Int64Type>()
    }

    /// Whole cents.
    pub(crate) fn money(&self, name: &str) -> &Decimal128Array {
        self.column(name).as_primitive::<Decimal128Type>()
    }

    /// A text of a small dataset.
    pub(crate) fn texts(&self, name: &str) -> &StringArray {
        self.column(name).as_string()
    }

    /// A text of one of the two large datasets.
    pub(crate) fn codes(&self, name: &str) -> &DictionaryArray<Int32Type> {
        self.column(name).as_dictionary()
    }

    /// A text of any dataset.
    pub(super) fn text_column(&self, name: &str) -> TextColumn<'_> {
        let column = self.column(name);
        match column.as_dictionary_opt::<Int32Type>() {
            Some(texts) => TextColumn::Dictionary(texts, texts.values().as_string()),
            None => TextColumn::Plain(column.as_string()),
        }
    }

    /// # Panics
    /// When the rows have no positions: a mistake in this program.
    pub(crate) fn positions(&self) -> &Int64Array {
        self.positions
            .as_ref()
            .unwrap_or_else(|| panic!("rows of {} have no positions", self.dataset.name))
    }

    /// The value of a file that does not fit its column, as it is there.
    pub(super) fn unfit_value(&self, column: &str, row: usize) -> Option<String> {
        let mut unfit = self.unfit.iter();
        let found = unfit.find(|unfit| unfit.row == row && unfit.column == column)?;
        Some(found.value.clone())
    }

    pub(crate) fn flags(&self, name: &str) -> &BooleanArray {
        self.column(name).as_boolean()
    }

    pub(crate) fn dates(&self, name: &str) -> &Date32Array {
        self.column(name).as_primitive::<Date32Type>()
    }

    /// The sum of all amounts of each row, in cents.
    pub(super) fn money_of_rows(&self) -> impl Iterator<Item = i128> {
        let is_money = |column: &&Column| column.kind == Kind::Money;
        let columns = self.dataset.columns.iter().filter(is_money);
        let columns: Vec<_> = columns.map(|c| self.money(c.name)).collect();
        (0..self.rows).map(move |row| columns.iter().map(|cents| cents.value(row)).sum())
    }
}

/// A column of texts in either form: small datasets are decoded to plain texts, large ones to
/// dictionaries.
pub(super) enum TextColumn<'a> {
    Plain(&'a StringArray),
    /// With its values.
    Dictionary(&'a DictionaryArray<Int32Type>, &'a StringArray),
}

impl<'a> TextColumn<'a> {
    /// # Panics
    /// Where the row is null and the dictionary is empty.
    pub(super) fn value(&self, row: usize) -> &'a str {
        match self {
            TextColumn::Plain(texts) => texts.value(row),
            TextColumn::Dictionary(texts, values) => values.value(texts.keys().value(row) as usize),
        }
    }

    /// For each row whether its text is a wanted one; nulls are not. `None` where no row's text is.
    pub(super) fn rows_where(&self, is_wanted: impl Fn(&str) -> bool) -> Option<Vec<bool>> {
        match self {
            TextColumn::Plain(texts) => flags(texts, is_wanted),
            TextColumn::Dictionary(texts, values) => {
                // Each text is compared once, however many rows have it.
                let wanted = flags(values, is_wanted)?;
                let is_wanted = |code: Option<i32>| code.is_some_and(|code| wanted[code as usize]);
                Some(texts.keys().iter().map(is_wanted).collect())
            }
        }
    }
}

/// For each text whether it is a wanted one; `None` where none is.
fn flags(texts: &StringArray, is_wanted: impl Fn(&str) -> bool) -> Option<Vec<bool>> {
    let flags: Vec<bool> = texts
        .iter()
        .map(|text| text.is_some_and(&is_wanted))
        .collect();
    flags.contains(&true).then_some(flags)
}
