//! The rules of the job's time zone in this program, beside those of the machine.
//!
//! The rules are compiled in (`chrono-tz`). A government that changes its clocks changes the hours of a
//! day; the machine usually learns of it first.

use std::fs;
use std::path::Path;

use chrono::{DateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{IANA_TZDB_VERSION, Tz};

use super::finding::{Check, Finding};
use super::given::read_text;

/// Where systems keep the rules of time zones.
const SYSTEM: &str = "/usr/share/zoneinfo";

/// Hours of a leap year, for which rules are compared.
const HOURS_COMPARED: i64 = 366 * 24;

pub(super) fn check(zone: Option<Tz>, now: DateTime<Utc>) -> Finding {
    let folder = Path::new(SYSTEM);
    let version = version(folder);
    let rules = zone.and_then(|zone| {
        let bytes = fs::read(folder.join(zone.name())).ok()?;
        Some((zone, Rules::parse(&bytes)?))
    });
    judge(version.as_deref(), rules.as_ref(), now)
}

/// The version of the system's rules, such as `2025b`.
fn version(folder: &Path) -> Option<String> {
    let of_file = || read_text(&folder.join("+VERSION"));
    let of_rules = || {
        let text = read_text(&folder.join("tzdata.zi"))?;
        let first = text.lines().next()?;
        Some(first.strip_prefix("# version ")?.to_owned())
    };
    of_file()
        .or_else(of_rules)
        .map(|text| text.trim().to_owned())
}

fn judge(version: Option<&str>, rules: Option<&(Tz, Rules)>, now: DateTime<Utc>) -> Finding {
    let own = format!("rules of IANA {IANA_TZDB_VERSION} compiled in");
    let of_system = match version {
        Some(version) => format!("the machine has {version}"),
        None => "the machine does not tell its version".into(),
    };
    let Some((zone, rules)) = rules else {
        return Check::ZoneData.ok(format!("{own}; {of_system}; not compared"));
    };
    match first_difference(*zone, rules, now) {
        Compared::Same => Check::ZoneData.ok(format!(
            "{zone}: {own}; {of_system}; the same offsets for the next year"
        )),
        Compared::Unknown => Check::ZoneData.ok(format!(
            "{zone}: {own}; {of_system}, in a form that is not compared"
        )),
        Compared::Differs(at) => Check::ZoneData.warn(
            format!(
                "{zone}: {own}; {of_system}, with another offset from {} on",
                at.format("%Y-%m-%d %H:%M UTC")
            ),
            "update the older of the two: this program with a newer chrono-tz, or the machine's tzdata",
        ),
    }
}

enum Compared {
    Same,
    Differs(DateTime<Utc>),
    /// The rules of the machine end before the compared year does.
    Unknown,
}

fn first_difference(zone: Tz, rules: &Rules, now: DateTime<Utc>) -> Compared {
    for hour in 0..HOURS_COMPARED {
        let at = now + TimeDelta::hours(hour);
        let own = zone
            .offset_from_utc_datetime(&at.naive_utc())
            .fix()
            .local_minus_utc();
        match rules.offset_at(at.timestamp()) {
            None => return Compared::Unknown,
            Some(of_system) if of_system != own => return Compared::Differs(at),
            Some(_) => {}
        }
    }
    Compared::Same
}

/// The offsets of a zone in a TZif file of version 2 or later (RFC 9636).
struct Rules {
    /// Instants in seconds since 1970 UTC, ascending, and the offset in seconds from each one on.
    transitions: Vec<(i64, i32)>,
    /// The offset before the first of them.
    first: i32,
    /// A rule that goes on after the last of them. It is not read.
    goes_on: bool,
}

/// Of a header: the magic number, a version, reserved bytes, and six counts.
const HEADER_BYTES: usize = 44;

impl Rules {
    /// `None`: not such a file.
    fn parse(file: &[u8]) -> Option<Rules> {
        let old = Header::parse(file)?;
        let block = file.get(old.block_bytes(4)?.checked_add(HEADER_BYTES)?..)?;
        let header = Header::parse(block)?;
        let (times, rest) = block
            .get(HEADER_BYTES..)?
            .split_at_checked(header.transitions.checked_mul(8)?)?;
        let (kinds, rest) = rest.split_at_checked(header.transitions)?;
        let offsets = rest.get(..header.offsets.checked_mul(6)?)?;
        let offsets: Vec<i32> = offsets
            .chunks_exact(6)
            .filter_map(|kind| Some(i32::from_be_bytes(kind.get(..4)?.try_into().ok()?)))
            .collect();
        let times = times.chunks_exact(8).zip(kinds);
        let transitions = times.map(|(time, kind)| {
            let at = i64::from_be_bytes(time.try_into().ok()?);
            Some((at, *offsets.get(usize::from(*kind))?))
        });
        let footer = block.get(header.block_bytes(8)?.checked_add(HEADER_BYTES)?..)?;
        Some(Rules {
            transitions: transitions.collect::<Option<_>>()?,
            first: *offsets.first()?,
            goes_on: footer.contains(&b','),
        })
    }

    /// Seconds east of UTC at an instant; `None` where the file has a rule instead.
    fn offset_at(&self, seconds: i64) -> Option<i32> {
        let passed = self.transitions.partition_point(|(at, _)| *at <= seconds);
        if passed == self.transitions.len() && self.goes_on {
            return None;
        }
        let newest = passed
            .checked_sub(1)
            .and_then(|last| self.transitions.get(last));
        Some(newest.map_or(self.first, |(_, offset)| *offset))
    }
}

/// The counts of a block of a TZif file.
struct Header {
    ut_marks: usize,
    standard_marks: usize,
    leap_seconds: usize,
    transitions: usize,
    offsets: usize,
    name_bytes: usize,
}

impl Header {
    fn parse(block: &[u8]) -> Option<Header> {
        let header = block.get(..HEADER_BYTES)?;
        let is_known = header.starts_with(b"TZif") && *header.get(4)? >= b'2';
        let count = |position: usize| {
            let bytes = header.get(20 + 4 * position..)?.first_chunk()?;
            usize::try_from(u32::from_be_bytes(*bytes)).ok()
        };
        is_known.then_some(Header {
            ut_marks: count(0)?,
            standard_marks: count(1)?,
            leap_seconds: count(2)?,
            transitions: count(3)?,
            offsets: count(4)?,
            name_bytes: count(5)?,
        })
    }

    /// Bytes of the block behind the header, whose times have so many bytes.
    fn block_bytes(&self, time_bytes: usize) -> Option<usize> {
        let parts = [
            self.transitions.checked_mul(time_bytes + 1)?,
            self.offsets.checked_mul(6)?,
            self.name_bytes,
            self.leap_seconds.checked_mul(time_bytes + 4)?,
            self.standard_marks,
            self.ut_marks,
        ];
        parts.into_iter().try_fold(0_usize, usize::checked_add)
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::America::Los_Angeles;

    use super::super::finding::Outcome;
    use super::*;
    use crate::testing::instant;

    /// A file of a zone with these transitions (seconds since 1970, number of the offset), offsets and
    /// footer. Its block of version 1 has one transition, one offset and four letters, which do not count.
    fn file(transitions: &[(i64, u8)], offsets: &[i32], footer: &str) -> Vec<u8> {
        let header = |counts: [u32; 6]| {
            let mut bytes = b"TZif2".to_vec();
            bytes.extend([0; 15]);
            counts.iter().for_each(|n| bytes.extend(n.to_be_bytes()));
            bytes
        };
        let mut bytes = header([0, 0, 0, 1, 1, 4]);
        bytes.extend([9; 4 + 1 + 6 + 4]);
        bytes.extend(header([
            0,
            0,
            0,
            transitions.len() as u32,
            offsets.len() as u32,
            4,
        ]));
        transitions
            .iter()
            .for_each(|(at, _)| bytes.extend(at.to_be_bytes()));
        bytes.extend(transitions.iter().map(|(_, kind)| kind));
        for offset in offsets {
            bytes.extend(offset.to_be_bytes());
            bytes.extend([0, 0]);
        }
        bytes.extend(b"PST\0");
        bytes.extend(format!("\n{footer}\n").bytes());
        bytes
    }

    /// Seconds since 1970.
    fn at(text: &str) -> i64 {
        instant(text).timestamp()
    }

    const PST: i32 = -8 * 3600;
    const PDT: i32 = -7 * 3600;

    /// The clocks of Los Angeles in 2026 and 2027, by the rules of the Energy Policy Act of 2005: second
    /// Sunday of March and first of November, at 2 o'clock.
    fn of_los_angeles() -> Vec<(i64, u8)> {
        vec![
            (at("2025-11-02T09:00:00Z"), 0),
            (at("2026-03-08T10:00:00Z"), 1),
            (at("2026-11-01T09:00:00Z"), 0),
            (at("2027-03-14T10:00:00Z"), 1),
            (at("2027-11-07T09:00:00Z"), 0),
        ]
    }

    fn judged(transitions: &[(i64, u8)], footer: &str) -> Finding {
        let rules = Rules::parse(&file(transitions, &[PST, PDT], footer)).unwrap();
        let now = instant("2026-01-15T12:00:00Z");
        judge(Some("2031x"), Some(&(Los_Angeles, rules)), now)
    }

    #[test]
    fn offsets_hold_from_one_transition_to_the_next() {
        let rules = Rules::parse(&file(&of_los_angeles(), &[PST, PDT], "")).unwrap();
        for (instant, offset) in [
            ("1990-01-01T00:00:00Z", PST),
            ("2026-03-08T09:59:59Z", PST),
            ("2026-03-08T10:00:00Z", PDT),
            ("2026-11-01T09:00:00Z", PST),
            ("2040-07-01T00:00:00Z", PST),
        ] {
            assert_eq!(rules.offset_at(at(instant)), Some(offset), "{instant}");
        }
    }

    #[test]
    fn rules_of_the_machine_are_compared_for_a_year() {
        let same = judged(&of_los_angeles(), "PST8PDT,M3.2.0,M11.1.0");
        assert_eq!(same.outcome, Outcome::Ok);
        assert!(same.text.contains("the same offsets"), "{}", same.text);

        // A law keeps summer time from 2026 on.
        let kept = judged(&of_los_angeles()[..2], "");
        assert_eq!(kept.outcome, Outcome::Warn);
        assert!(
            kept.text.contains(
                "the machine has 2031x, with another offset from 2026-11-01 09:00 UTC on"
            ),
            "{}",
            kept.text
        );
        let ends = judged(&of_los_angeles()[..2], "PST8PDT,M3.2.0,M11.1.0");
        assert_eq!(ends.outcome, Outcome::Ok);
        assert!(ends.text.contains("not compared"), "{}", ends.text);
    }

    #[test]
    fn a_damaged_file_is_none() {
        let whole = file(&of_los_angeles(), &[PST, PDT], "");
        // Without the footer's last line end, everything is still there.
        for length in 0..whole.len() - 2 {
            assert!(Rules::parse(&whole[..length]).is_none(), "{length} bytes");
        }
        let mut huge = whole.clone();
        huge[32..36].fill(0xff);
        assert!(Rules::parse(&huge).is_none());
        assert!(
            Rules::parse(&file(&[(0, 7)], &[PST], "")).is_none(),
            "no such offset"
        );
    }

    #[test]
    fn the_version_of_the_machine_is_read_from_either_file() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(version(folder.path()), None);
        write("tzdata.zi", "# version 2031x\nR A\n");
        assert_eq!(version(folder.path()).as_deref(), Some("2031x"));
        write("+VERSION", "2031y\n");
        assert_eq!(version(folder.path()).as_deref(), Some("2031y"));
    }
}
