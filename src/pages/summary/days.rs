//! The days of the lookback and earlier gaps, with the command that mends each.

use anyhow::Result;
use chrono::{Days, NaiveDate};

use super::{Summary, heads, mark, section, text};
use crate::contracts::tables::SHOP_DAILY;
use crate::days::calendar::six_months_before;
use crate::pages::page::{Block, Cell, Row, Section, Table, Tone};
use crate::report::status::DayStatus;

impl Summary<'_> {
    pub(super) fn days_section(&self) -> Result<Section> {
        let row = |status: &DayStatus| Row {
            cells: vec![
                text(status.day.to_string()),
                mark(tone(status), &*status.state),
                text(status.missing.join(", ")),
                Cell::Commands(self.commands(status)),
            ],
            ..Row::default()
        };
        let mut table = Table {
            caption: "The day and its lookback".to_owned(),
            columns: heads(&[
                ("Day", false),
                ("State", false),
                ("Exports that are not final", false),
                ("Commands", false),
            ]),
            rows: self.night.days.iter().rev().map(row).collect(),
            ..Table::default()
        };
        table.rows.extend(self.gaps()?);
        Ok(section("days", "Days", vec![Block::Table(table)]))
    }

    /// The commands that mend a day, in order.
    fn commands(&self, status: &DayStatus) -> Vec<String> {
        let day = status.day;
        let options = &self.night.options;
        let run = match day == self.night.day {
            true => format!("campaign-etl run --day {day}{options}"),
            false => format!("campaign-etl backfill --from {day} --to {day}{options}"),
        };
        let has_failed_checks = status
            .checks
            .as_ref()
            .is_some_and(|checks| checks.checks.blocking().next().is_some());
        match tone(status) {
            Tone::Good => vec![],
            _ if status.is_blocked && has_failed_checks => vec![
                format!("campaign-etl status --day {day}{options}"),
                format!("{run} --accept-checks"),
            ],
            _ if status.is_blocked => {
                vec![format!("campaign-etl validate --day {day}{options}"), run]
            }
            _ => vec![run],
        }
    }

    /// Days between the first published day of six months and the lookback that are not published.
    fn gaps(&self) -> Result<Vec<Row>> {
        let Some(end) = self.night.days.first().map(|status| status.day) else {
            return Ok(vec![]);
        };
        let span = six_months_before(self.night.day);
        let published = self
            .night
            .facts
            .state
            .published_days(&SHOP_DAILY, span, end)?;
        let gaps = published
            .windows(2)
            .filter_map(|pair| gap(pair[0], pair[1]));
        let last = published.last().and_then(|last| gap(*last, end));
        let row = |(first, last): (NaiveDate, NaiveDate)| Row {
            cells: vec![
                text(match first == last {
                    true => first.to_string(),
                    false => format!("{first} to {last}"),
                }),
                mark(Tone::Warning, "not published"),
                text(""),
                Cell::Commands(vec![format!(
                    "campaign-etl backfill --from {first} --to {last}{}",
                    self.night.options
                )]),
            ],
            ..Row::default()
        };
        let mut rows: Vec<Row> = gaps.chain(last).map(row).collect();
        rows.reverse();
        Ok(rows)
    }
}

/// The first and the last day between two days; `None`: there is none.
fn gap(before: NaiveDate, after: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
    let (first, last) = (before + Days::new(1), after - Days::new(1));
    (first <= last).then_some((first, last))
}

fn tone(status: &DayStatus) -> Tone {
    let is_bad = status.is_blocked || !status.lost.is_empty();
    match status {
        _ if is_bad => Tone::Bad,
        DayStatus {
            is_published: true,
            is_stale: false,
            is_final: true,
            ..
        } => Tone::Good,
        _ => Tone::Warning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::march;

    #[test]
    fn a_gap_is_the_days_between_two_published_days() {
        assert_eq!(gap(march(3), march(4)), None);
        assert_eq!(gap(march(3), march(5)), Some((march(4), march(4))));
        assert_eq!(gap(march(3), march(8)), Some((march(4), march(7))));
    }
}
