//! One column of an export or a result: its type, unit, formula, meaning of null, and lineage.

use super::ids::{DatasetId, SnapshotId, TableId};

/// The kind of a column's values. Each kind has one form in a file and one in memory.
///
/// | kind | in a Parquet file | in memory (polars) |
/// | --- | --- | --- |
/// | `Int64` | INT64 | `Int64` |
/// | `Int32` (exports only) | INT32 | `Int64` |
/// | `Money` | DECIMAL(18,2) | `Int128`, whole cents: sums stay exact and cannot overflow |
/// | `Double` | DOUBLE | `Float64` |
/// | `Text` | UTF-8 STRING | `String` |
/// | `Boolean` | BOOLEAN | `Boolean` |
/// | `Date` | DATE | `Int32`, days since 1970-01-01 |
/// | `Instant` | TIMESTAMP(us, UTC) | `Int64`, microseconds since 1970-01-01T00:00:00Z |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int64,
    Int32,
    Money,
    Double,
    Text,
    Boolean,
    Date,
    Instant,
}

impl Kind {
    /// The type in the notation of SPEC.md and error messages.
    pub fn sql(self) -> &'static str {
        match self {
            Kind::Int64 => "INT64",
            Kind::Int32 => "INT32",
            Kind::Money => "DECIMAL(18,2)",
            Kind::Double => "DOUBLE",
            Kind::Text => "STRING",
            Kind::Boolean => "BOOLEAN",
            Kind::Date => "DATE",
            Kind::Instant => "TIMESTAMP(us, UTC)",
        }
    }
}

/// An input of a column's formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Columns of an export of the day. Without columns: the existence of the export or of a row.
    Export(DatasetId, &'static [&'static str]),
    /// Columns of another table. Without columns: whether the table is published for a day.
    Published(TableId, &'static [&'static str]),
    /// All columns of another table that hold metrics of the benchmarks.
    Metrics(TableId),
    /// Columns of the same row.
    Own(&'static [&'static str]),
    /// Keys of the job file.
    Setting(&'static [&'static str]),
    /// The run itself: its report day, the state of the exports.
    Run(&'static str),
}

/// All inputs of a column's formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lineage {
    From(&'static [Source]),
    /// The column of another table that has the same name.
    SameColumnOf(TableId),
}

/// One column of an export or a result table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// `""` for names and identifiers.
    pub unit: &'static str,
    /// The formula of the value; `""` when the name is enough.
    pub formula: &'static str,
    /// The meaning of null; `None`: the column is never null.
    pub null: Option<&'static str>,
    /// Whether an empty text of an export is read as null. Only in the small datasets.
    pub empty_is_null: bool,
    /// The optional export that the column needs. Without it, the column is null.
    pub needs: Option<SnapshotId>,
    /// The inputs of a column of a result. A column of an export has no source.
    pub lineage: Lineage,
}

impl Column {
    /// Whether its numbers only tell things apart.
    pub(crate) fn is_id(&self) -> bool {
        self.kind == Kind::Int64 && self.unit.is_empty()
    }

    pub const fn new(name: &'static str, kind: Kind, unit: &'static str) -> Self {
        Column {
            name,
            kind,
            unit,
            formula: "",
            null: None,
            empty_is_null: false,
            needs: None,
            lineage: Lineage::From(&[]),
        }
    }

    pub const fn formula(self, formula: &'static str) -> Self {
        Column { formula, ..self }
    }

    pub const fn null(self, meaning: &'static str) -> Self {
        Column {
            null: Some(meaning),
            ..self
        }
    }

    pub const fn empty_is_null(self) -> Self {
        Column {
            empty_is_null: true,
            ..self
        }
    }

    /// Makes the column null, with this meaning, when an optional export is absent.
    pub const fn needs(self, dataset: SnapshotId, null: &'static str) -> Self {
        Column {
            null: Some(null),
            needs: Some(dataset),
            ..self
        }
    }

    pub const fn from(self, sources: &'static [Source]) -> Self {
        Column {
            lineage: Lineage::From(sources),
            ..self
        }
    }

    pub const fn same_as_in(self, table: TableId) -> Self {
        Column {
            lineage: Lineage::SameColumnOf(table),
            ..self
        }
    }
}

// Columns of kinds that exports and results share.
pub(super) const fn id(name: &'static str) -> Column {
    Column::new(name, Kind::Int64, "")
}
pub(super) const fn text(name: &'static str) -> Column {
    Column::new(name, Kind::Text, "")
}
pub(super) const fn flag(name: &'static str) -> Column {
    Column::new(name, Kind::Boolean, "")
}
pub(super) const fn day(name: &'static str) -> Column {
    Column::new(name, Kind::Date, "day")
}
pub(super) const fn instant(name: &'static str) -> Column {
    Column::new(name, Kind::Instant, "instant (UTC)")
}
pub(super) const fn money(name: &'static str) -> Column {
    Column::new(name, Kind::Money, "money")
}
pub(super) const fn count(name: &'static str, unit: &'static str) -> Column {
    Column::new(name, Kind::Int64, unit)
}

/// The position of a column in a contract.
///
/// # Panics
/// When the contract has no such column. This is a typo in this program.
pub(super) fn position(columns: &[Column], name: &str, of: &str) -> usize {
    columns
        .iter()
        .position(|c| c.name == name)
        .unwrap_or_else(|| panic!("contract `{of}` has no column `{name}`"))
}
