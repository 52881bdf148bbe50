//! The Campaign Dashboard of a shop: one page from the published tables of a day.
//!
//! | file | holds |
//! | --- | --- |
//! | `core` | cards beside comparable shops, and the reasons of a difference |
//! | `lists` | content, products, stock, channels, hours |
//! | `definitions` | the metrics of the page |

mod core;
mod definitions;
mod lists;

use anyhow::Result;
use chrono::NaiveDate;

use super::chart;
use super::page::{Block, Cell, Figure, Head, Mark, Page, Progress, Row, Section, Table, Tone};
use super::rows::{PublishedRow, ShopRows, published_day};
use super::shown::{Locale, long_day};
use crate::catalog::history::History;
use crate::contracts::tables::{
    AD_HOURLY, CATEGORY_BENCHMARK, CHANNEL_DAILY, CHANNEL_PERIOD, CONTENT_DAILY, CONTENT_PERIOD,
    FUNNEL_PERIOD, GMV_BASELINE, GMV_GAP, PRODUCT_DAILY, PRODUCT_PERIOD, SHOP_BENCHMARK,
    SHOP_DAILY, SHOP_PERIOD, SHOP_TIER, STOCK_STATUS, SUB_CAMPAIGN_PERIOD,
};
use crate::contracts::{Kind, Table as ResultTable};
use crate::explain::why_unpublished;
use crate::messages;
use crate::plan::Facts;

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

/// Everything that the sections of a shop's page are made from.
struct Shop<'a> {
    rows: &'a ShopRows,
    locale: &'a Locale,
    /// The row of `shop_period`; `None`: the shop is in no campaign of the day.
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
    history: &History,
    (shop_id, day): (i64, NaiveDate),
    campaign: Option<i64>,
) -> Result<Page> {
    let manifest = published_day(facts, day)?;
    let rows = ShopRows::load(history, &manifest, shop_id, &SHOWN)?;
    let locale = Locale::new(&manifest.currency, facts.config.time_zone);
    let periods = rows.of(&SHOP_PERIOD, &[]);
    let wanted = campaign.map(|id| id.to_string());
    let is_wanted = |row: &&PublishedRow| match &wanted {
        Some(id) => row.raw("campaign_id").as_ref() == Some(id),
        None => true,
    };
    let period = periods.iter().find(is_wanted).copied();
    if !manifest.has(&SHOP_DAILY) {
        let why = why_unpublished(&manifest, &SHOP_DAILY);
        return Err(messages::not_published(SHOP_DAILY.name, day, why).into());
    }
    if rows.of(&SHOP_DAILY, &[]).is_empty() && period.is_none() {
        return Err(messages::no_row_of_shop(shop_id, day).into());
    }
    if let (Some(campaign), None) = (campaign, period) {
        return Err(messages::not_in_campaign(shop_id, campaign, day).into());
    }
    let shop = Shop {
        rows: &rows,
        locale: &locale,
        period,
    };
    shop.page(&periods)
}

impl<'a> Shop<'a> {
    fn page(&self, periods: &[PublishedRow]) -> Result<Page> {
        let mut sections = vec![self.goal()];
        for scope in [Scope::Daily, Scope::Period] {
            sections.push(self.core(scope));
            sections.push(self.gap(scope)?);
        }
        sections.push(self.baseline()?);
        sections.push(self.hours()?);
        for scope in [Scope::Daily, Scope::Period] {
            sections.push(self.content(scope));
        }
        sections.push(self.sub_campaigns());
        sections.push(self.stock());
        for scope in [Scope::Daily, Scope::Period] {
            sections.push(self.products(scope));
        }
        for scope in [Scope::Daily, Scope::Period] {
            sections.push(self.channels(scope)?);
            sections.push(self.funnel(scope)?);
        }
        sections.push(self.definitions());
        Ok(Page {
            title: format!("Shop {}", self.rows.shop_id),
            kind: "Campaign Dashboard",
            facts: self.facts(periods),
            sections,
        })
    }

    fn facts(&self, periods: &[PublishedRow]) -> Vec<(&'static str, String)> {
        let manifest = &self.rows.manifest;
        let day = long_day(self.rows.day);
        let mut facts = vec![("Day", format!("{day} ({})", manifest.time_zone))];
        if let Some(tier) = self.rows.of(&SHOP_TIER, &[]).first() {
            let category = tier.raw("category");
            facts.push(("Category", category.unwrap_or_else(|| "none".to_owned())));
            facts.push(("Tier", tier.text("tier")));
        }
        if let Some(period) = &self.period {
            let campaign = period.text("campaign_id");
            let days = format!(
                "{} to {}",
                period.text("first_day"),
                period.text("through_day")
            );
            facts.push(("Campaign", format!("{campaign}, {days}")));
        }
        if periods.len() > 1 {
            let ids: Vec<String> = periods.iter().map(|row| row.text("campaign_id")).collect();
            facts.push(("All campaigns of the day", ids.join(", ")));
        }
        facts.push(("Currency", manifest.currency.clone()));
        let published = format!(
            "{}, commit {}",
            manifest.finished_at, manifest.commit_number
        );
        facts.push(("Published", published));
        facts
    }

    /// The target of the campaign, and the part of it that is reached.
    fn goal(&self) -> Section {
        let mut blocks = Vec::new();
        match &self.period {
            None => blocks.push(Block::Text(format!(
                "Campaign numbers are not available: {}.",
                self.rows.why_none(&SHOP_PERIOD)
            ))),
            Some(period) => {
                let money = |column: &str| {
                    let raw = period.raw(column);
                    self.locale.with_code(Kind::Money, "money", raw).text
                };
                let progress = period.shown("target_progress", self.locale);
                match period.double("target_progress") {
                    Some(fraction) => blocks.push(Block::Progress(Progress {
                        caption: format!(
                            "{} of {} reached ({})",
                            money("gmv"),
                            money("target_gmv"),
                            progress.text
                        ),
                        fraction: fraction.clamp(0.0, 1.0),
                    })),
                    None => blocks.push(Block::Text(format!(
                        "{} so far. No target is set.",
                        money("gmv")
                    ))),
                }
                let missing = period.text("missing_days");
                let mut text = format!("Days of the campaign so far: {}.", period.text("days"));
                if missing != "0" {
                    text = format!("{text} Days without published numbers: {missing}.");
                }
                blocks.push(Block::Text(text));
            }
        }
        Section {
            id: "goal",
            title: "Goal and progress".to_owned(),
            view: None,
            blocks,
        }
    }

    /// The day beside every published day of six months.
    fn baseline(&self) -> Result<Section> {
        let rows = self.rows.of(&GMV_BASELINE, &[]);
        let mut blocks = Vec::new();
        if rows.is_empty() {
            blocks.push(Block::Text(format!(
                "Not available: {}.",
                self.rows.why_none(&GMV_BASELINE)
            )));
        } else {
            let is_campaign_day = |day: &str| {
                let first = self.period.as_ref().map(|period| period.text("first_day"));
                first.is_some_and(|first| *day >= *first)
            };
            let mut numbers = table_of(
                &GMV_BASELINE,
                "GMV of this day beside each earlier day",
                &[
                    ("Day", "baseline_day"),
                    ("GMV then", "baseline_gmv"),
                    ("GMV of this day", "gmv"),
                    ("Difference", "difference"),
                    ("Difference in %", "difference_pct"),
                ],
                &rows,
                self.locale,
            );
            numbers.picker = "Compare with";
            numbers.columns.push(Head {
                title: "Campaign".to_owned(),
                column: "",
                is_number: false,
            });
            for (row, published) in numbers.rows.iter_mut().zip(&rows) {
                let marks = match is_campaign_day(&published.text("baseline_day")) {
                    true => vec![Mark::new(Tone::Plain, "day of this campaign")],
                    false => vec![],
                };
                row.cells.push(Cell::Marks(marks));
            }
            // The newest day first: it is asked for most.
            numbers.rows.reverse();
            let days = rows.iter().map(|row| row.text("baseline_day"));
            let gmv = rows.iter().map(|row| row.double("baseline_gmv"));
            let svg = chart::bars(days.collect(), vec![("GMV", gmv.collect())])?;
            let [first, last] = [rows.first(), rows.last()]
                .map(|row| row.map(|row| row.text("baseline_day")).unwrap_or_default());
            blocks.push(Block::Figure(Figure {
                caption: format!("GMV of {} published days, {first} to {last}", rows.len()),
                label: format!("Bars: GMV of each day from {first} to {last}"),
                svg,
                numbers,
            }));
        }
        Ok(Section {
            id: "baseline",
            title: "Compared with other days".to_owned(),
            view: None,
            blocks,
        })
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
        key: published.key(),
        tags: String::new(),
        cells: columns
            .iter()
            .map(|(_, name)| {
                let shown = published.shown(name, locale);
                match is_number(table.column(name).kind) {
                    true => Cell::Value(shown),
                    false => Cell::Text(shown.text),
                }
            })
            .collect(),
    };
    let nulls = columns.iter().filter_map(|(title, name)| {
        let has_null = rows.iter().any(|row| row.raw(name).is_none());
        let why = table.column(name).null.filter(|_| has_null)?;
        Some(format!("{title} is not available where: {why}."))
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
