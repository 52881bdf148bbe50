//! What the day's product traffic adds up to.

use arrow_array::Array;

use super::groups::{Channel, ChannelRef, Doings, Groups};
use crate::exports::batch::Batch;

/// Counters of one group added up.
#[derive(Clone, Copy, Default)]
pub struct Counters {
    pub impressions: i64,
    pub clicks: i64,
    pub page_views: i64,
    pub add_to_carts: i64,
}

/// Counters and exact distinct users.
#[derive(Clone, Copy, Default)]
pub struct Visits {
    pub counters: Counters,
    pub unique_reach: i64,
    pub unique_clicks: i64,
    pub unique_page_viewers: i64,
    /// Users with any page view and any add-to-cart.
    pub unique_cart_adders: i64,
}

/// Keys start with the shop.
#[derive(Default)]
pub struct TrafficSums {
    pub shops: Groups<i64, Visits>,
    pub channels: Groups<Channel, Counters>,
    pub products: Groups<(i64, i64), Visits>,
    pub contents: Groups<(i64, i64), Counters>,
    shop_users: Doings,
    product_users: Doings,
}

// What a user was seen doing.
const REACHED: u8 = 1;
const CLICKED: u8 = 2;
const VIEWED: u8 = 4;
const ADDED: u8 = 8;

impl Counters {
    fn add(&mut self, row: &Counters) {
        self.impressions += row.impressions;
        self.clicks += row.clicks;
        self.page_views += row.page_views;
        self.add_to_carts += row.add_to_carts;
    }

    fn flags(&self) -> u8 {
        let flag = |count: i64, flag: u8| if count > 0 { flag } else { 0 };
        flag(self.impressions, REACHED)
            | flag(self.clicks, CLICKED)
            | flag(self.page_views, VIEWED)
            | flag(self.add_to_carts, ADDED)
    }
}

impl Visits {
    /// `before` and `after`: the user's flags in this group without and with the row.
    fn add(&mut self, row: &Counters, (before, after): (u8, u8)) {
        let newly = |flags: u8| i64::from(after & flags == flags && before & flags != flags);
        self.counters.add(row);
        self.unique_reach += newly(REACHED);
        self.unique_clicks += newly(CLICKED);
        self.unique_page_viewers += newly(VIEWED);
        self.unique_cart_adders += newly(VIEWED | ADDED);
    }
}

/// One row of traffic.
struct Visit<'a> {
    shop_id: i64,
    product_id: i64,
    user_id: i64,
    channel: &'a str,
    content_id: Option<i64>,
    counters: Counters,
}

/// The rows of a batch.
fn visits(batch: &Batch) -> impl Iterator<Item = Visit<'_>> {
    let ints = |name| batch.ints(name).values();
    let (shop_ids, product_ids, user_ids) = (ints("shop_id"), ints("product_id"), ints("user_id"));
    let (impressions, clicks) = (ints("impressions"), ints("clicks"));
    let (page_views, add_to_carts) = (ints("page_views"), ints("add_to_carts"));
    let (channels, content_ids) = (batch.texts("channel"), batch.ints("content_id"));
    (0..batch.rows).map(move |row| Visit {
        shop_id: shop_ids[row],
        product_id: product_ids[row],
        user_id: user_ids[row],
        channel: channels.value(row),
        content_id: content_ids.is_valid(row).then(|| content_ids.value(row)),
        counters: Counters {
            impressions: impressions[row],
            clicks: clicks[row],
            page_views: page_views[row],
            add_to_carts: add_to_carts[row],
        },
    })
}

impl TrafficSums {
    pub fn add(&mut self, batch: &Batch) {
        for Visit { shop_id, product_id, user_id, channel, content_id, counters } in visits(batch) {
            let flags = counters.flags();

            let slot = self.shops.slot(shop_id);
            let seen = self.shop_users.add(slot, user_id, flags);
            self.shops.at(slot).add(&counters, seen);

            let slot = self.products.slot((shop_id, product_id));
            let seen = self.product_users.add(slot, user_id, flags);
            self.products.at(slot).add(&counters, seen);

            let slot = self.channels.slot_of(ChannelRef(shop_id, channel));
            self.channels.at(slot).add(&counters);

            if let Some(content_id) = content_id {
                let slot = self.contents.slot((shop_id, content_id));
                self.contents.at(slot).add(&counters);
            }
        }
    }
}
