//! The kinds of store for results, and the conditions that every one of them must meet.
//!
//! An S3 server is among them where `CAMPAIGN_ETL_TEST_S3` names a folder in a bucket
//! (`s3://bucket/folder`), with its settings in the environment as for the program;
//! `tests/stores/run.sh` starts one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use bytes::Bytes;
use campaign_etl::catalog::commit_log::Owner;
use campaign_etl::publish::lease::Lease;
use campaign_etl::store::{Access, Creation, Store, StrayKind};
use object_store::memory::InMemory;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::faults::{Fault, Faults, Faulty};
use crate::kill::{Desk, scene};
use crate::scene::{DAYS, Objects, lasting};
use crate::world::Outcome;

/// A kind of store that the program's command line can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Disk,
    S3,
}

/// The kinds of store that this environment has.
pub fn kinds() -> Vec<Kind> {
    match std::env::var("CAMPAIGN_ETL_TEST_S3") {
        Ok(_) => vec![Kind::Disk, Kind::S3],
        Err(_) => vec![Kind::Disk],
    }
}

/// An empty folder for results.
pub struct Folder {
    pub location: String,
    pub store: Store,
    _disk: Option<TempDir>,
}

static FOLDERS: AtomicU32 = AtomicU32::new(0);

impl Folder {
    pub fn new(kind: Kind, runtime: &Runtime) -> Folder {
        let (location, disk) = match kind {
            Kind::Disk => {
                let folder = tempfile::tempdir().unwrap();
                (
                    folder.path().join("results").to_str().unwrap().to_owned(),
                    Some(folder),
                )
            }
            Kind::S3 => {
                let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
                let root = std::env::var("CAMPAIGN_ETL_TEST_S3").unwrap();
                (format!("{root}/{}-{number}", std::process::id()), None)
            }
        };
        let environment: Vec<(String, String)> = std::env::vars().collect();
        let store = Store::open(
            &location,
            Access::Write,
            &environment,
            runtime.handle().clone(),
        )
        .unwrap();
        Folder {
            location,
            store,
            _disk: disk,
        }
    }

    pub fn objects(&self) -> Objects {
        // A file that is moved away between the listing and the reading is left out.
        let entries = self.store.list_all("").unwrap().into_iter();
        entries
            .filter_map(|entry| Some((entry.name.clone(), self.store.read(&entry.name).unwrap()?)))
            .collect()
    }

    pub fn fill(&self, objects: &Objects) {
        for (path, bytes) in objects {
            self.store.write(path, bytes.clone()).unwrap();
        }
    }
}

fn names(store: &Store, folder: &str) -> Vec<String> {
    store
        .list_all(folder)
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect()
}

/// The conditions that the publish protocol relies on.
fn conforms(store: &Store) {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    // A missing object is no error.
    assert_eq!(
        (store.read("a/x").unwrap(), store.exists("a/x").unwrap()),
        (None, false)
    );
    assert!(names(store, "a").is_empty() && store.list_folders("a").unwrap().is_empty());
    store.remove("a/x").unwrap();
    store.remove_folder("a").unwrap();
    assert!(!store.rename("a/x", "a/y").unwrap());

    // A written object is read at once, and replaces an older one.
    store.write("a/x", bytes("1")).unwrap();
    store.write("a/x", bytes("22")).unwrap();
    store.write("a/b/y", bytes("3")).unwrap();
    assert_eq!(store.read("a/x").unwrap(), Some(bytes("22")));
    assert_eq!(names(store, "a"), ["b/y", "x"]);
    assert_eq!(store.list_folders("a").unwrap(), ["b"]);
    let listed = store.list_each(&["a".into(), "nothing".into()]).unwrap();
    let objects: Vec<(&str, u64)> = listed[0]
        .objects
        .iter()
        .map(|o| (o.name.as_str(), o.size_bytes))
        .collect();
    let strays: Vec<(&str, StrayKind)> = listed[0]
        .strays
        .iter()
        .map(|s| (s.name.as_str(), s.kind))
        .collect();
    assert_eq!(
        (objects, strays),
        (vec![("x", 2)], vec![("b", StrayKind::Folder)])
    );
    assert!(listed[1].objects.is_empty() && listed[1].strays.is_empty());

    // Folders of one folder are listed together as each by itself.
    let folders = ["d/dt=1", "d/dt=2", "d/dt=3", "d/dt=4"].map(str::to_owned);
    for (path, content) in [
        ("d/dt=0/early", "1"),
        ("d/dt=1/x", "22"),
        ("d/dt=1/_SUCCESS", ""),
        ("d/dt=2/below/y", "3"),
        ("d/dt=2/z", "4"),
        ("d/dt=3/empty", ""),
        ("d/dt=5/late", "5"),
        ("d/beside", "6"),
    ] {
        store.write(path, bytes(content)).unwrap();
    }
    let together = store.list_each(&folders).unwrap();
    for (folder, together) in folders.iter().zip(together) {
        let alone = store.list_each(std::slice::from_ref(folder)).unwrap();
        assert_eq!(
            format!("{together:?}"),
            format!("{:?}", alone[0]),
            "{folder}"
        );
        assert_eq!(together.objects.is_empty(), folder == "d/dt=4");
    }
    store.remove_folder("d").unwrap();

    // A version changes if and only if the content changes.
    let version = || store.list_all("a").unwrap()[1].version.clone();
    let before = version();
    assert_eq!(version(), before);
    store.write("a/x", bytes("44")).unwrap();
    assert_ne!(version(), before);

    // An object is created once; the second writer gets the first content.
    assert_eq!(
        store.create("a/c", bytes("first")).unwrap(),
        Creation::Created
    );
    assert_eq!(
        store.create("a/c", bytes("second")).unwrap(),
        Creation::Exists(bytes("first"))
    );
    assert_eq!(
        store.create("a/c", bytes("first")).unwrap(),
        Creation::Created,
        "one's own write, seen again"
    );

    // A moved object replaces the target, and its old path is empty.
    assert!(store.rename("a/b/y", "a/x").unwrap());
    assert_eq!(
        (store.read("a/x").unwrap(), store.exists("a/b/y").unwrap()),
        (Some(bytes("3")), false)
    );
    assert!(!store.rename("a/b/y", "a/x").unwrap());
    assert_eq!(
        store.read("a/x").unwrap(),
        Some(bytes("3")),
        "nothing to move leaves what is there"
    );
    store.write_empty("a/_SUCCESS").unwrap();
    store.write_empty("a/_SUCCESS").unwrap();
    assert_eq!(store.read("a/_SUCCESS").unwrap(), Some(Bytes::new()));

    store.remove("a/c").unwrap();
    assert_eq!(names(store, "a"), ["_SUCCESS", "x"]);
    store.remove_folder("a").unwrap();
    assert!(names(store, "a").is_empty());
    // `a` is not a prefix of the folder `ab`.
    store.write("a/x", bytes("1")).unwrap();
    store.write("ab/x", bytes("1")).unwrap();
    store.remove_folder("a").unwrap();
    assert_eq!((names(store, "a").len(), names(store, "ab").len()), (0, 1));
    store.remove_folder("ab").unwrap();
}

/// Of many writers that create the same object at once, one succeeds.
fn lets_one_win(store: &Store) {
    for round in 0..8 {
        let path = format!("race/{round}");
        let created =
            |i: u32| store.create(&path, Bytes::from(format!("{i}"))).unwrap() == Creation::Created;
        let wins: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|i| scope.spawn(move || usize::from(created(i))))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(wins, 1, "round {round}");
    }
    store.remove_folder("race").unwrap();
}

#[test]
fn every_store_conforms() {
    let runtime = Runtime::new().unwrap();
    let memory = Store::new(
        Arc::new(InMemory::new()),
        "memory",
        runtime.handle().clone(),
    );
    conforms(&memory);
    lets_one_win(&memory);
    let mut tried = vec!["memory".to_owned()];
    for kind in kinds() {
        let folder = Folder::new(kind, &runtime);
        conforms(&folder.store);
        lets_one_win(&folder.store);
        tried.push(format!("{kind:?}"));
    }
    println!("stores that conform: {}", tried.join(", "));
}

/// A creation whose answer is lost is settled by its effect; one without effect is tried again.
#[test]
fn a_creation_is_settled_by_reading_back() {
    let runtime = Runtime::new().unwrap();
    for after_effect in [false, true] {
        let faults = Faults::new(Some(Fault {
            call: 1,
            after_effect,
            for_good: false,
        }));
        let faulty = Faulty {
            inner: Arc::new(InMemory::new()),
            faults,
        };
        let store = Store::new(Arc::new(faulty), "memory", runtime.handle().clone());
        let (mine, other) = (Bytes::from_static(b"mine"), Bytes::from_static(b"other"));
        assert_eq!(
            store.create("x", mine.clone()).unwrap(),
            Creation::Created,
            "{after_effect}"
        );
        assert_eq!(store.create("x", other).unwrap(), Creation::Exists(mine));
    }
}

/// A proxy in front of the server answers one request in seven with 503, in turn before and after
/// the server did the work.
#[test]
fn a_server_that_answers_503_after_it_did_the_work_changes_nothing() {
    let Ok(flaky) = std::env::var("CAMPAIGN_ETL_TEST_S3_FLAKY") else {
        return;
    };
    let runtime = Runtime::new().unwrap();
    let desk = Desk::new();
    let before = scene(&desk, Kind::S3, &runtime);
    let command = format!("run --day {}", DAYS[2]);
    let (undisturbed, disturbed) = (
        Folder::new(Kind::S3, &runtime),
        Folder::new(Kind::S3, &runtime),
    );
    undisturbed.fill(&before);
    disturbed.fill(&before);
    assert_eq!(desk.etl(&command, &undisturbed).code, 0);
    let ended = Outcome::of(
        desk.command(&command, &disturbed)
            .env("AWS_ENDPOINT", flaky)
            .output()
            .unwrap(),
    );
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let (expected, found) = (undisturbed.objects(), disturbed.objects());
    assert!(lasting(&found) == lasting(&expected));
    let bookkeeping = |objects: &Objects| -> Vec<String> {
        objects
            .keys()
            .filter(|path| path.starts_with("_"))
            .cloned()
            .collect()
    };
    assert_eq!(
        bookkeeping(&found),
        bookkeeping(&expected),
        "no record was written twice, nothing is left over"
    );
    println!("S3 with answers that are lost: as undisturbed");
}

/// A store that overwrites where it should refuse, as some S3 lookalikes do.
mod unconditional {
    use std::fmt;
    use std::sync::Arc;

    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::path::Path;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
        PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    };

    #[derive(Debug)]
    pub struct Unconditional(pub Arc<dyn ObjectStore>);

    impl fmt::Display for Unconditional {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{} that ignores conditions", self.0)
        }
    }

    #[async_trait]
    impl ObjectStore for Unconditional {
        async fn put_opts(
            &self,
            location: &Path,
            payload: PutPayload,
            options: PutOptions,
        ) -> Result<PutResult> {
            self.0
                .put_opts(
                    location,
                    payload,
                    PutOptions {
                        mode: PutMode::Overwrite,
                        ..options
                    },
                )
                .await
        }
        async fn put_multipart_opts(
            &self,
            _: &Path,
            _: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            unreachable!("the program uploads every file in one piece")
        }
        async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
            self.0.get_opts(location, options).await
        }
        fn delete_stream(
            &self,
            locations: BoxStream<'static, Result<Path>>,
        ) -> BoxStream<'static, Result<Path>> {
            self.0.delete_stream(locations)
        }
        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.0.list(prefix)
        }
        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }
        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }
}

#[test]
fn a_store_that_ignores_conditions_is_refused_unless_a_single_writer_is_promised() {
    let runtime = Runtime::new().unwrap();
    let store = Store::new(
        Arc::new(unconditional::Unconditional(Arc::new(InMemory::new()))),
        "s3://lookalike/results",
        runtime.handle().clone(),
    );
    let owner = Owner {
        run_id: "one".into(),
        host: "host".into(),
        pid: 1,
        lease_seconds: 60,
    };
    let acquire = |single_writer| -> Result<u64> {
        Ok(
            Lease::acquire(&store, &owner, single_writer, chrono::Utc::now)?
                .0
                .fencing_number(),
        )
    };
    let refused = acquire(false).unwrap_err();
    assert_eq!(campaign_etl::failure::exit_code_of(&refused) as u8, 78);
    let says = refused.to_string();
    assert!(
        says.contains("s3://lookalike/results") && says.contains("single_writer = true"),
        "{says}"
    );
    assert!(
        names(&store, "_locks").is_empty() && names(&store, "_runs").is_empty(),
        "nothing was written"
    );
    assert_eq!((acquire(true).unwrap(), acquire(true).unwrap()), (1, 2));
}
