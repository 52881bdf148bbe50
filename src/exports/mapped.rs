//! Values of mapped columns in the form of the contract. A value that does not fit is null there, and is
//! remembered, so that its row goes to quarantine.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Int32Array,
    Int64Array, StringArray, StringViewArray, new_null_array,
};
use arrow_schema::{DataType, TimeUnit};
use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;

use super::exact::{Inexact, cast_column, cast_whole, fitting};
use super::text_ids::{TextIds, number_of, number_of_view};
use crate::contracts::arrow::MONEY_SCALE;
use crate::contracts::{Column, Dataset, Kind, Reason};
use crate::days::calendar::day_number;
use crate::mapping::{Change, Constant};

/// A value that does not fit the column that it is mapped to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// Its position in the batch.
    pub(crate) row: usize,
    pub(crate) column: &'static str,
    pub(crate) reason: Reason,
    /// As it is in the file.
    pub(crate) value: String,
}

/// The ids of the texts of a dataset.
#[derive(Clone, Copy)]
pub(super) struct IdsOf<'a> {
    pub(super) ids: &'a TextIds,
    pub(super) dataset: &'static str,
    pub(super) known: &'a KnownIds,
}

impl IdsOf<'_> {
    /// Those of texts at some positions that are no numbers.
    fn of<'t>(
        &self,
        column: &Column,
        positions: &[usize],
        text: impl Fn(usize) -> &'t str,
    ) -> Vec<i64> {
        let texts: Vec<&str> = positions.iter().map(|position| text(*position)).collect();
        self.ids.ids(self.dataset, column.name, &texts)
    }
}

/// The ids of the texts of a row group's dictionaries, by column: each text is read once, however many rows
/// have it.
#[derive(Default)]
pub(super) struct KnownIds(RefCell<BTreeMap<&'static str, KnownDictionary>>);

struct KnownDictionary {
    texts: ArrayRef,
    ids: Vec<i64>,
    /// Whether a text has an id.
    has_id: Vec<bool>,
    all_have_ids: bool,
}

/// Collects the unfit values of one column.
struct Unfits<'a> {
    column: &'static Column,
    found: &'a mut Vec<Unfit>,
}

impl Unfits<'_> {
    /// The null that takes the place of the value.
    fn add<T>(&mut self, row: usize, reason: Reason, value: impl ToString) -> Option<T> {
        self.found.push(Unfit {
            row,
            column: self.column.name,
            reason,
            value: value.to_string(),
        });
        None
    }
}

/// The values of a file's column as those of `column`. Their type is one that `schema` accepts.
pub(super) fn change_column(
    column: &'static Column,
    change: &Change,
    array: &ArrayRef,
    ids: IdsOf,
    found: &mut Vec<Unfit>,
) -> ArrayRef {
    let mut unfits = Unfits { column, found };
    match change {
        Change::Nothing => exact(column, array, &mut unfits),
        Change::Scale(scale) => whole_units(*scale, array, &mut unfits),
        Change::TimeZone(zone) => instants(*zone, array, &mut unfits),
        Change::Values {
            values,
            keeps_others,
        } => other_texts(values, *keeps_others, array, &mut unfits),
        Change::TextId { hashes_others } => ids_of_texts(array, *hashes_others, ids, &mut unfits),
    }
}

/// Values that are exactly of the contract's type.
fn exact(column: &'static Column, array: &ArrayRef, unfits: &mut Unfits) -> ArrayRef {
    if let Ok(cast) = cast_column(column, array) {
        return cast;
    }
    // One by one: the values that fit stay.
    let fits = |row: usize, unfits: &mut Unfits| match cast_column(column, &array.slice(row, 1)) {
        Ok(_) => true,
        Err(Inexact { value, .. }) => unfits.add::<()>(row, Reason::InexactCast, value).is_some(),
    };
    let fitting: BooleanArray = (0..array.len())
        .map(|row| Some(fits(row, unfits)))
        .collect();
    let kept = arrow_select::nullif::nullif(array, &not(&fitting));
    let kept = kept.map(|kept| cast_column(column, &kept));
    match kept {
        Ok(Ok(cast)) => cast,
        Ok(Err(_)) | Err(_) => unreachable!("values that do not fit are null"),
    }
}

fn not(flags: &BooleanArray) -> BooleanArray {
    flags.values().iter().map(|flag| Some(!flag)).collect()
}

/// Whole minor units as cents.
fn whole_units(scale: u32, array: &ArrayRef, unfits: &mut Unfits) -> ArrayRef {
    let units = match cast_whole(Kind::Int64, array) {
        Ok(units) => units,
        // Some unsigned numbers are greater: one by one.
        Err(_) => {
            let one = |row: usize| match cast_whole(Kind::Int64, &array.slice(row, 1)) {
                Ok(unit) => unit
                    .is_valid(0)
                    .then(|| unit.as_primitive::<Int64Type>().value(0)),
                Err(Inexact { value, .. }) => unfits.add(row, Reason::InexactCast, value),
            };
            Arc::new((0..array.len()).map(one).collect::<Int64Array>())
        }
    };
    let cents_scale = MONEY_SCALE.unsigned_abs().into();
    let power = 10_i128.pow(scale.abs_diff(cents_scale));
    let in_cents = |units: i64| match scale <= cents_scale {
        true => fitting(i128::from(units) * power),
        false if i128::from(units) % power == 0 => Some(i128::from(units) / power),
        false => None,
    };
    let units = units.as_primitive::<Int64Type>();
    let cents: Decimal128Array = units.unary_opt(in_cents);
    if cents.null_count() > units.null_count() {
        for row in (0..units.len()).filter(|row| units.is_valid(*row) && cents.is_null(*row)) {
            unfits.add::<()>(row, Reason::InexactCast, units.value(row));
        }
    }
    Arc::new(cents)
}

/// The ids of texts. An empty text is none, and where `hashes_others` is false, nor is one that is no number.
fn ids_of_texts(
    array: &ArrayRef,
    hashes_others: bool,
    ids: IdsOf,
    unfits: &mut Unfits,
) -> ArrayRef {
    if let Some(texts) = array.as_dictionary_opt::<Int32Type>() {
        return ids_of_dictionary(texts, hashes_others, ids, unfits);
    }
    // Another engine gives texts in another form.
    let plain = array.as_string_opt::<i32>().map(StringViewArray::from);
    let texts = plain.as_ref().unwrap_or_else(|| array.as_string_view());
    let number = |(row, view): (usize, &u128)| {
        let number = number_of_view(*view).or_else(|| number_of(texts.value(row)));
        number.unwrap_or(NO_NUMBER)
    };
    let mut numbers: Vec<i64> = texts.views().iter().enumerate().map(number).collect();
    let is_other = |row: &usize| numbers[*row] == NO_NUMBER && texts.is_valid(*row);
    let is_hashed = |row: &usize| hashes_others && !texts.value(*row).is_empty();
    let (hashed, unfit): (Vec<usize>, Vec<usize>) =
        (0..texts.len()).filter(is_other).partition(is_hashed);
    for (row, id) in hashed
        .iter()
        .zip(ids.of(unfits.column, &hashed, |row| texts.value(row)))
    {
        numbers[*row] = id;
    }
    for row in &unfit {
        unfits.add::<()>(*row, Reason::InexactCast, texts.value(*row));
    }
    let nulls = match unfit.is_empty() {
        true => texts.nulls().cloned(),
        false => {
            let mut is_valid: Vec<bool> = (0..texts.len()).map(|row| texts.is_valid(row)).collect();
            unfit.into_iter().for_each(|row| is_valid[row] = false);
            Some(is_valid.into())
        }
    };
    Arc::new(Int64Array::new(numbers.into(), nulls))
}

/// The same for texts that lie in a dictionary.
fn ids_of_dictionary(
    texts: &DictionaryArray<Int32Type>,
    hashes_others: bool,
    ids: IdsOf,
    unfits: &mut Unfits,
) -> ArrayRef {
    let mut known = ids.known.0.borrow_mut();
    let name = unfits.column.name;
    let is_known = |of: &KnownDictionary| Arc::ptr_eq(&of.texts, texts.values());
    if !known.get(name).is_some_and(is_known) {
        let values = texts.values().as_string::<i32>();
        let mut of_texts: Vec<Option<i64>> = values.iter().map(|text| number_of(text?)).collect();
        let is_hashed = |n: &usize| {
            let is_other = of_texts[*n].is_none() && values.is_valid(*n);
            is_other && hashes_others && !values.value(*n).is_empty()
        };
        let hashed: Vec<usize> = (0..values.len()).filter(is_hashed).collect();
        let hashes = ids.of(unfits.column, &hashed, |n| values.value(n));
        for (n, id) in hashed.into_iter().zip(hashes) {
            of_texts[n] = Some(id);
        }
        let dictionary = KnownDictionary {
            texts: texts.values().clone(),
            ids: of_texts.iter().map(|id| id.unwrap_or_default()).collect(),
            has_id: of_texts.iter().map(Option::is_some).collect(),
            all_have_ids: !of_texts.contains(&None),
        };
        known.insert(name, dictionary);
    }
    let Some(known) = known.get(name) else {
        unreachable!("it was just put there")
    };
    let keys = texts.keys();
    if known.all_have_ids {
        // The key of a null means nothing.
        let of_key = |key: &i32| known.ids.get(*key as usize).copied().unwrap_or_default();
        let numbers: Vec<i64> = keys.values().iter().map(of_key).collect();
        return Arc::new(Int64Array::new(numbers.into(), keys.nulls().cloned()));
    }
    let values = texts.values().as_string::<i32>();
    let one = |row: usize| {
        let key = keys.is_valid(row).then(|| keys.value(row) as usize)?;
        match known.has_id[key] {
            true => Some(known.ids[key]),
            false if values.is_valid(key) => {
                unfits.add(row, Reason::InexactCast, values.value(key))
            }
            false => None,
        }
    };
    Arc::new((0..keys.len()).map(one).collect::<Int64Array>())
}

/// Stands for a text that is no number: those that are have no sign.
const NO_NUMBER: i64 = -1;

/// Texts as other texts, in the form that they come in.
fn other_texts(
    values: &BTreeMap<String, String>,
    keeps_others: bool,
    array: &ArrayRef,
    unfits: &mut Unfits,
) -> ArrayRef {
    let other = |text: &str| match values.get(text) {
        Some(other) => Some(other.clone()),
        None => keeps_others.then(|| text.to_owned()),
    };
    let Some(texts) = array.as_dictionary_opt::<Int32Type>() else {
        let texts = array.as_string::<i32>();
        let changed = |(row, text): (usize, Option<&str>)| {
            let text = text?;
            other(text).or_else(|| unfits.add(row, Reason::UnmappedValue, text))
        };
        return Arc::new(
            texts
                .iter()
                .enumerate()
                .map(changed)
                .collect::<StringArray>(),
        );
    };
    // Each text is changed once, however many rows have it.
    let before = texts.values().as_string::<i32>();
    let after: Vec<Option<String>> = before.iter().map(|text| other(text?)).collect();
    let keys = texts.keys();
    let new_keys: Int32Array = match after.contains(&None) {
        false => keys.clone(),
        true => {
            let known = |(row, key): (usize, Option<i32>)| {
                let key = key.filter(|key| before.is_valid(*key as usize))?;
                match after[key as usize] {
                    Some(_) => Some(key),
                    None => unfits.add(row, Reason::UnmappedValue, before.value(key as usize)),
                }
            };
            keys.iter().enumerate().map(known).collect()
        }
    };
    let after = after.into_iter().map(Option::unwrap_or_default);
    Arc::new(DictionaryArray::new(
        new_keys,
        Arc::new(StringArray::from_iter_values(after)),
    ))
}

/// Local times as instants.
fn instants(zone: Tz, array: &ArrayRef, unfits: &mut Unfits) -> ArrayRef {
    let mut clock = Clock { zone, last: None };
    let mut instant = |row: usize, local_us: Option<i64>, shown: &dyn Fn() -> String| {
        let Some(local_us) = local_us else {
            return unfits.add(row, Reason::InexactCast, shown());
        };
        match clock.instant_us(local_us) {
            Some(instant) => Some(instant),
            None => unfits.add(row, Reason::AmbiguousTime, shown()),
        }
    };
    let each = 0..array.len();
    let instants: Int64Array = match array.data_type() {
        DataType::Timestamp(unit, _) => {
            let in_unit = local_units(*unit, array);
            let in_us = |value: i64| match unit {
                TimeUnit::Second => value.checked_mul(1_000_000),
                TimeUnit::Millisecond => value.checked_mul(1_000),
                TimeUnit::Microsecond => Some(value),
                TimeUnit::Nanosecond => Some(value.div_euclid(1_000)),
            };
            let is_civil = |us: &i64| CIVIL_US.contains(us);
            let one = |row: usize| {
                let value = in_unit.is_valid(row).then(|| in_unit.value(row))?;
                let local = in_us(value).filter(is_civil);
                instant(row, local, &|| {
                    local.map_or_else(|| value.to_string(), show_local)
                })
            };
            each.map(one).collect()
        }
        _ => {
            let texts = array.as_string::<i32>();
            let one = |row: usize| {
                let text = texts.is_valid(row).then(|| texts.value(row))?;
                instant(row, local_of_text(text), &|| text.to_owned())
            };
            each.map(one).collect()
        }
    };
    Arc::new(instants)
}

/// The years 1 to 9999 without their first and last days, which no zone leads out of.
const CIVIL_US: std::ops::RangeInclusive<i64> = -62_135_510_400_000_000..=253_402_214_399_999_999;

/// Timestamps as plain numbers.
fn local_units(unit: TimeUnit, array: &ArrayRef) -> Int64Array {
    match unit {
        TimeUnit::Second => array
            .as_primitive::<TimestampSecondType>()
            .unary(|value| value),
        TimeUnit::Millisecond => array
            .as_primitive::<TimestampMillisecondType>()
            .unary(|value| value),
        TimeUnit::Microsecond => array
            .as_primitive::<TimestampMicrosecondType>()
            .unary(|value| value),
        TimeUnit::Nanosecond => array
            .as_primitive::<TimestampNanosecondType>()
            .unary(|value| value),
    }
}

/// `2026-03-14 09:26:53` or `2026-03-14T09:26:53.589793`, in microseconds.
fn local_of_text(text: &str) -> Option<i64> {
    let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
    let mut parsed = formats
        .iter()
        .flat_map(|format| NaiveDateTime::parse_from_str(text, format));
    let us = parsed.next()?.and_utc().timestamp_micros();
    CIVIL_US.contains(&us).then_some(us)
}

fn show_local(us: i64) -> String {
    let at = DateTime::<Utc>::from_timestamp_micros(us);
    at.map_or_else(|| us.to_string(), |at| at.naive_utc().to_string())
}

/// A zone's clock. Rows of a day meet few offsets, so that of the last quarter of an hour is kept.
struct Clock {
    zone: Tz,
    /// A quarter of an hour without a change of the clock, and its offset.
    last: Option<(i64, i64)>,
}

const QUARTER_US: i64 = 15 * 60 * 1_000_000;

impl Clock {
    /// `None` for a local time that the clock shows twice or never.
    fn instant_us(&mut self, local_us: i64) -> Option<i64> {
        let quarter = local_us.div_euclid(QUARTER_US);
        if let Some((of, offset_us)) = self.last
            && of == quarter
        {
            return Some(local_us - offset_us);
        }
        let (start, end) = (quarter * QUARTER_US, (quarter + 1) * QUARTER_US - 1);
        let offset_us = self.offset_us(local_us)?;
        if self.offset_us(start) == Some(offset_us) && self.offset_us(end) == Some(offset_us) {
            self.last = Some((quarter, offset_us));
        }
        Some(local_us - offset_us)
    }

    fn offset_us(&self, local_us: i64) -> Option<i64> {
        let local = DateTime::<Utc>::from_timestamp_micros(local_us)?.naive_utc();
        match self.zone.offset_from_local_datetime(&local) {
            MappedLocalTime::Single(offset) => {
                Some(i64::from(offset.fix().local_minus_utc()) * 1_000_000)
            }
            MappedLocalTime::Ambiguous(..) | MappedLocalTime::None => None,
        }
    }
}

/// A column of one value.
pub(super) fn constant_column(
    dataset: &Dataset,
    column: &Column,
    constant: &Constant,
    rows: usize,
) -> ArrayRef {
    match constant {
        Constant::Whole(number) => Arc::new(Int64Array::from_value(*number, rows)),
        Constant::Cents(cents) => Arc::new(Decimal128Array::from_value(*cents, rows)),
        Constant::Flag(flag) => Arc::new(BooleanArray::from(vec![*flag; rows])),
        Constant::Day(day) => Arc::new(Date32Array::from_value(day_number(*day), rows)),
        Constant::Text(text) if dataset.is_streamed() => {
            let keys = vec![0; rows].into_iter().map(Some).collect();
            let texts = StringArray::from_iter_values([text]);
            Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(texts)))
        }
        Constant::Text(text) if column.empty_is_null && text.is_empty() => {
            absent_column(dataset, column, rows)
        }
        Constant::Text(text) => Arc::new(StringArray::from_iter_values(vec![text; rows])),
    }
}

/// A column of nulls.
pub(super) fn absent_column(dataset: &Dataset, column: &Column, rows: usize) -> ArrayRef {
    let form = match column.kind {
        Kind::Int64 | Kind::Int32 | Kind::Instant => DataType::Int64,
        Kind::Money => DataType::Decimal128(38, 10),
        Kind::Double => DataType::Float64,
        Kind::Boolean => DataType::Boolean,
        Kind::Date => DataType::Date32,
        Kind::Text if dataset.is_streamed() => {
            DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into())
        }
        Kind::Text => DataType::Utf8,
    };
    new_null_array(&form, rows)
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Decimal128Type;
    use arrow_array::{StringViewArray, TimestampMillisecondArray, UInt64Array};

    use super::*;

    fn changed(
        kind: Kind,
        change: Change,
        array: impl Array + 'static,
    ) -> (ArrayRef, Vec<(usize, Reason, String)>) {
        let column: &'static Column = Box::leak(Box::new(Column::new("x", kind, "")));
        let mut found = Vec::new();
        let array: ArrayRef = Arc::new(array);
        let ids = IdsOf {
            ids: &TextIds::known(),
            dataset: "shops",
            known: &KnownIds::default(),
        };
        let values = change_column(column, &change, &array, ids, &mut found);
        let found = found
            .into_iter()
            .map(|unfit| (unfit.row, unfit.reason, unfit.value));
        (values, found.collect())
    }

    fn ints(array: &ArrayRef) -> Vec<Option<i64>> {
        array.as_primitive::<Int64Type>().iter().collect()
    }

    fn cents(array: &ArrayRef) -> Vec<Option<i128>> {
        array.as_primitive::<Decimal128Type>().iter().collect()
    }

    #[test]
    fn minor_units_are_exact_cents_or_unfit() {
        let of = |scale, units: Vec<Option<i64>>| {
            let (values, found) =
                changed(Kind::Money, Change::Scale(scale), Int64Array::from(units));
            (cents(&values), found)
        };
        assert_eq!(
            of(2, vec![Some(1999), None, Some(-5)]),
            (vec![Some(1999), None, Some(-5)], vec![])
        );
        // Yen have no minor unit; mills have three places.
        assert_eq!(of(0, vec![Some(12)]).0, [Some(1200)]);
        let (values, found) = of(3, vec![Some(1500), Some(1505)]);
        assert_eq!(values, [Some(150), None]);
        assert_eq!(found, [(1, Reason::InexactCast, "1505".into())]);
        // 10^18 units are 10^20 cents, which DECIMAL(18,2) cannot hold.
        assert_eq!(
            of(0, vec![Some(10_i64.pow(18))]).1,
            [(0, Reason::InexactCast, 10_i64.pow(18).to_string())]
        );
        let unsigned = UInt64Array::from(vec![7, u64::MAX]);
        let (values, found) = changed(Kind::Money, Change::Scale(2), unsigned);
        assert_eq!(cents(&values), [Some(7), None]);
        assert_eq!(found, [(1, Reason::InexactCast, u64::MAX.to_string())]);
    }

    #[test]
    fn a_text_of_digits_is_the_number_that_it_shows() {
        let texts = || {
            StringViewArray::from(vec![
                Some("0"),
                Some("9223372036854775807"),
                Some("9223372036854775808"),
                Some("007"),
                Some("-1"),
                Some(""),
                Some("a1"),
                None,
            ])
        };
        let of = |hashes_others| {
            let (values, found) = changed(Kind::Int64, Change::TextId { hashes_others }, texts());
            let found = found.into_iter().map(|(row, _, value)| (row, value));
            (ints(&values), found.collect::<Vec<_>>())
        };
        let (values, unfit) = of(false);
        let mut expected = vec![None; 8];
        (expected[0], expected[1]) = (Some(0), Some(i64::MAX));
        assert_eq!(values, expected);
        let others = [
            (2, "9223372036854775808"),
            (3, "007"),
            (4, "-1"),
            (5, ""),
            (6, "a1"),
        ];
        assert_eq!(unfit, others.map(|(row, text)| (row, text.to_owned())));
        // The others have ids below 0, by hashlib of Python; an empty text is no id.
        let (values, unfit) = of(true);
        for (row, id) in [
            (2, -7_125_061_264_901_463_314),
            (3, -3_553_241_685_104_100_999),
            (4, -997_184_231_609_768_191),
            (6, -8_840_558_061_425_400_241),
        ] {
            expected[row] = Some(id);
        }
        assert_eq!(values, expected);
        assert_eq!(unfit, [(5, String::new())]);
    }

    /// 2026-03-08: clocks of Los Angeles go from 02:00 to 03:00; 2026-11-01: from 02:00 back to 01:00.
    #[test]
    fn local_times_are_instants_unless_the_clock_shows_them_twice_or_never() {
        let zone = Change::TimeZone(Tz::America__Los_Angeles);
        let texts = StringArray::from(vec![
            "2026-03-08 01:59:59.5",
            "2026-03-08 02:00:00",
            "2026-03-08T03:00:00",
            "2026-11-01 00:59:59",
            "2026-11-01 01:30:00",
            "2026-11-01 02:00:00",
            "yesterday",
        ]);
        let (values, found) = changed(Kind::Instant, zone.clone(), texts);
        let utc = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap().timestamp_micros());
        assert_eq!(
            ints(&values),
            [
                utc("2026-03-08T09:59:59.5Z"),
                None,
                utc("2026-03-08T10:00:00Z"),
                utc("2026-11-01T07:59:59Z"),
                None,
                utc("2026-11-01T10:00:00Z"),
                None,
            ]
        );
        let reasons: Vec<(usize, Reason)> = found
            .iter()
            .map(|(row, reason, _)| (*row, *reason))
            .collect();
        assert_eq!(
            reasons,
            [
                (1, Reason::AmbiguousTime),
                (4, Reason::AmbiguousTime),
                (6, Reason::InexactCast)
            ]
        );
        // 2026-03-08T02:00:00 as a timestamp without a zone, in milliseconds.
        let stamps = TimestampMillisecondArray::from(vec![1_772_935_200_000]);
        let (_, found) = changed(Kind::Instant, zone, stamps);
        assert_eq!(
            found,
            [(0, Reason::AmbiguousTime, "2026-03-08 02:00:00".into())]
        );
    }

    #[test]
    fn texts_become_others_stay_or_are_unfit() {
        let values = BTreeMap::from([
            ("live".into(), "LIVE".into()),
            ("vid".into(), "VIDEO".into()),
        ]);
        let texts = vec![Some("live"), Some("shop"), None, Some("vid")];
        let with = |keeps_others| Change::Values {
            values: values.clone(),
            keeps_others,
        };
        let shown = |array: &ArrayRef| -> Vec<Option<String>> {
            match array.as_dictionary_opt::<Int32Type>() {
                Some(texts) => texts
                    .downcast_dict::<StringArray>()
                    .unwrap()
                    .into_iter()
                    .map(|t| t.map(str::to_owned))
                    .collect(),
                None => array
                    .as_string::<i32>()
                    .iter()
                    .map(|t| t.map(str::to_owned))
                    .collect(),
            }
        };
        let plain = || StringArray::from(texts.clone());
        let codes = || {
            texts
                .iter()
                .copied()
                .collect::<DictionaryArray<Int32Type>>()
        };
        let text = |text: &str| Some(text.to_owned());
        for (array, found) in [
            changed(Kind::Text, with(true), plain()),
            changed(Kind::Text, with(true), codes()),
        ] {
            assert_eq!(
                shown(&array),
                [text("LIVE"), text("shop"), None, text("VIDEO")]
            );
            assert!(found.is_empty());
        }
        for (array, found) in [
            changed(Kind::Text, with(false), plain()),
            changed(Kind::Text, with(false), codes()),
        ] {
            assert_eq!(shown(&array), [text("LIVE"), None, None, text("VIDEO")]);
            assert_eq!(found, [(1, Reason::UnmappedValue, "shop".into())]);
        }
    }

    #[test]
    fn a_renamed_value_that_does_not_fit_is_unfit_and_the_others_stay() {
        let (values, found) = changed(
            Kind::Int32,
            Change::Nothing,
            Int64Array::from(vec![Some(1), Some(5_000_000_000), None]),
        );
        assert_eq!(ints(&values), [Some(1), None, None]);
        assert_eq!(found, [(1, Reason::InexactCast, "5000000000".into())]);
    }
}
