//! The earlier days that a day is compared with: those like it, where there are enough.

use anyhow::Result;
use chrono::{Days, NaiveDate};

use super::range::Sides;
use crate::catalog::checked::{DayKind, Measures};
use crate::catalog::state::State;
use crate::config::CheckRules;
use crate::contracts::Follows;
use crate::contracts::tables::SHOP_DAILY;
use crate::fingerprint::Fingerprint;

/// How far back days of campaigns are looked for, in weeks: mega campaigns come every month or two.
/// `gmv_baseline` reads as far back, so the manifests are known.
const CAMPAIGN_WEEKS: u64 = 26;

/// A published day before the day that is checked.
#[derive(Clone, Debug)]
pub(crate) struct PastDay {
    pub day: NaiveDate,
    pub measures: Measures,
}

/// The published days that a day can be compared with, oldest first.
///
/// # Errors
/// When a manifest cannot be read.
pub(crate) fn past_days(state: &State, day: NaiveDate) -> Result<Vec<PastDay>> {
    let first = day - Days::new(7 * CAMPAIGN_WEEKS);
    let mut past = Vec::new();
    for before in state.days() {
        if !(first..day).contains(&before) {
            continue;
        }
        let manifest = state.manifest(before)?;
        let published = manifest.filter(|manifest| manifest.has(&SHOP_DAILY));
        if let Some(measures) = published.and_then(|manifest| manifest.measures.clone()) {
            past.push(PastDay {
                day: before,
                measures,
            });
        }
    }
    Ok(past)
}

/// Fingerprint of all that the checks of a day depend on, but its own exports.
///
/// # Errors
/// When a manifest cannot be read.
pub(crate) fn compared_with(state: &State, day: NaiveDate, rules: &CheckRules) -> Result<String> {
    let mut fingerprint = Fingerprint::new("checks");
    fingerprint.field(&format!("{rules:?}"));
    for past in past_days(state, day)? {
        fingerprint.field(&past.day.to_string());
        fingerprint.field(&format!("{:?}", past.measures));
        let manifest = state.manifest(past.day)?;
        let table = manifest
            .as_ref()
            .and_then(|m| m.tables.get(SHOP_DAILY.name));
        match table {
            // Its bytes are not known before it is computed.
            _ if state.is_announced(SHOP_DAILY.id, past.day) => fingerprint.field("announced"),
            Some(table) => fingerprint.field(&table.sha256),
            None => fingerprint.field(""),
        }
    }
    Ok(fingerprint.finish())
}

/// The days to compare a number with.
pub(super) struct Compared<'a> {
    pub days: Vec<&'a PastDay>,
    pub sides: Sides,
}

/// The days that are like a day, for a number that follows something.
///
/// * `Neither`: all days of the last weeks.
/// * `Campaigns`: those of the last weeks with the same campaigns.
/// * `Demand`: days of the same kind. Where there are too few, and `is_ordered`, a day of a campaign
///   must at least not be lower than days of a lower kind, nor an ordinary day higher than days of a
///   higher kind.
///
/// `None`: too few. `past`: the days that have the number, oldest first.
pub(super) fn days_like<'a>(
    past: Vec<&'a PastDay>,
    (day, measures): (NaiveDate, &Measures),
    (follows, is_ordered): (Follows, bool),
    rules: &CheckRules,
) -> Result<Compared<'a>, TooFew> {
    let first = day - Days::new(7 * u64::from(rules.weeks));
    let recent = || past.iter().copied().filter(|past| past.day >= first);
    let enough = |days: Vec<&'a PastDay>, sides| match days.len() >= rules.min_days as usize {
        true => Ok(Compared { days, sides }),
        false => Err(TooFew {
            days: days.len(),
            wanted: rules.min_days,
        }),
    };
    let kind = measures.kind;
    match follows {
        Follows::Neither => enough(recent().collect(), Sides::Both),
        Follows::Campaigns => {
            let is_same = |past: &&PastDay| past.measures.campaign_ids == measures.campaign_ids;
            enough(recent().filter(is_same).collect(), Sides::Both)
        }
        Follows::Demand => {
            let same = of_kind(&past, kind, first, 7 * rules.weeks as usize);
            let too_few = match enough(same, Sides::Both) {
                Ok(compared) => return Ok(compared),
                Err(too_few) => too_few,
            };
            if !is_ordered {
                return Err(too_few);
            }
            let lower = recent().filter(|past| past.measures.kind < kind).collect();
            let higher = recent().filter(|past| past.measures.kind > kind).collect();
            enough(lower, Sides::Low)
                .or_else(|_| enough(higher, Sides::High))
                .map_err(|_| too_few)
        }
    }
}

/// The latest days of a kind; of campaigns also from before `first`.
fn of_kind<'a>(
    past: &[&'a PastDay],
    kind: DayKind,
    first: NaiveDate,
    most: usize,
) -> Vec<&'a PastDay> {
    let is_wanted = |past: &&&PastDay| {
        past.measures.kind == kind && (past.day >= first || kind != DayKind::Ordinary)
    };
    let mut latest: Vec<&PastDay> = past
        .iter()
        .rev()
        .filter(is_wanted)
        .take(most)
        .copied()
        .collect();
    latest.reverse();
    latest
}

/// Fewer days like the day than a comparison needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooFew {
    pub days: usize,
    wanted: u32,
}

impl TooFew {
    pub(super) fn told(&self) -> String {
        let TooFew { days, wanted } = self;
        format!("{days} of {wanted} published days like it")
    }
}

#[cfg(test)]
mod tests {
    use DayKind::{Campaign, CampaignEdge, Ordinary};

    use super::*;
    use crate::config::Config;
    use crate::testing::march;

    fn past(day: NaiveDate, kind: DayKind, campaign_ids: &[i64]) -> PastDay {
        let measures = Measures {
            kind,
            campaign_ids: campaign_ids.to_vec(),
            ..Measures::default()
        };
        PastDay { day, measures }
    }

    /// The days that a day of March with these measures is compared with, and the sides.
    fn compared(
        days: &[PastDay],
        today: PastDay,
        follows: (Follows, bool),
    ) -> Result<(Vec<NaiveDate>, Sides), String> {
        let rules = Config::parse("[checks]\nmin_days = 3\nweeks = 2")
            .unwrap()
            .checks;
        let of_day = (today.day, &today.measures);
        days_like(days.iter().collect(), of_day, follows, &rules)
            .map(|like| (like.days.iter().map(|past| past.day).collect(), like.sides))
            .map_err(|too_few| too_few.told())
    }

    #[test]
    fn a_day_of_a_campaign_is_compared_with_such_days_even_from_months_ago() {
        let mut days: Vec<PastDay> = (1..=3)
            .map(|day| past(march(day), Campaign, &[1]))
            .collect();
        days.extend((20..=24).map(|day| past(march(day), Ordinary, &[])));
        let today = past(march(25), Campaign, &[2]);
        let found = compared(&days, today, (Follows::Demand, true));
        assert_eq!(found, Ok((vec![march(1), march(2), march(3)], Sides::Both)));
    }

    #[test]
    fn an_ordinary_day_is_compared_with_ordinary_days_of_the_last_weeks() {
        let days: Vec<PastDay> = (1..=24)
            .map(|day| past(march(day), if day > 20 { Campaign } else { Ordinary }, &[]))
            .collect();
        let found = compared(
            &days,
            past(march(25), Ordinary, &[]),
            (Follows::Demand, true),
        );
        let last: Vec<NaiveDate> = (11..=20).map(march).collect();
        assert_eq!(found, Ok((last, Sides::Both)));
    }

    #[test]
    fn the_first_day_of_a_campaign_must_only_not_be_lower_than_ordinary_days() {
        let days: Vec<PastDay> = (20..=24)
            .map(|day| past(march(day), Ordinary, &[]))
            .collect();
        let today = past(march(25), CampaignEdge, &[1]);
        let found = compared(&days, today.clone(), (Follows::Demand, true));
        assert_eq!(found.unwrap().1, Sides::Low);
        let shares = compared(&days, today, (Follows::Demand, false));
        assert_eq!(shares.unwrap_err(), "0 of 3 published days like it");
    }

    #[test]
    fn an_ordinary_day_after_a_long_campaign_must_only_not_be_higher() {
        let days: Vec<PastDay> = (20..=24)
            .map(|day| past(march(day), Campaign, &[1]))
            .collect();
        let today = past(march(25), Ordinary, &[]);
        let found = compared(&days, today, (Follows::Demand, true));
        assert_eq!(found.unwrap().1, Sides::High);
    }

    #[test]
    fn registrations_are_compared_with_days_that_have_the_same_campaigns() {
        let days: Vec<PastDay> = (20..=24)
            .map(|day| past(march(day), Campaign, if day == 22 { &[1, 2] } else { &[1] }))
            .collect();
        let found = compared(
            &days,
            past(march(25), CampaignEdge, &[1]),
            (Follows::Campaigns, false),
        );
        let same = [20, 21, 23, 24].map(march).to_vec();
        assert_eq!(found, Ok((same, Sides::Both)));
    }

    #[test]
    fn fewer_days_than_wanted_are_nothing_to_compare_with() {
        let days = [
            past(march(23), Ordinary, &[]),
            past(march(24), Ordinary, &[]),
        ];
        let today = past(march(25), Ordinary, &[]);
        let found = compared(&days, today, (Follows::Neither, true));
        assert_eq!(found.unwrap_err(), "2 of 3 published days like it");
    }
}
