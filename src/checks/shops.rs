//! The checks of the shops: new and lost ones, and the numbers of each shop with enough history.
//!
//! 1. `Presence`: one pass over the `shop_daily` of the last weeks, two columns. It counts the shops
//!    that vanished or appeared from day to day, and finds the shops with enough history.
//! 2. `values`: the numbers of these shops, as many shops at a time as fit into memory.
//!
//! One shop that sells three times as much as usual is good news. So a check fails when many shops
//! are out of range. One shop alone fails it far beyond its range ([`Alone`]). The money of an order
//! and the orders of a customer hardly follow the success of a shop, so their bounds are close.

use anyhow::Result;
use chrono::{Datelike, Days, NaiveDate};
use hashbrown::HashMap;
use polars::prelude::DataFrame;

use super::history::{Compared, PastDay, days_like};
use super::marketplace::{LEAST_COUNT, NONE, tolerance};
use super::measures::whole_numbers;
use super::range::{Judged, Past, Range, Sides, Tolerance, range};
use super::{CheckInputs, FOUND_KEPT, Head, passed_if};
use crate::catalog::checked::{Check, Found, Unit};
use crate::config::{CheckGroup, Severity, Share};
use crate::contracts::datasets::{ORDER_LINES, PRODUCT_TRAFFIC, SHOPS};
use crate::contracts::tables::SHOP_DAILY;
use crate::contracts::{Dataset, Follows, Read, Span};
use crate::windows::Rows;

/// The days of `shop_daily` that are read. `shop_tier` reads the gmv of as many.
const SHOP_DAYS: u64 = 28;
pub(super) static READS: [Read; 1] = [Read {
    table: &SHOP_DAILY,
    span: Span::Trailing(SHOP_DAYS + 1),
}];
/// A shop with fewer orders a day is not judged: chance alone doubles its numbers.
const MIN_ORDERS: i128 = 10;
/// Up to this number of shops may be out of range in any marketplace.
const MIN_SHOPS_OUT: u64 = 3;
/// Shops that may vanish or appear, as a share of all: a hundredth.
const MOVED: Share = Share {
    numerator: 1,
    denominator: 100,
};

/// The columns that are read for each shop.
const COLUMNS: [&str; 5] = [
    "gmv",
    "orders",
    "customers",
    "sku_orders",
    "product_impressions",
];

/// The numbers of a shop on a day, in the order of [`COLUMNS`].
type Numbers = [i128; COLUMNS.len()];

/// One shop alone fails a check when its number is at this multiple of the expected number, also where
/// its numbers vary so much that its range is wider.
///
/// Each bound lies beyond all 10 000 shop-days of a real year (docs/checks.md). A smaller one fails on
/// single large orders, and the more often, the more shops there are.
#[derive(Clone, Copy, Debug)]
struct Alone {
    times: Share,
    /// Whether a number that is so many times smaller fails the check too.
    is_two_sided: bool,
}

/// Of a total. Cents are 100 times as much; the greatest of the year was 8.0 times the expected one.
const ALONE_TOTAL: Alone = Alone {
    times: Share {
        numerator: 20,
        denominator: 1,
    },
    is_two_sided: false,
};
/// Of the money of an order: the year had 8.3 times, by one order, and then 3.5; downwards a third.
const ALONE_AMOUNT: Alone = Alone {
    times: Share {
        numerator: 10,
        denominator: 1,
    },
    is_two_sided: true,
};
/// Of the orders of a customer: twice as many in a shop that is exported twice under other order ids.
/// The year had 1.4 times.
const ALONE_REPEATS: Alone = Alone {
    times: Share {
        numerator: 7,
        denominator: 4,
    },
    is_two_sided: false,
};

/// A number of each shop.
struct OfShop {
    /// The check.
    name: &'static str,
    dataset: &'static Dataset,
    unit: Unit,
    alone: Alone,
    /// `None`: the shop has no such number on the day.
    value: fn(&Numbers) -> Option<i128>,
}

/// Totals, which are compared with days of the same kind.
static TOTALS_OF_SHOPS: [OfShop; 5] = [
    OfShop {
        unit: Unit::Money,
        ..total("shops.gmv", &ORDER_LINES, |[gmv, ..]| Some(*gmv))
    },
    total("shops.orders", &ORDER_LINES, |[_, orders, ..]| {
        Some(*orders)
    }),
    total("shops.customers", &ORDER_LINES, |[_, _, customers, ..]| {
        Some(*customers)
    }),
    total("shops.rows.order_lines", &ORDER_LINES, |[.., lines, _]| {
        Some(*lines)
    }),
    total(
        "shops.impressions",
        &PRODUCT_TRAFFIC,
        |[.., impressions]| Some(*impressions),
    ),
];

const fn total(
    name: &'static str,
    dataset: &'static Dataset,
    value: fn(&Numbers) -> Option<i128>,
) -> OfShop {
    OfShop {
        name,
        dataset,
        unit: Unit::Count,
        alone: ALONE_TOTAL,
        value,
    }
}

/// Ratios, which are compared with all days of the last weeks. Each is rounded down.
static RATIOS_OF_SHOPS: [OfShop; 2] = [
    OfShop {
        name: "shops.gmv_per_order",
        dataset: &ORDER_LINES,
        unit: Unit::Money,
        alone: ALONE_AMOUNT,
        value: |[gmv, orders, ..]| (*orders >= MIN_ORDERS).then(|| gmv / orders),
    },
    OfShop {
        name: "shops.orders_per_100_customers",
        dataset: &ORDER_LINES,
        unit: Unit::Count,
        alone: ALONE_REPEATS,
        value: |[_, orders, customers, ..]| {
            (*orders >= MIN_ORDERS && *customers > 0).then(|| 100 * orders / customers)
        },
    },
];

fn present_head(severity: Severity) -> Head {
    Head {
        name: "shops.present".into(),
        dataset: SHOPS.name,
        severity,
        unit: Unit::Count,
    }
}

fn head(of: &OfShop, severity: Severity) -> Head {
    Head {
        name: of.name.into(),
        dataset: of.dataset.name,
        severity,
        unit: of.unit,
    }
}

/// The checks of these numbers, which have nothing to compare with.
fn nothing(of: &[OfShop], severity: Severity, days: usize, why: &str) -> Vec<Check> {
    of.iter()
        .map(|of| head(of, severity).nothing(days, why))
        .collect()
}

/// # Errors
/// When an earlier day cannot be read, and when the run is asked to stop.
pub(super) fn shops(inputs: &CheckInputs) -> Result<Vec<Check>> {
    let severity = inputs.rules.severity(CheckGroup::Shops);
    if severity == Severity::Off {
        return Ok(vec![]);
    }
    let all_nothing = |days: usize, why: &str| {
        let mut checks = vec![present_head(severity).nothing(days, why)];
        checks.extend(nothing(&TOTALS_OF_SHOPS, severity, days, why));
        checks.extend(nothing(&RATIOS_OF_SHOPS, severity, days, why));
        checks
    };
    let is_written = inputs
        .published
        .published_days(&SHOP_DAILY, inputs.day, inputs.day)?;
    if is_written.is_empty() {
        return Ok(all_nothing(0, "shop_daily is not written"));
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
        Ok(recent) => recent,
        Err(too_few) => return Ok(all_nothing(too_few.days, &too_few.told())),
    };
    let like = days_like(past, of_day, (Follows::Demand, true), inputs.rules);
    let compared = like.as_ref().map(|like| like.days.as_slice());
    let presence = Presence::read(inputs, &recent.days, compared.unwrap_or_default())?;
    let mut checks = vec![presence.check(severity, inputs)];
    checks.extend(match like {
        Err(too_few) => nothing(&TOTALS_OF_SHOPS, severity, too_few.days, &too_few.told()),
        Ok(like) => {
            let shops = (presence.judged.as_slice(), &like);
            each_shop(inputs, severity, &TOTALS_OF_SHOPS, shops)?
        }
    });
    let shops = (presence.known.as_slice(), &recent);
    checks.extend(each_shop(inputs, severity, &RATIOS_OF_SHOPS, shops)?);
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
    /// The shops with enough orders on the compared days, ascending.
    judged: Vec<i64>,
    /// The shops with enough orders on all days, ascending.
    known: Vec<i64>,
}

/// The days and the orders of each shop.
type Orders = HashMap<i64, (usize, i128)>;

impl Presence {
    /// `days`: all that are looked at; `compared`: those of them with which numbers are compared.
    fn read(inputs: &CheckInputs, days: &[&PastDay], compared: &[&PastDay]) -> Result<Presence> {
        let mut presence = Presence {
            moves: vec![],
            vanished: vec![],
            appeared: vec![],
            shops: 0,
            judged: vec![],
            known: vec![],
        };
        let is_compared = |day| compared.iter().any(|past| past.day == day);
        let (mut on_compared, mut on_all) = (Orders::new(), Orders::new());
        let mut before: Option<Seen> = None;
        for day in days.iter().map(|past| past.day).chain([inputs.day]) {
            inputs.stop.check()?;
            let seen = seen(inputs, day)?;
            if is_compared(day) {
                add_orders(&mut on_compared, &seen);
            }
            if day != inputs.day {
                add_orders(&mut on_all, &seen);
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
        presence.judged = with_enough(on_compared, inputs.rules.min_days);
        presence.known = with_enough(on_all, inputs.rules.min_days);
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

fn add_orders(orders: &mut Orders, seen: &Seen) {
    for (shop, sold) in seen {
        let of_shop = orders.entry(*shop).or_default();
        *of_shop = (of_shop.0 + 1, of_shop.1 + sold);
    }
}

/// The shops with enough days and orders, ascending.
fn with_enough(orders: Orders, min_days: u32) -> Vec<i64> {
    let has_enough = |(_, (days, sold)): &(i64, (usize, i128))| {
        *days >= min_days as usize && *sold >= MIN_ORDERS * *days as i128
    };
    let shops = orders.into_iter().filter(has_enough);
    let mut shops: Vec<i64> = shops.map(|(shop, _)| shop).collect();
    shops.sort_unstable();
    shops
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

/// One check for each number, over these shops, which ascend. A shop is judged where enough of the
/// compared days have its number.
fn each_shop(
    inputs: &CheckInputs,
    severity: Severity,
    numbers: &[OfShop],
    (shops, like): (&[i64], &Compared),
) -> Result<Vec<Check>> {
    let mut tried: Vec<Tried> = numbers.iter().map(|of| Tried::new(of.alone)).collect();
    let days: Vec<NaiveDate> = like.days.iter().map(|past| past.day).collect();
    let at_once = (inputs.rows_at_once / (days.len() + 1)).max(1);
    for shops in shops.chunks(at_once) {
        let today = values(inputs, &[inputs.day], shops)?.remove(0);
        let weekdays = days.iter().map(Datelike::weekday);
        let before: Vec<_> = weekdays.zip(values(inputs, &days, shops)?).collect();
        for (of_shop, shop) in shops.iter().enumerate() {
            // A shop without a row sold nothing and was not seen.
            let today = today[of_shop].unwrap_or_default();
            for (of, tried) in numbers.iter().zip(&mut tried) {
                let past = before.iter().filter_map(|(weekday, values)| {
                    Some(Past {
                        weekday: *weekday,
                        value: clamped((of.value)(&values[of_shop]?)?),
                    })
                });
                let past: Vec<Past> = past.collect();
                let Some(value) = (of.value)(&today).map(clamped) else {
                    continue;
                };
                if past.len() >= inputs.rules.min_days as usize {
                    let tolerance = tolerance(inputs.rules, of.unit);
                    let range = range(&past, inputs.day.weekday(), like.sides, &tolerance);
                    tried.add(*shop, Judged { value, range });
                }
            }
        }
    }
    let checks = numbers.iter().zip(tried);
    Ok(checks
        .map(|(of, tried)| tried.check(head(of, severity), days.len(), inputs.rules.max_shops))
        .collect())
}

/// For each day the numbers of shops, which ascend; `None`: no row.
fn values(
    inputs: &CheckInputs,
    days: &[NaiveDate],
    shops: &[i64],
) -> Result<Vec<Vec<Option<Numbers>>>> {
    let mut values = vec![vec![None; shops.len()]; days.len()];
    let columns = [&["shop_id"], &COLUMNS[..]].concat();
    let rows = Rows {
        shops: Some(shops),
        ..Rows::default()
    };
    let mut add = |of_day: usize, rows: DataFrame| {
        inputs.stop.check()?;
        let values = &mut values[of_day];
        let mut numbers = Vec::new();
        for column in COLUMNS {
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
        .read_days(&SHOP_DAILY, days, &columns, rows, &mut add)?;
    Ok(values)
}

fn clamped(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

impl Alone {
    /// The numbers with which a shop does not fail alone, on the sides of its range.
    fn bounds(&self, range: &Range) -> Range {
        let Share {
            numerator,
            denominator,
        } = self.times;
        let expected = i128::from(range.expected);
        let is_known = expected > 0;
        let has_lowest = range.lowest.is_some() && self.is_two_sided && is_known;
        let has_highest = range.highest.is_some() && is_known;
        Range {
            expected: range.expected,
            lowest: has_lowest.then(|| clamped(denominator * expected / numerator + 1)),
            highest: has_highest.then(|| clamped((numerator * expected - 1) / denominator)),
        }
    }
}

/// The shops whose number was tried.
struct Tried {
    alone: Alone,
    judged: u64,
    out: u64,
    /// Whether one shop alone fails the check.
    fails_alone: bool,
    /// The worst so far, worst first.
    worst: Vec<(i64, Judged)>,
}

impl Tried {
    fn new(alone: Alone) -> Tried {
        Tried {
            alone,
            judged: 0,
            out: 0,
            fails_alone: false,
            worst: vec![],
        }
    }

    fn add(&mut self, shop: i64, Judged { value, range }: Judged) {
        self.judged += 1;
        let bounds = self.alone.bounds(&range);
        let range = range.within(&bounds);
        let judged = Judged { value, range };
        if !judged.is_out() {
            return;
        }
        self.out += 1;
        let range = bounds;
        self.fails_alone |= Judged { value, range }.is_out();
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
            ..head.check(passed_if(!are_many && !self.fails_alone))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::checked::CheckOutcome;

    /// A hundred shops of which the first few have these numbers, where 10 are expected.
    fn outcome(values: &[i64]) -> (CheckOutcome, u64, Vec<String>) {
        let mut tried = Tried::new(ALONE_TOTAL);
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
        let check = tried.check(head(&TOTALS_OF_SHOPS[1], Severity::Warn), 20, tenth);
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
    fn a_ratio_of_one_shop_has_close_bounds_and_that_of_money_two() {
        // Also where the numbers of the shop vary much.
        let range = Range {
            expected: 100,
            lowest: Some(0),
            highest: Some(2_000),
        };
        let is_beyond = |alone: Alone, value| {
            let range = alone.bounds(&range);
            Judged { value, range }.is_out()
        };
        let beyond = |alone, values: [i64; 4]| values.map(|value| is_beyond(alone, value));
        let amounts = beyond(ALONE_AMOUNT, [10, 11, 999, 1_000]);
        assert_eq!(amounts, [true, false, false, true]);
        let repeats = beyond(ALONE_REPEATS, [0, 50, 174, 175]);
        assert_eq!(repeats, [false, false, false, true]);
    }

    #[test]
    fn a_ratio_of_few_orders_is_not_known() {
        // Gmv in cents, orders, customers, lines, impressions.
        let ratios = |numbers: Numbers| RATIOS_OF_SHOPS.each_ref().map(|of| (of.value)(&numbers));
        assert_eq!(ratios([9_000, 9, 9, 9, 0]), [None, None]);
        assert_eq!(ratios([10_005, 10, 8, 12, 0]), [Some(1_000), Some(125)]);
        assert_eq!(ratios(Numbers::default()), [None, None]);
    }

    #[test]
    fn no_shop_with_enough_orders_is_nothing_to_compare_with() {
        let head = head(&TOTALS_OF_SHOPS[0], Severity::Warn);
        let check = Tried::new(ALONE_TOTAL).check(head, 20, Share::ONE);
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
