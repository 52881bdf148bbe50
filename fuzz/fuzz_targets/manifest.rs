//! The program's own JSON, as a later run finds it: any bytes are an error, or a record that is written as it was read.

#![no_main]

use campaign_etl::exports::quarantine::Accounting;
use campaign_etl::record::manifest::{Blocked, BlockedExports, Manifest, PublishedBenchmark, PublishedTable, Skipped};
use campaign_etl_fuzz::{seeds, survive};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(init: seeds::put("manifest", "full", &serde_json::to_vec(&full()).unwrap()), |data: &[u8]| {
    survive(|| check::<Manifest>(data));
});

fn check<Record: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(record) = serde_json::from_slice::<Record>(bytes) else { return };
    let written = serde_json::to_string(&record).unwrap();
    let read: Record = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
}

/// A manifest with something in every field.
fn full() -> Manifest {
    let text = || String::from("x");
    let day = "2026-03-14".parse().unwrap();
    Manifest {
        rollup_inputs: Some(text()),
        first_campaign_day: Some(day),
        tables: [(text(), PublishedTable { rows: 1, bytes: 2, sha256: text(), inputs: text(), run_id: text() })].into(),
        skipped: vec![Skipped { table: text(), day, columns: vec![text()], reason: text() }],
        blocked: Some(BlockedExports {
            inputs: text(),
            exports: vec![Blocked { dataset: text(), day, reason: text() }],
        }),
        benchmark: Some(PublishedBenchmark { benchmark_day: day, fallback_reason: Some(text()) }),
        datasets: vec![Accounting {
            dataset: text(),
            rows_read: 3,
            rows_used: 1,
            rows_quarantined: 1,
            rows_out_of_scope: 1,
            reasons: [(text(), 1)].into(),
        }],
        ..Manifest::default()
    }
}
