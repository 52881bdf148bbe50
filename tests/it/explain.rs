//! `explain`: the published cell, its inputs, the meaning of null, and earlier values.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use arrow_array::RecordBatch;
use campaign_etl::contracts::{Kind, tables};
use campaign_etl::exit_code::ExitCode;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::history::Nights;
use crate::scene::{day, walk};
use crate::world::{etl, parse_micros, read_table};

fn explained(nights: &Nights, question: &str) -> Value {
    let (told, code) = explained_with_code(nights, question);
    assert_eq!(code, 0, "{told}");
    if told.get("sql").is_none() {
        assert_eq!(told["recomputed"]["outcome"], "agrees", "{told}");
    }
    told
}

fn explained_with_code(nights: &Nights, question: &str) -> (Value, i32) {
    let words: Vec<&str> = question.split(' ').collect();
    let outcome = nights.etl(&[&["explain", "--format", "json"], &words[..]].concat());
    let told = serde_json::from_str(&outcome.stdout);
    (
        told.unwrap_or_else(|e| panic!("{e}: {}", outcome.stderr)),
        outcome.code,
    )
}

#[test]
fn a_sum_over_a_period_is_told_day_by_day_and_with_its_earlier_values() {
    let mut nights = Nights::new("");
    (0..3).for_each(|_| drop(nights.night()));
    let question = "--shop 1 --day 2026-03-10 --metric gmv --table shop_period --campaign 1";
    let told = explained(&nights, question);
    // 4 on the 9th and 1 on the 10th.
    assert_eq!(told["value"]["value"], "5.00");
    let [days] = &told["value"]["days"].as_array().unwrap()[..] else {
        panic!("{told}");
    };
    assert_eq!([&days["table"], &days["column"]], ["shop_daily", "gmv"]);
    let expected = json!([
        { "day": "2026-03-09", "value": "4.00", "missing": null },
        { "day": "2026-03-10", "value": "1.00", "missing": null },
    ]);
    assert_eq!(days["days"], expected);
    let before = told["publications"].as_array().unwrap();
    let values: Vec<&Value> = before
        .iter()
        .map(|publication| &publication["value"])
        .collect();
    assert_eq!(values, ["1.00", "3.00", "5.00"]);
    let cause = "shop_daily of 2026-03-09, which it reads";
    assert_eq!(before[2]["causes"], json!([cause]));
}

#[test]
fn a_day_of_the_period_without_a_table_says_why() {
    let mut nights = Nights::new("");
    nights.night();
    let question = "--shop 1 --day 2026-03-10 --metric gmv --table shop_period --campaign 1";
    let told = explained(&nights, question);
    let first = &told["value"]["days"][0]["days"][0];
    let expected =
        json!({ "day": "2026-03-09", "value": null, "missing": "the day is not published" });
    assert_eq!(*first, expected);
}

#[test]
fn a_ratio_is_told_with_both_terms_and_the_reason_of_a_null() {
    let mut nights = Nights::new("");
    nights.night();
    let told = explained(
        &nights,
        "--shop 1 --day 2026-03-10 --metric avg_order_value",
    );
    assert_eq!(told["value"]["value"], "1");
    let terms = told["value"]["inputs"].as_array().unwrap();
    let terms: Vec<_> = terms
        .iter()
        .map(|term| (&term["column"], &term["value"]))
        .collect();
    assert_eq!(
        terms,
        [
            (&json!("gmv"), &json!("1.00")),
            (&json!("orders"), &json!("1"))
        ]
    );
    // Shop 1 has no traffic.
    let told = explained(&nights, "--shop 1 --day 2026-03-10 --metric ctr");
    assert_eq!(told["value"]["value"], Value::Null);
    let why = "the denominator product_impressions is 0";
    assert_eq!(told["value"]["null_because"], why);
}

#[test]
fn an_export_that_changed_since_is_said_to_have_changed() {
    let mut nights = Nights::new("");
    nights.night();
    let state = |nights: &Nights| {
        let question = "--shop 1 --day 2026-03-10 --metric gmv";
        let (told, code) = explained_with_code(nights, question);
        let export = &told["exports"][0];
        assert_eq!(export["dataset"], "order_lines");
        assert_eq!(export["account"]["rows_used"], 1);
        let again = &told["recomputed"];
        json!([
            export["is_unchanged"],
            code,
            again["outcome"],
            again["changed"]
        ])
    };
    assert_eq!(state(&nights), json!([true, 0, "agrees", []]));
    let folder = nights.path("exports/order_lines/dt=2026-03-10");
    let mut files = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.extension().is_some_and(|ending| ending == "parquet"));
    fs::copy(file.unwrap(), folder.join("again.parquet")).unwrap();
    let changed = "the export order_lines of 2026-03-10";
    let expected = json!([false, 75, "inputs_changed", [changed]]);
    assert_eq!(state(&nights), expected);
}

#[test]
fn a_question_about_no_published_number_is_refused_with_its_reason() {
    let mut nights = Nights::new("");
    nights.night();
    for (question, said) in [
        (
            "--metric no_such",
            "no table of shops has a column \"no_such\"",
        ),
        (
            "--metric gmv --day 2026-03-09",
            "shop_daily of 2026-03-09 is not published",
        ),
    ] {
        let words: Vec<&str> = question.split(' ').collect();
        let mut command = vec!["explain", "--shop", "1"];
        if !question.contains("--day") {
            command.extend(["--day", "2026-03-10"]);
        }
        let outcome = nights.etl(&[&command[..], &words[..]].concat());
        let found = (outcome.code, outcome.stderr.contains(said));
        let expected = (i32::from(ExitCode::ConfigWrong as u8), true);
        assert_eq!(found, expected, "{question}: {}", outcome.stderr);
    }
}

/// The flag that gives a column of a key.
pub fn flag(column: &str) -> Option<&'static str> {
    Some(match column {
        "scope" => "--scope",
        "campaign_id" => "--campaign",
        "product_id" => "--product",
        "channel" => "--channel",
        "content_id" => "--content",
        "sku_id" => "--sku",
        "sub_campaign_id" => "--sub-campaign",
        "baseline_day" => "--baseline-day",
        "hour_start" => "--hour",
        _ => return None,
    })
}

/// The last row of each table of a sample's day, and every column of it.
#[test]
fn every_column_of_every_table_is_explained_with_its_published_value() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (exports, folder) = (
        repository.join("sample_data/exports"),
        tempfile::TempDir::new().unwrap(),
    );
    let results = folder.path().join("results");
    let paths = [&exports, &results].map(|path| path.to_str().unwrap());
    let folders = ["--exports", paths[0], "--results", paths[1]];
    let backfill = ["backfill", "--from", "2026-03-10", "--to", "2026-03-12"];
    let run = etl(&[&backfill[..], &folders[..]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let (mut tables_told, mut cells) = (BTreeSet::new(), 0);
    for table in tables::all().filter(|table| table.key.contains(&"shop_id")) {
        let rows = read_table(&results, table.name, day("2026-03-12")).unwrap();
        let Some(row) = rows.last() else { continue };
        let position = |name: &str| table.columns.iter().position(|c| c.name == name).unwrap();
        let cell = |name: &str| row[position(name)].clone();
        let mut question = vec!["--shop".to_owned(), cell("shop_id").unwrap()];
        for name in table.key {
            let given = flag(name).map(|flag| [flag.to_owned(), cell(name).unwrap()]);
            question.extend(given.into_iter().flatten());
        }
        // Of a table with a metric in its key, the difference from the benchmark is told.
        let metric = table
            .key
            .contains(&"metric")
            .then(|| cell("metric").unwrap());
        for column in table.columns {
            let is_asked = match metric {
                Some(_) => column.name == "difference_pct",
                None => !table.key.contains(&column.name),
            };
            if !is_asked {
                continue;
            }
            let asked = metric.as_deref().unwrap_or(column.name);
            let mut command = vec!["explain", "--day", "2026-03-12", "--table", table.name];
            command.extend(["--metric", asked, "--format", "json"]);
            command.extend(question.iter().map(String::as_str));
            let outcome = etl(&[&command[..], &folders[..]].concat());
            assert_eq!(outcome.code, 0, "{command:?}: {}", outcome.stderr);
            let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
            assert_eq!(told["recomputed"]["outcome"], "agrees", "{told}");
            let told = told["value"]["value"].as_str().map(str::to_owned);
            let published = cell(column.name);
            let double = |text: &Option<String>| text.as_ref().map(|t| t.parse::<f64>().unwrap());
            let is_same = match column.kind {
                Kind::Double => double(&told) == double(&published),
                Kind::Instant => {
                    told.map(|at| parse_micros(&at)) == published.map(|at| parse_micros(&at))
                }
                _ => told == published,
            };
            assert!(is_same, "{command:?}: {}", outcome.stdout);
            tables_told.insert(table.name);
            cells += 1;
        }
    }
    assert!(
        tables_told.len() >= 15 && cells > 150,
        "{cells} cells of {tables_told:?}"
    );
}

/// The text after the last SELECT that is not inside of parentheses.
fn last_select(sql: &str) -> &str {
    let at = sql.rfind("\nSELECT").unwrap_or_default();
    &sql[at..]
}

#[test]
fn a_query_has_an_expression_for_every_column_of_every_table() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (exports, folder) = (
        repository.join("sample_data/exports"),
        tempfile::TempDir::new().unwrap(),
    );
    let results = folder.path().join("results");
    let paths = [&exports, &results].map(|path| path.to_str().unwrap());
    let folders = ["--exports", paths[0], "--results", paths[1]];
    let backfill = ["backfill", "--from", "2026-03-10", "--to", "2026-03-12"];
    let run = etl(&[&backfill[..], &folders[..]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    for table in tables::all() {
        let command = [
            "explain",
            "--sql",
            "--shop",
            "1000008",
            "--day",
            "2026-03-12",
        ];
        let of_table = ["--table", table.name];
        let outcome = etl(&[&command[..], &of_table[..], &folders[..]].concat());
        assert_eq!(outcome.code, 0, "{}: {}", table.name, outcome.stderr);
        let mut rest = last_select(&outcome.stdout);
        for column in table.columns {
            // A column is named by its alias, or is the last part of a plain `step.column`.
            let names = [format!(" AS {}", column.name), format!(".{}", column.name)];
            let ends =
                |at: usize, name: &str| rest[at + name.len()..].starts_with([',', '\n', ' ']);
            let places = names.iter().flat_map(|name| {
                let found = rest.match_indices(name.as_str());
                found
                    .filter(|(at, name)| ends(*at, name))
                    .map(|(at, name)| at + name.len())
            });
            let at = places.min();
            let what = format!("{}.{}: {}", table.name, column.name, outcome.stdout);
            let found = &rest[..at.expect(&what)];
            let is_missing = found.contains("CAST(NULL") && column.name != "fallback_reason";
            assert!(!is_missing, "{what}");
            rest = &rest[at.unwrap()..];
        }
        let of_key = format!("ORDER BY {};", table.key.join(", "));
        assert!(
            outcome.stdout.trim_end().ends_with(&of_key),
            "{}",
            outcome.stdout
        );
    }
}

#[test]
fn a_query_holds_only_the_steps_and_columns_of_its_cell() {
    let mut nights = Nights::new("");
    nights.night();
    let question = "--sql --shop 1 --day 2026-03-10 --metric gmv";
    let told = explained(&nights, question);
    assert_eq!(
        (&told["table"], &told["column"]),
        (&json!("shop_daily"), &json!("gmv"))
    );
    let sql = told["sql"].as_str().unwrap();
    assert_eq!(sql.matches("read_parquet").count(), 1, "{sql}");
    for needed in [
        "/order_lines/dt=2026-03-10/",
        "exported.shop_id = 1",
        "sum(sub_total + shipping_fee)",
    ] {
        assert!(sql.contains(needed), "{needed}: {sql}");
    }
    assert!(
        !sql.contains("quantity") && !sql.contains("buyer_id"),
        "{sql}"
    );
    let outcome = nights.etl(&["explain", "--sql", "--shop", "1", "--day", "2026-03-10"]);
    let said = "--sql needs --metric, or --table for every column of its rows";
    let found = (outcome.code, outcome.stderr.contains(said));
    assert_eq!(found, (2, true), "{}", outcome.stderr);
}

/// Drops every fiftieth row of an export, beginning with the fourth.
fn drop_rows(file: &Path) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap();
    let schema = builder.schema().clone();
    let batches: Result<Vec<RecordBatch>, _> = builder.build().unwrap().collect();
    let mut writer = ArrowWriter::try_new(fs::File::create(file).unwrap(), schema, None).unwrap();
    let mut row = 0;
    for batch in batches.unwrap() {
        for offset in 0..batch.num_rows() {
            if row % 50 != 3 {
                writer.write(&batch.slice(offset, 1)).unwrap();
            }
            row += 1;
        }
    }
    writer.close().unwrap();
}

/// Whether a line has the parts of a pattern in their order; `...` stands for anything.
fn fits(line: &str, pattern: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, mut rest) = (words(line), String::new());
    rest.push_str(&line);
    pattern
        .split("...")
        .map(words)
        .all(|part| match rest.find(&part) {
            None => false,
            Some(at) => {
                rest = rest[at + part.len()..].to_owned();
                true
            }
        })
}

#[test]
fn the_commands_print_the_worked_example_of_the_page() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::TempDir::new().unwrap();
    let [exports, results] = ["exports", "results"].map(|name| folder.path().join(name));
    for path in walk(&repository.join("sample_data/exports")) {
        let to = exports.join(&path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(repository.join("sample_data/exports").join(&path), to).unwrap();
    }
    let paths = [&exports, &results].map(|path| path.to_str().unwrap());
    let run = |command: &str| {
        let words: Vec<&str> = command.split_whitespace().collect();
        let outcome = etl(&[&words[..], &["--exports", paths[0], "--results", paths[1]]].concat());
        assert_eq!(outcome.code, 0, "{command}: {}", outcome.stderr);
        outcome.stdout
    };
    run("backfill --from 2026-03-01 --to 2026-03-06");
    drop_rows(&exports.join("order_lines/dt=2026-03-05/part-0.parquet"));
    run("run --day 2026-03-06");

    let page = fs::read_to_string(repository.join("docs/explain.md")).unwrap();
    let (mut said, mut command, mut lines) = (String::new(), String::new(), 0);
    let blocks = page.split("```console\n").skip(1);
    for line in blocks.flat_map(|block| block.split("```").next().unwrap().lines()) {
        match line.strip_prefix("$ campaign-etl ") {
            Some(next) => (command, said) = (next.to_owned(), run(next)),
            None => {
                let is_said = said.lines().any(|of_output| fits(of_output, line));
                assert!(is_said, "{command} does not say {line:?}:\n{said}");
                lines += 1;
            }
        }
    }
    assert!(lines > 15, "{lines} lines of output");
}
