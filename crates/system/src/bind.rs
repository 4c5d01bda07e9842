//! The addresses that a server is asked to listen at, and sockets bound to them.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    time::Duration,
};

use socket2::{Domain, Protocol, SockAddr, Type};

use crate::socket::{abstract_address, address_of, os_text};

/// How often another free port is tried when it is free for one address of a name only.
const PORT_ATTEMPTS: usize = 16;

/// Why an address cannot be listened on.
#[derive(Debug)]
pub enum ListenError {
    /// It is no address.
    Invalid(String),
    /// The operating system refuses.
    Refused(io::Error),
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenError::Invalid(why) => f.write_str(why),
            ListenError::Refused(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for ListenError {
    fn from(error: io::Error) -> Self {
        ListenError::Refused(error)
    }
}

/// A socket that is bound and does not listen yet.
pub struct BoundSocket {
    /// The socket.
    pub socket: socket2::Socket,
    /// The file of a Unix socket.
    pub path: Option<PathBuf>,
}

impl BoundSocket {
    /// Where it is bound, as gRPC writes it.
    pub fn address(&self) -> String {
        address_text(&self.socket)
    }
}

/// Where `socket` is bound, as gRPC writes it.
pub fn address_text(socket: &socket2::Socket) -> String {
    socket.local_addr().map_or_else(|_| String::new(), |address| address_of(&address).to_string())
}

/// Binds `address`; the port, 1 for Unix sockets. A name is bound at all its addresses, on one port.
pub fn bind_sockets(address: &str, reuse_port: bool) -> Result<(Vec<BoundSocket>, u16), ListenError> {
    if address == "unix:" || address == "unix-abstract:" {
        return Err(ListenError::Invalid(format!("{address:?} names no socket")));
    }
    if let Some(name) = address.strip_prefix("unix-abstract:") {
        let socket = bind_one(Domain::UNIX, &abstract_address(name.as_bytes())?, false)?;
        return Ok((vec![BoundSocket { socket, path: None }], 1));
    }
    if let Some(path) = address.strip_prefix("unix:") {
        let path = Path::new(path.strip_prefix("//").unwrap_or(path));
        remove_stale_socket(path);
        let socket = bind_one(Domain::UNIX, &SockAddr::unix(path)?, false)?;
        return Ok((vec![BoundSocket { socket, path: Some(path.to_owned()) }], 1));
    }
    let (host, port) = split(address)?;
    let addresses = addresses(&host)?;
    let mut attempts = PORT_ATTEMPTS;
    loop {
        attempts -= 1;
        let (sockets, bound) = bind_all(&addresses, port, reuse_port)?;
        // A port the kernel chose for one address may be taken for the other.
        if sockets.len() == addresses.len() || port != 0 || attempts == 0 {
            return Ok((sockets.into_iter().map(|socket| BoundSocket { socket, path: None }).collect(), bound));
        }
    }
}

/// Binds every address, on the port that the first got; it is enough that one can be bound.
fn bind_all(addresses: &[IpAddr], port: u16, reuse_port: bool) -> io::Result<(Vec<socket2::Socket>, u16)> {
    let mut bound = port;
    let mut sockets = Vec::new();
    let mut refused = None;
    for &ip in addresses {
        match bind_ip(ip, bound, reuse_port) {
            Ok(socket) => {
                if let Some(address) = socket.local_addr()?.as_socket() {
                    bound = address.port();
                }
                sockets.push(socket);
            }
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok((sockets, bound)),
    }
}

/// `[::]` and `0.0.0.0` both mean every address, of both families where the system has them.
fn bind_ip(ip: IpAddr, port: u16, reuse_port: bool) -> io::Result<socket2::Socket> {
    if ip.is_unspecified() {
        let any = SockAddr::from(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
        match bind_one(Domain::IPV6, &any, reuse_port) {
            // Without IPv6 there is still IPv4.
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                let any = SockAddr::from(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
                return bind_one(Domain::IPV4, &any, reuse_port);
            }
            other => return other,
        }
    }
    let address = SocketAddr::new(ip, port);
    bind_one(Domain::for_address(address), &SockAddr::from(address), reuse_port)
}

fn bind_one(domain: Domain, address: &SockAddr, reuse_port: bool) -> io::Result<socket2::Socket> {
    let protocol = if domain == Domain::UNIX { None } else { Some(Protocol::TCP) };
    let socket = socket2::Socket::new(domain, Type::STREAM, protocol)?;
    if protocol.is_some() {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(reuse_port)?;
    }
    if domain == Domain::IPV6 {
        let any = address.as_socket().is_some_and(|address| address.ip().is_unspecified());
        socket.set_only_v6(!any)?;
    }
    socket.bind(address)?;
    Ok(socket)
}

/// `host:port`, `[v6]:port`, or without a port, which is 443 then.
fn split(address: &str) -> Result<(String, u16), ListenError> {
    let invalid =
        || ListenError::Invalid(format!("{address:?} is not host:port, [v6]:port, unix:path or unix-abstract:name"));
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(invalid)?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or_else(invalid)?) })
        }
        None if address.matches(':').count() > 1 => (address, None),
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    if host.is_empty() || (host.contains(':') && host.parse::<Ipv6Addr>().is_err() && !host.contains('%')) {
        return Err(invalid());
    }
    let port = match port {
        None => 443,
        Some(port) => port.parse().map_err(|_| invalid())?,
    };
    Ok((host.to_owned(), port))
}

fn addresses(host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![ip]);
    }
    let mut found: Vec<IpAddr> = Vec::new();
    for address in (host, 0).to_socket_addrs()? {
        if !found.contains(&address.ip()) {
            found.push(address.ip());
        }
    }
    Ok(found)
}

/// A socket file that an earlier server left behind stands in the way of binding.
fn remove_stale_socket(path: &Path) {
    use std::os::unix::fs::FileTypeExt;
    if std::fs::metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
        let _ = std::fs::remove_file(path);
    }
}

/// What is said of an error of accepting, which is tried again after `pause`.
pub fn cannot_accept(error: &io::Error, pause: Duration) -> String {
    let hint = if is_exhausted(error) {
        "; raise the limit, or set grpc.max_allowed_incoming_connections below it"
    } else {
        ""
    };
    format!("{}{hint}; trying again in {} ms", os_text(error), pause.as_millis())
}

/// Whether the system has no descriptor or memory left for another socket.
pub fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    exhausted.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
