//! Chooses the partition of each shop: by a hash or by ranges of ids.

use std::ops::RangeInclusive;

/// Rows of a partition by hash, about: a table of their users takes half a megabyte and stays in a
/// core's cache. With smaller partitions, the rows that wait for all of them do not.
const ROWS_PER_PARTITION: u64 = 32 * 1024;
/// Every thread has an open chunk for every partition, and writes to all of them in turn.
const MOST_PARTITIONS: u64 = 4096;
/// Rows of a range, about. A thread writes to few ranges at a time, so they can be smaller. Its chunks are as
/// small as if it wrote to all of them: most are handed over before they are full.
const ROWS_PER_RANGE: u64 = 8 * 1024;
const MOST_RANGES: u64 = 16 * 1024;

/// The shops of a row group, as its statistics tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupShops {
    pub rows: u64,
    /// The least and the greatest `shop_id`; `None`: not told.
    pub range: Option<RangeInclusive<i64>>,
}

/// A shop's rows are all in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// By the upper bits of a hash: for shops in any order.
    Hash { bits: u32 },
    /// By ranges of shop ids, for row groups that hold few shops each: partition `n` starts at
    /// `first_shops[n]`, the first one at the least id. Once the row groups that can hold its shops
    /// are read, a partition is complete.
    Ranges {
        first_shops: Vec<i64>,
        row_groups: Vec<RangeInclusive<usize>>,
    },
}

/// Points at which a row group's rows are imagined, evenly over its range of shops.
const POINTS: u64 = 64;

impl Split {
    /// Ranges where the row groups come clustered by shop, which saves keeping the whole day; else
    /// a hash. `most_partitions`: as many as fit into memory.
    pub(crate) fn of(groups: &[GroupShops], most_partitions: u64) -> Split {
        let rows: u64 = groups.iter().map(|group| group.rows).sum();
        let most = most_partitions.clamp(1, MOST_PARTITIONS);
        let partitions = rows.div_ceil(ROWS_PER_PARTITION).clamp(1, most);
        let most_ranges = most_partitions.clamp(1, MOST_RANGES);
        let ranges = Split::ranges(groups, rows.div_ceil(ROWS_PER_RANGE).clamp(1, most_ranges));
        let bits = partitions
            .next_power_of_two()
            .min(1 << most.ilog2())
            .ilog2();
        ranges.unwrap_or(Split::Hash { bits })
    }

    /// For the rows of one partition, which are split once more, by their members or groups. The
    /// number of partitions minimizes the memory of their open chunks plus the members of one of
    /// them: it is least where both are equal.
    pub(crate) fn again(rows: u64, member_bytes_per_row: u64, open_bytes: u64) -> Split {
        let partitions = (rows.saturating_mul(member_bytes_per_row) / open_bytes)
            .isqrt()
            .clamp(2, MOST_PARTITIONS);
        Split::Hash {
            bits: partitions.ilog2(),
        }
    }

    /// At most so many partitions: each but the last has its share of the rows.
    fn ranges(groups: &[GroupShops], partitions: u64) -> Option<Split> {
        let ranges: Vec<_> = groups
            .iter()
            .map(|group| group.range.clone())
            .collect::<Option<_>>()?;
        let mut points: Vec<(i64, u64)> = Vec::new();
        for (group, range) in groups.iter().zip(&ranges) {
            let width = i128::from(*range.end()) - i128::from(*range.start());
            points.extend((0..POINTS).map(|n| {
                let shop = i128::from(*range.start()) + width * i128::from(n) / i128::from(POINTS);
                (shop as i64, group.rows.div_ceil(POINTS))
            }));
        }
        points.sort_unstable();
        let rows_per_partition = points
            .iter()
            .map(|(_, rows)| rows)
            .sum::<u64>()
            .div_ceil(partitions);
        let (mut first_shops, mut rows) = (vec![i64::MIN], 0);
        for (shop, more) in points {
            if rows >= rows_per_partition && first_shops.last() != Some(&shop) {
                first_shops.push(shop);
                rows = 0;
            }
            rows += more;
        }
        let row_groups: Vec<_> = ranges
            .iter()
            .map(|range| {
                range_of(&first_shops, *range.start())..=range_of(&first_shops, *range.end())
            })
            .collect();
        let touched: usize = row_groups
            .iter()
            .map(|partitions| partitions.clone().count())
            .sum();
        let is_clustered =
            first_shops.len() > 1 && touched * FEW <= first_shops.len() * groups.len();
        is_clustered.then_some(Split::Ranges {
            first_shops,
            row_groups,
        })
    }

    pub(crate) fn partitions(&self) -> usize {
        match self {
            Split::Hash { bits } => 1 << bits,
            Split::Ranges { first_shops, .. } => first_shops.len(),
        }
    }

    /// For each partition, the number of row groups that can hold its shops; empty for a hash.
    pub(super) fn touching(&self) -> Vec<usize> {
        let Split::Ranges { row_groups, .. } = self else {
            return vec![];
        };
        let mut touching = vec![0; self.partitions()];
        for partitions in row_groups {
            for partition in partitions.clone() {
                touching[partition] += 1;
            }
        }
        touching
    }

    /// `before`: the partition of the row before, which is often the same.
    #[inline]
    pub(crate) fn partition(&self, shop_id: i64, before: usize) -> usize {
        match self {
            Split::Hash { bits: 0 } => 0,
            Split::Hash { bits } => {
                ((shop_id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - bits)) as usize
            }
            Split::Ranges { first_shops, .. } => {
                let is_after = first_shops
                    .get(before + 1)
                    .is_some_and(|next| shop_id >= *next);
                if shop_id >= first_shops[before] && !is_after {
                    before
                } else {
                    range_of(first_shops, shop_id)
                }
            }
        }
    }
}

/// Row groups are clustered when each touches at most one in so many of the partitions.
const FEW: usize = 8;

/// The range that a shop lies in; the first one starts at the least id.
fn range_of(first_shops: &[i64], shop_id: i64) -> usize {
    first_shops.partition_point(|first| *first <= shop_id) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(count: i64, shops_of: impl Fn(i64) -> RangeInclusive<i64>) -> Vec<GroupShops> {
        (0..count)
            .map(|n| GroupShops {
                rows: 131_072,
                range: Some(shops_of(n)),
            })
            .collect()
    }

    #[test]
    fn few_rows_are_one_partition() {
        assert_eq!(Split::of(&[], 4096), Split::Hash { bits: 0 });
        assert_eq!(
            Split::of(
                &[GroupShops {
                    rows: 10,
                    range: Some(1..=5)
                }],
                4096
            ),
            Split::Hash { bits: 0 }
        );
    }

    #[test]
    fn shops_in_any_order_are_split_by_hash() {
        // 64 row groups with all shops: 8 388 608 rows, 256 partitions of 32 768.
        assert_eq!(
            Split::of(&groups(64, |_| 1..=20_000), 4096),
            Split::Hash { bits: 8 }
        );
        assert_eq!(
            Split::of(&groups(64, |_| 1..=20_000), 100),
            Split::Hash { bits: 6 }
        );
        let mut untold = groups(64, |n| n * 100..=n * 100 + 99);
        untold[5].range = None;
        assert_eq!(Split::of(&untold, 4096), Split::Hash { bits: 8 });
    }

    #[test]
    fn members_are_split_into_as_many_partitions_as_take_the_least_memory() {
        // The root of 4 000 000 * 120 / 1536 is 559, so 512: 786 432 bytes are open, members of 7
        // 813 rows take 937 560.
        assert_eq!(Split::again(4_000_000, 120, 1536), Split::Hash { bits: 9 });
        assert_eq!(Split::again(65, 120, 1536), Split::Hash { bits: 1 });
        assert_eq!(Split::again(u64::MAX, 120, 1536), Split::Hash { bits: 12 });
    }

    #[test]
    fn clustered_shops_are_split_by_range_and_row_groups_know_their_partitions() {
        // Neighbours share a shop, as where a shop's rows are cut in two.
        let split = Split::of(&groups(64, |n| n * 100..=n * 100 + 100), 4096);
        let Split::Ranges {
            first_shops,
            row_groups,
        } = &split
        else {
            panic!("{split:?}")
        };
        let few = Split::of(&groups(64, |n| n * 100..=n * 100 + 100), 100);
        assert!(
            matches!(&few, Split::Ranges { .. }) && (50..=100).contains(&few.partitions()),
            "{few:?}"
        );
        assert!(
            (980..=1040).contains(&first_shops.len()),
            "{}",
            first_shops.len()
        );
        for (n, partitions) in row_groups.iter().enumerate() {
            for shop_id in [n as i64 * 100, n as i64 * 100 + 50, n as i64 * 100 + 100] {
                for before in [0, first_shops.len() - 1, *partitions.start()] {
                    assert!(partitions.contains(&split.partition(shop_id, before)));
                }
            }
        }
    }

    #[test]
    fn any_shop_has_one_partition_whatever_came_before() {
        for split in [
            Split::Hash { bits: 7 },
            Split::of(&groups(64, |n| n * 100 - 3_000..=n * 100 - 2_900), 4096),
        ] {
            for shop_id in [i64::MIN, -2_999, -1, 0, 1, 777, i64::MAX] {
                let partition = split.partition(shop_id, 0);
                assert!(partition < split.partitions());
                assert!(
                    (0..split.partitions())
                        .all(|before| split.partition(shop_id, before) == partition)
                );
            }
        }
    }
}
