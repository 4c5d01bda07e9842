//! A socket with TLS over it.

use std::{
    cell::RefCell,
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::{SystemTime, UNIX_EPOCH},
};

use farcall_channel::ConnectError;
use farcall_core::Code;
use farcall_security::{Clock, Handshake, Session};
use farcall_serving::limits::HANDSHAKES_WAITING;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Handle,
    sync::{Semaphore, SemaphorePermit},
};

use crate::stream::{Stream, Transport};

/// What is read at once of sealed bytes: a few records of the largest size.
const SEALED: usize = 64 << 10;

thread_local! {
    /// Where sealed bytes are opened: one buffer for all connections that a thread reads.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The system's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_seconds(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

/// How a channel's connections are secured.
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// The configuration of each session.
    pub config: farcall_security::ClientConfig,
    /// What the server's certificate must be for, without a port; `None` takes the host of `:authority`.
    pub server_name: Option<String>,
}

impl ClientTls {
    pub(crate) fn session(&self, authority: &str) -> Result<Session, ConnectError> {
        let name = self.server_name.as_deref().unwrap_or_else(|| host(authority));
        Session::client(&self.config, name).map_err(|error| connect_error(&error.to_string()))
    }
}

/// The host of `host:port` or `[v6]:port`.
fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

pub(crate) fn connect_error(why: &str) -> ConnectError {
    ConnectError { code: Code::Unavailable, why: format!("TLS handshake failed: {why}") }
}

/// Whose turn it is among the clients of a server whose handshake goes on.
#[derive(Debug)]
pub(crate) struct Turns {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Turns {
    /// As many at a time as leave a thread of the runtime to calls, if it has more than one.
    pub(crate) fn of(runtime: &Handle) -> Turns {
        let threads = runtime.metrics().num_workers().saturating_sub(1).max(1);
        Turns { turns: Arc::new(Semaphore::new(threads)), waiting: AtomicUsize::new(0) }
    }

    /// Waits for a turn, which ends when the permit is dropped.
    pub(crate) async fn wait(&self) -> Option<SemaphorePermit<'_>> {
        struct Leave<'a>(&'a AtomicUsize);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _leave = Leave(&self.waiting);
        // It is never closed.
        self.turns.acquire().await.ok()
    }
}

/// Where a server's new connections come in: while too many handshakes wait for their turn, each waits for one too.
pub(crate) struct Entrance {
    turns: Arc<Turns>,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Entrance {
    pub(crate) fn new(turns: Arc<Turns>) -> Entrance {
        Entrance { turns, waiting: None }
    }

    /// Whether the next connection may be accepted.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.waiting.is_none() && self.turns.waiting.load(Ordering::Relaxed) >= HANDSHAKES_WAITING {
            let turn = Arc::clone(&self.turns.turns).acquire_owned();
            self.waiting = Some(Box::pin(async { drop(turn.await) }));
        }
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(context));
            self.waiting = None;
        }
        Poll::Ready(())
    }
}

/// A socket with TLS over it, after the handshake.
#[derive(Debug)]
pub(crate) struct TlsStream {
    stream: Stream,
    session: Session,
    /// Opened, and not taken yet: what lies from `taken` on.
    opened: Vec<u8>,
    taken: usize,
}

impl TlsStream {
    /// Shakes hands.
    pub(crate) async fn shake(stream: Stream, session: Session) -> io::Result<TlsStream> {
        let mut tls = TlsStream { stream, session, opened: Vec::new(), taken: 0 };
        poll_fn(|context| tls.poll_shake(context)).await?;
        Ok(tls)
    }

    /// The handshake with a client, a step at a time when its turn comes: a step costs as much as many calls, and those go on
    /// in between.
    pub(crate) async fn handshake_in_turn(stream: Stream, session: Session, turns: &Turns) -> io::Result<TlsStream> {
        let mut tls = TlsStream { stream, session, opened: Vec::new(), taken: 0 };
        loop {
            poll_fn(|context| tls.poll_step(context)).await?;
            let turn = turns.wait().await;
            let shaken = poll_fn(|context| Poll::Ready(tls.poll_shake(context))).await;
            // The runtime looks at its sockets before it comes back here: without that it would see to dozens of
            // handshakes between two looks.
            tokio::task::yield_now().await;
            drop(turn);
            if let Poll::Ready(shaken) = shaken {
                return shaken.map(|()| tls);
            }
        }
    }

    /// Waits until the client has said something more, and writes what is sealed meanwhile.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_sealed(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => self.stream.poll_read_ready(context),
        }
    }

    pub(crate) fn handshake(&self) -> Option<&Arc<Handshake>> {
        self.session.handshake()
    }

    fn poll_shake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            // Also the alert of a handshake that failed.
            let flushed = self.poll_sealed(context);
            if let Some(error) = self.session.error() {
                return Poll::Ready(Err(io::Error::other(error.clone())));
            }
            if self.session.handshake().is_some() {
                return Poll::Ready(Ok(()));
            }
            ready!(flushed)?;
            ready!(self.poll_open(context, &mut []))?;
        }
    }

    /// Writes what is sealed.
    fn poll_sealed(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(sealed) = self.session.poll_transmit() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, sealed))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                len => self.session.handle_transmitted(len),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once and opens what came, into `buffer` as far as it goes; how much went there, or nothing at the end.
    fn poll_open(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(SEALED, 0);
            let mut read = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                self.session.handle_closed();
                return Poll::Ready(Ok(None));
            }
            let (mut filled, spilled) = (0, &mut self.opened);
            self.session.handle_sealed(read.filled_mut(), |opened| {
                let len = opened.len().min(buffer.len() - filled);
                buffer[filled..filled + len].copy_from_slice(&opened[..len]);
                filled += len;
                spilled.extend_from_slice(&opened[len..]);
            });
            Poll::Ready(Ok(Some(filled)))
        })
    }

    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.opened[self.taken..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        self.taken += len;
        if self.taken == self.opened.len() {
            self.opened = Vec::new();
            self.taken = 0;
        }
        len
    }
}

impl Transport for TlsStream {
    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        first: &mut [u8],
        _second: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if !self.opened.is_empty() {
                return Poll::Ready(Ok(self.take(first)));
            }
            if let Some(error) = self.session.error() {
                let error = io::Error::other(error.clone());
                // The peer is told, if it still listens.
                let _ = self.poll_sealed(context);
                return Poll::Ready(Err(error));
            }
            if self.session.peer_closed() {
                return Poll::Ready(Ok(0));
            }
            match ready!(self.poll_open(context, first))? {
                Some(0) => {}
                Some(filled) => return Poll::Ready(Ok(filled)),
                // Without a goodbye, which HTTP/2 can do without.
                None => return Poll::Ready(Ok(0)),
            }
        }
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let len = ready!(self.poll_receive(context, buffer.initialize_unfilled(), &mut []))?;
        buffer.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    /// Takes what there is room for; [`poll_flush`](AsyncWrite::poll_flush) says when it is written.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.session.can_seal() {
            ready!(self.poll_sealed(context))?;
        }
        let taken = self.session.seal(pieces);
        if taken == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_sealed(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.close();
        ready!(self.poll_sealed(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
