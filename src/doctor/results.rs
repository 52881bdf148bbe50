//! The results: a probe object written, read, moved and removed; conditional writes; renames; room.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::Bytes;
use bytesize::ByteSize;
use chrono::NaiveDate;
use tempfile::TempDir;

use super::clock::{self, Stamps};
use super::disk::{Disk, Medium, nearest_folder};
use super::finding::{Check, Finding, told};
use super::given::{Machine, read_text};
use super::identity::identity;
use crate::catalog::commit_log::{self, Record};
use crate::catalog::layout::{manifest_path, part_path, probe_path, staging_of_day};
use crate::config::Config;
use crate::contracts::tables;
use crate::failure::{Failure, FailureKind};
use crate::messages;
use crate::publish::lease::check_conditions;
use crate::store::{Access, Store, local_path};

/// The checks of the results, each with its finding.
pub(super) fn check(config: &Config, machine: &Machine) -> Vec<Finding> {
    let account = identity(&config.results, machine.environment, read_text);
    let shown = format!("{} as {account}", config.results);
    let place = match Place::find(config, machine) {
        Ok(place) => place,
        Err(error) => return unreachable_results(&shown, &error, None),
    };
    let stamps = match probe(&place.store, machine) {
        Ok(stamps) => stamps,
        Err(error) => return unreachable_results(&shown, &error, place.folder.as_deref()),
    };
    let took = (stamps.answered_at - stamps.sent_at).num_milliseconds();
    let state = match &place.made_in {
        Some(above) => format!(
            "does not exist yet; a run creates it in {}",
            above.display()
        ),
        None => "an object was written, read, moved and removed".into(),
    };
    vec![
        Check::Results.ok(format!("{shown}: {state}; a write took {took} ms")),
        judge_conditions(
            &check_conditions(&place.store, &machine.probe_name),
            config.single_writer,
        ),
        renames(&place),
        clock::judge(&stamps, config.lease_seconds),
        free_space(&place, config),
    ]
}

/// The store that is probed.
struct Place {
    store: Store,
    /// The folder on a disk; `None`: an object store.
    folder: Option<PathBuf>,
    /// The existing folder in which a run makes the results; `None`: they exist.
    made_in: Option<PathBuf>,
    /// The folder that is probed in their place. It is removed when this is dropped.
    _stand_in: Option<TempDir>,
}

impl Place {
    /// The results, or on a disk, where they do not exist yet, a folder beside them.
    ///
    /// # Errors
    /// `ConfigWrong` for wrong settings; `StoreFailed` when a run could not create the folder.
    fn find(config: &Config, machine: &Machine) -> Result<Place> {
        let open = |location: &str| {
            let (environment, runtime) = (machine.environment, machine.runtime.clone());
            Store::open_impatient(location, Access::WriteIfThere, environment, runtime)
        };
        let Some(folder) = local_path(&config.results)? else {
            return Ok(Place {
                store: open(&config.results)?,
                folder: None,
                made_in: None,
                _stand_in: None,
            });
        };
        let nearest = nearest_folder(&folder);
        let obstacle = match nearest.is_symlink() {
            true => "a link to nothing",
            false => "a file where a folder belongs",
        };
        ensure!(
            nearest.is_dir(),
            messages::in_the_way(nearest.display(), obstacle)
        );
        if folder.exists() {
            return Ok(Place {
                store: open(&config.results)?,
                folder: Some(nearest),
                made_in: None,
                _stand_in: None,
            });
        }
        let stand_in = tempfile::Builder::new()
            .prefix(".campaign-etl-doctor-")
            .tempdir_in(&nearest);
        let stand_in = stand_in.map_err(|e| {
            let why = format!("no folder can be created in {}: {e}", nearest.display());
            messages::cannot_open(&config.results, why)
        })?;
        let mut store = open(&stand_in.path().to_string_lossy())?;
        store.location.clone_from(&config.results);
        Ok(Place {
            store,
            folder: Some(nearest.clone()),
            made_in: Some(nearest),
            _stand_in: Some(stand_in),
        })
    }
}

/// The findings where no object could be written. Room is measured even so, because a full disk may
/// be the reason.
fn unreachable_results(shown: &str, error: &anyhow::Error, folder: Option<&Path>) -> Vec<Finding> {
    let failed = Check::Results.failed(error);
    let text = format!("{shown}: {}", told(error).0);
    let why = "no object could be written to the results";
    let room = folder.and_then(|folder| Disk::of(folder).ok());
    vec![
        Finding { text, ..failed },
        Check::ConditionalWrites.not_checked(why),
        Check::Renames.not_checked(why),
        Check::Clock.not_checked(why),
        match room {
            Some(disk) => judge_room(&disk, None),
            None => Check::FreeSpace.not_checked(why),
        },
    ]
}

/// Writes, reads, moves and removes an object of its own, which nobody looks for.
///
/// # Errors
/// `StoreFailed`, which names the call.
fn probe(results: &Store, machine: &Machine) -> Result<Stamps> {
    let path = probe_path(&machine.probe_name);
    let moved = format!("{path}-moved");
    let probed = write_read_and_move(results, machine, &path, &moved);
    // Also after an error, because its call may have had its effect.
    let removed = results.remove_each(&[path, moved]);
    let stamps = probed?;
    removed.map(|()| stamps)
}

fn write_read_and_move(
    results: &Store,
    machine: &Machine,
    path: &str,
    moved: &str,
) -> Result<Stamps> {
    let content = Bytes::from(machine.probe_name.clone());
    let (sent_at, started) = ((machine.clock)(), Instant::now());
    results.write(path, content.clone())?;
    // A wall clock may be set meanwhile; the monotonic one may not.
    let answered_at = sent_at + started.elapsed();
    let other_bytes = || messages::other_bytes(results.show(path));
    let entry = results.find(path)?.ok_or_else(other_bytes)?;
    ensure!(
        results.read(path)?.as_ref() == Some(&content),
        other_bytes()
    );
    ensure!(results.rename(path, moved)?, other_bytes());
    Ok(Stamps {
        sent_at,
        stamped_at: entry.modified_at,
        answered_at,
    })
}

fn judge_conditions(probed: &Result<()>, single_writer: bool) -> Finding {
    let check = Check::ConditionalWrites;
    match probed {
        Ok(()) if single_writer => check.ok(
            "honoured: a second creation of an object was refused; single_writer = true is not needed",
        ),
        Ok(()) => check.ok("honoured: a second creation of an object was refused"),
        Err(error)
            if single_writer && Failure::kind_of(error) == Some(FailureKind::ConfigWrong) =>
        {
            check.ok("not honoured; single_writer = true: you make sure that one run writes at a time")
        }
        Err(error) => check.failed(error),
    }
}

/// Whether staged files can be moved to every table's folder in one step.
fn renames(place: &Place) -> Finding {
    let check = Check::Renames;
    if place.folder.is_none() {
        return check.ok("not needed: an object store copies staged files");
    }
    // Any day does: only the folders of tables may lie elsewhere.
    let day = NaiveDate::default();
    let staging = staging_of_day("doctor", day);
    let parts = tables::all().map(|table| part_path(table, day));
    let paths: Vec<String> = parts.chain([manifest_path(day, 1)]).collect();
    let moves = paths
        .iter()
        .map(|path| place.store.check_move(&format!("{staging}/{path}"), path));
    match moves.collect::<Result<()>>() {
        Ok(()) => check.ok("the staging area and all tables are on one file system"),
        Err(error) => {
            let (text, remedy) = told(&error);
            check.fail(text, remedy)
        }
    }
}

fn free_space(place: &Place, config: &Config) -> Finding {
    let Some(folder) = &place.folder else {
        return Check::FreeSpace.ok("not needed: an object store has no limit that can be asked");
    };
    let disk = match Disk::of(folder) {
        Ok(disk) => disk,
        Err(error) => {
            return Check::FreeSpace.fail(
                format!("{}: {error}", folder.display()),
                "check the disk of the results",
            );
        }
    };
    let commit_bytes = match &place.made_in {
        Some(_) => None,
        // A damaged record is told by `status` and by the run.
        None => newest_commit(&place.store)
            .ok()
            .flatten()
            .map(|it| bytes_of(&it)),
    };
    let days = u64::from(config.lookback_days) + 1;
    judge_room(&disk, commit_bytes.map(|bytes| bytes.saturating_mul(days)))
}

fn newest_commit(results: &Store) -> Result<Option<Record>> {
    let Some(head) = commit_log::read_head(results)? else {
        return Ok(None);
    };
    match head.newest_commit() {
        Some(number) if number != head.number => commit_log::read(results, number),
        Some(_) => Ok(Some(head)),
        None => Ok(None),
    }
}

fn bytes_of(record: &Record) -> u64 {
    let files = record.commit.iter().flat_map(|commit| &commit.files);
    files.map(|file| file.bytes).sum()
}

/// Less free space is a warning anyway: 1 GiB. The tables of a few thousand shops fit.
pub(super) const LEAST_FREE_BYTES: u64 = 1 << 30;

/// `night_bytes`: the files of a night that writes every day of the lookback anew, reckoned from the
/// newest commit. The files that it replaces stay as history, so it needs as much room.
fn judge_room(disk: &Disk, night_bytes: Option<u64>) -> Finding {
    let free = format!("{} free on {}", ByteSize(disk.free_bytes), disk.named());
    let text = match night_bytes {
        Some(bytes) => format!("{free}; a night writes up to about {}", ByteSize(bytes)),
        None => free,
    };
    let remedy = "make room, run vacuum, or keep less history (history.keep_days)";
    if night_bytes.is_some_and(|night| disk.free_bytes < night) {
        Check::FreeSpace.fail(text, remedy)
    } else if disk.medium == Medium::Memory {
        Check::FreeSpace.warn(
            format!("{text} (in memory: the results are gone when the machine restarts)"),
            "keep the results on a disk",
        )
    } else if disk.free_bytes < LEAST_FREE_BYTES {
        Check::FreeSpace.warn(text, remedy)
    } else {
        Check::FreeSpace.ok(text)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::super::finding::Outcome;
    use super::*;

    fn disk(free_bytes: u64, medium: Medium) -> Disk {
        Disk {
            kind: Some("ext4"),
            medium,
            free_bytes,
        }
    }

    #[test]
    fn room_is_compared_with_what_a_night_writes() {
        const GIB: u64 = 1 << 30;
        for (free, night, expected) in [
            (8 * GIB, Some(2 * GIB), Outcome::Ok),
            (2 * GIB, Some(2 * GIB), Outcome::Ok),
            (2 * GIB - 1, Some(2 * GIB), Outcome::Fail),
            (GIB, None, Outcome::Ok),
            (GIB - 1, None, Outcome::Warn),
            (GIB - 1, Some(1000), Outcome::Warn),
            (0, Some(1000), Outcome::Fail),
        ] {
            let found = judge_room(&disk(free, Medium::Disk), night);
            assert_eq!(found.outcome, expected, "{free} {night:?}: {}", found.text);
        }
        let found = judge_room(&disk(3 * GIB, Medium::Disk), Some(GIB / 2));
        assert_eq!(
            found.text,
            "3.0 GiB free on ext4; a night writes up to about 512.0 MiB"
        );
        let in_memory = |night| judge_room(&disk(8 * GIB, Medium::Memory), night).outcome;
        assert_eq!(in_memory(None), Outcome::Warn);
        assert_eq!(in_memory(Some(9 * GIB)), Outcome::Fail);
    }

    #[test]
    fn conditions_are_needed_unless_a_person_keeps_two_runs_apart() {
        let ignored = || Err(messages::no_conditions("s3://b").into());
        let unreachable = || Err(messages::cannot_open("s3://b", "gone").into());
        for (probed, single_writer, outcome, code) in [
            (Ok(()), false, Outcome::Ok, 0),
            (Ok(()), true, Outcome::Ok, 0),
            (ignored(), false, Outcome::Fail, 78),
            (ignored(), true, Outcome::Ok, 0),
            (unreachable(), false, Outcome::Fail, 74),
            (unreachable(), true, Outcome::Fail, 74),
            (Err(anyhow!("odd")), true, Outcome::Fail, 70),
        ] {
            let found = judge_conditions(&probed, single_writer);
            assert_eq!(
                (found.outcome, found.exit_code as u8),
                (outcome, code),
                "{}",
                found.text
            );
        }
    }
}
