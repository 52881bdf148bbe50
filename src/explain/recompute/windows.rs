//! The tables over longer windows of a shop, from its daily rows (SPEC.md sections 3.2 and 4).

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::Result;
use chrono::{Days, Months, NaiveDate};

use super::cells::{Cells, Line, ranks, sums_of, text, whole};
use super::daily::is_campaign_product;
use super::shop_day::{CONTENT_ATTRIBUTES, Campaign, ShopDay, Stock};
use super::sums::{Sums, ratio};
use crate::config::{BaselineShops, Config};
use crate::contracts::tables::{
    AD_HOURLY, CHANNEL_DAILY, CONTENT_DAILY, PRODUCT_DAILY, SHOP_DAILY, SKU_DAILY,
    SUB_CAMPAIGN_DAILY, window,
};
use crate::contracts::{Table, WindowId};

/// The shop's rows of a daily table on a day; `None`: the day does not have the table.
pub(super) type DailyRows<'a> =
    dyn Fn(&'static Table, NaiveDate) -> Result<Option<Rc<Vec<Cells>>>> + 'a;

/// The inputs of a shop's windows of a day.
pub(super) struct Windows<'a> {
    pub shop_id: i64,
    /// The shop's rows in the exports of the day: the snapshots that the table reads.
    pub today: &'a ShopDay,
    pub daily: &'a DailyRows<'a>,
    pub config: &'a Config,
}

/// The sums of each id over a period, with its row of the latest day.
type OverPeriod = BTreeMap<i64, (Sums, Cells)>;

/// A campaign of the day whose period has a row of the shop.
struct Period<'a> {
    campaign: &'a Campaign,
    /// The target in cents.
    target: Option<i128>,
    /// The published days, with the shop's row of `shop_daily`.
    days: Vec<(NaiveDate, Option<Cells>)>,
    all_days: i128,
}

impl Windows<'_> {
    /// The shop's rows of a window table; `None`: an export that the table needs is absent.
    ///
    /// # Errors
    /// When a published file cannot be read.
    pub(super) fn rows(&self, id: WindowId) -> Result<Option<Vec<Cells>>> {
        let table = window(id);
        let mut needs = table.needs.iter();
        if !needs.all(|needed| self.today.has(needed.name())) {
            return Ok(None);
        }
        Ok(Some(match id {
            WindowId::ShopPeriod => self.shop_period(table)?,
            WindowId::FunnelPeriod => self.funnel_period(table)?,
            WindowId::ChannelPeriod => self.channel_period(table)?,
            WindowId::ProductPeriod => self.product_period(table)?,
            WindowId::ContentPeriod => self.content_period(table)?,
            WindowId::SubCampaignPeriod => self.sub_campaign_period(table)?,
            WindowId::GmvBaseline => self.gmv_baseline(table)?,
            WindowId::StockStatus => self.stock_status(table)?,
            WindowId::ShopTier => self.shop_tier(table)?,
        }))
    }

    fn day(&self) -> NaiveDate {
        self.today.civil.day
    }

    /// The published days of `[first, last]`, with the shop's row of `shop_daily`.
    fn shop_days(
        &self,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Vec<(NaiveDate, Option<Cells>)>> {
        let mut days = Vec::new();
        for day in first.iter_days().take_while(|day| *day <= last) {
            if let Some(rows) = (self.daily)(&SHOP_DAILY, day)? {
                days.push((day, rows.first().cloned()));
            }
        }
        Ok(days)
    }

    /// The periods that have a row in `shop_period`.
    fn periods(&self) -> Result<Vec<Period<'_>>> {
        let mut periods = Vec::new();
        let mut campaigns: Vec<&Campaign> = self.today.campaigns.iter().collect();
        campaigns.sort_by_key(|campaign| campaign.campaign_id);
        for campaign in campaigns {
            let Some(target) = self.today.registrations.get(&campaign.campaign_id) else {
                continue;
            };
            let days = self.shop_days(campaign.first_day, self.day())?;
            if days.iter().any(|(_, row)| row.is_some()) {
                let all_days = (self.day() - campaign.first_day).num_days() + 1;
                periods.push(Period {
                    campaign,
                    target: *target,
                    days,
                    all_days: all_days.into(),
                });
            }
        }
        Ok(periods)
    }

    fn line(&self, table: &'static Table, period: &Period) -> Line {
        let line = Line::new(table).is("campaign_id", period.campaign.campaign_id);
        line.is("shop_id", self.shop_id)
            .is("through_day", self.day())
            .is("days", period.days.len())
    }

    fn shop_period(&self, table: &'static Table) -> Result<Vec<Cells>> {
        let mut rows = Vec::new();
        for period in self.periods()? {
            let (mut sums, mut category) = (Sums::default(), None);
            let (mut content_days, mut ad_days) = (0, 0);
            for (day, row) in &period.days {
                content_days += i32::from((self.daily)(&CONTENT_DAILY, *day)?.is_some());
                ad_days += i32::from((self.daily)(&AD_HOURLY, *day)?.is_some());
                if let Some(row) = row {
                    sums.add(&sums_of(&SHOP_DAILY, row));
                    category = text(row, "category").map(str::to_owned).or(category);
                }
            }
            let line = self.line(table, &period).sums(&sums);
            let line = line
                .is("first_day", period.campaign.first_day)
                .is("missing_days", period.all_days - period.days.len() as i128)
                .is("content_days", content_days)
                .is("ad_days", ad_days)
                .cell("category", category)
                .cents("target_gmv", period.target);
            let progress = ratio(sums.get("gmv"), period.target);
            rows.push(line.double("target_progress", progress).done());
        }
        Ok(rows)
    }

    fn funnel_period(&self, table: &'static Table) -> Result<Vec<Cells>> {
        let mut rows = Vec::new();
        for period in self.periods()? {
            let sums = sums_of_days(&period);
            let days = Some(period.days.len() as i128);
            let mean = |column: &str| ratio(sums.get(column), days);
            // Both averages have the same denominator, so their ratio is that of the sums.
            let rate = |top: &str, bottom: &str| ratio(sums.get(top), sums.get(bottom));
            let line = self.line(table, &period);
            let line = line
                .double("avg_unique_reach", mean("unique_reach"))
                .double("avg_unique_clicks", mean("unique_clicks"))
                .double("avg_daily_customers", mean("customers"))
                .double("click_rate", rate("unique_clicks", "unique_reach"));
            let customer_rate = rate("customers", "unique_clicks");
            rows.push(line.double("customer_rate", customer_rate).done());
        }
        Ok(rows)
    }

    /// The rows of a daily table over a period, by the id in its key beside the shop: their sums, and
    /// the row of the latest day. Also the days that have the table.
    fn over_period(
        &self,
        daily: &'static Table,
        period: &Period,
        is_wanted: impl Fn(&Cells) -> bool,
    ) -> Result<(OverPeriod, Vec<NaiveDate>)> {
        let id = daily.key[1];
        let (mut found, mut days) = (BTreeMap::new(), Vec::new());
        for (day, _) in &period.days {
            let Some(rows) = (self.daily)(daily, *day)? else {
                continue;
            };
            days.push(*day);
            for row in rows.iter().filter(|row| is_wanted(row)) {
                let key = whole(row, id).unwrap_or_default() as i64;
                let entry = found.entry(key).or_insert((Sums::default(), Cells::new()));
                entry.0.add(&sums_of(daily, row));
                entry.1 = row.clone();
            }
        }
        Ok((found, days))
    }

    fn channel_period(&self, table: &'static Table) -> Result<Vec<Cells>> {
        let mut rows = Vec::new();
        for period in self.periods()? {
            let of_shop = sums_of_days(&period).get("product_impressions");
            let mut channels: BTreeMap<String, Sums> = BTreeMap::new();
            for (day, _) in &period.days {
                let rows = (self.daily)(&CHANNEL_DAILY, *day)?.unwrap_or_default();
                for row in rows.iter() {
                    let channel = text(row, "channel").unwrap_or_default().to_owned();
                    let sums = channels.entry(channel).or_default();
                    sums.add(&sums_of(&CHANNEL_DAILY, row));
                }
            }
            for (channel, sums) in channels {
                let line = self.line(table, &period).is("channel", channel);
                let share = ratio(sums.get("product_impressions"), of_shop);
                rows.push(line.double("impression_share", share).sums(&sums).done());
            }
        }
        Ok(rows)
    }

    fn product_period(&self, table: &'static Table) -> Result<Vec<Cells>> {
        let mut rows = Vec::new();
        for period in self.periods()? {
            let campaign = period.campaign.campaign_id;
            let (products, _) = self.over_period(&PRODUCT_DAILY, &period, |_| true)?;
            for (product, (sums, _)) in products {
                let is_listed = self.today.campaign_products.contains(&(campaign, product));
                let is_known = self.today.has("campaign_products");
                let line = self.line(table, &period).is("product_id", product);
                let flag = is_known.then(|| is_listed.to_string());
                rows.push(line.cell("is_campaign_product", flag).sums(&sums).done());
            }
        }
        Ok(rows)
    }

    fn content_period(&self, table: &'static Table) -> Result<Vec<Cells>> {
        let mut rows = Vec::new();
        for period in self.periods()? {
            let (contents, days) = self.over_period(&CONTENT_DAILY, &period, |_| true)?;
            // The shop's gmv counts on the same days only.
            let of_shop = period.days.iter().filter(|(day, _)| days.contains(day));
            let gmv_of = |row: &Option<Cells>| row.as_ref().and_then(|row| whole(row, "gmv"));
            let of_shop: i128 = of_shop.filter_map(|(_, row)| gmv_of(row)).sum();
            let ranked = contents.iter().map(|(content, (sums, latest))| {
                let content_type = text(latest, "content_type").unwrap_or_default();
                (content_type, *content, sums.get("gmv").unwrap_or_default())
            });
            let ranks = ranks(&ranked.collect::<Vec<_>>());
            for ((content, (sums, latest)), rank) in contents.iter().zip(ranks) {
                let mut line = self.line(table, &period).is("content_id", content);
                for name in CONTENT_ATTRIBUTES {
                    line = line.cell(name, latest.get(name).cloned().flatten());
                }
                let share = ratio(sums.get("gmv"), Some(of_shop));
                let line = line.sums(sums).double("gmv_share", share);
                rows.push(line.is("gmv_rank", rank).is("days", days.len()).done());
            }
        }
        Ok(rows)
    }

    fn sub_campaign_period(&self, table: &'static Table) -> Result<Vec<Cells>> {
        let mut rows = Vec::new();
        for period in self.periods()? {
            let campaign = Some(period.campaign.campaign_id.into());
            let is_own = |row: &Cells| whole(row, "campaign_id") == campaign;
            let (known, days) = self.over_period(&SUB_CAMPAIGN_DAILY, &period, is_own)?;
            let ranked = known
                .iter()
                .map(|(id, (sums, _))| ((), *id, sums.get("gmv").unwrap_or_default()));
            let ranks = ranks(&ranked.collect::<Vec<_>>());
            for ((id, (sums, latest)), rank) in known.iter().zip(ranks) {
                let name = latest.get("sub_campaign_name").cloned().flatten();
                let line = self.line(table, &period).is("sub_campaign_id", id);
                let line = line.cell("sub_campaign_name", name).sums(sums);
                rows.push(line.is("gmv_rank", rank).is("days", days.len()).done());
            }
        }
        Ok(rows)
    }

    fn gmv_baseline(&self, table: &'static Table) -> Result<Vec<Cells>> {
        let is_wanted = self.config.baseline_shops == BaselineShops::All
            || !self.today.registrations.is_empty();
        let first = self.day() - Months::new(6);
        let mut days = self.shop_days(first, self.day())?;
        let today = days.pop().and_then(|(_, row)| row);
        let Some(gmv) = today
            .filter(|_| is_wanted)
            .and_then(|row| whole(&row, "gmv"))
        else {
            return Ok(vec![]);
        };
        let mut rows = Vec::new();
        for (day, row) in days {
            let Some(before) = row.and_then(|row| whole(&row, "gmv")) else {
                continue;
            };
            let line = Line::new(table).is("shop_id", self.shop_id);
            let line = line
                .is("baseline_day", day)
                .cents("baseline_gmv", Some(before))
                .cents("gmv", Some(gmv))
                .cents("difference", Some(gmv - before));
            let percent = ratio(Some((gmv - before) * 100), Some(before));
            rows.push(line.double("difference_pct", percent).done());
        }
        Ok(rows)
    }

    fn stock_status(&self, table: &'static Table) -> Result<Vec<Cells>> {
        let day = self.day();
        // Items of each SKU and the published days, of the last week and the last 30 days.
        let mut windows = Vec::new();
        for length in [7, 30] {
            let (mut items, mut days) = (BTreeMap::new(), 0);
            for (day, _) in self.shop_days(day - Days::new(length - 1), day)? {
                days += 1;
                let rows = (self.daily)(&SKU_DAILY, day)?.unwrap_or_default();
                for row in rows.iter() {
                    let id = |column| whole(row, column).unwrap_or_default() as i64;
                    let sold = whole(row, "items_sold").unwrap_or_default();
                    *items.entry((id("product_id"), id("sku_id"))).or_insert(0) += sold;
                }
            }
            windows.push((items, days));
        }
        let mut stock: Vec<&Stock> = self.today.inventory.iter().collect();
        stock.sort_by_key(|sku| (sku.product_id, sku.sku_id));
        let row = |sku: &&Stock| {
            let sold = |(items, days): &(BTreeMap<(i64, i64), i128>, i128)| {
                let key = (sku.product_id, sku.sku_id);
                (items.get(&key).copied().unwrap_or_default(), *days)
            };
            let (week, month) = (sold(&windows[0]), sold(&windows[1]));
            // The greater of two means, compared as fractions.
            let (items, days) = match week.0 * month.1 >= month.0 * week.1 {
                true => week,
                false => month,
            };
            let horizon = self.horizon_days(sku.product_id);
            let status = match () {
                () if sku.available == 0 => "OUT_OF_STOCK",
                () if items == 0 => "NO_RECENT_SALES",
                () if sku.available * days < horizon * items => "AT_RISK",
                () => "SUFFICIENT",
            };
            let line = Line::new(table).is("shop_id", self.shop_id);
            let flag = is_campaign_product(self.today, sku.product_id);
            line.is("product_id", sku.product_id)
                .is("sku_id", sku.sku_id)
                .cell("is_campaign_product", flag)
                .is("available_quantity", sku.available)
                .double("daily_sales", ratio(Some(items), Some(days)))
                .double(
                    "days_of_cover",
                    ratio(Some(sku.available * days), Some(items)),
                )
                .is("horizon_days", horizon)
                .is("stock_status", status)
                .done()
        };
        Ok(stock.iter().map(row).collect())
    }

    /// 7, or the days until the first of the product's campaigns ends.
    fn horizon_days(&self, product: i64) -> i128 {
        let campaigns = self.today.campaigns.iter();
        let of_product = campaigns.filter(|campaign| {
            let listed = (campaign.campaign_id, product);
            self.today.campaign_products.contains(&listed)
        });
        let left = of_product.map(|campaign| (campaign.last_day - self.day()).num_days());
        let least = left.filter(|days| *days > 0).min();
        least.map_or(7, |days| i128::from(days.min(7)))
    }

    fn shop_tier(&self, table: &'static Table) -> Result<Vec<Cells>> {
        let days = self.shop_days(self.day() - Days::new(29), self.day())?;
        let today = days.last().filter(|(day, _)| *day == self.day());
        let Some(today) = today.and_then(|(_, row)| row.as_ref()) else {
            return Ok(vec![]);
        };
        let gmv = days
            .iter()
            .filter_map(|(_, row)| whole(row.as_ref()?, "gmv"));
        let trailing: i128 = gmv.sum();
        let tiers = self.config.tiers.iter().rev();
        let mut reached = tiers.filter(|tier| tier.min_gmv_cents <= trailing);
        let tier = reached.next().map(|tier| tier.name.clone());
        let line = Line::new(table).is("shop_id", self.shop_id);
        let line = line
            .cell("category", today.get("category").cloned().flatten())
            .cents("trailing_gmv", Some(trailing))
            .is("observed_days", days.len());
        Ok(vec![line.cell("tier", tier).done()])
    }
}

fn sums_of_days(period: &Period) -> Sums {
    let mut sums = Sums::default();
    for (_, row) in &period.days {
        if let Some(row) = row {
            sums.add(&sums_of(&SHOP_DAILY, row));
        }
    }
    sums
}
