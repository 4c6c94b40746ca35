//! What peers send can be read, and its order does not matter.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use foca::{Codec, Header, Member, Message, State};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::peer::{NAME_BYTES_MAX, PeerCodec};
use super::*;
use crate::acks::{Ack, Acks};
use crate::link_keys::LinkKey;
use crate::notification_log::{LogEntry, NotificationLog};
use crate::silences::{Silence, SilenceMatcher, Silences};

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[a-zé]{0,5}", "\\PC{0,5}", 0..4)
}

fn silence() -> impl Strategy<Value = Silence> {
    let matcher = (("[a-z]{1,3}", "[a-z|]{1,4}"), any::<bool>())
        .prop_map(|((name, value), is_regex)| SilenceMatcher { name, value, is_regex, is_equal: true });
    // Few ids and times, so that many meet.
    ((0..3_u8, vec(matcher, 1..3)), (0..4_i64, 0..4_i64, 0..4_i64), "\\PC{0,5}", 0..2_u8).prop_map(
        |((id, matchers), (starts_at, lasts, updated_at), comment, annotations)| Silence {
            id: id.to_string(),
            matchers,
            starts_at,
            ends_at: starts_at + lasts,
            updated_at,
            created_by: comment.clone(),
            comment,
            annotations: (0..annotations).map(|no| (no.to_string(), "x".to_owned())).collect(),
        },
    )
}

fn entry() -> impl Strategy<Value = LogEntry> {
    let hashes = || btree_set(0..4_u64, 0..3);
    ((0..3_u8, 0..4_i64), hashes(), hashes(), any::<i64>(), texts()).prop_map(
        |((key, timestamp), firing, resolved, expires_at, memory)| LogEntry {
            key: key.to_string(),
            timestamp,
            firing,
            resolved,
            expires_at,
            memory,
        },
    )
}

fn ack() -> impl Strategy<Value = Ack> {
    ((0..3_u64, 0..4_i64), texts(), "\\PC{0,5}", any::<i64>(), any::<bool>()).prop_map(
        |((fingerprint, at), labels, owner, expires_at, is_withdrawn)| Ack {
            fingerprint,
            labels,
            comment: owner.clone(),
            owner,
            at,
            expires_at,
            is_withdrawn,
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        silence().prop_map(Change::Silence),
        entry().prop_map(Change::Told),
        ack().prop_map(Change::Ack),
        ("[0-9a-f]{0,5}", any::<i64>()).prop_map(|(key, seen_at)| Change::LinkKey(LinkKey { key, seen_at })),
    ]
}

fn peer() -> impl Strategy<Value = Peer> {
    let address = prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(SocketAddr::from),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(SocketAddr::from),
    ];
    ("\\PC{0,10}", address, any::<u64>()).prop_map(|(name, address, life)| Peer { name, address, life })
}

fn message() -> impl Strategy<Value = Message<Peer>> {
    let number = any::<u8>;
    prop_oneof![
        number().prop_map(Message::Ping),
        number().prop_map(Message::Ack),
        (peer(), number()).prop_map(|(target, probe_number)| Message::PingReq { target, probe_number }),
        (peer(), number()).prop_map(|(origin, probe_number)| Message::IndirectPing { origin, probe_number }),
        (peer(), number()).prop_map(|(target, probe_number)| Message::IndirectAck { target, probe_number }),
        (peer(), number()).prop_map(|(origin, probe_number)| Message::ForwardedAck { origin, probe_number }),
        Just(Message::Announce),
        Just(Message::Feed),
        Just(Message::Gossip),
        Just(Message::Broadcast),
        Just(Message::TurnUndead),
    ]
}

/// What a member knows after changes.
#[derive(Debug, PartialEq)]
struct Known {
    silences: BTreeMap<String, Silence>,
    log: BTreeMap<String, LogEntry>,
    acks: BTreeMap<u64, Ack>,
}

fn known(changes: &[Change]) -> Known {
    let (mut silences, mut log, mut acks) =
        (Silences::default(), NotificationLog::default(), Acks::default());
    for change in changes {
        match change.clone() {
            Change::Silence(silence) => drop(silences.merge(silence)),
            Change::Told(entry) => drop(log.merge(entry)),
            Change::Ack(ack) => drop(acks.merge(ack)),
            // Noted once a day: when it was last seen depends on who has told.
            Change::LinkKey(_) => {}
        }
    }
    Known {
        silences: silences.iter().map(|silence| (silence.id.clone(), silence.clone())).collect(),
        log: log.iter().map(|entry| (entry.key.clone(), entry.clone())).collect(),
        acks: acks.iter().map(|ack| (ack.fingerprint, ack.clone())).collect(),
    }
}

proptest! {
    #[test]
    fn changes_are_read_as_they_were_written(change in change()) {
        prop_assert_eq!(Change::decode(&change.encode()), Ok(change));
    }

    #[test]
    fn packets_are_read_as_they_were_written(
        (src, dst) in (peer(), peer()), src_incarnation in any::<u16>(), message in message(), state in 0..3_u8,
    ) {
        let member = Member::new(
            src.clone(),
            src_incarnation,
            [State::Alive, State::Suspect, State::Down][usize::from(state)],
        );
        let header = Header { src, src_incarnation, dst, message };
        let mut bytes = Vec::new();
        PeerCodec.encode_header(&header, &mut bytes).unwrap();
        PeerCodec.encode_member(&member, &mut bytes).unwrap();
        let mut rest = bytes.as_slice();
        prop_assert_eq!(PeerCodec.decode_header(&mut rest), Ok(header.clone()));
        prop_assert_eq!(PeerCodec.decode_member(&mut rest), Ok(member));
        prop_assert!(rest.is_empty());
        // A packet without room for it stays as it was.
        let mut small = [0; 8];
        let mut room = small.as_mut_slice();
        prop_assert_eq!(PeerCodec.encode_header(&header, &mut room), Err(PacketError::Full));
        prop_assert_eq!(room.len(), 8);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        check_packet(&bytes);
        check_change(&bytes);
    }

    #[test]
    fn the_order_of_changes_does_not_matter(
        changes in vec(change(), 0..20), order in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut others = changes.clone();
        for (idx, other) in order.iter().enumerate() {
            if idx < others.len() {
                let other = other.index(others.len());
                others.swap(idx, other);
            }
        }
        // Nor how often they come.
        others.extend(changes.iter().take(5).cloned());
        prop_assert_eq!(known(&changes), known(&others));
    }
}

#[test]
fn long_names_and_unknown_tags_are_refused() {
    let long =
        Peer { name: "x".repeat(NAME_BYTES_MAX + 1), ..Peer::unknown(SocketAddr::from(([1, 2, 3, 4], 5))) };
    let member = Member::new(long, 0, State::Alive);
    assert_eq!(PeerCodec.encode_member(&member, &mut Vec::new()), Err(PacketError::Name));
    assert_eq!(PeerCodec.decode_member([5_u8].as_slice()), Err(PacketError::Tag(5)));
    assert_eq!(PeerCodec.decode_member([4_u8, 1, 2].as_slice()), Err(PacketError::Short));
    assert_eq!(Change::decode(&[]), Err(ChangeReadError::Unknown));
    let hashes = BTreeSet::from([1]);
    let entry = LogEntry {
        key: "k".repeat(CHANGE_BYTES_MAX),
        timestamp: 0,
        firing: hashes.clone(),
        resolved: hashes,
        expires_at: 0,
        memory: BTreeMap::new(),
    };
    assert!(matches!(Change::decode(&Change::Told(entry).encode()), Err(ChangeReadError::TooLarge(_))));
}
