//! Operations by hand and by signals: backfill, unlock, vacuum, stopping; every exit code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use campaign_etl::exit_code::ExitCode;
use serde_json::Value;
use tempfile::TempDir;

use crate::scene::walk;
use crate::world::{Outcome, etl};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// Files by their paths.
type Files = Vec<(String, Vec<u8>)>;

/// Results of the sample's days.
struct Results {
    folder: TempDir,
    exports: PathBuf,
    job: String,
}

impl Results {
    fn new() -> Results {
        let exports = Path::new(REPOSITORY).join("sample_data/exports");
        Results {
            folder: TempDir::new().unwrap(),
            exports,
            job: String::new(),
        }
    }

    fn args(&self, command: &str, results: &str) -> Vec<String> {
        let config = self.folder.path().join("job.toml");
        fs::write(&config, &self.job).unwrap();
        let mut args: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let folders = [
            ("--config", &config),
            ("--exports", &self.exports),
            ("--results", &self.path(results)),
        ];
        for (name, path) in folders {
            args.extend([name.to_owned(), path.to_str().unwrap().to_owned()]);
        }
        args
    }

    fn path(&self, results: &str) -> PathBuf {
        self.folder.path().join(results)
    }

    fn etl_into(&self, results: &str, command: &str) -> Outcome {
        let args = self.args(command, results);
        etl(&args
            .iter()
            .map(String::as_str)
            .chain(["--format", "json"])
            .collect::<Vec<_>>())
    }

    fn etl(&self, command: &str) -> Outcome {
        self.etl_into("results", command)
    }

    fn text(&self, command: &str) -> String {
        let args = self.args(command, "results");
        etl(&args.iter().map(String::as_str).collect::<Vec<_>>()).stdout
    }

    /// Every file of the results, by its path.
    fn files(&self, results: &str) -> Files {
        let root = self.path(results);
        if !root.exists() {
            return vec![];
        }
        walk(&root)
            .into_iter()
            .map(|path| (path.clone(), fs::read(root.join(path)).unwrap()))
            .collect()
    }

    fn tables(&self, results: &str) -> Files {
        let is_lasting = |path: &str| !path.starts_with('_') || path.starts_with("_quarantine");
        self.files(results)
            .into_iter()
            .filter(|(path, _)| is_lasting(path))
            .collect()
    }

    fn newest(&self, folder: &str) -> PathBuf {
        let folder = self.path("results").join(folder);
        let mut files: Vec<PathBuf> = fs::read_dir(folder)
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        files.sort();
        files.pop().unwrap()
    }

    fn change_json(&self, path: &Path, change: impl FnOnce(&mut Value)) {
        let mut json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        change(&mut json);
        fs::write(path, json.to_string()).unwrap();
    }

    /// Leaves the newest commit as a run does that is killed just before its last steps: this file
    /// of a table and the manifest are still staged. Gives the staging folder.
    fn interrupt(&self, file: &str) -> PathBuf {
        let record: Value =
            serde_json::from_slice(&fs::read(self.newest_commit()).unwrap()).unwrap();
        let (commit, root) = (&record["commit"], self.path("results"));
        let staging = root.join(commit["staging"].as_str().unwrap());
        for path in [commit["manifest"]["path"].as_str().unwrap(), file] {
            fs::create_dir_all(staging.join(path).parent().unwrap()).unwrap();
            fs::rename(root.join(path), staging.join(path)).unwrap();
        }
        for file in commit["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["path"].as_str().unwrap())
        {
            fs::remove_file(root.join(file).with_file_name("_SUCCESS")).unwrap();
        }
        staging
    }

    fn newest_commit(&self) -> PathBuf {
        let mut records: Vec<PathBuf> = walk(&self.path("results/_runs/commit_log"))
            .iter()
            .map(|f| self.path("results/_runs/commit_log").join(f))
            .collect();
        records.retain(|path| {
            !fs::read_to_string(path)
                .unwrap()
                .contains("\"commit\": null")
        });
        records.pop().unwrap()
    }

    /// Leaves the lease of a run that died or is at work, with a heartbeat so many seconds ago.
    fn leave_a_lease(&self, seconds_ago: i64) {
        let heartbeat = chrono::Utc::now() - chrono::TimeDelta::seconds(seconds_ago);
        self.change_json(&self.newest("_locks"), |lease| {
            lease["released_at"] = Value::Null;
            lease["heartbeat_at"] = heartbeat.to_rfc3339().into();
        });
    }
}

const ALL: &str = "backfill --from 2026-03-10 --to 2026-03-14";

#[test]
fn a_backfill_in_any_manner_gives_the_same_bytes() {
    let results = Results::new();
    let manners = [
        ("plain", ""),
        ("parallel", " --parallel 4"),
        ("latest", " --latest-first"),
        ("both", " --latest-first --parallel 3"),
        ("little", " --parallel 4 --memory-limit 1MiB"),
    ];
    for (name, more) in manners {
        let ended = results.etl_into(name, &format!("{ALL}{more}"));
        assert_eq!(
            (ended.code, ended.json["failed"].as_array().unwrap().len()),
            (0, 0),
            "{}",
            ended.stderr
        );
        let days: Vec<&str> = ended.json["days"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["day"].as_str().unwrap())
            .collect();
        assert_eq!(
            days,
            [
                "2026-03-10",
                "2026-03-11",
                "2026-03-12",
                "2026-03-13",
                "2026-03-14"
            ],
            "{name}"
        );
        assert!(
            ended.json["days"]
                .as_array()
                .unwrap()
                .iter()
                .all(|d| d["outcome"] == "published"),
            "{name}"
        );
        assert!(results.tables(name) == results.tables("plain"), "{name}");
        // As "11 tables, 11 computed ahead": every table of each day, the first time.
        let told = ended.stderr.lines().filter_map(|line| {
            let told = line.split_once(" windows: ")?.1;
            let (all, ahead) = told.split_once(" tables, ")?;
            let (ahead, _) = ahead.split_once(" computed ahead")?;
            Some(all == ahead)
        });
        let days = if more.contains("--parallel") { 5 } else { 0 };
        assert_eq!(
            told.collect::<Vec<_>>(),
            vec![true; days],
            "{name}: {}",
            ended.stderr
        );
    }
    assert!(results.tables("plain").len() > 5 * 30);
}

/// The outcome of days after a published one whose `shop_daily` is damaged: the code, the days that each day
/// reports as failed, and the tables.
fn beside_a_damaged_day(flags: &str) -> (i32, Vec<Vec<String>>, Files) {
    let mut results = Results::new();
    assert_eq!(results.etl(ALL).code, 0);
    let file = results.path("results/shop_daily/dt=2026-03-11/part-0.parquet");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle - 200..middle].fill(0);
    fs::write(&file, bytes).unwrap();
    // Another setting makes the days stale.
    results.job = "[quarantine]\nmax_rows = 11\n".into();
    let ended = results.etl(&format!(
        "backfill --from 2026-03-12 --to 2026-03-14{flags}"
    ));
    let days = ended.json["days"].as_array().unwrap().iter();
    let failed = days.map(|day| {
        let failed = day["days_failed"].as_array().unwrap().iter();
        failed.map(|failed| failed["day"].as_str().unwrap().to_owned())
    });
    let failed = failed.map(Iterator::collect).collect();
    (ended.code, failed, results.tables("results"))
}

#[test]
fn days_computed_side_by_side_leave_out_a_damaged_day_as_days_in_turn_do() {
    let in_turn = beside_a_damaged_day("");
    let failed = vec![vec!["2026-03-11".to_owned()], vec![], vec![]];
    assert_eq!((in_turn.0, &in_turn.1), (74, &failed));
    assert!(beside_a_damaged_day(" --parallel 3") == in_turn);
}

#[test]
fn a_dry_run_of_a_backfill_says_what_it_would_do_and_writes_nothing() {
    let results = Results::new();
    assert_eq!(results.etl("run --day 2026-03-12").code, 0);
    let before = results.files("results");
    let dry = results.etl(&format!("{ALL} --dry-run"));
    assert_eq!(dry.code, 0);
    assert!(results.files("results") == before);
    let announced: Vec<String> = (dry.json["days"].as_array().unwrap().iter())
        .flat_map(|d| {
            d["tables"]
                .as_array()
                .unwrap()
                .iter()
                .map(move |t| format!("{} {t}", d["day"]))
        })
        .collect();
    let ended = results.etl(ALL);
    let days = ended.json["days"].as_array().unwrap();
    let written: Vec<String> = (days.iter().flat_map(|d| d["tables"].as_array().unwrap()))
        .map(|t| format!("{} {}", t["day"], t["table"]))
        .collect();
    assert_eq!(
        announced.iter().collect::<BTreeSet<_>>(),
        written.iter().collect()
    );
    assert!(
        results
            .text(&format!("{ALL} --dry-run"))
            .contains("up to date")
    );
}

fn signal(child: &Child, signal: &str) {
    assert!(
        Command::new("kill")
            .args([format!("-{signal}"), child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
}

/// Starts a backfill and stops it once it has published a day.
fn stopped(results: &Results, by: &str) -> Outcome {
    let log = results.path("results/_runs/commit_log");
    let records = || fs::read_dir(&log).map_or(0, |files| files.count());
    let before = records();
    let mut command = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
    command
        .args(results.args("backfill --from 2026-03-01 --to 2026-03-14", "results"))
        .args(["--format", "json"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..20_000 {
        if records() > before + 2 {
            break;
        }
        sleep(Duration::from_millis(1));
    }
    signal(&child, by);
    Outcome::of(child.wait_with_output().unwrap())
}

#[test]
fn a_signal_ends_the_job_between_two_steps_and_the_next_run_goes_on_from_there() {
    let results = Results::new();
    for (by, code, word) in [("INT", 130, "interrupted"), ("TERM", 143, "terminated")] {
        let ended = stopped(&results, by);
        assert_eq!(
            (ended.code, &ended.json["exit_code"]),
            (code, &code.into()),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains(word)
                && ended.stderr.contains("running again goes on from there")
        );
        assert!(ended.stderr.contains("of 14 days"), "{}", ended.stderr);
        let status = results.etl("status --from 2026-03-01 --to 2026-03-14");
        assert_eq!(
            (&status.json["holder"], &status.json["unfinished_commit"]),
            (&Value::Null, &Value::Null)
        );
    }
    let published = |state: &Outcome| {
        state.json["days"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|d| d["is_published"] == true)
            .count()
    };
    let days = published(&results.etl("status --from 2026-03-01 --to 2026-03-14"));
    assert!(
        (2..14).contains(&days),
        "{days} days were published before the second signal"
    );
    let ended = results.etl("backfill --from 2026-03-01 --to 2026-03-14");
    assert_eq!(ended.code, 0);
    let outcomes: Vec<&str> = ended.json["days"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(
        outcomes.iter().filter(|o| **o == "up_to_date").count(),
        days,
        "what is published is not done again"
    );
    assert!(
        !results
            .files("results")
            .iter()
            .any(|(path, _)| path.starts_with("_staging"))
    );
    assert_eq!(
        results
            .etl_into("undisturbed", "backfill --from 2026-03-01 --to 2026-03-14")
            .code,
        0
    );
    assert!(results.tables("results") == results.tables("undisturbed"));
}

#[test]
fn a_held_lease_is_respected_and_an_expired_one_is_taken_over_or_unlocked() {
    let results = Results::new();
    assert_eq!(results.etl("run --day 2026-03-12").code, 0);
    assert_eq!(results.etl("unlock").json["removed"], Value::Null);

    results.leave_a_lease(5);
    let holder = &results.etl("status").json["holder"];
    assert!(holder["pid"].is_u64() && holder["host"].is_string() && holder["fencing_number"] == 1);
    assert!(results.text("status").contains("held by run "));
    let before = results.files("results");
    for command in [
        "run --day 2026-03-13",
        "backfill --from 2026-03-13 --to 2026-03-13",
        "unlock",
    ] {
        let ended = results.etl(command);
        assert_eq!(
            (ended.code, &ended.json["exit_code"]),
            (75, &75.into()),
            "{command}"
        );
        assert!(
            ended.stderr.contains("held by run ") && ended.stderr.contains("try again later"),
            "{}",
            ended.stderr
        );
    }
    let nothing_to_do = results.etl("run --day 2026-03-12");
    assert_eq!(
        (nothing_to_do.code, nothing_to_do.json["outcome"].as_str()),
        (0, Some("up_to_date"))
    );
    assert!(
        results.files("results") == before,
        "nobody who was turned away has written anything"
    );

    results.leave_a_lease(61);
    assert!(results.text("status").contains("expired lease of run "));
    let unlocked = results.etl("unlock");
    assert_eq!(
        (unlocked.code, &unlocked.json["removed"]["fencing_number"]),
        (0, &1.into())
    );
    assert_eq!(results.etl("status").json["holder"], Value::Null);
    results.leave_a_lease(61);
    assert_eq!(
        results.etl("run --day 2026-03-13").code,
        0,
        "an expired lease is taken over"
    );
}

#[test]
fn an_interrupted_commit_is_shown_kept_by_vacuum_and_finished_by_the_next_run() {
    let mut results = Results::new();
    assert_eq!(results.etl("run --day 2026-03-14").code, 0);
    let undisturbed = results.tables("results");
    // The state after a run that is killed just before its last steps.
    let root = results.path("results");
    let staging = results.interrupt("shop_tier/dt=2026-03-14/part-0.parquet");
    fs::create_dir_all(root.join("_staging/dead/2026-03-14")).unwrap();
    fs::write(root.join("_staging/dead/2026-03-14/x"), "x").unwrap();

    let status = results.etl("status --day 2026-03-14");
    assert_eq!(
        status.json["unfinished_commit"]["commit"]["day"],
        "2026-03-14"
    );
    let of_the_day = status.json["days"].as_array().unwrap().last().unwrap();
    assert!(
        of_the_day["state"]
            .as_str()
            .unwrap()
            .starts_with("being published"),
        "{of_the_day}"
    );
    for command in ["status --day 2026-03-14", "plan --day 2026-03-14"] {
        assert!(
            results
                .text(command)
                .contains("of 2026-03-14 is not in place yet; the next run finishes it first")
        );
    }
    let removable = results.etl("vacuum --dry-run").json;
    let paths: Vec<&str> = removable["removed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["_staging/dead/2026-03-14/x"]);
    // This day needs no work of its own.
    results.job = "lookback_days = 0\n".into();
    let ended = results.etl("run --day 2026-03-10");
    assert_eq!(
        (ended.code, ended.json["outcome"].as_str()),
        (0, Some("up_to_date"))
    );
    assert!(
        ended.stderr.contains("finishing interrupted commit ")
            && ended.stderr.contains(" of 2026-03-14"),
        "{}",
        ended.stderr
    );
    assert!(results.tables("results") == undisturbed);
    assert!(!root.join("_staging").exists() && !staging.exists());
    assert_eq!(results.etl("status").json["unfinished_commit"], Value::Null);

    // The staged file is lost or spoilt: the commit ends without it, and the table is made again.
    for spoil in [
        |path: &Path| fs::remove_file(path).unwrap(),
        |path: &Path| fs::write(path, "spoilt").unwrap(),
    ] {
        let staging = results.interrupt("shop_tier/dt=2026-03-14/part-0.parquet");
        spoil(&staging.join("shop_tier/dt=2026-03-14/part-0.parquet"));
        let ended = results.etl("run --day 2026-03-14");
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(
            ended
                .stderr
                .contains("their tables are computed again: shop_tier/"),
            "{}",
            ended.stderr
        );
        assert!(results.tables("results") == undisturbed);
    }
    // An interruption between copy and deletion of a move: the commit is in place.
    let newest = results.newest("_runs/dt=2026-03-14");
    let manifest = newest.strip_prefix(&root).unwrap().to_owned();
    let staging = results.interrupt("shop_tier/dt=2026-03-14/part-0.parquet");
    assert_eq!(results.etl("run --day 2026-03-10").code, 0);
    fs::create_dir_all(staging.join(&manifest).parent().unwrap()).unwrap();
    fs::copy(
        results.newest("_runs/dt=2026-03-14"),
        staging.join(&manifest),
    )
    .unwrap();
    fs::remove_file(root.join("shop_tier/dt=2026-03-14/part-0.parquet")).unwrap();
    assert_eq!(results.etl("run --day 2026-03-14").code, 0);
    assert!(results.tables("results") == undisturbed);
}

#[test]
fn lost_and_damaged_bookkeeping_stops_nothing() {
    let results = Results::new();
    assert_eq!(results.etl("run --day 2026-03-12").code, 0);
    let lock = results.newest("_locks");
    fs::write(&lock, "damaged").unwrap();
    // No record shows a release, so the lease counts as held until it expires.
    assert_eq!(results.etl("status").code, 0);
    assert_eq!(results.etl("run --day 2026-03-13").code, 75);
    let record = results.newest("_runs/commit_log");
    results.change_json(&record, |record| {
        record["written_at"] = "2026-03-13T00:00:00Z".into()
    });
    assert_eq!(results.etl("run --day 2026-03-13").code, 0);
    // Without the log, numbers continue after those of the manifests.
    fs::remove_dir_all(results.path("results/_runs/commit_log")).unwrap();
    fs::remove_dir_all(results.path("results/_locks")).unwrap();
    assert_eq!(
        results.etl("run --day 2026-03-14").json["outcome"],
        "published"
    );
    assert_eq!(
        results.etl("run --day 2026-03-14").json["outcome"],
        "up_to_date"
    );
}

#[test]
fn vacuum_removes_what_is_old_and_superseded_and_nothing_that_is_needed() {
    let mut results = Results::new();
    assert_eq!(results.etl("run --day 2026-03-08").code, 0);
    results.job = "[benchmark]\nmin_peers = 5\n".into();
    assert_eq!(results.etl("run --day 2026-03-08").code, 0);
    let root = results.path("results");
    // A manifest with the name that version 0.1.0 gave it, and files of another program.
    for name in ["20260311T010203.000000Z-77.json", "zzz.bak"] {
        fs::write(root.join("_runs/dt=2026-03-08").join(name), "{}").unwrap();
    }
    // The file of a process that was killed while it wrote.
    fs::write(root.join("_locks/0000000001.json#1"), "{").unwrap();
    let young = results.etl("vacuum");
    assert_eq!(
        (young.code, young.json["removed"].as_array().unwrap().len()),
        (0, 0),
        "{}",
        young.json
    );

    let before = results.files("results");
    let old = SystemTime::now() - Duration::from_secs(40 * 24 * 3600);
    for (path, _) in &before {
        fs::File::options()
            .write(true)
            .open(root.join(path))
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    let dry = results.etl("vacuum --dry-run");
    assert!(results.files("results") == before);
    assert!(
        results
            .text("vacuum --dry-run")
            .starts_with("would remove:")
    );
    let removed = results.etl("vacuum");
    assert_eq!(
        (removed.code, &removed.json["removed"]),
        (0, &dry.json["removed"])
    );
    let paths: BTreeSet<String> = removed.json["removed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["path"].as_str().unwrap().to_owned())
        .collect();
    let superseded = paths
        .iter()
        .filter(|path| path.starts_with("_runs/dt="))
        .count();
    assert_eq!(
        superseded, 9,
        "one of two manifests of each day, and the one of version 0.1.0: {paths:?}"
    );
    assert!(root.join("_runs/dt=2026-03-08/zzz.bak").exists());
    assert!(
        paths.contains("_locks/0000000001.json#1")
            && paths.contains("_runs/commit_log/0000000001.json")
    );
    assert!(
        paths.iter().any(|path| path.starts_with("_quarantine/")),
        "{paths:?}"
    );
    for path in &paths {
        assert!(path.starts_with('_') && !root.join(path).exists(), "{path}");
    }
    let tables = |files: &[(String, Vec<u8>)]| -> Vec<_> {
        files
            .iter()
            .filter(|(path, _)| !path.starts_with('_'))
            .cloned()
            .collect()
    };
    let after = results.files("results");
    assert!(tables(&after) == tables(&before));
    let up_to_date = results.etl("run --day 2026-03-08");
    assert_eq!(up_to_date.json["outcome"], "up_to_date");
    results.job = String::new();
    assert_eq!(
        results.etl("run --day 2026-03-08").json["outcome"],
        "published",
        "and the next commit finds its number"
    );
    assert_eq!(results.etl("vacuum --older-than-days 0").code, 2);
}

/// Each code of SPEC.md section 6 through the real program.
#[test]
fn every_exit_code_is_reached() {
    let mut results = Results::new();
    let mut reached = BTreeSet::new();
    let mut note = |ended: Outcome| {
        reached.insert(ended.code);
        ended
    };
    note(results.etl("run --day 2026-03-12"));
    note(results.etl("run --day yesterday"));
    note(results.etl("run --day 2026-03-20"));
    note(stopped(&results, "INT"));
    note(stopped(&results, "TERM"));
    let exports = results.exports.clone();
    results.exports = results.path("nowhere");
    note(results.etl("run --day 2026-03-12"));

    // A day whose shops cannot be read.
    let copy = results.path("exports");
    for path in walk(&exports)
        .iter()
        .filter(|path| path.contains("2026-03-1"))
    {
        fs::create_dir_all(copy.join(path).parent().unwrap()).unwrap();
        fs::copy(exports.join(path), copy.join(path)).unwrap();
    }
    results.exports = copy.clone();
    let shops = copy.join("shops/dt=2026-03-13/part-0.parquet");
    let whole = fs::read(&shops).unwrap();
    fs::write(&shops, "nothing").unwrap();
    note(results.etl_into("blocked", "run --day 2026-03-13"));
    fs::write(&shops, whole).unwrap();
    results.job = "lease_seconds = 0".into();
    note(results.etl("run --day 2026-03-12"));

    // 70 is for bugs only; the unit tests of src/bug.rs and src/failure.rs show that a
    // panic ends with it.
    let all = ExitCode::ALL.iter().filter(|code| **code != ExitCode::Bug);
    assert_eq!(reached, all.map(|code| *code as i32).collect());
}

#[test]
fn a_quiet_run_with_nothing_to_do_and_one_that_waits_say_nothing_whatever_rust_log_says() {
    let results = Results {
        job: "lookback_days = 14\n".into(),
        ..Results::new()
    };
    assert_eq!(results.etl("run --day 2026-03-14").code, 0);
    results.leave_a_lease(5);
    for manner in [
        &[][..],
        &["--log-format", "json"],
        &["--format", "json", "--log-format", "json"],
    ] {
        for log in ["", "trace", "debug,hyper_util=trace"] {
            // Up to date; not final; held by another run.
            for (command, code) in [
                ("run --day 2026-03-14", 0),
                ("run --day 2026-03-20", 75),
                ("unlock", 75),
            ] {
                let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
                let program = program
                    .args(results.args(command, "results"))
                    .args(manner)
                    .arg("--quiet");
                let ended = Outcome::of(program.env("RUST_LOG", log).output().unwrap());
                assert_eq!(
                    (ended.code, ended.stderr.as_str()),
                    (code, ""),
                    "{command} {manner:?} {log}"
                );
            }
        }
    }
}
