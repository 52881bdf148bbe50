//! `completions`: the script that completes commands and flags in a shell.

use clap::CommandFactory;

use super::answer::Answer;
use crate::cli::{Cli, CompletionsArgs};

pub(super) fn completions(args: &CompletionsArgs) -> Answer {
    let (mut command, mut script) = (Cli::command(), Vec::new());
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    Answer::done(String::from_utf8_lossy(&script).into_owned())
}
