use std::{fmt, net::SocketAddr, path::PathBuf};

/// Where a connection can be made to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Address {
    /// TCP over IPv4 or IPv6.
    Ip(SocketAddr),
    /// A Unix domain socket by path.
    Unix(PathBuf),
    /// A Unix domain socket by abstract name (Linux), without the leading NUL.
    UnixAbstract(Vec<u8>),
    /// A socket between a virtual machine and its host (Linux).
    Vsock {
        /// The machine's number: its context identifier.
        cid: u32,
        /// The port.
        port: u32,
    },
}

/// As gRPC writes a peer: `ipv4:127.0.0.1:50051`, `ipv6:%5B::1%5D:50051`, `unix:/run/x`, `unix-abstract:x`, `vsock:3:5`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(SocketAddr::V4(address)) => write!(f, "ipv4:{address}"),
            Address::Ip(SocketAddr::V6(address)) => match address.scope_id() {
                0 => write!(f, "ipv6:%5B{}%5D:{}", address.ip(), address.port()),
                scope => write!(f, "ipv6:%5B{}%25{scope}%5D:{}", address.ip(), address.port()),
            },
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::UnixAbstract(name) => write!(f, "unix-abstract:{}", name.escape_ascii()),
            Address::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn is_written_as_grpc_writes_a_peer() {
        let ip = |text: &str| Address::Ip(text.parse().unwrap()).to_string();
        assert_eq!(ip("127.0.0.1:5"), "ipv4:127.0.0.1:5");
        assert_eq!(ip("[::1]:5"), "ipv6:%5B::1%5D:5");
        assert_eq!(Address::Unix("/run/x".into()).to_string(), "unix:/run/x");
        assert_eq!(Address::UnixAbstract(b"x".to_vec()).to_string(), "unix-abstract:x");
        assert_eq!(Address::Vsock { cid: 3, port: 5 }.to_string(), "vsock:3:5");
    }
}
