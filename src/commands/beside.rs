//! A file that is written beside its place, so that nobody finds half of it under its name.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

/// The whole text in a file of another name in the folder of `path`, with these rights. It is removed,
/// unless it is given its name.
pub(super) fn written(path: &Path, text: &str, mode: u32) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}
