//! The account that requests to a store are made with: its name, never its secret.
//!
//! The order of the settings is that in which `object_store` 0.14 tries them.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use crate::environment::Cloud;

/// Google's credentials of a person at this machine, below `HOME`.
const GOOGLE_DEFAULT: &str = ".config/gcloud/application_default_credentials.json";

/// The account for a location, as `as role arn:aws:iam::1:role/etl`, and the server where a setting
/// names one. `read`: the text of a file with credentials; only its account's name is used.
pub(super) fn identity(
    location: &str,
    environment: &[(String, String)],
    read: impl Fn(&Path) -> Option<String>,
) -> String {
    let url = Url::parse(location).ok();
    let cloud = url.as_ref().and_then(|url| Cloud::of_scheme(url.scheme()));
    let (Some(url), Some(cloud)) = (url, cloud) else {
        return format!("uid {}", rustix::process::geteuid().as_raw());
    };
    let settings = Settings {
        prefix: cloud.prefix,
        options: cloud.options(environment),
    };
    let home = environment.iter().find(|(name, _)| name == "HOME");
    let home = home.map(|(_, home)| PathBuf::from(home));
    let account = match cloud.scheme {
        "s3" => of_aws(&settings),
        "gs" => of_google(&settings, home, read),
        _ => of_azure(&settings, &url),
    };
    match settings.first(&ENDPOINTS) {
        Some(endpoint) => format!("{account} at {endpoint}"),
        None => account,
    }
}

/// Names of the setting that replaces the cloud's own server.
const ENDPOINTS: [&str; 5] = [
    "ENDPOINT_URL_S3",
    "ENDPOINT_URL",
    "ENDPOINT",
    "STORAGE_ENDPOINT",
    "BASE_URL",
];

/// The settings of one cloud that are set.
struct Settings {
    prefix: &'static str,
    options: Vec<(String, String)>,
}

impl Settings {
    fn get(&self, name: &str) -> Option<&str> {
        let full = format!("{}{name}", self.prefix);
        let found = self.options.iter().find(|(given, _)| *given == full);
        found.map(|(_, value)| value.as_str())
    }

    fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn is_on(&self, name: &str) -> bool {
        let is_true = |value: &str| matches!(value, "1" | "true" | "on" | "yes" | "y");
        self.get(name)
            .is_some_and(|value| is_true(&value.to_ascii_lowercase()))
    }
}

const ANONYMOUS: &str = "nobody (no credentials: anonymous)";

fn of_aws(settings: &Settings) -> String {
    if settings.is_on("SKIP_SIGNATURE") {
        return ANONYMOUS.into();
    }
    if let Some(id) = settings.get("ACCESS_KEY_ID") {
        let session = settings.first(&["SESSION_TOKEN", "TOKEN"]);
        let session = session.map_or("", |_| " of a session");
        return format!("access key {id}{session}");
    }
    let web = settings
        .get("ROLE_ARN")
        .filter(|_| settings.has("WEB_IDENTITY_TOKEN_FILE"));
    if let Some(role) = web {
        return format!("role {role} (web identity)");
    }
    if settings.has("CONTAINER_CREDENTIALS_RELATIVE_URI") {
        return "the role of the task (ECS)".into();
    }
    if settings.has("CONTAINER_CREDENTIALS_FULL_URI")
        && settings.has("CONTAINER_AUTHORIZATION_TOKEN_FILE")
    {
        return "the role of the pod (EKS Pod Identity)".into();
    }
    "the role of the instance (no credentials in the environment)".into()
}

/// The parts of a file of Google's credentials that are no secrets.
#[derive(Deserialize)]
struct GoogleAccount {
    client_email: Option<String>,
}

fn of_google(
    settings: &Settings,
    home: Option<PathBuf>,
    read: impl Fn(&Path) -> Option<String>,
) -> String {
    let email = |text: &str| {
        serde_json::from_str::<GoogleAccount>(text)
            .ok()?
            .client_email
    };
    if settings.is_on("SKIP_SIGNATURE") {
        return ANONYMOUS.into();
    }
    if settings.has("BEARER_TOKEN") {
        return "the account of GOOGLE_BEARER_TOKEN".into();
    }
    if let Some(key) = settings.get("SERVICE_ACCOUNT_KEY") {
        let account = email(key).unwrap_or_else(|| "of GOOGLE_SERVICE_ACCOUNT_KEY".into());
        return format!("service account {account}");
    }
    let names = [
        "SERVICE_ACCOUNT",
        "SERVICE_ACCOUNT_PATH",
        "APPLICATION_CREDENTIALS",
    ];
    let named = settings.first(&names).map(PathBuf::from);
    let of_home = || home.map(|home| home.join(GOOGLE_DEFAULT));
    let Some(file) = named.clone().or_else(of_home) else {
        return GOOGLE_INSTANCE.into();
    };
    match (read(&file), named) {
        (None, None) => GOOGLE_INSTANCE.into(),
        (text, _) => match text.as_deref().and_then(email) {
            Some(account) => format!("service account {account}"),
            None => format!("the account of {}", file.display()),
        },
    }
}

const GOOGLE_INSTANCE: &str =
    "the service account of the instance (no credentials in the environment)";

fn of_azure(settings: &Settings, url: &Url) -> String {
    // az://container@account.blob.core.windows.net/folder
    let in_url = (!url.username().is_empty())
        .then(|| url.host_str())
        .flatten();
    let in_url = in_url.and_then(|host| host.split('.').next());
    let account = in_url.or_else(|| settings.get("STORAGE_ACCOUNT_NAME"));
    let account = format!("account {}", account.unwrap_or("without a name"));
    let client = settings.first(&["STORAGE_CLIENT_ID", "CLIENT_ID"]);
    let first = |names: &[&str]| settings.first(names).is_some();
    let tenant = first(&[
        "STORAGE_TENANT_ID",
        "STORAGE_AUTHORITY_ID",
        "TENANT_ID",
        "AUTHORITY_ID",
    ]);
    let client_of_tenant = client.filter(|_| tenant);
    let how = if settings.is_on("SKIP_SIGNATURE") {
        "no credentials: anonymous".to_owned()
    } else if settings.has("STORAGE_TOKEN") {
        "a bearer token".into()
    } else if first(&[
        "STORAGE_ACCOUNT_KEY",
        "STORAGE_ACCESS_KEY",
        "STORAGE_MASTER_KEY",
    ]) {
        "the account's key".into()
    } else if let Some(client) = client_of_tenant.filter(|_| settings.has("FEDERATED_TOKEN_FILE")) {
        format!("workload identity of client {client}")
    } else if let Some(client) =
        client_of_tenant.filter(|_| first(&["STORAGE_CLIENT_SECRET", "CLIENT_SECRET"]))
    {
        format!("client {client}")
    } else if first(&["STORAGE_SAS_KEY", "STORAGE_SAS_TOKEN"]) {
        "a SAS token".into()
    } else if settings.is_on("USE_AZURE_CLI") {
        "the login of the Azure CLI".into()
    } else {
        match client {
            Some(client) => format!("managed identity of client {client}"),
            None => "the machine's managed identity".into(),
        }
    };
    format!("{account} with {how}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(location: &str, variables: &[(&str, &str)]) -> String {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: Vec<_> = variables.iter().map(owned).collect();
        let files = |path: &Path| {
            let text = match path.to_str()? {
                "key.json" => r#"{"client_email": "etl@p.iam", "private_key": "SECRET"}"#,
                "/home/me/.config/gcloud/application_default_credentials.json" => {
                    r#"{"type": "authorized_user", "refresh_token": "SECRET"}"#
                }
                _ => return None,
            };
            Some(text.to_owned())
        };
        identity(location, &variables, files)
    }

    #[test]
    fn amazon_is_asked_as_a_key_a_role_or_nobody() {
        let key = [
            ("AWS_ACCESS_KEY_ID", "AKIA7"),
            ("AWS_SECRET_ACCESS_KEY", "SECRET"),
        ];
        let role = [
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/etl"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"),
        ];
        let s3 = |variables: &[(&str, &str)]| of("s3://bucket/x", variables);
        assert_eq!(s3(&key), "access key AKIA7");
        let more = [("AWS_TOKEN", "SECRET"), ("AWS_ENDPOINT", "http://h:1")];
        assert_eq!(
            s3(&[&key[..], &more].concat()),
            "access key AKIA7 of a session at http://h:1"
        );
        assert_eq!(s3(&role), "role arn:aws:iam::1:role/etl (web identity)");
        assert_eq!(s3(&[&key[..], &role].concat()), "access key AKIA7");
        assert_eq!(
            s3(&role[..1]),
            "the role of the instance (no credentials in the environment)"
        );
        let ecs = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2")];
        assert_eq!(s3(&ecs), "the role of the task (ECS)");
        let nobody = [&key[..], &[("AWS_SKIP_SIGNATURE", "true")]].concat();
        assert_eq!(s3(&nobody), "nobody (no credentials: anonymous)");
    }

    #[test]
    fn google_is_asked_as_the_account_of_the_file_or_of_the_instance() {
        let gs = |variables: &[(&str, &str)]| of("gs://bucket/x", variables);
        let expected = "service account etl@p.iam";
        assert_eq!(gs(&[("GOOGLE_SERVICE_ACCOUNT", "key.json")]), expected);
        assert_eq!(
            gs(&[("GOOGLE_APPLICATION_CREDENTIALS", "key.json")]),
            expected
        );
        let key = r#"{"client_email": "etl@p.iam", "private_key": "SECRET"}"#;
        assert_eq!(gs(&[("GOOGLE_SERVICE_ACCOUNT_KEY", key)]), expected);
        assert_eq!(
            gs(&[("HOME", "/home/me")]),
            "the account of /home/me/.config/gcloud/application_default_credentials.json"
        );
        let instance = "the service account of the instance (no credentials in the environment)";
        assert_eq!(gs(&[("HOME", "/home/you")]), instance);
        assert_eq!(
            gs(&[("GOOGLE_SERVICE_ACCOUNT", "gone.json")]),
            "the account of gone.json"
        );
    }

    #[test]
    fn azure_is_asked_as_an_account_with_one_kind_of_credentials() {
        let account = ("AZURE_STORAGE_ACCOUNT_NAME", "shop");
        let az =
            |variables: &[(&str, &str)]| of("az://container/x", &[&[account], variables].concat());
        let client = [
            ("AZURE_CLIENT_ID", "c7"),
            ("AZURE_CLIENT_SECRET", "SECRET"),
            ("AZURE_TENANT_ID", "t"),
        ];
        assert_eq!(
            az(&[("AZURE_STORAGE_ACCOUNT_KEY", "SECRET")]),
            "account shop with the account's key"
        );
        assert_eq!(az(&client), "account shop with client c7");
        let federated = [&client[..], &[("AZURE_FEDERATED_TOKEN_FILE", "f")]].concat();
        assert_eq!(
            az(&federated),
            "account shop with workload identity of client c7"
        );
        assert_eq!(
            az(&[("AZURE_STORAGE_SAS_TOKEN", "sig=SECRET")]),
            "account shop with a SAS token"
        );
        assert_eq!(az(&[]), "account shop with the machine's managed identity");
        assert_eq!(
            of("az://container@other.blob.core.windows.net/x", &[account]),
            "account other with the machine's managed identity"
        );
    }

    #[test]
    fn a_disk_is_asked_as_the_user_of_the_process() {
        let expected = format!("uid {}", rustix::process::geteuid().as_raw());
        assert_eq!(of("results", &[("AWS_ACCESS_KEY_ID", "AKIA7")]), expected);
        assert_eq!(of("file:///results", &[]), expected);
    }
}
