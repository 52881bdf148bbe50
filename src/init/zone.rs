//! The time zone of the days, by the instants in their rows.
//!
//! 1. All zones are compared. Zones that cut the sampled days in the same way are one clock.
//! 2. The clock with the most rows inside their days is the best one. It is likely if nearly every row fits,
//!    the next clock fits clearly worse, and all its zones keep the same time during the whole year.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone};
use chrono_tz::{Africa, America, Asia, Australia, Europe, Pacific, TZ_VARIANTS, Tz};

use crate::days::calendar::CivilDay;
use crate::job_text::PREFIX;
use crate::report::counted;

/// The zones of many marketplaces: of zones with the same clock, the first one is proposed.
const ZONES: [Tz; 50] = [
    Tz::UTC,
    America::Los_Angeles,
    America::New_York,
    America::Chicago,
    America::Denver,
    America::Phoenix,
    America::Anchorage,
    America::Halifax,
    Pacific::Honolulu,
    America::Mexico_City,
    America::Sao_Paulo,
    America::Bogota,
    America::Lima,
    America::Caracas,
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
    Europe::Moscow,
    Africa::Lagos,
    Africa::Johannesburg,
    Africa::Cairo,
    Africa::Nairobi,
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
    Asia::Karachi,
    Asia::Dhaka,
    Asia::Kathmandu,
    Asia::Yangon,
    Asia::Dubai,
    Asia::Riyadh,
    Australia::Sydney,
    Australia::Brisbane,
    Australia::Adelaide,
    Australia::Perth,
    Pacific::Auckland,
];

/// The beginnings of names that are proposed last: they stand for another zone, or for no marketplace.
const LAST_NAMES: [&str; 7] = [
    "Antarctica/",
    "Etc/",
    "US/",
    "Canada/",
    "Mexico/",
    "Brazil/",
    "Chile/",
];

/// Nearly every row: at most one of so many may lie outside its day.
const ROWS_FOR_ONE_OUTSIDE: usize = 1_000;
/// Another clock is clearly worse from so many rows outside its days, for each row outside those of the best.
const TIMES_WORSE: usize = 3;
/// A year with both changes of the clock.
const YEAR: i64 = 366;
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
    let (local, instants) = by_kind(times);
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
            ZoneGuess {
                local: zone_of_local(&local, of_days.zone),
                ..of_days
            }
        }
    }
}

/// The zone that the environment gives, with the rows that it fits.
pub(super) fn given(zone: Tz, times: &[Times]) -> ZoneGuess {
    let (local, instants) = by_kind(times);
    let (inside, rows) = counts(&instants, zone);
    let mut reason = format!("{PREFIX}TIME_ZONE gives it");
    if rows > 0 {
        reason += &format!("; {}", in_their_day(&instants, inside));
    }
    let fits = is_nearly_all(inside, rows);
    if !fits {
        let best = of_instants(&instants);
        reason += &format!("; in {}, {}", best.zone, best.reason);
    }
    ZoneGuess {
        zone,
        local: zone_of_local(&local, zone),
        is_likely: fits,
        reason,
    }
}

/// Local times, and instants.
fn by_kind(times: &[Times]) -> (Vec<&Times>, Vec<&Times>) {
    let with_rows = times.iter().filter(|times| times.rows() > 0);
    with_rows.partition(|times| times.are_local)
}

/// The zone of times without one, where the zone of the days is known.
fn zone_of_local(times: &[&Times], of_days: Tz) -> Tz {
    match !is_inside(times, Tz::UTC) && is_inside(times, of_days) {
        true => Tz::UTC,
        false => of_days,
    }
}

fn is_inside(times: &[&Times], zone: Tz) -> bool {
    let (inside, rows) = counts(times, zone);
    rows > 0 && is_nearly_all(inside, rows)
}

fn is_nearly_all(inside: usize, rows: usize) -> bool {
    (rows - inside) * ROWS_FOR_ONE_OUTSIDE <= rows
}

fn counts(times: &[&Times], zone: Tz) -> (usize, usize) {
    let inside = times.iter().map(|times| times.inside(zone)).sum();
    (inside, times.iter().map(|times| times.rows()).sum())
}

/// Zones that cut the sampled days in the same way.
struct Clock {
    /// The rows inside their days.
    inside: usize,
    /// The one to propose first.
    zones: Vec<Tz>,
}

/// The first and the last instant of each sampled day, in microseconds.
type Cut = Vec<(i64, i64)>;

/// The clocks of all zones, the best first; of equal ones, the one with the better known zone.
fn clocks(times: &[&Times]) -> Vec<Clock> {
    let days = times.iter().flat_map(|times| times.days.iter());
    let days: BTreeSet<NaiveDate> = days.map(|(day, _)| *day).collect();
    let is_other = |zone: &&Tz| !ZONES.contains(zone);
    let mut others: Vec<Tz> = TZ_VARIANTS.iter().filter(is_other).copied().collect();
    others.sort_by_key(|zone| comes_last(zone.name()));
    let mut by_cut: BTreeMap<Cut, Vec<(usize, Tz)>> = BTreeMap::new();
    for (position, zone) in ZONES.into_iter().chain(others).enumerate() {
        let cut = days.iter().map(|day| CivilDay::new(*day, zone));
        let cut = cut.map(|day| (day.start_us, day.end_us)).collect();
        by_cut.entry(cut).or_default().push((position, zone));
    }
    let mut clocks: Vec<(usize, Clock)> = Vec::new();
    for zones in by_cut.into_values() {
        let (position, first) = zones[0];
        let clock = Clock {
            inside: counts(times, first).0,
            zones: zones.into_iter().map(|(_, zone)| zone).collect(),
        };
        clocks.push((position, clock));
    }
    clocks.sort_by_key(|(position, clock)| (Reverse(clock.inside), *position));
    clocks.into_iter().map(|(_, clock)| clock).collect()
}

fn comes_last(name: &str) -> bool {
    !name.contains('/') || LAST_NAMES.iter().any(|last| name.starts_with(last))
}

/// Whether two zones keep the same time during the year from a day on.
fn keep_the_same_time(one: Tz, other: Tz, first_day: NaiveDate) -> bool {
    let mut days = (0..YEAR).map(|days| first_day + TimeDelta::days(days));
    days.all(|day| {
        let noon = day.and_time(NaiveTime::MIN) + TimeDelta::hours(12);
        let offset = |zone: Tz| zone.offset_from_utc_datetime(&noon).fix();
        offset(one) == offset(other)
    })
}

fn of_instants(times: &[&Times]) -> ZoneGuess {
    let clocks = clocks(times);
    let (best, zone) = (&clocks[0], clocks[0].zones[0]);
    let rows: usize = times.iter().map(|times| times.rows()).sum();
    let first_day = times.iter().flat_map(|times| times.days.iter());
    let first_day = first_day.map(|(day, _)| *day).min().unwrap_or_default();
    let is_same = |other: &Tz| keep_the_same_time(zone, *other, first_day);
    let (same, differing): (Vec<Tz>, Vec<Tz>) = best.zones[1..].iter().partition(|z| is_same(z));
    let (equal, worse): (Vec<&Clock>, Vec<&Clock>) = clocks[1..]
        .iter()
        .partition(|clock| clock.inside == best.inside);
    let equal = equal
        .into_iter()
        .flat_map(|clock| clock.zones.iter().copied());
    let rivals: Vec<Tz> = differing.into_iter().chain(equal).collect();
    let mut reason = in_their_day(times, best.inside);
    let mut is_likely = false;
    if !is_nearly_all(best.inside, rows) {
        reason +=
            ", and not more in any other zone: the rows are not cut by days, or by another time";
    } else if !rivals.is_empty() {
        let rivals = named(&rivals);
        reason += &format!("; so they do in {rivals}: these days cannot tell them apart");
    } else if let Some(next) = worse.first() {
        let outside = (rows - best.inside).max(1);
        is_likely = rows - next.inside >= TIMES_WORSE * outside;
        reason += &format!("; in {}, the next best, {} do", next.zones[0], next.inside);
        reason += if is_likely {
            ""
        } else {
            ": too few rows tell them apart"
        };
    }
    if rivals.is_empty() && !same.is_empty() {
        let same = named(&same);
        reason += &format!("; zones with the same time cannot be told apart: {same}");
    }
    ZoneGuess {
        zone,
        local: zone,
        is_likely,
        reason,
    }
}

/// `677 of 677 sampled rows of order_lines.paid_at in 6 days lie in their day`
fn in_their_day(times: &[&Times], inside: usize) -> String {
    let rows: usize = times.iter().map(|times| times.rows()).sum();
    let days = times.iter().map(|times| times.days.len()).max();
    let days = counted(days.unwrap_or(0), "day");
    let columns = columns(times);
    format!("{inside} of {rows} sampled rows of {columns} in {days} lie in their day")
}

fn named(zones: &[Tz]) -> String {
    let shown: Vec<&str> = zones
        .iter()
        .take(MOST_NAMED)
        .map(|zone| zone.name())
        .collect();
    let more = if zones.len() > MOST_NAMED {
        " and others"
    } else {
        ""
    };
    format!("{}{more}", shown.join(", "))
}

/// Times without a zone that lie in their days are of the zone of the days, which can be any.
fn of_local_times(times: &[&Times]) -> ZoneGuess {
    if is_inside(times, Tz::UTC) {
        let (inside, _) = counts(times, Tz::UTC);
        return ZoneGuess {
            zone: Tz::UTC,
            local: Tz::UTC,
            is_likely: false,
            reason: format!(
                "the times have no zone. {} by their own clock, so days and times are of one zone, and the \
                 exports do not say which",
                in_their_day(times, inside)
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

    /// The first and the last three seconds of a day, and one of its middle.
    fn edges(first: &str, last: &str) -> Vec<i64> {
        let (first, last) = (instant(first), instant(last));
        let near = (0..3).flat_map(|n| [first + n * 1_000_000, last - n * 1_000_000]);
        near.chain([first + (last - first) / 2]).collect()
    }

    fn days(days: &[(&str, &str, &str)]) -> Times {
        let day =
            |(day, first, last): &(&str, &str, &str)| (day.parse().unwrap(), edges(first, last));
        Times {
            column: "order_lines.paid_at".into(),
            are_local: false,
            days: days.iter().map(day).collect(),
        }
    }

    /// The days before and after the clock changes on 2026-03-08. Phoenix keeps UTC-7: without the last
    /// three rows of the 7th.
    #[test]
    fn hours_on_both_sides_of_a_change_of_the_clock_tell_the_zone() {
        let found = guess(&[days(&[
            ("2026-03-07", "2026-03-07T08:00:00Z", "2026-03-08T07:59:59Z"),
            ("2026-03-09", "2026-03-09T07:00:00Z", "2026-03-10T06:59:59Z"),
        ])]);
        assert_eq!((found.zone, found.is_likely), (America::Los_Angeles, true));
        let told = "14 of 14 sampled rows of order_lines.paid_at in 2 days lie in their day; in America/Phoenix, \
                    the next best, 11 do; zones with the same time cannot be told apart: ";
        let same = found.reason.strip_prefix(told);
        let same = same.unwrap_or_else(|| panic!("{}", found.reason));
        assert!(same.contains("America/Tijuana"), "{same}");
        assert!(!same.contains("America/Los_Angeles"), "{same}");
    }

    /// UTC+5, half an hour from the zone of India. UTC has the last three rows and the middle.
    #[test]
    fn a_zone_outside_the_well_known_ones_is_found() {
        let found = guess(&[days(&[(
            "2026-03-14",
            "2026-03-13T19:00:00Z",
            "2026-03-14T18:59:59Z",
        )])]);
        assert_eq!((found.zone, found.is_likely), (Asia::Karachi, true));
        assert!(found.reason.contains("7 of 7 sampled"), "{}", found.reason);
        assert!(
            found.reason.contains("in UTC, the next best, 4 do"),
            "{}",
            found.reason
        );
        assert!(
            found.reason.contains("Asia/Almaty, Asia/Aqtau"),
            "{}",
            found.reason
        );
        // UTC+12:45, which is no zone of many marketplaces.
        let found = guess(&[days(&[(
            "2026-07-14",
            "2026-07-13T11:15:00Z",
            "2026-07-14T11:14:59Z",
        )])]);
        assert_eq!((found.zone, found.is_likely), (Pacific::Chatham, true));
    }

    /// Phoenix has no summer time: in winter, Denver has the same clock.
    #[test]
    fn zones_that_differ_only_in_another_season_are_unsure() {
        let found = guess(&[days(&[
            ("2026-03-07", "2026-03-07T07:00:00Z", "2026-03-08T06:59:59Z"),
            ("2026-03-09", "2026-03-09T07:00:00Z", "2026-03-10T06:59:59Z"),
        ])]);
        assert_eq!((found.zone, found.is_likely), (America::Phoenix, true));
        let found = guess(&[days(&[(
            "2026-01-10",
            "2026-01-10T07:00:00Z",
            "2026-01-11T06:59:59Z",
        )])]);
        assert_eq!((found.zone, found.is_likely), (America::Denver, false));
        let told = "; so they do in America/Phoenix, ";
        assert!(found.reason.contains(told), "{}", found.reason);
    }

    /// One row of 700 lies outside.
    #[test]
    fn a_zone_that_a_row_contradicts_is_unsure() {
        let mut times = days(&[("2026-03-14", "2026-03-13T19:00:00Z", "2026-03-14T18:59:59Z")]);
        let noon = instant("2026-03-14T12:00:00Z");
        times.days[0].1.resize(699, noon);
        assert!(guess(&[days_with(&times, noon)]).is_likely);
        let found = guess(&[days_with(&times, instant("2026-03-14T19:00:00Z"))]);
        assert_eq!((found.zone, found.is_likely), (Asia::Karachi, false));
        let told = "699 of 700 sampled rows of order_lines.paid_at in 1 day lie in their day, and not more";
        assert!(found.reason.starts_with(told), "{}", found.reason);
    }

    /// The same times with one more.
    fn days_with(times: &Times, one: i64) -> Times {
        let mut days = times.days.clone();
        days[0].1.push(one);
        Times {
            column: times.column.clone(),
            are_local: times.are_local,
            days,
        }
    }

    #[test]
    fn a_zone_that_is_given_is_compared_with_the_rows() {
        let of_tokyo = || days(&[("2026-03-14", "2026-03-13T15:00:00Z", "2026-03-14T14:59:59Z")]);
        let found = given(Asia::Tokyo, &[of_tokyo()]);
        assert_eq!(
            (found.zone, found.local, found.is_likely),
            (Asia::Tokyo, Asia::Tokyo, true)
        );
        assert_eq!(
            found.reason,
            "CAMPAIGN_ETL_TIME_ZONE gives it; 7 of 7 sampled rows of order_lines.paid_at in 1 day lie in their day"
        );
        // The first three rows lie in the day before.
        let found = given(Tz::UTC, &[of_tokyo()]);
        assert_eq!((found.zone, found.is_likely), (Tz::UTC, false));
        let told = "lie in their day; in Asia/Tokyo, 7 of 7 sampled rows";
        assert!(
            found.reason.contains("; 4 of 7 sampled"),
            "{}",
            found.reason
        );
        assert!(found.reason.contains(told), "{}", found.reason);
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
        let told = "1 do: too few rows tell them apart; zones with the same time";
        assert!(found.reason.contains(told), "{}", found.reason);
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
