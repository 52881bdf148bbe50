//! Sums over the day's product traffic, by shop, channel, product and content.

use std::ops::AddAssign;
use std::sync::Mutex;

use anyhow::Result;
use arrow_array::Array;

use super::channels::{Channel, ChannelNumbers, Channels, with_names};
use super::groups::{Doings, Groups, Sorted, sort};
use super::tally::Tally;
use crate::exports::RowWriter;
use crate::exports::batch::Batch;
use crate::exports::open_export::OpenExport;
use crate::resources::Resources;
use crate::shuffle::sum::{Adder, Pass, SetMemory, Summing};
use crate::shuffle::{BLOCK, Block, Column, Row, Shuffle, Writer, less, more, named_row};
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

impl AddAssign for Counters {
    #[inline]
    fn add_assign(&mut self, more: Counters) {
        self.impressions += more.impressions;
        self.clicks += more.clicks;
        self.page_views += more.page_views;
        self.add_to_carts += more.add_to_carts;
    }
}

/// Of users that are different ones: those of one thread.
impl AddAssign for Users {
    fn add_assign(&mut self, more: Users) {
        self.reached += more.reached;
        self.clicked += more.clicked;
        self.viewed += more.viewed;
        self.added += more.added;
    }
}

impl AddAssign for Visits {
    fn add_assign(&mut self, more: Visits) {
        self.counters += more.counters;
        self.users += more.users;
    }
}

impl AddAssign for ProductVisits {
    fn add_assign(&mut self, more: ProductVisits) {
        self.counters += more.counters;
        self.viewed += more.viewed;
        self.added += more.added;
    }
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

/// The counts of a user whose flags were `before` and are `now`.
#[inline]
fn of_user(before: u8, now: u8) -> [&'static Users; 2] {
    [before, now].map(|flags| &ONE_USER[usize::from(flags & 15)])
}

impl ProductVisits {
    /// Counts a user whose flags were `before` and are more now.
    #[inline]
    fn count(&mut self, before: u8, now: u8) {
        let [before, now] = of_user(before, now);
        self.viewed += now.viewed - before.viewed;
        self.added += now.added - before.added;
    }
}

impl Users {
    /// Counts a user whose flags were `before` and are more now.
    #[inline]
    fn count(&mut self, before: u8, now: u8) {
        let [before, now] = of_user(before, now);
        self.reached += now.reached - before.reached;
        self.clicked += now.clicked - before.clicked;
        self.viewed += now.viewed - before.viewed;
        self.added += now.added - before.added;
    }
}

named_row! {
    /// A shuffled row of traffic; ids less their least ones. The last bit of the channel says
    /// whether there is a content. Counters are not negative.
    ShuffledVisit {
        shop,
        product,
        user,
        content,
        channel_and_flag,
        impressions,
        clicks,
        page_views,
        add_to_carts,
    }
}

impl ShuffledVisit<&Column> {
    #[inline]
    fn counters(&self, n: usize) -> Counters {
        Counters {
            impressions: self.impressions[n] as i64,
            clicks: self.clicks[n] as i64,
            page_views: self.page_views[n] as i64,
            add_to_carts: self.add_to_carts[n] as i64,
        }
    }

    /// The actions of each row's user.
    #[inline]
    fn flags(&self) -> [u8; BLOCK] {
        let mut flags = [0; BLOCK];
        for (counts, flag) in [
            (self.impressions, REACHED),
            (self.clicks, CLICKED),
            (self.page_views, VIEWED),
            (self.add_to_carts, ADDED),
        ] {
            for (flags, count) in flags.iter_mut().zip(counts) {
                *flags |= if *count > 0 { flag } else { 0 };
            }
        }
        flags
    }
}

const VALUES: usize = ShuffledVisit::VALUES;

// The kinds of members.
const USERS_OF_PRODUCTS: usize = 0;
const USERS_OF_SHOPS: usize = 1;

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
/// at least five sixteenths full, and less than twice as much for one of them while it grows.
const SET_BYTES_PER_ROW: u64 = 154;

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
        for done in self.resources.map(all, Done::sorted) {
            channels.push(with_names(done.channels, &names));
            shops.push(done.shops);
            products.push(done.products);
            contents.push(done.contents);
        }
        let sums = TrafficSums {
            shops: Sorted::sum_of(shops),
            channels: Sorted::sum_of(channels),
            products: Sorted::sum_of(products),
            contents: Sorted::sum_of(contents),
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
        // Slices of one length: the compiler sees that no row is outside.
        let ints = |column| &batch.ints(column).values()[..batch.rows];
        let (shop_ids, product_ids, user_ids) =
            (ints("shop_id"), ints("product_id"), ints("user_id"));
        let (impressions, clicks) = (ints("impressions"), ints("clicks"));
        let (page_views, add_to_carts) = (ints("page_views"), ints("add_to_carts"));
        let (content_ids, channel) = (batch.ints("content_id"), batch.codes("channel"));
        let (contents, codes) = (ints("content_id"), &channel.keys().values()[..batch.rows]);
        let (channels, least) = (self.channels.of(channel), self.traffic.least);
        // A bit for each row.
        let have_content: Vec<u64> = match content_ids.nulls() {
            Some(nulls) => nulls.inner().bit_chunks().iter_padded().collect(),
            None => vec![u64::MAX; batch.rows.div_ceil(BLOCK)],
        };
        // Column by column: the compiler makes several values at a time.
        for first in (0..batch.rows).step_by(BLOCK) {
            let rows = first..batch.rows.min(first + BLOCK);
            self.rows.add_block(&shop_ids[rows.clone()], |block| {
                let block = ShuffledVisit::of_row(block.each_mut());
                for (column, ids, least) in [
                    (block.shop, shop_ids, least.shop),
                    (block.product, product_ids, least.product),
                    (block.user, user_ids, least.user),
                    (&mut *block.content, contents, least.content),
                ] {
                    each(column, &ids[rows.clone()], |id| less(id, least));
                }
                for (column, counts) in [
                    (block.impressions, impressions),
                    (block.clicks, clicks),
                    (block.page_views, page_views),
                    (block.add_to_carts, add_to_carts),
                ] {
                    each(column, &counts[rows.clone()], |count| count as u64);
                }
                for (out, code) in block.channel_and_flag.iter_mut().zip(&codes[rows]) {
                    *out = u64::from(channels[*code as usize]) << 1;
                }
                for n in 0..BLOCK {
                    let has_content = have_content[first / BLOCK] >> n & 1;
                    block.content[n] *= has_content;
                    block.channel_and_flag[n] |= has_content;
                }
            })?;
        }
        Ok(())
    }

    fn end_row_group(&mut self, position: usize) -> Result<()> {
        for partition in self.rows.end_row_group(position)? {
            let adder = self
                .adder
                .get_or_insert_with(|| TrafficAdder::new(self.traffic.least));
            self.traffic
                .summing()
                .add(partition, adder, &mut self.buffer)?;
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

/// Writes the values of some rows to a column.
#[inline]
fn each(column: &mut Column, values: &[i64], of: impl Fn(i64) -> u64) {
    for (out, value) in column.iter_mut().zip(values) {
        *out = of(*value);
    }
}

/// Adds shops up, partition by partition.
struct TrafficAdder {
    least: LeastIds,
    shops: Groups<i64, Visits>,
    products: Groups<(i64, i64), Product>,
    // By the shop's slot.
    channels: ShopChannels,
    contents: Groups<(u32, i64), Counters>,
    shop_users: Doings,
    product_users: Doings,
    done: Done,
}

/// A product of a partition. It knows its shop's slot, so one lookup finds both.
#[derive(Default)]
struct Product {
    shop: u32,
    visits: ProductVisits,
}

/// Shops that are complete; keys start with the shop.
#[derive(Default)]
struct Done {
    shops: Vec<(i64, Visits)>,
    channels: Vec<((i64, u32), Counters)>,
    products: Vec<((i64, i64), ProductVisits)>,
    contents: Vec<((i64, i64), Counters)>,
}

impl Done {
    fn sorted(mut self) -> Done {
        sort(&mut self.shops);
        sort(&mut self.channels);
        sort(&mut self.products);
        sort(&mut self.contents);
        self
    }
}

impl TrafficAdder {
    fn new(least: LeastIds) -> Self {
        TrafficAdder {
            least,
            shops: Groups::default(),
            products: Groups::default(),
            channels: ShopChannels::default(),
            contents: Groups::default(),
            shop_users: Doings::default(),
            product_users: Doings::default(),
            done: Done::default(),
        }
    }
}

impl Adder<VALUES> for TrafficAdder {
    const MEMBER_KINDS: usize = 2;
    const HAS_ONE_MEMBER: bool = true;

    fn member(row: &Row<VALUES>, _users: usize) -> u64 {
        ShuffledVisit::of_row(*row).user
    }

    fn has_groups(kind: usize) -> bool {
        kind == USERS_OF_PRODUCTS
    }

    fn group(row: &Row<VALUES>) -> u64 {
        ShuffledVisit::of_row(*row).product
    }

    /// A user of a shop is one of any product, and only the actions count.
    fn clear_unneeded(columns: &mut [Column; VALUES], pass: Pass) {
        if pass != Pass::Members(USERS_OF_SHOPS) {
            return;
        }
        let visits = ShuffledVisit::of_row(columns.each_mut());
        for column in [visits.product, visits.content, visits.channel_and_flag] {
            column.fill(0);
        }
        for counts in [
            visits.impressions,
            visits.clicks,
            visits.page_views,
            visits.add_to_carts,
        ] {
            counts.iter_mut().for_each(|count| *count = (*count).min(1));
        }
    }

    /// One table after the other: a processor looks rows up side by side where nothing else is
    /// done between.
    fn add(&mut self, rows: &Block<VALUES>, pass: Pass) {
        let visits = ShuffledVisit::of_row(rows.columns.each_ref());
        let (mut shops, mut products) = ([0; BLOCK], [0; BLOCK]);
        let (shops, products) = (&mut shops[..rows.rows], &mut products[..rows.rows]);
        if pass == Pass::Members(USERS_OF_SHOPS) {
            for (slot, shop) in shops.iter_mut().zip(visits.shop) {
                *slot = self.shops.slot(more(*shop, self.least.shop));
            }
        } else {
            let ids = visits.shop.iter().zip(visits.product);
            for (slot, (shop, product)) in products.iter_mut().zip(ids) {
                *slot = self.product(*shop, *product);
            }
        }
        if pass.has_sums() {
            for (n, (shop, slot)) in shops.iter_mut().zip(&*products).enumerate() {
                let product = self.products.at(*slot);
                *shop = product.shop;
                let counters = visits.counters(n);
                product.visits.counters += counters;
                let number = (visits.channel_and_flag[n] >> 1) as u32;
                self.channels.add(product.shop, number, counters);
            }
            for n in rows.positions_where(visits.channel_and_flag.map(|value| value as u8 & 1)) {
                let slot = self
                    .contents
                    .slot((shops[n], more(visits.content[n], self.least.content)));
                *self.contents.at(slot) += visits.counters(n);
            }
        }
        let flags = visits.flags();
        if pass.has_members(USERS_OF_SHOPS) {
            for n in rows.positions_where(flags) {
                self.count_of_shop(shops[n], visits.user[n], flags[n]);
            }
        }
        if pass.has_members(USERS_OF_PRODUCTS) {
            // Of a product, only users with a page view or an add-to-cart are counted.
            for n in rows.positions_where(flags.map(|flags| flags & (VIEWED | ADDED))) {
                self.count_of_product(products[n], visits.user[n], flags[n]);
            }
        }
    }

    fn begin_members(&mut self, rows: u64, pass: Pass) {
        if pass.has_members(USERS_OF_SHOPS) {
            self.shop_users.begin(rows);
        }
        if pass.has_members(USERS_OF_PRODUCTS) {
            // Fewer rows have a page view or an add-to-cart. Where more have, the table grows.
            self.product_users.begin(rows / 2);
        }
    }

    /// Users were counted when they were met.
    fn end_members(&mut self) {}

    fn end_partition(&mut self) {
        let (shops, done) = (&mut self.shops, &mut self.done);
        for ((shop, channel), counters) in self.channels.drain() {
            shops.at(shop).counters += counters;
            done.channels.push(((shops.key(shop), channel), counters));
        }
        let products = self.products.drain();
        done.products
            .extend(products.map(|(key, product)| (key, product.visits)));
        done.contents.extend(
            self.contents
                .drain()
                .map(|((shop, id), counters)| ((shops.key(shop), id), counters)),
        );
        done.shops.extend(shops.drain());
    }
}

impl TrafficAdder {
    /// The slot of a product.
    #[inline]
    fn product(&mut self, shop: u64, product: u64) -> u32 {
        let shop_id = more(shop, self.least.shop);
        let product_id = more(product, self.least.product);
        let shops = &mut self.shops;
        self.products.slot_or((shop_id, product_id), || Product {
            shop: shops.slot(shop_id),
            visits: ProductVisits::default(),
        })
    }

    #[inline]
    fn count_of_shop(&mut self, shop: u32, user: u64, flags: u8) {
        let before = self.shop_users.add(shop, user, flags);
        self.shops.at(shop).users.count(before, before | flags);
    }

    #[inline]
    fn count_of_product(&mut self, product: u32, user: u64, flags: u8) {
        let before = self.product_users.add(product, user, flags);
        let visits = &mut self.products.at(product).visits;
        visits.count(before, before | flags);
    }
}

/// Counters by the shop's slot and the channel's number.
#[derive(Default)]
struct ShopChannels {
    /// The first channels of each shop, found without a hash.
    first: Vec<[Option<Counters>; FIRST_CHANNELS]>,
    others: Groups<(u32, u32), Counters>,
}

/// Most marketplaces have no more.
const FIRST_CHANNELS: usize = 8;

impl ShopChannels {
    #[inline]
    fn add(&mut self, shop: u32, number: u32, counters: Counters) {
        let shop_at = shop as usize;
        if self.first.len() <= shop_at {
            self.first.resize(shop_at + 1, Default::default());
        }
        match self.first[shop_at].get_mut(number as usize) {
            Some(channel) => *channel.get_or_insert_default() += counters,
            None => {
                let slot = self.others.slot((shop, number));
                *self.others.at(slot) += counters;
            }
        }
    }

    /// The counters of each channel that has any row; none are left.
    fn drain(&mut self) -> impl Iterator<Item = ((u32, u32), Counters)> {
        let of_shop = |(shop, channels): (usize, [Option<Counters>; FIRST_CHANNELS])| {
            let numbered = (0..).zip(channels);
            numbered.filter_map(move |(number, counters)| Some(((shop as u32, number), counters?)))
        };
        let first = self.first.drain(..).enumerate().flat_map(of_shop);
        first.chain(self.others.drain())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_with_a_row_has_its_sums_however_many_there_are() {
        let mut channels = ShopChannels::default();
        let clicks = |clicks| Counters {
            clicks,
            ..Counters::default()
        };
        // A row without any action is a row too.
        for (shop, number, counted) in [
            (1, 0, 5),
            (1, 7, 0),
            (1, 8, 2),
            (0, 8, 1),
            (1, 0, 6),
            (1, 8, 3),
            (1, 90, 0),
        ] {
            channels.add(shop, number, clicks(counted));
        }
        let mut drained: Vec<_> = channels.drain().collect();
        drained.sort_by_key(|(key, _)| *key);
        assert_eq!(
            drained,
            [
                ((0, 8), 1),
                ((1, 0), 11),
                ((1, 7), 0),
                ((1, 8), 5),
                ((1, 90), 0)
            ]
            .map(|(key, counted)| (key, clicks(counted)))
        );
        assert_eq!(channels.drain().count(), 0);
    }

    #[test]
    fn a_cart_counts_with_a_page_view_only() {
        let counted = |flags| {
            let (mut users, mut visits) = (Users::default(), ProductVisits::default());
            for (before, now) in [(0, flags & 5), (flags & 5, flags)] {
                users.count(before, now);
                visits.count(before, now);
            }
            assert_eq!([visits.viewed, visits.added], [users.viewed, users.added]);
            [users.reached, users.clicked, users.viewed, users.added]
        };
        assert_eq!(counted(0), [0, 0, 0, 0]);
        assert_eq!(counted(REACHED | ADDED), [1, 0, 0, 0]);
        assert_eq!(counted(CLICKED | VIEWED), [0, 1, 1, 0]);
        assert_eq!(counted(REACHED | CLICKED | VIEWED | ADDED), [1, 1, 1, 1]);
    }
}
