//! The README, the pages and `--help`, compared with the files and the code that they describe.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use campaign_etl::contracts::tables;
use campaign_etl::exit_code::ExitCode;

use crate::world::{Cells, etl, read_table};

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Every file below the folder whose name ends so, without what a build or a run makes.
fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "target" | "results" | ".git") {
            files.extend(files_below(&path, ending));
        } else if name.ends_with(ending) {
            files.push(path);
        }
    }
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_pages_show_the_snippets_that_the_readers_run_the_job_file_and_the_crontab() {
    for (page, path) in [
        ("docs/reading.md", "tests/readers/with_duckdb.sql"),
        ("docs/reading.md", "tests/readers/with_polars.py"),
        ("docs/reading.md", "tests/readers/with_pandas.py"),
        ("docs/reading.md", "tests/readers/with_spark.py"),
        ("docs/configuration.md", "jobs/daily.toml"),
        ("docs/operations.md", "jobs/crontab.example"),
    ] {
        assert!(
            read(page).contains(read(path).trim()),
            "{page} does not show {path} as it is"
        );
    }
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 120, "README.md has {lines} lines");
}

#[test]
fn every_relative_link_of_a_page_leads_to_a_file_and_a_heading() {
    for page in files_below(root(), ".md") {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in links(&text) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let linked = match path {
                "" => page.clone(),
                path => page.parent().unwrap().join(path),
            };
            assert!(linked.exists(), "{}: {target}", page.display());
            let is_there = heading.is_empty()
                || headings(&std::fs::read_to_string(&linked).unwrap()).contains(heading);
            assert!(is_there, "{}: {target}", page.display());
        }
    }
}

/// The targets of `[text](target)` that are not URLs.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0))
        .filter(|target| !target.contains("://"))
}

/// The anchors of a page's headings, as GitHub forms them.
fn headings(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            words
                .replace(' ', "-")
                .replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', "")
        })
        .collect()
}

#[test]
fn every_test_that_a_page_names_exists() {
    let code: String = ["src", "tests"]
        .iter()
        .flat_map(|folder| files_below(&root().join(folder), ".rs"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    for page in files_below(root(), ".md") {
        let text = std::fs::read_to_string(&page).unwrap();
        for name in text.split('`').filter(|quoted| is_test_name(quoted)) {
            assert!(
                code.contains(&format!("fn {name}(")),
                "{} names {name}",
                page.display()
            );
        }
    }
}

/// Tests are named by sentences; columns and settings have fewer words, and long metrics end with their unit.
fn is_test_name(text: &str) -> bool {
    let is_name = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    is_name && text.split('_').count() > 4 && !text.ends_with("_seconds")
}

#[test]
fn ci_runs_the_two_commands_of_the_readme() {
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    for command in [
        "cargo run --release --locked -- run --day 2026-03-14",
        "cargo test --release --locked",
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
fn the_operations_page_and_help_list_every_exit_code() {
    let (page, help) = (read("docs/operations.md"), etl(&["--help"]).stdout);
    for code in ExitCode::ALL {
        let (code, meaning) = (*code as u8, code.meaning());
        assert!(
            page.contains(&format!("\n| {code} | {meaning} | ")),
            "docs/operations.md does not list exit code {code} as {meaning}"
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
    for folder in ["src", "tests/it"] {
        for file in files_below(&root().join(folder), ".rs") {
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("//! "), "{}", file.display());
        }
    }
}
