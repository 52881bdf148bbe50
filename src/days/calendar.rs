//! Civil days in an IANA time zone: their first instants, hours, windows and month ends.

use chrono::{
    DateTime, Days, Duration, LocalResult, Months, NaiveDate, NaiveDateTime, NaiveTime,
    SecondsFormat, TimeZone,
};
use chrono_tz::Tz;

/// Microseconds in an hour.
pub(crate) const HOUR_US: i64 = 3_600_000_000;

/// The instants of one civil day: `[start_us, end_us)`, microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CivilDay {
    pub day: NaiveDate,
    pub start_us: i64,
    pub end_us: i64,
    zone: Tz,
}

impl CivilDay {
    /// From local midnight, included, to the next local midnight, excluded. Where clocks skip
    /// midnight, the day's first instant counts instead.
    ///
    /// Example: 2026-03-08 in America/Los_Angeles is `[08:00Z, 07:00Z of the 9th)`, 23 hours.
    pub fn new(day: NaiveDate, zone: Tz) -> CivilDay {
        let (start_us, end_us) = (
            first_instant_us(day, zone),
            first_instant_us(day + Days::new(1), zone),
        );
        CivilDay {
            day,
            start_us,
            end_us,
            zone,
        }
    }

    /// `2026-03-08 in America/Los_Angeles, from 2026-03-08T08:00:00Z to before
    /// 2026-03-09T07:00:00Z`
    pub(crate) fn told(&self) -> String {
        format!(
            "{} in {}, from {} to before {}",
            self.day,
            self.zone,
            show(self.start_us),
            show(self.end_us)
        )
    }

    pub(crate) fn contains(&self, instant_us: i64) -> bool {
        (self.start_us..self.end_us).contains(&instant_us)
    }

    /// Whole hours since the day's first instant: 0 to 24 on a day of 25 hours.
    pub(crate) fn local_hour(&self, instant_us: i64) -> i64 {
        (instant_us - self.start_us).div_euclid(HOUR_US)
    }
}

fn show(instant_us: i64) -> String {
    match DateTime::from_timestamp_micros(instant_us) {
        Some(at) => at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => instant_us.to_string(),
    }
}

fn first_instant_us(day: NaiveDate, zone: Tz) -> i64 {
    let midnight = day.and_time(NaiveTime::MIN);
    // A gap is at most one day long (zones that skipped a date), so the search finds its end.
    (0..=26 * 3600)
        .find_map(|second| earliest_us(midnight + Duration::seconds(second), zone))
        .unwrap_or_else(|| midnight.and_utc().timestamp_micros())
}

/// `None` where clocks skip this local time; the first of two where they show it twice.
fn earliest_us(local: NaiveDateTime, zone: Tz) -> Option<i64> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.timestamp_micros()),
        LocalResult::None => None,
    }
}

/// Every day of `[first, last]`, both included; none if `last < first`.
pub(crate) fn days(
    first: NaiveDate,
    last: NaiveDate,
) -> impl DoubleEndedIterator<Item = NaiveDate> + Clone {
    let count = (last - first).num_days().max(-1) + 1;
    (0..count).map(move |n| first + Duration::days(n))
}

/// The first day of the window of `length` days that ends with `last`.
pub(crate) fn trailing(last: NaiveDate, length: u64) -> NaiveDate {
    last - Days::new(length.saturating_sub(1))
}

/// Six calendar months before: the same day of the month, or the month's last day where that month
/// is shorter.
pub(crate) fn six_months_before(day: NaiveDate) -> NaiveDate {
    day - Months::new(6)
}

/// Days since 1970-01-01: the form of a date in memory.
pub(crate) fn day_number(day: NaiveDate) -> i32 {
    (day - NaiveDate::default()).num_days() as i32
}

/// The day of a day number.
pub(crate) fn day_of_number(number: i32) -> NaiveDate {
    NaiveDate::default() + Duration::days(number.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn span(day: &str, zone: Tz) -> (String, i64) {
        let day = CivilDay::new(date(day), zone);
        let start = chrono::DateTime::from_timestamp_micros(day.start_us)
            .unwrap()
            .to_rfc3339();
        (start, (day.end_us - day.start_us) / 60_000_000)
    }

    #[test]
    fn days_have_23_24_or_25_hours() {
        use chrono_tz::America::Los_Angeles;
        assert_eq!(
            span("2026-03-07", Los_Angeles),
            ("2026-03-07T08:00:00+00:00".into(), 24 * 60)
        );
        assert_eq!(
            span("2026-03-08", Los_Angeles),
            ("2026-03-08T08:00:00+00:00".into(), 23 * 60)
        );
        assert_eq!(
            span("2026-11-01", Los_Angeles),
            ("2026-11-01T07:00:00+00:00".into(), 25 * 60)
        );
        assert_eq!(
            span("2026-10-04", chrono_tz::Australia::Lord_Howe).1,
            23 * 60 + 30
        );
    }

    #[test]
    fn a_day_without_midnight_starts_at_its_first_instant() {
        // Clocks in Santiago go from 24:00 on 2025-09-06 (-04) to 01:00 (-03): the 7th starts at
        // 04:00Z.
        assert_eq!(
            span("2025-09-07", chrono_tz::America::Santiago),
            ("2025-09-07T04:00:00+00:00".into(), 23 * 60)
        );
    }

    #[test]
    fn a_midnight_that_happens_twice_counts_the_first_time() {
        // Clocks in Havana go from 01:00 (-04) back to 00:00 (-05) on 2025-11-02.
        assert_eq!(
            span("2025-11-02", chrono_tz::America::Havana),
            ("2025-11-02T04:00:00+00:00".into(), 25 * 60)
        );
    }

    #[test]
    fn a_date_that_a_zone_skipped_has_no_instants() {
        assert_eq!(span("2011-12-30", chrono_tz::Pacific::Apia).1, 0);
    }

    #[test]
    fn six_months_before_a_month_end_is_a_month_end() {
        assert_eq!(six_months_before(date("2026-08-31")), date("2026-02-28"));
        assert_eq!(six_months_before(date("2024-08-30")), date("2024-02-29"));
        assert_eq!(six_months_before(date("2026-03-31")), date("2025-09-30"));
        assert_eq!(six_months_before(date("2026-08-28")), date("2026-02-28"));
    }

    #[test]
    fn windows_include_both_ends() {
        assert_eq!(days(date("2026-03-01"), date("2026-03-03")).count(), 3);
        assert_eq!(days(date("2026-03-03"), date("2026-03-01")).count(), 0);
        assert_eq!(days(date("2026-03-05"), date("2026-03-01")).count(), 0);
        assert_eq!(trailing(date("2026-03-30"), 30), date("2026-03-01"));
    }
}
