//! The text of the job file: every guess with its reason as a comment, and what is missing as a comment.

use std::collections::BTreeSet;

use super::columns::quoted;
use super::guesses::{Confidence, FoundColumn, FoundDataset, Guesses};
use crate::report::counted;

/// The path of every dataset, where the job file has none.
const DEFAULT_PATH: &str = "{dataset}/dt={day}";

/// The job file of the guesses.
pub(super) fn text(guesses: &Guesses) -> String {
    let mut lines = Lines::default();
    head(guesses, &mut lines);
    let common = common_path(&guesses.datasets);
    if guesses.are_by_contract {
        lines.line("");
        lines.comment("The exports are laid out as docs/exports.md says, so they need no mapping.");
    } else if let Some(path) = &common
        && path != DEFAULT_PATH
    {
        lines.line("");
        lines.line("[source]");
        lines.guess(
            &format!("path = {}", quoted(path)),
            "likely: the folders of all datasets",
        );
    }
    for dataset in &guesses.datasets {
        of_dataset(dataset, common.is_none(), &mut lines);
    }
    tail(guesses, &mut lines);
    lines.0
}

fn head(guesses: &Guesses, lines: &mut Lines) {
    lines
        .comment("Written by `campaign-etl init`. Each line is a guess, and its comment says why:");
    lines.comment(
        "sure, likely, unsure or missing. Correct the lines that are wrong, then check a day:",
    );
    lines.comment(&next_command("JOB_FILE", guesses));
    lines.comment("Keys that are not here have the values of docs/configuration.md.");
    lines.line("");
    lines.line(&format!("exports = {}", quoted(&guesses.exports)));
    lines.guess(
        &format!("results = {}", quoted(&guesses.results)),
        "a folder or URL that this job alone writes",
    );
    let zone = &guesses.time_zone;
    lines.comment(&format!("{}: {}", zone.confidence, zone.reason));
    lines.line(&format!("time_zone = {}", quoted(&zone.zone)));
    lines.guess(
        "# currency = \"USD\"",
        "missing: no export names its currency; this is the default",
    );
}

/// The command that checks the first day.
pub(super) fn next_command(job_file: &str, guesses: &Guesses) -> String {
    let day = guesses
        .day
        .map_or("YYYY-MM-DD".to_owned(), |day| day.to_string());
    format!("campaign-etl validate --config {job_file} --day {day}")
}

/// One pattern for all datasets; `None`: they have different ones.
fn common_path(datasets: &[FoundDataset]) -> Option<String> {
    let of_any = |dataset: &FoundDataset| {
        let is_name = |segment: &str| match segment == dataset.dataset {
            true => "{dataset}".to_owned(),
            false => segment.to_owned(),
        };
        let segments: Vec<String> = dataset.path.split('/').map(is_name).collect();
        segments.join("/")
    };
    let paths: BTreeSet<String> = datasets.iter().map(of_any).collect();
    let mut paths = paths.into_iter();
    let path = paths.next().filter(|path| path.contains("{dataset}"))?;
    paths.next().is_none().then_some(path)
}

fn of_dataset(dataset: &FoundDataset, has_own_path: bool, lines: &mut Lines) {
    lines.line("");
    let FoundDataset {
        days,
        first_day,
        last_day,
        ..
    } = dataset;
    let days = counted(*days, "day");
    let gaps = match dataset.missing_days {
        0 => String::new(),
        missing => format!(", {missing} between them missing"),
    };
    lines.comment(&format!(
        "{}: {days}, {first_day} to {last_day}{gaps}; _SUCCESS in {} of the newest {}",
        dataset.dataset, dataset.final_days, dataset.seen_days
    ));
    lines.comment(&format!("columns of {}", dataset.file));
    for other in &dataset.others {
        lines.comment(&format!(
            "unsure: {other} fits too; this one fits better or is newer"
        ));
    }
    for note in &dataset.notes {
        lines.comment(note);
    }
    let is_default = dataset.path == DEFAULT_PATH.replace("{dataset}", dataset.dataset);
    if has_own_path && !is_default {
        lines.line(&format!("[source.{}]", dataset.dataset));
        lines.line(&format!("path = {}", quoted(&dataset.path)));
    }
    let needs_line = |column: &&FoundColumn| column.mapping.is_some();
    let same: Vec<&str> = dataset
        .columns
        .iter()
        .filter(|column| !needs_line(column))
        .map(|column| column.column)
        .collect();
    if !same.is_empty() {
        lines.comment(&format!("as in the contract: {}", same.join(", ")));
    }
    let is_active = |column: &&FoundColumn| column.confidence != Confidence::Missing;
    if dataset
        .columns
        .iter()
        .filter(needs_line)
        .any(|column| is_active(&column))
    {
        lines.line(&format!("[source.{}.columns]", dataset.dataset));
    } else if dataset.columns.iter().any(|column| needs_line(&column)) {
        lines.comment(&format!("[source.{}.columns]", dataset.dataset));
    }
    for column in &dataset.columns {
        if let Some(mapping) = &column.mapping {
            let mark = if is_active(&column) { "" } else { "# " };
            let reason = format!("{}: {}", column.confidence, column.reason);
            lines.guess(&format!("{mark}{} = {mapping}", column.column), &reason);
        } else if column.confidence != Confidence::Sure {
            lines.comment(&format!(
                "{}: {}: {}",
                column.column, column.confidence, column.reason
            ));
        }
        for other in &column.others {
            lines.comment(&format!(
                "or: {} = {}  # {}",
                column.column, other.mapping, other.reason
            ));
        }
    }
}

fn tail(guesses: &Guesses, lines: &mut Lines) {
    if !guesses.missing.is_empty() {
        lines.line("");
    }
    for missing in &guesses.missing {
        let need = if missing.is_required {
            "required"
        } else {
            "optional"
        };
        lines.comment(&format!(
            "missing: {} ({need}): no folder has its columns {}",
            missing.dataset,
            missing.columns.join(", ")
        ));
    }
    if !guesses.unused.is_empty() || !guesses.notes.is_empty() {
        lines.line("");
    }
    for unused in &guesses.unused {
        lines.comment(&format!("not used: {}: {}", unused.path, unused.reason));
    }
    for note in &guesses.notes {
        lines.comment(note);
    }
}

/// Lines of TOML. Names of files and columns are in them, which may hold any character.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, line: &str) {
        self.0 += line;
        self.0.push('\n');
    }

    fn comment(&mut self, text: &str) {
        let line = format!("# {}", printable(text));
        self.line(line.trim_end());
    }

    fn guess(&mut self, line: &str, reason: &str) {
        self.line(&format!("{line}  # {}", printable(reason)));
    }
}

/// A comment of TOML has no control characters.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::init::guesses::{MissingDataset, OtherColumn, UnusedFolder, ZoneGuessed};

    fn column(column: &'static str, mapping: Option<&str>, confidence: Confidence) -> FoundColumn {
        FoundColumn {
            column,
            from: None,
            mapping: mapping.map(str::to_owned),
            confidence,
            reason: "a reason\nof two lines".into(),
            others: vec![OtherColumn {
                from: "other".into(),
                mapping: "\"other\"".into(),
                reason: "alike".into(),
            }],
        }
    }

    fn shops(path: &str, columns: Vec<FoundColumn>) -> FoundDataset {
        FoundDataset {
            dataset: "shops",
            is_required: true,
            path: path.into(),
            first_day: "2026-03-01".parse().unwrap(),
            last_day: "2026-03-14".parse().unwrap(),
            days: 13,
            missing_days: 1,
            seen_days: 13,
            final_days: 12,
            file: "raw/sellers/dt=2026-03-14/a\nb".into(),
            columns,
            others: vec!["raw/old_sellers/dt={day}".into()],
            notes: vec![],
        }
    }

    fn guesses(datasets: Vec<FoundDataset>) -> Guesses {
        Guesses {
            exports: "s3://bucket/exports".into(),
            results: "results".into(),
            are_by_contract: false,
            time_zone: ZoneGuessed {
                zone: "Asia/Tokyo".into(),
                confidence: Confidence::Likely,
                reason: "hours".into(),
            },
            datasets,
            missing: vec![MissingDataset {
                dataset: "inventory",
                is_required: false,
                columns: vec!["sku_id"],
            }],
            unused: vec![UnusedFolder {
                path: "logs".into(),
                reason: "no days".into(),
            }],
            notes: vec![],
            day: None,
        }
    }

    #[test]
    fn the_job_file_is_one_that_the_program_reads() {
        let columns = vec![
            column(
                "shop_id",
                Some("{ from = \"id\", text_id = true }"),
                Confidence::Sure,
            ),
            column("shop_name", None, Confidence::Sure),
            column("category", Some("{ absent = true }"), Confidence::Missing),
        ];
        let text = text(&guesses(vec![shops("raw/sellers/dt={day}", columns)]));
        let config = Config::parse(&text).unwrap();
        assert_eq!(config.exports, "s3://bucket/exports");
        assert_eq!(config.time_zone, chrono_tz::Asia::Tokyo);
        for line in [
            "[source.shops]\npath = \"raw/sellers/dt={day}\"\n",
            "\nshop_id = { from = \"id\", text_id = true }  # sure: a reason\u{fffd}of two lines\n",
            "\n# category = { absent = true }  # missing: ",
            "# as in the contract: shop_name\n",
            "# shops: 13 days, 2026-03-01 to 2026-03-14, 1 between them missing; _SUCCESS in 12 of the newest 13\n",
            "# missing: inventory (optional): no folder has its columns sku_id\n",
            "# not used: logs: no days\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn one_path_serves_datasets_that_lie_in_folders_of_their_names() {
        let with = |path: &str| text(&guesses(vec![shops(path, vec![])]));
        let common = with("raw/shops/{day:%Y/%m/%d}");
        assert!(
            common.contains("[source]\npath = \"raw/{dataset}/{day:%Y/%m/%d}\""),
            "{common}"
        );
        assert!(!with("shops/dt={day}").contains("path ="));
        assert!(with("sellers/dt={day}").contains("[source.shops]\npath = \"sellers/dt={day}\""));
    }
}
