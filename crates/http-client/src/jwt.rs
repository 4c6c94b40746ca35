//! Assertions (RFC 7523): a signed statement of who asks for a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config::Secret;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use serde_json::{Map, Value, json};

use crate::error::HttpClientError;
use crate::tls::private_key;

/// For how long an assertion is good.
const LIFETIME_SECONDS: i64 = 3600;

/// How an assertion is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// `RS256`
    #[default]
    Rs256,
    /// `RS384`
    Rs384,
    /// `RS512`
    Rs512,
}

impl SignatureAlgorithm {
    /// Name and algorithm, as configurations name them.
    pub(crate) const NAMES: [(&'static str, Self); 3] =
        [("RS256", Self::Rs256), ("RS384", Self::Rs384), ("RS512", Self::Rs512)];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, algorithm)| *algorithm == self).map_or("RS256", |(name, _)| name)
    }

    fn scheme(self) -> SignatureScheme {
        match self {
            Self::Rs256 => SignatureScheme::RSA_PKCS1_SHA256,
            Self::Rs384 => SignatureScheme::RSA_PKCS1_SHA384,
            Self::Rs512 => SignatureScheme::RSA_PKCS1_SHA512,
        }
    }
}

/// What an assertion says.
#[derive(Clone, Debug)]
pub(crate) struct Assertion<'a> {
    pub(crate) algorithm: SignatureAlgorithm,
    pub(crate) key_id: Option<&'a str>,
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) audience: &'a str,
    pub(crate) scopes: &'a [String],
    pub(crate) claims: &'a [(String, Value)],
}

impl Assertion<'_> {
    /// Signs it with a PEM private key. `id` tells it from others; `issued` is now, in seconds.
    ///
    /// # Errors
    /// Where the key is none, or none of RSA's.
    pub(crate) fn sign(&self, key: &Secret, id: &str, issued: i64) -> Result<String, HttpClientError> {
        let unusable = |reason: String| HttpClientError::Tls { reason };
        let key = any_supported_type(&private_key(key)?)
            .map_err(|error| unusable(format!("client_certificate_key: {error}")))?;
        let name = self.algorithm.name();
        let signer = key.choose_scheme(&[self.algorithm.scheme()]).ok_or_else(|| {
            unusable(format!("client_certificate_key cannot sign with {name}: an RSA key is needed"))
        })?;
        let mut header = json!({ "alg": name, "typ": "JWT" });
        if let Some(id) = self.key_id {
            header["kid"] = json!(id);
        }
        let mut claims: Map<String, Value> = self.claims.iter().cloned().collect();
        let own = [
            ("iss", json!(self.issuer)),
            ("sub", json!(self.subject)),
            ("aud", json!(self.audience)),
            ("jti", json!(id)),
            ("iat", json!(issued)),
            ("exp", json!(issued + LIFETIME_SECONDS)),
        ];
        for (name, value) in own {
            claims.entry(name).or_insert(value);
        }
        if !self.scopes.is_empty() {
            claims.entry("scope").or_insert_with(|| json!(self.scopes.join(" ")));
        }
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&header), encode(&Value::Object(claims)));
        let signature = signer
            .sign(text.as_bytes())
            .map_err(|error| unusable(format!("client_certificate_key: {error}")))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("../testdata/jwt_key.pem");
    const PUBLIC: &str = include_str!("../testdata/jwt_public.pem");

    #[test]
    fn assertions_are_signed_and_say_who_asks() {
        let lines: String = PUBLIC.lines().filter(|line| !line.starts_with('-')).collect();
        let public = base64::engine::general_purpose::STANDARD.decode(lines).expect("base64");
        for (name, algorithm) in SignatureAlgorithm::NAMES {
            let assertion = Assertion {
                algorithm,
                key_id: Some("k1"),
                issuer: "me",
                subject: "id",
                audience: "http://a/t",
                scopes: &["a".to_owned(), "b".to_owned()],
                claims: &[("team".to_owned(), json!(7)), ("aud".to_owned(), json!("other"))],
            };
            let token = assertion.sign(&Secret::new(KEY), "n1", 1000).expect("signed");
            let parts: Vec<&str> = token.split('.').collect();
            let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64");
            let read = |part: &str| -> Value { serde_json::from_slice(&decode(part)).expect("JSON") };
            assert_eq!(read(parts[0]), json!({"alg": name, "typ": "JWT", "kid": "k1"}));
            let expected = json!({"iss": "me", "sub": "id", "aud": "other", "jti": "n1", "iat": 1000,
                "exp": 4600, "scope": "a b", "team": 7});
            assert_eq!(read(parts[1]), expected);
            let known = rustls::crypto::ring::default_provider().signature_verification_algorithms;
            let verifiers = known.mapping.iter().find(|(scheme, _)| *scheme == algorithm.scheme());
            let text = format!("{}.{}", parts[0], parts[1]);
            let verified =
                verifiers.expect("known").1[0].verify_signature(&public, text.as_bytes(), &decode(parts[2]));
            assert!(verified.is_ok(), "{name}");
        }
    }

    #[test]
    fn a_key_that_is_none_is_named() {
        let assertion = Assertion {
            algorithm: SignatureAlgorithm::Rs256,
            key_id: None,
            issuer: "",
            subject: "",
            audience: "",
            scopes: &[],
            claims: &[],
        };
        let error = assertion.sign(&Secret::new("x"), "", 0).expect_err("no key");
        assert!(error.chain().contains("no PEM private key"), "{}", error.chain());
    }
}
