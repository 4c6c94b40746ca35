//! Mail servers and what they want to know of who sends.

use std::process::Command;

use crate::receivers::mail_server_with;
use crate::server::BINARY;

/// Sends a test message to a server that says this of itself; what was printed, and what the server got.
fn test_mail(extension: &'static str, settings: &str) -> (String, Option<String>) {
    let dir = tempfile::tempdir().expect("a directory");
    let (port, mails) = mail_server_with(extension);
    let file = dir.path().join("am.yml");
    let text = format!(
        "route: {{receiver: all}}
receivers: [{{name: all, email_configs: [{{to: a@example.com, from: b@example.com, require_tls: false, smarthost: '127.0.0.1:{port}', {settings}}}]}}]
"
    );
    std::fs::write(&file, text).expect("a file");
    let output = Command::new(BINARY)
        .args(["test-receiver", "all", &format!("--config.file={}", file.display())])
        .output()
        .expect("the binary runs");
    (String::from_utf8_lossy(&output.stdout).into_owned(), mails.try_recv().ok())
}

#[test]
fn the_first_mechanism_that_there_is_a_secret_for_is_used() {
    let password = "auth_username: tim, auth_password: tanstaaftanstaaf";
    let secret = "auth_username: tim, auth_secret: tanstaaftanstaaf";
    let both = format!("{password}, auth_secret: tanstaaftanstaaf, auth_identity: boss");
    let cram = "AUTH CRAM-MD5\r\ndGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\n";
    let plain = "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n";
    let login = "AUTH LOGIN\r\ndGlt\ndGFuc3RhYWZ0YW5zdGFhZg==\n";
    for (extension, settings, expected) in [
        ("AUTH CRAM-MD5 PLAIN LOGIN", secret, cram),
        ("AUTH CRAM-MD5 PLAIN LOGIN", password, plain),
        ("AUTH LOGIN PLAIN", password, login),
        ("AUTH XOAUTH2 LOGIN", &both, login),
        ("AUTH PLAIN CRAM-MD5", &both, "AUTH PLAIN Ym9zcwB0aW0AdGFuc3RhYWZ0YW5zdGFhZg==\r\n"),
        // Nobody asks, nobody is told.
        ("", password, ""),
        ("AUTH PLAIN", "text: x", ""),
    ] {
        let (shown, mail) = test_mail(extension, settings);
        let mail = mail.unwrap_or_else(|| panic!("{extension}: {shown}"));
        let (said, _) = mail.split_once("References").or(mail.split_once("From")).expect("headers");
        assert!(mail.starts_with(expected) && (!expected.is_empty() || !said.contains("AUTH")), "{mail}");
    }
    for (extension, settings, expected) in [
        ("AUTH PLAIN", secret, "missing password for PLAIN auth mechanism"),
        ("AUTH NTLM", password, "unknown auth mechanism: NTLM"),
    ] {
        let (shown, mail) = test_mail(extension, settings);
        assert!(mail.is_none() && shown.contains(expected), "{shown}");
    }
}
