//! The one writer: holds the lease, finishes what an interrupted run left, and commits a day at a time.

use anyhow::{Context, Result, ensure};
use backon::BlockingRetryable;
use chrono::{DateTime, Utc};

use super::commit_log::{self, Commit, CommittedFile, Record};
use super::lease::{Lease, LeaseLost, Owner};
use super::{Staged, Staging};
use crate::contracts::SUCCESS_FILE;
use crate::record::fingerprint::sha256;
use crate::store::{Store, StoreFailed};

/// The folder of files that nobody sees yet.
pub const STAGING: &str = "_staging";

/// The right to change the results, from `open` until it is dropped.
pub struct Writer {
    results: Store,
    lease: Lease,
    /// The newest record that is known; nobody else may have written a later one.
    head: Record,
    /// A commit of this process may have been written or may not be in place: look before the next one.
    is_in_doubt: bool,
    single_writer: bool,
    clock: fn() -> DateTime<Utc>,
}

impl Writer {
    /// Takes the lease; rolls an interrupted commit forward, and everything that was staged without a commit back.
    ///
    /// # Errors
    /// `Held` when another run writes.
    pub fn open(results: &Store, owner: &Owner, single_writer: bool, clock: fn() -> DateTime<Utc>) -> Result<Writer> {
        let (lease, head) = Lease::acquire(results, owner, single_writer, clock)?;
        let mut writer = Writer { results: results.clone(), lease, head, is_in_doubt: false, single_writer, clock };
        writer.settle()?;
        writer.results.remove_folder(STAGING)?;
        Ok(writer)
    }

    /// A place for the files of the next commit.
    ///
    /// # Errors
    /// `LeaseLost` when another run took over; `StoreFailed` when an earlier commit cannot be brought to its end.
    pub fn next_staging(&mut self, day: chrono::NaiveDate) -> Result<Staging> {
        self.settle_doubts()?;
        self.check()?;
        let folder = format!("{STAGING}/{}/{day}", self.lease.owner().run_id);
        Ok(Staging { results: self.results.clone(), folder, commit_number: self.head.number + 1 })
    }

    /// Makes a staged day visible: its commit record first, from which on the day is published whatever happens, then
    /// every file into place.
    pub fn commit(&mut self, staged: &Staged) -> Result<()> {
        self.check()?;
        ensure!(staged.commit_number == self.head.number + 1, "staged for another commit");
        let record = Record {
            number: staged.commit_number,
            fencing_number: self.lease.fencing_number(),
            owner: self.lease.owner().clone(),
            written_at: (self.clock)(),
            previous_commit: self.head.newest_commit(),
            commit: Some(staged.commit.clone()),
        };
        self.is_in_doubt = true;
        if !commit_log::append(&self.results, &record, self.single_writer)? {
            return Err(LeaseLost.into());
        }
        self.head = record;
        // Until this is through, a reader may find old files beside new ones: worth more than one attempt.
        let move_all = || self.move_into_place(&staged.commit);
        let may_succeed = |error: &anyhow::Error| error.is::<StoreFailed>() && self.lease.is_valid();
        move_all.retry(self.results.retries).when(may_succeed).call()?;
        self.is_in_doubt = false;
        Ok(())
    }

    /// Finds out what became of a commit that ended in an error, and brings it to its end if it was written.
    pub fn settle_doubts(&mut self) -> Result<()> {
        if self.is_in_doubt { self.settle() } else { Ok(()) }
    }

    /// Brings the newest commit, whoever made it, to its end.
    fn settle(&mut self) -> Result<()> {
        self.check()?;
        let head = commit_log::read_head(&self.results)?.context("the commit log is gone")?;
        if head.fencing_number != self.lease.fencing_number() {
            return Err(LeaseLost.into());
        }
        if let Some(Record { number, commit: Some(commit), .. }) =
            commit_log::find_unfinished(&self.results, Some(&head))?
        {
            tracing::info!("commit {number} of {} was interrupted; it is brought to its end", commit.day);
            self.move_into_place(&commit)?;
        }
        self.head = head;
        self.is_in_doubt = false;
        Ok(())
    }

    /// Whether this process may still write. A process that was paused for longer than its lease may, if nobody else
    /// has written since.
    ///
    /// # Errors
    /// `LeaseLost`.
    pub fn check(&self) -> Result<()> {
        if self.lease.is_valid() || self.lease.revive()? { Ok(()) } else { Err(LeaseLost.into()) }
    }

    /// Puts every file of a commit into its place. Each step may be repeated, by this process or by another.
    ///
    /// While some files are old and others new, none of them has a `_SUCCESS` beside it.
    fn move_into_place(&self, commit: &Commit) -> Result<()> {
        let paths = || commit.files.iter().map(|file| &file.path).chain(&commit.removed);
        for folder in paths().filter_map(|path| table_folder(path)) {
            self.check()?;
            self.results.remove(&format!("{folder}/{SUCCESS_FILE}"))?;
        }
        for file in &commit.files {
            self.move_file(commit, file)?;
        }
        for path in &commit.removed {
            self.check()?;
            self.results.remove(path)?;
        }
        for folder in commit.files.iter().filter_map(|file| table_folder(&file.path)) {
            self.check()?;
            self.results.write_empty(&format!("{folder}/{SUCCESS_FILE}"))?;
        }
        self.move_file(commit, &commit.manifest)?;
        self.results.remove_folder(&commit.staging)
    }

    /// A stale process finds nothing to move here: whoever took over has moved, or removed, what was staged.
    fn move_file(&self, commit: &Commit, file: &CommittedFile) -> Result<()> {
        self.check()?;
        if self.results.rename(&commit.staged_path(file), &file.path)? {
            return Ok(());
        }
        let found = self.results.read(&file.path)?;
        if found.is_some_and(|bytes| sha256(&bytes) == file.sha256) {
            return Ok(());
        }
        self.check()?;
        Err(StoreFailed(format!(
            "{} is neither in {} nor in its place; put it back, or delete {} and run {} again",
            self.results.show(&file.path),
            self.results.show(&commit.staging),
            self.results.show(STAGING),
            commit.day
        ))
        .into())
    }
}

/// The folder of a table's file; `None` for what is not a table.
fn table_folder(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(folder, _)| folder).filter(|folder| !folder.starts_with('_'))
}
