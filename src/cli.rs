//! The arguments as typed; no decisions.

use std::fmt::Write;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use chrono::{Datelike, NaiveDate};
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, ColorChoice, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::config;
use crate::config::EngineName;
use crate::exit_code::ExitCode;
use crate::job_text::Given;
use crate::store::Access;

/// Nightly job behind a marketplace's Campaign Dashboard: finalized exports in, exact tables and
/// benchmarks out.
#[derive(Debug, Parser)]
#[command(version = VERSION, about, after_help = exit_codes(), max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: Global,
}

/// The version, the commit of the source and the features of the build.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("CAMPAIGN_ETL_COMMIT"),
    ", features: ",
    env!("CAMPAIGN_ETL_FEATURES"),
    ")"
);

impl Cli {
    /// Reads the process's arguments.
    ///
    /// # Errors
    /// Help, the version, or the defect of the arguments.
    pub fn read() -> Result<Cli, clap::Error> {
        let cli = Cli::try_parse()?;
        match cli.command.range() {
            Some((from, to)) if from > to => {
                let message = format!(
                    "--from {from} is after --to {to}: give the first day and then the last"
                );
                Err(Cli::command().error(ErrorKind::ValueValidation, message))
            }
            _ => match &cli.command {
                Command::Explain(args)
                    if args.sql && args.metric.is_none() && args.table.is_none() =>
                {
                    let message = "--sql needs --metric, or --table for every column of its rows";
                    Err(Cli::command().error(ErrorKind::MissingRequiredArgument, message))
                }
                _ => Ok(cli),
            },
        }
    }
}

/// The error of an `init` without a location: the environment can give one too.
pub(crate) fn init_needs_exports() -> clap::Error {
    let message = "init needs --exports, or CAMPAIGN_ETL_EXPORTS: the location to look at";
    Cli::command().error(ErrorKind::MissingRequiredArgument, message)
}

impl Command {
    /// Whether a signal asks the command to stop, so that it cleans up. Others just end.
    pub fn listens_to_signals(&self) -> bool {
        let writes_files = matches!(self, Command::Report(ReportArgs { all: true, .. }));
        writes_files || self.access() != Access::ReadIfThere
    }

    /// `--from` and `--to`, where both are given.
    fn range(&self) -> Option<(NaiveDate, NaiveDate)> {
        match self {
            Command::Backfill(args) => Some((args.from, args.to)),
            Command::Plan(days) => days.from.zip(days.to),
            Command::Status(args) => args.days.from.zip(args.days.to),
            Command::Validate(args) => args.days.from.zip(args.days.to),
            Command::Run(_)
            | Command::Doctor
            | Command::Unlock
            | Command::Vacuum(_)
            | Command::Diff(_)
            | Command::Explain(_)
            | Command::Report(_)
            | Command::Describe(_)
            | Command::Catalog(_)
            | Command::Schema(_)
            | Command::Generate(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::ExitCodes
            | Command::Init(_)
            | Command::Docs(_) => None,
        }
    }
}

impl Command {
    /// Whether failed checks let a day be published.
    pub fn accepts_checks(&self) -> bool {
        match self {
            Command::Run(args) => args.strictness.accept_checks,
            Command::Backfill(args) => args.strictness.accept_checks,
            Command::Plan(_)
            | Command::Status(_)
            | Command::Doctor
            | Command::Unlock
            | Command::Vacuum(_)
            | Command::Diff(_)
            | Command::Explain(_)
            | Command::Report(_)
            | Command::Describe(_)
            | Command::Catalog(_)
            | Command::Schema(_)
            | Command::Validate(_)
            | Command::Generate(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::ExitCodes
            | Command::Init(_)
            | Command::Docs(_) => false,
        }
    }

    /// The access to the results that the command needs.
    pub fn access(&self) -> Access {
        match self {
            Command::Run(_) | Command::Backfill(BackfillArgs { dry_run: false, .. }) => {
                Access::Write
            }
            Command::Doctor
            | Command::Unlock
            | Command::Vacuum(VacuumArgs { dry_run: false, .. }) => Access::WriteIfThere,
            Command::Backfill(BackfillArgs { dry_run: true, .. })
            | Command::Vacuum(VacuumArgs { dry_run: true, .. })
            | Command::Plan(_)
            | Command::Status(_)
            | Command::Diff(_)
            | Command::Explain(_)
            | Command::Report(_)
            | Command::Describe(_)
            | Command::Catalog(_)
            | Command::Schema(_)
            | Command::Validate(_)
            | Command::Generate(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::ExitCodes
            | Command::Init(_)
            | Command::Docs(_) => Access::ReadIfThere,
        }
    }
}

/// The end of `--help`: every exit code, and the first commands of a bad night.
fn exit_codes() -> String {
    let mut text = String::from("Exit codes:\n");
    for code in ExitCode::ALL {
        let _ = writeln!(text, "  {:<4} {}", *code as u8, code.meaning());
    }
    text + "\n`campaign-etl help exit-codes` says who acts. Values of the job file can be given in the environment: \
            CAMPAIGN_ETL_RESULTS for `results` (docs/configuration.md).\n\
            At 3 a.m.: `status` shows the problems, `plan` shows the work of the next run, `run` does it. Running again \
            is always safe."
}

/// The page of `help exit-codes`.
pub(crate) fn exit_code_page() -> String {
    let mut text = String::from("Exit codes, for cron, Airflow and monitors:\n\n");
    for code in ExitCode::ALL {
        let retry = match code.may_succeed_later() {
            true => "retry: yes",
            false => "retry: no",
        };
        let (number, meaning, act) = (*code as u8, code.meaning(), code.who_acts());
        let _ = writeln!(text, "  {number:<4} {meaning}\n       {retry}; {act}\n");
    }
    text + "If several days failed, the gravest code counts: 70, 65, 74, 75. `retry` in every document of --format json says \
            the same as above.\nEach message of 65, 74, 75 and 78 is explained in docs/messages.md.\n"
}

pub(crate) const DEFAULT_JOB_FILE: &str = "jobs/daily.toml";

#[derive(Args, Debug)]
pub struct Global {
    /// The job file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CAMPAIGN_ETL_CONFIG",
        hide_env_values = true,
        default_value = DEFAULT_JOB_FILE
    )]
    pub config: PathBuf,
    /// Where the exports are, instead of the job file's `exports`: a path or a file:, s3:, gs: or
    /// az: URL
    #[arg(long, global = true, value_name = "PATH|URL")]
    pub exports: Option<String>,
    /// Where the results are, instead of the job file's `results`
    #[arg(long, global = true, value_name = "PATH|URL")]
    pub results: Option<String>,
    /// The engine that computes the rollups, instead of the job file's `engine`
    #[arg(long, global = true, value_enum)]
    pub engine: Option<EngineName>,
    /// The server of the engine spark, instead of the job file's `spark.remote`: sc://HOST:PORT
    #[arg(long, global = true, value_name = "URL")]
    pub spark_remote: Option<String>,
    /// The format of stdout: text for people, or one JSON document
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Only warnings and errors on stderr
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// The format of stderr: progress for people, or one JSON object per line
    #[arg(
        long,
        global = true,
        value_enum,
        env = "CAMPAIGN_ETL_LOG_FORMAT",
        hide_env_values = true,
        default_value_t = Format::Text
    )]
    pub log_format: Format,
    /// When stderr has colours; auto: on a terminal, unless NO_COLOR is set
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        env = "CAMPAIGN_ETL_COLOR",
        hide_env_values = true,
        default_value_t = ColorChoice::Auto
    )]
    pub color: ColorChoice,
    /// Number of threads; it does not change the results [default: all cores]
    #[arg(
        long,
        global = true,
        value_name = "N",
        env = "CAMPAIGN_ETL_THREADS",
        hide_env_values = true,
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    pub threads: Option<u16>,
    /// Memory limit, such as 4GiB; rows that do not fit are spilled to a local disk [default: half
    /// of the memory]
    #[arg(long, global = true, value_name = "SIZE", value_parser = memory_limit)]
    pub memory_limit: Option<u64>,
}

impl Global {
    /// The values of the job file that flags replace.
    pub fn given(&self) -> Vec<Given> {
        let engine = self.engine.map(|engine| engine.word().to_owned());
        let flags = [
            ("exports", "--exports", self.exports.clone()),
            ("results", "--results", self.results.clone()),
            ("engine", "--engine", engine),
            ("spark.remote", "--spark-remote", self.spark_remote.clone()),
        ];
        let given = flags
            .into_iter()
            .filter_map(|(key, flag, value)| Some(Given::new(key, value?, flag)));
        given.collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The nightly job: catch up, compute the day, publish it
    ///
    /// Brings the days of the lookback up to date, oldest first, and then the day itself. If the
    /// day's exports are not final or are blocked, the benchmarks of the day before stand in.
    /// Running again is always safe: a run without work writes nothing.
    Run(RunArgs),
    /// Compute a range of days, and the later published days that become stale
    ///
    /// A day that fails does not stop the others. After an interruption or a failure, run the same
    /// command again: fresh tables are not computed a second time.
    Backfill(BackfillArgs),
    /// Show the work of the next run, day by day, with reasons; writes nothing
    Plan(DaysArgs),
    /// Say whether the night is fine, and show the state of its days; writes nothing
    ///
    /// The first line is the verdict about the day. The table below shows the days of its lookback:
    /// final, published, stale, missing or blocked.
    Status(StatusArgs),
    /// Show where a published number comes from, and compute it again; writes nothing
    ///
    /// It prints the formula with the values behind it, the reason of a null, the commit that published
    /// the number, and its earlier values with their causes. It computes the number again by another
    /// route: exit 0 where it agrees, 65 where it differs, 75 where inputs changed since. Without
    /// --metric, every number of the shop's day is compared. With --sql: a query for DuckDB that
    /// computes the number. The answer of --format json is a receipt, which --verify checks elsewhere.
    Explain(Box<ExplainArgs>),
    /// Draw pages: a shop's Campaign Dashboard, or the operator's page of a night
    ///
    /// A page is one HTML file. It needs no network and no other file, and all of it is there with scripts
    /// off. It is HTML, also with --format json. With --summary: whether the night is fine, what needs a
    /// person, and the command that mends it. With --all: the dashboard of every campaign shop and an
    /// index, in a new folder.
    Report(ReportArgs),
    /// Show the changes between two publications of a day, and their causes; writes nothing
    ///
    /// Rows are matched by key. A file that a run replaced or removed is kept for `history.keep_days`
    /// of the job file.
    Diff(DiffArgs),
    /// Describe a table, an export or a column: type, unit, formula, null, lineage
    ///
    /// Without a name: every table and export. Nothing is read but the contracts in this program.
    Describe(DescribeArgs),
    /// Print views of all result tables for DuckDB, with types and comments
    ///
    /// With --as-of, the views read the very files that readers saw after one commit, of all tables.
    Catalog(CatalogArgs),
    /// Print the JSON Schema of a document of --format json or of the job file; without a name: list them
    Schema(SchemaArgs),
    /// Check that the job can run here: job file, stores, clock, memory, disks; before the first night
    ///
    /// Each check has a line: ok, warn, fail, or not checked and why; then what to do. A probe object
    /// under the results shows that the store can be written. It is removed at once, and a run at work is
    /// not disturbed. Exit 0 where nothing failed, 78 where the job file or the machine needs a person,
    /// 74 where only a store cannot be reached.
    Doctor,
    /// End the expired lease of a run that died
    Unlock,
    /// Remove files that are no longer needed: staged leftovers, superseded manifests, old
    /// quarantine, old history
    Vacuum(VacuumArgs),
    /// Check the exports of a day against their contracts, rows included; writes nothing
    Validate(ValidateArgs),
    /// Write the exports of a synthetic marketplace, of any size, from a seed
    Generate(GenerateArgs),
    /// Print the script that completes commands and flags in a shell
    ///
    /// For bash: campaign-etl completions bash > /etc/bash_completion.d/campaign-etl
    Completions(CompletionsArgs),
    /// Print the manual page; with --out, one file for each command
    Man(ManArgs),
    /// The exit codes: who acts, and whether to run again
    #[command(
        name = "exit-codes",
        hide = true,
        about = exit_code_page(),
        disable_help_flag = true,
        help_template = "{about}"
    )]
    ExitCodes,
    /// Write a first job file for exports with other folders and columns; never overwrites one
    ///
    /// Looks at the folders, footers and some rows of --exports, and guesses the folder of each dataset, the
    /// column behind each column of the contract, and the time zone of the days. The job file states every
    /// guess with its reason, and what is missing. Correct it, then check a day with `validate`.
    Init(InitArgs),
    /// Print a page of docs/ that is generated from the source
    #[command(hide = true)]
    Docs(DocsArgs),
}

#[derive(Args, Debug)]
pub struct RunArgs {
    /// The report day [default: yesterday in the configured time zone]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub day: Option<NaiveDate>,
    #[command(flatten)]
    pub strictness: StrictnessArgs,
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

#[derive(Args, Debug)]
pub struct MetricsArgs {
    /// Write metrics of the run to this file when it ends, for Prometheus (the textfile collector of
    /// node_exporter)
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct StrictnessArgs {
    /// Exit 65, after publishing, when an optional export is absent or broken
    #[arg(long)]
    pub strict: bool,
    /// Exit 0 instead of 75 when the day is not final and benchmarks of the day before stand in
    #[arg(long)]
    pub accept_fallback: bool,
    /// Publish days whose checks failed and would block them; the manifest names these checks
    #[arg(long)]
    pub accept_checks: bool,
}

#[derive(Args, Debug)]
pub struct BackfillArgs {
    /// First day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub from: NaiveDate,
    /// Last day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub to: NaiveDate,
    /// Number of days that are computed at the same time; they are published in order, and share the
    /// memory limit and the threads (at least one each)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub parallel: u16,
    /// Newest day first; changes that older days make in it are computed at the end
    #[arg(long)]
    pub latest_first: bool,
    /// Show the work, day by day, with reasons; write nothing
    #[arg(long, conflicts_with = "metrics_file")]
    pub dry_run: bool,
    #[command(flatten)]
    pub strictness: StrictnessArgs,
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

#[derive(Args, Debug)]
pub struct VacuumArgs {
    /// Keep files that were written or superseded in the last N days; staged leftovers are removed
    /// at any age
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub older_than_days: u32,
    /// Show the files to remove; remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
pub struct DaysArgs {
    /// The day; `plan` and `status` show its lookback too [default: yesterday in the configured
    /// time zone]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, conflicts_with_all = ["from", "to"])]
    pub day: Option<NaiveDate>,
    /// First day of a range
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, requires = "to")]
    pub from: Option<NaiveDate>,
    /// Last day of a range
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, requires = "from")]
    pub to: Option<NaiveDate>,
}

#[derive(Args, Debug)]
pub struct StatusArgs {
    #[command(flatten)]
    pub days: DaysArgs,
    /// For monitors: exit 0 only where the day is fine; 65: a person is needed, 74: the store failed,
    /// 75: not published yet, or stale
    #[arg(long)]
    pub exit_code: bool,
}

#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// The shop
    #[arg(
        long,
        value_name = "SHOP",
        allow_negative_numbers = true,
        required_unless_present = "verify"
    )]
    pub shop: Option<i64>,
    /// The day of the table, `dt`
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, required_unless_present = "verify")]
    pub day: Option<NaiveDate>,
    /// A column of a table, or a metric of the benchmarks; without it, every number of the shop's day
    /// is computed again and compared
    #[arg(long, value_name = "COLUMN")]
    pub metric: Option<String>,
    /// Of a metric of the benchmarks, the column [default: difference_pct, or mean of a cohort]
    #[arg(long, value_name = "COLUMN", requires = "metric")]
    pub column: Option<String>,
    /// Check an answer of --format json against the exports, results and settings here; `-` reads stdin
    #[arg(long, value_name = "RECEIPT", conflicts_with_all = [
        "shop", "day", "metric", "column", "sql", "deep", "rows", "table", "scope", "campaign", "product", "channel",
        "content", "sku", "sub_campaign", "hour", "baseline_day",
    ])]
    pub verify: Option<PathBuf>,
    /// Print a query for DuckDB that gives the same value from the files; without --metric, every
    /// column of the shop's rows of --table
    #[arg(long)]
    pub sql: bool,
    /// Compute a number over several days from the exports of every day, not from the published daily
    /// tables
    #[arg(long, conflicts_with = "sql")]
    pub deep: bool,
    /// Show this many rows of each export that are used, and as many that do not count
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "sql")]
    pub rows: usize,
    /// The table [default: the first one with this column whose key is given]
    #[arg(long, value_name = "TABLE")]
    pub table: Option<String>,
    /// DAILY or CAMPAIGN_PERIOD, of a benchmark
    #[arg(long)]
    pub scope: Option<String>,
    #[arg(
        long,
        value_name = "CAMPAIGN",
        allow_negative_numbers = true,
        help = "The campaign; 0 for the scope DAILY"
    )]
    pub campaign: Option<i64>,
    #[arg(long, value_name = "PRODUCT", allow_negative_numbers = true)]
    pub product: Option<i64>,
    #[arg(long)]
    pub channel: Option<String>,
    #[arg(long, value_name = "CONTENT", allow_negative_numbers = true)]
    pub content: Option<i64>,
    #[arg(long, value_name = "SKU", allow_negative_numbers = true)]
    pub sku: Option<i64>,
    #[arg(long, value_name = "SUB_CAMPAIGN", allow_negative_numbers = true)]
    pub sub_campaign: Option<i64>,
    /// The hour's start in UTC, such as 2026-03-14T07:00:00Z, of ad_hourly
    #[arg(long, value_name = "INSTANT")]
    pub hour: Option<String>,
    /// The day that a campaign day is compared with, of gmv_baseline
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub baseline_day: Option<NaiveDate>,
}

#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("subject").required(true).args(["shop", "summary", "all"])))]
pub struct ReportArgs {
    /// The Campaign Dashboard of this shop
    #[arg(long, value_name = "SHOP", allow_negative_numbers = true)]
    pub shop: Option<i64>,
    /// The operator's page of the night
    #[arg(long)]
    pub summary: bool,
    /// The dashboards of all shops of the day's campaigns, and an index
    #[arg(long, requires = "out")]
    pub all: bool,
    /// The day of the tables, `dt`
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub day: NaiveDate,
    /// The campaign [default: the shop's campaign of the day with the smallest number]
    #[arg(long, value_name = "CAMPAIGN", allow_negative_numbers = true, conflicts_with_all = ["summary", "all"])]
    pub campaign: Option<i64>,
    /// Write the page to this file, not to stdout; with --all, the pages to this new folder
    #[arg(long, value_name = "FILE|FOLDER")]
    pub out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct DiffArgs {
    /// The day of the tables, `dt`
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub day: NaiveDate,
    /// The earlier commit [default: the day's commit before the later one]
    #[arg(long, value_name = "COMMIT")]
    pub from: Option<u64>,
    /// The later commit [default: the newest of the day]
    #[arg(long, value_name = "COMMIT")]
    pub to: Option<u64>,
    /// Only the rows of this shop, cell by cell
    #[arg(long, value_name = "SHOP", allow_negative_numbers = true)]
    pub shop: Option<i64>,
}

#[derive(Args, Debug)]
pub struct DescribeArgs {
    /// A table or an export, such as shop_daily, or one of their columns, such as shop_daily.gmv
    #[arg(value_name = "TABLE[.COLUMN]")]
    pub name: Option<String>,
}

#[derive(Args, Debug)]
pub struct CatalogArgs {
    /// The commit, as `diff`, `explain` and the manifests number it [default: the published files]
    #[arg(long, value_name = "COMMIT")]
    pub as_of: Option<u64>,
    /// Write the statements to this file, such as views.sql, instead of stdout
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct SchemaArgs {
    /// The command that prints the document, `job` for the job file, or `error` for the document of a
    /// command that failed
    #[arg(value_enum, hide_possible_values = true)]
    pub name: Option<SchemaName>,
}

/// Declares the schemas: the enum, all of them, and the word of each.
macro_rules! schema_names {
    ($($name:ident = $word:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        pub enum SchemaName {
            $($name),*
        }

        impl SchemaName {
            pub const ALL: &'static [SchemaName] = &[$(SchemaName::$name),*];

            /// The name on the command line, and of the file under docs/schemas/.
            pub fn word(self) -> &'static str {
                match self {
                    $(SchemaName::$name => $word),*
                }
            }
        }
    };
}

schema_names! {
    Backfill = "backfill",
    Catalog = "catalog",
    Describe = "describe",
    Diff = "diff",
    Doctor = "doctor",
    Error = "error",
    Explain = "explain",
    ExplainDay = "explain-day",
    ExplainSql = "explain-sql",
    ExplainVerify = "explain-verify",
    Generate = "generate",
    Init = "init",
    Job = "job",
    Plan = "plan",
    Run = "run",
    Schema = "schema",
    Status = "status",
    Unlock = "unlock",
    Vacuum = "vacuum",
    Validate = "validate",
}

#[derive(Args, Debug)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub days: DaysArgs,
    /// Exit 65 also when an optional export is absent or broken
    #[arg(long)]
    pub strict: bool,
}

#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// Number of shops
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub shops: u32,
    /// Number of days
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub days: u32,
    /// Rows of product_traffic per day; the other datasets follow in proportion
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub rows_per_day: u64,
    /// The same seed gives the same bytes
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub seed: u64,
    /// Where to write the exports: a local folder
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// First day
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, default_value = "2026-03-01")]
    pub first_day: NaiveDate,
    /// IANA time zone of the days
    #[arg(long, value_name = "ZONE", default_value = "America/Los_Angeles")]
    pub time_zone: chrono_tz::Tz,
    /// Add a few bad rows and folders, within the quarantine budget
    #[arg(long)]
    pub awkward: bool,
}

#[derive(Args, Debug)]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    pub shell: Shell,
}

#[derive(Args, Debug)]
pub struct ManArgs {
    /// Write the pages of all commands into this folder, such as /usr/local/share/man/man1
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct InitArgs {
    /// The job file to write; it must not exist
    #[arg(
        long,
        value_name = "FILE",
        default_value = "job.toml",
        value_parser = PathBufValueParser::new().try_map(file_of_a_name)
    )]
    pub out: PathBuf,
}

#[derive(Args, Debug)]
pub struct DocsArgs {
    #[arg(value_enum, default_value_t = DocsPage::Tables)]
    pub page: DocsPage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DocsPage {
    /// docs/tables.md, from the contracts
    Tables,
    /// docs/messages.md, from the list of messages
    Messages,
    /// docs/contracts/results.odcs.json, from the contracts
    ResultsContract,
    /// docs/contracts/exports.odcs.json, from the contracts
    ExportsContract,
}

/// Other programs print to stdout for `-`; the stdout of `init` is its page.
fn file_of_a_name(path: PathBuf) -> Result<PathBuf, &'static str> {
    match path.as_os_str() == "-" {
        true => Err("init writes no job file to stdout; name a file such as job.toml"),
        false => Ok(path),
    }
}

fn memory_limit(text: &str) -> Result<u64, String> {
    config::bytes("--memory-limit", text).map_err(|e| e.to_string())
}

/// The years of a day: windows reach back from it, and its midnights must be dates too.
const YEARS: RangeInclusive<i32> = 1970..=9998;

fn day(text: &str) -> Result<NaiveDate, String> {
    let day: NaiveDate = text.parse().map_err(|_| "not a day such as 2026-03-14")?;
    match YEARS.contains(&day.year()) {
        true => Ok(day),
        false => Err(format!(
            "its year is not from {} to {}",
            YEARS.start(),
            YEARS.end()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job_text::{ARGUMENTS, PREFIX};

    #[test]
    fn a_variable_of_a_flag_is_no_key_of_the_job_file() {
        let command = Cli::command();
        let mut of_flags: Vec<String> = command
            .get_arguments()
            .filter_map(|argument| argument.get_env()?.to_str())
            .map(|name| name.strip_prefix(PREFIX).unwrap().to_lowercase())
            .collect();
        of_flags.sort();
        let mut known = ARGUMENTS.map(str::to_owned);
        known.sort();
        assert_eq!(of_flags, known);
    }
}
