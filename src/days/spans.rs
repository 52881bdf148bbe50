//! Spans of the contracts as first and last day.

use chrono::NaiveDate;

use super::calendar::{six_months_before, trailing};
use crate::contracts::Span;

/// The first and the last day of a span, for a table of `day`. `first_campaign_day`: of the day's
/// oldest campaign; `None` where it has no campaign.
pub(crate) fn days_of(
    span: Span,
    day: NaiveDate,
    first_campaign_day: Option<NaiveDate>,
) -> (NaiveDate, NaiveDate) {
    let first = match span {
        Span::Day => day,
        Span::Period => first_campaign_day.unwrap_or(day),
        Span::Trailing(days) => trailing(day, days),
        Span::SixMonths => six_months_before(day),
    };
    (first, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_ends_with_the_day() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let (today, first) = (day("2026-03-10"), day("2026-03-02"));
        let of = |span| days_of(span, today, Some(first));
        assert_eq!(of(Span::Day), (today, today));
        assert_eq!(of(Span::Period), (first, today));
        assert_eq!(of(Span::Trailing(7)), (day("2026-03-04"), today));
        assert_eq!(of(Span::SixMonths), (day("2025-09-10"), today));
        assert_eq!(days_of(Span::Period, today, None), (today, today));
    }
}
