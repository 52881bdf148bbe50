//! `describe`: arguments and answer of the command; the contracts are described in `dictionary/`.

use anyhow::Result;

use super::answer::{Answer, to_json};
use crate::cli::{Cli, DescribeArgs, Format};
use crate::dictionary;
use crate::exit_code::ExitCode;

pub(super) fn describe(cli: &Cli, args: &DescribeArgs) -> Result<Answer> {
    let found = dictionary::describe(args.name.as_deref())?;
    let stdout = match cli.global.format {
        Format::Json => to_json(&found, ExitCode::Published)?,
        Format::Text => dictionary::page(&found),
    };
    Ok(Answer::done(stdout))
}
