//! The first line: whether the night is fine, and why not.

use super::{Summary, section};
use crate::catalog::checked::CheckOutcome;
use crate::pages::page::{Block, Mark, Section, Tone};
use crate::report::counted;
use crate::report::status::DayStatus;

/// What is wrong with a night.
pub(super) struct Verdict {
    day: String,
    /// Numbers are missing, or a person is needed.
    problems: Vec<String>,
    /// Numbers are there, but somebody should look.
    warnings: Vec<String>,
}

impl Verdict {
    pub(super) fn lead(&self) -> Mark {
        let day = &self.day;
        match (self.problems.as_slice(), self.warnings.len()) {
            ([], 0) => Mark::new(
                Tone::Good,
                format!("Tonight is fine: {day} is published from its own exports and up to date."),
            ),
            ([], warnings) => Mark::new(
                Tone::Warning,
                format!(
                    "{day} is published and up to date; {} to look at.",
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
}

impl Summary<'_> {
    pub(super) fn verdict(&self) -> Verdict {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        for status in self
            .night
            .days
            .iter()
            .filter(|status| status.day == self.night.day)
        {
            problems.extend(problem(status));
        }
        if let Some(manifest) = &self.manifest {
            if let Some(benchmark) = &manifest.benchmark
                && let Some(reason) = &benchmark.fallback_reason
            {
                let day = benchmark.benchmark_day;
                warnings.push(format!(
                    "benchmarks of {day} stand in: {reason} of {} is not final, or blocks it",
                    self.night.day
                ));
            }
            for skipped in &manifest.skipped {
                match &skipped.sum {
                    Some(_) => problems.push(format!(
                        "{} is not written: {}",
                        skipped.table, skipped.reason
                    )),
                    None => warnings.push(not_written(
                        &skipped.table,
                        &skipped.columns,
                        &skipped.reason,
                    )),
                }
            }
            let checks = manifest.checks.as_ref();
            let failed = checks.map_or(0, |checks| checks.count(CheckOutcome::Failed));
            if failed > 0 {
                warnings.push(format!("{} failed", counted(failed, "check")));
            }
            let quarantined: u64 = manifest.datasets.iter().map(|d| d.rows_quarantined).sum();
            if quarantined > 0 {
                warnings.push(format!(
                    "{} quarantined",
                    counted(quarantined as usize, "row")
                ));
            }
        }
        let first = self.night.facts.state.days().into_iter().next();
        let others = self.night.days.iter();
        let others = others.filter(|status| status.day != self.night.day);
        // Before the first published day, no exports are expected.
        let is_expected =
            |status: &&DayStatus| status.is_final || first.is_some_and(|first| status.day >= first);
        warnings.extend(others.filter(is_expected).filter_map(problem));
        warnings.extend(self.night.notices.iter().cloned());
        Verdict {
            day: self.night.day.to_string(),
            problems,
            warnings,
        }
    }

    /// Every problem and warning.
    pub(super) fn findings(&self, verdict: &Verdict) -> Section {
        let bad = verdict.problems.iter();
        let bad = bad.map(|text| Mark::new(Tone::Bad, text.clone()));
        let warnings = verdict.warnings.iter();
        let warnings = warnings.map(|text| Mark::new(Tone::Warning, text.clone()));
        let mut marks: Vec<Mark> = bad.chain(warnings).collect();
        if marks.is_empty() {
            marks.push(Mark::new(Tone::Good, "Nothing needs a person."));
        }
        section("findings", "What needs a person", vec![Block::Marks(marks)])
    }
}

/// Why a day is not as it should be; `None`: it is.
fn problem(status: &DayStatus) -> Option<String> {
    let is_fine = status.is_published
        && !status.is_stale
        && !status.is_blocked
        && status.is_final
        && status.lost.is_empty();
    let waits = match status.missing.as_slice() {
        [] => String::new(),
        missing => format!(" for {}", missing.join(", ")),
    };
    (!is_fine).then(|| format!("{}: {}{waits}", status.day, status.state))
}

fn not_written(table: &str, columns: &[String], reason: &str) -> String {
    match columns {
        [] => format!("{table} is not written: {reason}"),
        columns => format!("{table}: {} not known: {reason}", columns.join(", ")),
    }
}
