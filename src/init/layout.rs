//! The folders of a location that are named by days: one group for each pattern of paths.
//!
//! 1. The folders are listed level by level, within limits. Folders of one folder that are named by days in
//!    one notation are one place, such as `raw/orders/date={day:%Y%m%d}`. So are years, months and days in
//!    folders of each other.
//! 2. A place with a whole day is a group. The newest folder tells whether other folders lie in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use anyhow::Result;
use chrono::{Datelike, NaiveDate};

/// Folders that are listed at most: a location of more holds something else.
const MOST_LISTINGS: usize = 5_000;
/// Folders in each other.
const MOST_DEPTH: usize = 10;
/// A number of four digits outside of these is no year.
const YEARS: RangeInclusive<i32> = 1990..=2100;
/// The newest folders of a group that are searched for folders in them.
const NEWEST: usize = 2;

/// The folders of a location.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// In the order of their paths.
    pub(super) groups: Vec<Group>,
    /// Folders of the location without a folder of a day in them.
    pub(super) others: BTreeSet<String>,
    /// Remarks on folders that no job file can name.
    pub(super) notes: Vec<String>,
}

/// Folders of days with one pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// As the job file writes it, such as `raw/orders/date={day:%Y%m%d}`.
    pub(super) path: String,
    /// The path without leading zeros, where no folder tells whether its numbers have them.
    pub(super) or_path: Option<String>,
    /// The folder of each day.
    pub(super) folders: BTreeMap<NaiveDate, String>,
}

impl Group {
    /// The first and the last day.
    pub(super) fn range(&self) -> Option<(NaiveDate, NaiveDate)> {
        let first = self.folders.first_key_value()?;
        let last = self.folders.last_key_value()?;
        Some((*first.0, *last.0))
    }

    /// The days between the first and the last that have no folder.
    pub(super) fn missing_days(&self) -> usize {
        let length = |(first, last): (NaiveDate, NaiveDate)| (last - first).num_days() as usize + 1;
        self.range().map_or(0, length) - self.folders.len()
    }
}

/// What the names of folders tell of their day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    Year(i32),
    Month(i32, u32),
    Day(NaiveDate),
}

/// Folders with one pattern.
struct Place {
    levels: Vec<Level>,
    folders: Vec<(String, Told)>,
}

impl Place {
    fn has_days(&self) -> bool {
        matches!(self.folders.first(), Some((_, Told::Day(_))))
    }

    /// A number without a leading zero tells that all numbers of the path have none.
    fn has_zeros(&self) -> bool {
        !self.levels.iter().any(|it| it.has_zeros == Some(false))
    }

    fn path(&self) -> String {
        pattern(&self.levels, self.has_zeros())
    }

    /// The path without leading zeros, where no number of the path tells whether there are any.
    fn or_path(&self) -> Option<String> {
        let is_told = self.levels.iter().any(|it| it.has_zeros.is_some());
        let is_open = !is_told && self.levels.iter().any(Level::is_number);
        is_open.then(|| pattern(&self.levels, false))
    }
}

/// The names of one level of a path.
#[derive(Clone, Debug)]
struct Level {
    form: Form,
    /// Whether its numbers have leading zeros; `None`: it has no number below 10.
    has_zeros: Option<bool>,
}

impl Level {
    /// Whether it is a month or a day alone, which may have no leading zeros.
    fn is_number(&self) -> bool {
        matches!(&self.form, Form::Dated(dated) if NUMBERS.contains(&dated.notation))
    }

    /// `has_zeros`: where the level does not tell.
    fn pattern(&self, has_zeros: bool) -> String {
        match &self.form {
            Form::Plain(name) => name.clone(),
            Form::Dated(dated) => {
                let Dated { prefix, suffix, .. } = dated;
                let day = match dated.written(self.has_zeros.unwrap_or(has_zeros)) {
                    "%Y-%m-%d" => "{day}".to_owned(),
                    notation => format!("{{day:{notation}}}"),
                };
                format!("{prefix}{day}{suffix}")
            }
        }
    }
}

/// The path as the job file writes it.
fn pattern(levels: &[Level], has_zeros: bool) -> String {
    let names = levels.iter().map(|level| level.pattern(has_zeros));
    let path = names.collect::<Vec<_>>().join("/");
    // 2026/03/14 is one date.
    path.replace("}/{day:", "/")
}

/// Gives the names of the folders in each of several folders.
type ListFolders<'a> = &'a mut dyn FnMut(&[String]) -> Result<Vec<Vec<String>>>;

/// Finds the groups.
pub(super) fn find_groups(list: ListFolders) -> Result<Layout> {
    let mut layout = Layout::default();
    let mut places = vec![Place {
        levels: vec![],
        folders: vec![(String::new(), Told::Nothing)],
    }];
    let mut left = MOST_LISTINGS;
    for _ in 0..MOST_DEPTH {
        let mut next = Vec::new();
        for place in &places {
            next.extend(below(place, list, &mut left, &mut layout)?);
        }
        let groups = next.iter().filter(|place| place.has_days()).map(group);
        layout.groups.extend(groups);
        places = next;
        if left == 0 {
            let note = format!(
                "The search ended after {MOST_LISTINGS} folders: name a folder within the location."
            );
            layout.notes.push(note);
            break;
        }
    }
    layout.groups.sort_by(|a, b| a.path.cmp(&b.path));
    let first_name = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    let used: Vec<String> = layout
        .groups
        .iter()
        .flat_map(|group| group.folders.values().map(|folder| first_name(folder)))
        .collect();
    layout.others.retain(|folder| !used.contains(folder));
    Ok(layout)
}

fn group(place: &Place) -> Group {
    let day = |(path, told): &(String, Told)| match told {
        Told::Day(day) => Some((*day, path.clone())),
        _ => None,
    };
    Group {
        path: place.path(),
        or_path: place.or_path(),
        folders: place.folders.iter().filter_map(day).collect(),
    }
}

/// The places directly in a place.
fn below(
    place: &Place,
    list: ListFolders,
    left: &mut usize,
    layout: &mut Layout,
) -> Result<Vec<Place>> {
    let mut folders: Vec<&(String, Told)> = place.folders.iter().collect();
    if place.has_days() && !newest_have_folders(&folders, list, left)? {
        return Ok(vec![]);
    }
    folders.truncate(*left);
    *left -= folders.len();
    let paths: Vec<String> = folders.iter().map(|(path, _)| path.clone()).collect();
    let listed = list(&paths)?;
    let mut found = Names::default();
    for ((path, told), names) in folders.iter().zip(listed) {
        for name in names {
            if path.is_empty() && !name.starts_with(['.', '_']) {
                layout.others.insert(name.clone());
            }
            if name == "_delta_log" {
                let note =
                    "is a Delta table: its folders also hold files that the table no longer has.";
                layout.notes.push(format!("{} {note}", shown(place)));
            }
            // Hidden folders hold no exports. A pattern cannot name braces.
            if !name.starts_with(['.', '_']) && !name.contains(['{', '}']) {
                found.add(path, *told, name);
            }
        }
    }
    let parts = found.without_parts_of_days();
    if let [first, .., last] = &parts[..] {
        layout.notes.push(format!(
            "{} has several folders of a day ({first} to {last}): a dataset and day must be one folder.",
            shown(place)
        ));
    }
    let partitions = found.partitions();
    if place.has_days() && !partitions.is_empty() {
        layout.notes.push(format!(
            "{} has folders in each day ({}): a dataset and day must be one folder.",
            shown(place),
            partitions.into_iter().collect::<Vec<_>>().join(", ")
        ));
        return Ok(vec![]);
    }
    Ok(found.places(&place.levels))
}

/// Whether other folders lie in the newest of a group.
fn newest_have_folders(
    folders: &[&(String, Told)],
    list: ListFolders,
    left: &mut usize,
) -> Result<bool> {
    let mut newest: Vec<_> = folders.iter().map(|(path, told)| (*told, path)).collect();
    newest.sort();
    let newest: Vec<String> = newest
        .into_iter()
        .rev()
        .map(|(_, path)| path.clone())
        .take(NEWEST.min(*left))
        .collect();
    *left -= newest.len();
    let is_shown = |name: &String| !name.starts_with(['.', '_']);
    Ok(list(&newest)?.iter().flatten().any(is_shown))
}

fn shown(place: &Place) -> String {
    match place.path() {
        path if path.is_empty() => "the location".to_owned(),
        path => path,
    }
}

/// The folders in a place, by the form of their names.
#[derive(Default)]
struct Names {
    by_form: BTreeMap<Form, Vec<Named>>,
}

/// The parts of a name that are the same for all days.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// The name is the same everywhere.
    Plain(String),
    Dated(Dated),
}

/// The texts around a day, a month or a year in a name, and the notation of that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Dated {
    prefix: String,
    notation: &'static str,
    /// Such as ` 00:00:00`; only whole days have one.
    suffix: String,
}

impl Dated {
    fn new(prefix: &str, notation: &'static str, suffix: &str) -> Dated {
        Dated {
            prefix: prefix.to_owned(),
            notation,
            suffix: suffix.to_owned(),
        }
    }

    /// The notation with leading zeros, or without.
    fn written(&self, has_zeros: bool) -> &'static str {
        match (self.notation, has_zeros) {
            (MONTH, false) => "%-m",
            (DAY, false) => "%-d",
            (notation, _) => notation,
        }
    }
}

/// The notations of a month and of a day in folders of each other.
const MONTH: &str = "%m";
const DAY: &str = "%d";
const NUMBERS: [&str; 2] = [MONTH, DAY];

struct Named {
    path: String,
    name: String,
    /// What the folders above tell, and what this one tells too.
    above: Told,
    told: Told,
}

impl Names {
    fn add(&mut self, parent: &str, above: Told, name: String) {
        let path = match parent {
            "" => name.clone(),
            parent => format!("{parent}/{name}"),
        };
        let (form, told) = match dated(&name, above) {
            Some((dated, told)) => (Form::Dated(dated), told),
            None => (Form::Plain(name.clone()), above),
        };
        let named = Named {
            path,
            name,
            above,
            told,
        };
        self.by_form.entry(form).or_default().push(named);
    }

    /// Leaves out folders that are parts of a day, such as dt=2026-03-14T00 and dt=2026-03-14T01, and returns
    /// their names. Names with a text after the day are plain ones where the day also stands without one
    /// (2026-03-14, 2026-03-14_tmp), or where most days have a text of their own.
    fn without_parts_of_days(&mut self) -> Vec<String> {
        let mut parts = Vec::new();
        let mut by_prefix: BTreeMap<(String, &str), Vec<Dated>> = BTreeMap::new();
        for form in self.by_form.keys() {
            if let Form::Dated(dated) = form {
                let start = (dated.prefix.clone(), dated.notation);
                by_prefix.entry(start).or_default().push(dated.clone());
            }
        }
        for alike in by_prefix.into_values().filter(|alike| alike.len() > 1) {
            let has_plain_day = alike.iter().any(|dated| dated.suffix.is_empty());
            let of_days = self.forms_of_days(&alike);
            for dated in alike.iter().filter(|dated| !dated.suffix.is_empty()) {
                let form = Form::Dated(dated.clone());
                let text = without_digits(&dated.suffix);
                let is_shared = |day: &Told| of_days.get(&(text.clone(), *day)) > Some(&1);
                if !has_plain_day && self.days(dated).iter().any(is_shared) {
                    let names = &self.by_form[&form];
                    parts.extend(names.iter().map(|named| named.name.clone()));
                } else if has_plain_day || self.by_form[&form].len() == 1 {
                    let named = self.by_form.remove(&form).unwrap_or_default();
                    self.add_plain(named);
                }
            }
        }
        parts.sort();
        let is_part = |named: &Named| parts.binary_search(&named.name).is_ok();
        self.by_form.retain(|_, named| !named.iter().any(is_part));
        parts
    }

    /// How many of these forms have names of a day, by their text after the day without its numbers.
    fn forms_of_days(&self, forms: &[Dated]) -> BTreeMap<(String, Told), usize> {
        let mut of_days = BTreeMap::new();
        for dated in forms {
            let text = without_digits(&dated.suffix);
            for day in self.days(dated) {
                *of_days.entry((text.clone(), day)).or_default() += 1;
            }
        }
        of_days
    }

    fn days(&self, dated: &Dated) -> BTreeSet<Told> {
        let names = self.by_form.get(&Form::Dated(dated.clone()));
        names.into_iter().flatten().map(|it| it.told).collect()
    }

    fn add_plain(&mut self, names: Vec<Named>) {
        for named in names {
            let told = named.above;
            let form = Form::Plain(named.name.clone());
            let plain = Named { told, ..named };
            self.by_form.entry(form).or_default().push(plain);
        }
    }

    /// The names of folders that are parts of one dataset, such as `hour=...` or numbers.
    fn partitions(&self) -> BTreeSet<String> {
        let partition = |form: &Form| match form {
            Form::Plain(name) => match name.split_once('=') {
                Some((key, _)) => Some(format!("{key}=...")),
                None => {
                    let is_number = name.chars().all(|c| c.is_ascii_digit());
                    is_number.then(|| "numbers".to_owned())
                }
            },
            Form::Dated(_) => None,
        };
        self.by_form.keys().filter_map(partition).collect()
    }

    fn places(self, above: &[Level]) -> Vec<Place> {
        let place = |(form, mut named): (Form, Vec<Named>)| {
            let mut has_zeros = None;
            if let Form::Dated(dated) = &form {
                has_zeros = zeros(dated, &named);
                let notation = dated.written(has_zeros.unwrap_or(true));
                named.retain(|named| is_written(named, dated, notation));
            }
            let level = Level { form, has_zeros };
            let folders = named.into_iter().map(|named| (named.path, named.told));
            Place {
                levels: above.iter().cloned().chain([level]).collect(),
                folders: folders.collect(),
            }
        };
        self.by_form.into_iter().map(place).collect()
    }
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Whether the months or days of these names have leading zeros; `None`: all have two digits without one.
fn zeros(dated: &Dated, named: &[Named]) -> Option<bool> {
    if !NUMBERS.contains(&dated.notation) {
        return None;
    }
    let number = |named: &Named| named.name.split_at(dated.prefix.len()).1.to_owned();
    let numbers: Vec<String> = named.iter().map(number).collect();
    if numbers.iter().any(|number| number.len() == 1) {
        return Some(false);
    }
    let is_padded = numbers.iter().any(|number| number.starts_with('0'));
    is_padded.then_some(true)
}

/// Whether the notation gives this name.
fn is_written(named: &Named, dated: &Dated, notation: &str) -> bool {
    let day = match named.told {
        Told::Nothing => None,
        Told::Year(year) => NaiveDate::from_ymd_opt(year, 1, 1),
        Told::Month(year, month) => NaiveDate::from_ymd_opt(year, month, 1),
        Told::Day(day) => Some(day),
    };
    let Dated { prefix, suffix, .. } = dated;
    day.is_some_and(|day| named.name == format!("{prefix}{}{suffix}", day.format(notation)))
}

/// Reads the date in a folder's name: how it is written, and the day, month or year that the path up to there
/// gives. `None`: there is no date, or it contradicts the folders above.
fn dated(name: &str, above: Told) -> Option<(Dated, Told)> {
    const MONTHS: [(&str, usize); 3] = [("%Y-%m", 7), ("%Y_%m", 7), ("%Y%m", 6)];
    let agrees = |day: NaiveDate| match above {
        Told::Nothing => YEARS.contains(&day.year()),
        Told::Year(year) => year == day.year(),
        Told::Month(year, month) => (year, month) == (day.year(), day.month()),
        Told::Day(_) => false,
    };
    if let Some((dated, day)) = whole_day(name)
        && agrees(day)
    {
        return Some((dated, Told::Day(day)));
    }
    let told = |prefix: &str, notation, told| Some((Dated::new(prefix, notation, ""), told));
    if let Told::Nothing | Told::Year(_) = above {
        for (notation, length) in MONTHS {
            if let Some((prefix, month)) = tail(name, length)
                && let Ok(day) =
                    NaiveDate::parse_from_str(&format!("{month}/01"), &format!("{notation}/%d"))
                && agrees(day)
            {
                return told(prefix, notation, Told::Month(day.year(), day.month()));
            }
        }
    }
    let number = |length: usize| {
        let (prefix, number) = tail(name, length)?;
        Some((prefix, number.parse::<u32>().ok()?))
    };
    let short = || number(2).or_else(|| number(1));
    match above {
        Told::Nothing => {
            let (prefix, year) = number(4)?;
            let year = i32::try_from(year).ok()?;
            let is_year = YEARS.contains(&year);
            is_year.then(|| told(prefix, "%Y", Told::Year(year)))?
        }
        Told::Year(year) => {
            let (prefix, month) = short()?;
            let is_month = (1..=12).contains(&month);
            is_month.then(|| told(prefix, MONTH, Told::Month(year, month)))?
        }
        Told::Month(year, month) => {
            let (prefix, day) = short()?;
            let day = NaiveDate::from_ymd_opt(year, month, day)?;
            told(prefix, DAY, Told::Day(day))
        }
        Told::Day(_) => None,
    }
}

/// Whether the names of a path tell a day.
pub(super) fn is_in_a_day(path: &str) -> bool {
    let told = path.split('/').fold(Told::Nothing, |above, name| {
        dated(name, above).map_or(above, |(_, told)| told)
    });
    matches!(told, Told::Day(_))
}

/// The last day in a name that is a number of its own, with the texts around it.
fn whole_day(name: &str) -> Option<(Dated, NaiveDate)> {
    const DAYS: [(&str, usize); 4] = [
        ("%Y-%m-%d", 10),
        ("%Y_%m_%d", 10),
        ("%Y.%m.%d", 10),
        ("%Y%m%d", 8),
    ];
    let ends = (1..=name.len()).rev();
    let parts = ends.filter_map(|end| name.split_at_checked(end));
    let mut apart = parts.filter(|(_, suffix)| !suffix.starts_with(|c: char| c.is_ascii_digit()));
    apart.find_map(|(start, suffix)| {
        DAYS.into_iter().find_map(|(notation, length)| {
            let (prefix, date) = tail(start, length)?;
            let day = NaiveDate::parse_from_str(date, notation).ok()?;
            Some((Dated::new(prefix, notation, suffix), day))
        })
    })
}

/// The last characters of a name, which begin a number of their own.
fn tail(name: &str, length: usize) -> Option<(&str, &str)> {
    let (prefix, tail) = name.split_at_checked(name.len().checked_sub(length)?)?;
    let is_number = tail.starts_with(|c: char| c.is_ascii_digit())
        && tail.ends_with(|c: char| c.is_ascii_digit());
    let is_apart = !prefix.ends_with(|c: char| c.is_ascii_digit());
    (is_number && is_apart).then_some((prefix, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout of a location with these folders.
    fn layout(folders: &[&str]) -> Layout {
        let mut list = |asked: &[String]| {
            let names = |parent: &String| {
                let below = folders.iter().filter_map(|folder| match parent.as_str() {
                    "" => Some(*folder),
                    parent => folder.strip_prefix(parent)?.strip_prefix('/'),
                });
                let names = below.filter_map(|below| below.split('/').next());
                let names: BTreeSet<String> = names.map(str::to_owned).collect();
                names.into_iter().collect()
            };
            Ok(asked.iter().map(names).collect())
        };
        find_groups(&mut list).unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn paths(folders: &[&str]) -> Vec<String> {
        let groups = layout(folders).groups;
        groups.into_iter().map(|group| group.path).collect()
    }

    #[test]
    fn every_notation_of_a_day_gives_its_pattern() {
        for (folder, path) in [
            ("orders/dt=2026-03-14", "orders/dt={day}"),
            ("raw/orders/date=20260314", "raw/orders/date={day:%Y%m%d}"),
            ("orders/DT=2026-03-14", "orders/DT={day}"),
            ("orders/2026/03/14", "orders/{day:%Y/%m/%d}"),
            (
                "orders/year=2026/month=3/day=4",
                "orders/year={day:%Y}/month={day:%-m}/day={day:%-d}",
            ),
            ("orders/2026-03/14", "orders/{day:%Y-%m/%d}"),
            ("orders/202603/20260314", "orders/{day:%Y%m/%Y%m%d}"),
            (
                "orders/month=2026-03/dt=2026-03-14",
                "orders/month={day:%Y-%m}/dt={day}",
            ),
            ("2026-03-14", "{day}"),
            ("orders_2026_03_14", "orders_{day:%Y_%m_%d}"),
            ("orders/dt=2026-03-14 00:00:00", "orders/dt={day} 00:00:00"),
            ("orders/dt=2026-03-14T00", "orders/dt={day}T00"),
            ("orders/20260314_full", "orders/{day:%Y%m%d}_full"),
            (
                "orders/y2026/m03/2026-03-14 é",
                "orders/y{day:%Y}/m{day:%m}/{day} é",
            ),
        ] {
            assert_eq!(paths(&[folder]), [path], "{folder}");
        }
    }

    /// The path of the lowest group, and the one without leading zeros.
    fn path_and_other(folders: &[&str]) -> (String, Option<String>) {
        let group = layout(folders).groups.pop().unwrap();
        (group.path, group.or_path)
    }

    #[test]
    fn one_number_tells_whether_all_of_a_path_have_leading_zeros() {
        for (folders, path) in [
            (
                &["a/m=3/d=10", "a/m=3/d=14"][..],
                "a/m={day:%-m}/d={day:%-d}",
            ),
            (&["a/m=10/d=3", "a/m=11/d=14"], "a/m={day:%-m}/d={day:%-d}"),
            (&["a/m=03/d=10", "a/m=10/d=14"], "a/m={day:%m}/d={day:%d}"),
            (&["a/m=10/d=03", "a/m=10/d=14"], "a/m={day:%m}/d={day:%d}"),
            (&["a/m=03/d=4", "a/m=10/d=14"], "a/m={day:%m}/d={day:%-d}"),
            (&["a/m=3/d=04", "a/m=10/d=14"], "a/m={day:%-m}/d={day:%d}"),
        ] {
            let folders: Vec<String> = folders
                .iter()
                .map(|folder| folder.replace("a/", "orders/y=2026/"))
                .collect();
            let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
            let path = path.replace("a/", "orders/y={day:%Y}/");
            assert_eq!(path_and_other(&folders), (path, None), "{folders:?}");
        }
    }

    #[test]
    fn where_no_number_tells_of_leading_zeros_both_paths_are_known() {
        let other = |text: &str| Some(text.to_owned());
        for (folder, path, or_path) in [
            (
                "2026/10/14/orders",
                "{day:%Y/%m/%d}/orders",
                other("{day:%Y/%-m/%-d}/orders"),
            ),
            (
                "orders/month=10/dt=2026-10-04",
                "orders/month={day:%m}/dt={day}",
                other("orders/month={day:%-m}/dt={day}"),
            ),
            ("orders/2026-10-14", "orders/{day}", None),
            ("orders/202610/20261014", "orders/{day:%Y%m/%Y%m%d}", None),
        ] {
            // A month alone belongs to a year.
            let folder = folder.replace("orders/month", "orders/2026/month");
            let in_year = |path: &str| path.replace("orders/month", "orders/{day:%Y}/month");
            let expected = (in_year(path), or_path.as_deref().map(in_year));
            assert_eq!(path_and_other(&[&folder]), expected, "{folder}");
        }
    }

    #[test]
    fn a_text_after_the_day_is_one_of_all_days() {
        let found = layout(&[
            "orders/dt=2026-03-13 00:00:00",
            "orders/dt=2026-03-14 00:00:00",
            "orders/dt=2026-03-15 backup",
        ]);
        let [group] = &found.groups[..] else {
            panic!("{found:?}");
        };
        assert_eq!(group.path, "orders/dt={day} 00:00:00");
        let folder = "orders/dt=2026-03-14 00:00:00";
        assert_eq!(group.folders[&day("2026-03-14")], folder);
        assert_eq!(group.folders.len(), 2);
        // The day without a text is meant.
        let days = ["orders/2026-03-13", "orders/2026-03-14_tmp"];
        assert_eq!(paths(&days), ["orders/{day}"]);
        // The text is the name of the dataset.
        let days = ["13_orders", "14_orders", "13_shops", "14_shops"];
        let days = days.map(|day| format!("2026-03-{day}"));
        let days: Vec<&str> = days.iter().map(String::as_str).collect();
        assert_eq!(paths(&days), ["{day}_orders", "{day}_shops"]);
    }

    #[test]
    fn folders_of_hours_are_told_and_are_no_days() {
        let found = layout(&[
            "orders/dt=2026-03-14T00",
            "orders/dt=2026-03-14T01",
            "orders/dt=2026-03-15T00",
        ]);
        assert_eq!(found.groups, []);
        assert_eq!(
            found.notes,
            [
                "orders has several folders of a day (dt=2026-03-14T00 to dt=2026-03-15T00): a dataset \
              and day must be one folder."
            ]
        );
    }

    #[test]
    fn a_location_within_a_day_is_known() {
        for (path, expected) in [
            ("s3://bucket/exports/dt=2026-03-14", true),
            ("/data/2026/03/14/orders/", true),
            ("exports/2026/03", false),
            ("exports/orders", false),
            ("", false),
        ] {
            assert_eq!(is_in_a_day(path), expected, "{path}");
        }
    }

    #[test]
    fn days_above_the_datasets_are_found_too() {
        let found = layout(&["2026-03-13/orders", "2026-03-14/orders", "2026-03-14/shops"]);
        let of = |path: &str| {
            let group = found.groups.iter().find(|group| group.path == path);
            group.unwrap().folders.keys().copied().collect::<Vec<_>>()
        };
        assert_eq!(of("{day}/orders"), [day("2026-03-13"), day("2026-03-14")]);
        assert_eq!(of("{day}/shops"), [day("2026-03-14")]);
    }

    #[test]
    fn a_group_knows_its_days_and_the_days_between_that_are_missing() {
        let found = layout(&[
            "orders/dt=2026-03-10",
            "orders/dt=2026-03-13",
            "orders/_temporary/0",
            "orders/dt=latest",
            "logs/app",
        ]);
        assert_eq!(found.groups.len(), 1);
        let group = &found.groups[0];
        assert_eq!(group.range(), Some((day("2026-03-10"), day("2026-03-13"))));
        assert_eq!(group.missing_days(), 2);
        assert_eq!(group.folders[&day("2026-03-13")], "orders/dt=2026-03-13");
        assert_eq!(found.others, BTreeSet::from(["logs".to_owned()]));
    }

    #[test]
    fn numbers_that_are_no_dates_are_plain_names() {
        assert!(
            paths(&[
                "v2/orders",
                "shop=1234/x",
                "orders/dt=2026-13-01",
                "a/99999999"
            ])
            .is_empty()
        );
    }

    #[test]
    fn hours_in_a_day_and_the_log_of_a_table_format_are_told() {
        let found = layout(&[
            "orders/dt=2026-03-14/hour=00",
            "orders/dt=2026-03-14/hour=01",
            "orders/_delta_log",
        ]);
        assert_eq!(found.groups.len(), 1);
        assert!(
            found.notes.iter().any(|note| note.contains("hour=...")),
            "{found:?}"
        );
        assert!(
            found
                .notes
                .iter()
                .any(|note| note.contains("orders is a Delta table"))
        );
    }

    #[test]
    fn the_search_is_bounded() {
        let folders: Vec<String> = (0..20_000).map(|n| format!("shop=x{n}x/a/b")).collect();
        let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
        let mut asked = 0;
        let found = find_groups(&mut |parents: &[String]| {
            asked += parents.len();
            let names = |parent: &String| match parent.as_str() {
                "" => folders
                    .iter()
                    .map(|f| f.split('/').next().unwrap().to_owned())
                    .collect(),
                _ => vec!["a".to_owned()],
            };
            Ok(parents.iter().map(names).collect())
        })
        .unwrap();
        assert_eq!(asked, MOST_LISTINGS);
        assert!(found.notes[0].contains("The search ended"));
    }
}
