//! Thrift's compact protocol, the form of footers and page headers: checked to the end.
//!
//! A decoder trusts too much: it reads a known field as its own type even where another type is
//! written, truncates numbers to their type, and reads an unknown list of flags up to the length
//! that it claims. So every field here must have the type that the format defines. Then a decoder
//! sees the same values as this check.
//!
//! Source: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md> and
//! <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>

/// The bytes that are not read yet.
pub(super) struct Compact<'a>(pub(super) &'a [u8]);

/// The type of a field in the Parquet format.
enum Shape {
    Flag,
    Byte,
    /// 16 or 32 bits: some writers number row groups with `i32`, and decoders accept both.
    Ordinal,
    I32,
    I64,
    Bytes,
    List(&'static Shape),
    Struct(Fields),
}

type Fields = &'static [(i64, Shape)];

use Shape::{Byte, Bytes, Flag, I32, I64, List, Ordinal, Struct};

const KIND_OF_FLAGS: [u8; 2] = [1, 2];
const KIND_OF_I32: u8 = 5;
/// Nesting of structures and lists; the format has seven levels. Deeper input is refused, so that
/// recursion cannot overflow the stack.
const MOST_DEPTH: u8 = 16;

/// Called for each number, flag and structure, with its parent, its field and its value (0 for a
/// structure). The parent is 0 in the outermost structure, the field of a structure directly in it,
/// and [`INNER`] deeper.
type Found<'a> = &'a mut dyn FnMut(i64, i64, i64);
const INNER: i64 = -1;

// The fields of a page header that hold structures.
const DATA: i64 = 5;
const DICTIONARY: i64 = 7;
const DATA_V2: i64 = 8;

static STATISTICS: Fields = &[
    (1, Bytes),
    (2, Bytes),
    (3, I64),
    (4, I64),
    (5, Bytes),
    (6, Bytes),
    (7, Flag),
    (8, Flag),
    (9, I64),
];

static PAGE_HEADER: Fields = &[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, I32),
    (
        DATA,
        Struct(&[
            (1, I32),
            (2, I32),
            (3, I32),
            (4, I32),
            (5, Struct(STATISTICS)),
        ]),
    ),
    (6, Struct(&[])),
    (DICTIONARY, Struct(&[(1, I32), (2, I32), (3, Flag)])),
    (
        DATA_V2,
        Struct(&[
            (1, I32),
            (2, I32),
            (3, I32),
            (4, I32),
            (5, I32),
            (6, I32),
            (7, Flag),
            (8, Struct(STATISTICS)),
        ]),
    ),
];

static FOOTER: Fields = &[
    (1, I32),
    (2, List(&Struct(SCHEMA_ELEMENT))),
    (3, I64),
    (4, List(&Struct(ROW_GROUP))),
    (5, List(&Struct(KEY_VALUE))),
    (6, Bytes),
    (7, List(&Struct(&[(1, Struct(&[])), (2, Struct(&[]))]))),
    (ENCRYPTION, Struct(&[])),
    (9, Bytes),
];

static KEY_VALUE: Fields = &[(1, Bytes), (2, Bytes)];

static SCHEMA_ELEMENT: Fields = &[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, Bytes),
    (5, I32),
    (6, I32),
    (7, I32),
    (8, I32),
    (9, I32),
    (10, Struct(LOGICAL_TYPE)),
];

static LOGICAL_TYPE: Fields = &[
    (1, Struct(&[])),
    (2, Struct(&[])),
    (3, Struct(&[])),
    (4, Struct(&[])),
    (5, Struct(&[(1, I32), (2, I32)])),
    (6, Struct(&[])),
    (7, Struct(CLOCK)),
    (8, Struct(CLOCK)),
    (10, Struct(&[(1, Byte), (2, Flag)])),
    (11, Struct(&[])),
    (12, Struct(&[])),
    (13, Struct(&[])),
    (14, Struct(&[])),
    (15, Struct(&[])),
    (16, Struct(&[(1, Byte)])),
    (17, Struct(&[(1, Bytes)])),
    (18, Struct(&[(1, Bytes), (2, I32)])),
];

/// Times and instants: adjusted to UTC or not, and the unit.
static CLOCK: Fields = &[
    (1, Flag),
    (
        2,
        Struct(&[(1, Struct(&[])), (2, Struct(&[])), (3, Struct(&[]))]),
    ),
];

static ROW_GROUP: Fields = &[
    (1, List(&Struct(COLUMN_CHUNK))),
    (2, I64),
    (3, I64),
    (4, List(&Struct(&[(1, I32), (2, Flag), (3, Flag)]))),
    (5, I64),
    (6, I64),
    (7, Ordinal),
];

static COLUMN_CHUNK: Fields = &[
    (1, Bytes),
    (2, I64),
    (3, Struct(COLUMN)),
    (4, I64),
    (5, I32),
    (6, I64),
    (7, I32),
    (8, Struct(&[])),
    (9, Bytes),
];

static COLUMN: Fields = &[
    (1, I32),
    (2, List(&I32)),
    (3, List(&Bytes)),
    (4, I32),
    (5, I64),
    (6, I64),
    (7, I64),
    (8, List(&Struct(KEY_VALUE))),
    (9, I64),
    (10, I64),
    (11, I64),
    (12, Struct(STATISTICS)),
    (13, List(&Struct(&[(1, I32), (2, I32), (3, I32)]))),
    (14, I64),
    (15, I32),
    (16, Struct(&[(1, I64), (2, List(&I64)), (3, List(&I64))])),
    (17, Struct(&[])),
];

/// Whether a footer is valid and not encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FooterKind {
    Invalid,
    /// The footer can be read, and columns cannot.
    WithEncryptedColumns,
    Plain,
}

/// The field of a footer that is present only if columns are encrypted.
const ENCRYPTION: i64 = 8;

pub(super) fn check_footer(bytes: &[u8]) -> FooterKind {
    let mut is_encrypted = false;
    let mut look = |parent, field, _| is_encrypted |= (parent, field) == (0, ENCRYPTION);
    match Compact(bytes).structure(FOOTER, 0, 0, &mut look) {
        None => FooterKind::Invalid,
        Some(()) if is_encrypted => FooterKind::WithEncryptedColumns,
        Some(()) => FooterKind::Plain,
    }
}

/// The claims of a page header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageHeader {
    pub(super) is_dictionary: bool,
    pub(super) compressed_bytes: u64,
    pub(super) inflated_bytes: u64,
    pub(super) values: u64,
    /// Bytes before the values that are never compressed.
    pub(super) level_bytes: u64,
    /// Whether the values are compressed, if the column is.
    pub(super) is_packed: bool,
}

impl PageHeader {
    pub(super) fn read(bytes: &mut Compact<'_>) -> Option<PageHeader> {
        let (mut kind, mut inflated, mut compressed, mut values, mut levels, mut packed) =
            (0, 0, 0, [0; 9], [0; 2], 1);
        bytes.structure(
            PAGE_HEADER,
            0,
            0,
            &mut |parent, field, value| match (parent, field) {
                (0, 1) => kind = value,
                (0, 2) => inflated = value,
                (0, 3) => compressed = value,
                (DATA | DICTIONARY | DATA_V2, 1) => values[parent as usize] = value,
                (DATA_V2, 5 | 6) => levels[field as usize - 5] = value,
                (DATA_V2, 7) => packed = value,
                _ => (),
            },
        )?;
        let of_kind = match kind {
            2 => DICTIONARY,
            3 => DATA_V2,
            _ => DATA,
        };
        let is_v2 = of_kind == DATA_V2;
        Some(PageHeader {
            is_dictionary: of_kind == DICTIONARY,
            compressed_bytes: compressed.try_into().ok()?,
            inflated_bytes: inflated.try_into().ok()?,
            values: values[of_kind as usize].try_into().ok()?,
            level_bytes: if is_v2 {
                levels.iter().sum::<i64>().try_into().ok()?
            } else {
                0
            },
            is_packed: !is_v2 || packed == 1,
        })
    }
}

impl Shape {
    fn kinds(&self) -> &'static [u8] {
        match self {
            Flag => &KIND_OF_FLAGS,
            Byte => &[3],
            Ordinal => &[4, KIND_OF_I32],
            I32 => &[KIND_OF_I32],
            I64 => &[6],
            Bytes => &[8],
            List(_) => &[9],
            Struct(_) => &[12],
        }
    }
}

impl<'a> Compact<'a> {
    fn structure(
        &mut self,
        fields: &[(i64, Shape)],
        parent: i64,
        depth: u8,
        found: Found<'_>,
    ) -> Option<()> {
        let mut field = 0;
        loop {
            let byte = self.byte()?;
            let (step, kind) = (byte >> 4, byte & 15);
            if kind == 0 {
                return Some(());
            }
            field = if step == 0 {
                self.number()?
            } else {
                field + i64::from(step)
            };
            if !(1..=i64::from(i16::MAX)).contains(&field) {
                return None;
            }
            let shape = fields
                .iter()
                .find(|(known, _)| *known == field)
                .map(|(_, shape)| shape);
            if KIND_OF_FLAGS.contains(&kind) {
                shape
                    .is_none_or(|shape| matches!(shape, Flag))
                    .then(|| found(parent, field, i64::from(kind == 1)))?;
            } else {
                self.value(kind, shape, (parent, field), depth, found)?;
            }
        }
    }

    /// Skips a value of a structure or a list. `shape` is `None` for an unknown field.
    fn value(
        &mut self,
        kind: u8,
        shape: Option<&Shape>,
        at: (i64, i64),
        depth: u8,
        found: Found<'_>,
    ) -> Option<()> {
        if depth > MOST_DEPTH || shape.is_some_and(|shape| !shape.kinds().contains(&kind)) {
            return None;
        }
        match kind {
            3 => self.take(1).map(drop),
            4..=6 => {
                let number = self.number()?;
                let fits = kind != KIND_OF_I32 || i32::try_from(number).is_ok();
                fits.then(|| found(at.0, at.1, number))
            }
            7 => self.take(8).map(drop),
            8 => {
                let length = self.varint()?;
                self.take(length).map(drop)
            }
            9 | 10 => {
                let of = match shape {
                    Some(List(of)) => Some(*of),
                    _ => None,
                };
                self.list(of, depth, found)
            }
            12 => {
                let fields = match shape {
                    Some(Struct(fields)) => *fields,
                    _ => &[],
                };
                found(at.0, at.1, 0);
                let parent = if depth == 0 { at.1 } else { INNER };
                self.structure(fields, parent, depth + 1, found)
            }
            _ => None,
        }
    }

    /// Skips a list or a set of values of the shape `of`; `None`: of an unknown one.
    fn list(&mut self, of: Option<&Shape>, depth: u8, found: Found<'_>) -> Option<()> {
        let byte = self.byte()?;
        let (short_count, kind) = (byte >> 4, byte & 15);
        let count = match short_count {
            15 => self.varint()?,
            count => u64::from(count),
        };
        // `value` refuses flags: the format has no list of them.
        (0..count).try_for_each(|_| self.value(kind, of, (INNER, INNER), depth + 1, found))
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    pub(super) fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    /// Seven bits a byte, the lowest first.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(value);
            }
        }
        None
    }

    /// The lowest bit is the sign.
    pub(super) fn number(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data page of version 1: 10 bytes inflated, 7 compressed, 3 values.
    const HEADER: [u8; 18] = [
        0x15, 0, 0x15, 20, 0x15, 14, 0x2c, 0x15, 6, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0, 99,
    ];

    #[test]
    fn a_page_header_is_read_up_to_its_page() {
        let mut bytes = Compact(&HEADER);
        let expected = PageHeader {
            is_dictionary: false,
            compressed_bytes: 7,
            inflated_bytes: 10,
            values: 3,
            level_bytes: 0,
            is_packed: true,
        };
        assert_eq!(PageHeader::read(&mut bytes), Some(expected));
        assert_eq!(bytes.0, [99]);
    }

    #[test]
    fn a_header_that_a_decoder_would_read_differently_is_refused() {
        let changed = |position: usize, byte: u8| {
            let mut header = HEADER;
            header[position] = byte;
            PageHeader::read(&mut Compact(&header))
        };
        assert_eq!(changed(2, 0x16), None, "i64 for i32");
        assert_eq!(changed(6, 0x28), None, "bytes for a structure");
        assert_eq!(changed(5, 13), None, "a negative size");
        let too_long = [&[0x15, 0x80, 0x80, 0x80, 0x80, 0x20], &HEADER[2..]].concat();
        assert_eq!(
            PageHeader::read(&mut Compact(&too_long)),
            None,
            "a number beyond i32"
        );
    }

    #[test]
    fn a_list_ends_with_its_bytes_and_holds_no_flags() {
        let ends =
            |list: &[u8]| check_footer(&[&[0xa9], list, &[0]].concat()) != FooterKind::Invalid;
        assert!(
            !ends(&[0xf1, 0xff, 0xff, 0xff, 0xff, 0x07]),
            "flags that take no bytes"
        );
        assert!(
            !ends(&[0xf5, 0xff, 0xff, 0xff, 0xff, 0x07, 1]),
            "more numbers than there are bytes"
        );
    }
}
