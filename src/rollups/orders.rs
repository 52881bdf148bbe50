//! Sums over the day's order lines, by shop, channel, product, SKU, content and sub-campaign.

use std::ops::AddAssign;
use std::sync::Mutex;

use anyhow::Result;
use arrow_array::Array;

use super::channels::{Channel, ChannelNumbers, Channels, with_names};
use super::groups::{Distinct, Groups, Sorted, sort};
use super::tally::Tally;
use crate::exports::RowWriter;
use crate::exports::batch::Batch;
use crate::exports::open_export::OpenExport;
use crate::resources::Resources;
use crate::shuffle::sum::{Adder, Pass, SetMemory, Summing};
use crate::shuffle::{Block, Row, Shuffle, Writer, less, more, named_row};
use crate::threads::{into_inner, lock};

/// Order lines of one group added up; money in cents.
#[derive(Clone, Copy, Default)]
pub(super) struct Sales {
    pub orders: i64,
    pub sku_orders: i64,
    pub items_sold: i64,
    pub gmv: i128,
}

/// A shop's order lines added up; money in cents.
#[derive(Clone, Copy, Default)]
pub(super) struct ShopSales {
    pub sales: Sales,
    pub customers: i64,
    pub contribution_product: i128,
    pub contribution_shipping: i128,
}

/// The day's order lines by shop, channel, product, SKU, content and sub-campaign. Orders are not
/// counted by channel and SKU: no table has them.
pub(super) struct OrderSums {
    pub shops: Sorted<i64, ShopSales>,
    pub channels: Sorted<Channel, Sales>,
    pub products: Sorted<(i64, i64), Sales>,
    pub skus: Sorted<(i64, i64, i64), Sales>,
    pub contents: Sorted<(i64, i64), Sales>,
    pub sub_campaigns: Sorted<(i64, i64), Sales>,
}

/// One order line; money in cents.
struct Line {
    position: u64,
    shop_id: i64,
    order_id: i64,
    buyer_id: i64,
    product_id: i64,
    sku_id: i64,
    quantity: i64,
    gmv: i128,
    platform_discount: i128,
    shipping_platform_discount: i128,
    channel: u32,
    content_id: Option<i64>,
    sub_campaign_id: Option<i64>,
}

named_row! {
    /// A shuffled [`Line`]; ids less their least ones. Money is not negative and below 10^18 cents,
    /// the sum of two of them below 2 * 10^18.
    ShuffledLine {
        position,
        shop,
        order,
        buyer,
        product,
        sku,
        quantity,
        gmv,
        platform_discount,
        shipping_platform_discount,
        channel_and_flags,
        content,
        sub_campaign,
    }
}

const VALUES: usize = ShuffledLine::VALUES;

// The kinds of members.
const ORDERS: usize = 0;
const BUYERS: usize = 1;

/// The least ids of the dataset, as its files tell; rows hold how much more theirs are, modulo
/// 2^64.
#[derive(Clone, Copy)]
struct LeastIds {
    shop: i64,
    order: i64,
    buyer: i64,
    product: i64,
    sku: i64,
    content: i64,
    sub_campaign: i64,
}

const HAS_CONTENT: u64 = 1;
const HAS_SUB_CAMPAIGN: u64 = 2;
const FLAG_BITS: u32 = 2;

impl Line {
    fn shuffled(&self, least: &LeastIds) -> Row<VALUES> {
        let mut flags = 0;
        if self.content_id.is_some() {
            flags |= HAS_CONTENT;
        }
        if self.sub_campaign_id.is_some() {
            flags |= HAS_SUB_CAMPAIGN;
        }
        ShuffledLine {
            position: self.position,
            shop: less(self.shop_id, least.shop),
            order: less(self.order_id, least.order),
            buyer: less(self.buyer_id, least.buyer),
            product: less(self.product_id, least.product),
            sku: less(self.sku_id, least.sku),
            quantity: self.quantity as u64,
            gmv: self.gmv as u64,
            platform_discount: self.platform_discount as u64,
            shipping_platform_discount: self.shipping_platform_discount as u64,
            channel_and_flags: u64::from(self.channel) << FLAG_BITS | flags,
            content: self.content_id.map_or(0, |id| less(id, least.content)),
            sub_campaign: self
                .sub_campaign_id
                .map_or(0, |id| less(id, least.sub_campaign)),
        }
        .into_row()
    }

    fn of(row: &Row<VALUES>, least: &LeastIds) -> Line {
        let row = ShuffledLine::of_row(*row);
        let flags = row.channel_and_flags;
        Line {
            position: row.position,
            shop_id: more(row.shop, least.shop),
            order_id: more(row.order, least.order),
            buyer_id: more(row.buyer, least.buyer),
            product_id: more(row.product, least.product),
            sku_id: more(row.sku, least.sku),
            quantity: row.quantity as i64,
            gmv: row.gmv.into(),
            platform_discount: row.platform_discount.into(),
            shipping_platform_discount: row.shipping_platform_discount.into(),
            channel: (flags >> FLAG_BITS) as u32,
            content_id: (flags & HAS_CONTENT > 0).then(|| more(row.content, least.content)),
            sub_campaign_id: (flags & HAS_SUB_CAMPAIGN > 0)
                .then(|| more(row.sub_campaign, least.sub_campaign)),
        }
    }
}

/// The order lines of a batch; channels by their numbers.
fn lines<'a>(batch: &'a Batch, numbers: &'a [u32]) -> impl Iterator<Item = Line> + 'a {
    let positions = batch.positions().values();
    let (order_ids, sku_ids, product_ids) = (
        batch.ints("order_id").values(),
        batch.ints("sku_id").values(),
        batch.ints("product_id").values(),
    );
    let (shop_ids, buyer_ids, quantities) = (
        batch.ints("shop_id").values(),
        batch.ints("buyer_id").values(),
        batch.ints("quantity").values(),
    );
    let (sub_totals, shipping_fees) = (
        batch.money("sub_total").values(),
        batch.money("shipping_fee").values(),
    );
    let (discounts, shipping_discounts) = (
        batch.money("platform_discount").values(),
        batch.money("shipping_platform_discount").values(),
    );
    let channels = batch.codes("channel").keys();
    let (content_ids, sub_campaign_ids) = (batch.ints("content_id"), batch.ints("sub_campaign_id"));
    (0..batch.rows).map(move |row| Line {
        position: positions[row] as u64,
        shop_id: shop_ids[row],
        order_id: order_ids[row],
        buyer_id: buyer_ids[row],
        product_id: product_ids[row],
        sku_id: sku_ids[row],
        quantity: quantities[row],
        gmv: sub_totals[row] + shipping_fees[row],
        platform_discount: discounts[row],
        shipping_platform_discount: shipping_discounts[row],
        channel: numbers[channels.value(row) as usize],
        content_id: content_ids.is_valid(row).then(|| content_ids.value(row)),
        sub_campaign_id: sub_campaign_ids
            .is_valid(row)
            .then(|| sub_campaign_ids.value(row)),
    })
}

/// The order lines of a day while they are read.
pub(super) struct Orders {
    shuffle: Shuffle<VALUES>,
    least: LeastIds,
    channels: Channels,
    sets: SetMemory,
    tally: Mutex<Tally>,
}

/// Bytes that a line can take in the sets of orders and buyers, of which it is in up to five.
const SET_BYTES_PER_ROW: u64 = 300;

impl Orders {
    /// Takes a quarter of the memory for lines and a quarter for sets; another quarter is for
    /// finding repeated keys.
    pub(super) fn new(export: &OpenExport, resources: &Resources) -> Orders {
        Orders {
            shuffle: Shuffle::new(
                &export.shops_of_row_groups(),
                resources.memory_bytes / 4,
                resources,
            ),
            least: LeastIds {
                shop: export.least("shop_id"),
                order: export.least("order_id"),
                buyer: export.least("buyer_id"),
                product: export.least("product_id"),
                sku: export.least("sku_id"),
                content: export.least("content_id"),
                sub_campaign: export.least("sub_campaign_id"),
            },
            channels: Channels::default(),
            sets: SetMemory::new(resources.memory_bytes / 4, SET_BYTES_PER_ROW, resources),
            tally: Mutex::default(),
        }
    }

    pub(super) fn writer(&self) -> OrderWriter<'_> {
        OrderWriter {
            orders: self,
            lines: self.shuffle.writer(),
            channels: ChannelNumbers::new(&self.channels),
            tally: Tally::default(),
        }
    }

    /// Adds up all lines but those at the `repeated` positions, which are sorted.
    pub(super) fn sum(self, repeated: &[u64], resources: &Resources) -> Result<(OrderSums, Tally)> {
        let summing = Summing {
            shuffle: &self.shuffle,
            sets: self.sets,
        };
        let adders = summing.add_all(|| OrderAdder::new(self.least, repeated), resources)?;
        drop(self.shuffle);
        let names = self.channels.into_names();
        let mut tally = into_inner(self.tally);
        let mut channels = Vec::new();
        let (mut shops, mut products, mut skus) = (Vec::new(), Vec::new(), Vec::new());
        let (mut contents, mut sub_campaigns) = (Vec::new(), Vec::new());
        for done in resources.map(adders, |adder| adder.done.sorted()) {
            let out = done.left_out;
            tally.leave_out(out.gmv, out.sku_orders, out.items_sold);
            shops.push(done.shops);
            channels.push(with_names(done.channels, &names));
            products.push(done.products);
            skus.push(done.skus);
            contents.push(done.contents);
            sub_campaigns.push(done.sub_campaigns);
        }
        let sums = OrderSums {
            shops: Sorted::sum_of(shops),
            channels: Sorted::sum_of(channels),
            products: Sorted::sum_of(products),
            skus: Sorted::sum_of(skus),
            contents: Sorted::sum_of(contents),
            sub_campaigns: Sorted::sum_of(sub_campaigns),
        };
        Ok((sums, tally))
    }
}

/// One thread's entry to the day's order lines.
pub(super) struct OrderWriter<'a> {
    orders: &'a Orders,
    lines: Writer<'a, VALUES>,
    channels: ChannelNumbers<'a>,
    tally: Tally,
}

impl RowWriter for OrderWriter<'_> {
    fn write(&mut self, batch: &Batch) -> Result<()> {
        self.tally.add(batch);
        let numbers = self.channels.of(batch.codes("channel"));
        for line in lines(batch, numbers) {
            self.lines
                .add(line.shop_id, &line.shuffled(&self.orders.least))?;
        }
        Ok(())
    }

    /// No shop is complete before it is known which lines repeat a key.
    fn end_row_group(&mut self, _position: usize) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.lines.flush()?;
        lock(&self.orders.tally).merge(&self.tally);
        Ok(())
    }
}

/// Adds shops up, partition by partition.
struct OrderAdder<'a> {
    least: LeastIds,
    /// Positions of lines that are not used, sorted.
    repeated: &'a [u64],
    shops: Groups<i64, ShopSales>,
    // By the shop's slot.
    channels: Groups<(u32, u32), Sales>,
    products: Groups<(u32, i64), Sales>,
    skus: Groups<(u32, i64, i64), Sales>,
    contents: Groups<(u32, i64), Sales>,
    sub_campaigns: Groups<(u32, i64), Sales>,
    shop_orders: Distinct,
    shop_buyers: Distinct,
    product_orders: Distinct,
    content_orders: Distinct,
    sub_campaign_orders: Distinct,
    done: Done,
}

/// Shops that are complete; keys start with the shop.
#[derive(Default)]
struct Done {
    shops: Vec<(i64, ShopSales)>,
    channels: Vec<((i64, u32), Sales)>,
    products: Vec<((i64, i64), Sales)>,
    skus: Vec<((i64, i64, i64), Sales)>,
    contents: Vec<((i64, i64), Sales)>,
    sub_campaigns: Vec<((i64, i64), Sales)>,
    /// Totals over the repeated lines.
    left_out: Sales,
}

impl AddAssign for Sales {
    fn add_assign(&mut self, more: Sales) {
        self.orders += more.orders;
        self.sku_orders += more.sku_orders;
        self.items_sold += more.items_sold;
        self.gmv += more.gmv;
    }
}

impl AddAssign for ShopSales {
    fn add_assign(&mut self, more: ShopSales) {
        self.sales += more.sales;
        self.customers += more.customers;
        self.contribution_product += more.contribution_product;
        self.contribution_shipping += more.contribution_shipping;
    }
}

impl Done {
    fn sorted(mut self) -> Done {
        sort(&mut self.shops);
        sort(&mut self.channels);
        sort(&mut self.products);
        sort(&mut self.skus);
        sort(&mut self.contents);
        sort(&mut self.sub_campaigns);
        self
    }
}

impl Sales {
    fn add(&mut self, line: &Line) {
        self.sku_orders += 1;
        self.items_sold += line.quantity;
        self.gmv += line.gmv;
    }
}

impl<'a> OrderAdder<'a> {
    fn new(least: LeastIds, repeated: &'a [u64]) -> Self {
        OrderAdder {
            least,
            repeated,
            shops: Groups::default(),
            channels: Groups::default(),
            products: Groups::default(),
            skus: Groups::default(),
            contents: Groups::default(),
            sub_campaigns: Groups::default(),
            shop_orders: Distinct::default(),
            shop_buyers: Distinct::default(),
            product_orders: Distinct::default(),
            content_orders: Distinct::default(),
            sub_campaign_orders: Distinct::default(),
            done: Done::default(),
        }
    }
}

/// Adds to a group that orders are counted by.
fn add_counted(
    groups: &mut Groups<(u32, i64), Sales>,
    orders: &mut Distinct,
    key: (u32, i64),
    line: &Line,
    pass: Pass,
) {
    let slot = groups.slot(key);
    let group = groups.at(slot);
    if pass.has_sums() {
        group.add(line);
    }
    if pass.has_members(ORDERS) {
        group.orders += orders.insert(slot, line.order_id);
    }
}

impl Adder<VALUES> for OrderAdder<'_> {
    const MEMBER_KINDS: usize = 2;

    fn member(row: &Row<VALUES>, kind: usize) -> u64 {
        let row = ShuffledLine::of_row(*row);
        if kind == ORDERS { row.order } else { row.buyer }
    }

    fn add(&mut self, rows: &Block<VALUES>, pass: Pass) {
        rows.each_row()
            .for_each(|row| self.add_line(&Line::of(&row, &self.least), pass));
    }

    fn end_members(&mut self) {
        for members in [
            &mut self.shop_orders,
            &mut self.shop_buyers,
            &mut self.product_orders,
            &mut self.content_orders,
            &mut self.sub_campaign_orders,
        ] {
            members.clear();
        }
    }

    fn end_partition(&mut self) {
        let (shops, done) = (&mut self.shops, &mut self.done);
        done.channels.extend(
            self.channels
                .drain()
                .map(|((shop, channel), sales)| ((shops.key(shop), channel), sales)),
        );
        done.products.extend(
            self.products
                .drain()
                .map(|((shop, id), sales)| ((shops.key(shop), id), sales)),
        );
        done.skus.extend(
            self.skus
                .drain()
                .map(|((shop, id, sku), sales)| ((shops.key(shop), id, sku), sales)),
        );
        done.contents.extend(
            self.contents
                .drain()
                .map(|((shop, id), sales)| ((shops.key(shop), id), sales)),
        );
        done.sub_campaigns.extend(
            self.sub_campaigns
                .drain()
                .map(|((shop, id), sales)| ((shops.key(shop), id), sales)),
        );
        done.shops.extend(shops.drain());
    }
}

impl OrderAdder<'_> {
    fn add_line(&mut self, line: &Line, pass: Pass) {
        if self.repeated.binary_search(&line.position).is_ok() {
            if pass.has_sums() {
                self.done.left_out.add(line);
            }
            return;
        }
        let slot = self.shops.slot(line.shop_id);
        let shop = self.shops.at(slot);
        if pass.has_sums() {
            shop.sales.add(line);
            shop.contribution_product += line.platform_discount;
            shop.contribution_shipping += line.shipping_platform_discount;
            let channel = self.channels.slot((slot, line.channel));
            self.channels.at(channel).add(line);
            let sku = self.skus.slot((slot, line.product_id, line.sku_id));
            self.skus.at(sku).add(line);
        }
        if pass.has_members(ORDERS) {
            shop.sales.orders += self.shop_orders.insert(slot, line.order_id);
        }
        if pass.has_members(BUYERS) {
            shop.customers += self.shop_buyers.insert(slot, line.buyer_id);
        }
        add_counted(
            &mut self.products,
            &mut self.product_orders,
            (slot, line.product_id),
            line,
            pass,
        );
        if let Some(content_id) = line.content_id {
            add_counted(
                &mut self.contents,
                &mut self.content_orders,
                (slot, content_id),
                line,
                pass,
            );
        }
        if let Some(sub_campaign_id) = line.sub_campaign_id {
            let key = (slot, sub_campaign_id);
            add_counted(
                &mut self.sub_campaigns,
                &mut self.sub_campaign_orders,
                key,
                line,
                pass,
            );
        }
    }
}
