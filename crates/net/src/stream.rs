//! A connected socket of either kind.

use std::{
    io::{self, IoSlice, IoSliceMut, Read},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use socket2::SockRef;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

/// TCP, or a Unix domain socket where there are any.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    /// How long what is sent may stay unacknowledged before the connection is lost (TCP_USER_TIMEOUT, gRFC A18). Where
    /// the system has no such setting, keepalive's own time-out finds the loss a little later.
    pub(crate) fn set_user_timeout(&self, timeout: Option<Duration>) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let (Stream::Tcp(socket), Some(timeout)) = (self, timeout) {
            // None of it is needed for a connection to work.
            let _ = SockRef::from(socket).set_tcp_user_timeout(Some(timeout));
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let _ = timeout;
    }
}

impl Stream {
    /// Waits until there may be something to read.
    #[cfg(feature = "tls")]
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(socket) => socket.poll_read_ready(context),
            #[cfg(unix)]
            Stream::Unix(socket) => socket.poll_read_ready(context),
        }
    }
}

/// What a connection's task needs of its transport.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// Reads into two buffers, of which the second may be empty: the number of bytes, 0 at the end of file.
    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        first: &mut [u8],
        second: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let _ = second;
        let mut buffer = ReadBuf::new(first);
        ready!(Pin::new(self).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

/// Reads into both buffers with one system call. Short of both the socket is empty, which tokio is told so that nobody
/// asks it again: an error of `WouldBlock` is how.
macro_rules! poll_receive {
    ($socket:expr, $context:expr, $first:expr, $second:expr) => {{
        if $second.is_empty() {
            let mut buffer = ReadBuf::new($first);
            ready!(Pin::new($socket).poll_read($context, &mut buffer))?;
            return Poll::Ready(Ok(buffer.filled().len()));
        }
        let room = $first.len() + $second.len();
        let mut buffers = [IoSliceMut::new($first), IoSliceMut::new($second)];
        loop {
            ready!($socket.poll_read_ready($context))?;
            let mut short = None;
            let read = $socket.try_io(Interest::READABLE, || {
                let read = (&*SockRef::from(&*$socket)).read_vectored(&mut buffers)?;
                if read < room {
                    short = Some(read);
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Ok(read)
            });
            match (short, read) {
                (Some(read), _) => return Poll::Ready(Ok(read)),
                (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                (None, read) => return Poll::Ready(read),
            }
        }
    }};
}
impl Transport for Stream {
    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        first: &mut [u8],
        second: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Stream::Tcp(socket) => poll_receive!(socket, context, first, second),
            #[cfg(unix)]
            Stream::Unix(socket) => poll_receive!(socket, context, first, second),
        }
    }
}

/// The same method of whichever socket it is.
macro_rules! delegate {
    ($stream:expr, $method:ident $(, $argument:expr)*) => {
        match $stream.get_mut() {
            Stream::Tcp(socket) => Pin::new(socket).$method($($argument),*),
            #[cfg(unix)]
            Stream::Unix(socket) => Pin::new(socket).$method($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_read, context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write, context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write_vectored, context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_flush, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_shutdown, context)
    }
}
