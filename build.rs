//! Identifies the code that reads exports, for verdicts about blocked days.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Everything that decides whether an export is accepted: its reader, the row rules, and the
/// versions of the libraries that decode it.
const READER: [&str; 4] = [
    "src/untrusted_parquet",
    "src/exports",
    "src/contracts",
    "Cargo.lock",
];

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    for path in READER {
        println!("cargo:rerun-if-changed={path}");
        collect(Path::new(path), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.hash(&mut hasher);
        fs::read(&file)?.hash(&mut hasher);
    }
    println!(
        "cargo:rustc-env=CAMPAIGN_ETL_READER={:016x}",
        hasher.finish()
    );
    Ok(())
}

/// The files at and below a path.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}
