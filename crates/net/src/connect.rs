//! Dialling, with the error texts that every gRPC uses.

use std::io;

use farcall_channel::{Address, ConnectError, proxy, resolver::Hop};
use farcall_core::Code;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::stream::Stream;

/// A connected socket, or why not.
pub(crate) async fn connect(address: &Address) -> Result<Stream, ConnectError> {
    match address {
        Address::Ip(ip) => {
            let socket = TcpStream::connect(ip).await.map_err(|error| {
                let why = format!("Failed to connect to remote host: {}", reason(&error));
                ConnectError { code: Code::Unknown, why }
            })?;
            // Delayed small writes are only slower, not wrong.
            let _ = socket.set_nodelay(true);
            Ok(Stream::Tcp(socket))
        }
        Address::Vsock { cid, port } => connect_vsock(*cid, *port).await.map_err(|error| {
            let why = format!("Failed to connect to remote host: {}", reason(&error));
            ConnectError { code: Code::Unknown, why }
        }),
        Address::Unix(_) | Address::UnixAbstract(_) => connect_unix(address).await.map_err(|error| {
            let why = format!("connect failed: addr: {address} error: {}", reason(&error));
            ConnectError { code: Code::FailedPrecondition, why }
        }),
    }
}

/// Has the proxy at the other end connect.
pub(crate) async fn pass(stream: &mut Stream, hop: &Hop) -> Result<(), ConnectError> {
    say(stream, hop).await.map_err(|error| {
        let why = format!("Failed to connect to remote host: {}", reason(&error));
        ConnectError { code: Code::Unknown, why }
    })
}

async fn say(stream: &mut Stream, hop: &Hop) -> io::Result<()> {
    stream.write_all(&hop.proxy.request(&hop.host, hop.port)).await?;
    let mut received = Vec::new();
    while !proxy::answer(&received).map_err(io::Error::other)? {
        // One byte at a time: what comes after the answer is the server's.
        match stream.read_u8().await {
            Ok(byte) => received.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(io::Error::other("the proxy closed the connection"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
async fn connect_unix(address: &Address) -> io::Result<Stream> {
    tokio::net::UnixStream::connect(unix_path(address)?).await.map(Stream::Unix)
}

#[cfg(not(unix))]
async fn connect_unix(_address: &Address) -> io::Result<Stream> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Unix domain sockets are not supported here"))
}

/// A stream of tokio's is one of bytes, whatever family its socket is of.
#[cfg(any(target_os = "linux", target_os = "android"))]
async fn connect_vsock(cid: u32, port: u32) -> io::Result<Stream> {
    use socket2::{Domain, SockAddr, Socket, Type};

    let socket = Socket::new(Domain::VSOCK, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::vsock(cid, port)) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
        Err(error) => return Err(error),
    }
    let stream = TcpStream::from_std(socket.into())?;
    stream.writable().await?;
    match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(Stream::Tcp(stream)),
    }
}

/// EINPROGRESS of Linux.
#[cfg(any(target_os = "linux", target_os = "android"))]
const IN_PROGRESS: i32 = 115;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
async fn connect_vsock(_cid: u32, _port: u32) -> io::Result<Stream> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "sockets of the family vsock are not supported here"))
}

/// The path of a Unix address; an abstract name is written with a leading NUL, as the system calls take it.
#[cfg(unix)]
pub(crate) fn unix_path(address: &Address) -> io::Result<std::path::PathBuf> {
    use std::os::unix::ffi::OsStringExt;

    match address {
        Address::Unix(path) => Ok(path.clone()),
        Address::UnixAbstract(name) if cfg!(any(target_os = "linux", target_os = "android")) => {
            let mut bytes = vec![0];
            bytes.extend_from_slice(name);
            Ok(std::ffi::OsString::from_vec(bytes).into())
        }
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "not a Unix address that this system has")),
    }
}

/// What the system says of an error, without Rust's `(os error N)`.
pub(crate) fn reason(error: &io::Error) -> String {
    let mut text = error.to_string();
    if error.raw_os_error().is_some()
        && let Some(at) = text.rfind(" (os error ")
    {
        text.truncate(at);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn a_reason_is_the_systems_own_text() {
        let error = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(reason(&error), "connection refused");
        #[cfg(target_os = "linux")]
        assert_eq!(reason(&std::io::Error::from_raw_os_error(111)), "Connection refused");
    }
}
