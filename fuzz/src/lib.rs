//! What the targets share: a small valid marketplace in memory, its files as seeds, and what counts
//! as a finding.

mod limits;
pub mod seeds;

use std::path::Path;
use std::sync::Arc;

use campaign_etl::config::Config;
use campaign_etl::contracts::datasets::{CAMPAIGNS, DATASETS, SHOPS};
use campaign_etl::contracts::{Dataset, SUCCESS_FILE};
use campaign_etl::days::readiness::{Readiness, check_day};
use campaign_etl::exports::defect::Defect;
use campaign_etl::exports::read_day;
use campaign_etl::generate::World;
use campaign_etl::resources::Resources;
use campaign_etl::rollups::Rows;
use campaign_etl::stop::Stop;
use campaign_etl::store::Store;
use object_store::memory::InMemory;
use tokio::runtime::Runtime;

pub use limits::survive;

/// The file of every export folder.
pub const FILE: &str = "part-0.parquet";

/// One final day of exports in memory, any of which a target may replace.
pub struct Day {
    store: Store,
    config: Config,
    /// The valid file of each dataset, in the order of `DATASETS`.
    pub files: Vec<Vec<u8>>,
    // Last, so that the store is gone before what drives it.
    _runtime: Runtime,
}

impl Day {
    #[expect(clippy::new_without_default, reason = "it generates a marketplace")]
    pub fn new() -> Day {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let store = Store::new(
            Arc::new(InMemory::new()),
            "memory",
            runtime.handle().clone(),
        );
        let folder = tempfile::tempdir().unwrap();
        let world = world();
        campaign_etl::generate::generate(&world, folder.path(), &mut |_| ()).unwrap();
        let read = |dataset: &&Dataset| seeds::first_rows(&path(folder.path(), dataset, &world));
        let files: Vec<Vec<u8>> = DATASETS.iter().map(|d| seeds::plain(&read(d))).collect();
        let day = Day {
            store,
            config: Config::parse("").unwrap(),
            files,
            _runtime: runtime,
        };
        for (dataset, file) in DATASETS.iter().zip(&day.files) {
            day.put(dataset, FILE, file);
            day.put(dataset, SUCCESS_FILE, b"");
        }
        day
    }

    pub fn put(&self, dataset: &Dataset, name: &str, bytes: &[u8]) {
        let path = format!("{}/{name}", dataset.partition(world().first_day));
        self.store.write(&path, bytes.to_vec()).unwrap();
    }

    /// Reads the dataset, and those that decide what of it is in scope, as a run does: to the last
    /// row.
    ///
    /// The store cannot fail, so an error is a finding; so is a defect that does not name a file of
    /// the folder, and a row that is not accounted for.
    pub fn read(&self, fuzzed: &Dataset) -> Vec<Defect> {
        let ready = check_day(
            &self.store,
            world().first_day,
            &self.config,
            chrono::DateTime::default(),
        )
        .unwrap();
        let Readiness::Ready(exports) = ready else {
            panic!("every folder is final")
        };
        let wanted =
            |dataset: &Dataset| [fuzzed.name, SHOPS.name, CAMPAIGNS.name].contains(&dataset.name);
        // So little memory that rows are spilled and read in rounds.
        let resources = Resources {
            threads: 2,
            memory_bytes: 1 << 10,
            spill_folder: std::env::temp_dir(),
            spilled_bytes: Arc::default(),
            counts: Arc::default(),
            stop: Stop::default(),
        };
        let mut rows = Rows::new(&resources);
        let read = read_day(
            &self.store,
            &exports,
            &self.config,
            &resources,
            &wanted,
            &mut rows,
        )
        .unwrap();
        for (dataset, defect) in &read.defects {
            assert_eq!(dataset.name, fuzzed.name);
            if let Defect::Contract(issues) = defect {
                assert!(
                    !issues.is_empty() && issues.iter().all(|issue| !issue.file.is_empty()),
                    "{issues:?}"
                );
            }
        }
        for account in &read.accounts {
            assert_eq!(
                account.rows_read,
                account.rows_used + account.rows_quarantined + account.rows_out_of_scope,
                "{account:?}"
            );
        }
        read.defects.into_iter().map(|(_, defect)| defect).collect()
    }
}

/// A few shops on one day; only the first rows of it are used.
fn world() -> World {
    World {
        shops: 20,
        days: 1,
        rows_per_day: 400,
        seed: 7,
        first_day: "2026-03-01".parse().unwrap(),
        time_zone: "America/Los_Angeles".parse().unwrap(),
        awkward: false,
    }
}

fn path(folder: &Path, dataset: &Dataset, world: &World) -> std::path::PathBuf {
    folder.join(dataset.partition(world.first_day)).join(FILE)
}
