//! Identifies the code that reads exports, for verdicts about blocked days, and the build, for `--version`.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

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
    println!("cargo:rustc-env=CAMPAIGN_ETL_COMMIT={}", commit());
    println!("cargo:rustc-env=CAMPAIGN_ETL_FEATURES={}", features());
    Ok(())
}

/// The commit of the source, for `--version`: of its repository, or, where it was copied without one,
/// of the variable that the build gives.
fn commit() -> String {
    println!("cargo:rerun-if-env-changed=CAMPAIGN_ETL_COMMIT");
    let git = |arguments: &[&str]| {
        // Another repository may lie around a copy of the source.
        Path::new(".git").exists().then_some(())?;
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.trim().to_owned())
    };
    // A changed source is another one than that of the commit.
    println!("cargo:rerun-if-changed=src");
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name]).unwrap_or_default();
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let given = env::var("CAMPAIGN_ETL_COMMIT").ok();
    let described = [
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
        "--exclude=*",
    ];
    let of_repository = || git(&described);
    given
        .or_else(of_repository)
        .filter(|commit| !commit.is_empty())
        .unwrap_or_else(|| "unknown".into())
}

/// The features of the build, for `--version`.
fn features() -> &'static str {
    match env::var_os("CARGO_FEATURE_SPARK") {
        Some(_) => "spark",
        None => "none",
    }
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
