//! The answer of a command: the text for stdout and the exit code.

use anyhow::Result;

use crate::cli::{Cli, Format, StrictnessArgs};
use crate::exit_code::ExitCode;
use crate::pipeline::job::Job;
use crate::report::documents::Document;
use crate::report::run::Strictness;

/// The answer of a command.
pub struct Answer {
    pub stdout: String,
    pub exit_code: ExitCode,
}

impl Answer {
    /// The answer of a successful command.
    pub(super) fn done(stdout: String) -> Answer {
        Answer {
            stdout,
            exit_code: ExitCode::Published,
        }
    }
}

/// A document for stdout, with the exit code.
pub(super) fn to_json(document: &impl serde::Serialize, exit_code: ExitCode) -> Result<String> {
    let document = Document::new(document, exit_code);
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// Prints the first or the last line of a command on stderr.
pub(super) fn announce(job: &Job, cli: &Cli, line: &str) {
    tracing::info!("{line}");
    if !cli.global.quiet && cli.global.log_format == Format::Text {
        job.progress.line(line);
    }
}

pub(super) fn strictness(args: &StrictnessArgs) -> Strictness {
    Strictness {
        strict: args.strict,
        accept_fallback: args.accept_fallback,
    }
}
