//! The machine: memory, the spill folder, open files.

use std::io::Write;
use std::path::Path;

use bytesize::ByteSize;
use rustix::process::{Resource, getrlimit};

use super::disk::{Disk, Medium};
use super::finding::{Check, Finding};
use super::given::{Machine, Setup};
use super::results::LEAST_FREE_BYTES;
use crate::config::Config;
use crate::store::local_path;

/// `streamed_bytes`: of the two large exports of a day, where the exports could be read.
pub(super) fn check(setup: &Setup, machine: &Machine, streamed_bytes: Option<u64>) -> [Finding; 3] {
    let Setup { config, resources } = setup;
    let needed = files_needed(resources.threads, connections(config));
    [
        judge_memory(
            resources.memory_bytes,
            machine.usable_memory_bytes,
            machine.memory_bytes,
        ),
        spill_folder(
            &resources.spill_folder,
            streamed_bytes.map(|bytes| spilled_bytes(bytes, resources.memory_bytes)),
        ),
        judge_open_files(getrlimit(Resource::Nofile).current, needed),
    ]
}

/// The limit leaves a fifth of the memory to the rest: sums, snapshots and tables are not bounded by
/// it (docs/performance.md), and the file cache needs some.
fn judge_memory(limit_bytes: u64, usable_bytes: u64, machine_bytes: u64) -> Finding {
    if usable_bytes == 0 {
        return Check::Memory.not_checked("the machine does not tell how much memory it has");
    }
    let of = if usable_bytes < machine_bytes {
        format!(
            "{} of the control group (the machine has {})",
            ByteSize(usable_bytes),
            ByteSize(machine_bytes)
        )
    } else {
        format!("{} of the machine", ByteSize(usable_bytes))
    };
    let text = format!("a limit of {} in {of}", ByteSize(limit_bytes));
    // In 128 bits: a limit may be any number.
    if u128::from(limit_bytes) * 5 > u128::from(usable_bytes) * 4 {
        let most = ByteSize(usable_bytes / 5 * 4);
        let remedy = format!("set memory_limit to {most} or less, or give the job more memory");
        return Check::Memory.warn(text, remedy);
    }
    Check::Memory.ok(text)
}

/// Bytes of packed rows for each byte of a large export, rounded up: a row takes 16 bytes packed and
/// 11.5 in its export (docs/scaling.md). Rows of one giant shop can take up to three times more
/// (docs/decisions/0007).
const PACKED_PER_EXPORTED: u64 = 2;

/// The bytes that a day may spill, about: its packed rows, less half of the memory limit, which holds
/// them.
fn spilled_bytes(streamed_bytes: u64, memory_bytes: u64) -> u64 {
    let packed = streamed_bytes.saturating_mul(PACKED_PER_EXPORTED);
    packed.saturating_sub(memory_bytes / 2)
}

fn spill_folder(folder: &Path, needed_bytes: Option<u64>) -> Finding {
    let shown = folder.display();
    let disk = try_to_spill(folder).and_then(|()| Disk::of(folder));
    match disk {
        Ok(disk) => judge_spill_folder(&shown.to_string(), &disk, needed_bytes),
        Err(error) => Check::SpillFolder.fail(
            format!("{shown}: {error}"),
            "name a folder that the job may write as spill_folder in the job file, or in TMPDIR",
        ),
    }
}

/// Writes a file without a name, as a run does.
fn try_to_spill(folder: &Path) -> std::io::Result<()> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&[0; 4096])
}

fn judge_spill_folder(folder: &str, disk: &Disk, needed_bytes: Option<u64>) -> Finding {
    let medium = match disk.medium {
        Medium::Disk => "",
        Medium::Memory => " (in memory: spilled rows save none)",
        Medium::Network => " (a network: every spilled row crosses it twice)",
    };
    let free = format!(
        "{folder}: {} free on {}{medium}",
        ByteSize(disk.free_bytes),
        disk.named()
    );
    let text = match needed_bytes {
        Some(0) => format!("{free}; the newest final day fits into the memory limit"),
        Some(bytes) => format!(
            "{free}; the newest final day spills about {}",
            ByteSize(bytes)
        ),
        None => free,
    };
    if disk.medium != Medium::Disk {
        let remedy = "name a folder on a local disk as spill_folder in the job file";
        return Check::SpillFolder.warn(text, remedy);
    }
    if disk.free_bytes < needed_bytes.unwrap_or(0).max(LEAST_FREE_BYTES) {
        let remedy = "make room, name another spill_folder, or raise memory_limit";
        return Check::SpillFolder.warn(text, remedy);
    }
    Check::SpillFolder.ok(text)
}

/// Open files beside those of threads and connections: standard streams, the runtime, logs, spilled
/// rows of each large export, sockets for names and credentials.
const OTHER_FILES: u64 = 64;

/// Files of one thread: it reads one export file and one published file, and writes one; a file that is
/// fetched ahead.
const FILES_PER_THREAD: u64 = 4;

fn files_needed(threads: usize, connections: u64) -> u64 {
    OTHER_FILES + FILES_PER_THREAD * threads as u64 + connections
}

/// The most connections to object stores at a time.
fn connections(config: &Config) -> u64 {
    let is_remote = |location: &&String| matches!(local_path(location), Ok(None));
    let stores = [&config.exports, &config.results];
    let remote = stores.into_iter().filter(is_remote).count();
    (remote * config.store_concurrency) as u64
}

/// `limit`: the soft limit of the process; `None`: no limit.
fn judge_open_files(limit: Option<u64>, needed: u64) -> Finding {
    let check = Check::OpenFiles;
    match limit {
        None => check.ok(format!("no limit; a run needs about {needed}")),
        Some(limit) if limit >= needed => {
            check.ok(format!("a limit of {limit}; a run needs about {needed}"))
        }
        Some(limit) => check.warn(
            format!("a limit of {limit}, but a run needs about {needed}"),
            format!("raise it with ulimit -n {needed} or LimitNOFILE=, or lower store.concurrency or --threads"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Outcome;
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_limit_above_four_fifths_of_the_memory_warns() {
        for (limit, usable, expected) in [
            (8 * GIB, 10 * GIB, Outcome::Ok),
            (8 * GIB + 1, 10 * GIB, Outcome::Warn),
            (5 * GIB, 10 * GIB, Outcome::Ok),
            (u64::MAX, 10 * GIB, Outcome::Warn),
            (GIB, 0, Outcome::NotChecked),
        ] {
            let found = judge_memory(limit, usable, 64 * GIB);
            assert_eq!(found.outcome, expected, "{limit}: {}", found.text);
        }
        let of_group = judge_memory(9 * GIB, 10 * GIB, 64 * GIB);
        assert_eq!(
            of_group.text,
            "a limit of 9.0 GiB in 10.0 GiB of the control group (the machine has 64.0 GiB)"
        );
        assert!(of_group.remedy.unwrap().contains("8.0 GiB or less"));
        assert_eq!(
            judge_memory(GIB, 2 * GIB, 2 * GIB).text,
            "a limit of 1.0 GiB in 2.0 GiB of the machine"
        );
    }

    #[test]
    fn a_day_spills_what_half_of_the_limit_does_not_hold() {
        // 6 GiB of exports are 12 GiB of packed rows; half of 4 GiB holds 2 of them.
        assert_eq!(spilled_bytes(6 * GIB, 4 * GIB), 10 * GIB);
        assert_eq!(spilled_bytes(GIB, 4 * GIB), 0);
    }

    #[test]
    fn a_spill_folder_has_room_and_is_on_a_local_disk() {
        let disk = |free_bytes, medium| Disk {
            kind: Some("tmpfs"),
            medium,
            free_bytes,
        };
        for (free, medium, needed, expected) in [
            (10 * GIB, Medium::Disk, Some(10 * GIB), Outcome::Ok),
            (10 * GIB - 1, Medium::Disk, Some(10 * GIB), Outcome::Warn),
            (GIB, Medium::Disk, Some(0), Outcome::Ok),
            (GIB - 1, Medium::Disk, Some(0), Outcome::Warn),
            (GIB, Medium::Disk, None, Outcome::Ok),
            (100 * GIB, Medium::Memory, Some(0), Outcome::Warn),
            (100 * GIB, Medium::Network, Some(0), Outcome::Warn),
        ] {
            let found = judge_spill_folder("/spill", &disk(free, medium), needed);
            assert_eq!(found.outcome, expected, "{free} {needed:?}: {}", found.text);
        }
    }

    #[test]
    fn open_files_are_compared_with_threads_and_connections() {
        // 64 + 4 * 16 + 2 * 32
        assert_eq!(files_needed(16, 64), 192);
        let outcome = |limit, needed| judge_open_files(limit, needed).outcome;
        assert_eq!(outcome(Some(192), 192), Outcome::Ok);
        assert_eq!(outcome(Some(191), 192), Outcome::Warn);
        assert_eq!(outcome(None, 192), Outcome::Ok);
        let job = |text: &str| connections(&Config::parse(text).unwrap());
        assert_eq!(job("exports = \"a\"\nresults = \"b\""), 0);
        assert_eq!(job("exports = \"s3://a\"\nresults = \"b\""), 32);
        let both = "exports = \"s3://a\"\nresults = \"gs://b\"\n[store]\nconcurrency = 100";
        assert_eq!(job(both), 200);
    }
}
