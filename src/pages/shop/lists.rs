//! The lists of a shop: content, sub-campaigns, stock, products, channels, the funnel and ad hours.

use anyhow::Result;

use super::{Scope, Shop, table_of};
use crate::contracts::datasets::{
    AFFILIATE_ACCOUNTS, LIVE, MARKETING_ACCOUNTS, OFFICIAL_ACCOUNTS, VIDEO,
};
use crate::contracts::tables::{
    AD_HOURLY, CHANNEL_DAILY, CHANNEL_PERIOD, CONTENT_DAILY, CONTENT_PERIOD, FUNNEL_PERIOD,
    PRODUCT_DAILY, PRODUCT_PERIOD, SHOP_DAILY, STOCK_STATUS, SUB_CAMPAIGN_PERIOD,
};
use crate::contracts::{Kind, Table as ResultTable};
use crate::pages::chart;
use crate::pages::page::{
    Block, Cell, Figure, Head, Mark, Origin, Picked, Row, Section, Table, Tone,
};
use crate::pages::rows::PublishedRow;
use crate::pages::shown::grouped;
use crate::report::versions::show_whole;

/// The most rows of a list.
const MOST: usize = 60;

/// Title and column of each column of a list.
type Columns = &'static [(&'static str, &'static str)];

const CONTENT: Columns = &[
    ("Rank", "gmv_rank"),
    ("Title", "title"),
    ("Creator", "creator_handle"),
    ("Account", "account_type"),
    ("GMV", "gmv"),
    ("Share of GMV", "gmv_share"),
    ("Orders", "orders"),
    ("Views", "views"),
    ("CTR", "ctr"),
    ("CTOR", "ctor"),
    ("GMV per 1,000 views", "gpm"),
];

const SUB_CAMPAIGNS: Columns = &[
    ("Rank", "gmv_rank"),
    ("Sub-campaign", "sub_campaign_name"),
    ("GMV", "gmv"),
    ("Orders", "orders"),
    ("SKU orders", "sku_orders"),
    ("Items", "items_sold"),
];

const STOCK: Columns = &[
    ("Product", "product_id"),
    ("SKU", "sku_id"),
    ("Available", "available_quantity"),
    ("Sold a day", "daily_sales"),
    ("Days of cover", "days_of_cover"),
    ("Needed days", "horizon_days"),
];

const PRODUCTS: Columns = &[
    ("Product", "product_id"),
    ("GMV", "gmv"),
    ("Orders", "orders"),
    ("Items", "items_sold"),
    ("Impressions", "product_impressions"),
    ("CTR", "ctr"),
    ("Add-to-cart rate", "add_to_cart_rate"),
    ("CTOR", "ctor"),
];

const CHANNELS: Columns = &[
    ("Channel", "channel"),
    ("Impressions", "product_impressions"),
    ("Share of impressions", "impression_share"),
    ("Clicks", "product_clicks"),
    ("CTR", "ctr"),
    ("SKU orders", "sku_orders"),
    ("CTOR", "ctor"),
    ("GMV", "gmv"),
];

const HOURS: Columns = &[
    ("Hour", "local_hour"),
    ("Ad spend", "ad_spend"),
    ("Gross revenue", "ad_gross_revenue"),
    ("ROI", "ad_roi"),
];

/// The last hour of a usual day.
const LAST_HOUR: i128 = 23;

/// The kinds of accounts. Those of the seller are linked to the shop.
const ACCOUNTS: [(&str, &str); 3] = [
    (OFFICIAL_ACCOUNTS, "Official (linked)"),
    (MARKETING_ACCOUNTS, "Marketing (linked)"),
    (AFFILIATE_ACCOUNTS, "Affiliate"),
];

/// The sums over content; each order line and item belongs to one content.
const ACCOUNT_SUMS: [(&str, &str); 3] = [
    ("GMV", "gmv"),
    ("SKU orders", "sku_orders"),
    ("Items", "items_sold"),
];

impl Shop<'_> {
    /// The table of a view, the daily or the one of the period, and its rows.
    fn rows_of(
        &self,
        scope: Scope,
        daily: &'static ResultTable,
        period: &'static ResultTable,
    ) -> (&'static ResultTable, Vec<PublishedRow<'_>>) {
        match scope {
            Scope::Daily => (daily, self.rows.of(daily, &[])),
            Scope::Period => (period, self.of_campaign(period)),
        }
    }

    pub(super) fn of_campaign(&self, table: &'static ResultTable) -> Vec<PublishedRow<'_>> {
        let Some(campaign) = self.campaign_id else {
            return vec![];
        };
        let campaign = campaign.to_string();
        self.rows.of(table, &[("campaign_id", &campaign)])
    }

    /// The first rows of a list, and a note about the others.
    fn list(
        &self,
        (table, rows): (&'static ResultTable, &[PublishedRow]),
        caption: &str,
        columns: Columns,
    ) -> Block {
        if rows.is_empty() {
            return Block::Text(format!("{caption}: none ({}).", self.rows.why_none(table)));
        }
        let shown = &rows[..rows.len().min(MOST)];
        let mut list = table_of(table, caption, columns, shown, self.locale);
        note_rest(&mut list, table, rows.len());
        Block::Table(list)
    }

    /// LIVEs and videos, with violations, key LIVEs, and the kind of account.
    pub(super) fn content(&self, scope: Scope) -> Section {
        let (table, rows) = self.rows_of(scope, &CONTENT_DAILY, &CONTENT_PERIOD);
        let mut blocks = Vec::new();
        for (kind, caption) in [(LIVE, "LIVEs by GMV"), (VIDEO, "Videos by GMV")] {
            let mut of_kind: Vec<PublishedRow> = rows.clone();
            of_kind.retain(|row| row.text("content_type") == kind);
            of_kind.sort_by_key(|row| row.whole("gmv_rank"));
            let mut block = self.list((table, &of_kind), caption, CONTENT);
            if let Block::Table(list) = &mut block {
                mark_content(list, &of_kind);
            }
            blocks.push(block);
        }
        scope.section(
            ["content-day", "content-period"],
            "LIVEs and videos",
            blocks,
        )
    }

    pub(super) fn sub_campaigns(&self) -> Section {
        let mut rows = self.of_campaign(&SUB_CAMPAIGN_PERIOD);
        rows.sort_by_key(|row| row.whole("gmv_rank"));
        let of = (&SUB_CAMPAIGN_PERIOD, &*rows);
        Section {
            id: "sub-campaigns",
            title: "Sub-campaigns".to_owned(),
            view: None,
            blocks: vec![self.list(of, "Sub-campaigns of the period by GMV", SUB_CAMPAIGNS)],
        }
    }

    /// SKUs that are out of stock or at risk.
    pub(super) fn stock(&self) -> Section {
        let mut rows = self.rows.of(&STOCK_STATUS, &[]);
        let all = rows.len();
        let urgency = |row: &PublishedRow| match &*row.text("stock_status") {
            "OUT_OF_STOCK" => 0,
            "AT_RISK" => 1,
            _ => 2,
        };
        rows.retain(|row| urgency(row) < 2);
        rows.sort_by_key(urgency);
        let blocks = match (all, rows.is_empty()) {
            (0, _) => vec![Block::Text(format!(
                "Not available: {}.",
                self.rows.why_none(&STOCK_STATUS)
            ))],
            (_, true) => vec![Block::Marks(vec![Mark::new(
                Tone::Good,
                format!(
                    "None of {} SKUs is out of stock or at risk.",
                    grouped(&all.to_string())
                ),
            )])],
            _ => {
                let mut block = self.list(
                    (&STOCK_STATUS, &rows),
                    "SKUs out of stock or at risk",
                    STOCK,
                );
                if let Block::Table(list) = &mut block {
                    list.columns.push(plain("State"));
                    for (row, published) in list.rows.iter_mut().zip(&rows) {
                        let mark = match urgency(published) {
                            0 => Mark::new(Tone::Bad, "out of stock"),
                            _ => Mark::new(Tone::Warning, "at risk"),
                        };
                        row.tags = campaign_tag(published);
                        row.cells.push(Cell::Marks(vec![mark]));
                    }
                    list.filters = vec![("campaign", "Campaign products")];
                }
                vec![block]
            }
        };
        Section {
            id: "stock",
            title: "Stock".to_owned(),
            view: None,
            blocks,
        }
    }

    pub(super) fn products(&self, scope: Scope) -> Section {
        let (table, mut rows) = self.rows_of(scope, &PRODUCT_DAILY, &PRODUCT_PERIOD);
        by_gmv(&mut rows);
        let mut block = self.list((table, &rows), "Products by GMV", PRODUCTS);
        if let Block::Table(list) = &mut block {
            list.columns.push(plain("Campaign product"));
            for (row, published) in list.rows.iter_mut().zip(&rows) {
                row.tags = campaign_tag(published);
                let marks = match published.raw("is_campaign_product").as_deref() {
                    Some("true") => vec![Mark::new(Tone::Good, "yes")],
                    Some(_) => vec![],
                    None => vec![Mark::new(Tone::Plain, "not available")],
                };
                row.cells.push(Cell::Marks(marks));
            }
            list.filters = vec![("campaign", "Campaign products")];
        }
        scope.section(["products-day", "products-period"], "Products", vec![block])
    }

    pub(super) fn channels(&self, scope: Scope) -> Result<Section> {
        let (table, mut rows) = self.rows_of(scope, &CHANNEL_DAILY, &CHANNEL_PERIOD);
        by_gmv(&mut rows);
        let block = match self.list((table, &rows), "Traffic by channel", CHANNELS) {
            Block::Table(numbers) => {
                let names = rows.iter().map(|row| row.text("channel"));
                let impressions = rows.iter().map(|row| row.double("product_impressions"));
                let values = vec![("Impressions", impressions.collect())];
                let most = rows
                    .iter()
                    .max_by_key(|row| row.whole("product_impressions"));
                let caption = match most {
                    Some(row) if row.whole("product_impressions") > Some(0) => {
                        format!("Most product impressions come from {}", row.text("channel"))
                    }
                    _ => "No product impressions".to_owned(),
                };
                Block::Figure(Figure {
                    caption,
                    label: "Bars: product impressions of each channel".to_owned(),
                    svg: chart::bars(names.collect(), values)?,
                    numbers,
                })
            }
            block => block,
        };
        Ok(scope.section(
            ["channels-day", "channels-period"],
            "Traffic by channel",
            vec![block],
        ))
    }

    /// From users reached to customers.
    pub(super) fn funnel(&self, scope: Scope) -> Result<Section> {
        const DAY: Columns = &[
            ("Users reached", "unique_reach"),
            ("Users with a click", "unique_clicks"),
            ("Customers", "customers"),
        ];
        const PERIOD: Columns = &[
            ("Users reached", "avg_unique_reach"),
            ("Users with a click", "avg_unique_clicks"),
            ("Customers", "avg_daily_customers"),
        ];
        const RATES: Columns = &[
            ("Users reached", "avg_unique_reach"),
            ("Users with a click", "avg_unique_clicks"),
            ("Customers", "avg_daily_customers"),
            ("Clicks per user reached", "click_rate"),
            ("Customers per user with a click", "customer_rate"),
        ];
        let (table, rows) = self.rows_of(scope, &SHOP_DAILY, &FUNNEL_PERIOD);
        let (steps, columns, caption) = match scope {
            Scope::Daily => (DAY, DAY, "From users reached to customers"),
            Scope::Period => (
                PERIOD,
                RATES,
                "From users reached to customers, average day",
            ),
        };
        let block = match (rows.first(), self.list((table, &rows), caption, columns)) {
            (Some(row), Block::Table(numbers)) => {
                let value =
                    |(name, column): &(&'static str, &str)| Some((*name, row.double(column)?));
                let values: Option<Vec<(&'static str, f64)>> = steps.iter().map(value).collect();
                let Some(values) = values else {
                    return Ok(self.funnel_section(scope, Block::Table(numbers)));
                };
                let told = |(_, column): &(&str, &str)| row.shown(column, self.locale).text;
                let [reach, clicks, customers] = [0, 1, 2].map(|at| told(&steps[at]));
                Block::Figure(Figure {
                    caption: format!(
                        "{reach} users reached, {clicks} users with a click, {customers} customers"
                    ),
                    label: "Funnel: users reached, users with a click, customers".to_owned(),
                    svg: chart::funnel(&values)?,
                    numbers,
                })
            }
            (_, block) => block,
        };
        Ok(self.funnel_section(scope, block))
    }

    fn funnel_section(&self, scope: Scope, block: Block) -> Section {
        scope.section(
            ["funnel-day", "funnel-period"],
            "Conversion funnel",
            vec![block],
        )
    }

    /// New content, ads, and who sold through content.
    pub(super) fn marketing(&self, scope: Scope) -> Result<Section> {
        let mut blocks = self.cards(scope, true);
        if scope == Scope::Daily {
            blocks.push(self.hours()?);
        }
        blocks.extend(self.accounts(scope));
        Ok(scope.section(["marketing-day", "marketing-period"], "Marketing", blocks))
    }

    /// Ad spend and revenue hour by hour.
    fn hours(&self) -> Result<Block> {
        let rows = self.rows.of(&AD_HOURLY, &[]);
        let Block::Table(numbers) = self.list((&AD_HOURLY, &rows), "Ads by hour of the day", HOURS)
        else {
            return Ok(self.list((&AD_HOURLY, &rows), "Ads by hour of the day", HOURS));
        };
        // Hours without a row are gaps. A day may have 23 to 25 hours.
        let last = rows.iter().filter_map(|row| row.whole("local_hour")).max();
        let hours: Vec<i128> = (0..=last.unwrap_or_default().max(LAST_HOUR)).collect();
        let of_hour = |hour: &i128| {
            rows.iter()
                .find(|row| row.whole("local_hour") == Some(*hour))
        };
        let values = |column: &str| {
            let of_hours = hours.iter().map(of_hour);
            of_hours
                .map(|row| row.and_then(|row| row.double(column)))
                .collect()
        };
        let series = vec![
            ("Ad spend", values("ad_spend")),
            ("Gross revenue", values("ad_gross_revenue")),
        ];
        let most = rows.iter().max_by_key(|row| row.whole("ad_gross_revenue"));
        let most = most.filter(|row| row.whole("ad_gross_revenue") > Some(0));
        Ok(Block::Figure(Figure {
            caption: match most {
                Some(row) => format!(
                    "Ads brought most revenue in hour {} of the day",
                    row.text("local_hour")
                ),
                None => "Ads brought no revenue on this day".to_owned(),
            },
            label: "Bars: ad spend and gross revenue of each hour".to_owned(),
            svg: chart::bars(hours.iter().map(i128::to_string).collect(), series)?,
            numbers,
        }))
    }

    /// Sums over the LIVEs and videos of linked accounts and of affiliates; `None`: there are none.
    fn accounts(&self, scope: Scope) -> Option<Block> {
        let (table, rows) = self.rows_of(scope, &CONTENT_DAILY, &CONTENT_PERIOD);
        let of_campaign = match scope {
            Scope::Daily => String::new(),
            Scope::Period => format!("campaign_id={};", self.period?.text("campaign_id")),
        };
        let mut list = Table {
            caption: "Linked accounts and affiliates".to_owned(),
            columns: vec![plain("Content"), plain("Accounts")],
            ..Table::default()
        };
        list.columns
            .extend(ACCOUNT_SUMS.map(|(title, column)| Head {
                is_number: true,
                ..plain(&self.title(title, table.column(column).unit))
            }));
        list.columns.insert(
            2,
            Head {
                is_number: true,
                ..plain("Number")
            },
        );
        for (kind, kind_told) in [(LIVE, "LIVEs"), (VIDEO, "Videos")] {
            for (account, account_told) in ACCOUNTS {
                let mut of_kind = rows.clone();
                of_kind
                    .retain(|row| row.is("content_type", kind) && row.is("account_type", account));
                if of_kind.is_empty() {
                    continue;
                }
                let picked = format!("{of_campaign}content_type={kind};account_type={account}");
                let sum = |column: &'static str, sum: i128| {
                    let origin = Origin {
                        table: table.name.into(),
                        rows: Picked::Where(picked.clone()),
                        column: column.into(),
                    };
                    let shown = match column {
                        "#rows" => {
                            self.locale
                                .of_unit(Kind::Int64, "contents", Some(sum.to_string()))
                        }
                        column => {
                            let described = table.column(column);
                            let raw = show_whole(described.kind, sum);
                            self.locale.shown(described, Some(raw))
                        }
                    };
                    Cell::Of(origin, shown)
                };
                let mut cells = vec![
                    Cell::Text(kind_told.to_owned()),
                    Cell::Text(account_told.to_owned()),
                    sum("#rows", of_kind.len() as i128),
                ];
                cells.extend(ACCOUNT_SUMS.map(|(_, column)| {
                    let values = of_kind.iter().filter_map(|row| row.whole(column));
                    sum(column, values.sum())
                }));
                list.rows.push(Row {
                    cells,
                    ..Row::default()
                });
            }
        }
        (!list.rows.is_empty()).then_some(Block::Table(list))
    }

    /// With the currency, where it is money.
    fn title(&self, title: &str, unit: &str) -> String {
        match unit.starts_with("money") {
            true => format!("{title} ({})", self.locale.currency),
            false => title.to_owned(),
        }
    }
}

fn account_told(account_type: &str) -> String {
    let known = ACCOUNTS
        .iter()
        .find(|(account, _)| *account == account_type);
    known.map_or(account_type, |(_, told)| told).to_owned()
}

fn plain(title: &str) -> Head {
    Head {
        title: title.to_owned(),
        column: "",
        is_number: false,
    }
}

/// Highest GMV first; ties as in the file.
fn by_gmv(rows: &mut [PublishedRow]) {
    rows.sort_by_key(|row| std::cmp::Reverse(row.whole("gmv")));
}

fn campaign_tag(row: &PublishedRow) -> String {
    match row.text("is_campaign_product") == "true" {
        true => "campaign".to_owned(),
        false => String::new(),
    }
}

fn note_rest(list: &mut Table, table: &ResultTable, all: usize) {
    let more = all.saturating_sub(list.rows.len());
    if more > 0 {
        let more = grouped(&more.to_string());
        list.notes
            .insert(0, format!("and {more} more; see {}", table.name));
    }
}

fn mark_content(list: &mut Table, rows: &[PublishedRow]) {
    list.columns.push(plain("Marks"));
    list.filters = vec![("affiliate", "Affiliate"), ("linked", "Linked accounts")];
    let account = list
        .columns
        .iter()
        .position(|head| head.column == "account_type");
    for (row, published) in list.rows.iter_mut().zip(rows) {
        if let Some(cell) = account.and_then(|at| row.cells.get_mut(at)) {
            *cell = Cell::Text(account_told(&published.text("account_type")));
        }
        let mut marks = Vec::new();
        if published.text("has_violation") == "true" {
            marks.push(Mark::new(Tone::Bad, "violation"));
        }
        if published.text("is_key_live") == "true" {
            marks.push(Mark::new(Tone::Good, "key LIVE"));
        }
        row.cells.push(Cell::Marks(marks));
        row.tags = match &*published.text("account_type") {
            AFFILIATE_ACCOUNTS => "affiliate",
            _ => "linked",
        }
        .to_owned();
    }
}
