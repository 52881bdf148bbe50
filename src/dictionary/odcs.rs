//! The contracts of exports and results in the Open Data Contract Standard (ODCS) 3.1, as JSON.
//!
//! The standard has no word for some rules, such as "within the civil day". These are written as text.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::columns::says;
use crate::contracts::datasets::DATASETS;
use crate::contracts::field_ids::field_id;
use crate::contracts::lineage::{Input, inputs};
use crate::contracts::markdown::describe_rule;
use crate::contracts::{Column, Dataset, Kind, MOST_AMOUNT, PART_FILE, Rule, Table, tables};

/// The contract of the result tables.
pub(crate) fn results() -> String {
    let tables = tables::all().map(of_table).collect();
    let path = format!("results/{{model}}/dt=*/{PART_FILE}");
    contract(
        "campaign-etl-results",
        "Results of campaign-etl",
        "The tables of the Campaign Dashboard, one file for each table and day.",
        "Money is in the configured currency. A ratio whose denominator is 0 or null is null. A table without a file for \
         a day is not known for this day.",
        path,
        tables,
    )
}

/// The contract of the exports.
pub(crate) fn exports() -> String {
    let datasets = DATASETS.into_iter().map(of_dataset).collect();
    contract(
        "campaign-etl-exports",
        "Exports for campaign-etl",
        "The exports of a marketplace that the nightly job reads.",
        "A few rows that break a rule are set aside, within the quarantine budget of the job file; more of them block the \
         day. Data files may have any name. Extra columns are ignored.",
        "exports/{model}/dt=*/*.parquet".to_owned(),
        datasets,
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contract {
    api_version: &'static str,
    kind: &'static str,
    id: &'static str,
    name: &'static str,
    version: &'static str,
    status: &'static str,
    description: Value,
    servers: Vec<Value>,
    schema: Vec<SchemaObject>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SchemaObject {
    name: &'static str,
    logical_type: &'static str,
    physical_type: &'static str,
    description: &'static str,
    data_granularity_description: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quality: Vec<Value>,
    properties: Vec<Property>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Property {
    name: &'static str,
    logical_type: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    logical_type_options: BTreeMap<&'static str, Value>,
    physical_type: &'static str,
    description: String,
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_key: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_key_position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitioned: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition_key_position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transform_logic: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transform_source_objects: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quality: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    custom_properties: Vec<Value>,
}

fn contract(
    id: &'static str,
    name: &'static str,
    purpose: &'static str,
    limitations: &'static str,
    path: String,
    schema: Vec<SchemaObject>,
) -> String {
    let contract = Contract {
        api_version: "v3.1.0",
        kind: "DataContract",
        id,
        name,
        version: env!("CARGO_PKG_VERSION"),
        status: "active",
        description: json!({ "purpose": purpose, "limitations": limitations }),
        servers: vec![
            json!({ "server": "local", "type": "local", "path": path, "format": "parquet" }),
        ],
        schema,
    };
    // The types above have no map with other keys than text, the only thing that can fail.
    serde_json::to_string_pretty(&contract).unwrap_or_default() + "\n"
}

fn of_table(table: &'static Table) -> SchemaObject {
    let columns = table.columns.iter().map(|column| {
        let mut property = property(column, table.key);
        property.transform_logic = Some(column.formula).filter(|formula| !formula.is_empty());
        let sources = inputs(table, column);
        let sources = sources.iter().filter_map(|input| match input {
            Input::Column(column) => Some(column.to_string()),
            Input::Rows(dataset) => Some((*dataset).to_owned()),
            Input::Days(table) => Some((*table).to_owned()),
            Input::Setting(_) | Input::Run(_) => None,
        });
        property.transform_source_objects = sources.collect();
        let id = field_id(table.name, column.name);
        let field_id = json!({ "property": "parquetFieldId", "value": id });
        property.custom_properties.push(field_id);
        property
    });
    schema_object(table.name, table.grain, vec![], columns.collect())
}

fn of_dataset(dataset: &'static Dataset) -> SchemaObject {
    let mut properties: Vec<Property> = dataset
        .columns
        .iter()
        .map(|column| property(column, dataset.key))
        .collect();
    let mut quality = Vec::new();
    for rule in dataset.rules {
        add_rule(dataset, rule, &mut properties, &mut quality);
    }
    schema_object(dataset.name, dataset.grain, quality, properties)
}

fn schema_object(
    name: &'static str,
    grain: &'static str,
    quality: Vec<Value>,
    properties: Vec<Property>,
) -> SchemaObject {
    let has_key = properties.iter().any(|p| p.primary_key.is_some());
    let day = Property {
        description: "the day of the partition, in the name of its folder".to_owned(),
        required: true,
        primary_key: has_key.then_some(true),
        primary_key_position: has_key.then_some(1),
        partitioned: Some(true),
        partition_key_position: Some(1),
        custom_properties: vec![],
        ..property(&DAY, &[])
    };
    SchemaObject {
        name,
        logical_type: "object",
        physical_type: "table",
        description: grain,
        data_granularity_description: grain,
        quality,
        properties: [day].into_iter().chain(properties).collect(),
    }
}

static DAY: Column = Column::new("dt", Kind::Date, "day");

fn property(column: &Column, key: &[&str]) -> Property {
    let position = key.iter().position(|name| *name == column.name);
    let mut custom_properties = Vec::new();
    if !column.unit.is_empty() {
        custom_properties.push(json!({ "property": "unit", "value": column.unit }));
    }
    if let Some(meaning) = column.null {
        custom_properties.push(json!({ "property": "nullMeans", "value": meaning }));
    }
    Property {
        name: column.name,
        logical_type: logical_type(column.kind),
        logical_type_options: BTreeMap::new(),
        physical_type: column.kind.sql(),
        description: says(column),
        required: column.null.is_none(),
        primary_key: position.map(|_| true),
        // The day of the partition comes first.
        primary_key_position: position.map(|position| position + 2),
        partitioned: None,
        partition_key_position: None,
        transform_logic: None,
        transform_source_objects: vec![],
        quality: vec![],
        custom_properties,
    }
}

fn logical_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Int64 | Kind::Int32 => "integer",
        Kind::Money | Kind::Double => "number",
        Kind::Text => "string",
        Kind::Boolean => "boolean",
        Kind::Date => "date",
        Kind::Instant => "timestamp",
    }
}

/// Adds a row rule of an export to the columns that it is about, or to the dataset.
fn add_rule(dataset: &Dataset, rule: &Rule, properties: &mut [Property], quality: &mut Vec<Value>) {
    let mut option = |columns: &[&str], name: &'static str, value: Value| {
        for column in columns {
            let property = &mut properties[dataset.position(column)];
            property.logical_type_options.insert(name, value.clone());
        }
    };
    let name = rule.reason().code();
    match rule {
        Rule::NotTooLarge { columns } => option(columns, "maximum", json!(MOST_AMOUNT)),
        // Amounts of money are counted in cents; the contracts have no other limit than 0 for them.
        Rule::AtLeast { columns, least, .. } => option(columns, "minimum", json!(least)),
        Rule::NotEmpty { column, .. } => option(&[column], "minLength", json!(1)),
        Rule::OneOf { column, values } => {
            let property = &mut properties[dataset.position(column)];
            property.quality.push(json!({
                "name": name,
                "type": "library",
                "metric": "invalidValues",
                "arguments": { "validValues": values },
                "mustBe": 0,
            }));
        }
        Rule::Ordered { .. } => quality.push(json!({
            "name": name,
            "type": "sql",
            "query": format!("SELECT count(*) FROM {} WHERE {}", dataset.name, describe_rule(rule)),
            "mustBe": 0,
        })),
        Rule::InsideDay { .. } => quality.push(json!({
            "name": name,
            "type": "text",
            "description": format!("{} is refused (civil days of time_zone)", describe_rule(rule)),
        })),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_contracts_under_docs_are_what_the_source_generates() {
        for (name, expected) in [("results", super::results()), ("exports", super::exports())] {
            let path = format!(
                "{}/docs/contracts/{name}.odcs.json",
                env!("CARGO_MANIFEST_DIR")
            );
            let found = std::fs::read_to_string(path).unwrap_or_default();
            assert!(
                found == expected,
                "run: cargo run --release -- docs {name}-contract > docs/contracts/{name}.odcs.json"
            );
        }
    }
}
