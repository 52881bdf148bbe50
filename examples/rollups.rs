//! The rollups of one day alone, for comparison with other engines (`benches/compare`): exports in,
//! a file for each daily table out; no windows and no publishing.
//!
//! `rollups --exports DIR --day D --out DIR [--threads N] [--memory-limit SIZE] [--spill-folder
//! DIR]`

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use campaign_etl::config::{Config, bytes};
use campaign_etl::days::calendar::CivilDay;
use campaign_etl::days::readiness::{Readiness, check_day};
use campaign_etl::exports::read_day;
use campaign_etl::publish::TableFile;
use campaign_etl::resources::Resources;
use campaign_etl::rollups::{Rows, daily_tables};
use campaign_etl::stop::Stop;
use campaign_etl::store::{Access, Store};
use chrono::NaiveDate;
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
        stop: Stop::default(),
    };
    let store = Store::open(&args.exports, Access::Read, &[], runtime.handle().clone())?;
    let exports = match check_day(&store, args.day, &config.required)? {
        Readiness::Ready(exports) => exports,
        Readiness::NotYet(missing) => bail!("not final: {}", missing.join(", ")),
    };
    let started = Instant::now();
    let mut rows = Rows::new(&resources);
    let read = read_day(&store, &exports, &config, &resources, &|_| true, &mut rows)?;
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
    let sums = rows.into_sums().context("every required export was read")?;
    let read_and_added = started.elapsed();
    let civil = CivilDay::new(args.day, config.time_zone);
    fs::create_dir_all(&args.out)?;
    daily_tables(&sums, &read.snapshots, &civil, &resources, |table, rows| {
        let file = TableFile::new(table, args.day, &resources.stop, &rows)?;
        Ok(fs::write(
            args.out.join(format!("{}.parquet", table.name)),
            file.bytes,
        )?)
    })?;
    println!(
        "read and added up in {read_and_added:.2?}, with tables {:.2?}",
        started.elapsed()
    );
    Ok(())
}
