//! What the day's order lines add up to.

use arrow_array::Array;

use super::groups::{Distinct, Groups};
use crate::contracts::datasets::{LIVE, VIDEO};
use crate::exports::batch::Batch;

/// Order lines of one group added up; money in cents.
#[derive(Clone, Copy, Default)]
pub struct Sales {
    pub orders: i64,
    pub sku_orders: i64,
    pub items_sold: i64,
    pub gmv: i128,
}

/// A shop's order lines added up; money in cents.
#[derive(Clone, Copy, Default)]
pub struct ShopSales {
    pub sales: Sales,
    pub gmv_live: i128,
    pub gmv_video: i128,
    pub gmv_product_card: i128,
    pub customers: i64,
    pub contribution_product: i128,
    pub contribution_shipping: i128,
}

/// Keys start with the shop.
#[derive(Default)]
pub struct OrderSums {
    pub shops: Groups<i64, ShopSales>,
    pub channels: Groups<(i64, String), Sales>,
    pub products: Groups<(i64, i64), Sales>,
    pub skus: Groups<(i64, i64, i64), Sales>,
    pub contents: Groups<(i64, i64), Sales>,
    pub sub_campaigns: Groups<(i64, i64), Sales>,
    shop_orders: Distinct,
    shop_buyers: Distinct,
    product_orders: Distinct,
    content_orders: Distinct,
    sub_campaign_orders: Distinct,
}

/// One order line, as far as it is added up.
struct Line {
    order_id: i64,
    quantity: i64,
    gmv: i128,
}

impl Sales {
    /// `new_orders`: 1 if this is the group's first line of its order.
    fn add(&mut self, line: &Line, new_orders: i64) {
        self.orders += new_orders;
        self.sku_orders += 1;
        self.items_sold += line.quantity;
        self.gmv += line.gmv;
    }
}

impl OrderSums {
    pub fn add(&mut self, batch: &Batch) {
        let ints = |name| batch.ints(name).values();
        let cents = |name| batch.money(name).values();
        let (order_ids, sku_ids, product_ids) = (ints("order_id"), ints("sku_id"), ints("product_id"));
        let (shop_ids, buyer_ids, quantities) = (ints("shop_id"), ints("buyer_id"), ints("quantity"));
        let (sub_totals, shipping_fees) = (cents("sub_total"), cents("shipping_fee"));
        let (discounts, shipping_discounts) = (cents("platform_discount"), cents("shipping_platform_discount"));
        let channels = batch.texts("channel");
        let (content_ids, sub_campaign_ids) = (batch.ints("content_id"), batch.ints("sub_campaign_id"));
        for row in 0..batch.rows {
            let (shop_id, product_id, channel) = (shop_ids[row], product_ids[row], channels.value(row));
            let line =
                Line { order_id: order_ids[row], quantity: quantities[row], gmv: sub_totals[row] + shipping_fees[row] };

            let slot = self.shops.slot(shop_id);
            let new_orders = self.shop_orders.insert(slot, line.order_id);
            let new_customers = self.shop_buyers.insert(slot, buyer_ids[row]);
            let shop = self.shops.at(slot);
            shop.sales.add(&line, new_orders);
            shop.customers += new_customers;
            shop.contribution_product += discounts[row];
            shop.contribution_shipping += shipping_discounts[row];
            match channel {
                LIVE => shop.gmv_live += line.gmv,
                VIDEO => shop.gmv_video += line.gmv,
                _ => shop.gmv_product_card += line.gmv,
            }

            // Orders are not counted by channel and SKU: no table has them.
            let slot = self.channels.slot((shop_id, channel.to_owned()));
            self.channels.at(slot).add(&line, 0);
            let slot = self.skus.slot((shop_id, product_id, sku_ids[row]));
            self.skus.at(slot).add(&line, 0);

            let distinct = &mut self.product_orders;
            add_counted(&mut self.products, distinct, (shop_id, product_id), &line);
            if content_ids.is_valid(row) {
                let key = (shop_id, content_ids.value(row));
                add_counted(&mut self.contents, &mut self.content_orders, key, &line);
            }
            if sub_campaign_ids.is_valid(row) {
                let key = (shop_id, sub_campaign_ids.value(row));
                add_counted(&mut self.sub_campaigns, &mut self.sub_campaign_orders, key, &line);
            }
        }
    }
}

fn add_counted(groups: &mut Groups<(i64, i64), Sales>, orders: &mut Distinct, key: (i64, i64), line: &Line) {
    let slot = groups.slot(key);
    let new_orders = orders.insert(slot, line.order_id);
    groups.at(slot).add(line, new_orders);
}
