//! Files that are written beside their place, so that nobody finds half of one under its name.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

/// The rights of a file that nobody else has to read, less what the umask takes.
pub(super) const USUAL_RIGHTS: u32 = 0o666;

/// Gives `path` a new text: a reader finds the text before or the whole new one. A symbolic link stays a
/// link. What is no regular file, such as a device or a pipe, is written to and stays what it is.
pub(super) fn replace(path: &Path, text: &str, rights: Option<u32>) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => put(&fs::canonicalize(path)?, text, rights),
        Err(_) if !path.is_symlink() => put(path, text, rights),
        _ => fs::write(path, text),
    }
}

fn put(path: &Path, text: &str, rights: Option<u32>) -> io::Result<()> {
    let file = written(path, text, rights.unwrap_or(USUAL_RIGHTS))?;
    if let Some(rights) = rights {
        // Whatever the umask is.
        file.as_file()
            .set_permissions(Permissions::from_mode(rights))?;
    }
    file.persist(path)?;
    Ok(())
}

/// The whole text in a file of another name in the folder of `path`, with these rights less what the umask
/// takes. It is removed, unless it is given its name.
pub(super) fn written(path: &Path, text: &str, rights: u32) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(rights))
        .tempfile_in(folder);
    let mut file = file.map_err(without_the_name)?;
    file.write_all(text.as_bytes()).map_err(without_the_name)?;
    Ok(file)
}

/// The error without the name of the unfinished file.
fn without_the_name(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(_) => error,
        None => error.kind().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;
    use std::thread;

    use super::*;

    #[test]
    fn a_link_stays_a_link_and_a_pipe_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        symlink("file", path("link")).unwrap();
        // The link points nowhere at first.
        for text in ["one", "two"] {
            replace(&path("link"), text, Some(0o640)).unwrap();
            assert!(path("link").is_symlink());
            assert_eq!(fs::read_to_string(path("file")).unwrap(), text);
        }
        let rights = fs::metadata(path("file")).unwrap().permissions().mode();
        assert_eq!(rights & 0o777, 0o640);

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
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn an_error_does_not_name_the_unfinished_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = replace(&folder.path().join("none/file"), "", None).unwrap_err();
        assert_eq!(error.to_string(), "entity not found");
    }
}
