//! The clock of this machine beside that of the results' store.

use chrono::{DateTime, TimeDelta, Utc};

use super::finding::{Check, Finding};
use crate::publish::lease::HEARTBEATS;

/// The times around the write of one object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamps {
    /// By our clock.
    pub sent_at: DateTime<Utc>,
    /// By the store's clock; an object store may tell whole seconds only.
    pub stamped_at: DateTime<Utc>,
    /// By our clock.
    pub answered_at: DateTime<Utc>,
}

impl Stamps {
    /// How far our clock is behind the store's (negative: ahead), and how far off this may be: the
    /// object was written somewhere between sending and answer.
    fn behind(&self) -> (TimeDelta, TimeDelta) {
        let half = (self.answered_at - self.sent_at) / 2;
        let is_whole_second = self.stamped_at.timestamp_subsec_nanos() == 0;
        let half_second = TimeDelta::milliseconds(if is_whole_second { 500 } else { 0 });
        let behind = self.stamped_at + half_second - (self.sent_at + half);
        (behind, half + half_second)
    }
}

/// Above this, times in messages and manifests mislead people. S3 refuses requests from 15 minutes on.
const WARN_ABOVE: TimeDelta = TimeDelta::seconds(5);

/// Fails where two runs would no longer agree on who holds the lease.
///
/// A holder sends [`HEARTBEATS`] heartbeats in `lease_seconds`, with the time of its clock, and two of
/// them may be lost. A clock that is off by the time between two heartbeats uses up one of these two,
/// and the clock of the other run may be off too.
pub(super) fn judge(stamps: &Stamps, lease_seconds: u32) -> Finding {
    let (behind, uncertainty) = stamps.behind();
    let surely = (behind.abs() - uncertainty).max(TimeDelta::zero());
    let between_heartbeats = TimeDelta::seconds(lease_seconds.into()) / HEARTBEATS as i32;
    let direction = if behind < TimeDelta::zero() {
        "ahead of"
    } else {
        "behind"
    };
    let text = format!(
        "{} {direction} the results' store (\u{b1} {})",
        show(behind.abs()),
        show(uncertainty)
    );
    let remedy = "synchronize the clock of this machine (NTP)";
    if surely > between_heartbeats {
        let why = format!(
            "{text}; above {}, another run may take over the lease of {lease_seconds} s of a run at work",
            show(between_heartbeats)
        );
        Check::Clock.fail(why, remedy)
    } else if surely > WARN_ABOVE {
        Check::Clock.warn(text, remedy)
    } else {
        Check::Clock.ok(text)
    }
}

fn show(time: TimeDelta) -> String {
    match time.num_milliseconds() {
        ms @ ..1000 => format!("{ms} ms"),
        ms => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Outcome;
    use super::*;
    use crate::testing::instant;

    /// The answer comes 100 ms after noon.
    fn judged(stamped_at: &str, lease_seconds: u32) -> (Outcome, String) {
        let stamps = Stamps {
            sent_at: instant("2026-03-15T12:00:00Z"),
            stamped_at: instant(stamped_at),
            answered_at: instant("2026-03-15T12:00:00.100Z"),
        };
        let found = judge(&stamps, lease_seconds);
        (found.outcome, found.text)
    }

    #[test]
    fn a_difference_is_told_with_its_direction_and_precision() {
        let (outcome, text) = judged("2026-03-15T12:00:00.053Z", 60);
        assert_eq!(
            (outcome, text.as_str()),
            (Outcome::Ok, "3 ms behind the results' store (\u{b1} 50 ms)")
        );
        // 11:59:58.030 is 2020 ms before the middle, 12:00:00.050.
        let (outcome, text) = judged("2026-03-15T11:59:58.030Z", 60);
        assert_eq!(
            (outcome, text.as_str()),
            (
                Outcome::Ok,
                "2.0 s ahead of the results' store (\u{b1} 50 ms)"
            )
        );
        // A whole second may be any instant of it: 12:00:00.500 is 450 ms after the middle.
        let (_, text) = judged("2026-03-15T12:00:00Z", 60);
        assert_eq!(text, "450 ms behind the results' store (\u{b1} 550 ms)");
    }

    #[test]
    fn five_seconds_warn_and_the_time_between_two_heartbeats_fails() {
        for (stamped_at, lease_seconds, expected) in [
            // 5.090 s less 50 ms: more than 5 s.
            ("2026-03-15T12:00:05.140Z", 60, Outcome::Warn),
            ("2026-03-15T12:00:05.090Z", 60, Outcome::Ok),
            ("2026-03-15T11:59:54.900Z", 60, Outcome::Warn),
            // A third of the lease, 20 s, and 50 ms of uncertainty.
            ("2026-03-15T12:00:20.100Z", 60, Outcome::Warn),
            ("2026-03-15T12:00:20.101Z", 60, Outcome::Fail),
            ("2026-03-15T11:59:39.900Z", 60, Outcome::Fail),
            ("2026-03-15T12:00:20.101Z", 90, Outcome::Warn),
            // A short lease stands less: 3 s / 3, and 50 ms.
            ("2026-03-15T12:00:01.099Z", 3, Outcome::Ok),
            ("2026-03-15T12:00:01.101Z", 3, Outcome::Fail),
        ] {
            let (outcome, text) = judged(stamped_at, lease_seconds);
            assert_eq!(outcome, expected, "{stamped_at} {lease_seconds}: {text}");
        }
    }
}
