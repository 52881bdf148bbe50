//! The guesses for a person: what was found, what is missing, and the next command.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::guesses::{Confidence, Guesses};
use super::job_file::{next_command, no_mark, of_mark, unmarked};
use crate::contracts::SUCCESS_FILE;
use crate::report::counted;

/// The page after the job file was written to `job_file`. `word`: its path as a shell reads it.
pub(crate) fn page(job_file: &str, word: &str, guesses: &Guesses) -> String {
    let mut page = format!(
        "{job_file}: {} of {} datasets found\n",
        guesses.datasets.len(),
        guesses.datasets.len() + guesses.missing.len()
    );
    for found in &guesses.datasets {
        let days = counted(found.days, "day");
        let _ = writeln!(
            page,
            "  {:<18} {}: {days}, {} to {}",
            found.dataset, found.path, found.first_day, found.last_day
        );
    }
    for missing in &guesses.missing {
        let need = if missing.is_required {
            "required"
        } else {
            "optional"
        };
        let _ = writeln!(page, "  {:<18} missing, {need}", missing.dataset);
    }
    let to_check = to_check(guesses);
    if guesses.are_by_contract {
        page += "The exports are laid out as docs/exports.md says: they need no mapping.\n";
    }
    if !to_check.is_empty() {
        let _ = writeln!(page, "To check and correct in {job_file}:");
        page.extend(to_check.iter().map(|line| format!("  {line}\n")));
    }
    let next = next_command(word, guesses);
    let _ = match guesses.day {
        Some(_) => writeln!(page, "Next: {next}"),
        None if unmarked(&guesses.datasets).is_empty() => {
            writeln!(
                page,
                "No day is final in all required datasets.\nNext: {next}"
            )
        }
        None => writeln!(page, "Next: complete success in {job_file}, then {next}"),
    };
    page
}

/// What is not sure. The job file says more.
fn to_check(guesses: &Guesses) -> Vec<String> {
    let zone = &guesses.time_zone;
    let mut lines = vec![format!(
        "time_zone = \"{}\": {}: {}",
        zone.zone, zone.confidence, zone.reason
    )];
    let without = unmarked(&guesses.datasets);
    if !without.is_empty() {
        lines.push(no_mark(&without));
    }
    let found = guesses.datasets.iter();
    let marks = found.filter_map(|found| found.success.as_deref());
    let marks: BTreeSet<&str> = marks.filter(|mark| *mark != SUCCESS_FILE).collect();
    let told = |mark: &str| format!("success = \"{mark}\": {}", of_mark(mark));
    lines.extend(marks.into_iter().map(told));
    for found in &guesses.datasets {
        for other in &found.others {
            lines.push(format!("{}: unsure: {other} fits too", found.dataset));
        }
        let notes = found.notes.iter();
        lines.extend(notes.map(|note| format!("{}: {note}", found.dataset)));
        for confidence in [Confidence::Missing, Confidence::Unsure] {
            let of = found
                .columns
                .iter()
                .filter(|column| column.confidence == confidence);
            let names: Vec<&str> = of.map(|column| column.column).collect();
            if !names.is_empty() {
                lines.push(format!(
                    "{}: {confidence}: {}",
                    found.dataset,
                    names.join(", ")
                ));
            }
        }
    }
    lines.extend(guesses.notes.iter().cloned());
    lines
}
