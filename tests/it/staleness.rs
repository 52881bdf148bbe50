//! Stale results: changed settings, damaged files and blocked exports are noticed and reported.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::world::{Outcome, etl_in};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// A copy of the sample's exports from 2026-03-12 on, and results of its own.
struct Sample {
    folder: TempDir,
}

impl Sample {
    fn new() -> Sample {
        let sample = Sample {
            folder: TempDir::new().unwrap(),
        };
        let exports = Path::new(REPOSITORY).join("sample_data/exports");
        for dataset in fs::read_dir(&exports)
            .unwrap()
            .map(|d| d.unwrap().file_name().into_string().unwrap())
        {
            for day in ["2026-03-12", "2026-03-13", "2026-03-14"] {
                let (from, to) = (
                    exports.join(&dataset).join(format!("dt={day}")),
                    sample.export(&dataset, day),
                );
                fs::create_dir_all(&to).unwrap();
                for file in fs::read_dir(from).unwrap().map(|f| f.unwrap().path()) {
                    fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
                }
            }
        }
        sample
    }

    fn export(&self, dataset: &str, day: &str) -> PathBuf {
        self.folder
            .path()
            .join("exports")
            .join(dataset)
            .join(format!("dt={day}"))
    }

    fn etl(&self, command: &str, results: &str, job: &str) -> Outcome {
        etl_in(self.folder.path(), command, results, job)
    }

    /// Every file of every table, by its path in the results.
    fn tables(&self, results: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let root = self.folder.path().join(results);
        let mut files = BTreeMap::new();
        for table in fs::read_dir(&root).unwrap().map(|t| t.unwrap().path()) {
            if table
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with('_')
            {
                continue;
            }
            for day in fs::read_dir(table).unwrap().map(|d| d.unwrap().path()) {
                for file in fs::read_dir(day).unwrap().map(|f| f.unwrap().path()) {
                    files.insert(
                        file.strip_prefix(&root).unwrap().to_owned(),
                        fs::read(&file).unwrap(),
                    );
                }
            }
        }
        files
    }
}

const STRICT_BUDGET: &str = "[quarantine]\nmax_rows = 0\nmax_ratio = 0.0\n";

#[test]
fn a_changed_quarantine_budget_recomputes_whatever_it_decides() {
    let sample = Sample::new();
    // A second copy of a file repeats every key: 100 % of its rows are quarantined, which only a
    // budget of 1.0 allows.
    let products = sample.export("campaign_products", "2026-03-13");
    fs::copy(
        products.join("part-0.parquet"),
        products.join("part-1.parquet"),
    )
    .unwrap();
    let generous = "[quarantine]\nmax_ratio = 1.0\n";
    assert_eq!(
        sample
            .etl("run --day 2026-03-14", "changed", STRICT_BUDGET)
            .code,
        0
    );
    assert_eq!(
        sample.etl("run --day 2026-03-14", "changed", generous).code,
        0
    );
    assert_eq!(
        sample.etl("run --day 2026-03-14", "clean", generous).code,
        0
    );
    assert!(sample.tables("changed") == sample.tables("clean"));
    assert_eq!(
        sample
            .etl("run --day 2026-03-14", "changed", STRICT_BUDGET)
            .code,
        0
    );
    assert_eq!(
        sample
            .etl("run --day 2026-03-14", "strict", STRICT_BUDGET)
            .code,
        0
    );
    assert!(sample.tables("changed") == sample.tables("strict"));
    assert!(sample.tables("strict") != sample.tables("clean"));
}

#[test]
fn a_published_file_that_is_gone_or_cut_short_is_made_again() {
    let sample = Sample::new();
    assert_eq!(sample.etl("run --day 2026-03-14", "results", "").code, 0);
    let before = sample.tables("results");
    let results = sample.folder.path().join("results");
    let shop_daily = results.join("shop_daily/dt=2026-03-12");
    let bytes = fs::read(shop_daily.join("part-0.parquet")).unwrap();
    let damages: [(&dyn Fn(), &str); 5] = [
        (
            &|| fs::write(shop_daily.join("part-0.parquet"), &bytes[..bytes.len() / 2]).unwrap(),
            "2026-03-12 shop_daily",
        ),
        (
            &|| fs::remove_file(shop_daily.join("part-0.parquet")).unwrap(),
            "2026-03-12 shop_daily",
        ),
        (
            &|| fs::remove_file(shop_daily.join("_SUCCESS")).unwrap(),
            "2026-03-12 shop_daily",
        ),
        (
            &|| fs::remove_dir_all(results.join("stock_status/dt=2026-03-13")).unwrap(),
            "2026-03-13 stock_status",
        ),
        (
            &|| fs::remove_file(results.join("shop_tier/dt=2026-03-14/part-0.parquet")).unwrap(),
            "2026-03-14 shop_tier",
        ),
    ];
    for (damage, announces) in damages {
        damage();
        let (status, plan) = (
            sample.etl("status --day 2026-03-14", "results", ""),
            sample.etl("plan", "results", ""),
        );
        assert_eq!(plan.code, 0);
        let lost = status.json["days"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|d| d["lost"].as_array().unwrap());
        assert_eq!(lost.count(), 1, "{announces}");
        let planned = announced(&sample.etl("plan --day 2026-03-14", "results", ""));
        assert!(
            planned.iter().any(|table| table == announces),
            "{planned:?}"
        );
        let ended = sample.etl("run --day 2026-03-14", "results", "");
        assert_eq!(
            (ended.code, written(&ended)),
            (0, vec![announces.to_owned()])
        );
        assert!(sample.tables("results") == before, "{announces}");
    }
}

#[test]
fn a_published_file_of_other_content_is_not_used_as_an_input() {
    let sample = Sample::new();
    assert_eq!(sample.etl("run --day 2026-03-13", "results", "").code, 0);
    let part = sample
        .folder
        .path()
        .join("results/shop_daily/dt=2026-03-12/part-0.parquet");
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, bytes).unwrap();
    let ended = sample.etl("run --day 2026-03-14", "results", "");
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    let remedy = [
        "shop_daily/dt=2026-03-12/part-0.parquet",
        "delete it",
        "backfill --from 2026-03-12 --to 2026-03-12",
    ];
    assert!(
        remedy.iter().all(|text| ended.stderr.contains(text)),
        "{}",
        ended.stderr
    );
    // The remedy of the message.
    fs::remove_file(&part).unwrap();
    assert_eq!(
        sample
            .etl("backfill --from 2026-03-12 --to 2026-03-12", "results", "")
            .code,
        0
    );
    assert_eq!(sample.etl("run --day 2026-03-14", "results", "").code, 0);
    assert_eq!(sample.etl("run --day 2026-03-14", "clean", "").code, 0);
    assert!(sample.tables("results") == sample.tables("clean"));
}

#[test]
fn a_damaged_manifest_is_named_with_what_to_do() {
    let sample = Sample::new();
    assert_eq!(sample.etl("run --day 2026-03-13", "results", "").code, 0);
    let runs = sample.folder.path().join("results/_runs/dt=2026-03-12");
    let manifest = fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
    fs::write(&manifest, "{").unwrap();
    for command in ["run --day 2026-03-13", "status --day 2026-03-13"] {
        let ended = sample.etl(command, "results", "");
        // For a run, the day before with its damaged manifest is a missing day. `status` does not
        // fail for it.
        assert_eq!(
            ended.code,
            if command.starts_with("run") { 74 } else { 0 },
            "{}",
            ended.stderr
        );
        let said = format!("{}{}", ended.stderr, ended.stdout);
        assert!(
            said.contains("delete it and run: campaign-etl backfill"),
            "{said}"
        );
    }
}

#[test]
fn a_blocked_day_tells_why_on_every_run() {
    let sample = Sample::new();
    fs::write(
        sample.export("shops", "2026-03-13").join("part-0.parquet"),
        "nothing",
    )
    .unwrap();
    for _ in 0..2 {
        // As the report day, and as a day of the lookback.
        for (day, code) in [("2026-03-13", 65), ("2026-03-14", 0)] {
            let ended = sample.etl(&format!("run --quiet --day {day}"), "results", "");
            assert_eq!(ended.code, code, "{}", ended.stderr);
            let says = [
                "2026-03-13",
                "shops",
                "part-0.parquet",
                "a Parquet file",
                "export the file again",
            ];
            assert!(
                says.iter().all(|text| ended.stderr.contains(text)),
                "{}",
                ended.stderr
            );
            assert_eq!(ended.json["blocked"][0]["dataset"], "shops");
        }
    }
    let status = sample.etl("status --day 2026-03-14", "results", "");
    let blocked = status.json["days"]
        .as_array()
        .unwrap()
        .iter()
        .find(|d| d["day"] == "2026-03-13")
        .unwrap();
    assert_eq!(
        (
            blocked["is_blocked"].as_bool(),
            blocked["is_published"].as_bool()
        ),
        (Some(true), Some(false))
    );
}

#[test]
fn an_absent_optional_export_is_told_and_strict_says_why_it_fails() {
    let sample = Sample::new();
    fs::remove_dir_all(sample.export("inventory", "2026-03-14")).unwrap();
    let ended = sample.etl("run --day 2026-03-14", "results", "");
    assert_eq!(ended.code, 0);
    assert!(
        ended.stderr.contains(
            "2026-03-14 not final: inventory; tables and columns that need it are left out"
        ),
        "{}",
        ended.stderr
    );
    let strict = sample.etl("run --strict --day 2026-03-14", "results", "");
    assert_eq!(
        (strict.code, strict.json["outcome"].as_str()),
        (65, Some("up_to_date"))
    );
    assert!(
        strict.stderr.contains("--strict") && strict.stderr.contains("inventory is not final"),
        "{}",
        strict.stderr
    );
}

#[test]
fn days_beyond_the_lookback_are_told_apart_by_what_helps_them() {
    let sample = Sample::new();
    fs::write(
        sample.export("shops", "2026-03-12").join("part-0.parquet"),
        "nothing",
    )
    .unwrap();
    let ended = sample.etl("run --day 2026-03-14", "results", "lookback_days = 0\n");
    assert!(
        ended
            .stderr
            .contains("backfill --from 2026-03-12 --to 2026-03-13"),
        "{}",
        ended.stderr
    );
    sample.etl(
        "backfill --from 2026-03-12 --to 2026-03-13",
        "results",
        "lookback_days = 0\n",
    );
    let ended = sample.etl("run --day 2026-03-14", "results", "lookback_days = 0\n");
    assert!(
        ended
            .stderr
            .contains("status --from 2026-03-12 --to 2026-03-12"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("backfill"), "{}", ended.stderr);
}

/// The tables that `plan` announces, as `day table`.
fn announced(plan: &Outcome) -> Vec<String> {
    let mut announced = Vec::new();
    for of_day in plan.json["days"].as_array().unwrap() {
        let day = of_day["day"].as_str().unwrap();
        for table in of_day["tables"].as_array().unwrap() {
            announced.push(format!("{day} {}", table.as_str().unwrap()));
        }
    }
    announced
}

fn written(run: &Outcome) -> Vec<String> {
    let tables = run.json["tables"].as_array().unwrap();
    tables
        .iter()
        .map(|t| {
            format!(
                "{} {}",
                t["day"].as_str().unwrap(),
                t["table"].as_str().unwrap()
            )
        })
        .collect()
}

#[test]
fn an_export_that_was_damaged_under_its_old_name_size_and_time_is_noticed_when_it_is_read_again() {
    let sample = Sample::new();
    assert_eq!(sample.etl("run --day 2026-03-14", "results", "").code, 0);
    let before = sample.tables("results");
    let part = sample
        .export("campaign_shops", "2026-03-14")
        .join("part-0.parquet");
    let (size, modified) = (
        fs::metadata(&part).unwrap().len(),
        fs::metadata(&part).unwrap().modified().unwrap(),
    );
    let file = fs::OpenOptions::new().write(true).open(&part).unwrap();
    std::io::Write::write_all(&mut &file, &vec![0; size as usize]).unwrap();
    file.set_modified(modified).unwrap();
    // Without contents, shop_daily of the 13th changes, so the windows of the 14th are stale.
    fs::remove_file(sample.export("contents", "2026-03-13").join("_SUCCESS")).unwrap();
    let ended = sample.etl("run --day 2026-03-14", "results", "");
    assert_eq!(
        (ended.code, ended.json["blocked"][0]["dataset"].as_str()),
        (65, Some("campaign_shops"))
    );
    let is_of_the_14th = |path: &Path| path.to_str().unwrap().contains("dt=2026-03-14");
    let (mut before, mut after) = (before, sample.tables("results"));
    before.retain(|path, _| is_of_the_14th(path));
    after.retain(|path, _| is_of_the_14th(path));
    assert!(before == after, "published tables of the day stay");
}

#[test]
fn plan_announces_the_day_before_that_a_fallback_needs() {
    let (sample, job) = (Sample::new(), "lookback_days = 0\n");
    fs::remove_file(sample.export("shops", "2026-03-14").join("_SUCCESS")).unwrap();
    for changed in [None, Some("contents"), Some("ad_hours")] {
        if let Some(dataset) = changed {
            fs::remove_file(sample.export(dataset, "2026-03-13").join("_SUCCESS")).unwrap();
        }
        let plan = sample.etl("plan --day 2026-03-14", "results", job);
        let run = sample.etl("run --day 2026-03-14", "results", job);
        assert_eq!(
            (run.code, run.json["outcome"].as_str()),
            (75, Some("fallback"))
        );
        let (announced, written) = (announced(&plan), written(&run));
        assert!(
            written.iter().any(|t| t == "2026-03-13 shop_daily"),
            "{written:?}"
        );
        assert!(
            written.iter().all(|t| announced.contains(t)),
            "written {written:?}, announced {announced:?}"
        );
    }
    let nothing = sample.etl("plan --day 2026-03-14", "results", job);
    assert!(announced(&nothing).is_empty());
}

#[test]
fn a_clock_that_went_back_loses_no_publication() {
    let sample = Sample::new();
    assert_eq!(sample.etl("run --day 2026-03-14", "results", "").code, 0);
    // The records of a machine whose clock is years ahead.
    let results = sample.folder.path().join("results");
    for folder in ["_runs/commit_log", "_runs/dt=2026-03-14", "_locks"] {
        for file in fs::read_dir(results.join(folder))
            .unwrap()
            .map(|f| f.unwrap().path())
        {
            let text = fs::read_to_string(&file)
                .unwrap()
                .replace("\"released_at\": \"", "\"was_released_at\": \"");
            let text = a_thousand_years_later(&text);
            fs::write(&file, text).unwrap();
        }
    }
    fs::remove_file(sample.export("contents", "2026-03-14").join("_SUCCESS")).unwrap();
    assert_eq!(
        sample.etl("run --day 2026-03-14", "results", "").json["outcome"],
        "published"
    );
    assert_eq!(
        sample.etl("run --day 2026-03-14", "results", "").json["outcome"],
        "up_to_date"
    );
    assert_eq!(sample.etl("run --day 2026-03-14", "clean", "").code, 0);
    assert!(sample.tables("results") == sample.tables("clean"));
}

/// Moves every instant and run id of this century by a thousand years; days of exports stay.
fn a_thousand_years_later(text: &str) -> String {
    let later = |line: &str| match line.contains("_at\"") || line.contains("run_id") {
        true => line.replace("\"20", "\"30"),
        false => line.to_owned(),
    };
    text.lines().map(later).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_blocked_day_whose_old_exports_come_back_forgets_that_it_was_blocked() {
    let sample = Sample::new();
    assert_eq!(sample.etl("run --day 2026-03-14", "results", "").code, 0);
    let (lines, away) = (
        sample.export("order_lines", "2026-03-14"),
        sample.folder.path().join("away"),
    );
    fs::rename(&lines, &away).unwrap();
    fs::create_dir(&lines).unwrap();
    for name in ["part-0.parquet", "part-1.parquet", "_SUCCESS"] {
        fs::copy(
            away.join(name.replace("part-1", "part-0")),
            lines.join(name),
        )
        .unwrap();
    }
    assert_eq!(sample.etl("run --day 2026-03-14", "results", "").code, 65);
    let quarantine = sample
        .folder
        .path()
        .join("results/_quarantine/order_lines/dt=2026-03-14/part-0.parquet");
    assert!(quarantine.exists(), "every line is there twice");
    fs::remove_dir_all(&lines).unwrap();
    fs::rename(&away, &lines).unwrap();
    let ended = sample.etl("run --day 2026-03-14", "results", "");
    assert_eq!(
        (ended.code, ended.json["tables"].as_array().unwrap().len()),
        (0, 0)
    );
    assert!(!quarantine.exists());
    assert!(announced(&sample.etl("plan --day 2026-03-14", "results", "")).is_empty());
}

#[test]
fn a_table_that_no_manifest_remembers_is_removed_all_the_same() {
    let sample = Sample::new();
    assert_eq!(sample.etl("run --day 2026-03-14", "results", "").code, 0);
    fs::remove_dir_all(sample.folder.path().join("results/_runs/dt=2026-03-14")).unwrap();
    fs::remove_file(sample.export("contents", "2026-03-14").join("_SUCCESS")).unwrap();
    assert_eq!(sample.etl("run --day 2026-03-14", "results", "").code, 0);
    assert!(
        !sample
            .folder
            .path()
            .join("results/content_daily/dt=2026-03-14/part-0.parquet")
            .exists()
    );
    assert!(
        !sample
            .folder
            .path()
            .join("results/content_daily/dt=2026-03-14/_SUCCESS")
            .exists()
    );
}

#[test]
fn a_backfill_reports_later_days_that_lost_a_table_or_are_blocked() {
    let sample = Sample::new();
    assert_eq!(sample.etl("run --day 2026-03-14", "results", "").code, 0);
    fs::remove_file(sample.export("inventory", "2026-03-14").join("_SUCCESS")).unwrap();
    fs::write(
        sample.export("shops", "2026-03-13").join("part-0.parquet"),
        "nothing",
    )
    .unwrap();
    let ended = sample.etl("backfill --from 2026-03-12 --to 2026-03-12", "results", "");
    let mut days = Vec::new();
    for of_day in ended.json["days"].as_array().unwrap() {
        let [day, outcome] = ["day", "outcome"].map(|name| of_day[name].as_str().unwrap());
        days.push(format!("{day} {outcome}"));
    }
    assert_eq!(
        days,
        [
            "2026-03-12 up_to_date",
            "2026-03-13 blocked",
            "2026-03-14 published"
        ]
    );
    assert_eq!(ended.code, 0, "the range itself is fine");
}
