//! `man`: the manual pages.

use anyhow::Result;
use clap::CommandFactory;
use clap_mangen::Man;

use super::answer::Answer;
use crate::cli::{Cli, ManArgs};
use crate::messages;

/// The page of the program; with `--out`, a file for each command.
pub(super) fn man(args: &ManArgs) -> Result<Answer> {
    let Some(folder) = &args.out else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page)?;
        return Ok(Answer::done(String::from_utf8_lossy(&page).into_owned()));
    };
    let cannot = |why| messages::cannot_write(folder.display(), why);
    std::fs::create_dir_all(folder).map_err(cannot)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(cannot)?;
    Ok(Answer::done(format!(
        "{}: pages of all commands\n",
        folder.display()
    )))
}
