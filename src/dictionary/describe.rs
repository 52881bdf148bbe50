//! `describe`: tables, exports and columns from their contracts, with lineage.

use std::collections::BTreeSet;

use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;

use crate::contracts::datasets::{DATASETS, dataset};
use crate::contracts::field_ids::{QUARANTINE_FILES, field_id};
use crate::contracts::lineage::{ColumnOf, Input, downstream, inputs, upstream, users};
use crate::contracts::markdown::{describe_rule, span};
use crate::contracts::quarantine::{self, QUARANTINE};
use crate::contracts::{Column, Dataset, PART_FILE, SnapshotId, Table, TableId, tables};
use crate::messages;
use crate::nearest::nearest;

/// The answer to `describe`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Description {
    All(AllTables),
    Table(Box<TableDescription>),
    Column(Box<ColumnDescription>),
}

/// Every table, export and the quarantine.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AllTables {
    pub tables: Vec<TableSummary>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TableKind {
    /// Computed from the exports of one day.
    Rollup,
    /// Computed from published rollups.
    Window,
    /// Computed over the shops of the benchmark day.
    Benchmark,
    /// Read.
    Export,
    /// Rows of exports that no table uses.
    Quarantine,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TableSummary {
    pub name: &'static str,
    pub kind: TableKind,
    /// Below the results; of an export, below the exports.
    pub path: String,
    pub grain: &'static str,
    /// The columns that identify a row; empty: none do.
    pub key: Vec<&'static str>,
}

/// One table or export.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TableDescription {
    #[serde(flatten)]
    pub summary: TableSummary,
    /// Of an export: whether every day needs it. The job file can require more.
    pub is_required: Option<bool>,
    /// The tables that it is computed from.
    pub reads: Vec<ReadDescription>,
    /// The exports of the day that it is computed from.
    pub exports: Vec<&'static str>,
    /// Without one of these exports, the table is not written for the day.
    pub not_written_without: Vec<&'static str>,
    /// Of an export: the rules in the order in which they are tried.
    pub row_rules: Vec<RuleDescription>,
    /// Tables that are computed from it.
    pub read_by: Vec<&'static str>,
    pub columns: Vec<ColumnSummary>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ReadDescription {
    pub table: &'static str,
    /// D is the day of the partition.
    pub days: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RuleDescription {
    /// The reason of a quarantined row.
    pub reason: &'static str,
    /// The rows that break the rule.
    pub breaks: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ColumnSummary {
    pub column: &'static str,
    #[serde(rename = "type")]
    pub sql_type: &'static str,
    /// `""` for names and identifiers.
    pub unit: &'static str,
    /// `""` when the name is enough.
    pub formula: &'static str,
    /// `None`: never null.
    pub null_means: Option<&'static str>,
    pub is_key: bool,
    /// The Parquet field id in published files; `None`: a column of an export.
    pub field_id: Option<i32>,
    /// The optional export without which the column is null.
    pub needs: Option<&'static str>,
}

/// One column with its lineage.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ColumnDescription {
    pub table: &'static str,
    #[serde(flatten)]
    pub summary: ColumnSummary,
    /// The column and every column behind it, up to those of the exports: the nearest first.
    pub upstream: Vec<DerivedColumn>,
    /// The columns of exports behind it.
    pub exports: Vec<String>,
    /// The columns whose formulas name it.
    pub used_by: Vec<String>,
    /// Every column that changes when it does.
    pub downstream: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DerivedColumn {
    pub column: String,
    /// The inputs of its formula; empty for a column of an export.
    pub from: Vec<String>,
}

/// Describes everything, or what `name` names: a table or an export (`shop_daily`), or one of their
/// columns (`shop_daily.gmv`).
///
/// # Errors
/// `ConfigWrong` when nothing has this name; names the nearest one.
pub(crate) fn describe(name: Option<&str>) -> Result<Description> {
    let Some(name) = name else {
        let tables = described().map(|one| one.summary()).collect();
        return Ok(Description::All(AllTables { tables }));
    };
    let (table, column) = match name.split_once('.') {
        Some((table, column)) => (table, Some(column)),
        None => (name, None),
    };
    let found = described().find(|one| one.name() == table);
    let one = found.ok_or_else(|| unknown_table(table))?;
    match column {
        None => Ok(Description::Table(Box::new(one.describe()))),
        Some(column) => Ok(Description::Column(Box::new(one.describe_column(column)?))),
    }
}

fn unknown_table(name: &str) -> crate::failure::Failure {
    let holders: Vec<String> = described()
        .filter(|one| one.columns().iter().any(|column| column.name == name))
        .map(|one| format!("{}.{name}", one.name()))
        .collect();
    let near = nearest(name, described().map(|one| one.name()));
    let hint = match (holders.as_slice(), near) {
        ([], None) => String::new(),
        ([], Some(near)) => format!("did you mean {near}? "),
        (holders, _) => format!("did you mean {}? ", holders.join(", ")),
    };
    messages::no_such_table(name, hint)
}

/// A thing that has a name and columns.
#[derive(Clone, Copy)]
enum Described {
    Table(&'static Table),
    Export(&'static Dataset),
    Quarantine,
}

fn described() -> impl Iterator<Item = Described> {
    let tables = tables::all().map(Described::Table);
    let exports = DATASETS.into_iter().map(Described::Export);
    tables.chain(exports).chain([Described::Quarantine])
}

impl Described {
    fn name(self) -> &'static str {
        match self {
            Described::Table(table) => table.name,
            Described::Export(dataset) => dataset.name,
            Described::Quarantine => QUARANTINE_FILES,
        }
    }

    fn columns(self) -> &'static [Column] {
        match self {
            Described::Table(table) => table.columns,
            Described::Export(dataset) => dataset.columns,
            Described::Quarantine => &QUARANTINE,
        }
    }

    fn key(self) -> &'static [&'static str] {
        match self {
            Described::Table(table) => table.key,
            Described::Export(dataset) => dataset.key,
            Described::Quarantine => &["file", "row_number"],
        }
    }

    fn summary(self) -> TableSummary {
        let (kind, path, grain) = match self {
            Described::Table(table) => (
                kind(table),
                format!("{}/dt=YYYY-MM-DD/{PART_FILE}", table.name),
                table.grain,
            ),
            Described::Export(dataset) => (
                TableKind::Export,
                format!("{}/dt=YYYY-MM-DD/*", dataset.name),
                dataset.grain,
            ),
            Described::Quarantine => (
                TableKind::Quarantine,
                format!("_quarantine/<export>/dt=YYYY-MM-DD/{PART_FILE}"),
                quarantine::GRAIN,
            ),
        };
        TableSummary {
            name: self.name(),
            kind,
            path,
            grain,
            key: self.key().to_vec(),
        }
    }

    fn describe(self) -> TableDescription {
        let names = |ids: &[SnapshotId]| ids.iter().map(|id| id.name()).collect();
        let columns = self.columns().iter();
        let mut description = TableDescription {
            summary: self.summary(),
            is_required: None,
            reads: vec![],
            exports: vec![],
            not_written_without: vec![],
            row_rules: vec![],
            read_by: vec![],
            columns: columns.map(|column| self.column_summary(column)).collect(),
        };
        match self {
            Described::Table(table) => {
                let reads = table.reads.iter().map(|read| ReadDescription {
                    table: read.table.name,
                    days: span(read.span),
                });
                description.reads = reads.collect();
                description.exports = exports_of(table);
                description.not_written_without = names(table.needs);
                description.read_by = readers_of(table);
            }
            Described::Export(dataset) => {
                description.is_required = Some(dataset.always_required);
                let rules = dataset.rules.iter().map(|rule| RuleDescription {
                    reason: rule.reason().code(),
                    breaks: describe_rule(rule),
                });
                description.row_rules = rules.collect();
                let computed = tables::all();
                let readers = computed.filter(|table| exports_of(table).contains(&dataset.name));
                description.read_by = readers.map(|table| table.name).collect();
            }
            Described::Quarantine => {}
        }
        description
    }

    fn column_summary(self, column: &Column) -> ColumnSummary {
        ColumnSummary {
            column: column.name,
            sql_type: column.kind.sql(),
            unit: column.unit,
            formula: column.formula,
            null_means: column.null,
            is_key: self.key().contains(&column.name),
            field_id: match self {
                Described::Export(_) => None,
                Described::Table(_) | Described::Quarantine => {
                    Some(field_id(self.name(), column.name))
                }
            },
            needs: column.needs.map(SnapshotId::name),
        }
    }

    fn describe_column(self, name: &str) -> Result<ColumnDescription> {
        let found = self.columns().iter().find(|column| column.name == name);
        let column = found.ok_or_else(|| {
            let near = nearest(name, self.columns().iter().map(|column| column.name));
            let hint = near.map(|near| format!("did you mean {}.{near}? ", self.name()));
            messages::no_such_column(self.name(), name, hint.unwrap_or_default())
        })?;
        let this = ColumnOf {
            owner: self.name(),
            column: column.name,
        };
        let (above, used) = (upstream(this), Input::Column(this));
        let of_exports = above.iter().map(|derived| derived.column);
        let of_exports = of_exports.filter(|column| *column != this);
        let of_exports: BTreeSet<ColumnOf> = of_exports
            .filter(|column| dataset(column.owner).is_some())
            .collect();
        let shown = |columns: Vec<ColumnOf>| columns.iter().map(ColumnOf::to_string).collect();
        Ok(ColumnDescription {
            table: self.name(),
            summary: self.column_summary(column),
            upstream: above
                .iter()
                .map(|derived| DerivedColumn {
                    column: derived.column.to_string(),
                    from: derived.inputs.iter().map(Input::to_string).collect(),
                })
                .collect(),
            exports: of_exports.iter().map(ColumnOf::to_string).collect(),
            used_by: shown(users(used)),
            downstream: shown(downstream(used)),
        })
    }
}

fn kind(table: &Table) -> TableKind {
    match table.id {
        TableId::Rollup(_) => TableKind::Rollup,
        TableId::Window(_) => TableKind::Window,
        TableId::Benchmark(_) => TableKind::Benchmark,
    }
}

/// The exports that the table's own formulas name, in the order of the contracts.
fn exports_of(table: &Table) -> Vec<&'static str> {
    let named: BTreeSet<&str> = table
        .columns
        .iter()
        .flat_map(|column| inputs(table, column))
        .filter_map(|input| match input {
            Input::Column(column) => Some(column.owner),
            Input::Rows(dataset) => Some(dataset),
            Input::Days(_) | Input::Setting(_) | Input::Run(_) => None,
        })
        .collect();
    let exports = DATASETS.into_iter().map(|dataset| dataset.name);
    exports.filter(|name| named.contains(name)).collect()
}

fn readers_of(table: &Table) -> Vec<&'static str> {
    let reads = |other: &&Table| other.reads.iter().any(|read| read.table.id == table.id);
    tables::all()
        .filter(reads)
        .map(|other| other.name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_column(name: &str) -> ColumnDescription {
        let Description::Column(column) = describe(Some(name)).unwrap() else {
            panic!("{name} is no column");
        };
        *column
    }

    #[test]
    fn every_table_export_and_column_is_described() {
        let Description::All(all) = describe(None).unwrap() else {
            panic!("no list");
        };
        // 19 tables, 10 exports, the quarantine.
        assert_eq!(all.tables.len(), 30);
        for summary in &all.tables {
            let Description::Table(table) = describe(Some(summary.name)).unwrap() else {
                panic!("{} is no table", summary.name);
            };
            assert!(!table.columns.is_empty());
            for column in &table.columns {
                let name = format!("{}.{}", summary.name, column.column);
                let described = of_column(&name);
                assert_eq!(described.upstream[0].column, name);
                let is_computed =
                    !matches!(summary.kind, TableKind::Export | TableKind::Quarantine);
                assert_eq!(
                    !described.upstream[0].from.is_empty(),
                    is_computed,
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn a_column_of_an_export_names_its_users() {
        let described = of_column("shops.primary_ad_account_id");
        assert_eq!(described.exports, [""; 0]);
        let used_by = [
            "shop_daily.ad_spend",
            "shop_daily.ad_gross_revenue",
            "ad_hourly.shop_id",
        ];
        assert_eq!(described.used_by, used_by);
        let below = |name: &str| described.downstream.iter().any(|column| column == name);
        assert!(below("shop_daily.ad_roi") && below("shop_period.ad_spend"));
        assert!(below("category_benchmark.mean") && !below("shop_daily.gmv"));
    }

    #[test]
    fn a_mistyped_name_is_answered_with_the_nearest_one() {
        let said = |name| describe(Some(name)).unwrap_err().to_string();
        let hints = [
            ("shop_dayly", "did you mean shop_daily? "),
            (
                "target_progress",
                "did you mean shop_period.target_progress? ",
            ),
            ("shop_tier.teir", "did you mean shop_tier.tier? "),
            (
                "zzz",
                "there is no table or export \"zzz\"; `campaign-etl describe`",
            ),
        ];
        for (name, hint) in hints {
            assert!(said(name).contains(hint), "{}", said(name));
        }
    }
}
