//! The file system of a folder: its kind, and the free space.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{statfs, statvfs};

/// Where a file system keeps its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Disk,
    /// Files take memory, and are gone when the machine restarts.
    Memory,
    Network,
}

/// A file system.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk {
    /// `None`: the table of [`KINDS`] does not have it.
    pub kind: Option<&'static str>,
    pub medium: Medium,
    /// For a process without special rights.
    pub free_bytes: u64,
}

/// The numbers by which Linux names kinds of file systems. Source: statfs(2), `linux/magic.h`.
const KINDS: [(u32, &str, Medium); 14] = [
    (0x0102_1994, "tmpfs", Medium::Memory),
    (0x8584_58f6, "ramfs", Medium::Memory),
    (0x0000_6969, "NFS", Medium::Network),
    (0xff53_4d42, "CIFS", Medium::Network),
    (0xfe53_4d42, "SMB", Medium::Network),
    (0x00c3_6400, "Ceph", Medium::Network),
    (0x0000_ef53, "ext4", Medium::Disk),
    (0x5846_5342, "XFS", Medium::Disk),
    (0x9123_683e, "Btrfs", Medium::Disk),
    (0x2fc1_2fc1, "ZFS", Medium::Disk),
    (0x794c_7630, "overlay", Medium::Disk),
    (0x6573_5546, "FUSE", Medium::Disk),
    (0xf2f5_2010, "F2FS", Medium::Disk),
    (0x0000_4d44, "FAT", Medium::Disk),
];

impl Disk {
    /// # Errors
    /// When the folder does not exist or may not be entered.
    pub(super) fn of(folder: &Path) -> io::Result<Disk> {
        let space = statvfs(folder)?;
        let kind = kind(magic(folder)?);
        Ok(Disk {
            kind: kind.map(|(name, _)| name),
            medium: kind.map_or(Medium::Disk, |(_, medium)| medium),
            free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        })
    }

    /// Its kind for a person.
    pub(super) fn named(&self) -> &'static str {
        self.kind.unwrap_or("a file system of another kind")
    }
}

fn kind(magic: u32) -> Option<(&'static str, Medium)> {
    let found = KINDS.iter().find(|(number, ..)| *number == magic)?;
    Some((found.1, found.2))
}

/// The lower 32 bits: some machines extend the sign of the number.
#[cfg(target_os = "linux")]
fn magic(folder: &Path) -> io::Result<u32> {
    Ok(statfs(folder)?.f_type as u32)
}

/// Other systems have other numbers.
#[cfg(not(target_os = "linux"))]
fn magic(folder: &Path) -> io::Result<u32> {
    statfs(folder)?;
    Ok(0)
}

/// The folder itself, or the nearest one above it that exists.
pub(super) fn nearest_folder(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut above = absolute.ancestors();
    let found = above.find(|folder| folder.symlink_metadata().is_ok());
    found.unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_their_numbers() {
        assert_eq!(kind(0x0102_1994), Some(("tmpfs", Medium::Memory)));
        assert_eq!(kind(0x6969), Some(("NFS", Medium::Network)));
        assert_eq!(kind(0), None);
    }

    #[test]
    fn the_nearest_folder_above_one_that_does_not_exist_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().to_owned();
        assert_eq!(nearest_folder(&there.join("a/b")), there);
        assert_eq!(nearest_folder(&there), there);
        assert!(Disk::of(&there).unwrap().free_bytes > 0);
        assert!(Disk::of(&there.join("a")).is_err());
    }
}
