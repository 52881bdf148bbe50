//! The metrics of a run, as text for Prometheus: the format that node_exporter's textfile collector reads.
//!
//! Every metric is a gauge: a run has one value of each, and the next run replaces the file. The collector
//! reads the text format 0.0.4. Libraries write OpenMetrics from live counters, so the lines are written here.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;

use super::run::{CheckedDay, DatasetRead, FailedDay, Outcome, RunReport, Work};
use crate::catalog::newest::Newest;
use crate::contracts::datasets::DATASETS;
use crate::days::calendar::CivilDay;
use crate::exports::quarantine::Accounting;

/// Everything that the metrics of a run are made of.
pub struct RunMetrics<'a> {
    /// `run` or `backfill`.
    pub command: &'a str,
    /// The job file. With `command`, it tells the metrics of several jobs on one machine apart.
    pub job_file: &'a str,
    pub started_at: DateTime<Utc>,
    pub ended_at: DateTime<Utc>,
    pub exit_code: u8,
    pub days: &'a [RunReport],
    /// Days of a backfill that failed.
    pub failed: &'a [FailedDay],
    /// The outcome of a command that ended with an error, and so reported no day.
    pub ended_early: Option<Outcome>,
    /// The newest published days, in the zone of the job file. `None`: they could not be read.
    pub newest: Option<(Newest, Tz)>,
}

impl RunMetrics<'_> {
    /// The text of the file.
    ///
    /// Metrics of the results (`published_*`, `benchmark_*`) are left out where nothing is known of them.
    pub fn text(&self) -> String {
        let mut page = Page {
            text: String::new(),
            labels: format!(
                "command=\"{}\",job_file=\"{}\"",
                escaped(self.command),
                escaped(self.job_file)
            ),
        };
        page.all(
            "build_info",
            "The version of campaign-etl; always 1.",
            "version",
            [(env!("CARGO_PKG_VERSION"), 1)],
        );
        self.of_run(&mut page);
        self.of_work(&mut page);
        self.of_results(&mut page);
        page.text
    }

    fn of_run(&self, page: &mut Page) {
        let duration = self.ended_at - self.started_at;
        page.one(
            "last_run_exit_code",
            "Exit code of the last run; docs/operations.md lists them.",
            self.exit_code,
        );
        page.all(
            "last_run_outcomes",
            "Days that the last run reported, by outcome.",
            "outcome",
            self.outcomes(),
        );
        page.one(
            "last_run_start_timestamp_seconds",
            "When the last run began.",
            seconds(self.started_at),
        );
        page.one(
            "last_run_end_timestamp_seconds",
            "When the last run ended.",
            seconds(self.ended_at),
        );
        page.one(
            "last_run_duration_seconds",
            "Wall time of the last run.",
            duration.num_milliseconds() as f64 / 1000.0,
        );
    }

    fn of_work(&self, page: &mut Page) {
        let mut work = Work::default();
        self.days.iter().for_each(|day| work.add(&day.work));
        page.all(
            "last_run_stage_duration_seconds",
            "Wall time of the stages of the last run; days that are computed side by side add up.",
            "stage",
            Work::STAGES.map(|stage| {
                let took = work.stages.get(stage).copied().unwrap_or_default();
                (stage, took.as_secs_f64())
            }),
        );
        page.all(
            "last_run_rows_read",
            "Rows of exports that the last run read.",
            "dataset",
            self.rows(|account| account.rows_read),
        );
        page.all(
            "last_run_rows_used",
            "Rows of exports that the last run used.",
            "dataset",
            self.rows(|account| account.rows_used),
        );
        page.all(
            "last_run_rows_quarantined",
            "Rows of exports that the last run put into quarantine.",
            "dataset",
            self.rows(|account| account.rows_quarantined),
        );
        let written = self.days.iter().flat_map(|day| &day.tables);
        let checks = self.days.iter().flat_map(|day| &day.checks);
        page.one(
            "last_run_read_bytes",
            "Size of the export files that the last run read.",
            work.read_bytes,
        );
        page.one(
            "last_run_spilled_bytes",
            "Bytes that the last run wrote to its spill folder.",
            work.spilled_bytes,
        );
        page.one(
            "last_run_written_bytes",
            "Size of the result files that the last run published.",
            written.clone().map(|table| table.bytes).sum::<u64>(),
        );
        page.one(
            "last_run_written_rows",
            "Rows of the result files that the last run published.",
            written.clone().map(|table| table.rows).sum::<u64>(),
        );
        page.one(
            "last_run_written_tables",
            "Result files that the last run published.",
            written.count(),
        );
        page.one(
            "last_run_failed_checks",
            "Checks before publishing that failed in the days of the last run.",
            checks
                .map(|day: &CheckedDay| day.counts.failed)
                .sum::<usize>(),
        );
        page.one(
            "last_run_warnings",
            "Warnings of the last run.",
            self.days
                .iter()
                .map(|day| day.warnings.len())
                .sum::<usize>(),
        );
    }

    fn of_results(&self, page: &mut Page) {
        let Some((newest, zone)) = &self.newest else {
            return;
        };
        let end_of = |day: NaiveDate| CivilDay::new(day, *zone).end_us as f64 / 1e6;
        if let Some(day) = newest.day {
            page.one(
                "published_day_end_timestamp_seconds",
                "End of the newest report day whose own tables are published.",
                end_of(day),
            );
        }
        if let Some(at) = newest.published_at {
            page.one(
                "published_timestamp_seconds",
                "When the newest report day that is not blocked was published.",
                seconds(at),
            );
        }
        if let Some(benchmark) = &newest.benchmark {
            page.one(
                "benchmark_day_end_timestamp_seconds",
                "End of the day of the newest published benchmarks.",
                end_of(benchmark.benchmark_day),
            );
            page.one(
                "benchmark_is_fallback",
                "1 while the newest published benchmarks stand in for a day that is not ready.",
                u8::from(benchmark.fallback_reason.is_some()),
            );
        }
    }

    /// The number of days with each outcome. A day that is reported twice counts as failed if it failed; a
    /// command that reported no day counts once.
    fn outcomes(&self) -> Vec<(&'static str, usize)> {
        let mut of_days: BTreeMap<NaiveDate, Outcome> = BTreeMap::new();
        for report in self.days {
            of_days.insert(report.day, report.outcome);
        }
        let days_failed = self.days.iter().flat_map(|report| &report.days_failed);
        for failed in self.failed.iter().chain(days_failed) {
            of_days.insert(failed.day, Outcome::Failed);
        }
        let outcomes = of_days.into_values().chain(self.ended_early);
        let outcomes: Vec<Outcome> = outcomes.collect();
        let count = |outcome| outcomes.iter().filter(|of| **of == outcome).count();
        let all = Outcome::ALL.iter();
        all.map(|(outcome, word)| (*word, count(*outcome)))
            .collect()
    }

    /// A number of rows of each dataset, over all days; 0 for one that was not read.
    fn rows(&self, rows: impl Fn(&Accounting) -> u64) -> Vec<(&'static str, u64)> {
        let read = self.days.iter().flat_map(|day| &day.datasets);
        let of = |name: &str| {
            let accounts = read.clone().map(|read: &DatasetRead| &read.account);
            accounts.filter(|a| a.dataset == name).map(&rows).sum()
        };
        DATASETS
            .map(|dataset| (dataset.name, of(dataset.name)))
            .to_vec()
    }
}

/// The text so far, and the labels of every sample.
struct Page {
    text: String,
    labels: String,
}

impl Page {
    fn one(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help);
        // Writing to a text does not fail.
        let _ = writeln!(self.text, "campaign_etl_{name}{{{}}} {value}", self.labels);
    }

    /// One sample for each value of a label.
    fn all<'v, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        samples: impl IntoIterator<Item = (&'v str, V)>,
    ) {
        self.head(name, help);
        for (of, value) in samples {
            let of = escaped(of);
            let _ = writeln!(
                self.text,
                "campaign_etl_{name}{{{},{label}=\"{of}\"}} {value}",
                self.labels
            );
        }
    }

    fn head(&mut self, name: &str, help: &str) {
        let _ = writeln!(
            self.text,
            "# HELP campaign_etl_{name} {help}\n# TYPE campaign_etl_{name} gauge"
        );
    }
}

/// A label's value, as the format quotes it.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::catalog::manifest::PublishedBenchmark;
    use crate::messages;
    use crate::report::run::Written;
    use crate::testing::march;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn read(dataset: &str, read: u64, used: u64, quarantined: u64) -> DatasetRead {
        let account = Accounting {
            dataset: dataset.into(),
            rows_read: read,
            rows_used: used,
            rows_quarantined: quarantined,
            rows_out_of_scope: 0,
            reasons: BTreeMap::new(),
            nulls: BTreeMap::new(),
            examples: vec![],
        };
        let day = march(14);
        DatasetRead { day, account }
    }

    fn written(table: &str, rows: u64, bytes: u64) -> Written {
        Written {
            day: march(14),
            table: table.into(),
            rows,
            bytes,
            sha256: String::new(),
        }
    }

    /// One published day, and a day of the lookback that failed.
    fn report() -> RunReport {
        let stages = [("rollups", 1500), ("windows", 250)];
        let stages = stages.map(|(stage, ms)| (stage, Duration::from_millis(ms)));
        RunReport {
            outcome: Outcome::Published,
            days_failed: vec![FailedDay::new(march(13), &messages::log_gone("x").into())],
            tables: vec![
                written("shop_daily", 60, 9000),
                written("shop_tier", 60, 1000),
            ],
            datasets: vec![read("order_lines", 1000, 990, 10), read("shops", 60, 60, 0)],
            warnings: vec!["one".into()],
            work: Work {
                stages: BTreeMap::from(stages),
                read_bytes: 123_456_789_012,
                spilled_bytes: 4096,
            },
            ..RunReport::new(march(14))
        }
    }

    fn text(job_file: &str, newest: Option<(Newest, Tz)>) -> String {
        let metrics = RunMetrics {
            command: "run",
            job_file,
            started_at: at("2026-03-15T09:00:00.250Z"),
            ended_at: at("2026-03-15T09:00:02.750Z"),
            exit_code: 74,
            days: &[report()],
            failed: &[],
            ended_early: None,
            newest,
        };
        metrics.text()
    }

    /// The samples of a metric without the labels that all of them have, in order.
    fn samples(text: &str, name: &str) -> Vec<String> {
        let start = format!("campaign_etl_{name}{{command=\"run\",job_file=\"/j.toml\"");
        let samples = text.lines().filter_map(|line| line.strip_prefix(&start));
        samples
            .map(|rest| rest.trim_start_matches(',').to_owned())
            .collect()
    }

    #[test]
    fn each_metric_has_the_values_of_the_report() {
        let stand_in = PublishedBenchmark {
            benchmark_day: march(13),
            fallback_reason: Some("order_lines".into()),
        };
        let newest = Newest {
            day: Some(march(14)),
            published_at: Some(at("2026-03-15T09:00:02Z")),
            benchmark: Some(stand_in),
        };
        let text = text("/j.toml", Some((newest, chrono_tz::America::Los_Angeles)));
        let is = |name: &str, value: &str| {
            assert_eq!(samples(&text, name), [format!("}} {value}")], "{name}");
        };
        is("last_run_exit_code", "74");
        // 2026-03-15T09:00:00Z is day 20527 of the epoch, hour 9: 20527 * 86400 + 9 * 3600.
        is("last_run_start_timestamp_seconds", "1773565200.25");
        is("last_run_end_timestamp_seconds", "1773565202.75");
        is("last_run_duration_seconds", "2.5");
        is("last_run_read_bytes", "123456789012");
        is("last_run_spilled_bytes", "4096");
        is("last_run_written_bytes", "10000");
        is("last_run_written_rows", "120");
        is("last_run_written_tables", "2");
        is("last_run_failed_checks", "0");
        is("last_run_warnings", "1");
        // The day ends at 00:00 of the 15th in Los Angeles, 07:00Z, two hours before 09:00Z.
        is("published_day_end_timestamp_seconds", "1773558000");
        is("published_timestamp_seconds", "1773565202");
        is("benchmark_day_end_timestamp_seconds", "1773471600");
        is("benchmark_is_fallback", "1");
        assert_eq!(
            samples(&text, "last_run_outcomes"),
            [
                "outcome=\"published\"} 1",
                "outcome=\"fallback\"} 0",
                "outcome=\"up_to_date\"} 0",
                "outcome=\"not_final\"} 0",
                "outcome=\"blocked\"} 0",
                "outcome=\"held\"} 0",
                "outcome=\"failed\"} 1",
            ]
        );
        assert_eq!(
            samples(&text, "last_run_stage_duration_seconds"),
            [
                "stage=\"rollups\"} 1.5",
                "stage=\"checks\"} 0",
                "stage=\"windows\"} 0.25",
                "stage=\"benchmarks\"} 0",
                "stage=\"staging\"} 0",
                "stage=\"commit\"} 0",
            ]
        );
        let of_orders = |name| samples(&text, name)[0].clone();
        assert_eq!(
            of_orders("last_run_rows_read"),
            "dataset=\"order_lines\"} 1000"
        );
        assert_eq!(
            of_orders("last_run_rows_used"),
            "dataset=\"order_lines\"} 990"
        );
        assert_eq!(
            of_orders("last_run_rows_quarantined"),
            "dataset=\"order_lines\"} 10"
        );
        assert_eq!(samples(&text, "last_run_rows_read").len(), 10);
    }

    #[test]
    fn every_sample_follows_the_help_and_type_of_its_metric() {
        let text = text("/j.toml", None);
        let (mut name, mut described) = (String::new(), 0);
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                name = help.split(' ').next().unwrap().to_owned();
                described += 1;
            } else if line.starts_with("# TYPE ") {
                assert_eq!(line, format!("# TYPE {name} gauge"));
            } else {
                assert!(line.starts_with(&format!("{name}{{")), "{line}");
            }
        }
        // build_info, 5 of the run, 4 of stages and rows, 7 numbers; none of the results.
        assert_eq!(described, 17);
        assert!(!text.contains("published_day") && !text.contains("benchmark_"));
    }

    #[test]
    fn a_label_is_quoted() {
        let text = text("/a \"b\"\\\n.toml", None);
        assert!(text.contains(r#"job_file="/a \"b\"\\\n.toml""#), "{text}");
    }
}
