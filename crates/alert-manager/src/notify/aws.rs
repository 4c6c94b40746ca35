//! Who signs requests to AWS: keys of the configuration, of a profile or of the environment, and a role that they take on.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use http_client::{HeaderName, HeaderValue, Request, Url};
use model::{TimestampNs, parse_rfc3339_ns};
use parking_lot::Mutex;

use super::sigv4::{Credentials, Signable, sign};
use super::{NotifyError, Sender, expose};
use crate::config::Sigv4Config;
use crate::times::seconds;

/// A role's keys are asked for again before they end.
const EARLY_NS: i64 = seconds(300);
/// How long keys are used whose end is not told.
const LIFE_MIN: Duration = Duration::from_secs(600);
/// The largest file of profiles, and the largest answer.
const FILE_BYTES_MAX: u64 = 1 << 20;
const ANSWER_BYTES_MAX: usize = 64 << 10;
pub(super) const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// What the environment says: a variable's value, empty where it is not set.
pub(super) type Environment<'e> = &'e (dyn Fn(&str) -> String + Sync);

/// The keys of a role, and until when they are used.
#[derive(Clone)]
pub(super) struct RoleKeys {
    credentials: Credentials,
    until: Instant,
}

impl std::fmt::Debug for RoleKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoleKeys").field("until", &self.until).finish_non_exhaustive()
    }
}

/// The keys of the role that was taken on last.
pub(super) type RoleCache = Mutex<Option<RoleKeys>>;

/// The process's own environment.
pub(super) fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// The region: of the block, the environment or the profile.
pub(super) async fn region(sigv4: &Sigv4Config, variable: Environment<'_>) -> Result<String, NotifyError> {
    let named = [sigv4.region.clone(), variable("AWS_REGION"), variable("AWS_DEFAULT_REGION")];
    if let Some(region) = named.into_iter().find(|region| !region.is_empty()) {
        return Ok(region);
    }
    let profile = profile_name(sigv4, variable);
    let section = if profile == "default" { profile } else { format!("profile {profile}") };
    let text = read(file(variable, "AWS_CONFIG_FILE", "config")).await.unwrap_or_default();
    value(&text, &section, "region").ok_or_else(|| {
        NotifyError::permanent(
            "region not configured in sns.sigv4.region, AWS_REGION, AWS_DEFAULT_REGION or the profile",
        )
    })
}

/// Who signs for a region.
pub(super) async fn credentials(
    sigv4: &Sigv4Config,
    region: &str,
    sender: &Sender<'_>,
    cache: &RoleCache,
    variable: Environment<'_>,
) -> Result<Credentials, NotifyError> {
    let Some(role) = &sigv4.role_arn else {
        return own_credentials(sigv4, variable).await;
    };
    let known = cache.lock().clone().filter(|known| known.until > Instant::now());
    if let Some(known) = known {
        return Ok(known.credentials);
    }
    let own = own_credentials(sigv4, variable).await?;
    let keys = take_on(role, sigv4.external_id.as_deref(), region, &own, sender, variable).await?;
    let credentials = keys.credentials.clone();
    // What a preview is told is no key.
    if sender.dry.is_none() {
        *cache.lock() = Some(keys);
    }
    Ok(credentials)
}

async fn own_credentials(sigv4: &Sigv4Config, variable: Environment<'_>) -> Result<Credentials, NotifyError> {
    if let Some(secret) = &sigv4.secret_key {
        let (access_key, secret_key) = (sigv4.access_key.clone(), expose(secret).await?);
        return Ok(Credentials { access_key, secret_key, session_token: String::new() });
    }
    let from_environment = Credentials {
        access_key: variable("AWS_ACCESS_KEY_ID"),
        secret_key: variable("AWS_SECRET_ACCESS_KEY"),
        session_token: variable("AWS_SESSION_TOKEN"),
    };
    // A profile that is named goes before the environment's keys.
    if sigv4.profile.is_none() && !from_environment.access_key.is_empty() {
        return Ok(from_environment);
    }
    let profile = profile_name(sigv4, variable);
    let path = file(variable, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
    let shown = path.display().to_string();
    let text = match read(path).await {
        Ok(text) => text,
        Err(error) => {
            return Err(NotifyError::passing(format!(
                "no AWS credentials: not in sigv4.access_key, nor in AWS_ACCESS_KEY_ID, and {shown} cannot be read: {error}"
            )));
        }
    };
    let of_profile = |key: &str| value(&text, &profile, key).unwrap_or_default();
    let credentials = Credentials {
        access_key: of_profile("aws_access_key_id"),
        secret_key: of_profile("aws_secret_access_key"),
        session_token: of_profile("aws_session_token"),
    };
    if credentials.access_key.is_empty() || credentials.secret_key.is_empty() {
        return Err(NotifyError::permanent(format!(
            "no AWS credentials: {shown} has no profile {profile:?} with aws_access_key_id and aws_secret_access_key"
        )));
    }
    Ok(credentials)
}

fn profile_name(sigv4: &Sigv4Config, variable: Environment<'_>) -> String {
    let named = sigv4.profile.clone().unwrap_or_else(|| variable("AWS_PROFILE"));
    if named.is_empty() { "default".to_owned() } else { named }
}

fn file(variable: Environment<'_>, name: &str, default: &str) -> PathBuf {
    match variable(name) {
        path if path.is_empty() => PathBuf::from(variable("HOME")).join(".aws").join(default),
        path => PathBuf::from(path),
    }
}

async fn read(path: PathBuf) -> std::io::Result<String> {
    let reading = tokio::task::spawn_blocking(move || {
        let len = std::fs::metadata(&path)?.len();
        match len > FILE_BYTES_MAX {
            true => Err(std::io::Error::other(format!("it has {len} bytes"))),
            false => std::fs::read_to_string(&path),
        }
    });
    reading.await.map_err(std::io::Error::other)?
}

/// A key's value in a section of a file of profiles.
fn value(text: &str, section: &str, key: &str) -> Option<String> {
    let mut is_ours = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            is_ours = name.trim() == section;
            continue;
        }
        if let Some((name, value)) = line.split_once('=').filter(|_| is_ours && !line.starts_with(['#', ';']))
            && name.trim().eq_ignore_ascii_case(key)
            && !value.trim().is_empty()
        {
            return Some(value.trim().to_owned());
        }
    }
    None
}

/// Takes on a role: the security token service gives keys for a time.
async fn take_on(
    role: &str,
    external_id: Option<&str>,
    region: &str,
    own: &Credentials,
    sender: &Sender<'_>,
    variable: Environment<'_>,
) -> Result<RoleKeys, NotifyError> {
    let url = match variable("AWS_ENDPOINT_URL_STS") {
        url if url.is_empty() => format!("https://sts.{region}.amazonaws.com/"),
        url => url,
    };
    let url = Url::parse(&url)
        .map_err(|error| NotifyError::permanent(format!("AWS_ENDPOINT_URL_STS is not valid: {error}")))?;
    let fields = [
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", "watchbell-alerts"),
    ];
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields.into_iter().chain(external_id.map(|id| ("ExternalId", id))))
        .finish();
    let request = signed(url, form, (region, "sts"), own, sender)?;
    let (_, answer) = sender.exchange(request, &[], ANSWER_BYTES_MAX).await.map_err(|error| NotifyError {
        message: format!("the role {role} cannot be taken on: {}", error.message),
        ..error
    })?;
    let text = |name: &str| element(&answer, name).map(str::to_owned);
    let (Some(access_key), Some(secret_key), Some(session_token)) =
        (text("AccessKeyId"), text("SecretAccessKey"), text("SessionToken"))
    else {
        if sender.dry.is_some() {
            let until = Instant::now();
            return Ok(RoleKeys { credentials: own.clone(), until });
        }
        return Err(NotifyError::passing(format!(
            "the role {role} cannot be taken on: the answer has no keys"
        )));
    };
    let ends_at = text("Expiration").and_then(|time| parse_rfc3339_ns(&time));
    let until = Instant::now() + left(ends_at, sender.message.now);
    Ok(RoleKeys { credentials: Credentials { access_key, secret_key, session_token }, until })
}

fn left(ends_at: Option<TimestampNs>, now: TimestampNs) -> Duration {
    let Some(ends_at) = ends_at else {
        return LIFE_MIN;
    };
    Duration::from_nanos(u64::try_from(ends_at.saturating_sub(now).saturating_sub(EARLY_NS)).unwrap_or(0))
}

/// The text of the first element of that name; keys hold nothing that XML escapes.
fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.trim())
}

/// A form as a signed request to a service of a region.
pub(super) fn signed(
    url: Url,
    form: String,
    (region, service): (&str, &str),
    credentials: &Credentials,
    sender: &Sender<'_>,
) -> Result<Request, NotifyError> {
    let signable = Signable {
        method: "POST",
        url: &url,
        headers: &[("content-type", CONTENT_TYPE)],
        body: form.as_bytes(),
        region,
        service,
        now_ns: sender.message.now,
    };
    let headers = sign(&signable, credentials);
    let mut request = Request::post(url, sender.timeout(None), CONTENT_TYPE, form);
    for (name, value) in headers {
        let value = HeaderValue::from_str(&value)
            .map_err(|_| NotifyError::permanent("the credentials are no valid header value"))?;
        request.headers.insert(HeaderName::from_static(name), value);
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_found_by_their_section() {
        let text = "# [default]\n[default]\naws_access_key_id = A\n;x = 1\n region=\n[profile b]\nregion = eu-x-1\n[c] # c\naws_access_key_id=C=\n";
        for (section, key, expected) in [
            ("default", "aws_access_key_id", Some("A")),
            ("default", "region", None),
            ("default", "x", None),
            ("profile b", "region", Some("eu-x-1")),
            ("b", "region", None),
            ("c", "AWS_ACCESS_KEY_ID", Some("C=")),
        ] {
            assert_eq!(value(text, section, key).as_deref(), expected, "{section} {key}");
        }
    }

    #[test]
    fn a_roles_keys_are_used_until_a_while_before_their_end() {
        assert_eq!(left(None, 0), LIFE_MIN);
        assert_eq!(left(Some(seconds(3600)), 0), Duration::from_secs(3300));
        assert_eq!(left(Some(seconds(10)), 0), Duration::ZERO);
        assert_eq!(element("<a><AccessKeyId>x</AccessKeyId></a>", "AccessKeyId"), Some("x"));
        assert_eq!(element("<AccessKeyId>x", "AccessKeyId"), None);
    }
}
