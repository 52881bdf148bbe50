//! Objects sent to a store, large ones in parts; and whether the store has confirmed their bytes.

use anyhow::Result;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use md5::{Digest as _, Md5};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutResult};

use super::open::Store;
use crate::fingerprint::hex;

/// Bytes of a part of a large object. Object stores accept parts from 5 MiB on, and 10 000 of them: an
/// object has at most 80 GB. All parts but the last are equal, as some stores want it.
const PART_BYTES: usize = 8 << 20;
/// A greater object is sent in parts, side by side: one connection carries a tenth of a fast line.
const IN_PARTS_FROM_BYTES: usize = 2 * PART_BYTES;

impl Store {
    /// Writes an object. Tells whether the answer has the MD5 of these bytes, computed here: then the store
    /// holds exactly them. A store that answers with another kind of ETag has confirmed nothing.
    pub(super) async fn upload(&self, path: &str, bytes: &Bytes) -> Result<bool> {
        let full = self.path("write", path)?;
        let is_in_parts = self.is_remote() && bytes.len() > IN_PARTS_FROM_BYTES;
        let put = match is_in_parts {
            false => {
                let put = self.inner.put(&full, bytes.clone().into());
                self.in_time(put).await
            }
            true => self.upload_parts(&full, bytes).await,
        };
        let put = put.map_err(|e| self.failed("write", path, &e))?;
        Ok(is_confirmed(&put, || match is_in_parts {
            false => md5(bytes),
            true => md5_of_parts(bytes),
        }))
    }

    /// The object appears when its last request is answered, or not at all.
    async fn upload_parts(&self, full: &Path, bytes: &Bytes) -> object_store::Result<PutResult> {
        let mut upload = self.in_time(self.inner.put_multipart(full)).await?;
        let ended = match self.send_parts(upload.as_mut(), bytes).await {
            Ok(()) => self.in_time(upload.complete()).await,
            Err(error) => Err(error),
        };
        if ended.is_err() {
            // Parts that stay cost money until a rule of the bucket removes them; they are no object.
            let _ = self.in_time(upload.abort()).await;
        }
        ended
    }

    async fn send_parts(
        &self,
        upload: &mut dyn MultipartUpload,
        bytes: &Bytes,
    ) -> object_store::Result<()> {
        let parts: Vec<_> = parts(bytes)
            .map(|part| self.in_time(upload.put_part(part.into())))
            .collect();
        let sent = futures::stream::iter(parts).buffer_unordered(self.concurrency);
        sent.try_collect().await
    }
}

fn parts(bytes: &Bytes) -> impl Iterator<Item = Bytes> {
    let starts = (0..bytes.len()).step_by(PART_BYTES);
    starts.map(|start| bytes.slice(start..bytes.len().min(start + PART_BYTES)))
}

/// Whether the ETag of an answer is the expected one, which is only computed where it has that form.
fn is_confirmed(put: &PutResult, expected: impl FnOnce() -> String) -> bool {
    let Some(tag) = put.e_tag.as_deref().map(|tag| tag.trim_matches('"')) else {
        return false;
    };
    let digits = tag.split('-').next().unwrap_or_default();
    let is_md5 = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_md5 && tag.eq_ignore_ascii_case(&expected())
}

fn md5(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// The ETag of an object that was sent in parts: the MD5 of the MD5s of its parts, and their number.
fn md5_of_parts(bytes: &Bytes) -> String {
    let (mut all, mut count) = (Md5::new(), 0);
    for part in parts(bytes) {
        all.update(Md5::digest(&part));
        count += 1;
    }
    format!("{}-{count}", hex(&all.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Memory;

    fn answer(e_tag: Option<&str>) -> PutResult {
        PutResult {
            e_tag: e_tag.map(str::to_owned),
            version: None,
            extensions: Default::default(),
        }
    }

    #[test]
    fn only_the_md5_of_the_bytes_confirms_them() {
        let bytes = Bytes::from_static(b"abc");
        let is_confirmed = |tag| is_confirmed(&answer(tag), || md5(&bytes));
        assert!(is_confirmed(Some("\"900150983cd24fb0d6963f7d28e17f72\"")));
        assert!(is_confirmed(Some("900150983CD24FB0D6963F7D28E17F72")));
        for other in [
            None,
            Some(""),
            Some("\"0\""),
            Some("\"d41d8cd98f00b204e9800998ecf8427e\""),
            Some("\"900150983cd24fb0d6963f7d28e17f72-1\""),
            Some("W/\"900150983cd24fb0d6963f7d28e17f72\""),
        ] {
            assert!(!is_confirmed(other), "{other:?}");
        }
    }

    #[test]
    fn the_tag_of_parts_is_the_md5_of_their_md5s() {
        let bytes = Bytes::from(vec![7; PART_BYTES + 1]);
        let of_parts = [
            Md5::digest(&bytes[..PART_BYTES]),
            Md5::digest(&bytes[PART_BYTES..]),
        ];
        let expected = format!("{}-2", md5(&of_parts.concat()));
        assert_eq!(md5_of_parts(&bytes), expected);
    }

    #[test]
    fn a_large_object_is_sent_in_parts_and_is_whole() {
        let memory = Memory::new("results");
        let bytes: Bytes = (0..IN_PARTS_FROM_BYTES as u32 + 3)
            .map(|n| n as u8)
            .collect();
        memory.store.write("a/large", bytes.clone()).unwrap();
        assert!(memory.store.read("a/large").unwrap() == Some(bytes));
    }
}
