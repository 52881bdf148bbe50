//! The daily tables (SPEC.md 3.1), one group of rows after the other.

use std::collections::{BTreeMap, BTreeSet};

use super::numbers::{Measures, get, known, ratio, times};
use super::quarantine::DayExports;
use super::rows::{Line, Row, Tables, ranks};

pub struct ShopDay {
    pub category: Option<String>,
    pub measures: Measures,
}

pub struct ContentDay {
    /// content_type, account_type, creator_handle, title, published_at, has_violation, is_key_live,
    /// as exported
    pub attributes: BTreeMap<&'static str, Option<String>>,
    pub measures: Measures,
}

pub struct SubCampaignDay {
    pub campaign_id: i64,
    pub name: String,
    pub measures: Measures,
}

/// The sums of a published day that later windows read.
pub struct Rollups {
    pub shops: BTreeMap<i64, ShopDay>,
    pub channels: BTreeMap<(i64, String), Measures>,
    pub products: BTreeMap<(i64, i64), Measures>,
    pub skus: BTreeMap<(i64, i64, i64), Measures>,
    pub contents: Option<BTreeMap<(i64, i64), ContentDay>>,
    pub sub_campaigns: Option<BTreeMap<(i64, i64), SubCampaignDay>>,
    pub has_ads: bool,
}

pub fn compute(exports: &DayExports, tables: &mut Tables) -> Rollups {
    let day = exports.day;
    let lines = exports.required_rows("order_lines");
    let traffic = exports.required_rows("product_traffic");

    let shops = shop_daily(exports, &lines, &traffic);
    let mut rows = Vec::new();
    for (shop, of_day) in &shops {
        let line = Line::new("shop_daily")
            .is("shop_id", shop)
            .text("category", of_day.category.as_deref());
        rows.push(line.measures(&of_day.measures).done());
    }
    tables.write("shop_daily", day, rows);

    let channel_key = |r: Row| (r.int("shop_id"), r.text("channel").to_owned());
    let channels = both_by(&lines, &traffic, channel_key);
    let mut rows = Vec::new();
    for ((shop, channel), m) in &channels {
        let of_shop = get(&shops[shop].measures, "product_impressions");
        let line = Line::new("channel_daily")
            .is("shop_id", shop)
            .is("channel", channel);
        let share = ratio(get(m, "product_impressions"), of_shop);
        rows.push(line.double("impression_share", share).measures(m).done());
    }
    tables.write("channel_daily", day, rows);

    let products = both_by(&lines, &traffic, |r| {
        (r.int("shop_id"), r.int("product_id"))
    });
    let campaign_products = exports.campaign_products();
    let mut rows = Vec::new();
    for ((shop, product), m) in &products {
        let mut line = Line::new("product_daily")
            .is("shop_id", shop)
            .is("product_id", product);
        let is_campaign_product = campaign_products
            .as_ref()
            .map(|all| all.iter().any(|(_, s, p)| (s, p) == (shop, product)));
        line = line.cell(
            "is_campaign_product",
            is_campaign_product.map(|b| b.to_string()),
        );
        rows.push(line.measures(m).done());
    }
    tables.write("product_daily", day, rows);

    let mut skus = BTreeMap::new();
    let sku_key = |r: &Row| (r.int("shop_id"), r.int("product_id"), r.int("sku_id"));
    for key in lines.iter().map(sku_key).collect::<BTreeSet<_>>() {
        skus.insert(
            key,
            sales(
                &lines
                    .iter()
                    .filter(|r| sku_key(r) == key)
                    .copied()
                    .collect::<Vec<_>>(),
            ),
        );
    }
    let mut rows = Vec::new();
    for ((shop, product, sku), m) in &skus {
        let line = Line::new("sku_daily")
            .is("shop_id", shop)
            .is("product_id", product)
            .is("sku_id", sku);
        rows.push(line.measures(m).done());
    }
    tables.write("sku_daily", day, rows);

    let contents = exports.rows("contents").map(|contents| {
        let (by_key, rows) = content_daily(&contents, &lines, &traffic, &shops);
        tables.write("content_daily", day, rows);
        by_key
    });
    let sub_campaigns = exports.rows("sub_campaigns").map(|sub_campaigns| {
        let (by_key, rows) = sub_campaign_daily(&sub_campaigns, &lines);
        tables.write("sub_campaign_daily", day, rows);
        by_key
    });
    let ad_hours = exports.rows("ad_hours");
    if let Some(hours) = &ad_hours {
        let mut rows = Vec::new();
        for hour in hours {
            let since = hour.micros("hour_start") - exports.bounds.0;
            let (spend, revenue) = (Some(hour.cents("spend")), Some(hour.cents("gross_revenue")));
            let line = Line::new("ad_hourly").is("shop_id", hour.int("shop_id"));
            let line = line
                .is("hour_start", hour.text("hour_start"))
                .is("local_hour", since / 3_600_000_000);
            let line = line
                .cents("ad_spend", spend)
                .cents("ad_gross_revenue", revenue);
            rows.push(line.double("ad_roi", ratio(revenue, spend)).done());
        }
        tables.write("ad_hourly", day, rows);
    }
    Rollups {
        shops,
        channels,
        products,
        skus,
        contents,
        sub_campaigns,
        has_ads: ad_hours.is_some(),
    }
}

/// The measures of order lines.
fn sales(lines: &[Row]) -> Measures {
    let mut m = Measures::new();
    let names = [
        "gmv",
        "gmv_live",
        "gmv_video",
        "gmv_product_card",
        "sku_orders",
        "items_sold",
        "contribution_product",
        "contribution_shipping",
        "estimated_tiktok_contribution",
    ];
    for name in names {
        m.insert(name, Some(0));
    }
    let mut grow = |name: &'static str, by: i128| m.insert(name, Some(m[name].unwrap() + by));
    let mut orders = BTreeSet::new();
    let mut buyers = BTreeSet::new();
    for line in lines {
        let gmv = line.cents("sub_total") + line.cents("shipping_fee");
        grow("gmv", gmv);
        match line.text("channel") {
            "LIVE" => grow("gmv_live", gmv),
            "VIDEO" => grow("gmv_video", gmv),
            _ => grow("gmv_product_card", gmv),
        };
        grow("sku_orders", 1);
        grow("items_sold", line.count("quantity"));
        grow("contribution_product", line.cents("platform_discount"));
        grow(
            "contribution_shipping",
            line.cents("shipping_platform_discount"),
        );
        let both = line.cents("platform_discount") + line.cents("shipping_platform_discount");
        grow("estimated_tiktok_contribution", both);
        orders.insert(line.int("order_id"));
        buyers.insert(line.int("buyer_id"));
    }
    m.insert("orders", Some(orders.len() as i128));
    m.insert("customers", Some(buyers.len() as i128));
    m
}

/// The measures of traffic rows.
fn visits(rows: &[Row]) -> Measures {
    let mut m = Measures::new();
    let mut users_with: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    let counters = [
        ("impressions", "product_impressions"),
        ("clicks", "product_clicks"),
        ("page_views", "page_views"),
        ("add_to_carts", "add_to_carts"),
    ];
    for (column, name) in counters {
        m.insert(name, Some(rows.iter().map(|r| r.count(column)).sum()));
        users_with.insert(
            column,
            rows.iter()
                .filter(|r| r.count(column) > 0)
                .map(|r| r.int("user_id"))
                .collect(),
        );
    }
    let viewers = &users_with["page_views"];
    m.insert(
        "unique_reach",
        Some(users_with["impressions"].len() as i128),
    );
    m.insert("unique_clicks", Some(users_with["clicks"].len() as i128));
    m.insert("unique_page_viewers", Some(viewers.len() as i128));
    m.insert(
        "unique_cart_adders",
        Some(viewers.intersection(&users_with["add_to_carts"]).count() as i128),
    );
    m
}

fn both(lines: &[Row], traffic: &[Row]) -> Measures {
    let mut m = sales(lines);
    m.extend(visits(traffic));
    m
}

/// Sales and visits of every key that occurs in either.
fn both_by<K: Ord>(
    lines: &[Row],
    traffic: &[Row],
    key: impl Fn(Row) -> K,
) -> BTreeMap<K, Measures> {
    let keys: BTreeSet<K> = lines.iter().chain(traffic).map(|r| key(*r)).collect();
    let mut out = BTreeMap::new();
    for k in keys {
        let own_lines: Vec<Row> = lines.iter().filter(|r| key(**r) == k).copied().collect();
        let own_traffic: Vec<Row> = traffic.iter().filter(|r| key(**r) == k).copied().collect();
        out.insert(k, both(&own_lines, &own_traffic));
    }
    out
}

fn shop_daily(exports: &DayExports, lines: &[Row], traffic: &[Row]) -> BTreeMap<i64, ShopDay> {
    let mut categories = BTreeMap::new();
    for shop in exports.required_rows("shops") {
        // An empty category is null.
        let category = shop
            .cell("category")
            .filter(|category| !category.is_empty());
        categories.insert(shop.int("shop_id"), category.map(String::from));
    }
    let mut ids: BTreeSet<i64> = categories.keys().copied().collect();
    ids.extend(lines.iter().chain(traffic).map(|r| r.int("shop_id")));
    let mut out = BTreeMap::new();
    for id in ids {
        let own_lines: Vec<Row> = lines
            .iter()
            .filter(|r| r.int("shop_id") == id)
            .copied()
            .collect();
        let own_traffic: Vec<Row> = traffic
            .iter()
            .filter(|r| r.int("shop_id") == id)
            .copied()
            .collect();
        let mut m = both(&own_lines, &own_traffic);
        let creators = ["AFFILIATE_ACCOUNTS"].as_slice();
        let sellers = ["OFFICIAL_ACCOUNTS", "MARKETING_ACCOUNTS"].as_slice();
        let new_contents = [
            ("creator_new_videos", "VIDEO", creators),
            ("creator_new_lives", "LIVE", creators),
            ("seller_new_videos", "VIDEO", sellers),
            ("seller_new_lives", "LIVE", sellers),
        ];
        for (name, content_type, accounts) in new_contents {
            let is_one = |r: &Row| {
                r.int("shop_id") == id
                    && r.text("content_type") == content_type
                    && accounts.contains(&r.text("account_type"))
                    && (exports.bounds.0..exports.bounds.1).contains(&r.micros("published_at"))
            };
            let contents = exports.rows("contents");
            m.insert(
                name,
                contents.map(|rows| rows.iter().filter(|r| is_one(r)).count() as i128),
            );
        }
        for (name, column) in [("ad_spend", "spend"), ("ad_gross_revenue", "gross_revenue")] {
            let hours = exports
                .rows("ad_hours")
                .filter(|_| categories.contains_key(&id));
            let sum = |rows: Vec<Row>| {
                rows.iter()
                    .filter(|r| r.int("shop_id") == id)
                    .map(|r| r.cents(column))
                    .sum()
            };
            m.insert(name, hours.map(sum));
        }
        out.insert(
            id,
            ShopDay {
                category: categories.get(&id).cloned().flatten(),
                measures: m,
            },
        );
    }
    out
}

pub const CONTENT_ATTRIBUTES: [&str; 7] = [
    "content_type",
    "account_type",
    "creator_handle",
    "title",
    "published_at",
    "has_violation",
    "is_key_live",
];

type Computed<T> = (BTreeMap<(i64, i64), T>, Vec<crate::world::Cells>);

fn content_daily(
    contents: &[Row],
    lines: &[Row],
    traffic: &[Row],
    shops: &BTreeMap<i64, ShopDay>,
) -> Computed<ContentDay> {
    let mut by_key = BTreeMap::new();
    for content in contents {
        let key = (content.int("shop_id"), content.int("content_id"));
        let own =
            |r: &&Row| (r.int("shop_id"), r.int_or_null("content_id")) == (key.0, Some(key.1));
        let own_lines: Vec<Row> = lines.iter().filter(own).copied().collect();
        let own_traffic: Vec<Row> = traffic.iter().filter(own).copied().collect();
        let mut measures = both(&own_lines, &own_traffic);
        measures.insert("views", content.int_or_null("views").map(i128::from));
        let attributes =
            CONTENT_ATTRIBUTES.map(|name| (name, content.cell(name).map(String::from)));
        by_key.insert(
            key,
            ContentDay {
                attributes: BTreeMap::from(attributes),
                measures,
            },
        );
    }
    let rank_of = |(key, c): (&(i64, i64), &ContentDay)| {
        (
            (key.0, c.attributes["content_type"].clone()),
            key.1,
            known(&c.measures, "gmv"),
        )
    };
    let ranks = ranks(&by_key.iter().map(rank_of).collect::<Vec<_>>());
    let mut rows = Vec::new();
    for (((shop, content), of_day), rank) in by_key.iter().zip(ranks) {
        let m = &of_day.measures;
        let mut line = Line::new("content_daily")
            .is("shop_id", shop)
            .is("content_id", content);
        for (name, value) in &of_day.attributes {
            line = line.cell(name, value.clone());
        }
        // Cents per view times 1000, in whole money.
        line = line.double("gpm", ratio(times(get(m, "gmv"), 10), get(m, "views")));
        let shop_gmv = shops.get(shop).and_then(|s| get(&s.measures, "gmv"));
        line = line.double("gmv_share", ratio(get(m, "gmv"), shop_gmv));
        rows.push(line.is("gmv_rank", rank).measures(m).done());
    }
    (by_key, rows)
}

fn sub_campaign_daily(sub_campaigns: &[Row], lines: &[Row]) -> Computed<SubCampaignDay> {
    let mut by_key = BTreeMap::new();
    for sub_campaign in sub_campaigns {
        let id = sub_campaign.int("sub_campaign_id");
        let sold: Vec<Row> = lines
            .iter()
            .filter(|r| r.int_or_null("sub_campaign_id") == Some(id))
            .copied()
            .collect();
        for shop in sold
            .iter()
            .map(|r| r.int("shop_id"))
            .collect::<BTreeSet<_>>()
        {
            let own: Vec<Row> = sold
                .iter()
                .filter(|r| r.int("shop_id") == shop)
                .copied()
                .collect();
            let of_day = SubCampaignDay {
                campaign_id: sub_campaign.int("campaign_id"),
                name: sub_campaign.text("sub_campaign_name").to_owned(),
                measures: sales(&own),
            };
            by_key.insert((shop, id), of_day);
        }
    }
    let rank_of = |(key, s): (&(i64, i64), &SubCampaignDay)| {
        ((key.0, s.campaign_id), key.1, known(&s.measures, "gmv"))
    };
    let ranks = ranks(&by_key.iter().map(rank_of).collect::<Vec<_>>());
    let mut rows = Vec::new();
    for (((shop, id), of_day), rank) in by_key.iter().zip(ranks) {
        let line = Line::new("sub_campaign_daily")
            .is("shop_id", shop)
            .is("sub_campaign_id", id);
        let line = line
            .is("campaign_id", of_day.campaign_id)
            .is("sub_campaign_name", &of_day.name);
        rows.push(line.is("gmv_rank", rank).measures(&of_day.measures).done());
    }
    (by_key, rows)
}
