//! What is fresh and what is not: the decisions of a run, the same for doing it and for saying what would be done.

use anyhow::Result;
use chrono::NaiveDate;

use crate::config::Config;
use crate::contracts::tables::{CATEGORY_BENCHMARK, SHOP_BENCHMARK, SHOP_DAILY, TABLES};
use crate::contracts::{Stage, Table, datasets::DATASETS};
use crate::days::readiness::{DayExports, Readiness, check_day};
use crate::publish::reader::DayTables;
use crate::record::fingerprint::Fingerprint;
use crate::record::manifest::Manifest;
use crate::record::state::State;
use crate::store::Store;
use crate::windows::{self, BenchmarkDay};

/// Whether the rollups of a final day have to be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollupDecision {
    NotPublished,
    /// The exports, or settings that decide what is used of them, are others than those computed from.
    InputsChanged,
    /// An earlier run found these very exports blocked.
    KnownBlocked,
    Fresh,
}

/// Decides from the exports' fingerprint and what is published; reads no rows.
pub fn decide_rollups(manifest: Option<&Manifest>, inputs: &str) -> RollupDecision {
    match manifest {
        Some(m) if m.blocked.as_ref().is_some_and(|b| b.inputs == inputs) => RollupDecision::KnownBlocked,
        Some(m) if m.rollup_inputs.as_deref() == Some(inputs) => RollupDecision::Fresh,
        Some(m) if m.has_rollups() => RollupDecision::InputsChanged,
        _ => RollupDecision::NotPublished,
    }
}

/// What the rollups of a day come from: every export folder, the settings, and the meaning of the tables.
pub fn rollup_inputs(exports: &DayExports, config: &Config) -> String {
    let mut fingerprint = Fingerprint::new("rollups");
    fingerprint.field(config.time_zone.name());
    fingerprint.field(&format!("{:?} {:?}", config.required, config.quarantine));
    for table in TABLES.iter().filter(|t| t.stage == Stage::Rollup) {
        fingerprint.field(&format!("{} {}", table.name, table.version));
    }
    fingerprint.field(&exports.fingerprint(&DATASETS.map(|d| d.name)));
    fingerprint.finish()
}

/// What a window table of a day comes from: the files it reads, the day's own snapshots and the settings.
pub fn window_inputs(
    table: &Table,
    exports: &DayExports,
    first_campaign_day: Option<NaiveDate>,
    tables: &DayTables,
    config: &Config,
) -> Result<String> {
    let reads = windows::reads(table, exports.day, first_campaign_day, config);
    let mut fingerprint = table_fingerprint(table, config);
    fingerprint.field(&exports.fingerprint(&reads.datasets));
    add_files(&mut fingerprint, &reads, tables)?;
    Ok(fingerprint.finish())
}

/// What the benchmark tables of a report day come from: the tables of the benchmark day and the settings.
pub fn benchmark_inputs(
    table: &Table,
    benchmark: &BenchmarkDay,
    tables: &DayTables,
    config: &Config,
) -> Result<String> {
    let reads = windows::reads(table, benchmark.day, None, config);
    let mut fingerprint = table_fingerprint(table, config);
    fingerprint.field(benchmark.fallback_reason.as_deref().unwrap_or_default());
    add_files(&mut fingerprint, &reads, tables)?;
    Ok(fingerprint.finish())
}

fn table_fingerprint(table: &Table, config: &Config) -> Fingerprint {
    let mut fingerprint = Fingerprint::new(table.name);
    fingerprint.field(&table.version.to_string());
    fingerprint.field(&format!("{:?} {:?} {:?}", config.baseline_shops, config.benchmark, config.tiers));
    fingerprint
}

fn add_files(fingerprint: &mut Fingerprint, reads: &windows::Reads, tables: &DayTables) -> Result<()> {
    use crate::windows::PublishedTables;
    for (table, first, last) in &reads.tables {
        fingerprint.field(table.name);
        for day in tables.published_days(table, *first, *last)? {
            fingerprint.field(&day.to_string());
            fingerprint.field(&tables.sha256(table, day)?.unwrap_or_default());
        }
    }
    Ok(())
}

/// What a run would do for one day.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PlannedDay {
    pub day: NaiveDate,
    pub action: Action,
    /// Why, for a person.
    pub why: String,
    /// The tables that would be computed.
    pub tables: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Read the exports, compute every table.
    Compute,
    /// Compute tables whose inputs are published anew; rollups stay.
    Refresh,
    /// Benchmarks of the day before stand in.
    Fallback,
    /// Wait for exports.
    Wait,
    /// A person is needed.
    Blocked,
    Nothing,
}

impl Action {
    /// For a person.
    pub fn word(self) -> &'static str {
        match self {
            Action::Compute => "compute",
            Action::Refresh => "refresh",
            Action::Fallback => "fallback",
            Action::Wait => "wait",
            Action::Blocked => "blocked",
            Action::Nothing => "nothing",
        }
    }
}

/// Plans a run for the days, oldest first. `report_days` are those that a fallback would stand in for.
///
/// Reads folders and manifests, never rows, so exports that turn out to be blocked are planned as computed.
pub fn plan_days(
    exports: &Store,
    results: &Store,
    state: &State,
    config: &Config,
    days: impl Iterator<Item = NaiveDate>,
    report_days: &dyn Fn(NaiveDate) -> bool,
) -> Result<Vec<PlannedDay>> {
    let mut planned: Vec<PlannedDay> = Vec::new();
    for day in days {
        let manifest = state.manifest(day)?;
        let tables = DayTables::new(results, state, day);
        let new = |action, why: String, tables| PlannedDay { day, action, why, tables };
        let day_plan = match check_day(exports, day, &config.required)? {
            Readiness::NotYet(missing) => {
                let why = format!("not final: {}", missing.join(", "));
                let has_own = manifest.as_ref().is_some_and(|m| m.has_rollups());
                let stands_in = report_days(day) && !has_own && can_stand_in(exports, state, config, day)?;
                if stands_in {
                    new(Action::Fallback, why, vec![CATEGORY_BENCHMARK.name, SHOP_BENCHMARK.name])
                } else {
                    new(Action::Wait, why, vec![])
                }
            }
            Readiness::Ready(day_exports) => {
                let inputs = rollup_inputs(&day_exports, config);
                match decide_rollups(manifest.as_deref(), &inputs) {
                    RollupDecision::NotPublished => new(Action::Compute, "final, not published".into(), every_table()),
                    RollupDecision::InputsChanged => new(
                        Action::Compute,
                        "its exports or settings changed since it was published".into(),
                        every_table(),
                    ),
                    RollupDecision::KnownBlocked => {
                        let reasons = manifest.iter().flat_map(|m| &m.blocked).flat_map(|b| &b.exports);
                        let why = reasons.map(|b| format!("{} {}", b.dataset, b.reason)).collect::<Vec<_>>().join("; ");
                        new(Action::Blocked, why, vec![])
                    }
                    RollupDecision::Fresh => {
                        let manifest = manifest.as_deref();
                        let stale = stale_windows(&day_exports, manifest, &tables, config, &planned)?;
                        match stale.first() {
                            None => new(Action::Nothing, "up to date".into(), vec![]),
                            Some((_, why)) => {
                                new(Action::Refresh, why.clone(), stale.iter().map(|(table, _)| *table).collect())
                            }
                        }
                    }
                }
            }
        };
        planned.push(day_plan);
    }
    Ok(planned)
}

fn every_table() -> Vec<&'static str> {
    TABLES.iter().map(|t| t.name).collect()
}

/// Whether the day before is final and not known to be blocked.
fn can_stand_in(exports: &Store, state: &State, config: &Config, day: NaiveDate) -> Result<bool> {
    let Some(before) = day.pred_opt() else { return Ok(false) };
    let Readiness::Ready(day_exports) = check_day(exports, before, &config.required)? else { return Ok(false) };
    let decision = decide_rollups(state.manifest(before)?.as_deref(), &rollup_inputs(&day_exports, config));
    Ok(decision != RollupDecision::KnownBlocked)
}

/// Window and benchmark tables of a day that are not what they would be now, and why.
fn stale_windows(
    exports: &DayExports,
    manifest: Option<&Manifest>,
    tables: &DayTables,
    config: &Config,
    planned: &[PlannedDay],
) -> Result<Vec<(&'static str, String)>> {
    let Some(manifest) = manifest else { return Ok(vec![]) };
    let day = exports.day;
    let mut stale: Vec<(&'static str, String)> = Vec::new();
    for table in TABLES.iter().filter(|t| t.stage != Stage::Rollup) {
        let first_campaign_day = manifest.first_campaign_day;
        let inputs = if table.stage == Stage::Window {
            window_inputs(table, exports, first_campaign_day, tables, config)?
        } else {
            benchmark_inputs(table, &BenchmarkDay { day, fallback_reason: None }, tables, config)?
        };
        let published = manifest.tables.get(table.name);
        let is_skipped = manifest.skipped.iter().any(|s| s.table == table.name && s.columns.is_empty());
        let reads = windows::reads(table, day, first_campaign_day, config);
        let upstream = reads.tables.iter().find_map(|(read, first, last)| {
            let earlier = planned
                .iter()
                .find(|p| (*first..=*last).contains(&p.day) && p.tables.contains(&read.name))
                .map(|p| format!("{} reads {} of {}, which is computed first", table.name, read.name, p.day));
            let same_day = stale.iter().find(|(name, _)| *name == read.name);
            earlier.or_else(|| same_day.map(|(_, why)| why.clone()))
        });
        if is_skipped {
            continue;
        }
        match (published, upstream) {
            (_, Some(why)) => stale.push((table.name, why)),
            (None, _) => stale.push((table.name, format!("{} is not published", table.name))),
            (Some(p), _) if p.inputs != inputs => {
                stale.push((table.name, format!("{} was computed from other inputs", table.name)));
            }
            _ => {}
        }
    }
    Ok(stale)
}

/// Days of the last six months that are final and unpublished, before `first`: a run does not reach them.
pub fn days_out_of_reach(
    exports: &Store,
    state: &State,
    config: &Config,
    day: NaiveDate,
    first: NaiveDate,
) -> Result<Vec<NaiveDate>> {
    let oldest = crate::days::calendar::six_months_before(day);
    let Some(dataset) = config.required.first() else { return Ok(vec![]) };
    let mut days = Vec::new();
    for folder in exports.list_folders(dataset)? {
        let Some(found) = folder.strip_prefix("dt=").and_then(|d| d.parse::<NaiveDate>().ok()) else { continue };
        if found < oldest || found >= first || state.manifest(found)?.is_some_and(|m| m.has(&SHOP_DAILY)) {
            continue;
        }
        if matches!(check_day(exports, found, &config.required)?, Readiness::Ready(_)) {
            days.push(found);
        }
    }
    Ok(days)
}
