//! The civil day of a zone as instants, and at which hours of it people shop.

use chrono::{Datelike, NaiveDate, TimeZone, Timelike};
use chrono_tz::Tz;

use super::stream::Stream;
use crate::days::calendar::{CivilDay, HOUR_US, day_number};

const SECOND_US: i64 = 1_000_000;

/// Sales by local hour, relative to each other: asleep at night, most at nine in the evening.
const HOUR_WEIGHTS: [f64; 24] = [
    35.0, 22.0, 14.0, 9.0, 7.0, 9.0, 16.0, 28.0, 40.0, 48.0, 54.0, 60.0, 68.0, 64.0, 58.0, 57.0,
    60.0, 66.0, 78.0, 95.0, 110.0, 118.0, 98.0, 62.0,
];
/// Traffic by weekday, Monday first; the mean is 1.
const WEEKDAY_FACTORS: [f64; 7] = [0.95, 0.93, 0.94, 0.97, 1.04, 1.10, 1.07];

/// One civil day.
pub(super) struct Day {
    pub date: NaiveDate,
    /// First instant, in microseconds since 1970-01-01T00:00:00Z.
    pub first_us: i64,
    /// First instant of the next day.
    pub end_us: i64,
    /// Weights of the hours that have begun since the first instant: 23, 24 or 25 of them.
    pub hour_weights: Vec<f64>,
}

impl Day {
    pub(super) fn of(date: NaiveDate, zone: Tz) -> Self {
        let CivilDay {
            start_us: first_us,
            end_us,
            ..
        } = CivilDay::new(date, zone);
        let hours = (end_us - first_us + HOUR_US - 1) / HOUR_US;
        let hour_weights = (0..hours)
            .map(|hour| HOUR_WEIGHTS[local_hour(first_us + hour * HOUR_US, zone)])
            .collect();
        Day {
            date,
            first_us,
            end_us,
            hour_weights,
        }
    }

    /// Days since 1970-01-01.
    pub(super) fn number(&self) -> i64 {
        number(self.date)
    }

    pub(super) fn weekday_factor(&self) -> f64 {
        WEEKDAY_FACTORS[self.date.weekday().num_days_from_monday() as usize]
    }

    /// An instant of the day, to the millisecond, at an hour when people shop.
    pub(super) fn shopping_instant(&self, stream: &mut Stream) -> i64 {
        let hour = stream.weighted(&self.hour_weights) as i64;
        let within = stream.below(3_600_000) as i64 * 1_000;
        (self.first_us + hour * HOUR_US + within).min(self.end_us - SECOND_US)
    }

    /// The start of each hour of the day, with its weight.
    pub(super) fn hours(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        self.hour_weights
            .iter()
            .enumerate()
            .map(|(h, weight)| (self.first_us + h as i64 * HOUR_US, *weight))
    }
}

fn local_hour(instant_us: i64, zone: Tz) -> usize {
    zone.timestamp_nanos(instant_us * 1_000).hour() as usize
}

/// Days since 1970-01-01.
pub(super) fn number(date: NaiveDate) -> i64 {
    day_number(date).into()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    fn day(date: &str, zone: Tz) -> Day {
        Day::of(date.parse().unwrap(), zone)
    }

    fn instant(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp_micros()
    }

    #[test]
    fn the_day_when_clocks_go_forward_has_23_hours() {
        let day = day("2026-03-08", Tz::America__Los_Angeles);
        assert_eq!(day.first_us, instant("2026-03-08T08:00:00Z"));
        assert_eq!(day.end_us, instant("2026-03-09T07:00:00Z"));
        assert_eq!(day.hour_weights.len(), 23);
        // 00, 01, then 03: the hour from two o'clock does not exist.
        assert_eq!(day.hour_weights[..3], [35.0, 22.0, 9.0]);
    }

    #[test]
    fn the_day_when_clocks_go_back_has_25_hours() {
        assert_eq!(
            day("2026-11-01", Tz::America__Los_Angeles)
                .hour_weights
                .len(),
            25
        );
    }

    #[test]
    fn a_day_without_midnight_begins_at_its_first_instant() {
        // Cuba goes forward at midnight: 2026-03-08 begins at 01:00 local time, UTC-4.
        let day = day("2026-03-08", Tz::America__Havana);
        assert_eq!(day.first_us, instant("2026-03-08T05:00:00Z"));
        assert_eq!(day.hour_weights.len(), 23);
    }

    #[test]
    fn shopping_instants_lie_within_the_day() {
        let day = day("2026-03-08", Tz::America__Los_Angeles);
        let mut stream = Stream::new(1, "instants", &[]);
        for _ in 0..5_000 {
            let at = day.shopping_instant(&mut stream);
            assert!((day.first_us..day.end_us).contains(&at));
        }
    }
}
