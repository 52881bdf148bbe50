//! The range in which a number is expected, from the same number of earlier days.
//!
//! ```text
//! expected = the median of the days with the same weekday; of all days where there are fewer than 2
//! spread   = the median, over all days, of the distance between a day's number and its expected
//!            number, computed from the other days
//! allowed  = the greatest of: max_mads * spread * (days + 14) / days, min_change * expected, least
//! range    = expected - allowed to expected + allowed, both included
//! ```
//!
//! Each earlier day is judged as the day itself is, without its own number. So the spread is that of
//! predictions, and it holds the noise of a median of few days. The spread of few days is itself
//! uncertain, so it is widened: 3 times for 7 days, a quarter for 56. Everything is whole numbers: a
//! median of an even number of values lies at a half, and a spread at a quarter.

use std::cmp::Ordering;

use chrono::Weekday;

use crate::config::Share;

/// With fewer days of the weekday, the expected number is the median of all days.
const MIN_SAME_WEEKDAY: usize = 2;

/// The spread of so many days counts double. Chosen by the factor by which Student's t exceeds the
/// normal distribution, four standard deviations out; a median of deviations is worth a third of its
/// days. Too small a number cries wolf while there are few days.
const DOUBTED_DAYS: i128 = 14;

/// The number of an earlier day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub weekday: Weekday,
    pub value: i64,
}

/// How far from the expected number a number may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    /// In spreads.
    pub max_mads: Share,
    /// As a share of the expected number.
    pub min_change: Share,
    /// In the unit of the number.
    pub least: i64,
}

/// The sides on which a number can be out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sides {
    Both,
    /// Only a number that is too low.
    Low,
    /// Only a number that is too high.
    High,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// Rounded down.
    pub expected: i64,
    /// The least number in range; `None`: no number is too low.
    pub lowest: Option<i64>,
    /// The greatest number in range; `None`: no number is too high.
    pub highest: Option<i64>,
}

impl Range {
    /// The numbers that are in both ranges.
    pub(super) fn within(&self, other: &Range) -> Range {
        Range {
            expected: self.expected,
            lowest: self.lowest.max(other.lowest),
            highest: self.highest.into_iter().chain(other.highest).min(),
        }
    }
}

/// A number and its range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub value: i64,
    pub range: Range,
}

impl Judged {
    pub(super) fn is_out(&self) -> bool {
        self.range.lowest.is_some_and(|lowest| self.value < lowest)
            || self
                .range
                .highest
                .is_some_and(|highest| self.value > highest)
    }

    /// The same number, which cannot be too high.
    pub(super) fn only_low(mut self) -> Judged {
        self.range.highest = None;
        self
    }

    /// Orders by the distance from the expected number, relative to it; the greatest first.
    pub(super) fn worst_first(&self, other: &Judged) -> Ordering {
        let distance =
            |judged: &Judged| (i128::from(judged.value) - i128::from(judged.range.expected)).abs();
        let expected = |judged: &Judged| i128::from(judged.range.expected.max(1));
        (distance(other) * expected(self)).cmp(&(distance(self) * expected(other)))
    }
}

/// The range of a number on a day with this weekday.
///
/// Example: 100, 102 and 104 on Mondays, `max_mads` 6: each is expected from the other two as 103, 102
/// and 101, so the distances are 3, 0 and 3, and the spread is 3. Three days widen it 17/3 times to 17;
/// a Monday's range is 0 to 204.
pub(super) fn range(past: &[Past], weekday: Weekday, sides: Sides, tolerance: &Tolerance) -> Range {
    let twice_expected = twice_expected(past, weekday, None);
    let distances = past.iter().enumerate().map(|(position, day)| {
        (2 * i128::from(day.value) - self::twice_expected(past, day.weekday, Some(position))).abs()
    });
    let spread_4 = twice_median(distances.collect());
    // All three in units of 1 / `parts`.
    let (mads, change) = (tolerance.max_mads, tolerance.min_change);
    let days = past.len().max(1) as i128;
    let parts = 4 * mads.denominator * change.denominator * days;
    let allowed = (mads.numerator * spread_4 * change.denominator * (days + DOUBTED_DAYS))
        .max(2 * change.numerator * twice_expected.abs() * mads.denominator * days)
        .max(parts * i128::from(tolerance.least));
    let expected = parts / 2 * twice_expected;
    let lowest = -(allowed - expected).div_euclid(parts);
    let highest = (expected + allowed).div_euclid(parts);
    Range {
        expected: clamped(twice_expected.div_euclid(2)),
        // No number of a day is negative.
        lowest: (sides != Sides::High).then(|| clamped(lowest.max(0))),
        highest: (sides != Sides::Low).then(|| clamped(highest)),
    }
}

fn clamped(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// Twice the expected number of a weekday, without the day at a position.
fn twice_expected(past: &[Past], weekday: Weekday, without: Option<usize>) -> i128 {
    let others = || {
        let all = past.iter().enumerate();
        all.filter(move |(position, _)| Some(*position) != without)
            .map(|(_, day)| day)
    };
    let same: Vec<i128> = others()
        .filter(|day| day.weekday == weekday)
        .map(|day| day.value.into())
        .collect();
    match same.len() >= MIN_SAME_WEEKDAY {
        true => twice_median(same),
        false => twice_median(others().map(|day| day.value.into()).collect()),
    }
}

/// Twice the median, which is whole; 0 of no values.
fn twice_median(mut values: Vec<i128>) -> i128 {
    values.sort_unstable();
    let middle = values.len() / 2;
    match values.len() % 2 {
        _ if values.is_empty() => 0,
        1 => 2 * values[middle],
        _ => values[middle - 1] + values[middle],
    }
}

#[cfg(test)]
mod tests {
    use chrono::Weekday::{Mon, Tue};

    use super::*;

    fn share(numerator: i128, denominator: i128) -> Share {
        Share {
            numerator,
            denominator,
        }
    }

    fn tolerance(least: i64) -> Tolerance {
        Tolerance {
            max_mads: share(6, 1),
            min_change: share(1, 10),
            least,
        }
    }

    fn days(weekday: Weekday, values: &[i64]) -> Vec<Past> {
        let day = |value: &i64| Past {
            weekday,
            value: *value,
        };
        values.iter().map(day).collect()
    }

    fn bounds(past: &[Past], least: i64) -> (i64, Option<i64>, Option<i64>) {
        let range = range(past, Mon, Sides::Both, &tolerance(least));
        (range.expected, range.lowest, range.highest)
    }

    #[test]
    fn the_range_is_the_median_and_six_widened_spreads_of_predictions() {
        // 100 is expected from 102 and 104 as 103, 102 as 102, 104 as 101: distances 3, 0, 3.
        // 3 * 17 / 3 is 17, and six of them 102.
        let mondays = days(Mon, &[104, 100, 102]);
        assert_eq!(bounds(&mondays, 0), (102, Some(0), Some(204)));
        // Fourteen days: each of the 1010s is expected from 7 of 1000 and 6 of 1010 as 1000, each of
        // the 1000s from 6 and 7 as 1010. The spread is 10, doubled 20; six of them are 120.
        let many = days(Mon, &[1_000, 1_010].repeat(7));
        assert_eq!(bounds(&many, 0), (1_005, Some(885), Some(1_125)));
    }

    #[test]
    fn a_weekday_is_compared_with_itself_and_the_spread_is_of_all_days() {
        // Mondays around 50, Tuesdays around 100. Distances: Mondays 3, 0, 3; Tuesdays 0, 0, 0, so
        // the spread is 0, and a tenth of 50 is allowed.
        let mut past = days(Mon, &[48, 50, 52]);
        past.extend(days(Tue, &[100, 100, 100, 100]));
        assert_eq!(bounds(&past, 0), (50, Some(45), Some(55)));
    }

    #[test]
    fn one_monday_is_too_few_so_the_median_of_all_days_is_expected() {
        let mut past = days(Mon, &[10]);
        past.extend(days(Tue, &[100, 100, 100, 100]));
        assert_eq!(bounds(&past, 0), (100, Some(90), Some(110)));
    }

    #[test]
    fn a_single_wrong_day_hardly_moves_the_range() {
        let past = days(Mon, &[100, 100, 101, 99, 100, 100, 20_000]);
        assert_eq!(bounds(&past, 0), (100, Some(90), Some(110)));
    }

    #[test]
    fn a_number_at_the_bound_is_in_range_and_one_beyond_it_is_out() {
        // A tenth of 105 is 10.5: 94.5 to 115.5.
        let past = days(Mon, &[105; 4]);
        let range = range(&past, Mon, Sides::Both, &tolerance(0));
        let is_out = |value| Judged { value, range }.is_out();
        assert!(is_out(94) && !is_out(95) && !is_out(115) && is_out(116));
    }

    #[test]
    fn small_numbers_may_change_by_a_least_amount_and_are_never_below_zero() {
        assert_eq!(bounds(&days(Mon, &[3, 3, 3]), 10), (3, Some(0), Some(13)));
    }

    #[test]
    fn halves_and_quarters_are_exact() {
        // The median of 1 and 2 is 1.5; each is expected from the other: distances 1 and 1.
        let past = days(Mon, &[1, 2]);
        let tolerance = Tolerance {
            max_mads: share(5, 2),
            ..tolerance(0)
        };
        let range = range(&past, Mon, Sides::Both, &tolerance);
        // Widened 16/2 times: 1.5 - 20 to 1.5 + 20.
        assert_eq!((range.lowest, range.highest), (Some(0), Some(21)));
    }

    #[test]
    fn a_range_within_another_has_the_closer_bounds() {
        let range = |lowest, highest| Range {
            expected: 5,
            lowest,
            highest,
        };
        let within = |one: Range, other| (one.within(&other).lowest, one.within(&other).highest);
        let one = range(Some(1), Some(9));
        assert_eq!(within(one, range(Some(2), Some(8))), (Some(2), Some(8)));
        assert_eq!(within(one, range(Some(0), Some(10))), (Some(1), Some(9)));
        assert_eq!(within(one, range(None, None)), (Some(1), Some(9)));
        assert_eq!(within(range(None, None), one), (Some(1), Some(9)));
    }

    #[test]
    fn one_side_may_be_open() {
        let past = days(Mon, &[100; 3]);
        let low = range(&past, Mon, Sides::Low, &tolerance(0));
        assert_eq!((low.lowest, low.highest), (Some(90), None));
        let high = range(&past, Mon, Sides::High, &tolerance(0));
        assert_eq!((high.lowest, high.highest), (None, Some(110)));
    }

    #[test]
    fn the_worst_is_the_farthest_relative_to_the_expected_number() {
        let judged = |value, expected| Judged {
            value,
            range: Range {
                expected,
                lowest: None,
                highest: None,
            },
        };
        let mut all = [
            judged(1_100, 1_000),
            judged(20, 10),
            judged(0, 0),
            judged(5, 0),
        ];
        all.sort_by(Judged::worst_first);
        assert_eq!(all.map(|judged| judged.value), [5, 20, 1_100, 0]);
    }
}
