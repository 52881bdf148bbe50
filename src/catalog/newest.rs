//! The newest published days of the results, from their manifests: for metrics.

use anyhow::Result;
use chrono::{DateTime, NaiveDate, Utc};

use super::layout::{RUNS, manifest_of};
use super::manifest::PublishedBenchmark;
use super::state::read_manifest;
use crate::store::Store;

/// What readers find at the newest days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    /// The newest day whose own tables are published; `None`: no day.
    pub day: Option<NaiveDate>,
    /// When the newest day that is not blocked was published; `None`: no day.
    pub published_at: Option<DateTime<Utc>>,
    /// The benchmarks of the newest day that has any.
    pub benchmark: Option<PublishedBenchmark>,
}

impl Newest {
    /// Lists the manifests, and reads from the newest day back as many as it needs: those of days that wait
    /// or are blocked, and of the newest published one.
    ///
    /// # Errors
    /// When the store fails, or a manifest cannot be read.
    pub fn find(results: &Store) -> Result<Newest> {
        // Sorted, so the newest manifest of a day is its last one.
        let listed = results.list_all_of_each(&[RUNS])?.remove(0);
        let manifests = listed.iter().filter_map(|entry| manifest_of(&entry.name));
        let (mut newest, mut seen) = (Newest::default(), None);
        for (day, number) in manifests.rev() {
            if seen == Some(day) {
                continue;
            }
            seen = Some(day);
            let manifest = read_manifest(results, day, number)?;
            newest.benchmark = newest.benchmark.or(manifest.benchmark.clone());
            if manifest.has_rollups() {
                newest.day = newest.day.or(Some(day));
                if manifest.blocked.is_none() {
                    newest.published_at = manifest.finished_at.parse().ok();
                    break;
                }
            }
        }
        Ok(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::manifest::{BlockedExports, Manifest};
    use crate::testing::{Memory, manifest, march};

    fn published(day: u32, number: u64, finished_at: &str) -> Manifest {
        Manifest {
            rollup_inputs: Some("inputs".into()),
            finished_at: finished_at.into(),
            benchmark: Some(PublishedBenchmark {
                benchmark_day: march(day),
                fallback_reason: None,
            }),
            ..manifest(march(day), number)
        }
    }

    fn blocked() -> Option<BlockedExports> {
        Some(BlockedExports {
            inputs: String::new(),
            reader: String::new(),
            compared_with: None,
            exports: vec![],
        })
    }

    #[test]
    fn without_manifests_there_is_no_newest_day() {
        let newest = Newest::find(&Memory::new("results").store).unwrap();
        assert_eq!(newest, Newest::default());
    }

    #[test]
    fn a_day_that_waits_or_is_blocked_leaves_the_time_of_the_day_before() {
        let memory = Memory::new("results");
        memory.put_manifest(&published(12, 1, "2026-03-13T09:00:00.000Z"));
        memory.put_manifest(&published(13, 2, "2026-03-14T08:00:00.000Z"));
        memory.put_manifest(&published(13, 3, "2026-03-14T09:00:00.000Z"));
        // Published, and blocked since.
        memory.put_manifest(&Manifest {
            blocked: blocked(),
            ..published(14, 4, "2026-03-15T09:00:00.000Z")
        });
        // Only benchmarks that stand in.
        let reason = Some("order_lines".to_owned());
        let stand_in = PublishedBenchmark {
            benchmark_day: march(14),
            fallback_reason: reason,
        };
        memory.put_manifest(&Manifest {
            benchmark: Some(stand_in.clone()),
            ..manifest(march(15), 5)
        });
        let newest = Newest::find(&memory.store).unwrap();
        let expected = Newest {
            day: Some(march(14)),
            published_at: Some("2026-03-14T09:00:00Z".parse().unwrap()),
            benchmark: Some(stand_in),
        };
        assert_eq!(newest, expected);
    }
}
