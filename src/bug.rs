//! A panic becomes an error that names its place, so that it can be reported.
//!
//! Panics of decoders on damaged bytes are caught where they happen and stay silent; they are noted
//! too, and never asked for.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::Mutex;

use anyhow::Result;

use crate::failure::Failure;
use crate::failure::Parts;
use crate::messages;
use crate::threads::lock;

/// Exit code 70: a panic, and where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bug {
    pub message: String,
    /// `src/plan.rs:12`, or in a library; `None` where nobody noted panics.
    pub place: Option<String>,
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self
            .place
            .as_deref()
            .map(|place| format!(" at {place}"))
            .unwrap_or_default();
        write!(f, "{A_BUG}{}{place}; {REPORT_IT}", self.message)
    }
}

impl std::error::Error for Bug {}

const A_BUG: &str = "a bug in this program: ";
const REPORT_IT: &str = "report it with this line";

/// The text of an error for a person: the failed object, the reason and the next step. An error
/// without a message is reported as a bug.
pub fn text_of(error: &anyhow::Error) -> String {
    if Failure::kind_of(error).is_some() || error.is::<Bug>() {
        format!("{error:#}")
    } else {
        format!("{A_BUG}{error:#}; {REPORT_IT}")
    }
}

/// The four parts of an error. Its contexts belong to the first.
pub fn parts_of(error: &anyhow::Error) -> Parts {
    let Some(failure) = Failure::behind(error) else {
        let text = text_of(error);
        let what = text.strip_suffix(&format!("; {REPORT_IT}"));
        return Parts {
            what: what.unwrap_or(&text).to_owned(),
            why: "The program met a case that it does not handle. The exports and the results are not the cause.",
            tonight: "the earlier results; nothing new of the day",
            next: REPORT_IT.into(),
        };
    };
    let contexts = error.chain().take_while(|cause| !cause.is::<Failure>());
    let contexts: String = contexts.map(|context| format!("{context}: ")).collect();
    failure.clone().at(&contexts).parts
}

/// The latest panics; one thread may panic and another pass it on, which does not tell the place a
/// second time.
static NOTED: Mutex<VecDeque<Bug>> = Mutex::new(VecDeque::new());

/// A damaged file may bring a panic for each of its parts.
const MOST_NOTED: usize = 64;

/// From now on the place of each panic is noted, and nothing is printed of it.
pub fn note_panics() {
    set_hook(Box::new(|panic| {
        tracing::debug!("{panic}");
        note(panic);
    }));
}

fn note(panic: &PanicHookInfo) {
    let place = panic
        .location()
        .map(|at| format!("{}:{}", in_its_crate(at.file()), at.line()));
    let mut noted = lock(&NOTED);
    if noted.len() == MOST_NOTED {
        noted.pop_front();
    }
    noted.push_back(Bug {
        message: message_of(panic.payload()),
        place,
    });
}

/// The path of a source file without what differs from machine to machine:
/// `polars-core-0.55.2/src/frame.rs`.
fn in_its_crate(path: &str) -> &str {
    let of_registry = path
        .split_once("/registry/src/")
        .and_then(|(_, rest)| rest.split_once('/'));
    of_registry.map_or(path, |(_, in_crate)| in_crate)
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}

/// Runs work whose panics are bugs: each becomes an error.
///
/// # Errors
/// Those of the work; `Bug` where it panicked, in this thread or in one that it waited for;
/// `StoreFailed` where it panicked because the machine starts no more threads, which is no bug.
pub fn catch<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let message = message_of(&*payload);
        if NO_THREADS.iter().any(|words| message.contains(words)) {
            return Err(messages::no_threads(message).into());
        }
        let noted = lock(&NOTED);
        let place = noted
            .iter()
            .rev()
            .find(|bug| bug.message == message)
            .and_then(|bug| bug.place.clone());
        Err(Bug { message, place }.into())
    })
}

/// How the standard library and tokio panic when the machine starts no more threads.
const NO_THREADS: [&str; 2] = ["failed to spawn thread", "OS can't spawn worker thread"];

#[cfg(test)]
mod tests {
    use std::panic::take_hook;

    use anyhow::{Context, anyhow};

    use super::*;
    use crate::failure::FailureKind;
    use crate::threads::on_each;

    /// Notes panics, and prints them as before: other tests run beside this one.
    fn note_and_print() {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            note(panic);
            print(panic);
        }));
    }

    #[test]
    fn a_panic_is_told_with_its_place_also_of_another_thread() {
        note_and_print();
        let line = line!() + 1;
        let here = catch::<()>(|| panic!("{} apples", 3)).unwrap_err();
        let expected = format!(
            "a bug in this program: 3 apples at src/bug.rs:{line}; report it with this line"
        );
        assert_eq!(here.to_string(), expected);

        let line = line!() + 1;
        let elsewhere = catch(|| Ok(on_each([()], |()| -> u8 { panic!("a pear") })));
        let passed_on = elsewhere.unwrap_err();
        assert!(
            passed_on
                .to_string()
                .contains(&format!("a pear at src/bug.rs:{line};")),
            "{passed_on}"
        );

        let with_context = Err::<(), _>(here).context("rolling up").unwrap_err();
        assert_eq!(
            text_of(&with_context),
            format!("rolling up: {expected}"),
            "said once"
        );
    }

    #[test]
    fn an_error_is_told_in_four_parts_and_a_context_belongs_to_the_first() {
        let error = anyhow::Error::from(messages::first_tier("A")).context("after 3 of 5 days");
        let told = "after 3 of 5 days: tier \"A\" is the first, so its min_gmv must be \"0\"\n  why: Every shop has a tier.\n  \
                    tonight: readers see the earlier results; the command does not start\n  next: set it to \"0\"";
        assert_eq!(parts_of(&error).told(), told);
        let bug = parts_of(&anyhow!("no shop"));
        assert_eq!(bug.what, "a bug in this program: no shop");
        assert_eq!(bug.next, "report it with this line");
    }

    #[test]
    fn an_error_without_a_panic_is_a_bug_too_and_work_that_ends_well_gives_its_result() {
        assert_eq!(
            text_of(&anyhow!("no shop")),
            "a bug in this program: no shop; report it with this line"
        );
        assert_eq!(catch(|| Ok(7)).unwrap(), 7);
        assert_eq!(
            catch::<()>(|| Err(anyhow!("no shop")))
                .unwrap_err()
                .to_string(),
            "no shop"
        );
    }

    #[test]
    fn a_machine_that_starts_no_more_threads_is_no_bug() {
        let panic = || panic!("failed to spawn thread: Os {{ code: 11, kind: WouldBlock }}");
        let error = catch::<()>(panic).unwrap_err();
        assert!(
            Failure::kind_of(&error) == Some(FailureKind::StoreFailed)
                && error.to_string().contains("or give fewer --threads"),
            "{error}"
        );
    }

    #[test]
    fn a_place_in_a_library_is_the_same_on_every_machine() {
        let path = "/home/x/.cargo/registry/src/index.crates.io-19/polars-core-0.55.2/src/frame.rs";
        assert_eq!(in_its_crate(path), "polars-core-0.55.2/src/frame.rs");
        assert_eq!(in_its_crate("src/plan.rs"), "src/plan.rs");
    }
}
