//! A store whose k-th call fails: before its effect or after it, once or from then on.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// The call that fails, and the kind of its failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1.
    pub call: u64,
    /// The call has its effect, but its answer is lost.
    pub after_effect: bool,
    /// Every later call fails too, without effect.
    pub for_good: bool,
}

/// Counts the calls of all stores that share it, and lets one fail or runs something before it.
#[derive(Default)]
pub struct Faults {
    calls: AtomicU64,
    fault: Option<Fault>,
    meanwhile: Option<(u64, Box<dyn Fn() + Send + Sync>)>,
    /// The greatest number of calls that waited for one another, while rounds are counted.
    rounds: AtomicU64,
    counts_rounds: bool,
    /// The parts of objects that were read: path and range.
    parts: Mutex<Vec<(String, Range<u64>)>>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after {} calls", self.fault, self.calls())
    }
}

impl Faults {
    pub fn new(fault: Option<Fault>) -> Arc<Faults> {
        Arc::new(Faults {
            fault,
            ..Faults::default()
        })
    }

    /// No call fails; `happens` runs just before a call.
    pub fn meanwhile(call: u64, happens: impl Fn() + Send + Sync + 'static) -> Arc<Faults> {
        Arc::new(Faults {
            meanwhile: Some((call, Box::new(happens))),
            ..Faults::default()
        })
    }

    /// No call fails; calls that were begun before another one ended count as one round.
    pub fn counting_rounds() -> Arc<Faults> {
        Arc::new(Faults {
            counts_rounds: true,
            ..Faults::default()
        })
    }

    /// The number of calls one after the other: a store that takes 30 ms for each call keeps a command
    /// waiting for so many times 30 ms.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::SeqCst)
    }

    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// The parts of an object that were read since the last question.
    pub fn take_parts(&self, path: &str) -> Vec<Range<u64>> {
        self.parts
            .lock()
            .unwrap()
            .extract_if(.., |(of, _)| of == path)
            .map(|(_, range)| range)
            .collect()
    }

    async fn call<T>(&self, effect: impl Future<Output = Result<T>>) -> Result<T> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some((_, happens)) = self.meanwhile.as_ref().filter(|(call, _)| *call == number) {
            happens();
        }
        if self.counts_rounds {
            let round = self.rounds() + 1;
            // Calls side by side all begin before the first of them ends.
            tokio::task::yield_now().await;
            let ended = effect.await;
            self.rounds.fetch_max(round, Ordering::SeqCst);
            return ended;
        }
        let Some(fault) = self.fault else {
            return effect.await;
        };
        let failed = || object_store::Error::Generic {
            store: "faulty",
            source: "injected fault".into(),
        };
        if number == fault.call {
            if fault.after_effect {
                effect.await?;
            }
            return Err(failed());
        }
        if fault.for_good && number > fault.call {
            Err(failed())
        } else {
            effect.await
        }
    }
}

/// A store with faults in front of it.
#[derive(Debug)]
pub struct Faulty {
    pub inner: Arc<dyn ObjectStore>,
    pub faults: Arc<Faults>,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with faults", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.faults
            .call(self.inner.put_opts(location, payload, options))
            .await
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        unreachable!("the program uploads every file in one piece")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.faults
            .call(self.inner.get_opts(location, options))
            .await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let parts = ranges
            .iter()
            .map(|range| (location.to_string(), range.clone()));
        self.faults.parts.lock().unwrap().extend(parts);
        self.faults
            .call(self.inner.get_ranges(location, ranges))
            .await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (inner, faults) = (self.inner.clone(), self.faults.clone());
        let delete = move |location: Result<Path>| {
            let (inner, faults) = (inner.clone(), faults.clone());
            async move {
                let one = futures::stream::once(async { location }).boxed();
                faults
                    .call(
                        inner
                            .delete_stream(one)
                            .try_collect::<Vec<_>>()
                            .map(|deleted| Ok(deleted?.remove(0))),
                    )
                    .await
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (faults, listed) = (self.faults.clone(), self.inner.list(prefix));
        let collected = async move { faults.call(listed.try_collect::<Vec<_>>()).await };
        let entries = collected.map(|entries| match entries {
            Ok(entries) => futures::stream::iter(entries.into_iter().map(Ok)).boxed(),
            Err(error) => futures::stream::iter([Err(error)]).boxed(),
        });
        entries.flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.faults
            .call(self.inner.list_with_delimiter(prefix))
            .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.faults
            .call(self.inner.copy_opts(from, to, options))
            .await
    }

    // A disk renames in one step; an object store copies and deletes, and may fail in between.
    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        if self.inner.to_string().starts_with("LocalFileSystem") {
            return self
                .faults
                .call(self.inner.rename_opts(from, to, options))
                .await;
        }
        self.copy_opts(from, to, CopyOptions::new()).await?;
        object_store::ObjectStoreExt::delete(self, from).await
    }
}
