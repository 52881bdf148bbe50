//! Whether a night is fine, and why not: the first line of `status` and of the operator's page.

use chrono::NaiveDate;

use super::counted;
use super::status::DayStatus;
use crate::catalog::manifest::{Manifest, Skipped};
use crate::exit_code::{ExitCode, GRAVEST_FIRST};

/// The problems and warnings of a night.
#[derive(Default)]
pub(crate) struct Findings {
    /// Numbers are missing or wrong, or a person is needed; each with the exit code that says who acts.
    problems: Vec<(ExitCode, String)>,
    /// Numbers are there, but somebody should look.
    warnings: Vec<String>,
}

/// How a night is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grade {
    Fine,
    Warned,
    NotFine,
}

impl Findings {
    /// What the states of days tell. Problems of `night` count; those of other days are warnings.
    /// Before `first_published`, no exports are expected.
    pub(crate) fn of_days(
        days: &[DayStatus],
        night: NaiveDate,
        first_published: Option<NaiveDate>,
    ) -> Findings {
        let mut found = Findings::default();
        for status in days {
            let is_expected =
                status.is_final || first_published.is_some_and(|first| status.day >= first);
            match problem(status) {
                Some((code, text)) if status.day == night => found.problem(code, text),
                Some((_, text)) if is_expected => found.warning(text),
                _ => {}
            }
        }
        found
    }

    pub(crate) fn problem(&mut self, code: ExitCode, text: impl Into<String>) {
        self.problems.push((code, text.into()));
    }

    pub(crate) fn warning(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }

    pub(crate) fn problems(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().map(|(_, text)| text.as_str())
    }

    pub(crate) fn warnings(&self) -> impl Iterator<Item = &str> {
        self.warnings.iter().map(String::as_str)
    }

    pub(crate) fn grade(&self) -> Grade {
        match (self.problems.is_empty(), self.warnings.is_empty()) {
            (true, true) => Grade::Fine,
            (true, false) => Grade::Warned,
            (false, _) => Grade::NotFine,
        }
    }

    /// The code of the gravest problem, for a monitor; 0 where there are only warnings.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let has = |code: &ExitCode| self.problems.iter().any(|(found, _)| found == code);
        let gravest = GRAVEST_FIRST.into_iter().find(has);
        gravest.unwrap_or(ExitCode::Published)
    }

    /// The first line, short enough for a terminal: the reason stands below it.
    pub(crate) fn short_lead(&self, night: NaiveDate) -> String {
        match self.problems.first() {
            None => self.lead(night),
            Some((_, text)) => {
                let of_day = text.strip_prefix(&format!("{night}: ")).unwrap_or(text);
                let short = of_day.split([':', '(']).next().unwrap_or(of_day);
                format!("Tonight is not fine: {night}: {}.", short.trim_end())
            }
        }
    }

    /// The first line, with the reason.
    pub(crate) fn lead(&self, night: NaiveDate) -> String {
        match (self.problems.as_slice(), self.warnings.as_slice()) {
            ([], []) => format!(
                "Tonight is fine: {night} is published from its own exports and up to date."
            ),
            ([], warnings) => format!(
                "Tonight is fine, with {}: {night} is published.",
                counted(warnings.len(), "warning")
            ),
            ([(_, only)], _) => format!("Tonight is not fine: {only}."),
            ([(_, first), others @ ..], _) => format!(
                "Tonight is not fine: {first}; and {}.",
                counted(others.len(), "other problem")
            ),
        }
    }

    /// Adds what the newest manifest of the night tells.
    pub(crate) fn add_manifest(&mut self, manifest: &Manifest) {
        let night = manifest.day;
        if let Some(benchmark) = &manifest.benchmark
            && let Some(reason) = &benchmark.fallback_reason
        {
            let stands_in = benchmark.benchmark_day;
            let why = match &manifest.blocked {
                Some(_) => format!("{night} is blocked by {reason}"),
                None => format!("not final on {night}: {reason}"),
            };
            self.warning(format!("benchmarks of {stands_in} stand in: {why}"));
        }
        for skipped in &manifest.skipped {
            match &skipped.sum {
                Some(_) => self.problem(ExitCode::Blocked, not_written(skipped)),
                None => self.warning(not_written(skipped)),
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
                self.warning(format!("{count} failed: {}", failed.join(", ")));
            }
        }
        let quarantined: u64 = manifest.datasets.iter().map(|d| d.rows_quarantined).sum();
        if quarantined > 0 {
            self.warning(format!(
                "{} quarantined",
                counted(quarantined as usize, "row")
            ));
        }
    }
}

/// Whether a day is as it should be.
pub(crate) fn is_fine(status: &DayStatus) -> bool {
    status.is_published
        && status.is_final
        && !status.is_stale
        && !status.is_blocked
        && !status.is_unfinished
        && status.lost.is_empty()
}

/// Why a day is not as it should be, and who acts; `None`: it is.
fn problem(status: &DayStatus) -> Option<(ExitCode, String)> {
    let DayStatus {
        day,
        state,
        missing,
        waits_for,
        ..
    } = status;
    let waits = match missing.is_empty() {
        true => String::new(),
        false => format!(" (not final: {waits_for})"),
    };
    let code = match status {
        status if status.is_blocked => ExitCode::Blocked,
        status if !status.is_readable || !status.lost.is_empty() => ExitCode::StoreFailed,
        // The next run does it.
        _ => ExitCode::TryLater,
    };
    (!is_fine(status)).then(|| (code, format!("{day}: {state}{waits}")))
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
