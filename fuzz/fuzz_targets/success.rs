//! `_SUCCESS` of a valid folder: any bytes.

#![no_main]

use std::sync::LazyLock;

use campaign_etl::contracts::SUCCESS_FILE;
use campaign_etl::contracts::datasets::{DATASETS, SHOPS};
use campaign_etl::exports::defect::Defect;
use campaign_etl_fuzz::{Day, FILE, seeds, survive};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

static DAY: LazyLock<Day> = LazyLock::new(Day::new);

fuzz_target!(init: write_seeds(), |data: &[u8]| {
    survive(|| drop(read(data)));
});

fn read(mark: &[u8]) -> Vec<Defect> {
    DAY.put(&SHOPS, SUCCESS_FILE, mark);
    DAY.read(&SHOPS)
}

/// The two forms of `_SUCCESS`.
fn write_seeds() {
    let position = DATASETS
        .iter()
        .position(|dataset| dataset.name == SHOPS.name)
        .unwrap();
    let file =
        json!({"name": FILE, "size_bytes": DAY.files[position].len(), "row_count": seeds::ROWS});
    for (name, mark) in [
        ("empty", String::new()),
        ("list", json!({"files": [file]}).to_string()),
    ] {
        assert_eq!(read(mark.as_bytes()), [], "{name}");
        seeds::put("success", name, mark.as_bytes());
    }
}
