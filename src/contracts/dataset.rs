//! The form of a dataset's contract: columns, key, row rules, scope, size.

use chrono::NaiveDate;

use super::column::{Column, position};
use super::ids::{DatasetId, SnapshotId};

/// Declares the reasons: the enum, all of them, and the word of each.
macro_rules! reasons {
    ($($reason:ident = $code:literal),* $(,)?) => {
        /// Why a row of an export takes no part in any table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason {
            $($reason),*
        }

        impl Reason {
            pub const ALL: &'static [Reason] = &[$(Reason::$reason),*];

            /// The word in quarantine files and manifests.
            pub fn code(self) -> &'static str {
                match self {
                    $(Reason::$reason => $code),*
                }
            }
        }
    };
}

reasons! {
    NullValue = "NULL_VALUE",
    TooLarge = "TOO_LARGE",
    BadQuantity = "BAD_QUANTITY",
    NegativeMoney = "NEGATIVE_MONEY",
    NegativeCount = "NEGATIVE_COUNT",
    OutsideDay = "OUTSIDE_DAY",
    BadChannel = "BAD_CHANNEL",
    BadEnum = "BAD_ENUM",
    BadRange = "BAD_RANGE",
    DuplicateKey = "DUPLICATE_KEY",
}

/// A rule that every used row of an export keeps. Null values pass: the null rule comes first.
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

/// The greatest amount of money, views or stock of one row; sentinels such as 2^63-1 are larger.
/// Sums of fewer than 10 000 such rows fit their columns.
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

/// The meaning of a final export without a row to use.
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
    /// Says whether its rows are streamed or kept.
    pub id: DatasetId,
    pub name: &'static str,
    pub grain: &'static str,
    pub columns: &'static [Column],
    /// Columns that identify a row; empty: the dataset has no key.
    pub key: &'static [&'static str],
    /// Value rules, in the order in which they are tried.
    pub rules: &'static [Rule],
    /// A day is never final without it; the configuration can require more, not less.
    pub always_required: bool,
    /// Whether a day may have no row to use.
    pub without_rows: WithoutRows,
    /// The dataset whose rows decide which rows of this one are in scope; read before it.
    pub scoped_by: Option<SnapshotId>,
}

impl Dataset {
    /// An optional dataset without key, rules and scope, which may be empty.
    pub(super) const fn of(id: DatasetId) -> Dataset {
        Dataset {
            id,
            name: id.name(),
            grain: "",
            columns: &[],
            key: &[],
            rules: &[],
            always_required: false,
            without_rows: WithoutRows::Fine,
            scoped_by: None,
        }
    }

    /// Whether its rows are too many to keep.
    pub const fn is_streamed(&self) -> bool {
        matches!(self.id, DatasetId::Stream(_))
    }

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
