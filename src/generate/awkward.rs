//! Faults of real exports, for a world that is `awkward`; they repeat every two weeks.
//!
//! Rows that break a rule (below the budget), unlisted shops, missing and split exports.
//!
//! | day of the fortnight | case |
//! | --- | --- |
//! | every | one shop sells without being in `shops`; one has no category |
//! | 2 | an order line is exported twice |
//! | 4 | an order line has no buyer |
//! | 6 | an order line was paid a second before the day |
//! | 10 | `_SUCCESS` of `order_lines` lists its files |
//! | 11 | there is no `ad_hours` |
//! | 12 | `product_traffic` comes in two files |

use chrono::NaiveDate;

use super::calendar;
use super::market::Shop;
use super::world::World;
use crate::contracts::datasets::{AD_HOURS, ORDER_LINES, PRODUCT_TRAFFIC};

/// How one order line of a day is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderLineFault {
    RepeatedKey,
    NullBuyer,
    OutsideDay,
}

pub(super) fn order_line_fault(world: &World, day: NaiveDate) -> Option<OrderLineFault> {
    match day_of_fortnight(world, day)? {
        2 => Some(OrderLineFault::RepeatedKey),
        4 => Some(OrderLineFault::NullBuyer),
        6 => Some(OrderLineFault::OutsideDay),
        _ => None,
    }
}

pub(super) fn lists_files(world: &World, dataset: &str, day: NaiveDate) -> bool {
    dataset == ORDER_LINES.name && day_of_fortnight(world, day) == Some(10)
}

pub(super) fn is_missing(world: &World, dataset: &str, day: NaiveDate) -> bool {
    dataset == AD_HOURS.name && day_of_fortnight(world, day) == Some(11)
}

pub(super) fn is_split(world: &World, dataset: &str, day: NaiveDate) -> bool {
    dataset == PRODUCT_TRAFFIC.name && day_of_fortnight(world, day) == Some(12)
}

/// A shop with sales that the snapshot of shops does not hold.
pub(super) fn is_unlisted(world: &World, shop: &Shop) -> bool {
    world.awkward && shop.rank == world.shops / 5
}

pub(super) fn is_uncategorised(world: &World, shop: &Shop) -> bool {
    world.awkward && shop.rank == world.shops / 4
}

fn day_of_fortnight(world: &World, day: NaiveDate) -> Option<i64> {
    world
        .awkward
        .then(|| (calendar::number(day) - calendar::number(world.first_day)).rem_euclid(14) + 1)
}
