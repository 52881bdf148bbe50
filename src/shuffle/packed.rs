//! Rows of whole numbers, packed: each value takes about as many bits as the largest of its column needs.
//!
//! The values of a row are put together in words of up to 64 bits, and a word takes as many bytes as its
//! values need. All rows of a chunk have one layout, so that a value is found without looking at the
//! others. Ids are stored less the least id of their column: a row of traffic takes about 16 bytes where
//! it has 52.

use anyhow::Result;
use bytes::BytesMut;

/// The values of one row.
pub(crate) type Row<const N: usize> = [u64; N];

/// The most rows that are handled together. So many fit into a core's nearest cache, where each step
/// of the work on them finds them.
pub(crate) const BLOCK: usize = 64;

/// A column of a block of rows.
pub(crate) type Column = [u64; BLOCK];

/// Some rows by column, so that the compiler makes several values of a column at a time.
#[derive(Clone, Copy)]
pub(crate) struct Block<const N: usize> {
    /// The first `rows` values of each are those of the rows.
    pub columns: [Column; N],
    /// At most [`BLOCK`].
    pub rows: usize,
}

impl<const N: usize> Block<N> {
    pub(super) const NO_ROWS: Block<N> = Block {
        columns: [[0; BLOCK]; N],
        rows: 0,
    };

    #[inline]
    pub(crate) fn row(&self, n: usize) -> Row<N> {
        self.columns.each_ref().map(|column| column[n])
    }

    /// The positions of the rows with a byte that is not 0. They are found without a branch for each row:
    /// no processor can guess which rows are wanted.
    #[inline]
    pub(crate) fn positions_where(
        &self,
        wanted: [u8; BLOCK],
    ) -> impl Iterator<Item = usize> + use<N> {
        let is_wanted = wanted.iter().enumerate();
        let bits = is_wanted.fold(0, |bits, (n, byte)| bits | u64::from(*byte > 0) << n);
        let mut bits = bits & lowest_bits(self.rows as u8);
        std::iter::from_fn(move || {
            let first = bits.trailing_zeros() as usize;
            bits &= bits.wrapping_sub(1);
            (first < BLOCK).then_some(first)
        })
    }

    pub(crate) fn each_row(&self) -> impl Iterator<Item = Row<N>> {
        (0..self.rows).map(|n| self.row(n))
    }
}

/// Declares a row by its fields: the one place that knows their order.
///
/// `VALUES` is their number. `into_row` and `of_row` convert between the fields and a [`Row`], and between
/// their columns and those of a block.
macro_rules! named_row {
    ($(#[$doc:meta])* $name:ident { $($field:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        struct $name<T = u64> {
            $($field: T),*
        }

        impl $name {
            const VALUES: usize = [$(stringify!($field)),*].len();
        }

        impl<T> $name<T> {
            #[inline]
            #[allow(dead_code, reason = "some rows come by column only")]
            fn into_row(self) -> [T; $name::VALUES] {
                [$(self.$field),*]
            }

            #[inline]
            fn of_row(row: [T; $name::VALUES]) -> $name<T> {
                let [$($field),*] = row;
                $name { $($field),* }
            }
        }
    };
}
pub(crate) use named_row;

/// The bits that each value of a row takes, 0 to 64.
pub(super) type Widths<const N: usize> = [u8; N];

/// Widths are multiples of this, so that a layout holds somewhat larger values too and is seldom widened.
const WIDTH_STEP: u32 = 4;

/// Packed rows of one partition, as many as fit. A chunk is filled before it is handed over, so
/// threads seldom meet.
pub(super) struct Chunk<const N: usize> {
    pub bytes: BytesMut,
    pub used: usize,
    pub widths: Widths<N>,
}

impl<const N: usize> Chunk<N> {
    pub(super) fn rows(&self) -> u64 {
        rows_of(&self.widths, self.used)
    }
}

/// The rows that so many bytes hold.
pub(super) fn rows_of<const N: usize>(widths: &Widths<N>, bytes: usize) -> u64 {
    (bytes / Layout::new(*widths).row_bytes) as u64
}

/// Words are written and read eight bytes at a time, which may touch as many bytes behind a row.
pub(super) const PADDING: usize = 8;

/// Bytes that a packed row of `values` can take, with its padding.
pub(super) const fn most_bytes(values: usize) -> usize {
    8 * values + PADDING
}

/// Any start of a word and eight bytes: the compiler sees that a word is never written outside.
pub(super) const WINDOW_BYTES: usize = u8::MAX as usize + 8;

/// The window at the start of bytes.
///
/// # Panics
/// When there are fewer: a mistake in this program.
#[inline]
pub(super) fn window(bytes: &mut [u8]) -> &mut [u8; WINDOW_BYTES] {
    match bytes.first_chunk_mut() {
        Some(window) => window,
        None => panic!("no window of {WINDOW_BYTES} bytes"),
    }
}

/// Where the values of a row are.
#[derive(Clone, Copy)]
pub(super) struct Layout<const N: usize> {
    pub widths: Widths<N>,
    /// At least one: rows whose values are all 0 can be counted too.
    pub row_bytes: usize,
    values: [Place; N],
    /// The number of words, and the first byte of each.
    words: usize,
    starts: [u8; N],
}

/// Where a value is.
#[derive(Clone, Copy, Default)]
struct Place {
    word: u8,
    /// The bits below it in the word.
    shift: u8,
    /// The bits of a value that are stored.
    stored: u64,
}

impl<const N: usize> Layout<N> {
    pub(super) fn new(widths: Widths<N>) -> Layout<N> {
        const { assert!(8 * N <= u8::MAX as usize, "starts are bytes") };
        let (mut values, mut word_bits, mut words) = ([Place::default(); N], [0_u8; N], 0);
        for (value, width) in values.iter_mut().zip(widths) {
            // The first word with room. Each value has room in one of N words.
            let has_room = |word: &usize| word_bits[*word] + width <= u64::BITS as u8;
            let word = (0..N).find(has_room).unwrap_or_default();
            *value = Place {
                word: word as u8,
                shift: word_bits[word] % u64::BITS as u8,
                stored: lowest_bits(width),
            };
            word_bits[word] += width;
            words = words.max(word + usize::from(width > 0));
        }
        let (mut starts, mut row_bytes) = ([0; N], 0);
        for (start, bits) in starts.iter_mut().zip(word_bits) {
            *start = row_bytes;
            row_bytes += bits.div_ceil(8);
        }
        Layout {
            widths,
            row_bytes: usize::from(row_bytes).max(1),
            values,
            words,
            starts,
        }
    }

    /// Whether each value fits its width; `bits`: those that any row has.
    #[inline]
    pub(super) fn holds(&self, bits: &Row<N>) -> bool {
        let lost = bits.iter().zip(&self.values);
        lost.fold(0, |all, (value, place)| all | value & !place.stored) == 0
    }

    /// A layout that holds these bits too.
    pub(super) fn widened(&self, bits: &Row<N>) -> Layout<N> {
        let mut widths = self.widths;
        for (width, bits) in widths.iter_mut().zip(bits) {
            let needed = (u64::BITS - bits.leading_zeros()).next_multiple_of(WIDTH_STEP);
            *width = (*width).max(needed as u8);
        }
        Layout::new(widths)
    }

    /// The words of the rows of a block, whose values the layout holds. Of `words`, the first ones are
    /// used.
    #[inline]
    pub(super) fn join(&self, block: &Block<N>, words: &mut [Column; N]) {
        words[..self.words].iter_mut().for_each(|word| word.fill(0));
        for (place, column) in self.values.iter().zip(&block.columns) {
            let word = &mut words[usize::from(place.word)];
            for (word, value) in word.iter_mut().zip(column) {
                *word |= value << (place.shift & 63);
            }
        }
    }

    /// Writes row `n` of the words of a block to the start of `out`; only its `row_bytes` and the padding
    /// are touched.
    #[inline]
    pub(super) fn pack(&self, words: &[Column; N], n: usize, out: &mut [u8; WINDOW_BYTES]) {
        let mut put = |word: usize| {
            let start = usize::from(self.starts[word]);
            out[start..start + 8].copy_from_slice(&words[word][n].to_le_bytes());
        };
        // Most rows have two words.
        match self.words {
            2 => (0..N.min(2)).for_each(put),
            words => (0..words).for_each(&mut put),
        }
    }

    /// Reads the rows of a block; `bytes` start with the first one.
    #[inline]
    fn unpack(&self, bytes: &[u8], words: &mut [Column; N], block: &mut Block<N>) {
        for (word, start) in words[..self.words].iter_mut().zip(self.starts) {
            let each_row = bytes[usize::from(start)..]
                .windows(8)
                .step_by(self.row_bytes);
            for (word, eight) in word[..block.rows].iter_mut().zip(each_row) {
                *word = eight
                    .first_chunk()
                    .map_or(0, |eight| u64::from_le_bytes(*eight));
            }
        }
        for (place, column) in self.values.iter().zip(&mut block.columns) {
            for (value, word) in column.iter_mut().zip(&words[usize::from(place.word)]) {
                *value = word >> (place.shift & 63) & place.stored;
            }
        }
    }

    /// Hands packed rows on, [`BLOCK`] at a time, up to an error; `bytes` ends with [`PADDING`].
    #[inline]
    pub(super) fn unpack_each(
        &self,
        bytes: &[u8],
        mut hand_on: impl FnMut(&Block<N>) -> Result<()>,
    ) -> Result<()> {
        let (mut words, mut block) = ([[0; BLOCK]; N], Block::NO_ROWS);
        let rows = (bytes.len() - PADDING) / self.row_bytes;
        for first in (0..rows).step_by(BLOCK) {
            block.rows = BLOCK.min(rows - first);
            self.unpack(&bytes[first * self.row_bytes..], &mut words, &mut block);
            hand_on(&block)?;
        }
        Ok(())
    }
}

/// A number whose lowest bits are all ones.
fn lowest_bits(bits: u8) -> u64 {
    u64::MAX
        .checked_shr(u64::BITS - u32::from(bits))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed<const N: usize>(layout: &Layout<N>, rows: &[Row<N>]) -> Vec<u8> {
        let mut bytes = vec![0; rows.len() * layout.row_bytes + WINDOW_BYTES];
        let (mut block, mut words) = (Block::NO_ROWS, [[0; BLOCK]; N]);
        for (n, row) in rows.iter().enumerate() {
            assert!(layout.holds(row));
            (0..N).for_each(|column| block.columns[column][n % BLOCK] = row[column]);
            layout.join(&block, &mut words);
            layout.pack(
                &words,
                n % BLOCK,
                window(&mut bytes[n * layout.row_bytes..]),
            );
        }
        bytes.truncate(rows.len() * layout.row_bytes + PADDING);
        bytes
    }

    fn unpacked<const N: usize>(layout: &Layout<N>, bytes: &[u8]) -> Vec<Row<N>> {
        let mut rows = Vec::new();
        let push = |block: &Block<N>| {
            rows.extend(block.each_row());
            Ok(())
        };
        layout.unpack_each(bytes, push).unwrap();
        rows
    }

    #[test]
    fn a_column_takes_as_many_steps_of_bits_as_its_largest_value_needs() {
        let layout = Layout::new([0; 3]);
        assert!(layout.holds(&[0; 3]));
        assert!(!layout.holds(&[0, 1, 0]));
        let layout = layout.widened(&[0, 17, u64::MAX]);
        assert_eq!((layout.widths, layout.row_bytes), ([0, 8, 64], 9));
        assert!(layout.holds(&[0, 255, 1]));
        assert!(!layout.holds(&[0, 256, 1]));
        let layout = layout.widened(&[0, 256, 1]);
        assert_eq!((layout.widths, layout.row_bytes), ([0, 12, 64], 10));
    }

    #[test]
    fn values_share_the_bytes_of_a_word() {
        // 12 + 40 + 8 and 28 bits: the third value goes to the first word with room.
        let layout = Layout::new([12, 40, 28, 8]);
        assert_eq!((layout.words, layout.row_bytes), (2, 8 + 4));
        assert_eq!(layout.starts[..2], [0, 8]);
        let rows = [[1, 2, 3, 4], [0xfff, 0xff_ffff_ffff, 0xfff_ffff, 0xff]];
        assert_eq!(unpacked(&layout, &packed(&layout, &rows)), rows);
    }

    #[test]
    fn rows_without_any_value_are_still_rows() {
        let layout = Layout::new([0; 2]);
        let rows = [[0; 2]; 150];
        assert_eq!(unpacked(&layout, &packed(&layout, &rows)), rows);
    }

    proptest! {
        #[test]
        fn rows_come_back_as_they_were(
            rows in prop::collection::vec(prop::array::uniform7((0..64_u32, any::<u64>())), 0..150)
        ) {
            let rows: Vec<Row<7>> = rows.iter().map(|row| row.map(|(shift, value)| value >> shift)).collect();
            let layout = rows.iter().fold(Layout::new([0; 7]), |layout, row| layout.widened(row));
            prop_assert_eq!(unpacked(&layout, &packed(&layout, &rows)), rows);
        }

        /// Each value of its own size, so that words are shared in many ways.
        #[test]
        fn words_are_shared_in_any_way(shifts in prop::array::uniform9(0..64_u32), seed in any::<u64>()) {
            let value = |n: usize, row: u64| {
                let mixed = (seed ^ row << 32 ^ n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                (mixed ^ mixed >> 29).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> shifts[n]
            };
            let rows: Vec<Row<9>> = (0..100).map(|row| std::array::from_fn(|n| value(n, row))).collect();
            let layout = rows.iter().fold(Layout::new([0; 9]), |layout, row| layout.widened(row));
            prop_assert_eq!(unpacked(&layout, &packed(&layout, &rows)), rows);
        }
    }
}
