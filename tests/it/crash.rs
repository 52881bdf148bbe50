//! Every call to the stores fails: before its effect and after it, once and for good.
//!
//! A reader sees whole days, and the next run ends with the bytes of an undisturbed one, without
//! help. A sample of the calls is tried, or all of them (`sampling.rs`).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use backon::ExponentialBuilder;
use campaign_etl::catalog::commit_log::Owner;
use campaign_etl::config::Config;
use campaign_etl::contracts::PART_FILE;
use campaign_etl::exit_code::ExitCode;
use campaign_etl::failure::exit_code_of;
use campaign_etl::fingerprint::sha256;
use campaign_etl::pipeline::backfill::{Range, backfill};
use campaign_etl::pipeline::job::Job;
use campaign_etl::pipeline::night;
use campaign_etl::progress::{Display, Progress};
use campaign_etl::report::run::{Outcome, Strictness};
use campaign_etl::resources::Resources;
use campaign_etl::stop::Stop;
use campaign_etl::store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{FutureExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;

use crate::duckdb::Duckdb;
use crate::faults::{Fault, Faults, Faulty};
use crate::sampling::{is_full, sample};
use crate::scene::{
    CONFIG, DAYS, Objects, WITHDRAWN, day, exports_of_the_second_day_anew,
    exports_of_the_third_day_anew, first_exports, is_mixed, lasting, later_exports, on_its_way,
    walk,
};
use crate::world::World;

/// Exports, and the results before the command that is disturbed.
struct Scene {
    runtime: Runtime,
    exports: Arc<dyn ObjectStore>,
    before: Objects,
    command: Command,
}

#[derive(Clone, Copy, Debug)]
enum Command {
    Run,
    Backfill,
}

impl Scene {
    fn new(command: Command) -> Scene {
        let runtime = Runtime::new().unwrap();
        let exports: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let mut scene = Scene {
            runtime,
            exports,
            before: Objects::new(),
            command,
        };
        scene.export(&first_exports());
        let results: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let job = scene.job(results.clone(), &Faults::new(None), now);
        night::run(&job, day(DAYS[1])).unwrap();
        drop(job);
        scene.before = scene.objects(&results);
        scene
            .runtime
            .block_on(scene.exports.delete(&Path::from(WITHDRAWN)))
            .unwrap();
        scene.export(&later_exports());
        scene
    }

    fn export(&self, world: &World) {
        for (path, bytes) in files_of(world) {
            self.runtime
                .block_on(self.exports.put(&Path::from(path), bytes.into()))
                .unwrap();
        }
    }

    /// A store with faults in front of it; a failed call is tried twice more, without a pause.
    fn store(&self, inner: Arc<dyn ObjectStore>, faults: &Arc<Faults>, location: &str) -> Store {
        let faulty = Faulty {
            inner,
            faults: faults.clone(),
        };
        let mut store = Store::new(Arc::new(faulty), location, self.runtime.handle().clone());
        store.retries = ExponentialBuilder::new()
            .with_min_delay(Duration::ZERO)
            .with_max_times(2);
        store
    }

    fn job(
        &self,
        results: Arc<dyn ObjectStore>,
        faults: &Arc<Faults>,
        clock: fn() -> DateTime<Utc>,
    ) -> Job {
        let owner = Owner {
            run_id: format!("run-{}", clock()),
            host: "host".into(),
            pid: 1,
            lease_seconds: 60,
        };
        Job {
            config: Config::parse(CONFIG).unwrap(),
            exports: self.store(self.exports.clone(), faults, "exports"),
            results: self.store(results, faults, "results"),
            progress: Progress::new(Display::Logs),
            owner,
            clock,
            resources: Resources {
                threads: 2,
                memory_bytes: 1 << 30,
                spill_folder: std::env::temp_dir(),
                spilled_bytes: Arc::default(),
                counts: Arc::default(),
                stop: Stop::default(),
            },
            lineage_key: None,
        }
    }

    fn objects(&self, store: &Arc<dyn ObjectStore>) -> Objects {
        self.runtime.block_on(async {
            let mut objects = Objects::new();
            let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
            for meta in listed {
                let bytes = store
                    .get(&meta.location)
                    .await
                    .unwrap()
                    .bytes()
                    .await
                    .unwrap();
                objects.insert(meta.location.to_string(), bytes);
            }
            objects
        })
    }

    fn results_before(&self) -> Arc<dyn ObjectStore> {
        let store = InMemory::new();
        self.runtime.block_on(async {
            for (path, bytes) in &self.before {
                store
                    .put(&Path::from(path.as_str()), bytes.clone().into())
                    .await
                    .unwrap();
            }
        });
        Arc::new(store)
    }

    fn command(&self, job: &Job) -> Result<ExitCode> {
        match self.command {
            Command::Run => Ok(night::run(job, day(DAYS[2]))?.exit_code(Strictness::default())),
            Command::Backfill => {
                let range = Range {
                    first: day(DAYS[0]),
                    last: day(DAYS[2]),
                    latest_first: false,
                    parallel: 1,
                };
                let report = backfill(job, &range)?;
                let days = report.days.len() + report.failed.len();
                assert!(
                    days == DAYS.len() || report.ended_by.is_some(),
                    "a day that fails stops no other"
                );
                Ok(report.exit_code(Strictness::default()))
            }
        }
    }
}

fn now() -> DateTime<Utc> {
    Utc::now()
}

/// The lease of a run that died has expired.
fn an_hour_later() -> DateTime<Utc> {
    Utc::now() + TimeDelta::hours(1)
}

#[derive(Debug, Default)]
struct Count {
    faults: u64,
    failed: u64,
    /// Commits that the next run had to finish.
    on_its_way: u64,
    /// Days of such commits where a reader that ignores `_SUCCESS` found old files beside new ones.
    mixed: u64,
    /// The number of times that DuckDB read the results.
    duckdb: u64,
}

/// The results of an undisturbed command, and the number of its calls to the stores.
fn undisturbed(scene: &Scene) -> (Objects, u64) {
    let (results, faults) = (scene.results_before(), Faults::new(None));
    let code = scene
        .command(&scene.job(results.clone(), &faults, now))
        .unwrap();
    assert_eq!(code, ExitCode::Published);
    (scene.objects(&results), faults.calls())
}

/// Each call with each kind of fault.
fn every_fault(calls: u64) -> Vec<Fault> {
    let mut faults = Vec::new();
    for call in 1..=calls {
        for (after_effect, for_good) in [(false, false), (true, false), (false, true), (true, true)]
        {
            faults.push(Fault {
                call,
                after_effect,
                for_good,
            });
        }
    }
    faults
}

fn inject_faults(command: Command) {
    let scene = Scene::new(command);
    let (after, calls) = undisturbed(&scene);
    assert!(
        lasting(&after) != lasting(&scene.before)
            && kept_versions(&after).len() > 10
            && calls > 300,
        "{calls} calls"
    );
    let mut duckdb = Duckdb::start(&scene.before, &after);
    let mut count = Count::default();
    for fault in sample(every_fault(calls), 36) {
        inject(&scene, fault, &after, &mut duckdb, &mut count);
    }
    println!("{command:?}: {calls} calls, {count:?}");
    assert!(count.failed > 0 && count.on_its_way > 0, "{count:?}");
    assert!(
        !is_full() || (count.faults == 4 * calls && count.mixed > 0),
        "{count:?}"
    );
}

fn inject(
    scene: &Scene,
    fault: Fault,
    after: &Objects,
    duckdb: &mut Option<Duckdb>,
    count: &mut Count,
) {
    let (results, faults) = (scene.results_before(), Faults::new(Some(fault)));
    let ended = scene.command(&scene.job(results.clone(), &faults, now));
    assert!(faults.calls() >= fault.call, "{fault:?} was not injected");
    count.faults += 1;
    let code = ended.as_ref().map_or_else(exit_code_of, |code| *code);
    if code != ExitCode::Published {
        count.failed += 1;
        assert_eq!(code, ExitCode::StoreFailed, "{fault:?}: {ended:?}");
    }
    let found = scene.objects(&results);
    let on_its_way = on_its_way(&found);
    for day in DAYS {
        count.mixed += u64::from(is_mixed(
            &found,
            &scene.before,
            day,
            on_its_way.as_deref() == Some(day),
        ));
    }
    count.on_its_way += u64::from(on_its_way.is_some());
    // A backfill continues after a day that failed, so a later day may have a third version.
    if let (Some(duckdb), Command::Run) = (duckdb, scene.command) {
        duckdb.sees_whole_days(&found, &DAYS, on_its_way.as_deref());
        count.duckdb = duckdb.reads;
    }
    assert!(
        on_its_way.is_none() || fault.for_good,
        "{fault:?}: a passing fault is not worth a second run"
    );

    let next = scene.command(&scene.job(results.clone(), &Faults::new(None), an_hour_later));
    assert_eq!(
        next.unwrap(),
        ExitCode::Published,
        "{fault:?}: the next run"
    );
    let healed = scene.objects(&results);
    assert!(
        lasting(&healed) == lasting(after),
        "{fault:?}: other bytes than an undisturbed run"
    );
    assert!(
        !healed.keys().any(|path| path.starts_with("_staging/")),
        "{fault:?}: leftovers"
    );
    assert_no_version_lost_or_doubled(scene, fault, &healed);
    if fault.call.is_multiple_of(16) {
        let third = scene.command(&scene.job(results.clone(), &Faults::new(None), an_hour_later));
        assert_eq!(third.unwrap(), ExitCode::Published);
        assert!(
            scene.objects(&results) == healed,
            "{fault:?}: a run with nothing to do wrote something"
        );
    }
}

/// Every file that was published before the command, and is not any more, is kept; and no version of
/// a table is kept twice.
fn assert_no_version_lost_or_doubled(scene: &Scene, fault: Fault, healed: &Objects) {
    let kept: Vec<(&str, String)> = kept_versions(healed);
    for (path, bytes) in &scene.before {
        let is_table = !path.starts_with('_') && path.ends_with(PART_FILE);
        if is_table && healed.get(path) != Some(bytes) {
            let (folder, _) = path.rsplit_once('/').unwrap();
            let version = (folder, sha256(bytes));
            assert!(kept.contains(&version), "{fault:?}: {path} is lost");
        }
    }
    let mut once = kept.clone();
    once.dedup();
    assert!(once.len() == kept.len(), "{fault:?}: {kept:?}");
}

/// The versions of tables in the history: a table's folder and the hash of a file; sorted.
fn kept_versions(objects: &Objects) -> Vec<(&str, String)> {
    let mut kept: Vec<(&str, String)> = objects
        .iter()
        .filter_map(|(path, bytes)| {
            let (folder, _) = path.strip_prefix("_history/")?.rsplit_once('/')?;
            Some((folder, sha256(bytes)))
        })
        .collect();
    kept.sort();
    kept
}

/// The objects of a world's exports.
fn files_of(world: &World) -> Objects {
    let folder = tempfile::tempdir().unwrap();
    world.write(folder.path(), 1);
    walk(folder.path())
        .into_iter()
        .map(|path| {
            (
                path.clone(),
                std::fs::read(folder.path().join(path)).unwrap().into(),
            )
        })
        .collect()
}

type Change = Box<dyn Fn() + Send + Sync>;

/// Exports a world into the store of a scene, from within a call to a store.
fn export_anew(scene: &Scene, files: &Arc<Objects>) -> Change {
    let (exports, files) = (scene.exports.clone(), files.clone());
    Box::new(move || {
        for (path, bytes) in files.iter() {
            let put = exports
                .put(&Path::from(path.as_str()), bytes.clone().into())
                .now_or_never();
            put.unwrap().unwrap();
        }
    })
}

/// Runs the third day while `change` happens just before a call. Gives the exit code, and the
/// results before and after a second run that nothing disturbs.
fn run_while_exports_change(call: u64, files: &Arc<Objects>) -> (ExitCode, Objects, Objects) {
    let scene = Scene::new(Command::Run);
    let results = scene.results_before();
    let faults = Faults::meanwhile(call, export_anew(&scene, files));
    let code = scene
        .command(&scene.job(results.clone(), &faults, now))
        .unwrap();
    let found = scene.objects(&results);
    let next = scene.command(&scene.job(results.clone(), &Faults::new(None), now));
    assert_eq!(next.unwrap(), ExitCode::Published);
    (code, found, scene.objects(&results))
}

/// The tables and the quarantine of the third day.
fn of_the_third_day(objects: &Objects) -> Objects {
    let folder = format!("dt={}", DAYS[2]);
    lasting(objects)
        .into_iter()
        .filter(|(path, _)| path.contains(&folder))
        .collect()
}

/// The report day is exported anew just before each call in turn.
#[test]
fn exports_that_change_while_they_are_read_are_never_published_half_old_and_half_new() {
    let anew = Arc::new(files_of(&exports_of_the_third_day_anew()));
    let (undisturbed, calls) = undisturbed(&Scene::new(Command::Run));
    let old = of_the_third_day(&undisturbed);
    // Nothing is read before the first call.
    let (code, complete, _) = run_while_exports_change(1, &anew);
    assert_eq!(code, ExitCode::Published);
    let new = of_the_third_day(&complete);
    assert!(old != new && !old.is_empty());

    let (mut refused, mut read_old, mut read_new) = (0, 0, 0);
    for call in sample((1..=calls).collect(), 24) {
        let (code, found, healed) = run_while_exports_change(call, &anew);
        let found = of_the_third_day(&found);
        match code {
            ExitCode::Published if found == old => read_old += 1,
            ExitCode::Published if found == new => read_new += 1,
            ExitCode::TryLater if found.is_empty() => refused += 1,
            _ => panic!("call {call}: {code:?}, {} files", found.len()),
        }
        assert!(lasting(&healed) == lasting(&complete), "call {call}");
    }
    println!("{read_new} read new, {refused} refused, {read_old} published before the change");
    let least = if is_full() { 10 } else { 0 };
    assert!(refused > least && read_old > least && read_new > least);
}

/// A store takes 30 ms for each request; requests side by side wait together.
#[test]
fn a_run_with_nothing_to_do_waits_for_at_most_12_requests_in_turn() {
    let scene = Scene::new(Command::Run);
    let results = scene.results_before();
    let rounds = || {
        let faults = Faults::counting_rounds();
        let code = scene.command(&scene.job(results.clone(), &faults, now));
        assert_eq!(code.unwrap(), ExitCode::Published);
        println!("{} calls in {} rounds", faults.calls(), faults.rounds());
        faults.rounds()
    };
    let (with_work, up_to_date) = (rounds(), rounds());
    assert!(
        with_work > 20 && up_to_date <= 12,
        "{with_work}, {up_to_date}"
    );
}

#[test]
fn every_fault_of_a_run_leaves_whole_days_and_the_next_run_heals_it() {
    inject_faults(Command::Run);
}

#[test]
fn every_fault_of_a_backfill_leaves_whole_days_and_the_next_run_heals_it() {
    inject_faults(Command::Backfill);
}

/// Two days of exports without a result, and a third that is not final.
fn scene_of_a_day_that_waits() -> Scene {
    let scene = Scene {
        runtime: Runtime::new().unwrap(),
        exports: Arc::new(InMemory::new()),
        before: Objects::new(),
        command: Command::Run,
    };
    scene.export(&first_exports());
    scene
}

/// Runs the third day, whose exports are not there; tells whether benchmarks of the day before
/// stand in.
fn stands_in(scene: &Scene, faults: &Arc<Faults>) -> bool {
    let results: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut report = night::run(&scene.job(results, faults, now), day(DAYS[2])).unwrap();
    assert_eq!(
        report.close(Strictness::default()),
        ExitCode::TryLater,
        "{report:?}"
    );
    let of_the_day = report.missing.iter().filter(|m| m.day == day(DAYS[2]));
    let missing: Vec<&str> = of_the_day.map(|m| &*m.dataset).collect();
    let required = [
        "campaign_shops",
        "campaigns",
        "order_lines",
        "product_traffic",
        "shops",
    ];
    assert_eq!(missing, required);
    report.is_fallback
}

/// The day before is exported anew just before each call in turn, while the report day is not
/// final.
#[test]
fn a_day_before_that_changes_while_it_is_read_is_waited_for() {
    let anew = Arc::new(files_of(&exports_of_the_second_day_anew()));
    let faults = Faults::new(None);
    assert!(stands_in(&scene_of_a_day_that_waits(), &faults));
    let calls = faults.calls();
    assert!(calls > 100);
    let mut waited = 0;
    for call in sample((1..=calls).collect(), 24) {
        let scene = scene_of_a_day_that_waits();
        let faults = Faults::meanwhile(call, export_anew(&scene, &anew));
        waited += u64::from(!stands_in(&scene, &faults));
    }
    println!("{waited} of {calls} had no stand-in");
    assert!(waited > if is_full() { 5 } else { 0 });
}

const BUG: &str = "a bug that this test made";

/// A panic at each call in turn; without the hook, which would print a backtrace of each.
#[test]
fn a_bug_on_one_day_does_not_keep_the_run_from_the_others() {
    let scene = Scene::new(Command::Run);
    let (_, calls) = undisturbed(&scene);
    let (mut of_another_day, mut of_the_day) = (0, 0);
    for call in sample((1..=calls).collect(), 24) {
        let faults = Faults::meanwhile(call, || resume_unwind(Box::new(BUG)));
        let job = scene.job(scene.results_before(), &faults, now);
        let run = AssertUnwindSafe(|| night::run(&job, day(DAYS[2])));
        // A panic before the first day, or while the lease is taken, ends the run: `main` tells it.
        let Ok(Ok(mut report)) = catch_unwind(run) else {
            continue;
        };
        let code = report.close(Strictness::default());
        if report.days_failed.is_empty() && report.error.is_none() {
            continue;
        }
        assert_eq!(code, ExitCode::Bug, "call {call}: {report:?}");
        let Some(failed) = report.days_failed.first() else {
            of_the_day += 1;
            continue;
        };
        of_another_day += 1;
        assert!(failed.error.contains(BUG), "{}", failed.error);
        assert_eq!(
            report.outcome,
            Outcome::Published,
            "call {call}: {report:?}"
        );
    }
    println!("{calls} calls: {of_another_day} on another day, {of_the_day} on the day itself");
    let least = if is_full() { 20 } else { 0 };
    assert!(of_another_day > least && of_the_day > least);
}
