//! The rows of one shop in the exports of a day: counted one by one, and kept where they are few.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anyhow::Result;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use super::sums::Sums;
use crate::config::Config;
use crate::contracts::arrow::show_cents;
use crate::contracts::datasets::DATASETS;
use crate::contracts::{Dataset, Kind};
use crate::days::calendar::CivilDay;
use crate::days::readiness::DayExports;
use crate::exports::shop_rows::{ShopRow, read_shop};
use crate::resources::Resources;
use crate::store::Store;

/// Order lines, counted.
#[derive(Clone, Debug, Default)]
struct Sales {
    gmv: i128,
    gmv_live: i128,
    gmv_video: i128,
    gmv_product_card: i128,
    sku_orders: i128,
    items_sold: i128,
    contribution_product: i128,
    contribution_shipping: i128,
    orders: HashSet<i64>,
    buyers: HashSet<i64>,
}

/// Rows of traffic, counted.
#[derive(Clone, Debug, Default)]
struct Visits {
    impressions: i128,
    clicks: i128,
    page_views: i128,
    add_to_carts: i128,
    /// Users with any impression; click; page view; add-to-cart.
    reached: HashSet<i64>,
    clicked: HashSet<i64>,
    viewed: HashSet<i64>,
    added: HashSet<i64>,
}

/// What was sold and seen under one key.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity {
    sales: Sales,
    visits: Visits,
}

impl Activity {
    fn sell(&mut self, line: &ShopRow) {
        let sales = &mut self.sales;
        let gmv = line.cents("sub_total") + line.cents("shipping_fee");
        sales.gmv += gmv;
        match line.text("channel") {
            "LIVE" => sales.gmv_live += gmv,
            "VIDEO" => sales.gmv_video += gmv,
            _ => sales.gmv_product_card += gmv,
        }
        sales.sku_orders += 1;
        sales.items_sold += i128::from(line.int("quantity"));
        sales.contribution_product += line.cents("platform_discount");
        sales.contribution_shipping += line.cents("shipping_platform_discount");
        sales.orders.insert(line.int("order_id"));
        sales.buyers.insert(line.int("buyer_id"));
    }

    fn visit(&mut self, row: &ShopRow) {
        let (visits, user) = (&mut self.visits, row.int("user_id"));
        let counters = [
            ("impressions", &mut visits.impressions, &mut visits.reached),
            ("clicks", &mut visits.clicks, &mut visits.clicked),
            ("page_views", &mut visits.page_views, &mut visits.viewed),
            ("add_to_carts", &mut visits.add_to_carts, &mut visits.added),
        ];
        for (column, sum, users) in counters {
            let count = row.int(column);
            *sum += i128::from(count);
            if count > 0 {
                users.insert(user);
            }
        }
    }

    /// The sums by the columns of the daily tables.
    pub(super) fn sums(&self) -> Sums {
        let (sales, visits) = (&self.sales, &self.visits);
        let count = |users: &HashSet<i64>| users.len() as i128;
        let mut sums = Sums::default();
        for (column, value) in [
            ("gmv", sales.gmv),
            ("gmv_live", sales.gmv_live),
            ("gmv_video", sales.gmv_video),
            ("gmv_product_card", sales.gmv_product_card),
            ("orders", count(&sales.orders)),
            ("sku_orders", sales.sku_orders),
            ("items_sold", sales.items_sold),
            ("customers", count(&sales.buyers)),
            ("contribution_product", sales.contribution_product),
            ("contribution_shipping", sales.contribution_shipping),
            (
                "estimated_tiktok_contribution",
                sales.contribution_product + sales.contribution_shipping,
            ),
            ("product_impressions", visits.impressions),
            ("product_clicks", visits.clicks),
            ("page_views", visits.page_views),
            ("add_to_carts", visits.add_to_carts),
            ("unique_reach", count(&visits.reached)),
            ("unique_clicks", count(&visits.clicked)),
            ("unique_page_viewers", count(&visits.viewed)),
            (
                "unique_cart_adders",
                visits.viewed.intersection(&visits.added).count() as i128,
            ),
        ] {
            sums.set(column, Some(value));
        }
        sums
    }
}

/// A row of `contents`; texts as they are shown.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub content_id: i64,
    pub published_at_us: i64,
    pub views: Option<i64>,
    /// The columns that are published as exported.
    pub attributes: BTreeMap<&'static str, Option<String>>,
}

impl Content {
    pub(super) fn attribute(&self, column: &str) -> &str {
        self.attributes[column].as_deref().unwrap_or_default()
    }
}

/// The columns of `contents` that tables publish as exported.
pub(super) const CONTENT_ATTRIBUTES: [&str; 7] = [
    "content_type",
    "account_type",
    "creator_handle",
    "title",
    "published_at",
    "has_violation",
    "is_key_live",
];

/// A row of `ad_hours`; amounts in cents.
#[derive(Clone, Debug)]
pub(super) struct AdHour {
    pub hour_start_us: i64,
    pub hour_start: String,
    pub spend: i128,
    pub gross_revenue: i128,
}

/// A row of `campaigns`.
#[derive(Clone, Debug)]
pub(super) struct Campaign {
    pub campaign_id: i64,
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
}

/// A row of `sub_campaigns`.
#[derive(Clone, Debug)]
pub(super) struct SubCampaign {
    pub campaign_id: i64,
    pub name: String,
}

/// A row of `inventory`.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    pub product_id: i64,
    pub sku_id: i64,
    pub available: i128,
}

/// The row of `shops`.
#[derive(Clone, Debug)]
pub(super) struct Shop {
    pub category: Option<String>,
    primary_ad_account_id: Option<i64>,
}

/// The used rows of a shop in the exports of a day. Rows of optional exports that are absent are
/// missing too: ask [`ShopDay::has`].
#[derive(Debug)]
pub(super) struct ShopDay {
    pub civil: CivilDay,
    /// Names of the exports that were read and may be used.
    present: BTreeSet<&'static str>,
    pub shop: Option<Shop>,
    pub all: Activity,
    pub channels: BTreeMap<String, Activity>,
    pub products: BTreeMap<i64, Activity>,
    /// By product and SKU.
    pub skus: BTreeMap<(i64, i64), Activity>,
    /// Of every content and sub-campaign that a row names, known or not.
    pub content_activity: BTreeMap<i64, Activity>,
    pub sub_campaign_activity: BTreeMap<i64, Activity>,
    pub contents: Vec<Content>,
    pub ad_hours: Vec<AdHour>,
    pub campaigns: Vec<Campaign>,
    /// By campaign, the target in cents.
    pub registrations: BTreeMap<i64, Option<i128>>,
    /// Campaign and product.
    pub campaign_products: BTreeSet<(i64, i64)>,
    pub sub_campaigns: BTreeMap<i64, SubCampaign>,
    pub inventory: Vec<Stock>,
}

/// The rows of one export that a value comes from, and the rows that do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct RowsOfKey {
    pub used: RowCount,
    /// By reason: a row rule (`DUPLICATE_KEY`), or why a row is out of scope.
    pub not_counted: BTreeMap<String, RowCount>,
    /// Some rows, in the order of files and rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<ExampleRow>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct RowCount {
    pub rows: u64,
    /// The sums of the columns of money and counts, by column. A column that is null or breaks a
    /// rule adds nothing.
    pub amounts: BTreeMap<&'static str, String>,
    #[serde(skip)]
    sums: BTreeMap<&'static str, (Kind, i128)>,
}

/// A row as exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ExampleRow {
    pub file: String,
    /// From 0.
    pub row_number: u64,
    /// `None`: the row is used.
    pub not_counted_because: Option<String>,
    pub cells: BTreeMap<&'static str, Option<String>>,
}

/// The rows to tell about: those with these values, where their dataset has the columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telling {
    pub key: BTreeMap<&'static str, Option<String>>,
    /// The most used rows, and the most other rows, that are shown of each export.
    pub most_examples: usize,
}

/// A day's exports as they are read for one shop.
pub(crate) struct ShopDayRead {
    pub(super) day: ShopDay,
    /// By dataset.
    pub rows: BTreeMap<&'static str, RowsOfKey>,
}

impl ShopDay {
    /// Reads the exports that `wanted` accepts.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn read(
        store: &Store,
        exports: &DayExports,
        config: &Config,
        resources: &Resources,
        shop_id: i64,
        wanted: &dyn Fn(&Dataset) -> bool,
        telling: &Telling,
    ) -> Result<ShopDayRead> {
        let mut day = ShopDay::new(CivilDay::new(exports.day, config.time_zone));
        let mut rows: BTreeMap<&'static str, RowsOfKey> = BTreeMap::new();
        let mut take = |row: &ShopRow| {
            let why_not = match row.set_aside {
                Some(reason) => Some(reason.code().to_owned()),
                None => day.add(row).map(str::to_owned),
            };
            rows.entry(row.dataset.name)
                .or_default()
                .add(row, why_not, telling);
        };
        let read = read_shop(
            store, exports, config, resources, shop_id, wanted, &mut take,
        )?;
        day.present = DATASETS
            .iter()
            .map(|dataset| dataset.name)
            .filter(|name| read.snapshots.has(name))
            .collect();
        rows.values_mut().for_each(RowsOfKey::finish);
        Ok(ShopDayRead { day, rows })
    }

    fn new(civil: CivilDay) -> ShopDay {
        ShopDay {
            civil,
            present: BTreeSet::new(),
            shop: None,
            all: Activity::default(),
            channels: BTreeMap::new(),
            products: BTreeMap::new(),
            skus: BTreeMap::new(),
            content_activity: BTreeMap::new(),
            sub_campaign_activity: BTreeMap::new(),
            contents: vec![],
            ad_hours: vec![],
            campaigns: vec![],
            registrations: BTreeMap::new(),
            campaign_products: BTreeSet::new(),
            sub_campaigns: BTreeMap::new(),
            inventory: vec![],
        }
    }

    /// Whether an export was read and may be used.
    pub(super) fn has(&self, dataset: &str) -> bool {
        self.present.contains(dataset)
    }

    fn is_campaign_of_day(&self, campaign_id: i64) -> bool {
        let mut campaigns = self.campaigns.iter();
        campaigns.any(|campaign| campaign.campaign_id == campaign_id)
    }

    /// Adds a row that breaks no rule. Returns why it is out of scope; `None`: it is used.
    fn add(&mut self, row: &ShopRow) -> Option<&'static str> {
        match row.dataset.name {
            "order_lines" => self.add_order_line(row),
            "product_traffic" => self.add_visit(row),
            "shops" => {
                self.shop = Some(Shop {
                    // An empty category is null.
                    category: row.shown("category").filter(|text| !text.is_empty()),
                    primary_ad_account_id: row.int_or_null("primary_ad_account_id"),
                });
            }
            "contents" => self.contents.push(Content {
                content_id: row.int("content_id"),
                published_at_us: row.int("published_at"),
                views: row.int_or_null("views"),
                attributes: CONTENT_ATTRIBUTES
                    .map(|name| (name, row.shown(name)))
                    .into(),
            }),
            "ad_hours" => return self.add_ad_hour(row),
            "campaigns" => return self.add_campaign(row),
            "campaign_shops" => {
                let campaign_id = row.int("campaign_id");
                if !self.is_campaign_of_day(campaign_id) {
                    return Some(OTHER_CAMPAIGN);
                }
                let target = row.cents_or_null("target_gmv");
                self.registrations.insert(campaign_id, target);
            }
            "campaign_products" => {
                let campaign_id = row.int("campaign_id");
                if !self.is_campaign_of_day(campaign_id) {
                    return Some(OTHER_CAMPAIGN);
                }
                self.campaign_products
                    .insert((campaign_id, row.int("product_id")));
            }
            "sub_campaigns" => {
                let sub_campaign = SubCampaign {
                    campaign_id: row.int("campaign_id"),
                    name: row.text("sub_campaign_name").to_owned(),
                };
                self.sub_campaigns
                    .insert(row.int("sub_campaign_id"), sub_campaign);
            }
            "inventory" => self.inventory.push(Stock {
                product_id: row.int("product_id"),
                sku_id: row.int("sku_id"),
                available: row.int("available_quantity").into(),
            }),
            name => unreachable!("no dataset {name}"),
        }
        None
    }

    fn add_order_line(&mut self, line: &ShopRow) {
        self.all.sell(line);
        let (product, sku) = (line.int("product_id"), line.int("sku_id"));
        let channel = line.text("channel").to_owned();
        self.channels.entry(channel).or_default().sell(line);
        self.products.entry(product).or_default().sell(line);
        self.skus.entry((product, sku)).or_default().sell(line);
        if let Some(content) = line.int_or_null("content_id") {
            self.content_activity.entry(content).or_default().sell(line);
        }
        if let Some(sub_campaign) = line.int_or_null("sub_campaign_id") {
            let activity = self.sub_campaign_activity.entry(sub_campaign).or_default();
            activity.sell(line);
        }
    }

    fn add_visit(&mut self, row: &ShopRow) {
        self.all.visit(row);
        let channel = row.text("channel").to_owned();
        self.channels.entry(channel).or_default().visit(row);
        let product = row.int("product_id");
        self.products.entry(product).or_default().visit(row);
        if let Some(content) = row.int_or_null("content_id") {
            self.content_activity.entry(content).or_default().visit(row);
        }
    }

    fn add_ad_hour(&mut self, row: &ShopRow) -> Option<&'static str> {
        let account = self.shop.as_ref().and_then(|s| s.primary_ad_account_id);
        if account != Some(row.int("ad_account_id")) {
            return Some("not the shop's primary ad account");
        }
        self.ad_hours.push(AdHour {
            hour_start_us: row.int("hour_start"),
            hour_start: row.shown("hour_start").unwrap_or_default(),
            spend: row.cents("spend"),
            gross_revenue: row.cents("gross_revenue"),
        });
        None
    }

    fn add_campaign(&mut self, row: &ShopRow) -> Option<&'static str> {
        let (first_day, last_day) = (row.date("first_day"), row.date("last_day"));
        if self.civil.day < first_day || self.civil.day > last_day {
            return Some(OTHER_CAMPAIGN);
        }
        self.campaigns.push(Campaign {
            campaign_id: row.int("campaign_id"),
            first_day,
            last_day,
        });
        None
    }
}

const OTHER_CAMPAIGN: &str = "a campaign of other days";

impl RowsOfKey {
    fn add(&mut self, row: &ShopRow, why_not: Option<String>, telling: &Telling) {
        let is_of_key = |(name, value): (&&'static str, &Option<String>)| {
            let has_column = row.dataset.columns.iter().any(|c| c.name == *name);
            !has_column || row.shown(name) == *value
        };
        if !telling.key.iter().all(is_of_key) {
            return;
        }
        let count = match &why_not {
            None => &mut self.used,
            Some(reason) => self.not_counted.entry(reason.clone()).or_default(),
        };
        count.add(row);
        let is_used = why_not.is_none();
        let shown = self.examples.iter();
        let shown = shown.filter(|example| example.not_counted_because.is_none() == is_used);
        if shown.count() < telling.most_examples {
            let columns = row.dataset.columns.iter();
            self.examples.push(ExampleRow {
                file: row.file.to_owned(),
                row_number: row.number,
                not_counted_because: why_not,
                cells: columns.map(|c| (c.name, row.shown(c.name))).collect(),
            });
        }
    }

    fn finish(&mut self) {
        self.used.finish();
        self.not_counted.values_mut().for_each(RowCount::finish);
        self.examples
            .sort_by(|a, b| (&a.file, a.row_number).cmp(&(&b.file, b.row_number)));
    }
}

impl RowCount {
    fn add(&mut self, row: &ShopRow) {
        self.rows += 1;
        for column in row.dataset.columns.iter().filter(|c| !c.unit.is_empty()) {
            let value = match column.kind {
                Kind::Money => row.cents_or_null(column.name),
                Kind::Int64 | Kind::Int32 => row.int_or_null(column.name).map(i128::from),
                _ => None,
            };
            if let Some(value) = value {
                let (_, sum) = self.sums.entry(column.name).or_insert((column.kind, 0));
                *sum = sum.saturating_add(value);
            }
        }
    }

    /// Shows the sums.
    fn finish(&mut self) {
        for (column, (kind, sum)) in std::mem::take(&mut self.sums) {
            let shown = match kind {
                Kind::Money => show_cents(sum),
                _ => sum.to_string(),
            };
            self.amounts.insert(column, shown);
        }
    }
}
