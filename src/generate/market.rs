//! The constant part of a world: shops, their products and prices, how they sell.
//!
//! Popularity of shops is Zipf-Mandelbrot, prices are log-normal around the category's median, and
//! a shop's channel mix follows its style. Products are functions of (seed, shop), made when they
//! are needed, so that a market of any size needs memory for its list of shops only.

use super::stream::Stream;
use super::world::World;
use crate::contracts::datasets;

/// The channels of the dashboard, and two of those that it counts under the product card.
pub(super) const CHANNELS: [Channel; 5] = [
    Channel {
        name: datasets::LIVE,
        click_rate: 0.105,
        order_rate: 0.125,
    },
    Channel {
        name: datasets::VIDEO,
        click_rate: 0.045,
        order_rate: 0.075,
    },
    Channel {
        name: "PRODUCT_CARD",
        click_rate: 0.070,
        order_rate: 0.095,
    },
    Channel {
        name: "SHOP_TAB",
        click_rate: 0.060,
        order_rate: 0.085,
    },
    Channel {
        name: "SEARCH",
        click_rate: 0.125,
        order_rate: 0.155,
    },
];
pub(super) const LIVE: usize = 0;
pub(super) const VIDEO: usize = 1;
pub(super) const PRODUCT_CARD: usize = 2;

/// How users behave in a channel: the share of impressions clicked, and of clicks on a product that
/// end in an order.
pub(super) struct Channel {
    pub name: &'static str,
    pub click_rate: f64,
    pub order_rate: f64,
}

/// Weights of the channels above, by style: sells in LIVEs, through creators' videos, through the
/// shelf.
const STYLES: [[f64; 5]; 3] = [
    [0.42, 0.22, 0.18, 0.10, 0.08],
    [0.10, 0.52, 0.18, 0.10, 0.10],
    [0.05, 0.20, 0.40, 0.20, 0.15],
];

/// A category, its median price in whole currency units and the spread of its prices (sigma of the
/// logarithm).
const CATEGORIES: [(&str, f64, f64); 16] = [
    ("Beauty & Personal Care", 17.0, 0.45),
    ("Womenswear & Underwear", 24.0, 0.40),
    ("Home Supplies", 26.0, 0.55),
    ("Phones & Electronics", 38.0, 0.70),
    ("Health", 27.0, 0.40),
    ("Sports & Outdoor", 33.0, 0.60),
    ("Fashion Accessories", 15.0, 0.50),
    ("Toys & Hobbies", 21.0, 0.50),
    ("Food & Beverages", 19.0, 0.35),
    ("Menswear & Underwear", 25.0, 0.40),
    ("Pet Supplies", 20.0, 0.45),
    ("Kitchenware", 29.0, 0.55),
    ("Shoes", 42.0, 0.40),
    ("Baby & Maternity", 26.0, 0.45),
    ("Automotive & Motorcycle", 34.0, 0.65),
    ("Books, Magazines & Audio", 16.0, 0.35),
];
/// Categories of the smallest market; every 400 shops bring one more.
const FEWEST_CATEGORIES: usize = 5;

const NAME_FIRST: [&str; 32] = [
    "Amber",
    "Blue Heron",
    "Cedar",
    "Copper",
    "Daily",
    "Driftwood",
    "Ember",
    "Fern & Co",
    "Golden Hour",
    "Harbor",
    "Honeybee",
    "Iris",
    "Juniper",
    "Kind",
    "Lark",
    "Little Fox",
    "Luna",
    "Maple",
    "Meadow",
    "Mint",
    "Nomad",
    "North Star",
    "Olive",
    "Opal",
    "Pebble",
    "Pine Street",
    "Rosewood",
    "Saffron",
    "Sol",
    "Tidal",
    "Velvet",
    "Willow",
];
const NAME_SECOND: [&[&str]; 16] = [
    &["Beauty", "Skin", "Cosmetics", "Glow Lab"],
    &["Apparel", "Closet", "Boutique", "Wear"],
    &["Home", "Living", "Interiors", "House Goods"],
    &["Tech", "Gadgets", "Audio", "Electronics"],
    &["Wellness", "Nutrition", "Vitals", "Naturals"],
    &["Outdoors", "Athletics", "Gear", "Fitness"],
    &["Jewelry", "Accessories", "Bags", "Eyewear"],
    &["Toys", "Hobby Shop", "Games", "Crafts"],
    &["Pantry", "Snacks", "Coffee", "Teas"],
    &["Menswear", "Outfitters", "Basics", "Denim"],
    &["Pets", "Paws", "Pet Pantry", "Tails"],
    &["Kitchen", "Cookware", "Table", "Bakeware"],
    &["Shoes", "Footwear", "Sneakers", "Soles"],
    &["Baby", "Nursery", "Kids", "Cradle"],
    &["Auto", "Motors", "Car Care", "Garage"],
    &["Books", "Press", "Reads", "Paper"],
];

const FIRST_SHOP_ID: i64 = 1_000_001;
const FIRST_USER_ID: i64 = 50_000_001;
const FIRST_AD_ACCOUNT_ID: i64 = 7_000_001;
/// Room for product ids within a shop's block of them.
const MOST_PRODUCTS: u64 = 500;

/// One shop, as it is on every day.
pub(super) struct Shop {
    pub index: u32,
    /// Position by popularity, 0 = most popular.
    pub rank: u32,
    pub category: u8,
    /// Share of the marketplace's traffic.
    pub share: f64,
    /// Relative to the average shop's share; what follows from size is derived from it.
    pub size: f64,
    /// How well it turns clicks into orders; 1 is average.
    pub appeal: f64,
    pub channel_weights: [f64; 5],
    pub has_primary_ad_account: bool,
    pub has_second_ad_account: bool,
}

/// One product of a shop.
pub(super) struct Product {
    pub product_id: i64,
    pub price_cents: i64,
    pub skus: u8,
}

/// The shops of a world.
pub(super) struct Market {
    pub shops: Vec<Shop>,
    pub users: u64,
}

impl Market {
    pub(super) fn of(world: &World) -> Self {
        let shops = world.shops;
        let ranks = ranks(world);
        // The flat head grows with the market: in a large one no single shop has a tenth of it.
        let head = 1.0 + f64::from(shops) / 100.0;
        let mut all: Vec<Shop> = (0..shops)
            .map(|index| {
                let rank = ranks[index as usize];
                let weight = libm::pow(f64::from(rank) + head, -1.25);
                shop(world, index, rank, weight)
            })
            .collect();
        let total: f64 = all.iter().map(|s| s.share).sum();
        for shop in &mut all {
            shop.share /= total;
            shop.size = shop.share * f64::from(shops);
        }
        Market {
            shops: all,
            users: (world.rows_per_day * 2).max(2_000),
        }
    }
}

fn shop(world: &World, index: u32, rank: u32, weight: f64) -> Shop {
    let mut stream = Stream::new(world.seed, "shop", &[u64::from(index)]);
    let share = weight * stream.log_normal(1.0, 0.35);
    let style = STYLES[stream.weighted(&[0.3, 0.4, 0.3])];
    let channel_weights = style.map(|weight| weight * stream.log_normal(1.0, 0.3));
    let has_primary_ad_account = stream.chance(0.65);
    Shop {
        index,
        rank,
        category: category(world, index),
        share,
        size: 0.0,
        appeal: stream.log_normal(1.0, 0.3),
        channel_weights,
        has_primary_ad_account,
        has_second_ad_account: has_primary_ad_account && stream.chance(0.25),
    }
}

/// Popularity ranks, shuffled over the shops: their ids tell nothing about their size.
fn ranks(world: &World) -> Vec<u32> {
    let mut stream = Stream::new(world.seed, "ranks", &[]);
    let mut ranks: Vec<u32> = (0..world.shops).collect();
    for last in (1..ranks.len()).rev() {
        ranks.swap(last, stream.below(last as u64 + 1) as usize);
    }
    ranks
}

/// Categories fall off in size; a low-discrepancy sequence gives each its share even among few
/// shops.
fn category(world: &World, index: u32) -> u8 {
    let count = (FEWEST_CATEGORIES + world.shops as usize / 400).min(CATEGORIES.len());
    let weights: Vec<f64> = (0..count).map(|c| 1.0 / (c as f64 + 1.0).sqrt()).collect();
    let golden = f64::from(index) * 0.618_033_988_749_894_9;
    let mut left = (golden - golden.floor()) * weights.iter().sum::<f64>();
    let mut category = 0;
    while category + 1 < count && left >= weights[category] {
        left -= weights[category];
        category += 1;
    }
    category as u8
}

impl Shop {
    pub(super) fn shop_id(&self) -> i64 {
        FIRST_SHOP_ID + i64::from(self.index)
    }

    pub(super) fn category_name(&self) -> &'static str {
        CATEGORIES[usize::from(self.category)].0
    }

    pub(super) fn name(&self, seed: u64) -> String {
        let mut stream = Stream::new(seed, "shop name", &[u64::from(self.index)]);
        format!(
            "{} {}",
            stream.pick(&NAME_FIRST),
            stream.pick(NAME_SECOND[usize::from(self.category)])
        )
    }

    pub(super) fn primary_ad_account_id(&self) -> Option<i64> {
        self.has_primary_ad_account
            .then(|| FIRST_AD_ACCOUNT_ID + 2 * i64::from(self.index))
    }

    pub(super) fn second_ad_account_id(&self) -> Option<i64> {
        self.has_second_ad_account
            .then(|| FIRST_AD_ACCOUNT_ID + 2 * i64::from(self.index) + 1)
    }

    /// The shop's products, the most popular first.
    pub(super) fn products(&self, seed: u64) -> Vec<Product> {
        let mut stream = Stream::new(seed, "products", &[u64::from(self.index)]);
        let count = (4.0 + 9.0 * self.size.sqrt() * stream.log_normal(1.0, 0.3)) as u64;
        let (_, median, sigma) = CATEGORIES[usize::from(self.category)];
        let level = stream.log_normal(median, 0.25);
        (0..count.min(MOST_PRODUCTS))
            .map(|position| Product {
                product_id: 20_000_000_000 + i64::from(self.index) * 1_000 + position as i64,
                price_cents: shelf_price(stream.log_normal(level, sigma)),
                skus: 1 + stream.repeats(0.4, 3) as u8,
            })
            .collect()
    }
}

impl Product {
    pub(super) fn sku_id(&self, sku: u8) -> i64 {
        self.product_id * 10 + i64::from(sku)
    }

    /// Larger variants cost a little more.
    pub(super) fn sku_price_cents(&self, sku: u8) -> i64 {
        self.price_cents + i64::from(sku) * (self.price_cents / 1_000) * 100
    }
}

/// A user's id, from a position below `Market::users`.
pub(super) fn user_id(position: u64) -> i64 {
    FIRST_USER_ID + position as i64
}

/// 23.41 is sold at 22.99.
fn shelf_price(price: f64) -> i64 {
    (price.round() as i64).clamp(3, 900) * 100 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_the_most_popular_tenth_has_more_than_a_third() {
        let market = Market::of(&World {
            shops: 1_000,
            ..World::sample()
        });
        let mut shares: Vec<f64> = market.shops.iter().map(|s| s.share).collect();
        shares.sort_by(|a, b| b.total_cmp(a));
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(shares[..100].iter().sum::<f64>() > 0.34);
        assert!(shares[0] < 0.2);
    }

    #[test]
    fn shelf_prices_end_in_99_cents() {
        assert_eq!(shelf_price(23.41), 22_99);
        assert_eq!(shelf_price(0.4), 2_99);
    }

    #[test]
    fn ids_of_products_and_skus_do_not_collide() {
        let market = Market::of(&World {
            shops: 50,
            ..World::sample()
        });
        let mut skus: Vec<i64> = Vec::new();
        for shop in &market.shops {
            for product in shop.products(7) {
                skus.extend((0..product.skus).map(|sku| product.sku_id(sku)));
            }
        }
        let count = skus.len();
        skus.sort();
        skus.dedup();
        assert_eq!(skus.len(), count);
    }
}
