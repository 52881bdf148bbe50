//! A day's exports read to their end and rolled up; told apart from exports that changed while they
//! were read.

use anyhow::{Context, Result};

use super::Job;
use crate::contracts::sums::SumTooLarge;
use crate::contracts::tables::TABLES;
use crate::days::calendar::CivilDay;
use crate::days::readiness::{DayExports, changed_since};
use crate::exports::snapshots::Snapshots;
use crate::exports::{DayRead, read_day};
use crate::publish::TableFile;
use crate::record::manifest::Skipped;
use crate::resources::Resources;
use crate::rollups::{self, Rows, tally::Tally};

/// What a day's exports came to.
#[derive(Default)]
pub struct RolledUp {
    pub read: DayRead,
    /// The daily tables; none where the day is blocked.
    pub daily: Vec<TableFile>,
    /// Sums that do not fit, of tables that are left out for that.
    pub too_large: Vec<SumTooLarge>,
    /// Totals over the used rows.
    pub tally: Tally,
    /// Rows that did not fit into memory.
    pub spilled_bytes: u64,
}

/// What was read is worth something only if the exports stayed as they were.
pub enum Reading<T> {
    Whole(T),
    /// Datasets that changed meanwhile, sorted.
    Changed(Vec<&'static str>),
}

/// Reads all exports of a day and computes its daily tables.
pub fn roll_up(
    job: &Job,
    exports: &DayExports,
    resources: &Resources,
) -> Result<Reading<RolledUp>> {
    let resources = resources.counted_apart();
    let mut rows = Rows::new(&resources);
    let read = read_unchanged(job, exports, || {
        read_day(
            &job.exports,
            exports,
            &job.config,
            &resources,
            &|_| true,
            &mut rows,
        )
    })?;
    let read = match read {
        Reading::Whole(read) => read,
        Reading::Changed(datasets) => return Ok(Reading::Changed(datasets)),
    };
    let is_blocked = read.blocking(&job.config).next().is_some();
    let civil = CivilDay::new(exports.day, job.config.time_zone);
    if is_blocked {
        return Ok(Reading::Whole(RolledUp {
            read,
            ..RolledUp::default()
        }));
    }
    let sums = rows
        .into_sums()
        .context("a day that is not blocked was read to its end")?;
    let file = |table, rows| TableFile::new(table, exports.day, &resources.stop, &rows);
    let tables = rollups::daily_tables(&sums, &read.snapshots, &civil, &resources, file)?;
    let (mut daily, mut too_large) = (Vec::new(), Vec::new());
    for table in tables {
        match table {
            Ok(file) => daily.push(file),
            Err(sum) => too_large.push(sum),
        }
    }
    Ok(Reading::Whole(RolledUp {
        read,
        daily,
        too_large,
        tally: sums.tally,
        spilled_bytes: resources.spilled_bytes(),
    }))
}

/// Reads exports, and then looks whether they are still the ones that were listed before.
pub fn read_unchanged<T>(
    job: &Job,
    exports: &DayExports,
    read: impl FnOnce() -> Result<T>,
) -> Result<Reading<T>> {
    let read = read();
    job.resources.stop.check()?;
    let changed = changed_since(&job.exports, exports)?;
    // A file that was replaced may also have failed to be read.
    Ok(if changed.is_empty() {
        Reading::Whole(read?)
    } else {
        Reading::Changed(changed)
    })
}

/// Tables and columns that lack an optional export, and why it is absent.
pub fn skipped(exports: &DayExports, snapshots: &Snapshots, read: &DayRead) -> Vec<Skipped> {
    let day = exports.day;
    let why = |dataset: &str| match read.defects.iter().find(|(d, _)| d.name == dataset) {
        Some((_, defect)) => format!("{dataset} {}", defect.reason()),
        None => format!("{dataset} is not final"),
    };
    let mut skipped = Vec::new();
    for table in TABLES {
        if let Some(dataset) = table.needs.iter().find(|d| !snapshots.has(d)) {
            skipped.push(Skipped {
                table: table.name.into(),
                day,
                columns: vec![],
                reason: why(dataset),
                sum: None,
            });
            continue;
        }
        for (dataset, columns) in table.columns_need.iter().filter(|(d, _)| !snapshots.has(d)) {
            let columns = columns.iter().map(|c| (*c).to_owned()).collect();
            skipped.push(Skipped {
                table: table.name.into(),
                day,
                columns,
                reason: why(dataset),
                sum: None,
            });
        }
    }
    skipped
}
