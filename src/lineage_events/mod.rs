//! OpenLineage events of the days that a run works on: data from the contracts and the report, and their
//! way to a receiver.
//!
//! 1. `datasets`: exports and tables as datasets, with schema and column lineage.
//! 2. `event`: one event of a day, as a JSON document.
//! 3. `client`: the thread that posts events. It never holds up a run for long, nor changes its outcome.
//!
//! `pipeline/lineage.rs` decides which events a walk sends.
//!
//! Source: OpenLineage 2-0-2, <https://openlineage.io/spec/2-0-2/OpenLineage.json>.

mod client;
mod datasets;
mod event;

pub(crate) use client::Client;
pub(crate) use datasets::{Places, Wrote};
pub(crate) use event::{DayRun, State, Work};

use serde_json::{Value, json};

/// The program as the maker of events.
const PRODUCER: &str = concat!("urn:campaign-etl:", env!("CARGO_PKG_VERSION"));

/// A facet of an event: its version and name in the specification, and its fields.
fn facet(version_and_name: &str, fields: Value) -> Value {
    let mut facet = fields;
    facet["_producer"] = PRODUCER.into();
    let (version, name) = version_and_name
        .split_once('/')
        .unwrap_or(("", version_and_name));
    let url = format!("https://openlineage.io/spec/facets/{version}/{name}.json#/$defs/{name}");
    facet["_schemaURL"] = json!(url);
    facet
}
