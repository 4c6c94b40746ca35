//! Mail, by lettre.

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes, MultiPart, SinglePart};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, Identity, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::smtp_auth::{self, SmtpServer};
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
    tokio::time::timeout(message.timeout, deliver(config, message, &mail)).await.map_err(|_| NotifyError {
        reason: "contextDeadlineExceeded",
        ..NotifyError::passing("the mail server took too long")
    })?
}

/// The dialogue with the mail server.
async fn deliver(
    config: &EmailConfig,
    message: &Message,
    mail: &lettre::Message,
) -> Result<String, NotifyError> {
    let failed = |error: lettre::transport::smtp::Error| NotifyError::passing(service::error_chain(&error));
    let (mut connection, server) = connect(config, message).await?;
    let hello = ClientId::Domain(config.hello.clone());
    // Said again, as what was said of mechanisms before the encryption does not count, nor is it shown with its order.
    let greeting = connection.command(format!("EHLO {hello}\r\n")).await.map_err(failed)?;
    let greeting: Vec<String> = greeting.message().map(str::to_owned).collect();
    let told = SmtpServer { host: &server, hello: &greeting };
    smtp_auth::authenticate(&mut connection, &told, config).await?;
    let response = connection.send(mail.envelope(), &mail.formatted()).await.map_err(failed)?;
    // The mail has been taken: how the other side says goodbye does not matter.
    connection.quit().await.ok();
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

/// An encrypted connection, where it is to be one, and the server's name.
async fn connect(
    config: &EmailConfig,
    message: &Message,
) -> Result<(AsyncSmtpConnection, String), NotifyError> {
    let failed = |error: lettre::transport::smtp::Error| NotifyError::passing(service::error_chain(&error));
    let (host, port) = config
        .smarthost
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
        .ok_or_else(|| NotifyError::permanent("smarthost has no port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { "localhost" } else { host };
    let hello = ClientId::Domain(config.hello.clone());
    let is_implicit = config.force_implicit_tls.unwrap_or(port == IMPLICIT_TLS_PORT);
    let first = if is_implicit { Some(tls_parameters(config, host).await?) } else { None };
    let connecting =
        AsyncSmtpConnection::connect_tokio1((host, port), Some(message.timeout), &hello, first, None);
    let mut connection = connecting.await.map_err(failed)?;
    // As the original: no STARTTLS where it is not required, even if it is offered.
    if config.require_tls && !is_implicit {
        if !connection.can_starttls() {
            return Err(NotifyError::passing(format!(
                "require_tls is true (the default), but {:?} does not offer STARTTLS",
                config.smarthost
            )));
        }
        let parameters = tls_parameters(config, host).await?;
        connection.starttls(parameters, &hello).await.map_err(failed)?;
    }
    Ok((connection, host.to_owned()))
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
    if let (Some(certificate), Some(key)) = (&tls.cert, &tls.key) {
        let (certificate, key) = (expose(certificate).await?, expose(key).await?);
        let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes())
            .map_err(|error| NotifyError::permanent(format!("tls_config: cert: {error}")))?;
        builder = builder.identify_with(identity);
    }
    builder.build_rustls().map_err(|error| NotifyError::permanent(format!("tls_config: {error}")))
}
