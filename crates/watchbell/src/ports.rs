//! All ports are checked before any is opened.

use std::net::{SocketAddr, TcpListener};

use crate::flags::Flags;

/// A port that somebody else holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenPort {
    /// The address.
    pub address: SocketAddr,
    /// The flag that chooses another one.
    pub flag: &'static str,
    /// What the operating system says.
    pub reason: String,
}

/// The ports that cannot be opened. They are opened and closed again at once, so another process may still take one.
pub fn check_ports(flags: &Flags) -> Vec<TakenPort> {
    let wanted = [
        ("--listen.gateway", flags.gateway),
        ("--listen.metrics", flags.metrics),
        ("--listen.logs", flags.logs),
        ("--listen.alerts", flags.alerts),
        ("--listen.agent", flags.agent),
    ];
    let mut held = Vec::new();
    let mut taken = Vec::new();
    for (flag, address) in wanted {
        match TcpListener::bind(address) {
            Ok(listener) => held.push(listener),
            Err(error) => taken.push(TakenPort { address, flag, reason: error.to_string() }),
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::flags::Arguments;

    #[test]
    fn every_taken_port_is_named_with_its_flag() {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let second = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut flags = Arguments::parse_from(["watchbell"]).flags;
        for address in
            [&mut flags.gateway, &mut flags.metrics, &mut flags.logs, &mut flags.alerts, &mut flags.agent]
        {
            *address = "127.0.0.1:0".parse().unwrap();
        }
        assert_eq!(check_ports(&flags), []);
        flags.logs = first.local_addr().unwrap();
        flags.agent = second.local_addr().unwrap();
        let names: Vec<_> = check_ports(&flags).into_iter().map(|taken| taken.flag).collect();
        assert_eq!(names, ["--listen.logs", "--listen.agent"]);
    }
}
