//! Rows of whole numbers, packed: each value takes as many bytes as the largest of its column needs.
//!
//! All rows of a chunk have one layout, so that a value is found without looking at the others. Ids
//! are stored less the least id of their column: a row of traffic takes about 20 bytes where it has
//! 52.

use anyhow::Result;
use bytes::BytesMut;

/// The values of one row.
pub(crate) type Row<const N: usize> = [u64; N];

/// Declares a row by its fields: the one place that knows their order.
///
/// `VALUES` is their number, `to_row` and `of_row` convert between the fields and a [`Row`].
macro_rules! named_row {
    ($(#[$doc:meta])* $name:ident { $($field:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        struct $name {
            $($field: u64),*
        }

        impl $name {
            const VALUES: usize = [$(stringify!($field)),*].len();

            #[inline]
            fn to_row(self) -> [u64; $name::VALUES] {
                [$(self.$field),*]
            }

            #[inline]
            fn of_row(row: &[u64; $name::VALUES]) -> $name {
                let [$($field),*] = *row;
                $name { $($field),* }
            }
        }
    };
}
pub(crate) use named_row;

/// The bytes that each value of a row takes, 0 to 8.
pub(super) type Widths<const N: usize> = [u8; N];

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
    (bytes / row_bytes(widths)) as u64
}

/// At least one: rows whose values are all 0 can be counted too.
fn row_bytes<const N: usize>(widths: &Widths<N>) -> usize {
    widths
        .iter()
        .copied()
        .map(usize::from)
        .sum::<usize>()
        .max(1)
}

/// Values are written and read eight bytes at a time, which may touch as many bytes behind a row.
pub(super) const PADDING: usize = 8;

/// Bytes that a packed row of `values` can take, with its padding.
pub(super) const fn most_bytes(values: usize) -> usize {
    8 * values + PADDING
}

/// Any start of a value and eight bytes: the compiler sees that a value is never written outside.
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
    pub row_bytes: usize,
    starts: [u8; N],
    /// The bits of each value that are stored.
    stored: Row<N>,
}

impl<const N: usize> Layout<N> {
    pub(super) fn new(widths: Widths<N>) -> Layout<N> {
        const { assert!(8 * N <= u8::MAX as usize, "starts are bytes") };
        let mut starts = [0; N];
        for position in 1..N {
            starts[position] = starts[position - 1] + widths[position - 1];
        }
        Layout {
            widths,
            row_bytes: row_bytes(&widths),
            starts,
            stored: widths.map(lowest_bytes),
        }
    }

    /// Whether each value of the row fits its width.
    #[inline]
    pub(super) fn holds(&self, row: &Row<N>) -> bool {
        let lost = row.iter().zip(&self.stored);
        lost.fold(0, |all, (value, stored)| all | value & !stored) == 0
    }

    /// A layout that holds this row too.
    pub(super) fn widened(&self, row: &Row<N>) -> Layout<N> {
        let mut widths = self.widths;
        for (width, value) in widths.iter_mut().zip(row) {
            *width = (*width).max(((71 - value.leading_zeros()) / 8) as u8);
        }
        Layout::new(widths)
    }

    /// Writes a row that the layout holds to the start of `out`; only its `row_bytes` and the padding
    /// are touched.
    #[inline]
    pub(super) fn pack(&self, row: &Row<N>, out: &mut [u8; WINDOW_BYTES]) {
        for (start, value) in self.starts.iter().zip(row) {
            let start = usize::from(*start);
            out[start..start + 8].copy_from_slice(&value.to_le_bytes());
        }
    }

    #[inline]
    fn unpack(&self, bytes: &[u8]) -> Row<N> {
        let mut row = [0; N];
        for (position, value) in row.iter_mut().enumerate() {
            let start = usize::from(self.starts[position]);
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[start..start + 8]);
            *value = u64::from_le_bytes(eight) & self.stored[position];
        }
        row
    }

    /// Hands packed rows on, [`BLOCK`] at a time, up to an error; `bytes` ends with [`PADDING`].
    #[inline]
    pub(super) fn unpack_each(
        &self,
        bytes: &[u8],
        mut hand_on: impl FnMut(&[Row<N>]) -> Result<()>,
    ) -> Result<()> {
        let mut block = [[0; N]; BLOCK];
        let rows = (bytes.len() - PADDING) / self.row_bytes;
        for first in (0..rows).step_by(BLOCK) {
            let block = &mut block[..BLOCK.min(rows - first)];
            for (n, row) in block.iter_mut().enumerate() {
                *row = self.unpack(&bytes[(first + n) * self.row_bytes..]);
            }
            hand_on(block)?;
        }
        Ok(())
    }
}

/// The most rows that are handed on together. So many fit into a core's nearest cache, where each step
/// of the work on them finds them.
pub(crate) const BLOCK: usize = 64;

/// A number whose lowest bytes are all ones.
fn lowest_bytes(bytes: u8) -> u64 {
    u64::MAX.checked_shr(64 - 8 * u32::from(bytes)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed<const N: usize>(layout: &Layout<N>, rows: &[Row<N>]) -> Vec<u8> {
        let mut bytes = vec![0; rows.len() * layout.row_bytes + WINDOW_BYTES];
        for (n, row) in rows.iter().enumerate() {
            assert!(layout.holds(row));
            layout.pack(row, window(&mut bytes[n * layout.row_bytes..]));
        }
        bytes.truncate(rows.len() * layout.row_bytes + PADDING);
        bytes
    }

    fn unpacked<const N: usize>(layout: &Layout<N>, bytes: &[u8]) -> Vec<Row<N>> {
        let mut rows = Vec::new();
        let push = |block: &[Row<N>]| {
            rows.extend_from_slice(block);
            Ok(())
        };
        layout.unpack_each(bytes, push).unwrap();
        rows
    }

    #[test]
    fn a_column_takes_as_many_bytes_as_its_largest_value_needs() {
        let layout = Layout::new([0; 3]);
        assert!(layout.holds(&[0; 3]));
        assert!(!layout.holds(&[0, 1, 0]));
        let layout = layout.widened(&[0, 255, u64::MAX]);
        assert_eq!((layout.widths, layout.row_bytes), ([0, 1, 8], 9));
        assert!(!layout.holds(&[0, 256, 1]));
        let layout = layout.widened(&[0, 256, 1]);
        assert_eq!((layout.widths, layout.row_bytes), ([0, 2, 8], 10));
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
    }
}
