//! The day beside every published day of six months.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::NaiveDate;

use super::{Shop, table_of};
use crate::catalog::manifest::Manifest;
use crate::contracts::tables::GMV_BASELINE;
use crate::days::calendar::six_months_before;
use crate::pages::chart;
use crate::pages::page::{Block, Cell, Figure, Head, Mark, Section, Tone};
use crate::pages::rows::PublishedRow;
use crate::plan::Facts;

/// The campaigns of the six months before a day, by day, as a person calls them.
pub(super) fn campaigns_of_days(facts: &Facts, day: NaiveDate) -> BTreeMap<NaiveDate, Vec<String>> {
    let span = six_months_before(day)..day;
    facts.state.look_ahead(span.start, span.end);
    let days = facts.state.days().into_iter();
    let days = days.filter(|day| span.contains(day));
    // A manifest that cannot be read is reported when its day is needed.
    let manifests = days.filter_map(|day| Some((day, facts.manifest(day).ok()??)));
    manifests
        .map(|(day, manifest)| (day, names(&manifest)))
        .collect()
}

/// Earlier versions of this program recorded only the ids.
fn names(manifest: &Manifest) -> Vec<String> {
    let named = manifest.campaigns.iter();
    let named: Vec<String> = named
        .map(|campaign| campaign.campaign_name.clone())
        .collect();
    match &manifest.measures {
        Some(measures) if named.is_empty() => {
            let ids = measures.campaign_ids.iter();
            ids.map(|id| format!("campaign {id}")).collect()
        }
        _ => named,
    }
}

impl Shop<'_> {
    pub(super) fn baseline(&self) -> Result<Section> {
        let rows = self.rows.of(&GMV_BASELINE, &[]);
        let block = match rows.is_empty() {
            true => Block::Text(format!(
                "Not available: {}.",
                self.rows.why_none(&GMV_BASELINE)
            )),
            false => self.baseline_figure(&rows)?,
        };
        Ok(Section {
            id: "baseline",
            title: "Compared with other days".to_owned(),
            view: None,
            blocks: vec![block],
        })
    }

    fn baseline_figure(&self, rows: &[PublishedRow]) -> Result<Block> {
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
            rows,
            self.locale,
        );
        numbers.picker = "Compare with";
        numbers.columns.push(Head {
            title: "Campaign".to_owned(),
            column: "",
            is_number: false,
        });
        for (row, published) in numbers.rows.iter_mut().zip(rows) {
            let of_day = published.date("baseline_day");
            let campaigns = of_day.and_then(|day| self.day.campaigns.get(&day));
            let marks = campaigns.into_iter().flatten();
            let marks = marks.map(|name| Mark::new(Tone::Plain, name.clone()));
            row.cells.push(Cell::Marks(marks.collect()));
        }
        // The newest day first: it is asked for most.
        numbers.rows.reverse();
        let (days, gmv) = with_gaps(rows).into_iter().unzip();
        let svg = chart::bars(days, vec![("GMV", gmv)])?;
        let [first, last] = [rows.first(), rows.last()]
            .map(|row| row.map(|row| row.text("baseline_day")).unwrap_or_default());
        Ok(Block::Figure(Figure {
            caption: main_fact(rows),
            label: format!("Bars: GMV of each day from {first} to {last}"),
            svg,
            numbers,
        }))
    }
}

/// The GMV of every day from the first to the last row; days without a row are gaps.
fn with_gaps(rows: &[PublishedRow]) -> Vec<(String, Option<f64>)> {
    let gmv: BTreeMap<NaiveDate, Option<f64>> = rows
        .iter()
        .filter_map(|row| Some((row.date("baseline_day")?, row.double("baseline_gmv"))))
        .collect();
    let Some(((first, _), (last, _))) = gmv.first_key_value().zip(gmv.last_key_value()) else {
        return vec![];
    };
    let days = first.iter_days().take_while(|day| day <= last);
    let label = |day: NaiveDate| day.format("%-d %b").to_string();
    days.map(|day| (label(day), gmv.get(&day).copied().flatten()))
        .collect()
}

/// How many of the earlier days had a higher GMV.
fn main_fact(rows: &[PublishedRow]) -> String {
    let is_higher = |row: &&PublishedRow| row.whole("baseline_gmv") > row.whole("gmv");
    let higher = rows.iter().filter(is_higher).count();
    let days = rows.len();
    match higher {
        0 => format!("No earlier day of {days} had a higher GMV than this day"),
        1 => format!("1 earlier day of {days} had a higher GMV than this day"),
        higher => format!("{higher} earlier days of {days} had a higher GMV than this day"),
    }
}
