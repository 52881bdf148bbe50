//! The job file (TOML): parsed, and every value checked before any data is read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use bytesize::ByteSize;
use chrono_tz::Tz;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::contracts::datasets::{DATASETS, dataset};
use crate::contracts::{Dataset, WithoutRows};
use crate::environment::lineage_key;
use crate::failure::Failure;
use crate::job_text::{self, Given, JobText, Keys};
use crate::mapping::{self, Mapping};
use crate::messages;
use crate::nearest::{choices, nearest};
use crate::redact::holds_secret;

/// A checked job file.
#[derive(Clone, Debug)]
pub struct Config {
    pub exports: String,
    pub results: String,
    /// Where these two are given: the line of the job file, the variable or the flag.
    pub(crate) exports_at: String,
    pub(crate) results_at: String,
    pub engine: ChosenEngine,
    pub time_zone: Tz,
    /// ISO 4217.
    pub currency: String,
    pub lookback_days: u32,
    /// How long a run without a heartbeat holds the results.
    pub lease_seconds: u32,
    /// The operator makes sure that one run writes at a time, because the store cannot.
    pub single_writer: bool,
    /// For how many days `vacuum` leaves a file that a later commit replaced or removed; 0: such a
    /// file is not kept.
    pub history_days: u32,
    /// The memory limit of the process; `None`: half of the machine's memory.
    pub memory_limit_bytes: Option<u64>,
    /// A folder on a local disk for rows that do not fit into memory; `None`: the system's folder
    /// for temporary files.
    pub spill_folder: Option<PathBuf>,
    /// Requests to an object store that wait side by side.
    pub store_concurrency: usize,
    /// Names of datasets without which a day is not final.
    pub required: Vec<&'static str>,
    /// Names of datasets that may have no row to use on a day.
    pub may_be_empty: Vec<&'static str>,
    pub quarantine: QuarantineBudget,
    pub baseline_shops: BaselineShops,
    pub benchmark: BenchmarkRules,
    pub checks: CheckRules,
    /// Where exports lie, and the names and forms of their columns.
    pub mapping: Mapping,
    /// The receiver of OpenLineage events; `None`: none are sent.
    pub lineage: Option<LineageReceiver>,
    /// Lowest first; the first has `min_gmv_cents` 0.
    pub tiers: Vec<Tier>,
}

/// The receiver of OpenLineage events, and the namespace of the job in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageReceiver {
    /// An `http:` or `https:` URL without a key.
    pub url: String,
    pub namespace: String,
}

/// The engine that computes the rollups: this process, or a cluster over Spark Connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    #[default]
    Local,
    Spark,
}

impl EngineName {
    /// As the job file names it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            EngineName::Local => "local",
            EngineName::Spark => "spark",
        }
    }
}

/// An engine that this program can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChosenEngine {
    Local,
    /// On a server such as `sc://host:15002`.
    Spark {
        remote: String,
    },
}

/// An export is broken when it has more quarantined rows than the greater of the two limits.
#[derive(Clone, Copy, Debug)]
pub struct QuarantineBudget {
    pub max_rows: u64,
    /// A share of the rows read.
    pub max_ratio: Share,
}

impl QuarantineBudget {
    /// Whether the quarantined rows exceed the greater of the two limits, or half of the rows. So
    /// an export whose rows are all quarantined is always over the budget.
    pub fn is_exceeded(&self, quarantined: u64, read: u64) -> bool {
        quarantined > self.most_allowed(read)
    }

    /// How many of `read` rows may be quarantined.
    pub fn most_allowed(&self, read: u64) -> u64 {
        let of_ratio = i128::from(read) * self.max_ratio.numerator / self.max_ratio.denominator;
        // A ratio is at most 1, so this is at most `read`.
        self.max_rows.max(of_ratio as u64).min(read / 2)
    }
}

/// The shops of `gmv_baseline`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BaselineShops {
    Campaign,
    All,
}

impl BaselineShops {
    /// As the job file names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            BaselineShops::Campaign => "campaign",
            BaselineShops::All => "all",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct BenchmarkRules {
    pub min_peers: u64,
    pub top_share: Share,
    pub max_peer_share: Share,
}

/// The checks before publishing. No table depends on them.
#[derive(Clone, Debug)]
pub struct CheckRules {
    /// The severity of each group.
    severities: BTreeMap<CheckGroup, Severity>,
    /// How far back ordinary days are compared.
    pub weeks: u32,
    /// Fewer days are nothing to compare with.
    pub min_days: u32,
    /// How far a number may be from the expected one, in median absolute deviations.
    pub max_mads: Share,
    /// A smaller change passes, as a share of the expected number.
    pub min_change: Share,
    /// A smaller change of a share passes; 0.05 is 5 percentage points.
    pub min_share_change: Share,
    /// The share of shops that may be out of range.
    pub max_shops: Share,
    /// Failed checks with severity `block` let the day be published: `--accept-checks`.
    pub are_accepted: bool,
}

impl CheckRules {
    pub fn severity(&self, group: CheckGroup) -> Severity {
        self.severities.get(&group).copied().unwrap_or_default()
    }
}

/// The effect of a failed check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    #[default]
    Warn,
    /// Nothing of the day is published, and the run exits with 65.
    Block,
    /// The check is not made.
    Off,
}

/// Declares the groups of checks: the enum, all of them, and the word of each in the job file.
macro_rules! check_groups {
    ($($group:ident = $word:literal),* $(,)?) => {
        /// Checks that have one severity.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum CheckGroup {
            $($group),*
        }

        impl CheckGroup {
            pub const ALL: &'static [CheckGroup] = &[$(CheckGroup::$group),*];

            pub fn word(self) -> &'static str {
                match self {
                    $(CheckGroup::$group => $word),*
                }
            }
        }
    };
}

check_groups! {
    Rows = "rows",
    Files = "files",
    Gmv = "gmv",
    Orders = "orders",
    Customers = "customers",
    Impressions = "impressions",
    Nulls = "nulls",
    Channels = "channels",
    Shops = "shops",
}

#[derive(Clone, Debug)]
pub struct Tier {
    pub name: String,
    pub min_gmv_cents: i128,
}

/// An exact decimal fraction. Comparisons with it are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub numerator: i128,
    pub denominator: i128,
}

impl Share {
    pub const ONE: Share = Share {
        numerator: 1,
        denominator: 1,
    };

    /// Reads `0.001` as 1/1000.
    fn parse(text: &str) -> Option<Share> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        if decimals.len() > 18 || whole.len() > 9 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let numerator: u128 = format!("{whole}{decimals}").parse().ok()?;
        Some(Share {
            numerator: numerator as i128,
            denominator: 10_i128.pow(decimals.len() as u32),
        })
    }

    /// `ceil(self * count)`
    pub fn ceil_of(self, count: usize) -> usize {
        let exact = self.numerator * count as i128;
        ((exact + self.denominator - 1) / self.denominator) as usize
    }
}

/// As a decimal, such as `0.001`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (
            self.numerator / self.denominator,
            self.numerator % self.denominator,
        );
        match self.denominator.ilog10() as usize {
            0 => write!(f, "{whole}"),
            places => write!(f, "{whole}.{rest:0places$}"),
        }
    }
}

/// The file as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobFile {
    /// Where the exports are: a path, or a file:, s3:, gs: or az: URL.
    #[serde(default = "default_exports")]
    exports: String,
    /// Where the results are: a path or URL.
    #[serde(default = "default_results")]
    results: String,
    /// The engine that computes the rollups.
    #[serde(default)]
    engine: EngineName,
    #[serde(default)]
    spark: SparkSection,
    /// IANA name of the time zone of days.
    #[serde(default = "default_time_zone")]
    time_zone: String,
    /// ISO 4217 code of all amounts.
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    #[serde(default = "default_currency")]
    currency: String,
    /// Days before the report day that a run catches up.
    #[schemars(range(max = 366))]
    #[serde(default = "default_lookback_days")]
    lookback_days: u32,
    /// A run without a heartbeat holds the results for this long.
    #[schemars(range(min = 1, max = 3600))]
    #[serde(default = "default_lease_seconds")]
    lease_seconds: u32,
    /// The store has no put-if-absent; a person makes sure that one run writes at a time.
    #[serde(default)]
    single_writer: bool,
    /// Memory limit of the process, such as "4GiB".
    memory_limit: Option<String>,
    /// Folder of a local disk for rows that do not fit into memory.
    spill_folder: Option<PathBuf>,
    #[serde(default)]
    store: StoreSection,
    #[serde(default)]
    history: HistorySection,
    /// Datasets that every day needs, the five that are always required among them.
    #[serde(default)]
    #[schemars(schema_with = "dataset_names")]
    required: Option<Vec<String>>,
    /// Datasets that may have no row to use on a day.
    #[schemars(schema_with = "dataset_names_that_may_be_empty")]
    #[serde(default)]
    may_be_empty: Vec<String>,
    #[serde(default)]
    quarantine: QuarantineSection,
    #[serde(default)]
    baseline: BaselineSection,
    #[serde(default)]
    benchmark: BenchmarkSection,
    #[serde(default)]
    checks: ChecksSection,
    /// Where exports lie that are not laid out as the contract says, and how their columns are read.
    #[allow(dead_code, reason = "checked with the lines of its text, in `mapping`")]
    #[serde(default)]
    #[schemars(schema_with = "mapping::schema")]
    source: toml::Table,
    lineage: Option<LineageSection>,
    /// The tiers, lowest first; the first has min_gmv "0".
    #[serde(default, rename = "tier")]
    tiers: Vec<TierSection>,
}

/// OpenLineage events of the days that a run works on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LineageSection {
    /// Where events are posted, such as https://lineage.example.com/api/v1/lineage.
    url: String,
    /// The namespace of the job.
    #[serde(default = "default_namespace")]
    namespace: String,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct SparkSection {
    /// The server of the engine spark: sc://HOST:PORT.
    remote: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct StoreSection {
    /// Requests to an object store that wait side by side.
    #[schemars(range(min = 1, max = 1024))]
    concurrency: u32,
}

impl Default for StoreSection {
    fn default() -> Self {
        StoreSection {
            concurrency: STORE_CONCURRENCY,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct HistorySection {
    /// How long a replaced file is kept; 0: not at all.
    keep_days: u32,
}

impl Default for HistorySection {
    fn default() -> Self {
        HistorySection { keep_days: 35 }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct QuarantineSection {
    /// Quarantined rows that an export may have.
    max_rows: u64,
    /// The same as a share of the rows read; the greater limit counts.
    #[schemars(range(min = 0, max = 1))]
    max_ratio: f64,
}

impl Default for QuarantineSection {
    fn default() -> Self {
        QuarantineSection {
            max_rows: 10,
            max_ratio: 0.001,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct BaselineSection {
    /// The shops of gmv_baseline.
    shops: BaselineShops,
}

impl Default for BaselineSection {
    fn default() -> Self {
        BaselineSection {
            shops: BaselineShops::Campaign,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct BenchmarkSection {
    /// Averages of fewer shops are suppressed.
    #[schemars(range(min = 1))]
    min_peers: u64,
    /// The part of a cohort that counts, ordered by GMV.
    #[schemars(range(min = 0, max = 1))]
    top_share: f64,
    /// A sum of which one peer holds more is suppressed.
    #[schemars(range(min = 0, max = 1))]
    max_peer_share: f64,
}

impl Default for BenchmarkSection {
    fn default() -> Self {
        BenchmarkSection {
            min_peers: 10,
            top_share: 1.0,
            max_peer_share: 0.5,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ChecksSection {
    /// The effect of a failed check.
    severity: Severity,
    /// The effect of single checks.
    #[schemars(extend("propertyNames" = check_words()))]
    severities: BTreeMap<String, Severity>,
    /// How far back ordinary days are compared.
    weeks: u32,
    min_days: u32,
    max_mads: f64,
    min_change: f64,
    min_share_change: f64,
    max_shops: f64,
}

impl Default for ChecksSection {
    fn default() -> Self {
        ChecksSection {
            severity: Severity::Warn,
            severities: BTreeMap::new(),
            weeks: 8,
            min_days: 7,
            max_mads: 5.0,
            min_change: 0.1,
            min_share_change: 0.05,
            max_shops: 0.1,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TierSection {
    /// Unique.
    name: String,
    /// Text, or a whole number; a float could not hold cents exactly.
    #[schemars(schema_with = "amount")]
    min_gmv: toml::Value,
}

/// The schema of a list of datasets.
fn dataset_names(_: &mut SchemaGenerator) -> Schema {
    let names = DATASETS.map(|dataset| dataset.name);
    json_schema!({ "type": ["array", "null"], "items": { "enum": names } })
}

fn dataset_names_that_may_be_empty(_: &mut SchemaGenerator) -> Schema {
    let allowed = DATASETS
        .into_iter()
        .filter(|dataset| dataset.without_rows == WithoutRows::BlocksUnlessAllowed);
    let names: Vec<&str> = allowed.map(|dataset| dataset.name).collect();
    json_schema!({ "type": "array", "items": { "enum": names }, "default": [] })
}

fn check_words() -> serde_json::Value {
    let words: Vec<&str> = CheckGroup::ALL.iter().map(|group| group.word()).collect();
    serde_json::json!({ "enum": words })
}

/// An amount of money: text, or a whole number.
fn amount(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer"], "description": "An amount, such as \"1000.50\"." })
}

fn default_exports() -> String {
    "sample_data/exports".into()
}
fn default_results() -> String {
    "results".into()
}
fn default_time_zone() -> String {
    "America/Los_Angeles".into()
}
fn default_currency() -> String {
    "USD".into()
}
fn default_namespace() -> String {
    "campaign-etl".into()
}
fn default_lookback_days() -> u32 {
    7
}
fn default_lease_seconds() -> u32 {
    60
}

/// The marketplace publishes no thresholds. These are our own (SPEC.md section 4).
const DEFAULT_TIERS: [(&str, i128); 6] = [
    ("T1", 0),
    ("T2", 1_000),
    ("T3", 6_000),
    ("T4", 30_000),
    ("T5", 150_000),
    ("T6", 750_000),
];

/// The greatest number of days that a run looks back. Older days need a backfill.
const MAX_LOOKBACK_DAYS: u32 = 366;

/// The greatest number of days for which history is kept: a century. `vacuum` subtracts it from
/// the present instant; 4 billion days would lie before the first year of the calendar.
const MAX_HISTORY_DAYS: u32 = 36_500;

/// Enough to hide the latency of an object store, few enough not to be throttled.
pub(crate) const STORE_CONCURRENCY: u32 = 32;
/// Every request that waits holds a connection and a file descriptor; a process often has 1024.
const MAX_STORE_CONCURRENCY: u32 = 1024;

/// `vacuum` relies on a lease being much shorter than a day.
const MAX_LEASE_SECONDS: u32 = 3600;

impl Config {
    /// Reads a job file's text alone.
    ///
    /// # Errors
    /// As of [`Config::read`].
    pub fn parse(text: &str) -> Result<Config> {
        Config::read("", text, &[], &[])
    }

    /// Reads a job file. The environment replaces its values, and the flags replace both. `name`: the
    /// path of the file, for messages; it may be empty.
    ///
    /// # Errors
    /// `ConfigWrong`, which names the line, the key or the variable, the defect and a right value.
    pub fn read(
        name: &str,
        text: &str,
        environment: &[(String, String)],
        flags: &[Given],
    ) -> Result<Config> {
        let keys = keys();
        let mut given = job_text::from_environment(environment, &keys)?;
        given.extend_from_slice(flags);
        let name = match name {
            "" => String::new(),
            path => format!("in the job file {path}: "),
        };
        let text = JobText::parse(name, text, &given)?;
        let file = text.read(&keys)?;
        let config = Config::check(file, &text)?;
        if let (Some(receiver), Some(_)) = (&config.lineage, lineage_key(environment)) {
            let hidden = receiver.hides_a_key();
            hidden.map_err(|failure| text.wrong("lineage.url", failure))?;
        }
        Ok(config)
    }

    fn check(file: JobFile, text: &JobText) -> Result<Config> {
        let mapping = mapping::check(text, cents)?;
        let time_zone: Tz = file
            .time_zone
            .parse()
            .map_err(|_| text.wrong("time_zone", bad_time_zone(&file.time_zone)))?;
        ensure!(
            file.currency.len() == 3 && file.currency.bytes().all(|b| b.is_ascii_uppercase()),
            text.wrong("currency", messages::bad_currency(&file.currency))
        );
        ensure!(
            file.lookback_days <= MAX_LOOKBACK_DAYS,
            text.wrong(
                "lookback_days",
                messages::long_lookback(file.lookback_days, MAX_LOOKBACK_DAYS)
            )
        );
        ensure!(
            (1..=MAX_LEASE_SECONDS).contains(&file.lease_seconds),
            text.wrong(
                "lease_seconds",
                messages::bad_lease(file.lease_seconds, MAX_LEASE_SECONDS)
            )
        );
        ensure!(
            (1..=MAX_STORE_CONCURRENCY).contains(&file.store.concurrency),
            text.wrong(
                "store.concurrency",
                messages::bad_concurrency(file.store.concurrency, MAX_STORE_CONCURRENCY)
            )
        );
        ensure!(
            file.history.keep_days <= MAX_HISTORY_DAYS,
            text.wrong(
                "history.keep_days",
                messages::long_history(file.history.keep_days, MAX_HISTORY_DAYS)
            )
        );
        let share = |key, value| share(key, value).map_err(|failure| text.wrong(key, failure));
        let quarantine = QuarantineBudget {
            max_rows: file.quarantine.max_rows,
            max_ratio: share("quarantine.max_ratio", file.quarantine.max_ratio)?,
        };
        let benchmark = BenchmarkRules {
            min_peers: file.benchmark.min_peers,
            top_share: share("benchmark.top_share", file.benchmark.top_share)?,
            max_peer_share: share("benchmark.max_peer_share", file.benchmark.max_peer_share)?,
        };
        ensure!(
            benchmark.min_peers >= 1,
            text.wrong(
                "benchmark.min_peers",
                messages::no_peers(benchmark.min_peers)
            )
        );
        ensure!(
            benchmark.top_share.numerator > 0,
            text.wrong(
                "benchmark.top_share",
                messages::no_top_share(file.benchmark.top_share)
            )
        );
        let location =
            |key, value| location(key, value).map_err(|failure| text.wrong(key, failure));
        let exports = location("exports", file.exports)?;
        let memory_limit = file.memory_limit.as_deref();
        let memory_limit = memory_limit.map(|size| bytes("memory_limit", size));
        Ok(Config {
            engine: engine(file.engine, file.spark.remote, &exports, text)?,
            exports_at: text.at("exports"),
            results_at: text.at("results"),
            exports,
            results: location("results", file.results)?,
            time_zone,
            currency: file.currency,
            lookback_days: file.lookback_days,
            lease_seconds: file.lease_seconds,
            single_writer: file.single_writer,
            history_days: file.history.keep_days,
            memory_limit_bytes: memory_limit
                .transpose()
                .map_err(|failure| text.wrong("memory_limit", failure))?,
            spill_folder: file.spill_folder,
            store_concurrency: file.store.concurrency as usize,
            required: required(file.required, text)?,
            may_be_empty: may_be_empty(&file.may_be_empty, text)?,
            quarantine,
            baseline_shops: file.baseline.shops,
            benchmark,
            checks: check_rules(file.checks, text)?,
            mapping,
            lineage: file
                .lineage
                .map(lineage)
                .transpose()
                .map_err(|failure| text.wrong("lineage.url", failure))?,
            tiers: tiers(file.tiers, text)?,
        })
    }

    /// Whether failed checks let a day be published, from the command line.
    pub fn with_accepted_checks(mut self, are_accepted: bool) -> Config {
        self.checks.are_accepted = are_accepted;
        self
    }

    /// The position of the highest tier that an amount of trailing GMV reaches.
    pub fn tier_of(&self, trailing_gmv_cents: i128) -> usize {
        self.tiers
            .iter()
            .rposition(|t| t.min_gmv_cents <= trailing_gmv_cents)
            .unwrap_or(0)
    }

    pub(crate) fn tier_name(&self, position: usize) -> &str {
        &self.tiers[position].name
    }

    /// Lowest first.
    pub(crate) fn tier_names(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().map(|tier| tier.name.as_str())
    }

    /// The position of a tier's name; `None` when the configuration no longer has it.
    pub fn tier_position(&self, name: &str) -> Option<usize> {
        self.tiers.iter().position(|t| t.name == name)
    }
}

/// The keys of the job file, as its schema has them.
fn keys() -> Keys {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let schema = settings.into_generator().into_root_schema_for::<JobFile>();
    // The mapping checks its own keys.
    Keys::of(schema.as_value(), "source")
}

/// The engine that the job asks for.
fn engine(
    name: EngineName,
    remote: Option<String>,
    exports: &str,
    text: &JobText,
) -> Result<ChosenEngine> {
    Ok(match name {
        EngineName::Local => ChosenEngine::Local,
        EngineName::Spark => {
            ensure!(
                cfg!(feature = "spark"),
                text.wrong("engine", messages::no_spark_here())
            );
            let remote = remote.filter(|remote| remote.starts_with("sc://"));
            let no_remote = || text.wrong("spark.remote", messages::no_spark_remote());
            let remote = remote.ok_or_else(no_remote)?;
            check_cluster_path(exports)?;
            ChosenEngine::Spark { remote }
        }
    })
}

/// A zone that nobody knows, with the nearest of those that are known.
fn bad_time_zone(typed: &str) -> Failure {
    let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    let example = nearest(typed, names).unwrap_or("America/Los_Angeles");
    messages::bad_time_zone(typed, example)
}

fn location(key: &str, value: String) -> Result<String, Failure> {
    match value.trim().is_empty() {
        true => Err(messages::empty_location(key)),
        false => Ok(value),
    }
}

impl LineageReceiver {
    /// Refuses to send a key over plain HTTP: everybody on the way could read it. Loopback has no way.
    fn hides_a_key(&self) -> Result<(), Failure> {
        let url = Url::parse(&self.url).ok();
        let is_local = match url.as_ref().and_then(Url::host) {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        match is_local || url.is_some_and(|url| url.scheme() == "https") {
            true => Ok(()),
            false => Err(messages::bad_lineage_url(
                &self.url,
                "is no https: URL, and OPENLINEAGE_API_KEY is set: everybody on the way could read the key",
            )),
        }
    }
}

fn lineage(section: LineageSection) -> Result<LineageReceiver, Failure> {
    let LineageSection { url, namespace } = section;
    let wrong = match Url::parse(&url) {
        Ok(_) if holds_secret(&url) => Some("holds a key"),
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => None,
        _ => Some("is not an http: or https: URL"),
    };
    match wrong {
        Some(why) => Err(messages::bad_lineage_url(&url, why)),
        None => Ok(LineageReceiver { url, namespace }),
    }
}

/// `"4GiB"` in bytes.
///
/// # Errors
/// `ConfigWrong` for another text, and for no byte.
pub fn bytes(key: &str, text: &str) -> Result<u64, Failure> {
    match text.parse::<ByteSize>().map(|size| size.as_u64()) {
        Ok(0) => Err(messages::no_memory(key, text)),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(messages::not_a_size(key, text)),
    }
}

/// # Errors
/// `ConfigWrong` for a path that a server of the engine `spark` may take for a pattern.
pub(crate) fn check_cluster_path(path: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/:._=-+@".contains(c);
    let why = "its path has a character other than letters, digits and /:._=-+@";
    ensure!(
        path.chars().all(is_plain),
        messages::spark_cannot(path, why)
    );
    Ok(())
}

fn share(key: &str, value: f64) -> Result<Share, Failure> {
    // The shortest text that parses to the same float is the decimal in the file.
    let parsed = Share::parse(&value.to_string()).filter(|s| s.numerator <= s.denominator);
    parsed.ok_or_else(|| messages::not_a_share(key, value))
}

/// The greatest number of weeks whose ordinary days are compared: those for which the manifests are
/// read anyway.
const MAX_CHECK_WEEKS: u32 = 26;

/// Decimal places of the numbers that decide a check, so that whole numbers of 128 bits hold them.
const CHECK_DECIMALS: i128 = 10_000;

fn check_rules(section: ChecksSection, text: &JobText) -> Result<CheckRules> {
    let word = |group: &CheckGroup| group.word();
    let mut severities = BTreeMap::new();
    for group in CheckGroup::ALL {
        let of_group = section.severities.get(group.word());
        severities.insert(*group, of_group.copied().unwrap_or(section.severity));
    }
    for name in section.severities.keys() {
        let words: Vec<&str> = CheckGroup::ALL.iter().map(word).collect();
        ensure!(
            words.contains(&name.as_str()),
            text.wrong(
                &format!("checks.severities.{name}"),
                messages::unknown_check(name, choices(name, &words))
            )
        );
    }
    let (weeks, min_days) = (section.weeks, section.min_days);
    ensure!(
        (1..=MAX_CHECK_WEEKS).contains(&weeks),
        text.wrong(
            "checks.weeks",
            messages::bad_check_number("weeks", weeks, 1, MAX_CHECK_WEEKS)
        )
    );
    ensure!(
        (3..=7 * weeks).contains(&min_days),
        text.wrong(
            "checks.min_days",
            messages::bad_check_number("min_days", min_days, 3, 7 * weeks)
        )
    );
    let decimal = |key, value: f64, most: u32| {
        let parsed = Share::parse(&value.to_string());
        let is_short = |share: &Share| share.denominator <= CHECK_DECIMALS;
        let is_small = |share: &Share| share.numerator <= i128::from(most) * share.denominator;
        let fits = parsed.filter(is_short).filter(is_small);
        fits.ok_or_else(|| {
            let failure = messages::bad_check_decimal(key, value, most);
            text.wrong(&format!("checks.{key}"), failure)
        })
    };
    Ok(CheckRules {
        severities,
        weeks,
        min_days,
        max_mads: decimal("max_mads", section.max_mads, 1000)?,
        min_change: decimal("min_change", section.min_change, 1)?,
        min_share_change: decimal("min_share_change", section.min_share_change, 1)?,
        max_shops: decimal("max_shops", section.max_shops, 1)?,
        are_accepted: false,
    })
}

fn required(names: Option<Vec<String>>, text: &JobText) -> Result<Vec<&'static str>> {
    let always = DATASETS
        .iter()
        .filter(|d| d.always_required)
        .map(|d| d.name);
    let Some(names) = names else {
        return Ok(always.collect());
    };
    let mut required = Vec::new();
    for (position, name) in names.iter().enumerate() {
        let at = format!("required.{position}");
        let all = DATASETS.map(|dataset| dataset.name);
        let unknown = || messages::unknown_dataset("required", name, choices(name, &all));
        let known = dataset(name).ok_or_else(|| text.wrong(&at, unknown()))?;
        ensure!(
            !required.contains(&known.name),
            text.wrong(&at, messages::dataset_twice("required", name))
        );
        required.push(known.name);
    }
    for name in always {
        ensure!(
            required.contains(&name),
            text.wrong("required", messages::dataset_not_required(name))
        );
    }
    Ok(required)
}

fn may_be_empty(names: &[String], text: &JobText) -> Result<Vec<&'static str>> {
    let can = |dataset: &&&Dataset| dataset.without_rows == WithoutRows::BlocksUnlessAllowed;
    let all: Vec<&str> = DATASETS
        .iter()
        .filter(can)
        .map(|dataset| dataset.name)
        .collect();
    let find = |(position, name): (usize, &String)| {
        let found = all.iter().copied().find(|known| known == name);
        let wrong = || {
            let failure = messages::never_empty(name, choices(name, &all));
            text.wrong(&format!("may_be_empty.{position}"), failure)
                .into()
        };
        found.ok_or_else(wrong)
    };
    names.iter().enumerate().map(find).collect()
}

fn tiers(sections: Vec<TierSection>, text: &JobText) -> Result<Vec<Tier>> {
    if sections.is_empty() {
        let default = |(name, units): (&str, i128)| Tier {
            name: name.into(),
            min_gmv_cents: units * 100,
        };
        return Ok(DEFAULT_TIERS.map(default).to_vec());
    }
    let mut tiers: Vec<Tier> = Vec::new();
    for (position, section) in sections.into_iter().enumerate() {
        let wrong = |key: &str, failure| text.wrong(&format!("tier.{position}.{key}"), failure);
        let amount = match &section.min_gmv {
            toml::Value::Integer(units) => cents(&units.to_string()),
            toml::Value::String(text) => cents(text),
            _ => None,
        };
        let TierSection { name, min_gmv } = section;
        let bad_amount = || wrong("min_gmv", messages::bad_amount(&name, &min_gmv));
        let min_gmv_cents = amount.ok_or_else(bad_amount)?;
        if let Some(lower) = tiers.last() {
            ensure!(
                lower.min_gmv_cents < min_gmv_cents,
                wrong("min_gmv", messages::tiers_out_of_order(&name, &lower.name))
            );
        } else {
            ensure!(
                min_gmv_cents == 0,
                wrong("min_gmv", messages::first_tier(&name))
            );
        }
        let is_new = !name.is_empty() && !tiers.iter().any(|t| t.name == name);
        ensure!(is_new, wrong("name", messages::bad_tier_name(&name)));
        tiers.push(Tier {
            name,
            min_gmv_cents,
        });
    }
    Ok(tiers)
}

/// Digits before the point of `DECIMAL(18,2)`. Currencies with small units need most of them.
const MONEY_WHOLE_DIGITS: usize = 16;

/// `"1000"` or `"1000.5"` or `"1000.50"` in cents.
fn cents(text: &str) -> Option<i128> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let fits = (1..=MONEY_WHOLE_DIGITS).contains(&whole.len()) && decimals.len() <= 2;
    (fits && is_digits(whole) && is_digits(decimals))
        .then(|| format!("{whole}{decimals:0<2}").parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bug;

    fn error(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_means_the_defaults_of_the_spec() {
        let config = Config::parse("").unwrap();
        assert_eq!(
            config.required,
            [
                "order_lines",
                "product_traffic",
                "shops",
                "campaigns",
                "campaign_shops"
            ]
        );
        assert_eq!(
            (
                config.lookback_days,
                config.store_concurrency,
                config.benchmark.min_peers,
                config.quarantine.max_rows
            ),
            (7, 32, 10, 10)
        );
        assert_eq!(
            config.quarantine.max_ratio,
            Share {
                numerator: 1,
                denominator: 1000
            }
        );
        assert_eq!(config.tiers[5].min_gmv_cents, 75_000_000);
    }

    #[test]
    fn every_wrong_value_is_named_with_its_remedy() {
        assert!(error("lokback_days = 3").contains("the nearest is \"lookback_days\""));
        assert!(error("time_zone = \"PST8\"").contains("is not an IANA name"));
        assert!(error("required = [\"order_lines\"]").contains("more can be required, not less"));
        assert!(error("[quarantine]\nmax_ratio = 1.5").contains("not a decimal from 0 to 1"));
        assert!(error("[[tier]]\nname = \"A\"\nmin_gmv = \"5\"").contains("must be \"0\""));
        for amount in ["10.5", "-1", "true", "\"1,000\"", "\"1.005\"", "[1]"] {
            let said = error(&format!("[[tier]]\nname = \"A\"\nmin_gmv = {amount}"));
            let expected = "is not an amount; write it in quotes, such as \"1000.50\"";
            assert!(
                said.contains(&format!("tier \"A\": min_gmv = {amount} {expected}")),
                "{said}"
            );
        }
        assert!(error("lease_seconds = 0").contains("lease_seconds = 0 is not from 1 to 3600"));
        for wrong in [0, 1025] {
            let text = format!("[store]\nconcurrency = {wrong}");
            let says = format!("store.concurrency = {wrong} is not from 1 to 1024");
            assert!(error(&text).contains(&says), "{}", error(&text));
        }
        assert!(error("lookback_days = 367").contains("lookback_days = 367 is more than 366"));
        assert!(
            error("history.keep_days = 36501")
                .contains("history.keep_days = 36501 is more than 36500")
        );
        assert!(
            error("memory_limit = \"much\"")
                .contains("memory_limit = \"much\" is not a size such as \"4GiB\"")
        );
        assert!(error("exports = \"\"").contains("exports is empty; give a path or URL"));
        for url in ["lineage.example.com", "ftp://a/b", "file:///a"] {
            let said = error(&format!("[lineage]\nurl = \"{url}\""));
            let expected = format!("lineage.url = \"{url}\" is not an http: or https: URL");
            assert!(said.contains(&expected), "{said}");
        }
        for url in ["https://user:word@a/b", "https://a/b?api_key=abcdefgh"] {
            let said = error(&format!("[lineage]\nurl = \"{url}\""));
            assert!(
                said.contains("holds a key") && said.contains("OPENLINEAGE_API_KEY"),
                "{said}"
            );
        }
        assert!(error("[lineage]\nnamespace = \"a\"").contains("a missing key: `url`"));
        let twice =
            "[[tier]]\nname = \"A\"\nmin_gmv = 0\n[[tier]]\nname = \"A\"\nmin_gmv = \"1.5\"";
        assert!(error(twice).contains("unique"));
    }

    #[test]
    fn a_key_of_lineage_leaves_the_machine_over_https_only() {
        let read = |url: &str, key: &str| {
            let environment = [("OPENLINEAGE_API_KEY".to_owned(), key.to_owned())];
            let text = format!("[lineage]\nurl = \"{url}\"");
            Config::read("", &text, &environment, &[]).map_err(|error| format!("{error:#}"))
        };
        for url in [
            "http://lineage.example.com/api",
            "http://127.0.0.1.example.com/",
        ] {
            let said = read(url, "a-key").unwrap_err();
            for part in ["line 2", url, "OPENLINEAGE_API_KEY is set", "https://"] {
                assert!(said.contains(part), "{said}");
            }
            // An empty variable is no key.
            assert!(read(url, "").is_ok(), "{url}");
        }
        for url in [
            "https://lineage.example.com/api",
            "http://127.0.0.1:5000/",
            "http://[::1]:5000/",
            "http://localhost:5000/",
        ] {
            assert!(read(url, "a-key").is_ok(), "{url}");
        }
    }

    #[test]
    fn every_wrong_value_is_shown_where_it_stands() {
        let tier =
            "[[tier]]\nname = \"A\"\nmin_gmv = \"0\"\n[[tier]]\nname = \"A\"\nmin_gmv = \"5\"\n";
        for (text, line, column, marked) in [
            ("x = ", 1, 5, "^"),
            ("\nlokback_days = 3", 2, 1, "^^^^^^^^^^^^"),
            ("[store]\nconcurency = 3", 2, 1, "^^^^^^^^^^"),
            ("[[tier]]\nnome = 3", 2, 1, "^^^^"),
            ("lookback_days = \"3\"", 1, 17, "^^^"),
            ("time_zone = \"PST8\"", 1, 13, "^^^^^^"),
            ("\n\ncurrency = \"usd\"", 3, 12, "^^^^^"),
            ("lookback_days = 367", 1, 17, "^^^"),
            ("lease_seconds = 0", 1, 17, "^"),
            ("[store]\nconcurrency = 0", 2, 15, "^"),
            ("store.concurrency = 0", 1, 21, "^"),
            ("store = { concurrency = 0 }", 1, 25, "^"),
            ("history.keep_days = 36501", 1, 21, "^^^^^"),
            ("quarantine.max_ratio = 1.5", 1, 24, "^^^"),
            ("benchmark.top_share = 0.0", 1, 23, "^^^"),
            ("benchmark.min_peers = 0", 1, 23, "^"),
            ("exports = \" \"", 1, 11, "^^^"),
            ("memory_limit = \"much\"", 1, 16, "^^^^^^"),
            ("required = [\"order_lines\"]", 1, 12, "^^^^^^^^^^^^^^^"),
            ("required = [\n  \"shops\",\n  \"shop\",\n]", 3, 3, "^^^^^^"),
            ("may_be_empty = [\"shops\"]", 1, 17, "^^^^^^^"),
            ("[checks]\nseverities = { gvm = \"warn\" }", 2, 22, "^^^^^^"),
            ("checks.weeks = 27", 1, 16, "^^"),
            ("checks.min_days = 2", 1, 19, "^"),
            ("checks.max_mads = 0.00001", 1, 19, "^^^^^^^"),
            (tier, 5, 8, "^^^"),
            ("[[tier]]\nname = \"A\"\nmin_gmv = \"5\"", 3, 11, "^^^"),
        ] {
            let said = bug::parts_of(&Config::parse(text).unwrap_err()).what;
            let place = format!("line {line}, column {column}\n");
            assert!(said.starts_with(&place), "{text}: {said}");
            assert!(said.contains(&format!(" {marked}\n")), "{text}: {said}");
        }
    }

    #[test]
    fn a_mistyped_word_is_told_with_the_nearest_one() {
        let unknown = error("[store]\nconcurency = 3");
        assert!(
            unknown
                .contains("\"concurency\" is not a key of store; the nearest is \"concurrency\""),
            "{unknown}"
        );
        let dataset = error("required = [\"order_line\"]");
        assert!(
            dataset.contains("the nearest is \"order_lines\""),
            "{dataset}"
        );
        let check = error("checks.severities = { gvm = \"warn\" }");
        assert!(check.contains("the nearest is \"gmv\""), "{check}");
        let foreign = error("checks.severities = { weather = \"warn\" }");
        assert!(foreign.contains("there are rows, files, gmv"), "{foreign}");
        let zone = error("time_zone = \"Europe/Berln\"");
        assert!(
            zone.contains("give one such as \"Europe/Berlin\""),
            "{zone}"
        );
    }

    #[test]
    fn the_budget_is_the_greater_of_rows_and_ratio_and_exact() {
        let budget = QuarantineBudget {
            max_rows: 10,
            max_ratio: Share {
                numerator: 1,
                denominator: 1000,
            },
        };
        assert!(
            !budget.is_exceeded(10, 20)
                && budget.is_exceeded(11, 10_999)
                && !budget.is_exceeded(11, 11_000)
        );
        // More than half is too much for every budget.
        let all = QuarantineBudget {
            max_rows: 100,
            max_ratio: Share::ONE,
        };
        assert!(
            !all.is_exceeded(5, 10)
                && all.is_exceeded(6, 10)
                && all.is_exceeded(1, 1)
                && !all.is_exceeded(0, 0)
        );
    }

    #[test]
    fn checks_warn_and_single_ones_can_block_or_be_off() {
        let rules = Config::parse("").unwrap().checks;
        let words = CheckGroup::ALL.iter().map(|group| rules.severity(*group));
        assert!(words.clone().all(|severity| severity == Severity::Warn));
        let text = "[checks]\nseverity = \"off\"\nseverities = { gmv = \"block\" }";
        let rules = Config::parse(text).unwrap().checks;
        assert_eq!(rules.severity(CheckGroup::Gmv), Severity::Block);
        assert_eq!(rules.severity(CheckGroup::Nulls), Severity::Off);
    }

    #[test]
    fn every_wrong_value_of_the_checks_is_named_with_its_remedy() {
        let of_checks = |text: &str| error(&format!("[checks]\n{text}"));
        assert!(of_checks("severities = { gvm = \"warn\" }").contains("there is no check \"gvm\""));
        assert!(of_checks("severity = \"loud\"").contains("an unknown word: `loud`"));
        assert!(of_checks("weeks = 27").contains("checks.weeks = 27 is not from 1 to 26"));
        assert!(of_checks("min_days = 2").contains("checks.min_days = 2 is not from 3 to 56"));
        assert!(of_checks("min_change = 1.5").contains("checks.min_change = 1.5"));
        assert!(of_checks("max_mads = 0.00001").contains("at most 4 decimal places"));
    }

    #[test]
    fn a_share_of_peers_is_rounded_up() {
        let tenth = Share::parse("0.1").unwrap();
        assert_eq!([0, 1, 10, 11].map(|n| tenth.ceil_of(n)), [0, 1, 1, 2]);
        assert_eq!(Share::ONE.ceil_of(7), 7);
    }

    #[test]
    fn a_threshold_may_be_any_amount_of_money() {
        let amounts = ["0", "20.5", "1000.50", "9999999999999999.99"].map(cents);
        assert_eq!(
            amounts,
            [
                Some(0),
                Some(2_050),
                Some(100_050),
                Some(999_999_999_999_999_999)
            ]
        );
        assert_eq!(
            ["", ".5", "-1", "+1", "1.005", "1e3", "10000000000000000"].map(cents),
            [None; 7]
        );
    }

    #[test]
    fn a_shop_exactly_at_a_threshold_is_in_the_tier() {
        let config = Config::parse("").unwrap();
        assert_eq!(
            [0, 99_999, 100_000, 75_000_000].map(|c| config.tier_of(c)),
            [0, 0, 1, 5]
        );
    }
}
