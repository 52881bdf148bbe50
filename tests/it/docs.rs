//! What the README and `--help` promise, held against the files and the code that they speak of.

use std::collections::BTreeMap;

use campaign_etl::contracts::tables;
use campaign_etl::report::exit_code::ExitCode;

use crate::world::{Cells, etl, read_table};

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_readme_shows_the_snippets_that_the_readers_run_the_job_file_and_the_crontab() {
    let readme = read("README.md");
    for path in [
        "tests/readers/with_duckdb.sql",
        "tests/readers/with_polars.py",
        "tests/readers/with_pandas.py",
        "tests/readers/with_spark.py",
        "jobs/daily.toml",
        "jobs/crontab.example",
    ] {
        assert!(
            readme.contains(read(path).trim()),
            "README.md does not show {path} as it is"
        );
    }
}

#[test]
fn ci_runs_the_two_commands_of_the_readme() {
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    for command in [
        "cargo run --release -- run --day 2026-03-14",
        "cargo test --release",
    ] {
        assert!(
            readme.contains(&format!("\n{command}\n")) && ci.contains(&format!("\n{command}\n")),
            "{command}"
        );
    }
}

#[test]
fn the_readme_shows_what_the_sample_gives() {
    let (root, folder) = (env!("CARGO_MANIFEST_DIR"), tempfile::tempdir().unwrap());
    let (config, exports) = (
        format!("{root}/jobs/daily.toml"),
        format!("{root}/sample_data/exports"),
    );
    let places = [
        "--config",
        &config,
        "--exports",
        &exports,
        "--results",
        folder.path().to_str().unwrap(),
    ];
    let ended = etl(&[&["run", "--day", "2026-03-14", "--quiet"][..], &places].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);

    let readme = read("README.md");
    let cells_of = |line: &str| {
        line.trim_matches('|')
            .split('|')
            .map(|c| c.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let mut lines = readme
        .lines()
        .skip_while(|line| !line.starts_with("| shop_id |"));
    let header = cells_of(lines.next().unwrap());
    let shown: Vec<Vec<String>> = lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(cells_of)
        .collect();
    assert_eq!((header.len(), shown.len()), (8, 5));

    let columns = tables::table("shop_period").unwrap().columns;
    let position = |name: &str| columns.iter().position(|c| c.name == name).unwrap();
    let rows = read_table(folder.path(), "shop_period", "2026-03-14".parse().unwrap()).unwrap();
    let by_shop: BTreeMap<&str, &Cells> = rows
        .iter()
        .map(|row| (row[position("shop_id")].as_deref().unwrap(), row))
        .collect();
    assert_eq!(by_shop.len(), rows.len(), "one campaign");
    for cells in shown {
        let row = by_shop[cells[0].as_str()];
        for (name, cell) in header.iter().zip(&cells) {
            let value = row[position(name)].as_deref().unwrap_or_default();
            assert_eq!(
                *cell,
                as_the_readme_writes(name, value),
                "{name} of shop {}",
                cells[0]
            );
        }
    }
}

/// Quotients are rounded: money to cents, fractions to as many places as they need.
fn as_the_readme_writes(column: &str, value: &str) -> String {
    let rounded = |places: usize| {
        value
            .parse::<f64>()
            .map_or(String::new(), |v| format!("{v:.places$}"))
    };
    match column {
        "avg_order_value" | "target_progress" => rounded(2),
        "ctr" => rounded(4),
        _ => value.to_owned(),
    }
}

#[test]
fn readme_and_help_list_every_exit_code() {
    use ExitCode::*;
    let (readme, help) = (read("README.md"), etl(&["--help"]).stdout);
    for code in [
        Published,
        Usage,
        Blocked,
        Bug,
        StoreFailed,
        TryLater,
        ConfigWrong,
        Interrupted,
        Terminated,
    ] {
        let code = code as u8;
        assert!(
            readme.contains(&format!("\n| {code} | ")),
            "README.md does not list exit code {code}"
        );
        assert!(
            help.contains(&format!("\n  {code:<4} ")),
            "--help does not list exit code {code}"
        );
    }
}

#[test]
fn the_pages_that_are_made_from_the_source_are_printed_by_docs() {
    assert_eq!(etl(&["docs"]).stdout, read("docs/tables.md"));
    assert_eq!(etl(&["docs", "messages"]).stdout, read("docs/messages.md"));
    assert!(read("README.md").contains("(docs/messages.md)"));
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let decisions = read("docs/decisions/0001-dependencies.md");
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    for section in ["dependencies", "dev-dependencies"] {
        for name in manifest[section].as_table().unwrap().keys() {
            assert!(
                decisions.contains(&format!("`{name}`")),
                "{name} has no reason"
            );
        }
    }
}

#[test]
fn every_source_file_says_in_its_first_line_what_it_is() {
    let mut folders = vec![
        format!("{}/src", env!("CARGO_MANIFEST_DIR")),
        format!("{}/tests/it", env!("CARGO_MANIFEST_DIR")),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.display().to_string());
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(text.starts_with("//! "), "{}", path.display());
            }
        }
    }
}
