//! Small random marketplaces: collisions, ties, zeros, nulls, repeated keys, bad rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use campaign_etl::contracts::{datasets, tables};
use chrono::{NaiveDate, TimeDelta};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::oracle::{Expected, Settings, Verdict, Zone, expect};
use crate::world::{Cells, World, show_cents, show_micros};

/// A world with the configuration and the days of its runs.
#[derive(Clone)]
pub struct Case {
    pub world: World,
    pub settings: Settings,
    pub days: Vec<NaiveDate>,
    pub files_per_folder: usize,
}

impl Case {
    /// A case of the exports of each day.
    fn new(
        settings: Settings,
        days: Vec<NaiveDate>,
        of_days: Vec<Exports>,
        files_per_folder: usize,
    ) -> Case {
        let mut world = World::default();
        for (day, exports) in days.iter().zip(of_days) {
            for (dataset, rows) in exports {
                if let Some(rows) = rows {
                    world.exports.insert((dataset.into(), *day), rows);
                }
            }
        }
        Case {
            world,
            settings,
            days,
            files_per_folder,
        }
    }

    /// The oracle's answers.
    pub fn expected(&self) -> Expected {
        expect(
            &self.world,
            &self.settings,
            &self.days,
            self.files_per_folder,
        )
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:?}, {} files per folder\n{}",
            self.days,
            self.files_per_folder,
            self.settings.toml()
        )?;
        for ((dataset, day), rows) in &self.world.exports {
            writeln!(f, "{dataset} {day}")?;
            for row in rows {
                let cells: Vec<&str> = row.iter().map(|c| c.as_deref().unwrap_or("null")).collect();
                writeln!(f, "  {}", cells.join(", "))?;
            }
        }
        Ok(())
    }
}

const SHOPS: i64 = 6;
const HOUR: i64 = 3_600_000_000;

pub fn cases() -> impl Strategy<Value = Case> {
    // Each place with a first day of the case, so that its days lie around a change of clocks.
    let places = [
        ("America/Los_Angeles", "2026-03-06"),
        ("America/Los_Angeles", "2026-10-30"),
        ("America/Santiago", "2026-09-04"),
        ("America/Santiago", "2026-04-03"),
        ("Asia/Kolkata", "2026-02-26"),
    ];
    (select(places.to_vec()), 3..=6_i64, settings(), 1..=3_usize).prop_flat_map(
        |((zone, first), count, settings, files)| {
            let settings = Settings {
                time_zone: zone.into(),
                ..settings
            };
            let first_day: NaiveDate = first.parse().unwrap();
            let days: Vec<NaiveDate> = (0..count).map(|n| first_day + TimeDelta::days(n)).collect();
            let zone = Zone::new(zone);
            let of_days: Vec<_> = days
                .iter()
                .map(|day| exports(first_day, *day, zone.bounds(*day)))
                .collect();
            of_days
                .prop_map(move |of_days| Case::new(settings.clone(), days.clone(), of_days, files))
        },
    )
}

fn settings() -> impl Strategy<Value = Settings> {
    let shares = prop_oneof![3 => Just("1.0"), 1 => select(&["0.5", "0.34", "0.67"])];
    let budgets =
        prop_oneof![3 => Just((10, "0.001")), 1 => select(&[(2, "0.2"), (0, "0.15"), (3, "0.0")])];
    let peer_shares = select(&["0.5", "0.4", "0.9", "1.0"]);
    let required =
        prop_oneof![4 => Just(None), 1 => select(&["contents", "inventory"]).prop_map(Some)];
    let may_be_empty: Vec<&[&str]> = vec![
        &[],
        &[],
        &["order_lines"],
        &["product_traffic", "order_lines"],
    ];
    let may_be_empty = select(may_be_empty);
    (
        1..=3_usize,
        shares,
        peer_shares,
        budgets,
        any::<bool>(),
        required,
        may_be_empty,
    )
        .prop_map(
            |(
                min_peers,
                top_share,
                max_peer_share,
                (max_rows, max_ratio),
                baseline_all,
                extra,
                may_be_empty,
            )| {
                let mut settings = Settings {
                    min_peers,
                    top_share: top_share.into(),
                    max_peer_share: max_peer_share.into(),
                    max_rows,
                    max_ratio: max_ratio.into(),
                    may_be_empty: may_be_empty.iter().map(|name| (*name).to_owned()).collect(),
                    baseline_all,
                    tiers: [("T1", 0), ("T2", 10_00), ("T10", 50_00)]
                        .map(|(name, cents)| (name.into(), cents))
                        .to_vec(),
                    ..Settings::default()
                };
                settings.required.extend(extra.map(String::from));
                settings
            },
        )
}

type Cell = BoxedStrategy<Option<String>>;
type Exports = Vec<(&'static str, Option<Vec<Cells>>)>;

fn exports(first_day: NaiveDate, day: NaiveDate, bounds: (i64, i64)) -> BoxedStrategy<Exports> {
    let all = vec![
        export(
            "order_lines",
            0.98,
            prop_oneof![20 => vec(order_line(bounds), 3..=16), 1 => Just(vec![])].boxed(),
        ),
        export("product_traffic", 0.98, vec(traffic(), 2..=16).boxed()),
        export("contents", 0.85, vec(content(bounds), 0..=8).boxed()),
        export("ad_hours", 0.85, vec(ad_hour(bounds), 0..=8).boxed()),
        export("shops", 0.98, some_of((1..=SHOPS).map(shop).collect())),
        export("inventory", 0.85, vec(stock(), 0..=8).boxed()),
        export(
            "campaigns",
            0.99,
            some_of((1..=3).map(|id| campaign(first_day, day, id)).collect()),
        ),
        export(
            "campaign_shops",
            0.99,
            vec(row(vec![int(1..=3), shop_id(), maybe(money())]), 0..=14).boxed(),
        ),
        export(
            "campaign_products",
            0.85,
            vec(row(vec![int(1..=3), shop_id(), int(1..=3)]), 0..=8).boxed(),
        ),
        export(
            "sub_campaigns",
            0.85,
            some_of((1..=4).map(sub_campaign).collect()),
        ),
    ];
    all.boxed()
}

/// An export that is final with a likelihood; its rows are sometimes spoilt.
fn export(
    dataset: &'static str,
    likelihood: f64,
    rows: BoxedStrategy<Vec<Cells>>,
) -> BoxedStrategy<(&'static str, Option<Vec<Cells>>)> {
    let flaws = prop_oneof![30 => Just(None), 1 => (0..20_usize).prop_map(Some)];
    let spoilt = (rows, vec(flaws, 20)).prop_map(move |(mut rows, flaws)| {
        for (cells, flaw) in rows.iter_mut().zip(flaws) {
            spoil(dataset, cells, flaw);
        }
        rows
    });
    prop::option::weighted(likelihood, spoilt)
        .prop_map(move |rows| (dataset, rows))
        .boxed()
}

/// Breaks a rule of the dataset, or writes a null, even where null is allowed.
fn spoil(dataset: &str, cells: &mut Cells, flaw: Option<usize>) {
    let Some(flaw) = flaw else { return };
    let bad_values: &[(&str, &str)] = match dataset {
        "order_lines" => &[
            ("quantity", "0"),
            ("sub_total", "-0.01"),
            ("shipping_platform_discount", "-1.00"),
            ("channel", ""),
            ("quantity", "-1"),
            ("shipping_fee", "1000000000000.01"),
            ("platform_discount", "9999999999999999.99"),
        ],
        "product_traffic" => &[("clicks", "-1"), ("channel", ""), ("add_to_carts", "-1")],
        "contents" => &[
            ("content_type", "PHOTO"),
            ("account_type", ""),
            ("views", "-1"),
            ("views", "9223372036854775807"),
        ],
        "ad_hours" => &[
            ("spend", "-0.01"),
            ("gross_revenue", "-0.01"),
            ("gross_revenue", "1000000000000.01"),
        ],
        "inventory" => &[
            ("available_quantity", "-1"),
            ("available_quantity", "1000000000001"),
        ],
        "campaigns" => &[("last_day", "2020-01-01")],
        "campaign_shops" => &[("target_gmv", "-0.01"), ("target_gmv", "1000000000000.01")],
        _ => &[],
    };
    match bad_values.get(flaw) {
        Some((column, value)) => {
            cells[datasets::dataset(dataset).unwrap().position(column)] = Some((*value).into());
        }
        None => {
            let at = flaw % cells.len();
            cells[at] = None;
        }
    }
}

/// Most of the rows, sometimes one of them twice.
fn some_of(rows: Vec<BoxedStrategy<Cells>>) -> BoxedStrategy<Vec<Cells>> {
    let each: Vec<_> = rows
        .into_iter()
        .map(|row| prop::option::weighted(0.85, row))
        .collect();
    let repeated = prop_oneof![8 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (each, repeated)
        .prop_map(|(rows, repeated)| gather(rows, repeated))
        .boxed()
}

fn gather(rows: Vec<Option<Cells>>, repeated: Option<prop::sample::Index>) -> Vec<Cells> {
    let mut rows: Vec<Cells> = rows.into_iter().flatten().collect();
    if let (Some(index), false) = (repeated, rows.is_empty()) {
        rows.push(rows[index.index(rows.len())].clone());
    }
    rows
}

fn row(cells: Vec<Cell>) -> BoxedStrategy<Cells> {
    cells.boxed()
}

fn int(range: std::ops::RangeInclusive<i64>) -> Cell {
    range.prop_map(|n| Some(n.to_string())).boxed()
}

fn pick(values: &'static [&'static str]) -> Cell {
    select(values).prop_map(|text| Some(text.into())).boxed()
}

fn maybe(cell: Cell) -> Cell {
    (prop::bool::weighted(0.7), cell)
        .prop_map(|(known, cell)| cell.filter(|_| known))
        .boxed()
}

fn mostly(usual: &str, cell: Cell) -> Cell {
    prop_oneof![8 => Just(Some(usual.to_owned())), 1 => cell].boxed()
}

/// Rarely the largest allowed amount, or its neighbour.
fn money() -> Cell {
    let usual = select(&[0, 1, 99, 250, 500, 1000, 1250, 3333, 5000, 12_000]);
    let huge = select(&[100_000_000_000_000, 99_999_999_999_999]);
    prop_oneof![60 => usual, 1 => huge]
        .prop_map(|cents| Some(show_cents(cents)))
        .boxed()
}

/// Rarely an id that a double cannot hold, its neighbour, or a negative one.
fn id(range: std::ops::RangeInclusive<i64>) -> Cell {
    let odd =
        select(&["9007199254740992", "9007199254740993", "-1"]).prop_map(|id| Some(id.into()));
    prop_oneof![30 => int(range), 1 => odd].boxed()
}

/// A shop of `shops`, or one that is not in it.
fn shop_id() -> Cell {
    int(1..=SHOPS + 1)
}

fn counter() -> Cell {
    prop_oneof![Just(0), 1..=4_i64]
        .prop_map(|n| Some(n.to_string()))
        .boxed()
}

fn channel() -> Cell {
    pick(&["LIVE", "VIDEO", "PRODUCT_CARD", "SHOP_TAB", "live", "é"])
}

/// An instant within the day, often its first or last microsecond; rarely just outside.
fn instant((first, next): (i64, i64)) -> Cell {
    let inside = prop_oneof![Just(first), Just(next - 1), first..next];
    let outside = select(vec![first - 1, next]);
    prop_oneof![25 => inside.boxed(), 1 => outside.boxed()]
        .prop_map(|us| Some(show_micros(us)))
        .boxed()
}

fn order_line(bounds: (i64, i64)) -> BoxedStrategy<Cells> {
    // A SKU is always of the same product, as in a shop.
    let cells = vec![
        id(1..=9),
        int(1..=5),
        Just(None).boxed(),
        shop_id(),
        id(1..=5),
        instant(bounds),
        int(1..=4),
        money(),
        money(),
        money(),
        money(),
        channel(),
        maybe(int(1..=4)),
        maybe(int(1..=5)),
    ];
    row(cells).prop_map(with_product).boxed()
}

fn with_product(mut cells: Cells) -> Cells {
    let sku: i64 = cells[1].as_deref().unwrap().parse().unwrap();
    cells[2] = Some(((sku + 1) / 2).to_string());
    cells
}

fn traffic() -> BoxedStrategy<Cells> {
    let through = vec![
        shop_id(),
        id(1..=4),
        id(1..=5),
        channel(),
        maybe(int(1..=4)),
    ];
    let counters = vec![counter(), counter(), counter(), counter()];
    row([through, counters].concat())
}

fn content((first, next): (i64, i64)) -> BoxedStrategy<Cells> {
    let published = prop_oneof![
        Just(first),
        Just(next - 1),
        Just(first - 1),
        Just(next),
        first..next,
        Just(0)
    ];
    row(vec![
        int(1..=4),
        shop_id(),
        pick(&["VIDEO", "LIVE"]),
        pick(&[
            "OFFICIAL_ACCOUNTS",
            "MARKETING_ACCOUNTS",
            "AFFILIATE_ACCOUNTS",
        ]),
        pick(&["ann", "bob", ""]),
        maybe(pick(&["a title", ""])),
        published.prop_map(|us| Some(show_micros(us))).boxed(),
        maybe(pick(&["0", "1", "500", "3000"])),
        pick(&["true", "false"]),
        pick(&["true", "false"]),
    ])
}

fn ad_hour((first, next): (i64, i64)) -> BoxedStrategy<Cells> {
    let hours = (next - first) / HOUR;
    let hour = prop_oneof![12 => 0..hours, 12 => 0..2_i64, 1 => select(vec![-1, hours])];
    let hour = hour
        .prop_map(move |hour| Some(show_micros(first + hour * HOUR)))
        .boxed();
    let of_shop =
        (1..=SHOPS + 1, prop::bool::weighted(0.8), 1..=SHOPS).prop_map(|(shop, own, other)| {
            let account = 10 + if own { shop } else { other };
            (Some(account.to_string()), Some(shop.to_string()))
        });
    (of_shop, hour, money(), money())
        .prop_map(|((account, shop), hour, spend, revenue)| {
            vec![account, shop, hour, spend, revenue]
        })
        .boxed()
}

fn shop(id: i64) -> BoxedStrategy<Cells> {
    let usual = if id % 3 == 0 { "books" } else { "toys" };
    let category = mostly(usual, maybe(pick(&["books", "toys", "Zoo", ""])));
    let account = mostly(&(10 + id).to_string(), maybe(int(11..=14)));
    row(vec![
        int(id..=id),
        pick(&["a shop", "é"]),
        category,
        account,
    ])
}

fn stock() -> BoxedStrategy<Cells> {
    let cells = vec![
        shop_id(),
        int(1..=6),
        Just(None).boxed(),
        pick(&["0", "0", "1", "2", "3", "5", "10", "20", "40"]),
    ];
    // Columns are shop, product, SKU: the product follows from the SKU as in order lines.
    row(cells)
        .prop_map(|mut cells| {
            let sku: i64 = cells[1].as_deref().unwrap().parse().unwrap();
            cells[2] = Some(sku.to_string());
            cells[1] = Some(((sku + 1) / 2).to_string());
            cells
        })
        .boxed()
}

fn campaign(first_day: NaiveDate, day: NaiveDate, id: i64) -> BoxedStrategy<Cells> {
    let usual = match id {
        1 => (first_day, first_day + TimeDelta::days(3)),
        2 => (
            first_day + TimeDelta::days(1),
            first_day + TimeDelta::days(12),
        ),
        _ => (
            first_day - TimeDelta::days(40),
            first_day + TimeDelta::days(2),
        ),
    };
    let unusual = (-3..=1_i64, -1..=8_i64).prop_map(move |(offset, length)| {
        let first = day + TimeDelta::days(offset);
        (first, first + TimeDelta::days(length))
    });
    prop_oneof![8 => Just(usual), 1 => unusual]
        .prop_map(move |(first, last)| {
            vec![
                id.to_string(),
                "a campaign".into(),
                first.to_string(),
                last.to_string(),
            ]
            .into_iter()
            .map(Some)
            .collect()
        })
        .boxed()
}

fn sub_campaign(id: i64) -> BoxedStrategy<Cells> {
    let campaign = mostly(&((id + 1) / 2).to_string(), int(1..=3));
    row(vec![
        int(id..=id),
        campaign,
        pick(&["opening", "flash sale"]),
    ])
}

/// Marketplaces with many shops of one category, most of them active every day and most of them
/// registered: cohorts are published and suppressed, and those of a campaign, of a day and of the
/// tiers differ by a few shops.
pub fn crowded_cases() -> impl Strategy<Value = Case> {
    let days: Vec<NaiveDate> = ["2026-03-02", "2026-03-03", "2026-03-04"]
        .map(|day| day.parse().unwrap())
        .to_vec();
    let zone = Zone::new("America/Los_Angeles");
    let top_shares = prop_oneof![3 => Just("1.0"), 1 => select(&["0.5", "0.8", "0.93"])];
    let peer_shares = prop_oneof![2 => Just("0.5"), 1 => select(&["0.2", "1.0"])];
    let settings = (2..=12_usize, top_shares, peer_shares).prop_map(
        |(min_peers, top_share, max_peer_share)| Settings {
            min_peers,
            top_share: top_share.into(),
            max_peer_share: max_peer_share.into(),
            tiers: [("T1", 0), ("T2", 20_00), ("T10", 80_00)]
                .map(|(name, cents)| (name.into(), cents))
                .to_vec(),
            ..Settings::default()
        },
    );
    (settings, 12..=36_i64, 1..=3_usize).prop_flat_map(move |(settings, shops, count)| {
        let days = days[..count].to_vec();
        let of_days: Vec<_> = days
            .iter()
            .map(|day| crowded_day(shops, days[0], zone.bounds(*day)))
            .collect();
        of_days.prop_map(move |of_days| Case::new(settings.clone(), days.clone(), of_days, 1))
    })
}

fn crowded_day(shops: i64, first_day: NaiveDate, bounds: (i64, i64)) -> BoxedStrategy<Exports> {
    let noon = show_micros(bounds.0 + 12 * HOUR);
    let each = |likelihood, row: &dyn Fn(i64) -> BoxedStrategy<Cells>| {
        each_likely((1..=shops).map(row).collect(), likelihood)
    };
    let campaigns = [1, 2].map(|id| lasting_campaign(id, first_day)).to_vec();
    let most = each(0.9, &|shop| row(vec![is(1), is(shop), null()]));
    let half = each(0.5, &|shop| row(vec![is(2), is(shop), null()]));
    let registered = (most, half)
        .prop_map(|(most, half)| [most, half].concat())
        .boxed();
    vec![
        always(
            "order_lines",
            each(0.85, &|shop| crowded_order_line(shop, &noon)),
        ),
        always("product_traffic", each(0.85, &crowded_traffic)),
        always("shops", each(0.97, &crowded_shop)),
        always("campaigns", Just(campaigns).boxed()),
        always("campaign_shops", registered),
        export(
            "ad_hours",
            0.8,
            each(0.5, &|shop| crowded_ad_hour(shop, &noon)),
        ),
        export(
            "contents",
            0.8,
            each(0.3, &|shop| crowded_content(shop, &noon)),
        ),
    ]
    .boxed()
}

/// Each of the rows with a likelihood.
fn each_likely(rows: Vec<BoxedStrategy<Cells>>, likelihood: f64) -> BoxedStrategy<Vec<Cells>> {
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| prop::option::weighted(likelihood, row))
        .collect();
    rows.prop_map(|rows| rows.into_iter().flatten().collect())
        .boxed()
}

/// An export that is always final, without spoilt rows.
fn always(
    dataset: &'static str,
    rows: BoxedStrategy<Vec<Cells>>,
) -> BoxedStrategy<(&'static str, Option<Vec<Cells>>)> {
    rows.prop_map(move |rows| (dataset, Some(rows))).boxed()
}

fn is(value: i64) -> Cell {
    int(value..=value)
}

fn null() -> Cell {
    Just(None).boxed()
}

fn text(value: &str) -> Cell {
    Just(Some(value.to_owned())).boxed()
}

fn crowded_amount() -> Cell {
    select(&[500, 1000, 1000, 1250, 3333, 5000])
        .prop_map(|cents| Some(show_cents(cents)))
        .boxed()
}

fn crowded_order_line(shop: i64, noon: &str) -> BoxedStrategy<Cells> {
    let ids = vec![
        is(shop),
        is(1),
        is(1),
        is(shop),
        int(1..=9),
        text(noon),
        int(1..=3),
    ];
    let amounts = vec![crowded_amount(), money(), money(), money()];
    row([ids, amounts, vec![channel(), null(), null()]].concat())
}

fn crowded_traffic(shop: i64) -> BoxedStrategy<Cells> {
    let through = vec![is(shop), is(1), int(1..=9), channel(), null()];
    row([through, vec![counter(), counter(), counter(), counter()]].concat())
}

fn crowded_shop(shop: i64) -> BoxedStrategy<Cells> {
    let category = prop_oneof![20 => text("toys"), 2 => text("books"), 1 => null()].boxed();
    row(vec![is(shop), text("a shop"), category, is(shop)])
}

fn crowded_ad_hour(shop: i64, noon: &str) -> BoxedStrategy<Cells> {
    row(vec![is(shop), is(shop), text(noon), money(), money()])
}

fn crowded_content(shop: i64, noon: &str) -> BoxedStrategy<Cells> {
    let kind = pick(&["VIDEO", "LIVE"]);
    let account = pick(&["OFFICIAL_ACCOUNTS", "AFFILIATE_ACCOUNTS"]);
    let by = vec![
        is(shop),
        is(shop),
        kind,
        account,
        text("ann"),
        null(),
        text(noon),
    ];
    row([by, vec![null(), text("true"), text("false")]].concat())
}

fn lasting_campaign(id: i64, first_day: NaiveDate) -> Cells {
    let last_day = first_day + TimeDelta::days(9);
    let cells = [
        id.to_string(),
        "a campaign".into(),
        first_day.to_string(),
        last_day.to_string(),
    ];
    cells.map(Some).to_vec()
}

/// A cell of a table's row by the name of its column.
pub fn cell<'a>(table: &str, row: &'a Cells, column: &str) -> Option<&'a str> {
    let columns = tables::table(table).unwrap().columns;
    let position = columns.iter().position(|c| c.name == column);
    row[position.unwrap_or_else(|| panic!("{table} has no column {column}"))].as_deref()
}

/// The same random worlds in every run.
fn fixed(cases: impl Strategy<Value = Case>, count: usize) -> impl Iterator<Item = Case> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(move |_| cases.new_tree(&mut runner).unwrap().current())
}

/// A property of published cohorts shows nothing where none is published, and one of suppressed
/// cohorts nothing where none is suppressed.
#[test]
fn crowded_worlds_publish_and_suppress_for_every_reason() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for case in fixed(crowded_cases(), 40) {
        for ((table, _), rows) in &case.expected().tables {
            for label in rows.iter().filter_map(|row| label(table, row)) {
                *seen.entry(label).or_default() += 1;
            }
        }
    }
    let mut least = BTreeMap::from([
        ("CAMPAIGN_PERIOD, highest tier: DIFFERENCING".to_owned(), 20),
        ("effects: known".to_owned(), 100),
        ("effects: null".to_owned(), 100),
    ]);
    for scope in ["DAILY", "CAMPAIGN_PERIOD"] {
        for reason in [
            "published",
            "TOO_FEW_PEERS",
            "DIFFERENCING",
            "DOMINANT_PEER",
        ] {
            least.insert(format!("{scope}: {reason}"), 50);
        }
    }
    for (label, least) in least {
        let found = seen.get(&label).copied().unwrap_or(0);
        assert!(found >= least, "{label}: {found}, of {seen:?}");
    }
    assert!(
        !seen.contains_key("DAILY, highest tier: DIFFERENCING"),
        "{seen:?}"
    );
}

/// Scope and reason of a cohort, or whether the effects of a gap are known.
fn label(table: &str, row: &Cells) -> Option<String> {
    match table {
        "category_benchmark" => {
            let scope = cell(table, row, "scope").unwrap();
            let reason = cell(table, row, "suppression_reason").unwrap_or("published");
            // Nothing is above the highest tier, so only the cohort of the day can be too near.
            let is_highest = cell(table, row, "tier") == Some("T10");
            let tier = if is_highest { ", highest tier" } else { "" };
            Some(format!("{scope}{tier}: {reason}"))
        }
        "gmv_gap" => {
            let is_known = cell(table, row, "from_ctr").is_some();
            Some(format!(
                "effects: {}",
                if is_known { "known" } else { "null" }
            ))
        }
        _ => None,
    }
}

/// The values that random worlds reached, by their kind.
#[derive(Default)]
struct Seen(BTreeMap<&'static str, BTreeSet<String>>);

impl Seen {
    fn note(&mut self, kind: &'static str, value: &str) {
        self.0.entry(kind).or_default().insert(value.to_owned());
    }

    fn note_expected(&mut self, expected: &Expected) {
        for (day, verdict) in &expected.verdicts {
            let is_fallback = expected.benchmark_days.get(day).is_some_and(|b| b != day);
            self.note("verdict", verdict_name(verdict, is_fallback));
        }
        for reason in expected.accounting.values().flat_map(|a| a.reasons.keys()) {
            self.note("reason", reason);
        }
        for ((table, _), rows) in &expected.tables {
            self.note_values(table, rows);
            self.note(
                if rows.is_empty() {
                    "empty"
                } else {
                    "not empty"
                },
                table,
            );
        }
    }

    fn note_values(&mut self, table: &str, rows: &[Cells]) {
        let columns = tables::table(table).unwrap().columns;
        for column in [
            "suppression_reason",
            "stock_status",
            "tier",
            "is_campaign_product",
            "benchmark_tier",
        ] {
            if columns.iter().any(|c| c.name == column) {
                for row in rows {
                    self.note(column, cell(table, row, column).unwrap_or("null"));
                }
            }
        }
    }

    fn list(&self, kind: &str) -> String {
        self.0[kind]
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn verdict_name(verdict: &Verdict, is_fallback: bool) -> &'static str {
    match (verdict, is_fallback) {
        (Verdict::Published, _) => "published",
        (Verdict::NotFinal(_), true) => "not final, fallback",
        (Verdict::NotFinal(_), false) => "not final",
        (Verdict::Blocked(_), true) => "blocked, fallback",
        (Verdict::Blocked(_), false) => "blocked",
    }
}

/// A property shows nothing of values that no random world reaches.
#[test]
fn random_worlds_reach_every_verdict_reason_and_status() {
    let mut seen = Seen::default();
    for case in fixed(cases(), 150) {
        seen.note_expected(&case.expected());
    }
    assert_eq!(
        seen.list("verdict"),
        "blocked, blocked, fallback, not final, not final, fallback, published"
    );
    assert_eq!(
        seen.list("reason"),
        "BAD_CHANNEL, BAD_ENUM, BAD_QUANTITY, BAD_RANGE, DUPLICATE_KEY, NEGATIVE_COUNT, \
         NEGATIVE_MONEY, NULL_VALUE, OUTSIDE_DAY, TOO_LARGE"
    );
    assert_eq!(
        seen.list("suppression_reason"),
        "DIFFERENCING, DOMINANT_PEER, TOO_FEW_PEERS, null"
    );
    assert_eq!(
        seen.list("stock_status"),
        "AT_RISK, NO_RECENT_SALES, OUT_OF_STOCK, SUFFICIENT"
    );
    assert_eq!(seen.list("tier"), "T1, T10, T2");
    assert_eq!(seen.list("benchmark_tier"), "T1, T10, T2, null");
    assert_eq!(seen.list("is_campaign_product"), "false, null, true");
    assert_eq!(seen.0["not empty"].len(), tables::all().count());
}
