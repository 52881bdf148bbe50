//! Exact sums of named measures, decimals, and the one division that makes a double.

use std::collections::BTreeMap;

/// Values by column name: money in cents, everything else in units; `None` is unknown.
pub type Measures = BTreeMap<&'static str, Option<i128>>;

/// Adds a day's values; a day on which a value is unknown is left out of its sum.
pub fn add(total: &mut Measures, day: &Measures) {
    for (name, value) in day {
        let sum = total.entry(name).or_insert(None);
        *sum = match (*sum, *value) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
        };
    }
}

pub fn get(measures: &Measures, name: &str) -> Option<i128> {
    *measures
        .get(name)
        .unwrap_or_else(|| panic!("no measure {name}"))
}

/// A known value.
pub fn known(measures: &Measures, name: &str) -> i128 {
    get(measures, name).unwrap_or_else(|| panic!("{name} is unknown"))
}

/// `top / bottom`; unknown where either is, or where `bottom` is 0.
pub fn ratio(top: Option<i128>, bottom: Option<i128>) -> Option<f64> {
    match (top?, bottom?) {
        (_, 0) => None,
        (top, bottom) => Some(top as f64 / bottom as f64),
    }
}

pub fn times(value: Option<i128>, factor: i128) -> Option<i128> {
    value.map(|v| v * factor)
}

/// A decimal of the configuration, exactly: `top / bottom`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    pub top: i128,
    pub bottom: i128,
}

impl Decimal {
    pub fn parse(text: &str) -> Decimal {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        Decimal {
            top: format!("{whole}{part}").parse().unwrap(),
            bottom: 10_i128.pow(part.len() as u32),
        }
    }

    /// The least whole number that is not below `self * n`.
    pub fn ceil_of(self, n: i128) -> i128 {
        (self.top * n + self.bottom - 1) / self.bottom
    }
}

#[test]
fn numbers_are_those_worked_out_by_hand() {
    assert_eq!(ratio(Some(1), Some(4)), Some(0.25));
    assert_eq!(ratio(Some(1), Some(0)), None);
    assert_eq!(ratio(Some(1), None), None);
    assert_eq!(Decimal::parse("0.34").ceil_of(3), 2);
    assert_eq!(Decimal::parse("1.0").ceil_of(3), 3);
    assert_eq!(Decimal::parse("0.1").ceil_of(30), 3);
    let mut total = Measures::new();
    add(
        &mut total,
        &Measures::from([("a", Some(1)), ("b", None), ("c", None)]),
    );
    add(
        &mut total,
        &Measures::from([("a", Some(2)), ("b", Some(0)), ("c", None)]),
    );
    assert_eq!(
        total,
        Measures::from([("a", Some(3)), ("b", Some(0)), ("c", None)])
    );
}
