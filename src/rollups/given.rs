//! Sums that another engine computed: from the batches of its results into the form of the tables.

use anyhow::{Context, Result, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{Array, RecordBatch};

use super::Sums;
use super::groups::Sorted;
use super::orders::{OrderSums, Sales, ShopSales};
use super::tally::Tally;
use super::traffic::{Counters, ProductVisits, TrafficSums, Users, Visits};

/// The results of an engine, each with the columns of its query in `jobs/spark/`.
pub(crate) struct GivenSums {
    pub shops: Vec<RecordBatch>,
    pub channels: Vec<RecordBatch>,
    pub products: Vec<RecordBatch>,
    pub skus: Vec<RecordBatch>,
    pub contents: Vec<RecordBatch>,
    pub sub_campaigns: Vec<RecordBatch>,
    pub tally: Vec<RecordBatch>,
}

impl GivenSums {
    /// # Errors
    /// When a result lacks a column, has a column of another type, or repeats a key.
    pub(crate) fn into_sums(self) -> Result<Sums> {
        let orders = OrderSums {
            shops: sorted(
                &self.shops,
                |row| row.int("shop_id"),
                |row| row.shop_sales(),
            )?,
            channels: sorted(&self.channels, |row| row.channel(), |row| row.order_lines())?,
            products: sorted(
                &self.products,
                |row| row.of_shop("product_id"),
                |row| row.sales(),
            )?,
            skus: sorted(&self.skus, |row| row.sku(), |row| row.order_lines())?,
            contents: sorted(
                &self.contents,
                |row| row.of_shop("content_id"),
                |row| row.sales(),
            )?,
            sub_campaigns: sorted(
                &self.sub_campaigns,
                |row| row.of_shop("sub_campaign_id"),
                |row| row.sales(),
            )?,
        };
        let traffic = TrafficSums {
            shops: sorted(&self.shops, |row| row.int("shop_id"), |row| row.visits())?,
            channels: sorted(&self.channels, |row| row.channel(), |row| row.counters())?,
            products: sorted(
                &self.products,
                |row| row.of_shop("product_id"),
                |row| row.product_visits(),
            )?,
            contents: sorted(
                &self.contents,
                |row| row.of_shop("content_id"),
                |row| row.counters(),
            )?,
        };
        let tally = sorted(&self.tally, |_| Ok(()), |row| row.tally())?;
        Ok(Sums {
            orders,
            traffic,
            tally: *tally.get(&()).context("the tally has one row")?,
        })
    }
}

/// The rows of a result by key.
fn sorted<K: Ord + Clone, V>(
    batches: &[RecordBatch],
    key: impl Fn(&Row) -> Result<K>,
    value: impl Fn(&Row) -> Result<V>,
) -> Result<Sorted<K, V>> {
    let mut rows = Vec::new();
    for batch in batches {
        for position in 0..batch.num_rows() {
            let row = Row { batch, position };
            rows.push((key(&row)?, value(&row)?));
        }
    }
    let count = rows.len();
    let rows = Sorted::of(rows);
    let mut keys: Vec<&K> = rows.keys().collect();
    keys.dedup();
    ensure!(keys.len() == count, "a result of the engine repeats a key");
    Ok(rows)
}

/// One row of a result.
struct Row<'a> {
    batch: &'a RecordBatch,
    position: usize,
}

impl Row<'_> {
    fn column(&self, name: &str) -> Result<&dyn Array> {
        let column = self.batch.column_by_name(name);
        let column = column.with_context(|| format!("the engine gave no column {name}"))?;
        ensure!(
            column.is_valid(self.position),
            "the engine gave a null in {name}"
        );
        Ok(column.as_ref())
    }

    fn int(&self, name: &str) -> Result<i64> {
        let values = self.column(name)?.as_primitive_opt::<Int64Type>();
        let values = values.with_context(|| format!("{name} is no BIGINT"))?;
        Ok(values.value(self.position))
    }

    fn cents(&self, name: &str) -> Result<i128> {
        let values = self.column(name)?.as_primitive_opt::<Decimal128Type>();
        let values = values.filter(|values| values.scale() == 2);
        let values = values.with_context(|| format!("{name} is no DECIMAL(38,2)"))?;
        Ok(values.value(self.position))
    }

    fn text(&self, name: &str) -> Result<String> {
        let column = self.column(name)?;
        let text = column
            .as_string_opt::<i32>()
            .map(|texts| texts.value(self.position))
            .or_else(|| Some(column.as_string_opt::<i64>()?.value(self.position)))
            .or_else(|| Some(column.as_string_view_opt()?.value(self.position)));
        Ok(text
            .with_context(|| format!("{name} is no STRING"))?
            .to_owned())
    }

    fn of_shop(&self, name: &str) -> Result<(i64, i64)> {
        Ok((self.int("shop_id")?, self.int(name)?))
    }

    fn channel(&self) -> Result<(i64, String)> {
        Ok((self.int("shop_id")?, self.text("channel")?))
    }

    fn sku(&self) -> Result<(i64, i64, i64)> {
        let (shop, product) = self.of_shop("product_id")?;
        Ok((shop, product, self.int("sku_id")?))
    }

    /// Where no table has the number of orders.
    fn order_lines(&self) -> Result<Sales> {
        Ok(Sales {
            orders: 0,
            sku_orders: self.int("sku_orders")?,
            items_sold: self.int("items_sold")?,
            gmv: self.cents("gmv")?,
        })
    }

    fn sales(&self) -> Result<Sales> {
        Ok(Sales {
            orders: self.int("orders")?,
            ..self.order_lines()?
        })
    }

    fn shop_sales(&self) -> Result<ShopSales> {
        Ok(ShopSales {
            sales: self.sales()?,
            customers: self.int("customers")?,
            contribution_product: self.cents("contribution_product")?,
            contribution_shipping: self.cents("contribution_shipping")?,
        })
    }

    fn counters(&self) -> Result<Counters> {
        Ok(Counters {
            impressions: self.int("product_impressions")?,
            clicks: self.int("product_clicks")?,
            page_views: self.int("page_views")?,
            add_to_carts: self.int("add_to_carts")?,
        })
    }

    fn visits(&self) -> Result<Visits> {
        Ok(Visits {
            counters: self.counters()?,
            users: Users {
                reached: self.int("unique_reach")?,
                clicked: self.int("unique_clicks")?,
                viewed: self.int("unique_page_viewers")?,
                added: self.int("unique_cart_adders")?,
            },
        })
    }

    fn product_visits(&self) -> Result<ProductVisits> {
        Ok(ProductVisits {
            counters: self.counters()?,
            viewed: self.int("unique_page_viewers")?,
            added: self.int("unique_cart_adders")?,
        })
    }

    fn tally(&self) -> Result<Tally> {
        Ok(Tally {
            gmv: self.cents("gmv")?,
            sku_orders: self.int("sku_orders")?.into(),
            items_sold: self.int("items_sold")?.into(),
            product_impressions: self.int("product_impressions")?.into(),
            product_clicks: self.int("product_clicks")?.into(),
        })
    }
}
