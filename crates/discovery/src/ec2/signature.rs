//! AWS' signature, version 4, of a GET.

use http_client::Url;
use sha2::{Digest, Sha256};

use super::credentials::Credentials;

const SERVICE: &str = "ec2";
const BLOCK_BYTES: usize = 64;

/// What a request gets.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) authorization: String,
}

/// Pairs sorted and escaped as the signature wants them.
pub(super) fn canonical_query(pairs: &[(String, String)]) -> String {
    let mut escaped: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    escaped.sort();
    escaped.join("&")
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Signs a GET of `url`, whose query is `query`, at this time.
pub(super) fn sign(url: &Url, query: &str, region: &str, credentials: &Credentials, now_ms: i64) -> Signed {
    let time: String = model::format_rfc3339_ns(now_ms / 1000 * 1_000_000_000)
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .collect();
    let date = time.get(..8).unwrap_or_default();
    let host = match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let mut headers = vec![("host", host), ("x-amz-date", time.clone())];
    if let Some(token) = &credentials.token {
        headers.push(("x-amz-security-token", token.expose().to_owned()));
    }
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let request = format!("GET\n{}\n{query}\n{lines}\n{names}\n{}", url.path(), hex(&Sha256::digest(b"")));
    let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(request.as_bytes())));
    let first = format!("AWS4{}", credentials.secret.expose());
    let key = [date, region, SERVICE, "aws4_request"]
        .iter()
        .fold(first.into_bytes(), |key, part| hmac(&key, part.as_bytes()).to_vec());
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        credentials.key,
        hex(&hmac(&key, text.as_bytes()))
    );
    // The client sets the host itself.
    headers.retain(|(name, _)| *name != "host");
    Signed { headers, authorization }
}

/// HMAC with SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0u8; BLOCK_BYTES];
    if key.len() > BLOCK_BYTES {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use ::config::Secret;

    use super::*;

    #[test]
    fn hmac_is_that_of_the_rfc() {
        // RFC 4231, cases 2 and 6.
        assert_eq!(
            hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn a_request_is_signed_over_its_host_and_time() {
        let credentials = Credentials {
            key: "AKID".to_owned(),
            secret: Secret::new("secret"),
            token: Some(Secret::new("t")),
        };
        let url = Url::parse("http://127.0.0.1:8000/").expect("url");
        let pairs = [("b".to_owned(), "x y*".to_owned()), ("a".to_owned(), "ä".to_owned())];
        let query = canonical_query(&pairs);
        assert_eq!(query, "a=%C3%A4&b=x%20y%2A");
        let signed = sign(&url, &query, "eu-1", &credentials, 1_440_938_160_123);
        assert_eq!(signed.headers[0], ("x-amz-date", "20150830T123600Z".to_owned()));
        let start = "AWS4-HMAC-SHA256 Credential=AKID/20150830/eu-1/ec2/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=";
        assert!(signed.authorization.starts_with(start), "{}", signed.authorization);
        assert_eq!(signed.authorization.len(), start.len() + 64);
    }
}
