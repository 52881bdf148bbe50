//! The checks of the shops: which there are, and the numbers of each shop with enough history.
//!
//! 1. `Presence`: one pass over the `shop_daily` of the last weeks, two columns. It counts the shops
//!    that vanished or appeared from day to day, and finds the shops with enough history.
//! 2. `values`: the numbers of these shops, as many shops at a time as fit into memory.
//!
//! One shop that sells three times as much as usual is good news. So its number alone fails no
//! check: many shops out of range do, or one that is far beyond everything a campaign can do.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::{Datelike, Days, NaiveDate};
use polars::prelude::DataFrame;

use super::history::{Compared, PastDay, days_like};
use super::marketplace::{LEAST_COUNT, NONE, tolerance};
use super::measures::whole_numbers;
use super::range::{Judged, Past, Range, Sides, Tolerance, range};
use super::{CheckInputs, FOUND_KEPT, Head, passed_if};
use crate::catalog::checked::{Check, Found, Unit};
use crate::config::{CheckGroup, Severity, Share};
use crate::contracts::Follows;
use crate::contracts::datasets::{ORDER_LINES, PRODUCT_TRAFFIC, SHOPS};
use crate::contracts::tables::SHOP_DAILY;
use crate::windows::Rows;

/// The days of `shop_daily` that are read. `shop_tier` reads the gmv of as many.
const SHOP_DAYS: u64 = 28;
/// A shop with fewer orders a day is not judged: chance alone doubles its numbers.
const MIN_ORDERS: i128 = 10;
/// Up to this number of shops may be out of range in any marketplace.
const MIN_SHOPS_OUT: u64 = 3;
/// One shop alone fails a check when its number is this many times the expected one. Amounts in cents
/// are 100 times too large; the greatest jump in nine months of a real retailer was 8 times.
const ALONE_TIMES: i128 = 20;
/// Shops that may vanish or appear, as a share of all: a hundredth.
const MOVED: Share = Share {
    numerator: 1,
    denominator: 100,
};

/// A number of each shop: the check's name, the column, the export behind it, the unit.
type OfShop = (&'static str, &'static str, &'static str, Unit);

static OF_SHOPS: [OfShop; 5] = [
    ("shops.gmv", "gmv", ORDER_LINES.name, Unit::Money),
    ("shops.orders", "orders", ORDER_LINES.name, Unit::Count),
    (
        "shops.customers",
        "customers",
        ORDER_LINES.name,
        Unit::Count,
    ),
    (
        "shops.rows.order_lines",
        "sku_orders",
        ORDER_LINES.name,
        Unit::Count,
    ),
    (
        "shops.impressions",
        "product_impressions",
        PRODUCT_TRAFFIC.name,
        Unit::Count,
    ),
];

/// The numbers of a shop on a day, in the order of [`OF_SHOPS`].
type Numbers = [i128; OF_SHOPS.len()];

fn present_head(severity: Severity) -> Head {
    Head {
        name: "shops.present".into(),
        dataset: SHOPS.name,
        severity,
        unit: Unit::Count,
    }
}

fn head((name, _, dataset, unit): &OfShop, severity: Severity) -> Head {
    Head {
        name: (*name).into(),
        dataset,
        severity,
        unit: *unit,
    }
}

/// # Errors
/// When an earlier day cannot be read, and when the run is asked to stop.
pub(super) fn shops(inputs: &CheckInputs) -> Result<Vec<Check>> {
    let severity = inputs.rules.severity(CheckGroup::Shops);
    if severity == Severity::Off {
        return Ok(vec![]);
    }
    let nothing = |days: usize, why: &str| {
        let of_shops = OF_SHOPS
            .iter()
            .map(|of| head(of, severity).nothing(days, why));
        let present = present_head(severity).nothing(days, why);
        std::iter::once(present).chain(of_shops).collect()
    };
    let is_written = inputs
        .published
        .published_days(&SHOP_DAILY, inputs.day, inputs.day)?;
    if is_written.is_empty() {
        return Ok(nothing(0, "shop_daily is not written"));
    }
    let first = inputs.day - Days::new(SHOP_DAYS);
    let past: Vec<&PastDay> = inputs
        .past
        .iter()
        .filter(|past| past.day >= first)
        .collect();
    let of_day = (inputs.day, inputs.measures);
    let recent = match days_like(
        past.clone(),
        of_day,
        (Follows::Neither, false),
        inputs.rules,
    ) {
        Ok(recent) => recent.days,
        Err(too_few) => return Ok(nothing(too_few.days, &too_few.told())),
    };
    let like = days_like(past, of_day, (Follows::Demand, true), inputs.rules);
    let compared = like.as_ref().map(|like| like.days.as_slice());
    let presence = Presence::read(inputs, &recent, compared.unwrap_or_default())?;
    let mut checks = vec![presence.check(severity, inputs)];
    match like {
        Err(too_few) => checks.extend(
            OF_SHOPS
                .iter()
                .map(|of| head(of, severity).nothing(too_few.days, too_few.told())),
        ),
        Ok(like) => checks.extend(each_shop(inputs, severity, &like, &presence)?),
    }
    Ok(checks)
}

/// The shops of a day with their orders, ascending.
type Seen = Vec<(i64, i128)>;

/// The shops of the last days.
struct Presence {
    /// The shops that vanished and that appeared since the published day before.
    moves: Vec<(NaiveDate, [u64; 2])>,
    /// Those of the day itself that vanished, with their orders on the day before.
    vanished: Seen,
    /// Those of the day itself that appeared, with their orders.
    appeared: Seen,
    /// The shops of the day before.
    shops: u64,
    /// The shops with enough orders, ascending.
    judged: Vec<i64>,
}

impl Presence {
    /// `days`: all that are looked at; `compared`: those of them with which numbers are compared.
    fn read(inputs: &CheckInputs, days: &[&PastDay], compared: &[&PastDay]) -> Result<Presence> {
        let mut presence = Presence {
            moves: vec![],
            vanished: vec![],
            appeared: vec![],
            shops: 0,
            judged: vec![],
        };
        let is_compared = |day| compared.iter().any(|past| past.day == day);
        let mut orders: BTreeMap<i64, (usize, i128)> = BTreeMap::new();
        let mut before: Option<Seen> = None;
        for day in days.iter().map(|past| past.day).chain([inputs.day]) {
            inputs.stop.check()?;
            let seen = seen(inputs, day)?;
            if is_compared(day) {
                for (shop, sold) in &seen {
                    let of_shop = orders.entry(*shop).or_default();
                    *of_shop = (of_shop.0 + 1, of_shop.1 + sold);
                }
            }
            if let Some(before) = &before {
                presence.shops = before.len() as u64;
                presence.vanished = without(before, &seen);
                presence.appeared = without(&seen, before);
                let moved = [&presence.vanished, &presence.appeared];
                presence
                    .moves
                    .push((day, moved.map(|shops| shops.len() as u64)));
            }
            before = Some(seen);
        }
        let has_enough = |(days, sold): &(usize, i128)| {
            *days >= inputs.rules.min_days as usize && *sold >= MIN_ORDERS * *days as i128
        };
        presence.judged = orders
            .into_iter()
            .filter(|(_, of_shop)| has_enough(of_shop))
            .map(|(shop, _)| shop)
            .collect();
        Ok(presence)
    }

    /// Whether more shops than usual vanished or appeared.
    fn check(&self, severity: Severity, inputs: &CheckInputs) -> Check {
        let head = present_head(severity);
        let of_all = i128::from(self.shops) * MOVED.numerator / MOVED.denominator;
        let tolerance = Tolerance {
            max_mads: inputs.rules.max_mads,
            min_change: NONE,
            least: LEAST_COUNT.max(of_all as i64),
        };
        let (today, before) = match self.moves.split_last() {
            Some(((_, today), before)) if !before.is_empty() => (today, before),
            _ => return head.nothing(0, "no two published days before"),
        };
        let mut found = Vec::new();
        let mut out = 0;
        for (position, (word, shops)) in
            [("vanished", &self.vanished), ("appeared", &self.appeared)]
                .into_iter()
                .enumerate()
        {
            let numbers: Vec<Past> = before
                .iter()
                .map(|(day, moved)| Past {
                    weekday: day.weekday(),
                    value: moved[position] as i64,
                })
                .collect();
            let judged = Judged {
                value: today[position] as i64,
                range: range(&numbers, inputs.day.weekday(), Sides::High, &tolerance),
            };
            let is_out = judged.is_out();
            out += u64::from(is_out);
            let which = if is_out { named(shops) } else { String::new() };
            found.push((
                is_out,
                head.found(Some(format!("shops {word}{which}")), &judged),
            ));
        }
        found.sort_by_key(|(is_out, _)| !is_out);
        Check {
            compared_days: before.len(),
            judged: 2,
            out_of_range: out,
            found: found.into_iter().map(|(_, found)| found).collect(),
            ..head.check(passed_if(out == 0))
        }
    }
}

/// ` (1000008, 1000013, ...)`: those with the most orders first.
fn named(shops: &Seen) -> String {
    let mut shops: Vec<&(i64, i128)> = shops.iter().collect();
    shops.sort_by_key(|(shop, sold)| (-sold, *shop));
    let first = shops.iter().take(FOUND_KEPT);
    let mut names: Vec<String> = first.map(|(shop, _)| shop.to_string()).collect();
    if shops.len() > FOUND_KEPT {
        names.push("...".into());
    }
    format!(" ({})", names.join(", "))
}

fn seen(inputs: &CheckInputs, day: NaiveDate) -> Result<Seen> {
    let mut seen = Vec::new();
    let columns = ["shop_id", "orders"];
    let mut add = |rows: DataFrame| {
        inputs.stop.check()?;
        let shops = rows.column("shop_id")?.i64()?.iter().flatten();
        seen.extend(shops.zip(whole_numbers(&rows, "orders")?));
        Ok(())
    };
    let read = inputs.published;
    read.read(&SHOP_DAILY, day, &columns, Rows::default(), &mut add)?;
    Ok(seen)
}

/// The shops that the others do not have; both ascend.
fn without(shops: &Seen, others: &Seen) -> Seen {
    let is_other = |shop: i64| {
        others
            .binary_search_by_key(&shop, |(shop, _)| *shop)
            .is_ok()
    };
    let only = shops.iter().filter(|(shop, _)| !is_other(*shop));
    only.copied().collect()
}

/// One check for each number, over all shops with enough history.
fn each_shop(
    inputs: &CheckInputs,
    severity: Severity,
    like: &Compared,
    presence: &Presence,
) -> Result<Vec<Check>> {
    let mut tried: [Tried; OF_SHOPS.len()] = Default::default();
    let days: Vec<NaiveDate> = like.days.iter().map(|past| past.day).collect();
    let at_once = (inputs.rows_at_once / (days.len() + 1)).max(1);
    for shops in presence.judged.chunks(at_once) {
        let today = values(inputs, inputs.day, shops)?;
        let mut before = Vec::with_capacity(days.len());
        for day in &days {
            before.push((day.weekday(), values(inputs, *day, shops)?));
        }
        for (of_shop, shop) in shops.iter().enumerate() {
            for (number, tried) in tried.iter_mut().enumerate() {
                let past = before.iter().filter_map(|(weekday, values)| {
                    Some(Past {
                        weekday: *weekday,
                        value: clamped(values[of_shop]?[number]),
                    })
                });
                let past: Vec<Past> = past.collect();
                let tolerance = tolerance(inputs.rules, OF_SHOPS[number].3);
                let range = range(&past, inputs.day.weekday(), like.sides, &tolerance);
                // A shop without a row sold nothing and was not seen.
                let value = today[of_shop].map_or(0, |numbers| clamped(numbers[number]));
                tried.add(*shop, Judged { value, range });
            }
        }
    }
    let checks = OF_SHOPS.iter().zip(tried);
    Ok(checks
        .map(|(of, tried)| tried.check(head(of, severity), days.len(), inputs.rules.max_shops))
        .collect())
}

/// The numbers of shops, which ascend, on a day; `None`: no row.
fn values(inputs: &CheckInputs, day: NaiveDate, shops: &[i64]) -> Result<Vec<Option<Numbers>>> {
    let mut values = vec![None; shops.len()];
    let columns: Vec<&str> = std::iter::once("shop_id")
        .chain(OF_SHOPS.iter().map(|(_, column, ..)| *column))
        .collect();
    let rows = Rows {
        shops: Some(shops),
        ..Rows::default()
    };
    let mut add = |rows: DataFrame| {
        inputs.stop.check()?;
        let mut numbers = Vec::new();
        for column in &columns[1..] {
            numbers.push(whole_numbers(&rows, column)?);
        }
        let ids = rows.column("shop_id")?.i64()?;
        for (row, id) in ids.iter().enumerate() {
            if let Some(Ok(position)) = id.map(|id| shops.binary_search(&id)) {
                values[position] = Some(std::array::from_fn(|number| numbers[number][row]));
            }
        }
        Ok(())
    };
    inputs
        .published
        .read(&SHOP_DAILY, day, &columns, rows, &mut add)?;
    Ok(values)
}

fn clamped(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// The shops whose number was tried.
#[derive(Default)]
struct Tried {
    judged: u64,
    out: u64,
    /// Whether one shop alone fails the check.
    is_absurd: bool,
    /// The worst so far, worst first.
    worst: Vec<(i64, Judged)>,
}

impl Tried {
    fn add(&mut self, shop: i64, judged: Judged) {
        self.judged += 1;
        if !judged.is_out() {
            return;
        }
        self.out += 1;
        let Range {
            expected, highest, ..
        } = judged.range;
        self.is_absurd |= highest.is_some()
            && expected > 0
            && i128::from(judged.value) >= ALONE_TIMES * i128::from(expected);
        self.worst.push((shop, judged));
        self.worst
            .sort_by(|(a, one), (b, other)| one.worst_first(other).then(a.cmp(b)));
        self.worst.truncate(FOUND_KEPT);
    }

    fn check(self, head: Head, compared_days: usize, max_shops: Share) -> Check {
        if self.judged == 0 {
            let why = format!("no shop with {MIN_ORDERS} orders a day");
            return head.nothing(compared_days, why);
        }
        let most = i128::from(self.judged) * max_shops.numerator / max_shops.denominator;
        let are_many = i128::from(self.out) > most && self.out > MIN_SHOPS_OUT;
        let found: Vec<Found> = self
            .worst
            .iter()
            .map(|(shop, judged)| head.found(Some(format!("shop {shop}")), judged))
            .collect();
        Check {
            compared_days,
            judged: self.judged,
            out_of_range: self.out,
            found,
            ..head.check(passed_if(!are_many && !self.is_absurd))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::checked::CheckOutcome;

    /// A hundred shops of which the first few have these numbers, where 10 are expected.
    fn outcome(values: &[i64]) -> (CheckOutcome, u64, Vec<String>) {
        let mut tried = Tried::default();
        for shop in 0..100 {
            let value = values.get(shop).copied().unwrap_or(10);
            let range = Range {
                expected: 10,
                lowest: Some(5),
                highest: Some(15),
            };
            tried.add(shop as i64, Judged { value, range });
        }
        let tenth = Share {
            numerator: 1,
            denominator: 10,
        };
        let check = tried.check(head(&OF_SHOPS[1], Severity::Warn), 20, tenth);
        let named = check.found.into_iter().filter_map(|found| found.of);
        (check.outcome, check.out_of_range, named.collect())
    }

    #[test]
    fn a_few_shops_out_of_range_are_named_and_fail_nothing() {
        let named = vec!["shop 1".to_owned(), "shop 0".to_owned()];
        assert_eq!(outcome(&[0, 40]), (CheckOutcome::Passed, 2, named));
    }

    #[test]
    fn more_than_a_tenth_of_the_shops_out_of_range_fail_and_the_worst_are_named_first() {
        assert_eq!(outcome(&[20; 10]).0, CheckOutcome::Passed);
        let mut values = vec![20; 10];
        values.push(30);
        let (outcome, out, named) = outcome(&values);
        assert_eq!((outcome, out), (CheckOutcome::Failed, 11));
        assert_eq!(named, ["shop 10", "shop 0", "shop 1", "shop 2", "shop 3"]);
    }

    #[test]
    fn one_shop_far_beyond_everything_fails_alone() {
        assert_eq!(outcome(&[199]).0, CheckOutcome::Passed);
        assert_eq!(outcome(&[200]).0, CheckOutcome::Failed);
    }

    #[test]
    fn no_shop_with_enough_orders_is_nothing_to_compare_with() {
        let check = Tried::default().check(head(&OF_SHOPS[0], Severity::Warn), 20, Share::ONE);
        assert_eq!(check.outcome, CheckOutcome::NothingToCompareWith);
    }

    #[test]
    fn the_shops_that_vanished_are_those_that_the_other_day_lacks() {
        let (before, after) = (vec![(1, 5), (2, 6), (4, 7)], vec![(2, 1), (3, 1)]);
        assert_eq!(without(&before, &after), [(1, 5), (4, 7)]);
        assert_eq!(without(&after, &before), [(3, 1)]);
        assert_eq!(named(&without(&before, &after)), " (4, 1)");
    }
}
