//! An object of a folder, and everything that a listing finds in one.

use chrono::{DateTime, Utc};
use object_store::ObjectMeta;

/// One object in a folder, or below it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name in the folder. In a listing at any depth: its path below the listed folder.
    pub name: String,
    pub size_bytes: u64,
    /// Changes when the object does; only compared, never shown.
    pub version: String,
    pub modified_at: DateTime<Utc>,
}

impl Entry {
    pub(super) fn new(name: String, meta: &ObjectMeta) -> Entry {
        let version = match &meta.e_tag {
            Some(tag) => tag.clone(),
            None => meta.last_modified.to_rfc3339(),
        };
        Entry {
            name,
            size_bytes: meta.size,
            version,
            modified_at: meta.last_modified,
        }
    }
}

/// The content of a folder, without that of the folders in it.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Sorted by name bytewise.
    pub objects: Vec<Entry>,
    /// Entries that are not objects, sorted by name. An empty folder is not listed.
    pub strays: Vec<Stray>,
    /// An object store met a name that cannot be a path: the only stray. It lists no other entry,
    /// so `objects` is empty, whether or not the folder has any.
    pub is_cut_short: bool,
    /// When an entry was last added to the folder, renamed in it or removed from it. `None`: an object store
    /// does not tell, or there is no folder.
    pub changed_at: Option<DateTime<Utc>>,
}

impl Listing {
    pub(super) fn sort(&mut self) {
        self.objects.sort_by(|a, b| a.name.cmp(&b.name));
        self.strays.sort();
    }
}

/// An entry of a folder that cannot be read as an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray {
    /// As it can be printed: control characters and bytes that are not UTF-8 are escaped.
    pub name: String,
    pub kind: StrayKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StrayKind {
    /// A folder that is not empty.
    Folder,
    /// A link to nothing, or to itself.
    BrokenLink,
    /// A name with control characters, not in UTF-8, or reserved for unfinished files.
    Name,
    /// A device, a pipe or a socket.
    Special,
}
