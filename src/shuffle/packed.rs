//! Rows of whole numbers in as few bytes as their values need, one after the other.
//!
//! A row of `N` values is `N` lengths of four bits (0 to 8) and then each value's lowest bytes,
//! little-endian. Ids are stored less the least id of their column, so that a row of traffic takes
//! about 20 bytes where it has 52.

use anyhow::Result;

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

/// Packed rows of one partition, as many as fit. A chunk is filled before it is handed over, so
/// threads seldom meet.
pub(super) struct Chunk {
    pub bytes: Box<[u8]>,
    pub used: usize,
    pub rows: u64,
}

/// Bytes that the lengths of a row take.
const fn head_bytes(values: usize) -> usize {
    values.div_ceil(2)
}

/// Bytes that a packed row of `values` can take; values are written and read eight bytes at a time,
/// which may touch as many bytes behind it.
pub(super) const fn most_bytes(values: usize) -> usize {
    head_bytes(values) + 8 * values + PADDING
}

/// Bytes that have to follow the last row when rows are read.
pub(super) const PADDING: usize = 8;

/// Writes a row to the start of `out`, which has room for [`most_bytes`]; returns the bytes that it
/// takes.
#[inline]
pub(super) fn pack<const N: usize>(row: &Row<N>, out: &mut [u8]) -> usize {
    const { assert!(N <= 16, "lengths are in one u64") };
    let mut lengths = 0;
    let mut at = head_bytes(N);
    for (position, value) in row.iter().enumerate() {
        let length = (71 - value.leading_zeros()) / 8;
        out[at..at + 8].copy_from_slice(&value.to_le_bytes());
        at += length as usize;
        lengths |= u64::from(length) << (4 * position);
    }
    out[..head_bytes(N)].copy_from_slice(&lengths.to_le_bytes()[..head_bytes(N)]);
    at
}

/// Hands every row of packed ones on, up to an error; `bytes` ends with [`PADDING`].
#[inline]
pub(super) fn unpack_each<const N: usize>(
    bytes: &[u8],
    mut hand_on: impl FnMut(&Row<N>) -> Result<()>,
) -> Result<()> {
    let end = bytes.len() - PADDING;
    let mut at = 0;
    while at < end {
        let lengths = eight(bytes, at) & mask(head_bytes(N));
        at += head_bytes(N);
        let mut row = [0; N];
        for (position, value) in row.iter_mut().enumerate() {
            let length = (lengths >> (4 * position) & 15) as usize;
            *value = eight(bytes, at) & mask(length);
            at += length;
        }
        hand_on(&row)?;
    }
    Ok(())
}

#[inline]
fn eight(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

/// The lowest bytes of a number.
#[inline]
fn mask(bytes: usize) -> u64 {
    MASKS[bytes & 15]
}

const MASKS: [u64; 16] = {
    let mut masks = [u64::MAX; 16];
    let mut bytes = 0;
    while bytes < 8 {
        masks[bytes] = (1 << (8 * bytes)) - 1;
        bytes += 1;
    }
    masks
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed<const N: usize>(rows: &[Row<N>]) -> Vec<u8> {
        let (mut bytes, mut end) = (vec![0; rows.len() * most_bytes(N) + PADDING], 0);
        for row in rows {
            end += pack(row, &mut bytes[end..]);
        }
        bytes.truncate(end + PADDING);
        bytes
    }

    fn unpacked<const N: usize>(bytes: &[u8]) -> Vec<Row<N>> {
        let mut rows = Vec::new();
        let push = |row: &Row<N>| {
            rows.push(*row);
            Ok(())
        };
        unpack_each(bytes, push).unwrap();
        rows
    }

    #[test]
    fn a_value_takes_as_many_bytes_as_it_needs() {
        // Two bytes of lengths for three values; then 0, 1 and 8 bytes.
        assert_eq!(packed(&[[0, 255, u64::MAX]]).len() - PADDING, 2 + 9);
        assert_eq!(
            packed(&[[256, 0xff_ffff, 1]]).len() - PADDING,
            2 + 2 + 3 + 1
        );
    }

    proptest! {
        #[test]
        fn rows_come_back_as_they_were(
            rows in prop::collection::vec(prop::array::uniform7((0..64_u32, any::<u64>())), 0..50)
        ) {
            let rows: Vec<Row<7>> = rows.iter().map(|row| row.map(|(shift, value)| value >> shift)).collect();
            prop_assert_eq!(unpacked::<7>(&packed(&rows)), rows);
        }
    }
}
