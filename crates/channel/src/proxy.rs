//! HTTP CONNECT proxies (RFC 9110, 9.3.6): which one a channel goes through, and what is said to it.

use std::{fmt, net::IpAddr};

use crate::Target;

/// A proxy's answer is no longer than this, bytes.
const LONGEST_ANSWER: usize = 16 << 10;

/// A proxy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proxy {
    /// A name or an IP address.
    pub host: String,
    /// Its port; 443 when its URI has none, as in grpcio.
    pub port: u16,
    /// `user:password`, as the URI has it, percent signs decoded.
    credentials: Option<String>,
}

/// The texts that choose a proxy, of options and of the environment.
#[derive(Clone, Copy, Default, Debug)]
pub struct ProxyChoice<'a> {
    /// What the channel's own option says.
    pub option: Option<&'a str>,
    /// `grpc_proxy`, else `https_proxy`, else `http_proxy`; `None` also when these do not count.
    pub environment: Option<&'a str>,
    /// `no_grpc_proxy`, else `no_proxy`: hosts that the environment's proxy is not for.
    pub exceptions: Option<&'a str>,
}

/// Variables of the environment that name a proxy; the first that is set counts.
const PROXIES: [&str; 3] = ["grpc_proxy", "https_proxy", "http_proxy"];

/// Those that name hosts which it is not for.
const EXCEPTIONS: [&str; 2] = ["no_grpc_proxy", "no_proxy"];

/// The proxy on the way to a target: that of the channel's own option, else that of the environment, of which `variable` gives
/// the variables. An environment that gives none is one that does not count.
///
/// # Errors
/// The text that names it is no URI of an HTTP proxy.
pub fn on_the_way(
    target: &Target,
    option: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, InvalidProxy> {
    let Some((host, _)) = target.host_and_port() else { return Ok(None) };
    let first = |names: &[&str]| names.iter().find_map(|name| variable(name));
    let (environment, exceptions) = (first(&PROXIES), first(&EXCEPTIONS));
    let choice = ProxyChoice { option, environment: environment.as_deref(), exceptions: exceptions.as_deref() };
    choice.proxy_for(&host)
}

/// A proxy that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidProxy(String);

impl fmt::Display for InvalidProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidProxy {}

impl ProxyChoice<'_> {
    /// The proxy for a host, if it is to be reached through one. The environment's is never for this machine itself.
    ///
    /// # Errors
    /// The text is no URI of an HTTP proxy.
    pub fn proxy_for(&self, host: &str) -> Result<Option<Proxy>, InvalidProxy> {
        if let Some(uri) = self.option {
            return Proxy::parse(uri).map(Some);
        }
        match self.environment {
            Some(uri) if !uri.is_empty() && !is_this_machine(host) && !self.excepts(host) => {
                Proxy::parse(uri).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn excepts(&self, host: &str) -> bool {
        self.exceptions.unwrap_or_default().split(',').any(|rule| covers(rule.trim(), host))
    }
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether a rule of `no_proxy` is for this host: `*`, a name and what is under it, an address or a range of them.
fn covers(rule: &str, host: &str) -> bool {
    if rule.is_empty() {
        return false;
    }
    if rule == "*" {
        return true;
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return match rule.split_once('/') {
            Some((network, bits)) => is_in_range(ip, network, bits),
            None => rule.trim_matches(['[', ']']).parse() == Ok(ip),
        };
    }
    let (host, rule) = (host.to_ascii_lowercase(), rule.trim_start_matches('.').to_ascii_lowercase());
    host.strip_suffix(&rule).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_in_range(ip: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let (a, b, width) = match (ip, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    bits <= width && (a ^ b).checked_shr(width - bits).unwrap_or(0) == 0
}

impl Proxy {
    fn parse(uri: &str) -> Result<Proxy, InvalidProxy> {
        let invalid = |why: &str| InvalidProxy(format!("the proxy {uri:?} cannot be used: {why}"));
        let rest = match uri.split_once("://") {
            Some(("http", rest)) => rest,
            Some((scheme, _)) => return Err(invalid(&format!("its scheme is {scheme:?} and not http"))),
            None => uri,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (credentials, host_port) = match authority.rsplit_once('@') {
            Some((credentials, host_port)) => (Some(percent_decoded(credentials)), host_port),
            None => (None, authority),
        };
        let (host, port) = crate::target::split_host_port(host_port).ok_or_else(|| invalid("it names no host"))?;
        if host.contains(':') && host.parse::<IpAddr>().is_err() {
            return Err(invalid("its port is no number"));
        }
        Ok(Proxy { host: host.to_owned(), port, credentials })
    }

    /// What is sent to the proxy to reach `host:port`.
    pub fn request(&self, host: &str, port: u16) -> Vec<u8> {
        let name = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut request = format!("CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n");
        if let Some(credentials) = &self.credentials {
            request += &format!("Proxy-Authorization: Basic {}\r\n", base64(credentials.as_bytes()));
        }
        request += "\r\n";
        request.into_bytes()
    }
}

/// Whether the bytes that a proxy has sent so far are its whole answer, and a good one. What comes after the answer is
/// the server's, so ask after each byte.
///
/// # Errors
/// It refuses, or it is no HTTP proxy.
pub fn answer(received: &[u8]) -> Result<bool, InvalidProxy> {
    let is_http = received.iter().zip(b"HTTP/1.").all(|(a, b)| a == b);
    if !is_http || received.len() > LONGEST_ANSWER {
        return Err(InvalidProxy("the proxy does not speak HTTP/1".to_owned()));
    }
    if !received.ends_with(b"\r\n\r\n") {
        return Ok(false);
    }
    let line = received.split(|byte| *byte == b'\r').next().unwrap_or_default();
    match line.split(|byte| *byte == b' ').nth(1) {
        Some([b'2', _, _]) => Ok(true),
        _ => Err(InvalidProxy(format!("the proxy answered {:?}", String::from_utf8_lossy(line)))),
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) if byte == b'%' => {
                out.push(decoded);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Proxy, ProxyChoice, answer, covers, on_the_way};
    use crate::Target;

    fn chosen(choice: ProxyChoice<'_>, host: &str) -> Option<(String, u16)> {
        choice.proxy_for(host).unwrap().map(|proxy| (proxy.host, proxy.port))
    }

    #[test]
    fn the_option_goes_before_the_environment_and_its_exceptions() {
        let environment = ProxyChoice {
            environment: Some("http://env:1"),
            exceptions: Some("a.test, 10.0.0.0/8"),
            ..Default::default()
        };
        let both = ProxyChoice { option: Some("opt:2"), ..environment };
        assert_eq!(chosen(environment, "b.test"), Some(("env".to_owned(), 1)));
        for host in ["a.test", "x.a.test", "10.1.2.3", "localhost", "127.0.0.1", "::1"] {
            assert_eq!(chosen(environment, host), None, "{host}");
            assert_eq!(chosen(both, host), Some(("opt".to_owned(), 2)), "{host}");
        }
        assert_eq!(chosen(ProxyChoice::default(), "b.test"), None);
        assert_eq!(chosen(ProxyChoice { environment: Some(""), ..Default::default() }, "b.test"), None);
    }

    #[test]
    fn exceptions() {
        for (rule, host, is_covered) in [
            ("*", "any", true),
            ("", "any", false),
            ("test", "a.TEST", true),
            (".a.test", "a.test", true),
            ("a.test", "ba.test", false),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/33", "10.0.0.1", false),
            ("10.0.0.0/x", "10.0.0.1", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("192.168.1.1", "192.168.1.1", true),
            ("192.168.1.1", "192.168.1.10", false),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "fd12::1", true),
            ("[fd12::1]", "fd12::1", true),
        ] {
            assert_eq!(covers(rule, host), is_covered, "{rule:?} {host:?}");
        }
    }

    #[test]
    fn a_target_has_the_proxy_of_the_environment_unless_it_is_excepted_or_on_this_machine() {
        let chosen = |target: &str, variables: &[(&str, &str)]| {
            let find =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            let target = Target::parse(target).unwrap();
            on_the_way(&target, None, find).unwrap().map(|proxy| (proxy.host, proxy.port))
        };
        let all = [("http_proxy", "h:1"), ("grpc_proxy", "g:2"), ("no_proxy", "a.test,10.0.0.0/8")];
        for (target, expected) in [
            ("b.test:1", Some(("g".to_owned(), 2))),
            ("ipv4:11.0.0.1:1", Some(("g".to_owned(), 2))),
            ("a.test:1", None),
            ("ipv4:10.0.0.1:1", None),
            ("localhost:1", None),
            ("unix:/run/x", None),
        ] {
            assert_eq!(chosen(target, &all), expected, "{target}");
        }
        assert_eq!(chosen("a.test:1", &[("https_proxy", "s:3")]), Some(("s".to_owned(), 3)));
        assert_eq!(chosen("a.test:1", &[]), None);
    }

    #[test]
    fn requests() {
        let text =
            |proxy: &str, host, port| String::from_utf8(Proxy::parse(proxy).unwrap().request(host, port)).unwrap();
        assert_eq!(text("http://p:1/", "h", 2), "CONNECT h:2 HTTP/1.1\r\nHost: h:2\r\n\r\n");
        assert!(text("p:1", "::1", 2).starts_with("CONNECT [::1]:2 HTTP/1.1\r\n"));
        assert!(
            text("http://us%65r:pa%3Ass@p:1", "h", 2).contains("\r\nProxy-Authorization: Basic dXNlcjpwYTpzcw==\r\n")
        );
        assert!(text("http://a@p:1", "h", 2).contains("Basic YQ==\r\n"));
        for bad in ["", "https://p:1", "socks5://p", "http://", "http://p:x"] {
            assert!(Proxy::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn answers() {
        assert_eq!(answer(b""), Ok(false));
        assert_eq!(answer(b"HTTP/1.1 200 OK\r\nA: b\r\n"), Ok(false));
        assert_eq!(answer(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"), Ok(true));
        assert!(answer(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").unwrap_err().to_string().contains("407"));
        assert!(answer(b"SSH-2.0").is_err());
        assert!(answer(b"HTTP/1.1\r\n\r\n").is_err());
        assert_eq!(answer(&[b"HTTP/1.1 200 ".as_slice(), &[b'x'; 16 << 10]].concat()[..16 << 10]), Ok(false));
        assert!(answer(&[b"HTTP/1.1 200 ".as_slice(), &[b'x'; 16 << 10]].concat()).is_err());
    }
}
