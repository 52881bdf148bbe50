//! sub_campaign_daily: one row for each shop and sub-campaign with sales.

use std::collections::HashMap;

use anyhow::Result;
use polars::prelude::*;

use super::groups::union;
use super::orders::OrderSums;
use crate::columns;
use crate::exports::snapshots::SubCampaign;
use crate::metrics;

/// Grain: each (shop, sub-campaign) with a used order line whose sub-campaign is in
/// `sub_campaigns`.
///
/// Source: SPEC.md section 3.1.
pub(super) fn sub_campaign_daily(
    orders: &OrderSums,
    sub_campaigns: &[SubCampaign],
) -> Result<DataFrame> {
    let known: HashMap<i64, &SubCampaign> = sub_campaigns
        .iter()
        .map(|s| (s.sub_campaign_id, s))
        .collect();
    let rows: Vec<_> = union(orders.sub_campaigns.keys(), std::iter::empty())
        .into_iter()
        .filter_map(|key| {
            let sales = orders.sub_campaigns.get(&key).copied().unwrap_or_default();
            known
                .get(&key.1)
                .map(|sub_campaign| (key.0, *sub_campaign, sales))
        })
        .collect();
    let table = DataFrame::new(
        rows.len(),
        vec![
            columns::ints("shop_id", rows.iter().map(|(shop_id, ..)| *shop_id)),
            columns::ints(
                "sub_campaign_id",
                rows.iter().map(|(_, s, _)| s.sub_campaign_id),
            ),
            columns::ints("campaign_id", rows.iter().map(|(_, s, _)| s.campaign_id)),
            columns::texts(
                "sub_campaign_name",
                rows.iter().map(|(_, s, _)| s.sub_campaign_name.as_str()),
            ),
            columns::ints("orders", rows.iter().map(|(.., sales)| sales.orders)),
            columns::ints(
                "sku_orders",
                rows.iter().map(|(.., sales)| sales.sku_orders),
            ),
            columns::ints(
                "items_sold",
                rows.iter().map(|(.., sales)| sales.items_sold),
            ),
            columns::money("gmv", rows.iter().map(|(.., sales)| sales.gmv)),
        ],
    )?;
    metrics::with_gmv_rank(table, &["shop_id", "campaign_id"], "sub_campaign_id")
}
