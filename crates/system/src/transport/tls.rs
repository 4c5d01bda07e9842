//! One end of TLS between a socket and the brain of its connection.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Buf;
use farcall_channel::ConnectError;
use farcall_core::Code;
use farcall_engine::{Cause, Connection as Engine};
use farcall_security::{Error, Handshake, Session, Untrusted};

use super::{PIECES, Taken};
use crate::socket::{Socket, os_text};

/// What is read at once of sealed bytes: a few records of the largest size.
const SEALED: usize = 64 << 10;

thread_local! {
    /// Where sealed bytes are opened. What they hold goes to the brain at once, so that one buffer will do for all
    /// connections that a thread reads, and those that rest need none.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One end of TLS.
pub struct Tls {
    session: Session,
    /// What was opened before there was a brain for it.
    early: Vec<u8>,
}

impl Tls {
    pub(super) fn new(session: Session) -> Tls {
        Tls { session, early: Vec::new() }
    }

    pub(super) fn read(&mut self, socket: &Socket, engine: &mut Engine, now: Instant) -> io::Result<Taken> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(SEALED, 0);
            let len = socket.read(scratch)?;
            self.open(&mut scratch[..len], engine, now);
            Ok(Taken { full: len == SEALED, end: len == 0 || self.session.peer_closed() })
        })
    }

    pub(super) fn write(&mut self, socket: &Socket, engine: &mut Engine, now: Instant) -> io::Result<bool> {
        self.seal(engine, now);
        let Some(sealed) = self.session.poll_transmit() else { return Ok(false) };
        let written = socket.write(&[IoSlice::new(sealed)])?;
        self.session.handle_transmitted(written);
        Ok(true)
    }

    pub(super) fn handshake(&self) -> Option<&Arc<Handshake>> {
        self.session.handshake()
    }

    pub(super) fn failure(&self) -> Option<ConnectError> {
        self.session.error().map(refusal)
    }

    pub(super) fn in_handshake(&self) -> bool {
        self.session.handshake().is_none() && self.session.error().is_none()
    }

    pub(super) fn trouble(&self) -> Option<(Cause, String)> {
        let error = self.session.error()?;
        let cause = match error {
            Error::ClosedInHandshake => Cause::HandshakeLeft,
            _ => Cause::Handshake,
        };
        Some((cause, error.to_string()))
    }

    pub(super) fn shake(&mut self, socket: &Socket, patience: Duration) -> Result<(), ConnectError> {
        let Tls { session, early } = self;
        let until = Instant::now() + patience;
        let failed = |error: io::Error| ConnectError {
            code: Code::Unavailable,
            why: format!("Handshake read failed ({})", os_text(&error)),
        };
        let mut buffer = vec![0; SEALED];
        while session.handshake().is_none() {
            let blocked = match session.poll_transmit() {
                Some(sealed) => match socket.write(&[IoSlice::new(sealed)]) {
                    Ok(written) => {
                        session.handle_transmitted(written);
                        continue;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(failed(error)),
                },
                None => false,
            };
            if let Some(error) = session.error() {
                return Err(refusal(error));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(failed(io::ErrorKind::TimedOut.into()));
            }
            socket.wait(blocked, left).map_err(failed)?;
            match socket.read(&mut buffer) {
                Ok(0) => session.handle_closed(),
                Ok(len) => session.handle_sealed(&mut buffer[..len], |opened| early.extend_from_slice(opened)),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// Opens what came and hands it to the brain; no bytes are the end.
    fn open(&mut self, sealed: &mut [u8], engine: &mut Engine, now: Instant) {
        if sealed.is_empty() {
            self.session.handle_closed();
        } else {
            self.session.handle_sealed(sealed, |opened| feed(engine, opened, now));
        }
        if let Some(error) = self.session.error() {
            engine.handle_transport_closed(&refusal(error).why, now);
        } else if sealed.is_empty() || self.session.peer_closed() {
            engine.handle_received(0, now);
        }
    }

    /// Seals what the brain has to say, as far as there is room; after its last words, goodbye.
    fn seal(&mut self, engine: &mut Engine, now: Instant) {
        if !self.early.is_empty() {
            feed(engine, &std::mem::take(&mut self.early), now);
        }
        while self.session.can_seal() {
            let Some(transmit) = engine.poll_transmit(now) else {
                if engine.error().is_some() {
                    self.session.close();
                }
                return;
            };
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let count = transmit.chunks_vectored(&mut pieces);
            let taken = self.session.seal(&pieces[..count]);
            if taken == 0 {
                return;
            }
            transmit.advance(taken);
        }
    }
}

/// Hands opened bytes to the brain.
fn feed(engine: &mut Engine, mut opened: &[u8], now: Instant) {
    while !opened.is_empty() && engine.error().is_none() {
        let room = engine.receive_buffer();
        let len = room.len().min(opened.len());
        if len == 0 {
            return;
        }
        room[..len].copy_from_slice(&opened[..len]);
        engine.handle_received(len, now);
        opened = &opened[len..];
    }
}

/// What a client whose handshake failed is told: grpcio's words, which programs and people look for.
fn refusal(error: &Error) -> ConnectError {
    const FAILED: &str = "Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: ";
    let (code, why) = match error {
        Error::PeerUntrusted(Untrusted::Rejected(why)) => {
            (Code::Unknown, format!("Custom verification check failed with error: UNAUTHENTICATED: {why}"))
        }
        Error::PeerUntrusted(why) => (
            Code::Unknown,
            format!("{FAILED}error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: {why}: OK"),
        ),
        Error::NameMismatch => {
            let text =
                "Custom verification check failed with error: UNAUTHENTICATED: Hostname Verification Check failed.";
            (Code::Unknown, text.to_owned())
        }
        Error::NoProtocol => (Code::Unknown, "Cannot check peer: missing selected ALPN property.".to_owned()),
        Error::NotTls => (
            Code::Unknown,
            format!(
                "{FAILED}error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER: the peer does not speak TLS: OK"
            ),
        ),
        // Mostly because of a certificate that it wanted and did not get: TLS 1.3 tells only after the handshake.
        Error::PeerRefused(alert) => (Code::Unavailable, format!("Socket closed (TLS alert: {alert})")),
        Error::ClosedInHandshake => (Code::Unavailable, "Handshake read failed (Socket closed)".to_owned()),
        other => (Code::Unknown, format!("{FAILED}{other}")),
    };
    ConnectError { code, why }
}
