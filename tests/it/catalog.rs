//! `catalog`: views over the published files, and over the files of one commit.
//!
//! `tests/readers/views.py` lets DuckDB run the statements.

use std::collections::BTreeMap;
use std::fs;

use campaign_etl::contracts::tables;
use campaign_etl::exit_code::ExitCode;
use serde_json::Value;

use crate::history::Nights;
use crate::scene::walk;
use crate::world::Outcome;

/// The files of each table: what readers see.
type Seen = BTreeMap<String, Vec<Vec<u8>>>;

/// The published files as a glob finds them.
fn published(nights: &Nights) -> Seen {
    let mut paths = walk(&nights.path("results"));
    paths.sort();
    let mut seen = Seen::new();
    for path in paths {
        if let Some((table, _)) = path.split_once("/dt=")
            && tables::table(table).is_some()
            && path.ends_with(".parquet")
        {
            let bytes = fs::read(nights.path("results").join(&path)).unwrap();
            seen.entry(table.to_owned()).or_default().push(bytes);
        }
    }
    seen
}

/// The files that the views of a commit read.
fn of_commit(nights: &Nights, commit: u64) -> Seen {
    let catalog = nights.json(&["catalog", "--as-of", &commit.to_string()]);
    assert_eq!(catalog["as_of"], commit);
    let sql = catalog["sql"].as_str().unwrap();
    let mut seen = Seen::new();
    for view in catalog["views"].as_array().unwrap() {
        let files: Vec<&str> = view["files"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(Value::as_str)
            .collect();
        assert!(files.iter().all(|file| sql.contains(&format!("'{file}'"))));
        let bytes: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        if !bytes.is_empty() {
            seen.insert(view["name"].as_str().unwrap().to_owned(), bytes);
        }
    }
    seen
}

fn newest_commit(nights: &Nights) -> u64 {
    let mut numbers = Vec::new();
    for path in walk(&nights.path("results/_runs")) {
        let is_manifest = path.starts_with("dt=");
        let number = path
            .rsplit_once('/')
            .and_then(|(_, file)| file.strip_suffix(".json"));
        numbers.extend(
            number
                .filter(|_| is_manifest)
                .map(|n| n.parse::<u64>().unwrap()),
        );
    }
    numbers.into_iter().max().unwrap()
}

#[track_caller]
fn refused(outcome: &Outcome, code: ExitCode, said: &str) {
    assert_eq!(outcome.code, i32::from(code as u8), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
}

#[test]
fn the_views_of_a_commit_read_the_files_that_readers_saw_after_it() {
    let mut nights = Nights::new("");
    let seen: Vec<(u64, Seen)> = (0..3)
        .map(|_| {
            nights.night();
            (newest_commit(&nights), published(&nights))
        })
        .collect();
    assert!(seen.windows(2).all(|pair| pair[0].1 != pair[1].1));
    for (commit, expected) in seen {
        assert!(of_commit(&nights, commit) == expected, "commit {commit}");
    }
}

#[test]
fn views_of_the_published_files_name_folders_and_may_be_written_to_a_file() {
    let mut nights = Nights::new("");
    let none = nights.json(&["catalog"]);
    let views = none["views"].as_array().unwrap();
    assert!(
        views
            .iter()
            .all(|view| view["files"].as_array().unwrap().is_empty())
    );
    assert_eq!(none["as_of"], Value::Null);

    nights.night();
    let file = nights.path("views.sql");
    let outcome = nights.etl(&["catalog", "--out", file.to_str().unwrap()]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stdout.ends_with("views.sql: 29 views\n"),
        "{}",
        outcome.stdout
    );
    let sql = fs::read_to_string(&file).unwrap();
    assert_eq!(nights.etl(&["catalog"]).stdout, sql);
    let results = nights.path("results");
    let pattern = format!(
        "read_parquet('{}/shop_daily/dt=*/part-0.parquet'",
        results.display()
    );
    assert!(sql.contains(&pattern), "{sql}");
    assert_eq!(sql.matches("CREATE OR REPLACE VIEW").count(), 29);
}

#[test]
fn a_commit_that_does_not_exist_or_is_not_kept_is_refused() {
    let mut nights = Nights::new("");
    (0..3).for_each(|_| drop(nights.night()));
    let newest = newest_commit(&nights);
    let later = (newest + 1).to_string();
    let outcome = nights.etl(&["catalog", "--as-of", &later]);
    for said in [
        format!("error: there is no commit {later} yet\n"),
        format!("\n  next: give --as-of from 1 to {newest}, the newest commit\n"),
    ] {
        refused(&outcome, ExitCode::ConfigWrong, &said);
    }

    // The files that the third night replaced are gone; the newest commit needs none of them.
    fs::remove_dir_all(nights.path("results/_history")).unwrap();
    of_commit(&nights, newest);
    let earlier = (newest - 1).to_string();
    let outcome = nights.etl(&["catalog", "--as-of", &earlier]);
    refused(
        &outcome,
        ExitCode::StoreFailed,
        "is gone or holds other bytes",
    );
}

/// `vacuum` has removed the manifests, records and files of the first night.
#[test]
fn a_commit_before_the_history_that_is_kept_is_refused() {
    let mut nights = Nights::new("history.keep_days = 0\n");
    nights.night();
    let first = newest_commit(&nights).to_string();
    (0..2).for_each(|_| drop(nights.night()));
    let newest = newest_commit(&nights);
    let runs = nights.path("results/_runs");
    for path in walk(&runs) {
        let newest_of_day = |day: &str| {
            let of_day = walk(&runs.join(day));
            of_day.into_iter().max().unwrap()
        };
        let (folder, file) = path.rsplit_once('/').unwrap();
        if newest_of_day(folder) != file {
            fs::remove_file(runs.join(&path)).unwrap();
        }
    }
    of_commit(&nights, newest);
    let outcome = nights.etl(&["catalog", "--as-of", &first]);
    let said = format!(
        "the results are not known as they were after commit {first}: the oldest manifest of 2026-03-"
    );
    refused(&outcome, ExitCode::StoreFailed, &said);
}
