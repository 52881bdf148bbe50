//! The tables over longer windows (SPEC.md 3.2 and 4), from the published days.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::calendar::{days_before, days_between, six_months_before};
use super::numbers::{Measures, add, get, known, ratio, times};
use super::quarantine::DayExports;
use super::rollups::{CONTENT_ATTRIBUTES, Rollups};
use super::rows::{Line, Tables, ranks};
use super::{Published, Settings};

/// A shop's sums over a campaign's period.
pub struct ShopPeriod {
    pub category: Option<String>,
    pub measures: Measures,
}

/// The values of a published day that benchmarks read.
pub struct Windows {
    /// By campaign and shop.
    pub shop_period: BTreeMap<(i64, i64), ShopPeriod>,
    /// Published days of each campaign's period.
    pub days: BTreeMap<i64, i128>,
    /// Of each shop, its position among the configured tiers.
    pub shop_tier: BTreeMap<i64, usize>,
    pub observed_days: usize,
}

/// A campaign of the day with the published days of its period, oldest first.
struct Period<'a> {
    campaign: i64,
    first_day: NaiveDate,
    days: Vec<&'a Rollups>,
    total_days: usize,
}

pub fn compute(
    exports: &DayExports,
    today: &Rollups,
    earlier: &BTreeMap<NaiveDate, Published>,
    settings: &Settings,
    tables: &mut Tables,
) -> Windows {
    let mut history: BTreeMap<NaiveDate, &Rollups> =
        earlier.iter().map(|(day, p)| (*day, &p.rollups)).collect();
    history.insert(exports.day, today);

    let mut periods = Vec::new();
    for campaign in exports.required_rows("campaigns") {
        let first_day = campaign.day("first_day");
        let all_days = days_between(first_day, exports.day);
        let days = all_days
            .iter()
            .filter_map(|day| history.get(day).copied())
            .collect();
        periods.push(Period {
            campaign: campaign.int("campaign_id"),
            first_day,
            days,
            total_days: all_days.len(),
        });
    }
    let shop_period = shop_period(exports, &periods, tables);
    funnel_period(exports.day, &periods, &shop_period, tables);
    channel_period(exports.day, &periods, &shop_period, tables);
    product_period(exports, &periods, &shop_period, tables);
    content_period(exports.day, &periods, &shop_period, tables);
    sub_campaign_period(exports.day, &periods, &shop_period, tables);
    gmv_baseline(exports, &history, settings, tables);
    stock_status(exports, &history, tables);
    let (shop_tier, observed_days) = shop_tier(exports.day, &history, settings, tables);
    let days = periods
        .iter()
        .map(|p| (p.campaign, p.days.len() as i128))
        .collect();
    Windows {
        shop_period,
        days,
        shop_tier,
        observed_days,
    }
}

type ShopPeriods = BTreeMap<(i64, i64), ShopPeriod>;

fn shop_period(exports: &DayExports, periods: &[Period], tables: &mut Tables) -> ShopPeriods {
    let mut out = BTreeMap::new();
    let mut rows = Vec::new();
    for registration in exports.required_rows("campaign_shops") {
        let (campaign, shop) = (registration.int("campaign_id"), registration.int("shop_id"));
        let period = periods.iter().find(|p| p.campaign == campaign).unwrap();
        let mut measures = Measures::new();
        let mut category = None;
        for day in &period.days {
            if let Some(of_day) = day.shops.get(&shop) {
                add(&mut measures, &of_day.measures);
                category = of_day.category.clone().or(category);
            }
        }
        if measures.is_empty() {
            continue;
        }
        let content_days = period.days.iter().filter(|d| d.contents.is_some()).count();
        let ad_days = period.days.iter().filter(|d| d.has_ads).count();
        let target = registration
            .cell("target_gmv")
            .map(|_| registration.cents("target_gmv"));
        let line = Line::new("shop_period")
            .is("campaign_id", campaign)
            .is("shop_id", shop);
        let line = line
            .is("first_day", period.first_day)
            .is("through_day", exports.day);
        let line = line
            .is("days", period.days.len())
            .is("missing_days", period.total_days - period.days.len());
        let line = line.is("content_days", content_days).is("ad_days", ad_days);
        let line = line
            .text("category", category.as_deref())
            .cents("target_gmv", target);
        let line = line.double("target_progress", ratio(get(&measures, "gmv"), target));
        rows.push(line.measures(&measures).done());
        out.insert((campaign, shop), ShopPeriod { category, measures });
    }
    tables.write("shop_period", exports.day, rows);
    out
}

fn period_of<'a, 'b>(periods: &'b [Period<'a>], campaign: i64) -> &'b Period<'a> {
    periods.iter().find(|p| p.campaign == campaign).unwrap()
}

fn funnel_period(day: NaiveDate, periods: &[Period], shops: &ShopPeriods, tables: &mut Tables) {
    let mut rows = Vec::new();
    for ((campaign, shop), sums) in shops {
        let days = period_of(periods, *campaign).days.len();
        let sum = |name: &str| get(&sums.measures, name);
        let average = |name: &str| ratio(sum(name), Some(days as i128));
        let line = Line::new("funnel_period")
            .is("campaign_id", campaign)
            .is("shop_id", shop);
        let line = line.is("through_day", day).is("days", days);
        let line = line.double("avg_unique_reach", average("unique_reach"));
        let line = line.double("avg_unique_clicks", average("unique_clicks"));
        let line = line.double("avg_daily_customers", average("customers"));
        // Both averages have the same denominator, so the ratio of the sums is theirs.
        let line = line.double(
            "click_rate",
            ratio(sum("unique_clicks"), sum("unique_reach")),
        );
        rows.push(
            line.double(
                "customer_rate",
                ratio(sum("customers"), sum("unique_clicks")),
            )
            .done(),
        );
    }
    tables.write("funnel_period", day, rows);
}

fn channel_period(day: NaiveDate, periods: &[Period], shops: &ShopPeriods, tables: &mut Tables) {
    let mut rows = Vec::new();
    for ((campaign, shop), of_shop) in shops {
        let period = period_of(periods, *campaign);
        let mut sums: BTreeMap<&str, Measures> = BTreeMap::new();
        for of_day in &period.days {
            for ((_, channel), m) in of_day.channels.iter().filter(|(key, _)| key.0 == *shop) {
                add(sums.entry(channel).or_default(), m);
            }
        }
        for (channel, m) in sums {
            let line = Line::new("channel_period")
                .is("campaign_id", campaign)
                .is("shop_id", shop);
            let line = line
                .is("channel", channel)
                .is("through_day", day)
                .is("days", period.days.len());
            let share = ratio(
                get(&m, "product_impressions"),
                get(&of_shop.measures, "product_impressions"),
            );
            rows.push(line.double("impression_share", share).measures(&m).done());
        }
    }
    tables.write("channel_period", day, rows);
}

fn product_period(
    exports: &DayExports,
    periods: &[Period],
    shops: &ShopPeriods,
    tables: &mut Tables,
) {
    let campaign_products = exports.campaign_products();
    let mut rows = Vec::new();
    for (campaign, shop) in shops.keys() {
        let period = period_of(periods, *campaign);
        let mut sums: BTreeMap<i64, Measures> = BTreeMap::new();
        for of_day in &period.days {
            for ((_, product), m) in of_day.products.iter().filter(|(key, _)| key.0 == *shop) {
                add(sums.entry(*product).or_default(), m);
            }
        }
        for (product, m) in sums {
            let flag = campaign_products
                .as_ref()
                .map(|all| all.contains(&(*campaign, *shop, product)).to_string());
            let line = Line::new("product_period")
                .is("campaign_id", campaign)
                .is("shop_id", shop);
            let line = line
                .is("product_id", product)
                .is("through_day", exports.day)
                .is("days", period.days.len());
            rows.push(line.cell("is_campaign_product", flag).measures(&m).done());
        }
    }
    tables.write("product_period", exports.day, rows);
}

fn content_period(day: NaiveDate, periods: &[Period], shops: &ShopPeriods, tables: &mut Tables) {
    struct Sums {
        attributes: BTreeMap<&'static str, Option<String>>,
        measures: Measures,
    }
    let mut sums: BTreeMap<(i64, i64, i64), Sums> = BTreeMap::new();
    for (campaign, shop) in shops.keys() {
        for of_day in &period_of(periods, *campaign).days {
            for ((_, content), c) in of_day
                .contents
                .iter()
                .flatten()
                .filter(|(key, _)| key.0 == *shop)
            {
                let entry = sums
                    .entry((*campaign, *shop, *content))
                    .or_insert_with(|| Sums {
                        attributes: BTreeMap::new(),
                        measures: Measures::new(),
                    });
                entry.attributes = c.attributes.clone();
                add(&mut entry.measures, &c.measures);
            }
        }
    }
    let rank_of = |((campaign, shop, content), s): (&(i64, i64, i64), &Sums)| {
        (
            (*campaign, *shop, s.attributes["content_type"].clone()),
            *content,
            known(&s.measures, "gmv"),
        )
    };
    let ranks = ranks(&sums.iter().map(rank_of).collect::<Vec<_>>());
    let mut rows = Vec::new();
    for (((campaign, shop, content), s), rank) in sums.iter().zip(ranks) {
        let m = &s.measures;
        // The shop's gmv counts on the same days only.
        let days: Vec<&&Rollups> = period_of(periods, *campaign)
            .days
            .iter()
            .filter(|d| d.contents.is_some())
            .collect();
        let of_shop = days
            .iter()
            .filter_map(|d| d.shops.get(shop))
            .map(|s| known(&s.measures, "gmv"));
        let shop_gmv: i128 = of_shop.sum();
        let line = Line::new("content_period")
            .is("campaign_id", campaign)
            .is("shop_id", shop);
        let mut line = line
            .is("content_id", content)
            .is("through_day", day)
            .is("days", days.len());
        for name in CONTENT_ATTRIBUTES {
            line = line.cell(name, s.attributes[name].clone());
        }
        line = line.double("gpm", ratio(times(get(m, "gmv"), 10), get(m, "views")));
        line = line.double("gmv_share", ratio(get(m, "gmv"), Some(shop_gmv)));
        rows.push(line.is("gmv_rank", rank).measures(m).done());
    }
    tables.write("content_period", day, rows);
}

fn sub_campaign_period(
    day: NaiveDate,
    periods: &[Period],
    shops: &ShopPeriods,
    tables: &mut Tables,
) {
    let mut sums: BTreeMap<(i64, i64, i64), (String, Measures)> = BTreeMap::new();
    for (campaign, shop) in shops.keys() {
        for of_day in &period_of(periods, *campaign).days {
            for ((of_shop, id), s) in of_day.sub_campaigns.iter().flatten() {
                if of_shop == shop && s.campaign_id == *campaign {
                    let entry = sums.entry((*campaign, *shop, *id)).or_default();
                    entry.0 = s.name.clone();
                    add(&mut entry.1, &s.measures);
                }
            }
        }
    }
    let rank_of = |((campaign, shop, id), (_, m)): (&(i64, i64, i64), &(String, Measures))| {
        ((*campaign, *shop), *id, known(m, "gmv"))
    };
    let ranks = ranks(&sums.iter().map(rank_of).collect::<Vec<_>>());
    let mut rows = Vec::new();
    for (((campaign, shop, id), (name, m)), rank) in sums.iter().zip(ranks) {
        let days = period_of(periods, *campaign)
            .days
            .iter()
            .filter(|d| d.sub_campaigns.is_some())
            .count();
        let line = Line::new("sub_campaign_period")
            .is("campaign_id", campaign)
            .is("shop_id", shop);
        let line = line
            .is("sub_campaign_id", id)
            .is("through_day", day)
            .is("days", days);
        rows.push(
            line.is("sub_campaign_name", name)
                .is("gmv_rank", rank)
                .measures(m)
                .done(),
        );
    }
    tables.write("sub_campaign_period", day, rows);
}

fn gmv_baseline(
    exports: &DayExports,
    history: &BTreeMap<NaiveDate, &Rollups>,
    settings: &Settings,
    tables: &mut Tables,
) {
    let mut registered = BTreeSet::new();
    for registration in exports.required_rows("campaign_shops") {
        registered.insert(registration.int("shop_id"));
    }
    let mut rows = Vec::new();
    for (shop, today) in &history[&exports.day].shops {
        if !settings.baseline_all && !registered.contains(shop) {
            continue;
        }
        let gmv = known(&today.measures, "gmv");
        for (baseline_day, rollups) in history.range(six_months_before(exports.day)..exports.day) {
            let Some(then) = rollups.shops.get(shop) else {
                continue;
            };
            let baseline = known(&then.measures, "gmv");
            let difference = gmv - baseline;
            let line = Line::new("gmv_baseline")
                .is("shop_id", shop)
                .is("baseline_day", baseline_day);
            let line = line
                .cents("baseline_gmv", Some(baseline))
                .cents("gmv", Some(gmv));
            let line = line.cents("difference", Some(difference));
            rows.push(
                line.double(
                    "difference_pct",
                    ratio(Some(difference * 100), Some(baseline)),
                )
                .done(),
            );
        }
    }
    tables.write("gmv_baseline", exports.day, rows);
}

fn stock_status(
    exports: &DayExports,
    history: &BTreeMap<NaiveDate, &Rollups>,
    tables: &mut Tables,
) {
    let Some(inventory) = exports.rows("inventory") else {
        return;
    };
    let day = exports.day;
    let campaign_products = exports.campaign_products();
    let mut rows = Vec::new();
    for sku in inventory {
        let key = (sku.int("shop_id"), sku.int("product_id"), sku.int("sku_id"));
        // Items and published days of a window.
        let sold = |first: NaiveDate| {
            let mut items = 0;
            let mut days = 0;
            for of_day in history.range(first..=day).map(|(_, r)| r) {
                days += 1;
                items += of_day.skus.get(&key).map_or(0, |m| known(m, "items_sold"));
            }
            (items, days)
        };
        let (week, month) = (sold(days_before(day, 6)), sold(days_before(day, 29)));
        let (items, days) = if week.0 * month.1 >= month.0 * week.1 {
            week
        } else {
            month
        };
        let available = sku.count("available_quantity");

        let mut horizon: i128 = 7;
        for campaign in exports.required_rows("campaigns") {
            let left = (campaign.day("last_day") - day).num_days().into();
            let listed = (campaign.int("campaign_id"), key.0, key.1);
            if campaign_products
                .as_ref()
                .is_some_and(|all| all.contains(&listed))
                && left > 0
                && left < horizon
            {
                horizon = left;
            }
        }
        let status = if available == 0 {
            "OUT_OF_STOCK"
        } else if items == 0 {
            "NO_RECENT_SALES"
        } else if available * days < horizon * items {
            "AT_RISK"
        } else {
            "SUFFICIENT"
        };
        let flag = campaign_products
            .as_ref()
            .map(|all| all.iter().any(|(_, s, p)| (*s, *p) == (key.0, key.1)));
        let line = Line::new("stock_status")
            .is("shop_id", key.0)
            .is("product_id", key.1)
            .is("sku_id", key.2);
        let line = line.cell("is_campaign_product", flag.map(|b| b.to_string()));
        let line = line
            .is("available_quantity", available)
            .double("daily_sales", ratio(Some(items), Some(days)));
        let line = line.double("days_of_cover", ratio(Some(available * days), Some(items)));
        rows.push(
            line.is("horizon_days", horizon)
                .is("stock_status", status)
                .done(),
        );
    }
    tables.write("stock_status", day, rows);
}

fn shop_tier(
    day: NaiveDate,
    history: &BTreeMap<NaiveDate, &Rollups>,
    settings: &Settings,
    tables: &mut Tables,
) -> (BTreeMap<i64, usize>, usize) {
    let window: Vec<&Rollups> = history
        .range(days_before(day, 29)..=day)
        .map(|(_, r)| *r)
        .collect();
    let mut out = BTreeMap::new();
    let mut rows = Vec::new();
    for (shop, today) in &history[&day].shops {
        let trailing: i128 = window
            .iter()
            .filter_map(|r| r.shops.get(shop))
            .map(|s| known(&s.measures, "gmv"))
            .sum();
        let tier = settings
            .tiers
            .iter()
            .rposition(|(_, least)| *least <= trailing)
            .unwrap();
        let line = Line::new("shop_tier")
            .is("shop_id", shop)
            .text("category", today.category.as_deref());
        let line = line
            .cents("trailing_gmv", Some(trailing))
            .is("observed_days", window.len());
        rows.push(line.is("tier", &settings.tiers[tier].0).done());
        out.insert(*shop, tier);
    }
    tables.write("shop_tier", day, rows);
    (out, window.len())
}
