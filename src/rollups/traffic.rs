//! Sums over the day's product traffic, by shop, channel, product and content.

use std::sync::Mutex;

use anyhow::Result;
use arrow_array::Array;

use super::channels::{Channel, ChannelNumbers, Channels, with_names};
use super::groups::{Doings, Groups, Sorted};
use super::tally::Tally;
use crate::exports::RowWriter;
use crate::exports::batch::Batch;
use crate::exports::open_export::OpenExport;
use crate::resources::Resources;
use crate::shuffle::sum::{Adder, Pass, SetMemory, Summing};
use crate::shuffle::{Row, Shuffle, Writer, less, more, named_row};
use crate::threads::{into_inner, lock};

/// Counters of one group added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub impressions: i64,
    pub clicks: i64,
    pub page_views: i64,
    pub add_to_carts: i64,
}

/// Counters and exact distinct users.
#[derive(Clone, Copy, Default)]
pub(super) struct Visits {
    pub counters: Counters,
    pub users: Users,
}

/// Of a product; no table has its reach or clicks by user.
#[derive(Clone, Copy, Default)]
pub(super) struct ProductVisits {
    pub counters: Counters,
    pub viewed: i64,
    /// Users with any page view and any add-to-cart.
    pub added: i64,
}

/// Distinct users, by action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Users {
    pub reached: i64,
    pub clicked: i64,
    pub viewed: i64,
    /// With any page view and any add-to-cart.
    pub added: i64,
}

/// The day's traffic by shop, channel, product and content.
pub(super) struct TrafficSums {
    pub shops: Sorted<i64, Visits>,
    pub channels: Sorted<Channel, Counters>,
    pub products: Sorted<(i64, i64), ProductVisits>,
    pub contents: Sorted<(i64, i64), Counters>,
}

// Actions of a user, as flags.
const REACHED: u8 = 1;
const CLICKED: u8 = 2;
const VIEWED: u8 = 4;
const ADDED: u8 = 8;

impl Counters {
    #[inline]
    fn add(&mut self, more: &Counters) {
        self.impressions += more.impressions;
        self.clicks += more.clicks;
        self.page_views += more.page_views;
        self.add_to_carts += more.add_to_carts;
    }

    #[inline]
    fn flags(&self) -> u8 {
        flag_of(self.impressions, REACHED)
            | flag_of(self.clicks, CLICKED)
            | flag_of(self.page_views, VIEWED)
            | flag_of(self.add_to_carts, ADDED)
    }

    /// Four times four bits and 0 where all are small, as nearly all are; else four times 32 bits.
    /// They are INT32 and not negative.
    #[inline]
    fn packed(&self) -> [u64; 2] {
        let [i, c, v, a] = [
            self.impressions,
            self.clicks,
            self.page_views,
            self.add_to_carts,
        ]
        .map(|n| n as u64);
        if (i | c | v | a) < 16 {
            [i | c << 4 | v << 8 | a << 12, 0]
        } else {
            [i | c << 32, (v | a << 32) + 1]
        }
    }

    #[inline]
    fn unpacked([low, high]: [u64; 2]) -> Counters {
        let parts = match high.checked_sub(1) {
            None => [low & 15, low >> 4 & 15, low >> 8 & 15, low >> 12],
            Some(high) => [low & 0xffff_ffff, low >> 32, high & 0xffff_ffff, high >> 32],
        };
        let [impressions, clicks, page_views, add_to_carts] = parts.map(|n| n as i64);
        Counters {
            impressions,
            clicks,
            page_views,
            add_to_carts,
        }
    }
}

#[inline]
fn flag_of(count: i64, flag: u8) -> u8 {
    if count > 0 { flag } else { 0 }
}

/// The counts of one user, for each combination of flags.
const ONE_USER: [Users; 16] = {
    let mut counted = [Users {
        reached: 0,
        clicked: 0,
        viewed: 0,
        added: 0,
    }; 16];
    let mut flags = 0;
    while flags < 16 {
        counted[flags as usize] = Users {
            reached: (flags & REACHED > 0) as i64,
            clicked: (flags & CLICKED > 0) as i64,
            viewed: (flags & VIEWED > 0) as i64,
            added: (flags & VIEWED > 0 && flags & ADDED > 0) as i64,
        };
        flags += 1;
    }
    counted
};

impl Users {
    #[inline]
    fn count(&mut self, flags: u8) {
        let one = &ONE_USER[usize::from(flags & 15)];
        self.reached += one.reached;
        self.clicked += one.clicked;
        self.viewed += one.viewed;
        self.added += one.added;
    }
}

named_row! {
    /// A shuffled row of traffic; ids less their least ones. The last bit of the channel says
    /// whether there is a content.
    ShuffledVisit {
        shop,
        product,
        user,
        content,
        channel_and_flag,
        low_counters,
        high_counters,
    }
}

const VALUES: usize = ShuffledVisit::VALUES;

/// The kind of members.
const USERS: usize = 0;

/// The least ids of the dataset, as its files tell; rows hold how much more theirs are, modulo
/// 2^64.
#[derive(Clone, Copy)]
struct LeastIds {
    shop: i64,
    product: i64,
    user: i64,
    content: i64,
}

/// The traffic of a day while it is read.
pub(super) struct Traffic {
    shuffle: Shuffle<VALUES>,
    least: LeastIds,
    channels: Channels,
    sets: SetMemory,
    resources: Resources,
    /// Sums of the partitions that were complete before the last row.
    added: Mutex<Vec<Done>>,
    tally: Mutex<Tally>,
}

/// Bytes that a row can take in the tables of users by shop and by product: 16 in each, which are
/// at least three eighths full, and half as much again while they grow.
const SET_BYTES_PER_ROW: u64 = 120;

impl Traffic {
    /// Takes half of the memory for rows and a quarter for the sets of users.
    pub(super) fn new(export: &OpenExport, resources: &Resources) -> Traffic {
        Traffic {
            shuffle: Shuffle::new(
                &export.shops_of_row_groups(),
                resources.memory_bytes / 2,
                resources,
            ),
            least: LeastIds {
                shop: export.least("shop_id"),
                product: export.least("product_id"),
                user: export.least("user_id"),
                content: export.least("content_id"),
            },
            channels: Channels::default(),
            sets: SetMemory::new(resources.memory_bytes / 4, SET_BYTES_PER_ROW, resources),
            resources: resources.clone(),
            added: Mutex::default(),
            tally: Mutex::default(),
        }
    }

    pub(super) fn writer(&self) -> TrafficWriter<'_> {
        TrafficWriter {
            traffic: self,
            rows: self.shuffle.writer(),
            channels: ChannelNumbers::new(&self.channels),
            adder: None,
            buffer: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn summing(&self) -> Summing<'_, VALUES> {
        Summing {
            shuffle: &self.shuffle,
            sets: self.sets,
        }
    }

    /// Adds up what is left once all rows are written.
    pub(super) fn sum(self) -> Result<(TrafficSums, Tally)> {
        let rest = self
            .summing()
            .add_all(|| TrafficAdder::new(self.least), &self.resources)?;
        drop(self.shuffle);
        let mut all = into_inner(self.added);
        all.extend(rest.into_iter().map(|adder| adder.done));
        let names = self.channels.into_names();
        let mut channels = Vec::new();
        let (mut shops, mut products, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        for done in all {
            channels.push(with_names(done.channels, &names));
            shops.push(done.shops);
            products.push(done.products);
            contents.push(done.contents);
        }
        let sums = TrafficSums {
            shops: Sorted::of(shops),
            channels: Sorted::of(channels),
            products: Sorted::of(products),
            contents: Sorted::of(contents),
        };
        Ok((sums, into_inner(self.tally)))
    }
}

/// One thread's entry to the day's traffic.
pub(super) struct TrafficWriter<'a> {
    traffic: &'a Traffic,
    rows: Writer<'a, VALUES>,
    channels: ChannelNumbers<'a>,
    /// Made when shops become complete before the last row is read.
    adder: Option<TrafficAdder>,
    buffer: Vec<u8>,
    tally: Tally,
}

impl RowWriter for TrafficWriter<'_> {
    fn write(&mut self, batch: &Batch) -> Result<()> {
        self.tally.add(batch);
        let (shop_ids, product_ids, user_ids) = (
            batch.ints("shop_id").values(),
            batch.ints("product_id").values(),
            batch.ints("user_id").values(),
        );
        let (impressions, clicks) = (
            batch.ints("impressions").values(),
            batch.ints("clicks").values(),
        );
        let (page_views, add_to_carts) = (
            batch.ints("page_views").values(),
            batch.ints("add_to_carts").values(),
        );
        let (content_ids, channel) = (batch.ints("content_id"), batch.codes("channel"));
        let (channels, least) = (self.channels.of(channel), self.traffic.least);
        for row in 0..batch.rows {
            let (content, has_content) = match content_ids.is_valid(row) {
                true => (less(content_ids.value(row), least.content), 1),
                false => (0, 0),
            };
            let counters = Counters {
                impressions: impressions[row],
                clicks: clicks[row],
                page_views: page_views[row],
                add_to_carts: add_to_carts[row],
            };
            let number = channels[channel.keys().value(row) as usize];
            let [low_counters, high_counters] = counters.packed();
            let shuffled = ShuffledVisit {
                shop: less(shop_ids[row], least.shop),
                product: less(product_ids[row], least.product),
                user: less(user_ids[row], least.user),
                content,
                channel_and_flag: u64::from(number) << 1 | has_content,
                low_counters,
                high_counters,
            };
            self.rows.add(shop_ids[row], &shuffled.to_row())?;
        }
        Ok(())
    }

    fn end_row_group(&mut self, position: usize) -> Result<()> {
        for partition in self.rows.end_row_group(position)? {
            let adder = self
                .adder
                .get_or_insert_with(|| TrafficAdder::new(self.traffic.least));
            self.traffic.summing().add(
                partition,
                adder,
                &mut self.buffer,
                &self.traffic.resources,
            )?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.rows.flush()?;
        lock(&self.traffic.added).extend(self.adder.take().map(|adder| adder.done));
        lock(&self.traffic.tally).merge(&self.tally);
        Ok(())
    }
}

/// Adds shops up, partition by partition.
struct TrafficAdder {
    least: LeastIds,
    shops: Groups<i64, Visits>,
    channels: Groups<(i64, u32), ShopChannel>,
    // By the shop's slot.
    products: Groups<(u32, i64), Visits>,
    contents: Groups<(u32, i64), Counters>,
    shop_users: Doings,
    product_users: Doings,
    done: Done,
}

/// A channel of a shop; one look finds both.
#[derive(Default)]
struct ShopChannel {
    /// The shop's slot.
    shop: u32,
    counters: Counters,
}

impl ShopChannel {
    fn of(shop: u32) -> ShopChannel {
        ShopChannel {
            shop,
            counters: Counters::default(),
        }
    }
}

/// Shops that are complete; keys start with the shop.
#[derive(Default)]
struct Done {
    shops: Vec<(i64, Visits)>,
    channels: Vec<((i64, u32), Counters)>,
    products: Vec<((i64, i64), ProductVisits)>,
    contents: Vec<((i64, i64), Counters)>,
}

impl TrafficAdder {
    fn new(least: LeastIds) -> Self {
        TrafficAdder {
            least,
            shops: Groups::default(),
            channels: Groups::default(),
            products: Groups::default(),
            contents: Groups::default(),
            shop_users: Doings::default(),
            product_users: Doings::default(),
            done: Done::default(),
        }
    }
}

impl Adder<VALUES> for TrafficAdder {
    const MEMBER_KINDS: usize = 1;

    fn member(row: &Row<VALUES>, _users: usize) -> u64 {
        ShuffledVisit::of_row(row).user
    }

    #[inline]
    fn add(&mut self, row: &Row<VALUES>, pass: Pass) {
        let ShuffledVisit {
            shop,
            product,
            user,
            content,
            channel_and_flag: channel,
            low_counters,
            high_counters,
        } = ShuffledVisit::of_row(row);
        let counters = Counters::unpacked([low_counters, high_counters]);
        let (user_id, flags) = (more(user, self.least.user), counters.flags());
        let (shop_id, number) = (more(shop, self.least.shop), (channel >> 1) as u32);
        let shops = &mut self.shops;
        let slot = self
            .channels
            .slot_or((shop_id, number), || ShopChannel::of(shops.slot(shop_id)));
        let shop_channel = self.channels.at(slot);
        let shop = shop_channel.shop;
        let product = self
            .products
            .slot((shop, more(product, self.least.product)));
        if pass.has_sums() {
            // The sums by shop are those of its channels.
            shop_channel.counters.add(&counters);
            self.products.at(product).counters.add(&counters);
            if channel & 1 == 1 {
                let slot = self
                    .contents
                    .slot((shop, more(content, self.least.content)));
                self.contents.at(slot).add(&counters);
            }
        }
        if pass.has_members(USERS) {
            if flags != 0 {
                self.shop_users.add(shop, user_id, flags);
            }
            // Of a product only these are counted.
            if flags & (VIEWED | ADDED) != 0 {
                self.product_users.add(product, user_id, flags);
            }
        }
    }

    fn end_members(&mut self) {
        let (shops, products) = (&mut self.shops, &mut self.products);
        // Empty entries have slot 0 and no flags, so they add 0.
        if !shops.is_empty() {
            self.shop_users
                .drain(|shop, flags| shops.at(shop).users.count(flags));
            self.product_users
                .drain(|product, flags| products.at(product).users.count(flags));
        }
    }

    fn end_partition(&mut self) {
        let (shops, done) = (&mut self.shops, &mut self.done);
        for (key, ShopChannel { shop, counters }) in self.channels.drain() {
            shops.at(shop).counters.add(&counters);
            done.channels.push((key, counters));
        }
        done.products.extend(self.products.drain().map(
            |((shop, id), Visits { counters, users })| {
                (
                    (shops.key(shop), id),
                    ProductVisits {
                        counters,
                        viewed: users.viewed,
                        added: users.added,
                    },
                )
            },
        ));
        done.contents.extend(
            self.contents
                .drain()
                .map(|((shop, id), counters)| ((shops.key(shop), id), counters)),
        );
        done.shops.extend(shops.drain());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cart_counts_with_a_page_view_only() {
        let counted = |flags| {
            let mut users = Users::default();
            users.count(flags);
            [users.reached, users.clicked, users.viewed, users.added]
        };
        assert_eq!(counted(0), [0, 0, 0, 0]);
        assert_eq!(counted(REACHED | ADDED), [1, 0, 0, 0]);
        assert_eq!(counted(CLICKED | VIEWED), [0, 1, 1, 0]);
        assert_eq!(counted(REACHED | CLICKED | VIEWED | ADDED), [1, 1, 1, 1]);
    }

    #[test]
    fn counters_come_back_from_either_form() {
        for [impressions, clicks, page_views, add_to_carts] in [
            [0, 0, 0, 0],
            [15, 1, 15, 2],
            [16, 0, 0, 0],
            [0, 0, 0, 16],
            [
                i64::from(i32::MAX),
                i64::from(i32::MAX),
                i64::from(i32::MAX),
                i64::from(i32::MAX),
            ],
        ] {
            let counters = Counters {
                impressions,
                clicks,
                page_views,
                add_to_carts,
            };
            assert_eq!(Counters::unpacked(counters.packed()), counters);
        }
    }
}
