//! Helpers of unit tests: an in-memory store, days, instants, owners, manifests, exports, resources.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use object_store::memory::InMemory;
use tokio::runtime::{Builder, Runtime};

use crate::catalog::commit_log::Owner;
use crate::catalog::layout::{manifest_path, part_path, success_path};
use crate::catalog::manifest::{Manifest, PublishedTable};
use crate::contracts::Table;
use crate::contracts::arrow::empty;
use crate::contracts::datasets::DATASETS;
use crate::fingerprint::sha256;
use crate::publish::TableFile;
use crate::resources::Resources;
use crate::stop::Stop;
use crate::store::Store;

/// A store in memory, with the runtime that serves it.
pub(crate) struct Memory {
    pub store: Store,
    _runtime: Runtime,
}

impl Memory {
    pub(crate) fn new(location: &str) -> Memory {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let inner = Arc::new(InMemory::new());
        Memory {
            store: Store::new(inner, location, runtime.handle().clone()),
            _runtime: runtime,
        }
    }

    /// The paths of all objects, sorted.
    pub(crate) fn paths(&self) -> Vec<String> {
        let entries = self.store.list_all("").unwrap().into_iter();
        entries.map(|entry| entry.name).collect()
    }

    pub(crate) fn put(&self, path: &str, text: &str) {
        self.store
            .write(path, Bytes::from(text.to_owned()))
            .unwrap();
    }

    /// Marks an export of every dataset as final, without rows.
    pub(crate) fn export(&self, day: NaiveDate) {
        for dataset in DATASETS {
            self.put(&format!("{}/_SUCCESS", dataset.partition(day)), "");
        }
    }

    pub(crate) fn put_manifest(&self, manifest: &Manifest) {
        let path = manifest_path(manifest.day, manifest.commit_number);
        self.put(&path, &serde_json::to_string(manifest).unwrap());
    }

    /// Publishes a table of the manifest's day with `text` as its file.
    pub(crate) fn publish(&self, manifest: &mut Manifest, table: &Table, text: &str, inputs: &str) {
        self.put(&part_path(table, manifest.day), text);
        self.put(&success_path(table, manifest.day), "");
        let published = PublishedTable {
            rows: 0,
            bytes: text.len() as u64,
            sha256: sha256(text.as_bytes()),
            footer: None,
            inputs: inputs.into(),
            run_id: "before".into(),
            commit_number: None,
            contract: None,
        };
        manifest.tables.insert(table.name.into(), published);
    }
}

/// A day of March 2026.
pub(crate) fn march(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, day).unwrap()
}

pub(crate) fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn noon() -> DateTime<Utc> {
    instant("2026-03-15T12:00:00Z")
}

/// A run with a lease of a minute.
pub(crate) fn owner(run_id: &str) -> Owner {
    Owner {
        run_id: run_id.into(),
        host: "host".into(),
        pid: 1,
        lease_seconds: 60,
    }
}

/// So many threads, and no memory for anything that could be spilled.
pub(crate) fn resources(threads: usize) -> Resources {
    Resources {
        threads,
        memory_bytes: 0,
        spill_folder: std::env::temp_dir(),
        spilled_bytes: Default::default(),
        counts: Default::default(),
        stop: Default::default(),
    }
}

/// The file of a table without rows.
pub(crate) fn empty_file(table: &'static Table, day: NaiveDate) -> TableFile {
    let columns: Vec<_> = table.columns.iter().collect();
    let rows = empty(&columns).unwrap();
    TableFile::new(table, day, 1, &Stop::default(), &rows).unwrap()
}

/// A manifest of a day, with nothing published.
pub(crate) fn manifest(day: NaiveDate, commit_number: u64) -> Manifest {
    Manifest {
        day,
        commit_number,
        currency: "USD".into(),
        ..Manifest::default()
    }
}
