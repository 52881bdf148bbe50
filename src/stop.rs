//! A request to stop (SIGINT, SIGTERM), noticed between steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::failure::Parts;
use crate::failure::{Failure, FailureKind};

/// The number of the signal that asks to stop; 0 as long as there is none.
#[derive(Clone, Debug, Default)]
pub struct Stop(pub Arc<AtomicUsize>);

pub const SIGINT: usize = 2;
pub const SIGTERM: usize = 15;

impl Stop {
    /// # Errors
    /// `Interrupted` or `Terminated`, once a signal has come.
    pub fn check(&self) -> Result<(), Failure> {
        let (kind, how) = match self.0.load(Ordering::Relaxed) {
            0 => return Ok(()),
            SIGINT => (FailureKind::Interrupted, "interrupted"),
            _ => (FailureKind::Terminated, "terminated"),
        };
        let parts = Parts {
            what: how.into(),
            why: "A signal asked the command to stop: SIGINT (Ctrl-C), or SIGTERM (a scheduler, a shutdown).",
            tonight: "the earlier results, and the days that were published before the signal",
            next: "what was published stays, and running again goes on from there".into(),
        };
        Err(Failure::new(kind, parts))
    }
}
