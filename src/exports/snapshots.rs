//! The small datasets of a day as typed rows: only rows in scope.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow_array::Array;
use chrono::NaiveDate;

use super::batch::Batch;
use crate::contracts::datasets::{AD_HOURS, CAMPAIGN_PRODUCTS, CONTENTS, INVENTORY, SUB_CAMPAIGNS};
use crate::contracts::{Dataset, SnapshotId};
use crate::days::calendar::{day_number, day_of_number};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shop {
    pub(crate) shop_id: i64,
    pub(crate) category: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Content {
    pub(crate) content_id: i64,
    pub(crate) shop_id: i64,
    pub(crate) content_type: String,
    pub(crate) account_type: String,
    pub(crate) creator_handle: String,
    pub(crate) title: Option<String>,
    pub(crate) published_at_us: i64,
    pub(crate) views: Option<i64>,
    pub(crate) has_violation: bool,
    pub(crate) is_key_live: bool,
}

/// An hour of a shop's primary ad account.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AdHour {
    pub(crate) shop_id: i64,
    pub(crate) hour_start_us: i64,
    pub(crate) spend_cents: i128,
    pub(crate) gross_revenue_cents: i128,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InventoryItem {
    pub(crate) shop_id: i64,
    pub(crate) product_id: i64,
    pub(crate) sku_id: i64,
    pub(crate) available_quantity: i64,
}

/// A campaign of the day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Campaign {
    pub(crate) campaign_id: i64,
    pub(crate) campaign_name: String,
    pub(crate) first_day: NaiveDate,
    pub(crate) last_day: NaiveDate,
}

/// A registration for a campaign of the day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CampaignShop {
    pub(crate) campaign_id: i64,
    pub(crate) shop_id: i64,
    pub(crate) target_gmv_cents: Option<i128>,
}

/// A product of a campaign of the day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CampaignProduct {
    pub(crate) campaign_id: i64,
    pub(crate) shop_id: i64,
    pub(crate) product_id: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SubCampaign {
    pub(crate) sub_campaign_id: i64,
    pub(crate) campaign_id: i64,
    pub(crate) sub_campaign_name: String,
}

/// The rows of the small datasets that are in scope. A method gives the rows of an optional one:
/// `None` where its export is absent (not final or broken). Then columns that need it are null, and
/// tables that need it are not written.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    pub(crate) shops: Vec<Shop>,
    pub(crate) campaigns: Vec<Campaign>,
    pub(crate) campaign_shops: Vec<CampaignShop>,
    campaign_products: Vec<CampaignProduct>,
    contents: Vec<Content>,
    ad_hours: Vec<AdHour>,
    inventory: Vec<InventoryItem>,
    sub_campaigns: Vec<SubCampaign>,
    /// Names of datasets that were read to their end and may be used.
    present: BTreeSet<&'static str>,
    primary_accounts: HashMap<i64, i64>,
    campaign_ids: HashSet<i64>,
}

/// The rows of one small dataset while it is read.
pub(super) struct SnapshotRows<'a> {
    id: SnapshotId,
    day: NaiveDate,
    /// The datasets that decide the scope of others were read before.
    scope: &'a Snapshots,
    read: Snapshots,
}

impl<'a> SnapshotRows<'a> {
    pub(super) fn new(id: SnapshotId, day: NaiveDate, scope: &'a Snapshots) -> SnapshotRows<'a> {
        SnapshotRows {
            id,
            day,
            scope,
            read: Snapshots::default(),
        }
    }

    /// Adds the batch's rows that are in scope; returns how many are not.
    pub(super) fn add(&mut self, batch: &Batch) -> u64 {
        let (read, scope) = (&mut self.read, self.scope);
        match self.id {
            SnapshotId::Shops => read.add_shops(batch),
            SnapshotId::Contents => read.add_contents(batch),
            SnapshotId::AdHours => return read.add_ad_hours(batch, scope),
            SnapshotId::Inventory => read.add_inventory(batch),
            SnapshotId::Campaigns => return read.add_campaigns(batch, self.day),
            SnapshotId::CampaignShops => return read.add_campaign_shops(batch, scope),
            SnapshotId::CampaignProducts => return read.add_campaign_products(batch, scope),
            SnapshotId::SubCampaigns => read.add_sub_campaigns(batch),
        }
        0
    }

    pub(super) fn into_read(self) -> Snapshots {
        self.read
    }
}

impl Snapshots {
    /// The first day of the day's oldest campaign, where the longest period begins. `None`: no
    /// campaign.
    pub(crate) fn first_campaign_day(&self) -> Option<NaiveDate> {
        self.campaigns
            .iter()
            .map(|campaign| campaign.first_day)
            .min()
    }

    /// Adds the rows of datasets that this has none of.
    pub(super) fn append(&mut self, other: Snapshots) {
        self.shops.extend(other.shops);
        self.campaigns.extend(other.campaigns);
        self.campaign_shops.extend(other.campaign_shops);
        self.campaign_products.extend(other.campaign_products);
        self.contents.extend(other.contents);
        self.ad_hours.extend(other.ad_hours);
        self.inventory.extend(other.inventory);
        self.sub_campaigns.extend(other.sub_campaigns);
        self.present.extend(other.present);
        self.primary_accounts.extend(other.primary_accounts);
        self.campaign_ids.extend(other.campaign_ids);
    }

    /// Marks a dataset as present: its export was read to its end, with or without rows, and may be
    /// used.
    pub(super) fn set_present(&mut self, dataset: &Dataset) {
        self.present.insert(dataset.name);
    }

    pub(super) fn set_absent(&mut self, dataset: &Dataset) {
        self.present.remove(dataset.name);
    }

    /// Whether a dataset is present.
    pub(crate) fn has(&self, dataset: &str) -> bool {
        self.present.contains(dataset)
    }

    pub(crate) fn campaign_products(&self) -> Option<&[CampaignProduct]> {
        self.if_present(&CAMPAIGN_PRODUCTS, &self.campaign_products)
    }

    /// Every (shop, product) of a campaign of the day.
    pub(crate) fn products_of_any_campaign(&self) -> Option<HashSet<(i64, i64)>> {
        Some(
            self.campaign_products()?
                .iter()
                .map(|p| (p.shop_id, p.product_id))
                .collect(),
        )
    }

    pub(crate) fn contents(&self) -> Option<&[Content]> {
        self.if_present(&CONTENTS, &self.contents)
    }

    pub(crate) fn ad_hours(&self) -> Option<&[AdHour]> {
        self.if_present(&AD_HOURS, &self.ad_hours)
    }

    pub(crate) fn inventory(&self) -> Option<&[InventoryItem]> {
        self.if_present(&INVENTORY, &self.inventory)
    }

    pub(crate) fn sub_campaigns(&self) -> Option<&[SubCampaign]> {
        self.if_present(&SUB_CAMPAIGNS, &self.sub_campaigns)
    }

    fn if_present<'a, T>(&self, dataset: &Dataset, rows: &'a [T]) -> Option<&'a [T]> {
        self.has(dataset.name).then_some(rows)
    }

    fn add_shops(&mut self, batch: &Batch) {
        let (ids, categories) = (batch.ints("shop_id"), batch.texts("category"));
        let accounts = batch.ints("primary_ad_account_id");
        for row in 0..batch.rows {
            if accounts.is_valid(row) {
                self.primary_accounts
                    .insert(ids.value(row), accounts.value(row));
            }
            self.shops.push(Shop {
                shop_id: ids.value(row),
                category: categories
                    .is_valid(row)
                    .then(|| categories.value(row).to_owned()),
            });
        }
    }

    fn add_contents(&mut self, batch: &Batch) {
        let (ids, shops) = (batch.ints("content_id"), batch.ints("shop_id"));
        let (types, accounts) = (batch.texts("content_type"), batch.texts("account_type"));
        let (handles, titles) = (batch.texts("creator_handle"), batch.texts("title"));
        let (published, views) = (batch.ints("published_at"), batch.ints("views"));
        let violations = batch.flags("has_violation");
        let key_lives = batch.flags("is_key_live");
        self.contents.extend((0..batch.rows).map(|row| Content {
            content_id: ids.value(row),
            shop_id: shops.value(row),
            content_type: types.value(row).to_owned(),
            account_type: accounts.value(row).to_owned(),
            creator_handle: handles.value(row).to_owned(),
            title: titles.is_valid(row).then(|| titles.value(row).to_owned()),
            published_at_us: published.value(row),
            views: views.is_valid(row).then(|| views.value(row)),
            has_violation: violations.value(row),
            is_key_live: key_lives.value(row),
        }));
    }

    fn add_ad_hours(&mut self, batch: &Batch, scope: &Snapshots) -> u64 {
        let (accounts, shops) = (batch.ints("ad_account_id"), batch.ints("shop_id"));
        let (hours, spend) = (batch.ints("hour_start"), batch.money("spend"));
        let revenue = batch.money("gross_revenue");
        let before = self.ad_hours.len();
        let primary_accounts = &scope.primary_accounts;
        let in_scope =
            |row: &usize| primary_accounts.get(&shops.value(*row)) == Some(&accounts.value(*row));
        self.ad_hours
            .extend((0..batch.rows).filter(in_scope).map(|row| AdHour {
                shop_id: shops.value(row),
                hour_start_us: hours.value(row),
                spend_cents: spend.value(row),
                gross_revenue_cents: revenue.value(row),
            }));
        (batch.rows - (self.ad_hours.len() - before)) as u64
    }

    fn add_inventory(&mut self, batch: &Batch) {
        let (shops, products) = (batch.ints("shop_id"), batch.ints("product_id"));
        let (skus, quantities) = (batch.ints("sku_id"), batch.ints("available_quantity"));
        self.inventory
            .extend((0..batch.rows).map(|row| InventoryItem {
                shop_id: shops.value(row),
                product_id: products.value(row),
                sku_id: skus.value(row),
                available_quantity: quantities.value(row),
            }));
    }

    fn add_campaigns(&mut self, batch: &Batch, day: NaiveDate) -> u64 {
        let (ids, names, first, last) = (
            batch.ints("campaign_id"),
            batch.texts("campaign_name"),
            batch.dates("first_day"),
            batch.dates("last_day"),
        );
        let today = day_number(day);
        let before = self.campaigns.len();
        for row in
            (0..batch.rows).filter(|row| (first.value(*row)..=last.value(*row)).contains(&today))
        {
            self.campaign_ids.insert(ids.value(row));
            self.campaigns.push(Campaign {
                campaign_id: ids.value(row),
                campaign_name: names.value(row).to_owned(),
                first_day: day_of_number(first.value(row)),
                last_day: day_of_number(last.value(row)),
            });
        }
        (batch.rows - (self.campaigns.len() - before)) as u64
    }

    fn add_campaign_shops(&mut self, batch: &Batch, scope: &Snapshots) -> u64 {
        let (ids, targets) = (batch.ints("campaign_id"), batch.money("target_gmv"));
        let shops = batch.ints("shop_id");
        let before = self.campaign_shops.len();
        let in_scope = (0..batch.rows).filter(|row| scope.campaign_ids.contains(&ids.value(*row)));
        self.campaign_shops.extend(in_scope.map(|row| CampaignShop {
            campaign_id: ids.value(row),
            shop_id: shops.value(row),
            target_gmv_cents: targets.is_valid(row).then(|| targets.value(row)),
        }));
        (batch.rows - (self.campaign_shops.len() - before)) as u64
    }

    fn add_campaign_products(&mut self, batch: &Batch, scope: &Snapshots) -> u64 {
        let ids = batch.ints("campaign_id");
        let (shops, products) = (batch.ints("shop_id"), batch.ints("product_id"));
        let before = self.campaign_products.len();
        let in_scope = (0..batch.rows).filter(|row| scope.campaign_ids.contains(&ids.value(*row)));
        self.campaign_products
            .extend(in_scope.map(|row| CampaignProduct {
                campaign_id: ids.value(row),
                shop_id: shops.value(row),
                product_id: products.value(row),
            }));
        (batch.rows - (self.campaign_products.len() - before)) as u64
    }

    fn add_sub_campaigns(&mut self, batch: &Batch) {
        let (ids, campaigns, names) = (
            batch.ints("sub_campaign_id"),
            batch.ints("campaign_id"),
            batch.texts("sub_campaign_name"),
        );
        self.sub_campaigns
            .extend((0..batch.rows).map(|row| SubCampaign {
                sub_campaign_id: ids.value(row),
                campaign_id: campaigns.value(row),
                sub_campaign_name: names.value(row).to_owned(),
            }));
    }
}
