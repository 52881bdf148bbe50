//! A store opened for a location; the deadline, paths and errors of all its calls.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use backon::ExponentialBuilder;
use futures::StreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreScheme, RetryConfig};
use tokio::runtime::Handle;
use url::Url;

use super::failure::{self, cause};
use super::location::{local_path, url_of};
use super::parquet_object::FetchedEnd;
use crate::config::STORE_CONCURRENCY;
use crate::environment::Cloud;
use crate::messages;

/// A folder on a disk or in an object store. All paths given to it are relative to that folder.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) inner: Arc<dyn ObjectStore>,
    root: Path,
    /// The folder on a local disk; `None` for an object store. On a disk, this program itself syncs
    /// deletions and removes empty folders.
    pub(super) local_root: Option<PathBuf>,
    /// As the person wrote it; for messages.
    pub location: String,
    /// Retries of sequences of calls, each repeated as a whole.
    pub retries: ExponentialBuilder,
    /// Calls that wait side by side.
    pub(super) concurrency: usize,
    deadline: Option<Deadline>,
    /// Objects in memory, or their ends, by path.
    pub(super) fetched: Arc<HashMap<String, FetchedEnd>>,
    runtime: Handle,
}

/// Pauses before a sequence of calls is tried again after a failure or a refusal that may be
/// temporary: 100 ms, doubled each time, with jitter. Below this, `object_store` repeats single
/// requests to an object store.
const RETRIES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_times(4)
    .with_jitter();

/// Objects up to this size are fetched whole, side by side with others.
pub(crate) const SMALL_BYTES: u64 = 1 << 20;

/// The end of the time in which calls may take effect, asked when a call begins; `None`: it is over. A
/// call that has no answer by then fails, and is not repeated.
#[derive(Clone)]
pub(crate) struct Deadline(Arc<dyn Fn() -> Option<Instant> + Send + Sync>);

impl Deadline {
    pub(crate) fn new(now: impl Fn() -> Option<Instant> + Send + Sync + 'static) -> Deadline {
        Deadline(Arc::new(now))
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", (self.0)())
    }
}

/// The purpose for which a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    /// Reads a folder that may not exist yet.
    ReadIfThere,
    /// Creates the folder; local writes are synced to the disk.
    Write,
    /// Writes into a folder if it exists; does not create it.
    WriteIfThere,
}

impl Store {
    /// Opens a local path or a `file:`, `s3:`, `gs:` or `az:` URL.
    ///
    /// `environment`: only the variables that `environment.rs` lists for the cloud of the URL
    /// count.
    ///
    /// # Errors
    /// `ConfigWrong` when the location or a setting of its store is not understood, `StoreFailed`
    /// when a local folder to read does not exist.
    pub fn open(
        location: &str,
        access: Access,
        environment: &[(String, String)],
        runtime: Handle,
    ) -> Result<Store> {
        let retries = RetryConfig::default();
        Store::open_retrying(location, access, environment, runtime, retries)
    }

    /// The same for somebody who waits at a terminal: a request that fails is repeated once.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(crate) fn open_impatient(
        location: &str,
        access: Access,
        environment: &[(String, String)],
        runtime: Handle,
    ) -> Result<Store> {
        let retries = RetryConfig {
            max_retries: 1,
            ..RetryConfig::default()
        };
        let store = Store::open_retrying(location, access, environment, runtime, retries)?;
        Ok(Store {
            retries: RETRIES.with_max_times(1),
            ..store
        })
    }

    fn open_retrying(
        location: &str,
        access: Access,
        environment: &[(String, String)],
        runtime: Handle,
        retries: RetryConfig,
    ) -> Result<Store> {
        match local_path(location)? {
            Some(path) => Store::open_folder(location, path, access, runtime),
            None => Store::open_url(location, environment, runtime, retries),
        }
    }

    fn open_folder(
        location: &str,
        path: PathBuf,
        access: Access,
        runtime: Handle,
    ) -> Result<Store> {
        if matches!(access, Access::ReadIfThere | Access::WriteIfThere) && !path.exists() {
            return Ok(Store::new(Arc::new(InMemory::new()), location, runtime));
        }
        if access == Access::Write {
            std::fs::create_dir_all(&path).map_err(|e| messages::cannot_open(location, e))?;
        }
        let store = LocalFileSystem::new_with_prefix(&path)
            .map_err(|e| messages::cannot_open(location, cause(&e)))?
            .with_fsync(matches!(access, Access::Write | Access::WriteIfThere));
        Ok(Store {
            local_root: Some(path),
            ..Store::new(Arc::new(store), location, runtime)
        })
    }

    fn open_url(
        location: &str,
        environment: &[(String, String)],
        runtime: Handle,
        retries: RetryConfig,
    ) -> Result<Store> {
        let url =
            Url::parse(location).map_err(|e| messages::bad_store_settings(location, cause(&e)))?;
        let options = Cloud::of_scheme(url.scheme()).map(|cloud| cloud.options(environment));
        choose_tls_cryptography();
        let (inner, root) = object_store_of(&url, options.unwrap_or_default(), retries)
            .map_err(|e| messages::bad_store_settings(location, cause(&e)))?;
        Ok(Store {
            root,
            ..Store::new(inner, location, runtime)
        })
    }

    /// A whole store as a folder; `location` is for messages.
    pub fn new(inner: Arc<dyn ObjectStore>, location: &str, runtime: Handle) -> Store {
        Store {
            inner,
            root: Path::default(),
            local_root: None,
            location: location.to_owned(),
            retries: RETRIES,
            concurrency: STORE_CONCURRENCY as usize,
            deadline: None,
            fetched: Arc::default(),
            runtime,
        }
    }

    /// The same store, with another number of calls that wait side by side.
    pub(crate) fn with_concurrency(self, concurrency: usize) -> Store {
        Store {
            concurrency,
            ..self
        }
    }

    /// The same store, whose calls fail after the deadline. Each call of a batch takes the deadline that
    /// holds when this call begins: a lease that is renewed meanwhile counts.
    pub(crate) fn until(&self, deadline: Deadline) -> Store {
        Store {
            deadline: Some(deadline),
            ..self.clone()
        }
    }

    /// How many calls wait side by side; at least 1.
    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Whether each call is a request to another machine.
    pub(crate) fn is_remote(&self) -> bool {
        self.local_root.is_none()
    }

    /// A path as a person can paste it.
    pub fn show(&self, path: &str) -> String {
        format!("{}/{path}", self.location.trim_end_matches('/'))
    }

    /// A path for another program that runs in any folder: absolute on a disk, otherwise a URL.
    pub(crate) fn path_for_readers(&self, path: &str) -> String {
        if let Some(root) = &self.local_root {
            let path = root.join(path);
            return std::path::absolute(&path)
                .unwrap_or(path)
                .display()
                .to_string();
        }
        let below = match self.root.as_ref() {
            "" => path.to_owned(),
            root => format!("{root}/{path}"),
        };
        url_of(&self.location, &below).unwrap_or_else(|| self.show(path))
    }

    /// The location for another program that runs in any folder.
    pub(crate) fn address(&self) -> String {
        let root = self.path_for_readers("");
        root.trim_end_matches('/').to_owned()
    }

    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Waits for a call, but not beyond the deadline.
    pub(super) fn wait<T>(
        &self,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> object_store::Result<T> {
        self.runtime.block_on(self.in_time(call))
    }

    /// A call that fails at the deadline.
    pub(super) async fn in_time<T>(
        &self,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> object_store::Result<T> {
        let Some(Deadline(deadline)) = &self.deadline else {
            return call.await;
        };
        let Some(deadline) = deadline() else {
            return Err(past_deadline());
        };
        let ended = tokio::time::timeout_at(deadline.into(), call).await;
        ended.unwrap_or_else(|_| Err(past_deadline()))
    }

    /// Waits for several calls, some of them side by side. All of them end, also where one fails: a
    /// call that is given up could still take effect later. The results are in the order of the calls.
    pub(super) fn wait_each<T>(
        &self,
        calls: impl IntoIterator<Item = impl Future<Output = Result<T>>>,
    ) -> Result<Vec<T>> {
        let ended = futures::stream::iter(calls).buffered(self.concurrency);
        let ended: Vec<Result<T>> = self.runtime.block_on(ended.collect());
        ended.into_iter().collect()
    }

    /// The path in the store. Names stay as a listing gave them: `Path::from` would percent-encode
    /// them once more.
    pub(super) fn path(&self, operation: &str, relative: &str) -> Result<Path> {
        let relative_path =
            Path::parse(relative).map_err(|e| self.failed(operation, relative, &e.into()))?;
        Ok(Path::from_iter(
            self.root.parts().chain(relative_path.parts()),
        ))
    }

    /// `operation`: `read`, `write` and so on.
    pub(super) fn failed(
        &self,
        operation: &str,
        path: &str,
        error: &object_store::Error,
    ) -> anyhow::Error {
        failure::of_store(operation, &self.show(path), error).into()
    }

    /// The same for an error of a disk.
    pub(super) fn failed_to(
        &self,
        operation: &str,
        path: &str,
        error: &io::Error,
    ) -> anyhow::Error {
        failure::of_disk(operation, &self.show(path), error).into()
    }
}

/// The object store of a URL, and the path in it. `object_store::parse_url_opts` does the same, but
/// takes no number of retries.
fn object_store_of(
    url: &Url,
    options: Vec<(String, String)>,
    retries: RetryConfig,
) -> object_store::Result<(Arc<dyn ObjectStore>, Path)> {
    macro_rules! built {
        ($builder:ty) => {{
            let builder = <$builder>::new().with_url(url.as_str()).with_retry(retries);
            let with = |builder: $builder, (name, value): (String, String)| match name
                .to_ascii_lowercase()
                .parse()
            {
                Ok(key) => builder.with_config(key, value),
                Err(_) => builder,
            };
            Arc::new(options.into_iter().fold(builder, with).build()?) as Arc<dyn ObjectStore>
        }};
    }
    let (scheme, path) = ObjectStoreScheme::parse(url)?;
    let inner = match scheme {
        ObjectStoreScheme::AmazonS3 => built!(AmazonS3Builder),
        ObjectStoreScheme::GoogleCloudStorage => built!(GoogleCloudStorageBuilder),
        ObjectStoreScheme::MicrosoftAzure => built!(MicrosoftAzureBuilder),
        // `location.rs` lets no other URL through.
        _ => object_store::parse_url(url)?.0.into(),
    };
    Ok((inner, path))
}

fn past_deadline() -> object_store::Error {
    object_store::Error::Generic {
        store: "deadline",
        source: "no answer before the lease of this run ran out".into(),
    }
}

/// The HTTP client of `object_store`, as that of lineage, is built without a provider of cryptography and panics unless
/// one is installed. `ring` takes a tenth of the build time of the default, `aws-lc-rs`.
pub(crate) fn choose_tls_cryptography() {
    // The error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use bytes::Bytes;

    use super::*;
    use crate::testing::Memory;

    /// A lease that ran out before the first call of a batch, and is renewed before the second.
    #[test]
    fn each_call_of_a_batch_takes_the_deadline_that_holds_when_it_begins() {
        let memory = Memory::new("results");
        let asked = Arc::new(AtomicU64::new(0));
        let deadline = {
            let asked = asked.clone();
            Deadline::new(move || match asked.fetch_add(1, Ordering::SeqCst) {
                0 => None,
                _ => Some(Instant::now() + Duration::from_secs(60)),
            })
        };
        let store = memory.store.clone().with_concurrency(1).until(deadline);
        let objects = ["a/1", "a/2"].map(|path| (path.to_owned(), Bytes::from_static(b"x")));
        let failed = store.write_each(&objects).unwrap_err().to_string();
        assert!(
            failed.contains("before the lease of this run ran out"),
            "{failed}"
        );
        assert_eq!(memory.paths(), ["a/2"]);
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }
}
