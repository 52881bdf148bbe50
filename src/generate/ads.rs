//! Hours of advertising: spend follows the shop's size and the hours when people shop.

use anyhow::Result;

use super::calendar::Day;
use super::campaigns;
use super::folder::{Cell, Folder};
use super::market::{Market, Shop};
use super::stream::Stream;
use super::world::World;

/// Ad spend per traffic row in cents: about a tenth of what a row sells.
const SPEND_CENTS_PER_ROW: f64 = 7.0;
/// Hours with less spend than this, in cents, are not exported.
const LEAST_SPEND_CENTS: i64 = 5;

/// Writes `ad_hours`: the primary accounts, and those that some shops have besides.
pub(super) fn write_ad_hours(
    world: &World,
    market: &Market,
    day: &Day,
    folder: &mut Folder,
) -> Result<()> {
    for shop in &market.shops {
        if let Some(account) = shop.primary_ad_account_id() {
            write_account(world, shop, account, 1.0, day, folder)?;
        }
        if let Some(account) = shop.second_ad_account_id() {
            write_account(world, shop, account, 0.3, day, folder)?;
        }
    }
    Ok(())
}

fn write_account(
    world: &World,
    shop: &Shop,
    account: i64,
    factor: f64,
    day: &Day,
    folder: &mut Folder,
) -> Result<()> {
    let mut stream = Stream::new(world.seed, "ads", &[day.number() as u64, account as u64]);
    // Sellers pause their ads now and then.
    if stream.chance(0.08) {
        return Ok(());
    }
    // Sellers spend more where a campaign brings buyers.
    let factor = if campaigns::running(world, day.date).is_some() {
        factor * 1.3
    } else {
        factor
    };
    let budget = world.rows_per_day as f64
        * shop.share
        * SPEND_CENTS_PER_ROW
        * factor
        * stream.log_normal(1.0, 0.35);
    let revenue_per_spend = stream.log_normal(2.8, 0.4);
    let total: f64 = day.hours().map(|(_, weight)| weight).sum();
    for (hour_start, weight) in day.hours() {
        let spend = (budget * weight / total * stream.log_normal(1.0, 0.25)) as i64;
        let revenue = (spend as f64 * revenue_per_spend * stream.log_normal(1.0, 0.4)) as i64;
        if spend >= LEAST_SPEND_CENTS {
            folder.row(&[
                Cell::Int(account),
                Cell::Int(shop.shop_id()),
                Cell::Int(hour_start),
                Cell::Int(spend),
                Cell::Int(revenue),
            ])?;
        }
    }
    Ok(())
}
