//! The first line: whether the night is fine, and why not.

use super::Summary;
use crate::catalog::manifest::{Manifest, Skipped};
use crate::pages::page::{Mark, Tone};
use crate::report::counted;
use crate::report::status::DayStatus;

/// The problems and warnings of a night.
#[derive(Default)]
pub(super) struct Findings {
    /// Numbers are missing or wrong, or a person is needed.
    problems: Vec<String>,
    /// Numbers are there, but somebody should look.
    warnings: Vec<String>,
}

impl Findings {
    pub(super) fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    pub(super) fn warning(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }

    /// The first line.
    pub(super) fn lead(&self, day: &str) -> Mark {
        match (self.problems.as_slice(), self.warnings.len()) {
            ([], 0) => Mark::new(
                Tone::Good,
                format!("Tonight is fine: {day} is published from its own exports and up to date."),
            ),
            ([], warnings) => Mark::new(
                Tone::Warning,
                format!(
                    "{day} is published; {} to look at.",
                    counted(warnings, "warning")
                ),
            ),
            ([only], _) => Mark::new(Tone::Bad, format!("Tonight is not fine: {only}.")),
            ([first, others @ ..], _) => {
                let others = counted(others.len(), "other problem");
                let text = format!("Tonight is not fine: {first}; and {others}.");
                Mark::new(Tone::Bad, text)
            }
        }
    }

    /// Every problem and warning.
    pub(super) fn marks(&self) -> Vec<Mark> {
        let bad = self.problems.iter();
        let bad = bad.map(|text| Mark::new(Tone::Bad, text.clone()));
        let warnings = self.warnings.iter();
        let warnings = warnings.map(|text| Mark::new(Tone::Warning, text.clone()));
        let mut marks: Vec<Mark> = bad.chain(warnings).collect();
        if marks.is_empty() {
            marks.push(Mark::new(Tone::Good, "Nothing needs a person."));
        }
        marks
    }
}

impl Summary<'_> {
    /// What the states of days and the manifest tell. The sections add what they find.
    pub(super) fn known(&self) -> Findings {
        let mut found = Findings::default();
        let night = &self.night;
        for status in night.days.iter().filter(|status| status.day == night.day) {
            found.problems.extend(problem(status));
        }
        if let Ok(Some(manifest)) = self.manifest() {
            self.of_manifest(manifest, &mut found);
        }
        let first = night.facts.state.days().into_iter().next();
        for status in night.days.iter().filter(|status| status.day != night.day) {
            // Before the first published day, no exports are expected.
            let is_expected = status.is_final || first.is_some_and(|first| status.day >= first);
            found
                .warnings
                .extend(problem(status).filter(|_| is_expected));
        }
        let older = night.older.iter();
        found.warnings.extend(older.map(|days| days.told()));
        found.warnings.extend(night.notices.iter().cloned());
        found
    }

    fn of_manifest(&self, manifest: &Manifest, found: &mut Findings) {
        if let Some(benchmark) = &manifest.benchmark
            && let Some(reason) = &benchmark.fallback_reason
        {
            let (stands_in, day) = (benchmark.benchmark_day, self.night.day);
            let why = match &manifest.blocked {
                Some(_) => format!("{day} is blocked by {reason}"),
                None => format!("{reason} of {day} is not final"),
            };
            found.warning(format!("benchmarks of {stands_in} stand in: {why}"));
        }
        for skipped in &manifest.skipped {
            match &skipped.sum {
                Some(_) => found.problem(not_written(skipped)),
                None => found.warning(not_written(skipped)),
            }
        }
        // The checks that block a day are told with its state.
        if let (Some(checks), None) = (&manifest.checks, &manifest.blocked) {
            let failed = checks.failed().map(|check| &check.name);
            let failed: Vec<&str> = failed
                .filter(|name| !checks.accepted.contains(name))
                .map(String::as_str)
                .collect();
            if !failed.is_empty() {
                let count = counted(failed.len(), "check");
                found.warning(format!("{count} failed: {}", failed.join(", ")));
            }
        }
        let quarantined: u64 = manifest.datasets.iter().map(|d| d.rows_quarantined).sum();
        if quarantined > 0 {
            found.warning(format!(
                "{} quarantined",
                counted(quarantined as usize, "row")
            ));
        }
    }
}

/// Whether a day is as it should be.
pub(super) fn is_fine(status: &DayStatus) -> bool {
    status.is_published
        && status.is_final
        && !status.is_stale
        && !status.is_blocked
        && !status.is_unfinished
        && status.lost.is_empty()
}

/// Why a day is not as it should be; `None`: it is.
fn problem(status: &DayStatus) -> Option<String> {
    let DayStatus {
        day,
        state,
        missing,
        ..
    } = status;
    let waits = match missing.is_empty() {
        true => String::new(),
        false => format!(" ({} not final)", missing.join(", ")),
    };
    (!is_fine(status)).then(|| format!("{day}: {state}{waits}"))
}

fn not_written(skipped: &Skipped) -> String {
    let Skipped {
        table,
        columns,
        reason,
        ..
    } = skipped;
    match columns.as_slice() {
        [] => format!("{table} is not written: {reason}"),
        columns => format!("{table}: {} not known: {reason}", columns.join(", ")),
    }
}
