//! A first job file for exports that somebody else lays out: guesses from folders, footers and some rows.
//!
//! 1. `layout`: folders named by days, grouped by the pattern of their paths.
//! 2. `files`: the newest folders of each group, and the footer of a file.
//! 3. `candidates`: the dataset of each group, and a column of the file for each of the contract; `words` says
//!    how alike two names are.
//! 4. `evidence`: some rows, read as the mapping would read them. `zone`: the time zone of the days.
//! 5. `columns`, `job_file`: each guess with its reason, as the text of a job file; `guesses` holds them.
//!    `page` tells them to a person.
//!
//! Nothing is written here. The work is bounded: folders, files and rows are sampled.

mod candidates;
mod columns;
mod evidence;
mod files;
mod guesses;
mod job_file;
mod layout;
mod page;
mod words;
mod zone;

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use chrono::NaiveDate;
use chrono_tz::Tz;

use crate::config::Config;
use crate::contracts::datasets::{DATASETS, dataset};
use crate::contracts::{Dataset, SUCCESS_FILE};
use crate::days::calendar::days;
use crate::messages;
use crate::store::Store;
use candidates::{Assigned, Fit, assign};
use columns::{LocalZone, found_column};
use files::{GroupFiles, OpenedFile, list_each, of_each, open_groups};
pub(crate) use guesses::Guesses;
use guesses::{Confidence, FoundDataset, MissingDataset, UnusedColumn, UnusedFolder, ZoneGuessed};
use layout::{Layout, find_groups, is_in_a_day};
pub(crate) use page::page;

/// Groups of folders that are looked into.
const MOST_GROUPS: usize = 200;
/// Names that a message shows.
const MOST_SHOWN: usize = 10;

/// Guesses how the exports of a location are laid out. `results`: where the results will be. `time_zone`: that
/// of the days, where a person says it.
///
/// # Errors
/// `ConfigWrong` when no folder is named by a day, or no dataset fits any; when the store fails.
pub(crate) fn guess(store: &Store, results: &str, time_zone: Option<Tz>) -> Result<Guesses> {
    let (mut unread, mut loops) = (Vec::new(), Vec::new());
    let mut layout = find_groups(&mut |folders| {
        let listed = list_folders(store, folders, &mut unread)?;
        Ok(without_loops(store, folders, listed, &mut loops))
    })?;
    layout.notes.extend(told_once(&unread, not_read));
    layout.notes.extend(told_once(&loops, not_followed));
    if layout.groups.is_empty() {
        return Err(without_days(store, layout)?);
    }
    if layout.groups.len() > MOST_GROUPS {
        let more = layout.groups.split_off(MOST_GROUPS).len();
        let note = format!("{more} more groups of folders named by days were not looked into.");
        layout.notes.push(note);
    }
    let mut unread = Vec::new();
    let groups = open_groups(store, std::mem::take(&mut layout.groups), &mut unread)?;
    layout.notes.extend(told_once(&unread, not_read));
    let groups = without_results(groups, &mut layout.notes);
    let assigned = assign(&groups);
    let seen = groups
        .iter()
        .map(|group| format!("{}: {}", group.group.path, why_unused(group)));
    let seen: Vec<String> = seen.collect();
    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    ensure!(
        !assigned.fits.is_empty(),
        messages::no_dataset_found(&store.location, shown(&seen), beside(&layout.notes))
    );
    guesses_of(store, (results, time_zone), layout, &groups, &assigned)
}

/// The error of a location without a folder of a day.
///
/// # Errors
/// When the location cannot be listed.
fn without_days(store: &Store, mut layout: Layout) -> Result<anyhow::Error> {
    let mut unread = Vec::new();
    let listings = list_each(store, &[String::new()], &mut unread)?;
    let entries = listings.iter().flat_map(|listing| &listing.objects);
    let files: Vec<&str> = entries.map(|entry| entry.name.as_str()).collect();
    let folders: Vec<&str> = layout.others.iter().map(String::as_str).collect();
    let is_day = folders.is_empty() && !files.is_empty() || is_in_a_day(&store.location);
    let found = found_there(&folders, &files);
    if is_day {
        let note = "The location above may be meant: the one that holds the folders of all days.";
        layout.notes.insert(0, note.to_owned());
    }
    Ok(messages::no_day_folders(&store.location, found, beside(&layout.notes)).into())
}

fn found_there(folders: &[&str], files: &[&str]) -> String {
    match (folders, files) {
        (folders, []) => shown(folders),
        ([], files) => format!("only files ({})", shown(files)),
        (folders, files) => format!("{}, and files ({})", shown(folders), shown(files)),
    }
}

/// The remarks, as the end of a message.
fn beside(notes: &[String]) -> String {
    let notes = notes.iter().map(|note| note.trim_end_matches('.'));
    notes.map(|note| format!("; {note}")).collect()
}

fn not_read(why: String) -> String {
    format!("Not read: {why}.")
}

fn not_followed(links: String) -> String {
    format!("Not followed, because each is a link to a folder that holds it: {links}.")
}

/// One remark on several texts, each of them once.
fn told_once(texts: &[String], note: fn(String) -> String) -> Option<String> {
    let texts: BTreeSet<&str> = texts.iter().map(String::as_str).collect();
    let texts: Vec<&str> = texts.into_iter().collect();
    (!texts.is_empty()).then(|| note(shown(&texts)))
}

/// The groups that hold no results of this program, which are exports of nobody.
fn without_results(groups: Vec<GroupFiles>, notes: &mut Vec<String>) -> Vec<GroupFiles> {
    let holds_results = |group: &GroupFiles| {
        let file = group.newest.as_ref();
        file.is_ok_and(OpenedFile::is_result)
    };
    let (results, exports): (Vec<GroupFiles>, Vec<GroupFiles>) =
        groups.into_iter().partition(holds_results);
    let paths: Vec<&str> = results.iter().map(|it| it.group.path.as_str()).collect();
    if !paths.is_empty() {
        let paths = shown(&paths);
        notes.push(format!(
            "Not used, because this program wrote them as results: {paths}."
        ));
    }
    exports
}

/// The names of the folders in each folder. `unread`: why folders such as `lost+found` are not listed.
fn list_folders(
    store: &Store,
    folders: &[String],
    unread: &mut Vec<String>,
) -> Result<Vec<Vec<String>>> {
    of_each(store, folders, unread, &|folders| {
        store.list_folders_of_each(folders)
    })
}

/// The same names without links to a folder that holds them. `loops`: the paths of those.
fn without_loops(
    store: &Store,
    folders: &[String],
    mut listed: Vec<Vec<String>>,
    loops: &mut Vec<String>,
) -> Vec<Vec<String>> {
    for (folder, names) in folders.iter().zip(&mut listed) {
        names.retain(|name| {
            let path = format!("{folder}/{name}");
            let path = path.trim_start_matches('/');
            let is_loop = store.is_link_to_above(path);
            if is_loop {
                loops.push(path.to_owned());
            }
            !is_loop
        });
    }
    listed
}

fn guesses_of(
    store: &Store,
    (results, time_zone): (&str, Option<Tz>),
    layout: Layout,
    groups: &[GroupFiles],
    assigned: &Assigned,
) -> Result<Guesses> {
    let unused = unused(&layout, groups, assigned);
    let mut notes = layout.notes;
    let (mut times, mut unread) = (Vec::new(), Vec::new());
    for fit in &assigned.fits {
        unread.extend(groups[fit.group].unread.clone());
        let of_group = evidence::times(store, fit, &groups[fit.group].group, &mut unread)?;
        times.extend(of_group);
    }
    notes.extend(told_once(&unread, not_read));
    let zone = match time_zone {
        Some(zone) => zone::given(zone, &times),
        None => zone::guess(&times),
    };
    let local = LocalZone {
        zone: zone.local,
        is_likely: zone.is_likely,
    };
    let mut datasets = Vec::new();
    for fit in &assigned.fits {
        datasets.extend(found_dataset(store, groups, assigned, fit, local)?);
    }
    let are_by_contract = datasets.iter().all(is_by_contract);
    Ok(Guesses {
        exports: store.location.clone(),
        results: results.to_owned(),
        are_by_contract,
        time_zone: ZoneGuessed {
            zone: zone.zone.name().to_owned(),
            confidence: match zone.is_likely {
                true => Confidence::Likely,
                false => Confidence::Unsure,
            },
            reason: zone.reason,
        },
        missing: missing(&datasets),
        day: last_final_day(groups, &assigned.fits),
        datasets,
        unused,
        notes,
    })
}

fn found_dataset(
    store: &Store,
    groups: &[GroupFiles],
    assigned: &Assigned,
    fit: &Fit,
    local: LocalZone,
) -> Result<Option<FoundDataset>> {
    let group = &groups[fit.group];
    let (Ok(file), Some((first_day, last_day))) = (&group.newest, group.group.range()) else {
        return Ok(None);
    };
    let mut notes = Vec::new();
    let samples = match evidence::sample(store, fit, file)? {
        Ok(samples) => samples,
        Err(why) => {
            notes.push(format!("unsure: no rows were sampled: {why}"));
            Default::default()
        }
    };
    notes.extend(other_columns(group, file));
    notes.extend(group.group.or_path.as_ref().map(|other| {
        format!(
            "unsure: no month or day below 10 tells whether {} has leading zeros; without them, it is {other}",
            group.group.path
        )
    }));
    let found = |choice| found_column(fit.dataset, choice, &samples, local);
    let also = assigned.also.iter();
    let also = also.filter(|(also, _)| also.id == fit.dataset.id);
    let others: Vec<String> = also
        .map(|(_, other)| groups[*other].group.path.clone())
        .collect();
    let partition = without_values(&group.group.path);
    if others
        .iter()
        .any(|other| without_values(other) == partition)
    {
        notes.push(format!(
            "missing: the rows are split over folders {partition}: a dataset and day must be one folder"
        ));
    }
    Ok(Some(FoundDataset {
        dataset: fit.dataset.name,
        is_required: fit.dataset.always_required,
        path: group.group.path.clone(),
        first_day,
        last_day,
        days: group.group.folders.len(),
        missing_days: group.group.missing_days(),
        seen_days: group.seen,
        success: group.mark.clone(),
        final_days: group.final_days.len(),
        file: file.path.clone(),
        columns: fit.choices.iter().map(found).collect(),
        unused_columns: unused_columns(fit, file),
        others,
        notes,
    }))
}

fn unused_columns(fit: &Fit, file: &OpenedFile) -> Vec<UnusedColumn> {
    let unused = fit
        .unused_columns(file)
        .into_iter()
        .map(|(name, data_type)| UnusedColumn {
            column: name.to_owned(),
            data_type,
        });
    unused.collect()
}

/// A path with its Hive partitions that are no days as `country=...`.
fn without_values(path: &str) -> String {
    let segment = |segment: &str| match segment.split_once('=') {
        Some((key, value)) if !value.contains('{') => format!("{key}=..."),
        _ => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// Whether the oldest day has other columns, which a mapping with `from_day` can tell apart.
fn other_columns(group: &GroupFiles, newest: &OpenedFile) -> Option<String> {
    let oldest = group.oldest.as_ref()?;
    let (old, new) = (oldest.columns(), newest.columns());
    let (gone, added) = (differ(&old, &new), differ(&new, &old));
    let is_same = gone.is_empty() && added.is_empty();
    (!is_same).then(|| {
        let list = |columns: &[&str]| match columns {
            [] => "none".to_owned(),
            columns => shown(columns),
        };
        format!(
            "unsure: {} has other columns (gone since: {}; new: {}): older days need a mapping of their own above this one; give this one a from_day",
            oldest.day,
            list(&gone),
            list(&added)
        )
    })
}

/// The names of `these` that are not among `those`.
fn differ<'a>(these: &[&'a str], those: &[&str]) -> Vec<&'a str> {
    let only = these.iter().filter(|column| !those.contains(column));
    only.copied().collect()
}

/// The newest day that is final in all required datasets that were found.
fn last_final_day(groups: &[GroupFiles], fits: &[Fit]) -> Option<NaiveDate> {
    let required = fits.iter().filter(|fit| fit.dataset.always_required);
    let final_days = required.map(|fit| groups[fit.group].final_days.clone());
    let in_all = final_days.reduce(|in_all, days| &in_all & &days);
    in_all?.into_iter().next_back()
}

fn is_by_contract(found: &FoundDataset) -> bool {
    let expected = dataset(found.dataset).map(|d| format!("{}/dt={{day}}", d.name));
    let has_no_line = found.columns.iter().all(|column| column.mapping.is_none());
    let is_only_one = found.others.is_empty() && found.notes.is_empty();
    let is_marked = found.success.as_deref() == Some(SUCCESS_FILE);
    expected.as_deref() == Some(found.path.as_str()) && has_no_line && is_marked && is_only_one
}

fn missing(found: &[FoundDataset]) -> Vec<MissingDataset> {
    let is_missing = |dataset: &&&Dataset| !found.iter().any(|it| it.dataset == dataset.name);
    let missing = DATASETS.iter().filter(is_missing);
    missing
        .map(|dataset| MissingDataset {
            dataset: dataset.name,
            is_required: dataset.always_required,
            columns: dataset
                .columns
                .iter()
                .filter(|column| column.null.is_none())
                .map(|column| column.name)
                .collect(),
        })
        .collect()
}

fn unused(layout: &Layout, groups: &[GroupFiles], assigned: &Assigned) -> Vec<UnusedFolder> {
    let is_used = |group: usize| {
        let also = assigned.also.iter().map(|(_, also)| *also);
        assigned
            .fits
            .iter()
            .map(|fit| fit.group)
            .chain(also)
            .any(|used| used == group)
    };
    // Folders of days that only hold those of datasets.
    let holds_others = |path: &str| {
        let below = format!("{path}/");
        groups
            .iter()
            .any(|other| other.group.path.starts_with(&below))
    };
    let of_groups = groups
        .iter()
        .enumerate()
        .filter(|(position, group)| !is_used(*position) && !holds_others(&group.group.path));
    let of_groups = of_groups.map(|(_, group)| UnusedFolder {
        path: group.group.path.clone(),
        reason: why_unused(group).to_owned(),
    });
    let others = layout.others.iter().map(|folder| UnusedFolder {
        path: folder.clone(),
        reason: "no folder in it is named by a day".to_owned(),
    });
    of_groups.chain(others).collect()
}

/// Why a group is no dataset.
fn why_unused(group: &GroupFiles) -> &str {
    match &group.newest {
        Ok(_) => "its columns are those of no dataset",
        Err(unread) => &unread.why,
    }
}

/// The text of the job file.
///
/// # Errors
/// When the program could not read it, or would look for exports elsewhere: a bug.
pub(crate) fn job_file(guesses: &Guesses) -> Result<String> {
    let text = job_file::text(guesses);
    let config = Config::parse(&text).context("init wrote a job file that cannot be read")?;
    for found in &guesses.datasets {
        ensure!(
            finds(&config, found),
            "init wrote a path of {} that does not lead to {}",
            found.dataset,
            found.file
        );
    }
    Ok(text)
}

/// Whether the job file leads to the folder of the file that the guess is from.
fn finds(config: &Config, found: &FoundDataset) -> bool {
    let folder = found.file.rsplit_once('/').map(|(folder, _)| folder);
    let Some((folder, dataset)) = folder.zip(dataset(found.dataset)) else {
        return false;
    };
    let mut days = days(found.first_day, found.last_day);
    days.any(|day| config.mapping.folder(dataset, day) == folder)
}

/// The first of several names.
fn shown(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names if names.len() <= MOST_SHOWN => names.join(", "),
        names => format!(
            "{} and {} more",
            names[..MOST_SHOWN].join(", "),
            names.len() - MOST_SHOWN
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use arrow_array::{
        ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    };
    use async_trait::async_trait;
    use bytes::Bytes;
    use futures::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
        PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult,
    };
    use parquet::arrow::ArrowWriter;
    use tempfile::TempDir;
    use tokio::runtime::Runtime;

    use super::*;
    use crate::exit_code::ExitCode;
    use crate::failure::exit_code_of;
    use crate::store::Access;
    use crate::testing::Memory;

    fn sellers() -> Bytes {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![5, 6]));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["Ada", "Bob"]));
        parquet(vec![("seller_id", ids), ("seller_name", names)])
    }

    fn parquet(columns: Vec<(&str, ArrayRef)>) -> Bytes {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap().into()
    }

    #[test]
    fn an_object_store_is_looked_at_like_a_disk() {
        let memory = Memory::new("s3://bucket");
        for day in ["12", "14"] {
            let folder = format!("raw/sellers/2026/03/{day}");
            let file = format!("{folder}/a.parquet");
            memory.store.write(&file, sellers()).unwrap();
            memory.put(&format!("{folder}/_SUCCESS"), "");
        }
        let found = guess(&memory.store, "results", None).unwrap();
        let [shops] = &found.datasets[..] else {
            panic!("{found:?}");
        };
        assert_eq!(
            (shops.dataset, shops.path.as_str()),
            ("shops", "raw/sellers/{day:%Y/%m/%d}")
        );
        assert_eq!(
            (shops.days, shops.missing_days, shops.final_days),
            (2, 1, 2)
        );
        assert_eq!(found.day, Some("2026-03-14".parse().unwrap()));
        assert_eq!(found.missing.len(), DATASETS.len() - 1);
        assert!(
            job_file(&found)
                .unwrap()
                .contains("\nshop_id = \"seller_id\"  # likely: ")
        );
    }

    /// The guesses of sellers in these folders.
    fn guess_sellers(folders: &[&str]) -> Guesses {
        let memory = Memory::new("s3://bucket");
        for folder in folders {
            let file = format!("{folder}/a.parquet");
            memory.store.write(&file, sellers()).unwrap();
        }
        guess(&memory.store, "results", None).unwrap()
    }

    #[test]
    fn a_month_without_a_leading_zero_tells_the_folders_of_later_days() {
        let days = ["sellers/y=2026/m=3/d=10", "sellers/y=2026/m=3/d=14"];
        let found = guess_sellers(&days);
        let config = Config::parse(&job_file(&found).unwrap()).unwrap();
        let shops = dataset("shops").unwrap();
        let folder = |day: &str| config.mapping.folder(shops, day.parse().unwrap());
        assert_eq!(folder("2026-04-01"), "sellers/y=2026/m=4/d=1");
        assert_eq!(found.datasets[0].notes, [""; 0]);
    }

    #[test]
    fn a_guess_of_leading_zeros_is_told_with_the_other_path() {
        let found = guess_sellers(&["sellers/2026/10/14"]);
        let told = "# unsure: no month or day below 10 tells whether sellers/{day:%Y/%m/%d} has leading zeros; \
                    without them, it is sellers/{day:%Y/%-m/%-d}\n";
        let job = job_file(&found).unwrap();
        assert!(job.contains(told), "{job}");
    }

    /// The job file of order lines with these columns instead of `paid_at`.
    fn job_of_orders(columns: Vec<(&str, ArrayRef)>) -> String {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let cents = Decimal128Array::from(vec![100, 200]).with_precision_and_scale(18, 2);
        let (money, texts): (ArrayRef, _) = (Arc::new(cents.unwrap()), texts());
        let mut file: Vec<(&str, ArrayRef)> = Vec::new();
        for column in dataset("order_lines").unwrap().columns {
            match column.name {
                "paid_at" | "content_id" | "sub_campaign_id" => {}
                "sub_total"
                | "shipping_fee"
                | "platform_discount"
                | "shipping_platform_discount" => file.push((column.name, money.clone())),
                "channel" => file.push((column.name, texts.clone())),
                name => file.push((name, ids.clone())),
            }
        }
        file.extend(columns);
        let memory = Memory::new("s3://bucket");
        let path = "order_lines/dt=2026-03-14/a.parquet";
        memory.store.write(path, parquet(file)).unwrap();
        job_file(&guess(&memory.store, "results", None).unwrap()).unwrap()
    }

    fn texts() -> ArrayRef {
        Arc::new(StringArray::from(vec!["a", "b"]))
    }

    fn local_times() -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![0, 1]))
    }

    #[test]
    fn a_column_of_a_fitting_type_is_proposed_where_no_name_is_alike() {
        let instants = TimestampMicrosecondArray::from(vec![0, 1]).with_timezone("UTC");
        let job = job_of_orders(vec![
            ("timestamp", Arc::new(instants)),
            ("weather", local_times()),
            ("note", texts()),
        ]);
        for line in [
            "# columns that are not used: timestamp (TIMESTAMP), weather (TIMESTAMP without a zone), note (STRING)\n",
            "\n# paid_at = \"timestamp\"  # missing: no column is like it; the only unused column with a \
             fitting type\n",
            "\n# content_id = { absent = true }  # missing: no column is like it; every row would be: not sold \
             through a content\n# or: content_id = { from = \"note\", text_id = \"digits\" }  # the only unused \
             column with a fitting type\n",
        ] {
            assert!(job.contains(line), "{line}\n{job}");
        }
    }

    #[test]
    fn a_column_of_a_fitting_type_is_proposed_where_the_one_alike_cannot_be_read() {
        let weights: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let job = job_of_orders(vec![("paid_at", weights), ("weather", local_times())]);
        let lines = "\n# or: paid_at = { from = \"weather\", time_zone = \"UTC\" }  # the only unused column with a \
                     fitting type\n";
        assert!(
            job.contains("\n# paid_at = \"paid_at\"  # missing: paid_at is "),
            "{job}"
        );
        assert!(job.contains(lines), "{job}");
    }

    #[test]
    fn three_columns_of_a_fitting_type_are_proposed_at_most() {
        let names = ["weather", "moon", "tide", "noon"];
        let job = job_of_orders(names.map(|name| (name, local_times())).to_vec());
        let reason = "one of 4 unused columns with a fitting type";
        let first = "\n# paid_at = { from = \"weather\", time_zone = \"UTC\" }  # missing: no column is like it; ";
        assert!(job.contains(&format!("{first}{reason}\n")), "{job}");
        for (name, expected) in [("moon", 1), ("tide", 1), ("noon", 0)] {
            let line = format!(
                "\n# or: paid_at = {{ from = \"{name}\", time_zone = \"UTC\" }}  # {reason}\n"
            );
            assert_eq!(job.matches(&line).count(), expected, "{line}{job}");
        }
    }

    #[test]
    fn nothing_of_the_wrong_type_is_proposed() {
        let job = job_of_orders(vec![("weight", Arc::new(Int64Array::from(vec![1, 2])))]);
        assert!(
            job.contains("\n# paid_at = \"\"  # missing: no column is like it\n"),
            "{job}"
        );
    }

    /// A store that denies the objects under some paths, and lists them.
    #[derive(Debug)]
    struct Denying {
        inner: Arc<InMemory>,
        denied: &'static [&'static str],
        /// Folders that it does not list.
        unlisted: &'static [&'static str],
        /// Nothing is listed after the first denied object.
        is_lost: bool,
        has_denied: AtomicBool,
    }

    impl fmt::Display for Denying {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{} with denied objects", self.inner)
        }
    }

    #[async_trait]
    impl ObjectStore for Denying {
        async fn get_opts(&self, path: &Path, options: GetOptions) -> StoreResult<GetResult> {
            let mut denied = self.denied.iter();
            if denied.any(|denied| path.as_ref().starts_with(denied)) {
                self.has_denied.store(true, Ordering::SeqCst);
                return Err(object_store::Error::PermissionDenied {
                    path: path.to_string(),
                    source: "InvalidObjectState: archived".into(),
                });
            }
            self.inner.get_opts(path, options).await
        }

        async fn put_opts(
            &self,
            path: &Path,
            payload: PutPayload,
            options: PutOptions,
        ) -> StoreResult<PutResult> {
            self.inner.put_opts(path, payload, options).await
        }

        async fn put_multipart_opts(
            &self,
            path: &Path,
            options: PutMultipartOptions,
        ) -> StoreResult<Box<dyn MultipartUpload>> {
            self.inner.put_multipart_opts(path, options).await
        }

        fn delete_stream(
            &self,
            paths: BoxStream<'static, StoreResult<Path>>,
        ) -> BoxStream<'static, StoreResult<Path>> {
            self.inner.delete_stream(paths)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
            self.inner.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
            if self.is_lost && self.has_denied.load(Ordering::SeqCst) {
                return Err(object_store::Error::Generic {
                    store: "denying",
                    source: "no answer".into(),
                });
            }
            let folder = prefix.map(Path::as_ref).unwrap_or_default();
            if self.unlisted.contains(&folder) {
                self.has_denied.store(true, Ordering::SeqCst);
                return Err(object_store::Error::Generic {
                    store: "denying",
                    source: "403 Forbidden".into(),
                });
            }
            self.inner.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
            self.inner.copy_opts(from, to, options).await
        }
    }

    /// The guesses where objects under these paths are denied.
    fn guess_denied(denied: &'static [&'static str], is_lost: bool) -> Result<Guesses> {
        guess_through(denied, &[], is_lost)
    }

    fn guess_through(
        denied: &'static [&'static str],
        unlisted: &'static [&'static str],
        is_lost: bool,
    ) -> Result<Guesses> {
        let (inner, runtime) = (Arc::new(InMemory::new()), Runtime::new().unwrap());
        let store = Store::new(inner.clone(), "s3://bucket", runtime.handle().clone());
        for file in [
            "sellers/dt=2026-03-01/a.parquet",
            "sellers/dt=2026-03-13/a.parquet",
            "sellers/dt=2026-03-14/a.parquet",
            "secret/dt=2026-03-14/a.parquet",
        ] {
            store.write(file, sellers()).unwrap();
        }
        let denying = Denying {
            inner,
            denied,
            unlisted,
            is_lost,
            has_denied: AtomicBool::new(false),
        };
        let store = Store::new(Arc::new(denying), "s3://bucket", runtime.handle().clone());
        guess(&store, "results", None)
    }

    #[test]
    fn objects_that_cannot_be_read_are_told_and_hide_no_others() {
        let denied = &["sellers/dt=2026-03-01", "sellers/dt=2026-03-14", "secret"];
        let found = guess_denied(denied, false);
        let found = found.unwrap();
        assert_eq!(found.datasets[0].dataset, "shops");
        assert_eq!(found.datasets[0].file, "sellers/dt=2026-03-13/a.parquet");
        let [note] = &found.notes[..] else {
            panic!("{:?}", found.notes);
        };
        assert!(note.starts_with("Not read: "), "{note}");
        for day in ["2026-03-01", "2026-03-14"] {
            let told = format!("read s3://bucket/sellers/dt={day}/a.parquet: ");
            assert!(note.contains(&told), "{note}");
        }
        assert!(!note.contains("secret"), "{note}");
        let [secret] = &found.unused[..] else {
            panic!("{:?}", found.unused);
        };
        assert_eq!(secret.path, "secret/dt={day}");
        let told = "read s3://bucket/secret/dt=2026-03-14/a.parquet: ";
        assert!(secret.reason.contains(told), "{}", secret.reason);
    }

    #[test]
    fn a_store_that_lets_nothing_be_read_has_failed() {
        let error = guess_denied(&["sellers", "secret"], false).unwrap_err();
        assert_eq!(exit_code_of(&error), ExitCode::StoreFailed);
    }

    #[test]
    fn a_store_that_answers_no_more_has_failed() {
        assert!(guess_denied(&["secret"], false).is_ok());
        let error = guess_denied(&["secret"], true).unwrap_err();
        assert_eq!(exit_code_of(&error), ExitCode::StoreFailed);
        assert!(error.to_string().contains("no answer"), "{error}");
    }

    #[test]
    fn a_folder_of_an_object_store_that_cannot_be_listed_is_told_and_hides_no_other() {
        let found = guess_through(&[], &["secret"], false).unwrap();
        assert_eq!(
            (found.datasets[0].dataset, found.datasets[0].days),
            ("shops", 3)
        );
        let [note] = &found.notes[..] else {
            panic!("{:?}", found.notes);
        };
        assert!(
            note.contains("list s3://bucket/secret: 403 Forbidden"),
            "{note}"
        );
        // A store that does not list its location has failed.
        let error = guess_through(&[], &["secret"], true).unwrap_err();
        assert_eq!(exit_code_of(&error), ExitCode::StoreFailed);
        assert!(error.to_string().contains("no answer"), "{error}");
    }

    #[test]
    fn a_dataset_that_is_split_over_folders_is_told() {
        let memory = Memory::new("s3://bucket");
        for country in ["GB", "US"] {
            let file = format!("shops/country={country}/dt=2026-03-14/a.parquet");
            memory.store.write(&file, sellers()).unwrap();
        }
        let found = guess(&memory.store, "results", None).unwrap();
        let notes = &found.datasets[0].notes;
        let told = "split over folders shops/country=.../dt={day}";
        assert!(notes.iter().any(|note| note.contains(told)), "{notes:?}");
    }

    #[test]
    fn a_folder_that_cannot_be_listed_is_told_and_hides_no_other() {
        let (folder, runtime) = (TempDir::new().unwrap(), Runtime::new().unwrap());
        std::fs::write(folder.path().join("unreadable"), "").unwrap();
        std::fs::create_dir_all(folder.path().join("raw/orders")).unwrap();
        let location = folder.path().to_str().unwrap();
        let store = Store::open(location, Access::Read, &[], runtime.handle().clone()).unwrap();
        let mut told = Vec::new();
        let folders = ["raw".to_owned(), "unreadable".to_owned()];
        let listed = list_folders(&store, &folders, &mut told).unwrap();
        assert_eq!(listed, [vec!["orders".to_owned()], vec![]]);
        assert!(told[0].contains("unreadable"), "{told:?}");
    }
}
