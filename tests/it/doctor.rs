//! `doctor`: what each check says of a sound job, and of one defect at a time; it leaves nothing behind.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::bucket::Bucket;
use crate::scene::walk;
use crate::world::{Outcome, copy_folder, etl};

const EXPORTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sample_data/exports");

const CHECKS: [&str; 11] = [
    "job_file",
    "zone_data",
    "exports",
    "results",
    "conditional_writes",
    "renames",
    "clock",
    "memory",
    "spill_folder",
    "free_space",
    "open_files",
];

/// A job over the sample's exports, in a folder of its own.
struct Desk {
    folder: TempDir,
    job: String,
    environment: Vec<(&'static str, String)>,
}

impl Desk {
    fn new() -> Desk {
        let desk = Desk {
            folder: TempDir::new().unwrap(),
            job: String::new(),
            environment: vec![],
        };
        fs::create_dir(desk.path("spill")).unwrap();
        Desk {
            job: format!(
                "exports = \"{EXPORTS}\"\nresults = \"{}\"\nspill_folder = \"{}\"\n",
                desk.path("results").display(),
                desk.path("spill").display()
            ),
            ..desk
        }
    }

    /// The job with one line of it replaced.
    fn with(mut self, key: &str, value: &str) -> Desk {
        self.job = self
            .job
            .lines()
            .filter(|line| !line.starts_with(&format!("{key} =")))
            .chain([format!("{key} = {value}").as_str()])
            .map(|line| format!("{line}\n"))
            .collect();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn args(&self, command: &[&str]) -> Vec<String> {
        let job = self.path("job.toml");
        fs::write(&job, &self.job).unwrap();
        let command = command.iter().map(|arg| (*arg).to_owned());
        let config = ["--config".to_owned(), job.to_str().unwrap().to_owned()];
        command.chain(config).collect()
    }

    fn etl(&self, command: &[&str]) -> Outcome {
        let args = self.args(command);
        etl(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The text of `doctor`, with its environment and no other.
    fn text(&self) -> Outcome {
        let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
        let program = program.args(self.args(&["doctor"])).env_clear();
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        Outcome::of(program.envs(environment).output().unwrap())
    }

    fn examine(&self) -> Examined {
        let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
        let args = self.args(&["doctor", "--format", "json"]);
        let program = program.args(args).env_clear();
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        Examined(Outcome::of(program.envs(environment).output().unwrap()))
    }

    /// Keys of an S3 whose server is at this URL.
    fn with_keys(mut self, url: &str) -> Desk {
        self.environment = [
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_ENDPOINT", url),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "eu-central-1"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec();
        self
    }
}

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY";

struct Examined(Outcome);

impl Examined {
    fn find(&self, check: &str) -> &Value {
        let checks = self.0.json["checks"].as_array().unwrap();
        checks.iter().find(|it| it["check"] == check).unwrap()
    }

    fn outcome(&self, check: &str) -> &str {
        self.find(check)["outcome"].as_str().unwrap()
    }

    fn text(&self, check: &str) -> &str {
        self.find(check)["text"].as_str().unwrap()
    }

    fn remedy(&self, check: &str) -> &str {
        self.find(check)["remedy"].as_str().unwrap()
    }

    /// The exit code; and that of these checks and no others the outcome is so.
    #[track_caller]
    fn only(&self, outcome: &str, expected: &[&str]) -> i32 {
        let found: Vec<&str> = CHECKS
            .into_iter()
            .filter(|check| self.outcome(check) == outcome)
            .collect();
        assert_eq!(found, expected, "{outcome}: {}", self.0.stdout);
        assert_eq!(self.0.json["exit_code"], self.0.code, "{}", self.0.stdout);
        self.0.code
    }
}

/// Every file below a folder, with its bytes.
fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    walk(root)
        .into_iter()
        .map(|path| (path.clone(), fs::read(root.join(path)).unwrap()))
        .collect()
}

#[test]
fn a_sound_job_is_ready_and_the_results_stay_as_they_are_beside_a_run_at_work() {
    let desk = Desk::new();
    assert_eq!(desk.etl(&["run", "--day", "2026-03-12"]).code, 0);
    let results = desk.path("results");
    // The lease of a run that has not released it.
    let lease = results.join("_locks").join("0000000001.json");
    let mut holder: Value = serde_json::from_slice(&fs::read(&lease).unwrap()).unwrap();
    holder["released_at"] = Value::Null;
    holder["heartbeat_at"] = "9999-01-01T00:00:00Z".into();
    fs::write(&lease, holder.to_string()).unwrap();
    let before = files(&results);

    let found = desk.examine();
    assert_eq!(found.only("fail", &[]), 0);
    found.only("not_checked", &[]);
    assert_eq!(found.0.json["is_ready"], true);
    let names: Vec<&str> = found.0.json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["check"].as_str().unwrap())
        .collect();
    assert_eq!(names, CHECKS);
    for check in [
        "job_file",
        "exports",
        "results",
        "conditional_writes",
        "renames",
        "clock",
    ] {
        assert_eq!(found.outcome(check), "ok", "{}", found.0.stdout);
        assert!(found.find(check)["remedy"].is_null());
    }
    assert!(
        found
            .text("exports")
            .contains("newest final day 2026-03-14")
    );
    assert!(found.text("job_file").contains("job.toml, engine local"));
    assert!(
        found
            .text("results")
            .contains("was written, read, moved and removed")
    );
    assert!(
        found
            .text("free_space")
            .contains("a night writes up to about")
    );
    assert!(files(&results) == before, "nothing is left behind");
    assert!(files(&desk.path("spill")).is_empty());

    let text = desk.text();
    assert_eq!(text.code, 0);
    let last = text.stdout.lines().last().unwrap();
    assert!(
        last.starts_with("ready: no check failed"),
        "{}",
        text.stdout
    );
    let line = text
        .stdout
        .lines()
        .find(|line| line.contains(" clock "))
        .unwrap();
    assert!(line.starts_with("ok    clock               "), "{line}");
}

#[test]
fn results_that_do_not_exist_yet_are_probed_beside_their_place_and_not_created() {
    let desk = Desk::new();
    let desk = desk.with("results", "\"DESK/new/results\"");
    let desk = Desk {
        job: desk
            .job
            .replace("DESK", desk.folder.path().to_str().unwrap()),
        ..desk
    };
    let found = desk.examine();
    assert_eq!(found.only("fail", &[]), 0);
    found.only("not_checked", &[]);
    let says = format!(
        "does not exist yet; a run creates it in {}",
        desk.folder.path().display()
    );
    assert!(found.text("results").contains(&says), "{}", found.0.stdout);
    let mut left: Vec<_> = fs::read_dir(desk.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["job.toml", "spill"]);
}

#[test]
fn a_broken_job_file_is_shown_with_its_line_and_the_other_checks_say_why_they_are_not_made() {
    let desk = Desk::new().with("lookback_day", "3");
    let found = desk.examine();
    assert_eq!(found.only("fail", &["job_file"]), 78);
    let text = found.text("job_file");
    assert!(
        text.contains("\"lookback_day\" is not a key of the job file")
            && text.contains("job.toml: line "),
        "{text}"
    );
    assert_eq!(found.remedy("job_file"), "correct the name, or remove it");
    assert_eq!(found.outcome("zone_data"), "ok");
    found.only("not_checked", &CHECKS[2..]);
    for check in &CHECKS[2..] {
        assert_eq!(found.text(check), "not checked: the job file is wrong");
    }
    let text = desk.text().stdout;
    assert!(
        text.contains("\n                          next: correct the name, or remove it\n"),
        "{text}"
    );
    assert!(
        text.ends_with("not ready: 1 of 11 checks failed, 9 not made\n"),
        "{text}"
    );
}

#[test]
fn results_that_cannot_be_written_are_named_and_the_other_checks_are_made() {
    let desk = Desk::new();
    fs::write(desk.path("results"), "a file").unwrap();
    let found = desk.examine();
    assert_eq!(found.only("fail", &["results"]), 74);
    assert!(
        found
            .text("results")
            .contains("is a file where a folder belongs")
    );
    assert!(found.remedy("results").contains("move it away"));
    found.only(
        "not_checked",
        &["conditional_writes", "renames", "clock", "free_space"],
    );
    assert_eq!(found.outcome("exports"), "ok");
    assert_eq!(fs::read(desk.path("results")).unwrap(), b"a file");
}

#[test]
fn exports_that_are_not_there_are_named() {
    let desk = Desk::new();
    let nowhere = format!("\"{}\"", desk.path("nowhere").display());
    let found = desk.with("exports", &nowhere).examine();
    assert_eq!(found.only("fail", &["exports"]), 74);
    assert!(found.text("exports").contains("cannot open"));
    assert!(found.remedy("exports").contains("check the location"));
}

#[test]
fn a_spill_folder_that_is_not_there_or_in_memory_is_told() {
    let desk = Desk::new();
    fs::remove_dir(desk.path("spill")).unwrap();
    let found = desk.examine();
    assert_eq!(found.only("fail", &["spill_folder"]), 78);
    assert!(
        found
            .remedy("spill_folder")
            .contains("spill_folder in the job file")
    );

    // Linux has it everywhere, and in memory.
    if Path::new("/dev/shm").exists() {
        let found = Desk::new().with("spill_folder", "\"/dev/shm\"").examine();
        assert_eq!(found.only("fail", &[]), 0);
        assert_eq!(found.outcome("spill_folder"), "warn");
        assert!(
            found
                .text("spill_folder")
                .contains("free on tmpfs (in memory: ")
        );
        assert!(found.remedy("spill_folder").contains("a local disk"));
    }
}

#[test]
fn a_table_on_another_file_system_is_told_before_the_first_night() {
    let desk = Desk::new();
    fs::create_dir(desk.path("results")).unwrap();
    let device = |folder: &Path| fs::metadata(folder).unwrap().dev();
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    assert_ne!(
        device(elsewhere.path()),
        device(desk.folder.path()),
        "this test needs two file systems: /dev/shm, and another one for TMPDIR"
    );
    symlink(elsewhere.path(), desk.path("results/shop_daily")).unwrap();
    let found = desk.examine();
    assert_eq!(found.only("fail", &["renames"]), 78);
    assert!(
        found
            .text("renames")
            .contains("is on another file system than")
    );
    assert_eq!(
        found.remedy("renames"),
        "keep all results on one file system"
    );
}

/// The days lie in folders of another form, above and below those of the datasets.
#[test]
fn the_newest_final_day_of_mapped_exports_is_found() {
    for (pattern, folder_of) in [
        (
            "{day:%Y/%m/%d}/{dataset}",
            (|dataset, day| format!("2026/03/{day}/{dataset}")) as fn(&str, &str) -> String,
        ),
        ("raw/{dataset}/date={day:%Y%m%d}/final", |dataset, day| {
            format!("raw/{dataset}/date=202603{day}/final")
        }),
    ] {
        let mut desk = Desk::new();
        let exports = desk.path("exports");
        for dataset in fs::read_dir(EXPORTS).unwrap().map(|it| it.unwrap()) {
            let name = dataset.file_name().into_string().unwrap();
            for day in ["12", "13"] {
                let from = dataset.path().join(format!("dt=2026-03-{day}"));
                copy_folder(&from, &exports.join(folder_of(&name, day)));
            }
        }
        desk = desk.with("exports", &format!("{:?}", exports.to_str().unwrap()));
        desk.job += &format!("[source]\npath = \"{pattern}\"\n");
        let found = desk.examine();
        let said = found.text("exports");
        assert!(said.contains("newest final day 2026-03-13"), "{said}");
    }
}

#[test]
fn a_memory_limit_beyond_the_machine_warns() {
    let found = Desk::new().with("memory_limit", "\"1000TiB\"").examine();
    assert_eq!(found.only("fail", &[]), 0);
    assert_eq!(found.outcome("memory"), "warn");
    assert!(
        found
            .text("memory")
            .starts_with("a limit of 1000.0 TiB in ")
    );
    assert!(found.remedy("memory").starts_with("set memory_limit to "));
}

#[test]
fn a_server_that_is_not_there_is_named_with_the_account_and_without_its_secret() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Nobody listens there any more.
    drop(listener);
    let desk = Desk::new()
        .with("exports", "\"s3://bucket/exports\"")
        .with_keys(&url);
    let found = desk.examine();
    assert_eq!(found.only("fail", &["exports"]), 74);
    found.only("not_checked", &[]);
    let text = found.text("exports");
    let account = format!("s3://bucket/exports as access key AKIAEXAMPLE at {url}: ");
    assert!(text.starts_with(&account), "{text}");
    assert!(!found.0.stdout.contains(SECRET) && !found.0.stderr.contains(SECRET));

    // With a defect that no retry mends.
    fs::remove_dir(desk.path("spill")).unwrap();
    assert_eq!(
        desk.examine().only("fail", &["exports", "spill_folder"]),
        78
    );
}

#[test]
fn a_bucket_that_ignores_conditions_is_refused_unless_one_writer_is_promised() {
    let in_bucket = |bucket: &Bucket| {
        let desk = Desk::new().with("results", "\"s3://bucket/results\"");
        desk.with_keys(&bucket.url())
    };
    let (honest, lookalike) = (Bucket::start(true), Bucket::start(false));
    // The clocks of these servers stand still since 14 March 2026, 07:00.
    let found = in_bucket(&honest).examine();
    assert_eq!(found.only("fail", &["clock"]), 78);
    assert!(found.text("clock").contains(" ahead of the results' store"));
    assert!(found.text("conditional_writes").starts_with("honoured"));
    assert!(
        found
            .text("results")
            .contains("s3://bucket/results as access key AKIAEXAMPLE")
    );

    let found = in_bucket(&lookalike).examine();
    assert_eq!(found.only("fail", &["conditional_writes", "clock"]), 78);
    assert!(
        found
            .text("conditional_writes")
            .contains("created the same object twice")
    );
    assert!(
        found
            .remedy("conditional_writes")
            .contains("single_writer = true")
    );

    let promised = in_bucket(&lookalike)
        .with("single_writer", "true")
        .examine();
    promised.only("fail", &["clock"]);
    assert!(
        promised
            .text("conditional_writes")
            .starts_with("not honoured; single_writer = true")
    );
    for bucket in [honest, lookalike] {
        assert_eq!(bucket.keys(), [""; 0]);
    }
}
