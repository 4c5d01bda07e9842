use std::{fmt, net::SocketAddr};

use crate::Address;

/// What a user asks a channel for (grpc/grpc `doc/naming.md`).
///
/// | form | what it stands for |
/// |---|---|
/// | `host:port`, `dns:host:port`, `dns:///host:port` | a name of the DNS, looked up as the system does |
/// | `dns://server/host:port` | the same, looked up at the name server of this IP address; its port is 53 unless it has one |
/// | `passthrough:///host:port` | a host, looked up as the system does, and nothing else of the DNS |
/// | `ipv4:1.2.3.4:5,6.7.8.9:10`, `ipv6:[::1]:5` | these addresses |
/// | `unix:path`, `unix:///absolute/path`, `unix-abstract:name` | a Unix domain socket |
/// | `vsock:cid:port` | a socket between a virtual machine and its host |
///
/// The port of a host may be left out: it is 443 then. A URI (`scheme://...`) of another scheme is refused with that scheme's
/// name, for looking it up as a host would only hide what is missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// How addresses are found.
    pub endpoint: Endpoint,
    /// `:authority` unless the user sets one: the host and port as given, `localhost` for sockets without a host.
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
        /// Who is asked for what.
        asked: Asked,
    },
    /// They stand in the target.
    Addresses(Vec<Address>),
    /// By the channel's own resolver, which is asked for this.
    Custom {
        /// The whole target.
        target: String,
    },
}

/// Who is asked for what about a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// The system for its addresses, and the system's name servers for whatever else the channel wants of the DNS.
    System,
    /// The system for its addresses.
    Host,
    /// This name server for everything.
    Server(SocketAddr),
}

const DEFAULT_PORT: u16 = 443;

/// The port of a name server.
const DNS_PORT: u16 = 53;

/// The schemes that are known here, for texts.
const SCHEMES: &str = "dns, ipv4, ipv6, passthrough, unix, unix-abstract and vsock";

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
            // A host may have this name; then one number follows, its port.
            "vsock" if rest.parse::<u16>().is_err() => {
                let address = parse_vsock(uri_path(rest).trim_start_matches('/'));
                let address = address.ok_or_else(|| invalid("a vsock target is vsock:cid:port, of two numbers"))?;
                Ok(Target::fixed(vec![address], "localhost"))
            }
            "dns" => Target::dns_uri(rest).map_err(|why| invalid(&why)),
            "passthrough" if rest.starts_with("//") => {
                let target = Target::dns(uri_path(rest).trim_start_matches('/'), Asked::Host);
                target.ok_or_else(|| invalid("no host and port"))
            }
            _ if is_elsewhere(scheme, rest) => {
                Err(invalid(&format!("there is no resolver for the scheme {scheme:?} here, only for {SCHEMES}")))
            }
            _ => {
                Target::dns(text, Asked::System).ok_or_else(|| invalid("neither host:port nor a URI of a known scheme"))
            }
        }
    }

    /// The scheme of a target that has one.
    pub fn scheme(text: &str) -> Option<&str> {
        let (scheme, _) = text.split_once(':')?;
        is_scheme(scheme).then_some(scheme)
    }

    /// A target that the channel's own resolver is asked for. Its authority is the path of the URI.
    pub fn custom(text: &str) -> Target {
        let rest = text.split_once(':').map_or(text, |(_, rest)| rest);
        let authority = uri_path(rest).trim_start_matches('/').to_owned();
        Target { endpoint: Endpoint::Custom { target: text.to_owned() }, authority }
    }

    /// What a proxy is asked to connect to: the host and port of a name, or of the first address; `None` for a socket that is
    /// on this machine, and for what the channel's own resolver finds.
    pub fn host_and_port(&self) -> Option<(String, u16)> {
        match &self.endpoint {
            Endpoint::Dns { host, port, .. } => Some((host.clone(), *port)),
            Endpoint::Addresses(addresses) => match addresses.first() {
                Some(Address::Ip(address)) => Some((address.ip().to_string(), address.port())),
                Some(Address::Unix(_) | Address::UnixAbstract(_) | Address::Vsock { .. }) | None => None,
            },
            Endpoint::Custom { .. } => None,
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
        let asked = match server {
            "" => Asked::System,
            _ if path.is_empty() => return Err(format!("{server:?} stands for a name server: write dns:///{server}")),
            _ => Asked::Server(parse_server(server).ok_or_else(|| {
                format!("the name server {server:?} is no IP address: write dns://address/{path}, or dns:///{path}")
            })?),
        };
        Target::dns(path, asked).ok_or_else(|| "no host and port".to_owned())
    }

    fn dns(host_port: &str, asked: Asked) -> Option<Target> {
        let (host, port) = split_host_port(host_port)?;
        let host = host.to_owned();
        Some(Target { endpoint: Endpoint::Dns { host, port, asked }, authority: host_port.to_owned() })
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
    match scheme {
        // A host may have the name; its port is a number, and there is one.
        "xds" | "google-c2p" | "google-c2p-experimental" => rest.parse::<u16>().is_err(),
        _ => is_scheme(scheme) && rest.starts_with("//"),
    }
}

/// Whether this may be a scheme (RFC 3986, 3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
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

/// An IP address, with a port or without; IPv6 in brackets or bare.
fn parse_server(text: &str) -> Option<SocketAddr> {
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((host, "")) => (host, DNS_PORT),
        Some((host, port)) => (host, port.strip_prefix(':')?.parse().ok()?),
        None => match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, port.parse().ok()?),
            _ => (text, DNS_PORT),
        },
    };
    Some(SocketAddr::new(host.parse().ok()?, port))
}

fn parse_vsock(text: &str) -> Option<Address> {
    let (cid, port) = text.split_once(':')?;
    Some(Address::Vsock { cid: cid.parse().ok()?, port: port.parse().ok()? })
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
    use super::{Address, Asked, Endpoint, Target};

    fn dns(text: &str) -> (String, u16, Asked, String) {
        let target = Target::parse(text).unwrap();
        match target.endpoint {
            Endpoint::Dns { host, port, asked } => (host, port, asked, target.authority),
            other => panic!("{text} gave {other:?}"),
        }
    }

    fn fixed(text: &str) -> (Vec<String>, String) {
        let target = Target::parse(text).unwrap();
        match target.endpoint {
            Endpoint::Addresses(addresses) => (addresses.iter().map(Address::to_string).collect(), target.authority),
            other => panic!("{text} gave {other:?}"),
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
            ("vsock:50051", "vsock", 50051, "vsock:50051"),
            ("passthrough:50051", "passthrough", 50051, "passthrough:50051"),
            ("[::1]:5", "::1", 5, "[::1]:5"),
            ("::1", "::1", 443, "::1"),
            ("127.0.0.1:5", "127.0.0.1", 5, "127.0.0.1:5"),
            ("foo:bar", "foo:bar", 443, "foo:bar"),
        ] {
            assert_eq!(dns(text), (host.to_owned(), port, Asked::System, authority.to_owned()), "{text}");
        }
        let passed = ("h".to_owned(), 1, Asked::Host, "h:1".to_owned());
        assert_eq!((dns("passthrough:///h:1"), dns("passthrough://any/h:1")), (passed.clone(), passed));
    }

    #[test]
    fn names_at_a_name_server() {
        for (server, address) in [
            ("8.8.8.8", "8.8.8.8:53"),
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("[::1]", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
            ("::1", "[::1]:53"),
        ] {
            let asked = Asked::Server(address.parse().unwrap());
            let expected = ("a.test".to_owned(), 1, asked, "a.test:1".to_owned());
            assert_eq!(dns(&format!("dns://{server}/a.test:1")), expected, "{server}");
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
            ("vsock:3:50051", &["vsock:3:50051"], "localhost"),
            ("vsock:///4294967295:4294967295", &["vsock:4294967295:4294967295"], "localhost"),
        ] {
            let expected: Vec<String> = addresses.iter().map(|a| (*a).to_owned()).collect();
            assert_eq!(fixed(text), (expected, authority.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_a_users_resolver_is_asked_for() {
        for (text, scheme, authority) in [
            ("consul:///a.test/b", Some("consul"), "a.test/b"),
            ("consul:a.test", Some("consul"), "a.test"),
            ("consul://agent:1/a.test", Some("consul"), "a.test"),
            ("127.0.0.1:5", None, "5"),
            ("nothing", None, "nothing"),
        ] {
            assert_eq!(Target::scheme(text), scheme, "{text}");
            let target = Target::custom(text);
            assert_eq!((target.host_and_port(), &*target.authority), (None, authority), "{text}");
        }
    }

    #[test]
    fn what_no_resolver_here_can_do_is_refused_by_name() {
        for (text, why) in [
            ("xds:///service", "no resolver for the scheme \"xds\""),
            ("xds:service", "no resolver for the scheme \"xds\""),
            ("google-c2p:///bucket", "no resolver for the scheme \"google-c2p\""),
            ("http://localhost:1", "no resolver for the scheme \"http\""),
            ("nonsense://", "no resolver for the scheme \"nonsense\""),
            ("vsock:a:1", "a vsock target is vsock:cid:port, of two numbers"),
            ("vsock:4294967296:1", "a vsock target is vsock:cid:port, of two numbers"),
            ("passthrough:///", "no host and port"),
            ("dns://a.name.server/example.com:1", "the name server \"a.name.server\" is no IP address"),
            ("dns://[::1]x/example.com:1", "the name server \"[::1]x\" is no IP address"),
            ("dns://localhost:1", "\"localhost:1\" stands for a name server: write dns:///localhost:1"),
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
