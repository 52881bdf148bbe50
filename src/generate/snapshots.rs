//! Snapshots at the end of a day: shops, stock, campaigns and their participants.

use anyhow::Result;

use super::awkward;
use super::calendar::{self, Day};
use super::campaigns::campaigns;
use super::folder::{Cell, Folder};
use super::market::{Market, Shop};
use super::stream::Stream;
use super::world::World;

/// Items sold per traffic row, on average: sets how large stocks are.
const ITEMS_PER_ROW: f64 = 0.026;

pub(super) fn write_shops(world: &World, market: &Market, folder: &mut Folder) -> Result<()> {
    for shop in market
        .shops
        .iter()
        .filter(|shop| !awkward::is_unlisted(world, shop))
    {
        let category = (!awkward::is_uncategorised(world, shop)).then(|| shop.category_name());
        folder.row(&[
            Cell::Int(shop.shop_id()),
            Cell::Text(&shop.name(world.seed)),
            category.map_or(Cell::Null, Cell::Text),
            shop.primary_ad_account_id().into(),
        ])?;
    }
    Ok(())
}

/// Stocks fall day by day and are filled up every one to four weeks; some run out before.
pub(super) fn write_inventory(
    world: &World,
    market: &Market,
    day: &Day,
    folder: &mut Folder,
) -> Result<()> {
    for shop in &market.shops {
        let products = shop.products(world.seed);
        let count = products.len() as f64;
        for (position, product) in products.iter().enumerate() {
            // The share of the shop's sales that `Stream::popular` gives this position.
            let popularity =
                libm::cbrt((position as f64 + 1.0) / count) - libm::cbrt(position as f64 / count);
            for sku in 0..product.skus {
                let daily = items_per_day(world, shop) * popularity / f64::from(product.skus);
                folder.row(&[
                    Cell::Int(shop.shop_id()),
                    Cell::Int(product.product_id),
                    Cell::Int(product.sku_id(sku)),
                    Cell::Int(available(world, product.sku_id(sku), daily, day)),
                ])?;
            }
        }
    }
    Ok(())
}

fn items_per_day(world: &World, shop: &Shop) -> f64 {
    world.rows_per_day as f64 * shop.share * ITEMS_PER_ROW * shop.appeal
}

fn available(world: &World, sku_id: i64, daily: f64, day: &Day) -> i64 {
    let mut stream = Stream::new(world.seed, "stock", &[sku_id as u64]);
    let cycle_days = 7 + stream.below(21) as i64;
    let phase = stream.below(28) as i64;
    let filled_up_to =
        daily * cycle_days as f64 * stream.log_normal(1.35, 0.35) + stream.below(6) as f64;
    let age = (day.number() + phase).rem_euclid(cycle_days);
    (filled_up_to - daily * age as f64 * stream.log_normal(1.0, 0.3)).max(0.0) as i64
}

pub(super) fn write_campaigns(world: &World, day: &Day, folder: &mut Folder) -> Result<()> {
    for campaign in campaigns(world, day.date) {
        folder.row(&[
            Cell::Int(campaign.campaign_id()),
            Cell::Text(&campaign.name()),
            Cell::Int(calendar::number(campaign.first_day)),
            Cell::Int(calendar::number(campaign.last_day)),
        ])?;
    }
    Ok(())
}

pub(super) fn write_campaign_shops(
    world: &World,
    market: &Market,
    day: &Day,
    folder: &mut Folder,
) -> Result<()> {
    for campaign in campaigns(world, day.date) {
        for shop in &market.shops {
            if let Some(target_cents) = campaign.registration(world, shop, day.date) {
                folder.row(&[
                    Cell::Int(campaign.campaign_id()),
                    Cell::Int(shop.shop_id()),
                    target_cents.into(),
                ])?;
            }
        }
    }
    Ok(())
}

pub(super) fn write_campaign_products(
    world: &World,
    market: &Market,
    day: &Day,
    folder: &mut Folder,
) -> Result<()> {
    for campaign in campaigns(world, day.date) {
        for shop in market
            .shops
            .iter()
            .filter(|s| campaign.registration(world, s, day.date).is_some())
        {
            for product in shop
                .products(world.seed)
                .iter()
                .filter(|p| campaign.holds(world, p))
            {
                folder.row(&[
                    Cell::Int(campaign.campaign_id()),
                    Cell::Int(shop.shop_id()),
                    Cell::Int(product.product_id),
                ])?;
            }
        }
    }
    Ok(())
}

pub(super) fn write_sub_campaigns(world: &World, day: &Day, folder: &mut Folder) -> Result<()> {
    for campaign in campaigns(world, day.date) {
        for (position, name) in campaign.sub_campaign_names().iter().enumerate() {
            folder.row(&[
                Cell::Int(campaign.sub_campaign_id(position)),
                Cell::Int(campaign.campaign_id()),
                Cell::Text(name),
            ])?;
        }
    }
    Ok(())
}
