//! Texts as ids: a text of digits is the number that it shows, every other text has a number by its hash.
//!
//! | text | id |
//! | --- | --- |
//! | digits without a leading zero, up to 2^63-1 | the number, 0 or more |
//! | any other text that is not empty | `-1 - h`, less than 0; `h` is the first 63 bits of the SHA-256 of its UTF-8 bytes |
//!
//! The signs keep the two apart, so only two hashes can be equal. The texts of a day that were hashed, of
//! all its exports, are kept as their hashes and compared (`shared_ids`).

use std::collections::BTreeSet;
use std::sync::Mutex;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use sha2::{Digest, Sha256};

use crate::threads::lock;

/// The bits of a hash that are an id.
const ID_BITS: u32 = 63;
/// Tables of hashed texts, so that threads seldom wait for one another.
const SHARDS: usize = 64;
/// The most memory that a hashed text takes: 13 bytes in a table that was just doubled, and is 7/16 full.
const BYTES_PER_TEXT: u64 = 32;

/// The ids of the texts of a day, and what is done with them beside.
#[derive(Debug)]
pub(crate) struct TextIds {
    bits: u32,
    task: Task,
}

#[derive(Debug)]
enum Task {
    /// The texts were compared before.
    Nothing,
    Compare(Compared),
    /// The texts that have this id, with their columns.
    Seek {
        id: i64,
        found: Mutex<BTreeSet<(&'static str, String)>>,
    },
}

/// The hashes of all texts seen so far.
#[derive(Debug)]
struct Compared {
    shards: Vec<Mutex<HashTable<Hashed>>>,
    most_in_shard: usize,
    /// The least id that two texts have.
    shared: Mutex<Option<i64>>,
    /// The datasets with texts for which there was no memory.
    left_out: Mutex<BTreeSet<&'static str>>,
}

/// A text: its id in two halves, and 32 more bits of its hash.
type Hashed = [u32; 3];

impl TextIds {
    /// Compares the texts of a day. Their hashes take up to `memory_bytes`.
    pub(super) fn compared(memory_bytes: u64) -> TextIds {
        TextIds::with_bits(ID_BITS, memory_bytes)
    }

    fn with_bits(bits: u32, memory_bytes: u64) -> TextIds {
        let most = memory_bytes / BYTES_PER_TEXT / SHARDS as u64;
        let task = Task::Compare(Compared {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            most_in_shard: usize::try_from(most).unwrap_or(usize::MAX).max(1),
            shared: Mutex::default(),
            left_out: Mutex::default(),
        });
        TextIds { bits, task }
    }

    /// Of exports whose texts were compared before.
    pub(super) fn known() -> TextIds {
        TextIds {
            bits: ID_BITS,
            task: Task::Nothing,
        }
    }

    /// Collects the texts that have this id.
    pub(super) fn seeking(id: i64) -> TextIds {
        let found = Mutex::default();
        TextIds {
            bits: ID_BITS,
            task: Task::Seek { id, found },
        }
    }

    /// The least id that two of the texts have.
    pub(super) fn shared(&self) -> Option<i64> {
        *lock(&self.compared_texts()?.shared)
    }

    /// The datasets with texts that were not compared, because there are more than [`TextIds::most`].
    pub(super) fn left_out(&self) -> BTreeSet<&'static str> {
        let compared = self.compared_texts();
        compared.map_or_else(BTreeSet::new, |compared| lock(&compared.left_out).clone())
    }

    /// How many texts can be compared.
    pub(super) fn most(&self) -> usize {
        let most = self.compared_texts().map(|compared| compared.most_in_shard);
        most.unwrap_or(0).saturating_mul(SHARDS)
    }

    /// The texts that were sought and have come since the last call, with their columns.
    pub(super) fn take_found(&self) -> BTreeSet<(&'static str, String)> {
        match &self.task {
            Task::Seek { found, .. } => std::mem::take(&mut *lock(found)),
            Task::Nothing | Task::Compare(_) => BTreeSet::new(),
        }
    }

    fn compared_texts(&self) -> Option<&Compared> {
        match &self.task {
            Task::Compare(compared) => Some(compared),
            Task::Nothing | Task::Seek { .. } => None,
        }
    }

    /// The ids of texts of a dataset that are no numbers.
    pub(super) fn ids(
        &self,
        dataset: &'static str,
        column: &'static str,
        texts: &[&str],
    ) -> Vec<i64> {
        let hashes = texts.iter().map(|text| hash(text));
        let (ids, more): (Vec<i64>, Vec<u32>) =
            hashes.map(|(hash, more)| (self.id(hash), more)).unzip();
        match &self.task {
            Task::Nothing => {}
            Task::Compare(compared) => compared.add(ids.iter().copied().zip(more), dataset),
            Task::Seek { id: sought, found } => {
                for (_, text) in ids.iter().zip(texts).filter(|(id, _)| *id == sought) {
                    lock(found).insert((column, (*text).to_owned()));
                }
            }
        }
        ids
    }

    fn id(&self, hash: u64) -> i64 {
        -1 - (hash >> (u64::BITS - self.bits)) as i64
    }
}

/// The first 64 bits of the SHA-256 of a text, and the 32 after them.
fn hash(text: &str) -> (u64, u32) {
    let digest = Sha256::digest(text.as_bytes());
    let bits = digest[..16].iter();
    let bits = bits.fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    ((bits >> 64) as u64, (bits >> 32) as u32)
}

impl Compared {
    /// Those of one table after the other: with one lock for many of them, a processor waits for several
    /// places in memory at once.
    fn add(&self, hashed: impl Iterator<Item = (i64, u32)>, dataset: &'static str) {
        let mut of_shards = [const { Vec::new() }; SHARDS];
        for (id, more) in hashed {
            of_shards[id as usize % SHARDS].push([(id >> 32) as u32, id as u32, more]);
        }
        for (shard, hashed) in self.shards.iter().zip(of_shards) {
            let mut shard = lock(shard);
            for new in hashed {
                self.add_to(&mut shard, new, dataset);
            }
        }
    }

    fn add_to(&self, shard: &mut HashTable<Hashed>, new: Hashed, dataset: &'static str) {
        // The least bits choose the table, and the others the place in it. The product mixes them: the table
        // looks at the highest bits first, and the highest one of an id is always set.
        let id = |[high, low, _]: &Hashed| u64::from(*high) << 32 | u64::from(*low);
        let place =
            |hashed: &Hashed| (id(hashed) / SHARDS as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let has_room = shard.len() < self.most_in_shard;
        let is_same_id = |known: &Hashed| known[..2] == new[..2];
        match shard.entry(place(&new), is_same_id, place) {
            Entry::Occupied(known) if known.get()[2] == new[2] => {}
            Entry::Occupied(_) => {
                let (id, mut shared) = (id(&new) as i64, lock(&self.shared));
                *shared = Some(shared.map_or(id, |least| least.min(id)));
            }
            Entry::Vacant(vacant) if has_room => drop(vacant.insert(new)),
            Entry::Vacant(_) => {
                lock(&self.left_out).insert(dataset);
            }
        }
    }
}

/// The digits of 2^63-1; twenty would not fit 64 bits in any case.
const MOST_DIGITS: usize = 19;

/// `None` for a text with leading zeros, a sign or anything else.
#[inline]
pub(super) fn number_of(text: &str) -> Option<i64> {
    let digits = text.as_bytes();
    let has_zeros = digits.len() > 1 && digits[0] == b'0';
    if digits.is_empty() || digits.len() > MOST_DIGITS || has_zeros {
        return None;
    }
    let (mut number, mut is_digits) = (0_u64, true);
    let Some(first) = digits.first_chunk() else {
        for digit in digits {
            let digit = digit.wrapping_sub(b'0');
            is_digits &= digit <= 9;
            number = number.wrapping_mul(10).wrapping_add(digit.into());
        }
        return is_digits.then_some(number as i64);
    };
    // Eight digits at a time, after those that are left over.
    let left_over = digits.len() % 8;
    if left_over > 0 {
        let first = Eight::of(first);
        is_digits &= first.is_digits();
        number = first.only(left_over).number();
    }
    for eight in digits[left_over..].as_chunks().0 {
        let eight = Eight::of(eight);
        is_digits &= eight.is_digits();
        number = number
            .wrapping_mul(100_000_000)
            .wrapping_add(eight.number());
    }
    i64::try_from(number).ok().filter(|_| is_digits)
}

/// The number of a text of up to 12 bytes, which Arrow keeps in the view itself, behind its length. `None`
/// also for a longer one.
#[inline]
pub(super) fn number_of_view(view: u128) -> Option<i64> {
    let length = view as u32;
    if !(1..=12).contains(&length) {
        return None;
    }
    // Sixteen digits, of which the first ones are zeros.
    let digits = (view >> u32::BITS) ^ u128::from_le_bytes([b'0'; 16]);
    let zeros = u128::BITS - 8 * length;
    let digits = digits << zeros;
    let [first, last] = [digits as u64, (digits >> 64) as u64].map(Eight);
    let has_zeros = length > 1 && (digits >> zeros) as u8 == 0;
    let number = first.number() * 100_000_000 + last.number();
    (first.is_digits() & last.is_digits() & !has_zeros).then_some(number as i64)
}

/// Eight characters less `0`, in a word; the first one is in the lowest byte.
#[derive(Clone, Copy)]
struct Eight(u64);

impl Eight {
    fn of(characters: &[u8; 8]) -> Eight {
        Eight(u64::from_le_bytes(*characters) ^ u64::from_le_bytes([b'0'; 8]))
    }

    /// A byte above 9 has a high bit itself, or with 118 added.
    fn is_digits(self) -> bool {
        let above_9 = (self.0 & u64::from_le_bytes([0x7f; 8])) + u64::from_le_bytes([118; 8]);
        (above_9 | self.0) & u64::from_le_bytes([0x80; 8]) == 0
    }

    /// The first digits, 1 to 7 of them, after zeros.
    fn only(self, digits: usize) -> Eight {
        Eight(self.0 << (8 * (8 - digits)))
    }

    /// Adds up neighbours: two digits, then four, then all.
    fn number(self) -> u64 {
        let twos = self.0.wrapping_mul(10).wrapping_add(self.0 >> 8) & 0x00ff_00ff_00ff_00ff;
        let fours = twos.wrapping_mul(100).wrapping_add(twos >> 16) & 0x0000_ffff_0000_ffff;
        fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow_array::StringViewArray;

    use super::*;

    fn id(ids: &TextIds, dataset: &'static str, text: &str) -> i64 {
        ids.ids(dataset, "the_id", &[text])[0]
    }

    /// -1 less the first 63 bits of the SHA-256, as `hashlib` of Python gives it.
    #[test]
    fn a_text_that_is_no_number_has_the_id_of_its_hash() {
        let ids = TextIds::known();
        assert_eq!(id(&ids, "shops", "abc"), ABC);
        assert_eq!(id(&ids, "shops", "007"), OO7);
        assert_eq!(id(&ids, "shops", "N/A"), NA);
    }

    fn view(text: &str) -> u128 {
        StringViewArray::from(vec![text]).views()[0]
    }

    const ABC: i64 = -6_718_257_250_126_850_038;
    const OO7: i64 = -3_553_241_685_104_100_999;
    const NA: i64 = -8_177_357_343_556_208_094;

    /// As the number's own reader reads it, and only in its own form.
    #[test]
    fn a_text_of_digits_of_any_length_is_its_number() {
        let plain = |text: &str| {
            let number: i64 = text.parse().ok()?;
            (number.to_string() == text && number >= 0).then_some(number)
        };
        let digits = "9182736455463728190";
        for length in 0..=digits.len() {
            for first in 0..=digits.len() - length {
                let text = &digits[first..first + length];
                assert_eq!(number_of(text), plain(text), "{text}");
                let of_view = plain(text).filter(|_| length <= 12);
                assert_eq!(number_of_view(view(text)), of_view, "{text}");
                for place in 0..length {
                    for other in ["/", ":", "-", " ", "\u{1}", "\u{7f}", "é"] {
                        let text = format!("{}{other}{}", &text[..place], &text[place + 1..]);
                        assert_eq!(number_of(&text), None, "{text}");
                        assert_eq!(number_of_view(view(&text)), None, "{text}");
                    }
                }
            }
        }
        for text in ["0", "00", "01", "0123", "10", "100000000", "999999999999"] {
            assert_eq!(number_of_view(view(text)), plain(text), "{text}");
        }
        for text in [
            "9223372036854775807",
            "9223372036854775808",
            "9999999999999999999",
        ] {
            assert_eq!(number_of(text), plain(text), "{text}");
        }
        assert_eq!(number_of("18446744073709551617"), None);
    }

    /// With 16 bits, a thousand texts have several ids in common: the least one is told, in any order of
    /// the texts, and texts that are met again are no others.
    #[test]
    fn two_texts_with_one_id_are_noticed() {
        let texts: Vec<String> = (0..1000).map(|n| format!("shop {n}")).collect();
        let (mut known, mut least) = (HashMap::new(), None::<i64>);
        for text in &texts {
            let digest = Sha256::digest(text.as_bytes());
            let id = -1 - i64::from(u16::from_be_bytes([digest[0], digest[1]]));
            if known.insert(id, text).is_some() {
                least = Some(least.map_or(id, |least| least.min(id)));
            }
        }
        assert!(least.is_some());
        let found = |texts: &mut dyn Iterator<Item = &String>| {
            let ids = TextIds::with_bits(16, 1 << 20);
            for text in texts {
                id(&ids, "shops", text);
            }
            ids.shared()
        };
        assert_eq!(found(&mut texts.iter()), least);
        assert_eq!(found(&mut texts.iter().rev()), least);
        let one = &texts[0];
        assert_eq!(found(&mut [one, one, one].into_iter()), None);
    }

    /// Two texts with the same first 63 bits of their SHA-256, found by a search.
    #[test]
    fn two_texts_with_one_id_of_63_bits_are_noticed() {
        let ids = TextIds::compared(1 << 20);
        let one = id(&ids, "shops", "id-7dbf50c42c5a8844");
        assert_eq!(one, -584_651_252_402_891_260);
        assert_eq!(ids.shared(), None);
        assert_eq!(id(&ids, "shops", "id-30371d644c92dbda"), one);
        assert_eq!(ids.shared(), Some(one));
    }

    #[test]
    fn more_texts_than_fit_into_the_memory_for_them_are_noticed() {
        let left_out = |texts: u32| {
            // Room for 64 texts in each of 64 tables.
            let ids = TextIds::compared(64 * 64 * BYTES_PER_TEXT);
            for text in 0..texts {
                id(&ids, "contents", &format!("c{text}"));
            }
            ids.left_out()
        };
        assert_eq!(left_out(2000), BTreeSet::new());
        assert_eq!(left_out(4097), BTreeSet::from(["contents"]));
    }
}
