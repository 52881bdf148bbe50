//! Sums by key and exact distinct counts: the hash tables behind the rollups.

use std::ops::{AddAssign, BitOr, BitXor, Shr};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use wide::u64x8;

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

impl Key for (u32, u32) {
    fn parts(&self) -> (u64, u64) {
        (self.0.into(), self.1.into())
    }
}

impl Key for (i64, i64) {
    fn parts(&self) -> (u64, u64) {
        (self.0 as u64, self.1 as u64)
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
/// Every row of traffic looks into this table, so as much of it as possible should be in a core's
/// cache: an entry takes 8 bytes as long as all users and slots fit, then 16.
pub(super) enum Doings {
    Narrow(Entries<u64>),
    Wide(Entries<u128>),
}

impl Default for Doings {
    fn default() -> Self {
        Doings::Narrow(Entries::default())
    }
}

impl Doings {
    /// The flags that the user had before; 0 for a new one. `flags` is 1 to 15.
    #[inline]
    pub(super) fn add(&mut self, slot: u32, user: u64, flags: u8) -> u8 {
        match (self, narrow_entry(slot, user, flags)) {
            (Doings::Narrow(entries), Some(entry)) => entries.add(entry),
            (doings, _) => doings.add_wide(wide_entry(slot, user, flags)),
        }
    }

    /// Not a part of `add`, so that `add` is short enough to be compiled into its callers' loops.
    #[inline(never)]
    fn add_wide(&mut self, entry: u128) -> u8 {
        if let Doings::Narrow(entries) = self {
            *self = Doings::Wide(entries.widened());
        }
        match self {
            Doings::Wide(entries) => entries.add(entry),
            Doings::Narrow(_) => unreachable!("they were widened"),
        }
    }

    /// Forgets all users, and makes room for so many.
    pub(super) fn begin(&mut self, users: u64) {
        match self {
            Doings::Narrow(entries) => entries.begin(users),
            Doings::Wide(entries) => entries.begin(users),
        }
    }
}

/// A slot, a user and the flags as one number, which is never 0: there is a flag.
pub(super) trait UserEntry:
    Copy + Default + PartialEq + BitOr<Output = Self> + BitXor<Output = Self> + Shr<u32, Output = Self>
{
    /// Depends on the slot and the user alone.
    fn hash(self) -> u64;
    fn lowest_byte(self) -> u8;

    /// A bit for each place that has the same user or is free, the lowest one for the first place.
    #[inline]
    fn fitting(places: &[Self; PLACES], entry: Self) -> u32 {
        let fits = |place: &Self| place.is_same_user(entry) | (*place == Self::default());
        let bits = places.iter().enumerate();
        bits.fold(0, |bits, (n, place)| bits | u32::from(fits(place)) << n)
    }

    #[inline]
    fn flags(self) -> u8 {
        self.lowest_byte() & FLAGS
    }

    #[inline]
    fn is_same_user(self, other: Self) -> bool {
        (self ^ other) >> FLAG_BITS == Self::default()
    }
}

const FLAG_BITS: u32 = 4;
const FLAGS: u8 = (1 << FLAG_BITS) - 1;
const NARROW_USER_BITS: u32 = 36;
const WIDE_USER_BITS: u32 = u64::BITS;

/// `None`: it does not fit.
#[inline]
fn narrow_entry(slot: u32, user: u64, flags: u8) -> Option<u64> {
    let slot_bits = u64::BITS - NARROW_USER_BITS - FLAG_BITS;
    let fits = user >> NARROW_USER_BITS == 0 && slot >> slot_bits == 0;
    fits.then_some(
        u64::from(slot) << (NARROW_USER_BITS + FLAG_BITS) | user << FLAG_BITS | u64::from(flags),
    )
}

#[inline]
fn wide_entry(slot: u32, user: u64, flags: u8) -> u128 {
    u128::from(slot) << (WIDE_USER_BITS + FLAG_BITS)
        | u128::from(user) << FLAG_BITS
        | u128::from(flags)
}

impl UserEntry for u64 {
    /// Compares all places at once.
    #[inline]
    fn fitting(places: &[u64; PLACES], entry: u64) -> u32 {
        let places = u64x8::new(*places);
        let user = u64x8::splat(!u64::from(FLAGS));
        let is_same_user = (places & user).simd_eq(u64x8::splat(entry) & user);
        (is_same_user | places.simd_eq(u64x8::ZERO)).to_bitmask()
    }

    #[inline]
    fn hash(self) -> u64 {
        hash((0, self >> FLAG_BITS))
    }

    #[inline]
    fn lowest_byte(self) -> u8 {
        self as u8
    }
}

impl UserEntry for u128 {
    #[inline]
    fn hash(self) -> u64 {
        let slot_and_user = self >> FLAG_BITS;
        hash((
            (slot_and_user >> WIDE_USER_BITS) as u64,
            slot_and_user as u64,
        ))
    }

    #[inline]
    fn lowest_byte(self) -> u8 {
        self as u8
    }
}

/// A hash table of entries: each is in the first place that was free in the bucket of its hash, or in
/// the next bucket with a free one.
pub(super) struct Entries<E> {
    buckets: Vec<Bucket<E>>,
    /// The table is in so many buckets, a power of two; the others wait for a larger one.
    used: usize,
    taken: usize,
}

/// Places that are compared at once, filled from the first one on. With narrow entries, it is one line of
/// the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Bucket<E>([E; PLACES]);

const PLACES: usize = 8;
const FEWEST_BUCKETS: usize = 128;
/// A table is full when five eighths of its places are taken. Beyond that, many buckets are full, and
/// their entries are in the next ones.
const FULL: (usize, usize) = (5, 8);

impl<E: UserEntry> Default for Entries<E> {
    fn default() -> Self {
        Entries {
            buckets: vec![Bucket([E::default(); PLACES]); FEWEST_BUCKETS],
            used: FEWEST_BUCKETS,
            taken: 0,
        }
    }
}

impl<E: UserEntry> Entries<E> {
    /// The flags that the user had before.
    #[inline]
    fn add(&mut self, entry: E) -> u8 {
        let free = E::default();
        let buckets = &mut self.buckets[..self.used];
        let mask = buckets.len() - 1;
        let mut at = entry.hash() as usize & mask;
        loop {
            let Bucket(places) = &mut buckets[at];
            // A known user comes before the free places. No branch asks which it is: no processor can guess
            // whether a user is new.
            let first = E::fitting(places, entry).trailing_zeros() as usize;
            if let Some(place) = places.get_mut(first) {
                let before = *place;
                *place = before | entry;
                self.taken += usize::from(before == free);
                if self.taken * FULL.1 > self.used * PLACES * FULL.0 {
                    self.grow();
                }
                return before.flags();
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let entries: Vec<E> = self.taken().collect();
        self.make_free(self.used * 2);
        for entry in entries {
            self.add(entry);
        }
    }

    fn taken(&self) -> impl Iterator<Item = E> {
        let places = self.buckets[..self.used].iter().flat_map(|bucket| bucket.0);
        places.filter(|place| *place != E::default())
    }

    fn begin(&mut self, users: u64) {
        let places = (users as usize * FULL.1 / FULL.0).next_power_of_two();
        self.make_free((places / PLACES).max(FEWEST_BUCKETS));
    }

    fn make_free(&mut self, buckets: usize) {
        let free = Bucket([E::default(); PLACES]);
        if self.buckets.len() < buckets {
            self.buckets = vec![free; buckets];
        } else {
            self.buckets[..buckets].fill(free);
        }
        self.used = buckets;
        self.taken = 0;
    }
}

impl Entries<u64> {
    #[cold]
    fn widened(&self) -> Entries<u128> {
        let mut wider = Entries::default();
        for entry in self.taken() {
            let slot_and_user = entry >> FLAG_BITS;
            let slot = (slot_and_user >> NARROW_USER_BITS) as u32;
            let user = slot_and_user & ((1 << NARROW_USER_BITS) - 1);
            wider.add(wide_entry(slot, user, entry.flags()));
        }
        wider
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
            doings.begin(1);
        }
    }

    #[test]
    fn places_of_a_user_and_free_ones_fit() {
        // Slot and user. The four places behind them are free.
        let taken = [(1, 7), (1, 8), (2, 7), (1, 7 << 30)];
        for (sought, fitting) in [
            ((1, 7), 0b1111_0001),
            ((2, 7), 0b1111_0100),
            ((2, 8), 0b1111_0000),
        ] {
            for flags in 1..=FLAGS {
                let (slot, user) = sought;
                let (mut narrow, mut wide) = ([0; PLACES], [0; PLACES]);
                for (n, (slot, user)) in taken.into_iter().enumerate() {
                    narrow[n] = narrow_entry(slot, user, FLAGS).unwrap();
                    wide[n] = wide_entry(slot, user, FLAGS);
                }
                let entry = narrow_entry(slot, user, flags).unwrap();
                assert_eq!(UserEntry::fitting(&narrow, entry), fitting);
                assert_eq!(
                    UserEntry::fitting(&wide, wide_entry(slot, user, flags)),
                    fitting
                );
            }
        }
    }

    #[test]
    fn any_number_of_users_has_room_and_none_is_lost_when_entries_become_wide() {
        const USERS: u64 = 100_000;
        let most_narrow = (u32::MAX >> 8, (1 << NARROW_USER_BITS) - 1);
        for (slot, user) in [
            (u32::MAX, 0),
            (0, u64::MAX),
            (most_narrow.0 + 1, 0),
            (0, most_narrow.1 + 1),
        ] {
            let mut doings = Doings::default();
            assert_eq!(doings.add(most_narrow.0, most_narrow.1, 8), 0);
            let shared_user = USERS;
            for n in 0..USERS {
                assert_eq!(doings.add(7, n, 1), 0);
                assert_eq!(doings.add(n as u32, shared_user, 4), 0);
            }
            assert!(matches!(doings, Doings::Narrow(_)));
            assert_eq!(doings.add(slot, user, 2), 0);
            assert!(matches!(doings, Doings::Wide(_)));
            assert_eq!(doings.add(slot, user, 2), 2);
            assert_eq!(doings.add(most_narrow.0, most_narrow.1, 8), 8);
            for n in 0..USERS {
                assert_eq!(doings.add(7, n, 2), 1);
                assert_eq!(doings.add(n as u32, shared_user, 8), 4);
            }
        }
    }

    #[test]
    fn a_table_is_begun_anew_with_room_for_fewer_and_for_more_users() {
        const USERS: u64 = 100_000;
        for widest in [0, u64::MAX] {
            let mut doings = Doings::default();
            doings.add(0, widest, 1);
            assert_eq!(matches!(doings, Doings::Wide(_)), widest > 0);
            for users in [USERS, USERS / 100, 10 * USERS, 0] {
                doings.begin(users);
                assert!((0..2 * USERS).all(|user| doings.add(7, user, 1) == 0));
                assert!((0..2 * USERS).all(|user| doings.add(7, user, 8) == 1));
            }
        }
    }
}
