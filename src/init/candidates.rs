//! For each group of folders, the dataset that it may be; for each column of that, the file's column.

use std::cmp::Reverse;

use chrono_tz::Tz;

use super::files::{GroupFiles, OpenedFile};
use super::words::Name;
use crate::contracts::datasets::DATASETS;
use crate::contracts::{Column, Dataset, Kind};
use crate::exports::trial::{columns_with_types, try_column};
use crate::mapping::Change;
use crate::messages::Broken;

/// A name that is less like the contract's is no candidate.
const LEAST_LIKENESS: f64 = 0.5;
/// The share of the columns that are never null that a group of the dataset has.
const LEAST_FOUND: f64 = 0.6;
/// The same where the folder has the name of the dataset.
const LEAST_FOUND_OF_NAMED: f64 = 0.4;
/// A folder whose name is as like that of the dataset is named after it.
const NAMED: f64 = 0.9;
/// How much the name of the folder counts beside the columns.
const SHARE_OF_FOLDER: f64 = 0.3;
/// The share of a group's best score from which another dataset is in question. An old copy of the order
/// lines has the columns of an inventory too.
const CONTENDER: f64 = 0.8;
/// Scores that differ by less are equal: the newer group is chosen.
const STEPS: f64 = 20.0;
/// Other candidates that are kept.
const MOST_OTHERS: usize = 2;
/// Candidates by type alone that are kept.
const MOST_OF_TYPE: usize = 3;
/// Unused columns whose type is tried: each takes a search among all columns.
const MOST_TRIED: usize = 1_000;

/// A column of a file that may be a column of the contract.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) name: String,
    /// From 0 to 1, by name.
    pub(super) likeness: f64,
    /// The name is the contract's, in some notation.
    pub(super) is_same_name: bool,
    /// How it is read, or why it cannot be.
    pub(super) read: Result<Change, Broken>,
}

impl Candidate {
    /// Likeness by name and type.
    fn score(&self) -> f64 {
        match &self.read {
            Ok(Change::Nothing) => self.likeness,
            Ok(_) => self.likeness * 0.97,
            Err(_) => self.likeness * 0.5,
        }
    }
}

/// The candidates of a column.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) column: &'static Column,
    /// The one that no other column has a better claim to.
    pub(super) chosen: Option<Candidate>,
    /// The next ones, best first.
    pub(super) others: Vec<Candidate>,
    /// Where none is chosen that can be read: columns of a fitting type that no other column comes from.
    pub(super) of_type: OfType,
}

/// Candidates by type alone.
#[derive(Debug, Default)]
pub(super) struct OfType {
    /// The first of them, in the order of the file.
    pub(super) first: Vec<Candidate>,
    /// The number of all of them.
    pub(super) count: usize,
}

/// A group read as a dataset.
pub(super) struct Fit {
    pub(super) dataset: &'static Dataset,
    /// The position of the group.
    pub(super) group: usize,
    pub(super) choices: Vec<Choice>,
    /// In steps, so that nearly equal ones are equal.
    score: u32,
}

impl Fit {
    /// The columns of the file that no column of the contract comes from, with their types.
    pub(super) fn unused_columns<'a>(&self, file: &'a OpenedFile) -> Vec<(&'a str, String)> {
        let is_chosen = |name: &str| {
            let mut chosen = self.choices.iter().filter_map(|it| it.chosen.as_ref());
            chosen.any(|chosen| chosen.name == name)
        };
        let columns = columns_with_types(&file.metadata).into_iter();
        columns.filter(|(name, _)| !is_chosen(name)).collect()
    }

    /// Adds candidates by type where no name is alike, or none that can be read.
    fn add_candidates_by_type(&mut self, file: &OpenedFile) {
        let mut unused = self.unused_columns(file);
        unused.truncate(MOST_TRIED);
        for choice in &mut self.choices {
            let chosen = choice.chosen.as_ref();
            if chosen.is_none_or(|chosen| chosen.read.is_err()) {
                choice.of_type = of_type(self.dataset, choice.column, &unused, file);
            }
        }
    }
}

/// The datasets of the groups: each dataset has one group at most, and each group one dataset.
pub(super) struct Assigned {
    /// In the order of the contracts.
    pub(super) fits: Vec<Fit>,
    /// Groups that fit a dataset which another group fits better.
    pub(super) also: Vec<(&'static Dataset, usize)>,
}

/// Assigns the groups whose newest file could be opened.
pub(super) fn assign(groups: &[GroupFiles]) -> Assigned {
    let mut fits: Vec<Fit> = Vec::new();
    for (position, group) in groups.iter().enumerate() {
        let Ok(file) = &group.newest else {
            continue;
        };
        let fit = |dataset| fit(dataset, position, &group.group.path, file);
        let mut of_group: Vec<Fit> = DATASETS.into_iter().filter_map(fit).collect();
        let best = of_group.iter().map(|fit| fit.score).max().unwrap_or(0);
        of_group.retain(|fit| f64::from(fit.score) >= CONTENDER * f64::from(best));
        fits.extend(of_group);
    }
    let newest = |fit: &Fit| groups[fit.group].group.range().map(|(_, last)| last);
    let days = |fit: &Fit| groups[fit.group].group.folders.len();
    let depth = |fit: &Fit| groups[fit.group].group.path.matches('/').count();
    fits.sort_by_key(|fit| {
        let place = (Reverse(depth(fit)), Reverse(fit.group));
        Reverse((fit.score, newest(fit), days(fit), place))
    });
    let mut assigned = Assigned {
        fits: vec![],
        also: vec![],
    };
    let mut rest = Vec::new();
    for fit in fits {
        let is_taken = |other: &Fit| other.dataset.id == fit.dataset.id || other.group == fit.group;
        match assigned.fits.iter().any(is_taken) {
            false => assigned.fits.push(fit),
            true => rest.push(fit),
        }
    }
    let is_used = |group: usize| assigned.fits.iter().any(|fit| fit.group == group);
    let mut also: Vec<(&'static Dataset, usize)> = Vec::new();
    // The best dataset of a group without one.
    for fit in rest.iter().filter(|fit| !is_used(fit.group)) {
        if !also.iter().any(|(_, group)| *group == fit.group) {
            also.push((fit.dataset, fit.group));
        }
    }
    assigned.also = also;
    let order = |fit: &Fit| DATASETS.iter().position(|d| d.id == fit.dataset.id);
    assigned.fits.sort_by_key(order);
    for fit in &mut assigned.fits {
        if let Ok(file) = &groups[fit.group].newest {
            fit.add_candidates_by_type(file);
        }
    }
    assigned
}

/// `None`: too few columns of the dataset are in the file.
fn fit(dataset: &'static Dataset, group: usize, path: &str, file: &OpenedFile) -> Option<Fit> {
    let choices = choose(dataset, file);
    let score_of = |choice: &Choice| choice.chosen.as_ref().map_or(0.0, Candidate::score);
    let needed = || choices.iter().filter(|choice| choice.column.null.is_none());
    let found = needed().map(score_of).sum::<f64>() / needed().count().max(1) as f64;
    let nothing = Name::new("");
    let name = Name::new(dataset.name);
    let segments = path
        .split('/')
        .map(|segment| name.likeness(&Name::new(segment), &nothing));
    let of_folder = segments.fold(0.0, f64::max);
    let least = match of_folder >= NAMED {
        true => LEAST_FOUND_OF_NAMED,
        false => LEAST_FOUND,
    };
    if found < least {
        return None;
    }
    let chosen = choices
        .iter()
        .filter(|choice| choice.chosen.is_some())
        .count();
    let used = chosen as f64 / file.columns().len().max(1) as f64;
    // The harmonic mean: a dataset of few columns is found in many wide files.
    let of_columns = 2.0 * found * used / (found + used);
    let score = of_columns * (1.0 - SHARE_OF_FOLDER) + of_folder * SHARE_OF_FOLDER;
    Some(Fit {
        dataset,
        group,
        choices,
        score: (score * STEPS) as u32,
    })
}

/// The best one-to-one assignment by score: the best pair first.
fn choose(dataset: &'static Dataset, file: &OpenedFile) -> Vec<Choice> {
    let context = Name::new(dataset.name);
    let mut names: Vec<&str> = file.columns();
    names.dedup();
    let named: Vec<Name> = names.iter().map(|name| Name::new(name)).collect();
    let mut candidates: Vec<Vec<Candidate>> = Vec::new();
    for column in dataset.columns {
        let wanted = Name::new(column.name);
        let alike = names.iter().zip(&named).filter_map(|(name, parsed)| {
            let likeness = wanted.likeness(parsed, &context);
            (likeness >= LEAST_LIKENESS).then(|| Candidate {
                name: (*name).to_owned(),
                likeness,
                is_same_name: wanted.is_same(parsed),
                read: how_it_is_read(dataset, column, (name, parsed), file),
            })
        });
        candidates.push(alike.collect());
    }
    let mut pairs: Vec<(f64, usize, String)> = Vec::new();
    for (position, alike) in candidates.iter().enumerate() {
        let scored = alike
            .iter()
            .map(|one| (one.score(), position, one.name.clone()));
        pairs.extend(scored);
    }
    // A stable sort: of equal pairs, the first in the order of the contract and of the file.
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut taken: Vec<Option<String>> = vec![None; candidates.len()];
    for (_, position, name) in pairs {
        let is_free = !taken.iter().flatten().any(|other| *other == name);
        if taken[position].is_none() && is_free {
            taken[position] = Some(name);
        }
    }
    // A column that another one has by its very name is not meant here.
    let is_named = |name: &str| {
        let owner = taken
            .iter()
            .position(|taken| taken.as_deref() == Some(name));
        let of_owner =
            owner.and_then(|owner| candidates[owner].iter().find(|one| one.name == name));
        of_owner.is_some_and(|one| one.is_same_name)
    };
    let named: Vec<String> = names
        .iter()
        .filter(|name| is_named(name))
        .map(|name| (*name).to_owned())
        .collect();
    let choices = dataset.columns.iter().zip(candidates).zip(taken);
    choices
        .map(|((column, mut others), taken)| {
            let chosen = taken.and_then(|name| others.iter().position(|one| one.name == name));
            let chosen = chosen.map(|position| others.remove(position));
            others.retain(|one| one.read.is_ok() && !named.contains(&one.name));
            others.sort_by(|a, b| b.score().total_cmp(&a.score()));
            others.truncate(MOST_OTHERS);
            Choice {
                column,
                chosen,
                others,
                of_type: OfType::default(),
            }
        })
        .collect()
}

/// The columns that fit a column of the contract by their type. Those that fit as they are come alone; else
/// those that a verb changes; texts, which most verbs accept, where there is nothing else.
fn of_type(
    dataset: &Dataset,
    column: &'static Column,
    columns: &[(&str, String)],
    file: &OpenedFile,
) -> OfType {
    let (wanted, context) = (Name::new(column.name), Name::new(dataset.name));
    let fitting = columns.iter().filter_map(|(name, data_type)| {
        let parsed = Name::new(name);
        let change = how_it_is_read(dataset, column, (name, &parsed), file).ok()?;
        let effort = match &change {
            Change::Nothing => 0,
            _ if data_type != "STRING" => 1,
            _ => 2,
        };
        let candidate = Candidate {
            name: (*name).to_owned(),
            likeness: wanted.likeness(&parsed, &context),
            is_same_name: false,
            read: Ok(change),
        };
        Some((effort, candidate))
    });
    let fitting: Vec<(u8, Candidate)> = fitting.collect();
    let least = fitting.iter().map(|(effort, _)| *effort).min();
    let best = fitting
        .into_iter()
        .filter(|(effort, _)| Some(*effort) == least);
    let mut first: Vec<Candidate> = best.map(|(_, candidate)| candidate).collect();
    let count = first.len();
    first.truncate(MOST_OF_TYPE);
    OfType { first, count }
}

/// The first verb that accepts the type of the file's column.
fn how_it_is_read(
    dataset: &Dataset,
    column: &'static Column,
    (name, parsed): (&str, &Name),
    file: &OpenedFile,
) -> Result<Change, Broken> {
    let try_as = |change: Change| {
        let tried = try_column(dataset, column, name, &change, &file.metadata);
        tried.map(|_| change)
    };
    let as_it_is = try_as(Change::Nothing);
    let changed = match column.kind {
        Kind::Int64 if column.unit.is_empty() => DIGITS,
        Kind::Money => Change::Scale(scale_of(parsed).unwrap_or(CENTS)),
        Kind::Instant => Change::TimeZone(Tz::UTC),
        _ => return as_it_is,
    };
    as_it_is.or_else(|why| try_as(changed).map_err(|_| why))
}

/// Ids in texts of digits; a text that is none goes to quarantine.
pub(super) const DIGITS: Change = Change::TextId {
    hashes_others: false,
};

/// Minor units of most currencies.
pub(super) const CENTS: u32 = 2;

/// The decimal places that a name says.
pub(super) fn scale_of(name: &Name) -> Option<u32> {
    let scales = [
        (CENTS, &["minor", "cent", "cents"][..]),
        (3, &["mill", "mills"]),
        (6, &["micro", "micros"]),
    ];
    let said = scales.into_iter().find(|(_, words)| name.says(words));
    said.map(|(scale, _)| scale)
}
