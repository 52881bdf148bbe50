//! The numbers of the page as the contracts define them, each with the command that explains it.

use super::Shop;
use crate::contracts::metrics::{METRICS, Metric};
use crate::contracts::tables::{self, SHOP_DAILY};
use crate::contracts::{Column, Table as ResultTable};
use crate::pages::page::{Block, Definition, Section};
use crate::pages::rows::PublishedRow;

/// A column of a table that the page shows.
type Shown = (&'static ResultTable, &'static Column);

impl Shop<'_> {
    /// `sections`: all others of the page.
    pub(super) fn definitions(&self, sections: &[Section]) -> Section {
        let every = format!(
            "campaign-etl explain --shop {} --day {}",
            self.rows.shop_id,
            self.rows.day()
        );
        let metrics = METRICS.iter().map(|metric| self.of_metric(metric));
        let mut blocks = vec![
            Block::Commands(vec![(
                "Compute every number of this page again; where the job file is another one, add --config:"
                    .to_owned(),
                every,
            )]),
            Block::Definitions(metrics.collect()),
        ];
        let others = shown(sections);
        for of_table in others.chunk_by(|a, b| a.0.name == b.0.name) {
            let definitions = of_table
                .iter()
                .map(|(table, column)| self.of_column(table, column));
            blocks.push(Block::Heading(of_table[0].0.name.to_owned()));
            blocks.push(Block::Definitions(definitions.collect()));
        }
        Section {
            id: "definitions",
            title: "Definitions".to_owned(),
            view: None,
            blocks,
        }
    }

    fn of_metric(&self, metric: &Metric) -> Definition {
        let daily = self.rows.of(&SHOP_DAILY, &[]);
        let period = self.period_row(metric);
        let commands = daily
            .first()
            .map(|row| row.explain_command(self.rows, metric.name));
        let commands = commands.into_iter().chain(period);
        let column = SHOP_DAILY.column(metric.name);
        Definition {
            id: metric.name,
            name: metric.title.to_owned(),
            commands: commands.collect(),
            ..definition(column)
        }
    }

    /// The command for a metric of the campaign period.
    fn period_row(&self, metric: &Metric) -> Option<String> {
        let mut tables = [&tables::SHOP_PERIOD, &tables::FUNNEL_PERIOD].into_iter();
        let (table, column) =
            tables.find_map(|table| Some((table, metric.column_of(table.id)?)))?;
        let row = self.of_campaign(table).first().copied()?;
        Some(row.explain_command(self.rows, column))
    }

    fn of_column(&self, table: &'static ResultTable, column: &'static Column) -> Definition {
        let of_campaign = match table.key.contains(&"campaign_id") {
            true => self.of_campaign(table),
            false => vec![],
        };
        let rows = match of_campaign.is_empty() {
            true => self.rows.of(table, &[]),
            false => of_campaign,
        };
        let command = |row: &PublishedRow| row.explain_command(self.rows, column.name);
        Definition {
            commands: rows.first().map(command).into_iter().collect(),
            ..definition(column)
        }
    }
}

fn definition(column: &'static Column) -> Definition {
    Definition {
        id: "",
        name: column.name.to_owned(),
        unit: column.unit,
        formula: column.formula,
        null: column.null.unwrap_or("never"),
        commands: vec![],
    }
}

/// The columns with a formula that are no metric of the cards; each once, by table.
fn shown(sections: &[Section]) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let mut add = |table: &str, column: &str| {
        let Some(table) = tables::table(table) else {
            return;
        };
        let mut columns = table.columns.iter();
        let Some(column) = columns.find(|known| known.name == column) else {
            return;
        };
        let is_metric = METRICS
            .iter()
            .any(|metric| metric.column_of(table.id) == Some(column.name));
        let is_known = shown
            .iter()
            .any(|(known, of)| (known.name, of.name) == (table.name, column.name));
        if !is_metric && !is_known && !column.formula.is_empty() {
            shown.push((table, column));
        }
    };
    for block in sections.iter().flat_map(|section| &section.blocks) {
        match block {
            Block::Table(table) => table
                .columns
                .iter()
                .for_each(|head| add(table.from, head.column)),
            Block::Figure(figure) => {
                let table = &figure.numbers;
                table
                    .columns
                    .iter()
                    .for_each(|head| add(table.from, head.column));
            }
            Block::Cards(cards) => {
                for card in cards {
                    add(&card.from.table, &card.from.column);
                    for (_, from, _) in &card.others {
                        add(&from.table, &from.column);
                    }
                }
            }
            _ => {}
        }
    }
    // The order of the tables, and within a table that of the page.
    let place = |name: &str| tables::all().position(|table| table.name == name);
    shown.sort_by_key(|(table, _)| place(table.name));
    shown
}
