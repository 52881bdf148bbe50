//! The mapping of the job file: where exports lie that are not laid out as the contract says, when they are
//! complete, and which of their columns are the contract's.
//!
//! 1. `section`: the `[source]` section as written, checked value by value, with the line of each defect.
//! 2. `path`: the folder of a dataset and day, from a pattern such as `{dataset}/date={day:%Y%m%d}`.
//!
//! `exports/schema` finds the mapped columns in a file, and `exports/mapped` changes their values.

mod path;
mod section;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;

use crate::contracts::{Column, Dataset, SUCCESS_FILE};
pub(crate) use path::PathPattern;
pub(crate) use section::{check, schema};

/// Where all exports lie, and how they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// Of datasets without a path of their own.
    path: PathPattern,
    complete: Complete,
    /// By dataset, those of later days last. No entry: the contract's names and types.
    datasets: BTreeMap<&'static str, Vec<DatasetMapping>>,
}

/// How a dataset is read from a day on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DatasetMapping {
    /// `None`: every day before the next mapping.
    from_day: Option<NaiveDate>,
    path: PathPattern,
    complete: Complete,
    columns: Option<Arc<MappedColumns>>,
}

/// What says that a folder has all its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Complete {
    /// A file of this name, written last.
    Marked(String),
    /// Nothing in it has changed for so many minutes.
    Settled { minutes: u32 },
}

/// As the contract says.
impl Default for Complete {
    fn default() -> Self {
        Complete::Marked(SUCCESS_FILE.into())
    }
}

impl Mapping {
    /// The folder of a dataset and day, within the exports.
    pub(crate) fn folder(&self, dataset: &Dataset, day: NaiveDate) -> String {
        let path = self.at(dataset, day).map_or(&self.path, |it| &it.path);
        path.folder(dataset.name, day)
    }

    /// A name of the whole dataset within the exports: its folder without the days.
    pub(crate) fn folder_of_all_days(&self, dataset: &Dataset, day: NaiveDate) -> String {
        let path = self.at(dataset, day).map_or(&self.path, |it| &it.path);
        path.without_days(dataset.name)
    }

    /// What says that the folder of a dataset and day is complete.
    pub(crate) fn complete(&self, dataset: &Dataset, day: NaiveDate) -> &Complete {
        self.at(dataset, day)
            .map_or(&self.complete, |it| &it.complete)
    }

    /// Where the columns of a dataset come from on a day; `None`: from columns of the same names.
    pub(crate) fn columns(&self, dataset: &Dataset, day: NaiveDate) -> Option<Arc<MappedColumns>> {
        self.at(dataset, day)?.columns.clone()
    }

    /// The folders in which the days of the dataset lie, each once; `""`: the location itself.
    pub(crate) fn parents(&self, dataset: &Dataset) -> Vec<String> {
        let own = self.datasets.get(dataset.name).into_iter().flatten();
        let paths = own.map(|it| &it.path).chain([&self.path]);
        let mut parents = Vec::new();
        for parent in paths.map(|path| path.parent(dataset.name)) {
            if !parents.contains(&parent) {
                parents.push(parent);
            }
        }
        parents
    }

    fn at(&self, dataset: &Dataset, day: NaiveDate) -> Option<&DatasetMapping> {
        let of_dataset = self.datasets.get(dataset.name)?.iter();
        of_dataset
            .rev()
            .find(|it| it.from_day.is_none_or(|from| from <= day))
    }
}

/// Where each column of a dataset comes from, in the order of the contract.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MappedColumns {
    sources: Vec<Source>,
    /// The line and column of each source in the job file; `None`: it is not written there.
    places: Vec<Option<String>>,
}

impl MappedColumns {
    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The line and column of the job file that says where a column comes from; `None`: it does not say it.
    pub(crate) fn place(&self, dataset: &Dataset, column: &str) -> Option<&str> {
        self.places[dataset.position(column)].as_deref()
    }

    /// The sources in words, for fingerprints. Places in the job file do not count.
    pub(crate) fn described(&self) -> String {
        format!("{:?}", self.sources)
    }

    /// The name of the file's column behind a column of the contract; `None`: it has none.
    pub(crate) fn name_in_file(&self, dataset: &Dataset, column: &str) -> Option<&str> {
        match &self.sources[dataset.position(column)] {
            Source::Column { name, .. } => Some(name),
            Source::Constant(_) | Source::Absent => None,
        }
    }
}

/// Where the values of a column come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A column of the file.
    Column { name: String, change: Change },
    /// One value for all rows.
    Constant(Constant),
    /// Null in all rows.
    Absent,
}

impl Source {
    /// `None`: it is no column of the file.
    pub(crate) fn change(&self) -> Option<&Change> {
        match self {
            Source::Column { change, .. } => Some(change),
            Source::Constant(_) | Source::Absent => None,
        }
    }

    /// The column of the same name, as it is.
    fn same(column: &Column) -> Source {
        Source::Column {
            name: column.name.into(),
            change: Change::Nothing,
        }
    }
}

/// How a value of a file becomes one of the contract. A value that it does not fit puts its row into
/// quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Nothing,
    /// A whole number of units, of which ten to this power are one unit of the currency.
    Scale(u32),
    /// A local time, a timestamp without a zone or a text, of this zone.
    TimeZone(Tz),
    /// Texts become others. `keeps_others`: those that are not among them stay.
    Values {
        values: BTreeMap<String, String>,
        keeps_others: bool,
    },
    /// A text of digits becomes the number that it shows. `hashes_others`: every other text has a number by
    /// its hash.
    TextId {
        hashes_others: bool,
    },
}

impl Change {
    /// The key of the job file; `None`: there is none.
    pub(crate) fn verb(&self) -> Option<&'static str> {
        match self {
            Change::Nothing => None,
            Change::Scale(_) => Some("scale"),
            Change::TimeZone(_) => Some("time_zone"),
            Change::Values { .. } => Some("values"),
            Change::TextId { .. } => Some("text_id"),
        }
    }
}

/// A value of the contract's type, as it is in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Constant {
    Whole(i64),
    Cents(i128),
    Text(String),
    Flag(bool),
    Day(NaiveDate),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_days_is_listed_once() {
        let dataset = &crate::contracts::datasets::ORDER_LINES;
        let mut mapping = Mapping::default();
        let of_days = |path: &str| DatasetMapping {
            from_day: None,
            path: PathPattern::parse(path).unwrap(),
            complete: mapping.complete.clone(),
            columns: None,
        };
        let own = ["{dataset}/dt={day}", "raw/{day}", "raw/{day:%Y%m%d}"].map(of_days);
        mapping.datasets.insert(dataset.name, own.into());
        assert_eq!(mapping.parents(dataset), ["order_lines", "raw"]);
    }

    #[test]
    fn another_description_would_make_every_mapped_day_stale() {
        let column = |name: &str, change| Source::Column {
            name: name.into(),
            change,
        };
        let values = Change::Values {
            values: BTreeMap::from([("live".into(), "LIVE".into())]),
            keeps_others: true,
        };
        let sources = vec![
            column("a", Change::Nothing),
            column("b", Change::Scale(2)),
            column("c", Change::TimeZone(chrono_tz::America::Los_Angeles)),
            column("d", values),
            column(
                "e",
                Change::TextId {
                    hashes_others: false,
                },
            ),
            Source::Constant(Constant::Whole(1)),
            Source::Constant(Constant::Cents(100)),
            Source::Constant(Constant::Text("x".into())),
            Source::Constant(Constant::Flag(true)),
            Source::Constant(Constant::Day(NaiveDate::default())),
            Source::Absent,
        ];
        let described = [
            r#"Column { name: "a", change: Nothing }"#,
            r#"Column { name: "b", change: Scale(2) }"#,
            r#"Column { name: "c", change: TimeZone(America/Los_Angeles) }"#,
            r#"Column { name: "d", change: Values { values: {"live": "LIVE"}, keeps_others: true } }"#,
            r#"Column { name: "e", change: TextId { hashes_others: false } }"#,
            "Constant(Whole(1))",
            "Constant(Cents(100))",
            r#"Constant(Text("x"))"#,
            "Constant(Flag(true))",
            "Constant(Day(1970-01-01))",
            "Absent",
        ];
        let places = vec![None; sources.len()];
        let mapped = MappedColumns { sources, places };
        assert_eq!(mapped.described(), format!("[{}]", described.join(", ")));
    }
}
