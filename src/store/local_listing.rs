//! Folders of a local disk, listed with every entry in them.
//!
//! `object_store` lists a folder only if every name in it can be the path of an object: one stray
//! name makes the whole folder unreadable. Here a stray is an entry like any other, and the caller
//! decides.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use chrono::DateTime;

use super::entry::{Entry, Listing, Stray, StrayKind};

/// The content of a folder. A folder that does not exist is empty.
pub(super) fn list(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in entries_of(folder)? {
        add(&entry?, &mut listing)?;
    }
    // After the entries: the time is not older than any of them.
    let folder = fs::metadata(folder).and_then(|folder| folder.modified());
    listing.changed_at = folder.ok().map(DateTime::from);
    listing.sort();
    Ok(listing)
}

/// The names of the folders directly in a folder, sorted; their content is not read. Names that no
/// object can have are left out.
pub(super) fn list_folders(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in entries_of(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(name) = name.to_str().filter(|name| is_object_name(name))
            && fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir())
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Whether a path in `root` is a link to one of the folders above it.
pub(super) fn is_link_to_above(root: &Path, path: &str) -> bool {
    let path = root.join(path);
    if !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()) {
        return false;
    }
    let above = path.ancestors().skip(1);
    let mut above = above.take_while(|folder| folder.starts_with(root));
    let is_in = |target: &Path, folder: &Path| {
        let folder = fs::canonicalize(folder);
        folder.is_ok_and(|folder| folder.starts_with(target))
    };
    fs::canonicalize(&path).is_ok_and(|target| above.any(|folder| is_in(&target, folder)))
}

/// Files directly in a folder that `object_store` has not finished; they have no version.
pub(super) fn list_half_written(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    for entry in entries_of(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_unfinished(&name) {
            let metadata = entry.metadata()?;
            found.push(Entry {
                name,
                size_bytes: metadata.len(),
                version: String::new(),
                modified_at: metadata.modified()?.into(),
            });
        }
    }
    Ok(found)
}

/// The entries of a folder; none where there is no folder.
fn entries_of(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<DirEntry>>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        entries => Some(entries?),
    };
    Ok(entries.into_iter().flatten())
}

/// Every file below a folder, at any depth, with its path below that folder. Strays are left out.
pub(super) fn list_below(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(below) = folders.pop() {
        let listing = list(&folder.join(&below))?;
        files.extend(listing.objects.into_iter().map(|entry| Entry {
            name: join(&below, &entry.name),
            ..entry
        }));
        let strays = listing.strays.iter();
        folders.extend(
            strays
                .filter(|stray| stray.kind == StrayKind::Folder)
                .map(|stray| join(&below, &stray.name)),
        );
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

fn add(entry: &DirEntry, listing: &mut Listing) -> io::Result<()> {
    let name = entry.file_name();
    let kind = match name.to_str().filter(|name| is_object_name(name)) {
        None => Some(StrayKind::Name),
        Some(plain) => match metadata_of(&entry.path())? {
            Found::Removed => None,
            Found::BrokenLink => Some(StrayKind::BrokenLink),
            Found::Entry(metadata) if metadata.is_file() => {
                listing.objects.push(object(plain, &metadata)?);
                None
            }
            Found::Entry(metadata) if !metadata.is_dir() => Some(StrayKind::Special),
            Found::Entry(_) => may_hold_files(&entry.path())?.then_some(StrayKind::Folder),
        },
    };
    listing.strays.extend(kind.map(|kind| Stray {
        name: show(&name),
        kind,
    }));
    Ok(())
}

enum Found {
    Entry(Metadata),
    BrokenLink,
    /// Since it was listed.
    Removed,
}

/// The metadata of a file or folder, or of the one that a link points to.
fn metadata_of(path: &Path) -> io::Result<Found> {
    let error = match fs::metadata(path) {
        Ok(metadata) => return Ok(Found::Entry(metadata)),
        Err(error) => error,
    };
    let is_broken = matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    ) || error.raw_os_error() == Some(LINK_LOOP);
    match fs::symlink_metadata(path) {
        Err(_) => Ok(Found::Removed),
        Ok(_) if is_broken => Ok(Found::BrokenLink),
        Ok(_) => Err(error),
    }
}

/// Whether a folder has or may have entries. A folder that this account may not read may have some;
/// a folder removed meanwhile has none.
fn may_hold_files(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(true),
        Err(e) => Err(e),
    }
}

/// ELOOP: a link that ends in itself.
const LINK_LOOP: i32 = 40;

fn is_object_name(name: &str) -> bool {
    !is_unfinished(name) && !name.chars().any(|c| c.is_ascii_control())
}

/// `object_store` reserves names that end in `#` and digits for files that it has not finished.
fn is_unfinished(name: &str) -> bool {
    name.rsplit_once('#')
        .is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|b| b.is_ascii_digit()))
}

/// A name as it can be printed on one line.
fn show(name: &OsStr) -> String {
    let chunks = name.as_bytes().utf8_chunks();
    chunks
        .flat_map(|chunk| {
            let text = chunk.valid().chars().map(show_char);
            let bytes = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
            text.chain(bytes).collect::<Vec<_>>()
        })
        .collect()
}

fn show_char(c: char) -> String {
    if c.is_control() {
        c.escape_default().to_string()
    } else {
        c.to_string()
    }
}

fn object(name: &str, metadata: &Metadata) -> io::Result<Entry> {
    let modified = metadata.modified()?;
    let modified_us = modified
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_micros();
    Ok(Entry {
        name: name.to_owned(),
        size_bytes: metadata.len(),
        version: format!("{:x}-{modified_us:x}-{:x}", metadata.ino(), metadata.len()),
        modified_at: modified.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_listed_with_everything_in_it() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "b.parquet",
            "000001_0",
            ".a.crc",
            "a\nb",
            "half#12",
            "half#",
        ] {
            fs::write(dir.path().join(name), "12").unwrap();
        }
        fs::write(dir.path().join(OsStr::from_bytes(b"_\xff")), "").unwrap();
        fs::create_dir_all(dir.path().join("hour=00/minute=00")).unwrap();
        fs::create_dir(dir.path().join("empty")).unwrap();
        symlink("nowhere", dir.path().join("gone")).unwrap();
        symlink("loop", dir.path().join("loop")).unwrap();
        symlink("b.parquet", dir.path().join("link")).unwrap();

        let listing = list(dir.path()).unwrap();
        let names: Vec<(&str, u64)> = listing
            .objects
            .iter()
            .map(|o| (o.name.as_str(), o.size_bytes))
            .collect();
        assert_eq!(
            names,
            [
                (".a.crc", 2),
                ("000001_0", 2),
                ("b.parquet", 2),
                ("half#", 2),
                ("link", 2)
            ]
        );
        let strays: Vec<(&str, StrayKind)> = listing
            .strays
            .iter()
            .map(|s| (s.name.as_str(), s.kind))
            .collect();
        let expected = [
            ("_\\xff", StrayKind::Name),
            ("a\\nb", StrayKind::Name),
            ("gone", StrayKind::BrokenLink),
            ("half#12", StrayKind::Name),
            ("hour=00", StrayKind::Folder),
            ("loop", StrayKind::BrokenLink),
        ];
        assert_eq!(strays, expected);
        assert!(
            list(&dir.path().join("nothing"))
                .unwrap()
                .objects
                .is_empty()
        );
        assert_eq!(list_folders(dir.path()).unwrap(), ["empty", "hour=00"]);
        // A link through a file is broken too.
        symlink("b.parquet/x", dir.path().join("through")).unwrap();
        let through = list(dir.path())
            .unwrap()
            .strays
            .into_iter()
            .find(|stray| stray.name == "through");
        assert_eq!(through.map(|stray| stray.kind), Some(StrayKind::BrokenLink));
    }

    #[test]
    fn a_link_to_a_folder_above_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("root/a/b")).unwrap();
        fs::create_dir_all(at("other/c")).unwrap();
        symlink("..", at("root/a/b/to_a")).unwrap();
        symlink(at("root"), at("root/a/to_root")).unwrap();
        symlink(dir.path(), at("root/outside")).unwrap();
        symlink(at("other"), at("root/other")).unwrap();
        symlink(at("root/other"), at("other/c/back")).unwrap();
        symlink("b", at("root/a/sibling")).unwrap();
        let found = [
            "a/b/to_a",
            "a/to_root",
            "outside",
            "other/c/back",
            "a",
            "other",
            "a/sibling",
            "nothing",
        ];
        let found = found.map(|path| is_link_to_above(&at("root"), path));
        assert_eq!(found, [true, true, true, true, false, false, false, false]);
    }

    #[test]
    fn files_below_a_folder_have_their_paths() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("dt=1/x")).unwrap();
        for name in ["dt=1/x/b", "dt=1/a", "dt=1/bad\tname", "c"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let names: Vec<String> = list_below(dir.path())
            .unwrap()
            .into_iter()
            .map(|entry| entry.name)
            .collect();
        assert_eq!(names, ["c", "dt=1/a", "dt=1/x/b"]);
    }
}
