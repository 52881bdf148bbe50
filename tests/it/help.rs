//! Texts for people, word for word: help, errors that a person can cause, a manifest.
//!
//! Results are never compared here.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::Schema;
use campaign_etl::contracts::datasets;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use tempfile::TempDir;

use crate::places::{one_day, rows};
use crate::world::{Cells, Outcome, etl, write_file};

const DAY: &str = "2026-03-10";

/// Help for a terminal of 100 columns.
fn help(args: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
    let output = program
        .args(args)
        .env("COLUMNS", "100")
        .env("LINES", "50")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn help_of_the_program() {
    insta::assert_snapshot!(help(&["--help"]), @r"
    Nightly batch job behind a marketplace's Campaign Dashboard: exports in, exact metrics and
    benchmarks out

    Usage: campaign-etl [OPTIONS] <COMMAND>

    Commands:
      run          The nightly job: catch up, compute the day, publish it
      backfill     Compute a range of days, and the later published days that become stale
      plan         Show the work of the next run, day by day, with reasons; writes nothing
      status       Say whether the night is fine, and show the state of its days; writes nothing
      explain      Show where a published number comes from, and compute it again; writes nothing
      report       Draw pages: a shop's Campaign Dashboard, or the operator's page of a night
      diff         Show the changes between two publications of a day, and their causes; writes nothing
      describe     Describe a table, an export or a column: type, unit, formula, null, lineage
      catalog      Print views of all result tables for DuckDB, with types and comments
      schema       Print the JSON Schema of a document of --format json or of the job file; without a
                   name: list them
      doctor       Check that the job can run here: job file, stores, clock, memory, disks; before the
                   first night
      unlock       End the expired lease of a run that died
      vacuum       Remove files that are no longer needed: staged leftovers, superseded manifests, old
                   quarantine, old history
      validate     Check the exports of a day against their contracts, rows included; writes nothing
      generate     Write the exports of a synthetic marketplace, of any size, from a seed
      completions  Print the script that completes commands and flags in a shell
      man          Print the manual page; with --out, one file for each command
      init         Write a first job file for exports with other folders and columns; never overwrites
                   one
      help         Print this message or the help of the given subcommand(s)

    Options:
          --config <FILE>            The job file [env: CAMPAIGN_ETL_CONFIG] [default: jobs/daily.toml]
          --exports <PATH|URL>       Where the exports are, instead of the job file's `exports`: a path
                                     or a file:, s3:, gs: or az: URL
          --results <PATH|URL>       Where the results are, instead of the job file's `results`
          --engine <ENGINE>          The engine that computes the rollups, instead of the job file's
                                     `engine` [possible values: local, spark]
          --spark-remote <URL>       The server of the engine spark, instead of the job file's
                                     `spark.remote`: sc://HOST:PORT
          --format <FORMAT>          The format of stdout: text for people, or one JSON document
                                     [default: text] [possible values: text, json]
      -q, --quiet                    Only warnings and errors on stderr
          --log-format <LOG_FORMAT>  The format of stderr: progress for people, or one JSON object per
                                     line [env: CAMPAIGN_ETL_LOG_FORMAT] [default: text] [possible
                                     values: text, json]
          --color <WHEN>             When stderr has colours; auto: on a terminal, unless NO_COLOR is
                                     set [env: CAMPAIGN_ETL_COLOR] [default: auto] [possible values:
                                     auto, always, never]
          --threads <N>              Number of threads; it does not change the results [default: all
                                     cores] [env: CAMPAIGN_ETL_THREADS]
          --memory-limit <SIZE>      Memory limit, such as 4GiB; rows that do not fit are spilled to a
                                     local disk [default: half of the memory]
      -h, --help                     Print help
      -V, --version                  Print version

    Exit codes:
      0    published, or already up to date
      2    the command line is wrong
      65   the day is blocked, or a sum does not fit its table: a person is needed
      70   a bug in this program
      74   the store failed or cannot be reached
      75   not final yet, or another run holds the results: try again later
      78   the configuration is wrong
      130  interrupted (SIGINT)
      143  terminated (SIGTERM)

    `campaign-etl help exit-codes` says who acts. Values of the job file can be given in the
    environment: CAMPAIGN_ETL_RESULTS for `results` (docs/configuration.md).
    At 3 a.m.: `status` shows the problems, `plan` shows the work of the next run, `run` does it.
    Running again is always safe.
    ");
}

#[test]
fn help_of_run() {
    insta::assert_snapshot!(help(&["run", "--help"]), @r"
    The nightly job: catch up, compute the day, publish it

    Brings the days of the lookback up to date, oldest first, and then the day itself. If the day's
    exports are not final or are blocked, the benchmarks of the day before stand in. Running again is
    always safe: a run without work writes nothing.

    Usage: campaign-etl run [OPTIONS]

    Options:
          --day <YYYY-MM-DD>
              The report day [default: yesterday in the configured time zone]

          --strict
              Exit 65, after publishing, when an optional export is absent or broken

          --accept-fallback
              Exit 0 instead of 75 when the day is not final and benchmarks of the day before stand in

          --accept-checks
              Publish days whose checks failed and would block them; the manifest names these checks

          --metrics-file <FILE>
              Write metrics of the run to this file when it ends, for Prometheus (the textfile collector
              of node_exporter)

          --config <FILE>
              The job file

              [env: CAMPAIGN_ETL_CONFIG]
              [default: jobs/daily.toml]

          --exports <PATH|URL>
              Where the exports are, instead of the job file's `exports`: a path or a file:, s3:, gs: or
              az: URL

          --results <PATH|URL>
              Where the results are, instead of the job file's `results`

          --engine <ENGINE>
              The engine that computes the rollups, instead of the job file's `engine`

              [possible values: local, spark]

          --spark-remote <URL>
              The server of the engine spark, instead of the job file's `spark.remote`: sc://HOST:PORT

          --format <FORMAT>
              The format of stdout: text for people, or one JSON document

              [default: text]
              [possible values: text, json]

      -q, --quiet
              Only warnings and errors on stderr

          --log-format <LOG_FORMAT>
              The format of stderr: progress for people, or one JSON object per line

              [env: CAMPAIGN_ETL_LOG_FORMAT]
              [default: text]
              [possible values: text, json]

          --color <WHEN>
              When stderr has colours; auto: on a terminal, unless NO_COLOR is set

              [env: CAMPAIGN_ETL_COLOR]
              [default: auto]
              [possible values: auto, always, never]

          --threads <N>
              Number of threads; it does not change the results [default: all cores]

              [env: CAMPAIGN_ETL_THREADS]

          --memory-limit <SIZE>
              Memory limit, such as 4GiB; rows that do not fit are spilled to a local disk [default:
              half of the memory]

      -h, --help
              Print help (see a summary with '-h')
    ");
}

/// Exports of one small day, for a test to spoil.
struct Day {
    folder: TempDir,
}

impl Day {
    fn new() -> Day {
        let day = Day {
            folder: TempDir::new().unwrap(),
        };
        one_day().write(&day.folder.path().join("exports"), 1);
        day
    }

    fn export(&self, dataset: &str) -> PathBuf {
        self.folder
            .path()
            .join("exports")
            .join(dataset)
            .join(format!("dt={DAY}"))
    }

    fn part(&self, dataset: &str) -> PathBuf {
        self.export(dataset).join("part-00000.parquet")
    }

    /// Exports a column in a way that the contract does not allow.
    fn change_column(&self, dataset: &str, column: &str, change: impl Fn(&ArrayRef) -> ArrayRef) {
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(File::open(self.part(dataset)).unwrap())
                .unwrap();
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        let (schema, mut columns, _) = batch.into_parts();
        let position = schema.index_of(column).unwrap();
        columns[position] = change(&columns[position]);
        let mut fields: Vec<_> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        fields[position].set_data_type(columns[position].data_type().clone());
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let file = File::create(self.part(dataset)).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    fn replace_rows(&self, dataset: &str, rows: &[Cells]) {
        write_file(
            &self.part(dataset),
            datasets::dataset(dataset).unwrap().columns,
            rows,
        );
    }

    fn run(&self, job: &str) -> Outcome {
        let path = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("job.toml"), job).unwrap();
        let (job, exports, results) = (path("job.toml"), path("exports"), path("results"));
        let mut ended = etl(&[
            "run",
            "--day",
            DAY,
            "--config",
            &job,
            "--exports",
            &exports,
            "--results",
            &results,
            "--quiet",
        ]);
        ended.stderr = ended
            .stderr
            .replace(self.folder.path().to_str().unwrap(), "[folder]");
        ended
    }

    /// Runs the day, which exits with this code, and gives the text of stderr.
    #[track_caller]
    fn says(&self, code: i32, job: &str) -> String {
        let ended = self.run(job);
        assert_eq!(ended.code, code, "{}", ended.stderr);
        ended.stderr
    }
}

#[test]
fn a_column_of_a_wrong_type() {
    let day = Day::new();
    let as_text = |_: &ArrayRef| Arc::new(StringArray::from(vec!["2026-03-09"])) as ArrayRef;
    day.change_column("campaigns", "first_day", as_text);
    insta::assert_snapshot!(day.says(65, ""), @r"
    warning: 2026-03-10 blocked: campaigns breaks its contract:
    ┌───────────┬────────────────────┬───────────┬──────────┬────────┐
    │ dataset   ┆ file               ┆ column    ┆ expected ┆ found  │
    ╞═══════════╪════════════════════╪═══════════╪══════════╪════════╡
    │ campaigns ┆ part-00000.parquet ┆ first_day ┆ DATE     ┆ STRING │
    └───────────┴────────────────────┴───────────┴──────────┴────────┘
      tonight: readers see the day's earlier version or, if there is none, benchmarks of the day before
      next: cast the column to DATE in the export
    ");
}

#[test]
fn a_timestamp_without_a_zone() {
    let day = Day::new();
    day.change_column("order_lines", "paid_at", |instants| {
        Arc::new(
            instants
                .as_primitive::<TimestampMicrosecondType>()
                .clone()
                .with_timezone_opt(None::<Arc<str>>),
        )
    });
    insta::assert_snapshot!(day.says(65, ""), @r"
    warning: 2026-03-10 blocked: order_lines breaks its contract:
    ┌─────────────┬────────────────────┬─────────┬────────────────────┬──────────────────────────┐
    │ dataset     ┆ file               ┆ column  ┆ expected           ┆ found                    │
    ╞═════════════╪════════════════════╪═════════╪════════════════════╪══════════════════════════╡
    │ order_lines ┆ part-00000.parquet ┆ paid_at ┆ TIMESTAMP(us, UTC) ┆ TIMESTAMP without a zone │
    └─────────────┴────────────────────┴─────────┴────────────────────┴──────────────────────────┘
      tonight: readers see the day's earlier version or, if there is none, benchmarks of the day before
      next: give the column time_zone in the job file, or write instants adjusted to UTC: Spark TIMESTAMP (not TIMESTAMP_NTZ), DuckDB TIMESTAMPTZ, Arrow timestamp('us', 'UTC')
    ");
}

#[test]
fn a_date_out_of_range() {
    let day = Day::new();
    day.change_column("campaigns", "last_day", |_| {
        Arc::new(arrow_array::Date32Array::from(vec![i32::MAX]))
    });
    insta::assert_snapshot!(day.says(65, ""), @r"
    warning: 2026-03-10 blocked: campaigns breaks its contract:
    ┌───────────┬────────────────────┬──────────┬───────────────────────────┬─────────────────────┐
    │ dataset   ┆ file               ┆ column   ┆ expected                  ┆ found               │
    ╞═══════════╪════════════════════╪══════════╪═══════════════════════════╪═════════════════════╡
    │ campaigns ┆ part-00000.parquet ┆ last_day ┆ a DATE of years 1 to 9999 ┆ 2147483647 in row 0 │
    └───────────┴────────────────────┴──────────┴───────────────────────────┴─────────────────────┘
      tonight: readers see the day's earlier version or, if there is none, benchmarks of the day before
      next: write an open end as 9999-12-31
    ");
}

#[test]
fn more_bad_rows_than_the_budget() {
    let day = Day::new();
    let line = |quantity| {
        format!("{quantity}|11|21|5|31|2026-03-10T20:00:00Z|{quantity}|10.00|0|0|0|LIVE||")
    };
    let lines = [line(1), line(0), line(-1)];
    day.replace_rows("order_lines", &rows(&lines.each_ref().map(String::as_str)));
    insta::assert_snapshot!(day.says(65, "[quarantine]\nmax_rows = 1\n"), @r"
    warning: 2026-03-10 blocked: order_lines is over its quarantine budget: 2 of 3 rows: BAD_QUANTITY 2 (quantity = 0 in row 1 of part-00000.parquet)
      why: More than half of the rows break a rule. No budget allows that.
      tonight: readers see the day's earlier version or, if there is none, benchmarks of the day before
      next: have the export fixed; the rows are in _quarantine/order_lines/dt=2026-03-10
    ");
}

#[test]
fn no_row_is_left() {
    let day = Day::new();
    day.replace_rows("campaigns", &rows(&["7|Spring|2026-03-12|2026-03-09"]));
    insta::assert_snapshot!(day.says(65, ""), @r"
    warning: 2026-03-10 blocked: campaigns has no row left to use: all 1 are quarantined: BAD_RANGE 1 (last_day = 2026-03-09 in row 0 of part-00000.parquet)
      why: Every row breaks a rule.
      tonight: readers see the day's earlier version or, if there is none, benchmarks of the day before
      next: have the export fixed; the rows are in _quarantine/campaigns/dt=2026-03-10
    ");
}

#[test]
fn an_export_without_a_row() {
    let day = Day::new();
    fs::remove_file(day.part("shops")).unwrap();
    insta::assert_snapshot!(day.says(65, ""), @r"
    warning: 2026-03-10 blocked: shops has no row to use
      why: The dataset must have rows on every day. Files whose names start with . or _ are not data; the message names them.
      tonight: readers see the day's earlier version or, if there is none, benchmarks of the day before
      next: have the day exported again, with its rows
    ");
}

#[test]
fn a_success_file_that_lies() {
    let day = Day::new();
    let list = r#"{"files":[{"name":"part-1.parquet","size_bytes":9,"row_count":1}]}"#;
    fs::write(day.export("shops").join("_SUCCESS"), list).unwrap();
    insta::assert_snapshot!(day.says(65, ""), @r"
    warning: 2026-03-10 blocked: shops breaks its contract:
    ┌─────────┬────────────────────┬────────┬────────────────────────────────────┬──────────────────────────────┐
    │ dataset ┆ file               ┆ column ┆ expected                           ┆ found                        │
    ╞═════════╪════════════════════╪════════╪════════════════════════════════════╪══════════════════════════════╡
    │ shops   ┆ part-1.parquet     ┆        ┆ a file, as _SUCCESS lists it       ┆ no such file                 │
    │ shops   ┆ part-00000.parquet ┆        ┆ only the files that _SUCCESS lists ┆ a file that it does not list │
    └─────────┴────────────────────┴────────┴────────────────────────────────────┴──────────────────────────────┘
      tonight: readers see the day's earlier version or, if there is none, benchmarks of the day before
      next: export the day again, with _SUCCESS written last
    ");
}

#[test]
fn a_day_that_is_not_final() {
    let day = Day::new();
    fs::remove_file(day.export("shops").join("_SUCCESS")).unwrap();
    let path = |name: &str| day.folder.path().join(name).to_str().unwrap().to_owned();
    let (exports, results) = (path("exports"), path("results"));
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/daily.toml");
    let args = [
        "run",
        "--day",
        DAY,
        "--config",
        config,
        "--exports",
        &exports,
        "--results",
        &results,
    ];
    let ended = etl(&args);
    assert_eq!(ended.code, 75);
    let last = ended.stderr.lines().last().unwrap();
    // Without the time of the run.
    let (last, _) = last.rsplit_once(" (").unwrap();
    insta::assert_snapshot!(last, @"2026-03-10: not final yet, waiting for shops; nothing stands in, the day before lacks campaign_shops, campaigns, order_lines, product_traffic, shops; run again later");
}

#[test]
fn a_wrong_job_file() {
    let day = Day::new();
    let says = |job: &str| day.says(78, job);
    insta::assert_snapshot!(says("lokback_days = 3\n"), @r#"
    error: in the job file [folder]/job.toml: line 1, column 1
      |
    1 | lokback_days = 3
      | ^^^^^^^^^^^^
    "lokback_days" is not a key of the job file; the nearest is "lookback_days"
      why: The job file has a key that means nothing.
      tonight: readers see the earlier results; the command does not start
      next: correct the name, or remove it
    "#);
    insta::assert_snapshot!(says("time_zone = \"PST8\"\n"), @r#"
    error: in the job file [folder]/job.toml: line 1, column 13
      |
    1 | time_zone = "PST8"
      |             ^^^^^^
    time_zone = "PST8" is not an IANA name
      why: The time zone decides which instants belong to a day.
      tonight: readers see the earlier results; the command does not start
      next: give one such as "America/Los_Angeles"
    "#);
    insta::assert_snapshot!(says("required = [\"order_lines\"]\n"), @r#"
    error: in the job file [folder]/job.toml: line 1, column 12
      |
    1 | required = ["order_lines"]
      |            ^^^^^^^^^^^^^^^
    required: "product_traffic" is missing
      why: Five datasets are always required.
      tonight: readers see the earlier results; the command does not start
      next: add it: more can be required, not less
    "#);
    insta::assert_snapshot!(says("[benchmark]\ntop_share = 1.5\n"), @r#"
    error: in the job file [folder]/job.toml: line 2, column 13
      |
    2 | top_share = 1.5
      |             ^^^
    benchmark.top_share = 1.5 is not a decimal from 0 to 1
      why: Shares and ratios are fractions.
      tonight: readers see the earlier results; the command does not start
      next: write 10 % as 0.1
    "#);
    insta::assert_snapshot!(says("[[tier]]\nname = \"T1\"\nmin_gmv = 10.5\n"), @r#"
    error: in the job file [folder]/job.toml: line 3, column 11
      |
    3 | min_gmv = 10.5
      |           ^^^^
    tier "T1": min_gmv = 10.5 is not an amount
      why: Amounts are exact decimals with at most two places.
      tonight: readers see the earlier results; the command does not start
      next: write it in quotes, such as "1000.50"
    "#);
}

#[test]
fn a_manifest() {
    let day = Day::new();
    // One check stands for all.
    let job = "[checks]\nseverity = \"off\"\nseverities = { gmv = \"block\" }\n";
    assert_eq!(day.run(job).code, 0);
    let runs = day
        .folder
        .path()
        .join("results/_runs")
        .join(format!("dt={DAY}"));
    let files: Vec<PathBuf> = fs::read_dir(runs)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    let mut manifest: Value = serde_json::from_slice(&fs::read(&files[0]).unwrap()).unwrap();
    assert_eq!(
        (files.len(), manifest["tables"].as_object().unwrap().len()),
        (1, 15)
    );
    redact(&mut manifest);
    insta::assert_snapshot!(a_line_each(&manifest), @r#"
    benchmark:
      benchmark_day: "2026-03-10"
      fallback_reason: null
    blocked: null
    campaigns:
      {"campaign_id":7,"campaign_name":"Spring","first_day":"2026-03-09","last_day":"2026-03-12"}
    checks:
      checks: [{"compared_days":0,"dataset":"order_lines","judged":0,"name":"gmv","out_of_range":0,"outcome":"nothing_to_compare_with","severity":"block","unit":"money","why":"0 of 7 published days like it"}]
    commit_number: 2
    currency: "USD"
    datasets:
      {"dataset":"order_lines","nulls":{"content_id":2,"sub_campaign_id":2},"reasons":{},"rows_out_of_scope":0,"rows_quarantined":0,"rows_read":2,"rows_used":2}
      {"dataset":"product_traffic","nulls":{"content_id":1},"reasons":{},"rows_out_of_scope":0,"rows_quarantined":0,"rows_read":1,"rows_used":1}
      {"dataset":"shops","nulls":{"category":0,"primary_ad_account_id":1},"reasons":{},"rows_out_of_scope":0,"rows_quarantined":0,"rows_read":1,"rows_used":1}
      {"dataset":"campaigns","reasons":{},"rows_out_of_scope":0,"rows_quarantined":0,"rows_read":1,"rows_used":1}
      {"dataset":"campaign_shops","nulls":{"target_gmv":0},"reasons":{},"rows_out_of_scope":0,"rows_quarantined":0,"rows_read":1,"rows_used":1}
    day: "2026-03-10"
    finished_at: "[finished_at]"
    first_campaign_day: "2026-03-09"
    measures:
      campaign_ids: [7]
      channels: {"channels.order_lines":{"LIVE":500000,"VIDEO":500000},"channels.product_traffic":{"LIVE":1000000}}
      kind: "campaign"
      values: {"customers":2,"files.campaign_shops":1,"files.campaigns":1,"files.order_lines":1,"files.product_traffic":1,"files.shops":1,"gmv":1650,"impressions":9,"nulls.campaign_shops.target_gmv":0,"nulls.order_lines.content_id":1000000,"nulls.order_lines.sub_campaign_id":1000000,"nulls.product_traffic.content_id":1000000,"nulls.shops.category":0,"nulls.shops.primary_ad_account_id":1000000,"orders":2,"rows.campaign_shops":1,"rows.campaigns":1,"rows.order_lines":2,"rows.product_traffic":1,"rows.shops":1}
    rollup_inputs: "[rollup_inputs]"
    run_id: "[run_id]"
    skipped:
      {"columns":["creator_new_videos","creator_new_lives","seller_new_videos","seller_new_lives"],"day":"2026-03-10","reason":"contents is not final","table":"shop_daily"}
      {"columns":["ad_spend","ad_gross_revenue","ad_roi"],"day":"2026-03-10","reason":"ad_hours is not final","table":"shop_daily"}
      {"columns":["is_campaign_product"],"day":"2026-03-10","reason":"campaign_products is not final","table":"product_daily"}
      {"day":"2026-03-10","reason":"contents is not final","table":"content_daily"}
      {"day":"2026-03-10","reason":"sub_campaigns is not final","table":"sub_campaign_daily"}
      {"day":"2026-03-10","reason":"ad_hours is not final","table":"ad_hourly"}
      {"columns":["is_campaign_product"],"day":"2026-03-10","reason":"campaign_products is not final","table":"product_period"}
      {"day":"2026-03-10","reason":"inventory is not final","table":"stock_status"}
    sources:
      exports: "[exports]"
      settings: {"baseline.shops":"campaign","benchmark.max_peer_share":"0.5","benchmark.min_peers":"10","benchmark.top_share":"1","may_be_empty":"","quarantine.max_ratio":"0.001","quarantine.max_rows":"10","required":"order_lines, product_traffic, shops, campaigns, campaign_shops","tier":"\"T1\" 0.00, \"T2\" 1000.00, \"T3\" 6000.00, \"T4\" 30000.00, \"T5\" 150000.00, \"T6\" 750000.00","time_zone":"America/Los_Angeles"}
    stages:
      {"milliseconds":"[milliseconds]","stage":"rollups"}
      {"milliseconds":"[milliseconds]","stage":"checks"}
      {"milliseconds":"[milliseconds]","stage":"shop_period"}
      {"milliseconds":"[milliseconds]","stage":"funnel_period"}
      {"milliseconds":"[milliseconds]","stage":"channel_period"}
      {"milliseconds":"[milliseconds]","stage":"product_period"}
      {"milliseconds":"[milliseconds]","stage":"content_period"}
      {"milliseconds":"[milliseconds]","stage":"sub_campaign_period"}
      {"milliseconds":"[milliseconds]","stage":"gmv_baseline"}
      {"milliseconds":"[milliseconds]","stage":"shop_tier"}
      {"milliseconds":"[milliseconds]","stage":"benchmarks"}
      {"milliseconds":"[milliseconds]","stage":"staging"}
    started_at: "[started_at]"
    tables:
      category_benchmark: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":42,"run_id":"[run_id]","sha256":"[sha256]"}
      channel_daily: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":2,"run_id":"[run_id]","sha256":"[sha256]"}
      channel_period: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":2,"run_id":"[run_id]","sha256":"[sha256]"}
      content_period: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":0,"run_id":"[run_id]","sha256":"[sha256]"}
      funnel_period: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":1,"run_id":"[run_id]","sha256":"[sha256]"}
      gmv_baseline: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":0,"run_id":"[run_id]","sha256":"[sha256]"}
      gmv_gap: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":0,"run_id":"[run_id]","sha256":"[sha256]"}
      product_daily: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":1,"run_id":"[run_id]","sha256":"[sha256]"}
      product_period: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":1,"run_id":"[run_id]","sha256":"[sha256]"}
      shop_benchmark: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":42,"run_id":"[run_id]","sha256":"[sha256]"}
      shop_daily: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":1,"run_id":"[run_id]","sha256":"[sha256]"}
      shop_period: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":1,"run_id":"[run_id]","sha256":"[sha256]"}
      shop_tier: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":1,"run_id":"[run_id]","sha256":"[sha256]"}
      sku_daily: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":1,"run_id":"[run_id]","sha256":"[sha256]"}
      sub_campaign_period: {"bytes":"[bytes]","commit_number":2,"contract":"[contract]","footer":{"bytes":"[bytes]","sha256":"[sha256]"},"inputs":"[inputs]","rows":0,"run_id":"[run_id]","sha256":"[sha256]"}
    time_zone: "America/Los_Angeles"
    version: "[version]"
    "#);
}

/// A text without the values that differ between runs or releases.
fn redact(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            for (name, entry) in entries {
                match name.as_str() {
                    "run_id" | "version" | "started_at" | "finished_at" | "rollup_inputs"
                    | "inputs" | "sha256" | "bytes" | "contract" | "exports" | "milliseconds" => {
                        *entry = format!("[{name}]").into()
                    }
                    _ => redact(entry),
                }
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(redact),
        _ => {}
    }
}

/// JSON with one line for each entry of the first and of the second level.
fn a_line_each(document: &Value) -> String {
    let mut lines = Vec::new();
    for (name, value) in document.as_object().unwrap() {
        match value {
            Value::Object(entries) => {
                lines.push(format!("{name}:"));
                lines.extend(
                    entries
                        .iter()
                        .map(|(name, entry)| format!("  {name}: {entry}")),
                );
            }
            Value::Array(entries) => {
                lines.push(format!("{name}:"));
                lines.extend(entries.iter().map(|entry| format!("  {entry}")));
            }
            value => lines.push(format!("{name}: {value}")),
        }
    }
    lines.join("\n")
}
