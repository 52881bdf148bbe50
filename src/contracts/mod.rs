//! Stage 1: what every export and every result table looks like; the one definition of each column.
//!
//! Everything that knows a column by name knows it from here: checking and casting of exports
//! (`exports`), sorting and conforming of results (`Table::conform`), the Parquet key-value
//! metadata (`metadata`), `docs/tables.md` (`markdown`) and the generator's writers.

pub mod arrow;
pub mod conform;
pub mod datasets;
pub mod markdown;
pub mod metadata;
pub mod sums;
pub mod tables;

use chrono::NaiveDate;

/// What a column holds. Each kind has one form in a file and one in memory.
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
    /// The type as SPEC.md and error messages write it.
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

/// One column of an export or a result table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// `""` for names and identifiers.
    pub unit: &'static str,
    /// How the value comes about; `""` where the name says it.
    pub formula: &'static str,
    /// What null means; `None`: the column is never null.
    pub null: Option<&'static str>,
}

impl Column {
    pub const fn new(name: &'static str, kind: Kind, unit: &'static str) -> Self {
        Column {
            name,
            kind,
            unit,
            formula: "",
            null: None,
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

    pub const fn named(self, name: &'static str) -> Self {
        Column { name, ..self }
    }
}

// Columns of the kinds that both exports and results have.
const fn id(name: &'static str) -> Column {
    Column::new(name, Kind::Int64, "")
}
const fn text(name: &'static str) -> Column {
    Column::new(name, Kind::Text, "")
}
const fn flag(name: &'static str) -> Column {
    Column::new(name, Kind::Boolean, "")
}
const fn day(name: &'static str) -> Column {
    Column::new(name, Kind::Date, "day")
}
const fn instant(name: &'static str) -> Column {
    Column::new(name, Kind::Instant, "instant (UTC)")
}
const fn money(name: &'static str) -> Column {
    Column::new(name, Kind::Money, "money")
}
const fn count(name: &'static str, unit: &'static str) -> Column {
    Column::new(name, Kind::Int64, unit)
}

/// Why a row of an export takes no part in any table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    NullValue,
    TooLarge,
    BadQuantity,
    NegativeMoney,
    NegativeCount,
    OutsideDay,
    BadChannel,
    BadEnum,
    BadRange,
    DuplicateKey,
}

impl Reason {
    pub const ALL: [Reason; 10] = [
        Reason::NullValue,
        Reason::TooLarge,
        Reason::BadQuantity,
        Reason::NegativeMoney,
        Reason::NegativeCount,
        Reason::OutsideDay,
        Reason::BadChannel,
        Reason::BadEnum,
        Reason::BadRange,
        Reason::DuplicateKey,
    ];

    /// The word in quarantine files and manifests.
    pub fn code(self) -> &'static str {
        match self {
            Reason::NullValue => "NULL_VALUE",
            Reason::TooLarge => "TOO_LARGE",
            Reason::BadQuantity => "BAD_QUANTITY",
            Reason::NegativeMoney => "NEGATIVE_MONEY",
            Reason::NegativeCount => "NEGATIVE_COUNT",
            Reason::OutsideDay => "OUTSIDE_DAY",
            Reason::BadChannel => "BAD_CHANNEL",
            Reason::BadEnum => "BAD_ENUM",
            Reason::BadRange => "BAD_RANGE",
            Reason::DuplicateKey => "DUPLICATE_KEY",
        }
    }
}

/// A rule that every used row of an export keeps; null values pass (the null rule comes first).
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// None of the columns is above [`MOST_AMOUNT`] (money in units of the currency).
    NotTooLarge { columns: &'static [&'static str] },
    /// None of the columns is smaller than `least` (for money: cents).
    AtLeast {
        columns: &'static [&'static str],
        least: i64,
        reason: Reason,
    },
    /// The instant lies within the civil day.
    InsideDay { column: &'static str },
    /// The text is not empty.
    NotEmpty {
        column: &'static str,
        reason: Reason,
    },
    /// The text is one of the values.
    OneOf {
        column: &'static str,
        values: &'static [&'static str],
    },
    /// `first` is not after `last`.
    Ordered {
        first: &'static str,
        last: &'static str,
    },
}

/// No amount of money, views or stock of one row is larger; sentinels such as 2^63-1 are. Sums of
/// fewer than 10 000 such rows fit their columns.
pub const MOST_AMOUNT: i64 = 1_000_000_000_000;

impl Rule {
    /// The reason that a row which breaks this rule is quarantined with.
    pub fn reason(&self) -> Reason {
        match self {
            Rule::AtLeast { reason, .. } | Rule::NotEmpty { reason, .. } => *reason,
            Rule::NotTooLarge { .. } => Reason::TooLarge,
            Rule::InsideDay { .. } => Reason::OutsideDay,
            Rule::OneOf { .. } => Reason::BadEnum,
            Rule::Ordered { .. } => Reason::BadRange,
        }
    }
}

/// What it means that a final export has no row to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutRows {
    /// Nothing special.
    Fine,
    /// The day is blocked, unless the job file names the dataset in `may_be_empty`.
    BlocksUnlessAllowed,
    /// The day is blocked.
    Blocks,
}

/// One input dataset: `<exports>/<name>/dt=YYYY-MM-DD/*`.
#[derive(Debug)]
pub struct Dataset {
    pub name: &'static str,
    pub grain: &'static str,
    pub columns: &'static [Column],
    /// Columns that identify a row; empty: the dataset has no key.
    pub key: &'static [&'static str],
    /// Value rules, in the order in which they are tried.
    pub rules: &'static [Rule],
    /// Without it a day is never final; the configuration can require more, not less.
    pub always_required: bool,
    /// Whether a day may go by without a row to use.
    pub without_rows: WithoutRows,
}

impl Dataset {
    /// The position of a column, which is the same in the contract and in every batch read under
    /// it.
    ///
    /// # Panics
    /// When the contract has no such column: a typing error in this program.
    pub fn position(&self, column: &str) -> usize {
        position(self.columns, column, self.name)
    }

    /// `<name>/dt=<day>`
    pub fn partition(&self, day: NaiveDate) -> String {
        format!("{}/dt={day}", self.name)
    }
}

/// What a result table is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// One day's exports only.
    Rollup,
    /// Published rollups over a longer window, and snapshots of the report day.
    Window,
    /// Tables of the benchmark day; the only tables that a fallback writes.
    Benchmark,
}

/// One result table: `<results>/<name>/dt=YYYY-MM-DD/part-0.parquet`.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub stage: Stage,
    pub grain: &'static str,
    /// File order.
    pub columns: &'static [Column],
    /// Columns that identify a row; rows are sorted by them.
    pub key: &'static [&'static str],
    /// Optional exports without which the table is not written for the day.
    pub needs: &'static [&'static str],
    /// Columns that are null without an optional export: (dataset, columns).
    pub columns_need: &'static [(&'static str, &'static [&'static str])],
    /// Raised when the meaning of a column changes, so that what was published before counts as
    /// stale.
    pub version: u32,
}

impl Table {
    /// # Panics
    /// When the contract has no such column: a typing error in this program.
    pub fn column(&self, name: &str) -> &'static Column {
        &self.columns[position(self.columns, name, self.name)]
    }

    /// `<name>/dt=<day>`
    pub fn partition(&self, day: NaiveDate) -> String {
        format!("{}/dt={day}", self.name)
    }
}

/// The file that holds a partition's rows; one fixed name, so that a glob reads exactly one
/// version.
pub const PART_FILE: &str = "part-0.parquet";
/// Hadoop's mark of a complete folder; in results it has zero bytes (a Polars folder scan fails on
/// a longer one).
pub const SUCCESS_FILE: &str = "_SUCCESS";

fn position(columns: &[Column], name: &str, of: &str) -> usize {
    columns
        .iter()
        .position(|c| c.name == name)
        .unwrap_or_else(|| panic!("contract `{of}` has no column `{name}`"))
}
