//! `schema`: the JSON Schemas of the documents of `--format json`, and of the job file.

use anyhow::Result;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Answer, to_json};
use super::init::Initialized;
use crate::cli::{Cli, Format, SchemaArgs, SchemaName};
use crate::config::JobFile;
use crate::dictionary::{Catalog, Description};
use crate::doctor::Examination;
use crate::exit_code::ExitCode;
use crate::explain::{ComparedDay, Explanation, SqlAnswer, Verification};
use crate::pipeline::backfill::BackfillReport;
use crate::report::diff::DayDifference;
use crate::report::documents::{
    Document, Failed, Generated, Plan, Status, Unlocked, Vacuumed, Validated,
};
use crate::report::run::RunReport;

pub(super) fn schema(cli: &Cli, args: &SchemaArgs) -> Result<Answer> {
    let Some(name) = args.name else {
        let schemas: Vec<Listed> = SchemaName::ALL.iter().map(|name| listed(*name)).collect();
        return Ok(Answer::done(match cli.global.format {
            Format::Json => to_json(&Schemas { schemas }, ExitCode::Published)?,
            Format::Text => schemas
                .iter()
                .map(|one| format!("{:<14} {}\n", one.name, one.of))
                .collect(),
        }));
    };
    let schema = serde_json::to_string_pretty(&schema_of(name))?;
    Ok(Answer::done(schema + "\n"))
}

/// The schemas that `schema NAME` prints.
#[derive(Serialize, JsonSchema)]
struct Schemas {
    schemas: Vec<Listed>,
}

#[derive(Serialize, JsonSchema)]
struct Listed {
    name: &'static str,
    of: String,
}

fn listed(name: SchemaName) -> Listed {
    let of = match name {
        SchemaName::Job => "the job file".to_owned(),
        SchemaName::ExplainDay => "explain --format json without --metric".to_owned(),
        SchemaName::ExplainSql => "explain --sql --format json".to_owned(),
        SchemaName::ExplainVerify => "explain --verify --format json".to_owned(),
        SchemaName::Error => "any command but run that ended without its answer".to_owned(),
        SchemaName::Schema => "schema without a name, with --format json".to_owned(),
        name => format!("{} --format json", name.word()),
    };
    let name = name.word();
    Listed { name, of }
}

/// The schema of one document, in draft 2020-12.
fn schema_of(name: SchemaName) -> Value {
    let mut schema = match name {
        SchemaName::Backfill => printed::<Document<BackfillReport>>(),
        SchemaName::Catalog => printed::<Document<Catalog>>(),
        SchemaName::Describe => printed::<Document<Description>>(),
        SchemaName::Diff => printed::<Document<DayDifference>>(),
        SchemaName::Doctor => printed::<Document<Examination>>(),
        SchemaName::Error => printed::<Failed>(),
        SchemaName::Explain => printed::<Document<Explanation>>(),
        SchemaName::ExplainDay => printed::<Document<ComparedDay>>(),
        SchemaName::ExplainVerify => printed::<Document<Verification>>(),
        SchemaName::ExplainSql => printed::<Document<SqlAnswer>>(),
        SchemaName::Generate => printed::<Document<Generated>>(),
        SchemaName::Init => printed::<Document<Initialized>>(),
        SchemaName::Job => {
            let settings = SchemaSettings::draft2020_12();
            settings.into_generator().into_root_schema_for::<JobFile>()
        }
        SchemaName::Plan => printed::<Document<Plan>>(),
        SchemaName::Run => printed::<RunReport>(),
        SchemaName::Schema => printed::<Document<Schemas>>(),
        SchemaName::Status => printed::<Document<Status>>(),
        SchemaName::Unlock => printed::<Document<Unlocked>>(),
        SchemaName::Vacuum => printed::<Document<Vacuumed>>(),
        SchemaName::Validate => printed::<Document<Validated>>(),
    };
    let title = format!("campaign-etl: {}", listed(name).of);
    schema.insert("title".into(), title.into());
    schema.to_value()
}

fn printed<T: JsonSchema>() -> schemars::Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<T>()
}
