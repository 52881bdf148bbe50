//! The habits of a command line: flags, environment and job file; colours; verdict and exit code of
//! `status`; what every document says; completions, manual pages, version.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use campaign_etl::exit_code::ExitCode;
use tempfile::TempDir;

use crate::world::{Outcome, copy_folder};

struct Folder(TempDir);

impl Folder {
    fn new(job: &str) -> Folder {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("job.toml"), job).unwrap();
        Folder(folder)
    }

    /// With the exports of the sample, which tests may change.
    fn with_exports(job: &str) -> Folder {
        let folder = Folder::new(job);
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample_data/exports");
        copy_folder(&sample, &folder.path("exports"));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command in words in the folder.
    fn etl(&self, command: &str, environment: &[(&str, &str)]) -> Outcome {
        let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
        let program = program
            .args(command.split_whitespace())
            .current_dir(self.0.path())
            .env("CAMPAIGN_ETL_CONFIG", "job.toml")
            .env_remove("NO_COLOR")
            .envs(environment.iter().copied());
        Outcome::of(program.output().unwrap())
    }
}

#[test]
fn a_flag_counts_before_the_environment_and_the_environment_before_the_job_file() {
    let job = "exports = \"exports\"\nresults = \"of_the_file\"\nlookback_days = 0\n";
    let folder = Folder::with_exports(job);
    let run = "run --day 2026-03-02";
    assert_eq!(folder.etl(run, &[]).code, 0);
    assert!(folder.path("of_the_file/shop_daily").is_dir());

    let given = [("CAMPAIGN_ETL_RESULTS", "of_the_environment")];
    assert_eq!(folder.etl(run, &given).code, 0);
    assert!(folder.path("of_the_environment/shop_daily").is_dir());

    let flag = format!("{run} --results of_the_flag");
    assert_eq!(folder.etl(&flag, &given).code, 0);
    assert!(folder.path("of_the_flag/shop_daily").is_dir());

    // An empty variable gives nothing.
    let empty = [("CAMPAIGN_ETL_RESULTS", ""), ("CAMPAIGN_ETL_THREADS", "")];
    let plan = folder.etl("plan --day 2026-03-02 --format json", &empty);
    assert_eq!(plan.json["days"][0]["action"], "nothing", "{}", plan.stdout);

    // A key of a table, and one that is a number.
    let given = [
        ("CAMPAIGN_ETL_RESULTS", "of_the_file"),
        ("CAMPAIGN_ETL_LOOKBACK_DAYS", "1"),
        ("CAMPAIGN_ETL_STORE__CONCURRENCY", "4"),
    ];
    let plan = folder.etl("plan --day 2026-03-02 --format json", &given);
    assert_eq!(plan.json["days"].as_array().unwrap().len(), 2);
}

#[test]
fn a_wrong_variable_is_named_and_a_foreign_one_is_left_alone() {
    let folder = Folder::with_exports("exports = \"exports\"");
    let plan = |environment: &[(&str, &str)]| folder.etl("plan --day 2026-03-02", environment);
    for (name, value, expected) in [
        (
            "CAMPAIGN_ETL_RESULT",
            "x",
            "the variable CAMPAIGN_ETL_RESULT of the environment is no key of the job file; the nearest is CAMPAIGN_ETL_RESULTS",
        ),
        (
            "CAMPAIGN_ETL_STORE_CONCURRENCY",
            "4",
            "the nearest is CAMPAIGN_ETL_STORE__CONCURRENCY",
        ),
        (
            "CAMPAIGN_ETL_LEASE_SECONDS",
            "soon",
            "error: CAMPAIGN_ETL_LEASE_SECONDS: a wrong type: the text \"soon\", expected a whole number, 0 or more",
        ),
        (
            "CAMPAIGN_ETL_LEASE_SECONDS",
            "0",
            "error: CAMPAIGN_ETL_LEASE_SECONDS: lease_seconds = 0 is not from 1 to 3600",
        ),
        (
            "CAMPAIGN_ETL_TIME_ZONE",
            "America/Los_Angelos",
            "next: give one such as \"America/Los_Angeles\"",
        ),
    ] {
        let found = plan(&[(name, value)]);
        assert_eq!(found.code, 78, "{name}={value}");
        assert!(found.stderr.contains(expected), "{}", found.stderr);
    }
    for (name, value, expected) in [
        (
            "CAMPAIGN_ETL_REQUIRED",
            "ad_hours",
            "required is no single value",
        ),
        (
            "CAMPAIGN_ETL_MAY_BE_EMPTY",
            "x",
            "may_be_empty is no single value",
        ),
        (
            "CAMPAIGN_ETL_SOURCE__PATH",
            "x",
            "source.path is no single value",
        ),
        ("CAMPAIGN_ETL_STORE", "x", "store is no single value"),
        (
            "CAMPAIGN_ETL_CHECKS__SEVERITIES__GMV",
            "warn",
            "checks.severities.gmv is no single value",
        ),
        (
            "CAMPAIGN_ETL_TIER__0__NAME",
            "x",
            "tier.0.name is no single value",
        ),
    ] {
        let found = plan(&[(name, value)]);
        assert_eq!(found.code, 78, "{name}");
        assert!(found.stderr.contains(expected), "{}", found.stderr);
    }
    // As Kubernetes sets them for a service of this name, and as the DAG of jobs/ does.
    let foreign = [
        ("CAMPAIGN_ETL_HOME", "/srv/campaign-etl"),
        ("CAMPAIGN_ETL_RETRIES", "10"),
        ("CAMPAIGN_ETL_RETRY_SECONDS", "1800"),
        ("CAMPAIGN_ETL_TIMEOUT_SECONDS", "7200"),
        ("CAMPAIGN_ETL_SERVICE_HOST", "10.0.0.1"),
        ("CAMPAIGN_ETL_PORT_8080_TCP_PROTO", "tcp"),
    ];
    assert_eq!(plan(&foreign).code, 0);
}

/// Names and values in the bytes that the system has, which need not be UTF-8.
#[test]
fn bytes_that_are_no_text_are_refused_or_passed_on_and_never_lost() {
    let folder = Folder::with_exports("exports = \"exports\"");
    let run = |args: &[&OsStr], environment: &[(&str, &OsStr)]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
        let program = program.args(args).current_dir(folder.0.path());
        Outcome::of(program.envs(environment.iter().copied()).output().unwrap())
    };
    let bytes = OsStr::from_bytes;
    let job = folder.path("job.toml");
    let of_variable = run(
        &[bytes(b"plan"), bytes(b"--config"), job.as_os_str()],
        &[("CAMPAIGN_ETL_RESULTS", bytes(b"\xffresults"))],
    );
    assert_eq!(of_variable.code, 78);
    let said = "error: the value of the variable CAMPAIGN_ETL_RESULTS is not UTF-8\n";
    assert!(
        of_variable.stderr.starts_with(said),
        "{}",
        of_variable.stderr
    );

    fs::rename(&job, folder.path("x").with_file_name(bytes(b"\xff.toml"))).unwrap();
    let of_path = run(
        &[
            bytes(b"plan"),
            bytes(b"--day"),
            bytes(b"2026-03-02"),
            bytes(b"--config"),
            bytes(b"\xff.toml"),
        ],
        &[],
    );
    assert_eq!(of_path.code, 0, "{}", of_path.stderr);
}

#[test]
fn a_location_that_is_wrong_is_told_with_its_line() {
    let folder = Folder::new("results = \"r\"\nexports = \"foo://bar\"\n");
    let found = folder.etl("plan", &[]);
    assert_eq!(found.code, 78);
    let said = "error: in the job file job.toml: line 2, column 11\n  |\n2 | exports = \"foo://bar\"\n  |           ^^^^^^^^^^^\n";
    assert!(found.stderr.starts_with(said), "{}", found.stderr);
    let found = folder.etl("plan", &[("CAMPAIGN_ETL_EXPORTS", "foo://bar")]);
    let said = "error: CAMPAIGN_ETL_EXPORTS: \"foo://bar\" is not a location\n";
    assert!(found.stderr.starts_with(said), "{}", found.stderr);
}

#[test]
fn a_flag_that_is_wrong_is_named_without_a_line_of_the_job_file() {
    let folder = Folder::new("exports = \"exports\"");
    let found = folder.etl("plan --results=", &[]);
    assert!(
        found
            .stderr
            .starts_with("error: --results: results is empty\n  why: "),
        "{}",
        found.stderr
    );
}

#[test]
fn an_error_has_four_parts_for_people_and_for_programs() {
    let folder = Folder::new("lokback_days = 7\n");
    let found = folder.etl("status --format json", &[]);
    let expected = "\
error: in the job file job.toml: line 1, column 1
  |
1 | lokback_days = 7
  | ^^^^^^^^^^^^
\"lokback_days\" is not a key of the job file; the nearest is \"lookback_days\"
  why: The job file has a key that means nothing.
  tonight: readers see the earlier results; the command does not start
  next: correct the name, or remove it
";
    assert_eq!(found.stderr, expected);
    let json = &found.json;
    assert_eq!(json["why"], "The job file has a key that means nothing.");
    assert_eq!(
        json["tonight"],
        "the earlier results; the command does not start"
    );
    assert_eq!(json["next"], "correct the name, or remove it");
    assert_eq!(
        json["error"],
        "in the job file job.toml: line 1, column 1: \"lokback_days\" is not a key of the job file; the nearest is \
         \"lookback_days\"; correct the name, or remove it"
    );
    assert_eq!(
        (&json["exit_code"], &json["retry"]),
        (&78.into(), &false.into())
    );
}

#[test]
fn a_monitor_learns_from_the_exit_code_of_status_whether_the_night_is_fine() {
    let folder = Folder::with_exports("exports = \"exports\"\nlookback_days = 2\n");
    let status = |of: &str| folder.etl(&format!("status --day {of} --exit-code"), &[]);
    let first_line = |outcome: &Outcome| outcome.stdout.lines().next().unwrap().to_owned();

    let before = status("2026-03-10");
    assert_eq!(before.code, 75);
    assert_eq!(
        first_line(&before),
        "Tonight is not fine: 2026-03-10: not published."
    );
    assert_eq!(folder.etl("status --day 2026-03-10", &[]).code, 0);

    assert_eq!(folder.etl("run --day 2026-03-10", &[]).code, 0);
    let after = status("2026-03-10");
    assert_eq!((after.code, first_line(&after).as_str()), (0, FINE));

    // A day that has no exports yet.
    let waiting = status("2026-03-20");
    assert_eq!(waiting.code, 75);
    assert_eq!(
        first_line(&waiting),
        "Tonight is not fine: 2026-03-20: waiting."
    );

    // The exports of the next day are broken.
    fs::write(
        folder.path("exports/shops/dt=2026-03-11/part-0.parquet"),
        "x",
    )
    .unwrap();
    assert_eq!(folder.etl("run --day 2026-03-11", &[]).code, 65);
    let blocked = status("2026-03-11");
    assert_eq!(blocked.code, 65);
    assert_eq!(
        first_line(&blocked),
        "Tonight is not fine: 2026-03-11: blocked."
    );
    let problem = "\nproblem: 2026-03-11: blocked: shops breaks its contract: ";
    assert!(blocked.stdout.contains(problem), "{}", blocked.stdout);

    // A manifest that cannot be read.
    for manifest in fs::read_dir(folder.path("results/_runs/dt=2026-03-10")).unwrap() {
        fs::write(manifest.unwrap().path(), "{").unwrap();
    }
    let damaged = status("2026-03-10");
    assert_eq!(damaged.code, 74, "{}", damaged.stdout);
    let json = folder
        .etl("status --day 2026-03-10 --format json --exit-code", &[])
        .json;
    assert_eq!(
        (&json["is_fine"], &json["exit_code"]),
        (&false.into(), &74.into())
    );
    assert_eq!(json["retry"], true);
}

const FINE: &str = "Tonight is fine: 2026-03-10 is published from its own exports and up to date.";

#[test]
fn every_document_says_whether_to_run_again() {
    let folder = Folder::with_exports("exports = \"exports\"\nlookback_days = 0\n");
    fs::remove_file(folder.path("exports/shops/dt=2026-03-04/_SUCCESS")).unwrap();
    for (command, code, retry) in [
        ("run --day 2026-03-02", 0, false),
        ("run --day 2026-03-20", 75, true),
        ("backfill --from 2026-03-03 --to 2026-03-03", 0, false),
        ("backfill --from 2026-03-20 --to 2026-03-20", 75, true),
        // A day that waits is to be computed later, also where its fallback is accepted.
        ("run --day 2026-03-04 --accept-fallback", 0, true),
        (
            "backfill --from 2026-03-04 --to 2026-03-04 --accept-fallback",
            0,
            true,
        ),
        ("diff --day 2026-03-02", 78, false),
        ("doctor", 0, false),
        ("init --exports exports --out other.toml", 0, false),
        ("plan --day 2026-03-02", 0, false),
        ("status --day 2026-03-02", 0, false),
        ("validate --day 2026-03-02", 0, false),
        ("validate --day 2026-03-20", 75, true),
        (
            "explain --day 2026-03-02 --shop 1 --metric nothing",
            78,
            false,
        ),
        ("describe", 0, false),
        ("describe shop_dayly", 78, false),
        ("catalog", 0, false),
        ("schema", 0, false),
        ("unlock", 0, false),
        ("vacuum", 0, false),
        ("generate --out new --days 1 --shops 3", 0, false),
        ("run --exports nowhere --day 2026-03-02", 74, true),
        ("plan --exports nowhere", 74, true),
        ("run --day yesterday", 2, false),
    ] {
        let found = folder.etl(&format!("{command} --format json"), &[]);
        assert_eq!(found.code, code, "{command}: {}", found.stderr);
        let document = (&found.json["exit_code"], &found.json["retry"]);
        assert_eq!(document, (&code.into(), &retry.into()), "{command}");
    }
}

#[test]
fn colours_are_for_terminals_unless_they_are_asked_for() {
    let folder = Folder::new("");
    let stderr =
        |arguments: &str, environment: &[(&str, &str)]| folder.etl(arguments, environment).stderr;
    let has_colours = |text: &str| text.contains('\u{1b}');
    let wrong = "run --config nowhere.toml";
    // stderr is a pipe here.
    assert!(!has_colours(&stderr(wrong, &[])));
    assert!(has_colours(&stderr(
        &format!("{wrong} --color always"),
        &[]
    )));
    assert!(has_colours(&stderr(
        wrong,
        &[("CAMPAIGN_ETL_COLOR", "always"), ("NO_COLOR", "")]
    )));
    // A flag counts before the variable.
    for (flag, variable, has) in [
        ("never", "always", false),
        ("auto", "always", false),
        ("always", "never", true),
        ("always", "auto", true),
    ] {
        let said = stderr(
            &format!("{wrong} --color={flag}"),
            &[("CAMPAIGN_ETL_COLOR", variable)],
        );
        assert_eq!(has_colours(&said), has, "{flag} {variable}");
    }
    // Errors of the arguments too.
    assert!(has_colours(&stderr("run --dya 1 --color=always", &[])));
    assert!(!has_colours(&stderr("run --dya 1 --color auto", &[])));
}

#[test]
fn exit_codes_are_explained_with_who_acts() {
    let folder = Folder::new("");
    let page = folder.etl("help exit-codes", &[]).stdout;
    for code in ExitCode::ALL {
        let line = format!("\n  {:<4} {}\n       retry: ", *code as u8, code.meaning());
        assert!(page.contains(&line), "{line}");
    }
    assert_eq!(page.matches("retry: yes").count(), 4, "74, 75, 130 and 143");
}

#[test]
fn completions_and_manual_pages_have_every_command() {
    let folder = Folder::new("");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = folder.etl(&format!("completions {shell}"), &[]).stdout;
        assert!(
            script.contains("backfill") && script.contains("accept-fallback"),
            "{shell}"
        );
    }
    let page = folder.etl("man", &[]).stdout;
    assert!(
        page.starts_with(".ie") && page.contains(".SH SUBCOMMANDS"),
        "{page}"
    );
    assert_eq!(folder.etl("man --out pages", &[]).code, 0);
    let run = fs::read_to_string(folder.path("pages/campaign-etl-run.1")).unwrap();
    assert!(run.contains("accept\\-fallback"), "{run}");
}

/// As `{ before; campaign-etl catalog --out /dev/stdout; after; } > file` does.
#[test]
fn a_file_that_a_shell_leads_stdout_to_is_not_replaced() {
    let folder = Folder::new("");
    let mut file = fs::File::create(folder.path("file")).unwrap();
    file.write_all(b"before\n").unwrap();
    let config = folder.path("job.toml");
    let results = folder.path("results");
    fs::create_dir(&results).unwrap();
    let mut catalog = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
    catalog
        .args(["catalog", "--out", "/dev/stdout", "--config"])
        .arg(config);
    catalog
        .arg("--results")
        .arg(results)
        .stdout(file.try_clone().unwrap());
    assert!(catalog.status().unwrap().success());
    file.write_all(b"after\n").unwrap();
    let text = fs::read_to_string(folder.path("file")).unwrap();
    assert!(
        text.starts_with("before\n") && text.ends_with("after\n"),
        "{text}"
    );
    assert!(text.contains("VIEW \"shop_daily\""), "{text}");
}

/// What bash offers for the last of these words.
fn completed_by_bash(folder: &Folder, words: &str) -> String {
    let script = folder.etl("completions bash", &[]).stdout;
    let ask = format!(
        "COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        function=$(complete -p campaign-etl | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        $function campaign-etl \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"
        echo \"${{COMPREPLY[@]}}\""
    );
    let bash = Command::new("bash")
        .args(["-c", &format!("{script}\n{ask}")])
        .output();
    String::from_utf8(bash.unwrap().stdout).unwrap()
}

#[test]
fn bash_completes_commands_flags_and_their_values() {
    let folder = Folder::new("");
    for (words, offered) in [
        ("campaign-etl back", "backfill"),
        ("campaign-etl status --exi", "--exit-code"),
        ("campaign-etl run --accept-f", "--accept-fallback"),
        ("campaign-etl run --color al", "always"),
    ] {
        assert_eq!(
            completed_by_bash(&folder, words).trim_end(),
            offered,
            "{words}"
        );
    }
}

/// The expected commit is that of the repository, as git names it.
#[test]
fn the_version_names_the_commit_and_the_features() {
    let version = Folder::new("").etl("--version", &[]).stdout;
    let (commit, features) = version
        .strip_prefix(concat!(
            "campaign-etl ",
            env!("CARGO_PKG_VERSION"),
            " (commit "
        ))
        .and_then(|rest| rest.trim_end().strip_suffix(')'))
        .and_then(|rest| rest.split_once(", features: "))
        .unwrap_or_else(|| panic!("{version}"));
    let expected = if cfg!(feature = "spark") {
        "spark"
    } else {
        "none"
    };
    assert_eq!(features, expected);
    let is_hash = |text: &str| text.len() >= 12 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let hash = commit.strip_suffix("-dirty").unwrap_or(commit);
    let head = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let has_repository = Path::new(env!("CARGO_MANIFEST_DIR")).join(".git").exists();
    let Some(head) = head
        .ok()
        .filter(|git| git.status.success() && has_repository)
    else {
        // A copy of the source, or a machine without git.
        return assert!(is_hash(hash) || commit == "unknown", "{commit}");
    };
    let head = String::from_utf8(head.stdout).unwrap();
    assert!(is_hash(hash) && head.starts_with(hash), "{commit} {head}");
}
