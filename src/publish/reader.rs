//! Reads published tables for the windows; this run's own tables take precedence.
//!
//! The footer of a file is read once. Then only the wanted columns (projection) of the row groups
//! that may hold wanted shops (row group pruning) are read. The footer is verified against the
//! manifest, and each column chunk against the footer (`footer`). Several threads decode ahead, and
//! rows are passed on in order. The columns of small files are kept for the next days (`decoded`).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use chrono::NaiveDate;
use polars::prelude::DataFrame;

use super::footer::Footer;
use super::parquet::{BATCH_ROWS, Chunks, TableFile, decode};
use crate::catalog::decoded::DecodedFiles;
use crate::catalog::layout::part_path;
use crate::catalog::manifest::{FooterMark, PublishedTable};
use crate::catalog::small_files::MOST_BYTES;
use crate::catalog::state::State;
use crate::contracts::arrow::{from_batch, schema};
use crate::contracts::{Column, Read, Table};
use crate::days::spans::days_of;
use crate::fingerprint::sha256;
use crate::messages;
use crate::resources::Resources;
use crate::store::{SMALL_BYTES, Store};
use crate::threads::{in_order, lock};
use crate::windows::{PublishedTables, Rows};

/// Bytes of chunks that are fetched from an object store together: requests are few, and a large file
/// is never in memory as a whole. From a disk, one row group is read at a time.
const FETCH_BYTES: u64 = 16 << 20;
/// Rows after which no further row group is fetched with them.
const FETCH_ROWS: usize = 262_144;
/// Rows that a thread decodes before it passes them on, unless a part has more.
const BUNDLE_ROWS: usize = 32_768;
/// The part of the memory for decoded columns that are kept.
const MEMORY_PER_DECODED: u64 = 8;

/// The version of a table's file of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// The file with this SHA-256.
    Published(String),
    /// A file that the planned run would write. Its bytes are unknown.
    Announced,
}

/// The new daily tables of some days, none of which is visible yet. A daily table that a day lacks does
/// not exist for it any more.
pub(crate) type NewDays = BTreeMap<NaiveDate, Arc<[TableFile]>>;

/// The results, including new tables that are not visible yet.
pub struct DayTables<'a> {
    results: &'a Store,
    state: &'a State,
    day: NaiveDate,
    /// New daily tables of other days.
    pub(crate) new_days: NewDays,
    /// New tables of the day.
    pub fresh: BTreeMap<&'static str, TableFile>,
    /// Tables that do not exist for the day any more.
    pub absent: BTreeSet<&'static str>,
    /// The footers of published files that were read, by the SHA-256 of the file.
    footers: RefCell<HashMap<String, Arc<Footer>>>,
    /// Threads that decode.
    threads: usize,
}

impl<'a> DayTables<'a> {
    pub fn new(results: &'a Store, state: &'a State, day: NaiveDate) -> Self {
        let (new_days, fresh, absent, footers) = Default::default();
        DayTables {
            results,
            state,
            day,
            new_days,
            fresh,
            absent,
            footers,
            threads: 1,
        }
    }

    /// Sets how many threads decode, and how much memory decoded columns may take. Until then, one
    /// thread decodes and no columns are kept.
    pub fn set_resources(&mut self, resources: &Resources) {
        self.threads = resources.threads;
        let bytes = resources.memory_bytes / MEMORY_PER_DECODED;
        lock(&self.state.decoded).most_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    }

    pub fn add(&mut self, file: TableFile) {
        self.fresh.insert(file.table.name, file);
    }

    /// The version of a table's file that is or will be published; `None` when there is none.
    pub fn version(&self, table: &Table, day: NaiveDate) -> Result<Option<Version>> {
        if day == self.day
            && self.absent.contains(table.name)
            && !self.fresh.contains_key(table.name)
        {
            return Ok(None);
        }
        if let Some(file) = self.fresh(table, day) {
            return Ok(Some(Version::Published(file.sha256.clone())));
        }
        if self.new_days.contains_key(&day) {
            return Ok(None);
        }
        if self.state.is_announced(table.id, day) {
            return Ok(Some(Version::Announced));
        }
        let manifest = self.state.manifest(day)?;
        let published = manifest.as_ref().and_then(|m| m.tables.get(table.name));
        Ok(published.map(|table| Version::Published(table.sha256.clone())))
    }

    fn fresh(&self, table: &Table, day: NaiveDate) -> Option<&TableFile> {
        if day == self.day {
            return self.fresh.get(table.name);
        }
        let mut new = self.new_days.get(&day)?.iter();
        new.find(|file| file.table.id == table.id)
    }
}

impl PublishedTables for DayTables<'_> {
    fn published_days(
        &self,
        table: &Table,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Vec<NaiveDate>> {
        let mut days = self.state.published_days(table, first, last)?;
        days.retain(|day| *day != self.day && !self.new_days.contains_key(day));
        for day in self.new_days.keys().chain([&self.day]) {
            if (first..=last).contains(day) && self.version(table, *day)?.is_some() {
                days.push(*day);
            }
        }
        days.sort_unstable();
        Ok(days)
    }

    fn read_days(
        &self,
        table: &'static Table,
        days: &[NaiveDate],
        names: &[&str],
        rows: Rows,
        consume: &mut dyn FnMut(usize, DataFrame) -> Result<()>,
    ) -> Result<()> {
        let columns: Vec<&Column> = names.iter().map(|name| table.column(name)).collect();
        let names = with_predicate_columns(names, &rows);
        let mut parts = Vec::new();
        for (of_day, day) in days.iter().enumerate() {
            let of_file = self.parts(table, *day, &names, &rows)?.into_iter();
            parts.extend(of_file.map(|part| (of_day, part)));
        }
        let decode = |parts: Vec<(usize, Part)>| {
            let mut decoded = Vec::new();
            for (of_day, part) in parts {
                part.decode(&names, &rows, &mut |batch| {
                    decoded.push((of_day, from_batch(&columns, &batch)?));
                    Ok(())
                })?;
            }
            Ok(decoded)
        };
        in_order(
            self.threads,
            bundles(parts),
            decode,
            |decoded: Result<_>| {
                let decoded: Vec<(usize, DataFrame)> = decoded?;
                let mut decoded = decoded.into_iter();
                decoded.try_for_each(|(of_day, rows)| consume(of_day, rows))
            },
        )
    }
}

impl DayTables<'_> {
    /// The wanted rows of a published file with all its columns. A file of an earlier version of the
    /// table may lack some.
    ///
    /// # Errors
    /// When the file is gone, or is not the one that was published.
    pub(crate) fn published_rows(
        &self,
        table: &'static Table,
        day: NaiveDate,
        rows: Rows,
    ) -> Result<RecordBatch> {
        let file = self.open(table, day)?;
        let found = file.footer.metadata.schema().clone();
        let names = table.columns.iter().map(|column| column.name);
        let names: Vec<&str> = names
            .filter(|name| found.field_with_name(name).is_ok())
            .collect();
        let mut batches = Vec::new();
        for part in file.parts(&names, &rows)? {
            part.decode(&names, &rows, &mut |batch| {
                batches.push(batch);
                Ok(())
            })?;
        }
        match batches.first() {
            Some(first) => Ok(concat_batches(&first.schema(), &batches)?),
            None => Ok(RecordBatch::new_empty(schema(table.columns))),
        }
    }

    /// Fetches files that tables read, side by side: small ones whole, as many as are kept in memory, and the
    /// footers of the others. A failure is reported when its file is needed.
    pub(crate) fn look_ahead<'r>(
        &self,
        reads: impl IntoIterator<Item = &'r Read>,
        first_campaign_day: Option<NaiveDate>,
    ) {
        if !self.results.is_remote() {
            return;
        }
        let (mut small, mut large, mut bytes) = (BTreeMap::new(), BTreeMap::new(), 0);
        for read in reads {
            let (first, last) = days_of(read.span, self.day, first_campaign_day);
            let days = self.state.published_days(read.table, first, last);
            for day in days.unwrap_or_default() {
                let manifest = self.state.manifest(day).ok().flatten();
                let tables = manifest.as_ref().map(|manifest| &manifest.tables);
                let Some(published) = tables.and_then(|tables| tables.get(read.table.name)) else {
                    continue;
                };
                let path = part_path(read.table, day);
                let is_small = published.bytes <= SMALL_BYTES;
                if self.is_at_hand(read.table, day, published) {
                    continue;
                } else if !is_small {
                    large.insert(path, published.clone());
                } else if bytes + published.bytes <= MOST_BYTES as u64 && !small.contains_key(&path)
                {
                    bytes += published.bytes;
                    small.insert(path, published.sha256.clone());
                }
            }
        }
        self.fetch_small(&small);
        self.fetch_footers(large);
    }

    /// Whether nothing, or only column chunks, need to be fetched of a file.
    fn is_at_hand(&self, table: &Table, day: NaiveDate, published: &PublishedTable) -> bool {
        self.fresh(table, day).is_some()
            || self.state.small_file(&published.sha256).is_some()
            || self.footers.borrow().contains_key(&published.sha256)
    }

    /// `wanted`: the hash of each file by its path.
    fn fetch_small(&self, wanted: &BTreeMap<String, String>) {
        let paths: Vec<String> = wanted.keys().cloned().collect();
        let found = self.results.read_each(&paths).unwrap_or_default();
        for (file, expected) in found.into_iter().zip(wanted.values()) {
            if let Some(file) = file.filter(|file| sha256(file) == *expected) {
                self.state.keep_small_file(expected, &file);
            }
        }
    }

    /// `of`: files by their paths.
    fn fetch_footers(&self, of: BTreeMap<String, PublishedTable>) {
        let marks = of.into_iter().filter_map(|(path, published)| {
            let mark = published.footer?;
            let start = published.bytes.saturating_sub(mark.bytes);
            let range = start..published.bytes;
            Some(((published.sha256, mark.sha256), (path, range)))
        });
        let (files, parts): (Vec<_>, Vec<_>) = marks.unzip();
        let found = self.results.read_range_each(&parts).unwrap_or_default();
        for ((file, expected), footer) in files.into_iter().zip(found) {
            let footer = footer.filter(|footer| sha256(footer) == expected);
            if let Some(Ok(footer)) = footer.map(|footer| Footer::parse(&footer)) {
                self.footers.borrow_mut().insert(file, Arc::new(footer));
            }
        }
    }

    /// The parts of a file that may hold wanted rows.
    ///
    /// # Errors
    /// As [`DayTables::open`], and when the file does not have these columns as its contract demands.
    fn parts(
        &self,
        table: &'static Table,
        day: NaiveDate,
        names: &[&str],
        rows: &Rows,
    ) -> Result<Vec<Part<'_>>> {
        let decoded = match self.version(table, day)? {
            Some(Version::Published(sha256)) => {
                lock(&self.state.decoded).get((day, table.name), &sha256, names)
            }
            _ => None,
        };
        match decoded {
            Some(batch) => Ok(vec![Part {
                rows: batch.num_rows(),
                source: Source::Decoded(batch),
            }]),
            None => self.open(table, day)?.parts(names, rows),
        }
    }

    /// # Errors
    /// When the table is not published, or its file is gone or not the published one.
    fn open(&self, table: &'static Table, day: NaiveDate) -> Result<OpenFile<'_>> {
        let path = part_path(table, day);
        let open = |sha256: &str, footer, content| OpenFile {
            table,
            day,
            sha256: sha256.to_owned(),
            shown: self.results.show(&path),
            footer,
            content,
            decoded: &self.state.decoded,
        };
        if let Some(file) = self.fresh(table, day) {
            let content = Content::InMemory(file.bytes.clone());
            return Ok(open(&file.sha256, file.footer.clone(), content));
        }
        let manifest = self.state.manifest(day)?;
        let published = manifest.as_ref().and_then(|m| m.tables.get(table.name));
        let published =
            published.with_context(|| format!("{} of {day} is not published", table.name))?;
        let file = PublishedFile {
            results: self.results,
            path: path.clone(),
            day,
            published: published.clone(),
        };
        let reading = || format!("reading {}", self.results.show(&path));
        let sha256 = &published.sha256;
        Ok(match (self.state.small_file(sha256), &published.footer) {
            (Some(bytes), _) => open(sha256, file.parse(&bytes)?, Content::InMemory(bytes)),
            // Files of earlier versions have only a hash of the whole file.
            (None, None) => {
                let bytes = file.fetch_whole().with_context(reading)?;
                open(sha256, file.parse(&bytes)?, Content::InMemory(bytes))
            }
            (None, Some(mark)) => {
                let known = self.footers.borrow().get(sha256).cloned();
                let footer = match known {
                    Some(footer) => footer,
                    None => file.fetch_footer(mark).with_context(reading)?,
                };
                self.footers
                    .borrow_mut()
                    .insert(sha256.clone(), footer.clone());
                open(sha256, footer, Content::Stored(file))
            }
        })
    }
}

/// A file of a table whose footer was read.
struct OpenFile<'a> {
    table: &'static Table,
    day: NaiveDate,
    sha256: String,
    shown: String,
    footer: Arc<Footer>,
    content: Content<'a>,
    decoded: &'a Mutex<DecodedFiles>,
}

enum Content<'a> {
    InMemory(Bytes),
    Stored(PublishedFile<'a>),
}

/// A part of a file: row groups that are fetched and decoded together, or a whole file that was
/// decoded before.
struct Part<'a> {
    rows: usize,
    source: Source<'a>,
}

enum Source<'a> {
    RowGroups {
        file: Arc<OpenFile<'a>>,
        groups: Vec<usize>,
    },
    Decoded(RecordBatch),
}

impl<'a> OpenFile<'a> {
    /// The parts that may hold wanted rows.
    ///
    /// # Errors
    /// When the file does not have these columns as its contract demands.
    fn parts(self, names: &[&str], rows: &Rows) -> Result<Vec<Part<'a>>> {
        self.footer
            .check(self.table, names)
            .map_err(|why| other_contract(self.shown.clone(), why, self.day))?;
        let most_bytes = match &self.content {
            Content::Stored(file) if file.results.is_remote() => FETCH_BYTES,
            _ => 1,
        };
        let file = Arc::new(self);
        let mut parts = Vec::new();
        let mut groups = file.footer.groups_with(rows).into_iter().peekable();
        while groups.peek().is_some() {
            let (mut part, mut bytes, mut part_rows) = (Vec::new(), 0, 0);
            while let Some(group) = groups.next_if(|_| bytes < most_bytes && part_rows < FETCH_ROWS)
            {
                let chunks = file.footer.chunks(group, names);
                bytes += chunks
                    .map(|(range, _)| range.end - range.start)
                    .sum::<u64>();
                part_rows += file.footer.rows_of(group);
                part.push(group);
            }
            parts.push(Part {
                rows: part_rows,
                source: Source::RowGroups {
                    file: file.clone(),
                    groups: part,
                },
            });
        }
        Ok(parts)
    }

    /// Decodes row groups. The columns of a small file are kept.
    fn decode(
        &self,
        groups: &[usize],
        names: &[&str],
        consume: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let mut consume = |batch: RecordBatch| {
            let is_whole = batch.num_rows() == self.footer.rows();
            if is_whole && batch.num_rows() <= BATCH_ROWS {
                let file = (self.day, self.table.name);
                lock(self.decoded).add(file, &self.sha256, &batch);
            }
            consume(batch)
        };
        let groups = groups.to_vec();
        match &self.content {
            Content::InMemory(bytes) => {
                decode(bytes.clone(), &self.footer, groups, names, &mut consume)
            }
            Content::Stored(stored) => stored
                .fetch_chunks(&self.footer, &groups, names)
                .and_then(|chunks| decode(chunks, &self.footer, groups, names, &mut consume)),
        }
        .with_context(|| format!("reading {}", self.shown))
    }
}

impl Part<'_> {
    /// Gives `consume` the wanted rows, in the order of the file.
    fn decode(
        &self,
        names: &[&str],
        rows: &Rows,
        consume: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let mut consume = |batch| match wanted_rows(batch, rows)? {
            Some(batch) => consume(batch),
            None => Ok(()),
        };
        match &self.source {
            Source::RowGroups { file, groups } => file.decode(groups, names, &mut consume),
            Source::Decoded(batch) => consume(batch.clone()),
        }
    }
}

/// Parts that one thread decodes together: many small ones, or a large one. Each comes with the
/// position of its day.
fn bundles(parts: Vec<(usize, Part)>) -> Vec<Vec<(usize, Part)>> {
    let mut bundles: Vec<Vec<(usize, Part)>> = Vec::new();
    let mut rows = 0;
    for (of_day, part) in parts {
        rows += part.rows;
        match bundles.last_mut() {
            Some(bundle) if rows <= BUNDLE_ROWS => bundle.push((of_day, part)),
            _ => {
                rows = part.rows;
                bundles.push(vec![(of_day, part)]);
            }
        }
    }
    bundles
}

/// A file that a manifest lists.
struct PublishedFile<'a> {
    results: &'a Store,
    path: String,
    day: NaiveDate,
    published: PublishedTable,
}

impl PublishedFile<'_> {
    /// Fetches the whole file. Files of earlier versions have only a hash of the whole file.
    fn fetch_whole(&self) -> Result<Bytes> {
        let bytes = self
            .results
            .read(&self.path)?
            .ok_or_else(|| self.spoilt("was removed"))?;
        self.check(&self.published.sha256, &bytes)?;
        Ok(bytes)
    }

    fn fetch_footer(&self, mark: &FooterMark) -> Result<Arc<Footer>> {
        let end = self.published.bytes;
        let range = end.saturating_sub(mark.bytes)..end;
        let footer = self.fetch(std::slice::from_ref(&range))?.remove(0);
        self.check(&mark.sha256, &footer)?;
        self.parse(&footer)
    }

    /// `end` holds at least the footer.
    fn parse(&self, end: &[u8]) -> Result<Arc<Footer>> {
        let footer = Footer::parse(end).map_err(|why| self.of_another_contract(why))?;
        Ok(Arc::new(footer))
    }

    fn fetch_chunks(&self, footer: &Footer, groups: &[usize], names: &[&str]) -> Result<Chunks> {
        let chunks: Vec<_> = groups
            .iter()
            .flat_map(|group| footer.chunks(*group, names))
            .collect();
        let ranges: Vec<Range<u64>> = chunks.iter().map(|(range, _)| range.clone()).collect();
        let fetched = self.fetch(&ranges)?;
        for ((_, expected), bytes) in chunks.iter().zip(&fetched) {
            let no_hash =
                || self.of_another_contract(anyhow!("the footer has no hashes of columns"));
            self.check(expected.ok_or_else(no_hash)?, bytes)?;
        }
        let starts = ranges.iter().map(|range| range.start);
        Ok(Chunks {
            file_bytes: self.published.bytes,
            chunks: starts.zip(fetched).collect(),
        })
    }

    fn fetch(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.results
            .read_ranges(&self.path, ranges)?
            .ok_or_else(|| self.spoilt("was removed"))
    }

    fn check(&self, expected: &str, found: &[u8]) -> Result<()> {
        if sha256(found) == expected {
            Ok(())
        } else {
            Err(self.spoilt("is not the file that its manifest lists"))
        }
    }

    fn spoilt(&self, how: &str) -> anyhow::Error {
        messages::spoilt_file(self.results.show(&self.path), how, self.day)
            .spoils(self.day)
            .into()
    }

    fn of_another_contract(&self, why: anyhow::Error) -> anyhow::Error {
        other_contract(self.results.show(&self.path), why, self.day)
    }
}

/// The file matches its manifest, but not its contract.
fn other_contract(shown: String, why: anyhow::Error, day: NaiveDate) -> anyhow::Error {
    messages::other_contract(shown, format!("{why:#}"), day)
        .spoils(day)
        .into()
}

/// The wanted columns, and the columns of the predicate.
fn with_predicate_columns<'n>(names: &[&'n str], rows: &Rows) -> Vec<&'n str> {
    let mut all = Vec::new();
    for (name, is_in_predicate) in [
        ("campaign_id", rows.campaign_id.is_some()),
        ("shop_id", rows.shops.is_some()),
    ] {
        if is_in_predicate && !names.contains(&name) {
            all.push(name);
        }
    }
    all.extend(names);
    all
}

/// The wanted rows of a batch; `None`: no row is wanted.
fn wanted_rows(batch: RecordBatch, rows: &Rows) -> Result<Option<RecordBatch>> {
    let batch = match predicate(&batch, rows) {
        Some(wanted) if wanted.true_count() < batch.num_rows() => {
            filter_record_batch(&batch, &wanted)?
        }
        _ => batch,
    };
    Ok((batch.num_rows() > 0).then_some(batch))
}

/// Whether each row of a batch is wanted; `None`: all rows are.
fn predicate(batch: &RecordBatch, rows: &Rows) -> Option<BooleanArray> {
    let campaigns = rows.campaign_id.zip(ints(batch, "campaign_id"));
    let shops = rows.shops.zip(ints(batch, "shop_id"));
    if campaigns.is_none() && shops.is_none() {
        return None;
    }
    let mut wanted = vec![true; batch.num_rows()];
    if let Some((campaign, ids)) = campaigns {
        for (wanted, id) in wanted.iter_mut().zip(ids) {
            *wanted &= *id == campaign;
        }
    }
    if let Some((shops, ids)) = shops {
        keep_shops(&mut wanted, ids, shops);
    }
    Some(wanted.into())
}

fn ints<'b>(batch: &'b RecordBatch, name: &str) -> Option<&'b [i64]> {
    let values = batch.column_by_name(name)?;
    Some(values.as_primitive::<Int64Type>().values())
}

/// Clears `wanted` for the rows of other shops. Rows of one shop are adjacent, shops ascend within
/// a campaign, and `shops` ascend.
fn keep_shops(wanted: &mut [bool], ids: &[i64], shops: &[i64]) {
    let mut next = 0;
    for (wanted, shop) in wanted.iter_mut().zip(ids) {
        if next == 0 || shops[next - 1] >= *shop {
            next = shops.partition_point(|each| each < shop);
        } else {
            next += shops[next..].iter().take_while(|each| *each < shop).count();
        }
        *wanted &= shops.get(next) == Some(shop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::tables::{SHOP_DAILY, SKU_DAILY};
    use crate::testing::{Memory, empty_file, manifest, march};

    #[test]
    fn the_new_daily_tables_of_another_day_take_the_place_of_its_published_ones() {
        let memory = Memory::new("results");
        for day in [12, 13] {
            let mut published = manifest(march(day), 1);
            memory.publish(&mut published, &SHOP_DAILY, "shops", "x");
            memory.publish(&mut published, &SKU_DAILY, "skus", "x");
            memory.put_manifest(&published);
        }
        let shops = empty_file(&SHOP_DAILY, march(13));
        let new = Version::Published(shops.sha256.clone());
        let state = State::load(&memory.store).unwrap();
        let mut tables = DayTables::new(&memory.store, &state, march(15));
        tables.new_days = [13, 14]
            .map(|day| (march(day), Arc::from([shops.clone()])))
            .into();
        let days = |table| tables.published_days(table, march(1), march(31)).unwrap();
        assert_eq!(days(&SHOP_DAILY), [12, 13, 14].map(march));
        assert_eq!(days(&SKU_DAILY), [march(12)]);
        let version = |table, day| tables.version(table, march(day)).unwrap();
        assert_eq!(version(&SHOP_DAILY, 13), Some(new));
        assert_eq!(version(&SKU_DAILY, 13), None);
        assert!(version(&SKU_DAILY, 12).is_some());
        tables
            .read(
                &SHOP_DAILY,
                march(13),
                &["gmv"],
                Rows::default(),
                &mut |_| panic!("the new file has no rows"),
            )
            .unwrap();
    }
}
