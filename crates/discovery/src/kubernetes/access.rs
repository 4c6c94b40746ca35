//! How the API server is reached: as configured, as a kubeconfig says, or from within the cluster.

use std::path::{Path, PathBuf};

use ::config::{Document, Map, Node, Reported, Secret};
use http_client::{
    Authorization, BasicAuth, HttpClientConfig, HttpClientError, SecretSource, TlsClientConfig, Url,
};

use super::KubernetesConfig;

const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where the API server is, and with what it is asked.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) url: Url,
    pub(super) client: HttpClientConfig,
    pub(super) own_namespace: Option<String>,
}

impl Access {
    /// Blocks, where a file has to be read.
    pub(super) fn of(config: &KubernetesConfig) -> Result<Self, HttpClientError> {
        let invalid = |reason: String| HttpClientError::Tls { reason: format!("kubernetes: {reason}") };
        if let Some(url) = &config.api_server {
            return Ok(Self { url: url.clone(), client: config.client.clone(), own_namespace: None });
        }
        if let Some(path) = &config.kubeconfig_file {
            return read_kubeconfig(path).map_err(invalid);
        }
        in_cluster().map_err(invalid)
    }
}

fn in_cluster() -> Result<Access, String> {
    let variable = |name: &str| {
        std::env::var(name).map_err(|_| format!("{name} is not set: set api_server or kubeconfig_file"))
    };
    let (host, port) = (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
    let url =
        Url::parse(&format!("https://{}", crate::meta::host_port(&host, port))).map_err(|e| e.to_string())?;
    let file = |name: &str| Path::new(ACCOUNT).join(name);
    let token = SecretSource::File(file("token"));
    let client = HttpClientConfig {
        authorization: Some(Authorization { scheme: "Bearer".to_owned(), credentials: Some(token) }),
        tls: TlsClientConfig { ca: Some(SecretSource::File(file("ca.crt"))), ..TlsClientConfig::default() },
        ..HttpClientConfig::default()
    };
    let own_namespace = std::fs::read_to_string(file("namespace")).ok().map(|text| text.trim().to_owned());
    Ok(Access { url, client, own_namespace })
}

fn read_kubeconfig(path: &Path) -> Result<Access, String> {
    let document = Document::load(path).map_err(|error| error.to_string())?;
    document.read(read_access).map(|loaded| loaded.value).map_err(|error| error.to_string())
}

/// The named entry of a list, without its name.
fn named(map: &Map, list: &str, name: &str, what: &str) -> Result<Map, Reported> {
    for item in map.required(list)?.list()? {
        let item = item.map()?;
        if item.required("name")?.string()? == name {
            return item.required(what)?.map();
        }
    }
    Err(map.error(format_args!("{list} has no entry named {name:?}")))
}

fn read_access(root: &Node) -> Result<Access, Reported> {
    let map = root.map()?;
    let current = map.required("current-context")?.string()?;
    let context = named(&map, "contexts", &current, "context")?;
    let cluster = named(&map, "clusters", &context.required("cluster")?.string()?, "cluster")?;
    let user = named(&map, "users", &context.required("user")?.string()?, "user")?;
    let url =
        cluster.required("server")?.parse_with(|text| Url::parse(text).map_err(|error| error.to_string()))?;
    user.not_built(&["exec", "auth-provider"])?;
    let token = source(&user, "token", "tokenFile", false)?;
    let username = user.read("username", Node::string)?;
    let password = user.read("password", Node::secret)?;
    let client = HttpClientConfig {
        authorization: token
            .map(|token| Authorization { scheme: "Bearer".to_owned(), credentials: Some(token) }),
        basic_auth: username.map(|name| BasicAuth {
            username: Some(SecretSource::Inline(Secret::new(name))),
            password: password.map(SecretSource::Inline),
        }),
        tls: TlsClientConfig {
            ca: source(&cluster, "certificate-authority-data", "certificate-authority", true)?,
            cert: source(&user, "client-certificate-data", "client-certificate", true)?,
            key: source(&user, "client-key-data", "client-key", true)?,
            server_name: cluster.read("tls-server-name", Node::string)?,
            insecure_skip_verify: cluster.read_or("insecure-skip-tls-verify", false, Node::bool)?,
            ..TlsClientConfig::default()
        },
        ..HttpClientConfig::default()
    };
    Ok(Access { url, client, own_namespace: None })
}

/// What is in the file itself, which wins, or the file that it names.
fn source(map: &Map, key: &str, file_key: &str, is_base64: bool) -> Result<Option<SecretSource>, Reported> {
    let inline = map.read(key, Node::secret)?.filter(|secret| !secret.is_empty());
    let file = map.read(file_key, Node::file_path)?.filter(|path: &PathBuf| !path.as_os_str().is_empty());
    match inline {
        Some(secret) if is_base64 => {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD.decode(secret.expose()).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or_else(|| map.error(format_args!("{key} is not base64 of a text")))?;
            Ok(Some(SecretSource::Inline(Secret::new(text))))
        }
        Some(secret) => Ok(Some(SecretSource::Inline(secret))),
        None => Ok(file.map(SecretSource::File)),
    }
}
