//! The engine `spark`: the two large exports are checked and added up on a cluster, over Spark
//! Connect.
//!
//! `jobs/spark/` holds the queries. `jobs/spark/rows/<dataset>.sql` says why a row is not used;
//! `jobs/spark/<table>.sql` adds the used rows up. This process reads footers and snapshots, judges
//! each rejected row a second time, and lays the tables out as the engine of this process does. So
//! both engines give the same bytes.
//!
//! | file | holds |
//! | --- | --- |
//! | `client` | one session of a server |
//! | `rows` | the rows of an export as a view, the accounts and the rejected rows |

mod client;
mod rows;

use anyhow::Result;

use super::engine::{Engine, RolledUp, laid_out};
use crate::config::Config;
use crate::contracts::StreamId;
use crate::days::readiness::DayExports;
use crate::exports::defect::ReadError;
use crate::exports::open_export::OpenExport;
use crate::exports::row_filter::{FilterReport, RowFilter};
use crate::exports::stream_reader::InProcess;
use crate::exports::{StreamReader, Unused, read_day_with};
use crate::resources::Resources;
use crate::rollups::{GivenSums, Sums};
use crate::store::Store;
use client::{Arguments, Session};

/// Computes the sums of a day on a cluster.
pub(crate) struct SparkEngine<'a> {
    pub exports: &'a Store,
    pub config: &'a Config,
    /// `sc://host:port`
    pub remote: &'a str,
}

impl Engine for SparkEngine<'_> {
    /// # Errors
    /// When the server fails or cannot be reached: `StoreFailed`, with its message.
    fn roll_up(&self, exports: &DayExports, resources: &Resources) -> Result<RolledUp> {
        let mut streams = OnCluster {
            exports: self.exports,
            session: Session::open(self.remote, self.exports.runtime(), &resources.stop)?,
            resources,
        };
        let read = read_day_with(
            self.exports,
            exports,
            self.config,
            resources,
            &|_| true,
            &mut streams,
        )?;
        if read.blocking(self.config).next().is_some() {
            return Ok(RolledUp {
                read,
                ..RolledUp::default()
            });
        }
        let sums = streams.sums()?;
        drop(streams);
        laid_out(read, &sums, exports.day, self.config, resources)
    }
}

/// Reads the two large exports on the cluster.
struct OnCluster<'a> {
    exports: &'a Store,
    session: Session,
    resources: &'a Resources,
}

impl StreamReader for OnCluster<'_> {
    fn read(
        &mut self,
        id: StreamId,
        export: &OpenExport,
        filter: RowFilter,
        _is_only_checked: bool,
    ) -> Result<FilterReport, ReadError> {
        let query = match id {
            StreamId::OrderLines => include_str!("../../../jobs/spark/rows/order_lines.sql"),
            StreamId::ProductTraffic => {
                include_str!("../../../jobs/spark/rows/product_traffic.sql")
            }
        };
        let session = &self.session;
        let server = rows::server(session, self.exports, export)?;
        let tables = rows::tables(self.exports, server, export)?;
        if rows::has_inexact(session, &tables)? {
            // This process finds it too, and names it.
            let rows = &mut Unused;
            let mut here = InProcess {
                store: self.exports,
                resources: self.resources,
                rows,
            };
            here.read(id, export, filter, true)?;
            let why = "it finds a value that does not fit its column, and this program finds none";
            return Err(session.failed(why.into()).into());
        }
        rows::check(session, server, export, &tables, query, filter)
    }
}

impl OnCluster<'_> {
    /// The sums over the used rows of both exports.
    fn sums(&self) -> Result<Sums> {
        let sum = |query| self.session.rows(query, Arguments::new());
        self.resources.stop.check()?;
        let given = GivenSums {
            shops: sum(include_str!("../../../jobs/spark/shop_daily.sql"))?,
            channels: sum(include_str!("../../../jobs/spark/channel_daily.sql"))?,
            products: sum(include_str!("../../../jobs/spark/product_daily.sql"))?,
            skus: sum(include_str!("../../../jobs/spark/sku_daily.sql"))?,
            contents: sum(include_str!("../../../jobs/spark/content_daily.sql"))?,
            sub_campaigns: sum(include_str!("../../../jobs/spark/sub_campaign_daily.sql"))?,
            tally: sum(include_str!("../../../jobs/spark/tally.sql"))?,
        };
        given.into_sums()
    }
}
