//! The folder of a dataset and day, from a pattern.

use std::collections::HashSet;
use std::fmt::Write;

use chrono::format::{Item, StrftimeItems};
use chrono::{Days, NaiveDate};

/// A pattern such as `{dataset}/dt={day}` or `raw/{day:%Y/%m/%d}`, checked: it gives every day a folder of
/// its own within the exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathPattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Dataset,
    /// In the notation of strftime.
    Day(String),
}

/// `{day}` alone: 2026-03-14.
const PLAIN_DAY: &str = "%Y-%m-%d";

/// The layout of the contract.
impl Default for PathPattern {
    fn default() -> Self {
        let text = |text: &str| Part::Text(text.into());
        let day = Part::Day(PLAIN_DAY.into());
        PathPattern(vec![Part::Dataset, text("/dt="), day])
    }
}

impl PathPattern {
    /// # Errors
    /// The defect of the pattern, as a part of a sentence.
    pub(super) fn parse(text: &str) -> Result<PathPattern, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (place, after) = after.split_once('}').ok_or("a { without its }")?;
            parts.push(plain(before)?);
            parts.push(match place.split_once(':') {
                None if place == "dataset" => Part::Dataset,
                None if place == "day" => Part::Day(PLAIN_DAY.into()),
                Some(("day", format)) => Part::Day(day_format(format)?),
                _ => return Err(format!("{{{place}}} is not {{dataset}} or {{day}}")),
            });
            rest = after;
        }
        parts.push(plain(rest)?);
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        let pattern = PathPattern(parts);
        pattern.check()?;
        Ok(pattern)
    }

    fn check(&self) -> Result<(), String> {
        if !self.0.iter().any(|part| matches!(part, Part::Day(_))) {
            return Err("no {day}: the days could not be told apart".into());
        }
        // Four years have every month, and a leap day.
        let first = NaiveDate::default();
        let days = (0..1461).filter_map(|n| first.checked_add_days(Days::new(n)));
        let folders: Vec<String> = days.map(|day| self.folder("x", day)).collect();
        let different: HashSet<&String> = folders.iter().collect();
        if different.len() < folders.len() {
            return Err("two days have the same folder: name year, month and day".into());
        }
        let mut names = folders[0].split('/');
        if names.any(|name| matches!(name, "" | "." | "..")) {
            return Err(
                "not the path of a folder within the exports, such as raw/orders/dt={day}".into(),
            );
        }
        Ok(())
    }

    /// Whether it gives each dataset a folder of its own.
    pub(super) fn names_dataset(&self) -> bool {
        self.0.contains(&Part::Dataset)
    }

    pub(super) fn folder(&self, dataset: &str, day: NaiveDate) -> String {
        let mut folder = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => folder.push_str(text),
                Part::Dataset => folder.push_str(dataset),
                // Writing to a text fails only for a format that `day_format` refuses.
                Part::Day(format) => write!(folder, "{}", day.format(format)).unwrap_or_default(),
            }
        }
        folder
    }

    /// The folder of a dataset without the parts of its path that are named by a day: a name of the whole
    /// dataset. Where every part is, the dataset's own name.
    pub(super) fn without_days(&self, dataset: &str) -> String {
        // No name holds a NUL.
        let mut folder = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => folder.push_str(text),
                Part::Dataset => folder.push_str(dataset),
                Part::Day(_) => folder.push('\u{0}'),
            }
        }
        let names = folder.split('/').filter(|name| !name.contains('\u{0}'));
        match names.collect::<Vec<_>>() {
            names if names.is_empty() => dataset.to_owned(),
            names => names.join("/"),
        }
    }

    /// The folder that holds the first one that is named by a day; `""`: the location itself.
    pub(super) fn parent(&self, dataset: &str) -> String {
        let mut parent = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => parent.push_str(text),
                Part::Dataset => parent.push_str(dataset),
                Part::Day(_) => break,
            }
        }
        parent
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent)
            .to_owned()
    }
}

/// The text around the places.
fn plain(text: &str) -> Result<Part, String> {
    match text.contains('}') {
        true => Err("a } without its {".into()),
        false => Ok(Part::Text(text.into())),
    }
}

/// A format that a day can be written in.
fn day_format(format: &str) -> Result<String, String> {
    let is_known = |item: Item| !matches!(item, Item::Error);
    let day = NaiveDate::default();
    let mut written = String::new();
    let is_of_a_day = StrftimeItems::new(format).all(is_known)
        && write!(written, "{}", day.format(format)).is_ok();
    match is_of_a_day {
        true => Ok(format.into()),
        false => Err(format!(
            "{{day:{format}}} is no format of a day, such as %Y%m%d"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day() -> NaiveDate {
        "2026-03-04".parse().unwrap()
    }

    #[test]
    fn a_pattern_gives_the_folder_of_a_dataset_and_day() {
        let folder = |pattern: &str| PathPattern::parse(pattern).unwrap().folder("shops", day());
        assert_eq!(folder("{dataset}/dt={day}"), "shops/dt=2026-03-04");
        assert_eq!(
            folder("raw/orders/date={day:%Y%m%d}"),
            "raw/orders/date=20260304"
        );
        assert_eq!(folder("{day:%Y/%m/%d}/{dataset}"), "2026/03/04/shops");
        assert_eq!(
            PathPattern::default(),
            PathPattern::parse("{dataset}/dt={day}").unwrap()
        );
    }

    #[test]
    fn the_parent_holds_the_days() {
        let parent = |pattern: &str| PathPattern::parse(pattern).unwrap().parent("shops");
        assert_eq!(parent("{dataset}/dt={day}"), "shops");
        assert_eq!(parent("raw/{dataset}/date={day}/final"), "raw/shops");
        assert_eq!(parent("{day}/{dataset}"), "");
    }

    #[test]
    fn a_dataset_has_a_name_without_its_days() {
        let named = |pattern: &str| PathPattern::parse(pattern).unwrap().without_days("shops");
        assert_eq!(named("{dataset}/dt={day}"), "shops");
        assert_eq!(named("{day:%Y/%m/%d}/{dataset}"), "shops");
        assert_eq!(named("raw/{dataset}/date={day}/final"), "raw/shops/final");
        assert_eq!(named("{day}"), "shops");
    }

    #[test]
    fn a_wrong_pattern_says_what_is_wrong() {
        let error = |pattern: &str| PathPattern::parse(pattern).unwrap_err();
        assert!(error("{dataset}/all").contains("no {day}"));
        assert!(error("{dataset}/{date}").contains("{date} is not {dataset} or {day}"));
        assert!(error("{dataset}/{day:%Q}").contains("no format of a day"));
        assert!(error("{dataset}/{day:%H}").contains("no format of a day"));
        assert!(error("{dataset}/{day:%Y-%m}").contains("same folder"));
        assert!(error("{dataset}/{day").contains("without its }"));
        assert!(error("a}/{day}").contains("without its {"));
        for outside in ["../{day}", "/a/{day}", "a//{day}", "a/{day}/"] {
            assert!(error(outside).contains("within the exports"), "{outside}");
        }
    }
}
