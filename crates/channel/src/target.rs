use std::{fmt, net::SocketAddr};

use crate::Address;

/// What a user asks a channel for (grpc/grpc `doc/naming.md`).
///
/// `host:port`, `dns:host:port`, `dns:///host:port`, `ipv4:1.2.3.4:5,6.7.8.9:10`, `ipv6:[::1]:5`, `unix:path`,
/// `unix:///absolute/path`, `unix-abstract:name`. The port may be left out: it is 443 then. A URI (`scheme://...`) of
/// another scheme is refused with that scheme's name, for looking it up as a host would only hide what is missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// How addresses are found.
    pub endpoint: Endpoint,
    /// `:authority` unless the user sets one: the host and port as given, `localhost` for Unix sockets.
    pub authority: String,
}

/// How the addresses of a target are found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// By resolving a host name.
    Dns {
        /// A name or an IP address, without brackets.
        host: String,
        /// The port; 443 when the target has none.
        port: u16,
    },
    /// They stand in the target.
    Addresses(Vec<Address>),
}

const DEFAULT_PORT: u16 = 443;

impl Target {
    /// Reads a target.
    ///
    /// # Errors
    /// [`InvalidTarget`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Target, InvalidTarget> {
        let invalid = |why: &str| InvalidTarget { target: text.to_owned(), why: why.to_owned() };
        let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
        match scheme {
            "unix" => {
                let path = uri_path(rest);
                if path.is_empty() {
                    return Err(invalid("a unix target needs a path"));
                }
                Ok(Target::fixed(vec![Address::Unix(path.into())], "localhost"))
            }
            "unix-abstract" => {
                let name = uri_path(rest);
                if name.is_empty() {
                    return Err(invalid("a unix-abstract target needs a name"));
                }
                Ok(Target::fixed(vec![Address::UnixAbstract(name.as_bytes().to_vec())], "localhost"))
            }
            "ipv4" | "ipv6" => {
                let list = uri_path(rest).trim_start_matches('/');
                let mut addresses = Vec::new();
                for item in list.split(',') {
                    let address = parse_ip(item)
                        .filter(|address| address.is_ipv6() == (scheme == "ipv6"))
                        .ok_or_else(|| invalid(&format!("{item:?} is not an {scheme} address with a port")))?;
                    addresses.push(Address::Ip(address));
                }
                Ok(Target::fixed(addresses, list.split(',').next().unwrap_or_default()))
            }
            "dns" => Target::dns_uri(rest).map_err(|why| invalid(&why)),
            _ if is_elsewhere(scheme, rest) => Err(invalid(&format!(
                "there is no resolver for the scheme {scheme:?} here, only for dns, ipv4, ipv6, unix and unix-abstract"
            ))),
            _ => Target::dns(text).ok_or_else(|| invalid("neither host:port nor a URI of a known scheme")),
        }
    }

    /// What a proxy is asked to connect to: the host and port of a name, or of the first address; `None` for a socket that is
    /// on this machine.
    pub fn host_and_port(&self) -> Option<(String, u16)> {
        match &self.endpoint {
            Endpoint::Dns { host, port } => Some((host.clone(), *port)),
            Endpoint::Addresses(addresses) => match addresses.first() {
                Some(Address::Ip(address)) => Some((address.ip().to_string(), address.port())),
                Some(Address::Unix(_) | Address::UnixAbstract(_)) | None => None,
            },
        }
    }

    /// For a channel that never connects.
    pub(crate) fn nowhere() -> Target {
        Target::fixed(Vec::new(), "")
    }

    fn fixed(addresses: Vec<Address>, authority: &str) -> Target {
        Target { endpoint: Endpoint::Addresses(addresses), authority: authority.to_owned() }
    }

    /// What follows `dns:`; what is wrong with it, if it cannot be resolved.
    fn dns_uri(rest: &str) -> Result<Target, String> {
        let path = uri_path(rest).trim_start_matches('/');
        let server = rest.strip_prefix("//").and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if server.is_empty() {
            return Target::dns(path).ok_or_else(|| "no host and port".to_owned());
        }
        let meant = if path.is_empty() { server } else { path };
        Err(format!(
            "names are looked up by the system's resolver, which asks the name servers it is configured with, not \
             {server:?}: write dns:///{meant}"
        ))
    }

    fn dns(host_port: &str) -> Option<Target> {
        let (host, port) = split_host_port(host_port)?;
        let host = host.to_owned();
        Some(Target { endpoint: Endpoint::Dns { host, port }, authority: host_port.to_owned() })
    }
}

/// The path of what follows `scheme:`: an authority (`//server/`) is passed over.
fn uri_path(rest: &str) -> &str {
    match rest.strip_prefix("//") {
        Some(hierarchical) => hierarchical.find('/').map_or("", |slash| &hierarchical[slash..]),
        None => rest,
    }
}

/// Whether `scheme:rest` asks for a resolver that is not here, and is no host with a port.
fn is_elsewhere(scheme: &str, rest: &str) -> bool {
    let named = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    match scheme {
        // A host may have the name; its port is a number, and there is one.
        "xds" | "google-c2p" | "google-c2p-experimental" | "vsock" => rest.parse::<u16>().is_err(),
        _ => named && rest.starts_with("//"),
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`, or a bare v6 address.
pub(crate) fn split_host_port(text: &str) -> Option<(&str, u16)> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']')?;
        let port = match after.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if after.is_empty() => DEFAULT_PORT,
            None => return None,
        };
        return Some((host, port)).filter(|(host, _)| !host.is_empty());
    }
    match text.rsplit_once(':') {
        Some(("", _)) => None,
        Some((host, _)) if host.contains(':') => Some((text, DEFAULT_PORT)),
        // A port that is no number makes the whole text a name, which resolving will refuse, as in every gRPC.
        Some((host, port)) => Some(port.parse().map_or((text, DEFAULT_PORT), |port| (host, port))),
        None => Some((text, DEFAULT_PORT)),
    }
    .filter(|(host, _)| !host.is_empty())
}

fn parse_ip(text: &str) -> Option<SocketAddr> {
    let (host, port) = split_host_port(text)?;
    Some(SocketAddr::new(host.parse().ok()?, port))
}

/// A target that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidTarget {
    /// The target as given.
    pub target: String,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for InvalidTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failed to create channel to '{}':the target uri is not valid: {}", self.target, self.why)
    }
}

impl std::error::Error for InvalidTarget {}

#[cfg(test)]
mod tests {
    use super::{Address, Endpoint, Target};

    fn dns(text: &str) -> (String, u16, String) {
        let target = Target::parse(text).unwrap();
        match target.endpoint {
            Endpoint::Dns { host, port } => (host, port, target.authority),
            Endpoint::Addresses(addresses) => panic!("{text} gave {addresses:?}"),
        }
    }

    fn fixed(text: &str) -> (Vec<String>, String) {
        let target = Target::parse(text).unwrap();
        match target.endpoint {
            Endpoint::Addresses(addresses) => (addresses.iter().map(Address::to_string).collect(), target.authority),
            Endpoint::Dns { .. } => panic!("{text} gave a name"),
        }
    }

    #[test]
    fn names() {
        for (text, host, port, authority) in [
            ("localhost:50051", "localhost", 50051, "localhost:50051"),
            ("example.com", "example.com", 443, "example.com"),
            ("dns:example.com:1", "example.com", 1, "example.com:1"),
            ("dns:///example.com:1", "example.com", 1, "example.com:1"),
            ("xds:50051", "xds", 50051, "xds:50051"),
            ("[::1]:5", "::1", 5, "[::1]:5"),
            ("::1", "::1", 443, "::1"),
            ("127.0.0.1:5", "127.0.0.1", 5, "127.0.0.1:5"),
            ("foo:bar", "foo:bar", 443, "foo:bar"),
        ] {
            assert_eq!(dns(text), (host.to_owned(), port, authority.to_owned()), "{text}");
        }
    }

    #[test]
    fn addresses() {
        for (text, addresses, authority) in [
            ("ipv4:1.2.3.4:5,6.7.8.9:10", &["ipv4:1.2.3.4:5", "ipv4:6.7.8.9:10"][..], "1.2.3.4:5"),
            ("ipv6:[::1]:5", &["ipv6:%5B::1%5D:5"], "[::1]:5"),
            ("unix:relative/path", &["unix:relative/path"], "localhost"),
            ("unix:/absolute", &["unix:/absolute"], "localhost"),
            ("unix:///absolute", &["unix:/absolute"], "localhost"),
            ("unix-abstract:name", &["unix-abstract:name"], "localhost"),
        ] {
            let expected: Vec<String> = addresses.iter().map(|a| (*a).to_owned()).collect();
            assert_eq!(fixed(text), (expected, authority.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_no_resolver_here_can_do_is_refused_by_name() {
        for (text, why) in [
            ("xds:///service", "no resolver for the scheme \"xds\""),
            ("xds:service", "no resolver for the scheme \"xds\""),
            ("vsock:3:50051", "no resolver for the scheme \"vsock\""),
            ("google-c2p:///bucket", "no resolver for the scheme \"google-c2p\""),
            ("passthrough:///localhost:1", "no resolver for the scheme \"passthrough\""),
            ("http://localhost:1", "no resolver for the scheme \"http\""),
            ("nonsense://", "no resolver for the scheme \"nonsense\""),
            ("dns://8.8.8.8/example.com:1", "not \"8.8.8.8\": write dns:///example.com:1"),
            ("dns://[::1]:53/example.com", "not \"[::1]:53\": write dns:///example.com"),
            ("dns://localhost:1", "not \"localhost:1\": write dns:///localhost:1"),
        ] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(&format!("'{text}'")), "{error}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_the_target_in_the_text() {
        for text in ["", ":1", "[::1", "ipv4:999.1.1.1:1", "ipv4:[::1]:1", "unix:", "dns:"] {
            let error = Target::parse(text).unwrap_err();
            assert!(error.to_string().contains(&format!("'{text}'")), "{error}");
        }
    }
}
