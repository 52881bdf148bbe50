//! The plain-loop oracle: every result of a run, calculated from SPEC.md alone, slowly and simply.
//!
//! It shares nothing with the program but the names and order of columns. Money is whole cents,
//! sums and comparisons are on whole numbers, and a double is made by one division at the very end.

mod benchmarks;
mod calendar;
mod numbers;
mod quarantine;
mod rollups;
mod rows;
mod windows;

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::world::{Cells, World, show_cents};
pub use benchmarks::{Peers, RATIOS};
pub use calendar::Zone;
use numbers::Decimal;
pub use quarantine::Accounting;
use quarantine::{DayExports, Export};
use rollups::Rollups;
use rows::Tables;
pub use rows::compare_keys;
use windows::Windows;

/// The settings that results depend on.
#[derive(Clone, Debug)]
pub struct Settings {
    pub time_zone: String,
    pub required: Vec<String>,
    pub may_be_empty: Vec<String>,
    pub max_rows: i128,
    pub max_ratio: String,
    pub baseline_all: bool,
    pub min_peers: usize,
    pub top_share: String,
    pub max_peer_share: String,
    /// Name and least gmv in cents, lowest first.
    pub tiers: Vec<(String, i128)>,
}

impl Default for Settings {
    fn default() -> Self {
        let tiers = [
            ("T1", 0),
            ("T2", 1_000),
            ("T3", 6_000),
            ("T4", 30_000),
            ("T5", 150_000),
            ("T6", 750_000),
        ];
        Settings {
            time_zone: "America/Los_Angeles".into(),
            required: ALWAYS_REQUIRED.map(String::from).to_vec(),
            may_be_empty: vec![],
            max_rows: 10,
            max_ratio: "0.001".into(),
            baseline_all: false,
            min_peers: 10,
            top_share: "1.0".into(),
            max_peer_share: "0.5".into(),
            tiers: tiers
                .map(|(name, dollars)| (name.into(), dollars * 100))
                .to_vec(),
        }
    }
}

pub const ALWAYS_REQUIRED: [&str; 5] = [
    "order_lines",
    "product_traffic",
    "shops",
    "campaigns",
    "campaign_shops",
];

impl Settings {
    /// The job file with these settings.
    pub fn toml(&self) -> String {
        let mut out = format!(
            "time_zone = {:?}\nrequired = {:?}\nmay_be_empty = {:?}\n\n[quarantine]\nmax_rows = {}\nmax_ratio = {}\n\n[baseline]\nshops = \
             {:?}\n\n[benchmark]\nmin_peers = {}\ntop_share = {}\nmax_peer_share = {}\n",
            self.time_zone,
            self.required,
            self.may_be_empty,
            self.max_rows,
            self.max_ratio,
            if self.baseline_all { "all" } else { "campaign" },
            self.min_peers,
            self.top_share,
            self.max_peer_share,
        );
        for (name, cents) in &self.tiers {
            out.push_str(&format!(
                "\n[[tier]]\nname = {name:?}\nmin_gmv = {:?}\n",
                show_cents(*cents)
            ));
        }
        out
    }
}

/// The outcome of a run for a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Published,
    /// The required exports that are not final, sorted.
    NotFinal(Vec<String>),
    /// The required exports that block the day, sorted.
    Blocked(Vec<String>),
}

/// All results of runs for some days, one after the other.
#[derive(Debug, Default)]
pub struct Expected {
    /// The rows of each written table and day, in key order.
    pub tables: BTreeMap<(String, NaiveDate), Vec<Cells>>,
    /// reason, column, value, file, row number, key; in order of file and row; of final days, where
    /// there are any.
    pub quarantine: BTreeMap<(String, NaiveDate), Vec<Cells>>,
    /// The accounts of the rows of each export of a final day; an export whose scope depends on a
    /// broken one has none.
    pub accounting: BTreeMap<(String, NaiveDate), Accounting>,
    pub verdicts: BTreeMap<NaiveDate, Verdict>,
    /// The benchmark day of each day that has one.
    pub benchmark_days: BTreeMap<NaiveDate, NaiveDate>,
    /// The peers of each cohort, published or not.
    pub peers: Peers,
    /// The used rows of each export of each published day.
    pub used: BTreeMap<(String, NaiveDate), Vec<Cells>>,
}

/// One published day.
struct Published {
    exports: DayExports,
    rollups: Rollups,
    windows: Windows,
}

/// The results of a run for each of `days`, which hold every day of the world, oldest first.
pub fn expect(
    world: &World,
    settings: &Settings,
    days: &[NaiveDate],
    files_per_folder: usize,
) -> Expected {
    let zone = Zone::new(&settings.time_zone);
    let mut expected = Expected::default();
    let mut published: BTreeMap<NaiveDate, Published> = BTreeMap::new();
    let mut tables = Tables::default();
    for &day in days {
        let exports = quarantine::read_day(world, settings, &zone, day, files_per_folder);
        let verdict = quarantine::verdict(&exports, settings);
        expected.verdicts.insert(day, verdict.clone());
        if !matches!(verdict, Verdict::NotFinal(_)) {
            for (dataset, export) in &exports.exports {
                record(&mut expected, dataset, day, export, &exports);
            }
        }
        let reason = match verdict {
            Verdict::Published => {
                for (dataset, export) in exports
                    .exports
                    .iter()
                    .filter(|(_, export)| !export.over_budget)
                {
                    expected
                        .used
                        .insert(((*dataset).to_owned(), day), export.used.clone());
                }
                let rollups = rollups::compute(&exports, &mut tables);
                let windows =
                    windows::compute(&exports, &rollups, &published, settings, &mut tables);
                published.insert(
                    day,
                    Published {
                        exports,
                        rollups,
                        windows,
                    },
                );
                None
            }
            Verdict::NotFinal(names) | Verdict::Blocked(names) => Some(names.join(", ")),
        };
        let benchmark_day = if reason.is_none() {
            day
        } else {
            day.pred_opt().unwrap()
        };
        if let Some(source) = published.get(&benchmark_day) {
            expected.benchmark_days.insert(day, benchmark_day);
            benchmarks::compute(
                day,
                source,
                reason.as_deref(),
                settings,
                &mut tables,
                &mut expected.peers,
            );
        }
    }
    expected.tables = tables.sorted();
    expected
}

fn record(
    expected: &mut Expected,
    dataset: &str,
    day: NaiveDate,
    export: &Export,
    exports: &DayExports,
) {
    let at = (dataset.to_owned(), day);
    if !export.quarantined.is_empty() {
        expected
            .quarantine
            .insert(at.clone(), export.quarantined.clone());
    }
    let decides_scope = match dataset {
        "ad_hours" => Some("shops"),
        "campaign_shops" | "campaign_products" => Some("campaigns"),
        _ => None,
    };
    if decides_scope.is_none_or(|name| exports.rows(name).is_some()) {
        expected.accounting.insert(at, export.accounting.clone());
    }
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text)
}

/// Two shops on the day on which clocks change, with the answers worked out by hand.
#[test]
fn a_small_day_gives_the_values_worked_out_by_hand() {
    let cells = |line: &str| -> Cells {
        line.split(", ")
            .map(|cell| (cell != "null").then(|| cell.to_owned()))
            .collect()
    };
    let day: NaiveDate = "2026-03-08".parse().unwrap();
    let mut world = World::default();
    let mut export = |dataset: &str, lines: &[&str]| {
        world.exports.insert(
            (dataset.into(), day),
            lines.iter().map(|l| cells(l)).collect(),
        );
    };
    export(
        "order_lines",
        &[
            // Three of A and two of B in one order: 1 order, 2 SKU orders, 5 items.
            "1, 11, 101, 7, 501, 2026-03-08T08:00:00Z, 3, 30.00, 1.50, 2.00, 0.25, LIVE, null, null",
            "1, 12, 101, 7, 501, 2026-03-08T08:00:00Z, 2, 8.00, 0.00, 1.00, 0.00, SHOP_TAB, null, null",
            // The key of the first row again; then the first instant of the next day.
            "1, 11, 101, 7, 501, 2026-03-08T08:00:00Z, 3, 30.00, 1.50, 2.00, 0.25, LIVE, null, null",
            "2, 11, 101, 7, 502, 2026-03-09T07:00:00Z, 1, 10.00, 0.00, 0.00, 0.00, LIVE, null, null",
        ],
    );
    // User 1 sees two products, views one page and puts another product into the cart; user 2 only
    // puts one there.
    export(
        "product_traffic",
        &[
            "7, 101, 1, LIVE, null, 3, 1, 2, 0",
            "7, 102, 1, SHOP_TAB, null, 1, 1, 0, 1",
            "7, 102, 2, SHOP_TAB, null, 4, 2, 0, 1",
            "7, 102, 3, SHOP_TAB, null, 0, -1, 0, 0",
        ],
    );
    export(
        "shops",
        &["7, a shop, toys, null", "8, another, null, null"],
    );
    export(
        "campaigns",
        &[
            "1, spring, 2026-03-07, 2026-03-08",
            "2, over, 2026-03-01, 2026-03-07",
        ],
    );
    export("campaign_shops", &["1, 7, 79.00", "2, 7, null"]);
    let expected = expect(&world, &Settings::default(), &[day], 2);
    let table = |name: &str| &expected.tables[&(name.to_owned(), day)];
    assert_eq!(
        table("shop_daily"),
        &[
            cells(
                "7, toys, 39.50, 31.50, 0.00, 8.00, 1, 2, 5, 1, 39.5, 3.00, 0.25, 3.25, 8, 4, 2, 2, 2, 2, 1, 1, 0.5, \
                 0.5, 1.0, null, null, null, null, null, null, null"
            ),
            cells(
                "8, null, 0.00, 0.00, 0.00, 0.00, 0, 0, 0, 0, null, 0.00, 0.00, 0.00, 0, 0, 0, 0, 0, 0, 0, 0, null, \
                 null, null, null, null, null, null, null, null, null"
            ),
        ]
    );
    let period = &table("shop_period")[0];
    assert_eq!(
        period[..9],
        cells("1, 7, 2026-03-07, 2026-03-08, 1, 1, 0, 0, toys")
    );
    assert_eq!(period[period.len() - 2..], cells("79.00, 0.5"));
    assert_eq!(table("shop_tier")[0], cells("7, toys, 39.50, 1, T1"));
    assert_eq!(
        expected.quarantine[&("order_lines".to_owned(), day)],
        [
            cells("DUPLICATE_KEY, null, null, part-00001.parquet, 0, 1|11"),
            cells("OUTSIDE_DAY, paid_at, 2026-03-09T07:00:00Z, part-00001.parquet, 1, 2|11"),
        ]
    );
    let scoped = &expected.accounting[&("campaigns".to_owned(), day)];
    assert_eq!(
        (
            scoped.read,
            scoped.used,
            scoped.quarantined,
            scoped.out_of_scope
        ),
        (2, 1, 0, 1)
    );
    assert!(
        !expected
            .tables
            .contains_key(&("stock_status".to_owned(), day))
    );
}
