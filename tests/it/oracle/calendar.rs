//! The begin of a civil day, found by walking through the minutes around it.

use chrono::{DateTime, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

pub struct Zone(Tz);

impl Zone {
    pub fn new(name: &str) -> Zone {
        Zone(name.parse().unwrap())
    }

    /// The first instant at which the local date is `day` (or later, where a zone leaves the day
    /// out).
    pub fn first_instant(&self, day: NaiveDate) -> DateTime<Utc> {
        let mut at = day.and_time(NaiveTime::MIN).and_utc() - TimeDelta::hours(16);
        while at.with_timezone(&self.0).date_naive() < day {
            at += TimeDelta::minutes(1);
        }
        at
    }

    /// Its first microsecond and the first one after it.
    pub fn bounds(&self, day: NaiveDate) -> (i64, i64) {
        let next = day.succ_opt().unwrap();
        (
            self.first_instant(day).timestamp_micros(),
            self.first_instant(next).timestamp_micros(),
        )
    }
}

/// The same day of the month six months before, or that month's last day.
pub fn six_months_before(day: NaiveDate) -> NaiveDate {
    day.checked_sub_months(Months::new(6)).unwrap()
}

/// Every day from `first` through `last`.
pub fn days_between(first: NaiveDate, last: NaiveDate) -> Vec<NaiveDate> {
    first.iter_days().take_while(|day| *day <= last).collect()
}

pub fn days_before(day: NaiveDate, days: i64) -> NaiveDate {
    day - TimeDelta::days(days)
}

#[test]
fn a_day_has_the_hours_that_its_zone_gives_it() {
    let hours = |zone: &str, day: &str| {
        let (first, next) = Zone::new(zone).bounds(day.parse().unwrap());
        (
            crate::world::show_micros(first),
            (next - first) / 3_600_000_000,
        )
    };
    let los_angeles = "America/Los_Angeles";
    assert_eq!(
        hours(los_angeles, "2026-03-07"),
        ("2026-03-07T08:00:00Z".into(), 24)
    );
    assert_eq!(
        hours(los_angeles, "2026-03-08"),
        ("2026-03-08T08:00:00Z".into(), 23)
    );
    assert_eq!(
        hours(los_angeles, "2026-11-01"),
        ("2026-11-01T07:00:00Z".into(), 25)
    );
    // Chile's clocks jump from Saturday 24:00 (UTC-4) to Sunday 01:00 (UTC-3), and back from
    // Saturday 24:00 to 23:00.
    assert_eq!(
        hours("America/Santiago", "2026-09-06"),
        ("2026-09-06T04:00:00Z".into(), 23)
    );
    assert_eq!(
        hours("America/Santiago", "2026-04-04"),
        ("2026-04-04T03:00:00Z".into(), 25)
    );
    assert_eq!(
        hours("Pacific/Kiritimati", "2026-01-02"),
        ("2026-01-01T10:00:00Z".into(), 24)
    );
}

#[test]
fn six_months_before_the_last_of_august_is_the_last_of_february() {
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    assert_eq!(six_months_before(day("2026-08-31")), day("2026-02-28"));
    assert_eq!(six_months_before(day("2026-11-02")), day("2026-05-02"));
}
