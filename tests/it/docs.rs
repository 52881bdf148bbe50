//! What the README and `--help` promise, held against the files and the code that they speak of.

use campaign_etl::exit_code::ExitCode;

use crate::world::etl;

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
        assert!(readme.contains(read(path).trim()), "README.md does not show {path} as it is");
    }
}

#[test]
fn ci_runs_the_two_commands_of_the_readme() {
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    for command in ["cargo run --release -- run --day 2026-03-14", "cargo test --release"] {
        assert!(readme.contains(&format!("\n{command}\n")) && ci.contains(&format!("\n{command}\n")), "{command}");
    }
}

#[test]
fn readme_and_help_list_every_exit_code() {
    use ExitCode::*;
    let (readme, help) = (read("README.md"), etl(&["--help"]).stdout);
    for code in [Published, Usage, Blocked, Bug, StoreFailed, TryLater, ConfigWrong] {
        let code = code as u8;
        assert!(readme.contains(&format!("\n| {code} | ")), "README.md does not list exit code {code}");
        assert!(help.contains(&format!("\n  {code:<4} ")), "--help does not list exit code {code}");
    }
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let decisions = read("docs/decisions/0001-dependencies.md");
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    for section in ["dependencies", "dev-dependencies"] {
        for name in manifest[section].as_table().unwrap().keys() {
            assert!(decisions.contains(&format!("`{name}`")), "{name} has no reason");
        }
    }
}

#[test]
fn every_source_file_says_in_its_first_line_what_it_is() {
    let mut folders =
        vec![format!("{}/src", env!("CARGO_MANIFEST_DIR")), format!("{}/tests/it", env!("CARGO_MANIFEST_DIR"))];
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
