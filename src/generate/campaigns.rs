//! Mega campaigns: their calendar, the shops that registered, their products and sub-campaigns.
//!
//! The first campaign lasts a week and begins a week into the world; others lie before and after
//! it, every four weeks.

use chrono::{Days, NaiveDate};

use super::calendar;
use super::market::{Product, Shop};
use super::stream::Stream;
use super::world::World;

const CAMPAIGN_DAYS: u64 = 7;
const WEEKS_APART: i64 = 4;
/// Campaigns are exported from when they are announced until their results are settled.
const ANNOUNCED_DAYS_AHEAD: i64 = 40;
const KEPT_DAYS: i64 = 40;
const NAMES: [&str; 6] = [
    "Spring Mega Sale",
    "Super Brand Week",
    "Summer Kickoff",
    "Back to Basics Week",
    "Deals Festival",
    "Holiday Preview",
];
const SUB_CAMPAIGN_NAMES: [&str; 4] = [
    "Flash Deals",
    "Free Shipping Fest",
    "LIVE Exclusive",
    "New Arrivals",
];

/// One campaign; `number` 0 is the one that begins a week into the world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Campaign {
    number: i64,
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
}

/// The campaigns in the export of a day: running, announced, or not yet settled.
pub(super) fn campaigns(world: &World, day: NaiveDate) -> Vec<Campaign> {
    let origin = calendar::number(world.first_day) + 7;
    let today = calendar::number(day);
    let period = WEEKS_APART * 7;
    let around = (today - origin).div_euclid(period);
    (around - 2..=around + 2)
        .filter_map(|number| {
            let starts_in = origin + number * period - today;
            let first_day = if starts_in >= 0 {
                day.checked_add_days(Days::new(starts_in as u64))?
            } else {
                day.checked_sub_days(Days::new(starts_in.unsigned_abs()))?
            };
            let last_day = first_day.checked_add_days(Days::new(CAMPAIGN_DAYS - 1))?;
            let ended_before = -(starts_in + CAMPAIGN_DAYS as i64 - 1);
            (starts_in <= ANNOUNCED_DAYS_AHEAD && ended_before <= KEPT_DAYS).then_some(Campaign {
                number,
                first_day,
                last_day,
            })
        })
        .collect()
}

/// The campaign that runs on a day.
pub(super) fn running(world: &World, day: NaiveDate) -> Option<Campaign> {
    campaigns(world, day)
        .into_iter()
        .find(|c| c.first_day <= day && day <= c.last_day)
}

impl Campaign {
    pub(super) fn campaign_id(&self) -> i64 {
        9_000 + self.number
    }

    pub(super) fn name(&self) -> String {
        let name = NAMES[self.number.rem_euclid(NAMES.len() as i64) as usize];
        format!("{name} {}", self.first_day.format("%Y"))
    }

    pub(super) fn sub_campaign_id(&self, position: usize) -> i64 {
        self.campaign_id() * 10 + position as i64
    }

    pub(super) fn sub_campaign_names(&self) -> &'static [&'static str] {
        &SUB_CAMPAIGN_NAMES
    }

    /// The shop's registration as known on `day`, with its target in cents: most join before the
    /// first day, a few late.
    pub(super) fn registration(
        &self,
        world: &World,
        shop: &Shop,
        day: NaiveDate,
    ) -> Option<Option<i64>> {
        let mut stream = Stream::new(
            world.seed,
            "registration",
            &[self.number as u64, u64::from(shop.index)],
        );
        let takes_part = stream.chance(0.78);
        let joins = calendar::number(self.first_day) - 12 + stream.below(14) as i64;
        let target = stream.log_normal(4_000.0 * shop.size + 150.0, 0.4);
        let has_target = stream.chance(0.85);
        if !takes_part || calendar::number(day) < joins {
            return None;
        }
        // Sellers name round numbers: steps of 50.
        Some(has_target.then_some(((target / 50.0).ceil() as i64) * 5_000))
    }

    /// Whether a product of a registered shop is a campaign product.
    pub(super) fn holds(&self, world: &World, product: &Product) -> bool {
        Stream::new(
            world.seed,
            "campaign product",
            &[self.number as u64, product.product_id as u64],
        )
        .chance(0.35)
    }

    /// How much more traffic a shop has on a day of the campaign: most on the first and the last
    /// day.
    pub(super) fn traffic_uplift(&self, day: NaiveDate, is_registered: bool) -> f64 {
        match (is_registered, day == self.first_day || day == self.last_day) {
            (true, true) => 1.75,
            (true, false) => 1.35,
            (false, _) => 1.06,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_campaign_lasts_from_the_eighth_to_the_fourteenth_day() {
        let world = World::sample();
        assert_eq!(running(&world, day("2026-03-07")), None);
        for of in ["2026-03-08", "2026-03-14"] {
            let campaign = running(&world, day(of)).unwrap();
            assert_eq!(
                (campaign.first_day, campaign.last_day),
                (day("2026-03-08"), day("2026-03-14"))
            );
            assert_eq!(campaign.campaign_id(), 9_000);
        }
        assert_eq!(running(&world, day("2026-03-15")), None);
    }

    #[test]
    fn the_export_of_a_day_holds_past_and_future_campaigns_too() {
        let found: Vec<String> = campaigns(&World::sample(), day("2026-03-08"))
            .iter()
            .map(|c| c.first_day.to_string())
            .collect();
        assert_eq!(found, ["2026-02-08", "2026-03-08", "2026-04-05"]);
    }
}
