//! Sums by key and exact distinct counts: the hash tables behind the rollups.

use std::ops::AddAssign;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// One value for each key of a partition; a key's slot is a small number that stands for it in
/// other tables.
pub(super) struct Groups<K, V> {
    slots: HashTable<u32>,
    groups: Vec<(K, V)>,
}

impl<K, V> Default for Groups<K, V> {
    fn default() -> Self {
        Groups {
            slots: HashTable::new(),
            groups: Vec::new(),
        }
    }
}

/// A key as two numbers to hash.
pub(super) trait Key: Eq + Copy {
    fn parts(&self) -> (u64, u64);
}

impl Key for i64 {
    fn parts(&self) -> (u64, u64) {
        (0, *self as u64)
    }
}

impl Key for (i64, u32) {
    fn parts(&self) -> (u64, u64) {
        (self.1.into(), self.0 as u64)
    }
}

impl Key for (u32, u32) {
    fn parts(&self) -> (u64, u64) {
        (self.0.into(), self.1.into())
    }
}

impl Key for (u32, i64) {
    fn parts(&self) -> (u64, u64) {
        (self.0.into(), self.1 as u64)
    }
}

impl Key for (u32, i64, i64) {
    fn parts(&self) -> (u64, u64) {
        (
            u64::from(self.0) ^ (self.1 as u64).rotate_left(32),
            self.2 as u64,
        )
    }
}

impl<K: Key, V: Default> Groups<K, V> {
    #[inline]
    pub(super) fn slot(&mut self, key: K) -> u32 {
        self.slot_or(key, V::default)
    }

    /// As `slot`; `new` makes the value of a new key.
    #[inline]
    pub(super) fn slot_or(&mut self, key: K, new: impl FnOnce() -> V) -> u32 {
        let groups = &mut self.groups;
        let is_it = |slot: &u32| groups[*slot as usize].0 == key;
        match self.slots.entry(hash(key.parts()), is_it, |slot| {
            hash(groups[*slot as usize].0.parts())
        }) {
            Entry::Occupied(slot) => *slot.get(),
            Entry::Vacant(place) => {
                let slot = groups.len() as u32;
                place.insert(slot);
                groups.push((key, new()));
                slot
            }
        }
    }

    #[inline]
    pub(super) fn at(&mut self, slot: u32) -> &mut V {
        &mut self.groups[slot as usize].1
    }

    pub(super) fn key(&self, slot: u32) -> K {
        self.groups[slot as usize].0
    }

    /// All groups; none are left.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (K, V)> {
        self.slots.clear();
        self.groups.drain(..)
    }
}

/// The sums of a dataset, by key.
pub(super) struct Sorted<K, V>(Vec<(K, V)>);

impl<K: Ord, V> Sorted<K, V> {
    /// No key is there twice.
    #[cfg(feature = "spark")]
    pub(super) fn of(mut groups: Vec<(K, V)>) -> Self {
        sort(&mut groups);
        Sorted(groups)
    }

    /// Adds up the values of each key. Where each part is sorted, as [`sort`] leaves it, they are only
    /// merged.
    pub(super) fn sum_of(parts: Vec<Vec<(K, V)>>) -> Self
    where
        V: AddAssign + Copy,
    {
        let mut all = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        parts.into_iter().for_each(|part| all.extend(part));
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.dedup_by(|(key, value), (kept, sum)| {
            let is_same = key == kept;
            if is_same {
                *sum += *value;
            }
            is_same
        });
        Sorted(all)
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let position = self.0.binary_search_by(|(each, _)| each.cmp(key)).ok()?;
        Some(&self.0[position].1)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }
}

/// Sorts the groups of one thread.
pub(super) fn sort<K: Ord, V>(groups: &mut [(K, V)]) {
    groups.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
}

/// Keys of both sides, sorted, each once.
pub(super) fn union<'a, K: Ord + Clone + 'a>(
    one: impl Iterator<Item = &'a K>,
    other: impl Iterator<Item = &'a K>,
) -> Vec<K> {
    let mut keys: Vec<K> = one.chain(other).cloned().collect();
    keys.sort();
    keys.dedup();
    keys
}

/// Both halves of a product depend on every bit of both numbers. Ids come from our own exports:
/// nobody chooses them so that they collide, which would make a run slow, and change nothing else.
#[inline]
fn hash((one, other): (u64, u64)) -> u64 {
    let one = one.wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ 0xA076_1D64_78BD_642F;
    let product = u128::from(one) * u128::from(other ^ 0x9E37_79B9_7F4A_7C15);
    (product >> 64) as u64 ^ product as u64
}

/// Members seen per slot; tells a first sight from a repeat.
#[derive(Default)]
pub(super) struct Distinct(HashTable<(u32, i64)>);

impl Distinct {
    /// 1 when the member is new to the slot, else 0.
    #[inline]
    pub(super) fn insert(&mut self, slot: u32, member: i64) -> i64 {
        let key = (slot, member);
        match self.0.entry(
            hash(key.parts()),
            |seen| *seen == key,
            |seen| hash(seen.parts()),
        ) {
            Entry::Occupied(_) => 0,
            Entry::Vacant(place) => {
                place.insert(key);
                1
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The actions of users, per slot: an exact set of users, each with the flags of its actions.
///
/// Every row of traffic looks into this table. An entry holds its own state, so a row costs one
/// access to the cache; a general hash table needs two.
pub(super) struct Doings {
    /// A power of two.
    places: Vec<Doing>,
    taken: usize,
    /// A place of another round is free.
    round: u64,
}

/// A place of the table.
#[derive(Clone, Copy, Default)]
struct Doing {
    user: u64,
    /// The round, the slot (32 bits) and the flags (8 bits).
    tag: u64,
}

const FLAG_BITS: u32 = 8;
const SLOT_BITS: u32 = 32;
const MOST_ROUNDS: u64 = 1 << (u64::BITS - SLOT_BITS - FLAG_BITS);

/// A table never shrinks below this.
const FEWEST_PLACES: usize = 1024;

impl Default for Doings {
    fn default() -> Self {
        Doings {
            places: vec![Doing::default(); FEWEST_PLACES],
            taken: 0,
            round: 1,
        }
    }
}

impl Doings {
    /// The flags that the user had before; 0 for a new one. `flags` is not 0.
    #[inline]
    pub(super) fn add(&mut self, slot: u32, user: u64, flags: u8) -> u8 {
        let mask = self.places.len() - 1;
        let owner = self.round << SLOT_BITS | u64::from(slot);
        let mut at = hash((slot.into(), user)) as usize;
        loop {
            let place = &mut self.places[at & mask];
            let is_same = (place.user == user) & (place.tag >> FLAG_BITS == owner);
            let is_free = place.tag >> (FLAG_BITS + SLOT_BITS) != self.round;
            if is_same | is_free {
                // The same for both: no processor can guess whether a user is new.
                let before = if is_same { place.tag as u8 } else { 0 };
                *place = Doing {
                    user,
                    tag: owner << FLAG_BITS | u64::from(before | flags),
                };
                self.taken += usize::from(is_free);
                if self.taken * 8 > self.places.len() * 5 {
                    self.resize(self.places.len() * 2);
                }
                return before;
            }
            at += 1;
        }
    }

    #[cold]
    fn resize(&mut self, places: usize) {
        let before = std::mem::replace(&mut self.places, vec![Doing::default(); places]);
        self.taken = 0;
        let is_taken = |doing: &&Doing| doing.tag >> (FLAG_BITS + SLOT_BITS) == self.round;
        let taken: Vec<Doing> = before.iter().filter(is_taken).copied().collect();
        for Doing { user, tag } in taken {
            self.add((tag >> FLAG_BITS) as u32, user, tag as u8);
        }
    }

    /// Forgets all users; no place is touched for it.
    pub(super) fn clear(&mut self) {
        self.round += 1;
        // The places of a large partition would keep the small ones after it out of the cache.
        let fitting = (self.taken * 2).next_power_of_two().max(FEWEST_PLACES);
        if self.places.len() > 16 * fitting || self.round == MOST_ROUNDS {
            *self = Doings {
                places: vec![Doing::default(); fitting],
                taken: 0,
                round: 1,
            };
        }
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_key_are_added_up_whichever_thread_has_them() {
        let sums = Sorted::sum_of(vec![
            vec![(1, 10), (3, 30)],
            vec![(1, 1), (2, 2)],
            vec![(1, 100)],
        ]);
        assert_eq!(sums.0, [(1, 111), (2, 2), (3, 30)]);
    }

    #[test]
    fn a_key_keeps_its_slot() {
        let mut groups: Groups<(u32, i64), i64> = Groups::default();
        let slots = [(1, 5), (1, 6), (2, 5), (1, 5), (1, 5)].map(|key| groups.slot(key));
        assert_eq!(slots, [0, 1, 2, 0, 0]);
        *groups.at(2) += 7;
        assert_eq!(groups.key(2), (2, 5));
        assert_eq!(
            groups.drain().collect::<Vec<_>>(),
            [((1, 5), 0), ((1, 6), 0), ((2, 5), 7)]
        );
        assert_eq!(groups.slot((9, 9)), 0);
    }

    #[test]
    fn members_are_counted_once_per_slot_and_forgotten_after() {
        let mut distinct = Distinct::default();
        assert_eq!(
            [(0, 1), (1, 1), (0, 1), (0, -1)].map(|(slot, member)| distinct.insert(slot, member)),
            [1, 1, 0, 1]
        );
        distinct.clear();
        assert_eq!(distinct.insert(0, 1), 1);

        let mut doings = Doings::default();
        let rows = [(0, 0, 1), (0, 0, 2), (1, 0, 4), (0, u64::MAX, 8), (0, 0, 1)];
        for _ in 0..2 {
            let before = rows.map(|(slot, user, flags)| doings.add(slot, user, flags));
            assert_eq!(before, [0, 1, 0, 0, 3]);
            doings.clear();
        }
        for user in 0..100_000 {
            assert_eq!(doings.add(7, user, 1), 0);
        }
        for user in 0..100_000 {
            assert_eq!(doings.add(7, user, 2), 1);
        }
        doings.clear();
        assert_eq!(doings.add(7, 1, 1), 0);
        doings.clear();
        assert!(doings.places.len() < 100_000);
        assert_eq!(doings.add(7, 1, 1), 0);
    }

    #[test]
    fn users_are_forgotten_when_the_rounds_begin_anew_too() {
        let mut doings = Doings::default();
        doings.add(7, 1, 1);
        doings.round = MOST_ROUNDS - 1;
        assert_eq!(doings.add(7, 1, 1), 0);
        doings.clear();
        assert_eq!(doings.add(7, 1, 1), 0);
        assert_eq!(doings.add(7, 1, 1), 1);
    }
}
