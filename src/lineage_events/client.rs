//! The client that posts events: a thread beside the run, with a bound on everything that it does.
//!
//! An event is tried twice. If both tries fail, no more events of this run are sent. At the end, the run
//! waits for the rest, but not for long. A thread that is still at work then is left behind: the end of the
//! process ends it.

use std::error::Error;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Response, redirect};
use serde_json::Value;
use tokio::runtime::Builder;

use crate::config::LineageReceiver;
use crate::redact::redact;
use crate::store::choose_tls_cryptography;

/// How long one try may take, from the look-up of the name to the end of the answer.
const MOST_OF_A_TRY: Duration = Duration::from_secs(5);

/// How long the end of a run waits for events that are not sent yet: two tries of the last one.
const MOST_WAITING: Duration = Duration::from_secs(10);

/// How often an event is tried.
const TRIES: u32 = 2;

/// Sends events to a receiver.
pub(crate) struct Client {
    url: String,
    /// `None`: no thread could be started.
    thread: Option<(Sender<String>, Receiver<Outcome>)>,
}

/// The outcome of all events of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    events: u32,
    received: u32,
    /// Why the last try failed.
    failure: Option<String>,
}

impl Client {
    /// Starts the thread. No event is sent yet. `key`: for the header `Authorization: Bearer`.
    pub(crate) fn start(receiver: &LineageReceiver, key: Option<&str>) -> Client {
        let (events, waiting) = channel();
        let (ended, outcome) = channel();
        let (url, key) = (receiver.url.clone(), key.map(|key| format!("Bearer {key}")));
        let deliver = move || {
            // The other end is gone when the run no longer waits.
            let _ = ended.send(deliver(&url, key.as_deref(), &waiting));
        };
        let thread = thread::Builder::new().name("lineage".into()).spawn(deliver);
        Client {
            url: receiver.url.clone(),
            thread: thread.is_ok().then_some((events, outcome)),
        }
    }

    /// Hands an event to the thread.
    pub(crate) fn send(&self, event: &Value) {
        if let Some((events, _)) = &self.thread {
            // The other end is never gone first.
            let _ = events.send(event.to_string());
        }
    }

    /// Waits until the events are sent, or given up. Some text: a warning.
    pub(crate) fn finish(self) -> Option<String> {
        let outcome = self.thread.map(|(events, outcome)| {
            drop(events);
            outcome.recv_timeout(MOST_WAITING)
        });
        let (received, why) = match outcome {
            Some(Ok(Outcome { failure: None, .. })) => return None,
            Some(Ok(outcome)) => (
                format!("{} of {}", outcome.received, outcome.events),
                outcome.failure.unwrap_or_default(),
            ),
            Some(Err(RecvTimeoutError::Timeout)) => {
                let why = format!("no answer within {} s", MOST_WAITING.as_secs());
                ("not all".into(), why)
            }
            Some(Err(RecvTimeoutError::Disconnected)) | None => {
                ("none".into(), "the thread of the client failed".into())
            }
        };
        Some(format!(
            "lineage: {received} events reached {}: {why}; the run itself is not affected",
            self.url
        ))
    }
}

/// Posts events, without keys and signatures, until no more come.
fn deliver(url: &str, key: Option<&str>, waiting: &Receiver<String>) -> Outcome {
    let mut outcome = Outcome::default();
    let poster = Poster::new(url, key);
    for event in waiting {
        outcome.events += 1;
        if outcome.failure.is_some() {
            continue;
        }
        let posted = poster.as_ref().map_err(String::clone);
        match posted.and_then(|poster| poster.post_twice(&redact(&event))) {
            Ok(()) => outcome.received += 1,
            Err(why) => outcome.failure = Some(why),
        }
    }
    outcome
}

/// An HTTP client that waits in its own thread.
struct Poster<'a> {
    url: &'a str,
    key: Option<&'a str>,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl<'a> Poster<'a> {
    fn new(url: &'a str, key: Option<&'a str>) -> Result<Poster<'a>, String> {
        choose_tls_cryptography();
        // The key must not follow a redirection, and no proxy may see it.
        let client = reqwest::Client::builder()
            .timeout(MOST_OF_A_TRY)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(told)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Poster {
            url,
            key,
            client,
            runtime: runtime.map_err(|error| error.to_string())?,
        })
    }

    fn post_twice(&self, event: &str) -> Result<(), String> {
        let mut last = Err(String::new());
        for _ in 0..TRIES {
            last = self.runtime.block_on(self.post(event));
            if last.is_ok() {
                break;
            }
        }
        last
    }

    async fn post(&self, event: &str) -> Result<(), String> {
        let mut request = self.client.post(self.url);
        if let Some(key) = self.key {
            request = request.header(AUTHORIZATION, key);
        }
        let request = request.header(CONTENT_TYPE, "application/json");
        let answer = request.body(event.to_owned()).send().await.map_err(told)?;
        accepted(&answer)
    }
}

fn accepted(answer: &Response) -> Result<(), String> {
    let status = answer.status();
    match status.is_success() {
        true => Ok(()),
        false => Err(format!("it answers {status}")),
    }
}

/// An error with its causes; without the URL, which the warning names.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
