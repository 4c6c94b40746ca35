//! What the cluster's flags say.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::{NonZeroU8, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use service::Failure;

use super::peer::NAME_BYTES_MAX;
use crate::flags::ClusterFlags;

/// The longest label: it goes with every packet.
const LABEL_BYTES_MAX: usize = 255;
/// The largest packet; what fits into an Ethernet frame on most ways.
const PACKET_BYTES_MAX: usize = 1400;
/// A peer that does not answer is suspected, and after so many probes given up.
const PROBES_UNTIL_DOWN: u32 = 4;
/// How often each change goes out by gossip; the exchange of everything finds what was missed.
const TRANSMISSIONS: NonZeroU8 = NonZeroU8::new(6).expect("6 is not 0");
/// To how many peers at a time.
const FANOUT: NonZeroUsize = NonZeroUsize::new(3).expect("3 is not 0");

/// How a member of a cluster behaves.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where it listens, by UDP and TCP.
    pub listen_address: String,
    /// Where the others reach it; none: found out.
    pub advertise_address: Option<String>,
    /// Whether a public address may be found out.
    pub may_advertise_public: bool,
    /// Its name.
    pub name: String,
    /// Other members to begin with, as `host:port`.
    pub peers: Vec<String>,
    /// How long it waits for each member before it.
    pub peer_timeout: Duration,
    /// How long it waits at the start for the names of peers to resolve.
    pub resolve_timeout: Duration,
    /// How often changes go out.
    pub gossip_interval: Duration,
    /// How often two exchange everything.
    pub pushpull_interval: Duration,
    /// How long a step of an exchange may take.
    pub tcp_timeout: Duration,
    /// How long the answer to a probe may take.
    pub probe_timeout: Duration,
    /// How often a member is probed.
    pub probe_interval: Duration,
    /// The longest that it waits at the start for the cluster to come to rest.
    pub settle_timeout: Duration,
    /// How often lost members are tried.
    pub reconnect_interval: Duration,
    /// After how long they are forgotten.
    pub reconnect_timeout: Duration,
    /// Goes with every packet; packets with another one are ignored.
    pub label: String,
    /// The file that says how members encrypt; none: they do not.
    pub tls_config: Option<PathBuf>,
}

impl ClusterOptions {
    /// From the flags; none where they switch the cluster off.
    pub fn from_flags(flags: &ClusterFlags) -> Result<Option<Self>, Failure> {
        if flags.listen_address.is_empty() {
            return Ok(None);
        }
        let name = flags.peer_name.clone().unwrap_or_else(|| format!("{:032X}", rand::random::<u128>()));
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(Failure::usage(format!(
                "--cluster.peer-name: it must have 1 to {NAME_BYTES_MAX} bytes"
            )));
        }
        if flags.label.len() > LABEL_BYTES_MAX {
            return Err(Failure::usage(format!("--cluster.label: at most {LABEL_BYTES_MAX} bytes")));
        }
        for (flag, value) in [
            ("gossip-interval", flags.gossip_interval),
            ("probe-timeout", flags.probe_timeout),
            ("probe-interval", flags.probe_interval),
            ("reconnect-interval", flags.reconnect_interval),
            ("tcp-timeout", flags.tcp_timeout),
        ] {
            if value.is_zero() {
                return Err(Failure::usage(format!("--cluster.{flag}: it must be greater than 0")));
            }
        }
        if flags.probe_timeout >= flags.probe_interval {
            return Err(Failure::usage(
                "--cluster.probe-timeout must be shorter than --cluster.probe-interval",
            ));
        }
        Ok(Some(Self {
            listen_address: flags.listen_address.clone(),
            advertise_address: flags.advertise_address.clone().filter(|address| !address.is_empty()),
            may_advertise_public: flags.allow_insecure_public_advertise_address_discovery,
            name,
            peers: flags.peers.iter().filter(|peer| !peer.is_empty()).cloned().collect(),
            peer_timeout: flags.peer_timeout,
            resolve_timeout: flags.peers_resolve_timeout,
            gossip_interval: flags.gossip_interval,
            pushpull_interval: flags.pushpull_interval,
            tcp_timeout: flags.tcp_timeout,
            probe_timeout: flags.probe_timeout,
            probe_interval: flags.probe_interval,
            settle_timeout: flags.settle_timeout,
            reconnect_interval: flags.reconnect_interval,
            reconnect_timeout: flags.reconnect_timeout,
            label: flags.label.clone(),
            tls_config: flags.tls_config.clone().filter(|path| !path.as_os_str().is_empty()),
        }))
    }

    /// What every packet and every connection begins with.
    pub(super) fn prefix(&self) -> Vec<u8> {
        let mut prefix = b"wbg\x01".to_vec();
        // Not longer than a byte says, as it was checked.
        prefix.push(u8::try_from(self.label.len()).unwrap_or(u8::MAX));
        prefix.extend_from_slice(self.label.as_bytes());
        prefix
    }

    /// The largest packet of the membership protocol.
    pub(super) fn packet_bytes_max(&self) -> usize {
        PACKET_BYTES_MAX - self.prefix().len()
    }

    /// The membership protocol's settings.
    pub(super) fn protocol(&self) -> foca::Config {
        let every = |frequency: Duration| Some(foca::PeriodicParams { frequency, num_members: FANOUT });
        foca::Config {
            probe_period: self.probe_interval,
            probe_rtt: self.probe_timeout,
            num_indirect_probes: FANOUT,
            max_transmissions: TRANSMISSIONS,
            suspect_to_down_after: self.probe_interval * PROBES_UNTIL_DOWN,
            remove_down_after: self.reconnect_timeout.max(Duration::from_secs(60)),
            max_packet_size: NonZeroUsize::new(self.packet_bytes_max()).unwrap_or(NonZeroUsize::MIN),
            notify_down_members: true,
            periodic_announce: every(self.reconnect_interval.max(Duration::from_secs(30))),
            periodic_announce_to_down_members: None,
            periodic_gossip: every(self.gossip_interval),
        }
    }

    /// Where the others reach a member that listens at `bound`. `towards`: a peer, if one is known.
    pub(super) fn advertised(
        &self,
        bound: SocketAddr,
        towards: Option<SocketAddr>,
    ) -> Result<SocketAddr, Failure> {
        if let Some(text) = &self.advertise_address {
            let bad = |_| {
                Failure::usage(format!("--cluster.advertise-address {text}: no address of the form IP:PORT"))
            };
            let address = match text.parse::<IpAddr>() {
                Ok(ip) => SocketAddr::new(ip, bound.port()),
                Err(_) => text.parse::<SocketAddr>().map_err(bad)?,
            };
            let port = if address.port() == 0 { bound.port() } else { address.port() };
            return Ok(SocketAddr::new(address.ip(), port));
        }
        if !bound.ip().is_unspecified() {
            return Ok(bound);
        }
        let ip = way_out(towards).unwrap_or(IpAddr::from([127, 0, 0, 1]));
        if is_public(ip) && !self.may_advertise_public && !self.peers.is_empty() {
            return Err(Failure::usage(format!(
                "this machine's address {ip} is public: name the one for the peers with --cluster.advertise-address, or allow it \
                 with --cluster.allow-insecure-public-advertise-address-discovery"
            )));
        }
        Ok(SocketAddr::new(ip, bound.port()))
    }
}

/// The own address on the way to another one; nothing is sent.
fn way_out(towards: Option<SocketAddr>) -> Option<IpAddr> {
    // An address for documentation: it goes where everything unknown goes.
    let towards = towards.unwrap_or(SocketAddr::from(([192, 0, 2, 1], 9)));
    let any: IpAddr = if towards.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(towards).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared)
        }
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
    }
}
