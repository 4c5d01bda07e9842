//! Listening sockets.

use std::{
    fmt,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    task::{Context, Poll},
};

use farcall_channel::Address;
use farcall_serving::limits::BACKLOG;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, lookup_host};

use crate::{connect::reason, stream::Stream};

/// How often a free port is looked for that every address of a name has free.
const PORT_ATTEMPTS: usize = 16;

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: ListeningSocket,
}

#[derive(Debug)]
enum ListeningSocket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener, Address),
}

impl Listener {
    /// Binds every address that a text means: `127.0.0.1:50051`, `[::]:50051` (which takes IPv4 too), `localhost:0`
    /// (all addresses of the name, on one port), `unix:/path`, `unix-abstract:name`. Port 0 is a free one.
    ///
    /// # Errors
    /// The system's error, with a text that names the address: `Failed to bind to address ...: Address already in use`.
    pub async fn bind(address: &str) -> io::Result<Vec<Listener>> {
        bind(address).await.map_err(|error| {
            io::Error::new(error.kind(), format!("Failed to bind to address {address}: {}", reason(&error)))
        })
    }

    /// The address, with the port that was found.
    ///
    /// # Errors
    /// The system's, when it does not know its own socket any more.
    pub fn local_address(&self) -> io::Result<Address> {
        match &self.socket {
            ListeningSocket::Tcp(socket) => socket.local_addr().map(Address::Ip),
            #[cfg(unix)]
            ListeningSocket::Unix(_, address) => Ok(address.clone()),
        }
    }

    pub(crate) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<(Stream, Address)>> {
        match &self.socket {
            ListeningSocket::Tcp(listener) => listener.poll_accept(context).map_ok(|(socket, peer)| {
                // Delayed small writes are only slower, not wrong.
                let _ = socket.set_nodelay(true);
                (Stream::Tcp(socket), Address::Ip(plain(peer)))
            }),
            #[cfg(unix)]
            ListeningSocket::Unix(listener, _) => {
                // A client's socket has no name as a rule.
                listener.poll_accept(context).map_ok(|(socket, _)| (Stream::Unix(socket), Address::Unix("".into())))
            }
        }
    }
}

/// Takes the socket's file away, as every gRPC does.
#[cfg(unix)]
impl Drop for Listener {
    fn drop(&mut self) {
        if let ListeningSocket::Unix(_, Address::Unix(path)) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local_address() {
            Ok(address) => address.fmt(f),
            Err(_) => f.write_str("a listener"),
        }
    }
}

async fn bind(address: &str) -> io::Result<Vec<Listener>> {
    if let Some(name) = address.strip_prefix("unix-abstract:") {
        return bind_unix(Address::UnixAbstract(name.as_bytes().to_vec()));
    }
    if let Some(path) = address.strip_prefix("unix:") {
        return bind_unix(Address::Unix(path.strip_prefix("//").unwrap_or(path).into()));
    }
    let mut found: Vec<SocketAddr> = lookup_host(address).await?.collect();
    found.sort_unstable();
    found.dedup();
    let sockets = bind_all(&found)?;
    sockets
        .into_iter()
        .map(|socket| Ok(Listener { socket: ListeningSocket::Tcp(TcpListener::from_std(socket)?) }))
        .collect()
}

/// One socket for each address, all on one port. When the first asks for a free port, another may have it taken on a
/// later address, and the search begins anew.
fn bind_all(addresses: &[SocketAddr]) -> io::Result<Vec<std::net::TcpListener>> {
    let mut last = io::Error::new(ErrorKind::AddrNotAvailable, "no address");
    for _ in 0..PORT_ATTEMPTS {
        let mut sockets = Vec::new();
        let mut port = None;
        last = io::Error::new(ErrorKind::AddrNotAvailable, "no address");
        for &address in addresses {
            let wanted = SocketAddr::new(address.ip(), port.unwrap_or(address.port()));
            match bind_tcp(wanted) {
                Ok(socket) => {
                    port = Some(socket.local_addr()?.port());
                    sockets.push(socket);
                }
                Err(error) => last = error,
            }
        }
        let port_is_given = addresses.iter().all(|address| address.port() != 0);
        let in_use = last.kind() == ErrorKind::AddrInUse;
        // An address family that the system does not have is passed over, a port in use is not.
        if !sockets.is_empty() && !in_use {
            return Ok(sockets);
        }
        if port_is_given || !in_use {
            break;
        }
    }
    Err(last)
}

fn bind_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let any_v6 = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let socket = match Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)) {
        Err(_) if any_v6 => {
            // A system without IPv6: the other half of `[::]` is all there is.
            return bind_tcp(SocketAddr::from(([0, 0, 0, 0], address.port())));
        }
        socket => socket?,
    };
    if any_v6 {
        socket.set_only_v6(false)?;
    } else if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // On Windows this would let two servers share a port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(unix)]
fn bind_unix(address: Address) -> io::Result<Vec<Listener>> {
    use std::os::unix::fs::FileTypeExt;

    // A socket that another process left behind would be in the way for ever.
    if let Address::Unix(path) = &address
        && std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
    {
        std::fs::remove_file(path)?;
    }
    let listener = tokio::net::UnixListener::bind(crate::connect::unix_path(&address)?)?;
    Ok(vec![Listener { socket: ListeningSocket::Unix(listener, address) }])
}

#[cfg(not(unix))]
fn bind_unix(_address: Address) -> io::Result<Vec<Listener>> {
    Err(io::Error::new(ErrorKind::Unsupported, "Unix domain sockets are not supported here"))
}

/// A client that came over IPv4 to a socket that takes both has its IPv4 address.
fn plain(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::from((v4, v6.port())),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use farcall_channel::Address;

    use super::Listener;

    async fn ports(address: &str) -> Vec<u16> {
        let listeners = Listener::bind(address).await.unwrap();
        let port = |listener: &Listener| match listener.local_address().unwrap() {
            Address::Ip(address) => address.port(),
            other => panic!("{other}"),
        };
        listeners.iter().map(port).collect()
    }

    #[tokio::test]
    async fn a_name_is_bound_on_one_port() {
        let ports = ports("localhost:0").await;
        assert!(!ports.is_empty() && ports.iter().all(|port| *port == ports[0] && *port != 0), "{ports:?}");
    }

    #[tokio::test]
    async fn any_address_takes_both_families() {
        let listeners = Listener::bind("[::]:0").await.unwrap();
        let Address::Ip(address) = listeners[0].local_address().unwrap() else { panic!("not IP") };
        std::net::TcpStream::connect(("127.0.0.1", address.port())).unwrap();
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let taken = ports_held("127.0.0.1:0").await;
        let address = format!("127.0.0.1:{}", taken.1);
        let error = Listener::bind(&address).await.unwrap_err();
        assert_eq!(error.to_string(), format!("Failed to bind to address {address}: Address already in use"));
    }

    async fn ports_held(address: &str) -> (Vec<Listener>, u16) {
        let listeners = Listener::bind(address).await.unwrap();
        let Address::Ip(bound) = listeners[0].local_address().unwrap() else { panic!("not IP") };
        (listeners, bound.port())
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_unix_socket_left_behind_is_replaced_and_taken_away() {
        let path = std::env::temp_dir().join(format!("farcall-listener-{}.sock", std::process::id()));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let listeners = Listener::bind(&format!("unix:{}", path.display())).await.unwrap();
        drop(listeners);
        assert!(!path.exists());
    }
}
