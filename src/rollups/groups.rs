//! Sums by key and exact distinct counts: the hash tables behind the rollups.

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

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
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
    /// `parts` have no key in common.
    pub(super) fn of(parts: impl IntoIterator<Item = Vec<(K, V)>>) -> Self {
        let parts: Vec<Vec<(K, V)>> = parts.into_iter().collect();
        let mut all = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        parts.into_iter().for_each(|part| all.extend(part));
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
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
}

/// A place; free where no flag is set.
#[derive(Clone, Copy, Default)]
struct Doing {
    user: i64,
    slot: u32,
    flags: u8,
}

/// A table never shrinks below this.
const FEWEST_PLACES: usize = 1024;

impl Default for Doings {
    fn default() -> Self {
        Doings {
            places: vec![Doing::default(); FEWEST_PLACES],
            taken: 0,
        }
    }
}

impl Doings {
    /// `flags` is not 0.
    #[inline]
    pub(super) fn add(&mut self, slot: u32, user: i64, flags: u8) {
        let mask = self.places.len() - 1;
        let mut at = hash((slot, user).parts()) as usize;
        loop {
            let place = &mut self.places[at & mask];
            if place.flags == 0 {
                *place = Doing { user, slot, flags };
                self.taken += 1;
                if self.taken * 4 > self.places.len() * 3 {
                    self.resize(self.places.len() * 2);
                }
                return;
            }
            if place.user == user && place.slot == slot {
                place.flags |= flags;
                return;
            }
            at += 1;
        }
    }

    #[cold]
    fn resize(&mut self, places: usize) {
        let before = std::mem::replace(&mut self.places, vec![Doing::default(); places]);
        self.taken = 0;
        for doing in before.iter().filter(|doing| doing.flags != 0) {
            self.add(doing.slot, doing.user, doing.flags);
        }
    }

    /// Gives the slot and the flags of every user to `hand_on`, and empties the table. Empty entries
    /// have slot 0 and no flags, so they add 0.
    #[inline]
    pub(super) fn drain(&mut self, mut hand_on: impl FnMut(u32, u8)) {
        for place in &mut self.places {
            hand_on(place.slot, place.flags);
            *place = Doing::default();
        }
        // A large partition does not make the small ones after it go through its places.
        let fitting = (self.taken * 2).next_power_of_two().max(FEWEST_PLACES);
        self.taken = 0;
        if self.places.len() > 16 * fitting {
            self.resize(fitting);
        }
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
        for (slot, user, flags) in [
            (0, i64::MIN, 1),
            (0, i64::MIN, 2),
            (1, i64::MIN, 4),
            (0, i64::MAX, 8),
        ] {
            doings.add(slot, user, flags);
        }
        let all = |doings: &mut Doings| {
            let mut all = Vec::new();
            doings.drain(|slot, flags| all.extend(Some((slot, flags)).filter(|_| flags != 0)));
            all.sort_unstable();
            all
        };
        assert_eq!(all(&mut doings), [(0, 3), (0, 8), (1, 4)]);
        assert_eq!(all(&mut doings), []);
        for user in 0..100_000 {
            doings.add(7, user, 1);
            doings.add(7, user, 2);
        }
        assert_eq!(all(&mut doings), vec![(7, 3); 100_000]);
        doings.add(1, 1, 1);
        assert_eq!(all(&mut doings), [(1, 1)]);
        assert!(doings.places.len() < 100_000);
    }
}
