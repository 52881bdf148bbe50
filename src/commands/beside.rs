//! Files that are written under another name first, so that no reader finds half of one.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// The rights of a new file, before the umask.
pub(super) const USUAL_RIGHTS: u32 = 0o666;

/// Gives a file a new text: a reader finds the text before or the whole new one. A symbolic link stays a
/// link. A device or a pipe is written to in place. `rights`: `None`: those that the file has.
pub(super) fn replace(path: &Path, text: &str, rights: Option<u32>) -> io::Result<()> {
    // A shell may lead stdout to a file that other commands write to as well, so it is not replaced.
    if path == Path::new("/dev/stdout") {
        return io::stdout().write_all(text.as_bytes());
    }
    let path = &resolved(path)?;
    let found = fs::metadata(path).ok();
    if found.as_ref().is_some_and(|found| !found.is_file()) {
        return fs::write(path, text);
    }
    let rights = rights.or(found.map(|found| found.permissions().mode() & 0o777));
    let file = written(path, text, USUAL_RIGHTS)?;
    if let Some(rights) = rights {
        // The umask does not change them.
        file.as_file()
            .set_permissions(Permissions::from_mode(rights))?;
    }
    file.persist(path)?;
    Ok(())
}

/// The links that a path may go through, as for the kernel.
const MOST_LINKS: usize = 40;

/// The place that a symbolic link leads to, whether something is there or not.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        if !path.is_symlink() {
            return Ok(path);
        }
        let target = fs::read_link(&path)?;
        path = folder_of(&path).join(target);
    }
    Err(io::Error::other("too many symbolic links"))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The whole text in a file of another name in the folder of `path`, with these rights before the umask. It is
/// removed, unless it is given its name.
pub(super) fn written(path: &Path, text: &str, rights: u32) -> io::Result<NamedTempFile> {
    let file = tempfile::Builder::new()
        // A run that is killed leaves it behind.
        .prefix(".campaign-etl-")
        .permissions(Permissions::from_mode(rights))
        .tempfile_in(folder_of(path));
    let mut file = file.map_err(without_the_name)?;
    file.write_all(text.as_bytes()).map_err(without_the_name)?;
    Ok(file)
}

/// The error without the name of the unfinished file, which the library appends.
fn without_the_name(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path ") {
        Some((text, _)) => io::Error::new(error.kind(), text),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use std::thread;

    use super::*;

    fn rights(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_link_stays_a_link_and_a_pipe_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        symlink("other", path("link")).unwrap();
        symlink("file", path("other")).unwrap();
        // The link leads nowhere at first.
        for text in ["one", "two"] {
            replace(&path("link"), text, Some(0o646)).unwrap();
            assert!(path("link").is_symlink() && path("other").is_symlink());
            assert_eq!(fs::read_to_string(path("file")).unwrap(), text);
            assert_eq!(rights(&path("file")), 0o646);
        }
        symlink("around", path("around")).unwrap();
        assert!(replace(&path("around"), "", None).is_err());

        let pipe = path("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let reader = thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe).unwrap()
        });
        replace(&pipe, "through", None).unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(!fs::symlink_metadata(&pipe).unwrap().is_file());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
    }

    #[test]
    fn a_file_keeps_its_rights() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o601)).unwrap();
        replace(&path, "after", None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(rights(&path), 0o601);
    }

    #[test]
    fn an_error_does_not_name_the_unfinished_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = replace(&folder.path().join("none/file"), "", None).unwrap_err();
        assert_eq!(error.to_string(), "No such file or directory (os error 2)");
    }
}
