//! The program: reads clock, environment and arguments; errors become exit codes.
//!
//! Nothing else reads the clock, the environment or the arguments.

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{IsTerminal, StdoutLock, Write};
use std::path::Path;
use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anstream::ColorChoice;
use anyhow::Result;
use campaign_etl::bug;
use campaign_etl::cli::{Cli, Format, Global};
use campaign_etl::commands::{self, Answer, Surroundings, execute};
use campaign_etl::control_group::memory_limit_bytes;
use campaign_etl::environment;
use campaign_etl::exit_code::ExitCode;
use campaign_etl::failure::exit_code_of;
use campaign_etl::job_text::PREFIX;
use campaign_etl::messages;
use campaign_etl::progress::{Level, say, say_as};
use campaign_etl::redact::{self, redact};
use campaign_etl::report::documents::Failed;
use campaign_etl::stop::{SIGINT, SIGTERM, Stop};
use clap::error::ErrorKind;
use serde_json::json;
use signal_hook::flag;
use sysinfo::System;
use tracing_subscriber::EnvFilter;

fn main() -> process::ExitCode {
    let environment = take_environment();
    choose_color();
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    start_logs(&cli.global);
    bug::note_panics();
    let answer = bug::catch(|| answer(&cli, environment));
    let answer = answer.unwrap_or_else(|error| report_error(&cli, &error));
    answer_on_stdout(answer.exit_code, |stdout| {
        stdout.write_all(redact(&answer.stdout).as_bytes())
    })
}

/// Whether stderr and help have colours. The flag counts before clap has read it, because clap's own
/// errors have colours too. Otherwise the terminal and NO_COLOR decide.
fn choose_color() {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let is_flag = |choice: &&str| {
        arguments.iter().any(|a| *a == *format!("--color={choice}"))
            || arguments
                .windows(2)
                .any(|w| w[0] == "--color" && w[1] == *choice)
    };
    let is_variable =
        |choice: &&str| std::env::var("CAMPAIGN_ETL_COLOR").is_ok_and(|value| value == *choice);
    let choices = ["never", "always", "auto"];
    let flag = choices.iter().find(|choice| is_flag(choice));
    let choice = flag.or(choices.iter().find(|choice| is_variable(choice)));
    let choice = match choice {
        Some(&"never") => ColorChoice::Never,
        Some(&"always") => ColorChoice::Always,
        _ => ColorChoice::Auto,
    };
    choice.write_global();
}

/// The variables of this process. Variables that libraries must not read are removed first, and so
/// are empty ones of this program: they give nothing.
fn take_environment() -> Vec<(String, String)> {
    for (name, value) in std::env::vars_os() {
        let is_empty = |name: &str| name.starts_with(PREFIX) && value.is_empty();
        if name
            .to_str()
            .is_some_and(|name| environment::is_foreign(name) || is_empty(name))
        {
            // SAFETY: no other thread exists yet.
            #[allow(unsafe_code)]
            unsafe {
                std::env::remove_var(name)
            };
        }
    }
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let variables: Vec<(String, String)> = std::env::vars_os().filter_map(text).collect();
    redact::remember(environment::secrets(&variables));
    variables
}

/// A variable of this program whose value is not UTF-8: to ignore it would be a setting that is lost in
/// silence.
fn unreadable_variable() -> Option<String> {
    let is_ours = |name: &OsString| name.to_string_lossy().starts_with(PREFIX);
    let mut unreadable =
        std::env::vars_os().filter(|(name, value)| is_ours(name) && value.to_str().is_none());
    Some(unreadable.next()?.0.to_string_lossy().into_owned())
}

/// Writes the answer. If it cannot be written, exit code 0 becomes 74; any other code is graver and
/// stays. A closed pipe is no error: the reader has seen enough.
fn answer_on_stdout(
    exit_code: ExitCode,
    write: impl FnOnce(&mut StdoutLock) -> std::io::Result<()>,
) -> process::ExitCode {
    let mut stdout = std::io::stdout().lock();
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            say_as(Level::Error, &messages::no_stdout(error).parts.told());
            let failed = if exit_code == ExitCode::Published {
                ExitCode::StoreFailed
            } else {
                exit_code
            };
            failed.into()
        }
        _ => exit_code.into(),
    }
}

fn answer(cli: &Cli, environment: Vec<(String, String)>) -> Result<Answer> {
    if let Some(name) = unreadable_variable() {
        return Err(messages::unreadable_variable(name).into());
    }
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let threads = cli.global.threads.map_or(cores, usize::from);
    // Polars computes with a pool of its own, and sometimes with rayon's global pool.
    for pool in ["POLARS_MAX_THREADS", "RAYON_NUM_THREADS"] {
        // SAFETY: no other thread exists yet.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var(pool, threads.to_string())
        };
    }
    // Reads of local files are blocking calls. By default, the runtime runs up to 512 of them at
    // once.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime
        .worker_threads(threads)
        .max_blocking_threads(threads)
        .enable_all();
    let runtime = runtime.build().map_err(messages::no_threads)?;
    let mut system = System::new();
    system.refresh_memory();
    let machine_memory_bytes = system.total_memory();
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let surroundings = Surroundings {
        clock: chrono::Utc::now,
        environment,
        stderr_is_terminal: std::io::stderr().is_terminal(),
        host: System::host_name().unwrap_or_default(),
        process_id: process::id(),
        nonce: RandomState::new().build_hasher().finish(),
        memory_bytes: memory_limit_bytes(&groups, Path::new("/sys/fs/cgroup"))
            .map_or(machine_memory_bytes, |limit| {
                limit.min(machine_memory_bytes)
            }),
        machine_memory_bytes,
        cores,
        temporary_folder: std::env::temp_dir(),
        stop: match cli.command.listens_to_signals() {
            true => listen_to_signals()?,
            false => Stop::default(),
        },
        runtime: runtime.handle().clone(),
    };
    execute(cli, &surroundings)
}

/// The first SIGINT or SIGTERM asks to stop. The second one ends the process at once; that loses
/// nothing either.
fn listen_to_signals() -> Result<Stop> {
    let (stop, is_asked) = (Stop::default(), Arc::new(AtomicBool::new(false)));
    for signal in [SIGINT, SIGTERM] {
        let number = i32::try_from(signal)?;
        // The order matters: handlers run in the order of registration, so the shutdown sees the
        // flag of the first signal only at the second one.
        flag::register_conditional_shutdown(number, 128 + number, is_asked.clone())?;
        flag::register(number, is_asked.clone())?;
        flag::register_usize(number, stop.0.clone(), signal)?;
    }
    Ok(stop)
}

/// Help and version are answers; anything else is a wrong command line.
fn refuse(error: &clap::Error) -> process::ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return answer_on_stdout(ExitCode::Published, |_| error.print());
    }
    let text = error.to_string();
    if redact::holds_secret(&text) {
        say(text.trim_end());
    } else {
        // With colours on a terminal.
        let _ = error.print();
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.iter().any(|a| a == "--format=json")
        || arguments
            .windows(2)
            .any(|w| w[0] == "--format" && w[1] == "json")
    {
        let first_line = text.lines().next().unwrap_or_default();
        let document = json!(Failed::usage(first_line)).to_string();
        return answer_on_stdout(ExitCode::Usage, |stdout| {
            writeln!(stdout, "{}", redact(&document))
        });
    }
    ExitCode::Usage.into()
}

fn report_error(cli: &Cli, error: &anyhow::Error) -> Answer {
    let (exit_code, text) = (exit_code_of(error), bug::text_of(error));
    let told = bug::parts_of(error).told();
    // Waiting needs no person, so `--quiet` prints nothing and cron sends no mail.
    let waits = exit_code == ExitCode::TryLater;
    if waits {
        tracing::info!("{text}")
    } else {
        tracing::error!("{text}")
    }
    match cli.global.log_format {
        Format::Json => {}
        Format::Text if waits && cli.global.quiet => {}
        Format::Text if waits => say(&told),
        Format::Text => say_as(Level::Error, &told),
    }
    let stdout = match cli.global.format {
        Format::Json => format!("{}\n", commands::failed(cli, error)),
        Format::Text => String::new(),
    };
    Answer { stdout, exit_code }
}

/// Starts structured logs on stderr. `RUST_LOG` changes their level, but a quiet run stays quiet.
/// In text form, people get progress instead.
fn start_logs(global: &Global) {
    let filter = match (global.quiet, global.log_format) {
        (true, Format::Text) => EnvFilter::new("off"),
        (true, Format::Json) => EnvFilter::new("campaign_etl=warn"),
        (false, format) => EnvFilter::try_from_default_env().unwrap_or_else(|_| {
            EnvFilter::new(if format == Format::Json {
                "campaign_etl=info"
            } else {
                "off"
            })
        }),
    };
    // An internal error about an unwritable stderr would panic. Colour codes between a name and its
    // value would hide a secret from redaction.
    let logs = tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_ansi(false)
        .with_env_filter(filter)
        .with_writer(|| redact::Stderr);
    match global.log_format {
        Format::Json => logs.json().init(),
        Format::Text => logs.init(),
    }
}
