//! The decisions about a day and its tables: compute, refresh, stand in, wait, blocked.
//!
//! Each decision has a reason. It is made from folders, manifests and settings, never from rows.
//! The walk over days (`pipeline/walk.rs`) asks for each decision once. A plan announces it, and a
//! run carries it out.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use chrono::{DateTime, NaiveDate, Utc};

use crate::catalog::manifest::{BlockedExports, Manifest, SkippedSum, Sources};
use crate::catalog::state::State;
use crate::checks::history;
use crate::config::{Config, Tier};
use crate::contracts::arrow::show_cents;
use crate::contracts::datasets::{DATASETS, dataset};
use crate::contracts::fingerprint::{add_dataset, add_table};
use crate::contracts::tables::{BENCHMARKS, ROLLUPS};
use crate::contracts::{SnapshotId, Table};
use crate::days::calendar::six_months_before;
use crate::days::readiness::{
    DayExports, NotFinal, Readiness, check_day, check_location, list_days, readiness,
};
use crate::days::spans::days_of;
use crate::fingerprint::Fingerprint;
use crate::messages;
use crate::publish::reader::{DayTables, Version};
use crate::store::Store;
use crate::threads::lock;
use crate::windows::{BenchmarkDay, PublishedTables};

/// Identifies the code that reads exports (`build.rs`). Another program may accept exports that
/// this one refuses. So a verdict is valid only for the program that gave it.
const READER: &str = env!("CAMPAIGN_ETL_READER");

/// The facts behind every decision: settings, export folders (each listed once) and manifests.
pub struct Facts<'a> {
    pub exports: &'a Store,
    pub results: &'a Store,
    pub config: &'a Config,
    /// By which exports have settled or not.
    pub now: DateTime<Utc>,
    pub state: State,
    readiness: Mutex<HashMap<NaiveDate, Readiness>>,
}

impl<'a> Facts<'a> {
    /// # Errors
    /// `StoreFailed` when the location of the exports has no dataset. `ConfigWrong` when the
    /// results are in another currency.
    pub fn load(
        exports: &'a Store,
        results: &'a Store,
        config: &'a Config,
        now: DateTime<Utc>,
    ) -> Result<Facts<'a>> {
        check_location(exports, &config.mapping)?;
        let facts = Facts {
            exports,
            results,
            config,
            now,
            state: State::load(results)?,
            readiness: Mutex::default(),
        };
        facts.check_currency()?;
        Ok(facts)
    }

    /// Results hold one currency. Amounts of two currencies cannot be added up or compared.
    fn check_currency(&self) -> Result<()> {
        // A manifest that cannot be read is reported when its day is needed.
        let mut newest_first = self.state.days().into_iter().rev();
        let newest = newest_first.find_map(|day| self.manifest(day).ok().flatten());
        match newest {
            Some(manifest) if manifest.currency != self.config.currency => {
                let (found, wanted) = (&manifest.currency, &self.config.currency);
                Err(messages::other_currency(wanted, &self.results.location, found).into())
            }
            _ => Ok(()),
        }
    }

    /// Prefetches the export folders of days, and the manifests that these days need, many at a time.
    /// `days` ascend. A failure is reported when its day is needed.
    pub fn look_ahead(&self, days: impl Iterator<Item = NaiveDate>) {
        let unknown: Vec<NaiveDate> = days
            .filter(|day| !lock(&self.readiness).contains_key(day))
            .collect();
        let listed = list_days(self.exports, &self.config.mapping, &unknown, self.now);
        for listed in listed.unwrap_or_default() {
            let day = listed.day;
            let found = readiness(listed, &self.config.required);
            lock(&self.readiness).insert(day, found);
        }
        if let Some((first, last)) = unknown.first().zip(unknown.last()) {
            // No table reads further back.
            self.state.look_ahead(six_months_before(*first), *last);
        }
    }

    pub fn readiness(&self, day: NaiveDate) -> Result<Readiness> {
        if let Some(known) = lock(&self.readiness).get(&day) {
            return Ok(known.clone());
        }
        let found = check_day(self.exports, day, self.config, self.now)?;
        lock(&self.readiness).insert(day, found.clone());
        Ok(found)
    }

    pub fn manifest(&self, day: NaiveDate) -> Result<Option<Arc<Manifest>>> {
        self.state.manifest(day)
    }

    /// The published tables for the computations of a day.
    pub fn tables(&self, day: NaiveDate) -> DayTables<'_> {
        DayTables::new(self.results, &self.state, day)
    }
}

/// The decision about a day's own tables.
pub(crate) enum Decision {
    /// Required exports are not final; sorted.
    Wait(Vec<NotFinal>),
    /// An earlier run of this program found the same exports blocked, or their checks failed.
    Blocked(BlockedExports),
    /// Read the exports and compute every table.
    Compute(ReadyDay, &'static str),
    /// The rollups are fresh. Each table over them is decided by itself ([`decide_table`]).
    Refresh(ReadyDay),
}

/// A day whose required exports are final.
#[derive(Clone, Debug)]
pub struct ReadyDay {
    pub exports: DayExports,
    /// Fingerprint of all inputs of its rollups.
    pub inputs: String,
}

/// Decides about a day's own tables.
pub(crate) fn decide(facts: &Facts, day: NaiveDate) -> Result<Decision> {
    let exports = match facts.readiness(day)? {
        Readiness::Ready(exports) => exports,
        Readiness::NotYet(missing) => return Ok(Decision::Wait(missing)),
    };
    let inputs = rollup_inputs(&exports, facts.config);
    let manifest = facts.manifest(day)?;
    let manifest = manifest.as_deref();
    let mut why = manifest.map_or(Some(NOT_PUBLISHED), |m| why_compute(m, &inputs));
    if let Some(blocked) = manifest.and_then(|m| known_blocked(m, &inputs)) {
        match why_check_again(facts, day, blocked)? {
            None => return Ok(Decision::Blocked(blocked.clone())),
            changed => why = changed,
        }
    }
    let ready = ReadyDay { exports, inputs };
    Ok(match why {
        Some(why) => Decision::Compute(ready, why),
        None => Decision::Refresh(ready),
    })
}

const NOT_PUBLISHED: &str = "final, not published";

/// The reason why the rollups must be computed; `None`: they are fresh.
fn why_compute(manifest: &Manifest, inputs: &str) -> Option<&'static str> {
    if manifest.has_lost_rollup() {
        return Some("a published file is gone or cut short");
    }
    match manifest.rollup_inputs.as_deref() {
        None => Some(NOT_PUBLISHED),
        Some(published) if published != inputs => {
            Some("its exports or settings changed since it was published")
        }
        // The quarantine and the verdict are still from the exports that blocked the day.
        Some(_) if manifest.blocked.is_some() => {
            Some("the exports that it was published from are back")
        }
        Some(_) => None,
    }
}

/// The verdict of an earlier run of the same program over the same exports.
fn known_blocked<'m>(manifest: &'m Manifest, inputs: &str) -> Option<&'m BlockedExports> {
    let verdict = manifest.blocked.as_ref();
    verdict.filter(|blocked| blocked.inputs == inputs && blocked.reader == READER)
}

/// Why the checks that block a day must be made again; `None`: their verdict holds, or a broken
/// export blocks the day.
fn why_check_again(
    facts: &Facts,
    day: NaiveDate,
    blocked: &BlockedExports,
) -> Result<Option<&'static str>> {
    let Some(compared_with) = &blocked.compared_with else {
        return Ok(None);
    };
    let rules = &facts.config.checks;
    if rules.are_accepted {
        return Ok(Some("its failed checks are accepted"));
    }
    let present = history::compared_with(&facts.state, day, rules)?;
    Ok((*compared_with != present).then_some("its checks have other days or settings"))
}

/// A verdict of this program. `compared_with`: of checks, the fingerprint of the days that the day
/// was compared with.
pub(crate) fn blocked_by(
    inputs: String,
    compared_with: Option<String>,
    exports: Vec<crate::catalog::manifest::Blocked>,
) -> BlockedExports {
    BlockedExports {
        inputs,
        reader: READER.into(),
        compared_with,
        exports,
    }
}

/// The decision about one window or benchmark table of a day.
pub(crate) enum TableDecision {
    /// The published table, or its absence, is up to date.
    Fresh { inputs: String },
    /// The table must be computed. `inputs` is `None` when a table that it reads is only announced.
    Stale { inputs: Option<String>, why: String },
    /// The table is not written, because a sum of the table `read` does not fit.
    Unwritten { read: &'static str, sum: SkippedSum },
}

/// The facts of a day that decide about one of its tables.
pub(crate) struct TableFacts<'a> {
    pub exports: &'a DayExports,
    pub first_campaign_day: Option<NaiveDate>,
    /// Published tables, including the computed tables of the day.
    pub tables: &'a DayTables<'a>,
    /// The newest manifest of the day.
    pub newest: Option<&'a Manifest>,
    /// Sums that do not fit, by table of the day.
    pub unwritten: &'a BTreeMap<&'static str, SkippedSum>,
    pub config: &'a Config,
}

/// Compares the inputs of the published table with the present inputs (early cutoff).
pub(crate) fn decide_table(table: &Table, facts: &TableFacts) -> Result<TableDecision> {
    let day = facts.exports.day;
    let of_the_day = facts.exports.fingerprint(&names_behind(table));
    let span = (day, facts.first_campaign_day);
    let inputs = match inputs_of(table, span, &of_the_day, facts.tables, facts.config)? {
        Inputs::Known(inputs) => inputs,
        Inputs::Awaited { read, day } => {
            let why = format!(
                "{} reads {read} of {day}, which is computed first",
                table.name
            );
            return Ok(TableDecision::Stale { inputs: None, why });
        }
    };
    let mut read = table.reads.iter().map(|read| read.table.name);
    if let Some((read, sum)) = read.find_map(|name| Some((name, facts.unwritten.get(name)?))) {
        let sum = SkippedSum {
            inputs,
            ..sum.clone()
        };
        return Ok(TableDecision::Unwritten { read, sum });
    }
    let published = facts.newest.and_then(|m| m.tables.get(table.name));
    let skipped = facts
        .newest
        .and_then(|m| m.skipped_sum(table)?.sum.as_ref());
    let why = match published {
        None if skipped.is_some_and(|sum| sum.inputs == inputs) => None,
        None => Some(format!("{} is not published", table.name)),
        Some(published) if published.inputs != inputs => {
            Some(format!("{} was computed from other inputs", table.name))
        }
        Some(_) => None,
    };
    Ok(match why {
        Some(why) => TableDecision::Stale {
            inputs: Some(inputs),
            why,
        },
        None => TableDecision::Fresh { inputs },
    })
}

/// The fingerprint of all inputs of a table.
enum Inputs {
    Known(String),
    /// A table that it reads is only announced.
    Awaited {
        read: &'static str,
        day: NaiveDate,
    },
}

/// Fingerprint of a day's rollups: every export folder, the settings, and the contracts of tables
/// and datasets.
fn rollup_inputs(exports: &DayExports, config: &Config) -> String {
    let mut fingerprint = Fingerprint::new("rollups");
    add_settings(&mut fingerprint, config);
    ROLLUPS
        .iter()
        .for_each(|table| add_table(&mut fingerprint, table));
    DATASETS
        .iter()
        .for_each(|dataset| add_dataset(&mut fingerprint, dataset));
    fingerprint.field(&exports.fingerprint(&DATASETS.map(|d| d.name)));
    fingerprint.finish()
}

/// Fingerprint of a table: its contract, the contracts of the snapshots behind it, the settings,
/// the exports of its own day, and every published file that it reads.
fn inputs_of(
    table: &Table,
    (day, first_campaign_day): (NaiveDate, Option<NaiveDate>),
    of_the_day: &str,
    tables: &DayTables,
    config: &Config,
) -> Result<Inputs> {
    let mut fingerprint = Fingerprint::new(table.name);
    add_table(&mut fingerprint, table);
    for dataset in names_behind(table).into_iter().filter_map(dataset) {
        add_dataset(&mut fingerprint, dataset);
    }
    add_settings(&mut fingerprint, config);
    fingerprint.field(of_the_day);
    for read in table.reads {
        let (first, last) = days_of(read.span, day, first_campaign_day);
        fingerprint.field(read.table.name);
        for day in tables.published_days(read.table, first, last)? {
            fingerprint.field(&day.to_string());
            match tables.version(read.table, day)? {
                Some(Version::Published(sha256)) => fingerprint.field(&sha256),
                Some(Version::Announced) => {
                    let read = read.table.name;
                    return Ok(Inputs::Awaited { read, day });
                }
                None => fingerprint.field(""),
            }
        }
    }
    Ok(Inputs::Known(fingerprint.finish()))
}

/// The snapshots that a table reads, and the snapshots that decide which rows of these are in
/// scope.
pub(crate) fn snapshots_behind(table: &Table) -> Vec<SnapshotId> {
    let mut behind: Vec<SnapshotId> = table.snapshots.to_vec();
    for dataset in table.snapshots.iter().filter_map(|id| dataset(id.name())) {
        behind.extend(
            dataset
                .scoped_by
                .filter(|scope| !table.snapshots.contains(scope)),
        );
    }
    behind
}

fn names_behind(table: &Table) -> Vec<&'static str> {
    let behind = snapshots_behind(table);
    behind.into_iter().map(SnapshotId::name).collect()
}

/// The exports and settings behind the tables of a day.
pub(crate) fn sources(exports: &DayExports, config: &Config) -> Sources {
    let folders = exports.folders.iter().filter(|folder| folder.is_final());
    let final_exports = folders.map(|folder| folder.dataset.name);
    let of_dataset = |name: &str| (name.to_owned(), exports.fingerprint(&[name]));
    let settings = settings(config).into_iter();
    Sources {
        exports: final_exports.map(of_dataset).collect(),
        settings: settings
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    }
}

fn add_settings(fingerprint: &mut Fingerprint, config: &Config) {
    for (name, value) in settings(config) {
        fingerprint.field(name);
        fingerprint.field(&value);
    }
}

/// The settings that change the meaning of results, by their names in the job file.
///
/// All of them count for every table. For example, the budget decides whether an optional export
/// counts as absent, and so whether a window sees its rows. Different settings have different texts.
pub(crate) fn settings(config: &Config) -> [(&'static str, String); 10] {
    // Every setting is named, so the compiler asks for a decision about each new one.
    let Config {
        exports: _,
        results: _,
        exports_at: _,
        results_at: _,
        currency: _,
        engine: _,
        lookback_days: _,
        lease_seconds: _,
        single_writer: _,
        history_days: _,
        memory_limit_bytes: _,
        spill_folder: _,
        store_concurrency: _,
        checks: _,
        lineage: _,
        // In the fingerprint of the exports that it is for.
        mapping: _,
        time_zone,
        required,
        may_be_empty,
        quarantine,
        baseline_shops,
        benchmark,
        tiers,
    } = config;
    let tier = |tier: &Tier| format!("{:?} {}", tier.name, show_cents(tier.min_gmv_cents));
    let tiers: Vec<String> = tiers.iter().map(tier).collect();
    [
        ("time_zone", time_zone.name().to_owned()),
        ("required", required.join(", ")),
        ("may_be_empty", may_be_empty.join(", ")),
        ("quarantine.max_rows", quarantine.max_rows.to_string()),
        ("quarantine.max_ratio", quarantine.max_ratio.to_string()),
        ("baseline.shops", baseline_shops.name().to_owned()),
        ("benchmark.min_peers", benchmark.min_peers.to_string()),
        ("benchmark.top_share", benchmark.top_share.to_string()),
        (
            "benchmark.max_peer_share",
            benchmark.max_peer_share.to_string(),
        ),
        ("tier", tiers.join(", ")),
    ]
}

/// Benchmarks of the day before for a day whose own exports cannot be used.
pub(crate) struct StandIn {
    pub benchmark: BenchmarkDay,
    /// Fingerprint of the inputs of each benchmark table. A table has none when an input is only
    /// announced.
    pub inputs: BTreeMap<&'static str, String>,
    /// Whether the published benchmarks have these inputs.
    pub is_fresh: bool,
}

/// Whether a day wants a stand-in. The day's own benchmarks stay. Only a report day gets a new
/// stand-in. A published stand-in is kept fresh on every day.
pub(crate) fn wants_stand_in(manifest: Option<&Manifest>, is_report_day: bool) -> bool {
    match manifest.and_then(|m| m.benchmark.as_ref()) {
        Some(published) => published.fallback_reason.is_some(),
        None => is_report_day,
    }
}

/// The stand-in of a day that wants one. `before` is the day before; it is final and not blocked.
///
/// `None` when a table that the benchmarks read is not published, because its exports changed while
/// they were read, or because a sum does not fit.
pub(crate) fn resolve_stand_in(
    facts: &Facts,
    day: NaiveDate,
    before: NaiveDate,
    reason: String,
) -> Result<Option<StandIn>> {
    let (manifest, tables) = (facts.manifest(day)?, facts.tables(before));
    let mut stand_in = StandIn {
        benchmark: BenchmarkDay {
            day: before,
            fallback_reason: Some(reason.clone()),
        },
        inputs: BTreeMap::new(),
        is_fresh: true,
    };
    for table in BENCHMARKS {
        for read in table.reads {
            if tables.version(read.table, before)?.is_none() {
                return Ok(None);
            }
        }
        let published = manifest.as_deref().and_then(|m| m.tables.get(table.name));
        match inputs_of(table, (before, None), &reason, &tables, facts.config)? {
            Inputs::Awaited { .. } => stand_in.is_fresh = false,
            Inputs::Known(inputs) => {
                stand_in.is_fresh &= published.is_some_and(|p| p.inputs == inputs);
                stand_in.inputs.insert(table.name, inputs);
            }
        }
    }
    Ok(Some(stand_in))
}

/// The work of the next run for one day.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
pub struct PlannedDay {
    pub day: NaiveDate,
    pub action: Action,
    /// The reason, for a person.
    pub why: String,
    /// The tables that would be computed.
    pub tables: Vec<&'static str>,
    /// Set for a day to compute.
    #[serde(skip)]
    pub ready: Option<ReadyDay>,
}

impl PlannedDay {
    /// Whether a run would write tables, or the verdict that the exports are blocked. A day that
    /// cannot be read may have work.
    pub fn has_work(&self) -> bool {
        matches!(self.action, Action::Compute | Action::Fail) || !self.tables.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Read the exports, compute every table.
    Compute,
    /// Compute the tables whose inputs changed. The rollups stay.
    Refresh,
    /// Benchmarks of the day before stand in for a day that is not final.
    Fallback,
    /// Wait for exports.
    Wait,
    /// A person is needed; benchmarks of the day before may stand in.
    Blocked,
    /// The day cannot be read now.
    Fail,
    Nothing,
}

impl Action {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Action::Compute => "compute",
            Action::Refresh => "refresh",
            Action::Fallback => "fallback",
            Action::Wait => "wait",
            Action::Blocked => "blocked",
            Action::Fail => "fail",
            Action::Nothing => "nothing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::manifest::{Blocked, PublishedBenchmark, Skipped};
    use crate::contracts::tables::{SHOP_DAILY, SHOP_TIER};
    use crate::days::readiness::listed;
    use crate::failure::{Failure, FailureKind};
    use crate::testing::{Memory, manifest, march};

    /// Exports of 13 and 14 March, and empty results.
    struct World {
        exports: Memory,
        results: Memory,
        config: Config,
    }

    impl World {
        fn new() -> World {
            let exports = Memory::new("exports");
            exports.export(march(13));
            exports.export(march(14));
            World {
                exports,
                results: Memory::new("results"),
                config: Config::parse("").unwrap(),
            }
        }

        fn facts(&self) -> Facts<'_> {
            let now = DateTime::default();
            Facts::load(&self.exports.store, &self.results.store, &self.config, now).unwrap()
        }

        /// The fingerprint of the rollups of a day.
        fn inputs(&self, day: NaiveDate) -> String {
            match decide(&self.facts(), day).unwrap() {
                Decision::Compute(ready, _) | Decision::Refresh(ready) => ready.inputs,
                Decision::Wait(_) | Decision::Blocked(_) => String::new(),
            }
        }
    }

    fn in_words(decision: Decision) -> String {
        match decision {
            Decision::Wait(missing) => format!("wait for {}", listed(&missing)),
            Decision::Blocked(blocked) => format!("blocked by {}", blocked.datasets().join(", ")),
            Decision::Compute(_, why) => format!("compute: {why}"),
            Decision::Refresh(_) => "refresh".into(),
        }
    }

    #[test]
    fn a_day_without_a_required_export_waits_for_it() {
        let world = World::new();
        let mark = "shops/dt=2026-03-14/_SUCCESS";
        world.exports.store.remove(mark).unwrap();
        let (facts, missing) = (world.facts(), "wait for shops");
        assert_eq!(in_words(decide(&facts, march(14)).unwrap()), missing);
        let none = "wait for campaign_shops, campaigns, order_lines, product_traffic, shops";
        assert_eq!(in_words(decide(&facts, march(15)).unwrap()), none);
    }

    #[test]
    fn an_optional_export_is_not_waited_for() {
        let world = World::new();
        let mark = "ad_hours/dt=2026-03-14/_SUCCESS";
        world.exports.store.remove(mark).unwrap();
        let decision = decide(&world.facts(), march(14)).unwrap();
        assert_eq!(in_words(decision), "compute: final, not published");
    }

    #[test]
    fn a_published_day_is_computed_for_the_reasons_that_its_manifest_gives() {
        let world = World::new();
        let inputs = world.inputs(march(14));
        let mut fresh = manifest(march(14), 1);
        world.results.publish(&mut fresh, &SHOP_DAILY, "x", &inputs);
        fresh.rollup_inputs = Some(inputs.clone());
        let blocked = BlockedExports {
            inputs: "others".into(),
            reader: READER.into(),
            compared_with: None,
            exports: vec![],
        };
        let cases = [
            (fresh.clone(), "refresh"),
            (
                Manifest {
                    rollup_inputs: None,
                    ..fresh.clone()
                },
                "compute: final, not published",
            ),
            (
                Manifest {
                    rollup_inputs: Some("others".into()),
                    ..fresh.clone()
                },
                "compute: its exports or settings changed since it was published",
            ),
            (
                Manifest {
                    blocked: Some(blocked),
                    ..fresh.clone()
                },
                "compute: the exports that it was published from are back",
            ),
        ];
        for (manifest, expected) in cases {
            world.results.put_manifest(&manifest);
            assert_eq!(
                in_words(decide(&world.facts(), march(14)).unwrap()),
                expected
            );
        }
        world.results.put_manifest(&fresh);
        let mark = "shop_daily/dt=2026-03-14/_SUCCESS";
        world.results.store.remove(mark).unwrap();
        assert_eq!(
            in_words(decide(&world.facts(), march(14)).unwrap()),
            "compute: a published file is gone or cut short"
        );
    }

    #[test]
    fn a_verdict_holds_for_the_same_exports_and_the_same_program_only() {
        let world = World::new();
        let inputs = world.inputs(march(14));
        let verdict = |inputs: &str, reader: &str| BlockedExports {
            inputs: inputs.into(),
            reader: reader.into(),
            compared_with: None,
            exports: vec![Blocked {
                dataset: "shops".into(),
                day: march(14),
                reason: "has no row to use".into(),
                remedy: String::new(),
            }],
        };
        for (blocked, expected) in [
            (verdict(&inputs, READER), "blocked by shops"),
            (verdict("others", READER), "compute: final, not published"),
            (verdict(&inputs, "older"), "compute: final, not published"),
        ] {
            world.results.put_manifest(&Manifest {
                blocked: Some(blocked),
                ..manifest(march(14), 1)
            });
            assert_eq!(
                in_words(decide(&world.facts(), march(14)).unwrap()),
                expected
            );
        }
    }

    #[test]
    fn other_exports_and_other_settings_are_other_inputs() {
        let mut world = World::new();
        let before = world.inputs(march(14));
        assert_eq!(world.inputs(march(14)), before);
        assert_ne!(world.inputs(march(13)), before, "of another day");
        world.config = Config::parse("benchmark = { min_peers = 11 }").unwrap();
        let other_setting = world.inputs(march(14));
        assert_ne!(other_setting, before);
        world.config = Config::parse("").unwrap();
        world
            .exports
            .put("contents/dt=2026-03-14/part.parquet", "rows");
        assert_ne!(world.inputs(march(14)), before);
    }

    #[test]
    fn results_in_another_currency_are_refused() {
        let world = World::new();
        world.results.put_manifest(&Manifest {
            currency: "EUR".into(),
            ..manifest(march(14), 1)
        });
        let error = Facts::load(
            &world.exports.store,
            &world.results.store,
            &world.config,
            DateTime::default(),
        );
        assert!(Failure::kind_of(&error.err().unwrap()) == Some(FailureKind::ConfigWrong));
    }

    /// shop_tier of 14 March over published shop_daily.
    fn tier(world: &World, unwritten: &BTreeMap<&'static str, SkippedSum>) -> TableDecision {
        let facts = world.facts();
        let Decision::Compute(ready, _) = decide(&facts, march(14)).unwrap() else {
            panic!("computed")
        };
        let (tables, newest) = (facts.tables(march(14)), facts.manifest(march(14)).unwrap());
        let table_facts = TableFacts {
            exports: &ready.exports,
            first_campaign_day: None,
            tables: &tables,
            newest: newest.as_deref(),
            unwritten,
            config: &world.config,
        };
        decide_table(&SHOP_TIER, &table_facts).unwrap()
    }

    fn inputs_and_why(decision: TableDecision) -> (String, String) {
        match decision {
            TableDecision::Fresh { inputs } => (inputs, "fresh".into()),
            TableDecision::Stale { inputs, why } => (inputs.unwrap_or_default(), why),
            TableDecision::Unwritten { read, sum } => (sum.inputs, format!("reads {read}")),
        }
    }

    #[test]
    fn a_table_is_stale_when_a_file_that_it_reads_is_another() {
        let world = World::new();
        let none = BTreeMap::new();
        let mut of_14 = manifest(march(14), 2);
        world.results.publish(&mut of_14, &SHOP_DAILY, "a", "x");
        world.results.put_manifest(&of_14);
        let (inputs, why) = inputs_and_why(tier(&world, &none));
        assert_eq!(why, "shop_tier is not published");
        world.results.publish(&mut of_14, &SHOP_TIER, "t", &inputs);
        world.results.put_manifest(&of_14);
        assert_eq!(
            inputs_and_why(tier(&world, &none)),
            (inputs.clone(), "fresh".into())
        );
        // Another day of its 30 is published.
        let mut of_13 = manifest(march(13), 1);
        world.results.publish(&mut of_13, &SHOP_DAILY, "b", "x");
        world.results.put_manifest(&of_13);
        let (with_13, why) = inputs_and_why(tier(&world, &none));
        assert_eq!(why, "shop_tier was computed from other inputs");
        // The same day with other bytes.
        world.results.publish(&mut of_13, &SHOP_DAILY, "c", "x");
        world.results.put_manifest(&of_13);
        let (with_other_13, _) = inputs_and_why(tier(&world, &none));
        assert!(with_13 != inputs && with_other_13 != with_13);
    }

    #[test]
    fn a_table_that_was_left_out_for_a_sum_is_fresh_until_its_inputs_change() {
        let world = World::new();
        let none = BTreeMap::new();
        let (inputs, _) = inputs_and_why(tier(&world, &none));
        let sum = |inputs: &str| SkippedSum {
            column: "trailing_gmv".into(),
            shop_id: Some(7),
            inputs: inputs.into(),
        };
        for (inputs, expected) in [
            (inputs.as_str(), "fresh"),
            ("others", "shop_tier is not published"),
        ] {
            world.results.put_manifest(&Manifest {
                skipped: vec![Skipped {
                    table: "shop_tier".into(),
                    day: march(14),
                    columns: vec![],
                    reason: "too large".into(),
                    sum: Some(sum(inputs)),
                }],
                ..manifest(march(14), 1)
            });
            assert_eq!(inputs_and_why(tier(&world, &none)).1, expected);
        }
        let unwritten = BTreeMap::from([("shop_daily", sum("its own"))]);
        assert_eq!(
            inputs_and_why(tier(&world, &unwritten)),
            (inputs, "reads shop_daily".into())
        );
    }

    #[test]
    fn a_table_that_reads_an_announced_one_is_stale_with_inputs_to_come() {
        let world = World::new();
        let facts = world.facts();
        facts.state.announce(SHOP_DAILY.id, march(13));
        let Decision::Compute(ready, _) = decide(&facts, march(14)).unwrap() else {
            panic!("computed")
        };
        let table_facts = TableFacts {
            exports: &ready.exports,
            first_campaign_day: None,
            tables: &facts.tables(march(14)),
            newest: None,
            unwritten: &BTreeMap::new(),
            config: &world.config,
        };
        let decision = decide_table(&SHOP_TIER, &table_facts).unwrap();
        let why = "shop_tier reads shop_daily of 2026-03-13, which is computed first";
        assert_eq!(inputs_and_why(decision), (String::new(), why.into()));
    }

    #[test]
    fn a_stand_in_is_wanted_for_a_report_day_and_kept_fresh_elsewhere() {
        let with = |fallback_reason: Option<&str>| Manifest {
            benchmark: Some(PublishedBenchmark {
                benchmark_day: march(13),
                fallback_reason: fallback_reason.map(str::to_owned),
            }),
            ..manifest(march(14), 1)
        };
        let (own, stand_in) = (with(None), with(Some("shops")));
        for (manifest, is_report_day, expected) in [
            (None, true, true),
            (None, false, false),
            (Some(&own), true, false),
            (Some(&stand_in), true, true),
            (Some(&stand_in), false, true),
        ] {
            assert_eq!(wants_stand_in(manifest, is_report_day), expected);
        }
    }

    #[test]
    fn nothing_stands_in_where_a_table_behind_the_benchmarks_is_missing() {
        let world = World::new();
        let resolved = |facts: &Facts| {
            let reason = "shops".to_owned();
            resolve_stand_in(facts, march(14), march(13), reason).unwrap()
        };
        assert!(resolved(&world.facts()).is_none());
        let mut before = manifest(march(13), 1);
        for read in BENCHMARKS[0].reads {
            world.results.publish(&mut before, read.table, "x", "x");
        }
        world.results.put_manifest(&before);
        let stand_in = resolved(&world.facts()).unwrap();
        assert!(!stand_in.is_fresh && stand_in.benchmark.day == march(13));
        // Published with these inputs, it is fresh.
        let mut of_14 = manifest(march(14), 2);
        for table in BENCHMARKS {
            let inputs = &stand_in.inputs[table.name];
            world.results.publish(&mut of_14, table, "x", inputs);
        }
        world.results.put_manifest(&of_14);
        assert!(resolved(&world.facts()).unwrap().is_fresh);
    }
}
