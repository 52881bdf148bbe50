//! OpenLineage events against a receiver on loopback: their facts, and a receiver that fails.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::Value;
use tempfile::TempDir;

use crate::scene::walk;
use crate::world::{Outcome, copy_folder, read_file};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sample_data/exports");

/// A request: its head, and the event.
struct Post {
    head: String,
    event: Value,
}

/// How a receiver treats requests.
#[derive(Clone, Copy)]
enum Manner {
    Takes,
    /// Answers 500.
    Fails,
}

/// A receiver of events.
struct Listener {
    address: SocketAddr,
    posts: Receiver<Post>,
}

impl Listener {
    fn start(manner: Manner) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, posts) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let sender = sender.clone();
                std::thread::spawn(move || receive(stream.unwrap(), manner, &sender));
            }
        });
        Listener { address, posts }
    }

    fn url(&self) -> String {
        format!("http://{}/api/v1/lineage", self.address)
    }

    /// The events so far, oldest first.
    fn events(&self) -> Vec<Value> {
        self.posts.try_iter().map(|post| post.event).collect()
    }
}

fn receive(mut stream: TcpStream, manner: Manner, posts: &Sender<Post>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|bytes| bytes > 2) {}
    let head = head.to_ascii_lowercase();
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let event = serde_json::from_slice(&body).unwrap();
    let _ = posts.send(Post { head, event });
    let status = match manner {
        Manner::Takes => "201 Created",
        Manner::Fails => "500 Internal Server Error",
    };
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes());
}

/// Results of the sample, and a job file with a receiver.
struct Night(TempDir);

impl Night {
    fn new(lineage: &str) -> Night {
        let night = Night(TempDir::new().unwrap());
        let job = format!("lookback_days = 0\n{lineage}");
        fs::write(night.path("job.toml"), job).unwrap();
        night
    }

    fn with(listener: &Listener) -> Night {
        Night::new(&format!("[lineage]\nurl = \"{}\"\n", listener.url()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, command: &str, exports: &Path) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
        program.args(command.split(' '));
        program.arg("--config").arg(self.path("job.toml"));
        program.arg("--exports").arg(exports);
        program.arg("--results").arg(self.path("results"));
        program
    }

    fn etl(&self, command: &str, exports: &Path) -> Outcome {
        Outcome::of(self.command(command, exports).output().unwrap())
    }

    fn tables(&self) -> BTreeMap<String, Vec<u8>> {
        let root = self.path("results");
        let files = walk(&root).into_iter().filter(|f| !f.starts_with('_'));
        files
            .map(|f| (f.clone(), fs::read(root.join(f)).unwrap()))
            .collect()
    }
}

/// The types of events.
fn types(events: &[Value]) -> Vec<&str> {
    let types = events.iter().map(|event| &event["eventType"]);
    types.map(|word| word.as_str().unwrap()).collect()
}

/// The dataset whose name ends so.
fn named<'a>(datasets: &'a Value, ending: &str) -> &'a Value {
    let mut found = datasets
        .as_array()
        .unwrap()
        .iter()
        .filter(|dataset| dataset["name"].as_str().unwrap().ends_with(ending));
    let one = found.next().unwrap();
    assert!(found.next().is_none());
    one
}

#[test]
fn a_published_day_has_a_start_and_an_end_with_column_lineage() {
    let listener = Listener::start(Manner::Takes);
    let night = Night::with(&listener);
    let mut program = night.command("run --day 2026-03-14", Path::new(SAMPLE));
    program.env("OPENLINEAGE_API_KEY", "a-key-of-the-receiver");
    let ended = Outcome::of(program.output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let posts: Vec<Post> = listener.posts.try_iter().collect();
    for post in &posts {
        assert!(post.head.starts_with("post /api/v1/lineage http/1.1"));
        for header in [
            "\ncontent-type: application/json",
            "\nauthorization: bearer a-key-of-the-receiver",
        ] {
            assert!(post.head.contains(header), "{}", post.head);
        }
    }
    let events: Vec<Value> = posts.into_iter().map(|post| post.event).collect();
    assert_eq!(types(&events), ["START", "COMPLETE"]);
    let (start, end) = (&events[0], &events[1]);
    assert_eq!(start["run"]["runId"], end["run"]["runId"]);
    assert_eq!(start["job"]["namespace"], "campaign-etl");
    assert_eq!(start["job"]["name"], "report_day");
    let nominal = &end["run"]["facets"]["nominalTime"];
    assert_eq!(nominal["nominalStartTime"], "2026-03-14T07:00:00.000Z");

    // The ten exports; at the end with the rows that were read.
    assert_eq!(start["inputs"].as_array().unwrap().len(), 10);
    let lines = named(&end["inputs"], "/order_lines");
    assert_eq!(lines["namespace"], "file");
    assert_eq!(lines["name"], format!("{SAMPLE}/order_lines"));
    let folder = Path::new(SAMPLE).join("order_lines/dt=2026-03-14");
    let files = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path());
    let files: Vec<PathBuf> = files
        .filter(|f| f.extension().is_some_and(|e| e == "parquet"))
        .collect();
    let rows: usize = files.iter().map(|file| read_file(file).1.len()).sum();
    let read = &lines["inputFacets"]["inputStatistics"];
    assert_eq!(read["rowCount"], rows);
    assert_eq!(read["fileCount"], files.len());

    let shops = named(&end["outputs"], "/results/shop_daily");
    let file = night.path("results/shop_daily/dt=2026-03-14/part-0.parquet");
    let written = &shops["outputFacets"]["outputStatistics"];
    assert_eq!(written["rowCount"], read_file(&file).1.len());
    assert_eq!(written["size"], fs::metadata(&file).unwrap().len());
    // customers: distinct buyer_id of order_lines.
    let fields = &shops["facets"]["columnLineage"]["fields"];
    let customers = fields["customers"]["inputFields"].as_array().unwrap();
    assert_eq!(customers.len(), 1);
    assert_eq!(customers[0]["namespace"], "file");
    assert_eq!(customers[0]["name"], format!("{SAMPLE}/order_lines"));
    assert_eq!(customers[0]["field"], "buyer_id");
    let transformation = &customers[0]["transformations"][0];
    assert_eq!(transformation["type"], "DIRECT");
    assert_eq!(transformation["description"], "distinct buyer_id");
    // A table over published ones reads them.
    let periods = named(&end["outputs"], "/results/shop_period");
    let gmv = &periods["facets"]["columnLineage"]["fields"]["gmv"]["inputFields"];
    assert_eq!(gmv.as_array().unwrap().len(), 1);
    let shop_daily = night.path("results/shop_daily");
    assert_eq!(gmv[0]["name"], shop_daily.to_str().unwrap());
    assert_eq!(gmv[0]["field"], "gmv");
    named(&end["inputs"], "/results/shop_daily");

    // Nothing is left to do.
    assert_eq!(night.etl("run --day 2026-03-14", Path::new(SAMPLE)).code, 0);
    assert_eq!(listener.events(), Vec::<Value>::new());
}

#[test]
fn benchmarks_that_stand_in_are_an_end_of_their_own() {
    let listener = Listener::start(Manner::Takes);
    let night = Night::with(&listener);
    let ended = night.etl(
        "backfill --from 2026-03-14 --to 2026-03-15",
        Path::new(SAMPLE),
    );
    assert_eq!(ended.code, 75, "{}", ended.stderr);
    let events = listener.events();
    assert_eq!(types(&events), ["START", "COMPLETE", "START", "COMPLETE"]);
    assert_ne!(events[0]["run"]["runId"], events[2]["run"]["runId"]);
    assert_eq!(events[3]["job"]["name"], "benchmarks_that_stand_in");
    assert_eq!(outputs(&events[3]), STAND_INS);
}

const STAND_INS: [&str; 3] = ["category_benchmark", "shop_benchmark", "gmv_gap"];

/// The tables that an event names as written.
fn outputs(event: &Value) -> Vec<&str> {
    let outputs = event["outputs"].as_array().unwrap().iter();
    outputs
        .map(|o| o["name"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect()
}

/// The exports of some days of the sample; the order lines of the last one are no Parquet.
fn broken_exports(night: &Night, days: &[&str]) -> (PathBuf, PathBuf) {
    let exports = night.path("exports");
    for dataset in fs::read_dir(SAMPLE).unwrap().map(|d| d.unwrap()) {
        for day in days {
            let day = format!("dt={day}");
            let to = exports.join(dataset.file_name()).join(&day);
            copy_folder(&dataset.path().join(&day), &to);
        }
    }
    let lines = exports.join(format!("order_lines/dt={}", days.last().unwrap()));
    let file = fs::read_dir(&lines).unwrap().map(|f| f.unwrap().path());
    let mut files = file.filter(|f| f.extension().is_some_and(|e| e == "parquet"));
    let file = files.next().unwrap();
    fs::write(&file, "no Parquet").unwrap();
    (exports, file)
}

#[test]
fn a_blocked_day_fails_without_outputs_and_what_stands_in_is_a_run_of_its_own() {
    let listener = Listener::start(Manner::Takes);
    let night = Night::with(&listener);
    let (exports, _) = broken_exports(&night, &["2026-03-13", "2026-03-14"]);
    assert_eq!(night.etl("run --day 2026-03-13", &exports).code, 0);
    assert_eq!(types(&listener.events()), ["START", "COMPLETE"]);
    let ended = night.etl("run --day 2026-03-14", &exports);
    assert_eq!(ended.code, 65, "{}", ended.stderr);
    let events = listener.events();
    assert_eq!(types(&events), ["START", "FAIL", "START", "COMPLETE"]);
    let of = |event: &Value| (event["job"]["name"].clone(), event["run"]["runId"].clone());
    let [began, failed, stands, stood] = [0, 1, 2, 3].map(|i| of(&events[i]));
    assert_eq!(began, failed);
    assert_eq!(stands, stood);
    assert_ne!(began.1, stood.1);
    assert_eq!(failed.0, "report_day");
    assert_eq!(stood.0, "benchmarks_that_stand_in");
    assert_eq!(outputs(&events[1]), Vec::<&str>::new());
    assert_eq!(outputs(&events[3]), STAND_INS);
    // The next run fails again. The benchmarks stand in already.
    assert_eq!(night.etl("run --day 2026-03-14", &exports).code, 65);
    assert_eq!(types(&listener.events()), ["START", "FAIL"]);
}

#[test]
fn a_blocked_day_fails_on_each_run_with_its_reason() {
    let listener = Listener::start(Manner::Takes);
    let night = Night::with(&listener);
    let (exports, file) = broken_exports(&night, &["2026-03-14"]);
    for _ in 0..2 {
        let ended = night.etl("run --day 2026-03-14", &exports);
        assert_eq!(ended.code, 65, "{}", ended.stderr);
        let events = listener.events();
        assert_eq!(types(&events), ["START", "FAIL"]);
        let error = &events[1]["run"]["facets"]["errorMessage"];
        let message = error["message"].as_str().unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(
            message.starts_with("2026-03-14 order_lines: ") && message.contains(name),
            "{message}"
        );
        assert_eq!(events[1]["outputs"].as_array().unwrap().len(), 0);
    }
}

/// Runs into a receiver that does not take events: the tables and the exit code are those of a run without
/// lineage, and one warning names the receiver and the reason.
fn changes_nothing(url: &str, reason: &str) {
    let (night, plain) = (
        Night::new(&format!("[lineage]\nurl = \"{url}\"\n")),
        Night::new(""),
    );
    let command = "backfill --from 2026-03-13 --to 2026-03-15";
    assert_eq!(plain.etl(command, Path::new(SAMPLE)).code, 75);
    let ended = night.etl(command, Path::new(SAMPLE));
    assert_eq!(ended.code, 75, "{}", ended.stderr);
    let warnings = ended.stderr.lines().filter(|line| line.contains("lineage"));
    let warnings: Vec<&str> = warnings.collect();
    assert_eq!(warnings.len(), 1, "{}", ended.stderr);
    assert!(
        warnings[0].starts_with("warning: ")
            && warnings[0].contains(url)
            && warnings[0].contains(reason),
        "{warnings:?}"
    );
    assert!(night.tables() == plain.tables());
}

#[test]
fn a_receiver_that_fails_is_tried_twice_and_changes_nothing() {
    let listener = Listener::start(Manner::Fails);
    changes_nothing(&listener.url(), "500 Internal Server Error");
    assert_eq!(types(&listener.events()), ["START", "START"]);
}

#[test]
fn a_receiver_that_refuses_connections_changes_nothing() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let url = format!("http://{}/", address.unwrap());
    changes_nothing(&url, "onnection refused");
}

/// The signal may come just between two days, so several nights are tried.
#[test]
fn a_signal_aborts_the_day_in_progress() {
    for _ in 0..20 {
        let listener = Listener::start(Manner::Takes);
        let night = Night::with(&listener);
        let command = "backfill --from 2026-03-01 --to 2026-03-14";
        let mut program = night.command(command, Path::new(SAMPLE));
        let program = program.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = program.spawn().unwrap();
        let first = listener.posts.recv().unwrap().event;
        assert_eq!(first["eventType"], "START");
        let id = child.id().to_string();
        let kill = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(kill.success());
        let ended = Outcome::of(child.wait_with_output().unwrap());
        assert_eq!(ended.code, 143, "{}", ended.stderr);
        let mut events = listener.events();
        events.insert(0, first);
        let types = types(&events);
        let starts = types.iter().filter(|word| **word == "START").count();
        assert_eq!(starts * 2, types.len(), "{types:?}");
        if types.last() == Some(&"ABORT") {
            let error = &events.last().unwrap()["run"]["facets"]["errorMessage"];
            assert!(error["message"].as_str().unwrap().contains("terminated"));
            return;
        }
        assert_eq!(types.last(), Some(&"COMPLETE"));
    }
    panic!("no day was in progress when the signal came");
}
