//! The used, quarantined and out-of-scope rows of a day's exports, and whether the day is blocked.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::calendar::Zone;
use super::rows::Row;
use super::{Settings, Verdict, decimal};
use crate::world::{Cells, World, file_ranges};

const DATASETS: [&str; 10] = [
    "order_lines",
    "product_traffic",
    "contents",
    "ad_hours",
    "shops",
    "inventory",
    "campaigns",
    "campaign_shops",
    "campaign_products",
    "sub_campaigns",
];

/// The account of the rows of one export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    pub read: i128,
    pub used: i128,
    pub quarantined: i128,
    pub out_of_scope: i128,
    pub reasons: BTreeMap<String, i128>,
}

pub struct Export {
    pub used: Vec<Cells>,
    /// reason, column, value, file, row number, key
    pub quarantined: Vec<Cells>,
    pub accounting: Accounting,
    pub over_budget: bool,
}

/// The exports of one day that are final.
pub struct DayExports {
    pub day: NaiveDate,
    /// The day's first microsecond and the first one after it.
    pub bounds: (i64, i64),
    pub exports: BTreeMap<&'static str, Export>,
}

impl DayExports {
    /// The used rows; `None` where the export is not final or over its budget.
    pub fn rows(&self, dataset: &'static str) -> Option<Vec<Row<'_>>> {
        let export = self.exports.get(dataset).filter(|e| !e.over_budget)?;
        Some(
            export
                .used
                .iter()
                .map(|cells| Row::new(dataset, cells))
                .collect(),
        )
    }

    pub fn required_rows(&self, dataset: &'static str) -> Vec<Row<'_>> {
        self.rows(dataset)
            .unwrap_or_else(|| panic!("{dataset} of {} is not there", self.day))
    }

    /// (campaign, shop, product) of the campaigns of the day.
    pub fn campaign_products(&self) -> Option<BTreeSet<(i64, i64, i64)>> {
        let rows = self.rows("campaign_products")?;
        Some(
            rows.iter()
                .map(|r| (r.int("campaign_id"), r.int("shop_id"), r.int("product_id")))
                .collect(),
        )
    }
}

pub fn read_day(
    world: &World,
    settings: &Settings,
    zone: &Zone,
    day: NaiveDate,
    files: usize,
) -> DayExports {
    let bounds = zone.bounds(day);
    let mut exports = BTreeMap::new();
    for dataset in DATASETS {
        if let Some(rows) = world.exports.get(&(dataset.to_owned(), day)) {
            exports.insert(dataset, check(dataset, rows, bounds, settings, files));
        }
    }
    leave_out_of_scope(day, &mut exports);
    DayExports {
        day,
        bounds,
        exports,
    }
}

fn check(
    dataset: &'static str,
    rows: &[Cells],
    bounds: (i64, i64),
    settings: &Settings,
    files: usize,
) -> Export {
    let mut seen = BTreeSet::new();
    let mut used = Vec::new();
    let mut quarantined = Vec::new();
    let mut reasons = BTreeMap::new();
    for (file, range) in file_ranges(rows.len(), files) {
        for (row_number, cells) in rows[range].iter().enumerate() {
            let row = Row::new(dataset, cells);
            let key = key_columns(dataset)
                .iter()
                .map(|c| row.cell(c).unwrap_or(""))
                .collect::<Vec<_>>()
                .join("|");
            let key = (!key_columns(dataset).is_empty()).then_some(key);
            let mut breach =
                broken_rule(dataset, row, bounds).map(|(reason, column)| (reason, Some(column)));
            if breach.is_none() && key.is_some() && !seen.insert(key.clone()) {
                breach = Some(("DUPLICATE_KEY", None));
            }
            match breach {
                None => used.push(cells.clone()),
                Some((reason, column)) => {
                    *reasons.entry(reason.to_owned()).or_insert(0) += 1;
                    let value = column.and_then(|column| row.cell(column)).map(String::from);
                    let (reason, column) = (Some(reason.to_owned()), column.map(String::from));
                    let place = [Some(file.clone()), Some(row_number.to_string())];
                    quarantined
                        .push([vec![reason, column, value], place.to_vec(), vec![key]].concat());
                }
            }
        }
    }
    let read = rows.len() as i128;
    let bad = quarantined.len() as i128;
    let max_ratio = decimal(&settings.max_ratio);
    let over_allowance = bad > settings.max_rows && bad * max_ratio.bottom > max_ratio.top * read;
    let over_budget = over_allowance || 2 * bad > read || (read > 0 && bad == read);
    let accounting = Accounting {
        read,
        used: used.len() as i128,
        quarantined: bad,
        out_of_scope: 0,
        reasons,
    };
    Export {
        used,
        quarantined,
        accounting,
        over_budget,
    }
}

fn key_columns(dataset: &str) -> &'static [&'static str] {
    match dataset {
        "order_lines" => &["order_id", "sku_id"],
        "product_traffic" => &[],
        "contents" => &["shop_id", "content_id"],
        "ad_hours" => &["ad_account_id", "shop_id", "hour_start"],
        "shops" => &["shop_id"],
        "inventory" => &["shop_id", "product_id", "sku_id"],
        "campaigns" => &["campaign_id"],
        "campaign_shops" => &["campaign_id", "shop_id"],
        "campaign_products" => &["campaign_id", "shop_id", "product_id"],
        "sub_campaigns" => &["sub_campaign_id"],
        _ => panic!("no dataset {dataset}"),
    }
}

fn never_null(dataset: &str) -> &'static [&'static str] {
    match dataset {
        "order_lines" => &[
            "order_id",
            "sku_id",
            "product_id",
            "shop_id",
            "buyer_id",
            "paid_at",
            "quantity",
            "sub_total",
            "shipping_fee",
            "platform_discount",
            "shipping_platform_discount",
            "channel",
        ],
        "product_traffic" => &[
            "shop_id",
            "product_id",
            "user_id",
            "channel",
            "impressions",
            "clicks",
            "page_views",
            "add_to_carts",
        ],
        "contents" => &[
            "content_id",
            "shop_id",
            "content_type",
            "account_type",
            "creator_handle",
            "published_at",
            "has_violation",
            "is_key_live",
        ],
        "ad_hours" => &[
            "ad_account_id",
            "shop_id",
            "hour_start",
            "spend",
            "gross_revenue",
        ],
        "shops" => &["shop_id", "shop_name"],
        "inventory" => &["shop_id", "product_id", "sku_id", "available_quantity"],
        "campaigns" => &["campaign_id", "campaign_name", "first_day", "last_day"],
        "campaign_shops" => &["campaign_id", "shop_id"],
        "campaign_products" => &["campaign_id", "shop_id", "product_id"],
        "sub_campaigns" => &["sub_campaign_id", "campaign_id", "sub_campaign_name"],
        _ => panic!("no dataset {dataset}"),
    }
}

/// Columns whose values may not be above 10^12.
fn amounts(dataset: &str) -> &'static [&'static str] {
    match dataset {
        "order_lines" => &[
            "sub_total",
            "shipping_fee",
            "platform_discount",
            "shipping_platform_discount",
        ],
        "contents" => &["views"],
        "ad_hours" => &["spend", "gross_revenue"],
        "inventory" => &["available_quantity"],
        "campaign_shops" => &["target_gmv"],
        _ => &[],
    }
}

fn is_too_large(row: Row, column: &str) -> bool {
    const MOST: i128 = 1_000_000_000_000;
    match row.cell(column) {
        None => false,
        Some(_) if ["views", "available_quantity"].contains(&column) => row.count(column) > MOST,
        Some(_) => row.cents(column) > MOST * 100,
    }
}

/// The first rule that a row breaks and the first column that breaks it, except for the repeated
/// key.
fn broken_rule(
    dataset: &str,
    row: Row,
    (first, next): (i64, i64),
) -> Option<(&'static str, &'static str)> {
    if let Some(column) = never_null(dataset).iter().find(|c| row.cell(c).is_none()) {
        return Some(("NULL_VALUE", column));
    }
    if let Some(column) = amounts(dataset).iter().find(|c| is_too_large(row, c)) {
        return Some(("TOO_LARGE", column));
    }
    let outside = |column: &str| !(first..next).contains(&row.micros(column));
    let negative_money = |c: &str| row.cell(c).is_some_and(|_| row.cents(c) < 0);
    let mut broken: Vec<(&'static str, &'static str)> = Vec::new();
    let mut check =
        |is_broken: bool, reason, column| broken.extend(is_broken.then_some((reason, column)));
    match dataset {
        "order_lines" => {
            check(row.int("quantity") < 1, "BAD_QUANTITY", "quantity");
            for column in [
                "sub_total",
                "shipping_fee",
                "platform_discount",
                "shipping_platform_discount",
            ] {
                check(negative_money(column), "NEGATIVE_MONEY", column);
            }
            check(outside("paid_at"), "OUTSIDE_DAY", "paid_at");
            check(row.text("channel").is_empty(), "BAD_CHANNEL", "channel");
        }
        "product_traffic" => {
            for column in ["impressions", "clicks", "page_views", "add_to_carts"] {
                check(row.int(column) < 0, "NEGATIVE_COUNT", column);
            }
            check(row.text("channel").is_empty(), "BAD_CHANNEL", "channel");
        }
        "contents" => {
            let accounts = [
                "OFFICIAL_ACCOUNTS",
                "MARKETING_ACCOUNTS",
                "AFFILIATE_ACCOUNTS",
            ];
            check(
                !["VIDEO", "LIVE"].contains(&row.text("content_type")),
                "BAD_ENUM",
                "content_type",
            );
            check(
                !accounts.contains(&row.text("account_type")),
                "BAD_ENUM",
                "account_type",
            );
            check(
                row.int_or_null("views").is_some_and(|v| v < 0),
                "NEGATIVE_COUNT",
                "views",
            );
        }
        "ad_hours" => {
            for column in ["spend", "gross_revenue"] {
                check(negative_money(column), "NEGATIVE_MONEY", column);
            }
            check(outside("hour_start"), "OUTSIDE_DAY", "hour_start");
        }
        "inventory" => check(
            row.int("available_quantity") < 0,
            "NEGATIVE_COUNT",
            "available_quantity",
        ),
        "campaigns" => check(
            row.day("last_day") < row.day("first_day"),
            "BAD_RANGE",
            "last_day",
        ),
        "campaign_shops" => check(negative_money("target_gmv"), "NEGATIVE_MONEY", "target_gmv"),
        _ => {}
    }
    broken.first().copied()
}

/// Removes the sound rows that are out of scope.
fn leave_out_of_scope(day: NaiveDate, exports: &mut BTreeMap<&'static str, Export>) {
    keep(exports, "campaigns", |row| {
        row.day("first_day") <= day && day <= row.day("last_day")
    });
    let mut campaigns = BTreeSet::new();
    if let Some(export) = exports.get("campaigns") {
        campaigns.extend(
            export
                .used
                .iter()
                .map(|cells| Row::new("campaigns", cells).int("campaign_id")),
        );
    }
    for dataset in ["campaign_shops", "campaign_products"] {
        keep(exports, dataset, |row| {
            campaigns.contains(&row.int("campaign_id"))
        });
    }
    let mut primary = BTreeMap::new();
    if let Some(export) = exports.get("shops") {
        for cells in &export.used {
            let shop = Row::new("shops", cells);
            primary.insert(
                shop.int("shop_id"),
                shop.int_or_null("primary_ad_account_id"),
            );
        }
    }
    keep(exports, "ad_hours", |row| {
        primary
            .get(&row.int("shop_id"))
            .is_some_and(|account| *account == Some(row.int("ad_account_id")))
    });
}

fn keep(
    exports: &mut BTreeMap<&'static str, Export>,
    dataset: &'static str,
    in_scope: impl Fn(Row) -> bool,
) {
    if let Some(export) = exports.get_mut(dataset) {
        export
            .used
            .retain(|cells| in_scope(Row::new(dataset, cells)));
        export.accounting.out_of_scope = export.accounting.used - export.used.len() as i128;
        export.accounting.used = export.used.len() as i128;
    }
}

pub fn verdict(day: &DayExports, settings: &Settings) -> Verdict {
    let mut required: Vec<&str> = settings.required.iter().map(String::as_str).collect();
    required.sort();
    let missing: Vec<String> = required
        .iter()
        .filter(|r| !day.exports.contains_key(*r))
        .map(|r| r.to_string())
        .collect();
    if !missing.is_empty() {
        return Verdict::NotFinal(missing);
    }
    let blocks = |dataset: &str| {
        let export = &day.exports[dataset];
        let counts = &export.accounting;
        let must_have_rows = ["order_lines", "product_traffic", "shops"].contains(&dataset);
        let may_be_empty = settings.may_be_empty.iter().any(|name| name == dataset);
        export.over_budget || (must_have_rows && !may_be_empty && counts.used == 0)
    };
    let blocking: Vec<String> = required
        .iter()
        .filter(|r| blocks(r))
        .map(|r| r.to_string())
        .collect();
    if blocking.is_empty() {
        Verdict::Published
    } else {
        Verdict::Blocked(blocking)
    }
}
