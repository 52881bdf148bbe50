//! Channels as small numbers: each row group has a dictionary of their texts.

use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray};
use hashbrown::HashMap;

use crate::threads::{into_inner, lock};

/// The channels of a dataset in the order in which threads met them, which means nothing.
#[derive(Default)]
pub(super) struct Channels(Mutex<Known>);

#[derive(Default)]
struct Known {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Channels {
    fn number(&self, name: &str) -> u32 {
        let mut known = lock(&self.0);
        if let Some(number) = known.numbers.get(name) {
            return *number;
        }
        let number = known.names.len() as u32;
        known.names.push(name.to_owned());
        known.numbers.insert(name.to_owned(), number);
        number
    }

    /// The names by number.
    pub(super) fn into_names(self) -> Vec<String> {
        into_inner(self.0).names
    }
}

/// A channel of a shop.
pub(super) type Channel = (i64, String);

/// The values of numbered channels, by the channels' names.
pub(super) fn with_names<V>(numbered: Vec<((i64, u32), V)>, names: &[String]) -> Vec<(Channel, V)> {
    numbered
        .into_iter()
        .map(|((shop_id, number), value)| ((shop_id, names[number as usize].clone()), value))
        .collect()
}

/// The numbers behind one thread's dictionary.
pub(super) struct ChannelNumbers<'a> {
    channels: &'a Channels,
    dictionary: Option<ArrayRef>,
    numbers: Vec<u32>,
}

impl<'a> ChannelNumbers<'a> {
    pub(super) fn new(channels: &'a Channels) -> Self {
        ChannelNumbers {
            channels,
            dictionary: None,
            numbers: Vec::new(),
        }
    }

    /// The number of each entry of the column's dictionary; an entry of null, which no row has, is
    /// 0.
    pub(super) fn of(&mut self, column: &DictionaryArray<Int32Type>) -> &[u32] {
        if !self
            .dictionary
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, column.values()))
        {
            let names = column.values().as_string::<i32>();
            self.numbers = names
                .iter()
                .map(|name| name.map_or(0, |name| self.channels.number(name)))
                .collect();
            self.dictionary = Some(column.values().clone());
        }
        &self.numbers
    }
}
