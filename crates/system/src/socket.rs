//! A non-blocking stream socket, TCP or Unix.

use std::{
    io::{self, IoSlice, IoSliceMut, Read},
    net::{IpAddr, SocketAddr},
    path::Path,
};

use farcall_channel::{Address, ConnectError};
use farcall_core::Code;
use socket2::{Domain, Protocol, SockAddr, Type};

/// A connected, or connecting, socket. Closing it (by dropping) does not shut it down: a forked process that drops
/// its copy must not cut the parent's connection.
#[derive(Debug)]
pub struct Socket(socket2::Socket);

impl Socket {
    /// Starts to connect; writable means done, then [`take_error`](Socket::take_error) tells how it went.
    pub fn connect(address: &Address) -> io::Result<Socket> {
        let (domain, protocol, target) = match address {
            Address::Ip(ip) => (Domain::for_address(*ip), Some(Protocol::TCP), SockAddr::from(*ip)),
            Address::Unix(path) => (Domain::UNIX, None, SockAddr::unix(path)?),
            Address::UnixAbstract(name) => (Domain::UNIX, None, abstract_address(name)?),
            Address::Vsock { cid, port } => vsock_address(*cid, *port)?,
        };
        let socket = socket2::Socket::new(domain, Type::STREAM, protocol)?;
        let socket = Socket::prepare(socket, matches!(address, Address::Ip(_)))?;
        match socket.0.connect(&target) {
            Ok(()) => Ok(socket),
            Err(error) if is_in_progress(&error) => Ok(socket),
            Err(error) => Err(error),
        }
    }

    /// Connects, and waits for it.
    pub fn connect_patiently(address: &Address, patience: std::time::Duration) -> io::Result<Socket> {
        let socket = Socket::connect(address)?;
        socket.wait(true, patience)?;
        match socket.take_error()? {
            Some(error) => Err(error),
            // Not connected yet: the time is up.
            None if socket.peer_address().is_none() => Err(io::ErrorKind::TimedOut.into()),
            None => Ok(socket),
        }
    }

    /// Takes a socket that a listener accepted.
    pub fn accepted(socket: socket2::Socket, tcp: bool) -> io::Result<Socket> {
        Socket::prepare(socket, tcp)
    }

    fn prepare(socket: socket2::Socket, tcp: bool) -> io::Result<Socket> {
        socket.set_nonblocking(true)?;
        if tcp {
            socket.set_tcp_nodelay(true)?;
        }
        #[cfg(target_vendor = "apple")]
        socket.set_nosigpipe(true)?;
        Ok(Socket(socket))
    }

    /// Reads once, without waiting.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }

    /// Reads into one buffer after the other.
    pub fn read_into(&self, [first, second]: [&mut [u8]; 2]) -> io::Result<usize> {
        if second.is_empty() {
            return self.read(first);
        }
        (&self.0).read_vectored(&mut [IoSliceMut::new(first), IoSliceMut::new(second)])
    }

    /// Writes once, without waiting; never raises SIGPIPE.
    pub fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // A program may have restored SIGPIPE's default, which would end it here.
        #[cfg(target_os = "linux")]
        {
            use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
            Ok(sendmsg(&self.0, slices, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
        }
        #[cfg(not(target_os = "linux"))]
        {
            io::Write::write_vectored(&mut &self.0, slices)
        }
    }

    /// Waits until it can be read, or written, or this time is up.
    pub fn wait(&self, write: bool, timeout: std::time::Duration) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&self.0, if write { PollFlags::OUT } else { PollFlags::IN })];
        match poll(&mut fds, Timespec::try_from(timeout).ok().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What went wrong since it was last asked.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }

    /// Ends the connection for every process that has it.
    pub fn shut_down(&self) {
        // The peer may have gone first; there is nothing left to do then.
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }

    /// Says that nothing more will be written, for every process that has it.
    pub fn end_writing(&self) {
        // As above.
        let _ = self.0.shutdown(std::net::Shutdown::Write);
    }

    /// Another handle of the same socket.
    pub fn try_clone(&self) -> io::Result<Socket> {
        Ok(Socket(self.0.try_clone()?))
    }

    /// The other end, as gRPC writes it.
    pub fn peer(&self) -> String {
        self.peer_address().map_or_else(String::new, |address| address.to_string())
    }

    /// This end, as gRPC writes it; empty when the system does not say.
    pub fn local(&self) -> String {
        self.0.local_addr().map_or_else(|_| String::new(), |address| address_of(&address).to_string())
    }

    /// The other end; `None` once it is gone.
    pub fn peer_address(&self) -> Option<Address> {
        Some(address_of(&self.0.peer_addr().ok()?))
    }

    /// Its descriptor.
    #[cfg(unix)]
    pub fn raw(&self) -> std::os::fd::RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.0)
    }

    /// The socket, for options.
    pub fn handle(&self) -> &socket2::Socket {
        &self.0
    }
}

/// `unix-abstract:name`, whose address starts with a NUL.
pub fn abstract_address(name: &[u8]) -> io::Result<SockAddr> {
    let mut path = vec![0];
    path.extend_from_slice(name);
    let path = String::from_utf8(path).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    SockAddr::unix(Path::new(&path))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[allow(clippy::unnecessary_wraps)] // It fails elsewhere.
fn vsock_address(cid: u32, port: u32) -> io::Result<(Domain, Option<Protocol>, SockAddr)> {
    Ok((Domain::VSOCK, None, SockAddr::vsock(cid, port)))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn vsock_address(_cid: u32, _port: u32) -> io::Result<(Domain, Option<Protocol>, SockAddr)> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "sockets of the family vsock are not supported here"))
}

fn is_in_progress(error: &io::Error) -> bool {
    // Would-block, from a Unix socket, says that the listener's queue is full, and nothing more will happen.
    #[cfg(unix)]
    return error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error());
    #[cfg(not(unix))]
    return error.kind() == io::ErrorKind::WouldBlock;
}

/// `address` as gRPC has it.
pub fn address_of(address: &SockAddr) -> Address {
    if let Some(ip) = address.as_socket() {
        return Address::Ip(unmapped(ip));
    }
    #[cfg(target_os = "linux")]
    if let Some(name) = address.as_abstract_namespace() {
        return Address::UnixAbstract(name.to_vec());
    }
    #[cfg(target_os = "linux")]
    if let Some((cid, port)) = address.as_vsock_address() {
        return Address::Vsock { cid, port };
    }
    Address::Unix(address.as_pathname().unwrap_or(Path::new("")).to_owned())
}

/// An IPv4 peer of a dual-stack listener comes as `::ffff:1.2.3.4`; people expect `1.2.3.4`.
fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(IpAddr::V4(v4), address.port()),
            None => address,
        },
        IpAddr::V4(_) => address,
    }
}

/// The operating system's words, without Rust's "(os error N)".
pub fn os_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// What a failed attempt to connect is called.
pub fn connect_error(address: &Address, why: &str) -> ConnectError {
    match address {
        Address::Ip(_) | Address::Vsock { .. } => {
            ConnectError { code: Code::Unknown, why: format!("Failed to connect to remote host: {why}") }
        }
        Address::Unix(_) | Address::UnixAbstract(_) => ConnectError {
            code: Code::FailedPrecondition,
            why: format!("connect failed: addr: {address} error: {why}"),
        },
    }
}
