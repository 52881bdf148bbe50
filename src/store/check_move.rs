//! Checks before a commit that staged files can be moved into place in one step.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::open::Store;
use crate::messages;

impl Store {
    /// Checks that a file can be moved from one path to another in one step, as far as it can be
    /// seen beforehand. Only disks have such obstacles.
    ///
    /// # Errors
    /// `StoreFailed`, which names the obstacle: another file system, or another kind of entry where
    /// the file or its folder belongs.
    pub(crate) fn check_move(&self, from: &str, to: &str) -> Result<()> {
        let Some(root) = &self.local_root else {
            return Ok(());
        };
        if root.join(to).is_dir() {
            return Err(
                messages::in_the_way(self.show(to), "a folder where a file belongs").into(),
            );
        }
        let staging = self.nearest_folder(root, from)?;
        let folder = self.nearest_folder(root, to)?;
        if self.device_of(&staging, to)? != self.device_of(&folder, to)? {
            return Err(messages::other_file_system(folder.display(), staging.display()).into());
        }
        Ok(())
    }

    fn device_of(&self, folder: &Path, to: &str) -> Result<u64> {
        let found = fs::metadata(folder).map_err(|e| self.failed_to("read", to, &e))?;
        Ok(found.dev())
    }

    /// The folder in which a path is, or will be made.
    fn nearest_folder(&self, root: &Path, path: &str) -> Result<PathBuf> {
        for above in root
            .join(path)
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(root))
        {
            let obstacle = match fs::metadata(above) {
                Ok(found) if found.is_dir() => return Ok(above.into()),
                Ok(_) => "a file where a folder belongs",
                Err(e) if e.kind() == ErrorKind::NotADirectory => continue,
                Err(e) if e.kind() == ErrorKind::NotFound && !above.is_symlink() => continue,
                Err(e) if e.kind() == ErrorKind::NotFound => "a link to nothing",
                Err(e) => return Err(self.failed_to("read", path, &e)),
            };
            return Err(messages::in_the_way(above.display(), obstacle).into());
        }
        Ok(root.into())
    }
}
