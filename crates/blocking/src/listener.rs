//! Sockets that accept connections for a server.

use std::{
    io,
    os::fd::{AsRawFd, RawFd},
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use farcall_serving::limits::{ACCEPTS_IN_A_ROW, BACKLOG};
use farcall_system::{
    bind::{ListenError, address_text, bind_sockets},
    credentials::PortSecurity,
    process,
    socket::Socket,
};

use crate::server::Server;

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
                Err(error) => return Accepted::Refused(server.pause(&error)),
            }
        }
        Accepted::Some
    }

    fn is_tcp(&self) -> bool {
        self.socket.local_addr().is_ok_and(|address| address.as_socket().is_some())
    }
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
