//! The daily tables of a shop, from its rows in the day's exports (SPEC.md section 3.1).

use std::collections::BTreeMap;

use super::cells::{Cells, Line, ranks};
use super::shop_day::{Activity, CONTENT_ATTRIBUTES, Content, ShopDay};
use super::sums::ratio;
use crate::contracts::RollupId;
use crate::contracts::tables::rollup;

/// The shop's rows of a daily table; `None`: an export that the table needs is absent.
pub(super) fn rows(id: RollupId, shop_id: i64, day: &ShopDay) -> Option<Vec<Cells>> {
    let table = rollup(id);
    if !table.needs.iter().all(|needed| day.has(needed.name())) {
        return None;
    }
    let line = || Line::new(table).is("shop_id", shop_id);
    Some(match id {
        RollupId::ShopDaily => shop_daily(line, day).into_iter().collect(),
        RollupId::ChannelDaily => channel_daily(line, day),
        RollupId::ProductDaily => product_daily(line, day),
        RollupId::SkuDaily => sku_daily(line, day),
        RollupId::ContentDaily => content_daily(line, day),
        RollupId::SubCampaignDaily => sub_campaign_daily(line, day),
        RollupId::AdHourly => ad_hourly(line, day),
    })
}

fn shop_daily(line: impl Fn() -> Line, day: &ShopDay) -> Option<Cells> {
    if day.shop.is_none() && day.channels.is_empty() {
        return None;
    }
    let mut sums = day.all.sums();
    let sellers = ["OFFICIAL_ACCOUNTS", "MARKETING_ACCOUNTS"].as_slice();
    let creators = ["AFFILIATE_ACCOUNTS"].as_slice();
    for (column, content_type, accounts) in [
        ("creator_new_videos", "VIDEO", creators),
        ("creator_new_lives", "LIVE", creators),
        ("seller_new_videos", "VIDEO", sellers),
        ("seller_new_lives", "LIVE", sellers),
    ] {
        let is_one = |content: &&Content| {
            content.attribute("content_type") == content_type
                && accounts.contains(&content.attribute("account_type"))
                && day.civil.contains(content.published_at_us)
        };
        let count = day.contents.iter().filter(is_one).count() as i128;
        sums.set(column, day.has("contents").then_some(count));
    }
    let has_ads = day.has("ad_hours") && day.shop.is_some();
    let (spend, revenue) = day.ad_hours.iter().fold((0, 0), |(spend, revenue), hour| {
        (spend + hour.spend, revenue + hour.gross_revenue)
    });
    sums.set("ad_spend", has_ads.then_some(spend));
    sums.set("ad_gross_revenue", has_ads.then_some(revenue));
    let category = day.shop.as_ref().and_then(|shop| shop.category.clone());
    Some(line().cell("category", category).sums(&sums).done())
}

fn channel_daily(line: impl Fn() -> Line, day: &ShopDay) -> Vec<Cells> {
    let of_shop = day.all.sums().get("product_impressions");
    let row = |(channel, activity): (&String, &Activity)| {
        let sums = activity.sums();
        let share = ratio(sums.get("product_impressions"), of_shop);
        let line = line().is("channel", channel).sums(&sums);
        line.double("impression_share", share).done()
    };
    day.channels.iter().map(row).collect()
}

fn product_daily(line: impl Fn() -> Line, day: &ShopDay) -> Vec<Cells> {
    let row = |(product, activity): (&i64, &Activity)| {
        let line = line().is("product_id", product).sums(&activity.sums());
        line.cell("is_campaign_product", is_campaign_product(day, *product))
            .done()
    };
    day.products.iter().map(row).collect()
}

/// Whether the product takes part in a campaign of the day; `None` without `campaign_products`.
pub(super) fn is_campaign_product(day: &ShopDay, product: i64) -> Option<String> {
    let mut products = day.campaign_products.iter();
    let is_one = products.any(|(_, of_campaign)| *of_campaign == product);
    day.has("campaign_products").then(|| is_one.to_string())
}

fn sku_daily(line: impl Fn() -> Line, day: &ShopDay) -> Vec<Cells> {
    let row = |((product, sku), activity): (&(i64, i64), &Activity)| {
        let line = line().is("product_id", product).is("sku_id", sku);
        line.sums(&activity.sums()).done()
    };
    day.skus.iter().map(row).collect()
}

fn content_daily(line: impl Fn() -> Line, day: &ShopDay) -> Vec<Cells> {
    let of_shop = day.all.sums().get("gmv");
    let none = Activity::default();
    let contents: BTreeMap<i64, &Content> = day
        .contents
        .iter()
        .map(|content| (content.content_id, content))
        .collect();
    let sums_of = |content: &Content| {
        let activity = day.content_activity.get(&content.content_id);
        let mut sums = activity.unwrap_or(&none).sums();
        sums.set("views", content.views.map(i128::from));
        sums
    };
    let sums: Vec<_> = contents.values().map(|content| sums_of(content)).collect();
    let ranked = contents.values().zip(&sums).map(|(content, sums)| {
        let content_type = content.attribute("content_type");
        let gmv = sums.get("gmv").unwrap_or_default();
        (content_type, content.content_id, gmv)
    });
    let ranks = ranks(&ranked.collect::<Vec<_>>());
    let rows = contents.values().zip(&sums).zip(ranks);
    rows.map(|((content, sums), rank)| {
        let mut line = line().is("content_id", content.content_id);
        for name in CONTENT_ATTRIBUTES {
            line = line.cell(name, content.attributes[name].clone());
        }
        let share = ratio(sums.get("gmv"), of_shop);
        let line = line.double("gmv_share", share).is("gmv_rank", rank);
        line.sums(sums).done()
    })
    .collect()
}

fn sub_campaign_daily(line: impl Fn() -> Line, day: &ShopDay) -> Vec<Cells> {
    let sold = day.sub_campaign_activity.iter();
    let known: Vec<_> = sold
        .filter_map(|(id, activity)| Some((*id, day.sub_campaigns.get(id)?, activity.sums())))
        .collect();
    let ranked = known.iter().map(|(id, sub_campaign, sums)| {
        (
            sub_campaign.campaign_id,
            *id,
            sums.get("gmv").unwrap_or_default(),
        )
    });
    let ranks = ranks(&ranked.collect::<Vec<_>>());
    let rows = known.iter().zip(ranks);
    rows.map(|((id, sub_campaign, sums), rank)| {
        let line = line().is("sub_campaign_id", id);
        let line = line
            .is("campaign_id", sub_campaign.campaign_id)
            .is("sub_campaign_name", &sub_campaign.name);
        line.is("gmv_rank", rank).sums(sums).done()
    })
    .collect()
}

fn ad_hourly(line: impl Fn() -> Line, day: &ShopDay) -> Vec<Cells> {
    let mut hours: Vec<_> = day.ad_hours.iter().collect();
    hours.sort_by_key(|hour| hour.hour_start_us);
    let row = |hour: &&super::shop_day::AdHour| {
        let (spend, revenue) = (Some(hour.spend), Some(hour.gross_revenue));
        let since_midnight = hour.hour_start_us - day.civil.start_us;
        let line = line()
            .is("hour_start", &hour.hour_start)
            .is("local_hour", since_midnight.div_euclid(3_600_000_000));
        let line = line
            .cents("ad_spend", spend)
            .cents("ad_gross_revenue", revenue);
        line.double("ad_roi", ratio(revenue, spend)).done()
    };
    hours.iter().map(row).collect()
}
