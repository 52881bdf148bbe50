//! `completions`: the script that completes commands and flags in a shell.

use clap::CommandFactory;

use super::answer::Answer;
use crate::cli::{Cli, CompletionsArgs};

pub(super) fn completions(args: &CompletionsArgs) -> Answer {
    let (mut command, mut script) = (Cli::command(), Vec::new());
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    let script = String::from_utf8_lossy(&script);
    // For bash, the library spells a hyphen of the program's name in two ways, and then finds no flag of a
    // command (https://github.com/clap-rs/clap/issues/6421).
    Answer::done(script.replace("campaign__subcmd__etl", "campaign__etl"))
}
