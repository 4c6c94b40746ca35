//! Which logs go where.

use std::path::PathBuf;
use std::time::Duration;

use config::Secret;
use http_client::HostAliases;

use super::delivery::DeliveryLimits;
use super::template::Template;

/// The log part of an agent's settings.
#[derive(Clone, Debug)]
pub(crate) struct LogOptions {
    /// Where positions and waiting lines are kept, if the file says so.
    pub(super) data_dir: Option<PathBuf>,
    pub(super) sources: Vec<SourceOptions>,
    pub(super) sink: Option<SinkOptions>,
}

#[derive(Clone, Debug)]
pub(super) struct SourceOptions {
    pub(super) name: String,
    pub(super) kind: SourceKind,
}

#[derive(Clone, Debug)]
pub(super) enum SourceKind {
    Docker(DockerSource),
    File(FileSource),
    Journal(JournalSource),
    /// Docker where it is reachable, else the journal and the files under /var/log.
    Machine,
}

/// Container logs over the Docker API. Containers are chosen by prefixes of their id or name.
#[derive(Clone, Debug, Default)]
pub(super) struct DockerSource {
    pub(super) docker_host: Option<String>,
    pub(super) include_containers: Vec<String>,
    pub(super) exclude_containers: Vec<String>,
    /// `key` or `key=value`; all have to be there.
    pub(super) include_labels: Vec<String>,
    pub(super) include_images: Vec<String>,
}

/// Where a file that is seen for the first time is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadFrom {
    Beginning,
    End,
    /// The last lines, where the file was written to not long ago; else its end.
    Recent,
}

/// Files by patterns.
#[derive(Clone, Debug)]
pub(super) struct FileSource {
    pub(super) include: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) read_from: ReadFrom,
    pub(super) ignore_older: Option<Duration>,
    pub(super) line_bytes_max: usize,
    /// The field that holds the path.
    pub(super) file_key: String,
    pub(super) ignore_checkpoints: bool,
}

impl Default for FileSource {
    fn default() -> Self {
        Self {
            include: Vec::new(),
            exclude: Vec::new(),
            read_from: ReadFrom::Beginning,
            ignore_older: None,
            line_bytes_max: 102_400,
            file_key: "file".to_owned(),
            ignore_checkpoints: false,
        }
    }
}

/// The systemd journal. Units without a dot are services.
#[derive(Clone, Debug)]
pub(super) struct JournalSource {
    pub(super) include_units: Vec<String>,
    pub(super) exclude_units: Vec<String>,
    pub(super) current_boot_only: bool,
    pub(super) directory: Option<String>,
}

impl Default for JournalSource {
    fn default() -> Self {
        Self {
            include_units: Vec::new(),
            exclude_units: Vec::new(),
            current_boot_only: true,
            directory: None,
        }
    }
}

/// What a line's text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// The message alone.
    Text,
    /// The whole event.
    Json,
    /// The whole event as `key=value`.
    Logfmt,
}

/// Who we are to the server.
#[derive(Clone, Debug)]
pub(super) enum Credentials {
    Basic { user: String, password: Secret },
    Bearer(Secret),
}

/// The server and its protocol.
#[derive(Clone, Debug)]
pub(super) enum SinkTarget {
    /// `watchbell.delivery.v1`.
    Grpc { endpoint: String },
    /// Loki's push API.
    Loki {
        url: url::Url,
        snappy: bool,
        tenant: Option<String>,
        credentials: Option<Credentials>,
        tls: Box<http_client::TlsClientConfig>,
    },
}

impl SinkTarget {
    /// Turns the target to where its name is really found.
    pub(super) fn redirect(&mut self, aliases: &HostAliases) {
        let turned = |url: &url::Url| {
            let address = aliases.find(url.host_str()?, url.port_or_known_default()?)?;
            let mut turned = url.clone();
            turned.set_ip_host(address.ip()).ok()?;
            turned.set_port(Some(address.port())).ok()?;
            Some(turned)
        };
        match self {
            Self::Grpc { endpoint } => {
                if let Some(url) = endpoint.parse().ok().as_ref().and_then(turned) {
                    *endpoint = url.as_str().trim_end_matches('/').to_owned();
                }
            }
            Self::Loki { url, .. } => {
                if let Some(turned) = turned(url) {
                    *url = turned;
                }
            }
        }
    }
}

/// Where the lines go.
#[derive(Clone, Debug)]
pub(super) struct SinkOptions {
    pub(super) name: String,
    pub(super) inputs: Vec<String>,
    pub(super) target: SinkTarget,
    /// Names and values; `None` for our own set.
    pub(super) labels: Option<Vec<(Template, Template)>>,
    pub(super) encoding: Encoding,
    /// Whether `host`, `container`, `compose_project` and `compose_service` are added, as the metrics have them.
    pub(super) identity_labels: bool,
    /// Whether fields that became labels are left out of the line.
    pub(super) remove_label_fields: bool,
    pub(super) limits: DeliveryLimits,
}

impl LogOptions {
    /// No logs.
    pub(super) fn off() -> Self {
        Self { data_dir: None, sources: Vec::new(), sink: None }
    }

    /// This machine's logs to a log server.
    pub(super) fn defaults(endpoint: String) -> Self {
        let source = SourceOptions { name: "machine".to_owned(), kind: SourceKind::Machine };
        let sink = SinkOptions {
            name: "log-server".to_owned(),
            inputs: vec!["machine".to_owned()],
            target: SinkTarget::Grpc { endpoint },
            labels: None,
            encoding: Encoding::Text,
            identity_labels: true,
            remove_label_fields: false,
            limits: DeliveryLimits::default(),
        };
        Self { data_dir: None, sources: vec![source], sink: Some(sink) }
    }

    /// The Docker API that a source names.
    pub(crate) fn docker_host(&self) -> Option<&str> {
        self.sources.iter().find_map(|source| match &source.kind {
            SourceKind::Docker(docker) => docker.docker_host.as_deref(),
            SourceKind::File(_) | SourceKind::Journal(_) | SourceKind::Machine => None,
        })
    }

    /// The machine's name that the labels give it: `host1` of `labels.containers = "host1/{{ container_name }}"`.
    pub(crate) fn host_in_labels(&self) -> Option<String> {
        let labels = self.sink.as_ref()?.labels.as_ref()?;
        let (_, template) = labels.iter().find(|(name, _)| name.source() == "containers")?;
        let host = template.prefix_of_field("container_name")?.strip_suffix('/')?;
        (!host.is_empty()).then(|| host.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_found_where_its_name_leads() {
        let aliases = HostAliases::parse(&["loki:3100=127.0.0.1:23100".to_owned()]).unwrap();
        for (given, found) in [
            ("http://loki:3100", "http://127.0.0.1:23100"),
            ("http://loki:3101", "http://loki:3101"),
            ("http://other:3100/loki/", "http://other:3100/loki/"),
        ] {
            let mut target = SinkTarget::Grpc { endpoint: given.to_owned() };
            target.redirect(&aliases);
            assert!(matches!(target, SinkTarget::Grpc { endpoint } if endpoint == found), "{given}");
        }
        let url: url::Url = "http://loki:3100/loki/api/v1/push".parse().unwrap();
        let mut target =
            SinkTarget::Loki { url, snappy: true, tenant: None, credentials: None, tls: Box::default() };
        target.redirect(&aliases);
        let SinkTarget::Loki { url, .. } = target else { panic!("the kind stays") };
        assert_eq!(url.as_str(), "http://127.0.0.1:23100/loki/api/v1/push");
    }
}
