//! The core data of a view: each metric beside comparable shops, and the reasons of a difference.

use anyhow::Result;

use super::{Scope, Shop};
use crate::contracts::metrics::{METRICS, Metric};
use crate::contracts::tables::{
    CATEGORY_BENCHMARK, FUNNEL_PERIOD, GMV_GAP, SHOP_BENCHMARK, SHOP_DAILY, SHOP_PERIOD,
};
use crate::contracts::{Column, Kind, Table as ResultTable};
use crate::pages::chart;
use crate::pages::page::{
    Block, Card, Cell, Figure, Head, Mark, Origin, Row, Section, Table, Tone,
};
use crate::pages::rows::PublishedRow;
use crate::pages::shown::Shown;

/// The metrics of new content and of ads.
const MARKETING: [&str; 7] = [
    "creator_new_videos",
    "creator_new_lives",
    "seller_new_videos",
    "seller_new_lives",
    "ad_spend",
    "ad_gross_revenue",
    "ad_roi",
];

/// The four steps of a gap: title, column, and the sentence for the greatest of them.
const STEPS: [(&str, &str, &str); 4] = [
    (
        "Impressions",
        "from_impressions",
        "Most of the difference comes from product impressions: see Traffic by channel.",
    ),
    (
        "CTR",
        "from_ctr",
        "Most of the difference comes from clicks per impression: see Traffic by channel and the lists of content.",
    ),
    (
        "CTOR",
        "from_ctor",
        "Most of the difference comes from orders per click: see Products and Stock.",
    ),
    (
        "Value per SKU order",
        "from_gmv_per_sku_order",
        "Most of the difference comes from the value of an order line: see Products.",
    ),
];

impl Shop<'_> {
    /// Sales and traffic.
    pub(super) fn core(&self, scope: Scope) -> Section {
        let blocks = self.cards(scope, false);
        scope.section(["core-day", "core-period"], "Core data", blocks)
    }

    /// Cards of the marketing metrics, or of all other metrics. A mark of every card stands once, above them.
    pub(super) fn cards(&self, scope: Scope, of_marketing: bool) -> Vec<Block> {
        let metrics = METRICS.iter();
        let metrics = metrics.filter(|metric| MARKETING.contains(&metric.name) == of_marketing);
        let cards = metrics.filter_map(|metric| self.card(scope, metric));
        let mut cards: Vec<Card> = cards.collect();
        if cards.is_empty() {
            let why = self.rows.why_none(self.own_table(scope));
            return vec![Block::Text(format!("Not available: {why}."))];
        }
        let common = common_marks(&mut cards);
        let mut blocks = vec![Block::Cards(cards)];
        if !common.is_empty() {
            blocks.insert(0, Block::Marks(common));
        }
        blocks
    }

    pub(super) fn own_table(&self, scope: Scope) -> &'static ResultTable {
        match scope {
            Scope::Daily => &SHOP_DAILY,
            Scope::Period => &SHOP_PERIOD,
        }
    }

    fn own_row(&self, scope: Scope) -> Option<PublishedRow<'_>> {
        match scope {
            Scope::Daily => self.rows.of(&SHOP_DAILY, &[]).first().copied(),
            Scope::Period => self.period,
        }
    }

    /// The campaign of the benchmarks of a scope.
    fn campaign(&self, scope: Scope) -> String {
        match (scope, self.campaign_id) {
            (Scope::Period, Some(campaign)) => campaign.to_string(),
            _ => "0".to_owned(),
        }
    }

    /// The shop's row of a metric beside comparable shops.
    fn benchmark_row(&self, scope: Scope, metric: &Metric) -> Option<PublishedRow<'_>> {
        let campaign = self.campaign(scope);
        let known = [
            ("scope", scope.name()),
            ("campaign_id", &*campaign),
            ("metric", metric.name),
        ];
        self.rows.of(&SHOP_BENCHMARK, &known).first().copied()
    }

    /// The shop's own number, its column, and its unit. On a day that is not final, it is the number
    /// of the benchmark day.
    fn own(&self, scope: Scope, metric: &Metric) -> Option<(PublishedRow<'_>, &'static Column)> {
        let own = match (scope, metric.daily_average) {
            (Scope::Period, Some(average)) => {
                let rows = self.of_campaign(&FUNNEL_PERIOD);
                rows.first()
                    .map(|row| (*row, FUNNEL_PERIOD.column(average)))
            }
            _ => {
                let column = self.own_table(scope).column(metric.name);
                self.own_row(scope).map(|row| (row, column))
            }
        };
        let stands_in = || {
            let row = self.benchmark_row(scope, metric)?;
            let is_fallback = row.is("is_fallback", "true");
            is_fallback.then(|| (row, SHOP_BENCHMARK.column("value")))
        };
        own.or_else(stands_in)
    }

    fn card(&self, scope: Scope, metric: &Metric) -> Option<Card> {
        let (row, column) = self.own(scope, metric)?;
        let is_average = scope == Scope::Period && metric.daily_average.is_some();
        let title = match is_average {
            true => format!("{}, average day", metric.title),
            false => metric.title.to_owned(),
        };
        let raw = row.raw(column.name);
        let mut marks = Vec::new();
        let stands_in = row.table().name == SHOP_BENCHMARK.name;
        if stands_in {
            let text = format!("results of {}", row.text("benchmark_day"));
            marks.push(Mark::new(Tone::Warning, text));
        }
        if raw.is_none() {
            // The value of a benchmark is that of the metric.
            let column = match stands_in {
                true => SHOP_DAILY.column(metric.name),
                false => column,
            };
            marks.push(Mark::new(Tone::Plain, self.why_null(&row, column)));
        }
        let unit = SHOP_DAILY.column(metric.name).unit;
        let value = self.locale.with_code(column.kind, unit, raw);
        let others = self.benchmark(scope, metric, &mut marks);
        Some(Card {
            title,
            definition: Some(metric.name),
            from: row.origin(column.name),
            value,
            others,
            marks,
        })
    }

    /// The reason of a null: an export that is absent, or the meaning of null in the contract.
    fn why_null(&self, row: &PublishedRow, column: &Column) -> String {
        let table = row.table().name;
        let mut skipped = self.rows.manifest.skipped.iter();
        let skipped = skipped.find(|skipped| {
            skipped.table == table && skipped.columns.iter().any(|name| name == column.name)
        });
        match skipped {
            Some(skipped) => skipped.reason.clone(),
            None => column.null.unwrap_or_default().to_owned(),
        }
    }

    /// The numbers of comparable shops beside a metric; marks say the position, a fallback, or why
    /// there are none.
    fn benchmark(
        &self,
        scope: Scope,
        metric: &Metric,
        marks: &mut Vec<Mark>,
    ) -> Vec<(&'static str, Origin, Shown)> {
        let Some(row) = &self.benchmark_row(scope, metric) else {
            let why = match self.rows.manifest.has(&SHOP_BENCHMARK) {
                true => "no comparison: no sales and no impressions, or no category".to_owned(),
                false => format!("no comparison: {}", self.rows.why_none(&SHOP_BENCHMARK)),
            };
            marks.push(Mark::new(Tone::Plain, why));
            return vec![];
        };
        if row.text("is_fallback") == "true" {
            let text = format!("comparable shops: results of {}", row.text("benchmark_day"));
            marks.push(Mark::new(Tone::Warning, text));
        }
        let Some(mean) = row.raw("benchmark") else {
            let why = self.why_no_cohort(scope, row, metric);
            marks.push(Mark::new(Tone::Plain, why));
            return vec![];
        };
        if let Some(position) = row.raw("position") {
            marks.push(Mark::new(Tone::Plain, position_text(&position)));
        }
        let unit = SHOP_DAILY.column(metric.name).unit;
        let mean = self.locale.with_code(Kind::Double, unit, Some(mean));
        let difference = row.shown("difference_pct", self.locale);
        vec![
            ("Comparable shops", row.origin("benchmark"), mean),
            ("Difference", row.origin("difference_pct"), difference),
        ]
    }

    /// Why no cohort is published for a metric.
    fn why_no_cohort(&self, scope: Scope, row: &PublishedRow, metric: &Metric) -> String {
        let campaign = self.campaign(scope);
        let (category, tier) = (row.text("category"), row.text("tier"));
        let known = [
            ("scope", scope.name()),
            ("campaign_id", &*campaign),
            ("category", &*category),
            ("tier", &*tier),
            ("metric", metric.name),
        ];
        let rows = self.rows.of(&CATEGORY_BENCHMARK, &known);
        let reason = rows.first().map(|row| row.text("suppression_reason"));
        let why = match reason.as_deref() {
            Some("TOO_FEW_PEERS") => "too few of them",
            Some("DIFFERENCING") => "their average would give away single shops",
            Some("DOMINANT_PEER") => "one of them has most of the sum",
            _ => "none of this tier",
        };
        format!("comparable shops are not shown: {why}")
    }

    /// Why the GMV differs from comparable shops, in money.
    pub(super) fn gap(&self, scope: Scope) -> Result<Section> {
        let campaign = self.campaign(scope);
        let known = [("scope", scope.name()), ("campaign_id", &*campaign)];
        let rows = self.rows.of(&GMV_GAP, &known);
        let mut blocks = Vec::new();
        match rows.first() {
            None => blocks.push(Block::Text(
                "Not available: the GMV of comparable shops is not published.".to_owned(),
            )),
            Some(row) => blocks.push(self.gap_figure(row)?),
        }
        Ok(scope.section(["gap-day", "gap-period"], "Why the GMV differs", blocks))
    }

    fn gap_figure(&self, row: &PublishedRow) -> Result<Block> {
        let titles = [("Comparable shops", "benchmark_gmv")]
            .into_iter()
            .chain(STEPS.map(|(title, column, _)| (title, column)))
            .chain([("This shop", "gmv")]);
        let shown = |column: &'static str| row.shown(column, self.locale);
        let numbers = Table {
            caption: format!(
                "From comparable shops to this shop ({})",
                self.locale.currency
            ),
            from: GMV_GAP.name,
            columns: titles
                .clone()
                .map(|(title, column)| Head {
                    title: title.to_owned(),
                    column,
                    is_number: true,
                })
                .collect(),
            rows: vec![Row {
                rows: row.key(),
                cells: titles
                    .clone()
                    .map(|(_, column)| Cell::Value(shown(column)))
                    .collect(),
                ..Row::default()
            }],
            ..Table::default()
        };
        let short = |title| match title {
            "Comparable shops" => "Comparable",
            "Value per SKU order" => "Order value",
            title => title,
        };
        let steps: Option<Vec<(&str, f64)>> = titles
            .map(|(title, column)| Some((short(title), row.double(column)?)))
            .collect();
        let Some(steps) = steps else {
            return Ok(Block::Table(Table {
                notes: vec![
                    "The parts are not available: a mean of the comparable shops is not published, or the shop has no impressions, clicks or orders.".to_owned(),
                ],
                ..numbers
            }));
        };
        let size = |(_, column, _): &&(&str, &str, &str)| row.double(column).unwrap_or(0.0).abs();
        let greatest = STEPS
            .iter()
            .max_by(|a, b| size(a).total_cmp(&size(b)))
            .filter(|step| size(step) > 0.0);
        let sentence = greatest.map_or("The GMV is that of comparable shops.", |step| step.2);
        Ok(Block::Figure(Figure {
            caption: sentence.to_owned(),
            label: "Steps from the GMV of comparable shops to the GMV of this shop".to_owned(),
            svg: chart::waterfall(&steps)?,
            numbers,
        }))
    }
}

/// Takes the marks that every card has.
fn common_marks(cards: &mut [Card]) -> Vec<Mark> {
    let mut common = cards
        .first()
        .map(|card| card.marks.clone())
        .unwrap_or_default();
    common.retain(|mark| cards.iter().all(|card| card.marks.contains(mark)));
    for card in cards {
        card.marks.retain(|mark| !common.contains(mark));
    }
    common
}

fn position_text(position: &str) -> &'static str {
    match position {
        "BELOW_P25" => "in the lowest quarter of comparable shops",
        "P25_TO_P50" => "in the second lowest quarter of comparable shops",
        "P50_TO_P75" => "in the second highest quarter of comparable shops",
        _ => "in the highest quarter of comparable shops",
    }
}
