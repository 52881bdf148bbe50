//! Traffic, and the orders that follow from it.
//!
//! A user visits a shop through a channel, looks at some of its products, and perhaps buys. Every
//! order line has a traffic row of the same user, shop and product on the same day.

use anyhow::Result;

use super::awkward::{self, OrderLineFault};
use super::calendar::Day;
use super::campaigns::{self, Campaign};
use super::contents::{Content, active_contents};
use super::folder::{Cell, Folder};
use super::market::{CHANNELS, LIVE, Market, PRODUCT_CARD, Product, Shop, VIDEO, user_id};
use super::stream::Stream;
use super::world::World;

/// Order ids hold the day and a number below this.
const ORDERS_PER_DAY: i64 = 1_000_000_000;
/// Baskets above this ship free, in cents.
const FREE_SHIPPING_FROM_CENTS: i64 = 30_00;

/// The folders that one pass over a day's visits fills.
pub(super) struct Folders {
    pub traffic: Folder,
    pub order_lines: Folder,
}

/// The products that a shop offers on a day.
struct Offer<'a> {
    shop: &'a Shop,
    day: &'a Day,
    products: Vec<Product>,
    contents: [Vec<Content>; 2],
    /// The running campaign, where the shop is registered.
    campaign: Option<Campaign>,
    order_factor: f64,
    rows: u64,
}

/// Who came, and how.
#[derive(Clone, Copy)]
struct Visit {
    user_id: i64,
    channel: usize,
    content_id: Option<i64>,
}

/// One line of an order before it has an id.
struct Line<'a> {
    product: &'a Product,
    sku: u8,
    quantity: i64,
}

/// Writes `product_traffic` and `order_lines` of a day, shop after shop.
pub(super) fn write_visits(
    world: &World,
    market: &Market,
    day: &Day,
    folders: &mut Folders,
) -> Result<()> {
    let mut writer = OrderWriter {
        world,
        day,
        next_order: 1,
        fault: awkward::order_line_fault(world, day.date),
    };
    for shop in &market.shops {
        let mut stream = Stream::new(
            world.seed,
            "visits",
            &[day.number() as u64, u64::from(shop.index)],
        );
        let offer = Offer::of(world, shop, day, &mut stream)?;
        let mut rows = 0;
        while rows < offer.rows {
            rows += visit(
                market,
                &offer,
                offer.rows - rows,
                &mut stream,
                folders,
                &mut writer,
            )?;
        }
    }
    Ok(())
}

impl<'a> Offer<'a> {
    fn of(world: &World, shop: &'a Shop, day: &'a Day, stream: &mut Stream) -> Result<Self> {
        let running = campaigns::running(world, day.date);
        let campaign = running.filter(|c| c.registration(world, shop, day.date).is_some());
        let uplift = running.map_or(1.0, |c| c.traffic_uplift(day.date, campaign.is_some()));
        let expected = world.rows_per_day as f64 * shop.share * day.weekday_factor() * uplift;
        // The mean of the noise is 1: the median times e to the power of half the squared
        // deviation.
        let noise = stream.log_normal(0.989, 0.15);
        let (videos, lives) = active_contents(world, shop, day)?
            .into_iter()
            .partition(|c| c.channel == VIDEO);
        Ok(Offer {
            shop,
            day,
            products: shop.products(world.seed),
            contents: [lives, videos],
            campaign,
            order_factor: shop.appeal * if campaign.is_some() { 1.2 } else { 1.0 },
            rows: stream.rounded(expected * noise),
        })
    }
}

/// One user's visit to a shop: at most `most` traffic rows, and an order if something was bought.
/// Returns the rows.
fn visit(
    market: &Market,
    offer: &Offer,
    most: u64,
    stream: &mut Stream,
    folders: &mut Folders,
    orders: &mut OrderWriter,
) -> Result<u64> {
    let user_id = user_id(visitor(market, offer, stream));
    let (channel, content_id) = way_in(offer, stream);
    let visit = Visit {
        user_id,
        channel,
        content_id,
    };
    let count = most.min(1 + u64::from(stream.repeats(0.35, 4)));
    let mut lines: Vec<Line> = Vec::new();
    for _ in 0..count {
        let product = &offer.products[stream.popular(offer.products.len() as u64) as usize];
        if look(offer, visit, product, stream, &mut folders.traffic)? {
            put_into_order(&mut lines, product, stream);
        }
    }
    if !lines.is_empty() {
        orders.write(offer, visit, &lines, stream, &mut folders.order_lines)?;
    }
    Ok(count)
}

/// Adds a variant of a product to the order, sometimes two; a (order, SKU) is one line.
fn put_into_order<'a>(lines: &mut Vec<Line<'a>>, product: &'a Product, stream: &mut Stream) {
    for _ in 0..1 + stream.repeats(0.2, 1) {
        let sku = stream.popular(u64::from(product.skus)) as u8;
        let quantity = 1 + i64::from(stream.repeats(0.11, 4));
        if !lines
            .iter()
            .any(|line| line.product.product_id == product.product_id && line.sku == sku)
        {
            lines.push(Line {
                product,
                sku,
                quantity,
            });
        }
    }
}

/// Followers of the shop come back day after day; the others are drawn from all users, some far
/// more active than others.
fn visitor(market: &Market, offer: &Offer, stream: &mut Stream) -> u64 {
    if stream.chance(0.35) {
        let first = u64::from(offer.shop.index).wrapping_mul(0x9E37_79B9_7F4A_7C15) % market.users;
        let followers = 20 + offer.rows * 4;
        return (first + stream.below(followers)) % market.users;
    }
    let u = stream.unit();
    ((u * u.sqrt() * market.users as f64) as u64).min(market.users - 1)
}

/// The channel of a visit, and its content: a LIVE or video needs one that is on.
fn way_in(offer: &Offer, stream: &mut Stream) -> (usize, Option<i64>) {
    let channel = stream.weighted(&offer.shop.channel_weights);
    if channel != LIVE && channel != VIDEO {
        return (channel, None);
    }
    let contents = &offer.contents[channel];
    if contents.is_empty() {
        return (PRODUCT_CARD, None);
    }
    let mut left = stream.unit() * contents.iter().map(|c| c.weight).sum::<f64>();
    let chosen = contents.iter().find(|c| {
        left -= c.weight;
        left < 0.0
    });
    // A small part of the traffic arrives without the content that it came from.
    let content_id = chosen.unwrap_or(&contents[0]).content_id;
    (
        channel,
        if stream.chance(0.02) {
            None
        } else {
            Some(content_id)
        },
    )
}

/// One traffic row; says whether the user buys the product.
fn look(
    offer: &Offer,
    visit: Visit,
    product: &Product,
    stream: &mut Stream,
    traffic: &mut Folder,
) -> Result<bool> {
    let way = &CHANNELS[visit.channel];
    // A product page opened from a shared link: no impression, no click.
    let is_direct = stream.chance(0.03);
    let impressions = if is_direct {
        0
    } else {
        1 + stream.repeats(0.68, 40)
    };
    let clicks = (0..impressions)
        .filter(|_| stream.chance(way.click_rate))
        .count() as u32;
    let page_views = if clicks > 0 || is_direct {
        clicks.max(1) + stream.repeats(0.25, 6)
    } else {
        0
    };
    let bought = page_views > 0 && stream.chance(way.order_rate * offer.order_factor);
    let is_added = page_views > 0 && stream.chance(if bought { 0.7 } else { 0.13 });
    let add_to_carts = if is_added {
        1 + stream.repeats(0.1, 3)
    } else {
        0
    };
    traffic.row(&[
        Cell::Int(offer.shop.shop_id()),
        Cell::Int(product.product_id),
        Cell::Int(visit.user_id),
        Cell::Text(way.name),
        visit.content_id.into(),
        Cell::Int(i64::from(impressions)),
        Cell::Int(i64::from(clicks)),
        Cell::Int(i64::from(page_views)),
        Cell::Int(i64::from(add_to_carts)),
    ])?;
    Ok(bought)
}

struct OrderWriter<'a> {
    world: &'a World,
    day: &'a Day,
    next_order: i64,
    fault: Option<OrderLineFault>,
}

impl OrderWriter<'_> {
    fn write(
        &mut self,
        offer: &Offer,
        visit: Visit,
        lines: &[Line],
        stream: &mut Stream,
        folder: &mut Folder,
    ) -> Result<()> {
        let order_id = offer.day.number() * ORDERS_PER_DAY + self.next_order;
        self.next_order += 1;
        let paid_us = offer.day.shopping_instant(stream);
        let basket: i64 = lines
            .iter()
            .map(|line| line.product.sku_price_cents(line.sku) * line.quantity)
            .sum();
        let mut shipping = shipping(basket, stream);
        for line in lines {
            let campaign = offer.campaign.filter(|c| c.holds(self.world, line.product));
            let (sub_total, platform_discount) = price(line, campaign.is_some(), stream);
            let sub_campaign = campaign
                .filter(|_| stream.chance(0.6))
                .map(|c| c.sub_campaign_id(sub_campaign(visit.channel, stream)));
            let cells = [
                Cell::Int(order_id),
                Cell::Int(line.product.sku_id(line.sku)),
                Cell::Int(line.product.product_id),
                Cell::Int(offer.shop.shop_id()),
                Cell::Int(visit.user_id),
                Cell::Int(paid_us),
                Cell::Int(line.quantity),
                Cell::Int(sub_total),
                Cell::Int(shipping.fee_cents),
                Cell::Int(platform_discount),
                Cell::Int(shipping.platform_discount_cents),
                Cell::Text(CHANNELS[visit.channel].name),
                visit.content_id.into(),
                sub_campaign.into(),
            ];
            self.write_line(cells, folder)?;
            shipping = Shipping::default();
        }
        Ok(())
    }

    /// Writes a line, and on a day with a fault spoils one of the first.
    fn write_line(&mut self, mut cells: [Cell; 14], folder: &mut Folder) -> Result<()> {
        let Some(fault) = self.fault.take_if(|_| self.next_order > 5) else {
            return folder.row(&cells);
        };
        match fault {
            OrderLineFault::RepeatedKey => folder.row(&cells)?,
            OrderLineFault::NullBuyer => cells[4] = Cell::Null,
            OrderLineFault::OutsideDay => cells[5] = Cell::Int(self.day.first_us - 1_000_000),
        }
        folder.row(&cells)
    }
}

/// Shipping of an order; its first line carries it.
#[derive(Default)]
struct Shipping {
    fee_cents: i64,
    platform_discount_cents: i64,
}

fn shipping(basket_cents: i64, stream: &mut Stream) -> Shipping {
    let list = stream.pick(&[3_99, 4_99, 4_99, 5_99, 6_99]);
    let is_free = basket_cents >= FREE_SHIPPING_FROM_CENTS || stream.chance(0.35);
    let by_platform = stream.chance(0.55);
    match (is_free, by_platform) {
        (true, true) => Shipping {
            fee_cents: 0,
            platform_discount_cents: list,
        },
        (true, false) => Shipping::default(),
        (false, true) => Shipping {
            fee_cents: list - 2_00,
            platform_discount_cents: 2_00,
        },
        (false, false) => Shipping {
            fee_cents: list,
            platform_discount_cents: 0,
        },
    }
}

/// What a line costs after the seller's discount, and what the platform adds to it as a voucher, in
/// cents.
fn price(line: &Line, is_campaign_product: bool, stream: &mut Stream) -> (i64, i64) {
    let seller_pct = if is_campaign_product {
        stream.pick(&[10, 15, 20, 30])
    } else {
        stream.pick(&[0, 0, 0, 5, 10])
    };
    let full = line.product.sku_price_cents(line.sku) * line.quantity;
    let sub_total = full - full * seller_pct / 100;
    let has_voucher = stream.chance(if is_campaign_product { 0.55 } else { 0.22 });
    let platform_pct = if has_voucher {
        stream.pick(&[3, 5, 8, 10, 15])
    } else {
        0
    };
    (sub_total, sub_total * platform_pct / 100)
}

fn sub_campaign(channel: usize, stream: &mut Stream) -> usize {
    if channel == LIVE {
        2
    } else {
        stream.pick(&[0, 0, 1, 3])
    }
}
