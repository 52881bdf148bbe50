//! The texts that several benchmark tables have, each given by its position.

use anyhow::Result;
use polars::prelude::Column;

use super::cohorts::Scope;
use crate::columns;
use crate::config::Config;
use crate::contracts::metrics::METRICS;

/// `positions`: among the scope's categories.
pub(super) fn categories(
    scope: &Scope,
    positions: impl IntoIterator<Item = usize>,
) -> Result<Column> {
    let names = scope.candidates.category_names.iter().map(String::as_str);
    columns::listed_texts("category", names, positions)
}

/// `positions`: among the tiers of the configuration. Null: `None`.
pub(super) fn tiers<P: Into<Option<usize>>>(
    name: &str,
    config: &Config,
    positions: impl IntoIterator<Item = P>,
) -> Result<Column> {
    columns::listed_texts(name, config.tier_names(), positions)
}

/// `positions`: in [`METRICS`].
pub(super) fn metrics(positions: impl IntoIterator<Item = usize>) -> Result<Column> {
    columns::listed_texts("metric", METRICS.iter().map(|m| m.name), positions)
}
