//! `docs`: prints a page of docs/ that is generated from the source.

use super::answer::Answer;
use crate::cli::{DocsArgs, DocsPage};
use crate::contracts::markdown;
use crate::dictionary::odcs;
use crate::messages;

pub(super) fn docs(args: &DocsArgs) -> Answer {
    let page = match args.page {
        DocsPage::Tables => markdown::page(),
        DocsPage::Messages => messages::page(),
        DocsPage::ResultsContract => odcs::results(),
        DocsPage::ExportsContract => odcs::exports(),
    };
    Answer::done(page)
}
