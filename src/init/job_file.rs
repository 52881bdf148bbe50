//! Writes the text of the job file. Each guess has its reason in a comment, and what is missing is a comment
//! itself. Table headers are never comments, so a reader can make a line of any comment alone.

use std::collections::BTreeSet;

use super::columns::quoted;
use super::files::is_named_as_last;
use super::guesses::{Confidence, FoundColumn, FoundDataset, Guesses, UnusedColumn};
use crate::contracts::SUCCESS_FILE;
use crate::report::counted;

/// The path of every dataset, where the job file has none.
const DEFAULT_PATH: &str = "{dataset}/dt={day}";
/// Unused columns that one comment names.
const MOST_COLUMNS: usize = 100;

/// The job file of the guesses.
pub(super) fn text(guesses: &Guesses) -> String {
    let mut lines = Lines::default();
    head(guesses, &mut lines);
    let common = Common {
        path: common_path(&guesses.datasets),
        success: common_success(&guesses.datasets),
    };
    if guesses.are_by_contract {
        lines.line("");
        lines.comment("The exports are laid out as docs/exports.md says, so they need no mapping.");
    }
    of_all(&guesses.datasets, &common, &mut lines);
    for dataset in &guesses.datasets {
        of_dataset(dataset, &common, &mut lines);
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

/// The command that checks the first day. `job_file`: as a shell reads it.
pub(super) fn next_command(job_file: &str, guesses: &Guesses) -> String {
    let day = guesses
        .day
        .map_or("YYYY-MM-DD".to_owned(), |day| day.to_string());
    format!("campaign-etl validate --config {job_file} --day {day}")
}

/// What all datasets have in common; `None`: they differ.
struct Common {
    path: Option<String>,
    /// The inner one is `None` where no file marks a folder as final.
    success: Option<Option<String>>,
}

/// The keys of `[source]`.
fn of_all(datasets: &[FoundDataset], common: &Common, lines: &mut Lines) {
    let path = common.path.as_deref().filter(|path| *path != DEFAULT_PATH);
    let mark = common.success.as_ref();
    let is_needed = |mark: &&Option<String>| mark.as_deref() != Some(SUCCESS_FILE);
    let mark = mark.filter(is_needed);
    if path.is_none() && mark.is_none() {
        return;
    }
    lines.line("");
    lines.line("[source]");
    if let Some(path) = path {
        lines.guess(
            &format!("path = {}", quoted(path)),
            "likely: the folders of all datasets",
        );
    }
    if let Some(mark) = mark {
        of_success(mark.as_deref(), &unmarked(datasets), lines);
    }
}

/// The lines that say when a folder is final.
fn of_success(mark: Option<&str>, unmarked: &[&str], lines: &mut Lines) {
    match mark {
        Some(mark) => lines.guess(&format!("success = {}", quoted(mark)), &of_mark(mark)),
        None => {
            lines.comment(&no_mark(unmarked));
            lines.comment("success = \"none\"");
            lines.comment("settle_minutes = 30");
        }
    }
}

/// Why a file is taken for the mark of a final folder.
pub(super) fn of_mark(mark: &str) -> String {
    let confidence = match is_named_as_last(mark) {
        true => Confidence::Likely,
        false => Confidence::Unsure,
    };
    format!(
        "{confidence}: no folder has a _SUCCESS, and every folder has this file: check that it is written last"
    )
}

/// The datasets whose folders no file marks as final.
pub(super) fn unmarked(datasets: &[FoundDataset]) -> Vec<&'static str> {
    let unmarked = datasets.iter().filter(|dataset| dataset.success.is_none());
    unmarked.map(|dataset| dataset.dataset).collect()
}

/// What to do where no file marks a folder as final.
pub(super) fn no_mark(datasets: &[&str]) -> String {
    format!(
        "missing: no file marks a folder of {} as final: have _SUCCESS written last, or take success = \"none\" \
         with settle_minutes",
        datasets.join(", ")
    )
}

/// The mark of all datasets; `None`: they have different ones.
fn common_success(datasets: &[FoundDataset]) -> Option<Option<String>> {
    let marks: BTreeSet<Option<&String>> = datasets.iter().map(|it| it.success.as_ref()).collect();
    let mut marks = marks.into_iter();
    let mark = marks.next()?;
    marks.next().is_none().then(|| mark.cloned())
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

fn of_dataset(dataset: &FoundDataset, common: &Common, lines: &mut Lines) {
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
    let mark = match &dataset.success {
        Some(mark) => format!(
            "{mark} in {} of the newest {}",
            dataset.final_days, dataset.seen_days
        ),
        None => "no file marks a final folder".to_owned(),
    };
    lines.comment(&format!(
        "{}: {days}, {first_day} to {last_day}{gaps}; {mark}",
        dataset.dataset
    ));
    lines.comment(&format!("columns of {}", dataset.file));
    if !dataset.unused_columns.is_empty() {
        let unused = listed(&dataset.unused_columns);
        lines.comment(&format!("columns that are not used: {unused}"));
    }
    for other in &dataset.others {
        lines.comment(&format!(
            "unsure: {other} fits too; this one fits better or is newer"
        ));
    }
    for note in &dataset.notes {
        lines.comment(note);
    }
    let is_default = dataset.path == DEFAULT_PATH.replace("{dataset}", dataset.dataset);
    let has_own_path = common.path.is_none() && !is_default;
    let mark = dataset.success.as_deref();
    let has_own_mark = common.success.is_none() && mark != Some(SUCCESS_FILE);
    let header = format!("[source.{}]", dataset.dataset);
    if has_own_path || has_own_mark {
        lines.line(&header);
    }
    if has_own_path {
        lines.line(&format!("path = {}", quoted(&dataset.path)));
    }
    if has_own_mark {
        of_success(mark, &[dataset.dataset], lines);
    }
    let same: Vec<&str> = dataset
        .columns
        .iter()
        .filter(|column| column.mapping.is_none())
        .map(|column| column.column)
        .collect();
    if !same.is_empty() {
        lines.comment(&format!("as in the contract: {}", same.join(", ")));
    }
    let has_lines = |column: &FoundColumn| column.mapping.is_some() || !column.others.is_empty();
    if dataset.columns.iter().any(has_lines) {
        lines.line(&format!("[source.{}.columns]", dataset.dataset));
    }
    for column in &dataset.columns {
        if let Some(mapping) = &column.mapping {
            let is_active = column.confidence != Confidence::Missing;
            let mark = if is_active { "" } else { "# " };
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

/// The first columns, with their types.
fn listed(columns: &[UnusedColumn]) -> String {
    let shown = columns.iter().take(MOST_COLUMNS);
    let shown = shown.map(|it| format!("{} ({})", it.column, it.data_type));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match columns.len().checked_sub(MOST_COLUMNS) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
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
            success: Some("_SUCCESS".into()),
            final_days: 12,
            file: "raw/sellers/dt=2026-03-14/a\nb".into(),
            columns,
            unused_columns: vec![],
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

    /// The job file of shops and campaigns, laid out by the contract, with these marks.
    fn marked(of_shops: Option<&str>, of_campaigns: Option<&str>) -> String {
        let with = |dataset, success: Option<&str>| FoundDataset {
            dataset,
            success: success.map(str::to_owned),
            ..shops(&format!("{dataset}/dt={{day}}"), vec![])
        };
        text(&guesses(vec![
            with("shops", of_shops),
            with("campaigns", of_campaigns),
        ]))
    }

    #[test]
    fn the_mark_of_all_datasets_is_one_line() {
        let text = marked(Some("_DONE"), Some("_DONE"));
        assert!(
            text.contains("\n[source]\nsuccess = \"_DONE\"  # likely: "),
            "{text}"
        );
        assert_eq!(text.matches("\nsuccess = ").count(), 1, "{text}");
        assert!(text.contains("; _DONE in 12 of the newest 13\n"), "{text}");
        Config::parse(&text).unwrap();
        let text = marked(Some("_log"), Some("_log"));
        assert!(text.contains("\nsuccess = \"_log\"  # unsure: "), "{text}");
        assert!(!marked(Some("_SUCCESS"), Some("_SUCCESS")).contains("success ="));
    }

    #[test]
    fn without_a_mark_there_is_one_block_to_take() {
        let text = marked(None, None);
        let block = "\n[source]\n# missing: no file marks a folder of shops, campaigns as final: have _SUCCESS \
                     written last, or take success = \"none\" with settle_minutes\n# success = \"none\"\n\
                     # settle_minutes = 30\n";
        assert!(text.contains(block), "{text}");
        assert_eq!(text.matches("success = \"none\"\n").count(), 1, "{text}");
        let taken = text.replace("\n# success =", "\nsuccess =");
        let taken = taken.replace("\n# settle_minutes =", "\nsettle_minutes =");
        let config = Config::parse(&taken).unwrap();
        let shops = crate::contracts::datasets::dataset("shops").unwrap();
        let complete = config
            .mapping
            .complete(shops, "2026-03-14".parse().unwrap());
        assert_eq!(*complete, crate::mapping::Complete::Settled { minutes: 30 });
    }

    /// The job file with one of its comments taken as a line.
    fn with_line(text: &str, line: &str) -> String {
        text.replace(&format!("\n# {line}"), &format!("\n{line}"))
    }

    #[test]
    fn each_line_in_a_comment_can_be_taken_alone() {
        let absent = column("category", Some("{ absent = true }"), Confidence::Missing);
        for (success, path) in [
            (None, "shops/dt={day}"),
            (Some("_SUCCESS"), "shops/dt={day}"),
            (Some("_SUCCESS"), "raw/shops/dt={day}"),
            (None, "sellers/{day}"),
        ] {
            let shops = FoundDataset {
                success: success.map(str::to_owned),
                ..shops(path, vec![absent.clone()])
            };
            let text = text(&guesses(vec![shops]));
            let (shops, day) = (
                crate::contracts::datasets::dataset("shops").unwrap(),
                "2026-03-14".parse().unwrap(),
            );
            let mapping = Config::parse(&text).unwrap().mapping;
            assert_eq!(mapping.columns(shops, day), None, "{text}");
            let taken = with_line(&text, "category =");
            assert_ne!(taken, text);
            let mapping = Config::parse(&taken).unwrap().mapping;
            let columns = mapping.columns(shops, day).unwrap();
            assert_eq!(columns.name_in_file(shops, "category"), None, "{taken}");
            if success.is_none() {
                let taken = with_line(&with_line(&text, "success ="), "settle_minutes =");
                let mapping = Config::parse(&taken).unwrap().mapping;
                let settled = crate::mapping::Complete::Settled { minutes: 30 };
                assert_eq!(*mapping.complete(shops, day), settled, "{taken}");
            }
        }
    }

    #[test]
    fn datasets_of_different_marks_have_lines_of_their_own() {
        let text = marked(Some("_DONE"), None);
        assert!(
            text.contains("\n[source.shops]\nsuccess = \"_DONE\"  # likely: "),
            "{text}"
        );
        assert!(
            text.contains("\n[source.campaigns]\n# missing: no file marks a folder of campaigns"),
            "{text}"
        );
        assert!(!text.contains("[source]"), "{text}");
        Config::parse(&text).unwrap();
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

    #[test]
    fn columns_that_are_not_used_are_one_comment() {
        let unused = |names: &[String]| {
            let column = |name: &String| UnusedColumn {
                column: name.clone(),
                data_type: "STRING".into(),
            };
            let shops = FoundDataset {
                unused_columns: names.iter().map(column).collect(),
                ..shops("shops/dt={day}", vec![])
            };
            text(&guesses(vec![shops]))
        };
        let few = unused(&["city".to_owned(), "a\nb".to_owned()]);
        let line = "\n# columns that are not used: city (STRING), a\u{fffd}b (STRING)\n";
        assert!(few.contains(line), "{few}");
        let many: Vec<String> = (1..=102).map(|n| format!("c{n}")).collect();
        assert!(unused(&many).contains(", c100 (STRING) and 2 more\n"));
        assert!(!unused(&[]).contains("not used: city"));
    }
}
