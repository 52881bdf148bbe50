//! The program's own JSON, as a later run finds it: any bytes are an error, or a record that is
//! written as it was read.

#![no_main]

use campaign_etl::catalog::commit_log::{Commit, CommittedFile, Owner, Record};
use campaign_etl::catalog::manifest::{
    Blocked, BlockedExports, FooterMark, Manifest, PublishedBenchmark, PublishedTable, Skipped,
    SkippedSum,
};
use campaign_etl::exports::quarantine::{Accounting, Example};
use campaign_etl::publish::lease::Holder;
use campaign_etl_fuzz::{seeds, survive};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(init: write_seeds(), |data: &[u8]| {
    survive(|| {
        check::<Manifest>(data);
        check::<Record>(data);
        check::<Holder>(data);
    });
});

fn write_seeds() {
    seeds::put("manifest", "full", &serde_json::to_vec(&full()).unwrap());
    seeds::put(
        "manifest",
        "record",
        &serde_json::to_vec(&record()).unwrap(),
    );
    let Record {
        number,
        owner,
        written_at,
        ..
    } = record();
    let holder = Holder {
        fencing_number: number,
        owner,
        acquired_at: written_at,
        heartbeat_at: written_at,
        released_at: Some(written_at),
    };
    seeds::put("manifest", "holder", &serde_json::to_vec(&holder).unwrap());
}

/// A commit record with something in every field.
fn record() -> Record {
    let text = || String::from("x");
    let file = || CommittedFile {
        path: text(),
        bytes: 1,
        sha256: text(),
    };
    let day = "2026-03-14".parse().unwrap();
    Record {
        number: 2,
        fencing_number: 1,
        owner: Owner {
            run_id: text(),
            host: text(),
            pid: 3,
            lease_seconds: 4,
        },
        written_at: "2026-03-15T09:00:00Z".parse().unwrap(),
        previous_commit: Some(1),
        commit: Some(Commit {
            day,
            staging: text(),
            files: vec![file()],
            removed: vec![file()],
            manifest: file(),
        }),
    }
}

fn check<Json: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(record) = serde_json::from_slice::<Json>(bytes) else {
        return;
    };
    let written = serde_json::to_string(&record).unwrap();
    let read: Json = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
}

/// A manifest with something in every field.
fn full() -> Manifest {
    let text = || String::from("x");
    let day = "2026-03-14".parse().unwrap();
    let footer = Some(FooterMark {
        bytes: 1,
        sha256: text(),
    });
    let published = PublishedTable {
        rows: 1,
        bytes: 2,
        sha256: text(),
        footer,
        inputs: text(),
        contract: Some(text()),
        commit_number: Some(5),
        run_id: text(),
    };
    let sum = SkippedSum {
        column: text(),
        shop_id: Some(7),
        inputs: text(),
    };
    let (column, value, key) = (Some(text()), Some(text()), Some(text()));
    let example = Example {
        reason: text(),
        column,
        mapped_from: Some(text()),
        value,
        file: text(),
        row_number: 1,
        key,
    };
    Manifest {
        rollup_inputs: Some(text()),
        first_campaign_day: Some(day),
        tables: [(text(), published)].into(),
        skipped: vec![
            Skipped {
                table: text(),
                day,
                columns: vec![text()],
                reason: text(),
                sum: None,
            },
            Skipped {
                table: text(),
                day,
                columns: vec![],
                reason: text(),
                sum: Some(sum),
            },
        ],
        blocked: Some(BlockedExports {
            compared_with: Some(text()),
            inputs: text(),
            reader: text(),
            exports: vec![Blocked {
                dataset: text(),
                day,
                reason: text(),
                remedy: text(),
            }],
        }),
        benchmark: Some(PublishedBenchmark {
            benchmark_day: day,
            fallback_reason: Some(text()),
        }),
        datasets: vec![Accounting {
            nulls: [(text(), 1)].into(),
            dataset: text(),
            rows_read: 3,
            rows_used: 1,
            rows_quarantined: 1,
            rows_out_of_scope: 1,
            reasons: [(text(), 1)].into(),
            examples: vec![example],
        }],
        ..Manifest::default()
    }
}
