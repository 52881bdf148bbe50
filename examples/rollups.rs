//! The rollups of one day alone, for comparison with other engines (`benches/compare`): exports in,
//! a file for each daily table out; no windows and no publishing.
//!
//! `rollups --exports DIR --day D --out DIR [--threads N] [--memory-limit SIZE] [--spill-folder
//! DIR]`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use campaign_etl::config::{Config, bytes};
use campaign_etl::days::readiness::{Readiness, check_day, listed};
use campaign_etl::pipeline::engine::{Engine, LocalEngine};
use campaign_etl::resources::Resources;
use campaign_etl::stop::Stop;
use campaign_etl::store::{Access, Store};
use chrono::{NaiveDate, Utc};
use clap::Parser;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    exports: String,
    #[arg(long)]
    day: NaiveDate,
    #[arg(long)]
    out: PathBuf,
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    #[arg(long, default_value = "12GiB")]
    memory_limit: String,
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    spill_folder: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args.threads.into())
        .enable_all()
        .build()?;
    let config = Config::parse("")?;
    let resources = Resources {
        threads: args.threads.into(),
        memory_bytes: bytes("--memory-limit", &args.memory_limit)?,
        spill_folder: args.spill_folder,
        spilled_bytes: Arc::default(),
        counts: Arc::default(),
        stop: Stop::default(),
    };
    let store = Store::open(&args.exports, Access::Read, &[], runtime.handle().clone())?;
    let exports = match check_day(&store, args.day, &config, Utc::now())? {
        Readiness::Ready(exports) => exports,
        Readiness::NotYet(missing) => bail!("not final: {}", listed(&missing)),
    };
    let started = Instant::now();
    let engine = LocalEngine {
        exports: &store,
        config: &config,
    };
    let rolled_up = engine.roll_up(&exports, &resources)?;
    let elapsed = started.elapsed();
    let read = &rolled_up.read;
    ensure!(
        read.defects.is_empty(),
        "broken exports: {:?}",
        read.defects
    );
    for account in &read.accounts {
        println!(
            "{}: {} read, {} used, {} quarantined",
            account.dataset, account.rows_read, account.rows_used, account.rows_quarantined
        );
    }
    fs::create_dir_all(&args.out)?;
    for file in rolled_up.daily {
        let path = args.out.join(format!("{}.parquet", file.table.name));
        fs::write(path, file.bytes)?;
    }
    println!("rolled up in {elapsed:.2?}");
    Ok(())
}
