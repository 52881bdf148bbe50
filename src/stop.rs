//! A request to stop (SIGINT, SIGTERM), noticed between steps.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of the signal that asks to stop; 0 as long as there is none.
#[derive(Clone, Debug, Default)]
pub struct Stop(pub Arc<AtomicUsize>);

/// The command ended early because it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    pub signal: usize,
}

pub const SIGINT: usize = 2;
pub const SIGTERM: usize = 15;

impl Stop {
    /// # Errors
    /// `Stopped` once a signal has come.
    pub fn check(&self) -> Result<(), Stopped> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Stopped { signal }),
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.signal == SIGINT {
            "interrupted"
        } else {
            "terminated"
        };
        write!(
            f,
            "{how}; what was published stays, and running again goes on from there"
        )
    }
}

impl std::error::Error for Stopped {}
