//! The metrics of the benchmark tables, and the columns that hold them.

use super::ids::{RollupId, TableId, WindowId};

/// One metric. Its name is also its column in `shop_daily`, and in `shop_period` if the table holds
/// it.
#[derive(Debug)]
pub(crate) struct Metric {
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// For a daily distinct count: the column of `funnel_period` with its mean over the days of a
    /// period.
    pub daily_average: Option<&'static str>,
    /// Whether it is a quotient. Every other metric is a sum or a count: it can be subtracted, and
    /// one peer can dominate it.
    pub is_ratio: bool,
}

impl Metric {
    /// The metric's column in a table; `None` when the table does not hold it.
    pub(crate) fn column_of(&self, table: TableId) -> Option<&'static str> {
        match table {
            TableId::Rollup(RollupId::ShopDaily) => Some(self.name),
            TableId::Window(WindowId::ShopPeriod) if self.daily_average.is_none() => {
                Some(self.name)
            }
            TableId::Window(WindowId::FunnelPeriod) => self.daily_average,
            _ => None,
        }
    }
}

/// The name of a metric for people.
pub(crate) fn title(name: &'static str) -> &'static str {
    let known = METRICS.iter().find(|metric| metric.name == name);
    known.map_or(name, |metric| metric.title)
}

/// The columns of a table that hold values of metrics.
pub(crate) fn metric_columns(table: TableId) -> impl Iterator<Item = &'static str> {
    METRICS
        .iter()
        .filter_map(move |metric| metric.column_of(table))
}

const fn metric(name: &'static str, title: &'static str) -> Metric {
    Metric {
        name,
        title,
        daily_average: None,
        is_ratio: false,
    }
}
const fn ratio(name: &'static str, title: &'static str) -> Metric {
    Metric {
        name,
        title,
        daily_average: None,
        is_ratio: true,
    }
}
const fn distinct(name: &'static str, title: &'static str, daily_average: &'static str) -> Metric {
    Metric {
        name,
        title,
        daily_average: Some(daily_average),
        is_ratio: false,
    }
}

/// The metrics in the order of SPEC.md section 5.
pub(crate) static METRICS: [Metric; 21] = [
    metric("gmv", "GMV"),
    metric("orders", "Orders"),
    metric("sku_orders", "SKU orders"),
    metric("items_sold", "Items sold"),
    distinct("customers", "Customers", "avg_daily_customers"),
    ratio("avg_order_value", "Average order value"),
    metric("product_impressions", "Product impressions"),
    metric("product_clicks", "Product clicks"),
    ratio("ctr", "CTR"),
    ratio("ctor", "CTOR"),
    ratio("add_to_cart_rate", "Add-to-cart rate"),
    metric(
        "estimated_tiktok_contribution",
        "Estimated platform contribution",
    ),
    distinct("unique_reach", "Users reached", "avg_unique_reach"),
    distinct("unique_clicks", "Users with a click", "avg_unique_clicks"),
    metric("ad_spend", "Ad spend"),
    metric("ad_gross_revenue", "Ad gross revenue"),
    ratio("ad_roi", "Ad ROI"),
    metric("creator_new_videos", "New creator videos"),
    metric("creator_new_lives", "New creator LIVEs"),
    metric("seller_new_videos", "New seller videos"),
    metric("seller_new_lives", "New seller LIVEs"),
];
