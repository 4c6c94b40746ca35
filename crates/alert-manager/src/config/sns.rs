//! `sns_configs`

use config::{Map, Node, Reported};
use http_client::{HttpClientConfig, SecretSource};

use super::fields::{self, Texts};
use super::global::Global;

/// A message through Amazon SNS; texts are templates.
#[derive(Clone, Debug)]
pub struct SnsConfig {
    /// `api_url`, `topic_arn`, `phone_number`, `target_arn`, `subject`, `message`
    pub texts: Texts,
    /// Attributes of the message; names are templates, too.
    pub attributes: Vec<(String, String)>,
    /// How requests are signed.
    pub sigv4: Sigv4Config,
    /// The client.
    pub http: HttpClientConfig,
}

/// Who signs; what is not set comes from the environment, then from its profile.
#[derive(Clone, Debug, Default)]
pub struct Sigv4Config {
    /// The region.
    pub region: String,
    /// The key's name.
    pub access_key: String,
    /// The key.
    pub secret_key: Option<SecretSource>,
    /// A profile of the file that `AWS_SHARED_CREDENTIALS_FILE` names, or `~/.aws/credentials`.
    pub profile: Option<String>,
    /// A role that is taken on with these keys.
    pub role_arn: Option<String>,
    /// What the role's owner wants to be told then.
    pub external_id: Option<String>,
}

impl SnsConfig {
    pub(super) fn read(map: &Map, global: &Global) -> Result<Self, Reported> {
        let texts = Texts::read(
            map,
            &[
                ("api_url", ""),
                ("topic_arn", ""),
                ("phone_number", ""),
                ("target_arn", ""),
                ("subject", r#"{{ template "sns.default.subject" . }}"#),
                ("message", r#"{{ template "sns.default.message" . }}"#),
            ],
        )?;
        let targets = ["topic_arn", "phone_number", "target_arn"];
        if targets.iter().filter(|key| !texts.get(key).is_empty()).count() != 1 {
            return Err(
                map.error("must provide either a Target ARN, Topic ARN, or Phone Number for SNS config")
            );
        }
        map.without_meaning(&["use_aws_http_client"], "there is one HTTP client");
        Ok(Self {
            texts,
            attributes: fields::templates(map, "attributes")?,
            sigv4: map.read_or("sigv4", Sigv4Config::default(), read_sigv4)?,
            http: fields::http(map, &global.http)?,
        })
    }
}

fn read_sigv4(node: &Node) -> Result<Sigv4Config, Reported> {
    let map = node.map()?;
    let text = |key: &str| map.read_or(key, String::new(), Node::string);
    let secret = map.read("secret_key", Node::secret)?.filter(|secret| !secret.is_empty());
    let sigv4 = Sigv4Config {
        region: text("region")?,
        access_key: text("access_key")?,
        secret_key: secret.map(SecretSource::Inline),
        profile: Some(text("profile")?).filter(|text| !text.is_empty()),
        role_arn: Some(text("role_arn")?).filter(|text| !text.is_empty()),
        external_id: Some(text("external_id")?).filter(|text| !text.is_empty()),
    };
    if sigv4.external_id.is_some() && sigv4.role_arn.is_none() {
        return Err(node.error("external_id has a meaning only with role_arn"));
    }
    map.finish()?;
    if sigv4.access_key.is_empty() != sigv4.secret_key.is_none() {
        return Err(
            node.error("must provide a AWS SigV4 Access key and Secret Key if credentials are specified")
        );
    }
    Ok(sigv4)
}
