//! Progress of a command on stderr: a bar, lines or logs.
//!
//! A terminal gets a bar, other outputs get one line per stage.

use std::io::Write;

use indicatif::{ProgressBar, ProgressStyle};

use crate::redact::redact;

/// The form of progress on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// One changing line on a terminal.
    Bar,
    /// One line per stage.
    Lines,
    /// Only structured logs.
    Logs,
    Quiet,
}

/// Shows stages, warnings, and the number of finished days of a range.
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

    /// Reports the begin or the end of a stage of a day, in one line.
    pub fn stage(&self, day: chrono::NaiveDate, stage: &str, text: &str) {
        tracing::info!(%day, stage, "{text}");
        match self.display {
            Display::Bar => self
                .bar
                .set_message(redact(&format!("{day} {stage}: {text}")).into_owned()),
            Display::Lines => say(&format!("{day} {stage}: {text}")),
            Display::Logs | Display::Quiet => {}
        }
    }

    /// Prints a line that stays when the bar changes.
    pub fn line(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }

    /// Prints a warning. The command continues.
    pub fn warn(&self, text: &str) {
        tracing::warn!("{text}");
        if self.display != Display::Logs {
            self.line(&format!("warning: {text}"));
        }
    }

    /// Prints the error of a day. The other days continue.
    pub fn failed(&self, text: &str) {
        tracing::error!("{text}");
        if self.display != Display::Logs {
            self.line(&format!("error: {text}"));
        }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Prints one line on stderr. A failure (a full disk, a closed pipe) does not stop the work.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", redact(line));
}
