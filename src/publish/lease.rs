//! The lease: one writer at a time, as long as it sends heartbeats.
//!
//! | object | written by | meaning |
//! | --- | --- | --- |
//! | `_runs/commit_log/<n>.json` | put-if-absent | a run took the lease; `n` is its fencing token |
//! | `_locks/<n>.json` | the holder of `n` only | it is alive (heartbeat), or done (released) |
//!
//! Clocks decide whether a holder counts as alive, and clocks may be wrong. The commit log keeps
//! the results correct even then.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::commit_log::{self, Owner, Record};
use crate::catalog::layout::{LOCKS, RUNS, lock_path, number_of, probe_path};
use crate::messages;
use crate::store::{Creation, Deadline, Store};
use crate::threads::{Repeating, lock, side_by_side};

/// Heartbeats per lease time: two of them may be lost.
pub(crate) const HEARTBEATS: u32 = 3;

/// The holder of the lease, or its last holder: a file under `_locks/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    pub fencing_number: u64,
    #[serde(flatten)]
    pub owner: Owner,
    pub acquired_at: DateTime<Utc>,
    pub heartbeat_at: DateTime<Utc>,
    /// Set when the run is done.
    pub released_at: Option<DateTime<Utc>>,
}

impl Holder {
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.heartbeat_at + self.lease()
    }

    /// Whether no other run may take over. A heartbeat that lies more than a lease in the future
    /// comes from a wrong clock and does not count.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        let heard_recently = self.heartbeat_at - self.lease() <= now && now < self.expires_at();
        self.released_at.is_none() && heard_recently
    }

    fn lease(&self) -> TimeDelta {
        TimeDelta::seconds(self.owner.lease_seconds.into())
    }

    fn path(&self) -> String {
        lock_path(self.fencing_number)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Owner {
            run_id, host, pid, ..
        } = &self.owner;
        let at = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let (acquired_at, heartbeat_at) = (at(self.acquired_at), at(self.heartbeat_at));
        write!(
            f,
            "run {run_id} (pid {pid} on {host}, since {acquired_at}, last heartbeat {heartbeat_at}"
        )?;
        write!(
            f,
            ", lease until {}, fencing number {})",
            at(self.expires_at()),
            self.fencing_number
        )
    }
}

/// The lease file of the newest record's writer; `None` when nothing was ever written.
pub fn read_holder(results: &Store, head: Option<&Record>) -> Result<Option<Holder>> {
    let Some(head) = head else { return Ok(None) };
    let path = lock_path(head.fencing_number);
    let read = results.read(&path)?;
    if let Some(holder) = read.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(Some(holder));
    }
    // The run took the lease a moment ago, or the file is lost or damaged. Then its newest record
    // counts as its last heartbeat.
    Ok(Some(Holder {
        fencing_number: head.fencing_number,
        owner: head.owner.clone(),
        acquired_at: head.written_at,
        heartbeat_at: head.written_at,
        released_at: None,
    }))
}

/// Ends an expired lease, so that the next run need not wait. Returns the ended lease.
///
/// # Errors
/// `Held` when the lease has not expired.
pub fn unlock(results: &Store, now: DateTime<Utc>) -> Result<Option<Holder>> {
    let head = commit_log::read_head(results)?;
    let Some(mut holder) = read_holder(results, head.as_ref())?.filter(|h| h.released_at.is_none())
    else {
        return Ok(None);
    };
    if holder.is_live(now) {
        return Err(messages::held(&holder).into());
    }
    holder.released_at = Some(now);
    results.write(&holder.path(), serde_json::to_vec_pretty(&holder)?)?;
    Ok(Some(holder))
}

/// What earlier runs left, before this one takes the lease.
struct Before {
    head: Option<Record>,
    /// Paths of their lease files.
    locks: Vec<String>,
    /// The number of the next record.
    next_number: u64,
}

impl Before {
    /// # Errors
    /// `Held` when another run has the lease.
    fn find(results: &Store, clock: fn() -> DateTime<Utc>) -> Result<Before> {
        let mut listed = results.list_all_of_each(&[RUNS, LOCKS])?;
        let (runs, locks) = (listed.remove(0), listed.remove(0));
        let names: Vec<&str> = runs.iter().map(|entry| entry.name.as_str()).collect();
        let list_log = || commit_log::newest_number(results);
        let (newest, next_number) = commit_log::newest_and_next(&names, list_log)?;
        let head = newest.map(|number| commit_log::read_newest(results, number));
        let head = head.transpose()?;
        // Before anything else is waited for: a heartbeat grows old.
        if let Some(holder) = read_holder(results, head.as_ref())?.filter(|h| h.is_live(clock())) {
            return Err(messages::held(&holder).into());
        }
        let is_older = |name: &str| number_of(name).is_some_and(|number| number < next_number);
        let locks = locks.iter().filter(|entry| is_older(&entry.name));
        let locks = locks.map(|entry| format!("{LOCKS}/{}", entry.name));
        Ok(Before {
            head,
            locks: locks.collect(),
            next_number,
        })
    }
}

/// The lease while this process holds it; released when dropped.
pub struct Lease {
    pulse: Arc<Pulse>,
    /// Dropping it ends the thread.
    heartbeat: Option<Repeating>,
}

/// Heartbeats, shared by the thread that sends them and the thread that depends on them.
struct Pulse {
    results: Store,
    holder: Holder,
    clock: fn() -> DateTime<Utc>,
    /// By the monotonic clock, and by the wall clock, which also advances while the machine sleeps.
    valid_until: Mutex<(Instant, DateTime<Utc>)>,
    /// The newest record that this holder is known to have written.
    newest_of_mine: AtomicU64,
}

impl Lease {
    /// Takes the lease with the next record of the commit log, and starts the heartbeat.
    ///
    /// Returns the lease, the record, which is now the head of the log, and the head before it.
    ///
    /// # Errors
    /// `Held` when another run has it; `ConfigWrong` when the store ignores conditions and
    /// `single_writer` is not set.
    pub fn acquire(
        results: &Store,
        owner: &Owner,
        single_writer: bool,
        clock: fn() -> DateTime<Utc>,
    ) -> Result<(Lease, Record, Option<Record>)> {
        let probe = || match single_writer {
            true => Ok(()),
            false => check_conditions(results, &owner.run_id),
        };
        let (probed, before) = side_by_side(probe, || Before::find(results, clock));
        // `Held` is reported before a failed probe.
        let mut before = before?;
        probed?;
        loop {
            let Before {
                head,
                locks,
                next_number,
            } = before;
            let record = Record {
                number: next_number,
                fencing_number: next_number,
                owner: owner.clone(),
                written_at: clock(),
                previous_commit: head.as_ref().and_then(Record::newest_commit),
                commit: None,
            };
            if commit_log::append(results, &record, single_writer)? {
                let lease = Lease::start(results, &record, &locks, clock)?;
                return Ok((lease, record, head));
            }
            // Another run was faster.
            before = Before::find(results, clock)?;
        }
    }

    /// `old`: the lease files of earlier runs. They are removed.
    fn start(
        results: &Store,
        record: &Record,
        old: &[String],
        clock: fn() -> DateTime<Utc>,
    ) -> Result<Lease> {
        let holder = Holder {
            fencing_number: record.number,
            owner: record.owner.clone(),
            acquired_at: record.written_at,
            heartbeat_at: record.written_at,
            released_at: None,
        };
        let valid_until = Mutex::new((Instant::now(), clock()));
        let pulse = Arc::new(Pulse {
            results: results.clone(),
            holder,
            clock,
            valid_until,
            newest_of_mine: AtomicU64::new(record.number),
        });
        // From here on, dropping the lease releases it, also after an error.
        let mut lease = Lease {
            pulse,
            heartbeat: None,
        };
        if !lease.renew()? {
            return Err(messages::lease_lost().into());
        }
        results.remove_each(old)?;
        lease.heartbeat = Some(lease.pulse.clone().start()?);
        Ok(lease)
    }

    pub fn fencing_number(&self) -> u64 {
        self.pulse.holder.fencing_number
    }

    pub fn owner(&self) -> &Owner {
        &self.pulse.holder.owner
    }

    /// The end of the time in which no other run may take over, measured by this machine's clocks
    /// since the last heartbeat; `None` when that time is over.
    pub fn valid_until(&self) -> Option<Instant> {
        self.pulse.valid_until()
    }

    /// The same, as it is when each call of a store begins.
    pub(crate) fn deadline(&self) -> Deadline {
        let pulse = self.pulse.clone();
        Deadline::new(move || pulse.valid_until())
    }

    /// Sends a heartbeat and checks the commit log; `false`: another run took over. Otherwise the
    /// lease is valid for its full time again.
    pub fn renew(&self) -> Result<bool> {
        self.pulse.beat()
    }
}

impl Pulse {
    fn start(self: Arc<Self>) -> Result<Repeating> {
        let pause = self.lease() / HEARTBEATS;
        let started = Repeating::start("heartbeat", pause, move || {
            self.beat().unwrap_or_else(|error| {
                tracing::warn!("heartbeat: {error:#}");
                true
            })
        });
        Ok(started.map_err(messages::no_threads)?)
    }

    fn valid_until(&self) -> Option<Instant> {
        let (until, wall_until) = *lock(&self.valid_until);
        (Instant::now() < until && (self.clock)() < wall_until).then_some(until)
    }

    fn lease(&self) -> Duration {
        Duration::from_secs(self.holder.owner.lease_seconds.into())
    }

    /// Writes the heartbeat first, and then checks whether it was too late. So a run that looks for
    /// a heartbeat after this check finds one.
    ///
    /// The lease counts from before the heartbeat was sent, because other runs count from the time
    /// in the heartbeat.
    fn beat(&self) -> Result<bool> {
        let (now, wall_now) = (Instant::now(), (self.clock)());
        self.show(wall_now, None)?;
        let is_mine = match commit_log::newest_number(&self.results)? {
            None => false,
            Some(newest) if newest == self.newest_of_mine.load(Ordering::Relaxed) => true,
            Some(newest) => self.is_mine(newest)?,
        };
        if is_mine {
            let until = (now + self.lease(), wall_now + self.holder.lease());
            *lock(&self.valid_until) = until;
        }
        Ok(is_mine)
    }

    /// Whether the holder of this lease wrote a record. A record never changes, so it is read once.
    fn is_mine(&self, number: u64) -> Result<bool> {
        let record = commit_log::read_newest(&self.results, number)?;
        let is_mine = record.fencing_number == self.holder.fencing_number;
        if is_mine {
            self.newest_of_mine.store(number, Ordering::Relaxed);
        }
        Ok(is_mine)
    }

    fn show(&self, heartbeat_at: DateTime<Utc>, released_at: Option<DateTime<Utc>>) -> Result<()> {
        let holder = Holder {
            heartbeat_at,
            released_at,
            ..self.holder.clone()
        };
        self.results
            .write(&holder.path(), serde_json::to_vec_pretty(&holder)?)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.heartbeat.take());
        // If the release fails, the lease expires.
        let now = (self.pulse.clock)();
        if let Err(error) = self.pulse.show(now, Some(now)) {
            tracing::warn!("releasing the lease: {error:#}");
        }
    }
}

/// Creates an object twice. If both succeed, the store lacks put-if-absent and cannot keep two
/// writers apart. `name`: of the object, unlike that of any other process.
///
/// # Errors
/// `ConfigWrong` in this case, and when the store has no such operation.
pub(crate) fn check_conditions(results: &Store, name: &str) -> Result<()> {
    let path = probe_path(name);
    let create =
        |content: &'static str| results.create(&path, Bytes::from_static(content.as_bytes()));
    let outcome = create("first").and_then(|_| create("second"));
    let removed = results.remove(&path);
    match outcome? {
        Creation::Exists(_) => removed,
        Creation::Created => Err(messages::no_conditions(&results.location).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, FailureKind};
    use crate::testing::{Memory, instant, manifest, march, noon, owner};

    fn a_minute_later_less_a_second() -> DateTime<Utc> {
        noon() + TimeDelta::seconds(59)
    }

    fn a_minute_later() -> DateTime<Utc> {
        noon() + TimeDelta::seconds(60)
    }

    /// The record of a run that took the lease at noon and died before its first heartbeat.
    fn died_at_noon(number: u64) -> Record {
        Record {
            number,
            fencing_number: number,
            owner: owner("dead"),
            written_at: noon(),
            previous_commit: None,
            commit: None,
        }
    }

    fn acquire(memory: &Memory, run_id: &str, clock: fn() -> DateTime<Utc>) -> Result<Lease> {
        Ok(Lease::acquire(&memory.store, &owner(run_id), false, clock)?.0)
    }

    #[test]
    fn a_live_lease_is_refused_to_others_and_a_released_one_is_taken_with_the_next_number() {
        let memory = Memory::new("results");
        let first = acquire(&memory, "first", noon).unwrap();
        assert_eq!(first.fencing_number(), 1);
        let refused = acquire(&memory, "second", noon).err().unwrap();
        assert_eq!(
            Failure::kind_of(&refused),
            Some(FailureKind::Held),
            "{refused}"
        );
        assert!(refused.to_string().contains("run first"), "{refused}");
        let mut locks = memory.paths();
        locks.retain(|path| path.starts_with(LOCKS));
        assert_eq!(locks, ["_locks/0000000001.json"], "the probe is removed");
        drop(first);
        let second = acquire(&memory, "second", noon).unwrap();
        assert_eq!(second.fencing_number(), 2);
    }

    #[test]
    fn a_dead_run_holds_the_lease_until_it_expires() {
        let memory = Memory::new("results");
        assert!(commit_log::append(&memory.store, &died_at_noon(1), false).unwrap());
        let refused = acquire(&memory, "early", a_minute_later_less_a_second);
        assert_eq!(
            Failure::kind_of(&refused.err().unwrap()),
            Some(FailureKind::Held)
        );
        let taken = acquire(&memory, "late", a_minute_later).unwrap();
        assert_eq!(taken.fencing_number(), 2);
    }

    #[test]
    fn a_heartbeat_counts_for_a_lease_before_and_after_it() {
        let mut holder = Holder {
            fencing_number: 1,
            owner: owner("a"),
            acquired_at: noon(),
            heartbeat_at: noon(),
            released_at: None,
        };
        for (now, is_live) in [
            ("2026-03-15T11:58:59Z", false),
            ("2026-03-15T11:59:00Z", true),
            ("2026-03-15T12:00:59Z", true),
            ("2026-03-15T12:01:00Z", false),
        ] {
            assert_eq!(holder.is_live(instant(now)), is_live, "{now}");
        }
        holder.released_at = Some(noon());
        assert!(!holder.is_live(noon()));
    }

    #[test]
    fn a_run_that_was_overtaken_cannot_renew() {
        let memory = Memory::new("results");
        let lease = acquire(&memory, "slow", noon).unwrap();
        assert!(lease.renew().unwrap());
        assert!(commit_log::append(&memory.store, &died_at_noon(2), false).unwrap());
        assert!(!lease.renew().unwrap());
    }

    #[test]
    fn unlock_ends_an_expired_lease_and_no_other() {
        let memory = Memory::new("results");
        assert!(unlock(&memory.store, noon()).unwrap().is_none());
        commit_log::append(&memory.store, &died_at_noon(1), false).unwrap();
        let early = unlock(&memory.store, a_minute_later_less_a_second());
        assert_eq!(
            Failure::kind_of(&early.unwrap_err()),
            Some(FailureKind::Held)
        );
        let ended = unlock(&memory.store, a_minute_later()).unwrap().unwrap();
        assert_eq!(ended.owner.run_id, "dead");
        assert!(unlock(&memory.store, a_minute_later()).unwrap().is_none());
        // The next run does not wait, even with a clock that is behind.
        assert_eq!(acquire(&memory, "next", noon).unwrap().fencing_number(), 2);
    }

    #[test]
    fn a_lost_log_does_not_bring_numbers_of_manifests_back() {
        let memory = Memory::new("results");
        memory.put_manifest(&manifest(march(14), 7));
        assert_eq!(acquire(&memory, "next", noon).unwrap().fencing_number(), 8);
    }

    #[test]
    fn older_lease_files_are_removed_and_the_released_one_says_when() {
        let memory = Memory::new("results");
        drop(acquire(&memory, "first", noon).unwrap());
        drop(acquire(&memory, "second", noon).unwrap());
        let locks: Vec<String> = memory.paths();
        let locks: Vec<&str> = locks
            .iter()
            .filter(|path| path.starts_with(LOCKS))
            .map(String::as_str)
            .collect();
        assert_eq!(locks, ["_locks/0000000002.json"]);
        let head = commit_log::read_head(&memory.store).unwrap();
        let holder = read_holder(&memory.store, head.as_ref()).unwrap().unwrap();
        assert_eq!(
            (holder.owner.run_id.as_str(), holder.released_at),
            ("second", Some(noon()))
        );
    }
}
