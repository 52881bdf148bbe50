//! The client that posts events: a thread beside the run, with a bound on everything that it does.
//!
//! An event is tried twice. If both tries fail, no more events of this run are sent. An event for which the
//! queue has no room is dropped. At the end, the run waits for the rest, but not for long. A thread that is still at work then is left behind: the end of the
//! process ends it.

use std::cell::Cell;
use std::error::Error;
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel,
};
use std::thread;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Response, redirect};
use serde_json::Value;
use tokio::runtime::Builder;

use crate::config::LineageReceiver;
use crate::redact::redact;
use crate::store::choose_tls_cryptography;

/// Bounds of a client.
#[derive(Clone, Copy)]
struct Bounds {
    /// How long one try may take, from the look-up of the name to the end of the answer.
    one_try: Duration,
    /// How long the end of a run waits for events that are not sent yet.
    end: Duration,
    /// How many events may wait in memory. An event of all tables has about 256 KB.
    queue: usize,
}

/// The end of a run waits for two tries of the last event.
const BOUNDS: Bounds = Bounds {
    one_try: Duration::from_secs(5),
    end: Duration::from_secs(10),
    queue: 32,
};

/// How often an event is tried.
const TRIES: u32 = 2;

/// Sends events to a receiver.
pub(crate) struct Client {
    url: String,
    bounds: Bounds,
    /// `None`: no thread could be started.
    thread: Option<(SyncSender<String>, Receiver<Outcome>)>,
    /// Events for which the queue had no room.
    dropped: Cell<u32>,
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
        Client::within(BOUNDS, receiver, key)
    }

    fn within(bounds: Bounds, receiver: &LineageReceiver, key: Option<&str>) -> Client {
        let (events, waiting) = sync_channel(bounds.queue);
        let (ended, outcome) = channel();
        let (url, key) = (receiver.url.clone(), key.map(|key| format!("Bearer {key}")));
        let deliver = move || {
            // The other end is gone when the run no longer waits.
            let _ = ended.send(deliver(bounds.one_try, (&url, key.as_deref()), &waiting));
        };
        let thread = thread::Builder::new().name("lineage".into()).spawn(deliver);
        Client {
            url: receiver.url.clone(),
            bounds,
            thread: thread.is_ok().then_some((events, outcome)),
            dropped: Cell::new(0),
        }
    }

    /// Hands an event to the thread, without keys and signatures.
    pub(crate) fn send(&self, event: Value) {
        let Some((events, _)) = &self.thread else {
            return;
        };
        if let Err(TrySendError::Full(_)) = events.try_send(redacted(event).to_string()) {
            self.dropped.set(self.dropped.get() + 1);
        }
    }

    /// Waits until the events are sent, or given up. Some text: a warning.
    pub(crate) fn finish(self) -> Option<String> {
        let (end, dropped) = (self.bounds.end, self.dropped.get());
        let outcome = self.thread.map(|(events, outcome)| {
            drop(events);
            outcome.recv_timeout(end)
        });
        let slow = match dropped {
            0 => String::new(),
            _ => format!(
                "; {dropped} were dropped, because it takes them more slowly than they come"
            ),
        };
        let (received, why) = match outcome {
            Some(Ok(Outcome { failure: None, .. })) if dropped == 0 => return None,
            Some(Ok(outcome)) => (
                format!("{} of {}", outcome.received, outcome.events + dropped),
                outcome.failure.unwrap_or_else(|| "it is slow".into()),
            ),
            Some(Err(RecvTimeoutError::Timeout)) => {
                let why = format!("no answer within {} s", end.as_secs_f64());
                ("not all".into(), why)
            }
            Some(Err(RecvTimeoutError::Disconnected)) | None => {
                ("none".into(), "the thread of the client failed".into())
            }
        };
        Some(format!(
            "lineage: {received} events reached {}: {why}{slow}; the run itself is not affected",
            self.url
        ))
    }
}

/// Each text without keys and signatures. The event is encoded afterwards: a secret in JSON can have escaped
/// characters, and its replacement could end a text of the JSON too early.
fn redacted(event: Value) -> Value {
    match event {
        Value::String(text) => Value::String(redact(&text).into_owned()),
        Value::Array(values) => values.into_iter().map(redacted).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter();
            fields
                .map(|(name, value)| (name, redacted(value)))
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => event,
    }
}

/// Posts events until no more come.
fn deliver(
    one_try: Duration,
    (url, key): (&str, Option<&str>),
    waiting: &Receiver<String>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let poster = Poster::new(one_try, url, key);
    for event in waiting {
        outcome.events += 1;
        if outcome.failure.is_some() {
            continue;
        }
        let posted = poster.as_ref().map_err(String::clone);
        match posted.and_then(|poster| poster.post_twice(&event)) {
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
    fn new(one_try: Duration, url: &'a str, key: Option<&'a str>) -> Result<Poster<'a>, String> {
        choose_tls_cryptography();
        // The key must not follow a redirection, and no proxy may see it.
        let client = reqwest::Client::builder()
            .timeout(one_try)
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use serde_json::json;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    /// Longer than any machine needs for a test.
    const LONG: Duration = Duration::from_secs(600);

    /// The warning about some events to a listener that takes connections and never answers, and its URL.
    fn warning_of_silence(bounds: Bounds, events: usize) -> (String, String) {
        // Connections wait in its backlog.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let receiver = LineageReceiver {
            url: url.clone(),
            namespace: String::new(),
        };
        let begun = Instant::now();
        let client = Client::within(bounds, &receiver, None);
        for _ in 0..events {
            client.send(json!({}));
        }
        let warning = client.finish().unwrap();
        assert!(begun.elapsed() < LONG / 10, "{:?}", begun.elapsed());
        (warning, url)
    }

    #[test]
    fn a_receiver_that_never_answers_is_given_up_after_two_tries() {
        let bounds = Bounds {
            one_try: SHORT,
            end: LONG,
            queue: 2,
        };
        let (warning, url) = warning_of_silence(bounds, 2);
        let start = format!("lineage: 0 of 2 events reached {url}: ");
        assert!(warning.starts_with(&start), "{warning}");
        assert!(warning.contains("operation timed out"), "{warning}");
    }

    #[test]
    fn the_end_of_a_run_waits_no_longer_than_its_bound() {
        let bounds = Bounds {
            one_try: LONG,
            end: SHORT,
            queue: 2,
        };
        let (warning, url) = warning_of_silence(bounds, 1);
        let expected = format!(
            "lineage: not all events reached {url}: no answer within 0.05 s; the run itself is not affected"
        );
        assert_eq!(warning, expected);
    }

    #[test]
    fn events_that_do_not_fit_into_the_queue_are_dropped_and_counted() {
        let bounds = Bounds {
            one_try: LONG,
            end: SHORT,
            queue: 2,
        };
        // One is on its way or still waits, and two wait.
        let (warning, _) = warning_of_silence(bounds, 10);
        let counted = ["; 7 were dropped", "; 8 were dropped"];
        assert!(
            counted.iter().any(|text| warning.contains(text)),
            "{warning}"
        );
    }

    #[test]
    fn a_secret_is_hidden_and_the_event_stays_whole() {
        // Neither quote has an end, and the second one is escaped in JSON.
        let event = json!({ "why": ["password='abcdefgh", "token=\"abcdefgh"], "rows": 1 });
        let hidden = json!({ "why": ["password=***", "token=***"], "rows": 1 });
        assert_eq!(redacted(event), hidden);
    }
}
