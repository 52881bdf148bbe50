//! The days of the lookback and before it, with the command that mends each.

use std::collections::BTreeSet;

use anyhow::Result;
use chrono::NaiveDate;

use super::{Summary, heads, mark, text};
use crate::days::calendar::six_months_before;
use crate::pages::page::{Block, Cell, Row, Table, Tone};
use crate::report::status::{DayStatus, OlderDays};
use crate::report::verdict::{Findings, is_fine};

impl Summary<'_> {
    pub(super) fn days(&self, found: &mut Findings) -> Result<Vec<Block>> {
        let of_lookback = self.night.days.iter().rev();
        let older = self.night.older.iter();
        let gaps = self.gaps();
        for gap in &gaps {
            found.warning(gap.told());
        }
        let rows = of_lookback
            .map(|status| self.day_row(status))
            .chain(older.chain(&gaps).map(|days| self.older_row(days)));
        Ok(vec![Block::Table(Table {
            caption: "The day, its lookback, and older days that need something".to_owned(),
            columns: heads(&[
                ("Day", false),
                ("State", false),
                ("Exports that are not final", false),
                ("Commands", false),
            ]),
            rows: rows.collect(),
            ..Table::default()
        })])
    }

    fn day_row(&self, status: &DayStatus) -> Row {
        Row {
            cells: vec![
                text(status.day.to_string()),
                mark(tone(status), &*status.state),
                text(status.missing.join(", ")),
                Cell::Commands(self.commands(status)),
            ],
            ..Row::default()
        }
    }

    fn older_row(&self, days: &OlderDays) -> Row {
        let (first, last) = (days.first(), days.last());
        Row {
            cells: vec![
                text(match days.days.len() {
                    1 => first.to_string(),
                    count => format!("{first} to {last} ({count} days)"),
                }),
                mark(Tone::Warning, &*days.state),
                text(""),
                Cell::Commands(vec![(
                    String::new(),
                    format!("{}{}", days.next(), self.night.options),
                )]),
            ],
            ..Row::default()
        }
    }

    /// The commands that mend a day, in order, each with what has to be done before.
    fn commands(&self, status: &DayStatus) -> Vec<(String, String)> {
        let (day, options) = (status.day, &self.night.options);
        let run = match day == self.night.day {
            true => format!("campaign-etl run --day {day}{options}"),
            false => format!("campaign-etl backfill --from {day} --to {day}{options}"),
        };
        let now = |command: String| (String::new(), command);
        let then = |when: &str, command: &str| (when.to_owned(), command.to_owned());
        match status {
            status if is_fine(status) => vec![],
            // The message about the manifest says what to do first.
            _ if self.night.facts.manifest(day).is_err() => vec![then("then:", &run)],
            DayStatus {
                is_blocked: true, ..
            } if self.is_blocked_by_checks(day) => vec![
                now(format!("campaign-etl status --day {day}{options}")),
                then(
                    "if the numbers are right:",
                    &format!("{run} --accept-checks"),
                ),
            ],
            DayStatus {
                is_blocked: true, ..
            } => vec![
                now(format!("campaign-etl validate --day {day}{options}")),
                then("when the export is mended:", &run),
            ],
            DayStatus { missing, .. } if !missing.is_empty() => {
                vec![then(
                    &format!("when {} is final:", missing.join(", ")),
                    &run,
                )]
            }
            _ => vec![now(run)],
        }
    }

    fn is_blocked_by_checks(&self, day: NaiveDate) -> bool {
        let manifest = self.night.facts.manifest(day).ok().flatten();
        let blocked = manifest
            .as_ref()
            .and_then(|manifest| manifest.blocked.as_ref());
        blocked.is_some_and(|blocked| blocked.compared_with.is_some())
    }

    /// Days without exports between the first known day of six months and the lookback.
    fn gaps(&self) -> Vec<OlderDays> {
        let Some(end) = self.night.days.first().map(|status| status.day) else {
            return vec![];
        };
        let first = six_months_before(self.night.day);
        let state = &self.night.facts.state;
        let mut known: BTreeSet<NaiveDate> = state.days().into_iter().collect();
        known.extend(self.night.older.iter().flat_map(|days| &days.days));
        known.retain(|day| (first..end).contains(day));
        known.insert(end);
        let known: Vec<NaiveDate> = known.into_iter().collect();
        let gap = |pair: &[NaiveDate]| {
            let days = pair[0].iter_days().skip(1).take_while(|day| *day < pair[1]);
            let days: Vec<NaiveDate> = days.collect();
            (!days.is_empty()).then(|| OlderDays {
                days,
                state: "not published, with exports that are not final".to_owned(),
                command: "status",
            })
        };
        known.windows(2).filter_map(gap).collect()
    }
}

fn tone(status: &DayStatus) -> Tone {
    match status {
        status if is_fine(status) => Tone::Good,
        DayStatus {
            is_blocked: true, ..
        } => Tone::Bad,
        DayStatus { lost, .. } if !lost.is_empty() => Tone::Bad,
        _ => Tone::Warning,
    }
}
