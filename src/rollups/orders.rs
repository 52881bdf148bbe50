//! What the day's order lines add up to.

use arrow_array::Array;

use super::groups::{Channel, ChannelRef, Distinct, Groups};
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
    pub channels: Groups<Channel, Sales>,
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

/// One order line; money in cents.
struct Line<'a> {
    order_id: i64,
    sku_id: i64,
    product_id: i64,
    shop_id: i64,
    buyer_id: i64,
    quantity: i64,
    gmv: i128,
    platform_discount: i128,
    shipping_platform_discount: i128,
    channel: &'a str,
    content_id: Option<i64>,
    sub_campaign_id: Option<i64>,
}

/// The order lines of a batch, row by row.
fn lines(batch: &Batch) -> impl Iterator<Item = Line<'_>> {
    let ints = |name| batch.ints(name).values();
    let cents = |name| batch.money(name).values();
    let (order_ids, sku_ids, product_ids) = (ints("order_id"), ints("sku_id"), ints("product_id"));
    let (shop_ids, buyer_ids, quantities) = (ints("shop_id"), ints("buyer_id"), ints("quantity"));
    let (sub_totals, shipping_fees) = (cents("sub_total"), cents("shipping_fee"));
    let (discounts, shipping_discounts) = (cents("platform_discount"), cents("shipping_platform_discount"));
    let channels = batch.texts("channel");
    let (content_ids, sub_campaign_ids) = (batch.ints("content_id"), batch.ints("sub_campaign_id"));
    (0..batch.rows).map(move |row| Line {
        order_id: order_ids[row],
        sku_id: sku_ids[row],
        product_id: product_ids[row],
        shop_id: shop_ids[row],
        buyer_id: buyer_ids[row],
        quantity: quantities[row],
        gmv: sub_totals[row] + shipping_fees[row],
        platform_discount: discounts[row],
        shipping_platform_discount: shipping_discounts[row],
        channel: channels.value(row),
        content_id: content_ids.is_valid(row).then(|| content_ids.value(row)),
        sub_campaign_id: sub_campaign_ids.is_valid(row).then(|| sub_campaign_ids.value(row)),
    })
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
        for line in lines(batch) {
            self.add_to_shop(&line);
            self.add_to_parts(&line);
        }
    }

    fn add_to_shop(&mut self, line: &Line) {
        let slot = self.shops.slot(line.shop_id);
        let new_orders = self.shop_orders.insert(slot, line.order_id);
        let new_customers = self.shop_buyers.insert(slot, line.buyer_id);
        let shop = self.shops.at(slot);
        shop.sales.add(line, new_orders);
        shop.customers += new_customers;
        shop.contribution_product += line.platform_discount;
        shop.contribution_shipping += line.shipping_platform_discount;
        match line.channel {
            LIVE => shop.gmv_live += line.gmv,
            VIDEO => shop.gmv_video += line.gmv,
            _ => shop.gmv_product_card += line.gmv,
        }
    }

    /// The shop's channel, SKU, product, content and sub-campaign.
    fn add_to_parts(&mut self, line: &Line) {
        // Orders are not counted by channel and SKU: no table has them.
        let slot = self.channels.slot_of(ChannelRef(line.shop_id, line.channel));
        self.channels.at(slot).add(line, 0);
        let slot = self.skus.slot((line.shop_id, line.product_id, line.sku_id));
        self.skus.at(slot).add(line, 0);
        add_counted(&mut self.products, &mut self.product_orders, line.product_id, line);
        if let Some(content_id) = line.content_id {
            add_counted(&mut self.contents, &mut self.content_orders, content_id, line);
        }
        if let Some(sub_campaign_id) = line.sub_campaign_id {
            add_counted(&mut self.sub_campaigns, &mut self.sub_campaign_orders, sub_campaign_id, line);
        }
    }
}

/// Adds to a group of the line's shop that orders are counted by.
fn add_counted(groups: &mut Groups<(i64, i64), Sales>, orders: &mut Distinct, id: i64, line: &Line) {
    let slot = groups.slot((line.shop_id, id));
    let new_orders = orders.insert(slot, line.order_id);
    groups.at(slot).add(line, new_orders);
}
