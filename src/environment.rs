//! The environment variables that this program accepts or hides from libraries, as data.
//!
//! `object_store` reads its settings under many spellings, some without a prefix (`token`,
//! `endpoint`, `region`), and other libraries read the environment by themselves. A job must not
//! depend on other variables that cron or a container sets. So only the names below reach
//! `object_store`, and [`is_foreign`] names are removed before any library reads them.
//! docs/operations.md shows the same list.

use std::fmt::Write;

/// A setting of an object store, and the names of its variables.
pub struct Setting {
    /// Without the prefix of the cloud. The first one that is set and not empty counts.
    pub names: &'static [&'static str],
    /// Its value is never printed.
    pub is_secret: bool,
}

/// An object store that a URL may name.
pub struct Cloud {
    pub name: &'static str,
    /// The scheme of its URLs.
    pub scheme: &'static str,
    /// The prefix of its variables.
    pub prefix: &'static str,
    /// The cloud's own settings; [`CLIENT`] has the settings of every cloud.
    settings: &'static [Setting],
}

const fn open(names: &'static [&'static str]) -> Setting {
    Setting {
        names,
        is_secret: false,
    }
}

const fn secret(names: &'static [&'static str]) -> Setting {
    Setting {
        names,
        is_secret: true,
    }
}

/// Every cloud that a location may name.
///
/// Buckets and containers are left out, because the URL names them. Source: `AmazonS3ConfigKey`,
/// `GoogleConfigKey` and `AzureConfigKey` of `object_store` 0.14.
pub const CLOUDS: [Cloud; 3] = [
    Cloud {
        name: "Amazon S3 and stores like it",
        scheme: "s3",
        prefix: "AWS_",
        settings: &[
            open(&["ACCESS_KEY_ID"]),
            secret(&["SECRET_ACCESS_KEY"]),
            secret(&["SESSION_TOKEN", "TOKEN"]),
            open(&["REGION", "DEFAULT_REGION"]),
            open(&["ENDPOINT_URL_S3", "ENDPOINT_URL", "ENDPOINT"]),
            open(&["VIRTUAL_HOSTED_STYLE_REQUEST"]),
            open(&["S3_EXPRESS"]),
            open(&["IMDSV1_FALLBACK"]),
            open(&["METADATA_ENDPOINT"]),
            open(&["CONTAINER_CREDENTIALS_RELATIVE_URI"]),
            open(&["CONTAINER_CREDENTIALS_FULL_URI"]),
            open(&["CONTAINER_AUTHORIZATION_TOKEN_FILE"]),
            open(&["WEB_IDENTITY_TOKEN_FILE"]),
            open(&["ROLE_ARN"]),
            open(&["ROLE_SESSION_NAME"]),
            open(&["ENDPOINT_URL_STS"]),
            open(&["SKIP_SIGNATURE"]),
            open(&["UNSIGNED_PAYLOAD"]),
            open(&["CHECKSUM_ALGORITHM"]),
            open(&["COPY_IF_NOT_EXISTS"]),
            open(&["CONDITIONAL_PUT"]),
            open(&["DISABLE_TAGGING"]),
            open(&["DISABLE_BULK_DELETE"]),
            open(&["REQUEST_PAYER"]),
            open(&["SERVER_SIDE_ENCRYPTION"]),
            open(&["SSE_KMS_KEY_ID"]),
            open(&["SSE_BUCKET_KEY_ENABLED"]),
            secret(&["SSE_CUSTOMER_KEY_BASE64"]),
        ],
    },
    Cloud {
        name: "Google Cloud Storage",
        scheme: "gs",
        prefix: "GOOGLE_",
        settings: &[
            open(&["SERVICE_ACCOUNT", "SERVICE_ACCOUNT_PATH"]),
            secret(&["SERVICE_ACCOUNT_KEY"]),
            open(&["APPLICATION_CREDENTIALS"]),
            secret(&["BEARER_TOKEN"]),
            open(&["BASE_URL"]),
            open(&["SKIP_SIGNATURE"]),
        ],
    },
    Cloud {
        name: "Azure Blob Storage",
        scheme: "az",
        prefix: "AZURE_",
        settings: &[
            open(&["STORAGE_ACCOUNT_NAME"]),
            secret(&[
                "STORAGE_ACCOUNT_KEY",
                "STORAGE_ACCESS_KEY",
                "STORAGE_MASTER_KEY",
            ]),
            open(&["STORAGE_CLIENT_ID", "CLIENT_ID"]),
            secret(&["STORAGE_CLIENT_SECRET", "CLIENT_SECRET"]),
            open(&[
                "STORAGE_TENANT_ID",
                "STORAGE_AUTHORITY_ID",
                "TENANT_ID",
                "AUTHORITY_ID",
            ]),
            open(&["STORAGE_AUTHORITY_HOST", "AUTHORITY_HOST"]),
            secret(&["STORAGE_SAS_KEY", "STORAGE_SAS_TOKEN"]),
            secret(&["STORAGE_TOKEN"]),
            open(&["STORAGE_USE_EMULATOR"]),
            open(&["STORAGE_ENDPOINT", "ENDPOINT"]),
            open(&["USE_FABRIC_ENDPOINT"]),
            open(&["MSI_ENDPOINT", "IDENTITY_ENDPOINT"]),
            open(&["OBJECT_ID"]),
            open(&["MSI_RESOURCE_ID"]),
            open(&["FEDERATED_TOKEN_FILE"]),
            open(&["USE_AZURE_CLI"]),
            open(&["SKIP_SIGNATURE"]),
            open(&["DISABLE_TAGGING"]),
            open(&["FABRIC_TOKEN_SERVICE_URL"]),
            open(&["FABRIC_WORKLOAD_HOST"]),
            secret(&["FABRIC_SESSION_TOKEN"]),
            open(&["FABRIC_CLUSTER_IDENTIFIER"]),
            open(&["CREDENTIAL_TYPE"]),
            secret(&["STORAGE_ENCRYPTION_KEY"]),
        ],
    },
];

/// Settings of the HTTP client, under the prefix of each cloud. Source: `ClientConfigKey` of
/// `object_store` 0.14.
const CLIENT: [Setting; 20] = [
    open(&["ALLOW_HTTP"]),
    open(&["ALLOW_INVALID_CERTIFICATES"]),
    open(&["DISABLE_SYSTEM_CERTIFICATES"]),
    open(&["CONNECT_TIMEOUT"]),
    open(&["READ_TIMEOUT"]),
    open(&["TIMEOUT"]),
    open(&["PROXY_URL"]),
    open(&["PROXY_CA_CERTIFICATE"]),
    open(&["PROXY_EXCLUDES"]),
    open(&["HTTP1_ONLY"]),
    open(&["HTTP2_ONLY"]),
    open(&["HTTP2_KEEP_ALIVE_INTERVAL"]),
    open(&["HTTP2_KEEP_ALIVE_TIMEOUT"]),
    open(&["HTTP2_KEEP_ALIVE_WHILE_IDLE"]),
    open(&["HTTP2_MAX_FRAME_SIZE"]),
    open(&["POOL_IDLE_TIMEOUT"]),
    open(&["POOL_MAX_IDLE_PER_HOST"]),
    open(&["RANDOMIZE_ADDRESSES"]),
    open(&["DEFAULT_CONTENT_TYPE"]),
    open(&["USER_AGENT"]),
];

/// Prefixes of variables that libraries read by themselves, and that would change requests, threads
/// or output.
///
/// Proxies: a proxy sees plain requests with their signatures, so it must be named explicitly, as
/// `AWS_PROXY_URL` and the like. `GCE_METADATA_*` and `AZURITE_*`: they redirect credentials and
/// requests. The others: threads and messages of polars, rayon and tokio, for which this program
/// has `--threads` and `--quiet`.
const FOREIGN: [&str; 9] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "GCE_METADATA_",
    "AZURITE_",
    "POLARS_",
    "RAYON_",
    "TOKIO_WORKER_THREADS",
];

/// Whether a variable must be removed before a library reads it. Libraries read the names of
/// proxies in lower case too.
pub fn is_foreign(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    FOREIGN.iter().any(|start| upper.starts_with(start))
}

impl Cloud {
    pub fn of_scheme(scheme: &str) -> Option<&'static Cloud> {
        CLOUDS.iter().find(|cloud| cloud.scheme == scheme)
    }

    fn settings(&self) -> impl Iterator<Item = &'static Setting> {
        self.settings.iter().chain(&CLIENT)
    }

    /// The settings in the environment: one name for each setting, always in the same order. Names
    /// are case-sensitive.
    pub fn options(&self, environment: &[(String, String)]) -> Vec<(String, String)> {
        self.settings()
            .filter_map(|setting| self.find(setting, environment))
            .collect()
    }

    fn find(
        &self,
        setting: &Setting,
        environment: &[(String, String)],
    ) -> Option<(String, String)> {
        setting.names.iter().find_map(|name| {
            let name = format!("{}{name}", self.prefix);
            let value = &environment
                .iter()
                .find(|(given, value)| *given == name && !value.is_empty())?
                .1;
            Some((name, value.clone()))
        })
    }
}

/// The key that the receiver of OpenLineage events wants, as OpenLineage's own clients name it.
const LINEAGE_KEY: &str = "OPENLINEAGE_API_KEY";

/// The key of the receiver of OpenLineage events; `None`: not set, or empty.
pub fn lineage_key(environment: &[(String, String)]) -> Option<String> {
    let key = environment.iter().find(|(name, _)| name == LINEAGE_KEY);
    key.map(|(_, key)| key.clone())
        .filter(|key| !key.is_empty())
}

/// Keys, tokens and signatures in the environment: of every cloud and under every name, and of the receiver
/// of lineage.
pub fn secrets(environment: &[(String, String)]) -> Vec<String> {
    let is_secret = |name: &str| {
        let of_cloud = |cloud: &Cloud| {
            let name = name.strip_prefix(cloud.prefix)?;
            cloud
                .settings()
                .find(|setting| setting.names.contains(&name))
                .map(|setting| setting.is_secret)
        };
        CLOUDS.iter().any(|cloud| of_cloud(cloud) == Some(true))
    };
    environment
        .iter()
        .filter(|(name, _)| name == LINEAGE_KEY || is_secret(name))
        .map(|(_, value)| value.clone())
        .collect()
}

/// The list as docs/operations.md shows it: one line for each cloud. The names of one setting are
/// joined by "before".
pub fn markdown() -> String {
    let row = |cloud: &Cloud, settings: &[Setting]| {
        let names = |setting: &Setting| {
            let names: Vec<String> = setting
                .names
                .iter()
                .map(|name| format!("`{}{name}`", cloud.prefix))
                .collect();
            names.join(" before ")
        };
        settings.iter().map(names).collect::<Vec<_>>().join(", ")
    };
    let mut text = String::from("| URL | settings |\n| --- | --- |\n");
    for cloud in &CLOUDS {
        let _ = writeln!(
            text,
            "| `{}:` {} | {} |",
            cloud.scheme,
            cloud.name,
            row(cloud, cloud.settings)
        );
    }
    let client: Vec<String> = CLIENT
        .iter()
        .flat_map(|s| s.names)
        .map(|name| format!("`{name}`"))
        .collect();
    let _ = writeln!(
        text,
        "| each, after its prefix `AWS_`, `GOOGLE_`, `AZURE_` | {} |",
        client.join(", ")
    );
    text
}

#[cfg(test)]
mod tests {
    use object_store::aws::AmazonS3ConfigKey;
    use object_store::azure::AzureConfigKey;
    use object_store::gcp::GoogleConfigKey;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn options(scheme: &str, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        Cloud::of_scheme(scheme)
            .unwrap()
            .options(&environment(pairs))
    }

    #[test]
    fn only_listed_names_of_the_urls_cloud_count_exactly_as_written() {
        let foreign = [
            ("TOKEN", "t"),
            ("ENDPOINT", "http://elsewhere"),
            ("ALLOW_HTTP", "true"),
            ("SKIP_SIGNATURE", "true"),
            ("REGION", "r"),
            ("PROXY_URL", "http://elsewhere"),
            ("aws_region", "r"),
            ("Aws_Region", "r"),
            ("AWS_BUCKET", "other"),
            ("AWS_PROFILE", "x"),
        ];
        for cloud in &CLOUDS {
            assert_eq!(options(cloud.scheme, &foreign), [], "{}", cloud.scheme);
        }
        let all = [
            ("AWS_REGION", "r"),
            ("GOOGLE_BASE_URL", "b"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "a"),
        ];
        assert_eq!(options("s3", &all), environment(&all[..1]));
        assert_eq!(options("gs", &all), environment(&all[1..2]));
        assert_eq!(options("az", &all), environment(&all[2..]));
    }

    #[test]
    fn the_first_name_of_a_setting_counts_in_any_order_of_the_environment() {
        let mut pairs = [
            ("AWS_ENDPOINT", "e"),
            ("AWS_DEFAULT_REGION", "d"),
            ("AWS_REGION", "r"),
            ("AWS_TOKEN", ""),
        ];
        let expected = environment(&[("AWS_REGION", "r"), ("AWS_ENDPOINT", "e")]);
        assert_eq!(options("s3", &pairs), expected);
        pairs.reverse();
        assert_eq!(options("s3", &pairs), expected);
        assert_eq!(
            options("s3", &[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "d")])[0].1,
            "d",
            "empty is not set"
        );
    }

    #[test]
    fn every_listed_name_is_one_that_object_store_documents() {
        for cloud in &CLOUDS {
            for setting in cloud.settings() {
                for name in setting.names {
                    let key = format!("{}{name}", cloud.prefix).to_ascii_lowercase();
                    let is_known = match cloud.scheme {
                        "s3" => key.parse::<AmazonS3ConfigKey>().is_ok(),
                        "gs" => key.parse::<GoogleConfigKey>().is_ok(),
                        _ => key.parse::<AzureConfigKey>().is_ok(),
                    };
                    assert!(is_known, "{key}");
                }
            }
        }
    }

    #[test]
    fn the_operations_page_shows_the_list() {
        let page = include_str!("../docs/operations.md");
        assert!(
            page.contains(&markdown()),
            "docs/operations.md should hold:\n{}",
            markdown()
        );
        for start in FOREIGN {
            assert!(
                page.contains(&format!("`{start}")),
                "docs/operations.md does not say that {start} is removed"
            );
        }
    }

    #[test]
    fn secrets_are_those_of_every_cloud() {
        let pairs = [
            ("AWS_SECRET_ACCESS_KEY", "1"),
            ("AZURE_STORAGE_MASTER_KEY", "2"),
            ("AWS_REGION", "r"),
            ("X", "3"),
            ("OPENLINEAGE_API_KEY", "4"),
        ];
        assert_eq!(secrets(&environment(&pairs)), ["1", "2", "4"]);
    }

    #[test]
    fn proxies_and_settings_of_libraries_are_foreign() {
        for name in [
            "http_proxy",
            "HTTPS_PROXY",
            "no_proxy",
            "POLARS_VERBOSE",
            "GCE_METADATA_HOST",
        ] {
            assert!(is_foreign(name), "{name}");
        }
        for name in [
            "AWS_PROXY_URL",
            "RUST_LOG",
            "TMPDIR",
            "HOME",
            "SSL_CERT_FILE",
        ] {
            assert!(!is_foreign(name), "{name}");
        }
    }
}
