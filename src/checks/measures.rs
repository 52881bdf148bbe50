//! The numbers of a day: from the accounts of its exports, its campaigns and its new rollups.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use crate::catalog::checked::{DayKind, Measures};
use crate::config::CheckGroup;
use crate::contracts::datasets::{DATASETS, ORDER_LINES, PRODUCT_TRAFFIC};
use crate::contracts::tables::{CHANNEL_DAILY, SHOP_DAILY};
use crate::contracts::{Column, Dataset, Follows, Table};
use crate::days::readiness::DayExports;
use crate::exports::quarantine::Accounting;
use crate::exports::snapshots::Campaign;
use crate::windows::{PublishedTables, Rows};

/// Parts of a share: 1 000 000 is all.
pub(super) const WHOLE: i128 = 1_000_000;

/// Channels below this share of both datasets are not kept, so that a broken export with a channel
/// for each row does not fill the manifest. In parts per million.
const LEAST_CHANNEL: i64 = 1_000;

/// A total over all shops: the check's name, the column of `shop_daily`, the export behind it.
pub(super) struct TotalOf {
    pub group: CheckGroup,
    pub name: &'static str,
    pub column: &'static str,
    pub dataset: &'static Dataset,
    pub is_money: bool,
}

/// The totals of the marketplace. `customers` is the sum of the shops' distinct customers.
pub(super) static TOTALS: [TotalOf; 4] = [
    TotalOf {
        group: CheckGroup::Gmv,
        name: "gmv",
        column: "gmv",
        dataset: &ORDER_LINES,
        is_money: true,
    },
    TotalOf {
        group: CheckGroup::Orders,
        name: "orders",
        column: "orders",
        dataset: &ORDER_LINES,
        is_money: false,
    },
    TotalOf {
        group: CheckGroup::Customers,
        name: "customers",
        column: "customers",
        dataset: &ORDER_LINES,
        is_money: false,
    },
    TotalOf {
        group: CheckGroup::Impressions,
        name: "impressions",
        column: "product_impressions",
        dataset: &PRODUCT_TRAFFIC,
        is_money: false,
    },
];

/// The datasets with channels, and the column of `channel_daily` that counts for each.
pub(super) static CHANNELS_OF: [(&Dataset, &str); 2] = [
    (&ORDER_LINES, "sku_orders"),
    (&PRODUCT_TRAFFIC, "product_impressions"),
];

pub(super) fn rows_name(dataset: &Dataset) -> String {
    format!("rows.{}", dataset.name)
}

pub(super) fn files_name(dataset: &Dataset) -> String {
    format!("files.{}", dataset.name)
}

pub(super) fn nulls_name(dataset: &Dataset, column: &Column) -> String {
    format!("nulls.{}.{}", dataset.name, column.name)
}

pub(super) fn channels_name(dataset: &Dataset) -> String {
    format!("channels.{}", dataset.name)
}

/// The columns of a dataset that may be null.
pub(super) fn nullable(dataset: &'static Dataset) -> impl Iterator<Item = &'static Column> {
    let columns = dataset.columns.iter();
    columns.filter(|column| column.null.is_some())
}

/// The numbers of a day, from its exports. `accounts`: of those that may be used. `published` has the day's new
/// rollups. A table that is not written gives no numbers.
///
/// # Errors
/// When the run is asked to stop.
pub(crate) fn measures(
    exports: &DayExports,
    accounts: &[&Accounting],
    campaigns: &[Campaign],
    published: &dyn PublishedTables,
) -> Result<Measures> {
    let day = exports.day;
    let mut campaign_ids: Vec<i64> = campaigns.iter().map(|c| c.campaign_id).collect();
    campaign_ids.sort_unstable();
    let mut measures = Measures {
        kind: kind(day, campaigns),
        campaign_ids,
        ..Measures::default()
    };
    for dataset in DATASETS {
        if let Some(account) = accounts.iter().find(|a| a.dataset == dataset.name) {
            add_account(&mut measures.values, dataset, account);
            let folder = exports.folder(dataset.name);
            let files = folder.map(|folder| (files_name(dataset), folder.files.len() as i64));
            measures.values.extend(files);
        }
    }
    if !published.published_days(&SHOP_DAILY, day, day)?.is_empty() {
        let columns = TOTALS.each_ref().map(|total| total.column);
        let mut sums = [0_i128; TOTALS.len()];
        let mut add = |rows: DataFrame| {
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum += whole_numbers(&rows, column)?.iter().sum::<i128>();
            }
            Ok(())
        };
        published.read(&SHOP_DAILY, day, &columns, Rows::default(), &mut add)?;
        for (total, sum) in TOTALS.iter().zip(sums) {
            // A sum beyond 64 bits is absurd, and then the check has nothing to look at.
            let sum = i64::try_from(sum).ok();
            measures
                .values
                .extend(sum.map(|sum| (total.name.to_owned(), sum)));
        }
    }
    if !published
        .published_days(&CHANNEL_DAILY, day, day)?
        .is_empty()
    {
        for (dataset, column) in CHANNELS_OF {
            if let Some(shares) = channel_shares(&CHANNEL_DAILY, day, column, published)? {
                measures.channels.insert(channels_name(dataset), shares);
            }
        }
    }
    Ok(measures)
}

fn kind(day: NaiveDate, campaigns: &[Campaign]) -> DayKind {
    let is_edge = |campaign: &Campaign| campaign.first_day == day || campaign.last_day == day;
    match campaigns {
        [] => DayKind::Ordinary,
        campaigns if campaigns.iter().any(is_edge) => DayKind::CampaignEdge,
        _ => DayKind::Campaign,
    }
}

/// The rows of an export, and the share of nulls of its columns.
fn add_account(
    values: &mut BTreeMap<String, i64>,
    dataset: &'static Dataset,
    account: &Accounting,
) {
    // Of lists that may hold other campaigns too, only the day's are comparable.
    let rows = match dataset.follows {
        Follows::Campaigns => account.rows_used,
        Follows::Demand | Follows::Neither => account.rows_read,
    };
    values.insert(rows_name(dataset), clamped(rows.into()));
    for column in nullable(dataset) {
        let nulls = account.nulls.get(column.name);
        if let (Some(nulls), 1..) = (nulls, account.rows_read) {
            let share = i128::from(*nulls) * WHOLE / i128::from(account.rows_read);
            values.insert(nulls_name(dataset, column), clamped(share));
        }
    }
}

/// The share of each channel, in parts per million, rounded down; `None` of nothing.
fn channel_shares(
    table: &'static Table,
    day: NaiveDate,
    column: &str,
    published: &dyn PublishedTables,
) -> Result<Option<BTreeMap<String, i64>>> {
    let mut counts: BTreeMap<String, i128> = BTreeMap::new();
    let mut add = |rows: DataFrame| {
        let names = rows.column("channel")?.str()?;
        for (name, count) in names.iter().zip(whole_numbers(&rows, column)?) {
            *counts
                .entry(name.unwrap_or_default().to_owned())
                .or_default() += count;
        }
        Ok(())
    };
    published.read(table, day, &["channel", column], Rows::default(), &mut add)?;
    let all: i128 = counts.values().sum();
    if all == 0 {
        return Ok(None);
    }
    let shares = counts.into_iter();
    let shares = shares.map(|(name, count)| (name, clamped(count * WHOLE / all)));
    Ok(Some(
        shares
            .filter(|(_, share)| *share >= LEAST_CHANNEL)
            .collect(),
    ))
}

/// A column of whole numbers or of money, which is whole cents; 0 for null.
pub(super) fn whole_numbers(rows: &DataFrame, column: &str) -> Result<Vec<i128>> {
    let column = rows.column(column)?;
    Ok(match column.i128() {
        Ok(cents) => cents.iter().map(Option::unwrap_or_default).collect(),
        Err(_) => {
            let numbers = column.i64()?.iter();
            numbers
                .map(|number| number.unwrap_or_default().into())
                .collect()
        }
    })
}

fn clamped(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::datasets::{CAMPAIGN_SHOPS, SHOPS};
    use crate::testing::march;

    fn account(dataset: &Dataset, read: u64, used: u64, nulls: &[(&str, u64)]) -> Accounting {
        Accounting {
            dataset: dataset.name.into(),
            rows_read: read,
            rows_used: used,
            rows_quarantined: 0,
            rows_out_of_scope: read - used,
            reasons: BTreeMap::new(),
            nulls: nulls
                .iter()
                .map(|(name, rows)| ((*name).into(), *rows))
                .collect(),
            examples: vec![],
        }
    }

    #[test]
    fn a_share_of_nulls_is_in_parts_per_million_and_no_share_of_no_rows() {
        let mut values = BTreeMap::new();
        let shops = account(
            &SHOPS,
            3,
            3,
            &[("category", 1), ("primary_ad_account_id", 3)],
        );
        add_account(&mut values, &SHOPS, &shops);
        let empty = account(&CAMPAIGN_SHOPS, 0, 0, &[("target_gmv", 0)]);
        add_account(&mut values, &CAMPAIGN_SHOPS, &empty);
        let expected = [
            ("nulls.shops.category", 333_333),
            ("nulls.shops.primary_ad_account_id", 1_000_000),
            ("rows.campaign_shops", 0),
            ("rows.shops", 3),
        ];
        let expected: BTreeMap<String, i64> = expected
            .map(|(name, value)| (name.to_owned(), value))
            .into();
        assert_eq!(values, expected);
    }

    #[test]
    fn of_registrations_only_those_of_the_days_campaigns_count() {
        let mut values = BTreeMap::new();
        add_account(
            &mut values,
            &CAMPAIGN_SHOPS,
            &account(&CAMPAIGN_SHOPS, 9, 4, &[]),
        );
        assert_eq!(values["rows.campaign_shops"], 4);
    }

    #[test]
    fn the_first_and_the_last_day_of_a_campaign_are_a_kind_of_their_own() {
        let campaigns = [(1, 10, 14), (2, 1, 30)].map(|(campaign_id, first, last)| Campaign {
            campaign_id,
            campaign_name: String::new(),
            first_day: march(first),
            last_day: march(last),
        });
        assert_eq!(kind(march(9), &[]), DayKind::Ordinary);
        assert_eq!(kind(march(11), &campaigns), DayKind::Campaign);
        assert_eq!(kind(march(10), &campaigns), DayKind::CampaignEdge);
        assert_eq!(kind(march(14), &campaigns), DayKind::CampaignEdge);
    }
}
