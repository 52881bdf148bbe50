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
    path: String,
    folders: Vec<(String, Told)>,
}

impl Place {
    fn has_days(&self) -> bool {
        matches!(self.folders.first(), Some((_, Told::Day(_))))
    }
}

/// Gives the names of the folders in each of several folders.
type ListFolders<'a> = &'a mut dyn FnMut(&[String]) -> Result<Vec<Vec<String>>>;

/// Finds the groups.
pub(super) fn find_groups(list: ListFolders) -> Result<Layout> {
    let mut layout = Layout::default();
    let mut places = vec![Place {
        path: String::new(),
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
        path: place.path.clone(),
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
                layout.notes.push(format!("{} {note}", shown(&place.path)));
            }
            // Hidden folders hold no exports. A pattern cannot name braces.
            if !name.starts_with(['.', '_']) && !name.contains(['{', '}']) {
                found.add(path, *told, name);
            }
        }
    }
    let partitions = found.partitions();
    if place.has_days() && !partitions.is_empty() {
        layout.notes.push(format!(
            "{} has folders in each day ({}): a dataset and day must be one folder.",
            shown(&place.path),
            partitions.into_iter().collect::<Vec<_>>().join(", ")
        ));
        return Ok(vec![]);
    }
    Ok(found.places(&place.path))
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

fn shown(path: &str) -> &str {
    match path {
        "" => "the location",
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
    /// Text before a day, a month or a year, and the notation of that.
    Dated(String, &'static str),
}

struct Named {
    path: String,
    name: String,
    told: Told,
}

impl Names {
    fn add(&mut self, parent: &str, told: Told, name: String) {
        let path = match parent {
            "" => name.clone(),
            parent => format!("{parent}/{name}"),
        };
        let (form, told) = match dated(&name, told) {
            Some((prefix, notation, told)) => (Form::Dated(prefix.to_owned(), notation), told),
            None => (Form::Plain(name.clone()), told),
        };
        let named = Named { path, name, told };
        self.by_form.entry(form).or_default().push(named);
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
            Form::Dated(..) => None,
        };
        self.by_form.keys().filter_map(partition).collect()
    }

    fn places(self, parent: &str) -> Vec<Place> {
        let place = |(form, named): (Form, Vec<Named>)| {
            let (segment, named) = match form {
                Form::Plain(name) => (name, named),
                Form::Dated(prefix, notation) => {
                    let notation = unpadded(notation, &prefix, &named);
                    let fits = |named: &Named| is_written(named, &prefix, notation);
                    let named = named.into_iter().filter(fits).collect();
                    let day = match notation {
                        "%Y-%m-%d" => "{day}".to_owned(),
                        notation => format!("{{day:{notation}}}"),
                    };
                    (format!("{prefix}{day}"), named)
                }
            };
            let path = match parent {
                "" => segment,
                // 2026/03/14 is one date.
                parent => format!("{parent}/{segment}").replace("}/{day:", "/"),
            };
            Place {
                path,
                folders: named
                    .into_iter()
                    .map(|named| (named.path, named.told))
                    .collect(),
            }
        };
        self.by_form.into_iter().map(place).collect()
    }
}

/// The notation without leading zeros, where some names have none.
fn unpadded(notation: &'static str, prefix: &str, named: &[Named]) -> &'static str {
    let is_short = |named: &Named| named.name.len() == prefix.len() + 1;
    match notation {
        "%m" if named.iter().any(is_short) => "%-m",
        "%d" if named.iter().any(is_short) => "%-d",
        notation => notation,
    }
}

/// Whether the notation gives this name.
fn is_written(named: &Named, prefix: &str, notation: &str) -> bool {
    let day = match named.told {
        Told::Nothing => None,
        Told::Year(year) => NaiveDate::from_ymd_opt(year, 1, 1),
        Told::Month(year, month) => NaiveDate::from_ymd_opt(year, month, 1),
        Told::Day(day) => Some(day),
    };
    day.is_some_and(|day| named.name == format!("{prefix}{}", day.format(notation)))
}

/// The text before the date in a name, the notation of the date, and what it tells; `None`: the name has no
/// date that agrees with the folders above.
fn dated(name: &str, above: Told) -> Option<(&str, &'static str, Told)> {
    const DAYS: [(&str, usize); 4] = [
        ("%Y-%m-%d", 10),
        ("%Y_%m_%d", 10),
        ("%Y.%m.%d", 10),
        ("%Y%m%d", 8),
    ];
    const MONTHS: [(&str, usize); 3] = [("%Y-%m", 7), ("%Y_%m", 7), ("%Y%m", 6)];
    let agrees = |day: NaiveDate| match above {
        Told::Nothing => YEARS.contains(&day.year()),
        Told::Year(year) => year == day.year(),
        Told::Month(year, month) => (year, month) == (day.year(), day.month()),
        Told::Day(_) => false,
    };
    for (notation, length) in DAYS {
        if let Some((prefix, date)) = tail(name, length)
            && let Ok(day) = NaiveDate::parse_from_str(date, notation)
            && agrees(day)
        {
            return Some((prefix, notation, Told::Day(day)));
        }
    }
    if let Told::Nothing | Told::Year(_) = above {
        for (notation, length) in MONTHS {
            if let Some((prefix, month)) = tail(name, length)
                && let Ok(day) =
                    NaiveDate::parse_from_str(&format!("{month}/01"), &format!("{notation}/%d"))
                && agrees(day)
            {
                return Some((prefix, notation, Told::Month(day.year(), day.month())));
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
            YEARS
                .contains(&year)
                .then_some((prefix, "%Y", Told::Year(year)))
        }
        Told::Year(year) => {
            let (prefix, month) = short()?;
            let is_month = (1..=12).contains(&month);
            is_month.then_some((prefix, "%m", Told::Month(year, month)))
        }
        Told::Month(year, month) => {
            let (prefix, day) = short()?;
            let day = NaiveDate::from_ymd_opt(year, month, day)?;
            Some((prefix, "%d", Told::Day(day)))
        }
        Told::Day(_) => None,
    }
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
        ] {
            assert_eq!(paths(&[folder]), [path], "{folder}");
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
