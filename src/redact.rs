//! Removes keys and signatures from every text that leaves the program: stderr, logs, stdout.
//!
//! A secret can have many sources: a location, a line of the job file in an error of its parser, an
//! argument that clap repeats, the URL or the answer of a request. So texts are redacted at the
//! output, and nowhere else.

use std::borrow::Cow;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use regex::{Captures, Regex};

/// The replacement of a secret.
const HIDDEN: &str = "***";

/// Shorter values could be parts of ordinary words.
const LEAST_SECRET_BYTES: usize = 8;

static SECRETS: OnceLock<Vec<String>> = OnceLock::new();

/// Registers values that no text may hold: the keys of this process's environment. Only the first
/// call counts.
pub fn remember(secrets: Vec<String>) {
    let secrets = secrets
        .into_iter()
        .filter(|secret| secret.len() >= LEAST_SECRET_BYTES)
        .collect();
    let _ = SECRETS.set(secrets);
}

/// The text without secrets: user names and passwords in URLs, signatures in queries, values of
/// settings that are named like a key, and the values of [`remember`].
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut redacted = Cow::Borrowed(text);
    for secret in SECRETS.get().into_iter().flatten() {
        if redacted.contains(secret) {
            redacted = Cow::Owned(redacted.replace(secret, HIDDEN));
        }
    }
    let users: Vec<Range<usize>> = SCHEME
        .find_iter(&redacted)
        .filter_map(|m| user_in_url(&redacted, m.range()))
        .collect();
    for user in users.into_iter().rev() {
        redacted.to_mut().replace_range(user, HIDDEN);
    }
    for named in [&*ASSIGNED, &*QUOTED, &*HEADER] {
        if named.is_match(&redacted) {
            let hide = |found: &Captures| format!("{}{HIDDEN}", &found[1]);
            redacted = Cow::Owned(named.replace_all(&redacted, hide).into_owned());
        }
    }
    redacted
}

/// Whether a text holds a secret.
pub fn holds_secret(text: &str) -> bool {
    redact(text) != text
}

/// Stderr, for logs: one write is one whole event.
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        io::stderr().write_all(redact(&text).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The beginning of a URL, also of a mistyped one.
static SCHEME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b(?:(?:s3a?|gs|az|abfss?|adl|azure):/*|[a-z][a-z0-9+.-]*:/+)"));

/// `name=value` of a query or a line of settings; the `=` may be percent-encoded, the value in
/// quotes.
static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    let name = format!(r#"(?:%3F|%26|\b)(?:{NAMED_LIKE_A_KEY}|sig)\\?["']?"#);
    pattern(&format!(
        r#"(?i)({name}\s*(?:=|%3D)\s*)(?:{QUOTED_VALUE}|'[^']*'?|[^\s"'&;,<>)\\]+)"#
    ))
});

/// `"name": "value"` of JSON.
static QUOTED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r#"(?i)(\b(?:{NAMED_LIKE_A_KEY})\\?"\s*:\s*){QUOTED_VALUE}"#
    ))
});

/// A text in quotes. The quotes may be escaped, because the text is inside a JSON text.
const QUOTED_VALUE: &str = r#"(?:"(?:[^"\\]|\\.)*"?|\\"(?:[^"\\]|\\\\.)*(?:\\")?)"#;

/// `name: value` in the header of a request.
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)(\bx-amz-security-token:\s*|\bauthorization:\s*basic\s+|\bbearer\s+)[^\s"',]{4,}"#,
    )
});

/// `aws_secret_access_key`, `X-Amz-Signature`, `AccountKey`, `SharedAccessSignature`, ...
const NAMED_LIKE_A_KEY: &str = "[a-z0-9_-]*(?:secret|password|passwd|token|signature|credential|\
    (?:access|account|master|private|sas|api)[_-]?key)[a-z0-9_-]*";

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

/// The user name and password in the URL that begins at `scheme`. They may hold `/` and `@` without
/// percent-encoding.
fn user_in_url(text: &str, scheme: Range<usize>) -> Option<Range<usize>> {
    let name = text[scheme.clone()]
        .trim_end_matches('/')
        .trim_end_matches(':')
        .to_ascii_lowercase();
    let rest = &text[scheme.end..];
    let ends = |c: char| c.is_whitespace() || "\"'<>`".contains(c);
    let rest = &rest[..rest.find(ends).unwrap_or(rest.len())];
    // Another URL that follows without a space has its own user.
    let rest = &rest[..rest.find("://").unwrap_or(rest.len())];
    let user = &rest[..rest.rfind('@')?];
    let authority = user.split(['/', '?', '#']).next().unwrap_or_default();
    let is_whole = authority.len() == user.len();
    let is_hidden = match name.as_str() {
        "file" => false,
        // Azure names a container as `container@account.host`.
        "az" | "abfs" | "abfss" | "azure" | "adl" => authority.contains(':'),
        "s3" | "s3a" | "gs" => is_whole || authority.contains([':', '@']),
        _ => {
            let port = authority.rsplit_once(':').map(|(_, port)| port);
            let is_port = port.is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
            is_whole || authority.contains('@') || (port.is_some() && !is_port)
        }
    };
    is_hidden.then(|| scheme.end..scheme.end + user.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_in_urls_are_hidden() {
        for (text, expected) in [
            (
                "cannot open s3://AKIA7:wJalr@bucket/x: no",
                "cannot open s3://***@bucket/x: no",
            ),
            ("s3://AKIA7:wJ/al+r=/@bucket/x", "s3://***@bucket/x"),
            ("s3://AKIA7:12/al@bucket/x", "s3://***@bucket/x"),
            ("S3:/AKIA7:wJalr@bucket", "S3:/***@bucket"),
            ("s3:AKIA7:wJalr@bucket", "s3:***@bucket"),
            (
                "exports = \"gs://key@bucket/x\"",
                "exports = \"gs://***@bucket/x\"",
            ),
            ("az://name:key@container/x", "az://***@container/x"),
            ("s3://a/b -> s3://k:s@c/d", "s3://a/b -> s3://***@c/d"),
            ("s3://a/b,s3://k:s@c/d", "s3://a/b,s3://***@c/d"),
            ("http://user:pass@proxy:8080/", "http://***@proxy:8080/"),
            ("{\"at\":\"s3://k:s@c/d\"}", "{\"at\":\"s3://***@c/d\"}"),
        ] {
            assert_eq!(redact(text), expected);
            assert!(holds_secret(text), "{text}");
        }
    }

    #[test]
    fn signatures_and_settings_named_like_a_key_are_hidden() {
        for (text, expected) in [
            (
                "https://a/c?sv=2&sig=Ab%2Bc%3D&se=3",
                "https://a/c?sv=2&sig=***&se=3",
            ),
            ("x%3Fsig%3DAb", "x%3Fsig%3D***"),
            (
                "?X-Amz-Credential=A/b/c&X-Amz-Signature=0f",
                "?X-Amz-Credential=***&X-Amz-Signature=***",
            ),
            ("X-Amz-Security-Token=abc", "X-Amz-Security-Token=***"),
            (
                "&Signature=ab&AWSAccessKeyId=AK",
                "&Signature=***&AWSAccessKeyId=***",
            ),
            (
                "AccountName=a;AccountKey=Zm9v+/==;EndpointSuffix=s",
                "AccountName=a;AccountKey=***;EndpointSuffix=s",
            ),
            (
                "SharedAccessSignature=sv=2&sig=ab",
                "SharedAccessSignature=***&sig=***",
            ),
            (
                "1 | aws_secret_access_key = \"a b\" # x",
                "1 | aws_secret_access_key = *** # x",
            ),
            (
                r#"{"error":"1 | secret = \"a b\"\n"}"#,
                r#"{"error":"1 | secret = ***\n"}"#,
            ),
            ("password = 'a b'", "password = ***"),
            (
                r#"{"private_key": "-----BEGIN A KEY\nab\n", "x": 1}"#,
                r#"{"private_key": ***, "x": 1}"#,
            ),
            (
                r#"{"e": "{\"token\": \"a b\\nc\"}"}"#,
                r#"{"e": "{\"token\": ***}"}"#,
            ),
            (
                "AWS4-HMAC-SHA256 Credential=A/b, Signature=0f",
                "AWS4-HMAC-SHA256 Credential=***, Signature=***",
            ),
            ("x-amz-security-token: abcd", "x-amz-security-token: ***"),
            ("authorization: Basic abcd", "authorization: Basic ***"),
            ("Bearer abcdefgh.ij", "Bearer ***"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn ordinary_text_is_not_changed() {
        for text in [
            "cannot read s3://bucket/a@b.parquet: no such file",
            "http://127.0.0.1:9000/a@b",
            "file:///data/a:b@c/d",
            "az://container@account.blob.core.windows.net/x",
            "write to data-on-call@example.com",
            "2026-03-14: not final yet, waiting for shops of 2026-03-14",
            "getting credentials: no answer; the token: expired",
            "sigma=3 design=x",
            "dt=2026-03-14/part-0.parquet#1",
        ] {
            assert!(
                matches!(redact(text), Cow::Borrowed(same) if same == text),
                "{text}: {}",
                redact(text)
            );
        }
    }
}
