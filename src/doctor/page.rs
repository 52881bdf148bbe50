//! An examination as text: a line for each check, its remedy, and a verdict.

use std::fmt::Write;

use super::finding::{Check, Examination, Outcome};
use crate::report::counted;

pub(crate) fn page(found: &Examination) -> String {
    let names = Check::ALL.iter().map(|check| check.word().len());
    let width = names.max().unwrap_or_default();
    let indent = " ".repeat(MARK_WIDTH + width + 4);
    let mut text = String::new();
    for finding in &found.checks {
        let (mark, name) = (mark(finding.outcome), finding.check.word());
        let told = finding.text.replace('\n', &format!("\n{indent}"));
        let _ = writeln!(text, "{mark:<MARK_WIDTH$}  {name:<width$}  {told}");
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "{indent}next: {remedy}");
        }
    }
    text + &verdict(found) + "\n"
}

const MARK_WIDTH: usize = 4;

fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Warn => "warn",
        Outcome::Fail => "fail",
        Outcome::NotChecked => "-",
    }
}

fn verdict(found: &Examination) -> String {
    let count = |outcome| {
        let matching = found.checks.iter().filter(|it| it.outcome == outcome);
        matching.count()
    };
    let mut verdict = match count(Outcome::Fail) {
        0 => "ready: no check failed".to_owned(),
        failed => format!(
            "not ready: {} of {} failed",
            failed,
            counted(found.checks.len(), "check")
        ),
    };
    for (outcome, what) in [(Outcome::Warn, "warned"), (Outcome::NotChecked, "not made")] {
        let number = count(outcome);
        if number > 0 {
            let _ = write!(verdict, ", {number} {what}");
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_a_line_its_remedy_and_further_lines_below_its_text() {
        let found = Examination::of(vec![
            Check::JobFile.ok("a"),
            Check::Memory.warn("b", "c"),
            Check::ConditionalWrites.fail("d\ne", "f"),
            Check::Clock.not_checked("g"),
        ]);
        let expected = "\
ok    job_file            a
warn  memory              b
                          next: c
fail  conditional_writes  d
                          e
                          next: f
-     clock               not checked: g
not ready: 1 of 4 checks failed, 1 warned, 1 not made
";
        assert_eq!(page(&found), expected);
        let fine = Examination::of(vec![Check::JobFile.ok("a")]);
        assert!(page(&fine).ends_with("\nready: no check failed\n"));
    }
}
