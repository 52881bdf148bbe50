//! Exports and result tables as datasets of OpenLineage: names, schema, column lineage, numbers.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use super::facet;
use crate::contracts::datasets::dataset;
use crate::contracts::lineage::{Input, inputs};
use crate::contracts::{Column, Dataset, Table, tables};
use crate::days::readiness::{DayExports, Folder};
use crate::mapping::Mapping;
use crate::report::run::{DatasetRead, Written};

/// Where exports and results are, and how the exports of a day are laid out: the names of datasets.
///
/// Names follow <https://openlineage.io/docs/spec/naming>: namespace `file` with an absolute path, or the
/// scheme and bucket with the path in the bucket. A dataset is all its days, so no name has a `dt=`.
pub(crate) struct Places<'a> {
    pub day: NaiveDate,
    /// An absolute path, or a URL.
    pub exports: String,
    pub results: String,
    pub mapping: &'a Mapping,
}

/// A table that a run wrote.
pub(crate) struct Wrote<'a>(pub &'a Written);

/// Namespace and name.
type Named = (String, String);

impl Places<'_> {
    fn of_export(&self, dataset: &Dataset) -> Named {
        let name = self.mapping.folder_of_all_days(dataset, self.day);
        named(&self.exports, &name)
    }

    /// The final exports of a day as inputs, with the accounts of those that were read.
    pub(crate) fn inputs(&self, exports: &DayExports, accounts: &[&DatasetRead]) -> Vec<Value> {
        let folders = exports.folders.iter().filter(|folder| folder.is_final());
        folders
            .map(|folder| {
                let is_of_it = |read: &&&DatasetRead| read.account.dataset == folder.dataset.name;
                let account = accounts.iter().find(is_of_it).copied();
                self.input(folder, account)
            })
            .collect()
    }

    /// `account`: `None` when the export was not read to its end.
    fn input(&self, folder: &Folder, account: Option<&DatasetRead>) -> Value {
        let (namespace, name) = self.of_export(folder.dataset);
        let mut input = json!({
            "namespace": namespace,
            "name": name,
            "facets": { "schema": self.schema_of_export(folder.dataset) },
        });
        if let Some(read) = account {
            let files = &folder.files;
            let statistics = json!({
                "rowCount": read.account.rows_read,
                "size": files.iter().map(|file| file.size_bytes).sum::<u64>(),
                "fileCount": files.len(),
            });
            let statistics = facet("1-0-0/InputStatisticsInputDatasetFacet", statistics);
            input["inputFacets"] = json!({ "inputStatistics": statistics });
        }
        input
    }

    /// The tables that were read for the written ones, as inputs: published ones, and those that were
    /// computed just before.
    pub(crate) fn tables_read(&self, wrote: &[Wrote]) -> Vec<Value> {
        let mut read = BTreeSet::new();
        for table in wrote.iter().filter_map(|it| tables::table(&it.0.table)) {
            read.extend(table.reads.iter().map(|read| read.table.name));
            let columns = table.columns.iter();
            let behind = columns.flat_map(|column| inputs_of_other_tables(table, column));
            let owners = behind.map(|((owner, _), _)| owner);
            read.extend(owners.filter(|owner| tables::table(owner).is_some()));
        }
        let input = |table: &str| {
            let (namespace, name) = named(&self.results, table);
            json!({ "namespace": namespace, "name": name })
        };
        read.into_iter().map(input).collect()
    }

    /// A written table as an output.
    pub(crate) fn output(&self, wrote: &Wrote) -> Value {
        let Wrote(written) = wrote;
        let (namespace, name) = named(&self.results, &written.table);
        let statistics = json!({ "rowCount": written.rows, "size": written.bytes, "fileCount": 1 });
        let statistics = facet("1-0-2/OutputStatisticsOutputDatasetFacet", statistics);
        let mut output = json!({
            "namespace": namespace,
            "name": name,
            "outputFacets": { "outputStatistics": statistics },
        });
        if let Some(table) = tables::table(&written.table) {
            let fields = table
                .columns
                .iter()
                .map(|column| field(column.name, column));
            output["facets"] = json!({
                "schema": schema(fields.collect()),
                "columnLineage": self.column_lineage(table),
            });
        }
        output
    }

    /// For each column of a table, the columns of other tables and of exports that its formula names,
    /// behind columns of the same row too.
    ///
    /// An input of rows, not of a value ("a row exists"), is the key of its export, as an indirect one.
    /// Settings and facts of the run are no datasets, and left out. The contracts do not tell a sum from a
    /// copy, so transformations have no subtype; their description is the formula.
    fn column_lineage(&self, table: &Table) -> Value {
        let mut fields = Map::new();
        for column in table.columns {
            let behind = inputs_of_other_tables(table, column);
            let input = |((owner, field), kind): (&(&str, &str), &Transformation)| {
                let (namespace, name, field) = self.column_of(owner, field)?;
                let transformation = kind.facet(column);
                Some(json!({
                    "namespace": namespace,
                    "name": name,
                    "field": field,
                    "transformations": [transformation],
                }))
            };
            let input_fields: Vec<Value> = behind.iter().filter_map(input).collect();
            if !input_fields.is_empty() {
                fields.insert(column.name.into(), json!({ "inputFields": input_fields }));
            }
        }
        facet(
            "1-2-0/ColumnLineageDatasetFacet",
            json!({ "fields": fields }),
        )
    }

    /// Namespace, name and field of a column in its files; `None`: no file has it.
    fn column_of(&self, owner: &str, column: &str) -> Option<(String, String, String)> {
        let (namespace, name) = match dataset(owner) {
            Some(dataset) => self.of_export(dataset),
            None => named(&self.results, owner),
        };
        let field = match dataset(owner) {
            Some(dataset) => self.name_in_file(dataset, column)?,
            None => column.to_owned(),
        };
        Some((namespace, name, field))
    }

    /// The name of a contract's column in the files of an export; `None`: it is a constant, or absent.
    fn name_in_file(&self, dataset: &Dataset, column: &str) -> Option<String> {
        match self.mapping.columns(dataset, self.day) {
            Some(mapped) => mapped.name_in_file(dataset, column).map(str::to_owned),
            None => Some(column.to_owned()),
        }
    }

    fn schema_of_export(&self, dataset: &Dataset) -> Value {
        let is_mapped = self.mapping.columns(dataset, self.day).is_some();
        let fields = dataset.columns.iter().filter_map(|column| {
            let name = self.name_in_file(dataset, column.name)?;
            Some(match is_mapped {
                // A mapped column may have another type.
                true => json!({ "name": name }),
                false => field(&name, column),
            })
        });
        schema(fields.collect())
    }
}

/// How an input column takes part in a formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Transformation {
    /// Its values are used.
    Direct,
    /// Only the existence of its rows is used.
    Rows,
}

impl Transformation {
    fn facet(self, column: &Column) -> Value {
        let direct = json!({ "type": "DIRECT", "masking": false });
        let mut transformation = match self {
            Transformation::Direct => direct,
            Transformation::Rows => {
                json!({ "type": "INDIRECT", "subtype": "CONDITIONAL", "masking": false })
            }
        };
        if !column.formula.is_empty() {
            transformation["description"] = column.formula.into();
        }
        transformation
    }
}

/// The columns of other tables and exports behind a column, each once. Where both the values and the
/// existence of a column's rows are used, its values count.
fn inputs_of_other_tables(
    table: &Table,
    column: &'static Column,
) -> BTreeMap<(&'static str, &'static str), Transformation> {
    let mut found = BTreeMap::new();
    let (mut waiting, mut seen) = (vec![column], BTreeSet::new());
    while let Some(column) = waiting.pop() {
        for input in inputs(table, column) {
            match input {
                // A formula over the same row: its columns are behind this one.
                Input::Column(of) if of.owner == table.name => {
                    if seen.insert(of.column) {
                        waiting.push(table.column(of.column));
                    }
                }
                Input::Column(of) => {
                    found.insert((of.owner, of.column), Transformation::Direct);
                }
                Input::Rows(name) => {
                    let key = dataset(name).map_or(&[][..], |dataset| dataset.key);
                    for column in key {
                        let known = found.entry((name, *column));
                        known.or_insert(Transformation::Rows);
                    }
                }
                Input::Days(_) | Input::Setting(_) | Input::Run(_) => {}
            }
        }
    }
    found
}

fn schema(fields: Vec<Value>) -> Value {
    facet("1-2-0/SchemaDatasetFacet", json!({ "fields": fields }))
}

fn field(name: &str, column: &Column) -> Value {
    let mut field = json!({ "name": name, "type": column.kind.sql() });
    if !column.formula.is_empty() {
        field["description"] = column.formula.into();
    }
    field
}

/// The namespace and name of a folder below an address: an absolute path, or a URL.
fn named(address: &str, folder: &str) -> Named {
    let (namespace, root) = match address.split_once("://") {
        None => ("file".to_owned(), address),
        Some((scheme, rest)) => {
            let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
            (format!("{scheme}://{bucket}"), path)
        }
    };
    match root {
        "" if namespace != "file" => (namespace, folder.to_owned()),
        root => (namespace, format!("{root}/{folder}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::tables::SHOP_DAILY;

    #[test]
    fn a_dataset_is_named_by_its_place() {
        for (address, namespace, name) in [
            ("/srv/results", "file", "/srv/results/shop_daily"),
            ("", "file", "/shop_daily"),
            ("s3://bucket", "s3://bucket", "shop_daily"),
            ("s3://bucket/a/b", "s3://bucket", "a/b/shop_daily"),
            ("gs://bucket/a", "gs://bucket", "a/shop_daily"),
        ] {
            let expected = (namespace.to_owned(), name.to_owned());
            assert_eq!(named(address, "shop_daily"), expected, "{address}");
        }
    }

    fn behind(column: &str) -> Vec<String> {
        let found = inputs_of_other_tables(&SHOP_DAILY, SHOP_DAILY.column(column));
        let told = |((owner, column), kind): (&(&str, &str), &Transformation)| {
            format!("{owner}.{column} {kind:?}")
        };
        found.iter().map(told).collect()
    }

    #[test]
    fn columns_behind_those_of_the_same_row_count() {
        // gmv / orders, both of the same row: gmv = sub_total + shipping_fee, orders = distinct order_id.
        assert_eq!(
            behind("avg_order_value"),
            [
                "order_lines.order_id Direct",
                "order_lines.shipping_fee Direct",
                "order_lines.sub_total Direct",
            ]
        );
    }

    #[test]
    fn rows_are_the_key_of_their_export() {
        assert_eq!(
            behind("sku_orders"),
            ["order_lines.order_id Rows", "order_lines.sku_id Rows"]
        );
    }
}
