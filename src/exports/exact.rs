//! Decoded values cast to the contract's types; a value that does not fit exactly is an error.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Decimal256Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, Int64Array, PrimitiveArray, StringArray};
use arrow_schema::{DataType, TimeUnit};

use super::show::{show_day, show_instant};
use crate::contracts::arrow::{MONEY_MAX_CENTS, MONEY_SCALE};
use crate::contracts::{Column, Kind};

/// 0001-01-01 to 9999-12-31 in days since 1970-01-01: the dates that every reader of the results
/// can hold (the range of Spark, Python and SQL). With other dates, such as DuckDB's infinity, some
/// readers could not read the result tables.
const DAYS: RangeInclusive<i32> = -719_162..=2_932_896;
/// The instants of these days, in microseconds since 1970-01-01T00:00:00Z.
const INSTANTS_US: RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// A value that is not one of the contract's type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inexact {
    /// Its position in the array.
    pub(super) row: usize,
    pub(super) value: String,
}

/// Casts values to the form that a [`Batch`](super::batch::Batch) holds. Their type is one that the
/// contract check (`schema`) accepts.
pub(super) fn cast_column(column: &Column, array: &ArrayRef) -> Result<ArrayRef, Inexact> {
    let kind = column.kind;
    match (kind, array.data_type()) {
        (Kind::Int64 | Kind::Int32, _) => cast_whole(kind, array),
        (Kind::Instant, DataType::Timestamp(unit, _)) => cast_instants(*unit, array),
        (Kind::Money, DataType::Decimal128(precision, scale)) => {
            cast_money(*precision, *scale, array)
        }
        (Kind::Money, DataType::Decimal256(_, scale)) => cast_wide_money(*scale, array),
        (Kind::Date, _) => cast_days(array),
        (Kind::Text, _) if column.empty_is_null => Ok(null_where_empty(array)),
        _ => Ok(array.clone()),
    }
}

fn null_where_empty(texts: &ArrayRef) -> ArrayRef {
    let texts = texts.as_string::<i32>().iter();
    let known = texts.map(|text| text.filter(|text| !text.is_empty()));
    Arc::new(StringArray::from_iter(known))
}

fn cast_days(array: &ArrayRef) -> Result<ArrayRef, Inexact> {
    let days = array.as_primitive::<Date32Type>();
    let is_outside = |day: Option<i32>| day.is_some_and(|day| !DAYS.contains(&day));
    match days.iter().position(is_outside) {
        None => Ok(array.clone()),
        Some(row) => Err(Inexact {
            row,
            value: show_day(days.value(row)),
        }),
    }
}

pub(super) fn cast_whole(kind: Kind, array: &ArrayRef) -> Result<ArrayRef, Inexact> {
    match (kind, array.data_type()) {
        (_, DataType::Int8) => widened::<Int8Type>(array),
        (_, DataType::Int16) => widened::<Int16Type>(array),
        (_, DataType::Int32) => widened::<Int32Type>(array),
        (_, DataType::UInt8) => widened::<UInt8Type>(array),
        (_, DataType::UInt16) => widened::<UInt16Type>(array),
        (Kind::Int64, DataType::UInt32) => widened::<UInt32Type>(array),
        (_, DataType::UInt32) => within::<UInt32Type>(kind, array),
        (_, DataType::UInt64) => within::<UInt64Type>(kind, array),
        (Kind::Int64, _) => Ok(array.clone()),
        _ => within::<Int64Type>(kind, array),
    }
}

/// Whole numbers that 64 bits hold in any case.
fn widened<T: ArrowPrimitiveType>(array: &ArrayRef) -> Result<ArrayRef, Inexact>
where
    i64: From<T::Native>,
{
    Ok(Arc::new(
        array.as_primitive::<T>().unary::<_, Int64Type>(i64::from),
    ))
}

/// Whole numbers that may be outside the range of `kind`.
fn within<T: ArrowPrimitiveType>(kind: Kind, array: &ArrayRef) -> Result<ArrayRef, Inexact>
where
    T::Native: Display,
    i64: TryFrom<T::Native>,
{
    let fits = |value: &i64| kind == Kind::Int64 || i32::try_from(*value).is_ok();
    let cast = |value: T::Native| i64::try_from(value).ok().filter(fits);
    exact::<T, Int64Type>(array.as_primitive(), cast, |value| value.to_string())
}

/// Whole cents; an amount that `DECIMAL(18,2)` cannot hold exactly is an error.
fn cast_money(precision: u8, scale: i8, array: &ArrayRef) -> Result<ArrayRef, Inexact> {
    let array = array.as_primitive::<Decimal128Type>();
    if scale == MONEY_SCALE && precision <= 18 {
        return Ok(Arc::new(array.clone()));
    }
    let power = 10_i128.pow(u32::from(scale.abs_diff(MONEY_SCALE)));
    let in_cents = |value: i128| match scale < MONEY_SCALE {
        true => fitting(value.checked_mul(power)?),
        false if value % power == 0 => fitting(value / power),
        false => None,
    };
    exact::<Decimal128Type, Decimal128Type>(array, in_cents, |value| show_decimal(value, scale))
}

/// A decimal of more than 38 digits.
type Wide = <Decimal256Type as ArrowPrimitiveType>::Native;

/// The same for decimals of more than 38 digits.
fn cast_wide_money(scale: i8, array: &ArrayRef) -> Result<ArrayRef, Inexact> {
    let power = Wide::from_i128(10).wrapping_pow(u32::from(scale.abs_diff(MONEY_SCALE)));
    let in_cents = |value: Wide| match scale < MONEY_SCALE {
        true => fitting(value.checked_mul(power)?.to_i128()?),
        false if value.checked_rem(power)? == Wide::ZERO => {
            fitting(value.checked_div(power)?.to_i128()?)
        }
        false => None,
    };
    let array = array.as_primitive::<Decimal256Type>();
    exact::<Decimal256Type, Decimal128Type>(array, in_cents, |value| show_decimal(value, scale))
}

/// `None` for an amount that is too large.
pub(super) fn fitting(cents: i128) -> Option<i128> {
    (cents.unsigned_abs() <= MONEY_MAX_CENTS.unsigned_abs()).then_some(cents)
}

/// Microseconds since 1970-01-01T00:00:00Z; finer units are floored.
fn cast_instants(unit: TimeUnit, array: &ArrayRef) -> Result<ArrayRef, Inexact> {
    match unit {
        TimeUnit::Second => {
            scaled::<TimestampSecondType>(array, |value| value.checked_mul(1_000_000))
        }
        TimeUnit::Millisecond => {
            scaled::<TimestampMillisecondType>(array, |value| value.checked_mul(1_000))
        }
        TimeUnit::Microsecond => {
            let plain: Int64Array = array
                .as_primitive::<TimestampMicrosecondType>()
                .unary(|value| value);
            // Nearly always all are within these years, and this check is faster than the cast.
            match plain
                .values()
                .iter()
                .fold(true, |all, value| all & INSTANTS_US.contains(value))
            {
                true => Ok(Arc::new(plain)),
                false => scaled::<TimestampMicrosecondType>(array, Some),
            }
        }
        TimeUnit::Nanosecond => {
            scaled::<TimestampNanosecondType>(array, |value| Some(value.div_euclid(1_000)))
        }
    }
}

/// Instants of another unit; `in_us`: `None` where microseconds overflow.
fn scaled<T: ArrowPrimitiveType<Native = i64>>(
    array: &ArrayRef,
    in_us: impl Fn(i64) -> Option<i64> + Copy,
) -> Result<ArrayRef, Inexact> {
    let civil_us = |value| in_us(value).filter(|us| INSTANTS_US.contains(us));
    let shown = |value| show_instant(in_us(value).unwrap_or(value));
    exact::<T, Int64Type>(array.as_primitive(), civil_us, shown)
}

/// Converts each value; the error is the first value that cannot be converted. A value stored under
/// a null does not matter.
fn exact<From: ArrowPrimitiveType, To: ArrowPrimitiveType>(
    array: &PrimitiveArray<From>,
    convert: impl Fn(From::Native) -> Option<To::Native>,
    show: impl Fn(From::Native) -> String,
) -> Result<ArrayRef, Inexact> {
    let cast: PrimitiveArray<To> = array.unary_opt(convert);
    if cast.null_count() == array.null_count() {
        return Ok(Arc::new(cast));
    }
    let is_lost = |row: &usize| array.is_valid(*row) && cast.is_null(*row);
    let row = (0..array.len()).find(is_lost).unwrap_or_default();
    Err(Inexact {
        row,
        value: show(array.value(row)),
    })
}

/// A decimal number without trailing zeros.
fn show_decimal(unscaled: impl Display, scale: i8) -> String {
    let text = unscaled.to_string();
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text.as_str()), |digits| ("-", digits));
    let decimals = usize::from(scale.unsigned_abs());
    let digits = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals);
    let part = part.trim_end_matches('0');
    if part.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{part}")
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{
        Date32Array, Decimal128Array, Decimal256Array, TimestampMicrosecondArray, UInt64Array,
    };

    use super::*;
    use crate::contracts::datasets::DATASETS;

    fn column_of(kind: Kind) -> Column {
        Column::new("x", kind, "")
    }

    fn inexact(kind: Kind, array: impl Array + 'static) -> (usize, String) {
        let error = cast_column(&column_of(kind), &(Arc::new(array) as ArrayRef)).unwrap_err();
        (error.row, error.value)
    }

    fn wide(values: Vec<i128>, precision: u8, scale: i8) -> Decimal256Array {
        type Wide = <Decimal256Type as ArrowPrimitiveType>::Native;
        let values = values.into_iter().map(Wide::from_i128);
        Decimal256Array::from_iter_values(values)
            .with_precision_and_scale(precision, scale)
            .unwrap()
    }

    #[test]
    fn an_empty_text_is_null_only_where_the_column_says_so() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some(""), None]));
        let nulls = |column: &Column| cast_column(column, &texts).unwrap().null_count();
        let column = column_of(Kind::Text).null("unknown");
        assert_eq!((nulls(&column), nulls(&column.empty_is_null())), (1, 2));
    }

    /// Texts of the large datasets are dictionaries, which `null_where_empty` does not take.
    #[test]
    fn only_texts_of_small_datasets_are_null_where_they_are_empty() {
        for dataset in DATASETS {
            for column in dataset.columns.iter().filter(|column| column.empty_is_null) {
                let is_small = column.kind == Kind::Text && !dataset.is_streamed();
                assert!(is_small && column.null.is_some(), "{}", column.name);
            }
        }
    }

    #[test]
    fn money_of_any_scale_is_whole_cents_or_an_error() {
        let of = |values: Vec<i128>, precision, scale| {
            Decimal128Array::from(values)
                .with_precision_and_scale(precision, scale)
                .unwrap()
        };
        let cents = |array: ArrayRef| {
            let cast = cast_column(&column_of(Kind::Money), &array).unwrap();
            cast.as_primitive::<Decimal128Type>().values().to_vec()
        };
        assert_eq!(
            cents(Arc::new(of(vec![1_500_000_000, -2_000_000_000], 38, 9))),
            [150, -200]
        );
        assert_eq!(cents(Arc::new(of(vec![7], 38, 0))), [700]);
        assert_eq!(
            cents(Arc::new(wide(vec![1_230_000_000_000], 60, 12))),
            [123]
        );
        assert_eq!(
            inexact(Kind::Money, of(vec![150, 1_505], 38, 3)),
            (1, "1.505".into())
        );
        assert_eq!(
            inexact(Kind::Money, of(vec![0, 0, 10_i128.pow(17)], 38, 1)),
            (2, "10000000000000000".into())
        );
        assert_eq!(
            inexact(Kind::Money, wide(vec![-5], 60, 12)),
            (0, "-0.000000000005".into())
        );
        assert_eq!(inexact(Kind::Money, of(vec![i128::MAX], 38, 0)).0, 0);
    }

    #[test]
    fn whole_numbers_of_any_width_fit_or_are_an_error() {
        assert_eq!(
            inexact(Kind::Int64, UInt64Array::from(vec![1, u64::MAX])),
            (1, u64::MAX.to_string())
        );
        assert_eq!(
            inexact(Kind::Int32, Int64Array::from(vec![5_000_000_000])),
            (0, "5000000000".into())
        );
        let kept: ArrayRef = Arc::new(UInt64Array::from(vec![Some(7), None]));
        let cast = cast_column(&column_of(Kind::Int32), &kept).unwrap();
        assert_eq!(
            cast.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
            [Some(7), None]
        );
    }

    #[test]
    fn instants_and_dates_are_of_years_1_to_9999() {
        let instants =
            |values: Vec<i64>| TimestampMicrosecondArray::from(values).with_timezone("UTC");
        assert_eq!(
            inexact(Kind::Instant, instants(vec![0, i64::MAX])),
            (1, i64::MAX.to_string())
        );
        assert_eq!(
            inexact(Kind::Instant, instants(vec![*INSTANTS_US.end() + 1])).1,
            "+10000-01-01T00:00:00Z"
        );
        let ends: ArrayRef = Arc::new(instants(vec![*INSTANTS_US.start(), *INSTANTS_US.end()]));
        assert!(cast_column(&column_of(Kind::Instant), &ends).is_ok());
        assert_eq!(inexact(Kind::Date, Date32Array::from(vec![i32::MAX])).0, 0);
        let ends: ArrayRef = Arc::new(Date32Array::from(vec![*DAYS.start(), *DAYS.end()]));
        assert!(cast_column(&column_of(Kind::Date), &ends).is_ok());
    }
}
