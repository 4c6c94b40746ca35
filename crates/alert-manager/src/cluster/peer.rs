//! A member of the cluster, and how the membership protocol's messages are written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Buf, BufMut};
use foca::{Codec, Header, Identity, Member, Message, State};

/// The longest name of a peer.
pub(super) const NAME_BYTES_MAX: usize = 128;

/// A member: where it is reached, its name, and which life of it this is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// Its name; positions follow the order of names.
    pub name: String,
    /// Where it is reached, by UDP and TCP.
    pub address: SocketAddr,
    /// Grows with every start, and whenever the others have given it up.
    pub life: u64,
}

impl Peer {
    /// Whoever is at an address, when its name is not known yet.
    pub fn unknown(address: SocketAddr) -> Self {
        Self { name: String::new(), address, life: 0 }
    }
}

impl Identity for Peer {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Self> {
        Some(Self { life: self.life + 1, ..self.clone() })
    }

    fn addr(&self) -> SocketAddr {
        self.address
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.life > adversary.life
    }
}

/// Why a packet is not read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// It ends too early.
    #[error("the packet ends early")]
    Short,
    /// It is not one of ours.
    #[error("the packet has an unknown tag {0}")]
    Tag(u8),
    /// A name is no UTF-8, or too long.
    #[error("the packet has a bad name")]
    Name,
    /// There is no room for it.
    #[error("the packet is full")]
    Full,
}

/// Writes and reads the membership protocol's messages: fixed-width numbers, big-endian.
#[derive(Clone, Copy, Debug)]
pub struct PeerCodec;

fn put_peer(out: &mut Vec<u8>, peer: &Peer) -> Result<(), PacketError> {
    let len = u8::try_from(peer.name.len()).ok().filter(|len| usize::from(*len) <= NAME_BYTES_MAX);
    let len = len.ok_or(PacketError::Name)?;
    match peer.address.ip() {
        IpAddr::V4(ip) => {
            out.put_u8(4);
            out.put_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.put_u8(6);
            out.put_slice(&ip.octets());
        }
    }
    out.put_u16(peer.address.port());
    out.put_u64(peer.life);
    out.put_u8(len);
    out.put_slice(peer.name.as_bytes());
    Ok(())
}

fn take<const N: usize>(buf: &mut impl Buf) -> Result<[u8; N], PacketError> {
    let mut bytes = [0; N];
    buf.try_copy_to_slice(&mut bytes).map_err(|_| PacketError::Short)?;
    Ok(bytes)
}

fn take_u8(buf: &mut impl Buf) -> Result<u8, PacketError> {
    take::<1>(buf).map(|[byte]| byte)
}

fn take_u16(buf: &mut impl Buf) -> Result<u16, PacketError> {
    take(buf).map(u16::from_be_bytes)
}

fn take_peer(buf: &mut impl Buf) -> Result<Peer, PacketError> {
    let ip = match take_u8(buf)? {
        4 => IpAddr::V4(Ipv4Addr::from(take::<4>(buf)?)),
        6 => IpAddr::V6(Ipv6Addr::from(take::<16>(buf)?)),
        other => return Err(PacketError::Tag(other)),
    };
    let address = SocketAddr::new(ip, take_u16(buf)?);
    let life = take(buf).map(u64::from_be_bytes)?;
    let len = usize::from(take_u8(buf)?);
    if len > NAME_BYTES_MAX {
        return Err(PacketError::Name);
    }
    let mut name = vec![0; len];
    buf.try_copy_to_slice(&mut name).map_err(|_| PacketError::Short)?;
    let name = String::from_utf8(name).map_err(|_| PacketError::Name)?;
    Ok(Peer { name, address, life })
}

fn put_message(out: &mut Vec<u8>, message: &Message<Peer>) -> Result<(), PacketError> {
    let (tag, number, peer) = match message {
        Message::Ping(number) => (0, Some(*number), None),
        Message::Ack(number) => (1, Some(*number), None),
        Message::PingReq { target, probe_number } => (2, Some(*probe_number), Some(target)),
        Message::IndirectPing { origin, probe_number } => (3, Some(*probe_number), Some(origin)),
        Message::IndirectAck { target, probe_number } => (4, Some(*probe_number), Some(target)),
        Message::ForwardedAck { origin, probe_number } => (5, Some(*probe_number), Some(origin)),
        Message::Announce => (6, None, None),
        Message::Feed => (7, None, None),
        Message::Gossip => (8, None, None),
        Message::Broadcast => (9, None, None),
        Message::TurnUndead => (10, None, None),
    };
    out.put_u8(tag);
    out.extend(number);
    peer.map_or(Ok(()), |peer| put_peer(out, peer))
}

fn take_message(buf: &mut impl Buf) -> Result<Message<Peer>, PacketError> {
    let tag = take_u8(buf)?;
    Ok(match tag {
        0 => Message::Ping(take_u8(buf)?),
        1 => Message::Ack(take_u8(buf)?),
        2..=5 => {
            let (probe_number, peer) = (take_u8(buf)?, take_peer(buf)?);
            match tag {
                2 => Message::PingReq { target: peer, probe_number },
                3 => Message::IndirectPing { origin: peer, probe_number },
                4 => Message::IndirectAck { target: peer, probe_number },
                _ => Message::ForwardedAck { origin: peer, probe_number },
            }
        }
        6 => Message::Announce,
        7 => Message::Feed,
        8 => Message::Gossip,
        9 => Message::Broadcast,
        10 => Message::TurnUndead,
        other => return Err(PacketError::Tag(other)),
    })
}

/// All or nothing.
fn put_whole(mut buf: impl BufMut, bytes: &[u8]) -> Result<(), PacketError> {
    if buf.remaining_mut() < bytes.len() {
        return Err(PacketError::Full);
    }
    buf.put_slice(bytes);
    Ok(())
}

impl Codec<Peer> for PeerCodec {
    type Error = PacketError;

    fn encode_header(&mut self, header: &Header<Peer>, buf: impl BufMut) -> Result<(), PacketError> {
        let mut out = Vec::with_capacity(64);
        put_peer(&mut out, &header.src)?;
        out.put_u16(header.src_incarnation);
        put_peer(&mut out, &header.dst)?;
        put_message(&mut out, &header.message)?;
        put_whole(buf, &out)
    }

    fn decode_header(&mut self, mut buf: impl Buf) -> Result<Header<Peer>, PacketError> {
        let src = take_peer(&mut buf)?;
        let src_incarnation = take_u16(&mut buf)?;
        let dst = take_peer(&mut buf)?;
        let message = take_message(&mut buf)?;
        Ok(Header { src, src_incarnation, dst, message })
    }

    fn encode_member(&mut self, member: &Member<Peer>, buf: impl BufMut) -> Result<(), PacketError> {
        let mut out = Vec::with_capacity(48);
        put_peer(&mut out, member.id())?;
        out.put_u16(member.incarnation());
        out.put_u8(match member.state() {
            State::Alive => 0,
            State::Suspect => 1,
            State::Down => 2,
        });
        put_whole(buf, &out)
    }

    fn decode_member(&mut self, mut buf: impl Buf) -> Result<Member<Peer>, PacketError> {
        let peer = take_peer(&mut buf)?;
        let incarnation = take_u16(&mut buf)?;
        let state = match take_u8(&mut buf)? {
            0 => State::Alive,
            1 => State::Suspect,
            2 => State::Down,
            other => return Err(PacketError::Tag(other)),
        };
        Ok(Member::new(peer, incarnation, state))
    }
}

/// Reads any bytes as a packet, as the fuzzer wants it: what can be read is written and read as the same again.
pub fn check_packet(data: &[u8]) {
    if let Ok(header) = PeerCodec.decode_header(data) {
        let mut out = Vec::new();
        if PeerCodec.encode_header(&header, &mut out).is_ok() {
            assert_eq!(PeerCodec.decode_header(out.as_slice()), Ok(header));
        }
    }
    if let Ok(member) = PeerCodec.decode_member(data) {
        let mut out = Vec::new();
        if PeerCodec.encode_member(&member, &mut out).is_ok() {
            assert_eq!(PeerCodec.decode_member(out.as_slice()), Ok(member));
        }
    }
}
