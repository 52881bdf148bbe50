//! The properties of a synthetic marketplace.

use chrono::NaiveDate;
use chrono_tz::Tz;

/// The properties of a marketplace; everything else follows from them.
pub struct World {
    pub shops: u32,
    pub days: u32,
    /// Rows of `product_traffic` on an average day without a campaign; order lines follow from
    /// them.
    pub rows_per_day: u64,
    pub seed: u64,
    pub first_day: NaiveDate,
    /// Days are civil days of this zone.
    pub time_zone: Tz,
    /// Whether exports have the flaws of real ones (`awkward`).
    pub awkward: bool,
}

#[cfg(test)]
impl World {
    /// The world of `sample_data/`.
    pub(super) fn sample() -> Self {
        World {
            shops: 60,
            days: 14,
            rows_per_day: 28_000,
            seed: 7,
            first_day: NaiveDate::from_ymd_opt(2026, 3, 1).unwrap(),
            time_zone: Tz::America__Los_Angeles,
            awkward: true,
        }
    }
}
