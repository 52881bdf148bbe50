//! The tables over a day's rollups: each is decided, and a stale one is handed to hands that announce or
//! compute it.

use anyhow::Result;

use super::day::{DayWork, StaleTable};
use crate::contracts::tables::{BENCHMARKS, WINDOWS};
use crate::plan::TableDecision;

/// The outcome of reading the snapshots of a day whose rollups are fresh.
pub(super) enum Snapshots {
    Read,
    /// The snapshots are damaged now. Every table of the day must be computed from the exports
    /// again.
    Broken,
    Changed(Vec<&'static str>),
}

/// Carries out the decisions about the tables over a day's rollups.
pub(super) trait TableHands<'a> {
    /// Reads the snapshots of a day whose rollups are fresh.
    fn read_snapshots(&mut self, work: &mut DayWork<'a>) -> Result<Snapshots>;

    /// Computes a stale window table.
    fn window(&mut self, work: &mut DayWork<'a>, stale: StaleTable) -> Result<()>;

    /// Computes stale benchmark tables, at least one.
    fn benchmarks(&mut self, work: &mut DayWork<'a>, stale: Vec<StaleTable>) -> Result<()>;
}

/// The outcome of the tables over the rollups.
pub(super) enum Tables {
    Settled,
    SnapshotsBroken,
    /// Datasets that changed while their snapshots were read.
    Changed(Vec<&'static str>),
}

/// Computes the stale tables over the rollups. In this order, each table reads only settled
/// tables.
pub(super) fn settle_tables<'a>(
    work: &mut DayWork<'a>,
    hands: &mut (impl TableHands<'a> + ?Sized),
) -> Result<Tables> {
    for table in WINDOWS {
        if work.is_absent(table) {
            continue;
        }
        let TableDecision::Stale { inputs, why } = work.settle(table)? else {
            continue;
        };
        if !work.has_snapshots() {
            match hands.read_snapshots(work)? {
                Snapshots::Read => {}
                Snapshots::Broken => return Ok(Tables::SnapshotsBroken),
                Snapshots::Changed(datasets) => return Ok(Tables::Changed(datasets)),
            }
        }
        hands.window(work, StaleTable { table, inputs, why })?;
    }
    let mut stale = Vec::new();
    for table in BENCHMARKS {
        if work.is_absent(table) {
            continue;
        }
        if let TableDecision::Stale { inputs, why } = work.settle(table)? {
            stale.push(StaleTable { table, inputs, why });
        }
    }
    if !stale.is_empty() {
        // They are computed together, from the same cohorts.
        hands.benchmarks(work, stale)?;
    }
    Ok(Tables::Settled)
}
