use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6},
    time::Duration,
};

use resolv_conf::ScopedIp;

/// Name servers that are asked, as many as glibc takes.
const MOST_SERVERS: usize = 3;

/// Domains of a search list, as many as glibc once took: each costs a query of all servers.
const MOST_DOMAINS: usize = 6;

/// The port of name servers in `resolv.conf`.
const PORT: u16 = 53;

/// Name servers, and how they are asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameServers {
    pub(super) servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
    pub(super) attempts: usize,
    pub(super) timeout: Duration,
}

impl NameServers {
    /// This one, for names that are whole.
    pub fn at(server: SocketAddr) -> NameServers {
        NameServers {
            servers: vec![server],
            search: Vec::new(),
            ndots: 0,
            attempts: 2,
            timeout: Duration::from_secs(5),
        }
    }

    /// Those of a `resolv.conf` (its page in section 5 of the manual). What cannot be read in it is passed over; without a
    /// server in it there is one on this machine.
    pub fn of_resolv_conf(text: &str) -> NameServers {
        let (config, _) = resolv_conf::Config::parse_with_errors(text.as_bytes());
        let mut servers: Vec<SocketAddr> = config.nameservers.iter().filter_map(address).take(MOST_SERVERS).collect();
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        NameServers {
            servers,
            search: config.get_last_search_or_domain().take(MOST_DOMAINS).cloned().collect(),
            // glibc's bounds.
            ndots: config.ndots.min(15) as usize,
            attempts: config.attempts.clamp(1, 5) as usize,
            timeout: Duration::from_secs(config.timeout.clamp(1, 30).into()),
        }
    }

    /// The whole names that a name may stand for, in order.
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(whole) = name.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let mut names: Vec<String> = self.search.iter().map(|domain| format!("{name}.{domain}")).collect();
        let first = name.matches('.').count() >= self.ndots;
        names.insert(if first { 0 } else { names.len() }, name.to_owned());
        names
    }
}

/// An interface's name is for the system to number, so that such a server is not asked.
fn address(server: &ScopedIp) -> Option<SocketAddr> {
    match server {
        ScopedIp::V4(ip) => Some((IpAddr::V4(*ip), PORT).into()),
        ScopedIp::V6(ip, scope) => {
            let scope = scope.as_ref().map_or(Some(0), |scope| scope.parse().ok())?;
            Some(SocketAddrV6::new(*ip, PORT, 0, scope).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::NameServers;

    #[test]
    fn a_resolv_conf_is_read_within_glibcs_bounds() {
        let text = "nameserver 10.0.0.1\nnameserver fd00::1\nnameserver fe80::1%eth0\nnameserver fe80::1%2\nnameserver 10.0.0.4\n\
                    search a.test b.test\noptions ndots:2 timeout:99 attempts:0\nnonsense\n";
        let servers = NameServers::of_resolv_conf(text);
        let addresses: Vec<String> = servers.servers.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.0.0.1:53", "[fd00::1]:53", "[fe80::1%2]:53"]);
        assert_eq!((servers.attempts, servers.timeout), (1, Duration::from_secs(30)));
        assert_eq!(servers.candidates("x"), ["x.a.test", "x.b.test", "x"]);
        assert_eq!(servers.candidates("x.y.z"), ["x.y.z", "x.y.z.a.test", "x.y.z.b.test"]);
        assert_eq!(servers.candidates("x."), ["x"]);
    }

    #[test]
    fn without_a_server_there_is_one_on_this_machine() {
        let servers = NameServers::of_resolv_conf("");
        assert_eq!(servers.servers, ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!((servers.attempts, servers.timeout), (2, Duration::from_secs(5)));
        assert_eq!(servers.candidates("x"), ["x"]);
    }
}
