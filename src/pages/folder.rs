//! A page for each shop of the day's campaigns, and an index with a search.
//!
//! The pages are made some shops at a time; of the others, only the row of the index is in memory. They are
//! written into a folder beside the wanted one, which gets its name when all of them are there.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use chrono::NaiveDate;

use super::page::{Block, Cell, Head, Page, Picked, Row, Section, Table};
use super::shop::DashboardDay;
use super::shown::long_day;
use crate::contracts::Table as ResultTable;
use crate::contracts::tables::{SHOP_PERIOD, SHOP_TIER};
use crate::explain::why_unpublished;
use crate::failure::Failure;
use crate::messages;
use crate::plan::Facts;
use crate::report::versions::TableRows;
use crate::resources::Resources;
use crate::threads::on_each;
use crate::windows::Rows;

/// Shops whose rows are in memory at a time.
const SHOPS_AT_ONCE: usize = 512;

const INDEX: &str = "index.html";

/// The pages that were written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pages {
    /// Those of shops; the index is one more.
    pub shops: usize,
    /// Of all files.
    pub bytes: u64,
}

/// One shop of the index.
struct Entry {
    shop_id: i64,
    /// In the campaign with the smallest number: the one that its page shows.
    period: usize,
}

/// Writes the pages into a new folder. `run_id`: unique among all runs.
///
/// # Errors
/// `ConfigWrong` when the folder exists, or no campaign numbers of the day are published; `StoreFailed`
/// when a file cannot be read or written. Nothing is left of the folder then.
pub(crate) fn folder(
    facts: &Facts,
    day: NaiveDate,
    out: &Path,
    run_id: &str,
    resources: &Resources,
) -> Result<Pages> {
    if out.exists() {
        return Err(messages::folder_exists(out.display()).into());
    }
    let mut of_day = DashboardDay::load(facts, day)?;
    of_day.is_indexed = true;
    if !of_day.manifest.has(&SHOP_PERIOD) {
        let why = why_unpublished(&of_day.manifest, &SHOP_PERIOD);
        return Err(messages::not_published(SHOP_PERIOD.name, day, why).into());
    }
    let unfinished = Unfinished::create(out, run_id)?;
    let pages = write_all(facts, &of_day, &unfinished.0, resources)?;
    fs::rename(&unfinished.0, out).map_err(|why| cannot_write(out, why))?;
    Ok(pages)
}

/// The name of the folder while it is written. `run_id`: unique among all runs.
fn unfinished(out: &Path, run_id: &str) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(format!(".unfinished-{run_id}"));
    out.with_file_name(name)
}

/// The folder in which the pages are written. When this value is dropped, the folder is removed, unless it
/// was renamed.
struct Unfinished(PathBuf);

impl Unfinished {
    fn create(out: &Path, run_id: &str) -> Result<Unfinished> {
        let path = unfinished(out, run_id);
        fs::create_dir(&path).map_err(|why| cannot_write(&path, why))?;
        Ok(Unfinished(path))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the renaming there is nothing; after an error, that error counts.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn cannot_write(path: &Path, why: std::io::Error) -> Failure {
    messages::cannot_write(path.display(), why)
}

fn write_all(
    facts: &Facts,
    of_day: &DashboardDay,
    out: &Path,
    resources: &Resources,
) -> Result<Pages> {
    let day = of_day.manifest.day;
    let periods = rows(facts, &SHOP_PERIOD, day)?;
    let entries = entries(&periods);
    let ids: Vec<i64> = entries.iter().map(|entry| entry.shop_id).collect();
    let mut pages = Pages {
        shops: ids.len(),
        bytes: 0,
    };
    for shops in ids.chunks(SHOPS_AT_ONCE) {
        let rows = of_day.rows(facts, shops)?;
        let share = shops.len().div_ceil(resources.threads.max(1));
        let written = on_each(shops.chunks(share), |shops| -> Result<u64> {
            let mut bytes = 0;
            for shop in shops {
                resources.stop.check()?;
                let page = of_day.page(rows.of_shop(*shop), None)?;
                bytes += write(&out.join(file_name(*shop)), &page)?;
            }
            Ok(bytes)
        });
        for bytes in written {
            pages.bytes += bytes?;
        }
    }
    let index = index(facts, of_day, &periods, entries)?;
    pages.bytes += write(&out.join(INDEX), &index)?;
    Ok(pages)
}

fn write(path: &Path, page: &Page) -> Result<u64> {
    let html = page.html()?;
    fs::write(path, &html).map_err(|why| cannot_write(path, why))?;
    Ok(html.len() as u64)
}

fn file_name(shop_id: i64) -> String {
    format!("{shop_id}.html")
}

/// Every row of a published table.
fn rows(facts: &Facts, table: &'static ResultTable, day: NaiveDate) -> Result<TableRows> {
    let rows = facts
        .tables(day)
        .published_rows(table, day, Rows::default())?;
    TableRows::new(table, Some(rows), None)
}

/// The shops of all campaigns, ascending. The table is sorted by campaign, then by shop.
fn entries(periods: &TableRows) -> Vec<Entry> {
    let shop = |period: usize| periods.whole("shop_id", period).unwrap_or_default() as i64;
    let mut entries: Vec<Entry> = periods
        .numbers()
        .map(|period| Entry {
            shop_id: shop(period),
            period,
        })
        .collect();
    entries.sort_by_key(|entry| (entry.shop_id, entry.period));
    entries.dedup_by_key(|entry| entry.shop_id);
    entries
}

/// The index; highest GMV first.
fn index(
    facts: &Facts,
    of_day: &DashboardDay,
    periods: &TableRows,
    mut entries: Vec<Entry>,
) -> Result<Page> {
    let (manifest, day) = (&of_day.manifest, of_day.manifest.day);
    let tiers = match manifest.has(&SHOP_TIER) {
        true => tiers(&rows(facts, &SHOP_TIER, day)?),
        false => HashMap::new(),
    };
    let gmv = |entry: &Entry| periods.whole("gmv", entry.period);
    entries.sort_by_key(|entry| (std::cmp::Reverse(gmv(entry)), entry.shop_id));
    let row = |entry: &Entry| {
        let raw = |column| periods.shown(SHOP_PERIOD.column(column), entry.period);
        let value = |column| of_day.locale.shown(SHOP_PERIOD.column(column), raw(column));
        let campaign = raw("campaign_id").unwrap_or_default();
        let named = of_day.campaign(
            periods
                .whole("campaign_id", entry.period)
                .unwrap_or_default(),
        );
        // An earlier version of this program recorded no names.
        let name = named.map_or(&campaign, |campaign| &campaign.campaign_name);
        Row {
            rows: Picked::Key(format!("campaign_id={campaign};shop_id={}", entry.shop_id)),
            cells: vec![
                Cell::Link {
                    file: file_name(entry.shop_id),
                    text: entry.shop_id.to_string(),
                },
                Cell::Text(raw("category").unwrap_or_default()),
                Cell::Text(tiers.get(&entry.shop_id).cloned().unwrap_or_default()),
                Cell::Text(name.clone()),
                Cell::Value(value("gmv")),
                Cell::Value(value("target_progress")),
            ],
            ..Row::default()
        }
    };
    let head = |title: &str, column, is_number| Head {
        title: title.to_owned(),
        column,
        is_number,
    };
    let table = Table {
        caption: "Shops by GMV of the campaign period".to_owned(),
        from: SHOP_PERIOD.name,
        columns: vec![
            head("Shop", "", false),
            head("Category", "", false),
            head("Tier", "", false),
            head("Campaign", "", false),
            head(&format!("GMV ({})", manifest.currency), "gmv", true),
            head("Part of the target", "target_progress", true),
        ],
        rows: entries.iter().map(row).collect(),
        is_searched: true,
        ..Table::default()
    };
    Ok(Page {
        title: format!("Shops on {day}"),
        kind: "Campaign Dashboards",
        lead: None,
        shop_id: None,
        day,
        is_indexed: false,
        facts: vec![
            ("Day", format!("{} ({})", long_day(day), manifest.time_zone)),
            ("Shops", entries.len().to_string()),
        ],
        sections: vec![Section {
            id: "shops",
            title: "Shops".to_owned(),
            view: None,
            blocks: vec![Block::Table(table)],
        }],
    })
}

fn tiers(rows: &TableRows) -> HashMap<i64, String> {
    let tier = |row| {
        Some((
            rows.whole("shop_id", row)? as i64,
            rows.text("tier", row)?.to_owned(),
        ))
    };
    rows.numbers().filter_map(tier).collect()
}
