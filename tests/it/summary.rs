//! `report --summary`: the first line, what mends a day, and every number of the operator's page.

use std::fs;
use std::path::{Path, PathBuf};

use campaign_etl::contracts::datasets::PRODUCT_TRAFFIC;
use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

use crate::scene::day;
use crate::world::{
    Outcome, copy_folder, etl, parse_cents, read_file, read_quarantine, read_table, show_cents,
    write_file,
};

/// A copy of the sample's exports, and results.
pub struct Nights(TempDir);

impl Nights {
    pub fn new() -> Nights {
        let folder = TempDir::new().unwrap();
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample_data/exports");
        copy_folder(&sample, &folder.path().join("exports"));
        Nights(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn etl(&self, command: &str) -> Outcome {
        let [exports, results] = ["exports", "results"].map(|name| self.path(name));
        let mut words: Vec<&str> = command.split(' ').collect();
        words.extend(["--exports", exports.to_str().unwrap()]);
        words.extend(["--results", results.to_str().unwrap()]);
        etl(&words)
    }

    pub fn publish(&self, first: &str, last: &str) {
        let run = self.etl(&format!("backfill --from {first} --to {last}"));
        assert_eq!(run.code, 0, "{}", run.stderr);
    }

    fn page(&self, day: &str) -> String {
        let page = self.etl(&format!("report --summary --day {day}"));
        assert_eq!(page.code, 0, "{}", page.stderr);
        page.stdout
    }

    /// Runs the last command in the row of a day. After it, the day is fine.
    fn mends(&self, page: &str, of_day: &str) {
        let mut rows = page
            .split("<tr>")
            .map(|row| row.split("</tr>").next().unwrap());
        let row = rows
            .find(|row| row.starts_with(&format!("<td>{of_day}")))
            .unwrap();
        let commands = row.split("<code>campaign-etl ").skip(1);
        let command = commands.last().unwrap().split("</code>").next().unwrap();
        let words: Vec<&str> = command.split(' ').collect();
        let outcome = etl(&words);
        assert_eq!(outcome.code, 0, "{command}: {}", outcome.stderr);
        let mended = self.page(of_day);
        assert!(
            has_row(&mended, &[of_day, "up to date"]),
            "{command}: {mended}"
        );
    }

    /// The newest manifest of a day.
    fn manifest(&self, day: &str) -> Value {
        let folder = self.path(&format!("results/_runs/dt={day}"));
        let files = fs::read_dir(folder).unwrap();
        let newest = files.map(|file| file.unwrap().path()).max().unwrap();
        serde_json::from_slice(&fs::read(newest).unwrap()).unwrap()
    }
}

/// The first line of a page: whether the night is fine.
fn lead(page: &str) -> String {
    let lead =
        Regex::new("<p class=\"lead\"><span class=\"mark ([a-z]+)\">.*?</span> ([^<]*)</span>");
    let found = lead
        .unwrap()
        .captures(page)
        .map(|found| format!("{}: {}", &found[1], &found[2]));
    found.unwrap_or_else(|| panic!("no first line in {page}"))
}

/// Whether a row of the page has all these texts.
fn has_row(page: &str, texts: &[&str]) -> bool {
    let mut rows = page
        .split("<tr")
        .map(|row| row.split("</tr>").next().unwrap());
    rows.any(|row| texts.iter().all(|text| row.contains(text)))
}

/// The value at `datasets/order_lines/rows_read` of a manifest: an entry of a list is found by its
/// name.
fn at_path<'a>(manifest: &'a Value, path: &str) -> &'a Value {
    path.split('/').fold(manifest, |value, name| match value {
        Value::Array(entries) => {
            let is_named = |entry: &&Value| entry["dataset"] == name || entry["stage"] == name;
            entries.iter().find(is_named).unwrap_or(&Value::Null)
        }
        value => &value[name],
    })
}

/// The count or sum over the rows of a table with these values.
fn sum_of(results: &Path, table: &str, of_day: &str, picked: &str, column: &str) -> String {
    let (names, kinds, rows): (Vec<&str>, _, _) = match table.strip_prefix("_quarantine/") {
        Some(dataset) => (
            vec!["reason", "column", "value", "file", "row_number", "key"],
            None,
            read_quarantine(results, dataset, day(of_day)),
        ),
        None => {
            let contract = campaign_etl::contracts::tables::table(table).unwrap();
            let names = contract.columns.iter().map(|column| column.name).collect();
            (
                names,
                Some(contract),
                read_table(results, table, day(of_day)).unwrap(),
            )
        }
    };
    let at = |name: &str| names.iter().position(|known| *known == name).unwrap();
    let wanted: Vec<(usize, &str)> = picked
        .split(';')
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (at(name), value))
        .collect();
    let rows = rows.iter().filter(|row| {
        let mut wanted = wanted.iter();
        wanted.all(|(at, value)| row[*at].as_deref() == Some(*value))
    });
    if column == "#rows" {
        return rows.count().to_string();
    }
    let cells = rows.filter_map(|row| row[at(column)].as_deref());
    match kinds.unwrap().column(column).kind {
        campaign_etl::contracts::Kind::Money => show_cents(cells.map(parse_cents).sum()),
        _ => cells
            .map(|cell| cell.parse::<i128>().unwrap())
            .sum::<i128>()
            .to_string(),
    }
}

#[test]
fn a_night_without_trouble_is_fine_in_the_first_line() {
    let nights = Nights::new();
    nights.publish("2026-03-01", "2026-03-10");
    let page = nights.page("2026-03-10");
    let fine =
        "good: Tonight is fine: 2026-03-10 is published from its own exports and up to date.";
    assert_eq!(lead(&page), fine);
    assert!(page.contains("Nothing needs a person."), "{page}");
    assert!(has_row(&page, &["2026-03-10", "up to date"]));
}

#[test]
fn every_number_of_the_operators_page_is_that_of_its_file() {
    let nights = Nights::new();
    nights.publish("2026-03-01", "2026-03-04");
    let results = nights.path("results");
    let number = Regex::new(
        "data-table=\"([^\"]*)\" data-(key|where)=\"([^\"]*)\" data-column=\"([^\"]*)\"><data value=\"([^\"]*)\">",
    )
    .unwrap();
    let (mut of_manifests, mut of_tables, mut of_quarantine) = (0, 0, 0);
    for report_day in ["2026-03-02", "2026-03-04"] {
        let (page, manifest) = (nights.page(report_day), nights.manifest(report_day));
        for row in page.split("<tr").skip(1) {
            let row = row.split("</tr>").next().unwrap();
            let other_day = row.strip_prefix(" data-day=\"");
            let other_day = other_day.map(|rest| rest.split('"').next().unwrap().to_owned());
            let of_day = other_day.as_deref().unwrap_or(report_day);
            for found in number.captures_iter(row) {
                let [table, picked, column, value] = [1, 3, 4, 5].map(|at| found[at].to_owned());
                let expected = match table.as_str() {
                    "_runs" => {
                        of_manifests += 1;
                        at_path(&manifest, &column).to_string()
                    }
                    table => {
                        of_quarantine += usize::from(table.starts_with("_quarantine/"));
                        of_tables += 1;
                        sum_of(&results, table, of_day, &picked, &column)
                    }
                };
                assert_eq!(value, expected, "{report_day}: {table} {picked} {column}");
            }
        }
    }
    // Ten exports with four counts each, 19 tables with bytes, and stages; on two days.
    assert!(of_manifests > 150, "{of_manifests}");
    assert!(of_tables > 80, "{of_tables}");
    assert_eq!(of_quarantine, 2);
}

#[test]
fn a_quarantined_row_is_shown_with_its_reason_column_and_example() {
    let nights = Nights::new();
    nights.publish("2026-03-01", "2026-03-04");
    let page = nights.page("2026-03-04");
    assert_eq!(
        lead(&page),
        "warning: Tonight is fine, with 1 warning: 2026-03-04 is published."
    );
    let row = [
        "order_lines",
        "NULL_VALUE",
        "buyer_id",
        "buyer_id is null in row 4 of part-0.parquet",
    ];
    assert!(has_row(&page, &row), "{page}");
    assert!(page.contains("1 row quarantined"), "{page}");
}

#[test]
fn a_day_that_waits_has_the_export_and_the_command() {
    let nights = Nights::new();
    nights.publish("2026-03-01", "2026-03-09");
    fs::remove_file(nights.path("exports/order_lines/dt=2026-03-10/_SUCCESS")).unwrap();
    let run = nights.etl("run --day 2026-03-10 --accept-fallback");
    assert_eq!(run.code, 0, "{}", run.stderr);
    let page = nights.page("2026-03-10");
    assert_eq!(
        lead(&page),
        "bad: Tonight is not fine: 2026-03-10: waiting (not final: order_lines)."
    );
    assert!(
        page.contains("benchmarks of 2026-03-09 stand in: not final on 2026-03-10: order_lines"),
        "{page}"
    );
    assert!(has_row(&page, &["order_lines", "not final; required"]));
    assert!(has_row(
        &page,
        &["waiting", "campaign-etl run --day 2026-03-10 --exports"]
    ));
    // The day before is published, so only this day is told.
    assert!(!page.contains("2026-03-09: "), "{page}");
    assert!(page.contains("when order_lines is final:"), "{page}");
    fs::write(
        nights.path("exports/order_lines/dt=2026-03-10/_SUCCESS"),
        "",
    )
    .unwrap();
    nights.mends(&page, "2026-03-10");
}

#[test]
fn a_blocked_day_has_the_reason_and_the_commands() {
    let nights = Nights::new();
    nights.publish("2026-03-01", "2026-03-09");
    fs::write(nights.path("exports/shops/dt=2026-03-10/x"), "no Parquet").unwrap();
    let run = nights.etl("run --day 2026-03-10 --accept-fallback");
    assert_eq!(run.code, 65, "{}", run.stderr);
    let page = nights.page("2026-03-10");
    let first = lead(&page);
    assert!(
        first.starts_with("bad: Tonight is not fine: 2026-03-10: blocked: "),
        "{first}"
    );
    assert!(first.contains("shops"), "{first}");
    let commands = [
        "campaign-etl validate --day 2026-03-10",
        "campaign-etl run --day 2026-03-10",
    ];
    assert!(has_row(&page, &commands), "{page}");
}

#[test]
fn a_lost_file_is_told_with_the_command_that_mends_it() {
    let nights = Nights::new();
    nights.publish("2026-03-01", "2026-03-13");
    let lost = "results/shop_tier/dt=2026-03-08/part-0.parquet";
    fs::remove_file(nights.path(lost)).unwrap();
    let page = nights.page("2026-03-13");
    assert_eq!(
        lead(&page),
        "warning: Tonight is fine, with 1 warning: 2026-03-13 is published."
    );
    assert!(has_row(&page, &["2026-03-08", "shop_tier"]), "{page}");
    nights.mends(&page, "2026-03-08");
}

#[test]
fn days_before_the_lookback_that_are_missing_stale_or_blocked_are_told() {
    let nights = Nights::new();
    nights.publish("2026-03-01", "2026-03-03");
    nights.publish("2026-03-05", "2026-03-14");
    let fine =
        "good: Tonight is fine: 2026-03-14 is published from its own exports and up to date.";
    let one = "warning: Tonight is fine, with 1 warning: 2026-03-14 is published.";
    // Final, but never published.
    let page = nights.page("2026-03-14");
    assert_eq!(lead(&page), one);
    assert!(
        page.contains("before the lookback, 2026-03-04 is final and not published"),
        "{page}"
    );
    nights.mends(&page, "2026-03-04");
    assert_eq!(lead(&nights.page("2026-03-14")), fine);
    // Exported anew, and broken.
    fs::write(nights.path("exports/shops/dt=2026-03-02/x"), "no Parquet").unwrap();
    let page = nights.page("2026-03-14");
    assert_eq!(lead(&page), one);
    assert!(
        page.contains("before the lookback, 2026-03-02 is published and stale or lost"),
        "{page}"
    );
    assert_eq!(
        nights
            .etl("backfill --from 2026-03-02 --to 2026-03-02")
            .code,
        65
    );
    let page = nights.page("2026-03-14");
    assert_eq!(lead(&page), one);
    assert!(
        page.contains("before the lookback, 2026-03-02 is blocked"),
        "{page}"
    );
}

#[test]
fn days_without_exports_are_no_silent_gap() {
    let nights = Nights::new();
    let success = nights.path("exports/shops/dt=2026-03-04/_SUCCESS");
    fs::remove_file(&success).unwrap();
    nights.publish("2026-03-01", "2026-03-03");
    nights.publish("2026-03-05", "2026-03-14");
    let page = nights.page("2026-03-14");
    assert_eq!(
        lead(&page),
        "warning: Tonight is fine, with 1 warning: 2026-03-14 is published."
    );
    let gap = "2026-03-04 is not published, with exports that are not final";
    assert!(page.contains(gap), "{page}");
}

#[test]
fn a_damaged_file_or_manifest_is_a_problem_and_the_rest_of_the_page_stays() {
    let nights = Nights::new();
    nights.publish("2026-03-01", "2026-03-03");
    let part = nights.path("results/shop_daily/dt=2026-03-03/part-0.parquet");
    let published = fs::read(&part).unwrap();
    let mut damaged = published.clone();
    damaged[200] ^= 1;
    fs::write(&part, damaged).unwrap();
    let page = nights.page("2026-03-03");
    let file = "shop_daily/dt=2026-03-03/part-0.parquet is not the file that was published";
    assert!(
        lead(&page).starts_with("bad: Tonight is not fine: "),
        "{}",
        lead(&page)
    );
    assert!(page.contains(file), "{page}");
    assert!(
        has_row(&page, &["category_benchmark", "published"]),
        "{page}"
    );
    fs::write(&part, published).unwrap();
    assert!(lead(&nights.page("2026-03-03")).starts_with("good: "));
    // Of another day, and of the day itself.
    for (damaged, tone, said) in [
        ("2026-03-01", "bad", "2026-03-01: cannot be read"),
        (
            "2026-03-03",
            "bad",
            "Tonight is not fine: 2026-03-03: cannot be read",
        ),
    ] {
        let folder = nights.path(&format!("results/_runs/dt={damaged}"));
        let manifest = fs::read_dir(&folder)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let before = fs::read(&manifest).unwrap();
        fs::write(&manifest, "{").unwrap();
        let page = nights.page("2026-03-03");
        assert!(lead(&page).starts_with(tone), "{}", lead(&page));
        assert!(page.contains(said), "{page}");
        assert!(has_row(&page, &["order_lines", "2026-03-03"]) || page.contains("id=\"exports\""));
        fs::write(&manifest, before).unwrap();
    }
}

#[test]
fn a_day_that_checks_block_is_published_with_the_command_of_the_page() {
    let nights = Nights::new();
    nights.publish("2026-03-01", "2026-03-11");
    let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs/daily.toml");
    let job = fs::read_to_string(jobs).unwrap();
    let blocks = "severities = { rows = \"block\" }";
    let job = job.replace("severities = {}", blocks);
    assert!(job.contains(blocks));
    let config = nights.path("job.toml");
    fs::write(&config, job).unwrap();
    // Only a few rows of the traffic arrive, in one of the two files.
    let folder = nights.path("exports/product_traffic/dt=2026-03-12");
    let (_, rows) = read_file(&folder.join("part-0.parquet"));
    let columns = PRODUCT_TRAFFIC.columns;
    write_file(&folder.join("part-0.parquet"), columns, &rows[..100]);
    fs::remove_file(folder.join("part-1.parquet")).unwrap();
    fs::write(folder.join("_SUCCESS"), "").unwrap();
    let config = config.to_str().unwrap();
    let run = nights.etl(&format!(
        "run --day 2026-03-12 --accept-fallback --config {config}"
    ));
    assert_eq!(run.code, 65, "{}", run.stderr);
    let page = nights.etl(&format!(
        "report --summary --day 2026-03-12 --config {config}"
    ));
    let page = page.stdout;
    let first = lead(&page);
    assert!(
        first.starts_with("bad: Tonight is not fine: 2026-03-12: blocked: "),
        "{first}"
    );
    assert!(
        has_row(
            &page,
            &["product_traffic", "not used: ", "rows.product_traffic"]
        ),
        "{page}"
    );
    assert!(page.contains("if the numbers are right:"), "{page}");
    nights.mends(&page, "2026-03-12");
}

/// The manifest is back in the staging folder, as if the process had ended before its last move.
#[test]
fn a_commit_that_is_not_in_place_is_not_fine() {
    let nights = Nights::new();
    nights.publish("2026-03-01", "2026-03-03");
    let log = nights.path("results/_runs/commit_log");
    let record = fs::read_dir(log).unwrap().map(|file| file.unwrap().path());
    let record: Value = serde_json::from_slice(&fs::read(record.max().unwrap()).unwrap()).unwrap();
    let commit = &record["commit"];
    let [staging, manifest] = [&commit["staging"], &commit["manifest"]["path"]];
    let manifest = manifest.as_str().unwrap();
    let staged = nights
        .path("results")
        .join(staging.as_str().unwrap())
        .join(manifest);
    fs::create_dir_all(staged.parent().unwrap()).unwrap();
    fs::copy(nights.path("results").join(manifest), staged).unwrap();
    let page = nights.page("2026-03-03");
    let first = "bad: Tonight is not fine: 2026-03-03: being published: its files are not all in place yet.";
    assert_eq!(lead(&page), first);
    nights.mends(&page, "2026-03-03");
}

#[test]
fn a_day_that_was_published_anew_is_shown_beside_its_earlier_version() {
    let nights = Nights::new();
    nights.publish("2026-03-01", "2026-03-02");
    fs::remove_file(nights.path("exports/ad_hours/dt=2026-03-02/_SUCCESS")).unwrap();
    nights.publish("2026-03-02", "2026-03-02");
    let page = nights.page("2026-03-02");
    assert!(page.contains("From commit "), "{page}");
    let cause = ["ad_hourly", "not published any more: ad_hours is not final"];
    assert!(has_row(&page, &cause), "{page}");
    let not_written = ["ad_hourly", "not written: ad_hours is not final"];
    assert!(has_row(&page, &not_written), "{page}");
}

#[test]
fn a_day_of_which_nothing_is_published_has_a_page() {
    let nights = Nights::new();
    nights.publish("2026-03-01", "2026-03-02");
    let page = nights.page("2026-03-03");
    assert_eq!(
        lead(&page),
        "bad: Tonight is not fine: 2026-03-03: not published."
    );
    assert!(
        page.contains("Nothing of 2026-03-03 is published."),
        "{page}"
    );
}
