//! The memory limit of the control groups that this process is in.
//!
//! A limit of a group holds for all groups in it. So a systemd unit is limited by its own `MemoryMax`, and by
//! that of its slice.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The least limit in bytes; `None`: no group has one.
///
/// `groups`: the text of `/proc/self/cgroup`. `root`: the mount point of the groups, `/sys/fs/cgroup`.
pub fn memory_limit_bytes(groups: &str, root: &Path) -> Option<u64> {
    let places = groups.lines().filter_map(|line| Place::of(line, root));
    places.filter_map(|place| place.least_bytes()).min()
}

/// The group of one hierarchy.
struct Place {
    folder: PathBuf,
    root: PathBuf,
    /// The file of a group that has its limit.
    file: &'static str,
}

impl Place {
    /// `0::/a/b` is a group of version 2, `4:memory:/a/b` one of version 1.
    fn of(line: &str, root: &Path) -> Option<Place> {
        let (_, line) = line.split_once(':')?;
        let (controllers, group) = line.split_once(':')?;
        let (root, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let names = Path::new(group).components().filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        });
        let mut folder = root.clone();
        folder.extend(names);
        Some(Place { folder, root, file })
    }

    /// Of the group and of those around it. A container may not see all of them.
    fn least_bytes(&self) -> Option<u64> {
        let groups = self.folder.ancestors();
        let groups = groups.take_while(|folder| folder.starts_with(&self.root));
        let limits = groups.filter_map(|folder| fs::read_to_string(folder.join(self.file)).ok());
        // `max`: no limit.
        limits.filter_map(|text| text.trim().parse().ok()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit of a process in `groups`, where these files have these texts.
    fn limit(groups: &str, files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join("cgroup").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        // Outside of the groups.
        fs::write(root.path().join("memory.max"), "1\n").unwrap();
        memory_limit_bytes(groups, &root.path().join("cgroup"))
    }

    #[test]
    fn the_least_limit_of_a_unit_and_its_slices_counts() {
        let unit = "0::/system.slice/campaign-etl.service\n";
        let of_unit = (
            "system.slice/campaign-etl.service/memory.max",
            "4294967296\n",
        );
        let of_slice = |text| ("system.slice/memory.max", text);
        let of_other = ("other.slice/memory.max", "1024\n");
        for (slice, expected) in [
            ("max\n", 4_294_967_296),
            ("8589934592\n", 4_294_967_296),
            ("2147483648\n", 2_147_483_648),
        ] {
            let files = [of_unit, of_slice(slice), of_other];
            assert_eq!(limit(unit, &files), Some(expected), "{slice}");
        }
        assert_eq!(limit(unit, &[of_slice("max\n"), of_other]), None);
    }

    #[test]
    fn a_container_sees_its_own_group_as_the_root() {
        let files = [("memory.max", "1073741824\n")];
        for group in ["0::/\n", "0::/../../kubepods/pod1\n", "0::/docker/1\n"] {
            assert_eq!(limit(group, &files), Some(1_073_741_824), "{group}");
        }
    }

    #[test]
    fn groups_of_version_1_are_read_too() {
        let groups = "9:name=systemd:/a\n4:cpu,memory:/a/b\n0::/\n";
        let files = [
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/a/memory.limit_in_bytes", "3221225472\n"),
            ("memory/a/b/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(limit(groups, &files), Some(3_221_225_472));
        assert_eq!(limit("", &files), None);
        assert_eq!(limit("no group", &files), None);
    }
}
