//! Mail, by lettre.

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::{Message, NotifyError, Render, expose};
use crate::config::{EmailConfig, ThreadByDate};

const DEFAULT_SUBJECT: &str = r#"{{ template "email.default.subject" . }}"#;
/// The port on which TLS comes first.
const IMPLICIT_TLS_PORT: u16 = 465;

pub(super) async fn send(
    config: &EmailConfig,
    message: &Message,
    render: &Render<'_>,
) -> Result<String, NotifyError> {
    let mail = compose(config, message, render)?;
    let transport = transport(config, message).await?;
    let sending = tokio::time::timeout(message.timeout, transport.send(mail));
    let response = sending
        .await
        .map_err(|_| NotifyError {
            reason: "contextDeadlineExceeded",
            ..NotifyError::passing("the mail server took too long")
        })?
        .map_err(|error| NotifyError::passing(service::error_chain(&error)))?;
    let lines: Vec<&str> = response.message().collect();
    Ok(format!("{}: {}", response.code(), lines.join(" ")))
}

pub(super) fn compose(
    config: &EmailConfig,
    message: &Message,
    render: &Render<'_>,
) -> Result<lettre::Message, NotifyError> {
    let header = |name: &str| {
        config.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    };
    let address =
        |what: &str, error: &dyn std::fmt::Display| NotifyError::permanent(format!("{what}: {error}"));
    let from: Mailbox = render
        .exact(&config.from)?
        .parse()
        .map_err(|error: lettre::address::AddressError| address("from", &error))?;
    let to: Mailboxes = render
        .exact(&config.to)?
        .parse()
        .map_err(|error: lettre::address::AddressError| address("to", &error))?;
    let subject = render.title(header("Subject").unwrap_or(DEFAULT_SUBJECT));
    // A line break would begin a header of its own.
    let subject = subject.replace(['\r', '\n'], " ");
    let mut builder = lettre::Message::builder().from(from).subject(subject).message_id(None);
    for mailbox in to.iter() {
        builder = builder.to(mailbox.clone());
    }
    if let Some(threading) = config.threading {
        let day = match threading {
            ThreadByDate::Daily => format!("-{}", message.date),
            ThreadByDate::None => String::new(),
        };
        let id = format!("<alert-{}{day}@alertmanager>", message.key_hash());
        builder = builder.references(id.clone()).in_reply_to(id);
    }
    let html = render.html(&config.html);
    let text = render.text(&config.text);
    let part = |kind: ContentType, body: String| SinglePart::builder().header(kind).body(body);
    let parts = match (text.is_empty(), html.is_empty()) {
        (true, _) => MultiPart::alternative().singlepart(part(ContentType::TEXT_HTML, html)),
        (false, true) => MultiPart::alternative().singlepart(part(ContentType::TEXT_PLAIN, text)),
        (false, false) => MultiPart::alternative()
            .singlepart(part(ContentType::TEXT_PLAIN, text))
            .singlepart(part(ContentType::TEXT_HTML, html)),
    };
    let mut mail = builder.multipart(parts).map_err(|error| NotifyError::permanent(error.to_string()))?;
    for (name, value) in &config.headers {
        if ["Subject", "From", "To"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
            continue;
        }
        let value = render.word(value).replace(['\r', '\n'], " ");
        let name = HeaderName::new_from_ascii(name.clone())
            .map_err(|_| NotifyError::permanent(format!("{name:?} is no header name")))?;
        mail.headers_mut().insert_raw(HeaderValue::new(name, value));
    }
    Ok(mail)
}

async fn transport(
    config: &EmailConfig,
    message: &Message,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, NotifyError> {
    let (host, port) = config
        .smarthost
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
        .ok_or_else(|| NotifyError::permanent("smarthost has no port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { "localhost" } else { host };
    let implicit = config.force_implicit_tls.unwrap_or(port == IMPLICIT_TLS_PORT);
    let tls = if implicit {
        Tls::Wrapper(tls_parameters(config, host).await?)
    } else if config.require_tls {
        Tls::Required(tls_parameters(config, host).await?)
    } else {
        // As the original: no STARTTLS where it is not required, even if it is offered.
        Tls::None
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(port)
        .hello_name(ClientId::Domain(config.hello.clone()))
        .timeout(Some(message.timeout))
        .tls(tls);
    if let Some(user) = &config.auth_username {
        let Some(password) = &config.auth_password else {
            return Err(NotifyError::permanent(
                "auth_username is set, and neither auth_password nor auth_password_file",
            ));
        };
        let credentials = Credentials::new(user.clone(), expose(password).await?);
        builder = builder.credentials(credentials).authentication(vec![Mechanism::Plain, Mechanism::Login]);
    }
    Ok(builder.build())
}

async fn tls_parameters(config: &EmailConfig, host: &str) -> Result<TlsParameters, NotifyError> {
    let tls = &config.tls;
    let name = tls.server_name.clone().unwrap_or_else(|| host.to_owned());
    let mut builder = TlsParameters::builder(name).dangerous_accept_invalid_certs(tls.insecure_skip_verify);
    if let Some(authority) = &tls.ca {
        let pem = expose(authority).await?;
        let certificate = Certificate::from_pem(pem.as_bytes())
            .map_err(|error| NotifyError::permanent(format!("tls_config: ca: {error}")))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| NotifyError::permanent(format!("tls_config: {error}")))
}
