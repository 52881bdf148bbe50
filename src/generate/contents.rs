//! Videos and LIVEs: published by creators and sellers, watched for some days.
//!
//! What a shop published on a day is a function of (seed, shop, that day), so that each day's
//! export finds the contents of the days before it without having written them.

use anyhow::Result;
use chrono::{Days, NaiveDate};

use super::calendar::Day;
use super::folder::{Cell, Folder};
use super::market::{CHANNELS, LIVE, Market, Shop, VIDEO};
use super::stream::Stream;
use super::world::World;
use crate::contracts::datasets::{AFFILIATE_ACCOUNTS, MARKETING_ACCOUNTS, OFFICIAL_ACCOUNTS};

/// Days for which a video is watched; a LIVE is over on its day.
const VIDEO_DAYS: u64 = 5;
const MOST_NEW_VIDEOS: u32 = 40;
const MOST_NEW_LIVES: u32 = 8;
/// Content ids hold the day, the shop and a number below this.
const CONTENTS_PER_SHOP_DAY: i64 = 100;

const HANDLE_FIRST: [&str; 24] = [
    "mia", "jay", "sofia", "thatgirl", "dadof3", "nina", "leo", "thrifty", "honest", "cozy",
    "budget", "glam", "everyday", "the.real", "simply", "coach", "auntie", "kai", "zoe", "marcus",
    "elle", "rio", "tasha", "ben",
];
const HANDLE_SECOND: [&str; 16] = [
    "finds", "reviews", "deals", "haul", "tries", "picks", "unboxed", "daily", "live", "styles",
    "shops", "home", "glow", "fits", "tested", "faves",
];
const TITLES: [&str; 16] = [
    "Honest review after 30 days",
    "Watch before you buy",
    "My restock of the month",
    "Get ready with me",
    "Under 30 dollars and worth it",
    "Viral find: does it work?",
    "Three ways to use it",
    "Unboxing with first thoughts",
    "Back in stock!",
    "What I ordered vs what I got",
    "Small business, big quality",
    "Gift idea they will love",
    "You asked, I tested",
    "Before and after",
    "Five star or flop?",
    "Do not scroll past this one",
];
const LIVE_TITLES: [&str; 6] = [
    "LIVE: deals all evening",
    "LIVE with giveaways",
    "Try-on LIVE",
    "LIVE: restock party",
    "Ask me anything LIVE",
    "Flash deals every 10 minutes",
];

/// One content as it is on its day of publication.
pub(super) struct Content {
    pub content_id: i64,
    /// `LIVE` or `VIDEO`, as a position in the list of channels.
    pub channel: usize,
    account_type: &'static str,
    creator: u64,
    title: Option<&'static str>,
    published_us: i64,
    has_violation: bool,
    is_key_live: bool,
    /// How much it is watched, relative to the shop's other contents; falls with age.
    pub weight: f64,
}

/// The contents of a shop that are published or active on a day.
pub(super) fn active_contents(world: &World, shop: &Shop, day: &Day) -> Result<Vec<Content>> {
    let mut active = Vec::new();
    for age in 0..VIDEO_DAYS {
        let Some(published_on) = day.date.checked_sub_days(Days::new(age)) else {
            break;
        };
        let published = if age == 0 {
            new_contents(world, shop, day)
        } else {
            old_contents(world, shop, published_on)?
        };
        active.extend(
            published
                .into_iter()
                .filter(|c| age == 0 || c.channel == VIDEO)
                .map(|content| Content {
                    weight: content.weight / (1.0 + age as f64 * age as f64),
                    ..content
                }),
        );
    }
    Ok(active)
}

fn old_contents(world: &World, shop: &Shop, published_on: NaiveDate) -> Result<Vec<Content>> {
    Ok(new_contents(
        world,
        shop,
        &Day::of(published_on, world.time_zone),
    ))
}

fn new_contents(world: &World, shop: &Shop, day: &Day) -> Vec<Content> {
    let mut stream = Stream::new(
        world.seed,
        "contents",
        &[day.number() as u64, u64::from(shop.index)],
    );
    let reach = shop.size.sqrt();
    let videos = stream
        .poisson((0.15 + 0.9 * reach) * share_of(shop, VIDEO) * 3.0)
        .min(MOST_NEW_VIDEOS);
    let lives = stream
        .poisson((0.10 + 0.6 * reach) * share_of(shop, LIVE) * 2.0)
        .min(MOST_NEW_LIVES);
    let first_id = (day.number() * 1_000_000 + i64::from(shop.index)) * CONTENTS_PER_SHOP_DAY;
    let creators = (u64::from(world.shops) * 3).max(50);
    (0..videos + lives)
        .map(|n| {
            let channel = if n < videos { VIDEO } else { LIVE };
            let by = if channel == VIDEO {
                [0.66, 0.20, 0.14]
            } else {
                [0.45, 0.42, 0.13]
            };
            let account_type =
                [AFFILIATE_ACCOUNTS, OFFICIAL_ACCOUNTS, MARKETING_ACCOUNTS][stream.weighted(&by)];
            let titles: &[&'static str] = if channel == VIDEO {
                &TITLES
            } else {
                &LIVE_TITLES
            };
            let title = stream.pick(titles);
            Content {
                content_id: first_id + i64::from(n),
                channel,
                account_type,
                creator: stream.popular(creators),
                title: stream.chance(0.93).then_some(title),
                published_us: day.shopping_instant(&mut stream),
                has_violation: stream.chance(0.015),
                is_key_live: channel == LIVE
                    && account_type != AFFILIATE_ACCOUNTS
                    && stream.chance(0.25),
                weight: stream.log_normal(1.0, 1.0),
            }
        })
        .collect()
}

fn share_of(shop: &Shop, channel: usize) -> f64 {
    shop.channel_weights[channel] / shop.channel_weights.iter().sum::<f64>()
}

/// Writes the `contents` export of a day.
pub(super) fn write_contents(
    world: &World,
    market: &Market,
    day: &Day,
    folder: &mut Folder,
) -> Result<()> {
    for (position, shop) in market.shops.iter().enumerate() {
        let contents = active_contents(world, shop, day)?;
        for content in &contents {
            write_content(world, shop, shop, day, content, folder)?;
        }
        // Some creators show the products of a second shop in the same video: one content, two
        // rows.
        let also = &market.shops[(position + 1) % market.shops.len()];
        for content in contents
            .iter()
            .filter(|c| c.account_type == AFFILIATE_ACCOUNTS && c.content_id % 29 == 0)
        {
            if also.index != shop.index {
                write_content(world, shop, also, day, content, folder)?;
            }
        }
    }
    Ok(())
}

fn write_content(
    world: &World,
    made_for: &Shop,
    shown: &Shop,
    day: &Day,
    content: &Content,
    folder: &mut Folder,
) -> Result<()> {
    let mut stream = Stream::new(
        world.seed,
        "views",
        &[day.number() as u64, content.content_id as u64],
    );
    let rows = world.rows_per_day as f64 * made_for.share * share_of(made_for, content.channel);
    let views = stream.log_normal((rows * 22.0).max(60.0) * content.weight / 3.0, 0.3) as i64 + 1;
    let handle = match content.account_type {
        AFFILIATE_ACCOUNTS => creator_handle(content.creator),
        OFFICIAL_ACCOUNTS => seller_handle(world, made_for, "official"),
        _ => seller_handle(world, made_for, "studio"),
    };
    folder.row(&[
        Cell::Int(content.content_id),
        Cell::Int(shown.shop_id()),
        Cell::Text(CHANNELS[content.channel].name),
        Cell::Text(content.account_type),
        Cell::Text(&handle),
        content.title.map_or(Cell::Null, Cell::Text),
        Cell::Int(content.published_us),
        if stream.chance(0.03) {
            Cell::Null
        } else {
            Cell::Int(views)
        },
        Cell::Flag(content.has_violation),
        Cell::Flag(content.is_key_live),
    ])
}

fn creator_handle(creator: u64) -> String {
    let first = HANDLE_FIRST[(creator % HANDLE_FIRST.len() as u64) as usize];
    let second = HANDLE_SECOND[(creator / 7 % HANDLE_SECOND.len() as u64) as usize];
    format!("{first}.{second}{creator}")
}

fn seller_handle(world: &World, shop: &Shop, suffix: &str) -> String {
    let letters: String = shop
        .name(world.seed)
        .to_lowercase()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    format!("{letters}{}.{suffix}", shop.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_new(content: &Content, day: &Day) -> bool {
        (day.first_us..day.end_us).contains(&content.published_us)
    }

    fn published_day_number(content_id: i64) -> i64 {
        content_id / CONTENTS_PER_SHOP_DAY / 1_000_000
    }

    #[test]
    fn a_video_keeps_its_id_and_publication_on_the_days_after() {
        let world = World {
            shops: 20,
            ..World::sample()
        };
        let market = Market::of(&world);
        let zone = world.time_zone;
        let today = Day::of("2026-03-09".parse().unwrap(), zone);
        let yesterday = Day::of("2026-03-08".parse().unwrap(), zone);
        let mut carried = 0;
        for shop in &market.shops {
            let before = active_contents(&world, shop, &yesterday).unwrap();
            for content in active_contents(&world, shop, &today).unwrap() {
                assert_eq!(
                    is_new(&content, &today),
                    published_day_number(content.content_id) == today.number()
                );
                if published_day_number(content.content_id) == yesterday.number() {
                    let same = before
                        .iter()
                        .find(|c| c.content_id == content.content_id)
                        .unwrap();
                    assert_eq!(same.published_us, content.published_us);
                    assert!(is_new(same, &yesterday));
                    carried += 1;
                }
            }
        }
        assert!(carried > 0);
    }
}
