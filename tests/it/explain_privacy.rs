//! `explain` tells a shop nothing about other shops: neither a value of one, nor a number of a cohort
//! that is not published.
//!
//! Each check makes two worlds that differ in shops other than the one that asks, publishes both, and
//! asks both the same. Wherever the numbers that the shop may see are equal, the whole answers have to
//! be equal: as a page, as a document and as SQL.
//!
//! | the shop may see | from |
//! | --- | --- |
//! | its own rows, and the asked row of `category_benchmark` | the published tables |
//! | of each cohort of its category: published, or the rule that suppresses it | the published tables |
//! | the number of peers of these cohorts, as a band | the oracle, and the bounds of docs/explain.md |
//! | the number of rows of an export, over all shops | the exports |
//!
//! The worlds are compared with the oracle first, which is quick; the program is asked where a kind of
//! cohort has been met least.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use campaign_etl::contracts::{Kind, datasets, tables};
use chrono::NaiveDate;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::explain::flag;
use crate::oracle::{Expected, expect};
use crate::places::rows;
use crate::random_worlds::{Case, cell, crowded_cases};
use crate::sampling;
use crate::world::{Cells, Outcome, World, etl, parse_cents, show_cents};

/// Identifiers begin here, so that none of them is like another number of an answer.
const SHOP: i64 = 8_100_000;
const ACCOUNT: i64 = 8_200_000;
const CONTENT: i64 = 8_300_000;
const PRODUCT: i64 = 8_400_000;
const SKU: i64 = 8_500_000;
const ORDER: i64 = 8_600_000;
const USER: i64 = 8_700_000;

/// How the other shops of the second world differ from those of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// An amount moves from one shop to another of its tier, so sums and means stay.
    Shift,
    /// Two shops of a tier change places, so all statistics stay.
    Exchange,
    /// Some shops have other amounts.
    Redraw,
    /// Some shops leave, and some come.
    Members,
}

/// How the day of the question was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Nights {
    Once,
    /// The orders of a shop came late, and the day was published again.
    Restated,
    /// The day before stands in for the benchmarks.
    Fallback,
    /// The day that stands in was published again since.
    StaleFallback,
}

const NIGHTS: [Nights; 4] = [
    Nights::Once,
    Nights::Restated,
    Nights::Fallback,
    Nights::StaleFallback,
];

fn is_published_twice(nights: Nights) -> bool {
    matches!(nights, Nights::Restated | Nights::StaleFallback)
}

/// The largest amount of money that breaks no rule, in cents.
const LARGEST: i128 = 100_000_000_000_000;

struct Random(Pcg64Mcg);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % end.max(1) as u64) as usize
    }

    fn cents(&mut self, end: i128) -> i128 {
        self.below(end.max(1) as usize) as i128
    }

    fn is(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// A cell of an export's row.
fn cell_of<'a>(dataset: &str, row: &'a mut Cells, column: &str) -> &'a mut Option<String> {
    &mut row[datasets::dataset(dataset).unwrap().position(column)]
}

fn has(dataset: &str, column: &str) -> bool {
    let columns = datasets::dataset(dataset).unwrap().columns;
    columns.iter().any(|c| c.name == column)
}

fn shop_of(dataset: &str, row: &Cells) -> Option<i64> {
    let at =
        has(dataset, "shop_id").then(|| datasets::dataset(dataset).unwrap().position("shop_id"));
    row[at?].as_deref()?.parse().ok()
}

/// The columns of amounts of an export; money has a point.
fn amounts(dataset: &str) -> &'static [&'static str] {
    match dataset {
        "order_lines" => &[
            "sub_total",
            "shipping_fee",
            "platform_discount",
            "shipping_platform_discount",
            "quantity",
        ],
        "product_traffic" => &["impressions", "clicks", "page_views", "add_to_carts"],
        "ad_hours" => &["spend", "gross_revenue"],
        _ => &[],
    }
}

/// Cents, or a count; `None`: null.
fn amount(dataset: &str, row: &Cells, column: &str) -> Option<i128> {
    let text = row[datasets::dataset(dataset).unwrap().position(column)].as_deref()?;
    Some(match text.contains('.') {
        true => parse_cents(text),
        false => text.parse().unwrap(),
    })
}

fn set_amount(dataset: &str, row: &mut Cells, column: &str, value: i128) {
    let cell = cell_of(dataset, row, column);
    let is_money = cell.as_ref().unwrap().contains('.');
    *cell = Some(match is_money {
        true => show_cents(value),
        false => value.to_string(),
    });
}

/// The shops of a world with their GMV over its days, in cents.
fn gmv_of_shops(world: &World) -> BTreeMap<i64, i128> {
    let mut found = BTreeMap::new();
    for ((dataset, _), rows) in &world.exports {
        for row in rows {
            if let Some(shop) = shop_of(dataset, row) {
                let gmv: &mut i128 = found.entry(shop).or_default();
                if dataset == "order_lines" {
                    *gmv += amount(dataset, row, "sub_total").unwrap_or(0);
                    *gmv += amount(dataset, row, "shipping_fee").unwrap_or(0);
                }
            }
        }
    }
    found
}

/// Shops that are peers in the same cohorts, two by two; `kept` is in no pair.
fn pairs(case: &Case, kept: &[i64], random: &mut Random) -> Vec<(i64, i64)> {
    let last_day = *case.days.last().unwrap();
    // The rows that make the shop a peer: its category and its campaigns.
    let memberships = |shop: i64| {
        let of = |dataset: &str, column: &str| {
            let rows = case.world.exports.get(&(dataset.to_owned(), last_day));
            let at = datasets::dataset(dataset).unwrap().position(column);
            let rows = rows.into_iter().flatten();
            let of_shop = rows.filter(|row| shop_of(dataset, row) == Some(shop));
            of_shop.map(|row| row[at].clone()).collect::<Vec<_>>()
        };
        [of("shops", "category"), of("campaign_shops", "campaign_id")]
    };
    let mut waiting = BTreeMap::new();
    let mut shops: Vec<(i64, i128)> = gmv_of_shops(&case.world).into_iter().collect();
    random.shuffle(&mut shops);
    let mut found = Vec::new();
    for (shop, gmv) in shops.into_iter().filter(|(shop, _)| !kept.contains(shop)) {
        let alike = (tier_of(case, gmv), memberships(shop));
        match waiting.remove(&alike) {
            Some(other) => found.push((other, shop)),
            None => drop(waiting.insert(alike, shop)),
        }
    }
    found
}

fn tier_of(case: &Case, gmv: i128) -> usize {
    let tiers = case.settings.tiers.iter();
    tiers.filter(|(_, least)| *least <= gmv).count() - 1
}

/// The world with other shops; the rows of `kept` are as they were.
fn changed(case: &Case, change: Change, kept: &[i64], random: &mut Random) -> World {
    let mut world = case.world.clone();
    // Sometimes only shops of lower tiers: the published cohorts above them then stay.
    let highest = random.below(case.settings.tiers.len());
    let gmv = gmv_of_shops(&world);
    let others = gmv.iter().filter(|(shop, _)| !kept.contains(shop));
    let others: Vec<i64> = others
        .filter(|(_, gmv)| tier_of(case, **gmv) <= highest)
        .map(|(shop, _)| *shop)
        .collect();
    match change {
        Change::Shift => {
            for (from, to) in pairs(case, kept, random) {
                let mut shifted = world.clone();
                shift(&mut shifted, from, to, random);
                let tiers = [&world, &shifted].map(|world| {
                    let gmv = gmv_of_shops(world);
                    [from, to].map(|shop| tier_of(case, gmv[&shop]))
                });
                if tiers[0] == tiers[1] {
                    world = shifted;
                }
            }
        }
        Change::Exchange => {
            let pairs = pairs(case, kept, random);
            let partner: BTreeMap<i64, i64> = pairs
                .iter()
                .flat_map(|(a, b)| [(*a, *b), (*b, *a)])
                .collect();
            for ((dataset, _), rows) in &mut world.exports {
                for row in rows {
                    if let Some(other) = shop_of(dataset, row).and_then(|s| partner.get(&s)) {
                        *cell_of(dataset, row, "shop_id") = Some(other.to_string());
                    }
                }
            }
        }
        Change::Redraw => {
            let share = random.pick(&[20, 60, 100]);
            let chosen: BTreeSet<i64> = others.into_iter().filter(|_| random.is(share)).collect();
            for ((dataset, _), rows) in &mut world.exports {
                for row in rows {
                    if shop_of(dataset, row).is_some_and(|shop| chosen.contains(&shop)) {
                        redraw(dataset, row, random);
                    }
                }
            }
        }
        Change::Members => {
            for _ in 0..1 + random.below(3) {
                let (Some(shop), is_gone) = (others.get(random.below(others.len())), random.is(50))
                else {
                    continue;
                };
                let mut with_members = world.clone();
                match is_gone {
                    true => remove(&mut with_members, *shop),
                    false => copy(&mut with_members, *shop, 50 + random.below(40) as i64),
                }
                // An export without rows has no file, and every answer tells that.
                let exports = world.exports.values().zip(with_members.exports.values());
                if exports
                    .into_iter()
                    .all(|(a, b)| a.is_empty() == b.is_empty())
                {
                    world = with_members;
                }
            }
        }
    }
    world
}

fn shift(world: &mut World, from: i64, to: i64, random: &mut Random) {
    for ((dataset, _), rows) in &mut world.exports {
        let row_of = |shop| {
            rows.iter()
                .position(|row| shop_of(dataset, row) == Some(shop))
        };
        let (Some(giver), Some(taker)) = (row_of(from), row_of(to)) else {
            continue;
        };
        for column in amounts(dataset) {
            let [a, b] = [giver, taker].map(|at| amount(dataset, &rows[at], column));
            // No amount becomes 0, or is one no more, so that a ratio stays known or unknown.
            if let (Some(a), Some(b)) = (a, b)
                && b > 0
            {
                let moved = random.cents(a.min(400)).min(LARGEST - b);
                set_amount(dataset, &mut rows[giver], column, a - moved);
                set_amount(dataset, &mut rows[taker], column, b + moved);
            }
        }
    }
}

fn redraw(dataset: &str, row: &mut Cells, random: &mut Random) {
    for column in amounts(dataset) {
        let now = amount(dataset, row, column).unwrap_or(0);
        let most = if dataset == "product_traffic" || *column == "quantity" {
            6
        } else {
            600
        };
        // An amount of 0 stays 0, so that a ratio stays known or unknown.
        if now > 0 {
            let low = if most == 600 { (now - 300).max(1) } else { 1 };
            set_amount(
                dataset,
                row,
                column,
                (low + random.cents(most)).min(LARGEST),
            );
        }
    }
}

fn remove(world: &mut World, shop: i64) {
    for ((dataset, _), rows) in &mut world.exports {
        rows.retain(|row| shop_of(dataset, row) != Some(shop));
    }
}

fn copy(world: &mut World, shop: i64, new: i64) {
    remove(world, new);
    for ((dataset, _), rows) in &mut world.exports {
        let of_shop = rows
            .iter()
            .filter(|row| shop_of(dataset, row) == Some(shop));
        let mut copies: Vec<Cells> = of_shop.cloned().collect();
        for row in &mut copies {
            *cell_of(dataset, row, "shop_id") = Some(new.to_string());
            for (of, column) in [
                ("contents", "content_id"),
                ("ad_hours", "ad_account_id"),
                ("shops", "primary_ad_account_id"),
            ] {
                if of == dataset {
                    *cell_of(dataset, row, column) = Some(new.to_string());
                }
            }
        }
        rows.extend(copies);
    }
}

/// Adds what a crowded world lacks: stock, products and sub-campaigns; and for each of `bad`, a shop and
/// an amount, rows that break a rule.
fn furnish(world: &mut World, shops: &BTreeSet<i64>, bad: &[(i64, i128)]) {
    let some = |cells: Vec<String>| cells.into_iter().map(Some).collect::<Cells>();
    let days: BTreeSet<NaiveDate> = world.exports.keys().map(|(_, day)| *day).collect();
    for day in days {
        let stock = shops.iter().map(|shop| {
            let available = (shop % 4) * 3;
            some([*shop, 1, 1, available].map(|n| n.to_string()).to_vec())
        });
        let mut stock: Vec<Cells> = stock.collect();
        let products = shops
            .iter()
            .map(|shop| some([1, *shop, 1].map(|n| n.to_string()).to_vec()));
        let products = products.collect();
        for (shop, hidden) in bad {
            stock.push(some(
                [*shop, 1, 2, -hidden as i64]
                    .map(|n| n.to_string())
                    .to_vec(),
            ));
            if let Some(lines) = world.exports.get_mut(&("order_lines".to_owned(), day))
                && let Some(mut line) = lines
                    .iter()
                    .find(|row| shop_of("order_lines", row) == Some(*shop))
                    .cloned()
            {
                *cell_of("order_lines", &mut line, "sub_total") = Some(show_cents(-hidden));
                *cell_of("order_lines", &mut line, "sku_id") = Some("2".to_owned());
                lines.push(line);
            }
        }
        let mut put =
            |dataset: &str, rows| drop(world.exports.insert((dataset.to_owned(), day), rows));
        put("inventory", stock);
        put("campaign_products", products);
        let sub_campaign = |id: i64| some(vec![id.to_string(), "1".into(), "opening".into()]);
        put("sub_campaigns", vec![sub_campaign(1), sub_campaign(2)]);
    }
}

/// Gives every identifier of a shop a number of its own.
fn disguised(world: &World) -> World {
    let mut world = world.clone();
    for ((dataset, _), rows) in &mut world.exports {
        for row in rows {
            let Some(shop) = shop_of(dataset, row) else {
                continue;
            };
            let mut number = |column: &str, value: i64| {
                if has(dataset, column) {
                    *cell_of(dataset, row, column) = Some(value.to_string());
                }
            };
            number("shop_id", SHOP + shop);
            number("product_id", PRODUCT + shop);
            for (column, base) in [
                ("content_id", CONTENT),
                ("primary_ad_account_id", ACCOUNT),
                ("ad_account_id", ACCOUNT),
                ("order_id", ORDER),
            ] {
                number(column, base + shop);
            }
            for (column, base) in [("sku_id", SKU), ("buyer_id", USER), ("user_id", USER)] {
                if has(dataset, column) {
                    let cell = cell_of(dataset, row, column);
                    let own: i64 = cell.as_deref().unwrap().parse().unwrap();
                    *cell = Some((base + shop * 10 + own).to_string());
                }
            }
            for column in ["shop_name", "creator_handle"] {
                if has(dataset, column) {
                    *cell_of(dataset, row, column) = Some(format!("{column}{}", SHOP + shop));
                }
            }
        }
    }
    world
}

/// Everything in an answer that names a shop.
fn names_of(shop: i64) -> Vec<String> {
    let of_shop = [SHOP, ACCOUNT, CONTENT, PRODUCT, ORDER].map(|base| (base + shop).to_string());
    let several = (0..10).flat_map(|n| [SKU, USER].map(|base| (base + shop * 10 + n).to_string()));
    let texts = ["shop_name", "creator_handle"].map(|column| format!("{column}{}", SHOP + shop));
    of_shop.into_iter().chain(several).chain(texts).collect()
}

const NUMBER_BEFORE: &str = "another number before";
const OTHER_DAY: &str = "numbers of a day with other inputs";
const NUMBER_SINCE: &str = "another number with the inputs since";

/// One world: its exports, those of the first night, and the oracle's answers to both.
struct Side {
    first: World,
    last: World,
    /// `None`: there is only one night.
    expected_first: Option<Expected>,
    expected: Expected,
}

/// Two worlds, alike for the shops that ask.
struct Pair {
    case: Case,
    change: Change,
    nights: Nights,
    asking: Vec<i64>,
    sides: [Side; 2],
}

/// A question about a benchmark.
#[derive(Clone, Debug)]
struct Question {
    table: &'static str,
    shop: i64,
    scope: String,
    campaign: String,
    /// A metric; of `gmv_gap`, a column.
    metric: String,
}

impl Pair {
    /// `None`: too few shops.
    fn new(case: &Case, change: Change, nights: Nights, random: &mut Random) -> Option<Pair> {
        let mut case = case.clone();
        for ((dataset, _), rows) in &mut case.world.exports {
            for row in rows
                .iter_mut()
                .step_by(2)
                .filter(|_| dataset == "order_lines")
            {
                *cell_of(dataset, row, "sub_campaign_id") = Some("1".to_owned());
            }
        }
        let shops: Vec<i64> = gmv_of_shops(&case.world).into_keys().collect();
        if shops.len() < 8 {
            return None;
        }
        let mut kept = shops.clone();
        random.shuffle(&mut kept);
        // Two shops ask, the orders of one are late, and one has rows that break a rule.
        let last_day = *case.days.last().unwrap();
        let lines = &case.world.exports[&("order_lines".to_owned(), last_day)];
        let sold = |shop: &i64| {
            lines
                .iter()
                .any(|row| shop_of("order_lines", row) == Some(*shop))
        };
        let at = 2 + kept[2..].iter().position(sold)?;
        kept.swap(2, at);
        let (asking, late, bad) = (kept[..2].to_vec(), kept[2], kept[3]);
        kept.truncate(4);
        let worlds = [case.world.clone(), changed(&case, change, &kept, random)];
        if matches!(nights, Nights::Fallback | Nights::StaleFallback) {
            case.days.push(last_day.succ_opt().unwrap());
        }
        let mut hidden = 700;
        let sides = worlds.map(|mut world| {
            let shops = gmv_of_shops(&world).into_keys().collect();
            hidden += 111;
            furnish(&mut world, &shops, &[(bad, hidden), (asking[0], 500)]);
            let mut first = world.clone();
            if is_published_twice(nights) {
                let lines = first
                    .exports
                    .get_mut(&("order_lines".to_owned(), last_day))
                    .unwrap();
                lines.retain(|row| shop_of("order_lines", row) != Some(late));
            }
            let [first, last] = [first, world].map(|world| disguised(&world));
            let expected = |world| expect(world, &case.settings, &case.days, 1);
            Side {
                expected_first: is_published_twice(nights).then(|| expected(&first)),
                expected: expected(&last),
                first,
                last,
            }
        });
        Some(Pair {
            case,
            change,
            nights,
            asking,
            sides,
        })
    }

    /// The day that the questions are about.
    fn day(&self) -> NaiveDate {
        *self.case.days.last().unwrap()
    }

    /// The last day with exports: the benchmark day.
    fn benchmark_day(&self) -> NaiveDate {
        match self.nights {
            Nights::Once | Nights::Restated => self.day(),
            Nights::Fallback | Nights::StaleFallback => self.day().pred_opt().unwrap(),
        }
    }

    /// The questions to which both worlds have to give the same answer, though the values or the number
    /// of the peers differ; with the kind of the cohort and of the difference.
    fn questions(&self, random: &mut Random) -> Vec<(String, Question)> {
        let mut found = Vec::new();
        let [a, b] = &self.sides;
        for shop in &self.asking {
            for question in self.questions_of(*shop, random) {
                let views = [a, b].map(|side| self.view(side, &question));
                if let [Some(a), Some(b)] = views
                    && a == b
                    && let Some(kind) = self.kind(&question)
                {
                    let another = [NUMBER_BEFORE, NUMBER_SINCE];
                    let another = another.into_iter().find(|line| a.last().unwrap() == line);
                    let kind = another.map_or(kind, str::to_owned);
                    found.push((kind, question));
                }
            }
        }
        found
    }

    /// Questions about the shop's other tables: one row and column of each.
    fn questions_of_own_tables(&self, random: &mut Random) -> Vec<(String, (i64, Vec<String>))> {
        let day = self.benchmark_day();
        let mut found = Vec::new();
        for shop in &self.asking {
            let own = (SHOP + shop).to_string();
            for table in tables::all().filter(|table| table.key.contains(&"shop_id")) {
                let rows = self.sides.each_ref().map(|side| {
                    let rows = side.expected.tables.get(&(table.name.to_owned(), day));
                    let rows = rows.into_iter().flatten();
                    let is_own = |row: &&Cells| cell(table.name, row, "shop_id") == Some(&own);
                    rows.filter(is_own).collect::<Vec<_>>()
                });
                if table.key.contains(&"metric") || table.name == "gmv_gap" || rows[0].is_empty() {
                    continue;
                }
                assert_eq!(rows[0], rows[1], "{} of the shop that asks", table.name);
                let row = random.pick(&rows[0]);
                let columns = table
                    .columns
                    .iter()
                    .filter(|c| !table.key.contains(&c.name));
                let column = random.pick(&columns.map(|c| c.name).collect::<Vec<_>>());
                let mut command = vec!["--table", table.name, "--metric", column];
                for name in table.key {
                    let flag = flag(name).map(|flag| [flag, cell(table.name, row, name).unwrap()]);
                    command.extend(flag.into_iter().flatten());
                }
                let command = command.into_iter().map(str::to_owned).collect();
                found.push((format!("own {}", table.name), (*shop, command)));
            }
        }
        found
    }

    fn questions_of(&self, shop: i64, random: &mut Random) -> Vec<Question> {
        let tables = &self.sides[0].expected.tables;
        let shown = |table: &str| &tables[&(table.to_owned(), self.day())][..];
        let (mut found, own) = (BTreeMap::new(), (SHOP + shop).to_string());
        let mut add = |table, row: &Cells, of: &str, metric: &str| {
            let text = |column| cell(of, row, column).unwrap().to_owned();
            let (scope, campaign) = (text("scope"), text("campaign_id"));
            let key = (table, scope.clone(), campaign.clone(), metric.to_owned());
            let metric = metric.to_owned();
            let question = Question {
                table,
                shop,
                scope,
                campaign,
                metric,
            };
            found.insert(key, question);
        };
        for row in shown("category_benchmark") {
            let metric = cell("category_benchmark", row, "metric").unwrap();
            add("category_benchmark", row, "category_benchmark", metric);
        }
        for row in shown("shop_benchmark") {
            if cell("shop_benchmark", row, "shop_id") == Some(&own) {
                let metric = cell("shop_benchmark", row, "metric").unwrap();
                add("shop_benchmark", row, "shop_benchmark", metric);
            }
        }
        for row in shown("gmv_gap") {
            if cell("gmv_gap", row, "shop_id") == Some(&own) {
                let columns = [
                    "gap",
                    "benchmark_gmv",
                    "from_impressions",
                    "from_ctr",
                    "from_ctor",
                ];
                add("gmv_gap", row, "gmv_gap", random.pick(&columns));
            }
        }
        let mut found: Vec<Question> = found.into_values().collect();
        random.shuffle(&mut found);
        found.truncate(CONSIDERED);
        found
    }

    /// The numbers that the shop may see; `None`: there is no such row.
    fn view(&self, side: &Side, question: &Question) -> Option<Vec<String>> {
        let first = side.expected_first.as_ref();
        let published = first.filter(|_| self.nights == Nights::StaleFallback);
        let published = published.unwrap_or(&side.expected);
        let row = self.row(published, question, self.day())?;
        let unseen: &[&str] = match question.table {
            "category_benchmark" => &["p25", "p50", "p75", "peer_count"],
            _ => &["position"],
        };
        let columns = tables::table(question.table).unwrap().columns;
        let seen = columns.iter().filter(|c| !unseen.contains(&c.name));
        let mut view: Vec<String> = seen
            .map(|c| format!("{} {:?}", c.name, cell(question.table, row, c.name)))
            .collect();
        let own = (SHOP + question.shop).to_string();
        let of_day = side
            .expected
            .tables
            .get(&("shop_tier".to_owned(), self.benchmark_day()))?;
        let mut tiers = of_day.iter();
        let tier = tiers.find(|row| cell("shop_tier", row, "shop_id") == Some(&own));
        view.push(format!("{tier:?}"));
        for cohort in self.cohorts(side, question)? {
            let of = |column| cell("category_benchmark", cohort, column);
            let told = of("suppression_reason").unwrap_or("published");
            let least = self.case.settings.min_peers;
            let band = match (told, of("peer_count")) {
                ("TOO_FEW_PEERS", _) => format!("fewer than {least}"),
                (_, Some(count)) => band(count.parse().unwrap(), least),
                _ => format!("{least} or more"),
            };
            view.push(format!("{:?}: {told}, {band}", of("tier")));
        }
        if let Some(first) = first {
            let number = |expected, day| {
                let column = match question.table {
                    "category_benchmark" => "mean",
                    "shop_benchmark" => "difference_pct",
                    _ => &question.metric,
                };
                let row = self.row(expected, question, day)?;
                cell(question.table, row, column)
            };
            // Each day that was published twice was so from the exports of the benchmark day.
            let day = self.benchmark_day();
            let another = match self.nights {
                Nights::Restated => NUMBER_BEFORE,
                _ => NUMBER_SINCE,
            };
            view.push(match (number(first, day), number(&side.expected, day)) {
                (before, now) if before == now => "as before".to_owned(),
                // Equal but for rounding: the program may round in another way.
                (Some(before), Some(now)) if is_near(before, now) => return None,
                (Some(_), Some(_)) => another.to_owned(),
                (before, now) => format!("{} before, {} now", before.is_some(), now.is_some()),
            });
        }
        Some(view)
    }

    /// The published row of a question.
    fn row<'a>(
        &self,
        expected: &'a Expected,
        question: &Question,
        day: NaiveDate,
    ) -> Option<&'a Cells> {
        let rows = expected.tables.get(&(question.table.to_owned(), day))?;
        let of_cohort = self.cohort_of(expected, question);
        let own = (SHOP + question.shop).to_string();
        rows.iter().find(|row| {
            let is = |column, value: &str| cell(question.table, row, column) == Some(value);
            let is_asked = is("scope", &question.scope) && is("campaign_id", &question.campaign);
            is_asked
                && match question.table {
                    "category_benchmark" => {
                        let [category, tier] = &of_cohort;
                        is("metric", &question.metric)
                            && is("category", category)
                            && is("tier", tier)
                    }
                    "shop_benchmark" => is("metric", &question.metric) && is("shop_id", &own),
                    _ => is("shop_id", &own),
                }
        })
    }

    /// Category and tier of the cohort that a question is about.
    fn cohort_of(&self, expected: &Expected, question: &Question) -> [String; 2] {
        let own = (SHOP + question.shop).to_string();
        let (table, day) = match question.table {
            "category_benchmark" => ("shop_tier", self.benchmark_day()),
            table => (table, self.day()),
        };
        let mut rows = expected
            .tables
            .get(&(table.to_owned(), day))
            .into_iter()
            .flatten();
        let is_in_scope = |row: &&Cells| {
            table == "shop_tier"
                || cell(table, row, "scope") == Some(&question.scope)
                    && cell(table, row, "campaign_id") == Some(&question.campaign)
        };
        let row = rows.find(|row| is_in_scope(row) && cell(table, row, "shop_id") == Some(&own));
        let of = |column| row.and_then(|row| cell(table, row, column));
        ["category", "tier"].map(|column| of(column).unwrap_or_default().to_owned())
    }

    fn metric(question: &Question) -> &str {
        match question.table {
            "gmv_gap" => "gmv",
            _ => &question.metric,
        }
    }

    /// The cohorts of the category, from the highest tier down, as the benchmark day has them now.
    fn cohorts<'a>(&self, side: &'a Side, question: &Question) -> Option<Vec<&'a Cells>> {
        let day = self.benchmark_day();
        let rows = side
            .expected
            .tables
            .get(&("category_benchmark".to_owned(), day))?;
        let [category, _] = self.cohort_of(&side.expected, question);
        let is_asked = |row: &&Cells| {
            let is = |column, value: &str| cell("category_benchmark", row, column) == Some(value);
            is("scope", &question.scope)
                && is("campaign_id", &question.campaign)
                && is("category", &category)
                && is("metric", Self::metric(question))
        };
        let mut found: Vec<&Cells> = rows.iter().filter(is_asked).collect();
        found.sort_by_key(|row| std::cmp::Reverse(self.tier_position(row)));
        Some(found)
    }

    /// The published rows of benchmarks that an answer about the whole day counts.
    fn rows_of_day(&self, side: &Side, shop: i64) -> BTreeMap<&'static str, usize> {
        let question = |table| Question {
            table,
            shop,
            scope: String::new(),
            campaign: String::new(),
            metric: String::new(),
        };
        let cohort = self.cohort_of(&side.expected, &question("category_benchmark"));
        let own = (SHOP + shop).to_string();
        let count = |table: &'static str| {
            let rows = side.expected.tables.get(&(table.to_owned(), self.day()));
            let is_counted = |row: &&Cells| match table {
                "category_benchmark" => {
                    let of = |column| cell(table, row, column).unwrap_or_default();
                    [of("category"), of("tier")] == cohort.each_ref().map(String::as_str)
                }
                _ => cell(table, row, "shop_id") == Some(&own),
            };
            (table, rows.into_iter().flatten().filter(is_counted).count())
        };
        ["category_benchmark", "shop_benchmark", "gmv_gap"]
            .map(count)
            .into()
    }

    fn tier_position(&self, row: &Cells) -> usize {
        let tier = cell("category_benchmark", row, "tier").unwrap();
        let mut tiers = self.case.settings.tiers.iter();
        tiers.position(|(name, _)| name == tier).unwrap()
    }

    /// The peers of a cohort with their values.
    fn peers(&self, side: &Side, cohort: &Cells) -> BTreeMap<i64, String> {
        let of = |column| {
            cell("category_benchmark", cohort, column)
                .unwrap()
                .to_owned()
        };
        let [scope, campaign, category, tier, metric] =
            ["scope", "campaign_id", "category", "tier", "metric"].map(of);
        let day = self.benchmark_day();
        let rows = &side.expected.tables[&("shop_benchmark".to_owned(), day)];
        let of_metric = rows.iter().filter(|row| {
            let is = |column, value: &str| cell("shop_benchmark", row, column) == Some(value);
            is("scope", &scope) && is("campaign_id", &campaign) && is("metric", &metric)
        });
        let values: BTreeMap<i64, &str> = of_metric
            .filter_map(|row| {
                let shop = cell("shop_benchmark", row, "shop_id")?.parse().ok()?;
                Some((shop, cell("shop_benchmark", row, "value")?))
            })
            .collect();
        let peers = &side.expected.peers[&(day, scope, campaign, category, tier, metric)];
        peers
            .iter()
            .map(|shop| (*shop, values[shop].to_owned()))
            .collect()
    }

    /// The kind of the shop's own cohort, and how its peers differ in the two worlds; `None`: they do
    /// not, or there is no such cohort.
    fn kind(&self, question: &Question) -> Option<String> {
        let [a, b] = &self.sides;
        let [_, tier] = self.cohort_of(&a.expected, question);
        let of_tier = |side| {
            let cohorts = self.cohorts(side, question)?;
            let is_own = |row: &&Cells| cell("category_benchmark", row, "tier") == Some(&tier);
            cohorts.into_iter().find(is_own)
        };
        let (first, second) = (of_tier(a)?, of_tier(b)?);
        let peers = [self.peers(a, first), self.peers(b, second)];
        let sorted = |peers: &BTreeMap<i64, String>| {
            let mut values: Vec<String> = peers.values().cloned().collect();
            values.sort();
            values
        };
        let difference = match &peers {
            [a, b] if a == b => return None,
            [a, b] if a.len() != b.len() => "other number of peers",
            [a, b] if sorted(a) != sorted(b) => "other values",
            _ => "exchanged values",
        };
        let rule = match cell("category_benchmark", first, "suppression_reason") {
            None => "published",
            Some("DIFFERENCING") => self.which_difference(a, question, first),
            Some(rule) => rule,
        };
        let scope = &question.scope;
        Some(format!("{}, {scope}: {rule}, {difference}", question.table))
    }

    /// Whether a published cohort of a higher tier is too near, or only one of the day.
    fn which_difference(&self, side: &Side, question: &Question, cohort: &Cells) -> &'static str {
        let own: BTreeSet<i64> = self.peers(side, cohort).into_keys().collect();
        let is_near = |other: &&Cells| {
            let others: BTreeSet<i64> = self.peers(side, other).into_keys().collect();
            let between = own.symmetric_difference(&others).count();
            between > 0 && between < self.case.settings.min_peers
        };
        let cohorts = self.cohorts(side, question).unwrap_or_default();
        let higher = cohorts.into_iter().filter(|other| {
            let is_higher = self.tier_position(other) > self.tier_position(cohort);
            is_higher && cell("category_benchmark", other, "mean").is_some()
        });
        match higher.into_iter().any(|other| is_near(&other)) {
            true => "DIFFERENCING between tiers",
            false => "DIFFERENCING from the day",
        }
    }
}

/// The band of a number of peers of a published cohort, as docs/explain.md has it.
fn band(peers: usize, least: usize) -> String {
    let bounds = [1, 2, 5, 10, 20, 50, 100].map(|times| times * least);
    let above = bounds.iter().position(|bound| *bound > peers).unwrap();
    format!("{} to {}", bounds[above - 1], bounds[above] - 1)
}

fn is_near(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => false,
    }
}

/// A side on disk.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new(job: &str) -> Place {
        let place = Place {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::write(place.path("job.toml"), job).unwrap();
        place
    }

    fn publish(pair: &Pair, side: &Side) -> Place {
        let place = Place::new(&pair.case.settings.toml());
        side.first.write(&place.path("exports"), 1);
        for day in &pair.case.days {
            place.etl(&["run", "--day", &day.to_string()]);
        }
        if is_published_twice(pair.nights) {
            fs::remove_dir_all(place.path("exports")).unwrap();
            side.last.write(&place.path("exports"), 1);
            place.etl(&["run", "--day", &pair.benchmark_day().to_string()]);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn etl(&self, command: &[&str]) -> Outcome {
        let paths = ["job.toml", "exports", "results"].map(|name| self.path(name));
        let [config, exports, results] = paths.each_ref().map(|path| path.to_str().unwrap());
        let places = [
            "--config",
            config,
            "--exports",
            exports,
            "--results",
            results,
        ];
        etl(&[command, &places].concat())
    }

    /// An answer without paths of this machine.
    fn told(&self, text: &str) -> String {
        text.replace(self.dir.path().to_str().unwrap(), "DIR")
    }
}

/// Does something for both sides at once.
fn both<T: Sync, A: Send>(sides: &[T; 2], act: impl Fn(&T) -> A + Sync) -> [A; 2] {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| act(&sides[1]));
        [act(&sides[0]), other.join().unwrap()]
    })
}

/// The forms of an answer.
const FORMS: [&[&str]; 3] = [
    &["--format", "json", "--rows", "3", "--deep"],
    &["--rows", "3"],
    &["--sql"],
];

/// Asks both places, in every form. The answers have to be equal, and to name no other shop.
fn ask(
    pair: &Pair,
    places: &[Place; 2],
    (shop, day): (i64, NaiveDate),
    command: &[&str],
) -> Vec<(String, i32)> {
    let (own, day) = ((SHOP + shop).to_string(), day.to_string());
    let mut answers = Vec::new();
    for form in FORMS {
        let command = [&["explain", "--shop", &own, "--day", &day], command, form].concat();
        let outcomes = both(places, |place| place.etl(&command));
        let said = outcomes
            .each_ref()
            .map(|o| format!("{}\n{}", o.stdout, o.stderr));
        said.iter()
            .for_each(|said| check_names(pair, shop, said, &command));
        let [first, second] = [0, 1].map(|at| {
            let told = places[at].told(&said[at]);
            plain(&told, pair.change == Change::Members)
        });
        let codes = outcomes.each_ref().map(|outcome| outcome.code);
        let change = (pair.change, pair.nights);
        assert!(
            first == second && codes[0] == codes[1],
            "{command:?} tells two worlds apart ({change:?}, {codes:?}):\n{}\n{:?}",
            differences(&first, &second),
            pair.case,
        );
        answers.push((first, codes[0]));
    }
    answers
}

fn check_names(pair: &Pair, shop: i64, said: &str, command: &[&str]) {
    let is_part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: BTreeSet<&str> = said.split(|c| !is_part_of_word(c)).collect();
    let worlds = pair.sides.iter().map(|side| &side.last);
    let shops: BTreeSet<i64> = worlds
        .flat_map(|world| gmv_of_shops(world).into_keys())
        .map(|id| id - SHOP)
        .filter(|other| *other != shop)
        .collect();
    for name in shops.into_iter().flat_map(names_of) {
        assert!(
            !words.contains(&*name),
            "{command:?} names another shop, {name}:\n{said}"
        );
    }
}

/// An answer without hashes, sizes, times, ids of runs, and commits of files. `is_other_number`: also
/// without the number of rows over all shops, and the place of a row among them.
fn plain(said: &str, is_other_number: bool) -> String {
    if let Ok(mut document) = serde_json::from_str::<Value>(said) {
        if document.get("sql").is_none() {
            strip(&mut document, is_other_number);
        }
        return serde_json::to_string_pretty(&document).unwrap();
    }
    let lines = said.lines().map(|line| plain_line(line, is_other_number));
    lines.collect::<Vec<_>>().join("\n")
}

fn strip(value: &mut Value, is_other_number: bool) {
    match value {
        Value::Object(members) => {
            for name in ["sha256", "bytes", "run_id", "published_at"] {
                members.remove(name);
            }
            // The last commit that changed the file: a row of any shop.
            if let Some(Value::Object(published)) = members.get_mut("published") {
                published.remove("commit");
            }
            if is_other_number {
                for name in ["account", "row_number"] {
                    members.remove(name);
                }
            }
            members
                .values_mut()
                .for_each(|value| strip(value, is_other_number));
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| strip(item, is_other_number)),
        Value::String(text) if is_other_number => *text = without_rows(text),
        _ => {}
    }
}

fn without_rows(line: &str) -> String {
    match line.contains(" rows read") || line.trim_start().starts_with("rows of all shops") {
        true => line.replace(|c: char| c.is_ascii_digit(), ""),
        false => line.to_owned(),
    }
}

fn plain_line(line: &str, is_other_number: bool) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let start = line.trim_start();
    let is_commit = start.starts_with("published by commit ") || start.starts_with("commit ");
    for at in 0..words.len() {
        let before = at.checked_sub(1).map(|before| words[before].clone());
        let before = before.as_deref();
        let is_size = words
            .get(at + 1)
            .is_some_and(|next| next.starts_with("bytes"));
        let is_place = is_other_number && start.starts_with("row ") && before == Some("row");
        let is_of_file = start.contains("published by commit ") && before == Some("commit");
        let is_of_run = is_commit && matches!(before, Some("of" | "run" | "(run"));
        if is_size || is_place || is_of_file || is_of_run || before == Some("SHA-256") {
            let end = words[at].ends_with(':');
            words[at] = if end { "...:" } else { "..." }.to_owned();
        }
    }
    let line = words.join(" ");
    match is_other_number {
        true => without_rows(&line),
        false => line,
    }
}

fn differences(a: &str, b: &str) -> String {
    let pairs = a.lines().zip(b.lines()).filter(|(a, b)| a != b);
    let lines = pairs.take(12).map(|(a, b)| format!("- {a}\n+ {b}\n"));
    let count = [a, b].map(|text| text.lines().count());
    format!("{}({count:?} lines)", lines.collect::<String>())
}

/// A kind `table, scope: rule, difference` without the table, and without the difference.
fn labels(kind: &str) -> Vec<String> {
    match (kind.split_once(", "), kind.rsplit_once(", ")) {
        (Some((_, of_rule)), Some((of_table, _))) => vec![of_rule.to_owned(), of_table.to_owned()],
        _ => vec![kind.to_owned()],
    }
}

/// The kinds that were met, with their number.
struct Met {
    counts: RefCell<BTreeMap<String, usize>>,
    /// Those that have to be met.
    needed: BTreeSet<String>,
}

impl Met {
    fn count(&self, kind: &str) -> usize {
        self.counts.borrow().get(kind).copied().unwrap_or(0)
    }

    fn add(&self, kind: &str) {
        *self.counts.borrow_mut().entry(kind.to_owned()).or_default() += 1;
    }

    fn new() -> Met {
        Met {
            counts: RefCell::default(),
            needed: needed().into_iter().collect(),
        }
    }

    fn is_wanted(&self, kind: &str) -> bool {
        let is_wanted = |label: &String| self.needed.contains(label) && self.count(label) < ENOUGH;
        labels(kind).iter().any(is_wanted)
    }

    fn missing(&self) -> Vec<&String> {
        let needed = self.needed.iter();
        needed.filter(|kind| self.count(kind) == 0).collect()
    }

    /// Of each kind at most `each`, and of these the `most` that have been met least.
    fn least<T>(&self, found: Vec<(String, T)>, each: usize, most: usize) -> Vec<(String, T)> {
        let mut chosen: Vec<(usize, String, T)> = Vec::new();
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        for (kind, question) in found {
            let taken = taken.entry(kind.clone()).or_default();
            if *taken < each {
                let count = labels(&kind)
                    .iter()
                    .map(|label| self.count(label))
                    .sum::<usize>();
                chosen.push((count + *taken, kind, question));
                *taken += 1;
            }
        }
        chosen.sort_by_key(|(count, kind, _)| (!self.is_wanted(kind), *count));
        let chosen = chosen.into_iter().take(most);
        chosen.map(|(_, kind, question)| (kind, question)).collect()
    }
}

/// The same random worlds for the same seed; every check has worlds of its own.
fn runner(name: &str) -> TestRunner {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&sampling::seed().to_le_bytes());
    for (place, byte) in seed[8..].iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    TestRunner::new_with_rng(ProptestConfig::default(), random)
}

/// Questions with their kinds.
type Asked = Vec<(String, Question)>;

/// Several pairs of worlds with their questions; the pair that shows most of the kinds that were met
/// least.
fn next_pair(
    runner: &mut TestRunner,
    nights: Nights,
    met: &Met,
    random: &mut Random,
) -> (Pair, Asked) {
    let offset = random.below(4);
    let mut best: Option<(usize, Pair, Asked)> = None;
    let mut case = None;
    for at in 0..CANDIDATES {
        let changes = [
            Change::Shift,
            Change::Members,
            Change::Redraw,
            Change::Exchange,
        ];
        // Each world with two changes.
        if at % 2 == 0 {
            case = Some(crowded_cases().new_tree(runner).unwrap().current());
        }
        let change = changes[(at + offset) % changes.len()];
        let Some(pair) = case
            .as_ref()
            .and_then(|case| Pair::new(case, change, nights, random))
        else {
            continue;
        };
        let found = met.least(pair.questions(random), 2, QUESTIONS);
        let new = found.iter().filter(|(kind, _)| met.is_wanted(kind)).count();
        if best.as_ref().is_none_or(|(most, ..)| new > *most) {
            best = Some((new, pair, found));
        }
        if new == QUESTIONS {
            break;
        }
    }
    let (_, pair, questions) = best.unwrap();
    (pair, questions)
}

/// Worlds from which a pair is chosen.
const CANDIDATES: usize = 6;
/// Questions of a shop that are looked at.
const CONSIDERED: usize = 70;
/// Questions to each pair.
const QUESTIONS: usize = 8;
/// Questions to each pair about other tables of the shop.
const OWN_QUESTIONS: usize = 4;
/// Questions of a kind after which others are preferred.
const ENOUGH: usize = 1;

#[test]
fn answers_are_equal_where_only_numbers_of_other_shops_differ() {
    let name = "answers_are_equal_where_only_numbers_of_other_shops_differ";
    let (mut runner, met) = (runner(name), Met::new());
    let mut random = Random(Pcg64Mcg::new(sampling::seed().into()));
    let rounds = sampling::rounds("PROPTEST_CASES", 4, 60);
    for round in 0..rounds {
        let nights = NIGHTS[round as usize % NIGHTS.len()];
        let (pair, questions) = next_pair(&mut runner, nights, &met, &mut random);
        let places = both(&pair.sides, |side| Place::publish(&pair, side));
        for (kind, question) in questions {
            ask_about_benchmark(&pair, &places, &kind, &question, &met);
        }
        ask_about_day(&pair, &places, &met);
        let found = pair.questions_of_own_tables(&mut random);
        for (kind, (shop, command)) in met.least(found, 1, OWN_QUESTIONS) {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            ask(&pair, &places, (shop, pair.benchmark_day()), &command);
            met.add(&kind);
        }
    }
    // Then only for kinds that were not met.
    for round in 0..8 * rounds {
        if met.missing().is_empty() {
            break;
        }
        let nights = NIGHTS[round as usize % NIGHTS.len()];
        let (pair, mut questions) = next_pair(&mut runner, nights, &met, &mut random);
        questions.retain(|(kind, _)| met.is_wanted(kind));
        let is_day_wanted = met.is_wanted(OTHER_DAY) && nights == Nights::StaleFallback;
        if is_day_wanted || !questions.is_empty() {
            let places = both(&pair.sides, |side| Place::publish(&pair, side));
            for (kind, question) in questions {
                ask_about_benchmark(&pair, &places, &kind, &question, &met);
            }
            if is_day_wanted {
                ask_about_day(&pair, &places, &met);
            }
        }
    }
    let (missing, counts) = (met.missing(), met.counts.borrow());
    println!("{counts:#?}");
    assert!(missing.is_empty(), "{missing:?} were not met");
    let of_own = counts.keys().filter(|kind| kind.starts_with("own "));
    assert!(of_own.count() >= 12, "other tables of a shop");
}

fn ask_about_benchmark(
    pair: &Pair,
    places: &[Place; 2],
    kind: &str,
    question: &Question,
    met: &Met,
) {
    let mut command = vec!["--table", question.table, "--metric", &question.metric];
    command.extend(["--scope", &question.scope, "--campaign", &question.campaign]);
    let answers = ask(pair, places, (question.shop, pair.day()), &command);
    let (document, code) = &answers[0];
    let document: Value = serde_json::from_str(document).unwrap();
    let again = &document["recomputed"];
    let expected = match pair.nights {
        Nights::StaleFallback => ("inputs_changed", 75),
        _ => ("agrees", 0),
    };
    let outcome = again["outcome"].as_str().unwrap();
    assert_eq!((outcome, *code), expected, "{command:?}: {document}");
    check_one_number(&document);
    match kind {
        NUMBER_BEFORE => assert_eq!(document["publications"][0]["is_withheld"], true),
        NUMBER_SINCE => assert_eq!(again["is_withheld"], true),
        _ => {}
    }
    labels(kind).iter().for_each(|label| met.add(label));
    met.add(&format!("{:?}", pair.nights));
}

/// The numbers of a cohort that an answer tells are those that are published.
fn check_one_number(document: &Value) {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
    let published = number(&document["value"]["value"]);
    let publications = document["publications"].as_array().unwrap().iter();
    for told in publications.chain([&document["recomputed"]]) {
        if let Some(told) = number(&told["value"]) {
            let is_same = published.is_some_and(|p| (told - p).abs() <= 1e-9 * p.abs().max(100.0));
            assert!(is_same, "{told} beside {published:?}: {document}");
        }
    }
}

/// Asks for the comparison of a whole day. It has no numbers where all agree, and none of a cohort
/// where inputs changed.
fn ask_about_day(pair: &Pair, places: &[Place; 2], met: &Met) {
    let shop = pair.asking[0];
    if pair.nights != Nights::StaleFallback {
        let [a, b] = pair
            .sides
            .each_ref()
            .map(|side| pair.rows_of_day(side, shop));
        if a != b {
            return;
        }
        let answers = ask(pair, places, (shop, pair.day()), &[]);
        let document: Value = serde_json::from_str(&answers[0].0).unwrap();
        assert_eq!(document["recomputed"]["outcome"], "agrees", "{document}");
        met.add("a whole day");
        return;
    }
    let (own, day) = ((SHOP + shop).to_string(), pair.day().to_string());
    let command = ["explain", "--shop", &own, "--day", &day];
    let page = places[0].etl(&command);
    check_names(pair, shop, &page.stdout, &command);
    let document = places[0].etl(&[&command[..], &["--format", "json"]].concat());
    check_names(pair, shop, &document.stdout, &command);
    for compared in document.json["tables"].as_array().unwrap() {
        let contract = tables::table(compared["table"].as_str().unwrap()).unwrap();
        let rows = compared["differing"].as_array().unwrap().iter();
        for cell in rows.flat_map(|row| row["cells"].as_array().unwrap()) {
            if contract.column(cell["column"].as_str().unwrap()).kind == Kind::Double {
                assert_eq!(cell["computed"], Value::Null, "{}", document.stdout);
                met.add(OTHER_DAY);
            }
        }
    }
}

/// The kinds of questions without which the check shows too little.
fn needed() -> Vec<String> {
    let mut kinds: Vec<String> = vec![
        NUMBER_BEFORE.to_owned(),
        NUMBER_SINCE.to_owned(),
        "a whole day".to_owned(),
        OTHER_DAY.to_owned(),
    ];
    kinds.extend(NIGHTS.map(|nights| format!("{nights:?}")));
    for scope in ["DAILY", "CAMPAIGN_PERIOD"] {
        let mut rules = vec![
            "TOO_FEW_PEERS",
            "DIFFERENCING between tiers",
            "DOMINANT_PEER",
        ];
        if scope == "CAMPAIGN_PERIOD" {
            rules.push("DIFFERENCING from the day");
        }
        for rule in &rules {
            for difference in ["other values", "other number of peers"] {
                kinds.push(format!("{scope}: {rule}, {difference}"));
            }
        }
        for difference in ["other values", "exchanged values"] {
            kinds.push(format!("{scope}: published, {difference}"));
        }
        rules.push("published");
        for table in ["category_benchmark", "shop_benchmark"] {
            kinds.extend(rules.iter().map(|rule| format!("{table}, {scope}: {rule}")));
        }
        kinds.push(format!("gmv_gap, {scope}: published"));
    }
    kinds
}

/// Three shops of a category sell for 10, 20 and 30; the orders of a fourth, for 60, come a night late.
/// The mean is 20, then 30. Who sees both, and knows that there are 4 shops, has the value of the
/// fourth: 4 * 30 - 3 * 20 = 60. Its first row breaks a rule. A fifth shop sells nothing.
fn marketplace(is_complete: bool) -> World {
    let day: NaiveDate = "2026-03-10".parse().unwrap();
    let mut lines = vec!["9|11|21|4|34|2026-03-10T20:00:00Z|1|-7.77|0|0|0|LIVE||".to_owned()];
    for (shop, gmv) in [(1, "10.00"), (2, "20.00"), (3, "30.00"), (4, "60.00")] {
        if shop < 4 || is_complete {
            let key = format!("{shop}|11|21|{shop}|3{shop}");
            lines.push(format!("{key}|2026-03-10T20:00:00Z|1|{gmv}|0|0|0|LIVE||"));
        }
    }
    let shops = (1..=5).map(|shop| format!("{shop}|a shop|Books|"));
    let mut world = World::default();
    for (dataset, text) in [
        ("order_lines", lines),
        ("product_traffic", vec!["1|21|31|LIVE||9|3|2|1".to_owned()]),
        ("shops", shops.collect()),
        (
            "campaigns",
            vec!["7|Spring|2026-03-09|2026-03-12".to_owned()],
        ),
        ("campaign_shops", vec!["7|1|".to_owned()]),
    ] {
        let text: Vec<&str> = text.iter().map(String::as_str).collect();
        world.exports.insert((dataset.to_owned(), day), rows(&text));
    }
    world
}

const MARKETPLACE_JOB: &str = "[benchmark]
min_peers = 3
[quarantine]
max_ratio = 0.5
[[tier]]
name = \"T1\"
min_gmv = \"0\"
";

#[test]
fn a_second_number_of_a_cohort_is_not_told_beside_the_first() {
    let place = Place::new(MARKETPLACE_JOB);
    let run = |day| place.etl(&["run", "--day", day]);
    marketplace(false).write(&place.path("exports"), 1);
    // The 10th stands in for the 11th.
    assert_eq!([run("2026-03-10").code, run("2026-03-11").code], [0, 75]);
    fs::remove_dir_all(place.path("exports")).unwrap();
    marketplace(true).write(&place.path("exports"), 1);
    assert_eq!(run("2026-03-10").code, 0);

    let told = |day: &str, table: &str| {
        let asked = [
            "explain", "--shop", "1", "--metric", "gmv", "--scope", "DAILY",
        ];
        let of = ["--campaign", "0", "--day", day, "--table", table];
        let page = place.etl(&[&asked[..], &of].concat());
        let document = place.etl(&[&asked[..], &of, &["--format", "json"]].concat());
        assert_eq!(page.code, document.code);
        (document.json, page)
    };
    // The shop's own 10 is half of the mean before, and a third of the mean now: -50 %, -66.7 %.
    for (table, now, before) in [
        ("category_benchmark", "30", "20"),
        ("shop_benchmark", "-66.66666666666666", "-50"),
    ] {
        let (document, page) = told("2026-03-10", table);
        assert_eq!(document["value"]["value"], now);
        let [first, second] = [0, 1].map(|at| &document["publications"][at]);
        let values = [first, second].map(|told| (&told["value"], &told["is_withheld"]));
        let expected = [(&Value::Null, &json!(true)), (&json!(now), &json!(false))];
        assert_eq!(values, expected);
        assert_eq!(
            second["causes"][0],
            "shop_daily of 2026-03-10, which it reads"
        );
        assert!(
            page.stdout
                .contains(": not told, for the privacy of other shops\n")
        );
        assert_eq!(page.code, 0, "{}", page.stdout);

        // The 11th has the first mean, and the 10th, which stands in, gives the second.
        let (document, page) = told("2026-03-11", table);
        assert_eq!(document["value"]["value"], before);
        let again = &document["recomputed"];
        let found = [&again["outcome"], &again["value"], &again["is_withheld"]];
        assert_eq!(
            found,
            [&json!("inputs_changed"), &Value::Null, &json!(true)]
        );
        let said = "inputs changed since; with them: not told, for the privacy of other shops\n";
        assert_eq!(
            (page.code, page.stdout.contains(said)),
            (75, true),
            "{}",
            page.stdout
        );
    }
    let day = place.etl(&[
        "explain",
        "--shop",
        "1",
        "--day",
        "2026-03-11",
        "--format",
        "json",
    ]);
    let tables = day.json["tables"].as_array().unwrap();
    let of_cohort = tables
        .iter()
        .find(|table| table["table"] == "category_benchmark");
    let rows = of_cohort.unwrap()["differing"].as_array().unwrap();
    let mut cells = rows.iter().flat_map(|row| row["cells"].as_array().unwrap());
    let mean = cells.find(|cell| cell["column"] == "mean" && cell["published"] == "20");
    let told = ["computed", "is_withheld"].map(|name| &mean.unwrap()[name]);
    assert_eq!((day.code, told), (75, [&Value::Null, &json!(true)]));
}

/// Four shops sell for 10, 20, 30 and 60: the mean is 30. Of the highest three it is 36.67.
#[test]
fn a_mean_with_other_settings_is_not_told_beside_the_published_one() {
    let place = Place::new(MARKETPLACE_JOB);
    marketplace(true).write(&place.path("exports"), 1);
    assert_eq!(place.etl(&["run", "--day", "2026-03-10"]).code, 0);
    // The 10th stands in for the 11th.
    fs::remove_dir_all(place.path("exports/order_lines/dt=2026-03-11")).ok();
    assert_eq!(place.etl(&["run", "--day", "2026-03-11"]).code, 75);
    let job = MARKETPLACE_JOB.replace(
        "min_peers = 3",
        "min_peers = 3\ntop_share = 0.7\nmax_peer_share = 0.9",
    );
    fs::write(place.path("job.toml"), job).unwrap();
    let asked = |day: &str| {
        let question =
            "--shop 1 --metric gmv --scope DAILY --campaign 0 --table category_benchmark";
        let words: Vec<&str> = question.split(' ').collect();
        let command = ["explain", "--format", "json", "--day", day];
        let told = place.etl(&[&command[..], &words].concat());
        let again = &told.json["recomputed"];
        json!([
            told.code,
            told.json["value"]["value"],
            again["value"],
            again["is_withheld"]
        ])
    };
    let withheld = json!([75, "30", null, true]);
    assert_eq!(
        [asked("2026-03-10"), asked("2026-03-11")],
        [withheld.clone(), withheld.clone()]
    );
    // Also where a required export is gone.
    fs::remove_dir_all(place.path("exports/order_lines/dt=2026-03-10")).unwrap();
    assert_eq!(asked("2026-03-10"), withheld);
}

#[test]
fn rows_of_other_shops_that_break_a_rule_are_counted_but_not_shown() {
    let place = Place::new(MARKETPLACE_JOB);
    marketplace(true).write(&place.path("exports"), 1);
    assert_eq!(place.etl(&["run", "--day", "2026-03-10"]).code, 0);
    let asked = [
        "explain",
        "--day",
        "2026-03-10",
        "--metric",
        "gmv",
        "--format",
        "json",
    ];
    let told = |shop: &str, rows: &str| {
        place.etl(&[&asked[..], &["--shop", shop, "--rows", rows]].concat())
    };
    let other = told("1", "3");
    assert!(!other.stdout.contains("-7.77"), "{}", other.stdout);
    let account = &other.json["exports"][0]["account"];
    assert_eq!(account["reasons"], json!({ "NEGATIVE_MONEY": 1 }));
    assert_eq!(account.get("examples"), None);
    // The shop itself sees its row.
    let own = told("4", "3");
    assert!(own.stdout.contains("-7.77"), "{}", own.stdout);
}

#[test]
fn a_shop_that_is_no_peer_sees_the_cohort_of_its_tier() {
    let place = Place::new(MARKETPLACE_JOB);
    marketplace(true).write(&place.path("exports"), 1);
    assert_eq!(place.etl(&["run", "--day", "2026-03-10"]).code, 0);
    let asked = "explain --shop 5 --day 2026-03-10 --metric gmv --table category_benchmark";
    let asked = format!("{asked} --scope DAILY --campaign 0 --format json");
    let told = place.etl(&asked.split(' ').collect::<Vec<_>>());
    assert_eq!(
        (told.code, &told.json["value"]["value"]),
        (0, &json!("30")),
        "{}",
        told.stdout
    );
    assert_eq!(
        told.json["recomputed"]["benchmark"]["cohorts"][0]["peers"],
        "3 to 5"
    );
}
