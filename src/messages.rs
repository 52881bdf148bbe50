//! Every message of the exit codes 65, 74, 75 and 78, as data.
//!
//! Each entry of the list below holds the text of an error and its explanation for an operator. The
//! entry makes a function, and only these functions make the errors. So a new message cannot lack
//! its entry, its remedy or one of its places. `docs/messages.md` is generated from the list.

use std::fmt::{self, Debug, Display, Write};

use crate::exit_code::ExitCode;
use crate::failure::{Failure, FailureKind, Parts};

/// One message, as `docs/messages.md` shows it.
pub struct Message {
    /// The function that makes the error.
    pub name: &'static str,
    /// The exit code of a run that ends with this message.
    pub code: ExitCode,
    /// The object that failed and the reason, with `{places}`.
    pub text: &'static str,
    /// The next step; printed after the text.
    pub to_do: &'static str,
    /// The explanation, for somebody who sees the message for the first time.
    pub means: &'static str,
    /// The results that readers see until the problem is fixed.
    pub meanwhile: &'static str,
}

/// A defect of an export: 65.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub Parts);

impl Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

/// The last line of a run whose day has to wait: 75.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting(pub Parts);

impl Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

/// What a message makes: a defect, a reason to wait, or a failure of the named kind.
macro_rules! made {
    (@type Broken) => {
        Broken
    };
    (@type Waiting) => {
        Waiting
    };
    (@type $kind:ident) => {
        Failure
    };
    (@code Broken) => {
        ExitCode::Blocked
    };
    (@code Waiting) => {
        ExitCode::TryLater
    };
    (@code $kind:ident) => {
        FailureKind::$kind.exit_code()
    };
    (@value Broken, $parts:expr) => {
        Broken($parts)
    };
    (@value Waiting, $parts:expr) => {
        Waiting($parts)
    };
    (@value $kind:ident, $parts:expr) => {
        Failure::new(FailureKind::$kind, $parts)
    };
}

/// Makes a function of each message, and the list. A place that neither text names does not
/// compile, nor does a name without a place.
macro_rules! messages {
    ($(
        $name:ident($($place:ident),*) -> $made:ident {
            text: $text:literal,
            to_do: $to_do:literal,
            means: $means:literal,
            meanwhile: $meanwhile:expr,
        }
    )*) => {
        $(
            #[doc = $means]
            pub fn $name($($place: impl Display + Debug),*) -> made!(@type $made) {
                // One format for both texts, so that each place may be in either of them. A NUL,
                // which no text contains, separates them.
                let both = format!(concat!($text, "\u{0}", $to_do), $($place = $place),*);
                let (text, to_do) = both.split_once('\u{0}').unwrap_or((&both, ""));
                let (what, next) = (text.to_owned(), to_do.to_owned());
                let parts = Parts { what, why: $means, tonight: $meanwhile, next };
                made!(@value $made, parts)
            }
        )*

        /// Every message.
        pub const MESSAGES: &[Message] = &[$(
            Message {
                name: stringify!($name),
                code: made!(@code $made),
                text: $text,
                to_do: $to_do,
                means: $means,
                meanwhile: $meanwhile,
            },
        )*];
    };
}

/// Of a broken export. An optional one only lacks the tables and columns that need it.
const BROKEN: &str = "the day's earlier version or, if there is none, benchmarks of the day before; where the export is optional, everything except the tables and columns that need it";
const KEPT: &str = "the earlier results; nothing new of the day";
const NOTHING: &str = "the earlier results; the command does not start";
const UNCHANGED: &str = "the results as they are; this command does not change them";
const AS_IF_MISSING: &str = "all results; other days are computed as if this day were missing, and this day is reported as failed";
const WHOLE: &str = "the earlier results; the next run finishes the commit";

messages! {
    blocked(day, datasets, stands_in) -> Broken {
        text: "{day}: blocked by {datasets}{stands_in}",
        to_do: "have the export fixed, then run again",
        means: "A required export breaks its contract, has more bad rows than the budget allows, or has no row to use. An earlier warning gives the reason.",
        meanwhile: "the day's earlier version; if there is none, the benchmarks of the day before stand in, and the message says so",
    }

    breaks_its_contract(issue, remedy) -> Broken {
        text: "breaks its contract: {issue}",
        to_do: "{remedy}",
        means: "Files, columns, types or values differ from the contract. The issue is one of the messages of this table from \"a folder with something in it\" on.",
        meanwhile: BROKEN,
    }
    over_budget(quarantined, read, reasons) -> Broken {
        text: "is over its quarantine budget: {quarantined} of {read} rows: {reasons}",
        to_do: "have the export fixed, or raise the quarantine budget in the job file",
        means: "More rows break a rule than the job file allows. The message shows the first row of each reason.",
        meanwhile: BROKEN,
    }
    over_half(quarantined, read, reasons) -> Broken {
        text: "is over its quarantine budget: {quarantined} of {read} rows: {reasons}",
        to_do: "have the export fixed",
        means: "More than half of the rows break a rule. No budget allows that.",
        meanwhile: BROKEN,
    }
    unfit_mapping(quarantined, read, reasons) -> Broken {
        text: "is over its quarantine budget: {quarantined} of {read} rows: {reasons}",
        to_do: "correct the mapping of these columns in the job file, or have the export fixed",
        means: "Values do not fit the mapping of their columns in the job file (docs/your-own-exports.md).",
        meanwhile: BROKEN,
    }
    outside_day(quarantined, read, reasons, day) -> Broken {
        text: "is over its quarantine budget: {quarantined} of {read} rows: {reasons}",
        to_do: "export the rows of {day}, or correct time_zone in the job file",
        means: "Rows lie outside the civil day of the job's time zone. The export is cut in another zone, usually UTC.",
        meanwhile: BROKEN,
    }
    nothing_left(read, reasons) -> Broken {
        text: "has no row left to use: all {read} are quarantined: {reasons}",
        to_do: "have the export fixed",
        means: "Every row breaks a rule.",
        meanwhile: BROKEN,
    }
    no_rows(hidden) -> Broken {
        text: "has no row to use{hidden}",
        to_do: "have the day exported again, with its rows",
        means: "The dataset must have rows on every day. Files whose names start with . or _ are not data; the message names them.",
        meanwhile: BROKEN,
    }
    no_rows_yet_allowed(hidden) -> Broken {
        text: "has no row to use{hidden}",
        to_do: "have the day exported again, with its rows; if a day may have none, name the dataset in may_be_empty",
        means: "The export is incomplete, or the day had no sales or no visits.",
        meanwhile: BROKEN,
    }
    checks_failed(checks, day) -> Broken {
        text: "is not like earlier days: {checks}",
        to_do: "have the export checked; if it is right, run: campaign-etl backfill --from {day} --to {day} --accept-checks",
        means: "A check before publishing failed, and its severity in the job file is \"block\" (docs/checks.md). The message shows the numbers of the day and the ranges in which they were expected.",
        meanwhile: "the day's earlier version or, if there is none, benchmarks of the day before",
    }
    sum_too_large(sum) -> Broken {
        text: "{sum}",
        to_do: "have the amounts of the shop checked and exported again",
        means: "A sum over a shop does not fit its column. Each amount is within its limit, but the amounts are absurd.",
        meanwhile: "the day's other tables, except those that read this one",
    }
    reads_unwritten(table) -> Broken {
        text: "it reads {table}, which is not written",
        to_do: "fix that table first",
        means: "The table is left out because a table that it is computed from was left out.",
        meanwhile: "the day's other tables",
    }
    stray_folder() -> Broken {
        text: "a folder with something in it",
        to_do: "write the files directly into the folder of the day, without further partitions",
        means: "Spark's partitionBy wrote one folder deeper, or a folder was copied. Its rows would be left out.",
        meanwhile: BROKEN,
    }
    stray_link() -> Broken {
        text: "a link to nothing",
        to_do: "restore the linked file, or remove the link",
        means: "The linked file is gone. Its rows would be left out.",
        meanwhile: BROKEN,
    }
    stray_name() -> Broken {
        text: "a name that cannot be read",
        to_do: "rename it (UTF-8, no control characters, no # and digits at the end), or remove it",
        means: "The name has control characters, is not UTF-8, or ends with # and digits. On a disk, such an ending marks an unfinished file.",
        meanwhile: BROKEN,
    }
    stray_device() -> Broken {
        text: "neither a file nor a folder",
        to_do: "remove it",
        means: "A pipe, a socket or a device lies among the files.",
        meanwhile: BROKEN,
    }
    not_parquet(found) -> Broken {
        text: "{found}",
        to_do: "export the file again; it is truncated or damaged",
        means: "The file is not a complete Parquet file, a page has a wrong checksum, or its sizes and counts contradict one another.",
        meanwhile: BROKEN,
    }
    encrypted() -> Broken {
        text: "an encrypted file",
        to_do: "export the file without Parquet encryption; this program holds no keys",
        means: "The footer or columns are encrypted.",
        meanwhile: BROKEN,
    }
    no_column(near) -> Broken {
        text: "no such column{near}",
        to_do: "map it from a column of the files in the job file, or add the column to the export",
        means: "A column of the contract is missing (docs/tables.md), or the files have it under another name.",
        meanwhile: BROKEN,
    }
    column_in_other_case(name) -> Broken {
        text: "{name}: names are compared exactly",
        to_do: "map it from the column as the files spell it in the job file, or write lower case in the export",
        means: "The column exists in upper or mixed case, as Snowflake writes it. Column names are case-sensitive.",
        meanwhile: BROKEN,
    }
    column_twice() -> Broken {
        text: "several columns of that name",
        to_do: "keep one of them",
        means: "The program cannot know which of the columns holds the value.",
        meanwhile: BROKEN,
    }
    text_of_an_id(found) -> Broken {
        text: "{found}",
        to_do: "give the column text_id in the job file, or cast it to INT64 in the export",
        means: "The ids of the contract are whole numbers.",
        meanwhile: BROKEN,
    }
    minor_units(found) -> Broken {
        text: "{found}",
        to_do: "give the column scale in the job file (2 for cents), or cast it to DECIMAL(18,2) in the export",
        means: "An amount of the contract has two decimal places. A whole number can be units or cents.",
        meanwhile: BROKEN,
    }
    needs_no_verb(found, verb) -> Broken {
        text: "{found}",
        to_do: "leave {verb} out of the mapping of this column: its values need no change",
        means: "The column already has the type of the contract.",
        meanwhile: BROKEN,
    }
    has_zone(found) -> Broken {
        text: "{found} with a zone",
        to_do: "leave time_zone out of the mapping: these instants need none",
        means: "The job file says that the column holds local times, but it holds instants.",
        meanwhile: BROKEN,
    }
    shared_id(texts, id) -> Broken {
        text: "{texts} have one id: {id}",
        to_do: "have one of these texts replaced by another in all exports of the day, or write the ids as numbers",
        means: "`text_id` gives each text that is no number an id of 63 bits by its hash, and two texts of the day have the same one.",
        meanwhile: BROKEN,
    }
    float_money(found) -> Broken {
        text: "{found}, which cannot hold cents exactly",
        to_do: "write DECIMAL(18,2), or whole minor units with scale in the mapping of the job file",
        means: "Amounts in binary fractions are not exact, and sums of them depend on their order.",
        meanwhile: BROKEN,
    }
    other_type(found, wanted) -> Broken {
        text: "{found}",
        to_do: "cast the column to {wanted} in the export",
        means: "The type of the column is not accepted for the type of the contract.",
        meanwhile: BROKEN,
    }
    no_zone(found) -> Broken {
        text: "{found}",
        to_do: "give the column time_zone in the job file, or write instants adjusted to UTC: Spark TIMESTAMP (not TIMESTAMP_NTZ), DuckDB TIMESTAMPTZ, Arrow timestamp('us', 'UTC')",
        means: "A local time without a zone, or a text, can be several instants.",
        meanwhile: BROKEN,
    }
    raw_bytes(found) -> Broken {
        text: "{found}",
        to_do: "write the column as STRING (UTF8), not as raw bytes",
        means: "Bytes without the text annotation can have any encoding.",
        meanwhile: BROKEN,
    }
    not_whole_cents(value, row) -> Broken {
        text: "{value} in row {row}",
        to_do: "write whole cents of less than 10^16 in the export",
        means: "The amount is not an exact value of DECIMAL(18,2).",
        meanwhile: BROKEN,
    }
    not_a_number_of_the_type(value, row) -> Broken {
        text: "{value} in row {row}",
        to_do: "write the number of the event, or null where the contract allows it",
        means: "A whole number does not fit the type of the contract.",
        meanwhile: BROKEN,
    }
    no_civil_instant(value, row) -> Broken {
        text: "{value} in row {row}",
        to_do: "write the instant of the event; infinity has no calendar day",
        means: "The instant lies outside the years 1 to 9999, such as DuckDB's infinity. Readers of the results cannot hold it.",
        meanwhile: BROKEN,
    }
    no_civil_day(value, row) -> Broken {
        text: "{value} in row {row}",
        to_do: "write an open end as 9999-12-31",
        means: "The date lies outside the years 1 to 9999, such as DuckDB's infinity. Readers of the results cannot hold it.",
        meanwhile: BROKEN,
    }
    not_a_success_list(found) -> Broken {
        text: "{found}",
        to_do: "write _SUCCESS empty or with its list",
        means: "_SUCCESS is neither empty nor a JSON object.",
        meanwhile: BROKEN,
    }
    success_lies(found) -> Broken {
        text: "{found}",
        to_do: "export the day again, with _SUCCESS written last",
        means: "The files differ from the list in _SUCCESS in names, sizes or row counts.",
        meanwhile: BROKEN,
    }

    store_failed(what, path, why) -> StoreFailed {
        text: "cannot {what} {path}: {why}",
        to_do: "run again; if it fails again, check that the store can be reached",
        means: "The store gave no answer, or an error, after all retries.",
        meanwhile: KEPT,
    }
    not_permitted(what, path, why) -> StoreFailed {
        text: "no right to {what} {path}: {why}",
        to_do: "give the account of the job that right, then run again",
        means: "The disk or the store denies this to the account: permissions, a read-only mount, missing or wrong keys.",
        meanwhile: KEPT,
    }
    no_room(what, path, why) -> StoreFailed {
        text: "no room to {what} {path}: {why}",
        to_do: "make room there, then run again",
        means: "The disk is full, or the account's quota is used up.",
        meanwhile: KEPT,
    }
    cannot_open(location, why) -> StoreFailed {
        text: "cannot open {location}: {why}",
        to_do: "check the location in the job file or on the command line, and that it is mounted",
        means: "The folder of the exports does not exist, or the folder of the results cannot be created.",
        meanwhile: NOTHING,
    }
    no_datasets(location, wanted, found) -> StoreFailed {
        text: "{location} has no folder of any dataset ({wanted}, ...); found: {found}",
        to_do: "correct `exports` or `path` of `[source]` in the job file",
        means: "The location of the exports, or the path of the datasets below it, is mistyped. Waiting would not help.",
        meanwhile: NOTHING,
    }
    other_bytes(path) -> StoreFailed {
        text: "{path} was written, but the store returns other bytes",
        to_do: "check the disk or the store, then run again",
        means: "Every file is read back before it is published. The disk, the network or the store damages data.",
        meanwhile: KEPT,
    }
    other_file_system(path, staging) -> StoreFailed {
        text: "{path} is on another file system than {staging}, so no file can be moved there in one step",
        to_do: "keep all results on one file system",
        means: "Files are staged beside the tables and then moved in one step. The table's folder is a link to another disk, or a mount of one.",
        meanwhile: KEPT,
    }
    in_the_way(path, what) -> StoreFailed {
        text: "cannot publish: {path} is {what}",
        to_do: "move it away, then run again",
        means: "Something that this program did not create lies at the path of a published file.",
        meanwhile: KEPT,
    }
    spark_failed(remote, why) -> StoreFailed {
        text: "the Spark server {remote} failed: {why}",
        to_do: "check the server, and run again; or run with --engine local",
        means: "The server that computes the rollups cannot be reached, was stopped, or refused a query.",
        meanwhile: NOTHING,
    }
    spark_cannot(path, why) -> ConfigWrong {
        text: "the engine spark cannot read {path}: {why}",
        to_do: "run with --engine local",
        means: "A server would read such a file in another way than this program, so nothing is computed from it.",
        meanwhile: NOTHING,
    }
    no_spark_remote() -> ConfigWrong {
        text: "the engine spark has no server",
        to_do: "name it as spark.remote in the job file or with --spark-remote: sc://HOST:15002",
        means: "The setting `engine` or the flag `--engine` asks for a cluster that the job file does not name.",
        meanwhile: NOTHING,
    }
    no_spark_here() -> ConfigWrong {
        text: "this program was built without the engine spark",
        to_do: "build it with: cargo build --release --locked --features spark; or run with --engine local",
        means: "The engine is a feature of the build, because it needs protoc and more time.",
        meanwhile: NOTHING,
    }
    damaged_record(path, why) -> StoreFailed {
        text: "the commit record {path} {why}",
        to_do: "delete it and run again; tables that it left half published are computed again",
        means: "A record of the commit log was changed by somebody else.",
        meanwhile: NOTHING,
    }
    damaged_manifest(path, why, day) -> StoreFailed {
        text: "the manifest {path} {why}",
        to_do: "delete it and run: campaign-etl backfill --from {day} --to {day}",
        means: "The manifest, which lists the published files of a day, was removed or changed by somebody else.",
        meanwhile: AS_IF_MISSING,
    }
    damaged_result(path, day, why) -> StoreFailed {
        text: "the result file {path} is damaged: {why}",
        to_do: "delete it and run: campaign-etl backfill --from {day} --to {day}",
        means: "Somebody else removed or changed a published file, and it is no longer a Parquet file of its table.",
        meanwhile: NOTHING,
    }
    no_version(table, day, commit, path) -> StoreFailed {
        text: "the version of {table} of {day} after commit {commit} was not kept: {path} is gone or holds other bytes",
        to_do: "compare later commits; replaced files are kept for history.keep_days of the job file",
        means: "A file that a commit replaced is kept until `vacuum` removes it. This one was removed, was never kept, or was changed by somebody else.",
        meanwhile: UNCHANGED,
    }
    no_such_commit(commit, newest) -> ConfigWrong {
        text: "there is no commit {commit} yet",
        to_do: "give --as-of from 1 to {newest}, the newest commit",
        means: "`catalog --as-of` names a commit that no run has written. Later commits could still change its files.",
        meanwhile: UNCHANGED,
    }
    commit_not_in_place(commit) -> Held {
        text: "the files of commit {commit} are not all in place",
        to_do: "try again later; if no run is at work, the next run moves them",
        means: "`catalog --as-of` is asked while a run moves files, or after one was interrupted. It would name files of two commits.",
        meanwhile: WHOLE,
    }
    before_history(commit, day, oldest) -> StoreFailed {
        text: "the results are not known as they were after commit {commit}: the oldest manifest of {day} is that of commit {oldest}, and earlier ones may have been removed",
        to_do: "give a commit that is still kept; history.keep_days in the job file says for how long",
        means: "`vacuum` removes manifests and files that were replaced longer ago than the history is kept. The commit is older.",
        meanwhile: UNCHANGED,
    }
    cannot_write(path, why) -> StoreFailed {
        text: "cannot write {path}: {why}",
        to_do: "check the path of --out",
        means: "The file of `--out` cannot be written.",
        meanwhile: UNCHANGED,
    }
    job_file_exists(path) -> ConfigWrong {
        text: "{path} exists",
        to_do: "name another file with --out, or move this one away",
        means: "`init` never overwrites a file.",
        meanwhile: NOTHING,
    }
    no_day_folders(location, found, notes) -> ConfigWrong {
        text: "{location} has no folder that is named by a day; found: {found}{notes}",
        to_do: "name the location whose folders hold the days of the exports with --exports; where their names have another form, write path in the job file by hand (docs/your-own-exports.md)",
        means: "`init` found no folder such as dt=2026-03-14, dt=2026-03-14 00:00:00, date=20260314, 2026/03/14 or year=2026/month=03/day=14, in all that it searched.",
        meanwhile: NOTHING,
    }
    no_dataset_found(location, found, notes) -> ConfigWrong {
        text: "{location}: no dataset was found in the folders of its days; found: {found}{notes}",
        to_do: "correct the reasons that are given; where columns are the reason, compare them with docs/exports.md, and write the mapping by hand (docs/your-own-exports.md)",
        means: "`init` looked for a Parquet file in each group of day folders. None has enough columns that are like those of a dataset in name and type. The message gives the reason of each group.",
        meanwhile: NOTHING,
    }
    folder_exists(path) -> ConfigWrong {
        text: "{path} exists",
        to_do: "name a new folder for the pages, or remove this one",
        means: "The folder of `report --all --out` exists. Pages of two days are never mixed.",
        meanwhile: UNCHANGED,
    }
    no_metric(metric, tables) -> ConfigWrong {
        text: "no table of shops has a column {metric:?}",
        to_do: "give a column of docs/tables.md; --table takes one of {tables}",
        means: "The name is neither a column of a table with shops nor a metric of the benchmarks, or the table of --table does not have it.",
        meanwhile: UNCHANGED,
    }
    no_such_table(name, hint) -> ConfigWrong {
        text: "there is no table or export {name:?}",
        to_do: "{hint}`campaign-etl describe` lists all",
        means: "`describe` is asked about a name that no table and no export has.",
        meanwhile: UNCHANGED,
    }
    no_such_column(table, column, hint) -> ConfigWrong {
        text: "{table} has no column {column:?}",
        to_do: "{hint}`campaign-etl describe {table}` lists its columns",
        means: "`describe` is asked about a column that the table or export has not.",
        meanwhile: UNCHANGED,
    }
    not_published(table, day, why) -> ConfigWrong {
        text: "{table} of {day} is not published: {why}",
        to_do: "run campaign-etl status --day {day}, which lists missing exports and tables",
        means: "No run published this table for the day: its exports were not final or are blocked, or the table was skipped.",
        meanwhile: UNCHANGED,
    }
    no_exports_for_sql(day, missing) -> ConfigWrong {
        text: "the exports of {day} are not there: {missing}",
        to_do: "bring them back, or ask `explain` without --sql",
        means: "The query of `explain --sql` reads the exports of the day, and required ones are no longer final.",
        meanwhile: UNCHANGED,
    }
    no_receipt(path, why) -> ConfigWrong {
        text: "{path} is not a receipt: {why}",
        to_do: "give the file of an answer of campaign-etl explain --format json",
        means: "`explain --verify` reads an answer of `explain --format json`. The file is another document, was cut, or was written by a version whose answers have no hashes.",
        meanwhile: UNCHANGED,
    }
    no_row_of_shop(shop_id, day) -> ConfigWrong {
        text: "shop {shop_id} has no published row on {day}",
        to_do: "check the number of the shop; campaign-etl status --day {day} shows whether the day is published",
        means: "`report` was asked about a shop that is in no export of the day.",
        meanwhile: UNCHANGED,
    }
    not_in_campaign(shop_id, campaign, day) -> ConfigWrong {
        text: "shop {shop_id} is not in campaign {campaign} on {day}",
        to_do: "leave out --campaign, or give a campaign of shop_period",
        means: "`report --campaign` names a campaign in which the shop has no row of shop_period.",
        meanwhile: UNCHANGED,
    }
    nothing_compared(shop_id, day) -> ConfigWrong {
        text: "no published row of shop {shop_id} on {day} matches",
        to_do: "check --shop and the columns of the key; campaign-etl status --day {day} shows the tables of the day",
        means: "`explain` was asked to compare the numbers of a shop, and found none to compare: the shop, the table or a column of the key is mistyped, or the table is not published.",
        meanwhile: UNCHANGED,
    }
    several_rows(table, rows, choices) -> ConfigWrong {
        text: "{rows} rows of {table} match",
        to_do: "choose one with {choices}",
        means: "The key of the table has more columns than the command gives.",
        meanwhile: UNCHANGED,
    }
    no_commits(day, found) -> ConfigWrong {
        text: "{day} has no two commits to compare: {found}",
        to_do: "give --from and --to from this list, or another day",
        means: "A comparison needs two publications of the day. It was published once, or never.",
        meanwhile: UNCHANGED,
    }
    log_gone(folder) -> StoreFailed {
        text: "the commit log {folder} was removed while this run was writing",
        to_do: "run again",
        means: "Somebody deleted records of the results during a run. New commit numbers follow those of the manifests.",
        meanwhile: WHOLE,
    }
    commit_given_up(number) -> StoreFailed {
        text: "commit {number} was written by an earlier attempt of this run",
        to_do: "run again",
        means: "The store wrote the commit, but its answer was lost.",
        meanwhile: WHOLE,
    }
    staged_gone(files) -> StoreFailed {
        text: "staged files are gone: {files}",
        to_do: "run again; their tables are computed again",
        means: "Somebody deleted files under `_staging/` during a run.",
        meanwhile: "the day's other tables; the tables of these files have no `_SUCCESS`",
    }
    spoilt_file(path, how, day) -> StoreFailed {
        text: "the published file {path} {how}",
        to_do: "restore it, or delete it and run: campaign-etl backfill --from {day} --to {day}",
        means: "Another table is computed from this file. Somebody replaced or removed it, so it does not match its manifest.",
        meanwhile: AS_IF_MISSING,
    }
    other_contract(path, why, day) -> StoreFailed {
        text: "the published file {path} does not match its contract: {why}",
        to_do: "delete it and run: campaign-etl backfill --from {day} --to {day}",
        means: "Another table is computed from this file. Another version of this program wrote it, with other columns.",
        meanwhile: AS_IF_MISSING,
    }
    cannot_spill(folder, why) -> StoreFailed {
        text: "cannot spill to {folder}: {why}",
        to_do: "name a folder with room in spill_folder, or raise memory_limit",
        means: "Rows that do not fit into memory are spilled to a local disk. They do not fit there either.",
        meanwhile: KEPT,
    }
    too_many_text_ids(datasets, most) -> StoreFailed {
        text: "{datasets}: more than {most} texts are ids by their hash, too many to compare",
        to_do: "raise memory_limit, or write these ids as numbers",
        means: "Texts that are no numbers are ids by their hash, and all of a day are compared in memory, so that no two have one id. They take up to an eighth of memory_limit.",
        meanwhile: KEPT,
    }
    cannot_read_spilled(why) -> StoreFailed {
        text: "cannot read spilled rows back: {why}",
        to_do: "check the disk of spill_folder, then run again",
        means: "The local disk for rows that do not fit into memory fails.",
        meanwhile: KEPT,
    }
    no_threads(why) -> StoreFailed {
        text: "the machine starts no more threads: {why}",
        to_do: "raise the limit of processes for the job (ulimit -u, pids.max), or give fewer --threads",
        means: "A limit of the account or its control group is reached.",
        meanwhile: KEPT,
    }
    no_stdout(why) -> StoreFailed {
        text: "cannot write to stdout: {why}",
        to_do: "check the file or device of stdout; the command itself is done",
        means: "The file or device of stdout is full or gone. Exit code 0 becomes 74; a graver code stays.",
        meanwhile: "everything that the command published",
    }
    exists_already(path) -> ConfigWrong {
        text: "{path} exists already",
        to_do: "write into a new folder, or remove this one first",
        means: "`generate` writes into new folders only, so that exports of two runs never mix.",
        meanwhile: UNCHANGED,
    }
    cannot_generate(why) -> StoreFailed {
        text: "cannot write exports: {why}",
        to_do: "check the folder of --out",
        means: "`generate` cannot write into its output folder.",
        meanwhile: UNCHANGED,
    }

    not_final(day, missing, stands_in) -> Waiting {
        text: "{day}: not final yet, waiting for {missing}{stands_in}",
        to_do: "run again later",
        means: "Required exports of the day have no `_SUCCESS` yet, changed a short time ago (`settle_minutes`), or changed while they were read.",
        meanwhile: "the day's earlier version; if there is none, the benchmarks of the day before stand in where they can, and the message says so",
    }
    held(holder) -> Held {
        text: "the results are held by {holder}",
        to_do: "try again later",
        means: "Another run is at work, or died less than `lease_seconds` ago. `campaign-etl status` shows it.",
        meanwhile: "the results of the other run",
    }
    lease_lost() -> LeaseLost {
        text: "another run took over the results because this one sent no heartbeat in time",
        to_do: "try again later",
        means: "The process or the machine was paused, or could not reach the store, for longer than `lease_seconds`.",
        meanwhile: "the results of the other run; days that this run had committed stay",
    }

    no_job_file(path, why) -> ConfigWrong {
        text: "cannot read the job file {path}: {why}",
        to_do: "name it with --config FILE",
        means: "The job file does not exist, is not readable or is not UTF-8. Its path is relative to the working directory.",
        meanwhile: NOTHING,
    }
    not_a_job_file(at, why) -> ConfigWrong {
        text: "{at}{why}",
        to_do: "correct this line",
        means: "The job file is not TOML, or has a value of a wrong type. The message shows the line.",
        meanwhile: NOTHING,
    }
    unknown_key(at, name, what, known) -> ConfigWrong {
        text: "{at}{name:?} is not {what}; {known}",
        to_do: "correct the name, or remove it",
        means: "The job file has a key that means nothing.",
        meanwhile: NOTHING,
    }
    unknown_variable(name, meant) -> ConfigWrong {
        text: "the variable {name} of the environment is no key of the job file; the nearest is {meant}",
        to_do: "correct its name, or unset it",
        means: "Variables that begin with CAMPAIGN_ETL_ replace values of the job file (docs/configuration.md).",
        meanwhile: NOTHING,
    }
    not_in_a_variable(name, key) -> ConfigWrong {
        text: "the variable {name} has no effect: {key} is no single value of the job file",
        to_do: "give it in the job file, and unset the variable",
        means: "Only keys with a single value can be given in the environment (docs/configuration.md).",
        meanwhile: NOTHING,
    }
    unreadable_variable(name) -> ConfigWrong {
        text: "the value of the variable {name} is not UTF-8",
        to_do: "correct it, or unset it",
        means: "Variables that begin with CAMPAIGN_ETL_ replace values of the job file (docs/configuration.md).",
        meanwhile: NOTHING,
    }
    wrong_setting(by, why) -> ConfigWrong {
        text: "{by}: {why}",
        to_do: "correct the value, or give the other keys that its table needs",
        means: "A variable of the environment or a flag replaces a value of the job file. Its value is of a wrong type, or a key beside it is missing.",
        meanwhile: NOTHING,
    }
    source_path(at, path, why) -> ConfigWrong {
        text: "{at}{path:?} is no folder of a dataset and day: {why}",
        to_do: "give a path such as \"{{dataset}}/dt={{day}}\" or \"raw/orders/date={{day:%Y%m%d}}\"",
        means: "The program has to find the folder of each dataset and day within the exports.",
        meanwhile: NOTHING,
    }
    source_days_out_of_order(at, dataset) -> ConfigWrong {
        text: "{at}this mapping of {dataset} does not begin after the one before it",
        to_do: "put the mappings in the order of their days, and give each but the first a from_day",
        means: "A dataset can be read in one way until a day, and in another way from it on.",
        meanwhile: NOTHING,
    }
    source_key_twice(at, one, other, name) -> ConfigWrong {
        text: "{at}{one} and {other} both come from {name:?}, and together they identify a row",
        to_do: "name another column for one of them",
        means: "The key of a dataset would be one column twice, so rows that differ would count as repeated.",
        meanwhile: NOTHING,
    }
    source_no_column(at, dataset) -> ConfigWrong {
        text: "{at}no column of {dataset} is read from its files",
        to_do: "name at least one column of the files",
        means: "Constants and absent columns alone are no rows.",
        meanwhile: NOTHING,
    }
    source_constant_key(at, key) -> ConfigWrong {
        text: "{at}each row would have the same key ({key})",
        to_do: "read at least one of these columns from the files",
        means: "A key tells the rows of an export apart. Of rows with one key, only the first is used.",
        meanwhile: NOTHING,
    }
    source_two_verbs(at, column) -> ConfigWrong {
        text: "{at}{column} has two verbs",
        to_do: "keep one of scale, time_zone, values, text_id, constant and absent",
        means: "A value is changed in one way at most.",
        meanwhile: NOTHING,
    }
    source_wrong_verb(at, verb, column, kind, why) -> ConfigWrong {
        text: "{at}{verb} does not suit {column}, which is {kind}: {why}",
        to_do: "leave it out, or use another verb (docs/your-own-exports.md)",
        means: "Each verb of a mapping is for columns of some types.",
        meanwhile: NOTHING,
    }
    source_bad_value(at, found, expected) -> ConfigWrong {
        text: "{at}{found} is not {expected}",
        to_do: "correct the value",
        means: "A value in the `[source]` section of the job file has the wrong type, or is out of range.",
        meanwhile: NOTHING,
    }
    source_never_settles(at) -> ConfigWrong {
        text: "{at}without a file that is written last, a folder is final after some minutes without a change",
        to_do: "add settle_minutes, such as 30",
        means: "`success = \"none\"` in the job file needs `settle_minutes` beside it.",
        meanwhile: NOTHING,
    }
    source_settles_beside_mark(at, name) -> ConfigWrong {
        text: "{at}settle_minutes has no effect: a folder is final once it has {name}",
        to_do: "leave it out, or add success = \"none\"",
        means: "A folder is final by a file that is written last, or by minutes without a change, not by both.",
        meanwhile: NOTHING,
    }
    mapped_on_spark(dataset, column, verb) -> ConfigWrong {
        text: "{dataset}: the engine spark does not have {verb} of {column}",
        to_do: "use --engine local, or write this column of the export as the contract has it",
        means: "The job file maps columns of a large export. This verb is one that a server would apply in another way than this program.",
        meanwhile: NOTHING,
    }
    empty_location(key) -> ConfigWrong {
        text: "{key} is empty",
        to_do: "give a path or URL",
        means: "A location in the job file or on the command line is missing. Often a shell variable is not set.",
        meanwhile: NOTHING,
    }
    not_a_location(location, to_do) -> ConfigWrong {
        text: "{location:?} is not a location",
        to_do: "{to_do}",
        means: "The location of the exports or results is neither a path nor a URL that this program knows.",
        meanwhile: NOTHING,
    }
    secret_in_location(location) -> ConfigWrong {
        text: "{location:?} holds a key or a signature",
        to_do: "remove it from the location, and give keys in the environment, under the names in docs/operations.md",
        means: "The URL has a user, a password, a SAS or a presigned query. Everybody on the machine can see arguments.",
        meanwhile: NOTHING,
    }
    bad_store_settings(location, why) -> ConfigWrong {
        text: "the settings of {location} are wrong: {why}",
        to_do: "check the variables of this store in the environment (docs/operations.md)",
        means: "A setting of the object store is missing, or the store's client refuses its value.",
        meanwhile: NOTHING,
    }
    no_conditions(location) -> ConfigWrong {
        text: "{location} cannot keep two runs apart: it created the same object twice (no put-if-absent)",
        to_do: "use another store, or set single_writer = true in the job file and make sure that one run writes at a time",
        means: "The object store ignores the condition \"only if absent\". The commit log needs it (docs/publishing.md).",
        meanwhile: NOTHING,
    }
    no_hard_links(location) -> ConfigWrong {
        text: "{location} cannot keep two runs apart: its file system has no hard links",
        to_do: "put the results on a file system that has them, or set single_writer = true in the job file and make sure that one run writes at a time",
        means: "The file system can create files, but not with the condition \"only if absent\". Examples are FAT, some FUSE and SMB mounts.",
        meanwhile: NOTHING,
    }
    bad_time_zone(value, example) -> ConfigWrong {
        text: "time_zone = {value:?} is not an IANA name",
        to_do: "give one such as \"{example}\"",
        means: "The time zone decides which instants belong to a day.",
        meanwhile: NOTHING,
    }
    bad_currency(value) -> ConfigWrong {
        text: "currency = {value:?} is not an ISO 4217 code",
        to_do: "give one such as \"USD\"",
        means: "All amounts are in this currency.",
        meanwhile: NOTHING,
    }
    other_currency(wanted, results, found) -> ConfigWrong {
        text: "currency = \"{wanted}\", but the results in {results} are in {found}",
        to_do: "name another location in `results` for {wanted}, or correct the currency",
        means: "Results hold one currency. Amounts of two currencies cannot be added up or compared.",
        meanwhile: NOTHING,
    }
    never_empty(name, choices) -> ConfigWrong {
        text: "may_be_empty: {name:?} is no dataset that can be allowed to be empty; {choices}",
        to_do: "correct the name, or remove it",
        means: "Each other dataset may always be empty, or never.",
        meanwhile: NOTHING,
    }
    long_lookback(days, most) -> ConfigWrong {
        text: "lookback_days = {days} is more than {most}",
        to_do: "use `backfill` for older days",
        means: "A run looks back a year at most.",
        meanwhile: NOTHING,
    }
    bad_lease(seconds, most) -> ConfigWrong {
        text: "lease_seconds = {seconds} is not from 1 to {most}",
        to_do: "give a number in that range, such as 60",
        means: "A run without a heartbeat holds the results for this long.",
        meanwhile: NOTHING,
    }
    bad_concurrency(value, most) -> ConfigWrong {
        text: "store.concurrency = {value} is not from 1 to {most}",
        to_do: "give a number in that range, such as 32",
        means: "So many requests to an object store wait side by side. With 0, none would ever be sent.",
        meanwhile: NOTHING,
    }
    long_history(days, most) -> ConfigWrong {
        text: "history.keep_days = {days} is more than {most}",
        to_do: "give a number from 0 to {most}, such as 35; 0 keeps no history",
        means: "Files that a later run replaced or removed are kept for this long.",
        meanwhile: NOTHING,
    }
    no_peers(value) -> ConfigWrong {
        text: "benchmark.min_peers = {value} is less than 1",
        to_do: "give 1 or more",
        means: "Averages of fewer shops are suppressed. There is no average of 0 shops.",
        meanwhile: NOTHING,
    }
    no_top_share(value) -> ConfigWrong {
        text: "benchmark.top_share = {value} leaves no peer",
        to_do: "give more than 0",
        means: "Benchmarks are computed from this part of a cohort, ordered by GMV.",
        meanwhile: NOTHING,
    }
    not_a_share(key, value) -> ConfigWrong {
        text: "{key} = {value} is not a decimal from 0 to 1",
        to_do: "write 10 % as 0.1",
        means: "Shares and ratios are fractions.",
        meanwhile: NOTHING,
    }
    unknown_check(name, choices) -> ConfigWrong {
        text: "checks.severities: there is no check {name:?}; {choices}",
        to_do: "correct the name",
        means: "A single severity is given to a check that does not exist.",
        meanwhile: NOTHING,
    }
    bad_lineage_url(url, why) -> ConfigWrong {
        text: "lineage.url = {url:?} {why}",
        to_do: "write one such as https://lineage.example.com/api/v1/lineage, and give the key in the environment variable OPENLINEAGE_API_KEY",
        means: "The receiver of OpenLineage events is named in a form that cannot be used.",
        meanwhile: NOTHING,
    }

    bad_check_number(key, value, least, most) -> ConfigWrong {
        text: "checks.{key} = {value} is not from {least} to {most}",
        to_do: "give a number in that range",
        means: "The number decides which earlier days a day is compared with.",
        meanwhile: NOTHING,
    }
    bad_check_decimal(key, value, most) -> ConfigWrong {
        text: "checks.{key} = {value} is not a decimal from 0 to {most} with at most 4 decimal places",
        to_do: "write one such as 0.05",
        means: "The number decides whether a check fails, and it is compared exactly.",
        meanwhile: NOTHING,
    }
    not_a_size(key, value) -> ConfigWrong {
        text: "{key} = {value:?} is not a size such as \"4GiB\"",
        to_do: "give a number of bytes, or a number with a unit",
        means: "The memory limit cannot be read.",
        meanwhile: NOTHING,
    }
    no_memory(key, value) -> ConfigWrong {
        text: "{key} = {value:?} leaves no memory to work with",
        to_do: "give more, such as \"4GiB\"",
        means: "The memory limit is 0.",
        meanwhile: NOTHING,
    }
    unknown_dataset(key, name, choices) -> ConfigWrong {
        text: "{key}: there is no dataset {name:?}; {choices}",
        to_do: "correct the name (docs/tables.md)",
        means: "A list of datasets in the job file has an unknown name.",
        meanwhile: NOTHING,
    }
    dataset_twice(key, name) -> ConfigWrong {
        text: "{key}: {name:?} is listed twice",
        to_do: "keep one of them",
        means: "A list of datasets in the job file repeats a name.",
        meanwhile: NOTHING,
    }
    dataset_not_required(name) -> ConfigWrong {
        text: "required: {name:?} is missing",
        to_do: "add it: more can be required, not less",
        means: "Five datasets are always required.",
        meanwhile: NOTHING,
    }
    bad_amount(tier, value) -> ConfigWrong {
        text: "tier {tier:?}: min_gmv = {value} is not an amount",
        to_do: "write it in quotes, such as \"1000.50\"",
        means: "Amounts are exact decimals with at most two places.",
        meanwhile: NOTHING,
    }
    tiers_out_of_order(tier, lower) -> ConfigWrong {
        text: "tier {tier:?}: min_gmv must be more than that of {lower:?}",
        to_do: "list the lowest tier first",
        means: "Tiers ascend.",
        meanwhile: NOTHING,
    }
    first_tier(tier) -> ConfigWrong {
        text: "tier {tier:?} is the first, so its min_gmv must be \"0\"",
        to_do: "set it to \"0\"",
        means: "Every shop has a tier.",
        meanwhile: NOTHING,
    }
    bad_tier_name(tier) -> ConfigWrong {
        text: "tier {tier:?}: names must be given and unique",
        to_do: "give each tier a name of its own",
        means: "Tables identify tiers by these names.",
        meanwhile: NOTHING,
    }
    unknown_tier(day, tier) -> ConfigWrong {
        text: "shop_tier of {day} has tier {tier:?}, which is not in the job file",
        to_do: "run: campaign-etl backfill --from {day} --to {day}",
        means: "Tiers were renamed, and a published day that is read still has the old names.",
        meanwhile: KEPT,
    }
}

/// Exit codes with messages, in ascending order, and the meaning of each.
const CODES: [(ExitCode, &str); 4] = [
    (
        ExitCode::Blocked,
        "an export is broken: a person is needed, a retry does not help",
    ),
    (
        ExitCode::StoreFailed,
        "the store or the machine failed: run again; if it fails again, a person is needed",
    ),
    (ExitCode::TryLater, "not yet: run again later"),
    (
        ExitCode::ConfigWrong,
        "the configuration is wrong: a person is needed",
    ),
];

/// The page for operators.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    for (code, meaning) in CODES {
        let _ = write!(page, "\n## {}: {meaning}\n\n", code as u8);
        page += "| message | explanation | readers see meanwhile | next step |\n| --- | --- | --- | --- |\n";
        for message in MESSAGES.iter().filter(|message| message.code == code) {
            let Message {
                text,
                means,
                meanwhile,
                to_do,
                ..
            } = message;
            let cells = [text, means, meanwhile, to_do]
                .map(|cell| cell.replace(":?}", "}").replace('|', "\\|"));
            let _ = writeln!(page, "| {} |", cells.join(" | "));
        }
    }
    page
}

const HEAD: &str = "\
# Messages

Generated from `src/messages.rs` by `campaign-etl docs messages > docs/messages.md`.

This page lists every message of the exit codes 65, 74, 75 and 78. `{places}` stand for a path, a day or a reason. An error on stderr has four
parts, those of the columns here: the message, the explanation (`why`), the results that readers see meanwhile (`tonight`) and the next step
(`next`). Exit code 70 is a bug: its message ends with the place in the source; report the bug with this line. Running again is safe after each
of these codes.
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_for_operators_is_generated_from_the_messages() {
        let found = include_str!("../docs/messages.md");
        assert!(
            found == page(),
            "run: campaign-etl docs messages > docs/messages.md"
        );
    }

    #[test]
    fn every_message_is_complete_and_unique() {
        let mut names = BTreeSet::new();
        let mut cells = BTreeSet::new();
        for message in MESSAGES {
            assert!(
                names.insert(message.name) && cells.insert((message.text, message.to_do)),
                "{}",
                message.name
            );
            for cell in [
                message.text,
                message.to_do,
                message.means,
                message.meanwhile,
            ] {
                assert!(
                    !cell.is_empty() && !cell.contains(['\n', '\u{0}']),
                    "{}: {cell:?}",
                    message.name
                );
            }
            assert!(
                message.means.ends_with('.') && !message.to_do.ends_with('.'),
                "{}",
                message.name
            );
            assert!(
                CODES.iter().any(|(code, _)| *code == message.code),
                "{} has code {:?}",
                message.name,
                message.code
            );
        }
    }

    #[test]
    fn places_may_be_in_the_text_the_remedy_or_both() {
        let text = spoilt_file("x/part-0.parquet", "was removed", "2026-03-14").to_string();
        let expected = "the published file x/part-0.parquet was removed; restore it, or delete it and run: campaign-etl backfill --from \
                        2026-03-14 --to 2026-03-14";
        assert_eq!(text, expected);
        let blocked = blocked("2026-03-14", "shops", "");
        assert_eq!(blocked.0.what, "2026-03-14: blocked by shops");
        assert_eq!(blocked.0.next, "have the export fixed, then run again");
    }

    /// The compiler checks that every error is in the list. This test checks that every entry of
    /// the list is used.
    #[test]
    fn every_message_is_used_somewhere() {
        let mut source = String::new();
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
            {
                match path.is_dir() {
                    true => folders.push(path),
                    false if path.ends_with("messages.rs") => {}
                    false => source += &std::fs::read_to_string(path).unwrap(),
                }
            }
        }
        for message in MESSAGES {
            let uses = ["(", ")", ","].map(|after| format!("messages::{}{after}", message.name));
            assert!(
                uses.iter().any(|used| source.contains(used)),
                "nothing uses {}",
                message.name
            );
        }
    }
}
