//! The Campaign Dashboard of a shop: one page from the published tables of a day.
//!
//! | file | holds |
//! | --- | --- |
//! | `core` | cards beside comparable shops, and the reasons of a difference |
//! | `baseline` | the day beside every published day of six months |
//! | `lists` | content, products, stock, channels, hours |
//! | `definitions` | the metrics of the page |

mod baseline;
mod core;
mod definitions;
mod lists;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use chrono::NaiveDate;

use super::page::{Block, Card, Cell, Head, Mark, Page, Progress, Row, Section, Table, Tone};
use super::rows::{DayRows, PublishedRow, ShopRows, published_day};
use super::shown::{Locale, long_day};
use crate::catalog::manifest::{CampaignDays, Manifest};
use crate::contracts::tables::{
    AD_HOURLY, CATEGORY_BENCHMARK, CHANNEL_DAILY, CHANNEL_PERIOD, CONTENT_DAILY, CONTENT_PERIOD,
    FUNNEL_PERIOD, GMV_BASELINE, GMV_GAP, PRODUCT_DAILY, PRODUCT_PERIOD, SHOP_BENCHMARK,
    SHOP_DAILY, SHOP_PERIOD, SHOP_TIER, STOCK_STATUS, SUB_CAMPAIGN_PERIOD,
};
use crate::contracts::{Kind, Table as ResultTable};
use crate::explain::why_unpublished;
use crate::messages;
use crate::plan::Facts;
use crate::report::counted;

/// The tables that the page shows.
static SHOWN: [&ResultTable; 17] = [
    &SHOP_DAILY,
    &CHANNEL_DAILY,
    &PRODUCT_DAILY,
    &CONTENT_DAILY,
    &AD_HOURLY,
    &SHOP_PERIOD,
    &FUNNEL_PERIOD,
    &CHANNEL_PERIOD,
    &PRODUCT_PERIOD,
    &CONTENT_PERIOD,
    &SUB_CAMPAIGN_PERIOD,
    &GMV_BASELINE,
    &STOCK_STATUS,
    &SHOP_TIER,
    &CATEGORY_BENCHMARK,
    &SHOP_BENCHMARK,
    &GMV_GAP,
];

/// The names of the two views.
const DAILY: &str = "Daily";
const PERIOD: &str = "Campaign period";

/// What the dashboards of a day share.
pub(crate) struct DashboardDay {
    pub manifest: Manifest,
    pub locale: Locale,
    /// The campaigns of earlier days, as a person calls them.
    campaigns: BTreeMap<NaiveDate, Vec<String>>,
    /// Whether the pages lie beside an index.
    pub is_indexed: bool,
}

/// Everything that the sections of a shop's page are made from.
struct Shop<'a> {
    day: &'a DashboardDay,
    rows: ShopRows<'a>,
    locale: &'a Locale,
    /// The campaign of the page; `None`: the shop is in no campaign of the day.
    campaign_id: Option<i128>,
    /// Its row of `shop_period`; `None` also on a day that is not final.
    period: Option<PublishedRow<'a>>,
}

/// A scope of the benchmarks, and the view that shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Daily,
    Period,
}

impl Scope {
    fn view(self) -> &'static str {
        match self {
            Scope::Daily => DAILY,
            Scope::Period => PERIOD,
        }
    }

    /// A section of this view. `ids`: its anchor in the daily view and in that of the period.
    fn section(self, ids: [&'static str; 2], title: &str, blocks: Vec<Block>) -> Section {
        let [daily, period] = ids;
        Section {
            id: match self {
                Scope::Daily => daily,
                Scope::Period => period,
            },
            title: format!("{title}, {}", self.view().to_lowercase()),
            view: Some(self.view()),
            blocks,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Scope::Daily => "DAILY",
            Scope::Period => "CAMPAIGN_PERIOD",
        }
    }
}

/// The dashboard of a shop. `campaign`: `None`: the shop's campaign with the smallest number.
///
/// # Errors
/// `ConfigWrong` when the day, the shop or the campaign has no published row; `StoreFailed` when a file
/// is not the one that was published.
pub(crate) fn dashboard(
    facts: &Facts,
    (shop_id, day): (i64, NaiveDate),
    campaign: Option<i64>,
) -> Result<Page> {
    let day = DashboardDay::load(facts, day)?;
    let rows = day.rows(facts, &[shop_id])?;
    day.page(rows.of_shop(shop_id), campaign)
}

impl DashboardDay {
    /// # Errors
    /// `ConfigWrong` when the daily numbers of the day are not published.
    pub(crate) fn load(facts: &Facts, day: NaiveDate) -> Result<DashboardDay> {
        let manifest = published_day(facts, day)?;
        // On a day that is not final, benchmarks of the day before may stand in.
        if !manifest.has(&SHOP_DAILY) && !manifest.has(&SHOP_BENCHMARK) {
            let why = why_unpublished(&manifest, &SHOP_DAILY);
            return Err(messages::not_published(SHOP_DAILY.name, day, why).into());
        }
        Ok(DashboardDay {
            // The days and hours of the page are those of its tables.
            locale: Locale::new(
                &manifest.currency,
                manifest.time_zone.parse().unwrap_or(facts.config.time_zone),
            ),
            campaigns: baseline::campaigns_of_days(facts, day),
            manifest: (*manifest).clone(),
            is_indexed: false,
        })
    }

    /// The rows of some shops, whose ids ascend.
    ///
    /// # Errors
    /// When a file is not the one that was published.
    pub(crate) fn rows(&self, facts: &Facts, shops: &[i64]) -> Result<DayRows<'_>> {
        DayRows::load(facts, &self.manifest, &SHOWN, shops)
    }

    /// The page of a shop.
    ///
    /// # Errors
    /// `ConfigWrong` when the shop or the campaign has no published row.
    pub(crate) fn page(&self, rows: ShopRows, campaign: Option<i64>) -> Result<Page> {
        let (shop_id, day) = (rows.shop_id, rows.day());
        let periods = rows.of(&SHOP_PERIOD, &[]);
        let compared = rows.of(&SHOP_BENCHMARK, &[("scope", Scope::Period.name())]);
        let campaigns: BTreeSet<i128> = periods
            .iter()
            .chain(&compared)
            .filter_map(|row| row.whole("campaign_id"))
            .collect();
        let campaign_id = match campaign {
            Some(id) => campaigns.get(&i128::from(id)).copied(),
            None => campaigns.first().copied(),
        };
        let tables = [&SHOP_DAILY, &SHOP_PERIOD, &SHOP_BENCHMARK];
        if tables.iter().all(|table| rows.of(table, &[]).is_empty()) {
            return Err(messages::no_row_of_shop(shop_id, day).into());
        }
        if let (Some(campaign), None) = (campaign, campaign_id) {
            return Err(messages::not_in_campaign(shop_id, campaign, day).into());
        }
        let of_campaign = |row: &&PublishedRow| row.whole("campaign_id") == campaign_id;
        let shop = Shop {
            day: self,
            rows,
            locale: &self.locale,
            campaign_id,
            period: periods.iter().find(of_campaign).copied(),
        };
        shop.page(&campaigns)
    }

    /// A campaign of the day; `None`: an earlier version of this program published the day.
    pub(crate) fn campaign(&self, campaign_id: i128) -> Option<&CampaignDays> {
        let mut campaigns = self.manifest.campaigns.iter();
        campaigns.find(|campaign| i128::from(campaign.campaign_id) == campaign_id)
    }
}

impl<'a> Shop<'a> {
    fn page(&self, campaigns: &BTreeSet<i128>) -> Result<Page> {
        let scopes = match self.campaign_id {
            Some(_) => &[Scope::Daily, Scope::Period][..],
            None => &[Scope::Daily],
        };
        let mut sections = vec![self.goal()];
        for scope in scopes.iter().copied() {
            sections.push(self.core(scope));
            sections.push(self.gap(scope)?);
        }
        sections.push(self.baseline()?);
        for scope in scopes.iter().copied() {
            sections.push(self.marketing(scope)?);
            sections.push(self.content(scope));
        }
        sections.push(self.sub_campaigns());
        sections.push(self.stock());
        for scope in scopes.iter().copied() {
            sections.push(self.products(scope));
            sections.push(self.channels(scope)?);
            sections.push(self.funnel(scope)?);
        }
        sections.push(self.definitions(&sections));
        Ok(Page {
            title: format!("Shop {}", self.rows.shop_id),
            kind: "Campaign Dashboard",
            lead: self.lead(),
            shop_id: Some(self.rows.shop_id),
            day: self.rows.day(),
            is_indexed: self.day.is_indexed,
            facts: self.facts(campaigns),
            sections,
        })
    }

    /// Why the numbers are not those of the day's present exports; `None`: they are.
    fn lead(&self) -> Option<Mark> {
        let manifest = self.rows.manifest;
        let day = self.rows.day();
        let text = match (&manifest.blocked, &manifest.benchmark) {
            (_, Some(benchmark)) if !manifest.has(&SHOP_DAILY) => format!(
                "The numbers of {day} are not there yet: results of {} stand in.",
                benchmark.benchmark_day
            ),
            (Some(_), _) => format!(
                "The exports of {day} are blocked now. These are the numbers that were published before."
            ),
            _ => return None,
        };
        Some(Mark::new(Tone::Warning, text))
    }

    fn facts(&self, campaigns: &BTreeSet<i128>) -> Vec<(&'static str, String)> {
        let manifest = self.rows.manifest;
        let day = long_day(self.rows.day());
        let mut facts = vec![("Day", format!("{day} ({})", manifest.time_zone))];
        // On a day that is not final, the tier is that of the benchmarks.
        let tiers = [&SHOP_TIER, &SHOP_BENCHMARK].into_iter();
        if let Some(tier) = tiers.flat_map(|table| self.rows.of(table, &[])).next() {
            let category = tier.raw("category");
            facts.push(("Category", category.unwrap_or_else(|| "none".to_owned())));
            facts.push(("Tier", tier.text("tier")));
        }
        if let Some(period) = &self.period {
            facts.push(("Campaign", self.campaign_told(period)));
        }
        if campaigns.len() > 1 {
            let ids: Vec<String> = campaigns.iter().map(i128::to_string).collect();
            facts.push(("All campaigns of the day", ids.join(", ")));
        }
        facts.push(("Currency", manifest.currency.clone()));
        let published = self.locale.published(manifest);
        facts.push(("Published", published));
        facts
    }

    /// `Spring Sale (9000), 2026-03-09 to 2026-03-14`
    fn campaign_told(&self, period: &PublishedRow) -> String {
        let id = period.text("campaign_id");
        let campaign = period
            .whole("campaign_id")
            .and_then(|id| self.day.campaign(id));
        match campaign {
            Some(CampaignDays {
                campaign_name,
                first_day,
                last_day,
                ..
            }) => format!("{campaign_name} ({id}), {first_day} to {last_day}"),
            None => format!("{id}, since {}", period.text("first_day")),
        }
    }

    /// The target of the campaign, and the part of it that is reached.
    fn goal(&self) -> Section {
        let blocks = match &self.period {
            None => {
                let why = self.rows.why_none(&SHOP_PERIOD);
                vec![Block::Text(format!("Not available: {why}."))]
            }
            Some(period) => self.goal_blocks(period),
        };
        Section {
            id: "goal",
            title: "Goal and progress".to_owned(),
            view: None,
            blocks,
        }
    }

    fn goal_blocks(&self, period: &PublishedRow) -> Vec<Block> {
        let card = |title: &str, column: &'static str| {
            let described = SHOP_PERIOD.column(column);
            let raw = period.raw(column);
            Card {
                title: title.to_owned(),
                definition: None,
                from: period.origin(column),
                value: self.locale.with_code(described.kind, described.unit, raw),
                others: vec![],
                marks: vec![],
            }
        };
        let mut target = card("Target", "target_gmv");
        let mut progress = card("Part of the target", "target_progress");
        if period.raw("target_gmv").is_none() {
            let none = Mark::new(Tone::Plain, "no target is set");
            target.marks.push(none.clone());
            progress.marks.push(none);
        }
        let mut days = card("Days so far", "days");
        days.marks.push(self.days_left(period));
        let missing = period.text("missing_days");
        if missing != "0" {
            let missing = format!("{missing} more without published numbers");
            days.marks.push(Mark::new(Tone::Warning, missing));
        }
        let bar = period.double("target_progress").map(|fraction| {
            Block::Progress(Progress {
                caption: "Part of the target that is reached".to_owned(),
                fraction: fraction.clamp(0.0, 1.0),
            })
        });
        let cards = vec![card("Achieved", "gmv"), target, progress, days];
        bar.into_iter().chain([Block::Cards(cards)]).collect()
    }

    fn days_left(&self, period: &PublishedRow) -> Mark {
        let campaign = period
            .whole("campaign_id")
            .and_then(|id| self.day.campaign(id));
        let Some(campaign) = campaign else {
            return Mark::new(
                Tone::Plain,
                "days left: not available, an earlier version published the day",
            );
        };
        let left = (campaign.last_day - self.rows.day()).num_days();
        let text = match left {
            0 => "this is the last day".to_owned(),
            left => format!(
                "{} left, until {}",
                counted(left as usize, "day"),
                campaign.last_day
            ),
        };
        Mark::new(Tone::Plain, text)
    }
}

/// A table of a page with columns of one published table: title and column of each.
fn table_of(
    table: &'static ResultTable,
    caption: &str,
    columns: &[(&str, &'static str)],
    rows: &[PublishedRow],
    locale: &Locale,
) -> Table {
    let heads = columns.iter().map(|(title, name)| {
        let column = table.column(name);
        let is_money = column.unit.starts_with("money");
        Head {
            title: match is_money {
                true => format!("{title} ({})", locale.currency),
                false => (*title).to_owned(),
            },
            column: name,
            is_number: is_number(column.kind),
        }
    });
    let row = |published: &PublishedRow| Row {
        rows: published.key(),
        day: None,
        tags: String::new(),
        cells: columns
            .iter()
            .map(|(_, name)| {
                let shown = published.shown(name, locale);
                match (is_number(table.column(name).kind), &shown.raw) {
                    (true, _) => Cell::Value(shown),
                    (false, None) => Cell::Null,
                    (false, Some(_)) => Cell::Text(shown.text),
                }
            })
            .collect(),
    };
    let nulls = columns.iter().filter_map(|(title, name)| {
        let has_null = rows.iter().any(|row| row.raw(name).is_none());
        let why = table.column(name).null.filter(|_| has_null)?;
        Some(format!("{title}, not available: {why}."))
    });
    Table {
        caption: caption.to_owned(),
        from: table.name,
        columns: heads.collect(),
        rows: rows.iter().map(row).collect(),
        notes: nulls.collect(),
        ..Table::default()
    }
}

fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Int64 | Kind::Int32 | Kind::Money | Kind::Double)
}
