//! What is fresh and what is not: the decisions of a run, the same for doing it and for saying what
//! would be done.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::Result;
use chrono::NaiveDate;

use crate::config::Config;
use crate::contracts::tables::{TABLES, of_stage};
use crate::contracts::{Stage, Table, datasets::DATASETS};
use crate::days::calendar::six_months_before;
use crate::days::readiness::{
    DayExports, Folder, Readiness, check_day, check_location, list_days, readiness,
};
use crate::exit_code;
use crate::messages;
use crate::publish::reader::DayTables;
use crate::record::fingerprint::Fingerprint;
use crate::record::manifest::{BlockedExports, Manifest};
use crate::record::state::State;
use crate::store::Store;
use crate::windows::{self, BenchmarkDay, PublishedTables};

/// The version of this program; other versions may see exports with other eyes.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is known without reading a row: settings, export folders (each listed once) and manifests.
pub struct Facts<'a> {
    pub exports: &'a Store,
    pub results: &'a Store,
    pub config: &'a Config,
    pub state: State,
    readiness: RefCell<HashMap<NaiveDate, Readiness>>,
}

impl<'a> Facts<'a> {
    /// # Errors
    /// `StoreFailed` when the exports' location has no dataset at all; `ConfigWrong` when the
    /// results are in another currency.
    pub fn load(exports: &'a Store, results: &'a Store, config: &'a Config) -> Result<Facts<'a>> {
        check_location(exports)?;
        let facts = Facts {
            exports,
            results,
            config,
            state: State::load(results)?,
            readiness: RefCell::default(),
        };
        facts.check_currency()?;
        Ok(facts)
    }

    /// Results hold one currency: amounts of two cannot be added up or compared.
    fn check_currency(&self) -> Result<()> {
        // A manifest that cannot be read is told where its day is needed.
        let newest = self
            .state
            .days()
            .into_iter()
            .rev()
            .find_map(|day| self.manifest(day).ok().flatten());
        match newest {
            Some(manifest) if manifest.currency != self.config.currency => {
                let (found, wanted, results) = (
                    &manifest.currency,
                    &self.config.currency,
                    &self.results.location,
                );
                Err(messages::other_currency(wanted, results, found).into())
            }
            _ => Ok(()),
        }
    }

    /// Looks at the folders of days that will be asked for, many at a time. A failure shows when
    /// its day is asked for.
    pub fn look_ahead(&self, days: impl Iterator<Item = NaiveDate>) {
        let unknown: Vec<NaiveDate> = days
            .filter(|day| !self.readiness.borrow().contains_key(day))
            .collect();
        for listed in list_days(self.exports, &unknown).unwrap_or_default() {
            self.readiness
                .borrow_mut()
                .insert(listed.day, readiness(listed, &self.config.required));
        }
    }

    pub fn readiness(&self, day: NaiveDate) -> Result<Readiness> {
        if let Some(known) = self.readiness.borrow().get(&day) {
            return Ok(known.clone());
        }
        let found = check_day(self.exports, day, &self.config.required)?;
        self.readiness.borrow_mut().insert(day, found.clone());
        Ok(found)
    }

    pub fn manifest(&self, day: NaiveDate) -> Result<Option<Rc<Manifest>>> {
        self.state.manifest(day)
    }

    /// The results as the tables of a day see them.
    pub fn tables(&self, day: NaiveDate) -> DayTables<'_> {
        DayTables::new(self.results, &self.state, day)
    }
}

/// Tells on which day of `[first, last]` an earlier step of a plan computes a table anew; nothing
/// while a run is on its way, because what it computed is published by then.
pub type Recomputed<'a> = &'a dyn Fn(&Table, NaiveDate, NaiveDate) -> Option<NaiveDate>;

/// While a run is on its way.
pub const NOTHING_RECOMPUTED: Recomputed<'static> = &|_, _, _| None;

/// What to do about a day's own tables.
pub enum Decision {
    /// Required exports are not final; sorted.
    Wait(Vec<&'static str>),
    /// An earlier run found these very exports blocked.
    KnownBlocked(BlockedExports),
    /// Read the exports, compute every table.
    Compute {
        exports: DayExports,
        inputs: String,
        why: &'static str,
    },
    /// The rollups are fresh; compute the tables that are stale, if any.
    Refresh {
        exports: DayExports,
        inputs: String,
        stale: Vec<Stale>,
    },
}

/// A table that is not what it would be now.
pub struct Stale {
    pub table: &'static Table,
    pub why: String,
}

/// Decides about one day from folders and manifests.
pub fn decide(facts: &Facts, day: NaiveDate, recomputed: Recomputed) -> Result<Decision> {
    let exports = match facts.readiness(day)? {
        Readiness::Ready(exports) => exports,
        Readiness::NotYet(missing) => return Ok(Decision::Wait(missing)),
    };
    let inputs = rollup_inputs(&exports, facts.config);
    let Some(manifest) = facts.manifest(day)? else {
        return Ok(Decision::Compute {
            exports,
            inputs,
            why: "final, not published",
        });
    };
    if let Some(blocked) = known_blocked(&manifest, &inputs) {
        return Ok(Decision::KnownBlocked(blocked.clone()));
    }
    if manifest.has_lost(Stage::Rollup) {
        return Ok(Decision::Compute {
            exports,
            inputs,
            why: "a published file is gone or cut short",
        });
    }
    Ok(match manifest.rollup_inputs.as_deref() {
        Some(published) if published == inputs && manifest.blocked.is_none() => {
            let stale = stale_tables(facts, &exports, &manifest, recomputed)?;
            Decision::Refresh {
                exports,
                inputs,
                stale,
            }
        }
        // Their quarantine, and the verdict, are still those of the exports that blocked the day.
        Some(published) if published == inputs => Decision::Compute {
            exports,
            inputs,
            why: "the exports that it was published from are back",
        },
        Some(_) => Decision::Compute {
            exports,
            inputs,
            why: "its exports or settings changed since it was published",
        },
        None => Decision::Compute {
            exports,
            inputs,
            why: "final, not published",
        },
    })
}

/// The verdict of an earlier run of this version over these exports.
fn known_blocked<'m>(manifest: &'m Manifest, inputs: &str) -> Option<&'m BlockedExports> {
    manifest
        .blocked
        .as_ref()
        .filter(|blocked| blocked.inputs == inputs && manifest.version == VERSION)
}

fn stale_tables(
    facts: &Facts,
    exports: &DayExports,
    manifest: &Manifest,
    recomputed: Recomputed,
) -> Result<Vec<Stale>> {
    let tables = facts.tables(exports.day);
    let mut stale: Vec<Stale> = Vec::new();
    for table in TABLES
        .iter()
        .filter(|t| t.stage != Stage::Rollup && !manifest.skips(t))
    {
        let freshness = freshness(
            table,
            exports,
            manifest.first_campaign_day,
            &tables,
            Some(manifest),
            facts.config,
        )?;
        let reads = windows::reads(
            table,
            exports.day,
            manifest.first_campaign_day,
            facts.config,
        );
        let upstream = reads.tables.iter().find_map(|(read, first, last)| {
            let day = recomputed(read, *first, *last);
            let same_day = stale
                .iter()
                .any(|s| s.table.name == read.name)
                .then_some(exports.day);
            day.or(same_day).map(|day| {
                format!(
                    "{} reads {} of {day}, which is computed first",
                    table.name, read.name
                )
            })
        });
        if let Some(why) = upstream.or(freshness.why_stale) {
            stale.push(Stale { table, why });
        }
    }
    Ok(stale)
}

/// What a table would be computed from now, and why it is stale if it is.
pub struct Freshness {
    pub inputs: String,
    pub why_stale: Option<String>,
}

/// Compares what a window or benchmark table of a final day was computed from with what it would be
/// computed from now.
pub fn freshness(
    table: &Table,
    exports: &DayExports,
    first_campaign_day: Option<NaiveDate>,
    tables: &DayTables,
    newest: Option<&Manifest>,
    config: &Config,
) -> Result<Freshness> {
    let reads = windows::reads(table, exports.day, first_campaign_day, config);
    let inputs = inputs_of(
        table,
        &reads,
        &exports.fingerprint(&reads.datasets),
        tables,
        config,
    )?;
    let published = newest.and_then(|m| m.tables.get(table.name));
    let why_stale = match published {
        None if newest
            .and_then(|m| m.skipped_sum(table)?.sum.as_ref())
            .is_some_and(|sum| sum.inputs == inputs) =>
        {
            None
        }
        None => Some(format!("{} is not published", table.name)),
        Some(published) if published.inputs != inputs => {
            Some(format!("{} was computed from other inputs", table.name))
        }
        Some(_) => None,
    };
    Ok(Freshness { inputs, why_stale })
}

/// What the rollups of a day come from: every export folder, the settings, and the meaning of the
/// tables.
pub fn rollup_inputs(exports: &DayExports, config: &Config) -> String {
    let mut fingerprint = Fingerprint::new("rollups");
    fingerprint.field(&settings(config));
    for table in TABLES.iter().filter(|t| t.stage == Stage::Rollup) {
        fingerprint.field(&format!("{} {}", table.name, table.version));
    }
    fingerprint.field(&exports.fingerprint(&DATASETS.map(|d| d.name)));
    fingerprint.finish()
}

/// The table's meaning, the settings, what it takes of its own day, and every published file that
/// it reads.
fn inputs_of(
    table: &Table,
    reads: &windows::Reads,
    of_the_day: &str,
    tables: &DayTables,
    config: &Config,
) -> Result<String> {
    let mut fingerprint = Fingerprint::new(table.name);
    fingerprint.field(&table.version.to_string());
    fingerprint.field(&settings(config));
    fingerprint.field(of_the_day);
    for (read, first, last) in &reads.tables {
        fingerprint.field(read.name);
        for day in tables.published_days(read, *first, *last)? {
            fingerprint.field(&day.to_string());
            fingerprint.field(&tables.sha256(read, day)?.unwrap_or_default());
        }
    }
    Ok(fingerprint.finish())
}

/// The settings that change what results mean. All of them for every table: a budget decides
/// whether an optional export counts as absent, hence what a window sees of it.
fn settings(config: &Config) -> String {
    let Config {
        time_zone,
        required,
        may_be_empty,
        quarantine,
        baseline_shops,
        benchmark,
        tiers,
        ..
    } = config;
    let of_rows = format!(
        "{} {required:?} {may_be_empty:?} {quarantine:?}",
        time_zone.name()
    );
    format!("{of_rows} {baseline_shops:?} {benchmark:?} {tiers:?}")
}

/// Benchmarks of the day before for a day whose own exports cannot be used.
pub struct StandIn {
    pub benchmark: BenchmarkDay,
    /// What each benchmark table would be computed from.
    pub inputs: BTreeMap<&'static str, String>,
    /// What is published is just that.
    pub is_fresh: bool,
}

/// Whether the day wants a stand-in. Benchmarks that the day made itself stay. A new stand-in is
/// only for the day that a run was asked for; one that is published already is kept fresh on the
/// way.
pub fn wants_stand_in(manifest: Option<&Manifest>, is_report_day: bool) -> bool {
    match manifest.and_then(|m| m.benchmark.as_ref()) {
        Some(published) => published.fallback_reason.is_some(),
        None => is_report_day,
    }
}

/// The stand-in of a day that wants one; `None` where the day before is not final, or blocked.
/// Never an older day.
pub fn resolve_stand_in(
    facts: &Facts,
    day: NaiveDate,
    reason: String,
    recomputed: Recomputed,
) -> Result<Option<StandIn>> {
    let Some(before) = day.pred_opt() else {
        return Ok(None);
    };
    if !matches!(
        decide(facts, before, recomputed)?,
        Decision::Compute { .. } | Decision::Refresh { .. }
    ) {
        return Ok(None);
    }
    if !has_inputs(facts, before, recomputed)? {
        return Ok(None);
    }
    let benchmark = BenchmarkDay {
        day: before,
        fallback_reason: Some(reason),
    };
    let (manifest, tables) = (facts.manifest(day)?, facts.tables(before));
    let (mut inputs, mut is_fresh) = (BTreeMap::new(), true);
    for table in of_stage(Stage::Benchmark) {
        let reads = windows::reads(table, before, None, facts.config);
        let reason = benchmark.fallback_reason.as_deref().unwrap_or_default();
        let of_table = inputs_of(table, &reads, reason, &tables, facts.config)?;
        let published = manifest.as_deref().and_then(|m| m.tables.get(table.name));
        let is_upstream_new = reads
            .tables
            .iter()
            .any(|(read, first, last)| recomputed(read, *first, *last).is_some());
        is_fresh &= !is_upstream_new && published.is_some_and(|p| p.inputs == of_table);
        inputs.insert(table.name, of_table);
    }
    Ok(Some(StandIn {
        benchmark,
        inputs,
        is_fresh,
    }))
}

/// Whether all tables that the benchmarks of a day read are published, or will be: not where its
/// exports changed while they were read, nor where a sum does not fit.
fn has_inputs(facts: &Facts, day: NaiveDate, recomputed: Recomputed) -> Result<bool> {
    let tables = facts.tables(day);
    let mut read = of_stage(Stage::Benchmark)
        .flat_map(|table| windows::reads(table, day, None, facts.config).tables);
    read.try_fold(true, |all, (table, first, last)| {
        Ok(all
            && (recomputed(table, first, last).is_some() || tables.sha256(table, day)?.is_some()))
    })
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

impl PlannedDay {
    /// Whether a run would write something: tables, or the verdict that the exports are blocked. A
    /// day that could not be looked at may have work.
    pub fn has_work(&self) -> bool {
        matches!(self.action, Action::Compute | Action::Fail) || !self.tables.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Read the exports, compute every table.
    Compute,
    /// Compute tables whose inputs are published anew; rollups stay.
    Refresh,
    /// Benchmarks of the day before stand in for a day that is not final.
    Fallback,
    /// Wait for exports.
    Wait,
    /// A person is needed; benchmarks of the day before may stand in.
    Blocked,
    /// The day cannot be looked at now.
    Fail,
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
            Action::Fail => "fail",
            Action::Nothing => "nothing",
        }
    }
}

/// Plans a run for days, which are given oldest first. `is_report_day` tells for which days a new
/// stand-in would be published.
///
/// Reads folders and manifests, never rows, so exports that turn out to be blocked are planned as
/// computed.
pub fn plan_days(
    facts: &Facts,
    days: impl Iterator<Item = NaiveDate>,
    is_report_day: &dyn Fn(NaiveDate) -> bool,
) -> Result<Vec<PlannedDay>> {
    let mut planned: Vec<PlannedDay> = Vec::new();
    let mut days = days.peekable();
    let Some(first) = days.peek().copied() else {
        return Ok(planned);
    };
    let before = day_before_to_compute(facts, first, is_report_day(first))
        .ok()
        .flatten();
    for day in before.into_iter().chain(days) {
        let recomputed = |table: &Table, first: NaiveDate, last: NaiveDate| {
            let computes =
                |p: &&PlannedDay| (first..=last).contains(&p.day) && p.tables.contains(&table.name);
            planned.iter().find(computes).map(|p| p.day)
        };
        let next = plan_day(facts, day, is_report_day(day), &recomputed);
        // One day that cannot be looked at says nothing about the others.
        let failed = |error: anyhow::Error| PlannedDay {
            day,
            action: Action::Fail,
            why: format!("{error:#}"),
            tables: vec![],
        };
        planned.push(next.unwrap_or_else(failed));
    }
    Ok(planned)
}

/// The day before the first one, where it is to stand in for the first and has to be brought up to
/// date for that.
fn day_before_to_compute(
    facts: &Facts,
    first: NaiveDate,
    is_report_day: bool,
) -> Result<Option<NaiveDate>> {
    let Some(before) = first.pred_opt() else {
        return Ok(None);
    };
    let is_ready = matches!(
        decide(facts, first, NOTHING_RECOMPUTED)?,
        Decision::Compute { .. } | Decision::Refresh { .. }
    );
    if is_ready || !wants_stand_in(facts.manifest(first)?.as_deref(), is_report_day) {
        return Ok(None);
    }
    Ok(match decide(facts, before, NOTHING_RECOMPUTED)? {
        Decision::Compute { .. } => Some(before),
        Decision::Refresh { stale, .. } if !stale.is_empty() => Some(before),
        _ => None,
    })
}

fn plan_day(
    facts: &Facts,
    day: NaiveDate,
    is_report_day: bool,
    recomputed: Recomputed,
) -> Result<PlannedDay> {
    let new = |action, why: String, tables| PlannedDay {
        day,
        action,
        why,
        tables,
    };
    Ok(match decide(facts, day, recomputed)? {
        Decision::Wait(missing) => {
            let tables =
                planned_stand_in(facts, day, missing.join(", "), is_report_day, recomputed)?;
            let action = if tables.is_empty() {
                Action::Wait
            } else {
                Action::Fallback
            };
            new(action, format!("not final: {}", missing.join(", ")), tables)
        }
        Decision::KnownBlocked(blocked) => {
            let tables = planned_stand_in(
                facts,
                day,
                blocked.datasets().join(", "),
                is_report_day,
                recomputed,
            )?;
            let reasons: Vec<String> = blocked
                .exports
                .iter()
                .map(|b| format!("{} {}", b.dataset, b.reason))
                .collect();
            new(Action::Blocked, reasons.join("; "), tables)
        }
        Decision::Compute { exports, why, .. } => {
            let is_there = |dataset: &&str| exports.folder(dataset).is_some_and(Folder::is_final);
            let computed = TABLES.iter().filter(|t| t.needs.iter().all(is_there));
            new(
                Action::Compute,
                why.into(),
                computed.map(|t| t.name).collect(),
            )
        }
        Decision::Refresh { stale, .. } => match stale.first() {
            None => new(Action::Nothing, "up to date".into(), vec![]),
            Some(first) => new(
                Action::Refresh,
                first.why.clone(),
                stale.iter().map(|s| s.table.name).collect(),
            ),
        },
    })
}

/// The tables that a stand-in would write.
fn planned_stand_in(
    facts: &Facts,
    day: NaiveDate,
    reason: String,
    is_report_day: bool,
    recomputed: Recomputed,
) -> Result<Vec<&'static str>> {
    if !wants_stand_in(facts.manifest(day)?.as_deref(), is_report_day) {
        return Ok(vec![]);
    }
    let stand_in = match resolve_stand_in(facts, day, reason, recomputed) {
        // The day before fails: nothing stands in.
        Err(error) if !exit_code::ends_all(&error) => None,
        resolved => resolved?.filter(|s| !s.is_fresh),
    };
    Ok(stand_in
        .map(|s| s.inputs.into_keys().collect())
        .unwrap_or_default())
}

/// Days that a run does not reach, and that a person should know of; oldest first.
#[derive(Default)]
pub struct OutOfReach {
    /// Final and not published.
    pub unpublished: Vec<NaiveDate>,
    /// Known to be blocked.
    pub blocked: Vec<NaiveDate>,
    /// Published, and not what they would be now; with the reason of the oldest.
    pub stale: Vec<NaiveDate>,
    pub why_stale: Option<String>,
    /// Cannot be looked at; with the reason of the oldest.
    pub failed: Vec<NaiveDate>,
    pub why_failed: Option<String>,
}

/// Looks at the days from six months before `day` until `first`, excluded.
pub fn days_out_of_reach(facts: &Facts, day: NaiveDate, first: NaiveDate) -> Result<OutOfReach> {
    let mut found = facts.state.days();
    if let Some(dataset) = facts.config.required.first() {
        let folders = facts.exports.list_folders(dataset)?;
        found.extend(
            folders
                .iter()
                .filter_map(|folder| folder.strip_prefix("dt=")?.parse::<NaiveDate>().ok()),
        );
    }
    // A day that is left out is reported as failed already.
    found.retain(|found| {
        *found >= six_months_before(day) && *found < first && !facts.state.is_left_out(*found)
    });
    found.sort_unstable();
    found.dedup();
    facts.look_ahead(found.iter().copied());
    let mut out_of_reach = OutOfReach::default();
    for day in found {
        if let Err(error) = look_out_of_reach(facts, day, &mut out_of_reach) {
            out_of_reach.failed.push(day);
            out_of_reach
                .why_failed
                .get_or_insert_with(|| format!("{error:#}"));
        }
    }
    Ok(out_of_reach)
}

fn look_out_of_reach(facts: &Facts, day: NaiveDate, found: &mut OutOfReach) -> Result<()> {
    let manifest = facts.manifest(day)?;
    let is_published = manifest.as_ref().is_some_and(|m| m.has_rollups());
    let lost = manifest
        .map(|m| m.lost.join(", "))
        .filter(|lost| !lost.is_empty());
    let why_stale = match decide(facts, day, NOTHING_RECOMPUTED)? {
        Decision::KnownBlocked(_) => {
            found.blocked.push(day);
            None
        }
        Decision::Compute { .. } if !is_published => {
            found.unpublished.push(day);
            None
        }
        Decision::Compute { why, .. } => Some(why.to_owned()),
        Decision::Refresh { stale, .. } => stale.into_iter().next().map(|stale| stale.why),
        Decision::Wait(_) => lost.map(|lost| format!("files are gone: {lost}")),
    };
    if let Some(why) = why_stale {
        found.stale.push(day);
        found.why_stale.get_or_insert(why);
    }
    Ok(())
}
