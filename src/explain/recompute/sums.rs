//! Exact sums by column name, and the one division that makes a double.

use std::collections::BTreeMap;

/// Values by column name: money in cents, everything else in its unit. `None`: not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums(BTreeMap<&'static str, Option<i128>>);

impl Sums {
    pub(super) fn set(&mut self, column: &'static str, value: Option<i128>) {
        self.0.insert(column, value);
    }

    /// `None` also where the column was never set.
    pub(super) fn get(&self, column: &str) -> Option<i128> {
        self.0.get(column).copied().flatten()
    }

    /// Adds a day; a day on which a value is not known is left out of its sum.
    pub(super) fn add(&mut self, day: &Sums) {
        for (column, value) in &day.0 {
            let sum = self.0.entry(column).or_insert(None);
            if let Some(value) = value {
                *sum = Some(sum.unwrap_or(0) + value);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, Option<i128>)> {
        self.0.iter().map(|(column, value)| (*column, *value))
    }

    /// The ratios that have one formula in every table.
    pub(super) fn ratio(&self, column: &str) -> Option<f64> {
        let of = |top: &str, bottom: &str| ratio(self.get(top), self.get(bottom));
        match column {
            // Cents by orders, in whole money.
            "avg_order_value" => ratio(self.get("gmv"), self.get("orders").map(|n| n * 100)),
            "ctr" => of("product_clicks", "product_impressions"),
            "ctor" => of("sku_orders", "product_clicks"),
            "add_to_cart_rate" => of("unique_cart_adders", "unique_page_viewers"),
            "ad_roi" => of("ad_gross_revenue", "ad_spend"),
            // Cents by views, times 1000, in whole money.
            "gpm" => ratio(self.get("gmv").map(|cents| cents * 10), self.get("views")),
            _ => None,
        }
    }
}

/// The columns that [`Sums::ratio`] knows.
pub(super) const RATIOS: [&str; 6] = [
    "avg_order_value",
    "ctr",
    "ctor",
    "add_to_cart_rate",
    "ad_roi",
    "gpm",
];

/// `None` where a term is not known or the denominator is 0.
pub(super) fn ratio(top: Option<i128>, bottom: Option<i128>) -> Option<f64> {
    match (top?, bottom?) {
        (_, 0) => None,
        (top, bottom) => Some(top as f64 / bottom as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(values: &[(&'static str, Option<i128>)]) -> Sums {
        Sums(values.iter().copied().collect())
    }

    #[test]
    fn a_day_on_which_a_value_is_not_known_is_left_out() {
        let mut total = Sums::default();
        total.add(&sums(&[
            ("gmv", Some(150)),
            ("views", None),
            ("orders", None),
        ]));
        total.add(&sums(&[
            ("gmv", Some(50)),
            ("views", Some(0)),
            ("orders", None),
        ]));
        let expected = [("gmv", Some(200)), ("views", Some(0)), ("orders", None)];
        assert_eq!(total, sums(&expected));
    }

    #[test]
    fn ratios_are_those_worked_out_by_hand() {
        // 45.00 over 2 orders; 45.00 over 9000 views.
        let known = sums(&[
            ("gmv", Some(4500)),
            ("orders", Some(2)),
            ("views", Some(9000)),
        ]);
        assert_eq!(known.ratio("avg_order_value"), Some(22.5));
        assert_eq!(known.ratio("gpm"), Some(5.0));
        let nothing = sums(&[
            ("product_clicks", Some(0)),
            ("product_impressions", Some(0)),
        ]);
        assert_eq!(
            [nothing.ratio("ctr"), nothing.ratio("ad_roi")],
            [None, None]
        );
    }
}
