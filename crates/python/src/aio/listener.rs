//! Sockets that accept connections for a server on a loop.

use std::{
    io,
    os::fd::AsRawFd,
    path::PathBuf,
    sync::{
        Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use farcall_serving::limits::{ACCEPTS_IN_A_ROW, BACKLOG};
use farcall_system::{
    bind::{BoundSocket, is_exhausted},
    credentials::PortSecurity,
    process,
    socket::Socket,
};
use pyo3::prelude::*;

use super::{known::names, server::Server};
/// A bound and listening socket.
#[pyclass(frozen)]
pub(crate) struct Listener {
    socket: socket2::Socket,
    server: Weak<Server>,
    security: Option<PortSecurity>,
    /// The file of a Unix socket, removed at the end.
    path: Option<PathBuf>,
    tcp: bool,
    generation: u32,
    /// The loop watches it.
    watched: AtomicBool,
}

#[pymethods]
impl Listener {
    fn on_readable(this: &Bound<'_, Self>) -> PyResult<()> {
        let Some(server) = this.get().server.upgrade() else { return Ok(()) };
        if this.get().watched.load(Ordering::SeqCst) && this.get().generation == process::generation() {
            let event_loop = server.event_loop()?;
            return event_loop.in_batch(this.py(), || Self::accept(this, &server));
        }
        Ok(())
    }

    /// Watches it again after the system had no descriptor left.
    fn resume(this: &Bound<'_, Self>) -> PyResult<()> {
        match this.get().server.upgrade() {
            Some(server) if server.is_serving() => Self::watch(this, &server),
            _ => Ok(()),
        }
    }
}

impl Listener {
    pub(crate) fn new(
        bound: BoundSocket,
        server: &Weak<Server>,
        security: Option<PortSecurity>,
    ) -> io::Result<Listener> {
        bound.socket.set_nonblocking(true)?;
        bound.socket.listen(BACKLOG)?;
        Ok(Listener {
            tcp: bound.path.is_none() && bound.socket.local_addr().is_ok_and(|local| local.as_socket().is_some()),
            socket: bound.socket,
            server: Weak::clone(server),
            security,
            path: bound.path,
            generation: process::generation(),
            watched: AtomicBool::new(false),
        })
    }

    /// Has the server's loop accept connections.
    pub(crate) fn watch(this: &Bound<'_, Self>, server: &Server) -> PyResult<()> {
        this.get().watched.store(true, Ordering::SeqCst);
        let callback = this.getattr(names(this.py()).on_readable.bind(this.py()))?;
        server.event_loop()?.add_reader(this.get().socket.as_raw_fd(), &callback)
    }

    /// Accepts no more.
    pub(crate) fn unwatch(&self, py: Python<'_>, server: &Server) {
        if self.watched.swap(false, Ordering::SeqCst)
            && let Ok(event_loop) = server.event_loop()
        {
            event_loop.remove_reader(py, self.socket.as_raw_fd());
        }
    }

    /// Ends it: who tries to connect is refused from now on, whoever else holds the socket.
    pub(crate) fn close(&self, py: Python<'_>, server: &Server) {
        self.unwatch(py, server);
        if self.generation == process::generation() {
            // A socket that does not listen needs no shutting.
            let _ = self.socket.shutdown(std::net::Shutdown::Both);
        }
    }

    fn accept(this: &Bound<'_, Self>, server: &std::sync::Arc<Server>) -> PyResult<()> {
        let py = this.py();
        if server.event_loop()?.is_crowded(py) {
            // The loop tells again.
            return Ok(());
        }
        for _ in 0..ACCEPTS_IN_A_ROW {
            match this.get().socket.accept() {
                Ok((socket, _)) => {
                    // A peer that is gone already is no loss.
                    if let Ok(socket) = Socket::accepted(socket, this.get().tcp) {
                        server.serve(py, socket, this.get().security.as_ref())?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The connection was reset before it was accepted: the next may be there.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if !is_exhausted(&error) && !server.is_serving() {
                        return Ok(());
                    }
                    let pause = server.pause(&error);
                    // The loop would tell again and again that one waits.
                    this.get().unwatch(py, server);
                    let now = Instant::now();
                    let resume = this.getattr(names(py).resume.bind(py))?;
                    server.event_loop()?.call_at(py, now + pause, now, &resume);
                    return Ok(());
                }
            }
        }
        Ok(())
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
