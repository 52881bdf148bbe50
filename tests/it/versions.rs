//! A changed formula needs a raised version: else published tables would stay as they are.
//!
//! `versions.txt` holds, for each table, the fingerprint of its contract and a hash of its values
//! for the sample. It says nothing about what is right (the cases and the oracle do): it notices
//! values that change while the contract, hence the fingerprint of published tables, does not.

use std::collections::BTreeMap;
use std::path::Path;

use campaign_etl::contracts::fingerprint::add_table;
use campaign_etl::contracts::{Table, tables};
use campaign_etl::fingerprint::Fingerprint;
use chrono::NaiveDate;

use crate::world::{etl, read_table};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/versions.txt");
const HOW: &str =
    "then write the file anew: WRITE_VERSIONS=1 cargo test --release --locked --test it versions";

#[test]
fn values_of_the_sample_change_only_with_the_contract_of_their_table() {
    let (root, results) = (env!("CARGO_MANIFEST_DIR"), tempfile::tempdir().unwrap());
    let job = format!("{root}/jobs/daily.toml");
    let exports = format!("{root}/sample_data/exports");
    let folder = results.path().to_str().unwrap();
    let locations = ["--config", &job, "--exports", &exports, "--results", folder];
    let ended = etl(&[&["run", "--day", "2026-03-14", "--quiet"][..], &locations].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let now: BTreeMap<&str, (String, String)> = tables::all()
        .map(|table| (table.name, (contract(table), values(table, results.path()))))
        .collect();
    if std::env::var_os("WRITE_VERSIONS").is_some() {
        std::fs::write(FILE, lines(&now)).unwrap();
    }
    let recorded = std::fs::read_to_string(FILE).unwrap();
    let recorded: BTreeMap<&str, (&str, &str)> = recorded.lines().filter_map(parse).collect();
    // The first table that differs is the cause: later ones read it.
    for table in tables::all() {
        let (contract, values) = &now[table.name];
        let Some((recorded_contract, recorded_values)) = recorded.get(table.name) else {
            panic!("versions.txt has no {}; {HOW}", table.name);
        };
        if contract != recorded_contract {
            panic!("the contract of {} changed; {HOW}", table.name);
        }
        assert_eq!(
            values, recorded_values,
            "the values of {} changed and its contract did not: raise its version, unless the sample changed; {HOW}",
            table.name
        );
    }
    assert_eq!(
        recorded.len(),
        now.len(),
        "a table of versions.txt is gone; {HOW}"
    );
}

fn contract(table: &Table) -> String {
    let mut fingerprint = Fingerprint::new("contract");
    add_table(&mut fingerprint, table);
    fingerprint.finish()[..16].to_owned()
}

/// The cells of all days that the run published.
fn values(table: &Table, results: &Path) -> String {
    let mut fingerprint = Fingerprint::new(table.name);
    let first: NaiveDate = "2026-03-07".parse().unwrap();
    let mut rows_read = 0;
    for day in first.iter_days().take(8) {
        for row in read_table(results, table.name, day).unwrap_or_default() {
            rows_read += 1;
            for cell in row {
                fingerprint.field(&cell.map_or("null".into(), |text| format!("={text}")));
            }
        }
    }
    assert!(rows_read > 0, "{} has no row in the sample", table.name);
    fingerprint.finish()[..16].to_owned()
}

fn lines(now: &BTreeMap<&str, (String, String)>) -> String {
    now.iter()
        .map(|(name, (contract, values))| format!("{name} {contract} {values}\n"))
        .collect()
}

fn parse(line: &str) -> Option<(&str, (&str, &str))> {
    let mut words = line.split(' ');
    Some((words.next()?, (words.next()?, words.next()?)))
}
