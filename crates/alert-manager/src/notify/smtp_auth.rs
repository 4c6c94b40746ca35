//! SMTP authentication: the first mechanism in the server's order that there is a secret for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use md5::{Digest, Md5};

use super::{NotifyError, expose};
use crate::config::EmailConfig;

const BLOCK_BYTES: usize = 64;

/// What is known of the server.
pub(super) struct SmtpServer<'s> {
    /// Its name, as it was configured.
    pub(super) host: &'s str,
    /// Its answer to EHLO, line by line.
    pub(super) hello: &'s [String],
}

/// Authenticates where a user is set and the server wants it.
pub(super) async fn authenticate(
    connection: &mut AsyncSmtpConnection,
    server: &SmtpServer<'_>,
    config: &EmailConfig,
) -> Result<(), NotifyError> {
    let (Some(user), Some(offered)) = (&config.auth_username, offered(server.hello)) else {
        return Ok(());
    };
    let mut refused = Vec::new();
    for mechanism in offered {
        let secret = match mechanism.as_str() {
            "CRAM-MD5" => config.auth_secret.as_ref().ok_or("missing secret for CRAM-MD5 auth mechanism"),
            "PLAIN" => config.auth_password.as_ref().ok_or("missing password for PLAIN auth mechanism"),
            "LOGIN" => config.auth_password.as_ref().ok_or("missing password for LOGIN auth mechanism"),
            other => {
                refused.push(format!("unknown auth mechanism: {other}"));
                continue;
            }
        };
        let secret = match secret {
            Ok(secret) => expose(secret).await?,
            Err(reason) => {
                refused.push(reason.to_owned());
                continue;
            }
        };
        return match mechanism.as_str() {
            "CRAM-MD5" => cram_md5(connection, user, &secret).await,
            "PLAIN" => {
                let identity = config.auth_identity.as_deref().unwrap_or_default();
                plain(connection, server.host, [identity, user, &secret]).await
            }
            _ => login(connection, user, &secret).await,
        };
    }
    Err(NotifyError::passing(format!("find auth mechanism: {}", refused.join("; "))))
}

/// The mechanisms in the answer to EHLO; none where it has no such line.
fn offered(hello: &[String]) -> Option<Vec<String>> {
    hello.iter().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let is_auth = words.next()?.eq_ignore_ascii_case("AUTH");
        is_auth.then(|| words.map(str::to_ascii_uppercase).collect())
    })
}

async fn say(connection: &mut AsyncSmtpConnection, line: String) -> Result<String, NotifyError> {
    let response = connection.command(format!("{line}\r\n")).await;
    let response = response.map_err(|error| NotifyError {
        reason: "authError",
        ..NotifyError::passing(format!("auth: {}", service::error_chain(&error)))
    })?;
    Ok(response.first_line().unwrap_or_default().to_owned())
}

async fn cram_md5(connection: &mut AsyncSmtpConnection, user: &str, secret: &str) -> Result<(), NotifyError> {
    let challenge = say(connection, "AUTH CRAM-MD5".to_owned()).await?;
    let challenge = STANDARD
        .decode(challenge.trim())
        .map_err(|_| NotifyError::passing("auth: the server's challenge is not base64"))?;
    let digest: String =
        hmac_md5(secret.as_bytes(), &challenge).iter().map(|byte| format!("{byte:02x}")).collect();
    say(connection, STANDARD.encode(format!("{user} {digest}"))).await.map(drop)
}

async fn plain(
    connection: &mut AsyncSmtpConnection,
    host: &str,
    [identity, user, password]: [&str; 3],
) -> Result<(), NotifyError> {
    // The password goes as it is: never over a network that others read.
    if !connection.is_encrypted() && !matches!(host, "localhost" | "127.0.0.1" | "::1") {
        return Err(NotifyError::passing("auth: PLAIN over an unencrypted connection is refused"));
    }
    let answer = STANDARD.encode(format!("{identity}\0{user}\0{password}"));
    say(connection, format!("AUTH PLAIN {answer}")).await.map(drop)
}

async fn login(connection: &mut AsyncSmtpConnection, user: &str, password: &str) -> Result<(), NotifyError> {
    let mut asked = say(connection, "AUTH LOGIN".to_owned()).await?;
    // A server may ask for either first, and need not ask for both.
    for _ in 0..2 {
        let question = STANDARD.decode(asked.trim()).unwrap_or_default();
        let question = String::from_utf8_lossy(&question).to_ascii_lowercase();
        let answer = match question.trim_end_matches(':') {
            "username" | "user name" => user,
            "password" => password,
            _ => return Err(NotifyError::passing(format!("auth: unexpected question {question:?}"))),
        };
        let is_last = answer == password && !question.starts_with("user");
        asked = say(connection, STANDARD.encode(answer)).await?;
        if is_last {
            break;
        }
    }
    Ok(())
}

/// HMAC-MD5 (RFC 2104), as CRAM-MD5 has it.
fn hmac_md5(key: &[u8], message: &[u8]) -> [u8; 16] {
    let mut block = [0_u8; BLOCK_BYTES];
    if key.len() > BLOCK_BYTES {
        block[..16].copy_from_slice(&Md5::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Md5::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Md5::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_md5_is_the_one_of_rfc_2202_and_2195() {
        for (key, message, expected) in [
            (&[0x0b; 16][..], &b"Hi There"[..], "9294727a3638bb1c13f48ef8158bfc9d"),
            (b"Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"),
            (
                &[0xaa; 80],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd",
            ),
            (
                b"tanstaaftanstaaf",
                b"<1896.697170952@postoffice.reston.mci.net>",
                "b913a602c7eda7a495b4e6e7334d3890",
            ),
        ] {
            let digest: String = hmac_md5(key, message).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digest, expected);
        }
    }

    #[test]
    fn mechanisms_are_read_in_the_servers_order() {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<String>>();
        assert_eq!(offered(&lines(&["test greets", "SIZE 1"])), None);
        assert_eq!(
            offered(&lines(&["test", "auth login CRAM-md5", "8BITMIME"])),
            Some(lines(&["LOGIN", "CRAM-MD5"]))
        );
    }
}
