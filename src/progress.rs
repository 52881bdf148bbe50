//! Progress of a command on stderr: a bar, lines or logs.
//!
//! A terminal gets a bar. Other outputs get one line per stage, with its time, and a heartbeat while a
//! stage takes long.

use std::io::{self, Write};
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use bytesize::ByteSize;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use sysinfo::{Pid, ProcessesToUpdate, System};

use crate::failure::Parts;
use crate::redact::redact;
use crate::resources::Counts;
use crate::threads::Repeating;

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
    begun_at: Instant,
}

impl Progress {
    pub fn new(display: Display) -> Progress {
        let bar = if display == Display::Bar {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        Progress {
            display,
            bar,
            begun_at: Instant::now(),
        }
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

    /// Reports a stage of a day in one line; `took`: its time, where it was measured.
    pub fn stage(&self, day: chrono::NaiveDate, stage: &str, text: &str, took: Option<Duration>) {
        let elapsed_ms = took.map(|took| took.as_millis() as u64);
        tracing::info!(%day, stage, elapsed_ms, "{text}");
        let took = took.map(|took| format!(" ({})", shown(took)));
        let line = format!("{day} {stage}: {text}{}", took.unwrap_or_default());
        match self.display {
            Display::Bar => self.bar.set_message(redact(&line).into_owned()),
            Display::Lines => say(&line),
            Display::Logs | Display::Quiet => {}
        }
    }

    /// The time since the command began, such as `1.2 s`.
    pub fn took(&self) -> String {
        shown(self.begun_at.elapsed())
    }

    /// From now on, a line tells every `pause` how far the command is, until this is dropped. A
    /// terminal has its bar, and a quiet command says nothing.
    pub(crate) fn heartbeat(&self, counts: Arc<Counts>, pause: Duration) -> Option<Repeating> {
        let is_log = match self.display {
            Display::Lines => false,
            Display::Logs => true,
            Display::Bar | Display::Quiet => return None,
        };
        let (begun_at, mut system) = (self.begun_at, System::new());
        let mut before = Beat::default();
        let beat = move || {
            let now = Beat::now(&counts, begun_at.elapsed(), &mut system);
            let line = now.told(&before);
            before = now;
            match is_log {
                true => tracing::info!("{line}"),
                false => say(&line),
            }
            true
        };
        // Without a thread for it, the run has no heartbeat on stderr.
        Repeating::start("progress", pause, beat).ok()
    }

    /// Prints a line that stays when the bar changes.
    pub fn line(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }

    /// Prints a warning. The command continues.
    pub fn warn(&self, text: &str) {
        tracing::warn!("{text}");
        if self.display != Display::Logs {
            self.bar.suspend(|| say_as(Level::Warning, text));
        }
    }

    /// Prints the error of a day. The other days continue.
    pub fn failed(&self, parts: &Parts) {
        tracing::error!("{parts}");
        if self.display != Display::Logs {
            self.bar.suspend(|| say_as(Level::Error, &parts.told()));
        }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Prints one line on stderr. A failure (a full disk, a closed pipe) does not stop the work.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", redact(line));
}

/// The beginning of a line that people look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Warning,
    Error,
}

/// Prints a warning or an error on stderr, its first word in colour where stderr has colours.
pub fn say_as(level: Level, text: &str) {
    let (word, color) = match level {
        Level::Warning => ("warning:", AnsiColor::Yellow),
        Level::Error => ("error:", AnsiColor::Red),
    };
    let style = Style::new().bold().fg_color(Some(color.into()));
    let mut stderr = anstream::AutoStream::auto(io::stderr());
    let _ = writeln!(stderr, "{style}{word}{style:#} {}", redact(text));
}

/// How far a command is.
#[derive(Debug, Default)]
struct Beat {
    elapsed: Duration,
    rows_expected: u64,
    rows_read: u64,
    spilled_bytes: u64,
    /// Of the process.
    memory_bytes: u64,
}

impl Beat {
    fn now(counts: &Counts, elapsed: Duration, system: &mut System) -> Beat {
        let id = Pid::from_u32(process::id());
        system.refresh_processes(ProcessesToUpdate::Some(&[id]), false);
        Beat {
            elapsed,
            rows_expected: counts.rows_expected.load(Ordering::Relaxed),
            rows_read: counts.rows_read.load(Ordering::Relaxed),
            spilled_bytes: counts.spilled_bytes.load(Ordering::Relaxed),
            memory_bytes: system.process(id).map_or(0, |process| process.memory()),
        }
    }

    /// `at work for 1 min 30 s: 30,000,000 of 45,000,000 rows read, 1,000,000 rows/s, memory 1.1 GiB,
    /// spilled 0 B`
    fn told(&self, before: &Beat) -> String {
        let seconds = (self.elapsed.saturating_sub(before.elapsed)).as_secs_f64();
        let rows = self.rows_read.saturating_sub(before.rows_read);
        let per_second = if seconds > 0.0 {
            rows as f64 / seconds
        } else {
            0.0
        };
        format!(
            "at work for {}: {} of {} rows read, {} rows/s, memory {}, spilled {}",
            shown(self.elapsed),
            HumanCount(self.rows_read),
            HumanCount(self.rows_expected),
            HumanCount(per_second as u64),
            ByteSize(self.memory_bytes),
            ByteSize(self.spilled_bytes)
        )
    }
}

/// A duration for people: `0.3 s`, `2 min 5 s`, `1 h 2 min`.
fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_tells_the_rate_since_the_one_before() {
        let before = Beat {
            elapsed: Duration::from_secs(60),
            rows_read: 20_000_000,
            ..Beat::default()
        };
        let now = Beat {
            elapsed: Duration::from_secs(90),
            rows_expected: 45_000_000,
            rows_read: 50_000_000,
            spilled_bytes: 3 << 30,
            memory_bytes: 1 << 29,
        };
        assert_eq!(
            now.told(&before),
            "at work for 1 min 30 s: 50,000,000 of 45,000,000 rows read, 1,000,000 rows/s, memory 512.0 MiB, spilled 3.0 GiB"
        );
        let first = Beat::default();
        assert!(first.told(&first).contains("0 rows/s"));
    }

    #[test]
    fn durations_are_shown_in_two_units_at_most() {
        let of_ms = |ms| shown(Duration::from_millis(ms));
        let shown = [340, 59_900, 125_000, 3_720_000].map(of_ms);
        assert_eq!(shown, ["0.3 s", "59.9 s", "2 min 5 s", "1 h 2 min"]);
    }
}
