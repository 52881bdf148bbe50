//! Decodes every row group of a day's `product_traffic` with the Parquet library, and does nothing else. The rollups have to decode
//! the same rows, so they cannot take less time (`benches/compare`, engine `decode`).
//!
//! `decode --exports DIR --day D [--threads N]`

#![allow(clippy::print_stdout)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Result;
use campaign_etl::contracts::datasets::PRODUCT_TRAFFIC;
use chrono::NaiveDate;
use clap::Parser;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};

#[derive(Parser)]
struct Args {
    #[arg(long)]
    exports: PathBuf,
    #[arg(long)]
    day: NaiveDate,
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
}

/// A file and one of its row groups.
type Group = (PathBuf, ArrowReaderMetadata, usize);

fn main() -> Result<()> {
    let args = Args::parse();
    let groups = groups(
        &args
            .exports
            .join(format!("{}/dt={}", PRODUCT_TRAFFIC.name, args.day)),
    )?;
    let next = AtomicUsize::new(0);
    let decode_some = || -> Result<usize> {
        let mut rows = 0;
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            rows += decode(group)?;
        }
        Ok(rows)
    };
    let rows: Result<usize> = thread::scope(|scope| {
        let threads: Vec<_> = (0..args.threads)
            .map(|_| scope.spawn(decode_some))
            .collect();
        let rows = threads
            .into_iter()
            .map(|thread| thread.join().expect("no thread panics"));
        rows.sum()
    });
    println!("{} rows", rows?);
    Ok(())
}

/// Those of every file but `_SUCCESS`.
fn groups(folder: &Path) -> Result<Vec<Group>> {
    let mut groups = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.ends_with("_SUCCESS") {
            continue;
        }
        let metadata = ArrowReaderMetadata::load(&File::open(&path)?, ArrowReaderOptions::new())?;
        let in_file = 0..metadata.metadata().num_row_groups();
        groups.extend(in_file.map(|group| (path.clone(), metadata.clone(), group)));
    }
    Ok(groups)
}

/// The number of its rows; all columns are decoded.
fn decode((path, metadata, group): &Group) -> Result<usize> {
    let builder =
        ParquetRecordBatchReaderBuilder::new_with_metadata(File::open(path)?, metadata.clone());
    let reader = builder
        .with_row_groups(vec![*group])
        .with_batch_size(8 * 1024)
        .build()?;
    let mut rows = 0;
    for batch in reader {
        rows += batch?.num_rows();
    }
    Ok(rows)
}
