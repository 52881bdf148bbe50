//! Whether the inputs of a published table are still those that it was computed from.

use std::collections::BTreeMap;

use anyhow::Result;

use super::exports_behind;
use crate::catalog::manifest::Manifest;
use crate::contracts::Table;
use crate::days::readiness::{DayExports, Readiness};
use crate::plan::{
    Decision, Facts, TableDecision, TableFacts, decide, decide_table, resolve_stand_in, settings,
    sources,
};

/// The inputs of a table that changed since it was published, in words.
///
/// # Errors
/// When the store fails.
pub(super) fn since_published(
    facts: &Facts,
    manifest: &Manifest,
    table: &'static Table,
) -> Result<Vec<String>> {
    let day = manifest.day;
    let stands_in = manifest.benchmark.as_ref();
    let stands_in = stands_in.filter(|b| table.is_benchmark() && b.benchmark_day != day);
    if let Some(benchmark) = stands_in {
        let reason = benchmark.fallback_reason.clone().unwrap_or_default();
        let now = resolve_stand_in(facts, day, benchmark.benchmark_day, reason)?;
        let is_fresh = now.is_some_and(|stand_in| stand_in.is_fresh);
        let stale = format!("tables of the benchmark day {}", benchmark.benchmark_day);
        return Ok(if is_fresh { vec![] } else { vec![stale] });
    }
    let exports = match facts.readiness(day)? {
        Readiness::Ready(exports) => exports,
        Readiness::NotYet(missing) => {
            // Without the exports, nobody knows whether a table over other tables has other inputs.
            let names = missing.iter().map(|missing| missing.dataset);
            let counts = |name: &&str| !table.is_rollup() || exports_behind(table).contains(*name);
            let told = |name| format!("the export {name} of {day} is not final any more");
            let mut changed: Vec<String> = names.filter(counts).map(told).collect();
            changed.extend(settings_changed(facts, manifest));
            return Ok(changed);
        }
    };
    let mut changed = exports_changed(facts, manifest, table, &exports);
    if changed.is_empty() {
        changed.extend(why_stale(facts, manifest, table, &exports)?);
    }
    Ok(changed)
}

/// Exports and settings with other fingerprints than the manifest recorded.
fn exports_changed(
    facts: &Facts,
    manifest: &Manifest,
    table: &Table,
    exports: &DayExports,
) -> Vec<String> {
    let Some(recorded) = &manifest.sources else {
        return vec![];
    };
    let now = sources(exports, facts.config);
    let mut changed = Vec::new();
    for name in exports_behind(table) {
        if recorded.exports.get(name) != now.exports.get(name) {
            changed.push(format!("the export {name} of {}", manifest.day));
        }
    }
    changed.extend(settings_changed(facts, manifest));
    changed
}

/// Settings that are not those that the manifest recorded.
fn settings_changed(facts: &Facts, manifest: &Manifest) -> Vec<String> {
    let Some(recorded) = &manifest.sources else {
        return vec![];
    };
    let none = String::new();
    let mut changed = Vec::new();
    for (name, value) in settings(facts.config) {
        let before = recorded.settings.get(name).unwrap_or(&none);
        if *before != value {
            changed.push(format!("the setting {name}: {before} -> {value}"));
        }
    }
    changed
}

/// Why a run would compute the table again.
fn why_stale(
    facts: &Facts,
    manifest: &Manifest,
    table: &Table,
    exports: &DayExports,
) -> Result<Option<String>> {
    if table.is_rollup() {
        // Another export may have changed. Without a record of them, every change counts.
        let is_recorded = manifest.sources.is_some();
        return Ok(match decide(facts, manifest.day)? {
            Decision::Compute(_, why) if !is_recorded => Some(why.to_owned()),
            _ => None,
        });
    }
    let tables = facts.tables(manifest.day);
    let decision = decide_table(
        table,
        &TableFacts {
            exports,
            first_campaign_day: manifest.first_campaign_day,
            tables: &tables,
            newest: Some(manifest),
            unwritten: &BTreeMap::new(),
            config: facts.config,
        },
    )?;
    Ok(match decision {
        TableDecision::Stale { why, .. } => Some(why),
        TableDecision::Fresh { .. } | TableDecision::Unwritten { .. } => None,
    })
}
