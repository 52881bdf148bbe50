//! A location as a person writes it: a local path, or the URL of an object store.

use std::path::PathBuf;

use url::Url;

use crate::environment::Cloud;
use crate::failure::Failure;
use crate::messages;
use crate::redact::holds_secret;

/// The path of a local folder; `None` for the URL of an object store. Every other text is a path,
/// even with a colon in a name.
///
/// # Errors
/// When a location is neither, or holds a secret.
pub(crate) fn local_path(location: &str) -> Result<Option<PathBuf>, Failure> {
    let wrong = |to_do: &str| Err(messages::not_a_location(location, to_do));
    if location.is_empty() {
        return wrong("give a path or a file:, s3:, gs: or az: URL");
    }
    let Some((scheme, rest)) = location
        .split_once(':')
        .filter(|(scheme, _)| is_scheme(scheme))
    else {
        return Ok(Some(location.into()));
    };
    let scheme = scheme.to_ascii_lowercase();
    let is_cloud = Cloud::of_scheme(&scheme).is_some();
    if (is_cloud || (scheme != "file" && rest.starts_with("//"))) && holds_secret(location) {
        return Err(messages::secret_in_location(location));
    }
    if scheme != "file" && !is_cloud {
        return match rest.starts_with("//") {
            true => wrong("give a path or a file:, s3:, gs: or az: URL"),
            false => Ok(Some(location.into())),
        };
    }
    let Ok(url) = Url::parse(location) else {
        return wrong(&format!("write {scheme}://bucket/folder"));
    };
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("in a URL write ? as %3F and # as %23");
    }
    if is_cloud {
        let has_bucket =
            rest.starts_with("//") && url.host_str().is_some_and(|host| !host.is_empty());
        return if has_bucket {
            Ok(None)
        } else {
            wrong(&format!("write {scheme}://bucket/folder"))
        };
    }
    match url.to_file_path() {
        Ok(path) if rest.starts_with('/') => Ok(Some(path)),
        _ => wrong("write file:///absolute/folder, or a relative path without file:"),
    }
}

/// An object of the bucket of a location, in the form that most readers know. `path` starts at the
/// bucket. `None`: the location is no URL.
pub(super) fn url_of(location: &str, path: &str) -> Option<String> {
    let url = Url::parse(location).ok()?;
    let host = url.host_str()?;
    // az://container@account.blob.core.windows.net/folder
    let container = match url.username() {
        "" => String::new(),
        container => format!("{container}/"),
    };
    Some(format!("{}://{host}/{container}{path}", url.scheme()))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_path_or_one_of_four_urls() {
        let path = |text: &str| local_path(text).unwrap();
        for plain in [
            "exports",
            "/data/exports",
            "myfile:x/ex",
            "a/s3:/b",
            "./foo://bar",
            "x:y",
            "2:/a",
        ] {
            assert_eq!(path(plain), Some(plain.into()));
        }
        for url in [
            "file:///data/ex%20a",
            "file:///data/ex%20a/",
            "file:/data/ex%20a",
            "FILE:///data/ex%20a",
        ] {
            assert_eq!(path(url), Some("/data/ex a".into()), "{url}");
        }
        for url in [
            "s3://bucket/x",
            "gs://bucket",
            "az://container/x",
            "S3://bucket/x",
        ] {
            assert_eq!(path(url), None);
        }
    }

    #[test]
    fn a_location_with_a_key_or_a_signature_is_refused() {
        for location in [
            "s3://AKIA7:wJalr@bucket/x",
            "s3://AKIA7:wJ/alr@bucket/x",
            "s3:AKIA7:wJalr@bucket/x",
            "gs://key@bucket/x",
            "az://name:key@container/x",
            "az://container/x?sv=2&sig=Ab",
            "https://a.blob.core.windows.net/container?sv=2&sig=Ab",
            "s3://bucket/x?X-Amz-Signature=0f",
            "s3://bucket/x%3FX-Amz-Signature=0f",
        ] {
            let said = local_path(location).unwrap_err().to_string();
            assert!(
                said.contains(
                    "give keys in the environment, under the names in docs/operations.md"
                ),
                "{said}"
            );
        }
        for location in [
            "az://container@account.blob.core.windows.net/x",
            "s3://bucket/a@b",
        ] {
            assert_eq!(local_path(location).unwrap(), None);
        }
        assert_eq!(
            local_path("exports/token=1/x").unwrap(),
            Some("exports/token=1/x".into()),
            "a path of a disk"
        );
    }

    #[test]
    fn an_object_has_a_url_that_other_programs_read() {
        let of = |location: &str| url_of(location, "a/b=1/c d.parquet");
        for (location, expected) in [
            ("s3://bucket/a", Some("s3://bucket/a/b=1/c d.parquet")),
            ("S3://bucket", Some("s3://bucket/a/b=1/c d.parquet")),
            ("gs://bucket/a/", Some("gs://bucket/a/b=1/c d.parquet")),
            ("az://container/a", Some("az://container/a/b=1/c d.parquet")),
            (
                "az://container@account.blob.core.windows.net/a",
                Some("az://account.blob.core.windows.net/container/a/b=1/c d.parquet"),
            ),
            ("results", None),
        ] {
            assert_eq!(of(location).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn a_location_that_is_neither_is_refused_with_a_remedy() {
        for (location, remedy) in [
            ("", "give a path or a file:, s3:, gs: or az: URL"),
            ("foo://bar", "give a path or a file:, s3:, gs: or az: URL"),
            ("memory:///", "give a path or a file:, s3:, gs: or az: URL"),
            ("s3:/bucket/x", "write s3://bucket/folder"),
            ("s3:bucket", "write s3://bucket/folder"),
            ("gs://", "write gs://bucket/folder"),
            (
                "file:relative",
                "write file:///absolute/folder, or a relative path without file:",
            ),
            ("file://host/data", "write file:///absolute/folder"),
            ("file:///data/a#b", "write ? as %3F and # as %23"),
        ] {
            let said = local_path(location).unwrap_err().to_string();
            assert!(
                said.contains(&format!("{location:?}")) && said.contains(remedy),
                "{said}"
            );
        }
    }
}
