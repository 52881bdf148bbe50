//! What a person sees on stderr while a command works: a bar on a terminal, one line a stage
//! elsewhere, or logs.

use std::io::Write;

use indicatif::{ProgressBar, ProgressStyle};

use crate::redact::redact;

/// How to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// One changing line on a terminal.
    Bar,
    /// One line a stage.
    Lines,
    /// Only structured logs.
    Logs,
    Quiet,
}

/// Shows stages, warnings, and how many of a range of days are done.
pub struct Progress {
    display: Display,
    bar: ProgressBar,
}

impl Progress {
    pub fn new(display: Display) -> Progress {
        let bar = if display == Display::Bar {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        Progress { display, bar }
    }

    /// A range of days begins.
    pub fn start(&self, days: u64) {
        if days > 1 {
            self.bar.set_length(days);
            if let Ok(style) =
                ProgressStyle::with_template("{bar:30} {pos}/{len} days, {eta} left  {wide_msg}")
            {
                self.bar.set_style(style);
            }
        }
    }

    /// One day of the range is done.
    pub fn day_done(&self) {
        self.bar.inc(1);
    }

    /// A stage of a day begins or has ended; one line.
    pub fn stage(&self, day: chrono::NaiveDate, stage: &str, what: &str) {
        tracing::info!(%day, stage, "{what}");
        match self.display {
            Display::Bar => self
                .bar
                .set_message(redact(&format!("{day} {stage}: {what}")).into_owned()),
            Display::Lines => say(&format!("{day} {stage}: {what}")),
            Display::Logs | Display::Quiet => {}
        }
    }

    /// A line that stays.
    pub fn line(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }

    /// Something that a person should know, though the command goes on.
    pub fn warn(&self, what: &str) {
        tracing::warn!("{what}");
        if self.display != Display::Logs {
            self.line(&format!("warning: {what}"));
        }
    }

    /// A day that went wrong while others go on.
    pub fn failed(&self, what: &str) {
        tracing::error!("{what}");
        if self.display != Display::Logs {
            self.line(&format!("error: {what}"));
        }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// One line on stderr. That nobody can read it (a full disk, a closed pipe) does not stop the work.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", redact(line));
}
