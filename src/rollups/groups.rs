//! Sums by key and exact distinct counts: the hash tables behind the rollups.

use std::hash::Hash;

use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashTable};

/// One value for each key of a partition; a key's slot is a small number that stands for it in other tables.
pub struct Groups<K, V> {
    slots: HashMap<K, u32>,
    groups: Vec<(K, V)>,
    /// Rows of a key often follow each other.
    last: u32,
}

impl<K, V> Default for Groups<K, V> {
    fn default() -> Self {
        Groups { slots: HashMap::new(), groups: Vec::new(), last: 0 }
    }
}

impl<K: Hash + Eq + Copy, V: Default> Groups<K, V> {
    #[inline]
    pub fn slot(&mut self, key: K) -> u32 {
        if self.groups.get(self.last as usize).is_none_or(|(last, _)| *last != key) {
            let next = self.groups.len() as u32;
            self.last = *self.slots.entry(key).or_insert(next);
            if self.last == next {
                self.groups.push((key, V::default()));
            }
        }
        self.last
    }

    #[inline]
    pub fn at(&mut self, slot: u32) -> &mut V {
        &mut self.groups[slot as usize].1
    }

    pub fn key(&self, slot: u32) -> K {
        self.groups[slot as usize].0
    }

    /// All groups; none are left.
    pub fn drain(&mut self) -> impl Iterator<Item = (K, V)> {
        self.slots.clear();
        self.groups.drain(..)
    }
}

/// What a dataset adds up to, by key.
pub struct Sorted<K, V>(Vec<(K, V)>);

impl<K: Ord, V> Sorted<K, V> {
    /// `parts` have no key in common.
    pub fn of(parts: impl IntoIterator<Item = Vec<(K, V)>>) -> Self {
        let mut all: Vec<(K, V)> = parts.into_iter().flatten().collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Sorted(all)
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        let position = self.0.binary_search_by(|(each, _)| each.cmp(key)).ok()?;
        Some(&self.0[position].1)
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }
}

/// Keys of both sides, sorted, each once.
pub fn union<'a, K: Ord + Clone + 'a>(one: impl Iterator<Item = &'a K>, other: impl Iterator<Item = &'a K>) -> Vec<K> {
    let mut keys: Vec<K> = one.chain(other).cloned().collect();
    keys.sort();
    keys.dedup();
    keys
}

/// Both halves of a product depend on every bit of both numbers. Whoever chose ids so that they collide would only make
/// a run slow.
#[inline]
fn hash(slot: u32, member: i64) -> u64 {
    let one = member as u64 ^ 0x9E37_79B9_7F4A_7C15;
    let other = u64::from(slot).wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ 0xA076_1D64_78BD_642F;
    let product = u128::from(one) * u128::from(other);
    (product >> 64) as u64 ^ product as u64
}

/// Members seen per slot; tells a first sight from a repeat.
#[derive(Default)]
pub struct Distinct(HashTable<(i64, u32)>);

impl Distinct {
    /// 1 when the member is new to the slot, else 0.
    #[inline]
    pub fn insert(&mut self, slot: u32, member: i64) -> i64 {
        let is_it = |seen: &(i64, u32)| *seen == (member, slot);
        match self.0.entry(hash(slot, member), is_it, |(member, slot)| hash(*slot, *member)) {
            Entry::Occupied(_) => 0,
            Entry::Vacant(place) => {
                place.insert((member, slot));
                1
            }
        }
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// What users did, per slot: an exact set of users, each with the flags of all it was seen doing.
#[derive(Default)]
pub struct Doings(HashTable<Doing>);

struct Doing {
    user: i64,
    slot: u32,
    flags: u8,
}

impl Doings {
    #[inline]
    pub fn add(&mut self, slot: u32, user: i64, flags: u8) {
        let is_it = |doing: &Doing| doing.user == user && doing.slot == slot;
        match self.0.entry(hash(slot, user), is_it, |doing| hash(doing.slot, doing.user)) {
            Entry::Occupied(mut seen) => seen.get_mut().flags |= flags,
            Entry::Vacant(place) => drop(place.insert(Doing { user, slot, flags })),
        }
    }

    /// Hands the slot and the flags of every user on, and forgets them.
    pub fn drain(&mut self, mut hand_on: impl FnMut(u32, u8)) {
        for doing in &self.0 {
            hand_on(doing.slot, doing.flags);
        }
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_slot() {
        let mut groups: Groups<(u32, i64), i64> = Groups::default();
        let slots = [(1, 5), (1, 6), (2, 5), (1, 5), (1, 5)].map(|key| groups.slot(key));
        assert_eq!(slots, [0, 1, 2, 0, 0]);
        *groups.at(2) += 7;
        assert_eq!(groups.key(2), (2, 5));
        assert_eq!(groups.drain().collect::<Vec<_>>(), [((1, 5), 0), ((1, 6), 0), ((2, 5), 7)]);
        assert_eq!(groups.slot((9, 9)), 0);
    }

    #[test]
    fn members_are_counted_once_per_slot_and_forgotten_after() {
        let mut distinct = Distinct::default();
        assert_eq!([(0, 1), (1, 1), (0, 1), (0, -1)].map(|(slot, member)| distinct.insert(slot, member)), [1, 1, 0, 1]);
        distinct.clear();
        assert_eq!(distinct.insert(0, 1), 1);

        let mut doings = Doings::default();
        for (slot, user, flags) in [(0, i64::MIN, 1), (0, i64::MIN, 2), (1, i64::MIN, 4), (0, i64::MAX, 8)] {
            doings.add(slot, user, flags);
        }
        let mut all = Vec::new();
        doings.drain(|slot, flags| all.push((slot, flags)));
        all.sort_unstable();
        assert_eq!(all, [(0, 3), (0, 8), (1, 4)]);
        doings.drain(|_, _| panic!("none is left"));
    }
}
