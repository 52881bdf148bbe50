//! The time zone of the days, by the instants in their rows.

use chrono::NaiveDate;
use chrono_tz::{America, Asia, Australia, Europe, Tz};

use crate::days::calendar::CivilDay;
use crate::report::counted;

/// The zones of many marketplaces, the likelier of two with the same clock first.
const ZONES: [Tz; 32] = [
    Tz::UTC,
    America::Los_Angeles,
    America::New_York,
    America::Chicago,
    America::Denver,
    America::Mexico_City,
    America::Sao_Paulo,
    America::Bogota,
    America::Santiago,
    America::Argentina::Buenos_Aires,
    Europe::London,
    Europe::Berlin,
    Europe::Paris,
    Europe::Madrid,
    Europe::Rome,
    Europe::Warsaw,
    Europe::Athens,
    Europe::Istanbul,
    Asia::Shanghai,
    Asia::Singapore,
    Asia::Manila,
    Asia::Kuala_Lumpur,
    Asia::Jakarta,
    Asia::Bangkok,
    Asia::Ho_Chi_Minh,
    Asia::Tokyo,
    Asia::Seoul,
    Asia::Kolkata,
    Asia::Dubai,
    Asia::Riyadh,
    Australia::Sydney,
    chrono_tz::Pacific::Auckland,
];

/// The share of rows that lie in their days, from which a zone is likely.
const MOST_ROWS: f64 = 0.99;
/// Other zones that are named.
const MOST_NAMED: usize = 8;

/// The times of a column in the folders of some days.
pub(super) struct Times {
    /// Such as `order_lines.paid_at`.
    pub(super) column: String,
    /// The times have no zone. They are held as if they were of UTC.
    pub(super) are_local: bool,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub(super) days: Vec<(NaiveDate, Vec<i64>)>,
}

impl Times {
    fn rows(&self) -> usize {
        self.days.iter().map(|(_, times)| times.len()).sum()
    }

    /// The rows inside the days of a zone.
    fn inside(&self, zone: Tz) -> usize {
        let inside = |(day, times): &(NaiveDate, Vec<i64>)| {
            let day = CivilDay::new(*day, zone);
            times.iter().filter(|time| day.contains(**time)).count()
        };
        self.days.iter().map(inside).sum()
    }
}

/// The zones of a job.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ZoneGuess {
    /// Of the days.
    pub(super) zone: Tz,
    /// Of times without a zone.
    pub(super) local: Tz,
    pub(super) is_likely: bool,
    pub(super) reason: String,
}

/// Guesses the zone of the days, and that of local times.
pub(super) fn guess(times: &[Times]) -> ZoneGuess {
    let (local, instants): (Vec<&Times>, Vec<&Times>) = times
        .iter()
        .filter(|times| times.rows() > 0)
        .partition(|times| times.are_local);
    match (instants.is_empty(), local.is_empty()) {
        (true, true) => ZoneGuess {
            zone: Tz::UTC,
            local: Tz::UTC,
            is_likely: false,
            reason: "no rows with instants were found".into(),
        },
        (true, false) => of_local_times(&local),
        (false, _) => {
            let of_days = of_instants(&instants);
            let local = match is_inside(&local, Tz::UTC) {
                true => of_days.zone,
                false if is_inside(&local, of_days.zone) => Tz::UTC,
                false => of_days.zone,
            };
            ZoneGuess { local, ..of_days }
        }
    }
}

fn is_inside(times: &[&Times], zone: Tz) -> bool {
    let (inside, rows) = counts(times, zone);
    rows > 0 && inside as f64 >= MOST_ROWS * rows as f64
}

fn counts(times: &[&Times], zone: Tz) -> (usize, usize) {
    let inside = times.iter().map(|times| times.inside(zone)).sum();
    (inside, times.iter().map(|times| times.rows()).sum())
}

fn of_instants(times: &[&Times]) -> ZoneGuess {
    let by_zone: Vec<(usize, Tz)> = ZONES
        .iter()
        .map(|zone| (counts(times, *zone).0, *zone))
        .collect();
    let most = by_zone.iter().map(|(inside, _)| *inside).max().unwrap_or(0);
    let mut best = by_zone.iter().filter(|(inside, _)| *inside == most);
    let zone = best.next().map_or(Tz::UTC, |(_, zone)| *zone);
    let same: Vec<&str> = best.map(|(_, zone)| zone.name()).collect();
    let rows = counts(times, zone).1;
    let fits = most as f64 >= MOST_ROWS * rows as f64;
    let days = times
        .iter()
        .map(|times| times.days.len())
        .max()
        .unwrap_or(0);
    let days = counted(days, "day");
    let mut reason = format!(
        "{most} of {rows} sampled rows of {} in {days} lie in their day",
        columns(times)
    );
    if !fits {
        reason +=
            ", and not more in any other zone: the rows are not cut by days, or by another time";
    } else if !same.is_empty() {
        let more = same.len().saturating_sub(MOST_NAMED);
        let named = same[..same.len() - more].join(", ");
        let more = if more > 0 { " and others" } else { "" };
        reason += &format!("; so they do in {named}{more}: these days cannot tell them apart");
    }
    ZoneGuess {
        zone,
        local: zone,
        is_likely: fits && same.is_empty(),
        reason,
    }
}

/// Times without a zone that lie in their days are of the zone of the days, which can be any.
fn of_local_times(times: &[&Times]) -> ZoneGuess {
    if is_inside(times, Tz::UTC) {
        let (inside, rows) = counts(times, Tz::UTC);
        return ZoneGuess {
            zone: Tz::UTC,
            local: Tz::UTC,
            is_likely: false,
            reason: format!(
                "the times have no zone. {inside} of {rows} sampled rows of {} lie in their day by their \
                 own clock, so days and times are of one zone, and the exports do not say which",
                columns(times)
            ),
        };
    }
    let as_utc = of_instants(times);
    ZoneGuess {
        local: Tz::UTC,
        is_likely: false,
        reason: format!("the times have no zone. Taken as UTC, {}", as_utc.reason),
        ..as_utc
    }
}

fn columns(times: &[&Times]) -> String {
    let names: Vec<&str> = times.iter().map(|times| times.column.as_str()).collect();
    names.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> i64 {
        let at = chrono::DateTime::parse_from_rfc3339(text).unwrap();
        at.timestamp_micros()
    }

    fn times(are_local: bool, days: &[(&str, &[&str])]) -> Times {
        let day = |(day, times): &(&str, &[&str])| {
            let times = times.iter().map(|time| instant(time)).collect();
            (day.parse().unwrap(), times)
        };
        Times {
            column: "order_lines.paid_at".into(),
            are_local,
            days: days.iter().map(day).collect(),
        }
    }

    /// The first and the last hour before and after the clock changes on 2026-03-08.
    #[test]
    fn hours_on_both_sides_of_a_change_of_the_clock_tell_the_zone() {
        let found = guess(&[times(
            false,
            &[
                (
                    "2026-03-07",
                    &["2026-03-07T08:00:00Z", "2026-03-08T07:59:59Z"],
                ),
                (
                    "2026-03-09",
                    &["2026-03-09T07:00:00Z", "2026-03-10T06:59:59Z"],
                ),
            ],
        )]);
        assert_eq!((found.zone, found.is_likely), (America::Los_Angeles, true));
        assert_eq!(
            found.reason,
            "4 of 4 sampled rows of order_lines.paid_at in 2 days lie in their day"
        );
    }

    /// 2026-03-14 in UTC+8.
    #[test]
    fn zones_with_the_same_clock_are_all_named() {
        let found = guess(&[times(
            false,
            &[(
                "2026-03-14",
                &["2026-03-13T16:00:00Z", "2026-03-14T15:59:59Z"],
            )],
        )]);
        assert_eq!((found.zone, found.is_likely), (Asia::Shanghai, false));
        assert!(
            found
                .reason
                .contains("Asia/Singapore, Asia/Manila, Asia/Kuala_Lumpur"),
            "{}",
            found.reason
        );
        assert!(!found.reason.contains("Tokyo"), "{}", found.reason);
    }

    #[test]
    fn local_times_in_their_days_do_not_tell_their_zone() {
        let found = guess(&[times(
            true,
            &[(
                "2026-03-14",
                &["2026-03-14T00:00:00Z", "2026-03-14T23:59:59Z"],
            )],
        )]);
        assert_eq!(
            (found.zone, found.local, found.is_likely),
            (Tz::UTC, Tz::UTC, false)
        );
        assert!(found.reason.starts_with("the times have no zone"));
    }

    /// The hours are those of UTC, and the days are those of Tokyo.
    #[test]
    fn times_without_a_zone_that_are_utc_are_noticed() {
        let found = guess(&[times(
            true,
            &[(
                "2026-03-14",
                &["2026-03-13T15:00:00Z", "2026-03-14T14:59:59Z"],
            )],
        )]);
        assert_eq!((found.zone, found.local), (Asia::Tokyo, Tz::UTC));
    }

    #[test]
    fn instants_of_one_export_tell_the_zone_of_local_times_in_another() {
        let found = guess(&[
            times(
                false,
                &[(
                    "2026-03-14",
                    &["2026-03-13T15:00:00Z", "2026-03-14T14:59:59Z"],
                )],
            ),
            times(
                true,
                &[(
                    "2026-03-14",
                    &["2026-03-14T00:00:00Z", "2026-03-14T23:59:59Z"],
                )],
            ),
        ]);
        assert_eq!((found.zone, found.local), (Asia::Tokyo, Asia::Tokyo));
    }

    #[test]
    fn rows_outside_every_day_make_a_guess_unlikely() {
        let found = guess(&[times(
            false,
            &[(
                "2026-03-14",
                &["2026-03-10T00:00:00Z", "2026-03-14T12:00:00Z"],
            )],
        )]);
        assert!(!found.is_likely);
        assert_eq!(
            found.reason,
            "1 of 2 sampled rows of order_lines.paid_at in 1 day lie in their day, and not more in any other zone: \
             the rows are not cut by days, or by another time"
        );
    }
}
