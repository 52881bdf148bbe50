//! A value with its formula, the values that it is computed from, and the meaning of null.

use anyhow::Result;
use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Serialize;

use super::row::{Row, read_now, rows_of};
use super::why_unpublished;
use crate::catalog::history::History;
use crate::catalog::manifest::Manifest;
use crate::contracts::column::{Lineage, Source};
use crate::contracts::tables::{self, SHOP_PERIOD};
use crate::contracts::{Column, Table, TableId};
use crate::days::spans::days_of;
use crate::plan::Facts;
use crate::report::versions::TableRows;

/// One value of a row.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Value {
    pub column: &'static str,
    /// Money as a decimal, instants as RFC 3339 in UTC; `None`: null.
    pub value: Option<String>,
    /// `""` for names and identifiers.
    pub unit: &'static str,
    pub formula: &'static str,
    /// The reason of this null; `None`: the value is not null.
    pub null_because: Option<String>,
    /// The values of the same row that the formula uses.
    pub inputs: Vec<Value>,
    /// The published tables that the formula uses, day by day.
    pub days: Vec<DaysOfTable>,
}

/// The values of another table that a value is computed from.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DaysOfTable {
    pub table: &'static str,
    pub column: &'static str,
    pub days: Vec<DayValue>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DayValue {
    pub day: NaiveDate,
    /// `None`: null, or missing.
    pub value: Option<String>,
    /// Why the day has no value; `None`: it has a row.
    pub missing: Option<String>,
}

/// Tells about the values of a day's row.
pub(super) struct Teller<'a> {
    pub facts: &'a Facts<'a>,
    pub history: &'a History,
    pub shop_id: i64,
    pub day: NaiveDate,
    pub manifest: &'a Manifest,
}

impl Teller<'_> {
    pub(super) fn value(
        &self,
        table: &'static Table,
        column: &'static Column,
        row: &Row,
    ) -> Result<Value> {
        let (mut inputs, mut days) = (Vec::new(), Vec::new());
        match column.lineage {
            Lineage::SameColumnOf(id) => {
                days.extend(self.days(table, id, &[column.name], row)?);
            }
            Lineage::From(sources) => {
                for source in sources {
                    match *source {
                        Source::Own(columns) => {
                            for name in columns {
                                inputs.push(self.value(table, table.column(name), row)?);
                            }
                        }
                        Source::Published(id, columns) => {
                            days.extend(self.days(table, id, columns, row)?);
                        }
                        Source::Metrics(id) => {
                            let metric = row.key().remove("metric").flatten();
                            let columns = metric_columns(id, metric.as_deref());
                            days.extend(self.days(table, id, &columns, row)?);
                        }
                        Source::Export(..) | Source::Setting(_) | Source::Run(_) => {}
                    }
                }
            }
        }
        let value = row.shown(column);
        let null_because = value
            .is_none()
            .then(|| self.why_null(table, column, row, &inputs));
        Ok(Value {
            column: column.name,
            value,
            unit: column.unit,
            formula: column.formula,
            null_because,
            inputs,
            days,
        })
    }

    /// The reason of a null that holds here.
    fn why_null(&self, table: &Table, column: &Column, row: &Row, inputs: &[Value]) -> String {
        let skipped = self.manifest.skipped.iter().find(|skipped| {
            skipped.table == table.name && skipped.columns.iter().any(|name| name == column.name)
        });
        if let Some(skipped) = skipped {
            return skipped.reason.clone();
        }
        let suppression = table
            .columns
            .iter()
            .find(|column| column.name == "suppression_reason");
        if let Some(reason) = suppression.and_then(|column| row.shown(column)) {
            return format!("suppressed: {reason}");
        }
        let is_zero = |value: &str| value.parse::<f64>().is_ok_and(|value| value == 0.0);
        for input in inputs {
            match &input.value {
                None => {
                    let why = input.null_because.clone().unwrap_or_default();
                    return format!("{} is null: {why}", input.column);
                }
                Some(value)
                    if is_zero(value)
                        && column.formula.contains(&format!("/ {}", input.column)) =>
                {
                    return format!("the denominator {} is 0", input.column);
                }
                Some(_) => {}
            }
        }
        column
            .null
            .unwrap_or("the contract gives no reason")
            .to_owned()
    }

    /// The values of another table's columns on each day of its span. A row is shown where the row of
    /// the question names every column of its key: it is the shop's own, never a peer's.
    fn days(
        &self,
        table: &Table,
        read: TableId,
        columns: &[&'static str],
        row: &Row,
    ) -> Result<Vec<DaysOfTable>> {
        let Some(read) = table.reads.iter().find(|other| other.table.id == read) else {
            return Ok(vec![]);
        };
        let other = read.table;
        let own = row.key();
        let known = |name: &&str| own.contains_key(*name);
        // Rows of the scope DAILY have the campaign 0, and no table of campaigns behind them.
        let is_daily = own
            .get("scope")
            .is_some_and(|scope| scope.as_deref() == Some("DAILY"));
        if is_daily && other.key.contains(&"campaign_id") && !other.is_benchmark() {
            return Ok(vec![]);
        }
        let is_own_row = other.key.contains(&"shop_id") && other.key.iter().all(known);
        if !is_own_row {
            return Ok(vec![]);
        }
        let (first, last) = days_of(read.span, self.day, self.manifest.first_campaign_day);
        let first = self.first_day_of_campaign(row)?.unwrap_or(first);
        let baseline_day = own.get("baseline_day").cloned().flatten();
        let mut found: Vec<DaysOfTable> = columns
            .iter()
            .filter(|name| !other.key.contains(name))
            .map(|column| DaysOfTable {
                table: other.name,
                column,
                days: vec![],
            })
            .collect();
        for day in first.iter_days().take_while(|day| *day <= last) {
            if baseline_day
                .as_ref()
                .is_some_and(|wanted| *wanted != day.to_string())
            {
                continue;
            }
            let rows = self.rows(other, day)?;
            for of_table in &mut found {
                let value = match &rows {
                    Err(missing) => Err(missing.clone()),
                    Ok(rows) => {
                        let is_same = |number: &usize| {
                            let key = rows.key(Some(*number));
                            key.iter().all(|(name, value)| own.get(name) == Some(value))
                        };
                        match rows.numbers().find(is_same) {
                            None => Err("no row on this day".to_owned()),
                            Some(number) => Ok(rows.shown(other.column(of_table.column), number)),
                        }
                    }
                };
                let (value, missing) = match value {
                    Ok(value) => (value, None),
                    Err(missing) => (None, Some(missing)),
                };
                of_table.days.push(DayValue {
                    day,
                    value,
                    missing,
                });
            }
        }
        Ok(found)
    }

    /// The first day of the row's campaign, as `shop_period` has it; `None`: the row has no campaign.
    fn first_day_of_campaign(&self, row: &Row) -> Result<Option<NaiveDate>> {
        let own = row.key();
        let Some(campaign) = own.get("campaign_id") else {
            return Ok(None);
        };
        let Ok(rows) = self.rows(&SHOP_PERIOD, self.day)? else {
            return Ok(None);
        };
        let is_own = |number: &usize| rows.key(Some(*number)).get("campaign_id") == Some(campaign);
        let first = rows.numbers().find(is_own);
        let first = first.and_then(|number| rows.shown(SHOP_PERIOD.column("first_day"), number));
        Ok(first.and_then(|day| day.parse().ok()))
    }

    /// The shop's rows of a table on a day, or why there are none.
    fn rows(&self, table: &'static Table, day: NaiveDate) -> Result<Result<TableRows, String>> {
        let Some(manifest) = self.facts.manifest(day)? else {
            return Ok(Err("the day is not published".to_owned()));
        };
        if !manifest.has(table) {
            return Ok(Err(why_unpublished(&manifest, table)));
        }
        let file = read_now(self.history, table, &manifest)?;
        Ok(Ok(rows_of(table, &file, day, Some(self.shop_id))?))
    }
}

/// The column of a benchmark's metric in the table that it comes from.
fn metric_columns(id: TableId, metric: Option<&str>) -> Vec<&'static str> {
    let columns = tables::table(id.name()).map_or(&[][..], |table| table.columns);
    let names = columns.iter().map(|column| column.name);
    names.filter(|name| Some(*name) == metric).collect()
}
