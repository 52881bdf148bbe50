//! The form of a dataset's contract: columns, key, row rules, scope, size.

use chrono::NaiveDate;

use super::column::{Column, position};
use super::ids::{DatasetId, SnapshotId};

/// Declares the reasons: the enum, all of them, and the word of each.
macro_rules! reasons {
    ($($reason:ident = $code:literal),* $(,)?) => {
        /// The reason why a row of an export is quarantined and used by no table.
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
    InexactCast = "INEXACT_CAST",
    UnmappedValue = "UNMAPPED_VALUE",
    AmbiguousTime = "AMBIGUOUS_TIME",
}

impl Reason {
    /// Whether a value does not fit the mapping of the job file, rather than a rule.
    pub fn is_of_mapping(self) -> bool {
        matches!(
            self,
            Reason::InexactCast | Reason::UnmappedValue | Reason::AmbiguousTime
        )
    }
}

/// A rule that every used row of an export keeps. Null values pass, because the null rule is tried
/// first.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// No column is above [`MOST_AMOUNT`] (money in units of the currency).
    NotTooLarge { columns: &'static [&'static str] },
    /// No column is smaller than `least` (money in cents).
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

/// The greatest amount of money, views or stock in one row. Sentinels such as 2^63-1 are larger.
/// Sums of fewer than 10 000 such rows fit their columns.
pub const MOST_AMOUNT: i64 = 1_000_000_000_000;

impl Rule {
    /// The reason in the quarantine for rows that break this rule.
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
    /// The day is computed without rows of it.
    Fine,
    /// The day is blocked, unless the job file names the dataset in `may_be_empty`.
    BlocksUnlessAllowed,
    /// The day is blocked.
    Blocks,
}

/// The cause of changes in the size of an export. It decides with which days a day is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// Sales and visits, which rise on days of a campaign.
    Demand,
    /// The campaigns of the day.
    Campaigns,
    /// None: nearly the same size on every day.
    Neither,
}

/// One input dataset: `<exports>/<name>/dt=YYYY-MM-DD/*`.
#[derive(Debug)]
pub struct Dataset {
    /// The id. It also says whether the rows are streamed or kept.
    pub id: DatasetId,
    pub name: &'static str,
    pub grain: &'static str,
    pub columns: &'static [Column],
    /// Columns that identify a row; empty: the dataset has no key.
    pub key: &'static [&'static str],
    /// Value rules, in the order in which they are tried.
    pub rules: &'static [Rule],
    /// Whether every day needs the dataset to be final. The job file can require more datasets, not
    /// fewer.
    pub always_required: bool,
    /// The effect of a day without a row to use.
    pub without_rows: WithoutRows,
    /// The dataset that decides which rows of this one are in scope. It is read first.
    pub scoped_by: Option<SnapshotId>,
    /// The cause of changes in its number of rows. Only the checks before publishing use it.
    pub follows: Follows,
}

impl Dataset {
    /// An optional dataset without key, rules and scope. It may be empty.
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
            follows: Follows::Demand,
        }
    }

    /// Whether its rows are streamed, because they are too many to keep.
    pub const fn is_streamed(&self) -> bool {
        matches!(self.id, DatasetId::Stream(_))
    }

    /// The position of a column. It is the same in the contract and in every batch.
    ///
    /// # Panics
    /// When the contract has no such column. This is a typo in this program.
    pub fn position(&self, column: &str) -> usize {
        position(self.columns, column, self.name)
    }

    /// The folder `<name>/dt=<day>`.
    pub fn partition(&self, day: NaiveDate) -> String {
        format!("{}/dt={day}", self.name)
    }
}
