//! No foreign setting changes requests, and no key or signature is printed.
//!
//! The real program runs against a server on loopback that records its requests.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use crate::sampling::sample;
use crate::world::Outcome;

/// Answers every request with 403 and repeats the request in the answer, as some servers do to
/// explain a wrong signature.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, requests) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(vec![])));
        let seen = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let seen = seen.clone();
                std::thread::spawn(move || answer(stream.unwrap(), &seen));
            }
        });
        Server { address, requests }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Head and path of each request, in lower case.
    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(stream: TcpStream, seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|bytes| bytes > 2) {}
    if head.is_empty() {
        return;
    }
    let length = head
        .to_ascii_lowercase()
        .lines()
        .find_map(|l| l.strip_prefix("content-length: ")?.trim().parse().ok());
    let _ = reader.read_exact(&mut vec![0; length.unwrap_or(0)]);
    let body = format!("<Error><Code>AccessDenied</Code><Request>{head}</Request></Error>");
    seen.lock().unwrap().push(head.to_ascii_lowercase());
    let mut stream = stream;
    let _ = write!(
        stream,
        "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

/// Keys in the forms that clouds use.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY";
const TOKEN: &str = "FwoGZXIvYXdzEXAMPLEtoken//////////w==";
const SIGNATURE: &str = "Zm9vYmFyc2lnbmF0dXJl";

const JOB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/daily.toml");

/// Runs the program with only these variables in its environment.
fn etl(args: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let mut program = Command::new(env!("CARGO_BIN_EXE_campaign-etl"));
    let program = program
        .args(args)
        .env_clear()
        .envs(environment.iter().copied());
    Outcome::of(program.output().unwrap())
}

/// A command that lists the exports in a bucket.
const VALIDATE: [&str; 7] = [
    "validate",
    "--day",
    "2026-03-10",
    "--config",
    JOB,
    "--exports",
    "s3://bucket/exports",
];

#[test]
fn names_without_a_prefix_of_another_case_or_of_libraries_do_not_steer_requests() {
    let (meant, foreign) = (Server::start(), Server::start());
    let (meant_url, foreign_url) = (meant.url(), foreign.url());
    let ended = etl(
        &VALIDATE,
        &[
            ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_ENDPOINT", &meant_url),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "eu-central-1"),
            ("REGION", "mars-1"),
            ("region", "mars-2"),
            ("aws_region", "mars-3"),
            ("DEFAULT_REGION", "mars-4"),
            ("TOKEN", TOKEN),
            ("SESSION_TOKEN", TOKEN),
            ("aws_session_token", TOKEN),
            ("ENDPOINT", &foreign_url),
            ("ENDPOINT_URL", &foreign_url),
            ("aws_endpoint_url_s3", &foreign_url),
            ("SKIP_SIGNATURE", "true"),
            ("PROXY_URL", &foreign_url),
            ("HTTP_PROXY", &foreign_url),
            ("http_proxy", &foreign_url),
            ("ALL_PROXY", &foreign_url),
            ("TOKIO_WORKER_THREADS", "none"),
            ("POLARS_MAX_THREADS", "none"),
            ("POLARS_VERBOSE", "1"),
        ],
    );
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    assert_eq!(foreign.requests(), Vec::<String>::new());
    let requests = meant.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert!(
            request.contains("authorization: aws4-hmac-sha256 credential=akiaexample/"),
            "{request}"
        );
        assert!(
            request.contains("/eu-central-1/s3/aws4_request"),
            "{request}"
        );
        assert!(!request.contains("x-amz-security-token"), "{request}");
    }
}

#[test]
fn plain_http_is_not_allowed_by_a_name_without_a_prefix() {
    let server = Server::start();
    let url = server.url();
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_ENDPOINT", &url),
    ];
    let ended = etl(
        &VALIDATE,
        &[&keys[..], &[("ALLOW_HTTP", "true"), ("allow_http", "true")]].concat(),
    );
    assert!(
        ended.code == 74 || ended.code == 78,
        "{}: {}",
        ended.code,
        ended.stderr
    );
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn the_documented_names_steer_requests_and_the_first_of_two_counts() {
    let (meant, other) = (Server::start(), Server::start());
    let (meant_url, other_url) = (meant.url(), other.url());
    let mut environment = vec![
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", TOKEN),
        ("AWS_ENDPOINT_URL", &meant_url),
        ("AWS_ENDPOINT", &other_url),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
    ];
    etl(&VALIDATE, &environment);
    let signed = meant.requests();
    assert!(
        signed
            .iter()
            .all(|r| r.contains("x-amz-security-token: fwogz") && r.contains("/eu-central-1/s3/"))
    );
    environment.push(("AWS_SKIP_SIGNATURE", "true"));
    etl(&VALIDATE, &environment);
    let requests = meant.requests();
    assert!(requests.len() > signed.len() && !signed.is_empty());
    assert!(
        !requests[signed.len()].contains("authorization:"),
        "{}",
        requests[signed.len()]
    );
    assert_eq!(other.requests(), Vec::<String>::new());
}

/// Options for every kind of output: text and JSON, quiet or not, with all logs.
const MANNERS: [&[&str]; 5] = [
    &[],
    &["--quiet"],
    &["--format", "json"],
    &["--log-format", "json"],
    &["--format", "json", "--log-format", "json", "--quiet"],
];

/// Runs a command with each kind of output, with and without `RUST_LOG`, and looks for secrets in
/// it.
#[track_caller]
fn says_none_of(
    secrets: &[&str],
    args: &[&str],
    environment: &[(&str, &str)],
    code: i32,
) -> String {
    let mut all = String::new();
    for (more, log) in sample(manners_and_logs(), MANNERS.len()) {
        let ended = etl(&[args, more].concat(), &[environment, log].concat());
        let said = format!("{}\n{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, code, "{args:?} {more:?} {log:?}: {said}");
        for secret in secrets {
            assert!(
                !said.contains(secret),
                "{secret} is printed by {args:?} {more:?} {log:?}:\n{said}"
            );
        }
        all += &said;
    }
    all
}

type Variables = &'static [(&'static str, &'static str)];

/// Every kind of output with every `RUST_LOG`; a sample of so many as there are kinds has each kind.
fn manners_and_logs() -> Vec<(&'static [&'static str], Variables)> {
    let logs: [Variables; 3] = [&[], &[("RUST_LOG", "debug")], &[("RUST_LOG", "trace")]];
    MANNERS
        .iter()
        .flat_map(|more| logs.map(|log| (*more, log)))
        .collect()
}

#[test]
fn a_location_with_a_key_or_a_signature_is_refused_and_never_printed() {
    let folder = TempDir::new().unwrap();
    let job = folder.path().join("job.toml");
    let job = job.to_str().unwrap();
    for location in [
        format!("s3://AKIAEXAMPLE:{SECRET}@bucket/exports"),
        format!("s3:AKIAEXAMPLE:{SECRET}@bucket/exports"),
        format!("https://AKIAEXAMPLE:{SECRET}@bucket.s3.amazonaws.com/exports"),
        format!("gs://{SIGNATURE}@bucket/exports"),
        format!("az://container/exports?sv=2024-01-01&se=2027-01-01&sig={SIGNATURE}"),
        format!("https://a.blob.core.windows.net/container?sv=2024-01-01&sig={SIGNATURE}"),
        format!(
            "s3://bucket/exports?X-Amz-Credential=AKIA&X-Amz-Security-Token={TOKEN}&X-Amz-Signature={SIGNATURE}"
        ),
    ] {
        let secrets = [
            SECRET,
            SIGNATURE,
            TOKEN,
            "bPxRfiCYzEXAMPLEKEY",
            "wJalrXUtnFEMI",
            "FwoGZXIvYXdz",
        ];
        for key in ["exports", "results"] {
            // On the command line, in a sound job file, and in one whose error shows the line.
            let argument = format!("--{key}");
            let args = [
                "status",
                "--day",
                "2026-03-10",
                "--config",
                JOB,
                &argument,
                &location,
            ];
            let said = says_none_of(&secrets, &args, &[], 78);
            assert!(
                said.contains(
                    "give keys in the environment, under the names in docs/operations.md"
                ),
                "{said}"
            );
            for text in [
                format!("{key} = \"{location}\"\n"),
                format!("{key} = \"{location}\" x\n"),
            ] {
                fs::write(job, text).unwrap();
                says_none_of(
                    &secrets,
                    &["run", "--day", "2026-03-10", "--config", job],
                    &[],
                    78,
                );
            }
        }
    }
    fs::write(job, format!("aws_secret_access_key = \"{SECRET}\"\n")).unwrap();
    let said = says_none_of(&[SECRET], &["status", "--config", job], &[], 78);
    assert!(said.contains("is not a key of the job file"), "{said}");
}

#[test]
fn an_argument_that_the_command_line_repeats_in_its_error_is_redacted() {
    let location = format!("s3://AKIAEXAMPLE:{SECRET}@bucket/exports");
    for args in [
        &["run", &location][..],
        &["status", "--day", &location],
        &[&location],
    ] {
        let said = says_none_of(&[SECRET, "wJalrXUtnFEMI"], args, &[], 2);
        assert!(said.contains("s3://***@bucket/exports"), "{said}");
    }
}

#[test]
fn keys_of_the_environment_are_not_printed_when_requests_fail_and_the_server_repeats_them() {
    let server = Server::start();
    let url = server.url();
    let s3 = [
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", TOKEN),
        ("AWS_ENDPOINT", &url),
        ("AWS_ALLOW_HTTP", "true"),
    ];
    says_none_of(&[SECRET, TOKEN], &VALIDATE, &s3, 74);
    // It names the account: here the server refuses exports and results.
    let doctor = [
        &["doctor", "--results", "s3://bucket/results"],
        &VALIDATE[3..],
    ]
    .concat();
    let said = says_none_of(&[SECRET, TOKEN], &doctor, &s3, 74);
    assert!(said.contains("as access key AKIAEXAMPLE of a session"));
    let sas = format!("sv=2024-01-01&se=2027-01-01T00:00:00Z&sr=c&sp=rl&sig={SIGNATURE}%3D");
    let azure = [
        ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
        ("AZURE_STORAGE_SAS_TOKEN", sas.as_str()),
        ("AZURE_STORAGE_ENDPOINT", &url),
        ("AZURE_ALLOW_HTTP", "true"),
    ];
    let args = [
        "validate",
        "--day",
        "2026-03-10",
        "--config",
        JOB,
        "--exports",
        "az://container/exports",
    ];
    let said = says_none_of(&[SIGNATURE], &args, &azure, 74);
    assert!(
        said.contains("sig=***"),
        "the server repeats the signature: {said}"
    );
    assert!(
        server
            .requests()
            .iter()
            .any(|r| r.contains("&sig=") || r.contains("?sig=")),
        "it was sent"
    );
}

#[test]
fn a_setting_that_the_store_refuses_is_a_wrong_configuration() {
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_ALLOW_HTTP", "perhaps"),
    ];
    let ended = etl(&VALIDATE, &keys);
    assert_eq!(ended.code, 78, "{}", ended.stderr);
    let says = "check the variables of this store in the environment (docs/operations.md)";
    assert!(
        ended
            .stderr
            .contains("the settings of s3://bucket/exports are wrong: ")
            && ended.stderr.contains(says),
        "{}",
        ended.stderr
    );
}
