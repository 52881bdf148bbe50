//! One session of a Spark Connect server: views and queries, given up when the run is asked to stop
//! or the server is gone.

// The error is the client's own type; calls are few.
#![allow(clippy::result_large_err)]

use std::collections::BTreeMap;
use std::io::Cursor;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use spark_connect::expression::{Expression, LiteralExpression};
use spark_connect::{DataFrame, SparkError, SparkSession};
use url::Url;

use crate::messages;
use crate::stop::Stop;
use crate::threads::watched;

/// How often a query in progress looks at the request to stop.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the server's port is tried while a query is in progress.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// How long the port may be closed. The client reattaches to its query where it opens again.
const MOST_CLOSED: Duration = Duration::from_secs(15);
/// How long the server may take to interrupt queries and forget the session.
const MOST_CLOSING: Duration = Duration::from_secs(5);

/// The port of Spark Connect, where the location names none.
const DEFAULT_PORT: u16 = 15002;

/// Settings of the session on which the queries rely.
const SETTINGS: [(&str, &str); 2] = [
    ("spark.sql.session.timeZone", "UTC"),
    ("spark.sql.ansi.enabled", "true"),
];

/// The values of the named arguments of a query.
pub(super) type Arguments = BTreeMap<&'static str, Argument>;

/// A value that the program computes.
#[derive(Clone, Copy)]
pub(super) enum Argument {
    Int(i64),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Instant(i64),
}

/// A session. When it is dropped, its queries are interrupted and the server forgets it.
pub(super) struct Session {
    spark: SparkSession,
    server: Server,
    stop: Stop,
}

impl Session {
    /// # Errors
    /// `StoreFailed` when the server cannot be reached; `ConfigWrong` when `remote` is no location
    /// of one.
    pub(super) fn open(remote: &str, stop: &Stop) -> Result<Session> {
        let server = Server::parse(remote)?;
        server
            .probe()
            .map_err(|error| messages::spark_failed(remote, error))?;
        let location = remote.to_owned();
        let open = move || SparkSession::builder().remote(&location).get_or_create();
        let spark = watched(PAUSE, open, server.watch(stop))?
            .map_err(|error| messages::spark_failed(remote, line(&error)))?;
        let session = Session {
            spark,
            server,
            stop: stop.clone(),
        };
        for (key, value) in SETTINGS {
            session.ask(move |spark| spark.conf().set(key, value))?;
        }
        Ok(session)
    }

    /// The server failed in a way that it does not tell.
    pub(super) fn failed(&self, why: String) -> anyhow::Error {
        messages::spark_failed(&self.server.location, why).into()
    }

    /// Gives the rows of a query a name.
    pub(super) fn name_view(&self, name: &str, query: &str, arguments: Arguments) -> Result<()> {
        let (name, query) = (name.to_owned(), query.to_owned());
        self.ask(move |spark| sql(spark, &query, &arguments)?.create_or_replace_temp_view(&name))
    }

    /// The rows of a query.
    pub(super) fn rows(&self, query: &str, arguments: Arguments) -> Result<Vec<RecordBatch>> {
        let query = query.to_owned();
        let bytes = self.ask(move |spark| sql(spark, &query, &arguments)?.to_arrow())?;
        let reader = FileReader::try_new(Cursor::new(bytes), None)?;
        reader
            .collect::<Result<_, _>>()
            .context("a result of the server")
    }

    /// Whether the server understands a query.
    pub(super) fn understands(&self, query: &str) -> Result<bool> {
        let query = query.to_owned();
        self.ask(move |spark| Ok(sql(spark, &query, &Arguments::new())?.collect().is_ok()))
    }

    /// Asks the server, until the run is asked to stop or the server is gone.
    fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&SparkSession) -> Result<T, SparkError> + Send + 'static,
    ) -> Result<T> {
        let spark = self.spark.clone();
        watched(PAUSE, move || ask(&spark), self.server.watch(&self.stop))?
            .map_err(|error| messages::spark_failed(&self.server.location, line(&error)).into())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.server.probe().is_err() {
            return;
        }
        let spark = self.spark.clone();
        let begun = Instant::now();
        let close = move || {
            // The server forgets the session by itself after a while.
            drop(spark.interrupt_all());
            drop(spark.stop());
        };
        let in_time = || {
            if begun.elapsed() < MOST_CLOSING {
                Ok(())
            } else {
                Err(())
            }
        };
        let _ = watched(PAUSE, close, in_time);
    }
}

/// The server of a session.
struct Server {
    /// As the job file names it.
    location: String,
    host: String,
    port: u16,
}

impl Server {
    fn parse(location: &str) -> Result<Server> {
        let url = Url::parse(location).ok().filter(|url| url.scheme() == "sc");
        let url = url.ok_or_else(messages::no_spark_remote)?;
        let host = url.host_str().ok_or_else(messages::no_spark_remote)?;
        Ok(Server {
            location: format!("sc://{host}:{}", url.port().unwrap_or(DEFAULT_PORT)),
            host: host.to_owned(),
            port: url.port().unwrap_or(DEFAULT_PORT),
        })
    }

    /// Whether the port is open.
    fn probe(&self) -> std::io::Result<()> {
        let mut last = std::io::Error::other("the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PROBE_EVERY) {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A check that fails when the run is asked to stop, or when the port has been closed for long.
    fn watch<'a>(&'a self, stop: &'a Stop) -> impl FnMut() -> Result<()> + 'a {
        let (mut probed, mut open) = (Instant::now(), Instant::now());
        move || {
            stop.check()?;
            if probed.elapsed() < PROBE_EVERY {
                return Ok(());
            }
            probed = Instant::now();
            match self.probe() {
                Ok(()) => open = Instant::now(),
                Err(error) if open.elapsed() > MOST_CLOSED => {
                    return Err(messages::spark_failed(&self.location, error).into());
                }
                Err(_) => {}
            }
            Ok(())
        }
    }
}

fn sql(spark: &SparkSession, query: &str, arguments: &Arguments) -> Result<DataFrame, SparkError> {
    let named = arguments.iter().map(|(name, argument)| {
        let value = match argument {
            Argument::Int(value) => LiteralExpression::Long(*value),
            Argument::Instant(us) => LiteralExpression::Timestamp(*us),
        };
        ((*name).to_owned(), Expression::Literal(value))
    });
    spark.sql_with_args(query, vec![], named.collect())
}

/// The first line of a server's message.
fn line(error: &SparkError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
