//! Values of tables as they are printed. The text comes from the table's own digits.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use crate::catalog::manifest::Manifest;
use crate::contracts::{Column, Kind};

/// A value of a table as it is printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The table's value as text; `None`: null.
    pub raw: Option<String>,
    pub text: String,
}

/// The currency of the results, and the zone of its days.
#[derive(Clone, Debug)]
pub(crate) struct Locale {
    /// ISO 4217.
    pub currency: String,
    /// The digits after the decimal point in this currency.
    decimals: usize,
    pub zone: Tz,
}

/// The text for null.
const NOT_AVAILABLE: &str = "not available";

const MINUS: char = '\u{2212}';
/// Keeps a number and its unit on one line.
const SPACE: char = '\u{a0}';

impl Locale {
    pub(crate) fn new(currency: &str, zone: Tz) -> Locale {
        let known = iso_currency::Currency::from_code(currency);
        // A currency without decimals, such as XAU, or an unknown one: the decimals of the tables.
        let decimals = known.and_then(|known| known.exponent());
        Locale {
            currency: currency.to_owned(),
            decimals: decimals.map_or(2, usize::from),
            zone,
        }
    }

    /// A value of a column.
    pub(crate) fn shown(&self, column: &Column, raw: Option<String>) -> Shown {
        self.of_unit(column.kind, column.unit, raw)
    }

    /// A value of a kind and unit. Benchmarks are doubles in the unit of their metric.
    pub(crate) fn of_unit(&self, kind: Kind, unit: &str, raw: Option<String>) -> Shown {
        let text = match &raw {
            None => NOT_AVAILABLE.to_owned(),
            Some(raw) => self.text(kind, unit, raw),
        };
        Shown { raw, text }
    }

    /// The same with the code of the currency, where it is money.
    pub(crate) fn with_code(&self, kind: Kind, unit: &str, raw: Option<String>) -> Shown {
        let shown = self.of_unit(kind, unit, raw);
        match (&shown.raw, unit.starts_with("money")) {
            (Some(_), true) => Shown {
                text: format!("{}{SPACE}{}", self.currency, shown.text),
                ..shown
            },
            _ => shown,
        }
    }

    fn text(&self, kind: Kind, unit: &str, raw: &str) -> String {
        match kind {
            Kind::Money => self.money(raw),
            Kind::Int64 | Kind::Int32 if unit.is_empty() => raw.to_owned(),
            Kind::Int64 | Kind::Int32 => grouped(raw),
            Kind::Double => {
                let Ok(value) = raw.parse::<f64>() else {
                    return raw.to_owned();
                };
                match unit {
                    _ if unit.starts_with("fraction") => percent(value * 100.0, 2),
                    _ if unit.starts_with("percent") => signed(percent(value, 1), value),
                    _ if unit.starts_with("money") => rounded(value, self.decimals),
                    "ratio" => rounded(value, 2),
                    _ if value.fract() == 0.0 => rounded(value, 0),
                    _ => rounded(value, 1),
                }
            }
            Kind::Boolean => match raw {
                "true" => "yes".to_owned(),
                _ => "no".to_owned(),
            },
            Kind::Instant => self.instant(raw),
            Kind::Date | Kind::Text => raw.to_owned(),
        }
    }

    /// An exact amount in the decimals of the currency. Digits that are not 0 are never left out.
    fn money(&self, raw: &str) -> String {
        let (whole, part) = raw.split_once('.').unwrap_or((raw, ""));
        let needed = part.trim_end_matches('0').len().max(self.decimals);
        match needed {
            0 => grouped(whole),
            _ => format!("{}.{part:0<needed$.needed$}", grouped(whole)),
        }
    }

    fn instant(&self, raw: &str) -> String {
        match DateTime::parse_from_rfc3339(raw) {
            Ok(at) => self.told(at.to_utc()),
            Err(_) => raw.to_owned(),
        }
    }

    /// When a day was published, and by which commit.
    pub(crate) fn published(&self, manifest: &Manifest) -> String {
        let at = self.instant(&manifest.finished_at);
        format!("{at}, commit {}", manifest.commit_number)
    }

    /// A time of day in the zone of the job.
    pub(crate) fn told(&self, at: DateTime<Utc>) -> String {
        let local = at.with_timezone(&self.zone);
        local.format("%Y-%m-%d %H:%M").to_string()
    }
}

/// A day as people say it: `Friday, 6 March 2026`.
pub(crate) fn long_day(day: NaiveDate) -> String {
    day.format("%A, %-d %B %Y").to_string()
}

/// Groups of three digits before the decimal point, and a minus as wide as a digit.
pub(crate) fn grouped(number: &str) -> String {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => (Some(MINUS), digits),
        None => (None, number),
    };
    let (whole, part) = match digits.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (digits, None),
    };
    let mut text: String = sign.into_iter().collect();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(part) = part {
        text.push('.');
        text.push_str(part);
    }
    text
}

fn rounded(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    // There is no negative zero for people.
    let is_zero = text.bytes().all(|byte| !(b'1'..=b'9').contains(&byte));
    grouped(if is_zero {
        text.trim_start_matches('-')
    } else {
        &text
    })
}

fn percent(value: f64, decimals: usize) -> String {
    format!("{}{SPACE}%", rounded(value, decimals))
}

/// With a plus where the value is above 0.
fn signed(text: String, value: f64) -> String {
    let is_zero = text.bytes().all(|byte| !(b'1'..=b'9').contains(&byte));
    match value > 0.0 && !is_zero {
        true => format!("+{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(currency: &str, kind: Kind, unit: &str, raw: &str) -> String {
        let locale = Locale::new(currency, chrono_tz::America::Los_Angeles);
        locale.of_unit(kind, unit, Some(raw.to_owned())).text
    }

    #[test]
    fn money_has_the_decimals_of_its_currency_and_loses_no_digit() {
        for (currency, raw, expected) in [
            ("USD", "2936.30", "2,936.30"),
            ("USD", "-1234567.05", "\u{2212}1,234,567.05"),
            ("USD", "0.00", "0.00"),
            ("JPY", "1234567.00", "1,234,567"),
            ("JPY", "12.50", "12.5"),
            ("KWD", "1000.25", "1,000.250"),
            ("QQQ", "100.00", "100.00"),
        ] {
            assert_eq!(
                text(currency, Kind::Money, "money", raw),
                expected,
                "{currency} {raw}"
            );
        }
    }

    #[test]
    fn counts_are_grouped_and_identifiers_are_not() {
        assert_eq!(text("USD", Kind::Int64, "orders", "1000"), "1,000");
        assert_eq!(text("USD", Kind::Int64, "orders", "999"), "999");
        assert_eq!(text("USD", Kind::Int64, "", "1000008"), "1000008");
    }

    #[test]
    fn shares_ratios_and_means_are_rounded() {
        for (unit, raw, expected) in [
            ("fraction (0.25 is 25 %)", "0.065123", "6.51\u{a0}%"),
            ("percent (25.0 is 25 %)", "-12.345", "\u{2212}12.3\u{a0}%"),
            ("percent (25.0 is 25 %)", "12.36", "+12.4\u{a0}%"),
            ("percent (25.0 is 25 %)", "-0.01", "0.0\u{a0}%"),
            ("ratio", "3.456", "3.46"),
            ("money per order", "1234.5", "1,234.50"),
            ("orders", "12.34", "12.3"),
            ("orders", "1200", "1,200"),
        ] {
            assert_eq!(
                text("USD", Kind::Double, unit, raw),
                expected,
                "{unit} {raw}"
            );
        }
    }

    #[test]
    fn null_is_said_to_be_not_available_and_never_0() {
        let locale = Locale::new("USD", chrono_tz::UTC);
        let shown = locale.of_unit(Kind::Money, "money", None);
        assert_eq!((shown.raw, &*shown.text), (None, "not available"));
        let shown = locale.with_code(Kind::Money, "money", None);
        assert_eq!(shown.text, "not available");
        let shown = locale.with_code(Kind::Money, "money", Some("1.00".into()));
        assert_eq!(shown.text, "USD\u{a0}1.00");
    }

    #[test]
    fn instants_are_shown_in_the_zone_of_the_job() {
        let shown = text("USD", Kind::Instant, "", "2026-03-14T07:30:00Z");
        assert_eq!(shown, "2026-03-14 00:30");
    }
}
