//! Sums by key with exact distinct counts: the hash tables behind the rollups.

use std::hash::Hash;

use hashbrown::{Equivalent, HashMap, HashSet};

/// One value for each key; a key's slot is a small number that stands for it in other sets.
pub struct Groups<K, V> {
    slots: HashMap<K, u32>,
    values: Vec<V>,
}

impl<K, V> Default for Groups<K, V> {
    fn default() -> Self {
        Groups { slots: HashMap::new(), values: Vec::new() }
    }
}

impl<K: Hash + Eq + Ord + Clone, V: Default> Groups<K, V> {
    pub fn slot(&mut self, key: K) -> u32 {
        let next = self.values.len() as u32;
        let slot = *self.slots.entry(key).or_insert(next);
        if slot == next {
            self.values.push(V::default());
        }
        slot
    }

    /// As `slot`, for a borrowed key that is made an owned one only when it is new.
    pub fn slot_of<Q: Hash + Equivalent<K> + Into<K>>(&mut self, key: Q) -> u32 {
        match self.slots.get(&key) {
            Some(slot) => *slot,
            None => self.slot(key.into()),
        }
    }

    pub fn at(&mut self, slot: u32) -> &mut V {
        &mut self.values[slot as usize]
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.slots.get(key).map(|slot| &self.values[*slot as usize])
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.slots.keys()
    }
}

/// A channel of a shop.
pub type Channel = (i64, String);

/// A [`Channel`] as a row holds it. Both hash alike: a number, then a text.
#[derive(Hash)]
pub struct ChannelRef<'a>(pub i64, pub &'a str);

impl Equivalent<Channel> for ChannelRef<'_> {
    fn equivalent(&self, key: &Channel) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

impl From<ChannelRef<'_>> for Channel {
    fn from(channel: ChannelRef<'_>) -> Channel {
        (channel.0, channel.1.to_owned())
    }
}

/// Keys of both sides, sorted, each once.
pub fn union<'a, K: Ord + Clone + 'a>(one: impl Iterator<Item = &'a K>, other: impl Iterator<Item = &'a K>) -> Vec<K> {
    let mut keys: Vec<K> = one.chain(other).cloned().collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Members seen per slot; tells a first sight from a repeat.
#[derive(Default)]
pub struct Distinct(HashSet<(u32, i64)>);

impl Distinct {
    /// 1 when the member is new to the slot, else 0.
    pub fn insert(&mut self, slot: u32, member: i64) -> i64 {
        i64::from(self.0.insert((slot, member)))
    }
}

/// What users did, per slot: an exact set of users, each with the flags of all it was seen doing.
#[derive(Default)]
pub struct Doings(HashMap<(u32, i64), u8>);

impl Doings {
    /// Adds flags of a user; returns those before and after.
    pub fn add(&mut self, slot: u32, user: i64, flags: u8) -> (u8, u8) {
        let seen = self.0.entry((slot, user)).or_default();
        let before = *seen;
        *seen |= flags;
        (before, *seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_borrowed_channel_finds_the_slot_of_the_owned_one() {
        let mut channels: Groups<Channel, i64> = Groups::default();
        let slots =
            [(1, "LIVE"), (1, "VIDEO"), (2, "LIVE"), (1, "LIVE")].map(|(s, c)| channels.slot_of(ChannelRef(s, c)));
        assert_eq!(slots, [0, 1, 2, 0]);
        assert_eq!(channels.slot((2, "LIVE".to_owned())), 2);
        assert_eq!(channels.keys().count(), 3);
    }
}
