//! The real program is killed at random moments: a reader sees whole days, and the next run heals.
//!
//! `KILL_ROUNDS` in the environment is the number of kills on each kind of store.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::duckdb::Duckdb;
use crate::sampling;
use crate::scene::{
    CONFIG, DAYS, Objects, WITHDRAWN, first_exports, is_mixed, lasting, later_exports, on_its_way,
};
use crate::stores::{Folder, kinds};
use crate::world::Outcome;

/// Exports and a job file on a disk; the results may be in any store.
pub struct Desk {
    folder: TempDir,
}

impl Desk {
    /// A desk whose exports have not changed yet.
    pub fn new() -> Desk {
        let desk = Desk {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::write(
            desk.path("job.toml"),
            format!("lease_seconds = 1\n{CONFIG}"),
        )
        .unwrap();
        first_exports().write(desk.folder.path().join("exports").as_path(), 1);
        desk
    }

    pub fn change_exports(&self) {
        std::fs::remove_file(self.folder.path().join("exports").join(WITHDRAWN)).unwrap();
        later_exports().write(self.folder.path().join("exports").as_path(), 1);
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub fn command(&self, command: &str, results: &Folder) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
        program.args(command.split(' ')).args([
            "--config",
            &self.path("job.toml"),
            "--exports",
            &self.path("exports"),
        ]);
        program.args(["--results", &results.location, "--format", "json"]);
        program
    }

    pub fn start(&self, command: &str, results: &Folder) -> Child {
        self.command(command, results)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    pub fn etl(&self, command: &str, results: &Folder) -> Outcome {
        let output = self.command(command, results).output().unwrap();
        Outcome::of(output)
    }

    /// Runs again while another run holds the results, as a scheduler would.
    pub fn etl_when_free(&self, command: &str, results: &Folder) -> Outcome {
        let started = Instant::now();
        loop {
            let ended = self.etl(command, results);
            if ended.code != 75 || started.elapsed() > Duration::from_secs(60) {
                return ended;
            }
            sleep(Duration::from_millis(50));
        }
    }
}

/// Publishes two days and changes the exports: the start of each round.
pub fn scene(desk: &Desk, kind: crate::stores::Kind, runtime: &Runtime) -> Objects {
    let results = Folder::new(kind, runtime);
    assert_eq!(
        desk.etl(&format!("run --day {}", DAYS[1]), &results).code,
        0
    );
    desk.change_exports();
    results.objects()
}

#[test]
fn a_killed_run_leaves_whole_days_and_the_next_run_heals_it() {
    let rounds = sampling::rounds("KILL_ROUNDS", 4, 20);
    let runtime = Runtime::new().unwrap();
    let mut random = Pcg64Mcg::new(sampling::seed().into());
    for kind in kinds() {
        let desk = Desk::new();
        let before = scene(&desk, kind, &runtime);
        let commands = [
            format!("run --day {}", DAYS[2]),
            format!("backfill --from {} --to {} --parallel 2", DAYS[0], DAYS[2]),
        ];
        let undisturbed = Folder::new(kind, &runtime);
        undisturbed.fill(&before);
        let started = Instant::now();
        assert_eq!(desk.etl(&commands[0], &undisturbed).code, 0);
        let (after, mut usual) = (undisturbed.objects(), started.elapsed());
        assert!(lasting(&after) != lasting(&before));

        let mut duckdb = Duckdb::start(&before, &after);
        let (mut killed, mut unfinished, mut mixed) = (0, 0, 0);
        for round in 0..rounds {
            let command = &commands[round as usize % commands.len()];
            let results = Folder::new(kind, &runtime);
            results.fill(&before);
            let mut child = desk.start(command, &results);
            let (started, moment) = (
                Instant::now(),
                usual.mul_f64(f64::from(random.next_u32()) / f64::from(u32::MAX)),
            );
            while started.elapsed() < moment && child.try_wait().unwrap().is_none() {
                sleep(Duration::from_millis(1));
            }
            // The run ended before it could be killed: the machine is less busy now.
            if child.try_wait().unwrap().is_some() {
                usual = started.elapsed();
            }
            child.kill().unwrap();
            killed += u32::from(child.wait().unwrap().code().is_none());
            let found = results.objects();
            let on_its_way = on_its_way(&found);
            for day in DAYS {
                mixed += u32::from(is_mixed(
                    &found,
                    &before,
                    day,
                    on_its_way.as_deref() == Some(day),
                ));
            }
            unfinished += u32::from(on_its_way.is_some());
            if let Some(duckdb) = &mut duckdb {
                duckdb.sees_whole_days(&found, &DAYS, on_its_way.as_deref());
            }
            let next = desk.etl_when_free(command, &results);
            assert_eq!(next.code, 0, "round {round}: {}", next.stderr);
            let healed = results.objects();
            assert!(
                lasting(&healed) == lasting(&after),
                "round {round}: other bytes than an undisturbed run"
            );
            assert!(
                !healed.keys().any(|path| path.starts_with("_staging/")),
                "round {round}: leftovers"
            );
        }
        println!(
            "{kind:?}: {rounds} rounds, killed before their end {killed}, commits to finish {unfinished}, days mixed \
             meanwhile {mixed}, read with DuckDB {}",
            duckdb.map_or(0, |duckdb| duckdb.reads)
        );
        assert!(
            killed > rounds / 3,
            "most runs were over before they could be killed"
        );
    }
}
