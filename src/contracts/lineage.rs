//! The lineage of a column: its inputs, all inputs up to the exports, and the columns that use it.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use super::column::{Column, Lineage, Source};
use super::metrics::metric_columns;
use super::table::Table;
use super::tables;

/// A column of a table or of an export: `shop_daily.gmv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ColumnOf {
    pub owner: &'static str,
    pub column: &'static str,
}

impl fmt::Display for ColumnOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.owner, self.column)
    }
}

/// One input of a column's formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Input {
    Column(ColumnOf),
    /// The existence of an export or of its rows.
    Rows(&'static str),
    /// The days on which a table is published.
    Days(&'static str),
    /// A key of the job file.
    Setting(&'static str),
    /// The run itself.
    Run(&'static str),
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Column(column) => column.fmt(f),
            Input::Rows(dataset) => write!(f, "rows of {dataset}"),
            Input::Days(table) => write!(f, "days of {table}"),
            Input::Setting(key) => write!(f, "job file: {key}"),
            Input::Run(fact) => write!(f, "run: {fact}"),
        }
    }
}

/// The inputs that the formula of a table's column names, in its order.
pub(crate) fn inputs(table: &Table, column: &Column) -> Vec<Input> {
    match column.lineage {
        Lineage::SameColumnOf(other) => vec![column_of(other.name(), column.name)],
        Lineage::From(sources) => sources
            .iter()
            .flat_map(|source| inputs_of(table, source))
            .collect(),
    }
}

fn inputs_of(table: &Table, source: &Source) -> Vec<Input> {
    let columns = |owner: &'static str, names: &[&'static str]| {
        names.iter().map(|name| column_of(owner, name)).collect()
    };
    match *source {
        Source::Export(dataset, []) => vec![Input::Rows(dataset.name())],
        Source::Export(dataset, names) => columns(dataset.name(), names),
        Source::Published(other, []) => vec![Input::Days(other.name())],
        Source::Published(other, names) => columns(other.name(), names),
        Source::Metrics(other) => columns(other.name(), &metric_columns(other).collect::<Vec<_>>()),
        Source::Own(names) => columns(table.name, names),
        Source::Setting(keys) => keys.iter().map(|key| Input::Setting(key)).collect(),
        Source::Run(fact) => vec![Input::Run(fact)],
    }
}

fn column_of(owner: &'static str, column: &'static str) -> Input {
    Input::Column(ColumnOf { owner, column })
}

/// A column with its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Derived {
    pub column: ColumnOf,
    /// Empty for a column of an export.
    pub inputs: Vec<Input>,
}

/// The column and every column behind it, up to those of the exports: the nearest first.
pub(crate) fn upstream(column: ColumnOf) -> Vec<Derived> {
    let mut found: Vec<Derived> = Vec::new();
    let (mut seen, mut waiting) = (BTreeSet::from([column]), VecDeque::from([column]));
    while let Some(column) = waiting.pop_front() {
        let inputs = tables::table(column.owner)
            .map_or(vec![], |table| inputs(table, table.column(column.column)));
        for input in &inputs {
            if let Input::Column(next) = input
                && seen.insert(*next)
            {
                waiting.push_back(*next);
            }
        }
        found.push(Derived { column, inputs });
    }
    found
}

/// The columns whose formulas name an input, in the order of the tables.
pub(crate) fn users(used: Input) -> Vec<ColumnOf> {
    let columns = tables::all().flat_map(|table| table.columns.iter().map(move |c| (table, c)));
    let users = columns.filter(|(table, column)| inputs(table, column).contains(&used));
    users
        .map(|(table, column)| ColumnOf {
            owner: table.name,
            column: column.name,
        })
        .collect()
}

/// Every column that changes when an input does, in the order of the tables; the direct users too.
pub(crate) fn downstream(used: Input) -> Vec<ColumnOf> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![used];
    while let Some(used) = waiting.pop() {
        for user in users(used) {
            if found.insert(user) {
                waiting.push(Input::Column(user));
            }
        }
    }
    let in_order = tables::all().flat_map(|table| {
        table.columns.iter().map(move |column| ColumnOf {
            owner: table.name,
            column: column.name,
        })
    });
    in_order.filter(|column| found.contains(column)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn named(owner: &'static str, column: &'static str) -> ColumnOf {
        ColumnOf { owner, column }
    }

    #[test]
    fn the_way_up_ends_at_columns_of_exports() {
        let found = upstream(named("shop_daily", "avg_order_value"));
        let shown: Vec<String> = found
            .iter()
            .map(|derived| {
                let inputs: Vec<String> = derived.inputs.iter().map(Input::to_string).collect();
                format!("{} <- {}", derived.column, inputs.join(", "))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "shop_daily.avg_order_value <- shop_daily.gmv, shop_daily.orders",
                "shop_daily.gmv <- order_lines.sub_total, order_lines.shipping_fee",
                "shop_daily.orders <- order_lines.order_id",
                "order_lines.sub_total <- ",
                "order_lines.shipping_fee <- ",
                "order_lines.order_id <- ",
            ]
        );
    }

    #[test]
    fn the_way_down_is_the_way_up_reversed() {
        let mut below: BTreeMap<ColumnOf, Vec<ColumnOf>> = BTreeMap::new();
        for table in tables::all() {
            for column in table.columns {
                let this = named(table.name, column.name);
                for above in upstream(this).iter().skip(1) {
                    let above = above.column;
                    let below = below
                        .entry(above)
                        .or_insert_with(|| downstream(Input::Column(above)));
                    assert!(below.contains(&this), "{this} is behind {above}");
                }
            }
        }
    }

    #[test]
    fn no_column_is_behind_itself() {
        for table in tables::all() {
            for column in table.columns {
                let this = named(table.name, column.name);
                let behind = downstream(Input::Column(this));
                assert!(!behind.contains(&this), "{this}");
            }
        }
    }

    #[test]
    fn rows_days_and_settings_have_users_too() {
        assert!(users(Input::Rows("order_lines")).contains(&named("shop_daily", "sku_orders")));
        let of_setting = users(Input::Setting("benchmark.min_peers"));
        assert_eq!(
            of_setting,
            [named("category_benchmark", "suppression_reason")]
        );
    }
}
