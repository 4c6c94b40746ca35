//! DNS messages (RFC 1035): questions written, answers read. Nothing here panics on any bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::RecordType;

const HEADER_BYTES: usize = 12;
const CLASS_INTERNET: u16 = 1;
/// A name points back to other names at most so often.
const JUMPS_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 255;

/// A record of the type that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Address(IpAddr),
    Service { target: String, port: u16 },
    Mail(String),
    NameServer(String),
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The name exists; it may have no records of the type.
    Records(Vec<Record>),
    NoSuchName,
    /// It did not fit: ask again over TCP.
    Truncated,
}

impl RecordType {
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Ns => 2,
            Self::Mx => 15,
            Self::Aaaa => 28,
            Self::Srv => 33,
        }
    }
}

/// A question with recursion asked for; `None` where the name cannot be one.
pub(super) fn question(id: u16, name: &str, kind: RecordType) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(HEADER_BYTES + name.len() + 6);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
        out.push(length);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&kind.number().to_be_bytes());
    out.extend_from_slice(&CLASS_INTERNET.to_be_bytes());
    (out.len() - HEADER_BYTES <= NAME_BYTES_MAX + 4).then_some(out)
}

/// Reads the answer to the question with this id.
pub(super) fn answer(id: u16, message: &[u8], kind: RecordType) -> Result<Answer, String> {
    let malformed = || "the answer is not a DNS message".to_owned();
    let number = |at: usize| read_u16(message, at).ok_or_else(malformed);
    if number(0)? != id {
        return Err("the answer is to another question".to_owned());
    }
    let flags = number(2)?;
    if flags & 0x8000 == 0 {
        return Err(malformed());
    }
    if flags & 0x0200 != 0 {
        return Ok(Answer::Truncated);
    }
    match flags & 0xf {
        0 => {}
        3 => return Ok(Answer::NoSuchName),
        code => return Err(format!("the server answers with code {code}")),
    }
    let (questions, answers) = (number(4)?, number(6)?);
    let mut at = HEADER_BYTES;
    for _ in 0..questions {
        at = read_name(message, at).ok_or_else(malformed)?.1 + 4;
    }
    let mut records = Vec::new();
    for _ in 0..answers {
        at = read_name(message, at).ok_or_else(malformed)?.1;
        let (found, length) = (number(at)?, usize::from(number(at + 8)?));
        let data = at + 10;
        let bytes = message.get(data..data + length).ok_or_else(malformed)?;
        // Aliases come before what they lead to.
        if found == kind.number() {
            records.push(record(message, data, bytes, kind).ok_or_else(malformed)?);
        }
        at = data + length;
    }
    Ok(Answer::Records(records))
}

fn record(message: &[u8], at: usize, bytes: &[u8], kind: RecordType) -> Option<Record> {
    Some(match kind {
        RecordType::A => Record::Address(IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?))),
        RecordType::Aaaa => Record::Address(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))),
        RecordType::Ns => Record::NameServer(read_name(message, at)?.0),
        RecordType::Mx => Record::Mail(read_name(message, at + 2)?.0),
        RecordType::Srv => {
            Record::Service { port: read_u16(message, at + 4)?, target: read_name(message, at + 6)?.0 }
        }
    })
}

fn read_u16(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

/// A name with its final dot, and where it ends.
fn read_name(message: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut name, mut at, mut end, mut jumps) = (String::new(), start, None, 0);
    loop {
        let length = usize::from(*message.get(at)?);
        match length >> 6 {
            0 if length == 0 => {
                let name = if name.is_empty() { ".".to_owned() } else { name };
                return Some((name, end.unwrap_or(at + 1)));
            }
            0 => {
                let label = message.get(at + 1..at + 1 + length)?;
                name.push_str(&String::from_utf8_lossy(label));
                name.push('.');
                at += 1 + length;
            }
            3 => {
                end.get_or_insert(at + 2);
                at = usize::from(read_u16(message, at)? & 0x3fff);
                jumps += 1;
            }
            _ => return None,
        }
        if jumps > JUMPS_MAX || name.len() > 4 * NAME_BYTES_MAX {
            return None;
        }
    }
}
