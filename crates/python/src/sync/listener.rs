//! Sockets that accept connections for a server, and the addresses they are asked for.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    os::fd::{AsRawFd, RawFd},
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use farcall_engine::Cause;
use socket2::{Domain, Protocol, SockAddr, Type};

use super::{
    server::Server,
    socket::{Socket, abstract_address, address_of, os_text},
};
use crate::{credentials::PortSecurity, process, reports::Remark};

/// Connections the kernel may hold until they are accepted.
pub(crate) const BACKLOG: i32 = 4096;

/// How long to wait when the system accepts nothing, mostly because no descriptor is left.
pub(crate) const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Connections accepted before those that are there get their turn.
pub(crate) const ACCEPTS_IN_A_ROW: usize = 16;

/// How often another free port is tried when it is free for one address of a name only.
const PORT_ATTEMPTS: usize = 16;

/// A bound and listening socket.
pub(crate) struct Listener {
    pub(crate) token: usize,
    socket: socket2::Socket,
    server: Weak<Server>,
    security: Option<PortSecurity>,
    /// The file of a Unix socket, removed at the end.
    path: Option<PathBuf>,
    generation: u32,
}

/// How far a listener has come.
pub(crate) enum Accepted {
    /// Nothing waits any more.
    All,
    /// More may wait.
    Some,
    /// The system refuses for now: to be tried again after this time.
    Refused(Duration),
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub(crate) enum ListenError {
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

impl Listener {
    fn new(
        socket: socket2::Socket,
        server: &Weak<Server>,
        security: Option<&PortSecurity>,
        path: Option<PathBuf>,
    ) -> io::Result<Arc<Listener>> {
        // From the end of the numbers, so that they never meet those of connections.
        static TOKENS: AtomicUsize = AtomicUsize::new(usize::MAX >> 1);
        socket.set_nonblocking(true)?;
        socket.listen(BACKLOG)?;
        Ok(Arc::new(Listener {
            token: TOKENS.fetch_sub(1, Ordering::Relaxed),
            socket,
            server: Weak::clone(server),
            security: security.cloned(),
            path,
            generation: process::generation(),
        }))
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Where it listens, as gRPC writes it.
    pub(crate) fn address(&self) -> String {
        address_text(&self.socket)
    }

    /// Accepts what waits, as far as its turn goes.
    pub(crate) fn accept(&self) -> Accepted {
        let Some(server) = self.server.upgrade() else { return Accepted::All };
        for _ in 0..ACCEPTS_IN_A_ROW {
            match self.socket.accept() {
                Ok((socket, _)) => {
                    // A peer that is gone already is no loss.
                    if let Ok(socket) = Socket::accepted(socket, self.path.is_none() && self.is_tcp()) {
                        server.serve(socket, self.security.as_ref());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Accepted::All,
                // The connection was reset before it was accepted: the next may be there.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    server.say(Remark::new(Cause::Accept, cannot_accept(&error)), "");
                    return Accepted::Refused(ACCEPT_AGAIN);
                }
            }
        }
        Accepted::Some
    }

    fn is_tcp(&self) -> bool {
        self.socket.local_addr().is_ok_and(|address| address.as_socket().is_some())
    }
}

/// What is said of an error of accepting.
pub(crate) fn cannot_accept(error: &io::Error) -> String {
    let hint = if is_exhausted(error) {
        "; raise the limit, or set grpc.max_allowed_incoming_connections below it"
    } else {
        ""
    };
    format!("{}{hint}", os_text(error))
}

pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    exhausted.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let (Some(path), true) = (&self.path, self.generation == process::generation()) {
            // Somebody may have removed it already.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Binds `address` for a server; the port, as of [`bind_sockets`].
pub(crate) fn bind(
    address: &str,
    reuse_port: bool,
    server: &Weak<Server>,
    security: Option<&PortSecurity>,
) -> Result<(Vec<Arc<Listener>>, u16), ListenError> {
    let (sockets, port) = bind_sockets(address, reuse_port)?;
    let listeners: io::Result<Vec<_>> =
        sockets.into_iter().map(|bound| Listener::new(bound.socket, server, security, bound.path)).collect();
    Ok((listeners?, port))
}

/// A socket that is bound and does not listen yet.
pub(crate) struct BoundSocket {
    pub(crate) socket: socket2::Socket,
    /// The file of a Unix socket.
    pub(crate) path: Option<PathBuf>,
}

impl BoundSocket {
    /// Where it is bound, as gRPC writes it.
    pub(crate) fn address(&self) -> String {
        address_text(&self.socket)
    }
}

fn address_text(socket: &socket2::Socket) -> String {
    socket.local_addr().map_or_else(|_| String::new(), |address| address_of(&address).to_string())
}

/// Binds `address`; the port, 1 for Unix sockets. A name is bound at all its addresses, on one port.
pub(crate) fn bind_sockets(address: &str, reuse_port: bool) -> Result<(Vec<BoundSocket>, u16), ListenError> {
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
