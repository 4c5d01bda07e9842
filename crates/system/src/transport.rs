//! What lies between a socket and the brain of its connection: nothing, or TLS. Both kinds of hands use it.

#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "tls")]
use std::sync::Arc;
use std::{
    io::{self, IoSlice},
    time::{Duration, Instant},
};

use bytes::Buf;
use farcall_channel::ConnectError;
use farcall_engine::{Cause, Connection as Engine};

use crate::socket::Socket;

/// Pieces of one vectored write.
const PIECES: usize = 64;

/// What lies between a socket and the brain of its connection.
pub enum Transport {
    /// Nothing.
    Plain,
    /// Plain bytes between two ends of one machine.
    Local,
    /// TLS.
    #[cfg(feature = "tls")]
    Tls(Box<tls::Tls>),
}

/// How sure the other end is to be who it is, and of what was found out about it. Without any: not at all.
#[derive(Clone, Debug)]
pub enum Auth {
    /// On one machine.
    Local,
    /// By TLS.
    #[cfg(feature = "tls")]
    Tls(Arc<farcall_security::Handshake>),
}

/// What came of one read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// As much as there was room for, so that there may be more.
    pub full: bool,
    /// The end.
    pub end: bool,
}

impl Transport {
    /// TLS with this session.
    #[cfg(feature = "tls")]
    pub fn tls(session: farcall_security::Session) -> Transport {
        Transport::Tls(Box::new(tls::Tls::new(session)))
    }

    /// Reads once, and tells the brain what came: bytes, the end, or that they cannot be opened.
    ///
    /// # Errors
    /// The socket's; the brain has not been told.
    pub fn read(&mut self, socket: &Socket, engine: &mut Engine, now: Instant) -> io::Result<Taken> {
        match self {
            Transport::Plain | Transport::Local => {
                let buffers = engine.receive_buffers();
                let room = buffers[0].len() + buffers[1].len();
                let len = socket.read_into(buffers)?;
                engine.handle_received(len, now);
                Ok(Taken { full: len == room, end: len == 0 })
            }
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.read(socket, engine, now),
        }
    }

    /// Writes once, of what the brain and TLS have to say; false when they have nothing.
    ///
    /// # Errors
    /// The socket's; the brain has not been told.
    pub fn write(&mut self, socket: &Socket, engine: &mut Engine, now: Instant) -> io::Result<bool> {
        match self {
            Transport::Plain | Transport::Local => {
                let Some(transmit) = engine.poll_transmit(now) else { return Ok(false) };
                let mut pieces = [IoSlice::new(&[]); PIECES];
                let count = transmit.chunks_vectored(&mut pieces);
                let written = socket.write(&pieces[..count])?;
                transmit.advance(written);
                Ok(true)
            }
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.write(socket, engine, now),
        }
    }

    /// Who the other end is; without any for plain text.
    pub fn auth(&self) -> Option<Auth> {
        match self {
            Transport::Plain => None,
            Transport::Local => Some(Auth::Local),
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.handshake().cloned().map(Auth::Tls),
        }
    }

    /// Why there is no connection, if that is TLS's doing, in grpcio's words.
    pub fn failure(&self) -> Option<ConnectError> {
        match self {
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.failure(),
            Transport::Plain | Transport::Local => None,
        }
    }

    /// Whether the handshake of TLS is not over.
    pub fn in_handshake(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.in_handshake(),
            Transport::Plain | Transport::Local => false,
        }
    }

    /// What TLS has to say to the operator of this end, if it failed.
    pub fn trouble(&self) -> Option<(Cause, String)> {
        match self {
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.trouble(),
            Transport::Plain | Transport::Local => None,
        }
    }

    /// Shakes hands on a thread that waits for it. Until the handshake is over nothing else is done with the socket.
    ///
    /// # Errors
    /// Of TLS, the socket, or because it took longer than `patience`.
    pub fn shake(&mut self, socket: &Socket, patience: Duration) -> Result<(), ConnectError> {
        match self {
            #[cfg(feature = "tls")]
            Transport::Tls(tls) => tls.shake(socket, patience),
            Transport::Plain | Transport::Local => {
                let _ = (socket, patience);
                Ok(())
            }
        }
    }
}
