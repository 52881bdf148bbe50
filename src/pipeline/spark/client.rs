//! One session of a Spark Connect server: views and queries, given up when the run is asked to stop
//! or the server is gone.
//!
//! A server ends the answer to a long query after a while (Apache Spark: two minutes, or a
//! gigabyte), and a connection may break. The query continues, and this client attaches to it
//! again. So it is built on the transport of Apache's client: the library above it takes such an end
//! for the end of the result.

// The error is the client's own type; calls are few.
#![allow(clippy::result_large_err)]

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use futures::future::{Either, select};
use spark_connect_core::{
    ChannelBuilder, ExecutePlanResponseReattachableIterator as Operation, RetryPolicy,
    SparkConnectClient, SparkError,
};
use spark_connect_proto as proto;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::messages;
use crate::stop::Stop;

/// How often a query in progress looks at the request to stop, and how long it waits before it
/// attaches to a query again.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the server is asked for a sign of life while a query is in progress.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How long the server may give no sign of life.
const MOST_SILENT: Duration = Duration::from_secs(20);
/// How long the server may take to interrupt queries and forget the session.
const MOST_CLOSING: Duration = Duration::from_secs(5);

/// Settings of the session on which the queries rely.
const SETTINGS: [(&str, &str); 3] = [
    ("spark.sql.session.timeZone", "UTC"),
    ("spark.sql.ansi.enabled", "true"),
    ("spark.sql.legacy.parquet.nanosAsLong", "true"),
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
    client: SparkConnectClient,
    /// As messages name the server: without tokens.
    location: String,
    runtime: Handle,
    stop: Stop,
}

impl Session {
    /// # Errors
    /// `StoreFailed` when the server cannot be reached; `ConfigWrong` when `remote` is no location
    /// of one.
    pub(super) fn open(remote: &str, runtime: &Handle, stop: &Stop) -> Result<Session> {
        let server = ChannelBuilder::parse(remote).map_err(|_| messages::no_spark_remote())?;
        let location = format!("sc://{}", server.endpoint());
        let mut client = runtime
            .block_on(SparkConnectClient::connect(&server))
            .map_err(|error| messages::spark_failed(&location, line(&error)))?;
        // How long a failed call is repeated is decided here, by `silent`.
        client.set_retry_policy(RetryPolicy::no_retries());
        let session = Session {
            client,
            location,
            runtime: runtime.clone(),
            stop: stop.clone(),
        };
        for (key, value) in SETTINGS {
            session.wait(answered(|| session.client.set_config(key, value)))?;
        }
        Ok(session)
    }

    /// The server failed in a way that it does not tell.
    pub(super) fn failed(&self, why: String) -> anyhow::Error {
        messages::spark_failed(&self.location, why).into()
    }

    /// Gives the rows of a query a name.
    pub(super) fn name_view(&self, name: &str, query: &str, arguments: Arguments) -> Result<()> {
        let view = proto::CreateDataFrameViewCommand {
            input: Some(relation(query, arguments)),
            name: name.to_owned(),
            is_global: false,
            replace: true,
        };
        let command = proto::command::CommandType::CreateDataframeView(view);
        let command = proto::Command {
            command_type: Some(command),
        };
        let plan = proto::plan::OpType::Command(command);
        self.wait(self.execute(plan)).map(drop)
    }

    /// The rows of a query.
    pub(super) fn rows(&self, query: &str, arguments: Arguments) -> Result<Vec<RecordBatch>> {
        let plan = proto::plan::OpType::Root(relation(query, arguments));
        let answers = self.wait(self.execute(plan))?;
        let batches = answers.iter().map(rows_of);
        Ok(batches.collect::<Result<Vec<_>>>()?.concat())
    }

    /// Whether the server understands a query.
    pub(super) fn understands(&self, query: &str) -> Result<bool> {
        let plan = proto::plan::OpType::Root(relation(query, Arguments::new()));
        let schema = proto::analyze_plan_request::Schema {
            plan: Some(proto::Plan {
                op_type: Some(plan),
            }),
        };
        let asked = proto::analyze_plan_request::Analyze::Schema(schema);
        self.wait(async {
            match answered(|| self.analyze(asked.clone())).await {
                Err(error) if !is_answer(&error) => Err(error),
                answer => Ok(answer.is_ok()),
            }
        })
    }

    /// The user that the location names. A session belongs to its user.
    fn user(&self) -> proto::UserContext {
        proto::UserContext {
            user_id: self.client.user_id().unwrap_or_default().to_owned(),
            ..proto::UserContext::default()
        }
    }

    /// Waits for an answer, until the run is asked to stop or the server is gone.
    fn wait<T>(&self, answer: impl Future<Output = Result<T, SparkError>>) -> Result<T> {
        self.runtime.block_on(async {
            let (stopped, silent) = (pin!(self.stopped()), pin!(self.silent()));
            match select(pin!(answer), select(stopped, silent)).await {
                Either::Left((answer, _)) => answer.map_err(|error| self.failed(line(&error))),
                Either::Right((Either::Left((why, _)) | Either::Right((why, _)), _)) => Err(why),
            }
        })
    }

    /// Ends when the run is asked to stop.
    async fn stopped(&self) -> anyhow::Error {
        loop {
            sleep(PAUSE).await;
            if let Err(stopped) = self.stop.check() {
                return stopped.into();
            }
        }
    }

    /// Ends when the server has given no sign of life for long.
    async fn silent(&self) -> anyhow::Error {
        let mut answered = Instant::now();
        loop {
            sleep(ASK_EVERY).await;
            let version = proto::analyze_plan_request::SparkVersion {};
            let asked = proto::analyze_plan_request::Analyze::SparkVersion(version);
            let why = match timeout(MOST_SILENT, self.analyze(asked)).await {
                Ok(Err(error)) if !is_answer(&error) => line(&error),
                Ok(_) => {
                    answered = Instant::now();
                    continue;
                }
                Err(_) => "it does not answer".to_owned(),
            };
            if answered.elapsed() >= MOST_SILENT {
                return self.failed(why);
            }
        }
    }

    async fn analyze(
        &self,
        asked: proto::analyze_plan_request::Analyze,
    ) -> Result<proto::AnalyzePlanResponse, SparkError> {
        let request = proto::AnalyzePlanRequest {
            session_id: self.client.session_id().to_owned(),
            user_context: Some(self.user()),
            analyze: Some(asked),
            ..proto::AnalyzePlanRequest::default()
        };
        self.client.analyze_plan(request).await
    }

    /// Runs a plan to its end, however often its answer is cut.
    async fn execute(
        &self,
        plan: proto::plan::OpType,
    ) -> Result<Vec<proto::execute_plan_response::ArrowBatch>, SparkError> {
        let request = proto::ExecutePlanRequest {
            session_id: self.client.session_id().to_owned(),
            user_context: Some(self.user()),
            plan: Some(proto::Plan {
                op_type: Some(plan),
            }),
            ..proto::ExecutePlanRequest::default()
        };
        // A call whose answer was lost may have begun the query, so the next one has another id.
        let begin = async || {
            let operation = Operation::new(request.clone());
            let stream = self
                .client
                .execute_plan(operation.request().clone())
                .await?;
            Ok((operation, stream))
        };
        let (operation, mut stream) = answered(begin).await?;
        let attach = async || {
            let again = operation.create_reattach_request().await;
            self.client.reattach_execute(again).await
        };
        let mut answers = Vec::new();
        while !operation.is_completed().await {
            match stream.message().await {
                Ok(Some(response)) => {
                    operation.set_last_response_id(&response).await;
                    if let Some(proto::execute_plan_response::ResponseType::ArrowBatch(batch)) =
                        response.response_type
                    {
                        answers.push(batch);
                    }
                }
                // Of the client's own errors, those of the connection have a source.
                Err(status) if status.source().is_none() => {
                    return Err(SparkError::from_grpc_status(status));
                }
                Ok(None) | Err(_) => {
                    sleep(PAUSE).await;
                    stream = answered(attach).await?;
                }
            }
        }
        let release = operation.create_release_request(true).await;
        // The server forgets a finished query by itself after a while.
        drop(self.client.release_execute(release).await);
        Ok(answers)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The server forgets a session by itself after a while.
        let close = async {
            drop(self.client.interrupt_all().await);
            drop(self.client.release_session().await);
        };
        let in_time = async { timeout(MOST_CLOSING, close).await };
        drop(self.runtime.block_on(in_time));
    }
}

/// A query as a part of a plan.
fn relation(query: &str, arguments: Arguments) -> proto::Relation {
    let named = arguments
        .into_iter()
        .map(|(name, argument)| (name.to_owned(), literal(argument)));
    let sql = proto::Sql {
        query: query.to_owned(),
        named_arguments: named.collect(),
        ..proto::Sql::default()
    };
    proto::Relation {
        common: None,
        rel_type: Some(proto::relation::RelType::Sql(sql)),
    }
}

fn literal(argument: Argument) -> proto::Expression {
    use proto::expression::literal::LiteralType;
    let literal = match argument {
        Argument::Int(value) => LiteralType::Long(value),
        Argument::Instant(us) => LiteralType::Timestamp(us),
    };
    let literal = proto::expression::Literal {
        literal_type: Some(literal),
        ..proto::expression::Literal::default()
    };
    proto::Expression {
        expr_type: Some(proto::expression::ExprType::Literal(literal)),
        ..proto::Expression::default()
    }
}

/// The rows of one message.
fn rows_of(message: &proto::execute_plan_response::ArrowBatch) -> Result<Vec<RecordBatch>> {
    let reader = StreamReader::try_new(message.data.as_ref(), None);
    let batches: Result<Vec<RecordBatch>, _> = reader.and_then(Iterator::collect);
    let batches = batches.context("a result of the server")?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    ensure!(
        i64::try_from(rows)? == message.row_count,
        "a message of the server holds {rows} rows, and says {}",
        message.row_count
    );
    Ok(batches)
}

/// Repeats a call until the server answers it, for a while.
async fn answered<T, F: Future<Output = Result<T, SparkError>>>(
    call: impl Fn() -> F,
) -> Result<T, SparkError> {
    let begun = Instant::now();
    loop {
        match call().await {
            Err(error) if !is_answer(&error) && begun.elapsed() < MOST_SILENT => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

/// Whether an error is the server's answer; otherwise the call did not reach it, or its answer was
/// lost.
fn is_answer(error: &SparkError) -> bool {
    error.grpc_details().is_some()
}

/// The first line of a server's message.
fn line(error: &SparkError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
