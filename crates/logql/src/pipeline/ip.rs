//! `ip("…")`: an address, a range of addresses or a network.

use std::net::IpAddr;

use crate::LogqlError;

/// Addresses from one to another, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IpRange {
    first: IpAddr,
    last: IpAddr,
}

impl IpRange {
    /// Reads `a`, `a-b` or `a/bits`.
    pub(crate) fn parse(text: &str) -> Result<Self, LogqlError> {
        Self::read(text).ok_or_else(|| LogqlError::Invalid(format!("ip: invalid pattern: {text:?}")))
    }

    fn read(text: &str) -> Option<Self> {
        if let Some((first, last)) = text.split_once('-') {
            let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            return (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last });
        }
        let Some((address, bits)) = text.split_once('/') else {
            let address = text.trim().parse().ok()?;
            return Some(Self { first: address, last: address });
        };
        let bits: u32 = bits.trim().parse().ok()?;
        match address.trim().parse().ok()? {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32u32.checked_sub(bits)?).unwrap_or(0);
                let first = address.to_bits() & mask;
                Some(Self { first: IpAddr::V4(first.into()), last: IpAddr::V4((first | !mask).into()) })
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128u32.checked_sub(bits)?).unwrap_or(0);
                let first = address.to_bits() & mask;
                Some(Self { first: IpAddr::V6(first.into()), last: IpAddr::V6((first | !mask).into()) })
            }
        }
    }

    /// Whether the address lies in the range.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && (self.first..=self.last).contains(&address)
    }

    /// Whether an address in `text` lies in the range.
    pub(crate) fn is_in_text(&self, text: &str) -> bool {
        let is_v4 = self.first.is_ipv4();
        let part_of = |c: char| {
            if is_v4 {
                c.is_ascii_digit() || c == '.'
            } else {
                c.is_ascii_hexdigit() || matches!(c, ':' | '.')
            }
        };
        text.split(|c: char| !part_of(c)).any(|run| {
            // An address may end a sentence, or have a colon after it.
            let run = run.trim_matches('.');
            let candidates = [run, run.trim_end_matches(':')];
            candidates.iter().any(|candidate| {
                candidate.len() >= 2 && candidate.parse().is_ok_and(|address| self.contains(address))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::IpRange;

    #[test]
    fn addresses_are_found_in_text() {
        let found = |pattern: &str, text: &str| IpRange::parse(pattern).expect(pattern).is_in_text(text);
        for (pattern, text, expected) in [
            ("10.0.0.1", "from 10.0.0.1:80", true),
            ("10.0.0.1", "from 10.0.0.12", false),
            ("10.0.0.1", "10.0.0.1.", true),
            ("10.0.0.0/8", "x=10.255.0.9,", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("10.0.0.5-10.0.0.7", "10.0.0.6", true),
            ("10.0.0.5-10.0.0.7", "10.0.0.8", false),
            ("::1", "from [::1]:80", true),
            ("2001:db8::/32", "addr=2001:db8::ff00:42:8329", true),
            ("2001:db8::/32", "addr=2001:db9::1", false),
            ("10.0.0.1", "999.0.0.1 1.2.3", false),
        ] {
            assert_eq!(found(pattern, text), expected, "{pattern} in {text}");
        }
        for bad in ["", "x", "10.0.0.1/33", "10.0.0.9-10.0.0.1", "::1-10.0.0.1", "1.2.3.4/"] {
            assert!(IpRange::parse(bad).is_err(), "{bad}");
        }
    }
}
