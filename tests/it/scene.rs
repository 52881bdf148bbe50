//! A marketplace of two shops whose exports change, and the results that a reader may see.
//!
//! Two days are published before the change.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use campaign_etl::contracts::{PART_FILE, SUCCESS_FILE};
use campaign_etl::fingerprint::sha256;
use chrono::NaiveDate;

use crate::places::rows;
use crate::world::World;

pub const DAYS: [&str; 3] = ["2026-03-09", "2026-03-10", "2026-03-11"];
pub const CONFIG: &str = "lookback_days = 2\n[quarantine]\nmax_ratio = 0.5\n";

pub fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Two shops on one day of a campaign.
fn of_day(day: &str, lines: &[&str], optional: &[(&str, &[&str])]) -> World {
    let mut world = World::default();
    let lines: Vec<String> = lines.iter().map(|line| line.replace("DAY", day)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for (dataset, text) in [
        ("order_lines", &lines[..]),
        (
            "product_traffic",
            &["5|21|31|LIVE||9|3|2|1", "6|22|32|VIDEO||4|1|1|0"],
        ),
        ("shops", &["5|Ada|Books|105", "6|Bob|Books|"]),
        ("campaigns", &["7|Spring|2026-03-09|2026-03-12"]),
        ("campaign_shops", &["7|5|100", "7|6|"]),
    ]
    .into_iter()
    .chain(optional.iter().copied())
    {
        let text: Vec<String> = text.iter().map(|line| line.replace("DAY", day)).collect();
        let text: Vec<&str> = text.iter().map(String::as_str).collect();
        world
            .exports
            .insert((dataset.into(), day.parse().unwrap()), rows(&text));
    }
    world
}

const LINE_OF_5: &str = "1|11|21|5|31|DAYT20:00:00Z|2|10.00|1.50|0|0|LIVE||";
const LINE_OF_6: &str = "2|12|22|6|32|DAYT21:00:00Z|1|5.00|0|0|0|VIDEO||";
const CONTENT: (&str, &[&str]) = (
    "contents",
    &["1|5|LIVE|OFFICIAL_ACCOUNTS|ada|a title|DAYT19:00:00Z|10|false|false"],
);

/// The exports of the first two days.
pub fn first_exports() -> World {
    let mut world = of_day(DAYS[0], &[LINE_OF_5, LINE_OF_6], &[CONTENT]);
    world
        .exports
        .extend(of_day(DAYS[1], &[LINE_OF_5], &[CONTENT]).exports);
    world
}

/// The exports that arrive next: the first day anew with a bad row and without its contents
/// (`WITHDRAWN`), and the third day. A run then replaces, creates and removes files, and every
/// later window is stale.
pub fn later_exports() -> World {
    let bad_line = "3|12|22|6|32|DAYT21:00:00Z|0|5.00|0|0|0|VIDEO||";
    let mut world = of_day(
        DAYS[0],
        &[
            LINE_OF_5,
            bad_line,
            "4|11|21|5|33|DAYT22:00:00Z|1|7.00|0|0|0|VIDEO||",
        ],
        &[],
    );
    world
        .exports
        .extend(of_day(DAYS[2], &[LINE_OF_6], &[CONTENT]).exports);
    world
}

/// The second day, exported once more.
pub fn exports_of_the_second_day_anew() -> World {
    of_day(DAYS[1], &[LINE_OF_5, LINE_OF_6], &[CONTENT])
}

/// The third day, exported once more.
pub fn exports_of_the_third_day_anew() -> World {
    let mut world = of_day(DAYS[2], &[LINE_OF_5, LINE_OF_6], &[CONTENT]);
    let traffic = ("product_traffic".to_owned(), day(DAYS[2]));
    world.exports.insert(
        traffic,
        rows(&["5|21|31|LIVE||9|3|2|1", "6|22|33|VIDEO||400|100|10|3"]),
    );
    world
}

/// Removed when `later_exports` arrive.
pub const WITHDRAWN: &str = "contents/dt=2026-03-09/_SUCCESS";

pub type Objects = BTreeMap<String, Bytes>;

pub fn walk(folder: &std::path::Path) -> Vec<String> {
    let (mut files, mut folders) = (vec![], vec![folder.to_owned()]);
    while let Some(each) = folders.pop() {
        for path in std::fs::read_dir(each).unwrap().map(|e| e.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(
                    path.strip_prefix(folder)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                ),
            }
        }
    }
    files.sort();
    files
}

/// Tables and quarantine: the files that must end as in an undisturbed run.
pub fn lasting(objects: &Objects) -> Objects {
    let is_lasting = |path: &str| !path.starts_with('_') || path.starts_with("_quarantine/");
    objects
        .iter()
        .filter(|(path, _)| is_lasting(path))
        .map(|(p, b)| (p.clone(), b.clone()))
        .collect()
}

/// The files of a day's tables by their hashes.
type Version = BTreeMap<String, String>;

fn is_of_day(path: &str, day: &str) -> bool {
    !path.starts_with('_') && path.ends_with(PART_FILE) && path.contains(&format!("/dt={day}/"))
}

/// The versions of a day: before the command, and after each later commit of the log.
fn versions(objects: &Objects, before: &Objects, day: &str) -> Vec<Version> {
    let of_before = before.iter().filter(|(path, _)| is_of_day(path, day));
    let mut versions = vec![
        of_before
            .map(|(path, bytes)| (path.clone(), sha256(bytes)))
            .collect::<Version>(),
    ];
    for record in records(objects)
        .iter()
        .filter(|r| !before.contains_key(&record_path(r)) && r["commit"]["day"] == day)
    {
        let mut version = versions.last().unwrap().clone();
        for file in record["commit"]["files"].as_array().unwrap() {
            version.insert(
                file["path"].as_str().unwrap().into(),
                file["sha256"].as_str().unwrap().into(),
            );
        }
        for file in record["commit"]["removed"].as_array().unwrap() {
            version.remove(file["path"].as_str().unwrap());
        }
        version.retain(|path, _| is_of_day(path, day));
        versions.push(version);
    }
    versions
}

fn records(objects: &Objects) -> Vec<serde_json::Value> {
    let records = objects
        .iter()
        .filter(|(path, _)| path.starts_with("_runs/commit_log/"));
    records
        .map(|(_, bytes)| serde_json::from_slice(bytes).unwrap())
        .collect()
}

fn record_path(record: &serde_json::Value) -> String {
    format!(
        "_runs/commit_log/{:010}.json",
        record["number"].as_u64().unwrap()
    )
}

/// The day of the commit that is not in place yet, found by the rule of docs/publishing.md.
pub fn on_its_way(objects: &Objects) -> Option<String> {
    let newest = records(objects)
        .into_iter()
        .rfind(|record| !record["commit"].is_null())?;
    let commit = &newest["commit"];
    let staged = format!(
        "{}/{}",
        commit["staging"].as_str()?,
        commit["manifest"]["path"].as_str()?
    );
    objects
        .contains_key(&staged)
        .then(|| commit["day"].as_str().unwrap().to_owned())
}

/// Checks the files of a day, and tells whether they are of two versions.
///
/// Each table has exactly one whole file. Without an unfinished commit, all files are of the newest
/// version. During a commit they may be of the newest version and of the one before; but the tables
/// that differ between the two and have a `_SUCCESS` are all of the same version.
pub fn is_mixed(objects: &Objects, before: &Objects, day: &str, is_on_its_way: bool) -> bool {
    let versions = versions(objects, before, day);
    let found: Version = objects
        .iter()
        .filter(|(path, _)| is_of_day(path, day))
        .map(|(p, bytes)| (p.clone(), sha256(bytes)))
        .collect();
    let success_of = |part: &str| part.replace(PART_FILE, SUCCESS_FILE);
    for path in objects
        .keys()
        .filter(|path| !path.starts_with('_') && path.contains(&format!("/dt={day}/")))
    {
        let part = path.replace(SUCCESS_FILE, PART_FILE);
        assert!(
            found.contains_key(&part) && (path == &part || path == &success_of(&part)),
            "{path} in a table's folder"
        );
    }
    let newest = versions.last().unwrap();
    if !is_on_its_way {
        assert!(found == *newest, "{day} is not what its newest commit says");
        assert!(
            found
                .keys()
                .all(|part| objects.contains_key(&success_of(part))),
            "{day}: a _SUCCESS is not there"
        );
        return false;
    }
    let older = &versions[versions.len() - 2];
    let tables: BTreeSet<&String> = newest.keys().chain(older.keys()).collect();
    let (mut seen, mut with_success) = (BTreeSet::new(), BTreeSet::new());
    for part in tables
        .into_iter()
        .filter(|part| newest.get(*part) != older.get(*part))
    {
        let is_new = found.get(part) == newest.get(part);
        assert!(
            is_new || found.get(part) == older.get(part),
            "{part} is neither the old file nor the new one"
        );
        seen.insert(is_new);
        if objects.contains_key(&success_of(part)) {
            with_success.insert(is_new);
        }
    }
    assert!(
        with_success.len() < 2,
        "{day}: old and new tables that both have a _SUCCESS"
    );
    seen.len() == 2
}
