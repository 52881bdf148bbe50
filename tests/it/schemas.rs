//! The JSON Schemas and the Open Data Contracts under `docs/` are those of the program.
//!
//! `tests/readers/schemas.py` validates documents with them, those of this suite among them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use campaign_etl::cli::SchemaName;
use serde_json::Value;

use crate::world::etl;

const HOW: &str =
    "write them anew: WRITE_SCHEMAS=1 cargo test --release --locked --test it schemas";

#[test]
fn the_schemas_under_docs_are_those_that_the_program_prints() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas");
    let files = SchemaName::ALL.iter().map(|name| {
        (
            format!("{}.json", name.word()),
            etl(&["schema", name.word()]).stdout,
        )
    });
    let files: Vec<(String, String)> = files.collect();
    if std::env::var_os("WRITE_SCHEMAS").is_some() {
        for (name, text) in &files {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    for (name, text) in &files {
        let found = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(found == *text, "docs/schemas/{name} is stale; {HOW}");
    }
    let there: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    let printed: BTreeSet<String> = files.into_iter().map(|(name, _)| name).collect();
    assert_eq!(there, printed);
}

#[test]
fn every_schema_says_what_it_describes_and_is_listed() {
    let list = etl(&["schema"]).stdout;
    for name in SchemaName::ALL {
        let ended = etl(&["schema", name.word()]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let schema: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        let title = schema["title"].as_str().unwrap();
        let of = title.strip_prefix("campaign-etl: ").unwrap();
        assert!(
            list.contains(&format!("{:<14} {of}\n", name.word())),
            "{list}"
        );
    }
    assert_eq!(list.lines().count(), SchemaName::ALL.len());
}

#[test]
fn an_unknown_schema_is_a_wrong_command() {
    let ended = etl(&["schema", "runn"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("a similar value exists: 'run'"),
        "{}",
        ended.stderr
    );
}
