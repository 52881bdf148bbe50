//! DuckDB as a reader of results by plain globs.
//!
//! `CAMPAIGN_ETL_TEST_DUCKDB` names a Python with the package `duckdb`. Without it, DuckDB is left
//! out.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use campaign_etl::contracts::tables;

use crate::scene::Objects;

/// Rows and checksum of each table and day: `shop_daily/dt=2026-03-09`.
type Read = BTreeMap<String, serde_json::Value>;

pub struct Duckdb {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    before: Read,
    after: Read,
    /// The number of times that it read.
    pub reads: u64,
}

impl Duckdb {
    /// Starts DuckDB and lets it read the results before a command and after it.
    pub fn start(before: &Objects, after: &Objects) -> Option<Duckdb> {
        let python = std::env::var("CAMPAIGN_ETL_TEST_DUCKDB").ok()?;
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/stores/read_with_duckdb.py"
        );
        let mut command = Command::new(python);
        command
            .arg(script)
            .args(tables::all().map(|table| table.name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (questions, answers) = (
            process.stdin.take().unwrap(),
            process.stdout.take().unwrap(),
        );
        let answers = BufReader::new(answers);
        let (empty, none) = (Read::new(), Read::new());
        let mut reader = Duckdb {
            process,
            questions,
            answers,
            before: empty,
            after: none,
            reads: 0,
        };
        reader.before = reader.read(before);
        reader.after = reader.read(after);
        assert!(!reader.before.is_empty() && reader.before != reader.after);
        Some(reader)
    }

    fn read(&mut self, objects: &Objects) -> Read {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in objects {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        writeln!(self.questions, "{}", folder.path().display()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        self.reads += 1;
        serde_json::from_str(&answer).unwrap()
    }

    /// Checks that DuckDB finds the old version or the new one of every table and day. Where no
    /// commit is unfinished, a day's tables are all old or all new.
    pub fn sees_whole_days(&mut self, objects: &Objects, days: &[&str], on_its_way: Option<&str>) {
        let found = self.read(objects);
        for day in days {
            let of_day = |read: &Read| -> Read {
                read.iter()
                    .filter(|(path, _)| path.ends_with(day))
                    .map(|(p, v)| (p.clone(), v.clone()))
                    .collect()
            };
            let (found, before, after) =
                (of_day(&found), of_day(&self.before), of_day(&self.after));
            if on_its_way == Some(*day) {
                for path in found.keys().chain(before.keys()).chain(after.keys()) {
                    let is_whole =
                        found.get(path) == before.get(path) || found.get(path) == after.get(path);
                    assert!(is_whole, "{path}: {:?}", found.get(path));
                }
            } else {
                assert!(
                    found == before || found == after,
                    "{day} is neither the old day nor the new one"
                );
            }
        }
    }
}

impl Drop for Duckdb {
    fn drop(&mut self) {
        let _ = self.process.kill();
    }
}
