//! Statistics of peers: mean, smoothed quartiles, and whether one peer dominates the sum.

use std::ops::RangeInclusive;

use crate::config::Share;

/// Numbers of one metric of a published cohort.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub peer_count: i64,
    pub mean: f64,
    pub p25: f64,
    pub p50: f64,
    pub p75: f64,
}

/// The values of peers, in the order of shops.
pub(super) enum Sample {
    /// Exact: `parts / per_unit`.
    Whole {
        parts: Vec<i64>,
        per_unit: i64,
    },
    Double(Vec<f64>),
}

impl Sample {
    /// Whether one peer holds more than the share of a sum > 0, exactly.
    pub(super) fn is_dominated(&self, share: Share) -> bool {
        let Sample::Whole { parts, .. } = self else {
            return false;
        };
        let sum: i128 = parts.iter().map(|part| i128::from(*part)).sum();
        let greatest = i128::from(parts.iter().copied().max().unwrap_or(0));
        sum > 0 && greatest * share.denominator > share.numerator * sum
    }

    /// Of at least one value.
    pub(super) fn summary(mut self) -> Summary {
        let mean = match &self {
            Sample::Whole { parts, per_unit } => exact_mean(parts, *per_unit),
            Sample::Double(values) => mean(values),
        };
        match &mut self {
            Sample::Whole { parts, .. } => parts.sort_unstable(),
            Sample::Double(values) => values.sort_unstable_by(f64::total_cmp),
        }
        let [p25, p50, p75] = [1, 2, 3].map(|quarters| self.quartile_of_sorted(quarters));
        Summary {
            peer_count: self.count() as i64,
            mean,
            p25,
            p50,
            p75,
        }
    }

    pub(super) fn count(&self) -> usize {
        match self {
            Sample::Whole { parts, .. } => parts.len(),
            Sample::Double(values) => values.len(),
        }
    }

    fn quartile_of_sorted(&self, quarters: usize) -> f64 {
        let positions = smoothed_positions(self.count(), quarters);
        match self {
            Sample::Whole { parts, per_unit } => exact_mean(&parts[positions], *per_unit),
            Sample::Double(values) => {
                // The sum of equal doubles, divided, may miss them by a rounding.
                let (least, greatest) = (values[*positions.start()], values[*positions.end()]);
                mean(&values[positions]).clamp(least, greatest)
            }
        }
    }
}

/// The positions in `count` sorted values whose mean is a quartile: with `h = (count - 1) *
/// quarters / 4`, from one below `floor(h)` to one above `ceil(h)`, as far as they exist. None is
/// one shop's value.
fn smoothed_positions(count: usize, quarters: usize) -> RangeInclusive<usize> {
    let four_h = (count - 1) * quarters;
    (four_h / 4).saturating_sub(1)..=(four_h.div_ceil(4) + 1).min(count - 1)
}

/// The exact sum divided once.
fn exact_mean(parts: &[i64], per_unit: i64) -> f64 {
    let sum: i128 = parts.iter().map(|part| i128::from(*part)).sum();
    sum as f64 / (parts.len() as i128 * i128::from(per_unit)) as f64
}

/// Doubles are added in their order.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quartile_is_the_mean_of_the_values_around_its_position() {
        let positions = |count| [1, 2, 3].map(|quarters| smoothed_positions(count, quarters));
        // h = 0: 0 to 1, of which 0 exists.
        assert_eq!(positions(1), [0..=0, 0..=0, 0..=0]);
        // h = 0.25, 0.5, 0.75.
        assert_eq!(positions(2), [0..=1, 0..=1, 0..=1]);
        // h = 1, 2, 3.
        assert_eq!(positions(5), [0..=2, 1..=3, 2..=4]);
        // h = 1.25, 2.5, 3.75.
        assert_eq!(positions(6), [0..=3, 1..=4, 2..=5]);
        // h = 2.75, 5.5, 8.25.
        assert_eq!(positions(12), [1..=4, 4..=7, 7..=10]);
        // h is 6 755 399 441 055 746 and a quarter, which no double holds.
        let count = (1 << 53) + 4;
        assert_eq!(
            smoothed_positions(count, 3),
            (6_755_399_441_055_746 - 1)..=(6_755_399_441_055_747 + 1)
        );
    }

    #[test]
    fn quartiles_of_money_are_exact_sums_divided_once() {
        // 0.10, 0.20, 0.40, 0.80, 1.60: 0.70 / 3, 1.40 / 3, 2.80 / 3.
        let sample = Sample::Whole {
            parts: vec![160, 10, 80, 20, 40],
            per_unit: 100,
        };
        let quartiles = [70.0 / 300.0, 140.0 / 300.0, 280.0 / 300.0];
        let summary = sample.summary();
        assert_eq!(
            ([summary.p25, summary.p50, summary.p75], summary.mean),
            (quartiles, 310.0 / 500.0)
        );
    }

    #[test]
    fn quartiles_of_equal_values_are_these() {
        // 0.1 + 0.1 + 0.1 is more than 0.3.
        let summary = Sample::Double(vec![0.1; 5]).summary();
        assert_eq!([summary.p25, summary.p50, summary.p75], [0.1; 3]);
        let summary = Sample::Whole {
            parts: vec![10; 5],
            per_unit: 100,
        }
        .summary();
        assert_eq!([summary.p25, summary.p50, summary.p75], [0.1; 3]);
    }

    #[test]
    fn doubles_are_added_in_their_order() {
        let values = [1e16, 1.0, -1e16, 1.0];
        assert_eq!(
            Sample::Double(values.to_vec()).summary().mean,
            0.25,
            "1e16 + 1 is 1e16"
        );
    }

    #[test]
    fn exactly_the_share_does_not_dominate_and_a_sum_of_0_has_no_dominant_peer() {
        let half = Share {
            numerator: 1,
            denominator: 2,
        };
        let is_dominated = |parts: &[i64]| {
            Sample::Whole {
                parts: parts.to_vec(),
                per_unit: 1,
            }
            .is_dominated(half)
        };
        assert!(!is_dominated(&[2, 1, 1]) && is_dominated(&[3, 1, 1]) && !is_dominated(&[0, 0]));
        assert!(
            !Sample::Double(vec![1.0, 0.0]).is_dominated(half),
            "a ratio has no sum that can be dominated"
        );
    }
}
