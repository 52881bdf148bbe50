//! The writer: holds the lease, finishes an interrupted commit, and commits day by day.

use anyhow::{Result, ensure};
use backon::BlockingRetryable;
use chrono::{DateTime, NaiveDate, Utc};

use super::lease::{self, Holder, Lease};
use super::{Staged, Staging};
use crate::catalog::commit_log::{self, Commit, CommittedFile, Owner, Record};
use crate::catalog::layout::{COMMIT_LOG, STAGING, staging_of_day, table_folder};
use crate::contracts::SUCCESS_FILE;
use crate::failure::{Failure, FailureKind};
use crate::messages;
use crate::store::{Digested, Store};

/// The traces of writers in the results.
pub(crate) struct Writers {
    /// The newest record.
    pub head: Option<Record>,
    /// The last run that took the lease.
    pub holder: Option<Holder>,
    /// A commit whose files are not all in place: it was interrupted, or it is in progress.
    pub unfinished: Option<Record>,
}

impl Writers {
    pub(crate) fn find(results: &Store) -> Result<Writers> {
        let head = commit_log::read_head(results)?;
        let holder = lease::read_holder(results, head.as_ref())?;
        let unfinished = commit_log::find_unfinished(results, head.as_ref())?;
        Ok(Writers {
            head,
            holder,
            unfinished,
        })
    }
}

/// The right to change the results. It begins with `open` and ends when the value is dropped.
pub struct Writer {
    results: Store,
    lease: Lease,
    /// The newest known record. As long as the lease is held, no other run has written a later one.
    head: Record,
    /// A commit of this process may have been written, or its files may not be in place. This must
    /// be checked before the next commit.
    is_in_doubt: bool,
    single_writer: bool,
    clock: fn() -> DateTime<Utc>,
}

impl Writer {
    /// Takes the lease, rolls an interrupted commit forward, and removes files that were staged
    /// without a commit.
    ///
    /// `tell` receives a line for a person when a commit had to be finished.
    ///
    /// # Errors
    /// `Held` when another run writes.
    pub fn open(
        results: &Store,
        owner: &Owner,
        single_writer: bool,
        clock: fn() -> DateTime<Utc>,
        tell: &dyn Fn(&str),
    ) -> Result<Writer> {
        let (lease, head, before) = Lease::acquire(results, owner, single_writer, clock)?;
        let writer = Writer {
            results: results.clone(),
            lease,
            head,
            is_in_doubt: false,
            single_writer,
            clock,
        };
        // The lease was checked when it was taken, and its record is the newest one. The head before it
        // names the same newest commit, and often is that commit.
        writer.finish_newest(before.as_ref(), tell)?;
        // The folders are listed before the log is checked. So they belong to runs that cannot
        // commit any more.
        let folders = results.list_folders(STAGING)?;
        if !folders.is_empty() && !writer.lease.renew()? {
            return Err(messages::lease_lost().into());
        }
        folders
            .iter()
            .try_for_each(|folder| results.remove_folder(&format!("{STAGING}/{folder}")))?;
        Ok(writer)
    }

    /// The staging folder of the next commit.
    ///
    /// # Errors
    /// `LeaseLost` when another run took over; `StoreFailed` when an earlier commit cannot be
    /// finished.
    pub fn next_staging(&mut self, day: NaiveDate) -> Result<Staging> {
        self.settle_doubts()?;
        self.check()?;
        let folder = staging_of_day(&self.lease.owner().run_id, day);
        Ok(Staging {
            results: self.results.clone(),
            folder,
            commit_number: self.head.number + 1,
            keeps_history: false,
        })
    }

    /// Makes a staged day visible. First the commit record is written: from then on the day is
    /// published, even after a crash. Then every file is moved into place.
    pub fn commit(&mut self, staged: &Staged) -> Result<()> {
        let results = self.check()?;
        ensure!(
            staged.commit_number == self.head.number + 1,
            "the day is staged for another commit"
        );
        let record = Record {
            number: staged.commit_number,
            fencing_number: self.lease.fencing_number(),
            owner: self.lease.owner().clone(),
            written_at: (self.clock)(),
            previous_commit: self.head.newest_commit(),
            commit: Some(staged.commit.clone()),
        };
        self.is_in_doubt = true;
        if !commit_log::append(&results, &record, self.single_writer)? {
            // Either another run has the number, which ends this run, or an earlier attempt of this
            // run wrote the record and lost the answer.
            self.settle_doubts()?;
            return Err(messages::commit_given_up(record.number).into());
        }
        self.head = record;
        // Until all files are moved, a reader may find old files beside new ones. So failed moves
        // are retried.
        let move_all = || self.move_into_place(&staged.commit);
        let may_succeed = |error: &anyhow::Error| {
            Failure::kind_of(error) == Some(FailureKind::StoreFailed)
                && self.lease.valid_until().is_some()
        };
        let lost = move_all
            .retry(self.results.retries)
            .when(may_succeed)
            .call()?;
        ensure!(lost.is_empty(), messages::staged_gone(lost.join(", ")));
        self.is_in_doubt = false;
        Ok(())
    }

    /// Checks a commit that ended in an error, and finishes it if its record was written.
    pub fn settle_doubts(&mut self) -> Result<()> {
        if self.is_in_doubt {
            self.settle(&|line| tracing::warn!("{line}"))
        } else {
            Ok(())
        }
    }

    /// Finishes the newest commit, of this run or of another.
    fn settle(&mut self, tell: &dyn Fn(&str)) -> Result<()> {
        if !self.lease.renew()? {
            return Err(messages::lease_lost().into());
        }
        let log_gone = || messages::log_gone(self.results.show(COMMIT_LOG));
        self.head = commit_log::read_head(&self.results)?.ok_or_else(log_gone)?;
        self.finish_newest(Some(&self.head), tell)?;
        self.is_in_doubt = false;
        Ok(())
    }

    /// Finishes the newest commit up to the record, if it was interrupted.
    fn finish_newest(&self, up_to: Option<&Record>, tell: &dyn Fn(&str)) -> Result<()> {
        let unfinished = commit_log::find_unfinished(&self.results, up_to)?;
        if let Some(Record {
            number,
            commit: Some(commit),
            ..
        }) = unfinished
        {
            tell(&format!(
                "finishing interrupted commit {number} of {}",
                commit.day
            ));
            let lost = self.finish(&commit)?;
            if !lost.is_empty() {
                let (day, lost) = (commit.day, lost.join(", "));
                tell(&format!(
                    "staged files of {day} are gone; their tables are computed again: {lost}"
                ));
            }
        }
        Ok(())
    }

    /// Checks that this process may still write. Returns the store, with the end of the lease as
    /// the deadline of each call. A process that was paused for longer than its lease may write if
    /// no other run has written since.
    ///
    /// # Errors
    /// `LeaseLost`.
    pub fn check(&self) -> Result<Store> {
        let is_valid = || self.lease.valid_until().is_some();
        ensure!(
            is_valid() || self.lease.renew()? && is_valid(),
            messages::lease_lost()
        );
        Ok(self.results.until(self.lease.deadline()))
    }

    /// Continues a commit where another process stopped, or where this one failed. Returns the
    /// files that are lost.
    fn finish(&self, commit: &Commit) -> Result<Vec<String>> {
        // When a move is a copy and a deletion, the manifest may exist twice. Then all other files
        // are in place.
        if commit_log::is_in_place(&self.results, &commit.manifest)? {
            self.check()?.remove_folder(&commit.staging)?;
            return Ok(vec![]);
        }
        // Staged files may have been damaged after their verification.
        let files = commit.files.iter();
        let staged: Vec<String> = files.map(|file| commit.staged_path(file)).collect();
        let found = self.results.digest_each(&staged)?;
        let is_damaged = |file: &CommittedFile, found: Digested| {
            found.is_some_and(|(_, sha256)| sha256 != file.sha256)
        };
        let each = staged.into_iter().zip(commit.files.iter().zip(found));
        let damaged =
            each.filter_map(|(path, (file, found))| is_damaged(file, found).then_some(path));
        let damaged: Vec<String> = damaged.collect();
        self.check()?.remove_each(&damaged)?;
        self.move_into_place(commit)
    }

    /// Moves every file of a commit into its place. Each step is idempotent, so this process or
    /// another may repeat it. Returns the files that are lost; their tables stay without a
    /// `_SUCCESS`.
    ///
    /// As long as some files are old and others new, no changed table has a `_SUCCESS`.
    fn move_into_place(&self, commit: &Commit) -> Result<Vec<String>> {
        let changed = commit.files.iter().chain(&commit.removed);
        self.check()?.remove_each(&marks(changed))?;
        let lost = self.place(commit, &commit.files)?;
        // A later writer may have put another file there.
        let removed = self.of_each_in_place(&commit.removed)?;
        self.check()?.remove_each(&removed)?;
        let whole = commit.files.iter();
        let whole = whole.filter(|file| !lost.contains(&file.path));
        self.check()?.write_empty_each(&marks(whole))?;
        let manifest = std::slice::from_ref(&commit.manifest);
        ensure!(
            self.place(commit, manifest)?.is_empty(),
            messages::lease_lost()
        );
        // The manifest last: as long as any file is staged, the commit counts as unfinished.
        let staged = commit.files.iter().chain(manifest);
        let staged: Vec<String> = staged.map(|file| commit.staged_path(file)).collect();
        self.results.remove_all_of(&commit.staging, &staged)?;
        Ok(lost)
    }

    /// Brings staged files to their places. Returns the paths of those that are neither staged nor in place.
    /// A process that lost its lease finds no staged file here, because the new holder has removed it.
    fn place(&self, commit: &Commit, files: &[CommittedFile]) -> Result<Vec<String>> {
        let staged = files.iter();
        let moves: Vec<(String, String)> = staged
            .map(|file| (commit.staged_path(file), file.path.clone()))
            .collect();
        let are_staged = self.check()?.place_each(&moves)?;
        let gone = files.iter().zip(are_staged);
        let gone = gone.filter(|(_, is_staged)| !is_staged);
        let gone: Vec<CommittedFile> = gone.map(|(file, _)| file.clone()).collect();
        let in_place = self.of_each_in_place(&gone)?;
        let mut lost: Vec<String> = gone.into_iter().map(|file| file.path).collect();
        lost.retain(|path| !in_place.contains(path));
        if !lost.is_empty() && !self.lease.renew()? {
            return Err(messages::lease_lost().into());
        }
        Ok(lost)
    }

    /// The paths of those files that are at their places with their committed bytes.
    fn of_each_in_place(&self, files: &[CommittedFile]) -> Result<Vec<String>> {
        let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
        let found = self.results.digest_each(&paths)?;
        let in_place = files.iter().zip(found);
        let in_place = in_place
            .filter(|(file, found)| found.as_ref().is_some_and(|(_, sha)| *sha == file.sha256));
        Ok(in_place.map(|(file, _)| file.path.clone()).collect())
    }
}

/// The marks beside the files of tables.
fn marks<'a>(files: impl Iterator<Item = &'a CommittedFile>) -> Vec<String> {
    let folders = files.filter_map(|file| table_folder(&file.path));
    folders
        .map(|folder| format!("{folder}/{SUCCESS_FILE}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use chrono::TimeDelta;

    use super::*;
    use crate::contracts::Table;
    use crate::contracts::tables::{SHOP_TIER, SKU_DAILY};
    use crate::publish::{Change, TableFile, stage};
    use crate::testing::{Memory, empty_file, manifest, march, noon, owner, resources};

    const PUBLISHED: [&str; 5] = [
        "_runs/dt=2026-03-14/0000000002.json",
        "shop_tier/dt=2026-03-14/_SUCCESS",
        "shop_tier/dt=2026-03-14/part-0.parquet",
        "sku_daily/dt=2026-03-14/_SUCCESS",
        "sku_daily/dt=2026-03-14/part-0.parquet",
    ];

    fn later() -> DateTime<Utc> {
        noon() + TimeDelta::minutes(5)
    }

    fn open(memory: &Memory, run_id: &str, tell: &dyn Fn(&str)) -> Writer {
        Writer::open(&memory.store, &owner(run_id), false, later, tell).unwrap()
    }

    fn file(table: &'static Table) -> TableFile {
        empty_file(table, march(14))
    }

    /// Two tables of 14 March, staged.
    fn staged(writer: &mut Writer) -> Staged {
        let files = [file(&SKU_DAILY), file(&SHOP_TIER)];
        let change = Change::new(manifest(march(14), 0), files, [], &BTreeMap::new());
        let staging = writer.next_staging(march(14)).unwrap();
        stage(staging, &change, &resources(1), || "now".into()).unwrap()
    }

    #[test]
    fn a_file_that_fails_its_check_is_not_committed_and_the_next_writer_removes_what_is_staged() {
        for threads in [1, 2] {
            let memory = Memory::new("results");
            let mut writer = open(&memory, "a", &|_| {});
            let mut wrong = file(&SKU_DAILY);
            wrong.rows = 1;
            let files = [file(&SHOP_TIER), wrong];
            let change = Change::new(manifest(march(14), 0), files, [], &BTreeMap::new());
            let staging = writer.next_staging(march(14)).unwrap();
            let staged = stage(staging, &change, &resources(threads), || "now".into());
            assert_eq!(
                format!("{:#}", staged.err().unwrap()),
                "verifying sku_daily/dt=2026-03-14/part-0.parquet: 0 rows where 1 were computed"
            );
            assert_eq!(visible(&memory).is_empty(), threads == 1);
            drop(writer);
            drop(open(&memory, "b", &|_| {}));
            assert_eq!(visible(&memory), [""; 0]);
        }
    }

    fn visible(memory: &Memory) -> Vec<String> {
        let mut paths = memory.paths();
        paths.retain(|path| !path.starts_with("_locks") && !path.contains("commit_log"));
        paths
    }

    #[test]
    fn a_staged_day_becomes_visible_with_its_commit_and_leaves_nothing_staged() {
        let memory = Memory::new("results");
        let mut writer = open(&memory, "a", &|_| {});
        let staged = staged(&mut writer);
        let paths = visible(&memory);
        assert!(
            paths.len() == 3 && paths.iter().all(|path| path.starts_with(STAGING)),
            "{paths:?}"
        );
        writer.commit(&staged).unwrap();
        assert_eq!(visible(&memory), PUBLISHED);
    }

    /// The commit is interrupted after its record and a number of moves. The next writer finishes
    /// it.
    #[test]
    fn an_interrupted_commit_is_rolled_forward_by_the_next_writer() {
        for moved in 0..=3 {
            let memory = Memory::new("results");
            let mut writer = open(&memory, "a", &|_| {});
            let Staged {
                commit,
                commit_number,
                ..
            } = staged(&mut writer);
            let record = Record {
                number: commit_number,
                fencing_number: 1,
                owner: owner("a"),
                written_at: noon(),
                previous_commit: None,
                commit: Some(commit.clone()),
            };
            assert!(commit_log::append(&memory.store, &record, false).unwrap());
            for file in commit.files.iter().chain([&commit.manifest]).take(moved) {
                let is_moved = memory.store.rename(&commit.staged_path(file), &file.path);
                assert!(is_moved.unwrap());
            }
            drop(writer);
            let told = RefCell::new(Vec::new());
            let next = open(&memory, "b", &|line| {
                told.borrow_mut().push(line.to_owned())
            });
            // When the manifest is in place, only the staging folder is left.
            if moved < 3 {
                assert_eq!(visible(&memory), PUBLISHED, "after {moved} moves");
                assert_eq!(told.borrow().len(), 1);
            } else {
                assert_eq!(told.borrow().len(), 0, "its manifest is in place");
            }
            drop(next);
        }
    }

    #[test]
    fn staged_files_that_are_lost_or_spoilt_leave_their_table_without_a_mark() {
        let memory = Memory::new("results");
        let mut writer = open(&memory, "a", &|_| {});
        let Staged { commit, .. } = staged(&mut writer);
        let record = Record {
            number: 2,
            fencing_number: 1,
            owner: owner("a"),
            written_at: noon(),
            previous_commit: None,
            commit: Some(commit.clone()),
        };
        commit_log::append(&memory.store, &record, false).unwrap();
        let spoilt = commit.staged_path(&commit.files[0]);
        memory.put(&spoilt, "other bytes");
        drop(writer);
        let told = RefCell::new(Vec::new());
        drop(open(&memory, "b", &|line| {
            told.borrow_mut().push(line.to_owned())
        }));
        let expected = [PUBLISHED[0], PUBLISHED[1], PUBLISHED[2]];
        assert_eq!(visible(&memory), expected);
        assert!(
            told.borrow()[1].contains("sku_daily/dt=2026-03-14/part-0.parquet"),
            "{told:?}"
        );
    }

    #[test]
    fn files_staged_without_a_commit_are_removed_by_the_next_writer() {
        let memory = Memory::new("results");
        let mut writer = open(&memory, "a", &|_| {});
        staged(&mut writer);
        drop(writer);
        drop(open(&memory, "b", &|_| {}));
        assert_eq!(visible(&memory), [""; 0]);
    }

    #[test]
    fn a_table_that_does_not_exist_any_more_is_removed_with_its_mark() {
        let memory = with_a_table_removed(false);
        let expected = [
            PUBLISHED[0],
            "_runs/dt=2026-03-14/0000000003.json",
            PUBLISHED[3],
            PUBLISHED[4],
        ];
        assert_eq!(visible(&memory), expected);
    }

    /// A second commit removes one table of the first and leaves the other.
    fn with_a_table_removed(keeps_history: bool) -> Memory {
        let memory = Memory::new("results");
        let mut writer = open(&memory, "a", &|_| {});
        let first = staged(&mut writer);
        writer.commit(&first).unwrap();
        let absent = [&SHOP_TIER];
        let change = Change::new(first.manifest.clone(), [], absent, &BTreeMap::new());
        assert_eq!(change.removed, 1);
        let staging = writer.next_staging(march(14)).unwrap();
        let staging = staging.keeping_history(keeps_history);
        let second = stage(staging, &change, &resources(1), || "now".into()).unwrap();
        writer.commit(&second).unwrap();
        memory
    }

    #[test]
    fn a_file_that_a_commit_removes_is_kept_under_the_number_of_that_commit() {
        let kept = "_history/shop_tier/dt=2026-03-14/0000000003.parquet";
        let memory = with_a_table_removed(true);
        let found = memory.store.read(kept).unwrap();
        assert_eq!(found, Some(file(&SHOP_TIER).bytes));
        let history = visible(&memory);
        let history = history.iter().filter(|path| path.starts_with("_history"));
        assert_eq!(history.count(), 1, "nothing else was replaced");
        let memory = with_a_table_removed(false);
        assert_eq!(memory.store.read(kept).unwrap(), None);
    }

    #[test]
    fn a_writer_that_was_overtaken_publishes_nothing() {
        let memory = Memory::new("results");
        let mut writer = open(&memory, "slow", &|_| {});
        let staged = staged(&mut writer);
        let record = Record {
            number: 2,
            fencing_number: 2,
            owner: owner("fast"),
            written_at: later(),
            previous_commit: None,
            commit: None,
        };
        assert!(commit_log::append(&memory.store, &record, false).unwrap());
        let error = writer.commit(&staged).unwrap_err();
        assert_eq!(
            Failure::kind_of(&error),
            Some(FailureKind::LeaseLost),
            "{error}"
        );
        assert!(
            visible(&memory)
                .iter()
                .all(|path| path.starts_with(STAGING))
        );
    }
}
