//! Other places for names: where several services run in one process, `loki:3100` is found at a loopback address.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::Url;
use reqwest::header::{HOST, HeaderMap, HeaderValue};

/// Maps `NAME:PORT` of requests to the addresses where they really go. Labels and logs keep the name. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostAliases(Arc<BTreeMap<String, SocketAddr>>);

impl HostAliases {
    /// Reads entries of the form `NAME:PORT=ADDRESS`, such as `loki:3100=127.0.0.1:3100`.
    ///
    /// # Errors
    /// The entry that has another form.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        let one = |entry: &String| {
            let fail = || format!("{entry:?} is not NAME:PORT=ADDRESS, such as loki:3100=127.0.0.1:3100");
            let (name, address) = entry.split_once('=').ok_or_else(fail)?;
            let (host, port) = name.rsplit_once(':').ok_or_else(fail)?;
            if host.is_empty() || port.parse::<u16>().is_err() {
                return Err(fail());
            }
            Ok((name.to_ascii_lowercase(), address.parse().map_err(|_| fail())?))
        };
        Ok(Self(Arc::new(entries.iter().map(one).collect::<Result<_, String>>()?)))
    }

    /// The address for `host` and `port`, where there is another one.
    pub fn find(&self, host: &str, port: u16) -> Option<SocketAddr> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&format!("{}:{port}", host.to_ascii_lowercase())).copied()
    }

    /// Turns a request to its real address; the `Host` header keeps the name.
    pub(crate) fn apply(&self, url: &mut Url, headers: &mut HeaderMap) {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return };
        let Some(address) = self.find(host, port) else { return };
        let name = HeaderValue::from_str(&format!("{host}:{port}"));
        // Both setters can refuse only URLs that cannot have a host, and this one has one.
        if url.set_ip_host(address.ip()).is_ok()
            && url.set_port(Some(address.port())).is_ok()
            && let Ok(name) = name
        {
            headers.entry(HOST).or_insert(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_turned_and_kept_in_the_header() {
        let aliases = HostAliases::parse(&["Loki:3100=127.0.0.1:23100".to_owned()]).expect("valid");
        for (given, turned) in [
            ("http://loki:3100/ready", "http://127.0.0.1:23100/ready"),
            ("http://loki:3101/ready", "http://loki:3101/ready"),
            ("http://other/ready", "http://other/ready"),
        ] {
            let mut url = Url::parse(given).expect(given);
            let mut headers = HeaderMap::new();
            aliases.apply(&mut url, &mut headers);
            assert_eq!(url.as_str(), turned);
            assert_eq!(headers.contains_key(HOST), given != turned);
        }
        for bad in ["loki", "loki=127.0.0.1:1", "loki:x=127.0.0.1:1", ":1=127.0.0.1:1", "loki:1=nowhere"] {
            assert!(HostAliases::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
