//! The metrics of the page as the contracts define them, each with the command that explains it.

use super::Shop;
use super::core::title;
use crate::contracts::metrics::METRICS;
use crate::contracts::tables::SHOP_DAILY;
use crate::pages::page::{Block, Definition, Section};

impl Shop<'_> {
    pub(super) fn definitions(&self) -> Section {
        let definition = |name: &'static str| {
            let column = SHOP_DAILY.column(name);
            Definition {
                id: column.name,
                name: title(column.name),
                unit: column.unit,
                formula: column.formula,
                null: column.null.unwrap_or("never"),
                command: format!(
                    "campaign-etl explain --shop {} --day {} --metric {}",
                    self.rows.shop_id, self.rows.day, column.name
                ),
            }
        };
        let every = format!(
            "campaign-etl explain --shop {} --day {}",
            self.rows.shop_id, self.rows.day
        );
        Section {
            id: "definitions",
            title: "Definitions".to_owned(),
            view: None,
            blocks: vec![
                Block::Commands(vec![(
                    "Compute every number of this page again:".to_owned(),
                    every,
                )]),
                Block::Definitions(
                    METRICS
                        .iter()
                        .map(|metric| definition(metric.name))
                        .collect(),
                ),
            ],
        }
    }
}
