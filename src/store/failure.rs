//! An error of a store, with its innermost cause and a remedy that fits it.

use std::error::Error;
use std::io::{self, ErrorKind};

use crate::failure::Failure;
use crate::messages;

/// `operation`: `read`, `write` and so on. `shown`: the path as a person can paste it.
pub(super) fn of_store(operation: &str, shown: &str, error: &object_store::Error) -> Failure {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    let kind = match error {
        PermissionDenied { .. } | Unauthenticated { .. } => Some(ErrorKind::PermissionDenied),
        _ => io_error(error).map(io::Error::kind),
    };
    explained(operation, shown, &cause(error), kind)
}

pub(super) fn of_disk(operation: &str, shown: &str, error: &io::Error) -> Failure {
    explained(operation, shown, &error.to_string(), Some(error.kind()))
}

fn explained(operation: &str, shown: &str, why: &str, kind: Option<ErrorKind>) -> Failure {
    use ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match kind {
        Some(PermissionDenied | ReadOnlyFilesystem) => {
            messages::not_permitted(operation, shown, why)
        }
        Some(StorageFull | QuotaExceeded) => messages::no_room(operation, shown, why),
        _ => messages::store_failed(operation, shown, why),
    }
}

/// The text of the innermost error; the outer ones only repeat the path.
pub(super) fn cause(error: &(dyn Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}

/// The error of the operating system in an error of a disk.
pub(super) fn io_error(error: &object_store::Error) -> Option<&io::Error> {
    let first: &(dyn Error + 'static) = error;
    let mut causes = std::iter::successors(Some(first), |&error| error.source());
    causes.find_map(|cause| cause.downcast_ref::<io::Error>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_depends_on_the_cause() {
        const EPERM: i32 = 1;
        const EIO: i32 = 5;
        const ENOSPC: i32 = 28;
        const EROFS: i32 = 30;
        for (code, remedy) in [
            (EPERM, "give the account of the job that right"),
            (EROFS, "give the account of the job that right"),
            (ENOSPC, "make room there, then run again"),
            (EIO, "run again; if it fails again"),
        ] {
            let error = of_disk("create", "results/x", &io::Error::from_raw_os_error(code));
            let said = error.to_string();
            assert!(
                said.contains(" create results/x: ") && said.contains(remedy),
                "{said}"
            );
        }
    }
}
