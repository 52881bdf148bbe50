//! The Parquet field ids of the columns of result files and quarantine files.
//!
//! A reader that follows ids (Iceberg, DuckDB's `schema` of `read_parquet`) finds a column under its id
//! even after it was renamed or moved. So an id that was given once stays with its column forever.

use super::table::Table;

/// The columns of each table in the order in which they got their ids: 1, 2, 3.
///
/// A new column is added at the end of its table's list, wherever it stands in the file. A renamed
/// column keeps its place. A column that is removed keeps its place too, so that its id is never given
/// to another one. `tests/it/field_ids.txt` holds every id that was given.
const GIVEN: &[(&str, &[&str])] = &[
    (
        "shop_daily",
        &[
            "shop_id",
            "category",
            "gmv",
            "gmv_live",
            "gmv_video",
            "gmv_product_card",
            "orders",
            "sku_orders",
            "items_sold",
            "customers",
            "avg_order_value",
            "contribution_product",
            "contribution_shipping",
            "estimated_tiktok_contribution",
            "product_impressions",
            "product_clicks",
            "page_views",
            "add_to_carts",
            "unique_reach",
            "unique_clicks",
            "unique_page_viewers",
            "unique_cart_adders",
            "ctr",
            "ctor",
            "add_to_cart_rate",
            "creator_new_videos",
            "creator_new_lives",
            "seller_new_videos",
            "seller_new_lives",
            "ad_spend",
            "ad_gross_revenue",
            "ad_roi",
        ],
    ),
    (
        "channel_daily",
        &[
            "shop_id",
            "channel",
            "product_impressions",
            "product_clicks",
            "sku_orders",
            "gmv",
            "impression_share",
            "ctr",
            "ctor",
        ],
    ),
    (
        "product_daily",
        &[
            "shop_id",
            "product_id",
            "is_campaign_product",
            "product_impressions",
            "product_clicks",
            "page_views",
            "add_to_carts",
            "unique_page_viewers",
            "unique_cart_adders",
            "add_to_cart_rate",
            "orders",
            "sku_orders",
            "items_sold",
            "gmv",
            "ctr",
            "ctor",
        ],
    ),
    (
        "sku_daily",
        &["shop_id", "product_id", "sku_id", "items_sold", "gmv"],
    ),
    (
        "content_daily",
        &[
            "shop_id",
            "content_id",
            "content_type",
            "account_type",
            "creator_handle",
            "title",
            "published_at",
            "views",
            "has_violation",
            "is_key_live",
            "product_impressions",
            "product_clicks",
            "orders",
            "sku_orders",
            "items_sold",
            "gmv",
            "ctr",
            "ctor",
            "gpm",
            "gmv_share",
            "gmv_rank",
        ],
    ),
    (
        "sub_campaign_daily",
        &[
            "shop_id",
            "sub_campaign_id",
            "campaign_id",
            "sub_campaign_name",
            "orders",
            "sku_orders",
            "items_sold",
            "gmv",
            "gmv_rank",
        ],
    ),
    (
        "ad_hourly",
        &[
            "shop_id",
            "hour_start",
            "local_hour",
            "ad_spend",
            "ad_gross_revenue",
            "ad_roi",
        ],
    ),
    (
        "shop_period",
        &[
            "campaign_id",
            "shop_id",
            "first_day",
            "through_day",
            "days",
            "missing_days",
            "content_days",
            "ad_days",
            "category",
            "gmv",
            "gmv_live",
            "gmv_video",
            "gmv_product_card",
            "orders",
            "sku_orders",
            "items_sold",
            "contribution_product",
            "contribution_shipping",
            "estimated_tiktok_contribution",
            "product_impressions",
            "product_clicks",
            "page_views",
            "add_to_carts",
            "creator_new_videos",
            "creator_new_lives",
            "seller_new_videos",
            "seller_new_lives",
            "ad_spend",
            "ad_gross_revenue",
            "avg_order_value",
            "ctr",
            "ctor",
            "ad_roi",
            "add_to_cart_rate",
            "target_gmv",
            "target_progress",
        ],
    ),
    (
        "funnel_period",
        &[
            "campaign_id",
            "shop_id",
            "through_day",
            "days",
            "avg_unique_reach",
            "avg_unique_clicks",
            "avg_daily_customers",
            "click_rate",
            "customer_rate",
        ],
    ),
    (
        "channel_period",
        &[
            "campaign_id",
            "shop_id",
            "channel",
            "through_day",
            "days",
            "product_impressions",
            "product_clicks",
            "sku_orders",
            "gmv",
            "impression_share",
            "ctr",
            "ctor",
        ],
    ),
    (
        "product_period",
        &[
            "campaign_id",
            "shop_id",
            "product_id",
            "through_day",
            "days",
            "is_campaign_product",
            "product_impressions",
            "product_clicks",
            "page_views",
            "add_to_carts",
            "add_to_cart_rate",
            "orders",
            "sku_orders",
            "items_sold",
            "gmv",
            "ctr",
            "ctor",
        ],
    ),
    (
        "content_period",
        &[
            "campaign_id",
            "shop_id",
            "content_id",
            "through_day",
            "days",
            "content_type",
            "account_type",
            "creator_handle",
            "title",
            "published_at",
            "has_violation",
            "is_key_live",
            "views",
            "product_impressions",
            "product_clicks",
            "orders",
            "sku_orders",
            "items_sold",
            "gmv",
            "ctr",
            "ctor",
            "gpm",
            "gmv_share",
            "gmv_rank",
        ],
    ),
    (
        "sub_campaign_period",
        &[
            "campaign_id",
            "shop_id",
            "sub_campaign_id",
            "through_day",
            "days",
            "sub_campaign_name",
            "orders",
            "sku_orders",
            "items_sold",
            "gmv",
            "gmv_rank",
        ],
    ),
    (
        "gmv_baseline",
        &[
            "shop_id",
            "baseline_day",
            "baseline_gmv",
            "gmv",
            "difference",
            "difference_pct",
        ],
    ),
    (
        "stock_status",
        &[
            "shop_id",
            "product_id",
            "sku_id",
            "is_campaign_product",
            "available_quantity",
            "daily_sales",
            "days_of_cover",
            "horizon_days",
            "stock_status",
        ],
    ),
    (
        "shop_tier",
        &[
            "shop_id",
            "category",
            "trailing_gmv",
            "observed_days",
            "tier",
        ],
    ),
    (
        "category_benchmark",
        &[
            "scope",
            "campaign_id",
            "category",
            "tier",
            "metric",
            "benchmark_day",
            "is_fallback",
            "fallback_reason",
            "observed_days",
            "peer_count",
            "mean",
            "p25",
            "p50",
            "p75",
            "is_suppressed",
            "suppression_reason",
            "method",
        ],
    ),
    (
        "shop_benchmark",
        &[
            "scope",
            "campaign_id",
            "shop_id",
            "metric",
            "category",
            "tier",
            "benchmark_day",
            "is_fallback",
            "value",
            "benchmark_tier",
            "benchmark",
            "difference_pct",
            "position",
        ],
    ),
    (
        "gmv_gap",
        &[
            "scope",
            "campaign_id",
            "shop_id",
            "category",
            "tier",
            "benchmark_day",
            "is_fallback",
            "benchmark_tier",
            "gmv",
            "benchmark_gmv",
            "gap",
            "from_impressions",
            "from_ctr",
            "from_ctor",
            "from_gmv_per_sku_order",
        ],
    ),
    (
        "quarantine",
        &["reason", "column", "value", "file", "row_number", "key"],
    ),
];

/// The list of quarantine files.
pub(crate) const QUARANTINE_FILES: &str = "quarantine";

/// The field id of a column of a table or of quarantine files.
///
/// # Panics
/// When the column has no id. This is a column of a contract that was forgotten in the list.
pub fn field_id(owner: &str, column: &str) -> i32 {
    let given = GIVEN.iter().find(|(name, _)| *name == owner);
    let position = given.and_then(|(_, columns)| columns.iter().position(|name| *name == column));
    let position = position.unwrap_or_else(|| panic!("{owner}.{column} has no field id"));
    i32::try_from(position + 1).unwrap_or(i32::MAX)
}

/// Every id of a table's columns, in file order.
pub fn field_ids(table: &Table) -> impl Iterator<Item = (&'static str, i32)> {
    let columns = table.columns.iter();
    columns.map(|column| (column.name, field_id(table.name, column.name)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contracts::quarantine::QUARANTINE;
    use crate::contracts::tables;

    #[test]
    fn every_column_of_a_file_has_an_id_of_its_own() {
        for table in tables::all() {
            let ids: BTreeSet<i32> = field_ids(table).map(|(_, id)| id).collect();
            assert_eq!(ids.len(), table.columns.len(), "{}", table.name);
        }
        for column in &QUARANTINE {
            field_id(QUARANTINE_FILES, column.name);
        }
    }

    #[test]
    fn no_list_names_a_column_or_a_table_twice() {
        let owners: BTreeSet<&str> = GIVEN.iter().map(|(name, _)| *name).collect();
        assert_eq!(owners.len(), GIVEN.len());
        for (name, columns) in GIVEN {
            let distinct: BTreeSet<&&str> = columns.iter().collect();
            assert_eq!(distinct.len(), columns.len(), "{name}");
        }
    }
}
